//! The rungs of recovery that are beyond the modem's own commands.

use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::cut::{self, Cut};
use super::power::Supply;
use super::{gpio, power};
use crate::modem::usb_path::UsbPath;
use crate::policy::ladder::Rung;

/// How long the device is without leave: long enough for the kernel to have let
/// go of everything (usb_deauthorize_device in drivers/usb/core/hub.c is done
/// when the write returns), and for programs to hear of it.
const PAUSE: Duration = Duration::from_secs(1);

/// Where things are, and what there is to cut the power by.
#[derive(Debug, Clone)]
pub struct Tools {
    /// Where sysfs is.
    pub sysfs: PathBuf,
    /// Where device nodes are.
    pub dev: PathBuf,
    /// Where state is kept.
    pub state: PathBuf,
    /// What the power can be cut by.
    pub supply: Option<Supply>,
}

/// Does what the rung says.
///
/// # Errors
/// The kernel or the service manager refused, or there is nothing to do it with.
pub async fn climb(tools: &Tools, modem: &UsbPath, rung: Rung) -> Result<()> {
    let folder = tools.state.join(modem.to_string());
    match (rung, &tools.supply) {
        (Rung::UsbReauthorise, _) => {
            let device = tools.sysfs.join("bus/usb/devices").join(modem.to_string());
            let files = vec![device.join("authorized")];
            cut::make(Cut { files, away: "0", back: "1", pause: PAUSE }, &folder).await
        }
        (Rung::PowerCycle, Some(Supply::Usb { whole_hub })) => {
            cut::make(power::usb(&tools.sysfs, modem, *whole_hub)?, &folder).await
        }
        (Rung::PowerCycle, Some(Supply::Gpio(line))) => {
            gpio::cycle(&gpio::Kernel, &tools.dev, line).await
        }
        (Rung::Reboot, _) => reboot().await,
        (other, _) => bail!("there is no way here for {other}"),
    }
}

/// By systemd-logind, which asks polkit: this user may reboot and no more.
async fn reboot() -> Result<()> {
    let bus = zbus::Connection::system().await.context("no system bus")?;
    bus.call_method(
        Some("org.freedesktop.login1"),
        "/org/freedesktop/login1",
        Some("org.freedesktop.login1.Manager"),
        "Reboot",
        &false,
    )
    .await
    .context("systemd-logind does not reboot")?;
    Ok(())
}
