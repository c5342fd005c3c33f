//! Builds, verifies, emulates and tests the image.
fn main() {}
