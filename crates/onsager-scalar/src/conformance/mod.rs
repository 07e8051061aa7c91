//! Every identity that a law, an activation or an output must obey, run on any implementor.
//!
//! [`check_law`], [`check_activation`] and [`check_output`] know nothing of the kinds in this crate: they
//! use the traits alone, over wide ranges of signal-to-noise ratios, and compare what an
//! implementor states in one method with what follows from another. A [`Failure`] names every
//! identity broken, where it is broken most, both values and the seed; a [`Report`] says what
//! was compared, how often and how closely.
//!
//! One line tests a law of your own:
//!
//! ```
//! use onsager_scalar::{Moments, Prior, prior::Scale};
//! use onsager_scalar::{conformance::check_law, special::log_cosh};
//!
//! /// `±step`, fair.
//! #[derive(Debug)]
//! struct Steps {
//!     step: f64,
//! }
//!
//! impl Prior for Steps {
//!     fn log_partition(&self, a: f64, b: f64) -> f64 {
//!         log_cosh(b * self.step) - 0.5 * a * self.step * self.step
//!     }
//!     fn moments(&self, _a: f64, b: f64) -> Moments {
//!         let t = (b * self.step).tanh();
//!         let e = (-2.0 * (b * self.step).abs()).exp();
//!         let variance = self.step * self.step * 4.0 * e / (1.0 + e).powi(2);
//!         Moments { mean: self.step * t, variance }
//!     }
//!     fn mean(&self) -> f64 {
//!         0.0
//!     }
//!     fn second_moment(&self) -> f64 {
//!         self.step * self.step
//!     }
//!     fn scales(&self) -> Vec<Scale> {
//!         [-self.step, self.step].map(|mean| Scale { mean, variance: 0.0 }).to_vec()
//!     }
//!     fn sample(&self, rng: &mut dyn rand::Rng) -> f64 {
//!         if rng.next_u32() & 1 == 0 { -self.step } else { self.step }
//!     }
//!     fn is_even(&self) -> bool {
//!         true
//!     }
//!     fn discrete_entropy(&self) -> Option<f64> {
//!         Some(2f64.ln())
//!     }
//! }
//!
//! check_law(&Steps { step: 0.3 })?;
//!
//! // The same law with a second moment that is none is refused, by the name of the identity.
//! # #[derive(Debug)]
//! # struct Wrong(Steps);
//! # impl Prior for Wrong {
//! #     fn log_partition(&self, a: f64, b: f64) -> f64 { self.0.log_partition(a, b) }
//! #     fn moments(&self, a: f64, b: f64) -> Moments { self.0.moments(a, b) }
//! #     fn mean(&self) -> f64 { 0.0 }
//! #     fn second_moment(&self) -> f64 { 1.000001 * self.0.second_moment() }
//! #     fn scales(&self) -> Vec<Scale> { self.0.scales() }
//! #     fn sample(&self, rng: &mut dyn rand::Rng) -> f64 { self.0.sample(rng) }
//! #     fn is_even(&self) -> bool { true }
//! #     fn discrete_entropy(&self) -> Option<f64> { Some(2f64.ln()) }
//! # }
//! let failure = check_law(&Wrong(Steps { step: 0.3 })).unwrap_err();
//! assert!(failure.names("E mean² + E variance = E x²"), "{failure}");
//! # Ok::<(), onsager_scalar::conformance::Failure>(())
//! ```

mod activation;
mod derivative;
mod law;
mod output;
mod report;

pub use activation::{check_activation, check_activation_with};
pub use derivative::derivative;
pub use law::{check_law, check_law_with};
pub use output::{check_output, check_output_with};
pub use report::{Case, Failure, Report, Row};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rand_distr::{Distribution, StandardNormal};

use crate::quadrature::{Estimate, Panels, QuadratureError, integrate_all};

/// Seed of the checks that do not take one.
pub const SEED: u64 = 0;

/// Relative error within which two routes must agree, on top of what their own error estimates
/// allow. A hundredth of a millionth: far above the rounding of any closed form and of a good
/// quadrature, far below an error that would show in a curve.
const TOLERANCE: f64 = 1e-8;

/// The signal-to-noise ratios `a E x²` of a check: `per_decade` in each decade of 1e-6 to 1e8.
fn ratios(per_decade: i32) -> impl Iterator<Item = f64> {
    (-6 * per_decade..=8 * per_decade)
        .map(move |k| 10f64.powf(f64::from(k) / f64::from(per_decade)))
}

/// The stream of one purpose.
fn stream(seed: u64, purpose: u64) -> ChaCha8Rng {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    rng.set_stream(purpose);
    rng
}

fn normal(rng: &mut ChaCha8Rng) -> f64 {
    StandardNormal.sample(rng)
}

/// Integrals of the components of `f` over the panels, each halved until two rules agree within
/// `tolerance` of the integral of the first component (a positive weight).
fn bisected<const N: usize>(
    panels: &Panels,
    tolerance: f64,
    f: &dyn Fn(f64) -> [f64; N],
) -> Result<[Estimate; N], QuadratureError> {
    /// Halvings of a panel at most: below, neighbouring nodes coincide.
    const HALVINGS: usize = 40;
    let part = |(a, b)| integrate_all(&Panels::new([a, b])?, 16, f).map(|part| (a, b, part, 0));
    let mut open = panels.iter().map(part).collect::<Result<Vec<_>, _>>()?;
    let size: f64 = open.iter().map(|(.., part, _)| part[0].value).sum();
    let mut total = [Estimate {
        value: 0.0,
        error: 0.0,
    }; N];
    while let Some((a, b, parts, halvings)) = open.pop() {
        let middle = 0.5 * (a + b);
        let settled = parts[0].error <= tolerance * size
            && (parts.iter()).all(|p| p.error <= tolerance * (size + p.value.abs()));
        if settled || halvings == HALVINGS || middle <= a || middle >= b {
            for (total, part) in total.iter_mut().zip(parts) {
                total.value += part.value;
                total.error += part.error;
            }
        } else {
            for half in [(a, middle), (middle, b)] {
                let (a, b, parts, _) = part(half)?;
                open.push((a, b, parts, halvings + 1));
            }
        }
    }
    Ok(total)
}
