//! Componentwise functions `x = φ(h)` of a Gaussian field, seen from both sides.

mod noisy;
mod smooth;

use std::f64::consts::PI;
use std::fmt::Debug;

use rand::Rng;

use crate::columns::{Channels, Column, HalfLines, Line, Pieces, channels, log_likelihoods};
use crate::special::{Interval, interval, log_add_exp, ndtr};
use crate::{Moments, Precisions, ScalarError};

pub use noisy::{Noise, Noisy};
pub use smooth::{Curve, Erf, Sigmoid, Smooth, Tanh};

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

    /// The log-likelihoods of a whole column of observations; equal to
    /// [`log_likelihood`](Self::log_likelihood) one by one, up to a few ulp of the largest term.
    ///
    /// # Panics
    /// Slices of different lengths.
    fn log_likelihoods_into(
        &self,
        a: Precisions<'_>,
        y: &[f64],
        omega: &[f64],
        v: Precisions<'_>,
        out: &mut Vec<f64>,
    ) {
        out.clear();
        out.extend((0..y.len()).map(|i| self.log_likelihood(a.at(i), y[i], omega[i], v.at(i))));
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

    /// The function inside and its noises, if this is a function between Gaussian noises: averages
    /// treat the noise in closed form.
    fn noise(&self) -> Option<(&dyn Activation, Noise)> {
        None
    }

    /// Draws `x` given `h`; asked of functions with a [`Activation::noise`] only.
    fn sample(&self, h: f64, _rng: &mut dyn Rng) -> f64 {
        self.apply(h)
    }

    /// Length over which the slope changes, for an increasing function that is smooth and not affine
    /// on its pieces.
    fn bend(&self) -> Option<f64> {
        None
    }

    /// `[φ(h), φ'(h)]`; the slope is asked of functions with a [`bend`](Self::bend) only.
    fn jet(&self, h: f64) -> [f64; 2] {
        let piece = self.pieces().iter().find(|p| h < p.upper);
        [self.apply(h), piece.map_or(0.0, |p| p.slope)]
    }

    /// Whether `x` takes finitely many values.
    fn is_discrete(&self) -> bool {
        self.pieces().iter().all(|p| p.slope == 0.0)
    }

    /// Whether `φ` jumps somewhere.
    fn is_discontinuous(&self) -> bool {
        self.pieces().windows(2).any(|w| !w[0].meets(&w[1]))
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

    /// Whether the next piece goes on where this one ends, up to rounding.
    #[must_use]
    pub fn meets(&self, next: &Self) -> bool {
        let (left, right) = (self.at(self.upper), next.at(next.lower));
        let terms = self.offset.abs() + next.offset.abs() + left.abs() + right.abs();
        (left - right).abs() <= 4.0 * f64::EPSILON * terms
    }

    /// `P(h in piece)`, `E[h; piece]`, `E[h²; piece]` for `h ~ N(0, r)`.
    fn gaussian_moments(&self, r: f64) -> [f64; 3] {
        if self.lower >= 0.0 {
            // Differences of lower tails keep every digit.
            let (lower, upper) = (-self.upper, -self.lower);
            let [m0, m1, m2] = Self {
                lower,
                upper,
                ..*self
            }
            .gaussian_moments(r);
            return [m0, -m1, m2];
        }
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
        gaussian + self.cut(a, a * y, omega, v).log_mass
    }

    /// The piece as an interval of the Gaussian that the message `exp(bx - ax²/2)` would make of
    /// `h` on the whole line. Distances are taken from the ends, whose neighbourhood decides.
    fn cut(&self, a: f64, b: f64, omega: f64, v: f64) -> Interval {
        let d = 1.0 + a * self.slope * self.slope * v;
        let sd = (v / d).sqrt();
        let place = |end: f64| {
            if end.is_infinite() {
                return end;
            }
            -self.beyond(end, a, b, omega, v) / (d * sd)
        };
        interval(place(self.lower), place(self.upper))
    }

    /// By how much the mean of that Gaussian exceeds `end`, times `d = 1 + a φ'² V`.
    #[inline(always)]
    pub(crate) fn beyond(&self, end: f64, a: f64, b: f64, omega: f64, v: f64) -> f64 {
        omega - end + v * self.slope * (b - a * (self.offset + self.slope * end))
    }

    /// The channel of the affine function on the whole line.
    #[inline(always)]
    pub(crate) fn whole(&self, a: f64, b: f64, omega: f64, v: f64) -> Whole {
        let (o, s) = (self.offset, self.slope);
        // On the whole line x ~ N(m, s² V), and the message sees the residual r.
        let m = o + s * omega;
        let r = b - a * m;
        let d = 1.0 + a * s * s * v;
        let (mean, variance) = ((omega + v * s * (b - a * o)) / d, v / d);
        Whole {
            d,
            exponent: (m * (b + r) + s * s * v * b * b) / (2.0 * d),
            misfit: -r * r / (2.0 * a * d),
            input: Moments { mean, variance },
            score: s * r / d,
            curvature: a * s * s / d,
        }
    }

    /// The channel restricted to this piece; without `b²/(2a)` in its log-partition if `is_sharp`.
    pub(crate) fn channel(&self, a: f64, b: f64, omega: f64, v: f64, is_sharp: bool) -> Channel {
        let whole = self.whole(a, b, omega, v);
        let exponent = whole.exponent(is_sharp) - 0.5 * whole.d.ln();
        if self.lower == f64::NEG_INFINITY && self.upper == f64::INFINITY {
            return whole.channel(self, exponent);
        }
        // The Gaussian above, cut to the piece; its mean is measured from the nearer end.
        let cut = self.cut(a, b, omega, v);
        let sd = whole.input.variance.sqrt();
        let input = Moments {
            mean: if cut.above < cut.below {
                self.lower + sd * cut.above
            } else {
                self.upper - sd * cut.below
            },
            variance: sd * sd * cut.variance,
        };
        let shift = [cut.mean, cut.deficit];
        whole
            .restricted(input, shift)
            .channel(self, exponent + cut.log_mass)
    }
}

/// The Gaussian posterior of `h` behind an affine function, `Z = exp(exponent)/√d`.
#[derive(Clone, Copy)]
pub(crate) struct Whole {
    pub(crate) d: f64,
    exponent: f64,
    /// The same without `b²/(2a)`.
    misfit: f64,
    pub(crate) input: Moments,
    score: f64,
    curvature: f64,
}

impl Whole {
    /// The exponent; of a sharp message without the term `b²/(2a)`, next to which the odds of two
    /// pieces would be rounding.
    #[inline(always)]
    pub(crate) fn exponent(&self, is_sharp: bool) -> f64 {
        if is_sharp { self.misfit } else { self.exponent }
    }

    /// What is left on an interval: the moments there; by how much the mean has moved, and how much
    /// is missing of the variance, in units of the standard deviation.
    #[inline(always)]
    pub(crate) fn restricted(self, input: Moments, [mean, deficit]: [f64; 2]) -> Self {
        // In units of ω: sd/V = 1/√(V d).
        let scale = 1.0 / (self.input.variance.sqrt() * self.d);
        Self {
            input,
            score: self.score + mean * scale,
            curvature: self.curvature + deficit * (scale * scale),
            ..self
        }
    }

    /// The channel of the function of `piece`.
    #[inline(always)]
    pub(crate) fn channel(&self, piece: &Piece, log_partition: f64) -> Channel {
        let (o, s) = (piece.offset, piece.slope);
        Channel {
            log_partition,
            output: Moments {
                mean: o + s * self.input.mean,
                variance: s * s * self.input.variance,
            },
            input: self.input,
            score: self.score,
            curvature: self.curvature,
        }
    }
}

/// The largest squared slope of several pieces: of `a V` times that, messages above 1 are sharp. One piece
/// has no odds.
#[inline(always)]
pub(crate) fn sharpness(pieces: &[Piece]) -> f64 {
    let mut most: f64 = 0.0;
    for piece in pieces {
        most = most.max(piece.slope * piece.slope);
    }
    if pieces.len() == 1 { 0.0 } else { most }
}

impl Channel {
    /// The mixture of two exclusive cases.
    pub(crate) fn or(self, other: Self) -> Self {
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

    /// `φ(h) = h` above zero, `slope · h` below.
    ///
    /// ```
    /// use onsager_scalar::activation::{Activation, PiecewiseLinear};
    /// assert_eq!(PiecewiseLinear::leaky_relu(0.1)?.apply(-2.0), -0.2);
    /// # Ok::<(), onsager_scalar::ScalarError>(())
    /// ```
    ///
    /// # Errors
    /// A slope that is not finite.
    pub fn leaky_relu(slope: f64) -> Result<Self, ScalarError> {
        Self::from_ends(&[(0.0, 0.0, slope), (f64::INFINITY, 0.0, 1.0)])
    }

    /// `φ(h) = max(-1, min(1, h))`.
    ///
    /// ```
    /// use onsager_scalar::activation::{Activation, Parity, PiecewiseLinear};
    /// let phi = PiecewiseLinear::hard_tanh();
    /// assert_eq!((phi.apply(-0.5), phi.apply(3.0), phi.parity()), (-0.5, 1.0, Parity::Odd));
    /// ```
    #[must_use]
    pub fn hard_tanh() -> Self {
        let middle = Piece {
            lower: -1.0,
            upper: 1.0,
            offset: 0.0,
            slope: 1.0,
        };
        let left = Piece {
            lower: f64::NEG_INFINITY,
            upper: -1.0,
            offset: -1.0,
            slope: 0.0,
        };
        let right = Piece {
            lower: 1.0,
            upper: f64::INFINITY,
            offset: 1.0,
            slope: 0.0,
        };
        Self {
            pieces: vec![left, middle, right],
            parity: Parity::Odd,
        }
    }

    /// The symmetric door: `φ(h) = -1` on `|h| < width`, `+1` outside.
    ///
    /// ```
    /// use onsager_scalar::activation::{Activation, Parity, PiecewiseLinear};
    /// let door = PiecewiseLinear::door(0.5)?;
    /// assert_eq!((door.apply(-0.4), door.apply(0.6), door.parity()), (-1.0, 1.0, Parity::Even));
    /// let error = PiecewiseLinear::door(0.0).unwrap_err();
    /// assert_eq!(error.to_string(), "width must be finite and positive, got 0");
    /// # Ok::<(), onsager_scalar::ScalarError>(())
    /// ```
    ///
    /// # Errors
    /// A width that is not finite and positive.
    pub fn door(width: f64) -> Result<Self, ScalarError> {
        let value = width;
        if !(width.is_finite() && width > 0.0) {
            let quantity = "width";
            return Err(ScalarError::NotPositive { quantity, value });
        }
        Self::from_ends(&[
            (-width, 1.0, 0.0),
            (width, -1.0, 0.0),
            (f64::INFINITY, 1.0, 0.0),
        ])
    }

    /// Pieces from left to right, each given as (upper end, offset, slope).
    fn from_ends(list: &[(f64, f64, f64)]) -> Result<Self, ScalarError> {
        let mut lower = f64::NEG_INFINITY;
        Self::new(list.iter().map(|&(upper, offset, slope)| {
            let piece = Piece {
                lower,
                upper,
                offset,
                slope,
            };
            lower = upper;
            piece
        }))
    }

    /// Any function that is affine on pieces, given from left to right; neighbours that continue
    /// each other count as one piece.
    ///
    /// ```
    /// use onsager_scalar::activation::{Activation, Piece, PiecewiseLinear};
    /// let inf = f64::INFINITY;
    /// let flat = Piece { lower: -inf, upper: 1.0, offset: 0.0, slope: 0.0 };
    /// let steep = Piece { lower: 1.0, upper: inf, offset: -2.0, slope: 2.0 };
    /// let threshold = PiecewiseLinear::new([flat, steep])?; // max(0, 2 (h - 1))
    /// assert_eq!((threshold.apply(2.0), threshold.is_discontinuous()), (2.0, false));
    /// let error = PiecewiseLinear::new([flat]).unwrap_err();
    /// assert_eq!(error.to_string(), "piece 0 must end where the next one starts, got 1");
    /// # Ok::<(), onsager_scalar::ScalarError>(())
    /// ```
    ///
    /// # Errors
    /// Pieces that do not cover the line from `-∞` to `∞` in order, a piece without width, numbers
    /// that are not finite, a constant function.
    pub fn new(pieces: impl IntoIterator<Item = Piece>) -> Result<Self, ScalarError> {
        let mut pieces: Vec<Piece> = pieces.into_iter().collect();
        let mut end = f64::NEG_INFINITY;
        for (i, p) in pieces.iter().enumerate() {
            let last = i + 1 == pieces.len();
            let next = pieces.get(i + 1).map_or(f64::INFINITY, |next| next.lower);
            let checks = [
                (p.lower == end, "start where the one before ends", p.lower),
                (p.lower < p.upper, "end above its start", p.upper),
                (
                    p.upper == next && p.upper.is_infinite() == last,
                    "end where the next one starts",
                    p.upper,
                ),
                (p.offset.is_finite(), "have a finite offset", p.offset),
                (p.slope.is_finite(), "have a finite slope", p.slope),
            ];
            if let Some(&(_, expected, value)) = checks.iter().find(|(holds, ..)| !holds) {
                return Err(ScalarError::Piece {
                    piece: i,
                    expected,
                    value,
                });
            }
            end = p.upper;
        }
        pieces.dedup_by(|next, p| {
            let same = p.slope == next.slope && p.offset == next.offset;
            if same {
                p.upper = next.upper;
            }
            same
        });
        if pieces.iter().all(|p| p.slope == 0.0) && pieces.len() < 2 {
            let (quantity, value) = ("number of values of the activation", pieces.len() as f64);
            return Err(ScalarError::Range {
                quantity,
                allowed: "at least 2",
                value,
            });
        }
        let mirrored = |sign: f64| {
            pieces.iter().zip(pieces.iter().rev()).all(|(p, q)| {
                p.lower == -q.upper && p.offset == sign * q.offset && p.slope == -sign * q.slope
            })
        };
        let parity = match (mirrored(1.0), mirrored(-1.0)) {
            (true, _) => Parity::Even,
            (_, true) => Parity::Odd,
            _ => Parity::None,
        };
        Ok(Self { pieces, parity })
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

    /// The value at an end of a piece that the message suits best, and the field seen from there:
    /// near such a value the odds of two pieces would be a difference of exponents of order `ax²`.
    fn origin(&self, a: f64, b: f64) -> (f64, f64) {
        let ends = self.pieces.iter().zip(&self.pieces[1..]);
        let values = ends.flat_map(|(p, q)| [p.at(p.upper), q.at(q.lower)]);
        let seen = values.map(|x| (x, b - a * x));
        let nearer = |p: (f64, f64), q: (f64, f64)| if q.1.abs() < p.1.abs() { q } else { p };
        seen.reduce(nearer).unwrap_or((0.0, b))
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
        let (origin, field) = self.origin(a, b);
        let is_sharp = a * v * sharpness(&self.pieces) > 1.0;
        let moved = |p: &Piece| {
            let offset = p.offset - origin;
            Piece { offset, ..*p }.channel(a, field, omega, v, is_sharp)
        };
        let sum = self.pieces.iter().map(moved).reduce(Channel::or);
        let mut sum = sum.unwrap_or_default();
        // exp(bx - ax²/2) at the origin itself, and what the pieces have in common.
        sum.log_partition += 0.5 * origin * (b + field);
        if is_sharp {
            sum.log_partition += 0.5 * field * field / a;
        }
        sum.output.mean += origin;
        sum
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
            _ => channels(Pieces(&self.pieces), column, out),
        }
    }
    fn log_likelihood(&self, a: f64, y: f64, omega: f64, v: f64) -> f64 {
        self.pieces
            .iter()
            .map(|p| p.log_likelihood(a, y, omega, v))
            .fold(f64::NEG_INFINITY, log_add_exp)
    }
    fn log_likelihoods_into(
        &self,
        a: Precisions<'_>,
        y: &[f64],
        omega: &[f64],
        v: Precisions<'_>,
        out: &mut Vec<f64>,
    ) {
        log_likelihoods(&self.pieces, a, y, omega, v, out);
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
