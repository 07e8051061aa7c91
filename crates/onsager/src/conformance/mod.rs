//! What both readings must make of any declaration; and surveys of random ones.
//!
//! [`check_model`] writes and reads a declaration, predicts, simulates, and holds the answers
//! against what they say of themselves. One line tests a model with a law of your own:
//!
//! ```
//! use onsager::conformance::check_model;
//! use onsager::model::{Activation, Law, Model};
//!
//! let model = Model::builder().prior(Law::sparse(0.2)).denoising(0.1)?;
//! println!("{}", check_model(&model)?);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! Laws, activations and spectral laws have checks of their own: [`check_law`],
//! [`check_activation`], [`check_spectrum`]; strategies of proptest for every part of a
//! declaration are in [`crate::model::conformance`].

mod model;
mod survey;

pub use model::{Theory, Trial, check_model, check_model_with};
pub use onsager_ensembles::conformance::check_spectrum;
pub use onsager_scalar::conformance::{Failure, Report, check_activation, check_law};
pub use survey::{Fault, Plan, Survey, declaration, survey};
