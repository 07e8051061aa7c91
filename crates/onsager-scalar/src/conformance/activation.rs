//! The identities of an activation.

use rand_chacha::ChaCha8Rng;

use super::{Failure, Report, SEED, TOLERANCE, bisected, derivative, normal, ratios, stream};
use crate::activation::{Activation, Channel, Parity};
use crate::quadrature::{Estimate, Panels, QuadratureError};
use crate::{Channels, Moments, Precisions};

/// Runs every identity of an activation, at signal-to-noise ratios `a E φ²` from 1e-6 to 1e8 and
/// fields whose variance lies from 1e-3 to 1e2.
///
/// | identity | second route |
/// | --- | --- |
/// | values are finite, variances positive | |
/// | moments of `x` from `ln Z` | differences in `b` and `a`, extrapolated |
/// | score, curvature | differences in `ω`; the heat equation `∂ ln Z/∂V = (g² + ∂g/∂ω)/2`; the moments of `h` |
/// | columns of channels | one point at a time |
/// | the whole channel | integration over `h` of `φ` itself |
/// | likelihood | its definition; normalisation and Nishimori averages over the data |
/// | Gaussian averages | integration of `φ` |
/// | symmetry, jumps, discreteness, pieces | values of `φ` |
///
/// - **Accuracy**: as for [`check_law`](super::check_law).
///
/// # Errors
/// Every identity that is broken.
///
/// ```
/// use onsager_scalar::{activation::PiecewiseLinear, conformance::check_activation};
/// let report = check_activation(&PiecewiseLinear::relu())?;
/// assert!(report.rows().iter().any(|row| row.identity == "∂lnZ/∂ω = score"));
/// # Ok::<(), onsager_scalar::conformance::Failure>(())
/// ```
pub fn check_activation(phi: &dyn Activation) -> Result<Report, Failure> {
    check_activation_with(phi, SEED)
}

/// [`check_activation`] on other random points.
///
/// # Errors
/// As for [`check_activation`].
pub fn check_activation_with(phi: &dyn Activation, seed: u64) -> Result<Report, Failure> {
    let mut report = Report::new(phi, seed);
    let check = Check { phi };
    check.shape(&mut report);
    let mut rng = stream(seed, 0);
    for r in [1e-4, 1e-2, 0.3, 1.0, 30.0, 529.0, 1e4] {
        check.gaussian_averages(&mut report, r);
    }
    let mut every = 0;
    for snr in ratios(1) {
        // Nothing, half and nearly all known of a field of two sizes, in turn.
        for (r, unknown) in [
            (1.0, 1.0),
            (0.5, 0.5),
            (2.0, 1e-2),
            (30.0, 0.3),
            (0.3, 3e-3),
            (529.0, 0.2),
        ] {
            let rho = phi.second_moment(r);
            if !(rho > 0.0 && rho.is_finite()) {
                let at = || format!("r = {r}");
                report.holds("E φ² is finite and positive", at, false);
                return report.verdict();
            }
            let (a, v) = (snr / rho, unknown * r);
            let omega = (r - v).sqrt() * normal(&mut rng);
            for y in check.data(a, omega, v, &mut rng) {
                check.at(&mut report, Point { a, y, omega, v });
            }
            every += 1;
            if every % 3 == 0 {
                check.over_data(
                    &mut report,
                    Point {
                        a,
                        y: 0.0,
                        omega,
                        v,
                    },
                );
            }
        }
    }
    check.columns(&mut report, &mut rng);
    report.nothing_unseen().verdict()
}

/// A message `b = a y` from above and a field from below.
#[derive(Clone, Copy)]
struct Point {
    a: f64,
    y: f64,
    omega: f64,
    v: f64,
}

impl Point {
    fn b(self) -> f64 {
        self.a * self.y
    }
    fn text(self) -> String {
        let Self { a, omega, v, .. } = self;
        format!("a = {a:e}, b = {:e}, ω = {omega:e}, V = {v:e}", self.b())
    }
}

struct Check<'a> {
    phi: &'a dyn Activation,
}

/// Moments by integration over `h`, relative to the centres given.
struct Direct {
    log_partition: f64,
    output: [f64; 2],
    input: [f64; 2],
    /// Relative error of the mass, and of second moments.
    error: f64,
}

impl Check<'_> {
    /// Data as the layer gives them, at its kinks, and far from them.
    fn data(&self, a: f64, omega: f64, v: f64, rng: &mut ChaCha8Rng) -> Vec<f64> {
        let noise = a.recip().sqrt();
        let h = omega + v.sqrt() * normal(rng);
        let kink = self.phi.pieces().first().map_or(0.0, |p| p.upper);
        // A kink out of sight is replaced by the middle.
        let kink = if (kink - omega).abs() < 6.0 * v.sqrt() {
            kink
        } else {
            omega
        };
        vec![
            self.phi.apply(h) + noise * normal(rng),
            self.phi.apply(kink + 1e-3 * v.sqrt()),
            self.phi.apply(omega + 4.0 * v.sqrt()) + 4.0 * noise,
        ]
    }

    fn at(&self, report: &mut Report, point: Point) {
        let (phi, Point { a, y, omega, v }, b) = (self.phi, point, point.b());
        let at = || point.text();
        let c = phi.channel(a, b, omega, v);
        let likelihood = phi.log_likelihood(a, y, omega, v);
        let finite = [c.log_partition, c.score, c.curvature, likelihood]
            .iter()
            .chain([
                &c.output.mean,
                &c.output.variance,
                &c.input.mean,
                &c.input.variance,
            ])
            .all(|x| x.is_finite());
        report.holds("values are finite", at, finite);
        let proper = c.output.variance >= 0.0 && c.input.variance >= 0.0;
        report.holds("variances >= 0", at, proper);
        if !(finite && proper) {
            return;
        }
        self.derivatives(report, point, c);
        // Both terms are rounded at the size of b y/2.
        let (half, whole) = (0.5 * b * y, c.log_partition);
        report.compare(
            "likelihood = lnZ(ay) - ay²/2",
            at,
            [likelihood, whole - half],
            TOLERANCE * likelihood.abs() + 64.0 * f64::EPSILON * (1.0 + half.abs() + whole.abs()),
        );
        // The moments of h; V² · curvature cancels where h is known much better than before.
        let sd = v.sqrt();
        let size = (c.input.mean - omega).abs() + c.input.variance.sqrt();
        report.compare(
            "E h = ω + V score",
            at,
            [c.input.mean, omega + v * c.score],
            TOLERANCE * size + 64.0 * f64::EPSILON * (omega.abs() + v * c.score.abs()),
        );
        report.compare(
            "Var h = V - V² curvature",
            at,
            [c.input.variance, v - v * v * c.curvature],
            TOLERANCE * c.input.variance
                + 64.0 * f64::EPSILON * (v + v * v * (c.curvature.abs() + c.score * c.score)),
        );
        self.symmetry(report, point, c);
        let Ok(direct) = self.direct(point, c) else {
            report.holds("values of φ are finite", at, false);
            return;
        };
        if direct.error > TOLERANCE {
            report.blind("lnZ = ln ∫ N(h) exp(bφ - aφ²/2) dh");
            return;
        }
        let relative = TOLERANCE + 10.0 * direct.error;
        let exponent = b.abs() * c.output.mean.abs() + 0.5 * a * c.output.mean.powi(2);
        let rounding = 64.0 * f64::EPSILON * (exponent + c.log_partition.abs());
        let mut same = |name, found: f64, expected: f64, allowed: f64| {
            report.compare(name, at, [found, expected], allowed);
        };
        same(
            "lnZ = ln ∫ N(h) exp(bφ - aφ²/2) dh",
            c.log_partition,
            direct.log_partition,
            relative + rounding,
        );
        // Values of x below its rounding are not resolved by a route that forms φ(h).
        let (xs, hs) = (c.output.variance.sqrt(), c.input.variance.sqrt());
        let typical = self.phi.second_moment(omega * omega + v).sqrt();
        let (xr, hr) = (
            64.0 * f64::EPSILON * c.output.mean.abs() + 1e-12 * TOLERANCE * typical,
            64.0 * f64::EPSILON * (c.input.mean.abs() + omega.abs() + sd),
        );
        let relative = relative + rounding;
        let [mean, variance] = direct.output;
        same(
            "E x by integration",
            c.output.mean,
            mean,
            relative * xs + xr,
        );
        same(
            "Var x by integration",
            c.output.variance,
            variance,
            relative * c.output.variance + xr * (xs + xr),
        );
        let [mean, variance] = direct.input;
        same("E h by integration", c.input.mean, mean, relative * hs + hr);
        same(
            "Var h by integration",
            c.input.variance,
            variance,
            relative * c.input.variance + hr * (hs + hr),
        );
    }

    /// Columns against single points.
    fn columns(&self, report: &mut Report, rng: &mut ChaCha8Rng) {
        let phi = self.phi;
        // Lengths around those at which vectorised code changes its path.
        for n in [0, 1, 3, 8, 21] {
            let positive = |rng: &mut ChaCha8Rng| -> Vec<f64> {
                (0..n).map(|_| (3.0 * normal(rng)).exp()).collect()
            };
            let (a, v) = (positive(rng), positive(rng));
            let omega: Vec<f64> = (0..n).map(|_| 2.0 * normal(rng)).collect();
            let b: Vec<f64> = (0..n)
                .map(|i| {
                    let h = omega[i] + v[i].sqrt() * normal(rng);
                    a[i] * phi.apply(h) + a[i].sqrt() * normal(rng)
                })
                .collect();
            let shared = |x: &[f64]| Precisions::Shared(x.first().copied().unwrap_or(1.0));
            for (a, v) in [
                (Precisions::Each(&a), Precisions::Each(&v)),
                (shared(&a), Precisions::Each(&v)),
                (Precisions::Each(&a), shared(&v)),
                (shared(&a), shared(&v)),
            ] {
                let y: Vec<f64> = (0..n).map(|i| b[i] / a.at(i)).collect();
                let mut likelihoods = Vec::new();
                phi.log_likelihoods_into(a, &y, &omega, v, &mut likelihoods);
                for (i, found) in likelihoods.iter().enumerate() {
                    let (y, omega, a, v) = (y[i], omega[i], a.at(i), v.at(i));
                    let at = || format!("element {i} of {n}, {}", Point { a, y, omega, v }.text());
                    let one = phi.log_likelihood(a, y, omega, v);
                    let name = "log_likelihoods_into = log_likelihood";
                    report.compare(name, at, [*found, one], TOLERANCE * (1.0 + one.abs()));
                }
                let mut out = Channels::default();
                phi.channels_into(a, &b, &omega, v, &mut out);
                let name = "channels_into = channel";
                report.holds(name, || format!("length {n}"), out.len() == n);
                for i in 0..n.min(out.len()) {
                    let (found, a, v) = (out.at(i), a.at(i), v.at(i));
                    let c = phi.channel(a, b[i], omega[i], v);
                    let at = || {
                        let (y, omega) = (b[i] / a, omega[i]);
                        format!("element {i} of {n}, {}", Point { a, y, omega, v }.text())
                    };
                    let sharpness = c.curvature.abs() + c.score * c.score + 1e-6 / v;
                    // Of numbers that are not normal nothing but the size is left.
                    let mut same = |x: f64, y: f64, size: f64| {
                        report.compare(name, at, [x, y], TOLERANCE * size + f64::MIN_POSITIVE);
                    };
                    let size = |m: Moments| m.mean.abs() + m.variance.sqrt();
                    same(
                        found.log_partition,
                        c.log_partition,
                        1.0 + c.log_partition.abs(),
                    );
                    same(found.output.mean, c.output.mean, size(c.output));
                    same(found.output.variance, c.output.variance, c.output.variance);
                    same(found.input.mean, c.input.mean, size(c.input));
                    same(found.input.variance, c.input.variance, c.input.variance);
                    same(found.score, c.score, sharpness.sqrt());
                    same(found.curvature, c.curvature, sharpness);
                }
            }
        }
    }

    fn derivatives(&self, report: &mut Report, point: Point, c: Channel) {
        let (phi, Point { a, omega, v, .. }, b) = (self.phi, point, point.b());
        let at = || point.text();
        // The last number is the size of terms: logarithms are taken of numbers next to 1.
        let mut slope =
            |name, [found, size]: [f64; 2], f: &dyn Fn(f64) -> f64, [x, step, terms]: [f64; 3]| {
                report.slope(name, at, [found, size], derivative(f, x, step, terms));
            };
        let x = c.output;
        let typical = phi.second_moment(omega * omega + v);
        let floor = 1e-6 * (x.mean * x.mean + typical);
        let step = 64.0 / x.variance.max(floor).sqrt();
        let lnz = |a, b, omega, v| phi.channel(a, b, omega, v).log_partition;
        let size = x.mean.abs() + x.variance.sqrt();
        let f = |b| lnz(a, b, omega, v);
        slope("∂lnZ/∂b = E x", [x.mean, size], &f, [b, step, 1.0]);
        let f = |b| phi.channel(a, b, omega, v).output.mean;
        slope("∂E x/∂b = Var x", [x.variance; 2], &f, [b, step, 0.0]);
        let square = x.mean * x.mean + x.variance;
        let f = |a| -2.0 * lnz(a, b, omega, v);
        slope(
            "-2 ∂lnZ/∂a = E x²",
            [square; 2],
            &f,
            [a, (0.5 * a).min(1e5 / typical), 2.0],
        );
        let step = 16.0 * v.sqrt();
        // Both are sums, of terms of order 1/√V and 1/V, and no better than rounding of these.
        let sharpness = c.curvature.abs() + c.score * c.score + 1e-6 / v;
        let f = |omega| lnz(a, b, omega, v);
        slope(
            "∂lnZ/∂ω = score",
            [c.score, sharpness.sqrt()],
            &f,
            [omega, step, 1.0],
        );
        let f = |omega| -phi.channel(a, b, omega, v).score;
        slope(
            "-∂score/∂ω = curvature",
            [c.curvature, sharpness],
            &f,
            [omega, step, 0.0],
        );
        let heat = 0.5 * (c.score * c.score - c.curvature);
        let f = |v| lnz(a, b, omega, v);
        slope(
            "∂lnZ/∂V = (score² - curvature)/2",
            [heat, sharpness],
            &f,
            [v, 0.5 * v, 1.0],
        );
    }

    /// What the parity promises about the channel.
    fn symmetry(&self, report: &mut Report, point: Point, c: Channel) {
        let Point { a, omega, v, .. } = point;
        let (sign, name) = match self.phi.parity() {
            Parity::Even => (1.0, "even: channel under ω → -ω"),
            Parity::Odd => (-1.0, "odd: channel under ω, b → -ω, -b"),
            Parity::None => return,
        };
        let d = self.phi.channel(a, sign * point.b(), -omega, v);
        let mut same = |x: f64, y: f64, allowed: f64| {
            report.compare(name, || point.text(), [x, y], allowed);
        };
        let size = c.output.mean.abs() + c.output.variance.sqrt();
        let whole = c.log_partition;
        same(whole, d.log_partition, TOLERANCE * whole.abs());
        same(c.output.mean, sign * d.output.mean, TOLERANCE * size);
        let rounding = 64.0 * f64::EPSILON;
        let variance = c.output.variance;
        // Values next to a plateau differ by no more than their own rounding.
        let allowed = TOLERANCE * variance + rounding * c.output.mean.abs() * variance.sqrt();
        same(variance, d.output.variance, allowed);
        // Sums of terms of order 1/√V and 1/V, and no better than their rounding.
        let sharpness = c.curvature.abs() + c.score * c.score;
        let allowed = TOLERANCE * sharpness.sqrt() + rounding / v.sqrt();
        same(c.score, -d.score, allowed);
        let allowed = TOLERANCE * sharpness + rounding / v;
        same(c.curvature, d.curvature, allowed);
    }

    /// `φ` itself against what is said of its shape.
    fn shape(&self, report: &mut Report) {
        let phi = self.phi;
        let at = || "pieces()".to_string();
        let pieces = phi.pieces();
        let ordered = !pieces.is_empty()
            && pieces[0].lower == f64::NEG_INFINITY
            && pieces[pieces.len() - 1].upper == f64::INFINITY
            && pieces.iter().all(|p| p.lower < p.upper)
            && pieces.windows(2).all(|w| w[0].upper == w[1].lower);
        report.holds("pieces cover the line in order", at, ordered);
        // Both sides of every edge and a grid; irrational, so that no edge is hit by accident.
        let inner = || pieces.iter().map(|p| p.lower).filter(|t| t.is_finite());
        let near = inner().flat_map(|t| [t - 1e-9, t + 1e-9]);
        let grid: Vec<f64> = (-200..=200)
            .map(|k| 0.05 * (f64::from(k) + std::f64::consts::FRAC_1_PI))
            .chain(near)
            .collect();
        let (odd, even) = (
            grid.iter().any(|h| differ(phi.apply(-h), -phi.apply(*h))),
            grid.iter().any(|h| differ(phi.apply(-h), phi.apply(*h))),
        );
        let at = || format!("{:?}", phi.parity());
        let kept = match phi.parity() {
            Parity::Odd => !odd,
            Parity::Even => !even,
            Parity::None => odd && even,
        };
        report.holds("parity of φ", at, kept);
        let jumps = inner().any(|t| (phi.apply(t + 1e-9) - phi.apply(t - 1e-9)).abs() > 1e-6);
        let at = || format!("edges of {} pieces", pieces.len());
        report.holds("jumps", at, jumps == phi.is_discontinuous());
        let mut values: Vec<f64> = grid.iter().map(|h| phi.apply(*h)).collect();
        values.sort_by(f64::total_cmp);
        values.dedup();
        let few = values.len() <= pieces.len();
        let at = || format!("{} values at {} places", values.len(), grid.len());
        report.holds("discreteness", at, few == phi.is_discrete());
    }

    /// Averages over `h ~ N(0, r)` of functions of `φ(h)`.
    fn gaussian_averages(&self, report: &mut Report, r: f64) {
        let (phi, sd) = (self.phi, r.sqrt());
        let at = || format!("r = {r}");
        // Slopes by a small step, away from the edges that the panels are split at.
        // They see a slope within 1e-7 of an edge, and none where φ has saturated.
        let sees_slopes = pieces_are_exact(phi) || r <= 1.0;
        let sloped = |h: f64| {
            let differs = phi.apply(h + 1e-7 * sd) != phi.apply(h - 1e-7 * sd);
            f64::from(sees_slopes && differs)
        };
        let panels = self.panels(0.0, sd);
        let all = panels.and_then(|panels| {
            bisected(&panels, 1e-3 * TOLERANCE, &|h| {
                let weight = crate::special::normal_density(h / sd) / sd;
                let x = phi.apply(h);
                [1.0, x, x * x, h * x / r, sloped(h)].map(|f| weight * f)
            })
        });
        let Ok([_, mean, square, gain, fraction]) = all else {
            report.holds("values of φ are finite", at, false);
            return;
        };
        let size = square.value.sqrt();
        for (name, found, expected, size) in [
            ("E φ by integration", phi.mean(r), mean, size),
            (
                "E φ² by integration",
                phi.second_moment(r),
                square,
                square.value,
            ),
            ("E hφ/r by integration", phi.linear_gain(r), gain, size / sd),
        ] {
            let allowed = TOLERANCE * size + expected.error;
            report.compare(name, at, [found, expected.value], allowed);
        }
        if sees_slopes {
            let (found, allowed) = (phi.sloped_fraction(r), 1e-5 + fraction.error);
            let name = "P(φ' ≠ 0) by integration";
            report.compare(name, at, [found, fraction.value], allowed);
        }
        // Without a message the posterior is the Gaussian itself.
        let c = phi.channel(0.0, 0.0, 0.0, r);
        let name = "a → 0: Z = 1, moments of the layer";
        let square = c.output.mean * c.output.mean + c.output.variance;
        let (mean, second) = (phi.mean(r), phi.second_moment(r));
        for (found, expected, size) in [
            (c.log_partition, 0.0, 1.0),
            (c.output.mean, mean, size),
            (square, second, second),
            (c.input.mean, 0.0, sd),
            (c.input.variance, r, r),
            (c.score, 0.0, 1.0 / sd),
            (c.curvature, 0.0, 1.0 / r),
        ] {
            report.compare(name, at, [found, expected], TOLERANCE * size);
        }
    }

    /// Panels of a field `N(ω, V)`, split where `φ` has edges.
    fn panels(&self, omega: f64, sd: f64) -> Result<Panels, QuadratureError> {
        // The data of these points lie within 6 widths of ω; what a function can mistake for them
        // (of the other sign, say) is not much farther out, or weighs exp(-200).
        let inner = (1..=12).map(|k| 0.5 * f64::from(k));
        let outer = [7.5, 9.5, 12.0, 15.0, 20.0];
        let widths = inner.chain(outer).flat_map(|t| [-t, t]).chain([0.0]);
        let edges = widths.map(|t| omega + sd * t);
        let panels = Panels::new(edges)?;
        let inner = self.phi.pieces().iter().map(|p| p.lower);
        Ok((inner.filter(|t| t.is_finite())).fold(panels, Panels::split_at))
    }

    /// The channel by integration over `h`.
    fn direct(&self, point: Point, c: Channel) -> Result<Direct, QuadratureError> {
        let (Point { a, y, omega, v }, sd) = (point, point.v.sqrt());
        // In terms of y nothing cancels: bφ - aφ²/2 = ay²/2 - a(y - φ)²/2.
        let exponent = |h: f64| {
            let misfit = y - self.phi.apply(h);
            -0.5 * ((h - omega).powi(2) / v + a * misfit * misfit)
        };
        let mut panels = self.panels(omega, sd)?;
        // Peaks, by thirds, in every panel: the exponent is concave where φ is affine.
        let mut peaks = Vec::new();
        for (mut low, mut high) in panels.iter() {
            for _ in 0..60 {
                let third = (high - low) / 3.0;
                if exponent(low + third) < exponent(high - third) {
                    low += third;
                } else {
                    high -= third;
                }
            }
            let peak = 0.5 * (low + high);
            peaks.push((peak, exponent(peak)));
        }
        let top = peaks.iter().map(|p| p.1).fold(f64::NEG_INFINITY, f64::max);
        for (peak, height) in peaks {
            if height > top - 50.0 {
                let step = 1e-6 * sd;
                let rise = self.phi.apply(peak + step) - self.phi.apply(peak - step);
                let slope = rise / (2.0 * step);
                let width = (1.0 / v + a * slope * slope).sqrt().recip();
                panels = panels.refine_towards(peak, 0.5 * width)?;
            }
        }
        let (x0, h0) = (c.output.mean, c.input.mean);
        let (xs, hs) = (
            c.output.variance.sqrt().max(f64::MIN_POSITIVE),
            c.input.variance.sqrt().max(f64::MIN_POSITIVE),
        );
        let [mass, x1, x2, h1, h2] = bisected(&panels, 1e-3 * TOLERANCE, &|h| {
            let weight = (exponent(h) - top).exp();
            let (x, h) = ((self.phi.apply(h) - x0) / xs, (h - h0) / hs);
            // A centre that is far off must not hide in an overflow.
            let (x, h) = (x.clamp(-1e100, 1e100), h.clamp(-1e100, 1e100));
            [1.0, x, x * x, h, h * h].map(|f| weight * f)
        })?;
        let moments = |first: Estimate, second: Estimate, centre: f64, width: f64| {
            let (m1, m2) = (first.value / mass.value, second.value / mass.value);
            [centre + width * m1, width * width * (m2 - m1 * m1)]
        };
        let norm = -0.5 * (2.0 * std::f64::consts::PI * v).ln();
        let worst = [x1, x2, h1, h2, mass];
        let worst = worst.iter().map(|e| e.error).fold(0.0, f64::max);
        Ok(Direct {
            log_partition: mass.value.ln() + top + norm + 0.5 * a * y * y,
            output: moments(x1, x2, x0, xs),
            input: moments(h1, h2, h0, hs),
            error: worst / mass.value,
        })
    }

    /// Averages over the data `y = φ(h) + n/√a` of a known field.
    fn over_data(&self, report: &mut Report, point: Point) {
        let (phi, Point { a, omega, v, .. }) = (self.phi, point);
        let (sd, noise) = (v.sqrt(), a.recip().sqrt());
        let at = || format!("a = {a:e}, ω = {omega:e}, V = {v:e}");
        // Where φ goes, and where it stays: the data lie within a few noises of these values.
        let mut places: Vec<f64> = (-20..=20)
            .map(|k| phi.apply(omega + 0.5 * sd * f64::from(k)))
            .collect();
        // Both sides of every edge: a jump ends the range of the data.
        let ends = phi
            .pieces()
            .iter()
            .flat_map(|p| [(p, p.lower), (p, p.upper)]);
        let ends = ends.filter(|(_, t)| t.is_finite());
        places.extend(ends.flat_map(|(p, t)| [p.at(t), phi.apply(t)]));
        places.sort_by(f64::total_cmp);
        places.dedup();
        let (low, high) = (places[0], places[places.len() - 1]);
        let hull = Panels::new([low - 12.0 * noise, high + 12.0 * noise]);
        let refined = hull.and_then(|panels| {
            (places.into_iter()).try_fold(panels, |panels, y| panels.refine_towards(y, 0.5 * noise))
        });
        let norm = (a / (2.0 * std::f64::consts::PI)).sqrt();
        let average = |panels: Panels| {
            bisected(&panels, 1e-2 * TOLERANCE, &|y| {
                let weight = norm * phi.log_likelihood(a, y, omega, v).exp();
                if weight == 0.0 {
                    return [0.0; 5];
                }
                let c = phi.channel(a, a * y, omega, v);
                let square = c.output.mean * c.output.mean + c.output.variance;
                let g2 = c.score * c.score;
                [1.0, c.output.mean, square, c.score, c.curvature - g2].map(|f| weight * f)
            })
        };
        let all = refined.and_then(average);
        report.holds("averages over the data are finite", at, all.is_ok());
        let Ok([one, mean, square, score, heat]) = all else {
            return;
        };
        let prior = phi.channel(0.0, 0.0, omega, v).output;
        let second = prior.mean * prior.mean + prior.variance;
        // Of a function that is hardly ever reached, the average is held to the size of the layer.
        let size = second.max(1e-12 * phi.second_moment(omega * omega + v));
        let sharpness = 1.0 / v;
        for (name, found, expected, size) in [
            ("normalisation: ∫ P(y) dy = 1", 1.0, one, 1.0),
            ("E E[x|y] = E x", prior.mean, mean, size.sqrt()),
            ("E E[x²|y] = E x²", second, square, size),
            ("E score = 0", 0.0, score, sharpness.sqrt()),
            ("E curvature = E score²", 0.0, heat, sharpness),
        ] {
            let allowed = TOLERANCE * size + expected.error;
            report.compare(name, at, [found, expected.value], allowed);
        }
    }
}

/// Whether two values of a function differ by more than rounding.
fn differ(x: f64, y: f64) -> bool {
    (x - y).abs() > 1e-12 * (x.abs() + y.abs())
}

/// Whether the pieces are the function, not an approximation of it.
fn pieces_are_exact(phi: &dyn Activation) -> bool {
    phi.pieces().iter().all(|p| {
        let (low, high) = (p.lower.max(-10.0), p.upper.min(10.0));
        (1..8).all(|k| {
            let h = low + (high - low) * f64::from(k) / 8.0;
            low >= high || !differ(p.at(h), phi.apply(h))
        })
    })
}
