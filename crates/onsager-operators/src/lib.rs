#![doc = include_str!("../README.md")]
#![deny(unsafe_code)]

mod compose;
mod dense;
mod error;
mod operator;
mod symmetric;

pub mod factorisations;
mod kernels;
pub mod lanczos;
pub mod solve;
mod threads;

pub use compose::{Adjoint, Counted, Gram, Identity, Product, Products, Scaled, Shifted};
pub use dense::{Dense, DenseF32};
pub use error::OperatorError;
pub use kernels::{Level, Stored};
pub use operator::{Between, Field, LinearOperator, Shape};
pub use symmetric::{Symmetric, SymmetricF32, SymmetricTiles};
