//! Models that the tests share; no test uses all of them.
#![allow(dead_code)]

use std::sync::Arc;

use onsager_model::{Chain, Tree};
use onsager_replica::{Prediction, StateEvolution};
use onsager_scalar::Prior;
use onsager_scalar::activation::PiecewiseLinear;

pub(crate) fn activation(name: &str) -> Arc<PiecewiseLinear> {
    Arc::new(match name {
        "linear" => PiecewiseLinear::linear(),
        "sign" => PiecewiseLinear::sign(),
        "relu" => PiecewiseLinear::relu(),
        other => panic!("no activation {other}"),
    })
}

pub(crate) fn chain(prior: impl Prior + 'static, layers: &[(&str, f64)]) -> Chain {
    layers
        .iter()
        .fold(Chain::new(Arc::new(prior)), |c, (name, aspect)| {
            c.layer(*aspect, activation(name))
        })
}

pub(crate) fn predict(tree: &Tree) -> Prediction {
    StateEvolution::new(tree).unwrap().predict().unwrap()
}

pub(crate) fn wigner(prior: impl Prior + 'static, layers: &[(&str, f64)], noise: f64) -> Tree {
    chain(prior, layers).spiked_wigner(noise).unwrap()
}

pub(crate) fn close(a: f64, b: f64, tolerance: f64) {
    assert!(
        (a - b).abs() <= tolerance,
        "{a} against {b}, differ by {:e}",
        a - b
    );
}
