use thiserror::Error;

/// What this crate refuses: a quantity, the range it must lie in, the value found.
///
/// ```
/// use onsager_scalar::prior::Gaussian;
/// let error = Gaussian::new(0.0, -1.0).unwrap_err();
/// assert_eq!(error.to_string(), "variance must be finite and positive, got -1");
/// ```
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ScalarError {
    /// A quantity must be finite.
    #[error("{quantity} must be finite, got {value}")]
    NotFinite {
        /// Which one.
        quantity: &'static str,
        /// The value found.
        value: f64,
    },
    /// A quantity must be finite and positive.
    #[error("{quantity} must be finite and positive, got {value}")]
    NotPositive {
        /// Which one.
        quantity: &'static str,
        /// The value found.
        value: f64,
    },
    /// A probability must lie in `(0, 1]`.
    #[error("{quantity} must lie in (0, 1], got {value}")]
    Probability {
        /// Which one.
        quantity: &'static str,
        /// The value found.
        value: f64,
    },
    /// A quantity must lie in a range said in words.
    #[error("{quantity} must be {allowed}, got {value}")]
    Range {
        /// Which one.
        quantity: &'static str,
        /// What is allowed.
        allowed: &'static str,
        /// The value found.
        value: f64,
    },
    /// The pieces of a function do not cover the line.
    #[error("piece {piece} must {expected}, got {value}")]
    Piece {
        /// Which piece, counted from 0.
        piece: usize,
        /// What it must do.
        expected: &'static str,
        /// The end, offset or slope found.
        value: f64,
    },
}
