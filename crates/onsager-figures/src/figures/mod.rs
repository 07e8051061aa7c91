//! One file for each figure; `common.rs` for what they share.

mod common;
mod spiked_mmse;

pub use spiked_mmse::SpikedMmse;
