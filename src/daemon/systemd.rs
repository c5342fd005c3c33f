//! What the service manager is told. Without one (no `NOTIFY_SOCKET`) nothing
//! happens.

use std::time::Duration;

use sd_notify::NotifyState;

/// Start-up is done.
pub fn ready(status: &str) {
    send(&[NotifyState::Ready, NotifyState::Status(status)]);
}

/// The line that `systemctl status` shows.
pub fn status(status: &str) {
    send(&[NotifyState::Status(status)]);
}

/// Shutting down.
pub fn stopping() {
    send(&[NotifyState::Stopping]);
}

/// The event loop turns.
pub fn alive() {
    send(&[NotifyState::Watchdog]);
}

/// How often to call [`alive`]: half of what the unit's `WatchdogSec=` allows,
/// as sd_watchdog_enabled(3) recommends. None when the unit has none.
pub fn watchdog_period() -> Option<Duration> {
    sd_notify::watchdog_enabled().map(|limit| limit / 2).filter(|period| !period.is_zero())
}

/// A service manager that cannot be told is worth a line, not the service.
fn send(state: &[NotifyState]) {
    if let Err(error) = sd_notify::notify(state) {
        tracing::warn!("cannot notify systemd: {error}");
    }
}
