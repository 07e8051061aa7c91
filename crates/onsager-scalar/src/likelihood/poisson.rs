use std::f64::consts::PI;

use rand::Rng;
use rand_distr::{Distribution, StandardNormal};

use super::concave::{Concave, Place};
use super::counts::{Lattice, Strides, ladder};
use super::logistic::line;
use super::{Likelihood, Possible, Seen};
use crate::activation::{Activation, Parity, Piece, PiecewiseLinear};
use crate::quadrature;
use crate::special::normal_density;

/// Counts `y = 0, 1, 2, ...` of a mean that depends on the field.
///
/// - **Accuracy**: relative 1e-11 of the mean's distance from `ω`, of the variance and of the score;
///   absolute 1e-12 of the log-evidence, relative to `score² + |curvature|` that of the curvature. Counts
///   may be of any size.
///
/// ```
/// use onsager_scalar::{Likelihood, likelihood::Poisson};
/// // A field that is known: ln P(y|h) = y h - exp h - ln y!, of slope y - exp h.
/// let seen = Poisson::exponential().observe(3.0, 0.5, 1e-12);
/// assert!((seen.score - (3.0 - 0.5f64.exp())).abs() < 1e-11);
/// // Nothing counted: the rate is exp(-h) above zero, and below zero nothing could be.
/// let seen = Poisson::rectified().observe(0.0, -5.0, 1e-4);
/// assert_eq!(seen.log_evidence, 0.0);
/// ```
#[derive(Debug, Clone)]
pub struct Poisson {
    link: Link,
    pieces: Vec<Piece>,
}

/// From the field to the mean count.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Link {
    Rectified,
    Exponential,
}

impl Poisson {
    /// Mean `max(h, 0)`.
    #[must_use]
    pub fn rectified() -> Self {
        Self {
            link: Link::Rectified,
            pieces: PiecewiseLinear::relu().pieces().to_vec(),
        }
    }

    /// Mean `exp h`.
    #[must_use]
    pub fn exponential() -> Self {
        Self {
            link: Link::Exponential,
            pieces: line().to_vec(),
        }
    }

    fn rate(&self, h: f64) -> f64 {
        match self.link {
            Link::Rectified => h.max(0.0),
            Link::Exponential => h.exp(),
        }
    }
}

/// `ln y! - (y ln y - y)`, by Stirling's series where it is exact to rounding.
pub(super) fn stirling(y: f64) -> f64 {
    if y == 0.0 {
        0.0
    } else if y < 15.0 {
        libm::lgamma(y + 1.0) - y * y.ln() + y
    } else {
        let s = 1.0 / (y * y);
        let series = 1.0 / 12.0 - s * (1.0 / 360.0 - s * (1.0 / 1260.0 - s / 1680.0));
        0.5 * (2.0 * PI * y).ln() + series / y
    }
}

/// `e^d - 1 - d`.
pub(super) fn exp_excess(d: f64) -> f64 {
    if d.abs() < 0.25 {
        // Σ d^k/k! from k = 2 on; the thirteenth term is below 1e-17 of the first.
        let series = (3..=14)
            .rev()
            .fold(1.0, |sum, k| 1.0 + sum * d / f64::from(k));
        0.5 * d * d * series
    } else {
        d.exp_m1() - d
    }
}

/// `t - ln(1 + t)` for `1 + t = x/y`.
fn log_excess(x: f64, y: f64) -> f64 {
    let t = (x - y) / y;
    if t.abs() < 0.1 {
        // Σ (-t)^k/k from k = 2 on.
        let terms = (2..=17).rev();
        t * t * terms.fold(0.0, |sum, k| 1.0 / f64::from(k) - t * sum)
    } else {
        t - (x / y).ln()
    }
}

/// `ln P(y)` of a count of this mean.
fn log_poisson(y: f64, mean: f64) -> f64 {
    if mean == 0.0 {
        return if y == 0.0 { 0.0 } else { f64::NEG_INFINITY };
    }
    if y == 0.0 {
        return -mean;
    }
    -y * log_excess(mean, y) - stirling(y)
}

/// Entropy in nats of a count of this mean.
fn entropy(mean: f64) -> f64 {
    if mean > 1e3 {
        // The next term is 1e-13 there.
        let s = 1.0 / mean;
        return 0.5 * (2.0 * PI * std::f64::consts::E * mean).ln()
            - s * (1.0 / 12.0 + s * (1.0 / 24.0 + s * 19.0 / 360.0));
    }
    let (from, to) = likely(mean, mean);
    let terms = (from as u64..=to as u64).map(|y| {
        let log = log_poisson(y as f64, mean);
        // A count that never occurs: 0 ln 0.
        if log == f64::NEG_INFINITY {
            0.0
        } else {
            -log * log.exp()
        }
    });
    terms.sum()
}

/// Counts outside are less likely than 1e-17, for every mean between these.
pub(super) fn likely(least: f64, greatest: f64) -> (f64, f64) {
    let from = (least - 9.0 * least.sqrt()).floor().max(0.0);
    (from, (greatest + 9.0 * greatest.sqrt() + 25.0).ceil())
}

impl Likelihood for Poisson {
    /// Defined for real `y >= 0`, with `Γ(y + 1)` in place of `y!`.
    fn observe(&self, y: f64, omega: f64, v: f64) -> Seen {
        match self.link {
            Link::Rectified if y == 0.0 => {
                // exp(-max(h, 0)): one piece without a message, one behind exp(-h).
                let message = |p: &Piece| p.channel(0.0, -p.slope, omega, v, false);
                let [below, above] = [message(&self.pieces[0]), message(&self.pieces[1])];
                below.or(above).into()
            }
            Link::Rectified => {
                // y/h - 1 = (h - ω)/V, by the root that does not cancel.
                let m = omega - v;
                let root = m.hypot(2.0 * (y * v).sqrt());
                let h = if m < 0.0 {
                    2.0 * y * v / (root - m)
                } else {
                    0.5 * (m + root)
                };
                let u = if v < h { v * ((y - h) / h) } else { h - omega };
                let mode = Place { u, d: h };
                let norm = stirling(y);
                let jet = |h: f64| [-y * log_excess(h, y) - norm, (y - h) / h, -y / (h * h)];
                Concave {
                    centre: 0.0,
                    best: y,
                    floor: 0.0,
                    mode: Some(mode),
                    bend: f64::INFINITY,
                    jet,
                }
                .observe(omega, v)
            }
            Link::Exponential if y == 0.0 => {
                let jet = |h: f64| [-h.exp(); 3];
                let floor = f64::NEG_INFINITY;
                Concave {
                    centre: 0.0,
                    best: f64::NEG_INFINITY,
                    floor,
                    mode: None,
                    bend: 1.0,
                    jet,
                }
                .observe(omega, v)
            }
            Link::Exponential => {
                let norm = stirling(y);
                let jet = |d: f64| {
                    let e = d.exp();
                    let (rise, excess) = if d.abs() < 0.25 {
                        let excess = exp_excess(d);
                        (d + excess, excess)
                    } else {
                        (e - 1.0, e - 1.0 - d)
                    };
                    [-y * excess - norm, -y * rise, -y * e]
                };
                let floor = f64::NEG_INFINITY;
                Concave {
                    centre: y.ln(),
                    best: 0.0,
                    floor,
                    mode: None,
                    bend: 1.0,
                    jet,
                }
                .observe(omega, v)
            }
        }
    }
    fn sample(&self, h: f64, rng: &mut dyn Rng) -> f64 {
        /// Counts of larger means are Gaussian to all digits that a double has left for them.
        const LARGE: f64 = 1e15;
        let mean = self.rate(h);
        if mean == 0.0 {
            return 0.0;
        }
        let law = rand_distr::Poisson::new(mean.min(LARGE));
        match law.ok().filter(|_| mean < LARGE) {
            Some(law) => law.sample(rng),
            None => {
                let n: f64 = StandardNormal.sample(rng);
                (mean + mean.sqrt() * n).round()
            }
        }
    }
    fn allows(&self, y: f64) -> bool {
        y.is_finite() && y >= 0.0 && y.fract() == 0.0
    }
    fn parity(&self) -> Parity {
        Parity::None
    }
    /// The mean of `exp h` is that of fields about `E h²`: from 20 on they lie outside the nodes.
    fn widest_field(&self) -> f64 {
        match self.link {
            Link::Rectified => f64::INFINITY,
            Link::Exponential => 20.0,
        }
    }
    fn sharpness(&self, _: f64) -> Option<f64> {
        None
    }
    fn entropy(&self, r: f64) -> f64 {
        let sd = r.sqrt();
        // Features of width 1 in h, or without a scale at zero.
        let width = match self.link {
            Link::Rectified => 1e-8,
            Link::Exponential => 1.0 / sd,
        };
        let panels = quadrature::Panels::gaussian();
        let panels = panels.clone().refine_towards(0.0, width).unwrap_or(panels);
        let nats = |t: f64| normal_density(t) * entropy(self.rate(sd * t));
        quadrature::integrate(&panels, 16, nats).map_or(f64::NAN, |e| e.value)
    }
    fn pieces(&self) -> &[Piece] {
        &self.pieces
    }
    fn bend(&self) -> Option<f64> {
        (self.link == Link::Exponential).then_some(1.0)
    }
    /// One by one where they are few, then every so many: `Σ_y F(y) = Σ_k Y'(k) F(Y(k))` for an `F`
    /// that is smooth on the scale `Y'`. From the count that suits the mean of the field upwards and downwards, as
    /// long as they add to any average.
    fn outputs(&self, omega: f64, v: f64, out: &mut Vec<Possible>) {
        /// Half of the interval kept of the field, in standard deviations.
        const REACH: f64 = 8.6;
        /// Part of a sum that is left to the counts beyond: each is a small part of the one before.
        const REST: f64 = 1e-15;
        /// Counts that take less time one after the other than by strides.
        const LADDER: f64 = 4000.0;
        let reach = REACH * v.sqrt();
        let [least, greatest] = [-reach, reach].map(|t| self.rate(omega + t));
        let (from, to) = likely(least, greatest);
        if self.link == Link::Rectified && to - from <= LADDER {
            return ladder(self, (from, to), omega, v, out);
        }
        // Counts near y are smeared over √y by chance, and by the field over √V y behind an exponential;
        // a wider law still has the singularities of y! at a distance π in ln y.
        let spread = match self.link {
            Link::Rectified => 0.0,
            Link::Exponential => v.min(0.5),
        };
        let counts = Strides { spread };
        let mut lattice = (self.link == Link::Exponential).then(|| Lattice::new(omega, v, reach));
        let middle = counts.before(self.rate(omega).clamp(from, to));
        let mut sums = [0.0; 3];
        let mut counted = |k: f64| {
            let (y, stride) = counts.at(k);
            if !(from..=to).contains(&y) || !stride.is_finite() {
                return false;
            }
            let seen = lattice.as_mut().and_then(|lattice| lattice.observe(y));
            let seen = seen.unwrap_or_else(|| self.observe(y, omega, v));
            let weight = stride * seen.log_evidence.exp();
            out.push(Possible { y, weight, seen });
            // Not a number counts, and is left for the caller to see.
            let parts = [1.0, seen.score * seen.score, seen.log_evidence.abs()];
            let mut adds = false;
            for (sum, part) in sums.iter_mut().zip(parts) {
                *sum += weight * part;
                adds |= weight * part > REST * *sum || part.is_nan();
            }
            adds
        };
        let steps = |from: f64, by: f64| (1..).map(move |i| from + by * f64::from(i));
        counted(middle);
        for by in [1.0, -1.0] {
            steps(middle, by)
                .take_while(|k| *k >= 0.0)
                .find(|k| !counted(*k));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Against the difference itself, where it loses few digits, and the first terms of the series.
    #[test]
    fn excesses_keep_their_digits() {
        // Dyadic, so that 1 + t is exact.
        for t in [
            -0.0625,
            -1.0 / 1024.0,
            1.0 / 1048576.0,
            0.09375,
            0.234375,
            -0.234375,
        ] {
            let exp = t * t * (0.5 + t * (1.0 / 6.0 + t / 24.0));
            assert!((exp_excess(t) - exp).abs() < t.abs().powi(5) / 60.0);
            let log = t * t * (0.5 - t * (1.0 / 3.0 - t / 4.0));
            assert!((log_excess(1.0 + t, 1.0) - log).abs() < t.abs().powi(5) / 3.0);
            assert!((exp_excess(t) - (t.exp_m1() - t)).abs() < 1e-16);
            assert!((log_excess(1.0 + t, 1.0) - (t - t.ln_1p())).abs() < 1e-16);
        }
    }

    /// Counts of one field together against counts seen one by one, at faint, wide and far fields.
    #[test]
    fn counts_together_are_those_seen_one_by_one() {
        let rectified = [-30.0, -3.0, -0.01, 0.0, 0.5, 0.7, 4.0, 40.0, 1000.0];
        let rectified =
            rectified.map(|omega| (omega, &[1e-12, 1e-4, 0.5, 0.7, 3.0, 60.0, 1e4][..]));
        let exponential = [-1500.0, -30.0, -3.0, 0.0, 0.7, 4.0, 7.0, 12.0];
        let exponential = exponential.map(|omega| (omega, &[1e-12, 1e-4, 0.5, 1.0, 3.0, 20.0][..]));
        let laws = [
            (Poisson::rectified(), &rectified[..]),
            (Poisson::exponential(), &exponential[..]),
        ];
        let all = laws
            .iter()
            .flat_map(|(law, fields)| fields.iter().map(move |f| (law, f)));
        for (law, &(omega, variances)) in all {
            for &v in variances {
                let mut counts = Vec::new();
                law.outputs(omega, v, &mut counts);
                for Possible { y, seen, weight } in &counts {
                    let alone = law.observe(*y, omega, v);
                    let at = format!("{y} at {omega}, {v}: {seen:?} {alone:?}");
                    // Counts that hardly occur need fewer digits.
                    let close = |x: f64, y: f64, of: f64| {
                        (x - y).abs() <= 1e-10 * of * (1e-9 / weight).max(1.0)
                    };
                    let log = alone.log_evidence;
                    assert!(close(seen.log_evidence, log, 0.1 + log.abs()), "{at}");
                    let scale = alone.field.mean.abs() + v.sqrt();
                    assert!(close(seen.field.mean, alone.field.mean, scale), "{at}");
                    let variance = alone.field.variance;
                    assert!(close(seen.field.variance, variance, variance), "{at}");
                    let score = alone.score;
                    assert!(close(seen.score, score, 1e-3 + score.abs()), "{at}");
                    let scale = 1e-3 + score * score + alone.curvature.abs();
                    assert!(close(seen.curvature, alone.curvature, scale), "{at}");
                }
            }
        }
    }

    /// Counts of large means lie on a grid whose sums are those over all counts.
    #[test]
    fn strides_sum_a_poisson_law() {
        for mean in [3.0, 60.0, 500.0, 1e4, 1e8] {
            let counts = Strides { spread: 0.0 };
            let (from, to) = likely(mean, mean);
            let (mut k, mut sum, mut first) = (counts.before(from), 0.0, 0.0);
            while counts.at(k).0 <= to {
                let (y, stride) = counts.at(k);
                let weight = stride * log_poisson(y, mean).exp();
                sum += weight;
                first += weight * y / mean;
                k += 1.0;
            }
            // The rounding of y ln y is left.
            assert!((sum - 1.0).abs() < 1e-12, "{mean}: {sum}");
            assert!((first - 1.0).abs() < 1e-12, "{mean}: {first}");
        }
    }

    /// `dH/dλ = E ln(y + 1) - ln λ`, by differences, across the place where the series takes over.
    #[test]
    fn entropies_have_the_slope_of_a_poisson_law() {
        for mean in [0.01, 0.7, 20.0, 400.0, 999.0, 3000.0] {
            let d = 1e-3 * mean;
            let central = |d: f64| (entropy(mean + d) - entropy(mean - d)) / (2.0 * d);
            let slope = (4.0 * central(d) - central(2.0 * d)) / 3.0;
            let (from, to) = likely(mean, mean);
            let logs = (from as u64..=to as u64).map(|y| {
                let y = y as f64;
                log_poisson(y, mean).exp() * ((y + 1.0) / mean).ln()
            });
            let expected: f64 = logs.sum();
            let error = (slope - expected).abs();
            assert!(
                error < 1e-8 * (1.0 + expected.abs()),
                "{mean}: {slope} {expected}"
            );
        }
    }
}
