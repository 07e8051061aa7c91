//! Averages of every law and function against nested Gauss-Legendre panels, which share nothing with
//! the library's rules but the point functions (those have tables of their own). The worst
//! disagreement of each is printed.

use onsager_replica::average::{layer, prior};
use onsager_scalar::activation::*;
use onsager_scalar::prior::*;
use onsager_scalar::quadrature::{Panels, Rule};
use onsager_scalar::special::normal_density;

/// Promised by the documentation of the averages, relative.
const PROMISED: f64 = 1e-9;

fn panels(from: f64, to: f64, width: f64) -> Panels {
    let count = ((to - from) / width).ceil() as i32;
    let end = |k: i32| from + (to - from) * f64::from(k) / f64::from(count);
    Panels::new((0..=count).map(end)).unwrap()
}

/// Averages over `ω ~ N(0, q)` and `β`, whose law is `Z(√a β, a, ω, V) N(β; 0, 1)`.
fn reference(phi: &dyn Activation, a: f64, q: f64, v: f64) -> [f64; 5] {
    let (rule, finer, reach) = (Rule::new(8).unwrap(), Rule::new(12).unwrap(), 8.5);
    let (root, sd) = (a.sqrt(), q.sqrt());
    // Half a deviation of whatever is narrower: the prior of the field or its posterior.
    let step = (0.5 * v.sqrt() / sd).min(1.0);
    let mut sum = [0.0; 5];
    for (eta, w) in panels(-reach, reach, step).nodes(rule) {
        let omega = sd * eta;
        let hs = (-60..=60).map(|k| omega + reach * v.sqrt() * f64::from(k) / 60.0);
        let images: Vec<f64> = hs.map(|h| root * phi.apply(h)).collect();
        let from = images.iter().copied().fold(f64::INFINITY, f64::min) - reach;
        let to = images.iter().copied().fold(f64::NEG_INFINITY, f64::max) + reach;
        for (beta, u) in panels(from, to, 0.7).nodes(finer) {
            let c = phi.channel(a, root * beta, omega, v);
            let log = c.log_partition - 0.5 * beta * beta;
            let density = normal_density(eta) * normal_density(0.0) * log.exp();
            let values = [
                c.output.mean * c.output.mean,
                c.output.variance,
                c.score * c.score,
                c.input.variance,
                c.log_partition,
            ];
            for (sum, value) in sum.iter_mut().zip(values) {
                *sum += w * u * density * value;
            }
        }
    }
    sum
}

#[test]
fn layers_agree_with_nested_panels() {
    let inf = f64::INFINITY;
    let piece = |lower, upper, offset, slope| Piece {
        lower,
        upper,
        offset,
        slope,
    };
    let pieces = [
        piece(-inf, -2.0, 1.0, 0.25),
        piece(-2.0, 0.5, 0.5, -2.0),
        piece(0.5, 1.0, 3.0, 0.0),
        piece(1.0, inf, 1.0, 2.0),
    ];
    let layers: [(&str, Box<dyn Activation>, &[f64]); 11] = [
        ("linear", Box::new(PiecewiseLinear::linear()), &[0.1, 2.0]),
        ("sign", Box::new(PiecewiseLinear::sign()), &[0.1, 2.0]),
        ("relu", Box::new(PiecewiseLinear::relu()), &[0.1, 2.0]),
        (
            "leaky relu",
            Box::new(PiecewiseLinear::leaky_relu(-0.3).unwrap()),
            &[0.1, 2.0],
        ),
        ("abs", Box::new(PiecewiseLinear::abs()), &[0.1, 2.0]),
        (
            "hard tanh",
            Box::new(PiecewiseLinear::hard_tanh()),
            &[0.1, 2.0],
        ),
        (
            "door",
            Box::new(PiecewiseLinear::door(0.7).unwrap()),
            &[0.1, 2.0],
        ),
        (
            "four pieces",
            Box::new(PiecewiseLinear::new(pieces).unwrap()),
            &[0.5],
        ),
        ("tanh", Box::new(Smooth::new(Tanh)), &[1.0]),
        ("sigmoid", Box::new(Smooth::new(Sigmoid)), &[1.0]),
        ("erf", Box::new(Smooth::new(Erf)), &[1.0]),
    ];
    for (name, phi, ratios) in &layers {
        let mut worst = [0.0f64; 5];
        for (av, q, v) in ratios
            .iter()
            .flat_map(|av| [(*av, 0.3, 1.1), (*av, 1.0, 0.3)])
        {
            let x = layer(&**phi, av / v, q, v).unwrap();
            let y = reference(&**phi, av / v, q, v);
            let found = [x.overlap, x.mmse, x.score, x.field_mmse, x.potential];
            for (k, (x, y)) in found.into_iter().zip(y).enumerate() {
                let scale = if k == 4 { av } else { y };
                let error = (x - y).abs() / scale;
                assert!(error < PROMISED, "{name} aV = {av}, {k}: {x} {y}");
                worst[k] = worst[k].max(error);
            }
        }
        println!("{name}: {worst:?}");
    }
}

#[test]
fn laws_agree_with_panels() {
    let laws: [(&str, Box<dyn Prior>); 10] = [
        ("gaussian", Box::new(Gaussian::new(0.5, 2.0).unwrap())),
        ("rademacher", Box::new(Rademacher)),
        ("binary", Box::new(Mixture::binary(0.9).unwrap())),
        ("bernoulli", Box::new(Mixture::bernoulli(0.05).unwrap())),
        (
            "gauss-bernoulli",
            Box::new(GaussBernoulli::new(0.1, 0.5, 1.5).unwrap()),
        ),
        (
            "rademacher-bernoulli",
            Box::new(Mixture::rademacher_bernoulli(0.1).unwrap()),
        ),
        (
            "exponential",
            Box::new(Truncated::exponential(0.5).unwrap()),
        ),
        ("laplace", Box::new(Truncated::laplace(0.7).unwrap())),
        (
            "half-normal",
            Box::new(Truncated::half_normal(1.3).unwrap()),
        ),
        ("uniform", Box::new(Truncated::uniform(-0.5, 2.0).unwrap())),
    ];
    let rule = Rule::new(12).unwrap();
    for (name, law) in &laws {
        let mut worst = [0.0f64; 3];
        for a in [1e-3, 0.1, 1.0, 10.0, 100.0] {
            let root = f64::sqrt(a);
            // Odds turn over the inverse of the distance of two parts, at most 2 here; an
            // exponential tail needs 40 of its scales.
            let width = (0.7 / (2.0 * root)).clamp(0.02, 0.5);
            let mut sum = [0.0; 3];
            for (beta, w) in panels(-28.0 * root - 9.0, 28.0 * root + 9.0, width).nodes(rule) {
                let density = law.log_likelihood(a, beta / root);
                let weight = w * density.exp() * normal_density(0.0);
                let m = law.moments(a, root * beta);
                let log = law.log_partition(a, root * beta);
                for (sum, x) in sum.iter_mut().zip([m.mean * m.mean, m.variance, log]) {
                    *sum += weight * x;
                }
            }
            let x = prior(&**law, a).unwrap();
            let found = [x.overlap, x.mmse, x.potential];
            for (k, (x, y)) in found.into_iter().zip(sum).enumerate() {
                // Errors below 1e-12 of the second moment are absolute.
                let scale = if k == 2 { a } else { y.max(1e-12) };
                let error = (x - y).abs() / scale;
                assert!(error < 1e-9, "{name} a = {a}, {k}: {x} {y}");
                worst[k] = worst[k].max(error);
            }
        }
        println!("{name}: {worst:?}");
    }
}
