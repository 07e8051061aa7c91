//! A tree with its matrices and data, as the rules read it.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_model::{FactorKind, Instance, Tree};
use onsager_operators::{Field, LinearOperator};

use crate::AmpError;

/// A [`Tree`] with matrices, data and, where known, the truth of `T` problems that share them.
///
/// Ratios of the tree are replaced by those that the sizes realise.
#[derive(Clone)]
pub struct Problem<F: Field = f64> {
    pub(crate) tree: Tree,
    pub(crate) sizes: Vec<usize>,
    pub(crate) problems: usize,
    /// By factor: the matrix `W` or `Y`.
    pub(crate) operators: Vec<Option<Arc<dyn LinearOperator<F>>>>,
    /// By factor: the observed vectors, `n x T`.
    pub(crate) data: Vec<Option<DMatrix<F>>>,
    /// By variable: the true values, `n x T`.
    pub(crate) truth: Vec<Option<DMatrix<F>>>,
}

impl Problem {
    /// One problem.
    ///
    /// # Errors
    /// As for [`Problem::stacked`].
    pub fn new(tree: &Tree, instance: &Instance) -> Result<Self, AmpError> {
        Self::stacked(tree, &[instance])
    }

    /// Problems side by side, which share the matrices of the first and differ in their data.
    ///
    /// # Errors
    /// No instance at all, a matrix or data that a factor needs and an instance lacks, shapes that
    /// do not fit, matrices that differ, entries that are not finite.
    pub fn stacked(tree: &Tree, instances: &[&Instance]) -> Result<Self, AmpError> {
        let first = instances.first().ok_or(AmpError::Setting {
            name: "number of instances",
            range: "at least 1",
            value: 0.0,
        })?;
        let sizes = first.sizes().to_vec();
        let problem = Self {
            tree: tree.realised(&sizes)?,
            problems: instances.len(),
            operators: (0..tree.factors().len())
                .map(|f| first.operator(f).cloned())
                .collect(),
            data: (0..tree.factors().len())
                .map(|f| block(instances.iter().map(|i| i.data(f))))
                .collect::<Result<_, _>>()?,
            truth: (0..sizes.len())
                .map(|v| block(instances.iter().map(|i| i.truth(v))))
                .collect::<Result<_, _>>()?,
            sizes,
        };
        for f in 0..tree.factors().len() {
            let same = |i: &&Instance| match (first.operator(f), i.operator(f)) {
                (Some(a), Some(b)) => Arc::ptr_eq(a, b),
                (a, b) => a.is_none() && b.is_none(),
            };
            if !instances.iter().all(same) {
                let what = "stacking of instances whose matrices are not the same object";
                return Err(AmpError::NotSupported(what.to_string()));
            }
        }
        problem.check()?;
        Ok(problem)
    }
}

impl<F: Field> Problem<F> {
    /// The declaration, at realised ratios.
    #[must_use]
    pub fn tree(&self) -> &Tree {
        &self.tree
    }

    /// Components of each variable.
    #[must_use]
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// Number of problems `T`.
    #[must_use]
    pub fn problems(&self) -> usize {
        self.problems
    }

    /// Components of the signal.
    #[must_use]
    pub fn signal_size(&self) -> usize {
        self.sizes[self.tree.signal_index()]
    }

    /// The matrix of factor `f`.
    pub(crate) fn operator(&self, f: usize) -> Result<&Arc<dyn LinearOperator<F>>, AmpError> {
        self.operators[f].as_ref().ok_or(AmpError::Missing {
            factor: self.tree.factors()[f].to_string(),
            needs: "a matrix",
        })
    }

    /// The data of factor `f`.
    pub(crate) fn data(&self, f: usize) -> Result<&DMatrix<F>, AmpError> {
        self.data[f].as_ref().ok_or(AmpError::Missing {
            factor: self.tree.factors()[f].to_string(),
            needs: "data",
        })
    }

    /// The true value of variable `v`.
    pub(crate) fn truth(&self, v: usize) -> Result<&DMatrix<F>, AmpError> {
        self.truth[v]
            .as_ref()
            .ok_or_else(|| AmpError::TruthUnknown(self.tree.variables()[v].name.clone()))
    }

    /// Refuses shapes that do not fit the tree and entries that are not finite.
    fn check(&self) -> Result<(), AmpError> {
        let shape = |quantity: String, expected, found| {
            if expected == found {
                return Ok(());
            }
            Err(AmpError::Shape {
                quantity,
                expected,
                found,
            })
        };
        for (f, factor) in self.tree.factors().iter().enumerate() {
            let size = |port: usize| self.sizes[factor.variables[port]];
            match factor.kind {
                FactorKind::Linear { .. } | FactorKind::SpikedWishart { .. } => {
                    let found = self.operator(f)?.shape();
                    let found = (found.rows, found.columns);
                    shape(format!("matrix of {factor}"), (size(1), size(0)), found)?;
                }
                FactorKind::SpikedWigner { .. } => {
                    let found = self.operator(f)?.shape();
                    let found = (found.rows, found.columns);
                    shape(format!("matrix of {factor}"), (size(0), size(0)), found)?;
                }
                FactorKind::Denoising { .. } | FactorKind::Likelihood(_) => {
                    let y = self.data(f)?;
                    let quantity = format!("data of {factor}");
                    shape(quantity.clone(), (size(0), self.problems), y.shape())?;
                    finite(quantity, y)?;
                }
                _ => {}
            }
        }
        for (v, x) in self.truth.iter().enumerate() {
            if let Some(x) = x {
                let quantity = format!("truth of {}", self.tree.variables()[v].name);
                shape(quantity.clone(), (self.sizes[v], self.problems), x.shape())?;
                finite(quantity, x)?;
            }
        }
        Ok(())
    }
}

/// Vectors side by side, `None` unless all are there.
fn block<'a>(
    columns: impl Iterator<Item = Option<&'a [f64]>>,
) -> Result<Option<DMatrix<f64>>, AmpError> {
    let Some(columns) = columns.collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    let n = columns[0].len();
    if let Some(other) = columns.iter().find(|c| c.len() != n) {
        return Err(AmpError::Shape {
            quantity: "data of every instance".to_string(),
            expected: (n, 1),
            found: (other.len(), 1),
        });
    }
    Ok(Some(DMatrix::from_vec(n, columns.len(), columns.concat())))
}

/// Refuses entries that are not finite.
pub(crate) fn finite<F: Field>(quantity: String, x: &DMatrix<F>) -> Result<(), AmpError> {
    match x.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(at) => Err(AmpError::NotFinite {
            quantity,
            row: at % x.nrows(),
            column: at / x.nrows(),
        }),
    }
}
