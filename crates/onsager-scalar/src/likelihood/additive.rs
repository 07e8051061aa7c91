use std::f64::consts::{E, PI};
use std::sync::Arc;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::{Form, Likelihood, Possible, Seen, is_flat};
use crate::activation::{Activation, Parity, Piece};
use crate::{Channels, Moments, Precisions, ScalarError};

/// `y = φ(h) + √noise n`: the channel of a layer under the message `a = 1/noise`, `b = y/noise`.
///
/// ```
/// use std::sync::Arc;
/// use onsager_scalar::{Likelihood, activation::PiecewiseLinear, likelihood::Additive};
/// let y = Additive::new(Arc::new(PiecewiseLinear::abs()), 0.1)?;
/// assert!(y.allows(-0.2));
/// assert_eq!(y.observe(1.0, 0.0, 1.0).field.mean, 0.0); // the sign is not seen
/// # Ok::<(), onsager_scalar::ScalarError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Additive {
    phi: Arc<dyn Activation>,
    noise: f64,
}

impl Additive {
    /// A function and the variance of the noise after it.
    ///
    /// # Errors
    /// A variance that is not finite and positive; a function with noises of its own ([`Blurred`]
    /// puts noise before an output).
    pub fn new(phi: Arc<dyn Activation>, noise: f64) -> Result<Self, ScalarError> {
        if let Some((_, inside)) = phi.noise() {
            return Err(ScalarError::Range {
                quantity: "noise inside the function of an output",
                allowed: "none",
                value: inside.before.max(inside.after),
            });
        }
        if !(noise.is_finite() && noise > 0.0) {
            return Err(ScalarError::NotPositive {
                quantity: "noise after the output",
                value: noise,
            });
        }
        Ok(Self { phi, noise })
    }
}

impl Likelihood for Additive {
    fn observe(&self, y: f64, omega: f64, v: f64) -> Seen {
        let a = 1.0 / self.noise;
        let found = Seen::from(self.phi.channel(a, a * y, omega, v));
        // The channel's own partition cancels against a y²/2 where the noise is small.
        let log = self.phi.log_likelihood(a, y, omega, v);
        Seen {
            log_evidence: log - 0.5 * (2.0 * PI * self.noise).ln(),
            ..found
        }
    }
    fn observe_into(&self, y: &[f64], omega: &[f64], v: Precisions<'_>, out: &mut [Seen]) {
        let a = 1.0 / self.noise;
        let b: Vec<f64> = y.iter().map(|y| a * y).collect();
        let mut found = Channels::default();
        self.phi
            .channels_into(Precisions::Shared(a), &b, omega, v, &mut found);
        let norm = 0.5 * (2.0 * PI * self.noise).ln();
        for (i, out) in out.iter_mut().enumerate() {
            *out = Seen {
                log_evidence: found.log_partition[i] - 0.5 * a * y[i] * y[i] - norm,
                field: Moments {
                    mean: found.input_mean[i],
                    variance: found.input_variance[i],
                },
                score: found.score[i],
                curvature: found.curvature[i],
            };
        }
    }
    fn sample(&self, h: f64, rng: &mut dyn Rng) -> f64 {
        let x = self.phi.sample(h, rng);
        let n: f64 = StandardNormal.sample(rng);
        x + self.noise.sqrt() * n
    }
    fn allows(&self, y: f64) -> bool {
        y.is_finite()
    }
    fn parity(&self) -> Parity {
        self.phi.parity()
    }
    /// Beside a jump scores grow like `V^(-1/4)` on average, whatever the noise.
    fn sharpness(&self, _: f64) -> Option<f64> {
        self.phi.is_discontinuous().then_some(0.0)
    }
    /// That of the noise.
    fn entropy(&self, _: f64) -> f64 {
        0.5 * (2.0 * PI * E * self.noise).ln()
    }
    fn form(&self) -> Form<'_> {
        Form::Additive {
            phi: &*self.phi,
            noise: self.noise,
        }
    }
    fn pieces(&self) -> &[Piece] {
        self.phi.pieces()
    }
    fn bend(&self) -> Option<f64> {
        self.phi.bend()
    }
    fn is_constant(&self, r: f64) -> bool {
        self.phi.bend().is_none() && is_flat(self.phi.pieces(), r)
    }
    /// None: averages go through the layer.
    fn outputs(&self, _: f64, _: f64, _: &mut Vec<Possible>) {}
}

/// A likelihood of `h + √variance n` instead of `h`: noise before the output.
///
/// The channel is that of the law inside at `(y, ω, V + variance)`; the probit output is the sign
/// behind such noise.
///
/// ```
/// use std::sync::Arc;
/// use onsager_scalar::{Likelihood, activation::PiecewiseLinear, likelihood::{Blurred, Noiseless}};
/// let sign = Arc::new(Noiseless::new(PiecewiseLinear::sign()));
/// let probit = Blurred::new(sign, 3.0)?;
/// let seen = probit.observe(1.0, 0.0, 1.0);
/// assert_eq!(seen.log_evidence, 0.5f64.ln());
/// assert!((seen.score - (0.5 / std::f64::consts::PI).sqrt()).abs() < 1e-15); // φ(0)/(Φ(0) √4)
/// # Ok::<(), onsager_scalar::ScalarError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Blurred {
    sharp: Arc<dyn Likelihood>,
    variance: f64,
}

impl Blurred {
    /// A law and the variance of the noise before it.
    ///
    /// # Errors
    /// A variance that is not finite and positive.
    pub fn new(sharp: Arc<dyn Likelihood>, variance: f64) -> Result<Self, ScalarError> {
        if !(variance.is_finite() && variance > 0.0) {
            return Err(ScalarError::NotPositive {
                quantity: "noise before the output",
                value: variance,
            });
        }
        Ok(Self { sharp, variance })
    }

    /// From the field with noise to the field without.
    fn before(&self, seen: Seen, omega: f64, v: f64) -> Seen {
        let share = v / (v + self.variance);
        Seen {
            field: Moments {
                mean: omega + v * seen.score,
                variance: share * (self.variance + share * seen.field.variance),
            },
            ..seen
        }
    }
}

impl Likelihood for Blurred {
    fn observe(&self, y: f64, omega: f64, v: f64) -> Seen {
        self.before(self.sharp.observe(y, omega, v + self.variance), omega, v)
    }
    fn sample(&self, h: f64, rng: &mut dyn Rng) -> f64 {
        let n: f64 = StandardNormal.sample(rng);
        self.sharp.sample(h + self.variance.sqrt() * n, rng)
    }
    fn allows(&self, y: f64) -> bool {
        self.sharp.allows(y)
    }
    fn labels(&self) -> Option<&[f64]> {
        self.sharp.labels()
    }
    fn parity(&self) -> Parity {
        self.sharp.parity()
    }
    fn sharpness(&self, _: f64) -> Option<f64> {
        None
    }
    /// `-E ln P(y|h)`: the average of the law inside at a field known up to the noise.
    fn entropy(&self, r: f64) -> f64 {
        // ∫ over h, then over y; panels follow the noise, and the pieces of the law inside.
        let width = self.variance.sqrt();
        let ends = self.sharp.pieces().iter().map(|p| p.lower / r.sqrt());
        let ends = ends.filter(|end| end.is_finite());
        let panels = ends.fold(crate::quadrature::Panels::gaussian(), |panels, end| {
            let split = panels.clone().split_at(end);
            split
                .refine_towards(end, 0.5 * width / r.sqrt())
                .unwrap_or(panels)
        });
        let mut outputs = Vec::new();
        let inner = |t: f64| {
            outputs.clear();
            let h = r.sqrt() * t;
            self.sharp.outputs(h, self.variance, &mut outputs);
            let logs = outputs.iter().map(|p| p.weight * p.seen.log_evidence);
            let sum: f64 = logs.sum();
            -crate::special::normal_density(t) * sum
        };
        crate::quadrature::integrate(&panels, 16, inner).map_or(f64::NAN, |e| e.value)
    }
    fn form(&self) -> Form<'_> {
        Form::Blurred {
            sharp: &*self.sharp,
            variance: self.variance,
        }
    }
    fn pieces(&self) -> &[Piece] {
        self.sharp.pieces()
    }
    fn bend(&self) -> Option<f64> {
        self.sharp.bend()
    }
    fn is_constant(&self, r: f64) -> bool {
        self.sharp.is_constant(r + self.variance)
    }
    fn outputs(&self, omega: f64, v: f64, out: &mut Vec<Possible>) {
        let first = out.len();
        self.sharp.outputs(omega, v + self.variance, out);
        for possible in &mut out[first..] {
            possible.seen = self.before(possible.seen, omega, v);
        }
    }
}
