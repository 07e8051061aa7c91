//! Symmetric matrices, half of them stored, each stored entry read once per product.

use nalgebra::DMatrix;

use crate::kernels::{self, Block, Kernels, Stored};
use crate::operator::{check_columns, check_square};
use crate::threads::{PARTS, Run, Threads};
use crate::{Level, LinearOperator, OperatorError, Shape};

/// A real symmetric matrix stored in `f64`.
pub type Symmetric = SymmetricTiles<f64>;

/// A real symmetric matrix stored in `f32`; the rounded matrix *is* the matrix, and arithmetic
/// stays in `f64`.
pub type SymmetricF32 = SymmetricTiles<f32>;

/// A real symmetric matrix, its lower triangle stored as square tiles of blocks.
///
/// What lies below the diagonal serves both its rows and its columns in one read; blocks of eight
/// rows on the diagonal are stored in full, so `p` rows, with `p` rounded up to a multiple of
/// eight, take `p (p + 8) / 2` entries.
#[derive(Clone, Debug)]
pub struct SymmetricTiles<S: Stored> {
    size: usize,
    entries: Vec<S>,
    run: Run,
}

/// Rows and columns of a tile: the pieces of vectors that a tile touches (8 kB) stay in the
/// first-level cache, and a row of blocks is long enough to hide its beginning and its end.
const TILE: usize = 256;

/// Blocks of eight in a row of a tile.
const BLOCKS: usize = TILE / 8;

impl<S: Stored> SymmetricTiles<S> {
    /// The symmetric matrix whose rows `fill(i, row)` writes in order, up to the diagonal:
    /// `row[j]` is entry `(i, j)` for `j = 0, ..., i`, and starts as zero.
    ///
    /// Nothing larger than the stored tiles is allocated.
    ///
    /// - **Errors**: [`OperatorError::NotFinite`] on an entry that is not finite in the stored
    ///   precision, [`OperatorError::Memory`].
    pub fn from_rows(
        size: usize,
        mut fill: impl FnMut(usize, &mut [f64]),
    ) -> Result<Self, OperatorError> {
        let mut entries = reserve(size)?;
        let mut row = vec![0.0; size];
        for first in (0..size).step_by(TILE) {
            let height = TILE.min(size - first);
            let start = entries.len();
            entries.resize(start + band_length(first, height), S::default());
            let band = &mut entries[start..];
            for i in first..first + height {
                let row = &mut row[..=i];
                row.fill(0.0);
                fill(i, row);
                write_row(band, first, height, i, row)?;
            }
        }
        Ok(Self {
            size,
            entries,
            run: Run::default(),
        })
    }

    /// The symmetric matrix with entries `entry(i, j)`, called once for each `j <= i`, by rows.
    ///
    /// - **Errors**: as [`from_rows`](Self::from_rows).
    pub fn from_fn(
        size: usize,
        mut entry: impl FnMut(usize, usize) -> f64,
    ) -> Result<Self, OperatorError> {
        Self::from_rows(size, |i, row| {
            row.iter_mut()
                .enumerate()
                .for_each(|(j, a)| *a = entry(i, j))
        })
    }

    /// The same matrix, from full storage.
    ///
    /// - **Errors**: [`OperatorError::NotSquare`]; [`OperatorError::NotSymmetric`] unless it
    ///   equals its transpose exactly; as [`from_rows`](Self::from_rows).
    pub fn from_matrix(matrix: &DMatrix<f64>) -> Result<Self, OperatorError> {
        let size = check_square(
            "symmetric matrix",
            Shape::new(matrix.nrows(), matrix.ncols()),
        )?;
        let built = Self::from_fn(size, |i, j| matrix[(i, j)])?;
        for column in 0..size {
            for row in column + 1..size {
                let (lower, upper) = (matrix[(row, column)], matrix[(column, row)]);
                if lower != upper {
                    return Err(OperatorError::NotSymmetric {
                        row,
                        column,
                        lower,
                        upper,
                    });
                }
            }
        }
        Ok(built)
    }

    /// Entry `(i, j)` as stored.
    ///
    /// # Panics
    ///
    /// When an index is not below the size.
    pub fn entry(&self, i: usize, j: usize) -> f64 {
        let (i, j) = (i.max(j), i.min(j));
        assert!(
            i < self.size,
            "entry ({i}, {j}) of a symmetric matrix of size {}",
            self.size
        );
        let first = i - i % TILE;
        let height = TILE.min(self.size - first);
        self.entries[band_start(first) + place(first, height, i, j)].to_f64()
    }

    /// The same matrix in full storage.
    pub fn to_matrix(&self) -> DMatrix<f64> {
        DMatrix::from_fn(self.size, self.size, |i, j| self.entry(i, j))
    }

    /// Uses up to `threads` threads inside each product; the bits do not change.
    ///
    /// - **Errors**: [`OperatorError::Setting`] for 0.
    pub fn with_threads(mut self, threads: usize) -> Result<Self, OperatorError> {
        self.run.threads = Threads::new(threads)?;
        Ok(self)
    }

    /// Forces the level of the kernels.
    ///
    /// - **Errors**: [`OperatorError::LevelUnavailable`].
    pub fn with_level(mut self, level: Level) -> Result<Self, OperatorError> {
        self.run.kernels = Kernels::at(level)?;
        Ok(self)
    }

    /// The level that products run at.
    pub fn level(&self) -> Level {
        self.run.kernels.level()
    }

    /// The number of threads inside each product.
    pub fn threads(&self) -> usize {
        self.run.threads.count()
    }

    /// As [`Dense::total`](crate::Dense::total).
    pub fn total(&self) -> f64 {
        self.run.total(&self.entries)
    }

    /// `Y <- A X`, or with squared entries. Each part owns a partial `Y`, added in part order.
    fn product<const SQUARE: bool>(&self, x: &[f64], y: &mut [f64]) {
        assert!(x.len() == y.len() && (x.is_empty() || x.len().is_multiple_of(self.size)));
        let bands = self.size.div_ceil(TILE);
        let parts = PARTS.min(bands);
        self.run.sum(0..parts, y, |part, y| {
            // Bands are dealt to and fro, because they grow: equal shares for every part.
            let mine = (0..bands).filter(|band| {
                let (round, seat) = (band / parts, band % parts);
                part == if round % 2 == 0 {
                    seat
                } else {
                    parts - 1 - seat
                }
            });
            self.part::<SQUARE>(mine, x, y)
        });
    }

    /// `Y +=` the share of these bands of tiles.
    fn part<const SQUARE: bool>(
        &self,
        bands: impl Iterator<Item = usize>,
        x: &[f64],
        y: &mut [f64],
    ) {
        let kernels = self.run.kernels;
        // Padded with zeros, so that the tiles see blocks of eight rows only: a copy of the rows
        // of `x`, and what the band adds to those of `y` along its rows.
        let mut copies = vec![([[0.0; 8]; BLOCKS], [[0.0; 8]; BLOCKS]); x.len() / self.size];
        for first in bands.map(|band| band * TILE) {
            let height = TILE.min(self.size - first);
            let rows = first..first + height;
            let side = padded(height) / 8;
            let blocks = self.entries[band_start(first)..][..band_length(first, height)]
                .as_chunks()
                .0
                .as_chunks()
                .0;
            let (left, diagonal) = blocks.split_at(side * first / 8);
            for (x, (x_rows, dots)) in x.chunks_exact(self.size).zip(&mut copies) {
                *x_rows = [[0.0; 8]; BLOCKS];
                x_rows.as_flattened_mut()[..height].copy_from_slice(&x[rows.clone()]);
                *dots = triangle::<S, SQUARE>(kernels, diagonal, &x_rows[..side]);
            }
            for (j, tile) in left.chunks_exact(side * BLOCKS).enumerate() {
                let columns = j * TILE..(j + 1) * TILE;
                let each = x.chunks_exact(self.size).zip(y.chunks_exact_mut(self.size));
                // A tile stays in the second-level cache until all columns have used it.
                for ((x, y), (x_rows, dots)) in each.zip(&mut copies) {
                    kernels.tile::<S, SQUARE>(
                        tile,
                        x[columns.clone()].as_chunks().0,
                        &mut dots[..side],
                        &x_rows[..side],
                        y[columns.clone()].as_chunks_mut().0,
                    );
                }
            }
            for (y, (_, dots)) in y.chunks_exact_mut(self.size).zip(&copies) {
                let pairs = y[rows.clone()].iter_mut().zip(dots.as_flattened());
                pairs.for_each(|(y, dot)| *y += dot);
            }
        }
    }
}

/// The product with the tile on the diagonal, of which rows of blocks are stored up to the
/// diagonal.
fn triangle<S: Stored, const SQUARE: bool>(
    kernels: Kernels,
    mut blocks: &[Block<S>],
    x: &[[f64; 8]],
) -> [[f64; 8]; BLOCKS] {
    let (mut along_rows, mut along_columns) = ([[0.0; 8]; BLOCKS], [[0.0; 8]; BLOCKS]);
    for r in 0..x.len() {
        let (row, rest) = blocks.split_at(r + 1);
        blocks = rest;
        let (y, z) = (&mut along_rows[r..=r], &mut along_columns[..=r]);
        kernels.tile::<S, SQUARE>(row, &x[..=r], y, &x[r..=r], z);
        // The block on the diagonal holds both of its halves; nothing came before it here.
        z[r] = [0.0; 8];
    }
    let pairs = along_rows.as_flattened_mut().iter_mut();
    pairs
        .zip(along_columns.as_flattened())
        .for_each(|(y, z)| *y += z);
    along_rows
}

impl<S: Stored> LinearOperator for SymmetricTiles<S> {
    fn shape(&self) -> Shape {
        Shape::square(self.size)
    }

    fn apply_column(&self, x: &[f64], y: &mut [f64]) {
        self.product::<false>(x, y)
    }

    fn apply_adjoint_column(&self, x: &[f64], y: &mut [f64]) {
        self.product::<false>(x, y)
    }

    fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<S>()
    }

    fn apply_columns(&self, x: &[f64], y: &mut [f64]) {
        self.product::<false>(x, y)
    }

    fn apply_adjoint_columns(&self, x: &[f64], y: &mut [f64]) {
        self.product::<false>(x, y)
    }

    fn apply_squared_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        check_columns(self.shape(), x, y)?;
        self.product::<true>(x, y);
        Ok(())
    }

    fn apply_squared_adjoint_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        self.apply_squared_column(x, y)
    }
}

/// Where the band of rows `first..first + TILE` starts: all bands above it are full.
fn band_start(first: usize) -> usize {
    first * (first + 8) / 2
}

/// Rows of a band, with zeros up to a multiple of eight.
fn padded(height: usize) -> usize {
    height.next_multiple_of(8)
}

/// Entries of a band: tiles left of the diagonal, then the diagonal one.
fn band_length(first: usize, height: usize) -> usize {
    padded(height) * first + padded(height) * (padded(height) + 8) / 2
}

/// Where entry `(i, j)`, `j <= i` or in the same block, lies in its band. Tiles consist of blocks
/// of eight rows and eight columns, by rows of blocks; that on the diagonal ends with its diagonal.
fn place(first: usize, height: usize, i: usize, j: usize) -> usize {
    let row = (i - first) / 8;
    let tile = j - j % TILE;
    let column = (j - tile) / 8;
    let block = if tile < first {
        row * BLOCKS + column
    } else {
        row * (row + 1) / 2 + column
    };
    padded(height) * tile + block * 64 + (i % 8) * 8 + j % 8
}

/// Writes row `i`, entries `0..=i`, into its band and mirrors what lies in the diagonal block.
fn write_row<S: Stored>(
    band: &mut [S],
    first: usize,
    height: usize,
    i: usize,
    row: &[f64],
) -> Result<(), OperatorError> {
    if let Some(column) = kernels::not_finite::<S>(row) {
        return Err(OperatorError::NotFinite {
            quantity: "symmetric matrix",
            row: i,
            column,
            value: row[column],
        });
    }
    let (left, own) = row.split_at(i - i % 8);
    for (c, values) in left.as_chunks::<8>().0.iter().enumerate() {
        let at = place(first, height, i, 8 * c);
        let stored = &mut band[at..at + 8];
        let pairs = stored.iter_mut().zip(values);
        pairs.for_each(|(a, x)| *a = S::nearest(*x));
    }
    for (j, &value) in (left.len()..).zip(own) {
        band[place(first, height, i, j)] = S::nearest(value);
        band[place(first, height, j, i)] = S::nearest(value);
    }
    Ok(())
}

/// Room for all tiles.
fn reserve<S: Stored>(size: usize) -> Result<Vec<S>, OperatorError> {
    let first = size - size % TILE;
    let height = size - first;
    let rows = Shape::square(size);
    rows.entries()?; // nothing below overflows if this does not
    kernels::reserve(Shape::new(
        1,
        band_start(first) + band_length(first, height),
    ))
    .map_err(|_| OperatorError::Memory(rows))
}
