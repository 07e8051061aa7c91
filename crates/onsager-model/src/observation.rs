//! How a variable is looked at.

use serde::Serialize;

use crate::ModelError;
use crate::law::Law;
use crate::output::Output;
use crate::reader::{Kinds, Range, Reader};
use crate::signal::Signal;
use crate::weights::Weights;

/// An observation of one variable.
///
/// ```
/// use onsager_model::{Observation, ObservationKind};
/// let o = Observation::from(ObservationKind::SpikedWigner { noise: 0.5 });
/// assert_eq!((o.on, o.kind.name()), (None, "spiked-wigner"));
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Observation {
    /// The variable looked at; absent, it is the signal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub on: Option<String>,
    /// How.
    #[serde(flatten)]
    pub kind: ObservationKind,
}

/// What is seen of a variable `x` of `p` components.
///
/// ```
/// assert_eq!(onsager_model::ObservationKind::Denoising { noise: 1.0 }.name(), "denoising");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ObservationKind {
    /// `Y = x xᵀ/√p + √noise ξ`, `ξ` symmetric.
    SpikedWigner {
        /// The variance, positive.
        noise: f64,
    },
    /// `Y = u xᵀ/√p + √noise ξ`, `Y` of shape `n × p`.
    SpikedWishart {
        /// The variance, positive.
        noise: f64,
        /// `n/p`, positive.
        aspect: f64,
        /// The left factor `u`.
        left: Box<Signal>,
    },
    /// `y = x + √noise n`.
    Denoising {
        /// The variance, positive.
        noise: f64,
    },
    /// `y = output(A x) + √noise n`.
    Glm {
        /// The matrix `A`, aspect `n/p`.
        sensing: Weights,
        /// What happens to the field.
        output: Output,
        /// The variance after the output, not negative.
        noise: f64,
    },
}

impl From<ObservationKind> for Observation {
    fn from(kind: ObservationKind) -> Self {
        Self { on: None, kind }
    }
}

impl ObservationKind {
    /// The name of the kind in files.
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::SpikedWigner { .. } => "spiked-wigner",
            Self::SpikedWishart { .. } => "spiked-wishart",
            Self::Denoising { .. } => "denoising",
            Self::Glm { .. } => "glm",
        }
    }
}

impl Observation {
    pub(crate) fn read(reader: &Reader<'_>) -> Result<Self, ModelError> {
        let mut table = reader.tagged("kind")?;
        let on = table.text_if_given("on")?;
        let kind = table.one_of("observation", KINDS)?;
        table.finish()?;
        Ok(Self { on, kind })
    }
}

pub(crate) const KINDS: &Kinds<ObservationKind> = &[
    ("spiked-wigner", |t| {
        Ok(ObservationKind::SpikedWigner {
            noise: t.number("noise", Range::Positive)?,
        })
    }),
    ("spiked-wishart", |t| {
        Ok(ObservationKind::SpikedWishart {
            noise: t.number("noise", Range::Positive)?,
            aspect: t.number("aspect", Range::Positive)?,
            left: Box::new(match t.get("left") {
                None => Signal::of(Law::gaussian()),
                Some(left) if left.has("prior") => Signal::read(&left)?,
                Some(left) => Signal::of(Law::read(&left)?),
            }),
        })
    }),
    ("denoising", |t| {
        Ok(ObservationKind::Denoising {
            noise: t.number("noise", Range::Positive)?,
        })
    }),
    ("glm", |t| {
        Ok(ObservationKind::Glm {
            sensing: Weights::read(&t.need("sensing")?)?,
            output: match t.get("output") {
                None => Output::Activation(crate::Activation::Linear),
                Some(output) => Output::read(&output)?,
            },
            noise: t.number_or("noise", 0.0, Range::NotNegative)?,
        })
    }),
];
