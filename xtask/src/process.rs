//! Runs programs; a failure shows the command and the end of its output.

use std::ffi::OsStr;
use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};
use rustix::process::{Signal, set_parent_process_death_signal};

/// How many lines of a failed program's output are shown.
const TAIL: usize = 30;

/// The command as a user would type it.
pub fn line(command: &Command) -> String {
    let words: Vec<_> = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(OsStr::to_string_lossy)
        .collect();
    words.join(" ")
}

/// Runs `command` without input, its output going to the file `log`.
pub fn logged(command: &mut Command, log: &Path) -> Result<()> {
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = command
        .stdin(Stdio::null())
        .stdout(file.try_clone()?)
        .stderr(file)
        .status()
        .with_context(|| format!("cannot run {}", line(command)))?;
    if !status.success() {
        let text = String::from_utf8_lossy(&std::fs::read(log)?).into_owned();
        bail!(
            "{} failed ({status}); the end of {}:\n{}",
            line(command),
            log.display(),
            tail(&text)
        );
    }
    Ok(())
}

/// Runs `command` without input and gives its standard output.
pub fn output(command: &mut Command) -> Result<Vec<u8>> {
    let output = any_output(command)?;
    if !output.status.success() {
        bail!("{}", failure(command, &output));
    }
    Ok(output.stdout)
}

/// As [`output`], as text.
pub fn text(command: &mut Command) -> Result<String> {
    let bytes = output(command)?;
    String::from_utf8(bytes).with_context(|| format!("{} gave no UTF-8", line(command)))
}

/// Runs `command` without input and gives all it said, failed or not.
pub fn any_output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().with_context(|| format!("cannot run {}", line(command)))
}

/// What to say of a program that failed.
pub fn failure(command: &Command, output: &Output) -> String {
    let mut said = String::from_utf8_lossy(&output.stdout).into_owned();
    said.push_str(&String::from_utf8_lossy(&output.stderr));
    format!("{} failed ({}):\n{}", line(command), output.status, tail(&said))
}

fn tail(text: &str) -> String {
    let lines: Vec<_> = text.trim_end().lines().collect();
    lines[lines.len().saturating_sub(TAIL)..].join("\n")
}

/// Makes the process that `command` starts end when this program does, however
/// that comes about; without it, it would go on with nobody to stop it.
pub fn die_with_caller(command: &mut Command) {
    let set = || {
        set_parent_process_death_signal(Some(Signal::KILL))?;
        Ok(())
    };
    // SAFETY: the closure makes one system call (prctl) and neither allocates
    // nor takes a lock, as is required between fork and exec.
    unsafe { command.pre_exec(set) };
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn failure_shows_command_and_output() {
        let error = output(Command::new("sh").args(["-c", "echo why >&2; exit 3"])).unwrap_err();
        let text = error.to_string();
        assert!(text.contains("sh -c") && text.contains("why") && text.contains('3'), "{text}");
    }

    #[test]
    fn log_keeps_everything_and_the_error_shows_the_end() {
        let dir = tempfile::tempdir().unwrap();
        let log = dir.path().join("log");
        let error = logged(Command::new("sh").args(["-c", "seq 100; exit 1"]), &log)
            .unwrap_err()
            .to_string();
        assert!(error.contains("\n100") && !error.contains("\n50\n"), "{error}");
        assert!(std::fs::read_to_string(log).unwrap().contains("\n50\n"));
    }
}
