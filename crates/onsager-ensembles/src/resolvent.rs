//! Averages against the resolvent of a law, and how they change when the law is transformed.
//!
//! Everything that free probability says about the operations of [`Step`] is rational in the
//! coordinate of the law they start from, so a law of any depth is a curve with a rational
//! parameter: no fixed point is iterated, and only one complex number is solved for.

use std::ops::{Add, Div, Mul, Sub};

use crate::spectrum::{Atom, Complex64};

/// A number that depends on one parameter, with its derivative.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Dual {
    pub(crate) value: Complex64,
    pub(crate) slope: Complex64,
}

impl Dual {
    pub(crate) fn constant(value: f64) -> Self {
        Self {
            value: value.into(),
            slope: Complex64::default(),
        }
    }

    pub(crate) fn scaled(self, factor: Complex64) -> Self {
        Self {
            value: self.value * factor,
            slope: self.slope * factor,
        }
    }
}

impl Add for Dual {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        Self {
            value: self.value + other.value,
            slope: self.slope + other.slope,
        }
    }
}

impl Sub for Dual {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + other * -1.0
    }
}

impl Mul for Dual {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        Self {
            value: self.value * other.value,
            slope: self.slope * other.value + self.value * other.slope,
        }
    }
}

impl Div for Dual {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let value = self.value / other.value;
        Self {
            value,
            slope: (self.slope - value * other.slope) / other.value,
        }
    }
}

impl Add<f64> for Dual {
    type Output = Self;
    fn add(self, other: f64) -> Self {
        self + Self::constant(other)
    }
}

impl Mul<f64> for Dual {
    type Output = Self;
    fn mul(self, other: f64) -> Self {
        Self {
            value: self.value * other,
            slope: self.slope * other,
        }
    }
}

/// Averages of a law at `τ = -1/z`, free of cancellation at `τ → 0`:
/// `η = E 1/(1 + tτ)`, `first = E t/(1 + tτ)`, `second = E t²/(1 + tτ)`.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Resolvent {
    pub(crate) tau: Dual,
    pub(crate) eta: Dual,
    pub(crate) first: Dual,
    pub(crate) second: Dual,
}

impl Resolvent {
    /// Of a law of point masses; derivatives are with respect to this `τ`.
    pub(crate) fn of(atoms: &[Atom], tau: Complex64) -> Self {
        let zero = Dual::constant(0.0);
        let mut sums = [zero; 3];
        for &Atom { location: t, mass } in atoms {
            let value = (tau * t + 1.0).inv();
            let slope = -value * value * t;
            let mut term = Dual { value, slope } * mass;
            for sum in &mut sums {
                *sum = *sum + term;
                term = term * t;
            }
        }
        let [eta, first, second] = sums;
        let slope = 1.0.into();
        let tau = Dual { value: tau, slope };
        Self {
            tau,
            eta,
            first,
            second,
        }
    }

    /// Stieltjes transform at `z = -1/τ`.
    pub(crate) fn stieltjes(&self) -> Complex64 {
        self.tau.value * self.eta.value
    }

    /// `E t²/(1 + tτ)²`.
    pub(crate) fn square(&self) -> Complex64 {
        -self.first.slope / self.tau.slope
    }
}

/// An operation on laws.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Step {
    /// Of `W K Wᵀ/k` from that of `K`, `k x k`; `aspect` is rows over columns of `W`.
    Wishart { aspect: f64 },
    /// Of `shift + scale K`.
    Affine { shift: f64, scale: f64 },
    /// Of `K` plus a free semicircle.
    Semicircle { variance: f64 },
}

impl Step {
    /// - `Wishart`: `-1/s = z - E t/(1 + a t s)`, that is `τ' = τ/r`, `η' = r/a` with
    ///   `r = a - 1 + η(τ)`.
    /// - `Semicircle`: `s'(z) = s(z + v s')`.
    pub(crate) fn apply(self, at: Resolvent) -> Resolvent {
        let Resolvent {
            tau,
            eta,
            first,
            second,
        } = at;
        match self {
            Self::Wishart { aspect } => {
                let r = eta + (aspect - 1.0);
                let per_row = r * aspect.recip();
                Resolvent {
                    tau: tau / r,
                    eta: per_row,
                    first: first * per_row,
                    second: (second + first * first * aspect.recip()) * r,
                }
            }
            Self::Affine { shift, scale } => {
                // 1 + t'τ' = (1 + tτ)/f.
                let f = tau * (-shift / scale) + 1.0;
                Resolvent {
                    tau: tau / (f * scale),
                    eta: f * eta,
                    first: f * (eta * shift + first * scale),
                    second: f
                        * (eta * (shift * shift)
                            + first * (2.0 * shift * scale)
                            + second * (scale * scale)),
                }
            }
            Self::Semicircle { variance } => {
                let pull = tau * eta * variance;
                let f = pull * tau + 1.0;
                Resolvent {
                    tau: tau / f,
                    eta: eta * f,
                    first: (first - pull * eta) * f,
                    second: (second - pull * first + eta * eta * f * variance) * f,
                }
            }
        }
    }

    /// `dτ/dτ'` at `τ = 0`.
    pub(crate) fn dilation(self) -> f64 {
        match self {
            Self::Wishart { aspect } => aspect,
            Self::Affine { scale, .. } => scale,
            Self::Semicircle { .. } => 1.0,
        }
    }

    /// Moments `E tⁿ`, `n = 0, 1, ...`, of the new law from those of the old one.
    pub(crate) fn moments(self, old: &[f64]) -> Vec<f64> {
        match self {
            // Free cumulants κ_n = a^(n-1) E tⁿ.
            Self::Wishart { aspect } => {
                let scaled = |(n, m): (usize, &f64)| aspect.powi(n as i32 - 1) * m;
                from_cumulants(&old.iter().enumerate().map(scaled).collect::<Vec<_>>())
            }
            Self::Affine { shift, scale } => (0..old.len())
                .map(|n| {
                    // Σ_j C(n, j) shift^(n-j) scale^j E tʲ
                    let mut binomial = 1.0;
                    let mut sum = 0.0;
                    for (j, m) in old.iter().enumerate().take(n + 1) {
                        let (power, rest) = (j as i32, n - j);
                        sum += binomial * shift.powi(rest as i32) * scale.powi(power) * m;
                        binomial *= rest as f64 / (j + 1) as f64;
                    }
                    sum
                })
                .collect(),
            Self::Semicircle { variance } => {
                let mut cumulants = to_cumulants(old);
                if let Some(second) = cumulants.get_mut(2) {
                    *second += variance;
                }
                from_cumulants(&cumulants)
            }
        }
    }
}

/// Sum over `i_1 + ... + i_s = total` of `m_{i_1} ... m_{i_s}`, for every `s` up to `total + 1`
/// and every total below the number of moments.
fn powers(moments: &[f64]) -> Vec<Vec<f64>> {
    let n = moments.len();
    let mut rows = vec![vec![0.0; n]; n + 1];
    rows[0][0] = 1.0;
    for s in 1..=n {
        for total in 0..n {
            rows[s][total] = (0..=total)
                .map(|i| moments[i] * rows[s - 1][total - i])
                .sum();
        }
    }
    rows
}

/// Moment-cumulant formula `m_n = Σ_s κ_s Σ m_{i_1} ... m_{i_s}`, `i_1 + ... + i_s = n - s`.
fn from_cumulants(cumulants: &[f64]) -> Vec<f64> {
    let mut moments = vec![1.0];
    for n in 1..cumulants.len() {
        let powers = powers(&moments);
        moments.push((1..=n).map(|s| cumulants[s] * powers[s][n - s]).sum());
    }
    moments
}

/// The same formula solved for `κ_n`.
fn to_cumulants(moments: &[f64]) -> Vec<f64> {
    let powers = powers(moments);
    let mut cumulants = vec![0.0];
    for n in 1..moments.len() {
        let rest: f64 = (1..n).map(|s| cumulants[s] * powers[s][n - s]).sum();
        cumulants.push(moments[n] - rest);
    }
    cumulants
}

/// A family of curves: for every `z` off a support the one root `τ` of a residual on the sheet that
/// is physical.
pub(crate) trait Sheet {
    /// Residual at `z`, relative to its terms, with its derivative in `τ`, and whether `τ` lies on
    /// the physical sheet, for `Im z > 0`. The hint is what the last call found of a second curve that
    /// this one rests on; it saves time and changes nothing.
    fn residual(&self, z: Complex64, tau: Complex64, hint: &mut Option<Complex64>) -> (Dual, bool);
    /// The root far above the axis.
    fn start(&self, z: Complex64) -> Complex64;
    /// No point of the support lies further from 0.
    fn radius(&self) -> f64;
    /// Scale of `1/τ` of the start: beyond it, Newton's steps are taken in `-1/τ`.
    fn scale(&self) -> f64;
    /// Distance of a real point from the nearest edge or atom.
    fn clearance(&self, x: f64) -> f64;

    /// The root at `z`, `Im z ≥ 0`: followed down from far above, where it is unique, by Newton's
    /// method; every point on the way is on the physical sheet, or the step is shortened.
    fn root(&self, z: Complex64) -> Complex64 {
        /// Steps of `ln height`; a path needs 10 to 40.
        const MOST_STEPS: usize = 300;
        let reach = self.radius() + z.norm_sqr().sqrt();
        // Nothing changes below this height: z may then be real.
        let clearance = 1e-3 * self.clearance(z.re).max(z.im);
        let floor = if clearance > 0.0 {
            clearance
        } else {
            1e-17 * reach
        };
        let at = |height: f64| Complex64::new(z.re, z.im + height);
        let mut hint = None;
        let mut height = 8.0 * reach;
        let mut tau = loop {
            let guess = self.start(at(height));
            match self.newton(at(height), guess, &mut hint) {
                Some(tau) => break tau,
                None if height < 1e9 * reach => height *= 4.0,
                None => break guess,
            }
        };
        let mut factor: f64 = 0.2;
        for _ in 0..MOST_STEPS {
            if height == 0.0 {
                break;
            }
            let lower = if height <= floor {
                0.0
            } else {
                factor * height
            };
            match self.newton(at(lower), tau, &mut hint) {
                Some(found) => {
                    (tau, height) = (found, lower);
                    factor = (factor * factor).max(0.04);
                }
                // Within rounding of an edge the last step may not converge: its start is as good.
                None if lower == 0.0 => break,
                None => factor = factor.sqrt(),
            }
        }
        tau
    }

    /// Newton's method from a guess, in `τ` or, beyond the scale, in `-1/τ`; `None` off the physical
    /// sheet or without convergence.
    fn newton(
        &self,
        z: Complex64,
        guess: Complex64,
        hint: &mut Option<Complex64>,
    ) -> Option<Complex64> {
        let one = Complex64::from(1.0);
        let mut tau = guess;
        let mut last = f64::INFINITY;
        for _ in 0..16 {
            let f = self.residual(z, tau, hint).0;
            let step = f.value / (f.slope * tau);
            let (relative, reach) = (step.norm_sqr().sqrt(), tau.norm_sqr().sqrt());
            let size = relative * (reach * self.scale()).min(1.0);
            if !size.is_finite() || size > 2.0 {
                return None;
            }
            let next = if reach * self.scale() > 1.0 {
                tau / (one + step)
            } else {
                tau * (one - step)
            };
            // Quadratic convergence ends at rounding, where steps stop shrinking.
            if size < 1e-15 || (size < 1e-7 && size >= 0.25 * last) {
                return self.residual(z, next, hint).1.then_some(next);
            }
            (tau, last) = (next, size);
        }
        None
    }
}
