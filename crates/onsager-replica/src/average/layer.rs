//! The matched average of a layer.

use std::f64::consts::PI;

use onsager_scalar::activation::{Activation, Parity, Piece};

use super::error::{AverageError, not_negative, positive};
use super::grid::{Centre, Node, graded};

/// What a layer answers on average, at one precision `a` from above and one overlap below.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct LayerAverage {
    /// `E v²`, the overlap of the variable above the layer.
    pub overlap: f64,
    /// `E c`, its mean squared error.
    pub mmse: f64,
    /// `E g²`, the precision per message sent down.
    pub score: f64,
    /// `E Var h`, the mean squared error of the field.
    pub field_mmse: f64,
    /// `Ψ_out = E ln Z`, in nats per component.
    pub potential: f64,
    /// Self-check: `|E 1 - 1|`.
    pub error: f64,
}

/// Average of a layer over its messages, at precision `a`, field overlap `q`, field variance `v`.
pub fn layer(phi: &dyn Activation, a: f64, q: f64, v: f64) -> Result<LayerAverage, AverageError> {
    layer_at(phi, a, q, v, 1.0)
}

/// [`layer`] with all steps divided by `refine`.
pub(super) fn layer_at(
    phi: &dyn Activation,
    a: f64,
    q: f64,
    v: f64,
    refine: f64,
) -> Result<LayerAverage, AverageError> {
    not_negative("precision", a)?;
    not_negative("overlap", q)?;
    positive("field variance", v)?;
    let mut inner = Inner::new(phi, a, v, refine);
    let mut sum = Sums::default();
    for (omega, weight) in fields(phi, q, v, refine) {
        inner.add(omega, weight, &mut sum);
    }
    let [mass, overlap, mmse, score, field_mmse, potential] = sum.0;
    Ok(LayerAverage {
        overlap,
        mmse,
        score,
        field_mmse,
        potential,
        error: (mass - 1.0).abs(),
    })
}

/// `[1, v², c, g², Var h, ln Z]`, summed with their weights.
#[derive(Default)]
struct Sums([f64; 6]);

/// Half-width of every Gaussian, in standard deviations: beyond it lies less than 1e-18.
const REACH: f64 = 9.0;
/// Step of a rule in its own variable.
const STEP: f64 = 0.35;
/// Longest step over a Gaussian, in standard deviations: `STEP * COARSE` = 0.7.
const COARSE: f64 = 2.0;

/// From this `b²` on, `ln Z - b²/2` would lose more than 1e-13: the likelihood is computed apart.
const CANCELLING: f64 = 1e3;

/// Values of the field `ω ~ N(0, q)` with their weights.
fn fields(phi: &dyn Activation, q: f64, v: f64, refine: f64) -> Vec<Node> {
    if q == 0.0 {
        return vec![(0.0, 1.0)];
    }
    let sd = q.sqrt();
    let centres: Vec<Centre> = phi.pieces()[1..]
        .iter()
        .map(|p| Centre::turn(p.lower / sd, (v / q).sqrt()))
        .collect();
    // With a parity, (ω, b) and (-ω, ±b) weigh the same: twice the half line.
    let folded = phi.parity() != Parity::None;
    let from = if folded { 0.0 } else { -REACH };
    let mut nodes = graded(&centres, COARSE, 0.0, (from, REACH), STEP / refine);
    for (x, w) in &mut nodes {
        *w *= (-0.5 * *x * *x).exp() / (2.0 * PI).sqrt();
        if folded && *x > 0.0 {
            *w *= 2.0;
        }
        *x *= sd;
    }
    nodes
}

/// The integral over the field `b` of the message from above, at given `ω`.
struct Inner<'a> {
    phi: &'a dyn Activation,
    a: f64,
    v: f64,
    refine: f64,
    /// Rules for the runs of pieces that were needed so far.
    rules: Vec<((usize, usize), Vec<Node>)>,
}

impl<'a> Inner<'a> {
    fn new(phi: &'a dyn Activation, a: f64, v: f64, refine: f64) -> Self {
        Self {
            phi,
            a,
            v,
            refine,
            rules: vec![],
        }
    }

    fn add(&mut self, omega: f64, weight: f64, sum: &mut Sums) {
        let (a, v) = (self.a, self.v);
        if a == 0.0 {
            self.point(0.0, omega, weight * (2.0 * PI).sqrt(), sum);
            return;
        }
        let reach = REACH * v.sqrt();
        let (low, high) = (omega - reach, omega + reach);
        let pieces = self.phi.pieces();
        let first = pieces.iter().take_while(|p| p.upper <= low).count();
        let last = first
            + pieces[first..]
                .iter()
                .take_while(|p| p.lower < high)
                .count()
            - 1;
        let root = a.sqrt();
        if first == last {
            // One Gaussian, N(√a φ(ω), 1 + a φ'² v).
            let p = pieces[first];
            let sd = (1.0 + a * p.slope * p.slope * v).sqrt();
            let step = STEP * COARSE / self.refine;
            let count = (REACH / step).ceil() as i32;
            for k in -count..=count {
                let b = root * p.at(omega) + f64::from(k) * step * sd;
                self.point(b, omega, weight * step * sd, sum);
            }
            return;
        }
        let found = self.rules.iter().position(|r| r.0 == (first, last));
        let rule = found.unwrap_or_else(|| {
            let rule = mixed(&pieces[first..=last], a, v, self.refine);
            self.rules.push(((first, last), rule));
            self.rules.len() - 1
        });
        // Each piece puts its mass on an interval.
        let spans = |b: f64| {
            pieces[first..=last].iter().any(|p| {
                let x = root * p.at(low.max(p.lower));
                let y = root * p.at(high.min(p.upper));
                b > x.min(y) - REACH && b < x.max(y) + REACH
            })
        };
        for &(b, w) in &self.rules[rule].1 {
            if spans(b) {
                self.point(b, omega, weight * w, sum);
            }
        }
    }

    fn point(&self, b: f64, omega: f64, weight: f64, sum: &mut Sums) {
        let c = self.phi.channel(self.a, self.a.sqrt() * b, omega, self.v);
        let log = if b * b > CANCELLING {
            let y = b / self.a.sqrt();
            self.phi.log_likelihood(self.a, y, omega, self.v)
        } else {
            c.log_partition - 0.5 * b * b
        };
        let w = weight * log.exp() / (2.0 * PI).sqrt();
        let values = [
            1.0,
            c.output.mean * c.output.mean,
            c.output.variance,
            c.score * c.score,
            c.input.variance,
            c.log_partition,
        ];
        for (s, x) in sum.0.iter_mut().zip(values) {
            *s += w * x;
        }
    }
}

/// Rule in `b` where several pieces are within reach of the field.
fn mixed(pieces: &[Piece], a: f64, v: f64, refine: f64) -> Vec<Node> {
    let root = a.sqrt();
    let mut centres = vec![];
    let mut coarse = f64::INFINITY;
    let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
    // The field is within REACH of a break, and h within REACH of the field.
    let reach = 2.0 * REACH * v.sqrt();
    let ends = (pieces[0].upper, pieces[pieces.len() - 1].lower);
    for p in pieces {
        if p.slope == 0.0 {
            centres.push(Centre::bump(root * p.offset, 1.0));
        } else {
            coarse = coarse.min(COARSE * (1.0 + a * p.slope * p.slope * v).sqrt());
        }
        for h in [p.lower.max(ends.0 - reach), p.upper.min(ends.1 + reach)] {
            from = from.min(root * p.at(h) - REACH);
            to = to.max(root * p.at(h) + REACH);
        }
    }
    for w in pieces.windows(2) {
        let (l, r) = (w[0].at(w[0].upper), w[1].at(w[1].lower));
        // The odds of two values Δ apart turn over 1/(√a Δ); a kink only at the scale of the noise.
        let width = if l == r {
            1.0
        } else {
            1.0 / (root * (r - l).abs())
        };
        centres.push(Centre::turn(root * 0.5 * (l + r), width));
    }
    graded(&centres, coarse, centres[0].at, (from, to), STEP / refine)
}
