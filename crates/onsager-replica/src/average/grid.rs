//! One quadrature rule for every average: the trapezoidal rule after a graded change of variable.
//!
//! The integrands are analytic, Gaussian at both ends, and vary on known lengths near known
//! places. For such functions the trapezoidal rule converges geometrically, and `t(x) = x/L + Σ
//! s asinh((x - c)/w)` makes its step `L` far from all centres `c` and `w/s` near each of them.

/// A place `at` near which an integrand varies over the length `width`.
#[derive(Debug, Clone, Copy)]
pub(super) struct Centre {
    pub at: f64,
    pub width: f64,
    /// Share of the nodes: their distance at the centre is `width/strength` steps.
    pub strength: f64,
}

impl Centre {
    /// A change over the length `width`, resolved by nodes whose distance grows in proportion to
    /// the distance from the centre.
    pub fn turn(at: f64, width: f64) -> Self {
        Self {
            at,
            width,
            strength: 1.0,
        }
    }

    /// A Gaussian bump of standard deviation `sd`: nodes at a distance of `2 sd` steps as far as
    /// the bump is seen (six deviations), growing beyond.
    pub fn bump(at: f64, sd: f64) -> Self {
        Self {
            at,
            width: 6.0 * sd,
            strength: 3.0,
        }
    }
}

/// A node and its weight.
pub(super) type Node = (f64, f64);

/// The rule on `[from, to]`, with a node at `anchor`: steps of `step` in `t`.
pub(super) fn graded(
    centres: &[Centre],
    coarse: f64,
    anchor: f64,
    (from, to): (f64, f64),
    step: f64,
) -> Vec<Node> {
    let density = |x: f64| {
        1.0 / coarse
            + centres
                .iter()
                .map(|c| c.strength / (x - c.at).hypot(c.width))
                .sum::<f64>()
    };
    let t = |x: f64| {
        x / coarse
            + centres
                .iter()
                .map(|c| c.strength * ((x - c.at) / c.width).asinh())
                .sum::<f64>()
    };
    // The next node from `x` at a distance `dt` in t, by Newton's method: t' changes by at most a
    // factor e^|dt| in between, so the first guess is already close.
    let next = |x: f64, dt: f64| {
        let goal = t(x) + dt;
        let mut y = x + dt / density(x);
        for _ in 0..NEWTON {
            let change = (goal - t(y)) / density(y);
            y += change;
            if change.abs() * density(y) < 1e-12 {
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

/// Newton's method doubles its digits: from the first guess, six steps are more than enough.
const NEWTON: usize = 6;
