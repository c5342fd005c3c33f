//! A GPIO line that cuts the modem's power, by the kernel's character device
//! (linux/gpio.h, the second version of its interface).

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};
use gpiocdev_uapi::Name;
use gpiocdev_uapi::v2::{
    LineConfig, LineFlags, LineRequest, LineValues, get_line, set_line_values,
};
use tokio::time::sleep;

use crate::config::PowerGpio;

/// Who can have lines: the kernel, or a test.
pub trait Lines {
    /// A line that is held at what it was asked for.
    type Held: Held;

    /// Asks for a line of the chip at `path`.
    ///
    /// # Errors
    /// No such chip or line, or somebody else has it.
    fn hold(&self, path: &Path, request: LineRequest) -> Result<Self::Held>;
}

/// A line that is held.
pub trait Held {
    /// Makes it inactive, and lets go of it.
    ///
    /// # Errors
    /// The chip is gone.
    fn release(self) -> Result<()>;
}

/// The kernel's.
pub struct Kernel;

impl Lines for Kernel {
    type Held = File;

    fn hold(&self, path: &Path, request: LineRequest) -> Result<File> {
        let chip = File::options().read(true).write(true).open(path)?;
        Ok(get_line(&chip, request)?)
    }
}

impl Held for File {
    fn release(self) -> Result<()> {
        Ok(set_line_values(&self, &LineValues::from_slice(&[false]))?)
    }
}

/// Makes the line active for as long as is configured. When we end meanwhile, the
/// kernel lets go of the line, and the circuit gives the power back.
///
/// # Errors
/// As [`Lines::hold`], with the chip and the line.
pub async fn cycle(lines: &impl Lines, dev: &Path, gpio: &PowerGpio) -> Result<()> {
    let path = dev.join(gpio.chip.as_str());
    let place = || format!("{}, line {}", path.display(), gpio.line);
    let held = lines.hold(&path, request(gpio)).with_context(place)?;
    sleep(Duration::from_millis(gpio.off_ms.into())).await;
    held.release().with_context(place)
}

fn request(gpio: &PowerGpio) -> LineRequest {
    let mut config = LineConfig { flags: LineFlags::OUTPUT, ..LineConfig::default() };
    config.flags.set(LineFlags::ACTIVE_LOW, gpio.active_low);
    // Else it would be inactive for a moment first.
    config.add_values(&LineValues::from_slice(&[true]));
    let consumer = Name::from_bytes(b"a7670e modem power");
    let mut request = LineRequest { consumer, config, num_lines: 1, ..LineRequest::default() };
    request.offsets.set(0, gpio.line);
    request
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;
    use std::rc::Rc;

    use gpiocdev_uapi::v2::LineAttributeValue;

    use super::*;

    #[derive(Default)]
    struct Bench {
        log: Rc<RefCell<Vec<(String, tokio::time::Instant)>>>,
    }

    struct Wire(Rc<RefCell<Vec<(String, tokio::time::Instant)>>>);

    impl Lines for Bench {
        type Held = Wire;

        fn hold(&self, path: &Path, request: LineRequest) -> Result<Wire> {
            anyhow::ensure!(path.ends_with("gpiochip0"), "no such chip");
            let active = match request.config.attr(0).attr.to_value() {
                Some(LineAttributeValue::Values(values)) => values & 1 == 1,
                other => panic!("{other:?}"),
            };
            let low = request.config.flags.contains(LineFlags::ACTIVE_LOW);
            let output = request.config.flags.contains(LineFlags::OUTPUT);
            let line = request.offsets.get(0);
            let lines = request.num_lines;
            let text = format!("line {line} of {lines}: output {output} {active}, low {low}");
            self.log.borrow_mut().push((text, tokio::time::Instant::now()));
            Ok(Wire(Rc::clone(&self.log)))
        }
    }

    impl Held for Wire {
        fn release(self) -> Result<()> {
            self.0.borrow_mut().push(("released".into(), tokio::time::Instant::now()));
            Ok(())
        }
    }

    #[test]
    fn the_line_is_active_for_as_long_as_is_said_and_then_let_go() {
        let text = r#"recovery.power_gpio = { chip = "gpiochip0", line = 17, active_low = true, off_ms = 150 }"#;
        let config = crate::config::parse(Path::new("x"), text).unwrap();
        let gpio = config.recovery.power_gpio.unwrap();
        let bench = Bench::default();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(cycle(&bench, Path::new("/dev"), &gpio)).unwrap();
        let log = bench.log.borrow();
        assert_eq!(log[0].0, "line 17 of 1: output true true, low true");
        assert_eq!((log.len(), log[1].0.as_str()), (2, "released"));
        assert!(log[1].1 - log[0].1 >= Duration::from_millis(150));
    }

    #[test]
    fn no_chip_is_named() {
        let dev = tempfile::tempdir().unwrap();
        let text = r#"recovery.power_gpio = { chip = "gpiochip7", line = 3 }"#;
        let config = crate::config::parse(Path::new("x"), text).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        let work = cycle(&Kernel, dev.path(), config.recovery.power_gpio.as_ref().unwrap());
        let error = format!("{:#}", runtime.block_on(work).unwrap_err());
        assert!(error.contains("gpiochip7, line 3: No such file"), "{error}");
        // What is no chip refuses.
        std::fs::write(dev.path().join("gpiochip7"), "").unwrap();
        let work = cycle(&Kernel, dev.path(), config.recovery.power_gpio.as_ref().unwrap());
        let error = format!("{:#}", runtime.block_on(work).unwrap_err());
        assert!(error.contains("Inappropriate ioctl"), "{error}");
    }
}
