//! Fixed points against values that another program found by plain iteration.

use std::sync::Arc;

use onsager_model::Chain;
use onsager_replica::StateEvolution;
use onsager_scalar::Activation;
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::Gaussian;

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
