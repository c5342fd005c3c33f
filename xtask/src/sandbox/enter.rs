//! The inner half of [`super::Sandbox`]: sets up the mounts, then becomes the
//! tool that was asked for.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use rustix::fs::Mode;
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind, mount_bind_recursive,
    mount_change, mount_remount, unmount,
};

use super::{Bind, Spec};

/// Entry point of the inner process; returns only when the tool could not be
/// started.
pub fn main() -> ExitCode {
    match enter() {
        Ok(never) => match never {},
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(125)
        }
    }
}

fn enter() -> Result<std::convert::Infallible> {
    let mut args = std::env::args().skip(2);
    let spec = args.next().context("no specification given")?;
    let spec: Spec = serde_json::from_str(&spec).context("unreadable specification")?;
    let program = args.next().context("no program given")?;

    rustix::system::sethostname(spec.hostname.as_bytes()).context("cannot set the host name")?;
    rustix::process::umask(Mode::from_raw_mode(0o022));
    isolate(&spec).with_context(|| format!("cannot set up {}", spec.root.display()))?;
    std::env::set_current_dir(&spec.cwd)
        .with_context(|| format!("no folder {} in the tools root", spec.cwd.display()))?;
    let error = Command::new(&program)
        .args(args)
        .env_clear()
        .envs(spec.env.iter().map(|(k, v)| (k, v)))
        .exec();
    Err(error).with_context(|| format!("cannot run {program} in the tools root"))
}

fn isolate(spec: &Spec) -> Result<()> {
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)
        .context("cannot make mounts private")?;
    let root = &spec.root;
    mount_bind(root, root).context("cannot bind the root")?;
    if spec.network {
        share_name_servers(root).context("cannot share /etc/resolv.conf")?;
    }
    if !spec.writable {
        mount_remount(root, MountFlags::BIND | MountFlags::RDONLY, "")
            .context("cannot make the root read-only")?;
    }
    for (dir, mode) in [("work", c"mode=755"), ("tmp", c"mode=1777"), ("run", c"mode=755")] {
        mount("tmpfs", root.join(dir), "tmpfs", MountFlags::empty(), mode)
            .with_context(|| format!("cannot mount a tmpfs on /{dir}"))?;
    }
    mount_bind_recursive("/dev", root.join("dev")).context("cannot bind /dev")?;
    mount_proc(&root.join("proc"))?;
    for item in &spec.binds {
        bind(item, root).with_context(|| format!("cannot bind {}", item.host.display()))?;
    }
    // Not chroot: tools that make namespaces of their own need a real root.
    std::env::set_current_dir(root)?;
    rustix::process::pivot_root(".", ".").context("cannot pivot")?;
    unmount(".", UnmountFlags::DETACH).context("cannot detach the host's root")?;
    Ok(())
}

/// The host's file, wherever its link leads, over the root's own.
fn share_name_servers(root: &Path) -> Result<()> {
    let Ok(host) = Path::new("/etc/resolv.conf").canonicalize() else {
        return Ok(());
    };
    let target = root.join("etc/resolv.conf");
    if !target.is_file() {
        File::create(&target)?;
    }
    mount_bind(&host, &target)?;
    Ok(())
}

/// A container may forbid a fresh /proc; the caller's own must do then.
fn mount_proc(target: &Path) -> Result<()> {
    if mount("proc", target, "proc", MountFlags::empty(), None::<&std::ffi::CStr>).is_err() {
        mount_bind_recursive("/proc", target).context("cannot mount /proc")?;
    }
    Ok(())
}

fn bind(item: &Bind, root: &Path) -> Result<()> {
    let target = root.join("work").join(&item.name);
    if item.host.is_dir() {
        std::fs::create_dir_all(&target)?;
    } else {
        if let Some(parent) = target.parent() {
            std::fs::create_dir_all(parent)?;
        }
        File::create(&target)?;
    }
    mount_bind(&item.host, &target)?;
    if !item.writable {
        // Flags that the host set may not be cleared in a user namespace, so
        // a plain read-only remount can be refused; then the bind stays
        // writable, which harms only a misbehaving tool.
        let _ = mount_remount(&target, MountFlags::BIND | MountFlags::RDONLY, "");
    }
    Ok(())
}
