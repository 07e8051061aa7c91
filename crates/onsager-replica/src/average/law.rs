//! The matched average of a law of independent components.

use std::f64::consts::PI;

use onsager_scalar::Prior;

use super::error::{AverageError, finite, not_negative};
use super::grid::{Centre, Node, crowding, graded};

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
/// - **Accuracy**: relative 1e-10 (largest found 6e-11, `a` up to 1e8), for laws whose parts are where [`Prior::scales`] says and whose
///   [`Prior::log_likelihood`] does not cancel; the field `error` measures it. The potential, of
///   order `aρ` itself, is rounded to `1e-16 aρ`. Beyond `aρ = 1e13` the error is continued by what it tends to,
///   `(d - e/√a)/a`, for laws without features closer than 1e-6 of `√ρ`: relative 1e-6 there.
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
    let most = STRONGEST / law.second_moment();
    // A law that is zero has no such message; one that is no number is refused where it is used.
    if a.is_finite() && a > most {
        return strong(law, a, most);
    }
    let (x, _) = refined(law, a, 1.0)?;
    if 0.0 < a && a * law.second_moment() < FAINT {
        // 2Ψ' = overlap, from its value and slope at zero and its value here.
        let none = law.mean().powi(2);
        let slope = (law.second_moment() - none).powi(2);
        let potential = 0.5 * a * ((2.0 * none + x.overlap) / 3.0 + a * slope / 6.0);
        return Ok(PriorAverage { potential, ..x });
    }
    Ok(x)
}

/// Messages, in units of the inverse of `E x²`, below which `ln Z` is lost in the rounding of 1.
const FAINT: f64 = 1e-6;

/// Precision, in units of the inverse of `E x²`, from which on averages are continued: nodes of quadrature near
/// its root lose digits to rounding, 3e-10 of their distances here.
const STRONGEST: f64 = 1e13;

/// What is left unknown under a strong message is `(d - e/√a)/a`: `d` the dimension of the law, and `e` from the
/// ends of its support. Both from the two precisions `most` and `most/4`.
fn strong(law: &dyn Prior, a: f64, most: f64) -> Result<PriorAverage, AverageError> {
    let ((x, likelihood), (y, _)) = (refined(law, most, 1.0)?, refined(law, 0.25 * most, 1.0)?);
    let (here, before) = (most * x.mmse, 0.25 * most * y.mmse);
    let end = here - before;
    let t = a / most;
    let mmse = ((here + end) - end / t.sqrt()) / a;
    let rho = law.second_moment();
    // The information: aρ/2 - Ψ from E β² = aρ + 1, which grows by half of ∫ mmse.
    let told = 0.5 * (here + end) * t.ln() - end * (1.0 - 1.0 / t.sqrt()) - likelihood - 0.5;
    finite("average of the law", told)?;
    Ok(PriorAverage {
        overlap: rho - mmse,
        mmse,
        potential: 0.5 * a * rho - told,
        error: x.error,
    })
}

/// The averages, and `E [ln Z - β²/2]`.
fn refined(law: &dyn Prior, a: f64, refine: f64) -> Result<(PriorAverage, f64), AverageError> {
    not_negative("precision", a)?;
    let root = a.sqrt();
    let is_weak = a * law.second_moment() < 1.0;
    let mut sum = [0.0; 5];
    for (b, w) in fields(law, a, refine) {
        // ln Z - β²/2 without the difference, which would lose 1e-16 aρ of every average.
        let density = if a > 0.0 {
            law.log_likelihood(a, b / root)
        } else {
            -0.5 * b * b
        };
        // As faint messages would lose it of the sum with E β².
        let log = if is_weak {
            law.log_partition(a, root * b)
        } else {
            0.0
        };
        let w = w * density.exp() / (2.0 * PI).sqrt();
        let m = law.moments(a, root * b);
        let values = [1.0, m.mean * m.mean, m.variance, log, density];
        for (s, x) in sum.iter_mut().zip(values) {
            *s += w * x;
        }
    }
    let [mass, overlap, mmse, potential, likelihood] = sum;
    let rho = law.second_moment();
    let potential = if is_weak {
        potential
    } else {
        likelihood + 0.5 * (a * rho + 1.0)
    };
    finite("average of the law", mass + overlap + mmse + potential)?;
    let found = PriorAverage {
        overlap,
        mmse,
        potential,
        error: (mass - 1.0).abs().max((overlap + mmse - rho).abs() / rho),
    };
    Ok((found, likelihood))
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
    let step = STEP * crowding(&centres) / refine;
    graded(&centres, f64::INFINITY, centres[0].at, ends, step)
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
        // Odds of exp(-β²/2) turn over 1/β, most sharply where a point gives way to a wide part.
        let density = if s.variance == 0.0 { 0.7 } else { 0.5 };
        centres.push(Centre {
            at,
            radius: 6.0 * width,
            density: density / width,
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

#[cfg(test)]
mod tests {
    use super::*;
    use onsager_scalar::prior::*;

    /// `aρ/2 - Ψ`, as integrals of 30 digits have it: what is left of two terms of order `aρ`.
    #[test]
    fn strong_messages_keep_the_digits_of_the_information() {
        let law = GaussBernoulli::new(0.2, 0.0, 5.0).unwrap();
        for (a, expected) in [
            (1e3, 1.314_356_914_833_63),
            (1e5, 1.806_829_322_374_78),
            (1e7, 2.272_342_695_241_794),
            (1e9, 2.733_565_712_449_597),
        ] {
            let found = 0.5 * a - prior(&law, a).unwrap().potential;
            let rounding = f64::EPSILON * a;
            assert!(
                (found - expected).abs() < 1e-11 + rounding,
                "a = {a:e}: {found}"
            );
        }
    }

    /// The accuracy that [`prior`] promises, over the signal-to-noise ratios of its range.
    #[test]
    fn a_finer_rule_changes_nothing() {
        let part = |weight, mean, variance| (weight, Scale { mean, variance });
        let scales = [
            part(4.0, -1.0, 0.0),
            part(1.0, 3.0, 0.0),
            part(2.0, 2.0, 1e-4),
            part(1.0, -0.5, 4.0),
        ];
        let laws: [(&str, Box<dyn Prior>); 10] = [
            ("rademacher", Box::new(Rademacher)),
            (
                "gauss-bernoulli",
                Box::new(GaussBernoulli::new(0.01, 0.5, 2.0).unwrap()),
            ),
            ("binary", Box::new(Mixture::binary(0.9).unwrap())),
            ("bernoulli", Box::new(Mixture::bernoulli(1e-3).unwrap())),
            (
                "rademacher-bernoulli",
                Box::new(Mixture::rademacher_bernoulli(0.05).unwrap()),
            ),
            ("mixture", Box::new(Mixture::new(scales).unwrap())),
            (
                "exponential",
                Box::new(Truncated::exponential(0.5).unwrap()),
            ),
            ("laplace", Box::new(Truncated::laplace(2.0).unwrap())),
            (
                "half-normal",
                Box::new(Truncated::half_normal(2.0).unwrap()),
            ),
            ("uniform", Box::new(Truncated::uniform(-0.5, 2.0).unwrap())),
        ];
        for (name, law) in &laws {
            let mut worst = [0.0f64; 4];
            for a in [1e-6, 1e-3, 0.1, 1.0, 10.0, 100.0, 1e3, 1e4, 1e6, 2e7, 1e8] {
                let (x, _) = refined(&**law, a, 1.0).unwrap();
                let (y, _) = refined(&**law, a, 2.7).unwrap();
                let rho = law.second_moment();
                let errors = [
                    x.overlap / y.overlap - 1.0,
                    (x.mmse - y.mmse) / y.mmse.max(1e-12 * rho),
                    (x.potential - y.potential) / (a * rho),
                    x.error,
                ];
                for (w, e) in worst.iter_mut().zip(errors) {
                    assert!(e.abs() < 1e-10, "{name}, a = {a}: {errors:?}");
                    *w = w.max(e.abs());
                }
            }
            println!("{name}: {worst:?}");
        }
    }
}
