//! Where the answer changes: weak recovery, spinodals, equal potentials.

use onsager_model::Tree;
use serde::Serialize;

use crate::ReplicaError;
use crate::chain::StateEvolution;
use crate::curve::{Curve, FLAT};
use crate::factor::Belief;
use crate::fixed_point::{FixedPoint, Place, least, optimal};

/// The thresholds of a model in one of its parameters.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Thresholds {
    /// By kind, then by value.
    pub thresholds: Vec<Threshold>,
    /// Intervals of the parameter on which message passing does not reach the optimal point.
    pub hard_phases: Vec<(f64, f64)>,
}

/// One value of the parameter at which a fixed point of interest changes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Threshold {
    /// Which change.
    pub kind: ThresholdKind,
    /// Where.
    pub value: f64,
    /// Estimated absolute error of `value`.
    pub uncertainty: f64,
    /// The side on which inference is easier.
    pub easier: Side,
    /// Mean squared error of the signal on the harder side.
    pub mmse_from: f64,
    /// Mean squared error of the signal on the easier side.
    pub mmse_to: f64,
    /// What the curve of fixed points does there.
    pub at: Location,
    /// The variable whose zero overlap becomes unstable, for weak recovery.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub variable: Option<String>,
}

/// Which fixed point changes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum ThresholdKind {
    /// Zero overlap of a variable loses stability.
    WeakRecovery,
    /// The least fixed point jumps.
    Algorithmic,
    /// The greatest fixed point jumps.
    Dynamical,
    /// The fixed point of largest potential jumps.
    InformationTheoretic,
}

/// A side of a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Side {
    /// Larger values of the parameter.
    Above,
    /// Smaller values.
    Below,
}

/// What the curve of fixed points does at a threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Location {
    /// Two branches merge.
    Fold,
    /// A branch leaves zero overlap.
    Origin,
    /// The signal becomes known exactly.
    Perfect,
    /// Two branches of the signal's own channel merge.
    InnerFold,
    /// Two separate branches exchange their order.
    Crossing,
}

/// Which parameter a family of models varies.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Key {
    /// The noise of the observation: one curve holds all thresholds.
    Noise,
    /// Measurements per unknown of a generalised linear model, `n/p`: one curve, too.
    SamplingRatio,
    /// Any other number.
    Other,
}

/// Thresholds of a family of models.
///
/// For the key of the model's curve ([`StateEvolution::key`]: the noise, of a generalised linear model
/// the sampling ratio) they are read off that curve; for other keys the thresholds in that parameter
/// are followed along the family and those that cross its own value are located by secants.
///
/// - **Definitions**: with `q_min` the least (from positive overlap) and `q_max` the greatest
///   fixed point and `q*` the one of largest potential: weak recovery where zero overlap loses
///   stability, algorithmic where `q_min` jumps, dynamical where `q_max` jumps (frozen branches
///   never do), information-theoretic where `q*` jumps; the first and the last also where they
///   reach perfect recovery, which an optimal threshold at ratio 0 does for any data.
/// - **Arguments**: `range` defaults to that of [`StateEvolution::curve`] for the key of the curve, to
///   1e-6 to 1e2 for the noise of a generalised linear model and to 1e-2 to 1e2 otherwise;
///   members of the family that are refused are left out.
/// - **Accuracy**: `uncertainty`; extrema and equal potentials to 1e-8 in the noise.
///
/// ```
/// use std::sync::Arc;
/// use onsager_model::Chain;
/// use onsager_replica::{Key, ThresholdKind, thresholds};
/// use onsager_scalar::{activation::PiecewiseLinear, prior::Gaussian};
///
/// let family = |noise: f64| {
///     Chain::new(Arc::new(Gaussian::standard()))
///         .layer(2.0, Arc::new(PiecewiseLinear::linear()))
///         .spiked_wigner(noise)
/// };
/// let found = thresholds(&family, Some((0.1, 10.0)), Key::Noise)?;
/// assert_eq!(found.thresholds.len(), 1);
/// assert_eq!(found.thresholds[0].kind, ThresholdKind::WeakRecovery);
/// assert_eq!(found.thresholds[0].value, 3.0); // 1 + α
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// A range that is not increasing; a family without valid members; as for
/// [`StateEvolution::curve`].
pub fn thresholds(
    family: &dyn Fn(f64) -> Result<Tree, onsager_model::ModelError>,
    range: Option<(f64, f64)>,
    key: Key,
) -> Result<Thresholds, ReplicaError> {
    let start = range.map_or(1.0, |(low, high)| (low * high).sqrt());
    // A family whose middle is refused has no curve of its own.
    let chain = match (key, family(start)) {
        (Key::Other, _) => None,
        (_, tree) => Some(StateEvolution::new(&tree?)?).filter(|chain| chain.key() == key),
    };
    match (chain, key) {
        (Some(chain), Key::SamplingRatio) => {
            let harder = range.map(|(low, high)| (1.0 / high, 1.0 / low));
            let found = chain.thresholds_on(&chain.curve(harder)?)?;
            Ok(chain.in_ratios(found, range.is_none()))
        }
        (Some(chain), _) => chain.thresholds_on(&chain.curve(range)?),
        // The noise of a generalised linear model matters where it is small, too.
        (None, Key::Noise) => crate::family::thresholds(family, range.unwrap_or((1e-6, 1e2))),
        (None, _) => crate::family::thresholds(family, range.unwrap_or((1e-2, 1e2))),
    }
}

/// Relative distance at which the two sides of an event are looked at, far above the accuracy of
/// the events themselves; less where the next event is near, see [`apart`].
const APART: f64 = 1e-6;
/// Events within this relative distance of each other are one: extrema stand out by less only in
/// the rounding of the averages.
const ONE: f64 = 1e-9;

/// Error before perfect recovery, in units of `E x²`, that counts as a jump: at the distance at which
/// the sides of an event are looked at, an error that vanishes there is still of the order of its
/// root.
const JUMP: f64 = 1e-2;

/// Relative distance from an event at which potentials are compared: next to an origin stability is
/// told by a difference of that order, against 1e-8 of rounding.
const NEAR: f64 = 1e-7;

/// Relative distance from an event at which no other one interferes.
fn apart(value: f64, events: &[f64]) -> f64 {
    let distance = |other: &f64| (other / value - 1.0).abs();
    let others = events.iter().map(distance).filter(|d| *d > ONE);
    others.map(|d| 0.1 * d).fold(APART, f64::min)
}

impl StateEvolution {
    /// All thresholds in the noise of the observation, read off a curve.
    ///
    /// # Errors
    /// An average that fails.
    pub fn thresholds_on(&self, curve: &Curve) -> Result<Thresholds, ReplicaError> {
        let mut thresholds = self.weak_recoveries(curve)?;
        let folds = curve.folds.iter().map(|f| f.noise);
        let perfect = curve.frozen.iter().map(|f| f.below);
        let perfect = perfect.filter(|noise| noise.is_finite());
        let mut events: Vec<f64> = thresholds.iter().map(|t| t.value).collect();
        events.extend(folds.chain(perfect.clone()));
        thresholds.extend(self.spinodals(curve, &events)?);
        for noise in perfect {
            self.perfect_recovery(curve, noise, &events, &mut thresholds)?;
        }
        let mut events: Vec<f64> = events
            .drain(..)
            .chain([curve.range.0, curve.range.1])
            .filter(|x| curve.range.0 <= *x && *x <= curve.range.1)
            .collect();
        events.sort_by(f64::total_cmp);
        let mut crossings = Vec::new();
        for pair in events.windows(2) {
            if pair[1] > pair[0] * (1.0 + ONE) {
                let inset = NEAR.min(apart(pair[0], &pair[1..]));
                let (low, high) = (pair[0] * (1.0 + inset), pair[1] * (1.0 - inset));
                self.crossings(curve, low, high, &mut crossings)?;
            }
        }
        events.extend(crossings.iter().map(|t| t.value));
        events.sort_by(f64::total_cmp);
        thresholds.extend(crossings);
        let inside = |t: &Threshold| curve.range.0 <= t.value && t.value <= curve.range.1;
        thresholds.retain(inside);
        thresholds.sort_by(|a, b| a.kind.cmp(&b.kind).then(a.value.total_cmp(&b.value)));
        let hard_phases = self.hard_phases(curve, &events)?;
        Ok(Thresholds {
            thresholds,
            hard_phases,
        })
    }

    /// Where zero overlap loses stability: of the signal in closed form, of variables below even
    /// layers where a path of the curve ends at zero overlap.
    fn weak_recoveries(&self, curve: &Curve) -> Result<Vec<Threshold>, ReplicaError> {
        let mut found = Vec::new();
        let recovered = |value: f64, variable: &str, from: f64, to: f64| Threshold {
            kind: ThresholdKind::WeakRecovery,
            value,
            uncertainty: f64::EPSILON * value,
            easier: Side::Below,
            mmse_from: from,
            mmse_to: to,
            at: Location::Origin,
            variable: Some(variable.to_string()),
        };
        let origin = self.origin;
        if let Some(value) = origin {
            let rho = self.second_moment();
            let mut to = rho;
            let below = value * (1.0 - APART);
            let above = curve.paths.iter().any(|p| p.leaves_upwards());
            if above && curve.range.0 <= below && below <= curve.range.1 {
                // The branch leaves towards larger noise, unless it turns within the accuracy of
                // the curve: below, the least point is far away.
                to = self.predict_on(curve, below)?.algorithmic.mmse;
                found.push(Threshold {
                    kind: ThresholdKind::Algorithmic,
                    uncertainty: FLAT * value,
                    variable: None,
                    ..recovered(value, "", rho, to)
                });
            }
            let name = &self.variables[self.signal()].name;
            found.push(recovered(value, name, rho, to));
        }
        for path in &curve.paths {
            let (Some(limit), Some(start)) = (path.origin, path.points.first()) else {
                continue;
            };
            let known = origin.is_some_and(|o| (o.ln() - limit).abs() < 1e-6);
            let stretch = path.stretch(self);
            let left = stretch.left().and_then(|(_, left)| left);
            // The variable below the field of an even layer, of the signal or of another factor.
            let name = stretch
                .below_even()
                .or(left.and_then(|left| left.below_even()));
            if let (Some(name), false) = (name, known) {
                let mmse = start.at.signal().mmse;
                found.push(Threshold {
                    uncertainty: 1e-8 * limit.exp(),
                    ..recovered(limit.exp(), name, mmse, mmse)
                });
            }
        }
        Ok(found)
    }

    /// Folds at which the least or the greatest fixed point ends.
    fn spinodals(&self, curve: &Curve, events: &[f64]) -> Result<Vec<Threshold>, ReplicaError> {
        let mut found = Vec::new();
        for (i, path) in curve.paths.iter().enumerate() {
            for (b, fold) in path.folds.iter().enumerate() {
                let point = &path.points[*fold];
                let value = point.at.log_noise.exp();
                if !(curve.range.0 < value && value < curve.range.1) {
                    continue;
                }
                let is_minimum = path.points[fold - 1].at.log_noise > point.at.log_noise;
                let sign = if is_minimum { 1.0 } else { -1.0 };
                let aside = sign * apart(value, events);
                let with = self.found_on(curve, value * (1.0 + aside))?;
                let without = self.found_on(curve, value * (1.0 - aside))?;
                // The two branches that meet here.
                let meets = |p: &Place| *p == Place::Branch(i, b) || *p == Place::Branch(i, b + 1);
                let here = point.at.signal().mmse;
                let errors: f64 = point.at.passages.iter().map(|p| p.error).sum();
                let inner = self.observation.snr_slope(self.nothing(), value)? == 0.0;
                let jump = |kind, other: Option<&(Place, FixedPoint)>| {
                    let there = other.map_or(here, |(_, f)| f.mmse);
                    let at = match other {
                        Some((Place::Frozen(..), _)) => Location::Perfect,
                        _ if inner => Location::InnerFold,
                        _ => Location::Fold,
                    };
                    Threshold {
                        kind,
                        value,
                        uncertainty: value * (errors + 1e-10),
                        easier: Side::Below,
                        mmse_from: if is_minimum { here } else { there },
                        mmse_to: if is_minimum { there } else { here },
                        at,
                        variable: None,
                    }
                };
                if least(&with).is_some_and(|(p, _)| meets(p)) {
                    found.push(jump(ThresholdKind::Algorithmic, least(&without)));
                }
                if greatest(&with).is_some_and(|(p, _)| meets(p)) {
                    found.push(jump(ThresholdKind::Dynamical, greatest(&without)));
                }
            }
        }
        Ok(found)
    }

    /// What perfect recovery changes at the noise from which on it exists.
    fn perfect_recovery(
        &self,
        curve: &Curve,
        value: f64,
        events: &[f64],
        found: &mut Vec<Threshold>,
    ) -> Result<(), ReplicaError> {
        if !(curve.range.0 < value && value < curve.range.1) {
            return Ok(());
        }
        let aside = apart(value, events);
        let with = self.found_on(curve, value * (1.0 - aside))?;
        let without = self.found_on(curve, value * (1.0 + aside))?;
        let is_perfect = |f: Option<&(Place, FixedPoint)>| f.is_some_and(|(_, f)| f.perfect);
        for (kind, which) in [
            (ThresholdKind::Algorithmic, least as fn(&_) -> Option<&_>),
            (ThresholdKind::Dynamical, greatest),
            (ThresholdKind::InformationTheoretic, optimal),
        ] {
            // Where nothing is left the error has become too small to be followed.
            let from = which(&without).map_or(0.0, |(_, f)| f.mmse);
            let reached = is_perfect(which(&with)) && !is_perfect(which(&without));
            // The greatest fixed point jumps, or arrives without one.
            let jumps = kind != ThresholdKind::Dynamical || from > JUMP * self.second_moment();
            if reached && jumps {
                found.push(Threshold {
                    kind,
                    value,
                    uncertainty: f64::EPSILON * value,
                    easier: Side::Below,
                    mmse_from: from,
                    mmse_to: 0.0,
                    at: Location::Perfect,
                    variable: None,
                });
            }
        }
        Ok(())
    }

    /// Thresholds in `p/n` as thresholds in `n/p`.
    pub(crate) fn in_ratios(&self, found: Thresholds, whole: bool) -> Thresholds {
        let mut thresholds: Vec<Threshold> = found
            .thresholds
            .into_iter()
            .map(|t| Threshold {
                value: 1.0 / t.value,
                uncertainty: t.uncertainty / (t.value * t.value),
                easier: match t.easier {
                    Side::Above => Side::Below,
                    Side::Below => Side::Above,
                },
                ..t
            })
            .collect();
        // Outputs that determine real numbers determine a discrete signal however few they are.
        let sharp = self.observation.sharpness().is_some_and(|d| d > 0.0);
        if whole && sharp && self.dimension().0 == 0.0 {
            let signal = &self.variables[self.signal()];
            thresholds.push(Threshold {
                kind: ThresholdKind::InformationTheoretic,
                value: 0.0,
                uncertainty: 0.0,
                easier: Side::Above,
                mmse_from: signal.second_moment - signal.mean * signal.mean,
                mmse_to: 0.0,
                at: Location::Perfect,
                variable: None,
            });
        }
        thresholds.sort_by(|a, b| a.kind.cmp(&b.kind).then(a.value.total_cmp(&b.value)));
        let phases = found.hard_phases.into_iter().rev();
        // A phase that reaches the end of the range where nothing is observed begins at nothing.
        let ratio = |noise: f64| match 1.0 / noise {
            ratio if whole && ratio <= 1.0 / self.widest().1 => 0.0,
            ratio => ratio,
        };
        Thresholds {
            thresholds,
            hard_phases: phases.map(|(low, high)| (ratio(high), 1.0 / low)).collect(),
        }
    }

    /// Noises in an interval without other events at which the largest potential changes hands.
    fn crossings(
        &self,
        curve: &Curve,
        low: f64,
        high: f64,
        found: &mut Vec<Threshold>,
    ) -> Result<(), ReplicaError> {
        let (a, b) = (self.found_on(curve, low)?, self.found_on(curve, high)?);
        let (Some((left, _)), Some((right, _))) = (optimal(&a), optimal(&b)) else {
            return Ok(());
        };
        let (left, right) = (*left, *right);
        if left == right {
            return Ok(());
        }
        let of = |all: &[(Place, FixedPoint)], place| {
            let mut points = all.iter().filter(|(p, _)| *p == place);
            points.next().map(|(_, f)| f.clone())
        };
        let both = |all: &[(Place, FixedPoint)]| of(all, left).zip(of(all, right));
        let lead = |(l, r): &(FixedPoint, FixedPoint)| l.potential - r.potential;
        let (Some(at_low), Some(at_high)) = (both(&a), both(&b)) else {
            return Ok(());
        };
        // Lead of the left point over the right one, in information: it falls with the noise, and its slope is known.
        let (mut lo, mut hi) = ((low.ln(), lead(&at_low)), (high.ln(), lead(&at_high)));
        let mut x = (lo.0 * hi.1 - hi.0 * lo.1) / (hi.1 - lo.1);
        let mut round = 0;
        let (all, (l, r), slope) = loop {
            round += 1;
            let all = self.found_on(curve, x.exp())?;
            let Some(pair) = both(&all) else {
                return Ok(());
            };
            let f = lead(&pair);
            let [p, q] = [&pair.0, &pair.1].map(|f| self.slope_of_potential(f, x.exp()));
            let slope = (p? - q?).abs();
            if f > 0.0 {
                lo = (x, f);
            } else {
                hi = (x, f);
            }
            // A last step below the accuracy of the potentials, or of the noise.
            let is_found = f.abs() < 1e-13 || f.abs() < 1e-12 * slope || hi.0 - lo.0 < 1e-12;
            if is_found || round == 60 {
                break (all, pair, slope);
            }
            let newton = x + f / slope;
            x = if lo.0 < newton && newton < hi.0 {
                newton
            } else {
                0.5 * (lo.0 + hi.0)
            };
        };
        let value = x.exp();
        let best = optimal(&all).map_or(f64::INFINITY, |(_, f)| f.potential);
        if best > l.potential + 1e-10 * (1.0 + best.abs()) {
            // A third point leads in between: there are two thresholds.
            self.crossings(curve, low, value, found)?;
            return self.crossings(curve, value, high, found);
        }
        let noise = 1e-12 * (1.0 + l.potential.abs());
        if noise >= slope * (high / low).ln() {
            // Points that meet at an end of the interval, equal as far as potentials can tell.
            return Ok(());
        }
        found.push(Threshold {
            kind: ThresholdKind::InformationTheoretic,
            value,
            uncertainty: value * (1e-10 + noise / slope),
            easier: Side::Below,
            mmse_from: r.mmse,
            mmse_to: l.mmse,
            at: match left {
                Place::Frozen(..) => Location::Perfect,
                _ => Location::Crossing,
            },
            variable: None,
        });
        Ok(())
    }

    /// `∂ potential/∂ ln noise` at a fixed point: only the observation depends on the noise.
    fn slope_of_potential(&self, f: &FixedPoint, noise: f64) -> Result<f64, ReplicaError> {
        let left = f.overlap_left.unwrap_or(0.0);
        Ok(-match self.observation.product() {
            None if f.perfect => self.observation.constant(self.second_moment(), noise),
            _ => {
                let known = Belief {
                    overlap: f.overlap,
                    mmse: f.mmse,
                };
                self.observation.share(known, left, noise)?
            }
        })
    }

    fn hard_phases(&self, curve: &Curve, events: &[f64]) -> Result<Vec<(f64, f64)>, ReplicaError> {
        let mut phases: Vec<(f64, f64)> = Vec::new();
        for pair in events.windows(2) {
            let (low, high) = (pair[0], pair[1]);
            if high < low * (1.0 + ONE) {
                continue;
            }
            let found = self.found_on(curve, (low * high).sqrt())?;
            let places = (least(&found).map(|f| f.0), optimal(&found).map(|f| f.0));
            if places.0 == places.1 {
                continue;
            }
            match phases.last_mut() {
                Some(last) if last.1 >= low * (1.0 - ONE) => last.1 = high,
                _ => phases.push((low, high)),
            }
        }
        // Nothing happens below the whole default range: the phase reaches zero noise.
        if let Some(first) = phases.first_mut()
            && self.key() == Key::Noise
            && first.0 <= self.widest().0
        {
            first.0 = 0.0;
        }
        Ok(phases)
    }
}

/// The greatest fixed point; a frozen one is never overtaken, so `q_max` does not jump then.
fn greatest(found: &[(Place, FixedPoint)]) -> Option<&(Place, FixedPoint)> {
    found.last()
}
