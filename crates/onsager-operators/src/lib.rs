#![deny(unsafe_code)]
//! (being built)
