use thiserror::Error;

/// What an average refuses: a quantity, the range it must lie in, the value found.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum AverageError {
    /// A precision, an overlap or a noise must be finite and not negative.
    #[error("{quantity} must be finite and at least 0, got {value}")]
    Negative {
        /// Which one.
        quantity: &'static str,
        /// The value found.
        value: f64,
    },
    /// A variance must be finite and positive.
    #[error("{quantity} must be finite and positive, got {value}")]
    NotPositive {
        /// Which one.
        quantity: &'static str,
        /// The value found.
        value: f64,
    },
    /// A quantity must be finite.
    #[error("{quantity} must be finite, got {value}")]
    NotFinite {
        /// Which one.
        quantity: &'static str,
        /// The value found.
        value: f64,
    },
    /// A quantity is beyond the largest that a rule has nodes for.
    #[error("{quantity} must be at most {bound:e}, got {value:e}")]
    TooLarge {
        /// Which one.
        quantity: &'static str,
        /// The largest value allowed.
        bound: f64,
        /// The value found.
        value: f64,
    },
    /// Overlap and norm of an estimate break `truth² <= second moment · norm`.
    #[error("truth² must be at most {bound} (second moment times norm), got {value}")]
    Correlation {
        /// The largest value allowed.
        bound: f64,
        /// The value found.
        value: f64,
    },
}

pub(super) fn finite(quantity: &'static str, value: f64) -> Result<f64, AverageError> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(AverageError::NotFinite { quantity, value })
    }
}

pub(super) fn not_negative(quantity: &'static str, value: f64) -> Result<f64, AverageError> {
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err(AverageError::Negative { quantity, value })
    }
}

pub(super) fn positive(quantity: &'static str, value: f64) -> Result<f64, AverageError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(AverageError::NotPositive { quantity, value })
    }
}
