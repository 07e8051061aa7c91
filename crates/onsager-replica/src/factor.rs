//! A factor of the tree, read asymptotically: an average.
//!
//! Outwards an edge carries what is known about a component ([`Belief`]), inwards the
//! signal-to-noise ratio of the message about it. This is the only file that knows which average
//! belongs to which kind of factor.

use std::fmt::Debug;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use onsager_model::{Factor, FactorKind, Tree};
use onsager_scalar::{Activation, Likelihood, Prior, activation::Parity};

use crate::ReplicaError;
use crate::average::{self, LabelErrors, Order, OutputAverage, Overlap};
use crate::chain::StateEvolution;
use crate::curve::Curve;
use crate::threshold::Key;

/// A factor as a map from incoming to outgoing orders.
///
/// - **Arguments**: `inner`, what is known of the variable on the latent side; `outer_snr`, the
///   signal-to-noise ratio of the message about the variable on the far side.
/// - **Monotone**: more knowledge or more signal never lowers an outgoing order.
pub(crate) trait FactorAverage: Debug + Send + Sync {
    /// Outgoing orders and share of the potential per component of the outer variable.
    fn pass(&self, inner: Belief, outer_snr: f64) -> Result<Passage, ReplicaError>;

    /// Derivatives of [`FactorAverage::pass`], whose value is `base`; by differences unless known.
    fn response(
        &self,
        inner: Belief,
        outer_snr: f64,
        base: &Passage,
    ) -> Result<Response, ReplicaError> {
        differences(self, inner, outer_snr, base)
    }

    /// The same map for a believed precision that differs from the true gain and noise.
    fn pass_general(&self, inner: Overlap, outer: Order) -> Result<(Order, Overlap), ReplicaError>;

    /// `lim overlap/snr` of the outer variable at vanishing signal, from that of the inner one;
    /// `None` if the law shows through without any signal.
    fn susceptibility(&self, inner: f64) -> Option<f64>;

    /// What the map does to a Gaussian field, where it is componentwise.
    fn componentwise(&self) -> Option<Componentwise> {
        None
    }

    /// Rows over columns, for weights.
    fn aspect(&self) -> Option<f64> {
        None
    }

    /// Entropy in nats of a discrete law that has no inner variable.
    fn discrete_entropy(&self) -> Option<f64> {
        None
    }

    /// Dimension per component of a law that has no inner variable.
    fn dimension(&self) -> Option<f64> {
        None
    }

    /// How the data look at the signal, if this factor is an observation.
    fn observation(&self) -> Option<&dyn Observation> {
        None
    }
}

/// What a componentwise map does to a Gaussian field, and its symmetries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Componentwise {
    /// `E φ(h)`.
    pub(crate) mean: f64,
    /// `E[h φ(h)]/r`.
    pub(crate) gain: f64,
    /// `φ(-h) = φ(h)`: no message can tell the sign of the field.
    pub(crate) is_even: bool,
    /// `φ` takes finitely many values.
    pub(crate) is_discrete: bool,
    /// `φ` jumps: vanishing uncertainty of the field is resolved infinitely well.
    pub(crate) is_discontinuous: bool,
    /// Noise before or after `φ`: a known field does not tell the output.
    pub(crate) is_noisy: bool,
    /// Dimension of the output per component, as far as `φ` limits it.
    pub(crate) dimension: f64,
}

/// An observation with one parameter in which it gets harder: its *noise*. That of a generalised
/// linear model is the number of unknowns per measurement, `p/n`: with the law of the output fixed,
/// it is in closed form at every fixed point.
///
/// The data turn what is known of the signal into a message: to the signal itself, or to the other
/// factor of a [`Product`], which answers.
pub(crate) trait Observation: Debug + Send + Sync {
    /// The declared noise.
    fn noise(&self) -> f64;

    /// The noise at which the data make a message of ratio `snr` of a signal of which this is known.
    ///
    /// # Errors
    /// Here and below, an average that fails.
    fn noise_at(&self, known: Belief, snr: f64) -> Result<f64, ReplicaError>;

    /// `∂ snr/∂ overlap` of that message at fixed noise.
    fn snr_slope(&self, known: Belief, noise: f64) -> Result<f64, ReplicaError>;

    /// The ratio of the message to such a signal, at `noise`; the other factor of a product is at its
    /// optimal fixed point.
    fn snr_at(&self, known: Belief, noise: f64) -> Result<f64, ReplicaError>;

    /// The noise below which zero overlap of a signal with this `lim overlap/snr` is unstable;
    /// `None` if zero overlap is no fixed point, or the data do not depend on the overlap.
    fn weak_recovery(&self, susceptibility: f64) -> Result<Option<f64>, ReplicaError>;

    /// The other factor of a product.
    fn product(&self) -> Option<&Product> {
        None
    }

    /// Share of the potential, in proportion to `1/noise`; `left` is the overlap of the other factor of
    /// a product.
    fn share(&self, known: Belief, left: f64, noise: f64) -> Result<f64, ReplicaError>;

    /// The same with everything that belongs to the other factor of a product, at its optimal fixed
    /// point.
    fn potential(&self, known: Belief, noise: f64) -> Result<f64, ReplicaError> {
        self.share(known, 0.0, noise)
    }

    /// `information + potential` per component, for a signal of this second moment.
    fn constant(&self, second_moment: f64, noise: f64) -> f64;

    /// The message to a signal whose estimate is not a posterior mean.
    fn answer(&self, known: Overlap) -> Result<Order, ReplicaError> {
        let mmse = known.variance;
        let snr = |overlap| self.snr_at(Belief { overlap, mmse }, self.noise());
        Ok(Order {
            precision: snr(known.norm)?,
            gain: snr(known.truth)?,
            noise: snr(known.norm)?,
        })
    }

    /// The unit of the noises that are searched unless told otherwise, for a signal of this second
    /// moment.
    fn unit(&self, second_moment: f64) -> f64;

    /// What `noise` stands for.
    fn key(&self) -> Key {
        Key::Noise
    }

    /// [`Likelihood::sharpness`] of the output: data without noise tell more and more about a
    /// signal that is nearly known.
    fn sharpness(&self) -> Option<f64> {
        None
    }

    /// Errors on new outputs, if these are labels.
    fn label_errors(&self, _: Belief) -> Result<Option<LabelErrors>, ReplicaError> {
        Ok(None)
    }

    /// Whether the data do not change under `x → -x`, so that zero overlap can be a fixed point.
    fn is_even(&self) -> bool;

    /// The same observation at another noise.
    fn at(&self, noise: f64) -> Arc<dyn Observation>;
}

/// What is known of a component: `overlap + mmse` is its second moment.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Belief {
    /// `E[⟨x⟩²]`.
    pub(crate) overlap: f64,
    /// `E Var x`.
    pub(crate) mmse: f64,
}

impl Belief {
    /// Both numbers come from averages of their own; the larger one is known better through the
    /// other, since together they make `rho`.
    fn new(overlap: f64, mmse: f64, rho: f64) -> Self {
        if mmse < overlap {
            Self {
                overlap: rho - mmse,
                mmse,
            }
        } else {
            Self {
                overlap,
                mmse: rho - overlap,
            }
        }
    }
}

/// What a factor sends both ways.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Passage {
    /// Ratio of the message inwards.
    pub(crate) inner_snr: f64,
    /// Knowledge sent outwards.
    pub(crate) outer: Belief,
    /// Share of the potential per outer component, nats.
    pub(crate) potential: f64,
    /// Relative error estimate of the averages.
    pub(crate) error: f64,
}

/// Partial derivatives of a [`Passage`].
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub(crate) struct Response {
    /// `∂ inner_snr/∂ outer_snr`.
    pub(crate) snr_by_snr: f64,
    /// `∂ inner_snr/∂ inner overlap`.
    pub(crate) snr_by_overlap: f64,
    /// `∂ outer overlap/∂ outer_snr`.
    pub(crate) overlap_by_snr: f64,
    /// `∂ outer overlap/∂ inner overlap`.
    pub(crate) overlap_by_overlap: f64,
}

/// The average of a factor.
pub(crate) fn average_of(
    factor: &Factor,
    tree: &Tree,
) -> Result<Arc<dyn FactorAverage>, ReplicaError> {
    Ok(match &factor.kind {
        FactorKind::Prior(law) => Arc::new(Latent(Arc::clone(law))),
        FactorKind::Linear { aspect, .. } => Arc::new(Weights { aspect: *aspect }),
        FactorKind::Activation(phi) => Arc::new(Layer {
            phi: Arc::clone(phi),
            field_variance: tree.variables()[factor.variables[0]].second_moment,
            second_moment: tree.variables()[factor.variables[1]].second_moment,
        }),
        FactorKind::SpikedWigner { noise } => Arc::new(Observed(SpikedWigner { noise: *noise })),
        FactorKind::SpikedWishart { noise, aspect } => Arc::new(Observed(SpikedWishart {
            noise: *noise,
            product: Product::new(*aspect, StateEvolution::left_of(tree)?),
        })),
        FactorKind::Denoising { noise } => Arc::new(Observed(Denoising { noise: *noise })),
        _ => return Err(ReplicaError::NotSupported(format!("factor {factor}"))),
    })
}

/// The prior of the latent.
#[derive(Debug)]
struct Latent(Arc<dyn Prior>);

impl FactorAverage for Latent {
    fn pass(&self, _: Belief, outer_snr: f64) -> Result<Passage, ReplicaError> {
        let rho = self.0.second_moment();
        let found = average::prior(&*self.0, outer_snr).map_err(|e| failed("prior", e))?;
        Ok(Passage {
            inner_snr: 0.0,
            outer: Belief::new(found.overlap, found.mmse, rho),
            potential: found.potential,
            error: found.error,
        })
    }
    fn pass_general(&self, _: Overlap, outer: Order) -> Result<(Order, Overlap), ReplicaError> {
        let found = average::prior_general(&*self.0, &*self.0, outer);
        Ok((Order::matched(0.0), found.map_err(|e| failed("prior", e))?))
    }
    fn susceptibility(&self, _: f64) -> Option<f64> {
        // A mean that is a sum of rounded parts: its square is lost beside any overlap.
        let rho = self.0.second_moment();
        (self.0.mean().abs() <= 4.0 * f64::EPSILON * rho.sqrt()).then(|| rho.powi(2))
    }
    fn discrete_entropy(&self) -> Option<f64> {
        self.0.discrete_entropy()
    }
    fn dimension(&self) -> Option<f64> {
        Some(self.0.dimension())
    }
}

/// `h = W x/√(columns)` with independent entries, under the Onsager rule: the field inherits the
/// overlap, and `aspect` messages per column add up.
#[derive(Debug)]
struct Weights {
    aspect: f64,
}

impl FactorAverage for Weights {
    fn pass(&self, inner: Belief, outer_snr: f64) -> Result<Passage, ReplicaError> {
        Ok(Passage {
            inner_snr: self.aspect * outer_snr,
            outer: inner,
            // Both ends subtract snr · overlap/2; weighted by size these are equal, and only the
            // one of the inner variable belongs to the potential.
            potential: 0.5 * outer_snr * inner.overlap,
            error: 0.0,
        })
    }
    fn response(&self, _: Belief, _: f64, _: &Passage) -> Result<Response, ReplicaError> {
        Ok(Response {
            snr_by_snr: self.aspect,
            snr_by_overlap: 0.0,
            overlap_by_snr: 0.0,
            overlap_by_overlap: 1.0,
        })
    }
    fn pass_general(&self, inner: Overlap, outer: Order) -> Result<(Order, Overlap), ReplicaError> {
        let order = Order {
            precision: self.aspect * outer.precision,
            gain: self.aspect * outer.gain,
            noise: self.aspect * outer.noise,
        };
        Ok((order, inner))
    }
    fn susceptibility(&self, inner: f64) -> Option<f64> {
        Some(self.aspect * inner)
    }
    fn aspect(&self) -> Option<f64> {
        Some(self.aspect)
    }
}

/// Variance of a field that counts as known: with ratios up to 1e11 a continuous function does not
/// tell it from zero; below a jump curves end there.
pub(crate) const KNOWN: f64 = 1e-30;

/// Ratio of a message, in units of the inverse second moment, at which a variable above a function that bends
/// everywhere counts as known: only trajectories from the truth meet it, and averages keep few digits beyond.
const EXACT: f64 = 1e19;

/// `x = φ(h)`.
#[derive(Debug)]
struct Layer {
    phi: Arc<dyn Activation>,
    /// `E h²`.
    field_variance: f64,
    /// `E φ(h)²`.
    second_moment: f64,
}

impl FactorAverage for Layer {
    fn pass(&self, inner: Belief, outer_snr: f64) -> Result<Passage, ReplicaError> {
        // Not `min`, which would take a message that is not a number for an exact one.
        let exact = EXACT / self.second_moment;
        let held = self.phi.bend().is_some() && outer_snr > exact;
        let snr = if held { exact } else { outer_snr };
        let found = average::layer(&*self.phi, snr, inner.overlap, inner.mmse.max(KNOWN))
            .map_err(|e| failed("activation", e))?;
        Ok(Passage {
            inner_snr: found.score,
            outer: Belief::new(found.overlap, found.mmse, self.second_moment),
            potential: found.potential,
            error: found.error,
        })
    }
    fn pass_general(&self, inner: Overlap, outer: Order) -> Result<(Order, Overlap), ReplicaError> {
        let (phi, r) = (&*self.phi, self.field_variance);
        let (x, score) = average::layer_general(phi, phi, inner, r, outer)
            .map_err(|e| failed("activation", e))?;
        let order = Order {
            precision: score.norm,
            gain: score.response,
            noise: score.norm,
        };
        Ok((order, x))
    }
    fn susceptibility(&self, inner: f64) -> Option<f64> {
        let (phi, r) = (&*self.phi, self.field_variance);
        (phi.mean(r) == 0.0)
            .then(|| phi.second_moment(r).powi(2) + phi.linear_gain(r).powi(4) * inner)
    }
    fn componentwise(&self) -> Option<Componentwise> {
        let (phi, r) = (&*self.phi, self.field_variance);
        Some(Componentwise {
            mean: phi.mean(r),
            gain: phi.linear_gain(r),
            is_even: phi.parity() == Parity::Even,
            is_discrete: phi.is_discrete(),
            is_discontinuous: phi.is_discontinuous(),
            is_noisy: phi.noise().is_some(),
            dimension: match phi.noise() {
                Some((_, noise)) if noise.after > 0.0 => 1.0,
                _ => phi.sloped_fraction(r),
            },
        })
    }
}

/// An observation seen as a factor: it only answers inwards.
#[derive(Debug)]
struct Observed<O>(O);

impl<O: Observation + Clone> FactorAverage for Observed<O> {
    fn pass(&self, inner: Belief, _: f64) -> Result<Passage, ReplicaError> {
        let noise = self.0.noise();
        Ok(Passage {
            inner_snr: self.0.snr_at(inner, noise)?,
            outer: Belief::default(),
            potential: self.0.potential(inner, noise)?,
            error: 0.0,
        })
    }
    fn pass_general(&self, inner: Overlap, _: Order) -> Result<(Order, Overlap), ReplicaError> {
        Ok((self.0.answer(inner)?, inner))
    }
    fn susceptibility(&self, inner: f64) -> Option<f64> {
        Some(inner)
    }
    fn observation(&self) -> Option<&dyn Observation> {
        Some(&self.0)
    }
}

/// `Y = x xᵀ/√p + √noise ξ`: the message to `x` has ratio `overlap/noise`.
#[derive(Debug, Clone)]
struct SpikedWigner {
    noise: f64,
}

impl Observation for SpikedWigner {
    fn noise(&self) -> f64 {
        self.noise
    }
    fn noise_at(&self, known: Belief, snr: f64) -> Result<f64, ReplicaError> {
        Ok(known.overlap / snr)
    }
    fn snr_at(&self, known: Belief, noise: f64) -> Result<f64, ReplicaError> {
        Ok(known.overlap / noise)
    }
    fn snr_slope(&self, _: Belief, noise: f64) -> Result<f64, ReplicaError> {
        Ok(1.0 / noise)
    }
    fn share(&self, known: Belief, _: f64, noise: f64) -> Result<f64, ReplicaError> {
        Ok(known.overlap * known.overlap / (4.0 * noise))
    }
    fn constant(&self, second_moment: f64, noise: f64) -> f64 {
        second_moment * second_moment / (4.0 * noise)
    }
    fn unit(&self, second_moment: f64) -> f64 {
        second_moment * second_moment
    }
    fn weak_recovery(&self, susceptibility: f64) -> Result<Option<f64>, ReplicaError> {
        Ok(Some(susceptibility))
    }
    fn is_even(&self) -> bool {
        true
    }
    fn at(&self, noise: f64) -> Arc<dyn Observation> {
        Arc::new(Self { noise })
    }
}

/// `Y = u xᵀ/√p + √noise ξ` with `aspect` rows per column: the message to `u` has ratio
/// `overlap/noise`, that to `x` has `aspect · overlap of u/noise`.
#[derive(Debug, Clone)]
struct SpikedWishart {
    noise: f64,
    product: Product,
}

/// The other factor of a product with the signal.
#[derive(Debug, Clone)]
pub(crate) struct Product {
    /// Its components per component of the signal.
    pub(crate) aspect: f64,
    pub(crate) left: Arc<Left>,
}

/// The left factor of a product, observed directly.
#[derive(Debug)]
pub(crate) struct Left {
    pub(crate) chain: StateEvolution,
    /// Its fixed points against the noise of the direct observation, once they are needed.
    curve: OnceLock<Result<Curve, ReplicaError>>,
}

/// Noises for which the curve of a left factor is traced, in units of its second moment: it is as
/// good as known below; above it is known as little as a signal may be where its path begins.
const LEFT_RANGE: (f64, f64) = (1e-9, 1e13);

impl Product {
    fn new(aspect: f64, chain: StateEvolution) -> Self {
        let left = Left {
            chain,
            curve: OnceLock::new(),
        };
        Self {
            aspect,
            left: Arc::new(left),
        }
    }
}

impl Left {
    /// All its fixed points under a direct observation.
    ///
    /// # Errors
    /// As for [`StateEvolution::curve`].
    pub(crate) fn curve(&self) -> Result<&Curve, ReplicaError> {
        let rho = self.chain.second_moment();
        let traced = || {
            let range = (LEFT_RANGE.0 * rho, LEFT_RANGE.1 * rho);
            self.chain.curve(Some(range))
        };
        self.curve
            .get_or_init(traced)
            .as_ref()
            .map_err(Clone::clone)
    }

    /// The noise of a direct observation of this ratio, as far as the curve reaches.
    pub(crate) fn noise_of(&self, snr: f64) -> f64 {
        let rho = self.chain.second_moment();
        (1.0 / snr).clamp(LEFT_RANGE.0 * rho, LEFT_RANGE.1 * rho)
    }

    /// What is known under a message of ratio `snr` at the optimal fixed point, and its potential.
    pub(crate) fn at(&self, snr: f64) -> Result<(Belief, f64), ReplicaError> {
        if snr == 0.0 || self.chain.factors.len() == 1 {
            let mut passage = Passage::default();
            for factor in &self.chain.factors {
                passage = factor.pass(passage.outer, snr)?;
            }
            return Ok((passage.outer, passage.potential));
        }
        let best = self.chain.predict_on(self.curve()?, self.noise_of(snr))?;
        let (overlap, mmse) = (best.optimal.overlap, best.optimal.mmse);
        Ok((Belief { overlap, mmse }, best.optimal.potential))
    }

    /// `lim overlap/snr` if nothing is known without data.
    pub(crate) fn susceptibility(&self) -> Option<f64> {
        self.chain.susceptibility_at_zero(self.chain.signal())
    }
}

impl Observation for SpikedWishart {
    fn noise(&self) -> f64 {
        self.noise
    }
    fn noise_at(&self, known: Belief, snr: f64) -> Result<f64, ReplicaError> {
        Ok(known.overlap / snr)
    }
    fn snr_slope(&self, _: Belief, noise: f64) -> Result<f64, ReplicaError> {
        Ok(1.0 / noise)
    }
    fn snr_at(&self, known: Belief, noise: f64) -> Result<f64, ReplicaError> {
        let (left, _) = self.product.left.at(known.overlap / noise)?;
        Ok(self.product.aspect * left.overlap / noise)
    }
    fn weak_recovery(&self, susceptibility: f64) -> Result<Option<f64>, ReplicaError> {
        let left = self.product.left.susceptibility();
        Ok(left.map(|left| (self.product.aspect * left * susceptibility).sqrt()))
    }
    fn product(&self) -> Option<&Product> {
        Some(&self.product)
    }
    fn share(&self, known: Belief, left: f64, noise: f64) -> Result<f64, ReplicaError> {
        Ok(self.product.aspect * left * known.overlap / (2.0 * noise))
    }
    fn potential(&self, known: Belief, noise: f64) -> Result<f64, ReplicaError> {
        let (_, potential) = self.product.left.at(known.overlap / noise)?;
        Ok(self.product.aspect * potential)
    }
    fn constant(&self, second_moment: f64, noise: f64) -> f64 {
        let left = self.product.left.chain.second_moment();
        self.product.aspect * left * second_moment / (2.0 * noise)
    }
    fn unit(&self, second_moment: f64) -> f64 {
        self.product.aspect.sqrt() * self.product.left.chain.second_moment() * second_moment
    }
    fn is_even(&self) -> bool {
        self.product.left.susceptibility().is_some()
    }
    fn at(&self, noise: f64) -> Arc<dyn Observation> {
        Arc::new(Self {
            noise,
            ..self.clone()
        })
    }
}

/// `y = x + √noise n`: the message to `x` has ratio `1/noise`.
#[derive(Debug, Clone)]
pub(crate) struct Denoising {
    pub(crate) noise: f64,
}

impl Observation for Denoising {
    fn noise(&self) -> f64 {
        self.noise
    }
    fn noise_at(&self, _: Belief, snr: f64) -> Result<f64, ReplicaError> {
        Ok(1.0 / snr)
    }
    fn snr_at(&self, _: Belief, noise: f64) -> Result<f64, ReplicaError> {
        Ok(1.0 / noise)
    }
    fn snr_slope(&self, _: Belief, _: f64) -> Result<f64, ReplicaError> {
        Ok(0.0)
    }
    fn share(&self, known: Belief, _: f64, noise: f64) -> Result<f64, ReplicaError> {
        Ok(known.overlap / (2.0 * noise))
    }
    fn constant(&self, second_moment: f64, noise: f64) -> f64 {
        second_moment / (2.0 * noise)
    }
    fn unit(&self, second_moment: f64) -> f64 {
        second_moment
    }
    fn weak_recovery(&self, _: f64) -> Result<Option<f64>, ReplicaError> {
        Ok(None)
    }
    fn is_even(&self) -> bool {
        false
    }
    fn at(&self, noise: f64) -> Arc<dyn Observation> {
        Arc::new(Self { noise })
    }
}

/// Outputs `y ~ P(y|h)` of fields `h = A x/√p`, `1/noise` of them per component of `x`: each sends a
/// message of ratio `E g²`.
#[derive(Debug, Clone)]
pub(crate) struct Outputs {
    noise: f64,
    law: Arc<dyn Likelihood>,
    second_moment: f64,
    /// Outputs of all fields that occur are alike.
    is_constant: bool,
    /// The last averages, newest last: a point of a curve, its slope and its potential ask for the
    /// same ones.
    last: Arc<Mutex<Vec<(Belief, OutputAverage)>>>,
}

impl Outputs {
    pub(crate) fn new(aspect: f64, law: &Arc<dyn Likelihood>, second_moment: f64) -> Self {
        Self {
            noise: 1.0 / aspect,
            law: Arc::clone(law),
            second_moment,
            is_constant: law.is_constant(second_moment),
            last: Arc::default(),
        }
    }

    /// `E H(y|h)`, of one outcome where all outputs are alike and without noise.
    fn entropy(&self) -> f64 {
        let entropy = self.law.entropy(self.second_moment);
        if self.is_constant && entropy == f64::NEG_INFINITY {
            return 0.0;
        }
        entropy
    }

    fn average(&self, known: Belief) -> Result<OutputAverage, ReplicaError> {
        /// More than one point of a curve asks for.
        const KEPT: usize = 4;
        if self.is_constant {
            return Ok(OutputAverage {
                score: 0.0,
                field_mmse: known.mmse,
                potential: -self.entropy(),
                error: 0.0,
            });
        }
        let lock = || self.last.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, found)) = lock().iter().find(|(at, _)| *at == known) {
            return Ok(*found);
        }
        let found = average::output(&*self.law, known.overlap, known.mmse.max(KNOWN))
            .map_err(|source| failed("likelihood", source))?;
        let mut last = lock();
        if last.len() == KEPT {
            last.remove(0);
        }
        last.push((known, found));
        Ok(found)
    }

    fn score(&self, known: Belief) -> Result<f64, ReplicaError> {
        Ok(self.average(known)?.score)
    }

    /// What a first overlap makes of the score, where zero overlap is a fixed point.
    fn growth(&self) -> Result<f64, ReplicaError> {
        average::output_growth(&*self.law, self.second_moment)
            .map_err(|source| failed("likelihood", source))
    }
}

impl Observation for Outputs {
    fn noise(&self) -> f64 {
        self.noise
    }
    fn noise_at(&self, known: Belief, snr: f64) -> Result<f64, ReplicaError> {
        Ok(self.score(known)? / snr)
    }
    fn snr_at(&self, known: Belief, noise: f64) -> Result<f64, ReplicaError> {
        Ok(self.score(known)? / noise)
    }
    fn snr_slope(&self, known: Belief, noise: f64) -> Result<f64, ReplicaError> {
        if self.is_constant {
            return Ok(0.0);
        }
        if known.overlap == 0.0 && self.is_even() {
            return Ok(self.growth()? / noise);
        }
        if known.mmse <= KNOWN {
            return Ok(0.0);
        }
        let (up, d) = shifted(known);
        Ok((self.score(up)? - self.score(known)?) / (d * noise))
    }
    fn weak_recovery(&self, susceptibility: f64) -> Result<Option<f64>, ReplicaError> {
        let is_open = self.is_even() && !self.is_constant;
        let growth = is_open.then(|| self.growth()).transpose()?;
        Ok(growth.map(|g| g * susceptibility))
    }
    fn share(&self, known: Belief, _: f64, noise: f64) -> Result<f64, ReplicaError> {
        Ok(self.average(known)?.potential / noise)
    }
    fn constant(&self, _: f64, noise: f64) -> f64 {
        -self.entropy() / noise
    }
    fn answer(&self, _: Overlap) -> Result<Order, ReplicaError> {
        let what =
            "a trajectory of a generalised linear model from a start that is no posterior mean";
        Err(ReplicaError::NotSupported(what.into()))
    }
    fn unit(&self, _: f64) -> f64 {
        1.0
    }
    fn key(&self) -> Key {
        Key::SamplingRatio
    }
    fn sharpness(&self) -> Option<f64> {
        let sharpness = self.law.sharpness(self.second_moment);
        sharpness.filter(|_| !self.is_constant)
    }
    fn label_errors(&self, known: Belief) -> Result<Option<LabelErrors>, ReplicaError> {
        average::label_errors(&*self.law, known.overlap, known.mmse)
            .map_err(|source| failed("likelihood", source))
    }
    fn is_even(&self) -> bool {
        self.law.parity() == Parity::Even
    }
    fn at(&self, noise: f64) -> Arc<dyn Observation> {
        Arc::new(Self {
            noise,
            ..self.clone()
        })
    }
}

fn failed(factor: &'static str, source: average::AverageError) -> ReplicaError {
    ReplicaError::Average { factor, source }
}

/// Forward differences with a relative step of 1e-5, so that linear regimes are exact: truncation
/// enters the logarithmic derivatives at 1e-5 and the averages' own noise (1e-13) at 1e-8. They
/// steer Newton's method and locate extrema, whose values they change by their square.
fn differences<F: FactorAverage + ?Sized>(
    factor: &F,
    inner: Belief,
    outer_snr: f64,
    base: &Passage,
) -> Result<Response, ReplicaError> {
    let mut response = Response::default();
    if outer_snr > 0.0 {
        let d = STEP * outer_snr;
        let up = factor.pass(inner, outer_snr + d)?;
        response.snr_by_snr = (up.inner_snr - base.inner_snr) / d;
        response.overlap_by_snr = gained(base.outer, up.outer) / d;
    }
    if inner.mmse > KNOWN {
        let (more, d) = shifted(inner);
        let up = factor.pass(more, outer_snr)?;
        response.snr_by_overlap = (up.inner_snr - base.inner_snr) / d;
        response.overlap_by_overlap = gained(base.outer, up.outer) / d;
    }
    Ok(response)
}

const STEP: f64 = 1e-5;

/// A little more knowledge, and how much, in units of whichever of overlap and error is small; zero
/// overlap has no scale.
fn shifted(known: Belief) -> (Belief, f64) {
    let d = STEP
        * match known.overlap {
            0.0 => known.mmse,
            q => q.min(known.mmse),
        };
    let more = Belief {
        overlap: known.overlap + d,
        mmse: known.mmse - d,
    };
    (more, d)
}

/// Increase of the overlap, read off the smaller of overlap and error, which loses fewer digits.
fn gained(from: Belief, to: Belief) -> f64 {
    if from.overlap < from.mmse {
        to.overlap - from.overlap
    } else {
        from.mmse - to.mmse
    }
}
