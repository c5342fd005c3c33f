//! `station flash`.

use std::collections::BTreeSet;
use std::io::{self, BufRead, IsTerminal, Write};
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Result, bail};
use clap::Args;

use super::hot::{self, Hot, Idle};
use super::show;
use crate::desk::Work;
use crate::desk::check::{against, identities, open, still, system};
use crate::device::{Rules, Target};
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
    #[command(flatten)]
    hot: Hot,
    #[command(flatten)]
    idle: Idle,
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
    pub yes_really: bool,
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
        let system = system()?;
        let rules = Rules { image: source.size(), yes_really: self.yes_really };
        let mut found = Vec::new();
        let mut refused = Vec::new();
        let mut seen = BTreeSet::new();
        for path in &self.paths {
            let target = system.target(path)?;
            for identity in identities(&target)? {
                if !seen.insert(identity) {
                    bail!("{} is named twice", path.display());
                }
            }
            for reason in against(&target, source, inputs, rules)? {
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

/// Runs the command; gives whether every card is right.
pub fn run(arguments: &Arguments) -> Result<bool> {
    let source = arguments.image.open()?;
    show::source(&source);
    let targets = arguments.targets.look(&source, &[])?;
    if arguments.targets.dry_run {
        say!("nothing was written: this is a dry run");
        return Ok(true);
    }
    if let Some(slots) = arguments.hot.slots() {
        arguments.targets.confirm(&targets)?;
        let work = Work {
            source,
            inputs: Vec::new(),
            units: None,
            named: arguments.targets.paths.clone(),
            yes_really: arguments.targets.yes_really,
            hot_add: Some(slots),
        };
        return hot::run(work, &targets, arguments.targets.json, &arguments.idle);
    }
    let devices = targets.iter().map(open).collect::<Result<Vec<_>, _>>()?;
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
