//! Elementary functions without branches or calls, so that loops over them are vectorised.
//!
//! Only sums, products, quotients and selections of each lane by itself: a loop gives the same
//! bits at every width of the machine's vectors, and as one evaluation at a time.

/// `exp(x)` for `x <= 0`; 0 below -708.
///
/// - **Accuracy**: 1 ulp.
#[inline(always)]
pub(crate) fn exp(x: f64) -> f64 {
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
    let value = (1.0 + (r + r * r * p)) * power;
    if x < -708.0 { 0.0 } else { value }
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
        let polynomial = |c: &[f64]| c.iter().rev().fold(0.0, |sum, c| sum * s + c);
        let mean = scale * polynomial(&MEAN);
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
            variance: scale * (scale * polynomial(&VARIANCE)),
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
    use crate::special::{inverse_mills, mills_defect, normal_density};

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
