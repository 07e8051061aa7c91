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
}
