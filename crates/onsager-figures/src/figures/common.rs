//! What figures share: instances at realised sizes, trials on named streams.

use std::sync::Arc;

use onsager_amp::{Outcome, Problem, Settings, infer};
use onsager_ensembles::Seed;
use onsager_model::{Chain, Instance, Teacher, Tree};
use onsager_scalar::activation::PiecewiseLinear;
use onsager_scalar::prior::{Gaussian, Rademacher};
use onsager_scalar::{Activation, Prior};

use crate::agreement::Sample;
use crate::{Context, FigureError};

/// The activations of the talk by name: `linear`, `sign`, `relu`.
pub(crate) fn activation(name: &str) -> Arc<dyn Activation> {
    Arc::new(match name {
        "sign" => PiecewiseLinear::sign(),
        "relu" => PiecewiseLinear::relu(),
        _ => PiecewiseLinear::linear(),
    })
}

/// The standard Gaussian law of latents.
pub(crate) fn gaussian() -> Arc<dyn Prior> {
    Arc::new(Gaussian::standard())
}

/// Fair signs.
pub(crate) fn rademacher() -> Arc<dyn Prior> {
    Arc::new(Rademacher)
}

/// A chain on a standard Gaussian latent: layers of (aspect, activation), latent first.
pub(crate) fn layered(layers: &[(f64, &str)]) -> Chain {
    layers.iter().fold(Chain::new(gaussian()), |chain, (aspect, name)| {
        chain.layer(*aspect, activation(name))
    })
}

/// A tree at a finite size: theory is evaluated on `tree`, whose ratios are the rounded ones.
pub(crate) struct Sized {
    pub(crate) tree: Tree,
    pub(crate) sizes: Vec<usize>,
}

impl Sized {
    /// The tree with `p` components of the signal.
    pub(crate) fn new(tree: &Tree, p: usize) -> Result<Self, FigureError> {
        let sizes = tree.sizes(tree.signal_index(), p);
        Ok(Self { tree: tree.realised(&sizes)?, sizes })
    }

    /// The size of the signal.
    pub(crate) fn p(&self) -> usize {
        self.sizes[self.tree.signal_index()]
    }

    /// One realisation with a teacher of fixed norm and composition; `seed` decides it.
    pub(crate) fn draw(&self, seed: Seed) -> Result<Instance, FigureError> {
        let stream = |purpose: &str| seed.stream("instance", 0, 0, purpose);
        Ok(Instance::draw(&self.tree, &self.sizes, stream, Teacher::fixed())?)
    }

    /// Message passing on one realisation.
    pub(crate) fn infer(
        &self,
        instance: &Instance,
        settings: &Settings,
    ) -> Result<Outcome, FigureError> {
        Ok(infer(&Problem::new(&self.tree, instance)?, settings)?)
    }
}

/// Runs independent trials, one after another: threads work over points.
pub(crate) fn trials<T>(
    context: &Context,
    count: usize,
    mut trial: impl FnMut(Seed) -> Result<T, FigureError>,
) -> Result<Vec<T>, FigureError> {
    (0..count)
        .map(|t| {
            context.check()?;
            trial(Seed(context.seed(t as u64, "trial")))
        })
        .collect()
}

/// The mean of `values` without the part that `controls` explain, numbers of the same trials whose
/// expectation is known to be zero.
///
/// Linear regression on the controls: its coefficients are estimated from the same trials, which
/// biases the mean by less than its standard error over their number.
pub(crate) fn controlled(values: &[f64], controls: &[Vec<f64>]) -> Sample {
    let mean = |v: &[f64]| v.iter().sum::<f64>() / v.len() as f64;
    let covariance = |a: &[f64], b: &[f64]| {
        let (ma, mb) = (mean(a), mean(b));
        a.iter().zip(b).map(|(a, b)| (a - ma) * (b - mb)).sum::<f64>()
    };
    let remove = |from: &mut [f64], control: &[f64]| {
        let slope = covariance(from, control) / covariance(control, control);
        // A control that is constant, or explained by those before it, explains nothing.
        if slope.is_finite() {
            from.iter_mut().zip(control).for_each(|(v, c)| *v -= slope * c);
        }
    };
    let (mut values, mut used) = (values.to_vec(), Vec::<Vec<f64>>::new());
    for control in controls {
        let mut rest = control.clone();
        used.iter().for_each(|before| remove(&mut rest, before));
        // What is left by rounding of a control explained by those before it.
        if covariance(&rest, &rest) > 1e-18 * covariance(control, control) {
            remove(&mut values, &rest);
            used.push(rest);
        }
    }
    let sample = Sample::of(&values);
    let (count, spent) = (values.len() as f64, used.len() as f64);
    Sample {
        // Every coefficient costs one degree of freedom.
        standard_error: sample.standard_error * ((count - 1.0) / (count - 1.0 - spent)).sqrt(),
        ..sample
    }
}

/// The three sizes of an agreement.
pub(crate) fn ladder(n: usize) -> [usize; 3] {
    [n / 4, n / 2, n]
}
