//! One matched average of a layer, over the range in which state evolution spends its time.

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use onsager_replica::average::layer;
use onsager_scalar::activation::PiecewiseLinear;
use std::hint::black_box;

fn averages(c: &mut Criterion) {
    for (name, phi) in [
        ("linear", PiecewiseLinear::linear()),
        ("sign", PiecewiseLinear::sign()),
        ("relu", PiecewiseLinear::relu()),
    ] {
        let mut group = c.benchmark_group(name);
        for av in [1e-3, 1.0, 1e4] {
            for q in [1e-3, 0.5, 0.999] {
                let id = BenchmarkId::new(format!("aV = {av}"), format!("q = {q}"));
                let v = 1.0 - q;
                group.bench_function(id, |b| {
                    b.iter(|| layer(&phi, black_box(av / v), black_box(q), black_box(v)));
                });
            }
        }
    }
}

criterion_group!(benches, averages);
criterion_main!(benches);
