//! `a7670e check-config`: what the configuration comes to, or what is wrong.

use std::fmt::{self, Write as _};
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::client::write_out;
use crate::config::{self, CONFIG, Config, PROVISIONING, SecretValue, UsbPower};

/// Checks `file` alone, or what the service reads, and shows the result.
///
/// # Errors
/// The first thing that is wrong, with its place.
pub fn run(file: Option<&Path>) -> Result<()> {
    let mut text = String::new();
    let found = match file {
        Some(file) => {
            // To `config` a file that is not there says nothing; here it was named.
            fs::metadata(file).with_context(|| format!("{}: cannot be read", file.display()))?;
            let found = config::check(file, Path::new(""))?;
            _ = writeln!(text, "{}: ok", file.display());
            found
        }
        None => {
            let found = config::check(Path::new(CONFIG), Path::new(PROVISIONING))?;
            for path in [CONFIG, PROVISIONING] {
                let there = Path::new(path).exists();
                let verdict = if there { "ok" } else { "not there, which is no error" };
                _ = writeln!(text, "{path}: {verdict}");
            }
            found
        }
    };
    _ = write!(text, "{}", Summary(&found));
    write_out(&text)
}

/// A configuration for people, without secrets.
struct Summary<'a>(&'a Config);

impl fmt::Display for Summary<'_> {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Config { modem, cellular, network, policy, recovery, data, sms } = self.0;
        writeln!(f, "AT port       {:?}", modem.control)?;
        writeln!(f, "PIN           {}", secret(modem.pin.as_ref()))?;
        writeln!(f, "USB mode      {:?}", modem.usb_mode)?;
        match &cellular.apn {
            Some(apn) => writeln!(f, "access point  {}", apn.as_str())?,
            None => writeln!(f, "access point  by the provider database")?,
        }
        if let Some(user) = &cellular.user {
            let password = secret(cellular.password.as_ref());
            writeln!(f, "  user        {}, password {password}", user.as_str())?;
        }
        writeln!(f, "  login       {:?}", cellular.auth)?;
        writeln!(f, "  addresses   {:?}", cellular.pdp_type)?;
        writeln!(f, "roaming       {:?}", cellular.roaming)?;
        if let Some(modes) = cellular.modes {
            writeln!(f, "networks      {modes:?}")?;
        }
        if let Some(bands) = cellular.bands {
            writeln!(f, "bands         GSM {:#x}, LTE {:#x}", bands.gsm, bands.lte)?;
        }
        if let Some(operator) = &cellular.operator {
            writeln!(f, "operator      {}", operator.as_str())?;
        }
        let ppp = if network.gsm_profile { ", with a profile for PPP" } else { "" };
        writeln!(f, "network by    {:?}{ppp}", network.by)?;
        writeln!(f, "route metric  {}", network.metric)?;
        writeln!(f, "DNS           {:?}", network.dns)?;
        writeln!(f, "IPv6          {}", if network.ipv6 { "where offered" } else { "refused" })?;
        let probe = &network.probe;
        let page = &probe.target;
        writeln!(f, "probe         http://{}:{}{}", page.host, page.port, page.path)?;
        writeln!(f, "  every       {} s, {} bytes a day at most", probe.interval, probe.budget.0)?;
        writeln!(
            f,
            "recovery      {} modem resets an hour, {} reboots a day at most",
            policy.modem_resets_per_hour, policy.reboots_per_day
        )?;
        match (&recovery.power_gpio, recovery.usb_power) {
            (Some(gpio), _) => {
                let (chip, line) = (gpio.chip.as_str(), gpio.line);
                writeln!(f, "power cut     by {chip}, line {line}, for {} ms", gpio.off_ms)?;
            }
            (None, UsbPower::Off) => writeln!(f, "power cut     never")?,
            (None, UsbPower::Port) => writeln!(f, "power cut     by the modem's USB port")?,
            (None, UsbPower::Hub) => {
                writeln!(f, "power cut     by all ports of the modem's USB hub")?;
            }
        }
        match data.cap {
            Some(cap) => {
                let day = data.reset_day;
                writeln!(f, "data cap      {} bytes a month, from day {day}", cap.0)?;
            }
            None => writeln!(f, "data cap      none")?,
        }
        match sms.enabled {
            true if sms.per_hour > 0 => {
                writeln!(f, "text messages {} an hour at most", sms.per_hour)?;
            }
            true => writeln!(f, "text messages without a limit")?,
            false => writeln!(f, "text messages switched off")?,
        }
        if let Some((line, limit)) = sms.program() {
            writeln!(f, "  each runs   {}, for {} s at most", line.join(" "), limit.as_secs())?;
        }
        if let Some(commands) = &sms.commands {
            let key = secret(Some(&commands.key));
            writeln!(f, "  commands    from {} senders, key {key}", commands.from.len())?;
        }
        Ok(())
    }
}

fn secret(value: Option<&SecretValue>) -> String {
    match value {
        None => "none".into(),
        Some(SecretValue::Inline(_)) => "set".into(),
        Some(SecretValue::File(path)) => format!("in {}", path.display()),
    }
}
