use rand::Rng;

use super::concave::Concave;
use super::{Likelihood, Possible, Seen};
use crate::activation::{Parity, Piece};
use crate::special::{log1p_exp, logistic, normal_density};
use crate::{prior, quadrature};

/// A label `y = ±1` with `P(y|h) = 1/(1 + exp(-y h))`.
///
/// - **Accuracy**: relative 1e-12 of the mean's distance from `ω`, of the variance and of the score, at
///   every field; absolute 1e-13 of the log-evidence, and relative to `score² + curvature` that of the
///   curvature.
///
/// ```
/// use onsager_scalar::{Likelihood, likelihood::Logistic};
/// let fair = Logistic.observe(1.0, 0.0, 4.0);
/// assert!((fair.log_evidence - 0.5f64.ln()).abs() < 1e-13);
/// // A field that is known: the score is the probability of the other label.
/// let seen = Logistic.observe(1.0, 3.0, 1e-12);
/// assert!((seen.score - 1.0 / (1.0 + 3f64.exp())).abs() < 1e-12);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Logistic;

const LINE: [Piece; 1] = [Piece {
    lower: f64::NEG_INFINITY,
    upper: f64::INFINITY,
    offset: 0.0,
    slope: 1.0,
}];

/// One piece: such outputs have no kink as functions of their field.
pub(super) fn line() -> &'static [Piece] {
    &LINE
}

impl Likelihood for Logistic {
    fn observe(&self, y: f64, omega: f64, v: f64) -> Seen {
        // One exponential for both probabilities.
        let jet = |h: f64| {
            let x = y * h;
            let e = (-x.abs()).exp();
            let (large, small) = (1.0 / (1.0 + e), e / (1.0 + e));
            let wrong = if x < 0.0 { large } else { small };
            [x.min(0.0) - e.ln_1p(), y * wrong, -large * small]
        };
        let law = Concave {
            centre: 0.0,
            best: y * f64::INFINITY,
            floor: f64::NEG_INFINITY,
            mode: None,
            bend: 1.0,
            jet,
        };
        law.observe(omega, v)
    }
    fn sample(&self, h: f64, rng: &mut dyn Rng) -> f64 {
        if prior::uniform(rng) < logistic(h) {
            1.0
        } else {
            -1.0
        }
    }
    fn allows(&self, y: f64) -> bool {
        y.abs() == 1.0
    }
    fn labels(&self) -> Option<&[f64]> {
        Some(&[-1.0, 1.0])
    }
    fn parity(&self) -> Parity {
        Parity::Odd
    }
    fn sharpness(&self, _: f64) -> Option<f64> {
        None
    }
    /// `E [ln(1 + e^|h|) - |h|/(1 + e^-|h|)]`.
    fn entropy(&self, r: f64) -> f64 {
        let sd = r.sqrt();
        let panels = quadrature::Panels::gaussian();
        // Features of width 1 in h.
        let panels = panels.clone().refine_towards(0.0, 1.0 / sd);
        let panels = panels.unwrap_or_else(|_| quadrature::Panels::gaussian());
        let bits = |t: f64| {
            let h = (sd * t).abs();
            normal_density(t) * (log1p_exp(-h) + h * logistic(-h))
        };
        quadrature::integrate(&panels, 16, bits).map_or(f64::NAN, |e| e.value)
    }
    fn pieces(&self) -> &[Piece] {
        line()
    }
    fn bend(&self) -> Option<f64> {
        Some(1.0)
    }
    fn outputs(&self, omega: f64, v: f64, out: &mut Vec<Possible>) {
        out.extend([-1.0, 1.0].map(|y| Possible::counted(y, self.observe(y, omega, v))));
    }
}
