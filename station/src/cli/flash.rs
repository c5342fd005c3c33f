//! `station flash`.

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal, Write};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::Args;

use super::show;
use crate::card::Device;
use crate::device::{Kind, Rules, System, Target, judge};
use crate::flash::{Order, Outcome, flash};
use crate::progress::Progress;
use crate::source::{Options, Source};

/// What is written where, and what may be asked.
#[derive(Args)]
pub struct Arguments {
    #[command(flatten)]
    pub image: Image,
    #[command(flatten)]
    pub targets: Targets,
}

/// The image and what belongs to it.
#[derive(Args)]
pub struct Image {
    /// The image: plain, or packed as .zst, .xz or .gz.
    #[arg(value_name = "IMAGE")]
    pub path: PathBuf,
    /// Its map [default: one beside the image, if there is one].
    #[arg(long, value_name = "FILE")]
    bmap: Option<PathBuf>,
    /// Write all of it, whatever map there is.
    #[arg(long, conflicts_with = "bmap")]
    no_bmap: bool,
    /// The minisign public key, or its file, that the image must be signed by
    /// [default: minisign.pub beside the image].
    #[arg(long, value_name = "KEY")]
    key: Option<String>,
}

/// The cards and how careful to be.
#[derive(Args)]
pub struct Targets {
    /// The cards: whole disks such as /dev/sdb, or plain files.
    #[arg(value_name = "TARGET", required = true)]
    pub paths: Vec<PathBuf>,
    /// Do not ask before writing.
    #[arg(long)]
    pub yes: bool,
    /// Write disks of more than 512 GB too.
    #[arg(long)]
    yes_really: bool,
    /// Show what would be written, and write nothing.
    #[arg(long)]
    pub dry_run: bool,
    /// Progress and outcomes as lines of JSON on standard output.
    #[arg(long)]
    pub json: bool,
}

impl Image {
    /// Opens it and what lies beside it.
    pub fn open(&self) -> Result<Source> {
        let options =
            Options { bmap: self.bmap.clone(), no_bmap: self.no_bmap, key: self.key.clone() };
        Ok(Source::new(&self.path, &options)?)
    }
}

impl Targets {
    /// Looks at the targets; refuses all of them when one must not be written.
    /// `inputs` are read besides the image and its companions.
    pub fn look(&self, source: &Source, inputs: &[PathBuf]) -> Result<Vec<Target>> {
        let system = System::read().context("cannot see what is mounted")?;
        let rules = Rules { image: source.size(), yes_really: self.yes_really };
        let mut found = Vec::new();
        let mut refused = Vec::new();
        let mut seen = BTreeSet::new();
        for path in &self.paths {
            let target = system.target(path)?;
            let identities = identities(&target)?;
            for identity in &identities {
                if !seen.insert(*identity) {
                    bail!("{} is named twice", path.display());
                }
            }
            let is_read =
                |input: &&PathBuf| identity(input).is_ok_and(|it| identities.contains(&it));
            if let Some(input) = source.files().iter().chain(inputs).find(is_read) {
                let input = input.display();
                refused.push(format!("{}: it is {input}, which is needed here", path.display()));
            }
            for reason in judge(&target, rules) {
                refused.push(format!("{}: {reason}", path.display()));
            }
            found.push(target);
        }
        show::targets(&found);
        if refused.is_empty() {
            return Ok(found);
        }
        bail!("nothing was written:\n  {}", refused.join("\n  "))
    }

    /// Asks whether the targets may be overwritten.
    pub fn confirm(&self, targets: &[Target]) -> Result<()> {
        if self.yes {
            return Ok(());
        }
        if !io::stdin().is_terminal() {
            bail!("nobody can be asked here: say --yes when all of it may be overwritten");
        }
        let mut out = io::stderr();
        write!(out, "All on {} is overwritten. Go on? [y/N] ", show::names(targets))?;
        out.flush()?;
        let mut answer = String::new();
        io::stdin().lock().read_line(&mut answer)?;
        if !matches!(answer.trim(), "y" | "Y" | "yes") {
            bail!("nothing was written");
        }
        Ok(())
    }
}

/// The same for every name of one device or file.
fn identity(path: &Path) -> Result<(bool, u64, u64)> {
    let meta = path.metadata()?;
    Ok(if meta.is_file() { (true, meta.dev(), meta.ino()) } else { (false, 0, meta.rdev()) })
}

/// Of the target, and of the file behind a loop device.
fn identities(target: &Target) -> Result<Vec<(bool, u64, u64)>> {
    let mut all = vec![identity(&target.path)?];
    if let Kind::Loop(file) = &target.kind {
        // A deleted file has no name that could be given here.
        all.extend(identity(Path::new(file)));
    }
    Ok(all)
}

/// Makes sure that a target is still the one that was looked at: a card may be
/// changed while the user is asked.
pub fn still(target: &Target) -> Result<()> {
    let system = System::read().context("cannot see what is mounted")?;
    if system.target(&target.path)? != *target {
        bail!("{}: it is another card than a moment ago: look again", target.path.display());
    }
    Ok(())
}

/// Opens a target for itself alone. From then on nobody mounts it.
pub fn open(target: &Target) -> Result<Device> {
    let path = target.path.display();
    let device = Device::open(&target.path)
        .with_context(|| format!("{path}: cannot be opened; is it in use, or are you not root?"))?;
    if !device.is(target)? {
        bail!("{path}: it is another card than a moment ago: look again");
    }
    still(target)?;
    Ok(device)
}

/// Runs the command; gives whether every card is right.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let source = arguments.image.open()?;
    show::source(&source);
    let targets = arguments.targets.look(&source, &[])?;
    if arguments.targets.dry_run {
        say!("nothing was written: this is a dry run");
        return Ok(true);
    }
    let devices = targets.iter().map(open).collect::<Result<Vec<_>>>()?;
    arguments.targets.confirm(&targets)?;
    targets.iter().try_for_each(still)?;
    let mut orders = Vec::new();
    let mut labels = Vec::new();
    for (target, device) in targets.iter().zip(devices) {
        let progress = Arc::new(Progress::default());
        labels.push((target.path.display().to_string(), progress.clone()));
        let card = Box::new(device);
        orders.push(Order { card, patches: Vec::new(), progress, notes: Box::new(()) });
    }
    let mut outcomes: Vec<Option<Outcome>> = targets.iter().map(|_| None).collect();
    let screen = show::Screen::new(labels, arguments.targets.json);
    screen.during(|screen| {
        flash(&source, orders, |number, outcome| {
            screen.outcome(number, &outcome);
            outcomes[number] = Some(outcome);
        });
    });
    let right = outcomes.iter().flatten().filter(|it| it.is_ok()).count();
    say!("{right} of {} right", targets.len());
    Ok(right == targets.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_target_that_is_changed_meanwhile_is_noticed() {
        let dir = tempfile::tempdir().unwrap();
        let (path, other) = (dir.path().join("card"), dir.path().join("other"));
        for file in [&path, &other] {
            std::fs::write(file, [7; 4096]).unwrap();
        }
        let target = System::read().unwrap().target(&path).unwrap();
        let device = open(&target).unwrap();
        still(&target).unwrap();
        // As large, and of the same name.
        std::fs::rename(&other, &path).unwrap();
        assert!(still(&target).unwrap_err().to_string().contains("another card"));
        assert!(open(&target).unwrap_err().to_string().contains("another card"));
        assert!(device.is(&target).unwrap());
    }
}
