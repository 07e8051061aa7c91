//! The law of noise that is seen through a covariance.

use std::f64::consts::{FRAC_1_PI, PI};

use onsager_scalar::quadrature::Estimate;
use onsager_scalar::roots::bracketed_root;

use crate::error::{finite, positive};
use crate::resolvent::{Dual, Sheet};
use crate::spectrum::{Atom, Complex64, Spectrum, Support, average_over};
use crate::{Composed, EnsembleError};

/// The bulk of linearised message passing on a spiked matrix: the law of `K^½ N K^½`, `N` the
/// centred and scaled noise.
///
/// | | `N` | `R(g)` of `N` |
/// | --- | --- | --- |
/// | [`wigner`](Self::wigner) | `(√(Δ/p) ξ - ρ)/Δ`, `ξ` symmetric | `(g - ρ)/Δ` |
/// | [`wishart`](Self::wishart) | `ξᵀξ/(p(Δ + ρ)) - β/Δ`, `ξ` of `βp x p` | `β/(Δ + ρ - g) - β/Δ` |
///
/// `ρ` is the second moment of the signal, the mean of `K` if that is centred. The resolvent is
/// `-(x + σK)⁻¹` with `σ = -R(-g)`, `g = -E t/(x + σt)`; with `s = σ/x`, `x` solves a quadratic
/// equation whose coefficients are averages of `K` at `s`, so this law is a curve with the
/// parameter of [`Composed`].
///
/// - **Accuracy**: edges to 1e-13 of the largest; the candidates are all the sign changes of
///   `E t²/(x + σt)² · dσ/dg - 1` on a grid of some thousand points of the line off the support of
///   `K`, and an interval belongs to the support if the density in its middle is not zero. Gaps or
///   intervals smaller than the grid are missed; then the mass is not 1.
/// - **Source**: free multiplicative convolution; equations own derivation.
///
/// ```
/// use onsager_ensembles::{Composed, Preconditioned, Spectrum};
/// // K = 1: a semicircle on -ρ/Δ ± 2/√Δ.
/// let law = Preconditioned::wigner(Composed::point(1.0)?, 0.25, 1.0)?;
/// let (a, b) = law.support().intervals[0];
/// assert!((a + 8.0).abs() < 1e-12 && b.abs() < 1e-12, "{a} {b}");
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Preconditioned {
    covariance: Composed,
    noise: Noise,
    support: Support,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Noise {
    Wigner { noise: f64, mean: f64 },
    Wishart { noise: f64, aspect: f64, mean: f64 },
}

impl Noise {
    /// `a x² + b x + c = 0` at `s` with `h = E t/(1 + ts)`.
    fn quadratic(self, s: Dual, h: Dual) -> [Dual; 3] {
        match self {
            Self::Wigner { noise, mean } => [s * noise, Dual::constant(-mean), h],
            Self::Wishart {
                noise,
                aspect,
                mean,
            } => {
                let (d, b) = (noise + mean, aspect / noise);
                // β - b d = -βρ/Δ.
                [s * d, s * h * -1.0 + -b * mean, h * b]
            }
        }
    }

    /// `dσ/dg`.
    fn response(self, g: f64) -> f64 {
        match self {
            Self::Wigner { noise, .. } => 1.0 / noise,
            Self::Wishart {
                noise,
                aspect,
                mean,
            } => aspect / (noise + mean + g).powi(2),
        }
    }

    /// `σ` at `x → ∞`.
    fn drift(self) -> f64 {
        match self {
            Self::Wigner { noise, mean } => mean / noise,
            Self::Wishart {
                noise,
                aspect,
                mean,
            } => aspect * mean / (noise * (noise + mean)),
        }
    }

    /// Largest modulus of an eigenvalue.
    fn radius(self) -> f64 {
        match self {
            Self::Wigner { noise, mean } => (mean + 2.0 * noise.sqrt()) / noise,
            Self::Wishart {
                noise,
                aspect,
                mean,
            } => aspect / noise + (1.0 + aspect.sqrt()).powi(2) / (noise + mean),
        }
    }

    /// The atom of the noise, in location and mass.
    fn atom(self) -> Option<Atom> {
        match self {
            Self::Wishart { noise, aspect, .. } if aspect < 1.0 => Some(Atom {
                location: -aspect / noise,
                mass: 1.0 - aspect,
            }),
            _ => None,
        }
    }
}

impl Preconditioned {
    /// `K^½ (√(noise/p) ξ - mean) K^½/noise`, `ξ` symmetric `p x p` with unit variance.
    ///
    /// # Errors
    /// A noise or a mean that is not finite and positive, a covariance with negative eigenvalues.
    pub fn wigner(covariance: Composed, noise: f64, mean: f64) -> Result<Self, EnsembleError> {
        let (noise, mean) = (positive("noise", noise)?, positive("mean", mean)?);
        Self::new(covariance, Noise::Wigner { noise, mean })
    }

    /// `K^½ (ξᵀξ/(p (noise + mean)) - aspect/noise) K^½`, `ξ` of `aspect p x p` independent entries
    /// of unit variance.
    ///
    /// # Errors
    /// As for [`Preconditioned::wigner`]; an aspect that is not finite and positive.
    ///
    /// ```
    /// use onsager_ensembles::{Composed, Preconditioned, Spectrum};
    /// // K = 1: Marchenko-Pastur of columns, (1 ± √β)²/(1 + Δ) - β/Δ.
    /// let law = Preconditioned::wishart(Composed::point(1.0)?, 1.0, 4.0, 1.0)?;
    /// assert!((law.support().lower() + 3.5).abs() < 1e-12);
    /// assert!((law.support().upper() - 0.5).abs() < 1e-12);
    /// # Ok::<(), onsager_ensembles::EnsembleError>(())
    /// ```
    pub fn wishart(
        covariance: Composed,
        noise: f64,
        aspect: f64,
        mean: f64,
    ) -> Result<Self, EnsembleError> {
        let (noise, mean) = (positive("noise", noise)?, positive("mean", mean)?);
        let aspect = positive("aspect", aspect)?;
        let noise = Noise::Wishart {
            noise,
            aspect,
            mean,
        };
        Self::new(covariance, noise)
    }

    fn new(covariance: Composed, noise: Noise) -> Result<Self, EnsembleError> {
        crate::error::not_negative("least eigenvalue", covariance.support().lower())?;
        let mut law = Self {
            support: Support {
                intervals: Vec::new(),
                atoms: Vec::new(),
            },
            covariance,
            noise,
        };
        finite("upper edge", law.radius())?;
        law.support.atoms = law.atoms();
        let edges = law.candidates();
        // Every candidate is an edge of the search; the density decides.
        law.support.intervals = (edges.windows(2)).map(|e| (e[0], e[1])).collect();
        let in_bulk = |(a, b): &(f64, f64)| {
            // Outside, the density is rounding.
            [0.5, 0.25, 0.75]
                .into_iter()
                .any(|x| law.density(a + x * (b - a)) * law.radius() > 1e-9)
        };
        let mut joined: Vec<(f64, f64)> = Vec::new();
        for (a, b) in law.support.intervals.iter().copied().filter(in_bulk) {
            match joined.last_mut() {
                Some(last) if last.1 == a => last.1 = b,
                _ => joined.push((a, b)),
            }
        }
        law.support.intervals = joined;
        Ok(law)
    }

    /// Masses `μ{s} + ν{t} - 1 > 0` at `st`, and the larger of the two at 0.
    fn atoms(&self) -> Vec<Atom> {
        let mut atoms: Vec<Atom> = Vec::new();
        for atom in &self.covariance.support().atoms {
            let (location, mass) = match self.noise.atom() {
                _ if atom.location == 0.0 => (0.0, atom.mass),
                Some(noise) => (atom.location * noise.location, atom.mass + noise.mass - 1.0),
                None => continue,
            };
            if mass > 4.0 * f64::EPSILON {
                atoms.push(Atom { location, mass });
            }
        }
        atoms.sort_by(|a, b| a.location.total_cmp(&b.location));
        atoms
    }

    /// Every point where an edge may be, increasing.
    fn candidates(&self) -> Vec<f64> {
        /// Points over all gaps of the covariance.
        const GRID: usize = 4096;
        let gaps = self.covariance.gaps();
        let points = (GRID / gaps.len().max(1)).max(64);
        // An edge at 0 is where a bulk of K begins at 0, or where τ is infinite.
        let mut edges = vec![0.0];
        for gap in gaps {
            let width = gap.high - gap.low;
            // Dense towards both ends, where the averages diverge.
            let inner = (1..points).map(|i| {
                let u = i as f64 / points as f64;
                gap.low + width * (0.5 * PI * u).sin().powi(2)
            });
            let tail = |k: i32| width * f64::from(-k).exp2();
            let mut angles: Vec<f64> = (2..48)
                .flat_map(|k| [gap.low + tail(k), gap.high - tail(k)])
                .chain(inner)
                .collect();
            angles.sort_by(f64::total_cmp);
            // Where the two roots of the quadratic meet, a branch goes over into the other.
            let meeting: Vec<f64> = (angles.windows(2))
                .filter_map(|pair| {
                    let d = |angle| self.discriminant(angle);
                    let (a, b) = (d(pair[0]), d(pair[1]));
                    ((a < 0.0) != (b < 0.0)).then(|| {
                        let root = bracketed_root(d, pair[0], pair[1], 1e-16).ok()?;
                        // On the side where the roots are real.
                        let side = if a < 0.0 { pair[1] } else { pair[0] };
                        Some(root.x + 1e-13 * (side - root.x))
                    })?
                })
                .collect();
            angles.extend(meeting);
            angles.sort_by(f64::total_cmp);
            for branch in [0, 1] {
                let excess = |angle: f64| self.excess(angle, branch).map_or(f64::NAN, |e| e.1);
                for pair in angles.windows(2) {
                    let (a, b) = (excess(pair[0]), excess(pair[1]));
                    if (a < 0.0 && 0.0 < b) || (b < 0.0 && 0.0 < a) {
                        let finite = |angle| Some(excess(angle)).filter(|e| e.is_finite());
                        let bounded = |angle| finite(angle).unwrap_or(f64::MAX);
                        let root = bracketed_root(bounded, pair[0], pair[1], 1e-16).ok();
                        let found = root.and_then(|root| self.excess(root.x, branch));
                        edges.extend(found.map(|(x, _)| x).filter(|x| x.is_finite()));
                    }
                }
            }
        }
        edges.sort_by(f64::total_cmp);
        let radius = self.radius();
        edges.dedup_by(|a, b| (*a - *b).abs() < 1e-13 * radius);
        edges
    }

    /// Real coefficients of the quadratic at an angle, with `E t²/(1 + ts)²`.
    fn coefficients(&self, angle: f64) -> ([f64; 3], f64, f64) {
        let at = self.covariance.at(self.covariance.tau(angle));
        let quadratic = self.noise.quadratic(at.tau, at.first);
        (
            quadratic.map(|c| c.value.re),
            at.first.value.re,
            at.square().re,
        )
    }

    fn discriminant(&self, angle: f64) -> f64 {
        let ([a, b, c], ..) = self.coefficients(angle);
        b * b - 4.0 * a * c
    }

    /// `x` on one branch, and `E t²/(x + σt)² dσ/dg - 1`, which is negative off the support.
    fn excess(&self, angle: f64, branch: usize) -> Option<(f64, f64)> {
        let ([a, b, c], h, square) = self.coefficients(angle);
        let discriminant = b * b - 4.0 * a * c;
        if discriminant < 0.0 || discriminant.is_nan() {
            return None;
        }
        let root = if branch == 0 {
            discriminant.sqrt()
        } else {
            -discriminant.sqrt()
        };
        // (-b + root)/2a in the form that does not cancel.
        let x = if b * root <= 0.0 {
            0.5 * (root - b) / a
        } else {
            2.0 * c / (-b - root)
        };
        Some((x, square * self.noise.response(-h / x) / (x * x) - 1.0))
    }
}

impl Sheet for Preconditioned {
    fn residual(&self, x: Complex64, tau: Complex64) -> (Dual, bool) {
        let at = self.covariance.at(tau);
        let [a, b, c] = self.noise.quadratic(at.tau, at.first);
        let (a, b) = (a.scaled(x * x), b.scaled(x));
        let size = [&a, &b, &c].map(|term| term.value.norm_sqr().sqrt());
        let sum = (a + b + c) * size.iter().sum::<f64>().recip();
        // g is the transform of a positive measure.
        let g = -at.first.value / x;
        let physical = x.im == 0.0 || (g.im > 0.0 && self.covariance.is_one_sided(tau));
        (sum, physical)
    }

    fn start(&self, x: Complex64) -> Complex64 {
        x.inv() * (self.noise.drift() * self.covariance.dilation())
    }

    fn radius(&self) -> f64 {
        self.covariance.support().upper() * self.noise.radius()
    }

    fn scale(&self) -> f64 {
        let natural = self.radius() / (self.noise.drift() * self.covariance.dilation());
        self.covariance.innermost().max(natural)
    }

    fn clearance(&self, x: f64) -> f64 {
        self.support.clearance(x).min(x.abs())
    }
}

impl Spectrum for Preconditioned {
    fn stieltjes(&self, z: Complex64) -> Complex64 {
        let mut above = Complex64::new(z.re, z.im.abs());
        if above.norm_sqr() == 0.0 {
            above = Complex64::from(1e-100 * self.radius());
        }
        let s = -self.covariance.at(self.root(above)).eta.value / above;
        if z.im < 0.0 { s.conj() } else { s }
    }

    fn support(&self) -> &Support {
        &self.support
    }

    /// By quadrature over the density; NaN for a power that overflows.
    fn moment(&self, order: u32) -> f64 {
        let power = |t: f64| t.powf(f64::from(order));
        self.average(&power).map_or(f64::NAN, |found| found.value)
    }

    fn average(&self, f: &dyn Fn(f64) -> f64) -> Result<Estimate, EnsembleError> {
        // Whatever K has close to 0 shows close to 0 here, on both sides.
        average_over(
            &self.support,
            self.covariance.hardness(),
            &|t| self.density(t),
            f,
        )
    }

    fn density(&self, t: f64) -> f64 {
        if self.support.is_inside(t) {
            (FRAC_1_PI * self.stieltjes(t.into()).im).max(0.0)
        } else {
            0.0
        }
    }
}
