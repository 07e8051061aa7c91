//! Symmetries, honesty about failure, errors, degenerate sizes.

mod common;

use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use common::{draw, layer, problem};
use nalgebra::DMatrix;
use onsager_amp::{
    AmpError, Damping, Diagonal, Posterior, Problem, Schedule, Settings, Start, Step, Stop,
    Variances, infer, infer_observed, spectral,
};
use onsager_model::{Chain, Instance, Tree};
use onsager_operators::{
    Between, Dense, Identity, LinearOperator, OperatorError, Shape, Symmetric,
};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Rademacher};
use proptest::prelude::*;

fn sign_tree(noise: f64) -> Tree {
    layer(2.0, PiecewiseLinear::sign())
        .spiked_wigner(noise)
        .unwrap()
}

/// A fixed number of sweeps from given moments of the signal.
fn sweeps(start: DMatrix<f64>, n: usize) -> Settings {
    let variance = Diagonal::Shared(vec![0.9; start.ncols()]);
    let mean = start;
    Settings {
        start: Start::Given(vec![("x".to_string(), Posterior { mean, variance })]),
        tolerance: 0.0,
        max_iterations: n,
        damping: Damping::Fixed(1.0),
        ..Settings::default()
    }
}

fn ramp(p: usize) -> DMatrix<f64> {
    DMatrix::from_fn(p, 1, |i, _| (0.7 * i as f64).sin())
}

#[test]
fn a_global_flip_of_the_start_flips_the_estimate() {
    let problem = problem(&sign_tree(0.5), 200, 1);
    let one = infer(&problem, &sweeps(ramp(200), 15)).unwrap();
    let two = infer(&problem, &sweeps(-ramp(200), 15)).unwrap();
    // Odd functions and products are odd to the last bit but for log-sum-exp of swapped terms.
    assert!((&one.estimate + &two.estimate).norm() < 1e-9 * one.estimate.norm());
}

/// Counts how often a matrix was read for both products at once.
struct Reads(Dense, AtomicU64);

impl LinearOperator for Reads {
    fn shape(&self) -> Shape {
        self.0.shape()
    }
    fn apply_column(&self, x: &[f64], y: &mut [f64]) {
        self.0.apply_column(x, y)
    }
    fn apply_adjoint_column(&self, x: &[f64], y: &mut [f64]) {
        self.0.apply_adjoint_column(x, y)
    }
    fn bytes(&self) -> usize {
        self.0.bytes()
    }
    fn apply_through(&self, x: &[f64], g: &Between<'_, f64>, kept: &mut [f64], y: &mut [f64]) {
        self.1.fetch_add(1, Relaxed);
        self.0.apply_through(x, g, kept, y)
    }
    fn apply_squared_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        self.0.apply_squared_column(x, y)
    }
    fn apply_squared_adjoint_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        self.0.apply_squared_adjoint_column(x, y)
    }
}

#[test]
fn one_pass_over_the_weights_gives_the_bits_of_three_steps() {
    let relu = Arc::new(PiecewiseLinear::relu());
    let tree = layer(0.8, PiecewiseLinear::sign())
        .layer(1.7, relu)
        .spiked_wigner(0.3)
        .unwrap();
    let drawn = draw(&tree, 170, 31);
    let mut given = Instance::given(&tree, drawn.sizes()).unwrap();
    let mut weights = Vec::new();
    for f in 0..tree.factors().len() {
        let Some(matrix) = drawn.operator(f) else {
            continue;
        };
        let n = matrix.shape().columns;
        let full = matrix.apply(&DMatrix::identity(n, n)).unwrap();
        let reads = Arc::new(Reads(Dense::from_matrix(&full).unwrap(), AtomicU64::new(0)));
        given = given.operator(f, reads.clone()).unwrap();
        weights.push(reads);
    }
    let problem = Problem::new(&tree, &given.build().unwrap()).unwrap();
    // The same steps; but the activations name their outer variable first, and no pass is made.
    let default = Schedule::of(&tree);
    let mut steps = default.steps().to_vec();
    let activations = steps.iter_mut().filter(|s| s.targets == [0, 1]);
    activations.for_each(|s| s.targets.reverse());
    let apart = Schedule::new(&tree, steps).unwrap();
    let run = |schedule: &Schedule, damping, variances| {
        let settings = Settings {
            schedule: Some(schedule.clone()),
            max_iterations: 8,
            damping,
            variances,
            ..Settings::default()
        };
        let before: u64 = weights.iter().map(|w| w.1.load(Relaxed)).sum();
        let outcome = infer(&problem, &settings).unwrap();
        let reads = weights.iter().map(|w| w.1.load(Relaxed)).sum::<u64>() - before;
        let variables = outcome.variables.iter();
        let moments: Vec<_> = variables
            .map(|v| (v.mean.clone(), v.variance.clone()))
            .collect();
        (
            reads,
            (moments, outcome.trace, outcome.evidence, outcome.products),
        )
    };
    let plain = Damping::Fixed(1.0);
    let (joint, three) = (
        run(&default, plain, Variances::Shared),
        run(&apart, plain, Variances::Shared),
    );
    assert_eq!((joint.0, three.0), (2 * 8, 0)); // two layers, eight sweeps
    assert_eq!(joint.1, three.1);
    // Damped messages and one variance per component need three steps.
    assert_eq!(run(&default, Damping::Fixed(0.5), Variances::Shared).0, 0);
    assert_eq!(run(&default, plain, Variances::PerComponent).0, 0);
}

#[test]
fn relabelling_components_relabels_the_estimate() {
    let (p, k) = (120, 60);
    let tree = sign_tree(0.5);
    let instance = draw(&tree, p, 2);
    let full = |f: usize| {
        let a = instance.operator(f).unwrap();
        let n = a.shape().columns;
        a.apply(&DMatrix::identity(n, n)).unwrap()
    };
    let (w, y) = (full(1), full(3));
    // 7 and 11 are units modulo 120 and 60.
    let (rows, columns) = (|i: usize| i * 7 % p, |j: usize| j * 11 % k);
    let w2 = DMatrix::from_fn(p, k, |i, j| w[(rows(i), columns(j))]);
    let y2 = Symmetric::from_fn(p, |i, j| y[(rows(i).max(rows(j)), rows(i).min(rows(j)))]).unwrap();
    let other = Instance::given(&tree, instance.sizes()).unwrap();
    let other = other
        .operator(1, Arc::new(Dense::from_matrix(&w2).unwrap()))
        .unwrap();
    let other = other.operator(3, Arc::new(y2)).unwrap().build().unwrap();

    let start = ramp(p);
    let moved = DMatrix::from_fn(p, 1, |i, _| start[rows(i)]);
    let one = infer(&Problem::new(&tree, &instance).unwrap(), &sweeps(start, 10)).unwrap();
    let two = infer(&Problem::new(&tree, &other).unwrap(), &sweeps(moved, 10)).unwrap();
    let expected = DMatrix::from_fn(p, 1, |i, _| one.estimate[rows(i)]);
    // Sums in another order, amplified over ten sweeps.
    assert!((expected - two.estimate).norm() < 1e-8 * one.estimate.norm());
}

#[test]
fn three_problems_side_by_side_are_three_problems() {
    let tree = layer(2.0, PiecewiseLinear::relu()).denoising(0.2).unwrap();
    let first = draw(&tree, 100, 1);
    let instances: Vec<Instance> = (0..3)
        .map(|t| {
            let y = draw(&tree, 100, 10 + t).data(3).unwrap().to_vec();
            let given = Instance::given(&tree, first.sizes()).unwrap();
            let given = given
                .operator(1, first.operator(1).unwrap().clone())
                .unwrap();
            given.data(3, y).unwrap().build().unwrap()
        })
        .collect();
    let settings = Settings {
        start: Start::Mean,
        tolerance: 0.0,
        max_iterations: 30,
        ..Settings::default()
    };
    let all: Vec<&Instance> = instances.iter().collect();
    let together = infer(&Problem::stacked(&tree, &all).unwrap(), &settings).unwrap();
    let mut evidence = 0.0;
    for (t, instance) in instances.iter().enumerate() {
        let alone = infer(&Problem::new(&tree, instance).unwrap(), &settings).unwrap();
        assert_eq!(alone.estimate.column(0), together.estimate.column(t));
        evidence += alone.evidence.unwrap() / 3.0;
    }
    assert!((evidence - together.evidence.unwrap()).abs() < 1e-12);
}

#[test]
fn the_trivial_point_is_reported_as_such() {
    let problem = problem(&sign_tree(4.0), 300, 1);
    let settings = Settings::default();
    let found = infer(&problem, &settings).unwrap();
    assert_eq!((found.stop, found.trivial), (Stop::Trivial, true));
    // Starting on the unstable point below the threshold ends there too, and says so.
    let mean = Settings {
        start: Start::Mean,
        ..Settings::default()
    };
    let easy = common::problem(&sign_tree(0.3), 300, 1);
    assert_eq!(infer(&easy, &mean).unwrap().stop, Stop::Trivial);
    // A tiny random vector leaves it.
    let found = infer(&easy, &settings).unwrap();
    assert_eq!((found.stop, found.trivial), (Stop::Converged, false));
    assert_eq!(found.first_damped, None);
    assert!(found.overlap.unwrap() > 0.5);
}

#[test]
fn data_that_overflow_are_a_divergence_with_finite_numbers() {
    let tree = layer(2.0, PiecewiseLinear::relu()).denoising(0.5).unwrap();
    let instance = draw(&tree, 50, 1);
    let given = Instance::given(&tree, instance.sizes()).unwrap();
    let given = given
        .operator(1, instance.operator(1).unwrap().clone())
        .unwrap();
    let given = given.data(3, vec![1e200; 50]).unwrap().build().unwrap();
    let found = infer(&Problem::new(&tree, &given).unwrap(), &Settings::default()).unwrap();
    assert_eq!((found.stop, found.evidence), (Stop::Diverged, None));
    assert!(found.estimate.iter().all(|x| x.is_finite()));
    assert!(found.claimed_mse.is_finite() && found.nishimori_gap.is_finite());
}

#[test]
fn a_student_who_believes_in_too_little_noise_is_seen_off_the_nishimori_line() {
    let truth = layer(0.5, PiecewiseLinear::linear())
        .spiked_wigner(5.0)
        .unwrap();
    let student = layer(0.5, PiecewiseLinear::linear())
        .spiked_wigner(0.1)
        .unwrap();
    let instance = draw(&truth, 400, 1);
    let found = infer(
        &Problem::new(&student, &instance).unwrap(),
        &Settings::default(),
    )
    .unwrap();
    println!("{:?} {} {:?}", found.stop, found.claimed_mse, found.mse);
    assert!(found.estimate.iter().all(|x| x.is_finite()));
    // It claims to know the signal, and does not.
    assert!(found.mse.unwrap() > 2.0 * found.claimed_mse);
    assert!(found.nishimori_gap.abs() > 1.0);
}

#[test]
fn restarts_keep_the_best_evidence() {
    let problem = problem(&sign_tree(0.5), 200, 4);
    let run = |restarts, seed| {
        let settings = Settings {
            restarts,
            seed: onsager_ensembles::Seed(seed),
            ..Settings::default()
        };
        infer(&problem, &settings).unwrap()
    };
    let (one, three) = (run(0, 1), run(2, 1));
    assert!(three.evidence >= one.evidence);
    assert!(three.products > 2 * one.products);
}

#[test]
fn an_observer_sees_every_sweep_and_may_stop() {
    let problem = problem(&sign_tree(0.5), 100, 1);
    let mut seen = 0;
    let found = infer_observed(&problem, &Settings::default(), &mut |iteration| {
        assert_eq!(iteration.record.iteration, seen);
        assert_eq!(iteration.posterior("z").unwrap().mean.nrows(), 50);
        seen += 1;
        if seen == 4 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    });
    let found = found.unwrap();
    assert_eq!(
        (found.stop, found.iterations, seen),
        (Stop::Interrupted, 3, 4)
    );
    assert_eq!(found.trace.len(), 4);
}

#[test]
fn products_are_counted() {
    let problem = problem(&sign_tree(0.5), 60, 1);
    let settings = sweeps(ramp(60), 7);
    // Per sweep Y, W and Wᵀ; the evidence takes Y and W once more.
    assert_eq!(infer(&problem, &settings).unwrap().products, 7 * 3 + 2);
}

#[test]
fn wrong_input_is_refused() {
    let tree = sign_tree(0.5);
    let instance = draw(&tree, 40, 1);
    let unknown = Instance::given(&tree, instance.sizes()).unwrap();
    let unknown = unknown
        .operator(1, instance.operator(1).unwrap().clone())
        .unwrap();
    let unknown = unknown
        .operator(3, instance.operator(3).unwrap().clone())
        .unwrap();
    let unknown = Problem::new(&tree, &unknown.build().unwrap()).unwrap();
    let with = |start| Settings {
        start,
        ..Settings::default()
    };
    let error = infer(&unknown, &with(Start::Informed)).unwrap_err();
    assert_eq!(error, AmpError::TruthUnknown("z".to_string()));
    let error = infer(&unknown, &with(Start::SideInformation { snr: 1.0 })).unwrap_err();
    assert_eq!(error, AmpError::TruthUnknown("x".to_string()));
    let error = infer(&unknown, &with(Start::SideInformation { snr: -1.0 })).unwrap_err();
    assert_eq!(
        error.to_string(),
        "snr must be finite and at least 0, got -1"
    );
    let flat = Posterior::constant(40, 1, 0.0, 1.0);
    let error = infer(&unknown, &with(Start::Given(vec![("w".to_string(), flat)]))).unwrap_err();
    assert_eq!(error.to_string(), "no variable is named \"w\"");
    let short = Posterior::constant(39, 1, 0.0, 1.0);
    let error = infer(
        &unknown,
        &with(Start::Given(vec![("x".to_string(), short)])),
    )
    .unwrap_err();
    assert!(matches!(error, AmpError::Shape { .. }));
    let error = infer(
        &unknown,
        &Settings {
            damping: Damping::Fixed(0.0),
            ..Settings::default()
        },
    );
    assert_eq!(
        error.unwrap_err().to_string(),
        "step must be in (0, 1], got 0"
    );

    let beyond = Step {
        factor: 3,
        targets: vec![1],
    };
    let error = Schedule::new(&tree, vec![beyond]).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("target of a schedule step must be below")
    );

    let relu = layer(2.0, PiecewiseLinear::relu())
        .spiked_wigner(0.5)
        .unwrap();
    let settings = Settings {
        start: Start::Spectral,
        ..Settings::default()
    };
    let error = infer(&problem(&relu, 40, 1), &settings).unwrap_err();
    assert!(
        error.to_string().ends_with("is not supported yet"),
        "{error}"
    );
    let denoising = layer(2.0, PiecewiseLinear::sign()).denoising(0.5).unwrap();
    assert!(spectral::pca(&problem(&denoising, 40, 1)).is_err());
}

#[test]
fn a_start_names_the_left_factor_it_does_not_cover() {
    let rectified = layer(2.0, PiecewiseLinear::relu());
    let shifted = Chain::new(Arc::new(Gaussian::new(0.5, 1.0).unwrap()));
    for left in [rectified, shifted] {
        let tree = layer(2.0, PiecewiseLinear::sign()).spiked_wishart(0.5, 1.5, left);
        let problem = problem(&tree.unwrap(), 40, 1);
        let expected = "a start around zero of \"u\", whose mean is not zero, is not supported yet";
        let settings = Settings {
            start: Start::Spectral,
            ..Settings::default()
        };
        let error = infer(&problem, &settings).map(|_| ()).unwrap_err();
        assert_eq!(error.to_string(), expected);
        // The spectral methods themselves do not care.
        assert!(spectral::lamp(&problem).unwrap().converged);
        assert!(spectral::pca(&problem).unwrap().converged);
    }
    let spiked = |noise, left| spectral::SpikedMatrix {
        matrix: Arc::new(Dense::new(Shape::new(2, 3), vec![1.0; 6]).unwrap()),
        noise,
        left,
    };
    let identity = Identity { size: 3 };
    let refused = |noise, left, k: &Identity, rho| {
        let found = spectral::lamp_with(&spiked(noise, left), k, rho);
        found.map(|_| ()).unwrap_err().to_string()
    };
    assert_eq!(
        refused(-1.0, Some(1.0), &identity, 1.0),
        "noise must be finite and positive, got -1"
    );
    assert_eq!(
        refused(1.0, Some(0.0), &identity, 1.0),
        "second moment of the left factor must be finite and positive, got 0"
    );
    assert!(refused(1.0, Some(1.0), &identity, f64::NAN).contains("got NaN"));
    assert!(refused(1.0, Some(1.0), &Identity { size: 2 }, 1.0).contains("preconditioner"));
    // Without a left factor the matrix must be square.
    assert!(refused(1.0, None, &identity, 1.0).contains("square"));
}

#[test]
fn the_smallest_sizes_give_an_answer_or_an_error() {
    let laws: [Arc<dyn onsager_scalar::Prior>; 3] = [
        Arc::new(Gaussian::standard()),
        Arc::new(Rademacher),
        Arc::new(GaussBernoulli::new(0.3, 0.5, 1.0).unwrap()),
    ];
    for law in laws {
        for phi in [
            PiecewiseLinear::linear(),
            PiecewiseLinear::sign(),
            PiecewiseLinear::relu(),
        ] {
            let chain = Chain::new(law.clone()).layer(1.0, Arc::new(phi));
            let starts = [
                Start::Uninformed,
                Start::Spectral,
                Start::Informed,
                Start::Mean,
                Start::SideInformation { snr: 2.0 },
            ];
            for tree in [chain.clone().spiked_wigner(0.5), chain.denoising(0.5)] {
                let tree = tree.unwrap();
                for p in [1, 2, 3] {
                    for start in starts.clone() {
                        let settings = Settings {
                            start,
                            ..Settings::default()
                        };
                        if let Ok(found) = infer(&problem(&tree, p, 1), &settings) {
                            assert!(found.estimate.iter().all(|x| x.is_finite()));
                            assert!(found.claimed_mse >= 0.0);
                        }
                    }
                }
            }
        }
    }
}

#[test]
fn a_binary_layer_below_sign_is_recovered_and_kept() {
    // Without a floor on V the scores vanish once the hidden layer is known, and the solution is
    // forgotten.
    let chain = Chain::new(Arc::new(Rademacher)).layer(2.0, Arc::new(PiecewiseLinear::sign()));
    let tree = chain.spiked_wigner(0.3).unwrap();
    let problem = problem(&tree, 400, 1);
    let settings = Settings {
        start: Start::Informed,
        ..Settings::default()
    };
    let found = infer(&problem, &settings).unwrap();
    assert!(
        found.overlap.unwrap() > 0.99,
        "{:?} {:?}",
        found.stop,
        found.overlap
    );
    assert!(found.variable("z").unwrap().overlap.unwrap() > 0.99);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn any_declaration_gives_finite_numbers_or_an_error(
        ln_aspect in -1.5..1.5f64,
        ln_noise in -9.0..4.0f64,
        phi in 0..3usize,
        start in 0..4usize,
        depth in 0..3usize,
        wigner: bool,
        p in 1..40usize,
        seed: u64,
    ) {
        let phi = [PiecewiseLinear::linear(), PiecewiseLinear::sign(), PiecewiseLinear::relu()][phi].clone();
        let mut chain = Chain::new(Arc::new(Gaussian::standard()));
        for _ in 0..depth {
            chain = chain.layer(ln_aspect.exp(), Arc::new(phi.clone()));
        }
        let noise = ln_noise.exp();
        let tree = if wigner { chain.spiked_wigner(noise) } else { chain.denoising(noise) };
        let start = [
            Start::Uninformed,
            Start::Spectral,
            Start::Informed,
            Start::SideInformation { snr: 1.0 / noise },
        ][start].clone();
        let settings = Settings { start, max_iterations: 100, ..Settings::default() };
        if let Ok(found) = infer(&problem(&tree.unwrap(), p, seed), &settings) {
            for v in &found.variables {
                prop_assert!(v.mean.iter().all(|x| x.is_finite()), "{:?}", found.stop);
                prop_assert!(v.variance.iter().all(|c| *c >= 0.0 && c.is_finite()));
            }
            prop_assert!(found.evidence.is_none_or(f64::is_finite));
            prop_assert!(found.nishimori_gap.is_finite() && found.residual >= 0.0);
        }
    }
}

/// In next to no noise the message of a spike is off by more than it claims, by a factor of `1 + O(1/√p)` that
/// turns into its inverse at every sweep. Layers that measured what they send by the square of their
/// scores squared their claims, and runs came to rest anywhere.
#[test]
fn spikes_in_next_to_no_noise_are_recovered_from_scratch() {
    let theta: f64 = 1e-4;
    let relu = || layer(10.0, PiecewiseLinear::relu());
    // The error is θ² = (k/p) Δ/ρ² of ρ, or (k/n) Δ/ρ, to first order, within a factor of a few at k = 16.
    let wigner = relu().spiked_wigner(10.0 * theta * theta * 0.25);
    let left = Chain::new(Arc::new(Gaussian::standard()));
    let wishart = relu().spiked_wishart(10.0 * theta * theta * 0.5, 1.0, left);
    for (tree, is_product) in [(wigner.unwrap(), false), (wishart.unwrap(), true)] {
        for (damping, least) in [(Damping::Fixed(0.7), 12), (Damping::Adaptive, 10)] {
            let mut rested = 0;
            for seed in 0..12 {
                let settings = Settings {
                    damping,
                    ..Settings::default()
                };
                let instance = draw(&tree, 160, seed);
                let found = infer(&Problem::new(&tree, &instance).unwrap(), &settings).unwrap();
                if found.stop != Stop::Converged {
                    continue;
                }
                rested += 1;
                let x = instance.truth(tree.signal_index()).unwrap();
                let x = DMatrix::from_column_slice(160, 1, x);
                // Only its prior tells the size of either factor of a product, up to 1/√n: there the angle.
                let scale = match is_product {
                    true => x.dot(&found.estimate) / found.estimate.norm_squared(),
                    false => 1.0,
                };
                let error = (&found.estimate * scale - &x).norm_squared() / x.norm_squared();
                for error in [error, found.claimed_mse / 0.5] {
                    let error = error / (theta * theta);
                    assert!((0.2..5.0).contains(&error), "{damping:?} {seed}: {error}");
                }
            }
            assert!(rested >= least, "{damping:?}: {rested} of 12 at rest");
        }
    }
}
