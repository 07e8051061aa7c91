//! Reduction steered by Gram-Schmidt vectors in doubles; the rows themselves stay exact.
//!
//! Rows before the current one are always reduced, so that their orthogonalisation is well conditioned.
//! The current row is orthogonalised and shortened until nothing is left to subtract: a coefficient that
//! a double cannot hold is subtracted leading bits first. A wrong decision can cost time but never the
//! lattice; whoever needs the bounds checks them in integers.

use crate::LatticeError;
use crate::reals::approximate;
use crate::rows::{Row, power};
use crate::watch::Watch;

/// Size reduction acts on coefficients beyond this, a little more than 1/2 so that rounding cannot make
/// two rows exchange the same multiple for ever.
const SIZE: f64 = 0.501;

/// Bits of a coefficient that one pass removes: what a double holds, with room for rounding errors.
const BITS_OF_A_PASS: f64 = 45.0;

/// The reduction made no progress that doubles could see.
#[derive(Debug)]
struct Stalled;

/// What steers the reduction.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Rule {
    pub(crate) delta: f64,
    pub(crate) depth: usize,
}

/// Reduces the rows, whose first `columns` entries count as coordinates; returns whether doubles sufficed.
pub(crate) fn reduce(
    rows: &mut [Row],
    columns: usize,
    rule: Rule,
    watch: &mut Watch<'_>,
) -> Result<bool, LatticeError> {
    let n = rows.len();
    let bits = rows.iter().map(Row::bits).max().unwrap_or(0);
    // The potential allows about 2 n bits halvings; a run far beyond them goes in circles.
    let most = 1000 + 40 * (n * (n + bits)) as u64;
    let mut work = Orthogonal::new(n, columns);
    let most = watch.insertions + most;
    let mut k = 0;
    while k < n {
        watch.check()?;
        if work.shorten(rows, k).is_err() {
            return Ok(false);
        }
        match work.place(k, rule) {
            None => k += 1,
            Some(i) => {
                rows[i..=k].rotate_right(1);
                watch.insertions += 1;
                if watch.insertions > most {
                    return Ok(false);
                }
                k = i;
            }
        }
    }
    Ok(true)
}

/// Orthogonalisation of the rows before the current one.
struct Orthogonal {
    columns: usize,
    /// Gram-Schmidt vectors, row `i` in units of `2^exponents[i]`.
    stars: Vec<f64>,
    /// Their squared norms, in the square of that unit.
    norms: Vec<f64>,
    exponents: Vec<i32>,
    /// Coefficients `μ_ij`, row by row.
    mu: Vec<f64>,
    /// The current row's, in units of `2^(e_k - e_j)`.
    current: Vec<f64>,
}

impl Orthogonal {
    fn new(n: usize, columns: usize) -> Self {
        Self {
            columns,
            stars: vec![0.0; n * columns],
            norms: vec![0.0; n],
            exponents: vec![0; n],
            mu: vec![0.0; n * n],
            current: vec![0.0; n],
        }
    }

    /// Orthogonalises row `k` against those before it.
    fn project(&mut self, rows: &[Row], k: usize) {
        let m = self.columns;
        let (before, rest) = self.stars.split_at_mut(k * m);
        let star = &mut rest[..m];
        self.exponents[k] = rows[k].approximate(star);
        self.current[..k].fill(0.0);
        let whole = dot(star, star);
        let mut norm = whole;
        // Orthogonalising again removes what rounding left, as long as much was cancelled; the third
        // time nothing is left that a double could tell.
        for _ in 0..3 {
            for (j, other) in before.chunks_exact(m).enumerate() {
                let c = dot(star, other) / self.norms[j];
                self.current[j] += c;
                for (x, y) in star.iter_mut().zip(other) {
                    *x -= c * y;
                }
            }
            let left = dot(star, star);
            let cancelled = left < 0.5 * norm;
            norm = left;
            if !cancelled {
                break;
            }
        }
        self.norms[k] = norm;
        let length = |j: usize, norm: f64| f64::from(self.exponents[j]) + 0.5 * norm.log2();
        let shortest = (0..k).map(|j| length(j, self.norms[j]));
        if length(k, whole) - shortest.fold(f64::INFINITY, f64::min) > BITS_OF_A_PASS {
            self.project_exactly(rows, k);
        }
    }

    /// The same for a row so long that its rounding would drown the short ones before it: coefficients
    /// from inner products in integers, as Nguyen and Stehlé (2009) take them throughout.
    fn project_exactly(&mut self, rows: &[Row], k: usize) {
        let (n, m) = (self.norms.len(), self.columns);
        let mut products = vec![0.0; k];
        for j in 0..k {
            let unit = self.exponents[k] + self.exponents[j];
            let (mantissa, exponent) = approximate(&rows[k].dot(&rows[j], m));
            let mut product = mantissa * power(exponent - unit);
            for (i, other) in products[..j].iter().enumerate() {
                let unit = power(self.exponents[i] - self.exponents[j]);
                product -= self.mu[j * n + i] * other * unit;
            }
            products[j] = product;
            self.current[j] = product / self.norms[j];
        }
        let (before, rest) = self.stars.split_at_mut(k * m);
        let star = &mut rest[..m];
        rows[k].approximate(star);
        for (c, other) in self.current.iter().zip(before.chunks_exact(m)) {
            for (x, y) in star.iter_mut().zip(other) {
                *x -= c * y;
            }
        }
        self.norms[k] = dot(star, star);
    }

    /// Subtracts multiples of the rows before it from row `k` until all coefficients are small.
    fn shorten(&mut self, rows: &mut [Row], k: usize) -> Result<(), Stalled> {
        let n = self.norms.len();
        let most = 20 + rows[k].bits() / 8;
        for _ in 0..most {
            self.project(rows, k);
            let unit = |j: usize| self.exponents[k] - self.exponents[j];
            let size = |j: usize| self.current[j].abs().log2() + f64::from(unit(j));
            let largest = (0..k).map(size).fold(0.0, f64::max);
            if !largest.is_finite() || !self.norms[k].is_finite() {
                return Err(Stalled);
            }
            let shift = (largest - BITS_OF_A_PASS).ceil().max(0.0) as i32;
            let (before, rest) = self.mu.split_at_mut(k * n);
            let mu = &mut rest[..k];
            for (j, mu) in mu.iter_mut().enumerate() {
                let unit = self.exponents[k] - self.exponents[j] - shift;
                // Zero stays zero, whatever its unit.
                *mu = if self.current[j] == 0.0 {
                    0.0
                } else {
                    self.current[j] * power(unit)
                };
            }
            let mut rested = true;
            let (above, below) = rows.split_at_mut(k);
            for j in (0..k).rev() {
                if mu[j].abs() > SIZE {
                    let factor = mu[j].round();
                    below[0].subtract(factor, shift as usize, &above[j]);
                    for (x, y) in mu.iter_mut().zip(&before[j * n..j * n + j]) {
                        *x -= factor * y;
                    }
                    rested = false;
                }
            }
            if rested && shift == 0 {
                return Ok(());
            }
            below[0].settle();
        }
        Err(Stalled)
    }

    /// The first of the last `depth` places at which row `k` is too short to stay behind, if any.
    fn place(&self, k: usize, rule: Rule) -> Option<usize> {
        let mut found = None;
        // Squared norm of the row's part orthogonal to those before place `i`.
        let mut left = self.norms[k];
        for i in (k.saturating_sub(rule.depth)..k).rev() {
            left += self.current[i] * self.current[i] * self.norms[i];
            let unit = power(self.exponents[k] - self.exponents[i]);
            if left * unit * unit < rule.delta * self.norms[i] {
                found = Some(i);
            }
        }
        found
    }
}

/// Sum of products in eight independent parts, so that it runs on vector units.
fn dot(a: &[f64], b: &[f64]) -> f64 {
    let mut parts = [0.0; 8];
    let (left, right) = (a.chunks_exact(8), b.chunks_exact(8));
    let rest: f64 = (left.remainder().iter().zip(right.remainder()))
        .map(|(x, y)| x * y)
        .sum();
    for (x, y) in left.zip(right) {
        for i in 0..8 {
            parts[i] += x[i] * y[i];
        }
    }
    parts.iter().sum::<f64>() + rest
}
