#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]

pub mod agreement;
pub mod data;
pub mod drawing;
mod error;
mod figure;
pub mod figures;
mod registry;
mod report;
mod reproduce;
mod runner;
mod table;

pub use error::FigureError;
pub use figure::{Context, Figure, Job, Profile};
pub use registry::{REGISTRY, find};
pub use reproduce::{Mode, Options, Summary, reproduce};
pub use runner::{Provenance, Record, Runner, Timing};
pub use table::{Row, Table};
