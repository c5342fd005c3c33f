//! Small tools for the machine, which has neither ping(8) nor a terminal
//! program: Perl is in every Debian.

/// Where they are in the machine.
const FOLDER: &str = "/run/a7670e-rig";
const TOOLS: [(&str, &str); 3] = [
    ("at", include_str!("guest/at.pl")),
    ("flow", include_str!("guest/flow.pl")),
    ("ping", include_str!("guest/ping.pl")),
];

/// A script that puts them there.
pub fn install() -> String {
    let mut script = format!("set -e; mkdir -p {FOLDER}\n");
    for (name, text) in TOOLS {
        script.push_str(&format!("cat >{FOLDER}/{name}.pl <<'END-OF-TOOL'\n{text}END-OF-TOOL\n"));
    }
    script
}

/// `command` with the tools as its functions.
pub fn script(command: &str) -> String {
    let mut script = String::new();
    for (name, _) in TOOLS {
        script.push_str(&format!("{name}() {{ perl {FOLDER}/{name}.pl \"$@\"; }}\n"));
    }
    script + command
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    #[test]
    fn a_command_has_the_tools() {
        let said =
            Command::new("sh").args(["-c", &script("type at flow ping; echo done")]).output();
        let said = String::from_utf8(said.unwrap().stdout).unwrap();
        assert!(said.matches("function").count() == 3 && said.ends_with("done\n"), "{said}");
        for (name, text) in TOOLS {
            assert!(text.ends_with('\n') && !text.contains("END-OF-TOOL"), "{name}");
        }
    }
}
