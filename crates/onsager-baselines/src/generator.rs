//! Networks of rectifiers with given weights.

use std::fmt;
use std::sync::Arc;

use onsager_operators::{LinearOperator, Shape};

use crate::BaselineError;
use crate::error::{checked, fitting};

/// `G(z) = φ(W_L ⋯ φ(W_1 z/√k_0) ⋯ /√k_{L-1})` with `φ(h) = h` for `h > 0` and `s h` below.
///
/// Weights have entries of unit variance, `k_l x k_{l-1}`; the division is done here. `G` is positively
/// homogeneous: `G(c z) = c G(z)` for `c > 0`.
///
/// ```
/// use std::sync::Arc;
/// use onsager_baselines::Generator;
/// use onsager_operators::{Dense, Shape};
///
/// let w = Dense::new(Shape::new(2, 1), vec![3.0, -3.0])?;
/// let generator = Generator::relu(vec![Arc::new(w)])?;
/// assert_eq!(generator.signal(&[2.0])?, [6.0, 0.0]);
/// assert_eq!(generator.signal(&[-2.0])?, [0.0, 6.0]);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct Generator {
    weights: Vec<Arc<dyn LinearOperator>>,
    slope: f64,
}

impl Generator {
    /// Weights from the latent outwards, under `φ(h) = max(h, 0)`.
    ///
    /// # Errors
    /// No weights; an image that is not the argument of the next ones.
    pub fn relu(weights: Vec<Arc<dyn LinearOperator>>) -> Result<Self, BaselineError> {
        Self::leaky(weights, 0.0)
    }

    /// The same with slope `s` below zero, in `[0, 1]`: 1 is a linear network.
    ///
    /// # Errors
    /// As for [`Generator::relu`]; a slope outside `[0, 1]`.
    pub fn leaky(weights: Vec<Arc<dyn LinearOperator>>, slope: f64) -> Result<Self, BaselineError> {
        if weights.is_empty() {
            return Err(BaselineError::NoLayers);
        }
        for pair in weights.windows(2) {
            let (inner, outer) = (pair[0].shape(), pair[1].shape());
            fitting("weights", Shape::new(outer.rows, inner.rows), outer)?;
        }
        checked(
            "slope below zero",
            "in [0, 1]",
            slope,
            (0.0..=1.0).contains(&slope),
        )?;
        Ok(Self { weights, slope })
    }

    /// `k_0`, the length of a latent.
    #[must_use]
    pub fn latent_size(&self) -> usize {
        self.weights[0].shape().columns
    }

    /// `p = k_L`, the length of a signal.
    #[must_use]
    pub fn signal_size(&self) -> usize {
        self.weights[self.weights.len() - 1].shape().rows
    }

    /// `G(z)`.
    ///
    /// # Errors
    /// A latent of another length.
    pub fn signal(&self, latent: &[f64]) -> Result<Vec<f64>, BaselineError> {
        let shape = Shape::new(self.latent_size(), 1);
        fitting("latent", shape, Shape::new(latent.len(), 1))?;
        let fields = self.fields(self.field(0, latent));
        Ok(self.output(&fields))
    }

    /// Number of layers.
    pub(crate) fn depth(&self) -> usize {
        self.weights.len()
    }

    /// `W_1 z/√k_0`, or the same in another layer: one product.
    pub(crate) fn field(&self, layer: usize, x: &[f64]) -> Vec<f64> {
        let weights = &self.weights[layer];
        let mut field = vec![0.0; weights.shape().rows];
        weights.apply_column(x, &mut field);
        let scale = (x.len() as f64).sqrt().recip();
        field.iter_mut().for_each(|h| *h *= scale);
        field
    }

    /// The fields of all layers from the first one: a product for every other layer.
    pub(crate) fn fields(&self, first: Vec<f64>) -> Vec<Vec<f64>> {
        let mut fields = vec![first];
        for layer in 1..self.depth() {
            let x = self.output(&fields);
            fields.push(self.field(layer, &x));
        }
        fields
    }

    /// `φ` of the last field.
    pub(crate) fn output(&self, fields: &[Vec<f64>]) -> Vec<f64> {
        let last = fields.last().map_or(&[][..], Vec::as_slice);
        last.iter().map(|h| h * self.slope_at(*h)).collect()
    }

    /// `(∂G/∂z)ᵀ v` from the fields of all layers: a product for every layer.
    pub(crate) fn pulled_back(&self, fields: &[Vec<f64>], mut v: Vec<f64>) -> Vec<f64> {
        for (weights, field) in self.weights.iter().zip(fields).rev() {
            let columns = weights.shape().columns;
            let scale = (columns as f64).sqrt().recip();
            let slopes = field.iter().map(|h| scale * self.slope_at(*h));
            v.iter_mut().zip(slopes).for_each(|(v, slope)| *v *= slope);
            let mut inner = vec![0.0; columns];
            weights.apply_adjoint_column(&v, &mut inner);
            v = inner;
        }
        v
    }

    fn slope_at(&self, field: f64) -> f64 {
        if field > 0.0 { 1.0 } else { self.slope }
    }
}

impl fmt::Debug for Generator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<_> = self.weights.iter().map(|w| w.shape()).collect();
        f.debug_struct("Generator")
            .field("weights", &shapes)
            .field("slope", &self.slope)
            .finish()
    }
}
