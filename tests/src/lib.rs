#![forbid(unsafe_code)]
//! Tests across crates live in `tests/`; the program of the front page is run here.

/// The README of the workspace, so that its program is a test.
#[doc = include_str!("../../README.md")]
#[cfg(doctest)]
pub struct Readme;
