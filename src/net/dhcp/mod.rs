//! DHCPv4 (RFC 2131): gets and keeps a lease from the modem.
//!
//! [`message`] reads and writes, [`client`] decides (pure), [`socket`] carries.
//! Why not a library: docs/adr/0008-dhcp.md.

pub mod client;
pub mod message;
pub mod socket;

pub use client::{Action, Client, Lease, Phase};
