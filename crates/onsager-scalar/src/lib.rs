#![forbid(unsafe_code)]
//! Numerical foundations of the scalar layer.

pub mod quadrature;
pub mod special;
