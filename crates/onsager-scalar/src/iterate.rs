//! Fixed points: a pure update, with damping, stopping and acceleration written once around it.

use serde::Serialize;
use std::collections::VecDeque;
use std::ops::ControlFlow;

/// A map whose fixed points are sought.
pub trait FixedPoint {
    /// What is iterated.
    type State: Clone;

    /// One undamped update. Pure: no counter, no cache, no log.
    fn update(&self, state: &Self::State) -> Self::State;

    /// `(1 - t) old + t new`, in coordinates where averaging keeps the state admissible.
    fn mix(&self, old: &Self::State, new: &Self::State, t: f64) -> Self::State;

    /// Distance for the stopping rule, in the units of the state; NaN if either state holds one.
    fn distance(&self, x: &Self::State, y: &Self::State) -> f64;
}

impl<M: FixedPoint + ?Sized> FixedPoint for &M {
    type State = M::State;

    fn update(&self, state: &Self::State) -> Self::State {
        (**self).update(state)
    }

    fn mix(&self, old: &Self::State, new: &Self::State, t: f64) -> Self::State {
        (**self).mix(old, new, t)
    }

    fn distance(&self, x: &Self::State, y: &Self::State) -> f64 {
        (**self).distance(x, y)
    }
}

/// Why an iteration stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stop {
    /// The residual fell to the tolerance.
    Converged,
    /// The updates allowed were spent: near a transition this is physics, not failure.
    NotConverged,
    /// The residual left the finite range; the state is the last one before.
    Diverged,
    /// The observer asked to stop.
    Interrupted,
}

/// How to iterate.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Schedule {
    /// Share of the new state in `(0, 1]`; 1 is undamped.
    pub step: f64,
    /// Largest residual that counts as converged, in the units of the state.
    pub tolerance: f64,
    /// Largest number of updates.
    pub max_updates: usize,
}

/// Where an iteration ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Solution<S> {
    /// The last state; when converged, the one whose residual is reported.
    pub state: S,
    /// Why it is the last.
    pub stop: Stop,
    /// Number of updates computed.
    pub updates: usize,
    /// `distance(state, update(state))`, not damped; infinite if no update was computed.
    pub residual: f64,
}

/// What an observer sees after each update.
#[derive(Debug, Clone, Copy)]
pub struct Progress<'a, S> {
    /// The state that was updated.
    pub state: &'a S,
    /// Updates so far.
    pub updates: usize,
    /// Its distance to its update.
    pub residual: f64,
}

/// Why no number of a run may be used.
#[derive(Debug, Clone, Copy, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum IterateError {
    /// The step is not in `(0, 1]`.
    #[error("step must lie in (0, 1], got {0}")]
    Step(f64),
    /// The tolerance is NaN or negative.
    #[error("tolerance must be non-negative, got {0}")]
    Tolerance(f64),
    /// The residual is NaN.
    #[error("residual is not a number after {updates} updates")]
    NotFinite {
        /// The update that produced it, counted from 1.
        updates: usize,
    },
}

/// Iterates `state ← mix(state, update(state), step)` until the residual is small.
///
/// - **Errors**: a NaN and an invalid schedule; running out of updates is `Ok` with
///   [`Stop::NotConverged`].
///
/// ```
/// use onsager_scalar::iterate::{FixedPoint, Schedule, Stop, solve};
/// struct Cosine;
/// impl FixedPoint for Cosine {
///     type State = f64;
///     fn update(&self, x: &f64) -> f64 { x.cos() }
///     fn mix(&self, old: &f64, new: &f64, t: f64) -> f64 { (1.0 - t) * old + t * new }
///     fn distance(&self, x: &f64, y: &f64) -> f64 { (x - y).abs() }
/// }
/// let plan = Schedule { step: 0.6, tolerance: 1e-14, max_updates: 100 };
/// let found = solve(&Cosine, 1.0, plan)?;
/// assert_eq!(found.stop, Stop::Converged);
/// assert!((found.state.cos() - found.state).abs() <= 1e-14);
/// # Ok::<(), onsager_scalar::iterate::IterateError>(())
/// ```
pub fn solve<M: FixedPoint>(
    map: &M,
    start: M::State,
    schedule: Schedule,
) -> Result<Solution<M::State>, IterateError> {
    solve_observed(map, start, schedule, |_| ControlFlow::Continue(()))
}

/// [`solve`], showing every state to an observer that may stop it.
pub fn solve_observed<M: FixedPoint>(
    map: &M,
    start: M::State,
    schedule: Schedule,
    observer: impl FnMut(Progress<'_, M::State>) -> ControlFlow<()>,
) -> Result<Solution<M::State>, IterateError> {
    run(map, start, schedule, observer, |state, update, _| {
        map.mix(state, update, schedule.step)
    })
}

/// A fixed point whose states are points of `R^d`, for acceleration.
pub trait Coordinates: FixedPoint {
    /// Coordinates where linear combinations make sense, such as logarithms of variances.
    fn coordinates(&self, state: &Self::State) -> Vec<f64>;

    /// The state with these coordinates, or `None` if there is no admissible one.
    fn state_at(&self, coordinates: &[f64]) -> Option<Self::State>;
}

/// Fixed point by Anderson acceleration over the last `memory` differences (2 or 3 suffice).
///
/// The next state is the combination of past updates whose combined residual is smallest in the
/// coordinates. Safeguard: whenever the residual exceeds twice the best one so far, or the
/// combination is inadmissible, the past is forgotten and one damped update is taken. A converged
/// state therefore is a fixed point, though not always the one plain iteration reaches.
///
/// - **Errors**: as [`solve`].
/// - **Source**: D. G. Anderson (1965), J. ACM 12, 547; the form of type II.
pub fn accelerate<M: Coordinates>(
    map: &M,
    start: M::State,
    schedule: Schedule,
    memory: usize,
) -> Result<Solution<M::State>, IterateError> {
    let mut past = Past::new(memory);
    let mut best = f64::INFINITY;
    run(
        map,
        start,
        schedule,
        |_| ControlFlow::Continue(()),
        |state, update, residual| {
            if residual > 2.0 * best {
                past.forget();
            }
            best = best.min(residual);
            let x = map.coordinates(state);
            let f: Vec<f64> = map
                .coordinates(update)
                .iter()
                .zip(&x)
                .map(|(g, x)| g - x)
                .collect();
            past.combine(&x, &f, schedule.step)
                .and_then(|next| map.state_at(&next))
                .unwrap_or_else(|| {
                    past.forget();
                    past.last = Some((x, f));
                    map.mix(state, update, schedule.step)
                })
        },
    )
}

fn run<M: FixedPoint>(
    map: &M,
    start: M::State,
    schedule: Schedule,
    mut observer: impl FnMut(Progress<'_, M::State>) -> ControlFlow<()>,
    mut next: impl FnMut(&M::State, &M::State, f64) -> M::State,
) -> Result<Solution<M::State>, IterateError> {
    let Schedule {
        step,
        tolerance,
        max_updates,
    } = schedule;
    if !(step > 0.0 && step <= 1.0) {
        return Err(IterateError::Step(step));
    }
    if tolerance.is_nan() || tolerance < 0.0 {
        return Err(IterateError::Tolerance(tolerance));
    }
    // The state in hand and, if it has been updated, its residual.
    let (mut state, mut residual) = (start, f64::INFINITY);
    let mut before: Option<(M::State, f64)> = None;
    for updates in 1..=max_updates {
        let update = map.update(&state);
        residual = map.distance(&state, &update);
        if residual.is_nan() {
            return Err(IterateError::NotFinite { updates });
        }
        let stop = if residual.is_infinite() {
            // Hand back the last state that could still be updated.
            if let Some((last, finite)) = before {
                (state, residual) = (last, finite);
            }
            Some(Stop::Diverged)
        } else {
            let watched = observer(Progress {
                state: &state,
                updates,
                residual,
            });
            if residual <= tolerance {
                Some(Stop::Converged)
            } else if watched.is_break() {
                Some(Stop::Interrupted)
            } else {
                (updates == max_updates).then_some(Stop::NotConverged)
            }
        };
        if let Some(stop) = stop {
            return Ok(Solution {
                state,
                stop,
                updates,
                residual,
            });
        }
        let following = next(&state, &update, residual);
        before = Some((std::mem::replace(&mut state, following), residual));
    }
    Ok(Solution {
        state,
        stop: Stop::NotConverged,
        updates: 0,
        residual,
    })
}

/// Differences of the last points and of their residuals.
struct Past {
    memory: usize,
    last: Option<(Vec<f64>, Vec<f64>)>,
    differences: VecDeque<(Vec<f64>, Vec<f64>)>,
}

impl Past {
    fn new(memory: usize) -> Self {
        Self {
            memory,
            last: None,
            differences: VecDeque::with_capacity(memory),
        }
    }

    fn forget(&mut self) {
        self.last = None;
        self.differences.clear();
    }

    /// `x + t f - Σ γ_j (Δx_j + t Δf_j)` with `γ` minimising `|f - Σ γ_j Δf_j|`; `None` without
    /// a past.
    fn combine(&mut self, x: &[f64], f: &[f64], t: f64) -> Option<Vec<f64>> {
        let minus =
            |a: &[f64], b: &[f64]| -> Vec<f64> { a.iter().zip(b).map(|(a, b)| a - b).collect() };
        if let Some((x0, f0)) = self.last.replace((x.to_vec(), f.to_vec())) {
            if self.differences.len() == self.memory {
                self.differences.pop_back();
            }
            if self.memory > 0 {
                self.differences.push_front((minus(x, &x0), minus(f, &f0)));
            }
        }
        if self.differences.is_empty() {
            return None;
        }
        // Gram-Schmidt from the newest difference on. Along with Δf_j its partner Δx_j is
        // carried, so the combination needs no γ; a nearly dependent direction is left out.
        let mut basis: Vec<(Vec<f64>, Vec<f64>)> = Vec::with_capacity(self.memory);
        let (mut rest, mut next) = (f.to_vec(), x.to_vec());
        for (dx, df) in &self.differences {
            let (mut dx, mut df) = (dx.clone(), df.clone());
            let size = dot(&df, &df).sqrt();
            for (ex, ef) in &basis {
                let c = dot(ef, &df);
                subtract(&mut df, c, ef);
                subtract(&mut dx, c, ex);
            }
            let norm = dot(&df, &df).sqrt();
            // Below 1e-7 of its size a direction is rounding after one orthogonalisation.
            if norm.is_nan() || norm <= 1e-7 * size || norm == 0.0 {
                continue;
            }
            df.iter_mut().chain(&mut dx).for_each(|v| *v /= norm);
            let c = dot(&df, &rest);
            subtract(&mut rest, c, &df);
            subtract(&mut next, c, &dx);
            basis.push((dx, df));
        }
        subtract(&mut next, -t, &rest);
        next.iter().all(|v| v.is_finite()).then_some(next)
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn subtract(a: &mut [f64], c: f64, b: &[f64]) {
    a.iter_mut().zip(b).for_each(|(a, b)| *a -= c * b);
}
