//! What an output says about its field when `ln P(y|h)` is smooth and concave in `h`.

use std::f64::consts::PI;

use super::Seen;
use crate::Moments;
use crate::special::LEGENDRE;

/// `ln P(y|h)` of one output.
pub(super) struct Concave<J> {
    /// A place distances from which keep their digits where the output alone tells the field well.
    pub(super) centre: f64,
    /// Distance of the maximum from there; infinite if there is none.
    pub(super) best: f64,
    /// Lower end of the fields that allow the output, infinite or the centre; the law falls to zero there.
    pub(super) floor: f64,
    /// The mode of the posterior, where it is known in closed form, as it must be if there is a floor.
    pub(super) mode: Option<Place>,
    /// Length over which its curvature changes; infinite for one without a scale.
    pub(super) bend: f64,
    /// `[ln P(y|centre + d), and its first two derivatives]` at a distance `d`.
    pub(super) jet: J,
}

/// The slope of the exponent may change by this much over a panel, in units of its width, two standard
/// deviations of a Gaussian, and may itself be this large: twelve nodes are then exact to 1e-13.
const BEND: f64 = 4.0;
const SLOPE: f64 = 12.0;
/// Length of a panel on which the law bends, in units of its own length, unless it bends by less than the rest.
const PANEL: f64 = 2.5;
const STRAIGHT: f64 = 1e-14;
/// What is left out weighs `exp(-36)` of the mode.
const DEPTH: f64 = 36.0;
/// A floor farther away than this many standard deviations of the field is not seen.
const FLOOR: f64 = 9.0;
/// Part of the distance to a floor that is left out: a law that falls to zero there loses its square.
const NEAR: f64 = 1e-12;
/// Newton's method with bisections halves a bracket of doubles less often.
const STEPS: usize = 200;

/// A place `h = ω + u = centre + d`: of both distances the smaller one is exact to rounding.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) u: f64,
    pub(super) d: f64,
}

impl Place {
    fn moved(self, t: f64) -> Self {
        Self {
            u: self.u + t,
            d: self.d + t,
        }
    }
}

/// A node: its distance from a place, its weight, and two derivatives of `ln P`.
pub(super) struct Node {
    pub(super) t: f64,
    pub(super) weight: f64,
    pub(super) slope: f64,
    pub(super) bend: f64,
}

/// What nodes tell whose weights are relative to `exp(top)`, at distances from a place whose own distances are
/// those from `ω` and from a centre.
pub(super) fn told(
    nodes: &[Node],
    top: f64,
    (centre, place): (f64, Place),
    (omega, v): (f64, f64),
    at_floor: bool,
) -> Seen {
    let sum = |f: &dyn Fn(&Node) -> f64| nodes.iter().map(|n| n.weight * f(n)).sum::<f64>();
    let mass = sum(&|_| 1.0);
    let [t, slope, bend] = [sum(&|n| n.t), sum(&|n| n.slope), sum(&|n| n.bend)].map(|x| x / mass);
    let variance = sum(&|n| (n.t - t).powi(2)) / mass;
    let mean = place.moved(t);
    // Averages of derivatives where the prior holds h, differences to the prior where the output
    // does: neither cancels there.
    let (score, curvature) = if variance > 0.5 * v && !at_floor {
        let spread = sum(&|n| (n.slope - slope).powi(2)) / mass;
        (slope, -bend - spread)
    } else {
        (mean.u / v, (1.0 - variance / v) / v)
    };
    Seen {
        log_evidence: (mass / (2.0 * PI * v).sqrt()).ln() + top,
        field: Moments {
            mean: if mean.d.abs() < mean.u.abs() {
                centre + mean.d
            } else {
                omega + mean.u
            },
            variance,
        },
        score,
        curvature,
    }
}

impl<J: Fn(f64) -> [f64; 3]> Concave<J> {
    /// Posterior of `h ~ N(ω, V)` by Gauss-Legendre panels that follow it from the mode outwards. The
    /// exponent is concave: the change of its slope over a panel bounds every feature inside.
    pub(super) fn observe(&self, omega: f64, v: f64) -> Seen {
        let mode = self.mode.unwrap_or_else(|| self.find(omega, v));
        let (nodes, top) = self.nodes(mode, v);
        // Derivatives miss what happens at a floor.
        let at_floor = omega - self.floor < FLOOR * v.sqrt();
        told(&nodes, top, (self.centre, mode), (omega, v), at_floor)
    }

    /// The mode of the posterior, to a small part of its width.
    fn find(&self, omega: f64, v: f64) -> Place {
        let gap = omega - self.centre;
        let force = |at: Place| {
            let [_, slope, bend] = (self.jet)(at.d);
            (slope - at.u / v, bend - 1.0 / v)
        };
        let start = |u: f64| Place { u, d: gap + u };
        // Between the field's own mean and the field that suits the output best, or the one to which the
        // slope at the mean would lead: the slope only falls on the way there.
        let best = self.best - gap;
        let reach = v * force(start(0.0)).0;
        let end = if reach.abs() < best.abs() {
            reach
        } else {
            best
        };
        let (mut low, mut high) = (end.min(0.0), end.max(0.0));
        let mut at = start(if end == best { best } else { 0.0 });
        for _ in 0..STEPS {
            let (slope, rate) = force(at);
            if slope > 0.0 {
                low = low.max(at.u);
            } else {
                high = high.min(at.u);
            }
            let step = -slope / rate;
            let mut next = at.moved(step);
            if at.d.abs() < at.u.abs() {
                next.u = next.d - gap;
            } else {
                next.d = gap + next.u;
            }
            if step * step * -rate < 1e-6 {
                return next;
            }
            if !(low..=high).contains(&next.u) {
                next = start(0.5 * (low + high));
            }
            at = next;
        }
        at
    }

    /// Nodes, with weights relative to `exp(top)`, the height of the posterior at its mode.
    fn nodes(&self, mode: Place, v: f64) -> (Vec<Node>, f64) {
        let [peak, slope, bend] = (self.jet)(mode.d);
        let exponent = |t: f64, log: f64| log - peak - 0.5 * t / v * (2.0 * mode.u + t);
        let rate = (1.0 / v - bend).sqrt();
        let mut nodes = Vec::with_capacity(200);
        for side in [-1.0, 1.0] {
            let (mut t, mut width) = (0.0, BEND.sqrt() / rate);
            let (mut force, mut near) = (slope - mode.u / v, slope);
            loop {
                if side < 0.0 {
                    // Towards a floor without reaching it: what is left there falls like a power.
                    width = width.min(0.9 * (self.centre - self.floor + mode.d + t));
                }
                let (log, far, there) = loop {
                    let end = mode.moved(t + side * width);
                    let [log, slope, _] = (self.jet)(end.d);
                    let far = slope - end.u / v;
                    let straight = (slope - near).abs() * width < STRAIGHT;
                    let fits = (far - force).abs() * width <= BEND
                        && (straight || width <= PANEL * self.bend)
                        && far.abs() * width <= SLOPE;
                    // Nothing is resolved below, and not a number never is.
                    let seen = width * rate;
                    if fits || seen < 1e-9 || !seen.is_finite() || far.is_nan() {
                        break (log, far, slope);
                    }
                    width *= 0.5;
                };
                for (x, w) in LEGENDRE {
                    let t = t + side * width * x;
                    let [log, slope, bend] = (self.jet)(mode.d + t);
                    nodes.push(Node {
                        t,
                        weight: width * w * exponent(t, log).exp(),
                        slope,
                        bend,
                    });
                }
                t += side * width;
                // Not a number ends the walk, too, and is left for the caller to see.
                let left = (mode.d + t) / mode.d;
                let inside = self.floor.is_infinite() || left > NEAR;
                let goes_on = inside && exponent(t, log) >= -DEPTH && width * rate >= 1e-9;
                if !goes_on {
                    break;
                }
                (force, near) = (far, there);
                width *= 1.5;
            }
        }
        (nodes, peak - 0.5 * mode.u / v * mode.u)
    }
}
