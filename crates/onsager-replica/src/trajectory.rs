//! State evolution step by step, in the order in which message passing updates its variables.

use std::collections::BTreeMap;

use onsager_model::{Tree, Variable};
use serde::Serialize;

use crate::ReplicaError;
use crate::average::{Order, Overlap};
use crate::chain::StateEvolution;
use crate::factor::{Belief, FactorAverage};

/// What state evolution predicts for the first iterations.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Trajectory {
    /// The start, then one entry an iteration.
    pub steps: Vec<TrajectoryStep>,
}

/// The state after an iteration.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrajectoryStep {
    /// 0 for the start.
    pub iteration: usize,
    /// True mean squared error of the signal's estimate.
    pub mmse: f64,
    /// The one that the algorithm claims: equal from a matched start.
    pub claimed: f64,
    /// Every declared variable, those of the left factor of a product too.
    pub variables: BTreeMap<String, TrajectoryVariable>,
}

/// An estimate of one variable, per component.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct TrajectoryVariable {
    /// `E x x̂`, overlap with the truth.
    pub truth: f64,
    /// `E x̂²`.
    pub norm: f64,
    /// Variance that the algorithm claims.
    pub claimed: f64,
    /// `E (x - x̂)²`.
    pub mse: f64,
}

/// Where an iteration starts.
#[derive(Debug, Clone, PartialEq)]
pub enum Start {
    /// `x̂ = E[x | √snr x + n]`, what layers say included: the fixed point, reached from prior
    /// means, of estimating the signal in this side channel alone.
    SideInformation {
        /// Ratio of the side channel.
        snr: f64,
    },
    /// The truth of every variable, below the signal to 1e-13 of its second moment.
    Informed,
    /// Prior means of every variable. A fixed point if they vanish.
    Mean,
    /// Overlaps by name of a matched estimate (`truth = norm`), such as those of a spectral
    /// method; prior means of the rest. That of the left factor itself is only reported: it is the
    /// first to be updated, from the signal and from what is below it.
    Overlaps(BTreeMap<String, f64>),
    /// An independent guess with overlap `truth` with the signal and given norm, while the
    /// algorithm claims to know nothing: the two-parameter recursion.
    Random {
        /// `E x x̂`, of order `p^(-1/2)`.
        truth: f64,
        /// `E x̂²`.
        norm: f64,
    },
}

/// The state evolution of message passing.
///
/// An iteration takes the message of the observation at the current estimate of the signal, then
/// passes from the signal down to the latent: the field of a layer from the current estimate
/// below it, the layer's new output and its message downwards, and last the latent.
///
/// - **Matched** starts need one number a variable; [`Start::Random`] uses the general averages.
/// - **Products** (spiked Wishart): the message of the current estimate of the signal first passes
///   down the left factor, layer by layer like the signal; its new estimate makes the message to the
///   signal. A start tells of the left factor what its prior does, unless it says otherwise.
/// - **Errors**: an snr, overlap or norm that is not finite and not negative, or that no estimate
///   can have; unknown names.
///
/// ```
/// use std::sync::Arc;
/// use onsager_model::Chain;
/// use onsager_replica::{Start, trajectory};
/// use onsager_scalar::prior::Gaussian;
///
/// // q ← (q/Δ)/(1 + q/Δ) from q = 1/2, Δ = 1/4.
/// let tree = Chain::new(Arc::new(Gaussian::standard())).spiked_wigner(0.25)?;
/// let run = trajectory(&tree, &Start::SideInformation { snr: 1.0 }, 1)?;
/// assert!((run.steps[1].mmse - 1.0 / 3.0).abs() < 1e-10);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn trajectory(tree: &Tree, start: &Start, steps: usize) -> Result<Trajectory, ReplicaError> {
    let chain = StateEvolution::new(tree)?;
    match start {
        Start::Random { truth, norm } => chain.run(chain.random(*truth, *norm)?, steps),
        matched => chain.run(chain.matched(matched)?, steps),
    }
}

/// What is known of the variables of a chain, and of those of the left factor of a product.
#[derive(Debug, Clone)]
struct State<K> {
    own: Vec<K>,
    left: Vec<K>,
}

/// What an iteration knows of a variable, and the averages that move it.
trait Knowledge: Copy {
    /// The message that goes inwards.
    type Message: Copy;
    fn observe(chain: &StateEvolution, signal: Self) -> Result<Self::Message, ReplicaError>;
    /// The message of a product to one factor when this is known of the other: its overlaps times
    /// `rate`, the rows or columns that each component meets over the noise.
    fn across(self, rate: f64) -> Self::Message;
    fn pass(
        factor: &dyn FactorAverage,
        inner: Self,
        message: Self::Message,
    ) -> Result<(Self::Message, Self), ReplicaError>;
    /// Nothing, as the inner side of a prior.
    fn nothing() -> Self;
    fn overlap(self) -> Overlap;
}

impl Knowledge for Belief {
    type Message = f64;
    fn observe(chain: &StateEvolution, signal: Self) -> Result<f64, ReplicaError> {
        chain.observation.snr_at(signal, chain.noise())
    }
    fn across(self, rate: f64) -> f64 {
        rate * self.overlap
    }
    fn pass(
        factor: &dyn FactorAverage,
        inner: Self,
        message: f64,
    ) -> Result<(f64, Self), ReplicaError> {
        let passage = factor.pass(inner, message)?;
        Ok((passage.inner_snr, passage.outer))
    }
    fn nothing() -> Self {
        Self::default()
    }
    fn overlap(self) -> Overlap {
        Overlap {
            truth: self.overlap,
            norm: self.overlap,
            variance: self.mmse,
        }
    }
}

impl Knowledge for Overlap {
    type Message = Order;
    fn observe(chain: &StateEvolution, signal: Self) -> Result<Order, ReplicaError> {
        chain.observation.answer(signal)
    }
    fn across(self, rate: f64) -> Order {
        Order {
            precision: rate * self.norm,
            gain: rate * self.truth,
            noise: rate * self.norm,
        }
    }
    fn pass(
        factor: &dyn FactorAverage,
        inner: Self,
        message: Order,
    ) -> Result<(Order, Self), ReplicaError> {
        factor.pass_general(inner, message)
    }
    fn nothing() -> Self {
        Self {
            truth: 0.0,
            norm: 0.0,
            variance: 0.0,
        }
    }
    fn overlap(self) -> Overlap {
        self
    }
}

impl StateEvolution {
    fn run<K: Knowledge>(
        &self,
        mut state: State<K>,
        steps: usize,
    ) -> Result<Trajectory, ReplicaError> {
        let mut found = vec![self.step(0, &state)];
        for iteration in 1..=steps {
            let signal = state.own[self.signal()];
            let message = match self.observation.product() {
                Some(product) => {
                    let (left, rate) = (&product.left.chain, self.noise().recip());
                    left.iterate(&mut state.left, signal.across(rate))?;
                    state.left[left.signal()].across(product.aspect * rate)
                }
                None => K::observe(self, signal)?,
            };
            self.iterate(&mut state.own, message)?;
            found.push(self.step(iteration, &state));
        }
        Ok(Trajectory { steps: found })
    }

    /// From the message to the signal down to the latent.
    fn iterate<K: Knowledge>(
        &self,
        state: &mut [K],
        mut message: K::Message,
    ) -> Result<(), ReplicaError> {
        // Fields from the estimates that the previous iteration left below them.
        for i in 1..state.len() {
            if self.variables[i].is_field {
                state[i] = state[i - 1];
            }
        }
        for i in (0..state.len()).rev() {
            let inner = if i == 0 { K::nothing() } else { state[i - 1] };
            let (inwards, outer) = K::pass(&*self.factors[i], inner, message)?;
            message = inwards;
            state[i] = outer;
        }
        Ok(())
    }

    fn step<K: Knowledge>(&self, iteration: usize, state: &State<K>) -> TrajectoryStep {
        let describe = |v: &Variable, o: Overlap| {
            let mse = if o.truth == o.norm {
                o.variance // direct, without the cancellation below
            } else {
                v.second_moment - 2.0 * o.truth + o.norm
            };
            TrajectoryVariable {
                truth: o.truth,
                norm: o.norm,
                claimed: o.variance,
                mse,
            }
        };
        let all = self.variables.iter().zip(&state.own);
        let variables = all.chain(self.left().iter().zip(&state.left));
        let signal = describe(
            &self.variables[self.signal()],
            state.own[self.signal()].overlap(),
        );
        TrajectoryStep {
            iteration,
            mmse: signal.mse,
            claimed: signal.claimed,
            variables: variables
                .filter(|(v, _)| !v.is_field)
                .map(|(v, known)| (v.name.clone(), describe(v, known.overlap())))
                .collect(),
        }
    }

    /// Prior means: every factor without any message.
    fn means(&self) -> Result<Vec<Belief>, ReplicaError> {
        let mut state = Vec::with_capacity(self.variables.len());
        let mut belief = Belief::default();
        for factor in &self.factors {
            belief = factor.pass(belief, 0.0)?.outer;
            state.push(belief);
        }
        Ok(state)
    }

    /// Iterates under a fixed ratio of the message to the signal.
    fn rest_under(&self, state: &mut [Belief], snr: f64) -> Result<(), ReplicaError> {
        for _ in 0..REST_STEPS {
            let before = state.to_vec();
            self.iterate(state, snr)?;
            let moved = state.iter().zip(&before).any(|(new, old)| {
                (new.overlap - old.overlap).abs() > REST * new.overlap.abs().max(new.mmse)
            });
            if !moved {
                break;
            }
        }
        Ok(())
    }

    /// The variables of the left factor of a product.
    fn left(&self) -> &[Variable] {
        let product = self.observation.product();
        product.map_or(&[], |product| &product.left.chain.variables)
    }

    /// Prior means, of the left factor of a product too.
    fn prior(&self) -> Result<State<Belief>, ReplicaError> {
        let product = self.observation.product();
        let left = product.map(|product| product.left.chain.means());
        Ok(State {
            own: self.means()?,
            left: left.transpose()?.unwrap_or_default(),
        })
    }

    fn matched(&self, start: &Start) -> Result<State<Belief>, ReplicaError> {
        let mut state = self.prior()?;
        match start {
            Start::SideInformation { snr } => {
                checked("snr", *snr, f64::INFINITY)?;
                self.rest_under(&mut state.own, *snr)?;
            }
            Start::Informed => {
                let all = state.own.iter_mut().zip(&self.variables);
                for (belief, v) in all.chain(state.left.iter_mut().zip(self.left())) {
                    let mmse = TRUE * v.second_moment;
                    let overlap = v.second_moment - mmse;
                    *belief = Belief { overlap, mmse };
                }
                state.own[self.signal()] = Belief {
                    overlap: self.second_moment(),
                    mmse: 0.0,
                };
            }
            Start::Overlaps(overlaps) => {
                for (name, overlap) in overlaps {
                    let at =
                        |variables: &[Variable]| variables.iter().position(|v| v.name == *name);
                    let (belief, v) = match (at(&self.variables), at(self.left())) {
                        (Some(i), _) => (&mut state.own[i], &self.variables[i]),
                        (None, Some(i)) => (&mut state.left[i], &self.left()[i]),
                        (None, None) => return Err(ReplicaError::UnknownVariable(name.clone())),
                    };
                    checked("overlap", *overlap, v.second_moment)?;
                    *belief = Belief {
                        overlap: *overlap,
                        mmse: v.second_moment - overlap,
                    };
                }
            }
            Start::Mean | Start::Random { .. } => {}
        }
        Ok(state)
    }

    fn random(&self, truth: f64, norm: f64) -> Result<State<Overlap>, ReplicaError> {
        checked("norm", norm, f64::INFINITY)?;
        let rho = self.second_moment();
        // |E x x̂|² ≤ ρ E x̂².
        checked("overlap", truth.abs(), (rho * norm).sqrt())?;
        let prior = self.prior()?;
        let general = |beliefs: Vec<Belief>| beliefs.into_iter().map(Knowledge::overlap).collect();
        let mut state = State {
            own: general(prior.own),
            left: general(prior.left),
        };
        state.own[self.signal()] = Overlap {
            truth,
            norm,
            variance: rho,
        };
        Ok(state)
    }
}

/// A side channel forgets its start at a geometric rate: rest to 12 digits comes long before.
const REST_STEPS: usize = 1_000;

/// Error of what counts as true below the signal: averages still resolve a jump at that distance.
const TRUE: f64 = 1e-13;

/// Relative change at rest.
const REST: f64 = 1e-12;

fn checked(quantity: &'static str, value: f64, bound: f64) -> Result<(), ReplicaError> {
    if value.is_finite() && 0.0 <= value && value <= bound {
        Ok(())
    } else {
        Err(ReplicaError::Range {
            quantity,
            allowed: "what an estimate of the variable can have",
            value,
        })
    }
}
