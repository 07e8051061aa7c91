#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod bounds;
mod clwe;
mod correspondence;
mod cosine;
mod equations;
mod error;
mod exact;
mod float;
mod lattice;
mod modular;
mod phase;
pub mod planted;
mod reals;
mod reduction;
mod relation;
mod rows;
mod solve;
mod watch;

pub use dashu_int::IBig;

pub use clwe::{Clwe, Detection};
pub use correspondence::Correspondence;
pub use cosine::CosineNeuron;
pub use equations::{LEAST_SURPLUS, Recover, Recovery};
pub use error::LatticeError;
pub use lattice::{Lattice, MOST_BITS};
pub use phase::PhaseRetrieval;
pub use reals::Reals;
pub use reduction::{Certificate, Reduction, SIZE_BOUND, Settings};
pub use relation::{Search, estimated_bits};
pub use watch::Observer;
