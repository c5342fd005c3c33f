//! What went wrong with the rig itself, told apart from what the image did.

use std::fmt;

use anyhow::Result;

use crate::context::Context;

/// How often a scenario is tried before the rig counts as broken.
pub const ATTEMPTS: usize = 3;

/// The rig failed: nothing is known about the image.
///
/// QEMU's USB model, for one, stops with an assertion when a transfer is
/// cancelled (`usb_packet_setup`, hw/usb/core.c).
#[derive(Debug)]
pub struct RigFailure(pub String);

impl fmt::Display for RigFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the test rig failed, not the image: {}", self.0)
    }
}

impl std::error::Error for RigFailure {}

/// Runs `scenario` from its beginning, and again when the rig fails; any other
/// result, good or bad, stands.
pub fn retry<T>(ctx: &Context, mut scenario: impl FnMut() -> Result<T>) -> Result<T> {
    let mut attempt = 1;
    loop {
        match scenario() {
            Err(error) if attempt < ATTEMPTS && error.downcast_ref::<RigFailure>().is_some() => {
                ctx.report
                    .warn(format!("{error:#}\nattempt {attempt} of {ATTEMPTS}; trying again"));
                attempt += 1;
            }
            result => return result,
        }
    }
}

#[cfg(test)]
mod tests {
    use anyhow::{Context as _, bail};

    use super::*;

    #[test]
    fn only_the_rigs_own_failures_are_tried_again() {
        let dir = tempfile::tempdir().unwrap();
        let ctx = Context::in_folder(dir.path()).unwrap();
        let mut runs = 0;
        let result: Result<()> = retry(&ctx, || {
            runs += 1;
            Err(RigFailure("abort".to_owned())).context("while booting")
        });
        assert!(format!("{:#}", result.unwrap_err()).contains("abort"));
        assert_eq!(runs, ATTEMPTS);

        let mut runs = 0;
        let result: Result<()> = retry(&ctx, || {
            runs += 1;
            bail!("a unit failed")
        });
        assert!(result.is_err());
        assert_eq!(runs, 1);
    }
}
