//! Fixed points against closed forms, identities and a second program.

mod common;

use std::sync::Arc;

use common::{chain, close, predict, wigner};
use onsager_model::Chain;
use onsager_replica::{FixedPoint, Start, StateEvolution, information_at, sweep_noise, trajectory};
use onsager_scalar::activation::{Noisy, Piece, PiecewiseLinear, Sigmoid, Smooth};
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Rademacher};

/// Backward error of fixed points that the crate states, with room for conditioning near 1.
const TIGHT: f64 = 1e-9;

#[test]
fn a_linear_layer_solves_its_quadratic() {
    for alpha in [0.3, 1.0, 2.0, 10.0] {
        let tree = wigner(Gaussian::standard(), &[("linear", alpha)], 1.0);
        for point in sweep_noise(&tree, &[1e-3, 0.1, 0.7, 1.0 + 0.5 * alpha]).unwrap() {
            let f = point.prediction.optimal;
            let (a, v) = (f.overlap / point.value, f.variables["z"].mmse);
            close(a * v * v + (1.0 + alpha * a - a) * v, 1.0, TIGHT);
            close(f.mmse, v / (1.0 + a * v), TIGHT);
        }
    }
}

#[test]
fn linear_models_of_inverse_aspects_are_dual() {
    for (alpha, noise) in [(2.0, 0.4), (5.0, 3.0), (0.5, 1.2)] {
        let one = predict(&wigner(Gaussian::standard(), &[("linear", alpha)], noise));
        let dual = predict(&wigner(
            Gaussian::standard(),
            &[("linear", 1.0 / alpha)],
            noise / alpha,
        ));
        close(one.optimal.mmse, dual.optimal.mmse, TIGHT);
    }
}

#[test]
fn sign_and_relu_agree_with_plain_iteration_in_another_language() {
    let table = include_str!("../../../tests/reference/spiked_wigner.csv");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .skip(2)
        .map(|r| r.split(',').collect())
        .collect();
    assert!(rows.len() >= 12);
    for same in rows.chunk_by(|a, b| a[..2] == b[..2]) {
        let number = |i: usize| same.iter().map(move |r| r[i].parse::<f64>().unwrap());
        let aspects = same[0][1].split('-').map(|a| a.parse::<f64>().unwrap());
        let layers: Vec<_> = same[0][0].split('-').zip(aspects).collect();
        let noises: Vec<f64> = number(2).collect();
        let tree = wigner(Gaussian::standard(), &layers, 1.0);
        let found = sweep_noise(&tree, &noises).unwrap();
        for ((f, mmse), uncertainty) in found.iter().zip(number(3)).zip(number(4)) {
            let algorithmic = f.prediction.algorithmic.mmse;
            close(algorithmic, mmse, 1e-9 * mmse + uncertainty);
        }
    }
}

#[test]
fn the_rademacher_spike_solves_its_scalar_equation() {
    // Trapezoidal rule on an analytic Gaussian integral: error below 1e-15 at this step.
    let q = predict(&wigner(Rademacher, &[], 0.5)).optimal.overlap;
    let a = q / 0.5;
    let h = 0.05;
    let integral: f64 = (-240..=240)
        .map(|i| {
            let z = h * f64::from(i);
            (a + a.sqrt() * z).tanh() * (-0.5 * z * z).exp()
        })
        .sum();
    close(q, integral * h / (2.0 * std::f64::consts::PI).sqrt(), TIGHT);
}

#[test]
fn information_of_a_resolved_discrete_signal_is_its_entropy() {
    let f = predict(&wigner(Rademacher, &[], 1e-2)).optimal;
    close(f.mutual_information.unwrap(), std::f64::consts::LN_2, 1e-9);
}

#[test]
fn relu_is_known_up_to_its_mean_at_infinite_noise() {
    let f = predict(&wigner(Gaussian::standard(), &[("relu", 2.0)], 1e7)).algorithmic;
    // The first correction is of order 1/Δ.
    close(f.mmse, 0.5 * (1.0 - std::f64::consts::FRAC_1_PI), 1e-6);
}

#[test]
fn slope_of_the_information_is_the_matrix_error() {
    for layers in [
        vec![],
        vec![("sign", 2.0)],
        vec![("relu", 1.5)],
        vec![("sign", 1.0), ("linear", 2.0)],
    ] {
        let tree = wigner(Gaussian::standard(), &layers, 0.6);
        let x = 1.0 / 0.6;
        let h = 0.01;
        let noises: Vec<f64> = [-2.0, -1.0, 0.0, 1.0, 2.0]
            .map(|s| 1.0 / (x + s * h))
            .to_vec();
        let found = sweep_noise(&tree, &noises).unwrap();
        let i = |k: usize| found[k].prediction.optimal.mutual_information.unwrap();
        // Five-point rule: truncation h⁴/30 times a fifth derivative of order 1.
        let slope = (i(0) - 8.0 * i(1) + 8.0 * i(3) - i(4)) / (12.0 * h);
        let f = &found[2].prediction.optimal;
        let rho = f.overlap + f.mmse;
        close(slope, 0.25 * (rho * rho - f.overlap * f.overlap), 1e-7);
    }
}

#[test]
fn information_off_the_fixed_points_is_stationary_at_them() {
    let tree = wigner(GaussBernoulli::new(0.05, 0.0, 1.0).unwrap(), &[], 0.004);
    let prediction = predict(&tree);
    assert_eq!(prediction.fixed_points.len(), 3);
    for f in &prediction.fixed_points[1..] {
        let d = 1e-4 * f.overlap;
        let i = information_at(&tree, &[f.overlap - d, f.overlap, f.overlap + d]).unwrap();
        close(i[1], f.mutual_information.unwrap(), 1e-11);
        // The slope times the overlap, against informations of order 0.1.
        close((i[2] - i[0]) / 2e-4, 0.0, 1e-6);
    }
}

#[test]
fn iteration_reaches_the_algorithmic_and_the_greatest_point() {
    let models = [
        wigner(GaussBernoulli::new(0.05, 0.0, 1.0).unwrap(), &[], 0.004),
        wigner(Gaussian::standard(), &[("relu", 2.0)], 0.5),
        wigner(Gaussian::standard(), &[("sign", 1.0), ("relu", 2.0)], 0.3),
    ];
    for tree in &models {
        let prediction = predict(tree);
        let greatest = prediction.fixed_points.last().unwrap().mmse;
        let end = |start| trajectory(tree, &start, 150).unwrap().steps[150].mmse;
        let up = end(Start::SideInformation { snr: 1e-6 });
        close(up, prediction.algorithmic.mmse, 1e-8);
        close(end(Start::Informed), greatest, 1e-8);
    }
}

#[test]
fn a_frozen_latent_below_sign_is_a_stable_point_at_every_noise() {
    let entropy = std::f64::consts::LN_2;
    for noise in [0.05, 0.5, 5.0] {
        let prediction = predict(&wigner(Rademacher, &[("sign", 2.0)], noise));
        let frozen = prediction.fixed_points.last().unwrap();
        assert!(frozen.perfect && frozen.stable && frozen.snr.is_none());
        assert_eq!(frozen.mmse, 0.0);
        close(frozen.mutual_information.unwrap(), 0.5 * entropy, 1e-14);
    }
    // With little noise the frozen point carries less information than any other: optimal.
    assert!(
        predict(&wigner(Rademacher, &[("sign", 2.0)], 0.05))
            .optimal
            .perfect
    );
}

#[test]
fn stable_and_unstable_points_alternate() {
    let tree = wigner(Rademacher, &[("sign", 0.5)], 0.3);
    let stable: Vec<bool> = predict(&tree)
        .fixed_points
        .iter()
        .map(|f| f.stable)
        .collect();
    assert_eq!(stable, [false, true, false, true]);
}

#[test]
fn denoising_has_the_information_of_its_channel() {
    // Linear: I = E ln(1 + A t)/2 over Marchenko-Pastur, whose slope is mmse/2 in A.
    let layers = [("linear", 2.0)];
    let at = |a: f64| {
        let tree = chain(Gaussian::standard(), &layers)
            .denoising(1.0 / a)
            .unwrap();
        predict(&tree).optimal
    };
    let h = 1e-3;
    let slope = (at(2.0 + h).mutual_information.unwrap() - at(2.0 - h).mutual_information.unwrap())
        / (2.0 * h);
    // Truncation h²/6 times a third derivative below 1.
    close(slope, 0.5 * at(2.0).mmse, 2e-7);
}

#[test]
fn errors_name_the_quantity() {
    let tree = wigner(Rademacher, &[], 0.5);
    let chain = StateEvolution::new(&tree).unwrap();
    assert!(chain.curve(Some((2.0, 1.0))).is_err());
    let curve = chain.curve(Some((0.1, 1.0))).unwrap();
    let error = chain.predict_on(&curve, 20.0).unwrap_err();
    assert_eq!(
        error.to_string(),
        "noise must lie in the range of the curve, got 20"
    );
    assert!(information_at(&tree, &[1.5]).is_err());
    assert!(trajectory(&tree, &Start::SideInformation { snr: f64::NAN }, 1).is_err());
}

/// A door much wider than its field is a constant: the signal is noise about it, and its latents stay at
/// their prior, at however many layers' distance.
#[test]
fn a_layer_that_tells_nothing_leaves_the_prior() {
    let door = || Arc::new(PiecewiseLinear::door(40.0).unwrap());
    let noisy = || Arc::new(Noisy::new(door(), 0.1, 1.0).unwrap());
    let prior = || Chain::new(Arc::new(GaussBernoulli::new(0.5, -2.0, 1.0).unwrap()));
    let sigmoid = Arc::new(Smooth::new(Sigmoid));
    let chains = [
        prior().layer(0.1, noisy()),
        prior().layer(2.0, sigmoid).layer(0.7, noisy()),
    ];
    for chain in chains {
        let found = predict(&chain.denoising(2.0).unwrap());
        let [point] = &found.fixed_points[..] else {
            panic!("{found:?}")
        };
        // x = -1 + n with unit noise, seen through a noise of 2.
        close(point.mmse, 2.0 / 3.0, 1e-12);
        close(point.mutual_information.unwrap(), 0.5 * 1.5f64.ln(), 1e-12);
        let latent = &point.variables["z"];
        close(latent.overlap, 1.0, 1e-12);
        close(latent.mmse, 1.5, 1e-12);
    }
}

/// Half of the rows of a relu layer tell a latent of their number no more than its dimension allows: its ratio
/// hardly moves while the noise falls by decades, and the error stays half a component's noise.
#[test]
fn small_noises_are_found_beside_a_latent_that_saturates() {
    for aspect in [0.9, 1.0, 1.1, 1.5] {
        for noise in [1e-8, 1e-6, 1e-4] {
            let chain = chain(Gaussian::standard(), &[("relu", aspect)]);
            let found = predict(&chain.denoising(noise).unwrap());
            assert!((found.optimal.mmse / noise - 0.5).abs() < 0.06, "{found:?}");
        }
    }
}

/// `x -> s x` with `noise -> s⁴ noise` (a matrix), `s² noise` (beside another factor) changes the units alone.
#[test]
fn units_do_not_matter() {
    let sparse = |s: f64| Chain::new(Arc::new(GaussBernoulli::new(0.1, 0.0, s * s).unwrap()));
    let layered = |s: f64| {
        let piece = |lower, upper, slope| Piece {
            lower,
            upper,
            offset: 0.0,
            slope,
        };
        let ends = [(f64::NEG_INFINITY, 0.0, 0.0), (0.0, f64::INFINITY, s)];
        let relu = PiecewiseLinear::new(ends.map(|(a, b, slope)| piece(a, b, slope))).unwrap();
        Chain::new(Arc::new(Gaussian::standard())).layer(1.5, Arc::new(relu))
    };
    let same = |found: &FixedPoint, expected: &FixedPoint, s: f64| {
        close(found.overlap / (s * s), expected.overlap, TIGHT);
        close(found.mmse / (s * s), expected.mmse, TIGHT);
    };
    type Declared<'a> = (&'a dyn Fn(f64) -> Chain, f64);
    let declared: [Declared<'_>; 2] = [(&sparse, 0.1), (&layered, 0.5)];
    for (declare, rho) in declared {
        for noise in [0.3, 1e-2, 1e-6].map(|noise| noise * rho * rho) {
            let matrix = |s: f64| declare(s).spiked_wigner(s.powi(4) * noise).unwrap();
            let beside = |s: f64| {
                let signal = Chain::new(Arc::new(Gaussian::standard()));
                signal
                    .spiked_wishart(s * s * noise / rho, 2.0, declare(s))
                    .unwrap()
            };
            let (one, product) = (predict(&matrix(1.0)), predict(&beside(1.0)));
            for s in [1e-4, 1e3] {
                let found = predict(&matrix(s));
                assert_eq!(found.fixed_points.len(), one.fixed_points.len());
                same(&found.optimal, &one.optimal, s);
                same(&found.algorithmic, &one.algorithmic, s);
                let found = predict(&beside(s));
                assert_eq!(found.fixed_points.len(), product.fixed_points.len());
                same(&found.optimal, &product.optimal, 1.0);
            }
        }
    }
}
