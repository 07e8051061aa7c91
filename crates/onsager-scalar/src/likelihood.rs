//! What is seen of a Gaussian field: laws `P(y|h)` of an output given its field.

mod additive;
mod concave;
mod counts;
mod invertible;
mod logistic;
mod noiseless;
mod poisson;

use std::fmt::Debug;

use rand::Rng;

use crate::activation::{Activation, Channel, Curve, Parity, Piece};
use crate::{Moments, Precisions};

pub use additive::{Additive, Blurred};
pub use invertible::Invertible;
pub use logistic::Logistic;
pub use noiseless::Noiseless;
pub use poisson::Poisson;

/// What one output says about its field, `h ~ N(ω, V)` before it was seen.
///
/// ```
/// use std::sync::Arc;
/// use onsager_scalar::{Likelihood, activation::PiecewiseLinear, likelihood::Additive};
/// let y = Additive::new(Arc::new(PiecewiseLinear::linear()), 1.0)?;
/// let seen = y.observe(2.0, 0.0, 1.0);
/// assert_eq!((seen.field.mean, seen.field.variance), (1.0, 0.5));
/// assert_eq!((seen.score, seen.curvature), (1.0, 0.5)); // (y - ω)/(Δ + V), 1/(Δ + V)
/// # Ok::<(), onsager_scalar::ScalarError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Seen {
    /// `ln ∫ N(h; ω, V) P(y|h) dh` in nats: of a density in `y`, or of a probability.
    pub log_evidence: f64,
    /// Mean and variance of `h` given `y`.
    pub field: Moments,
    /// `g = ∂ log_evidence/∂ω = (E h - ω)/V`.
    pub score: f64,
    /// `-∂g/∂ω = 1/V - Var h/V²`; may be negative at a point, its average is `E g²`.
    pub curvature: f64,
}

impl From<Channel> for Seen {
    fn from(channel: Channel) -> Self {
        Self {
            log_evidence: channel.log_partition,
            field: channel.input,
            score: channel.score,
            curvature: channel.curvature,
        }
    }
}

/// An output that may be seen, as one term of an average over outputs.
///
/// ```
/// use onsager_scalar::{Likelihood, likelihood::Logistic};
/// let mut labels = Vec::new();
/// Logistic.outputs(0.3, 1.0, &mut labels);
/// let score: f64 = labels.iter().map(|label| label.weight * label.seen.score).sum();
/// assert!(score.abs() < 1e-13); // nothing is learnt on average
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Possible {
    /// The output.
    pub y: f64,
    /// Its probability, or its share of a quadrature rule.
    pub weight: f64,
    /// What it says about the field.
    pub seen: Seen,
}

impl Possible {
    /// One of the values of a discrete output.
    #[must_use]
    pub fn counted(y: f64, seen: Seen) -> Self {
        let weight = seen.log_evidence.exp();
        Self { y, weight, seen }
    }
}

/// How a likelihood is made, for averages that know a part of it in closed form.
#[derive(Debug, Clone, Copy)]
#[non_exhaustive]
pub enum Form<'a> {
    /// `y = φ(h) + √noise n`: the channel of a layer, with the message `a = 1/noise`,
    /// `b = y/noise`.
    Additive {
        /// The function.
        phi: &'a dyn Activation,
        /// Variance of the noise, positive.
        noise: f64,
    },
    /// The law of `y` given `h + √variance n`.
    Blurred {
        /// That law.
        sharp: &'a dyn Likelihood,
        /// Variance of the noise, positive.
        variance: f64,
    },
    /// `y = φ(h)`, one to one: the output tells the field.
    Invertible {
        /// The function.
        curve: &'a dyn Curve,
    },
    /// Averages over `y` are sums over [`Likelihood::outputs`].
    Direct,
}

/// Standard deviations beyond which one field in 5e16 lies: quadrature does not resolve what happens there, and
/// no data show it.
const OCCURRING: f64 = 8.5;

/// Whether one flat piece holds all fields `h ~ N(0, r)` that occur.
fn is_flat(pieces: &[Piece], r: f64) -> bool {
    let reach = OCCURRING * r.sqrt();
    let holds = |p: &Piece| p.slope == 0.0 && p.lower <= -reach && reach < p.upper;
    pieces.iter().any(holds)
}

/// The likeliest label of a field `h ~ N(ω, V)`, which is wrong least often.
///
/// ```
/// use onsager_scalar::likelihood::{Logistic, likeliest};
/// assert_eq!(likeliest(&Logistic, -0.1, 2.0), Some(-1.0));
/// ```
pub fn likeliest(law: &dyn Likelihood, omega: f64, v: f64) -> Option<f64> {
    let evidence = |y: &f64| law.observe(*y, omega, v).log_evidence;
    let labels = law.labels()?.iter();
    let all = labels.map(|y| (evidence(y), *y));
    all.max_by(|x, y| x.0.total_cmp(&y.0)).map(|(_, y)| y)
}

/// A law `P(y|h)` of an output given its field; the factor that ends a generalised linear model.
///
/// - **Domain**: `V > 0`, `y` [allowed](Self::allows), all finite.
/// - **Identities**: `Σ_y P(y|ω, V) = 1` (an integral where `y` is continuous);
///   `E curvature = E score²`, averages over `y` given `ω` and `V`.
///
/// ```
/// use onsager_scalar::{Likelihood, activation::PiecewiseLinear, likelihood::Noiseless};
/// let phase_retrieval = Noiseless::new(PiecewiseLinear::abs());
/// let seen = phase_retrieval.observe(2.0, 0.5, 1.0); // h = ±2
/// assert!((seen.field.mean - 2.0 * 1f64.tanh()).abs() < 1e-15); // y tanh(yω/V)
/// ```
pub trait Likelihood: Debug + Send + Sync {
    /// What `y` says about a field `h ~ N(ω, V)`.
    fn observe(&self, y: f64, omega: f64, v: f64) -> Seen;

    /// The same for a column, `h_i ~ N(ω_i, V_i)`.
    ///
    /// # Panics
    /// Slices of different lengths.
    fn observe_into(&self, y: &[f64], omega: &[f64], v: Precisions<'_>, out: &mut [Seen]) {
        assert!(y.len() == omega.len() && y.len() == out.len());
        for (i, out) in out.iter_mut().enumerate() {
            *out = self.observe(y[i], omega[i], v.at(i));
        }
    }

    /// Draws `y` given `h`.
    fn sample(&self, h: f64, rng: &mut dyn Rng) -> f64;

    /// Whether `y` can occur.
    fn allows(&self, y: f64) -> bool;

    /// All values of the output, if they are finitely many: classes, of which one can be predicted.
    fn labels(&self) -> Option<&[f64]> {
        None
    }

    /// `Even`: `P(y|-h) = P(y|h)`. `Odd`: `P(-y|-h) = P(y|h)`.
    fn parity(&self) -> Parity;

    /// How much is known of a field that is nearly known already: `lim V E score²` as `V → 0`, for
    /// `h ~ N(0, r)`. This is `P(∂y/∂h ≠ 0)` without noise; 0 for an output of finitely many values
    /// without noise and for one that jumps under noise, whose scores still diverge; and `None` for
    /// outputs whose scores do not.
    fn sharpness(&self, r: f64) -> Option<f64>;

    /// `E H(y|h)` in nats for `h ~ N(0, r)`, of a density or of probabilities; `-∞` for a density
    /// without noise.
    fn entropy(&self, r: f64) -> f64;

    /// How averages are to be taken.
    fn form(&self) -> Form<'_> {
        Form::Direct
    }

    /// Intervals of the field on which the law is simple: where quadrature over `ω` puts its nodes.
    fn pieces(&self) -> &[Piece];

    /// Length over which the law changes, where it is smooth and depends on the field everywhere.
    fn bend(&self) -> Option<f64> {
        None
    }

    /// Whether outputs of all fields `h ~ N(0, r)` but one in 5e16 have one law, and so tell nothing.
    ///
    /// ```
    /// use onsager_scalar::{Likelihood, activation::PiecewiseLinear, likelihood::Noiseless};
    /// let door = Noiseless::new(PiecewiseLinear::door(9.0)?);
    /// assert!(door.is_constant(1.0) && !door.is_constant(2.0));
    /// # Ok::<(), onsager_scalar::ScalarError>(())
    /// ```
    fn is_constant(&self, _r: f64) -> bool {
        false
    }

    /// The largest `E h²` at which [`outputs`](Self::outputs) reach all that averages are made of.
    fn widest_field(&self) -> f64 {
        f64::INFINITY
    }

    /// Appends outputs with `Σ weight f(y) = ∫ f(y) P(y|ω, V) dy`, for an `f` that is as smooth
    /// in `y` as what [`Likelihood::observe`] tells. Asked where the form is [`Form::Direct`].
    fn outputs(&self, omega: f64, v: f64, out: &mut Vec<Possible>);
}
