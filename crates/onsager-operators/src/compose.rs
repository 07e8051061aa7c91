//! Operators made of operators.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::operator::{Between, check_columns, check_square};
use crate::{Field, LinearOperator, OperatorError, Shape};

/// The identity of dimension `size`, over any field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Identity {
    /// Dimension.
    pub size: usize,
}

impl<F: Field> LinearOperator<F> for Identity {
    fn shape(&self) -> Shape {
        Shape::square(self.size)
    }
    fn apply_column(&self, x: &[F], y: &mut [F]) {
        y.copy_from_slice(x)
    }
    fn apply_adjoint_column(&self, x: &[F], y: &mut [F]) {
        y.copy_from_slice(x)
    }
    fn bytes(&self) -> usize {
        0
    }
    fn apply_squared_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        check_columns(Shape::square(self.size), x, y)?;
        y.copy_from_slice(x);
        Ok(())
    }
    fn apply_squared_adjoint_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        LinearOperator::<F>::apply_squared_column(self, x, y)
    }
}

/// `c A`.
#[derive(Clone, Debug)]
pub struct Scaled<O, F = f64> {
    /// `A`.
    pub operator: O,
    /// `c`.
    pub factor: F,
}

impl<F: Field, O: LinearOperator<F>> LinearOperator<F> for Scaled<O, F> {
    fn shape(&self) -> Shape {
        self.operator.shape()
    }
    fn apply_column(&self, x: &[F], y: &mut [F]) {
        self.operator.apply_column(x, y);
        y.iter_mut().for_each(|y| *y *= self.factor);
    }
    fn apply_adjoint_column(&self, x: &[F], y: &mut [F]) {
        self.operator.apply_adjoint_column(x, y);
        y.iter_mut().for_each(|y| *y *= self.factor.conjugate());
    }
    fn bytes(&self) -> usize {
        self.operator.bytes()
    }
    fn apply_squared_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        self.operator.apply_squared_column(x, y)?;
        y.iter_mut()
            .for_each(|y| *y *= self.factor.modulus_squared());
        Ok(())
    }
    fn apply_squared_adjoint_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        self.operator.apply_squared_adjoint_column(x, y)?;
        y.iter_mut()
            .for_each(|y| *y *= self.factor.modulus_squared());
        Ok(())
    }
}

/// `A + s I`.
#[derive(Clone, Debug)]
pub struct Shifted<O, F = f64> {
    operator: O,
    shift: F,
}

impl<F: Field, O: LinearOperator<F>> Shifted<O, F> {
    /// `A + s I` for square `A`.
    ///
    /// - **Errors**: [`OperatorError::NotSquare`].
    pub fn new(operator: O, shift: F) -> Result<Self, OperatorError> {
        check_square("shifted operator", operator.shape())?;
        Ok(Self { operator, shift })
    }
}

impl<F: Field, O: LinearOperator<F>> LinearOperator<F> for Shifted<O, F> {
    fn shape(&self) -> Shape {
        self.operator.shape()
    }
    fn apply_column(&self, x: &[F], y: &mut [F]) {
        self.operator.apply_column(x, y);
        y.iter_mut().zip(x).for_each(|(y, &x)| *y += self.shift * x);
    }
    fn apply_adjoint_column(&self, x: &[F], y: &mut [F]) {
        self.operator.apply_adjoint_column(x, y);
        y.iter_mut()
            .zip(x)
            .for_each(|(y, &x)| *y += self.shift.conjugate() * x);
    }
    fn bytes(&self) -> usize {
        self.operator.bytes()
    }
}

/// `A B`.
#[derive(Clone, Debug)]
pub struct Product<A, B> {
    left: A,
    right: B,
}

impl<A, B> Product<A, B> {
    /// `A B`, where `A` has as many columns as `B` has rows.
    ///
    /// - **Errors**: [`OperatorError::Shape`].
    pub fn new<F: Field>(left: A, right: B) -> Result<Self, OperatorError>
    where
        A: LinearOperator<F>,
        B: LinearOperator<F>,
    {
        let (a, b) = (left.shape(), right.shape());
        if a.columns == b.rows {
            return Ok(Self { left, right });
        }
        let (quantity, expected) = ("right factor", Shape::new(a.columns, b.columns));
        Err(OperatorError::Shape {
            quantity,
            expected,
            found: b,
        })
    }
}

impl<F: Field, A: LinearOperator<F>, B: LinearOperator<F>> LinearOperator<F> for Product<A, B> {
    fn shape(&self) -> Shape {
        Shape::new(self.left.shape().rows, self.right.shape().columns)
    }
    fn apply_column(&self, x: &[F], y: &mut [F]) {
        let mut between = vec![F::zero(); self.right.shape().rows];
        self.right.apply_column(x, &mut between);
        self.left.apply_column(&between, y);
    }
    fn apply_adjoint_column(&self, x: &[F], y: &mut [F]) {
        let mut between = vec![F::zero(); self.right.shape().rows];
        self.left.apply_adjoint_column(x, &mut between);
        self.right.apply_adjoint_column(&between, y);
    }
    fn bytes(&self) -> usize {
        self.left.bytes() + self.right.bytes()
    }
}

/// `A^H`: rows and columns exchanged.
///
/// ```
/// use onsager_operators::{Adjoint, Dense, LinearOperator, Shape};
/// let a = Adjoint(Dense::new(Shape::new(1, 2), vec![3.0, 4.0])?);
/// let mut y = [0.0; 2];
/// a.apply_column(&[1.0], &mut y);
/// assert_eq!((a.shape(), y), (Shape::new(2, 1), [3.0, 4.0]));
/// # Ok::<(), onsager_operators::OperatorError>(())
/// ```
#[derive(Clone, Debug)]
pub struct Adjoint<O>(pub O);

impl<F: Field, O: LinearOperator<F>> LinearOperator<F> for Adjoint<O> {
    fn shape(&self) -> Shape {
        self.0.shape().transpose()
    }
    fn apply_column(&self, x: &[F], y: &mut [F]) {
        self.0.apply_adjoint_column(x, y)
    }
    fn apply_adjoint_column(&self, x: &[F], y: &mut [F]) {
        self.0.apply_column(x, y)
    }
    fn bytes(&self) -> usize {
        self.0.bytes()
    }
}

/// `c A A^H`, `c` real: positive semi-definite for `c >= 0`.
#[derive(Clone, Debug)]
pub struct Gram<O> {
    /// `A`.
    pub operator: O,
    /// `c`.
    pub factor: f64,
}

impl<F: Field, O: LinearOperator<F>> LinearOperator<F> for Gram<O> {
    fn shape(&self) -> Shape {
        Shape::square(self.operator.shape().rows)
    }
    fn apply_column(&self, x: &[F], y: &mut [F]) {
        let mut between = vec![F::zero(); self.operator.shape().columns];
        self.operator.apply_adjoint_column(x, &mut between);
        self.operator.apply_column(&between, y);
        y.iter_mut().for_each(|y| *y = y.scale(self.factor));
    }
    fn apply_adjoint_column(&self, x: &[F], y: &mut [F]) {
        self.apply_column(x, y)
    }
    fn bytes(&self) -> usize {
        self.operator.bytes()
    }
}

/// Counts the products of an operator.
#[derive(Debug)]
pub struct Counted<O> {
    operator: O,
    forward: AtomicU64,
    adjoint: AtomicU64,
}

/// Products of an operator so far, one per column; squared products count like others, because
/// they read the matrix as often.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Products {
    /// Products with `A`.
    pub forward: u64,
    /// Products with `A^H`.
    pub adjoint: u64,
}

impl<O> Counted<O> {
    /// Starts counting from zero.
    pub fn new(operator: O) -> Self {
        Self {
            operator,
            forward: AtomicU64::new(0),
            adjoint: AtomicU64::new(0),
        }
    }

    /// The products since [`new`](Self::new).
    pub fn products(&self) -> Products {
        Products {
            forward: self.forward.load(Relaxed),
            adjoint: self.adjoint.load(Relaxed),
        }
    }

    /// The operator whose products are counted.
    pub fn operator(&self) -> &O {
        &self.operator
    }
}

impl<F: Field, O: LinearOperator<F>> LinearOperator<F> for Counted<O> {
    fn shape(&self) -> Shape {
        self.operator.shape()
    }
    fn apply_column(&self, x: &[F], y: &mut [F]) {
        self.forward.fetch_add(1, Relaxed);
        self.operator.apply_column(x, y)
    }
    fn apply_adjoint_column(&self, x: &[F], y: &mut [F]) {
        self.adjoint.fetch_add(1, Relaxed);
        self.operator.apply_adjoint_column(x, y)
    }
    fn apply_columns(&self, x: &[F], y: &mut [F]) {
        let columns = x
            .len()
            .checked_div(self.operator.shape().columns)
            .unwrap_or(0);
        self.forward.fetch_add(columns as u64, Relaxed);
        self.operator.apply_columns(x, y)
    }
    fn apply_adjoint_columns(&self, x: &[F], y: &mut [F]) {
        let columns = x.len().checked_div(self.operator.shape().rows).unwrap_or(0);
        self.adjoint.fetch_add(columns as u64, Relaxed);
        self.operator.apply_adjoint_columns(x, y)
    }
    fn apply_through(&self, x: &[F], g: &Between<'_, F>, kept: &mut [F], y: &mut [F]) {
        self.forward.fetch_add(1, Relaxed);
        self.adjoint.fetch_add(1, Relaxed);
        self.operator.apply_through(x, g, kept, y)
    }
    fn bytes(&self) -> usize {
        self.operator.bytes()
    }
    fn apply_squared_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        self.operator.apply_squared_column(x, y)?;
        self.forward.fetch_add(1, Relaxed);
        Ok(())
    }
    fn apply_squared_adjoint_column(&self, x: &[f64], y: &mut [f64]) -> Result<(), OperatorError> {
        self.operator.apply_squared_adjoint_column(x, y)?;
        self.adjoint.fetch_add(1, Relaxed);
        Ok(())
    }
}
