//! Dense factorisations; the one place that knows which library computes them.

use nalgebra::{DMatrix, SymmetricEigen};

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
/// - **Errors**: [`OperatorError::NotSquare`], [`OperatorError::NotFinite`].
pub fn symmetric_eigen(matrix: &DMatrix<f64>) -> Result<Eigen, OperatorError> {
    check(matrix)?;
    if matrix.is_empty() {
        return Ok(Eigen {
            values: vec![],
            vectors: matrix.clone(),
        });
    }
    let found = SymmetricEigen::new(matrix.clone());
    let mut order: Vec<usize> = (0..matrix.nrows()).collect();
    order.sort_by(|&i, &j| found.eigenvalues[i].total_cmp(&found.eigenvalues[j]));
    Ok(Eigen {
        values: order.iter().map(|&k| found.eigenvalues[k]).collect(),
        vectors: found.eigenvectors.select_columns(&order),
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
    let mut values: Vec<f64> = matrix.symmetric_eigenvalues().iter().copied().collect();
    values.sort_by(f64::total_cmp);
    Ok(values)
}

/// All singular values of a matrix, decreasing.
///
/// - **Errors**: [`OperatorError::NotFinite`].
pub fn singular_values(matrix: &DMatrix<f64>) -> Result<Vec<f64>, OperatorError> {
    check_finite(matrix)?;
    if matrix.is_empty() {
        return Ok(vec![]);
    }
    let mut values: Vec<f64> = matrix.singular_values().iter().copied().collect();
    values.sort_by(|a, b| b.total_cmp(a));
    Ok(values)
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
