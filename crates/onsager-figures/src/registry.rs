use crate::figures::{
    denoising, gap_frozen, gap_sparse, glm_critical, glm_depth, glm_fashion, glm_lamp, glm_mse,
    glm_noise, glm_perceptron, glm_phases, glm_potential, lamp_bayes, lamp_critical, lamp_fashion,
    lamp_mmse, lamp_spectra, latent_descent, lattice_bits, lattice_detect, lattice_noise,
    lattice_prior, lattice_scaling, lattice_time, phase_maps, sparse_phases, spiked_depth,
    spiked_escape, spiked_fashion, spiked_mmse, spiked_potential, spiked_steps, spiked_wishart,
    wishart_phases,
};
use crate::{Figure, FigureError};

/// Every figure of the report, in reading order. One line adds an entry.
pub const REGISTRY: &[&dyn Figure] = &[
    &spiked_mmse::SpikedMmse,
    &spiked_steps::SpikedSteps,
    &spiked_escape::SpikedEscape,
    &spiked_potential::SpikedPotential,
    &spiked_depth::SpikedDepth,
    &spiked_wishart::SpikedWishart,
    &latent_descent::LatentDescent,
    &phase_maps::PhaseMaps,
    &wishart_phases::WishartPhases,
    &sparse_phases::SparsePhases,
    &gap_sparse::GapSparse,
    &gap_frozen::GapFrozen,
    &denoising::DenoisingFigure,
    &lamp_spectra::LampSpectra::Wigner,
    &lamp_spectra::LampSpectra::Wishart,
    &lamp_mmse::LampMmse,
    &lamp_bayes::LampBayes,
    &lamp_critical::LampCritical,
    &spiked_fashion::SpikedFashion,
    &lamp_fashion::LampFashion,
    &glm_mse::GlmMse,
    &glm_potential::GlmPotential,
    &glm_perceptron::GlmPerceptron,
    &glm_phases::GlmPhases,
    &glm_critical::GlmCritical,
    &glm_noise::GlmNoise,
    &glm_depth::GlmDepth,
    &glm_lamp::GlmLamp,
    &glm_fashion::GlmFashion,
    &lattice_bits::LatticeBits,
    &lattice_scaling::LatticeScaling,
    &lattice_noise::LatticeNoise,
    &lattice_prior::LatticePrior,
    &lattice_detect::LatticeDetect,
    &lattice_time::LatticeTime,
];

/// The figure of this identifier among `registry`.
pub fn find<'a>(registry: &[&'a dyn Figure], id: &str) -> Result<&'a dyn Figure, FigureError> {
    registry
        .iter()
        .copied()
        .find(|figure| figure.id() == id)
        .ok_or_else(|| {
            let known: Vec<_> = registry.iter().map(|figure| figure.id()).collect();
            FigureError::UnknownFigure {
                found: id.to_owned(),
                known: known.join(", "),
            }
        })
}
