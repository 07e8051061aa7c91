//! Special functions against 25-digit tables made with mpmath.

use onsager_scalar::special::*;
use proptest::prelude::*;

fn table(name: &str) -> Vec<Vec<f64>> {
    let path = format!(
        "{}/../../tests/reference/scalar_{name}.csv",
        env!("CARGO_MANIFEST_DIR")
    );
    let text = std::fs::read_to_string(&path).unwrap();
    let rows: Vec<Vec<f64>> = text
        .lines()
        .filter(|line| !line.starts_with('#'))
        .skip(1)
        .map(|line| line.split(',').map(|word| word.parse().unwrap()).collect())
        .collect();
    assert!(rows.len() > 400, "{path} has only {} rows", rows.len());
    rows
}

/// Largest error in ulp of column `column`, with the place where it occurs.
fn worst(name: &str, column: usize, f: impl Fn(f64) -> f64) -> (f64, f64) {
    let mut worst = (0.0, f64::NAN);
    for row in table(name) {
        let (x, exact) = (row[0], row[column]);
        let found = f(x);
        assert!(found.is_finite(), "{name}({x}) = {found}");
        // Below the normal range the last place no longer shrinks.
        let ulp = f64::EPSILON * exact.abs().max(f64::MIN_POSITIVE);
        let error = (found - exact).abs() / ulp;
        if error > worst.0 {
            worst = (error, x);
        }
    }
    println!("{name} column {column}: {:.2} ulp at {}", worst.0, worst.1);
    worst
}

fn check(name: &str, column: usize, bound: f64, f: impl Fn(f64) -> f64) {
    let (error, x) = worst(name, column, f);
    assert!(
        error <= bound,
        "{name}, column {column}: {error} ulp at {x}"
    );
}

#[test]
fn normal_distribution() {
    check("ndtr", 1, 4.0, ndtr);
    check("log_ndtr", 1, 4.0, log_ndtr);
}

#[test]
fn truncated_normal() {
    check("truncated_normal", 1, 4.0, inverse_mills);
    check("truncated_normal", 2, 4.0, |u| mills_defect(u).mean);
    check("truncated_normal", 3, 4.0, |u| mills_defect(u).variance);
}

/// Every number of an interval within four roundings, third (which may vanish by symmetry) and
/// fourth moments within a hundred.
#[test]
fn intervals() {
    let mut worst = [(0.0, 0.0, 0.0); 8];
    let text = include_str!("../../../tests/reference/scalar_interval.csv");
    let rows = text.lines().filter(|l| !l.starts_with('#')).skip(1);
    for line in rows {
        let row: Vec<f64> = line.split(',').map(|w| w.parse().unwrap()).collect();
        let (found, [mean, variance, third, fourth]) =
            (interval(row[0], row[1]), interval_moments(row[0], row[1]));
        assert_eq!((mean, variance), (found.mean, found.variance));
        let exact = &row[2..];
        let relative = |x: f64, y: f64| if x == y { 0.0 } else { (x - y).abs() / y.abs() };
        let nearer = |x: f64, y: f64, other: f64| if y > other { 0.0 } else { relative(x, y) };
        let errors = [
            // What is missing from 1 lies below the 250 digits of the table.
            if exact[0].abs() < 1e-200 {
                found.log_mass.abs()
            } else {
                relative(found.log_mass, exact[0])
            },
            // The mean of a wide interval nearly cancels.
            (found.mean - exact[1]).abs() / exact[1].abs().max(exact[4].sqrt()),
            nearer(found.above, exact[2], exact[3]),
            nearer(found.below, exact[3], exact[2]),
            relative(found.variance, exact[4]),
            relative(found.deficit, exact[5]),
            (third - exact[6]).abs() / exact[4].powf(1.5),
            relative(fourth, exact[7]),
        ];
        for (w, e) in worst.iter_mut().zip(errors) {
            if e.is_nan() || e > w.0 {
                *w = (e, row[0], row[1]);
            }
        }
    }
    for (k, (error, lower, upper)) in worst.into_iter().enumerate() {
        let bound = f64::EPSILON * if k < 6 { 4.0 } else { 100.0 };
        assert!(
            error <= bound, // never for NaN
            "column {k}: {error:e} in ({lower}, {upper})"
        );
    }
}

#[test]
fn scaled_functions() {
    let mut worst = [(0.0, 0.0); 4];
    let text = include_str!("../../../tests/reference/scalar_scaled.csv");
    for line in text.lines().filter(|l| !l.starts_with('#')).skip(1) {
        let row: Vec<f64> = line.split(',').map(|w| w.parse().unwrap()).collect();
        let x = row[0];
        let found = [erfcx(x), i0e(x), i1e(x), bessel_ratio(x)];
        for (k, (found, exact)) in found.into_iter().zip(&row[1..]).enumerate() {
            let size = if k == 0 && x < -1.0 { 1.0 + x * x } else { 1.0 };
            let error = (found - exact).abs() / (f64::EPSILON * exact.abs().max(f64::MIN_POSITIVE));
            if error.is_nan() || error / size > worst[k].0 {
                worst[k] = (error / size, x);
            }
        }
    }
    println!("{worst:?}");
    for ((error, x), bound) in worst.into_iter().zip([4.0, 8.0, 8.0, 8.0]) {
        assert!(error <= bound, "{error} ulp at {x}");
    }
    assert!(erfcx(-30.0) == f64::INFINITY && erfcx(f64::INFINITY) == 0.0);
    for f in [erfcx, i0e, i1e, bessel_ratio] {
        assert!(f(f64::NAN).is_nan());
    }
}

#[test]
fn intervals_have_limits() {
    let inf = f64::INFINITY;
    let all = interval(-inf, inf);
    assert_eq!(
        (all.log_mass, all.mean, all.variance, all.deficit),
        (0.0, 0.0, 1.0, 0.0)
    );
    let none = interval(2.0, 2.0);
    assert_eq!((none.log_mass, none.mean, none.variance), (-inf, 2.0, 0.0));
    let gone = interval(1e200, 2e200);
    assert_eq!((gone.log_mass, gone.mean), (-inf, 1e200));
    for x in [f64::NAN, 0.0] {
        assert!(interval(x, f64::NAN).mean.is_nan() && interval(f64::NAN, x).mean.is_nan());
    }
}

#[test]
fn logistic_family() {
    check("logistic", 1, 4.0, log1p_exp);
    check("logistic", 2, 4.0, logistic);
    check("logistic", 3, 4.0, log_cosh);
    check("logistic", 4, 4.0, sech2);
}

#[test]
fn limits_at_infinity() {
    let inf = f64::INFINITY;
    assert_eq!((ndtr(-inf), ndtr(inf)), (0.0, 1.0));
    assert_eq!((log_ndtr(-inf), log_ndtr(inf)), (-inf, 0.0));
    assert_eq!((inverse_mills(-inf), inverse_mills(inf)), (inf, 0.0));
    let (low, high) = (mills_defect(-inf), mills_defect(inf));
    assert_eq!((low.mean, low.variance), (0.0, 0.0));
    assert_eq!((high.mean, high.variance), (inf, 1.0));
    assert_eq!((log1p_exp(-inf), log1p_exp(inf)), (0.0, inf));
    assert_eq!((logistic(-inf), logistic(inf)), (0.0, 1.0));
    assert_eq!((log_cosh(-inf), sech2(-inf)), (inf, 0.0));
    assert_eq!(log_add_exp(-inf, -inf), -inf);
    assert_eq!(log_add_exp(inf, inf), inf);
    assert_eq!(log_add_exp(-inf, 1.5), 1.5);
    assert_eq!(log_add_exp(inf, -inf), inf);
}

#[test]
fn nan_propagates() {
    let nan = f64::NAN;
    for f in [
        ndtr,
        log_ndtr,
        inverse_mills,
        normal_density,
        log1p_exp,
        logistic,
        log_cosh,
        sech2,
    ] {
        assert!(f(nan).is_nan());
    }
    assert!(mills_defect(nan).mean.is_nan());
    assert!(mills_defect(nan).variance.is_nan());
    assert!(log_add_exp(nan, 0.0).is_nan() && log_add_exp(0.0, nan).is_nan());
}

/// `R' = -R (u + R)` and `(ln Φ)' = R` tie the functions together between table points.
#[test]
fn truncated_moments_are_derivatives_of_log_ndtr() {
    let h = 1e-4;
    for k in -400..400 {
        let u = 0.05 * f64::from(k) + 0.013;
        let slope = (mills_defect(u + h).mean - mills_defect(u - h).mean) / (2.0 * h);
        // Third derivative below 2, rounding 1e-16 max(1, u)/h.
        let bound = h * h + 2e-16 * u.abs().max(1.0) / h;
        let moments = mills_defect(u);
        assert!((slope - moments.variance).abs() < bound, "u = {u}");
        // Second route to R, by the scaled error function.
        let second = (2.0 / std::f64::consts::PI).sqrt() / puruspe::erfcx(-u / 2f64.sqrt());
        if u < 0.0 {
            let relative = inverse_mills(u) / second - 1.0;
            assert!(relative.abs() < 8.0 * f64::EPSILON, "u = {u}");
        }
    }
}

#[test]
fn log_add_exp_is_symmetric_and_exact_on_integers() {
    for (a, b) in [(0.0, 0.0), (1.0, -3.0), (-700.0, -701.0), (800.0, 799.0)] {
        let sum = log_add_exp(a, b);
        assert_eq!(sum, log_add_exp(b, a));
        let (high, low): (f64, f64) = (f64::max(a, b), f64::min(a, b));
        let direct = high + (1.0 + (low - high).exp()).ln();
        assert!((sum - direct).abs() <= 2.0 * f64::EPSILON * high.abs().max(1.0));
    }
}

#[test]
fn the_density_is_the_inverse_mills_ratio_times_the_distribution() {
    for row in table("ndtr") {
        let (x, density) = (row[0], normal_density(row[0]));
        // Three functions of at most 4 ulp each; the grid ends before they are subnormal.
        let error = inverse_mills(x) * row[1] / density - 1.0;
        assert!(error.abs() <= 8.0 * f64::EPSILON, "x = {x}: {error:e}");
    }
}

proptest! {
    #[test]
    fn every_double_gives_a_value_in_range(x in any::<f64>().prop_filter("a number", |x| !x.is_nan())) {
        prop_assert!((0.0..=1.0).contains(&ndtr(x)));
        prop_assert!((0.0..=1.0).contains(&logistic(x)));
        // Rounding may pass 1 by the stated accuracy where the function touches it.
        prop_assert!((0.0..=1.0 + 4.0 * f64::EPSILON).contains(&sech2(x)));
        prop_assert!(log_ndtr(x) <= 0.0);
        prop_assert!(inverse_mills(x) >= (-x).max(0.0));
        prop_assert!(log1p_exp(x) >= x.max(0.0));
        prop_assert!(log_cosh(x) >= 0.0);
        let TruncatedMoments { mean, variance } = mills_defect(x);
        prop_assert!(mean >= x.max(0.0) && (0.0..=1.0).contains(&variance));
    }
}

#[test]
fn one_evaluation_of_a_half_line_equals_the_three_functions() {
    use onsager_scalar::special::{half_line, inverse_mills, log_ndtr, mills_defect};
    // 6 ulp of the one and 4 of the other.
    let close = |a: f64, b: f64| (a - b).abs() <= 10.0 * f64::EPSILON * b.abs();
    for i in -4000..=4000 {
        let u = f64::from(i) * 0.01;
        let (half, moments) = (half_line(u), mills_defect(u));
        assert!(close(half.log_mass, log_ndtr(u)), "ln mass at {u}");
        assert!(close(half.inverse_mills, inverse_mills(u)), "R at {u}");
        assert!(close(half.moments.mean, moments.mean), "mean at {u}");
        assert!(
            close(half.moments.variance, moments.variance),
            "variance at {u}"
        );
    }
}
