//! What runs on the Pi: finds SIMCom's LTE modems and looks after them.
//!
//! Arrows point one way: [`at`], [`modem`], [`policy`] and [`session`], which joins
//! them, are pure; [`daemon`] does the I/O and nothing uses it; [`cli`] is the
//! outermost layer.

pub mod at;
pub mod cli;
pub mod config;
pub mod daemon;
pub mod dbus;
pub mod firstboot;
pub mod modem;
pub mod net;
pub mod policy;
pub mod protocol;
pub mod random;
pub mod session;
pub mod sms;
pub mod state;
