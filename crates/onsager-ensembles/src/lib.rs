#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod laws;
#[cfg(feature = "sample")]
pub mod random;
#[cfg(feature = "sample")]
pub mod sample;
mod spectrum;

pub use error::EnsembleError;
pub use laws::{Affine, Empirical, MarchenkoPastur, Semicircle};
#[cfg(feature = "sample")]
pub use random::Seed;
#[cfg(feature = "sample")]
pub use sample::{Ensemble, Gaussian};
pub use spectrum::{Atom, Complex64, Spectrum, Support};
