use onsager_model::ModelError;
use onsager_operators::OperatorError;
use thiserror::Error;

/// Why a run is refused, or why no number of it may be used.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum AmpError {
    /// A factor needs a matrix or data that the instance does not hold.
    #[error("factor {factor} needs {needs}, the instance holds none")]
    Missing {
        /// The factor.
        factor: String,
        /// What it needs.
        needs: &'static str,
    },
    /// The start or the error needs the truth of a variable.
    #[error("the true value of variable \"{0}\" is needed, the instance holds none")]
    TruthUnknown(String),
    /// Two quantities do not fit.
    #[error("{quantity} must have shape {}x{}, got {}x{}", expected.0, expected.1, found.0, found.1)]
    Shape {
        /// Which quantity.
        quantity: String,
        /// Rows and columns that fit.
        expected: (usize, usize),
        /// Rows and columns found.
        found: (usize, usize),
    },
    /// An entry of the input is infinite or not a number.
    #[error("entry ({row}, {column}) of {quantity} must be finite")]
    NotFinite {
        /// Which quantity.
        quantity: String,
        /// Row of the entry.
        row: usize,
        /// Column of the entry.
        column: usize,
    },
    /// A setting leaves its range.
    #[error("{name} must be {range}, got {value}")]
    Setting {
        /// The setting.
        name: &'static str,
        /// Its range.
        range: &'static str,
        /// The value found.
        value: f64,
    },
    /// A step of the schedule reads a variable that nothing has estimated yet.
    #[error(
        "factor {factor} reads variable \"{variable}\" before any step of the schedule estimates it"
    )]
    Schedule {
        /// The reading factor.
        factor: String,
        /// The variable.
        variable: String,
    },
    /// No variable has this name.
    #[error("no variable is named \"{0}\"")]
    UnknownVariable(String),
    /// Declared, but not built.
    #[error("{0} is not supported yet")]
    NotSupported(String),
    /// The declaration was refused.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// An operator refused a product.
    #[error(transparent)]
    Operator(#[from] OperatorError),
}
