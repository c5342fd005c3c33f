//! Drift is found, named and put right.

use super::*;

const ROWS: &[Row] = &[
    Row { to: "copied", from: From::File("source") },
    Row { to: "made/here", from: From::Made(|_| Ok("made\n".into())) },
    Row { to: "patches/linux", from: From::Patches("Upstream: no") },
];
const TWO: &[(&str, &[Row])] = &[("tree", ROWS)];

fn repository() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    fs::create_dir(dir.path().join("kernel-patches")).unwrap();
    for (name, text) in [
        ("source", "a\n"),
        ("kernel-patches/series", "0001-a.patch\n"),
        ("kernel-patches/0001-a.patch", "Subject: a\n\nSigned-off-by: A\n---\n a | 1 +\n"),
    ] {
        fs::write(dir.path().join(name), text).unwrap();
    }
    dir
}

fn put_right(repo: &Path) {
    let wanted = wanted(repo, TWO).unwrap();
    for (path, kind) in drift(repo, &wanted).unwrap() {
        write(repo, &path, &kind, &wanted).unwrap();
    }
    in_step(repo, &wanted).unwrap();
}

#[test]
fn each_drifted_file_is_named_and_put_right() {
    let dir = repository();
    put_right(dir.path());
    let tree = dir.path().join("tree");
    let patch = fs::read_to_string(tree.join("patches/linux/0001-a.patch")).unwrap();
    assert!(patch.contains("\nUpstream: no\nSigned-off-by: A\n---\n"), "{patch}");

    fs::write(dir.path().join("source"), "b\n").unwrap();
    fs::remove_file(tree.join("made/here")).unwrap();
    fs::write(tree.join("patches/linux/0000-old.patch"), "").unwrap();
    // Not ours: a hash file lies there too.
    fs::write(tree.join("patches/linux/linux.hash"), "").unwrap();
    let wanted = wanted(dir.path(), TWO).unwrap();
    let error = in_step(dir.path(), &wanted).unwrap_err().to_string();
    for line in [
        "tree/copied differs from what it is made from",
        "tree/made/here is missing",
        "tree/patches/linux/0000-old.patch is not in kernel-patches/series",
        "run `cargo xtask sync`",
    ] {
        assert!(error.contains(line), "{error}");
    }
    assert!(!error.contains("linux.hash"), "{error}");

    put_right(dir.path());
    assert_eq!(fs::read_to_string(tree.join("copied")).unwrap(), "b\n");
    assert!(!tree.join("patches/linux/0000-old.patch").exists());
}

#[test]
fn a_source_that_is_gone_is_named_with_its_copy() {
    let dir = repository();
    fs::remove_file(dir.path().join("source")).unwrap();
    let error = wanted(dir.path(), TWO).err().unwrap().to_string();
    assert_eq!(error, "cannot read source, of which tree/copied is a copy");
}

#[test]
fn a_series_for_some_kernels_only_must_be_decided_on() {
    let dir = repository();
    fs::write(dir.path().join("kernel-patches/series-6.1"), "").unwrap();
    let error = wanted(dir.path(), TWO).err().unwrap().to_string();
    assert!(error.contains("kernel-patches/series-6.1"), "{error}");
}

#[test]
fn the_repositorys_trees_are_in_step() {
    let repo = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    run(repo, true).unwrap();
}
