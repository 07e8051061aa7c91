//! Spectral methods for spiked matrices and for even outputs: leading eigenvectors, with and without the
//! prior's covariance.

mod covariance;
mod given;
mod operator;
mod sensed;

use onsager_model::Tree;
use serde::Serialize;

pub use covariance::{Covariance, Status};
pub use given::{GivenSpike, lamp_given};
pub use operator::{Spectrum, SpikedMatrix, lamp_spectrum, pca_spectrum};
pub use sensed::Sensed;

use crate::ReplicaError;
use crate::chain::StateEvolution;

/// What a leading eigenvector finds.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct SpectralPrediction {
    /// `cos²` of the angle between eigenvector and signal.
    pub cos_squared: f64,
    /// Mean squared error at the best scale, `ρ (1 - cos²)`.
    pub mse: f64,
    /// The same for the left factor of a product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cos_squared_left: Option<f64>,
    /// The same for the left factor of a product.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mse_left: Option<f64>,
    /// Noise above which the eigenvector is uninformative; behind outputs, the ratio of measurements
    /// below which it is.
    pub threshold: f64,
}

impl SpectralPrediction {
    /// Of a signal of mean square `rho`, with the squared cosines of both sides.
    fn new(rho: f64, matrix: SpikedMatrix, overlaps: (f64, Option<f64>), threshold: f64) -> Self {
        let left = match matrix {
            SpikedMatrix::Wigner { .. } => 1.0,
            SpikedMatrix::Wishart { left, .. } => left,
        };
        Self {
            cos_squared: overlaps.0,
            mse: rho * (1.0 - overlaps.0),
            cos_squared_left: overlaps.1,
            mse_left: overlaps.1.map(|overlap| left * (1.0 - overlap)),
            threshold,
        }
    }
}

/// Principal component of `Y/√p`, `cos² = max(0, 1 - Δ/ρ²)`, or leading singular vectors of a
/// rectangular matrix: the overlaps of [`pca_spectrum`]. Behind outputs, the leading eigenvector of
/// `Aᵀ diag(T) A/p`, see [`Sensed`].
///
/// ```
/// # use std::sync::Arc;
/// # use onsager_model::Chain;
/// # use onsager_scalar::prior::{Gaussian, Rademacher};
/// let signs = || Chain::new(Arc::new(Rademacher));
/// let tree = signs().spiked_wigner(0.75)?;
/// assert_eq!(onsager_replica::spectral::pca(&tree)?.cos_squared, 0.25);
/// // (β - Δ²)/(β + Δ), and (β - Δ²)/(β(1 + Δ)) on the left.
/// let tree = signs().spiked_wishart(1.0, 3.0, Chain::new(Arc::new(Gaussian::standard())))?;
/// let found = onsager_replica::spectral::pca(&tree)?;
/// assert!((found.cos_squared - 0.5).abs() < 1e-15);
/// assert!((found.cos_squared_left.unwrap() - 1.0 / 3.0).abs() < 1e-15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// - **Source**: the transition of spiked matrices, blind to the prior.
///
/// # Errors
/// An observation that is neither a spiked matrix nor even outputs.
pub fn pca(tree: &Tree) -> Result<SpectralPrediction, ReplicaError> {
    if let Some(sensed) = Sensed::of(tree)? {
        return sensed.blind();
    }
    let matrix = SpikedMatrix::of(tree)?;
    let rho = tree.signal().second_moment;
    let found = pca_spectrum(rho, matrix)?;
    let threshold = found.threshold.unwrap_or(f64::INFINITY);
    let overlaps = (found.overlap, found.overlap_left);
    Ok(SpectralPrediction::new(rho, matrix, overlaps, threshold))
}

/// Linearised message passing: the leading eigenvector of [`lamp_spectrum`], `K` the covariance of
/// the signal given its weights; behind outputs, that of `K Aᵀ diag(T) A/p`, see [`Sensed`].
///
/// Its threshold is that of weak recovery. In a spiked matrix, for linear layers and a Gaussian left
/// factor, it is Bayes-optimal.
///
/// - **Domain**: signals and left factors that [`Covariance`] covers; with a mean on either side
///   there is no threshold.
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
/// # use onsager_scalar::likelihood::Noiseless;
/// let tree = Chain::new(Arc::new(Gaussian::standard()))
///     .layer(2.0, Arc::new(PiecewiseLinear::linear()))
///     .glm(0.4, Arc::new(Noiseless::new(PiecewiseLinear::abs())))?;
/// let lamp = onsager_replica::spectral::lamp(&tree)?; // above 1/(2 (1 + α)), below 1/2
/// assert!((lamp.threshold - 1.0 / 6.0).abs() < 1e-12 && lamp.cos_squared > 0.2);
/// assert_eq!(onsager_replica::spectral::pca(&tree)?.cos_squared, 0.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// An observation that is neither a spiked matrix nor even outputs; as for [`Covariance::of`]; a mean
/// behind outputs.
pub fn lamp(tree: &Tree) -> Result<SpectralPrediction, ReplicaError> {
    if let Some(sensed) = Sensed::of(tree)? {
        return sensed.predict(&Covariance::of(tree)?);
    }
    let matrix = SpikedMatrix::of(tree)?;
    lamp_within(&Covariance::of(tree)?, matrix)
}

/// [`lamp`] for a covariance that is known otherwise, such as a [drawn](Covariance::drawn) one.
///
/// # Errors
/// As for [`lamp_spectrum`].
pub fn lamp_within(
    covariance: &Covariance,
    matrix: SpikedMatrix,
) -> Result<SpectralPrediction, ReplicaError> {
    let rho = covariance.second_moment();
    let overlap = covariance.overlap(matrix)?;
    let left = covariance.overlap_left(matrix, overlap);
    let threshold = covariance.threshold(matrix).unwrap_or(f64::INFINITY);
    Ok(SpectralPrediction::new(
        rho,
        matrix,
        (overlap, left),
        threshold,
    ))
}

/// Overlaps of a linearised start by variable: the signal, the left factor of a product, and every
/// hidden one below either as the linear theory sees it.
///
/// Layers are replaced by their linear part plus independent noise, so that the covariances of
/// neighbours are related by the steps of [`Covariance`]; a variable whose message has the ratio
/// `τ` is known with overlap `τ E t²/(1 + tτ)`. To be used as [`crate::Start::Overlaps`].
///
/// With a mean zero is no fixed point: the linear equations have a source and a solution in place of an
/// eigenvector, and the prior mean ([`crate::Start::Mean`]) is a start with an overlap already.
///
/// # Errors
/// As for [`lamp`]; a signal or a left factor that is not centred.
pub fn lamp_overlaps(tree: &Tree) -> Result<std::collections::BTreeMap<String, f64>, ReplicaError> {
    let (covariance, observed) = linearised(tree)?;
    let levels = match &observed {
        Observed::Matrix(matrix) => covariance.levels(*matrix)?,
        Observed::Outputs(sensed) => sensed.levels(&covariance)?,
    };
    let (own, beyond) = tree.variables().split_at(tree.signal_index() + 1);
    let mut overlaps = covariance.overlaps(&levels, own);
    let (q, rho) = (overlaps[&tree.signal().name], tree.signal().second_moment);
    let Observed::Matrix(matrix) = observed else {
        return Ok(overlaps);
    };
    if let (Some(left), SpikedMatrix::Wishart { noise, .. }) = (covariance.left(), matrix) {
        let levels = left.law().turning(&|at| at.tau - q / noise);
        // A message of no precision says nothing.
        overlaps.extend(left.overlaps(&levels.unwrap_or_default(), beyond));
    } else {
        let cos_squared = covariance.overlap_left(matrix, q / rho).unwrap_or(0.0);
        let plain = beyond
            .iter()
            .map(|u| (u.name.clone(), u.second_moment * cos_squared));
        overlaps.extend(plain);
    }
    Ok(overlaps)
}

/// What a start from linearised message passing works with, where zero is its fixed point.
fn linearised(tree: &Tree) -> Result<(Covariance, Observed), ReplicaError> {
    let observed = match Sensed::of(tree)? {
        Some(sensed) => Observed::Outputs(sensed),
        None => Observed::Matrix(SpikedMatrix::of(tree)?),
    };
    if StateEvolution::new(tree)?.origin.is_none() {
        let what = "linearised message passing needs centred factors";
        return Err(ReplicaError::NotSupported(what.into()));
    }
    Ok((Covariance::of(tree)?, observed))
}

/// What the signal is seen through.
enum Observed {
    Matrix(SpikedMatrix),
    Outputs(Sensed),
}
