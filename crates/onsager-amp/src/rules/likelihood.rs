//! The output of a generalised linear model.

use std::ops::Range;
use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_scalar::likelihood::Seen;
use onsager_scalar::{Likelihood as Law, Precisions};

use crate::{AmpError, Componentwise, Diagonal, Fields, Message, Ports, Posterior, Rule};

/// The posterior mean of the field `h ~ N(ω, V)` behind outputs `y ~ P(y|h)`, component by
/// component; it sends no message of its own, as the factor below reads its moments.
#[derive(Debug, Clone)]
pub struct Likelihood {
    law: Arc<dyn Law>,
    /// `n x T`.
    data: DMatrix<f64>,
}

impl Likelihood {
    /// The rule of data `y`, `n x T`.
    #[must_use]
    pub fn new(law: Arc<dyn Law>, data: DMatrix<f64>) -> Self {
        Self { law, data }
    }

    /// What the outputs `rows` of problem `t` say.
    fn seen(&self, rows: Range<usize>, t: usize, below: &Fields<'_>) -> Vec<Seen> {
        let mut seen = vec![Seen::default(); rows.len()];
        let (omega, v) = fields(below);
        let n = self.data.nrows();
        let y = &self.data.as_slice()[t * n..][rows];
        let v = v.as_ref().map_or_else(
            || Precisions::Shared(1.0 / below.precision.at(0)),
            |v| Precisions::Each(v),
        );
        self.law.observe_into(y, &omega, v, &mut seen);
        seen
    }
}

/// Means of the fields, and their variances if they differ.
fn fields(below: &Fields<'_>) -> (Vec<f64>, Option<Vec<f64>>) {
    let v = match below.precision {
        Precisions::Shared(_) => None,
        Precisions::Each(a) => Some(a.iter().map(|a| 1.0 / a).collect()),
    };
    let b = below.field.iter().enumerate();
    let omega = b.map(|(i, b)| b / below.precision.at(i)).collect();
    (omega, v)
}

impl Componentwise for Likelihood {
    fn moments(&self, first: usize, below: Fields<'_>, _: Fields<'_>, out: &mut [[(f64, f64); 2]]) {
        let seen = self.seen(first..first + out.len(), 0, &below);
        for (out, seen) in out.iter_mut().zip(seen) {
            out[0] = (seen.field.mean, seen.field.variance);
        }
    }
}

impl Rule for Likelihood {
    fn update(&mut self, _targets: &[usize], ports: &mut Ports<'_>) -> Result<(), AmpError> {
        let below: Message = ports.message(0);
        let (n, problems) = below.field.shape();
        let all = (0..problems).flat_map(|t| self.seen(0..n, t, &below.fields(t)));
        let (mean, variance) = all.map(|s| (s.field.mean, s.field.variance)).unzip();
        let mean = DMatrix::from_vec(n, problems, mean);
        let variance = Diagonal::Each(DMatrix::from_vec(n, problems, variance));
        ports.estimate(0, Posterior { mean, variance });
        Ok(())
    }

    fn componentwise(&self) -> Option<&dyn Componentwise> {
        Some(self)
    }

    /// `Σ ln ∫ N(h; ω, V) P(y|h) dh`.
    fn log_partition(&self, ports: &Ports<'_>) -> Result<Vec<f64>, AmpError> {
        let below = ports.message(0);
        // One at a time: columns may give up digits of the evidence, which iterations do not read.
        let one = |i: usize, t: usize| {
            let v = 1.0 / below.precision.at(i, t);
            let omega = below.field[(i, t)] * v;
            self.law.observe(self.data[(i, t)], omega, v).log_evidence
        };
        let sum = |t| (0..below.field.nrows()).map(|i| one(i, t)).sum();
        Ok((0..ports.problems()).map(sum).collect())
    }
}
