//! Bulk, outlier and overlap of the matrices whose leading eigenvector is taken.

use std::sync::Arc;

use onsager_ensembles::{
    Affine, Level, MarchenkoPastur, Preconditioned, Semicircle, Spectrum as Law, Support,
};
use onsager_model::{FactorKind, Tree};
use serde::Serialize;
use serde::ser::SerializeStruct;

use crate::ReplicaError;
use crate::spectral::{Covariance, Status};

/// The matrix that hides a signal `x` of `p` components.
///
/// ```
/// use onsager_replica::spectral::{SpikedMatrix, pca_spectrum};
/// let matrix = SpikedMatrix::Wishart { noise: 0.5, aspect: 1.0, left: 1.0 };
/// let found = pca_spectrum(1.0, matrix)?;
/// assert!((found.overlap - 0.5).abs() < 1e-15); // (β - Δ²)/(β + Δ)
/// assert!((found.outlier.unwrap() - 2.25).abs() < 1e-15); // (1 + Δ)(β + Δ)
/// # Ok::<(), onsager_replica::ReplicaError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum SpikedMatrix {
    /// `Y = x xᵀ/√p + √noise ξ`.
    Wigner {
        /// The variance `Δ`.
        noise: f64,
    },
    /// `Y = u xᵀ/√p + √noise ξ`, `Y` of shape `n x p`; without a covariance
    /// [`beside`](Covariance::beside) that of `x`, `u` has independent centred components.
    Wishart {
        /// The variance `Δ`.
        noise: f64,
        /// `β = n/p`.
        aspect: f64,
        /// `E u²`.
        left: f64,
    },
}

impl SpikedMatrix {
    /// What a tree declares.
    ///
    /// # Errors
    /// An observation that is not a spiked matrix.
    pub fn of(tree: &Tree) -> Result<Self, ReplicaError> {
        let last = tree.factors().last();
        match last.map(|f| (&f.kind, f.variables.as_slice())) {
            Some((&FactorKind::SpikedWigner { noise }, _)) => Ok(Self::Wigner { noise }),
            Some((&FactorKind::SpikedWishart { noise, aspect }, &[_, u])) => Ok(Self::Wishart {
                noise,
                aspect,
                left: tree.variables()[u].second_moment,
            }),
            _ => Err(ReplicaError::NotSupported(
                "spectral methods need a spiked matrix".into(),
            )),
        }
    }

    pub(super) fn check(self) -> Result<Self, ReplicaError> {
        let (Self::Wigner { noise } | Self::Wishart { noise, .. }) = self;
        let others = match self {
            Self::Wigner { .. } => [("aspect", 1.0), ("second moment of the left factor", 1.0)],
            Self::Wishart { aspect, left, .. } => [
                ("aspect", aspect),
                ("second moment of the left factor", left),
            ],
        };
        for (quantity, value) in [("noise", noise)].into_iter().chain(others) {
            if !(value > 0.0 && value.is_finite()) {
                return Err(ReplicaError::Range {
                    quantity,
                    allowed: "0 to infinity, ends excluded",
                    value,
                });
            }
        }
        Ok(self)
    }
}

/// The eigenvalues of a spectral method, and what its leading eigenvector finds.
#[derive(Clone)]
pub struct Spectrum {
    /// The law of the bulk.
    pub law: Arc<dyn Law>,
    /// The eigenvalue beyond the bulk that carries the signal.
    pub outlier: Option<f64>,
    /// `cos²` of the angle between its eigenvector and the signal.
    pub overlap: f64,
    /// The same for the left factor, where there is one.
    pub overlap_left: Option<f64>,
    /// The noise above which the eigenvector is uninformative, where there is one.
    pub threshold: Option<f64>,
    /// What the bulk rests on.
    pub bulk_status: Status,
    /// What outlier, overlaps and threshold rest on.
    pub overlap_status: Status,
}

impl Spectrum {
    /// Edges and atoms of the bulk.
    #[must_use]
    pub fn support(&self) -> &Support {
        self.law.support()
    }

    /// `points` pairs of location and density on every interval, edges included.
    ///
    /// The points are spaced as cosines, dense where the density has its edges.
    #[must_use]
    pub fn density(&self, points: usize) -> Vec<(f64, f64)> {
        let last = points.saturating_sub(1).max(1) as f64;
        let on = |&(a, b): &(f64, f64)| {
            (0..points).map(move |i| {
                let angle = std::f64::consts::FRAC_PI_2 * i as f64 / last;
                a + (b - a) * angle.sin().powi(2)
            })
        };
        let intervals = self.support().intervals.iter();
        let places = intervals.flat_map(on);
        places.map(|x| (x, self.law.density(x))).collect()
    }
}

impl std::fmt::Debug for Spectrum {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Spectrum")
            .field("support", self.support())
            .field("outlier", &self.outlier)
            .field("overlap", &self.overlap)
            .finish_non_exhaustive()
    }
}

impl Serialize for Spectrum {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Atom {
            at: f64,
            weight: f64,
        }
        #[derive(Serialize)]
        struct Statuses {
            bulk: Status,
            overlap: Status,
        }
        let support = self.support();
        let ends = (support.intervals.first(), support.intervals.last());
        let bulk = match ends {
            (Some(first), Some(last)) => Some((first.0, last.1)),
            _ => None,
        };
        let atom = |a: &onsager_ensembles::Atom| Atom {
            at: a.location,
            weight: a.mass,
        };
        let atoms: Vec<_> = support.atoms.iter().map(atom).collect();
        let fields = if self.overlap_left.is_some() { 8 } else { 7 };
        let mut out = serializer.serialize_struct("Spectrum", fields)?;
        out.serialize_field("bulk", &bulk)?;
        out.serialize_field("support", &support.intervals)?;
        out.serialize_field("atoms", &atoms)?;
        out.serialize_field("outlier", &self.outlier)?;
        out.serialize_field("overlap", &self.overlap)?;
        if let Some(left) = &self.overlap_left {
            out.serialize_field("overlap_left", left)?;
        }
        out.serialize_field("threshold", &self.threshold)?;
        let statuses = Statuses {
            bulk: self.bulk_status,
            overlap: self.overlap_status,
        };
        out.serialize_field("status", &statuses)?;
        out.end()
    }
}

/// The principal component of `Y/√p` (Wigner) or `YᵀY/p` (Wishart), for a signal of mean square
/// `second_moment = ρ` and any prior.
///
/// - Wigner: bulk `±2√Δ`, outlier `ρ + Δ/ρ`, `cos² = 1 - Δ/ρ²` below `Δ = ρ²`.
/// - Wishart, with `T = β ρ_u ρ/Δ`: bulk `Δ(1 ± √β)²`, outlier `Δ(1 + T)(β + T)/T`,
///   `cos² = 1 - (β + T)/(T(1 + T))`, on the left `1 - β(1 + T)/(T(β + T))`, for `T² > β`.
/// - **Source**: Péché (2006), Benaych-Georges and Nadakuditi (2012): theorems for noise that is
///   independent of the spike.
///
/// # Errors
/// A second moment, noise, aspect or left second moment that is not finite and positive.
pub fn pca_spectrum(second_moment: f64, matrix: SpikedMatrix) -> Result<Spectrum, ReplicaError> {
    let rho = second_moment;
    if !(rho > 0.0 && rho.is_finite()) {
        return Err(ReplicaError::Range {
            quantity: "second moment",
            allowed: "0 to infinity, ends excluded",
            value: rho,
        });
    }
    let (law, threshold, strength): (Arc<dyn Law>, _, _) = match matrix.check()? {
        SpikedMatrix::Wigner { noise } => (
            Arc::new(Semicircle::new(noise)?),
            rho * rho,
            rho * rho / noise,
        ),
        SpikedMatrix::Wishart {
            noise,
            aspect,
            left,
        } => (
            Arc::new(Affine::new(0.0, noise, MarchenkoPastur::columns(aspect)?)?),
            rho * left * aspect.sqrt(),
            aspect * left * rho / noise,
        ),
    };
    let (noise, outlier, overlap, overlap_left) = match matrix {
        SpikedMatrix::Wigner { noise } => (noise, rho + noise / rho, 1.0 - 1.0 / strength, None),
        SpikedMatrix::Wishart { noise, aspect, .. } => {
            let (t, b) = (strength, aspect);
            (
                noise,
                noise * (1.0 + t) * (b + t) / t,
                1.0 - (b + t) / (t * (1.0 + t)),
                Some(1.0 - b * (1.0 + t) / (t * (b + t))),
            )
        }
    };
    let found = noise < threshold;
    let seen = |x: f64| if found { x.clamp(0.0, 1.0) } else { 0.0 };
    Ok(Spectrum {
        law,
        outlier: found.then_some(outlier),
        overlap: seen(overlap),
        overlap_left: overlap_left.map(seen),
        threshold: Some(threshold),
        bulk_status: Status::Theorem,
        overlap_status: Status::Theorem,
    })
}

/// Linearised message passing: the eigenvectors of `Γ`, similar to a symmetric matrix, where
///
/// - Wigner: `Γ = K (Y/√p - ρ)/Δ`,
/// - Wishart: `Γ = K (YᵀY/(p (Δ + ρ)) - β)/Δ` for a left factor of unit second moment; with another
///   one `Y` is divided by its root and `Δ` by itself. With a covariance `L` of the left factor, `ρ_u`
///   its mean, `Γ = K (Yᵀ L(Δ + ρL)⁻¹ Y/p - βρ_u)/Δ`.
///
/// For a signal with covariance `K` the outlier sits at 1, where the eigenvector is a fixed point
/// of message passing with a Gaussian prior. With `t` the eigenvalue law of `K`, `μ` the mean of a
/// component and `q = μ² + τ E t²/(1 + tτ)` the overlap, `τ` solves `τ = q/Δ` (Wigner) or
/// `τ = βq/(Δ(Δ + q))` (Wishart); `cos² = q/ρ`. With a law `u` of `L` and a mean `λ` on the left,
/// `τ = βq_u/Δ`, `q_u = λ² + τ_u E u²/(1 + uτ_u)` and `τ_u = q/Δ`. Without means there is a threshold,
/// `Δ = E t²` or `Δ = √(β E t² E u²)`; with one the outlier exists at every noise, and `K` stands for
/// `E[x xᵀ | W]`, whose mean direction leaves the bulk as it is.
///
/// - **Accuracy**: overlaps to 1e-13.
/// - **Source**: own derivation; [`Status`] says what is proved.
///
/// # Errors
/// A noise, aspect or left second moment that is not finite and positive.
///
/// ```
/// use std::sync::Arc;
/// use onsager_model::Chain;
/// use onsager_replica::spectral::{Covariance, SpikedMatrix, lamp_spectrum};
/// use onsager_scalar::{activation::PiecewiseLinear, prior::Gaussian};
///
/// let tree = Chain::new(Arc::new(Gaussian::standard()))
///     .layer(2.0, Arc::new(PiecewiseLinear::linear()))
///     .spiked_wigner(1.0)?;
/// let covariance = Covariance::of(&tree)?;
/// let found = lamp_spectrum(&covariance, SpikedMatrix::Wigner { noise: 1.0 })?;
/// assert_eq!(found.outlier, Some(1.0));
/// assert!(found.overlap > 0.4 && found.support().upper() < 1.0);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn lamp_spectrum(
    covariance: &Covariance,
    matrix: SpikedMatrix,
) -> Result<Spectrum, ReplicaError> {
    let (law, rho) = (covariance.law().clone(), covariance.second_moment());
    let bulk = match matrix.check()? {
        SpikedMatrix::Wigner { noise } => Preconditioned::wigner(law, noise, rho)?,
        SpikedMatrix::Wishart {
            noise,
            aspect,
            left,
        } => match covariance.left() {
            None => Preconditioned::wishart(law, noise / left, aspect, rho)?,
            Some(left) => {
                let means = (rho, left.second_moment());
                Preconditioned::product(law, left.law().clone(), means, noise, aspect)?
            }
        },
    };
    let overlap = covariance.overlap(matrix)?;
    let overlap_left = covariance.overlap_left(matrix, overlap);
    Ok(Spectrum {
        law: Arc::new(bulk),
        outlier: (overlap > 0.0).then_some(1.0),
        overlap,
        overlap_left,
        threshold: covariance.threshold(matrix),
        bulk_status: covariance.status(),
        overlap_status: covariance.overlap_status(),
    })
}

impl Covariance {
    /// The overlap `cos²` of [`lamp_spectrum`] alone, without the bulk.
    ///
    /// ```
    /// use onsager_replica::spectral::{Covariance, SpikedMatrix};
    /// let covariance = Covariance::measured(vec![1.0])?;
    /// let overlap = covariance.overlap(SpikedMatrix::Wigner { noise: 0.25 })?;
    /// assert!((overlap - 0.75).abs() < 1e-14);
    /// # Ok::<(), onsager_replica::ReplicaError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`lamp_spectrum`].
    pub fn overlap(&self, matrix: SpikedMatrix) -> Result<f64, ReplicaError> {
        let (mean, rho) = (self.square_mean(), self.second_moment());
        let levels = self.levels(matrix)?;
        let overlap = |at: &Level| ((mean + at.tau * at.second) / rho).min(1.0);
        Ok(levels.last().map_or(0.0, overlap))
    }

    /// The averages of the covariances of all variables at the fixed point of the linear theory;
    /// nothing above the threshold.
    pub(crate) fn levels(&self, matrix: SpikedMatrix) -> Result<Vec<Level>, ReplicaError> {
        let mean = self.square_mean();
        // A function of τ that turns positive where τ is the ratio that the matrix sends back,
        // divided by τ, which leaves the solution 0 out.
        let excess: Box<dyn Fn(f64, f64) -> f64> = match matrix.check()? {
            SpikedMatrix::Wigner { noise } => {
                Box::new(move |tau, second| noise - second - mean / tau)
            }
            SpikedMatrix::Wishart { noise, aspect, .. } => Box::new(move |tau, second| {
                // q/τ, and τ_u = q/Δ.
                let slope = second + mean / tau;
                let (fixed, seen) = self.answer(matrix, tau * slope / noise);
                noise * noise - aspect * (noise * fixed / tau + seen * slope)
            }),
        };
        let levels = self.law().turning(&|at| excess(at.tau, at.second));
        Ok(levels.unwrap_or_default())
    }

    /// `λ²` and `E u²/(1 + uτ_u)` of the left factor under a message of ratio `τ_u`.
    fn answer(&self, matrix: SpikedMatrix, tau: f64) -> (f64, f64) {
        match (self.left(), matrix) {
            (Some(left), _) => {
                let levels = left.law().turning(&|at| at.tau - tau);
                let last = levels.as_ref().and_then(|levels| levels.last());
                // A message of no precision says nothing new.
                let all = left.law().moment(2);
                (left.square_mean(), last.map_or(all, |at| at.second))
            }
            (None, SpikedMatrix::Wishart { left, .. }) => (0.0, left * left / (1.0 + left * tau)),
            (None, SpikedMatrix::Wigner { .. }) => (0.0, 0.0),
        }
    }

    /// `cos²` of the left factor, beside that of the signal.
    pub(crate) fn overlap_left(&self, matrix: SpikedMatrix, overlap: f64) -> Option<f64> {
        let SpikedMatrix::Wishart { noise, left, .. } = matrix else {
            return None;
        };
        let tau = self.second_moment() * overlap / noise;
        let (fixed, seen) = self.answer(matrix, tau);
        let rho = self.left().map_or(left, Self::second_moment);
        Some(((fixed + tau * seen) / rho).min(1.0))
    }

    /// The noise at which the outlier of [`lamp_spectrum`] joins the bulk; `None` with a mean.
    #[must_use]
    pub fn threshold(&self, matrix: SpikedMatrix) -> Option<f64> {
        let square = self.law().moment(2);
        let other = self.left();
        let threshold = match matrix {
            SpikedMatrix::Wigner { .. } => square,
            SpikedMatrix::Wishart { aspect, left, .. } => {
                let left = other.map_or(left * left, |left| left.law().moment(2));
                (aspect * square * left).sqrt()
            }
        };
        let centred = |side: &Self| side.square_mean() == 0.0;
        (centred(self) && other.is_none_or(centred)).then_some(threshold)
    }
}
