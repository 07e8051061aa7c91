//! What can be wrong with an input of this crate.

use onsager_operators::Shape;

/// The input that was refused, with the offending numbers.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum BaselineError {
    /// A network without layers.
    #[error("a generator must have at least one layer of weights")]
    NoLayers,
    /// A matrix or a vector does not fit.
    #[error("{quantity} must have shape {expected}, got {found}")]
    Shape {
        /// What has the wrong shape.
        quantity: &'static str,
        /// The shape that fits.
        expected: Shape,
        /// The shape that was given.
        found: Shape,
    },
    /// A number outside its range.
    #[error("{quantity} must be {allowed}, got {value}")]
    Range {
        /// What is out of range.
        quantity: &'static str,
        /// Its range.
        allowed: &'static str,
        /// The value given.
        value: f64,
    },
}

/// Refuses a number outside its range, or NaN.
pub(crate) fn checked(
    quantity: &'static str,
    allowed: &'static str,
    value: f64,
    is_allowed: bool,
) -> Result<(), BaselineError> {
    if is_allowed && value.is_finite() {
        return Ok(());
    }
    Err(BaselineError::Range {
        quantity,
        allowed,
        value,
    })
}

/// Refuses a matrix or a vector of another shape.
pub(crate) fn fitting(
    quantity: &'static str,
    expected: Shape,
    found: Shape,
) -> Result<(), BaselineError> {
    if expected == found {
        return Ok(());
    }
    Err(BaselineError::Shape {
        quantity,
        expected,
        found,
    })
}
