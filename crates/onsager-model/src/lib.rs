#![forbid(unsafe_code)]
//! The declaration of an inference problem.

mod error;
#[cfg(feature = "sample")]
pub mod instance;
mod tree;

pub use error::ModelError;
#[cfg(feature = "sample")]
pub use instance::{Instance, Teacher};
pub use tree::{Chain, Factor, FactorKind, Tree, Variable};
