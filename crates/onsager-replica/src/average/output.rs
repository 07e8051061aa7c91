//! The matched average of an output.

use onsager_scalar::Likelihood;
use onsager_scalar::activation::Curve;
use onsager_scalar::likelihood::{Form, Possible, Seen, likeliest};
use onsager_scalar::quadrature::{Panels, gaussian_averages, integrate};
use onsager_scalar::special::normal_density;

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
        Form::Invertible { curve } => invertible(curve, q, v),
        _ => direct(law, q, v),
    }
}

/// `y = φ(h)`, which tells `h`: `P(y|ω, V) = N(h; ω, V)/φ'(h)`.
fn invertible(curve: &dyn Curve, q: f64, v: f64) -> Result<OutputAverage, AverageError> {
    not_negative("overlap", q)?;
    positive("field variance", v)?;
    let sd = (q + v).sqrt();
    // Slopes fall like exp(-h/bend) or faster: their logarithm bends at zero, over that length.
    let panels = Panels::gaussian();
    let panels = panels.clone().refine_towards(0.0, curve.bend() / sd);
    let slope = |t: f64| normal_density(t) * curve.log_slope(sd * t);
    let slope = panels.and_then(|panels| integrate(&panels, 16, slope));
    let slope = slope.map_or(f64::NAN, |found| found.value);
    finite("average of the output", slope)?;
    let norm = (2.0 * std::f64::consts::PI * std::f64::consts::E * v).ln();
    Ok(OutputAverage {
        score: 1.0 / v,
        field_mmse: 0.0,
        potential: -0.5 * norm - slope,
        error: 0.0,
    })
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

/// Whether fields of this mass, the least likely ones, add nothing: with any of them `V E g²` and `E Var h/V`
/// are 1 at most, and what an output tells grows no faster than its field.
fn is_told([mass, score, field_mmse, potential]: [f64; 4], rest: f64, v: f64) -> bool {
    const REST: f64 = 1e-13;
    const FIELD: f64 = 20.0;
    let least = (v * score).min(field_mmse / v).min(mass);
    rest <= REST * least && FIELD * rest <= REST * potential.abs().min(1.0)
}

fn direct(law: &dyn Likelihood, q: f64, v: f64) -> Result<OutputAverage, AverageError> {
    not_negative("overlap", q)?;
    positive("field variance", v)?;
    let mut sum = [0.0; 4];
    let mut outputs = Vec::new();
    let mut nodes = fields((law.pieces(), law.bend(), law.parity()), q, v, RULE);
    nodes.sort_by(|x, y| y.1.total_cmp(&x.1));
    // Mass of a node and all less likely ones, from the least likely one: rare fields may be all that is told.
    let mut rest = 0.0;
    let mut masses: Vec<f64> = (nodes.iter().rev())
        .map(|n| {
            rest += n.1;
            rest
        })
        .collect();
    for (omega, weight) in nodes {
        if masses.pop().is_some_and(|rest| is_told(sum, rest, v)) {
            break;
        }
        outputs.clear();
        law.outputs(omega, v, &mut outputs);
        for Possible {
            weight: share,
            seen,
            ..
        } in &outputs
        {
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
        // No increasing function hides a sign.
        Form::Invertible { .. } => Ok(1.0 / (r * r)),
        _ => {
            positive("field variance", r)?;
            let mut outputs = Vec::new();
            law.outputs(0.0, r, &mut outputs);
            let squares = outputs.iter().map(|p| p.weight * p.seen.curvature.powi(2));
            let sum: f64 = squares.sum();
            finite("average of the output", sum)
        }
    }
}

/// `E G²/(1 + qG)` over outputs `y` of fields `h ~ N(0, r)`, with `G = (E[h² | y]/r - 1)/r` what an output that
/// does not tell the sign of its field says in second order.
///
/// Linearised message passing of overlap `q` hears this from an output, in units of `q`; at `q = 0` it is
/// [`output_growth`].
///
/// - **Domain**: even outputs, `r > 0` and `0 <= q < r`.
/// - **Accuracy**: relative 1e-9; sums over labels exact.
///
/// ```
/// use onsager_replica::average::output_filtered;
/// use onsager_scalar::{activation::PiecewiseLinear, likelihood::Noiseless};
/// let abs = Noiseless::new(PiecewiseLinear::abs());
/// assert!((output_filtered(&abs, 0.0, 1.0)? - 2.0).abs() < 1e-10); // E (h² - 1)²
/// # Ok::<(), onsager_replica::average::AverageError>(())
/// ```
///
/// # Errors
/// As for [`output`].
pub fn output_filtered(law: &dyn Likelihood, q: f64, r: f64) -> Result<f64, AverageError> {
    if let Form::Blurred { sharp, variance } = law.form() {
        // G is a derivative in the mean of the field, which the noise before the output leaves alone.
        return output_filtered(sharp, q, r + variance);
    }
    not_negative("overlap", q)?;
    positive("field variance", r - q)?;
    let filtered = |seen: &Seen| {
        let g = -seen.curvature;
        g * g / (1.0 + q * g)
    };
    let sd = r.sqrt();
    let total = if let Form::Additive { phi, noise } = law.form() {
        // Over y, whose law changes over the width of the noise where the function bends.
        let size = (phi.second_moment(r) + noise).sqrt();
        let mut panels = Ok(Panels::gaussian());
        let bends = phi.pieces().iter().map(|p| p.at(p.lower.max(-8.0 * sd)));
        for at in bends.chain([0.0]) {
            panels = panels.and_then(|p| p.refine_towards(at / size, 0.5 * noise.sqrt() / size));
        }
        let density = |t: f64| {
            let seen = law.observe(size * t, 0.0, r);
            size * seen.log_evidence.exp() * filtered(&seen)
        };
        panels
            .and_then(|panels| integrate(&panels, 16, density))
            .map_or(f64::NAN, |found| found.value)
    } else if law.entropy(r) == f64::NEG_INFINITY {
        // Outputs without noise are functions of the field.
        let mut panels = Panels::gaussian().refine_towards(0.0, ((r - q) / r).sqrt());
        for p in law.pieces() {
            panels = panels.map(|panels| panels.split_at(p.lower / sd));
        }
        let piece = |h: f64| law.pieces().iter().find(|p| h < p.upper);
        let share = |t: f64| {
            let y = piece(sd * t).map_or(f64::NAN, |p| p.at(sd * t));
            normal_density(t) * filtered(&law.observe(y, 0.0, r))
        };
        panels
            .and_then(|panels| integrate(&panels, 16, share))
            .map_or(f64::NAN, |found| found.value)
    } else {
        let mut outputs = Vec::new();
        law.outputs(0.0, r, &mut outputs);
        outputs.iter().map(|p| p.weight * filtered(&p.seen)).sum()
    };
    finite("average of the output", total)
}

/// How often a label is predicted wrongly from a field of which `h ~ N(ω, V)` is known.
///
/// ```
/// use onsager_replica::average::label_errors;
/// use onsager_scalar::likelihood::Logistic;
/// let blind = label_errors(&Logistic, 0.0, 1.0)?.expect("two labels");
/// assert!((blind.generalisation - 0.5).abs() < 1e-12 && (blind.gibbs - 0.5).abs() < 1e-12);
/// # Ok::<(), onsager_replica::average::AverageError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct LabelErrors {
    /// Of the likeliest label, `E [1 - max_y P(y|ω, V)]`: no prediction errs less often.
    pub generalisation: f64,
    /// Of a label drawn from what is believed, `E [1 - Σ_y P(y|ω, V)²]`.
    pub gibbs: f64,
}

/// Errors on new labels `y ~ P(y|h)` of fields `h ~ N(ω, V)`, `ω ~ N(0, q)`; `None` for outputs that are not
/// finitely many.
///
/// - **Arguments**: overlap `q >= 0` and error `v >= 0` of the field, which may be known exactly.
/// - **Accuracy**: absolute 1e-9.
/// - **Errors**: as for [`output`].
/// - **Closed forms**: for the sign, `arccos √(q/ρ)/π` and, drawn, `arccos(q/ρ)/π`, `ρ = q + V`.
///
/// ```
/// use onsager_replica::average::label_errors;
/// use onsager_scalar::{activation::PiecewiseLinear, likelihood::Noiseless};
/// let sign = Noiseless::new(PiecewiseLinear::sign());
/// let x = label_errors(&sign, 0.5, 0.5)?.expect("two labels");
/// assert!((x.generalisation - 0.25).abs() < 1e-9 && (x.gibbs - 1.0 / 3.0).abs() < 1e-9);
/// # Ok::<(), onsager_replica::average::AverageError>(())
/// ```
pub fn label_errors(
    law: &dyn Likelihood,
    q: f64,
    v: f64,
) -> Result<Option<LabelErrors>, AverageError> {
    not_negative("overlap", q)?;
    not_negative("field variance", v)?;
    let Some(labels) = law.labels() else {
        return Ok(None);
    };
    // A field that is known leaves the noise of the label, in which this variance is not seen.
    let v = v.max(1e-24 * (q + v)).max(f64::MIN_POSITIVE);
    let (scale, width) = (q.sqrt(), v.sqrt());
    let chance = |y: &f64, omega: f64| law.observe(*y, omega, v).log_evidence.exp();
    // Sums over the other labels: nothing is subtracted from 1.
    let errors = |eta: f64| {
        let p: Vec<f64> = labels.iter().map(|y| chance(y, scale * eta)).collect();
        let others = |i: usize| -> f64 {
            let rest = p.iter().enumerate().filter(|(j, _)| *j != i);
            rest.map(|(_, p)| p).sum()
        };
        let best = (0..p.len()).map(others).fold(f64::INFINITY, f64::min);
        let drawn: f64 = p.iter().enumerate().map(|(i, p)| p * others(i)).sum();
        [best, drawn]
    };
    let [generalisation, gibbs] = if q == 0.0 {
        errors(0.0)
    } else {
        // Where the decision changes, by bisection between the nodes of a grid.
        let label = |eta: f64| likeliest(law, scale * eta, v);
        let mut panels = Ok(Panels::gaussian());
        let edges = law.pieces().iter().map(|p| p.lower / scale);
        let edges = edges.filter(|eta| eta.is_finite());
        let grid = (-CELLS..=CELLS).map(|k| f64::from(k) * 9.5 / f64::from(CELLS));
        let mut grid: Vec<f64> = grid.chain(edges.clone()).collect();
        grid.sort_by(f64::total_cmp);
        let mut turns: Vec<f64> = edges.collect();
        for pair in grid.windows(2) {
            let (mut low, mut high) = (pair[0], pair[1]);
            let from = label(low);
            if from != label(high) {
                for _ in 0..60 {
                    let middle = 0.5 * (low + high);
                    if label(middle) == from {
                        low = middle;
                    } else {
                        high = middle;
                    }
                }
                turns.push(0.5 * (low + high));
            }
        }
        let soft = width.hypot(law.bend().unwrap_or(0.0)) / scale;
        for eta in turns {
            panels = panels.and_then(|panels| panels.split_at(eta).refine_towards(eta, 0.5 * soft));
        }
        let found = panels.and_then(|panels| gaussian_averages(&panels, 16, errors));
        found.map_or([f64::NAN; 2], |all| all.map(|e| e.value))
    };
    finite("error of a label", generalisation + gibbs)?;
    Ok(Some(LabelErrors {
        generalisation,
        gibbs,
    }))
}

/// Cells of half the line of fields in which a decision changes once at most: a label that is the likeliest
/// only within 1/4 of a standard deviation may be overlooked, at the cost of digits, not of the result.
const CELLS: i32 = 40;
