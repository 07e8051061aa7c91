//! Products with dense and symmetric matrices beside the memory bandwidth of the same run.
//!
//! Throughput counts the bytes of the matrix; the read probe sums the same bytes over eight
//! independent vectors of lanes.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use onsager_operators::{Dense, DenseF32, LinearOperator, Shape, Symmetric, SymmetricF32};

const SIZES: [usize; 2] = [1000, 4000];

/// A cheap generic entry: speed does not depend on values, as long as none is subnormal.
fn entry(i: usize, j: usize) -> f64 {
    ((i * 31 + j * 17) % 101) as f64 / 101.0 - 0.5
}

/// Sum over the matrix: what reading its bytes costs at least.
fn read(entries: &[f64]) -> f64 {
    let (blocks, rest) = entries.as_chunks::<64>();
    let mut lanes = [0.0; 64];
    for block in blocks {
        for (lane, x) in lanes.iter_mut().zip(block) {
            *lane += x;
        }
    }
    lanes.iter().chain(rest).sum()
}

fn products(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("products");
    group.sample_size(20);
    for n in SIZES {
        let x: Vec<f64> = (0..n).map(|i| entry(i, 1)).collect();
        let mut y = vec![0.0; n];
        let shape = Shape::square(n);
        let fill = |i, row: &mut [f64]| {
            row.iter_mut()
                .enumerate()
                .for_each(|(j, a)| *a = entry(i, j))
        };
        let built = "finite entries that fit in memory";
        let dense = Dense::from_rows(shape, fill).expect(built);
        let dense_f32 = DenseF32::from_rows(shape, fill).expect(built);
        let symmetric = Symmetric::from_fn(n, entry).expect(built);
        let symmetric_f32 = SymmetricF32::from_fn(n, entry).expect(built);

        group.throughput(Throughput::Bytes(dense.bytes() as u64));
        group.bench_function(BenchmarkId::new("read", n), |run| {
            run.iter(|| read(black_box(dense.entries())))
        });
        let operators: [(&str, &dyn LinearOperator); 4] = [
            ("dense", &dense),
            ("dense_f32", &dense_f32),
            ("symmetric", &symmetric),
            ("symmetric_f32", &symmetric_f32),
        ];
        for (name, op) in operators {
            group.throughput(Throughput::Bytes(op.bytes() as u64));
            group.bench_function(BenchmarkId::new(name, n), |run| {
                run.iter(|| op.apply_column(black_box(&x), &mut y))
            });
            if name.starts_with("dense") {
                group.bench_function(BenchmarkId::new(format!("{name}_adjoint"), n), |run| {
                    run.iter(|| op.apply_adjoint_column(black_box(&x), &mut y))
                });
            }
        }
    }
    group.finish();
}

criterion_group!(benches, products);
criterion_main!(benches);
