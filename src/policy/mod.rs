//! Decisions about being online, as pure functions of facts and time.
//!
//! [`verdict`] says what is wrong.

pub mod verdict;
