//! Roots, thresholds and minima, including what the library behind them gets wrong.

use onsager_scalar::roots::*;
use std::cell::RefCell;

#[test]
fn a_small_function_does_not_return_the_end_of_the_bracket() {
    // One absolute tolerance for x and f made Brent's method return 1 here.
    let f = |x: f64| 1e-9 * (x - 0.3);
    let quirk = roots::find_root_brent(
        0.0,
        1.0,
        f,
        &mut roots::SimpleConvergency {
            eps: 1e-9,
            max_iter: 100,
        },
    );
    assert_eq!(quirk, Ok(1.0));
    for scale in [1e-300, 1e-160, 1e-9, 1.0, 1e300] {
        let root = bracketed_root(|x| scale * (x - 0.3), 0.0, 1.0, 1e-12).unwrap();
        assert!((root.x - 0.3).abs() < 2e-12, "{scale}: {root:?}");
        assert_eq!(root.residual, scale * (root.x - 0.3));
    }
}

#[test]
fn no_point_is_evaluated_twice() {
    let seen = RefCell::new(Vec::new());
    let root = bracketed_root(
        |x: f64| {
            seen.borrow_mut().push(x.to_bits());
            x.powi(3) - 2.0 * x - 5.0
        },
        2.0,
        3.0,
        1e-14,
    )
    .unwrap();
    let mut points = seen.into_inner();
    assert_eq!(points.len(), root.evaluations);
    assert!(root.evaluations <= 12, "{root:?}");
    points.sort_unstable();
    points.dedup();
    assert_eq!(points.len(), root.evaluations);
    // Wallis's cubic, to 16 digits.
    assert!((root.x - 2.094_551_481_542_326_5).abs() < 1e-13);
}

#[test]
fn steps_and_flat_zeros_are_bracketed() {
    let step = bracketed_root(|x| if x < 0.123 { -1.0 } else { 1.0 }, 0.0, 1.0, 1e-12).unwrap();
    assert!((step.x - 0.123).abs() < 2e-12, "{step:?}");
    let flat = bracketed_root(|x: f64| (x - 0.7).powi(9), 0.0, 1.0, 1e-10).unwrap();
    // Below |x - 0.7| = 1e-36 the ninth power underflows; the tolerance is far above.
    assert!((flat.x - 0.7).abs() < 2e-10, "{flat:?}");
    let origin = bracketed_root(|x: f64| x.powi(3) + x * 1e-3, -1.0, 2.0, 1e-12).unwrap();
    assert!(origin.x.abs() < 2e-12, "{origin:?}");
}

#[test]
fn ends_that_are_roots_and_reversed_ends() {
    assert_eq!(bracketed_root(|x| x, 0.0, 1.0, 1e-9).unwrap().x, 0.0);
    assert_eq!(bracketed_root(|x| x - 1.0, 0.0, 1.0, 1e-9).unwrap().x, 1.0);
    let root = bracketed_root(|x| x - 0.25, 1.0, 0.0, 1e-9).unwrap();
    assert!((root.x - 0.25).abs() < 1e-9);
}

#[test]
fn bad_input_is_an_error() {
    let no_bracket = bracketed_root(|x| x + 2.0, 0.0, 1.0, 1e-9);
    assert!(matches!(no_bracket, Err(RootError::NoBracket { .. })));
    let nan = bracketed_root(
        |x| if x == 0.5 { f64::NAN } else { x - 0.5 },
        0.0,
        1.0,
        1e-9,
    );
    assert!(
        matches!(nan, Err(RootError::NotFinite { at: 0.5, .. })),
        "{nan:?}"
    );
    assert!(bracketed_root(|x| x, f64::NEG_INFINITY, 1.0, 1e-9).is_err());
    assert!(bracketed_root(|x| x, 1.0, 1.0, 1e-9).is_err());
    assert!(bracketed_root(|x| x, -1.0, 1.0, -1e-9).is_err());
    assert!(bracketed_root(|x| x, -1.0, 1.0, f64::NAN).is_err());
    assert!(expand_bracket(|x| x, 0.0, (1e-3, 1e3)).is_err());
    assert!(bracketed_minimum(|_| f64::NAN, 0.0, 1.0, 1e-6).is_err());
}

#[test]
fn expansion_finds_roots_over_many_decades() {
    for root in [3e-40, 1e-3, 0.99, 1.01, 7e55] {
        for start in [1.0, 1e-5, 40.0] {
            let f = |x: f64| (x / root).ln().tanh();
            let (a, b) = expand_bracket(f, start, (1e-60, 1e60)).unwrap();
            assert!(a <= root && root <= b, "{root} from {start}: ({a}, {b})");
            let found = bracketed_root(
                f,
                a,
                b,
                Tolerance {
                    relative: 1e-12,
                    absolute: 0.0,
                },
            )
            .unwrap();
            assert!((found.x / root - 1.0).abs() < 2e-12, "{root}: {found:?}");
        }
    }
    let none = expand_bracket(|x| 1.0 + x, 1.0, (1e-9, 1e9));
    assert!(matches!(none, Err(RootError::NoBracket { .. })));
}

#[test]
fn thresholds_are_bisected_from_either_side() {
    let (yes, no) = threshold(|x| x < 0.618, 0.0, 1.0, 1e-10).unwrap();
    assert!(yes < 0.618 && 0.618 <= no && no - yes < 2e-10);
    let (yes, no) = threshold(|x| x > 0.618, 1.0, 0.0, 1e-10).unwrap();
    assert!(no <= 0.618 && 0.618 < yes && yes - no < 2e-10);
}

#[test]
fn minima() {
    let f = |x: f64| (x - 1.7).powi(2) + 0.3 * (x - 1.7).powi(3) + 5.0;
    let found = bracketed_minimum(f, 0.0, 3.0, 1e-9).unwrap();
    assert!((found.x - 1.7).abs() < 1e-7, "{found:?}");
    assert!(
        (found.value - 5.0).abs() < 1e-14 && found.evaluations < 40,
        "{found:?}"
    );
    let kink = bracketed_minimum(|x: f64| (x - 0.2).abs(), -1.0, 1.0, 1e-9).unwrap();
    assert!((kink.x - 0.2).abs() < 1e-8, "{kink:?}");
    let end = bracketed_minimum(|x| x, 2.0, 3.0, 1e-9).unwrap();
    assert!(end.x > 2.0 && end.x < 2.0 + 1e-7, "{end:?}");
    let quartic = bracketed_minimum(|x: f64| x.powi(4), -1.0, 3.0, 1e-6).unwrap();
    assert!(
        quartic.x.abs() < 1e-3 && quartic.value < 1e-12,
        "{quartic:?}"
    );
}
