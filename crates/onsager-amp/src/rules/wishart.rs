//! A rectangular matrix of rank one in Gaussian noise.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_operators::{Counted, Field, LinearOperator};

use crate::message::average;
use crate::{AmpError, Diagonal, Memory, Message, Ports, Rule};

/// `Y = u xᴴ/√p + √Δ ξ`, `n x p`, with the Onsager corrections for independent noise; port 0 is
/// `x`, port 1 is `u`.
///
/// To `u`: `B = Y x/(Δ √p) - mean(c_x) u_old/Δ`, `A = |x|²/(p Δ)`; to `x`:
/// `B = Yᴴ u/(Δ √p) - (n/p) mean(c_u) x_old/Δ`, `A = |u|²/(p Δ)`. The old estimates are those that
/// the present estimate of the other side was made of (their average, as the messages are
/// averaged, under damping).
pub struct Wishart<F: Field = f64> {
    matrix: Counted<Arc<dyn LinearOperator<F>>>,
    noise: f64,
    /// By port, the estimates that the last message to the other port was made of.
    old: [Option<DMatrix<F>>; 2],
    memory: Memory,
}

impl<F: Field> Wishart<F> {
    /// The rule of `matrix = Y`, `n x p`, and a noise of variance `noise > 0`.
    #[must_use]
    pub fn new(matrix: Arc<dyn LinearOperator<F>>, noise: f64) -> Self {
        Self {
            matrix: Counted::new(matrix),
            noise,
            old: [None, None],
            memory: Memory::Independent,
        }
    }

    /// The message to `port`, from the estimate at the other one.
    fn send(&mut self, port: usize, ports: &mut Ports<'_, F>) -> Result<(), AmpError> {
        let p = ports.size(0) as f64;
        let estimate = ports.posterior(1 - port)?;
        let from = estimate.mean.clone();
        let (n, problems) = from.shape();
        let old = match (&self.old[port], self.memory) {
            (Some(old), _) => old.clone(),
            (None, Memory::Independent) => DMatrix::zeros(ports.size(port), problems),
            (None, Memory::Stationary) => ports.posterior(port)?.mean.clone(),
        };
        let mut field = match port {
            0 => self.matrix.apply_adjoint(&from)?,
            _ => self.matrix.apply(&from)?,
        };
        let scale = 1.0 / (self.noise * p.sqrt());
        let share = n as f64 / (p * self.noise);
        for t in 0..problems {
            let onsager = share * estimate.variance.mean(t);
            for (b, old) in field.column_mut(t).iter_mut().zip(old.column(t).iter()) {
                *b = b.scale(scale) - old.scale(onsager);
            }
        }
        let precision = Diagonal::Shared((0..problems).map(|t| share * estimate.norm(t)).collect());
        let behind = self.old[1 - port].take();
        self.old[1 - port] = Some(average(behind, from, ports.step(port)));
        ports.send(port, Message { precision, field }, None);
        Ok(())
    }
}

impl<F: Field> Rule<F> for Wishart<F> {
    fn update(&mut self, targets: &[usize], ports: &mut Ports<'_, F>) -> Result<(), AmpError> {
        targets.iter().try_for_each(|port| self.send(*port, ports))
    }

    /// `Re uᴴYx/(Δ√p) - n(Q_u Q_x + Q_u C_x + C_u Q_x)/(2Δ)` and, for both sides,
    /// `-Re Bᴴv + A(|v|² + Σc)/2`, with `Q = |v|²/size`, `C = mean(c)`: the second-order expansion
    /// of the likelihood relative to noise alone, and the messages taken back.
    fn log_partition(&self, ports: &Ports<'_, F>) -> Result<Vec<f64>, AmpError> {
        let (x, u) = (ports.posterior(0)?, ports.posterior(1)?);
        let (p, n) = (ports.size(0) as f64, ports.size(1) as f64);
        let image = self.matrix.apply(&x.mean)?;
        let share = |t: usize| {
            let [(qx, cx), (qu, cu)] = [x, u].map(|v| (v.norm(t), v.variance.mean(t)));
            let energy = u.mean.column(t).dotc(&image.column(t)).real() / (self.noise * p.sqrt());
            let plefka = n * (qu * qx + qu * cx + cu * qx) / (2.0 * self.noise);
            let back = |port: usize| {
                let (v, message) = ([x, u][port], ports.sent(port));
                let (size, second) = ([p, n][port], v.norm(t) + v.variance.mean(t));
                let linear = v.mean.column(t).dotc(&message.field.column(t)).real();
                0.5 * size * message.precision.mean(t) * second - linear
            };
            energy - plefka + back(0) + back(1)
        };
        Ok((0..ports.problems()).map(share).collect())
    }

    fn remember(&mut self, memory: Memory) {
        self.old = [None, None];
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
