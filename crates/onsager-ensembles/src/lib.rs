#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod error;
#[cfg(feature = "sample")]
pub mod random;
#[cfg(feature = "sample")]
pub mod sample;

pub use error::EnsembleError;
#[cfg(feature = "sample")]
pub use random::Seed;
#[cfg(feature = "sample")]
pub use sample::{Ensemble, Gaussian};
