#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

mod damping;
mod engine;
mod error;
mod graph;
mod infer;
mod message;
mod outcome;
mod problem;
mod rule;
pub mod rules;
mod schedule;
mod settings;
pub mod spectral;
mod start;

pub use engine::Engine;
pub use error::AmpError;
pub use infer::{infer, infer_observed};
pub use message::{Diagonal, Fields, Message, Posterior, Precision, Variance};
pub use outcome::{Estimate, Iteration, Outcome, Record, Stop};
pub use problem::Problem;
pub use rule::{Componentwise, Memory, Ports, Rule};
pub use rules::Variances;
pub use schedule::{Schedule, Step};
pub use settings::{Damping, Settings};
pub use start::Start;
