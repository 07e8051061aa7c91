use rand::Rng;

use super::{Form, Likelihood, Possible, Seen};
use crate::Moments;
use crate::activation::{Curve, Parity, Piece};

use super::logistic::line;

/// `y = φ(h)` without noise, for a smooth increasing function: the output tells the field.
///
/// An output at the end of the range is one that rounding put there, and tells a half line.
///
/// - **Accuracy**: data count as exact; the field follows to `ε |y|/φ'`, a few units in the last place of
///   `y` over the slope.
///
/// ```
/// use onsager_scalar::{Likelihood, activation::Tanh, likelihood::Invertible};
/// let seen = Invertible::new(Tanh).observe(0.5f64.tanh(), 0.0, 2.0);
/// assert!((seen.field.mean - 0.5).abs() < 1e-15);
/// assert_eq!((seen.field.variance, seen.curvature), (0.0, 0.5));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Invertible<C> {
    curve: C,
    /// Fields beyond which values round to the ends of the range.
    ends: (f64, f64),
}

impl<C: Curve> Invertible<C> {
    /// The output of this curve.
    pub fn new(curve: C) -> Self {
        let (low, high) = curve.range();
        let ends = (
            curve.inverse(low.next_up()),
            curve.inverse(high.next_down()),
        );
        Self { curve, ends }
    }

    /// The field of an output inside the range.
    fn field(&self, y: f64) -> f64 {
        let h = self.curve.inverse(y);
        let [x, slope, _] = self.curve.jet(h);
        // One step of Newton's method doubles the six digits.
        let step = (y - x) / slope;
        if step.is_finite() { h + step } else { h }
    }
}

impl<C: Curve> Likelihood for Invertible<C> {
    fn observe(&self, y: f64, omega: f64, v: f64) -> Seen {
        let (low, high) = self.curve.range();
        if y <= low || y >= high {
            let (lower, upper) = if y <= low {
                (f64::NEG_INFINITY, self.ends.0)
            } else {
                (self.ends.1, f64::INFINITY)
            };
            let (offset, slope) = (y, 0.0);
            let end = Piece {
                lower,
                upper,
                offset,
                slope,
            };
            return end.channel(0.0, 0.0, omega, v, false).into();
        }
        let h = self.field(y);
        let score = (h - omega) / v;
        let norm = (2.0 * std::f64::consts::PI * v).ln();
        Seen {
            log_evidence: -0.5 * ((h - omega) * score + norm) - self.curve.log_slope(h),
            field: Moments {
                mean: h,
                variance: 0.0,
            },
            score,
            curvature: 1.0 / v,
        }
    }
    fn sample(&self, h: f64, _: &mut dyn Rng) -> f64 {
        self.curve.jet(h)[0]
    }
    fn allows(&self, y: f64) -> bool {
        let (low, high) = self.curve.range();
        low <= y && y <= high
    }
    fn parity(&self) -> Parity {
        self.curve.parity()
    }
    fn sharpness(&self, _: f64) -> Option<f64> {
        Some(1.0)
    }
    fn entropy(&self, _: f64) -> f64 {
        f64::NEG_INFINITY
    }
    fn form(&self) -> Form<'_> {
        Form::Invertible { curve: &self.curve }
    }
    fn pieces(&self) -> &[Piece] {
        line()
    }
    /// None: a field that is known needs no average over the output.
    fn outputs(&self, _: f64, _: f64, _: &mut Vec<Possible>) {}
}
