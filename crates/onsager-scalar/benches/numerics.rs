//! Time of the functions and rules that every scalar average is made of.

use criterion::{Criterion, criterion_group, criterion_main};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::{GaussBernoulli, Gaussian, Mixture, Rademacher, Truncated};
use onsager_scalar::quadrature::{Panels, gaussian_averages};
use onsager_scalar::roots::bracketed_root;
use onsager_scalar::special::{log_ndtr, log1p_exp, mills_defect};
use onsager_scalar::{Activation, Channels, Moments, Precisions, Prior};
use std::hint::black_box;

fn special(c: &mut Criterion) {
    let points: Vec<f64> = (0..1000).map(|k| 0.02 * f64::from(k - 700)).collect();
    let mut group = c.benchmark_group("1000 points");
    group.bench_function("log_ndtr", |b| {
        b.iter(|| points.iter().map(|&x| log_ndtr(black_box(x))).sum::<f64>())
    });
    group.bench_function("mills_defect", |b| {
        b.iter(|| {
            let total = |sum: f64, &u: &f64| {
                let found = mills_defect(black_box(u));
                sum + found.mean * found.variance
            };
            points.iter().fold(0.0, total)
        })
    });
    group.finish();
}

fn averages(c: &mut Criterion) {
    c.bench_function("three averages of a sparse posterior", |b| {
        b.iter(|| {
            let panels = Panels::gaussian().refine_towards(0.0, black_box(1e-3))?;
            gaussian_averages(&panels, 8, |z| {
                let v = log1p_exp(1e4 * z * z - 20.0);
                [1.0, v, v * v]
            })
        })
    });
    c.bench_function("root of Wallis's cubic", |b| {
        b.iter(|| bracketed_root(|x| x.powi(3) - 2.0 * x - 5.0, 2.0, black_box(3.0), 1e-12))
    });
}

fn channels(c: &mut Criterion) {
    let b: Vec<f64> = (0..1000).map(|k| 0.02 * f64::from(k - 500)).collect();
    let omega: Vec<f64> = (0..1000).map(|k| 0.3 * f64::from(k % 17 - 8)).collect();
    let (a, v) = (
        Precisions::Shared(black_box(2.0)),
        Precisions::Shared(black_box(0.7)),
    );
    for (name, phi) in [
        ("linear", PiecewiseLinear::linear()),
        ("sign", PiecewiseLinear::sign()),
        ("relu", PiecewiseLinear::relu()),
        ("hard tanh", PiecewiseLinear::hard_tanh()),
    ] {
        let mut group = c.benchmark_group(format!("1000 channels, {name}"));
        let mut out = Channels::default();
        group.bench_function("one by one", |bench| {
            bench.iter(|| out.fill(1000, |i| phi.channel(a.at(i), b[i], omega[i], v.at(i))))
        });
        group.bench_function("as a column", |bench| {
            bench.iter(|| phi.channels_into(a, &b, &omega, v, &mut out))
        });
        // What a pass through a wide matrix asks for.
        group.bench_function("in runs of 8", |bench| {
            bench.iter(|| {
                for (b, omega) in b.chunks(8).zip(omega.chunks(8)) {
                    phi.channels_into(a, b, omega, v, &mut out);
                }
            })
        });
        group.finish();
    }
}

fn posteriors(c: &mut Criterion) {
    let b: Vec<f64> = (0..1000).map(|k| 0.02 * f64::from(k - 500)).collect();
    let a = black_box(2.0);
    let laws: [(&str, &dyn Prior); 6] = [
        ("gaussian", &Gaussian::standard()),
        ("rademacher", &Rademacher),
        (
            "gauss-bernoulli",
            &GaussBernoulli::new(0.1, 0.0, 1.0).expect("a law"),
        ),
        (
            "rademacher-bernoulli",
            &Mixture::rademacher_bernoulli(0.1).expect("a law"),
        ),
        ("laplace", &Truncated::laplace(1.0).expect("a law")),
        ("uniform", &Truncated::uniform(-1.0, 1.0).expect("a law")),
    ];
    for (name, law) in laws {
        let mut group = c.benchmark_group(format!("1000 posteriors, {name}"));
        let mut out = vec![Moments::default(); b.len()];
        group.bench_function("one by one", |bench| {
            bench.iter(|| {
                for (b, out) in b.iter().zip(&mut out) {
                    *out = law.moments(a, *b);
                }
            })
        });
        group.bench_function("as a column", |bench| {
            bench.iter(|| law.moments_into(Precisions::Shared(a), &b, &mut out))
        });
        group.finish();
    }
}

criterion_group!(benches, special, channels, posteriors, averages);
criterion_main!(benches);
