//! The desk's page in a real browser: a card is chosen, written and found in the
//! history; what other sites try comes to nothing.

mod browser;

use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context as _, Result, ensure};
use serde_json::json;

use self::browser::{Browser, Tab};
use super::Checks;
use crate::context::Context;
use crate::disk::{fat, mbr};
use crate::tools::{Set, Tools};
use crate::{flash, process};

/// Bytes of the image's two partitions: enough to be seen on their way.
const BOOT: u64 = 64 << 20;
const ROOT: u64 = 512 << 20;

/// What the image keeps free for a unit, by name (docs/adr/0015).
const RESERVED: [(&str, usize); 2] = [("a7670e.toml", 16 << 10), ("unit.toml", 48 << 10)];

/// A card whose name would do harm if it were taken for markup.
const NASTY: &str = "card-3 <b onclick=x>";

/// A name that somebody's name server makes lead here.
const REBOUND: &str = "rebound.example";

/// Opens the page in Chromium and does what an operator does.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let tools = Tools::get(ctx, Set::Web)?;
    let dir = tempfile::tempdir_in(ctx.cache_dir("tmp")?)?;
    let desk = Desk::open(&flash::station(ctx)?, dir.path())?;
    let fonts = dir.path().join("fonts.conf");
    fs::write(&fonts, "<fontconfig><dir>/usr/share/fonts</dir></fontconfig>")?;
    let sandbox = tools
        .sandbox()
        .network()
        .bind(&fonts, "fonts.conf")
        .env("FONTCONFIG_FILE", "/work/fonts.conf");
    let pictures = ctx.cache_dir("web")?;
    let mut browser = Browser::start(&sandbox, &[REBOUND], &pictures.join("browser.log"))?;
    let url = format!("http://{}/", desk.address);

    let tab = browser.open(&url, 900, 900, false)?;
    let shown = listed(&mut browser, &tab);
    if !checks.check("the page shows the cards, and their names are text", shown) {
        return Ok(());
    }
    checks.check("another site cannot start a card", others(&mut browser, &tab, &desk, &url));
    let chosen = operate(&mut browser, &tab, &pictures.join("station.png"));
    checks.check("a card is chosen, asked for once more, and written", chosen);
    let history = done(&mut browser, &tab, &desk);
    checks.check("its unit is in the history, and on the card", history);
    let phone = on_a_phone(&mut browser, &url, &pictures.join("station-phone.png"));
    checks.check("it is readable on a phone", phone);
    let quiet = || {
        ensure!(browser.complaints.is_empty(), "{}", browser.complaints.join("\n"));
        Ok(())
    };
    checks.check("the browser has nothing to complain of", quiet());
    println!("        pictures are in {}", pictures.display());
    Ok(())
}

/// A desk with a fleet of three and three cards.
struct Desk {
    program: Child,
    address: String,
    cards: [PathBuf; 3],
}

impl Desk {
    fn open(station: &Path, dir: &Path) -> Result<Self> {
        let image = dir.join("a7670e.img");
        make_image(&image)?;
        let fleet = dir.join("fleet.toml");
        let units: String = (1..=3).map(|it| format!("[[unit]]\nid = 'pump-{it}'\n")).collect();
        fs::write(&fleet, format!("[defaults.cellular]\napn = 'internet'\n{units}"))?;
        let names = ["card-1", "card-2", NASTY];
        let cards = names.map(|name| dir.join(name));
        for card in &cards {
            fs::write(card, [0xa5; 4096])?;
        }
        let mut command = Command::new(station);
        command
            .args(["serve", "--listen=127.0.0.1:0", "--operator=test", "--fleet=fleet.toml"])
            .args(names.map(|name| format!("--target={name}")))
            .arg("a7670e.img")
            // Names without folders: they are in the pictures.
            .current_dir(dir)
            .stderr(Stdio::piped());
        process::die_with_caller(&mut command);
        let mut program = command.spawn().context("cannot start the desk")?;
        let err = program.stderr.take().context("no pipe from the desk")?;
        let mut desk = Self { program, address: String::new(), cards };
        let mut lines = BufReader::new(err).lines();
        let mut said = String::new();
        for line in lines.by_ref() {
            let line = line?;
            if let Some((_, rest)) = line.split_once("is at http://") {
                desk.address = rest.trim_end_matches('/').to_owned();
                break;
            }
            said += &line;
        }
        ensure!(!desk.address.is_empty(), "the desk does not open: {said}");
        // Its pipe stays open and is read to the end.
        std::thread::spawn(move || lines.for_each(drop));
        Ok(desk)
    }
}

impl Drop for Desk {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// An image with room for a unit's files, and data enough to take a while.
fn make_image(path: &Path) -> Result<()> {
    let table = mbr::for_pi(BOOT, ROOT);
    let volume = fat::Volume {
        size: BOOT,
        start: mbr::ALIGN,
        label: "BOOT".into(),
        id: 1,
        epoch: 0,
        files: RESERVED.map(|(name, len)| (name.to_owned(), vec![b'\n'; len])).into(),
    };
    let image = File::create(path)?;
    image.write_all_at(&table.encode()?, 0)?;
    for piece in volume.pieces()? {
        image.write_all_at(&piece.bytes, mbr::ALIGN + piece.offset)?;
    }
    let root = mbr::ALIGN + BOOT;
    for at in (root..root + ROOT).step_by(1 << 20) {
        image.write_all_at(&vec![(at >> 20) as u8 | 1; 1 << 20], at)?;
    }
    Ok(())
}

/// Selector of the tick of the first card.
const TICK: &str = "#cards input[data-path='card-1']";

fn listed(browser: &mut Browser, tab: &Tab) -> Result<()> {
    browser.until(tab, "document.querySelectorAll('#cards input:not(:disabled)').length === 3")?;
    browser.until(tab, "document.querySelector('#link').textContent === 'live'")?;
    ensure!(browser.value(tab, "document.querySelector('#cards b')")?.is_null());
    ensure!(browser.value(tab, "document.querySelector('#start').disabled")? == json!(true));
    let fleet = browser.value(tab, "document.querySelector('#fleet').textContent")?;
    ensure!(fleet == "3 of 3 units are left.", "{fleet}");
    let names = browser.names(tab, "checkbox")?;
    let told = names.iter().filter(|name| name.contains("card-"));
    ensure!(told.count() == 3 && names.iter().all(|it| !it.is_empty()), "{names:?}");
    Ok(())
}

/// What a page elsewhere may try: a request without leave, one with, and a name
/// of its own that leads here.
fn others(browser: &mut Browser, own: &Tab, desk: &Desk, url: &str) -> Result<()> {
    let before = browser.complaints.len();
    // All that the page itself would say, so that only who asks is wrong.
    let mark = "fetch('/state').then((it) => it.json())\
         .then((it) => it.cards.find((card) => card.path === 'card-2').mark)";
    let mark = browser.value(own, mark)?;
    ensure!(mark.as_str().is_some_and(|mark| !mark.is_empty()), "no mark: {mark}");
    let tab = browser.open("about:blank", 400, 400, false)?;
    let body = json!({"cards": [{"path": "card-2", "mark": mark}]}).to_string();
    let simple = format!(
        "fetch('{url}start', {{method: 'POST', mode: 'no-cors', body: {body:?}}})\
         .then((it) => it.type, () => 'none')"
    );
    let sent = browser.value(&tab, &simple)?;
    ensure!(sent == "opaque" || sent == "none", "{sent}");
    let asking = format!(
        "fetch('{url}start', {{method: 'POST', body: {body:?}, \
         headers: {{'Content-Type': 'application/json'}}}}).then(() => 'sent', () => 'none')"
    );
    ensure!(browser.value(&tab, &asking)? == "none", "the browser was let through");
    let reading = format!("fetch('{url}state').then((it) => it.text(), () => 'none')");
    ensure!(browser.value(&tab, &reading)? == "none", "the desk's state can be read");

    let port = desk.address.rsplit_once(':').context("an address without a port")?.1;
    let tab = browser.open(&format!("http://{REBOUND}:{port}/state"), 400, 400, false)?;
    browser.until(&tab, "document.body.innerText.includes(\"this name is not the desk's\")")?;
    // These complaints were called for.
    browser.complaints.truncate(before);
    for card in &desk.cards {
        ensure!(fs::read(card)? == [0xa5; 4096], "{} was written", card.display());
    }
    Ok(())
}

fn operate(browser: &mut Browser, tab: &Tab, picture: &Path) -> Result<()> {
    browser.click(tab, TICK)?;
    browser.until(tab, "!document.querySelector('#start').disabled")?;
    browser.click(tab, "#start")?;
    browser.until(tab, "document.querySelector('#ask').open")?;
    browser.click(tab, "#no")?;
    browser.until(tab, "!document.querySelector('#ask').open")?;
    ensure!(browser.value(tab, "document.querySelectorAll('[data-job]').length")? == 0);
    browser.click(tab, "#start")?;
    browser.until(tab, "document.querySelector('#ask').open")?;
    browser.click(tab, "#yes")?;
    browser.until(
        tab,
        "document.querySelector('[data-job=\"1\"][data-phase=writing] progress')?.value > 0",
    )?;
    ensure!(browser.value(tab, "document.querySelector('#start').disabled")? == json!(true));
    browser.value(tab, "scrollTo(0, 0)")?;
    browser.picture(tab, picture)?;
    browser
        .until(tab, "document.querySelector('[data-job=\"1\"]').dataset.phase === 'verifying'")?;
    browser.until(tab, "document.querySelector('[data-job=\"1\"]').dataset.phase === 'done'")
}

fn done(browser: &mut Browser, tab: &Tab, desk: &Desk) -> Result<()> {
    browser.until(
        tab,
        "document.querySelector('[data-unit=\"pump-1\"]')?.dataset.state === 'right'",
    )?;
    browser.until(tab, "document.querySelector('#fleet').textContent.startsWith('2 of 3')")?;
    let mut sector = vec![0; 512];
    let card = File::open(&desk.cards[0])?;
    card.read_exact_at(&mut sector, 0)?;
    mbr::Mbr::decode(&sector).context("the card does not boot")?;
    let mut boot = vec![0; BOOT as usize];
    card.read_exact_at(&mut boot, mbr::ALIGN)?;
    let finder = memchr::memmem::Finder::new(b"id = \"pump-1\"");
    ensure!(finder.find(&boot).is_some(), "the card is not pump-1");
    for card in &desk.cards[1..] {
        ensure!(fs::read(card)? == [0xa5; 4096], "a card that was not chosen was written");
    }
    Ok(())
}

fn on_a_phone(browser: &mut Browser, url: &str, picture: &Path) -> Result<()> {
    let tab = browser.open(url, 390, 844, true)?;
    browser.until(&tab, "document.querySelector('[data-job=\"1\"]') !== null")?;
    let width = browser.value(&tab, "document.documentElement.scrollWidth")?;
    ensure!(width.as_u64().is_some_and(|it| it <= 390), "it is {width} pixels wide");
    // WCAG 2.2, success criterion 2.5.8: 24 pixels; fingers like 44.
    let tall = browser.value(&tab, "document.querySelector('#start').offsetHeight")?;
    ensure!(tall.as_u64().is_some_and(|it| it >= 44), "the button has {tall} pixels");
    browser.picture(&tab, picture)
}
