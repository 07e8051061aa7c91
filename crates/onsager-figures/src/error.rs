use std::error::Error;
use std::path::{Path, PathBuf};

/// Why a figure could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FigureError {
    /// No registered figure has this identifier.
    #[error("figure must be one of {known}, got {found:?}")]
    UnknownFigure {
        /// What was asked for.
        found: String,
        /// The registered identifiers, separated by commas.
        known: String,
    },
    /// No profile has this name.
    #[error("profile must be quick, standard or paper, got {0:?}")]
    UnknownProfile(String),
    /// A point could not be computed.
    #[error("figure {figure}, point {point:?}: {source}")]
    Point {
        /// Identifier of the figure.
        figure: String,
        /// Key of the point.
        point: String,
        /// What the computation said.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The computation behind a point failed; the runner adds figure and point.
    #[error(transparent)]
    Computation(Box<dyn Error + Send + Sync>),
    /// Two jobs of one figure share a key, so that one result would stand for both.
    #[error("figure {figure}: the key of a point must be unique, got {point:?} twice")]
    DuplicatePoint {
        /// Identifier of the figure.
        figure: String,
        /// The repeated key.
        point: String,
    },
    /// The run was asked to stop; finished points are kept.
    #[error("interrupted; finished points are kept, the same command continues")]
    Interrupted,
    /// A file could not be read or written.
    #[error("{path}: {source}")]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A table or record does not have the expected form.
    #[error("{path}: {reason}")]
    Format {
        /// The file.
        path: PathBuf,
        /// What was expected and found.
        reason: String,
    },
    /// A file on disk belongs to another revision of the figure.
    #[error("{path}: tables must be of revision {expected}, got {found}; run the figure again")]
    Stale {
        /// The record that was read.
        path: PathBuf,
        /// Revision of the registered figure.
        expected: u32,
        /// Revision of the tables.
        found: u32,
    },
    /// A picture could not be drawn.
    #[error("figure {figure}: {reason}")]
    Drawing {
        /// Identifier of the figure.
        figure: String,
        /// What the drawing layer said.
        reason: String,
    },
    /// A packaged data file is not what it should be.
    #[error("packaged data {name}: {reason}")]
    Data {
        /// The file.
        name: &'static str,
        /// What was expected and found.
        reason: String,
    },
    /// The threads could not be started.
    #[error("number of threads must allow a pool to start: {0}")]
    Threads(String),
}

impl FigureError {
    /// Wraps the error of a computation, so that `?` needs one `map_err`.
    pub fn computation(source: impl Error + Send + Sync + 'static) -> Self {
        Self::Computation(Box::new(source))
    }

    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        move |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn format(path: &Path, reason: impl ToString) -> Self {
        Self::Format {
            path: path.to_owned(),
            reason: reason.to_string(),
        }
    }
}

/// What the readings and the declaration refuse is a computation that failed.
macro_rules! computation {
    ($($error:ty),*) => {$(
        impl From<$error> for FigureError {
            fn from(error: $error) -> Self {
                Self::computation(error)
            }
        }
    )*};
}
computation!(
    onsager_model::ModelError,
    onsager_amp::AmpError,
    onsager_replica::ReplicaError,
    onsager_operators::OperatorError,
    onsager_ensembles::EnsembleError,
    onsager_lattice::LatticeError,
    onsager_baselines::BaselineError
);
