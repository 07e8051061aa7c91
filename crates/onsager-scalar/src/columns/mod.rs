//! Channels and posteriors of whole columns, without branches: every lane of the machine's vectors
//! does the same.

mod pieces;

use pulp::{Arch, WithSimd};

use pieces::Likelihoods;
pub(crate) use pieces::{HalfLines, Line, Pieces};

use crate::activation::Piece;
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

/// A function of `IN` numbers with `OUT` values, for many components at a time.
pub(crate) trait Kernel<const IN: usize, const OUT: usize>: Copy {
    /// The values of `N` components, field by field: loops over components are innermost, their
    /// length is known to the compiler.
    fn block<const N: usize>(&self, given: &[[f64; N]; IN], out: &mut [[f64; N]; OUT]);
}

/// Messages to a law, in the order `a`, `b`.
pub(crate) type Messages<const N: usize> = [[f64; N]; 2];

/// Means and variances.
pub(crate) type Posteriors<const N: usize> = [[f64; N]; 2];

/// `one` of every component.
#[inline(always)]
pub(crate) fn each<const N: usize>(
    [a, b]: &Messages<N>,
    [mean, variance]: &mut Posteriors<N>,
    one: impl Fn(f64, f64) -> Moments,
) {
    for i in 0..N {
        let moments = one(a[i], b[i]);
        mean[i] = moments.mean;
        variance[i] = moments.variance;
    }
}

/// Components worked on at a time: few enough for the first cache, many enough for long loops.
const BLOCK: usize = 64;

/// Components worked on at a time behind the last whole block: the lanes of the widest vectors.
const REST: usize = 8;

/// A kernel on columns, block by block, at the widest vectors of the machine; `write` takes the
/// place of the first component and the values.
struct Blocks<'a, K, W, const IN: usize, const OUT: usize> {
    kernel: K,
    columns: [Precisions<'a>; IN],
    length: usize,
    write: W,
}

impl<K, W, const IN: usize, const OUT: usize> WithSimd for Blocks<'_, K, W, IN, OUT>
where
    K: Kernel<IN, OUT>,
    W: FnMut(usize, [&[f64]; OUT]),
{
    type Output = ();

    #[inline(always)]
    fn with_simd<S: pulp::Simd>(mut self, _: S) {
        let n = self.length;
        let whole = n - n % BLOCK;
        for from in (0..whole).step_by(BLOCK) {
            self.block::<BLOCK>(from, from + BLOCK);
        }
        for from in (whole..n).step_by(REST) {
            self.block::<REST>(from, n.min(from + REST));
        }
    }
}

impl<K, W, const IN: usize, const OUT: usize> Blocks<'_, K, W, IN, OUT>
where
    K: Kernel<IN, OUT>,
    W: FnMut(usize, [&[f64]; OUT]),
{
    /// The components `from..to`, at most `N` of them.
    #[inline(always)]
    fn block<const N: usize>(&mut self, from: usize, to: usize) {
        // Copies that nothing else can alias, so that no loop needs to check it.
        let kernel = self.kernel;
        let given = self.columns.map(|column| load::<N>(column, from, to));
        let mut out = [[0.0; N]; OUT];
        kernel.block(&given, &mut out);
        (self.write)(from, out.each_ref().map(|field| &field[..to - from]));
    }
}

/// A block of values, filled up with ones.
#[inline(always)]
fn load<const N: usize>(values: Precisions<'_>, from: usize, to: usize) -> [f64; N] {
    let mut block = [1.0; N];
    match values {
        Precisions::Shared(value) => block = [value; N],
        Precisions::Each(values) => block[..to - from].copy_from_slice(&values[from..to]),
    }
    block
}

/// The channels of a column.
pub(crate) fn channels(kernel: impl Kernel<4, 7>, column: Column<'_>, out: &mut Channels) {
    let Column { a, b, omega, v } = column;
    out.resize(b.len());
    Arch::new().dispatch(Blocks {
        kernel,
        columns: [a, Precisions::Each(b), Precisions::Each(omega), v],
        length: b.len(),
        write: |from: usize, values: [&[f64]; 7]| {
            for (field, values) in out.fields().into_iter().zip(values) {
                field[from..from + values.len()].copy_from_slice(values);
            }
        },
    });
}

/// The log-likelihoods of a column of observations `y`.
pub(crate) fn log_likelihoods(
    pieces: &[Piece],
    a: Precisions<'_>,
    y: &[f64],
    omega: &[f64],
    v: Precisions<'_>,
    out: &mut Vec<f64>,
) {
    out.resize(y.len(), 0.0);
    Arch::new().dispatch(Blocks {
        kernel: Likelihoods(pieces),
        columns: [a, Precisions::Each(y), Precisions::Each(omega), v],
        length: y.len(),
        write: |from: usize, [values]: [&[f64]; 1]| {
            out[from..from + values.len()].copy_from_slice(values);
        },
    });
}

/// The posterior moments of a column behind the messages `exp(b x - a x²/2)`.
pub(crate) fn moments(
    kernel: impl Kernel<2, 2>,
    a: Precisions<'_>,
    b: &[f64],
    out: &mut [Moments],
) {
    let length = b.len().min(out.len());
    Arch::new().dispatch(Blocks {
        kernel,
        columns: [a, Precisions::Each(b)],
        length,
        write: |from: usize, [mean, variance]: [&[f64]; 2]| {
            let values = mean.iter().zip(variance);
            for (out, (&mean, &variance)) in out[from..].iter_mut().zip(values) {
                *out = Moments { mean, variance };
            }
        },
    });
}

#[cfg(test)]
mod tests {
    use crate::activation::{Activation, PiecewiseLinear};
    use crate::prior::{GaussBernoulli, Gaussian, Mixture, Rademacher, Scale, Truncated};
    use crate::{Channels, Moments, Precisions, Prior};

    /// Differences in ulp of the terms that a value is the sum of.
    #[test]
    fn columns_are_made_of_channels() {
        let mut worst = [0.0f64; 7];
        for phi in [
            PiecewiseLinear::linear(),
            PiecewiseLinear::sign(),
            PiecewiseLinear::relu(),
            PiecewiseLinear::abs(),
            PiecewiseLinear::hard_tanh(),
            PiecewiseLinear::door(0.7).expect("a width"),
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

    /// The same for laws: the mean in units of its terms, the variance as its law says.
    #[test]
    fn columns_are_made_of_posteriors() {
        let point = |mean| Scale {
            mean,
            variance: 0.0,
        };
        let wide = Scale {
            mean: 0.5,
            variance: 3.0,
        };
        let three = [(0.2, point(-2.0)), (0.5, wide), (0.3, point(1.0))];
        let laws: [&dyn Prior; 11] = [
            &Gaussian::new(0.3, 2.0).expect("a law"),
            &Rademacher,
            &GaussBernoulli::new(0.05, 0.0, 1.0).expect("a law"),
            &GaussBernoulli::new(0.3, -1.0, 0.5).expect("a law"),
            &Mixture::binary(0.8).expect("a law"),
            &Mixture::rademacher_bernoulli(0.1).expect("a law"),
            &Mixture::new(three).expect("a law"),
            &Truncated::exponential(0.7).expect("a law"),
            &Truncated::laplace(1.3).expect("a law"),
            &Truncated::half_normal(1.0).expect("a law"),
            &Truncated::uniform(-1.0, 2.0).expect("a law"),
        ];
        for law in laws {
            let mut worst = [0.0f64; 2];
            for a in [0.0f64, 1e-6, 1e-2, 1.0, 30.0, 1e4, 1e8] {
                let n = 997;
                let place = |i: usize| 3.0 * (i as f64 * 0.618_033_988_7).fract() - 1.5;
                // Without precision, fields that every tail survives.
                let b: Vec<f64> = (0..n)
                    .map(|i| {
                        if a == 0.0 {
                            0.3 * place(i)
                        } else {
                            (a + a.sqrt()) * place(i)
                        }
                    })
                    .collect();
                let mut all = vec![Moments::default(); n];
                law.moments_into(Precisions::Shared(a), &b, &mut all);
                for (found, b) in all.iter().zip(&b) {
                    let one = law.moments(a, *b);
                    // Exponentials of columns are 0 below 1e-307: nothing to 1e-290, to its last digit.
                    let variance = one.variance.max(1e-290);
                    // Odds are exponents of this size.
                    let exponent = 1.0 + (-variance.ln()).max(0.0);
                    let spread = (one.mean.abs() + one.variance.sqrt()).max(1e-300);
                    let differences = [
                        (found.mean - one.mean).abs() / (f64::EPSILON * spread * exponent),
                        (found.variance - one.variance).abs()
                            / (f64::EPSILON * variance * exponent),
                    ];
                    for (w, d) in worst.iter_mut().zip(differences) {
                        assert!(d.is_finite(), "{law:?} {a} {b}: {found:?} {one:?}");
                        *w = w.max(d);
                    }
                }
            }
            println!("{law:?}: {worst:?}");
            assert!(worst.iter().all(|w| *w <= 16.0), "{law:?}: {worst:?}");
        }
    }

    /// Where a component stands in a column does not change a bit of its channel.
    #[test]
    fn channels_do_not_depend_on_the_length_of_the_column() {
        let phi = PiecewiseLinear::relu();
        let (a, v) = (Precisions::Shared(2.0), Precisions::Shared(0.7));
        let wave = |i: usize, step: f64| (step * i as f64).sin() * 4.0;
        let b: Vec<f64> = (0..150).map(|i| wave(i, 0.7)).collect();
        let omega: Vec<f64> = (0..150).map(|i| wave(i, 1.3)).collect();
        let (mut whole, mut part) = (Channels::default(), Channels::default());
        phi.channels_into(a, &b, &omega, v, &mut whole);
        for length in [1, 7, 8, 63, 64, 65] {
            for (run, (b, omega)) in b.chunks(length).zip(omega.chunks(length)).enumerate() {
                phi.channels_into(a, b, omega, v, &mut part);
                for i in 0..b.len() {
                    assert_eq!(part.at(i), whole.at(run * length + i), "{length}, {i}");
                }
            }
        }
    }
}
