//! A stand-in for a SIMCom A7670E modem, good enough to develop and test
//! against without a stick.
//!
//! The modem itself ([`modem::Modem`]) is pure: bytes and a time go in, actions
//! come out. It knows no clock, no socket and no USB; those are around it.

mod at;
pub mod bus;
pub mod control;
pub mod data;
pub mod fault;
pub mod link;
pub mod modem;
mod ppp;
pub mod profile;
pub mod replay;
pub mod serve;
pub mod sms;
pub mod transport;
pub mod usb;
