#![forbid(unsafe_code)]
//! (being built)

pub mod average;
mod chain;
mod curve;
mod error;
mod family;
mod factor;
mod fixed_point;
mod path;
pub mod spectral;
mod threshold;
mod trajectory;

pub use chain::StateEvolution;
pub use curve::{Branch, Curve, CurvePoint, Fold};
pub use error::ReplicaError;
pub use fixed_point::{FixedPoint, Prediction, VariableState, information_at};
pub use family::{SweepPoint, sweep, sweep_noise};
pub use threshold::{Key, Location, Side, Threshold, ThresholdKind, Thresholds, thresholds};
pub use trajectory::{Start, Trajectory, TrajectoryStep, TrajectoryVariable, trajectory};
