//! Decisions about being online, as pure functions of facts and time.
//!
//! [`verdict`] says what is wrong, [`ladder`] what to try next and when,
//! [`budget`] how much data was used and may be.

pub mod budget;
pub mod ladder;
pub mod verdict;
