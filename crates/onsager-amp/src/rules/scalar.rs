//! Posterior means of laws and of activations, component by component.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_scalar::{Activation, Channels, Moments, Precisions, Prior};

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
        let (mean, variance) = moments.iter().map(|m| (m.mean, m.variance)).unzip();
        let mean = DMatrix::from_vec(n, problems, mean);
        let variance = Diagonal::Each(DMatrix::from_vec(n, problems, variance));
        ports.estimate(0, Posterior { mean, variance });
        Ok(())
    }

    /// `Σ ln ∫ P(dx) exp(-a x²/2 + b x)`.
    fn log_partition(&self, ports: &Ports<'_>) -> Result<Vec<f64>, AmpError> {
        let m = ports.message(0);
        let one = |i, t| {
            self.law
                .log_partition(m.precision.at(i, t), m.field[(i, t)])
        };
        let sum = |t| (0..m.field.nrows()).map(|i| one(i, t)).sum();
        Ok((0..ports.problems()).map(sum).collect())
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

    /// The channels of the components of one problem, from the messages to both ports.
    fn channels(&self, below: &Fields<'_>, above: &Fields<'_>, out: &mut Channels) {
        let inverse: Vec<f64>;
        let v = match below.precision {
            Precisions::Shared(a) => Precisions::Shared(1.0 / a),
            Precisions::Each(a) => {
                inverse = a.iter().map(|a| 1.0 / a).collect();
                Precisions::Each(&inverse)
            }
        };
        let fields = below.field.iter().enumerate();
        let omega: Vec<f64> = fields.map(|(i, b)| b * v.at(i)).collect();
        self.activation
            .channels_into(above.precision, above.field, &omega, v, out);
    }
}

impl Componentwise for MmseLayer {
    fn moments(&self, _: usize, below: Fields<'_>, above: Fields<'_>, out: &mut [[(f64, f64); 2]]) {
        let mut c = Channels::default();
        self.channels(&below, &above, &mut c);
        for (i, out) in out.iter_mut().enumerate() {
            *out = [
                (c.input_mean[i], c.input_variance[i]),
                (c.output_mean[i], c.output_variance[i]),
            ];
        }
    }
}

impl Rule for MmseLayer {
    fn update(&mut self, targets: &[usize], ports: &mut Ports<'_>) -> Result<(), AmpError> {
        let (below, above) = (ports.message(0), ports.message(1));
        let (n, problems) = below.field.shape();
        let block = || DMatrix::zeros(n, problems);
        let mut sides = vec![(block(), block()); targets.len()];
        let mut channels = Channels::default();
        for t in 0..problems {
            self.channels(&below.fields(t), &above.fields(t), &mut channels);
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

    fn componentwise(&self) -> Option<&dyn Componentwise> {
        Some(self)
    }

    /// `Σ ln Z(b, a, ω, V)`.
    fn log_partition(&self, ports: &Ports<'_>) -> Result<Vec<f64>, AmpError> {
        let (below, above) = (ports.message(0), ports.message(1));
        let mut channels = Channels::default();
        let sums = (0..ports.problems()).map(|t| {
            self.channels(&below.fields(t), &above.fields(t), &mut channels);
            channels.log_partition.iter().sum()
        });
        Ok(sums.collect())
    }
}
