//! Mismatched averages: the matched line, closed forms, Monte Carlo.

use onsager_replica::average::{
    AverageError, Order, Overlap, layer, layer_general, prior, prior_general,
};
use onsager_scalar::activation::{Activation, PiecewiseLinear};
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Prior, Rademacher};
use proptest::prelude::*;

/// What the documentation promises.
const RELATIVE: f64 = 1e-8;

fn layers() -> [PiecewiseLinear; 3] {
    [
        PiecewiseLinear::linear(),
        PiecewiseLinear::sign(),
        PiecewiseLinear::relu(),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(48))]

    #[test]
    fn matched_laws_lie_on_the_line(ln_a in -9.0..9.0f64, rho in 0.05..1.0f64) {
        let a = ln_a.exp();
        let laws: [&dyn Prior; 2] = [&Rademacher, &GaussBernoulli::new(rho, 0.3, 1.5).unwrap()];
        for law in laws {
            let x = prior(law, a).unwrap();
            let y = prior_general(law, law, Order::matched(a)).unwrap();
            for (y, x) in [(y.truth, x.overlap), (y.norm, x.overlap), (y.variance, x.mmse)] {
                prop_assert!((y - x).abs() <= RELATIVE * x.max(1e-12), "{y} {x}");
            }
        }
    }

    #[test]
    fn matched_layers_lie_on_the_line(
        ln_av in -7.0..7.0f64, q in 0.0..0.999f64, which in 0..3usize,
    ) {
        let (phi, v) = (&layers()[which], 1.0 - q);
        let a = ln_av.exp() / v;
        let x = layer(phi, a, q, v).unwrap();
        let field = Overlap { truth: q, norm: q, variance: v };
        let (y, g) = layer_general(phi, phi, field, 1.0, Order::matched(a)).unwrap();
        let pairs = [
            (y.truth, x.overlap), (y.norm, x.overlap), (y.variance, x.mmse),
            (g.response, x.score), (g.norm, x.score), (g.curvature, x.score),
        ];
        for (y, x) in pairs {
            prop_assert!((y - x).abs() <= RELATIVE * x.max(1e-12), "{pairs:?}");
        }
    }

    /// x̂ = (b s + m)/(1 + Λ s) for the student N(m, s).
    #[test]
    fn gaussian_student_has_a_closed_form(
        precision in 0.0..5.0f64, gain in -2.0..5.0f64, noise in 0.01..5.0f64,
    ) {
        let (teacher, student) = (Gaussian::new(0.4, 1.3).unwrap(), Gaussian::new(-0.2, 0.7).unwrap());
        let x = prior_general(&teacher, &student, Order { precision, gain, noise }).unwrap();
        let (d, rho) = (1.0 + 0.7 * precision, teacher.second_moment());
        let (slope, offset) = (0.7 / d, -0.2 / d);
        let truth = slope * gain * rho + offset * 0.4;
        let norm = slope * slope * (gain * gain * rho + noise)
            + 2.0 * slope * offset * gain * 0.4 + offset * offset;
        let rounding = 1e-12 * (1.0 + gain * gain / noise) * (1.0 + norm);
        prop_assert!((x.truth - truth).abs() < rounding, "{x:?} {truth}");
        prop_assert!((x.norm - norm).abs() < rounding, "{x:?} {norm}");
        prop_assert!((x.variance - 0.7 / d).abs() < rounding);
    }

    /// x̂ = (ω + v B)/D, g = (B - Λω)/D; on the teacher's side g_T = (E h - ω_T)/V_T.
    #[test]
    fn linear_layers_have_a_closed_form(
        precision in 0.1..5.0f64, gain in 0.1..5.0f64, noise in 0.1..5.0f64,
        truth in -0.7..0.7f64, norm in 0.5..1.5f64, variance in 0.1..1.0f64,
    ) {
        let phi = PiecewiseLinear::linear();
        let field = Overlap { truth, norm, variance };
        let order = Order { precision, gain, noise };
        let (x, g) = layer_general(&phi, &phi, field, 1.0, order).unwrap();
        let d = 1.0 + precision * variance;
        // E h B = gain, E ω B = gain · truth, E B² = gain² + noise.
        let (hb, wb, bb) = (gain, gain * truth, gain * gain + noise);
        let expected = [
            (x.truth, (truth + variance * hb) / d),
            (x.norm, (norm + 2.0 * variance * wb + variance * variance * bb) / (d * d)),
            (x.variance, variance / d),
            (g.norm, (bb - 2.0 * precision * wb + precision * precision * norm) / (d * d)),
            (g.curvature, precision / d),
            // Integrating by parts over h at fixed ω: E[g_T f(B)] = gain E f'(B).
            (g.response, gain / d),
        ];
        for (x, y) in expected {
            prop_assert!((x - y).abs() < 1e-10 * (1.0 + gain * gain / noise) * (1.0 + y.abs()), "{expected:?}");
        }
    }
}

/// SplitMix64 and Box-Muller: numbers that depend on the seed only.
struct Draws(u64);

impl Draws {
    fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (((z ^ (z >> 31)) >> 11) as f64 + 0.5) * (-53f64).exp2()
    }

    fn normal(&mut self) -> f64 {
        let (u, v) = (self.uniform(), self.uniform());
        (-2.0 * u.ln()).sqrt() * (std::f64::consts::TAU * v).cos()
    }
}

/// Mean of each entry and its standard error.
fn sampled<const N: usize>(count: usize, mut f: impl FnMut() -> [f64; N]) -> [(f64, f64); N] {
    let mut sums = [(0.0, 0.0); N];
    for _ in 0..count {
        for (s, x) in sums.iter_mut().zip(f()) {
            s.0 += x;
            s.1 += x * x;
        }
    }
    let n = count as f64;
    sums.map(|(s, t)| (s / n, ((t / n - (s / n).powi(2)) / n).sqrt()))
}

fn agree(exact: &[f64], sampled: &[(f64, f64)]) {
    for (x, (mean, error)) in exact.iter().zip(sampled) {
        assert!(
            (x - mean).abs() < 5.0 * error,
            "{x} against {mean} ± {error}"
        );
    }
}

#[test]
fn sampling_agrees_with_the_law() {
    let teacher = GaussBernoulli::new(0.3, 0.5, 2.0).unwrap();
    let student = Rademacher;
    let order = Order {
        precision: 0.7,
        gain: 1.1,
        noise: 0.4,
    };
    let x = prior_general(&teacher, &student, order).unwrap();
    let mut draws = Draws(11);
    let found = sampled(400_000, || {
        let slab = 0.5 + 2f64.sqrt() * draws.normal();
        let truth = if draws.uniform() < 0.3 { slab } else { 0.0 };
        let b = order.gain * truth + order.noise.sqrt() * draws.normal();
        let m = student.moments(order.precision, b);
        [truth * m.mean, m.mean * m.mean, m.variance]
    });
    agree(&[x.truth, x.norm, x.variance], &found);
}

#[test]
fn sampling_agrees_with_the_layer() {
    let (sign, relu) = (PiecewiseLinear::sign(), PiecewiseLinear::relu());
    let cases: [(&dyn Activation, &dyn Activation); 3] =
        [(&relu, &relu), (&sign, &relu), (&relu, &sign)];
    for (seed, (teacher, student)) in cases.into_iter().enumerate() {
        let field = Overlap {
            truth: 0.5,
            norm: 0.8,
            variance: 0.6,
        };
        let order = Order {
            precision: 2.0,
            gain: 1.3,
            noise: 0.9,
        };
        let rho = 1.4;
        let (x, g) = layer_general(teacher, student, field, rho, order).unwrap();
        let (ratio, v) = (0.5 / 0.8, rho - 0.5 * 0.5 / 0.8);
        let mut draws = Draws(23 + seed as u64);
        let found = sampled(400_000, || {
            let omega = 0.8f64.sqrt() * draws.normal();
            let h = ratio * omega + f64::sqrt(v) * draws.normal();
            let truth = teacher.apply(h);
            let b = order.gain * truth + order.noise.sqrt() * draws.normal();
            let s = student.channel(order.precision, b, omega, field.variance);
            let m = s.output.mean;
            // The teacher's score has the mean (h - ω_T)/V_T given ω and b.
            let score = (h - ratio * omega) / v;
            [
                truth * m,
                m * m,
                s.output.variance,
                score * s.score,
                s.score * s.score,
                s.curvature,
            ]
        });
        agree(
            &[x.truth, x.norm, x.variance, g.response, g.norm, g.curvature],
            &found,
        );
    }
}

#[test]
fn nothing_known_and_nothing_seen() {
    let silent = Order {
        precision: 0.0,
        gain: 0.0,
        noise: 0.0,
    };
    let law = Gaussian::new(0.5, 2.0).unwrap();
    let x = prior_general(&law, &law, silent).unwrap();
    assert!((x.truth - 0.25).abs() < 1e-14 && (x.norm - 0.25).abs() < 1e-14);
    assert!((x.variance - 2.0).abs() < 1e-14);
    let field = Overlap {
        truth: 0.0,
        norm: 0.0,
        variance: 1.3,
    };
    let relu = PiecewiseLinear::relu();
    let (x, g) = layer_general(&relu, &relu, field, 1.3, silent).unwrap();
    let mean = relu.mean(1.3);
    assert!((x.truth - mean * mean).abs() < 1e-14 && (x.norm - mean * mean).abs() < 1e-14);
    assert!(g.response.abs() + g.norm + g.curvature.abs() < 1e-14);
}

#[test]
fn without_noise_the_student_sees_the_truth() {
    // Linear student of a sign: x̂ = b/(1 + Λ) with b = gain x exactly. No noise is the least that
    // doubles resolve: nodes of order 1e8, which rounding moves by 1.5e-8 of their distances.
    const ROUNDED: f64 = 4e-8;
    let order = Order {
        precision: 3.0,
        gain: 2.0,
        noise: 0.0,
    };
    let x = prior_general(&Rademacher, &Gaussian::standard(), order).unwrap();
    assert!(
        (x.truth - 0.5).abs() < ROUNDED && (x.norm - 0.25).abs() < ROUNDED,
        "{x:?}"
    );
}

#[test]
fn impossible_overlaps_are_refused() {
    let phi = PiecewiseLinear::sign();
    let field = Overlap {
        truth: 0.9,
        norm: 0.5,
        variance: 0.5,
    };
    let error = layer_general(&phi, &phi, field, 1.0, Order::matched(1.0)).unwrap_err();
    assert!(matches!(
        error,
        AverageError::Correlation { bound: 0.5, .. }
    ));
    let order = Order {
        precision: 1.0,
        gain: f64::NAN,
        noise: 1.0,
    };
    assert!(prior_general(&Rademacher, &Rademacher, order).is_err());
}
