//! The emulator's command line.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::PathBuf;

use a7670e_emulator::bus::Bus;
use a7670e_emulator::control::Control;
use a7670e_emulator::data::DataPath;
use a7670e_emulator::data::far::FarEnd;
use a7670e_emulator::data::side::FarSide;
use a7670e_emulator::data::tun::Tun;
use a7670e_emulator::fault::FaultScript;
use a7670e_emulator::modem::{Modem, Port};
use a7670e_emulator::profile::Profile;
use a7670e_emulator::replay::Transcript;
use a7670e_emulator::serve::serve;
use a7670e_emulator::transport::{AbstractSocket, Pty, Transport};
use a7670e_emulator::usb::host::HostPort;
use a7670e_emulator::usb::redir::port::RedirPort;
use a7670e_emulator::usb::redir::session::Care;
use a7670e_emulator::usb::usbip::port::UsbIpPort;
use anyhow::{Context, Result, bail};
use lexopt::prelude::*;

/// Manual page and completions are made of it too (`manual`).
const HELP: &str = include_str!("help.txt");

struct Options {
    profile: String,
    boot_ms: Option<u64>,
    seed: u64,
    faults: FaultScript,
    control: Option<Control>,
    transcript: Transcript,
    transports: Vec<Box<dyn Transport>>,
    usbredir: Option<PathBuf>,
    care: Care,
    usbip: Option<SocketAddr>,
    tun: Option<String>,
}

/// Where USB/IP's clients look (IANA).
const USBIP: SocketAddr =
    SocketAddr::new(std::net::IpAddr::V4(std::net::Ipv4Addr::LOCALHOST), 3240);

fn main() -> Result<()> {
    let Some(mut options) = parse(std::env::args_os())? else { return Ok(()) };
    let usb = options.usbredir.is_some() || options.usbip.is_some();
    if options.transports.is_empty() && !usb {
        bail!(
            "nobody could talk to this modem: give --usbredir SOCKET, --usbip, --pty DIR or \
             --abstract NAME (see --help)"
        );
    }
    if options.tun.is_some() && !usb {
        bail!("--tun: packets come by USB only; give --usbredir SOCKET or --usbip");
    }
    let mut profile = Profile::load(&options.profile)?;
    if let Some(boot_ms) = options.boot_ms {
        profile.timing = profile.timing.scaled(boot_ms);
    }
    options.faults.fits(&profile).map_err(anyhow::Error::msg).context("--fault")?;
    println!("{}", profile.about);
    let port = match (options.usbredir, options.usbip) {
        (Some(_), Some(_)) => bail!("--usbredir and --usbip: a device has one plug"),
        (Some(path), None) => Some(HostPort::Redir(RedirPort::new(path, options.care))),
        (None, Some(address)) => {
            let port = UsbIpPort::listen(address).with_context(|| format!("--usbip {address}"))?;
            // The system chose the port where 0 was given.
            println!("USB/IP on {}", port.address()?);
            Some(HostPort::UsbIp(port))
        }
        (None, None) => None,
    };
    let far = match options.tun {
        Some(name) => FarSide::Tun(Tun::open(&name).with_context(|| {
            format!("--tun {name}: needs /dev/net/tun and CAP_NET_ADMIN (see --help)")
        })?),
        None => FarSide::Within(Box::new(FarEnd::new(options.seed))),
    };
    let data = DataPath::new(options.seed);
    let mut bus = port.map(|port| Bus::new(profile.usb.clone(), port, data, far));
    let mut modem = Modem::new(profile, options.faults, options.seed);
    modem.replay(options.transcript);
    serve(&mut modem, &mut options.transports, bus.as_mut(), options.control.as_ref(), || false)
        .context("a port of the modem broke")
}

fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Option<Options>> {
    let mut options = Options {
        profile: "a7670e-ecm".into(),
        boot_ms: None,
        seed: 0,
        faults: FaultScript::default(),
        control: None,
        transcript: Transcript::default(),
        transports: Vec::new(),
        usbredir: None,
        care: Care::None,
        usbip: None,
        tun: None,
    };
    let mut sockets = [Port::At, Port::Modem].into_iter();
    let mut parser = lexopt::Parser::from_iter(arguments);
    while let Some(argument) = parser.next()? {
        match argument {
            Long("profile") => options.profile = parser.value()?.string()?,
            Long("boot-ms") => options.boot_ms = Some(parser.value()?.parse()?),
            Long("seed") => options.seed = parser.value()?.parse()?,
            Long("fault") => {
                let path = PathBuf::from(parser.value()?);
                let text = std::fs::read_to_string(&path);
                let script = text
                    .map_err(anyhow::Error::from)
                    .and_then(|text| Ok(FaultScript::parse(&text)?));
                options.faults = script.with_context(|| path.display().to_string())?;
            }
            Long("replay") => {
                let path = PathBuf::from(parser.value()?);
                let text = std::fs::read_to_string(&path);
                let transcript = text
                    .map_err(anyhow::Error::from)
                    .and_then(|text| Ok(Transcript::parse(&text)?));
                options.transcript = transcript.with_context(|| path.display().to_string())?;
            }
            Long("control") => {
                let path = PathBuf::from(parser.value()?);
                let control = Control::listen(&path)
                    .with_context(|| format!("--control {}", path.display()))?;
                options.control = Some(control);
            }
            Long("pty") => {
                let folder = PathBuf::from(parser.value()?);
                if !folder.is_dir() {
                    bail!("--pty {}: make this folder first", folder.display());
                }
                for (port, name) in [(Port::At, "at"), (Port::Modem, "modem")] {
                    options.transports.push(Box::new(Pty::new(port, folder.join(name))));
                }
            }
            Long("abstract") => {
                let name = parser.value()?.string()?;
                let port = sockets.next().context("--abstract: a modem has two such ports")?;
                let name =
                    if name.starts_with("abstract:") { name } else { format!("abstract:{name}") };
                options.transports.push(Box::new(AbstractSocket::new(port, name)));
            }
            Long("usbredir") => options.usbredir = Some(PathBuf::from(parser.value()?)),
            Long("usbip") => options.usbip = Some(address(&mut parser)?),
            Long("tun") => options.tun = Some(parser.value()?.string()?),
            Long("dwc2") => options.care = Care::Dwc2,
            Long("list-faults") => {
                print!("{}", a7670e_emulator::fault::MANUAL);
                return Ok(None);
            }
            Long("list-profiles") => {
                for (name, about) in Profile::list()? {
                    println!("{name:16} {about}");
                }
                return Ok(None);
            }
            Short('h') | Long("help") => {
                print!("{HELP}");
                return Ok(None);
            }
            other => return Err(other.unexpected().into()),
        }
    }
    Ok(Some(options))
}

/// The address behind an option, if there is one.
fn address(parser: &mut lexopt::Parser) -> Result<SocketAddr> {
    if let Some(value) = parser.optional_value() {
        return Ok(value.parse()?);
    }
    let Some(mut rest) = parser.try_raw_args() else { return Ok(USBIP) };
    let next = rest.peek().and_then(|next| next.to_str()?.parse().ok());
    if next.is_some() {
        rest.next();
    }
    Ok(next.unwrap_or(USBIP))
}

#[cfg(test)]
mod tests {
    use super::HELP;

    #[test]
    fn the_help_has_every_option_and_no_other() {
        let source = include_str!("main.rs");
        let names = source.split(concat!("Long", "(\"")).skip(1);
        let mut taken: Vec<_> = names.filter_map(|rest| rest.split('"').next()).collect();
        let lines = HELP.lines().filter_map(|line| line.trim_start().strip_prefix("--"));
        let mut shown: Vec<_> = lines.filter_map(|line| line.split(' ').next()).collect();
        // Behind its short one.
        shown.push("help");
        taken.sort_unstable();
        shown.sort_unstable();
        assert_eq!(taken, shown);
        assert!(taken.len() > 10);
    }
}
