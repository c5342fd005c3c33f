//! A card that the flashing desk made for one unit, on the emulated machine: it
//! becomes that unit, keeps no secret where anybody can read it, and the next
//! boot finds nothing to do. And the same with the power cut on the way.

use std::fs::{self, File};
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;
use tempfile::TempDir;

use super::power_cuts::number;
use crate::context::Context;
use crate::disk::mbr::{self, Mbr, Partition};
use crate::emulate::{self, Machine, Modem, Options, Running};
use crate::test::Checks;
use crate::{flash, process};

/// The boots without and with cuts of the power.
pub const NAMES: [&str; 2] = ["first-boot", "first-boot-cuts"];

/// How often the power is cut, unless `A7670E_CUTS` says.
const CUTS: usize = 3;

/// For one question, and from one that can be asked until the device is online.
pub const DEADLINE: Duration = Duration::from_secs(180);

/// Between two questions.
const PAUSE: Duration = Duration::from_millis(500);

/// What must not be found on the boot partition afterwards. The modem's SIM asks
/// for no PIN, and any four letters are somewhere in the kernel: so the file.
const SECRETS: [&str; 2] =
    ["a-secret-that-is-in-no-other-file", "yAnz5TF+lXXJte14tji3zlMNq+hd2rYUIgJBgB3fBmk="];

const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIAcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcHBwcH me@desk";

/// Files that the first boot makes.
const MADE: &str = "/etc/hostname /etc/hosts /etc/motd /etc/a7670e/provisioning.toml \
    /etc/a7670e/unit.toml /etc/secret /root/.ssh/authorized_keys \
    /etc/NetworkManager/system-connections/a7670e-wg0.nmconnection \
    /var/lib/a7670e-first-boot/record.json";

/// What is asked, and what the answer must be.
const QUESTIONS: [(&str, &str); 10] = [
    ("uname -n", "pump-0042"),
    ("cat /etc/motd", "property of the waterworks"),
    ("grep -c 'me@desk' /root/.ssh/authorized_keys", "1"),
    ("grep site /etc/a7670e/unit.toml", "site = \"north\""),
    ("stat -c '%a %U' /etc/a7670e/provisioning.toml", "600 root"),
    ("stat -c '%a %U' /etc/secret", "600 root"),
    ("cd /boot/firmware && ls unit.toml a7670e.toml 2>/dev/null || true", ""),
    ("ls /var/lib/a7670e-first-boot", "record.json"),
    ("systemctl is-active a7670e-first-boot", "active"),
    (
        "head -n 1 /boot/firmware/a7670e-first-boot.txt",
        "This device is unit 0042, host name pump-0042.",
    ),
];

/// Carries out what is wanted of [`NAMES`].
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    if checks.wants(NAMES[0]) {
        let result = first_boot(ctx);
        checks.check("a card of the desk becomes its unit, once", result);
    }
    // Some minutes each: by its name.
    if checks.asked(NAMES[1]) {
        let cuts = number("A7670E_CUTS", CUTS)?.max(1);
        for cut in 1..=cuts {
            let result = cut_off(ctx);
            checks.check(&format!("cut {cut} of {cuts} is made good"), result);
        }
    }
    Ok(())
}

fn first_boot(ctx: &Context) -> Result<()> {
    let desk = Desk::new(ctx)?;
    emulate::retry(ctx, || {
        let mut first = boot(ctx, &options(&desk.card, ecm()))?;
        is_unit(&mut first)?;
        is_online(&mut first)?;
        let answer = first.run("a7670e at 'AT+CGDCONT?'", DEADLINE)?.text()?;
        ensure!(answer.contains("\"SAFARICOM\""), "another access point: {answer}");
        let tunnel = first.run("ip -brief address show wg0", DEADLINE)?.text()?;
        ensure!(tunnel.contains("10.9.0.2/24"), "the tunnel: {tunnel}");
        let made = stamps(&mut first)?;
        first.power_off()?;
        first.kill()?;
        no_secret(&first.card())?;
        // The first machine's folder has the card.
        let mut second = boot(ctx, &options(&first.card(), ecm()))?;
        is_unit(&mut second)?;
        is_online(&mut second)?;
        let again = stamps(&mut second)?;
        ensure!(made == again, "the second boot changed something:\n{made}\n{again}");
        second.kill()
    })
}

/// Cuts the power at a random moment of the first boot.
fn cut_off(ctx: &Context) -> Result<()> {
    let desk = Desk::new(ctx)?;
    emulate::retry(ctx, || {
        let mut first = Running::boot(ctx, &options(&desk.card, None))?;
        // The shell is there before the first boot is; it is through when the
        // note is gone. Somewhere in between.
        let since = SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is wrong")?;
        let wait = Duration::from_millis(u64::from(since.subsec_nanos()) / 1000 % 8000);
        let until = Instant::now() + wait;
        while Instant::now() < until {
            let command = "systemctl is-active a7670e-first-boot";
            if first.run(command, DEADLINE)?.stdout.trim_ascii() == b"active" {
                break;
            }
        }
        first.kill()?;
        let mut second = boot(ctx, &options(&first.card(), None))?;
        is_unit(&mut second)?;
        second.power_off()?;
        second.kill()?;
        no_secret(&second.card()).with_context(|| format!("cut {} ms on", wait.as_millis()))
    })
}

/// A card for one unit, made by the desk's own program.
struct Desk {
    /// Goes when it is dropped.
    _dir: TempDir,
    card: PathBuf,
}

impl Desk {
    fn new(ctx: &Context) -> Result<Self> {
        let dir = tempfile::tempdir_in(ctx.cache_dir("desk")?)?;
        let (card, fleet) = (dir.path().join("card.img"), dir.path().join("fleet.toml"));
        let [secret, wire] = SECRETS;
        let text = format!(
            "[[unit]]\nid = '0042'\nhostname = 'pump-{{id}}'\nssh_keys = ['{KEY}']\n\
             files = [\n{{ path = '/etc/motd', content = \"property of the waterworks\\n\" }},\n\
             {{ path = '/etc/secret', content = {{ secret = '{secret}' }}, mode = '0600' }},\n]\n\
             [unit.cellular]\napn = 'SAFARICOM'\npin = {{ secret = '4711' }}\n\
             [unit.values]\nsite = 'north'\n\
             [unit.wireguard]\nprivate_key = {{ secret = '{wire}' }}\naddress = ['10.9.0.2/24']\n\
             [unit.wireguard.peer]\n\
             public_key = 'xTIBA5rboUvnH4htodjb6e697QjLERt1NAB4mZqp8Dg='\n\
             endpoint = '192.0.2.1:51820'\nallowed_ips = ['10.9.0.0/24']\n"
        );
        fs::write(&fleet, text)?;
        fs::write(&card, [0xA5; 4096])?;
        let mut command = Command::new(flash::station(ctx)?);
        command.args(["provision", "--yes", "--operator=test"]).arg(crate::test::image(ctx)?);
        process::output(command.arg("--fleet").arg(&fleet).arg(&card))?;
        let there = secrets(&card)?;
        ensure!(there.len() == SECRETS.len(), "the desk wrote only {there:?}");
        Ok(Self { _dir: dir, card })
    }
}

/// How a card is booted, and beside which modem.
pub fn options(card: &Path, modem: Option<Modem>) -> Options {
    Options { image: card.to_owned(), model: Machine::Virt, extra: Vec::new(), modem }
}

fn ecm() -> Option<Modem> {
    Some(Modem::Ours { profile: "a7670e-ecm".to_owned(), faults: None })
}

/// Boots a copy of the card until the system is up.
pub fn boot(ctx: &Context, options: &Options) -> Result<Running> {
    let mut machine = Running::boot(ctx, options)?;
    let state = machine.wait_running()?;
    if state != "running" {
        let why = "systemctl --failed --no-legend --plain; cat /run/a7670e-first-boot.txt; \
            journalctl --boot --no-pager --unit a7670e-first-boot";
        let why = machine.run(why, DEADLINE)?;
        bail!("the system is {state}:\n{}", String::from_utf8_lossy(&why.stdout));
    }
    Ok(machine)
}

fn is_unit(machine: &mut Running) -> Result<()> {
    for (command, want) in QUESTIONS {
        let answer = machine.run(command, DEADLINE)?.text().context(command)?;
        ensure!(answer == want, "`{command}` says {answer:?} instead of {want:?}");
    }
    Ok(())
}

/// Waits until the service says so.
pub fn is_online(machine: &mut Running) -> Result<()> {
    wait_for(machine, "online")
}

/// Waits for the service's verdict of the modem.
pub fn wait_for(machine: &mut Running, verdict: &str) -> Result<()> {
    let asked = Instant::now();
    loop {
        let why = machine.run("a7670e why --json", DEADLINE)?;
        let answer: Value = serde_json::from_slice(&why.stdout).unwrap_or_default();
        if answer.pointer("/0/verdict").is_some_and(|found| found == verdict) {
            return Ok(());
        }
        ensure!(asked.elapsed() < DEADLINE, "not {verdict}: {answer}");
        std::thread::sleep(PAUSE);
    }
}

/// Which files these are, and when they were written.
fn stamps(machine: &mut Running) -> Result<String> {
    machine.run(&format!("stat -c '%n %i %Y %a %u' {MADE}"), DEADLINE)?.text()
}

fn no_secret(card: &Path) -> Result<()> {
    let there = secrets(card)?;
    ensure!(there.is_empty(), "the boot partition still has {there:?}");
    Ok(())
}

/// A card's boot partition: where it is, and its bytes.
pub fn boot_partition(card: &Path) -> Result<(Partition, Vec<u8>)> {
    let file = File::open(card)?;
    let mut sector = [0; mbr::SECTOR as usize];
    file.read_exact_at(&mut sector, 0)?;
    let boot = Mbr::decode(&sector)?.slots[0].context("the card has no first partition")?;
    let mut bytes = vec![0; usize::try_from(boot.size)?];
    file.read_exact_at(&mut bytes, boot.start)?;
    Ok((boot, bytes))
}

/// The secrets that are anywhere on a card's boot partition, removed files'
/// blocks included.
fn secrets(card: &Path) -> Result<Vec<&'static str>> {
    let (_, bytes) = boot_partition(card)?;
    let there = |secret: &&str| memchr::memmem::find(&bytes, secret.as_bytes()).is_some();
    Ok(SECRETS.into_iter().filter(there).collect())
}
