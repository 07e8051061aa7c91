//! Variables below an even layer: zero overlap is invariant and may lose stability on its own.

mod common;

use std::collections::BTreeMap;
use std::sync::Arc;

use common::close;
use onsager_model::{Chain, Tree};
use onsager_replica::{Start, StateEvolution, ThresholdKind, trajectory};
use onsager_scalar::activation::{Activation, Channel, Parity, Piece, PiecewiseLinear};
use onsager_scalar::prior::Gaussian;
use onsager_scalar::special::{inverse_mills, log_add_exp, log_ndtr, logistic, mills_defect};
use onsager_scalar::{Moments, special};

/// `|h|`, from the two half lines.
#[derive(Debug)]
struct Modulus([Piece; 2]);

impl Modulus {
    fn new() -> Self {
        let piece = |lower, upper, slope| Piece {
            lower,
            upper,
            offset: 0.0,
            slope,
        };
        Self([
            piece(f64::NEG_INFINITY, 0.0, -1.0),
            piece(0.0, f64::INFINITY, 1.0),
        ])
    }
}

impl Activation for Modulus {
    fn apply(&self, h: f64) -> f64 {
        h.abs()
    }
    fn channel(&self, a: f64, b: f64, omega: f64, v: f64) -> Channel {
        let d = 1.0 + a * v;
        let half = |s: f64| {
            let (m, sd) = ((omega + s * v * b) / d, (v / d).sqrt());
            let u = s * m / sd;
            let t = mills_defect(u);
            let exponent = (2.0 * s * omega * b + v * b * b - a * omega * omega) / (2.0 * d);
            let z = exponent - 0.5 * d.ln() + log_ndtr(u);
            let mean = sd * t.mean;
            let score = (s * b - a * omega) / d + s * inverse_mills(u) / (v * d).sqrt();
            (z, mean, sd * sd * t.variance, score)
        };
        let (p, m) = (half(1.0), half(-1.0));
        let (w, w1) = (logistic(p.0 - m.0), logistic(m.0 - p.0));
        let variance = w * p.2 + w1 * m.2;
        let input = Moments {
            mean: w * p.1 - w1 * m.1,
            variance: variance + w * w1 * (p.1 + m.1).powi(2),
        };
        Channel {
            log_partition: log_add_exp(p.0, m.0),
            output: Moments {
                mean: w * p.1 + w1 * m.1,
                variance: variance + w * w1 * (p.1 - m.1).powi(2),
            },
            input,
            score: w * p.3 + w1 * m.3,
            curvature: 1.0 / v - input.variance / (v * v),
        }
    }
    fn mean(&self, r: f64) -> f64 {
        (2.0 * r / std::f64::consts::PI).sqrt()
    }
    fn second_moment(&self, r: f64) -> f64 {
        r
    }
    fn linear_gain(&self, _: f64) -> f64 {
        0.0
    }
    fn parity(&self) -> Parity {
        Parity::Even
    }
    fn pieces(&self) -> &[Piece] {
        &self.0
    }
    fn sloped_fraction(&self, _: f64) -> f64 {
        1.0
    }
}

fn tree(noise: f64) -> Tree {
    Chain::new(Arc::new(Gaussian::standard()))
        .layer(4.0, Arc::new(Modulus::new()))
        .spiked_wigner(noise)
        .unwrap()
}

#[test]
fn the_latent_below_a_modulus_has_a_transition_of_its_own() {
    // The channel of the test itself.
    let c = Modulus::new().channel(2.0, 0.7, 0.3, 0.5);
    let d = 1e-5;
    let z = |omega: f64| Modulus::new().channel(2.0, 0.7, omega, 0.5).log_partition;
    close(c.score, (z(0.3 + d) - z(0.3 - d)) / (2.0 * d), 1e-9);
    assert!(special::ndtr(0.0) == 0.5);

    let chain = StateEvolution::new(&tree(1.0)).unwrap();
    let curve = chain.curve(Some((1e-3, 1e3))).unwrap();
    let found = chain.thresholds_on(&curve).unwrap();
    let weak: Vec<_> = found
        .thresholds
        .iter()
        .filter(|t| t.kind == ThresholdKind::WeakRecovery)
        .collect();
    assert_eq!(weak.len(), 1, "{found:?}");
    assert_eq!(weak[0].variable.as_deref(), Some("z"));
    let critical = weak[0].value;

    // A small overlap of the latent decays above the transition and grows below it.
    let end = |noise: f64| {
        let seed = BTreeMap::from([("z".to_string(), 1e-6)]);
        let run = trajectory(&tree(noise), &Start::Overlaps(seed), 60).unwrap();
        run.steps[60].variables["z"].truth
    };
    assert!(end(1.1 * critical) < 1e-6);
    assert!(end(0.9 * critical) > 1e-6);
    for (factor, stable) in [(1.1, true), (0.9, false)] {
        let points = chain.predict_on(&curve, factor * critical).unwrap();
        let zero = points
            .fixed_points
            .iter()
            .find(|f| f.variables["z"].overlap == 0.0)
            .unwrap();
        assert_eq!(zero.stable, stable);
        assert!(zero.overlap > 0.0);
    }
}

/// From the truth, what lies below an even layer is known too; a start that knows the signal only has
/// no message for it.
#[test]
fn the_truth_below_an_even_layer_is_not_forgotten() {
    let chain = |noise: f64| {
        Chain::new(Arc::new(Gaussian::standard()))
            .layer(3.0, Arc::new(PiecewiseLinear::abs()))
            .spiked_wigner(noise)
            .unwrap()
    };
    let tree = chain(0.02);
    let prediction = StateEvolution::new(&tree).unwrap().predict().unwrap();
    let greatest = prediction.fixed_points.last().unwrap();
    let latent = &tree.variables()[0].name;
    let run = trajectory(&tree, &Start::Informed, 200).unwrap();
    let end = &run.steps[200];
    close(end.mmse, greatest.mmse, 1e-9);
    close(
        end.variables[latent].norm,
        greatest.variables[latent].overlap,
        1e-8,
    );
    assert!(end.variables[latent].norm > 0.5, "{end:?}");
    let signal = BTreeMap::from([(tree.signal().name.clone(), tree.signal().second_moment)]);
    let blind = trajectory(&tree, &Start::Overlaps(signal), 200).unwrap();
    assert_eq!(blind.steps[200].variables[latent].norm, 0.0);
}
