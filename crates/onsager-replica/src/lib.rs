#![forbid(unsafe_code)]
#![doc = include_str!("../README.md")]
//!
//! ## Idea
//!
//! A factor of the tree is an average: it maps what is known on one side and the ratio of the
//! message from the other to what it sends both ways, and it owns a share of the potential. The
//! fixed points of a chain are not iterated for: leaving the observation out, the equations of a
//! chain have one unknown more than equations, so their solutions form a curve, and every point
//! of it is a fixed point at one noise. The curve is followed once; fixed points, spinodals,
//! weak recovery and information-theoretic thresholds are read off.
//!
//! ## Map
//!
//! - [`StateEvolution`], [`Curve`], [`Prediction`], [`FixedPoint`]: the curve and its points;
//!   [`information_at`] off the curve.
//! - [`thresholds`], [`meetings`], [`sweep`], [`sweep_noise`], [`sweep_ratio`]: families of models.
//! - [`Diagram`]: phase diagrams over two parameters.
//! - [`EqualAreas`]: Maxwell's rule, a second route to information-theoretic thresholds.
//! - [`trajectory`]: iteration by iteration, in the order of message passing.
//! - [`spectral`]: principal components and linearised message passing.
//! - [`mod@average`]: the averages over one factor.
//!
//! Matrices, samples and algorithms are deliberately absent. Supported are chains, one prior to
//! one observation.

pub mod average;
mod chain;
mod curve;
mod diagram;
mod error;
mod factor;
mod family;
mod fixed_point;
mod maxwell;
mod path;
pub mod spectral;
mod threshold;
mod trajectory;

pub use chain::StateEvolution;
pub use curve::{Branch, Curve, CurvePoint, Fold};
pub use diagram::{Column, Diagram, Errors, Line, LinePoint};
pub use error::ReplicaError;
pub use family::{Meeting, SweepPoint, meetings, sweep, sweep_noise, sweep_ratio};
pub use fixed_point::{FixedPoint, Prediction, VariableState, information_at};
pub use maxwell::EqualAreas;
pub use threshold::{Key, Location, Side, Threshold, ThresholdKind, Thresholds, thresholds};
pub use trajectory::{Start, Trajectory, TrajectoryStep, TrajectoryVariable, trajectory};
