//! `a7670e enrol`: what the flashing desk is to know of this unit's hardware, as
//! JSON or as a text message, for `station enrol`.

use std::fs;
use std::path::Path;
use std::time::Duration;

use a7670e_unit::{CardToken, Enrolment, Iccid, Imei, Mac, Serial};
use anyhow::{Context, Result, anyhow};

use super::args::Asked;
use super::client::{Client, write_out};
use crate::at::reply;
use crate::firstboot::{Kept, RECORD};
use crate::protocol::{AtAnswer, Params};

/// The board's serial number, which the firmware puts there
/// (Documentation/devicetree/bindings/arm/arm,..., property `serial-number` of the
/// root node), and a NUL behind it.
const SERIAL: &str = "/proc/device-tree/serial-number";

/// The board's Ethernet, by the kernel's own name.
const MAC: &str = "/sys/class/net/eth0/address";

/// What is before a command in the service's queue.
const QUEUE: Duration = Duration::from_secs(60);

/// What the report is made from. What cannot be had is left out.
#[derive(Debug, Default)]
struct Found {
    record: String,
    serial: Option<String>,
    mac: Option<String>,
    imei: Option<Vec<String>>,
    iccid: Option<Vec<String>>,
}

/// Prints the report; what is missing in it is told on standard error.
///
/// # Errors
/// This device is no unit of a desk's.
pub fn run(asked: &Asked, sms: bool) -> Result<()> {
    let record = fs::read_to_string(RECORD).with_context(|| {
        format!("no card of a flashing desk was in this device: {RECORD} cannot be read")
    })?;
    let text = |path: &str| fs::read_to_string(Path::new(path)).ok();
    let mut found = Found { record, serial: text(SERIAL), mac: text(MAC), imei: None, iccid: None };
    match Client::connect(&asked.socket) {
        Ok(mut client) => {
            found.imei = at(&mut client, asked, "AT+CGSN");
            found.iccid = at(&mut client, asked, "AT+CICCID");
        }
        Err(error) => eprintln!("a7670e: {error:#}"),
    }
    let (report, missing) = report(&found)?;
    for name in missing {
        eprintln!("a7670e: the report has no {name}");
    }
    let line = if sms { report.to_sms() } else { serde_json::to_string(&report)? };
    write_out(&format!("{line}\n"))
}

/// The modem's answer, if there is one.
fn at(client: &mut Client, asked: &Asked, command: &str) -> Option<Vec<String>> {
    let (modem, command) = (asked.modem.clone(), command.to_owned());
    let params = Params { modem, command: Some(command), ..Params::default() };
    match client.ask::<AtAnswer>("at", params, QUEUE) {
        Ok(answer) if answer.ok => Some(answer.lines),
        Ok(answer) => {
            eprintln!("a7670e: the modem answers {}", answer.result);
            None
        }
        Err(error) => {
            eprintln!("a7670e: {error:#}");
            None
        }
    }
}

/// The report, and the names of what is not in it.
fn report(found: &Found) -> Result<(Enrolment, Vec<&'static str>)> {
    let kept = Kept::read(found.record.as_bytes());
    let unit = kept.unit.ok_or_else(|| {
        anyhow!("the first boot's record ({RECORD}) names no unit: this card is no desk's")
    })?;
    let digits = |lines: &Option<Vec<String>>, read: &dyn Fn(&[String]) -> Option<String>| {
        lines.as_deref().and_then(read)
    };
    // A NUL ends a text of the device tree, a line end one of sysfs.
    let plain = |text: &Option<String>| {
        text.as_deref().map(|it| it.trim_matches(['\0', '\n', ' ']).to_ascii_lowercase())
    };
    let mut report = Enrolment::new(unit);
    report.card = kept.card.and_then(|it| CardToken::try_from(it).ok());
    report.imei = digits(&found.imei, &|it| reply::digits(it, "+CGSN"))
        .and_then(|it| Imei::try_from(it).ok());
    report.iccid =
        digits(&found.iccid, &|it| reply::iccid(it)).and_then(|it| Iccid::try_from(it).ok());
    report.mac = plain(&found.mac).and_then(|it| Mac::try_from(it).ok());
    report.serial = plain(&found.serial).and_then(|it| Serial::try_from(it).ok());
    let all = [
        ("card", report.card.is_none()),
        ("imei", report.imei.is_none()),
        ("iccid", report.iccid.is_none()),
        ("mac", report.mac.is_none()),
        ("serial", report.serial.is_none()),
    ];
    let missing = all.into_iter().filter_map(|(name, missing)| missing.then_some(name));
    Ok((report, missing.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_unit_reports_its_hardware() {
        let card = "0123456789abcdef0123456789abcdef";
        let lines = |line: &str| Some(vec![line.to_owned()]);
        let mut found = Found {
            record: format!("{{\"version\":1,\"unit\":\"0001\",\"card\":\"{card}\",\"made\":[]}}"),
            serial: Some("10000000ABCDEF01\0".into()),
            mac: Some("dc:a6:32:00:11:22\n".into()),
            imei: lines("490154203237518"),
            iccid: lines("+ICCID: 8949020000123456789F"),
        };
        let (report, missing) = super::report(&found).unwrap();
        assert_eq!(missing, [""; 0]);
        let want = format!(
            "{{\"version\":1,\"unit\":\"0001\",\"card\":\"{card}\",\"imei\":\"490154203237518\",\
             \"iccid\":\"8949020000123456789\",\"mac\":\"dc:a6:32:00:11:22\",\
             \"serial\":\"10000000abcdef01\"}}"
        );
        assert_eq!(serde_json::to_string(&report).unwrap(), want);
        assert!(report.to_sms().starts_with("A7670E/1 0001 490154203237518 8949020000123456789 "));
        // No modem, and an emulated board.
        found = Found { record: found.record, ..Found::default() };
        let (report, missing) = super::report(&found).unwrap();
        assert_eq!(missing, ["imei", "iccid", "mac", "serial"]);
        assert!(report.card.is_some());
        found.record = "{\"version\":1,\"unit\":null}".into();
        assert!(super::report(&found).unwrap_err().to_string().contains("names no unit"));
    }
}
