//! Full matrices, row by row.

use nalgebra::DMatrix;

use crate::kernels::{self, Kernels, Stored, same, same_mut};
use crate::operator::{Between, check_columns, each_column, two_passes};
use crate::threads::{Run, Threads, part};
use crate::{Field, Level, LinearOperator, OperatorError, Shape};

/// A dense matrix over a field, stored by rows.
///
/// Real products run at the best [`Level`] of the processor, in one thread by default.
/// Over `C` they run at the portable level.
#[derive(Clone, Debug)]
pub struct Dense<F: Field = f64> {
    shape: Shape,
    entries: Vec<F>,
    run: Run,
}

/// A dense real matrix stored in `f32` by rows; the rounded matrix *is* the matrix, and
/// arithmetic stays in `f64`.
#[derive(Clone, Debug)]
pub struct DenseF32 {
    shape: Shape,
    entries: Vec<f32>,
    run: Run,
}

impl<F: Field> Dense<F> {
    /// The matrix with these entries, row by row.
    ///
    /// - **Errors**: [`OperatorError::Entries`] unless there are `rows * columns` entries;
    ///   [`OperatorError::NotFinite`] on an infinite entry or NaN.
    pub fn new(shape: Shape, entries: Vec<F>) -> Result<Self, OperatorError> {
        let expected = shape.entries()?;
        if entries.len() != expected {
            return Err(OperatorError::Entries {
                expected,
                found: entries.len(),
            });
        }
        check(shape, &entries)?;
        Ok(Self {
            shape,
            entries,
            run: Run::default(),
        })
    }

    /// The matrix whose rows `fill(i, row)` writes in order; rows start as zero.
    ///
    /// - **Errors**: as [`new`](Self::new), and [`OperatorError::Memory`].
    pub fn from_rows(
        shape: Shape,
        mut fill: impl FnMut(usize, &mut [F]),
    ) -> Result<Self, OperatorError> {
        let mut entries = kernels::reserve(shape)?;
        for i in 0..shape.rows {
            let start = entries.len();
            entries.resize(start + shape.columns, F::zero());
            let row = &mut entries[start..];
            fill(i, row);
            // While the row is in the cache.
            if !row.iter().fold(true, |all, a| all & a.is_finite()) {
                check(shape, &entries)?;
            }
        }
        Ok(Self {
            shape,
            entries,
            run: Run::default(),
        })
    }

    /// The same matrix, copied from column-major storage.
    ///
    /// - **Errors**: [`OperatorError::NotFinite`], [`OperatorError::Memory`].
    pub fn from_matrix(matrix: &DMatrix<F>) -> Result<Self, OperatorError> {
        let shape = Shape::new(matrix.nrows(), matrix.ncols());
        Self::from_rows(shape, |i, row| {
            row.iter_mut()
                .zip(matrix.row(i).iter())
                .for_each(|(a, m)| *a = *m)
        })
    }

    /// All entries, row by row.
    pub fn entries(&self) -> &[F] {
        &self.entries
    }

    /// Row `i`.
    ///
    /// # Panics
    ///
    /// When `i` is not below the number of rows.
    pub fn row(&self, i: usize) -> &[F] {
        assert!(i < self.shape.rows, "row {i} of {}", self.shape);
        &self.entries[i * self.shape.columns..(i + 1) * self.shape.columns]
    }

    /// The same matrix in column-major storage.
    pub fn to_matrix(&self) -> DMatrix<F> {
        DMatrix::from_row_slice(self.shape.rows, self.shape.columns, &self.entries)
    }

    /// Uses up to `threads` threads inside each real product; the bits do not change.
    ///
    /// - **Errors**: [`OperatorError::Setting`] for 0.
    pub fn with_threads(mut self, threads: usize) -> Result<Self, OperatorError> {
        self.run.threads = Threads::new(threads)?;
        Ok(self)
    }

    /// Forces the level of the real kernels.
    ///
    /// - **Errors**: [`OperatorError::LevelUnavailable`].
    pub fn with_level(mut self, level: Level) -> Result<Self, OperatorError> {
        self.run.kernels = Kernels::at(level)?;
        Ok(self)
    }

    /// The level that products run at.
    pub fn level(&self) -> Level {
        if same::<_, f64>(&self.entries).is_some() {
            self.run.kernels.level()
        } else {
            Level::Portable
        }
    }
}

impl Dense {
    /// Sum of the stored entries, read once by the threads of a product: the time that no
    /// product can beat.
    pub fn total(&self) -> f64 {
        self.run.total(&self.entries)
    }
}

impl DenseF32 {
    /// The matrix with these entries, row by row.
    ///
    /// - **Errors**: as [`Dense::new`].
    pub fn new(shape: Shape, entries: Vec<f32>) -> Result<Self, OperatorError> {
        let expected = shape.entries()?;
        if entries.len() != expected {
            return Err(OperatorError::Entries {
                expected,
                found: entries.len(),
            });
        }
        if let Some(at) = entries.iter().position(|a| !a.is_finite()) {
            return Err(not_finite(shape, at, entries[at].into()));
        }
        Ok(Self {
            shape,
            entries,
            run: Run::default(),
        })
    }

    /// The matrix whose rows `fill(i, row)` writes in order in `f64`; each is then rounded.
    ///
    /// - **Errors**: as [`Dense::from_rows`], also when an entry overflows `f32`.
    pub fn from_rows(
        shape: Shape,
        mut fill: impl FnMut(usize, &mut [f64]),
    ) -> Result<Self, OperatorError> {
        let mut entries = kernels::reserve(shape)?;
        let mut row = vec![0.0; shape.columns];
        for i in 0..shape.rows {
            row.fill(0.0);
            fill(i, &mut row);
            if let Some(j) = kernels::not_finite::<f32>(&row) {
                return Err(not_finite(shape, i * shape.columns + j, row[j]));
            }
            entries.extend(row.iter().map(|&a| f32::nearest(a)));
        }
        Ok(Self {
            shape,
            entries,
            run: Run::default(),
        })
    }

    /// All entries, row by row.
    pub fn entries(&self) -> &[f32] {
        &self.entries
    }

    /// Row `i`.
    ///
    /// # Panics
    ///
    /// When `i` is not below the number of rows.
    pub fn row(&self, i: usize) -> &[f32] {
        assert!(i < self.shape.rows, "row {i} of {}", self.shape);
        &self.entries[i * self.shape.columns..(i + 1) * self.shape.columns]
    }

    /// The stored matrix in `f64`, column-major.
    pub fn to_matrix(&self) -> DMatrix<f64> {
        DMatrix::from_fn(self.shape.rows, self.shape.columns, |i, j| {
            self.row(i)[j].into()
        })
    }

    /// As [`Dense::with_threads`].
    pub fn with_threads(mut self, threads: usize) -> Result<Self, OperatorError> {
        self.run.threads = Threads::new(threads)?;
        Ok(self)
    }

    /// As [`Dense::with_level`].
    pub fn with_level(mut self, level: Level) -> Result<Self, OperatorError> {
        self.run.kernels = Kernels::at(level)?;
        Ok(self)
    }

    /// The level that products run at.
    pub fn level(&self) -> Level {
        self.run.kernels.level()
    }

    /// As [`Dense::total`].
    pub fn total(&self) -> f64 {
        self.run.total(&self.entries)
    }
}

/// Refuses the first entry that is not finite.
fn check<F: Field>(shape: Shape, entries: &[F]) -> Result<(), OperatorError> {
    match entries.iter().position(|a| !a.is_finite()) {
        Some(at) => Err(not_finite(shape, at, entries[at].modulus())),
        None => Ok(()),
    }
}

fn not_finite(shape: Shape, at: usize, value: f64) -> OperatorError {
    let (row, column) = (at / shape.columns, at % shape.columns);
    OperatorError::NotFinite {
        quantity: "matrix",
        row,
        column,
        value,
    }
}

impl<F: Field> LinearOperator<F> for Dense<F> {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn apply_column(&self, x: &[F], y: &mut [F]) {
        self.apply_columns(x, y)
    }

    fn apply_adjoint_column(&self, x: &[F], y: &mut [F]) {
        self.apply_adjoint_columns(x, y)
    }

    fn apply_columns(&self, x: &[F], y: &mut [F]) {
        if let (Some(a), Some(x)) = (same::<_, f64>(&self.entries), same::<_, f64>(x))
            && let Some(y) = same_mut::<_, f64>(y)
        {
            return self.run.rows::<f64, false>(self.shape, a, x, y);
        }
        each_column(self.shape, x, y, |x, y| {
            for (i, y) in y.iter_mut().enumerate() {
                let pairs = self.row(i).iter().zip(x);
                *y = pairs.fold(F::zero(), |s, (&a, &x)| s + a * x);
            }
        });
    }

    fn apply_adjoint_columns(&self, x: &[F], y: &mut [F]) {
        if let (Some(a), Some(x)) = (same::<_, f64>(&self.entries), same::<_, f64>(x))
            && let Some(y) = same_mut::<_, f64>(y)
        {
            return self.run.columns::<f64, false>(self.shape, a, x, y);
        }
        each_column(self.shape.transpose(), x, y, |x, y| {
            y.fill(F::zero());
            for (i, &x) in x.iter().enumerate() {
                y.iter_mut()
                    .zip(self.row(i))
                    .for_each(|(y, a)| *y += a.conjugate() * x);
            }
        });
    }

    fn apply_through(&self, x: &[F], g: &Between<'_, F>, kept: &mut [F], y: &mut [F]) {
        let real = |first: usize, z: &[f64], out: &mut [f64], kept: &mut [f64]| {
            if let (Some(z), Some(out), Some(kept)) = (same(z), same_mut(out), same_mut(kept)) {
                g(first, z, out, kept)
            }
        };
        match (same(&self.entries), same(x), same_mut(kept), same_mut(y)) {
            (Some(a), Some(x), Some(kept), Some(y)) if !a.is_empty() => {
                self.run.through::<f64>(self.shape, a, x, &real, kept, y)
            }
            _ => two_passes(self, x, g, kept, y),
        }
    }

    fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<F>()
    }

    fn apply_squared_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        check_columns(self.shape, x, y)?;
        if let Some(a) = same::<_, f64>(&self.entries) {
            self.run.rows::<f64, true>(self.shape, a, x, y);
        } else {
            let dot = |i| {
                self.row(i)
                    .iter()
                    .zip(x)
                    .map(|(a, x)| a.modulus_squared() * x)
                    .sum()
            };
            y.iter_mut().enumerate().for_each(|(i, y)| *y = dot(i));
        }
        Ok(())
    }

    fn apply_squared_adjoint_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        check_columns(self.shape.transpose(), x, y)?;
        if let Some(a) = same::<_, f64>(&self.entries) {
            self.run.columns::<f64, true>(self.shape, a, x, y);
        } else {
            y.fill(0.0);
            for (i, x) in x.iter().enumerate() {
                y.iter_mut()
                    .zip(self.row(i))
                    .for_each(|(y, a)| *y += a.modulus_squared() * x);
            }
        }
        Ok(())
    }
}

impl LinearOperator for DenseF32 {
    fn shape(&self) -> Shape {
        self.shape
    }

    fn apply_column(&self, x: &[f64], y: &mut [f64]) {
        self.run.rows::<f32, false>(self.shape, &self.entries, x, y)
    }

    fn apply_adjoint_column(&self, x: &[f64], y: &mut [f64]) {
        self.run
            .columns::<f32, false>(self.shape, &self.entries, x, y)
    }

    fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<f32>()
    }

    fn apply_columns(&self, x: &[f64], y: &mut [f64]) {
        self.apply_column(x, y)
    }

    fn apply_adjoint_columns(&self, x: &[f64], y: &mut [f64]) {
        self.apply_adjoint_column(x, y)
    }

    fn apply_through(&self, x: &[f64], g: &Between<'_, f64>, kept: &mut [f64], y: &mut [f64]) {
        if self.entries.is_empty() {
            return two_passes(self, x, g, kept, y);
        }
        self.run.through(self.shape, &self.entries, x, g, kept, y)
    }

    fn apply_squared_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        check_columns(self.shape, x, y)?;
        self.run.rows::<f32, true>(self.shape, &self.entries, x, y);
        Ok(())
    }

    fn apply_squared_adjoint_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        check_columns(self.shape.transpose(), x, y)?;
        self.run
            .columns::<f32, true>(self.shape, &self.entries, x, y);
        Ok(())
    }
}

impl Run {
    /// `Y <- A X`; parts are bands of rows.
    fn rows<S: Stored, const SQUARE: bool>(&self, shape: Shape, a: &[S], x: &[f64], y: &mut [f64]) {
        let Shape { rows, columns } = shape;
        if a.is_empty() {
            return y.fill(0.0);
        }
        let count = check_lengths(shape, x, y);
        let height = part(rows);
        let mut bands: Vec<Vec<&mut [f64]>> = (0..rows.div_ceil(height)).map(|_| vec![]).collect();
        for y in y.chunks_exact_mut(rows) {
            let pieces = y.chunks_mut(height);
            bands.iter_mut().zip(pieces).for_each(|(b, y)| b.push(y));
        }
        let bands = a.chunks(height * columns).zip(bands);
        self.threads.each(bands, |(a, mut y)| {
            let lines = if count == 1 {
                height
            } else {
                lines::<S>(columns)
            };
            for (block, a) in a.chunks(lines * columns).enumerate() {
                let here = block * lines..block * lines + a.len() / columns;
                for (x, y) in x.chunks_exact(columns).zip(&mut y) {
                    self.kernels.rows::<S, SQUARE>(a, x, &mut y[here.clone()]);
                }
            }
        });
    }

    /// `Y <- A^T X`; parts are bands of rows, whose sums are added in order.
    fn columns<S: Stored, const SQUARE: bool>(
        &self,
        shape: Shape,
        a: &[S],
        x: &[f64],
        y: &mut [f64],
    ) {
        let Shape { rows, columns } = shape;
        if a.is_empty() {
            return y.fill(0.0);
        }
        let count = check_lengths(shape.transpose(), x, y);
        let height = part(rows);
        let lines = if count == 1 {
            height
        } else {
            lines::<S>(columns)
        };
        let bands = a.chunks(height * columns).enumerate();
        self.sum(bands, y, |(band, a), y| {
            for (block, a) in a.chunks(lines * columns).enumerate() {
                let first = band * height + block * lines;
                let here = first..first + a.len() / columns;
                for (x, y) in x.chunks_exact(rows).zip(y.chunks_exact_mut(columns)) {
                    self.kernels.columns::<S, SQUARE>(a, &x[here.clone()], y, 0);
                }
            }
        });
    }

    /// `y <- A^T g(A x)`, each row read once from memory: a few rows at a time wait in the cache
    /// for `g`. Parts are those of the two products, which sum in the same order.
    fn through<S: Stored>(
        &self,
        shape: Shape,
        a: &[S],
        x: &[f64],
        g: &Between<'_, f64>,
        kept: &mut [f64],
        y: &mut [f64],
    ) {
        let Shape { rows, columns } = shape;
        assert_eq!((x.len(), y.len()), (columns, columns));
        let width = kept.len() / rows;
        assert_eq!(kept.len(), width * rows);
        let height = part(rows);
        let lines = lines::<S>(columns);
        let mut rest = kept;
        let bands = a.chunks(height * columns).enumerate().map(|(band, a)| {
            let mine = width * (a.len() / columns);
            let (kept, after) = std::mem::take(&mut rest).split_at_mut(mine);
            rest = after;
            (band * height, a, kept)
        });
        self.sum(bands, y, |(first, a, mut kept), y| {
            let (mut z, mut out) = (vec![0.0; lines], vec![0.0; lines]);
            for (block, a) in a.chunks(lines * columns).enumerate() {
                let here = a.len() / columns;
                let (z, out) = (&mut z[..here], &mut out[..here]);
                let (now, after) = std::mem::take(&mut kept).split_at_mut(width * here);
                kept = after;
                self.kernels.rows::<S, false>(a, x, z);
                g(first + block * lines, z, out, now);
                self.kernels.columns::<S, false>(a, out, y, a.len());
            }
        });
    }
}

/// Rows whose entries stay in the second-level cache together: a multiple of eight that the
/// kernels take at once, at most a quarter of a megabyte where rows are not longer than that.
fn lines<S>(columns: usize) -> usize {
    let fit = (1 << 18) / (columns * size_of::<S>());
    (fit - fit % 8).max(8)
}

/// The number of columns in both sides of `A X`, `A` of the given shape.
fn check_lengths(shape: Shape, x: &[f64], y: &[f64]) -> usize {
    let count = x.len() / shape.columns;
    assert_eq!(
        (x.len(), y.len()),
        (count * shape.columns, count * shape.rows)
    );
    count
}
