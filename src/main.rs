//! Command line of `a7670e`.
fn main() {}
