//! Stand-ins that prepare a start: a message that does not change, and the linear theory.

use crate::{AmpError, Diagonal, Message, Ports, Posterior, Rule};

/// Sends the same messages to its first ports at every step, and nothing elsewhere.
pub(crate) struct Fixed(pub(crate) Vec<Message>);

impl Rule for Fixed {
    fn update(&mut self, targets: &[usize], ports: &mut Ports<'_>) -> Result<(), AmpError> {
        for target in targets {
            if let Some(message) = self.0.get(*target) {
                ports.send(*target, message.clone(), None);
            }
        }
        Ok(())
    }

    fn log_partition(&self, ports: &Ports<'_>) -> Result<Vec<f64>, AmpError> {
        Ok(vec![0.0; ports.problems()])
    }
}

/// A layer in the linear theory: `x = κ h + √s n`, the Gaussian channel with the first two
/// moments of `φ`.
pub(crate) struct LinearLayer {
    /// `κ = E[h φ(h)]/r`.
    pub(crate) gain: f64,
    /// `s = E φ² - κ² r`, not negative.
    pub(crate) noise: f64,
}

impl Rule for LinearLayer {
    fn update(&mut self, targets: &[usize], ports: &mut Ports<'_>) -> Result<(), AmpError> {
        let (below, above) = (ports.message(0), ports.message(1));
        let (k, s) = (self.gain, self.noise);
        let moments = |target: usize, i: usize, t: usize| {
            let v = 1.0 / below.precision.at(i, t);
            let omega = below.field[(i, t)] * v;
            let (a, b) = (above.precision.at(i, t), above.field[(i, t)]);
            // A Gaussian of mean `m` and variance `w`, tilted by (a, b).
            let tilt =
                |m: f64, w: f64, a: f64, b: f64| ((m + w * b) / (1.0 + a * w), w / (1.0 + a * w));
            if target == 0 {
                let through = k / (1.0 + a * s);
                tilt(omega, v, a * k * through, b * through)
            } else {
                tilt(k * omega, k * k * v + s, a, b)
            }
        };
        for target in targets {
            let (n, problems) = below.field.shape();
            let at = |i, t| moments(*target, i, t);
            let posterior = Posterior {
                mean: nalgebra::DMatrix::from_fn(n, problems, |i, t| at(i, t).0),
                variance: Diagonal::Each(nalgebra::DMatrix::from_fn(n, problems, |i, t| {
                    at(i, t).1
                })),
            };
            ports.estimate(*target, posterior);
        }
        Ok(())
    }

    /// Zero: a start has no evidence.
    fn log_partition(&self, ports: &Ports<'_>) -> Result<Vec<f64>, AmpError> {
        Ok(vec![0.0; ports.problems()])
    }
}
