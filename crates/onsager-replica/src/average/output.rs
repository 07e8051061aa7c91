//! The matched average of an output.

use onsager_scalar::Likelihood;
use onsager_scalar::likelihood::Form;

use super::error::{AverageError, finite, not_negative, positive};
use super::layer::{RULE, fields, layer};

/// What the outputs of a generalised linear model answer on average, per output.
///
/// ```
/// use onsager_replica::average::output;
/// use onsager_scalar::{activation::PiecewiseLinear, likelihood::Noiseless};
/// let x = output(&Noiseless::new(PiecewiseLinear::linear()), 0.75, 0.25)?;
/// assert!((x.score - 4.0).abs() < 1e-12); // 1/V
/// # Ok::<(), onsager_replica::average::AverageError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct OutputAverage {
    /// `E g²`, the precision that one output sends down.
    pub score: f64,
    /// `E Var h`, the mean squared error of the field.
    pub field_mmse: f64,
    /// `Ψ_y = E ln P(y|ω, V)`, in nats per output.
    pub potential: f64,
    /// Self-check: the larger of `|E 1 - 1|` and `|V score - (1 - field_mmse/V)|`.
    pub error: f64,
}

/// Averages behind Bayes-optimal outputs `y ~ P(y|h)` of fields `h ~ N(ω, V)`, `ω ~ N(0, q)`.
///
/// - **Arguments**: overlap `q >= 0` and variance `v > 0` of the field, separate because either may
///   be tiny.
/// - **Identities**: `∂Ψ_y/∂q = score/2` at fixed `q + V`; `V score = 1 - field_mmse/V`.
/// - **Accuracy**: relative 1e-9, as for [`layer`], whose rule for `ω` it shares; linear outputs with noise are closed forms, outputs
///   without noise sums over their own rule ([`Likelihood::outputs`]).
/// - **Errors**: an argument outside its range, or averages that are not finite.
///
/// ```
/// use onsager_replica::average::output;
/// use onsager_scalar::{activation::PiecewiseLinear, likelihood::Noiseless};
/// // One bit says 2φ(0)²/Φ(0)/V about a field of which nothing is known: 2/(π V).
/// let x = output(&Noiseless::new(PiecewiseLinear::sign()), 0.0, 1.0)?;
/// assert!((x.score - 2.0 / std::f64::consts::PI).abs() < 1e-14);
/// # Ok::<(), onsager_replica::average::AverageError>(())
/// ```
pub fn output(law: &dyn Likelihood, q: f64, v: f64) -> Result<OutputAverage, AverageError> {
    match law.form() {
        Form::Additive { phi, noise } => {
            if let ([line], None) = (phi.pieces(), phi.bend()) {
                return affine(line.slope, noise, q, v);
            }
            let x = layer(phi, 1.0 / noise, q, v)?;
            let norm = (2.0 * std::f64::consts::PI * noise).ln();
            Ok(OutputAverage {
                score: x.score,
                field_mmse: x.field_mmse,
                potential: x.likelihood - 0.5 * norm,
                error: x.error,
            })
        }
        Form::Blurred { sharp, variance } => {
            positive("field variance", v)?;
            let x = output(sharp, q, v + variance)?;
            let share = v / (v + variance);
            Ok(OutputAverage {
                field_mmse: share * (variance + share * x.field_mmse),
                ..x
            })
        }
        _ => direct(law, q, v),
    }
}

/// `y = s h + √noise n`, up to an offset.
fn affine(slope: f64, noise: f64, q: f64, v: f64) -> Result<OutputAverage, AverageError> {
    not_negative("overlap", q)?;
    positive("field variance", v)?;
    let square = slope * slope;
    let total = noise + square * v;
    let norm = (2.0 * std::f64::consts::PI * std::f64::consts::E * total).ln();
    Ok(OutputAverage {
        score: square / total,
        field_mmse: v * noise / total,
        potential: -0.5 * norm,
        error: 0.0,
    })
}

fn direct(law: &dyn Likelihood, q: f64, v: f64) -> Result<OutputAverage, AverageError> {
    not_negative("overlap", q)?;
    positive("field variance", v)?;
    let mut sum = [0.0; 4];
    let mut outputs = Vec::new();
    for (omega, weight) in fields((law.pieces(), law.bend(), law.parity()), q, v, RULE) {
        outputs.clear();
        law.outputs(omega, v, &mut outputs);
        for (y, share) in &outputs {
            let seen = law.observe(*y, omega, v);
            let values = [
                1.0,
                seen.score.powi(2),
                seen.field.variance,
                seen.log_evidence,
            ];
            for (sum, value) in sum.iter_mut().zip(values) {
                *sum += weight * share * value;
            }
        }
    }
    let [mass, score, field_mmse, potential] = sum;
    finite(
        "average of the output",
        mass + score + field_mmse + potential,
    )?;
    Ok(OutputAverage {
        score,
        field_mmse,
        potential,
        error: (mass - 1.0)
            .abs()
            .max((v * score - (1.0 - field_mmse / v)).abs()),
    })
}

/// `lim E g²/q` as `q → 0` at `q + V = r`, for outputs that say nothing about the sign of the field,
/// whose scores vanish at `ω = 0`: the average there of the squared curvature.
///
/// ```
/// use onsager_replica::average::output_growth;
/// use onsager_scalar::{activation::PiecewiseLinear, likelihood::Noiseless};
/// let abs = Noiseless::new(PiecewiseLinear::abs());
/// assert!((output_growth(&abs, 0.5)? - 8.0).abs() < 1e-12); // E (1 - h²/r)²/r² = 2/r²
/// # Ok::<(), onsager_replica::average::AverageError>(())
/// ```
///
/// # Errors
/// As for [`output`].
pub fn output_growth(law: &dyn Likelihood, r: f64) -> Result<f64, AverageError> {
    match law.form() {
        Form::Additive { phi, noise } => Ok(layer(phi, 1.0 / noise, 0.0, r)?.growth),
        Form::Blurred { sharp, variance } => output_growth(sharp, r + variance),
        _ => {
            positive("field variance", r)?;
            let mut outputs = Vec::new();
            law.outputs(0.0, r, &mut outputs);
            let square = |y: f64| law.observe(y, 0.0, r).curvature.powi(2);
            let sum: f64 = outputs.iter().map(|(y, share)| share * square(*y)).sum();
            finite("average of the output", sum)
        }
    }
}
