//! The desk in a terminal: follows `station serve`, or the records.

pub mod stream;
pub mod view;
