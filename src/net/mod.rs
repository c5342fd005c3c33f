//! Network devices: what a modem's should be like, what it is like, and the
//! steps between the two.
//!
//! [`model`] has the words, [`plan`] decides (pure), [`netlink`] looks
//! and acts, [`dhcp`] gets the address. Or [`networkmanager`] does all that, and
//! is told what is wanted.

pub mod clash;
pub mod dhcp;
pub mod dns;
pub mod link_name;
pub mod model;
pub mod netlink;
pub mod networkmanager;
pub mod plan;
pub mod probe;
pub mod solicit;
