//! Network devices.

pub mod link_name;
