//! Following the curve of solutions of `n - 1` equations in `n` unknowns by pseudo-arclength.

use crate::ReplicaError;
use crate::chain::{Evaluation, Linear, Stretch};

/// A point of the curve, with its tangent.
#[derive(Debug, Clone)]
pub(crate) struct Point {
    pub(crate) u: Vec<f64>,
    pub(crate) at: Evaluation,
    pub(crate) linear: Linear,
    /// Unit tangent, oriented along the path.
    pub(crate) tangent: Vec<f64>,
    /// `d ln noise/ds`.
    pub(crate) slope: f64,
}

/// One equation more, to single out a point of the curve.
pub(crate) enum Constraint<'a> {
    /// The plane through a point, orthogonal to a direction.
    Plane {
        normal: &'a [f64],
        through: &'a [f64],
    },
    /// A given `ln noise`.
    LogNoise(f64),
}

/// A corrected point.
pub(crate) struct Corrected {
    pub(crate) u: Vec<f64>,
    pub(crate) at: Evaluation,
}

/// Residuals are logarithms of ratios computed to about 1e-12; below this the point is exact.
const EXACT: f64 = 1e-12;
/// Where rounding in the averages stalls Newton's method, this is still accepted, or else what the
/// averages themselves claim.
const ACCEPTED: f64 = 1e-9;

impl Constraint<'_> {
    fn value(&self, u: &[f64], at: &Evaluation) -> f64 {
        match self {
            Self::Plane { normal, through } => {
                let along = u.iter().zip(*through).zip(*normal);
                along.map(|((u, p), n)| n * (u - p)).sum()
            }
            Self::LogNoise(target) => at.log_noise - target,
        }
    }
    fn gradient<'b>(&'b self, linear: &'b Linear) -> &'b [f64] {
        match self {
            Self::Plane { normal, .. } => normal,
            Self::LogNoise(_) => &linear.log_noise,
        }
    }
}

/// Newton's method from `u`, with a linearisation that is renewed only when it stops helping.
pub(crate) fn correct(
    stretch: &Stretch<'_>,
    mut u: Vec<f64>,
    constraint: &Constraint<'_>,
    linear: &Linear,
) -> Result<Option<Corrected>, ReplicaError> {
    let mut own: Option<Linear> = None;
    let (mut last, mut renewed) = (f64::INFINITY, 0);
    for _ in 0..40 {
        let at = stretch.evaluate(&u)?;
        let mut r = at.residual.clone();
        r.push(constraint.value(&u, &at));
        let size = r.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        if !size.is_finite() {
            return Ok(None);
        }
        let rounding = at.passages.iter().map(|p| p.error).fold(ACCEPTED, f64::max);
        if size < EXACT || (size < rounding && size > 0.3 * last) {
            return Ok(Some(Corrected { u, at }));
        }
        if size > 0.1 * last {
            renewed += 1;
            if renewed > 12 {
                return Ok(None);
            }
            own = Some(stretch.linearise(&u, &at)?);
        }
        last = size;
        let j = own.as_ref().unwrap_or(linear);
        let mut rows: Vec<Vec<f64>> = j.rows.clone();
        rows.push(constraint.gradient(j).to_vec());
        let Some(step) = solve(rows, r) else {
            return Ok(None);
        };
        // A step of more than e in any ratio is outside the linear regime.
        let longest = step.iter().fold(1.0f64, |m, x| m.max(x.abs()));
        for (u, d) in u.iter_mut().zip(&step) {
            *u -= d / longest;
        }
    }
    Ok(None)
}

impl Point {
    /// The same point on the path walked the other way.
    pub(crate) fn reversed(mut self) -> Self {
        self.tangent.iter_mut().for_each(|x| *x = -*x);
        self.slope = -self.slope;
        self
    }

    /// Completes a solution by its tangent, oriented along `towards`.
    pub(crate) fn new(
        stretch: &Stretch<'_>,
        u: Vec<f64>,
        at: Evaluation,
        towards: &[f64],
    ) -> Result<Option<Self>, ReplicaError> {
        let linear = stretch.linearise(&u, &at)?;
        let Some(tangent) = null_vector(&linear.rows, towards) else {
            return Ok(None);
        };
        let slope = dot(&linear.log_noise, &tangent);
        Ok(Some(Self {
            u,
            at,
            linear,
            tangent,
            slope,
        }))
    }
}

/// Follows the curve from a seed in the direction of `towards` until `stop` holds at a point,
/// which is the last one returned.
pub(crate) fn follow(
    stretch: &Stretch<'_>,
    seed: Point,
    stop: impl Fn(&Point) -> bool,
) -> Result<Vec<Point>, ReplicaError> {
    /// Longest step, in units of `ln snr`: no branch of the scalar channels is narrower than it
    /// is wide in its own logarithmic coordinates.
    const LONGEST: f64 = 2.0;
    /// Distance between prediction and correction that is aimed at.
    const AIM: f64 = 0.02;
    const SHORTEST: f64 = 1e-7;
    /// More than any path needs at [`LONGEST`] over the whole range of snr in every coordinate.
    const POINTS: usize = 5_000;

    let mut points = vec![seed];
    let (mut h, mut last_h) = (0.1, 0.0);
    while points.len() < POINTS {
        let here = &points[points.len() - 1];
        if stop(here) {
            return Ok(points);
        }
        let before = points.len().checked_sub(2).map(|i| &points[i]);
        let guess = predict(here, before, h, last_h);
        let plane = Constraint::Plane {
            normal: &here.tangent,
            through: &guess,
        };
        // An average that leaves its domain only means that the step was too long.
        let found = correct(stretch, guess.clone(), &plane, &here.linear)
            .ok()
            .flatten();
        let miss = found.as_ref().map(|c| distance(&c.u, &guess));
        let next = match (found, miss) {
            (Some(c), Some(miss)) if miss < 10.0 * AIM => {
                Point::new(stretch, c.u, c.at, &here.tangent).ok().flatten()
            }
            _ => None,
        };
        match next {
            // A turn of more than 60 degrees would jump to another part of the curve.
            Some(next) if dot(&next.tangent, &here.tangent) > 0.5 => {
                last_h = h;
                let ratio = AIM / miss.unwrap_or(AIM).max(1e-12);
                h = (h * ratio.cbrt().clamp(0.3, 2.0)).min(LONGEST);
                points.push(next);
            }
            _ => {
                h *= 0.4;
                if h < SHORTEST {
                    // The averages end here; what was followed so far stands.
                    return Ok(points);
                }
            }
        }
    }
    Ok(points)
}

/// Second-order extrapolation from the last two tangents.
fn predict(here: &Point, before: Option<&Point>, h: f64, last_h: f64) -> Vec<f64> {
    (0..here.u.len())
        .map(|i| {
            let bend = before.map_or(0.0, |b| (here.tangent[i] - b.tangent[i]) / last_h);
            here.u[i] + h * here.tangent[i] + 0.5 * h * h * bend
        })
        .collect()
}

pub(crate) fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

pub(crate) fn distance(a: &[f64], b: &[f64]) -> f64 {
    a.iter()
        .zip(b)
        .map(|(a, b)| (a - b).powi(2))
        .sum::<f64>()
        .sqrt()
}

/// The unit vector that all rows annihilate, with a positive product with `towards`.
fn null_vector(rows: &[Vec<f64>], towards: &[f64]) -> Option<Vec<f64>> {
    let mut matrix = rows.to_vec();
    matrix.push(towards.to_vec());
    let mut right = vec![0.0; rows.len()];
    right.push(1.0);
    let v = solve(matrix, right)?;
    let norm = dot(&v, &v).sqrt();
    (norm.is_finite() && norm > 0.0).then(|| v.into_iter().map(|x| x / norm).collect())
}

/// Solves a small dense system by elimination with partial pivoting; `None` if singular.
pub(crate) fn solve(mut a: Vec<Vec<f64>>, mut b: Vec<f64>) -> Option<Vec<f64>> {
    let n = b.len();
    for k in 0..n {
        let pivot = (k..n).max_by(|i, j| a[*i][k].abs().total_cmp(&a[*j][k].abs()))?;
        a.swap(k, pivot);
        b.swap(k, pivot);
        if a[k][k] == 0.0 || a[k][k].is_nan() {
            return None;
        }
        for i in k + 1..n {
            let factor = a[i][k] / a[k][k];
            let (top, bottom) = a.split_at_mut(i);
            for (x, y) in bottom[0][k..].iter_mut().zip(&top[k][k..]) {
                *x -= factor * y;
            }
            b[i] -= factor * b[k];
        }
    }
    for k in (0..n).rev() {
        let known: f64 = (k + 1..n).map(|j| a[k][j] * b[j]).sum();
        b[k] = (b[k] - known) / a[k][k];
    }
    b.iter().all(|x| x.is_finite()).then_some(b)
}
