//! Posterior means of laws and of activations, component by component.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_scalar::{Activation, Channel, Moments, Prior};

use crate::{AmpError, Componentwise, Diagonal, Fields, Ports, Posterior, Rule};

/// The posterior mean of independent components of one law.
///
/// It keeps one variance per component, whatever the precisions of its messages.
#[derive(Debug, Clone)]
pub struct Mmse {
    law: Arc<dyn Prior>,
}

impl Mmse {
    /// The rule of a law.
    #[must_use]
    pub fn new(law: Arc<dyn Prior>) -> Self {
        Self { law }
    }
}

impl Rule for Mmse {
    fn update(&mut self, _targets: &[usize], ports: &mut Ports<'_>) -> Result<(), AmpError> {
        let message = ports.message(0);
        let (n, problems) = message.field.shape();
        let mut moments = vec![Moments::default(); n * problems];
        for (t, out) in moments.chunks_mut(n).enumerate() {
            let Fields { precision, field } = message.fields(t);
            self.law.moments_into(precision, field, out);
        }
        let pairs = moments.into_iter().map(|m| (m.mean, m.variance));
        ports.estimate(0, gather(n, problems, pairs));
        Ok(())
    }

    /// `Σ ln ∫ P(dx) exp(-a x²/2 + b x)`.
    fn log_partition(&self, ports: &Ports<'_>) -> Result<Vec<f64>, AmpError> {
        let m = ports.message(0);
        let one = |i, t| {
            self.law
                .log_partition(m.precision.at(i, t), m.field[(i, t)])
        };
        Ok(sums(m.field.nrows(), m.field.ncols(), one))
    }
}

/// The posterior means of `h` and `x = φ(h)`, component by component.
#[derive(Debug, Clone)]
pub struct MmseLayer {
    activation: Arc<dyn Activation>,
}

impl MmseLayer {
    /// The rule of an activation.
    #[must_use]
    pub fn new(activation: Arc<dyn Activation>) -> Self {
        Self { activation }
    }

    /// The channel of component `i`, from the messages to both ports.
    fn channel(&self, below: &Fields<'_>, above: &Fields<'_>, i: usize) -> Channel {
        let v = 1.0 / below.precision.at(i);
        let omega = below.field[i] * v;
        self.activation
            .channel(above.precision.at(i), above.field[i], omega, v)
    }
}

impl Componentwise for MmseLayer {
    fn moments(&self, below: Fields<'_>, above: Fields<'_>, out: &mut [[(f64, f64); 2]]) {
        for (i, out) in out.iter_mut().enumerate() {
            let c = self.channel(&below, &above, i);
            *out = [c.input, c.output].map(|m| (m.mean, m.variance));
        }
    }
}

impl Rule for MmseLayer {
    fn update(&mut self, targets: &[usize], ports: &mut Ports<'_>) -> Result<(), AmpError> {
        let (below, above) = (ports.message(0), ports.message(1));
        let (n, problems) = below.field.shape();
        let mut all = vec![[(0.0, 0.0); 2]; n * problems];
        for (t, out) in all.chunks_mut(n).enumerate() {
            self.moments(below.fields(t), above.fields(t), out);
        }
        for target in targets {
            let side = all.iter().map(|m| m[*target]);
            ports.estimate(*target, gather(n, problems, side));
        }
        Ok(())
    }

    fn componentwise(&self) -> Option<&dyn Componentwise> {
        Some(self)
    }

    /// `Σ ln Z(b, a, ω, V)`.
    fn log_partition(&self, ports: &Ports<'_>) -> Result<Vec<f64>, AmpError> {
        let (below, above) = (ports.message(0), ports.message(1));
        Ok(sums(ports.size(0), ports.problems(), |i, t| {
            self.channel(&below.fields(t), &above.fields(t), i)
                .log_partition
        }))
    }
}

/// Moments in column order, as a block.
fn gather(n: usize, problems: usize, moments: impl Iterator<Item = (f64, f64)>) -> Posterior {
    let (mean, variance) = moments.unzip();
    Posterior {
        mean: DMatrix::from_vec(n, problems, mean),
        variance: Diagonal::Each(DMatrix::from_vec(n, problems, variance)),
    }
}

/// `Σ_i f(i, t)` for every `t`.
fn sums(n: usize, problems: usize, f: impl Fn(usize, usize) -> f64) -> Vec<f64> {
    (0..problems)
        .map(|t| (0..n).map(|i| f(i, t)).sum())
        .collect()
}
