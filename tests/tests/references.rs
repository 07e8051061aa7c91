//! Fixed points against values that another program found by plain iteration.

use std::sync::Arc;

use onsager_model::Chain;
use onsager_replica::{StateEvolution, ThresholdKind, Thresholds};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Mixture};
use onsager_scalar::{Activation, Prior};

fn activation(name: &str) -> Arc<dyn Activation> {
    Arc::new(match name {
        "sign" => PiecewiseLinear::sign(),
        "relu" => PiecewiseLinear::relu(),
        other => panic!("the table has no activation {other}"),
    })
}

/// Columns of `reference/spiked_wigner.csv`: layers, aspects, noise, mmse, uncertainty.
#[test]
fn errors_of_layered_priors_match_plain_iteration() {
    let table = include_str!("../reference/spiked_wigner.csv");
    let rows: Vec<Vec<&str>> = table
        .lines()
        .filter(|line| !line.starts_with('#') && !line.starts_with("layers"))
        .map(|line| line.split(',').collect())
        .collect();
    assert!(
        rows.len() >= 18,
        "the table is incomplete: {} rows",
        rows.len()
    );
    for row in rows {
        let number = |text: &str| text.parse::<f64>().expect("a number");
        let mut chain = Chain::new(Arc::new(Gaussian::standard()));
        for (name, aspect) in row[0].split('-').zip(row[1].split('-')) {
            chain = chain.layer(number(aspect), activation(name));
        }
        let tree = chain.spiked_wigner(number(row[2])).expect("a valid model");
        let prediction = StateEvolution::new(&tree)
            .and_then(|chain| chain.predict())
            .expect("a prediction");
        let (found, expected) = (prediction.algorithmic.mmse, number(row[3]));
        // A fixed point is accurate to 1e-8 in the noise; none of these sits near a transition.
        let bound = 1e-8 * expected + prediction.algorithmic.forward_error + number(row[4]);
        assert!(
            (found - expected).abs() <= bound,
            "{row:?}: found {found}, difference {:.1e}, bound {bound:.1e}",
            found - expected
        );
    }
}

/// Columns of `reference/sparse_thresholds.csv`: law, sparsity, kind, value over ρ²; rows with the
/// special sparsities themselves are judged where those are computed.
#[test]
fn thresholds_of_sparse_spikes_match_scalar_roots() {
    let table = include_str!("../reference/sparse_thresholds.csv");
    let mut judged = 0;
    let mut known: Option<(String, Thresholds)> = None;
    for line in table.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let row: Vec<&str> = line.split(',').collect();
        let kind = match row[2] {
            "alg" => ThresholdKind::Algorithmic,
            "dyn" => ThresholdKind::Dynamical,
            "it" => ThresholdKind::InformationTheoretic,
            _ => continue,
        };
        let sparsity: f64 = row[1].parse().expect("a sparsity");
        let value: f64 = row[3].parse().expect("a value");
        // Rows of one spike stand together.
        let spike = row[..2].join(",");
        if known.as_ref().is_none_or(|(name, _)| *name != spike) {
            known = Some((spike, thresholds_of(row[0], sparsity)));
        }
        let found = known.iter().flat_map(|(_, found)| &found.thresholds);
        let of_kind: Vec<_> = found.filter(|t| t.kind == kind).collect();
        assert_eq!(of_kind.len(), 1, "{line}");
        let relative = of_kind[0].value / (sparsity * sparsity * value) - 1.0;
        // Both sides are promised to 1e-8 or better; thresholds of the crate to 1e-6.
        assert!(relative.abs() < 1e-8, "{line}: off by {relative:e}");
        judged += 1;
    }
    assert_eq!(judged, 27);
}

fn thresholds_of(law: &str, sparsity: f64) -> Thresholds {
    let law: Arc<dyn Prior> = match law {
        "gauss-bernoulli" => Arc::new(GaussBernoulli::new(sparsity, 0.0, 1.0).expect("a law")),
        "rademacher-bernoulli" => Arc::new(Mixture::rademacher_bernoulli(sparsity).expect("a law")),
        "bernoulli" => Arc::new(Mixture::bernoulli(sparsity).expect("a law")),
        other => panic!("the table has no law {other}"),
    };
    let tree = Chain::new(law).spiked_wigner(1.0).expect("a valid model");
    let chain = StateEvolution::new(&tree).expect("a chain");
    let curve = chain.curve(None).expect("a curve");
    chain.thresholds_on(&curve).expect("thresholds")
}
