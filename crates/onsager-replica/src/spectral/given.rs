//! Linearised message passing on one given spike.

use serde::Serialize;

use super::SpikedMatrix;
use crate::ReplicaError;

/// Linearised message passing on one given spike, whose components along the eigenvectors of the
/// covariance are known: no law of the signal is assumed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GivenSpike {
    /// The eigenvalue that leaves the others, of `K (Y/√p - ρ)/Δ` or of
    /// `K (c YᵀY/p - β ρ_u)/Δ`, `c = ρ_u/(Δ + ρ_u ρ)`; 1 for a typical Gaussian signal of covariance `K`.
    pub outlier: f64,
    /// `cos²` of the angle between eigenvector and signal; 0 where no eigenvalue leaves.
    pub cos_squared: f64,
}

/// [`GivenSpike`] for the covariance `K = Σ t_i u_i u_iᵀ` (`ρ` the mean of the `t_i`) and the spike
/// `x = √p Σ ±√w_i u_i`, in a square matrix, or beside a left factor of independent centred components
/// of second moment `ρ_u`.
///
/// The eigenvector is `v ∝ (Δλ K⁻¹ + ρ - N)⁻¹ x`, `N` the noise. Noise of variance `Δ/p` moves
/// `ρ` to `s` with `ρ - s = Δ mean(g)`, `g = t/(Δλ + s t)`; the eigenvalue is where
/// `X = Σ w_i g_i` is 1, and
///
/// `cos² = (1 - Δ mean(g²))/(Σ w_i Σ w_i g_i²)`.
///
/// Rectangular, `v` and `√c Y v/√p` are one eigenvector of a matrix with both on its diagonal blocks:
/// `s = β ρ_u - cβΔ h` with `h = 1/(1 - cΔ mean(g))`, the eigenvalue is where `cβ ρ_u h X = 1`, and
///
/// `cos² = X² (1 - β (cΔ h)² mean(g²))/(Σ w_i (Σ w_i g_i² + cΔ h X mean(g²)))`.
///
/// With the typical weights `w_i = t_i/p` this is `λ = 1`, `cos² = Δτ/ρ` of [`super::lamp`] in a square
/// matrix, and `cos²` of [`super::lamp_spectrum`] in both.
///
/// - **Arguments**: as many weights as eigenvalues; none negative, some of either positive.
/// - **Accuracy**: up to fluctuations of order `1/√p`, exact as `p → ∞`.
/// - **Source**: own derivation: the spike is separated from the resolvent, whose mean is that of
///   the noise.
///
/// ```
/// use onsager_replica::spectral::{SpikedMatrix, lamp_given};
/// // K = I: the principal component, with cos² = 1 - Δ and the eigenvalue (1 + Δ - 1)/Δ.
/// let square = SpikedMatrix::Wigner { noise: 0.25 };
/// let found = lamp_given(&[1.0; 3], &[0.5, 0.3, 0.2], square)?;
/// assert!((found.cos_squared - 0.75).abs() < 1e-12 && (found.outlier - 1.0).abs() < 1e-12);
/// // The right singular vector: (β - Δ²)/(β + Δ).
/// let rectangular = SpikedMatrix::Wishart { noise: 1.0, aspect: 3.0, left: 1.0 };
/// let found = lamp_given(&[1.0; 3], &[0.5, 0.3, 0.2], rectangular)?;
/// assert!((found.cos_squared - 0.5).abs() < 1e-12 && (found.outlier - 1.0).abs() < 1e-12);
/// # Ok::<(), onsager_replica::ReplicaError>(())
/// ```
///
/// # Errors
/// Lengths that differ, a negative number, only zeros, a parameter of the matrix that is not positive.
pub fn lamp_given(
    covariance: &[f64],
    weights: &[f64],
    matrix: SpikedMatrix,
) -> Result<GivenSpike, ReplicaError> {
    let refuse = |quantity, allowed, value| {
        Err(ReplicaError::Range {
            quantity,
            allowed,
            value,
        })
    };
    let lengths = (covariance.len(), weights.len());
    if lengths.0 != lengths.1 {
        return refuse(
            "number of weights",
            "one for each eigenvalue",
            lengths.1 as f64,
        );
    }
    for value in covariance.iter().chain(weights) {
        if !(*value >= 0.0 && value.is_finite()) {
            return refuse("eigenvalue or weight", "0 to infinity", *value);
        }
    }
    let count = covariance.len() as f64;
    // All functions that are summed vanish with the eigenvalue, and most may be zero.
    let (values, along): (Vec<f64>, Vec<f64>) = (covariance.iter().zip(weights))
        .filter(|(t, _)| **t > 0.0)
        .unzip();
    let mean = |f: &dyn Fn(f64) -> f64| values.iter().map(|t| f(*t)).sum::<f64>() / count;
    let over_spike =
        |f: &dyn Fn(f64) -> f64| -> f64 { values.iter().zip(&along).map(|(t, w)| w * f(*t)).sum() };
    let (rho, slope) = (mean(&|t| t), over_spike(&|t| t));
    if !(rho > 0.0 && slope > 0.0) {
        return refuse("covariance along the spike", "above 0", slope);
    }
    let matrix = matrix.check()?;
    let (SpikedMatrix::Wigner { noise } | SpikedMatrix::Wishart { noise, .. }) = matrix;
    // With r = s/(Δλ) the condition of the eigenvalue gives Δλ explicitly; beside it that on s, times a
    // positive number.
    let at = |r: f64| {
        let along = over_spike(&|t| t / (1.0 + r * t));
        let noisy = noise * mean(&|t| t / (1.0 + r * t));
        match matrix {
            SpikedMatrix::Wigner { .. } => (along, r * along * along - rho * along + noisy),
            SpikedMatrix::Wishart { aspect, left, .. } => {
                let value = left / (noise + left * rho) * (aspect * left * along + noisy);
                let excess = r * value - aspect * left + noise * value / (left * along);
                (value, excess)
            }
        }
    };
    let excess = |r: f64| at(r).1;
    // Negative at the pole of the largest eigenvalue, positive at infinity.
    let largest = covariance.iter().copied().fold(0.0, f64::max);
    let (mut low, mut high) = if excess(0.0) < 0.0 {
        (0.0, 1.0 / noise)
    } else {
        (-1.0 / largest, 0.0)
    };
    for _ in 0..200 {
        if excess(high) > 0.0 || high <= 0.0 {
            break;
        }
        (low, high) = (high, 2.0 * high);
    }
    for _ in 0..200 {
        let middle = 0.5 * (low + high);
        if middle <= low || middle >= high {
            break;
        }
        if excess(middle) < 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    let r = 0.5 * (low + high);
    let value = at(r).0;
    let g = |t: f64| t / (value * (1.0 + r * t));
    let square = |t: f64| g(t) * g(t);
    let norm = weights.iter().sum::<f64>();
    let (rest, whole) = match matrix {
        SpikedMatrix::Wigner { noise } => (1.0 - noise * mean(&square), norm * over_spike(&square)),
        SpikedMatrix::Wishart {
            noise,
            aspect,
            left,
        } => {
            let x = over_spike(&g);
            let told = noise / (aspect * left * x); // cΔ h
            let rest = 1.0 - aspect * told * told * mean(&square);
            let whole = norm * (over_spike(&square) + told * x * mean(&square)) / (x * x);
            (rest, whole)
        }
    };
    Ok(GivenSpike {
        outlier: value / noise,
        cos_squared: if rest > 0.0 {
            (rest / whole).min(1.0)
        } else {
            0.0
        },
    })
}
