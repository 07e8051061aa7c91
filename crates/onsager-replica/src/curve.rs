//! All fixed points of a chain at every noise: its curve.

use std::cell::{Cell, RefCell};

use serde::Serialize;

use crate::ReplicaError;
use crate::chain::{Beside, StateEvolution, Stretch};
use crate::factor::{KNOWN, Passage};
use crate::fixed_point::Frozen;
use crate::path::{
    Constraint, Evaluated, Point, ZeroSet, between, correct, distance, fold, follow,
    may_hide_folds, near, on_chord, told_from_rounding,
};

/// The fixed points of a chain as the noise of its observation varies.
///
/// `points` are ordered along each branch, branches are monotone in the noise and meet at
/// `folds`; the invariant fixed points (zero overlap, frozen) exist at every noise and are not
/// listed. One curve serves every noise: [`StateEvolution::predict_on`].
#[derive(Debug, Clone, Serialize)]
pub struct Curve {
    /// Points along the branches.
    pub points: Vec<CurvePoint>,
    /// Stretches of `points` on which the noise is monotone.
    pub branches: Vec<Branch>,
    /// Where two branches meet: spinodals.
    pub folds: Vec<Fold>,
    #[serde(skip)]
    pub(crate) paths: Vec<Path>,
    #[serde(skip)]
    pub(crate) frozen: Vec<Frozen>,
    /// Interval of noise on which every branch is complete; nothing is predicted elsewhere.
    pub range: (f64, f64),
}

/// One fixed point of the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct CurvePoint {
    /// Noise at which it is one.
    pub noise: f64,
    /// Overlap of the signal.
    pub overlap: f64,
    /// Mean squared error of the signal.
    pub mmse: f64,
    /// Ratio of the message to the signal.
    pub snr: f64,
    /// Replica free entropy per component of the signal, nats.
    pub potential: f64,
    /// Whether iteration stays there.
    pub stable: bool,
}

/// Consecutive points on which the noise is monotone.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Branch {
    /// First point.
    pub first: usize,
    /// Last point.
    pub last: usize,
    /// Whether its fixed points attract.
    pub stable: bool,
}

/// An extremum of the noise along the curve.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Fold {
    /// Its point.
    pub point: usize,
    /// The noise there, to 1e-8 relative.
    pub noise: f64,
    /// Whether the two branches exist above this noise (a minimum) or below (a maximum).
    pub is_minimum: bool,
}

/// One connected piece of the curve.
#[derive(Debug, Clone)]
pub(crate) struct Path {
    /// First variable of the stretch it solves, and what is beside it.
    pub(crate) first: usize,
    pub(crate) beside: Beside,
    pub(crate) points: Vec<Point>,
    /// Indices of the points where the noise turns.
    pub(crate) folds: Vec<usize>,
    /// The path begins where the overlap below `first + 0` vanishes, at this `ln noise`.
    pub(crate) origin: Option<f64>,
    /// Ends beyond which it could not be followed.
    lost: Vec<Lost>,
}

/// The end of a path that could not be followed further.
#[derive(Debug, Clone, Copy)]
struct Lost {
    log_noise: f64,
    /// `d ln noise/ds` on the way out.
    slope: f64,
    snr: f64,
}

impl Lost {
    fn at(p: &Point) -> Self {
        Self {
            log_noise: p.at.log_noise,
            slope: p.slope,
            snr: p.at.snr,
        }
    }
}

/// The chain up to a discrete variable that is observed directly, and its curve.
pub(crate) struct Below {
    pub(crate) v: usize,
    pub(crate) chain: StateEvolution,
    pub(crate) curve: Curve,
}

/// Noise, in units of `E x²`, of a direct observation that tells discrete values apart with an
/// error below `exp(-1000)`.
pub(crate) const RESOLVED: f64 = 1e-4;
/// Accuracy of the curve in `ln noise`.
pub(crate) const FLAT: f64 = 1e-8;
/// Step of the search in `ln snr`: a ratio of 2.
const GRID: f64 = 0.7;
/// Paths are sought within this ratio of a noise. Along a path the noise changes by less between
/// neighbours of the grid on which they are sought.
pub(crate) const AROUND: f64 = 1e4;
/// The same in `ln noise`, where nothing is found so near.
const FAR: f64 = 40.0;
/// Noise that a curve spans unless told otherwise, in units of the noise that is as strong as the
/// signal.
pub(crate) const RANGE: (f64, f64) = (1e-8, 1e8);

impl StateEvolution {
    /// The curve of fixed points for noises in `range` (by default 1e-8 to 1e8 times the noise that
    /// is as strong as the signal: `ρ²` for a spiked Wigner matrix, `ρ` for a direct observation).
    ///
    /// - **Completeness**: a chain has one fixed point at most for every snr of its latent, so the
    ///   curve is complete where it was sought: `snr E x²` of the latent from 1e-35 (1e-12 beside zero overlap)
    ///   to 1e11 on a grid of ratio 2, connected pieces followed whole. Beside the signal of a product there is one for
    ///   every fixed point of the other factor that balances it; these are read off its own curve.
    /// - **Accuracy**: points solve the equations to 1e-9 in the logarithm of every snr, folds are
    ///   extrema of the noise to 1e-8.
    ///
    /// - **Range**: a path that cannot be followed shortens [`Curve::range`] of the default range.
    ///
    /// # Errors
    /// A range that is not positive and increasing; an average that fails where the curve begins; a
    /// path lost within the range asked for ([`ReplicaError::Lost`]).
    pub fn curve(&self, range: Option<(f64, f64)>) -> Result<Curve, ReplicaError> {
        let wanted = range.unwrap_or_else(|| self.widest());
        if !(wanted.0 > 0.0 && wanted.1 > wanted.0 && wanted.1.is_finite()) {
            return Err(ReplicaError::Range {
                quantity: "range of the noise",
                allowed: "0 < from < to",
                value: wanted.0,
            });
        }
        let (curve, lost) = self.traced(wanted)?;
        match lost {
            Some(lost) if range.is_some() || curve.range.0 >= curve.range.1 => Err(lost),
            _ => Ok(curve),
        }
    }

    /// The curve on the part of a range on which no path is lost, and where one was.
    pub(crate) fn traced(
        &self,
        range: (f64, f64),
    ) -> Result<(Curve, Option<ReplicaError>), ReplicaError> {
        /// Slope in `ln noise` from which on a path does not turn within a step.
        const STEEP: f64 = 0.1;
        // What is refused is refused before the work.
        let discrete = self.can_freeze()?;
        let hidden = self.hidden_discrete()?;
        let mut paths = Vec::new();
        for stretch in self.stretches()? {
            stretch.paths(range, &hidden, &mut paths)?;
        }
        let frozen = self.frozen(discrete, &hidden)?;
        let (mut complete, mut reason) = (range, None);
        for lost in paths.iter().flat_map(|p| &p.lost) {
            let noise = lost.log_noise.exp();
            // A path that left towards larger noises is missing there, and the other way round.
            if lost.slope > -STEEP {
                complete.1 = complete.1.min(noise);
            }
            if lost.slope < STEEP {
                complete.0 = complete.0.max(noise);
            }
            if complete != range {
                let snr = lost.snr;
                reason = Some(ReplicaError::Lost { snr, noise });
            }
        }
        Ok((self.described(paths, frozen, complete)?, reason))
    }

    /// The default range: [`RANGE`] in units of the noise that is as strong as the signal.
    pub(crate) fn widest(&self) -> (f64, f64) {
        let rho = self.second_moment();
        let unit = self.observation.unit(rho);
        (RANGE.0 * unit, RANGE.1 * unit)
    }

    /// The parts of the chain below every discrete variable with layers on both sides, or with
    /// outputs without noise in the place of those above.
    fn hidden_discrete(&self) -> Result<Vec<Below>, ReplicaError> {
        let hidden = |v: &usize| !self.variables[*v].is_field && self.is_discrete(*v);
        let below = |v: usize| {
            let scale = self.variables[v].second_moment;
            let chain = self.truncated(v, RESOLVED * scale);
            let curve = chain.curve(Some((RESOLVED * scale, 10.0 * scale)))?;
            Ok(Below { v, chain, curve })
        };
        let sharp = self.observation.sharpness().is_some();
        let last = self.signal() + usize::from(sharp);
        (1..last).filter(hidden).map(below).collect()
    }

    fn described(
        &self,
        paths: Vec<Path>,
        frozen: Vec<Frozen>,
        range: (f64, f64),
    ) -> Result<Curve, ReplicaError> {
        let (mut points, mut branches, mut folds) = (Vec::new(), Vec::new(), Vec::new());
        for path in &paths {
            let stretch = path.stretch(self);
            let offset = points.len();
            for p in &path.points {
                let noise = p.at.log_noise.exp();
                let signal = p.at.signal();
                points.push(CurvePoint {
                    noise,
                    overlap: signal.overlap,
                    mmse: signal.mmse,
                    snr: p.at.snr,
                    potential: stretch.potential(&p.u, &p.at, noise)?,
                    stable: p.linear.is_stable,
                });
            }
            let mut first = 0;
            for last in path.folds.iter().copied().chain([path.points.len() - 1]) {
                branches.push(Branch {
                    first: offset + first,
                    last: offset + last,
                    stable: points[offset + usize::midpoint(first, last)].stable,
                });
                first = last;
            }
            folds.extend(path.folds.iter().map(|f| Fold {
                point: offset + f,
                noise: path.points[*f].at.log_noise.exp(),
                is_minimum: path.points[f - 1].at.log_noise > path.points[*f].at.log_noise,
            }));
        }
        Ok(Curve {
            points,
            branches,
            folds,
            paths,
            frozen,
            range,
        })
    }
}

impl Curve {
    /// Coordinates, to the accuracy of a seed, of fixed points of a direct observation at which
    /// `ln (snr · overlap)` is `target`, on the stretch from `first`.
    pub(crate) fn balanced(&self, first: usize, target: f64) -> Vec<Vec<f64>> {
        let mut found = Vec::new();
        for path in self.paths.iter().filter(|path| path.first == first) {
            for pair in path.points.windows(2) {
                let (a, b) = (&pair[0], &pair[1]);
                let (x, y) = (strength(a) - target, strength(b) - target);
                if (x < 0.0) != (y < 0.0) {
                    let s = x / (x - y);
                    let along = a.u.iter().zip(&b.u);
                    found.push(along.map(|(a, b)| a + s * (b - a)).collect());
                }
            }
        }
        found
    }

    /// Whether there is never more than one such point.
    fn is_single(&self, first: usize) -> bool {
        let mut paths = self.paths.iter().filter(|path| path.first == first);
        let rises = |path: &Path| {
            let mut steps = path.points.windows(2);
            let first = path.points.first().map(strength);
            let last = path.points.last().map(strength);
            steps.all(|w| (strength(&w[0]) < strength(&w[1])) == (first < last))
        };
        paths.next().is_none_or(rises) && paths.next().is_none()
    }
}

/// `ln (snr · overlap)` of the signal.
fn strength(p: &Point) -> f64 {
    (p.at.snr * p.at.signal().overlap).ln()
}

impl Path {
    pub(crate) fn stretch<'a>(&self, chain: &'a StateEvolution) -> Stretch<'a> {
        Stretch {
            chain,
            first: self.first,
            beside: self.beside,
        }
    }

    /// Whether the path leaves zero overlap towards larger noise.
    pub(crate) fn leaves_upwards(&self) -> bool {
        self.origin.is_some() && self.points.first().is_some_and(|p| p.slope > 0.0)
    }

    /// Solutions at `ln noise`, with the index of the segment each lies on.
    pub(crate) fn at(
        &self,
        chain: &StateEvolution,
        log_noise: f64,
    ) -> Result<Vec<(usize, Point)>, ReplicaError> {
        let stretch = self.stretch(chain);
        let mut found = Vec::new();
        for (i, pair) in self.points.windows(2).enumerate() {
            let [a, b] = pair else { continue };
            let (x, y) = (a.at.log_noise - log_noise, b.at.log_noise - log_noise);
            // Half-open, so that a point that is hit exactly is counted once.
            if (x < 0.0) != (y < 0.0) {
                found.push((i, between(&stretch, a, b, log_noise)?));
            }
        }
        Ok(found)
    }
}

/// Intervals of `ln noise`.
#[derive(Debug, Clone, Copy)]
struct Window {
    /// On which paths are followed.
    wanted: (f64, f64),
    /// On which they may begin.
    sought: (f64, f64),
}

/// What has been followed of a stretch.
#[derive(Debug, Default)]
struct Covered {
    /// Spans of the first `ln snr`, where it determines the point.
    spans: Vec<(f64, f64)>,
    /// Points in order, where it does not.
    walks: Vec<Vec<Point>>,
}

impl Stretch<'_> {
    /// Adds every path of this stretch.
    fn paths(
        &self,
        range: (f64, f64),
        hidden: &[Below],
        paths: &mut Vec<Path>,
    ) -> Result<(), ReplicaError> {
        // The path may begin at its origin outside the range and come back.
        let origin = self
            .chain
            .origin
            .map_or(f64::INFINITY, |noise| 1e-2 * noise);
        let window = (range.0.min(origin).ln() - GRID, range.1.ln() + GRID);
        // Nodes around a narrow range: between two of them the noise may pass through all of it.
        let margin = (AROUND.ln() - 0.5 * (window.1 - window.0)).max(0.0);
        let window = Window {
            wanted: window,
            sought: (window.0 - margin, window.1 + margin),
        };
        let mut covered = Covered::default();
        let found = paths.len();
        self.scan(window, &mut covered, paths)?;
        if paths.len() == found {
            // Where the latent is told only so much, all noises of the range share one narrow interval of its
            // ratio: the path is met farther out, and followed from there.
            let sought = (window.wanted.0 - FAR, window.wanted.1 + FAR);
            self.scan(Window { sought, ..window }, &mut covered, paths)?;
        }
        // Above a discrete variable further pieces live on a narrow interval of the latent snr,
        // while its own snr varies over decades.
        for below in hidden.iter().filter(|_| self.first == 0) {
            let (low, high) = below.curve.range;
            let mut log_noise = high.ln() - GRID;
            while log_noise > low.ln() + GRID {
                for path in below.curve.paths.iter().filter(|p| p.first == 0) {
                    for (_, point) in path.at(&below.chain, log_noise)? {
                        self.grow(point.u, window, &mut covered, paths)?;
                    }
                }
                log_noise -= 0.5 * GRID;
            }
        }
        Ok(())
    }

    /// Follows the paths through the nodes of the grid in the first `ln snr`.
    fn scan(
        &self,
        window: Window,
        covered: &mut Covered,
        paths: &mut Vec<Path>,
    ) -> Result<(), ReplicaError> {
        let mut t = self.lowest();
        // Nodes of the grid beyond `t` that may be out of range with it.
        let (mut ahead, mut held) = (1, false);
        let highest = self.chain.highest(self.first);
        while t <= highest {
            if let Some((_, hi)) = covered.spans.iter().find(|(lo, hi)| *lo <= t && t <= *hi) {
                t = hi + 0.1 * GRID;
                continue;
            }
            let to = (t + f64::from(ahead) * GRID).min(highest);
            // An average that refuses decides nothing.
            if matches!(self.may_meet((t, to), window.sought), Ok(false)) {
                t += f64::from(ahead + 1) * GRID;
                // Twice as far next time, unless that has just been too far.
                ahead = if held { ahead } else { 2 * ahead + 1 };
                held = false;
            } else if ahead > 0 {
                (ahead, held) = (ahead / 2, true);
            } else {
                self.grow(vec![t], window, covered, paths)?;
                t += GRID;
            }
        }
        Ok(())
    }

    /// Lowest `ln snr` of the first variable.
    fn lowest(&self) -> f64 {
        self.chain.lowest(self.first)
    }

    /// Whether a ratio is larger than it is followed.
    fn is_beyond(&self, u: &[f64]) -> bool {
        let beyond = |stretch: &Stretch<'_>, u: &[f64]| {
            let mut ratios = u.iter().zip(stretch.first..);
            ratios.any(|(u, v)| *u > stretch.chain.highest(v))
        };
        let (own, other) = u.split_at(self.len());
        let left = self.left().and_then(|(_, stretch)| stretch);
        beyond(self, own) || left.is_some_and(|left| beyond(&left, other))
    }

    /// Whether an overlap is as small as it is followed.
    fn is_at_bottom(&self, u: &[f64], margin: f64) -> bool {
        let left = self.left().and_then(|(_, stretch)| stretch);
        u[0] < self.lowest() + margin
            || left.is_some_and(|left| u[self.len()] < left.lowest() + margin)
    }

    /// Whether a field below a jump, or behind outputs without noise, is known to the last digit: beyond
    /// lies the frozen branch.
    fn is_frozen(&self, p: &Point) -> bool {
        // Above a known variable what is left is of the order of its floor.
        let known = |mmse: f64| mmse < 1e3 * KNOWN;
        let hidden = |stretch: &Stretch<'_>, passages: &[Passage]| {
            let above = &stretch.factors()[1..];
            passages.iter().zip(above).any(|(passage, factor)| {
                let jumps = factor.componentwise().is_some_and(|c| c.is_discontinuous);
                jumps && known(passage.outer.mmse)
            })
        };
        let sharp = self.chain.observation.sharpness().is_some();
        let left = self.left().and_then(|(_, stretch)| stretch);
        hidden(self, &p.at.passages)
            || left.is_some_and(|left| hidden(&left, &p.at.left))
            || (sharp && known(p.at.signal().mmse))
    }

    /// Whether a message to the signal has passed the largest ratio that is followed, and is not on its way
    /// to a frozen branch: outputs of noise `Δ` tell a signal that is nearly known by `(n/p)/Δ`.
    fn is_too_strong(&self, p: &Point) -> bool {
        p.at.snr.ln() > self.chain.highest(self.chain.signal())
            && self.chain.observation.sharpness().is_none()
    }

    /// Follows the paths through the seeds that the snr of the first variables gives, both ways.
    fn grow(
        &self,
        inner: Vec<f64>,
        window: Window,
        covered: &mut Covered,
        paths: &mut Vec<Path>,
    ) -> Result<(), ReplicaError> {
        let t = inner[0];
        // Unless another factor has several answers, the first snr determines the point, so that a
        // path that comes back is known already.
        let is_single = match self.left() {
            Some((product, Some(left))) => product.left.curve()?.is_single(left.first),
            _ => true,
        };
        for seed in self.seeds(inner) {
            let known = |t: f64| covered.spans.iter().any(|(lo, hi)| *lo < t && t < *hi);
            let is_met = |p: &Point| {
                let mut pairs = covered.walks.iter().flat_map(|walk| walk.windows(2));
                pairs.any(|pair| near(pair, &p.u))
            };
            // Where the noise is out of range nothing has to be found.
            let (low, high) = window.sought;
            let is_wanted = (low..=high).contains(&seed.at.log_noise) && !self.is_frozen(&seed);
            if !is_wanted || known(t) || is_met(&seed) {
                continue;
            }
            let home = seed.u.clone();
            let (low, high) = window.wanted;
            let (last, left_home) = (RefCell::new(seed.clone()), Cell::new(false));
            let closed = Cell::new(false);
            let stop = |p: &Point| {
                left_home.set(left_home.get() || distance(&p.u, &home) > 1.0);
                let before = last.replace(p.clone());
                closed.set(left_home.get() && near(&[before, p.clone()], &home));
                closed.get()
                    || (p.tangent[0] < 0.0 && self.is_at_bottom(&p.u, 1e-9))
                    || known(p.u[0])
                    || is_met(p)
                    || self.is_frozen(p)
                    || (p.slope < 0.0 && p.at.log_noise < low)
                    || (p.slope > 0.0 && p.at.log_noise > high)
                    || self.is_beyond(&p.u)
            };
            let back = follow(self, seed.clone().reversed(), stop)?;
            let mut walks = vec![back];
            if !closed.get() {
                left_home.set(false);
                walks.push(follow(self, seed, stop)?);
            }
            let mut lost = Vec::new();
            for walk in &walks {
                let end = walk.points.last();
                let end = end.filter(|p| walk.is_lost || self.is_too_strong(p));
                lost.extend(end.map(Lost::at));
            }
            // A path that began out of range and came to a known one ends before it.
            for walk in &mut walks {
                walk.points.pop_if(|p| is_met(p));
            }
            let mut walks = walks.into_iter();
            let back = walks.next().map_or(Vec::new(), |walk| walk.points);
            let mut points: Vec<Point> = back.into_iter().map(Point::reversed).collect();
            points.reverse();
            if let Some(onwards) = walks.next() {
                points.pop();
                points.extend(onwards.points);
            }
            if is_single {
                let along = points.iter().map(|p| p.u[0]);
                let span = (along.clone().fold(t, f64::min), along.fold(t, f64::max));
                covered.spans.push(span);
            } else {
                covered.walks.push(points.clone());
            }
            paths.push(Path {
                lost,
                ..self.refined(points)?
            });
        }
        Ok(())
    }

    /// The points of the curve through the snr of the first variables.
    fn seeds(&self, inner: Vec<f64>) -> Vec<Point> {
        let held = inner.len() - 1;
        // Averages may refuse arguments at the far ends of the grid: nothing begins there.
        let Ok(Some(own)) = self.shoot(inner) else {
            return Vec::new();
        };
        let beside = match self.left() {
            Some((product, Some(left))) => {
                let (Ok((passages, _)), Ok(curve)) = (self.passed(&own), product.left.curve())
                else {
                    return Vec::new();
                };
                let overlap = passages.last().map_or(0.0, |p| p.outer.overlap);
                let target = own[own.len() - 1] + (overlap / product.aspect).ln();
                curve.balanced(left.first, target)
            }
            _ => vec![Vec::new()],
        };
        let start = |other: Vec<f64>| self.corrected([own.clone(), other].concat(), held);
        beside.into_iter().filter_map(start).collect()
    }

    /// The point of the curve next to `u` with the same `u[held]`.
    fn corrected(&self, u: Vec<f64>, held: usize) -> Option<Point> {
        let from = Evaluated::new(self, u.clone()).ok()?;
        let linear = self.linearise(&u, &from.at).ok()?;
        let mut e = vec![0.0; u.len()];
        e[held] = 1.0;
        let plane = Constraint::Plane {
            normal: &e,
            through: &u,
        };
        let c = correct(self, from, &plane, &linear).ok().flatten()?;
        Point::new(self, c.u, c.at, &e).ok().flatten()
    }

    /// Replaces the flat beginning by its origin and inserts the folds as points.
    fn refined(&self, mut points: Vec<Point>) -> Result<Path, ReplicaError> {
        let origin = self.drop_flat_beginning(&mut points);
        let mut at = 0;
        let mut folds = Vec::new();
        while at + 1 < points.len() {
            let (a, b) = (&points[at], &points[at + 1]);
            if (a.slope < 0.0) != (b.slope < 0.0) {
                // A slope within rounding of zero may have either sign: at an extremum the noise
                // lies beyond both ends, which is told apart from 1e-11 on.
                let turns = |f: &Point| {
                    let (x, y) = (
                        f.at.log_noise - a.at.log_noise,
                        f.at.log_noise - b.at.log_noise,
                    );
                    x.abs().max(y.abs()) > 1e-2 * FLAT
                        && (x * y > 0.0 || x.abs().min(y.abs()) < 1e-3 * FLAT)
                };
                if let Some(fold) = fold(self, a, b)?.filter(turns) {
                    points.insert(at + 1, fold);
                    folds.push(at + 1);
                    at += 1;
                }
            } else if may_hide_folds(a, b)
                && a.slope.abs().max(b.slope.abs()) * distance(&a.u, &b.u) > FLAT
                && let Some(middle) = on_chord(self, a, b, 0.5)?
            {
                points.insert(at + 1, middle);
                continue;
            }
            at += 1;
        }
        let (points, folds) = told_from_rounding(points, folds);
        Ok(Path {
            first: self.first,
            beside: self.beside,
            points,
            folds,
            origin,
            lost: Vec::new(),
        })
    }

    /// Where overlaps vanish, the noise tends to a limit linearly in the overlap: while it stays
    /// within [`FLAT`] of its limit, points only add rounding.
    fn drop_flat_beginning(&self, points: &mut Vec<Point>) -> Option<f64> {
        let mut limit = points.first()?.at.log_noise;
        if let Some(closed) = self.chain.origin.map(f64::ln)
            && (closed - limit).abs() < FLAT
        {
            limit = closed;
        }
        let near = |p: &Point| (p.at.log_noise - limit).abs() < FLAT;
        if !self.is_at_bottom(&points[0].u, 1.0) || !points.get(1).is_some_and(near) {
            return None;
        }
        let kept = points
            .iter()
            .position(|p| !near(p))
            .unwrap_or(points.len() - 1);
        points.drain(..kept.saturating_sub(1));
        if let [a, b, ..] = points.as_mut_slice() {
            // Moved by less than the accuracy of the curve; the slope continues that of the next.
            a.at.log_noise = limit;
            a.slope = a.slope.abs().copysign(b.at.log_noise - limit);
        }
        Some(limit)
    }
}
