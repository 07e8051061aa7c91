//! The frozen branch by plain iteration, from a discrete variable known up to a small error.

mod common;

use std::collections::BTreeMap;

use common::{predict, wigner};
use onsager_replica::{Start, trajectory};
use onsager_scalar::Prior;
use onsager_scalar::prior::{Gaussian, Rademacher};

/// Error of the latent after iterating from a relative error of `error` everywhere.
fn iterated(prior: impl Prior + 'static, layers: &[(&str, f64)], noise: f64, error: f64) -> f64 {
    let tree = wigner(prior, layers, noise);
    let declared = tree.variables().iter().filter(|v| !v.is_field);
    let known: BTreeMap<String, f64> = declared
        .map(|v| (v.name.clone(), v.second_moment * (1.0 - error)))
        .collect();
    let run = trajectory(&tree, &Start::Overlaps(known), 8).unwrap();
    1.0 - run.steps[8].variables["z"].truth
}

#[test]
fn a_jump_freezes_a_discrete_variable_through_continuous_layers() {
    // The message grows like V^(-1/2), a linear or relu layer passes a share of it on, and the
    // error of the latent falls exponentially in it: smaller than V once V is small.
    for layers in [
        vec![("sign", 2.0)],
        vec![("linear", 1.0), ("sign", 2.0)],
        vec![("relu", 2.0), ("sign", 2.0)],
    ] {
        for noise in [0.1, 10.0] {
            let end = iterated(Rademacher, &layers, noise, 1e-8);
            assert!(end < 1e-14, "{layers:?} at {noise}: {end:e}");
        }
    }
    let layers = [("linear", 1.0), ("sign", 2.0)];
    let frozen = predict(&wigner(Rademacher, &layers, 1.0));
    assert!(frozen.fixed_points.last().unwrap().perfect);
}

#[test]
fn nothing_freezes_without_a_jump_above_a_discrete_variable() {
    // Continuous above: the message stays finite. Continuous below: V falls like its own root.
    for layers in [vec![("linear", 2.0)], vec![("linear", 1.0), ("relu", 2.0)]] {
        assert!(
            iterated(Rademacher, &layers, 1.0, 1e-8) > 1e-4,
            "{layers:?}"
        );
        let points = predict(&wigner(Rademacher, &layers, 1.0)).fixed_points;
        assert!(points.iter().all(|f| !f.perfect));
    }
    assert!(iterated(Gaussian::standard(), &[("sign", 2.0)], 1.0, 1e-8) > 1e-4);
}

/// Where zero overlap has just ceased to be stable nothing is known yet, though a frozen branch, which nothing finds,
/// exists too.
#[test]
fn at_the_threshold_itself_nothing_is_known() {
    let layers = [("sign", 1.0), ("sign", 1.0)];
    // M_l = 1 + α (2/π)² M_{l-1}
    let gain = (2.0 / std::f64::consts::PI).powi(2);
    let threshold = 1.0 + gain * (1.0 + gain);
    for noise in [-1e-9, -1e-12, 0.0, 1e-12, 1e-9].map(|d| threshold * (1.0 + d)) {
        let found = predict(&wigner(Gaussian::standard(), &layers, noise));
        for chosen in [found.algorithmic, found.optimal] {
            assert!(chosen.mmse > 1.0 - 1e-7, "at {noise}: {chosen:?}");
        }
    }
}
