//! When theory and simulation agree, and whether the test could have said otherwise.
//!
//! A figure declares its [`Agreement`]s; [`judge`] turns them into [`Verdict`]s. The error of a
//! false alarm is [`FAMILY_ERROR`] for the whole figure, shared equally among all statistical
//! points of all its agreements (Bonferroni). Whatever is missing, not finite or measured with
//! fewer than [`MINIMUM_TRIALS`] trials counts as a point that failed: nothing passes silently.

use std::fmt::Write as _;

use serde::{Deserialize, Serialize};
use statrs::distribution::{Binomial, ContinuousCDF, DiscreteCDF, StudentsT};

use crate::{Row, Table};

/// Probability that a figure whose theory is right is called wrong.
pub const FAMILY_ERROR: f64 = 1e-4;

/// Fewest trials behind a judged number: below, a standard error means little.
pub const MINIMUM_TRIALS: u64 = 16;

/// Largest finite-size bias, as a fraction of the quantity, that is not a disagreement.
pub const LARGEST_BIAS: f64 = 0.1;

/// Fraction of points at which a deliberately wrong theory must fail.
pub const LEAST_POWER: f64 = 0.5;

/// One thing that a figure asserts about its tables.
#[derive(Debug, Clone, PartialEq)]
pub enum Agreement {
    /// Means of trials against theory, with an extrapolated finite-size bias.
    Means(Means),
    /// Two deterministic routes to one number.
    Identity(Identity),
    /// Probability of success on the two sides of a line.
    Success(Success),
    /// Data of several sizes on one curve after rescaling.
    Collapse(Collapse),
}

/// What came of an agreement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// Name of the agreement.
    pub name: String,
    /// Whether every point ran and agreed, and the wrong theory was found out.
    pub held: bool,
    /// Number of judged points.
    pub points: usize,
    /// Largest ratio of a difference to its bound; infinite, written as null, if it has no value.
    #[serde(with = "infinite")]
    pub worst: f64,
    /// Fraction of the points at which the deliberately wrong theory failed.
    pub power: Option<f64>,
    /// The numbers in words.
    pub text: String,
}

/// Judges all agreements of one figure together.
pub fn judge(agreements: &[Agreement]) -> Vec<Verdict> {
    let points: usize = agreements.iter().map(Agreement::statistical_points).sum();
    let level = FAMILY_ERROR / points.max(1) as f64;
    agreements
        .iter()
        .map(|agreement| agreement.judge(level))
        .collect()
}

/// Mean of independent trials.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// Arithmetic mean.
    pub mean: f64,
    /// Standard error of the mean, from the unbiased variance.
    pub standard_error: f64,
    /// Number of trials.
    pub trials: u64,
}

impl Sample {
    /// Mean and standard error of these trials; the error is NaN for fewer than two.
    pub fn of(values: &[f64]) -> Self {
        let count = values.len() as f64;
        let mean = values.iter().sum::<f64>() / count;
        let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (count - 1.0);
        let standard_error = if values.len() < 2 {
            f64::NAN
        } else {
            (variance / count).sqrt()
        };
        Self {
            mean,
            standard_error,
            trials: values.len() as u64,
        }
    }

    /// The mean at `x` of a measured series.
    pub fn at(table: &Table, panel: &str, series: &str, x: f64) -> Option<Self> {
        let row = table.at(panel, series, x)?;
        Some(Self {
            mean: row.y,
            standard_error: row.uncertainty,
            trials: row.trials,
        })
    }

    fn is_judgeable(&self) -> bool {
        self.trials >= MINIMUM_TRIALS
            && self.mean.is_finite()
            && self.standard_error.is_finite()
            && self.standard_error > 0.0
    }
}

/// Means of trials at sizes n/4, n/2, n against theory.
///
/// `E mean(n) = theory(n) + b n^-g` with a declared exponent `g`; `b` is fitted at the two smaller
/// sizes (weighted least squares) and asserted at the largest:
///
/// `|mean(n) - theory(n) - b n^-g| <= t s`, `|b| n^-g <= 0.1 quantity`,
///
/// where `s² = se(n)² + n^-2g var b` and `t` is the two-sided Student quantile with the smallest
/// number of degrees of freedom among the three samples, which is conservative whatever their
/// variances. The same check with all three theory values moved by `shifted - theory(n)` must fail at
/// half of the points or more.
#[derive(Debug, Clone, PartialEq)]
pub struct Means {
    /// Name of the agreement.
    pub name: String,
    /// Finite-size exponent `g > 0`.
    pub exponent: f64,
    /// The judged points.
    pub points: Vec<MeanPoint>,
}

/// One judged point of [`Means`]; sizes and values stand in the order n/4, n/2, n.
#[derive(Debug, Clone, PartialEq)]
pub struct MeanPoint {
    /// The point in words: `"delta = 0.5"`.
    pub label: String,
    /// Realised sizes.
    pub sizes: [f64; 3],
    /// Theory at the realised ratios of each size.
    pub theory: [f64; 3],
    /// Measured means; `None` if one is missing.
    pub samples: [Option<Sample>; 3],
    /// Theory at size n with its control parameter shifted by 5 percent.
    pub shifted: f64,
    /// What the bias is compared with, positive; usually `|theory(n)|`.
    pub quantity: f64,
}

/// Where [`Means::series`] finds its numbers; names stand in the order n/4, n/2, n.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct MeanSeries<'a> {
    /// Panel of both tables.
    pub panel: &'a str,
    /// Realised sizes.
    pub sizes: [f64; 3],
    /// Series of the theory table.
    pub theory: [&'a str; 3],
    /// Series of the simulation table.
    pub simulation: [&'a str; 3],
    /// Series of the theory table with the control parameter shifted by 5 percent.
    pub shifted: &'a str,
}

impl Means {
    /// An agreement without points yet.
    pub fn new(name: impl Into<String>, exponent: f64) -> Self {
        Self {
            name: name.into(),
            exponent,
            points: Vec::new(),
        }
    }

    /// Adds a point.
    pub fn point(mut self, point: MeanPoint) -> Self {
        self.points.push(point);
        self
    }

    /// Adds a point for every abscissa of the theory at size n that `judged` accepts, so that a point
    /// missing from the simulation is noticed. Abscissae must be equal to the bit.
    pub fn series(
        mut self,
        theory: &Table,
        simulation: &Table,
        series: MeanSeries<'_>,
        judged: impl Fn(f64) -> bool,
    ) -> Self {
        let value = |name: &str, x| {
            theory
                .at(series.panel, name, x)
                .map_or(f64::NAN, |row| row.y)
        };
        for row in theory
            .series(series.panel, series.theory[2])
            .filter(|row| judged(row.x))
        {
            self.points.push(MeanPoint {
                label: format!("{} at {}", series.theory[2], row.x),
                sizes: series.sizes,
                theory: series.theory.map(|name| value(name, row.x)),
                samples: series
                    .simulation
                    .map(|name| Sample::at(simulation, series.panel, name, row.x)),
                shifted: value(series.shifted, row.x),
                quantity: row.y.abs(),
            });
        }
        self
    }

    fn judge(&self, level: f64) -> Verdict {
        let checks: Vec<_> = self
            .points
            .iter()
            .map(|point| Check {
                label: &point.label,
                outcome: point.check(self.exponent, 0.0, level),
                control: Some(point.check(self.exponent, point.shifted - point.theory[2], level)),
            })
            .collect();
        verdict(&self.name, &checks)
    }
}

impl MeanPoint {
    /// The check against theory moved by `shift`.
    fn check(&self, exponent: f64, shift: f64, level: f64) -> Outcome {
        let [Some(quarter), Some(half), Some(full)] = self.samples else {
            return Outcome::unusable("a size is missing");
        };
        let samples = [quarter, half, full];
        if let Some(sample) = samples.iter().find(|sample| !sample.is_judgeable()) {
            return Outcome::unusable(&format!(
                "mean {} ± {} of {} trials is not judgeable",
                sample.mean, sample.standard_error, sample.trials
            ));
        }
        let theory = self.theory.map(|value| value + shift);
        let decay = self.sizes.map(|size| size.powf(-exponent));
        let increasing = self.sizes[0] < self.sizes[1] && self.sizes[1] < self.sizes[2];
        let finite = theory
            .iter()
            .chain(&decay)
            .chain([&self.quantity])
            .all(|value| value.is_finite());
        let positive = self.sizes[0] > 0.0 && self.quantity > 0.0 && exponent > 0.0;
        if !finite || !increasing || !positive {
            return Outcome::unusable("theory, quantity, sizes or exponent have no usable value");
        }
        // Weighted least squares of mean - theory = b n^-g at the two smaller sizes.
        let (mut moment, mut weight) = (0.0, 0.0);
        for i in 0..2 {
            let precision = samples[i].standard_error.powi(-2);
            moment += precision * decay[i] * (samples[i].mean - theory[i]);
            weight += precision * decay[i].powi(2);
        }
        let bias = moment / weight * decay[2];
        let error = (full.standard_error.powi(2) + decay[2].powi(2) / weight).sqrt();
        let freedom = samples
            .iter()
            .map(|sample| sample.trials)
            .min()
            .unwrap_or(0)
            - 1;
        let bound = student_quantile(level, freedom as f64) * error;
        let difference = full.mean - theory[2] - bias;
        let largest = LARGEST_BIAS * self.quantity;
        let ratio = (difference.abs() / bound).max(bias.abs() / largest);
        let mut text = String::new();
        let _ = write!(
            text,
            "mean {:.6} ± {:.1e}, theory {:.6}, bias {bias:.1e} (at most {largest:.1e}), \
             rest {difference:.1e} (at most {bound:.1e})",
            full.mean, full.standard_error, theory[2]
        );
        Outcome::of(ratio, text)
    }
}

/// Two deterministic routes to the same numbers: `|a - b| <= tolerance`.
#[derive(Debug, Clone, PartialEq)]
pub struct Identity {
    /// Name of the agreement.
    pub name: String,
    /// Why the tolerances are what they are.
    pub reason: String,
    /// The judged points.
    pub points: Vec<IdentityPoint>,
}

/// One point of an [`Identity`].
#[derive(Debug, Clone, PartialEq)]
pub struct IdentityPoint {
    /// The point in words.
    pub label: String,
    /// One route.
    pub left: f64,
    /// The other route.
    pub right: f64,
    /// Absolute tolerance.
    pub tolerance: f64,
    /// The other route at a wrong parameter, which must fail at half of the points that have one.
    pub shifted: Option<f64>,
}

impl Identity {
    /// An identity without points yet; `reason` says where its tolerances come from.
    pub fn new(name: impl Into<String>, reason: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            reason: reason.into(),
            points: Vec::new(),
        }
    }

    /// Adds a point without a control.
    pub fn point(
        mut self,
        label: impl Into<String>,
        left: f64,
        right: f64,
        tolerance: f64,
    ) -> Self {
        let label = label.into();
        self.points.push(IdentityPoint {
            label,
            left,
            right,
            tolerance,
            shifted: None,
        });
        self
    }

    /// Gives the last point a control.
    pub fn control(mut self, shifted: f64) -> Self {
        if let Some(point) = self.points.last_mut() {
            point.shifted = Some(shifted);
        }
        self
    }

    fn judge(&self) -> Verdict {
        let check = |point: &IdentityPoint, right: f64| {
            let difference = (point.left - right).abs();
            // Equal numbers satisfy a tolerance of zero.
            let ratio = if difference == 0.0 {
                0.0
            } else {
                difference / point.tolerance
            };
            let usable = point.tolerance >= 0.0 && point.tolerance.is_finite();
            Outcome::of(
                if usable { ratio } else { f64::NAN },
                format!(
                    "{} against {right}, difference {difference:.1e} (at most {:.1e})",
                    point.left, point.tolerance
                ),
            )
        };
        let checks: Vec<_> = self
            .points
            .iter()
            .map(|point| Check {
                label: &point.label,
                outcome: check(point, point.right),
                control: point.shifted.map(|right| check(point, right)),
            })
            .collect();
        let mut verdict = verdict(&self.name, &checks);
        let _ = write!(verdict.text, "; tolerance: {}", self.reason);
        verdict
    }
}

/// Probabilities of success, on either side of a line.
///
/// `at least p` is refuted when as few successes as seen have probability below the level if the
/// probability were `p`; `at most p` likewise. The control is the mirrored claim
/// (`at most 1 - p` for `at least p`), which the same data must refute at half of the points.
#[derive(Debug, Clone, PartialEq)]
pub struct Success {
    /// Name of the agreement.
    pub name: String,
    /// The judged points.
    pub points: Vec<SuccessPoint>,
}

/// One point of a [`Success`].
#[derive(Debug, Clone, PartialEq)]
pub struct SuccessPoint {
    /// The point in words.
    pub label: String,
    /// Successful trials.
    pub successes: u64,
    /// All trials.
    pub trials: u64,
    /// What is claimed of the probability.
    pub claim: Claim,
}

/// A bound on a probability of success.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Claim {
    /// At least this, in (1/2, 1).
    AtLeast(f64),
    /// At most this, in (0, 1/2).
    AtMost(f64),
}

impl Claim {
    fn mirrored(self) -> Self {
        match self {
            Self::AtLeast(p) => Self::AtMost(1.0 - p),
            Self::AtMost(p) => Self::AtLeast(1.0 - p),
        }
    }
}

impl Success {
    /// An agreement without points yet.
    pub fn new(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            points: Vec::new(),
        }
    }

    /// Adds a point.
    pub fn point(
        mut self,
        label: impl Into<String>,
        successes: u64,
        trials: u64,
        claim: Claim,
    ) -> Self {
        self.points.push(SuccessPoint {
            label: label.into(),
            successes,
            trials,
            claim,
        });
        self
    }

    /// Adds a measured fraction ([`Row::fraction`]); a missing row is a point that fails.
    pub fn row(self, label: impl Into<String>, row: Option<&Row>, claim: Claim) -> Self {
        let trials = row.map_or(0, |row| row.trials);
        let successes = row.map_or(f64::NAN, |row| row.y * row.trials as f64);
        // A fraction that is none, like NaN, becomes more successes than trials, which fails.
        let possible = (0.0..=trials as f64).contains(&successes.round());
        let successes = if possible {
            successes.round() as u64
        } else {
            trials + 1
        };
        self.point(label, successes, trials, claim)
    }

    fn judge(&self, level: f64) -> Verdict {
        let checks: Vec<_> = self
            .points
            .iter()
            .map(|point| Check {
                label: &point.label,
                outcome: point.check(point.claim, level),
                control: Some(point.check(point.claim.mirrored(), level)),
            })
            .collect();
        verdict(&self.name, &checks)
    }
}

impl SuccessPoint {
    fn check(&self, claim: Claim, level: f64) -> Outcome {
        let (p, sensible) = match claim {
            Claim::AtLeast(p) => (p, p > 0.5 && p < 1.0),
            Claim::AtMost(p) => (p, p > 0.0 && p < 0.5),
        };
        if !sensible || self.trials < MINIMUM_TRIALS || self.successes > self.trials {
            return Outcome::unusable("trials or the claimed probability are out of range");
        }
        let Ok(law) = Binomial::new(p, self.trials) else {
            return Outcome::unusable("the claimed probability is out of range");
        };
        // Probability of a result at least as unfavourable to the claim as the one seen.
        let (tail, relation) = match claim {
            Claim::AtLeast(_) => (law.cdf(self.successes), "at least"),
            Claim::AtMost(_) if self.successes == 0 => (1.0, "at most"),
            Claim::AtMost(_) => (law.sf(self.successes - 1), "at most"),
        };
        let text = format!(
            "{} of {} trials succeeded, claimed {relation} {p}, tail probability {tail:.1e} (at least {level:.1e})",
            self.successes, self.trials
        );
        // 0 when the tail is 1, 1 when it reaches the level: a ratio of exponents. The tail may
        // underflow to 0, whose exponent is infinite and which is refuted, as it should.
        Outcome::of(
            if tail == 0.0 {
                f64::MAX
            } else {
                tail.ln() / level.ln()
            },
            text,
        )
    }
}

/// Data of several sizes that fall on one curve: `n^a mean(n)` does not depend on n.
///
/// Every smaller size is compared with the largest:
/// `|y_i - y| <= t sqrt(se_i² + se²) + correction |y|`, `y = n^a mean(n)`, where `correction`
/// declares the corrections to scaling. With the rival exponent the same check must fail at half of the
/// points or more.
#[derive(Debug, Clone, PartialEq)]
pub struct Collapse {
    /// Name of the agreement.
    pub name: String,
    /// Exponent `a` that makes the curves collapse.
    pub exponent: f64,
    /// Exponent of the control, which must not.
    pub rival: f64,
    /// Allowed relative correction to scaling.
    pub correction: f64,
    /// The judged points.
    pub points: Vec<CollapsePoint>,
}

/// One point of a [`Collapse`].
#[derive(Debug, Clone, PartialEq)]
pub struct CollapsePoint {
    /// The point in words.
    pub label: String,
    /// Sizes in increasing order with their means; no mean if it is missing.
    pub sizes: Vec<(f64, Option<Sample>)>,
}

impl Collapse {
    /// A collapse without points yet.
    pub fn new(name: impl Into<String>, exponent: f64, rival: f64, correction: f64) -> Self {
        Self {
            name: name.into(),
            exponent,
            rival,
            correction,
            points: Vec::new(),
        }
    }

    /// Adds the means at one scaled abscissa, smallest size first; at least two sizes.
    pub fn point(mut self, label: impl Into<String>, sizes: Vec<(f64, Option<Sample>)>) -> Self {
        self.points.push(CollapsePoint {
            label: label.into(),
            sizes,
        });
        self
    }

    fn comparisons(&self) -> usize {
        self.points
            .iter()
            .map(|point| point.sizes.len().max(2) - 1)
            .sum()
    }

    fn judge(&self, level: f64) -> Verdict {
        let checks: Vec<_> = self
            .points
            .iter()
            .map(|point| Check {
                label: &point.label,
                outcome: self.check(&point.sizes, self.exponent, level),
                control: Some(self.check(&point.sizes, self.rival, level)),
            })
            .collect();
        verdict(&self.name, &checks)
    }

    fn check(&self, sizes: &[(f64, Option<Sample>)], exponent: f64, level: f64) -> Outcome {
        let present: Option<Vec<_>> = sizes
            .iter()
            .map(|(size, sample)| Some((*size, (*sample)?)))
            .collect();
        let Some(sizes) = present else {
            return Outcome::unusable("a size is missing");
        };
        let Some(((largest, reference), smaller)) = sizes
            .split_last()
            .filter(|(_, smaller)| !smaller.is_empty())
        else {
            return Outcome::unusable("at least two sizes are needed");
        };
        let usable = sizes
            .iter()
            .all(|(size, sample)| *size > 0.0 && sample.is_judgeable());
        if !usable || !exponent.is_finite() || self.correction.is_nan() || self.correction < 0.0 {
            return Outcome::unusable("a mean, size or exponent has no usable value");
        }
        let scaled = largest.powf(exponent) * reference.mean;
        let mut worst = Outcome::of(0.0, String::new());
        for (size, sample) in smaller {
            let (scale, other) = (largest.powf(exponent), size.powf(exponent));
            let error = (scale * reference.standard_error).hypot(other * sample.standard_error);
            let freedom = reference.trials.min(sample.trials) - 1;
            let bound =
                student_quantile(level, freedom as f64) * error + self.correction * scaled.abs();
            let difference = other * sample.mean - scaled;
            let ratio = difference.abs() / bound;
            if worst.ratio <= ratio || ratio.is_nan() {
                worst = Outcome::of(
                    ratio,
                    format!(
                        "sizes {size} and {largest} differ by {difference:.1e} of {scaled:.4} (at most {bound:.1e})"
                    ),
                );
            }
        }
        worst
    }
}

impl Agreement {
    fn judge(&self, level: f64) -> Verdict {
        match self {
            Self::Means(means) => means.judge(level),
            Self::Identity(identity) => identity.judge(),
            Self::Success(success) => success.judge(level),
            Self::Collapse(collapse) => collapse.judge(level),
        }
    }

    fn statistical_points(&self) -> usize {
        match self {
            Self::Means(means) => means.points.len(),
            Self::Identity(_) => 0,
            Self::Success(success) => success.points.len(),
            Self::Collapse(collapse) => collapse.comparisons(),
        }
    }
}

impl From<Means> for Agreement {
    fn from(means: Means) -> Self {
        Self::Means(means)
    }
}

impl From<Identity> for Agreement {
    fn from(identity: Identity) -> Self {
        Self::Identity(identity)
    }
}

impl From<Success> for Agreement {
    fn from(success: Success) -> Self {
        Self::Success(success)
    }
}

impl From<Collapse> for Agreement {
    fn from(collapse: Collapse) -> Self {
        Self::Collapse(collapse)
    }
}

/// A point against the theory and, if there is one, against the deliberately wrong theory.
struct Check<'a> {
    label: &'a str,
    outcome: Outcome,
    control: Option<Outcome>,
}

/// A difference over its bound; what cannot be judged has an infinite ratio.
struct Outcome {
    ratio: f64,
    text: String,
    usable: bool,
}

impl Outcome {
    fn of(ratio: f64, text: String) -> Self {
        let usable = !ratio.is_nan();
        Self {
            ratio: if usable { ratio } else { f64::INFINITY },
            text,
            usable,
        }
    }

    fn unusable(reason: &str) -> Self {
        Self {
            ratio: f64::INFINITY,
            text: reason.to_owned(),
            usable: false,
        }
    }

    fn held(&self) -> bool {
        self.usable && self.ratio <= 1.0
    }

    /// A control counts as found out only if it could be judged.
    fn refuted(&self) -> bool {
        self.usable && self.ratio > 1.0
    }
}

/// Failing points named in the text; the rest is counted.
const NAMED_FAILURES: usize = 3;

fn verdict(name: &str, checks: &[Check<'_>]) -> Verdict {
    let failed: Vec<_> = checks
        .iter()
        .filter(|check| !check.outcome.held())
        .collect();
    let worst = checks
        .iter()
        .max_by(|a, b| a.outcome.ratio.total_cmp(&b.outcome.ratio));
    let controls: Vec<_> = checks
        .iter()
        .filter_map(|check| check.control.as_ref())
        .collect();
    let refuted = controls.iter().filter(|control| control.refuted()).count();
    let power = (!controls.is_empty()).then(|| refuted as f64 / controls.len() as f64);

    let mut text = format!(
        "{} of {} points agree",
        checks.len() - failed.len(),
        checks.len()
    );
    if failed.is_empty() {
        if let Some(check) = worst {
            let _ = write!(text, "; the worst, {}: {}", check.label, check.outcome.text);
        }
    } else {
        for check in failed.iter().take(NAMED_FAILURES) {
            let _ = write!(text, "; {}: {}", check.label, check.outcome.text);
        }
        if failed.len() > NAMED_FAILURES {
            let _ = write!(text, "; and {} more", failed.len() - NAMED_FAILURES);
        }
    }
    if power.is_some() {
        let _ = write!(
            text,
            "; the wrong theory fails at {refuted} of {}",
            controls.len()
        );
    }
    Verdict {
        name: name.to_owned(),
        held: !checks.is_empty()
            && failed.is_empty()
            && power.is_none_or(|power| power >= LEAST_POWER),
        points: checks.len(),
        worst: worst.map_or(f64::INFINITY, |check| check.outcome.ratio),
        power,
        text,
    }
}

/// The `t` with `P(|T| > t) = level` for `freedom` degrees of freedom.
fn student_quantile(level: f64, freedom: f64) -> f64 {
    match StudentsT::new(0.0, 1.0, freedom) {
        Ok(law) => -law.inverse_cdf(level / 2.0),
        Err(_) => f64::NAN,
    }
}

/// JSON has no infinity: null stands for it.
mod infinite {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, to: S) -> Result<S::Ok, S::Error> {
        value.is_finite().then_some(*value).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
        Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Standard normal numbers (Box and Muller) from SplitMix64.
    struct Normal(u64);

    impl Normal {
        fn uniform(&mut self) -> f64 {
            self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mut z = self.0;
            z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            ((z ^ (z >> 31)) >> 11) as f64 / (1_u64 << 53) as f64
        }

        fn next(&mut self) -> f64 {
            let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
            radius * (std::f64::consts::TAU * self.uniform()).cos()
        }

        /// Trials around `mean` with fluctuations of order `n^-1/2`.
        fn sample(&mut self, mean: f64, n: f64, trials: usize) -> Sample {
            let values: Vec<f64> = (0..trials).map(|_| mean + self.next() / n.sqrt()).collect();
            Sample::of(&values)
        }
    }

    const SIZES: [f64; 3] = [250.0, 500.0, 1000.0];

    /// A point whose theory is 1 and whose means are `truth + bias / n`.
    fn point(normal: &mut Normal, truth: f64, bias: f64, trials: usize) -> MeanPoint {
        MeanPoint {
            label: "x".to_owned(),
            sizes: SIZES,
            theory: [1.0; 3],
            samples: SIZES.map(|n| Some(normal.sample(truth + bias / n, n, trials))),
            shifted: 1.05,
            quantity: 1.0,
        }
    }

    fn means(points: Vec<MeanPoint>) -> Agreement {
        Means {
            name: "means".to_owned(),
            exponent: 1.0,
            points,
        }
        .into()
    }

    fn one(agreement: Agreement) -> Verdict {
        judge(&[agreement]).remove(0)
    }

    #[test]
    fn a_right_theory_fails_no_more_often_than_the_level() {
        let (mut normal, level, repeats) = (Normal(1), 0.05, 4000);
        let mut failed = 0;
        for _ in 0..repeats {
            let check = point(&mut normal, 1.0, 20.0, 16).check(1.0, 0.0, level);
            failed += usize::from(!check.held());
        }
        let rate = failed as f64 / repeats as f64;
        // Four standard deviations of the binomial count above; the bound is conservative, since the
        // degrees of freedom of the sum lie between 15 and 45, but not idle: t_15 against t_45 is 3 percent of the level.
        let slack = 4.0 * (level * (1.0 - level) / repeats as f64).sqrt();
        assert!(rate <= level + slack, "rate {rate}");
        assert!(rate >= level / 2.0, "rate {rate}: the bound says nothing");
    }

    #[test]
    fn a_right_theory_holds_with_power_and_a_wrong_one_does_not() {
        let mut normal = Normal(2);
        let mut family = |truth| {
            means(
                (0..20)
                    .map(|_| point(&mut normal, truth, 20.0, 64))
                    .collect(),
            )
        };
        let right = one(family(1.0));
        assert!(right.held && right.worst <= 1.0, "{right:?}");
        let wrong = one(family(1.05));
        assert!(!wrong.held && wrong.worst > 1.0, "{wrong:?}");
    }

    #[test]
    fn a_test_without_power_does_not_hold() {
        let mut normal = Normal(3);
        let mut blunt = point(&mut normal, 1.0, 0.0, 16);
        for sample in blunt.samples.iter_mut().flatten() {
            sample.standard_error *= 100.0;
        }
        let verdict = one(means(vec![blunt]));
        assert!(
            verdict.worst <= 1.0 && verdict.power == Some(0.0) && !verdict.held,
            "{verdict:?}"
        );
    }

    #[test]
    fn what_cannot_be_judged_does_not_hold() {
        let good = point(&mut Normal(4), 1.0, 0.0, 64);
        assert!(one(means(vec![good.clone()])).held);
        let spoiled = |spoil: fn(&mut MeanPoint)| {
            let mut bad = good.clone();
            spoil(&mut bad);
            one(means(vec![good.clone(), bad]))
        };
        let with = |change: fn(&mut Sample)| {
            let mut bad = good.clone();
            bad.samples[1].iter_mut().for_each(change);
            one(means(vec![good.clone(), bad]))
        };
        let cases = [
            spoiled(|point| point.samples[0] = None),
            spoiled(|point| point.theory[2] = f64::NAN),
            spoiled(|point| point.theory[0] = f64::INFINITY),
            spoiled(|point| point.quantity = f64::NAN),
            spoiled(|point| point.sizes = [1000.0, 500.0, 250.0]),
            spoiled(|point| point.sizes[0] = 0.0),
            with(|sample| sample.trials = MINIMUM_TRIALS - 1),
            with(|sample| sample.mean = f64::NAN),
            with(|sample| sample.standard_error = f64::NAN),
            with(|sample| sample.standard_error = 0.0),
            one(means(Vec::new())),
            one(Means {
                exponent: 0.0,
                ..Means::new("means", 1.0)
            }
            .point(good.clone())
            .into()),
            one(Identity::new("identity", "none").into()),
            one(Identity::new("identity", "")
                .point("x", f64::NAN, f64::NAN, 1.0)
                .into()),
            one(Identity::new("identity", "")
                .point("x", 1.0, 1.0, f64::NAN)
                .into()),
            one(Success::new("success")
                .point("x", 15, 15, Claim::AtLeast(0.9))
                .into()),
            one(Success::new("success")
                .point("x", 17, 16, Claim::AtLeast(0.9))
                .into()),
            one(Success::new("success")
                .point("x", 16, 16, Claim::AtLeast(0.4))
                .into()),
            one(Success::new("success")
                .point("x", 16, 16, Claim::AtLeast(f64::NAN))
                .into()),
            one(Collapse::new("collapse", 1.0, 0.0, 0.0)
                .point("x", Vec::new())
                .into()),
            one(Collapse::new("collapse", 1.0, 0.0, 0.0)
                .point("x", vec![(1.0, None), (2.0, good.samples[2])])
                .into()),
            one(Success::new("success")
                .row("x", None, Claim::AtLeast(0.9))
                .into()),
            one(Success::new("success")
                .row(
                    "x",
                    Some(&Row::fraction("", "", 0.0, 0, 0)),
                    Claim::AtMost(0.1),
                )
                .into()),
        ];
        for (number, verdict) in cases.iter().enumerate() {
            assert!(!verdict.held, "case {number}: {verdict:?}");
        }
    }

    #[test]
    fn a_shift_that_cannot_be_judged_is_not_power() {
        let mut point = point(&mut Normal(5), 1.0, 0.0, 64);
        point.shifted = f64::NAN;
        let verdict = one(means(vec![point]));
        assert!(verdict.power == Some(0.0) && !verdict.held, "{verdict:?}");
    }

    #[test]
    fn a_large_bias_is_a_disagreement() {
        // 250 / n is 25 percent at n = 1000, although it extrapolates perfectly.
        let verdict = one(means(vec![point(&mut Normal(6), 1.0, 250.0, 64)]));
        assert!(!verdict.held && verdict.worst > 2.0, "{verdict:?}");
    }

    #[test]
    fn the_family_shares_its_error() {
        // Quantiles of the t distribution with 15 degrees of freedom, from tables: 0.001 and, by
        // its closed form for the tail, smaller for more points.
        assert!((student_quantile(1e-3, 15.0) - 4.0728).abs() < 5e-5);
        let tail = |t: f64| StudentsT::new(0.0, 1.0, 15.0).map_or(f64::NAN, |law| 2.0 * law.sf(t));
        for points in [1.0, 40.0, 1e4] {
            let level = FAMILY_ERROR / points;
            assert!((tail(student_quantile(level, 15.0)) / level - 1.0).abs() < 1e-6);
        }
        // The same point has a wider bound, hence a smaller ratio, in a larger family.
        let single = point(&mut Normal(7), 1.01, 0.0, 64);
        let alone = judge(&[means(vec![single.clone()])]);
        let others = (0..50)
            .map(|i| point(&mut Normal(i), 1.0, 0.0, 64))
            .collect();
        let family = judge(&[means(vec![single]), means(others)]);
        assert!(
            family[0].worst < alone[0].worst,
            "{} and {}",
            family[0].worst,
            alone[0].worst
        );
    }

    #[test]
    fn identities_compare_to_their_tolerance() {
        let identity = |b, shifted| {
            one(Identity::new("identity", "rounding")
                .point("x", 1.0, b, 1e-9)
                .control(shifted)
                .into())
        };
        assert!(identity(1.0 + 0.9e-9, 1.05).held);
        assert!(!identity(1.0 + 1.1e-9, 1.05).held);
        assert!(
            !identity(1.0, 1.0).held,
            "a control that agrees is no power"
        );
        assert!(one(Identity::new("exact", "").point("x", 2.0, 2.0, 0.0).into()).held);
    }

    #[test]
    fn success_fractions_use_the_exact_tail() {
        let verdict = |k, claim| one(Success::new("success").point("x", k, 16, claim).into());
        // Ten of sixteen at 0.9: tail 0.0033 > 1e-4; six: 9.3e-6 < 1e-4.
        assert!(verdict(10, Claim::AtLeast(0.9)).held);
        assert!(!verdict(6, Claim::AtLeast(0.9)).held);
        assert!(verdict(6, Claim::AtMost(0.1)).held);
        assert!(!verdict(10, Claim::AtMost(0.1)).held);
        let row = Row::fraction("", "", 0.0, 10, 16);
        let from_row = one(Success::new("success")
            .row("x", Some(&row), Claim::AtLeast(0.9))
            .into());
        assert_eq!(from_row, verdict(10, Claim::AtLeast(0.9)));
        // Half of the trials refute neither claim: no power.
        assert!(!verdict(8, Claim::AtLeast(0.6)).held);
    }

    #[test]
    fn curves_collapse_with_the_right_exponent_only() {
        let mut normal = Normal(8);
        let points: Vec<_> = (0..5)
            .map(|_| {
                SIZES
                    .map(|n| (n, Some(normal.sample(n.powf(-1.0 / 3.0), 1e6, 32))))
                    .to_vec()
            })
            .collect();
        let collapse = |exponent, rival| {
            let empty = Collapse::new("collapse", exponent, rival, 0.01);
            one(points
                .iter()
                .fold(empty, |c, sizes| c.point("x", sizes.clone()))
                .into())
        };
        assert!(collapse(1.0 / 3.0, 0.5).held);
        assert!(!collapse(0.5, 1.0 / 3.0).held);
    }

    #[test]
    fn verdicts_survive_json() {
        let verdict = one(means(Vec::new()));
        let text = serde_json::to_string(&verdict).expect("JSON");
        assert!(text.contains("\"worst\":null"), "{text}");
        assert_eq!(
            serde_json::from_str::<Verdict>(&text).expect("a verdict"),
            verdict
        );
    }
}
