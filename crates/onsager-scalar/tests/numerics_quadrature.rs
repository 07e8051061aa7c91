//! Quadrature: exactness, honesty of the error, refusal of NaN, agreement of two routes.

use onsager_scalar::quadrature::*;
use onsager_scalar::special::{log_ndtr, log1p_exp, logistic};
use std::f64::consts::PI;

#[test]
fn rules_are_exact_for_their_degree_and_not_beyond() {
    for order in 1..=MAX_ORDER {
        let rule = Rule::new(order).unwrap();
        let moment = |k: i32| -> f64 { rule.pairs().iter().map(|(x, w)| w * x.powi(k)).sum() };
        assert!(rule.pairs().windows(2).all(|p| p[0].0 < p[1].0));
        for k in 0..2 * order as i32 {
            let exact = if k % 2 == 0 {
                2.0 / f64::from(k + 1)
            } else {
                0.0
            };
            let bound = 4.0 * order as f64 * f64::EPSILON;
            assert!(
                (moment(k) - exact).abs() < bound,
                "order {order}, degree {k}"
            );
        }
        if order <= 8 {
            // The defect at degree 2n is (n!)⁴ 2^(2n+1) / ((2n+1) (2n)!²) > 1e-5 here.
            let k = 2 * order as i32;
            assert!((moment(k) - 2.0 / f64::from(k + 1)).abs() > 1e-5);
        }
    }
    assert_eq!(Rule::new(0).unwrap_err(), QuadratureError::Order(0));
    assert_eq!(Rule::new(65).unwrap_err(), QuadratureError::Order(65));
}

#[test]
fn the_estimate_bounds_the_error() {
    let panels = Panels::new([0.0, 1.0]).unwrap();
    type Case = (fn(f64) -> f64, f64);
    let cases: [Case; 4] = [
        (|x| (20.0 * x).cos(), 20f64.sin() / 20.0),
        (|x| 1.0 / (1e-2 + x * x), 10.0 * 10f64.atan()),
        (|x| (x - 0.3).abs(), (0.09 + 0.49) / 2.0),
        (|x| f64::from(u8::from(x > 0.37)), 0.63),
    ];
    for (case, (f, exact)) in cases.into_iter().enumerate() {
        let (mut errors, mut estimates) = (0.0, 0.0);
        for order in 2..=40 {
            let found = integrate(&panels, order, f).unwrap();
            let error = (found.value - exact).abs();
            // From 12 nodes on the smooth cases are resolved, and the error decreases.
            if case < 2 && order >= 12 {
                assert!(
                    error <= found.error,
                    "case {case}, order {order}: {found:?}"
                );
            }
            errors += error;
            estimates += found.error;
        }
        // At a kink or a jump two rules agree now and then by accident, not on average.
        assert!(errors <= estimates, "case {case}: {errors} > {estimates}");
    }
}

#[test]
fn one_node_reports_that_it_knows_no_error() {
    let panels = Panels::new([0.0, 1.0]).unwrap();
    let found = integrate(&panels, 1, |x| x * x).unwrap();
    assert!(found.error >= (found.value - 1.0 / 3.0).abs());
}

#[test]
fn gaussian_moments() {
    let mut exact = 1.0;
    for k in (0..=12).step_by(2) {
        let found = gaussian_average(|z| z.powi(k), &[]).unwrap();
        // The part beyond 9.5 is 2 φ(9.5) 9.5^(k-1) (1 + (k-1)/90 + …).
        let dropped = 4.0 * 1.0e-20 * 9.5f64.powi(k - 1);
        let error = (found.value - exact).abs();
        assert!(
            error <= found.error + dropped,
            "k = {k}: {found:?} against {exact}"
        );
        assert!(found.error <= 1e-13 * exact, "k = {k}: {found:?}");
        exact *= f64::from(k + 1);
    }
}

#[test]
fn several_averages_in_one_pass_equal_the_single_ones() {
    let panels = Panels::gaussian().split_at(0.3);
    let [one, kink, cosine] =
        gaussian_averages(&panels, 16, |z| [1.0, (z - 0.3).abs(), z.cos()]).unwrap();
    assert!((one.value - 1.0).abs() < 4e-16);
    assert!((cosine.value - (-0.5f64).exp()).abs() < 4e-16);
    let density = (-0.045f64).exp() / (2.0 * PI).sqrt();
    let exact = 2.0 * density + 0.3 * (2.0 * log_ndtr(0.3).exp() - 1.0);
    assert!((kink.value - exact).abs() < 1e-15);
    assert_eq!(kink, gaussian_average(|z| (z - 0.3).abs(), &[0.3]).unwrap());
}

#[test]
fn refinement_resolves_a_posterior_that_switches_over_1e_minus_9() {
    // E σ((z - c)/s) → Φ(-c) + s² π²/6 · c φ(c) as s → 0.
    let (c, s) = (1.3, 1e-9);
    let exact = log_ndtr(-c).exp();
    let blind = gaussian_averages(&Panels::gaussian(), 16, |z| [logistic((z - c) / s)]).unwrap();
    assert!((blind[0].value - exact).abs() > 1e-6);
    assert!((blind[0].value - exact).abs() < blind[0].error);
    let panels = Panels::gaussian().refine_towards(c, s).unwrap();
    assert!(panels.edges().len() < 100);
    let sharp = gaussian_averages(&panels, 16, |z| [logistic((z - c) / s)]).unwrap();
    assert!((sharp[0].value - exact).abs() < 2e-16);
    assert!(sharp[0].error < 1e-13);
}

#[test]
fn refined_panels_are_no_wider_than_their_distance() {
    for (point, scale) in [
        (0.0, 1e-3),
        (2.7, 1e-6),
        (-9.5, 1e-8),
        (11.0, 0.5),
        (-4.0, 30.0),
    ] {
        let panels = Panels::gaussian()
            .refine_towards(0.1, 1e-5)
            .and_then(|p| p.refine_towards(point, scale))
            .unwrap();
        assert!(panels.edges().windows(2).all(|e| e[0] < e[1]));
        assert_eq!(panels.hull(), (-9.5, 9.5));
        for (a, b) in panels.iter() {
            let distance = (a - point).max(point - b).max(0.0);
            // Doubling plus the quarter that may be left out on either side.
            assert!(
                b - a <= 1.5 * scale + 2.0 * distance + 1e-15,
                "({a}, {b}) near {point}"
            );
        }
    }
}

#[test]
fn a_value_that_is_not_finite_is_reported_where_it_is_born() {
    let panels = Panels::new([-1.0, 1.0]).unwrap();
    for bad in [f64::NAN, f64::INFINITY] {
        let f = |x: f64| if x > 0.9 { bad } else { x };
        let Err(QuadratureError::NotFinite { at }) = integrate(&panels, 16, f) else {
            panic!("accepted {bad}");
        };
        assert!(at > 0.9);
        let Err(QuadratureError::NotFinite { at }) = adaptive(f, -1.0, 1.0, 1e-9) else {
            panic!("accepted {bad}");
        };
        assert!(at > 0.9);
        assert!(gaussian_average(f, &[]).is_err());
    }
}

#[test]
fn bad_input_is_an_error() {
    assert_eq!(Panels::new([]), Err(QuadratureError::Empty(0)));
    assert_eq!(Panels::new([1.0, 1.0]), Err(QuadratureError::Empty(1)));
    assert!(matches!(
        Panels::new([1.0, f64::NAN]),
        Err(QuadratureError::BreakPoint(_))
    ));
    assert!(Panels::gaussian().refine_towards(0.0, 0.0).is_err());
    assert!(Panels::gaussian().refine_towards(f64::NAN, 1.0).is_err());
    assert!(gaussian_average(|z| z, &[f64::INFINITY]).is_err());
    assert!(adaptive(|x| x, 0.0, f64::INFINITY, 1e-9).is_err());
    assert!(adaptive(|x| x, 0.0, 1.0, 0.0).is_err());
    assert_eq!(
        QuadratureError::Order(0).to_string(),
        "quadrature order must lie in 1..=64, got 0"
    );
}

#[test]
fn the_second_route_finds_what_the_library_misses() {
    // A peak that the first nodes of the double-exponential rule all miss.
    let sigma = 0.01;
    let peak = |x: f64| (-0.5 * ((x - 0.123) / sigma).powi(2)).exp();
    let exact = sigma * (2.0 * PI).sqrt();
    assert!(quadrature::integrate(peak, -10.0, 10.0, 1e-10).integral < 1e-30);
    let found = adaptive(peak, -1.0, 1.0, 1e-10).unwrap();
    assert!((found.value - exact).abs() < 1e-10 * exact, "{found:?}");
    // Kinks and jumps end by bisection, reversed limits change the sign.
    let kink = adaptive(|x: f64| (x - 0.3).abs(), 2.0, -1.0, 1e-12).unwrap();
    assert!((kink.value + (1.69 + 2.89) / 2.0).abs() < 1e-11);
    let jump = adaptive(|x| f64::from(u8::from(x > 0.37)), 0.0, 1.0, 1e-10).unwrap();
    assert!(
        (jump.value - 0.63).abs() <= jump.error.max(1e-10),
        "{jump:?}"
    );
    let one = adaptive(|_| 1.0, 0.0, 1.0, 1e-10).unwrap().value;
    println!("defect of the library's weights {:e}", one - 1.0);
    assert!((one - 1.0).abs() < 1e-13);
    assert_eq!(adaptive(|_| 0.0, 0.0, 1.0, 1e-10).unwrap().value, 0.0);
    assert_eq!(adaptive(|x| x, 2.0, 2.0, 1e-10).unwrap().value, 0.0);
}

#[test]
fn two_routes_agree_on_a_sparse_posterior() {
    // Evidence of a spike of relative precision 1e4 under a Gaussian field.
    let f = |z: f64| log1p_exp(5e3 * z * z - 20.0);
    let panels = [-0.0632, 0.0632]
        .iter()
        .try_fold(Panels::gaussian(), |p, &x| p.refine_towards(x, 1e-3));
    let [found] = gaussian_averages(&panels.unwrap(), 16, |z| [f(z)]).unwrap();
    let density = |z: f64| f(z) * (-0.5 * z * z).exp() / (2.0 * PI).sqrt();
    let second = adaptive(density, -9.5, 9.5, 1e-12).unwrap();
    assert!(
        (found.value - second.value).abs() < 1e-11 * second.value,
        "{found:?} {second:?}"
    );
    assert!((found.value - second.value).abs() < found.error + second.error);
}
