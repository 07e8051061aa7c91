//! Channels of whole columns.

use pulp::{Arch, WithSimd};

use crate::activation::Piece;
use crate::lanes::{Tail, exp, ln};
use crate::{Channel, Moments, Precisions};

/// Channels of the components of a column, field by field; see [`Channel`].
///
/// ```
/// use onsager_scalar::{Channels, Precisions, activation::{Activation, PiecewiseLinear}};
/// let sign = PiecewiseLinear::sign();
/// let mut all = Channels::default();
/// sign.channels_into(Precisions::Shared(2.0), &[0.3, -1.0], &[0.1, 0.2], Precisions::Shared(1.0), &mut all);
/// let one = sign.channel(2.0, -1.0, 0.2, 1.0);
/// assert!((all.output_mean[1] - one.output.mean).abs() < 1e-14);
/// ```
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Channels {
    /// `ln Z`, in nats.
    pub log_partition: Vec<f64>,
    /// `E x`.
    pub output_mean: Vec<f64>,
    /// `Var x`.
    pub output_variance: Vec<f64>,
    /// `E h`.
    pub input_mean: Vec<f64>,
    /// `Var h`.
    pub input_variance: Vec<f64>,
    /// `∂ ln Z/∂ω`.
    pub score: Vec<f64>,
    /// `-∂² ln Z/∂ω²`.
    pub curvature: Vec<f64>,
}

/// Components worked on at a time: few enough for the first cache, many enough for long loops.
const BLOCK: usize = 64;

impl Channels {
    /// Number of components.
    #[must_use]
    pub fn len(&self) -> usize {
        self.score.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.score.is_empty()
    }

    /// The channel of component `i`.
    #[must_use]
    pub fn at(&self, i: usize) -> Channel {
        Channel {
            log_partition: self.log_partition[i],
            output: Moments {
                mean: self.output_mean[i],
                variance: self.output_variance[i],
            },
            input: Moments {
                mean: self.input_mean[i],
                variance: self.input_variance[i],
            },
            score: self.score[i],
            curvature: self.curvature[i],
        }
    }

    fn fields(&mut self) -> [&mut Vec<f64>; 7] {
        [
            &mut self.log_partition,
            &mut self.output_mean,
            &mut self.output_variance,
            &mut self.input_mean,
            &mut self.input_variance,
            &mut self.score,
            &mut self.curvature,
        ]
    }

    fn resize(&mut self, n: usize) {
        for field in self.fields() {
            field.resize(n, 0.0);
        }
    }

    /// Fills the column with `one(i)` for every component.
    pub fn fill(&mut self, n: usize, one: impl Fn(usize) -> Channel) {
        self.resize(n);
        for i in 0..n {
            for (field, value) in self.fields().into_iter().zip(values(one(i))) {
                field[i] = value;
            }
        }
    }
}

/// The messages of a column: `exp(b x - a x²/2)` from above, `N(ω, V)` from below.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Column<'a> {
    pub(crate) a: Precisions<'a>,
    pub(crate) b: &'a [f64],
    pub(crate) omega: &'a [f64],
    pub(crate) v: Precisions<'a>,
}

/// The fields of a channel, in the order of [`Channels`].
#[inline(always)]
fn values(c: Channel) -> [f64; 7] {
    [
        c.log_partition,
        c.output.mean,
        c.output.variance,
        c.input.mean,
        c.input.variance,
        c.score,
        c.curvature,
    ]
}

/// A channel without branches.
pub(crate) trait Kernel {
    fn channel(&self, a: f64, b: f64, omega: f64, v: f64) -> Channel;
}

/// One affine piece, the whole line.
pub(crate) struct Line(pub(crate) Piece);

/// Two half lines that meet.
pub(crate) struct HalfLines {
    pub(crate) below: Piece,
    pub(crate) above: Piece,
}

impl Kernel for Line {
    #[inline(always)]
    fn channel(&self, a: f64, b: f64, omega: f64, v: f64) -> Channel {
        let whole = self.0.whole(a, b, omega, v);
        whole.channel(&self.0, whole.exponent - 0.5 * ln(whole.d))
    }
}

impl Kernel for HalfLines {
    #[inline(always)]
    fn channel(&self, a: f64, b: f64, omega: f64, v: f64) -> Channel {
        let below = Half::new(&self.below, -1.0, self.below.upper, a, b, omega, v);
        let above = Half::new(&self.above, 1.0, self.above.lower, a, b, omega, v);
        let difference = if self.below.slope == -self.above.slope && self.above.slope != 0.0 {
            self.odds(&below, &above, a, b, omega, v)
        } else {
            below.exponent - above.exponent
        };
        below.or(&above, difference)
    }
}

impl HalfLines {
    /// The difference of the exponents of two half lines of opposite slopes, to relative digits: a
    /// message that hardly tells the two apart leaves it far below either exponent.
    #[inline(always)]
    fn odds(&self, below: &Half, above: &Half, a: f64, b: f64, omega: f64, v: f64) -> f64 {
        let (p, r, end) = (&self.below, &self.above, self.above.lower);
        let d = 1.0 + a * r.slope * r.slope * v;
        // m (2b - a m)/(2d), where m is the value of the affine function at ω.
        let apart = (p.offset - r.offset) + (p.slope - r.slope) * omega;
        let together = (p.offset + r.offset) + (p.slope + r.slope) * omega;
        let whole = apart * (2.0 * b - a * together) / (2.0 * d);
        // The squares of the distances of two ends that are both far.
        let x = [p, r].map(|q| b - a * (q.offset + q.slope * end));
        let scale = 1.0 / (d * v).sqrt();
        let sum = (r.slope * x[1] - p.slope * x[0]) * v * scale;
        let difference = (2.0 * (omega - end) + v * (r.slope * x[1] + p.slope * x[0])) * scale;
        let far = if below.outside && above.outside {
            0.5 * sum * difference
        } else {
            above.far - below.far
        };
        whole + far
    }
}

/// The channel restricted to a half line, with the mass `factor · exp(exponent)`.
struct Half {
    exponent: f64,
    /// Whether the centre of the Gaussian lies outside, and then half of its squared distance, which
    /// is a part of the exponent.
    outside: bool,
    far: f64,
    factor: f64,
    /// The rest of the channel; its log-partition is not used.
    channel: Channel,
}

impl Half {
    /// `piece` where `side · (h - end) > 0`.
    #[inline(always)]
    fn new(piece: &Piece, side: f64, end: f64, a: f64, b: f64, omega: f64, v: f64) -> Self {
        const FRAC_1_SQRT_2PI: f64 = 0.398_942_280_401_432_7;
        let whole = piece.whole(a, b, omega, v);
        let (sd, root) = (whole.input.variance.sqrt(), whole.d.sqrt());
        let u = side * piece.beyond(end, a, b, omega, v) / (whole.d * sd);
        let tail = Tail::beyond(u.abs());
        let beyond = FRAC_1_SQRT_2PI * tail.power / tail.inverse_mills;
        let r = FRAC_1_SQRT_2PI * tail.power / (1.0 - beyond);
        // With its centre outside, only the tail is left of the Gaussian.
        let outside = u < 0.0;
        let r = if outside { tail.inverse_mills } else { r };
        let excess = if outside { tail.mean } else { u + r };
        let variance = if outside {
            tail.variance
        } else {
            1.0 - r * excess
        };
        let input = Moments {
            mean: end + side * sd * excess,
            variance: whole.input.variance * variance,
        };
        let mass = if outside {
            FRAC_1_SQRT_2PI / tail.inverse_mills
        } else {
            1.0 - beyond
        };
        let far = if outside { 0.5 * u * u } else { 0.0 };
        Self {
            exponent: whole.exponent - far,
            outside,
            far,
            factor: mass / root,
            channel: whole
                .restricted(input, [side * r, r * excess])
                .channel(piece, 0.0),
        }
    }

    /// The mixture of two exclusive cases, given the difference of their exponents.
    #[inline(always)]
    fn or(&self, other: &Self, difference: f64) -> Channel {
        let small = exp(-difference.abs());
        let first = difference >= 0.0;
        let w = self.factor * if first { 1.0 } else { small };
        let w1 = other.factor * if first { small } else { 1.0 };
        let total = w + w1;
        Channel {
            log_partition: self.exponent.max(other.exponent) + ln(total),
            ..self.channel.mixed(w / total, &other.channel, w1 / total)
        }
    }
}

/// A kernel on a column, block by block, at the widest vectors of the machine.
struct Blocks<'a, K> {
    kernel: K,
    column: Column<'a>,
    out: &'a mut Channels,
}

impl<K: Kernel> WithSimd for Blocks<'_, K> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(self, _: S) {
        let Column { a, b, omega, v } = self.column;
        for from in (0..b.len()).step_by(BLOCK) {
            let to = b.len().min(from + BLOCK);
            // Copies that nothing else can alias, of a length known to the compiler.
            let (a, v) = (load(a, from, to), load(v, from, to));
            let (b, omega) = (
                load(Precisions::Each(b), from, to),
                load(Precisions::Each(omega), from, to),
            );
            let mut block = [[0.0; BLOCK]; 7];
            for i in 0..BLOCK {
                let c = self.kernel.channel(a[i], b[i], omega[i], v[i]);
                for (field, value) in block.iter_mut().zip(values(c)) {
                    field[i] = value;
                }
            }
            for (field, block) in self.out.fields().into_iter().zip(&block) {
                field[from..to].copy_from_slice(&block[..to - from]);
            }
        }
    }
}

/// A block of values, filled up with ones.
#[inline(always)]
fn load(values: Precisions<'_>, from: usize, to: usize) -> [f64; BLOCK] {
    let mut block = [1.0; BLOCK];
    match values {
        Precisions::Shared(value) => block = [value; BLOCK],
        Precisions::Each(values) => block[..to - from].copy_from_slice(&values[from..to]),
    }
    block
}

/// The channels of a column.
pub(crate) fn channels(kernel: impl Kernel, column: Column<'_>, out: &mut Channels) {
    let n = column.b.len();
    out.resize(n);
    Arch::new().dispatch(Blocks {
        kernel,
        column,
        out,
    });
}

#[cfg(test)]
mod tests {
    use crate::activation::{Activation, PiecewiseLinear};
    use crate::{Channels, Precisions};

    /// Differences in ulp of the terms that a value is the sum of.
    #[test]
    fn columns_are_made_of_channels() {
        let mut worst = [0.0f64; 7];
        for phi in [
            PiecewiseLinear::linear(),
            PiecewiseLinear::sign(),
            PiecewiseLinear::relu(),
            PiecewiseLinear::abs(),
        ] {
            // Irrational multiples fill four decades of b and ω, of both signs.
            let spread = |i: usize, step: f64| {
                let x = (i as f64 * step).fract();
                (20.0 * x - 10.0).exp() * if i.is_multiple_of(3) { -1.0 } else { 1.0 }
            };
            let n = 997;
            let b: Vec<f64> = (0..n).map(|i| spread(i, 0.618_033_988_7) / 50.0).collect();
            let omega: Vec<f64> = (0..n).map(|i| spread(i, 0.414_213_562_3) / 50.0).collect();
            for (a, v) in [(1e-3, 1.0), (0.7, 2.0), (30.0, 1e-3), (1e4, 0.3)] {
                let mut all = Channels::default();
                let (a, v) = (Precisions::Shared(a), Precisions::Shared(v));
                phi.channels_into(a, &b, &omega, v, &mut all);
                assert_eq!(all.len(), n);
                for i in 0..n {
                    let (a, v) = (a.at(0), v.at(0));
                    let one = phi.channel(a, b[i], omega[i], v);
                    let c = all.at(i);
                    // What the exponents of the weights are made of.
                    let exponent = 1.0
                        + b[i].abs() * (omega[i].abs() + v * b[i].abs())
                        + a * omega[i] * omega[i]
                        + omega[i] * omega[i] / v
                        + a;
                    let spread = |x: f64, y: f64, scale: f64| {
                        (x - y).abs() / (f64::EPSILON * scale * exponent)
                    };
                    let h = one.input.mean.abs() + omega[i].abs() + v.sqrt();
                    let x = one.output.mean.abs() + h + 1.0;
                    let g = one.score.abs() + h / v;
                    let differences = [
                        spread(c.log_partition, one.log_partition, 1.0),
                        spread(c.output.mean, one.output.mean, x),
                        spread(c.output.variance, one.output.variance, x * x),
                        spread(c.input.mean, one.input.mean, h),
                        spread(c.input.variance, one.input.variance, h * h),
                        spread(c.score, one.score, g),
                        spread(c.curvature, one.curvature, g * g + 1.0 / v),
                    ];
                    for (w, d) in worst.iter_mut().zip(differences) {
                        *w = w.max(d);
                        assert!(d.is_finite(), "{phi:?} at {i}: {c:?} {one:?}");
                    }
                }
            }
        }
        println!("{worst:?}");
        // The one channel takes the odds of abs as a difference of exponents, which the columns avoid.
        assert!(worst.iter().all(|w| *w <= 32.0), "{worst:?}");
    }

    /// `g = -curvature ω` up to `ω³`: to relative digits, however faint the field.
    #[test]
    fn the_sign_of_a_faint_field_is_told_to_relative_digits() {
        let b: Vec<f64> = (0..40).map(|i| 1e3 * (0.1 * f64::from(i) - 1.0)).collect();
        let (a, v) = (Precisions::Shared(1e3), Precisions::Shared(1.0));
        let at = |omega: f64| {
            let mut c = Channels::default();
            PiecewiseLinear::abs().channels_into(a, &b, &[omega; 40], v, &mut c);
            c
        };
        let (c, none) = (at(1e-7), at(0.0));
        for i in 0..40 {
            // The curvature itself is a difference of numbers of order (b/a)².
            let expected = -none.curvature[i] * 1e-7;
            let error = (c.score[i] - expected).abs();
            assert!(error < 1e-8 * expected.abs() + 1e-15, "{i}: {error:e}");
        }
    }
}
