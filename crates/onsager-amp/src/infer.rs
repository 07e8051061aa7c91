//! The sweep driver: damping, stopping, recording and restarts, written once.

use std::ops::ControlFlow;

use nalgebra::DMatrix;
use onsager_model::FactorKind;

use crate::damping::{Adaptive, Signs};
use crate::message::{column, mean_square};
use crate::outcome::{Estimate, Iteration, Outcome, Record, Stop};
use crate::rules::{ROUNDING, rules};
use crate::{AmpError, Damping, Engine, Posterior, Problem, Settings};

/// Runs message passing on a problem.
///
/// # Errors
/// Settings out of range, a start that needs a truth or a model the problem does not have, a
/// factor without a rule. A run that diverged or did not converge is *not* an error: see
/// [`Outcome::stop`].
pub fn infer(problem: &Problem, settings: &Settings) -> Result<Outcome, AmpError> {
    infer_observed(problem, settings, &mut |_| ControlFlow::Continue(()))
}

/// [`infer`] with an observer, called at the start and after every sweep, which may stop the run.
///
/// # Errors
/// As for [`infer`].
pub fn infer_observed(
    problem: &Problem,
    settings: &Settings,
    observer: &mut dyn FnMut(&Iteration<'_>) -> ControlFlow<()>,
) -> Result<Outcome, AmpError> {
    settings.check()?;
    let mut best = Run::new(problem, settings, 0)?.finish(observer)?;
    let mut products = best.products;
    let restarts = if settings.start.is_random() {
        settings.restarts
    } else {
        0
    };
    for restart in 1..=restarts {
        if best.stop == Stop::Interrupted || best.is_solution() {
            break;
        }
        let outcome = Run::new(problem, settings, restart)?.finish(observer)?;
        products += outcome.products;
        // A run without evidence has less than any.
        let better = outcome.is_solution() || outcome.evidence > best.evidence;
        if outcome.stop == Stop::Interrupted || better {
            best = outcome;
        }
    }
    Ok(Outcome { products, ..best })
}

/// One run from one start.
struct Run<'a> {
    problem: &'a Problem,
    settings: &'a Settings,
    engine: Engine,
    adaptive: Adaptive,
    /// Norms of the estimates after the last sweep, by declared variable and problem.
    norms: Vec<Vec<f64>>,
    trace: Vec<Record>,
    first_damped: Option<usize>,
}

/// What one sweep did.
struct Motion {
    /// Largest squared change per component over `ρ`.
    residual: f64,
    /// Largest squared change of an estimate over its squared norm.
    relative: f64,
    /// Whether every estimate is at rest or has vanished.
    settled: bool,
}

/// See [`Outcome::misfit`].
struct Misfit {
    /// Largest over the problems.
    square: f64,
    /// Largest mean variance of the signal over its second moment.
    claimed: f64,
}

/// An estimate whose norm exceeds the declared second moment this many times is no posterior mean.
const DIVERGED: f64 = 1e6;

/// A centred variable estimated at less than this part of its second moment counts as trivial: no
/// overlap of interest is that small.
const TRIVIAL: f64 = 1e-6;

/// Claims are contradicted by a misfit this many times the claimed variance of the field: runs at rest
/// at 600 components stay below ten.
const CONTRADICTED: f64 = 100.0;

impl<'a> Run<'a> {
    fn new(problem: &'a Problem, settings: &'a Settings, restart: usize) -> Result<Self, AmpError> {
        let mut engine = Engine::new(problem, rules(problem, settings.variances)?)?;
        if let Some(schedule) = &settings.schedule {
            engine = engine.with_schedule(schedule.clone())?;
        }
        let mut stream = settings.seed.stream("amp", 0, restart as u64, "start");
        engine.start(problem, &settings.start, &mut stream)?;
        let mut run = Self {
            problem,
            settings,
            engine,
            adaptive: Adaptive::default(),
            norms: Vec::new(),
            trace: Vec::new(),
            first_damped: None,
        };
        run.norms = run.measure(|p, t| p.norm(t));
        Ok(run)
    }

    fn finish(
        mut self,
        observer: &mut dyn FnMut(&Iteration<'_>) -> ControlFlow<()>,
    ) -> Result<Outcome, AmpError> {
        let stop = self.sweeps(observer)?;
        self.outcome(stop)
    }

    fn sweeps(
        &mut self,
        observer: &mut dyn FnMut(&Iteration<'_>) -> ControlFlow<()>,
    ) -> Result<Stop, AmpError> {
        let mut step = match self.settings.damping {
            Damping::Adaptive => 1.0,
            Damping::Fixed(step) => step,
        };
        self.record(0, 0.0, step);
        if self.show(observer) {
            return Ok(Stop::Interrupted);
        }
        for iteration in 1..=self.settings.max_iterations {
            let before = self.engine.graph.clone();
            self.engine.sweep(step)?;
            let motion = self.motion(&before);
            if !self.engine.graph.is_finite() || self.exploded() {
                self.engine.graph = before;
                return Ok(Stop::Diverged);
            }
            self.record(iteration, motion.residual, step);
            if step < 1.0 {
                self.first_damped.get_or_insert(iteration);
            }
            if self.show(observer) {
                return Ok(Stop::Interrupted);
            }
            self.engine.learn()?;
            if motion.settled {
                return Ok(if self.is_trivial(self.problem.tree.signal_index()) {
                    Stop::Trivial
                } else {
                    Stop::Converged
                });
            }
            if self.settings.damping == Damping::Adaptive {
                let signs = self.signs(motion.relative);
                self.adaptive.observe(&signs);
                step = self.adaptive.step;
            }
        }
        Ok(Stop::NotConverged)
    }

    /// Indices of the declared variables.
    fn declared(&self) -> impl Iterator<Item = usize> + use<'a> {
        let variables = self.problem.tree.variables();
        (0..variables.len()).filter(|v| !variables[*v].is_field)
    }

    /// `f` of the moments of every declared variable, for every problem.
    fn measure(&self, f: impl Fn(&Posterior, usize) -> f64) -> Vec<Vec<f64>> {
        self.declared()
            .filter_map(|v| self.engine.posterior(v))
            .map(|p| (0..p.mean.ncols()).map(|t| f(p, t)).collect())
            .collect()
    }

    fn motion(&mut self, before: &crate::graph::Graph<f64>) -> Motion {
        let norms = self.measure(|p, t| p.norm(t));
        let mut motion = Motion {
            residual: 0.0,
            relative: 0.0,
            settled: true,
        };
        let tolerance = self.settings.tolerance;
        for ((v, norms), last) in self.declared().zip(&norms).zip(&self.norms) {
            let variable = &self.problem.tree.variables()[v];
            let rho = variable.second_moment;
            let (Some(new), Some(old)) = (self.engine.posterior(v), before.posterior(v)) else {
                continue;
            };
            for (t, (&norm, &last)) in norms.iter().zip(last).enumerate() {
                let difference = new.mean.column(t) - old.mean.column(t);
                let change = mean_square(difference.as_slice());
                let at_rest = change <= tolerance * norm.min(rho);
                // Only a centred variable has nothing to come back to.
                let is_small = norm <= tolerance * rho && norm <= last;
                let vanished = is_small && variable.mean == 0.0;
                motion.settled &= at_rest || vanished;
                motion.residual = motion.residual.max(change / rho);
                if !vanished {
                    motion.relative = motion.relative.max(change / norm.max(tolerance * rho));
                }
            }
        }
        self.norms = norms;
        motion
    }

    fn exploded(&self) -> bool {
        self.declared().zip(&self.norms).any(|(v, norms)| {
            let bound = DIVERGED * self.problem.tree.variables()[v].second_moment;
            norms.iter().any(|norm| *norm > bound)
        })
    }

    /// Whether the estimate of a centred variable is next to nothing.
    fn is_trivial(&self, v: usize) -> bool {
        let variable = &self.problem.tree.variables()[v];
        let small = TRIVIAL * variable.second_moment;
        let tiny = |p: &Posterior| (0..p.mean.ncols()).all(|t| p.norm(t) <= small);
        variable.mean == 0.0 && self.engine.posterior(v).is_some_and(tiny)
    }

    /// Mean over problems of `√((|B|²/p - A)/ρ) - A` and of `A`.
    fn nishimori(&self) -> (f64, f64) {
        let rho = self.problem.tree.signal().second_moment;
        let message = self.engine.evidence_message();
        let problems = self.problem.problems;
        let (mut gap, mut claimed) = (0.0, 0.0);
        for t in 0..problems {
            let a = message.precision.mean(t);
            let square = mean_square(column(&message.field, t));
            gap += ((square - a).max(0.0) / rho).sqrt() - a;
            claimed += a;
        }
        (gap / problems as f64, claimed / problems as f64)
    }

    /// What steers damping. The gap has two parts: the precision seen in the message to the signal
    /// against the one claimed, relative; and `|v|²/p + mean(c)` against `ρ`.
    ///
    /// By chance `|B|²/p` differs from `ρA² + A` by about `(√2 A + 2A√(ρA))/√p`, hence the first
    /// part from 0 by about `(1/√2 + √(ρA))/(ρA √p)`, and the second by about `√(2/p)`.
    fn signs(&self, change: f64) -> Signs {
        let rho = self.problem.tree.signal().second_moment;
        let root = (self.problem.signal_size() as f64).sqrt();
        let (gap, a) = self.nishimori();
        let (first, chance) = if a > 0.0 {
            let chance = (0.5f64.sqrt() + (rho * a).sqrt()) / (rho * a * root);
            (gap.abs() / a, chance)
        } else {
            (0.0, 0.0)
        };
        let (norm, claimed) = self
            .trace
            .last()
            .map_or((0.0, rho), |r| (r.norm, r.claimed_mse));
        Signs {
            change,
            gap: first + (norm + claimed - rho).abs() / rho,
            chance: chance + 2f64.sqrt() / root,
            norm: norm / rho,
        }
    }

    fn record(&mut self, iteration: usize, residual: f64, step: f64) {
        let signal = self.problem.tree.signal_index();
        let of = |f: &dyn Fn(&Posterior, usize) -> f64| {
            let problems = self.problem.problems;
            self.engine.posterior(signal).map_or(0.0, |p| {
                (0..problems).map(|t| f(p, t)).sum::<f64>() / problems as f64
            })
        };
        let (mse, overlap) = self.errors(signal);
        self.trace.push(Record {
            iteration,
            residual,
            step,
            norm: of(&|p, t| p.norm(t)),
            claimed_mse: of(&|p, t| p.variance.mean(t)),
            mse,
            overlap,
            nishimori_gap: self.nishimori().0,
        });
    }

    /// Mean squared error and overlap of a variable, means over the problems, sign-aligned where
    /// the model leaves the sign free.
    fn errors(&self, v: usize) -> (Option<f64>, Option<f64>) {
        let (Some(truth), Some(p)) = (&self.problem.truth[v], self.engine.posterior(v)) else {
            return (None, None);
        };
        let free = self.problem.tree.free_signs()[v];
        let n = truth.nrows() as f64;
        let problems = truth.ncols() as f64;
        let (mut mse, mut overlap) = (0.0, 0.0);
        for (x, m) in truth.column_iter().zip(p.mean.column_iter()) {
            let dot = x.dot(&m);
            let sign = if free && dot < 0.0 { -1.0 } else { 1.0 };
            mse += (m * sign - x).norm_squared() / n;
            overlap += sign * dot / n;
        }
        (Some(mse / problems), Some(overlap / problems))
    }

    /// How far the fields of the estimate are from those behind data without noise; nothing for other
    /// data, which do not determine their fields, or before the first sweep.
    fn misfit(&self) -> Result<Option<Misfit>, AmpError> {
        let tree = &self.problem.tree;
        let exact = tree.factors().iter().find_map(|f| match &f.kind {
            FactorKind::Likelihood(law) => {
                let field = f.variables[0];
                let sharp = law.sharpness(tree.variables()[field].second_moment);
                (sharp > Some(0.0)).then_some(field)
            }
            _ => None,
        });
        let sensing = |field| {
            let all = tree.factors().iter();
            all.enumerate().find_map(|(f, factor)| match factor.kind {
                FactorKind::Linear { .. } if factor.variables[1] == field => {
                    Some((f, factor.variables[0]))
                }
                _ => None,
            })
        };
        let Some((field, (f, inner))) = exact.and_then(|h| Some((h, sensing(h)?))) else {
            return Ok(None);
        };
        let (Some(seen), Some(x)) = (self.engine.posterior(field), self.engine.posterior(inner))
        else {
            return Ok(None);
        };
        if self.trace.len() < 2 {
            return Ok(None);
        }
        let [rho_h, rho_x] = [field, inner].map(|v| tree.variables()[v].second_moment);
        let image = self.problem.operator(f)?.apply(&x.mean)? / (x.mean.nrows() as f64).sqrt();
        let worst =
            |f: &dyn Fn(usize) -> f64| (0..self.problem.problems).map(f).fold(0.0, f64::max);
        let square = |t| {
            let difference = seen.mean.column(t) - image.column(t);
            mean_square(difference.as_slice()) + seen.variance.mean(t)
        };
        Ok(Some(Misfit {
            square: worst(&square) / rho_h,
            claimed: worst(&|t| x.variance.mean(t) / rho_x).max(ROUNDING),
        }))
    }

    /// Shows the last record; whether the observer wants to stop.
    fn show(&self, observer: &mut dyn FnMut(&Iteration<'_>) -> ControlFlow<()>) -> bool {
        self.trace.last().is_some_and(|record| {
            observer(&Iteration {
                record,
                problem: self.problem,
                engine: &self.engine,
            })
            .is_break()
        })
    }

    fn outcome(mut self, stop: Stop) -> Result<Outcome, AmpError> {
        let signal = self.problem.tree.signal_index();
        let misfit = self.misfit()?;
        let is_false = misfit
            .as_ref()
            .is_some_and(|m| m.square > CONTRADICTED * m.claimed);
        // The start alone has sent no message whose evidence could be taken.
        let evidence = if stop == Stop::Diverged || self.trace.len() < 2 || is_false {
            None
        } else {
            let all = self.engine.evidence()?;
            let mean = all.iter().sum::<f64>() / all.len() as f64;
            mean.is_finite().then_some(mean)
        };
        let last = self.trace.last().cloned();
        let variables: Vec<Estimate> = self.declared().filter_map(|v| self.estimate(v)).collect();
        let (mse, overlap) = self.errors(signal);
        let mut outcome = Outcome {
            estimate: DMatrix::zeros(0, 0),
            stop,
            trivial: self.is_trivial(signal),
            residual: last.as_ref().map_or(f64::INFINITY, |r| r.residual),
            iterations: last.as_ref().map_or(0, |r| r.iteration),
            trace: std::mem::take(&mut self.trace),
            first_damped: self.first_damped,
            evidence,
            misfit: misfit.as_ref().map(|m| m.square),
            claimed_mse: 0.0,
            mse,
            overlap,
            nishimori_gap: self.nishimori().0,
            products: self.engine.products() + misfit.map_or(0, |_| self.problem.problems as u64),
            peak_memory: self.engine.bytes(),
            variables,
        };
        let name = &self.problem.tree.signal().name;
        if let Some(x) = outcome.variables.iter().find(|v| v.name == *name) {
            outcome.claimed_mse = x.claimed_mse;
            outcome.estimate = x.mean.clone();
        }
        Ok(outcome)
    }

    fn estimate(&self, v: usize) -> Option<Estimate> {
        let p = self.engine.posterior(v)?;
        let problems = self.problem.problems;
        let mean = |f: &dyn Fn(usize) -> f64| (0..problems).map(f).sum::<f64>() / problems as f64;
        let (mse, overlap) = self.errors(v);
        Some(Estimate {
            name: self.problem.tree.variables()[v].name.clone(),
            mean: p.mean.clone(),
            variance: DMatrix::from_fn(p.mean.nrows(), problems, |i, t| p.variance.at(i, t)),
            norm: mean(&|t| p.norm(t)),
            claimed_mse: mean(&|t| p.variance.mean(t)),
            mse,
            overlap,
            trivial: self.is_trivial(v),
        })
    }
}
