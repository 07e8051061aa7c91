//! Full matrices, row by row.

use nalgebra::DMatrix;

use crate::kernels::{self, Kernels, Stored};
use crate::operator::check_columns;
use crate::threads::{PARTS, Threads};
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
        if let Some(at) = entries.iter().position(|a| !a.is_finite()) {
            return Err(not_finite(shape, at, entries[at].modulus()));
        }
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
            fill(i, &mut entries[start..]);
        }
        Self::new(shape, entries)
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
    /// - **Errors**: [`OperatorError::Setting`] for 0, [`OperatorError::Threads`].
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
        if kernels::as_real(&self.entries).is_some() {
            self.run.kernels.level()
        } else {
            Level::Portable
        }
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
            entries.extend(row.iter().map(|&a| f32::nearest(a)));
        }
        Self::new(shape, entries)
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
        if let (Some(a), Some(x)) = (kernels::as_real(&self.entries), kernels::as_real(x))
            && let Some(y) = kernels::as_real_mut(y)
        {
            return self.run.rows::<f64, false>(self.shape, a, x, y);
        }
        let dot = |i| {
            self.row(i)
                .iter()
                .zip(x)
                .fold(F::zero(), |s, (&a, &x)| s + a * x)
        };
        y.iter_mut().enumerate().for_each(|(i, y)| *y = dot(i));
    }

    fn apply_adjoint_column(&self, x: &[F], y: &mut [F]) {
        if let (Some(a), Some(x)) = (kernels::as_real(&self.entries), kernels::as_real(x))
            && let Some(y) = kernels::as_real_mut(y)
        {
            return self.run.columns::<f64, false>(self.shape, a, x, y);
        }
        y.fill(F::zero());
        for (i, &x) in x.iter().enumerate() {
            y.iter_mut()
                .zip(self.row(i))
                .for_each(|(y, a)| *y += a.conjugate() * x);
        }
    }

    fn bytes(&self) -> usize {
        self.entries.capacity() * size_of::<F>()
    }

    fn apply_squared_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        check_columns(self.shape, x, y)?;
        if let Some(a) = kernels::as_real(&self.entries) {
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
        if let Some(a) = kernels::as_real(&self.entries) {
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

/// How real products run: kernels and threads.
#[derive(Clone, Debug)]
struct Run {
    kernels: Kernels,
    threads: Threads,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            kernels: Kernels::best(),
            threads: Threads::default(),
        }
    }
}

impl Run {
    /// `y <- A x`; parts are bands of rows.
    fn rows<S: Stored, const SQUARE: bool>(&self, shape: Shape, a: &[S], x: &[f64], y: &mut [f64]) {
        assert_eq!((y.len(), x.len()), (shape.rows, shape.columns));
        if a.is_empty() {
            return y.fill(0.0);
        }
        let height = part(shape.rows);
        let bands = a.chunks(height * shape.columns).zip(y.chunks_mut(height));
        self.threads
            .each(bands, |(a, y)| self.kernels.rows::<S, SQUARE>(a, x, y));
    }

    /// `y <- A^T x`; parts are strips of columns, so no sum crosses them.
    fn columns<S: Stored, const SQUARE: bool>(
        &self,
        shape: Shape,
        a: &[S],
        x: &[f64],
        y: &mut [f64],
    ) {
        assert_eq!((x.len(), y.len()), (shape.rows, shape.columns));
        if a.is_empty() {
            return y.fill(0.0);
        }
        // One thread reads whole rows; several pay for shorter runs of memory with their number.
        let width = match self.threads.count() {
            1 => shape.columns,
            _ => part(shape.columns),
        };
        let strips = y.chunks_mut(width).enumerate();
        self.threads.each(strips, |(s, y)| {
            self.kernels
                .columns::<S, SQUARE>(a, shape.columns, s * width, x, y)
        });
    }
}

/// Size of a part, a multiple of the eight lanes so that only the last part has a remainder.
fn part(size: usize) -> usize {
    size.div_ceil(PARTS).next_multiple_of(8)
}
