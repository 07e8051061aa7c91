//! Gram-Schmidt orthogonalisation and reduction in integers: slow, and never wrong.

use dashu_int::IBig;

use crate::LatticeError;
use crate::watch::Watch;

/// Integral Gram-Schmidt data of independent rows `b_i`.
///
/// With `d_i` the Gram determinant of the first `i` rows, `λ_ij = d_{j+1} μ_ij` are integers, and
/// `|b*_i|² = d_{i+1}/d_i`.
#[derive(Debug)]
pub(crate) struct GramSchmidt {
    /// `d_0 = 1, d_1, ..., d_n`.
    determinants: Vec<IBig>,
    /// `λ_ij` for `j < i`.
    lambda: Vec<Vec<IBig>>,
}

impl GramSchmidt {
    /// From the first `columns` entries of the rows; an error is the first dependent row.
    pub(crate) fn new(
        rows: &[Vec<IBig>],
        columns: usize,
        watch: &mut Watch<'_>,
    ) -> Result<Self, LatticeError> {
        let mut determinants = vec![IBig::ONE];
        let mut lambda: Vec<Vec<IBig>> = Vec::with_capacity(rows.len());
        for (i, row) in rows.iter().enumerate() {
            let mut own: Vec<IBig> = Vec::with_capacity(i + 1);
            for (j, other) in rows[..=i].iter().enumerate() {
                watch.check()?;
                let mut u = dot(&row[..columns], &other[..columns]);
                for l in 0..j {
                    let other = if j == i { &own[l] } else { &lambda[j][l] };
                    u = (&determinants[l + 1] * u - &own[l] * other) / &determinants[l];
                }
                own.push(u);
            }
            let determinant = own.pop().unwrap_or_default();
            if determinant.is_zero() {
                return Err(LatticeError::DependentRow(i));
            }
            determinants.push(determinant);
            lambda.push(own);
        }
        Ok(Self {
            determinants,
            lambda,
        })
    }

    /// Gram determinant of all rows.
    pub(crate) fn determinant(&self) -> IBig {
        self.determinants.last().cloned().unwrap_or(IBig::ONE)
    }

    /// Whether `|μ_ij| <= size` for all `j < i`, and `|b*_i|² >= (delta - μ²) |b*_{i-1}|²`.
    pub(crate) fn is_reduced(&self, delta: Ratio, size: Ratio) -> bool {
        let n = self.lambda.len();
        let small = |x: &IBig, d: &IBig| {
            let x = x * IBig::from(size.denominator);
            let d = d * IBig::from(size.numerator);
            x <= d && -x <= d
        };
        (0..n).all(|i| (0..i).all(|j| small(&self.lambda[i][j], &self.determinants[j + 1])))
            && (1..n).all(|k| self.is_ordered(k, delta))
    }

    /// Lovász's condition between rows `k - 1` and `k`.
    fn is_ordered(&self, k: usize, delta: Ratio) -> bool {
        let d = &self.determinants;
        let left = &d[k + 1] * &d[k - 1] + square(&self.lambda[k][k - 1]);
        left * IBig::from(delta.denominator) >= square(&d[k]) * IBig::from(delta.numerator)
    }
}

/// A positive rational number below one.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Ratio {
    pub(crate) numerator: i64,
    pub(crate) denominator: i64,
}

impl Ratio {
    /// A number of [0, 1], rounded down to a multiple of `2^-30`.
    pub(crate) fn below(x: f64) -> Self {
        let denominator = 1_i64 << 30;
        Self {
            numerator: (x * denominator as f64).floor() as i64,
            denominator,
        }
    }
}

/// Reduction in integers throughout (Cohen 1993, algorithm 2.6.7): `rows`, whose first `columns`
/// entries count as coordinates, become a basis with `|μ| <= 1/2` and Lovász's condition for `delta`.
pub(crate) fn reduce(
    rows: &mut [Vec<IBig>],
    columns: usize,
    delta: Ratio,
    watch: &mut Watch<'_>,
) -> Result<(), LatticeError> {
    let mut gram = GramSchmidt::new(rows, columns, watch)?;
    let mut k = 1;
    while k < rows.len() {
        watch.check()?;
        shorten(rows, &mut gram, k, k - 1);
        if gram.is_ordered(k, delta) {
            for j in (0..k - 1).rev() {
                shorten(rows, &mut gram, k, j);
            }
            k += 1;
        } else {
            exchange(rows, &mut gram, k);
            watch.insertions += 1;
            k = (k - 1).max(1);
        }
    }
    Ok(())
}

/// Subtracts the nearest multiple of row `j` from row `k`.
fn shorten(rows: &mut [Vec<IBig>], gram: &mut GramSchmidt, k: usize, j: usize) {
    let d = &gram.determinants[j + 1];
    // The nearest integer to λ/d, for d > 0: a floor.
    let doubled = IBig::from(2) * &gram.lambda[k][j] + d;
    let quotient = floor(&doubled, &(IBig::from(2) * d));
    if quotient.is_zero() {
        return;
    }
    let (above, below) = rows.split_at_mut(k);
    for (x, y) in below[0].iter_mut().zip(&above[j]) {
        *x -= y * &quotient;
    }
    let change = d * &quotient;
    let (above, below) = gram.lambda.split_at_mut(k);
    for (x, y) in below[0].iter_mut().zip(&above[j]) {
        *x -= y * &quotient;
    }
    below[0][j] -= change;
}

/// Exchanges rows `k - 1` and `k`.
fn exchange(rows: &mut [Vec<IBig>], gram: &mut GramSchmidt, k: usize) {
    rows.swap(k - 1, k);
    let (above, below) = gram.lambda.split_at_mut(k);
    for j in 0..k - 1 {
        std::mem::swap(&mut above[k - 1][j], &mut below[0][j]);
    }
    let d = &gram.determinants;
    let middle = below[0][k - 1].clone();
    let new = (&d[k - 1] * &d[k + 1] + square(&middle)) / &d[k];
    for row in &mut below[1..] {
        let old = row[k].clone();
        row[k] = (&d[k + 1] * &row[k - 1] - &middle * &old) / &d[k];
        row[k - 1] = (&new * &old + &middle * &row[k]) / &d[k + 1];
    }
    gram.determinants[k] = new;
}

pub(crate) fn dot(a: &[IBig], b: &[IBig]) -> IBig {
    a.iter().zip(b).map(|(x, y)| x * y).sum()
}

fn square(x: &IBig) -> IBig {
    x * x
}

/// `⌊a/b⌋` for `b > 0`.
fn floor(a: &IBig, b: &IBig) -> IBig {
    let (quotient, rest) = (a / b, a % b);
    if rest < IBig::ZERO {
        quotient - IBig::ONE
    } else {
        quotient
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Lattice;
    use std::ops::ControlFlow;

    fn orthogonalised(rows: &[Vec<IBig>]) -> Result<GramSchmidt, LatticeError> {
        let mut observer = |_| ControlFlow::Continue(());
        GramSchmidt::new(rows, rows[0].len(), &mut Watch::new(&mut observer))
    }

    /// A decreasing triangle, which the steering of doubles may not see at all.
    fn triangle(n: usize, step: usize) -> Vec<Vec<IBig>> {
        let diagonal = |i: usize| IBig::ONE << (step * (n - i));
        let entry = |i: usize, j: usize| match j.cmp(&i) {
            std::cmp::Ordering::Less => diagonal(j) >> 1,
            std::cmp::Ordering::Equal => diagonal(i),
            std::cmp::Ordering::Greater => IBig::ZERO,
        };
        (0..n)
            .map(|i| (0..n).map(|j| entry(i, j)).collect())
            .collect()
    }

    #[test]
    fn integers_alone_reduce() {
        let delta = Ratio::below(0.99);
        for (n, step) in [(2, 3), (9, 7), (12, 90)] {
            let mut rows = triangle(n, step);
            let before = orthogonalised(&rows).unwrap();
            assert!(!before.is_reduced(delta, Ratio::below(0.5)));
            // The determinant of a triangle is the product of its diagonal.
            assert_eq!(before.determinant(), IBig::ONE << (step * n * (n + 1)));
            let mut observer = |_| ControlFlow::Continue(());
            let mut watch = Watch::new(&mut observer);
            reduce(&mut rows, n, delta, &mut watch).unwrap();
            assert!(watch.insertions > 0);
            let after = orthogonalised(&rows).unwrap();
            assert!(after.is_reduced(delta, Ratio::below(0.5)));
            assert_eq!(after.determinant(), before.determinant());
        }
    }

    #[test]
    fn what_doubles_cannot_finish_is_finished() {
        let lattice = Lattice::new(triangle(27, 45)).unwrap();
        let reduced = lattice.reduce(&crate::Settings::default()).unwrap();
        assert!(reduced.exact && reduced.certify(&lattice).holds());
    }

    #[test]
    fn dependent_rows_have_no_orthogonalisation() {
        let rows = [[2, 4, 6], [1, 0, 1], [0, 2, 2]].map(|row| row.map(IBig::from).to_vec());
        assert_eq!(
            orthogonalised(&rows).unwrap_err(),
            LatticeError::DependentRow(2)
        );
    }
}
