#![forbid(unsafe_code)]
//! Numerical foundations of the scalar layer.

pub mod continuation;
pub mod iterate;
pub mod quadrature;
pub mod roots;
pub mod special;
