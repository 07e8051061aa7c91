//! Averages when the student believes something else than the teacher did.

use std::f64::consts::PI;

use onsager_scalar::activation::Piece;
use onsager_scalar::{Activation, Prior};

use super::error::{AverageError, finite, not_negative, positive};
use super::grid::{Centre, Node, graded};
use super::law;

/// Message to a variable in state evolution: `b = gain · x + √noise · n`, `n ~ N(0, 1)`, which
/// the student believes to be of precision `precision`. Matched: all three are equal.
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
    Ok(sum)
}

/// Overlaps above a layer and scores below it, when teacher and student may differ.
///
/// `field` holds the moments of the student's estimate of the field (those of the variable
/// below), `second_moment` the teacher's `E h²`. With `ω_T = ω truth/norm` and
/// `V_T = second_moment - truth²/norm` the field is `h | ω ~ N(ω_T, V_T)`, and the message has the density
/// `Z_T(b gain/noise, gain²/noise, ω_T, V_T) N(b; 0, noise)`.
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
    for p in &student.pieces()[1..] {
        centres.push(Centre {
            at: p.lower / sd,
            radius: 7.0 * field.variance.sqrt() / sd,
            density: sd / field.variance.sqrt(),
        });
    }
    if ratio != 0.0 {
        for p in &teacher.pieces()[1..] {
            centres.push(Centre {
                at: p.lower / (sd * ratio),
                radius: 7.0 * v_t.sqrt() / (sd * ratio.abs()),
                density: sd * ratio.abs() / v_t.sqrt(),
            });
        }
    }
    let mut nodes = graded(&centres, COARSE, 0.0, (-REACH, REACH), STEP);
    for (x, w) in &mut nodes {
        *w *= (-0.5 * *x * *x).exp() / (2.0 * PI).sqrt();
        *x *= sd;
    }
    nodes
}

/// Rule for `b/√noise` at one `ω`: the teacher's Gaussians, and where the student's pieces change.
fn inner(
    teacher: &dyn Activation,
    (root, omega, v): (f64, f64, f64),
    student: &dyn Activation,
    (a_s, sd, v_s): (f64, f64, f64),
) -> Vec<Node> {
    let mut centres = vec![];
    let (mut from, mut to) = (f64::INFINITY, f64::NEG_INFINITY);
    let (low, high) = (omega - REACH * v.sqrt(), omega + REACH * v.sqrt());
    let mut coarse = f64::INFINITY;
    for p in teacher.pieces() {
        if p.lower >= high || p.upper <= low {
            continue;
        }
        for h in [p.lower.max(low), p.upper.min(high)] {
            from = from.min(root * p.at(h) - REACH);
            to = to.max(root * p.at(h) + REACH);
        }
        let width = (1.0 + root * root * p.slope * p.slope * v).sqrt();
        coarse = coarse.min(COARSE * width);
    }
    // Where the odds of two pieces turn: (midpoint, jump) as in the matched average.
    let mut turn = |pieces: &[Piece], scale: f64, per: f64, kink: f64| {
        for w in pieces.windows(2) {
            let (l, r) = (w[0].at(w[0].upper), w[1].at(w[1].lower));
            let width = if l == r {
                kink
            } else {
                1.0 / (per * (r - l).abs())
            };
            let at = scale * 0.5 * (l + r);
            if width > 0.0 && width.is_finite() && at.is_finite() {
                centres.push(Centre {
                    at,
                    radius: 7.0 * width,
                    density: 1.0 / width,
                });
            }
        }
    };
    turn(teacher.pieces(), root, root.abs(), 1.0);
    let slope = student
        .pieces()
        .iter()
        .map(|p| p.slope.abs())
        .fold(0.0, f64::max);
    let kink = (1.0 + a_s * slope * slope * v_s).sqrt() / (slope * v_s.sqrt() * sd);
    turn(student.pieces(), a_s / sd, sd, kink);
    graded(&centres, coarse, from, (from, to), STEP)
}
