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
    /// Every declared variable; the left factor of a product from matched starts only.
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
    /// method; prior means of the rest. That of a left factor is only reported: it is the first to
    /// be updated, from the signal alone.
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
/// - **Products** (spiked Wishart): the other factor is at its optimal fixed point in every message,
///   which the algorithm attains at rest only, and there only if that is the one it reaches.
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
        Start::Random { truth, norm } => {
            let state = chain.random(*truth, *norm)?;
            chain.run(state, None, steps)
        }
        matched => {
            let (state, left) = chain.matched(matched)?;
            chain.run(state, left, steps)
        }
    }
}

/// What an iteration knows of a variable, and the averages that move it.
trait Knowledge: Copy {
    /// The message that goes inwards.
    type Message: Copy;
    fn observe(chain: &StateEvolution, signal: Self) -> Result<Self::Message, ReplicaError>;
    /// What the left factor of a product then is known with.
    fn left(chain: &StateEvolution, signal: Self) -> Option<Belief>;
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
        Ok(chain.observation.snr_at(signal, chain.noise()))
    }
    fn left(chain: &StateEvolution, signal: Self) -> Option<Belief> {
        let left = &chain.observation.product()?.left;
        let known = left.at(signal.overlap / chain.noise()).ok()?;
        Some(known.0)
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
    fn left(_: &StateEvolution, _: Self) -> Option<Belief> {
        None
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
        mut state: Vec<K>,
        left: Option<Belief>,
        steps: usize,
    ) -> Result<Trajectory, ReplicaError> {
        let mut found = vec![self.step(0, &state, left)];
        for iteration in 1..=steps {
            let signal = state[self.signal()];
            let message = K::observe(self, signal)?;
            self.iterate(&mut state, message)?;
            found.push(self.step(iteration, &state, K::left(self, signal)));
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

    fn step<K: Knowledge>(
        &self,
        iteration: usize,
        state: &[K],
        left: Option<Belief>,
    ) -> TrajectoryStep {
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
        let declared = self
            .variables
            .iter()
            .zip(state)
            .filter(|(v, _)| !v.is_field);
        let mut variables: BTreeMap<_, _> = declared
            .map(|(v, k)| (v.name.clone(), describe(v, k.overlap())))
            .collect();
        if let (Some(belief), Some(v)) = (left, self.left()) {
            variables.insert(v.name.clone(), describe(v, belief.overlap()));
        }
        let signal = describe(
            &self.variables[self.signal()],
            state[self.signal()].overlap(),
        );
        TrajectoryStep {
            iteration,
            mmse: signal.mse,
            claimed: signal.claimed,
            variables,
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

    /// The left factor of a product.
    fn left(&self) -> Option<&Variable> {
        self.observation.product()?.left.chain.variables.last()
    }

    /// The beliefs of a start, and that of the left factor of a product.
    fn matched(&self, start: &Start) -> Result<(Vec<Belief>, Option<Belief>), ReplicaError> {
        let mut state = self.means()?;
        // Nothing but its prior, without a message.
        let mut left = Belief::left(self, Belief::default());
        let signal = self.signal();
        match start {
            Start::SideInformation { snr } => {
                checked("snr", *snr, f64::INFINITY)?;
                self.rest_under(&mut state, *snr)?;
            }
            Start::Informed => {
                for (belief, v) in state.iter_mut().zip(&self.variables) {
                    let mmse = TRUE * v.second_moment;
                    let overlap = v.second_moment - mmse;
                    *belief = Belief { overlap, mmse };
                }
                state[signal] = Belief {
                    overlap: self.second_moment(),
                    mmse: 0.0,
                };
            }
            Start::Overlaps(overlaps) => {
                for (name, overlap) in overlaps {
                    let known = |rho: f64| {
                        checked("overlap", *overlap, rho)?;
                        Ok::<_, ReplicaError>(Belief {
                            overlap: *overlap,
                            mmse: rho - overlap,
                        })
                    };
                    let named = self.variables.iter().position(|v| v.name == *name);
                    match (named, self.left()) {
                        (Some(i), _) => state[i] = known(self.variables[i].second_moment)?,
                        (None, Some(v)) if v.name == *name => {
                            left = Some(known(v.second_moment)?);
                        }
                        _ => return Err(ReplicaError::UnknownVariable(name.clone())),
                    }
                }
            }
            Start::Mean | Start::Random { .. } => {}
        }
        Ok((state, left))
    }

    fn random(&self, truth: f64, norm: f64) -> Result<Vec<Overlap>, ReplicaError> {
        checked("norm", norm, f64::INFINITY)?;
        let rho = self.second_moment();
        // |E x x̂|² ≤ ρ E x̂².
        checked("overlap", truth.abs(), (rho * norm).sqrt())?;
        let mut state: Vec<Overlap> = self.means()?.into_iter().map(Knowledge::overlap).collect();
        state[self.signal()] = Overlap {
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
