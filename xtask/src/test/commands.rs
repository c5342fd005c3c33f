//! The commands that texts show: each is one that its program understands.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::Result;
use manual::Document;

use super::PARTS;
use crate::cli;

/// A command in a text.
#[derive(Debug, PartialEq, Eq)]
struct Shown {
    /// Line of the text, from 1.
    line: usize,
    /// Its words; the first is the program, `cargo xtask` is one.
    words: Vec<String>,
}

/// The programs whose commands are looked for.
const PROGRAMS: [&str; 4] = ["cargo xtask", "a7670e-emulator", "a7670e", "station"];

/// Every command of [`PROGRAMS`] in Markdown's code, or in the lines of any other
/// text; a command is more than the program's name.
fn shown(text: &str, markdown: bool) -> Vec<Shown> {
    let mut found = Vec::new();
    let mut block = false;
    for (line, text) in text.lines().enumerate().map(|(line, text)| (line + 1, text)) {
        if markdown && text.starts_with("```") {
            block = !block;
            continue;
        }
        let pieces: Vec<&str> = match markdown && !block {
            true => text.split('`').skip(1).step_by(2).collect(),
            // Behind what begins a command in YAML and in shells.
            false => text.split("- ").flat_map(|it| it.split("run: ")).collect(),
        };
        for piece in pieces.iter().flat_map(|piece| piece.split("&&")) {
            found.extend(command(piece.trim()).map(|words| Shown { line, words }));
        }
    }
    found
}

fn command(text: &str) -> Option<Vec<String>> {
    let (program, rest) =
        PROGRAMS.iter().find_map(|program| Some((*program, text.strip_prefix(program)?)))?;
    let rest = rest.strip_prefix(' ')?;
    let mut words = vec![program.to_owned()];
    words.extend(split(&templates_filled(rest)));
    (words.len() > 1).then_some(words)
}

/// `${{ matrix.image }}` is a word.
fn templates_filled(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once("${{") {
        out += before;
        out += "filled";
        rest = after.split_once("}}").map_or("", |(_, after)| after);
    }
    out + rest
}

/// A shell's words, up to what ends a command.
fn split(text: &str) -> Vec<String> {
    let mut words: Vec<String> = Vec::new();
    let (mut quote, mut within) = (None, false);
    for c in text.chars() {
        match (quote, c) {
            (Some(open), c) if c == open => quote = None,
            (None, '\'' | '"') => {
                quote = Some(c);
                if !within {
                    words.push(String::new());
                }
                within = true;
            }
            (None, '>' | '|' | ';' | '#') if !within => break,
            (None, ' ') => within = false,
            (_, c) => {
                if !within {
                    words.push(String::new());
                }
                within = true;
                if let Some(word) = words.last_mut() {
                    word.push(c);
                }
            }
        }
    }
    words
}

/// Texts whose commands are judged: all in these folders of the repository, and the
/// README.
const FOLDERS: [&str; 2] = ["docs/ci", "docs/runbooks"];

/// Every command of those texts that its program would not understand, and of how
/// many programs' commands there are how many. Whose manual is not in `documents` is
/// left out.
pub fn wrong(
    repo: &Path,
    documents: &[Document],
) -> Result<(Vec<String>, BTreeMap<String, usize>)> {
    let mut texts = vec![repo.join("README.md")];
    for folder in FOLDERS {
        for entry in std::fs::read_dir(repo.join(folder))? {
            texts.push(entry?.path());
        }
    }
    texts.sort();
    let known = |program: &str| {
        let page = format!("man/man1/{program}.1");
        program == PROGRAMS[0] || documents.iter().any(|it| it.path == page)
    };
    let (mut wrong, mut judged) = (Vec::new(), BTreeMap::<String, usize>::new());
    for path in texts {
        let text = std::fs::read_to_string(&path)?;
        for command in shown(&text, path.extension().is_some_and(|it| it == "md")) {
            if !known(&command.words[0]) {
                continue;
            }
            *judged.entry(command.words[0].clone()).or_default() += 1;
            if let Some(mistake) = mistake(&command.words, documents) {
                let words = command.words.join(" ");
                wrong.push(format!("{}:{}: {words}: {mistake}", path.display(), command.line));
            }
        }
    }
    Ok((wrong, judged))
}

/// What is wrong with a command, if anything. `documents` are the manuals of the
/// programs that are not ours to ask: of those in them, each option must be on its
/// command's page.
fn mistake(words: &[String], documents: &[Document]) -> Option<String> {
    let (program, rest) = words.split_first()?;
    if program == "cargo xtask" {
        if rest.first().is_some_and(|it| it == "test") {
            let part = |word: &&String| !word.starts_with('-') && *word != "NAME";
            let part = rest[1..].iter().find(part).and_then(|it| it.split('/').next());
            if part.is_some_and(|part| PARTS.iter().all(|known| known.name != part)) {
                return Some(format!("there is no part {part:?}"));
            }
        }
        return cli::mistake(rest);
    }
    let pages: BTreeMap<&str, String> = documents
        .iter()
        .filter_map(|it| {
            let name = it.path.strip_prefix("man/man1/")?.strip_suffix(".1")?;
            Some((name, String::from_utf8_lossy(&it.bytes).replace('\\', "")))
        })
        .collect();
    if !pages.contains_key(program.as_str()) {
        return Some(format!("there is no page of {program}"));
    }
    let (mut name, mut rest) = (program.clone(), rest);
    while let Some((word, more)) = rest.split_first() {
        let inner = format!("{name}-{word}");
        if !pages.contains_key(inner.as_str()) {
            break;
        }
        (name, rest) = (inner, more);
    }
    let begins = format!("{name}-");
    let group = pages.keys().any(|known| known.starts_with(&begins) && *known != "a7670e-emulator");
    if let Some(word) = rest.first().filter(|word| group && !word.starts_with('-')) {
        return Some(format!("{name} has no {word}"));
    }
    let page = pages.get(name.as_str())?;
    let options = rest.iter().filter(|word| word.starts_with("--"));
    let options = options.map(|word| word.split('=').next().unwrap_or(word));
    let mut unknown = options.filter(|option| !page.contains(*option));
    unknown.next().map(|option| format!("{name} has no {option}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::dist::documents;

    fn ours() -> Vec<Document> {
        [documents::device().unwrap(), documents::emulator().unwrap()].concat()
    }

    #[test]
    fn what_the_texts_show_is_understood() {
        let repo = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let (wrong, judged) = wrong(repo, &ours()).unwrap();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
        assert!(judged["cargo xtask"] > 30 && judged["a7670e"] > 20, "{judged:?}");
    }

    #[test]
    fn commands_are_found() {
        let text = "Say `a7670e why` or `a7670e` or `x`.\n```sh\na7670e at 'AT+CSQ' > f\n\
            cd x && cargo xtask image NAME # all\n```\n";
        let words = |list: &[&str]| list.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>();
        let found: Vec<_> = shown(text, true).into_iter().map(|it| (it.line, it.words)).collect();
        assert_eq!(
            found,
            [
                (1, words(&["a7670e", "why"])),
                (3, words(&["a7670e", "at", "AT+CSQ"])),
                (4, words(&["cargo xtask", "image", "NAME"])),
            ]
        );
        let yaml = "      - run: cargo xtask verify out/${{ matrix.image }}.img\n";
        assert_eq!(
            shown(yaml, false)[0].words,
            words(&["cargo xtask", "verify", "out/filled.img"])
        );
    }

    #[test]
    fn mistakes_are_found() {
        let documents = ours();
        let of = |line: &str| mistake(&command(line).unwrap(), &documents);
        for good in [
            "cargo xtask image NAME --locked",
            "cargo xtask test udev",
            "a7670e sms send --to NUMBER TEXT",
            "a7670e-emulator --pty modem",
            "a7670e --help",
        ] {
            assert_eq!(of(good), None, "{good}");
        }
        for bad in [
            "cargo xtask imge",
            "cargo xtask image --lockd",
            "cargo xtask test udv",
            "a7670e sms sned",
            "a7670e wy",
            "a7670e why --wach",
            "a7670e-emulator --ptty modem",
        ] {
            assert!(of(bad).is_some(), "{bad}");
        }
    }
}
