//! The rungs of recovery that are beyond the modem's own commands.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};

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
    /// The program that reboots the device; none to ask systemd-logind.
    pub reboot: Option<PathBuf>,
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
        (Rung::Reboot, _) => match &tools.reboot {
            Some(program) => reboot_by(program).await,
            None => reboot().await,
        },
        (other, _) => bail!("there is no way here for {other}"),
    }
}

/// By a program, where init is not systemd: busybox's `reboot` has init run the
/// scripts of the way down.
async fn reboot_by(program: &Path) -> Result<()> {
    let status = tokio::process::Command::new(program)
        .stdin(std::process::Stdio::null())
        .status()
        .await
        .with_context(|| format!("cannot run {}", program.display()))?;
    ensure!(status.success(), "{} ended with {status}", program.display());
    Ok(())
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

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// A modem at 1-1, with the files that the rungs write to.
    fn tools(root: &Path, supply: Option<Supply>) -> Tools {
        let tools = |name: &str| root.join(name);
        for (file, value) in [
            ("sys/bus/usb/devices/1-1/authorized", "1"),
            ("sys/bus/usb/devices/1-0:1.0/usb1-port1/disable", "0"),
            ("state/1-1/memory.json", "{}"),
        ] {
            fs::create_dir_all(root.join(file).parent().unwrap()).unwrap();
            fs::write(root.join(file), value).unwrap();
        }
        Tools {
            sysfs: tools("sys"),
            dev: tools("dev"),
            state: tools("state"),
            supply,
            reboot: None,
        }
    }

    #[test]
    fn without_logind_a_program_reboots() {
        let root = tempfile::tempdir().unwrap();
        let by = |program: &Path| {
            let tools = Tools { reboot: Some(program.into()), ..tools(root.path(), None) };
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
            runtime.unwrap().block_on(climb(&tools, &"1-1".parse().unwrap(), Rung::Reboot))
        };
        by(Path::new("true")).unwrap();
        let error = format!("{:#}", by(Path::new("false")).unwrap_err());
        assert!(error.contains("false ended with"), "{error}");
        let absent = root.path().join("absent");
        let error = format!("{:#}", by(&absent).unwrap_err());
        assert!(error.contains(&format!("cannot run {}", absent.display())), "{error}");
    }

    /// Climbs, and gives what `file` had while it lasted, each value once.
    fn seen(root: &Path, supply: Option<Supply>, rung: Rung, file: &str) -> Result<Vec<String>> {
        let (tools, modem) = (tools(root, supply), "1-1".parse().unwrap());
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let read = || fs::read_to_string(root.join(file)).unwrap();
        let mut values = vec![read()];
        runtime.block_on(async {
            let work = climb(&tools, &modem, rung);
            tokio::pin!(work);
            loop {
                let step = tokio::time::timeout(Duration::from_millis(10), &mut work).await;
                // Between opening and writing it is empty.
                let value = Some(read()).filter(|value| !value.is_empty());
                values.extend(value.filter(|value| values.last() != Some(value)));
                if let Ok(done) = step {
                    return done;
                }
            }
        })?;
        Ok(values)
    }

    #[test]
    fn each_rung_takes_something_and_gives_it_back() {
        let root = tempfile::tempdir().unwrap();
        let authorized = "sys/bus/usb/devices/1-1/authorized";
        let values = seen(root.path(), None, Rung::UsbReauthorise, authorized).unwrap();
        assert_eq!(values, ["1", "0", "1"]);
        let disable = "sys/bus/usb/devices/1-0:1.0/usb1-port1/disable";
        for whole_hub in [false, true] {
            let supply = Some(Supply::Usb { whole_hub });
            let values = seen(root.path(), supply, Rung::PowerCycle, disable).unwrap();
            assert_eq!(values, ["0", "1", "0"], "{whole_hub}");
        }
        let none = seen(root.path(), None, Rung::PowerCycle, disable).unwrap_err().to_string();
        assert_eq!(none, "there is no way here for the modem's power off and on");
    }
}
