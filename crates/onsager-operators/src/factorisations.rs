//! Dense factorisations; the one place that knows which library computes them.

use faer::{MatRef, Side};
use nalgebra::DMatrix;

use crate::operator::check_square;
use crate::{OperatorError, Shape};

/// Eigenvalues in increasing order and, in the columns, orthonormal eigenvectors.
#[derive(Clone, Debug)]
pub struct Eigen {
    /// Eigenvalues, increasing.
    pub values: Vec<f64>,
    /// Column `k` belongs to eigenvalue `k`.
    pub vectors: DMatrix<f64>,
}

/// All eigenpairs of a symmetric matrix; only the lower triangle is read.
///
/// - **Accuracy**: backward stable, absolute errors of order `p u |A|` in the values.
/// - **Errors**: [`OperatorError::NotSquare`], [`OperatorError::NotFinite`];
///   [`OperatorError::Factorisation`] if the iteration does not end.
pub fn symmetric_eigen(matrix: &DMatrix<f64>) -> Result<Eigen, OperatorError> {
    check(matrix)?;
    if matrix.is_empty() {
        return Ok(Eigen {
            values: vec![],
            vectors: matrix.clone(),
        });
    }
    let found = view(matrix)
        .self_adjoint_eigen(Side::Lower)
        .map_err(|_| OperatorError::Factorisation)?;
    let vectors = found.U();
    Ok(Eigen {
        values: found.S().column_vector().iter().copied().collect(),
        vectors: DMatrix::from_fn(matrix.nrows(), matrix.ncols(), |i, k| vectors[(i, k)]),
    })
}

/// All eigenvalues of a symmetric matrix, increasing; only the lower triangle is read.
///
/// - **Accuracy**, **Errors**: as [`symmetric_eigen`].
pub fn symmetric_eigenvalues(matrix: &DMatrix<f64>) -> Result<Vec<f64>, OperatorError> {
    check(matrix)?;
    if matrix.is_empty() {
        return Ok(vec![]);
    }
    view(matrix)
        .self_adjoint_eigenvalues(Side::Lower)
        .map_err(|_| OperatorError::Factorisation)
}

/// All singular values of a matrix, decreasing.
///
/// - **Errors**: [`OperatorError::NotFinite`], [`OperatorError::Factorisation`].
pub fn singular_values(matrix: &DMatrix<f64>) -> Result<Vec<f64>, OperatorError> {
    check_finite(matrix)?;
    if matrix.is_empty() {
        return Ok(vec![]);
    }
    view(matrix)
        .singular_values()
        .map_err(|_| OperatorError::Factorisation)
}

/// The same matrix as the library sees it.
fn view(matrix: &DMatrix<f64>) -> MatRef<'_, f64> {
    MatRef::from_column_major_slice(matrix.as_slice(), matrix.nrows(), matrix.ncols())
}

fn check(matrix: &DMatrix<f64>) -> Result<(), OperatorError> {
    check_square(
        "symmetric matrix",
        Shape::new(matrix.nrows(), matrix.ncols()),
    )?;
    check_finite(matrix)
}

fn check_finite(matrix: &DMatrix<f64>) -> Result<(), OperatorError> {
    match matrix.iter().position(|a| !a.is_finite()) {
        None => Ok(()),
        Some(at) => Err(OperatorError::NotFinite {
            quantity: "matrix",
            row: at % matrix.nrows(),
            column: at / matrix.nrows(),
            value: matrix[at],
        }),
    }
}
