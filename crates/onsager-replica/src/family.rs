//! Families of models: sweeps, and thresholds in parameters other than the noise.

use onsager_model::{ModelError, Tree};
use serde::Serialize;

use crate::chain::StateEvolution;
use crate::threshold::{Side, Threshold, Thresholds};
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
    let chain = StateEvolution::new(tree)?;
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(0.0, f64::max);
    if values.is_empty() {
        return Ok(Vec::new());
    }
    let curve = chain.around(low, high)?;
    let predict = |value: &f64| {
        Ok(SweepPoint {
            value: *value,
            prediction: chain.predict_on(&curve, *value)?,
        })
    };
    values.iter().map(predict).collect()
}

/// Thresholds of one member in its noise, divided by its own noise.
struct Member {
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
        let curve = chain.around(noise, noise)?;
        let found = chain.thresholds_on(&curve)?;
        let ratios = found.thresholds.into_iter().map(|t| {
            let ratio = (t.value / noise).ln();
            (t, ratio)
        });
        let hard = |(low, high): &(f64, f64)| *low < noise && noise < *high;
        Ok(Some(Self {
            value,
            hard: found.hard_phases.iter().any(hard),
            ratios: ratios.collect(),
        }))
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
    if !(low < high && low.is_finite() && high.is_finite()) {
        return Err(ReplicaError::Range {
            quantity: "range of the parameter",
            allowed: "from < to",
            value: low,
        });
    }
    // Ratios when the range spans decades, differences otherwise.
    let log = low > 0.0 && high > 10.0 * low;
    let grid = |i: usize| {
        let s = i as f64 / (MEMBERS - 1) as f64;
        if log {
            low * (high / low).powf(s)
        } else {
            low + (high - low) * s
        }
    };
    let mut members = Vec::new();
    for i in 0..MEMBERS {
        members.extend(Member::at(family, grid(i))?);
    }
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
    let hard_phases = phases(family, &members, &found)?;
    Ok(Thresholds {
        thresholds: found,
        hard_phases,
    })
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
