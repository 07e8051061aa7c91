//! Maxwell's rule: where two branches are equally likely, without a potential.

use onsager_scalar::quadrature::Rule;
use onsager_scalar::roots::bracketed_root;
use serde::Serialize;

use crate::ReplicaError;
use crate::chain::{Evaluation, StateEvolution, Stretch};
use crate::curve::{Curve, Path};
use crate::factor::Belief;
use crate::path::{Point, across};

/// A noise at which two stable branches enclose equal areas with the unstable one between them.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct EqualAreas {
    /// The noise.
    pub noise: f64,
    /// Its absolute error, as far as the quadrature tells.
    pub uncertainty: f64,
    /// Overlap of the signal on the lower branch.
    pub overlap_from: f64,
    /// Overlap on the upper one.
    pub overlap_to: f64,
}

impl StateEvolution {
    /// Where Maxwell's rule holds, for every pair of stable branches that an unstable one joins.
    ///
    /// Along fixed points the potential changes with the noise only through the observation, so
    /// that branches joined by the curve have equal potentials where the integral of its explicit
    /// slope vanishes between them. For a spiked Wigner matrix,
    ///
    /// `∫ q² d(1/Δ) = 0`.
    ///
    /// It reads overlaps and noises only: a second route to information-theoretic thresholds.
    ///
    /// - **Scope**: a frozen branch is joined to no other and has no such rule; where more than two
    ///   stable branches coexist, a pair may tie while a third one leads.
    /// - **Accuracy**: `uncertainty`; 1e-8 relative for the sparse spikes of the tests.
    /// - **Source**: the area theorem of Méasson, Montanari, Richardson and Urbanke (2009), here by
    ///   the slope of the mutual information.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use onsager_model::Chain;
    /// use onsager_replica::{StateEvolution, ThresholdKind};
    /// use onsager_scalar::prior::GaussBernoulli;
    ///
    /// let tree = Chain::new(Arc::new(GaussBernoulli::new(0.1, 0.0, 1.0)?)).spiked_wigner(0.01)?;
    /// let chain = StateEvolution::new(&tree)?;
    /// let curve = chain.curve(None)?;
    /// let areas = chain.equal_areas(&curve)?;
    /// let found = chain.thresholds_on(&curve)?.thresholds;
    /// let potentials = found.iter().find(|t| t.kind == ThresholdKind::InformationTheoretic);
    /// let ratio = areas[0].noise / potentials.unwrap().value;
    /// assert!((ratio - 1.0).abs() < 1e-8);
    /// # Ok::<(), Box<dyn std::error::Error>>(())
    /// ```
    ///
    /// # Errors
    /// An average that fails.
    pub fn equal_areas(&self, curve: &Curve) -> Result<Vec<EqualAreas>, ReplicaError> {
        let mut found = Vec::new();
        for path in &curve.paths {
            if path.folds.is_empty() {
                continue;
            }
            let works = self.works(path)?;
            for unstable in 0..=path.folds.len() {
                if path.rises(unstable) && unstable < path.folds.len() {
                    found.extend(self.tie(path, &works, unstable, curve.range)?);
                }
            }
        }
        found.sort_by(|a, b| a.noise.total_cmp(&b.noise));
        Ok(found)
    }

    /// The noise at which the branches before and after `unstable` tie.
    fn tie(
        &self,
        path: &Path,
        works: &[Work],
        unstable: usize,
        range: (f64, f64),
    ) -> Result<Option<EqualAreas>, ReplicaError> {
        let (first, last) = path.ends(unstable);
        let noise_at = |i: usize| path.points[i].at.log_noise;
        // Nothing changes hands at the ends, and roots at them are only rounding.
        let inset = 1e-7 * (noise_at(last) - noise_at(first));
        let mut low = (noise_at(first) + inset).max(range.0.ln());
        let mut high = (noise_at(last) - inset).min(range.1.ln());
        // Among several folds a neighbour may turn before the branch between does.
        low = low.max(noise_at(path.ends(unstable + 1).1) + inset);
        if let Some(below) = unstable.checked_sub(1).filter(|i| *i > 0) {
            high = high.min(noise_at(path.ends(below).0) - inset);
        }
        if low >= high {
            return Ok(None);
        }
        let sides = |x: f64| -> Result<Option<[Side; 2]>, ReplicaError> {
            let all = path.at(self, x)?;
            let on = |branch: usize| {
                let (first, last) = path.ends(branch);
                all.iter().find(|(i, _)| (first..last).contains(i))
            };
            let above = match on(unstable + 1) {
                Some((segment, point)) => self.side(path, works, *segment, point)?,
                None => return Ok(None),
            };
            let below = match unstable.checked_sub(1).and_then(on) {
                Some((segment, point)) => self.side(path, works, *segment, point)?,
                // Beyond its origin the path continues as zero overlap, which does no work.
                None if path.origin.is_some() => Side {
                    work: Work::default(),
                    known: self.nothing(),
                    slope: -self.observation.share(self.nothing(), 0.0, x.exp())?,
                },
                None => return Ok(None),
            };
            Ok(Some([below, above]))
        };
        let area = |x: f64| match sides(x) {
            Ok(Some([below, above])) => above.work.value - below.work.value,
            _ => f64::NAN,
        };
        // Branches that do not both reach the whole window leave no root to find.
        let Ok(root) = bracketed_root(area, low, high, 1e-12) else {
            return Ok(None);
        };
        let Some([below, above]) = sides(root.x)? else {
            return Ok(None);
        };
        let noise = root.x.exp();
        let slope = above.slope - below.slope;
        let error = above.work.error + below.work.error;
        Ok(Some(EqualAreas {
            noise,
            uncertainty: noise * (1e-10 + (error / slope).abs()),
            overlap_from: below.known.overlap,
            overlap_to: above.known.overlap,
        }))
    }

    /// Work done along the path up to a point on one of its segments.
    fn side(
        &self,
        path: &Path,
        works: &[Work],
        segment: usize,
        point: &Point,
    ) -> Result<Side, ReplicaError> {
        let stretch = path.stretch(self);
        let rest = self.work(stretch, &path.points[segment], point)?;
        Ok(Side {
            work: works[segment].and(rest),
            known: point.at.signal(),
            slope: explicit_slope(&stretch, &point.at)?,
        })
    }

    /// Work from the beginning of the path to each of its points, as far as branches coexist.
    fn works(&self, path: &Path) -> Result<Vec<Work>, ReplicaError> {
        let mut sum = Work::default();
        let mut works = vec![sum];
        let turn = path.folds.last().copied().unwrap_or(0);
        let height = |p: &Point| p.at.log_noise;
        let lowest = path.points[..=turn]
            .iter()
            .map(height)
            .fold(f64::INFINITY, f64::min);
        let beyond = (turn..path.points.len()).find(|i| height(&path.points[*i]) < lowest);
        let end = beyond.unwrap_or(path.points.len() - 1);
        for pair in path.points[..=end].windows(2) {
            sum = sum.and(self.work(path.stretch(self), &pair[0], &pair[1])?);
            works.push(sum);
        }
        Ok(works)
    }

    /// `∫ (∂ potential/∂ ln noise) d ln noise` along the curve between neighbours.
    fn work(&self, set: Stretch<'_>, a: &Point, b: &Point) -> Result<Work, ReplicaError> {
        /// Nodes of the rule and of the one it is compared with.
        const NODES: [usize; 2] = [9, 7];
        /// Differences at which halving stops, in units of the signal's share `ρ²/(4Δ)` or alike.
        const ENOUGH: f64 = 1e-11;
        /// Shortest piece of a chord: the noise of the averages would only be cut finer.
        const SHORTEST: f64 = 1.0 / 64.0;
        let mut sum = Work::default();
        if a.u == b.u {
            return Ok(sum);
        }
        let mut pieces = vec![(0.0, 1.0)];
        while let Some((from, to)) = pieces.pop() {
            let [value, rougher] = NODES.map(|n| self.work_on(&set, (a, b), (from, to), n));
            let value = value?;
            let error = (value - rougher?).abs();
            let noise = a.at.log_noise.exp();
            let scale = self.observation.constant(self.second_moment(), noise);
            if error > ENOUGH * scale.abs() && to - from > SHORTEST {
                let middle = 0.5 * (from + to);
                pieces.extend([(from, middle), (middle, to)]);
            } else {
                sum = sum.and(Work { value, error });
            }
        }
        Ok(sum)
    }

    /// The same on a part of the chord by Gauss's rule. The noise is differentiated as the
    /// polynomial through the nodes: tangents come from differences and are good to 1e-5 only.
    fn work_on(
        &self,
        set: &Stretch<'_>,
        (a, b): (&Point, &Point),
        (from, to): (f64, f64),
        nodes: usize,
    ) -> Result<f64, ReplicaError> {
        let lost = || ReplicaError::NoFixedPoint(a.at.log_noise.exp());
        let rule = Rule::new(nodes).map_err(|_| lost())?;
        let (s, weights): (Vec<f64>, Vec<f64>) = rule.on(from, to).unzip();
        let mut log_noise = Vec::with_capacity(nodes);
        let mut force = Vec::with_capacity(nodes);
        for s in &s {
            let c = across(set, a, b, *s)?.ok_or_else(lost)?;
            force.push(explicit_slope(set, &c.at)?);
            log_noise.push(c.at.log_noise);
        }
        let speeds = differentiated(&s, &log_noise);
        let parts = weights.iter().zip(force).zip(speeds);
        Ok(parts.map(|((w, f), v)| w * f * v).sum())
    }
}

/// `∂ potential/∂ ln noise` at fixed overlaps.
fn explicit_slope(set: &Stretch<'_>, at: &Evaluation) -> Result<f64, ReplicaError> {
    let observation = &set.chain.observation;
    let share = observation.share(at.signal(), set.known(at), at.log_noise.exp())?;
    Ok(-share)
}

/// Derivative, at the nodes, of the polynomial through the values there.
fn differentiated(nodes: &[f64], values: &[f64]) -> Vec<f64> {
    // Barycentric weights; the diagonal follows from constants having no slope.
    let others = |i: usize| nodes.iter().enumerate().filter(move |(j, _)| *j != i);
    let weight = |i: usize| -> f64 { others(i).map(|(_, x)| 1.0 / (nodes[i] - x)).product() };
    let weights: Vec<f64> = (0..nodes.len()).map(weight).collect();
    let slope = |i: usize| {
        let terms = others(i)
            .map(|(j, x)| weights[j] / weights[i] * (values[j] - values[i]) / (nodes[i] - x));
        terms.sum()
    };
    (0..nodes.len()).map(slope).collect()
}

/// A sum of integrals with its error.
#[derive(Debug, Clone, Copy, Default)]
struct Work {
    value: f64,
    error: f64,
}

impl Work {
    fn and(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            error: self.error + other.error,
        }
    }
}

/// One of the two branches that tie.
#[derive(Debug, Clone, Copy, Default)]
struct Side {
    work: Work,
    known: Belief,
    /// Of the potential in `ln noise`, at fixed overlaps.
    slope: f64,
}

impl Path {
    /// First and last point of a branch.
    fn ends(&self, branch: usize) -> (usize, usize) {
        let first = branch.checked_sub(1).map_or(0, |i| self.folds[i]);
        let last = self.folds.get(branch).copied();
        (first, last.unwrap_or(self.points.len() - 1))
    }

    /// Whether the noise grows along a branch away from the origin: it is unstable.
    fn rises(&self, branch: usize) -> bool {
        let (first, last) = self.ends(branch);
        self.points[last].at.log_noise > self.points[first].at.log_noise
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn polynomials_are_differentiated_exactly() {
        let nodes = [0.0, 0.2, 0.5, 0.9, 1.0];
        let values = nodes.map(|x: f64| x.powi(4) - 2.0 * x);
        for (x, slope) in nodes.iter().zip(differentiated(&nodes, &values)) {
            assert!((slope - (4.0 * x.powi(3) - 2.0)).abs() < 1e-13);
        }
    }
}
