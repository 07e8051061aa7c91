use std::sync::Arc;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Activation, Channel, Parity, Piece};
use crate::{Moments, ScalarError};

/// `x = φ(h + √before n) + √after n'`: Gaussian noise on either side of a function.
///
/// Noise before `φ` widens the field, noise after it weakens the message, and both in closed form:
/// with `c = 1 + a·after` the channel is that of `φ` at `(a/c, b/c, ω, V + before)`.
///
/// ```
/// use std::sync::Arc;
/// use onsager_scalar::{Activation, activation::{Noisy, PiecewiseLinear}};
/// let phi = Noisy::new(Arc::new(PiecewiseLinear::linear()), 0.5, 0.25)?;
/// assert_eq!(phi.second_moment(1.0), 1.75);
/// // h ~ N(0, 1) seen through noise 0.75 and a message of variance 1/4: one Gaussian of variance 1.
/// let c = phi.channel(4.0, 4.0, 0.0, 1.0);
/// assert_eq!((c.input.mean, c.input.variance), (0.5, 0.5));
/// # Ok::<(), onsager_scalar::ScalarError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Noisy {
    phi: Arc<dyn Activation>,
    noise: Noise,
}

/// Variances of the noises around a function.
///
/// ```
/// use onsager_scalar::activation::{Activation, PiecewiseLinear};
/// assert!(PiecewiseLinear::sign().noise().is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Noise {
    /// Before it.
    pub before: f64,
    /// After it.
    pub after: f64,
}

impl Noisy {
    /// Noises of the given variances around a function; those around a [`Noisy`] one nest.
    ///
    /// # Errors
    /// A variance that is not finite or negative.
    pub fn new(phi: Arc<dyn Activation>, before: f64, after: f64) -> Result<Self, ScalarError> {
        for (quantity, value) in [
            ("noise before the activation", before),
            ("noise after the activation", after),
        ] {
            if !(value.is_finite() && value >= 0.0) {
                let allowed = "finite and not negative";
                return Err(ScalarError::Range {
                    quantity,
                    allowed,
                    value,
                });
            }
        }
        let noise = Noise { before, after };
        Ok(Self { phi, noise })
    }
}

impl Activation for Noisy {
    fn apply(&self, h: f64) -> f64 {
        self.phi.apply(h)
    }
    fn sample(&self, h: f64, rng: &mut dyn Rng) -> f64 {
        let mut noise = |variance: f64| {
            let z: f64 = StandardNormal.sample(rng);
            variance.sqrt() * z
        };
        let (before, after) = (noise(self.noise.before), noise(self.noise.after));
        self.phi.sample(h + before, rng) + after
    }
    fn noise(&self) -> Option<(&dyn Activation, Noise)> {
        Some((&*self.phi, self.noise))
    }
    fn channel(&self, a: f64, b: f64, omega: f64, v: f64) -> Channel {
        let Noise { before, after } = self.noise;
        let c = 1.0 + a * after;
        let wide = v + before;
        let found = self.phi.channel(a / c, b / c, omega, wide);
        let share = v / wide;
        Channel {
            log_partition: found.log_partition + 0.5 * (b * b * after / c - (a * after).ln_1p()),
            output: Moments {
                mean: (found.output.mean + b * after) / c,
                variance: (after + found.output.variance / c) / c,
            },
            // The noiseless field follows the noisy one, up to its own share of the variance.
            input: Moments {
                mean: omega + share * (found.input.mean - omega),
                variance: share * (before + share * found.input.variance),
            },
            ..found
        }
    }
    fn log_likelihood(&self, a: f64, y: f64, omega: f64, v: f64) -> f64 {
        let Noise { before, after } = self.noise;
        let seen = a / (1.0 + a * after);
        self.phi.log_likelihood(seen, y, omega, v + before) - 0.5 * (a * after).ln_1p()
    }
    fn mean(&self, r: f64) -> f64 {
        self.phi.mean(r + self.noise.before)
    }
    fn second_moment(&self, r: f64) -> f64 {
        self.phi.second_moment(r + self.noise.before) + self.noise.after
    }
    fn linear_gain(&self, r: f64) -> f64 {
        // E[h φ(h')]/r = E[h' φ(h')]/E h'²: h is a fixed share of h' and independent noise.
        self.phi.linear_gain(r + self.noise.before)
    }
    fn parity(&self) -> Parity {
        self.phi.parity()
    }
    fn pieces(&self) -> &[Piece] {
        self.phi.pieces()
    }
    fn bend(&self) -> Option<f64> {
        self.phi.bend()
    }
    fn jet(&self, h: f64) -> [f64; 2] {
        self.phi.jet(h)
    }
    fn sloped_fraction(&self, r: f64) -> f64 {
        self.phi.sloped_fraction(r + self.noise.before)
    }
    fn is_discrete(&self) -> bool {
        self.noise.after == 0.0 && self.phi.is_discrete()
    }
    fn is_discontinuous(&self) -> bool {
        self.noise.before == 0.0 && self.phi.is_discontinuous()
    }
}
