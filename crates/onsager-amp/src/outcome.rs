//! What a run returns, and what it says about itself on the way.

use nalgebra::DMatrix;
use onsager_operators::Field;
use serde::Serialize;

use crate::{Engine, Posterior, Problem};

/// How a run stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stop {
    /// The estimates are at rest, away from the trivial point.
    Converged,
    /// The estimate of the signal shrank to nothing: the fixed point of zero overlap.
    Trivial,
    /// The iterations were spent.
    NotConverged,
    /// A message became infinite or not a number, or an estimate left every posterior; the last
    /// finite state is returned.
    Diverged,
    /// The observer asked to stop.
    Interrupted,
}

/// One sweep in numbers; means over the `T` problems.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Record {
    /// Sweeps so far; 0 is the start.
    pub iteration: usize,
    /// Largest `|x - x_old|²/(n ρ)` over the declared variables.
    pub residual: f64,
    /// Weight of the new messages.
    pub step: f64,
    /// `|v|²/p` of the signal's estimate.
    pub norm: f64,
    /// Mean posterior variance of the signal.
    pub claimed_mse: f64,
    /// `|v - x|²/p`, sign-aligned where the model leaves the sign free; if the truth is known.
    pub mse: Option<f64>,
    /// `v·x/p`, its modulus where the sign is free; if the truth is known.
    pub overlap: Option<f64>,
    /// Precision seen in the message to the signal minus the precision claimed,
    /// `√((|B|²/p - A)/ρ) - A`: zero on the Nishimori line up to fluctuations.
    pub nishimori_gap: f64,
}

/// A view of a run after one sweep, for an observer.
pub struct Iteration<'a, F: Field = f64> {
    /// The sweep in numbers.
    pub record: &'a Record,
    pub(crate) problem: &'a Problem<F>,
    pub(crate) engine: &'a Engine<F>,
}

impl<F: Field> Iteration<'_, F> {
    /// The present moments of a variable.
    #[must_use]
    pub fn posterior(&self, name: &str) -> Option<&Posterior<F>> {
        self.engine.posterior(self.problem.tree().variable(name)?)
    }
}

/// The estimate of one declared variable.
#[derive(Debug, Clone)]
pub struct Estimate<F: Field = f64> {
    /// Its name.
    pub name: String,
    /// Posterior mean, `n x T`.
    pub mean: DMatrix<F>,
    /// Posterior variance of each component, `n x T`.
    pub variance: DMatrix<f64>,
    /// `|E x|²/n`.
    pub norm: f64,
    /// Mean posterior variance.
    pub claimed_mse: f64,
    /// As in [`Record::mse`], aligned by the variable's own sign where that is free.
    pub mse: Option<f64>,
    /// As in [`Record::overlap`].
    pub overlap: Option<f64>,
    /// Whether the estimate is the trivial one: zero for a centred variable.
    pub trivial: bool,
}

/// The result of a run.
#[derive(Debug, Clone)]
pub struct Outcome<F: Field = f64> {
    /// Posterior mean of the signal, `p x T`.
    pub estimate: DMatrix<F>,
    /// Every declared variable, latent first.
    pub variables: Vec<Estimate<F>>,
    /// How the run stopped.
    pub stop: Stop,
    /// Whether the signal's estimate is the trivial one.
    pub trivial: bool,
    /// As in [`Record::residual`], at the last sweep.
    pub residual: f64,
    /// Sweeps.
    pub iterations: usize,
    /// The start and every sweep.
    pub trace: Vec<Record>,
    /// First sweep with a step below 1: comparison with state evolution, step by step, ends there.
    pub first_damped: Option<usize>,
    /// Bethe evidence in nats per coordinate of the signal, see [`Engine::evidence`]; `None` for a
    /// run that diverged, or whose claimed error its own [`Outcome::misfit`] contradicts. Meaningful at
    /// a fixed point.
    pub evidence: Option<f64>,
    /// `E |h - A x̂/√p|²/(n ρ_h)` behind outputs without noise that are not of finitely many values,
    /// the largest over the problems: between fields `h` that explain the data and those of the estimate
    /// `x̂`. Next to nothing where the estimate reproduces the data.
    pub misfit: Option<f64>,
    /// Mean posterior variance of the signal.
    pub claimed_mse: f64,
    /// As in [`Record::mse`].
    pub mse: Option<f64>,
    /// As in [`Record::overlap`].
    pub overlap: Option<f64>,
    /// As in [`Record::nishimori_gap`].
    pub nishimori_gap: f64,
    /// Products with matrices, one per column, all restarts and the evidence included.
    pub products: u64,
    /// Bytes of matrices, messages and moments.
    pub peak_memory: usize,
}

/// Relative squared errors below this are those of a solution: what rest leaves is less, and the
/// errors of local minima are a percent and more.
const SOLVED: f64 = 1e-6;

impl<F: Field> Outcome<F> {
    /// Whether the data have no noise, the estimate reproduces them, and nothing else does: it claims
    /// an error next to nothing too.
    #[must_use]
    pub fn is_solution(&self) -> bool {
        let fits = self.misfit.is_some_and(|misfit| misfit < SOLVED);
        fits && self.claimed_mse < SOLVED * (self.claimed_mse + self.norm())
    }

    fn norm(&self) -> f64 {
        self.trace.last().map_or(0.0, |record| record.norm)
    }

    /// The estimate of a variable.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<&Estimate<F>> {
        self.variables.iter().find(|v| v.name == name)
    }

    /// Posterior variance of each component of a variable, `n x T`.
    #[must_use]
    pub fn variance(&self, name: &str) -> Option<&DMatrix<f64>> {
        self.variable(name).map(|v| &v.variance)
    }
}
