//! Short messages: what is on the wire, how long texts are put together again,
//! and where messages are kept so that none is lost and none is sent twice.
//!
//! All of it is pure but for the disk ([`spool::Folder`]). [`desk`] joins the
//! parts for one modem.

pub mod assembly;
pub mod commands;
pub mod desk;
pub mod managed;
pub mod pdu;
pub mod spool;
pub mod ussd;
