//! Gradient descent on a latent: its gradient, its decrease, and minima that are known.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_baselines::{
    BaselineError, Data, Generator, Outcome, Settings, Stop, descend, gradient, objective,
};
use onsager_ensembles::Seed;
use onsager_ensembles::sample::{gaussian, spiked_wigner, spiked_wishart};
use onsager_operators::factorisations::symmetric_eigen;
use onsager_operators::{Counted, Dense, LinearOperator, Shape, Symmetric};

type Weights = Vec<Arc<dyn LinearOperator>>;

fn weights(seed: u64, sizes: &[usize]) -> Weights {
    let layer = |(l, pair): (usize, &[usize])| -> Arc<dyn LinearOperator> {
        let mut rng = Seed(seed).stream("test", 0, l as u64, "weights");
        Arc::new(gaussian(Shape::new(pair[1], pair[0]), 1.0, &mut rng).unwrap())
    };
    sizes.windows(2).enumerate().map(layer).collect()
}

fn vector(seed: u64, length: usize, purpose: &str) -> Vec<f64> {
    let mut rng = Seed(seed).stream("test", 0, 0, purpose);
    let column = gaussian(Shape::new(length, 1), 1.0, &mut rng).unwrap();
    column
        .apply(&DMatrix::from_element(1, 1, 1.0))
        .unwrap()
        .data
        .into()
}

fn wigner(seed: u64, x: &[f64], noise: f64) -> Data {
    let mut rng = Seed(seed).stream("test", 0, 0, "noise");
    let y: Symmetric = spiked_wigner(x, noise, &mut rng).unwrap();
    Data::Wigner(Arc::new(y))
}

fn wishart(seed: u64, x: &[f64], rows: usize, noise: f64) -> Data {
    let u = vector(seed, rows, "left");
    let mut rng = Seed(seed).stream("test", 0, 0, "noise");
    let matrix = Arc::new(spiked_wishart(&u, x, noise, &mut rng).unwrap());
    let left = u.iter().map(|u| u * u).sum::<f64>() / rows as f64;
    Data::Wishart {
        matrix,
        noise,
        left,
    }
}

fn run(generator: &Generator, data: &Data, start: &[f64]) -> Outcome {
    descend(generator, data, start, &Settings::default()).unwrap()
}

/// `|v - x|²/|x|²`.
fn error(v: &[f64], x: &[f64]) -> f64 {
    let miss: f64 = v.iter().zip(x).map(|(v, x)| (v - x).powi(2)).sum();
    miss / x.iter().map(|x| x * x).sum::<f64>()
}

/// Along random directions, by central differences; a slope below zero keeps every unit alive.
#[test]
fn the_gradient_is_that_of_the_objective() {
    for (slope, sizes) in [
        (0.0, &[3, 12][..]),
        (0.3, &[3, 8, 20]),
        (0.0, &[4, 10, 15, 30]),
    ] {
        let generator = Generator::leaky(weights(1, sizes), slope).unwrap();
        let p = generator.signal_size();
        let truth = vector(1, p, "truth");
        for data in [wigner(1, &truth, 0.4), wishart(1, &truth, 17, 0.4)] {
            let z = vector(2, sizes[0], "latent");
            let found = gradient(&generator, &data, &z).unwrap();
            for j in 0..z.len() {
                let at = |d: f64| {
                    let mut z = z.clone();
                    z[j] += d;
                    objective(&generator, &data, &z).unwrap()
                };
                // A polynomial of degree four where no field changes sign: truncation of order d².
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((slope - found[j]).abs() < 1e-8, "{slope} {}", found[j]);
            }
        }
    }
}

/// With `M` written out, `|G(z) G(z)ᵀ/p - M|²/4 - |M|²/4` entry by entry.
#[test]
fn the_objective_is_the_distance_of_matrices() {
    let generator = Generator::relu(weights(3, &[2, 9])).unwrap();
    let truth = vector(3, 9, "truth");
    let (p, n, noise, left) = (9, 5, 0.7, 1.3);
    let mut rng = Seed(3).stream("test", 0, 0, "noise");
    let y = spiked_wishart(&vector(3, n, "left"), &truth, noise, &mut rng).unwrap();
    let y_full = y.apply(&DMatrix::identity(p, p)).unwrap();
    let identity = DMatrix::<f64>::identity(p, p);
    let m = (y_full.transpose() * &y_full / n as f64 - identity * noise) / left;
    let z = vector(4, 2, "latent");
    let x = DMatrix::from_vec(p, 1, generator.signal(&z).unwrap());
    let distance = (&x * x.transpose() / p as f64 - &m).norm_squared() - m.norm_squared();
    let matrix = Arc::new(y);
    let data = Data::Wishart {
        matrix,
        noise,
        left,
    };
    let found = objective(&generator, &data, &z).unwrap();
    assert!((found - distance / 4.0).abs() < 1e-12, "{found} {distance}");
}

/// Without noise the truth is a global minimum, which is found from small random starts.
#[test]
fn noiseless_spikes_are_recovered() {
    for (seed, sizes) in [
        (5, &[5, 100][..]),
        (6, &[4, 40, 160]),
        (7, &[3, 20, 60, 150]),
    ] {
        let generator = Generator::relu(weights(seed, sizes)).unwrap();
        let x = generator.signal(&vector(seed, sizes[0], "truth")).unwrap();
        for data in [wigner(seed, &x, 0.0), wishart(seed, &x, 7, 0.0)] {
            for trial in 0..3 {
                let mut start = vector(10 * seed + trial, sizes[0], "start");
                start.iter_mut().for_each(|z| *z *= 1e-3);
                let found = run(&generator, &data, &start);
                assert_eq!(found.stop, Stop::Converged);
                assert!(error(&found.estimate, &x) < 1e-8, "{sizes:?} {trial}");
            }
        }
    }
}

/// From a negative multiple of the truth the gradient of one layer leads to zero, where nothing of the
/// signal is seen: the comparison of `z` and `-z` leaves it.
#[test]
fn starts_opposite_to_the_truth_are_turned() {
    let generator = Generator::relu(weights(8, &[5, 100])).unwrap();
    let z = vector(8, 5, "truth");
    let x = generator.signal(&z).unwrap();
    let opposite: Vec<f64> = z.iter().map(|z| -0.5 * z).collect();
    let found = run(&generator, &wigner(8, &x, 0.0), &opposite);
    assert!(
        found
            .latent
            .iter()
            .zip(&z)
            .all(|(a, b)| (a - b).abs() < 1e-4)
    );
}

#[test]
fn steps_go_downhill_and_are_counted() {
    let sizes = [6, 30, 90];
    let layers: Vec<_> = weights(9, &sizes)
        .into_iter()
        .map(Counted::new)
        .map(Arc::new)
        .collect();
    let operators = layers
        .iter()
        .map(|w| Arc::clone(w) as Arc<dyn LinearOperator>);
    let generator = Generator::relu(operators.collect()).unwrap();
    let x = generator.signal(&vector(9, 6, "truth")).unwrap();
    let Data::Wishart {
        matrix,
        noise,
        left,
    } = wishart(9, &x, 45, 0.5)
    else {
        unreachable!()
    };
    let matrix = Arc::new(Counted::new(matrix));
    let counts = || {
        let all = layers
            .iter()
            .map(|w| w.products())
            .chain([matrix.products()]);
        all.map(|p| p.forward + p.adjoint).sum::<u64>()
    };
    let data = Data::Wishart {
        matrix: Arc::clone(&matrix) as Arc<dyn LinearOperator>,
        noise,
        left,
    };
    let before = counts();
    let found = run(&generator, &data, &vector(9, 6, "start"));
    assert_eq!(found.stop, Stop::Converged);
    assert_eq!(found.products, counts() - before);
    // Every value lies below the largest of the thirty before it, and the last one below all but a few.
    let values: Vec<f64> = found.trace.iter().map(|r| r.objective).collect();
    for i in 1..values.len() {
        let before = values[i.saturating_sub(30)..i]
            .iter()
            .fold(f64::MIN, |a, b| a.max(*b));
        assert!(values[i] < before, "{i}");
    }
    let best = values.iter().fold(f64::MAX, |a, b| a.min(*b));
    assert_eq!(objective(&generator, &data, &found.latent).unwrap(), best);
    assert!(best < values[0] && found.trace.iter().skip(1).all(|r| r.step > 0.0));
    let fewer = Settings {
        iterations: 3,
        ..Settings::default()
    };
    let cut = descend(&generator, &data, &vector(9, 6, "start"), &fewer).unwrap();
    assert_eq!((cut.stop, cut.trace.len()), (Stop::NotConverged, 4));
    assert_eq!(cut.trace, found.trace[..4]);
}

/// A linear network reaches a subspace `U`: the minimum of `|x xᵀ/p - M|` there is the top eigenvector
/// of `UᵀMU`, scaled to `|x|²/p` = its eigenvalue.
#[test]
fn a_linear_network_finds_the_top_eigenvector_of_its_range() {
    let (k, p) = (4, 30);
    let layers = weights(11, &[k, 12, p]);
    let generator = Generator::leaky(layers.clone(), 1.0).unwrap();
    let truth = generator.signal(&vector(11, k, "truth")).unwrap();
    let mut rng = Seed(11).stream("test", 0, 0, "noise");
    let y: Symmetric = spiked_wigner(&truth, 0.3, &mut rng).unwrap();
    let m = y.apply(&DMatrix::identity(p, p)).unwrap() / (p as f64).sqrt();
    let basis = layers[1]
        .apply(&layers[0].apply(&DMatrix::identity(k, k)).unwrap())
        .unwrap();
    let range = basis.qr().q();
    let small = range.transpose() * &m * &range;
    let eigen = symmetric_eigen(&((&small + small.transpose()) / 2.0)).unwrap();
    let best = (0..k)
        .max_by(|i, j| eigen.values[*i].total_cmp(&eigen.values[*j]))
        .unwrap();
    let scale = (p as f64 * eigen.values[best]).sqrt();
    let x: Vec<f64> = (&range * eigen.vectors.column(best) * scale).data.into();
    let found = run(
        &generator,
        &Data::Wigner(Arc::new(y)),
        &vector(12, k, "start"),
    );
    assert_eq!(found.stop, Stop::Converged);
    let negative: Vec<f64> = x.iter().map(|x| -x).collect();
    // At rest to 1e-5 relative, times the conditioning.
    let miss = error(&found.estimate, &x).min(error(&found.estimate, &negative));
    assert!(miss < 1e-9, "{miss}");
    let minimum = -eigen.values[best].powi(2) / 4.0;
    let last = found.trace.last().unwrap().objective;
    assert!(
        (last - minimum).abs() < 1e-10 * minimum.abs(),
        "{last} {minimum}"
    );
}

/// Scales of the latent and of the data only rescale the descent.
#[test]
fn units_do_not_matter() {
    let generator = Generator::relu(weights(13, &[5, 60])).unwrap();
    let x = generator.signal(&vector(13, 5, "truth")).unwrap();
    let start = vector(14, 5, "start");
    let one = run(&generator, &wishart(13, &x, 40, 0.2), &start);
    let double = |v: &[f64]| v.iter().map(|v| 2.0 * v).collect::<Vec<_>>();
    let other = run(
        &generator,
        &wishart(13, &double(&x), 40, 0.8),
        &double(&start),
    );
    assert_eq!(double(&one.latent), other.latent);
    assert_eq!(one.products, other.products);
}

#[test]
fn what_cannot_be_fitted_is_refused() {
    let said = |e: BaselineError| e.to_string();
    let layers = || weights(15, &[2, 5]);
    assert!(said(Generator::relu(vec![]).unwrap_err()).contains("at least one layer"));
    let wrong = layers().into_iter().chain(layers()).collect();
    assert_eq!(
        said(Generator::relu(wrong).unwrap_err()),
        "weights must have shape 5 x 5, got 5 x 2"
    );
    assert!(said(Generator::leaky(layers(), f64::NAN).unwrap_err()).contains("got NaN"));
    let generator = Generator::relu(layers()).unwrap();
    let x = generator.signal(&[1.0, 1.0]).unwrap();
    let refused = |data: &Data, start: &[f64], settings: &Settings| {
        said(descend(&generator, data, start, settings).unwrap_err())
    };
    let (data, settings) = (wigner(15, &x, 0.1), Settings::default());
    assert!(refused(&data, &[0.0, 0.0], &settings).contains("norm of the start"));
    assert!(refused(&data, &[f64::NAN, 0.0], &settings).contains("got NaN"));
    assert!(refused(&data, &[1.0], &settings).contains("2 x 1, got 1 x 1"));
    assert!(
        refused(&wigner(15, &x[1..], 0.1), &[1.0, 1.0], &settings).contains("5 x 5, got 4 x 4")
    );
    let matrix =
        Arc::new(gaussian(Shape::new(3, 5), 1.0, &mut Seed(1).stream("", 0, 0, "")).unwrap());
    let noise = |noise, left| Data::Wishart {
        matrix: Arc::clone(&matrix) as Arc<dyn LinearOperator>,
        noise,
        left,
    };
    assert!(refused(&noise(-1.0, 1.0), &[1.0, 1.0], &settings).contains("noise must be finite"));
    assert!(refused(&noise(1.0, 0.0), &[1.0, 1.0], &settings).contains("second moment"));
    let strict = Settings {
        tolerance: 0.0,
        ..settings
    };
    assert!(refused(&data, &[1.0, 1.0], &strict).contains("tolerance must be"));
}

/// Where a network is silent the gradient vanishes: nothing is found, nothing moves.
#[test]
fn silent_networks_rest_where_they_start() {
    let silent = Dense::new(Shape::new(3, 1), vec![0.0; 3]).unwrap();
    let generator = Generator::relu(vec![Arc::new(silent)]).unwrap();
    let found = run(&generator, &wigner(17, &[1.0; 3], 0.1), &[1.0]);
    assert_eq!((found.stop, found.latent), (Stop::Converged, vec![1.0]));
    assert_eq!(found.estimate, [0.0; 3]);
}

/// A product that is not a number ends the run, and no number of it is called converged.
#[test]
fn broken_matrices_diverge() {
    struct Broken;
    impl LinearOperator for Broken {
        fn shape(&self) -> Shape {
            Shape::square(5)
        }
        fn apply_column(&self, _: &[f64], y: &mut [f64]) {
            y.fill(f64::NAN);
        }
        fn apply_adjoint_column(&self, _: &[f64], y: &mut [f64]) {
            y.fill(f64::NAN);
        }
        fn bytes(&self) -> usize {
            0
        }
    }
    let generator = Generator::relu(weights(16, &[2, 5])).unwrap();
    let found = run(&generator, &Data::Wigner(Arc::new(Broken)), &[1.0, 1.0]);
    assert_eq!(found.stop, Stop::Diverged);
    assert_eq!(found.latent, [1.0, 1.0]);
}
