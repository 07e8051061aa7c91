//! Time of the functions and rules that every scalar average is made of.

use criterion::{Criterion, criterion_group, criterion_main};
use onsager_scalar::quadrature::{Panels, gaussian_averages};
use onsager_scalar::roots::bracketed_root;
use onsager_scalar::special::{log_ndtr, log1p_exp, mills_defect};
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

criterion_group!(benches, special, averages);
criterion_main!(benches);
