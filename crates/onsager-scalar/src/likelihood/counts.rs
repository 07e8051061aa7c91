//! All counts of one field together, for sums over them.

use super::concave::{Node, Place, told};
use super::poisson::{Poisson, exp_excess, likely, stirling};
use super::{Likelihood, Possible, Seen};
use crate::Moments;
use crate::special::{log1p_exp, logistic};

/// Appends every count in a range, of rectified fields, each from its neighbour.
///
/// The integrals `J_y = ∫_0^∞ h^y exp(-h) N(h; ω, V) dh` obey `J_{y+1} = m J_y + y V J_{y-1}`, `m = ω - V`. Mean and
/// variance of the field are then `r_y = J_{y+1}/J_y = m + y V/r_{y-1}` and `V (1 - y V_{y-1}/r_{y-1}²)`, and
/// `P(y + 1)/P(y) = r_y/(y + 1)`. Upwards all terms are positive if `m` is; downwards if it is negative.
pub(super) fn ladder(
    law: &Poisson,
    (from, to): (f64, f64),
    omega: f64,
    v: f64,
    out: &mut Vec<Possible>,
) {
    let m = omega - v;
    let first = from.max(1.0);
    // A count above one whose field has this mean and variance.
    let above = |y: f64, log_evidence: f64, below: Moments| {
        let r = below.mean;
        let bent = y * (below.variance / r) / r;
        Seen {
            log_evidence,
            field: Moments {
                mean: m + y * (v / r),
                variance: v * (1.0 - bent),
            },
            score: (y - r) / r,
            curvature: bent / v,
        }
    };
    let mut add = |y: f64, seen: Seen| out.push(Possible::counted(y, seen));
    if m >= 0.0 {
        let (mut y, mut seen) = (first, law.observe(first, omega, v));
        add(y, seen);
        while y < to {
            let log = seen.log_evidence + (seen.field.mean / (y + 1.0)).ln();
            y += 1.0;
            seen = above(y, log, seen.field);
            add(y, seen);
        }
    } else {
        let top = law.observe(to, omega, v);
        let (mut y, mut field, mut log) = (to, top.field, top.log_evidence);
        while y >= first {
            let r = y * (v / (field.mean - m));
            let below = Moments {
                mean: r,
                variance: (1.0 - field.variance / v) * (r / y) * r,
            };
            add(
                y,
                Seen {
                    field,
                    ..above(y, log, below)
                },
            );
            log -= (r / y).ln();
            field = below;
            y -= 1.0;
        }
    }
    if from == 0.0 {
        add(0.0, law.observe(0.0, omega, v));
    }
}

/// Fields `h = ω + u` for all counts of one mean `exp h`: equal steps of `s` in `h = 2 ln(√A ln(1 + exp(s/2√A)))`,
/// whose slope is `1/√(A + exp h)` at both ends and within 1.3 percent of it between. With `A = 1/V + 7` that is as
/// narrow as any posterior and resolves `exp(-exp h)`; the rule converges geometrically, as on the line.
pub(super) struct Lattice {
    omega: f64,
    v: f64,
    sites: Vec<Site>,
    /// Where the last count had its mode.
    mode: usize,
    nodes: Vec<Node>,
}

struct Site {
    u: f64,
    /// `exp h`.
    rate: f64,
    /// Length of the step, and `u²/2V`.
    step: f64,
    half: f64,
}

impl Lattice {
    /// Largest count, about: posteriors of larger ones are far narrower than the field.
    const MOST: f64 = 4000.0;
    /// Step over the width: a Gaussian is summed to `exp(-2π²/0.7²)`, 3e-18.
    const STEP: f64 = 0.7;
    /// Logarithms fall by so much where a sum ends.
    const DEPTH: f64 = 36.0;

    pub(super) fn new(omega: f64, v: f64, reach: f64) -> Self {
        let a = 1.0 / v + 7.0;
        // ln(1 + exp s) at ω, the logistic function there, and s itself, from which distances keep their digits below.
        let here = (0.5 * omega).exp() / a.sqrt();
        let share = -(-here).exp_m1();
        let origin = here + share.ln();
        let site = |k: f64| {
            let x = k * Self::STEP / (2.0 * a.sqrt());
            let (there, u) = if x > -0.5 {
                let more = (share * x.exp_m1()).ln_1p();
                (here + more, 2.0 * (more / here).ln_1p())
            } else {
                let there = log1p_exp(origin + x);
                (there, 2.0 * (there / here).ln())
            };
            Site {
                u,
                rate: a * there * there,
                step: Self::STEP / a.sqrt() * -(-there).exp_m1() / there,
                half: 0.5 * u * u / v,
            }
        };
        let most = likely(Self::MOST, Self::MOST).1;
        // Steps down to the first site of so small a rate.
        let down = (origin - (most / a).sqrt().exp_m1().ln()) * 2.0 * a.sqrt() / Self::STEP;
        let below = (0..).map(|k| site(-f64::from(k) - down.ceil().max(1.0)));
        let mut sites: Vec<Site> = below.take_while(|s| s.u > -reach).collect();
        sites.reverse();
        let mode = sites.len();
        let above = (0..).map(|k| site(f64::from(k)));
        sites.extend(above.take_while(|s| s.u < reach && s.rate < most));
        Self {
            omega,
            v,
            mode: mode.min(sites.len().saturating_sub(1)),
            sites,
            nodes: Vec::new(),
        }
    }

    /// [`Poisson::observe`] of an exponential link; nothing for counts so unlikely, or so large, that the sites end
    /// before their sum.
    pub(super) fn observe(&mut self, y: f64) -> Option<Seen> {
        let centre = if y == 0.0 { 0.0 } else { y.ln() };
        let gap = self.omega - centre;
        let norm = stirling(y);
        // The exponent with the prior, and the slope of ln P.
        let exponent = |s: &Site| {
            let d = gap + s.u;
            let (log, slope) = if y == 0.0 {
                (-s.rate, -s.rate)
            } else if d.abs() < 0.25 {
                let excess = exp_excess(d);
                (-y * excess, -y * (d + excess))
            } else {
                (y * (1.0 + d) - s.rate, y - s.rate)
            };
            (log - norm - s.half, slope)
        };
        // Concave: from any site it rises to the mode.
        let sites = &self.sites;
        if sites.is_empty() {
            return None;
        }
        let height = |k: usize| exponent(&sites[k]).0;
        let (mut k, mut top) = (self.mode, height(self.mode));
        for towards in [1, -1] {
            while let Some(next) = k.checked_add_signed(towards).filter(|k| *k < sites.len()) {
                let there = height(next);
                if there.is_nan() || there <= top {
                    break;
                }
                (k, top) = (next, there);
            }
        }
        self.mode = k;
        self.nodes.clear();
        let mut add = |s: &Site| {
            let (log, slope) = exponent(s);
            self.nodes.push(Node {
                t: s.u,
                weight: s.step * (log - top).exp(),
                slope,
                bend: -s.rate,
            });
            log > top - Self::DEPTH
        };
        let (below, above) = sites.split_at(k);
        above.iter().find(|s| !add(s))?;
        below.iter().rev().find(|s| !add(s))?;
        let place = Place { u: 0.0, d: gap };
        let field = (self.omega, self.v);
        Some(told(&self.nodes, top, (centre, place), field, false))
    }
}

/// `Y(k) = k + sinh²(c√s u/2)/s`, `u = ln(1 + exp(k - K))`: whole numbers to all digits at first, then
/// strides that follow `c √(Y + s Y²)`.
pub(super) struct Strides {
    pub(super) spread: f64,
}

impl Strides {
    /// First count around which strides begin to grow, in units of the width of the transition: the
    /// rest of `u` below is `exp(-K)` or less.
    const START: f64 = 20.0;
    /// Stride over deviation: a Gaussian sampled so is summed to `exp(-2π²/c²)`, 1e-17.
    const STRIDE: f64 = 0.7;

    pub(super) fn at(&self, k: f64) -> (f64, f64) {
        let x = k - Self::START;
        let (u, slope) = (log1p_exp(x), logistic(x));
        let half = 0.5 * Self::STRIDE;
        let root = self.spread.sqrt();
        // sinh(c√s u/2)/√s, and its limit.
        let angle = half * root * u;
        let arm = if angle < 1e-8 {
            half * u
        } else {
            angle.sinh() / root
        };
        let rise = Self::STRIDE * arm * angle.cosh();
        // The first ones are whole to the last digit: nothing counted is a case of its own.
        let shift = if arm * arm < 1e-15 { 0.0 } else { arm * arm };
        (k + shift, 1.0 + rise * slope)
    }

    /// The last step before `y`, or the first of all.
    pub(super) fn before(&self, y: f64) -> f64 {
        let (mut low, mut high) = (0.0, y.floor());
        while high - low > 1.0 {
            let middle = (0.5 * (low + high)).floor();
            if self.at(middle).0 <= y {
                low = middle;
            } else {
                high = middle;
            }
        }
        low
    }
}
