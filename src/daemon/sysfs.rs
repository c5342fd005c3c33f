//! Reads the facts about USB devices from sysfs.
//!
//! Devices come and go while it reads, so whatever vanishes on the way is
//! simply not there; every other error is one.

use std::ffi::OsStr;
use std::fs;
use std::io::{self, ErrorKind};
use std::path::Path;

use anyhow::{Context, Result};
use rustix::io::Errno;

use crate::modem::catalogue;
use crate::modem::facts::{DeviceFacts, InterfaceFacts};
use crate::modem::usb_path::UsbPath;

/// Reads all devices that may be modems below `root` (`/sys`, or a tree of the
/// same shape).
///
/// # Errors
/// `root` does not exist, or something in it cannot be read for another reason
/// than having vanished. A kernel without USB yields no device, not an error.
pub fn scan(root: &Path) -> Result<Vec<DeviceFacts>> {
    fs::metadata(root).with_context(|| format!("no sysfs at {}", root.display()))?;
    let bus = root.join("bus/usb/devices");
    let mut devices = Vec::new();
    for name in list(&bus)? {
        let Ok(path) = name.parse::<UsbPath>() else {
            continue;
        };
        if let Some(device) = device(&bus.join(&name), path)? {
            devices.push(device);
        }
    }
    Ok(devices)
}

fn device(dir: &Path, path: UsbPath) -> Result<Option<DeviceFacts>> {
    let (Some(vendor), Some(product)) = (hex(dir, "idVendor")?, hex(dir, "idProduct")?) else {
        return Ok(None);
    };
    if !catalogue::is_candidate(vendor, product) {
        return Ok(None);
    }
    let prefix = format!("{path}:");
    let mut interfaces = Vec::new();
    for name in list(dir)?.iter().filter(|name| name.starts_with(&prefix)) {
        interfaces.extend(interface(&dir.join(name))?);
    }
    Ok(Some(DeviceFacts { path, vendor, product, interfaces }))
}

fn interface(dir: &Path) -> Result<Option<InterfaceFacts>> {
    let mut fields = [0; 4];
    let names = ["bInterfaceNumber", "bInterfaceClass", "bInterfaceSubClass", "bInterfaceProtocol"];
    for (field, name) in fields.iter_mut().zip(names) {
        match hex(dir, name)?.map(u8::try_from) {
            Some(Ok(value)) => *field = value,
            Some(Err(error)) => {
                return Err(error).with_context(|| dir.join(name).display().to_string());
            }
            None => return Ok(None),
        }
    }
    let [number, class, subclass, protocol] = fields;
    Ok(Some(InterfaceFacts {
        number,
        class: [class, subclass, protocol],
        driver: driver(dir)?,
        tty: tty(dir)?,
        net: list(&dir.join("net"))?.into_iter().next(),
        control: list(&dir.join("usbmisc"))?.into_iter().next(),
    }))
}

/// usb-serial drivers put a port device between (`ttyUSB0/tty/ttyUSB0`),
/// cdc_acm does not (`tty/ttyACM0`).
fn tty(dir: &Path) -> Result<Option<String>> {
    if let Some(name) = list(&dir.join("tty"))?.into_iter().next() {
        return Ok(Some(name));
    }
    for port in list(dir)?.iter().filter(|name| name.starts_with("tty")) {
        if let Some(name) = list(&dir.join(port).join("tty"))?.into_iter().next() {
            return Ok(Some(name));
        }
    }
    Ok(None)
}

fn driver(dir: &Path) -> Result<Option<String>> {
    let link = dir.join("driver");
    let target = unless_gone(fs::read_link(&link)).with_context(|| link.display().to_string())?;
    Ok(target.as_deref().and_then(Path::file_name).and_then(OsStr::to_str).map(str::to_owned))
}

/// A hexadecimal attribute without `0x`, as all USB descriptor fields are.
fn hex(dir: &Path, name: &str) -> Result<Option<u16>> {
    let path = dir.join(name);
    let text =
        unless_gone(fs::read_to_string(&path)).with_context(|| path.display().to_string())?;
    text.map(|text| {
        u16::from_str_radix(text.trim_end(), 16).with_context(|| {
            format!("{}: `{}` is no hexadecimal number", path.display(), text.trim_end())
        })
    })
    .transpose()
}

/// Names in a directory, sorted; none when there is no such directory. Kernel
/// names are ASCII, so any other name is not the kernel's.
fn list(dir: &Path) -> Result<Vec<String>> {
    let read = || -> io::Result<Vec<String>> {
        fs::read_dir(dir)?
            .filter_map(|entry| entry.map(|entry| entry.file_name().into_string().ok()).transpose())
            .collect()
    };
    let names = unless_gone(read()).with_context(|| dir.display().to_string())?;
    let mut names = names.unwrap_or_default();
    names.sort_unstable();
    Ok(names)
}

/// What sysfs answers for a device that went away between two reads.
fn unless_gone<T>(result: io::Result<T>) -> io::Result<Option<T>> {
    match result {
        Ok(value) => Ok(Some(value)),
        Err(error) => match Errno::from_io_error(&error) {
            Some(Errno::NODEV | Errno::NXIO) => Ok(None),
            _ if error.kind() == ErrorKind::NotFound => Ok(None),
            _ => Err(error),
        },
    }
}

#[cfg(test)]
mod tests;
