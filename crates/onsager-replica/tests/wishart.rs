//! The spiked Wishart model against closed forms, symmetry, and the I-MMSE theorem.

use std::sync::Arc;

use onsager_model::{Chain, Tree};
use onsager_replica::{FixedPoint, Prediction, StateEvolution, ThresholdKind};
use onsager_scalar::Prior;
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Rademacher};

fn law(prior: impl Prior + 'static) -> Chain {
    Chain::new(Arc::new(prior))
}

fn predict(tree: &Tree) -> Prediction {
    StateEvolution::new(tree).unwrap().predict().unwrap()
}

/// For two Gaussian factors the leading singular vectors are optimal: their squared overlaps are
/// known from random matrices (Benaych-Georges and Nadakuditi, 2012).
#[test]
fn gaussian_factors_are_found_as_well_as_by_singular_vectors() {
    for aspect in [0.3, 1.0, 4.0] {
        for relative in [0.05, 0.5, 0.9, 0.99] {
            let (beta, noise) = (aspect, relative * f64::sqrt(aspect));
            let tree = law(Gaussian::standard())
                .spiked_wishart(noise, beta, law(Gaussian::standard()))
                .unwrap();
            let found = predict(&tree).optimal;
            let right = (beta - noise * noise) / (beta + noise);
            let left = (beta - noise * noise) / (beta * (1.0 + noise));
            assert!(
                (found.overlap - right).abs() < 1e-8,
                "{beta} {noise}: {found:?}"
            );
            assert!(
                (found.overlap_left.unwrap() - left).abs() < 1e-8,
                "{found:?}"
            );
        }
        let above = law(Gaussian::standard())
            .spiked_wishart(1.01 * aspect.sqrt(), aspect, law(Gaussian::standard()))
            .unwrap();
        let found = predict(&above).optimal;
        assert_eq!((found.overlap, found.stable), (0.0, true));
    }
}

/// `Yᵀ` is a spiked Wishart matrix too: aspect `1/β`, noise `Δ/β`, the factors exchanged.
#[test]
fn the_transpose_tells_the_same() {
    let sign = || law(Gaussian::standard()).layer(2.0, Arc::new(PiecewiseLinear::sign()));
    let sparse = || law(GaussBernoulli::new(0.1, 0.0, 1.0).unwrap());
    let signs = || law(Rademacher);
    const POINTS: [(f64, f64); 2] = [(2.0, 0.3), (0.6, 0.05)];
    let sides = [(signs(), sparse()), (sign(), signs())];
    for ((right, left), (aspect, noise)) in sides.into_iter().zip(POINTS) {
        let one = right.clone().spiked_wishart(noise, aspect, left.clone());
        let other = left
            .clone()
            .spiked_wishart(noise / aspect, 1.0 / aspect, right.clone());
        let (one, other) = (predict(&one.unwrap()), predict(&other.unwrap()));
        let pair = |f: &FixedPoint| (f.overlap, f.overlap_left.unwrap());
        let (a, b) = (pair(&one.optimal), pair(&other.optimal));
        assert!(
            (a.0 - b.1).abs() < 1e-7 && (a.1 - b.0).abs() < 1e-7,
            "{a:?} {b:?}"
        );
        // Per component of either signal: the information is of the whole.
        let (i, j) = (
            &one.optimal.mutual_information,
            &other.optimal.mutual_information,
        );
        let (i, j) = (i.unwrap(), j.unwrap() * aspect);
        assert!((i - j).abs() < 1e-7 * i.max(1.0), "{i} {j}");
    }
}

/// `d i/d(1/Δ) = (β/2)(ρ_u ρ_x - q_u q_x)`, by a difference of fourth order.
#[test]
fn the_slope_of_the_information_is_the_error() {
    let sparse = law(GaussBernoulli::new(0.2, 0.0, 1.0).unwrap());
    let sign = law(Gaussian::standard()).layer(2.0, Arc::new(PiecewiseLinear::sign()));
    for (right, left, noise) in [(sparse.clone(), law(Rademacher), 0.1), (sign, sparse, 0.2)] {
        let aspect = 1.5;
        let at = |snr: f64| {
            let tree = right
                .clone()
                .spiked_wishart(1.0 / snr, aspect, left.clone());
            predict(&tree.unwrap()).optimal
        };
        let (snr, d) = (1.0 / noise, 1e-3 / noise);
        let i = |k: f64| at(snr + k * d).mutual_information.unwrap();
        let slope = (8.0 * (i(1.0) - i(-1.0)) - (i(2.0) - i(-2.0))) / (12.0 * d);
        let here = at(snr);
        let rho = here.overlap + here.mmse;
        let rho_left = here.overlap_left.unwrap() + here.mmse_left.unwrap();
        let theory = 0.5 * aspect * (rho * rho_left - here.overlap * here.overlap_left.unwrap());
        assert!(
            (slope - theory).abs() < 1e-7 * theory.max(1.0),
            "{slope} {theory}"
        );
    }
}

/// Weak recovery at `√(β M_u M_x)`, if both factors are centred.
#[test]
fn the_threshold_needs_both_sides() {
    let linear = law(Gaussian::standard()).layer(2.0, Arc::new(PiecewiseLinear::linear()));
    let found = |left: Chain| {
        let tree = linear.clone().spiked_wishart(1.0, 3.0, left).unwrap();
        let chain = StateEvolution::new(&tree).unwrap();
        let curve = chain.curve(Some((1e-2, 1e2))).unwrap();
        chain.thresholds_on(&curve).unwrap().thresholds
    };
    let with_signs = found(law(Rademacher));
    assert_eq!(with_signs.len(), 1, "{with_signs:?}");
    assert_eq!(with_signs[0].kind, ThresholdKind::WeakRecovery);
    assert!((with_signs[0].value - 3.0).abs() < 1e-9); // √(3 · (1 + 2))
    let shifted = law(Gaussian::new(0.5, 1.0).unwrap());
    assert_eq!(found(shifted), vec![]);
}
