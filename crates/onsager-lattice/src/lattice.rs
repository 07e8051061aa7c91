use std::ops::ControlFlow;

use dashu_int::IBig;
use dashu_int::ops::BitTest;

use crate::exact::GramSchmidt;
use crate::watch::Watch;
use crate::{LatticeError, Observer, Reduction, Settings, modular, reduction};

/// Most bits of an entry: a hundred times what any problem here asks for.
pub const MOST_BITS: usize = 1 << 20;

/// The lattice of all integer combinations of linearly independent integer rows.
///
/// ```
/// use onsager_lattice::{Lattice, Settings};
///
/// let lattice = Lattice::from_small(&[&[1, 0, 12345], &[0, 1, 6789]])?;
/// let reduced = lattice.reduce(&Settings::default())?;
/// assert!(reduced.certify(&lattice).holds());
/// // 12345 · 11 = 6789 · 20 + 15: the shortest relation, up to sign.
/// let shortest = &reduced.lattice.rows()[0];
/// assert_eq!(shortest[0].clone() * shortest[0].clone(), 121.into());
/// # Ok::<(), onsager_lattice::LatticeError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lattice {
    rows: Vec<Vec<IBig>>,
}

impl Lattice {
    /// The lattice spanned by these rows.
    ///
    /// # Errors
    ///
    /// No rows or columns, rows of different lengths, a zero row, an entry of more than [`MOST_BITS`]
    /// bits, rows that depend on each other over the rationals (decided exactly).
    pub fn new(rows: Vec<Vec<IBig>>) -> Result<Self, LatticeError> {
        let columns = rows.first().ok_or(LatticeError::Empty("a basis"))?.len();
        if columns == 0 {
            return Err(LatticeError::Empty("a row"));
        }
        for (index, row) in rows.iter().enumerate() {
            if row.len() != columns {
                return Err(LatticeError::Ragged {
                    row: index,
                    expected: columns,
                    found: row.len(),
                });
            }
            let bits = row.iter().map(BitTest::bit_len).max().unwrap_or(0);
            if bits == 0 {
                return Err(LatticeError::ZeroRow(index));
            }
            if bits > MOST_BITS {
                return Err(LatticeError::HugeEntry {
                    row: index,
                    limit: MOST_BITS,
                    found: bits,
                });
            }
        }
        // Independent modulo a prime is independent; only a doubt is settled by the integers.
        if rows.len() > columns || !modular::is_independent(&rows) {
            let observer = &mut |_| ControlFlow::Continue(());
            GramSchmidt::new(&rows, columns, &mut Watch::new(observer))?;
        }
        Ok(Self { rows })
    }

    /// The same from machine integers.
    ///
    /// # Errors
    ///
    /// As [`Lattice::new`].
    pub fn from_small(rows: &[&[i64]]) -> Result<Self, LatticeError> {
        let row = |row: &&[i64]| row.iter().map(|&entry| IBig::from(entry)).collect();
        Self::new(rows.iter().map(row).collect())
    }

    /// The basis, one vector in each row.
    pub fn rows(&self) -> &[Vec<IBig>] {
        &self.rows
    }

    /// Number of basis vectors.
    pub fn dimension(&self) -> usize {
        self.rows.len()
    }

    /// Number of coordinates, at least the dimension.
    pub fn columns(&self) -> usize {
        self.rows[0].len()
    }

    /// Determinant of the Gram matrix, `det B Bᵀ`: the squared volume of a cell of the lattice, the
    /// same for all its bases. Exact.
    pub fn gram_determinant(&self) -> IBig {
        let observer = &mut |_| ControlFlow::Continue(());
        let gram = GramSchmidt::new(&self.rows, self.columns(), &mut Watch::new(observer));
        // Rows were found independent when the lattice was made.
        gram.map_or(IBig::ZERO, |gram| gram.determinant())
    }

    /// A reduced basis of the same lattice.
    ///
    /// # Errors
    ///
    /// A setting outside its range.
    pub fn reduce(&self, settings: &Settings) -> Result<Reduction, LatticeError> {
        self.reduce_with(settings, &mut |_| ControlFlow::Continue(()))
    }

    /// The same under the eyes of an observer, which can stop it.
    ///
    /// # Errors
    ///
    /// As [`Lattice::reduce`], and [`LatticeError::Stopped`].
    pub fn reduce_with(
        &self,
        settings: &Settings,
        observer: Observer<'_>,
    ) -> Result<Reduction, LatticeError> {
        reduction::reduce(self, settings, &mut Watch::new(observer))
    }

    pub(crate) fn of_basis(rows: Vec<Vec<IBig>>) -> Self {
        Self { rows }
    }
}
