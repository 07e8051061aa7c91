//! Big integers of two crates on the work of a lattice reduction, and the reduction itself.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use dashu_int::IBig;
use num_bigint::BigInt;
use onsager_lattice::planted::{self, Shape};
use onsager_lattice::{Lattice, PhaseRetrieval, Recover, Search, Settings};
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

/// Length of a row: dimension 100.
const LENGTH: usize = 100;

/// Digits of a deterministic number of so many bits, in hexadecimal; both crates parse them.
fn digits(bits: usize, which: u64) -> String {
    let mut state = which.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut text = String::from(if which.is_multiple_of(2) { "-1" } else { "1" });
    for _ in 0..bits / 4 - 1 {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        text.push(char::from_digit((state >> 60) as u32, 16).unwrap_or('0'));
    }
    text
}

/// The four kernels, for one type of integer.
macro_rules! kernels {
    ($criterion:expr, $name:literal, $parse:expr, $one:expr) => {{
        let row = |bits, shift| -> Vec<_> {
            (0..LENGTH as u64)
                .map(|i| $parse(&digits(bits, i + shift)))
                .collect()
        };
        let mut group = $criterion.benchmark_group("integers");
        for bits in [40, 200, 600, 2000] {
            let (a, b) = (row(bits, 1), row(bits, 1000));
            // Row operation `a - x b` there and back, so that the sizes stay.
            group.bench_function(BenchmarkId::new(concat!($name, "/row"), bits), |run| {
                let mut a = a.clone();
                run.iter(|| {
                    for x in [12_345_i64, -12_345] {
                        for (a, b) in a.iter_mut().zip(&b) {
                            *a -= b * x;
                        }
                    }
                    black_box(&a);
                });
            });
            group.bench_function(BenchmarkId::new(concat!($name, "/dot"), bits), |run| {
                run.iter(|| {
                    let mut sum = $one;
                    for (a, b) in a.iter().zip(&b) {
                        sum += a * b;
                    }
                    sum
                });
            });
            let products: Vec<_> = a.iter().zip(&b).map(|(a, b)| a * b).collect();
            group.bench_function(BenchmarkId::new(concat!($name, "/divide"), bits), |run| {
                run.iter(|| {
                    products
                        .iter()
                        .zip(&b)
                        .map(|(p, b)| p / b)
                        .collect::<Vec<_>>()
                });
            });
        }
        group.finish();
    }};
}

fn integers(criterion: &mut Criterion) {
    let dashu = |text: &str| IBig::from_str_radix(text, 16).expect("digits");
    let num = |text: &str| BigInt::parse_bytes(text.as_bytes(), 16).expect("digits");
    kernels!(criterion, "dashu", dashu, IBig::ONE);
    kernels!(criterion, "num-bigint", num, BigInt::from(1));
}

/// Reduction of a knapsack with its check in integers, the check of the whole certificate, and recovery
/// from labels with 1.15 times the estimated bits.
fn reductions(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("reduction");
    group.sample_size(10);
    for n in [40, 100] {
        let bits = 5 * n;
        let unit = |i: u64| (0..n as u64).map(move |j| IBig::from(u8::from(i == j)));
        let number = |i| IBig::from_str_radix(&digits(bits, i), 16).expect("digits");
        let basis = (0..n as u64)
            .map(|i| unit(i).chain([number(i)]).collect())
            .collect();
        let lattice = Lattice::new(basis).expect("an identity is independent");
        group.bench_function(BenchmarkId::new("knapsack", n), |run| {
            run.iter(|| lattice.reduce(&Settings::default()));
        });
        let reduced = lattice
            .reduce(&Settings::default())
            .expect("default settings");
        group.bench_function(BenchmarkId::new("certificate", n), |run| {
            run.iter(|| reduced.certify(&lattice));
        });
        let bits = (1.15 * PhaseRetrieval::bits_needed(n)) as usize;
        let mut rng = ChaCha8Rng::seed_from_u64(1);
        let planted = planted::phase_retrieval(Shape::least(n, bits), &mut rng).expect("a shape");
        group.bench_function(BenchmarkId::new("phase retrieval", n), |run| {
            run.iter(|| planted.problem.recover(&Search::default()));
        });
    }
    group.finish();
}

criterion_group!(benches, integers, reductions);
criterion_main!(benches);
