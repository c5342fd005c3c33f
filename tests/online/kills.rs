//! Kills of the service at random moments, with the modem denied, reset and
//! pulled while nobody looks after it.

use std::path::Path;
use std::time::Duration;

use a7670e_emulator::fault::Effect;

use crate::rig::Rig;
use crate::service::{Service, ours, whole};

/// Whether the modem may use the network, after what happened while nobody
/// looked after it.
fn happen(rig: &Rig, number: u32, admitted: bool) -> bool {
    let (effect, admitted) = match number {
        0 => (Effect::Denied { cause: 11 }, false),
        1 | 2 => (Effect::Coverage, true),
        3 => (Effect::Reset, admitted),
        _ => (Effect::UsbGone { for_ms: 100 }, admitted),
    };
    rig.inflict(effect);
    admitted
}

/// What is killed, and where it works.
pub struct Killed<'a> {
    /// The address of its system bus.
    pub bus: &'a str,
    pub folder: &'a Path,
    pub config: &'a str,
    pub rig: &'a Rig,
}

impl Killed<'_> {
    /// Kills it at least `kills` times. Now and then it may go on until it knows
    /// how things are; then the kernel's state is judged, and `judge` looks at the
    /// name servers, told whether the modem may use the network.
    pub fn at_random(&self, kills: u32, judge: impl Fn(bool)) -> Service {
        let (mut random, mut killed, mut admitted) = (7_u32, 0, true);
        let mut next = |below: u32| {
            // Numerical Recipes' LCG: the same moments in every run.
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (random >> 16) % below
        };
        let (mut slowest, mut slowest_denied) = (Duration::ZERO, Duration::ZERO);
        let start = || Service::start_on(self.bus, self.folder, self.config);
        let mut service = start();
        while killed < kills {
            for _ in 0..5 {
                std::thread::sleep(Duration::from_millis(u64::from(next(150))));
                service.kill();
                killed += 1;
                service = start();
            }
            service.kill();
            killed += 1;
            admitted = match next(8) {
                event @ 0..5 => happen(self.rig, event, admitted),
                _ => admitted,
            };
            service = start();
            if admitted {
                slowest = slowest.max(service.wait("online"));
                assert_eq!(whole(), Ok(()));
            } else {
                slowest_denied = slowest_denied.max(service.wait("denied"));
                assert_eq!(ours(), "", "something of ours is left");
            }
            judge(admitted);
        }
        println!(
            "{killed} kills; right again {slowest:.1?} after the start, taken down after \
             {slowest_denied:.1?}"
        );
        service
    }
}
