//! `a7670e first-boot`: makes this device the unit that its card says.

use std::path::PathBuf;

use anyhow::Result;

use super::client::write_out;
use crate::firstboot::{self, Device, Done};

/// Does it, or with `dry` tells the steps; `root` is `/`, or a tree elsewhere.
///
/// # Errors
/// A file on the boot partition is wrong, or the disk is; both are also told
/// where people look without a terminal.
pub fn run(root: PathBuf, dry: bool) -> Result<()> {
    // Every file and folder is made with its own mode.
    rustix::process::umask(rustix::fs::Mode::empty());
    let mut device = Device::new(root);
    let done = firstboot::run(&mut device, dry);
    match done {
        Ok(Done::Nothing) => write_out("The boot partition says nothing of this device.\n"),
        Ok(Done::Planned(steps)) => {
            let text: String = steps.iter().flat_map(|step| [step.as_str(), "\n"]).collect();
            write_out(&text)
        }
        Ok(Done::Made(report)) => write_out(&report),
        Err(trouble) => {
            if !dry {
                firstboot::tell(&mut device, &trouble);
            }
            Err(trouble.into())
        }
    }
}
