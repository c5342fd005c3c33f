//! Mounts inside the build's own mount namespace, and programs run in them.

use std::ffi::CStr;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context as _, Result};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, unmount,
};

/// Keeps what follows from being seen outside.
pub fn make_private() -> Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("cannot make mounts private")
}

/// A fresh tmpfs at `target`, which is made.
pub fn tmpfs(target: &Path) -> Result<()> {
    fs::create_dir_all(target)?;
    mount("tmpfs", target, "tmpfs", MountFlags::empty(), c"mode=755")
        .with_context(|| format!("cannot mount a tmpfs on {}", target.display()))
}

/// Shows `source` (a folder) at `target`, which is made.
pub fn bind(source: &Path, target: &Path) -> Result<()> {
    fs::create_dir_all(target)?;
    mount_bind(source, target)
        .with_context(|| format!("cannot bind {} to {}", source.display(), target.display()))
}

/// /dev and /proc, as programs need them.
pub fn system(root: &Path) -> Result<()> {
    for dir in ["dev", "proc"] {
        fs::create_dir_all(root.join(dir))?;
    }
    mount_bind_recursive("/dev", root.join("dev")).context("cannot bind /dev")?;
    // A container may forbid a fresh /proc; the caller's own must do then.
    let proc = root.join("proc");
    if mount("proc", &proc, "proc", MountFlags::empty(), None::<&CStr>).is_err() {
        mount_bind_recursive("/proc", &proc).context("cannot mount /proc")?;
    }
    Ok(())
}

/// An overlay at `target` of `lower` (first is topmost) whose changes land in
/// `upper`. All folders but `target` are relative to the current one, since
/// overlayfs gives ':' and ',' in paths a meaning.
pub fn overlay(lower: &[&str], upper: &str, target: &Path) -> Result<()> {
    let work = format!("{upper}.work");
    for dir in [upper, &work] {
        fs::create_dir_all(dir)?;
    }
    let options = format!("lowerdir={},upperdir={upper},workdir={work}\0", lower.join(":"));
    let options = CStr::from_bytes_with_nul(options.as_bytes())?;
    mount("overlay", target, "overlay", MountFlags::empty(), options).with_context(|| {
        format!(
            "cannot mount an overlay on {} (an ordinary user needs Linux 5.11 or newer)",
            target.display()
        )
    })
}

/// Takes a mount away at once, busy or not.
pub fn detach(target: &Path) -> Result<()> {
    unmount(target, UnmountFlags::DETACH)
        .with_context(|| format!("cannot unmount {}", target.display()))
}

/// A command that runs `argv` with `root` as its root, in an environment that
/// is the same on every machine.
pub fn chroot<S: AsRef<str>>(root: &Path, argv: &[S], epoch: u64) -> Command {
    // By its full path: a user's PATH need not have the sbin folders.
    let mut command = Command::new("/usr/sbin/chroot");
    command
        .arg(root)
        .args(argv.iter().map(AsRef::as_ref))
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .env("HOME", "/root")
        .env("LC_ALL", "C.UTF-8")
        .env("TZ", "UTC")
        .env("DEBIAN_FRONTEND", "noninteractive")
        .env("DEBCONF_NONINTERACTIVE_SEEN", "true")
        .env("SOURCE_DATE_EPOCH", epoch.to_string());
    command
}
