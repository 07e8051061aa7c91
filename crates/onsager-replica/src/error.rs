use thiserror::Error;

use crate::average::AverageError;

/// Why no number can be returned: the quantity, what is allowed, what was found.
///
/// ```
/// use onsager_replica::ReplicaError;
/// let error = ReplicaError::NotAChain("two observations".into());
/// assert_eq!(error.to_string(), "only chains are supported yet: two observations");
/// ```
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ReplicaError {
    /// The tree is not a chain from one prior to one observation.
    #[error("only chains are supported yet: {0}")]
    NotAChain(String),
    /// A quantity left its interval.
    #[error("{quantity} must lie in {allowed}, got {value}")]
    Range {
        /// Which one.
        quantity: &'static str,
        /// The allowed interval, in words.
        allowed: &'static str,
        /// The value found.
        value: f64,
    },
    /// An average over one factor failed.
    #[error("{factor}: {source}")]
    Average {
        /// The factor.
        factor: &'static str,
        /// What went wrong there.
        source: AverageError,
    },
    /// The curve of fixed points could not be followed further.
    #[error("the curve of fixed points was lost at snr {snr} of the signal (noise {noise})")]
    Lost {
        /// Signal-to-noise ratio of the message to the signal at the last point.
        snr: f64,
        /// Noise of the observation at the last point.
        noise: f64,
    },
    /// No fixed point was found where at least one exists.
    #[error("no fixed point found at noise {0}")]
    NoFixedPoint(f64),
    /// No variable has this name.
    #[error("no variable is called \"{0}\"")]
    UnknownVariable(String),
    /// A question that is not answered for this model yet.
    #[error("not supported yet: {0}")]
    NotSupported(String),
    /// A spectral law was refused.
    #[error(transparent)]
    Ensemble(#[from] onsager_ensembles::EnsembleError),
    /// The declaration was refused.
    #[error(transparent)]
    Model(#[from] onsager_model::ModelError),
}
