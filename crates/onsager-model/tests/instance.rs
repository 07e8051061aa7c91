//! Drawn instances obey their declaration; given ones are checked.
#![cfg(feature = "sample")]

use std::sync::Arc;

use onsager_ensembles::Seed;
use onsager_model::instance::Storage;
use onsager_model::{Chain, Instance, ModelError, Teacher, Tree};
use onsager_operators::{Dense, LinearOperator, Shape};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Rademacher};
use onsager_scalar::{Activation, Prior};

fn stream(purpose: &str) -> impl rand::Rng + use<> {
    Seed(11).stream("instance tests", 2, 5, purpose)
}

/// Two layers of generic aspects, so that no two sizes coincide.
fn deep() -> Tree {
    Chain::new(Arc::new(GaussBernoulli::new(0.3, 0.0, 2.0).unwrap()))
        .layer(0.75, Arc::new(PiecewiseLinear::relu()))
        .layer(2.0, Arc::new(PiecewiseLinear::sign()))
        .spiked_wigner(0.5)
        .unwrap()
}

fn squares(x: &[f64]) -> f64 {
    x.iter().map(|x| x * x).sum()
}

/// Entry `(i, j)` through a product with a unit vector.
fn entry(a: &dyn LinearOperator, i: usize, j: usize) -> f64 {
    let shape = a.shape();
    let mut x = vec![0.0; shape.columns];
    let mut y = vec![0.0; shape.rows];
    x[j] = 1.0;
    a.apply_column(&x, &mut y);
    y[i]
}

#[test]
fn every_factor_relates_the_variables_it_joins() {
    for storage in [Storage::F64, Storage::F32] {
        let tree = deep();
        let sizes = tree.sizes(tree.signal_index(), 60);
        let teacher = Teacher {
            storage,
            ..Teacher::fixed()
        };
        let instance = Instance::draw(&tree, &sizes, stream, teacher).unwrap();
        assert_eq!(instance.sizes(), [40, 30, 30, 60, 60]);
        let truth = |v| instance.truth(v).unwrap();
        for (factor, inner) in [(1, 0), (3, 2)] {
            // The stored matrix made the field, whatever the precision of storage.
            let w = instance.operator(factor).unwrap();
            assert_eq!(w.shape(), Shape::new(sizes[inner + 1], sizes[inner]));
            let mut h = vec![0.0; sizes[inner + 1]];
            w.apply_column(truth(inner), &mut h);
            let scale = (sizes[inner] as f64).sqrt();
            for (h, known) in h.iter().zip(truth(inner + 1)) {
                assert!((h / scale - known).abs() <= 1e-15 * known.abs());
            }
        }
        let pairs = |v: usize| truth(v).iter().zip(truth(v + 1));
        assert!(pairs(1).all(|(h, x)| PiecewiseLinear::relu().apply(*h) == *x));
        assert!(pairs(3).all(|(h, x)| PiecewiseLinear::sign().apply(*h) == *x));
        assert!(instance.operator(0).is_none() && instance.data(5).is_none());
    }
}

#[test]
fn noise_around_the_spike_has_the_declared_variance() {
    let p = 400;
    let noise = 0.25;
    let tree = Chain::new(Arc::new(Gaussian::new(0.5, 2.0).unwrap()))
        .spiked_wigner(noise)
        .unwrap();
    let instance = Instance::draw(&tree, &[p], stream, Teacher::independent()).unwrap();
    let (x, y) = (instance.truth(0).unwrap(), instance.operator(1).unwrap());
    let mut squared = vec![0.0; p];
    // Σ_ij (Y - xxᵀ/√p)²_ij = Σ Y² - 2 xᵀYx/√p + |x|⁴/p
    y.apply_squared_column(&vec![1.0; p], &mut squared).unwrap();
    let mut product = vec![0.0; p];
    y.apply_column(x, &mut product);
    let cross: f64 = product.iter().zip(x).map(|(y, x)| x * y).sum();
    let root = (p as f64).sqrt();
    let residual = squared.iter().sum::<f64>() - 2.0 * cross / root + squares(x).powi(2) / p as f64;
    // Mean Δ (p(p-1) + 2p); 2 Σ_{i<j} ξ² has variance 8 per pair, so the standard error of the
    // sum is Δ √(4 p²) = 2 Δ p.
    let mean = noise * (p * (p + 1)) as f64;
    assert!((residual - mean).abs() < 5.0 * 2.0 * noise * p as f64);
    assert_eq!(entry(y, 3, 17), entry(y, 17, 3));
}

#[test]
fn fixed_latents_have_exact_norm_and_composition() {
    let draw = |prior: Arc<dyn Prior>, n: usize| {
        let tree = Chain::new(prior).denoising(1.0).unwrap();
        let instance = Instance::draw(&tree, &[n], stream, Teacher::fixed()).unwrap();
        instance.truth(0).unwrap().to_vec()
    };
    let count = |x: &[f64], value: f64| x.iter().filter(|x| **x == value).count();

    let signs = draw(Arc::new(Rademacher), 1000);
    assert_eq!((count(&signs, 1.0), count(&signs, -1.0)), (500, 500));
    let odd = draw(Arc::new(Rademacher), 7);
    assert_eq!(count(&odd, 1.0).abs_diff(count(&odd, -1.0)), 1);
    // In random order: the first half is not of one sign (probability 2^-499).
    assert!(count(&signs[..500], 1.0).abs_diff(250) < 100);

    let law = GaussBernoulli::new(0.1, 0.4, 2.0).unwrap();
    let sparse = draw(Arc::new(law), 1234);
    assert_eq!(count(&sparse, 0.0), 1234 - 123);
    let expected = 1234.0 * law.second_moment();
    assert!((squares(&sparse) / expected - 1.0).abs() < 1e-13);
    assert!(count(&sparse[..617], 0.0) < 617);

    let gaussian = draw(Arc::new(Gaussian::new(0.5, 2.0).unwrap()), 300);
    assert!((squares(&gaussian) / (300.0 * 2.25) - 1.0).abs() < 1e-13);
    // The number of nonzeros rounds to none: nothing to rescale, and no NaN.
    let empty = draw(Arc::new(GaussBernoulli::new(1e-3, 0.0, 1.0).unwrap()), 5);
    assert_eq!(empty, [0.0; 5]);
}

/// A law on three values of different weights, not part of the library.
#[derive(Debug)]
struct Die;
const DIE: [(f64, f64); 3] = [(-1.0, 0.25), (0.5, 0.6), (3.0, 0.15)];

impl Prior for Die {
    fn log_partition(&self, a: f64, b: f64) -> f64 {
        let terms = DIE.map(|(x, w)| w * (b * x - 0.5 * a * x * x).exp());
        terms.iter().sum::<f64>().ln()
    }
    fn moments(&self, _a: f64, _b: f64) -> onsager_scalar::Moments {
        onsager_scalar::Moments::default() // not used when sampling
    }
    fn mean(&self) -> f64 {
        DIE.iter().map(|(x, w)| x * w).sum()
    }
    fn second_moment(&self) -> f64 {
        DIE.iter().map(|(x, w)| x * x * w).sum()
    }
    fn scales(&self) -> Vec<onsager_scalar::prior::Scale> {
        DIE.map(|(mean, _)| onsager_scalar::prior::Scale {
            mean,
            variance: 0.0,
        })
        .to_vec()
    }
    fn sample(&self, _rng: &mut dyn rand::Rng) -> f64 {
        f64::NAN // composition alone decides
    }
    fn discrete_entropy(&self) -> Option<f64> {
        Some(-DIE.iter().map(|(_, w)| w * w.ln()).sum::<f64>())
    }
}

#[test]
fn composition_of_a_foreign_discrete_law_is_read_off_its_log_partition() {
    let tree = Chain::new(Arc::new(Die)).denoising(1.0).unwrap();
    let instance = Instance::draw(&tree, &[20], stream, Teacher::fixed()).unwrap();
    let x = instance.truth(0).unwrap();
    for (value, weight) in DIE {
        let n = x.iter().filter(|x| **x == value).count();
        assert_eq!(n as f64, 20.0 * weight);
    }
    // Without the composition the broken sampler shows, as an error and not as NaN.
    let error = Instance::draw(&tree, &[20], stream, Teacher::independent()).unwrap_err();
    assert!(matches!(error, ModelError::NotFinite { index: 0, .. }));
}

#[test]
fn streams_decide_everything_and_purposes_are_independent() {
    let tree = deep();
    let sizes = tree.sizes(tree.signal_index(), 60);
    let draw = |seed: u64| {
        let stream = |purpose: &str| Seed(seed).stream("", 0, 0, purpose);
        Instance::draw(&tree, &sizes, stream, Teacher::independent()).unwrap()
    };
    let (a, b, c) = (draw(1), draw(1), draw(2));
    assert_eq!(a.truth(4), b.truth(4));
    let (ya, yb) = (a.operator(5).unwrap(), b.operator(5).unwrap());
    assert_eq!(entry(ya, 50, 20), entry(yb, 50, 20));
    assert_ne!(a.truth(0), c.truth(0));

    let mut purposes = Vec::new();
    let record = |purpose: &str| {
        purposes.push(purpose.to_string());
        stream(purpose)
    };
    Instance::draw(&tree, &sizes, record, Teacher::fixed()).unwrap();
    assert_eq!(purposes, ["latent 1", "weights 1", "weights 2", "noise 1"]);
}

#[test]
fn what_does_not_fit_is_refused_with_its_numbers() {
    let tree = deep();
    let sizes = [40, 30, 30, 60, 60];
    let message = |e: ModelError| e.to_string();
    let given = || Instance::given(&tree, &sizes).unwrap();
    let dense = |rows, columns| {
        let entries = vec![1.0; rows * columns];
        Arc::new(Dense::new(Shape::new(rows, columns), entries).unwrap())
    };

    let refused = |sizes: &[usize]| message(Instance::given(&tree, sizes).unwrap_err());
    assert_eq!(
        refused(&[40, 30]),
        "a size is needed for each of 5 variables, got 2"
    );
    assert_eq!(
        refused(&[0, 30, 30, 60, 60]),
        "z must have at least 1 components, got 0"
    );
    assert_eq!(
        refused(&[40, 31, 31, 62, 62]),
        "field(h1) must have 30 components, got 31"
    );
    assert_eq!(
        refused(&[40, 30, 30, 60, 61]),
        "x must have 60 components, got 61"
    );
    // Rounding is allowed from either side.
    assert!(Instance::given(&tree, &[41, 31, 31, 62, 62]).is_ok());
    assert!(Instance::given(&tree, &tree.sizes(4, 61)).is_ok());

    assert_eq!(
        message(given().operator(1, dense(40, 30)).unwrap_err()),
        "matrix of linear(z, field(h1)) must have shape (30, 40), got (40, 30)"
    );
    assert_eq!(
        message(given().operator(0, dense(40, 30)).unwrap_err()),
        "prior(z) does not take a matrix"
    );
    assert_eq!(
        message(given().data(9, vec![]).unwrap_err()),
        "the tree has 6 factors, got index 9"
    );
    assert_eq!(
        message(given().truth(5, vec![]).unwrap_err()),
        "the tree has 5 variables, got index 5"
    );
    let mut z = vec![0.0; 40];
    z[3] = f64::INFINITY;
    assert_eq!(
        message(given().truth(0, z).unwrap_err()),
        "entry 3 of the truth of z must be finite, got inf"
    );
    let incomplete = given().operator(1, dense(30, 40)).unwrap();
    assert_eq!(
        message(incomplete.build().unwrap_err()),
        "linear(h1, field(x)) needs a matrix"
    );
}
