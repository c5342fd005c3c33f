//! The flashing desk: one image, many cards, each of them right.
//!
//! ```text
//! source ──> cut ──> window ──> one writer a card ──> read back ──> boot sector
//! ```
//!
//! [`source`] unpacks the image and checks it on the way, [`cut`] makes pieces
//! of it by the [`bmap`], [`window`] hands each piece to all cards, [`write`]
//! puts them on one [`card`], and [`flash`] runs it all. [`device`] says what a
//! target is and whether it may be written at all.
//! [`fleet`] says what makes each card its own, [`keys`] makes those keys that are
//! nobody else's, [`boot`] says where all of it goes,
//! [`records`] which unit is on which card, and [`provision`] brings them
//! together; [`enrol`] reads what units report later, and [`label`] draws what is
//! stuck onto them. [`desk`] does all that for cards as they come, [`serve`] shows it on
//! a page, and [`watch`] in a terminal.

pub mod aligned;
pub mod bmap;
pub mod boot;
pub mod card;
pub mod cli;
pub mod cut;
pub mod desk;
pub mod device;
pub mod enrol;
pub mod flash;
pub mod fleet;
pub mod keys;
pub mod label;
pub mod progress;
pub mod provision;
pub mod records;
pub mod serve;
pub mod source;
pub mod watch;
pub mod window;
pub mod write;
