//! What a generalised linear model does to its field.

use std::sync::Arc;

use onsager_scalar::Likelihood;
use onsager_scalar::activation::{Erf, Piece, PiecewiseLinear, Sigmoid, Tanh};
use onsager_scalar::likelihood::{Additive, Blurred, Invertible, Logistic, Noiseless, Poisson};
use serde::Serialize;

use crate::ModelError;
use crate::activation::{self, Activation};
use crate::reader::{Kinds, Range, Reader, names};

/// The output of a generalised linear model: any activation, or a channel that is no function.
///
/// ```
/// use onsager_model::{Activation, Output};
/// assert_eq!(Output::from(Activation::Abs).kind(), "abs");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Output {
    /// `sign(h + √noise n)`.
    Probit {
        /// The variance, not negative.
        noise: f64,
    },
    /// `P(y = 1) = 1/(1 + exp(-h))`, `y = ±1`.
    Logistic,
    /// Counts of mean `max(h, 0)`.
    Poisson,
    /// Counts of mean `exp h`.
    PoissonLog,
    /// The index of the cell that `h` falls into.
    Quantised {
        /// Edges between the cells, increasing.
        edges: Vec<f64>,
    },
    /// `|h|` of a complex field.
    Modulus,
    /// A function.
    #[serde(untagged)]
    Activation(Activation),
}

impl From<Activation> for Output {
    fn from(activation: Activation) -> Self {
        Self::Activation(activation)
    }
}

impl Output {
    /// The name of the kind in files.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Probit { .. } => "probit",
            Self::Logistic => "logistic",
            Self::Poisson => "poisson",
            Self::PoissonLog => "poisson-log",
            Self::Quantised { .. } => "quantised",
            Self::Modulus => "modulus",
            Self::Activation(activation) => activation.kind(),
        }
    }

    /// The law of what is seen, `noise` being the variance of Gaussian noise after the output.
    ///
    /// ```
    /// use onsager_model::{Activation, Output};
    /// let relu = Output::from(Activation::Relu).build(0.0)?;
    /// assert_eq!(relu.sharpness(1.0), Some(0.5));
    /// # Ok::<(), onsager_model::ModelError>(())
    /// ```
    ///
    /// # Errors
    /// As for [`Activation::build`]; noise after an output that is no function;
    /// [`ModelError::NotSupported`] for functions of the user's own without noise and outputs to come.
    pub fn build(&self, noise: f64) -> Result<Arc<dyn Likelihood>, ModelError> {
        if noise > 0.0 {
            let phi = match self {
                Self::Activation(activation) => activation.build()?,
                Self::Quantised { edges } => Arc::new(staircase(edges)?),
                other => {
                    let what = "observation.noise after an output of kind";
                    return Err(ModelError::not_supported(what, other.kind()));
                }
            };
            return Ok(Arc::new(Additive::new(phi, noise)?));
        }
        let exactly = |phi| Arc::new(Noiseless::new(phi));
        Ok(match self {
            Self::Activation(Activation::Tanh) => Arc::new(Invertible::new(Tanh)),
            Self::Activation(Activation::Sigmoid) => Arc::new(Invertible::new(Sigmoid)),
            Self::Activation(Activation::Erf) => Arc::new(Invertible::new(Erf)),
            Self::Activation(Activation::Custom(_)) => {
                let what = "an output without noise of kind";
                return Err(ModelError::not_supported(what, "custom"));
            }
            Self::Activation(activation) => {
                let phi = activation.build()?;
                exactly(PiecewiseLinear::new(phi.pieces().iter().copied())?)
            }
            Self::Quantised { edges } => exactly(staircase(edges)?),
            Self::Probit { noise } if *noise == 0.0 => exactly(PiecewiseLinear::sign()),
            Self::Probit { noise } => {
                Arc::new(Blurred::new(exactly(PiecewiseLinear::sign()), *noise)?)
            }
            Self::Logistic => Arc::new(Logistic),
            Self::Poisson => Arc::new(Poisson::rectified()),
            Self::PoissonLog => Arc::new(Poisson::exponential()),
            Self::Modulus => return Err(ModelError::not_supported("output", self.kind())),
        })
    }

    pub(crate) fn read(reader: &Reader<'_>) -> Result<Self, ModelError> {
        let table = reader.tagged("kind")?;
        if table.is_one_of(activation::KINDS) {
            Activation::read(reader).map(Self::Activation)
        } else if table.is_one_of(KINDS) {
            reader.one_of("output", KINDS)
        } else {
            let allowed = format!("{}, {}", names(activation::KINDS), names(KINDS));
            Err(table.unknown_kind("output", allowed))
        }
    }
}

/// The index, from 0, of the cell between edges.
fn staircase(edges: &[f64]) -> Result<PiecewiseLinear, ModelError> {
    let ends = |i: usize| edges.get(i).copied().unwrap_or(f64::INFINITY);
    let cells = (0..=edges.len()).map(|i| Piece {
        lower: i.checked_sub(1).map_or(f64::NEG_INFINITY, ends),
        upper: ends(i),
        offset: i as f64,
        slope: 0.0,
    });
    Ok(PiecewiseLinear::new(cells)?)
}

pub(crate) const KINDS: &Kinds<Output> = &[
    ("probit", |t| {
        Ok(Output::Probit {
            noise: t.number_or("noise", 1.0, Range::NotNegative)?,
        })
    }),
    ("logistic", |_| Ok(Output::Logistic)),
    ("poisson", |_| Ok(Output::Poisson)),
    ("poisson-log", |_| Ok(Output::PoissonLog)),
    ("quantised", |t| {
        let list = t.need("edges")?;
        let mut edges: Vec<f64> = Vec::new();
        for reader in list.list()? {
            let edge = reader.number(Range::Finite)?;
            if let Some(last) = edges.last().filter(|last| edge <= **last) {
                return Err(reader.out_of_range(&format!("greater than {last}"), edge));
            }
            edges.push(edge);
        }
        Ok(Output::Quantised { edges })
    }),
    ("modulus", |_| Ok(Output::Modulus)),
];
