//! Runs programs of a tools root in namespaces of their own.
//!
//! The program sees the root read-only, what was bound under `/work`, an empty
//! `/tmp`, a fixed host name, environment and umask, and no network: so its
//! result depends on its inputs alone. No privilege is needed where the kernel
//! allows user namespaces; root works as well.

pub mod enter;
pub mod private;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

use crate::process;

/// First argument with which this program calls itself inside the namespaces.
pub const ENTER: &str = "__enter";

/// Name of the host inside, when no other is set.
pub const HOST: &str = "a7670e-build";

/// Which user and group ids exist inside.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ids {
    /// Root only, who is the caller outside.
    Root,
    /// Root and the caller's subordinate ids (`/etc/subuid`), for work that
    /// changes owners.
    Range,
    /// As `Range`, and in a user namespace that is not the host's even when
    /// the caller is root.
    Private,
}

/// A host path visible at `/work/<name>`.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Bind {
    host: PathBuf,
    name: String,
    writable: bool,
}

/// What [`enter`] sets up.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Spec {
    root: PathBuf,
    binds: Vec<Bind>,
    env: Vec<(String, String)>,
    cwd: PathBuf,
    hostname: String,
    writable: bool,
    network: bool,
}

/// A tools root ready to run programs.
#[derive(Clone, Debug)]
pub struct Sandbox {
    spec: Spec,
    ids: Ids,
}

impl Sandbox {
    /// Programs of the tree `root`, which must have the folder `work`.
    pub fn new(root: &Path) -> Self {
        let env = [
            ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
            ("HOME", "/tmp"),
            ("LC_ALL", "C.UTF-8"),
            ("TZ", "UTC"),
            ("DEBIAN_FRONTEND", "noninteractive"),
        ];
        Self {
            spec: Spec {
                root: root.to_owned(),
                binds: Vec::new(),
                env: env.iter().map(|(k, v)| ((*k).to_owned(), (*v).to_owned())).collect(),
                cwd: "/work".into(),
                hostname: HOST.into(),
                writable: false,
                network: false,
            },
            ids: Ids::Root,
        }
    }

    /// Shows `host` (file or folder) read-only at `/work/<name>`.
    pub fn bind(mut self, host: &Path, name: &str) -> Self {
        self.spec.binds.push(Bind {
            host: host.to_owned(),
            name: name.to_owned(),
            writable: false,
        });
        self
    }

    /// Shows `host` (file or folder) writable at `/work/<name>`.
    pub fn bind_writable(mut self, host: &Path, name: &str) -> Self {
        self.spec.binds.push(Bind { host: host.to_owned(), name: name.to_owned(), writable: true });
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: &str) -> Self {
        self.spec.env.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Sets the folder in which programs start (`/work` when not set).
    pub fn cwd(mut self, dir: &str) -> Self {
        self.spec.cwd = dir.into();
        self
    }

    /// Sets which user ids exist inside ([`Ids::Root`] when not set).
    pub fn ids(mut self, ids: Ids) -> Self {
        self.ids = ids;
        self
    }

    /// Lets programs use the host's network and its name servers.
    pub fn network(mut self) -> Self {
        self.spec.network = true;
        self
    }

    /// Lets programs write into the root, which the caller then throws away.
    pub fn writable_root(mut self) -> Self {
        self.spec.writable = true;
        self
    }

    /// Sets the host name that programs see.
    pub fn hostname(mut self, name: &str) -> Self {
        name.clone_into(&mut self.spec.hostname);
        self
    }

    /// The command that runs `argv` inside.
    pub fn command<S: AsRef<str>>(&self, argv: &[S]) -> Result<Command> {
        let mut command = namespaces(self.ids, self.spec.network);
        command
            .arg(std::env::current_exe().context("cannot find this program's own file")?)
            .arg(ENTER)
            .arg(serde_json::to_string(&self.spec)?)
            .args(argv.iter().map(AsRef::as_ref));
        Ok(command)
    }

    /// Runs `argv` inside, its output going to the host's file `log`.
    pub fn run<S: AsRef<str>>(&self, argv: &[S], log: &Path) -> Result<()> {
        process::logged(&mut self.command(argv)?, log)
            .with_context(|| format!("in the tools root: {}", join(argv)))
    }

    /// Runs `argv` inside and gives its standard output.
    pub fn output<S: AsRef<str>>(&self, argv: &[S]) -> Result<Vec<u8>> {
        process::output(&mut self.command(argv)?)
            .with_context(|| format!("in the tools root: {}", join(argv)))
    }

    /// As [`Self::output`], as text.
    pub fn text<S: AsRef<str>>(&self, argv: &[S]) -> Result<String> {
        String::from_utf8(self.output(argv)?)
            .with_context(|| format!("{} gave no UTF-8", join(argv)))
    }
}

/// `unshare` with all that a build may need; what follows runs in the new
/// namespaces as root (of the user namespace where we are not root already).
pub fn namespaces(ids: Ids, network: bool) -> Command {
    let root = rustix::process::geteuid().is_root();
    let own = std::env::current_exe();
    let mut command = match own {
        Ok(own) if root && ids == Ids::Private => {
            let mut command = Command::new(own);
            command.args([private::ENTER, "unshare"]);
            command
        }
        _ => Command::new("unshare"),
    };
    if !root {
        command.args(["--user", "--map-root-user"]);
        if ids != Ids::Root {
            command.arg("--map-auto");
        }
    }
    // --kill-child helps only when unshare itself dies with us.
    process::die_with_caller(&mut command);
    command.args(["--mount", "--uts", "--ipc", "--pid", "--fork", "--kill-child"]);
    if !network {
        command.arg("--net");
    }
    command.arg("--");
    command
}

fn join<S: AsRef<str>>(argv: &[S]) -> String {
    argv.iter().map(AsRef::as_ref).collect::<Vec<_>>().join(" ")
}
