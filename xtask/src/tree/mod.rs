//! Root file systems as data, and the tree of the image made from them.

pub mod archive;
pub mod folder;
pub mod root;
