//! The matched average of a law of independent components.

use std::f64::consts::PI;

use onsager_scalar::Prior;

use super::error::{AverageError, finite, not_negative};
use super::grid::{Centre, Node, graded};

/// What a law answers on average to a message of precision `a`.
///
/// ```
/// use onsager_replica::average::prior;
/// use onsager_scalar::prior::Gaussian;
/// let x = prior(&Gaussian::standard(), 3.0)?;
/// assert!((x.mmse - 0.25).abs() < 1e-13); // 1/(1 + a)
/// # Ok::<(), onsager_replica::average::AverageError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct PriorAverage {
    /// `q = E x̂²`.
    pub overlap: f64,
    /// Mean posterior variance.
    pub mmse: f64,
    /// `Ψ(a) = E ln Z`, in nats per component.
    pub potential: f64,
    /// Self-check: the larger of `|E 1 - 1|` and `|q + mmse - ρ|/ρ`.
    pub error: f64,
}

/// Averages of a law behind Bayes-optimal messages `b = a x + √a n`.
///
/// With `b = √a β` the law of `β` is `Z(a, √a β) N(β; 0, 1)`, and the average is one integral.
///
/// - **Arguments**: precision `a >= 0`, finite.
/// - **Identities**: `overlap + mmse = ρ`; `∂Ψ/∂a = overlap/2`; `aρ/2 - Ψ` is the information.
/// - **Accuracy**: relative 1e-12 plus rounding `1e-16 aρ`, for laws whose parts are where
///   [`Prior::scales`] says; the field `error` measures it.
/// - **Errors**: a precision outside its range, or averages that are not finite.
///
/// ```
/// use onsager_replica::average::prior;
/// use onsager_scalar::prior::Rademacher;
/// let x = prior(&Rademacher, 100.0)?;
/// // The information is the entropy of a fair sign.
/// assert!((50.0 - x.potential - std::f64::consts::LN_2).abs() < 1e-12);
/// # Ok::<(), onsager_replica::average::AverageError>(())
/// ```
pub fn prior(law: &dyn Prior, a: f64) -> Result<PriorAverage, AverageError> {
    not_negative("precision", a)?;
    let root = a.sqrt();
    let mut sum = [0.0; 4];
    for (b, w) in fields(law, a, 1.0) {
        let log = law.log_partition(a, root * b);
        let w = w * (log - 0.5 * b * b).exp() / (2.0 * PI).sqrt();
        let m = law.moments(a, root * b);
        for (s, x) in sum.iter_mut().zip([1.0, m.mean * m.mean, m.variance, log]) {
            *s += w * x;
        }
    }
    let [mass, overlap, mmse, potential] = sum;
    let rho = law.second_moment();
    finite("average of the law", mass + overlap + mmse + potential)?;
    Ok(PriorAverage {
        overlap,
        mmse,
        potential,
        error: (mass - 1.0).abs().max((overlap + mmse - rho).abs() / rho),
    })
}

/// Half-width of every Gaussian, in standard deviations.
const REACH: f64 = 9.5;
/// Step of the rule in its own variable; one dimension costs little, so it is short.
const STEP: f64 = 0.1;

/// Rule for `b/√a`, from the parts of the law and the places where two parts are equally likely.
fn fields(law: &dyn Prior, a: f64, refine: f64) -> Vec<Node> {
    let mut centres = vec![];
    let ends = parts(law, a, a.sqrt(), &mut centres);
    turns(law, a.sqrt(), a.sqrt(), &mut centres);
    graded(&centres, f64::INFINITY, centres[0].at, ends, STEP / refine)
}

/// The same for a message of gain and noise: `root = gain/√noise`, `sd = √noise`, `a = root²`.
pub(super) fn mismatched(
    teacher: &dyn Prior,
    a: f64,
    root: f64,
    student: &dyn Prior,
    precision: f64,
    sd: f64,
) -> Vec<Node> {
    let mut centres = vec![];
    let ends = parts(teacher, a, root, &mut centres);
    turns(teacher, root, root, &mut centres);
    turns(student, precision / sd, sd, &mut centres);
    graded(&centres, f64::INFINITY, centres[0].at, ends, STEP)
}

/// One Gaussian for each part of the law; returns the interval that holds them all.
fn parts(law: &dyn Prior, a: f64, root: f64, centres: &mut Vec<Centre>) -> (f64, f64) {
    let mut ends = (f64::INFINITY, f64::NEG_INFINITY);
    for s in law.scales() {
        let (at, width) = (root * s.mean, (1.0 + a * s.variance).sqrt());
        centres.push(Centre {
            at,
            radius: 6.0 * width,
            density: 0.5 / width,
        });
        ends.0 = ends.0.min(at - REACH * width);
        ends.1 = ends.1.max(at + REACH * width);
    }
    ends
}

/// Where the odds of two parts turn: half-way, over the inverse of their distance.
fn turns(law: &dyn Prior, scale: f64, per: f64, centres: &mut Vec<Centre>) {
    let scales = law.scales();
    for (i, s) in scales.iter().enumerate() {
        for t in &scales[..i] {
            let gap = (per * (s.mean - t.mean)).abs();
            if gap > 0.0 {
                centres.push(Centre {
                    at: scale * 0.5 * (s.mean + t.mean),
                    radius: 12.0 / gap,
                    density: 0.2 * gap,
                });
            }
        }
    }
}
