#![forbid(unsafe_code)]
//! (being built)

pub mod average;
