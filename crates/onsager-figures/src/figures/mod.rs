//! One file for each figure; `common.rs` for what they share.

mod common;
pub(crate) mod denoising;
pub(crate) mod gap_frozen;
pub(crate) mod gap_sparse;
pub(crate) mod lamp_bayes;
pub(crate) mod lamp_critical;
pub(crate) mod lamp_fashion;
pub(crate) mod lamp_mmse;
pub(crate) mod lamp_spectra;
pub(crate) mod latent_descent;
pub(crate) mod lattice_bits;
pub(crate) mod lattice_detect;
pub(crate) mod lattice_noise;
pub(crate) mod lattice_prior;
pub(crate) mod lattice_scaling;
pub(crate) mod lattice_time;
pub(crate) mod phase_maps;
pub(crate) mod sparse_phases;
pub(crate) mod spiked_depth;
pub(crate) mod spiked_escape;
pub(crate) mod spiked_fashion;
pub(crate) mod spiked_mmse;
pub(crate) mod spiked_potential;
pub(crate) mod spiked_steps;
pub(crate) mod spiked_wishart;
pub(crate) mod wishart_phases;
