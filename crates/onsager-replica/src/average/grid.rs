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
    /// `t = asinh(y/r)`, the growing distance, plus `d (√((y+r)² + s²) - √((y-r)² + s²))/2`, the
    /// plateau with shoulders of width s, written without the difference; and its slope.
    ///
    /// Nodes need not be better than 1e-10 of a step: plain roots and a logarithm do, and all
    /// averages are made of these numbers.
    fn t_and_slope(&self, x: f64) -> (f64, f64) {
        let (y, r) = (x - self.at, self.radius);
        let (e, f, soft) = (y + r, y - r, (SHOULDER * r).powi(2));
        let (right, left) = ((e * e + soft).sqrt(), (f * f + soft).sqrt());
        let root = (y * y + r * r).sqrt();
        // e/right - f/left; on one side of the plateau both are nearly 1, and (e left)² - (f right)²
        // = 4 y r s² says by how much they differ.
        let flank = if e * f > 0.0 {
            4.0 * y * r * soft / (right * left * (e * left + f * right))
        } else {
            e / right - f / left
        };
        let growing = ((y.abs() + root) / r).ln().copysign(y);
        (
            growing + 2.0 * self.density * r * (y / (right + left)),
            1.0 / root + 0.5 * self.density * flank,
        )
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
    ends: (f64, f64),
    step: f64,
) -> Vec<Node> {
    graded_on(centres, coarse, anchor, &[ends], step)
}

/// The same rule without the nodes between the increasing intervals `parts`, where nothing is.
pub(super) fn graded_on(
    centres: &[Centre],
    coarse: f64,
    anchor: f64,
    parts: &[(f64, f64)],
    step: f64,
) -> Vec<Node> {
    let at = |x: f64| {
        let sum = |(t, d): (f64, f64), (t1, d1): (f64, f64)| (t + t1, d + d1);
        let all = centres.iter().map(|c| c.t_and_slope(x));
        all.fold((x / coarse, 1.0 / coarse), sum)
    };
    // The node at `goal` in t from a place nearby, by Newton's method.
    let next = |mut x: f64, goal: f64| {
        let mut d = f64::NAN;
        for _ in 0..NEWTON {
            let (t, here) = at(x);
            let change = goal - t;
            (x, d) = (x + change / here, here);
            if change.abs() < DONE.max(4.0 * f64::EPSILON * t.abs()) {
                break;
            }
        }
        (x, d)
    };
    // A step of the walk from its last node: by fourth differences, where they are small, or by one density.
    let ahead = |nodes: &[(f64, f64, f64)], (x, d): (f64, f64), dt: f64| {
        let plain = dt / d;
        let smooth = nodes.last_chunk::<5>().map(|last| {
            let terms = last.iter().zip(EXTRAPOLATION);
            terms.map(|(n, c)| c * (n.0 - x)).sum()
        });
        let is_smooth = |s: &f64| (s - plain).abs() < 0.5 * plain.abs();
        x + smooth.filter(is_smooth).unwrap_or(plain)
    };
    // Where the nodes end or, between two parts, go on: beyond a node in neither.
    let onwards = |x: f64, up: bool| {
        if up {
            let beyond = parts.iter().find(|(_, to)| x < *to);
            beyond.map(|(from, _)| from.max(x))
        } else {
            let beyond = parts.iter().rev().find(|(from, _)| x > *from);
            beyond.map(|(_, to)| to.min(x))
        }
    };
    // Places, densities, and by how much rounding has moved each in t.
    let walk = |step: f64| {
        let mut nodes = vec![];
        let (t, d) = at(anchor);
        let (mut node, mut steps) = ((anchor, d), 0.0);
        loop {
            let (x, d) = node;
            // Beside a place that is far from zero on its own scale.
            let is_moved = x.abs() * d * f64::EPSILON > CLOSE;
            let moved = is_moved.then(|| at(x));
            let miss = |(here, _)| here - (t + steps * step);
            nodes.push((x, moved.map_or(d, |m| m.1), moved.map_or(0.0, miss)));
            match onwards(x, step > 0.0) {
                None => return nodes,
                Some(y) if y == x => {
                    steps += 1.0;
                    node = next(ahead(&nodes, node, step), t + steps * step);
                    // A plateau so narrow that doubles do not resolve it is passed in one of them.
                    let behind = || (t + steps * step - at(x).0) / step;
                    if node.0 == x && behind() > STUCK {
                        let beyond = if step > 0.0 {
                            x.next_up()
                        } else {
                            x.next_down()
                        };
                        let (there, d) = at(beyond);
                        steps = ((there - t) / step).floor().max(steps);
                        node = (beyond, d);
                    }
                }
                Some(y) => {
                    // The last node before the next part, or one further where that is this one.
                    let (there, d) = at(y);
                    steps = ((there - t) / step).floor().max(steps + 1.0);
                    let goal = t + steps * step;
                    node = next(y + (goal - there) / d, goal);
                }
            }
        }
    };
    // Downwards the node beyond the end is kept, upwards it is not; both begin at the anchor.
    let mut nodes = walk(-step);
    nodes.reverse();
    nodes.pop();
    nodes.extend(walk(step));
    nodes.pop();
    let miss = |i: Option<usize>| i.and_then(|i| nodes.get(i)).map_or(0.0, |n| n.2);
    let weight = |(i, &(x, d, _)): (usize, &(f64, f64, f64))| {
        let stretch = |(c, j): (&f64, usize)| c * (miss(Some(i + j)) - miss(i.checked_sub(j)));
        let shift: f64 = DERIVATIVE.iter().zip(1..).map(stretch).sum();
        (x, (step + shift) / d)
    };
    nodes.iter().enumerate().map(weight).collect()
}

/// How much denser than every centre asks nodes are on its plateau, because others overlap it: steps may be longer
/// by as much.
pub(super) fn crowding(centres: &[Centre]) -> f64 {
    let slope = |x: f64| centres.iter().map(|c| c.t_and_slope(x).1).sum::<f64>();
    let plateaus = centres.iter().flat_map(|c| {
        [-1.0, 0.0, 1.0].map(|side| {
            let x = c.at + side * c.radius;
            slope(x) / c.t_and_slope(x).1
        })
    });
    plateaus.fold(f64::INFINITY, f64::min)
}

/// Differences of the eighth order. An integrand at places moved by `ε` in `t` differs by `ε` times its
/// derivative; summed by parts, the derivative of `ε` is what the weights lack.
const DERIVATIVE: [f64; 4] = [0.8, -0.2, 4.0 / 105.0, -1.0 / 280.0];

/// The polynomial of the fourth degree through five nodes, at the next one.
const EXTRAPOLATION: [f64; 5] = [1.0, -5.0, 10.0, -10.0, 5.0];

/// Steps that a node may lag behind, until the rounding of its place lets it move.
const STUCK: f64 = 8.0;

/// Newton's method doubles its digits: from the first guess eight steps are more than enough.
const NEWTON: usize = 8;
/// After a smaller change in `t`, or one of its rounding, the density, which is that of the place before, is exact to
/// as many digits.
const DONE: f64 = 1e-12;
/// Rounding of a place by more, in `t`, is made up for.
const CLOSE: f64 = 1e-11;

#[cfg(test)]
mod tests {
    use super::*;

    /// A plateau far narrower than the spacing of doubles around it does not hold the walk up.
    #[test]
    fn what_doubles_do_not_resolve_is_passed() {
        let centre = |at: f64, width: f64| Centre {
            at,
            radius: width,
            density: 12.0 / width,
        };
        let centres = [centre(0.0, 7.0), centre(3.7e16, 1e-15)];
        let nodes = graded(&centres, 1e16, 0.0, (-10.0, 5e16), 0.4);
        assert!(nodes.len() < 5000, "{}", nodes.len());
        assert!(nodes.iter().all(|n| n.0.is_finite() && n.1.is_finite()));
    }

    /// The same nodes, to rounding, where something is, and a few around it.
    #[test]
    fn gaps_lose_no_node() {
        let centre = |at| Centre {
            at,
            radius: 3.0,
            density: 0.5,
        };
        let centres = [centre(0.0), centre(1e3)];
        let parts = [(-10.0, 12.0), (500.0, 510.0), (990.0, 1010.0)];
        let all = graded(&centres, 2.0, 1e3, (-10.0, 1010.0), 0.3);
        let some = graded_on(&centres, 2.0, 1e3, &parts, 0.3);
        assert!(3 * some.len() < all.len());
        assert!(some.windows(2).all(|w| w[0].0 < w[1].0));
        for &(x, w) in all
            .iter()
            .filter(|n| parts.iter().any(|p| p.0 < n.0 && n.0 < p.1))
        {
            let twin = some.iter().find(|n| (n.0 - x).abs() < 1e-9);
            assert!(twin.is_some_and(|n| (n.1 / w - 1.0).abs() < 1e-9), "{x}");
        }
    }
}
