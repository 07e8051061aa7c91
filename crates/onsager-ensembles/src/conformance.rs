//! Every identity that a spectral law must obey, run on any implementor.
//!
//! One line tests a law of your own, here two point masses:
//!
//! ```
//! use onsager_ensembles::{Atom, Complex64, Spectrum, Support};
//! use onsager_ensembles::conformance::check_spectrum;
//!
//! struct Projector(Support);
//!
//! impl Projector {
//!     fn new(rank: f64) -> Self {
//!         let atom = |location, mass| Atom { location, mass };
//!         Self(Support { intervals: vec![], atoms: vec![atom(0.0, 1.0 - rank), atom(1.0, rank)] })
//!     }
//! }
//!
//! impl Spectrum for Projector {
//!     fn stieltjes(&self, z: Complex64) -> Complex64 {
//!         let term = |a: &Atom| Complex64::from(a.mass) / (Complex64::from(a.location) - z);
//!         self.0.atoms.iter().map(term).sum()
//!     }
//!     fn support(&self) -> &Support {
//!         &self.0
//!     }
//!     fn moment(&self, order: u32) -> f64 {
//!         if order == 0 { 1.0 } else { self.0.atoms[1].mass }
//!     }
//! }
//!
//! check_spectrum(&Projector::new(0.3))?;
//! # Ok::<(), onsager_scalar::conformance::Failure>(())
//! ```

use onsager_scalar::conformance::{Failure, Report, derivative};
use onsager_scalar::quadrature::{Estimate, Panels, integrate};

use crate::{Complex64, Spectrum};

/// Runs every identity of a spectral law; see [`check_spectrum_to`].
///
/// The tolerance is 1e-9: a density that is derived from the Stieltjes transform is good to 1e-12.
///
/// # Errors
/// Every identity that is broken.
///
/// ```
/// use onsager_ensembles::{MarchenkoPastur, conformance::check_spectrum};
/// let report = check_spectrum(&MarchenkoPastur::rows(0.4)?)?;
/// println!("{report}");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub fn check_spectrum(law: &dyn Spectrum) -> Result<Report, Failure> {
    check_spectrum_to(law, 1e-9)
}

/// Runs every identity of a spectral law, to a relative tolerance of your own.
///
/// | identity | second route |
/// | --- | --- |
/// | support: intervals and atoms in order, masses positive | |
/// | mass, averages | integration of [`Spectrum::density`], atoms added, by rules of our own |
/// | moments | averages of powers |
/// | Stieltjes transform | averages of `1/(t - z)` on both sides of the support, above and below it, far and near; positive above the axis, conjugate below |
/// | density | zero outside; the transform's boundary value inside |
/// | η, Shannon | averages; `γ V' = 1 - η` by differences; `γ → 0`; arguments outside are refused |
/// | R, S | the inverses of `G = -s` and `η` that they are made of |
///
/// # Errors
/// Every identity that is broken.
pub fn check_spectrum_to(law: &dyn Spectrum, tolerance: f64) -> Result<Report, Failure> {
    let mut report = Report::new(law.support(), 0);
    let check = Check { law, tolerance };
    if check.support(&mut report) {
        check.averages(&mut report);
        check.stieltjes(&mut report);
        check.density(&mut report);
        check.transforms(&mut report);
    }
    report.verdict()
}

struct Check<'a> {
    law: &'a dyn Spectrum,
    tolerance: f64,
}

impl Check<'_> {
    fn bounds(&self) -> (f64, f64, f64) {
        let (lower, upper) = (self.law.support().lower(), self.law.support().upper());
        (lower, upper, (upper - lower).max(1e-3 * upper.abs()))
    }

    /// Whether the support is one; nothing else can be asked if it is not.
    fn support(&self, report: &mut Report) -> bool {
        let support = self.law.support();
        let (intervals, atoms) = (&support.intervals, &support.atoms);
        let proper = !(intervals.is_empty() && atoms.is_empty())
            && intervals
                .iter()
                .all(|(a, b)| a < b && a.is_finite() && b.is_finite())
            && intervals.windows(2).all(|w| w[0].1 <= w[1].0)
            && atoms.iter().all(|a| a.location.is_finite() && a.mass > 0.0)
            && atoms.windows(2).all(|w| w[0].location <= w[1].location);
        report.holds("support in order", || "support()".into(), proper);
        proper
    }

    /// An average without [`Spectrum::average`], which a law may override.
    fn direct(&self, f: &dyn Fn(f64) -> f64) -> Option<Estimate> {
        let support = self.law.support();
        let atoms = support.atoms.iter().map(|a| a.mass * f(a.location));
        let mut total = Estimate {
            value: atoms.sum(),
            error: 0.0,
        };
        for &(a, b) in &support.intervals {
            // Square-root edges are smooth in s where t - edge = s²; halves meet in the middle.
            let root = (0.5 * (b - a)).sqrt();
            let panels = Panels::new([0.0, root]).ok()?;
            let panels = panels.refine_towards(0.0, 1e-9 * root).ok()?;
            for (edge, side) in [(a, 1.0), (b, -1.0)] {
                let part = integrate(&panels, 24, |s| {
                    let t = edge + side * s * s;
                    let density = self.law.density(t);
                    if density == 0.0 {
                        0.0
                    } else {
                        2.0 * s * density * f(t)
                    }
                });
                let part = part.ok()?;
                // At a hard edge away from zero the rounding of t hides the last of the mass.
                let hidden = 8.0 * f64::EPSILON * edge.abs();
                let last = edge + side * hidden;
                total.value += part.value;
                total.error += part.error + hidden * (self.law.density(last) * f(last)).abs();
            }
        }
        Some(total)
    }

    fn averages(&self, report: &mut Report) {
        let law = self.law;
        let mut both =
            |name, at: &dyn Fn() -> String, f: &dyn Fn(f64) -> f64, stated: Option<f64>| {
                let (Some(direct), Ok(found), Some(size)) =
                    (self.direct(f), law.average(f), self.direct(&|t| f(t).abs()))
                else {
                    report.holds("averages are finite", at, false);
                    return;
                };
                let allowed = direct.error + found.error + self.tolerance * size.value;
                let name_of_average = "average = ∫ density · f + atoms";
                report.compare(name_of_average, at, [found.value, direct.value], allowed);
                if let Some(stated) = stated {
                    report.compare(name, at, [stated, direct.value], allowed);
                }
            };
        both("mass = 1", &|| "f = 1".into(), &|_| 1.0, Some(1.0));
        for k in 0..6 {
            let at = || format!("k = {k}");
            both(
                "moment = E tᵏ",
                &at,
                &|t| t.powi(k),
                Some(law.moment(k as u32)),
            );
        }
        let (lower, _, width) = self.bounds();
        let at = || "f = cos(3 (t - lower)/width)".into();
        both("", &at, &|t| (3.0 * (t - lower) / width).cos(), None);
    }

    fn stieltjes(&self, report: &mut Report) {
        let (lower, upper, width) = self.bounds();
        let middle = 0.5 * (lower + upper);
        for (re, im) in [
            (middle, 0.3),
            (upper, 0.1),
            (lower, 1e-2),
            (lower - 0.2 * width, 0.0),
            (upper + 0.2 * width, 0.0),
            (upper + 1e-3 * width, 0.0),
            (upper + 1e6 * width, 0.0),
        ] {
            let z = Complex64::new(re, im * width);
            let at = || format!("z = {z}");
            let s = self.law.stieltjes(z);
            let term = |t: f64| Complex64::from(1.0) / (Complex64::from(t) - z);
            let scale = s.norm_sqr().sqrt();
            let parts = (self.direct(&|t| term(t).re), self.direct(&|t| term(t).im));
            let (Some(real), Some(imaginary)) = parts else {
                report.holds("averages are finite", at, false);
                return;
            };
            let name = "stieltjes = E 1/(t - z)";
            for (found, expected) in [(s.re, real), (s.im, imaginary)] {
                let allowed = expected.error + self.tolerance * scale;
                report.compare(name, at, [found, expected.value], allowed);
            }
            if im > 0.0 {
                report.holds("Im stieltjes > 0 above the axis", at, s.im > 0.0);
                let below = self.law.stieltjes(z.conj());
                let name = "conjugate values below the axis";
                let allowed = self.tolerance * scale;
                report.compare(name, at, [below.re, s.re], allowed);
                report.compare(name, at, [below.im, -s.im], allowed);
            }
        }
    }

    fn density(&self, report: &mut Report) {
        let (lower, upper, width) = self.bounds();
        let law = self.law;
        for t in [lower - 1e-6 * width, upper + 1e-6 * width] {
            let name = "density = 0 off the support";
            report.compare(name, || format!("t = {t}"), [law.density(t), 0.0], 0.0);
        }
        for &(a, b) in &law.support().intervals {
            for x in [1e-3, 0.1, 0.4, 0.77, 0.999] {
                let t = a + (b - a) * x;
                // From the transform just above, atoms taken away; accurate to 1e-13/√x.
                let z = Complex64::new(t, 1e-13 * width);
                let atoms: f64 = (law.support().atoms.iter())
                    .map(|atom| (atom.mass / (Complex64::from(atom.location) - z)).im)
                    .sum();
                let expected = std::f64::consts::FRAC_1_PI * (law.stieltjes(z).im - atoms);
                let name = "density = Im stieltjes/π";
                let allowed = self.tolerance.max(1e-9) / (b - a);
                report.compare(
                    name,
                    || format!("t = {t}"),
                    [law.density(t), expected],
                    allowed,
                );
            }
        }
    }

    fn transforms(&self, report: &mut Report) {
        let law = self.law;
        let (lower, upper, width) = self.bounds();
        let size = upper.abs().max(lower.abs());
        for gamma in [-0.7, -0.1, 1e-9, 0.1, 1.0, 30.0, 1e4] {
            let gamma = gamma / size;
            let at = || format!("γ = {gamma}");
            if 1.0 + gamma * lower.min(upper) <= 0.0 || 1.0 + gamma * upper <= 0.0 {
                let refused = law.eta(gamma).is_err() && law.shannon(gamma).is_err();
                report.holds("arguments outside are refused", at, refused);
                continue;
            }
            let direct = |f: &dyn Fn(f64) -> f64| self.direct(f);
            let (Ok(eta), Ok(shannon), Some(inverse), Some(log)) = (
                law.eta(gamma),
                law.shannon(gamma),
                direct(&|t| 1.0 / (1.0 + gamma * t)),
                direct(&|t| (gamma * t).ln_1p()),
            ) else {
                report.holds("averages are finite", at, false);
                continue;
            };
            let allowed = inverse.error + self.tolerance * eta;
            report.compare("η = E 1/(1 + γt)", at, [eta, inverse.value], allowed);
            let allowed = log.error + shannon.error + self.tolerance * log.value.abs();
            report.compare("V = E ln(1 + γt)", at, [shannon.value, log.value], allowed);
            // On the logarithmic scale, a step that stays inside the domain.
            let v = |x: f64| law.shannon(gamma * x).map_or(f64::NAN, |v| v.value);
            let slope = derivative(&v, 1.0, 0.2, 0.0);
            // η next to 1 is rounded.
            let allowed =
                10.0 * slope.error + 10.0 * self.tolerance * (1.0 - eta).abs() + 4.0 * f64::EPSILON;
            report.compare("γ V' = 1 - η", at, [slope.value, 1.0 - eta], allowed);
            // Once more a few roundings away: near an atom S takes them in earnest.
            let x = eta - 1.0;
            let near = law.s_transform(x - 8.0 * f64::EPSILON * eta);
            if let (Some(s), Some(near)) = (law.s_transform(x), near) {
                let expected = gamma * eta / (1.0 - eta);
                let rounding =
                    4.0 * (s - near).abs() + expected.abs() * 8.0 * f64::EPSILON / x.abs();
                let allowed = self.tolerance * expected.abs() + rounding;
                report.compare("S(η - 1) = γη/(1 - η)", at, [s, expected], allowed);
            }
        }
        // G(z) = -s(z), z beyond the support on either side.
        for z in [
            upper + 0.4 * width,
            upper + 30.0 * width,
            lower - 0.4 * width,
        ] {
            let g = -law.stieltjes(z.into()).re;
            if let Some(r) = law.r_transform(g) {
                let allowed = self.tolerance * (z.abs() + r.abs() + width);
                let at = || format!("z = {z}");
                report.compare("R(G(z)) + 1/G(z) = z", at, [r + 1.0 / g, z], allowed);
            }
        }
    }
}
