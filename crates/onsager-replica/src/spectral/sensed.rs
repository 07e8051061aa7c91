//! Spectral methods behind the outputs of a generalised linear model.

use std::cell::Cell;
use std::sync::Arc;

use onsager_ensembles::{Level, Spectrum};
use onsager_model::{FactorKind, Tree};
use onsager_scalar::Likelihood;
use onsager_scalar::activation::Parity;

use super::{Covariance, SpectralPrediction};
use crate::ReplicaError;
use crate::average::{AverageError, output_filtered, output_growth};

/// Even outputs of a signal, as spectral methods see them: `Aᵀ diag(T) A/p` with
/// `T = 1/ρ - 1/E[h² | y]`.
///
/// Linearised message passing multiplies it by the covariance `K` of the signal, and has an eigenvalue at 1.
/// Its eigenvector is the signal plus noise behind `K/(1 + sK)`: a Gaussian signal of covariance `K` and a message
/// of ratio `s`, with the overlap `q = E s t²/(1 + st)`, `t` the law of `K`, and
/// `s = α q E G²/(1 + qG)`, `T = G/(1 + ρG)`; `cos² = q/ρ`. Without the prior, `t = ρ`.
///
/// - **Threshold**: `α = 1/(E t² E G²)`, that of weak recovery with `K`, and `1/(ρ² E G²)` without.
/// - **Source**: own derivation, by the state evolution of a linear algorithm that rests on the eigenvector:
///   exact for a signal whose components along the eigenvectors of `K` are typical.
#[derive(Debug, Clone)]
pub struct Sensed {
    aspect: f64,
    law: Arc<dyn Likelihood>,
    second_moment: f64,
}

impl Sensed {
    /// The outputs that a tree declares, if it ends in outputs.
    ///
    /// # Errors
    /// Outputs that differ for `h` and `-h`.
    pub fn of(tree: &Tree) -> Result<Option<Self>, ReplicaError> {
        let [.., linear, output] = tree.factors() else {
            return Ok(None);
        };
        let (FactorKind::Linear { aspect, .. }, FactorKind::Likelihood(law)) =
            (&linear.kind, &output.kind)
        else {
            return Ok(None);
        };
        if law.parity() != Parity::Even {
            let what = "a spectral method of outputs that differ for h and -h";
            return Err(ReplicaError::NotSupported(what.into()));
        }
        Ok(Some(Self {
            aspect: *aspect,
            law: Arc::clone(law),
            second_moment: tree.signal().second_moment,
        }))
    }

    /// The averages of the covariances of all variables at the fixed point; nothing below the threshold.
    pub(crate) fn levels(&self, covariance: &Covariance) -> Result<Vec<Level>, ReplicaError> {
        let failure = Cell::new(None);
        let excess = |at: &Level| {
            // An overlap may be the whole up to rounding.
            let q = (at.tau * at.second).min(self.second_moment * (1.0 - 1e-12));
            match output_filtered(&*self.law, q, self.second_moment) {
                Ok(filtered) => 1.0 - self.aspect * at.second * filtered,
                Err(source) => {
                    failure.set(Some(failed(source)));
                    f64::NAN
                }
            }
        };
        let levels = covariance.law().turning(&excess).unwrap_or_default();
        failure.into_inner().map_or(Ok(levels), Err)
    }

    pub(super) fn predict(
        &self,
        covariance: &Covariance,
    ) -> Result<SpectralPrediction, ReplicaError> {
        if covariance.square_mean() != 0.0 {
            let what = "linearised message passing behind outputs of a signal with a mean";
            return Err(ReplicaError::NotSupported(what.into()));
        }
        let growth = output_growth(&*self.law, self.second_moment).map_err(failed)?;
        let (rho, levels) = (self.second_moment, self.levels(covariance)?);
        let overlap = levels.last().map_or(0.0, |at| at.tau * at.second / rho);
        let cos_squared = overlap.min(1.0);
        Ok(SpectralPrediction {
            cos_squared,
            mse: rho * (1.0 - cos_squared),
            cos_squared_left: None,
            mse_left: None,
            threshold: 1.0 / (covariance.law().moment(2) * growth),
        })
    }

    /// Without the covariance of the signal, whose norm is all that counts.
    pub(super) fn blind(&self) -> Result<SpectralPrediction, ReplicaError> {
        self.predict(&Covariance::measured(vec![self.second_moment])?)
    }
}

fn failed(source: AverageError) -> ReplicaError {
    let factor = "likelihood";
    ReplicaError::Average { factor, source }
}
