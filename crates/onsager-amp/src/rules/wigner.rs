//! A symmetric matrix of rank one in Gaussian noise.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_operators::{Counted, Field, LinearOperator};

use crate::message::average;
use crate::{AmpError, Diagonal, Memory, Message, Ports, Rule};

/// `Y = x xᴴ/√p + √Δ ξ`, with the Onsager correction for independent noise.
///
/// `B = Y v/(Δ √p) - mean(c) v_old/Δ`, `A = |v|²/(p Δ)`, with the estimate `v` of variance `c` and
/// the estimate `v_old` that the previous message was made of (their average, as the messages are
/// averaged, under damping).
pub struct Wigner<F: Field = f64> {
    matrix: Counted<Arc<dyn LinearOperator<F>>>,
    noise: f64,
    old: Option<DMatrix<F>>,
    memory: Memory,
}

impl<F: Field> Wigner<F> {
    /// The rule of `matrix = Y`, `p x p`, and a noise of variance `noise > 0`.
    #[must_use]
    pub fn new(matrix: Arc<dyn LinearOperator<F>>, noise: f64) -> Self {
        Self {
            matrix: Counted::new(matrix),
            noise,
            old: None,
            memory: Memory::Independent,
        }
    }
}

impl<F: Field> Rule<F> for Wigner<F> {
    fn update(&mut self, _targets: &[usize], ports: &mut Ports<'_, F>) -> Result<(), AmpError> {
        let estimate = ports.posterior(0)?;
        let v = estimate.mean.clone();
        let (p, problems) = v.shape();
        let old = self.old.take().unwrap_or_else(|| match self.memory {
            Memory::Independent => DMatrix::zeros(p, problems),
            Memory::Stationary => v.clone(),
        });
        let mut field = self.matrix.apply(&v)?;
        let scale = 1.0 / (self.noise * (p as f64).sqrt());
        for t in 0..problems {
            let onsager = estimate.variance.mean(t) / self.noise;
            for (b, old) in field.column_mut(t).iter_mut().zip(old.column(t).iter()) {
                *b = b.scale(scale) - old.scale(onsager);
            }
        }
        let precision = Diagonal::Shared(
            (0..problems)
                .map(|t| estimate.norm(t) / self.noise)
                .collect(),
        );
        self.old = Some(average(Some(old), v, ports.step(0)));
        ports.send(0, Message { precision, field }, None);
        Ok(())
    }

    /// `vᴴYv/(2Δ√p) - p(Q² + 2QC)/(4Δ) - Re Bᴴv + A(|v|² + Σc)/2`, `Q = |v|²/p`, `C = mean(c)`:
    /// the second-order expansion of the likelihood relative to noise alone, and the message
    /// taken back.
    fn log_partition(&self, ports: &Ports<'_, F>) -> Result<Vec<f64>, AmpError> {
        let estimate = ports.posterior(0)?;
        let message = ports.sent(0);
        let v = &estimate.mean;
        let image = self.matrix.apply(v)?;
        let p = v.nrows() as f64;
        let share = |t: usize| {
            let (q, c) = (estimate.norm(t), estimate.variance.mean(t));
            let energy = v.column(t).dotc(&image.column(t)).real() / (2.0 * self.noise * p.sqrt());
            let plefka = p * q * (q + 2.0 * c) / (4.0 * self.noise);
            let linear = v.column(t).dotc(&message.field.column(t)).real();
            energy - plefka - linear + 0.5 * p * message.precision.mean(t) * (q + c)
        };
        Ok((0..ports.problems()).map(share).collect())
    }

    fn remember(&mut self, memory: Memory) {
        self.old = None;
        self.memory = memory;
    }

    fn products(&self) -> u64 {
        let products = self.matrix.products();
        products.forward + products.adjoint
    }

    fn bytes(&self) -> usize {
        self.matrix.bytes()
    }
}
