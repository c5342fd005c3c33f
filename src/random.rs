//! Random bytes from the kernel, or a failure: what hides who somebody is must
//! not be hidden by zeros.

use std::io;

use rustix::io::Errno;
use rustix::rand::{GetRandomFlags, getrandom};

/// Salt for [`crate::modem::transcript::Redactor`]: 16 random bytes.
///
/// # Errors
/// The kernel gives none: `getrandom` is missing or forbidden (a filter of
/// system calls).
pub fn salt() -> io::Result<[u8; 16]> {
    let mut salt = [0; 16];
    fill(&mut salt, |rest| getrandom(rest, GetRandomFlags::empty()))?;
    Ok(salt)
}

/// Fills `buffer` from `source`, which may give less than it is asked for and
/// may be interrupted by a signal (getrandom(2)).
fn fill(
    buffer: &mut [u8],
    mut source: impl FnMut(&mut [u8]) -> Result<usize, Errno>,
) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        match source(&mut buffer[filled..]) {
            Ok(0) => return Err(io::Error::other("the kernel gives no random bytes")),
            Ok(length) => filled += length,
            Err(Errno::INTR) => {}
            Err(error) => {
                let reason = format!("the kernel gives no random bytes: {error}");
                return Err(io::Error::new(io::Error::from(error).kind(), reason));
            }
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_randomness_is_a_failure_and_half_of_it_is_not_enough() {
        let mut salt = [0; 16];
        for refusal in [Err(Errno::NOSYS), Err(Errno::PERM), Ok(0)] {
            let error = fill(&mut salt, |_| refusal).unwrap_err().to_string();
            assert!(error.starts_with("the kernel gives no random bytes"), "{error}");
        }
        let mut calls = 0;
        let parts = |rest: &mut [u8]| {
            calls += 1;
            if calls == 2 {
                return Err(Errno::INTR);
            }
            let length = rest.len().min(5);
            rest[..length].fill(calls);
            Ok(length)
        };
        fill(&mut salt, parts).unwrap();
        assert_eq!(salt, [1, 1, 1, 1, 1, 3, 3, 3, 3, 3, 4, 4, 4, 4, 4, 5]);
    }

    #[test]
    fn no_two_salts_are_alike() {
        assert_ne!(super::salt().unwrap(), super::salt().unwrap());
    }
}
