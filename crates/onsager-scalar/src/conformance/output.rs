//! The identities of an output.

use rand_chacha::ChaCha8Rng;

use super::{Failure, Report, SEED, TOLERANCE, bisected, derivative, normal, stream};
use crate::Precisions;
use crate::activation::Parity;
use crate::likelihood::{Form, Likelihood, Possible, Seen};
use crate::quadrature::{Panels, QuadratureError, gaussian_average};
use crate::special::normal_density;

/// Runs every identity of a likelihood, for fields whose variance lies from 1e-3 to 30, known a little, by
/// half and nearly, at outputs drawn from it.
///
/// | identity | second route |
/// | --- | --- |
/// | values are finite, variances positive, outputs drawn are allowed | |
/// | score, curvature | differences in `ω`; the heat equation `∂ ln P/∂V = (g² + ∂g/∂ω)/2`; the moments of `h` |
/// | columns | one point at a time |
/// | outputs and their weights | normalisation; Nishimori averages `E E[h\|y] = ω`, `E E[h²\|y] = ω² + V`, `E score = 0`, `E curvature = E score²` |
/// | outputs of a law of finitely many, or of counts | `P(y\|ω, V) = ∫ N(h) P(y\|h) dh` and the moments of `h` by integration, `P(y\|h)` from `V → 0` |
/// | sampler | `E score = 0` and `E curvature = E score²` over draws |
/// | labels | outputs drawn |
/// | symmetry | the mirror image of a point |
/// | entropy | `-E ln P(y\|h)` at a field that is known |
/// | sharpness | `V E score²` at a field that is known nearly |
///
/// - **Accuracy**: as for [`check_law`](super::check_law); entropy 1e-6, sharpness 1e-3, frequencies five standard
///   deviations.
/// - **Scope**: where averages over outputs go through a layer ([`Form::Additive`]) or are closed
///   ([`Form::Invertible`]), single points and draws are judged; [`check_activation`](super::check_activation) does the rest.
///
/// # Errors
/// Every identity that is broken.
///
/// ```
/// use onsager_scalar::{conformance::check_output, likelihood::Logistic};
/// let report = check_output(&Logistic)?;
/// assert!(report.rows().iter().any(|row| row.identity == "∂lnP/∂ω = score"));
/// # Ok::<(), onsager_scalar::conformance::Failure>(())
/// ```
pub fn check_output(law: &dyn Likelihood) -> Result<Report, Failure> {
    check_output_with(law, SEED)
}

/// [`check_output`] on other random points.
///
/// # Errors
/// As for [`check_output`].
pub fn check_output_with(law: &dyn Likelihood, seed: u64) -> Result<Report, Failure> {
    let mut report = Report::new(law, seed);
    let check = Check { law };
    let mut rng = stream(seed, 2);
    for r in [0.3, 1.0, 4.0] {
        for unknown in [1.0, 0.5, 1e-2, 1e-3] {
            for _ in 0..2 {
                let v = unknown * r;
                let omega = f64::sqrt(r - v) * normal(&mut rng);
                let h = omega + v.sqrt() * normal(&mut rng);
                let y = law.sample(h, &mut rng);
                let at = || format!("h = {h}, y = {y}");
                report.holds("outputs drawn are allowed", at, law.allows(y));
                check.at(&mut report, Point { y, omega, v });
                check.over_outputs(&mut report, omega, v);
            }
        }
        check.entropy(&mut report, r);
        check.sharpness(&mut report, r);
    }
    check.columns(&mut report, &mut rng);
    check.sampler(&mut report, &mut rng);
    report.nothing_unseen().verdict()
}

#[derive(Clone, Copy)]
struct Point {
    y: f64,
    omega: f64,
    v: f64,
}

impl Point {
    fn text(self) -> String {
        let Self { y, omega, v } = self;
        format!("y = {y}, ω = {omega:e}, V = {v:e}")
    }
}

/// Variance of a field that is as good as known, in units of its square length.
const KNOWN: f64 = 1e-10;

struct Check<'a> {
    law: &'a dyn Likelihood,
}

impl Check<'_> {
    fn at(&self, report: &mut Report, point: Point) {
        let (law, Point { y, omega, v }) = (self.law, point);
        let at = || point.text();
        let seen = law.observe(y, omega, v);
        let values = [seen.log_evidence, seen.field.mean, seen.field.variance];
        let finite = values.iter().chain([&seen.score, &seen.curvature]);
        let finite = finite.into_iter().all(|x| x.is_finite());
        report.holds("values are finite", at, finite);
        report.holds("variance >= 0", at, seen.field.variance >= 0.0);
        if !finite {
            return;
        }
        let sharpness = seen.curvature.abs() + seen.score * seen.score + 1e-6 / v;
        let f = |omega| law.observe(y, omega, v).log_evidence;
        let step = 16.0 * v.sqrt();
        let size = [seen.score, sharpness.sqrt()];
        let found = derivative(&f, omega, step, 1.0);
        report.slope("∂lnP/∂ω = score", at, size, found);
        let f = |omega| -law.observe(y, omega, v).score;
        let size = [seen.curvature, sharpness];
        report.slope(
            "-∂score/∂ω = curvature",
            at,
            size,
            derivative(&f, omega, step, 0.0),
        );
        let heat = 0.5 * (seen.score * seen.score - seen.curvature);
        let f = |v| law.observe(y, omega, v).log_evidence;
        let found = derivative(&f, v, 0.5 * v, 1.0);
        report.slope(
            "∂lnP/∂V = (score² - curvature)/2",
            at,
            [heat, sharpness],
            found,
        );
        // The moments of h; V² · curvature cancels where h is known much better than before.
        let (mean, variance) = (seen.field.mean, seen.field.variance);
        let size = (mean - omega).abs() + variance.sqrt();
        report.compare(
            "E h = ω + V score",
            at,
            [mean, omega + v * seen.score],
            TOLERANCE * size + 64.0 * f64::EPSILON * (omega.abs() + v * seen.score.abs()),
        );
        report.compare(
            "Var h = V - V² curvature",
            at,
            [variance, v - v * v * seen.curvature],
            TOLERANCE * variance + 64.0 * f64::EPSILON * (v + v * v * sharpness),
        );
        self.symmetry(report, point, seen);
        if let Some(labels) = law.labels() {
            report.holds(
                "outputs drawn are among the labels",
                at,
                labels.contains(&y),
            );
        }
        if self.is_counted(point) {
            self.direct(report, point, seen);
        }
    }

    /// Whether the output has a probability of its own, which then does not depend on how well the field is
    /// known in the limit: `P(y|h)` exists and is at most 1.
    fn is_counted(&self, Point { y, omega, v }: Point) -> bool {
        let mut outputs = Vec::new();
        self.outputs(omega, v, &mut outputs);
        matches!(self.law.form(), Form::Direct)
            && outputs.iter().any(|p| {
                p.y == y && (p.weight - p.seen.log_evidence.exp()).abs() < 1e-12 * p.weight
            })
    }

    fn outputs(&self, omega: f64, v: f64, out: &mut Vec<Possible>) {
        if matches!(self.law.form(), Form::Direct | Form::Blurred { .. }) {
            self.law.outputs(omega, v, out);
        }
    }

    /// The posterior of `h` by integration of `P(y|h)`, itself taken from fields that are known.
    fn direct(&self, report: &mut Report, point: Point, seen: Seen) {
        let (law, Point { y, omega, v }) = (self.law, point);
        let (at, sd) = (|| point.text(), v.sqrt());
        let found = self.panels(omega, sd).and_then(|panels| {
            bisected(&panels, 1e-3 * TOLERANCE, &|h| {
                // A field of half this variance: what is smooth in h changes by V P''/2 times it.
                let p = law.observe(y, h, KNOWN * KNOWN * v).log_evidence.exp();
                let weight = p * normal_density((h - omega) / sd) / sd;
                let d = h - seen.field.mean;
                [weight, weight * d, weight * d * d]
            })
        });
        let name = "P(y) = ∫ N(h) P(y|h) dh";
        let Ok([mass, first, second]) = found else {
            report.holds("values are finite", at, false);
            return;
        };
        let error = (mass.error + second.error / v) / mass.value;
        if error.is_nan() || error > TOLERANCE {
            report.blind(name);
            return;
        }
        let relative = TOLERANCE + 10.0 * error;
        let evidence = seen.log_evidence.exp();
        report.compare(name, at, [evidence, mass.value], relative * mass.value);
        let (shift, square) = (first.value / mass.value, second.value / mass.value);
        let width = seen.field.variance.sqrt();
        let mean = seen.field.mean;
        let rounding = 64.0 * f64::EPSILON * (mean.abs() + omega.abs() + sd);
        report.compare(
            "E h by integration",
            at,
            [mean, mean + shift],
            relative * width + rounding,
        );
        report.compare(
            "Var h by integration",
            at,
            [width * width, square - shift * shift],
            relative * width * width + rounding * (width + rounding),
        );
    }

    /// Panels of a field `N(ω, V)`, split where the law has edges and where it bends.
    fn panels(&self, omega: f64, sd: f64) -> Result<Panels, QuadratureError> {
        let edges = (-20..=20).map(|k| omega + 0.5 * sd * f64::from(k));
        let inner = self.law.pieces().iter().map(|p| p.lower);
        let inner = inner.filter(|t| t.is_finite());
        Ok(inner.fold(Panels::new(edges)?, Panels::split_at))
    }

    /// What the parity promises.
    fn symmetry(&self, report: &mut Report, point: Point, seen: Seen) {
        let (law, Point { y, omega, v }) = (self.law, point);
        let (mirror, name) = match law.parity() {
            Parity::Even => (y, "even: P(y|ω) under ω → -ω"),
            Parity::Odd => (-y, "odd: P(y|ω) under y, ω → -y, -ω"),
            Parity::None => return,
        };
        let other = law.observe(mirror, -omega, v);
        let sharpness = seen.curvature.abs() + seen.score * seen.score;
        for (x, y, size) in [
            (
                other.log_evidence,
                seen.log_evidence,
                1.0 + seen.log_evidence.abs(),
            ),
            (-other.score, seen.score, sharpness.sqrt()),
            (other.curvature, seen.curvature, sharpness),
        ] {
            report.compare(name, || point.text(), [x, y], TOLERANCE * size);
        }
    }

    /// Averages over the outputs of a field `N(ω, V)`.
    fn over_outputs(&self, report: &mut Report, omega: f64, v: f64) {
        let mut outputs = Vec::new();
        self.outputs(omega, v, &mut outputs);
        if outputs.is_empty() {
            return;
        }
        let at = || format!("ω = {omega:e}, V = {v:e}");
        // Rules for the average over y are not exact in y: only their sums are judged.
        let mut sums = [0.0; 5];
        for Possible { y, weight, seen } in &outputs {
            let again = self.law.observe(*y, omega, v);
            let at = || Point { y: *y, omega, v }.text();
            let pair = [seen.log_evidence, again.log_evidence];
            let size = 1.0 + again.log_evidence.abs();
            report.compare(
                "outputs tell what observe tells",
                at,
                pair,
                TOLERANCE * size,
            );
            let d = seen.field.mean - omega;
            let terms = [
                1.0,
                d,
                d * d + seen.field.variance,
                seen.score,
                seen.curvature - seen.score * seen.score,
            ];
            for (sum, term) in sums.iter_mut().zip(terms) {
                *sum += weight * term;
            }
        }
        let [one, mean, square, score, heat] = sums;
        for (name, found, expected, size) in [
            ("normalisation: Σ P(y) = 1", one, 1.0, 1.0),
            ("E E[h|y] = ω", mean, 0.0, v.sqrt()),
            ("E E[(h - ω)²|y] = V", square, v, v),
            ("E score = 0", score, 0.0, v.sqrt().recip()),
            ("E curvature = E score²", heat, 0.0, 1.0 / v),
        ] {
            report.compare(name, at, [found, expected], TOLERANCE * size);
        }
    }

    /// Columns against single points.
    fn columns(&self, report: &mut Report, rng: &mut ChaCha8Rng) {
        for n in [0, 1, 3, 8, 21] {
            let v: Vec<f64> = (0..n).map(|_| normal(rng).exp()).collect();
            let omega: Vec<f64> = (0..n).map(|_| normal(rng)).collect();
            let y: Vec<f64> = (0..n)
                .map(|i| self.law.sample(omega[i] + v[i].sqrt() * normal(rng), rng))
                .collect();
            let shared = Precisions::Shared(v.first().copied().unwrap_or(1.0));
            for v in [Precisions::Each(&v), shared] {
                let mut out = vec![Seen::default(); n];
                self.law.observe_into(&y, &omega, v, &mut out);
                for (i, found) in out.iter().enumerate() {
                    let point = Point {
                        y: y[i],
                        omega: omega[i],
                        v: v.at(i),
                    };
                    let one = self.law.observe(point.y, point.omega, point.v);
                    let at = || format!("element {i} of {n}, {}", point.text());
                    let sharpness = one.curvature.abs() + one.score * one.score + 1e-6 / point.v;
                    let width = one.field.mean.abs() + one.field.variance.sqrt();
                    for (x, y, size) in [
                        (
                            found.log_evidence,
                            one.log_evidence,
                            1.0 + one.log_evidence.abs(),
                        ),
                        (found.field.mean, one.field.mean, width),
                        (found.field.variance, one.field.variance, one.field.variance),
                        (found.score, one.score, sharpness.sqrt()),
                        (found.curvature, one.curvature, sharpness),
                    ] {
                        report.compare("observe_into = observe", at, [x, y], TOLERANCE * size);
                    }
                }
            }
        }
    }

    /// Averages over draws at fields known by half, so that no event is too rare to be drawn.
    fn sampler(&self, report: &mut Report, rng: &mut ChaCha8Rng) {
        /// Draws at a field.
        const DRAWS: usize = 4000;
        for omega in [-1.3, 0.2, 1.1] {
            let v = 0.5;
            let seen = (0..DRAWS).map(|_| {
                let h = omega + f64::sqrt(v) * normal(rng);
                let y = self.law.sample(h, rng);
                let seen = self.law.observe(y, omega, v);
                [seen.score, seen.curvature - seen.score * seen.score]
            });
            let seen: Vec<[f64; 2]> = seen.collect();
            let at = || format!("ω = {omega}, V = {v}");
            for (k, name) in ["sampler: E score = 0", "sampler: E curvature = E score²"]
                .into_iter()
                .enumerate()
            {
                let n = DRAWS as f64;
                let mean = seen.iter().map(|x| x[k]).sum::<f64>() / n;
                let square = seen.iter().map(|x| x[k] * x[k]).sum::<f64>() / n;
                let allowed = 5.0 * (square / n).sqrt();
                report.compare(name, at, [mean, 0.0], allowed);
            }
        }
    }

    /// `E H(y|h)` against `-E ln P(y|h)`, for outputs that are counted.
    fn entropy(&self, report: &mut Report, r: f64) {
        let found = self.law.entropy(r);
        let at = || format!("r = {r}");
        let name = "entropy: E H(y|h)";
        let mut outputs = Vec::new();
        let smooth = matches!(self.law.form(), Form::Direct | Form::Blurred { .. });
        if !smooth || self.law.sharpness(r).is_some() {
            // Without noise: -∞, or 0 where values are finitely many.
            let known = self
                .law
                .sharpness(r)
                .is_none_or(|d| found == if d > 0.0 { f64::NEG_INFINITY } else { 0.0 });
            report.holds(name, at, known && !found.is_nan());
            return;
        }
        let sd = r.sqrt();
        let inner = self.law.pieces().iter().map(|p| p.lower / sd);
        let inner: Vec<f64> = inner.filter(|t| t.is_finite()).collect();
        let average = gaussian_average(
            |t| {
                outputs.clear();
                self.outputs_of(sd * t, r, &mut outputs);
                let logs = outputs.iter().map(|p| p.weight * p.seen.log_evidence);
                -logs.sum::<f64>()
            },
            &inner,
        );
        let expected = average.map_or(f64::NAN, |e| e.value);
        report.compare(name, at, [found, expected], 1e-5 * (1.0 + expected.abs()));
    }

    /// The outputs of a field that is known, or nearly.
    fn outputs_of(&self, h: f64, r: f64, out: &mut Vec<Possible>) {
        self.law.outputs(h, KNOWN * r, out);
    }

    /// `V E score²` at `V = 1e-8 r`, averaged over fields.
    fn sharpness(&self, report: &mut Report, r: f64) {
        let at = || format!("r = {r}");
        let limit = self.law.sharpness(r).unwrap_or(0.0);
        let known = (0.0..=1.0).contains(&limit);
        report.holds("sharpness is a probability", at, known);
        if !matches!(self.law.form(), Form::Direct) {
            return;
        }
        let v = 1e-8 * r;
        let sd = (r - v).sqrt();
        let inner = self.law.pieces().iter().map(|p| p.lower / sd);
        let inner: Vec<f64> = inner.filter(|t| t.is_finite()).collect();
        let mut outputs = Vec::new();
        let average = gaussian_average(
            |t| {
                outputs.clear();
                self.law.outputs(sd * t, v, &mut outputs);
                let squares = outputs.iter().map(|p| p.weight * p.seen.score.powi(2));
                v * squares.sum::<f64>()
            },
            &inner,
        );
        let found = average.map_or(f64::NAN, |e| e.value);
        // What edges add is of the order of √V.
        report.compare("V → 0: V E score² = sharpness", at, [found, limit], 1e-3);
    }
}
