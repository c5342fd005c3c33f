//! Short messages: what is on the wire. Pure.

pub mod pdu;
