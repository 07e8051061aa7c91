//! Spectral methods for spiked matrices: principal components, with and without the prior's
//! covariance.

use std::f64::consts::PI;

use onsager_model::Tree;
use serde::Serialize;

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
/// `Δ = E t²`, where weak recovery ends as well. For a linear layer this is Bayes-optimal.
///
/// - **Domain**: centred signals with at most one layer.
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
/// An observation that is not a spiked matrix; a signal that is not centred or has two layers or
/// more.
pub fn lamp(tree: &Tree) -> Result<SpectralPrediction, ReplicaError> {
    let chain = spiked(tree)?;
    let (noise, rho) = (chain.noise(), chain.second_moment());
    let law = Covariance::of(&chain)?;
    let Some(threshold) = chain.origin() else {
        return Err(not_centred());
    };
    let cos_squared = if noise < threshold {
        noise * law.tau(noise, threshold) / rho
    } else {
        0.0
    };
    Ok(SpectralPrediction {
        cos_squared,
        mse: rho * (1.0 - cos_squared),
        threshold,
    })
}

/// Overlaps of a linearised start by variable: signal, and latent as the linear theory sees it.
///
/// The layer is replaced by its linear part plus independent noise: with `A = q/Δ`, the field is
/// observed with ratio `κ²A/(1 + A(ρ - κ²r))`, and the latent's overlap solves its own linear
/// estimation problem at that ratio. To be used as [`crate::Start::Overlaps`].
///
/// # Errors
/// As for [`lamp`].
pub fn lamp_overlaps(tree: &Tree) -> Result<std::collections::BTreeMap<String, f64>, ReplicaError> {
    let chain = spiked(tree)?;
    let rho = chain.second_moment();
    let q = rho * lamp(tree)?.cos_squared;
    let names = |i: usize| chain.variables[i].name.clone();
    let mut overlaps = std::collections::BTreeMap::from([(names(chain.signal()), q)]);
    if chain.signal() > 0 {
        let law = Covariance::of(&chain)?;
        let r = chain.variables[0].second_moment;
        let a = q / chain.noise();
        let ratio = law.scale / r * a / (1.0 + a * law.shift);
        // r - q_z = E over MarchenkoPastur of WᵀW/k of r/(1 + r ratio s), which has the nonzero
        // eigenvalues of WWᵀ/k: k (1 - E) = p (1 - E').
        let lost = law.average(|s| r * ratio * s / (1.0 + r * ratio * s));
        overlaps.insert(names(0), r * law.aspect * lost);
    }
    Ok(overlaps)
}

fn spiked(tree: &Tree) -> Result<StateEvolution, ReplicaError> {
    let chain = StateEvolution::new(tree)?;
    if chain.observation.is_even() && chain.observation.left(0.0, 1.0).is_none() {
        Ok(chain)
    } else {
        Err(ReplicaError::NotSupported(
            "spectral methods need a spiked Wigner matrix".into(),
        ))
    }
}

fn not_centred() -> ReplicaError {
    ReplicaError::NotSupported("linearised message passing needs a centred signal".into())
}

/// The law of `t = shift + scale s`, `s` an eigenvalue of `W Wᵀ/k` with `aspect = p/k`.
#[derive(Debug, Clone, Copy)]
struct Covariance {
    shift: f64,
    scale: f64,
    aspect: f64,
}

impl Covariance {
    fn of(chain: &StateEvolution) -> Result<Self, ReplicaError> {
        if chain.susceptibility_at_zero(chain.signal()).is_none() {
            return Err(not_centred());
        }
        let rho = chain.second_moment();
        match chain.factors.as_slice() {
            [_] => Ok(Self {
                shift: rho,
                scale: 0.0,
                aspect: 1.0,
            }),
            [_, weights, layer] => {
                let (Some(aspect), Some(phi)) = (weights.aspect(), layer.componentwise()) else {
                    return Err(not_centred());
                };
                let scale = phi.gain * phi.gain * chain.variables[0].second_moment;
                Ok(Self {
                    // Zero for linear layers, where rounding must not leave a negative rest.
                    shift: (rho - scale).max(0.0),
                    scale,
                    aspect,
                })
            }
            _ => Err(ReplicaError::NotSupported(
                "the covariance of two layers or more".into(),
            )),
        }
    }

    /// `E f(s)` over the Marchenko-Pastur law.
    ///
    /// With `s = 1 + α + 2√α cos θ` the density is `2 sin²θ/(π s) dθ` on `(0, π)`; the integrand
    /// extends to an even periodic function, for which the midpoint rule converges geometrically.
    fn average(&self, f: impl Fn(f64) -> f64) -> f64 {
        /// Resolves functions of `s` that turn at distances of 1e-5 from the edge.
        const POINTS: usize = 4096;
        let root = self.aspect.sqrt();
        let sum: f64 = (0..POINTS)
            .map(|i| {
                let theta = PI * (i as f64 + 0.5) / POINTS as f64;
                // (1 - √α)² + 4√α cos²(θ/2) does not cancel at the lower edge.
                let s = (1.0 - root).powi(2) + 4.0 * root * (0.5 * theta).cos().powi(2);
                2.0 * theta.sin().powi(2) / s * f(s)
            })
            .sum();
        let atom = (1.0 - 1.0 / self.aspect).max(0.0);
        sum / POINTS as f64 + if atom > 0.0 { atom * f(0.0) } else { 0.0 }
    }

    /// The root `τ > 0` of `E[t²/(1 + tτ)] = noise`, for `noise` below `E t² = threshold`.
    fn tau(&self, noise: f64, threshold: f64) -> f64 {
        let excess = |tau: f64| {
            let mean = self.average(|s| {
                let t = self.shift + self.scale * s;
                t * t / (1.0 + t * tau)
            });
            mean - noise
        };
        // Convex and decreasing: since t²/(1 + tτ) < t/τ, the root lies below E t/noise.
        let (mut low, mut high) = (0.0, (self.shift + self.scale) / noise);
        let (mut f_low, mut f_high) = (threshold - noise, excess(high));
        let mut side = 0;
        let mut tau = high;
        for _ in 0..100 {
            if f_high == f_low || high - low <= 1e-15 * high {
                break;
            }
            tau = (low * f_high - high * f_low) / (f_high - f_low);
            let f = excess(tau);
            if f.abs() <= 1e-15 * noise {
                break;
            }
            if f > 0.0 {
                (low, f_low) = (tau, f);
                if side == 1 {
                    f_high *= 0.5;
                }
                side = 1;
            } else {
                (high, f_high) = (tau, f);
                if side == -1 {
                    f_low *= 0.5;
                }
                side = -1;
            }
        }
        tau
    }
}

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
/// With the typical weights `w_i = t_i/p` this is `λ = 1`, `cos² = Δτ/ρ` of [`lamp`].
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
    let mean = |f: &dyn Fn(f64) -> f64| covariance.iter().map(|t| f(*t)).sum::<f64>() / count;
    let over_spike = |f: &dyn Fn(f64) -> f64| -> f64 {
        covariance.iter().zip(weights).map(|(t, w)| w * f(*t)).sum()
    };
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
