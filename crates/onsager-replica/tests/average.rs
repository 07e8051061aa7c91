//! Matched averages: closed forms, identities between averages, a second rule, limits.

use std::f64::consts::{LN_2, PI};

use onsager_replica::average::{AverageError, LayerAverage, layer, prior};
use onsager_scalar::activation::{Activation, Erf, PiecewiseLinear, Sigmoid, Smooth, Tanh};
use onsager_scalar::prior::{
    GaussBernoulli, Gaussian, Mixture, Prior, Rademacher, Scale, Truncated,
};
use onsager_scalar::quadrature::{Panels, integrate_all};
use onsager_scalar::special::{log_cosh, normal_density};
use proptest::prelude::*;

/// What the documentation promises.
const RELATIVE: f64 = 1e-9;

fn close(x: f64, y: f64, tolerance: f64, what: &str) {
    assert!((x - y).abs() <= tolerance, "{what}: {x:e} against {y:e}");
}

/// Eighth-order central difference of `f` at 0; its error is `δ⁸ f⁽⁹⁾/630`.
fn slope(f: impl Fn(f64) -> f64, delta: f64) -> f64 {
    [4.0 / 5.0, -1.0 / 5.0, 4.0 / 105.0, -1.0 / 280.0]
        .iter()
        .zip([1.0, 2.0, 3.0, 4.0])
        .map(|(c, k)| c * (f(k * delta) - f(-k * delta)))
        .sum::<f64>()
        / delta
}

fn layers() -> [PiecewiseLinear; 3] {
    [
        PiecewiseLinear::linear(),
        PiecewiseLinear::sign(),
        PiecewiseLinear::relu(),
    ]
}

#[test]
fn gaussian_law_has_a_closed_form() {
    for a in [0.0, 1e-6, 0.1, 1.0, 30.0, 1e4] {
        let (m, v) = (0.3, 2.0);
        let x = prior(&Gaussian::new(m, v).unwrap(), a).unwrap();
        let rho = m * m + v;
        let mmse = v / (1.0 + a * v);
        // The exponents of the integrand are of size aρ.
        let rounding = 1e-15 * (1.0 + a * rho) * 10.0;
        close(x.mmse, mmse, rounding * mmse, "mmse");
        close(x.overlap, rho - mmse, rounding * rho, "overlap");
        let potential = 0.5 * (a * rho - (a * v).ln_1p());
        close(
            x.potential,
            potential,
            rounding * (1.0 + a * rho),
            "potential",
        );
        assert!(x.error <= rounding);
    }
}

#[test]
fn rademacher_agrees_with_its_integral_over_one_noise() {
    for a in [1e-4, 0.1, 1.0, 4.0, 9.0, 25.0, 50.0] {
        // By symmetry the signal is +1; a panel every quarter of the shorter scale.
        let scale = 1f64.min(1.0 / f64::sqrt(a)) / 4.0;
        let count = (22.0 / scale).ceil();
        let panels = Panels::new((0..=count as i32).map(|k| -11.0 + 22.0 * f64::from(k) / count));
        let [q, mmse, psi] = integrate_all(&panels.unwrap(), 12, |z| {
            let b = a + a.sqrt() * z;
            let w = normal_density(z);
            let sech = 1.0 / b.cosh();
            [w * b.tanh(), w * sech * sech, w * (log_cosh(b) - 0.5 * a)]
        })
        .unwrap();
        let x = prior(&Rademacher, a).unwrap();
        close(x.overlap, q.value, 1e-13 + q.error, "overlap");
        close(x.mmse, mmse.value, RELATIVE * mmse.value, "mmse");
        close(
            x.potential,
            psi.value,
            1e-13 * (1.0 + a) + psi.error,
            "potential",
        );
    }
}

#[test]
fn discrete_information_saturates_at_the_entropy() {
    // I = aρ/2 - Ψ, here ln 2 up to e^(-a/2).
    let x = prior(&Rademacher, 100.0).unwrap();
    close(50.0 - x.potential, LN_2, 1e-12, "information");
    assert!(x.mmse > 0.0 && x.mmse < (-50f64).exp());
}

#[test]
fn sparse_law_reaches_its_dimension() {
    // a mmse(a) → ρ; the missing part is the cost of the support, of order ln a/√a.
    let a = 1e8;
    let x = prior(&GaussBernoulli::new(0.2, 0.0, 1.0).unwrap(), a).unwrap();
    close(a * x.mmse, 0.2, 20.0 / a.sqrt(), "dimension");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn linear_layer_has_a_closed_form(
        ln_av in -14.0..18.0f64, ln_v in -20.0..2.0f64, q in 0.0..2.0f64,
    ) {
        let v = ln_v.exp();
        let a = ln_av.exp() / v;
        let d = 1.0 + a * v;
        let x = layer(&PiecewiseLinear::linear(), a, q, v).unwrap();
        prop_assert!((x.mmse * d / v - 1.0).abs() < RELATIVE, "{x:?}");
        prop_assert!((x.field_mmse * d / v - 1.0).abs() < RELATIVE, "{x:?}");
        prop_assert!((x.score * d / a - 1.0).abs() < RELATIVE, "{x:?}");
        prop_assert!((x.overlap - (q + a * v * v / d)).abs() < RELATIVE * (q + v), "{x:?}");
        let psi = 0.5 * (a * (q + v) - (a * v).ln_1p());
        prop_assert!((x.potential - psi).abs() < RELATIVE * (1.0 + psi.abs()), "{x:?}");
    }

    /// Mass 1, second moments that add up, two routes to the score.
    #[test]
    fn layers_check_themselves(
        ln_av in -14.0..18.0f64, ln_ratio in -14.0..5.0f64, which in 0..3usize,
    ) {
        // V/q log-uniform, ρ = 1.7 so that no scale is 1.
        let v = 1.7 * ln_ratio.exp() / (1.0 + ln_ratio.exp());
        let q = 1.7 / (1.0 + ln_ratio.exp());
        let a = ln_av.exp() / v;
        let x = layer(&layers()[which], a, q, v).unwrap();
        prop_assert!(x.error < RELATIVE, "{x:?}");
        prop_assert!(x.mmse >= 0.0 && x.score > 0.0 && x.field_mmse <= v * (1.0 + RELATIVE));
    }

    #[test]
    fn laws_check_themselves(ln_a in -14.0..11.0f64, rho in 0.01..1.0f64, mean in -1.0..1.0f64) {
        let a = ln_a.exp();
        let laws: [&dyn Prior; 3] = [
            &Rademacher,
            &Gaussian::new(mean, rho).unwrap(),
            &GaussBernoulli::new(rho, mean, 2.0).unwrap(),
        ];
        for law in laws {
            let x = prior(law, a).unwrap();
            prop_assert!(x.error < RELATIVE, "{law:?} {x:?}");
        }
    }

    /// ∂Ψ/∂ ln a = a overlap/2, the I-MMSE theorem; nodes at relative distances up to 0.2.
    #[test]
    fn potential_of_a_layer_has_half_the_overlap_as_slope(
        ln_av in -7.0..9.0f64, q in 0.001..0.999f64, which in 0..3usize,
    ) {
        let (phi, v) = (&layers()[which], 1.0 - q);
        let a = ln_av.exp() / v;
        let x = layer(phi, a, q, v).unwrap();
        let d = slope(|t| layer(phi, a * t.exp(), q, v).unwrap().potential, 0.05);
        // 1e-10 aρ on Ψ over the step 0.05, and δ⁸/630 times a ninth derivative below 100 aρ.
        prop_assert!((d - 0.5 * a * x.overlap).abs() < 1e-8 * a, "{d} {x:?}");
    }

    /// ∂Ψ/∂q = score/2 at fixed q + V, in units of the smaller of q and V.
    #[test]
    fn potential_of_a_layer_has_half_the_score_as_slope(
        ln_av in -7.0..7.0f64, q in 0.01..0.99f64, which in 0..3usize,
    ) {
        let (phi, v) = (&layers()[which], 1.0 - q);
        let a = ln_av.exp() / v;
        let x = layer(phi, a, q, v).unwrap();
        let unit = q.min(v);
        let d = slope(|t| layer(phi, a, q + t * unit, v - t * unit).unwrap().potential, 0.02);
        prop_assert!((d - 0.5 * unit * x.score).abs() < 2e-8 * a, "{d} {x:?}");
    }

    #[test]
    fn potential_of_a_law_has_half_the_overlap_as_slope(ln_a in -7.0..7.0f64, rho in 0.05..1.0f64) {
        let a = ln_a.exp();
        let law = GaussBernoulli::new(rho, 0.4, 1.5).unwrap();
        let x = prior(&law, a).unwrap();
        let d = slope(|t| prior(&law, a * t.exp()).unwrap().potential, 0.05);
        prop_assert!((d - 0.5 * a * x.overlap).abs() < 1e-10 * (1.0 + a), "{d} {x:?}");
    }
}

/// The same averages from Gauss-Legendre panels of one length, whole plane, no cut.
fn by_panels(phi: &dyn Activation, a: f64, q: f64, v: f64) -> [f64; 6] {
    let panels = |reach: f64, length: f64| {
        let count = (2.0 * reach / length).ceil();
        Panels::new((0..=count as i32).map(|k| reach * (2.0 * f64::from(k) / count - 1.0))).unwrap()
    };
    let outer = panels(9.0, 0.6 * (v / q).sqrt().min(1.0));
    let inner = panels(9.0 + 9.0 * (a * (q + v)).sqrt(), 0.6);
    let all = integrate_all(&outer, 8, |eta| {
        let omega = q.sqrt() * eta;
        integrate_all(&inner, 8, |b| {
            let c = phi.channel(a, a.sqrt() * b, omega, v);
            let w = normal_density(eta) * (c.log_partition - 0.5 * b * b).exp() / (2.0 * PI).sqrt();
            let (m, g) = (c.output.mean, c.score);
            [
                1.0,
                m * m,
                c.output.variance,
                g * g,
                c.input.variance,
                c.log_partition,
            ]
            .map(|x| w * x)
        })
        .unwrap()
        .map(|e| e.value)
    });
    all.unwrap().map(|e| e.value)
}

#[test]
fn gauss_legendre_panels_agree() {
    for phi in &layers()[1..] {
        for (av, q) in [
            (1e-3, 0.2),
            (0.3, 0.97),
            (1.0, 0.5),
            (6.0, 0.03),
            (40.0, 0.8),
        ] {
            let v = 1.0 - q;
            let a = av / v;
            let x = layer(phi, a, q, v).unwrap();
            let y = by_panels(phi, a, q, v);
            // What is far below the stated floor is not compared.
            let floor = 1e-20 / RELATIVE;
            let relative = [
                y[0] - 1.0,
                x.overlap / y[1] - 1.0,
                (x.mmse - y[2]) / (y[2] + floor),
                x.score / y[3] - 1.0,
                x.field_mmse / y[4] - 1.0,
                (x.potential - y[5]) / a,
            ];
            for e in relative {
                assert!(
                    e.abs() < RELATIVE,
                    "{phi:?} aV = {av}, q = {q}: {relative:?}"
                );
            }
        }
    }
}

/// Signs of fields of which nothing is known are fair: `E c = exp(-a/2) ∫ N(b; 0, a) sech b db`, all of it from
/// messages `√a` deviations away.
#[test]
fn rare_errors_behind_a_jump_keep_their_digits() {
    let sign = PiecewiseLinear::sign();
    for k in 0..25 {
        let a = 40.0 + 4.0 * f64::from(k);
        let b = (-8000..=8000).map(|i| f64::from(i) / 200.0);
        let sum: f64 = b.map(|b| (-b * b / (2.0 * a)).exp() / b.cosh()).sum();
        let expected = (-0.5 * a).exp() * sum / 200.0 / (2.0 * PI * a).sqrt();
        let found = layer(&sign, a, 0.0, 1.0).unwrap().mmse;
        assert!(
            (found / expected - 1.0).abs() < RELATIVE,
            "{a}: {found:e} {expected:e}"
        );
    }
}

#[test]
fn without_side_information_the_kernels_of_the_arc_cosine_appear() {
    for c in [0.0, 1e-3, 0.4, 0.9, 0.999] {
        let rho = 1.7;
        let (q, v) = (rho * c, rho * (1.0 - c));
        let sign = layer(&PiecewiseLinear::sign(), 0.0, q, v).unwrap();
        close(sign.overlap, 2.0 / PI * c.asin(), RELATIVE, "sign");
        let relu = layer(&PiecewiseLinear::relu(), 0.0, q, v).unwrap();
        let kernel = (1.0 - c * c).sqrt() + c * (PI - c.acos());
        close(relu.overlap, rho / (2.0 * PI) * kernel, RELATIVE, "relu");
        for x in [sign, relu] {
            assert!(x.score < 1e-30 && x.potential.abs() < 1e-13);
            close(x.field_mmse, v, RELATIVE * v, "field");
        }
    }
}

#[test]
fn perfect_side_information_leaves_the_dimension() {
    // relu: half of the values are known to 1/a, the other half exactly; corrections 1/√(aV).
    let x = layer(&PiecewiseLinear::relu(), 1e10, 0.3, 0.7).unwrap();
    close(1e10 * x.mmse, 0.5, 1e-3, "relu");
    // sign: I = aρ/2 - Ψ is the entropy of the sign, ln 2 at q = 0.
    let x = layer(&PiecewiseLinear::sign(), 100.0, 0.0, 0.7).unwrap();
    close(50.0 - x.potential, LN_2, 1e-12, "information");
}

#[test]
fn a_known_field_leaves_the_noise_only() {
    let (a, v) = (3.0, 1e-10);
    let x = layer(&PiecewiseLinear::relu(), a, 1.0 - v, v).unwrap();
    // x = φ(ω): g = φ'(ω) (b - a φ(ω)), of mean square a P(φ' ≠ 0); the kink matters for √V.
    close(x.score, 0.5 * a, 10.0 * v.sqrt(), "score");
    close(x.mmse, 0.5 * v, 10.0 * v * v.sqrt(), "mmse");
    // A jump is seen by the share √V of the fields, with g² of order 1/V.
    let at = |v: f64| {
        layer(&PiecewiseLinear::sign(), a, 1.0 - v, v)
            .unwrap()
            .score
            * v.sqrt()
    };
    close(at(1e-8) / at(1e-10), 1.0, 1e-7, "sign");
}

/// Towards a known field every function is its tangent: an error of `V E φ'²` remains, and the message is `a` times
/// as precise on average, to relative digits however small `V` is.
#[test]
fn a_smooth_function_of_a_nearly_known_field_is_its_tangent() {
    let functions: [Box<dyn Activation>; 3] = [
        Box::new(Smooth::new(Tanh)),
        Box::new(Smooth::new(Sigmoid)),
        Box::new(Smooth::new(Erf)),
    ];
    for phi in functions {
        let tangent = |h: f64| {
            let d = 1e-5;
            (phi.apply(h + d) - phi.apply(h - d)) / (2.0 * d)
        };
        let gain = Panels::new((-18..=18).map(|k| 0.5 * f64::from(k))).unwrap();
        let gain = integrate_all(&gain, 8, |h| [normal_density(h) * tangent(h).powi(2)]);
        let gain = gain.unwrap()[0].value;
        for v in [1e-14, 1e-20, 1e-26, 1e-30] {
            for a in [1e-3, 1.0, 2e3] {
                let x = layer(&*phi, a, 1.0, v).unwrap();
                close(x.mmse / (v * gain), 1.0, 1e-9, "mmse");
                close(x.score / (a * gain), 1.0, 1e-9, "score");
            }
        }
    }
}

#[test]
fn weak_messages_are_linear() {
    // To first order v = κω + c B with c = E φ² and g = κ B, hence E v² = κ² q + c² a, E g² = κ² a.
    for phi in layers().iter().filter(|p| p.mean(1.7) == 0.0) {
        let (a, q) = (1e-5, 2e-5);
        let x: LayerAverage = layer(phi, a, q, 1.7 - q).unwrap();
        let (kappa, c) = (phi.linear_gain(1.7), phi.second_moment(1.7));
        let first = kappa * kappa * q + c * c * a;
        close(x.overlap / first, 1.0, 10.0 * (a + q), "overlap");
        close(x.score / (kappa * kappa * a), 1.0, 10.0 * (a + q), "score");
    }
}

#[test]
fn bad_arguments_are_named() {
    let phi = PiecewiseLinear::relu();
    let cases = [
        (
            layer(&phi, -1.0, 0.5, 0.5),
            "precision must be finite and at least 0, got -1",
        ),
        (
            layer(&phi, 1.0, f64::NAN, 0.5),
            "overlap must be finite and at least 0, got NaN",
        ),
        (
            layer(&phi, 1.0, 0.5, 0.0),
            "field variance must be finite and positive, got 0",
        ),
    ];
    for (result, message) in cases {
        assert_eq!(result.unwrap_err().to_string(), message);
    }
    let error = prior(&Rademacher, f64::INFINITY).unwrap_err();
    assert!(matches!(
        error,
        AverageError::Negative {
            quantity: "precision",
            ..
        }
    ));
}

/// Nodes beside an edge far from zero are rounded to a good part of their distance where the field is known to
/// 1e-9; their weights make up for it, or derivatives would be noise.
#[test]
fn averages_move_smoothly_with_a_nearly_known_field() {
    let door = PiecewiseLinear::door(3.3).unwrap();
    let rows: Vec<[f64; 2]> = (0..20)
        .map(|k| {
            let v = 3e-17 * (1.0 + 1e-6 * f64::from(k));
            let x = layer(&door, 1e-4, 1.0, v).unwrap();
            // Both follow the root of the width of the edge.
            [x.score * v.sqrt(), x.mmse / v.sqrt()]
        })
        .collect();
    for row in &rows {
        for (x, first) in row.iter().zip(rows[0]) {
            close(x / first, 1.0, 3e-10, "scaled average");
        }
    }
}

/// Against sums over the message and the field whose images are counted from the limit of the function
/// (`reference/strong_tanh.py`). What is lost grows like the rounding of `β`, `1e-16 √a`.
#[test]
fn functions_that_bend_everywhere_answer_strong_messages() {
    let phi = Smooth::new(Tanh);
    let table = [
        (
            1e10,
            4.0,
            0.00131652904504894,
            9.982555616188961e-11,
            0.24991771693468187,
        ),
        (
            1e14,
            4.0,
            1.4385070078495916e-05,
            9.999736293345105e-15,
            0.2499991009329898,
        ),
        (
            1e14,
            100.0,
            9.342036908880791,
            6.651003646671842e-15,
            0.0090657963091118,
        ),
        (
            1e17,
            100.0,
            6.563485583317164,
            7.430968484132777e-18,
            0.009343651441668044,
        ),
    ];
    for (a, v, field, output, score) in table {
        let x = layer(&phi, a, 0.0, v).unwrap();
        let off = [x.field_mmse / field, x.mmse / output, x.score / score].map(|r| (r - 1.0).abs());
        let allowed = 1e-9 + 3e-16 * f64::sqrt(a);
        assert!(
            off.iter().all(|e| *e < allowed),
            "a = {a}, V = {v}: {off:?}"
        );
    }
    // Where no field saturates the message tells x with variance 1/a, and h with 1/(a φ'²): E cosh⁴ h is a sum
    // of exponentials.
    let r = 0.3f64;
    for a in [1e13, 1e16, 1e19] {
        let x = layer(&phi, a, 0.1, r - 0.1).unwrap();
        let slopes = (3.0 + 4.0 * (2.0 * r).exp() + (8.0 * r).exp()) / 8.0;
        let off = [x.mmse * a, x.field_mmse * a / slopes, x.score * (r - 0.1)];
        let allowed = 1e-9 + 3e-16 * f64::sqrt(a);
        assert!(
            off.iter().all(|e| (e - 1.0).abs() < allowed),
            "a = {a}: {off:?}"
        );
    }
}

/// Beyond what quadrature resolves: closed forms of a Gaussian and of a fair sign, discrete laws without any
/// symmetry, and an interval, each end of which tells `∫ N(t)²/Φ(t) dt/√a` of the 1 that is left without it.
#[test]
fn laws_answer_messages_of_any_strength() {
    let uniform = Truncated::uniform(-0.5, 2.0).unwrap();
    let end = 0.903_197_285_568_625_4;
    let skew = [(1.0, -1.0), (2.0, 0.3), (0.5, 7.0)].map(|(weight, mean)| {
        (
            weight,
            Scale {
                mean,
                variance: 0.0,
            },
        )
    });
    let skew = Mixture::new(skew).unwrap();
    for a in [1.1e13, 1e15, 1e20, 1e30] {
        let (m, v) = (0.3, 2.0);
        let x = prior(&Gaussian::new(m, v).unwrap(), a).unwrap();
        close(a * x.mmse, 1.0, 1e-9, "Gaussian");
        let told = 0.5 * a * (m * m + v) - x.potential;
        close(
            told,
            0.5 * (a * v).ln(),
            3e-16 * a + 1e-8,
            "information of a Gaussian",
        );
        let x = prior(&uniform, a).unwrap();
        close(
            a * x.mmse,
            1.0 - 2.0 * end / (2.5 * a.sqrt()),
            1e-9,
            "interval",
        );
        for law in [&Rademacher as &dyn Prior, &skew] {
            let (x, rho) = (prior(law, a).unwrap(), law.second_moment());
            assert_eq!((x.mmse, x.overlap), (0.0, rho));
            let (told, entropy) = (0.5 * a * rho - x.potential, law.discrete_entropy().unwrap());
            close(told, entropy, 3e-16 * a * rho, "entropy");
        }
    }
}
