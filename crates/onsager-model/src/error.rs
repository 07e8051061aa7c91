use thiserror::Error;

/// Why a declaration is refused: the quantity, what is allowed, what was found.
///
/// ```
/// # use std::sync::Arc;
/// use onsager_model::Chain;
/// use onsager_scalar::prior::Rademacher;
/// let error = Chain::new(Arc::new(Rademacher)).denoising(-1.0).unwrap_err();
/// assert_eq!(error.to_string(), "noise must be finite and positive, got -1");
/// ```
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ModelError {
    /// A quantity must be finite and positive.
    #[error("{quantity} must be finite and positive, got {value}")]
    NotPositive {
        /// Which one.
        quantity: String,
        /// The value found.
        value: f64,
    },
    /// A chain of `expected - 1` layers has `expected` variables.
    #[error("a chain of this depth has {expected} variables, got {found} names")]
    Names {
        /// Variables of the chain.
        expected: usize,
        /// Names given.
        found: usize,
    },
    /// Two variables share a name.
    #[error("variable names must differ, \"{0}\" is given twice")]
    RepeatedName(String),
    /// A list of sizes has the wrong length.
    #[error("a size is needed for each of {expected} variables, got {found}")]
    Sizes {
        /// Variables of the tree.
        expected: usize,
        /// Sizes given.
        found: usize,
    },
    /// Sizes that the tree does not have.
    #[error("{variable} must have {expected} components, got {found}")]
    Size {
        /// Name of the variable.
        variable: String,
        /// The size, or the range of sizes, that fits its neighbour.
        expected: String,
        /// The size given.
        found: usize,
    },
    /// A matrix or a vector does not fit the sizes.
    #[error("{quantity} must have shape {expected:?}, got {found:?}")]
    Shape {
        /// What has the wrong shape.
        quantity: String,
        /// Rows and columns that fit.
        expected: (usize, usize),
        /// Rows and columns found.
        found: (usize, usize),
    },
    /// An entry is infinite or not a number.
    #[error("entry {index} of the {quantity} must be finite, got {value}")]
    NotFinite {
        /// What holds the entry.
        quantity: String,
        /// Where.
        index: usize,
        /// The value found.
        value: f64,
    },
    /// A factor lacks what it needs to be used on data.
    #[error("{factor} needs {quantity}")]
    Missing {
        /// The factor, printed.
        factor: String,
        /// A matrix or a data vector.
        quantity: &'static str,
    },
    /// A factor was given something that its kind does not hold.
    #[error("{factor} does not take {quantity}")]
    Unexpected {
        /// The factor, printed.
        factor: String,
        /// A matrix or a data vector.
        quantity: &'static str,
    },
    /// An index beyond the end.
    #[error("the tree has {len} {quantity}, got index {index}")]
    Index {
        /// Factors or variables.
        quantity: &'static str,
        /// How many there are.
        len: usize,
        /// The index given.
        index: usize,
    },
    /// A random matrix was refused.
    #[cfg(feature = "sample")]
    #[error(transparent)]
    Ensemble(#[from] onsager_ensembles::EnsembleError),
    /// A matrix was refused.
    #[cfg(feature = "sample")]
    #[error(transparent)]
    Operator(#[from] onsager_operators::OperatorError),
}
