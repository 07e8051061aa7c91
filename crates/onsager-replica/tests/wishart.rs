//! The spiked Wishart model against closed forms, symmetry, and the I-MMSE theorem.

use std::sync::Arc;

use onsager_model::{Chain, Tree};
use onsager_replica::average::{layer, prior};
use onsager_replica::{FixedPoint, Prediction, StateEvolution, ThresholdKind};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Rademacher};
use onsager_scalar::{Activation, Prior};

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

/// One factor for plain iteration: a law, and perhaps a layer of this aspect on it.
struct Factor {
    law: Arc<dyn Prior>,
    above: Option<(f64, Arc<dyn Activation>)>,
}

/// Overlap and error of the latent and of the factor.
#[derive(Clone, Copy)]
struct Known {
    latent: (f64, f64),
    all: (f64, f64),
}

impl Factor {
    fn new(law: impl Prior + 'static) -> Self {
        Self {
            law: Arc::new(law),
            above: None,
        }
    }

    fn below(self, aspect: f64, phi: PiecewiseLinear) -> Self {
        let above = Some((aspect, Arc::new(phi) as Arc<dyn Activation>));
        Self { above, ..self }
    }

    fn chain(&self) -> Chain {
        let chain = Chain::new(Arc::clone(&self.law));
        match &self.above {
            Some((aspect, phi)) => chain.layer(*aspect, Arc::clone(phi)),
            None => chain,
        }
    }

    /// Overlap `q` of the factor and of its latent.
    fn start(&self, q: f64) -> Known {
        let known = |rho: f64| (q * rho, ((1.0 - q) * rho).max(1e-30));
        let rho = self.law.second_moment();
        let all = self
            .above
            .as_ref()
            .map_or(rho, |(_, phi)| phi.second_moment(rho));
        Known {
            latent: known(rho),
            all: known(all),
        }
    }

    /// One sweep under a message of ratio `snr`.
    fn sweep(&self, mut known: Known, snr: f64) -> Known {
        match &self.above {
            None => {
                let found = prior(&*self.law, snr).unwrap();
                known.all = (found.overlap, found.mmse);
            }
            Some((aspect, phi)) => {
                let (q, v) = (known.latent.0, known.latent.1.max(1e-30));
                let found = layer(&**phi, snr, q, v).unwrap();
                let latent = prior(&*self.law, aspect * found.score).unwrap();
                known.latent = (latent.overlap, latent.mmse);
                let (q, v) = (latent.overlap, latent.mmse.max(1e-30));
                let found = layer(&**phi, snr, q, v).unwrap();
                known.all = (found.overlap, found.mmse);
            }
        }
        known
    }
}

/// Errors of right and left factor at rest of the coupled recursion, from overlap `start`.
fn iterated(right: &Factor, left: &Factor, aspect: f64, noise: f64, start: f64) -> (f64, f64) {
    let (mut x, mut u) = (right.start(start), left.start(start));
    for _ in 0..20_000 {
        let before = (x.all.1, u.all.1);
        u = left.sweep(u, x.all.0 / noise);
        x = right.sweep(x, aspect * u.all.0 / noise);
        let moved = |new: f64, old: f64| (new - old).abs() > 1e-12 * (new + 1e-6);
        if !(moved(x.all.1, before.0) || moved(u.all.1, before.1)) {
            break;
        }
    }
    (x.all.1, u.all.1)
}

/// A left factor with several branches of its own: what plain iteration reaches without and with all
/// information are the least stable and the greatest fixed point, and the optimal one obeys the I-MMSE
/// theorem on whatever branch it is.
#[test]
fn a_left_factor_follows_its_own_branches() {
    let signs = || Factor::new(Rademacher).below(2.0, PiecewiseLinear::sign());
    let sparse = || Factor::new(GaussBernoulli::new(0.05, 0.0, 1.0).unwrap());
    let gauss = || Factor::new(Gaussian::standard());
    let relu = || gauss().below(1.5, PiecewiseLinear::relu());
    let modulus = || gauss().below(1.5, PiecewiseLinear::abs());
    // Frozen signs on the left, alone and beside a mean, on the right, and on both; folds of laws on
    // both sides; a latent that leaves zero by itself, which takes long from less than a tenth.
    let cases = [
        (gauss(), signs(), 0.8, 1e-6, [0.2, 0.6]),
        (relu(), signs(), 1.5, 1e-6, [0.2, 0.6]),
        (signs(), relu(), 0.7, 1e-6, [0.05, 0.3]),
        (signs(), signs(), 1.2, 1e-6, [0.4, 1.5]),
        (sparse(), sparse(), 1.0, 1e-6, [1.5e-3, 2.6e-3]),
        (gauss(), modulus(), 1.3, 0.1, [0.1, 3.0]),
    ];
    let mut hard = 0;
    for (right, left, aspect, start, noises) in &cases {
        let tree = right.chain().spiked_wishart(1.0, *aspect, left.chain());
        let chain = StateEvolution::new(&tree.unwrap()).unwrap();
        let curve = chain.curve(Some((1e-3, 1e1))).unwrap();
        for noise in noises {
            let found = chain.predict_on(&curve, *noise).unwrap();
            let last = found.fixed_points.last().unwrap();
            for (start, point) in [(*start, &found.algorithmic), (1.0 - 1e-14, last)] {
                let (x, u) = iterated(right, left, *aspect, *noise, start);
                let known = (point.mmse, point.mmse_left.unwrap());
                // At rest to 1e-12 a step, which contracts by a hundredth at least.
                let miss = (x - known.0).abs().max((u - known.1).abs());
                assert!(miss < 1e-8, "{noise} {start}: {x} {u} against {known:?}");
            }
            hard += usize::from(found.algorithmic != found.optimal);
            let snr = 1.0 / noise;
            let d = 1e-3 * snr;
            let i = |k: f64| {
                let found = chain.predict_on(&curve, 1.0 / (snr + k * d)).unwrap();
                found.optimal.mutual_information.unwrap()
            };
            let slope = (8.0 * (i(1.0) - i(-1.0)) - (i(2.0) - i(-2.0))) / (12.0 * d);
            let best = &found.optimal;
            let (q, left) = (best.overlap, best.overlap_left.unwrap());
            let rho = (q + best.mmse) * (left + best.mmse_left.unwrap());
            let theory = 0.5 * aspect * (rho - q * left);
            // Truncation at a fourth of the relative step to the fourth, rounding 1e-13/d.
            assert!(
                (slope - theory).abs() < 1e-8 * rho,
                "{noise}: {slope} {theory}"
            );
        }
    }
    // Signs beside a mean at 0.2, and sparse factors just above their weak recovery.
    assert_eq!(hard, 2);
}

/// Frozen factors are found on either side: the transpose of a product with several branches has the
/// same fixed points, whichever factor is the signal.
#[test]
fn branches_of_the_transpose_are_those_of_the_other_factor() {
    let signs = || law(Rademacher).layer(2.0, Arc::new(PiecewiseLinear::sign()));
    let relu = || law(Gaussian::standard()).layer(1.5, Arc::new(PiecewiseLinear::relu()));
    let (aspect, noise) = (1.5, 0.2);
    let one = predict(&relu().spiked_wishart(noise, aspect, signs()).unwrap());
    let transposed = signs().spiked_wishart(noise / aspect, 1.0 / aspect, relu());
    let other = predict(&transposed.unwrap());
    assert_eq!(one.fixed_points.len(), 3);
    assert_eq!(other.fixed_points.len(), 3);
    for (a, b) in one.fixed_points.iter().zip(&other.fixed_points) {
        assert!((a.mmse - b.mmse_left.unwrap()).abs() < 1e-9, "{a:?} {b:?}");
        assert!((a.mmse_left.unwrap() - b.mmse).abs() < 1e-9, "{a:?} {b:?}");
        let (i, j) = (a.mutual_information.unwrap(), b.mutual_information.unwrap());
        assert!((i - aspect * j).abs() < 1e-9, "{i} {j}");
        assert_eq!(a.stable, b.stable);
    }
}

/// Below a modulus on the left zero overlap of the latent is a fixed point at every noise. It loses
/// stability where a small one stops growing under plain iteration.
#[test]
fn a_latent_below_a_modulus_on_the_left_has_a_transition_of_its_own() {
    let right = Factor::new(Gaussian::standard());
    let left = Factor::new(Gaussian::standard()).below(1.5, PiecewiseLinear::abs());
    let aspect = 1.3;
    let tree = right
        .chain()
        .spiked_wishart(1.0, aspect, left.chain())
        .unwrap();
    let latent = tree.factors().last().unwrap().variables[1] - 2;
    let chain = StateEvolution::new(&tree).unwrap();
    let curve = chain.curve(Some((1e-2, 1e1))).unwrap();
    let found = chain.thresholds_on(&curve).unwrap().thresholds;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(found[0].kind, ThresholdKind::WeakRecovery);
    assert_eq!(
        found[0].variable.as_ref(),
        Some(&tree.variables()[latent].name)
    );
    for (factor, grows) in [(0.98, true), (1.02, false)] {
        let noise = factor * found[0].value;
        let (mut x, mut u) = (right.start(0.1), left.start(0.1));
        u.latent = (1e-8, 1.0 - 1e-8);
        let mut after = [0.0; 2];
        // The rest is still by the fortieth sweep.
        for sweep in 0..60 {
            u = left.sweep(u, x.all.0 / noise);
            x = right.sweep(x, aspect * u.all.0 / noise);
            if sweep >= 58 {
                after[sweep - 58] = u.latent.0;
            }
        }
        assert_eq!(after[1] > after[0], grows, "{factor}: {after:?}");
    }
}
