//! How fast the network drivers carry, on the same emulated bus: a measurement,
//! no check.

use anyhow::{Context as _, Result, bail, ensure};

use super::bench::Bench;
use super::scenario::{Scenario, Step, Until, run};
use super::scenarios::verdict;
use crate::context::Context;
use crate::emulate::Machine;

/// Bytes of one load; on an emulated processor it takes some seconds.
const BYTES: u32 = 8_000_000;

/// What is measured: the driver, and the emulator's profile that is bound to it.
const DRIVERS: [(&str, &str); 3] =
    [("simcom_wwan", "sim7600-ndis"), ("cdc_ether", "a7670e-ecm"), ("rndis_host", "a7670e-rndis")];

/// Names of the loads, one after the other on the same line.
const LOADS: [&str; 3] = ["first", "second", "third"];

/// Median of three loads in bytes a second, for each driver.
///
/// # Errors
/// The machine fails, or the modem does not come online.
pub fn measure(ctx: &Context) -> Result<Vec<(&'static str, f64)>> {
    let mut bench = Bench::boot(ctx, Machine::Virt)?;
    let mut rates = Vec::new();
    for (driver, profile) in DRIVERS {
        let (marks, result) = bench.carry_out(&loads(driver, profile))?;
        result.with_context(|| format!("loading by {driver}"))?;
        let mut speeds = Vec::new();
        for mark in marks.iter().filter(|mark| LOADS.contains(&mark.about.as_str())) {
            speeds.push(speed_of(&mark.said)?);
        }
        speeds.sort_by(f64::total_cmp);
        rates.push((driver, speeds[speeds.len() / 2]));
    }
    bench.end()?;
    Ok(rates)
}

fn loads(driver: &'static str, profile: &'static str) -> Scenario {
    let bound = "basename $(readlink /sys/class/net/wwan0/device/driver)";
    let page = format!(
        "curl --silent --show-error --output /dev/null --write-out '%{{size_download}} %{{speed_download}}' \
         http://www.example.test/bytes/{BYTES}"
    );
    let mut steps = vec![
        Step::Plug,
        verdict("online", "online", 240),
        run("bound", bound, Until::Says(driver), 10),
    ];
    steps.extend(
        LOADS.map(|load| {
            run(load, page.clone(), Until::Holds(|said| speed_of(said).map(drop)), 100)
        }),
    );
    Scenario { name: driver, profile, faults: "", boot_ms: Some(1000), without: &[], steps }
}

/// Bytes a second, from curl's word on size and speed.
fn speed_of(said: &str) -> Result<f64> {
    let numbers: Option<Vec<f64>> = said.split_whitespace().map(|word| word.parse().ok()).collect();
    let Some([size, speed]) = numbers.as_deref() else { bail!("curl said {said:?}") };
    ensure!(*size == f64::from(BYTES), "only {size} bytes came");
    Ok(*speed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_load_that_broke_off_does_not_count() {
        assert_eq!(speed_of(&format!("{BYTES} 250000.5")).unwrap(), 250000.5);
        assert!(speed_of("4096 250000").is_err());
        assert!(speed_of("").is_err());
    }
}
