use std::f64::consts::PI;
use std::fmt::Debug;

use super::{Activation, Channel, Parity, Piece};
use crate::Moments;
use crate::special::{log_cosh, log1p_exp};

/// An increasing bounded function with two derivatives.
///
/// ```
/// use onsager_scalar::activation::{Curve, Tanh};
/// assert_eq!(Tanh.jet(0.0), [0.0, 1.0, 0.0]);
/// ```
pub trait Curve: Debug + Send + Sync {
    /// `[φ, φ', φ'']` at `h`.
    fn jet(&self, h: f64) -> [f64; 3];

    /// Limits at `-∞` and `∞`.
    fn range(&self) -> (f64, f64);

    /// The `h` where `φ(h) = x`, to six digits; infinite at the limits and beyond.
    fn inverse(&self, x: f64) -> f64;

    /// Length over which the slope changes: `|φ''|` is of the order of `φ'` divided by it.
    fn bend(&self) -> f64;

    /// Symmetry under a change of sign.
    fn parity(&self) -> Parity;

    /// `ln φ'(h)`; the curves of this crate know it where the slope underflows, too.
    fn log_slope(&self, h: f64) -> f64 {
        self.jet(h)[1].ln()
    }
}

/// `tanh h`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Tanh;

/// `1/(1 + exp(-h))`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sigmoid;

/// `erf h = 2/√π ∫₀ʰ exp(-t²) dt`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Erf;

impl Curve for Tanh {
    fn jet(&self, h: f64) -> [f64; 3] {
        // One exponential; the subtraction only where it does not cancel.
        let (t, s) = if h.abs() < 0.5 {
            let t = h.tanh();
            (t, 1.0 - t * t)
        } else {
            let e = (-2.0 * h.abs()).exp();
            let d = 1.0 / (1.0 + e);
            (((1.0 - e) * d).copysign(h), 4.0 * e * d * d)
        };
        [t, s, -2.0 * t * s]
    }
    fn range(&self) -> (f64, f64) {
        (-1.0, 1.0)
    }
    fn inverse(&self, x: f64) -> f64 {
        x.clamp(-1.0, 1.0).atanh()
    }
    fn bend(&self) -> f64 {
        0.5
    }
    fn parity(&self) -> Parity {
        Parity::Odd
    }
    fn log_slope(&self, h: f64) -> f64 {
        -2.0 * log_cosh(h)
    }
}

impl Curve for Sigmoid {
    fn jet(&self, h: f64) -> [f64; 3] {
        let e = (-h.abs()).exp();
        let (large, small) = (1.0 / (1.0 + e), e / (1.0 + e));
        let (p, q) = if h < 0.0 {
            (small, large)
        } else {
            (large, small)
        };
        [p, p * q, p * q * (q - p)]
    }
    fn range(&self) -> (f64, f64) {
        (0.0, 1.0)
    }
    fn inverse(&self, x: f64) -> f64 {
        let x = x.clamp(0.0, 1.0);
        x.ln() - (-x).ln_1p()
    }
    fn bend(&self) -> f64 {
        1.0
    }
    fn parity(&self) -> Parity {
        Parity::None
    }
    fn log_slope(&self, h: f64) -> f64 {
        -log1p_exp(h) - log1p_exp(-h)
    }
}

impl Curve for Erf {
    fn jet(&self, h: f64) -> [f64; 3] {
        let slope = 2.0 / PI.sqrt() * (-h * h).exp();
        [libm::erf(h), slope, -2.0 * h * slope]
    }
    fn range(&self) -> (f64, f64) {
        (-1.0, 1.0)
    }
    fn inverse(&self, x: f64) -> f64 {
        let y = x.abs();
        if y >= 1.0 {
            return f64::INFINITY.copysign(x);
        }
        // Winitzki's formula, good to three digits, then Newton's method on ln erfc.
        let (a, l) = (0.147, (-y * y).ln_1p());
        let t = 2.0 / (PI * a) + 0.5 * l;
        let mut h = ((t * t - l / a).sqrt() - t).max(0.0).sqrt();
        for _ in 0..2 {
            let (tail, slope) = (libm::erfc(h), 2.0 / PI.sqrt() * (-h * h).exp());
            h += (tail.ln() - (-y).ln_1p()) * tail / slope;
        }
        h.copysign(x)
    }
    fn bend(&self) -> f64 {
        // φ''/φ' = -2h, out to h = 2.5, where a strong message still sees a slope.
        0.2
    }
    fn parity(&self) -> Parity {
        Parity::Odd
    }
    fn log_slope(&self, h: f64) -> f64 {
        (2.0 / PI.sqrt()).ln() - h * h
    }
}

/// A smooth bounded increasing function; its channel is a sum over quadrature panels that follow
/// the posterior of `h`.
///
/// A panel spans a fixed number of local widths, `1/V + a φ'² + 1/bend²` being the inverse square of
/// the width; together they cover all `h` from which the posterior does not fall short of its mode by
/// `exp(-36)`.
///
/// - **Accuracy**: relative 1e-12 of every number, for `aV` up to 1e5 and outputs within six
///   standard deviations of the message from the range of the function. The variance of `x` is rounded
///   to `1e-16` of the squared range.
/// - **Domain**: as for every [`Activation`]; one channel costs a few microseconds.
///
/// ```
/// use onsager_scalar::activation::{Activation, Smooth, Tanh};
/// let phi = Smooth::new(Tanh);
/// let c = phi.channel(0.0, 0.0, 0.5, 1e-4); // no message: E tanh h = tanh(ω) + V tanh''(ω)/2
/// assert!((c.output.mean - 0.5f64.tanh() - 0.5e-4 * -2.0 * 0.5f64.tanh() / 0.5f64.cosh().powi(2)).abs() < 1e-8);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Smooth<C> {
    curve: C,
    /// Two limits and the tangent at zero between them.
    pieces: Vec<Piece>,
}

/// Local widths to a panel, and the Gauss-Legendre rule on `[-1, 1]` of order 10: exact to 1e-13
/// for a Gaussian on a panel.
const PANEL: f64 = 2.0;
const RULE: [(f64, f64); 5] = [
    (0.14887433898163122, 0.2955242247147529),
    (0.4333953941292472, 0.26926671930999635),
    (0.6794095682990244, 0.21908636251598204),
    (0.8650633666889845, 0.1494513491505806),
    (0.9739065285171717, 0.06667134430868814),
];

/// What is left out weighs `exp(-36)` of the mode.
const DEPTH: f64 = 36.0;

/// Local widths beyond which stretches may weigh nothing: twice those of a Gaussian cut off there.
const WIDE: f64 = 34.0;

/// Largest exponent of a message that is weighed against none: beyond, its logarithm is not small.
const GENTLE: f64 = 0.1;

/// A message `exp(bx - ax²/2)` counted from the value of the function that suits it best, where
/// the exponent has the slope `force`.
#[derive(Clone, Copy)]
struct Message {
    a: f64,
    best: f64,
    force: f64,
}

impl Message {
    /// Loss of exponent at `x`, not negative within the range of the function.
    fn energy(self, x: f64) -> f64 {
        let d = x - self.best;
        (0.5 * self.a * d - self.force) * d
    }

    /// Slope of the exponent.
    fn force(self, x: f64) -> f64 {
        self.force - self.a * (x - self.best)
    }
}

/// A node of the posterior: its place, weight and the jet there.
struct Node {
    h: f64,
    weight: f64,
    jet: [f64; 3],
}

impl<C: Curve> Smooth<C> {
    /// The function of this curve.
    pub fn new(curve: C) -> Self {
        let ((low, high), [offset, slope, _]) = (curve.range(), curve.jet(0.0));
        let (left, right) = ((low - offset) / slope, (high - offset) / slope);
        let piece = |lower, upper, offset, slope| Piece {
            lower,
            upper,
            offset,
            slope,
        };
        let pieces = vec![
            piece(f64::NEG_INFINITY, left, low, 0.0),
            piece(left, right, offset, slope),
            piece(right, f64::INFINITY, high, 0.0),
        ];
        Self { curve, pieces }
    }

    /// The message of precision `a` and field `b`.
    fn message(&self, a: f64, b: f64) -> Message {
        let (low, high) = self.curve.range();
        let y = b / a;
        let (best, force) = if low <= y && y <= high {
            (y, 0.0)
        } else if b > a * high {
            (high, b - a * high)
        } else if b < a * low {
            (low, b - a * low)
        } else {
            // No message at all.
            (self.curve.jet(0.0)[0], 0.0)
        };
        Message { a, best, force }
    }

    /// Nodes of the posterior of `h`, weights relative to `exp(-top)`, and `top`, the energy at about
    /// the mode.
    fn posterior(&self, message: Message, omega: f64, v: f64) -> (Vec<Node>, f64) {
        let (Message { a, best, .. }, root) = (message, v.sqrt());
        let (low, high) = self.curve.range();
        let prior = |h: f64| 0.5 * ((h - omega) / root).powi(2);
        let energy = |h: f64, x: f64| prior(h) + message.energy(x);
        let at = |h: f64| {
            let jet = self.curve.jet(h);
            (h, jet, energy(h, jet[0]))
        };
        // Near the mode: the best of the field's own mean and of what the message allows, which may
        // be out of sight where the function is flat; then Newton's method, with the curvature of an
        // affine function, downhill.
        let mut mode = at(omega);
        for deviations in [-3.0, -1.0, -0.3, 0.0, 0.3, 1.0, 3.0] {
            let h = self.curve.inverse(best + deviations / a.sqrt());
            if h.is_finite() && at(h).2 < mode.2 {
                mode = at(h);
            }
        }
        for _ in 0..8 {
            let (h, jet, top) = mode;
            let slope = (h - omega) / v - message.force(jet[0]) * jet[1];
            let mut step = -slope / (1.0 / v + a * jet[1] * jet[1]);
            let mut next = at(h + step);
            while next.2 > top && step.abs() > 1e-3 * root {
                step *= 0.25;
                next = at(h + step);
            }
            if next.2 >= top - 0.1 {
                break;
            }
            mode = next;
        }
        let top = mode.2;
        // Beyond these the prior alone, or the message alone, is too unlikely.
        let excess = top + DEPTH;
        let reach = root * (2.0 * excess).sqrt();
        let (mut from, mut to) = (omega - reach, omega + reach);
        if a > 0.0 {
            // energy(x) = (|x - best| + 2 outside) |x - best| a/2.
            let outside = message.force.abs() / a;
            let away = 2.0 * excess / a / (outside + (outside * outside + 2.0 * excess / a).sqrt());
            for (x, end, side) in [(best - away, &mut from, -1.0), (best + away, &mut to, 1.0)] {
                let h = self.curve.inverse(x);
                let slope = self.curve.jet(h)[1];
                // Rounding of x, and the digits of the inverse; no limit where it is infinite.
                let margin = 1e-6 * (h.abs() + self.curve.bend()) + 4.0 * f64::EPSILON / slope;
                let h = h + side * margin;
                if h.is_finite() {
                    *end = if side < 0.0 { end.max(h) } else { end.min(h) };
                }
            }
        }
        // The digits of the inverse must not cost the mode.
        (from, to) = (from.min(mode.0), to.max(mode.0));
        let bend = self.curve.bend();
        // Where the function is flat to the last digit nothing bends.
        let flat = f64::EPSILON * (high - low);
        let is_flat = |h: f64| self.curve.jet(h)[1] * bend <= flat;
        let rate = |h: f64| {
            let slope = self.curve.jet(h)[1];
            let bends = if is_flat(h) { 0.0 } else { 1.0 / (bend * bend) };
            (1.0 / v + a * slope * slope + bends).sqrt()
        };
        // From one flat end to the other in one panel, all that bends would be missed.
        let misses = |from: f64, to: f64| {
            let [x, y] = [from, to].map(|h| self.curve.jet(h)[0]);
            is_flat(from) && is_flat(to) && y - x > 0.5 * (high - low)
        };
        // Where a message contradicts its field the mode itself is unlikely to both, and what both leave
        // is wide; so is the margin around messages stronger than its digits. Of a stretch, this is the
        // least energy that its parts could have.
        let negligible = |from: f64, to: f64| {
            let [x, y] = [from, to].map(|h| self.curve.jet(h)[0]);
            energy(omega.clamp(from, to), best.clamp(x, y.max(x))) > top + DEPTH
        };
        let is_wide = (to - from) * rate(mode.0) > WIDE;
        let mut nodes = Vec::with_capacity(128);
        let mut left = from;
        let mut near = rate(left);
        while left < to {
            let mut longest = PANEL / near;
            if is_wide && negligible(left, left + longest) {
                while negligible(left, left + 2.0 * longest) && left + longest < to {
                    longest *= 2.0;
                }
                left = (left + longest).max(left.next_up());
                near = rate(left);
                continue;
            }
            // The rate at the far end may be larger: then it decides.
            let mut width = longest.min(to - left);
            let mut far = rate(left + width);
            while width * far > PANEL || misses(left, left + width) {
                width *= 0.5;
                far = rate(left + width);
            }
            let half = 0.5 * width;
            for (x, w) in RULE {
                for side in [-1.0, 1.0] {
                    let h = left + half + side * half * x;
                    let jet = self.curve.jet(h);
                    let weight = half * w * (top - energy(h, jet[0])).exp();
                    nodes.push(Node { h, weight, jet });
                }
            }
            // The next one at least, if the field is known to the last digit.
            left = (left + width).max(left.next_up());
            near = far;
        }
        (nodes, top)
    }

    fn log_mass(nodes: &[Node], top: f64, v: f64) -> f64 {
        let sum: f64 = nodes.iter().map(|n| n.weight).sum();
        (sum / (2.0 * PI * v).sqrt()).ln() - top
    }

    /// `ln E exp(bφ - aφ²/2)`, to relative digits where it is small.
    fn log_partition(&self, nodes: &[Node], top: f64, (a, b): (f64, f64), v: f64) -> f64 {
        let exponent = |x: f64| (b - 0.5 * a * x) * x;
        let (low, high) = self.curve.range();
        let largest = low.abs().max(high.abs());
        if (b.abs() + 0.5 * a * largest) * largest < GENTLE {
            // Divided by its message, a weight is that of the prior.
            let [mut prior, mut gained] = [0.0; 2];
            for n in nodes {
                let gain = (-exponent(n.jet[0])).exp_m1();
                prior += n.weight * (1.0 + gain);
                gained -= n.weight * gain;
            }
            (gained / prior).ln_1p()
        } else {
            Self::log_mass(nodes, top, v) + exponent(self.message(a, b).best)
        }
    }

    /// `E f(h, φ(h), φ'(h))` for `h ~ N(0, r)`.
    fn average(&self, r: f64, f: impl Fn(f64, [f64; 3]) -> f64) -> f64 {
        let (nodes, _) = self.posterior(self.message(0.0, 0.0), 0.0, r);
        let sum: f64 = nodes.iter().map(|n| n.weight * f(n.h, n.jet)).sum();
        sum / (2.0 * PI * r).sqrt()
    }
}

impl<C: Curve> Activation for Smooth<C> {
    fn apply(&self, h: f64) -> f64 {
        self.curve.jet(h)[0]
    }
    fn channel(&self, a: f64, b: f64, omega: f64, v: f64) -> Channel {
        let message = self.message(a, b);
        let (nodes, top) = self.posterior(message, omega, v);
        let force = |n: &Node| message.force(n.jet[0]) * n.jet[1];
        let [mut mass, mut x, mut h, mut f, mut bending] = [0.0; 5];
        for n in &nodes {
            mass += n.weight;
            x += n.weight * (n.jet[0] - message.best);
            h += n.weight * (n.h - omega);
            f += n.weight * force(n);
            bending += n.weight * (message.force(n.jet[0]) * n.jet[2] - a * n.jet[1] * n.jet[1]);
        }
        let [x, h, f, bending] = [x, h, f, bending].map(|sum| sum / mass);
        let [mut var_x, mut var_h, mut var_f] = [0.0; 3];
        for n in &nodes {
            var_x += n.weight * (n.jet[0] - message.best - x).powi(2);
            var_h += n.weight * (n.h - omega - h).powi(2);
            var_f += n.weight * (force(n) - f).powi(2);
        }
        let [var_x, var_h, var_f] = [var_x, var_h, var_f].map(|sum| sum / mass);
        // Averages of the derivatives of the exponent where the prior holds h, differences to the
        // prior where the message does: neither cancels there.
        let (score, curvature) = if var_h > 0.5 * v {
            (f, -bending - var_f)
        } else {
            (h / v, (1.0 - var_h / v) / v)
        };
        Channel {
            log_partition: self.log_partition(&nodes, top, (a, b), v),
            output: Moments {
                mean: message.best + x,
                variance: var_x,
            },
            input: Moments {
                mean: omega + h,
                variance: var_h,
            },
            score,
            curvature,
        }
    }
    fn log_likelihood(&self, a: f64, y: f64, omega: f64, v: f64) -> f64 {
        let message = self.message(a, a * y);
        let (nodes, top) = self.posterior(message, omega, v);
        Self::log_mass(&nodes, top, v) - 0.5 * a * (message.best - y).powi(2)
    }
    fn mean(&self, r: f64) -> f64 {
        if self.parity() == Parity::Odd {
            return 0.0;
        }
        self.average(r, |_, [x, ..]| x)
    }
    fn second_moment(&self, r: f64) -> f64 {
        self.average(r, |_, [x, ..]| x * x)
    }
    fn linear_gain(&self, r: f64) -> f64 {
        // E[h φ(h)]/r = E φ'(h).
        self.average(r, |_, [_, slope, _]| slope)
    }
    fn parity(&self) -> Parity {
        self.curve.parity()
    }
    fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
    fn bend(&self) -> Option<f64> {
        Some(self.curve.bend())
    }
    fn jet(&self, h: f64) -> [f64; 2] {
        let [x, slope, _] = self.curve.jet(h);
        [x, slope]
    }
    fn sloped_fraction(&self, _r: f64) -> f64 {
        1.0
    }
    fn is_discrete(&self) -> bool {
        false
    }
    fn is_discontinuous(&self) -> bool {
        false
    }
}
