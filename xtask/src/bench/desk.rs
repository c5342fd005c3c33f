//! What a unit costs the desk beside the writing: its own files on its card, and its
//! place in a fleet of ten thousand.

use std::fs::{self, File};
use std::io::Read as _;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};
use memchr::memmem;

use super::measure;
use super::table::Table;
use crate::artefacts::{bmap, zst};
use crate::context::Context;
use crate::disk::{BOOT_LABEL, boot, fat, mbr};
use crate::process;
use crate::slow_cards::{self, Card};

/// Units of a large fleet.
const FLEET: usize = 10_000;

/// Units that are written at once: one alone pays all that a run costs; of many, each
/// pays what is its own.
const UNITS: [usize; 2] = [1, 8];

/// Each is measured so often, and the best counts.
const TRIES: usize = 5;

/// Bytes of the image's boot partition.
const BOOT: u64 = 64 << 20;

/// A public key, and where its owner is: of no one.
const PEER: &str = "xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg=";
const ENDPOINT: &str = "vpn.example.com:51820";

/// Blocks in a map.
const BLOCK: u64 = 4096;

/// Measures, on cards that are as fast as memory: there writing costs next to nothing.
pub fn run(ctx: &Context, station: &Path, cards: &[Card], table: &mut Table) -> Result<()> {
    let room = slow_cards::room()?;
    // Records wait for their disk, as a desk's do.
    let home = tempfile::tempdir_in(ctx.cache_dir("tmp")?)?;
    let desk = Desk { station, cards, room: room.path(), home: home.path() };
    desk.make_image(ctx)?;
    for units in UNITS {
        let (plain, own) = desk.units(units)?;
        let each = (own - plain) * 1e3 / units as f64;
        let what = format!("station, a unit's own data, of {units}");
        let text = format!("{each:.1} ms ({own:.3} s, plain {plain:.3} s)");
        table.row(&what, "<= 50 ms a unit", &text);
    }
    for form in ["toml", "csv"] {
        let what = format!("station, {FLEET} units checked, {form}");
        table.row(&what, "<= 1 s", &format!("{:.2} s", desk.fleet(form)?));
    }
    Ok(())
}

struct Desk<'a> {
    station: &'a Path,
    cards: &'a [Card],
    /// Where the image is: in memory.
    room: &'a Path,
    /// Where fleet and records are.
    home: &'a Path,
}

impl Desk<'_> {
    fn image(&self) -> PathBuf {
        self.room.join("image.img.zst")
    }

    /// A boot partition as the image's, with the units' two files and no other.
    fn make_image(&self, ctx: &Context) -> Result<()> {
        let record = mbr::for_pi(BOOT, mbr::ALIGN);
        let files = boot::RESERVED.map(|(name, len)| (name.to_owned(), vec![b'\n'; len]));
        let volume = fat::Volume {
            size: BOOT,
            start: mbr::ALIGN,
            label: BOOT_LABEL.into(),
            id: mbr::SIGNATURE,
            epoch: 0,
            files: files.into(),
        };
        let raw = tempfile::tempfile_in(self.room)?;
        let size = mbr::ALIGN + BOOT + mbr::ALIGN;
        raw.set_len(size)?;
        raw.write_all_at(&record.encode()?, 0)?;
        let mut end = 0;
        for piece in volume.pieces()? {
            raw.write_all_at(&piece.bytes, mbr::ALIGN + piece.offset)?;
            end = mbr::ALIGN + piece.offset + piece.bytes.len() as u64;
        }
        zst::compress(&raw, size, File::create(self.image())?, ctx.jobs, |_| {})?;
        let mapped = 0..end.next_multiple_of(BLOCK);
        fs::write(self.room.join("image.bmap"), bmap::generate(&raw, size, &[mapped])?)?;
        Ok(())
    }

    /// The least seconds of writing so many cards plainly, and as units.
    fn units(&self, count: usize) -> Result<(f64, f64)> {
        let fleet = self.home.join("fleet.toml");
        fs::write(&fleet, toml(count))?;
        let cards = self.cards.get(..count).context("too few cards")?;
        let (mut plain, mut own) = (f64::MAX, f64::MAX);
        for _ in 0..TRIES {
            plain = plain.min(self.write(&["flash", "--yes"], None, cards)?);
            // Units that are on record are not written again.
            for name in ["records.sqlite", "records.sqlite-wal", "records.sqlite-shm"] {
                let file = fleet.with_extension(name);
                if file.exists() {
                    fs::remove_file(file)?;
                }
            }
            own = own.min(self.write(&["provision", "--yes"], Some(&fleet), cards)?);
            for (number, card) in cards.iter().enumerate() {
                let mut start = Vec::new();
                File::open(&card.file)?.take(BOOT).read_to_end(&mut start)?;
                let stands = memmem::find(&start, line(number).as_bytes()).is_some();
                ensure!(stands, "{} is not unit {}", card.file.display(), id(number));
            }
        }
        Ok((plain, own))
    }

    /// Seconds of writing cards that are blank.
    fn write(&self, words: &[&str], fleet: Option<&Path>, cards: &[Card]) -> Result<f64> {
        cards.iter().try_for_each(Card::clear)?;
        let command = self.command(words, fleet, cards);
        Ok(measure(&command, &self.home.join("log"))?.wall)
    }

    fn command(&self, words: &[&str], fleet: Option<&Path>, cards: &[Card]) -> Command {
        let mut command = Command::new(self.station);
        command.args(words).arg(self.image());
        if let Some(fleet) = fleet {
            command.arg("--fleet").arg(fleet);
        }
        command.args(cards.iter().map(|card| &card.device));
        command
    }

    /// The least seconds in which a large fleet is checked, and all is done that comes
    /// before the first card is written.
    fn fleet(&self, form: &str) -> Result<f64> {
        let (write, again): (fn(usize) -> String, String) = match form {
            "csv" => (csv, row(0)),
            _ => (toml, unit(0)),
        };
        let path = self.home.join(format!("large.{form}"));
        let text = write(FLEET);
        fs::write(&path, &text)?;
        let one = self.cards.get(..1).context("no card")?;
        let words = ["provision", "--dry-run"];
        let command = self.command(&words, Some(&path), one);
        let log = self.home.join("log");
        let mut best = f64::MAX;
        for _ in 0..TRIES {
            best = best.min(measure(&command, &log)?.wall);
        }
        // Was all of it looked at? The last of one more is there twice.
        fs::write(&path, text + &again)?;
        let output = process::any_output(&mut self.command(&words, Some(&path), one))?;
        let said = String::from_utf8_lossy(&output.stderr);
        let found = !output.status.success() && said.contains(&id(0));
        ensure!(found, "a unit that is there twice was not found:\n{said}");
        Ok(best)
    }
}

fn id(unit: usize) -> String {
    format!("{unit:05}")
}

/// How a unit's file on its card begins to tell whose it is.
fn line(unit: usize) -> String {
    format!("id = \"{}\"", id(unit))
}

/// A fleet with all that is made and looked at for each unit.
fn toml(units: usize) -> String {
    let head = "[defaults]
hostname = 'pump-{id}'
ssh_host_key = { make = true }
[defaults.cellular]
apn = 'internet'
";
    let mut text = head.to_owned();
    text.extend((0..units).map(unit));
    text
}

fn unit(number: usize) -> String {
    format!(
        "[[unit]]
{}
[unit.cellular]
pin = {{ secret = '{}' }}
[unit.wireguard]
private_key = {{ make = true }}
address = ['{}']
[unit.wireguard.peer]
public_key = '{PEER}'
endpoint = '{ENDPOINT}'
allowed_ips = ['10.0.0.0/8']
",
        line(number),
        pin(number),
        address(number)
    )
}

/// The same fleet as a table.
fn csv(units: usize) -> String {
    let head = "id,hostname,ssh_host_key,cellular.apn,cellular.pin,wireguard.private_key,\
                wireguard.address,wireguard.peer.public_key,wireguard.peer.endpoint,\
                wireguard.peer.allowed_ips\n";
    let mut text = head.to_owned();
    text.extend((0..units).map(row));
    text
}

fn row(unit: usize) -> String {
    let (id, pin, address) = (id(unit), pin(unit), address(unit));
    format!("{id},pump-{id},make,internet,{pin},make,{address},{PEER},{ENDPOINT},10.0.0.0/8\n")
}

fn pin(unit: usize) -> String {
    format!("{:04}", unit % 10_000)
}

fn address(unit: usize) -> String {
    format!("10.1.{}.{}/8", unit / 250, unit % 250 + 1)
}
