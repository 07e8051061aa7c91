//! Sparse, skewed and multi-scale spikes: every threshold, by more than one route.

mod common;

use std::sync::Arc;

use common::close;
use onsager_model::{Chain, ModelError, Tree};
use onsager_replica::ThresholdKind::{Algorithmic, Dynamical, InformationTheoretic, WeakRecovery};
use onsager_replica::{Curve, Location, StateEvolution, ThresholdKind, Thresholds, meetings};
use onsager_scalar::prior::{GaussBernoulli, Scale};
use onsager_scalar::{Moments, Prior};

/// Point masses of given weights, from the definition alone.
#[derive(Debug, Clone)]
struct Atoms(Vec<(f64, f64)>);

impl Atoms {
    /// Logarithms of `weight · exp(exponent)`, and their sum in logs.
    fn odds(&self, exponent: impl Fn(f64) -> f64) -> (Vec<f64>, f64) {
        let logs = self.0.iter().map(|(w, x)| w.ln() + exponent(*x));
        let logs: Vec<f64> = logs.collect();
        let top = logs.iter().fold(f64::NEG_INFINITY, |m, l| m.max(*l));
        let odds: Vec<f64> = logs.iter().map(|l| (l - top).exp()).collect();
        let sum: f64 = odds.iter().sum();
        (odds.iter().map(|o| o / sum).collect(), top + sum.ln())
    }
    fn moment(&self, k: i32) -> f64 {
        self.0.iter().map(|(w, x)| w * x.powi(k)).sum()
    }
}

impl Prior for Atoms {
    fn log_partition(&self, a: f64, b: f64) -> f64 {
        self.odds(|x| b * x - 0.5 * a * x * x).1
    }
    fn log_likelihood(&self, a: f64, y: f64) -> f64 {
        self.odds(|x| -0.5 * a * (x - y).powi(2)).1
    }
    fn moments(&self, a: f64, b: f64) -> Moments {
        let (odds, _) = self.odds(|x| b * x - 0.5 * a * x * x);
        let average = |f: &dyn Fn(f64) -> f64| -> f64 {
            odds.iter().zip(&self.0).map(|(o, (_, x))| o * f(*x)).sum()
        };
        let mean = average(&|x| x);
        let variance = average(&|x| (x - mean).powi(2));
        Moments { mean, variance }
    }
    fn mean(&self) -> f64 {
        self.moment(1)
    }
    fn second_moment(&self) -> f64 {
        self.moment(2)
    }
    fn scales(&self) -> Vec<Scale> {
        let scale = |(_, x): &(f64, f64)| Scale {
            mean: *x,
            variance: 0.0,
        };
        self.0.iter().map(scale).collect()
    }
    fn sample(&self, _: &mut dyn rand::Rng) -> f64 {
        unreachable!("nothing is drawn")
    }
    fn discrete_entropy(&self) -> Option<f64> {
        Some(-self.0.iter().map(|(w, _)| w * w.ln()).sum::<f64>())
    }
}

fn gauss_bernoulli(rho: f64) -> GaussBernoulli {
    GaussBernoulli::new(rho, 0.0, 1.0).unwrap()
}

fn rademacher_bernoulli(rho: f64) -> Atoms {
    Atoms(vec![(1.0 - rho, 0.0), (0.5 * rho, 1.0), (0.5 * rho, -1.0)])
}

fn wigner(law: impl Prior + 'static) -> Tree {
    Chain::new(Arc::new(law)).spiked_wigner(1.0).unwrap()
}

/// Everything in the noise.
fn found(law: impl Prior + 'static) -> (StateEvolution, Curve, Thresholds) {
    let chain = StateEvolution::new(&wigner(law)).unwrap();
    let curve = chain.curve(None).unwrap();
    let found = chain.thresholds_on(&curve).unwrap();
    (chain, curve, found)
}

fn values(found: &Thresholds, kind: ThresholdKind) -> Vec<f64> {
    let of_kind = found.thresholds.iter().filter(|t| t.kind == kind);
    of_kind.map(|t| t.value).collect()
}

#[test]
fn a_fold_next_to_zero_overlap_has_the_depth_of_the_series() {
    // Δ(A)/ρ² = 1 - Aρ + (15 - 6k + k²)(Aρ)²/6 - ..., k = E x⁴/ρ² (Guo, Wu, Shamai, Verdú 2011).
    for rho in [3e-3, 1e-3, 3e-4] {
        let (_, _, all) = found(gauss_bernoulli(rho));
        let k = 3.0 / rho;
        let depth = 1.5 / (15.0 - 6.0 * k + k * k);
        let &[minimum] = values(&all, Algorithmic).as_slice() else {
            panic!("{all:?}");
        };
        // The next order is smaller by a few times ρ; extrema are exact to 1e-10.
        close(
            1.0 - minimum / (rho * rho),
            depth,
            10.0 * rho * depth + 1e-10,
        );
        assert!(all.thresholds.iter().any(|t| t.at == Location::Fold));
        assert_eq!(all.hard_phases[0].0, minimum);
    }
}

#[test]
fn equal_areas_lie_where_potentials_are_equal() {
    // Two laws that lose zero overlap by a fold, one that is skewed and jumps off it at once.
    let skewed = Atoms(vec![(0.9, -1.0 / 3.0), (0.1, 3.0)]);
    let both = |(chain, curve, all): (StateEvolution, Curve, Thresholds)| {
        let areas = chain.equal_areas(&curve).unwrap();
        let potentials = values(&all, InformationTheoretic);
        assert_eq!((areas.len(), potentials.len()), (1, 1), "{all:?}");
        assert!(areas[0].uncertainty < 1e-8 * potentials[0]);
        close(areas[0].noise, potentials[0], 1e-8 * potentials[0]);
    };
    both(found(gauss_bernoulli(0.05)));
    both(found(rademacher_bernoulli(0.05)));
    both(found(skewed));
}

#[test]
fn a_skewed_spike_jumps_off_zero_overlap() {
    // Δ(A) = ρ² + A((E x³)²/2 - ρ³) + ...: the branch leaves upwards.
    let law = Atoms(vec![(0.9, -1.0 / 3.0), (0.1, 3.0)]);
    assert!(law.moment(3).powi(2) > 2.0 * law.moment(2).powi(3));
    let (_, _, all) = found(law);
    for kind in [WeakRecovery, Algorithmic] {
        let t = all.thresholds.iter().find(|t| t.kind == kind).unwrap();
        assert_eq!(t.at, Location::Origin);
        // The mean of the rounded atoms is 1e-17, not 0.
        close(t.value, 1.0, 1e-8);
    }
    assert_eq!(values(&all, Dynamical).len(), 1);
}

#[test]
fn a_fold_much_narrower_than_the_steps_of_the_curve_is_seen() {
    // The two spinodals of 0.272 207 736 merge: at 0.2722 they lie 6e-8 apart.
    for (rho, count) in [(0.2715, 1), (0.2722, 1), (0.2723, 0)] {
        let (_, curve, all) = found(gauss_bernoulli(rho));
        for kind in [Algorithmic, InformationTheoretic, Dynamical] {
            assert_eq!(values(&all, kind).len(), count, "{kind:?} at {rho}");
        }
        assert_eq!(curve.folds.len(), 2 * count);
    }
}

#[test]
fn special_sparsities_meet_the_reference() {
    // From tests/reference/sparse_thresholds.csv, roots of analytic derivatives.
    let family = |rho: f64| -> Result<Tree, ModelError> {
        Chain::new(Arc::new(GaussBernoulli::new(rho, 0.0, 1.0)?)).spiked_wigner(1.0)
    };
    for (kinds, range, merge, expected) in [
        (
            (Algorithmic, Dynamical),
            (0.25, 0.3),
            true,
            0.2722077363202546,
        ),
        (
            (WeakRecovery, Dynamical),
            (0.2, 0.26),
            false,
            0.24346281512719672,
        ),
        (
            (WeakRecovery, InformationTheoretic),
            (0.2, 0.26),
            false,
            0.23911023939289627,
        ),
    ] {
        let all = meetings(&family, range, 2, kinds).unwrap();
        let [only] = all.as_slice() else {
            panic!("{all:?}");
        };
        assert_eq!(only.merge, merge);
        close(only.value, expected, only.uncertainty);
        assert!(only.uncertainty < 1e-6 * expected, "{only:?}");
    }
    assert!(meetings(&family, (0.3, 0.2), 2, (Algorithmic, Dynamical)).is_err());
}
