//! Matrices: drawn from an ensemble, or given.

use serde::Serialize;

use crate::activation::Activation;
use crate::reader::{Kinds, Range, Reader, Table};
use crate::{Entries, ModelError};

/// The matrix of a layer or of a measurement.
///
/// ```
/// use onsager_model::Weights;
/// assert_eq!(Weights::gaussian(2.0).kind(), "gaussian");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Weights {
    /// Drawn when the model is sampled.
    Drawn {
        /// From where.
        #[serde(flatten)]
        ensemble: Ensemble,
        /// Rows over columns, positive.
        aspect: f64,
    },
    /// Read from a file; sizes are then fixed.
    Given(Tensor),
}

/// A law of matrices; entries have variance 1/columns unless said otherwise.
///
/// ```
/// assert_eq!(onsager_model::Ensemble::OrthogonalColumns.kind(), "orthogonal-columns");
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(tag = "ensemble", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Ensemble {
    /// Independent Gaussian entries.
    Gaussian,
    /// Independent signs.
    Rademacher,
    /// Independent entries, each nonzero with probability `sparsity`.
    Sparse {
        /// Probability of a nonzero, in (0, 1].
        sparsity: f64,
    },
    /// Rows or columns of a uniform orthogonal matrix.
    Haar,
    /// Orthogonal columns.
    OrthogonalColumns,
    /// Random rows of the Fourier matrix.
    Fourier,
    /// Random rows of a Hadamard matrix.
    Hadamard,
    /// Random rows of the cosine transform.
    Dct,
    /// A product of two Gaussian matrices.
    Product {
        /// Inner size over columns, positive.
        inner: f64,
    },
    /// `φ(F X)` with Gaussian `F` and `X`.
    RandomFeature {
        /// Inner size over columns, positive.
        inner: f64,
        /// The function `φ`.
        activation: Activation,
    },
    /// Singular values spaced evenly on a logarithmic scale, Haar vectors.
    LogSpaced {
        /// Largest over smallest singular value, at least 1.
        condition: f64,
    },
}

/// An array in a file (npy, safetensors).
///
/// ```
/// let w = onsager_model::Tensor { file: "decoder.safetensors".into(), tensor: Some("w1".into()) };
/// assert_eq!(w.file, "decoder.safetensors");
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Tensor {
    /// Path of the file.
    pub file: String,
    /// Name of the array, for files that hold several.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tensor: Option<String>,
}

impl Weights {
    /// Independent Gaussian entries of variance 1/columns.
    #[must_use]
    pub fn gaussian(aspect: f64) -> Self {
        Self::Drawn {
            ensemble: Ensemble::Gaussian,
            aspect,
        }
    }

    /// The name of the ensemble, or "file".
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Drawn { ensemble, .. } => ensemble.kind(),
            Self::Given(_) => "file",
        }
    }

    /// The aspect and the law of the entries, for matrices of independent ones.
    pub(crate) fn independent(&self) -> Result<(f64, Entries), ModelError> {
        let (ensemble, aspect) = match self {
            Self::Drawn { ensemble, aspect } => (ensemble, aspect),
            Self::Given(tensor) => {
                return Err(ModelError::not_supported("weights file", &tensor.file));
            }
        };
        let entries = match *ensemble {
            Ensemble::Gaussian => Entries::Gaussian,
            Ensemble::Rademacher => Entries::Rademacher,
            Ensemble::Sparse { sparsity } => Entries::Sparse { sparsity },
            _ => return Err(ModelError::not_supported("ensemble", ensemble.kind())),
        };
        Ok((*aspect, entries))
    }

    pub(crate) fn read(reader: &Reader<'_>) -> Result<Self, ModelError> {
        if reader.has("file") && !reader.has("ensemble") {
            return Tensor::read(reader).map(Self::Given);
        }
        let mut table = reader.tagged("ensemble")?;
        let aspect = table.number("aspect", Range::Positive)?;
        let ensemble = table.one_of("ensemble", KINDS)?;
        table.finish()?;
        Ok(Self::Drawn { ensemble, aspect })
    }
}

impl Ensemble {
    /// The name of the kind in files.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Gaussian => "gaussian",
            Self::Rademacher => "rademacher",
            Self::Sparse { .. } => "sparse",
            Self::Haar => "haar",
            Self::OrthogonalColumns => "orthogonal-columns",
            Self::Fourier => "fourier",
            Self::Hadamard => "hadamard",
            Self::Dct => "dct",
            Self::Product { .. } => "product",
            Self::RandomFeature { .. } => "random-feature",
            Self::LogSpaced { .. } => "log-spaced",
        }
    }
}

impl Tensor {
    pub(crate) fn read(reader: &Reader<'_>) -> Result<Self, ModelError> {
        let mut table = reader.table()?;
        let tensor = Self {
            file: table.need("file")?.text()?,
            tensor: table.text_if_given("tensor")?,
        };
        table.finish()?;
        Ok(tensor)
    }
}

pub(crate) const KINDS: &Kinds<Ensemble> = &[
    ("gaussian", |_| Ok(Ensemble::Gaussian)),
    ("rademacher", |_| Ok(Ensemble::Rademacher)),
    ("sparse", |t| {
        Ok(Ensemble::Sparse {
            sparsity: t.number("sparsity", Range::Probability)?,
        })
    }),
    ("haar", |_| Ok(Ensemble::Haar)),
    ("orthogonal-columns", |_| Ok(Ensemble::OrthogonalColumns)),
    ("fourier", |_| Ok(Ensemble::Fourier)),
    ("hadamard", |_| Ok(Ensemble::Hadamard)),
    ("dct", |_| Ok(Ensemble::Dct)),
    ("product", |t| Ok(Ensemble::Product { inner: inner(t)? })),
    ("random-feature", |t| {
        Ok(Ensemble::RandomFeature {
            inner: inner(t)?,
            activation: Activation::read(&t.need("activation")?)?,
        })
    }),
    ("log-spaced", |t| {
        Ok(Ensemble::LogSpaced {
            condition: t.number("condition", Range::AtLeastOne)?,
        })
    }),
];

fn inner(t: &mut Table<'_>) -> Result<f64, ModelError> {
    t.number_or("inner", 1.0, Range::Positive)
}
