//! Proofs that a root is whole, is the target's, and holds no secret and no
//! trace of the build machine. Every one runs in every build; a failure says
//! what is wrong at which path.

use std::io::Read;

use anyhow::{Result, bail};

use crate::tree::root::{Content, Kind, Root};

/// `e_machine` of ELF files (ELF gABI, the machine registry).
const EM_AARCH64: u16 = 183;
const EM_BPF: u16 = 247;

/// Names of build machines' architectures.
const FOREIGN: [&str; 3] = ["x86_64", "x86-64", "amd64"];

/// How many findings one failure lists.
const SHOWN: usize = 20;

/// Proves `root`, in which no file may hold the word `host_name`. Gives what
/// was counted, for the log.
pub fn prove(root: &Root, host_name: &str) -> Result<String> {
    let packages = installed(root)?;
    let programs = machine(root)?;
    let scanned = names(root, host_name)?;
    secrets(root)?;
    Ok(format!(
        "{packages} packages installed and configured\n\
         {programs} ELF files, all of aarch64\n\
         {scanned} files below /etc and /var without a build machine's name\n\
         no SSH host key, no machine id, no password\n"
    ))
}

/// Every package is `install ok installed`.
fn installed(root: &Root) -> Result<usize> {
    let status = root.text("var/lib/dpkg/status")?;
    let mut count = 0;
    let mut wrong = Vec::new();
    for stanza in status.split("\n\n").filter(|s| !s.trim().is_empty()) {
        let field = |name: &str| {
            stanza.lines().find_map(|l| l.strip_prefix(name)?.strip_prefix(": ")).unwrap_or("-")
        };
        count += 1;
        if field("Status") != "install ok installed" {
            wrong.push(format!("{}: {}", field("Package"), field("Status")));
        }
    }
    if count == 0 {
        bail!("/var/lib/dpkg/status names no package");
    }
    none(wrong, "packages are not configured; configure.log has the reason")?;
    Ok(count)
}

/// Every ELF file is for aarch64 (or BPF, which is for any machine's kernel).
/// Firmware runs on other processors and does not count.
fn machine(root: &Root) -> Result<usize> {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (path, content) in files(root) {
        if content.len() < 20 || path.starts_with("usr/lib/firmware/") {
            continue;
        }
        let mut head = [0; 20];
        content.open()?.read_exact(&mut head)?;
        if !head.starts_with(b"\x7fELF") {
            continue;
        }
        count += 1;
        let bytes = [head[18], head[19]];
        // Byte 5 tells the byte order of what follows: 1 is little-endian.
        let machine =
            if head[5] == 1 { u16::from_le_bytes(bytes) } else { u16::from_be_bytes(bytes) };
        if !matches!(machine, EM_AARCH64 | EM_BPF) {
            wrong.push(format!("/{path}: ELF machine {machine}"));
        }
    }
    none(wrong, "programs are for another machine")?;
    Ok(count)
}

/// No build machine is named below /etc and /var.
fn names(root: &Root, host_name: &str) -> Result<usize> {
    let mut count = 0;
    let mut wrong = Vec::new();
    for (path, entry) in &root.entries {
        if !(path.starts_with("etc/") || path.starts_with("var/")) {
            continue;
        }
        let text = match &entry.kind {
            Kind::File(content) => content.read()?,
            Kind::Link(target) => target.clone().into_bytes(),
            _ => continue,
        };
        count += 1;
        let mut words = vec![host_name];
        // What a package itself says of architectures is no trace of ours.
        if !from_package(path) {
            words.extend(FOREIGN);
        }
        for word in words {
            if let Some(line) = find(&text, word) {
                wrong.push(format!("/{path}: {line}"));
            }
        }
    }
    none(wrong, "files name the build machine")?;
    Ok(count)
}

/// dpkg's copies of what came in the packages: scripts, templates,
/// descriptions.
fn from_package(path: &str) -> bool {
    let copied = ["preinst", "postinst", "prerm", "postrm", "config", "templates", "shlibs"];
    path.strip_prefix("var/lib/dpkg/info/")
        .and_then(|name| name.rsplit_once('.'))
        .is_some_and(|(_, kind)| copied.contains(&kind))
}

/// The line of `text` that has `word`.
fn find(text: &[u8], word: &str) -> Option<String> {
    let at = text.windows(word.len()).position(|w| w == word.as_bytes())?;
    let start = text[..at].iter().rposition(|b| *b == b'\n').map_or(0, |i| i + 1);
    let end = text[at..].iter().position(|b| *b == b'\n').map_or(text.len(), |i| at + i);
    Some(String::from_utf8_lossy(&text[start..end.min(start + 200)]).into_owned())
}

/// No key, no id, no password.
fn secrets(root: &Root) -> Result<()> {
    let mut wrong = Vec::new();
    for path in root.entries.keys() {
        if path.starts_with("etc/ssh/ssh_host_") {
            wrong.push(format!("/{path}: an SSH host key"));
        }
    }
    for path in ["etc/machine-id", "var/lib/dbus/machine-id"] {
        if let Some(Kind::File(content)) = root.get(path).map(|e| &e.kind) {
            if content.len() > 0 {
                wrong.push(format!("/{path}: a machine id"));
            }
        }
    }
    for path in ["etc/shadow", "etc/passwd"] {
        for line in root.text(path)?.lines() {
            let mut fields = line.split(':');
            let (user, password) = (fields.next(), fields.next().unwrap_or_default());
            // shadow(5): what begins with ! or * fits no password; an x in
            // passwd refers to shadow.
            let none =
                password.starts_with(['!', '*']) || (path == "etc/passwd" && password == "x");
            if !none {
                wrong.push(format!("/{path}: {} has a password or needs none", user.unwrap_or("")));
            }
        }
    }
    none(wrong, "secrets, or ways in")
}

fn files(root: &Root) -> impl Iterator<Item = (&String, &Content)> {
    root.entries.iter().filter_map(|(path, entry)| match &entry.kind {
        Kind::File(content) => Some((path, content)),
        _ => None,
    })
}

fn none(wrong: Vec<String>, what: &str) -> Result<()> {
    if wrong.is_empty() {
        return Ok(());
    }
    let more = wrong.len().saturating_sub(SHOWN);
    let mut list: String = wrong.iter().take(SHOWN).flat_map(|w| ["\n  ", w]).collect();
    if more > 0 {
        list.push_str(&format!("\n  and {more} more"));
    }
    bail!("the root file system fails its proof: {what}:{list}")
}

/// Judges what maintainer scripts said: a script may go on after a program of
/// the image that could not be run, and so leave something out.
pub fn scripts_said(log: &str) -> Result<()> {
    let wrong = log.lines().filter(|l| l.to_lowercase().contains("exec format error"));
    let wrong: Vec<_> = wrong.map(str::to_owned).collect();
    let what = "scripts run programs of the image that the build machine cannot run \
                (--rootfs=emulated can)";
    none(wrong, what)
}

/// Judges what `dpkg --audit` or `--verify` said: nothing, but for files that
/// `filters` left out on purpose.
pub fn dpkg_said(question: &str, said: &str, filters: &[String]) -> Result<()> {
    let wrong = said
        .lines()
        .filter(|line| {
            let missing = line.strip_prefix("missing").map(|rest| {
                // A conffile has the letter c before its path.
                let rest = rest.trim_start();
                rest.strip_prefix("c ").unwrap_or(rest)
            });
            !missing.is_some_and(|path| left_out(filters, path))
        })
        .map(str::to_owned)
        .collect();
    none(wrong, &format!("`dpkg {question}` complains"))
}

/// Whether dpkg leaves `path` out: the last filter that fits decides
/// (dpkg(1), `--path-exclude`).
fn left_out(filters: &[String], path: &str) -> bool {
    let mut out = false;
    for filter in filters {
        if let Some(pattern) = filter.strip_prefix("--path-exclude=") {
            out |= glob(pattern, path);
        } else if let Some(pattern) = filter.strip_prefix("--path-include=") {
            out &= !glob(pattern, path);
        }
    }
    out
}

/// fnmatch(3) with `*` alone, which also fits slashes.
fn glob(pattern: &str, path: &str) -> bool {
    match pattern.split_once('*') {
        None => pattern == path,
        Some((before, after)) => path.strip_prefix(before).is_some_and(|rest| {
            (0..=rest.len()).filter(|i| rest.is_char_boundary(*i)).any(|i| glob(after, &rest[i..]))
        }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::root::Entry;

    fn good() -> Root {
        let mut elf = vec![0; 64];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18] = 183;
        let mut root = Root::default();
        for (path, bytes) in [
            ("usr/bin/a", elf),
            ("etc/shadow", b"root:*:1::::::\na:!*:1::::::\n".to_vec()),
            ("etc/passwd", b"root:x:0:0::/root:/bin/sh\n".to_vec()),
            ("etc/machine-id", Vec::new()),
            ("var/lib/dpkg/status", b"Package: a\nStatus: install ok installed\n".to_vec()),
            ("var/lib/dpkg/info/a.postinst", b"case amd64".to_vec()),
        ] {
            root.put(path, Entry::file(bytes, 0o644, 0)).unwrap();
        }
        root
    }

    #[test]
    fn a_good_root_passes() {
        let report = prove(&good(), "build-host").unwrap();
        assert!(report.contains("1 packages") && report.contains("1 ELF"), "{report}");
    }

    #[test]
    fn each_fault_is_found_and_named() {
        let mut elf = vec![0; 64];
        elf[..6].copy_from_slice(b"\x7fELF\x02\x01");
        elf[18] = 62;
        let status = "Package: b\nStatus: install ok half-configured\n";
        for (path, bytes, said) in [
            ("usr/bin/b", elf, "/usr/bin/b: ELF machine 62"),
            ("etc/ssh/ssh_host_rsa_key", b"k".to_vec(), "SSH host key"),
            ("etc/machine-id", b"1".to_vec(), "machine id"),
            ("etc/shadow", b"root::1\n".to_vec(), "root has a password or needs none"),
            ("etc/shadow", b"root:$y$x:1\n".to_vec(), "root has a password"),
            ("etc/x", b"a\nbuild-host b\n".to_vec(), "/etc/x: build-host b"),
            ("var/x", b"lib/x86_64-linux\n".to_vec(), "/var/x: lib/x86_64-linux"),
            ("var/lib/dpkg/info/a.postinst", b"build-host".to_vec(), "build-host"),
            ("var/lib/dpkg/status", status.into(), "b: install ok half-configured"),
            ("var/lib/dpkg/status", Vec::new(), "no package"),
        ] {
            let mut root = good();
            root.put(path, Entry::file(bytes, 0o644, 0)).unwrap();
            let error = prove(&root, "build-host").unwrap_err().to_string();
            assert!(error.contains(said), "{path}: {error}");
        }
    }

    #[test]
    fn a_program_that_could_not_run_is_found() {
        scripts_said("Setting up a ...\n").unwrap();
        let error = scripts_said("x.postinst: 41: /usr/lib/x: Exec format error\n").unwrap_err();
        assert!(error.to_string().contains("/usr/lib/x"), "{error}");
    }

    #[test]
    fn dpkg_may_miss_only_what_was_left_out() {
        let filters =
            ["--path-exclude=/usr/share/doc/*", "--path-include=/usr/share/doc/*/copyright"]
                .map(String::from);
        dpkg_said("--verify", "missing     /usr/share/doc/a/changelog.gz\n", &filters).unwrap();
        for line in
            ["missing     /usr/share/doc/a/copyright", "missing   c /etc/a", "??5?????? c /etc/b"]
        {
            assert!(dpkg_said("--verify", line, &filters).is_err(), "{line}");
        }
    }
}
