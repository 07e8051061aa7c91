//! Why a command ends without success, and with which exit code.

use std::fmt;
use std::process::ExitCode;

use onsager::amp::AmpError;
use onsager::model::ModelError;
use onsager::replica::ReplicaError;

pub(crate) enum Failure {
    /// The input is wrong: exit code 2.
    Input(String),
    /// The run failed: exit code 1.
    Run(String),
    /// The user stopped it, after what could be printed was printed: exit code 130.
    Interrupted(String),
}

impl Failure {
    pub(crate) fn code(&self) -> ExitCode {
        match self {
            Self::Input(_) => ExitCode::from(2),
            Self::Run(_) => ExitCode::FAILURE,
            // 128 + SIGINT, as shells report it.
            Self::Interrupted(_) => ExitCode::from(130),
        }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Input(reason) | Self::Run(reason) | Self::Interrupted(reason)) = self;
        let words: Vec<&str> = reason.split_whitespace().collect();
        f.write_str(&words.join(" "))
    }
}

impl From<ModelError> for Failure {
    fn from(error: ModelError) -> Self {
        Self::Input(error.to_string())
    }
}

impl From<ReplicaError> for Failure {
    fn from(error: ReplicaError) -> Self {
        match error {
            ReplicaError::NotAChain(_)
            | ReplicaError::NotSupported(_)
            | ReplicaError::Range { .. }
            | ReplicaError::Model(_) => Self::Input(error.to_string()),
            _ => Self::Run(error.to_string()),
        }
    }
}

impl From<AmpError> for Failure {
    fn from(error: AmpError) -> Self {
        match error {
            AmpError::NotSupported(_) | AmpError::Setting { .. } | AmpError::Model(_) => {
                Self::Input(error.to_string())
            }
            _ => Self::Run(error.to_string()),
        }
    }
}
