//! Spectral methods on matrices that are built here, entry by entry, against their theory: spiked
//! Wishart, and Wigner where the prior is deep or has a mean.

use std::f64::consts::FRAC_2_PI;
use std::ops::ControlFlow;
use std::sync::Arc;

use nalgebra::{DMatrix, DVector};
use onsager_amp::{Damping, Iteration, Problem, Settings, Start, infer_observed, spectral};
use onsager_ensembles::Seed;
use onsager_model::{Chain, Instance, Teacher};
use onsager_replica::spectral::{
    Covariance, SpikedMatrix, Status, lamp, lamp_overlaps, lamp_spectrum, lamp_within, pca_spectrum,
};
use onsager_replica::trajectory;
use onsager_scalar::Prior;
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::{Gaussian, Rademacher};
use rand::Rng;

fn matrix(rows: usize, columns: usize, stream: &mut dyn Rng) -> DMatrix<f64> {
    DMatrix::from_fn(rows, columns, |_, _| Gaussian::standard().sample(stream))
}

/// A vector made to have the squared norm `size · second_moment`.
fn normed(x: DVector<f64>, second_moment: f64) -> DVector<f64> {
    let size = x.len() as f64;
    let scale = (size * second_moment).sqrt() / x.norm();
    x * scale
}

/// A signal of layers (aspect, name) and its covariance, from their definition.
fn signal(p: usize, layers: &[(f64, &str)], stream: &mut dyn Rng) -> (DVector<f64>, DMatrix<f64>) {
    let aspects: f64 = layers.iter().map(|layer| layer.0).product();
    let mut size = (p as f64 / aspects).round() as usize;
    let latent = matrix(size, 1, stream).column(0).into_owned();
    let (mut x, mut k) = (normed(latent, 1.0), DMatrix::identity(size, size));
    for (aspect, name) in layers {
        let rows = (aspect * size as f64).round() as usize;
        let w = matrix(rows, size, stream);
        let field = &w * &x / (size as f64).sqrt();
        // Second moment, mean square of the linear part, mean, for fields of variance 1.
        let (rho, gain, mean) = match *name {
            "sign" => (1.0, FRAC_2_PI, 0.0),
            "relu" => (0.5, 0.25, 0.5 * FRAC_2_PI.sqrt()),
            _ => (1.0, 1.0, 0.0),
        };
        x = field.map(|h| match *name {
            "sign" => h.signum(),
            "relu" => h.max(0.0),
            _ => h,
        });
        x = normed(x, rho);
        let linear = &w * k * w.transpose() * (gain / size as f64);
        let rest = rho - gain - mean * mean;
        k = linear
            + DMatrix::identity(rows, rows) * rest
            + DMatrix::repeat(rows, rows, mean * mean);
        size = rows;
    }
    (x, k)
}

fn cosine(a: &DVector<f64>, b: &DVector<f64>) -> f64 {
    a.dot(b).powi(2) / (a.norm_squared() * b.norm_squared())
}

/// The first two eigenvalues of `K M` and the first eigenvector, `M` symmetric.
fn leading(k: &DMatrix<f64>, m: &DMatrix<f64>) -> ([f64; 2], DVector<f64>) {
    let eigen = k.clone().symmetric_eigen();
    let mut s = eigen.eigenvectors;
    for (mut column, t) in s.column_iter_mut().zip(&eigen.eigenvalues) {
        column *= t.max(0.0).sqrt();
    }
    let found = (s.transpose() * m * &s).symmetric_eigen();
    let mut order: Vec<usize> = (0..found.eigenvalues.len()).collect();
    order.sort_by(|a, b| found.eigenvalues[*b].total_cmp(&found.eigenvalues[*a]));
    let values = [found.eigenvalues[order[0]], found.eigenvalues[order[1]]];
    (values, s * found.eigenvectors.column(order[0]))
}

fn covariance(layers: &[(f64, &str)]) -> Covariance {
    let chain = layers.iter().fold(
        Chain::new(Arc::new(Gaussian::standard())),
        |chain, layer| {
            let phi = match layer.1 {
                "sign" => PiecewiseLinear::sign(),
                "relu" => PiecewiseLinear::relu(),
                _ => PiecewiseLinear::linear(),
            };
            chain.layer(layer.0, Arc::new(phi))
        },
    );
    Covariance::of(&chain.spiked_wigner(1.0).unwrap()).unwrap()
}

/// Mean and standard error over trials of: first and second eigenvalue, overlap, overlap on the
/// left.
fn means(name: &str, trial: impl Fn(&mut dyn Rng) -> [f64; 4]) -> [(f64, f64); 4] {
    let n = TRIALS as f64;
    let runs: Vec<[f64; 4]> = (0..TRIALS)
        .map(|t| trial(&mut Seed(11).stream(name, 0, t, "matrices")))
        .collect();
    std::array::from_fn(|i| {
        let mean = runs.iter().map(|run| run[i]).sum::<f64>() / n;
        let square: f64 = runs.iter().map(|run| (run[i] - mean).powi(2)).sum();
        (mean, (square / (n * (n - 1.0))).sqrt())
    })
}

fn near(found: f64, expected: f64, tolerance: f64, what: &str) {
    assert!(
        (found - expected).abs() <= tolerance,
        "{what}: {found} instead of {expected} up to {tolerance}"
    );
}

/// Within five standard errors and a bias of order `1/p`, here `10/p` relative to 1 or to the value.
/// The noise along the signal moves the outlier by order `1/√(pΔ)` from instance to instance.
fn agrees((mean, error): (f64, f64), expected: f64, what: &str) {
    let bias = 10.0 / P as f64 * expected.abs().max(1.0);
    near(mean, expected, 5.0 * error + bias, what);
    assert!(
        error < 0.12 * expected.abs().max(1.0),
        "{what}: standard error {error}"
    );
}

const P: usize = 200;
const TRIALS: u64 = 16;

#[test]
fn wishart_matrices_have_the_predicted_eigenvectors() {
    for (layers, beta, noise, left) in [
        (vec![(2.0, "linear")], 0.75, 0.4, 1.0),
        (vec![(2.0, "sign")], 1.5, 0.6, 2.0),
        (vec![(2.0, "sign"), (1.25, "sign")], 0.75, 0.3, 1.0),
    ] {
        let matrix_of = SpikedMatrix::Wishart {
            noise,
            aspect: beta,
            left,
        };
        let name = format!("{layers:?}");
        let n = (beta * P as f64) as usize;
        let run = |stream: &mut dyn Rng, lamp: bool| {
            let (x, k) = signal(P, &layers, stream);
            let u = normed(matrix(n, 1, stream).column(0).into_owned(), left);
            let p = P as f64;
            let y = &u * x.transpose() / p.sqrt() + matrix(n, P, stream) * noise.sqrt();
            let gram = y.transpose() * &y / p;
            let (values, v) = if lamp {
                // With a left factor of unit second moment: Y/√ρ_u and Δ/ρ_u.
                let d = noise / left;
                let centred = gram / (left * (d + 1.0)) - DMatrix::identity(P, P) * beta;
                leading(&k, &(centred / d))
            } else {
                leading(&DMatrix::identity(P, P), &gram)
            };
            [values[0], values[1], cosine(&v, &x), cosine(&(y * &v), &u)]
        };
        let covariance = covariance(&layers);
        let predictions = [
            pca_spectrum(1.0, matrix_of).unwrap(),
            lamp_spectrum(&covariance, matrix_of).unwrap(),
        ];
        for (lamp, predicted) in [false, true].into_iter().zip(predictions) {
            let what = format!("{name}, lamp: {lamp}");
            let found = means(&what, |stream| run(stream, lamp));
            let outlier = predicted.outlier.unwrap();
            agrees(found[0], outlier, &format!("{what}: outlier"));
            let edge = predicted.support().upper();
            // The second eigenvalue stays below the edge by p^(-2/3) of the width of the bulk.
            let width = edge - predicted.support().lower();
            near(found[1].0, edge, 0.05 * width, &format!("{what}: edge"));
            agrees(found[2], predicted.overlap, &format!("{what}: overlap"));
            let left = predicted.overlap_left.unwrap();
            agrees(found[3], left, &format!("{what}: overlap on the left"));
        }
    }
}

/// Above their threshold nothing is found, by either method; between the two, by one.
#[test]
fn the_covariance_moves_the_transition_of_wishart_matrices() {
    let (layers, beta) = ([(4.0, "linear")], 1.0);
    let covariance = covariance(&layers);
    let matrix_of = |noise| SpikedMatrix::Wishart {
        noise,
        aspect: beta,
        left: 1.0,
    };
    let pca = pca_spectrum(1.0, matrix_of(1.0)).unwrap();
    near(pca.threshold.unwrap(), 1.0, 1e-15, "PCA");
    near(
        covariance.threshold(matrix_of(1.0)).unwrap(),
        5f64.sqrt(),
        1e-12,
        "LAMP",
    );
    assert_eq!(pca_spectrum(1.0, matrix_of(1.2)).unwrap().outlier, None);
    assert!(covariance.overlap(matrix_of(1.2)).unwrap() > 0.2);
    assert_eq!(covariance.overlap(matrix_of(2.24)).unwrap(), 0.0);
}

/// One relu layer: the uncentred covariance, an outlier at 1 at every noise.
#[test]
fn a_layer_with_a_mean_has_an_outlier_at_one() {
    let layers = [(2.0, "relu")];
    let covariance = covariance(&layers);
    for noise in [0.1, 0.5] {
        let predicted = lamp_spectrum(&covariance, SpikedMatrix::Wigner { noise }).unwrap();
        let found = means(&format!("relu {noise}"), |stream| {
            let (x, k) = signal(P, &layers, stream);
            let p = P as f64;
            let g = matrix(P, P, stream) * (noise / 2.0).sqrt();
            let y = &x * x.transpose() / p.sqrt() + &g + g.transpose();
            let m = (y / p.sqrt() - DMatrix::identity(P, P) * 0.5) / noise;
            let (values, v) = leading(&k, &m);
            [values[0], values[1], cosine(&v, &x), 0.0]
        });
        agrees(found[0], 1.0, &format!("outlier at {noise}"));
        agrees(found[2], predicted.overlap, &format!("overlap at {noise}"));
        let support = predicted.support();
        let width = support.upper() - support.lower();
        near(
            found[1].0,
            support.upper(),
            0.06 * width,
            &format!("edge at {noise}"),
        );
    }
}

fn plain(layers: &[(f64, &str)]) -> Chain {
    let latent = Chain::new(Arc::new(Gaussian::standard()));
    layers.iter().fold(latent, |chain, layer| {
        let phi = match layer.1 {
            "sign" => PiecewiseLinear::sign(),
            "relu" => PiecewiseLinear::relu(),
            _ => PiecewiseLinear::linear(),
        };
        chain.layer(layer.0, Arc::new(phi))
    })
}

/// Layers on both sides: bulk, outlier and overlaps of matrices that are built here; the estimate of
/// the library is their leading eigenvector.
#[test]
fn layered_left_factors_have_the_predicted_eigenvectors() {
    let (noise, beta) = (0.5, 0.8);
    for (right, left) in [
        (vec![(2.0, "linear")], vec![(1.6, "linear")]),
        (vec![(2.0, "sign")], vec![(2.0, "sign")]),
        (vec![(2.0, "sign")], vec![(1.6, "relu")]),
    ] {
        let name = format!("{right:?} {left:?}");
        let tree = plain(&right)
            .spiked_wishart(noise, beta, plain(&left))
            .unwrap();
        let n = (beta * P as f64) as usize;
        let rho_u = tree.variables().last().unwrap().second_moment;
        let matrix_of = SpikedMatrix::of(&tree).unwrap();
        let predicted = lamp_spectrum(&Covariance::of(&tree).unwrap(), matrix_of).unwrap();
        let found = means(&name, |stream| {
            let ((x, k), (u, l)) = (signal(P, &right, stream), signal(n, &left, stream));
            let p = P as f64;
            let y = &u * x.transpose() / p.sqrt() + matrix(n, P, stream) * noise.sqrt();
            let system = &l + DMatrix::identity(n, n) * noise;
            let filter = &l * system.try_inverse().unwrap();
            let square = y.transpose() * &filter * &y / p;
            let m = (square - DMatrix::identity(P, P) * (beta * rho_u)) / noise;
            let (values, v) = leading(&k, &m);
            [
                values[0],
                values[1],
                cosine(&v, &x),
                cosine(&(filter * y * &v), &u),
            ]
        });
        agrees(found[0], 1.0, &format!("{name}: outlier"));
        let support = predicted.support();
        let width = support.upper() - support.lower();
        near(
            found[1].0,
            support.upper(),
            0.06 * width,
            &format!("{name}: edge"),
        );
        agrees(found[2], predicted.overlap, &format!("{name}: overlap"));
        let on_left = predicted.overlap_left.unwrap();
        agrees(found[3], on_left, &format!("{name}: overlap on the left"));
        // Blind to the layers on the left, the theory would say less.
        let blind = lamp_within(&Covariance::signal(&tree).unwrap(), matrix_of).unwrap();
        assert!(
            lamp(&tree).unwrap().cos_squared > blind.cos_squared + 0.01,
            "{name}"
        );

        let sizes = tree.sizes(tree.signal_index(), P);
        let stream = |purpose: &str| Seed(5).stream("left", 0, 0, purpose);
        let instance = Instance::draw(&tree, &sizes, stream, Teacher::fixed()).unwrap();
        let problem = Problem::new(&tree, &instance).unwrap();
        let estimate = spectral::lamp(&problem).unwrap();
        assert!(estimate.converged);
        let dense = |o: &dyn onsager_operators::LinearOperator| {
            let size = o.shape().columns;
            o.apply(&DMatrix::identity(size, size)).unwrap()
        };
        let last = tree.variables().len() - 1;
        let [k, l] = [tree.signal_index(), last]
            .map(|v| dense(spectral::moments(&problem, v).unwrap().second().as_ref()));
        let y = dense(
            instance
                .operator(tree.factors().len() - 1)
                .unwrap()
                .as_ref(),
        );
        let rows = y.nrows();
        let filter = &l
            * (&l + DMatrix::identity(rows, rows) * noise)
                .try_inverse()
                .unwrap();
        let shift = rho_u * rows as f64 / P as f64;
        let square = y.transpose() * &filter * &y / P as f64;
        let (values, v) = leading(&k, &((square - DMatrix::identity(P, P) * shift) / noise));
        near(estimate.value, values[0], 1e-8, "eigenvalue");
        let v = v.normalize();
        near(
            estimate.squared_cosine(v.as_slice()),
            1.0,
            1e-9,
            "eigenvector",
        );
        let u = filter * y * v;
        let cosine = estimate.squared_cosine_left(u.as_slice()).unwrap();
        near(cosine, 1.0, 1e-9, "left eigenvector");
    }
}

/// Given linear layers on both sides, a Gaussian prior: the linear theory is that of the fixed point.
#[test]
fn two_linear_layers_attain_the_optimum() {
    for (noise, beta) in [(0.3, 0.8), (1.0, 2.0), (5.0, 2.0)] {
        let chain = |a| plain(&[(a, "linear")]);
        let tree = chain(2.0).spiked_wishart(noise, beta, chain(0.7)).unwrap();
        let best = onsager_replica::StateEvolution::new(&tree).unwrap();
        let best = best.predict().unwrap().optimal;
        let found = lamp(&tree).unwrap();
        near(found.mse, best.mmse, 1e-8, "error");
        near(
            found.mse_left.unwrap(),
            best.mmse_left.unwrap(),
            1e-8,
            "error on the left",
        );
        let threshold = (beta * 3.0 * 1.7f64).sqrt();
        near(found.threshold, threshold, 1e-12, "threshold");
    }
}

/// Two relu layers: the covariance from the matrices against second moments of many drawn signals,
/// and its eigenvalues as a prediction of what the method finds.
#[test]
fn deep_layers_with_a_mean_have_measured_covariances() {
    let (noise, p) = (0.3, 240);
    let tree = plain(&[(1.5, "relu"), (2.0, "relu")])
        .spiked_wigner(noise)
        .unwrap();
    assert!(Covariance::of(&tree).is_err());
    let sizes = tree.sizes(tree.signal_index(), p);
    let rho = tree.signal().second_moment;
    let (mut differences, mut squares) = (vec![], vec![]);
    for trial in 0..TRIALS {
        let stream = |purpose: &str| Seed(trial).stream("deep", 0, 0, purpose);
        let instance = Instance::draw(&tree, &sizes, stream, Teacher::fixed()).unwrap();
        let problem = Problem::new(&tree, &instance).unwrap();
        let prior = spectral::moments(&problem, tree.signal_index()).unwrap();
        let k = prior.covariance.apply(&DMatrix::identity(p, p)).unwrap();
        let square = prior.square_mean();
        squares.push(k.trace() / p as f64 + square - rho);
        if trial == 0 {
            // Means over signals behind the same matrices.
            const DRAWS: usize = 4000;
            let weights: Vec<DMatrix<f64>> = [1, 3]
                .map(|f| {
                    let w = instance.operator(f).unwrap();
                    let size = w.shape().columns;
                    w.apply(&DMatrix::identity(size, size)).unwrap() / (size as f64).sqrt()
                })
                .into();
            let mut stream = Seed(3).stream("deep", 0, 0, "signals");
            let signals = weights
                .iter()
                .fold(matrix(weights[0].ncols(), DRAWS, &mut stream), |x, w| {
                    (w * x).map(|h| h.max(0.0))
                });
            let mean = signals.column_mean();
            let distance = (&mean - DVector::from_vec(prior.mean.clone())).norm();
            // A component errs by the root of its variance over the draws; the rest is order 1/√p.
            near(distance / mean.norm(), 0.0, 0.1, "mean");
            let centred = DMatrix::from_fn(p, DRAWS, |i, j| signals[(i, j)] - mean[i]);
            let sampled = &centred * centred.transpose() / DRAWS as f64;
            let product = |a: &DMatrix<f64>, b: &DMatrix<f64>| a.dot(b) / (a.norm() * b.norm());
            let off = |m: &DMatrix<f64>| m - DMatrix::from_diagonal(&m.diagonal());
            assert!(product(&off(&sampled), &off(&k)) > 0.9);
            near(off(&k).norm() / off(&sampled).norm(), 1.0, 0.1, "norm");
        }
        let measured = Covariance::drawn(prior.eigenvalues().unwrap(), square).unwrap();
        assert_eq!(measured.overlap_status(), Status::Measured);
        let theory = lamp_within(&measured, SpikedMatrix::Wigner { noise }).unwrap();
        // At the norm of a typical signal, which moves the eigenvalue by (|x|²/p - ρ)/Δ.
        let x = instance.truth(tree.signal_index()).unwrap();
        let x = normed(DVector::from_column_slice(x), rho);
        let mut stream = Seed(trial).stream("deep", 0, 0, "noise");
        let g = matrix(p, p, &mut stream) * (noise / 2.0).sqrt();
        let y = &x * x.transpose() / (p as f64).sqrt() + &g + g.transpose();
        let spiked = spectral::SpikedMatrix {
            matrix: Arc::new(onsager_operators::Dense::from_matrix(&y).unwrap()),
            noise,
            left: None,
        };
        let lamp = spectral::lamp_with(&spiked, prior.second().as_ref(), rho).unwrap();
        let found = lamp.squared_cosine(x.as_slice());
        differences.push(found - theory.cos_squared);
    }
    let n = TRIALS as f64;
    for (what, values, most) in [
        ("overlap", differences, 0.02),
        ("mean square", squares, 0.02 * rho),
    ] {
        let mean = values.iter().sum::<f64>() / n;
        let square: f64 = values.iter().map(|d| (d - mean).powi(2)).sum();
        let error = (square / (n * (n - 1.0))).sqrt();
        near(mean, 0.0, 5.0 * error + 5.0 / p as f64 * rho, what);
        assert!(error < most, "{what}: {error}");
    }
}

/// Message passing from its linearisation, behind a sign layer: what it claims and what it achieves, at
/// every step and on both sides.
fn follows_from_a_spectral_start(p: usize, noise: f64, left: Chain, names: &[&str]) {
    const STEPS: usize = 4;
    const SEEDS: u64 = 24;
    let tree = Chain::new(Arc::new(Gaussian::standard()))
        .layer(2.0, Arc::new(PiecewiseLinear::sign()))
        .spiked_wishart(noise, 2.0, left)
        .unwrap();
    let start = onsager_replica::Start::Overlaps(lamp_overlaps(&tree).unwrap());
    let steps = trajectory(&tree, &start, STEPS).unwrap().steps;
    // The start is what the eigenvector finds.
    let matrix = SpikedMatrix::of(&tree).unwrap();
    let found = lamp_spectrum(&Covariance::of(&tree).unwrap(), matrix).unwrap();
    near(steps[0].variables["x"].truth, found.overlap, 1e-12, "x");
    let seen = found.overlap_left.unwrap();
    near(steps[0].variables["u"].truth, seen, 1e-12, "u");
    // By step and variable: claimed error and overlap of every run.
    let mut runs = vec![vec![[vec![], vec![]]; names.len()]; STEPS + 1];
    for seed in 0..SEEDS {
        let sizes = tree.sizes(tree.signal_index(), p);
        let stream = |purpose: &str| Seed(seed).stream("spectral start", 0, 0, purpose);
        let instance = Instance::draw(&tree, &sizes, stream, Teacher::fixed()).unwrap();
        let problem = Problem::new(&tree, &instance).unwrap();
        let settings = Settings {
            start: Start::Spectral,
            tolerance: 0.0,
            max_iterations: STEPS,
            damping: Damping::Fixed(1.0),
            ..Settings::default()
        };
        let mut observe = |now: &Iteration<'_>| {
            for (name, [claimed, overlap]) in names.iter().zip(&mut runs[now.record.iteration]) {
                let found = now.posterior(name).unwrap();
                let truth = instance.truth(tree.variable(name).unwrap()).unwrap();
                let dot: f64 = found.mean.iter().zip(truth).map(|(v, x)| v * x).sum();
                claimed.push(found.variance.mean(0));
                overlap.push(dot.abs() / truth.len() as f64);
            }
            ControlFlow::Continue(())
        };
        infer_observed(&problem, &settings, &mut observe).unwrap();
    }
    for (step, run) in steps.iter().zip(&runs) {
        for (name, [claimed, overlap]) in names.iter().zip(run) {
            let theory = &step.variables[*name];
            for (what, values, expected) in [
                ("claimed", claimed, theory.claimed),
                ("overlap", overlap, theory.truth),
            ] {
                let n = values.len() as f64;
                let mean = values.iter().sum::<f64>() / n;
                let square: f64 = values.iter().map(|v| (v - mean).powi(2)).sum();
                let error = (square / (n * (n - 1.0))).sqrt();
                let what = format!("{what} of {name} at step {}", step.iteration);
                // Five standard errors and a bias of order 1/p.
                near(mean, expected, 5.0 * error + 5.0 / p as f64, &what);
            }
        }
    }
    // The start is not the end: a theory one step late differs by more than the above.
    assert!(steps[0].mmse - steps[1].mmse > 0.08);
}

#[test]
fn a_spectral_start_beside_fair_signs_follows_state_evolution() {
    follows_from_a_spectral_start(600, 0.8, Chain::new(Arc::new(Rademacher)), &["x", "u", "z"]);
}

#[test]
fn a_spectral_start_beside_a_layered_left_factor_follows_state_evolution() {
    let left = Chain::new(Arc::new(Gaussian::standard()));
    let left = left.layer(1.5, Arc::new(PiecewiseLinear::sign()));
    // Every step solves a linear system with the covariance of the left factor.
    follows_from_a_spectral_start(300, 1.0, left, &["x", "u", "z", "u.z"]);
}
