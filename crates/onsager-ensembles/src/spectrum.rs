//! Spectral laws and the transforms that follow from one of them.

use std::f64::consts::{FRAC_1_PI, PI};
use std::sync::Arc;

use onsager_scalar::quadrature::{Estimate, Panels, integrate};

use crate::EnsembleError;
use crate::error::finite;

/// Complex numbers.
pub type Complex64 = nalgebra::Complex<f64>;

/// A probability law `μ` on the line: limiting eigenvalues of a large symmetric matrix.
///
/// An implementor states its Stieltjes transform, its support and its moments; the rest is
/// derived here, and overridden only where a closed form is known.
///
/// ```
/// use onsager_ensembles::{MarchenkoPastur, Spectrum};
///
/// let law = MarchenkoPastur::rows(0.25)?; // eigenvalues of W Wᵀ/k, W of 1 x 4 proportions
/// assert_eq!(law.support().intervals, [(0.25, 2.25)]);
/// let inverse = law.average(&|t| 1.0 / t)?;
/// assert!((inverse.value - 1.0 / 0.75).abs() < 1e-13); // E 1/t = 1/(1 - α)
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
pub trait Spectrum: Send + Sync {
    /// Stieltjes transform `s(z) = ∫ μ(dt)/(t - z)`, for `z` off the support; for real `z`
    /// inside it (`Im z = +0`) the limit from above, where the law has one.
    fn stieltjes(&self, z: Complex64) -> Complex64;

    /// Where the mass is.
    fn support(&self) -> &Support;

    /// Moment `E tᵏ`.
    fn moment(&self, order: u32) -> f64;

    /// Density of the continuous part at `t`, 0 off the open intervals of the support.
    ///
    /// - **Accuracy**: `Im s(t + iε)/π` at `ε = 1e-13` of the width of the support, atoms
    ///   removed: about `1e-13/√d` at a distance `d` from a square-root edge, both in units of
    ///   that width. Closed forms are exact to rounding.
    fn density(&self, t: f64) -> f64 {
        let support = self.support();
        if !support.is_inside(t) {
            return 0.0;
        }
        let z = Complex64::new(t, 1e-13 * (support.upper() - support.lower()));
        let atoms: f64 = support
            .atoms
            .iter()
            .map(|atom| (atom.mass / (Complex64::from(atom.location) - z)).im)
            .sum();
        (FRAC_1_PI * (self.stieltjes(z).im - atoms)).max(0.0)
    }

    /// Average `E f(t)` over the law, atoms included, with its error.
    ///
    /// On each interval `t = a + (b - a) sin²(θ/2)`: square-root edges become smooth, and
    /// Gauss-Legendre panels in `θ` shrink geometrically towards both edges, so that structure
    /// of `f` on any scale near an edge is resolved.
    ///
    /// - **Accuracy**: about 1e-14 relative to `E |f|` for `f` smooth inside the support on a
    ///   tenth of its width, and the error says so, or otherwise; 1e-12, which it cannot see,
    ///   where the density is derived.
    /// - **Errors**: a value of `f` that is not finite.
    fn average(&self, f: &dyn Fn(f64) -> f64) -> Result<Estimate, EnsembleError> {
        average_over(self.support(), 1, &|t| self.density(t), f)
    }

    /// η-transform `η(γ) = E 1/(1 + γt)`.
    ///
    /// - **Domain**: `1 + γt > 0` on the support.
    /// - **Errors**: `γ` outside.
    fn eta(&self, gamma: f64) -> Result<f64, EnsembleError> {
        self.support().check_gamma(gamma)?;
        let z = -1.0 / gamma;
        // 1/γ overflows only where η differs from 1 by less than rounding.
        Ok(if z.is_finite() {
            self.stieltjes(z.into()).re / gamma
        } else {
            1.0
        })
    }

    /// Shannon transform `V(γ) = E ln(1 + γt)`, in nats; `γ V'(γ) = 1 - η(γ)`.
    ///
    /// - **Domain** and **errors**: as [`Spectrum::eta`].
    fn shannon(&self, gamma: f64) -> Result<Estimate, EnsembleError> {
        self.support().check_gamma(gamma)?;
        self.average(&|t| (gamma * t).ln_1p())
    }

    /// R-transform `R(w) = G⁻¹(w) - 1/w`, `G = -s`, where it is known in closed form: laws of
    /// free sums add it. `None` elsewhere.
    fn r_transform(&self, _w: f64) -> Option<f64> {
        None
    }

    /// S-transform where it is known in closed form: laws of free products multiply it.
    /// `S(η(γ) - 1) = γ η(γ)/(1 - η(γ))`. `None` elsewhere.
    fn s_transform(&self, _x: f64) -> Option<f64> {
        None
    }
}

/// The closed set that carries a law.
///
/// ```
/// use onsager_ensembles::{MarchenkoPastur, Spectrum};
/// let law = MarchenkoPastur::rows(4.0)?;
/// let support = law.support();
/// assert_eq!((support.atoms[0].location, support.atoms[0].mass), (0.0, 0.75));
/// assert_eq!((support.lower(), support.upper()), (0.0, 9.0));
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Support {
    /// Edges of the bulk, disjoint, in increasing order.
    pub intervals: Vec<(f64, f64)>,
    /// Point masses, in increasing order.
    pub atoms: Vec<Atom>,
}

/// A point mass.
///
/// ```
/// # use onsager_ensembles::{Empirical, Spectrum};
/// let law = Empirical::new(vec![2.0, 5.0])?;
/// assert_eq!(law.support().atoms[1].location, 5.0);
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Atom {
    /// Where it sits.
    pub location: f64,
    /// Its probability.
    pub mass: f64,
}

impl Support {
    /// Smallest point of the support.
    #[must_use]
    pub fn lower(&self) -> f64 {
        let edges = self.intervals.iter().map(|i| i.0);
        edges.chain(self.locations()).fold(f64::INFINITY, f64::min)
    }

    /// Greatest point of the support.
    #[must_use]
    pub fn upper(&self) -> f64 {
        let edges = self.intervals.iter().map(|i| i.1);
        edges
            .chain(self.locations())
            .fold(f64::NEG_INFINITY, f64::max)
    }

    /// Whether `t` lies inside the bulk, edges excluded.
    pub(crate) fn is_inside(&self, t: f64) -> bool {
        self.intervals.iter().any(|(a, b)| *a < t && t < *b)
    }

    /// Distance from the nearest edge or atom.
    pub(crate) fn clearance(&self, t: f64) -> f64 {
        let edges = self.intervals.iter().flat_map(|(a, b)| [*a, *b]);
        edges
            .chain(self.locations())
            .map(|e| (t - e).abs())
            .fold(f64::INFINITY, f64::min)
    }

    fn locations(&self) -> impl Iterator<Item = f64> {
        self.atoms.iter().map(|a| a.location)
    }

    /// Checks `1 + γt > 0` on the support.
    pub(crate) fn check_gamma(&self, gamma: f64) -> Result<(), EnsembleError> {
        finite("gamma", gamma)?;
        let least = (1.0 + gamma * self.lower()).min(1.0 + gamma * self.upper());
        if least > 0.0 {
            Ok(())
        } else {
            Err(EnsembleError::Gamma {
                value: gamma,
                lower: self.lower(),
                upper: self.upper(),
            })
        }
    }
}

/// Average of `f` over a support with a density, atoms included.
///
/// The distance from the lower edge of an interval is the power `hard` of `v` if that edge is 0, and
/// `v` otherwise, with `v = sin²(θ/2)` as in [`Spectrum::average`]. For `hard > 1` an interval
/// around 0 is cut there.
pub(crate) fn average_over(
    support: &Support,
    hard: i32,
    density: &dyn Fn(f64) -> f64,
    f: &dyn Fn(f64) -> f64,
) -> Result<Estimate, EnsembleError> {
    let mut total = Estimate {
        value: 0.0,
        error: 0.0,
    };
    for atom in &support.atoms {
        let term = atom.mass * finite("integrand", f(atom.location))?;
        total.value += term;
        total.error += 4.0 * f64::EPSILON * term.abs();
    }
    // From an edge, which may be hard, to the other end.
    let cut = |(a, b): (f64, f64)| match (hard > 1, a < 0.0, 0.0 < b) {
        (true, true, true) => vec![(0.0, a), (0.0, b)],
        (true, true, false) if b == 0.0 => vec![(b, a)],
        _ => vec![(a, b)],
    };
    for (a, b) in support.intervals.iter().copied().flat_map(cut) {
        let power = if a == 0.0 { hard } else { 1 };
        // Panels 2^-26 wide at the edges: in t, rounding of the edge itself.
        let panels = Panels::new([0.0, PI / 2.0, PI])?
            .refine_towards(0.0, PI * (-26f64).exp2())?
            .refine_towards(PI, PI * (-26f64).exp2())?;
        let integrand = |theta: f64| {
            let (sin, cos) = (0.5 * theta).sin_cos();
            let v = sin * sin;
            // From the nearer end, whose distance then keeps its relative accuracy.
            let t = if sin < cos {
                a + (b - a) * v.powi(power)
            } else {
                b + (b - a) * (f64::from(power) * (-cos * cos).ln_1p()).exp_m1()
            };
            // At a hard edge t ≠ 0 always; elsewhere t = a is rounding, and weightless.
            let jacobian = f64::from(power) * v.powi(power - 1);
            let weight = density(t) * (b - a).abs() * jacobian * sin * cos;
            if weight == 0.0 { 0.0 } else { weight * f(t) }
        };
        let part = refined(&panels, &integrand)?;
        total.value += part.value;
        total.error += part.error;
    }
    Ok(total)
}

/// Integral over panels, of which those are halved that hold most of the error.
fn refined(panels: &Panels, f: &dyn Fn(f64) -> f64) -> Result<Estimate, EnsembleError> {
    /// Error of a panel, relative to the integral, below which it is rounding, ...
    const ROUNDING: f64 = 1e-15;
    /// ... and below which it may be: halving goes on only while it helps.
    const PERHAPS: f64 = 1e-11;
    /// Features of a 2^-12 th of a panel are resolved.
    const HALVINGS: u32 = 12;
    let on = |a: f64, b: f64| -> Result<_, EnsembleError> {
        Ok((a, b, integrate(&Panels::new([a, b])?, 16, f)?))
    };
    let mut open = panels
        .iter()
        .map(|(a, b)| Ok((HALVINGS, on(a, b)?)))
        .collect::<Result<Vec<_>, EnsembleError>>()?;
    let size: f64 = open.iter().map(|(_, part)| part.2.value.abs()).sum();
    let mut total = Estimate {
        value: 0.0,
        error: 0.0,
    };
    let mut add = |part: &Estimate| {
        total.value += part.value;
        total.error += part.error;
    };
    while let Some((depth, (a, b, part))) = open.pop() {
        if depth == 0 || part.error <= ROUNDING * size + 8.0 * f64::EPSILON * part.value.abs() {
            add(&part);
            continue;
        }
        let middle = 0.5 * (a + b);
        let halves = [on(a, middle)?, on(middle, b)?];
        let rest: f64 = halves.iter().map(|half| half.2.error).sum();
        if rest < 0.5 * part.error || rest > PERHAPS * size {
            open.extend(halves.map(|half| (depth - 1, half)));
        } else {
            halves.iter().for_each(|half| add(&half.2));
        }
    }
    Ok(total)
}

/// `√(z - a) √(z - b)`, the branch that is `z` at infinity and cut along `[a, b]` only.
pub(crate) fn edge_root(z: Complex64, a: f64, b: f64) -> Complex64 {
    principal_root(z - a) * principal_root(z - b)
}

/// Principal square root; both components to relative accuracy, which polar forms lose near the
/// negative axis.
fn principal_root(z: Complex64) -> Complex64 {
    let large = (0.5 * (z.re.hypot(z.im) + z.re.abs())).sqrt();
    if large == 0.0 {
        Complex64::new(0.0, z.im)
    } else if z.re >= 0.0 {
        Complex64::new(large, 0.5 * z.im / large)
    } else {
        Complex64::new(0.5 * z.im.abs() / large, large.copysign(z.im))
    }
}

macro_rules! forward {
    ($($pointer:ty),+) => {$(
        impl<L: Spectrum + ?Sized> Spectrum for $pointer {
            fn stieltjes(&self, z: Complex64) -> Complex64 {
                (**self).stieltjes(z)
            }
            fn support(&self) -> &Support {
                (**self).support()
            }
            fn moment(&self, order: u32) -> f64 {
                (**self).moment(order)
            }
            fn density(&self, t: f64) -> f64 {
                (**self).density(t)
            }
            fn average(&self, f: &dyn Fn(f64) -> f64) -> Result<Estimate, EnsembleError> {
                (**self).average(f)
            }
            fn eta(&self, gamma: f64) -> Result<f64, EnsembleError> {
                (**self).eta(gamma)
            }
            fn shannon(&self, gamma: f64) -> Result<Estimate, EnsembleError> {
                (**self).shannon(gamma)
            }
            fn r_transform(&self, w: f64) -> Option<f64> {
                (**self).r_transform(w)
            }
            fn s_transform(&self, x: f64) -> Option<f64> {
                (**self).s_transform(x)
            }
        }
    )+};
}

forward!(&L, Arc<L>);
