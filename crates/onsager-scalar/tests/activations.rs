//! Every activation against tables made with hundreds of digits, and its averages without a message.

use onsager_scalar::Activation;
use onsager_scalar::activation::*;
use onsager_scalar::quadrature::gaussian_average;

/// The function that a row of the table names.
fn activation(name: &str) -> Box<dyn Activation> {
    let (kind, p) = name.split_once(' ').unwrap_or((name, "0"));
    let p: f64 = p.parse().unwrap();
    let inf = f64::INFINITY;
    let piece = |lower, upper, offset, slope| Piece {
        lower,
        upper,
        offset,
        slope,
    };
    match kind {
        "relu" => Box::new(PiecewiseLinear::relu()),
        "abs" => Box::new(PiecewiseLinear::abs()),
        "sign" => Box::new(PiecewiseLinear::sign()),
        "leaky-relu" => Box::new(PiecewiseLinear::leaky_relu(p).unwrap()),
        "hard-tanh" => Box::new(PiecewiseLinear::hard_tanh()),
        "door" => Box::new(PiecewiseLinear::door(p).unwrap()),
        "pieces" => Box::new(
            PiecewiseLinear::new([
                piece(-inf, -2.0, 1.0, 0.25),
                piece(-2.0, 0.5, 0.5, -2.0),
                piece(0.5, 1.0, 3.0, 0.0),
                piece(1.0, inf, 1.0, 2.0),
            ])
            .unwrap(),
        ),
        "tanh" => Box::new(Smooth::new(Tanh)),
        "sigmoid" => Box::new(Smooth::new(Sigmoid)),
        "erf" => Box::new(Smooth::new(Erf)),
        _ => panic!("{name}: no such activation"),
    }
}

struct Row {
    name: String,
    arguments: [f64; 4],
    values: [f64; 5],
}

fn table() -> Vec<Row> {
    let text = include_str!("../../../tests/reference/scalar_channels.csv");
    let rows = text.lines().filter(|line| !line.starts_with('#')).skip(1);
    rows.map(|line| {
        let (name, numbers) = line.split_once(',').unwrap();
        let n: Vec<f64> = numbers.split(',').map(|w| w.parse().unwrap()).collect();
        Row {
            name: name.to_string(),
            arguments: n[..4].try_into().unwrap(),
            values: n[4..].try_into().unwrap(),
        }
    })
    .collect()
}

#[test]
fn channels_agree_with_the_table() {
    let rows = table();
    assert!(rows.len() > 400);
    let mut worst = std::collections::BTreeMap::<&str, [(f64, usize); 7]>::new();
    for (k, r) in rows.iter().enumerate() {
        let phi = activation(&r.name);
        let [a, b, omega, v] = r.arguments;
        let [log, mean, variance, score, curvature] = r.values;
        let c = phi.channel(a, b, omega, v);
        let y = b / a.max(1e-300);
        let likelihood = if a > 0.0 {
            phi.log_likelihood(a, y, omega, v) - (log - 0.5 * a * y * y)
        } else {
            0.0
        };
        let size = variance.max(f64::MIN_POSITIVE);
        let root = v.sqrt();
        let errors = [
            (c.log_partition - log) / (1.0 + log.abs()),
            (c.output.mean - mean) / mean.abs().max(size.sqrt()),
            (c.output.variance - variance) / (size * (1.0 + (a * size).ln().abs())),
            (c.score - score) * root / (1.0 + (score * root).abs()),
            (c.curvature - curvature) * v / (1.0 + curvature.abs() * v),
            likelihood / (1.0 + a * y * y),
            // h agrees with the score and the curvature, which are not computed from it.
            ((c.input.mean - omega) / v - score) * v / (omega.abs() + root),
        ];
        let w = worst.entry(&r.name).or_default();
        for (w, e) in w.iter_mut().zip(errors) {
            let e = e.abs() / f64::EPSILON;
            if e.is_nan() || e > w.0 {
                *w = (e, k + 3);
            }
        }
    }
    println!("{worst:#?}");
    for (name, errors) in worst {
        for (error, line) in errors {
            // Both sides of a fold see the message from far away: their odds carry the rounding of
            // ax², here up to 5e10. Smooth functions claim 1e-12. Elsewhere a thousand roundings in
            // the worst of all points.
            let bound = match name {
                "abs" => 1e10,
                "tanh" | "sigmoid" | "erf" => 1e-12 / f64::EPSILON,
                _ => 1024.0,
            };
            assert!(error < bound, "{name}: {error} ulp in line {line}");
        }
    }
}

/// Moments of `φ(h)` without a message against sums over `h`, and parities against values.
#[test]
fn gaussian_averages_and_parities() {
    let mut names: Vec<String> = table().into_iter().map(|r| r.name).collect();
    names.dedup();
    for name in names {
        let phi = activation(&name);
        let breaks: Vec<f64> = match phi.bend() {
            None => phi.pieces()[1..].iter().map(|p| p.lower).collect(),
            Some(bend) => (-40..=40).map(|k| bend * f64::from(k)).collect(),
        };
        for r in [0.04, 1.7, 30.0] {
            let sd = f64::sqrt(r);
            let breaks: Vec<f64> = breaks.iter().map(|h| h / sd).collect();
            let average = |f: &dyn Fn(f64, f64) -> f64| {
                let found = gaussian_average(|z| f(sd * z, phi.apply(sd * z)), &breaks);
                found.unwrap().value
            };
            let close =
                |x: f64, y: f64| assert!((x - y).abs() < 1e-13 * (1.0 + r), "{name} {r} {x} {y}");
            close(phi.mean(r), average(&|_, x| x));
            close(phi.second_moment(r), average(&|_, x| x * x));
            close(phi.linear_gain(r), average(&|h, x| h * x) / r);
        }
        let even = (0..40).all(|k| phi.apply(0.1 * f64::from(k)) == phi.apply(-0.1 * f64::from(k)));
        let odd = (1..40).all(|k| phi.apply(0.1 * f64::from(k)) == -phi.apply(-0.1 * f64::from(k)));
        let parity = match (even, odd) {
            (true, _) => Parity::Even,
            (_, true) => Parity::Odd,
            _ => Parity::None,
        };
        assert_eq!(phi.parity(), parity, "{name}");
    }
}

/// Noise on either side against the double integral over the noisy field and the output, whose
/// derivatives the channel's numbers are.
#[test]
fn noises_are_integrated_exactly() {
    use std::sync::Arc;
    let (before, after, omega, v, a, b) = (0.3, 0.2, 0.4, 0.9, 3.0, 1.1);
    let inner: [Arc<dyn Activation>; 2] = [
        Arc::new(PiecewiseLinear::relu()),
        Arc::new(Smooth::new(Tanh)),
    ];
    for phi in inner {
        let sd = f64::sqrt(v + before);
        let log = |b: f64, omega: f64| {
            let z = gaussian_average(
                |u| {
                    let f = phi.apply(omega + sd * u);
                    let message = |n: f64| {
                        let x = f + f64::sqrt(after) * n;
                        (b * x - 0.5 * a * x * x).exp()
                    };
                    gaussian_average(message, &[]).unwrap().value
                },
                &[-omega / sd],
            );
            z.unwrap().value.ln()
        };
        let c = Noisy::new(phi.clone(), before, after).unwrap();
        let found = c.channel(a, b, omega, v);
        let close = |x: f64, y: f64, error: f64| assert!((x - y).abs() < error, "{x} {y}");
        close(found.log_partition, log(b, omega), 1e-12);
        let y = b / a;
        close(
            c.log_likelihood(a, y, omega, v),
            log(b, omega) - 0.5 * a * y * y,
            1e-12,
        );
        // Sixth-order differences over steps of 0.02: errors of 1e-12/h and 1e-12/h².
        let h = 0.02;
        let slopes = |f: &dyn Fn(f64) -> f64| {
            let (c1, c2) = ([0.75, -0.15, 1.0 / 60.0], [1.5, -0.15, 1.0 / 90.0]);
            let mut d = [0.0, -49.0 / 18.0 * f(0.0)];
            for (k, (c1, c2)) in c1.iter().zip(c2).enumerate() {
                let t = h * (k + 1) as f64;
                d[0] += c1 * (f(t) - f(-t)) / h;
                d[1] += c2 * (f(t) + f(-t));
            }
            [d[0], d[1] / (h * h)]
        };
        let [mean, variance] = slopes(&|t| log(b + t, omega));
        close(found.output.mean, mean, 1e-9);
        close(found.output.variance, variance, 1e-8);
        let [score, curvature] = slopes(&|t| log(b, omega + t));
        close(found.score, score, 1e-9);
        close(found.curvature, -curvature, 1e-8);
        close(found.input.mean, omega + v * found.score, 1e-12);
        close(found.input.variance, v - v * v * found.curvature, 1e-12);
    }
    let error = Noisy::new(Arc::new(PiecewiseLinear::relu()), -1.0, 0.0).unwrap_err();
    let message = "noise before the activation must be finite and not negative, got -1";
    assert_eq!(error.to_string(), message);
}

/// A layer that answers only to rare fields: its moments are tails, with all their digits.
#[test]
fn rare_pieces_keep_their_digits() {
    let inf = f64::INFINITY;
    let piece = |lower, upper, offset, slope| Piece {
        lower,
        upper,
        offset,
        slope,
    };
    let rare = PiecewiseLinear::new([piece(-inf, 12.0, 0.0, 0.0), piece(12.0, inf, 1.0, 0.0)]);
    let mass = onsager_scalar::special::ndtr(-12.0);
    assert!((rare.unwrap().second_moment(1.0) / mass - 1.0).abs() < 1e-14);
}

#[test]
fn wrong_pieces_are_refused_by_name() {
    let inf = f64::INFINITY;
    let piece = |lower, upper, offset, slope| Piece {
        lower,
        upper,
        offset,
        slope,
    };
    let flat = piece(-inf, 0.0, 1.0, 0.0);
    for (pieces, message) in [
        (
            vec![],
            "number of values of the activation must be at least 2, got 0",
        ),
        (
            vec![piece(-inf, inf, 2.0, 0.0)],
            "number of values of the activation must be at least 2, got 1",
        ),
        (
            vec![piece(0.0, inf, 1.0, 1.0)],
            "piece 0 must start where the one before ends, got 0",
        ),
        (
            vec![flat, piece(1.0, inf, 1.0, 1.0)],
            "piece 0 must end where the next one starts, got 0",
        ),
        (
            vec![flat, piece(0.0, 0.0, 1.0, 1.0), piece(0.0, inf, 0.0, 1.0)],
            "piece 1 must end above its start, got 0",
        ),
        (
            vec![flat, piece(0.0, inf, f64::NAN, 1.0)],
            "piece 1 must have a finite offset, got NaN",
        ),
        (
            vec![flat, piece(0.0, inf, 0.0, inf)],
            "piece 1 must have a finite slope, got inf",
        ),
    ] {
        let error = PiecewiseLinear::new(pieces).unwrap_err();
        assert_eq!(error.to_string(), message);
    }
    assert!(PiecewiseLinear::leaky_relu(f64::NAN).is_err());
    // Neighbours that continue each other are one piece.
    assert_eq!(
        PiecewiseLinear::leaky_relu(1.0).unwrap(),
        PiecewiseLinear::linear()
    );
}
