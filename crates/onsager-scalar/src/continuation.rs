//! Pseudo-arclength continuation of the curve `F(u) = 0`, `F: R^{n+1} → R^n`, `n` small.
//!
//! Follows a branch of solutions through its folds, where a sweep in the parameter stops.
//! Lengths are Euclidean: scale the coordinates so that a unit means the same in each.

use crate::roots::{Tolerance, bracketed_root};
use std::ops::ControlFlow;

/// `n` equations in `n + 1` unknowns.
pub trait ZeroSet {
    /// Number `n ≥ 1` of equations.
    fn equations(&self) -> usize;

    /// Writes `F(u)`; NaN where `F` is not defined.
    fn residual(&self, u: &[f64], out: &mut [f64]);

    /// Writes `∂F_i/∂u_j` at `out[i·(n+1) + j]`; by default from central differences.
    fn jacobian(&self, u: &[f64], out: &mut [f64]) {
        let n = self.equations();
        let mut moved = u.to_vec();
        let (mut plus, mut minus) = (vec![0.0; n], vec![0.0; n]);
        for j in 0..=n {
            let h = DIFFERENCE * u[j].abs().max(1.0);
            moved[j] = u[j] + h;
            self.residual(&moved, &mut plus);
            moved[j] = u[j] - h;
            self.residual(&moved, &mut minus);
            moved[j] = u[j];
            for i in 0..n {
                out[i * (n + 1) + j] = (plus[i] - minus[i]) / (2.0 * h);
            }
        }
    }
}

/// The zero set of a closure `f(u, out)` of `equations` components.
#[derive(Debug, Clone, Copy)]
pub struct Equations<F> {
    /// Number of equations.
    pub equations: usize,
    /// Writes the residual.
    pub f: F,
}

impl<F: Fn(&[f64], &mut [f64])> ZeroSet for Equations<F> {
    fn equations(&self) -> usize {
        self.equations
    }

    fn residual(&self, u: &[f64], out: &mut [f64]) {
        (self.f)(u, out);
    }
}

/// How to follow a curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Continuation {
    /// First step in arclength.
    pub step: f64,
    /// A curve that needs a smaller step has stalled.
    pub min_step: f64,
    /// Largest step: folds closer together than this may be missed in pairs.
    pub max_step: f64,
    /// Length of the last Newton correction, relative to `max(1, |u|)`.
    pub tolerance: f64,
    /// Largest number of points.
    pub max_points: usize,
    /// Box `[low, high]` of each unknown; infinite ends are allowed. `F` is asked for values up
    /// to a step outside, where NaN only shortens the step; central differences at the box
    /// reach 6e-6 beyond it.
    pub bounds: Vec<(f64, f64)>,
}

/// A function of the unknowns whose turning points along the curve are wanted.
pub type Watched<'a> = &'a dyn Fn(&[f64]) -> f64;

/// A point of the curve.
#[derive(Debug, Clone, PartialEq)]
pub struct Point {
    /// The unknowns.
    pub u: Vec<f64>,
    /// Unit tangent, pointing onwards.
    pub tangent: Vec<f64>,
    /// Length of the chords from the start.
    pub arclength: f64,
}

/// A point where a watched function is stationary along the curve.
#[derive(Debug, Clone, PartialEq)]
pub struct TurningPoint {
    /// Index of the watched function.
    pub function: usize,
    /// Where.
    pub point: Point,
    /// Its value there.
    pub value: f64,
    /// Whether it is a maximum along the curve.
    pub maximum: bool,
}

/// How a curve ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The last point lies on the box, in this coordinate.
    Bound(usize),
    /// The curve returned to its start.
    Closed,
    /// No acceptable point within the smallest step: `F` ends, or branches cross.
    Stalled,
    /// The observer stopped it.
    Stopped,
    /// The points allowed were spent.
    MaxPoints,
}

/// A branch of solutions.
#[derive(Debug, Clone, PartialEq)]
pub struct Curve {
    /// Points in order, the corrected start first.
    pub points: Vec<Point>,
    /// Stationary points of the watched functions, in order.
    pub turning_points: Vec<TurningPoint>,
    /// How it ended.
    pub end: End,
}

/// Why no curve starts here.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum ContinuationError {
    /// The start, the direction or the box does not have `n + 1` coordinates.
    #[error("{equations} equations need {} coordinates, got {found}", equations + 1)]
    Shape {
        /// Number of equations.
        equations: usize,
        /// Coordinates given.
        found: usize,
    },
    /// Steps or tolerance are not positive, or out of order.
    #[error("settings need 0 < min_step <= step <= max_step and a positive tolerance")]
    Settings,
    /// The start lies outside the box.
    #[error("coordinate {coordinate} of the start must lie in [{low}, {high}], got {value}")]
    Outside {
        /// Which coordinate.
        coordinate: usize,
        /// Lower bound.
        low: f64,
        /// Upper bound.
        high: f64,
        /// Its value.
        value: f64,
    },
    /// The Jacobian at the start has not full rank, so the tangent is not unique.
    #[error("jacobian at the start has not full rank")]
    Singular,
    /// The direction is orthogonal to the curve.
    #[error("direction must not be orthogonal to the curve at the start")]
    Direction,
    /// Newton's method does not reach the curve.
    #[error("no zero near the start: residual {residual} after newton's method")]
    Start {
        /// Largest component of the residual that remained.
        residual: f64,
    },
}

/// Follows the curve `F = 0` from the zero nearest to `start`, towards `direction`.
///
/// Predictor along the tangent; corrector by Newton's method of smallest norm, with one Jacobian
/// per point and Broyden's updates within. A step is halved when the corrector is slow or the
/// tangent turns by more than about 25 degrees, and grows when both are easy. Where the
/// derivative along the curve of a function in `watched` changes sign, its extremum is refined;
/// a crossing of the box likewise ends the curve exactly on it.
///
/// - **Arguments**: `start`, `direction` and `bounds` of `n + 1` coordinates.
/// - **Accuracy**: points to `tolerance`; turning points to about 1e-10 in arclength when `F` and
///   the function are smooth on unit scale and accurate to rounding.
/// - **Errors**: [`ContinuationError`] when no curve starts; whatever happens later is [`End`].
///
/// ```
/// use onsager_scalar::continuation::*;
/// // x³ - x + t = 0 turns back in t at x = 1/√3, where t = 2/(3√3).
/// let cubic = Equations { equations: 1, f: |u: &[f64], out: &mut [f64]| {
///     out[0] = u[0].powi(3) - u[0] + u[1];
/// }};
/// let plan = Continuation {
///     step: 0.02, min_step: 1e-6, max_step: 0.1, tolerance: 1e-12, max_points: 1000,
///     bounds: vec![(-2.0, 2.0), (-1.0, 1.0)],
/// };
/// let curve = trace(&cubic, &[-1.0, 0.0], &[1.0, 0.0], &plan, &[&|u| u[1]])?;
/// assert_eq!(curve.turning_points.len(), 2);
/// assert!((curve.turning_points[1].value - 2.0 / 27f64.sqrt()).abs() < 1e-12);
/// assert_eq!(curve.end, End::Bound(1));
/// # Ok::<(), ContinuationError>(())
/// ```
pub fn trace(
    set: &impl ZeroSet,
    start: &[f64],
    direction: &[f64],
    plan: &Continuation,
    watched: &[Watched<'_>],
) -> Result<Curve, ContinuationError> {
    trace_observed(set, start, direction, plan, watched, |_| {
        ControlFlow::Continue(())
    })
}

/// [`trace`], showing every accepted point to an observer that may stop.
pub fn trace_observed(
    set: &impl ZeroSet,
    start: &[f64],
    direction: &[f64],
    plan: &Continuation,
    watched: &[Watched<'_>],
    mut observer: impl FnMut(&Point) -> ControlFlow<()>,
) -> Result<Curve, ContinuationError> {
    check(set, start, direction, plan)?;
    let walker = Walker { set, plan };
    let mut here = walker.first(start, direction)?;
    let mut curve = Curve {
        points: vec![here.point.clone()],
        turning_points: Vec::new(),
        end: End::MaxPoints,
    };
    if observer(&here.point).is_break() {
        curve.end = End::Stopped;
        return Ok(curve);
    }
    let mut step = plan.step;
    while curve.points.len() < plan.max_points {
        let Some((mut next, mut taken, ease)) = walker.step(&here, step) else {
            curve.end = End::Stalled;
            break;
        };
        let mut left_by = None;
        // Each pass shortens the step, so that the point ends inside in every coordinate.
        while let Some((i, bound)) = crossed(&next.point.u, plan) {
            let Some((h, mut edge)) = walker.refine(&here, taken, |at| at.u[i] - bound) else {
                curve.end = End::Stalled;
                return Ok(curve);
            };
            edge.point.u[i] = bound;
            (taken, next, left_by) = (h, edge, Some(i));
        }
        for (function, psi) in watched.iter().enumerate() {
            let slope = |at: &Point| slope(psi, at);
            let (before, after) = (slope(&here.point), slope(&next.point));
            // A stationary point at the very start of a step belongs to the step before.
            let turns = before * after < 0.0 || (after == 0.0 && before != 0.0);
            if turns && let Some((_, found)) = walker.refine(&here, taken, slope) {
                curve.turning_points.push(TurningPoint {
                    function,
                    value: psi(&found.point.u),
                    point: found.point,
                    maximum: before > 0.0,
                });
            }
        }
        let closed = curve.points.len() > 2 && passes(&here.point, &curve.points[0], taken);
        curve.points.push(next.point.clone());
        let stopped = observer(&next.point).is_break();
        here = next;
        let end = match (left_by, closed, stopped) {
            (Some(i), ..) => Some(End::Bound(i)),
            (None, true, _) => Some(End::Closed),
            (None, false, true) => Some(End::Stopped),
            _ => None,
        };
        if let Some(end) = end {
            curve.end = end;
            break;
        }
        step = match ease {
            Ease::Easy => (1.5 * taken).min(plan.max_step),
            Ease::Fair => taken,
        };
    }
    Ok(curve)
}

/// Step of central differences: truncation and rounding errors are both about 1e-11.
const DIFFERENCE: f64 = 6e-6;
/// A row of the Jacobian that depends on the others to this share makes it singular; finite
/// differences are accurate to about 1e-10.
const RANK: f64 = 1e-8;
/// Newton steps allowed, to the start and in a step.
const FAR: usize = 30;
const NEAR: usize = 8;

/// A point with its Jacobian.
struct Place {
    point: Point,
    jacobian: Vec<f64>,
}

enum Ease {
    Easy,
    Fair,
}

struct Walker<'a, Z> {
    set: &'a Z,
    plan: &'a Continuation,
}

impl<Z: ZeroSet> Walker<'_, Z> {
    fn first(&self, start: &[f64], direction: &[f64]) -> Result<Place, ContinuationError> {
        let n = self.set.equations();
        let mut jacobian = vec![0.0; n * (n + 1)];
        self.set.jacobian(start, &mut jacobian);
        let mut residual = vec![0.0; n];
        self.set.residual(start, &mut residual);
        let mut largest = largest(&residual);
        if !jacobian.iter().all(|v| v.is_finite()) || !largest.is_finite() {
            return Err(ContinuationError::Start { residual: largest });
        }
        Frame::new(&jacobian, n).ok_or(ContinuationError::Singular)?;
        let Some((u, _)) = self.correct(start.to_vec(), jacobian.clone(), FAR) else {
            return Err(ContinuationError::Start { residual: largest });
        };
        self.set.residual(&u, &mut residual);
        largest = residual.iter().fold(0.0, |m, r| m.max(r.abs()));
        self.set.jacobian(&u, &mut jacobian);
        if !jacobian.iter().all(|v| v.is_finite()) {
            return Err(ContinuationError::Start { residual: largest });
        }
        let frame = Frame::new(&jacobian, n).ok_or(ContinuationError::Singular)?;
        let mut tangent = frame.tangent();
        let along = dot(&tangent, direction);
        if along.is_nan() || along.abs() <= RANK * norm(direction) {
            return Err(ContinuationError::Direction);
        }
        tangent.iter_mut().for_each(|t| *t *= along.signum());
        check_inside(&u, self.plan)?;
        Ok(Place {
            point: Point {
                u,
                tangent,
                arclength: 0.0,
            },
            jacobian,
        })
    }

    /// The longest acceptable step up to `step`, and whether a longer one may be tried next.
    fn step(&self, from: &Place, mut step: f64) -> Option<(Place, f64, Ease)> {
        while step >= self.plan.min_step {
            if let Some((next, iterations)) = self.at(from, step) {
                let turn = dot(&next.point.tangent, &from.point.tangent);
                // Cosines of 25 and of 11 degrees.
                if turn > 0.9 {
                    let easy = turn > 0.98 && iterations <= 4;
                    return Some((next, step, if easy { Ease::Easy } else { Ease::Fair }));
                }
            }
            step *= 0.5;
        }
        None
    }

    /// The point of the curve over the predictor of length `h`, and the corrections it took.
    fn at(&self, from: &Place, h: f64) -> Option<(Place, usize)> {
        let n = self.set.equations();
        let t = &from.point.tangent;
        let predictor = from.point.u.iter().zip(t).map(|(u, t)| u + h * t).collect();
        let (u, iterations) = self.correct(predictor, from.jacobian.clone(), NEAR)?;
        let chord = distance(&u, &from.point.u);
        // A correction longer than the step has landed on some other part of the zero set.
        if chord > 2.0 * h {
            return None;
        }
        let mut jacobian = vec![0.0; n * (n + 1)];
        self.set.jacobian(&u, &mut jacobian);
        let mut tangent = Frame::new(&jacobian, n)?.tangent();
        if dot(&tangent, t) < 0.0 {
            tangent.iter_mut().for_each(|t| *t = -*t);
        }
        let point = Point {
            u,
            tangent,
            arclength: from.point.arclength + chord,
        };
        Some((Place { point, jacobian }, iterations))
    }

    /// Smallest-norm Newton steps with Broyden's updates, until one is shorter than the tolerance.
    fn correct(
        &self,
        mut u: Vec<f64>,
        mut jacobian: Vec<f64>,
        limit: usize,
    ) -> Option<(Vec<f64>, usize)> {
        let n = self.set.equations();
        let mut residual = vec![0.0; n];
        self.set.residual(&u, &mut residual);
        let mut last = f64::INFINITY;
        for iteration in 1..=limit {
            if !largest(&residual).is_finite() {
                return None;
            }
            let mut delta = Frame::new(&jacobian, n)?.solve(&residual);
            let mut length = norm(&delta);
            if length > 0.5 * last {
                // The updated Jacobian is worn out.
                self.set.jacobian(&u, &mut jacobian);
                delta = Frame::new(&jacobian, n)?.solve(&residual);
                length = norm(&delta);
            }
            u.iter_mut().zip(&delta).for_each(|(u, d)| *u += d);
            if length <= self.plan.tolerance * norm(&u).max(1.0) {
                return Some((u, iteration));
            }
            self.set.residual(&u, &mut residual);
            // The new residual is what the linear model missed.
            for (row, r) in jacobian.chunks_mut(n + 1).zip(&residual) {
                for (entry, d) in row.iter_mut().zip(&delta) {
                    *entry += r * d / (length * length);
                }
            }
            last = length;
        }
        None
    }

    /// The place within the step `[0, h]` where `g` along the curve vanishes.
    fn refine(&self, from: &Place, h: f64, g: impl Fn(&Point) -> f64) -> Option<(f64, Place)> {
        let along = |s: f64| {
            if s == 0.0 {
                return g(&from.point);
            }
            self.at(from, s).map_or(f64::NAN, |(at, _)| g(&at.point))
        };
        let tolerance = Tolerance {
            relative: 0.0,
            absolute: 1e-13 * norm(&from.point.u).max(1.0),
        };
        let root = bracketed_root(along, 0.0, h, tolerance).ok()?;
        if root.x == 0.0 {
            let (point, jacobian) = (from.point.clone(), from.jacobian.clone());
            return Some((0.0, Place { point, jacobian }));
        }
        self.at(from, root.x).map(|(place, _)| (root.x, place))
    }
}

/// Orthonormal basis of the row space of an `n × (n+1)` matrix: `J = L Q`.
struct Frame {
    n: usize,
    /// Rows of `Q`.
    q: Vec<Vec<f64>>,
    /// Lower triangle, row by row.
    l: Vec<f64>,
}

impl Frame {
    /// `None` when a row lies in the span of those before, or is not finite.
    fn new(jacobian: &[f64], n: usize) -> Option<Self> {
        let mut q: Vec<Vec<f64>> = Vec::with_capacity(n);
        let mut l = vec![0.0; n * n];
        for (i, row) in jacobian.chunks(n + 1).enumerate() {
            let mut rest = row.to_vec();
            project_out(&mut rest, &q, &mut l[i * n..]);
            let length = norm(&rest);
            if !length.is_finite() || length <= RANK * norm(row) {
                return None;
            }
            l[i * n + i] = length;
            rest.iter_mut().for_each(|v| *v /= length);
            q.push(rest);
        }
        Some(Self { n, q, l })
    }

    /// Unit vector of the null space, of either sign.
    fn tangent(&self) -> Vec<f64> {
        let mut best = Vec::new();
        let mut length = 0.0;
        // Some axis has a component of at least 1/√(n+1) along the null space.
        for j in 0..=self.n {
            let mut axis = vec![0.0; self.n + 1];
            axis[j] = 1.0;
            project_out(&mut axis, &self.q, &mut vec![0.0; self.n]);
            if norm(&axis) > length {
                length = norm(&axis);
                best = axis;
            }
        }
        best.iter_mut().for_each(|v| *v /= length);
        best
    }

    /// The shortest `δ` with `J δ = -residual`.
    fn solve(&self, residual: &[f64]) -> Vec<f64> {
        let mut delta = vec![0.0; self.n + 1];
        let mut y = vec![0.0; self.n];
        for i in 0..self.n {
            let row = &self.l[i * self.n..];
            y[i] = (-residual[i] - dot(&row[..i], &y[..i])) / row[i];
            delta
                .iter_mut()
                .zip(&self.q[i])
                .for_each(|(d, q)| *d += y[i] * q);
        }
        delta
    }
}

/// Removes from `v` its components along the orthonormal `q`, adding them to `components`.
/// The second pass makes the rest orthogonal to rounding, whatever the first one cancelled.
fn project_out(v: &mut [f64], q: &[Vec<f64>], components: &mut [f64]) {
    for _ in 0..2 {
        for (direction, component) in q.iter().zip(components.iter_mut()) {
            let c = dot(v, direction);
            *component += c;
            v.iter_mut().zip(direction).for_each(|(v, d)| *v -= c * d);
        }
    }
}

/// Derivative of `psi` along the curve; the curvature is even in the step and drops out.
fn slope(psi: &dyn Fn(&[f64]) -> f64, at: &Point) -> f64 {
    let h = DIFFERENCE * norm(&at.u).max(1.0);
    let moved = |h: f64| -> Vec<f64> {
        at.u.iter()
            .zip(&at.tangent)
            .map(|(u, t)| u + h * t)
            .collect()
    };
    (psi(&moved(h)) - psi(&moved(-h))) / (2.0 * h)
}

/// A coordinate outside its bounds, with the bound it crossed.
fn crossed(u: &[f64], plan: &Continuation) -> Option<(usize, f64)> {
    u.iter()
        .zip(&plan.bounds)
        .enumerate()
        .find_map(|(i, (&x, &(low, high)))| {
            (x < low)
                .then_some((i, low))
                .or((x > high).then_some((i, high)))
        })
}

/// Whether the step from `here` runs past `start`, in the direction the start had.
fn passes(here: &Point, start: &Point, step: f64) -> bool {
    let ahead: Vec<f64> = start.u.iter().zip(&here.u).map(|(a, b)| a - b).collect();
    let along = dot(&ahead, &here.tangent);
    let across = (dot(&ahead, &ahead) - along * along).max(0.0).sqrt();
    // A tangent that turns by at most 25 degrees keeps the curve within 0.25 of the step.
    along > 0.0
        && along <= step
        && across <= 0.25 * step
        && dot(&here.tangent, &start.tangent) > 0.8
}

fn check(
    set: &impl ZeroSet,
    start: &[f64],
    direction: &[f64],
    plan: &Continuation,
) -> Result<(), ContinuationError> {
    let equations = set.equations();
    for found in [start.len(), direction.len(), plan.bounds.len()] {
        if found != equations + 1 || equations == 0 {
            return Err(ContinuationError::Shape { equations, found });
        }
    }
    let ordered = 0.0 < plan.min_step && plan.min_step <= plan.step && plan.step <= plan.max_step;
    if !(ordered && plan.max_step.is_finite() && plan.tolerance > 0.0) {
        return Err(ContinuationError::Settings);
    }
    check_inside(start, plan)
}

fn check_inside(u: &[f64], plan: &Continuation) -> Result<(), ContinuationError> {
    for (coordinate, (&value, &(low, high))) in u.iter().zip(&plan.bounds).enumerate() {
        if !(low <= value && value <= high) {
            return Err(ContinuationError::Outside {
                coordinate,
                low,
                high,
                value,
            });
        }
    }
    Ok(())
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn norm(a: &[f64]) -> f64 {
    dot(a, a).sqrt()
}

fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// Largest absolute component, NaN if there is one.
fn largest(a: &[f64]) -> f64 {
    a.iter().fold(
        0.0,
        |m, v| if v.is_nan() { f64::NAN } else { v.abs().max(m) },
    )
}
