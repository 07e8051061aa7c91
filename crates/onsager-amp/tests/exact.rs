//! Against results that need no message passing: Gaussian algebra and enumeration.

mod common;

use std::sync::Arc;

use common::{draw, layer, mean, problem};
use nalgebra::DMatrix;
use onsager_amp::spectral::SpikedMatrix;
use onsager_amp::{Damping, Problem, Settings, Start, Stop, Variances, infer, spectral};
use onsager_model::{Chain, Instance, Tree};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::{Gaussian, Rademacher};

/// `W` of factor `f` in full.
fn dense(instance: &Instance, f: usize) -> DMatrix<f64> {
    let a = instance.operator(f).unwrap();
    a.apply(&DMatrix::identity(a.shape().columns, a.shape().columns))
        .unwrap()
}

/// Log evidence per component relative to noise, and posterior mean, of `y = W z/√k + √Δ n`.
fn gaussian(instance: &Instance, noise: f64) -> (f64, DMatrix<f64>) {
    let w = dense(instance, 1);
    let y = DMatrix::from_column_slice(w.nrows(), 1, instance.data(3).unwrap());
    let k = &w * w.transpose() / w.ncols() as f64;
    let p = w.nrows();
    let total = (&k + DMatrix::identity(p, p) * noise).cholesky().unwrap();
    let solved = total.solve(&y);
    let determinant = total.ln_determinant() - p as f64 * noise.ln();
    let evidence = 0.5 * (y.norm_squared() / noise - y.dot(&solved) - determinant);
    (evidence / p as f64, k * solved)
}

#[test]
fn linear_denoising_reaches_the_exact_posterior_mean() {
    // At rest v = W z/√k, g = B - A v and z = Wᵀ g/√k hold exactly, so (1 + A K) v = K B does,
    // whatever the variances.
    let tree = layer(1.5, PiecewiseLinear::linear())
        .denoising(0.3)
        .unwrap();
    let instance = draw(&tree, 150, 1);
    let (_, exact) = gaussian(&instance, 0.3);
    for variances in [Variances::Shared, Variances::PerComponent] {
        let settings = Settings {
            variances,
            tolerance: 1e-24,
            ..Settings::default()
        };
        let found = infer(&Problem::new(&tree, &instance).unwrap(), &settings).unwrap();
        assert_eq!(found.stop, Stop::Converged);
        // A step of relative size 1e-12 at a contraction that is not close to 1.
        assert!((&found.estimate - &exact).norm() <= 1e-10 * exact.norm());
    }
}

#[test]
fn bethe_evidence_of_a_linear_layer_is_the_gaussian_one() {
    let noise = 0.3;
    let tree = layer(1.5, PiecewiseLinear::linear())
        .denoising(noise)
        .unwrap();
    let error = |p: usize| {
        let all = (0..12).map(|seed| {
            let instance = draw(&tree, p, seed);
            let (exact, _) = gaussian(&instance, noise);
            let found = infer(
                &Problem::new(&tree, &instance).unwrap(),
                &Settings::default(),
            );
            found.unwrap().evidence.unwrap() - exact
        });
        mean(&all.collect::<Vec<_>>())
    };
    let ((small, e1), (large, e2)) = (error(60), error(240));
    println!("{small} ± {e1}, {large} ± {e2}");
    // b/p with one b: extrapolation to p = ∞ leaves nothing but statistics.
    let limit = (4.0 * large - small) / 3.0;
    let noise = (16.0 * e2 * e2 + e1 * e1).sqrt() / 3.0;
    assert!(limit.abs() <= 5.0 * noise, "{limit} ± {noise}");
    assert!(large.abs() <= 2.0 / 240.0);
}

/// `ln Σ_x 2^-p exp(xᵀYx/(2Δ√p) - p/(4Δ))/p` by enumeration.
fn enumerate(instance: &Instance, noise: f64) -> f64 {
    let y = dense(instance, 1);
    let p = y.nrows();
    let scale = 1.0 / (2.0 * noise * (p as f64).sqrt());
    let energy = |state: u32| {
        let x = DMatrix::from_fn(p, 1, |i, _| if state >> i & 1 == 1 { 1.0 } else { -1.0 });
        (&y * &x).dot(&x) * scale
    };
    let all: Vec<f64> = (0..1u32 << p).map(energy).collect();
    let top = all.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let sum: f64 = all.iter().map(|e| (e - top).exp()).sum();
    let p = p as f64;
    (top + sum.ln()) / p - std::f64::consts::LN_2 - 1.0 / (4.0 * noise)
}

fn rademacher(noise: f64) -> Tree {
    Chain::new(Arc::new(Rademacher))
        .spiked_wigner(noise)
        .unwrap()
}

#[test]
fn bethe_evidence_of_a_spiked_matrix_approaches_enumeration_as_one_over_p() {
    let noise = 0.25;
    let tree = rademacher(noise);
    let error = |p: usize| {
        let all = (0..200).filter_map(|seed| {
            let instance = draw(&tree, p, seed);
            let settings = Settings {
                start: Start::Informed,
                ..Settings::default()
            };
            let found = infer(&Problem::new(&tree, &instance).unwrap(), &settings).unwrap();
            // Message passing describes one of the two states ±x; the sum over signs has both.
            let states = std::f64::consts::LN_2 / p as f64;
            Some(found.evidence? + states - enumerate(&instance, noise))
        });
        mean(&all.collect::<Vec<_>>())
    };
    let [a, b] = [error(6), error(12)];
    println!("{a:?} {b:?}");
    let limit = 2.0 * b.0 - a.0;
    let noise = (4.0 * b.1 * b.1 + a.1 * a.1).sqrt();
    // What remains after the 1/p term is of order 1/p².
    assert!(
        limit.abs() <= 5.0 * noise + 1.0 / 144.0,
        "{limit} ± {noise}"
    );
    assert!(b.0.abs() < a.0.abs() + 5.0 * (a.1 + b.1));
}

#[test]
fn message_passing_under_a_linear_prior_rests_on_an_eigenvector_of_lamp() {
    // (1 + A K) v = K B with B = (Y v/√p - c v)/Δ and A Δ = q is K (Y/√p - (c + q)) v = Δ v,
    // exactly; c + q is ρ up to O(1/√p).
    let noise = 0.8;
    let tree = layer(2.0, PiecewiseLinear::linear())
        .spiked_wigner(noise)
        .unwrap();
    let instance = draw(&tree, 600, 1);
    let problem = Problem::new(&tree, &instance).unwrap();
    let settings = Settings {
        tolerance: 1e-24,
        ..Settings::default()
    };
    let found = infer(&problem, &settings).unwrap();
    assert_eq!(found.stop, Stop::Converged);
    let norm = found.estimate.norm_squared() / 600.0;
    let spiked = SpikedMatrix {
        matrix: instance.operator(3).unwrap().clone(),
        noise,
        left: None,
    };
    let k = spectral::covariance(&problem).unwrap();
    let shifted = spectral::lamp_with(&spiked, k.as_ref(), norm + found.claimed_mse).unwrap();
    // Lanczos stops at 1e-10 of the eigenvalue, over a gap of order 1/10.
    assert!((shifted.value - 1.0).abs() < 1e-9, "{}", shifted.value);
    assert!(1.0 - shifted.squared_cosine(found.estimate.as_slice()) < 1e-14);
    // With ρ itself: an angle of order p^(-1/2).
    let cosine = spectral::lamp(&problem)
        .unwrap()
        .squared_cosine(found.estimate.as_slice());
    assert!(1.0 - cosine < 10.0 / 600.0, "{cosine}");
}

#[test]
fn lamp_without_layers_is_pca_and_its_outlier_is_one() {
    let problem = problem(&rademacher(0.5), 400, 3);
    let (pca, lamp) = (
        spectral::pca(&problem).unwrap(),
        spectral::lamp(&problem).unwrap(),
    );
    let cosine = pca.squared_cosine(&lamp.vector);
    assert!(1.0 - cosine < 1e-12, "{cosine}");
    // Γ = (Y/√p - ρ)/Δ.
    assert!((lamp.value - (pca.value - 1.0) / 0.5).abs() < 1e-8);
    // cos² fluctuates at p^(-1/2) around 1 - Δ.
    let overlap = pca.squared_cosine(problem_truth(&rademacher(0.5), 400, 3).as_slice());
    assert!((overlap - 0.5).abs() < 5.0 / 20.0, "{overlap}");
}

/// A linear layer of rank `p/2` beside a Gaussian left factor of mean square 2.5.
fn rectangular(noise: f64) -> Tree {
    let left = Chain::new(Arc::new(Gaussian::new(0.0, 2.5).unwrap()));
    layer(2.0, PiecewiseLinear::linear())
        .spiked_wishart(noise, 0.6, left)
        .unwrap()
}

#[test]
fn spectral_methods_of_a_rectangular_matrix_are_the_dense_ones() {
    let (noise, rho) = (0.9, 2.5);
    let instance = draw(&rectangular(noise), 60, 4);
    let problem = Problem::new(&rectangular(noise), &instance).unwrap();
    let (w, y) = (dense(&instance, 1), dense(&instance, 4));
    let (n, p, k) = (y.nrows() as f64, y.ncols() as f64, w.ncols() as f64);
    let parallel = |a: &[f64], b: &DMatrix<f64>| {
        let a = DMatrix::from_column_slice(a.len(), 1, a);
        let cos = a.dot(b) / (a.norm() * b.norm());
        assert!((cos.abs() - 1.0).abs() < 1e-12, "{cos}");
    };
    let top = |a: DMatrix<f64>| {
        let eigen = a.symmetric_eigen();
        let at = eigen.eigenvalues.imax();
        (
            eigen.eigenvalues[at],
            eigen.eigenvectors.columns(at, 1).into_owned(),
        )
    };

    let pca = spectral::pca(&problem).unwrap();
    let (value, right) = top(y.transpose() * &y / p);
    let (_, left) = top(&y * y.transpose());
    assert!((pca.value - value).abs() < 1e-10 * value);
    parallel(&pca.vector, &right);
    parallel(pca.left.as_ref().unwrap(), &left);

    // K = F Fᵀ has rank k = p/2: K M and the small matrix Fᵀ M F share their non-zero eigenvalues,
    // and F turns the eigenvectors of the one into those of the other.
    let f = w / k.sqrt();
    let m = (y.transpose() * &y * (rho / (p * (noise + rho)))
        - DMatrix::identity(60, 60) * (rho * n / p))
        / noise;
    let (value, small) = top(f.transpose() * m * &f);
    let lamp = spectral::lamp(&problem).unwrap();
    assert!((lamp.value - value).abs() < 1e-9, "{} {value}", lamp.value);
    let right = f * small;
    parallel(&lamp.vector, &right);
    parallel(lamp.left.as_ref().unwrap(), &(y * right));
    assert!(lamp.converged && lamp.residual < 1e-8);
}

#[test]
fn message_passing_on_a_rectangular_matrix_rests_on_an_eigenvector_of_lamp() {
    // u = ρ_u Y v/(√p (Δ + ρ_u r)) and v = K (Yᵀu/√p - β r_u v)/Δ, exactly, where r and r_u are
    // the second moments |v|²/p + c and |u|²/n + c_u; these are ρ and ρ_u up to O(1/√p).
    let (noise, rho) = (1.0, 2.5);
    let instance = draw(&rectangular(noise), 600, 2);
    let problem = Problem::new(&rectangular(noise), &instance).unwrap();
    let settings = Settings {
        tolerance: 1e-24,
        ..Settings::default()
    };
    let found = infer(&problem, &settings).unwrap();
    assert_eq!(found.stop, Stop::Converged);
    let (y, k) = (
        instance.operator(4).unwrap(),
        spectral::covariance(&problem).unwrap(),
    );
    let second = |name: &str| {
        let found = found.variables.iter().find(|v| v.name == name).unwrap();
        (found.norm + found.claimed_mse, &found.mean)
    };
    let ((r, v), (r_u, u)) = (second("x"), second("u"));
    let root = 600f64.sqrt();
    let left = y.apply(v).unwrap() * (rho / (root * (noise + rho * r)));
    assert!((&left - u).norm() < 1e-9 * u.norm());
    let right = y.apply_adjoint(&left).unwrap() / root - v * (0.6 * r_u);
    let right = k.apply(&right).unwrap() / noise;
    assert!((&right - v).norm() < 1e-9 * v.norm());

    let lamp = spectral::lamp(&problem).unwrap();
    let cosine = lamp.squared_cosine(v.as_slice());
    assert!(1.0 - cosine < 10.0 / 600.0, "{cosine}");
    let cosine = lamp.squared_cosine_left(u.as_slice()).unwrap();
    assert!(1.0 - cosine < 10.0 / 360.0, "{cosine}");
}

fn problem_truth(tree: &Tree, p: usize, seed: u64) -> Vec<f64> {
    draw(tree, p, seed)
        .truth(tree.signal_index())
        .unwrap()
        .to_vec()
}

#[test]
fn claimed_error_is_true_error() {
    for (phi, noise) in [
        (PiecewiseLinear::sign(), 0.5),
        (PiecewiseLinear::relu(), 0.1),
    ] {
        let tree = layer(2.0, phi).spiked_wigner(noise).unwrap();
        let p = 1000;
        let difference: Vec<f64> = (0..8)
            .map(|seed| {
                let found = infer(&problem(&tree, p, seed), &Settings::default()).unwrap();
                assert_eq!((found.stop, found.first_damped), (Stop::Converged, None));
                found.mse.unwrap() - found.claimed_mse
            })
            .collect();
        let (bias, error) = mean(&difference);
        println!("{bias} ± {error}");
        // Finite-size bias b/p; b of order one for errors of order one.
        assert!(
            bias.abs() <= 5.0 * error + 2.0 / p as f64,
            "{bias} ± {error}"
        );
    }
}

#[test]
fn damping_does_not_make_the_trivial_point_attractive() {
    // Δ_c = 1 + 8/π² = 1.81. A memory of the last iterate alone would turn the growth by Δ_c/Δ a
    // sweep into 0.4 Δ_c/Δ < 1.
    let tree = layer(2.0, PiecewiseLinear::sign())
        .spiked_wigner(1.0)
        .unwrap();
    for seed in 0..3 {
        let settings = Settings {
            damping: Damping::Fixed(0.4),
            max_iterations: 1000,
            ..Settings::default()
        };
        let found = infer(&problem(&tree, 600, seed), &settings).unwrap();
        assert_eq!(
            (found.stop, found.trivial),
            (Stop::Converged, false),
            "seed {seed}"
        );
        let plain = infer(&problem(&tree, 600, seed), &Settings::default()).unwrap();
        let difference = (found.overlap.unwrap() - plain.overlap.unwrap()).abs();
        assert!(difference < 1e-3, "seed {seed}: {difference}");
    }
}

#[test]
fn variances_of_components_average_to_the_shared_one() {
    let tree = layer(2.0, PiecewiseLinear::sign())
        .spiked_wigner(0.3)
        .unwrap();
    let distance = |p: usize| {
        let problem = problem(&tree, p, 1);
        let run = |variances| {
            let settings = Settings {
                variances,
                start: Start::Informed,
                ..Settings::default()
            };
            infer(&problem, &settings).unwrap().estimate
        };
        let (shared, each) = (run(Variances::Shared), run(Variances::PerComponent));
        assert_ne!(shared, each);
        (shared - each).norm_squared() / p as f64
    };
    // V_i fluctuates by O(1/√k) between components: a mean squared difference of O(1/k).
    assert!(distance(800) < 10.0 / 400.0);
}

#[test]
fn plain_and_damped_message_passing_rest_at_the_same_point() {
    let tree = layer(2.0, PiecewiseLinear::sign())
        .spiked_wigner(0.4)
        .unwrap();
    let problem = problem(&tree, 300, 5);
    let run = |damping| {
        let settings = Settings {
            start: Start::Spectral,
            damping,
            tolerance: 1e-22,
            max_iterations: 2000,
            ..Settings::default()
        };
        let found = infer(&problem, &settings).unwrap();
        assert_eq!(found.stop, Stop::Converged);
        found
    };
    let (plain, damped) = (run(Damping::Fixed(1.0)), run(Damping::Fixed(0.5)));
    assert_eq!(damped.first_damped, Some(1));
    // Both steps are below 1e-11 relative; contraction rates stay well below 0.99.
    assert!((&plain.estimate - &damped.estimate).norm() < 1e-8 * plain.estimate.norm());
    assert!((plain.evidence.unwrap() - damped.evidence.unwrap()).abs() < 1e-10);
}
