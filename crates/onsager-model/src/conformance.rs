//! Random declarations: strategies of proptest for every part of the grammar.
//!
//! `spread` sets how far numbers reach: positive ones lie between `exp(-spread)` and
//! `exp(spread)`, probabilities above `exp(-spread)`. The strategies under [`runnable`] are the
//! same, restricted to what has an implementation, which they find out by asking: a kind that is
//! implemented tomorrow is drawn tomorrow.
//!
//! ```
//! use onsager_model::{Model, conformance};
//! use proptest::prelude::*;
//!
//! proptest!(|(model in conformance::model(3.0))| {
//!     let text = model.to_toml().unwrap();
//!     prop_assert_eq!(text.parse::<Model>().unwrap(), model);
//! });
//! proptest!(ProptestConfig::with_cases(32), |(model in conformance::runnable::model(2.0, 3))| {
//!     prop_assert!(model.tree().is_ok());
//! });
//! ```

use proptest::collection::vec;
use proptest::prelude::{Just, Strategy, prop_oneof};

use crate::{
    Activation, AffinePiece, Bias, Builder, Component, Ensemble, Law, Layer, Model, ModelError,
    Output, Weights,
};

fn positive(spread: f64) -> impl Strategy<Value = f64> + Clone {
    (-spread..spread).prop_map(f64::exp)
}

/// In (0, 1), below 1 by more than rounding.
fn probability(spread: f64) -> impl Strategy<Value = f64> {
    (-spread..-1e-9f64).prop_map(f64::exp)
}

/// A number of either sign.
fn number(spread: f64) -> std::ops::Range<f64> {
    -spread..spread
}

/// Every law of the grammar.
///
/// ```
/// # use proptest::prelude::*;
/// proptest!(|(law in onsager_model::conformance::law(2.0))| {
///     prop_assert!(!law.kind().is_empty());
/// });
/// ```
pub fn law(spread: f64) -> impl Strategy<Value = Law> + Clone {
    let s = spread;
    let component = || {
        let variance = prop_oneof![Just(0.0), positive(s)];
        (positive(s), number(s), variance).prop_map(|(weight, mean, variance)| Component {
            weight,
            mean,
            variance,
        })
    };
    let centre = || prop_oneof![Just(0.0), number(s)];
    prop_oneof![
        (centre(), positive(s)).prop_map(|(mean, variance)| Law::Gaussian { mean, variance }),
        Just(Law::Rademacher),
        probability(s).prop_map(|probability| Law::Binary { probability }),
        probability(s).prop_map(|sparsity| Law::Bernoulli { sparsity }),
        (probability(s), centre(), positive(s)).prop_map(|(sparsity, mean, variance)| {
            Law::GaussBernoulli {
                sparsity,
                mean,
                variance,
            }
        }),
        probability(s).prop_map(|sparsity| Law::RademacherBernoulli { sparsity }),
        positive(s).prop_map(|mean| Law::Exponential { mean }),
        positive(s).prop_map(|scale| Law::Laplace { scale }),
        positive(s).prop_map(|scale| Law::HalfNormal { scale }),
        (number(s), positive(s)).prop_map(|(low, width)| Law::Uniform {
            low,
            high: low + width
        }),
        vec(component(), 1..4).prop_map(|components| Law::Mixture { components }),
        positive(s).prop_map(|strength| Law::L1 { strength }),
        positive(s).prop_map(|strength| Law::L2 { strength }),
        (positive(s), positive(s)).prop_map(|(l1, l2)| Law::ElasticNet { l1, l2 }),
        (positive(s), 1..9).prop_map(|(strength, group)| Law::GroupL21 {
            strength,
            group: f64::from(group),
        }),
        Just(Law::Nonnegative),
    ]
    .boxed()
}

/// Every activation of the grammar.
///
/// ```
/// # use proptest::prelude::*;
/// proptest!(|(phi in onsager_model::conformance::activation(2.0))| {
///     prop_assert!(!phi.kind().is_empty());
/// });
/// ```
pub fn activation(spread: f64) -> impl Strategy<Value = Activation> + Clone {
    let s = spread;
    let piece = |lower, upper, offset, slope| AffinePiece {
        lower,
        upper,
        offset,
        slope,
    };
    let pieces = move |(edge, width, outer, slope): (f64, f64, f64, f64)| {
        let next = edge + width;
        Activation::PiecewiseLinear {
            pieces: vec![
                piece(None, Some(edge), -outer, 0.0),
                piece(Some(edge), Some(next), 0.0, slope),
                piece(Some(next), None, outer, 0.5 * slope),
            ],
        }
    };
    prop_oneof![
        Just(Activation::Linear),
        Just(Activation::Sign),
        Just(Activation::Relu),
        Just(Activation::Abs),
        Just(Activation::HardTanh),
        Just(Activation::Tanh),
        Just(Activation::Sigmoid),
        Just(Activation::Erf),
        (-2.0..2.0).prop_map(|slope| Activation::LeakyRelu { slope }),
        positive(s).prop_map(|width| Activation::Door { width }),
        (number(s), positive(s), number(s), number(s)).prop_map(pieces),
    ]
    .boxed()
}

/// Every ensemble of the grammar, at any aspect.
///
/// ```
/// # use proptest::prelude::*;
/// proptest!(|(weights in onsager_model::conformance::weights(2.0))| {
///     prop_assert!(!weights.kind().is_empty());
/// });
/// ```
pub fn weights(spread: f64) -> impl Strategy<Value = Weights> + Clone {
    let s = spread;
    let ensemble = prop_oneof![
        Just(Ensemble::Gaussian),
        Just(Ensemble::Rademacher),
        Just(Ensemble::Haar),
        Just(Ensemble::OrthogonalColumns),
        Just(Ensemble::Fourier),
        Just(Ensemble::Hadamard),
        Just(Ensemble::Dct),
        probability(s).prop_map(|sparsity| Ensemble::Sparse { sparsity }),
        positive(s).prop_map(|inner| Ensemble::Product { inner }),
        (positive(s), activation(s))
            .prop_map(|(inner, activation)| Ensemble::RandomFeature { inner, activation }),
        (1.0..1e9).prop_map(|condition| Ensemble::LogSpaced { condition }),
    ];
    (ensemble, positive(s))
        .prop_map(|(ensemble, aspect)| Weights::Drawn { ensemble, aspect })
        .boxed()
}

/// Every layer of the grammar, biases and noises included.
///
/// ```
/// # use proptest::prelude::*;
/// proptest!(|(layer in onsager_model::conformance::layer(2.0))| {
///     prop_assert!(layer.noise >= 0.0);
/// });
/// ```
pub fn layer(spread: f64) -> impl Strategy<Value = Layer> + Clone {
    let s = spread;
    let bias = prop_oneof![
        Just(Bias::default()),
        number(s).prop_map(Bias::Number),
        law(s).prop_map(Bias::Law)
    ];
    let noise = || prop_oneof![Just(0.0), positive(s)];
    (weights(s), activation(s), bias, noise(), noise())
        .prop_map(|(weights, activation, bias, noise_before, noise)| Layer {
            name: None,
            weights,
            activation,
            bias,
            noise_before,
            noise,
        })
        .boxed()
}

/// Every output of a generalised linear model.
///
/// ```
/// # use proptest::prelude::*;
/// proptest!(|(output in onsager_model::conformance::output(2.0))| {
///     prop_assert!(!output.kind().is_empty());
/// });
/// ```
pub fn output(spread: f64) -> impl Strategy<Value = Output> + Clone {
    let s = spread;
    prop_oneof![
        activation(s).prop_map(Output::from),
        positive(s).prop_map(|noise| Output::Probit { noise }),
        Just(Output::Logistic),
        Just(Output::Poisson),
        Just(Output::PoissonLog),
        (number(s), positive(s)).prop_map(|(edge, width)| Output::Quantised {
            edges: vec![edge, edge + width]
        }),
        Just(Output::Modulus),
    ]
    .boxed()
}

/// Every chain of up to three layers with every observation.
///
/// ```
/// # use proptest::prelude::*;
/// proptest!(|(model in onsager_model::conformance::model(2.0))| {
///     prop_assert!(model.variables().len() <= 4);
/// });
/// ```
pub fn model(spread: f64) -> impl Strategy<Value = Model> + Clone {
    let chain = (law(spread), vec(layer(spread), 0..4));
    observed(chain.prop_map(signal), spread)
}

fn signal((law, layers): (Law, Vec<Layer>)) -> Builder {
    (layers.into_iter()).fold(Model::builder().prior(law), Builder::add)
}

/// A signal under every observation.
fn observed(
    signal: impl Strategy<Value = Builder> + Clone + 'static,
    spread: f64,
) -> impl Strategy<Value = Model> + Clone {
    /// Strategies stay inside the ranges of the grammar.
    const CLOSED: &str = "a model within its ranges";
    type Close = fn(Builder, f64) -> Result<Model, ModelError>;
    let s = spread;
    let simple = |signal, close: Close| {
        (signal, positive(s)).prop_map(move |(x, noise)| close(x, noise).expect(CLOSED))
    };
    prop_oneof![
        simple(signal.clone(), Builder::spiked_wigner),
        simple(signal.clone(), Builder::denoising),
        (signal.clone(), positive(s), positive(s), law(s)).prop_map(|(x, noise, aspect, left)| x
            .spiked_wishart(noise, aspect, left)
            .expect(CLOSED)),
        measured(signal, s),
    ]
    .boxed()
}

/// A signal under a generalised linear model.
fn measured(
    signal: impl Strategy<Value = Builder> + Clone + 'static,
    s: f64,
) -> impl Strategy<Value = Model> + Clone {
    let closed = |(x, sensing, output, noise): (Builder, Weights, Output, f64)| {
        let model = x.glm(sensing, output, noise);
        model.expect("a model within its ranges")
    };
    (signal, weights(s), output(s), positive(s)).prop_map(closed)
}

/// The same, restricted to what runs.
pub mod runnable {
    use proptest::strategy::{Just, Strategy, Union};

    use super::{measured, observed, signal};
    use crate::{Activation, Bias, Law, Layer, Model, Weights};

    /// Laws with an implementation.
    ///
    /// ```
    /// # use proptest::prelude::*;
    /// proptest!(|(law in onsager_model::conformance::runnable::law(2.0))| {
    ///     prop_assert!(law.build().is_ok());
    /// });
    /// ```
    pub fn law(spread: f64) -> impl Strategy<Value = Law> + Clone {
        super::law(spread).prop_filter("not implemented", |law| law.build().is_ok())
    }

    /// Activations with an implementation.
    ///
    /// ```
    /// # use proptest::prelude::*;
    /// proptest!(|(phi in onsager_model::conformance::runnable::activation(2.0))| {
    ///     prop_assert!(phi.build().is_ok());
    /// });
    /// ```
    pub fn activation(spread: f64) -> impl Strategy<Value = Activation> + Clone {
        super::activation(spread).prop_filter("not implemented", |phi| phi.build().is_ok())
    }

    /// Layers that a tree can hold. What is still refused in a layer (a bias, noise) is left out.
    fn layer(spread: f64) -> impl Strategy<Value = Layer> + Clone {
        let weights = super::weights(spread)
            .prop_filter("not surveyed yet", |w: &Weights| w.kind() == "gaussian");
        let noise = || Union::new([Just(0.0).boxed(), super::positive(spread).boxed()]);
        let all = (weights, activation(spread), noise(), noise());
        all.prop_map(|(weights, activation, noise_before, noise)| Layer {
            name: None,
            weights,
            activation,
            bias: Bias::default(),
            noise_before,
            noise,
        })
        .prop_filter("not implemented", |layer: &Layer| {
            let chain = Model::builder().add(layer.clone()).denoising(1.0);
            chain.and_then(|model| model.tree()).is_ok()
        })
    }

    /// Models of exactly `depth` layers whose tree both readings can walk; for generalised linear models see
    /// [`measurements`], matrices with other than Gaussian entries are left out for now. Noises are relative to
    /// the signal: within `exp(±spread)` of `E x²` when it is observed itself, of its square when
    /// it is the spike of a matrix.
    ///
    /// ```
    /// # use proptest::prelude::*;
    /// proptest!(|(model in onsager_model::conformance::runnable::model(2.0, 1))| {
    ///     prop_assert_eq!(model.variables().len(), 2);
    /// });
    /// ```
    pub fn model(spread: f64, depth: usize) -> impl Strategy<Value = Model> + Clone {
        let layers = proptest::collection::vec(layer(spread), depth);
        let chain = (law(spread), layers).prop_map(signal);
        observed(chain, spread)
            .prop_map(scaled)
            .prop_filter("not surveyed yet", |model| {
                model.observations.iter().all(|o| o.kind.name() != "glm")
            })
            .prop_filter("not implemented", |model| model.tree().is_ok())
            .boxed()
    }

    /// Generalised linear models of exactly `depth` layers. Noises are relative to the signal, as for
    /// [`model`], and absent as often as not.
    ///
    /// ```
    /// # use proptest::prelude::*;
    /// proptest!(|(model in onsager_model::conformance::runnable::measurements(2.0, 1))| {
    ///     prop_assert_eq!(model.observations[0].kind.name(), "glm");
    /// });
    /// ```
    pub fn measurements(spread: f64, depth: usize) -> impl Strategy<Value = Model> + Clone {
        use crate::ObservationKind::Glm;
        let layers = proptest::collection::vec(layer(spread), depth);
        let chain = (law(spread), layers).prop_map(signal);
        let quiet = |(mut model, exact): (Model, bool)| {
            let kind = model.observations.first_mut().map(|o| &mut o.kind);
            if let Some(Glm { noise, .. }) = kind.filter(|_| exact) {
                *noise = 0.0;
            }
            model
        };
        (measured(chain, spread), proptest::bool::ANY)
            .prop_map(quiet)
            .prop_map(scaled)
            .prop_filter("not implemented", |model| model.tree().is_ok())
            .boxed()
    }

    /// Multiplies the noise by the power of the signal.
    fn scaled(mut model: Model) -> Model {
        use crate::ObservationKind::{Denoising, Glm, SpikedWigner};
        if let Ok(tree) = model.tree() {
            let rho = tree.signal().second_moment;
            match model.observations.first_mut().map(|o| &mut o.kind) {
                Some(SpikedWigner { noise }) => *noise *= rho * rho,
                Some(Denoising { noise } | Glm { noise, .. }) => *noise *= rho,
                _ => {}
            }
        }
        model
    }
}
