//! The other way to configure: mmdebstrap, and the target's own programs under
//! qemu-user. Slow, and without any of cross-configure's own ideas: the
//! fallback for packages that need it, and the judge of the fast way.

use std::fs;

use anyhow::{Context as _, Result};

use super::packages::{ARCH, SUITE};
use super::{Chosen, DPKG_CONFIG, IDS, clean, ids, inputs, prove, repository};
use crate::context::Context;
use crate::sandbox::Ids;
use crate::stage::{self, Room, Stage};
use crate::tools::Tools;
use crate::tree::archive;

/// Host name inside the sandbox.
const HOST_NAME: &str = "a7670e-build";

/// The host's own registration of an emulator, of use when the kernel is too
/// old for private ones.
const HOST_BINFMT: &str = "/proc/sys/fs/binfmt_misc/qemu-aarch64";

/// Lets the kernel run arm64 programs by the emulator of the tools root. Magic
/// and mask pick 64-bit little-endian ELF programs and shared objects for
/// machine 183 (QEMU, scripts/qemu-binfmt-conf.sh). F opens the emulator now,
/// as the image has none.
pub const REGISTER: &str = r#"
if mount -t binfmt_misc binfmt_misc /proc/sys/fs/binfmt_misc 2>/tmp/why; then
    printf '%s' ':qemu-aarch64:M::\x7fELF\x02\x01\x01\x00\x00\x00\x00\x00\x00\x00\x00\x00\x02\x00\xb7\x00:\xff\xff\xff\xff\xff\xff\xff\x00\xff\xff\xff\xff\xff\xff\xff\xff\xfe\xff\xff\xff:/usr/bin/qemu-aarch64:F' \
        >/proc/sys/fs/binfmt_misc/register
elif [ -z "$HOST_BINFMT" ]; then
    cat /tmp/why >&2
    echo 'Emulation needs Linux 6.7 or newer, or qemu-user-binfmt installed on the host.' >&2
    exit 1
fi
exec "$@"
"#;

/// Makes `rootfs.tar`, or finds it in the cache. `rig` is the set
/// [`crate::tools::Set::Rig`].
pub fn build(ctx: &Context, rig: &Tools, chosen: &Chosen) -> Result<Stage> {
    let inputs = inputs(ctx, chosen)?.value("mode", "emulated").value("tools", rig.digest());
    stage::run(ctx, "rootfs-emulated", inputs, |room| {
        room.step.message("running mmdebstrap under qemu-user; this takes minutes");
        emulate(ctx, rig, chosen, room)?;
        let raw = room.scratch.join("raw.tar");
        let mut root = archive::read(&raw)?;
        clean::clean(&mut root);
        fs::write(room.out.join("proof.log"), prove::prove(&root, HOST_NAME)?)?;
        let unpinned = ids::unpinned(&root, &fs::read_to_string(ctx.path(IDS))?)?;
        fs::write(room.out.join("unpinned.log"), unpinned.join("\n"))?;
        archive::write(&root, &room.out.join("rootfs.tar"), chosen.target.epoch())
    })
}

fn emulate(ctx: &Context, rig: &Tools, chosen: &Chosen, room: &Room<'_>) -> Result<()> {
    let repository = room.scratch.join("repository");
    stage::remove_tree(&repository)?;
    repository::write(chosen, &repository, "/work/pool")?;
    let said = room.scratch.join("said");
    fs::create_dir_all(&said)?;
    let filters = super::dpkg_filters(&ctx.path(DPKG_CONFIG))?;

    let names: Vec<_> = chosen.files().into_iter().map(|(name, _)| name).collect();
    let mut argv: Vec<String> =
        ["sh", "-ec", REGISTER, "sh", "mmdebstrap", "--mode=root", "--variant=essential"]
            .map(String::from)
            .to_vec();
    // The kernel was just told how to run arm64 programs; mmdebstrap's own
    // test looks for a file of a package.
    argv.push("--skip=check/qemu".into());
    argv.push(format!("--architectures={ARCH}"));
    argv.push(format!("--include={}", names.join(",")));
    argv.push("--aptopt=APT::Install-Recommends \"false\"".into());
    argv.push("--dpkgopt=force-unsafe-io".into());
    argv.extend(filters.iter().map(|f| format!("--dpkgopt={}", f.trim_start_matches('-'))));
    // As cross-configure does, before any script asks for an id; then what
    // dpkg thinks of the result.
    argv.push("--essential-hook=systemd-sysusers --root=\"$1\" /work/ids.conf".into());
    for question in ["audit", "verify"] {
        argv.push(format!(
            "--customize-hook=chroot \"$1\" dpkg --{question} >/work/said/{question} || true"
        ));
    }
    argv.push(SUITE.into());
    argv.push("/work/scratch/raw.tar".into());
    argv.push(format!("deb [trusted=yes] copy:/work/repository {SUITE} main"));

    let mut sandbox = rig
        .sandbox()
        .ids(Ids::Private)
        .bind(&repository, "repository")
        .bind(&ctx.cache_dir("pool")?, "pool")
        .bind(&ctx.path(IDS), "ids.conf")
        .bind_writable(&said, "said")
        .bind_writable(room.scratch, "scratch")
        .env("TMPDIR", "/tmp")
        .env("SOURCE_DATE_EPOCH", &chosen.target.epoch().to_string());
    if fs::read_to_string(HOST_BINFMT).is_ok_and(|text| text.starts_with("enabled")) {
        sandbox = sandbox.env("HOST_BINFMT", "1");
    }
    sandbox.run(&argv, &room.out.join("configure.log"))?;
    for question in ["audit", "verify"] {
        let text = fs::read_to_string(said.join(question))
            .with_context(|| format!("mmdebstrap did not run dpkg --{question}"))?;
        prove::dpkg_said(&format!("--{question}"), &text, &filters)?;
    }
    Ok(())
}
