//! The matched average of a layer.

use std::f64::consts::PI;

use onsager_scalar::activation::{Activation, Parity, Piece};
use onsager_scalar::special::normal_density;
use onsager_scalar::{Channels, Precisions};

use super::error::{AverageError, finite, not_negative, positive};
use super::grid::{Centre, Node, graded};

/// What a layer answers on average, at one precision from above and one overlap from below.
///
/// ```
/// use onsager_replica::average::layer;
/// use onsager_scalar::activation::PiecewiseLinear;
/// let x = layer(&PiecewiseLinear::linear(), 2.0, 0.5, 0.5)?;
/// assert!((x.mmse - 0.25).abs() < 1e-9); // V/(1 + aV)
/// assert!((x.score - 1.0).abs() < 1e-9); // a/(1 + aV)
/// # Ok::<(), onsager_replica::average::AverageError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LayerAverage {
    /// `E v²`, the overlap of the variable above the layer.
    pub overlap: f64,
    /// `E c`, the mean squared error of that variable.
    pub mmse: f64,
    /// `E g²`, the precision that one message sends down.
    pub score: f64,
    /// `E Var h`, the mean squared error of the field.
    pub field_mmse: f64,
    /// `Ψ_out = E ln Z`, in nats per component.
    pub potential: f64,
    /// Self-check: the largest of `|E 1 - 1|`, `|overlap + mmse - ρ|/ρ` and
    /// `|V score - (1 - field_mmse/V)|`, all exactly 0 in theory. It sees rounding and missing
    /// mass; it is smaller than the error of a single average when the rule is too coarse.
    pub error: f64,
}

/// Averages behind a layer `x = φ(h)` of Bayes-optimal messages.
///
/// `ω ~ N(0, q)`, `h ~ N(ω, V)` and `b = a φ(h) + √a n`: the posterior mean and variance of `x`
/// are `v` and `c`, and `g = (E h - ω)/V`. The integral over `h` is in closed form, with
/// `b = √a β` the law of `β` given `ω` has the density `Z(√a β, a, ω, V) N(β; 0, 1)`.
///
/// - **Arguments**: precision `a >= 0`; overlap `q >= 0` and variance `v > 0` of the field, whose
///   prior variance is their sum. They are separate because either may be tiny.
/// - **Identities**: `∂Ψ/∂a = overlap/2`; `∂Ψ/∂q = score/2` at fixed `q + V`.
/// - **Accuracy**: relative error of every average below 1e-9 for `aV` in `[1e-6, 1e8]` and
///   `q/(q + V)` in `[0, 1 - 1e-6]`, mean squared errors down to 1e-12 ρ included; below
///   that 1e-20 ρ absolute. Largest found against a rule 2.7 times as fine: 6e-10 (sign), 2e-10 (relu).
///   The rounding of `β` adds about `1e-16 √(aρ)`. The potential loses `1e-16 aρ`.
/// - **Pieces**: nodes and cuts follow [`Activation::pieces`]; a function that is not affine on
///   them must stay much closer than `1/√a` to them, or mass is missed, which `error` reports.
/// - **Errors**: an argument outside its range, or averages that are not finite.
/// - **Source**: the scalar channel of multi-layer message passing, Manoel, Krzakala, Mézard and
///   Zdeborová (2017).
///
/// ```
/// use onsager_replica::average::layer;
/// use onsager_scalar::activation::PiecewiseLinear;
/// let blind = layer(&PiecewiseLinear::sign(), 0.0, 0.0, 1.0)?;
/// assert_eq!((blind.overlap, blind.score), (0.0, 0.0));
/// assert!((blind.mmse - 1.0).abs() < 1e-15);
/// # Ok::<(), onsager_replica::average::AverageError>(())
/// ```
pub fn layer(phi: &dyn Activation, a: f64, q: f64, v: f64) -> Result<LayerAverage, AverageError> {
    with_rule(phi, a, q, v, RULE)
}

/// Two numbers that decide the accuracy of a rule.
#[derive(Debug, Clone, Copy)]
struct Rule {
    /// Step in the rule's own variable.
    step: f64,
    /// Radius of the ball kept of all Gaussians together, in standard deviations.
    reach: f64,
}

/// The largest step with errors below 1e-9; outside the ball lies less than 1e-18.
const RULE: Rule = Rule {
    step: 0.4,
    reach: 9.3,
};

fn with_rule(
    phi: &dyn Activation,
    a: f64,
    q: f64,
    v: f64,
    rule: Rule,
) -> Result<LayerAverage, AverageError> {
    not_negative("precision", a)?;
    not_negative("overlap", q)?;
    positive("field variance", v)?;
    let mut inner = Inner::new(phi, a, v, rule);
    for (eta, weight) in fields(phi, q, v, rule) {
        inner.add(eta, q.sqrt() * eta, weight);
    }
    let [mass, overlap, mmse, score, field_mmse, potential] = inner.sum;
    let rho = phi.second_moment(q + v);
    let checks = [
        mass - 1.0,
        (overlap + mmse - rho) / rho,
        v * score - (1.0 - field_mmse / v),
    ];
    // A sum passes on NaN, a maximum would not.
    finite(
        "average of the layer",
        checks.iter().sum::<f64>() + potential,
    )?;
    Ok(LayerAverage {
        overlap,
        mmse,
        score,
        field_mmse,
        potential,
        error: checks.iter().fold(0.0, |m, x| x.abs().max(m)),
    })
}

/// Longest distance between nodes over a Gaussian, in standard deviations and steps.
const COARSE: f64 = 2.0;

/// Pieces compete within so many standard deviations of a break; at the end one of them has
/// odds of 1e-12, and what is left there is smooth on the longer scale.
const TAIL: f64 = 7.0;

/// Nodes per step and `√V` of the field near a break, where the odds of the pieces turn.
const BREAK: f64 = 1.2;

/// From this `β²` on, `ln Z - β²/2` would lose more than 1e-11: the likelihood is computed apart.
const CANCELLING: f64 = 1e5;

/// Values of `η = ω/√q ~ N(0, 1)` with their weights.
fn fields(phi: &dyn Activation, q: f64, v: f64, rule: Rule) -> Vec<Node> {
    if q == 0.0 {
        return vec![(0.0, 1.0)];
    }
    let width = (v / q).sqrt();
    let mut centres = vec![];
    turns(phi.pieces(), q.sqrt(), width, &mut centres);
    // With a parity, (ω, β) and (-ω, ±β) weigh the same: twice the half line.
    let folded = phi.parity() != Parity::None;
    let from = if folded { 0.0 } else { -rule.reach };
    let mut nodes = graded(&centres, COARSE, 0.0, (from, rule.reach), rule.step);
    for (eta, weight) in &mut nodes {
        *weight *= normal_density(*eta);
        if folded && *eta > 0.0 {
            *weight *= 2.0;
        }
    }
    nodes
}

/// Where the odds of the pieces turn as the field `ω = scale · η` moves, over `width` in η.
pub(super) fn turns(pieces: &[Piece], scale: f64, width: f64, centres: &mut Vec<Centre>) {
    for (below, above) in breaks(pieces) {
        let at = below.upper / scale;
        centres.push(Centre {
            at,
            radius: TAIL * width,
            density: (BREAK / width - 1.0 / COARSE).max(0.0),
        });
        if below.slope * above.slope < 0.0 {
            // A fold: x fixes |h - break| = t, and the odds exp(2 t ω/V) of its sides turn faster
            // in ω the larger t is, all near ω = break.
            centres.push(Centre {
                at,
                radius: 1.5 * width,
                density: 2.0 / width,
            });
        }
    }
}

/// Neighbouring pieces.
fn breaks(pieces: &[Piece]) -> impl Iterator<Item = (&Piece, &Piece)> {
    pieces.iter().zip(&pieces[1..])
}

/// The integral over `β` at given `ω`, and the sums over all `ω` so far.
struct Inner<'a> {
    phi: &'a dyn Activation,
    a: f64,
    root: f64,
    v: f64,
    rule: Rule,
    /// Nodes for the runs of competing pieces (first, last) met so far.
    runs: Vec<((usize, usize), Vec<Node>)>,
    /// Intervals of `β` that carry mass at the present `ω`.
    spans: Vec<(f64, f64)>,
    /// Nodes in `β` at the present `ω`, with the weights of both integrals, and their channels.
    nodes: Vec<Node>,
    fields: Vec<f64>,
    omegas: Vec<f64>,
    channels: Channels,
    /// Averages of `[1, v², c, g², Var h, ln Z]`.
    sum: [f64; 6],
}

impl<'a> Inner<'a> {
    fn new(phi: &'a dyn Activation, a: f64, v: f64, rule: Rule) -> Self {
        Self {
            phi,
            a,
            root: a.sqrt(),
            v,
            rule,
            runs: vec![],
            spans: vec![],
            nodes: vec![],
            fields: vec![],
            omegas: vec![],
            channels: Channels::default(),
            sum: [0.0; 6],
        }
    }

    fn add(&mut self, eta: f64, omega: f64, weight: f64) {
        self.nodes.clear();
        if self.a == 0.0 {
            // Nothing is observed: Z = 1, and the integral over the noise is 1.
            self.nodes.push((0.0, weight * (2.0 * PI).sqrt()));
        } else {
            match self.competitors(eta, omega) {
                (first, last) if first == last => self.alone(first, omega, weight),
                run => self.together(run, weight),
            }
        }
        self.sum_up(omega);
    }

    /// Several pieces: nodes that depend on which they are, where they carry mass.
    fn together(&mut self, (first, last): (usize, usize), weight: f64) {
        let run = self.runs.iter().position(|r| r.0 == (first, last));
        let run = run.unwrap_or_else(|| {
            let pieces = &self.phi.pieces()[first..=last];
            let nodes = competition(pieces, self.a, self.v, self.rule);
            self.runs.push(((first, last), nodes));
            self.runs.len() - 1
        });
        let spans = &self.spans;
        let inside = |beta: f64| spans.iter().any(|s| s.0 < beta && beta < s.1);
        let nodes = self.runs[run].1.iter().filter(|(beta, _)| inside(*beta));
        self.nodes
            .extend(nodes.map(|(beta, w)| (*beta, weight * w)));
    }

    /// First and last piece that `h` may lie in, and the intervals where each puts `β`.
    fn competitors(&mut self, eta: f64, omega: f64) -> (usize, usize) {
        // η, h and the noise share one budget of squared standard deviations; the floor keeps
        // the last step of the rule in η, which may end just outside the ball.
        let budget = (self.rule.reach.powi(2) - eta * eta).max(1.0);
        let sd = self.v.sqrt();
        let (low, high) = (omega - budget.sqrt() * sd, omega + budget.sqrt() * sd);
        let (mut first, mut last) = (usize::MAX, 0);
        self.spans.clear();
        for (i, p) in self.phi.pieces().iter().enumerate() {
            let away = (p.lower - omega).max(omega - p.upper).max(0.0) / sd;
            if away * away >= budget {
                continue;
            }
            first = first.min(i);
            last = i;
            let reach = (budget - away * away).sqrt();
            let spread = reach * deviation(p, self.a, self.v);
            let centre = self.root * p.at(omega);
            let (x, y) = (
                self.root * p.at(p.lower.max(low)),
                self.root * p.at(p.upper.min(high)),
            );
            self.spans.push((
                (centre - spread).max(x.min(y) - reach),
                (centre + spread).min(x.max(y) + reach),
            ));
        }
        (first, last)
    }

    /// One piece only: `β ~ N(√a φ(ω), 1 + a φ'² V)`, equal steps.
    fn alone(&mut self, piece: usize, omega: f64, weight: f64) {
        let p = self.phi.pieces()[piece];
        let step = self.rule.step * COARSE * deviation(&p, self.a, self.v);
        let (from, to) = self.spans[0];
        let count = ((to - from) / step) as usize + 1;
        let middle = 0.5 * (count as f64 - 1.0);
        for k in 0..count {
            let beta = self.root * p.at(omega) + (k as f64 - middle) * step;
            self.nodes.push((beta, weight * step));
        }
    }

    /// Adds the nodes at the present `ω` to the averages.
    fn sum_up(&mut self, omega: f64) {
        self.fields.clear();
        self.fields
            .extend(self.nodes.iter().map(|n| self.root * n.0));
        self.omegas.clear();
        self.omegas.resize(self.nodes.len(), omega);
        let (a, v) = (Precisions::Shared(self.a), Precisions::Shared(self.v));
        let c = &mut self.channels;
        self.phi.channels_into(a, &self.fields, &self.omegas, v, c);
        for (i, &(beta, weight)) in self.nodes.iter().enumerate() {
            let log = if beta * beta > CANCELLING {
                self.phi
                    .log_likelihood(self.a, beta / self.root, omega, self.v)
            } else {
                c.log_partition[i] - 0.5 * beta * beta
            };
            let weight = weight * log.exp() / (2.0 * PI).sqrt();
            let values = [
                1.0,
                c.output_mean[i] * c.output_mean[i],
                c.output_variance[i],
                c.score[i] * c.score[i],
                c.input_variance[i],
                c.log_partition[i],
            ];
            for (sum, value) in self.sum.iter_mut().zip(values) {
                *sum += weight * value;
            }
        }
    }
}

/// Standard deviation of `β` when `h ~ N(ω, V)` stays on one piece.
pub(super) fn deviation(p: &Piece, a: f64, v: f64) -> f64 {
    (1.0 + a * p.slope * p.slope * v).sqrt()
}

/// Nodes in `β` for all `ω` from which each of several pieces is within reach.
fn competition(pieces: &[Piece], a: f64, v: f64, rule: Rule) -> Vec<Node> {
    let root = a.sqrt();
    let mut coarse = f64::INFINITY;
    let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
    // ω is within reach of a break, and h within reach of ω.
    let reach = 2.0 * rule.reach * v.sqrt();
    let low = pieces[0].upper - reach;
    let high = pieces[pieces.len() - 1].lower + reach;
    for p in pieces {
        if p.slope != 0.0 {
            coarse = coarse.min(COARSE * deviation(p, a, v));
        }
        for h in [p.lower.max(low), p.upper.min(high)] {
            from = from.min(root * p.at(h) - rule.reach);
            to = to.max(root * p.at(h) + rule.reach);
        }
    }
    let mut centres = vec![];
    places(pieces, a, (root, root), v, 1.0, &mut centres);
    graded(&centres, coarse, centres[0].at, (from, to), rule.step)
}

/// Places in `β` where pieces have their ends or change places. One unit of the message is
/// `unit` in `β`; the value `x` shows at `root · x` units, and the odds of two values `Δ` apart
/// change by `exp(odds Δ)` in one.
pub(super) fn places(
    pieces: &[Piece],
    a: f64,
    (root, odds): (f64, f64),
    v: f64,
    unit: f64,
    centres: &mut Vec<Centre>,
) {
    let mut add = |at: f64, radius: f64, density: f64| {
        centres.push(Centre {
            at: unit * at,
            radius: unit * radius,
            density: density / unit,
        });
    };
    for p in pieces.iter().filter(|p| p.slope == 0.0) {
        add(root * p.offset, TAIL, 1.0 / COARSE);
    }
    for (below, above) in breaks(pieces) {
        // A steep piece beats a flat one, in proportion to exp(β²/2)/√(1 + a s² V), around this
        // β, where the logarithm of the odds has this slope.
        let steep = deviation(below, a, v).max(deviation(above, a, v));
        let turn = 0.4 * (2.0 * steep.ln()).sqrt();
        let (l, r) = (below.at(below.upper), above.at(above.lower));
        if l == r {
            // A flat neighbour has brought its own nodes.
            let flat = below.slope * above.slope == 0.0;
            add(root * l, TAIL, turn.max(if flat { 0.4 } else { 0.8 }));
        } else {
            for (p, value) in [(below, l), (above, r)] {
                if p.slope != 0.0 {
                    add(root * value, TAIL, turn.max(0.8));
                }
            }
        }
    }
    for (i, p) in pieces.iter().enumerate() {
        for (k, r) in pieces.iter().enumerate().skip(i + 1) {
            let flat = p.slope == 0.0 && r.slope == 0.0;
            let (l, r) = (p.at(p.upper), r.at(r.lower));
            let jump = odds * (r - l).abs();
            if jump > 0.0 && (k == i + 1 || flat) {
                // The odds of two values, in proportion to exp(jump β), turn over 1/jump, and
                // start from up to exp(TAIL²/2).
                add(root * 0.5 * (l + r), 0.5 * TAIL * TAIL / jump, 0.5 * jump);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use onsager_scalar::activation::PiecewiseLinear;

    /// The table in the documentation of [`layer`].
    #[test]
    fn a_finer_rule_changes_nothing() {
        let finer = Rule {
            step: 0.15,
            reach: 10.5,
        };
        for (name, phi) in [
            ("sign", PiecewiseLinear::sign()),
            ("relu", PiecewiseLinear::relu()),
        ] {
            let mut worst = [0.0f64; 5];
            for q in [0.0, 1e-6, 1e-3, 0.3, 0.6, 0.9, 0.99, 0.999, 0.999_999] {
                for av in [1e-6, 1e-3, 0.1, 1.0, 10.0, 30.0, 100.0, 1e3, 1e4, 1e6, 1e8] {
                    let v = 1.0 - q;
                    let a = av / v;
                    let x = with_rule(&phi, a, q, v, RULE).unwrap();
                    let y = with_rule(&phi, a, q, v, finer).unwrap();
                    let rho = y.overlap + y.mmse;
                    let relative = |x: f64, y: f64| (x - y).abs() / y;
                    let errors = [
                        relative(x.overlap, y.overlap),
                        if y.mmse > 1e-12 {
                            relative(x.mmse, y.mmse)
                        } else {
                            (x.mmse - y.mmse).abs() / 1e-11
                        },
                        relative(x.score, y.score),
                        relative(x.field_mmse, y.field_mmse),
                        (x.potential - y.potential).abs() / (a * rho),
                    ];
                    for (w, e) in worst.iter_mut().zip(errors) {
                        *w = w.max(e);
                    }
                    let error = errors.iter().fold(0.0f64, |m, e| m.max(*e));
                    assert!(error < 1e-9, "{name} q = {q}, aV = {av}: {errors:?}");
                }
            }
            println!("{name}: {worst:?}");
        }
    }
}
