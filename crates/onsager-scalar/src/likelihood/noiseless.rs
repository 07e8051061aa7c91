use rand::Rng;

use super::{Likelihood, Possible, Seen, is_flat};
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
    /// `ln |φ'|` by piece.
    log_slopes: Vec<f64>,
    /// Values of the flat pieces, each once.
    values: Vec<f64>,
    /// By piece, those which share values with it.
    rivals: Vec<Vec<Piece>>,
}

/// Half of the interval kept of a Gaussian, in standard deviations: outside lies 1e-17.
const REACH: f64 = 8.6;
/// Width of a panel in standard deviations where nothing but a Gaussian is to be seen.
const WIDTH: f64 = 2.5;
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
        let log_slopes = pieces.iter().map(|p| p.slope.abs().ln()).collect();
        Self {
            log_slopes,
            values,
            rivals,
            phi,
        }
    }

    /// The cases in which `y` may have come about.
    fn cases(&self, y: f64, omega: f64, v: f64) -> impl Iterator<Item = Channel> + '_ {
        let counted = self.values.contains(&y);
        let norm = (2.0 * std::f64::consts::PI * v).ln();
        let pieces = self.phi.pieces().iter().zip(&self.log_slopes);
        pieces.filter_map(move |(p, log_slope)| {
            if counted {
                let takes = p.slope == 0.0 && p.offset == y;
                return takes.then(|| p.channel(0.0, 0.0, omega, v, false));
            }
            let h = preimage(p, y)?;
            let (distance, variance) = (h - omega, 0.0);
            let score = distance / v;
            Some(Channel {
                log_partition: -0.5 * (distance * score + norm) - log_slope,
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

/// The odds of two preimages of one value, `z` and `α + β z` standard deviations away: their logarithm
/// is `L(z) = ((α + β z)² - z²)/2 + ln 1/|β|`.
///
/// What is averaged is a function of `exp L`, with poles where `L = iπ (2k + 1)`: a distance `π/|L'|`
/// beside the places where the odds turn, and farther away everywhere else.
struct Contest {
    /// Where the odds turn, or come nearest to it; NaN where they do not.
    turns: [f64; 2],
    /// Width of a panel there.
    width: f64,
}

impl Contest {
    fn new(p: &Piece, r: &Piece, omega: f64, sd: f64) -> Self {
        let beta = p.slope / r.slope;
        let alpha = ((p.at(omega) - r.offset) / r.slope - omega) / sd;
        // L = c2 z² + c1 z + c0
        let c2 = 0.5 * (beta * beta - 1.0);
        let c1 = alpha * beta;
        let c0 = 0.5 * alpha * alpha - beta.abs().ln();
        let root = (c1 * c1 - 4.0 * c2 * c0).max(0.0).sqrt();
        let turns = if c2 == 0.0 {
            [-c0 / c1, f64::NAN]
        } else {
            // Without cancellation; both are the vertex where the odds never turn.
            let q = -0.5 * (c1 + root.copysign(c1));
            if root == 0.0 {
                [-0.5 * c1 / c2; 2]
            } else {
                [q / c2, c0 / q]
            }
        };
        // A rival that moves `m` times as fast turns the odds over `1/((1 + m) z)`, where at most
        // `exp(-z²/2)` is left: that bounds what has to be resolved.
        let least = (2.0 / (1.0 + beta.abs())).min(1.0);
        // Twelve nodes on 1.2 times the distance of a pole leave 1e-13.
        let far = 1.2 * std::f64::consts::PI / root;
        Self {
            turns: turns.map(|z| if z.is_finite() { z } else { f64::NAN }),
            width: match root > 0.0 || c2 == 0.0 {
                true => far.clamp(least, WIDTH),
                false => least,
            },
        }
    }

    /// Width of a panel upwards from `z`, which grows with its distance from a turn and reaches none.
    fn width(&self, z: f64) -> f64 {
        let from = |turn: f64| match turn {
            t if t <= z => self.width + (z - t),
            t if t > z => (0.5 * (self.width + t - z)).max(self.width),
            _ => WIDTH,
        };
        self.turns.map(from).into_iter().fold(WIDTH, f64::min)
    }
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
    fn is_constant(&self, r: f64) -> bool {
        is_flat(self.phi.pieces(), r)
    }
    fn outputs(&self, omega: f64, v: f64, out: &mut Vec<Possible>) {
        /// Nodes of a panel.
        const ORDER: usize = 12;
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
            // Where a rival is near, too.
            let contests = rivals.iter().filter_map(|r| {
                let (low, high) = near(r)?;
                let ends = [low, high].map(|y| ((y - p.offset) / p.slope - omega) / sd);
                let (a, b) = (ends[0].min(ends[1]).max(from), ends[0].max(ends[1]).min(to));
                (a < b).then(|| (a, b, Contest::new(p, r, omega, sd)))
            });
            let contests: Vec<(f64, f64, Contest)> = contests.collect();
            let mut edges = vec![from, to];
            for (a, b, contest) in &contests {
                // A turn at an end, up to rounding, is that end.
                let inside = |z: &f64| a + 1e-6 < *z && *z < b - 1e-6;
                let turns = contest.turns.into_iter().filter(inside);
                edges.extend([*a, *b].into_iter().chain(turns));
            }
            edges.sort_by(f64::total_cmp);
            edges.dedup();
            for pair in edges.windows(2) {
                let (mut left, end) = (pair[0], pair[1]);
                while left < end {
                    let here = contests.iter().filter(|c| c.0 < end && pair[0] < c.1);
                    let width = here.map(|c| c.2.width(left)).fold(WIDTH, f64::min);
                    // What is left is one panel, or two that are equal, or more.
                    let parts = ((end - left) / width).ceil();
                    let right = match parts {
                        1.0 => end,
                        2.0 => 0.5 * (left + end),
                        _ => left + width,
                    };
                    out.extend(rule.on(left, right).map(|(z, w)| {
                        let y = p.offset + p.slope * (omega + sd * z);
                        let (weight, seen) = (w * normal_density(z), self.observe(y, omega, v));
                        Possible { y, weight, seen }
                    }));
                    left = right;
                }
            }
        }
    }
}
