use onsager_scalar::ScalarError;
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
    /// A number lies outside its range.
    #[error("{quantity} must be {allowed}, got {value}")]
    Range {
        /// The key of the number.
        quantity: String,
        /// What is allowed, in words.
        allowed: String,
        /// The value found.
        value: f64,
    },
    /// A value is of the wrong kind, a text where a number is due, say.
    #[error("{key} must be {expected}, got {found}")]
    Type {
        /// The key.
        key: String,
        /// What is due there.
        expected: String,
        /// What was found.
        found: String,
    },
    /// A table holds a key that means nothing there.
    #[error("unknown key \"{key}\", allowed: {allowed}")]
    UnknownKey {
        /// The key with its path.
        key: String,
        /// The keys that the table may hold.
        allowed: String,
    },
    /// A law, activation, ensemble, ... that does not exist.
    #[error("unknown {what} \"{kind}\", allowed: {allowed}")]
    UnknownKind {
        /// What the name was to be a kind of.
        what: String,
        /// The name found.
        kind: String,
        /// The names that exist.
        allowed: String,
    },
    /// A key without a default is absent.
    #[error("missing key \"{0}\"")]
    MissingKey(String),
    /// A name of no variable of the model.
    #[error("unknown variable \"{name}\", allowed: {allowed}")]
    UnknownVariable {
        /// The name found.
        name: String,
        /// The variables of the model.
        allowed: String,
    },
    /// Two keys that exclude each other are both given.
    #[error("{0} and {1} exclude each other")]
    Both(String, String),
    /// Part of the grammar that no engine handles yet.
    #[error("{what} is not supported yet")]
    NotSupported {
        /// Which part.
        what: String,
    },
    /// The text is not TOML.
    #[error("{0}")]
    Syntax(String),
    /// A file that cannot be read.
    #[error("{path}: {reason}")]
    File {
        /// Its path as given.
        path: String,
        /// What the system says.
        reason: String,
    },
    /// The declaration holds a law of the user's own, which no file can express.
    #[error("{0}")]
    Write(String),
    /// A scalar law refuses its parameters.
    #[error(transparent)]
    Scalar(#[from] ScalarError),
    /// An error with the place it comes from: `file:line`, or an assignment.
    #[error("{place}: {error}")]
    At {
        /// `file:line`, or the assignment `key=value`.
        place: String,
        /// What is wrong there.
        error: Box<ModelError>,
    },
}

impl ModelError {
    /// `what "kind" is not supported yet`.
    pub(crate) fn not_supported(what: &str, kind: impl std::fmt::Display) -> Self {
        Self::NotSupported {
            what: format!("{what} \"{kind}\""),
        }
    }
}
