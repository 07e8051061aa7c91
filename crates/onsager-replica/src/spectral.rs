//! Spectral methods for spiked matrices: principal components, with and without the prior's
//! covariance.

mod covariance;
mod given;
mod operator;

use onsager_ensembles::Level;
use onsager_model::Tree;
use serde::Serialize;

pub use covariance::{Covariance, Status};
pub use given::{GivenSpike, lamp_given};
pub use operator::{Spectrum, SpikedMatrix, lamp_spectrum, pca_spectrum};

use crate::ReplicaError;
use crate::chain::StateEvolution;

/// What a leading eigenvector finds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SpectralPrediction {
    /// `cos²` of the angle between eigenvector and signal.
    pub cos_squared: f64,
    /// Mean squared error at the best scale, `ρ (1 - cos²)`.
    pub mse: f64,
    /// Noise above which the eigenvector is uninformative.
    pub threshold: f64,
}

/// Principal component of `Y/√p`: `cos² = max(0, 1 - Δ/ρ²)`.
///
/// ```
/// # use std::sync::Arc;
/// # use onsager_model::Chain;
/// # use onsager_scalar::prior::Rademacher;
/// let tree = Chain::new(Arc::new(Rademacher)).spiked_wigner(0.75)?;
/// assert_eq!(onsager_replica::spectral::pca(&tree)?.cos_squared, 0.25);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// - **Source**: the spiked Wigner model's transition at `Δ = ρ²`, blind to the prior.
///
/// # Errors
/// An observation that is not a spiked matrix.
pub fn pca(tree: &Tree) -> Result<SpectralPrediction, ReplicaError> {
    let chain = spiked(tree)?;
    let (noise, rho) = (chain.noise(), chain.second_moment());
    let cos_squared = (1.0 - noise / (rho * rho)).max(0.0);
    Ok(SpectralPrediction {
        cos_squared,
        mse: rho * (1.0 - cos_squared),
        threshold: rho * rho,
    })
}

/// Linearised message passing: the leading eigenvector of `K (Y/√p - ρ)/Δ`, `K` the covariance of
/// the signal given its weights.
///
/// With `t` the eigenvalue law of `K`, `Δ = E[t²/(1 + tτ)]` and `cos² = Δτ/ρ`; below the threshold
/// `Δ = E t²`, where weak recovery ends as well. For linear layers this is Bayes-optimal.
///
/// - **Domain**: centred signals; with layers of any number, see [`Covariance`].
///
/// ```
/// # use std::sync::Arc;
/// # use onsager_model::Chain;
/// # use onsager_scalar::{activation::PiecewiseLinear, prior::Gaussian};
/// let tree = Chain::new(Arc::new(Gaussian::standard()))
///     .layer(2.0, Arc::new(PiecewiseLinear::linear()))
///     .spiked_wigner(4.0)?;
/// let lamp = onsager_replica::spectral::lamp(&tree)?;
/// assert_eq!((lamp.cos_squared, lamp.threshold), (0.0, 3.0));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// An observation that is not a spiked matrix; a signal that is not centred.
pub fn lamp(tree: &Tree) -> Result<SpectralPrediction, ReplicaError> {
    let chain = spiked(tree)?;
    let (noise, rho) = (chain.noise(), chain.second_moment());
    let Some(threshold) = chain.origin() else {
        return Err(ReplicaError::NotSupported(
            "linearised message passing needs a centred signal".into(),
        ));
    };
    let covariance = Covariance::of(tree)?;
    let cos_squared = (filtered(&covariance, noise).last()).map_or(0.0, |at| noise * at.tau / rho);
    Ok(SpectralPrediction {
        cos_squared,
        mse: rho * (1.0 - cos_squared),
        threshold,
    })
}

/// The averages of the covariances of all variables at the fixed point of the linear theory, where
/// `E t²/(1 + tτ) = Δ`; nothing above the threshold.
fn filtered(covariance: &Covariance, noise: f64) -> Vec<Level> {
    (covariance.law().turning(&|at| noise - at.second)).unwrap_or_default()
}

/// Overlaps of a linearised start by variable: the signal, and every hidden one as the linear theory
/// sees it.
///
/// Layers are replaced by their linear part plus independent noise, so that the covariances of
/// neighbours are related by the steps of [`Covariance`]; a variable whose message has the ratio
/// `τ` is known with overlap `τ E t²/(1 + tτ)`. To be used as [`crate::Start::Overlaps`].
///
/// # Errors
/// As for [`lamp`].
pub fn lamp_overlaps(tree: &Tree) -> Result<std::collections::BTreeMap<String, f64>, ReplicaError> {
    // Refuses what is not centred.
    lamp(tree)?;
    let covariance = Covariance::of(tree)?;
    let levels = filtered(&covariance, spiked(tree)?.noise());
    let declared = tree.variables().iter().filter(|v| !v.is_field);
    let overlap = |i: usize| {
        covariance
            .level(&levels, i)
            .map_or(0.0, |at| at.tau * at.second)
    };
    Ok((declared.enumerate())
        .map(|(i, variable)| (variable.name.clone(), overlap(i)))
        .collect())
}

fn spiked(tree: &Tree) -> Result<StateEvolution, ReplicaError> {
    let chain = StateEvolution::new(tree)?;
    if chain.observation.is_even() && chain.observation.product().is_none() {
        Ok(chain)
    } else {
        Err(ReplicaError::NotSupported(
            "spectral methods need a spiked Wigner matrix".into(),
        ))
    }
}
