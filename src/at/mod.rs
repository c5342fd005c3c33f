//! AT commands: lines, results, unsolicited codes, transactions.
//!
//! No I/O and no clock in here: bytes and a `now` come in, bytes to write and
//! what was learnt come out. [`Channel`] is the way in; [`reply`] turns lines
//! into values.

mod channel;
mod command;
mod errors;
mod fields;
mod framer;
pub mod reply;
mod result;
mod urc;

pub use channel::{AtError, Channel, Done, Output, Reply};
pub use command::{BadCommand, Command};
pub use errors::{CME_ERRORS, CMS_ERRORS, cme_text, cms_text};
pub use fields::{Field, fields};
pub use framer::{Framer, Line, MAX_LINE};
pub use result::{DeviceError, Final};
pub use urc::{Urc, is_urc};
