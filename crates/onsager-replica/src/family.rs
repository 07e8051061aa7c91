//! Families of models: sweeps, and thresholds in parameters other than the noise.

use onsager_model::{ModelError, Tree};
use onsager_scalar::roots::bracketed_root;
use serde::Serialize;

use crate::chain::StateEvolution;
use crate::curve::Curve;
use crate::threshold::{Side, Threshold, ThresholdKind, Thresholds};
use crate::{Prediction, ReplicaError};

/// The prediction at one value of a swept parameter.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct SweepPoint {
    /// The value.
    pub value: f64,
    /// What is predicted there.
    #[serde(flatten)]
    pub prediction: Prediction,
}

/// Predictions of a family of models at the given values.
///
/// Members that differ in their noise only share one curve; [`sweep_noise`] does that on request.
///
/// # Errors
/// The first member that is refused; as for [`StateEvolution::predict`].
pub fn sweep(
    family: &dyn Fn(f64) -> Result<Tree, ModelError>,
    values: &[f64],
) -> Result<Vec<SweepPoint>, ReplicaError> {
    let predict = |value: &f64| {
        let prediction = StateEvolution::new(&family(*value)?)?.predict()?;
        Ok(SweepPoint {
            value: *value,
            prediction,
        })
    };
    values.iter().map(predict).collect()
}

/// Predictions of one model at many noises, from one curve.
///
/// ```
/// use std::sync::Arc;
/// use onsager_model::Chain;
/// use onsager_replica::sweep_noise;
/// use onsager_scalar::prior::Gaussian;
///
/// let tree = Chain::new(Arc::new(Gaussian::standard())).spiked_wigner(1.0)?;
/// for point in sweep_noise(&tree, &[0.25, 0.5, 2.0])? {
///     let mmse = point.prediction.optimal.mmse; // Δ below the threshold 1
///     assert!((mmse - point.value.min(1.0)).abs() < 1e-9);
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As for [`StateEvolution::curve`].
pub fn sweep_noise(tree: &Tree, values: &[f64]) -> Result<Vec<SweepPoint>, ReplicaError> {
    along(tree, values, |noise| noise)
}

/// Predictions of one generalised linear model at many sampling ratios `n/p`, from one curve.
///
/// ```
/// use std::sync::Arc;
/// use onsager_model::Chain;
/// use onsager_replica::sweep_ratio;
/// use onsager_scalar::{activation::PiecewiseLinear, likelihood::Noiseless, prior::Gaussian};
///
/// let linear = Arc::new(Noiseless::new(PiecewiseLinear::linear()));
/// let tree = Chain::new(Arc::new(Gaussian::standard())).glm(1.0, linear)?;
/// let points = sweep_ratio(&tree, &[0.25, 0.75, 1.5])?;
/// for (point, mmse) in points.iter().zip([0.75, 0.25, 0.0]) {
///     assert!((point.prediction.optimal.mmse - mmse).abs() < 1e-9); // 1 - n/p
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As for [`StateEvolution::curve`].
pub fn sweep_ratio(tree: &Tree, values: &[f64]) -> Result<Vec<SweepPoint>, ReplicaError> {
    along(tree, values, |ratio| 1.0 / ratio)
}

/// Predictions at noises that are functions of the values.
fn along(
    tree: &Tree,
    values: &[f64],
    noise: impl Fn(f64) -> f64,
) -> Result<Vec<SweepPoint>, ReplicaError> {
    let chain = StateEvolution::new(tree)?;
    let noises = || values.iter().map(|value| noise(*value));
    let (low, high) = (
        noises().fold(f64::INFINITY, f64::min),
        noises().fold(0.0, f64::max),
    );
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let curve = chain.around(low, high)?;
    let predict = |value: &f64| {
        Ok(SweepPoint {
            value: *value,
            prediction: chain.predict_on(&curve, noise(*value))?,
        })
    };
    values.iter().map(predict).collect()
}

/// Thresholds of one member in its noise, divided by its own noise.
pub(crate) struct Member {
    value: f64,
    ratios: Vec<(Threshold, f64)>,
    hard: bool,
}

impl Member {
    fn at(
        family: &dyn Fn(f64) -> Result<Tree, ModelError>,
        value: f64,
    ) -> Result<Option<Self>, ReplicaError> {
        let Ok(tree) = family(value) else {
            return Ok(None);
        };
        let chain = StateEvolution::new(&tree)?;
        let noise = chain.noise();
        Self::on(&chain, &chain.around(noise, noise)?, value).map(Some)
    }

    /// The member at `value`, whose curve is known around its noise.
    pub(crate) fn on(
        chain: &StateEvolution,
        curve: &Curve,
        value: f64,
    ) -> Result<Self, ReplicaError> {
        let noise = chain.noise();
        let found = chain.thresholds_on(curve)?;
        let ratios = found.thresholds.into_iter().map(|t| {
            let ratio = (t.value / noise).ln();
            (t, ratio)
        });
        let hard = |(low, high): &(f64, f64)| *low < noise && noise < *high;
        Ok(Self {
            value,
            hard: found.hard_phases.iter().any(hard),
            ratios: ratios.collect(),
        })
    }

    /// The `rank`-th threshold of the kind of `like`, of the same variable.
    fn matching(&self, like: &Threshold, rank: usize) -> Option<&(Threshold, f64)> {
        self.ratios.iter().filter(|(t, _)| same(t, like)).nth(rank)
    }
}

fn same(a: &Threshold, b: &Threshold) -> bool {
    a.kind == b.kind && a.variable == b.variable
}

/// Members between which thresholds are bracketed.
const MEMBERS: usize = 13;
/// Relative accuracy of a threshold in the parameter.
const TOLERANCE: f64 = 1e-7;

pub(crate) fn thresholds(
    family: &dyn Fn(f64) -> Result<Tree, ModelError>,
    (low, high): (f64, f64),
) -> Result<Thresholds, ReplicaError> {
    let mut members = Vec::new();
    for value in grid((low, high), MEMBERS)? {
        members.extend(Member::at(family, value)?);
    }
    let found = passed(family, &members)?;
    let hard_phases = phases(family, &members, &found)?;
    Ok(Thresholds {
        thresholds: found,
        hard_phases,
    })
}

/// The thresholds that neighbouring members see pass their own noise, by kind and value.
pub(crate) fn passed(
    family: &dyn Fn(f64) -> Result<Tree, ModelError>,
    members: &[Member],
) -> Result<Vec<Threshold>, ReplicaError> {
    let mut found: Vec<Threshold> = Vec::new();
    for pair in members.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        for (i, (like, ratio)) in a.ratios.iter().enumerate() {
            let rank = a.ratios[..i].iter().filter(|(t, _)| same(t, like)).count();
            if let Some((_, other)) = b.matching(like, rank)
                && (*ratio < 0.0) != (*other < 0.0)
            {
                let ends = ((a.value, *ratio), (b.value, *other));
                found.push(locate(family, like, rank, ends)?);
            }
        }
    }
    found.sort_by(|a, b| a.kind.cmp(&b.kind).then(a.value.total_cmp(&b.value)));
    Ok(found)
}

/// Values of the parameter between which thresholds are bracketed.
fn grid((low, high): (f64, f64), count: usize) -> Result<Vec<f64>, ReplicaError> {
    if !(low < high && low.is_finite() && high.is_finite()) {
        return Err(ReplicaError::Range {
            quantity: "range of the parameter",
            allowed: "from < to",
            value: low,
        });
    }
    // Ratios when the range spans decades, differences otherwise.
    let log = low > 0.0 && high > 10.0 * low;
    let at = |i: usize| {
        let s = i as f64 / (count.max(2) - 1) as f64;
        if log {
            low * (high / low).powf(s)
        } else {
            low + (high - low) * s
        }
    };
    Ok((0..count.max(2)).map(at).collect())
}

/// The parameter at which a threshold in the noise passes the noise of the family.
fn locate(
    family: &dyn Fn(f64) -> Result<Tree, ModelError>,
    like: &Threshold,
    rank: usize,
    ((mut a, mut fa), (mut b, mut fb)): ((f64, f64), (f64, f64)),
) -> Result<Threshold, ReplicaError> {
    let easier = if fb > fa { Side::Above } else { Side::Below };
    let slope = ((fb - fa) / (b - a)).abs();
    let within = |a: f64, b: f64, t: &Threshold| Threshold {
        value: 0.5 * (a + b),
        uncertainty: 0.5 * (b - a).abs(),
        easier,
        ..t.clone()
    };
    let mut last = like.clone();
    let mut side = 0;
    for _ in 0..40 {
        let x = (a * fb - b * fa) / (fb - fa);
        // Where a member is refused or has no such threshold, the bracket is all that is known.
        let Some(member) = Member::at(family, x)? else {
            break;
        };
        let Some((t, f)) = member.matching(like, rank) else {
            break;
        };
        last = t.clone();
        let tolerance = (TOLERANCE * x).abs();
        if f.abs() < tolerance * slope {
            return Ok(Threshold {
                value: x,
                uncertainty: tolerance.max(t.uncertainty / t.value / slope),
                easier,
                ..last
            });
        }
        if (*f < 0.0) == (fa < 0.0) {
            (a, fa) = (x, *f);
            if side == -1 {
                fb *= 0.5;
            }
            side = -1;
        } else {
            (b, fb) = (x, *f);
            if side == 1 {
                fa *= 0.5;
            }
            side = 1;
        }
        if (b - a).abs() < tolerance {
            break;
        }
    }
    Ok(within(a, b, &last))
}

/// Intervals between thresholds that are hard: nothing changes within one, so any member tells.
fn phases(
    family: &dyn Fn(f64) -> Result<Tree, ModelError>,
    members: &[Member],
    found: &[Threshold],
) -> Result<Vec<(f64, f64)>, ReplicaError> {
    let (Some(first), Some(last)) = (members.first(), members.last()) else {
        return Ok(Vec::new());
    };
    let mut ends = vec![first.value, last.value];
    ends.extend(found.iter().map(|t| t.value));
    ends.sort_by(f64::total_cmp);
    let mut phases: Vec<(f64, f64)> = Vec::new();
    for pair in ends.windows(2) {
        let inside = |m: &&Member| pair[0] < m.value && m.value < pair[1];
        let is_hard = match members.iter().find(inside) {
            Some(member) => member.hard,
            // Two kinds that meet in one event differ by rounding only.
            None if pair[1] - pair[0] <= 10.0 * TOLERANCE * pair[1].abs() => false,
            None => Member::at(family, 0.5 * (pair[0] + pair[1]))?.is_some_and(|m| m.hard),
        };
        if is_hard {
            match phases.last_mut() {
                Some(phase) if phase.1 == pair[0] => phase.1 = pair[1],
                _ => phases.push((pair[0], pair[1])),
            }
        }
    }
    Ok(phases)
}

/// A value of a parameter at which two thresholds in the noise take the same value.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Meeting {
    /// The parameter.
    pub value: f64,
    /// Estimated absolute error of `value`.
    pub uncertainty: f64,
    /// The noise at which the two meet.
    pub noise: f64,
    /// Whether both end there, as two spinodals do at a cusp; otherwise they cross.
    pub merge: bool,
}

/// Parameters at which two kinds of thresholds in the noise meet.
///
/// For sparse spikes these are the special sparsities: the fold appears where `Algorithmic` and
/// `Dynamical` merge, and `Dynamical` or `InformationTheoretic` cross `WeakRecovery` at `Δ = ρ²`.
///
/// - **Arguments**: `family` maps the parameter to a model, whose own noise does not matter; `range`
///   of the parameter is searched on `members` values, in equal ratios if it spans a decade and in
///   equal differences otherwise, so that two meetings closer than that may be missed. Thresholds of one kind
///   are matched by rank; members that are refused are left out.
/// - **Method**: crossings by a parabola through three ratios of the noises, in logarithms. Near a cusp
///   that ratio is `c d^(3/2)` at distance `d`: its power 2/3 is extrapolated to zero from the side
///   where the two exist.
/// - **Accuracy**: `uncertainty`, from the thresholds' own and the last step; about 1e-8 for the sparse
///   spikes of the tests.
///
/// ```
/// use std::sync::Arc;
/// use onsager_model::Chain;
/// use onsager_replica::{ThresholdKind::{Algorithmic, Dynamical}, meetings};
/// use onsager_scalar::prior::GaussBernoulli;
///
/// let family = |rho: f64| {
///     Chain::new(Arc::new(GaussBernoulli::new(rho, 0.0, 1.0)?)).spiked_wigner(1.0)
/// };
/// let cusp = meetings(&family, (0.2, 0.5), 4, (Algorithmic, Dynamical))?;
/// assert!(cusp.len() == 1 && cusp[0].merge);
/// // Denser spikes have no hard phase.
/// assert!(meetings(&family, (0.6, 0.9), 3, (Algorithmic, Dynamical))?.is_empty());
/// # Ok::<(), onsager_replica::ReplicaError>(())
/// ```
///
/// # Errors
/// A range that is not increasing; as for [`StateEvolution::curve`].
pub fn meetings(
    family: &dyn Fn(f64) -> Result<Tree, ModelError>,
    range: (f64, f64),
    members: usize,
    kinds: (ThresholdKind, ThresholdKind),
) -> Result<Vec<Meeting>, ReplicaError> {
    let mut known: Vec<Pairs> = Vec::new();
    for value in grid(range, members)? {
        known.extend(Pairs::at(family, value, kinds)?);
    }
    let mut found = Vec::new();
    for pair in known.windows(2) {
        let (a, b) = (&pair[0], &pair[1]);
        for rank in 0..a.ratios.len().max(b.ratios.len()) {
            match (a.ratios.get(rank), b.ratios.get(rank)) {
                (Some(x), Some(y)) if (x.log < 0.0) != (y.log < 0.0) => {
                    found.extend(crossing(family, kinds, rank, (a, b))?);
                }
                (Some(_), None) => found.extend(cusp(family, kinds, rank, a, b.value)?),
                (None, Some(_)) => found.extend(cusp(family, kinds, rank, b, a.value)?),
                _ => {}
            }
        }
    }
    Ok(found)
}

/// The pairs of thresholds of two kinds at one value of the parameter.
struct Pairs {
    value: f64,
    ratios: Vec<Ratio>,
}

/// Two thresholds in the noise.
#[derive(Debug, Clone, Copy)]
struct Ratio {
    /// Logarithm of their ratio.
    log: f64,
    /// Its error.
    uncertainty: f64,
    /// The second one.
    noise: f64,
}

impl Pairs {
    /// Of one rank only.
    fn single(value: f64, rank: usize, ratio: Ratio) -> Self {
        let ratios = vec![ratio; rank + 1];
        Self { value, ratios }
    }

    fn at(
        family: &dyn Fn(f64) -> Result<Tree, ModelError>,
        value: f64,
        (a, b): (ThresholdKind, ThresholdKind),
    ) -> Result<Option<Self>, ReplicaError> {
        let Ok(tree) = family(value) else {
            return Ok(None);
        };
        let chain = StateEvolution::new(&tree)?;
        let all = chain.thresholds_on(&chain.curve(None)?)?.thresholds;
        let of = |kind| all.iter().filter(move |t| t.kind == kind);
        let ratio = |(a, b): (&Threshold, &Threshold)| Ratio {
            log: (a.value / b.value).ln(),
            uncertainty: a.uncertainty / a.value + b.uncertainty / b.value,
            noise: b.value,
        };
        Ok(Some(Self {
            value,
            ratios: of(a).zip(of(b)).map(ratio).collect(),
        }))
    }
}

/// Where two thresholds exchange their order between two members.
fn crossing(
    family: &dyn Fn(f64) -> Result<Tree, ModelError>,
    kinds: (ThresholdKind, ThresholdKind),
    rank: usize,
    (a, b): (&Pairs, &Pairs),
) -> Result<Option<Meeting>, ReplicaError> {
    let ratio = |x: f64| {
        let pairs = Pairs::at(family, x, kinds).ok().flatten()?;
        pairs.ratios.get(rank).copied()
    };
    // Events that coincide are taken for one, so that a member that lacks one of the two may be the
    // meeting itself; whether it is, is seen from either side.
    let log = |x: f64| match x {
        x if x == a.value => a.ratios[rank].log,
        x if x == b.value => b.ratios[rank].log,
        x => ratio(x).map_or(0.0, |r| r.log),
    };
    /// Distance, in units of the bracket, from which the meeting is seen.
    const ASIDE: f64 = 1e-3;
    let step = ASIDE * (b.value - a.value).abs();
    let Ok(near) = bracketed_root(log, a.value, b.value, step) else {
        return Ok(None);
    };
    let around = [-1.0, 1.0, 2.0].map(|k| ratio(near.x + k * step));
    let [Some(left), Some(right), Some(far)] = around else {
        return Ok(None);
    };
    if (left.log < 0.0) == (right.log < 0.0) {
        return Ok(None);
    }
    // The parabola through the three in units of the step, and its root next to that of its tangent.
    let slope = 0.5 * (right.log - left.log);
    let bend = (far.log - right.log - slope) / 3.0;
    let middle = left.log + slope - bend;
    let root = (slope * slope - 4.0 * bend * middle).max(0.0).sqrt();
    let shift = -2.0 * middle / (slope + root.copysign(slope));
    let error = left.uncertainty.max(right.uncertainty);
    Ok(Some(Meeting {
        value: near.x + shift * step,
        // Every order of the interpolation is smaller than the one before by the ratio of the
        // distances.
        uncertainty: step * ((error / slope).abs() + ASIDE * (bend / slope).abs()),
        noise: 0.5 * ((1.0 - shift) * left.noise + (1.0 + shift) * right.noise),
        merge: false,
    }))
}

/// Where two thresholds that exist at `from` and not at `to` merge.
fn cusp(
    family: &dyn Fn(f64) -> Result<Tree, ModelError>,
    kinds: (ThresholdKind, ThresholdKind),
    rank: usize,
    from: &Pairs,
    to: f64,
) -> Result<Option<Meeting>, ReplicaError> {
    let ratio = |x: f64| -> Result<Option<Ratio>, ReplicaError> {
        let pairs = Pairs::at(family, x, kinds)?;
        Ok(pairs.and_then(|p| p.ratios.get(rank).copied()))
    };
    let height = |r: &Ratio| r.log.abs().powf(2.0 / 3.0);
    let (mut here, mut beyond) = ((from.value, from.ratios[rank]), to);
    let mut before: Option<(f64, Ratio)> = None;
    let mut last = f64::NAN;
    for _ in 0..60 {
        let zero = before.and_then(|(x, r)| {
            let (h, g) = (height(&here.1), height(&r));
            let zero = here.0 + h * (here.0 - x) / (g - h);
            let inside = (zero - here.0) * (beyond - zero) > 0.0;
            inside.then_some(zero)
        });
        let tolerance = TOLERANCE * here.0.abs();
        if let Some(zero) = zero {
            // The error of a height counts 2/3 of its relative size at this distance.
            let rounding = (zero - here.0).abs() * here.1.uncertainty / here.1.log.abs();
            let step = (zero - last).abs();
            if step < tolerance || (rounding > tolerance && last.is_finite()) {
                let uncertainty = tolerance + rounding + step;
                // A pair that jumps away instead of shrinking is no cusp.
                let gone = ratio(zero + (beyond - here.0).signum() * 100.0 * uncertainty)?;
                return Ok(gone.is_none().then_some(Meeting {
                    value: zero,
                    uncertainty,
                    noise: here.1.noise,
                    merge: true,
                }));
            }
            last = zero;
        }
        // Nine tenths of the way to the cusp, or half-way to where nothing is left.
        let next = match zero {
            Some(zero) => here.0 + 0.9 * (zero - here.0),
            None => 0.5 * (here.0 + beyond),
        };
        match ratio(next)? {
            // On the way to where one of them ends the two may have crossed.
            Some(r) if (r.log < 0.0) != (here.1.log < 0.0) => {
                let [a, b] = [here, (next, r)].map(|(value, r)| Pairs::single(value, rank, r));
                return crossing(family, kinds, rank, (&a, &b));
            }
            Some(r) => (before, here) = (Some(here), (next, r)),
            None => beyond = next,
        }
        if (beyond - here.0).abs() < tolerance {
            break;
        }
    }
    Ok(None)
}
