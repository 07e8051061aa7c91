//! Following the curve of solutions of `n - 1` equations in `n` unknowns by pseudo-arclength.

use crate::ReplicaError;
use crate::chain::{Evaluation, Linear};
use crate::curve::FLAT;

/// The equations, what follows from the unknowns, and the noise along the curve.
pub(crate) trait ZeroSet {
    fn evaluate(&self, u: &[f64]) -> Result<Evaluation, ReplicaError>;
    fn linearise(&self, u: &[f64], at: &Evaluation) -> Result<Linear, ReplicaError>;
}

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

/// An extremum of the noise that stands out by less may be rounding of the averages (1e-12).
const PROMINENT: f64 = 1e-10;

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

/// A place and what follows from it.
pub(crate) struct Evaluated {
    pub(crate) u: Vec<f64>,
    pub(crate) at: Evaluation,
}

impl Evaluated {
    pub(crate) fn new(set: &impl ZeroSet, u: Vec<f64>) -> Result<Self, ReplicaError> {
        let at = set.evaluate(&u)?;
        Ok(Self { u, at })
    }
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

/// Newton's method, with a linearisation that is renewed only when it stops helping.
pub(crate) fn correct(
    set: &impl ZeroSet,
    Evaluated { mut u, mut at }: Evaluated,
    constraint: &Constraint<'_>,
    linear: &Linear,
) -> Result<Option<Evaluated>, ReplicaError> {
    let mut own: Option<Linear> = None;
    let (mut last, mut renewed) = (f64::INFINITY, 0);
    for _ in 0..40 {
        let mut r = at.residual.clone();
        r.push(constraint.value(&u, &at));
        let size = r.iter().fold(0.0f64, |m, x| m.max(x.abs()));
        if !size.is_finite() {
            return Ok(None);
        }
        let passages = at.passages.iter().chain(&at.left);
        let rounding = passages.map(|p| p.error).fold(ACCEPTED, f64::max);
        if size < EXACT || (size < rounding && size > 0.3 * last) {
            return Ok(Some(Evaluated { u, at }));
        }
        if size > 0.1 * last {
            renewed += 1;
            if renewed > 12 {
                return Ok(None);
            }
            own = Some(set.linearise(&u, &at)?);
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
        at = set.evaluate(&u)?;
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
        set: &impl ZeroSet,
        u: Vec<f64>,
        at: Evaluation,
        towards: &[f64],
    ) -> Result<Option<Self>, ReplicaError> {
        let linear = set.linearise(&u, &at)?;
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

/// Points in order.
pub(crate) struct Walk {
    pub(crate) points: Vec<Point>,
    /// It ended before it was told to stop: no step, however short, found a next point.
    pub(crate) is_lost: bool,
}

/// Follows the curve from a seed along its tangent until `stop` holds at a point, which is the last
/// one returned.
pub(crate) fn follow(
    set: &impl ZeroSet,
    seed: Point,
    stop: impl Fn(&Point) -> bool,
) -> Result<Walk, ReplicaError> {
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
            return Ok(Walk {
                points,
                is_lost: false,
            });
        }
        let before = points.len().checked_sub(2).map(|i| &points[i]);
        let guess = predict(here, before, h, last_h);
        let plane = Constraint::Plane {
            normal: &here.tangent,
            through: &guess,
        };
        // An average that leaves its domain only means that the step was too long.
        let found = Evaluated::new(set, guess.clone());
        let found = found.and_then(|from| correct(set, from, &plane, &here.linear));
        let found = found.ok().flatten();
        let miss = found.as_ref().map(|c| distance(&c.u, &guess));
        let next = match (found, miss) {
            (Some(c), Some(miss)) if miss < 10.0 * AIM => {
                Point::new(set, c.u, c.at, &here.tangent).ok().flatten()
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
                    break;
                }
            }
        }
    }
    Ok(Walk {
        points,
        is_lost: true,
    })
}

/// The point of the curve in the plane across the chord from `a` to `b` at fraction `s`.
pub(crate) fn on_chord(
    set: &impl ZeroSet,
    a: &Point,
    b: &Point,
    s: f64,
) -> Result<Option<Point>, ReplicaError> {
    match across(set, a, b, s)? {
        Some(c) => Point::new(set, c.u, c.at, &minus(&b.u, &a.u)),
        None => Ok(None),
    }
}

/// The same without its tangent.
pub(crate) fn across(
    set: &impl ZeroSet,
    a: &Point,
    b: &Point,
    s: f64,
) -> Result<Option<Evaluated>, ReplicaError> {
    let (chord, length) = (minus(&b.u, &a.u), distance(&a.u, &b.u));
    let normal: Vec<f64> = chord.iter().map(|d| d / length).collect();
    let through: Vec<f64> = a.u.iter().zip(&chord).map(|(a, d)| a + s * d).collect();
    let plane = Constraint::Plane {
        normal: &normal,
        through: &through,
    };
    let near = if s < 0.5 { a } else { b };
    let from = Evaluated::new(set, hermite_point(a, b, s))?;
    correct(set, from, &plane, &near.linear)
}

/// Whether a solution lies on the segment between two neighbours of a path.
pub(crate) fn near(pair: &[Point], u: &[f64]) -> bool {
    /// Twice what interpolation between neighbours may err by; branches that are closer than that
    /// belong together at the next fold.
    const NEAR: f64 = 0.05;
    let [a, b] = pair else { return false };
    let chord = minus(&b.u, &a.u);
    let length = dot(&chord, &chord);
    let along = dot(&chord, &minus(u, &a.u)) / length.max(f64::MIN_POSITIVE);
    distance(&hermite_point(a, b, along.clamp(0.0, 1.0)), u) < NEAR
}

/// Rounds after which the search for a smooth extremum has gained its digits.
const SOON: usize = 8;

/// The extremum of the noise between two points whose slopes differ in sign.
pub(crate) fn fold(
    set: &impl ZeroSet,
    a: &Point,
    b: &Point,
) -> Result<Option<Point>, ReplicaError> {
    let (mut lo, mut hi) = ((0.0, a.slope), (1.0, b.slope));
    let mut best = None;
    let mut last_side = 0;
    // Slopes are small all along a shallow fold; the height errs by slope²/curvature.
    let level = 1e-7 * a.slope.abs().max(b.slope.abs()).min(1.0);
    for round in 0..40 {
        // Regula falsi with the Illinois halving of the end that stays.
        let s = (lo.0 * hi.1 - hi.0 * lo.1) / (hi.1 - lo.1);
        let Some(p) = on_chord(set, a, b, s)? else {
            return Ok(best);
        };
        let slope = p.slope;
        // Towards perfect recovery the noise settles, and signs of its slopes are those of roundings: what
        // is not found there soon is not there, and any point is as high as another.
        let is_level = |end: &Point| (end.at.log_noise - p.at.log_noise).abs() < FLAT;
        let is_rounding = round >= SOON && is_level(a) && is_level(b);
        let done = slope.abs() < level || hi.0 - lo.0 < 1e-9 || is_rounding;
        best = Some(p);
        if done {
            break;
        }
        if (slope < 0.0) == (a.slope < 0.0) {
            lo = (s, slope);
            if last_side == -1 {
                hi.1 *= 0.5;
            }
            last_side = -1;
        } else {
            hi = (s, slope);
            if last_side == 1 {
                lo.1 *= 0.5;
            }
            last_side = 1;
        }
    }
    Ok(best)
}

/// The solution at `log_noise` on a segment that brackets it, to the accuracy of the curve.
///
/// # Errors
/// [`ReplicaError::Lost`] where averages are too rough to tell.
pub(crate) fn between(
    set: &impl ZeroSet,
    a: &Point,
    b: &Point,
    log_noise: f64,
) -> Result<Point, ReplicaError> {
    let towards: Vec<f64> = a.u.iter().zip(&b.u).map(|(a, b)| b - a).collect();
    let (mut lo, mut hi) = (0.0, 1.0);
    let rising = b.at.log_noise > a.at.log_noise;
    // Fast: Newton on the noise itself, from the cubic through the ends. Near a fold neither end
    // tells the slope in between.
    let guess = Evaluated::new(set, hermite_point(a, b, cubic_root(a, b, log_noise)))?;
    let linear = set.linearise(&guess.u, &guess.at)?;
    let target = Constraint::LogNoise(log_noise);
    if let Some(c) = correct(set, guess, &target, &linear)? {
        let along = dot(&towards, &minus(&c.u, &a.u)) / dot(&towards, &towards);
        if (-1e-6..=1.0 + 1e-6).contains(&along)
            && let Some(point) = Point::new(set, c.u, c.at, &towards)?
        {
            return Ok(point);
        }
    }
    // Sure: bisection along the chord; near folds the noise is no coordinate.
    let mut best = None;
    for _ in 0..60 {
        let s = 0.5 * (lo + hi);
        let Some(p) = on_chord(set, a, b, s)? else {
            break;
        };
        let miss = p.at.log_noise - log_noise;
        if (miss < 0.0) == rising {
            lo = s;
        } else {
            hi = s;
        }
        best = Some(p);
        if miss.abs() < 1e-11 {
            break;
        }
    }
    let met = best.filter(|p: &Point| (p.at.log_noise - log_noise).abs() < FLAT);
    met.ok_or(ReplicaError::Lost {
        snr: a.at.snr,
        noise: log_noise.exp(),
    })
}

/// Drops the extrema that stand out by less than [`PROMINENT`], least first, and the points that
/// then run against their branch.
pub(crate) fn told_from_rounding(
    points: Vec<Point>,
    mut folds: Vec<usize>,
) -> (Vec<Point>, Vec<usize>) {
    let height = |i: usize| points[i].at.log_noise;
    let ends = |folds: &[usize]| -> Vec<usize> {
        let inner = folds.iter().copied();
        std::iter::once(0)
            .chain(inner)
            .chain([points.len() - 1])
            .collect()
    };
    while !folds.is_empty() {
        let rises: Vec<f64> = ends(&folds)
            .windows(2)
            .map(|w| height(w[1]) - height(w[0]))
            .collect();
        if let Some(i) = rises.windows(2).position(|w| w[0] * w[1] >= 0.0) {
            folds.remove(i);
            continue;
        }
        let least = (0..rises.len()).min_by(|i, j| rises[*i].abs().total_cmp(&rises[*j].abs()));
        let Some(i) = least.filter(|i| rises[*i].abs() < PROMINENT) else {
            break;
        };
        // Fold `i` ends stretch `i`; two neighbours cancel, at an end of the path one is lost.
        folds.drain(i.saturating_sub(1)..(i + 1).min(folds.len()));
    }
    let mut kept: Vec<usize> = vec![0];
    let mut new_folds = Vec::new();
    for pair in ends(&folds).windows(2) {
        let rising = height(pair[1]) > height(pair[0]);
        let ahead =
            |i: usize, j: usize| (height(i) < height(j)) == rising && height(i) != height(j);
        for i in pair[0] + 1..pair[1] {
            if ahead(kept[kept.len() - 1], i) && ahead(i, pair[1]) {
                kept.push(i);
            }
        }
        if pair[1] > pair[0] {
            kept.push(pair[1]);
        }
        if folds.contains(&pair[1]) {
            new_folds.push(kept.len() - 1);
        }
    }
    let mut points: Vec<Option<Point>> = points.into_iter().map(Some).collect();
    let points = kept.iter().filter_map(|i| points[*i].take()).collect();
    (points, new_folds)
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

fn minus(a: &[f64], b: &[f64]) -> Vec<f64> {
    a.iter().zip(b).map(|(a, b)| a - b).collect()
}

/// Values of the four cubic Hermite polynomials at `s`.
fn hermite(s: f64) -> [f64; 4] {
    let t = 1.0 - s;
    [
        (1.0 + 2.0 * s) * t * t,
        s * t * t,
        s * s * (3.0 - 2.0 * s),
        -s * s * t,
    ]
}

fn hermite_point(a: &Point, b: &Point, s: f64) -> Vec<f64> {
    let (h, length) = (hermite(s), distance(&a.u, &b.u));
    (0..a.u.len())
        .map(|i| {
            h[0] * a.u[i]
                + h[1] * length * a.tangent[i]
                + h[2] * b.u[i]
                + h[3] * length * b.tangent[i]
        })
        .collect()
}

/// Fraction of the segment at which the cubic through both ends reaches `log_noise`.
fn cubic_root(a: &Point, b: &Point, log_noise: f64) -> f64 {
    let length = distance(&a.u, &b.u);
    let value = |s: f64| {
        let h = hermite(s);
        h[0] * a.at.log_noise
            + h[1] * length * a.slope
            + h[2] * b.at.log_noise
            + h[3] * length * b.slope
            - log_noise
    };
    let (mut lo, mut hi) = (0.0, 1.0);
    let falling = a.at.log_noise > b.at.log_noise;
    for _ in 0..50 {
        let s = 0.5 * (lo + hi);
        if (value(s) > 0.0) == falling {
            lo = s;
        } else {
            hi = s;
        }
    }
    0.5 * (lo + hi)
}

/// Whether the noise may turn twice between two points with equal signs of slope: because the cubic
/// through them does, or because its slope comes nearer to zero than the cubic can tell.
pub(crate) fn may_hide_folds(a: &Point, b: &Point) -> bool {
    /// Least slope between two points, in units of the larger one at an end and of their distance,
    /// that is told from zero. (Slopes double with the ratio where overlaps vanish: there points
    /// one apart suffice.)
    const DOUBT: f64 = 0.3;
    /// A slope that is zero but for rounding, in the same units: a fold, beyond which it grows.
    const FOLD: f64 = 1e-6;
    let length = distance(&a.u, &b.u);
    let mean = (b.at.log_noise - a.at.log_noise) / length;
    // The slope of the cubic is a parabola with these values at 0, 1 and mean `mean`.
    let (m0, m1) = (a.slope, b.slope);
    let curve = 3.0 * (m0 + m1 - 2.0 * mean);
    let vertex = (2.0 * m0 + m1 - 3.0 * mean) / curve;
    let inside = 0.0 < vertex && vertex < 1.0;
    let extreme = if inside {
        m0 - curve * vertex * vertex
    } else {
        m0
    };
    if (extreme < 0.0) != (m0 < 0.0) {
        return true;
    }
    let largest = m0.abs().max(m1.abs());
    let least = [m0, m1, extreme].map(|m| m.abs() / largest);
    least.iter().any(|m| *m < DOUBT * length && *m > FOLD)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `f(u) = 0` in the plane, with `u[1]` in the place of the noise.
    struct Planar {
        f: fn(f64, f64) -> f64,
        gradient: fn(f64, f64) -> [f64; 2],
    }

    impl ZeroSet for Planar {
        fn evaluate(&self, u: &[f64]) -> Result<Evaluation, ReplicaError> {
            Ok(Evaluation {
                passages: Vec::new(),
                left: Vec::new(),
                snr: 1.0,
                residual: vec![(self.f)(u[0], u[1])],
                log_noise: u[1],
            })
        }
        fn linearise(&self, u: &[f64], _: &Evaluation) -> Result<Linear, ReplicaError> {
            Ok(Linear {
                rows: vec![(self.gradient)(u[0], u[1]).to_vec()],
                log_noise: vec![0.0, 1.0],
                overlap: vec![1.0, 0.0],
                is_stable: true,
            })
        }
    }

    fn seed(set: &Planar, u: [f64; 2], towards: [f64; 2]) -> Point {
        let at = set.evaluate(&u).unwrap();
        Point::new(set, u.to_vec(), at, &towards).unwrap().unwrap()
    }

    fn turns(set: &Planar, points: &[Point]) -> Vec<Point> {
        let turning = points.windows(2).filter(|w| w[0].slope * w[1].slope < 0.0);
        turning
            .map(|w| fold(set, &w[0], &w[1]).unwrap().unwrap())
            .collect()
    }

    #[test]
    fn the_mean_field_magnet_turns_at_its_spinodals() {
        // m = tanh(b (m + h)): spinodals where b (1 - m²) = 1.
        const B: f64 = 2.5;
        let set = Planar {
            f: |m, h| m - (B * (m + h)).tanh(),
            gradient: |m, h| {
                let slope = B / (B * (m + h)).cosh().powi(2);
                [1.0 - slope, -slope]
            },
        };
        let start = [-0.99, (-0.99f64).atanh() / B + 0.99];
        let walk = follow(&set, seed(&set, start, [1.0, 0.0]), |p| p.u[0] > 0.99).unwrap();
        assert!(!walk.is_lost);
        let m = (1.0 - 1.0 / B).sqrt();
        let h = m.atanh() / B - m;
        let folds = turns(&set, &walk.points);
        assert_eq!(folds.len(), 2);
        for (fold, sign) in folds.iter().zip([-1.0, 1.0]) {
            // The slope is below 1e-7, so the place is good to that and the value to its square.
            assert!((fold.u[0] - sign * m).abs() < 1e-6, "{:?}", fold.u);
            assert!((fold.at.log_noise - sign * h).abs() < 1e-12);
        }
        // Half-way up, three solutions, one of them unstable.
        let crossing = |w: &&[Point]| w[0].at.log_noise * w[1].at.log_noise < 0.0;
        let at_zero: Vec<f64> = walk
            .points
            .windows(2)
            .filter(crossing)
            .map(|w| between(&set, &w[0], &w[1], 0.0).unwrap().u[0])
            .collect();
        assert_eq!(at_zero.len(), 3);
        for m in at_zero {
            assert!((m - (B * m).tanh()).abs() < 1e-11, "{m}");
        }
    }

    #[test]
    fn a_circle_is_followed_all_around() {
        let set = Planar {
            f: |x, y| x * x + y * y - 1.0,
            gradient: |x, y| [2.0 * x, 2.0 * y],
        };
        let start = seed(&set, [0.8, 0.6], [-1.0, 1.0]);
        let walk = follow(&set, start, |p| p.u[0] > 0.9 && p.u[1] > 0.0).unwrap();
        let heights: Vec<f64> = turns(&set, &walk.points).iter().map(|p| p.u[1]).collect();
        assert_eq!(heights.len(), 2);
        assert!((heights[0] - 1.0).abs() < 1e-12 && (heights[1] + 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_curve_that_ends_is_reported_as_lost() {
        // x^(1/4) = y ends at the origin.
        let set = Planar {
            f: |x, y| x.sqrt().sqrt() - y,
            gradient: |x, _| [0.25 * x.powf(-0.75), -1.0],
        };
        let start = seed(&set, [1.0, 1.0], [-1.0, 0.0]);
        let walk = follow(&set, start, |p| p.u[0] < -1.0).unwrap();
        assert!(walk.is_lost);
        assert!(walk.points.last().unwrap().u[0] < 1e-3);
    }
}
