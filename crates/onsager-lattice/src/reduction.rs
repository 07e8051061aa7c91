use dashu_int::IBig;

use crate::exact::{self, GramSchmidt, Ratio};
use crate::float::{self, Rule};
use crate::rows::Row;
use crate::{Lattice, LatticeError};

/// How far a basis is reduced.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Settings {
    /// Lovász's parameter `δ` in (1/4, 0.999]: `|b*_k|² >= (δ - μ²) |b*_{k-1}|²`.
    pub delta: f64,
    /// How many places back a row may be inserted, at least 1. With 1 this is the reduction of Lenstra,
    /// Lenstra and Lovász; more (deep insertion, Schnorr and Euchner 1994) finds shorter vectors and
    /// takes longer, without a polynomial bound.
    pub depth: usize,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            delta: 0.99,
            depth: 1,
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), LatticeError> {
        if !(self.delta > 0.25 && self.delta <= 0.999) {
            return Err(LatticeError::Setting {
                name: "delta",
                allowed: "in (0.25, 0.999]",
                found: self.delta,
            });
        }
        if self.depth == 0 {
            return Err(LatticeError::Setting {
                name: "depth",
                allowed: "at least 1",
                found: 0.0,
            });
        }
        Ok(())
    }

    /// A little stricter than what is promised, so that rounding does not break the promise.
    fn strict(&self) -> Rule {
        Rule {
            delta: self.delta + 0.1 * (1.0 - self.delta),
            depth: self.depth,
        }
    }
}

/// Bound of the coefficients `|μ_ij|` of a reduced basis; 1/2 cannot be asked of floating point.
pub const SIZE_BOUND: f64 = 0.51;

/// A reduced basis.
#[derive(Debug, Clone, PartialEq)]
pub struct Reduction {
    /// The lattice in its new basis.
    pub lattice: Lattice,
    /// The unimodular matrix `U` with `new basis = U · old basis`.
    pub transform: Vec<Vec<IBig>>,
    /// Insertions made, by either arithmetic.
    pub insertions: u64,
    /// Whether floating point did not suffice and integers had to finish.
    pub exact: bool,
    settings: Settings,
}

/// What a check in integers, independent of the reduction, says of its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate {
    /// The new basis is the transform of the old one.
    pub transformed: bool,
    /// Both bases have the same Gram determinant, so that the transform is unimodular.
    pub determinant: bool,
    /// The new basis is reduced: `|μ| <=` [`SIZE_BOUND`] and Lovász's condition for `δ`.
    pub reduced: bool,
}

impl Certificate {
    /// Whether the basis spans the same lattice and is reduced.
    pub fn holds(&self) -> bool {
        self.transformed && self.determinant && self.reduced
    }
}

impl Reduction {
    /// Checks the result against the lattice that was reduced.
    ///
    /// Costs about `n³/2` products of integers as long as the Gram determinants.
    pub fn certify(&self, original: &Lattice) -> Certificate {
        let (new, old) = (self.lattice.rows(), original.rows());
        let product = |coefficients: &Vec<IBig>| -> Vec<IBig> {
            (0..original.columns())
                .map(|c| {
                    (coefficients.iter().zip(old))
                        .map(|(u, row)| u * &row[c])
                        .sum()
                })
                .collect()
        };
        let transformed = new.len() == self.transform.len()
            && (self.transform.iter().zip(new)).all(|(u, row)| product(u) == *row);
        Certificate {
            transformed,
            determinant: self.lattice.gram_determinant() == original.gram_determinant(),
            reduced: is_reduced(new, original.columns(), &self.settings),
        }
    }
}

pub(crate) fn reduce(lattice: &Lattice, settings: &Settings) -> Result<Reduction, LatticeError> {
    settings.check()?;
    let (n, columns) = (lattice.dimension(), lattice.columns());
    // The transform rides along in columns that do not count.
    let unit = |i: usize| (0..n).map(move |j| IBig::from(u8::from(i == j)));
    let mut rows: Vec<Row> = (lattice.rows().iter().enumerate())
        .map(|(i, row)| Row::new(row.iter().cloned().chain(unit(i)).collect()))
        .collect();
    let swift = float::reduce(&mut rows, columns, settings.strict());
    let mut rows: Vec<Vec<IBig>> = rows.into_iter().map(Row::into_big).collect();
    let mut insertions = *swift.as_ref().unwrap_or(&0);
    let exact = swift.is_err() || !is_reduced(&rows, columns, settings);
    if exact {
        insertions += exact::reduce(&mut rows, columns, Ratio::below(settings.strict().delta));
    }
    let transform = rows.iter_mut().map(|row| row.split_off(columns)).collect();
    Ok(Reduction {
        lattice: Lattice::of_basis(rows),
        transform,
        insertions,
        exact,
        settings: *settings,
    })
}

/// The same for rows on the way, whose result the caller certifies by other means.
pub(crate) fn reduce_rows(rows: &mut Vec<Row>, columns: usize, settings: &Settings) -> u64 {
    float::reduce(rows, columns, settings.strict()).unwrap_or_else(|_| {
        let mut big: Vec<_> = std::mem::take(rows)
            .into_iter()
            .map(Row::into_big)
            .collect();
        let exchanges = exact::reduce(&mut big, columns, Ratio::below(settings.strict().delta));
        *rows = big.into_iter().map(Row::new).collect();
        exchanges
    })
}

fn is_reduced(rows: &[Vec<IBig>], columns: usize, settings: &Settings) -> bool {
    GramSchmidt::new(rows, columns)
        .is_ok_and(|gram| gram.is_reduced(Ratio::below(settings.delta), Ratio::below(SIZE_BOUND)))
}
