//! Componentwise functions of a layer.

use std::sync::Arc;

use onsager_scalar::activation::{self as scalar, Piece, PiecewiseLinear, Smooth};
use serde::Serialize;

use crate::ModelError;
use crate::custom::Custom;
use crate::reader::{Kinds, Range, Reader};

/// The function `x = φ(h)` of a layer.
///
/// In a file, a bare name (`activation = "relu"`) or a table with a `kind`.
///
/// ```
/// use onsager_model::Activation;
/// assert_eq!(Activation::Relu.build()?.apply(-3.0), 0.0);
/// let refused = Activation::Door { width: -1.0 }.build().unwrap_err();
/// assert_eq!(refused.to_string(), "width must be finite and positive, got -1");
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "kind", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Activation {
    /// `h`.
    Linear,
    /// `sign h`.
    Sign,
    /// `max(h, 0)`.
    Relu,
    /// `h` above zero, `slope · h` below.
    LeakyRelu {
        /// The slope below zero.
        slope: f64,
    },
    /// `|h|`.
    Abs,
    /// `h` cut at -1 and 1.
    HardTanh,
    /// `-1` on `|h| < width`, `+1` outside.
    Door {
        /// Half the width of the door, positive.
        width: f64,
    },
    /// `tanh h`.
    Tanh,
    /// `1/(1 + exp(-h))`.
    Sigmoid,
    /// `erf h`.
    Erf,
    /// Affine pieces.
    PiecewiseLinear {
        /// The pieces, from left to right.
        pieces: Vec<AffinePiece>,
    },
    /// A function of the user's own.
    Custom(Custom<dyn onsager_scalar::Activation>),
}

/// `offset + slope · h` on `lower < h < upper`; an absent end is infinite.
///
/// ```
/// let p = onsager_model::AffinePiece { lower: None, upper: Some(0.0), offset: 0.0, slope: -1.0 };
/// assert_eq!(p.slope, -1.0);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct AffinePiece {
    /// Lower end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub lower: Option<f64>,
    /// Upper end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub upper: Option<f64>,
    /// Value of the affine function at zero.
    pub offset: f64,
    /// Its slope.
    pub slope: f64,
}

impl Activation {
    /// A function of the user's own.
    #[must_use]
    pub fn custom(activation: Arc<dyn onsager_scalar::Activation>) -> Self {
        Self::Custom(Custom(activation))
    }

    /// The function itself.
    ///
    /// # Errors
    /// Parameters out of range, pieces that do not cover the line.
    pub fn build(&self) -> Result<Arc<dyn onsager_scalar::Activation>, ModelError> {
        Ok(match self {
            Self::Linear => Arc::new(PiecewiseLinear::linear()),
            Self::Sign => Arc::new(PiecewiseLinear::sign()),
            Self::Relu => Arc::new(PiecewiseLinear::relu()),
            Self::Abs => Arc::new(PiecewiseLinear::abs()),
            Self::LeakyRelu { slope } => Arc::new(PiecewiseLinear::leaky_relu(*slope)?),
            Self::HardTanh => Arc::new(PiecewiseLinear::hard_tanh()),
            Self::Door { width } => Arc::new(PiecewiseLinear::door(*width)?),
            Self::PiecewiseLinear { pieces } => {
                Arc::new(PiecewiseLinear::new(pieces.iter().map(|p| Piece {
                    lower: p.lower.unwrap_or(f64::NEG_INFINITY),
                    upper: p.upper.unwrap_or(f64::INFINITY),
                    offset: p.offset,
                    slope: p.slope,
                }))?)
            }
            Self::Tanh => Arc::new(Smooth::new(scalar::Tanh)),
            Self::Sigmoid => Arc::new(Smooth::new(scalar::Sigmoid)),
            Self::Erf => Arc::new(Smooth::new(scalar::Erf)),
            Self::Custom(activation) => activation.0.clone(),
        })
    }

    /// The name of the kind in files.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Sign => "sign",
            Self::Relu => "relu",
            Self::LeakyRelu { .. } => "leaky-relu",
            Self::Abs => "abs",
            Self::HardTanh => "hard-tanh",
            Self::Door { .. } => "door",
            Self::Tanh => "tanh",
            Self::Sigmoid => "sigmoid",
            Self::Erf => "erf",
            Self::PiecewiseLinear { .. } => "piecewise-linear",
            Self::Custom(_) => "custom",
        }
    }

    pub(crate) fn read(reader: &Reader<'_>) -> Result<Self, ModelError> {
        reader.one_of("activation", KINDS)
    }
}

pub(crate) const KINDS: &Kinds<Activation> = &[
    ("linear", |_| Ok(Activation::Linear)),
    ("sign", |_| Ok(Activation::Sign)),
    ("relu", |_| Ok(Activation::Relu)),
    ("leaky-relu", |t| {
        Ok(Activation::LeakyRelu {
            slope: t.number("slope", Range::Finite)?,
        })
    }),
    ("abs", |_| Ok(Activation::Abs)),
    ("hard-tanh", |_| Ok(Activation::HardTanh)),
    ("door", |t| {
        Ok(Activation::Door {
            width: t.number("width", Range::Positive)?,
        })
    }),
    ("tanh", |_| Ok(Activation::Tanh)),
    ("sigmoid", |_| Ok(Activation::Sigmoid)),
    ("erf", |_| Ok(Activation::Erf)),
    ("piecewise-linear", |t| {
        let list = t.need("pieces")?;
        let readers = list.list()?;
        let mut pieces: Vec<AffinePiece> = Vec::with_capacity(readers.len());
        for (i, reader) in readers.iter().enumerate() {
            let mut t = reader.table()?;
            let mut end = |key| t.get(key).map(|r| r.number(Range::Finite)).transpose();
            let (lower, upper) = (end("lower")?, end("upper")?);
            pieces.push(AffinePiece {
                lower,
                upper,
                offset: t.number_or("offset", 0.0, Range::Finite)?,
                slope: t.number_or("slope", 0.0, Range::Finite)?,
            });
            t.finish()?;
            let piece = pieces[i];
            let starts = if i == 0 { None } else { pieces[i - 1].upper };
            let wide = match (piece.lower, piece.upper) {
                (Some(lower), Some(upper)) => lower < upper,
                _ => true,
            };
            let closed = piece.upper.is_some() != (i + 1 == readers.len());
            if piece.lower != starts || (i > 0 && starts.is_none()) || !wide || !closed {
                return Err(reader.fail(gap(&reader.key)));
            }
        }
        if pieces.is_empty() {
            return Err(list.fail(gap(&list.key)));
        }
        Ok(Activation::PiecewiseLinear { pieces })
    }),
];

fn gap(key: &str) -> ModelError {
    ModelError::Type {
        key: key.to_string(),
        expected: "pieces that cover the line from left to right without a gap".to_string(),
        found: "a piece that does not join its neighbours".to_string(),
    }
}
