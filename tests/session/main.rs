//! A session from plug to proof against the emulated modem, its data path and a
//! model of the kernel, in virtual time.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "all of this is test code")]

mod faults;
mod flapping;
mod kernel;
mod manager;
mod messages;
mod online;
mod ppp;
mod probe;
mod restart;
mod rig;
mod rival;
mod uplinks;
mod wishes;
