//! What message passing claims to have achieved is what it did achieve.
//!
//! Agreement with state evolution holds for any denoiser; that claimed and true errors are equal does
//! not: it is the mark of the Bayes-optimal one.

use std::sync::Arc;

use onsager_amp::{Problem, Settings, Start, infer};
use onsager_ensembles::Seed;
use onsager_model::{Chain, Instance, Teacher, Tree};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Rademacher};
use rayon::prelude::*;

const SEED: u64 = 3;

/// Mean of true - claimed over instances at one size, with its standard error.
fn surplus(name: &str, tree: &Tree, p: usize, trials: u64) -> (f64, f64) {
    let sizes = tree.sizes(tree.signal_index(), p);
    let tree = tree.realised(&sizes).expect("positive sizes");
    let values: Vec<f64> = (0..trials)
        .into_par_iter()
        .map(|trial| {
            let stream = |purpose: &str| Seed(SEED).stream(name, p as u64, trial, purpose);
            let instance =
                Instance::draw(&tree, &sizes, stream, Teacher::fixed()).expect("an instance");
            // The posterior knows the truth only through the data; the start only saves time.
            let settings = Settings {
                start: Start::Informed,
                ..Settings::default()
            };
            let problem = Problem::new(&tree, &instance).expect("a problem");
            let found = infer(&problem, &settings).expect("an outcome");
            // Small systems may keep turning in tiny circles; far below the error bars is at rest.
            assert!(
                found.residual < 1e-6,
                "{name}, p = {p}, trial {trial}: residual {} after {} sweeps, damped from {:?}",
                found.residual,
                found.iterations,
                found.first_damped
            );
            let mse = found.mse.expect("the truth is known");
            mse - found.claimed_mse
        })
        .collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (variance / n).sqrt())
}

#[test]
fn claimed_error_is_true_error() {
    let gaussian = || Chain::new(Arc::new(Gaussian::standard()));
    let families: [(&str, Chain, f64); 6] = [
        ("gaussian", gaussian(), 0.4),
        ("rademacher", Chain::new(Arc::new(Rademacher)), 0.4),
        (
            "sparse",
            Chain::new(Arc::new(GaussBernoulli::new(0.3, 0.0, 1.0).expect("a law"))),
            0.02,
        ),
        (
            "linear",
            gaussian().layer(1.5, Arc::new(PiecewiseLinear::linear())),
            0.6,
        ),
        (
            "sign",
            gaussian().layer(1.5, Arc::new(PiecewiseLinear::sign())),
            0.4,
        ),
        (
            "relu of relu",
            gaussian()
                .layer(1.5, Arc::new(PiecewiseLinear::relu()))
                .layer(1.5, Arc::new(PiecewiseLinear::relu())),
            0.05,
        ),
    ];
    for (name, chain, noise) in families {
        let tree = chain.spiked_wigner(noise).expect("a valid model");
        let (half, half_error) = surplus(name, &tree, 200, 160);
        let (full, full_error) = surplus(name, &tree, 400, 80);
        // E(true - claimed) = c/p + o(1/p): the difference at p = 400 is half of that at 200.
        let error = full_error.hypot(0.5 * half_error);
        assert!(
            (full - 0.5 * half).abs() <= 5.0 * error,
            "{name}: true - claimed is {full} ± {full_error} at p = 400, {half} ± {half_error} \
             at p = 200, seed {SEED}"
        );
        // And it is small: a claim off by 10 percent of the prior variance would be seen.
        let rho = tree.signal().second_moment;
        assert!(
            full.abs() + 5.0 * full_error <= 0.1 * rho,
            "{name}: {full} ± {full_error}"
        );
    }
}
