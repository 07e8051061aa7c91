//! Posterior means of laws and of activations, component by component.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_scalar::{Activation, Channels, Moments, Precisions, Prior};

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

    /// The channels of problem `t`, from the messages to both ports.
    fn channels(&self, ports: &Ports<'_>, t: usize, out: &mut Channels) {
        let (below, above) = (ports.message(0), ports.message(1));
        let n = ports.size(0);
        let variance = match below.precision.column(t) {
            Precisions::Shared(a) => Diagonal::Shared(vec![1.0 / a]),
            Precisions::Each(a) => Diagonal::Each(DMatrix::from_fn(n, 1, |i, _| 1.0 / a[i])),
        };
        let fields = below.field.column(t);
        let omega: Vec<f64> = fields
            .iter()
            .enumerate()
            .map(|(i, b)| b * variance.at(i, 0))
            .collect();
        let field = &above.field.as_slice()[t * n..(t + 1) * n];
        let (a, v) = (above.precision.column(t), variance.column(0));
        self.activation.channels_into(a, field, &omega, v, out);
    }
}

impl Rule for MmseLayer {
    fn update(&mut self, targets: &[usize], ports: &mut Ports<'_>) -> Result<(), AmpError> {
        let (n, problems) = (ports.size(0), ports.problems());
        let block = || DMatrix::zeros(n, problems);
        let mut sides = vec![(block(), block()); targets.len()];
        let mut channels = Channels::default();
        for t in 0..problems {
            self.channels(ports, t, &mut channels);
            for (target, (mean, variance)) in targets.iter().zip(&mut sides) {
                let [m, v] = match target {
                    0 => [&channels.input_mean, &channels.input_variance],
                    _ => [&channels.output_mean, &channels.output_variance],
                };
                mean.column_mut(t).copy_from_slice(m);
                variance.column_mut(t).copy_from_slice(v);
            }
        }
        for (target, (mean, variance)) in targets.iter().zip(sides) {
            let variance = Diagonal::Each(variance);
            ports.estimate(*target, Posterior { mean, variance });
        }
        Ok(())
    }

    /// `Σ ln Z(b, a, ω, V)`.
    fn log_partition(&self, ports: &Ports<'_>) -> Result<Vec<f64>, AmpError> {
        let mut channels = Channels::default();
        let sums = (0..ports.problems()).map(|t| {
            self.channels(ports, t, &mut channels);
            channels.log_partition.iter().sum()
        });
        Ok(sums.collect())
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
