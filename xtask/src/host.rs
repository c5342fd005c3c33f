//! What the host must have: little, and installed on request.

use std::io::{BufRead, IsTerminal, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context as _, Result, bail};

use crate::context::Context;
use crate::process;
use crate::sandbox::{self, Ids};

/// What the host is prepared for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Purpose {
    /// To build, judge and emulate images.
    Build,
    /// To run the tests as well.
    Tests,
    /// To fuzz, and no more.
    Fuzz,
}

/// A host package and how to see that it is not needed any more.
struct Need {
    package: &'static str,
    file: &'static str,
    why: &'static str,
    when: When,
}

/// Where a package is needed.
#[derive(Clone, Copy, PartialEq, Eq)]
enum When {
    Always,
    /// Where neither the host nor the user names a Debian mirror.
    NoMirror,
    OrdinaryUser,
    Tests,
    Fuzz,
}

const NEEDS: &[Need] = &[
    Need {
        package: "debian-archive-keyring",
        file: "/usr/share/keyrings/debian-archive-keyring.gpg",
        why: "the keys with which Debian signs its archive",
        when: When::Always,
    },
    Need {
        package: "mmdebstrap",
        file: "/usr/bin/mmdebstrap",
        why: "knows Debian's default mirror on hosts that have none",
        when: When::NoMirror,
    },
    Need {
        package: "uidmap",
        file: "/usr/bin/newuidmap",
        why: "lets an ordinary user make files of several owners",
        when: When::OrdinaryUser,
    },
    Need {
        package: "mount",
        file: "/usr/sbin/losetup",
        why: "makes loop devices, the cards of the tests",
        when: When::Tests,
    },
    Need {
        package: "e2fsprogs",
        file: "/usr/sbin/mke2fs",
        why: "makes a file system on a card that must be refused",
        when: When::Tests,
    },
    Need {
        package: "iproute2",
        file: "/usr/bin/ip",
        why: "makes network devices in the tests' own namespaces",
        when: When::Tests,
    },
    Need {
        package: "g++",
        file: "/usr/bin/c++",
        why: "compiles libFuzzer, which drives the fuzz targets",
        when: When::Fuzz,
    },
];

/// Installs what is missing, after saying so, and checks that namespaces work.
pub fn prepare(ctx: &Context, purpose: Purpose) -> Result<()> {
    let root = rustix::process::geteuid().is_root();
    let debian = std::fs::read_to_string("/etc/os-release")
        .is_ok_and(|text| text.lines().any(|line| line == "ID=debian"));
    let builds = purpose != Purpose::Fuzz;
    let needed = |when| match when {
        When::Always => builds,
        When::NoMirror => builds && !debian && !mirror_named(),
        When::OrdinaryUser => builds && !root,
        When::Tests => purpose == Purpose::Tests,
        When::Fuzz => matches!(purpose, Purpose::Tests | Purpose::Fuzz),
    };
    let missing: Vec<_> =
        NEEDS.iter().filter(|n| needed(n.when) && !Path::new(n.file).exists()).collect();
    if !missing.is_empty() {
        install(ctx, &missing, root)?;
    }
    if builds { check_namespaces() } else { Ok(()) }
}

fn mirror_named() -> bool {
    std::env::var_os("A7670E_MIRROR").is_some()
}

fn install(ctx: &Context, missing: &[&Need], root: bool) -> Result<()> {
    ctx.report.line("This host lacks packages that this needs:");
    for need in missing {
        ctx.report.line(format!("  {:24} {}", need.package, need.why));
    }
    let names: Vec<_> = missing.iter().map(|need| need.package).collect();
    let by_hand = format!("sudo apt-get install --no-install-recommends {}", names.join(" "));
    if !ctx.yes {
        if !std::io::stdin().is_terminal() {
            bail!("install them with `{by_hand}`, or run this with --yes");
        }
        eprint!("Install them with apt-get{}? [Y/n] ", if root { "" } else { " (by sudo)" });
        std::io::stderr().flush()?;
        let mut answer = String::new();
        std::io::stdin().lock().read_line(&mut answer)?;
        if !matches!(answer.trim().to_lowercase().as_str(), "" | "y" | "yes") {
            bail!("nothing was installed; to do it by hand: {by_hand}");
        }
    }
    for arguments in [
        vec!["-qq", "update"],
        [&["-qq", "install", "-y", "--no-install-recommends"][..], &names].concat(),
    ] {
        let mut command = if root {
            Command::new("apt-get")
        } else {
            let mut command = Command::new("sudo");
            command.arg("apt-get");
            command
        };
        let output = command
            .args(&arguments)
            .env("DEBIAN_FRONTEND", "noninteractive")
            .stdin(if root { Stdio::null() } else { Stdio::inherit() })
            .output()
            .with_context(|| format!("cannot run {}", process::line(&command)))?;
        if !output.status.success() {
            bail!("{}\nTo do it by hand: {by_hand}", process::failure(&command, &output));
        }
    }
    Ok(())
}

/// Namespaces are what keeps the build apart from the host.
fn check_namespaces() -> Result<()> {
    let root = rustix::process::geteuid().is_root();
    let mut command = sandbox::namespaces(if root { Ids::Root } else { Ids::Range }, false);
    command.arg("true");
    let output = process::any_output(&mut command)?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    if root {
        bail!(
            "root may not make namespaces here: {}\n\
             In a container, allow them (CAP_SYS_ADMIN, or an unconfined seccomp profile).",
            said.trim()
        );
    }
    bail!(
        "this user may not make user namespaces: {}\n\
         - no subordinate ids? `sudo usermod --add-subuids 100000-165535 --add-subgids 100000-165535 $USER`\n\
         - Ubuntu's AppArmor restriction? `sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0`\n\
         - or build as root: `sudo -E env PATH=$PATH cargo xtask image`",
        said.trim()
    )
}
