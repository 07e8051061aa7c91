use rand::Rng;
use rand_distr::{Distribution, Exp1, StandardNormal};

use super::{Prior, Scale, finite, positive, uniform};
use crate::columns::{self, Kernel, Messages, Posteriors};
use crate::lanes::{Beyond, Within, exp};
use crate::special::interval_of_width;
use crate::{Moments, Precisions, ScalarError};

/// A law whose density is `exp(cᵢ + sᵢ x - tᵢ x²/2)` on a few intervals: exponential, Laplace, half
/// normal, uniform. Behind a message each part is a Gaussian cut to its interval.
///
/// Exponents and moments are counted from the point of the interval where the posterior is largest
/// ([`crate::special::interval`]); nothing of order `a x²` is subtracted.
///
/// - **Domain**: a message without precision must leave the integral finite; where it does not
///   (`a = 0`, `b` beyond the slope of the tail) the moments are meaningless but numbers.
/// - **Accuracy**: 12 ulp of the mean (or of the width of the posterior where that is larger), of
///   the variance and of `1 + |A|`, for `a` up to 1e8, against a table of 700-digit sums.
///
/// ```
/// use onsager_scalar::{Prior, prior::Truncated};
/// let law = Truncated::exponential(0.5)?;
/// assert_eq!((law.mean(), law.second_moment()), (0.5, 0.5));
/// # Ok::<(), onsager_scalar::ScalarError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Truncated {
    parts: Vec<Part>,
    mean: f64,
    second_moment: f64,
    /// Half the reach of the law, for quadrature.
    bulk: Scale,
}

#[derive(Debug, Clone, Copy, PartialEq)]
struct Part {
    lower: f64,
    upper: f64,
    constant: f64,
    slope: f64,
    precision: f64,
}

/// Stands for a precision of zero: the square of its root is still a number.
const NO_PRECISION: f64 = 1e-280;

/// Widths of an exponential tail that quadrature must reach, as a Gaussian one: `exp(-47)` is left.
const TAIL: f64 = 5.0;

impl Truncated {
    /// Density `exp(-x/mean)/mean` on `x > 0`.
    ///
    /// ```
    /// use onsager_scalar::{Prior, prior::Truncated};
    /// let error = Truncated::exponential(-1.0).unwrap_err();
    /// assert_eq!(error.to_string(), "mean must be finite and positive, got -1");
    /// ```
    ///
    /// # Errors
    /// A mean that is not finite and positive.
    pub fn exponential(mean: f64) -> Result<Self, ScalarError> {
        let mean = positive("mean", mean)?;
        let side = Part::half_line(-mean.ln(), -1.0 / mean, 0.0);
        let bulk = Scale {
            mean,
            variance: (TAIL * mean).powi(2),
        };
        Self::new(vec![side], mean, 2.0 * mean * mean, bulk)
    }

    /// Density `exp(-|x|/scale)/(2 scale)`.
    ///
    /// ```
    /// use onsager_scalar::{Prior, prior::Truncated};
    /// assert!(Truncated::laplace(2.0)?.is_even());
    /// # Ok::<(), onsager_scalar::ScalarError>(())
    /// ```
    ///
    /// # Errors
    /// A scale that is not finite and positive.
    pub fn laplace(scale: f64) -> Result<Self, ScalarError> {
        let scale = positive("scale", scale)?;
        let side = Part::half_line(-(2.0 * scale).ln(), -1.0 / scale, 0.0);
        let bulk = Scale {
            mean: 0.0,
            variance: (TAIL * scale).powi(2),
        };
        Self::new(vec![side.mirrored(), side], 0.0, 2.0 * scale * scale, bulk)
    }

    /// The law of `|x|`, `x ~ N(0, scale²)`.
    ///
    /// ```
    /// use onsager_scalar::{Prior, prior::Truncated};
    /// assert_eq!(Truncated::half_normal(2.0)?.second_moment(), 4.0);
    /// # Ok::<(), onsager_scalar::ScalarError>(())
    /// ```
    ///
    /// # Errors
    /// A scale that is not finite and positive.
    pub fn half_normal(scale: f64) -> Result<Self, ScalarError> {
        let scale = positive("scale", scale)?;
        let (variance, ratio) = (scale * scale, 2.0 / std::f64::consts::PI);
        let side = Part::half_line(0.5 * (ratio / variance).ln(), 0.0, 1.0 / variance);
        let bulk = Scale {
            mean: 0.0,
            variance,
        };
        Self::new(vec![side], scale * ratio.sqrt(), variance, bulk)
    }

    /// Uniform on `[low, high]`.
    ///
    /// ```
    /// use onsager_scalar::{Prior, prior::Truncated};
    /// assert_eq!(Truncated::uniform(-1.0, 2.0)?.second_moment(), 1.0);
    /// let error = Truncated::uniform(1.0, 1.0).unwrap_err();
    /// assert_eq!(error.to_string(), "width of the interval must be finite and positive, got 0");
    /// # Ok::<(), onsager_scalar::ScalarError>(())
    /// ```
    ///
    /// # Errors
    /// Ends that are not finite, or not in increasing order.
    pub fn uniform(low: f64, high: f64) -> Result<Self, ScalarError> {
        let (lower, upper) = (finite("low", low)?, finite("high", high)?);
        let width = positive("width of the interval", upper - lower)?;
        let part = Part {
            lower,
            upper,
            constant: -width.ln(),
            slope: 0.0,
            precision: 0.0,
        };
        let mean = 0.5 * (lower + upper);
        let bulk = Scale {
            mean,
            variance: width * width / 12.0,
        };
        Self::new(vec![part], mean, mean * mean + bulk.variance, bulk)
    }

    fn new(parts: Vec<Part>, mean: f64, square: f64, bulk: Scale) -> Result<Self, ScalarError> {
        Ok(Self {
            parts,
            mean,
            second_moment: positive("second moment", square)?,
            bulk,
        })
    }

    /// `ln Σ exp` and the moments of the mixture, exponents counted by `at(x)`.
    fn posterior(&self, a: f64, b: f64, at: impl Fn(f64) -> f64) -> (f64, Moments) {
        let parts = self.parts.iter().map(|p| p.posterior(a, b, &at));
        let sum = parts.reduce(|(log, m), (other, n)| {
            let high = log.max(other);
            let (w, w1) = ((log - high).exp(), (other - high).exp());
            let (w, w1, log) = (w / (w + w1), w1 / (w + w1), high + (w + w1).ln());
            let moments = Moments {
                mean: w * m.mean + w1 * n.mean,
                variance: w * m.variance + w1 * n.variance + w * w1 * (m.mean - n.mean).powi(2),
            };
            (log, moments)
        });
        sum.unwrap_or_default()
    }
}

impl Part {
    /// On `x > 0`.
    fn half_line(constant: f64, slope: f64, precision: f64) -> Self {
        Self {
            lower: 0.0,
            upper: f64::INFINITY,
            constant,
            slope,
            precision,
        }
    }

    fn mirrored(self) -> Self {
        Self {
            lower: -self.upper,
            upper: -self.lower,
            slope: -self.slope,
            ..self
        }
    }

    /// Log-weight and moments of the part behind a message whose exponent is `at(x)`.
    fn posterior(&self, a: f64, b: f64, at: impl Fn(f64) -> f64) -> (f64, Moments) {
        let (precision, root, field) = self.behind(a, b);
        // In standard deviations from the Gaussian's centre `field/precision`.
        let place = |end: f64| {
            if end.is_infinite() {
                end
            } else {
                (precision * end - field) / root
            }
        };
        let width = root * (self.upper - self.lower);
        let cut = interval_of_width(place(self.lower), place(self.upper), width);
        let top = (field / precision).clamp(self.lower, self.upper);
        let log = self.constant + (self.slope - 0.5 * self.precision * top) * top + at(top);
        let mean = if self.lower < top && top < self.upper {
            top + cut.mean / root
        } else if cut.above < cut.below {
            self.lower + cut.above / root
        } else {
            self.upper - cut.below / root
        };
        let variance = cut.variance / precision;
        (log + (cut.integral / root).ln(), Moments { mean, variance })
    }

    fn sample(&self, rng: &mut dyn Rng) -> f64 {
        let (end, side) = if self.lower.is_finite() {
            (self.lower, 1.0)
        } else {
            (self.upper, -1.0)
        };
        let distance = if self.precision > 0.0 {
            let z: f64 = StandardNormal.sample(rng);
            z.abs() / self.precision.sqrt()
        } else if self.slope != 0.0 {
            let z: f64 = Exp1.sample(rng);
            z / self.slope.abs()
        } else {
            (self.upper - self.lower) * uniform(rng)
        };
        end + side * distance
    }
}

impl Prior for Truncated {
    fn log_partition(&self, a: f64, b: f64) -> f64 {
        self.posterior(a, b, |x| (b - 0.5 * a * x) * x).0
    }
    fn log_likelihood(&self, a: f64, y: f64) -> f64 {
        self.posterior(a, a * y, |x| -0.5 * a * (x - y).powi(2)).0
    }
    fn moments(&self, a: f64, b: f64) -> Moments {
        self.posterior(a, b, |x| (b - 0.5 * a * x) * x).1
    }
    fn moments_into(&self, a: Precisions<'_>, b: &[f64], out: &mut [Moments]) {
        columns::moments(self, a, b, out);
    }
    fn mean(&self) -> f64 {
        self.mean
    }
    fn second_moment(&self) -> f64 {
        self.second_moment
    }
    /// The bulk, and every end at which the density jumps or bends.
    fn scales(&self) -> Vec<Scale> {
        let ends = self.parts.iter().flat_map(|p| [p.lower, p.upper]);
        let mut ends: Vec<f64> = ends.filter(|end| end.is_finite()).collect();
        ends.dedup();
        let edge = |mean| Scale {
            mean,
            variance: 0.0,
        };
        ends.into_iter().map(edge).chain([self.bulk]).collect()
    }
    fn sample(&self, rng: &mut dyn Rng) -> f64 {
        // All parts of a law weigh the same.
        let chosen = (uniform(rng) * self.parts.len() as f64) as usize;
        self.parts[chosen].sample(rng)
    }
    fn is_even(&self) -> bool {
        (self.parts.iter().zip(self.parts.iter().rev())).all(|(p, q)| *p == q.mirrored())
    }
}

impl Kernel<2, 2> for &Truncated {
    /// Part after part for a block of components.
    #[inline(always)]
    fn block<const N: usize>(&self, messages: &Messages<N>, out: &mut Posteriors<N>) {
        // The mass of the parts so far is factor · exp(exponent).
        let mut mass = [[f64::NEG_INFINITY; N], [0.0; N]];
        for &part in &self.parts {
            // One loop for each kind of interval: a loop that chooses is not vectorised.
            if part.upper == f64::INFINITY {
                add::<N, 1>(part, messages, &mut mass, out);
            } else if part.lower == f64::NEG_INFINITY {
                add::<N, -1>(part, messages, &mut mass, out);
            } else {
                add::<N, 0>(part, messages, &mut mass, out);
            }
        }
    }
}

/// Adds a part, the half line above its end (`SIDE` 1), that below (-1) or what is between, to the
/// mixture of every component.
#[inline(always)]
fn add<const N: usize, const SIDE: i8>(
    part: Part,
    [a, b]: &Messages<N>,
    [exponent, factor]: &mut [[f64; N]; 2],
    [mean, variance]: &mut Posteriors<N>,
) {
    for i in 0..N {
        let (log, mass, m) = match SIDE {
            1 => part.beyond(part.lower, 1.0, a[i], b[i]),
            -1 => part.beyond(part.upper, -1.0, a[i], b[i]),
            _ => part.between(a[i], b[i]),
        };
        let difference = exponent[i] - log;
        let small = exp(-difference.abs());
        let first = difference >= 0.0;
        let w = factor[i] * if first { 1.0 } else { small };
        let w1 = mass * if first { small } else { 1.0 };
        let total = w + w1;
        exponent[i] = exponent[i].max(log);
        factor[i] = total;
        let (w, w1, d) = (w / total, w1 / total, mean[i] - m.mean);
        mean[i] = w * mean[i] + w1 * m.mean;
        variance[i] = w * variance[i] + w1 * m.variance + w * w1 * d * d;
    }
}

impl Part {
    /// The half line beyond `end`, upwards or downwards, without branches: its mass
    /// `factor · exp(exponent)` and its moments.
    #[inline(always)]
    fn beyond(&self, end: f64, side: f64, a: f64, b: f64) -> (f64, f64, Moments) {
        let (precision, root, field) = self.behind(a, b);
        let u = side * (field - precision * end) / root;
        let cut = Beyond::new(u);
        let top = if u > 0.0 { field / precision } else { end };
        let moments = Moments {
            mean: end + side * cut.excess / root,
            variance: cut.variance / precision,
        };
        (self.exponent(top, a, b), cut.mass / root, moments)
    }

    /// The same between both ends.
    #[inline(always)]
    fn between(&self, a: f64, b: f64) -> (f64, f64, Moments) {
        let (precision, root, field) = self.behind(a, b);
        let lower = (precision * self.lower - field) / root;
        let upper = (precision * self.upper - field) / root;
        let cut = Within::new(lower, upper, root * (self.upper - self.lower));
        let centre = field / precision;
        let top = centre.max(self.lower).min(self.upper);
        let from_end = if cut.above < cut.below {
            self.lower + cut.above / root
        } else {
            self.upper - cut.below / root
        };
        let inside = top == centre;
        let moments = Moments {
            mean: if inside {
                top + cut.mean / root
            } else {
                from_end
            },
            variance: cut.variance / precision,
        };
        (self.exponent(top, a, b), cut.mass / root, moments)
    }

    /// Precision, its root, and field, behind a message.
    #[inline(always)]
    fn behind(&self, a: f64, b: f64) -> (f64, f64, f64) {
        let precision = (a + self.precision).max(NO_PRECISION);
        (precision, precision.sqrt(), b + self.slope)
    }

    /// The exponent of the density behind a message, at `x`.
    #[inline(always)]
    fn exponent(&self, x: f64, a: f64, b: f64) -> f64 {
        self.constant + (self.slope - 0.5 * self.precision * x) * x + (b - 0.5 * a * x) * x
    }
}
