//! The chain from a latent to the signal.

use std::sync::Arc;

use onsager_scalar::activation::Noisy;
use serde::Serialize;

use crate::activation::Activation;
use crate::law::Law;
use crate::reader::{Range, Reader};
use crate::weights::{Tensor, Weights};
use crate::{Chain, ModelError};

/// A latent law followed by layers; without layers the law is that of the signal itself.
///
/// ```
/// use onsager_model::{Activation, Law, Layer, Signal};
/// let mut signal = Signal::of(Law::gaussian());
/// signal.layers = vec![Layer::new(2.0, Activation::Relu), Layer::new(0.5, Activation::Sign)];
/// assert_eq!(signal.variables(), ["z", "h1", "x"]);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Signal {
    /// Name of the signal, `x` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Name of the latent, `z` by default.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latent: Option<String>,
    /// Law of the latent.
    pub prior: Law,
    /// Layers, from the latent outwards.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub layers: Vec<Layer>,
}

/// `x = φ(W z/√columns + bias)`, with Gaussian noise before and after `φ`.
///
/// ```
/// use onsager_model::{Activation, Layer};
/// assert_eq!(Layer::new(2.0, Activation::Sign).noise, 0.0);
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Layer {
    /// Name of the variable that the layer puts out.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The matrix.
    pub weights: Weights,
    /// The function.
    pub activation: Activation,
    /// What is added to the field.
    #[serde(skip_serializing_if = "Bias::is_zero")]
    pub bias: Bias,
    /// Variance of the noise before the activation.
    #[serde(skip_serializing_if = "is_zero")]
    pub noise_before: f64,
    /// Variance of the noise after the activation.
    #[serde(skip_serializing_if = "is_zero")]
    pub noise: f64,
}

/// The bias of a layer.
///
/// ```
/// assert!(onsager_model::Bias::default().is_zero());
/// ```
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
#[non_exhaustive]
pub enum Bias {
    /// One number for all components.
    Number(f64),
    /// Independent components.
    Law(Law),
    /// Given.
    Given(Tensor),
}

impl Default for Bias {
    fn default() -> Self {
        Self::Number(0.0)
    }
}

impl Bias {
    /// Whether there is none.
    #[must_use]
    pub fn is_zero(&self) -> bool {
        *self == Self::Number(0.0)
    }

    fn read(reader: &Reader<'_>) -> Result<Self, ModelError> {
        if reader.is_number() {
            reader.number(Range::Finite).map(Self::Number)
        } else if reader.has("file") {
            Tensor::read(reader).map(Self::Given)
        } else {
            Law::read(reader).map(Self::Law)
        }
    }
}

fn is_zero(x: &f64) -> bool {
    *x == 0.0
}

impl Signal {
    /// A signal of independent components.
    #[must_use]
    pub fn of(prior: Law) -> Self {
        Self {
            name: None,
            latent: None,
            prior,
            layers: Vec::new(),
        }
    }

    /// Names of the variables, latent first, signal last: `z, h1, h2, ..., x` by default.
    #[must_use]
    pub fn variables(&self) -> Vec<String> {
        self.names("x", "")
    }

    /// The names, with defaults for the signal and with a prefix of the default names below it.
    pub(crate) fn names(&self, signal: &str, prefix: &str) -> Vec<String> {
        let depth = self.layers.len();
        let given = |name: &Option<String>, default: String| name.clone().unwrap_or(default);
        let signal = given(&self.name, signal.to_string());
        let Some(last) = self.layers.last() else {
            return vec![signal];
        };
        let latent = given(&self.latent, format!("{prefix}z"));
        let hidden = (self.layers[..depth - 1].iter().enumerate())
            .map(|(l, layer)| given(&layer.name, format!("{prefix}h{}", l + 1)));
        let last = given(&last.name, signal);
        std::iter::once(latent)
            .chain(hidden)
            .chain(std::iter::once(last))
            .collect()
    }

    /// The chain of laws and functions, for the engines.
    pub(crate) fn chain(&self) -> Result<Chain, ModelError> {
        let mut chain = Chain::new(self.prior.build()?);
        for layer in &self.layers {
            if !layer.bias.is_zero() {
                return Err(ModelError::not_supported("layer with", "bias"));
            }
            let (aspect, entries) = layer.weights.independent()?;
            chain = chain.entries(entries).layer(aspect, layer.function()?);
        }
        Ok(chain)
    }

    pub(crate) fn read(reader: &Reader<'_>) -> Result<Self, ModelError> {
        let mut table = reader.table()?;
        let name = table.text_if_given("name")?;
        let latent = table.text_if_given("latent")?;
        let prior = Law::read(&table.need("prior")?)?;
        let layers = table.each("layers", Layer::read)?;
        table.finish()?;
        let signal = Self {
            name,
            latent,
            prior,
            layers,
        };
        signal.check().map_err(|error| reader.fail(error))?;
        Ok(signal)
    }

    /// Puts a law of the grammar in place of each of the user's own.
    pub(crate) fn forget_custom_laws(&mut self) {
        if let Law::Custom(_) = self.prior {
            self.prior = Law::gaussian();
        }
        for layer in &mut self.layers {
            if let Activation::Custom(_) = layer.activation {
                layer.activation = Activation::Linear;
            }
            if let Bias::Law(Law::Custom(_)) = layer.bias {
                layer.bias = Bias::default();
            }
        }
    }

    fn check(&self) -> Result<(), ModelError> {
        if let (Some(name), Some(last)) =
            (&self.name, self.layers.last().and_then(|l| l.name.as_ref()))
            && name != last
        {
            return Err(ModelError::Both(
                format!("signal name \"{name}\""),
                format!("last layer's name \"{last}\""),
            ));
        }
        let names = self.variables();
        match (names.iter().enumerate()).find(|(i, name)| names[..*i].contains(name)) {
            Some((_, name)) => Err(ModelError::RepeatedName(name.clone())),
            None => Ok(()),
        }
    }
}

impl Layer {
    /// A layer with Gaussian weights, without bias or noise; `aspect` is rows over columns.
    #[must_use]
    pub fn new(aspect: f64, activation: Activation) -> Self {
        Self {
            name: None,
            weights: Weights::gaussian(aspect),
            activation,
            bias: Bias::default(),
            noise_before: 0.0,
            noise: 0.0,
        }
    }

    /// The activation between its noises.
    ///
    /// # Errors
    /// As for [`Activation::build`]; noises that are not finite or negative.
    pub fn function(&self) -> Result<Arc<dyn onsager_scalar::Activation>, ModelError> {
        let phi = self.activation.build()?;
        if self.noise_before == 0.0 && self.noise == 0.0 {
            return Ok(phi);
        }
        Ok(Arc::new(Noisy::new(phi, self.noise_before, self.noise)?))
    }

    fn read(reader: &Reader<'_>) -> Result<Self, ModelError> {
        let mut table = reader.table()?;
        let layer = Self {
            name: table.text_if_given("name")?,
            ..Self::read_map(&mut table)?
        };
        table.finish()?;
        Ok(layer)
    }

    /// The keys that a layer shares with a factor of kind "layer".
    pub(crate) fn read_map(table: &mut crate::reader::Table<'_>) -> Result<Self, ModelError> {
        Ok(Self {
            name: None,
            weights: Weights::read(&table.need("weights")?)?,
            activation: match table.get("activation") {
                None => Activation::Linear,
                Some(reader) => Activation::read(&reader)?,
            },
            bias: match table.get("bias") {
                None => Bias::default(),
                Some(reader) => Bias::read(&reader)?,
            },
            noise_before: table.number_or("noise_before", 0.0, Range::NotNegative)?,
            noise: table.number_or("noise", 0.0, Range::NotNegative)?,
        })
    }
}
