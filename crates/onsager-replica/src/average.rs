//! Averages of scalar factors over the messages that state evolution brings them.
//!
//! [`prior`], [`layer`] and [`output`] are the matched (Bayes-optimal) averages, one number per message;
//! [`prior_general`] and [`layer_general`] take a teacher and a student that may differ.
//! All are sums over one rule, the trapezoidal rule after a graded change of variable: the
//! integrands are analytic and Gaussian at both ends, where that rule converges geometrically.

mod error;
mod general;
mod grid;
mod law;
mod layer;
mod output;
mod smooth;

pub use error::AverageError;
pub use general::{Order, Overlap, Score, layer_general, prior_general};
pub use law::{PriorAverage, prior};
pub use layer::{LayerAverage, layer};
pub use output::{
    LabelErrors, OutputAverage, label_errors, output, output_filtered, output_growth,
};
