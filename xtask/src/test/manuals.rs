//! Part `manuals`: manual pages and completions, by the programs that read them.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context as _, Result, ensure};
use manual::Document;

use super::{Checks, commands};
use crate::context::Context;
use crate::dist::documents;
use crate::flash;
use crate::tools::{Set, Tools};
use crate::tree::root::{Kind, Root};

/// How each kind is judged, by the beginning of its path: by whom, and what runs on
/// every file `$f`. mandoc and groff print what they do not like; mandoc's taste in
/// dates, in folders of other pages and in clap_mangen's line breaks is none of ours.
const JUDGES: [(&str, &str, &str); 5] = [
    (
        "share/man/",
        "mandoc",
        "mandoc -T lint -W warning $f | \
         grep -v -e 'missing date' -e 'skipping paragraph macro: br' && exit 1 || true",
    ),
    ("share/man/", "groff", "test -z \"$(groff -ww -man -z $f 2>&1 | tee /dev/stderr)\""),
    ("share/bash-completion/", "bash", "bash -n $f"),
    ("share/zsh/", "zsh", "zsh -n $f"),
    ("share/fish/", "fish", "fish --no-config --no-execute $f"),
];

/// The commands of README, runbooks and templates, those of the desk too.
fn shown(ctx: &Context, root: &Root) -> Result<()> {
    let mut documents = Vec::new();
    for (path, entry) in &root.entries {
        if let (Some(path), Kind::File(content)) = (path.strip_prefix("share/"), &entry.kind) {
            documents.push(Document { path: path.to_owned(), bytes: content.read()? });
        }
    }
    let (wrong, judged) = commands::wrong(&ctx.repo, &documents)?;
    ensure!(wrong.is_empty(), "{}", wrong.join("\n        "));
    ensure!(judged.len() == 4, "commands of four programs are shown: {judged:?}");
    Ok(())
}

/// Runs the part.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let tools = Tools::get(ctx, Set::Docs)?;
    let station = flash::station(ctx)?;
    let root = documents::tree(&station, 0)?;
    let dir = tempfile::tempdir_in(ctx.cache_dir("tmp")?)?;
    let mut paths = BTreeSet::new();
    for (path, entry) in &root.entries {
        if let Kind::File(content) = &entry.kind {
            let to = dir.path().join(path);
            fs::create_dir_all(to.parent().context("a file in no folder")?)?;
            fs::write(&to, content.read()?)?;
            paths.insert(path.clone());
        }
    }
    let sandbox = tools.sandbox().bind(dir.path(), "docs").cwd("/work/docs").env("HOME", "/tmp");
    checks.check("every command that a text shows is understood", shown(ctx, &root));
    for (start, by, judge) in JUDGES {
        let files: Vec<_> = paths.iter().filter(|path| path.starts_with(start)).collect();
        let all = || -> Result<()> {
            ensure!(files.len() >= 3, "only {} files below {start}", files.len());
            let list = files.iter().map(|path| format!("{path} ")).collect::<String>();
            let line =
                format!("for f in {list}; do ( {judge} ) || {{ echo $f >&2; exit 1; }}; done");
            sandbox.output(&["bash", "-c", &line])?;
            // A judge that likes everything is none.
            let broken = format!("printf '.Zz \"\\n.so (\\nif (\\n' >/tmp/x; f=/tmp/x; {judge}");
            ensure!(sandbox.output(&["bash", "-c", &broken]).is_err(), "{judge}: likes rubbish");
            Ok(())
        };
        checks.check(&format!("{start} ({by})"), all());
    }
    Ok(())
}
