//! Posterior means of laws and of activations, component by component.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_scalar::{Activation, Channel, Moments, Prior};

use crate::{AmpError, Diagonal, Ports, Posterior, Rule};

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
            let field = &message.field.as_slice()[t * n..(t + 1) * n];
            self.law
                .moments_into(message.precision.column(t), field, out);
        }
        ports.estimate(0, gather(n, problems, moments.into_iter()));
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

    /// The channel of component `i` of problem `t`, from the messages to both ports.
    fn channels<'a>(&'a self, ports: &Ports<'_>) -> impl Fn(usize, usize) -> Channel + 'a {
        let (below, above) = (ports.message(0), ports.message(1));
        move |i, t| {
            let v = 1.0 / below.precision.at(i, t);
            let omega = below.field[(i, t)] * v;
            let (a, b) = (above.precision.at(i, t), above.field[(i, t)]);
            self.activation.channel(a, b, omega, v)
        }
    }
}

impl Rule for MmseLayer {
    fn update(&mut self, targets: &[usize], ports: &mut Ports<'_>) -> Result<(), AmpError> {
        let (n, problems) = (ports.size(0), ports.problems());
        let channel = self.channels(ports);
        let all: Vec<Channel> = (0..problems)
            .flat_map(|t| (0..n).map(move |i| (i, t)))
            .map(|(i, t)| channel(i, t))
            .collect();
        for target in targets {
            let side = |c: &Channel| if *target == 0 { c.input } else { c.output };
            ports.estimate(*target, gather(n, problems, all.iter().map(side)));
        }
        Ok(())
    }

    /// `Σ ln Z(b, a, ω, V)`.
    fn log_partition(&self, ports: &Ports<'_>) -> Result<Vec<f64>, AmpError> {
        let channel = self.channels(ports);
        Ok(sums(ports.size(0), ports.problems(), |i, t| {
            channel(i, t).log_partition
        }))
    }
}

/// Moments in column order, as a block.
fn gather(n: usize, problems: usize, moments: impl Iterator<Item = Moments>) -> Posterior {
    let (mean, variance) = moments.map(|m| (m.mean, m.variance)).unzip();
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
