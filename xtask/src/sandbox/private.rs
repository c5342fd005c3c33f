//! A user namespace of its own for root, who otherwise works in the host's:
//! what is registered with the kernel inside (binfmt_misc) then stays inside.

use std::fs;
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

/// First argument with which this program calls itself to do this.
pub const ENTER: &str = "__private";

/// How many ids, from 0 on, mean inside what they mean outside.
const IDS: u32 = 65_536;

/// Longest time that making the namespace may take.
const PATIENCE: Duration = Duration::from_secs(10);

/// Runs the command given by the arguments in the namespace, and gives its
/// exit status.
pub fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(125)
        }
    }
}

fn run() -> Result<u8> {
    // The shell waits until the ids are mapped: only who is outside may map
    // more than one. Should this program be killed, so is the shell.
    let mut child = Command::new("setpriv")
        .args(["--pdeathsig", "KILL", "--", "unshare", "--user", "--", "sh", "-c"])
        .arg("read -r line && exec \"$@\" </dev/null")
        .arg("sh")
        .args(std::env::args_os().skip(2))
        .stdin(Stdio::piped())
        .spawn()
        .context("cannot run setpriv (package util-linux)")?;
    let home = format!("/proc/{}", child.id());
    let ours = fs::read_link("/proc/self/ns/user")?;
    let start = Instant::now();
    while fs::read_link(format!("{home}/ns/user"))? == ours {
        if child.try_wait()?.is_some() || start.elapsed() > PATIENCE {
            bail!("this kernel lets root make no user namespace");
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    for map in ["uid_map", "gid_map"] {
        fs::write(format!("{home}/{map}"), format!("0 0 {IDS}\n"))
            .with_context(|| format!("cannot write {home}/{map}"))?;
    }
    let mut stdin = child.stdin.take().context("no pipe to the shell")?;
    std::io::Write::write_all(&mut stdin, b"go\n")?;
    drop(stdin);
    let status = child.wait()?;
    Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(125))
}
