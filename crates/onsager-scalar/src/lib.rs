#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
//!
//! ## Map
//!
//! - [`prior`]: laws of independent components, the trait [`Prior`].
//! - [`activation`]: componentwise functions between Gaussian fields, the trait [`Activation`].
//! - [`special`], [`quadrature`], [`roots`]: the numerics below.
//! - [`iterate`], [`continuation`]: the vocabulary of iteration.
//!
//! Matrices and trees are deliberately absent.

pub mod activation;
pub mod continuation;
mod error;
pub mod iterate;
mod message;
pub mod prior;
pub mod quadrature;
pub mod roots;
pub mod special;

pub use activation::{Activation, Channel};
pub use error::ScalarError;
pub use message::{Moments, Precisions};
pub use prior::Prior;
