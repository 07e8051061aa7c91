use std::ops::ControlFlow;

use dashu_int::IBig;

use crate::exact::{self, GramSchmidt, Ratio};
use crate::float::{self, Rule};
use crate::rows::Row;
use crate::watch::Watch;
use crate::{Lattice, LatticeError, Observer, bounds, modular};

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

/// What a proof, independent of the reduction, says of its result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Certificate {
    /// The new basis is the transform of the old one: in integers.
    pub transformed: bool,
    /// The transform has the determinant 1 or -1, so that both bases have the same Gram determinant and span
    /// the same lattice: modulo as many primes as decide it.
    pub determinant: bool,
    /// The new basis is reduced, `|μ| <=` [`SIZE_BOUND`] and Lovász's condition for `δ`: in doubles with
    /// bounds of their errors, in integers where these do not decide.
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
    /// Costs `n² m` products of the transform's entries with the rows', `n³/3` machine operations for every 30
    /// bits of the volume, and `3 n³` operations in doubles; where doubles do not decide whether the basis
    /// is reduced, `n³/6` products of integers as long as Gram determinants.
    pub fn certify(&self, original: &Lattice) -> Certificate {
        let observer = &mut |_| ControlFlow::Continue(());
        // Only an observer can stop it.
        self.certify_with(original, observer)
            .unwrap_or(Certificate {
                transformed: false,
                determinant: false,
                reduced: false,
            })
    }

    /// The same under the eyes of an observer, which can stop it.
    ///
    /// # Errors
    ///
    /// [`LatticeError::Stopped`].
    pub fn certify_with(
        &self,
        original: &Lattice,
        observer: Observer<'_>,
    ) -> Result<Certificate, LatticeError> {
        let watch = &mut Watch::new(observer);
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
        let square = [new.len(), old.len()] == [self.transform.len(); 2]
            && self.transform.iter().all(|u| u.len() == old.len());
        let transformed =
            square && (self.transform.iter().zip(new)).all(|(u, row)| product(u) == *row);
        // The transform's determinant is the ratio of two volumes, of which the old one is at least 1.
        let bits = modular::bits_of_volume(new, original.columns())
            .min(modular::bits_of_volume(&self.transform, old.len()));
        Ok(Certificate {
            transformed,
            determinant: transformed && modular::is_unimodular(&self.transform, bits, watch)?,
            reduced: is_reduced(new, original.columns(), &self.settings, watch)?,
        })
    }
}

pub(crate) fn reduce(
    lattice: &Lattice,
    settings: &Settings,
    watch: &mut Watch<'_>,
) -> Result<Reduction, LatticeError> {
    settings.check()?;
    let (n, columns) = (lattice.dimension(), lattice.columns());
    // The transform rides along in columns that do not count.
    let unit = |i: usize| (0..n).map(move |j| IBig::from(u8::from(i == j)));
    let mut rows: Vec<Row> = (lattice.rows().iter().enumerate())
        .map(|(i, row)| Row::new(row.iter().cloned().chain(unit(i)).collect()))
        .collect();
    let swift = float::reduce(&mut rows, columns, settings.strict(), watch)?;
    let mut rows: Vec<Vec<IBig>> = rows.into_iter().map(Row::into_big).collect();
    let exact = !(swift && is_reduced(&rows, columns, settings, watch)?);
    if exact {
        let delta = Ratio::below(settings.strict().delta);
        exact::reduce(&mut rows, columns, delta, watch)?;
    }
    let transform = rows.iter_mut().map(|row| row.split_off(columns)).collect();
    Ok(Reduction {
        lattice: Lattice::of_basis(rows),
        transform,
        insertions: watch.insertions,
        exact,
        settings: *settings,
    })
}

/// The same for rows on the way, whose result the caller certifies by other means.
pub(crate) fn reduce_rows(
    rows: &mut Vec<Row>,
    columns: usize,
    settings: &Settings,
    watch: &mut Watch<'_>,
) -> Result<(), LatticeError> {
    if !float::reduce(rows, columns, settings.strict(), watch)? {
        let rows_in_full = std::mem::take(rows).into_iter().map(Row::into_big);
        let mut big: Vec<_> = rows_in_full.collect();
        let delta = Ratio::below(settings.strict().delta);
        exact::reduce(&mut big, columns, delta, watch)?;
        *rows = big.into_iter().map(Row::new).collect();
    }
    Ok(())
}

/// Whether rows are reduced, by doubles if these can prove it and by integers otherwise.
fn is_reduced(
    rows: &[Vec<IBig>],
    columns: usize,
    settings: &Settings,
    watch: &mut Watch<'_>,
) -> Result<bool, LatticeError> {
    if bounds::is_reduced(rows, columns, settings.delta, SIZE_BOUND, watch)? {
        return Ok(true);
    }
    let gram = GramSchmidt::new(rows, columns, watch)?;
    Ok(gram.is_reduced(Ratio::below(settings.delta), Ratio::below(SIZE_BOUND)))
}
