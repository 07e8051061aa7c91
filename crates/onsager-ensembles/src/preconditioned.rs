//! The law of noise that is seen through a covariance.

use std::f64::consts::{FRAC_1_PI, PI};

use onsager_scalar::quadrature::Estimate;
use onsager_scalar::roots::bracketed_root;

use crate::composed::Gap;
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
/// | [`product`](Self::product) | `ξᵀ L(Δ + ρL)⁻¹ ξ/p - βλ/Δ`, `L` of `βp x βp` | `β E u/(Δ + (ρ - g)u) - βλ/Δ` |
///
/// `ρ` is the second moment of the signal, the mean of `K` if that is centred. The resolvent is
/// `-(x + σK)⁻¹` with `σ = -R(-g)`, `g = -E t/(x + σt)`; with `s = σ/x`, `x` solves a quadratic
/// equation whose coefficients are averages of `K` at `s`, so this law is a curve with the
/// parameter of [`Composed`]. With a law of `L`, `r = (ρ + g)/Δ`, and eigenvalues `u`, the two
/// parameters separate, `E ts/(1 + ts) = (β/Δ)(ρ - Δr)(λ - E u/(1 + ur))`: the left side increases on
/// every gap of `K`, so the curve is walked along the gaps of `L`.
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

#[derive(Debug, Clone, PartialEq)]
enum Noise {
    Plain(Plain),
    Product(Box<Product>),
}

/// Noise whose `R` transform makes the equation of the curve a quadratic one.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Plain {
    Wigner { noise: f64, mean: f64 },
    Wishart { noise: f64, aspect: f64, mean: f64 },
}

/// Noise between two covariances.
#[derive(Debug, Clone, PartialEq)]
struct Product {
    left: Composed,
    left_mean: f64,
    noise: f64,
    aspect: f64,
    mean: f64,
}

impl Plain {
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
}

impl Noise {
    /// `σ` at `x → ∞`.
    fn drift(&self) -> f64 {
        match self {
            Self::Plain(Plain::Wigner { noise, mean }) => mean / noise,
            Self::Plain(Plain::Wishart {
                noise,
                aspect,
                mean,
            }) => aspect * mean / (noise * (noise + mean)),
            Self::Product(of) => {
                let known = of
                    .left
                    .filtered((of.mean / of.noise).into(), &mut None)
                    .0
                    .re;
                of.scale() * (of.left_mean - known)
            }
        }
    }

    /// Largest modulus of an eigenvalue.
    fn radius(&self) -> f64 {
        match self {
            Self::Plain(Plain::Wigner { noise, mean }) => (mean + 2.0 * noise.sqrt()) / noise,
            Self::Plain(Plain::Wishart {
                noise,
                aspect,
                mean,
            }) => aspect / noise + (1.0 + aspect.sqrt()).powi(2) / (noise + mean),
            Self::Product(of) => {
                let largest = of.left.support().upper();
                let weight = largest / (of.noise + of.mean * largest);
                of.scale() * of.left_mean + (1.0 + of.aspect.sqrt()).powi(2) * weight
            }
        }
    }

    /// The atom of the noise, in location and mass.
    fn atom(&self) -> Option<Atom> {
        let (location, rank) = match self {
            Self::Plain(Plain::Wigner { .. }) => return None,
            Self::Plain(Plain::Wishart { noise, aspect, .. }) => (-aspect / noise, *aspect),
            Self::Product(of) => {
                let atoms = of.left.support().atoms.iter();
                let zero: f64 = atoms.filter(|a| a.location == 0.0).map(|a| a.mass).sum();
                (-of.scale() * of.left_mean, of.aspect * (1.0 - zero))
            }
        };
        (rank < 1.0).then_some(Atom {
            location,
            mass: 1.0 - rank,
        })
    }
}

impl Product {
    /// `β/Δ`.
    fn scale(&self) -> f64 {
        self.aspect / self.noise
    }

    /// `s x - σ(g)` in its terms, at `g = -h/x`.
    fn balance(&self, x: Complex64, s: Dual, h: Dual, hint: &mut Option<Complex64>) -> [Dual; 3] {
        let r = (h * -1.0).scaled(x.inv()) + self.mean;
        let r = r * self.noise.recip();
        let (known, square) = self.left.filtered(r.value, hint);
        let known = Dual {
            value: known,
            slope: -square * r.slope,
        };
        [
            s.scaled(x),
            Dual::constant(-self.scale() * self.left_mean),
            known * self.scale(),
        ]
    }

    /// The points of the curve over an angle of `L`, one for each gap of `K` at most: `x`, and the
    /// slope that vanishes at an edge.
    fn excess(&self, covariance: &Composed, gap: Gap, angle: f64) -> Option<(f64, f64)> {
        let at = self.left.at(self.left.tau(angle));
        let (r, known) = (at.tau.value.re, at.first.value.re);
        let rest = self.mean - self.noise * r;
        let target = self.scale() * rest * (self.left_mean - known);
        let strength = |angle: f64| {
            let at = covariance.at(covariance.tau(angle));
            let found = (at.tau.value * at.first.value).re - target;
            // Infinite at an atom, and nothing where τ is infinite.
            if found.is_nan() {
                0.0
            } else {
                found.clamp(-f64::MAX, f64::MAX)
            }
        };
        let inset = 1e-14 * (gap.high - gap.low);
        let (low, high) = (gap.low + inset, gap.high - inset);
        if !(target.is_finite() && strength(low) < 0.0 && strength(high) > 0.0) {
            return None;
        }
        let root = bracketed_root(strength, low, high, 1e-16).ok()?;
        let seen = covariance.at(covariance.tau(root.x));
        let x = seen.first.value.re / rest;
        let response = self.scale() / self.noise * at.square().re;
        Some((x, seen.square().re * response / (x * x) - 1.0))
    }
}

impl Preconditioned {
    /// `K^½ (√(noise/p) ξ - mean) K^½/noise`, `ξ` symmetric `p x p` with unit variance.
    ///
    /// # Errors
    /// A noise or a mean that is not finite and positive, a covariance with negative eigenvalues.
    pub fn wigner(covariance: Composed, noise: f64, mean: f64) -> Result<Self, EnsembleError> {
        let (noise, mean) = (positive("noise", noise)?, positive("mean", mean)?);
        Self::new(covariance, Noise::Plain(Plain::Wigner { noise, mean }))
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
        let noise = Noise::Plain(Plain::Wishart {
            noise,
            aspect,
            mean,
        });
        Self::new(covariance, noise)
    }

    /// `K^½ (ξᵀ L(noise + mean L)⁻¹ ξ/p - aspect left_mean/noise) K^½`, `ξ` of `aspect p x p`
    /// independent entries of unit variance, `L` with the law `left`.
    ///
    /// For `L = 1` this is [`Preconditioned::wishart`]. Of laws of given eigenvalues only the
    /// widest gaps are searched for edges: gaps between neighbours are accidents of a draw.
    ///
    /// # Errors
    /// As for [`Preconditioned::wishart`]; for `left` as for the covariance.
    ///
    /// ```
    /// use onsager_ensembles::{Composed, Preconditioned, Spectrum};
    /// let layer = |a| Composed::point(1.0)?.wishart(a);
    /// let one = Preconditioned::wishart(layer(2.0)?, 1.0, 0.5, 1.0)?;
    /// let same = Preconditioned::product(layer(2.0)?, Composed::point(1.0)?, (1.0, 1.0), 1.0, 0.5)?;
    /// assert!((one.support().upper() - same.support().upper()).abs() < 1e-12);
    /// # Ok::<(), onsager_ensembles::EnsembleError>(())
    /// ```
    pub fn product(
        covariance: Composed,
        left: Composed,
        (mean, left_mean): (f64, f64),
        noise: f64,
        aspect: f64,
    ) -> Result<Self, EnsembleError> {
        crate::error::not_negative(
            "least eigenvalue of the left factor",
            left.support().lower(),
        )?;
        let noise = Noise::Product(Box::new(Product {
            left,
            left_mean: positive("mean of the left factor", left_mean)?,
            noise: positive("noise", noise)?,
            aspect: positive("aspect", aspect)?,
            mean: positive("mean", mean)?,
        }));
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
        // An edge at 0 is where a bulk of K begins at 0, or where τ is infinite.
        let mut edges = vec![0.0];
        match &self.noise {
            Noise::Plain(noise) => self.candidates_plain(*noise, &mut edges),
            Noise::Product(noise) => {
                let (inner, outer) = (widest(&self.covariance), widest(&noise.left));
                let points = (GRID / (inner.len() * outer.len()).max(1)).max(64);
                for (own, gap) in outer.iter().flat_map(|o| inner.iter().map(move |i| (o, i))) {
                    let excess = |angle| noise.excess(&self.covariance, *gap, angle);
                    crossings(&excess, &angles(own, points), &mut edges);
                }
            }
        }
        edges.sort_by(f64::total_cmp);
        let radius = self.radius();
        edges.dedup_by(|a, b| (*a - *b).abs() < 1e-13 * radius);
        edges
    }

    fn candidates_plain(&self, noise: Plain, edges: &mut Vec<f64>) {
        let gaps = self.covariance.gaps();
        let points = (GRID / gaps.len().max(1)).max(64);
        for gap in gaps {
            let mut angles = angles(gap, points);
            // Where the two roots of the quadratic meet, a branch goes over into the other.
            let meeting: Vec<f64> = (angles.windows(2))
                .filter_map(|pair| {
                    let d = |angle| self.discriminant(noise, angle);
                    let (a, b) = (d(pair[0]), d(pair[1]));
                    ((a < 0.0) != (b < 0.0)).then(|| {
                        let root = bracketed_root(d, pair[0], pair[1], 1e-16).ok()?;
                        // The nearest point on the side where the roots are real: rounding hides them
                        // at the root itself, and with them an edge beside it.
                        let side = if a < 0.0 { pair[1] } else { pair[0] };
                        let near = |k| root.x + f64::from(k).exp2() * (side - root.x);
                        (-45..0).map(near).find(|angle| d(*angle) >= 0.0)
                    })?
                })
                .collect();
            angles.extend(meeting);
            angles.sort_by(f64::total_cmp);
            for branch in [0, 1] {
                crossings(&|angle| self.excess(noise, angle, branch), &angles, edges);
            }
        }
    }

    /// Real coefficients of the quadratic at an angle, with `E t²/(1 + ts)²`.
    fn coefficients(&self, noise: Plain, angle: f64) -> ([f64; 3], f64, f64) {
        let at = self.covariance.at(self.covariance.tau(angle));
        let quadratic = noise.quadratic(at.tau, at.first);
        (
            quadratic.map(|c| c.value.re),
            at.first.value.re,
            at.square().re,
        )
    }

    fn discriminant(&self, noise: Plain, angle: f64) -> f64 {
        let ([a, b, c], ..) = self.coefficients(noise, angle);
        b * b - 4.0 * a * c
    }

    /// `x` on one branch, and `E t²/(x + σt)² dσ/dg - 1`, which is negative off the support.
    fn excess(&self, noise: Plain, angle: f64, branch: usize) -> Option<(f64, f64)> {
        let ([a, b, c], h, square) = self.coefficients(noise, angle);
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
        Some((x, square * noise.response(-h / x) / (x * x) - 1.0))
    }
}

/// Points over all gaps that are searched for edges.
const GRID: usize = 4096;

/// The gaps of a law that are searched for edges: all, or of given eigenvalues the widest.
fn widest(law: &Composed) -> Vec<Gap> {
    const MOST: usize = 8;
    let Some((outer, inner)) = law.gaps().split_last() else {
        return Vec::new();
    };
    let mut inner = inner.to_vec();
    inner.sort_by(|a, b| (b.high - b.low).total_cmp(&(a.high - a.low)));
    inner.truncate(MOST);
    inner.push(*outer);
    inner
}

/// Angles of a gap, dense towards both ends, where averages diverge.
fn angles(gap: &Gap, points: usize) -> Vec<f64> {
    let width = gap.high - gap.low;
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
    angles
}

/// The places `x` along a curve of `(x, excess)` where the excess changes its sign.
fn crossings(curve: &dyn Fn(f64) -> Option<(f64, f64)>, angles: &[f64], edges: &mut Vec<f64>) {
    let excess = |angle: f64| curve(angle).map_or(f64::NAN, |e| e.1);
    let values: Vec<f64> = angles.iter().map(|angle| excess(*angle)).collect();
    for (pair, value) in angles.windows(2).zip(values.windows(2)) {
        let (a, b) = (value[0], value[1]);
        if (a < 0.0 && 0.0 < b) || (b < 0.0 && 0.0 < a) {
            let finite = |angle| Some(excess(angle)).filter(|e| e.is_finite());
            let bounded = |angle| finite(angle).unwrap_or(f64::MAX);
            let root = bracketed_root(bounded, pair[0], pair[1], 1e-16).ok();
            let found = root.and_then(|root| curve(root.x));
            edges.extend(found.map(|(x, _)| x).filter(|x| x.is_finite()));
        }
    }
}

impl Sheet for Preconditioned {
    fn residual(&self, x: Complex64, tau: Complex64, hint: &mut Option<Complex64>) -> (Dual, bool) {
        let at = self.covariance.at(tau);
        let terms = match &self.noise {
            Noise::Plain(noise) => {
                let [a, b, c] = noise.quadratic(at.tau, at.first);
                [a.scaled(x * x), b.scaled(x), c]
            }
            Noise::Product(noise) => noise.balance(x, at.tau, at.first, hint),
        };
        let size = terms.map(|term| term.value.norm_sqr().sqrt());
        let [a, b, c] = terms;
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
