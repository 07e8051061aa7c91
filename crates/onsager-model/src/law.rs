//! Laws of independent components, and penalties.

use std::sync::Arc;

use onsager_scalar::prior::{self, Mixture, Prior, Truncated};
use serde::Serialize;

use crate::ModelError;
use crate::custom::Custom;
use crate::reader::{Kinds, Range, Reader};

/// The law of the components of a latent, or a penalty for the posterior mode.
///
/// In a file, a bare name (`prior = "rademacher"`) or a table with a `kind`. `sparsity` is the
/// probability of a nonzero. Ranges are checked when a file is read and when the law is built.
///
/// ```
/// use onsager_model::Law;
/// let law = Law::GaussBernoulli { sparsity: 0.1, mean: 0.0, variance: 1.0 };
/// assert_eq!(law.build()?.second_moment(), 0.1);
/// let refused = Law::L1 { strength: 1.0 }.build().unwrap_err();
/// assert_eq!(refused.to_string(), "prior \"l1\" is not supported yet");
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Law {
    /// `N(mean, variance)`.
    Gaussian {
        /// Mean.
        mean: f64,
        /// Variance, positive.
        variance: f64,
    },
    /// `±1`, fair.
    Rademacher,
    /// `+1` with this probability, else `-1`.
    Binary {
        /// Probability of `+1`, in (0, 1).
        probability: f64,
    },
    /// 1 with probability `sparsity`, else 0.
    Bernoulli {
        /// Probability of 1, in (0, 1).
        sparsity: f64,
    },
    /// `N(mean, variance)` with probability `sparsity`, else 0.
    GaussBernoulli {
        /// Probability of a nonzero, in (0, 1].
        sparsity: f64,
        /// Mean of the nonzero part.
        mean: f64,
        /// Variance of the nonzero part, positive.
        variance: f64,
    },
    /// `±1` with probability `sparsity`, else 0.
    RademacherBernoulli {
        /// Probability of a nonzero, in (0, 1].
        sparsity: f64,
    },
    /// Density `exp(-x/mean)/mean` on `x > 0`.
    Exponential {
        /// Mean, positive.
        mean: f64,
    },
    /// Density `exp(-|x|/scale)/(2 scale)`.
    Laplace {
        /// Scale, positive.
        scale: f64,
    },
    /// `|N(0, scale²)|`.
    HalfNormal {
        /// Scale, positive.
        scale: f64,
    },
    /// Uniform on `[low, high]`.
    Uniform {
        /// Lower end.
        low: f64,
        /// Upper end, greater than `low`.
        high: f64,
    },
    /// Gaussian parts and point masses; weights count relative to their sum.
    Mixture {
        /// The parts.
        components: Vec<Component>,
    },
    /// Penalty `strength |x|`.
    L1 {
        /// Its strength, positive.
        strength: f64,
    },
    /// Penalty `strength x²/2`.
    L2 {
        /// Its strength, positive.
        strength: f64,
    },
    /// Penalty `l1 |x| + l2 x²/2`.
    ElasticNet {
        /// Strength of `|x|`.
        l1: f64,
        /// Strength of `x²/2`.
        l2: f64,
    },
    /// Penalty `strength ‖x_g‖` on every group of `group` consecutive components.
    GroupL21 {
        /// Its strength, positive.
        strength: f64,
        /// Components in a group.
        group: f64,
    },
    /// Zero on `x >= 0`, infinite below.
    Nonnegative,
    /// A law of the user's own.
    Custom(Custom<dyn Prior>),
}

/// One part of [`Law::Mixture`]; variance 0 is a point mass.
///
/// ```
/// let half = onsager_model::Component { weight: 0.5, mean: 1.0, variance: 0.0 };
/// assert_eq!(half.variance, 0.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Component {
    /// Weight, positive.
    pub weight: f64,
    /// Mean.
    pub mean: f64,
    /// Variance, not negative.
    pub variance: f64,
}

impl Law {
    /// `N(0, 1)`.
    #[must_use]
    pub fn gaussian() -> Self {
        Self::Gaussian {
            mean: 0.0,
            variance: 1.0,
        }
    }

    /// `N(0, 1)` with probability `sparsity`, else 0.
    #[must_use]
    pub fn sparse(sparsity: f64) -> Self {
        Self::GaussBernoulli {
            sparsity,
            mean: 0.0,
            variance: 1.0,
        }
    }

    /// A law of the user's own.
    #[must_use]
    pub fn custom(law: Arc<dyn Prior>) -> Self {
        Self::Custom(Custom(law))
    }

    /// The law itself.
    ///
    /// # Errors
    /// [`ModelError::NotSupported`] for kinds without an implementation; parameters out of range.
    pub fn build(&self) -> Result<Arc<dyn Prior>, ModelError> {
        Ok(match self {
            Self::Gaussian { mean, variance } => Arc::new(prior::Gaussian::new(*mean, *variance)?),
            Self::Rademacher => Arc::new(prior::Rademacher),
            Self::GaussBernoulli {
                sparsity,
                mean,
                variance,
            } => Arc::new(prior::GaussBernoulli::new(*sparsity, *mean, *variance)?),
            Self::Binary { probability } => Arc::new(Mixture::binary(*probability)?),
            Self::Bernoulli { sparsity } => Arc::new(Mixture::bernoulli(*sparsity)?),
            Self::Exponential { mean } => Arc::new(Truncated::exponential(*mean)?),
            Self::Laplace { scale } => Arc::new(Truncated::laplace(*scale)?),
            Self::HalfNormal { scale } => Arc::new(Truncated::half_normal(*scale)?),
            Self::Uniform { low, high } => Arc::new(Truncated::uniform(*low, *high)?),
            Self::RademacherBernoulli { sparsity } => {
                Arc::new(Mixture::rademacher_bernoulli(*sparsity)?)
            }
            Self::Mixture { components } => Arc::new(Mixture::new(components.iter().map(|c| {
                let (mean, variance) = (c.mean, c.variance);
                (c.weight, prior::Scale { mean, variance })
            }))?),
            Self::Custom(law) => law.0.clone(),
            other => return Err(ModelError::not_supported("prior", other.kind())),
        })
    }

    /// The name of the kind in files.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Gaussian { .. } => "gaussian",
            Self::Rademacher => "rademacher",
            Self::Binary { .. } => "binary",
            Self::Bernoulli { .. } => "bernoulli",
            Self::GaussBernoulli { .. } => "gauss-bernoulli",
            Self::RademacherBernoulli { .. } => "rademacher-bernoulli",
            Self::Exponential { .. } => "exponential",
            Self::Laplace { .. } => "laplace",
            Self::HalfNormal { .. } => "half-normal",
            Self::Uniform { .. } => "uniform",
            Self::Mixture { .. } => "mixture",
            Self::L1 { .. } => "l1",
            Self::L2 { .. } => "l2",
            Self::ElasticNet { .. } => "elastic-net",
            Self::GroupL21 { .. } => "group-l21",
            Self::Nonnegative => "nonnegative",
            Self::Custom(_) => "custom",
        }
    }

    pub(crate) fn read(reader: &Reader<'_>) -> Result<Self, ModelError> {
        reader.one_of("prior", KINDS)
    }
}

pub(crate) const KINDS: &Kinds<Law> = &[
    ("gaussian", |t| {
        Ok(Law::Gaussian {
            mean: t.number_or("mean", 0.0, Range::Finite)?,
            variance: t.number_or("variance", 1.0, Range::Positive)?,
        })
    }),
    ("rademacher", |_| Ok(Law::Rademacher)),
    ("binary", |t| {
        Ok(Law::Binary {
            probability: t.number("probability", Range::OpenProbability)?,
        })
    }),
    ("bernoulli", |t| {
        Ok(Law::Bernoulli {
            sparsity: t.number("sparsity", Range::OpenProbability)?,
        })
    }),
    ("gauss-bernoulli", |t| {
        Ok(Law::GaussBernoulli {
            sparsity: t.number("sparsity", Range::Probability)?,
            mean: t.number_or("mean", 0.0, Range::Finite)?,
            variance: t.number_or("variance", 1.0, Range::Positive)?,
        })
    }),
    ("rademacher-bernoulli", |t| {
        Ok(Law::RademacherBernoulli {
            sparsity: t.number("sparsity", Range::Probability)?,
        })
    }),
    ("exponential", |t| {
        Ok(Law::Exponential {
            mean: t.number("mean", Range::Positive)?,
        })
    }),
    ("laplace", |t| {
        Ok(Law::Laplace {
            scale: t.number_or("scale", 1.0, Range::Positive)?,
        })
    }),
    ("half-normal", |t| {
        Ok(Law::HalfNormal {
            scale: t.number_or("scale", 1.0, Range::Positive)?,
        })
    }),
    ("uniform", |t| {
        let low = t.number("low", Range::Finite)?;
        let upper = t.need("high")?;
        let high = upper.number(Range::Finite)?;
        if high <= low {
            return Err(upper.out_of_range(&format!("greater than low = {low}"), high));
        }
        Ok(Law::Uniform { low, high })
    }),
    ("mixture", |t| {
        let parts = t.need("components")?;
        let components = parts.list()?;
        if components.is_empty() {
            return Err(parts.fail(ModelError::Type {
                key: parts.key.clone(),
                expected: "a list of one table or more".to_string(),
                found: "an empty list".to_string(),
            }));
        }
        let components = components.iter().map(|component| {
            let mut t = component.table()?;
            let component = Component {
                weight: t.number("weight", Range::Positive)?,
                mean: t.number_or("mean", 0.0, Range::Finite)?,
                variance: t.number_or("variance", 1.0, Range::NotNegative)?,
            };
            t.finish()?;
            Ok(component)
        });
        Ok(Law::Mixture {
            components: components.collect::<Result<_, ModelError>>()?,
        })
    }),
    ("l1", |t| {
        Ok(Law::L1 {
            strength: t.number_or("strength", 1.0, Range::Positive)?,
        })
    }),
    ("l2", |t| {
        Ok(Law::L2 {
            strength: t.number_or("strength", 1.0, Range::Positive)?,
        })
    }),
    ("elastic-net", |t| {
        Ok(Law::ElasticNet {
            l1: t.number_or("l1", 1.0, Range::Positive)?,
            l2: t.number_or("l2", 1.0, Range::Positive)?,
        })
    }),
    ("group-l21", |t| {
        let strength = t.number_or("strength", 1.0, Range::Positive)?;
        let size = t.need("group")?;
        let group = size.number(Range::AtLeastOne)?;
        if group.fract() != 0.0 {
            return Err(size.out_of_range("a whole number", group));
        }
        Ok(Law::GroupL21 { strength, group })
    }),
    ("nonnegative", |_| Ok(Law::Nonnegative)),
];
