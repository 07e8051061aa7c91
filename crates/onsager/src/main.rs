#![forbid(unsafe_code)]
//! The command.
fn main() {}
