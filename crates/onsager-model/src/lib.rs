#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! - [`Model`]: the declaration; [`Builder`] makes one in Rust, [`Document`] reads and edits files.
//! - [`Signal`], [`Layer`], [`Law`], [`Activation`], [`Weights`]: the chain.
//! - [`Observation`], [`Output`]: what is seen of it.
//! - [`FactorDeclaration`], [`Inference`]: trees that are no chains, defaults of the algorithms.
//! - [`Tree`], [`Chain`]: the factor tree that both readings walk.
//! - [`Instance`]: one realisation, drawn or given.
//! - [`presets`]: models to start from.
//! - `conformance` (feature): random declarations.
//!
//! How the tree is read, by theory or by algorithm, is deliberately absent.

mod activation;
mod builder;
#[cfg(feature = "conformance")]
pub mod conformance;
mod custom;
mod document;
mod error;
mod factors;
mod inference;
#[cfg(feature = "sample")]
pub mod instance;
mod law;
mod model;
mod observation;
mod output;
mod presets;
mod reader;
mod signal;
mod tree;
mod weights;

pub use activation::{Activation, AffinePiece};
pub use builder::Builder;
pub use custom::Custom;
pub use document::Document;
pub use error::ModelError;
pub use factors::{FactorDeclaration, FactorRule};
pub use inference::{Estimator, Inference, Rule};
#[cfg(feature = "sample")]
pub use instance::{Instance, Teacher};
pub use law::{Component, Law};
pub use model::{Field, Model};
pub use observation::{Observation, ObservationKind};
pub use output::Output;
pub use presets::{Preset, presets};
pub use reader::{Quantity, Range};
pub use signal::{Bias, Layer, Signal};
pub use tree::{Chain, Entries, Factor, FactorKind, Tree, Variable};
pub use weights::{Ensemble, Tensor, Weights};
