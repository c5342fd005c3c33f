//! The owner's program, run for each message that came (`sms.hook`).
//!
//! No shell is between: the arguments are those of the configuration, and what a
//! stranger wrote is on standard input as JSON and in the environment. The program
//! has this service's user and none of its capabilities.

use std::io;
use std::os::unix::process::ExitStatusExt;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use rustix::thread::clear_ambient_capability_set;
use tokio::io::AsyncWriteExt;
use tokio::process::{Child, Command};
use tokio::time::timeout;

use crate::modem::usb_path::UsbPath;
use crate::sms::desk::{Ended, Message, News};

/// Where programs look for others: as systemd.exec(5) has it.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// "Temporary failure; try again later" (sysexits.h, EX_TEMPFAIL).
const TRY_AGAIN: i32 = 75;

/// What is run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Program {
    /// Its path and its arguments.
    pub line: Vec<String>,
    /// How long it may take.
    pub limit: Duration,
}

impl Program {
    /// Runs it for a message, to its end or its limit.
    pub async fn run(self, modem: UsbPath, message: Message) -> Ended {
        match self.start(&modem, &message) {
            Ok((child, line)) => self.finish(child, line).await,
            Err(error) => {
                let program = self.line.first().map_or("", String::as_str);
                Ended::Later(format!("cannot be run: {program}: {error}"))
            }
        }
    }

    fn start(&self, modem: &UsbPath, message: &Message) -> io::Result<(Child, Vec<u8>)> {
        let (program, arguments) =
            self.line.split_first().ok_or_else(|| io::Error::other("no program"))?;
        let news = News { event: "received".to_owned(), message: message.clone() };
        let mut line = serde_json::to_value(&news)?;
        line["modem"] = serde_json::to_value(modem)?;
        let mut line = serde_json::to_vec(&line)?;
        line.push(b'\n');
        let mut command = Command::new(program);
        command
            .args(arguments)
            .env_clear()
            .env("PATH", PATH)
            .env("A7670E_MODEM", modem.to_string())
            .env("A7670E_SMS_ID", message.id.to_string())
            .env("A7670E_SMS_FROM", without_nul(&message.address))
            .env("A7670E_SMS_STATE", &message.state)
            .env("A7670E_SMS_STAMP", message.stamp.as_deref().unwrap_or_default())
            .env("A7670E_SMS_TEXT", without_nul(message.text.as_deref().unwrap_or_default()))
            .current_dir("/")
            .stdin(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true);
        // SAFETY: between fork and exec only prctl(2) is called, which is
        // async-signal-safe and touches no memory of this process.
        unsafe {
            command.pre_exec(|| Ok(clear_ambient_capability_set()?));
        }
        Ok((command.spawn()?, line))
    }

    async fn finish(&self, mut child: Child, line: Vec<u8>) -> Ended {
        let group = child.id().and_then(|id| Pid::from_raw(id.try_into().ok()?));
        let mut input = child.stdin.take();
        let work = async {
            if let Some(input) = &mut input {
                // One that does not read has the environment.
                _ = input.write_all(&line).await;
            }
            drop(input.take());
            child.wait().await
        };
        match timeout(self.limit, work).await {
            Ok(Ok(status)) => judge(status),
            Ok(Err(error)) => Ended::Done(format!("got lost: {error}")),
            Err(_) => {
                // With whatever it has started, unless that is gone by itself.
                _ = group.map(|group| kill_process_group(group, Signal::KILL));
                _ = child.wait().await;
                Ended::Done(format!("was ended after {} s", self.limit.as_secs()))
            }
        }
    }
}

fn judge(status: ExitStatus) -> Ended {
    match (status.code(), status.signal()) {
        (Some(TRY_AGAIN), _) => Ended::Later(format!("ended with {TRY_AGAIN}")),
        (Some(code), _) => Ended::Done(format!("ended with {code}")),
        (None, signal) => Ended::Done(format!("was ended by signal {}", signal.unwrap_or(0))),
    }
}

/// An environment has no place for NUL, which UCS-2 does.
fn without_nul(text: &str) -> String {
    text.chars().filter(|c| *c != '\0').collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;
    use std::time::Instant;

    use super::*;

    fn message(text: &str) -> Message {
        Message {
            id: 7,
            direction: "in".to_owned(),
            address: "$(touch x)".to_owned(),
            text: Some(text.to_owned()),
            state: "whole".to_owned(),
            detail: None,
            at: 1,
            stamp: Some("2026-11-21T23:00:58+03:00".to_owned()),
            parts: 1,
            parts_done: 1,
            references: Vec::new(),
            reports: Vec::new(),
            class: None,
            waiting: None,
            perhaps_twice: false,
        }
    }

    fn run(line: &[&str], limit: Duration, text: &str) -> Ended {
        let line = line.iter().map(|word| (*word).to_owned()).collect();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let program = Program { line, limit };
        runtime.block_on(program.run("1-1".parse().unwrap(), message(text)))
    }

    fn shell(script: &str, folder: &Path, text: &str) -> Ended {
        let folder = folder.to_str().unwrap();
        run(&["/bin/sh", "-c", script, "hook", folder], Duration::from_secs(30), text)
    }

    #[test]
    fn what_a_stranger_wrote_is_data() {
        let folder = tempfile::tempdir().unwrap();
        let text = "`touch y`; \"\u{0}\" \n😀";
        let script = "cat > \"$1/in\"; env > \"$1/env\"; exit 3";
        let ended = shell(script, folder.path(), text);
        assert_eq!(ended, Ended::Done("ended with 3".to_owned()));
        let read = |name: &str| fs::read_to_string(folder.path().join(name)).unwrap();
        let told: serde_json::Value = serde_json::from_str(&read("in")).unwrap();
        assert_eq!(told["message"]["text"], text);
        assert_eq!(told["message"]["address"], "$(touch x)");
        assert_eq!((&told["modem"], &told["event"]), (&"1-1".into(), &"received".into()));
        let env = read("env");
        for line in [
            "A7670E_SMS_FROM=$(touch x)",
            "A7670E_SMS_TEXT=`touch y`; \"\" ",
            "A7670E_SMS_ID=7",
            "A7670E_SMS_STATE=whole",
            "A7670E_MODEM=1-1",
        ] {
            assert!(env.lines().any(|one| one == line), "{line}: {env}");
        }
        // Nothing else of the service's, but what a shell sets itself.
        let known = |line: &str| {
            ["A7670E_", "PATH=", "PWD=/", "OLDPWD=", "SHLVL=", "_=", "😀"]
                .iter()
                .any(|start| line.starts_with(start))
        };
        assert!(env.lines().all(known), "{env}");
    }

    #[test]
    fn the_end_is_told_and_one_that_hangs_is_ended_with_its_children() {
        let folder = tempfile::tempdir().unwrap();
        let again = shell("exit 75", folder.path(), "x");
        assert_eq!(again, Ended::Later("ended with 75".to_owned()));
        // It reads nothing of a text that no pipe holds.
        let done = shell("exit 0", folder.path(), &"x".repeat(100_000));
        assert_eq!(done, Ended::Done("ended with 0".to_owned()));
        let killed = shell("kill -9 $$", folder.path(), "x");
        assert_eq!(killed, Ended::Done("was ended by signal 9".to_owned()));
        match run(&["/nowhere/program"], Duration::from_secs(1), "x") {
            Ended::Later(why) => assert!(why.contains("/nowhere/program"), "{why}"),
            other => panic!("{other:?}"),
        }
        let start = Instant::now();
        let fifo = folder.path().join("alive");
        let script = format!("(exec sleep 600) & echo $! > '{}'; wait", fifo.display());
        let line = ["/bin/sh", "-c", &script];
        let ended = run(&line, Duration::from_secs(1), "x");
        assert_eq!(ended, Ended::Done("was ended after 1 s".to_owned()));
        assert!(start.elapsed() < Duration::from_secs(60));
        let child = fs::read_to_string(fifo).unwrap();
        let alive = || {
            let stat = fs::read_to_string(format!("/proc/{}/stat", child.trim()));
            stat.is_ok_and(|stat| !stat.contains(") Z "))
        };
        while alive() {
            assert!(start.elapsed() < Duration::from_secs(60), "its child is still there");
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}
