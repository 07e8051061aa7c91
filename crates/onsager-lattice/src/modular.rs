//! Determinants modulo primes: enough of them settle a determinant that is known to be bounded.

use dashu_int::IBig;
use dashu_int::ops::BitTest;

use crate::LatticeError;
use crate::exact::dot;
use crate::watch::Watch;

/// Primes below `2^31`, the largest first; there are far more than any determinant here needs.
fn primes() -> impl Iterator<Item = u64> {
    let is_prime = |p: &u64| {
        (3..)
            .step_by(2)
            .take_while(|q| q * q <= *p)
            .all(|q| !p.is_multiple_of(q))
    };
    (0..1 << 29).map(|i| (1 << 31) - 1 - 2 * i).filter(is_prime)
}

/// Whether the rank modulo a prime is full, which proves that the rank is.
pub(crate) fn is_independent(rows: &[Vec<IBig>]) -> bool {
    primes().next().is_some_and(|p| determinant(rows, p) != 0)
}

/// Whether the determinant of a square matrix is 1 or -1, given that its size is at most `2^bits`: it is if it
/// is one of them modulo primes whose product exceeds twice that size.
pub(crate) fn is_unimodular(
    rows: &[Vec<IBig>],
    bits: usize,
    watch: &mut Watch<'_>,
) -> Result<bool, LatticeError> {
    let mut sign = None;
    // Each prime used exceeds 2^30.
    for p in primes().take((bits + 2).div_ceil(30)) {
        watch.check()?;
        let found = determinant(rows, p);
        let known = *sign.get_or_insert(found == 1);
        if found != if known { 1 } else { p - 1 } {
            return Ok(false);
        }
    }
    Ok(true)
}

/// A number of bits `b` such that `|det| <= 2^b` for a square matrix of these rows, or for their volume: by
/// Hadamard the product of their lengths.
pub(crate) fn bits_of_volume(rows: &[Vec<IBig>], columns: usize) -> usize {
    let length = |row: &Vec<IBig>| dot(&row[..columns], &row[..columns]).bit_len().div_ceil(2);
    rows.iter().map(length).sum()
}

/// The determinant of a square matrix modulo `p`; of a wide one zero only if its rank modulo `p` is not full.
fn determinant(rows: &[Vec<IBig>], p: u64) -> u64 {
    let modulus = IBig::from(p);
    let residue = |x: &IBig| {
        i64::try_from(x % &modulus)
            .unwrap_or(0)
            .rem_euclid(p as i64) as u64
    };
    let mut rows: Vec<Vec<u64>> = (rows.iter())
        .map(|row| row.iter().map(residue).collect())
        .collect();
    let mut product = 1;
    let mut places: Vec<usize> = Vec::with_capacity(rows.len());
    for k in 0..rows.len() {
        let Some(place) = rows[k].iter().position(|&x| x != 0) else {
            return 0;
        };
        let pivot = rows[k][place];
        product = product * pivot % p;
        // Each pair of pivots out of order changes the sign.
        if places.iter().filter(|&&before| before > place).count() % 2 == 1 {
            product = (p - product) % p;
        }
        places.push(place);
        // The inverse by Fermat's little theorem.
        let (mut inverse, mut power, mut exponent) = (1, pivot, p - 2);
        while exponent > 0 {
            if exponent & 1 == 1 {
                inverse = inverse * power % p;
            }
            power = power * power % p;
            exponent >>= 1;
        }
        let (above, below) = rows.split_at_mut(k + 1);
        for row in below {
            let factor = row[place] * inverse % p;
            if factor != 0 {
                for (x, &y) in row.iter_mut().zip(&above[k]) {
                    *x = (*x + (p - factor) * y) % p;
                }
            }
        }
    }
    product
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::ControlFlow;

    fn unimodular(rows: &[[i64; 3]], bits: usize) -> bool {
        let rows: Vec<Vec<IBig>> = rows
            .iter()
            .map(|row| row.map(IBig::from).to_vec())
            .collect();
        let mut watch = |_| ControlFlow::Continue(());
        is_unimodular(&rows, bits, &mut Watch::new(&mut watch)).unwrap()
    }

    #[test]
    fn determinants_by_hand() {
        let rows = |rows: &[&[i64]]| -> Vec<Vec<IBig>> {
            rows.iter()
                .map(|row| row.iter().map(|&x| x.into()).collect())
                .collect()
        };
        let p = (1 << 31) - 1;
        assert_eq!(primes().next(), Some(p));
        // 2 (3·10 - 4·7) - 0 + 5 (1·7 - 3·6) = -51.
        let square = rows(&[&[2, 0, 5], &[1, 3, 4], &[6, 7, 10]]);
        assert_eq!(determinant(&square, p), p - 51);
        assert_eq!(determinant(&rows(&[&[0, 1], &[1, 0]]), p), p - 1);
        assert_eq!(
            determinant(&rows(&[&[0, 0, 1], &[1, 0, 0], &[0, 1, 0]]), p),
            1
        );
        assert_eq!(determinant(&rows(&[&[1, 2], &[2, 4]]), p), 0);
        assert!(is_independent(&rows(&[&[1, 2, 3], &[2, 4, 7]])));
    }

    #[test]
    fn one_prime_is_not_enough_for_a_large_determinant() {
        let p = (1 << 31) - 1;
        assert!(unimodular(&[[1, 5, 7], [0, 1, 9], [0, 0, 1]], 10));
        assert!(unimodular(&[[0, 1, 9], [1, 5, 7], [0, 0, 1]], 10));
        // 1 modulo the first prime, and not 1.
        let disguised = [[1, 0, 0], [0, p + 1, 0], [0, 0, 1]];
        assert!(unimodular(&disguised, 10) && !unimodular(&disguised, 32));
        // 1 modulo one prime and -1 modulo the next.
        assert!(!unimodular(&[[1, 0, 0], [0, 3, 0], [0, 0, 1]], 32));
    }
}
