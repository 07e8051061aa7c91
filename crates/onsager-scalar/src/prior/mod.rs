//! Laws of independent components, seen through a Gaussian message.

mod mixture;
mod truncated;

use std::f64::consts::LN_2;
use std::fmt::Debug;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::columns::{self, Kernel, Messages, Posteriors, each};
use crate::lanes::{exp, exp_m1, ln};
use crate::special::{log_add_exp, logistic};
use crate::{Moments, Precisions, ScalarError};

pub use mixture::Mixture;
pub use truncated::Truncated;

/// A law `P` on the line, seen through a Gaussian message `exp(-a x²/2 + b x)`.
///
/// A law states its log-partition and its posterior moments; overlaps, free entropies and state
/// evolution are averages of these two and are derived elsewhere, once for all laws.
///
/// - **Domain**: `a >= 0` and finite, `b` finite.
/// - **Identities** every implementation obeys: `mean = ∂A/∂b`, `variance = ∂²A/∂b²`,
///   `mean² + variance = -2 ∂A/∂a`.
///
/// ```
/// use onsager_scalar::{Prior, prior::Rademacher};
/// let m = Rademacher.moments(1.0, 0.5);
/// assert!((m.mean - 0.5f64.tanh()).abs() < 1e-15);
/// ```
pub trait Prior: Debug + Send + Sync {
    /// Log-partition `A(a, b) = ln ∫ P(dx) exp(-a x²/2 + b x)`, in nats.
    fn log_partition(&self, a: f64, b: f64) -> f64;

    /// Posterior mean `∂A/∂b` and variance `∂²A/∂b²`.
    fn moments(&self, a: f64, b: f64) -> Moments;

    /// Log-likelihood `ln ∫ P(dx) exp(-a (x - y)²/2) = A(a, ay) - ay²/2`.
    ///
    /// The default loses `1e-16 ay²` to cancellation; an implementation that completes the square
    /// keeps every digit.
    fn log_likelihood(&self, a: f64, y: f64) -> f64 {
        self.log_partition(a, a * y) - 0.5 * a * y * y
    }

    /// First moment `E x` of the law itself.
    fn mean(&self) -> f64;

    /// Second moment `E x²` of the law itself: the `ρ` of every formula.
    fn second_moment(&self) -> f64;

    /// Where the mass of the law sits: locations and widths, from which quadrature panels are
    /// placed. A point mass has variance 0, and so has an end at which the density jumps or bends.
    fn scales(&self) -> Vec<Scale>;

    /// Draws one value.
    fn sample(&self, rng: &mut dyn Rng) -> f64;

    /// Whether `x` and `-x` have the same law.
    fn is_even(&self) -> bool {
        false
    }

    /// Shannon entropy in nats of a law that is purely discrete, `None` otherwise.
    fn discrete_entropy(&self) -> Option<f64> {
        None
    }

    /// Weight of the continuous part of the law: the dimension that noiseless data must pay for.
    fn dimension(&self) -> f64 {
        if self.discrete_entropy().is_some() {
            0.0
        } else {
            1.0
        }
    }

    /// Proximal map of a penalty: the mode of the posterior and its derivative with respect to
    /// the field. `None` for laws that have no penalty of their own.
    fn mode(&self, _a: f64, _b: f64) -> Option<Moments> {
        None
    }

    /// Moments of a whole column; equal to [`Prior::moments`] point by point, but for what is below
    /// 1e-290.
    ///
    /// The laws of this crate are vectorised, within 16 ulp of the mean (or of the width of the
    /// posterior where that is larger) and of the variance, per unit of its logarithm: odds are
    /// exponentials.
    fn moments_into(&self, a: Precisions<'_>, b: &[f64], out: &mut [Moments]) {
        for (i, (b, out)) in b.iter().zip(out).enumerate() {
            *out = self.moments(a.at(i), *b);
        }
    }
}

/// Location and squared width of one part of a law.
///
/// ```
/// use onsager_scalar::{Prior, prior::Rademacher};
/// assert_eq!(Rademacher.scales()[0].mean, -1.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Scale {
    /// Where the part sits.
    pub mean: f64,
    /// Its variance, 0 for a point mass or an end of the density.
    pub variance: f64,
}

fn finite(quantity: &'static str, value: f64) -> Result<f64, ScalarError> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(ScalarError::NotFinite { quantity, value })
    }
}

fn positive(quantity: &'static str, value: f64) -> Result<f64, ScalarError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(ScalarError::NotPositive { quantity, value })
    }
}

fn probability(quantity: &'static str, value: f64) -> Result<f64, ScalarError> {
    if value > 0.0 && value <= 1.0 {
        Ok(value)
    } else {
        Err(ScalarError::Probability { quantity, value })
    }
}

/// Exponents below which a mixture is taken as 1 and what is added to it: with little signal the
/// log-partition vanishes, and keeps its relative digits.
const FAINT: f64 = 0.5;

/// Uniform in `[0, 1)`, from 53 random bits.
pub(crate) fn uniform(rng: &mut dyn Rng) -> f64 {
    (rng.next_u64() >> 11) as f64 * (-53f64).exp2()
}

/// The Gaussian law `N(mean, variance)`.
///
/// `A(a, b) = (b²v + 2bm - am²) / (2(1 + av)) - ln(1 + av)/2`.
///
/// ```
/// use onsager_scalar::{Prior, prior::Gaussian};
/// assert_eq!(Gaussian::new(1.0, 2.0)?.second_moment(), 3.0);
/// # Ok::<(), onsager_scalar::ScalarError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gaussian {
    mean: f64,
    variance: f64,
}

impl Gaussian {
    /// # Errors
    /// A mean that is not finite, a variance that is not finite and positive.
    pub fn new(mean: f64, variance: f64) -> Result<Self, ScalarError> {
        Ok(Self {
            mean: finite("mean", mean)?,
            variance: positive("variance", variance)?,
        })
    }

    /// The same, with variance 0 for a point mass.
    fn or_point(mean: f64, variance: f64) -> Result<Self, ScalarError> {
        if variance == 0.0 {
            let mean = finite("mean", mean)?;
            Ok(Self { mean, variance })
        } else {
            Self::new(mean, variance)
        }
    }

    /// The log-partition without its logarithm.
    #[inline(always)]
    fn exponent(&self, a: f64, b: f64) -> f64 {
        let (m, v) = (self.mean, self.variance);
        (b * b * v + 2.0 * b * m - a * m * m) / (2.0 * (1.0 + a * v))
    }

    /// The log-partition without branches; its logarithm is exact to an ulp of 1, absolutely.
    #[inline(always)]
    fn log_partition_lane(&self, a: f64, b: f64) -> f64 {
        self.exponent(a, b) - 0.5 * ln(1.0 + a * self.variance)
    }

    /// `N(0, 1)`.
    #[must_use]
    pub fn standard() -> Self {
        Self {
            mean: 0.0,
            variance: 1.0,
        }
    }
}

impl Prior for Gaussian {
    fn log_partition(&self, a: f64, b: f64) -> f64 {
        self.exponent(a, b) - 0.5 * (a * self.variance).ln_1p()
    }
    fn log_likelihood(&self, a: f64, y: f64) -> f64 {
        let d = 1.0 + a * self.variance;
        -0.5 * a * (y - self.mean).powi(2) / d - 0.5 * (a * self.variance).ln_1p()
    }
    fn moments(&self, a: f64, b: f64) -> Moments {
        let d = 1.0 + a * self.variance;
        Moments {
            mean: (self.mean + b * self.variance) / d,
            variance: self.variance / d,
        }
    }
    fn moments_into(&self, a: Precisions<'_>, b: &[f64], out: &mut [Moments]) {
        columns::moments(*self, a, b, out);
    }
    fn mean(&self) -> f64 {
        self.mean
    }
    fn second_moment(&self) -> f64 {
        self.mean * self.mean + self.variance
    }
    fn scales(&self) -> Vec<Scale> {
        vec![Scale {
            mean: self.mean,
            variance: self.variance,
        }]
    }
    fn sample(&self, rng: &mut dyn Rng) -> f64 {
        let z: f64 = StandardNormal.sample(rng);
        self.mean + self.variance.sqrt() * z
    }
    fn is_even(&self) -> bool {
        self.mean == 0.0
    }
}

impl Kernel<2, 2> for Gaussian {
    #[inline(always)]
    fn block<const N: usize>(&self, messages: &Messages<N>, out: &mut Posteriors<N>) {
        each(messages, out, |a, b| self.moments(a, b));
    }
}

/// Fair signs: `±1` with probability 1/2 each; `A(a, b) = ln cosh b - a/2`.
///
/// ```
/// use onsager_scalar::{Prior, prior::Rademacher};
/// assert_eq!(Rademacher.discrete_entropy(), Some(std::f64::consts::LN_2));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rademacher;

impl Prior for Rademacher {
    fn log_partition(&self, a: f64, b: f64) -> f64 {
        // ln cosh b, written so that neither tail overflows.
        b.abs() + (-2.0 * b.abs()).exp().ln_1p() - LN_2 - 0.5 * a
    }
    fn log_likelihood(&self, a: f64, y: f64) -> f64 {
        let y = y.abs();
        -0.5 * a * (y - 1.0).powi(2) + (-2.0 * a * y).exp().ln_1p() - LN_2
    }
    fn moments(&self, _a: f64, b: f64) -> Moments {
        // sech² from the small exponential: 1 - tanh² is exactly 0 from |b| ≈ 19 on.
        let e = (-2.0 * b.abs()).exp();
        Moments {
            mean: b.tanh(),
            variance: 4.0 * e / ((1.0 + e) * (1.0 + e)),
        }
    }
    fn moments_into(&self, a: Precisions<'_>, b: &[f64], out: &mut [Moments]) {
        columns::moments(*self, a, b, out);
    }
    fn mean(&self) -> f64 {
        0.0
    }
    fn second_moment(&self) -> f64 {
        1.0
    }
    fn scales(&self) -> Vec<Scale> {
        vec![
            Scale {
                mean: -1.0,
                variance: 0.0,
            },
            Scale {
                mean: 1.0,
                variance: 0.0,
            },
        ]
    }
    fn sample(&self, rng: &mut dyn Rng) -> f64 {
        if rng.next_u32() & 1 == 0 { -1.0 } else { 1.0 }
    }
    fn is_even(&self) -> bool {
        true
    }
    fn discrete_entropy(&self) -> Option<f64> {
        Some(LN_2)
    }
}

impl Kernel<2, 2> for Rademacher {
    #[inline(always)]
    fn block<const N: usize>(&self, messages: &Messages<N>, out: &mut Posteriors<N>) {
        each(messages, out, |_, b| {
            let twice = -2.0 * b.abs();
            let e = exp(twice);
            Moments {
                // e - 1 of its own: a small mean keeps its digits.
                mean: (-exp_m1(twice) / (1.0 + e)).copysign(b),
                variance: 4.0 * e / ((1.0 + e) * (1.0 + e)),
            }
        });
    }
}

/// Zero with probability `1 - ρ`, else `N(mean, variance)`: the spike and slab.
///
/// `exp A = (1 - ρ) + ρ exp A_slab` with the log-partition `A_slab` of the Gaussian part.
///
/// ```
/// use onsager_scalar::{Prior, prior::GaussBernoulli};
/// let p = GaussBernoulli::new(0.25, 0.0, 2.0)?;
/// assert_eq!(p.second_moment(), 0.5);
/// # Ok::<(), onsager_scalar::ScalarError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GaussBernoulli {
    sparsity: f64,
    slab: Gaussian,
}

impl GaussBernoulli {
    /// `sparsity` is the probability of a nonzero, in `(0, 1]`.
    ///
    /// # Errors
    /// A sparsity outside `(0, 1]`; mean and variance as for [`Gaussian::new`].
    pub fn new(sparsity: f64, mean: f64, variance: f64) -> Result<Self, ScalarError> {
        Ok(Self {
            sparsity: probability("sparsity", sparsity)?,
            slab: Gaussian::new(mean, variance)?,
        })
    }

    /// `ln ((1 - ρ) exp(spike) + ρ exp(slab))`.
    fn mixed(&self, spike: f64, slab: f64) -> f64 {
        let rest = 1.0 - self.sparsity;
        if spike.abs().max(slab.abs()) < FAINT {
            return (rest * spike.exp_m1() + self.sparsity * slab.exp_m1()).ln_1p();
        }
        log_add_exp((-self.sparsity).ln_1p() + spike, self.sparsity.ln() + slab)
    }

    /// Log-odds of "nonzero" in the posterior.
    fn log_odds(&self, a: f64, b: f64) -> f64 {
        // ln(1 - ρ) is -∞ at ρ = 1: the odds are then +∞ and the logistic is exactly 1.
        self.sparsity.ln() - (-self.sparsity).ln_1p() + self.slab.log_partition(a, b)
    }
}

impl Prior for GaussBernoulli {
    fn log_partition(&self, a: f64, b: f64) -> f64 {
        self.mixed(0.0, self.slab.log_partition(a, b))
    }
    fn log_likelihood(&self, a: f64, y: f64) -> f64 {
        self.mixed(-0.5 * a * y * y, self.slab.log_likelihood(a, y))
    }
    fn moments(&self, a: f64, b: f64) -> Moments {
        let odds = self.log_odds(a, b);
        // Both weights from their own logistic: 1 - w would lose the small one.
        let (w, w0) = (logistic(odds), logistic(-odds));
        let s = self.slab.moments(a, b);
        Moments {
            mean: w * s.mean,
            variance: w * (s.variance + w0 * s.mean * s.mean),
        }
    }
    fn moments_into(&self, a: Precisions<'_>, b: &[f64], out: &mut [Moments]) {
        columns::moments(*self, a, b, out);
    }
    fn mean(&self) -> f64 {
        self.sparsity * self.slab.mean()
    }
    fn second_moment(&self) -> f64 {
        self.sparsity * self.slab.second_moment()
    }
    fn scales(&self) -> Vec<Scale> {
        let mut scales = self.slab.scales();
        if self.sparsity < 1.0 {
            scales.push(Scale {
                mean: 0.0,
                variance: 0.0,
            });
        }
        scales
    }
    fn sample(&self, rng: &mut dyn Rng) -> f64 {
        if uniform(rng) < self.sparsity {
            self.slab.sample(rng)
        } else {
            0.0
        }
    }
    fn is_even(&self) -> bool {
        self.slab.is_even()
    }
    fn dimension(&self) -> f64 {
        self.sparsity
    }
}

impl Kernel<2, 2> for GaussBernoulli {
    #[inline(always)]
    fn block<const N: usize>(&self, messages: &Messages<N>, out: &mut Posteriors<N>) {
        let prior = self.sparsity.ln() - (-self.sparsity).ln_1p();
        each(messages, out, |a, b| {
            let odds = prior + self.slab.log_partition_lane(a, b);
            let e = exp(-odds.abs());
            let (large, small) = (1.0 / (1.0 + e), e / (1.0 + e));
            let likely = odds >= 0.0;
            let w = if likely { large } else { small };
            let w0 = if likely { small } else { large };
            let s = self.slab.moments(a, b);
            Moments {
                mean: w * s.mean,
                variance: w * (s.variance + w0 * s.mean * s.mean),
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where nothing cancels, the default and the completed square are one function.
    #[test]
    fn likelihoods_complete_the_square() {
        let laws: [&dyn Prior; 3] = [
            &Gaussian::new(0.3, 2.0).unwrap(),
            &Rademacher,
            &GaussBernoulli::new(0.2, -1.0, 0.5).unwrap(),
        ];
        for law in laws {
            for (a, y) in [(0.0, 1.0), (0.5, -2.0), (3.0, 0.1), (20.0, 1.7)] {
                let expected = law.log_partition(a, a * y) - 0.5 * a * y * y;
                // Terms of at most ay²/2 < 30 cancel.
                let found = law.log_likelihood(a, y);
                assert!((found - expected).abs() < 1e-13, "{law:?} {a} {y}");
            }
        }
    }
}
