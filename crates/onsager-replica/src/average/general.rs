//! Averages when the student believes something else than the teacher did.

use std::f64::consts::PI;

use onsager_scalar::activation::Noise;
use onsager_scalar::special::normal_density;
use onsager_scalar::{Activation, Prior};

use super::error::{AverageError, finite, not_negative, positive};
use super::grid::{Node, graded};
use super::{law, layer, smooth};

/// Message to a variable in state evolution: `b = gain · x + √noise · n`, `n ~ N(0, 1)`, which
/// the student believes to be of precision `precision`. Matched: all three are equal.
///
/// ```
/// use onsager_replica::average::Order;
/// assert!(Order::matched(2.0).is_matched());
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Order {
    /// Precision `a` that the student believes.
    pub precision: f64,
    /// Coefficient of the true value in `b`.
    pub gain: f64,
    /// Variance of the noise in `b`.
    pub noise: f64,
}

impl Order {
    /// The Bayes-optimal order of precision `a`.
    #[must_use]
    pub fn matched(a: f64) -> Self {
        Self {
            precision: a,
            gain: a,
            noise: a,
        }
    }

    /// Whether gain and noise are what the student believes.
    #[must_use]
    pub fn is_matched(&self) -> bool {
        self.gain == self.precision && self.noise == self.precision
    }

    fn check(&self) -> Result<(), AverageError> {
        not_negative("precision", self.precision)?;
        finite("gain", self.gain)?;
        not_negative("noise", self.noise)?;
        Ok(())
    }

    /// `(gain/√noise, √noise)`. Without noise the message is blurred by a relative 1e-5, which
    /// changes averages of smooth functions by the square.
    fn roots(&self, second_moment: f64) -> (f64, f64) {
        let noise = if self.noise == 0.0 {
            1e-10 * self.gain * self.gain * second_moment
        } else {
            self.noise
        };
        if noise == 0.0 {
            (0.0, 0.0)
        } else {
            (self.gain / noise.sqrt(), noise.sqrt())
        }
    }
}

/// Moments of an estimate `x̂`. Matched: `truth = norm = q`, `variance = mmse`.
///
/// ```
/// use onsager_replica::average::{Order, prior_general};
/// use onsager_scalar::prior::Gaussian;
/// let law = Gaussian::standard();
/// let x = prior_general(&law, &law, Order { precision: 1.0, gain: 1.0, noise: 3.0 })?;
/// // x̂ = b/2
/// assert!((x.truth - 0.5).abs() < 1e-12 && (x.norm - 1.0).abs() < 1e-12);
/// # Ok::<(), onsager_replica::average::AverageError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Overlap {
    /// `E x x̂`.
    pub truth: f64,
    /// `E x̂²`.
    pub norm: f64,
    /// Mean of the variance that the student claims.
    pub variance: f64,
}

/// What an activation returns to its field. Matched: all three are equal.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Score {
    /// `E[g_teacher g_student]`.
    pub response: f64,
    /// `E g_student²`.
    pub norm: f64,
    /// `E[-∂g_student/∂ω]`.
    pub curvature: f64,
}

/// Overlaps of a student's estimate of a teacher's variable behind one message.
///
/// The law of `b` is `Z_T(b gain/noise, gain²/noise) N(b; 0, noise)`; teacher and student each
/// answer to it with their own posterior, and `E x x̂ = E x̂_T x̂`.
///
/// - **Arguments**: precision and noise at least 0, any finite gain. Without noise the message is
///   blurred by a relative 1e-5, which costs accuracy 1e-9 for a smooth student.
/// - **Accuracy**: relative 1e-8, measured on the matched line and in closed forms.
/// - **Errors**: an argument outside its range, or averages that are not finite.
pub fn prior_general(
    teacher: &dyn Prior,
    student: &dyn Prior,
    order: Order,
) -> Result<Overlap, AverageError> {
    order.check()?;
    let (root, sd) = order.roots(teacher.second_moment());
    let a = root * root;
    let mut sum = Overlap::default();
    let rule = if sd == 0.0 {
        vec![(0.0, (2.0 * PI).sqrt())]
    } else {
        law::mismatched(teacher, a, root, student, order.precision, sd)
    };
    for (b, w) in rule {
        let log = teacher.log_partition(a, root * b);
        let w = w * (log - 0.5 * b * b).exp() / (2.0 * PI).sqrt();
        let t = teacher.moments(a, root * b);
        let s = student.moments(order.precision, sd * b);
        sum.truth += w * t.mean * s.mean;
        sum.norm += w * s.mean * s.mean;
        sum.variance += w * s.variance;
    }
    finite("average of the law", sum.truth + sum.norm + sum.variance)?;
    Ok(sum)
}

/// Overlaps above a layer and scores below it, when teacher and student may differ.
///
/// `field` holds the moments of the student's estimate of the field (those of the variable
/// below), `second_moment` the teacher's `E h²`. With `ω_T = ω truth/norm` and
/// `V_T = second_moment - truth²/norm` the field is `h | ω ~ N(ω_T, V_T)`, and the message has
/// the density `Z_T(b gain/noise, gain²/noise, ω_T, V_T) N(b; 0, noise)`.
///
/// - **Arguments**: `truth² <= second_moment · norm`, positive `variance` and `second_moment`;
///   the order as in [`prior_general`]. A field that is known exactly is given the variance
///   `4ε second_moment`.
/// - **Accuracy**: relative 1e-8 for `aV` in `[1e-3, 1e3]`, measured on the matched line; the
///   exponents lose `1e-16 gain² ρ/noise`.
/// - **Errors**: an argument outside its range, or averages that are not finite.
pub fn layer_general(
    teacher: &dyn Activation,
    student: &dyn Activation,
    field: Overlap,
    second_moment: f64,
    order: Order,
) -> Result<(Overlap, Score), AverageError> {
    order.check()?;
    positive("second moment of the field", second_moment)?;
    positive("variance of the field", field.variance)?;
    not_negative("norm of the field", field.norm)?;
    finite("overlap of the field", field.truth)?;
    let ratio = if field.norm > 0.0 {
        field.truth / field.norm
    } else {
        0.0
    };
    let v_t = second_moment - ratio * field.truth;
    // Rounding of the difference; a field that is known exactly has no density.
    let floor = 4.0 * f64::EPSILON * second_moment;
    if v_t < -floor || (field.norm == 0.0 && field.truth != 0.0) {
        return Err(AverageError::Correlation {
            bound: second_moment * field.norm,
            value: field.truth * field.truth,
        });
    }
    let v_t = v_t.max(floor);
    let (root, sd) = order.roots(teacher.second_moment(second_moment));
    let a_t = root * root;
    let (a_s, v_s) = (order.precision, field.variance);

    let mut overlap = Overlap::default();
    let mut score = Score::default();
    for (omega, weight) in outer(teacher, student, field, ratio, v_t) {
        let omega_t = ratio * omega;
        let rule = if sd == 0.0 {
            vec![(0.0, (2.0 * PI).sqrt())]
        } else {
            inner(teacher, (root, omega_t, v_t), student, (a_s, sd, v_s))
        };
        for (b, w) in rule {
            let t = teacher.channel(a_t, root * b, omega_t, v_t);
            let s = student.channel(a_s, sd * b, omega, v_s);
            let w = weight * w * (t.log_partition - 0.5 * b * b).exp() / (2.0 * PI).sqrt();
            overlap.truth += w * t.output.mean * s.output.mean;
            overlap.norm += w * s.output.mean * s.output.mean;
            overlap.variance += w * s.output.variance;
            score.response += w * t.score * s.score;
            score.norm += w * s.score * s.score;
            score.curvature += w * s.curvature;
        }
    }
    let total = [
        overlap.truth,
        overlap.norm,
        overlap.variance,
        score.response,
        score.norm,
        score.curvature,
    ];
    finite("average of the layer", total.iter().sum())?;
    Ok((overlap, score))
}

/// Half-width of every Gaussian, in standard deviations.
const REACH: f64 = 9.0;
/// Step of the rules in their own variable.
const STEP: f64 = 0.25;
/// Longest step over a Gaussian: `STEP * COARSE` standard deviations.
const COARSE: f64 = 2.0;

/// Values of `ω ~ N(0, norm)`, fine where either side changes its mind.
fn outer(
    teacher: &dyn Activation,
    student: &dyn Activation,
    field: Overlap,
    ratio: f64,
    v_t: f64,
) -> Vec<Node> {
    let sd = field.norm.sqrt();
    if sd == 0.0 {
        return vec![(0.0, 1.0)];
    }
    let mut centres = vec![];
    let mut coarse = COARSE;
    let mut turns = |phi: &dyn Activation, scale: f64, v: f64| match phi.bend() {
        None => {
            let width = v.sqrt() / scale.abs();
            layer::turns(phi.pieces(), scale, width, COARSE, &mut centres);
        }
        Some(bend) => {
            let length = (v + bend * bend).sqrt() / scale.abs();
            coarse = coarse.min(smooth::FIELD * length / STEP);
        }
    };
    turns(student, sd, field.variance + noise(student).before);
    if ratio != 0.0 {
        turns(teacher, sd * ratio, v_t + noise(teacher).before);
    }
    let mut nodes = graded(&centres, coarse, 0.0, (-REACH, REACH), STEP);
    for (x, w) in &mut nodes {
        *w *= normal_density(*x);
        *x *= sd;
    }
    nodes
}

/// Rule for `β = b/√noise` at one `ω`: the teacher's Gaussians, and where pieces of either side
/// change places.
fn inner(
    teacher: &dyn Activation,
    (root, omega, v): (f64, f64, f64),
    student: &dyn Activation,
    (precision, sd, v_s): (f64, f64, f64),
) -> Vec<Node> {
    let mut centres = vec![];
    let mut coarse = f64::INFINITY;
    let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
    // Noise around a function widens its field, and adds to the noise of the message: `spread` is
    // the deviation of β at a known value of the function.
    let Noise { before, after } = noise(teacher);
    let v = v + before;
    let spread = (1.0 + root * root * after).sqrt();
    let root = root / spread;
    let (low, high) = (omega - REACH * v.sqrt(), omega + REACH * v.sqrt());
    let a = root * root;
    let smooth = teacher.bend().is_some();
    if smooth {
        // No feature of the message is narrower than its noise.
        from =
            spread * (root * teacher.apply(low)).min(root * teacher.apply(high)) - REACH * spread;
        to = spread * (root * teacher.apply(low)).max(root * teacher.apply(high)) + REACH * spread;
        coarse = COARSE * spread;
    }
    for p in teacher.pieces().iter().filter(|_| !smooth) {
        if p.lower >= high || p.upper <= low {
            continue;
        }
        for h in [p.lower.max(low), p.upper.min(high)] {
            from = from.min(spread * (root * p.at(h) - REACH));
            to = to.max(spread * (root * p.at(h) + REACH));
        }
        coarse = coarse.min(COARSE * spread * layer::deviation(p, a, v));
    }
    if !smooth {
        let odds = (root, root.abs());
        layer::places(teacher.pieces(), a, odds, v, spread, &mut centres);
    }
    // The student reads the message in units of √precision; where it believes in none, in units
    // of the inverse of its own width.
    let Noise { before, after } = noise(student);
    let (v_s, weaker) = (v_s + before, 1.0 + precision * after);
    let precision = precision / weaker;
    let unit = precision.max(1.0 / student.second_moment(v_s)).sqrt();
    let length = weaker * unit / sd;
    if student.bend().is_some() {
        coarse = coarse.min(COARSE * length);
    } else {
        let odds = (precision / unit, unit);
        layer::places(student.pieces(), precision, odds, v_s, length, &mut centres);
    }
    graded(&centres, coarse, from, (from, to), STEP)
}

fn noise(phi: &dyn Activation) -> Noise {
    let none = Noise {
        before: 0.0,
        after: 0.0,
    };
    phi.noise().map_or(none, |(_, noise)| noise)
}
