use dashu_int::IBig;
use dashu_int::ops::BitTest;

use crate::reals::{approximate, scaled};

/// A square system of equations with integer coefficients, to be solved to any number of bits.
///
/// A factorisation in doubles gives about fifty bits of the solution; applied to what is left of the
/// right-hand side, which is known exactly, it gives the next fifty, and so on.
pub(crate) struct Solver<'a> {
    rows: &'a [Vec<IBig>],
    /// Factors of the rows in doubles, row by row, each in units of `2^exponents[i]`.
    factors: Vec<f64>,
    order: Vec<usize>,
    exponents: Vec<i32>,
}

/// The system is singular to double precision.
#[derive(Debug)]
pub(crate) struct Singular;

impl<'a> Solver<'a> {
    pub(crate) fn new(rows: &'a [Vec<IBig>]) -> Result<Self, Singular> {
        let d = rows.len();
        let mut exponents = Vec::with_capacity(d);
        let mut factors = Vec::with_capacity(d * d);
        for row in rows {
            let bits = row.iter().map(BitTest::bit_len).max().unwrap_or(0);
            // Entries of size at most one.
            exponents.push(bits as i32);
            factors.extend(row.iter().map(|x| {
                let (mantissa, exponent) = approximate(x);
                mantissa * 2.0_f64.powi(exponent - bits as i32)
            }));
        }
        let mut order: Vec<usize> = (0..d).collect();
        for k in 0..d {
            let size = |i: &usize| factors[order[*i] * d + k].abs();
            let best = (k..d)
                .max_by(|i, j| size(i).total_cmp(&size(j)))
                .unwrap_or(k);
            order.swap(k, best);
            let pivot = factors[order[k] * d + k];
            if pivot == 0.0 {
                return Err(Singular);
            }
            for i in k + 1..d {
                let (from, to) = (order[k] * d, order[i] * d);
                let factor = factors[to + k] / pivot;
                factors[to + k] = factor;
                for c in k + 1..d {
                    factors[to + c] -= factor * factors[from + c];
                }
            }
        }
        Ok(Self {
            rows,
            factors,
            order,
            exponents,
        })
    }

    /// Solution of the factored system for a right-hand side in the units of the rows.
    fn approximate(&self, right: &[f64]) -> Vec<f64> {
        let d = self.order.len();
        let mut x: Vec<f64> = self.order.iter().map(|&i| right[i]).collect();
        for k in 0..d {
            for c in 0..k {
                x[k] -= self.factors[self.order[k] * d + c] * x[c];
            }
        }
        for k in (0..d).rev() {
            for c in k + 1..d {
                x[k] -= self.factors[self.order[k] * d + c] * x[c];
            }
            x[k] /= self.factors[self.order[k] * d + k];
        }
        x
    }

    /// The solution of `yᵀ M = vᵀ` in doubles, where the rows are mantissas of so many bits.
    pub(crate) fn transposed(&self, right: &[f64], bits: usize) -> Vec<f64> {
        let d = self.order.len();
        let mut x = right.to_vec();
        for k in 0..d {
            for c in 0..k {
                x[k] -= self.factors[self.order[c] * d + k] * x[c];
            }
            x[k] /= self.factors[self.order[k] * d + k];
        }
        for k in (0..d).rev() {
            for c in k + 1..d {
                x[k] -= self.factors[self.order[c] * d + k] * x[c];
            }
        }
        let mut y = vec![0.0; d];
        for (k, &i) in self.order.iter().enumerate() {
            // Rows are integers over 2^bits; the factors hold them over 2^exponent.
            y[i] = x[k] * 2.0_f64.powi(bits as i32 - self.exponents[i]);
        }
        y
    }

    /// `x` with `M x = right`, as mantissas of `bits` bits: off by at most a few units of the last.
    pub(crate) fn solve(&self, right: &[IBig], bits: usize) -> Result<Vec<IBig>, Singular> {
        let d = self.order.len();
        let mut x = vec![IBig::ZERO; d];
        let mut rest: Vec<IBig> = right.iter().map(|r| r << bits).collect();
        let mut last = i64::MAX;
        loop {
            // The rest of each equation over the unit of its row, all over one power of two.
            let parts: Vec<(f64, i64)> = (rest.iter().zip(&self.exponents))
                .map(|(r, &unit)| {
                    let (mantissa, exponent) = approximate(r);
                    (mantissa, i64::from(exponent) - i64::from(unit))
                })
                .collect();
            let used = parts.iter().filter(|(mantissa, _)| *mantissa != 0.0);
            let Some(top) = used
                .map(|(mantissa, e)| e + mantissa.abs().log2() as i64 + 1)
                .max()
            else {
                return Ok(x);
            };
            let double = |&(mantissa, e): &(f64, i64)| {
                mantissa * 2.0_f64.powi((e - top).clamp(-2000, 0) as i32)
            };
            let step = self.approximate(&parts.iter().map(double).collect::<Vec<_>>());
            let largest = step.iter().fold(0.0_f64, |a, b| a.max(b.abs()));
            if !largest.is_finite() {
                return Err(Singular);
            }
            let size = top + largest.log2().ceil() as i64;
            if size < 0 {
                // Less than half a unit of the last bit is missing.
                return Ok(x);
            }
            if size > last - 2 {
                // No two bits were gained.
                return Err(Singular);
            }
            last = size;
            // Fifty leading bits of the step, in whole units.
            let shift = (size - 50).max(0);
            let step: Vec<IBig> = (step.iter())
                .map(|s| {
                    let scale = 2.0_f64.powi((top - shift).clamp(-1000, 1000) as i32);
                    IBig::from((s * scale).round() as i64)
                })
                .collect();
            if step.iter().all(IBig::is_zero) {
                return Ok(x);
            }
            for (rest, row) in rest.iter_mut().zip(self.rows) {
                *rest -= crate::exact::dot(row, &step) << shift as usize;
            }
            for (x, s) in x.iter_mut().zip(&step) {
                *x += scaled(s, shift);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Reals;
    use rand_chacha::ChaCha8Rng;
    use rand_chacha::rand_core::SeedableRng;

    #[test]
    fn solutions_satisfy_the_equations_to_all_bits() {
        let mut rng = ChaCha8Rng::seed_from_u64(5);
        for (d, bits) in [(1, 60), (7, 100), (40, 900)] {
            let rows: Vec<Vec<IBig>> = (0..d)
                .map(|_| Reals::gaussian(d, bits, &mut rng).mantissas)
                .collect();
            // The right-hand side of a known solution: the same bits come back.
            let truth = Reals::gaussian(d, bits, &mut rng).mantissas;
            let right: Vec<IBig> = rows
                .iter()
                .map(|row| crate::exact::dot(row, &truth))
                .collect();
            let solver = Solver::new(&rows).unwrap();
            // M x 2^bits = right in mantissas, so x without further bits.
            assert_eq!(solver.solve(&right, 0).unwrap(), truth);
            let more: Vec<IBig> = truth.iter().map(|x| x << 200).collect();
            assert_eq!(solver.solve(&right, 200).unwrap(), more);
        }
    }

    #[test]
    fn transposed_solutions_satisfy_their_equations() {
        let mut rng = ChaCha8Rng::seed_from_u64(6);
        let (d, bits) = (12, 80);
        let rows: Vec<Reals> = (0..d).map(|_| Reals::gaussian(d, bits, &mut rng)).collect();
        let mantissas: Vec<_> = rows.iter().map(|row| row.mantissas.clone()).collect();
        let right = Reals::gaussian(d, bits, &mut rng).to_f64();
        let y = Solver::new(&mantissas).unwrap().transposed(&right, bits);
        for (c, right) in right.iter().enumerate() {
            let sum: f64 = (y.iter().zip(&rows))
                .map(|(y, row)| y * row.to_f64()[c])
                .sum();
            assert!((sum - right).abs() < 1e-9, "{sum} against {right}");
        }
    }

    #[test]
    fn singular_systems_are_refused() {
        let row = |values: [i64; 2]| values.map(IBig::from).to_vec();
        assert!(Solver::new(&[row([1, 2]), row([2, 4])]).is_err());
        assert!(Solver::new(&[row([0, 0]), row([2, 4])]).is_err());
        // Independent, but not to the eye of a double.
        let close = [
            vec![IBig::ONE << 90, IBig::ONE << 90],
            vec![(IBig::ONE << 90) + 1, IBig::ONE << 90],
        ];
        let refused = Solver::new(&close).and_then(|s| s.solve(&row([1, 2]), 50));
        assert!(refused.is_err());
    }
}
