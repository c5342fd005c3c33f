//! How much memory a program had at most.

use std::fs;
use std::path::Path;
use std::thread;
use std::time::Duration;

use anyhow::{Context as _, Result};

/// How often is looked. The kernel keeps the peak itself, so nothing is missed but
/// what a program takes in its very last moment.
const PERIOD: Duration = Duration::from_millis(5);

/// The words that run `words` and leave the process's number in `pid`, which is not
/// there yet.
pub fn words(pid: &Path, words: &[String]) -> Vec<String> {
    let mut all: Vec<String> =
        ["sh", "-c", "echo $$ > \"$0\"; exec \"$@\""].map(str::to_owned).to_vec();
    all.push(pid.to_string_lossy().into_owned());
    all.extend_from_slice(words);
    all
}

/// Does `work`, which runs [`words`]; gives beside its result the largest resident
/// size in bytes of the program called `name`, up to 15 characters.
pub fn during<T: Send>(
    pid: &Path,
    name: &str,
    work: impl FnOnce() -> Result<T> + Send,
) -> Result<(T, u64)> {
    thread::scope(|scope| {
        let work = scope.spawn(work);
        let mut peak = None;
        while !work.is_finished() {
            // Neither file is there before the program and after it.
            let status = fs::read_to_string(pid)
                .and_then(|pid| fs::read_to_string(format!("/proc/{}/status", pid.trim())));
            peak = peak.max(status.ok().and_then(|text| high_water(&text, name)));
            thread::sleep(PERIOD);
        }
        let result = work.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic))?;
        Ok((result, peak.with_context(|| format!("{name} was not seen at work"))?))
    })
}

/// `VmHWM` of proc_pid_status(5) in bytes, when the process is that program: before,
/// it is the shell that becomes it.
fn high_water(status: &str, name: &str) -> Option<u64> {
    let field = |key: &str| {
        status.lines().find_map(|line| Some(line.strip_prefix(key)?.strip_prefix(':')?.trim()))
    };
    if field("Name")? != name {
        return None;
    }
    let kib: u64 = field("VmHWM")?.strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib << 10)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::process;
    use std::process::Command;

    #[test]
    fn the_peak_is_the_programs_own() {
        let dir = tempfile::tempdir().unwrap();
        let pid = dir.path().join("pid");
        // dd has its block in memory, all of it at once.
        let dd = ["dd", "if=/dev/zero", "of=/dev/null", "bs=64M", "count=20", "status=none"];
        let dd = words(&pid, &dd.map(str::to_owned));
        let run = || process::output(Command::new(&dd[0]).args(&dd[1..]));
        let (_, peak) = during(&pid, "dd", run).unwrap();
        assert!((64 << 20..96 << 20).contains(&peak), "{peak}");
    }

    #[test]
    fn who_was_not_seen_has_no_peak() {
        let dir = tempfile::tempdir().unwrap();
        let error = during(&dir.path().join("pid"), "dd", || Ok(())).unwrap_err().to_string();
        assert!(error.contains("dd was not seen"), "{error}");
        let status = "Name:\tsh\nVmHWM:\t    1234 kB\n";
        assert_eq!(high_water(status, "dd"), None);
        assert_eq!(high_water(status, "sh"), Some(1234 << 10));
    }
}
