//! Spectral methods and trajectories.

mod common;

use std::sync::Arc;

use common::{activation, close, predict, wigner};
use onsager_model::Chain;
use onsager_replica::spectral::{
    Covariance, SpikedMatrix, Status, lamp, lamp_overlaps, lamp_spectrum, pca, pca_spectrum,
};
use onsager_replica::{Start, information_at, trajectory};
use onsager_scalar::Activation;
use onsager_scalar::activation::{Smooth, Tanh};
use onsager_scalar::prior::{Gaussian, Rademacher};

#[test]
fn linearised_message_passing_is_optimal_for_linear_layers() {
    for (alpha, noise) in [(2.0, 1.0), (1.0, 0.5), (0.5, 1.2), (4.0, 0.1)] {
        let tree = wigner(Gaussian::standard(), &[("linear", alpha)], noise);
        let optimal = predict(&tree).optimal;
        close(lamp(&tree).unwrap().mse, optimal.mmse, 1e-9);
        // And so is its estimate of the latent.
        let z = lamp_overlaps(&tree).unwrap()["z"];
        close(z, optimal.variables["z"].overlap, 1e-9);
    }
}

/// Columns of `reference/lamp_edges.csv`, which another program made: layers, matrix, noise, aspect,
/// second moment of the left factor, edges.
#[test]
fn edges_behind_layers_agree_with_a_parametric_resolvent() {
    let table = include_str!("reference/lamp_edges.csv");
    let rows: Vec<_> = table.lines().skip(2).collect();
    assert_eq!(rows.len(), 11);
    for row in rows {
        let cells: Vec<&str> = row.split(',').collect();
        let number = |i: usize| cells[i].parse::<f64>().unwrap();
        let chain = cells[0].split(' ').fold(
            Chain::new(Arc::new(Gaussian::standard())),
            |chain, layer| {
                let (name, aspect) = layer.split_once(':').unwrap();
                let phi: Arc<dyn Activation> = match name {
                    "tanh" => Arc::new(Smooth::new(Tanh)),
                    other => activation(other),
                };
                chain.layer(aspect.parse().unwrap(), phi)
            },
        );
        let (noise, wishart) = (number(2), cells[1] == "wishart");
        let (tree, matrix) = if wishart {
            let (aspect, left) = (number(3), number(4));
            let u = Chain::new(Arc::new(Gaussian::new(0.0, left).unwrap()));
            let matrix = SpikedMatrix::Wishart {
                noise,
                aspect,
                left,
            };
            (chain.spiked_wishart(noise, aspect, u).unwrap(), matrix)
        } else {
            let matrix = SpikedMatrix::Wigner { noise };
            (chain.spiked_wigner(noise).unwrap(), matrix)
        };
        let found = lamp_spectrum(&Covariance::of(&tree).unwrap(), matrix).unwrap();
        let support = found.support();
        for (edge, expected) in [(support.lower(), number(5)), (support.upper(), number(6))] {
            assert!(
                (edge - expected).abs() <= 1e-10 * expected.abs().max(1.0),
                "{row}: {edge}"
            );
        }
    }
}

#[test]
fn principal_components_are_optimal_for_a_gaussian_spike_only() {
    let tree = wigner(Gaussian::standard(), &[], 0.3);
    close(pca(&tree).unwrap().mse, predict(&tree).optimal.mmse, 1e-9);
    close(lamp(&tree).unwrap().mse, predict(&tree).optimal.mmse, 1e-9);
    for layers in [vec![("linear", 2.0)], vec![("sign", 2.0)]] {
        let tree = wigner(Gaussian::standard(), &layers, 0.6);
        let (pca, lamp) = (pca(&tree).unwrap().mse, lamp(&tree).unwrap().mse);
        let optimal = predict(&tree).optimal.mmse;
        assert!(
            optimal <= lamp + 1e-9 && lamp < pca,
            "{optimal} {lamp} {pca}"
        );
    }
}

#[test]
fn linearised_message_passing_shares_the_threshold_of_weak_recovery() {
    let p = 4.0 / (std::f64::consts::PI * std::f64::consts::PI);
    let critical = 1.0 + 2.0 * p;
    let at = |noise| lamp(&wigner(Gaussian::standard(), &[("sign", 2.0)], noise)).unwrap();
    close(at(1.0).threshold, critical, 1e-14);
    assert_eq!(at(critical * 1.001).cos_squared, 0.0);
    let below = at(critical * 0.999).cos_squared;
    assert!(0.0 < below && below < 0.01);
}

#[test]
fn spectral_predictions_refuse_what_they_do_not_know() {
    // One layer with a mean is always found, but no start of message passing around zero.
    let relu = wigner(Gaussian::standard(), &[("relu", 2.0)], 1.0);
    assert!(lamp(&relu).unwrap().threshold.is_infinite() && lamp_overlaps(&relu).is_err());
    let deep = wigner(Gaussian::standard(), &[("relu", 1.0), ("sign", 1.0)], 1.0);
    assert_eq!(
        Covariance::of(&deep).unwrap_err().to_string(),
        "not supported yet: the covariance of a signal whose hidden variables are not centred: \
         its eigenvalues must be measured"
    );
    assert!(Covariance::measured(vec![1.0, -1.0]).is_err());
    assert!(Covariance::measured(vec![0.0]).is_err());
    let flat = Covariance::measured(vec![1.0]).unwrap();
    for noise in [0.0, -1.0, f64::NAN] {
        assert!(lamp_spectrum(&flat, SpikedMatrix::Wigner { noise }).is_err());
        let wishart = SpikedMatrix::Wishart {
            noise: 1.0,
            aspect: noise,
            left: 1.0,
        };
        assert!(pca_spectrum(1.0, wishart).is_err());
        assert!(pca_spectrum(noise, SpikedMatrix::Wigner { noise: 1.0 }).is_err());
    }
}

/// Two and three layers: the linear theory is exact for linear layers, at every variable.
#[test]
fn deep_linear_layers_are_solved_by_their_covariance() {
    for layers in [
        vec![("linear", 2.0), ("linear", 0.6)],
        vec![("linear", 0.5), ("linear", 3.0), ("linear", 1.0)],
    ] {
        for noise in [0.2, 1.0] {
            let tree = wigner(Gaussian::standard(), &layers, noise);
            let optimal = predict(&tree).optimal;
            close(lamp(&tree).unwrap().mse, optimal.mmse, 1e-9);
            for (name, overlap) in lamp_overlaps(&tree).unwrap() {
                close(overlap, optimal.variables[&name].overlap, 1e-8);
            }
        }
    }
}

/// Message passing is never worse, and both lose the signal at the same noise, at any depth.
#[test]
fn deep_sign_layers_share_the_threshold() {
    let layers = [("sign", 2.0), ("sign", 0.7)];
    let at = |noise| wigner(Gaussian::standard(), &layers, noise);
    let square = 4.0 / (std::f64::consts::PI * std::f64::consts::PI);
    let critical = 1.0 + 0.7 * square * (1.0 + 2.0 * square);
    close(lamp(&at(1.0)).unwrap().threshold, critical, 1e-13);
    assert_eq!(lamp(&at(1.001 * critical)).unwrap().cos_squared, 0.0);
    assert!(lamp(&at(0.999 * critical)).unwrap().cos_squared > 0.0);
    let tree = at(0.5);
    assert!(predict(&tree).optimal.mmse < lamp(&tree).unwrap().mse);
    let covariance = Covariance::of(&tree).unwrap();
    assert_eq!(covariance.status(), Status::Conjecture);
    let found = lamp_spectrum(&covariance, SpikedMatrix::Wigner { noise: 0.5 }).unwrap();
    close(found.overlap, lamp(&tree).unwrap().cos_squared, 1e-14);
    assert_eq!(found.outlier, Some(1.0));
}

/// On trees: optimal on both sides for Gaussian factors, blind to the law of the left factor, at
/// rest as a start, and refused where zero is no fixed point.
#[test]
fn spectral_methods_read_rectangular_trees() {
    let linear = || Chain::new(Arc::new(Gaussian::standard())).layer(2.0, activation("linear"));
    let gaussian = |mean| Chain::new(Arc::new(Gaussian::new(mean, 2.5).unwrap()));
    let tree = linear().spiked_wishart(0.9, 0.6, gaussian(0.0)).unwrap();
    let (found, optimal) = (lamp(&tree).unwrap(), predict(&tree).optimal);
    close(found.mse, optimal.mmse, 1e-9);
    close(found.mse_left.unwrap(), optimal.mmse_left.unwrap(), 1e-9);
    close(found.threshold, 2.5 * (0.6f64 * 3.0).sqrt(), 1e-13);
    let mut overlaps = lamp_overlaps(&tree).unwrap();
    close(overlaps["z"], optimal.variables["z"].overlap, 1e-8);
    let steps = trajectory(&tree, &Start::Overlaps(overlaps.clone()), 3)
        .unwrap()
        .steps;
    for step in &steps {
        close(step.mmse, optimal.mmse, 1e-9);
        close(step.variables["u"].mse, optimal.mmse_left.unwrap(), 1e-9);
    }
    overlaps.insert("w".into(), 0.1);
    assert!(trajectory(&tree, &Start::Overlaps(overlaps), 1).is_err());

    // Signs on the left: the same start, and more from then on.
    let signs = Chain::new(Arc::new(Rademacher));
    let tree = linear().spiked_wishart(0.36, 0.6, signs).unwrap();
    close(lamp(&tree).unwrap().mse, found.mse, 1e-9);
    let start = Start::Overlaps(lamp_overlaps(&tree).unwrap());
    let steps = trajectory(&tree, &start, 1).unwrap().steps;
    assert!(steps[1].variables["u"].mse < steps[0].variables["u"].mse);

    for left in [gaussian(0.5), linear()] {
        let tree = linear().spiked_wishart(0.9, 0.6, left).unwrap();
        assert!(lamp(&tree).is_ok() && lamp_overlaps(&tree).is_err());
        assert!(pca(&tree).is_ok());
    }
    let denoising = linear().denoising(0.9).unwrap();
    assert!(pca(&denoising).is_err() && lamp(&denoising).is_err());
}

/// The fixed point of state evolution for a linear layer and a Gaussian left factor, iterated: with
/// `A = β ρ_u² q/(Δ(Δ + ρ_u q))` the error solves `A V² + (1 + αA - A) V = 1`, `q = 1 - V/(1 + AV)`.
#[test]
fn wishart_overlaps_of_linear_layers_are_optimal() {
    for (alpha, beta, noise, left) in [
        (2.0, 0.5, 0.6, 1.0),
        (0.5, 3.0, 2.0, 1.0),
        (1.0, 1.0, 0.3, 2.5),
    ] {
        let mut q: f64 = 1.0;
        for _ in 0..20_000 {
            let a = beta * left * left * q / (noise * (noise + left * q));
            let b = 1.0 + alpha * a - a;
            let v = 2.0 / (b + (b * b + 4.0 * a).sqrt());
            q = 1.0 - v / (1.0 + a * v);
        }
        let tree = wigner(Gaussian::standard(), &[("linear", alpha)], 1.0);
        let covariance = Covariance::of(&tree).unwrap();
        let matrix = SpikedMatrix::Wishart {
            noise,
            aspect: beta,
            left,
        };
        let found = lamp_spectrum(&covariance, matrix).unwrap();
        close(found.overlap, q, 1e-10);
        close(
            found.overlap_left.unwrap(),
            left * q / (noise + left * q),
            1e-10,
        );
        close(
            found.threshold.unwrap(),
            left * (beta * (1.0 + alpha)).sqrt(),
            1e-12,
        );
        // Without structure it is the principal component.
        let flat = Covariance::measured(vec![1.0]).unwrap();
        let (lamp, pca) = (
            lamp_spectrum(&flat, matrix).unwrap(),
            pca_spectrum(1.0, matrix).unwrap(),
        );
        close(lamp.overlap, pca.overlap, 1e-12);
        close(lamp.overlap_left.unwrap(), pca.overlap_left.unwrap(), 1e-12);
        close(lamp.threshold.unwrap(), pca.threshold.unwrap(), 1e-12);
    }
}

/// An independent Gaussian signal with a mean: `A = q/Δ`, `q = μ² + v² A/(1 + vA)`.
#[test]
fn a_mean_is_seen_at_every_noise() {
    let tree = wigner(Gaussian::new(0.6, 0.5).unwrap(), &[], 2.0);
    let covariance = Covariance::of(&tree).unwrap();
    let found = lamp_spectrum(&covariance, SpikedMatrix::Wigner { noise: 2.0 }).unwrap();
    assert_eq!((found.outlier, found.threshold), (Some(1.0), None));
    let optimal = predict(&tree).optimal;
    close(
        found.overlap * covariance.second_moment(),
        optimal.overlap,
        1e-9,
    );
    // One relu layer: below the optimum, above what is known without data.
    let tree = wigner(Gaussian::standard(), &[("relu", 2.0)], 0.5);
    let covariance = Covariance::of(&tree).unwrap();
    let found = lamp_spectrum(&covariance, SpikedMatrix::Wigner { noise: 0.5 }).unwrap();
    let q = 0.5 * found.overlap;
    let known = 0.5 / std::f64::consts::PI;
    assert!(known < q && q < predict(&tree).optimal.overlap, "{q}");
}

#[test]
fn steps_of_a_linear_layer_follow_the_schedule() {
    // By hand: A = q/Δ with the old latent: V = 1 - q_z; q = 1 - V/(1 + AV); then
    // q_z = αA/(1+AV) / (1 + αA/(1+AV)). The start is where this rests at A = snr:
    // A V² + (1 + αA - A) V = 1.
    let (alpha, noise) = (2.0, 0.5);
    let tree = wigner(Gaussian::standard(), &[("linear", alpha)], noise);
    let run = trajectory(&tree, &Start::SideInformation { snr: 0.3 }, 4).unwrap();
    let linear: f64 = 1.0 + (alpha - 1.0) * 0.3;
    let mut v = ((linear * linear + 4.0 * 0.3).sqrt() - linear) / (2.0 * 0.3);
    let mut q = 1.0 - v / (1.0 + 0.3 * v);
    for step in &run.steps {
        close(step.mmse, 1.0 - q, 1e-11);
        close(step.claimed, step.mmse, 0.0);
        close(step.variables["z"].mse, v, 1e-11);
        let a = q / noise;
        q = 1.0 - v / (1.0 + a * v);
        let down = alpha * a / (1.0 + a * v);
        v = 1.0 / (1.0 + down);
    }
}

/// One iteration of a linear layer under precision `a` with `q` known of its latent: what is then known of
/// both.
fn linear_step(alpha: f64, a: f64, q: f64) -> (f64, f64) {
    let v = 1.0 - q;
    let down = alpha * a / (1.0 + a * v);
    (1.0 - v / (1.0 + a * v), down / (1.0 + down))
}

/// Both sides of a product pass their messages down, one layer an iteration; a left factor at rest in
/// every message is told apart.
#[test]
fn steps_of_linear_layers_on_both_sides_follow_the_schedule() {
    let (noise, beta, alpha, alpha_u) = (0.7, 1.5, 2.0, 3.0);
    let linear =
        |alpha| Chain::new(Arc::new(Gaussian::standard())).layer(alpha, activation("linear"));
    let tree = linear(alpha)
        .spiked_wishart(noise, beta, linear(alpha_u))
        .unwrap();
    let x = tree.signal().name.clone();
    let variables = tree.variables();
    let names = [variables[0].name.clone(), variables[3].name.clone()];
    let u = variables.last().unwrap().name.clone();
    let start = Start::Overlaps([(x.clone(), 0.3)].into());
    let steps = trajectory(&tree, &start, 40).unwrap().steps;
    assert_eq!(steps[0].variables.len(), 4);
    let (mut q, mut q_z, mut q_u, mut q_w) = (0.3, 0.0, 0.0, 0.0);
    for step in &steps {
        let known = [(&x, q), (&names[0], q_z), (&u, q_u), (&names[1], q_w)];
        for (name, overlap) in known {
            close(step.variables[name].truth, overlap, 1e-11);
            close(step.variables[name].mse, 1.0 - overlap, 1e-11);
        }
        (q_u, q_w) = linear_step(alpha_u, q / noise, q_w);
        (q, q_z) = linear_step(alpha, beta * q_u / noise, q_z);
    }
    close(steps[40].mmse, predict(&tree).optimal.mmse, 1e-9);
    let overlap = |t: usize| steps[t].variables[&u].truth;
    assert!(overlap(2) > overlap(1) + 0.1);
    // Off the fixed points: least at the optimal one, which it equals.
    let optimal = predict(&tree).optimal;
    let at = optimal.overlap;
    let i = information_at(&tree, &[at, at - 0.05, at + 0.05]).unwrap();
    close(i[0], optimal.mutual_information.unwrap(), 1e-9);
    assert!(i[0] < i[1] && i[0] < i[2], "{i:?}");
}

/// Columns of `reference/wishart_steps.csv`: message passing itself on drawn matrices, from a matched
/// estimate and from one that claims to know nothing.
#[test]
fn sign_layers_on_both_sides_agree_with_runs_of_message_passing() {
    let sign = |alpha| Chain::new(Arc::new(Gaussian::standard())).layer(alpha, activation("sign"));
    let tree = sign(2.0).spiked_wishart(0.6, 1.5, sign(3.0)).unwrap();
    let v = tree.variables();
    let [z, x, w, u] = [&v[0], &v[2], &v[3], &v[5]].map(|v| v.name.as_str());
    let table = include_str!("reference/wishart_steps.csv");
    let rows: Vec<Vec<f64>> = (table.lines().skip(2))
        .map(|row| row.split(',').map(|cell| cell.parse().unwrap()).collect())
        .collect();
    assert_eq!(rows.len(), 8);
    for row in rows {
        let (truth, norm, t) = (row[0], row[1], row[2] as usize);
        let start = if truth == norm {
            Start::Overlaps([(x.to_string(), truth)].into())
        } else {
            Start::Random { truth, norm }
        };
        let step = trajectory(&tree, &start, t).unwrap().steps[t].clone();
        let at = |name: &str| step.variables[name];
        let theory = [
            at(x).truth,
            at(x).claimed,
            at(u).truth,
            at(u).claimed,
            at(z).truth,
            at(w).truth,
        ];
        for (i, expected) in theory.into_iter().enumerate() {
            let (mean, error) = (row[3 + i], row[9 + i]);
            // Five standard errors and a bias of order 1/p, p = 1000.
            assert!(
                (mean - expected).abs() <= 5.0 * error + 5e-3,
                "{truth} {norm}, column {i} at {t}: {mean} ± {error}, {expected}"
            );
        }
    }
}

#[test]
fn a_random_guess_escapes_to_the_algorithmic_point() {
    for tree in [
        wigner(Rademacher, &[], 0.4),
        wigner(Gaussian::standard(), &[("sign", 2.0)], 0.7),
    ] {
        let start = Start::Random {
            truth: 0.03,
            norm: 0.5,
        };
        let run = trajectory(&tree, &start, 120).unwrap();
        let end = &run.steps[120];
        let expected = predict(&tree).algorithmic.mmse;
        // Errors of the general averages, from which the point is attracted.
        close(end.mmse, expected, 1e-6);
        close(end.claimed, expected, 1e-6);
        // Off the line on the way.
        assert!((run.steps[1].mmse - run.steps[1].claimed).abs() > 1e-2);
    }
}

#[test]
fn prior_means_are_a_fixed_point_of_centred_signals_only() {
    let centred = wigner(Gaussian::standard(), &[("sign", 2.0)], 0.5);
    let run = trajectory(&centred, &Start::Mean, 3).unwrap();
    close(run.steps[3].mmse, 1.0, 1e-12);
    let relu = wigner(Gaussian::standard(), &[("relu", 2.0)], 0.5);
    let run = trajectory(&relu, &Start::Mean, 200).unwrap();
    close(
        run.steps[0].mmse,
        0.5 * (1.0 - std::f64::consts::FRAC_1_PI),
        1e-12,
    );
    close(run.steps[200].mmse, predict(&relu).algorithmic.mmse, 1e-9);
}

#[test]
fn a_given_spike_that_is_typical_is_a_gaussian_one() {
    use onsager_replica::spectral::lamp_given;
    let eigenvalues = [0.0, 0.3, 1.0, 4.0, 4.7];
    let weights = eigenvalues.map(|t: f64| t / 5.0);
    let mean = |f: &dyn Fn(f64) -> f64| eigenvalues.iter().map(|t| f(*t)).sum::<f64>() / 5.0;
    let (rho, threshold) = (mean(&|t| t), mean(&|t| t * t));
    for tau in [0.1, 1.0, 20.0] {
        let noise = mean(&|t| t * t / (1.0 + t * tau));
        let found = lamp_given(&eigenvalues, &weights, SpikedMatrix::Wigner { noise }).unwrap();
        close(found.outlier, 1.0, 1e-11);
        close(found.cos_squared, noise * tau / rho, 1e-11);
    }
    for noise in [1.001 * threshold, 10.0 * threshold] {
        let found = lamp_given(&eigenvalues, &weights, SpikedMatrix::Wigner { noise }).unwrap();
        assert_eq!(found.cos_squared, 0.0);
    }
    let square = |noise| SpikedMatrix::Wigner { noise };
    assert!(lamp_given(&eigenvalues, &weights[1..], square(1.0)).is_err());
    assert!(lamp_given(&[0.0, 1.0], &[1.0, 0.0], square(1.0)).is_err());
    assert!(lamp_given(&[1.0], &[1.0], square(0.0)).is_err());
    // Beside a left factor: the law of the same eigenvalues is the second route.
    let covariance = Covariance::measured(eigenvalues.to_vec()).unwrap();
    for (aspect, left) in [(0.4, 1.0), (3.0, 2.5)] {
        let threshold = left * (aspect * threshold).sqrt();
        for noise in [0.02, 0.3, 0.9, 1.001].map(|relative| relative * threshold) {
            let matrix = SpikedMatrix::Wishart {
                noise,
                aspect,
                left,
            };
            let found = lamp_given(&eigenvalues, &weights, matrix).unwrap();
            let typical = lamp_spectrum(&covariance, matrix).unwrap();
            close(found.cos_squared, typical.overlap, 1e-10);
            if noise < threshold {
                close(found.outlier, 1.0, 1e-10);
            }
        }
    }
}

/// Spectral methods of signals behind outputs.
mod outputs {
    use std::sync::Arc;

    use onsager_model::Tree;
    use onsager_replica::average::{output_filtered, output_growth};
    use onsager_replica::spectral::{lamp, lamp_overlaps, pca};
    use onsager_replica::{Start, trajectory};
    use onsager_scalar::Likelihood;
    use onsager_scalar::activation::PiecewiseLinear;
    use onsager_scalar::likelihood::{Additive, Blurred, Noiseless};
    use onsager_scalar::prior::Gaussian;
    use onsager_scalar::special::{erfcx, ndtr, normal_density};

    use super::common::{chain, close, predict};

    fn abs() -> Arc<dyn Likelihood> {
        Arc::new(Noiseless::new(PiecewiseLinear::abs()))
    }

    fn tree(layers: &[(&str, f64)], aspect: f64) -> Tree {
        let chain = chain(Gaussian::standard(), layers);
        chain.glm(aspect, abs()).unwrap()
    }

    /// `E 1/(a + y²) = √(π/2a) exp(a/2) erfc √(a/2)`, of which the average for absolute values is made.
    #[test]
    fn exact_absolute_values_are_heard_as_the_closed_form_says() {
        for (q, r) in [(0.2, 1.0), (0.9, 1.0), (0.35, 0.7), (0.999_99, 1.0)] {
            let share: f64 = q / r;
            let a = (1.0 - share) / share;
            let inverse = (0.5 * std::f64::consts::PI / a).sqrt() * erfcx((0.5 * a).sqrt());
            let expected = (inverse / share - 1.0) / (q * q);
            let found = output_filtered(abs().as_ref(), q, r).unwrap();
            close(found / expected, 1.0, 1e-9);
        }
    }

    /// Two labels: their probabilities, and the mean squares of a field inside and outside.
    #[test]
    fn a_door_is_heard_as_its_two_labels_say() {
        let (width, r, q) = (0.7, 1.6f64, 0.8);
        let door = Noiseless::new(PiecewiseLinear::door(width).unwrap());
        let u = width / r.sqrt();
        let (outside, edge) = (2.0 * ndtr(-u), 2.0 * u * normal_density(u));
        // E h²/r - 1 = ±2u φ(u)/P.
        let expected: f64 = [(outside, edge), (1.0 - outside, -edge)]
            .map(|(chance, moved)| {
                let g = moved / chance / r;
                chance * g * g / (1.0 + q * g)
            })
            .iter()
            .sum();
        close(output_filtered(&door, q, r).unwrap(), expected, 1e-12);
    }

    /// Against sums over a fine grid of fields and of the noise, and the growth of the general average.
    #[test]
    fn noisy_outputs_are_heard_as_brute_force_says() {
        let phis = [PiecewiseLinear::abs(), PiecewiseLinear::door(0.9).unwrap()];
        for phi in phis {
            for (noise, q, r) in [(0.3, 0.0, 1.3), (0.3, 0.9, 1.3), (0.02, 0.5, 0.8)] {
                let law = Additive::new(Arc::new(phi.clone()), noise).unwrap();
                let found = output_filtered(&law, q, r).unwrap();
                if q == 0.0 {
                    let growth = output_growth(&law, r).unwrap();
                    close(found / growth, 1.0, 1e-8);
                }
                let half = 120;
                let step = 7.5 / f64::from(half);
                let (mut sum, mut norm) = (0.0, 0.0);
                for i in -half..half {
                    for j in -half..half {
                        let [a, b] = [i, j].map(|k| (f64::from(k) + 0.5) * step);
                        let h = r.sqrt() * a;
                        let y = onsager_scalar::Activation::apply(&phi, h) + noise.sqrt() * b;
                        let g = -law.observe(y, 0.0, r).curvature;
                        let weight = normal_density(a) * normal_density(b);
                        sum += weight * g * g / (1.0 + q * g);
                        norm += weight;
                    }
                }
                // The grid cuts cells at the edges of the door.
                close(found / (sum / norm), 1.0, 0.01);
            }
        }
    }

    /// Noise in front of the output only widens the field.
    #[test]
    fn blurred_outputs_are_those_of_a_wider_field() {
        let sharp = Arc::new(Noiseless::new(PiecewiseLinear::abs()));
        let blurred = Blurred::new(sharp, 0.4).unwrap();
        let wider = output_filtered(abs().as_ref(), 0.5, 1.4).unwrap();
        close(output_filtered(&blurred, 0.5, 1.0).unwrap(), wider, 1e-12);
    }

    #[test]
    fn thresholds_are_those_of_weak_recovery() {
        let p = 4.0 / (std::f64::consts::PI * std::f64::consts::PI);
        for (layers, square) in [
            (vec![], 1.0),
            (vec![("linear", 2.0)], 3.0),
            (vec![("sign", 2.0)], 1.0 + 2.0 * p),
        ] {
            let critical = 0.5 / square;
            close(
                lamp(&tree(&layers, 1.0)).unwrap().threshold,
                critical,
                1e-12,
            );
            let at = |aspect| lamp(&tree(&layers, aspect)).unwrap().cos_squared;
            assert_eq!(at(0.999 * critical), 0.0);
            let above = at(1.001 * critical);
            assert!(0.0 < above && above < 0.01, "{layers:?}: {above}");
            let blind = pca(&tree(&layers, 0.8)).unwrap();
            close(blind.threshold, 0.5, 1e-12);
            // Message passing knows more than its linearisation, and that more than nothing.
            let optimal = predict(&tree(&layers, 0.8)).algorithmic;
            let known = [optimal.overlap, at(0.8), blind.cos_squared];
            assert!(known[0] > known[1] && known[1] >= known[2], "{known:?}");
        }
    }

    /// Without a prior, `1 = α (1 - q) E G²/(1 + qG)`.
    #[test]
    fn the_overlap_solves_its_equation() {
        let (alpha, found) = (1.3, pca(&tree(&[("sign", 2.0)], 1.3)).unwrap());
        let q = found.cos_squared;
        let a = (1.0 - q) / q;
        let inverse = (0.5 * std::f64::consts::PI / a).sqrt() * erfcx((0.5 * a).sqrt());
        close(alpha * (1.0 - q) * (inverse / q - 1.0) / (q * q), 1.0, 1e-9);
        close(found.mse, 1.0 - q, 1e-15);
        assert_eq!(lamp(&tree(&[], 1.3)).unwrap(), found);
    }

    #[test]
    fn trajectories_start_from_the_overlaps_of_the_linear_theory() {
        let tree = tree(&[("linear", 2.0)], 0.4);
        let start = lamp_overlaps(&tree).unwrap();
        close(start["x"], lamp(&tree).unwrap().cos_squared, 1e-12);
        let run = trajectory(&tree, &Start::Overlaps(start), 400).unwrap();
        assert!(run.steps[1].mmse < run.steps[0].mmse);
        close(run.steps[400].mmse, predict(&tree).algorithmic.mmse, 1e-6);
    }

    #[test]
    fn what_theory_does_not_cover_is_refused() {
        let relu = tree(&[("relu", 2.0)], 1.0);
        assert!(lamp(&relu).is_err() && lamp_overlaps(&relu).is_err());
        assert!(pca(&relu).unwrap().cos_squared > 0.0);
        let linear = Arc::new(Noiseless::new(PiecewiseLinear::linear()));
        let sensed = chain(Gaussian::standard(), &[]).glm(2.0, linear).unwrap();
        for error in [lamp(&sensed).unwrap_err(), pca(&sensed).unwrap_err()] {
            assert_eq!(
                error.to_string(),
                "not supported yet: a spectral method of outputs that differ for h and -h"
            );
        }
    }
}
