//! The reference: plain Rust, no fused multiply-add, the same tree of eight lanes.

use super::{Block, Stored};

/// Lanes of every sum along a row, at every level.
pub(super) const LANES: usize = 8;

/// `((l0 + l4) + (l2 + l6)) + ((l1 + l5) + (l3 + l7))`, the tree of the vector levels.
fn sum(l: [f64; LANES]) -> f64 {
    ((l[0] + l[4]) + (l[2] + l[6])) + ((l[1] + l[5]) + (l[3] + l[7]))
}

fn entry<S: Stored, const SQUARE: bool>(a: S) -> f64 {
    let a = a.to_f64();
    if SQUARE { a * a } else { a }
}

pub(super) fn total<S: Stored>(a: &[S]) -> f64 {
    let (a8, a1) = a.as_chunks::<LANES>();
    let mut lanes = [0.0; LANES];
    for a in a8 {
        for l in 0..LANES {
            lanes[l] += a[l].to_f64();
        }
    }
    sum(lanes) + a1.iter().map(|a| a.to_f64()).sum::<f64>()
}

pub(super) fn rows<S: Stored, const SQUARE: bool>(a: &[S], x: &[f64], y: &mut [f64]) {
    let (x8, x1) = x.as_chunks::<LANES>();
    for (row, y) in a.chunks_exact(x.len()).zip(y) {
        let (row8, row1) = row.as_chunks::<LANES>();
        let mut lanes = [0.0; LANES];
        for (a, x) in row8.iter().zip(x8) {
            for l in 0..LANES {
                lanes[l] += entry::<S, SQUARE>(a[l]) * x[l];
            }
        }
        let tail = row1.iter().zip(x1);
        *y = tail.fold(sum(lanes), |s, (&a, x)| s + entry::<S, SQUARE>(a) * x);
    }
}

pub(super) fn columns<S: Stored, const SQUARE: bool>(
    a: &[S],
    g: &[f64],
    y: &mut [f64],
    _ahead: usize,
) {
    for (row, g) in a.chunks_exact(y.len()).zip(g) {
        for (&a, y) in row.iter().zip(y.iter_mut()) {
            *y += entry::<S, SQUARE>(a) * g;
        }
    }
}

pub(super) fn tile<S: Stored, const SQUARE: bool>(
    a: &[Block<S>],
    x: &[[f64; LANES]],
    y: &mut [[f64; LANES]],
    g: &[[f64; LANES]],
    z: &mut [[f64; LANES]],
) {
    for ((blocks, y), g) in a.chunks_exact(x.len()).zip(y).zip(g) {
        let mut lanes = [[0.0; LANES]; LANES];
        for ((block, x), z) in blocks.iter().zip(x).zip(z.iter_mut()) {
            for r in 0..LANES {
                for l in 0..LANES {
                    let a = entry::<S, SQUARE>(block[r][l]);
                    lanes[r][l] += a * x[l];
                    z[l] += a * g[r];
                }
            }
        }
        for r in 0..LANES {
            y[r] += sum(lanes[r]);
        }
    }
}
