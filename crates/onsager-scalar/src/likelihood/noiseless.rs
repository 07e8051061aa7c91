use rand::Rng;

use super::{Likelihood, Possible, Seen};
use crate::Moments;
use crate::activation::{Activation, Channel, Parity, Piece, PiecewiseLinear};
use crate::quadrature::Rule;
use crate::special::normal_density;

/// `y = φ(h)` without noise, for a function made of affine pieces.
///
/// A value that a flat piece takes has a probability of its own (relu at 0, hard tanh at ±1, sign,
/// door, quantisation) and says in which interval the field lies. Every other value determines the
/// field up to the choice among its preimages `h_i`, of weight `N(h_i; ω, V)/|φ'(h_i)|`.
///
/// ```
/// use onsager_scalar::{Likelihood, activation::PiecewiseLinear, likelihood::Noiseless};
/// let relu = Noiseless::new(PiecewiseLinear::relu());
/// assert_eq!(relu.observe(0.7, 0.0, 1.0).field.mean, 0.7);
/// let below = relu.observe(0.0, 0.0, 1.0); // all that is known is h < 0
/// assert!((below.log_evidence - 0.5f64.ln()).abs() < 1e-15);
/// assert_eq!(relu.sharpness(1.0), Some(0.5));
/// assert!(!relu.allows(-0.1));
/// ```
#[derive(Debug, Clone)]
pub struct Noiseless {
    phi: PiecewiseLinear,
    /// Values of the flat pieces, each once.
    values: Vec<f64>,
    /// By piece, those which share values with it.
    rivals: Vec<Vec<Piece>>,
}

/// Half of the interval kept of a Gaussian, in standard deviations: outside lies 1e-17.
const REACH: f64 = 8.6;
/// Two preimages compete where both are as near as this: farther out, the lesser one matters at
/// 1e-12.
const RIVAL: f64 = 7.5;

impl Noiseless {
    /// The output of a function.
    #[must_use]
    pub fn new(phi: PiecewiseLinear) -> Self {
        let pieces = phi.pieces();
        let mut values: Vec<f64> = Vec::new();
        for p in pieces.iter().filter(|p| p.slope == 0.0) {
            if !values.contains(&p.offset) {
                values.push(p.offset);
            }
        }
        let sloped = |p: &&Piece| p.slope != 0.0;
        let rivals = pieces.iter().enumerate().map(|(i, p)| {
            let others = pieces.iter().enumerate().filter(|(j, _)| i != *j);
            let others = others.map(|(_, r)| r).filter(sloped);
            let shares = |r: &&Piece| {
                let (a, b) = (image(p), image(r));
                p.slope != 0.0 && a.0.max(b.0) < a.1.min(b.1)
            };
            others.filter(shares).copied().collect()
        });
        let rivals = rivals.collect();
        Self {
            values,
            rivals,
            phi,
        }
    }

    /// The cases in which `y` may have come about.
    fn cases(&self, y: f64, omega: f64, v: f64) -> impl Iterator<Item = Channel> + '_ {
        let counted = self.values.contains(&y);
        let pieces = self.phi.pieces().iter();
        pieces.filter_map(move |p| {
            if counted {
                let takes = p.slope == 0.0 && p.offset == y;
                return takes.then(|| p.channel(0.0, 0.0, omega, v));
            }
            let h = preimage(p, y)?;
            let (distance, variance) = (h - omega, 0.0);
            let score = distance / v;
            let norm = (2.0 * std::f64::consts::PI * v).ln();
            Some(Channel {
                log_partition: -0.5 * (distance * score + norm) - p.slope.abs().ln(),
                input: Moments { mean: h, variance },
                score,
                curvature: 1.0 / v,
                ..Channel::default()
            })
        })
    }
}

/// Where a sloped piece takes the value `y`. An end belongs to the piece above it, as in
/// [`Activation::apply`], up to the rounding of `y`.
fn preimage(p: &Piece, y: f64) -> Option<f64> {
    if p.slope == 0.0 {
        return None;
    }
    let h = (y - p.offset) / p.slope;
    let slack = 4.0 * f64::EPSILON * ((y.abs() + p.offset.abs()) / p.slope.abs());
    (p.lower - slack <= h && h < p.upper + slack).then_some(h)
}

/// Lowest and highest value of a piece.
fn image(p: &Piece) -> (f64, f64) {
    let (x, y) = (p.at(p.lower), p.at(p.upper));
    (x.min(y), x.max(y))
}

impl Likelihood for Noiseless {
    fn observe(&self, y: f64, omega: f64, v: f64) -> Seen {
        let all = self.cases(y, omega, v).reduce(Channel::or);
        all.map_or(
            Seen {
                log_evidence: f64::NEG_INFINITY,
                ..Seen::default()
            },
            Seen::from,
        )
    }
    fn sample(&self, h: f64, _: &mut dyn Rng) -> f64 {
        self.phi.apply(h)
    }
    fn allows(&self, y: f64) -> bool {
        let reached = || self.phi.pieces().iter().any(|p| preimage(p, y).is_some());
        y.is_finite() && (self.values.contains(&y) || reached())
    }
    fn labels(&self) -> Option<&[f64]> {
        self.phi.is_discrete().then_some(&self.values)
    }
    fn parity(&self) -> Parity {
        self.phi.parity()
    }
    fn sharpness(&self, r: f64) -> Option<f64> {
        Some(self.phi.sloped_fraction(r))
    }
    fn entropy(&self, _: f64) -> f64 {
        if self.phi.is_discrete() {
            0.0
        } else {
            f64::NEG_INFINITY
        }
    }
    fn pieces(&self) -> &[Piece] {
        self.phi.pieces()
    }
    fn outputs(&self, omega: f64, v: f64, out: &mut Vec<Possible>) {
        /// Nodes of a panel, and its width in standard deviations where nothing but a Gaussian is
        /// to be seen.
        const ORDER: usize = 12;
        const WIDTH: f64 = 2.5;
        for y in &self.values {
            let seen = self.observe(*y, omega, v);
            // Below, weights and scores underflow one after the other.
            if seen.log_evidence > -600.0 {
                out.push(Possible::counted(*y, seen));
            }
        }
        let sd = v.sqrt();
        let Ok(rule) = Rule::new(ORDER) else { return };
        let near = |p: &Piece| {
            let from = p.lower.max(omega - RIVAL * sd);
            let to = p.upper.min(omega + RIVAL * sd);
            (from < to).then(|| (p.at(from).min(p.at(to)), p.at(from).max(p.at(to))))
        };
        for (p, rivals) in self.phi.pieces().iter().zip(&self.rivals) {
            if p.slope == 0.0 {
                continue;
            }
            let from = ((p.lower - omega) / sd).max(-REACH);
            let to = ((p.upper - omega) / sd).min(REACH);
            if from >= to {
                continue;
            }
            // Where a rival is near, too, and the width of panels there: a rival that moves `m` times
            // as fast turns the odds over `1/((1 + m) z)`, where at most `exp(-z²/2)` is left.
            let contests = rivals.iter().filter_map(|r| {
                let (low, high) = near(r)?;
                let ends = [low, high].map(|y| ((y - p.offset) / p.slope - omega) / sd);
                let (a, b) = (ends[0].min(ends[1]).max(from), ends[0].max(ends[1]).min(to));
                let m = (p.slope / r.slope).abs();
                (a < b).then_some((a, b, (2.0 / (1.0 + m)).min(1.0)))
            });
            let contests: Vec<(f64, f64, f64)> = contests.collect();
            let mut edges = vec![from, to];
            edges.extend(contests.iter().flat_map(|c| [c.0, c.1]));
            edges.sort_by(f64::total_cmp);
            edges.dedup();
            for pair in edges.windows(2) {
                let here = contests.iter().filter(|c| c.0 < pair[1] && pair[0] < c.1);
                let width = here.map(|c| c.2).fold(WIDTH, f64::min);
                let parts = ((pair[1] - pair[0]) / width).ceil().max(1.0);
                let step = (pair[1] - pair[0]) / parts;
                for k in 0..parts as usize {
                    let left = pair[0] + step * k as f64;
                    out.extend(rule.on(left, left + step).map(|(z, w)| {
                        let y = p.offset + p.slope * (omega + sd * z);
                        let (weight, seen) = (w * normal_density(z), self.observe(y, omega, v));
                        Possible { y, weight, seen }
                    }));
                }
            }
        }
    }
}
