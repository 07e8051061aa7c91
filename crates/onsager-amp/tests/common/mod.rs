//! Models and instances shared by the tests.
#![allow(dead_code)]

use std::sync::Arc;

use onsager_amp::Problem;
use onsager_ensembles::Seed;
use onsager_model::{Chain, Instance, Teacher, Tree};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::Gaussian;

/// One layer on a standard Gaussian latent.
pub(crate) fn layer(aspect: f64, activation: PiecewiseLinear) -> Chain {
    Chain::new(Arc::new(Gaussian::standard())).layer(aspect, Arc::new(activation))
}

/// An instance with a signal of `p` components.
pub(crate) fn draw(tree: &Tree, p: usize, seed: u64) -> Instance {
    let sizes = tree.sizes(tree.signal_index(), p);
    let stream = |purpose: &str| Seed(seed).stream("amp tests", p as u64, 0, purpose);
    Instance::draw(tree, &sizes, stream, Teacher::fixed()).unwrap()
}

/// The problem of that instance.
pub(crate) fn problem(tree: &Tree, p: usize, seed: u64) -> Problem {
    Problem::new(tree, &draw(tree, p, seed)).unwrap()
}

/// Mean and standard error.
pub(crate) fn mean(x: &[f64]) -> (f64, f64) {
    let n = x.len() as f64;
    let mean = x.iter().sum::<f64>() / n;
    let square = x.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / (n - 1.0);
    (mean, (square / n).sqrt())
}
