//! One matched average of a layer or a law, over the range in which state evolution spends its time.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use onsager_replica::average::{layer, prior};
use onsager_scalar::activation::{Activation, Erf, Piece, PiecewiseLinear, Sigmoid, Smooth, Tanh};
use onsager_scalar::prior::{GaussBernoulli, Mixture, Prior, Rademacher, Truncated};
use std::hint::black_box;

fn averages(c: &mut Criterion) {
    let inf = f64::INFINITY;
    let piece = |(lower, upper), offset, slope| Piece {
        lower,
        upper,
        offset,
        slope,
    };
    let own = [
        piece((-inf, -0.4), -1.3, 0.0),
        piece((-0.4, 0.6), 0.0, 1.2),
        piece((0.6, inf), 1.3, 0.6),
    ];
    let layers: [(&str, Box<dyn Activation>); 11] = [
        ("three pieces", Box::new(PiecewiseLinear::new(own).unwrap())),
        ("linear", Box::new(PiecewiseLinear::linear())),
        ("sign", Box::new(PiecewiseLinear::sign())),
        ("relu", Box::new(PiecewiseLinear::relu())),
        ("abs", Box::new(PiecewiseLinear::abs())),
        (
            "leaky relu",
            Box::new(PiecewiseLinear::leaky_relu(0.1).unwrap()),
        ),
        ("hard tanh", Box::new(PiecewiseLinear::hard_tanh())),
        ("door", Box::new(PiecewiseLinear::door(0.7).unwrap())),
        ("tanh", Box::new(Smooth::new(Tanh))),
        ("sigmoid", Box::new(Smooth::new(Sigmoid))),
        ("erf", Box::new(Smooth::new(Erf))),
    ];
    for (name, phi) in &layers {
        let mut group = c.benchmark_group(*name);
        for av in [1e-3, 1.0, 1e4] {
            for q in [1e-3, 0.5, 0.999] {
                let id = BenchmarkId::new(format!("aV = {av}"), format!("q = {q}"));
                let v = 1.0 - q;
                group.bench_function(id, |b| {
                    b.iter(|| layer(&**phi, black_box(av / v), black_box(q), black_box(v)));
                });
            }
        }
    }
}

fn laws(c: &mut Criterion) {
    let laws: [(&str, Box<dyn Prior>); 7] = [
        ("rademacher", Box::new(Rademacher)),
        (
            "gauss-bernoulli",
            Box::new(GaussBernoulli::new(0.05, 0.0, 1.0).unwrap()),
        ),
        (
            "rademacher-bernoulli",
            Box::new(Mixture::rademacher_bernoulli(0.05).unwrap()),
        ),
        (
            "exponential",
            Box::new(Truncated::exponential(1.0).unwrap()),
        ),
        ("laplace", Box::new(Truncated::laplace(1.0).unwrap())),
        (
            "half-normal",
            Box::new(Truncated::half_normal(1.0).unwrap()),
        ),
        ("uniform", Box::new(Truncated::uniform(-1.0, 1.0).unwrap())),
    ];
    for (name, law) in &laws {
        let mut group = c.benchmark_group(*name);
        for a in [1e-3, 1.0, 1e4] {
            group.bench_function(format!("a = {a}"), |b| {
                b.iter(|| prior(&**law, black_box(a)))
            });
        }
    }
}

criterion_group!(benches, averages, laws);
criterion_main!(benches);
