//! The shipped image on the emulated machines.
//!
//! The rig comes in by the kernel command line; that the image is not changed
//! is one of the checks.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::Checks;
use crate::context::Context;
use crate::digest;
use crate::disk::mbr::{self, Mbr};
use crate::emulate::{self, Machine, Options, Running};
use crate::tools::{Set, Tools};

/// How long one question to the machine may take.
const LIMIT: Duration = Duration::from_secs(120);

/// What differs from device to device.
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    machine_id: String,
    host_key: String,
}

/// A command and what must hold for its output.
type Question = (&'static str, &'static str, fn(&str) -> Result<()>);

const QUESTIONS: &[Question] = &[
    ("no unit failed", "systemctl --failed --no-legend --plain", empty),
    ("ModemManager is active", "systemctl is-active ModemManager", active),
    ("NetworkManager is active", "systemctl is-active NetworkManager", active),
    ("a7670e.service is active", "systemctl is-active a7670e", active),
    ("`a7670e status --json` answers", "a7670e status --json", json_object),
    ("simcom_wwan can be loaded", "modprobe simcom_wwan && lsmod", |text| {
        ensure_line(text, |line| line.starts_with("simcom_wwan "))
    }),
    ("the root file system fills the card", "df --block-size=1M --output=size /", fills_card),
    ("sshd takes keys only", "sshd -T", keys_only),
    ("no account has a password", "awk -F: '$2 !~ /^[!*]/ { print $1 }' /etc/shadow", empty),
    ("the firewall is loaded", "systemctl is-active nftables && nft list ruleset", firewall),
    (
        "the kernel has no complaint about itself",
        "dmesg | grep -E 'BUG:|Oops|Internal error|WARNING:|Call trace' || true",
        empty,
    ),
];

/// Boots the image on both machines.
pub fn run(ctx: &Context, checks: &mut Checks) -> Result<()> {
    let image = super::image(ctx)?;
    let before = digest::file(&image)?;
    let mut identities = Vec::new();
    for (model, name) in [(Machine::Raspi4b, "raspi4b"), (Machine::Virt, "virt")] {
        let options = Options { image: image.clone(), model, extra: Vec::new(), modem: None };
        let results = emulate::retry(ctx, || on_machine(ctx, &options))?;
        identities.push(results.identity);
        for (about, result) in results.checks {
            checks.check(&format!("{name}: {about}"), result);
        }
    }
    let fresh = || {
        let [a, b] = &identities[..] else { bail!("{} machines answered", identities.len()) };
        ensure!(a.machine_id != b.machine_id, "both have the machine id {}", a.machine_id);
        ensure!(a.host_key != b.host_key, "both have the host key {}", a.host_key);
        Ok(())
    };
    checks.check("each device makes its own machine id and host keys", fresh());
    let unchanged = || {
        let after = digest::file(&image)?;
        ensure!(after == before, "its sha256 was {before} and is {after}");
        Ok(())
    };
    checks.check("the image is not changed", unchanged());
    Ok(())
}

/// What a machine showed. Counted only when the rig held to the end.
struct Results {
    checks: Vec<(String, Result<()>)>,
    identity: Identity,
}

fn on_machine(ctx: &Context, options: &Options) -> Result<Results> {
    let mut machine = Running::boot(ctx, options)?;
    let state = machine.wait_running()?;
    let up = machine.started.elapsed().as_secs_f64();
    let mut checks = Vec::new();
    let running = if state == "running" { Ok(()) } else { bail_with(&mut machine, &state) };
    checks.push((format!("the system is running, {up:.0} s after power-on"), running));
    for (about, command, judge) in QUESTIONS {
        let answer = machine.run(command, LIMIT)?;
        let result = answer.text().and_then(|text| judge(&text)).with_context(|| *command);
        checks.push(((*about).to_owned(), result));
    }
    let identity = Identity {
        machine_id: machine.run("cat /etc/machine-id", LIMIT)?.text()?,
        host_key: machine.run("cat /etc/ssh/ssh_host_ed25519_key.pub", LIMIT)?.text()?,
    };
    let off = machine.power_off();
    let was_off = off.is_ok();
    checks.push(("it powers off".to_owned(), off));
    if was_off {
        machine.kill()?;
        checks.push(("its root file system is then sound".to_owned(), sound(ctx, &machine.card())));
    }
    Ok(Results { checks, identity })
}

/// Judges the root file system on a card that no machine writes to.
fn sound(ctx: &Context, card: &Path) -> Result<()> {
    let mut sector = [0; mbr::SECTOR as usize];
    File::open(card)?.read_exact_at(&mut sector, 0)?;
    let root = Mbr::decode(&sector)?.slots[1].context("the card has no second partition")?;
    let sandbox = Tools::get(ctx, Set::Rig)?.sandbox().bind(card, "card");
    sandbox.output(&["e2fsck", "-fn", &format!("/work/card?offset={}", root.start)])?;
    Ok(())
}

/// The error of a system that is not `running`: what failed and why.
fn bail_with(machine: &mut Running, state: &str) -> Result<()> {
    let why = "systemctl --failed --no-legend --plain; \
        systemctl --failed --no-legend --plain | while read -r unit rest; do \
        journalctl --boot --no-pager --lines 10 --unit $unit; done";
    let why = machine.run(why, LIMIT)?;
    bail!("systemd says {state}\n{}", String::from_utf8_lossy(&why.stdout).trim_end())
}

fn empty(text: &str) -> Result<()> {
    ensure!(text.is_empty(), "{text}");
    Ok(())
}

fn active(text: &str) -> Result<()> {
    ensure!(text == "active", "{text}");
    Ok(())
}

fn json_object(text: &str) -> Result<()> {
    let value: serde_json::Value =
        serde_json::from_str(text).with_context(|| format!("no JSON: {text}"))?;
    ensure!(value.is_object(), "no JSON object: {text}");
    Ok(())
}

fn ensure_line(text: &str, holds: impl Fn(&str) -> bool) -> Result<()> {
    ensure!(text.lines().any(holds), "{text}");
    Ok(())
}

/// The card has 4096 MiB; boot partition and ext4's own tables take a part.
fn fills_card(text: &str) -> Result<()> {
    let size = text.lines().last().and_then(|line| line.trim().parse::<u32>().ok());
    ensure!(size.is_some_and(|mib| mib > 3500), "{text}");
    Ok(())
}

/// `sshd -T` prints its effective settings, one a line.
fn keys_only(text: &str) -> Result<()> {
    for setting in ["passwordauthentication no", "kbdinteractiveauthentication no"] {
        ensure!(text.lines().any(|line| line == setting), "sshd has not \"{setting}\"");
    }
    ensure!(!text.lines().any(|line| line == "permitrootlogin yes"), "root may use a password");
    Ok(())
}

/// What is not allowed is dropped, and SSH is not allowed from the modem.
fn firewall(text: &str) -> Result<()> {
    ensure_line(text, |line| line.contains("hook input") && line.contains("policy drop"))?;
    for line in text.lines().filter(|line| line.contains("dport 22 ")) {
        ensure!(line.contains("iifname") && !line.contains("wwan"), "{line}");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_tell_good_from_bad() {
        assert!(fills_card("1M-blocks\n     3891").is_ok());
        assert!(fills_card("1M-blocks\n      420").is_err());
        assert!(fills_card("").is_err());
        let keys = "passwordauthentication no\nkbdinteractiveauthentication no";
        assert!(keys_only(keys).is_ok());
        assert!(keys_only(&format!("{keys}\npermitrootlogin yes")).is_err());
        assert!(keys_only("passwordauthentication yes").is_err());
        assert!(json_object("{}").is_ok());
        assert!(json_object("[]").is_err());
        assert!(firewall("active").is_err());
        let drop = "type filter hook input priority filter; policy drop;\n";
        let ssh = "iifname { \"en*\" } tcp dport 22 accept";
        assert!(firewall(&format!("{drop}{ssh}")).is_ok());
        assert!(firewall(ssh).is_err());
        assert!(firewall(&format!("{drop}tcp dport 22 accept")).is_err());
        assert!(firewall(&format!("{drop}iifname \"wwan0\" tcp dport 22 accept")).is_err());
        assert!(active("inactive").is_err());
        assert!(empty("x.service").is_err());
    }
}
