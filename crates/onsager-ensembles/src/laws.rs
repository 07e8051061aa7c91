//! The laws themselves.

use std::f64::consts::PI;

use onsager_scalar::quadrature::Estimate;

use crate::EnsembleError;
use crate::error::{finite, positive};
use crate::spectrum::{Atom, Complex64, Spectrum, Support, edge_root};

/// Marchenko-Pastur law: squared singular values of a matrix `W` of `p` rows and `k` columns with
/// independent entries of unit variance, *divided by `k`*, as `p, k → ∞` at fixed `α = p/k`.
///
/// | | matrix | mean | atom at 0 |
/// | --- | --- | --- | --- |
/// | [`rows`](Self::rows) | `W Wᵀ/k`, `p x p` | 1 | `1 - 1/α` if `α > 1` |
/// | [`columns`](Self::columns) | `Wᵀ W/k`, `k x k` | `α` | `1 - α` if `α < 1` |
///
/// Both share the bulk `[(1 - √α)², (1 + √α)²]`; the density of the first is
/// `√((t₊ - t)(t - t₋))/(2π α t)`, that of the second `α` times as much.
///
/// Written as `t = scale · τ` with `τ` the law of rows at aspect `c`, for which
/// `c z s² + (z + c - 1) s + 1 = 0`; every root below is taken in the form that does not cancel.
///
/// - **Accuracy**: a few ulp, and no loss at `α → 0`, `γ → 0`, `γ → ∞`, `z → ∞`.
/// - **Source**: Marchenko and Pastur (1967); transforms derived from the quadratic.
///
/// ```
/// use onsager_ensembles::{MarchenkoPastur, Spectrum};
/// let square = MarchenkoPastur::rows(1.0)?;
/// assert_eq!(square.eta(2.0)?, 0.5); // 2/(1 + √(1 + 4γ))
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct MarchenkoPastur {
    aspect: f64,
    scale: f64,
    /// Edges of `τ`.
    edges: (f64, f64),
    support: Support,
}

impl MarchenkoPastur {
    /// Eigenvalues of `W Wᵀ/k`; `aspect` is rows over columns, `α = p/k`.
    ///
    /// # Errors
    /// An aspect that is not finite and positive.
    pub fn rows(aspect: f64) -> Result<Self, EnsembleError> {
        Self::new(positive("aspect", aspect)?, 1.0)
    }

    /// Eigenvalues of `Wᵀ W/k`; `aspect` is rows over columns, `α = p/k`.
    ///
    /// # Errors
    /// As [`MarchenkoPastur::rows`].
    ///
    /// ```
    /// # use onsager_ensembles::{MarchenkoPastur, Spectrum};
    /// let (outer, inner) = (MarchenkoPastur::rows(0.5)?, MarchenkoPastur::columns(0.5)?);
    /// // The same singular values: p (1 - η) = k (1 - η).
    /// assert!((0.5 * (1.0 - outer.eta(3.0)?) - (1.0 - inner.eta(3.0)?)).abs() < 1e-15);
    /// # Ok::<(), onsager_ensembles::EnsembleError>(())
    /// ```
    pub fn columns(aspect: f64) -> Result<Self, EnsembleError> {
        let aspect = positive("aspect", aspect)?;
        Self::new(positive("inverse aspect", 1.0 / aspect)?, aspect)
    }

    fn new(aspect: f64, scale: f64) -> Result<Self, EnsembleError> {
        let root = aspect.sqrt();
        // 1 - √c as (1 - c)/(1 + √c).
        let edges = (
            ((1.0 - aspect) / (1.0 + root)).powi(2),
            (1.0 + root).powi(2),
        );
        finite("upper edge", scale * edges.1)?;
        let mut atoms = Vec::new();
        if aspect > 1.0 {
            let mass = (aspect - 1.0) / aspect;
            let location = 0.0;
            atoms.push(Atom { location, mass });
        }
        Ok(Self {
            aspect,
            scale,
            edges,
            support: Support {
                intervals: vec![(scale * edges.0, scale * edges.1)],
                atoms,
            },
        })
    }

    /// `1 - η` and `η` of `τ`, neither as a difference; `γ` in the domain.
    fn etas(&self, gamma: f64) -> (f64, f64) {
        let c = self.aspect;
        let (u, v) = (
            (1.0 + gamma * self.edges.0).sqrt(),
            (1.0 + gamma * self.edges.1).sqrt(),
        );
        let sum = 0.5 * (u + v);
        let rest = 1.0 + gamma * (1.0 - c);
        // η = 2/(1 + γ(1 - c) + uv), or its conjugate when the first terms are negative.
        let eta = if rest >= 0.0 {
            2.0 / (rest + u * v)
        } else {
            (u * v - rest) / (2.0 * c * gamma)
        };
        (gamma / sum / sum, eta)
    }
}

impl Spectrum for MarchenkoPastur {
    fn stieltjes(&self, z: Complex64) -> Complex64 {
        let (c, z) = (self.aspect, z / self.scale);
        let rest = Complex64::from(1.0 - c) - z;
        let root = edge_root(z, self.edges.0, self.edges.1);
        let (plus, minus) = (rest + root, rest - root);
        // The two forms of the same root of the quadratic.
        let s = if minus.norm_sqr() >= plus.norm_sqr() {
            Complex64::from(2.0) / minus
        } else {
            plus / (z * (2.0 * c))
        };
        s / self.scale
    }

    fn support(&self) -> &Support {
        &self.support
    }

    /// `E τᵏ = Σ_r cʳ C(k, r) C(k-1, r)/(r + 1)`, `r < k`.
    fn moment(&self, order: u32) -> f64 {
        let k = f64::from(order);
        let mut term = 1.0;
        let mut sum = 1.0;
        for r in 1..order {
            let r = f64::from(r);
            term *= self.aspect * (k - r + 1.0) * (k - r) / (r * (r + 1.0));
            sum += term;
        }
        // powf: the order is unsigned, powi is not.
        sum * self.scale.powf(k)
    }

    fn density(&self, t: f64) -> f64 {
        let t = t / self.scale;
        let (a, b) = self.edges;
        if a < t && t < b {
            ((b - t) * (t - a)).sqrt() / (2.0 * PI * self.aspect * t * self.scale)
        } else {
            0.0
        }
    }

    fn eta(&self, gamma: f64) -> Result<f64, EnsembleError> {
        self.support.check_gamma(gamma)?;
        Ok(self.etas(gamma * self.scale).1)
    }

    /// `V = -ln η + ln(1 + c γ η)/c - (1 - η)`.
    fn shannon(&self, gamma: f64) -> Result<Estimate, EnsembleError> {
        self.support.check_gamma(gamma)?;
        let (c, gamma) = (self.aspect, gamma * self.scale);
        let (defect, eta) = self.etas(gamma);
        // ln η from whichever of η, 1 - η is small.
        let log_eta = if defect.abs() < 0.5 {
            (-defect).ln_1p()
        } else {
            eta.ln()
        };
        let inner = (c * gamma * eta).ln_1p() / c;
        Ok(Estimate {
            value: inner - log_eta - defect,
            error: 8.0 * f64::EPSILON * (inner.abs() + log_eta.abs() + defect.abs()),
        })
    }

    /// `1/(1 - c w)` for `τ`, for `c w < 1`.
    fn r_transform(&self, w: f64) -> Option<f64> {
        let rest = 1.0 - self.aspect * self.scale * w;
        (rest > 0.0).then(|| self.scale / rest)
    }

    /// `1/(1 + c x)` for `τ`, for `c x > -1`.
    fn s_transform(&self, x: f64) -> Option<f64> {
        let rest = 1.0 + self.aspect * x;
        (rest > 0.0).then(|| 1.0 / (self.scale * rest))
    }
}

/// Semicircle law of variance `v`: eigenvalues of `ξ √(v/p)`, `ξ` symmetric `p x p` with unit
/// variance off the diagonal. Density `√(4v - t²)/(2πv)` on `[-2√v, 2√v]`.
///
/// - **Source**: Wigner (1955).
///
/// ```
/// use onsager_ensembles::{Semicircle, Spectrum};
/// let noise = Semicircle::new(0.25)?; // bulk of Y/√p at noise Δ = 1/4
/// assert_eq!(noise.support().upper(), 1.0);
/// assert_eq!(noise.stieltjes(1.25.into()).re, -1.0); // at λ + v/λ, λ = 1: -1/λ
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Semicircle {
    variance: f64,
    radius: f64,
    support: Support,
}

impl Semicircle {
    /// # Errors
    /// A variance that is not finite and positive.
    pub fn new(variance: f64) -> Result<Self, EnsembleError> {
        let radius = 2.0 * positive("variance", variance)?.sqrt();
        Ok(Self {
            variance,
            radius,
            support: Support {
                intervals: vec![(-radius, radius)],
                atoms: Vec::new(),
            },
        })
    }
}

impl Spectrum for Semicircle {
    fn stieltjes(&self, z: Complex64) -> Complex64 {
        // (√ - z)/2v in its conjugate form: the two terms of the sum never cancel.
        Complex64::from(-2.0) / (z + edge_root(z, -self.radius, self.radius))
    }

    fn support(&self) -> &Support {
        &self.support
    }

    /// Catalan numbers: `E t²ʲ = vʲ C(2j, j)/(j + 1)`.
    fn moment(&self, order: u32) -> f64 {
        if order % 2 == 1 {
            return 0.0;
        }
        (1..=order / 2)
            .map(f64::from)
            .map(|j| self.variance * (4.0 * j - 2.0) / (j + 1.0))
            .product()
    }

    fn density(&self, t: f64) -> f64 {
        let square = (self.radius - t) * (self.radius + t);
        if square > 0.0 {
            square.sqrt() / (2.0 * PI * self.variance)
        } else {
            0.0
        }
    }

    /// `v w`.
    fn r_transform(&self, w: f64) -> Option<f64> {
        Some(self.variance * w)
    }
}

/// Law of `shift + scale · t`, `t` of another law.
///
/// ```
/// use onsager_ensembles::{Affine, MarchenkoPastur, Spectrum};
/// // Covariance of a sign layer: (1 - κ²) + κ² t with κ² = 2/π.
/// let kappa2 = std::f64::consts::FRAC_2_PI;
/// let law = Affine::new(1.0 - kappa2, kappa2, MarchenkoPastur::rows(0.5)?)?;
/// assert!((law.moment(1) - 1.0).abs() < 1e-15);
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Affine<L> {
    shift: f64,
    scale: f64,
    law: L,
    support: Support,
}

impl<L: Spectrum> Affine<L> {
    /// # Errors
    /// A shift that is not finite, a scale that is not finite and positive.
    pub fn new(shift: f64, scale: f64, law: L) -> Result<Self, EnsembleError> {
        finite("shift", shift)?;
        positive("scale", scale)?;
        let at = |t: f64| shift + scale * t;
        let inner = law.support();
        let support = Support {
            intervals: inner
                .intervals
                .iter()
                .map(|(a, b)| (at(*a), at(*b)))
                .collect(),
            atoms: inner
                .atoms
                .iter()
                .map(|atom| Atom {
                    location: at(atom.location),
                    mass: atom.mass,
                })
                .collect(),
        };
        finite("upper edge", support.upper())?;
        Ok(Self {
            shift,
            scale,
            law,
            support,
        })
    }
}

impl<L: Spectrum> Spectrum for Affine<L> {
    fn stieltjes(&self, z: Complex64) -> Complex64 {
        self.law.stieltjes((z - self.shift) / self.scale) / self.scale
    }

    fn support(&self) -> &Support {
        &self.support
    }

    fn moment(&self, order: u32) -> f64 {
        // Σ_j C(k, j) shift^(k-j) scale^j E tʲ
        let mut binomial = 1.0;
        let mut sum = 0.0;
        for j in 0..=order {
            let (from_shift, from_law) = (f64::from(order - j), f64::from(j));
            sum += binomial
                * self.shift.powf(from_shift)
                * self.scale.powf(from_law)
                * self.law.moment(j);
            binomial *= from_shift / (from_law + 1.0);
        }
        sum
    }

    fn density(&self, t: f64) -> f64 {
        self.law.density((t - self.shift) / self.scale) / self.scale
    }

    fn average(&self, f: &dyn Fn(f64) -> f64) -> Result<Estimate, EnsembleError> {
        self.law.average(&|t| f(self.shift + self.scale * t))
    }

    /// `ln(1 + γ shift) + V_t(γ scale/(1 + γ shift))` where the first term exists.
    fn shannon(&self, gamma: f64) -> Result<Estimate, EnsembleError> {
        self.support.check_gamma(gamma)?;
        let rest = 1.0 + gamma * self.shift;
        if rest <= 0.0 {
            return self.average(&|t| (gamma * t).ln_1p());
        }
        let shift = (gamma * self.shift).ln_1p();
        let law = self.law.shannon(gamma * self.scale / rest)?;
        Ok(Estimate {
            value: shift + law.value,
            error: law.error + 4.0 * f64::EPSILON * shift.abs(),
        })
    }

    /// `shift + scale R_t(scale w)`.
    fn r_transform(&self, w: f64) -> Option<f64> {
        let law = self.law.r_transform(self.scale * w)?;
        Some(self.shift + self.scale * law)
    }

    /// `S_t(x)/scale` without a shift; a shift leaves no closed form.
    fn s_transform(&self, x: f64) -> Option<f64> {
        let law = self.law.s_transform(x).filter(|_| self.shift == 0.0)?;
        Some(law / self.scale)
    }
}

/// The measured law of given eigenvalues, each with the same mass.
///
/// ```
/// use onsager_ensembles::{Empirical, Spectrum};
/// let law = Empirical::new(vec![3.0, 1.0])?;
/// assert_eq!(law.eta(1.0)?, 0.375); // (1/2 + 1/4)/2
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Empirical {
    support: Support,
}

impl Empirical {
    /// # Errors
    /// No eigenvalue, or one that is not finite.
    pub fn new(mut eigenvalues: Vec<f64>) -> Result<Self, EnsembleError> {
        if eigenvalues.is_empty() {
            return Err(EnsembleError::Empty("eigenvalues"));
        }
        for value in &eigenvalues {
            finite("eigenvalue", *value)?;
        }
        eigenvalues.sort_by(f64::total_cmp);
        let mass = 1.0 / eigenvalues.len() as f64;
        let atom = |location| Atom { location, mass };
        Ok(Self {
            support: Support {
                intervals: Vec::new(),
                atoms: eigenvalues.into_iter().map(atom).collect(),
            },
        })
    }
}

impl Spectrum for Empirical {
    fn stieltjes(&self, z: Complex64) -> Complex64 {
        let term = |a: &Atom| Complex64::from(a.mass) / (Complex64::from(a.location) - z);
        self.support.atoms.iter().map(term).sum()
    }

    fn support(&self) -> &Support {
        &self.support
    }

    fn moment(&self, order: u32) -> f64 {
        let power = |a: &Atom| a.mass * a.location.powf(f64::from(order));
        self.support.atoms.iter().map(power).sum()
    }
}
