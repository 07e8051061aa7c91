//! One sweep of message passing under a spiked Wigner matrix, aspect 2.

use std::hint::black_box;
use std::sync::Arc;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use onsager_amp::rules::rules;
use onsager_amp::{Engine, Problem, Start, Variances};
use onsager_ensembles::Seed;
use onsager_model::{Chain, Instance, Teacher};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::Gaussian;

fn sweep(c: &mut Criterion) {
    let mut group = c.benchmark_group("sweep");
    let layers = [
        ("linear", PiecewiseLinear::linear()),
        ("sign", PiecewiseLinear::sign()),
        ("relu", PiecewiseLinear::relu()),
    ];
    for (name, phi) in layers {
        for p in [1000, 2000] {
            let chain =
                Chain::new(Arc::new(Gaussian::standard())).layer(2.0, Arc::new(phi.clone()));
            let Ok(tree) = chain.spiked_wigner(0.5) else {
                continue;
            };
            let sizes = tree.sizes(tree.signal_index(), p);
            let stream = |purpose: &str| Seed(17).stream("bench", p as u64, 0, purpose);
            let Ok(instance) = Instance::draw(&tree, &sizes, stream, Teacher::fixed()) else {
                continue;
            };
            let built = Problem::new(&tree, &instance).and_then(|problem| {
                let mut engine = Engine::new(&problem, rules(&problem, Variances::Shared)?)?;
                engine.start(&problem, &Start::Uninformed, &mut stream("start"))?;
                Ok(engine)
            });
            let Ok(mut engine) = built else {
                continue;
            };
            // Half of Y and twice W, in bytes.
            group.throughput(Throughput::Bytes((8 * (p * p / 2 + p * p)) as u64));
            group.bench_function(format!("{name}/{p}"), |b| {
                b.iter(|| black_box(engine.sweep(1.0)));
            });
        }
    }
    group.finish();
}

criterion_group!(benches, sweep);
criterion_main!(benches);
