//! Elementary functions without branches or calls, so that loops over them are vectorised.
//!
//! Only sums, products, quotients and selections of each lane by itself: a loop gives the same
//! bits at every width of the machine's vectors, and as one evaluation at a time.

use crate::special::LEGENDRE;

/// `exp(x)` for `x <= 0`; 0 below -708.
///
/// - **Accuracy**: 1 ulp.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
    let (rest, power) = reduced(x);
    let value = (1.0 + rest) * power;
    if x < -708.0 { 0.0 } else { value }
}

/// `exp(x) - 1` for `x <= 0`.
///
/// - **Accuracy**: 2 ulp.
#[inline(always)]
pub(crate) fn exp_m1(x: f64) -> f64 {
    let (rest, power) = reduced(x);
    (power - 1.0) + power * rest
}

/// `(exp(r) - 1, 2ⁿ)` with `x = n ln 2 + r`, for `-708 <= x <= 0`; a smaller `x` counts as -708.
#[inline(always)]
fn reduced(x: f64) -> (f64, f64) {
    use std::f64::consts::LOG2_E;
    // ln 2 in two parts: the products of the first with integers below 2^11 are exact.
    const HIGH: f64 = 0.693_147_180_369_123_8;
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    // Adding it leaves the nearest integer in the last bits.
    const ROUND: f64 = 6_755_399_441_055_744.0;
    let inside = x.max(-708.0);
    let shifted = inside * LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = (inside - n * HIGH) - n * LOW;
    // Taylor on |r| <= ln(2)/2: the term left out is below 5e-18.
    let p = INVERSE_FACTORIALS
        .iter()
        .rev()
        .fold(0.0, |sum, c| sum * r + c);
    let power = f64::from_bits(shifted.to_bits().wrapping_add(1023) << 52);
    (r + r * r * p, power)
}

/// `1/k!` from `k = 2`.
const INVERSE_FACTORIALS: [f64; 12] = {
    let mut inverse = [0.0; 12];
    let (mut k, mut factorial) = (0, 1.0);
    while k < 12 {
        factorial *= (k + 2) as f64;
        inverse[k] = 1.0 / factorial;
        k += 1;
    }
    inverse
};

/// `ln x` for positive normal numbers.
///
/// With `x = 2ᵏ (1 + f)` and `s = f/(2 + f)`, `ln(1 + f) = 2 artanh s`.
///
/// - **Accuracy**: 1 ulp.
#[inline(always)]
pub(crate) fn ln(x: f64) -> f64 {
    const HIGH: f64 = 0.693_147_180_369_123_8;
    const LOW: f64 = 1.908_214_929_270_587_7e-10;
    // Bits of √(1/2): the mantissa is taken from [√(1/2), √2).
    const ROOT_HALF: u64 = 0x3fe6_a09e_667f_3bcd;
    const ONE: u64 = 0x3ff0_0000_0000_0000;
    // The bits of 2^52, whose last bits hold an integer.
    const INTEGER: u64 = 0x4330_0000_0000_0000;
    let bits = x.to_bits().wrapping_add(ONE - ROOT_HALF);
    let k = f64::from_bits(INTEGER | (bits >> 52)) - (f64::from_bits(INTEGER) + 1023.0);
    let f = f64::from_bits((bits & 0x000f_ffff_ffff_ffff) + ROOT_HALF) - 1.0;
    let s = f / (2.0 + f);
    let z = s * s;
    // 2 artanh(s)/s - 2 = Σ 2 z^j/(2j + 1): the term left out is below 4e-18 at the largest z.
    let tail = z * ODD.iter().rev().fold(0.0, |sum, c| sum * z + c);
    let half = 0.5 * f * f;
    k * HIGH - ((half - (s * (half + tail) + k * LOW)) - f)
}

/// `2/(2j + 1)` from `j = 1`.
const ODD: [f64; 10] = {
    let mut odd = [0.0; 10];
    let mut j = 0;
    while j < 10 {
        odd[j] = 2.0 / (2 * j + 3) as f64;
        j += 1;
    }
    odd
};

/// A standard Gaussian `z` beyond `t >= 0`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Tail {
    /// `exp(-t²/2)`.
    pub(crate) power: f64,
    /// `R(-t) = φ(t)/Φ(-t)`.
    pub(crate) inverse_mills: f64,
    /// `E[z - t | z > t]`.
    pub(crate) mean: f64,
    /// `Var[z | z > t]`.
    pub(crate) variance: f64,
}

impl Tail {
    /// Two polynomials in `2y - 1`, `y = c/(c + t)`, of the smooth functions `mean · (c + t)` and
    /// `variance · (c + t)²` (Chebyshev interpolants in powers; `c` is the best of seven tried).
    ///
    /// - **Accuracy**: 6 ulp each, where they do not underflow.
    /// - **Source**: coefficients printed by `tests/reference/scalar_tables.py`.
    #[inline(always)]
    pub(crate) fn beyond(t: f64) -> Self {
        const C: f64 = 3.5;
        let scale = 1.0 / (C + t);
        let s = 2.0 * C * scale - 1.0;
        let mean = scale * polynomial(&MEAN, s);
        // The leading 26 bits of `t`: their square is exact.
        let h = f64::from_bits(t.to_bits() & !0x07ff_ffff);
        let rest = -0.5 * (t - h) * (t + h);
        // Below 4e-5 as long as the power does not vanish; three terms of its exponential.
        let correction = 1.0 + rest * (1.0 + rest * (0.5 + rest / 6.0));
        let power = exp(-0.5 * h * h);
        Self {
            power: if power == 0.0 {
                0.0
            } else {
                power * correction
            },
            inverse_mills: t + mean,
            mean,
            variance: scale * (scale * polynomial(&VARIANCE, s)),
        }
    }
}

/// `Σ c_j s^j`.
#[inline(always)]
fn polynomial<const N: usize>(c: &[f64; N], s: f64) -> f64 {
    c.iter().rev().fold(0.0, |sum, c| sum * s + c)
}

const FRAC_1_SQRT_2PI: f64 = 0.398_942_280_401_432_7;

/// A standard Gaussian `z` given `z > -u`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Beyond {
    /// The point of the half line next to 0.
    pub(crate) nearest: f64,
    /// `P(z > -u) exp(nearest²/2)`.
    pub(crate) mass: f64,
    /// `E z`.
    pub(crate) mean: f64,
    /// `E z + u`.
    pub(crate) excess: f64,
    /// `Var z`.
    pub(crate) variance: f64,
}

impl Beyond {
    /// For finite `u`.
    ///
    /// - **Accuracy**: 8 ulp each.
    #[inline(always)]
    pub(crate) fn new(u: f64) -> Self {
        let tail = Tail::beyond(u.abs());
        let beyond = FRAC_1_SQRT_2PI * tail.power / tail.inverse_mills;
        let r = FRAC_1_SQRT_2PI * tail.power / (1.0 - beyond);
        // With its centre outside, only the tail is left of the Gaussian.
        let outside = u < 0.0;
        let r = if outside { tail.inverse_mills } else { r };
        let excess = if outside { tail.mean } else { u + r };
        Self {
            nearest: if outside { -u } else { 0.0 },
            mass: if outside {
                FRAC_1_SQRT_2PI / tail.inverse_mills
            } else {
                1.0 - beyond
            },
            mean: r,
            excess,
            variance: if outside {
                tail.variance
            } else {
                1.0 - r * excess
            },
        }
    }
}

/// A standard Gaussian `z` given `lower < z < upper`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Within {
    /// The point of the interval next to 0.
    pub(crate) nearest: f64,
    /// `P(lower < z < upper) exp(nearest²/2)`.
    pub(crate) mass: f64,
    /// `E z`.
    pub(crate) mean: f64,
    /// `E z - lower`.
    pub(crate) above: f64,
    /// `upper - E z`.
    pub(crate) below: f64,
    /// `Var z`.
    pub(crate) variance: f64,
    /// `1 - Var z`.
    pub(crate) deficit: f64,
}

impl Within {
    /// For finite ends, whose difference `width` may be known better than they are. All three
    /// routes of [`crate::special::interval`] are computed, one is taken.
    ///
    /// - **Accuracy**: 16 ulp of the fields of [`crate::special::Interval`].
    #[inline(always)]
    pub(crate) fn new(lower: f64, upper: f64, width: f64) -> Self {
        // The mirror image leans to the right.
        let mirrored = lower + upper < 0.0;
        let l = if mirrored { -upper } else { lower };
        let u = if mirrored { -lower } else { upper };
        let nearest = l.max(0.0);
        let fall = width * (l + 0.5 * width);

        // A sum of positive terms, where the density changes little.
        let [mut sum, mut first, mut second] = [0.0; 3];
        // Written out: a loop of this length inside another is not vectorised.
        macro_rules! terms {
            ($($k:literal)*) => {$(
                let (x, w) = LEGENDRE[$k];
                let t = width * x;
                // The density relative to that at the nearest point, of which it is at most 1.
                let log = if l < 0.0 {
                    -0.5 * (l + t) * (l + t)
                } else {
                    -t * (l + 0.5 * t)
                };
                let w = w * exp(log);
                sum += w;
                first += w * x;
                second += w * x * x;
            )*};
        }
        terms!(0 1 2 3 4 5 6 7 8 9 10 11);
        let place = first / sum;
        let by_sum = [
            FRAC_1_SQRT_2PI * width * sum,
            width * place,
            width * width * (second / sum - place * place),
        ];

        // The half line without its far part, which is a share of it.
        let (near, far) = (Tail::beyond(l.abs()), Tail::beyond(u.abs()));
        let share = exp(-fall.max(0.0)) * near.inverse_mills / far.inverse_mills;
        let rest = 1.0 - share;
        let beyond = width + far.mean;
        let above = (near.mean - share * beyond) / rest;
        let apart = beyond - above;
        let by_tail = [
            FRAC_1_SQRT_2PI * rest / near.inverse_mills,
            above,
            (near.variance - share * far.variance) / rest - share * apart * apart,
        ];

        // Everything without two tails.
        let [dense, thin] = [FRAC_1_SQRT_2PI * near.power, FRAC_1_SQRT_2PI * far.power];
        let inside = 1.0 - dense / near.inverse_mills - thin / far.inverse_mills;
        let mean = (dense - thin) / inside;
        let missing = (u * thin - l * dense) / inside + mean * mean;
        let by_middle = [inside, mean - l, 1.0 - missing];

        let few = width <= 2.5 && fall <= 6.0;
        let right = l >= 0.0;
        let mut chosen = by_sum;
        for (k, chosen) in chosen.iter_mut().enumerate() {
            let wide = if right { by_tail[k] } else { by_middle[k] };
            *chosen = if few { *chosen } else { wide };
        }
        let [mass, above, variance] = chosen;
        let middle = !few && !right;
        let mean = if middle { mean } else { l + above };
        let below = if middle { u - mean } else { width - above };
        let deficit = if middle { missing } else { 1.0 - variance };
        Self {
            nearest,
            mass,
            mean: if mirrored { -mean } else { mean },
            above: if mirrored { below } else { above },
            below: if mirrored { above } else { below },
            variance,
            deficit,
        }
    }
}

// Powers of `s` in [-1, 1].
#[rustfmt::skip]
const MEAN: [f64; 27] = [
    1.759738854003898, 1.0299783886096476, 0.21069624634473574, -0.15371368344127304,
    -0.10078958422801461, 0.022180098790743338, 0.03558751629498637, -0.002029881836001316,
    -0.01186264447989421, -0.0002721673457207138, 0.003867808465371549, 0.00020437342949799247,
    -0.0012316426374607324, -5.552572711087451e-05, 0.00037629665843801394, 4.2916814295049775e-06,
    -0.0001072893424264666, 3.675385431391949e-06, 2.756686355490996e-05, -2.0924115675619227e-06,
    -6.115895927130362e-06, 5.907644787894084e-07, 1.1048085189734638e-06, -9.26145657281075e-08,
    -1.4613858731101652e-07, 6.120025003418614e-09, 1.068782117800838e-08,
];
#[rustfmt::skip]
const VARIANCE: [f64; 29] = [
    2.7897172426135435, 2.4813492699087702, 0.17094768871120886, -1.0180130706774158,
    -0.39304742723614733, 0.34660569051783974, 0.23490344240675173, -0.11114021048826017,
    -0.10921332140747499, 0.03595640995183281, 0.04479411360991549, -0.012327218179558709,
    -0.01673373954768711, 0.004490726208763329, 0.00571065286231236, -0.0016477354816064945,
    -0.0017656658698336407, 0.0005618511992515995, 0.0004909069010072579, -0.0001633993754718,
    -0.00012390910065883723, 3.653474655027613e-05, 2.9466657092075977e-05, -5.239233672709625e-06,
    -6.673589310562552e-06, 2.557044647884658e-07, 1.2460748914847198e-06, 2.944707717841016e-08,
    -1.2883704610880653e-07,
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::special::{interval, inverse_mills, mills_defect, normal_density};

    /// Distance in units of the last place of `y`.
    fn ulps(x: f64, y: f64) -> f64 {
        (x - y).abs() / (y.abs().max(f64::MIN_POSITIVE) * f64::EPSILON)
    }

    #[test]
    fn exponentials_and_logarithms_are_those_of_the_library() {
        let mut worst = [0.0f64; 2];
        for i in 0..200_000 {
            let x = -f64::from(i) * 3.5393e-3;
            if x > -708.0 {
                worst[0] = worst[0].max(ulps(exp(x), libm::exp(x)));
            }
            let x = libm::exp(0.007 * f64::from(i - 100_000));
            worst[1] = worst[1].max(ulps(ln(x), libm::log(x)));
        }
        assert!(worst[0] <= 2.0 && worst[1] <= 2.0, "{worst:?}");
        assert_eq!(
            (exp(0.0), exp(-709.0), exp(f64::NEG_INFINITY)),
            (1.0, 0.0, 0.0)
        );
        assert_eq!((ln(1.0), ln(f64::MAX)), (0.0, libm::log(f64::MAX)));
    }

    #[test]
    fn small_exponentials_keep_their_digits() {
        for i in 0..100_000 {
            let x = -1e-12 * libm::exp(3.0e-4 * f64::from(i));
            let worst = ulps(exp_m1(x), libm::expm1(x));
            assert!(worst <= 3.0, "{x}: {worst}");
        }
        assert_eq!((exp_m1(0.0), exp_m1(-800.0)), (0.0, -1.0));
    }

    /// Against the routes one by one, which stand against a table of high precision.
    #[test]
    fn intervals_are_those_of_the_special_functions() {
        let mut worst = [0.0f64; 4];
        for i in 0..400 {
            for j in 0..400 {
                // Ends of both signs, from 1e-6 to 1e6, and widths from 1e-8 to 1e8.
                let end = 1e-6 * libm::exp(0.0691 * f64::from(i));
                let width = 1e-8 * libm::exp(0.0921 * f64::from(j));
                for lower in [end, -end, -0.5 * width] {
                    let upper = lower + width;
                    let width = upper - lower;
                    if width == 0.0 {
                        continue;
                    }
                    let (found, known) = (Within::new(lower, upper, width), interval(lower, upper));
                    let mass = found.mass / FRAC_1_SQRT_2PI;
                    let near = |x: crate::special::Interval| x.above.min(x.below);
                    let differences = [
                        ulps(mass, known.integral),
                        ulps(found.above.min(found.below), near(known)),
                        ulps(found.variance, known.variance),
                        // Below is 0 to the exponential of a lane.
                        ulps(found.deficit.max(1e-300), known.deficit.max(1e-300)),
                    ];
                    for (w, d) in worst.iter_mut().zip(differences) {
                        assert!(d <= 16.0, "{lower} {upper}: {found:?} {known:?}");
                        *w = w.max(d);
                    }
                    // The place of the mean, to the rounding of the nearest end.
                    let off = (found.mean - known.mean).abs();
                    assert!(off <= 8.0 * f64::EPSILON * (known.mean.abs() + known.variance.sqrt()));
                }
            }
        }
        println!("{worst:?}");
    }

    #[test]
    fn tails_are_those_of_the_special_functions() {
        for i in 0..100_000 {
            // 0, and from 1e-8 to 1e8.
            let t = if i == 0 {
                0.0
            } else {
                1e-8 * libm::exp(3.7e-4 * f64::from(i))
            };
            let (tail, known) = (Tail::beyond(t), mills_defect(-t));
            let worst = [
                ulps(tail.mean, known.mean),
                ulps(tail.variance, known.variance),
                ulps(tail.inverse_mills, inverse_mills(-t)),
            ];
            assert!(worst.iter().all(|u| *u <= 8.0), "t = {t}: {worst:?}");
            if t < 37.0 {
                let power = normal_density(t) * (2.0 * std::f64::consts::PI).sqrt();
                assert!(ulps(tail.power, power) <= 5.0, "t = {t}");
            }
        }
    }
}
