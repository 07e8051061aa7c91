//! Generalised linear models: averages, predictions and thresholds against second routes.

use std::f64::consts::PI;
use std::sync::Arc;

use onsager_model::{Chain, ModelError, Tree};
use onsager_replica::average::{label_errors, output, output_growth};
use onsager_replica::{
    Key, Location, Prediction, ReplicaError, Side, Start, StateEvolution, Threshold, ThresholdKind,
    Thresholds, sweep_ratio, thresholds, trajectory,
};
use onsager_scalar::activation::{
    Activation, Erf, Piece, PiecewiseLinear as Function, Sigmoid, Tanh,
};
use onsager_scalar::likelihood::{
    Additive, Blurred, Invertible, Likelihood, Logistic, Noiseless, Poisson,
};
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Mixture, Prior, Rademacher};

type Output = Arc<dyn Likelihood>;

fn noiseless(phi: Function) -> Output {
    Arc::new(Noiseless::new(phi))
}

fn additive(phi: Function, noise: f64) -> Output {
    Arc::new(Additive::new(Arc::new(phi), noise).unwrap())
}

/// Offset and slope below and above an edge.
fn broken(edge: f64, below: (f64, f64), above: (f64, f64)) -> Function {
    let piece = |lower, upper, (offset, slope)| Piece {
        lower,
        upper,
        offset,
        slope,
    };
    let pieces = [
        piece(f64::NEG_INFINITY, edge, below),
        piece(edge, f64::INFINITY, above),
    ];
    Function::new(pieces).unwrap()
}

fn gaussian() -> Arc<dyn Prior> {
    Arc::new(Gaussian::standard())
}

/// One layer, or none, behind an output.
fn tree(
    prior: &Arc<dyn Prior>,
    layer: Option<(f64, Function)>,
    output: &Output,
    ratio: f64,
) -> Result<Tree, ModelError> {
    let chain = Chain::new(prior.clone());
    let chain = match layer {
        Some((aspect, phi)) => chain.layer(aspect, Arc::new(phi)),
        None => chain,
    };
    chain.glm(ratio, output.clone())
}

fn in_ratio(
    prior: &Arc<dyn Prior>,
    layer: Option<(f64, Function)>,
    output: &Output,
    range: Option<(f64, f64)>,
) -> Thresholds {
    let family = |ratio: f64| tree(prior, layer.clone(), output, ratio);
    thresholds(&family, range, Key::SamplingRatio).unwrap()
}

fn only(found: &Thresholds, kind: ThresholdKind) -> &Threshold {
    let all: Vec<_> = found.thresholds.iter().filter(|t| t.kind == kind).collect();
    assert_eq!(all.len(), 1, "{kind:?}: {found:?}");
    all[0]
}

fn predict(prior: &Arc<dyn Prior>, output: &Output, ratio: f64) -> Prediction {
    let tree = tree(prior, None, output, ratio).unwrap();
    StateEvolution::new(&tree).unwrap().predict().unwrap()
}

use ThresholdKind::{Algorithmic, Dynamical, InformationTheoretic, WeakRecovery};

/// `∂Ψ_y/∂q = E g²/2`, where `Ψ_y` and the score are averages of different functions, and the law
/// of total variance, for outputs of every kind.
#[test]
fn the_potential_is_the_integral_of_the_score() {
    let inf = f64::INFINITY;
    let piece = |lower, upper, offset, slope| Piece {
        lower,
        upper,
        offset,
        slope,
    };
    // Two slopes of opposite signs and a flat end: up to two preimages, of unequal steepness.
    let bent = Function::new([
        piece(-inf, -0.5, 0.5, -1.0),
        piece(-0.5, 1.0, 1.2, 0.4),
        piece(1.0, inf, 1.6, 0.0),
    ]);
    let probit = Blurred::new(noiseless(Function::sign()), 0.3).unwrap();
    let outputs: Vec<Output> = vec![
        noiseless(Function::linear()),
        noiseless(Function::abs()),
        noiseless(Function::relu()),
        noiseless(Function::leaky_relu(-0.1).unwrap()),
        noiseless(Function::hard_tanh()),
        noiseless(Function::sign()),
        noiseless(Function::door(0.7).unwrap()),
        noiseless(bent.unwrap()),
        additive(Function::linear(), 0.1),
        additive(Function::abs(), 1e-3),
        additive(Function::relu(), 0.01),
        Arc::new(probit),
        Arc::new(Logistic),
        Arc::new(Poisson::rectified()),
        Arc::new(Poisson::exponential()),
        Arc::new(Blurred::new(Arc::new(Poisson::exponential()), 0.4).unwrap()),
        Arc::new(Invertible::new(Tanh)),
        Arc::new(Invertible::new(Sigmoid)),
        Arc::new(Invertible::new(Erf)),
    ];
    let r = 1.3;
    for law in &outputs {
        for q in [0.1, 0.7, 1.25, 1.299] {
            let at = |q: f64| output(&**law, q, r - q).unwrap();
            let x = at(q);
            assert!(x.error < 1e-9, "{law:?} at {q}: {x:?}");
            let d = 1e-2 * (r - q).min(q);
            let central = |d: f64| (at(q + d).potential - at(q - d).potential) / (2.0 * d);
            // Richardson's step takes out d².
            let slope = (4.0 * central(d) - central(2.0 * d)) / 3.0;
            let error = (slope / (0.5 * x.score) - 1.0).abs();
            assert!(error < 2e-7, "{law:?} at {q}: {slope} against {x:?}");
        }
    }
}

/// Columns of `reference/outputs.csv`, which another program made on plain grids.
#[test]
fn averages_of_discrete_outputs_agree_with_the_table() {
    let table = include_str!("reference/outputs.csv");
    let mut rows = 0;
    for line in table.lines().filter(|line| !line.starts_with('#')).skip(1) {
        let (name, numbers) = line.split_once(',').unwrap();
        let n: Vec<f64> = numbers.split(',').map(|x| x.parse().unwrap()).collect();
        let law: Output = match name {
            "logistic" => Arc::new(Logistic),
            "poisson" => Arc::new(Poisson::rectified()),
            "poisson-log" => Arc::new(Poisson::exponential()),
            other => panic!("{other}: no such output"),
        };
        let x = output(&*law, n[0], n[1]).unwrap();
        for (found, expected) in [(x.score, n[2]), (x.field_mmse, n[3]), (x.potential, n[4])] {
            let allowed = 1e-9 * (1.0 + expected.abs()) + 3.0 * n[5];
            assert!((found - expected).abs() < allowed, "{line}: {x:?}");
        }
        rows += 1;
    }
    assert_eq!(rows, 11);
}

/// A smooth increasing function without noise says what a linear one does, whatever its range; and the
/// potentials differ by the constant `-E ln φ'`.
#[test]
fn increasing_functions_without_noise_are_linear_measurements() {
    let linear = noiseless(Function::linear());
    let sparse: Arc<dyn Prior> = Arc::new(GaussBernoulli::new(0.2, 0.0, 1.0).unwrap());
    let functions: [Output; 3] = [
        Arc::new(Invertible::new(Tanh)),
        Arc::new(Invertible::new(Sigmoid)),
        Arc::new(Invertible::new(Erf)),
    ];
    let expected = only(&in_ratio(&sparse, None, &linear, None), Algorithmic).value;
    for law in &functions {
        let [x, y] = [law, &linear].map(|law| output(&**law, 0.4, 0.6).unwrap());
        assert!((x.score - y.score).abs() < 1e-12 && x.field_mmse == 0.0);
        let [x1, y1] = [law, &linear].map(|law| output(&**law, 0.7, 0.3).unwrap());
        let constants = (x.potential - y.potential) - (x1.potential - y1.potential);
        assert!(constants.abs() < 1e-12, "{law:?}");
        let found = only(&in_ratio(&sparse, None, law, None), Algorithmic).value;
        assert!(
            (found / expected - 1.0).abs() < 1e-9,
            "{law:?}: {found} {expected}"
        );
    }
    // ln erf' = ln(2/√π) - h².
    let x = output(&*functions[2], 0.4, 0.6).unwrap().potential;
    let y = output(&*linear, 0.4, 0.6).unwrap().potential;
    assert!((x - y - (1.0 - (2.0 / PI.sqrt()).ln())).abs() < 1e-12);
}

/// New signs: `arccos √(q/ρ)/π` for the best prediction, `arccos(q/ρ)/π` for one drawn from the posterior;
/// noise before the sign takes its share of `ρ`.
#[test]
fn labels_are_predicted_as_well_as_angles_tell() {
    let angle = |cosine: f64| cosine.acos() / PI;
    let sign = noiseless(Function::sign());
    for (q, v) in [
        (0.0, 1.3),
        (0.02, 1.28),
        (0.4, 0.9),
        (1.2, 0.1),
        (1.3, 1e-8),
        (1.3, 0.0),
    ] {
        let x = label_errors(&*sign, q, v).unwrap().unwrap();
        let best = (v / q).sqrt().atan() / PI; // cos² = q/(q + V), without the loss near 1
        assert!(
            (x.generalisation - best).abs() < 1e-10,
            "{q} {v}: {x:?} {best}"
        );
        // Two posterior samples differ in sign where V is small as √(2V/ρ)/π.
        let half = (v / (2.0 * q + v)).sqrt().atan() * 2.0 / PI;
        assert!((x.gibbs - half).abs() < 1e-10, "{q} {v}: {x:?} {half}");
        assert!((half - angle(q / (q + v))).abs() < 1e-7);
        let probit = Blurred::new(sign.clone(), 0.6).unwrap();
        let x = label_errors(&probit, q, v).unwrap().unwrap();
        let best = ((v + 0.6) / q).sqrt().atan() / PI;
        assert!(
            (x.generalisation - best).abs() < 1e-10,
            "{q} {v}: {x:?} {best}"
        );
    }
    // A door errs where it is crossed: against the same integral by bisection.
    let door = Noiseless::new(Function::door(0.7).unwrap());
    let (q, v) = (0.8, 0.2);
    let x = label_errors(&door, q, v).unwrap().unwrap();
    let inside = |t: f64| {
        let p = |end: f64| onsager_scalar::special::ndtr((end - q.sqrt() * t) / v.sqrt());
        p(0.7) - p(-0.7)
    };
    let density = onsager_scalar::special::normal_density;
    let best = |t: f64| density(t) * inside(t).min(1.0 - inside(t));
    let expected = onsager_scalar::quadrature::adaptive(best, -9.0, 9.0, 1e-12).unwrap();
    assert!(
        (x.generalisation - expected.value).abs() < 1e-10,
        "{x:?} {expected:?}"
    );
    // The logistic label of a known field: E [1/(1 + exp|h|)].
    let x = label_errors(&Logistic, 1.7, 0.0).unwrap().unwrap();
    let wrong = |t: f64| density(t) / (1.0 + (1.7f64.sqrt() * t.abs()).exp());
    let expected = onsager_scalar::quadrature::adaptive(wrong, 0.0, 9.0, 1e-12).unwrap();
    assert!(
        (x.generalisation - 2.0 * expected.value).abs() < 1e-10,
        "{x:?} {expected:?}"
    );
    assert!(
        label_errors(&*noiseless(Function::relu()), 0.5, 0.5)
            .unwrap()
            .is_none()
    );
}

/// The signs of a Gaussian signal: `A = α E g²` and `q = A/(1 + A)` by plain iteration, with
/// `E g² = E [φ(u)²/(Φ(u) Φ(-u))]/V`, `u = ω/√V`; a prediction carries the error of new labels.
#[test]
fn a_prediction_of_labels_carries_their_error() {
    let x = predict(&gaussian(), &noiseless(Function::sign()), 2.0).optimal;
    let mut q: f64 = 0.5;
    for _ in 0..200 {
        let u = |t: f64| (q / (1.0 - q)).sqrt() * t;
        let score = |t: f64| {
            use onsager_scalar::special::{ndtr, normal_density};
            let u = u(t);
            normal_density(t) * normal_density(u).powi(2) / (ndtr(u) * ndtr(-u)) / (1.0 - q)
        };
        let a = 2.0
            * onsager_scalar::quadrature::adaptive(score, -9.0, 9.0, 1e-12)
                .unwrap()
                .value;
        q = a / (1.0 + a);
    }
    assert!((x.overlap - q).abs() < 1e-8, "{x:?} {q}");
    let error = q.sqrt().acos() / PI;
    assert!(
        (x.generalisation_error.unwrap() - error).abs() < 1e-8,
        "{x:?} {error}"
    );
    let count = predict(
        &gaussian(),
        &(Arc::new(Poisson::exponential()) as Output),
        0.5,
    )
    .optimal;
    assert!(count.generalisation_error.is_none() && count.mutual_information.unwrap() > 0.0);
}

/// `lim E g²/q` against the average at a small overlap.
#[test]
fn a_first_overlap_grows_as_the_curvature_says() {
    for law in [
        noiseless(Function::abs()),
        noiseless(Function::door(0.7).unwrap()),
        additive(Function::abs(), 1e-3),
        additive(Function::door(0.5).unwrap(), 0.2),
    ] {
        let growth = output_growth(&*law, 1.3).unwrap();
        let ratio = |q: f64| output(&*law, q, 1.3 - q).unwrap().score / q;
        let limit = 2.0 * ratio(1e-5) - ratio(2e-5);
        // The next order is 1e-10 times the curvature of the ratio, of order 1/Δ.
        assert!(
            (limit / growth - 1.0).abs() < 1e-7,
            "{law:?}: {growth} {limit}"
        );
    }
    // E (1 - h²/r)²/r² = 2/r².
    let abs = output_growth(&*noiseless(Function::abs()), 1.3).unwrap();
    assert!((abs * 1.3 * 1.3 - 2.0).abs() < 1e-12);
}

/// A Gaussian signal measured linearly: the error solves `m = 1/(1 + α/(Δ + m))`, and the information
/// is the log-determinant `E ln(1 + t/Δ)/2` under the Marchenko-Pastur law of `AᵀA/p`.
#[test]
fn linear_measurements_of_a_gaussian_signal_are_a_log_determinant() {
    for (ratio, noise) in [(0.4, 0.1), (1.0, 0.01), (1.6, 0.5), (3.0, 1e-3)] {
        let x = predict(&gaussian(), &additive(Function::linear(), noise), ratio).optimal;
        let b: f64 = noise + ratio - 1.0;
        let mmse = 0.5 * ((b * b + 4.0 * noise).sqrt() - b);
        assert!((x.mmse / mmse - 1.0).abs() < 1e-9, "{} {mmse}", x.mmse);
        // t = 1 + α + 2√α cos θ: the density is smooth in θ, and the trapezoidal rule exact to rounding.
        let root = f64::sqrt(ratio);
        let term = |k: u32| {
            let theta = PI * (f64::from(k) + 0.5) / 20_000.0;
            let t = 1.0 + ratio + 2.0 * root * theta.cos();
            let density = 2.0 * ratio * theta.sin().powi(2) / (PI * t);
            density * 0.5 * (t / noise).ln_1p() * PI / 20_000.0
        };
        let information: f64 = (0..20_000).map(term).sum();
        let found = x.mutual_information.unwrap();
        assert!((found - information).abs() < 1e-10, "{found} {information}");
    }
}

/// Without noise the error is `1 - n/p`, and nothing is left from `n = p` on.
#[test]
fn exact_linear_measurements_determine_as_many_numbers() {
    let tree = tree(&gaussian(), None, &noiseless(Function::linear()), 1.0).unwrap();
    let ratios = [0.1, 0.5, 0.99, 1.01, 4.0];
    for point in sweep_ratio(&tree, &ratios).unwrap() {
        let expected = (1.0 - point.value).max(0.0);
        let x = point.prediction.algorithmic;
        assert!(
            (x.mmse - expected).abs() < 1e-9,
            "{}: {}",
            point.value,
            x.mmse
        );
        assert_eq!(x.perfect, point.value > 1.0);
        assert_eq!(x.mutual_information, None);
    }
    // At the threshold itself, and a rounding beside it, nothing is left.
    for ratio in [1.0, 1.0 - f64::EPSILON, 1.0 + f64::EPSILON] {
        assert!(
            sweep_ratio(&tree, &[ratio]).unwrap()[0]
                .prediction
                .algorithmic
                .perfect
        );
    }
}

/// Values of tests/reference/glm.py.
#[test]
fn thresholds_agree_with_the_reference() {
    let sparse: Arc<dyn Prior> = Arc::new(GaussBernoulli::new(0.2, 0.0, 1.0).unwrap());
    let binary: Arc<dyn Prior> = Arc::new(Rademacher);
    let linear = noiseless(Function::linear());
    let cases = [
        (
            &gaussian(),
            noiseless(Function::abs()),
            Algorithmic,
            1.128_471_406_67,
        ),
        (&sparse, linear.clone(), Algorithmic, 0.355_410_827_96),
        (&binary, linear, Algorithmic, 0.479_515_970_63),
        (
            &binary,
            noiseless(Function::sign()),
            Algorithmic,
            1.492_631_818_23,
        ),
        (
            &binary,
            noiseless(Function::sign()),
            InformationTheoretic,
            1.244_683_989_85,
        ),
    ];
    for (prior, output, kind, value) in cases {
        let found = in_ratio(prior, None, &output, None);
        let t = only(&found, kind);
        assert!((t.value - value).abs() < 1e-9, "{kind:?}: {t:?} {value}");
        assert_eq!(
            (t.easier, t.at, t.mmse_to),
            (Side::Above, Location::Perfect, 0.0)
        );
    }
}

/// Phase retrieval of a Gaussian signal: from 1/2 on something is known, from 1 on all could be,
/// and the phase in between is hard.
#[test]
fn phase_retrieval_of_a_gaussian_signal() {
    let found = in_ratio(&gaussian(), None, &noiseless(Function::abs()), None);
    assert_eq!(found.thresholds.len(), 4, "{found:?}");
    let value = |kind| only(&found, kind).value;
    assert!((value(WeakRecovery) - 0.5).abs() < 1e-12);
    assert_eq!((value(InformationTheoretic), value(Dynamical)), (1.0, 1.0));
    assert_eq!(found.hard_phases, [(1.0, value(Algorithmic))]);
    let prediction = predict(&gaussian(), &noiseless(Function::abs()), 1.05);
    assert!(prediction.optimal.perfect && prediction.algorithmic.mmse > 0.4);
}

/// Perfect recovery is a count of ranks: of the latent, of a relu layer, of the part of the outputs
/// that has a slope.
#[test]
fn perfect_recovery_counts_dimensions() {
    let optimal = |layer, output: Function| {
        let found = in_ratio(&gaussian(), layer, &noiseless(output), Some((0.05, 5.0)));
        only(&found, InformationTheoretic).value
    };
    let inner = 0.682_689_492_137_085_9; // P(|h| < 1)
    for (layer, output, expected) in [
        (Some((4.0, Function::relu())), Function::abs(), 0.25),
        (Some((1.25, Function::relu())), Function::linear(), 0.5),
        (Some((4.0, Function::linear())), Function::relu(), 0.5),
        (None, Function::relu(), 2.0),
        (None, Function::hard_tanh(), 1.0 / inner),
    ] {
        let found = optimal(layer, output);
        assert!((found / expected - 1.0).abs() < 1e-12, "{found} {expected}");
    }
    // A discrete signal has no dimension: one measurement in a million tells it, in principle.
    let sign = Some((2.0, Function::sign()));
    let found = in_ratio(&gaussian(), sign, &noiseless(Function::abs()), None);
    assert_eq!(only(&found, InformationTheoretic).value, 0.0);
    assert_eq!(found.hard_phases, [(0.0, only(&found, Algorithmic).value)]);
    // Bits never tell real numbers.
    let found = in_ratio(&gaussian(), None, &noiseless(Function::sign()), None);
    assert!(found.thresholds.is_empty() && found.hard_phases.is_empty());
}

/// A linear layer of aspect `a` and one of aspect `1/a` have the same algorithmic threshold per
/// dimension.
#[test]
fn linear_priors_are_dual() {
    let algorithmic = |aspect: f64| {
        let layer = Some((aspect, Function::linear()));
        let found = in_ratio(
            &gaussian(),
            layer,
            &noiseless(Function::abs()),
            Some((0.1, 3.0)),
        );
        only(&found, Algorithmic).value * aspect.max(1.0)
    };
    let (wide, narrow) = (algorithmic(2.0), algorithmic(0.5));
    assert!((wide / narrow - 1.0).abs() < 1e-8, "{wide} {narrow}");
    assert!((wide - 1.0563).abs() < 1e-4);
}

/// `α_c = ρ²/(2M)` without noise, with `M = ρ² + a κ⁴` for one layer.
#[test]
fn weak_recovery_knows_the_prior() {
    for (layer, susceptibility) in [
        ((2.0, Function::linear()), 3.0),
        ((3.0, Function::sign()), 1.0 + 3.0 * (2.0 / PI).powi(2)),
    ] {
        let found = in_ratio(
            &gaussian(),
            Some(layer),
            &noiseless(Function::abs()),
            Some((0.05, 0.4)),
        );
        let t = only(&found, WeakRecovery);
        assert!((t.value * 2.0 * susceptibility - 1.0).abs() < 1e-9, "{t:?}");
        assert_eq!(t.variable.as_deref(), Some("x"));
    }
}

/// Binary signals behind a balanced door: each output is worth one bit until all are known, so that
/// potentials tie at exactly one measurement per unknown.
#[test]
fn a_balanced_door_tells_one_bit() {
    let width = 0.674_489_750_196_081_7; // P(|h| < width) = 1/2
    let binary: Arc<dyn Prior> = Arc::new(Rademacher);
    let found = in_ratio(
        &binary,
        None,
        &noiseless(Function::door(width).unwrap()),
        Some((0.5, 3.0)),
    );
    assert!((only(&found, InformationTheoretic).value - 1.0).abs() < 1e-9);
    let information = |x: &onsager_replica::FixedPoint| x.mutual_information.unwrap();
    let known = predict(&binary, &noiseless(Function::sign()), 1.4).optimal;
    assert!(known.perfect && (information(&known) - 2f64.ln()).abs() < 1e-12);
}

/// With noise both routes to the optimal threshold exist; and the noise at which it is met at that
/// ratio is the noise of the model.
#[test]
fn potentials_areas_and_noises_agree() {
    let noise = 1e-3;
    let found = in_ratio(
        &gaussian(),
        None,
        &additive(Function::abs(), noise),
        Some((0.9, 1.3)),
    );
    let t = only(&found, InformationTheoretic);
    let tree = tree(&gaussian(), None, &additive(Function::abs(), noise), 1.1).unwrap();
    let chain = StateEvolution::new(&tree).unwrap();
    assert_eq!(chain.key(), Key::SamplingRatio);
    let areas = chain
        .equal_areas(&chain.curve(Some((0.7, 1.2))).unwrap())
        .unwrap();
    assert_eq!(areas.len(), 1);
    assert!(
        (areas[0].noise * t.value - 1.0).abs() < 1e-8,
        "{areas:?} {t:?}"
    );

    let family = |noise: f64| {
        let abs = Additive::new(Arc::new(Function::abs()), noise)?;
        Chain::new(gaussian()).glm(t.value, Arc::new(abs))
    };
    let found = thresholds(&family, Some((7e-4, 1.4e-3)), Key::Noise).unwrap();
    let back = only(&found, InformationTheoretic);
    assert!((back.value / noise - 1.0).abs() < 1e-6, "{back:?}");
    assert_eq!(back.easier, Side::Below);
}

/// `di/d(1/Δ) = (α/2) Δ V/(Δ + V)` for linear measurements of any signal.
#[test]
fn the_slope_of_the_information_is_the_error_of_the_measurements() {
    let sparse: Arc<dyn Prior> = Arc::new(GaussBernoulli::new(0.2, 0.0, 1.0).unwrap());
    let at = |snr: f64| predict(&sparse, &additive(Function::linear(), 1.0 / snr), 0.6).optimal;
    let information = |snr: f64| at(snr).mutual_information.unwrap();
    let central = |d: f64| (information(50.0 + d) - information(50.0 - d)) / (2.0 * d);
    let slope = (4.0 * central(0.05) - central(0.1)) / 3.0;
    let v = at(50.0).mmse;
    let expected = 0.3 * 0.02 * v / (0.02 + v);
    assert!((slope / expected - 1.0).abs() < 1e-7, "{slope} {expected}");
}

/// `di/dα = Ψ_y(ρ, 0) - Ψ_y(q, V)`: what one more output tells at the fixed point, for outputs whose
/// information is finite.
#[test]
fn the_slope_of_the_information_is_what_one_more_output_tells() {
    let probit = Blurred::new(noiseless(Function::sign()), 0.3).unwrap();
    let outputs: Vec<Output> = vec![
        additive(Function::linear(), 0.1),
        additive(Function::relu(), 0.05),
        noiseless(Function::sign()),
        noiseless(Function::door(0.7).unwrap()),
        Arc::new(probit),
        Arc::new(Logistic),
        Arc::new(Poisson::rectified()),
        Arc::new(Poisson::exponential()),
    ];
    let sparse: Arc<dyn Prior> = Arc::new(GaussBernoulli::new(0.3, 0.5, 1.0).unwrap());
    let relu = Some((1.5, Function::relu()));
    let cases = outputs.iter().map(|law| (&sparse, None, law));
    for (prior, layer, law) in cases.chain([(&gaussian(), relu, &outputs[5])]) {
        let at = |ratios: &[f64]| -> Vec<_> {
            let tree = tree(prior, layer.clone(), law, 1.0).unwrap();
            let points = sweep_ratio(&tree, ratios).unwrap();
            points
                .into_iter()
                .map(|point| point.prediction.optimal)
                .collect()
        };
        let [a, b, here, c, d] = &at(&[0.78, 0.79, 0.8, 0.81, 0.82])[..] else {
            panic!("five ratios")
        };
        let information = |x: &onsager_replica::FixedPoint| x.mutual_information.unwrap();
        let central = |x, y, d: f64| (information(y) - information(x)) / (2.0 * d);
        let slope = (4.0 * central(b, c, 0.01) - central(a, d, 0.02)) / 3.0;
        // Ψ_y(ρ, 0) from the first output of all, which the next test knows.
        let first = &at(&[1e-7])[0];
        let potential =
            |x: &onsager_replica::FixedPoint| output(&**law, x.overlap, x.mmse).unwrap().potential;
        let expected = information(first) / 1e-7 + potential(first) - potential(here);
        assert!(
            (slope / expected - 1.0).abs() < 1e-6,
            "{law:?}: {slope} {expected}"
        );
    }
}

/// Of few outputs none tells what another has told: `i/α` tends to `I(y; h)`, `h` a field of variance `ρ`, by plain
/// integrals over the field and sums over outputs.
#[test]
fn a_first_output_tells_what_a_scalar_channel_does() {
    use onsager_scalar::special::{ndtr, normal_density};
    let (variance, few) = (0.25, 1e-7);
    let counts = |rate: f64| {
        let next = move |p: &mut f64, y: u32| {
            *p *= if y == 0 { 1.0 } else { rate / f64::from(y) };
            Some(*p)
        };
        (0..300).scan((-rate).exp(), next).collect()
    };
    type Chances<'a> = Box<dyn Fn(f64) -> Vec<f64> + 'a>;
    let probit = Blurred::new(noiseless(Function::sign()), 0.3).unwrap();
    let cases: [(Output, Chances); 4] = [
        (
            Arc::new(Logistic),
            Box::new(|h| [h, -h].map(|h| 1.0 / (1.0 + (-h).exp())).into()),
        ),
        (
            Arc::new(probit),
            Box::new(|h| [h, -h].map(|h| ndtr(h / 0.3f64.sqrt())).into()),
        ),
        (
            Arc::new(Poisson::rectified()),
            Box::new(move |h| counts(h.max(0.0))),
        ),
        (
            Arc::new(Poisson::exponential()),
            Box::new(move |h| counts(h.exp())),
        ),
    ];
    let entropy = |p: &[f64]| -> f64 { p.iter().filter(|p| **p > 0.0).map(|p| -p * p.ln()).sum() };
    let prior: Arc<dyn Prior> = Arc::new(Gaussian::new(0.0, variance).unwrap());
    for (law, chances) in cases {
        // Gauss's rule on panels with an edge at zero, the kink of a rectified mean.
        let rule = onsager_scalar::quadrature::Rule::new(12).unwrap();
        let (mut noise, mut marginal) = (0.0, vec![0.0; 300]);
        for (z, w) in (-18..18).flat_map(|i| rule.on(0.5 * f64::from(i), 0.5 * f64::from(i + 1))) {
            let weight = w * normal_density(z);
            let p = chances(variance.sqrt() * z);
            noise += weight * entropy(&p);
            marginal
                .iter_mut()
                .zip(&p)
                .for_each(|(sum, p)| *sum += weight * p);
        }
        let expected = entropy(&marginal) - noise;
        let found = predict(&prior, &law, few)
            .optimal
            .mutual_information
            .unwrap()
            / few;
        // The next order is α times a number of order one.
        assert!(
            (found / expected - 1.0).abs() < 1e-5,
            "{law:?}: {found} {expected}"
        );
    }
}

/// A function of an activation keeps the noise that it has before its output.
#[test]
fn noise_before_a_sign_is_a_probit() {
    let (q, v, noise) = (0.4, 0.6, 0.5);
    let probit = Blurred::new(noiseless(Function::sign()), noise).unwrap();
    let x = output(&probit, q, v).unwrap();
    let wide = output(&Noiseless::new(Function::sign()), q, v + noise).unwrap();
    assert_eq!(x.score, wide.score);
    // E Var h = V - V² E g².
    assert!((x.field_mmse - (v - v * v * x.score)).abs() < 1e-10);
    assert!(Function::sign().is_discontinuous());
}

/// Exact measurements of a known signal make messages of any strength: it stays known.
#[test]
fn a_known_signal_stays_known() {
    let priors: [Arc<dyn Prior>; 4] = [
        Arc::new(Rademacher),
        Arc::new(Mixture::rademacher_bernoulli(0.9).unwrap()),
        Arc::new(Mixture::bernoulli(0.1).unwrap()),
        Arc::new(GaussBernoulli::new(0.2, 0.0, 1.0).unwrap()),
    ];
    for prior in &priors {
        for phi in [Function::linear(), Function::abs()] {
            let tree = tree(prior, None, &noiseless(phi), 1.5).unwrap();
            let run = trajectory(&tree, &Start::Informed, 3).unwrap();
            let rho = prior.second_moment();
            let left = run.steps.iter().map(|step| step.mmse / rho);
            assert!(left.clone().all(|e| (0.0..1e-12).contains(&e)), "{run:?}");
        }
    }
}

/// At a threshold without noise, and a rounding beside it, one of its two sides is predicted.
#[test]
fn predictions_exist_at_thresholds_themselves() {
    let binary: Arc<dyn Prior> = Arc::new(Rademacher);
    let unequal: Arc<dyn Prior> = Arc::new(Mixture::bernoulli(0.2).unwrap());
    let sparse: Arc<dyn Prior> = Arc::new(GaussBernoulli::new(0.2, 0.0, 1.0).unwrap());
    let cases = [
        (&binary, Function::linear()),
        (&binary, Function::sign()),
        (&unequal, Function::linear()),
        (&sparse, Function::linear()),
    ];
    for (prior, phi) in cases {
        let output = noiseless(phi);
        let found = in_ratio(prior, None, &output, None);
        let is_jump = |t: &&Threshold| t.value > 0.0 && t.kind != Dynamical;
        for t in found.thresholds.iter().filter(is_jump) {
            for aside in [-f64::EPSILON, 0.0, f64::EPSILON] {
                let ratio = t.value * (1.0 + aside);
                let tree = tree(prior, None, &output, ratio).unwrap();
                let at = StateEvolution::new(&tree).unwrap().predict().unwrap();
                let error = match t.kind {
                    InformationTheoretic => at.optimal.mmse,
                    _ => at.algorithmic.mmse,
                };
                // Next to a fold errors differ by the root of the distance.
                let is_side = |side: f64| (error - side).abs() < 1e-4;
                assert!(is_side(t.mmse_from) || is_side(t.mmse_to), "{t:?}: {error}");
            }
        }
    }
}

/// Binary signals seen linearly with noise `Δ`: `n/p = A (Δ + mmse(A))` along the curve, whose extrema are
/// the spinodals, and `i = I(A) + n/2p (ln(1 + m/Δ) - m/(Δ + m))`, equal at the threshold of information.
#[test]
fn weak_noise_leaves_a_hard_phase_of_binary_signals() {
    let noise = 1e-4;
    // Trapezoidal sums, exact to rounding for analytic functions.
    let mean = |f: &dyn Fn(f64) -> f64| {
        let at = |i: i32| {
            let z = 0.01 * f64::from(i);
            0.01 * f(z) * (-0.5 * z * z).exp()
        };
        (-1000..=1000).map(at).sum::<f64>() / (2.0 * PI).sqrt()
    };
    let mmse = |a: f64| mean(&|z: f64| 1.0 - (a + a.sqrt() * z).tanh());
    let ratio = |a: f64| a * (noise + mmse(a));
    let slope = |a: f64| (ratio(a * 1.001) - ratio(a * 0.999)) / (0.002 * a);
    let binary: Arc<dyn Prior> = Arc::new(Rademacher);
    let output = additive(Function::linear(), noise);
    for range in [None, Some((1e-3, 10.0)), Some((0.1, 1.0)), Some((0.4, 0.6))] {
        let found = in_ratio(&binary, None, &output, range);
        let (low, high) = range.unwrap_or((0.0, f64::INFINITY));
        let easy = only(&found, Algorithmic);
        // The root of the slope between 1 and 3, and the value there to second order.
        let (mut a, mut b) = (1.0, 3.0);
        for _ in 0..40 {
            let middle = 0.5 * (a + b);
            if slope(middle) > 0.0 {
                a = middle
            } else {
                b = middle
            }
        }
        assert!((easy.value / ratio(a) - 1.0).abs() < 1e-6, "{easy:?}");
        assert_eq!(easy.mmse_to, 0.0);
        let ends = found.thresholds.iter().filter(|t| t.kind == Dynamical);
        let ends: Vec<f64> = ends.map(|t| t.value).collect();
        if low < 0.002 {
            let (mut a, mut b) = (5.0, 100.0);
            for _ in 0..40 {
                let middle = 0.5 * (a + b);
                if slope(middle) < 0.0 {
                    a = middle
                } else {
                    b = middle
                }
            }
            assert!((ends[0] / ratio(a) - 1.0).abs() < 1e-6, "{ends:?}");
        }
        assert_eq!(ends.len(), usize::from(low < 0.002));
        if low > 0.2 {
            assert_eq!(found.hard_phases.len(), 1);
            let (from, to) = found.hard_phases[0];
            assert!((from - low).abs() < 1e-12 && to == easy.value && to < high);
            continue;
        }
        let possible = only(&found, InformationTheoretic).value;
        assert_eq!(found.hard_phases, [(possible, easy.value)]);
        let mut m = 1.0;
        for _ in 0..200 {
            m = mmse(possible / (noise + m));
        }
        let a = possible / (noise + m);
        let told = mean(&|z: f64| {
            let b = (a + a.sqrt() * z).abs();
            a - b - (-2.0 * b).exp().ln_1p() + 2f64.ln()
        });
        let information = told + 0.5 * possible * ((1.0 + m / noise).ln() - m / (noise + m));
        assert!((information - 2f64.ln()).abs() < 1e-9, "{information}");
        // A tenth of a measurement tells 0.05 ln(1/Δ) < ln 2: the optimal error is not zero there.
        assert!(possible > 0.1);
    }
}

/// With less noise than the ratio that is followed allows, nothing is claimed from where its message is
/// stronger.
#[test]
fn too_weak_noise_is_refused() {
    let binary: Arc<dyn Prior> = Arc::new(Rademacher);
    for (prior, phi) in [
        (&binary, Function::linear()),
        (&gaussian(), Function::abs()),
    ] {
        let output = additive(phi, 1e-13);
        let family = |ratio: f64| tree(prior, None, &output, ratio);
        let found = thresholds(&family, Some((0.1, 3.0)), Key::SamplingRatio);
        assert!(matches!(found, Err(ReplicaError::Lost { .. })), "{found:?}");
        let chain = StateEvolution::new(&family(1.2).unwrap()).unwrap();
        assert!(matches!(chain.predict(), Err(ReplicaError::Lost { .. })));
    }
}

/// A jump tells the sign of a field however small what is left to know of it, also under noise: discrete signals
/// that are known stay known.
#[test]
fn a_jump_under_noise_freezes_a_discrete_signal() {
    for (phi, freezes) in [(Function::sign(), true), (Function::relu(), false)] {
        let tree = Chain::new(Arc::new(Rademacher)).glm(4.0, additive(phi, 0.25));
        let chain = StateEvolution::new(&tree.unwrap()).unwrap();
        let found = chain.predict().unwrap().fixed_points;
        let last = found.last().unwrap();
        assert_eq!(last.perfect && last.stable, freezes, "{found:?}");
        if freezes {
            let information = last.mutual_information.unwrap();
            assert!((information - 2f64.ln()).abs() < 1e-12, "{information}");
        }
    }
}

#[test]
fn constant_outputs_tell_nothing() {
    let output = noiseless(Function::door(50.0).unwrap());
    let prior = GaussBernoulli::new(0.5, 1.0, 2.0).unwrap();
    let tree = Chain::new(Arc::new(prior)).glm(1.0, output).unwrap();
    let found = StateEvolution::new(&tree).unwrap().predict().unwrap();
    let [point] = &found.fixed_points[..] else {
        panic!("{found:?}")
    };
    let information = point.mutual_information.unwrap();
    for (x, y) in [
        (point.overlap, 0.25),
        (point.mmse, 1.25),
        (information, 0.0),
    ] {
        assert!((x - y).abs() < 1e-12, "{point:?}");
    }
}

/// Labels that change once in 1e14 measurements, of moduli of a field of which nothing can be told: the prior
/// remains, beside zero overlap of the latent.
#[test]
fn outputs_that_hardly_ever_change_leave_the_prior() {
    let label = additive(broken(1.5, (0.0, 0.0), (1.0, 0.0)), 0.04);
    let tree = Chain::new(Arc::new(Gaussian::new(0.0, 0.04).unwrap()))
        .layer(1.0, Arc::new(Function::abs()))
        .glm(1.0, label)
        .unwrap();
    let found = StateEvolution::new(&tree).unwrap().predict().unwrap();
    let variance = 0.04 * (1.0 - 2.0 / PI);
    assert_eq!(found.fixed_points.len(), 1);
    assert!((found.optimal.mmse / variance - 1.0).abs() < 1e-9);
}

/// Outputs that differ for one field in 1e19 only: of moduli of no sign, of a slope that would tell the field, and
/// behind noise.
#[test]
fn outputs_beyond_all_fields_leave_the_prior() {
    let sparse: Arc<dyn Prior> = Arc::new(Mixture::rademacher_bernoulli(0.1).unwrap());
    let door = || Function::door(14.6).unwrap();
    let blurred = Blurred::new(noiseless(door()), 1.0).unwrap();
    let outputs: [Arc<dyn Likelihood>; 4] = [
        noiseless(broken(2.9, (-0.7, 0.0), (0.0, 3.0))),
        additive(door(), 0.4),
        noiseless(door()),
        Arc::new(blurred),
    ];
    for output in outputs {
        let family = |ratio: f64| tree(&sparse, None, &output, ratio);
        let found = StateEvolution::new(&family(12.0).unwrap()).unwrap();
        let found = found.predict().unwrap();
        let [point] = &found.fixed_points[..] else {
            panic!("{found:?}")
        };
        let information = point.mutual_information.unwrap();
        assert!(
            point.overlap == 0.0 && (point.mmse - 0.1).abs() < 1e-12,
            "{point:?}"
        );
        assert!(information.abs() < 1e-12 && !point.perfect, "{point:?}");
        let all = thresholds(&family, Some((0.1, 10.0)), Key::SamplingRatio).unwrap();
        assert!(all.thresholds.is_empty(), "{all:?}");
    }
}

/// The same within a chain: a layer that changes for one field in 1e10, above moduli of no sign, sends down less
/// than any curve beside zero overlap is followed for.
#[test]
fn layers_that_hardly_ever_change_leave_the_prior() {
    for edge in [1.2, 1.3, 1.4, 1.5] {
        let tree = Chain::new(Arc::new(Gaussian::new(0.0, 0.04).unwrap()))
            .layer(1.0, Arc::new(Function::abs()))
            .layer(1.0, Arc::new(broken(edge, (0.0, 0.0), (1.0, 0.0))))
            .glm(1.0, additive(Function::linear(), 0.04))
            .unwrap();
        let found = StateEvolution::new(&tree).unwrap().predict().unwrap();
        let latent = &found.optimal.variables["z"];
        assert!((latent.mmse - 0.04).abs() < 1e-9, "{found:?}");
    }
}
