//! The identities of a law.

use rand_chacha::ChaCha8Rng;

use super::{Failure, Report, SEED, TOLERANCE, bisected, derivative, normal, ratios, stream};
use crate::quadrature::{Estimate, Panels, QuadratureError};
use crate::{Moments, Precisions, Prior};

/// What a column may take for 0: its exponential vanishes a little earlier than that of the library.
const UNDERFLOW: f64 = 1e-290;

/// Draws of a sampler: five standard errors are then a percent of the width of the law.
const DRAWS: usize = 100_000;
/// Standard errors within which averages over draws must lie: by chance a comparison leaves
/// them once in two million.
const BAND: f64 = 5.0;

/// Runs every identity of a law, at signal-to-noise ratios `a E x²` from 1e-6 to 1e8.
///
/// | identity | second route |
/// | --- | --- |
/// | values are finite | also far outside the law |
/// | mean, variance, second moment from `A` | differences of `A` and of the mean, extrapolated |
/// | `A(a, b)` and the likelihood | their definition; differences of the likelihood |
/// | normalisation, Nishimori | integral over the data with the density `exp A` |
/// | limits | no message; a message of great precision |
/// | symmetry | `A`, the moments and the mean under `b → -b` |
/// | sampler | averages of `x`, `x²`, likelihoods and of `x` times its estimate, repeated values |
/// | columns | one point at a time |
///
/// Points of the message are drawn from the law and its noise, and chosen where laws are hard:
/// at and between the places that [`Prior::scales`] names, at zero, and far out.
///
/// - **Accuracy**: the routes must agree to a relative 1e-8, within the error estimate of
///   the second route; comparisons with the sampler to five standard errors of 100,000 draws.
///
/// # Errors
/// Every identity that is broken.
///
/// ```
/// use onsager_scalar::{conformance::check_law, prior::GaussBernoulli};
/// let report = check_law(&GaussBernoulli::new(0.1, 0.0, 2.0)?)?;
/// assert!(report.rows().iter().any(|row| row.identity == "∂A/∂b = mean" && row.points > 100));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_law(law: &dyn Prior) -> Result<Report, Failure> {
    check_law_with(law, SEED)
}

/// [`check_law`] on other random points.
///
/// # Errors
/// As for [`check_law`].
pub fn check_law_with(law: &dyn Prior, seed: u64) -> Result<Report, Failure> {
    let mut report = Report::new(law, seed);
    let rho = law.second_moment();
    let (positive, finite) = (rho > 0.0 && rho.is_finite(), law.mean().is_finite());
    let at = || format!("mean {}, second moment {rho}", law.mean());
    report.holds("mean and E x² are finite", at, positive && finite);
    let at = || "scales()".to_string();
    let scales = law.scales();
    let proper = |s: &crate::prior::Scale| s.mean.is_finite() && s.variance >= 0.0;
    let proper = !scales.is_empty() && scales.iter().all(proper);
    report.holds("scales are finite", at, proper);
    if !(positive && finite && proper) {
        return report.verdict();
    }
    let check = Check { law, rho };
    let mut rng = stream(seed, 0);
    for snr in ratios(2) {
        for point in check.points(snr / rho, &mut rng) {
            check.derivatives(&mut report, point);
            check.signs(&mut report, point);
        }
    }
    check.no_message(&mut report);
    for snr in ratios(1) {
        check.integrals(&mut report, snr / rho);
    }
    check.sharp_message(&mut report, &mut rng);
    check.symmetry(&mut report, &mut rng);
    check.columns(&mut report, &mut rng);
    check.sampler(&mut report, seed);
    report.nothing_unseen().verdict()
}

/// A message as (a, y): its field is `b = a y`.
#[derive(Clone, Copy)]
struct Point {
    a: f64,
    y: f64,
}

impl Point {
    fn b(self) -> f64 {
        self.a * self.y
    }
    fn text(self) -> String {
        format!("a = {:e}, b = {:e}", self.a, self.b())
    }
}

struct Check<'a> {
    law: &'a dyn Prior,
    rho: f64,
}

impl Check<'_> {
    /// Fields at one precision: as the channel gives them, at and between the parts of the law,
    /// at zero, and ten widths out.
    fn points(&self, a: f64, rng: &mut ChaCha8Rng) -> Vec<Point> {
        let noise = a.recip().sqrt();
        let mut fields: Vec<f64> = (0..4)
            .map(|_| self.law.sample(rng) + noise * normal(rng))
            .collect();
        let mut places: Vec<f64> = self.law.scales().iter().map(|s| s.mean).collect();
        places.sort_by(f64::total_cmp);
        places.dedup();
        fields.extend(places.windows(2).map(|w| 0.5 * (w[0] + w[1])));
        fields.extend(places.iter().take(4));
        let far = 10.0 * (self.rho.sqrt() + noise);
        fields.extend([0.0, far, -far]);
        fields.into_iter().map(|y| Point { a, y }).collect()
    }

    /// `A`, the moments and the likelihood against each other by differences.
    fn derivatives(&self, report: &mut Report, point: Point) {
        let (law, Point { a, y }, b) = (self.law, point, point.b());
        let at = || point.text();
        let (whole, m) = (law.log_partition(a, b), law.moments(a, b));
        let likelihood = law.log_likelihood(a, y);
        let far = 1e6 * self.rho.sqrt() * y.signum();
        let (beyond, outside) = (law.log_partition(a, a * far), law.moments(a, a * far));
        let finite = [whole, m.mean, m.variance, likelihood, beyond]
            .iter()
            .chain([&outside.mean, &outside.variance])
            .all(|x| x.is_finite());
        report.holds("values are finite", at, finite);
        let proper = m.variance >= 0.0 && outside.variance >= 0.0;
        report.holds("variance >= 0", at, proper);
        if !(finite && proper) {
            return;
        }
        // The last number is the size of terms: logarithms are taken of numbers next to 1.
        let mut slope =
            |name, [found, size]: [f64; 2], f: &dyn Fn(f64) -> f64, [x, step, terms]: [f64; 3]| {
                report.slope(name, at, [found, size], derivative(f, x, step, terms));
            };
        // A changes in b on the scale of one posterior width; where that is nothing, of the law.
        let width = m.variance.max(1e-6 * self.rho).sqrt();
        let step = 64.0 / width;
        let size = m.mean.abs() + m.variance.sqrt();
        let f = |b| law.log_partition(a, b);
        slope("∂A/∂b = mean", [m.mean, size], &f, [b, step, 1.0]);
        let f = |b| law.moments(a, b).mean;
        let variance = [m.variance; 2];
        slope("∂mean/∂b = variance", variance, &f, [b, step, 0.0]);
        // In a, from a step that keeps it positive; between two points of weight a step in `A`
        // is as narrow as 1/E x², however large a is.
        let step = (0.5 * a).min(1e5 / self.rho);
        let square = m.mean * m.mean + m.variance;
        let f = |a| -2.0 * law.log_partition(a, b);
        slope(
            "-2 ∂A/∂a = mean² + variance",
            [square; 2],
            &f,
            [a, step, 2.0],
        );
        let distance = m.variance + (m.mean - y).powi(2);
        let f = |a| -2.0 * law.log_likelihood(a, y);
        let name = "-2 ∂likelihood/∂a = E(x - y)²";
        slope(name, [distance; 2], &f, [a, step, 2.0]);
        // Two terms of the size of b y/2 cancel; the message of the likelihood rounds its own.
        let half = 0.5 * b * y;
        let cancelled = 1.0 + half.abs() + whole.abs();
        report.compare(
            "likelihood = A(a, ay) - ay²/2",
            at,
            [likelihood, whole - half],
            TOLERANCE * likelihood.abs() + 64.0 * f64::EPSILON * cancelled,
        );
    }

    /// What the law says of its symmetry.
    fn signs(&self, report: &mut Report, point: Point) {
        if !self.law.is_even() {
            return;
        }
        let (a, b) = (point.a, point.b());
        let (plus, minus) = (self.law.moments(a, b), self.law.moments(a, -b));
        let mut same = |x: f64, y: f64, size: f64| {
            let allowed = TOLERANCE * size;
            report.compare("even: x and -x agree", || point.text(), [x, y], allowed);
        };
        let (p, q) = (self.law.log_partition(a, b), self.law.log_partition(a, -b));
        same(p, q, p.abs());
        same(
            plus.mean,
            -minus.mean,
            plus.mean.abs() + plus.variance.sqrt(),
        );
        same(plus.variance, minus.variance, plus.variance);
    }

    /// A law that does not say it is even must show it somewhere.
    fn symmetry(&self, report: &mut Report, rng: &mut ChaCha8Rng) {
        if self.law.is_even() {
            let at = || "mean()".to_string();
            report.compare("even: x and -x agree", at, [self.law.mean(), 0.0], 0.0);
            return;
        }
        let differs = ratios(1).any(|snr| {
            self.points(snr / self.rho, rng).into_iter().any(|point| {
                let (a, b) = (point.a, point.b());
                let (plus, minus) = (self.law.moments(a, b), self.law.moments(a, -b));
                (plus.mean + minus.mean).abs() > TOLERANCE * plus.mean.abs()
            })
        });
        let at = || "every point tried; is_even() is false".to_string();
        report.holds("not even: x and -x differ", at, differs);
    }

    /// Without a message the posterior is the law, and it is so continuously.
    fn no_message(&self, report: &mut Report) {
        let (law, sd) = (self.law, self.rho.sqrt());
        let at = || "a = 0, b = 0".to_string();
        let m = law.moments(0.0, 0.0);
        let square = m.mean * m.mean + m.variance;
        let name = "a → 0: A = 0, moments of the law";
        report.compare(name, at, [law.log_partition(0.0, 0.0), 0.0], TOLERANCE);
        report.compare(name, at, [m.mean, law.mean()], TOLERANCE * sd);
        report.compare(name, at, [square, self.rho], TOLERANCE * self.rho);
        // A message of ratio ε moves the mean by ε E x³/2, and E x⁴ < 1e4 ρ² bounds that.
        let a = 1e-8 / self.rho;
        let at = || format!("a = {a:e}, b = 0");
        let m = law.moments(a, 0.0);
        report.compare(name, at, [m.mean, law.mean()], 1e-6 * sd);
    }

    /// Averages over the data `y = x + n/√a`, whose density is `√(a/2π) exp(likelihood)`.
    fn over_data<const N: usize>(
        &self,
        a: f64,
        f: &dyn Fn(f64, Moments) -> [f64; N],
    ) -> Result<[Estimate; N], QuadratureError> {
        let scales = self.law.scales();
        let noise = a.recip().sqrt();
        let width = scales.iter().map(|s| s.variance).fold(0.0, f64::max).sqrt();
        let places = || scales.iter().map(|s| s.mean);
        let (low, high) = (
            places().fold(f64::INFINITY, f64::min),
            places().fold(f64::NEG_INFINITY, f64::max),
        );
        // Exponential tails end before 60 widths.
        let reach = 60.0 * (width.max(self.rho.sqrt()) + noise);
        let mut panels = Panels::new([low - reach, high + reach])?;
        for place in places() {
            panels = panels.refine_towards(place, 0.5 * noise)?;
        }
        let norm = (a / (2.0 * std::f64::consts::PI)).sqrt();
        bisected(&panels, 1e-2 * TOLERANCE, &|y| {
            let weight = norm * self.law.log_likelihood(a, y).exp();
            if weight == 0.0 {
                return [0.0; N];
            }
            f(y, self.law.moments(a, a * y)).map(|f| weight * f)
        })
    }

    fn integrals(&self, report: &mut Report, a: f64) {
        let at = || format!("a = {a:e}");
        let law = self.law;
        let all = self.over_data(a, &|y, m| {
            [1.0, m.mean, m.mean * m.mean + m.variance, y, y * y]
        });
        let finite = "averages over the data are finite";
        report.holds(finite, at, all.is_ok());
        let Ok([one, mean, square, first, second]) = all else {
            return;
        };
        let (rho, sd) = (self.rho, self.rho.sqrt());
        for (name, found, expected, size) in [
            ("normalisation: ∫ P(y) dy = 1", 1.0, one, 1.0),
            ("E mean = E x", law.mean(), mean, sd),
            ("E mean² + E variance = E x²", rho, square, rho),
            ("E y = E x", law.mean(), first, sd + a.recip().sqrt()),
            ("E y² = E x² + 1/a", rho + 1.0 / a, second, rho + 1.0 / a),
        ] {
            let allowed = TOLERANCE * size + expected.error;
            report.compare(name, at, [found, expected.value], allowed);
        }
    }

    /// A message so precise that neighbouring parts of the law no longer mix.
    fn sharp_message(&self, report: &mut Report, rng: &mut ChaCha8Rng) {
        let law = self.law;
        let scales = law.scales();
        let mut widths: Vec<f64> = scales.iter().map(|s| s.variance.sqrt()).collect();
        let mut places: Vec<f64> = scales.iter().map(|s| s.mean).collect();
        places.sort_by(f64::total_cmp);
        widths.extend(places.windows(2).map(|w| w[1] - w[0]));
        let least = (widths.into_iter().filter(|w| *w > 0.0)).fold(self.rho.sqrt(), f64::min);
        // Noise of a hundred-thousandth of the narrowest part.
        let a = (1e5 / least).powi(2);
        // A part of the mass of this order lies within a few noises of an edge or of an atom.
        let allowed = 1e-3;
        let at = || format!("a = {a:e}");
        let all = self.over_data(a, &|y, m| [1.0, a * m.variance, -law.log_likelihood(a, y)]);
        let Ok([_, cost, surprise]) = all else {
            return;
        };
        let name = "a → ∞: a E variance = dimension";
        report.compare(name, at, [law.dimension(), cost.value], allowed);
        if let Some(entropy) = law.discrete_entropy() {
            // I(x; y) = -E likelihood - 1/2.
            let name = "a → ∞: information = discrete entropy";
            let allowed = TOLERANCE + surprise.error;
            report.compare(name, at, [entropy, surprise.value - 0.5], allowed);
            report.compare(
                "dimension of a discrete law = 0",
                at,
                [law.dimension(), 0.0],
                0.0,
            );
        }
        for _ in 0..16 {
            let x = law.sample(rng);
            let at = || format!("a = {a:e}, b = {:e}", a * x);
            let mean = law.moments(a, a * x).mean;
            let allowed = 10.0 * a.recip().sqrt();
            report.compare("a → ∞: mean = x", at, [mean, x], allowed);
        }
    }

    /// Columns against single points.
    fn columns(&self, report: &mut Report, rng: &mut ChaCha8Rng) {
        // Lengths around those at which vectorised code changes its path.
        for n in [0, 1, 3, 8, 21] {
            let precisions: Vec<f64> = (0..n)
                .map(|_| (3.0 * normal(rng)).exp() / self.rho)
                .collect();
            let fields: Vec<f64> = (precisions.iter())
                .map(|a| a * self.law.sample(rng) + a.sqrt() * normal(rng))
                .collect();
            let shared = precisions.first().copied().unwrap_or(1.0);
            for a in [Precisions::Shared(shared), Precisions::Each(&precisions)] {
                let mut out = vec![Moments::default(); n];
                self.law.moments_into(a, &fields, &mut out);
                for (i, (found, b)) in out.iter().zip(&fields).enumerate() {
                    let expected = self.law.moments(a.at(i), *b);
                    let at = || format!("element {i} of {n}, a = {:e}, b = {b:e}", a.at(i));
                    let mut same = |x: f64, y: f64, size: f64| {
                        let name = "moments_into = moments";
                        report.compare(name, at, [x, y], TOLERANCE * size);
                    };
                    let size = expected.mean.abs() + expected.variance.sqrt() + UNDERFLOW;
                    same(found.mean, expected.mean, size);
                    same(
                        found.variance,
                        expected.variance,
                        expected.variance + UNDERFLOW,
                    );
                }
            }
        }
    }

    /// Draws against the rest.
    fn sampler(&self, report: &mut Report, seed: u64) {
        let law = self.law;
        let mut rng = stream(seed, 1);
        let mut draws: Vec<f64> = (0..DRAWS).map(|_| law.sample(&mut rng)).collect();
        let finite = draws.iter().all(|x| x.is_finite());
        report.holds("draws are finite", || format!("{DRAWS} draws"), finite);
        if !finite {
            return;
        }
        let band = |report: &mut Report,
                    name,
                    at: &dyn Fn() -> String,
                    [expected, size]: [f64; 2],
                    values: &[f64]| {
            let n = values.len() as f64;
            let mean = values.iter().sum::<f64>() / n;
            let variance = values.iter().map(|v| (v - mean).powi(2)).sum::<f64>() / (n - 1.0);
            let allowed = BAND * (variance / n).sqrt() + TOLERANCE * size;
            report.compare(name, at, [mean, expected], allowed);
        };
        let at = || format!("{DRAWS} draws");
        band(
            report,
            "sampler: E x",
            &at,
            [law.mean(), self.rho.sqrt()],
            &draws,
        );
        let squares: Vec<f64> = draws.iter().map(|x| x * x).collect();
        band(report, "sampler: E x²", &at, [self.rho; 2], &squares);
        for (k, snr) in [1e-2, 1.0, 1e2, 1e4].into_iter().enumerate() {
            let a = snr / self.rho;
            // The truth times its estimate, against the estimate squared.
            let at = || format!("{DRAWS} draws, a = {a:e}");
            let gap: Vec<f64> = (draws.iter())
                .map(|x| {
                    let b = a * x + a.sqrt() * normal(&mut rng);
                    let mean = law.moments(a, b).mean;
                    (x - mean) * mean
                })
                .collect();
            band(
                report,
                "sampler: E x·mean = E mean²",
                &at,
                [0.0, self.rho],
                &gap,
            );
            for _ in 0..4 {
                let y = draws[k] + a.recip().sqrt() * normal(&mut rng);
                let at = || format!("{DRAWS} draws, a = {a:e}, y = {y}");
                // Each term lies in [0, 1], with moments that the law knows; Bernstein's bound
                // at the probability of five standard errors.
                let n = DRAWS as f64;
                let expected = law.log_likelihood(a, y).exp();
                let square = law.log_likelihood(2.0 * a, y).exp();
                let variance = (square - expected * expected).max(0.0);
                let found = draws.iter().map(|x| (-0.5 * a * (x - y).powi(2)).exp());
                let found = found.sum::<f64>() / n;
                let log = 0.5 * BAND * BAND;
                let allowed = (2.0 * log * variance / n).sqrt() + 2.0 * log / (3.0 * n);
                let name = "sampler: E exp(-a(x - y)²/2)";
                report.compare(name, at, [found, expected], allowed + TOLERANCE * expected);
            }
        }
        // Values drawn more than once: atoms, if their weights are not tiny.
        draws.sort_by(f64::total_cmp);
        let n = DRAWS as f64;
        let repeated = (0..DRAWS)
            .filter(|i| {
                let same = |j: usize| draws.get(j) == Some(&draws[*i]);
                i.checked_sub(1).is_some_and(same) || same(i + 1)
            })
            .count();
        let (found, d) = (1.0 - repeated as f64 / n, law.dimension());
        let allowed = BAND * (d * (1.0 - d) / n).sqrt() + 10.0 / n;
        report.compare("sampler: dimension", at, [found, d], allowed);
    }
}
