//! Each rule on a file that keeps it, and on ones that break it.

use super::*;

/// What `look` says, each as "LINE: WORDS".
fn said(path: &str, text: &str) -> String {
    let found = look(path, text);
    found.iter().map(|(line, what)| format!("{line}: {what}\n")).collect()
}

/// `text` is sound; with `from` in it replaced by `to`, `line` is complained of.
fn broken(path: &str, text: &str, from: &str, to: &str, line: &str) {
    assert_eq!(said(path, text), "");
    assert!(text.contains(from), "{from:?}");
    let said = said(path, &text.replacen(from, to, 1));
    assert!(said.contains(line), "{from:?} -> {to:?}: {said}");
}

#[test]
fn menus() {
    let text = "config BR2_PACKAGE_X\n\tbool \"x\"\n\thelp\n\t  What it does.\n\n\t  https://x.example\n\n\
        comment \"x needs y\"\n\tdepends on !Y\n";
    let path = "package/x/Config.in";
    broken(path, text, "\tbool", "  bool", "2: is not indented");
    broken(path, text, "\tdepends", "depends", "9: is not indented");
    broken(path, text, "\t  What", "\t What", "4: help is");
    broken(path, text, "What", &"long ".repeat(13), "4: help is");
    broken(path, text, "\thelp", "\tdefault n\n\thelp", "3: n is the default");
    broken(path, text, "does.", "does. ", "4: ends in a blank");
    broken(path, text, "does.", "d\u{f6}s.", "4: has characters");
    broken(path, text, "\n\n\t  http", "\n\n\n\t  http", "6: is the second");
    broken(path, text, "!Y\n", "!Y", "0: must end");
    let sources = "source \"$A/package/a/Config.in\"\nsource \"$A/package/b/Config.in\"\n";
    broken("Config.in", sources, "/a/", "/c/", "2: packages stand");
}

#[test]
fn makefiles() {
    let rule = "#".repeat(80);
    let text = format!(
        "{rule}\n#\n# a-b\n#\n{rule}\n\nA_B_VERSION = 1\nA_B_OPTS = \\\n\t--x\n\n\
         define A_B_BUILD_CMDS\n\ttrue\nendef\n\n$(eval $(generic-package))\n"
    );
    let path = "package/a-b/a-b.mk";
    broken(path, &text, "# a-b", "# b", "3: the head");
    broken(path, &text, "#\n\nA", "\n\nA", "5: the head");
    broken(path, &text, "A_B_VERSION", "AB_VERSION", "7: AB_VERSION does not");
    broken(path, &text, "define A_B", "define B", "11: B_BUILD_CMDS does not");
    broken(path, &text, " \\", "  \\", "8: has more than one");
    broken(path, &text, "\ttrue", "true", "12: is to be indented");
    broken(path, &text, "A_B_OPTS", "\tA_B_OPTS", "8: is not to be");
    broken(path, &text, "= 1", "= ${X}", "7: has ${}");
    broken(path, &text, "A_B_VERSION = 1", "ifdef X\nendif", "7: ifeq");
    broken(path, &text, "$(eval $(generic-package))", "A_B_X = 1", "0: calls no");
}

#[test]
fn hashes() {
    let text = format!("# Locally calculated\nsha256  {}  x-1.tar.gz\n", "0a".repeat(32));
    let path = "package/x/x.hash";
    broken(path, &text, "sha256  ", "sha256 ", "2: is to be");
    broken(path, &text, "sha256", "md5", "2: is to be");
    broken(path, &text, "0a", "0", "2: is to be");
    broken(path, &text, "0a", "0g", "2: is to be");
    broken(path, &text, "  x-1", " x-1", "2: is to be");
}

#[test]
fn scripts() {
    let text =
        "#!/bin/sh\nDAEMON=\"x\"\ncase \"$1\" in\n\tstart|stop|restart|reload)\n\t\t;;\nesac\n";
    let path = "package/x/S10x";
    broken(path, text, "\"x\"", "\"y\"", "0: DAEMON");
    broken(path, text, "\t\t;;", "        ;;", "5: is not indented by tabs");
    broken(path, text, "/bin/sh", "/bin/bash", "1: a script");
    broken(path, text, "|reload", "", "0: does nothing at `reload`");
    assert_eq!(kind("board/x/post-build.sh"), Some(Kind::Script));
    assert_eq!(kind("package/x/Somewhere"), None);
}

#[test]
fn patches_and_configurations() {
    let text = "Subject: x\n\nUpstream: N/A\nSigned-off-by: A <a@b.example>\n---\n a | 1 +\n+ \n";
    let path = "patches/linux/0001-x.patch";
    broken(path, text, "Upstream", "Origin", "0: has no line \"Upstream");
    broken(path, text, "Signed-off-by", "Signed", "0: has no line \"Signed-off-by");
    assert!(said("patches/linux/x.patch", text).contains("0: is to be called"));

    let text = "BR2_aarch64=y\nBR2_DOWNLOAD_FORCE_CHECK_HASHES=y\n# BR2_X is not set\n";
    let path = "configs/x_defconfig";
    broken(path, text, "_HASHES=y", "_HASHES=n", "0: has no BR2_DOWNLOAD");
    broken(path, text, "BR2_aarch64=y", "aarch64=y", "1: is neither");
    broken(path, text, "# BR2_X is not set", "# BR2_X", "3: is neither");
}
