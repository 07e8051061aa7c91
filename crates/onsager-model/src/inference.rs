//! Defaults of the algorithms.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::ModelError;
use crate::reader::{Kinds, Reader};

/// What the algorithms estimate, and by which rule.
///
/// ```
/// use onsager_model::{Estimator, Inference};
/// assert_eq!(Inference::default().estimator, Estimator::Mmse);
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize)]
pub struct Inference {
    /// Posterior mean or posterior mode.
    pub estimator: Estimator,
    /// Rule at linear and spiked factors.
    pub rule: Rule,
    /// Rules of single layers, by the name of the variable they put out.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub layers: BTreeMap<String, Rule>,
}

/// Which estimate is computed.
///
/// ```
/// assert_eq!(onsager_model::Estimator::default(), onsager_model::Estimator::Mmse);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Estimator {
    /// Posterior mean.
    #[default]
    Mmse,
    /// Posterior mode.
    Map,
}

/// How a linear factor answers.
///
/// ```
/// assert_eq!(onsager_model::Rule::default(), onsager_model::Rule::Onsager);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Rule {
    /// Independent entries: two products and a memory term.
    #[default]
    Onsager,
    /// Any spectrum: one decomposition, linear estimation.
    Lmmse,
}

impl Inference {
    pub(crate) fn read(reader: &Reader<'_>) -> Result<Self, ModelError> {
        let mut table = reader.table()?;
        let estimator = match table.get("estimator") {
            None => Estimator::default(),
            Some(reader) => reader.one_of("estimator", ESTIMATORS)?,
        };
        let rule = match table.get("rule") {
            None => Rule::default(),
            Some(reader) => Rule::read(&reader)?,
        };
        let layers = match table.get("layers") {
            None => BTreeMap::new(),
            Some(reader) => (reader.table()?.entries().into_iter())
                .map(|(name, reader)| Ok((name, Rule::read(&reader)?)))
                .collect::<Result<_, ModelError>>()?,
        };
        table.finish()?;
        Ok(Self {
            estimator,
            rule,
            layers,
        })
    }
}

impl Rule {
    fn read(reader: &Reader<'_>) -> Result<Self, ModelError> {
        // A layer may also be a table, `layers.h1.rule = "lmmse"`.
        if reader.has("rule") {
            let mut table = reader.table()?;
            let rule = Self::read(&table.need("rule")?)?;
            table.finish()?;
            return Ok(rule);
        }
        reader.one_of("rule", RULES)
    }
}

const ESTIMATORS: &Kinds<Estimator> = &[
    ("mmse", |_| Ok(Estimator::Mmse)),
    ("map", |_| Ok(Estimator::Map)),
];

const RULES: &Kinds<Rule> = &[
    ("onsager", |_| Ok(Rule::Onsager)),
    ("lmmse", |_| Ok(Rule::Lmmse)),
];
