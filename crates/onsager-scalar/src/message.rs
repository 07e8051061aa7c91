//! Gaussian messages and the moments computed behind them.

use serde::Serialize;

/// Mean and variance of a posterior on the line.
///
/// ```
/// use onsager_scalar::{Prior, prior::Gaussian};
/// let m = Gaussian::standard().moments(3.0, 2.0); // precision 1 + 3, field 2
/// assert_eq!((m.mean, m.variance), (0.5, 0.25));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize)]
pub struct Moments {
    /// Posterior mean.
    pub mean: f64,
    /// Posterior variance, never negative.
    pub variance: f64,
}

/// Precisions of a column of messages `exp(-a x²/2 + b x)`: one for all components, or one each.
///
/// ```
/// use onsager_scalar::Precisions;
/// assert_eq!(Precisions::Shared(2.0).at(7), 2.0);
/// assert_eq!(Precisions::Each(&[1.0, 3.0]).at(1), 3.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Precisions<'a> {
    /// The same value for every component.
    Shared(f64),
    /// One value per component.
    Each(&'a [f64]),
}

impl Precisions<'_> {
    /// The precision of component `i`.
    #[must_use]
    pub fn at(&self, i: usize) -> f64 {
        match self {
            Self::Shared(a) => *a,
            Self::Each(a) => a[i],
        }
    }
}
