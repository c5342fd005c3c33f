//! Runs commands inside the emulated machine, over its second serial port.
//!
//! systemd's debug shell waits there. It is told to become [`AGENT`], which
//! reads one command per line and answers with a header of known form and the
//! outputs in base64 of known length; so neither the outputs' bytes nor what
//! the shell printed before can be taken for something else. The port is no
//! console: the kernel does not write to it.

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::rig::RigFailure;

/// How often the shell is spoken to until it answers: what is sent before it
/// opened the port is lost.
const REPEAT: Duration = Duration::from_secs(2);
/// How much longer than a command itself its answer may take: process start
/// and base64 are slow in an emulated machine, the more so during the boot.
const SLACK: Duration = Duration::from_secs(60);
/// Longest command: the kernel keeps 64 KiB that nobody has read yet
/// (`TTYB_DEFAULT_MEM_LIMIT`, drivers/tty/tty_buffer.c), and loses the rest.
const LONGEST: usize = 32 << 10;
/// Exit status with which timeout(1) says that the time was up.
const TIMED_OUT: i32 = 124;

/// The program that the debug shell becomes; its argument tells this attempt's
/// answer from older ones. What it does not know it ignores: attempts that came
/// too late.
const AGENT: &str = r#"stty raw -echo
d=${XDG_RUNTIME_DIR:-/run}/a7670e-rig
mkdir -p $d && cd $d
printf '\n@%s ready\n' $1
while read -r id limit script; do
    case $id in run*) ;; *) continue ;; esac
    printf %s "$script" | base64 -d >script
    timeout -k 5 $limit sh ./script </dev/null >out 2>err
    printf '\n@%s %s %s %s\n' $id $? $(wc -c <out) $(wc -c <err)
    base64 -w0 out
    base64 -w0 err
done
"#;

/// What a command gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Exit status; 128 and the signal's number when a signal ended it.
    pub status: i32,
    /// Standard output.
    pub stdout: Vec<u8>,
    /// Standard error.
    pub stderr: Vec<u8>,
}

impl Output {
    /// Standard output as text without white space at its end, when the
    /// command ended well.
    pub fn text(&self) -> Result<String> {
        if self.status != 0 {
            bail!(
                "exit status {}: {}{}",
                self.status,
                String::from_utf8_lossy(&self.stdout),
                String::from_utf8_lossy(&self.stderr).trim_end()
            );
        }
        let text = String::from_utf8(self.stdout.clone()).context("the output is no UTF-8")?;
        Ok(text.trim_end().to_owned())
    }
}

/// The connection to a machine's shell.
pub struct Control {
    stream: UnixStream,
    /// What was received and not yet used.
    buffer: Vec<u8>,
    commands: u32,
}

/// Result of one attempt to receive.
enum Received {
    Some,
    Nothing,
}

impl Control {
    /// Speaks to the shell at the other end of `stream` until it answers.
    ///
    /// `alive` is asked between the attempts; its error ends them.
    pub fn open(
        stream: UnixStream,
        deadline: Instant,
        mut alive: impl FnMut() -> Result<()>,
    ) -> Result<Self> {
        stream.set_write_timeout(Some(REPEAT))?;
        let mut control = Self { stream, buffer: Vec::new(), commands: 0 };
        loop {
            control.commands += 1;
            // The first line ends what was lost in part; and there are no
            // quotes, of which one could be lost.
            let file = "${XDG_RUNTIME_DIR:-/run}/a7670e-rig.sh";
            let hello = format!(
                "\necho {}|base64 -d>{file};test -s {file}&&exec sh {file} hello{}\n",
                BASE64.encode(AGENT),
                control.commands
            );
            control.greet(hello.as_bytes())?;
            let until = Instant::now() + REPEAT;
            while Instant::now() < until {
                alive()?;
                control.receive(until)?;
                if control.find(b"\n@hello").is_some_and(|at| {
                    control.buffer[at..].windows(7).any(|part| part == b" ready\n")
                }) {
                    control.settle()?;
                    return Ok(control);
                }
            }
            if Instant::now() > deadline {
                bail!("the debug shell on the second serial port does not answer");
            }
        }
    }

    /// Sends what may be lost: before the port is opened nobody takes it, and
    /// QEMU holds it back.
    fn greet(&mut self, bytes: &[u8]) -> Result<()> {
        match self.stream.write_all(bytes) {
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                Ok(())
            }
            result => result.map_err(gone),
        }
    }

    /// Earlier attempts may still be read by the agent, which ignores them:
    /// waits for the answer to a command and forgets what came before.
    fn settle(&mut self) -> Result<()> {
        self.run("true", SLACK).map(|_| ())
    }

    /// Runs `script` by sh(1) as root, without input, for at most `limit`.
    pub fn run(&mut self, script: &str, limit: Duration) -> Result<Output> {
        if script.len() > LONGEST {
            bail!("a command of {} bytes is too long for the serial port", script.len());
        }
        self.commands += 1;
        let id = format!("run{}", self.commands);
        let seconds = limit.as_secs().max(1);
        self.send(format!("{id} {seconds} {}\n", BASE64.encode(script)).as_bytes())?;
        let deadline = Instant::now() + limit + SLACK;
        let header = self.header(&id, deadline).with_context(|| format!("running {script:?}"))?;
        let stdout = self.encoded(header.stdout, deadline)?;
        let stderr = self.encoded(header.stderr, deadline)?;
        if header.status == TIMED_OUT {
            bail!(
                "{script:?} did not end within {seconds} s; so far it said:\n{}{}",
                String::from_utf8_lossy(&stdout),
                String::from_utf8_lossy(&stderr)
            );
        }
        Ok(Output { status: header.status, stdout, stderr })
    }

    fn send(&mut self, bytes: &[u8]) -> Result<()> {
        self.stream.write_all(bytes).map_err(gone)
    }

    /// Waits for bytes until `deadline`, at most half a second.
    fn receive(&mut self, deadline: Instant) -> Result<Received> {
        let left = deadline.saturating_duration_since(Instant::now());
        // Zero would mean to wait for ever.
        let wait = left.clamp(Duration::from_millis(1), Duration::from_millis(500));
        self.stream.set_read_timeout(Some(wait))?;
        let mut chunk = [0; 4096];
        match self.stream.read(&mut chunk) {
            Ok(0) => Err(RigFailure("QEMU closed its serial port".to_owned()).into()),
            Ok(length) => {
                self.buffer.extend_from_slice(&chunk[..length]);
                Ok(Received::Some)
            }
            Err(error)
                if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) =>
            {
                Ok(Received::Nothing)
            }
            Err(error) => Err(RigFailure(format!("QEMU's serial port: {error}")).into()),
        }
    }

    fn find(&self, sign: &[u8]) -> Option<usize> {
        self.buffer.windows(sign.len()).position(|part| part == sign)
    }

    /// Waits for the header of answer `id` and takes it and all before it out
    /// of the buffer.
    fn header(&mut self, id: &str, deadline: Instant) -> Result<Header> {
        let sign = format!("\n@{id} ");
        loop {
            if let Some(at) = self.find(sign.as_bytes()) {
                let start = at + sign.len();
                if let Some(length) = self.buffer[start..].iter().position(|b| *b == b'\n') {
                    let line = String::from_utf8_lossy(&self.buffer[start..start + length]);
                    let header = Header::parse(&line)?;
                    self.buffer.drain(..=start + length);
                    return Ok(header);
                }
            }
            self.wait(deadline)?;
        }
    }

    /// Takes `length` bytes, which come as base64, out of the buffer.
    fn encoded(&mut self, length: usize, deadline: Instant) -> Result<Vec<u8>> {
        let encoded = length.div_ceil(3) * 4;
        while self.buffer.len() < encoded {
            self.wait(deadline)?;
        }
        let text: Vec<u8> = self.buffer.drain(..encoded).collect();
        BASE64
            .decode(text)
            .ok()
            .filter(|bytes| bytes.len() == length)
            .ok_or_else(|| RigFailure("an answer was garbled on the serial port".to_owned()).into())
    }

    fn wait(&mut self, deadline: Instant) -> Result<()> {
        if matches!(self.receive(deadline)?, Received::Nothing) && Instant::now() > deadline {
            bail!("no answer on the second serial port");
        }
        Ok(())
    }
}

fn gone(error: io::Error) -> anyhow::Error {
    RigFailure(format!("QEMU's serial port is gone: {error}")).into()
}

/// First line of an answer: exit status, bytes of both outputs.
#[derive(Debug, PartialEq, Eq)]
struct Header {
    status: i32,
    stdout: usize,
    stderr: usize,
}

impl Header {
    fn parse(line: &str) -> Result<Self> {
        let words: Vec<_> = line.split_whitespace().collect();
        let parsed = match words[..] {
            [status, stdout, stderr] => status
                .parse()
                .ok()
                .zip(stdout.parse().ok())
                .zip(stderr.parse().ok())
                .map(|((status, stdout), stderr)| Self { status, stdout, stderr }),
            _ => None,
        };
        parsed.ok_or_else(|| RigFailure(format!("unreadable answer {line:?}")).into())
    }
}

#[cfg(test)]
mod tests {
    use std::os::fd::OwnedFd;
    use std::process::{Child, Command, Stdio};

    use super::*;

    /// A shell at the other end, as the debug shell is; it prints before it
    /// listens.
    struct Shell {
        child: Child,
        stream: UnixStream,
        _dir: tempfile::TempDir,
    }

    impl Shell {
        fn start() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let (ours, theirs) = UnixStream::pair().unwrap();
            let theirs: OwnedFd = theirs.into();
            let child = Command::new("sh")
                .args(["-c", "printf 'noise\n@hello9 rea'; exec sh"])
                .env("XDG_RUNTIME_DIR", dir.path())
                .stdin(Stdio::from(theirs.try_clone().unwrap()))
                .stdout(Stdio::from(theirs))
                .stderr(Stdio::null())
                .spawn()
                .unwrap();
            Self { child, stream: ours, _dir: dir }
        }

        fn control(&self) -> Control {
            let stream = self.stream.try_clone().unwrap();
            Control::open(stream, Instant::now() + Duration::from_secs(30), || Ok(())).unwrap()
        }
    }

    impl Drop for Shell {
        fn drop(&mut self) {
            let _ = self.child.kill();
            let _ = self.child.wait();
        }
    }

    const LIMIT: Duration = Duration::from_secs(20);

    #[test]
    fn outputs_and_exit_status_come_back_as_they_were() {
        let shell = Shell::start();
        let mut control = shell.control();
        let output = control
            .run(r"printf '\n@run3 0 1 1\n\000\377'; echo bad >&2; (exit 7)", LIMIT)
            .unwrap();
        assert_eq!(output.status, 7);
        assert_eq!(output.stdout, b"\n@run3 0 1 1\n\0\xff");
        assert_eq!(output.stderr, b"bad\n");
        assert!(output.text().unwrap_err().to_string().contains("bad"));

        let long = control.run("seq 20000", LIMIT).unwrap().text().unwrap();
        assert_eq!((long.lines().count(), long.lines().last()), (20000, Some("20000")));
        assert_eq!(control.run("cat; echo 'a b'", LIMIT).unwrap().text().unwrap(), "a b");
    }

    #[test]
    fn a_command_that_hangs_is_ended_and_the_next_one_runs() {
        let shell = Shell::start();
        let mut control = shell.control();
        let error = control.run("echo so far; exec tail -f /dev/null", Duration::from_secs(1));
        let error = format!("{:#}", error.unwrap_err());
        assert!(error.contains("within 1 s") && error.contains("so far"), "{error}");
        assert_eq!(control.run("echo on", LIMIT).unwrap().text().unwrap(), "on");
    }

    #[test]
    fn a_shell_that_is_gone_is_the_rigs_failure() {
        let mut shell = Shell::start();
        let mut control = shell.control();
        shell.child.kill().unwrap();
        shell.child.wait().unwrap();
        let error = control.run("true", LIMIT).unwrap_err();
        assert!(error.downcast_ref::<RigFailure>().is_some(), "{error:#}");
    }

    #[test]
    fn silence_ends_at_the_deadline_and_a_dead_machine_at_once() {
        let (ours, _theirs) = UnixStream::pair().unwrap();
        let deadline = Instant::now() + Duration::from_millis(100);
        let error = Control::open(ours.try_clone().unwrap(), deadline, || Ok(())).err().unwrap();
        assert!(error.to_string().contains("does not answer"), "{error}");
        let far = Instant::now() + Duration::from_secs(600);
        let error = Control::open(ours, far, || bail!("panic")).err().unwrap();
        assert_eq!(error.to_string(), "panic");
    }

    #[test]
    fn unreadable_headers_are_refused() {
        assert_eq!(Header::parse("0 1 2").unwrap(), Header { status: 0, stdout: 1, stderr: 2 });
        for line in ["", "0 1", "0 1 2 3", "0 -1 2", "x 1 2"] {
            assert!(Header::parse(line).is_err(), "{line:?}");
        }
    }
}
