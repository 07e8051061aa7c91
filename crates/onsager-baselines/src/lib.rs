#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod descent;
mod error;
mod generator;

pub use descent::{Data, Outcome, Record, Settings, Stop, descend, gradient, objective};
pub use error::BaselineError;
pub use generator::Generator;
