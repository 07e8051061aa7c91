//! One file for each figure; `common.rs` for what they share.

mod common;
