//! Spectral methods and the start that they give, for signals behind even outputs.

mod common;

use std::sync::Arc;

use common::{draw, layer, mean, problem};
use nalgebra::DMatrix;
use onsager_amp::spectral::{self, Spectral, preprocessing};
use onsager_amp::{Problem, Settings, Start, infer};
use onsager_model::{Chain, Instance, Tree};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::likelihood::{Additive, Noiseless};
use onsager_scalar::prior::{Gaussian, Rademacher};
use onsager_scalar::{Likelihood, Prior};

fn even() -> Vec<(Arc<dyn Likelihood>, [f64; 2])> {
    let noisy = |phi| Arc::new(Additive::new(Arc::new(phi), 0.3).unwrap());
    let door = || PiecewiseLinear::door(0.8).unwrap();
    let abs = PiecewiseLinear::abs;
    vec![
        (Arc::new(Noiseless::new(abs())), [0.4, 2.1]),
        (Arc::new(Noiseless::new(door())), [-1.0, 1.0]),
        (noisy(abs()), [-0.2, 1.7]),
        (noisy(door()), [-0.9, 0.6]),
    ]
}

fn abs() -> Arc<dyn Likelihood> {
    Arc::new(Noiseless::new(PiecewiseLinear::abs()))
}

fn bare() -> Chain {
    Chain::new(Arc::new(Gaussian::standard()))
}

/// `T = G/(1 + ρG)`, with the second derivative `G` of the evidence by differences.
#[test]
fn the_weight_of_an_output_is_the_curvature_of_its_evidence() {
    for (law, outputs) in even() {
        for (y, rho) in outputs.iter().flat_map(|y| [(*y, 0.7), (*y, 1.6)]) {
            let evidence = |omega: f64| law.observe(y, omega, rho).log_evidence;
            let d = 1e-3;
            // The evidence is even: two terms of its series from two distances.
            let near = 2.0 * (evidence(d) - evidence(0.0)) / (d * d);
            let far = 2.0 * (evidence(2.0 * d) - evidence(0.0)) / (4.0 * d * d);
            let growth = (4.0 * near - far) / 3.0;
            let expected = growth / (1.0 + rho * growth);
            let found = preprocessing(law.as_ref(), y, rho);
            let allowed = 1e-7 * (1.0 + expected.abs()) * (1.0 + expected.abs());
            assert!(
                (found - expected).abs() < allowed,
                "{law:?} at {y}, {rho}: {found}, {expected}"
            );
        }
    }
}

fn dense(instance: &Instance, f: usize) -> DMatrix<f64> {
    let a = instance.operator(f).unwrap();
    let columns = a.shape().columns;
    a.apply(&DMatrix::identity(columns, columns)).unwrap()
}

fn top(a: DMatrix<f64>) -> (f64, DMatrix<f64>) {
    let eigen = a.symmetric_eigen();
    let at = eigen.eigenvalues.imax();
    let vector = eigen.eigenvectors.columns(at, 1).into_owned();
    (eigen.eigenvalues[at], vector)
}

/// Against `K^(1/2) Aᵀ T A K^(1/2)/p` and `ρ Aᵀ T A/p`, decomposed as a whole, with `K` and `T` written out.
#[test]
fn spectral_methods_of_outputs_are_the_dense_ones() {
    for (law, _) in even() {
        let door = law.labels().is_some();
        let (phi, kappa) = match door {
            true => (PiecewiseLinear::sign(), std::f64::consts::FRAC_2_PI),
            false => (PiecewiseLinear::linear(), 1.0),
        };
        let tree = layer(1.5, phi).glm(1.4, law.clone()).unwrap();
        let instance = draw(&tree, 60, 5);
        let problem = Problem::new(&tree, &instance).unwrap();
        let (w, a) = (dense(&instance, 1), dense(&instance, 3));
        let weight = |y: &f64| {
            let seen = law.observe(*y, 0.0, 1.0);
            -seen.curvature / (1.0 - seen.curvature)
        };
        let t: Vec<f64> = instance.data(4).unwrap().iter().map(weight).collect();
        let m = a.transpose() * DMatrix::from_fn(a.nrows(), 60, |i, j| t[i] * a[(i, j)]) / 60.0;
        let check = |found: Spectral, (value, vector): (f64, DMatrix<f64>)| {
            assert!(
                found.converged && (found.value - value).abs() < 1e-8 * value.abs(),
                "{law:?}: {} and {value}",
                found.value
            );
            let cosine = found.squared_cosine(vector.as_slice());
            assert!((cosine - 1.0).abs() < 1e-9, "{law:?}: {cosine}");
        };
        check(spectral::pca(&problem).unwrap(), top(m.clone()));
        let k = &w * w.transpose() * (kappa / w.ncols() as f64)
            + DMatrix::identity(60, 60) * (1.0 - kappa);
        let eigen = k.symmetric_eigen();
        let root = eigen.eigenvalues.map(|t| t.max(0.0).sqrt());
        let root =
            &eigen.eigenvectors * DMatrix::from_diagonal(&root) * eigen.eigenvectors.transpose();
        let (value, vector) = top(&root * m * &root);
        check(spectral::lamp(&problem).unwrap(), (value, root * vector));
    }
}

/// `E (y² - 1)²/(1 + q(y² - 1))` over a standard normal `y`.
fn filtered(q: f64) -> f64 {
    let h = 1e-3;
    let node = |i: i32| {
        let y = f64::from(i) * h;
        let g = y * y - 1.0;
        g * g / (1.0 + q * g) * (-0.5 * y * y).exp()
    };
    (-9000..=9000).map(node).sum::<f64>() * h / (2.0 * std::f64::consts::PI).sqrt()
}

/// The squared cosine that theory gives for absolute values, `α` of them a component, and a signal whose
/// covariance has these eigenvalues, of mean 1.
fn predicted(alpha: f64, eigenvalues: &[f64]) -> f64 {
    let excess = |q: f64| {
        let s = alpha * q * filtered(q);
        let each = eigenvalues.iter().map(|t| t * t / (1.0 + s * t));
        let known = s * each.sum::<f64>() / eigenvalues.len() as f64;
        known / q - 1.0
    };
    let (mut low, mut high) = (1e-9, 1.0 - 1e-4);
    if excess(low) < 0.0 {
        return 0.0;
    }
    for _ in 0..50 {
        let middle = 0.5 * (low + high);
        if excess(middle) > 0.0 {
            low = middle;
        } else {
            high = middle;
        }
    }
    low
}

/// Mean squared cosine over seeds with its standard error, and the prediction for the covariances drawn.
fn compare(
    tree: &Tree,
    alpha: f64,
    method: fn(&Problem) -> Result<Spectral, onsager_amp::AmpError>,
    knows: bool,
) -> (f64, f64, f64) {
    let (mut found, mut expected) = (Vec::new(), Vec::new());
    for seed in 0..10 {
        let instance = draw(tree, 400, seed);
        let problem = Problem::new(tree, &instance).unwrap();
        let estimate = method(&problem).unwrap();
        assert!(estimate.converged);
        found.push(estimate.squared_cosine(instance.truth(tree.signal_index()).unwrap()));
        if seed == 0 {
            let moments = spectral::moments(&problem, tree.signal_index()).unwrap();
            let eigenvalues = match knows {
                true => moments.eigenvalues().unwrap(),
                false => vec![1.0],
            };
            expected.push(predicted(alpha, &eigenvalues));
        }
    }
    let (found, error) = mean(&found);
    (found, error, expected[0])
}

/// Above the threshold the overlap is that of the formula, with the prior and without it.
#[test]
fn overlaps_of_spectral_methods_are_those_of_theory() {
    let linear = |alpha| layer(2.0, PiecewiseLinear::linear()).glm(alpha, abs());
    let sign = |alpha| layer(2.0, PiecewiseLinear::sign()).glm(alpha, abs());
    let cases = [
        (linear(0.6).unwrap(), 0.6, true),
        (sign(1.0).unwrap(), 1.0, true),
        (sign(1.5).unwrap(), 1.5, false),
    ];
    for (tree, alpha, knows) in cases {
        let method = if knows { spectral::lamp } else { spectral::pca };
        let (found, error, expected) = compare(&tree, alpha, method, knows);
        // One instance errs by p^(-1/2), the mean by 5/p.
        let allowed = 5.0 * error + 5.0 / 400.0;
        assert!(
            expected > 0.3 && error < 0.05 && (found - expected).abs() < allowed,
            "{alpha}: {found} ± {error}, {expected}"
        );
    }
}

/// Thresholds of exact absolute values: 1/2 without the prior, `1/(2 E t²)` with it, 1/6 behind a linear layer
/// that doubles the components.
#[test]
fn the_prior_moves_the_threshold_of_the_spectral_method() {
    let tree = |alpha| {
        layer(2.0, PiecewiseLinear::linear())
            .glm(alpha, abs())
            .unwrap()
    };
    let lamp = |alpha| compare(&tree(alpha), alpha, spectral::lamp, true);
    let blind = |alpha| compare(&tree(alpha), alpha, spectral::pca, false);
    // Above: a fluctuation of order p^(-1/3) is left below.
    let (below, above) = (lamp(0.4 / 6.0), lamp(2.4 / 6.0));
    assert!(below.2 == 0.0 && below.0 < 0.12, "{below:?}");
    assert!(above.2 > 0.2 && above.0 > 0.2, "{above:?}");
    // There, and above its own threshold.
    let (below, above) = (blind(2.4 / 6.0), blind(1.2));
    assert!(below.2 == 0.0 && below.0 < 0.08, "{below:?}");
    assert!(above.2 > 0.3 && above.0 > 0.2, "{above:?}");
}

/// Near the threshold random starts often miss; the eigenvector is a start at the overlap it claims.
#[test]
fn phase_retrieval_is_solved_from_the_eigenvector() {
    let tree = layer(2.0, PiecewiseLinear::linear())
        .glm(0.8, abs())
        .unwrap();
    let (mut claims, mut overlaps, mut solved) = (Vec::new(), Vec::new(), 0);
    for seed in 0..12 {
        let problem = problem(&tree, 400, seed);
        let settings = Settings {
            start: Start::Spectral,
            ..Settings::default()
        };
        let found = infer(&problem, &settings).unwrap();
        claims.push(found.trace[0].norm);
        overlaps.push(found.trace[0].overlap.unwrap());
        solved += usize::from(found.is_solution() && found.mse.unwrap() < 1e-4);
    }
    let ((claimed, e), (overlap, f)) = (mean(&claims), mean(&overlaps));
    // |v|²/p = q = v·x/p.
    assert!(
        (claimed - overlap).abs() < 5.0 * (e + f) && e + f < 0.1,
        "{claimed} ± {e}, {overlap} ± {f}"
    );
    assert!(solved >= 11, "{solved} of 12");
}

#[test]
fn what_the_theory_around_zero_does_not_cover_is_refused() {
    let message = |tree: Tree, start: bool| {
        let problem = problem(&tree, 40, 1);
        let settings = Settings {
            start: Start::Spectral,
            ..Settings::default()
        };
        match start {
            true => infer(&problem, &settings).map(|_| ()).unwrap_err(),
            false => spectral::lamp(&problem).map(|_| ()).unwrap_err(),
        }
        .to_string()
    };
    let relu = || layer(2.0, PiecewiseLinear::relu()).glm(1.0, abs()).unwrap();
    let mean = "of \"x\", whose mean is not zero, is not supported yet";
    assert_eq!(
        message(relu(), false),
        format!("linearised message passing around zero {mean}")
    );
    assert_eq!(message(relu(), true), format!("a start around zero {mean}"));
    // A signal of any kind is found without its prior.
    assert!(spectral::pca(&problem(&relu(), 40, 1)).unwrap().converged);
    let linear: Arc<dyn Likelihood> = Arc::new(Noiseless::new(PiecewiseLinear::linear()));
    for tree in [bare().glm(1.0, linear.clone()).unwrap(), {
        let signs: Arc<dyn Prior> = Arc::new(Rademacher);
        Chain::new(signs).glm(2.0, linear.clone()).unwrap()
    }] {
        let expected = "a spectral method of outputs that differ for h and -h is not supported yet";
        assert_eq!(message(tree.clone(), false), expected);
        assert_eq!(message(tree.clone(), true), expected);
        assert!(spectral::pca(&problem(&tree, 40, 1)).is_err());
    }
    // Problems side by side share no eigenvector.
    let tree = bare().glm(2.0, abs()).unwrap();
    let instance = draw(&tree, 20, 1);
    let both = Problem::stacked(&tree, &[&instance, &instance]).unwrap();
    let error = spectral::pca(&both).map(|_| ()).unwrap_err().to_string();
    assert!(error.contains("several problems"), "{error}");
    // A field that is known to vanish is a weight without bound, and no reason to fail.
    let data = |i: usize| if i < 3 { 0.0 } else { 0.1 * i as f64 };
    let instance = Instance::given(&tree, instance.sizes())
        .unwrap()
        .operator(1, instance.operator(1).unwrap().clone())
        .unwrap()
        .data(2, (0..40).map(data).collect())
        .unwrap()
        .build()
        .unwrap();
    let found = spectral::lamp(&Problem::new(&tree, &instance).unwrap()).unwrap();
    assert!(found.value.is_finite() && found.vector.iter().all(|v| v.is_finite()));
}
