//! That a basis is reduced, proved in doubles with bounds of all rounding errors.
//!
//! Let `G = M N Mᵀ` be the Gram matrix, `M` unit lower triangular with the coefficients `μ_ij`, `N` diagonal with
//! the squared Gram-Schmidt norms. Doubles give `M̃ ≈ M` and `X ≈ M̃⁻¹`. What holds exactly is then
//!
//! `X G Xᵀ = Ñ + E` and `X M̃ = I + C`,
//!
//! with `Ñ` diagonal and bounds of `E` and `C` from the residuals and the rounding of these products. With
//! `φ = max_k Σ_i |E_ki|/Ñ_k < 1`, Gaussian elimination of `I + Ñ⁻¹E` turns row `k` into the row of a Schur
//! complement, so into `e_k` up to `ε = φ + φ φ/(1 - φ) = φ/(1 - φ)` in every entry: that is `N_k/Ñ_k` on the
//! diagonal, and `(N_k/Ñ_k) K_ik` behind it, where `K = X M`. Hence `|N_k/Ñ_k - 1| <= ε`,
//! `|K - I| <= ε/(1 - ε)`, and from `M - M̃ = M̃ (I + C)⁻¹ (K - I - C)`, in row-sum norms,
//!
//! `|μ_ij - μ̃_ij| <= |M̃| (ε/(1 - ε) + |C|)/(1 - |C|)`.
//!
//! The idea of such an a-posteriori proof is Villard's (2007), for the QR factor; taking the
//! Gram matrix and scaling each entry by its shorter row lets norms grow by any factor from row to row.

use dashu_int::IBig;
use dashu_int::ops::BitTest;

use crate::LatticeError;
use crate::exact::dot;
use crate::reals::approximate;
use crate::rows::power;
use crate::watch::Watch;

/// Entries and scales within these powers of two keep underflow below [`FLOOR`].
const WIDE: i32 = 200;

/// A bound of what underflow adds to a sum, in the units of its row.
const FLOOR: i32 = -400;

/// Beyond this perturbation nothing would be proved anyway.
const LARGEST: f64 = 0.01;

/// More than the rounding of the few operations that turn one bound into the next.
const SLACK: f64 = 1.0 + 1e-9;

/// Whether doubles prove that `|μ_ij| <= size` for all `j < i`, and `N_i >= (delta - μ²) N_{i-1}`; if they do
/// not, nothing is known. Costs about `3 n³` operations and the inner products of all rows.
pub(crate) fn is_reduced(
    rows: &[Vec<IBig>],
    columns: usize,
    delta: f64,
    size: f64,
    watch: &mut Watch<'_>,
) -> Result<bool, LatticeError> {
    let n = rows.len();
    // Lower triangle of the Gram matrix, each entry in the unit `2^unit` of its earlier row: of its length.
    let mut units: Vec<i32> = Vec::with_capacity(n);
    let mut gram = vec![0.0; n * n];
    for i in 0..n {
        watch.check()?;
        for j in 0..=i {
            let product = dot(&rows[i][..columns], &rows[j][..columns]);
            if j == i {
                units.push(product.bit_len() as i32);
            }
            let (mantissa, exponent) = approximate(&product);
            // In two factors, of which neither leaves the doubles.
            let shift = (exponent - units[j]).clamp(-2000, 2000);
            gram[i * n + j] = mantissa * power(shift / 2) * power(shift - shift / 2);
        }
    }
    let Some(proof) = Proof::new(&gram, &units, watch)? else {
        return Ok(false);
    };
    let bounded = (0..n).all(|i| (0..i).all(|j| proof.mu[i * n + j].abs() + proof.error <= size));
    let ordered = (1..n).all(|k| {
        let mu = (proof.mu[k * n + k - 1].abs() - proof.error).max(0.0);
        let (low, high) = (1.0 - proof.stretch, 1.0 + proof.stretch);
        let before = proof.norms[k - 1] * power(units[k - 1] - units[k]);
        proof.norms[k] * low >= (delta - mu * mu) * before * high * SLACK
    });
    Ok(bounded && ordered)
}

/// `M̃` and `Ñ`, and how far they are from `M` and `N`.
struct Proof {
    mu: Vec<f64>,
    /// In the unit of each row.
    norms: Vec<f64>,
    /// Bound of `|μ - μ̃|`.
    error: f64,
    /// Bound of `|N/Ñ - 1|`.
    stretch: f64,
}

impl Proof {
    /// None if the Gram matrix is too ill conditioned, or too wide in scale, for doubles.
    fn new(
        gram: &[f64],
        units: &[i32],
        watch: &mut Watch<'_>,
    ) -> Result<Option<Self>, LatticeError> {
        let n = units.len();
        let at = |i: usize, j: usize| i * n + j;
        // Units of one row in those of another one.
        let scale: Vec<f64> = (0..n * n)
            .map(|k| power(units[k / n].saturating_sub(units[k % n])))
            .collect();
        let (mut mu, mut parts, mut inverse) =
            (vec![0.0; n * n], vec![0.0; n * n], vec![0.0; n * n]);
        for i in 0..n {
            for j in 0..=i {
                let taken = (0..j).map(|k| mu[at(j, k)] * parts[at(i, k)] * scale[at(k, j)]);
                parts[at(i, j)] = gram[at(i, j)] - taken.sum::<f64>();
                mu[at(i, j)] = if i == j {
                    1.0
                } else {
                    parts[at(i, j)] / parts[at(j, j)]
                };
            }
            inverse[at(i, i)] = 1.0;
            for k in 0..i {
                let factor = mu[at(i, k)];
                let (above, below) = inverse.split_at_mut(i * n);
                for (x, y) in below[..=k].iter_mut().zip(&above[k * n..=at(k, k)]) {
                    *x -= factor * y;
                }
            }
        }
        let bounded = |values: &[f64]| values.iter().all(|x| x.abs() <= power(WIDE));
        let later = (0..n).all(|i| bounded(&scale[i * n..][i..n]));
        if !(later && bounded(gram) && bounded(&mu) && bounded(&inverse)) {
            return Ok(None);
        }
        // Sums of n products of three, each rounded: twice the bound of their relative errors.
        let rounding = (2 * n + 8) as f64 * f64::EPSILON;
        // C by rows.
        let mut defect: f64 = 0.0;
        for i in 0..n {
            let (mut product, mut sizes) = (vec![0.0; i + 1], vec![0.0; i + 1]);
            for k in 0..=i {
                let x = inverse[at(i, k)];
                for j in 0..=k {
                    let term = x * mu[at(k, j)];
                    product[j] += term;
                    sizes[j] += term.abs();
                }
            }
            product[i] -= 1.0;
            let row = product.iter().zip(&sizes);
            defect = defect.max(
                row.map(|(c, s)| c.abs() + rounding * s + power(FLOOR))
                    .sum(),
            );
        }
        // E column by column, in the unit of that column, which is that of the entries in front of it as well.
        let (mut sums, mut norms) = (vec![0.0; n], vec![0.0; n]);
        let (mut image, mut sizes) = (vec![0.0; n], vec![0.0; n]);
        for k in 0..n {
            watch.check()?;
            let x: Vec<f64> = (0..=k).map(|b| inverse[at(k, b)]).collect();
            let near: Vec<f64> = (0..=k).map(|b| x[b] * scale[at(b, k)]).collect();
            image.fill(0.0);
            sizes.fill(0.0);
            // G x, by rows of the lower triangle: each entry serves its row and its column.
            for a in 0..n {
                let row = &gram[a * n..=at(a, a)];
                for (g, y) in row.iter().zip(&near) {
                    image[a] += g * y;
                    sizes[a] += (g * y).abs();
                }
                if a <= k {
                    for b in 0..a {
                        let term = row[b] * x[a] * scale[at(b, k)];
                        image[b] += term;
                        sizes[b] += term.abs();
                    }
                }
            }
            for i in k..n {
                let row = &inverse[i * n..=at(i, i)];
                let (mut sum, mut size) = (0.0, 0.0);
                for ((x, y), s) in row.iter().zip(&image).zip(&sizes) {
                    sum += x * y;
                    size += x.abs() * s;
                }
                let unknown = rounding * size + power(FLOOR);
                if i == k {
                    norms[k] = sum;
                    sums[k] += unknown;
                } else {
                    sums[k] += sum.abs() + unknown;
                    sums[i] += (sum.abs() + unknown) * scale[at(k, i)];
                }
            }
        }
        let phi = sums.iter().zip(&norms).map(|(s, n)| s / n * SLACK);
        let phi = phi.fold(0.0, |a: f64, b| if b >= 0.0 { a.max(b) } else { f64::NAN });
        // Also false for what is no number.
        if !(phi < LARGEST && defect < LARGEST && norms.iter().all(|&x| x > 0.0)) {
            return Ok(None);
        }
        let stretch = phi / (1.0 - phi) * SLACK;
        let widest = (0..n)
            .map(|i| mu[i * n..=at(i, i)].iter().map(|x| x.abs()).sum::<f64>())
            .fold(0.0, f64::max);
        let error = widest * (stretch / (1.0 - stretch) + defect) / (1.0 - defect) * SLACK;
        Ok(Some(Self {
            mu,
            norms,
            error,
            stretch,
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exact::{GramSchmidt, Ratio};
    use crate::{Lattice, Settings};
    use std::ops::ControlFlow;

    fn proved(rows: &[Vec<IBig>], delta: f64, size: f64) -> bool {
        let mut watch = |_| ControlFlow::Continue(());
        is_reduced(
            rows,
            rows[0].len(),
            delta,
            size,
            &mut Watch::new(&mut watch),
        )
        .unwrap()
    }

    fn known(rows: &[Vec<IBig>], delta: f64, size: f64) -> bool {
        let mut watch = |_| ControlFlow::Continue(());
        let gram = GramSchmidt::new(rows, rows[0].len(), &mut Watch::new(&mut watch)).unwrap();
        gram.is_reduced(Ratio::below(delta), Ratio::below(size))
    }

    /// Numbers of so many bits from a generator of this test's own.
    fn knapsack(n: usize, bits: usize, seed: u64) -> Vec<Vec<IBig>> {
        let mut state = seed;
        let mut next = || {
            state = state
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407);
            IBig::from(state >> 32)
        };
        let unit = |i: usize| (0..n).map(move |j| IBig::from(u8::from(i == j)));
        let mut number = || (0..bits / 32).fold(IBig::ONE, |x, _| (x << 32) + next());
        (0..n)
            .map(|i| unit(i).chain([number()]).collect())
            .collect()
    }

    #[test]
    fn what_is_proved_is_so_and_what_is_reduced_is_proved() {
        let mut refused = 0;
        for (n, bits) in [(2, 64), (9, 128), (24, 160), (40, 256)] {
            let lattice = Lattice::new(knapsack(n, bits, n as u64)).unwrap();
            for delta in [0.5, 0.8, 0.99] {
                let settings = Settings { delta, depth: 1 };
                let reduced = lattice.reduce(&settings).unwrap().lattice;
                assert!(
                    proved(reduced.rows(), delta, 0.51) && !proved(lattice.rows(), delta, 0.51)
                );
                // Against integers where it may be false.
                for (delta, size) in [(0.5, 0.49), (0.75, 0.5001), (0.9, 0.51), (0.995, 0.501)] {
                    let (claim, truth) = (
                        proved(reduced.rows(), delta, size),
                        known(reduced.rows(), delta, size),
                    );
                    assert_eq!(claim, truth, "n = {n}, {delta}, {size}");
                    refused += u32::from(!truth);
                }
            }
        }
        assert!(refused > 5);
    }

    /// The last digit of a coefficient, and of Lovász's condition, is not for doubles to judge.
    #[test]
    fn equality_is_left_to_integers() {
        let rows = |last: i64| vec![vec![1000.into(), 0.into()], vec![last.into(), 1000.into()]];
        assert!(known(&rows(510), 0.9, 0.51 + 1e-9) && proved(&rows(510), 0.9, 0.51 + 1e-9));
        assert!(!proved(&rows(510), 0.9, 0.51) && !proved(&rows(511), 0.9, 0.51));
        let lengths = [vec![100.into(), 0.into()], vec![IBig::ZERO, 80.into()]];
        assert!(known(&lengths, 0.64, 0.5) && !proved(&lengths, 0.64, 0.5));
        assert!(proved(&lengths, 0.63, 0.5));
    }

    /// Norms that grow by thousands of bits from the first row to the last.
    #[test]
    fn growing_norms_are_no_obstacle() {
        let n = 30;
        let entry = |i: usize, j: usize| match j.cmp(&i) {
            std::cmp::Ordering::Less => {
                (IBig::ONE << (90 * j)) * IBig::from((i * j % 7) as i64 - 3) / IBig::from(8)
            }
            std::cmp::Ordering::Equal => IBig::ONE << (90 * i),
            std::cmp::Ordering::Greater => IBig::ZERO,
        };
        let rows: Vec<Vec<IBig>> = (0..n)
            .map(|i| (0..n).map(|j| entry(i, j)).collect())
            .collect();
        assert!(proved(&rows, 0.99, 0.51) && known(&rows, 0.99, 0.51));
        // One coefficient of 7/8, far up, where a double knows nothing of it beside its row.
        let mut rows = rows;
        let row = rows[2].clone();
        for (x, y) in rows[n - 1].iter_mut().zip(&row) {
            *x += y;
        }
        assert!(!proved(&rows, 0.99, 0.51) && !known(&rows, 0.99, 0.51));
    }
}
