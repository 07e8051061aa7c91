//! Where estimates start, and the Onsager memory that goes with it.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_model::FactorKind;
use onsager_scalar::Prior;
use onsager_scalar::prior::Gaussian;
use rand::Rng;

use crate::message::{column, mean_square};
use crate::problem::finite;
use crate::rules::{Fixed, LinearLayer, Mmse};
use crate::{AmpError, Diagonal, Engine, Memory, Message, Posterior, Problem, Rule, spectral};

/// Where a run starts. Every start has `mean(c)` close to `ρ - |v|²/p`, so that the first messages
/// claim no more than the start knows.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Start {
    /// The prior means plus a random vector of squared norm `0.1 ρ` (all components together) in
    /// every variable: while it grows to order `n`, what is signal in it outgrows the rest.
    Uninformed,
    /// The leading eigenvector of linearised message passing, scaled without the truth, with the
    /// latents and the memory of the linear theory. Needs a centred signal observed through a
    /// spiked matrix or through even outputs, and a centred left factor where there is one; either may
    /// have layers.
    /// Around a mean there is none: the linear equations have a source, the mean, and a solution in
    /// place of an eigenvector. [`Start::Mean`] has that overlap without any data, and leaves at once.
    Spectral,
    /// The truth. State evolution from `q_l = ρ_l`.
    Informed,
    /// The posterior given `√snr x + n` with fresh noise `n`, which is then taken away. Without
    /// layers that is `E[x | side channel]`; with layers the fixed point of message passing on
    /// this denoising problem, whose memory is kept. State evolution starts at the overlaps `q_l`
    /// of the denoising fixed point at precision `snr`, and the first message of the observation
    /// has no Onsager term.
    SideInformation {
        /// Precision of the side channel.
        snr: f64,
    },
    /// The prior means: the trivial point of a centred model.
    Mean,
    /// Moments by name of variable; prior means elsewhere. They count as independent of the
    /// matrices.
    Given(Vec<(String, Posterior)>),
}

impl Start {
    /// Whether it depends on the seed.
    pub(crate) fn is_random(&self) -> bool {
        matches!(self, Self::Uninformed | Self::SideInformation { .. })
    }
}

/// Squared norm of a random start over `ρ`. The overlap of a random direction is `1/n` in squared
/// cosine and grows by as many powers as the norm: from a norm of this order the signal dominates
/// before the estimate saturates.
const SMALL: f64 = 0.1;

impl Engine {
    /// Sets moments and memories.
    ///
    /// # Errors
    /// A truth that is not known, a model that has no such start, given moments that do not fit.
    pub fn start(
        &mut self,
        problem: &Problem,
        start: &Start,
        rng: &mut dyn Rng,
    ) -> Result<(), AmpError> {
        self.remember(Memory::Independent);
        let variables = || {
            problem
                .tree
                .variables()
                .iter()
                .enumerate()
                .filter(|(_, v)| !v.is_field)
        };
        for (v, variable) in variables() {
            let (n, rho, mean) = (problem.sizes[v], variable.second_moment, variable.mean);
            let prior = Posterior::constant(n, problem.problems, mean, rho - mean * mean);
            self.graph.set_posterior(v, prior);
        }
        match start {
            Start::Mean => {}
            Start::Uninformed => {
                let normal = Gaussian::standard();
                for (v, variable) in variables() {
                    let size = (SMALL * variable.second_moment / problem.sizes[v] as f64).sqrt();
                    let draw = |_, _| variable.mean + size * normal.sample(rng);
                    let mean = DMatrix::from_fn(problem.sizes[v], problem.problems, draw);
                    self.set_consistent(v, mean, variable.second_moment);
                }
            }
            Start::Informed => {
                for (v, _) in variables() {
                    let posterior = Posterior {
                        mean: problem.truth(v)?.clone(),
                        variance: Diagonal::Shared(vec![0.0; problem.problems]),
                    };
                    self.graph.set_posterior(v, posterior);
                }
            }
            Start::SideInformation { snr } => {
                let x = problem.truth(problem.tree.signal_index())?;
                let normal = Gaussian::standard();
                let message = Message {
                    precision: Diagonal::Shared(vec![*snr; problem.problems]),
                    field: x.map(|x| snr * x + snr.sqrt() * normal.sample(rng)),
                };
                self.rest_under(vec![message])?;
            }
            Start::Spectral => self.start_spectral(problem)?,
            Start::Given(moments) => {
                for (name, posterior) in moments {
                    self.give(problem, name, posterior)?;
                }
            }
        }
        Ok(())
    }

    /// Moments with the variance that their norm leaves.
    fn set_consistent(&mut self, v: usize, mean: DMatrix<f64>, rho: f64) {
        let left = |t| (rho - mean_square(column(&mean, t))).max(0.0);
        let variance = Diagonal::Shared((0..mean.ncols()).map(left).collect());
        self.graph.set_posterior(v, Posterior { mean, variance });
    }

    fn give(&mut self, problem: &Problem, name: &str, p: &Posterior) -> Result<(), AmpError> {
        let v = problem
            .tree
            .variable(name)
            .ok_or_else(|| AmpError::UnknownVariable(name.to_string()))?;
        let expected = (problem.sizes[v], problem.problems);
        let found = match &p.variance {
            Diagonal::Each(c) if c.shape() != expected => c.shape(),
            Diagonal::Shared(c) if c.len() != expected.1 => (expected.0, c.len()),
            _ => p.mean.shape(),
        };
        let quantity = format!("start of {name}");
        if found != expected {
            return Err(AmpError::Shape {
                quantity,
                expected,
                found,
            });
        }
        finite(quantity, &p.mean)?;
        for t in 0..expected.1 {
            for i in 0..expected.0 {
                let value = p.variance.at(i, t);
                if !(value >= 0.0 && value.is_finite()) {
                    return Err(AmpError::Setting {
                        name: "variance of a start",
                        range: "finite and at least 0",
                        value,
                    });
                }
            }
        }
        self.graph.set_posterior(v, p.clone());
        Ok(())
    }

    /// The linear theory around zero: see the enum.
    fn start_spectral(&mut self, problem: &Problem) -> Result<(), AmpError> {
        let tree = &problem.tree;
        spectral::check_start(problem)?;
        let found = spectral::lamp(problem)?;
        let guess = found.scaled(problem)?;
        self.start_products += found.products + guess.products;
        let mut linear: Vec<(usize, Box<dyn Rule>)> = Vec::new();
        for (f, factor) in tree.factors().iter().enumerate() {
            match &factor.kind {
                FactorKind::Prior(law) => {
                    let law = Gaussian::new(0.0, law.second_moment())
                        .map_err(|e| AmpError::NotSupported(e.to_string()))?;
                    linear.push((f, Box::new(Mmse::new(Arc::new(law)))));
                }
                FactorKind::Activation(phi) => {
                    let r = tree.variables()[factor.variables[0]].second_moment;
                    let gain = phi.linear_gain(r);
                    let noise = (phi.second_moment(r) - gain * gain * r).max(0.0);
                    linear.push((f, Box::new(LinearLayer { gain, noise })));
                }
                _ => {}
            }
        }
        for (f, rule) in &mut linear {
            std::mem::swap(&mut self.rules[*f], rule);
        }
        let rest = self.rest_under(guess.messages);
        for (f, rule) in &mut linear {
            std::mem::swap(&mut self.rules[*f], rule);
        }
        rest?;
        for f in self.sensors.clone() {
            self.rules[f].remember(Memory::Stationary);
        }
        if let Some((f, scores)) = guess.scores {
            self.rules[f].recall(scores);
        }
        let signal = (tree.signal_index(), guess.estimate);
        for (v, estimate) in [Some(signal), guess.left].into_iter().flatten() {
            self.set_consistent(v, estimate, tree.variables()[v].second_moment);
        }
        Ok(())
    }

    /// Sweeps under fixed messages to the signal and to a left factor, in place of all that brings
    /// data, until rest.
    fn rest_under(&mut self, messages: Vec<Message>) -> Result<(), AmpError> {
        let beyond: Vec<usize> = self.data_side.clone();
        let mut messages = Some(messages);
        let mut stand_ins: Vec<Box<dyn Rule>> = Vec::new();
        for f in &beyond {
            // The first one, which touches the signal, speaks for all.
            let edge = &self.graph.edges[self.graph.of_factor[*f][0]];
            let (n, problems) = (self.graph.sizes[edge.variable], self.graph.problems);
            let flat = || vec![Message::flat(n, problems)];
            let said = messages.take().unwrap_or_else(flat);
            stand_ins.push(std::mem::replace(
                &mut self.rules[*f],
                Box::new(Fixed(said)),
            ));
        }
        let rest = self.sweep_until_rest();
        for (f, rule) in beyond.iter().zip(stand_ins) {
            self.rules[*f] = rule;
            // What the stand-in said is not to be averaged with what the data say.
            for edge in &self.graph.of_factor[*f] {
                self.graph.edges[*edge].sent = false;
            }
        }
        rest
    }

    fn sweep_until_rest(&mut self) -> Result<(), AmpError> {
        let latents: Vec<usize> = (0..self.graph.sizes.len()).collect();
        for _ in 0..REST_SWEEPS {
            let before = self.graph.clone();
            self.sweep(1.0)?;
            let moved = latents.iter().any(|v| {
                let (new, old) = (self.graph.posterior(*v), before.posterior(*v));
                match (new, old) {
                    (Some(new), Some(old)) => {
                        (&new.mean - &old.mean).norm_squared()
                            > REST * new.mean.norm_squared().max(f64::MIN_POSITIVE)
                    }
                    _ => true,
                }
            });
            if !moved {
                break;
            }
        }
        Ok(())
    }
}

/// A denoising problem forgets its start at a geometric rate: rest to 10 digits comes long before.
const REST_SWEEPS: usize = 1_000;

/// Squared relative change at rest.
const REST: f64 = 1e-20;
