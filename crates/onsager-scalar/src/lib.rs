#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! - [`prior`]: laws of independent components, the trait [`Prior`].
//! - [`activation`]: componentwise functions between Gaussian fields, the trait [`Activation`].
//! - [`likelihood`]: what is seen of a field in the end, the trait [`Likelihood`].
//! - `conformance` (feature): every identity, run on a law or an activation of your own.
//! - [`special`], [`quadrature`], [`roots`], [`iterate`]: the numerics below.
//!
//! Matrices and trees are deliberately absent.

pub mod activation;
mod columns;
#[cfg(feature = "conformance")]
pub mod conformance;
mod error;
pub mod iterate;
mod lanes;
pub mod likelihood;
mod message;
pub mod prior;
pub mod quadrature;
pub mod roots;
pub mod special;

pub use activation::{Activation, Channel};
pub use columns::Channels;
pub use error::ScalarError;
pub use likelihood::Likelihood;
pub use message::{Moments, Precisions};
pub use prior::Prior;
