//! Ways in which an image can be bad.

use std::io::Write;

use anyhow::{Context as _, Result};

use super::bench::Bench;

/// One of them.
pub struct Fault {
    /// What is wrong.
    pub name: &'static str,
    /// The questions that must be answered badly.
    pub found_by: &'static [&'static str],
    /// Those and no others; false where all else hangs on the broken part.
    pub alone: bool,
    /// A word that the answer must have.
    pub says: &'static str,
    /// Breaks the image.
    pub make: fn(&Bench<'_>) -> Result<()>,
}

const fn alone(
    name: &'static str,
    found_by: &'static [&'static str],
    says: &'static str,
    make: fn(&Bench<'_>) -> Result<()>,
) -> Fault {
    Fault { name, found_by, alone: true, says, make }
}

const fn among_others(
    name: &'static str,
    found_by: &'static [&'static str],
    says: &'static str,
    make: fn(&Bench<'_>) -> Result<()>,
) -> Fault {
    Fault { name, found_by, alone: false, says, make }
}

/// Who finds that simcom_wwan cannot be loaded: modprobe.d of the image has it
/// loaded before option, which would take its interfaces.
const SIMCOM: &[&str] = &["9011 serial: option", "9025 network: simcom_wwan"];

/// All of them.
pub const FAULTS: &[Fault] = &[
    among_others("no boot signature", &["partition table"], "55 aa", |b| {
        b.edit(510, 2, |bytes| bytes.fill(0))
    }),
    among_others("partitions overlap", &["partition table"], "within partition 1", |b| {
        // The first sector of entry 2, less 4 MiB.
        b.edit(446 + 16 + 8, 4, |bytes| {
            let start = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]) - 8192;
            bytes.copy_from_slice(&start.to_le_bytes());
        })
    }),
    among_others("ext4: superblock damaged", &["root file system"], "e2fsck", |b| {
        // Its checksum, at byte 1020 of the superblock.
        b.edit(b.start(2) + 1024 + 1020, 4, |bytes| bytes[0] ^= 1)
    }),
    alone("ext4: block bitmap damaged", &["root file system"], "bitmap", bitmap),
    alone("FAT: the two tables differ", &["boot file system"], "FATs differ", |b| {
        let boot = b.start(1);
        let sector = b.peek(boot, 512)?;
        let reserved = u64::from(u16::from_le_bytes([sector[14], sector[15]]));
        let length = u64::from(u16::from_le_bytes([sector[36], sector[37]]));
        b.edit(boot + (reserved + length) * 512 + 40, 4, |bytes| bytes.fill(0))
    }),
    alone("start4.elf missing", &["firmware"], "start4.elf is missing", |b| {
        b.mtools("mdel", &["::start4.elf"])
    }),
    alone("device tree missing", &["config.txt", "device tree"], "bcm2711-rpi-4-b.dtb", |b| {
        b.mtools("mdel", &["::bcm2711-rpi-4-b.dtb"])
    }),
    among_others("kernel is none", &["kernel"], "no arm64 Image", |b| {
        b.boot_file("kernel8.img", &[0; 4096])
    }),
    alone("root= names another disk", &["command line"], "PARTUUID=12345678-02", |b| {
        let line = b.read_boot("cmdline.txt")?.replace("a7670e01-02", "12345678-02");
        b.boot_file("cmdline.txt", line.as_bytes())
    }),
    alone("option's file missing", &["9011 serial: option"], "option.ko", |b| {
        let release = release(b)?;
        let dir = format!("/usr/lib/modules/{release}/kernel/drivers/usb/serial");
        b.debugfs(&format!("rm {dir}/option.ko.zst\n"))?;
        Ok(())
    }),
    alone("simcom_wwan of another kernel", SIMCOM, "made for", |b| {
        let release = release(b)?;
        let mut module = b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x01\0\xb7\0".to_vec();
        module.extend(b"vermagic=6.1.0-1-arm64 SMP mod_unload aarch64\0");
        let packed = zstd::stream::encode_all(module.as_slice(), 1)?;
        let dir = format!("/usr/lib/modules/{release}/kernel/drivers/net/usb");
        b.replace(&format!("{dir}/simcom_wwan.ko.zst"), &packed)
    }),
    alone("cdc_ether blacklisted", &["9011 ECM: cdc_ether"], "blacklisted", |b| {
        b.add("/etc/modprobe.d/broken.conf", b"blacklist cdc_ether\n")
    }),
    alone("a rule that is none", &["udev rules"], "broken.rules", |b| {
        b.add("/usr/lib/udev/rules.d/99-broken.rules", b"ACTION==\"add\" RUN+=\n")
    }),
    alone("a rule for an unknown group", &["udev rules"], "nobody-has-this", |b| {
        let rule = b"KERNEL==\"null\", GROUP=\"nobody-has-this\"\n";
        b.add("/usr/lib/udev/rules.d/99-broken.rules", rule)
    }),
    alone("a unit that starts nothing", &["units"], "a7670e-broken.service", |b| {
        let unit = b"[Service]\nExecStart=/usr/bin/not-there\n";
        b.add("/usr/lib/systemd/system/a7670e-broken.service", unit)
    }),
    alone("ModemManager masked", &["services"], "ModemManager.service is masked", |b| {
        b.debugfs("symlink /etc/systemd/system/ModemManager.service /dev/null\n")?;
        Ok(())
    }),
    alone("a program for another machine", &["programs"], "/usr/bin/foreign", |b| {
        b.add("/usr/bin/foreign", b"\x7fELF\x02\x01\x01\0\0\0\0\0\0\0\0\0\x02\0\x3e\0")
    }),
    alone("root has a password", &["passwords"], "root has a password", |b| {
        let shadow = b.read("/etc/shadow")?;
        let (_, rest) = shadow.split_once('\n').context("/etc/shadow has one line")?;
        b.replace("/etc/shadow", format!("root:$6$x$y:20000:0:99999:7:::\n{rest}").as_bytes())
    }),
    alone("SSH takes passwords", &["SSH server"], "passwordauthentication is yes", |b| {
        b.add("/etc/ssh/sshd_config.d/00-broken.conf", b"PasswordAuthentication yes\n")
    }),
    alone("an SSH host key", &["SSH host keys"], "ssh_host_ed25519_key", |b| {
        b.add("/etc/ssh/ssh_host_ed25519_key", b"-----BEGIN OPENSSH PRIVATE KEY-----\n")
    }),
    alone("a machine id", &["machine id"], "0123456789abcdef", |b| {
        b.replace("/etc/machine-id", b"0123456789abcdef0123456789abcdef\n")
    }),
    alone("a random seed", &["seeds"], "random-seed", |b| {
        b.add("/var/lib/systemd/random-seed", &[7; 32])
    }),
    alone("the builder's path, packed", &["build machine"], "(unpacked)", |b| {
        let text = format!("built in {}\n", b.ctx.cache.join("stages/x").display());
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all(text.as_bytes())?;
        b.add("/usr/share/broken.gz", &gzip.finish()?)
    }),
];

/// Flips a bit of the first group's block bitmap.
fn bitmap(b: &Bench<'_>) -> Result<()> {
    let said = b.debugfs("stats\n")?;
    let rest = said.split_once("block bitmap at ").context("debugfs shows no block bitmap")?.1;
    let digits: String = rest.chars().take_while(char::is_ascii_digit).collect();
    let block: u64 = digits.parse().context("debugfs shows no block number")?;
    b.edit(b.start(2) + block * 4096, 4096, |bytes| bytes[100] ^= 4)
}

/// The one kernel release that the root has modules for.
fn release(b: &Bench<'_>) -> Result<String> {
    let list = b.debugfs("ls -p /usr/lib/modules\n")?;
    // /inode/mode/owner/group/name/size/
    let mut names = list.lines().filter_map(|line| line.split('/').nth(5));
    let release = names.rfind(|name| name.starts_with(|c: char| c.is_ascii_digit()));
    Ok(release.context("the root has no modules")?.to_owned())
}
