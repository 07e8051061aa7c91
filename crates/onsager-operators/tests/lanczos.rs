//! Lanczos against the dense eigenproblem.

use nalgebra::{DMatrix, DVector};
use onsager_operators::factorisations::{singular_values, symmetric_eigen, symmetric_eigenvalues};
use onsager_operators::lanczos::{
    LanczosSettings, top_eigenpair, top_eigenpair_preconditioned, top_eigenpairs,
};
use onsager_operators::{
    Counted, Dense, Gram, Identity, LinearOperator, OperatorError, Scaled, Shape, Symmetric,
};
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

fn uniform(rows: usize, columns: usize, seed: u64) -> DMatrix<f64> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    DMatrix::from_fn(rows, columns, |_, _| rng.random_range(-1.0..1.0))
}

fn symmetric(size: usize, seed: u64) -> DMatrix<f64> {
    let a = uniform(size, size, seed);
    DMatrix::from_fn(size, size, |i, j| a[(i.max(j), i.min(j))])
}

fn start(size: usize) -> Vec<f64> {
    uniform(size, 1, 1000).as_slice().to_vec()
}

/// A symmetric matrix with these eigenvalues.
fn with_spectrum(values: &[f64], seed: u64) -> DMatrix<f64> {
    let q = uniform(values.len(), values.len(), seed).qr().q();
    let a = &q * DMatrix::from_diagonal(&DVector::from_column_slice(values)) * q.transpose();
    (&a + a.transpose()) * 0.5
}

/// Absolute error of a dense eigenvalue and of a Rayleigh quotient: backward errors `p u |A|`
/// with a constant below ten, and the square of the residual over the gap, far smaller.
fn rounding(a: &DMatrix<f64>) -> f64 {
    10.0 * a.nrows() as f64 * f64::EPSILON * a.norm()
}

#[test]
fn top_eigenpair_is_the_dense_one() {
    let settings = LanczosSettings::default();
    for size in [1, 2, 3, 5, 17, 60, 61, 150, 400] {
        let a = symmetric(size, size as u64);
        let op = Counted::new(Symmetric::from_matrix(&a).unwrap());
        let found = top_eigenpair(&op, &start(size), settings).unwrap();
        let expected = symmetric_eigen(&a).unwrap();
        assert!(found.converged, "size {size}: {found:?}");
        assert_eq!(op.products().forward, found.products);
        let error = (found.value - expected.values[size - 1]).abs();
        assert!(error <= rounding(&a), "size {size}: {error:e}");
        let v = DVector::from_vec(found.vector);
        assert!((v.norm() - 1.0).abs() <= 1e-14);
        assert!(v.dot(&DVector::from_vec(start(size))) >= 0.0);
        let residual = (&a * &v - &v * found.value).norm();
        assert!((residual - found.residual).abs() <= rounding(&a));
        assert!(residual <= 1e-10 * found.value.abs() + rounding(&a));
        let gap = if size > 1 {
            found.value - expected.values[size - 2]
        } else {
            1.0
        };
        let sine = (1.0 - expected.vectors.column(size - 1).dot(&v).powi(2))
            .max(0.0)
            .sqrt();
        // Davis-Kahan, and the square root of the rounding of 1 - cos².
        assert!(
            sine <= (residual + rounding(&a)) / gap + 1e-7,
            "size {size}: {sine:e}"
        );
    }
}

#[test]
fn small_gap_takes_many_restarts_and_arrives() {
    let size = 300;
    // Relative gap 1e-4 under a dense edge: one basis of 12 vectors cannot resolve it.
    let mut values: Vec<f64> = (0..size).map(|k| k as f64 / size as f64).collect();
    values.push(values[size - 1] + 1e-4);
    let a = with_spectrum(&values, 5);
    let op = Symmetric::from_matrix(&a).unwrap();
    let settings = LanczosSettings {
        basis: 12,
        ..LanczosSettings::default()
    };
    let found = top_eigenpair(&op, &start(size + 1), settings).unwrap();
    assert!(
        found.converged && found.products > 100,
        "{} {}",
        found.products,
        found.residual
    );
    assert!((found.value - values[size]).abs() <= rounding(&a));

    let cut = LanczosSettings {
        max_products: 30,
        ..settings
    };
    let found = top_eigenpair(&op, &start(size + 1), cut).unwrap();
    assert!(!found.converged && found.residual > 1e-10 * found.value);
    assert_eq!(found.products, 30);
    assert_eq!(found, top_eigenpair(&op, &start(size + 1), cut).unwrap());
}

#[test]
fn multiple_eigenvalues_come_with_their_copies() {
    let values = [2.0, 2.0, 2.0, 1.5, 1.0, 1.0, -3.0, -7.0, 0.0, 0.25];
    let a = with_spectrum(&values, 6);
    let op = Symmetric::from_matrix(&a).unwrap();
    let found = top_eigenpairs(&op, 10, &start(10), LanczosSettings::default()).unwrap();
    let mut sorted = values;
    sorted.sort_by(|a, b| b.total_cmp(a));
    for (pair, expected) in found.iter().zip(sorted) {
        assert!(pair.converged, "{pair:?}");
        assert!(
            (pair.value - expected).abs() <= 1e-9,
            "{} and {expected}",
            pair.value
        );
    }
    let vectors = DMatrix::from_fn(10, 10, |i, k| found[k].vector[i]);
    // Within the triple eigenvalue nothing but deflation makes the vectors orthogonal.
    assert!((vectors.transpose() * &vectors - DMatrix::identity(10, 10)).norm() <= 1e-8);
    let identity = top_eigenpairs(
        &Identity { size: 4 },
        4,
        &start(4),
        LanczosSettings::default(),
    );
    assert!(
        identity
            .unwrap()
            .iter()
            .all(|p| p.converged && (p.value - 1.0).abs() <= 1e-15)
    );
}

#[test]
fn zero_and_negative_operators_have_a_largest_eigenvalue() {
    let zero = Symmetric::from_fn(7, |_, _| 0.0).unwrap();
    let found = top_eigenpair(&zero, &start(7), LanczosSettings::default()).unwrap();
    assert!(found.converged && found.value == 0.0 && found.residual == 0.0);
    let a = with_spectrum(&[-5.0, -4.0, -1.0, -2.0], 7);
    let found = top_eigenpair(
        &Dense::from_matrix(&a).unwrap(),
        &start(4),
        Default::default(),
    );
    assert!((found.unwrap().value + 1.0).abs() <= rounding(&a));
}

/// Largest eigenvalue of `W W' M / r` on the range of `W` (`p x r`): that of `W' M W / r`, which
/// has the same non-zero eigenvalues. For `r > p` its additional zeros lie below the largest.
fn preconditioned(w: &DMatrix<f64>, m: &DMatrix<f64>) -> f64 {
    let values = symmetric_eigenvalues(&(w.transpose() * m * w / w.ncols() as f64)).unwrap();
    values[values.len() - 1]
}

#[test]
fn preconditioned_eigenpair_is_the_dense_one_for_singular_preconditioners() {
    for (size, rank) in [
        (1, 1),
        (6, 6),
        (40, 1),
        (40, 2),
        (50, 20),
        (200, 70),
        (150, 300),
    ] {
        let (w, m) = (uniform(size, rank, 11 + rank as u64), symmetric(size, 12));
        let k = &w * w.transpose() / rank as f64;
        let gram = Counted::new(Gram {
            operator: Dense::from_matrix(&w).unwrap(),
            factor: 1.0 / rank as f64,
        });
        let op = Counted::new(Symmetric::from_matrix(&m).unwrap());
        let found =
            top_eigenpair_preconditioned(&gram, &op, &start(size), Default::default()).unwrap();
        assert!(
            found.converged,
            "({size}, {rank}): {} {}",
            found.value, found.residual
        );
        assert_eq!(op.products().forward, found.products);
        assert_eq!(gram.products().forward, found.products + 1); // and one for the start
        let expected = preconditioned(&w, &m);
        // Γ is not normal: its rounding is that of the two factors.
        let scale = k.norm() * m.norm();
        let error = (found.value - expected).abs();
        assert!(
            error <= 1e-13 * scale,
            "({size}, {rank}): {error:e}, scale {scale}"
        );
        let v = DVector::from_vec(found.vector.clone());
        assert!((v.norm() - 1.0).abs() <= 1e-14);
        let residual = (&k * &m * &v - &v * found.value).norm();
        assert!(
            residual <= 1e-10 * found.value.abs() + 1e-13 * scale,
            "({size}, {rank})"
        );
    }
}

#[test]
fn identity_preconditioner_changes_nothing() {
    let m = symmetric(90, 13);
    let op = Symmetric::from_matrix(&m).unwrap();
    let (plain, metric) = (
        top_eigenpair(&op, &start(90), Default::default()).unwrap(),
        top_eigenpair_preconditioned(&Identity { size: 90 }, &op, &start(90), Default::default())
            .unwrap(),
    );
    assert_eq!(plain, metric);
}

#[test]
fn bad_input_is_refused_by_name() {
    let settings = LanczosSettings::default();
    let op = Identity { size: 3 };
    let wrong = |start: &[f64], settings| top_eigenpair(&op, start, settings).unwrap_err();
    assert!(matches!(
        wrong(&[1.0; 2], settings),
        OperatorError::Shape { .. }
    ));
    assert_eq!(
        wrong(&[0.0; 3], settings).to_string(),
        "start must have a positive norm, got 0"
    );
    assert!(matches!(
        wrong(&[f64::NAN; 3], settings),
        OperatorError::NotFinite { .. }
    ));
    let (tolerance, start) = (f64::NAN, [1.0; 3]);
    let found = wrong(
        &start,
        LanczosSettings {
            tolerance,
            ..settings
        },
    );
    assert_eq!(
        found.to_string(),
        "tolerance must be finite and at least 0, got NaN"
    );
    for bad in [
        LanczosSettings {
            basis: 3,
            ..settings
        },
        LanczosSettings {
            max_products: 1,
            ..settings
        },
    ] {
        assert!(matches!(wrong(&start, bad), OperatorError::Setting { .. }));
    }
    let wide = Dense::new(Shape::new(2, 3), vec![1.0; 6]).unwrap();
    assert!(matches!(
        top_eigenpair(&wide, &start, settings),
        Err(OperatorError::NotSquare { .. })
    ));
    assert!(matches!(
        top_eigenpairs(&op, 4, &start, settings),
        Err(OperatorError::Setting { .. })
    ));
    let negative = Scaled {
        operator: op,
        factor: -1.0,
    };
    let found = top_eigenpair_preconditioned(&negative, &op, &start, settings).unwrap_err();
    assert!(matches!(found, OperatorError::NotPositive { cosine } if (cosine + 1.0).abs() < 1e-15));
    let small = Identity { size: 2 };
    let found = top_eigenpair_preconditioned(&small, &op, &start, settings).unwrap_err();
    assert!(matches!(
        found,
        OperatorError::Shape {
            quantity: "preconditioner",
            ..
        }
    ));
    let null = Symmetric::from_fn(3, |i, j| if i == 2 && j == 2 { 1.0 } else { 0.0 }).unwrap();
    let found = top_eigenpair_preconditioned(&null, &op, &[1.0, 1.0, 0.0], settings).unwrap_err();
    assert_eq!(found, OperatorError::Start(0.0));
    let empty = top_eigenpair(&Identity { size: 0 }, &[], settings).unwrap_err();
    assert_eq!(empty, OperatorError::Start(0.0));
    assert!(
        top_eigenpairs(&Identity { size: 0 }, 0, &[], settings)
            .unwrap()
            .is_empty()
    );
}

#[test]
fn factorisations_reproduce_a_known_spectrum() {
    let values = [-2.0, -1.0, 0.5, 4.0];
    let a = with_spectrum(&values, 14);
    let found = symmetric_eigen(&a).unwrap();
    let only = symmetric_eigenvalues(&a).unwrap();
    for k in 0..4 {
        assert!((found.values[k] - values[k]).abs() <= rounding(&a));
        assert!((only[k] - values[k]).abs() <= rounding(&a));
    }
    let diagonal = DMatrix::from_diagonal(&DVector::from_vec(found.values));
    assert!((&found.vectors * diagonal * found.vectors.transpose() - &a).norm() <= rounding(&a));
    let singular = singular_values(&a).unwrap();
    for (found, expected) in singular.iter().zip([4.0, 2.0, 1.0, 0.5]) {
        assert!((found - expected).abs() <= rounding(&a));
    }
    assert!(
        symmetric_eigenvalues(&DMatrix::zeros(0, 0))
            .unwrap()
            .is_empty()
    );
    assert!(singular_values(&DMatrix::zeros(0, 3)).unwrap().is_empty());
    assert!(symmetric_eigenvalues(&DMatrix::zeros(2, 3)).is_err());
    assert!(symmetric_eigen(&DMatrix::from_element(2, 2, f64::NAN)).is_err());
}

/// A diagonal and a rank-one matrix: a spiked Wigner matrix in the basis of its noise.
struct Spiked {
    noise: Vec<f64>,
    spike: Vec<f64>,
}

impl LinearOperator for Spiked {
    fn shape(&self) -> Shape {
        Shape::square(self.noise.len())
    }
    fn apply_column(&self, x: &[f64], y: &mut [f64]) {
        let along: f64 = self.spike.iter().zip(x).map(|(s, x)| s * x).sum();
        for (i, y) in y.iter_mut().enumerate() {
            *y = self.noise[i] * x[i] + along * self.spike[i];
        }
    }
    fn apply_adjoint_column(&self, x: &[f64], y: &mut [f64]) {
        self.apply_column(x, y);
    }
    fn bytes(&self) -> usize {
        8 * (self.noise.len() + self.spike.len())
    }
}

/// At `p = 10,000` and noises up to 1/5 the leading eigenvector takes at most 40 products to ten
/// digits. The method sees eigenvalues and components only, so the basis is free; eigenvalue and
/// eigenvector from the secular equation `Σ s²/(λ - d) = 1`.
#[test]
fn a_spike_in_ten_thousand_dimensions_takes_forty_products() {
    let p = 10_000;
    let mut state = 7u64;
    let mut uniform = || {
        state = state
            .wrapping_mul(6364136223846793005)
            .wrapping_add(1442695040888963407);
        (state >> 11) as f64 / (1u64 << 53) as f64 - 0.5
    };
    // Sums of four uniforms: a generic spike of squared norm close to 1, and a generic start.
    let mut generic = |scale: f64| -> Vec<f64> {
        let draw = |_| (0..4).map(|_| uniform()).sum::<f64>() * 3f64.sqrt() * scale;
        (0..p).map(draw).collect()
    };
    let (spike, start) = (generic(1.0 / (p as f64).sqrt()), generic(1.0));
    for delta in [0.05f64, 0.1, 0.2] {
        // Quantiles of the semicircle of radius 2√Δ, by its distribution function.
        let quantile = |i: usize| {
            let target = (i as f64 + 0.5) / p as f64;
            let (mut low, mut high) = (-1.0f64, 1.0f64);
            for _ in 0..50 {
                let x = 0.5 * (low + high);
                let below = 0.5 + (x * (1.0 - x * x).sqrt() + x.asin()) / std::f64::consts::PI;
                if below < target { low = x } else { high = x }
            }
            2.0 * delta.sqrt() * low
        };
        let spiked = Spiked {
            noise: (0..p).map(quantile).collect(),
            spike: spike.clone(),
        };
        let found = top_eigenpair(&spiked, &start, LanczosSettings::default()).unwrap();
        assert!(
            found.converged && found.products <= 40,
            "{}",
            found.products
        );
        assert!(found.residual <= 1e-10 * found.value);
        let (mut low, mut high) = (2.0 * delta.sqrt(), 4.0);
        for _ in 0..60 {
            let middle = 0.5 * (low + high);
            let sum: f64 = (spike.iter().zip(&spiked.noise))
                .map(|(s, d)| s * s / (middle - d))
                .sum();
            if sum > 1.0 {
                low = middle
            } else {
                high = middle
            }
        }
        assert!((found.value - low).abs() < 1e-12 * low, "{}", found.value);
        let exact: Vec<f64> = (spike.iter().zip(&spiked.noise))
            .map(|(s, d)| s / (low - d))
            .collect();
        let norm = exact.iter().map(|v| v * v).sum::<f64>();
        let dot: f64 = exact.iter().zip(&found.vector).map(|(a, b)| a * b).sum();
        let scale = dot.signum() / norm.sqrt();
        let distance: f64 = (exact.iter().zip(&found.vector))
            .map(|(a, b)| (scale * a - b).powi(2))
            .sum();
        // The residual over the gap, and as much again for the rounding of both.
        let angle = 2e-10 * low / (low - 2.0 * delta.sqrt());
        assert!(distance.sqrt() < angle, "{}", distance.sqrt());
    }
}
