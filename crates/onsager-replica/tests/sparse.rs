//! Sparse, skewed and multi-scale spikes: every threshold, by more than one route.

mod common;

use std::sync::Arc;

use common::close;
use onsager_model::{Chain, ModelError, Tree};
use onsager_replica::ThresholdKind::{Algorithmic, Dynamical, InformationTheoretic, WeakRecovery};
use onsager_replica::{Curve, Location, StateEvolution, ThresholdKind, Thresholds, meetings};
use onsager_scalar::Prior;
use onsager_scalar::prior::{GaussBernoulli, Mixture, Scale};
use onsager_scalar::quadrature::{Panels, Rule};
use onsager_scalar::special::normal_density;

/// Probabilities and values: mean 0 but for rounding, `E x² = 1`, `E x³ = 8/3`.
const SKEWED: [(f64, f64); 2] = [(0.9, -1.0 / 3.0), (0.1, 3.0)];

fn points(parts: &[(f64, f64)]) -> Mixture {
    let scale = |mean| Scale {
        mean,
        variance: 0.0,
    };
    Mixture::new(parts.iter().map(|(weight, x)| (*weight, scale(*x)))).unwrap()
}

fn skewed() -> Mixture {
    points(&SKEWED)
}

/// A second route to the branch of a law of points: the noise `q(A)/A`, with `q` the square of the
/// posterior mean by Bayes' rule, on panels narrower than any change of odds.
fn noise_at(parts: &[(f64, f64)], a: f64) -> f64 {
    let (root, rule) = (a.sqrt(), Rule::new(12).unwrap());
    let largest = parts.iter().fold(0.0f64, |m, (_, x)| m.max(x.abs()));
    let (reach, width) = (largest * root + 9.5, 4.0 / (8.0 + 2.0 * largest * root));
    let count = (2.0 * reach / width).ceil();
    let end = |k: i32| reach * (2.0 * f64::from(k) / count - 1.0);
    let panels = Panels::new((0..=count as i32).map(end)).unwrap();
    let overlap = |(beta, w): (f64, f64)| {
        let all = parts.iter().map(|(p, x)| {
            let density = p * normal_density(beta - root * x);
            (density, density * x)
        });
        let (mass, sum) = all.fold((0.0, 0.0), |s, t| (s.0 + t.0, s.1 + t.1));
        w * sum * sum / mass
    };
    panels.nodes(rule).map(overlap).sum::<f64>() / a
}

/// Extrema of `q(A)/A` for `ln A` in `range`, by increasing `A`: a grid, then golden sections.
fn extrema(parts: &[(f64, f64)], (from, to): (f64, f64)) -> Vec<f64> {
    let at = |t: f64| noise_at(parts, t.exp());
    let nodes: Vec<f64> = (0..=120)
        .map(|k| from + (to - from) * f64::from(k) / 120.0)
        .collect();
    let values: Vec<f64> = nodes.iter().map(|t| at(*t)).collect();
    let mut found = vec![];
    for (t, v) in nodes.windows(3).zip(values.windows(3)) {
        let sign = (v[1] - v[0]).signum();
        if sign == (v[2] - v[1]).signum() {
            continue;
        }
        let (mut low, mut high) = (t[0], t[2]);
        // The value errs by the square of what is left.
        while high - low > 5e-5 {
            let part = 0.618_034 * (high - low);
            if sign * at(high - part) > sign * at(low + part) {
                high = low + part;
            } else {
                low = high - part;
            }
        }
        found.push(at(0.5 * (low + high)));
    }
    found
}

fn gauss_bernoulli(rho: f64) -> GaussBernoulli {
    GaussBernoulli::new(rho, 0.0, 1.0).unwrap()
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
    let both = |(chain, curve, all): (StateEvolution, Curve, Thresholds)| {
        let areas = chain.equal_areas(&curve).unwrap();
        let potentials = values(&all, InformationTheoretic);
        assert_eq!((areas.len(), potentials.len()), (1, 1), "{all:?}");
        assert!(areas[0].uncertainty < 1e-8 * potentials[0]);
        close(areas[0].noise, potentials[0], 1e-8 * potentials[0]);
    };
    both(found(gauss_bernoulli(0.05)));
    both(found(Mixture::rademacher_bernoulli(0.05).unwrap()));
    both(found(skewed()));
}

#[test]
fn a_skewed_spike_jumps_off_zero_overlap() {
    // Δ(A) = ρ² + A((E x³)²/2 - ρ³) + ...: the branch leaves upwards.
    let third: f64 = 0.9 * (-1.0f64 / 3.0).powi(3) + 0.1 * 27.0;
    assert!(third * third > 2.0);
    let (_, curve, all) = found(skewed());
    for kind in [WeakRecovery, Algorithmic] {
        let t = all.thresholds.iter().find(|t| t.kind == kind).unwrap();
        assert_eq!(t.at, Location::Origin);
        // The mean of the rounded atoms is 1e-17, not 0.
        close(t.value, 1.0, 1e-8);
    }
    // The series, with ρ = 1, by both routes: its next term is of relative order A.
    let slope = 0.5 * third * third - 1.0;
    let a = 1e-3;
    close((noise_at(&SKEWED, a) - 1.0) / a, slope, 20.0 * a);
    let near = |p: &&onsager_replica::CurvePoint| p.snr > 1e-6 && p.snr < 1e-3;
    let point = curve.points.iter().find(near).unwrap();
    close(
        (point.noise - 1.0) / point.snr,
        slope,
        20.0 * point.snr + 1e-2,
    );
    // No interior minimum: the branch rises to its only extremum and falls from there.
    let turns = extrema(&SKEWED, (-9.0, 4.0));
    let [only] = turns.as_slice() else {
        panic!("{turns:?}");
    };
    assert_eq!(curve.folds.len(), 1);
    let &[dynamical] = values(&all, Dynamical).as_slice() else {
        panic!("{all:?}");
    };
    close(dynamical, *only, 1e-8);
}

#[test]
fn a_spike_of_two_scales_has_two_pairs_of_folds() {
    // Few large values, known from much noise on, and more of the small ones.
    let law = [
        (5e-6, 10.0),
        (5e-6, -10.0),
        (0.01, 1.0),
        (0.01, -1.0),
        (0.97999, 0.0),
    ];
    let (chain, curve, all) = found(points(&law));
    let expected = extrema(&law, (-10.0, 4.0));
    let folds: Vec<f64> = curve.folds.iter().map(|f| f.noise).collect();
    assert_eq!(
        (expected.len(), folds.len()),
        (4, 4),
        "{expected:?} {folds:?}"
    );
    for (fold, expected) in folds.iter().zip(&expected) {
        close(*fold, *expected, 1e-8 * expected);
    }
    // Message passing that leaves zero overlap passes the second pair by; every maximum ends a branch.
    assert_eq!(values(&all, Algorithmic).len(), 1);
    close(
        values(&all, Algorithmic)[0],
        expected[0],
        1e-8 * expected[0],
    );
    let mut ends = values(&all, Dynamical);
    ends.sort_by(f64::total_cmp);
    let mut maxima = [expected[1], expected[3]];
    maxima.sort_by(f64::total_cmp);
    assert_eq!(ends.len(), 2);
    for (end, maximum) in ends.iter().zip(maxima) {
        close(*end, maximum, 1e-8 * maximum);
    }
    // Two ties of the potentials, from nothing to the large values and from there to all.
    let mut ties = values(&all, InformationTheoretic);
    ties.sort_by(f64::total_cmp);
    let areas = chain.equal_areas(&curve).unwrap();
    assert_eq!((ties.len(), areas.len()), (2, 2), "{ties:?} {areas:?}");
    for (tie, area) in ties.iter().zip(&areas) {
        close(*tie, area.noise, 1e-8 * tie);
    }
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
