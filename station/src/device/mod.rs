//! What a target is, what uses it, and whether it may be written.
//!
//! [`facts`] reads sysfs and proc, [`judge`] decides by what was read, and only
//! by that.

pub mod blank;
pub mod facts;
pub mod judge;
mod mounts;
mod signature;
pub mod slots;

use std::path::PathBuf;

use serde::Serialize;

pub use facts::System;
pub use judge::{Refusal, Rules, judge};

/// What a path leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Kind {
    /// A whole disk or card.
    Disk,
    /// A partition of this disk.
    Partition(String),
    /// A loop device on this file.
    Loop(String),
    /// A loop device on this block device.
    Nested(String),
    /// Something that the kernel makes of other disks: RAID, LVM, encryption.
    Virtual,
    /// A plain file.
    File,
}

/// A use that a target is in.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Use {
    /// Mounted, directly or by way of `device`.
    Mounted {
        /// Kernel name of the disk, partition or virtual device.
        device: String,
        /// Where.
        at: String,
    },
    /// Swap.
    Swap {
        /// Kernel name.
        device: String,
    },
    /// The kernel has made another device of it.
    Held {
        /// Kernel name.
        device: String,
        /// Kernel name of the other.
        by: String,
    },
    /// It has the mark of a part of a set of disks.
    Member {
        /// Kernel name.
        device: String,
        /// `LVM`, `Linux RAID` or `ZFS`.
        of: &'static str,
    },
}

/// Everything known of a target.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Target {
    /// As the user named it.
    pub path: PathBuf,
    /// Kernel name, such as `sdb`; a file's name.
    pub name: String,
    /// What it is.
    pub kind: Kind,
    /// Of a disk its number and which medium it is in it, counted since the
    /// computer started (Linux, `Documentation/ABI/stable/sysfs-block`,
    /// `diskseq`; 0 before Linux 5.15). Of a file its device and inode.
    pub instance: (u64, u64),
    /// Bytes; 0 for an empty card reader.
    pub size: u64,
    /// Whether it refuses to be written.
    pub read_only: bool,
    /// Whether its medium can be taken out.
    pub removable: bool,
    /// As it calls itself.
    pub model: Option<String>,
    /// Its own or, for a card in a USB reader, the reader's.
    pub serial: Option<String>,
    /// The card's identification register, 32 hexadecimal digits, where the
    /// reader is no USB one.
    pub cid: Option<String>,
    /// What uses it.
    pub uses: Vec<Use>,
}
