//! One quadrature rule for every average: the trapezoidal rule after a graded change of variable.
//!
//! The integrands are analytic, Gaussian at both ends, and vary on known lengths near known
//! places. For such functions the trapezoidal rule converges geometrically in the variable `t(x)`
//! whose slope is the density of nodes that the integrand asks for. No panel has an end, and a
//! Gaussian costs 2 or 3 nodes per standard deviation at nine digits.

/// A place where an integrand varies: `density` nodes per unit length and per step on a plateau
/// of half-width `radius`, and beyond it a distance between nodes that grows in proportion to
/// the distance from the centre.
#[derive(Debug, Clone, Copy)]
pub(super) struct Centre {
    pub(super) at: f64,
    pub(super) radius: f64,
    pub(super) density: f64,
}

impl Centre {
    /// Slope of [`Centre::t`].
    fn slope(&self, x: f64) -> f64 {
        let (y, r) = (x - self.at, self.radius);
        let (e, f) = (y + r, y - r);
        let soft = SHOULDER * r;
        1.0 / y.hypot(r) + 0.5 * self.density * (e / e.hypot(soft) - f / f.hypot(soft))
    }

    /// `asinh(y/r)`, the growing distance, plus `d (√((y+r)² + s²) - √((y-r)² + s²))/2`, the
    /// plateau with shoulders of width s, written without the difference.
    fn t(&self, x: f64) -> f64 {
        let (y, r) = (x - self.at, self.radius);
        let soft = SHOULDER * r;
        let roots = (y + r).hypot(soft) + (y - r).hypot(soft);
        (y / r).asinh() + 2.0 * self.density * r * (y / roots)
    }
}

/// Width of the shoulders of a plateau, in units of its radius: the change of variable is analytic in a strip as wide.
const SHOULDER: f64 = 0.8;

/// A node and its weight.
pub(super) type Node = (f64, f64);

/// The rule on `[from, to]`, with a node at `anchor`: steps of `step` in `t(x) = x/coarse + Σ`
/// over the centres.
pub(super) fn graded(
    centres: &[Centre],
    coarse: f64,
    anchor: f64,
    (from, to): (f64, f64),
    step: f64,
) -> Vec<Node> {
    let density = |x: f64| 1.0 / coarse + centres.iter().map(|c| c.slope(x)).sum::<f64>();
    let t = |x: f64| x / coarse + centres.iter().map(|c| c.t(x)).sum::<f64>();
    // The next node at a distance `dt` in t, by Newton's method: the density changes little from
    // node to node, so the first guess is already close.
    let next = |x: f64, dt: f64| {
        let goal = t(x) + dt;
        let mut y = x + dt / density(x);
        for _ in 0..NEWTON {
            let d = density(y);
            let change = goal - t(y);
            y += change / d;
            if change.abs() < 1e-8 {
                break;
            }
        }
        y
    };
    let mut nodes = vec![];
    let mut x = anchor;
    while x > from {
        x = next(x, -step);
        nodes.push((x, step / density(x)));
    }
    nodes.reverse();
    x = anchor;
    while x < to {
        nodes.push((x, step / density(x)));
        x = next(x, step);
    }
    nodes
}

/// Newton's method doubles its digits: after a change of 1e-8 the error is rounding, and from
/// the first guess eight steps are more than enough.
const NEWTON: usize = 8;
