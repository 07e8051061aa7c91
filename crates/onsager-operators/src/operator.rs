//! The trait that every operator implements.

use std::any::type_name;
use std::fmt;
use std::sync::Arc;

use nalgebra::{ComplexField, DMatrix};

use crate::OperatorError;

/// Real or complex scalars with `f64` components: `f64` and `Complex<f64>`.
pub trait Field: ComplexField<RealField = f64> + Copy + Send + Sync {}

impl<F: ComplexField<RealField = f64> + Copy + Send + Sync> Field for F {}

/// Rows and columns of an operator or a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Shape {
    /// Dimension of the image.
    pub rows: usize,
    /// Dimension of the argument.
    pub columns: usize,
}

impl Shape {
    /// Shape of an operator from dimension `columns` to dimension `rows`.
    pub fn new(rows: usize, columns: usize) -> Self {
        Self { rows, columns }
    }

    /// Shape of an operator from dimension `size` to itself.
    pub fn square(size: usize) -> Self {
        Self::new(size, size)
    }

    /// Shape of the adjoint.
    pub fn transpose(self) -> Self {
        Self::new(self.columns, self.rows)
    }

    /// Number of entries, `rows * columns`.
    ///
    /// - **Errors**: [`OperatorError::Memory`] when the product overflows.
    pub fn entries(self) -> Result<usize, OperatorError> {
        self.rows
            .checked_mul(self.columns)
            .ok_or(OperatorError::Memory(self))
    }
}

impl fmt::Display for Shape {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} x {}", self.rows, self.columns)
    }
}

/// A linear map `A` from `F^columns` to `F^rows`, known by its products.
///
/// An implementor writes the two column products; the checked block products are derived.
/// The column products are pure: the same input gives the same bits, whatever the threads.
pub trait LinearOperator<F: Field = f64>: Send + Sync {
    /// Rows and columns of `A`.
    fn shape(&self) -> Shape;

    /// `y <- A x` for one column, `x` of length `columns`, `y` of length `rows`.
    ///
    /// # Panics
    ///
    /// May panic on other lengths: they are checked by [`apply`](Self::apply).
    fn apply_column(&self, x: &[F], y: &mut [F]);

    /// `y <- A^H x` for one column, `x` of length `rows`, `y` of length `columns`.
    ///
    /// # Panics
    ///
    /// May panic on other lengths: they are checked by [`apply_adjoint`](Self::apply_adjoint).
    fn apply_adjoint_column(&self, x: &[F], y: &mut [F]);

    /// Bytes held by the operator, for memory reports.
    fn bytes(&self) -> usize;

    /// `Y <- A X`, the columns of both one after the other; by default one product each.
    /// Matrices that are read from memory are read once for several columns, and every column
    /// gets the bits of [`apply_column`](Self::apply_column).
    ///
    /// # Panics
    ///
    /// May panic on other lengths.
    fn apply_columns(&self, x: &[F], y: &mut [F]) {
        let shape = self.shape();
        each_column(shape, x, y, |x, y| self.apply_column(x, y));
    }

    /// `Y <- A^H X`, as [`apply_columns`](Self::apply_columns).
    ///
    /// # Panics
    ///
    /// May panic on other lengths.
    fn apply_adjoint_columns(&self, x: &[F], y: &mut [F]) {
        let shape = self.shape().transpose();
        each_column(shape, x, y, |x, y| self.apply_adjoint_column(x, y));
    }

    /// `y <- A^H g(A x)` for a function `g` of single rows: see [`Between`]. The numbers of
    /// `kept`, equally many for each row, are handed to `g` with the row.
    ///
    /// Dense matrices are read once for both products, by several threads if they have them, and
    /// give the bits of the two products.
    ///
    /// ```
    /// use onsager_operators::{Dense, LinearOperator, Shape};
    ///
    /// // |A x|² from one read: the rows of A x meet g, which keeps their squares.
    /// let a = Dense::new(Shape::new(2, 3), vec![1.0, 0.0, 2.0, 0.0, 1.0, 0.0])?;
    /// let g = |_: usize, z: &[f64], out: &mut [f64], kept: &mut [f64]| {
    ///     out.copy_from_slice(z);
    ///     kept.iter_mut().zip(z).for_each(|(k, z)| *k = z * z);
    /// };
    /// let (mut squares, mut y) = ([0.0; 2], [0.0; 3]);
    /// a.apply_through(&[1.0, 1.0, 1.0], &g, &mut squares, &mut y);
    /// assert_eq!((squares, y), ([9.0, 1.0], [3.0, 1.0, 6.0]));
    /// # Ok::<(), onsager_operators::OperatorError>(())
    /// ```
    ///
    /// # Panics
    ///
    /// May panic on other lengths.
    fn apply_through(&self, x: &[F], g: &Between<'_, F>, kept: &mut [F], y: &mut [F]) {
        two_passes(self, x, g, kept, y)
    }

    /// `A X` for a `columns x T` block.
    ///
    /// - **Errors**: [`OperatorError::Shape`] when `X` has another number of rows.
    fn apply(&self, x: &DMatrix<F>) -> Result<DMatrix<F>, OperatorError> {
        let shape = self.shape();
        block(shape, x, |x, y| self.apply_columns(x, y))
    }

    /// `A^H X` for a `rows x T` block.
    ///
    /// - **Errors**: [`OperatorError::Shape`] when `X` has another number of rows.
    fn apply_adjoint(&self, x: &DMatrix<F>) -> Result<DMatrix<F>, OperatorError> {
        let shape = self.shape().transpose();
        block(shape, x, |x, y| self.apply_adjoint_columns(x, y))
    }

    /// `y_i <- Σ_j |A_ij|² x_j`, real `x` of length `columns`: how variances travel.
    ///
    /// - **Errors**: [`OperatorError::NotSupported`] unless the operator knows its entries;
    ///   [`OperatorError::Shape`] on other lengths.
    fn apply_squared_column(&self, _x: &[f64], _y: &mut [f64]) -> Result<(), OperatorError> {
        Err(not_supported::<Self>("products with its squared entries"))
    }

    /// `y_j <- Σ_i |A_ij|² x_i`, real `x` of length `rows`.
    ///
    /// - **Errors**: as [`apply_squared_column`](Self::apply_squared_column).
    fn apply_squared_adjoint_column(
        &self,
        _x: &[f64],
        _y: &mut [f64],
    ) -> Result<(), OperatorError> {
        Err(not_supported::<Self>(
            "adjoint products with its squared entries",
        ))
    }
}

fn not_supported<O: ?Sized>(operation: &'static str) -> OperatorError {
    OperatorError::NotSupported {
        operation,
        operator: type_name::<O>(),
    }
}

/// A function of single rows between two products, `g(first, z, out, kept)`: writes `g_i(z_i)`
/// into `out` for consecutive rows from `first` on, and may use and change what is kept for them.
pub type Between<'a, F> = dyn Fn(usize, &[F], &mut [F], &mut [F]) + Sync + 'a;

/// [`LinearOperator::apply_through`] by two products.
pub(crate) fn two_passes<F: Field>(
    op: &(impl LinearOperator<F> + ?Sized),
    x: &[F],
    g: &Between<'_, F>,
    kept: &mut [F],
    y: &mut [F],
) {
    let rows = op.shape().rows;
    let (mut z, mut out) = (vec![F::zero(); rows], vec![F::zero(); rows]);
    op.apply_column(x, &mut z);
    g(0, &z, &mut out, kept);
    op.apply_adjoint_column(&out, y);
}

fn block<F: Field>(
    shape: Shape,
    x: &DMatrix<F>,
    product: impl Fn(&[F], &mut [F]),
) -> Result<DMatrix<F>, OperatorError> {
    check_block(shape, x)?;
    let mut y = DMatrix::zeros(shape.rows, x.ncols());
    product(x.as_slice(), y.as_mut_slice());
    Ok(y)
}

/// Both sides of `A X`, column by column.
pub(crate) fn each_column<F: Field>(
    shape: Shape,
    x: &[F],
    y: &mut [F],
    mut product: impl FnMut(&[F], &mut [F]),
) {
    if x.is_empty() || y.is_empty() {
        return y.fill(F::zero());
    }
    assert_eq!(x.len() / shape.columns, y.len() / shape.rows);
    let columns = x.chunks_exact(shape.columns);
    columns
        .zip(y.chunks_exact_mut(shape.rows))
        .for_each(|(x, y)| product(x, y));
}

/// Refuses a block `X` for which `A X` makes no sense, `A` of the given shape.
pub(crate) fn check_block<F: Field>(shape: Shape, x: &DMatrix<F>) -> Result<(), OperatorError> {
    if x.nrows() == shape.columns {
        return Ok(());
    }
    Err(OperatorError::Shape {
        quantity: "block",
        expected: Shape::new(shape.columns, x.ncols()),
        found: Shape::new(x.nrows(), x.ncols()),
    })
}

/// Refuses a vector that has another length.
pub(crate) fn check_vector(
    quantity: &'static str,
    length: usize,
    x: &[f64],
) -> Result<(), OperatorError> {
    if x.len() == length {
        return Ok(());
    }
    let (expected, found) = (Shape::new(length, 1), Shape::new(x.len(), 1));
    Err(OperatorError::Shape {
        quantity,
        expected,
        found,
    })
}

/// Refuses vectors that do not fit `y <- A x`, `A` of the given shape.
pub(crate) fn check_columns(shape: Shape, x: &[f64], y: &[f64]) -> Result<(), OperatorError> {
    check_vector("argument", shape.columns, x)?;
    check_vector("image", shape.rows, y)
}

/// Refuses an operator that does not map a space to itself; otherwise its dimension.
pub(crate) fn check_square(quantity: &'static str, shape: Shape) -> Result<usize, OperatorError> {
    if shape.rows == shape.columns {
        return Ok(shape.rows);
    }
    Err(OperatorError::NotSquare {
        quantity,
        found: shape,
    })
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<F: Field, O: LinearOperator<F> + ?Sized> LinearOperator<F> for $pointer {
            fn shape(&self) -> Shape {
                (**self).shape()
            }
            fn apply_column(&self, x: &[F], y: &mut [F]) {
                (**self).apply_column(x, y)
            }
            fn apply_adjoint_column(&self, x: &[F], y: &mut [F]) {
                (**self).apply_adjoint_column(x, y)
            }
            fn bytes(&self) -> usize {
                (**self).bytes()
            }
            fn apply_columns(&self, x: &[F], y: &mut [F]) {
                (**self).apply_columns(x, y)
            }
            fn apply_adjoint_columns(&self, x: &[F], y: &mut [F]) {
                (**self).apply_adjoint_columns(x, y)
            }
            fn apply_through(&self, x: &[F], g: &Between<'_, F>, kept: &mut [F], y: &mut [F]) {
                (**self).apply_through(x, g, kept, y)
            }
            fn apply(&self, x: &DMatrix<F>) -> Result<DMatrix<F>, OperatorError> {
                (**self).apply(x)
            }
            fn apply_adjoint(&self, x: &DMatrix<F>) -> Result<DMatrix<F>, OperatorError> {
                (**self).apply_adjoint(x)
            }
            fn apply_squared_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
                (**self).apply_squared_column(x, y)
            }
            fn apply_squared_adjoint_column(
                &self,
                x: &[f64],
                y: &mut [f64],
            ) -> Result<(), OperatorError> {
                (**self).apply_squared_adjoint_column(x, y)
            }
        }
    )+};
}

forward!(&O, Box<O>, Arc<O>);
