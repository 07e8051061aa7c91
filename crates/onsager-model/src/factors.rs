//! Factors of trees that are not chains.

use serde::Serialize;

use crate::ModelError;
use crate::law::Law;
use crate::observation::Observation;
use crate::reader::{Kinds, Reader};
use crate::signal::Layer;
use crate::weights::Weights;

/// A factor as declared in a file: what it does, and the variables it joins.
///
/// ```
/// use onsager_model::{FactorDeclaration, FactorRule};
/// let sum = FactorDeclaration {
///     from: vec!["a".into(), "b".into()],
///     to: vec!["x".into()],
///     rule: FactorRule::Sum,
/// };
/// assert_eq!(sum.from.len(), 2);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct FactorDeclaration {
    /// What it does.
    #[serde(flatten)]
    pub rule: FactorRule,
    /// Variables on the latent side.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub from: Vec<String>,
    /// Variables on the outer side.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub to: Vec<String>,
}

/// What a declared factor does.
///
/// ```
/// assert_ne!(onsager_model::FactorRule::Sum, onsager_model::FactorRule::Copy);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FactorRule {
    /// One variable is the sum of the others.
    Sum,
    /// Several variables are equal.
    Copy,
    /// One variable is the others, end to end.
    Concat,
    /// `to = W from`.
    Linear {
        /// The matrix.
        weights: Weights,
    },
    /// A whole layer.
    Layer(Box<Layer>),
    /// Independent components.
    Prior {
        /// Their law.
        prior: Law,
    },
    /// Data.
    Likelihood {
        /// What is seen of the variable.
        observation: Box<Observation>,
    },
}

impl FactorDeclaration {
    pub(crate) fn read(reader: &Reader<'_>) -> Result<Self, ModelError> {
        let mut table = reader.tagged("kind")?;
        let (from, to) = (table.texts("from")?, table.texts("to")?);
        let rule = table.one_of("factor", KINDS)?;
        table.finish()?;
        Ok(Self { rule, from, to })
    }
}

pub(crate) const KINDS: &Kinds<FactorRule> = &[
    ("sum", |_| Ok(FactorRule::Sum)),
    ("copy", |_| Ok(FactorRule::Copy)),
    ("concat", |_| Ok(FactorRule::Concat)),
    ("linear", |t| {
        Ok(FactorRule::Linear {
            weights: Weights::read(&t.need("weights")?)?,
        })
    }),
    ("layer", |t| {
        Layer::read_map(t).map(|layer| FactorRule::Layer(Box::new(layer)))
    }),
    ("prior", |t| {
        Ok(FactorRule::Prior {
            prior: Law::read(&t.need("prior")?)?,
        })
    }),
    ("likelihood", |t| {
        Ok(FactorRule::Likelihood {
            observation: Box::new(Observation::read(&t.need("observation")?)?),
        })
    }),
];
