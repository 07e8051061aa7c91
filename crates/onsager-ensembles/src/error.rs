use thiserror::Error;

/// What this crate refuses: a quantity, the range it must lie in, the value found.
///
/// ```
/// # #[cfg(feature = "sample")] {
/// use onsager_ensembles::sample::Gaussian;
/// let error = Gaussian::new(-1.0).unwrap_err();
/// assert_eq!(error.to_string(), "variance must be finite and not negative, got -1");
/// # }
/// ```
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum EnsembleError {
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
    /// A quantity must be finite and at least 0.
    #[error("{quantity} must be finite and not negative, got {value}")]
    Negative {
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
    /// A list needs at least one entry.
    #[error("{0} must not be empty")]
    Empty(&'static str),
    /// The argument of a transform meets a pole.
    #[error("gamma must keep 1 + gamma t positive on [{lower}, {upper}], got {value}")]
    Gamma {
        /// The argument.
        value: f64,
        /// Lower end of the support.
        lower: f64,
        /// Upper end of the support.
        upper: f64,
    },
    /// An integrand was refused.
    #[error(transparent)]
    Quadrature(#[from] onsager_scalar::quadrature::QuadratureError),
    /// A matrix could not be stored.
    #[cfg(feature = "sample")]
    #[error(transparent)]
    Operator(#[from] onsager_operators::OperatorError),
}

/// Checks that a number is finite and at least 0.
pub(crate) fn not_negative(quantity: &'static str, value: f64) -> Result<f64, EnsembleError> {
    if value.is_finite() && value >= 0.0 {
        Ok(value)
    } else {
        Err(EnsembleError::Negative { quantity, value })
    }
}

/// Checks that a number is finite.
pub(crate) fn finite(quantity: &'static str, value: f64) -> Result<f64, EnsembleError> {
    if value.is_finite() {
        Ok(value)
    } else {
        Err(EnsembleError::NotFinite { quantity, value })
    }
}

/// Checks that a number is finite and positive.
pub(crate) fn positive(quantity: &'static str, value: f64) -> Result<f64, EnsembleError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(EnsembleError::NotPositive { quantity, value })
    }
}

/// Checks that a number lies in `(0, 1]`.
#[cfg(feature = "sample")]
pub(crate) fn probability(quantity: &'static str, value: f64) -> Result<f64, EnsembleError> {
    if value > 0.0 && value <= 1.0 {
        Ok(value)
    } else {
        Err(EnsembleError::Probability { quantity, value })
    }
}
