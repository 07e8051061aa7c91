//! Componentwise functions `x = φ(h)` of a Gaussian field, seen from both sides.

use std::f64::consts::PI;
use std::fmt::Debug;

use crate::columns::{Channels, Column, HalfLines, Line, channels};
use crate::special::{HalfLine, half_line, log_add_exp, log_ndtr, ndtr};
use crate::{Moments, Precisions};

/// Posterior of one component of a layer, `h ~ N(ω, V)`, `x = φ(h)`, tilted by `exp(bx - ax²/2)`.
///
/// `score` and `curvature` are computed without the division by `V` that their definitions
/// suggest, so that they stay accurate when `V` is small.
///
/// ```
/// use onsager_scalar::{Activation, activation::PiecewiseLinear};
/// let c = PiecewiseLinear::linear().channel(1.0, 2.0, 0.5, 1.0);
/// assert_eq!((c.output.mean, c.output.variance), (1.25, 0.5));
/// assert_eq!((c.score, c.curvature), (0.75, 0.5));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Channel {
    /// `ln Z(b, a, ω, V)` in nats; `Z = 1` without side information.
    pub log_partition: f64,
    /// Mean and variance of `x`.
    pub output: Moments,
    /// Mean and variance of `h`.
    pub input: Moments,
    /// `g = ∂ ln Z/∂ω = (E h - ω)/V`.
    pub score: f64,
    /// `-∂g/∂ω = 1/V - Var h/V²`; may be negative at a point, its average is `E g²`.
    pub curvature: f64,
}

/// What `x ↦ -x` does to a function.
///
/// ```
/// use onsager_scalar::activation::{Activation, Parity, PiecewiseLinear};
/// assert_eq!(PiecewiseLinear::sign().parity(), Parity::Odd);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Parity {
    /// `φ(-h) = φ(h)`: the sign of the field below cannot be known.
    Even,
    /// `φ(-h) = -φ(h)`.
    Odd,
    /// Neither.
    None,
}

/// A componentwise function between a Gaussian field and a variable.
///
/// - **Domain**: `a >= 0`, `V > 0`, all finite.
/// - **Identities**: `output.mean = ∂ ln Z/∂b`, `output.variance = ∂²ln Z/∂b²`,
///   `score = ∂ ln Z/∂ω`, `curvature = -∂²ln Z/∂ω²`.
///
/// ```
/// use onsager_scalar::{Activation, activation::PiecewiseLinear};
/// assert_eq!(PiecewiseLinear::relu().apply(-2.0), 0.0);
/// ```
pub trait Activation: Debug + Send + Sync {
    /// `φ(h)`.
    fn apply(&self, h: f64) -> f64;

    /// The posterior of `x` and `h` at one point.
    fn channel(&self, a: f64, b: f64, omega: f64, v: f64) -> Channel;

    /// The posteriors of a whole column, `h_i ~ N(ω_i, V_i)`; equal to [`channel`](Self::channel)
    /// component by component, up to the rounding of what cancels there: a few ulp of the largest
    /// term.
    ///
    /// # Panics
    /// Slices of different lengths.
    fn channels_into(
        &self,
        a: Precisions<'_>,
        b: &[f64],
        omega: &[f64],
        v: Precisions<'_>,
        out: &mut Channels,
    ) {
        out.fill(b.len(), |i| self.channel(a.at(i), b[i], omega[i], v.at(i)));
    }

    /// Log-likelihood `ln ∫ N(h; ω, V) exp(-a (y - φ(h))²/2) dh` of an observation `y = b/a` of
    /// precision `a`, in nats and without the Gaussian's own norm.
    ///
    /// Equal to `ln Z(ay, a, ω, V) - ay²/2`, whose two terms cancel when `a` is large; functions
    /// in closed form override it.
    fn log_likelihood(&self, a: f64, y: f64, omega: f64, v: f64) -> f64 {
        self.channel(a, a * y, omega, v).log_partition - 0.5 * a * y * y
    }

    /// `E φ(h)` for `h ~ N(0, r)`.
    fn mean(&self, r: f64) -> f64;

    /// `E φ(h)²` for `h ~ N(0, r)`: the next layer's `ρ`.
    fn second_moment(&self, r: f64) -> f64;

    /// `κ = E[h φ(h)]/r` for `h ~ N(0, r)`: the linear part of the layer.
    fn linear_gain(&self, r: f64) -> f64;

    /// Symmetry under a change of sign.
    fn parity(&self) -> Parity;

    /// Pieces on which the function is affine, or nearly so: where quadrature puts its panels.
    fn pieces(&self) -> &[Piece];

    /// `P(φ'(h) ≠ 0)` for `h ~ N(0, r)`.
    fn sloped_fraction(&self, r: f64) -> f64;

    /// Whether `x` takes finitely many values.
    fn is_discrete(&self) -> bool {
        self.pieces().iter().all(|p| p.slope == 0.0)
    }

    /// Whether `φ` jumps somewhere.
    fn is_discontinuous(&self) -> bool {
        self.pieces()
            .windows(2)
            .any(|w| w[0].at(w[0].upper) != w[1].at(w[1].lower))
    }
}

/// An affine piece `φ(h) = offset + slope · h` on `lower < h < upper`.
///
/// ```
/// use onsager_scalar::activation::{Activation, PiecewiseLinear};
/// let relu = PiecewiseLinear::relu();
/// assert_eq!(relu.pieces()[1].slope, 1.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    /// Lower end, `-∞` allowed.
    pub lower: f64,
    /// Upper end, `+∞` allowed.
    pub upper: f64,
    /// Value of the affine function at `h = 0`.
    pub offset: f64,
    /// Its slope.
    pub slope: f64,
}

impl Piece {
    /// The affine function at `h`; `h` may be infinite when the slope is 0.
    #[must_use]
    pub fn at(&self, h: f64) -> f64 {
        if self.slope == 0.0 {
            self.offset
        } else {
            self.offset + self.slope * h
        }
    }

    /// `P(h in piece)`, `E[h; piece]`, `E[h²; piece]` for `h ~ N(0, r)`.
    fn gaussian_moments(&self, r: f64) -> [f64; 3] {
        let sd = r.sqrt();
        let below = |t: f64| {
            // Moments of the half line h < t.
            if t == f64::INFINITY {
                [1.0, 0.0, r]
            } else if t == f64::NEG_INFINITY {
                [0.0; 3]
            } else {
                let u = t / sd;
                let density = (-0.5 * u * u).exp() / (2.0 * PI).sqrt();
                [ndtr(u), -sd * density, r * (ndtr(u) - u * density)]
            }
        };
        let (hi, lo) = (below(self.upper), below(self.lower));
        [hi[0] - lo[0], hi[1] - lo[1], hi[2] - lo[2]]
    }

    /// The log-likelihood restricted to this piece, from the distance `r` to the prediction.
    fn log_likelihood(&self, a: f64, y: f64, omega: f64, v: f64) -> f64 {
        let s = self.slope;
        let r = y - self.offset - s * omega;
        let d = 1.0 + a * s * s * v;
        let gaussian = -0.5 * (a * r * r / d + d.ln());
        let (mean, sd) = (omega + a * s * v * r / d, (v / d).sqrt());
        match (self.lower, self.upper) {
            (f64::NEG_INFINITY, f64::INFINITY) => gaussian,
            (lower, f64::INFINITY) => gaussian + log_ndtr((mean - lower) / sd),
            (_, upper) => gaussian + log_ndtr((upper - mean) / sd),
        }
    }

    /// The channel of the affine function on the whole line.
    #[inline(always)]
    pub(crate) fn whole(&self, a: f64, b: f64, omega: f64, v: f64) -> Whole {
        let (o, s) = (self.offset, self.slope);
        // b x - a x²/2 = const + (s b') h - (a s²) h²/2 with b' = b - a o.
        let b = b - a * o;
        let constant = (b + 0.5 * a * o) * o;
        let d = 1.0 + a * s * s * v;
        let (mean, variance) = ((omega + v * s * b) / d, v / d);
        Whole {
            d,
            exponent: constant
                + (2.0 * omega * s * b + v * s * s * b * b - a * s * s * omega * omega) / (2.0 * d),
            output: Moments {
                mean: o + s * mean,
                variance: s * s * variance,
            },
            input: Moments { mean, variance },
            score: s * (b - a * s * omega) / d,
            curvature: a * s * s / d,
        }
    }

    /// The channel restricted to this piece.
    fn channel(&self, a: f64, b: f64, omega: f64, v: f64) -> Channel {
        let whole = self.whole(a, b, omega, v);
        let exponent = whole.exponent - 0.5 * whole.d.ln();
        let (end, side) = match (self.lower, self.upper) {
            (f64::NEG_INFINITY, f64::INFINITY) => return whole.channel(exponent),
            (lower, f64::INFINITY) => (lower, 1.0),
            (_, upper) => (upper, -1.0),
        };
        let sd = whole.input.variance.sqrt();
        let half = half_line(side * (whole.input.mean - end) / sd);
        Channel {
            log_partition: exponent + half.log_mass,
            ..whole.cut(self, end, side * sd, half)
        }
    }
}

/// The Gaussian posterior of `h` behind an affine function, `Z = exp(exponent)/√d`.
pub(crate) struct Whole {
    pub(crate) d: f64,
    pub(crate) exponent: f64,
    pub(crate) output: Moments,
    pub(crate) input: Moments,
    score: f64,
    curvature: f64,
}

impl Whole {
    #[inline(always)]
    pub(crate) fn channel(&self, log_partition: f64) -> Channel {
        Channel {
            log_partition,
            output: self.output,
            input: self.input,
            score: self.score,
            curvature: self.curvature,
        }
    }

    /// What is left on one side of `end`; `step` is the standard deviation of `h` towards it, and
    /// `half` belongs to the distance in units of `step`. The log-partition is that of `half`.
    #[inline(always)]
    pub(crate) fn cut(&self, piece: &Piece, end: f64, step: f64, half: HalfLine) -> Channel {
        let (r, t, s) = (half.inverse_mills, half.moments, piece.slope);
        let input = Moments {
            mean: end + step * t.mean,
            variance: step * step * t.variance,
        };
        // In units of ω: sd/V = 1/√(V d).
        let scale = 1.0 / (step * self.d);
        Channel {
            log_partition: half.log_mass,
            output: Moments {
                mean: piece.offset + s * input.mean,
                variance: s * s * input.variance,
            },
            input,
            score: self.score + r * scale,
            curvature: self.curvature + r * t.mean * (scale * scale),
        }
    }
}

impl Channel {
    /// The mixture of two exclusive cases.
    fn or(self, other: Self) -> Self {
        // Both weights, and the sum, from the one exponential that cannot overflow.
        let (high, low) = (
            self.log_partition.max(other.log_partition),
            self.log_partition.min(other.log_partition),
        );
        let e = if low == f64::NEG_INFINITY {
            0.0
        } else {
            (low - high).exp()
        };
        let (large, small) = (1.0 / (1.0 + e), e / (1.0 + e));
        let (w, w1) = if self.log_partition < other.log_partition {
            (small, large)
        } else {
            (large, small)
        };
        Self {
            log_partition: high + e.ln_1p(),
            ..self.mixed(w, &other, w1)
        }
    }

    /// The mixture with weights `w + w1 = 1`, but for its log-partition: sums of non-negative
    /// terms, nothing cancels in the variances.
    #[inline(always)]
    pub(crate) fn mixed(&self, w: f64, other: &Self, w1: f64) -> Self {
        let mix = |x: Moments, y: Moments| Moments {
            mean: w * x.mean + w1 * y.mean,
            variance: w * x.variance
                + w1 * y.variance
                + w * w1 * (x.mean - y.mean) * (x.mean - y.mean),
        };
        Self {
            log_partition: 0.0,
            output: mix(self.output, other.output),
            input: mix(self.input, other.input),
            score: w * self.score + w1 * other.score,
            curvature: w * self.curvature + w1 * other.curvature
                - w * w1 * (self.score - other.score) * (self.score - other.score),
        }
    }
}

/// A function made of affine pieces; its channel is a sum of truncated Gaussians, in closed form.
///
/// ```
/// use onsager_scalar::{Activation, activation::PiecewiseLinear};
/// assert_eq!(PiecewiseLinear::relu().second_moment(3.0), 1.5);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct PiecewiseLinear {
    pieces: Vec<Piece>,
    parity: Parity,
}

impl PiecewiseLinear {
    /// `φ(h) = h`.
    #[must_use]
    pub fn linear() -> Self {
        let piece = Piece {
            lower: f64::NEG_INFINITY,
            upper: f64::INFINITY,
            offset: 0.0,
            slope: 1.0,
        };
        Self {
            pieces: vec![piece],
            parity: Parity::Odd,
        }
    }

    /// `φ(h) = sign h`.
    #[must_use]
    pub fn sign() -> Self {
        Self::broken_at_zero((-1.0, 0.0), (1.0, 0.0), Parity::Odd)
    }

    /// `φ(h) = max(h, 0)`.
    #[must_use]
    pub fn relu() -> Self {
        Self::broken_at_zero((0.0, 0.0), (0.0, 1.0), Parity::None)
    }

    /// `φ(h) = |h|`.
    ///
    /// ```
    /// use onsager_scalar::activation::{Activation, Parity, PiecewiseLinear};
    /// let abs = PiecewiseLinear::abs();
    /// assert_eq!((abs.apply(-2.0), abs.parity()), (2.0, Parity::Even));
    /// // x = |h| determines h up to its sign: a sharp side channel leaves Var x ≈ 1/a.
    /// let c = abs.channel(1e6, 2e6, 0.0, 1.0);
    /// assert!((c.output.mean - 2.0).abs() < 1e-5 && c.input.mean.abs() < 1e-9);
    /// ```
    #[must_use]
    pub fn abs() -> Self {
        Self::broken_at_zero((0.0, -1.0), (0.0, 1.0), Parity::Even)
    }

    /// Two half lines that meet at zero, each given as (offset, slope).
    fn broken_at_zero(below: (f64, f64), above: (f64, f64), parity: Parity) -> Self {
        let piece = |lower, upper, (offset, slope)| Piece {
            lower,
            upper,
            offset,
            slope,
        };
        let pieces = vec![
            piece(f64::NEG_INFINITY, 0.0, below),
            piece(0.0, f64::INFINITY, above),
        ];
        Self { pieces, parity }
    }

    /// `Σ f(piece, [P, E h, E h²])` over the pieces, `h ~ N(0, r)`.
    fn sum(&self, r: f64, f: impl Fn(&Piece, [f64; 3]) -> f64) -> f64 {
        self.pieces
            .iter()
            .map(|p| f(p, p.gaussian_moments(r)))
            .sum()
    }
}

impl Activation for PiecewiseLinear {
    fn apply(&self, h: f64) -> f64 {
        self.pieces
            .iter()
            .find(|p| h < p.upper)
            .map_or(h, |p| p.at(h))
    }
    fn channel(&self, a: f64, b: f64, omega: f64, v: f64) -> Channel {
        self.pieces
            .iter()
            .map(|p| p.channel(a, b, omega, v))
            .reduce(Channel::or)
            .unwrap_or_default()
    }
    fn channels_into(
        &self,
        a: Precisions<'_>,
        b: &[f64],
        omega: &[f64],
        v: Precisions<'_>,
        out: &mut Channels,
    ) {
        let column = Column { a, b, omega, v };
        match *self.pieces {
            [piece] => channels(Line(piece), column, out),
            [below, above] => channels(HalfLines { below, above }, column, out),
            _ => out.fill(b.len(), |i| self.channel(a.at(i), b[i], omega[i], v.at(i))),
        }
    }
    fn log_likelihood(&self, a: f64, y: f64, omega: f64, v: f64) -> f64 {
        self.pieces
            .iter()
            .map(|p| p.log_likelihood(a, y, omega, v))
            .fold(f64::NEG_INFINITY, log_add_exp)
    }
    fn mean(&self, r: f64) -> f64 {
        self.sum(r, |p, [m0, m1, _]| p.offset * m0 + p.slope * m1)
    }
    fn second_moment(&self, r: f64) -> f64 {
        self.sum(r, |p, [m0, m1, m2]| {
            p.offset * p.offset * m0 + 2.0 * p.offset * p.slope * m1 + p.slope * p.slope * m2
        })
    }
    fn linear_gain(&self, r: f64) -> f64 {
        self.sum(r, |p, [_, m1, m2]| p.offset * m1 + p.slope * m2) / r
    }
    fn parity(&self) -> Parity {
        self.parity
    }
    fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
    fn sloped_fraction(&self, r: f64) -> f64 {
        self.sum(r, |p, [m0, ..]| if p.slope == 0.0 { 0.0 } else { m0 })
    }
}
