//! `cargo xtask verify IMAGE`: judges an image without booting or mounting it.
//!
//! Where a program exists that knows (e2fsck, fsck.fat, modprobe, systemctl,
//! systemd-analyze, udevadm), it is the judge; it runs in the tools root.
//! Nothing here knows how the image was made.

mod boot;
mod content;
mod filesystems;
mod identity;
mod modules;
mod needles;
mod sshd;
mod subject;
mod system;
mod table;
mod tree;

use std::path::Path;

use anyhow::Result;
use serde::Serialize;

use crate::context::Context;
use crate::tools::{Set, Tools};
use subject::Subject;

/// One question and its answer.
#[derive(Clone, Debug, Serialize)]
pub struct Finding {
    /// What is judged, such as `boot`.
    pub group: &'static str,
    /// What is asked.
    pub name: &'static str,
    /// The answer.
    pub ok: bool,
    /// What was seen; in a bad case what is wrong.
    pub detail: String,
}

/// All answers on an image.
#[derive(Clone, Debug, Serialize)]
pub struct Verdict {
    /// The image's path.
    pub image: String,
    /// Whether every answer is good.
    pub ok: bool,
    /// The answers in a fixed order.
    pub findings: Vec<Finding>,
}

impl Verdict {
    /// Names of the questions with a bad answer.
    pub fn bad(&self) -> Vec<&'static str> {
        self.findings.iter().filter(|f| !f.ok).map(|f| f.name).collect()
    }
}

/// Asks one thing: `Ok` says what was seen, `Err` what is wrong.
type Question = fn(&Subject<'_>) -> Result<String>;

/// Group, name, and how to find out.
const QUESTIONS: &[(&str, &str, Question)] = &[
    ("disk", "partition table", table::sound),
    ("disk", "boot file system", filesystems::boot),
    ("disk", "root file system", filesystems::root),
    ("boot", "firmware", boot::firmware),
    ("boot", "config.txt", boot::config),
    ("boot", "kernel", boot::kernel),
    ("boot", "device tree", boot::device_tree),
    ("boot", "command line", boot::command_line),
    ("modem", "9011 serial: option", modules::option),
    ("modem", "9011 ECM: cdc_ether", modules::cdc_ether),
    ("modem", "9011 RNDIS: rndis_host", modules::rndis_host),
    ("modem", "9025 network: simcom_wwan", modules::simcom_wwan),
    ("system", "udev rules", system::rules),
    ("system", "units", system::units),
    ("system", "services", system::services),
    ("system", "programs", content::programs),
    ("identity", "passwords", identity::passwords),
    ("identity", "SSH server", sshd::keys_only),
    ("identity", "SSH host keys", identity::host_keys),
    ("identity", "machine id", identity::machine_id),
    ("identity", "seeds", identity::seeds),
    ("traces", "build machine", content::traces),
];

/// Judges `image` (`.img` or `.img.zst`). An error when it cannot be read at
/// all; what is wrong with it is in the verdict.
pub fn judge(ctx: &Context, tools: &Tools, image: &Path) -> Result<Verdict> {
    let subject = Subject::open(ctx, tools, image)?;
    let findings: Vec<_> = QUESTIONS
        .iter()
        .map(|(group, name, ask)| {
            let answer = ask(&subject);
            let ok = answer.is_ok();
            let detail = answer.unwrap_or_else(|error| format!("{error:#}"));
            Finding { group, name, ok, detail }
        })
        .collect();
    let ok = findings.iter().all(|finding| finding.ok);
    Ok(Verdict { image: image.display().to_string(), ok, findings })
}

/// Prints the verdict on `image`, as a table or as JSON; gives whether it is
/// good.
pub fn run(ctx: &Context, image: &Path, json: bool) -> Result<bool> {
    let tools = Tools::get(ctx, Set::Build)?;
    let verdict = judge(ctx, &tools, image)?;
    if json {
        println!("{}", serde_json::to_string_pretty(&verdict)?);
    } else {
        print!("{}", table(&verdict));
    }
    Ok(verdict.ok)
}

/// The verdict for people.
fn table(verdict: &Verdict) -> String {
    let mut text = String::new();
    for finding in &verdict.findings {
        let mark = if finding.ok { "ok " } else { "BAD" };
        // Further lines of a detail stand below its first.
        let detail = finding.detail.trim_end().replace('\n', &format!("\n{:43}", ""));
        text += &format!("{mark}  {:9} {:27} {detail}\n", finding.group, finding.name);
    }
    let bad = verdict.findings.iter().filter(|f| !f.ok).count();
    text += &match bad {
        0 => format!("{}: good\n", verdict.image),
        _ => format!("{}: {bad} of {} are bad\n", verdict.image, verdict.findings.len()),
    };
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_says_what_is_bad() {
        let finding = |name, ok| Finding { group: "g", name, ok, detail: "one\ntwo".into() };
        let findings = vec![finding("a", true), finding("b", false)];
        let verdict = Verdict { image: "x.img".into(), ok: false, findings };
        let text = table(&verdict);
        assert!(text.contains("ok   g") && text.contains("BAD  g"), "{text}");
        assert!(text.ends_with("x.img: 1 of 2 are bad\n"), "{text}");
        assert_eq!(verdict.bad(), ["b"]);
    }

    #[test]
    fn every_question_has_its_own_name() {
        let mut names: Vec<_> = QUESTIONS.iter().map(|q| q.1).collect();
        names.sort();
        names.dedup();
        assert_eq!(names.len(), QUESTIONS.len());
    }
}
