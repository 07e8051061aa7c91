//! What can be wrong with an input of this crate.

use crate::{Level, Shape};

/// The input that was refused, with the offending numbers.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum OperatorError {
    /// A block, vector or second operator does not fit the operator.
    #[error("{quantity} must have shape {expected}, got {found}")]
    Shape {
        /// What has the wrong shape.
        quantity: &'static str,
        /// The shape that fits.
        expected: Shape,
        /// The shape that was given.
        found: Shape,
    },
    /// The operator must map a space to itself here.
    #[error("{quantity} must be square, got shape {found}")]
    NotSquare {
        /// What should be square.
        quantity: &'static str,
        /// The shape that was given.
        found: Shape,
    },
    /// The number of stored entries is not rows times columns.
    #[error("number of entries must be {expected}, got {found}")]
    Entries {
        /// Rows times columns.
        expected: usize,
        /// The number given.
        found: usize,
    },
    /// An entry is infinite or not a number (after rounding to the stored precision).
    #[error("entry ({row}, {column}) of the {quantity} must be finite, got {value}")]
    NotFinite {
        /// What holds the entry.
        quantity: &'static str,
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        column: usize,
        /// The entry, or the modulus of a complex one.
        value: f64,
    },
    /// A matrix that must equal its transpose does not.
    #[error(
        "entries ({row}, {column}) and ({column}, {row}) of a symmetric matrix must be equal, got {lower} and {upper}"
    )]
    NotSymmetric {
        /// Row of the entry below the diagonal.
        row: usize,
        /// Column of the entry below the diagonal.
        column: usize,
        /// Entry below the diagonal.
        lower: f64,
        /// Entry above the diagonal.
        upper: f64,
    },
    /// The quadratic form of the preconditioner is negative along a direction met on the way.
    #[error("preconditioner must be positive semi-definite, got x'Kx / (|x| |Kx|) = {cosine}")]
    NotPositive {
        /// The cosine between `x` and `K x`.
        cosine: f64,
    },
    /// The start of an iteration vanishes in the working inner product.
    #[error("start must have a positive norm, got {0}")]
    Start(f64),
    /// The entries do not fit the address space or the memory.
    #[error("matrix of shape {0} does not fit in memory")]
    Memory(Shape),
    /// The operator does not offer this product.
    #[error("{operator} does not support {operation}")]
    NotSupported {
        /// The product that was asked for.
        operation: &'static str,
        /// The kind of operator.
        operator: &'static str,
    },
    /// The processor lacks the instructions of the level that was asked for.
    #[error("kernel level {0:?} is not available on this processor")]
    LevelUnavailable(Level),
    /// A setting leaves its range.
    #[error("{name} must be {range}, got {value}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its range.
        range: &'static str,
        /// The value given.
        value: f64,
    },
    /// The iteration of a dense eigenvalue or singular value problem did not end.
    #[error("dense eigenvalue iteration did not converge")]
    Factorisation,
}
