//! Linearised message passing on one given spike.

use serde::Serialize;

use crate::ReplicaError;

/// Linearised message passing on one given spike, whose components along the eigenvectors of the
/// covariance are known: no law of the signal is assumed.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct GivenSpike {
    /// The eigenvalue of `K (Y/√p - ρ)/Δ` that leaves the others; 1 for a typical Gaussian signal
    /// of covariance `K`.
    pub outlier: f64,
    /// `cos²` of the angle between eigenvector and signal; 0 where no eigenvalue leaves.
    pub cos_squared: f64,
}

/// [`GivenSpike`] for the covariance `K = Σ t_i u_i u_iᵀ` (`ρ` the mean of the `t_i`) and the spike
/// `x = √p Σ ±√w_i u_i`.
///
/// The eigenvector is `v ∝ (Δλ K⁻¹ + ρ - N)⁻¹ x`, `N` the noise. Noise of variance `Δ/p` moves
/// `ρ` to `s` with `ρ - s = Δ mean(g)`, `g = t/(Δλ + s t)`; the eigenvalue is where
/// `Σ w_i g_i = 1`, and
///
/// `cos² = (1 - Δ mean(g²))/(Σ w_i Σ w_i g_i²)`.
///
/// With the typical weights `w_i = t_i/p` this is `λ = 1`, `cos² = Δτ/ρ` of [`super::lamp`].
///
/// - **Arguments**: as many weights as eigenvalues; none negative, some of either positive.
/// - **Accuracy**: up to fluctuations of order `1/√p`, exact as `p → ∞`.
/// - **Source**: own derivation: the spike is separated from the resolvent, whose mean is that of
///   Wigner noise.
///
/// ```
/// use onsager_replica::spectral::lamp_given;
/// // K = I: the principal component, with cos² = 1 - Δ and the eigenvalue (1 + Δ - 1)/Δ.
/// let found = lamp_given(&[1.0; 3], &[0.5, 0.3, 0.2], 0.25)?;
/// assert!((found.cos_squared - 0.75).abs() < 1e-12 && (found.outlier - 1.0).abs() < 1e-12);
/// # Ok::<(), onsager_replica::ReplicaError>(())
/// ```
///
/// # Errors
/// Lengths that differ, a negative number, only zeros, a noise that is not positive.
pub fn lamp_given(
    covariance: &[f64],
    weights: &[f64],
    noise: f64,
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
    if !(noise > 0.0 && noise.is_finite()) {
        return refuse("noise", "0 to infinity", noise);
    }
    // With r = s/(Δλ) the condition of the eigenvalue is Δλ = Σ w t/(1 + r t), explicitly.
    let scaled = |r: f64| over_spike(&|t| t / (1.0 + r * t));
    let excess = |r: f64| {
        let u = scaled(r);
        r * u * u - rho * u + noise * mean(&|t| t / (1.0 + r * t))
    };
    // Negative at the pole of the largest eigenvalue, positive at infinity.
    let largest = covariance.iter().copied().fold(0.0, f64::max);
    let (mut low, mut high) = if slope > noise {
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
    let u = scaled(r);
    let square = |t: f64| (t / (u * (1.0 + r * t))).powi(2);
    let rest = 1.0 - noise * mean(&square);
    let cos_squared = rest / (weights.iter().sum::<f64>() * over_spike(&square));
    Ok(GivenSpike {
        outlier: u / noise,
        cos_squared: if rest > 0.0 {
            cos_squared.min(1.0)
        } else {
            0.0
        },
    })
}
