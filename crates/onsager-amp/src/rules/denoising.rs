//! Direct observation in Gaussian noise.

use nalgebra::DMatrix;
use onsager_operators::Field;

use crate::{AmpError, Diagonal, Message, Ports, Rule};

/// `y = x + √Δ n`: sends `a = 1/Δ`, `b = y/Δ`, whatever it is told.
#[derive(Debug, Clone)]
pub struct Denoising<F: Field = f64> {
    data: DMatrix<F>,
    noise: f64,
}

impl<F: Field> Denoising<F> {
    /// The rule of data `y`, `n x T`, and a noise of variance `noise > 0`.
    #[must_use]
    pub fn new(data: DMatrix<F>, noise: f64) -> Self {
        Self { data, noise }
    }
}

impl<F: Field> Rule<F> for Denoising<F> {
    fn update(&mut self, _targets: &[usize], ports: &mut Ports<'_, F>) -> Result<(), AmpError> {
        let message = Message {
            precision: Diagonal::Shared(vec![1.0 / self.noise; ports.problems()]),
            field: self.data.map(|y| y.unscale(self.noise)),
        };
        ports.send(0, message, None);
        Ok(())
    }

    /// Zero: the likelihood relative to that of `x = 0` *is* the message.
    fn log_partition(&self, ports: &Ports<'_, F>) -> Result<Vec<f64>, AmpError> {
        Ok(vec![0.0; ports.problems()])
    }
}
