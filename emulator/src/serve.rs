//! Runs a modem in real time, on serial transports and on a USB bus.

use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::bus::Bus;
use crate::control::Control;
use crate::modem::{Action, Modem, UsbAction};
use crate::transport::Transport;

/// Looks up from waiting at least this often, for `stop` and the control socket.
const LONGEST_WAIT: Duration = Duration::from_millis(50);

/// Carries bytes between the modem and the transports until `stop` says so.
/// Power is applied when this is called.
///
/// # Errors
/// When a port cannot be made or breaks, or the far end's network device is gone.
pub fn serve(
    modem: &mut Modem,
    transports: &mut [Box<dyn Transport>],
    mut bus: Option<&mut Bus>,
    control: Option<&Control>,
    mut stop: impl FnMut() -> bool,
) -> std::io::Result<()> {
    let start = Instant::now();
    while !stop() {
        modem.advance(start.elapsed());
        if let Some(control) = control {
            control.serve(modem, start.elapsed());
        }
        if let Some(bus) = &mut bus {
            bus.run(start.elapsed(), modem)?;
        }
        for action in modem.take() {
            if let Some(bus) = &mut bus {
                bus.act(start.elapsed(), modem, &action);
            }
            match action {
                Action::Serial { port, bytes } => {
                    for transport in transports.iter_mut().filter(|it| it.port() == port) {
                        transport.write(&bytes)?;
                    }
                }
                Action::Usb(UsbAction::Attach { .. }) => {
                    for transport in transports.iter_mut() {
                        transport.attach()?;
                    }
                }
                Action::Usb(UsbAction::Detach) => {
                    for transport in transports.iter_mut() {
                        transport.detach();
                    }
                }
                // A serial transport carries no packets, and a call on it has no
                // network behind it.
                Action::Link(_) | Action::Packet(_) => {}
            }
        }
        if let Some(bus) = &mut bus {
            // The modem's answers go out at once.
            bus.run(start.elapsed(), modem)?;
        }
        let next =
            [modem.next_event(), bus.as_mut().and_then(|bus| bus.next_event(start.elapsed()))];
        let next = next.into_iter().flatten().min().map(|at| at.saturating_sub(start.elapsed()));
        wait(
            transports,
            bus.as_deref(),
            start.elapsed(),
            next.unwrap_or(LONGEST_WAIT).min(LONGEST_WAIT),
        )?;
        for transport in transports.iter_mut() {
            let bytes = transport.read()?;
            if !bytes.is_empty() {
                modem.write(start.elapsed(), transport.port(), &bytes);
            }
        }
    }
    Ok(())
}

fn wait(
    transports: &[Box<dyn Transport>],
    bus: Option<&Bus>,
    now: Duration,
    at_most: Duration,
) -> std::io::Result<()> {
    let fds = transports.iter().filter_map(|it| it.fd());
    let mut fds: Vec<_> = fds.map(|fd| PollFd::from_borrowed_fd(fd, PollFlags::IN)).collect();
    fds.extend(bus.into_iter().flat_map(|bus| bus.poll_fds(now)));
    // A wait is LONGEST_WAIT at most, which any time type can hold.
    let timeout = Timespec { tv_sec: 0, tv_nsec: i64::from(at_most.subsec_nanos()) };
    match poll(&mut fds, Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
