//! Outputs against tables made with many digits, and functions without noise against their inverses.

use onsager_scalar::Likelihood;
use onsager_scalar::activation::{Curve, Erf, Sigmoid, Tanh};
use onsager_scalar::likelihood::{Invertible, Logistic, Poisson};

#[test]
fn outputs_agree_with_the_table() {
    let text = include_str!("../../../tests/reference/scalar_outputs.csv");
    let mut rows = 0;
    for line in text.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let (name, numbers) = line.split_once(',').unwrap();
        let n: Vec<f64> = numbers.split(',').map(|w| w.parse().unwrap()).collect();
        let law: Box<dyn Likelihood> = match name {
            "logistic" => Box::new(Logistic),
            "poisson" => Box::new(Poisson::rectified()),
            "poisson-log" => Box::new(Poisson::exponential()),
            _ => panic!("{name}: no such output"),
        };
        let &[y, omega, v, log, mean, variance, score, curvature] = n.as_slice() else {
            panic!("{line}");
        };
        assert!(law.allows(y));
        let seen = law.observe(y, omega, v);
        let sharpness = score * score + curvature.abs();
        // Rounding of ω enters the score as ω ε/V where the output holds the field.
        let rounding = 4.0 * f64::EPSILON * omega.abs();
        let relative = if name == "logistic" { 1e-12 } else { 1e-11 };
        for (what, found, expected, allowed) in [
            (
                "log-evidence",
                seen.log_evidence,
                log,
                1e-12 * (1.0 + log.abs()),
            ),
            (
                "mean",
                seen.field.mean,
                mean,
                relative * (mean - omega).abs().min(mean.abs() + variance.sqrt()) + rounding,
            ),
            (
                "variance",
                seen.field.variance,
                variance,
                relative * variance,
            ),
            (
                "score",
                seen.score,
                score,
                relative * score.abs() + rounding / v,
            ),
            ("curvature", seen.curvature, curvature, relative * sharpness),
        ] {
            let error = (found - expected).abs();
            assert!(
                error <= allowed,
                "{what} {found}, error {error:e} > {allowed:e}: {line}"
            );
        }
        rows += 1;
    }
    assert!(rows > 100);
}

/// A count of 10^20 tells its field to 10 digits, and a field known to 12 digits tells the score.
#[test]
fn counts_of_any_size_are_good_data() {
    let law = Poisson::exponential();
    let seen = law.observe(1e20, 40.0, 9.0);
    // Posterior of h around ln y: variance 1/y, mean ln y - 1/(2y) + (ω - ln y)/(V y).
    assert!((seen.field.variance * 1e20 - 1.0).abs() < 1e-9);
    let h = 1e20f64.ln();
    assert!((seen.field.mean - h).abs() < 1e-14);
    assert!((seen.score * 9.0 / (h - 40.0) - 1.0).abs() < 1e-12);
    let law = Poisson::rectified();
    let seen = law.observe(1e6, 1e6 + 300.0, 1e-3);
    assert!((seen.score / (1e6 / (1e6 + 300.0) - 1.0) - 1.0).abs() < 1e-8);
}

/// `h`, from `φ(h)`, out to where a value no longer determines it.
#[test]
fn smooth_outputs_without_noise_are_inverted() {
    fn check<C: Curve + Clone>(curve: C, reach: f64) {
        let law = Invertible::new(curve.clone());
        let (omega, v) = (0.3, 2.0);
        for k in -20..=20 {
            let h = reach * f64::from(k) / 20.0;
            let [y, slope, _] = curve.jet(h);
            let seen = law.observe(y, omega, v);
            let error = 4.0 * f64::EPSILON * (h.abs() + y.abs() / slope);
            assert!(
                (seen.field.mean - h).abs() <= error,
                "{law:?} at {h}: {seen:?}"
            );
            let log = -0.5 * ((h - omega).powi(2) / v + (2.0 * std::f64::consts::PI * v).ln());
            let expected = log - slope.ln();
            assert!(
                (seen.log_evidence - expected).abs() < 1e-12 + 20.0 * error,
                "{law:?} at {h}"
            );
            assert_eq!((seen.field.variance, seen.curvature), (0.0, 1.0 / v));
        }
        // Beyond all digits an output tells a half line: what saturates, and what is left of it.
        let (low, high) = curve.range();
        for y in [low, high] {
            let seen = law.observe(y, omega, v);
            assert!(
                law.allows(y) && seen.field.mean.abs() > 5.0,
                "{law:?}: {seen:?}"
            );
            // Up to the last digits that do not saturate.
            assert!((curve.jet(seen.field.mean)[0] - y).abs() <= 2.0 * f64::EPSILON);
            let outside = y + (y - 0.5 * (low + high));
            assert!(!law.allows(outside));
        }
        assert_eq!(law.sharpness(1.0), Some(1.0));
    }
    check(Tanh, 15.0);
    check(Sigmoid, 30.0);
    check(Erf, 4.5);
}

/// `ln φ'` where the slope itself is zero to all digits.
#[test]
fn slopes_are_known_in_logarithms() {
    fn check<C: Curve>(curve: C) {
        for h in [-5.0, -0.3, 0.0, 0.7, 4.0] {
            let expected = curve.jet(h)[1].ln();
            assert!((curve.log_slope(h) - expected).abs() < 1e-13 * (1.0 + expected.abs()));
        }
    }
    check(Tanh);
    check(Sigmoid);
    check(Erf);
    assert!((Tanh.log_slope(500.0) + 1000.0 - 4f64.ln()).abs() < 1e-12);
    assert_eq!(Sigmoid.log_slope(-800.0), -800.0);
    assert!((Erf.log_slope(40.0) + 1600.0).abs() < 1.0);
}
