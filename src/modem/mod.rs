//! What is known of each modem, as data, and what is plugged in, worked out
//! from it. No I/O: facts about the USB bus come in, modems come out.

pub mod apn;
pub mod catalogue;
pub mod facts;
pub mod inventory;
pub mod machine;
pub mod manager;
pub mod transcript;
pub mod usb_path;
