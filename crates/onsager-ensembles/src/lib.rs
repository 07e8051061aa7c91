#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod composed;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
mod laws;
mod preconditioned;
#[cfg(feature = "sample")]
pub mod random;
mod resolvent;
#[cfg(feature = "sample")]
pub mod sample;
mod spectrum;

pub use composed::{Composed, Level};
pub use error::EnsembleError;
pub use laws::{Affine, Empirical, MarchenkoPastur, Semicircle};
pub use preconditioned::Preconditioned;
#[cfg(feature = "sample")]
pub use random::Seed;
#[cfg(feature = "sample")]
pub use sample::{Ensemble, Gaussian};
pub use spectrum::{Atom, Complex64, Spectrum, Support};
