use std::ops::ControlFlow;

use dashu_int::IBig;
use dashu_int::ops::BitTest;

use crate::reals::scaled;
use crate::reduction::reduce_rows;
use crate::rows::Row;
use crate::watch::Watch;
use crate::{LatticeError, Settings};

/// How a short integer relation between real numbers is looked for.
///
/// The lattice of the numbers `c_1, ..., c_n` has the rows `(e_i, round(2^N c_i))`: a relation
/// `Σ r_i c_i = 0` is the vector `(r, rounding)` in it, short once `N` is large enough. Bits are fed a
/// few at a time, each time to a basis that is reduced for the bits before; so the work does not depend
/// on how many more there are, and the search ends as soon as a relation passes its certificate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Search {
    /// How far bases are reduced.
    pub reduction: Settings,
    /// Bits fed at a time, at least 1.
    pub step: usize,
    /// Most bits `N` that are used; absent, all that the labels' accuracy allows.
    pub most_bits: Option<usize>,
}

impl Default for Search {
    fn default() -> Self {
        Self {
            reduction: Settings::default(),
            step: 8,
            most_bits: None,
        }
    }
}

impl Search {
    pub(crate) fn check(&self) -> Result<(), LatticeError> {
        self.reduction.check()?;
        for (name, value) in [("step", Some(self.step)), ("most_bits", self.most_bits)] {
            if value == Some(0) {
                return Err(LatticeError::Setting {
                    name,
                    allowed: "at least 1",
                    found: 0.0,
                });
            }
        }
        Ok(())
    }
}

/// Bits `N` from which a relation of `n` numbers of order one with norm `norm` is the shortest vector
/// that a reduction finds:
///
/// `N = n [log2(2πe)/2 + log2(norm/√n) + n log2 1.02]`.
///
/// The shortest of the other vectors has norm `√(n/2πe) 2^(N/n)`, and the reduced one is about `1.02^n`
/// longer: an estimate by counting, a little pessimistic.
pub fn estimated_bits(n: usize, norm: f64) -> f64 {
    let n = n as f64;
    let volume = 0.5 * (2.0 * std::f64::consts::PI * std::f64::consts::E).log2();
    n * (volume + (norm / n.sqrt()).log2() + n * 1.02_f64.log2())
}

/// A basis that is reduced for the first bits of its numbers.
pub(crate) struct Basis<'a> {
    /// Bits used so far.
    pub(crate) bits: usize,
    /// Insertions made so far.
    pub(crate) insertions: u64,
    rows: &'a [Row],
}

impl Basis<'_> {
    /// The relations in the rows whose integers fit into the machine, as those of interest do.
    pub(crate) fn relations(&self) -> impl Iterator<Item = &[i64]> {
        let machine = self.rows.iter().filter_map(Row::machine);
        machine.map(|row| &row[..row.len() - 1])
    }

    /// `log2` of the norm of the first row.
    pub(crate) fn norm(&self) -> f64 {
        let n = self.rows.len();
        let squares: IBig = (0..=n).map(|c| self.rows[0].entry(c).pow(2)).sum();
        0.5 * crate::reals::log2(&squares)
    }
}

/// Feeds the numbers `coefficients[i]/2^bits`, none of them zero, up to `most` bits behind the point, and
/// shows every reduced basis to `visit`, until that is content.
pub(crate) fn search<T>(
    (coefficients, bits): (&[IBig], usize),
    most: usize,
    search: &Search,
    watch: &mut Watch<'_>,
    mut visit: impl FnMut(&Basis<'_>) -> Result<ControlFlow<T>, LatticeError>,
) -> Result<Option<T>, LatticeError> {
    let n = coefficients.len();
    let most = most.min(search.most_bits.unwrap_or(most));
    let fed: Vec<IBig> = (coefficients.iter())
        .map(|c| scaled(c, most as i64 - bits as i64))
        .collect();
    let longest = fed.iter().map(BitTest::bit_len).max().unwrap_or(0);
    // Row i starts as e_i, the combination that it stands for, with its number behind.
    let unit = |i: usize| (0..=n).map(move |j| IBig::from(u8::from(i == j)));
    let mut rows: Vec<Row> = (0..n).map(|i| Row::new(unit(i).collect())).collect();
    let mut left = longest;
    loop {
        left = left.saturating_sub(search.step);
        for row in &mut rows {
            let exact: IBig = match row.machine() {
                Some(row) => (row.iter().zip(&fed)).map(|(&u, a)| a * u).sum(),
                None => (0..n).map(|j| row.entry(j) * &fed[j]).sum(),
            };
            row.set(n, scaled(&exact, -(left as i64)));
        }
        reduce_rows(&mut rows, n + 1, &search.reduction, watch)?;
        let basis = Basis {
            bits: most.saturating_sub(left),
            insertions: watch.insertions,
            rows: &rows,
        };
        if let ControlFlow::Break(found) = visit(&basis)? {
            return Ok(Some(found));
        }
        if left == 0 {
            return Ok(None);
        }
    }
}
