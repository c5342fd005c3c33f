//! A card as something to write to and to read back from, past every cache.

use std::fs::{File, OpenOptions};
use std::io::{self, Seek, SeekFrom};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{FileExt, FileTypeExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{Advice, FallocateFlags, OFlags, fadvise, fallocate};
use rustix::io::Errno;

use crate::aligned::Aligned;
use crate::device::Target;

/// Linux, `include/uapi/linux/fs.h`: `_IO(0x12, 119)` and `_IO(0x12, 127)`.
/// Both take the address of a start and a length in bytes.
const BLKDISCARD: libc::c_ulong = 0x1277;
const BLKZEROOUT: libc::c_ulong = 0x127F;

/// A file is synchronised after so many bytes, so that progress is the disk's.
const PACE: u64 = 16 << 20;

/// Bytes of zeros written at once where the device cannot make them itself.
const ZEROS: usize = 1 << 20;

/// Something that an image can be written to. Offsets, lengths and buffers are
/// whole sectors ([`Card::sector`]); buffers begin on a page.
pub trait Card: Send {
    /// Bytes that it holds; `None` for a file, which grows.
    fn size(&self) -> Option<u64>;

    /// Smallest unit of transfer, in bytes.
    fn sector(&self) -> u64;

    /// Writes `bytes` at `offset`, onto the device itself.
    ///
    /// # Errors
    /// Those of the device.
    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()>;

    /// Makes a stretch read as zeros.
    ///
    /// # Errors
    /// Those of the device.
    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()>;

    /// Tells the device that a stretch holds nothing. A device that cannot use
    /// this is fine too.
    fn free(&mut self, offset: u64, len: u64);

    /// Waits until all that was written is on the device, and forgets it here.
    ///
    /// # Errors
    /// Those of the device.
    fn flush(&mut self) -> io::Result<()>;

    /// Reads from the device itself.
    ///
    /// # Errors
    /// Those of the device.
    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()>;

    /// Whether it is still there.
    fn present(&self) -> bool;
}

/// A block device, or a plain file in its place.
#[derive(Debug)]
pub struct Device {
    path: PathBuf,
    file: File,
    size: u64,
    sector: u64,
    block: bool,
    unsynced: u64,
}

impl Device {
    /// Opens a block device for itself alone, or a plain file.
    ///
    /// # Errors
    /// It is not there, is in use (a mounted file system, swap, RAID, LVM, ZFS
    /// or another writer hold it), or cannot be written.
    pub fn open(path: &Path) -> io::Result<Self> {
        let block = path.metadata()?.file_type().is_block_device();
        // O_EXCL without O_CREAT asks for a block device's exclusive use.
        let flags = if block { OFlags::EXCL | OFlags::DIRECT } else { OFlags::empty() };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(i32::try_from(flags.bits()).map_err(io::Error::other)?)
            .open(path)?;
        let size = file.seek(SeekFrom::End(0))?;
        let sector = if block { u64::from(rustix::fs::ioctl_blksszget(&file)?) } else { 1 };
        Ok(Self { path: path.to_owned(), file, size, sector, block, unsynced: 0 })
    }

    /// Whether it is the target that was looked at, and not another of its name.
    ///
    /// # Errors
    /// The kernel's.
    pub fn is(&self, target: &Target) -> io::Result<bool> {
        let meta = self.file.metadata()?;
        Ok(if self.block {
            meta.rdev() == target.instance.0
        } else {
            (meta.dev(), meta.ino()) == target.instance
        })
    }

    /// A request for a stretch of the block device.
    fn request(&self, request: libc::c_ulong, offset: u64, len: u64) -> io::Result<()> {
        let range = [offset, len];
        // SAFETY: both requests read two u64 at the address, which outlives
        // the call; the descriptor is open for as long as `self.file` is.
        let result = unsafe { libc::ioctl(self.file.as_raw_fd(), request, range.as_ptr()) };
        if result == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
    }

    fn write_zeros(&mut self, offset: u64, len: u64) -> io::Result<()> {
        let buffer = Aligned::zeroed(ZEROS);
        let mut at = 0;
        while at < len {
            let part = usize::try_from(len - at).unwrap_or(ZEROS).min(ZEROS);
            self.write(offset + at, &buffer.bytes()[..part])?;
            at += part as u64;
        }
        Ok(())
    }

    /// Makes a file as long as what it stands for.
    fn grow(&self, end: u64) -> io::Result<()> {
        if self.file.metadata()?.len() < end { self.file.set_len(end) } else { Ok(()) }
    }

    fn punch(&self, offset: u64, len: u64) -> rustix::io::Result<()> {
        fallocate(&self.file, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, len)
    }
}

impl Card for Device {
    fn size(&self) -> Option<u64> {
        self.block.then_some(self.size)
    }

    fn sector(&self) -> u64 {
        self.sector
    }

    fn write(&mut self, offset: u64, bytes: &[u8]) -> io::Result<()> {
        self.file.write_all_at(bytes, offset)?;
        if !self.block {
            self.unsynced += bytes.len() as u64;
            if self.unsynced >= PACE {
                self.file.sync_data()?;
                self.unsynced = 0;
            }
        }
        Ok(())
    }

    fn zero(&mut self, offset: u64, len: u64) -> io::Result<()> {
        if self.block {
            // The device's own command where it has one, else the kernel's
            // zeros. Some virtual devices know neither.
            return match self.request(BLKZEROOUT, offset, len) {
                Err(error) if not_supported(&error) => self.write_zeros(offset, len),
                result => result,
            };
        }
        self.grow(offset + len)?;
        match self.punch(offset, len) {
            Err(Errno::OPNOTSUPP) => self.write_zeros(offset, len),
            result => Ok(result?),
        }
    }

    fn free(&mut self, offset: u64, len: u64) {
        // Content of such a stretch does not matter, nor does an error.
        let _ = if self.block {
            self.request(BLKDISCARD, offset, len)
        } else {
            self.grow(offset + len).and_then(|()| self.punch(offset, len).map_err(io::Error::from))
        };
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.sync_all()?;
        self.unsynced = 0;
        if !self.block {
            // Only what is on the disk can be dropped; where it cannot, the
            // file is in memory anyway.
            let _ = fadvise(&self.file, 0, None, Advice::DontNeed);
        }
        Ok(())
    }

    fn read(&mut self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        self.file.read_exact_at(buffer, offset)
    }

    fn present(&self) -> bool {
        if !self.block {
            return true;
        }
        let removed = |error: &io::Error| {
            let code = error.raw_os_error();
            [libc::ENOMEDIUM, libc::ENXIO, libc::ENODEV, libc::ENOENT]
                .into_iter()
                .any(|gone| code == Some(gone))
        };
        let size = rustix::fs::seek(self.file.as_fd(), rustix::fs::SeekFrom::End(0));
        // Opening makes the kernel look for a medium in the reader.
        let opened = File::open(&self.path);
        size.is_ok_and(|size| size > 0) && !opened.is_err_and(|error| removed(&error))
    }
}

fn not_supported(error: &io::Error) -> bool {
    let code = error.raw_os_error();
    [libc::EOPNOTSUPP, libc::EINVAL, libc::ENOTTY].into_iter().any(|it| code == Some(it))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_takes_the_place_of_a_card() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("card");
        std::fs::write(&path, vec![7; 8192]).unwrap();
        let mut card = Device::open(&path).unwrap();
        assert_eq!((card.size(), card.present()), (None, true));
        card.write(4096, &[1; 4096]).unwrap();
        card.zero(0, 4096).unwrap();
        card.zero(8192, 4096).unwrap();
        card.free(12_288, 4096);
        card.flush().unwrap();
        assert_eq!(path.metadata().unwrap().len(), 16_384);
        let mut all = vec![9; 12_288];
        card.read(0, &mut all).unwrap();
        assert_eq!(all, [vec![0; 4096], vec![1; 4096], vec![0; 4096]].concat());
        Device::open(&dir.path().join("none")).unwrap_err();
    }
}
