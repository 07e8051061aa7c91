use crate::ModelError;
use crate::activation::Activation;
use crate::inference::Inference;
use crate::law::Law;
use crate::model::{Field, Model};
use crate::observation::{Observation, ObservationKind};
use crate::output::Output;
use crate::signal::{Layer, Signal};
use crate::weights::Weights;

/// Builds a chain in Rust; the observation closes it and checks every number.
///
/// ```
/// use onsager_model::{Activation, Law, Model};
///
/// let model = Model::builder()
///     .prior(Law::sparse(0.1))
///     .layer(2.0, Activation::Relu)
///     .named("h")
///     .layer(3.0, Activation::Sign)
///     .denoising(1.0)?;
/// assert_eq!(model.variables(), ["z", "h", "x"]);
/// let error = Model::builder().prior(Law::sparse(1.5)).denoising(1.0).unwrap_err();
/// assert_eq!(error.to_string(), "signal.prior.sparsity must be in (0, 1], got 1.5");
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[derive(Debug, Clone, Default)]
pub struct Builder {
    name: Option<String>,
    prior: Option<Law>,
    latent: Option<String>,
    signal: Option<String>,
    layers: Vec<Layer>,
    inference: Inference,
}

impl Builder {
    /// A title for the model.
    #[must_use]
    pub fn name(mut self, name: &str) -> Self {
        self.name = Some(name.to_string());
        self
    }

    /// The law of the latent (of the signal itself without layers); standard Gaussian by default.
    #[must_use]
    pub fn prior(mut self, law: Law) -> Self {
        self.prior = Some(law);
        self
    }

    /// Adds a layer with Gaussian weights; `aspect` is rows over columns.
    #[must_use]
    pub fn layer(self, aspect: f64, activation: Activation) -> Self {
        self.add(Layer::new(aspect, activation))
    }

    /// Adds any layer.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "the word of a builder, no arithmetic"
    )]
    pub fn add(mut self, layer: Layer) -> Self {
        self.layers.push(layer);
        self
    }

    /// Names the variable declared last: the latent, or the output of the last layer.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        let slot = match self.layers.last_mut() {
            Some(layer) => &mut layer.name,
            None => &mut self.latent,
        };
        *slot = Some(name.to_string());
        self
    }

    /// Names the signal, `x` by default.
    #[must_use]
    pub fn signal_name(mut self, name: &str) -> Self {
        self.signal = Some(name.to_string());
        self
    }

    /// Defaults of the algorithms.
    #[must_use]
    pub fn inference(mut self, inference: Inference) -> Self {
        self.inference = inference;
        self
    }

    /// Observes `Y = x xᵀ/√p + √noise ξ`.
    ///
    /// # Errors
    /// A number out of its range, a repeated name.
    pub fn spiked_wigner(self, noise: f64) -> Result<Model, ModelError> {
        self.observe([ObservationKind::SpikedWigner { noise }.into()])
    }

    /// Observes `Y = u xᵀ/√p + √noise ξ`, `aspect` rows per component of `x`.
    ///
    /// # Errors
    /// As for [`Builder::spiked_wigner`].
    pub fn spiked_wishart(self, noise: f64, aspect: f64, left: Law) -> Result<Model, ModelError> {
        let left = Box::new(Signal::of(left));
        let kind = ObservationKind::SpikedWishart {
            noise,
            aspect,
            left,
        };
        self.observe([kind.into()])
    }

    /// Observes `y = x + √noise n`.
    ///
    /// # Errors
    /// As for [`Builder::spiked_wigner`].
    pub fn denoising(self, noise: f64) -> Result<Model, ModelError> {
        self.observe([ObservationKind::Denoising { noise }.into()])
    }

    /// Observes `y = output(A x) + √noise n`.
    ///
    /// # Errors
    /// As for [`Builder::spiked_wigner`].
    pub fn glm(
        self,
        sensing: Weights,
        output: impl Into<Output>,
        noise: f64,
    ) -> Result<Model, ModelError> {
        let kind = ObservationKind::Glm {
            sensing,
            output: output.into(),
            noise,
        };
        self.observe([kind.into()])
    }

    /// Closes the model with any observations.
    ///
    /// # Errors
    /// As for [`Builder::spiked_wigner`].
    pub fn observe(
        self,
        observations: impl IntoIterator<Item = Observation>,
    ) -> Result<Model, ModelError> {
        let signal = Signal {
            // The only variable of a signal without layers is the signal.
            name: match self.layers.is_empty() {
                true => self.signal.or(self.latent.clone()),
                false => self.signal,
            },
            latent: self.latent.filter(|_| !self.layers.is_empty()),
            prior: self.prior.unwrap_or_else(Law::gaussian),
            layers: self.layers,
        };
        let model = Model {
            name: self.name,
            field: Field::Real,
            signal: Some(signal),
            observations: observations.into_iter().collect(),
            factors: Vec::new(),
            student: None,
            inference: self.inference,
        };
        model.check()?;
        Ok(model)
    }
}
