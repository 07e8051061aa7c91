#![forbid(unsafe_code)]
//! The declaration of an inference problem.

mod error;
mod tree;

pub use error::ModelError;
pub use tree::{Chain, Factor, FactorKind, Tree, Variable};
