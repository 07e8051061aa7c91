//! Step by step against state evolution, where that is a closed form: linear layers, and fair
//! signs by a sum over a grid.

mod common;

use std::sync::Arc;

use common::{layer, mean, problem};
use onsager_amp::{Damping, Settings, Start, infer};
use onsager_model::{Chain, Tree};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::Rademacher;

const SEEDS: u64 = 12;
const SIZE: usize = 1000;

/// Mean and standard error of claimed errors and overlaps over seeds, by sweep.
fn simulate(tree: &Tree, start: &Start, sweeps: usize) -> Vec<[(f64, f64); 2]> {
    let settings = |seed| Settings {
        start: start.clone(),
        tolerance: 0.0,
        max_iterations: sweeps,
        damping: Damping::Fixed(1.0),
        seed: onsager_ensembles::Seed(seed),
        ..Settings::default()
    };
    let runs: Vec<_> = (0..SEEDS)
        .map(|seed| {
            infer(&problem(tree, SIZE, seed), &settings(seed))
                .unwrap()
                .trace
        })
        .collect();
    (0..=sweeps)
        .map(|t| {
            let claimed: Vec<f64> = runs.iter().map(|r| r[t].claimed_mse).collect();
            let overlap: Vec<f64> = runs.iter().map(|r| r[t].overlap.unwrap()).collect();
            [mean(&claimed), mean(&overlap)]
        })
        .collect()
}

/// Within five standard errors and a bias of `5/p`.
fn check(name: &str, t: usize, (found, error): (f64, f64), expected: f64) {
    let allowed = 5.0 * error + 5.0 / SIZE as f64;
    let difference = found - expected;
    assert!(
        difference.abs() <= allowed,
        "{name} at {t}: {found} ± {error}, {expected}"
    );
}

/// One sweep of a linear layer under precision `a`: overlaps of the signal and of the latent.
fn linear(alpha: f64, a: f64, q_z: f64) -> (f64, f64) {
    let v = 1.0 - q_z;
    let lambda = alpha * a / (1.0 + a * v);
    (1.0 - v / (1.0 + a * v), lambda / (1.0 + lambda))
}

#[test]
fn side_information_follows_state_evolution_through_a_linear_layer() {
    let (alpha, noise, snr) = (2.0, 1.0, 0.3);
    let tree = layer(alpha, PiecewiseLinear::linear())
        .spiked_wigner(noise)
        .unwrap();
    let found = simulate(&tree, &Start::SideInformation { snr }, 6);
    let mut q = (0.0, 0.0);
    for _ in 0..200 {
        q = linear(alpha, snr, q.1);
    }
    for (t, [claimed, overlap]) in found.into_iter().enumerate() {
        check("claimed", t, claimed, 1.0 - q.0);
        check("overlap", t, overlap, q.0);
        q = linear(alpha, q.0 / noise, q.1);
    }
}

#[test]
fn a_spectral_start_is_at_rest_for_a_linear_prior() {
    let (alpha, noise) = (2.0, 1.0);
    let tree = layer(alpha, PiecewiseLinear::linear())
        .spiked_wigner(noise)
        .unwrap();
    let found = simulate(&tree, &Start::Spectral, 4);
    let mut q = (0.5, 0.5);
    for _ in 0..500 {
        q = linear(alpha, q.0 / noise, q.1);
    }
    for (t, [claimed, overlap]) in found.into_iter().enumerate() {
        check("claimed", t, claimed, 1.0 - q.0);
        check("overlap", t, overlap, q.0);
    }
}

/// `E tanh(a + √a z)`.
fn rademacher(a: f64) -> f64 {
    // The trapezoidal rule on [-9, 9] is exact to rounding for analytic integrands of this width.
    let h = 0.02;
    let node = |i: i32| {
        let z = f64::from(i) * h;
        (a + a.sqrt() * z).tanh() * (-0.5 * z * z).exp()
    };
    (-450..=450).map(node).sum::<f64>() * h / (2.0 * std::f64::consts::PI).sqrt()
}

#[test]
fn fair_signs_follow_state_evolution_from_side_information_and_pca() {
    let noise = 0.6;
    let tree = Chain::new(Arc::new(Rademacher))
        .spiked_wigner(noise)
        .unwrap();
    let found = simulate(&tree, &Start::SideInformation { snr: 0.2 }, 6);
    let mut q = rademacher(0.2);
    for (t, [claimed, overlap]) in found.into_iter().enumerate() {
        check("claimed", t, claimed, 1.0 - q);
        check("overlap", t, overlap, q);
        q = rademacher(q / noise);
    }
    let found = simulate(&tree, &Start::Spectral, 6);
    q = 1.0 - noise;
    for (t, [claimed, overlap]) in found.into_iter().enumerate() {
        check("claimed from PCA", t, claimed, 1.0 - q);
        check("overlap from PCA", t, overlap, q);
        q = rademacher(q / noise);
    }
}
