//! Step by step against state evolution, where that is a closed form: linear layers, and fair
//! signs by a sum over a grid.

mod common;

use std::ops::ControlFlow;
use std::sync::Arc;

use common::{draw, layer, mean};
use onsager_amp::{Damping, Iteration, Problem, Settings, Start, infer_observed};
use onsager_model::{Chain, Tree};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::likelihood::Noiseless;
use onsager_scalar::prior::{Gaussian, Rademacher};

const SEEDS: u64 = 12;
const SIZE: usize = 1000;

/// Mean and standard error of claimed errors and overlaps of a variable over seeds, by sweep. All
/// models here leave the sign open.
fn simulate(tree: &Tree, start: &Start, sweeps: usize, name: &str) -> Vec<[(f64, f64); 2]> {
    let settings = |seed| Settings {
        start: start.clone(),
        tolerance: 0.0,
        max_iterations: sweeps,
        damping: Damping::Fixed(1.0),
        seed: onsager_ensembles::Seed(seed),
        ..Settings::default()
    };
    let mut runs = vec![vec![[f64::NAN; 2]; SEEDS as usize]; sweeps + 1];
    for seed in 0..SEEDS {
        let instance = draw(tree, SIZE, seed);
        let problem = Problem::new(tree, &instance).unwrap();
        let truth = instance.truth(tree.variable(name).unwrap()).unwrap();
        let mut observe = |now: &Iteration<'_>| {
            let found = now.posterior(name).unwrap();
            let dot: f64 = found.mean.iter().zip(truth).map(|(v, x)| v * x).sum();
            let overlap = dot.abs() / truth.len() as f64;
            runs[now.record.iteration][seed as usize] = [found.variance.mean(0), overlap];
            ControlFlow::Continue(())
        };
        infer_observed(&problem, &settings(seed), &mut observe).unwrap();
    }
    let of = |run: &[[f64; 2]], i: usize| mean(&run.iter().map(|x| x[i]).collect::<Vec<_>>());
    runs.iter().map(|run| [of(run, 0), of(run, 1)]).collect()
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
    let found = simulate(&tree, &Start::SideInformation { snr }, 6, "x");
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
    let found = simulate(&tree, &Start::Spectral, 4, "x");
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
    let found = simulate(&tree, &Start::SideInformation { snr: 0.2 }, 6, "x");
    let mut q = rademacher(0.2);
    for (t, [claimed, overlap]) in found.into_iter().enumerate() {
        check("claimed", t, claimed, 1.0 - q);
        check("overlap", t, overlap, q);
        q = rademacher(q / noise);
    }
    let found = simulate(&tree, &Start::Spectral, 6, "x");
    q = 1.0 - noise;
    for (t, [claimed, overlap]) in found.into_iter().enumerate() {
        check("claimed from PCA", t, claimed, 1.0 - q);
        check("overlap from PCA", t, overlap, q);
        q = rademacher(q / noise);
    }
}

/// A left factor of independent Gaussian components of mean square `rho`.
fn left(rho: f64) -> Chain {
    Chain::new(Arc::new(Gaussian::new(0.0, rho).unwrap()))
}

#[test]
fn a_spectral_start_of_a_rectangular_matrix_is_at_rest_for_gaussian_factors() {
    let (alpha, beta, rho, noise) = (2.0, 0.5, 2.0, 1.0);
    let tree = layer(alpha, PiecewiseLinear::linear())
        .spiked_wishart(noise, beta, left(rho))
        .unwrap();
    let found = simulate(&tree, &Start::Spectral, 4, "x");
    let mut q = (0.5, 0.5);
    for _ in 0..500 {
        let q_u = rho * rho * q.0 / (noise + rho * q.0);
        q = linear(alpha, beta * q_u / noise, q.1);
    }
    for (t, [claimed, overlap]) in found.into_iter().enumerate() {
        check("claimed", t, claimed, 1.0 - q.0);
        check("overlap", t, overlap, q.0);
    }
}

#[test]
fn singular_vectors_start_what_state_evolution_says_on_both_sides() {
    let (beta, rho, noise) = (2.0, 2.0, 1.5);
    let tree = Chain::new(Arc::new(Rademacher))
        .spiked_wishart(noise, beta, left(rho))
        .unwrap();
    let [x, u] = ["x", "u"].map(|name| simulate(&tree, &Start::Spectral, 5, name));
    // Squared cosines of singular vectors.
    let t = beta * rho / noise;
    let mut q = 1.0 - (beta + t) / (t * (1.0 + t));
    let mut q_u = rho * (1.0 - beta * (1.0 + t) / (t * (beta + t)));
    for (t, ([claimed, overlap], [claimed_u, overlap_u])) in x.into_iter().zip(u).enumerate() {
        check("claimed", t, claimed, 1.0 - q);
        check("overlap", t, overlap, q);
        check("claimed of u", t, claimed_u, rho - q_u);
        check("overlap of u", t, overlap_u, q_u);
        q_u = rho * rho * q / (noise + rho * q);
        q = rademacher(beta * q_u / noise);
    }
}

/// `E f(z)` by the trapezoidal rule, exact to rounding for the functions below.
fn normal(f: impl Fn(f64) -> f64) -> f64 {
    let h = 0.025;
    let node = |i: i32| {
        let z = f64::from(i) * h;
        f(z) * (-0.5 * z * z).exp()
    };
    (-300..=300).map(node).sum::<f64>() * h / (2.0 * std::f64::consts::PI).sqrt()
}

/// The eigenvector of linearised message passing has the overlap and the memory with which the first sweeps
/// of phase retrieval are those of state evolution.
#[test]
fn absolute_values_follow_state_evolution_from_a_spectral_start() {
    let alpha = 1.5;
    let tree = Chain::new(Arc::new(Gaussian::standard()))
        .glm(alpha, Arc::new(Noiseless::new(PiecewiseLinear::abs())))
        .unwrap();
    let found = simulate(&tree, &Start::Spectral, 3, "x");
    // 1 = α (1 - q) E G²/(1 + qG), G = y² - 1.
    let growth = |q: f64| {
        normal(|y| {
            let g = y * y - 1.0;
            g * g / (1.0 + q * g)
        })
    };
    let (mut low, mut high) = (0.0, 0.9);
    for _ in 0..50 {
        let q = 0.5 * (low + high);
        if alpha * (1.0 - q) * growth(q) > 1.0 {
            low = q;
        } else {
            high = q;
        }
    }
    let mut q = low;
    for (t, [claimed, overlap]) in found.into_iter().enumerate() {
        check("claimed", t, claimed, 1.0 - q);
        check("overlap", t, overlap, q);
        // E g² = 1/V - E y² sech²(yω/V)/V².
        let v = 1.0 - q;
        let left = normal(|a| {
            let omega = q.sqrt() * a;
            normal(|b| {
                let y = omega + v.sqrt() * b;
                (y / (y * omega / v).cosh()).powi(2)
            })
        });
        let a = alpha * (1.0 - left / v) / v;
        q = a / (1.0 + a);
    }
}
