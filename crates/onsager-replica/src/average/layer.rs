//! The matched average of a layer.

use std::f64::consts::PI;

use onsager_scalar::activation::{Activation, Noise, Parity, Piece};
use onsager_scalar::special::normal_density;
use onsager_scalar::{Channels, Precisions};

use super::error::{AverageError, finite, not_negative, positive};
use super::grid::{Centre, Node, graded, graded_on};
use super::smooth::{self, Bent};

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
    /// `E (∂g/∂ω)²`: where nothing is known of a field whose sign cannot be told, what a first overlap
    /// makes of the score.
    pub growth: f64,
    /// `Ψ_out = E ln Z`, in nats per component.
    pub potential: f64,
    /// `E [ln Z - b²/(2a)]`, of which `Ψ_out` is the sum with `(aρ + 1)/2`, without the rounding of
    /// that: the logarithm of the likelihood of `b/a`, but for its norm.
    pub likelihood: f64,
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
///   `q/(q + V)` in `[0, 1 - 1e-6]`, and for smaller `a`, mean squared errors down to 1e-30 ρ included behind
///   jumps and 1e-12 ρ elsewhere; below that 1e-20 ρ absolute. Largest found against a rule 2.7 times as fine: 7e-10 (sign), 2e-10 (relu), and for
///   other functions of up to three pieces 1e-9, `aV` in `[1e-3, 1e4]` and `q/(q + V)` in
///   `[1e-3, 0.999]` (tanh, sigmoid, erf: 2e-10). Where several pieces take the same values, 1e-8.
///   The rounding of `β` adds about `1e-16 √(aρ)`. The potential loses `1e-16 aρ`.
/// - **Pieces**: nodes and cuts follow [`Activation::pieces`]; a function that is not affine on
///   them must stay much closer than `1/√a` to them, or mass is missed, which `error` reports.
/// - **Errors**: an argument outside its range, a precision beyond `1e20/E φ²` behind a function that bends
///   everywhere within the field, or averages that are not finite.
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
    match phi.noise() {
        Some((inner, noise)) => between_noises(inner, noise, a, q, v),
        None if 0.0 < a && a * phi.second_moment(q + v) < FAINT => faint(phi, a, q, v),
        None => {
            let x = with_rule(phi, a, q, v, RULE)?;
            let rho = phi.second_moment(q + v);
            let is_rare = |x: &LayerAverage| x.mmse < RARE * rho;
            if phi.is_discontinuous() && is_rare(&x) && !is_rare(&with_rule(phi, 0.0, q, v, RULE)?)
            {
                return with_rule(phi, a, q, v, FAR);
            }
            if a == 0.0 || a * rho > WEAK {
                return Ok(x);
            }
            // Ψ' = overlap/2, whose next power adds a relative `aρ` to what is not linear.
            let none = with_rule(phi, 0.0, q, v, RULE)?.overlap;
            let potential = 0.25 * a * (none + x.overlap);
            Ok(LayerAverage {
                potential,
                likelihood: potential - 0.5 * (a * rho + 1.0),
                ..x
            })
        }
    }
}

/// Errors of a smaller part of `E φ²` that a message leaves behind a jump are those of rarer messages than
/// [`RULE`] reaches.
const RARE: f64 = 1e-12;

/// Messages of a smaller `a E φ²` tell so little that the potential would be lost in the rounding of 1.
const WEAK: f64 = 1e-6;

/// Messages of a smaller `a E φ²` are continued to zero: what goes down is of the order of `√(aV)` in
/// units whose rounding is that of 1, while the next power of `a` is no more than this.
const FAINT: f64 = 1e-12;

/// Fields of a smaller variance, in units of the square of the length over which a slope changes, see
/// a straight line; corrections are of this order.
const STRAIGHT: f64 = 1e-12;

/// The averages at a faint message, by their powers of `a` between no message and `FAINT`.
fn faint(phi: &dyn Activation, a: f64, q: f64, v: f64) -> Result<LayerAverage, AverageError> {
    let rho = phi.second_moment(q + v);
    let most = FAINT / rho;
    let at = |a| with_rule(phi, a, q, v, RULE);
    let (none, half, x) = (at(0.0)?, at(0.5 * most)?, at(most)?);
    let t = a / most;
    let gained = t * (x.overlap - none.overlap);
    let score = t * x.score;
    // Ψ' = overlap/2.
    let potential = 0.5 * a * (none.overlap + 0.5 * gained);
    Ok(LayerAverage {
        overlap: none.overlap + gained,
        mmse: none.mmse - gained,
        score,
        field_mmse: v * (1.0 - v * score),
        // Of order a where φ bends on average, and a² elsewhere.
        growth: t * (4.0 * half.growth - x.growth) + t * t * (2.0 * x.growth - 4.0 * half.growth),
        potential,
        likelihood: potential - 0.5 * (a * rho + 1.0),
        error: x.error,
    })
}

/// `x = f + √after n`, `f = φ(h')`, `h' = h + √before n'`: the averages of `φ` behind the message
/// that its own output receives, `a/c` with `c = 1 + a after`, and `x̂ = (f̂ + b after)/c`.
fn between_noises(
    phi: &dyn Activation,
    Noise { before, after }: Noise,
    a: f64,
    q: f64,
    v: f64,
) -> Result<LayerAverage, AverageError> {
    not_negative("precision", a)?;
    positive("field variance", v)?;
    let (wide, c) = (v + before, 1.0 + a * after);
    let x = layer(phi, a / c, q, wide)?;
    let rho = phi.second_moment(q + wide);
    let (t, share) = (a * after, v / wide);
    Ok(LayerAverage {
        // E f̂ b = E f b = aρ and E b² = a²(ρ + after) + a.
        overlap: (x.overlap + t * (2.0 * rho + t * (rho + after) + after)) / (c * c),
        mmse: (after + x.mmse / c) / c,
        score: x.score,
        growth: x.growth,
        field_mmse: share * (before + share * x.field_mmse),
        likelihood: x.likelihood - 0.5 * t.ln_1p(),
        potential: x.potential + 0.5 * (t * (a * (rho + after) + 1.0) / c - t.ln_1p()),
        error: x.error,
    })
}

/// Two numbers that decide the accuracy of a rule.
#[derive(Debug, Clone, Copy)]
pub(super) struct Rule {
    /// Step in the rule's own variable.
    step: f64,
    /// Radius of the ball kept of all Gaussians together, in standard deviations.
    reach: f64,
}

/// The largest step with errors below 1e-9; outside the ball lies less than 1e-18.
pub(super) const RULE: Rule = Rule {
    step: 0.4,
    reach: 9.3,
};

/// For errors down to 1e-30: outside the ball lies less than 1e-42.
const FAR: Rule = Rule {
    step: 0.35,
    reach: 14.0,
};

fn with_rule(
    phi: &dyn Activation,
    a: f64,
    q: f64,
    v: f64,
    rule: Rule,
) -> Result<LayerAverage, AverageError> {
    let is_narrow = |bend: f64| v < STRAIGHT * bend * bend;
    summed(phi, (a, q, v), rule, phi.bend().is_some_and(is_narrow))
}

fn summed(
    phi: &dyn Activation,
    (a, q, v): (f64, f64, f64),
    rule: Rule,
    is_straight: bool,
) -> Result<LayerAverage, AverageError> {
    not_negative("precision", a)?;
    not_negative("overlap", q)?;
    positive("field variance", v)?;
    let mut inner = Inner::new(phi, a, v, rule);
    inner.is_straight = is_straight;
    if let Some(bend) = phi.bend().filter(|_| !is_straight) {
        let reach = rule.reach * (q + v).sqrt();
        let bound = FINEST / phi.second_moment(q + v);
        if a > bound {
            return Err(AverageError::TooLarge {
                quantity: "precision behind a function that bends everywhere",
                bound,
                value: a,
            });
        }
        let finer = RULE.step / rule.step;
        inner.bent = Some(Bent::new(phi, bend, (a, v), reach, finer));
    }
    for (omega, weight) in fields((phi.pieces(), phi.bend(), phi.parity()), q, v, rule) {
        let eta = if q > 0.0 { omega / q.sqrt() } else { 0.0 };
        inner.add(eta, omega, weight);
    }
    let [
        mass,
        overlap,
        mmse,
        score,
        field_mmse,
        growth,
        potential,
        likelihood,
    ] = inner.sum;
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
        growth,
        potential,
        likelihood,
        error: checks.iter().fold(0.0, |m, x| x.abs().max(m)),
    })
}

/// Precision, in units of the inverse of `E φ²`, up to which a function that bends everywhere keeps digits: at
/// its root the rounding of `β` has reached 1e-6.
pub(crate) const FINEST: f64 = 1e20;

/// Longest distance between nodes over a Gaussian, in standard deviations and steps.
const COARSE: f64 = 2.0;

/// Pieces compete within so many standard deviations of a break; at the end one of them has
/// odds of 1e-12, and what is left there is smooth on the longer scale.
const TAIL: f64 = 7.0;

/// Nodes per step and `√V` of the field near a break, where the odds of the pieces turn.
const BREAK: f64 = 1.2;

/// From this `β` on, `ln Z - β²/2` would lose more than 1e-11: the likelihood is computed apart.
const CANCELLING: f64 = 300.0;

/// Values of `ω ~ N(0, q)` with their weights, behind a function or an output of these pieces, bend and
/// parity.
pub(super) fn fields(
    (pieces, bend, parity): (&[Piece], Option<f64>, Parity),
    q: f64,
    v: f64,
    rule: Rule,
) -> Vec<Node> {
    if q == 0.0 {
        return vec![(0.0, 1.0)];
    }
    let sd = q.sqrt();
    let mut centres = vec![];
    let mut coarse = COARSE * sd;
    match bend {
        None => turns(pieces, 1.0, v.sqrt(), coarse, &mut centres),
        // No place is better than another.
        Some(bend) => {
            let length = (v + bend * bend).sqrt();
            coarse = coarse.min(smooth::FIELD * length / RULE.step);
        }
    }
    // With a parity, (ω, β) and (-ω, ±β) weigh the same: twice the half line.
    let folded = parity != Parity::None;
    let reach = rule.reach * sd;
    let from = if folded { 0.0 } else { -reach };
    let mut nodes = graded(&centres, coarse, 0.0, (from, reach), rule.step);
    for (omega, weight) in &mut nodes {
        *weight *= normal_density(*omega / sd) / sd;
        if folded && *omega > 0.0 {
            *weight *= 2.0;
        }
    }
    nodes
}

/// Where the odds of the pieces turn as the field `ω = scale · x` moves, over `width` in `x`, where the
/// nodes lie at most `coarse` apart.
pub(super) fn turns(
    pieces: &[Piece],
    scale: f64,
    width: f64,
    coarse: f64,
    centres: &mut Vec<Centre>,
) {
    let odds = breaks(pieces).map(|(below, _)| Centre {
        at: below.upper / scale,
        radius: TAIL * width,
        density: (BREAK / width - 1.0 / coarse).max(0.0),
    });
    centres.extend(merged(odds.collect()));
    for (i, p) in pieces.iter().enumerate() {
        for r in &pieces[i + 1..] {
            // Standard deviations of h between the two.
            let gap = (r.lower - p.upper) / (scale.abs() * width);
            if !share_values(p, r) || gap > 2.0 * TAIL {
                continue;
            }
            // One value on two pieces, at distance d: their odds, exp(d ω/V), turn half-way between,
            // faster the larger d is; two flat ones have one distance and one middle.
            let flat = p.slope == 0.0 && r.slope == 0.0;
            let (radius, density) = if flat {
                (0.5 * TAIL * TAIL / gap, 0.5 * gap)
            } else {
                (1.5 + 0.5 * gap, 2f64.max(0.5 * gap))
            };
            centres.push(Centre {
                at: 0.5 * (p.upper + r.lower) / scale,
                radius: radius * width,
                density: density / width,
            });
        }
    }
}

/// Whether two pieces take the same values, and not only where they meet.
fn share_values(p: &Piece, r: &Piece) -> bool {
    let image = |p: &Piece| {
        let (x, y) = (p.at(p.lower), p.at(p.upper));
        (x.min(y), x.max(y))
    };
    let (p, r) = (image(p), image(r));
    let (from, to) = (p.0.max(r.0), p.1.min(r.1));
    from < to || (from == to && (p == r || (r.0 < from && to < r.1) || (p.0 < from && to < p.1)))
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
    /// `ln Z - β²/2`.
    logs: Vec<f64>,
    /// Largest size of `β` at a value where a piece ends, from which channels measure their exponents.
    farthest: f64,
    /// Of a function that bends everywhere.
    bent: Option<Bent<'a>>,
    /// Of such a function, about fields so narrow that it does not.
    is_straight: bool,
    /// Averages of `[1, v², c, g², Var h, (∂g/∂ω)², ln Z, ln Z - b²/(2a)]`.
    sum: [f64; 8],
}

impl<'a> Inner<'a> {
    fn new(phi: &'a dyn Activation, a: f64, v: f64, rule: Rule) -> Self {
        let ends = breaks(phi.pieces()).flat_map(|(p, r)| [p.at(p.upper), r.at(r.lower)]);
        Self {
            phi,
            a,
            root: a.sqrt(),
            farthest: a.sqrt() * ends.map(f64::abs).fold(0.0, f64::max),
            v,
            rule,
            runs: vec![],
            spans: vec![],
            nodes: vec![],
            fields: vec![],
            omegas: vec![],
            channels: Channels::default(),
            logs: vec![],
            bent: None,
            is_straight: false,
            sum: [0.0; 8],
        }
    }

    fn add(&mut self, eta: f64, omega: f64, weight: f64) {
        self.nodes.clear();
        if self.a == 0.0 {
            // Nothing is observed: Z = 1, and the integral over the noise is 1.
            self.nodes.push((0.0, weight * (2.0 * PI).sqrt()));
        } else if self.is_straight {
            return self.tangent(omega, weight);
        } else if let Some(bent) = &mut self.bent {
            let reach = budget(self.rule, eta).sqrt();
            return bent.add(omega, weight, reach, &mut self.sum);
        } else {
            match self.competitors(eta, omega) {
                (first, last) if first == last => self.alone(first, omega, weight),
                run => self.together(run, weight),
            }
        }
        self.sum_up(omega);
    }

    /// Along the tangent at `ω` everything is Gaussian.
    fn tangent(&mut self, omega: f64, weight: f64) {
        let [value, slope] = self.phi.jet(omega);
        let (a, v) = (self.a, self.v);
        let seen = a * slope * slope;
        let d = 1.0 + v * seen;
        let score = seen / d;
        let likelihood = -0.5 * (d.ln() + 1.0);
        // The curvature of one message: of the tangent, and of what its residual sees of the bend.
        let bent = self.bend_at(omega) * (2.0 - d) / d;
        let growth = score * score + a * bent * bent / d;
        let square = value * value + slope * slope * v;
        let values = [
            1.0,
            value * value + (slope * v) * (slope * v) * score,
            slope * slope * v / d,
            score,
            v / d,
            growth,
            likelihood + 0.5 * (a * square + 1.0),
            likelihood,
        ];
        for (sum, value) in self.sum.iter_mut().zip(values) {
            *sum += weight * value;
        }
    }

    /// `φ''` from differences of the slope over a hundredth of the length on which it changes, to 1e-9 of
    /// their ratio.
    fn bend_at(&self, omega: f64) -> f64 {
        let h = 0.01 * self.phi.bend().unwrap_or(1.0);
        let rise = |k: f64| self.phi.jet(omega + k * h)[1] - self.phi.jet(omega - k * h)[1];
        (8.0 * rise(1.0) - rise(2.0)) / (12.0 * h)
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
        let run = &self.runs[run].1;
        self.spans.sort_by(|s, t| s.0.total_cmp(&t.0));
        let mut done = 0;
        for &(from, to) in &self.spans {
            let first = run.partition_point(|n| n.0 <= from).max(done);
            done = run.partition_point(|n| n.0 < to).max(first);
            let nodes = run[first..done].iter();
            self.nodes
                .extend(nodes.map(|(beta, w)| (*beta, weight * w)));
        }
    }

    /// First and last piece that `h` may lie in, and the intervals where each puts `β`.
    fn competitors(&mut self, eta: f64, omega: f64) -> (usize, usize) {
        let budget = budget(self.rule, eta);
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
        let sizes = self.nodes.iter().map(|n| n.0.abs());
        if sizes.fold(self.farthest, f64::max) > CANCELLING {
            let seen = &mut self.fields;
            seen.iter_mut().for_each(|b| *b /= self.a);
            let out = &mut self.logs;
            (self.phi).log_likelihoods_into(a, seen, &self.omegas, v, out);
        } else {
            self.logs.clear();
            let nodes = self.nodes.iter().zip(&c.log_partition);
            self.logs.extend(nodes.map(|(n, l)| l - 0.5 * n.0 * n.0));
        }
        for (i, (&(_, weight), &log)) in self.nodes.iter().zip(&self.logs).enumerate() {
            let weight = weight * log.exp() / (2.0 * PI).sqrt();
            let values = [
                1.0,
                c.output_mean[i] * c.output_mean[i],
                c.output_variance[i],
                c.score[i] * c.score[i],
                c.input_variance[i],
                c.curvature[i] * c.curvature[i],
                c.log_partition[i],
                log,
            ];
            for (sum, value) in self.sum.iter_mut().zip(values) {
                *sum += weight * value;
            }
        }
    }
}

/// η, h and the noise share one budget of squared standard deviations; the floor keeps the last
/// step of the rule in η, which may end just outside the ball.
fn budget(rule: Rule, eta: f64) -> f64 {
    (rule.reach.powi(2) - eta * eta).max(1.0)
}

/// Standard deviation of `β` when `h ~ N(ω, V)` stays on one piece.
pub(super) fn deviation(p: &Piece, a: f64, v: f64) -> f64 {
    (1.0 + a * p.slope * p.slope * v).sqrt()
}

/// Nodes in `β` for all `ω` from which each of several pieces is within reach.
fn competition(pieces: &[Piece], a: f64, v: f64, rule: Rule) -> Vec<Node> {
    let root = a.sqrt();
    let mut coarse = f64::INFINITY;
    // ω is within reach of a break, and h within reach of ω.
    let reach = 2.0 * rule.reach * v.sqrt();
    let low = pieces[0].upper - reach;
    let high = pieces[pieces.len() - 1].lower + reach;
    let mut images = vec![];
    for p in pieces {
        if p.slope != 0.0 {
            coarse = coarse.min(COARSE * deviation(p, a, v));
        }
        let (x, y) = (
            root * p.at(p.lower.max(low)),
            root * p.at(p.upper.min(high)),
        );
        images.push((x.min(y) - rule.reach, x.max(y) + rule.reach));
    }
    // Between the values on both sides of a jump may lie 1e5 deviations.
    images.sort_by(|s, t| s.0.total_cmp(&t.0));
    let mut parts: Vec<(f64, f64)> = vec![];
    for image in images {
        match parts.last_mut() {
            Some(last) if image.0 <= last.1 => last.1 = last.1.max(image.1),
            _ => parts.push(image),
        }
    }
    let mut centres = vec![];
    places(pieces, a, (root, root), v, 1.0, &mut centres);
    graded_on(&centres, coarse, centres[0].at, &parts, rule.step)
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
    let centre = |at: f64, radius: f64, density: f64| Centre {
        at: unit * at,
        radius: unit * radius,
        density: density / unit,
    };
    let flat = pieces.iter().filter(|p| p.slope == 0.0);
    let values = flat.map(|p| centre(root * p.offset, TAIL, 1.0 / COARSE));
    centres.extend(merged(values.collect()));
    let mut ends = vec![];
    for (below, above) in breaks(pieces) {
        // A steep piece beats a flat one, in proportion to exp(β²/2)/√(1 + a s² V), around this
        // β, where the logarithm of the odds has this slope.
        let steep = deviation(below, a, v).max(deviation(above, a, v));
        let turn = 0.4 * (2.0 * steep.ln()).sqrt();
        let (l, r) = (below.at(below.upper), above.at(above.lower));
        if below.meets(above) {
            // A flat neighbour has brought its own nodes.
            let flat = below.slope * above.slope == 0.0;
            ends.push(centre(
                root * l,
                TAIL,
                turn.max(if flat { 0.4 } else { 0.8 }),
            ));
        } else {
            for (p, value) in [(below, l), (above, r)] {
                if p.slope != 0.0 {
                    ends.push(centre(root * value, TAIL, turn.max(0.8)));
                }
            }
        }
    }
    centres.extend(merged(ends));
    let mut jumps = vec![];
    for (i, p) in pieces.iter().enumerate() {
        for (k, r) in pieces.iter().enumerate().skip(i + 1) {
            let flat = p.slope == 0.0 && r.slope == 0.0;
            let (l, r) = (p.at(p.upper), r.at(r.lower));
            let jump = odds * (r - l).abs();
            if jump > 0.0 && (k == i + 1 || flat) {
                // The odds of two values, in proportion to exp(jump β), turn over 1/jump, and
                // start from up to exp(TAIL²/2).
                let radius = 0.5 * TAIL * TAIL / jump;
                jumps.push(centre(root * 0.5 * (l + r), radius, 0.5 * jump));
            }
        }
    }
    centres.extend(merged(jumps));
}

/// Overlapping plateaus as one, where that costs fewer nodes: what one needs serves the other too.
fn merged(mut centres: Vec<Centre>) -> Vec<Centre> {
    centres.sort_by(|p, q| (p.at - p.radius).total_cmp(&(q.at - q.radius)));
    let mut kept: Vec<Centre> = vec![];
    for c in centres {
        let hull = kept.last().map(|last| {
            let from = last.at - last.radius;
            let to = (last.at + last.radius).max(c.at + c.radius);
            Centre {
                at: 0.5 * (from + to),
                radius: 0.5 * (to - from),
                density: last.density.max(c.density),
            }
        });
        // Nodes of the plateau, and of the wings.
        let cost = |c: &Centre| 2.0 * c.radius * c.density + 2.0;
        match (kept.last_mut(), hull) {
            (Some(last), Some(hull)) if cost(&hull) <= cost(last) + cost(&c) => *last = hull,
            _ => kept.push(c),
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;
    use onsager_scalar::activation::{Erf, PiecewiseLinear, Sigmoid, Smooth, Tanh};

    /// The table in the documentation of [`layer`].
    #[test]
    fn a_finer_rule_changes_nothing() {
        let finer = Rule {
            step: 0.15,
            reach: 10.5,
        };
        let inf = f64::INFINITY;
        let piece = |(lower, upper), offset, slope| Piece {
            lower,
            upper,
            offset,
            slope,
        };
        let soft = [
            piece((-inf, -1.0), 1.0, 1.0),
            piece((-1.0, 1.0), 0.0, 0.0),
            piece((1.0, inf), -1.0, 1.0),
        ];
        let jump = [piece((-inf, 0.5), 0.2, 0.4), piece((0.5, inf), 1.0, 1.5)];
        let wide = [0.0, 1e-6, 1e-3, 0.3, 0.6, 0.9, 0.99, 0.999, 0.999_999];
        let steps = [1e-6, 1e-3, 0.1, 1.0, 10.0, 30.0, 100.0, 1e3, 1e4, 1e6, 1e8];
        let (few, fewer) = ([1e-3, 0.3, 0.9, 0.999], [1e-3, 1.0, 10.0, 100.0, 1e4]);
        let new = |pieces: &[Piece]| PiecewiseLinear::new(pieces.iter().copied()).unwrap();
        type Case<'a> = (&'a str, Box<dyn Activation>, &'a [f64], &'a [f64], f64);
        let own = [
            piece((-inf, -0.4), -1.3, 0.0),
            piece((-0.4, 0.6), 0.0, 1.2),
            piece((0.6, inf), 1.3, 0.6),
        ];
        let cases: [Case<'_>; 13] = [
            ("three pieces", Box::new(new(&own)), &few, &fewer, 1e-9),
            (
                "sign",
                Box::new(PiecewiseLinear::sign()),
                &wide,
                &steps,
                1e-9,
            ),
            (
                "relu",
                Box::new(PiecewiseLinear::relu()),
                &wide,
                &steps,
                1e-9,
            ),
            ("abs", Box::new(PiecewiseLinear::abs()), &few, &fewer, 1e-9),
            (
                "leaky relu",
                Box::new(PiecewiseLinear::leaky_relu(0.1).unwrap()),
                &few,
                &fewer,
                1e-9,
            ),
            (
                "hard tanh",
                Box::new(PiecewiseLinear::hard_tanh()),
                &few,
                &fewer,
                1e-9,
            ),
            (
                "door 0.2",
                Box::new(PiecewiseLinear::door(0.2).unwrap()),
                &few,
                &fewer,
                1e-9,
            ),
            (
                "door 3",
                Box::new(PiecewiseLinear::door(3.0).unwrap()),
                &few,
                &fewer,
                1e-9,
            ),
            ("soft threshold", Box::new(new(&soft)), &few, &fewer, 1e-9),
            ("jump", Box::new(new(&jump)), &few, &fewer, 1e-9),
            ("tanh", Box::new(Smooth::new(Tanh)), &few, &fewer, 1e-9),
            (
                "sigmoid",
                Box::new(Smooth::new(Sigmoid)),
                &few,
                &fewer,
                1e-9,
            ),
            ("erf", Box::new(Smooth::new(Erf)), &few, &fewer, 1e-9),
        ];
        for (name, phi, overlaps, ratios, bound) in cases {
            let mut worst = [0.0f64; 5];
            for q in overlaps {
                for av in ratios {
                    let v = 1.0 - q;
                    let a = av / v;
                    let x = with_rule(&*phi, a, *q, v, RULE).unwrap();
                    let y = with_rule(&*phi, a, *q, v, finer).unwrap();
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
                    assert!(error < bound, "{name} q = {q}, aV = {av}: {errors:?}");
                }
            }
            println!("{name}: {worst:?}");
        }
    }

    /// To first order in the message, `g = b E φ'(h)`: for relu `E Φ(ω/√V)² = 1/4 + arcsin(q/ρ)/2π`, for sign
    /// `E (2 N(ω; V))²`, for the identity 1.
    #[test]
    fn faint_messages_keep_their_digits() {
        for (q, v) in [(0.0, 1.0f64), (0.3, 0.7), (20.0, 5.0), (1.0, 1e-3)] {
            let relu = 0.25 + (q / (q + v)).asin() / (2.0 * PI);
            let sign = 2.0 / (PI * (v * (v + 2.0 * q)).sqrt());
            let cases = [
                (PiecewiseLinear::linear(), 1.0),
                (PiecewiseLinear::relu(), relu),
                (PiecewiseLinear::sign(), sign),
            ];
            for (phi, expected) in cases {
                for a in [1e-25, 1e-20, 1e-16, 1e-14] {
                    let x = layer(&phi, a, q, v).unwrap();
                    let error = (x.score / (a * expected) - 1.0).abs();
                    assert!(
                        error < 2e-9,
                        "{phi:?}, q = {q}, V = {v}, a = {a}: {error:e}"
                    );
                }
                // Where the two ways meet.
                let a = FAINT / phi.second_moment(q + v);
                let (x, y) = (
                    faint(&phi, a, q, v).unwrap(),
                    with_rule(&phi, 1.0001 * a, q, v, RULE).unwrap(),
                );
                let same = |x: f64, y: f64| (x / y - 1.0).abs() < 2e-9;
                assert!(same(x.score * 1.0001, y.score) && same(x.mmse, y.mmse));
                // A logarithm of what is next to 1.
                assert!((x.potential - y.potential).abs() < 2e-4 * x.potential + 1e-15);
            }
        }
    }

    /// Where the field is known far better than the noise, and the other way round, behind pieces that end at values
    /// far from where the field is: `E c` and `E g²` of a slope that 0.68 of the fields see.
    #[test]
    fn the_strongest_messages_keep_their_mass() {
        let share = PiecewiseLinear::hard_tanh().sloped_fraction(1.0);
        for a in [1e16, 1e20, 1e24f64] {
            for av in [1e-4, 1e4f64] {
                let x = layer(&PiecewiseLinear::hard_tanh(), a, 1.0, av / a).unwrap();
                let known = share / (1.0 + av);
                let (mmse, score) = (x.mmse * a / av, x.score / a);
                let off = (mmse / known - 1.0).abs().max((score / known - 1.0).abs());
                assert!(
                    off < 1e-4 && x.error < 1e-4,
                    "a = {a:e}, aV = {av:e}: {x:?}"
                );
            }
        }
    }

    /// The tangent against the curve, at precisions that resolve the field and that do not.
    #[test]
    fn narrow_fields_see_a_tangent() {
        for phi in [&Smooth::new(Tanh) as &dyn Activation, &Smooth::new(Erf)] {
            let bend = phi.bend().unwrap();
            for (q, a) in [(0.1, 1e2), (4.0, 1e8), (1.0, 1e11)] {
                let v = 0.1 * STRAIGHT * bend * bend;
                let [x, y] = [true, false]
                    .map(|is_straight| summed(phi, (a, q, v), RULE, is_straight).unwrap());
                let same = |x: f64, y: f64| (x / y - 1.0).abs() < 1e-9;
                assert!(same(x.mmse, y.mmse) && same(x.field_mmse, y.field_mmse));
                assert!(same(x.score, y.score) && same(x.overlap, y.overlap));
                assert!(same(x.likelihood, y.likelihood), "{x:?} {y:?}");
                assert!(same(x.potential, y.potential), "{x:?} {y:?}");
                // Of curvatures the curve keeps 1e-11/V only.
                let wide = 1e-6 * bend * bend;
                let [x, y] = [true, false]
                    .map(|is_straight| summed(phi, (a, q, wide), RULE, is_straight).unwrap());
                let error = (x.growth / y.growth - 1.0).abs();
                assert!(error < 1e-4, "{x:?} {y:?}");
            }
        }
    }
}
