//! One file for each figure; `common.rs` for what they share.

mod common;
pub(crate) mod denoising;
pub(crate) mod lattice_bits;
pub(crate) mod lattice_detect;
pub(crate) mod lattice_noise;
pub(crate) mod lattice_prior;
pub(crate) mod lattice_scaling;
pub(crate) mod lattice_time;
pub(crate) mod spiked_depth;
pub(crate) mod spiked_escape;
pub(crate) mod spiked_fashion;
pub(crate) mod spiked_mmse;
pub(crate) mod spiked_potential;
pub(crate) mod spiked_steps;
pub(crate) mod spiked_wishart;
