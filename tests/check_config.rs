//! `a7670e check-config`, the real binary on real files.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

/// Runs it; gives the exit status and all that it said.
fn check(arguments: &[&Path]) -> (Option<i32>, String, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_a7670e"));
    let output = command.arg("check-config").args(arguments).output().unwrap();
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    (output.status.code(), text(&output.stdout), text(&output.stderr))
}

#[test]
fn a_good_file_is_summed_up_without_secrets() {
    let dir = tempfile::tempdir().unwrap();
    let (file, password) = (dir.path().join("x.toml"), dir.path().join("password"));
    fs::write(&password, "kitten\n").unwrap();
    fs::set_permissions(&password, fs::Permissions::from_mode(0o600)).unwrap();
    let text = format!(
        "[modem]\npin = {{ secret = \"7391\" }}\n[cellular]\napn = \"internet\"\nuser = \"me\"\n\
         password = {{ file = \"{}\" }}\nbands = [\"lte3\"]\n[data]\ncap = \"2 GB\"\n",
        password.display()
    );
    fs::write(&file, text).unwrap();
    let (code, said, complaint) = check(&[&file]);
    assert_eq!((code, complaint.as_str()), (Some(0), ""), "{said}");
    assert!(said.starts_with(&format!("{}: ok\n", file.display())), "{said}");
    for part in ["internet", "me, password in", "LTE 0x4", "2000000000 bytes", "PIN           set"]
    {
        assert!(said.contains(part), "{part}: {said}");
    }
    assert!(!said.contains("7391") && !said.contains("kitten"), "{said}");

    // The service would refuse a secret that all may read.
    fs::set_permissions(&password, fs::Permissions::from_mode(0o644)).unwrap();
    let (code, said, complaint) = check(&[&file]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(complaint.contains("chmod 600"), "{complaint}");
}

#[test]
fn a_mistake_has_file_line_column_field_and_remedy() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("x.toml");
    for (text, place, remedy) in [
        ("[cellular]\nroaming = \"yes\"\n", ":2:11: `cellular.roaming`: ", "`deny`"),
        ("[cellular]\n# ä\nanp = \"x\"\n", ":3:1: `cellular.anp`: ", "expected one of `apn`"),
        ("[network.probe]\ninterval = -1\n", ":2:12: `network.probe.interval`: ", "u32"),
        ("[cellular]\nuser = \"me\"\n", ":2:1: `cellular.user`: ", "needs `apn`"),
        ("[modem]\npin = { secret = \"739\" }\n", ":2:1: `modem.pin`: ", "four to eight digits"),
        ("[modem]\npin = 7391\n", ":2:7: `modem.pin`: ", "{ secret ="),
        (
            "[sms.commands]\nfrom = [\"+1\"]\nkey = { secret = \"7391739173917\" }\n",
            ":3:1: `sms.commands.key`: ",
            "16 characters",
        ),
        ("[modem\n", ":1:7: ", "`]`"),
    ] {
        fs::write(&file, text).unwrap();
        let (code, said, complaint) = check(&[&file]);
        assert_eq!((code, said.as_str()), (Some(1), ""), "{text}");
        let start = format!("a7670e: {}{place}", file.display());
        assert!(complaint.starts_with(&start) && complaint.contains(remedy), "{text}{complaint}");
        assert!(!complaint.contains("739"), "{complaint}");
    }
}

#[test]
fn a_named_file_must_be_there_and_only_one_may_be_named() {
    let (code, said, complaint) = check(&[Path::new("/nonexistent/x.toml")]);
    assert_eq!((code, said.as_str()), (Some(1), ""));
    assert!(complaint.contains("/nonexistent/x.toml: cannot be read: No such"), "{complaint}");
    let (code, _, complaint) = check(&[Path::new("a"), Path::new("b")]);
    assert_eq!(code, Some(2), "{complaint}");
}
