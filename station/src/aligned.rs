//! Memory for direct I/O, which wants buffers that begin on a page.

use std::fmt;

/// Alignment of buffers, in bytes: no block device has larger logical blocks
/// than a page (Linux, `Documentation/filesystems/ext4`: 4 KiB).
pub const PAGE: usize = 4096;

/// Bytes of zero that begin on a page and have the length asked for.
pub struct Aligned {
    memory: Vec<u8>,
    start: usize,
    len: usize,
}

impl Aligned {
    /// `len` zeros.
    #[must_use]
    pub fn zeroed(len: usize) -> Self {
        let memory = vec![0; len + PAGE];
        // A Vec's memory does not move while it neither grows nor shrinks.
        let start = memory.as_ptr().align_offset(PAGE);
        Self { memory, start, len }
    }

    /// The bytes.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.memory[self.start..][..self.len]
    }

    /// The bytes, to be changed.
    pub fn bytes_mut(&mut self) -> &mut [u8] {
        &mut self.memory[self.start..][..self.len]
    }
}

impl fmt::Debug for Aligned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Aligned({} bytes)", self.len)
    }
}

/// Whether all of `bytes` are zero; by comparison of memory, which is fast
/// without optimisation too.
#[must_use]
pub fn is_zero(bytes: &[u8]) -> bool {
    const ZEROS: [u8; PAGE] = [0; PAGE];
    bytes.chunks(PAGE).all(|block| block == &ZEROS[..block.len()])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn begins_on_a_page_and_is_zero() {
        for len in [1, 512, PAGE, 1 << 20] {
            let mut buffer = Aligned::zeroed(len);
            assert_eq!(buffer.bytes().as_ptr() as usize % PAGE, 0);
            assert_eq!(buffer.bytes_mut().len(), len);
            assert!(is_zero(buffer.bytes()));
            buffer.bytes_mut()[len - 1] = 1;
            assert!(!is_zero(buffer.bytes()));
        }
    }
}
