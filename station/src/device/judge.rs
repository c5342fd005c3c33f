//! Whether a target may be written: a function of facts.

use super::{Kind, Target, Use};

/// Larger disks are hardly cards; SDXC cards of this size exist.
pub const LARGEST: u64 = 512_000_000_000;

/// What the judgement depends on besides the target.
#[derive(Clone, Copy, Debug, Default)]
pub struct Rules {
    /// Bytes of the image, where known.
    pub image: Option<u64>,
    /// The user insists on a large disk.
    pub yes_really: bool,
}

/// Why a target is not written.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// It holds the running system.
    #[error("it holds this computer's {0}")]
    System(String),
    /// It is mounted.
    #[error("{device} is mounted at {at}: unmount it first, if it is the right one")]
    Mounted {
        /// Kernel name.
        device: String,
        /// Where.
        at: String,
    },
    /// It is swap.
    #[error("{0} is this computer's swap")]
    Swap(String),
    /// It is part of something.
    #[error("{device} is in use by {by} (RAID, LVM, encryption or the like)")]
    Held {
        /// Kernel name.
        device: String,
        /// Kernel name.
        by: String,
    },
    /// It looks like part of something.
    #[error("{device} is a member of {of}: wipe it first with `wipefs`, if it is the right one")]
    Member {
        /// Kernel name.
        device: String,
        /// What.
        of: &'static str,
    },
    /// A partition.
    #[error("it is a partition; an image has its own: name the disk, {0}")]
    Partition(String),
    /// A device that is no disk.
    #[error("it is no disk but made by the kernel of others")]
    Virtual,
    /// Another name of a device.
    #[error("it is a loop device on the block device {0}: name that")]
    Nested(String),
    /// No card in the reader.
    #[error("there is no card in it")]
    Empty,
    /// Its lock is set.
    #[error("it is write-protected: move the card's lock, or use another reader")]
    ReadOnly,
    /// Too small.
    #[error("it has {card} bytes, the image {image}: take a larger card")]
    Small {
        /// Bytes.
        card: u64,
        /// Bytes.
        image: u64,
    },
    /// Suspiciously large.
    #[error("it has {} GB, more than any card that is meant: say --yes-really if it is right", .0 / 1_000_000_000)]
    Large(u64),
}

/// All that speaks against writing the target; nothing does when it is empty.
/// Only [`Refusal::Large`] can be overruled.
#[must_use]
pub fn judge(target: &Target, rules: Rules) -> Vec<Refusal> {
    let mut against = Vec::new();
    for used in &target.uses {
        let refusal = refusal(used);
        if !against.contains(&refusal) {
            against.push(refusal);
        }
    }
    match &target.kind {
        Kind::Partition(disk) => against.push(Refusal::Partition(disk.clone())),
        Kind::Virtual => against.push(Refusal::Virtual),
        Kind::Nested(device) => against.push(Refusal::Nested(device.clone())),
        // It grows as it must.
        Kind::File => return against,
        Kind::Disk | Kind::Loop(_) => {}
    }
    if target.size == 0 {
        against.push(Refusal::Empty);
        return against;
    }
    if target.read_only {
        against.push(Refusal::ReadOnly);
    }
    match rules.image {
        Some(image) if target.size < image => {
            against.push(Refusal::Small { card: target.size, image });
        }
        _ => {}
    }
    if target.size > LARGEST && !rules.yes_really {
        against.push(Refusal::Large(target.size));
    }
    against
}

fn refusal(used: &Use) -> Refusal {
    match used.clone() {
        Use::Mounted { at, .. } if is_system(&at) => Refusal::System(at),
        Use::Mounted { device, at } => Refusal::Mounted { device, at },
        Use::Swap { device } => Refusal::Swap(device),
        Use::Held { device, by } => Refusal::Held { device, by },
        Use::Member { device, of } => Refusal::Member { device, of },
    }
}

/// Whether a computer needs what is mounted there.
fn is_system(at: &str) -> bool {
    let under = |dir: &str| {
        at.strip_prefix(dir).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    at == "/" || ["/boot", "/home", "/usr", "/var", "/efi"].iter().any(|dir| under(dir))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn card(size: u64) -> Target {
        Target {
            path: "/dev/sdb".into(),
            name: "sdb".into(),
            kind: Kind::Disk,
            instance: (0, 0),
            size,
            read_only: false,
            removable: true,
            model: None,
            serial: None,
            cid: None,
            uses: Vec::new(),
        }
    }

    const GB: u64 = 1_000_000_000;

    #[test]
    fn an_unused_card_is_fine() {
        let rules = Rules { image: Some(GB), yes_really: false };
        assert_eq!(judge(&card(32 * GB), rules), []);
        assert_eq!(judge(&card(GB), rules), []);
        assert_eq!(judge(&card(LARGEST), rules), []);
    }

    #[test]
    fn size_counts() {
        let rules = Rules { image: Some(GB), yes_really: false };
        assert_eq!(judge(&card(GB - 1), rules), [Refusal::Small { card: GB - 1, image: GB }]);
        assert_eq!(judge(&card(0), rules), [Refusal::Empty]);
        assert_eq!(judge(&card(LARGEST + 1), rules), [Refusal::Large(LARGEST + 1)]);
        let insisting = Rules { yes_really: true, ..rules };
        assert_eq!(judge(&card(LARGEST + 1), insisting), []);
        let file = Target { kind: Kind::File, ..card(0) };
        assert_eq!(judge(&file, rules), []);
    }

    #[test]
    fn nothing_overrules_use() {
        let mounted = |at: &str| Use::Mounted { device: "sdb1".into(), at: at.into() };
        let insisting = Rules { image: None, yes_really: true };
        for (used, want) in [
            (mounted("/"), "it holds this computer's /"),
            (mounted("/boot/firmware"), "it holds this computer's /boot/firmware"),
            (mounted("/home"), "it holds this computer's /home"),
            (mounted("/media/x"), "unmount it"),
            (mounted("/homework"), "unmount it"),
            (Use::Swap { device: "sdb2".into() }, "swap"),
            (Use::Held { device: "sdb1".into(), by: "md0".into() }, "md0"),
            (Use::Member { device: "sdb1".into(), of: "ZFS" }, "ZFS"),
        ] {
            let target = Target { uses: vec![used.clone(), used], ..card(GB) };
            let against = judge(&target, insisting);
            assert_eq!(against.len(), 1, "{against:?}");
            assert!(against[0].to_string().contains(want), "{}: {want}", against[0]);
        }
        for (target, want) in [
            (Target { kind: Kind::Partition("/dev/sdb".into()), ..card(GB) }, "/dev/sdb"),
            (Target { kind: Kind::Virtual, ..card(GB) }, "no disk"),
            (Target { read_only: true, ..card(GB) }, "lock"),
        ] {
            let against = judge(&target, insisting);
            assert!(against.len() == 1 && against[0].to_string().contains(want), "{against:?}");
        }
    }
}
