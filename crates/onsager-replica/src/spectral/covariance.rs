//! The covariance of a layered signal, given its weights.

use std::collections::BTreeMap;

use onsager_ensembles::{Composed, Empirical, Level, Spectrum};
use onsager_model::{FactorKind, Tree, Variable};
use serde::Serialize;

use crate::ReplicaError;
use crate::chain::StateEvolution;

/// What a statement rests on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Status {
    /// A published proof.
    Theorem,
    /// An exact calculation in the limit of large sizes, without a published proof.
    Derived,
    /// Equivalence with a Gaussian signal of the same covariance, checked by simulation.
    Conjecture,
    /// The same, with the eigenvalues of one draw at finite size in place of their limit.
    Measured,
}

/// The law of the covariance `K = E[(x - μ)(x - μ)ᵀ | W]` of a signal, as sizes grow.
///
/// For centred layers `K_0 = ρ_0` and `K_l = ρ_l - κ_l² ρ_{l-1} + κ_l² W K_{l-1} Wᵀ/k_{l-1}`:
/// free products with Marchenko-Pastur laws and shifts, solved by [`Composed`]. One layer with
/// `μ = E φ ≠ 0` has the same law with `ρ - μ²` instead of `ρ`; the mean direction comes on top.
///
/// | prior | law of `K` | overlap of LAMP |
/// | --- | --- | --- |
/// | independent | theorem | theorem (the principal component), with a mean derived |
/// | linear layers | theorem (Marchenko-Pastur) | derived |
/// | one nonlinear layer | theorem (El Karoui 2010, inner-product kernels) | derived |
/// | deeper, nonlinear | conjecture (Gaussian equivalence of every layer) | conjecture |
/// | given eigenvalues | as given | derived |
/// | a mean behind two layers | measured: eigenvalues of a draw | measured |
///
/// The left factor of a product has a covariance of its own, [`beside`](Self::beside) that of the
/// signal; a statement on both rests on the weaker of the two.
///
/// ```
/// use std::sync::Arc;
/// use onsager_ensembles::Spectrum;
/// use onsager_model::Chain;
/// use onsager_replica::spectral::{Covariance, Status};
/// use onsager_scalar::{activation::PiecewiseLinear, prior::Gaussian};
///
/// let linear = || Arc::new(PiecewiseLinear::linear());
/// let tree = Chain::new(Arc::new(Gaussian::standard()))
///     .layer(2.0, linear())
///     .layer(0.5, linear())
///     .spiked_wigner(1.0)?;
/// let covariance = Covariance::of(&tree)?;
/// assert_eq!(covariance.law().moment(2), 2.5); // 1 + a₂ (1 + a₁)
/// assert_eq!(covariance.status(), Status::Theorem);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Covariance {
    law: Composed,
    /// `μ²`.
    square_mean: f64,
    second_moment: f64,
    status: Status,
    overlap: Status,
    /// Of every declared variable, latent first, the place of its law among the steps.
    places: Vec<Option<usize>>,
    left: Option<Box<Covariance>>,
}

impl Covariance {
    /// Of the signal of a chain, and beside it that of a left factor with layers or a mean.
    ///
    /// # Errors
    /// A tree that is no chain; hidden variables with a mean; a mean behind two layers or more.
    pub fn of(tree: &Tree) -> Result<Self, ReplicaError> {
        let covariance = Self::signal(tree)?;
        Ok(match Self::left_of(tree)? {
            Some(left) => covariance.beside(left),
            None => covariance,
        })
    }

    /// Of the signal alone.
    ///
    /// # Errors
    /// As for [`Covariance::of`], for the chain of the signal.
    pub fn signal(tree: &Tree) -> Result<Self, ReplicaError> {
        Self::of_chain(&StateEvolution::new(tree)?)
    }

    /// Of the left factor of a product, alone; `None` if its components are independent and centred,
    /// or if there is none.
    ///
    /// # Errors
    /// As for [`Covariance::of`], for the chain of the left factor.
    pub fn left_of(tree: &Tree) -> Result<Option<Self>, ReplicaError> {
        let left = &tree.variables()[tree.signal_index() + 1..];
        let is_product = matches!(
            tree.factors().last().map(|f| &f.kind),
            Some(FactorKind::SpikedWishart { .. })
        );
        match left {
            [only] if only.mean == 0.0 => Ok(None),
            [_, ..] if is_product => Ok(Some(Self::of_chain(&StateEvolution::left_of(tree)?)?)),
            _ => Ok(None),
        }
    }

    fn of_chain(chain: &StateEvolution) -> Result<Self, ReplicaError> {
        let Some((prior, layers)) = chain.variables.split_first() else {
            return Err(ReplicaError::NotAChain("it has no variable".into()));
        };
        let declared = layers.chunks_exact(2);
        let depth = declared.len();
        let square_mean = |v: &Variable| v.mean * v.mean;
        let signal = &chain.variables[chain.signal()];
        // Given the weights, a latent with a mean gives every component its own.
        let hidden = &chain.variables[..chain.signal()];
        if hidden.iter().any(|v| v.mean != 0.0) {
            return Err(ReplicaError::NotSupported(
                "the covariance of a signal whose hidden variables are not centred: its \
                 eigenvalues must be measured"
                    .into(),
            ));
        }
        if signal.mean != 0.0 && depth > 1 {
            return Err(ReplicaError::NotSupported(
                "the covariance of two layers or more of which the last is not centred: its \
                 eigenvalues must be measured"
                    .into(),
            ));
        }
        let unknown = || ReplicaError::NotSupported("a covariance of this factor".into());
        let variance = |v: &Variable| v.second_moment - square_mean(v);
        let mut inner = prior.second_moment;
        let mut law = Composed::point(variance(prior))?;
        let mut places = vec![Some(0)];
        let mut linear = true;
        for (layer, factors) in declared.zip(chain.factors[1..].chunks_exact(2)) {
            let ([weights, activation], [_, outer]) = (factors, layer) else {
                return Err(unknown());
            };
            let (Some(aspect), Some(phi)) = (weights.aspect(), activation.componentwise()) else {
                return Err(unknown());
            };
            let gain = phi.gain * phi.gain;
            // Zero for linear layers, where rounding must not leave a rest.
            let rest = variance(outer) - gain * inner;
            let rest = if rest > 1e-14 * outer.second_moment {
                rest
            } else {
                0.0
            };
            linear &= rest == 0.0;
            if gain > 0.0 {
                law = law.wishart(aspect)?.affine(rest, gain)?;
            } else {
                // Without a linear part nothing below is seen.
                law = Composed::point(rest)?;
                places.fill(None);
            }
            places.push(Some(law.laws() - 1));
            inner = outer.second_moment;
        }
        let (status, overlap) = match depth {
            0 if signal.mean == 0.0 => (Status::Theorem, Status::Theorem),
            0 => (Status::Theorem, Status::Derived),
            _ if linear => (Status::Theorem, Status::Derived),
            1 => (Status::Theorem, Status::Derived),
            _ => (Status::Conjecture, Status::Conjecture),
        };
        Ok(Self {
            law,
            square_mean: square_mean(signal),
            second_moment: signal.second_moment,
            status,
            overlap,
            places,
            left: None,
        })
    }

    /// With the covariance of the left factor of a product beside it.
    ///
    /// ```
    /// use onsager_replica::spectral::{Covariance, SpikedMatrix, lamp_spectrum};
    /// let plain = || Covariance::measured(vec![1.0]);
    /// let matrix = SpikedMatrix::Wishart { noise: 0.5, aspect: 1.0, left: 1.0 };
    /// let one = plain()?.overlap(matrix)?;
    /// let same = plain()?.beside(plain()?).overlap(matrix)?;
    /// assert!((one - same).abs() < 1e-13);
    /// # Ok::<(), onsager_replica::ReplicaError>(())
    /// ```
    #[must_use]
    pub fn beside(mut self, left: Self) -> Self {
        self.left = Some(Box::new(left));
        self
    }

    /// That of the left factor, where it is not one of independent centred components.
    pub(crate) fn left(&self) -> Option<&Self> {
        self.left.as_deref()
    }

    /// Of a signal at finite size: the eigenvalues of its covariance given the weights, and the mean
    /// square of its mean given the weights.
    ///
    /// # Errors
    /// As for [`Covariance::measured`]; a mean square that is negative or not finite.
    ///
    /// ```
    /// use onsager_replica::spectral::{Covariance, SpikedMatrix, Status};
    /// // A constant mean of 1 with unit variance: q = 1 + τ/(1 + τ), τ = q/Δ.
    /// let covariance = Covariance::drawn(vec![1.0], 1.0)?;
    /// let q = 2.0 * covariance.overlap(SpikedMatrix::Wigner { noise: 1.0 })?;
    /// assert!((q - 1.0 - q / (1.0 + q)).abs() < 1e-12);
    /// assert_eq!(covariance.status(), Status::Measured);
    /// # Ok::<(), onsager_replica::ReplicaError>(())
    /// ```
    pub fn drawn(eigenvalues: Vec<f64>, square_mean: f64) -> Result<Self, ReplicaError> {
        if !(square_mean >= 0.0 && square_mean.is_finite()) {
            return Err(ReplicaError::Range {
                quantity: "mean square of the mean",
                allowed: "0 to infinity",
                value: square_mean,
            });
        }
        let centred = Self::measured(eigenvalues)?;
        Ok(Self {
            square_mean,
            second_moment: centred.second_moment + square_mean,
            status: Status::Measured,
            overlap: Status::Measured,
            ..centred
        })
    }

    /// Of a centred signal, from measured eigenvalues of its covariance.
    ///
    /// # Errors
    /// No eigenvalues, negative ones, or only zeros.
    ///
    /// ```
    /// use onsager_replica::spectral::{Covariance, SpikedMatrix, lamp_spectrum};
    /// let covariance = Covariance::measured(vec![1.0; 8])?;
    /// let found = lamp_spectrum(&covariance, SpikedMatrix::Wigner { noise: 0.25 })?;
    /// assert!((found.overlap - 0.75).abs() < 1e-12);
    /// # Ok::<(), onsager_replica::ReplicaError>(())
    /// ```
    pub fn measured(eigenvalues: Vec<f64>) -> Result<Self, ReplicaError> {
        let law = Empirical::new(eigenvalues)?;
        let lowest = law.support().lower();
        if lowest < 0.0 {
            return Err(ReplicaError::Range {
                quantity: "eigenvalue of a covariance",
                allowed: "0 to infinity",
                value: lowest,
            });
        }
        Ok(Self {
            square_mean: 0.0,
            second_moment: law.moment(1),
            law: Composed::given(&law)?,
            status: Status::Derived,
            overlap: Status::Derived,
            places: vec![Some(0)],
            left: None,
        })
    }

    /// The law of `K`, without the mean direction.
    #[must_use]
    pub fn law(&self) -> &Composed {
        &self.law
    }

    /// What the law of `K` rests on.
    #[must_use]
    pub fn status(&self) -> Status {
        self.left()
            .map_or(self.status, |left| self.status.max(left.status))
    }

    /// What the overlap of linearised message passing rests on.
    #[must_use]
    pub fn overlap_status(&self) -> Status {
        self.left()
            .map_or(self.overlap, |left| self.overlap.max(left.overlap))
    }

    /// `ρ`, the mean square of a component.
    #[must_use]
    pub fn second_moment(&self) -> f64 {
        self.second_moment
    }

    /// `μ²`, the square of the mean of a component.
    #[must_use]
    pub fn square_mean(&self) -> f64 {
        self.square_mean
    }

    /// Overlaps `τ E t²/(1 + tτ)` of the declared variables of this chain, latent first, from the
    /// averages of all steps.
    pub(crate) fn overlaps(
        &self,
        levels: &[Level],
        variables: &[Variable],
    ) -> BTreeMap<String, f64> {
        let level = |place: &Option<usize>| levels.get((*place)?);
        let overlap = |place| level(place).map_or(0.0, |at: &Level| at.tau * at.second);
        let declared = variables.iter().filter(|v| !v.is_field);
        declared
            .zip(&self.places)
            .map(|(v, place)| (v.name.clone(), overlap(place)))
            .collect()
    }
}
