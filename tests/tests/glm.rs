//! Generalised linear models: message passing at finite size against state evolution.

use onsager_amp::{Problem, Settings, infer};
use onsager_ensembles::Seed;
use onsager_model::{Activation, Ensemble, Instance, Law, Model, Output, Teacher, Weights};
use onsager_replica::StateEvolution;
use rayon::prelude::*;

const SEED: u64 = 5;

fn sensing(ensemble: Ensemble, aspect: f64) -> Weights {
    Weights::Drawn { ensemble, aspect }
}

/// Mean of an error over instances, with its standard error, and the prediction at the same ratios.
fn errors(model: &Model, p: usize, trials: u64) -> (f64, f64, f64) {
    let tree = model.tree().expect("a model that runs");
    let sizes = tree.sizes(tree.signal_index(), p);
    let tree = tree.realised(&sizes).expect("positive sizes");
    let values: Vec<f64> = (0..trials)
        .into_par_iter()
        .map(|trial| {
            let stream = |purpose: &str| Seed(SEED).stream("glm", p as u64, trial, purpose);
            let instance =
                Instance::draw(&tree, &sizes, stream, Teacher::fixed()).expect("an instance");
            let problem = Problem::new(&tree, &instance).expect("a problem");
            let found = infer(&problem, &Settings::default()).expect("an outcome");
            found.mse.expect("the truth is known")
        })
        .collect();
    let n = values.len() as f64;
    let mean = values.iter().sum::<f64>() / n;
    let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
    let evolution = StateEvolution::new(&tree).expect("a chain");
    let predicted = evolution.predict().expect("a prediction").algorithmic.mmse;
    (mean, (variance / n).sqrt(), predicted)
}

/// Errors of message passing are those of state evolution, up to a bias of order `1/p`, for signals and
/// outputs of every kind; and matrices of one variance are one matrix in the limit.
#[test]
fn errors_are_those_of_state_evolution() {
    let gaussian = || Ensemble::Gaussian;
    let sparse = || Ensemble::Sparse { sparsity: 0.1 };
    let builder = || Model::builder().prior(Law::gaussian());
    let models = [
        (
            "compressed sensing",
            Model::builder().prior(Law::sparse(0.2)).glm(
                sensing(gaussian(), 0.8),
                Activation::Linear,
                0.05,
            ),
        ),
        (
            "signs of a Gaussian signal, binary matrix",
            builder().glm(sensing(Ensemble::Rademacher, 1.5), Activation::Sign, 0.0),
        ),
        (
            "rectified, sparse matrix",
            builder().glm(sensing(sparse(), 1.2), Activation::Relu, 0.0),
        ),
        (
            "clipped measurements of a relu layer",
            builder().layer(2.0, Activation::Relu).glm(
                sensing(gaussian(), 0.7),
                Activation::HardTanh,
                0.02,
            ),
        ),
        (
            "three levels",
            builder().glm(
                sensing(gaussian(), 1.5),
                Output::Quantised {
                    edges: vec![-0.5, 0.5],
                },
                0.0,
            ),
        ),
    ];
    for (name, model) in models {
        let model = model.expect("a model");
        let (mean, error, predicted) = errors(&model, 600, 16);
        // Five standard errors, and a bias of at most 6 ρ/p.
        let allowed = 5.0 * error + 0.01 * predicted.max(0.1);
        assert!(
            (mean - predicted).abs() < allowed,
            "{name}: {mean} ± {error}, predicted {predicted}"
        );
        assert!(
            error < 0.2 * predicted,
            "{name}: {error} sees nothing of {predicted}"
        );
    }
}
