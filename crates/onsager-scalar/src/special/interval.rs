//! The standard normal law cut to an interval.

use super::*;

/// A standard normal variable `z` given `lower < z < upper`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// `ln (Φ(upper) - Φ(lower))`.
    pub log_mass: f64,
    /// `∫ exp((n² - z²)/2) dz` over the interval, `n` its point next to 0: the mass without what
    /// falls like the square of the distance.
    pub integral: f64,
    /// `E z`.
    pub mean: f64,
    /// `E z - lower`, which far in a tail is much less than either.
    pub above: f64,
    /// `upper - E z`.
    pub below: f64,
    /// `Var z`, in `[0, 1]`.
    pub variance: f64,
    /// `1 - Var z`, from a sum of its own where it is small.
    pub deficit: f64,
}

/// Mass and first moments of a standard normal variable in an interval; either end may be infinite.
///
/// Three routes, none of which subtracts numbers that are nearly equal: a Gauss-Legendre sum of
/// positive terms where the density changes by less than `e^6` over less than 2.5 units, the half line
/// ([`half_line`]) without its far part in the tails, and tail masses taken from 1 elsewhere.
///
/// - **Arguments**: `lower <= upper`. Without width the mass is 0 and `z` is its end.
/// - **Accuracy**: 4 ulp of `log_mass`, `variance`, `deficit` and the smaller of `above` and
///   `below`, for exact ends; the rounding of an end moves them by `ε |end|/(upper - lower)`.
///
/// ```
/// use onsager_scalar::special::interval;
/// let far = interval(1e8, 1e8 + 1.0); // an exponential law of mean 1e-8, but for its curvature
/// assert!((far.above * 1e8 - 1.0).abs() < 1e-14);
/// let narrow = interval(0.0, 1e-6); // uniform
/// assert!((narrow.variance * 12e12 - 1.0).abs() < 1e-12);
/// ```
pub fn interval(lower: f64, upper: f64) -> Interval {
    interval_of_width(lower, upper, upper - lower)
}

/// [`interval`] whose width is known better than the difference of its ends.
pub(crate) fn interval_of_width(lower: f64, upper: f64, width: f64) -> Interval {
    if lower + upper < 0.0 {
        // The mirror image leans to the right.
        let mirror = interval_of_width(-upper, -lower, width);
        return Interval {
            mean: -mirror.mean,
            above: mirror.below,
            below: mirror.above,
            ..mirror
        };
    }
    if upper == f64::INFINITY {
        return unbounded(lower);
    }
    let nearest = lower.max(0.0);
    let distance = 0.5 * nearest * nearest + LN_SQRT_2PI;
    match route(lower, width) {
        Route::Sum => {
            let [mass, above, variance, ..] = sums(lower, width);
            let integral = libm::exp(0.5 * (nearest * nearest - lower * lower)) * width * mass;
            Interval {
                log_mass: libm::log(integral) - distance,
                integral,
                mean: lower + above,
                above,
                below: width - above,
                variance,
                deficit: 1.0 - variance,
            }
        }
        Route::Tail => {
            let (half, far) = (unbounded(lower), mills_defect(-upper));
            let share = share(lower, upper, width);
            let beyond = width + far.mean;
            let above = (half.above - share * beyond) / (1.0 - share);
            // Var of the half line = both variances, and the square of the distance of the means.
            let within = (half.variance - share * far.variance) / (1.0 - share);
            let variance = within - share * (beyond - above).powi(2);
            let integral = half.integral * (1.0 - share);
            Interval {
                log_mass: libm::log(integral) - distance,
                integral,
                mean: lower + above,
                above,
                below: width - above,
                variance,
                deficit: 1.0 - variance,
            }
        }
        Route::Middle => {
            let outside = ndtr(lower) + ndtr(-upper);
            let (l, u) = (normal_density(lower), normal_density(upper));
            let mean = (l - u) / (1.0 - outside);
            let deficit = (upper * u - lower * l) / (1.0 - outside) + mean * mean;
            Interval {
                log_mass: libm::log1p(-outside),
                integral: (1.0 - outside) / FRAC_1_SQRT_2PI,
                mean,
                above: mean - lower,
                below: upper - mean,
                variance: 1.0 - deficit,
                deficit,
            }
        }
    }
}

/// Mean and central moments `E (z - E z)^k`, `k = 2, 3, 4`, of a standard normal variable in an
/// interval.
///
/// - **Arguments**: as for [`interval`].
/// - **Accuracy**: 100 ulp of the fourth, and of `Var^(3/2)` for the third, which vanishes
///   in symmetric intervals; the others as for [`interval`].
/// - **Source**: integration by parts, `E z^k = (k-1) E z^(k-2) + (l^(k-1) φ(l) - u^(k-1) φ(u))/mass`,
///   where it does not cancel; derivatives of the variance for a half line.
///
/// ```
/// use onsager_scalar::special::interval_moments;
/// let [mean, variance, third, fourth] = interval_moments(f64::NEG_INFINITY, f64::INFINITY);
/// assert_eq!((mean, variance, third, fourth), (0.0, 1.0, 0.0, 3.0));
/// ```
pub fn interval_moments(lower: f64, upper: f64) -> [f64; 4] {
    if lower + upper < 0.0 {
        let [mean, variance, third, fourth] = interval_moments(-upper, -lower);
        return [-mean, variance, -third, fourth];
    }
    let found = interval(lower, upper);
    let (mean, variance) = (found.mean, found.variance);
    let [third, fourth] = if upper == f64::INFINITY {
        if lower == f64::NEG_INFINITY {
            [0.0, 3.0]
        } else {
            let [_, v, third, fourth] = half_line_cumulants(-lower);
            [third, fourth + 3.0 * v * v]
        }
    } else {
        match route(lower, upper - lower) {
            Route::Sum => {
                let [.., third, fourth] = sums(lower, upper - lower);
                [third, fourth]
            }
            Route::Tail => {
                let share = share(lower, upper, upper - lower);
                let near = raw(half_line_cumulants(-lower));
                let mut far = half_line_cumulants(-upper);
                far[0] += upper - lower;
                let far = raw(far);
                let m = |k: usize| (near[k] - share * far[k]) / (1.0 - share);
                central([m(0), m(1), m(2), m(3)])
            }
            Route::Middle => {
                let mass = 1.0 - ndtr(lower) - ndtr(-upper);
                let (l, u) = (normal_density(lower) / mass, normal_density(upper) / mass);
                let ends = |k: i32| lower.powi(k) * l - upper.powi(k) * u;
                let (first, second) = (ends(0), 1.0 + ends(1));
                central([first, second, 2.0 * first + ends(2), 3.0 * second + ends(3)])
            }
        }
    };
    [mean, variance, third, fourth]
}

enum Route {
    Sum,
    Tail,
    Middle,
}

/// For intervals that lean to the right. Twelve nodes are exact to rounding within the first limits; outside
/// them little of a half line is cut off, and the other routes lose a digit at most.
fn route(lower: f64, width: f64) -> Route {
    if width <= 2.5 && width * (lower + 0.5 * width) <= 6.0 {
        Route::Sum
    } else if lower >= 0.0 {
        Route::Tail
    } else {
        Route::Middle
    }
}

/// The half line `z > lower`.
fn unbounded(lower: f64) -> Interval {
    let HalfLine {
        log_mass,
        inverse_mills,
        moments,
    } = half_line(-lower);
    Interval {
        log_mass,
        integral: if lower < 0.0 {
            libm::exp(log_mass) / FRAC_1_SQRT_2PI
        } else {
            1.0 / inverse_mills
        },
        mean: inverse_mills,
        above: moments.mean,
        below: f64::INFINITY,
        variance: moments.variance,
        // Far from the end nothing is missing; `0 · ∞` must not decide that.
        deficit: if inverse_mills == 0.0 {
            0.0
        } else {
            inverse_mills * moments.mean
        },
    }
}

/// `P(z > upper)/P(z > lower)`, by the ratio of densities and of Mills ratios.
fn share(lower: f64, upper: f64, width: f64) -> f64 {
    let log = -width * (lower + 0.5 * width);
    libm::exp(log) * inverse_mills(-lower) / inverse_mills(-upper)
}

/// `∫ exp(-lower t - t²/2) dt/width` over `0 < t < width`, and mean and central moments of `t`.
fn sums(lower: f64, width: f64) -> [f64; 5] {
    let terms = LEGENDRE.map(|(x, w)| {
        let t = width * x;
        (t, w * libm::exp(-t * (lower + 0.5 * t)))
    });
    let mass: f64 = terms.iter().map(|(_, w)| w).sum();
    let mean = terms.iter().map(|(t, w)| w * t).sum::<f64>() / mass;
    let [mut second, mut third, mut fourth] = [0.0; 3];
    for (t, w) in terms {
        let d = t - mean;
        let square = w * d * d;
        second += square;
        third += square * d;
        fourth += square * d * d;
    }
    [mass, mean, second / mass, third / mass, fourth / mass]
}

/// First four cumulants of `u + z` given that it is positive: each is the derivative of the one
/// before with respect to `u`.
fn half_line_cumulants(u: f64) -> [f64; 4] {
    let TruncatedMoments { mean, variance } = mills_defect(u);
    let (third, fourth) = if u < 0.0 {
        // variance = P(s)/(4 - u)², s as in `mills_defect`, ds/du = 128/(4 - u)².
        let scale = 1.0 / (4.0 - u);
        let place = 4.0 * scale * PIECES as f64;
        let piece = (place as usize).min(PIECES - 1);
        let s = 2.0 * (place - piece as f64) - 1.0;
        let [p, p1, p2] = with_derivatives(&VARIANCE[piece], s);
        let slope = 2.0 * p + 128.0 * scale * p1;
        let bend = scale * (384.0 * p1 + 16384.0 * scale * p2);
        (scale.powi(3) * slope, scale.powi(4) * (3.0 * slope + bend))
    } else {
        let r = inverse_mills(u);
        let (m, n) = (u + r, u + 2.0 * r);
        // R' = -R (u + R) = -R m.
        let (m1, n1) = (1.0 - r * m, 1.0 - 2.0 * r * m);
        let third = r * (m * n - 1.0);
        (third, -m * third + r * (m1 * n + m * n1))
    };
    [mean, variance, third, fourth]
}

/// A polynomial and its first two derivatives.
fn with_derivatives<const N: usize>(coefficients: &[f64; N], s: f64) -> [f64; 3] {
    let [mut p, mut p1, mut p2] = [0.0; 3];
    for c in coefficients.iter().rev() {
        p2 = p2 * s + 2.0 * p1;
        p1 = p1 * s + p;
        p = p * s + c;
    }
    [p, p1, p2]
}

/// Moments about zero from cumulants.
fn raw([m, v, third, fourth]: [f64; 4]) -> [f64; 4] {
    let square = v + m * m;
    [
        m,
        square,
        third + m * (3.0 * v + m * m),
        fourth + 3.0 * v * v + m * (4.0 * third + m * (6.0 * v + m * m)),
    ]
}

/// Third and fourth central moment from moments about any point.
fn central([m, second, third, fourth]: [f64; 4]) -> [f64; 2] {
    [
        third - m * (3.0 * second - 2.0 * m * m),
        fourth - m * (4.0 * third - m * (6.0 * second - 3.0 * m * m)),
    ]
}

/// Nodes and weights of the Gauss-Legendre rule of order 12 on `[0, 1]`.
pub(crate) const LEGENDRE: [(f64, f64); 12] = [
    (0.009219682876640375, 0.023587668193255914),
    (0.04794137181476257, 0.05346966299765921),
    (0.11504866290284765, 0.08003916427167311),
    (0.2063410228566913, 0.10158371336153296),
    (0.3160842505009099, 0.1167462682691774),
    (0.43738329574426554, 0.12457352290670139),
    (0.5626167042557345, 0.12457352290670139),
    (0.6839157494990901, 0.1167462682691774),
    (0.7936589771433087, 0.10158371336153296),
    (0.8849513370971523, 0.08003916427167311),
    (0.9520586281852375, 0.05346966299765921),
    (0.9907803171233597, 0.023587668193255914),
];
