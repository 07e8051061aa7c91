//! A signal behind the outputs of a generalised linear model that do not tell the sign of their
//! field.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_model::FactorKind;
use onsager_operators::lanczos::{
    Eigenpair, LanczosSettings, top_eigenpair, top_eigenpair_preconditioned,
};
use onsager_operators::{LinearOperator, Shape};
use onsager_scalar::Likelihood;
use onsager_scalar::activation::Parity;

use super::{Guess, Spectral, generic, known};
use crate::{AmpError, Diagonal, Message, Problem};

/// Weight `T = 1/ρ - 1/E[h² | y]` that spectral methods give to a measurement `y` of a field
/// `h ~ N(0, ρ)`, `ρ` the `second_moment`.
///
/// With `G = ∂² ln P(y|ω, V)/∂ω²` at `ω = 0`, `V = ρ`, what an output without first-order information says
/// of its field, `T = G/(1 + ρG)`. It is the weight by which most is found without a prior; it does not
/// depend on the number of measurements. For the noiseless absolute value, `T = 1/ρ - 1/y²`.
///
/// - **Domain**: `ρ > 0`, an even law, and a `y` that it allows. A field that is known to vanish
///   has the weight -∞.
/// - **Source**: Luo, Alghamdi and Lu (2019), *IEEE Trans. Signal Process.* 67, for signals without
///   structure; Maillard, Krzakala, Lu and Zdeborová, arXiv:2012.04524, from message passing.
///
/// ```
/// use onsager_amp::spectral::preprocessing;
/// use onsager_scalar::{activation::PiecewiseLinear, likelihood::Noiseless};
/// let abs = Noiseless::new(PiecewiseLinear::abs());
/// assert!((preprocessing(&abs, 2.0, 0.5) - 1.75).abs() < 1e-14); // 1/0.5 - 1/4
/// ```
#[must_use]
pub fn preprocessing(law: &dyn Likelihood, y: f64, second_moment: f64) -> f64 {
    let field = law.observe(y, 0.0, second_moment).field;
    1.0 / second_moment - 1.0 / (field.variance + field.mean * field.mean)
}

/// `Aᵀ diag(T) A/p`, and where it comes from.
pub(super) struct Sensed {
    matrix: Arc<dyn LinearOperator>,
    /// `T(y_i)`.
    weights: Vec<f64>,
    second_moment: f64,
    /// The factor of the matrix.
    factor: usize,
}

impl Sensed {
    /// The measurements of the signal of a problem, if it is seen through outputs.
    pub(super) fn of(problem: &Problem) -> Result<Option<Self>, AmpError> {
        let (factors, signal) = (problem.tree.factors(), problem.tree.signal_index());
        let found = factors.iter().enumerate().find_map(|(f, factor)| {
            let FactorKind::Likelihood(law) = &factor.kind else {
                return None;
            };
            let ends = [signal, factor.variables[0]];
            let linear = factors.iter().position(|g| g.variables == ends)?;
            Some((f, law, linear))
        });
        let Some((output, law, factor)) = found else {
            return Ok(None);
        };
        if law.parity() != Parity::Even {
            let what = "a spectral method of outputs that differ for h and -h";
            return Err(AmpError::NotSupported(what.into()));
        }
        if problem.problems != 1 {
            let what = "a spectral method of the outputs of several problems at once";
            return Err(AmpError::NotSupported(what.into()));
        }
        let second_moment = problem.tree.signal().second_moment;
        let lowest = -1.0 / (KNOWN * second_moment);
        let y = problem.data(output)?;
        let weight = |y: &f64| preprocessing(law.as_ref(), *y, second_moment).max(lowest);
        Ok(Some(Self {
            matrix: problem.operator(factor)?.clone(),
            weights: y.iter().map(weight).collect(),
            second_moment,
            factor,
        }))
    }

    /// Leading eigenvector of `ρ Aᵀ T A/p`.
    pub(super) fn blind(&self) -> Result<Spectral, AmpError> {
        let start = generic(self.shape().columns);
        let pair = top_eigenpair(self, &start, settings())?;
        Ok(Self::found(pair, self.second_moment, 0))
    }

    /// Leading eigenvector of `K Aᵀ T A/p`, at `cost` products a step within `K`.
    pub(super) fn linearised(
        &self,
        covariance: &dyn LinearOperator,
        cost: u64,
    ) -> Result<Spectral, AmpError> {
        let start = generic(self.shape().columns);
        let pair = top_eigenpair_preconditioned(covariance, self, &start, settings())?;
        Ok(Self::found(pair, 1.0, cost))
    }

    fn found(pair: Eigenpair, scale: f64, cost: u64) -> Spectral {
        Spectral {
            value: pair.value * scale,
            vector: pair.vector,
            left: None,
            residual: pair.residual * scale,
            products: pair.products * (2 + cost),
            converged: pair.converged,
        }
    }

    /// The direction `v`, `|v| = 1`, as a fixed point of the linear theory: `x = √(pq) v` of error
    /// `ρ - q`, scores `g = T A x/√p`, and the message `B = Aᵀ g/√p + s x` of precision `s = |g|²/p`.
    ///
    /// The scale comes from the Nishimori line, `|B|²/p = s + ρ s²`: with `u = Aᵀ T A v/p` and
    /// `S = |T A v|²/p`, `s = qS` and `S² q² + (2S v·u - ρS²) q + |u|² - S = 0`.
    pub(super) fn scaled(&self, v: &DMatrix<f64>) -> Result<Guess, AmpError> {
        let (p, rho) = (v.nrows() as f64, self.second_moment);
        let mut scores = self.matrix.apply(v)?;
        let weights = self.weights.iter();
        scores.iter_mut().zip(weights).for_each(|(g, t)| *g *= t);
        let u = self.matrix.apply_adjoint(&scores)? / p;
        let square = scores.norm_squared() / p;
        // q² + 2 l q + m = 0.
        let l = v.dot(&u) / square - 0.5 * rho;
        let m = (u.norm_squared() - square) / (square * square);
        let q = known(-l + (l * l - m).max(0.0).sqrt(), rho, p);
        let (norm, snr) = ((q * p).sqrt(), q * square);
        Ok(Guess {
            estimate: v * norm,
            products: 2,
            left: None,
            messages: vec![Message {
                precision: Diagonal::Shared(vec![snr]),
                field: (u + v * snr) * norm,
            }],
            scores: Some((self.factor, scores * q.sqrt())),
        })
    }
}

/// Weights of exact outputs spread over many orders of magnitude. At `p = 1000` the method of Lanczos
/// takes ten times the products if it restarts from 60 vectors, and still less memory than the matrix
/// with these.
fn settings() -> LanczosSettings {
    LanczosSettings {
        basis: 300,
        ..LanczosSettings::default()
    }
}

/// `Aᵀ T A/p`.
impl LinearOperator for Sensed {
    fn shape(&self) -> Shape {
        Shape::square(self.matrix.shape().columns)
    }
    fn apply_column(&self, x: &[f64], y: &mut [f64]) {
        let mut image = vec![0.0; self.weights.len()];
        self.matrix.apply_column(x, &mut image);
        let scale = 1.0 / x.len() as f64;
        for (image, weight) in image.iter_mut().zip(&self.weights) {
            *image *= weight * scale;
        }
        self.matrix.apply_adjoint_column(&image, y);
    }
    fn apply_adjoint_column(&self, x: &[f64], y: &mut [f64]) {
        self.apply_column(x, y);
    }
    fn bytes(&self) -> usize {
        self.matrix.bytes()
    }
}

/// Mean square of a field, over `ρ`, below which it counts as known to be zero: its weight then asks
/// for a direction that is orthogonal to the row, up to rounding.
const KNOWN: f64 = 1e-12;
