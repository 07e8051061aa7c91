//! Spectral estimates: principal component, and linearised message passing.
//!
//! Nothing of size `p x p` is formed that was not given: covariances are operators, eigenvectors
//! come from Lanczos iterations.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_ensembles::Seed;
use onsager_model::FactorKind;
use onsager_operators::lanczos::{
    Eigenpair, LanczosSettings, top_eigenpair, top_eigenpair_preconditioned,
};
use onsager_operators::{LinearOperator, Scaled, Shape, Shifted};
use onsager_scalar::Prior;
use onsager_scalar::prior::Gaussian;

use crate::{AmpError, Diagonal, Message, Problem};

/// A leading eigenvector, used as a direction of the signal.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectral {
    /// The eigenvalue.
    pub value: f64,
    /// The eigenvector, of unit norm; its sign is arbitrary.
    pub vector: Vec<f64>,
    /// Norm of `Γ v - value · v`.
    pub residual: f64,
    /// Products with matrices: one with `Y` a step; [`lamp`] adds two with every `W`, and
    /// [`lamp_with`] one with the covariance.
    pub products: u64,
    /// Whether the residual met its bound.
    pub converged: bool,
}

/// Leading eigenvector of `Y/√p`: blind to the prior, `cos² = 1 - Δ/ρ²` below `Δ = ρ²`.
///
/// # Errors
/// An instance without a spiked matrix.
pub fn pca(problem: &Problem) -> Result<Spectral, AmpError> {
    let (y, _) = spiked(problem)?;
    let p = y.shape().rows;
    let scaled = Scaled {
        operator: y,
        factor: 1.0 / (p as f64).sqrt(),
    };
    let pair = top_eigenpair(&scaled, &generic(p), LanczosSettings::default())?;
    Ok(Spectral::from(pair, 1.0, 1))
}

/// Leading eigenvector of `Γ = K (Y/√p - ρ I)/Δ`, `K` the covariance of the layered prior.
///
/// The outlier sits at 1 below the weak-recovery threshold; for a linear prior the direction is
/// that of the fixed point of message passing, up to `O(p^(-1/2))`.
///
/// ```
/// use std::sync::Arc;
/// use onsager_amp::{Problem, spectral};
/// use onsager_ensembles::Seed;
/// use onsager_model::{Chain, Instance, Teacher};
/// use onsager_scalar::{activation::PiecewiseLinear, prior::Gaussian};
///
/// let tree = Chain::new(Arc::new(Gaussian::standard()))
///     .layer(2.0, Arc::new(PiecewiseLinear::linear()))
///     .spiked_wigner(1.0)?; // where the principal component has no overlap left
/// let sizes = tree.sizes(tree.signal_index(), 400);
/// let stream = |purpose: &str| Seed(1).stream("doc", 0, 0, purpose);
/// let instance = Instance::draw(&tree, &sizes, stream, Teacher::fixed())?;
/// let lamp = spectral::lamp(&Problem::new(&tree, &instance)?)?;
/// assert!(lamp.converged && lamp.squared_cosine(instance.truth(2).unwrap()) > 0.3);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// As for [`pca`]; a prior or a layer that is not centred, for which zero is no fixed point.
pub fn lamp(problem: &Problem) -> Result<Spectral, AmpError> {
    let (y, noise) = spiked(problem)?;
    let covariance = covariance(problem)?;
    let rho = problem.tree.signal().second_moment;
    let found = lamp_with(y, noise, covariance.as_ref(), rho)?;
    let is_linear = |f: &&onsager_model::Factor| matches!(f.kind, FactorKind::Linear { .. });
    let layers = problem.tree.factors().iter().filter(is_linear).count() as u64;
    let products = found.products / 2 * (1 + 2 * layers);
    Ok(Spectral { products, ..found })
}

/// [`lamp`] for any covariance `K`, given as an operator and possibly singular, of mean eigenvalue
/// `second_moment`.
///
/// # Errors
/// Shapes that do not fit, a covariance that is not positive semi-definite.
pub fn lamp_with(
    y: Arc<dyn LinearOperator>,
    noise: f64,
    covariance: &dyn LinearOperator,
    second_moment: f64,
) -> Result<Spectral, AmpError> {
    let p = y.shape().rows;
    let centred = Shifted::new(
        Scaled {
            operator: y,
            factor: 1.0 / (p as f64).sqrt(),
        },
        -second_moment,
    )?;
    let settings = LanczosSettings::default();
    let pair = top_eigenpair_preconditioned(covariance, &centred, &generic(p), settings)?;
    Ok(Spectral::from(pair, 1.0 / noise, 2))
}

/// Covariance of the signal given the matrices, at leading order, as an operator:
/// `K_0 = ρ_0 I`, `K_l = (ρ_l - κ_l² ρ_{l-1}) I + κ_l² W_l K_{l-1} W_lᵀ/k_{l-1}`.
///
/// # Errors
/// A prior or a layer that is not centred.
pub fn covariance(problem: &Problem) -> Result<Arc<dyn LinearOperator>, AmpError> {
    let tree = &problem.tree;
    let mut k: Option<Covariance> = None;
    let mut matrix = None;
    for (f, factor) in tree.factors().iter().enumerate() {
        let outer = factor.variables[factor.variables.len() - 1];
        let variable = &tree.variables()[outer];
        if variable.mean != 0.0 {
            let what = format!(
                "a linear theory around zero of \"{}\", whose mean is not zero,",
                variable.name
            );
            return Err(AmpError::NotSupported(what));
        }
        match &factor.kind {
            FactorKind::Prior(law) => {
                k = Some(Covariance {
                    size: problem.sizes[outer],
                    rest: law.second_moment(),
                    layer: None,
                });
            }
            FactorKind::Linear { .. } => matrix = Some(problem.operator(f)?.clone()),
            FactorKind::Activation(phi) => {
                let r = tree.variables()[factor.variables[0]].second_moment;
                let gain = phi.linear_gain(r);
                if let (Some(below), Some(matrix)) = (k.take(), matrix.take()) {
                    k = Some(Covariance {
                        size: problem.sizes[outer],
                        rest: (phi.second_moment(r) - gain * gain * r).max(0.0),
                        layer: Some((gain * gain / below.size as f64, matrix, Box::new(below))),
                    });
                }
            }
            _ => {}
        }
    }
    match k {
        Some(k) => Ok(Arc::new(k)),
        None => Err(AmpError::NotSupported(
            "a signal without a prior".to_string(),
        )),
    }
}

/// `rest · I + scale · W K Wᵀ`.
struct Covariance {
    size: usize,
    rest: f64,
    layer: Option<(f64, Arc<dyn LinearOperator>, Box<Covariance>)>,
}

impl LinearOperator for Covariance {
    fn shape(&self) -> Shape {
        Shape::square(self.size)
    }
    fn apply_column(&self, x: &[f64], y: &mut [f64]) {
        match &self.layer {
            Some((scale, w, below)) => {
                let (mut u, mut v) = (vec![0.0; below.size], vec![0.0; below.size]);
                w.apply_adjoint_column(x, &mut u);
                below.apply_column(&u, &mut v);
                w.apply_column(&v, y);
                for (y, x) in y.iter_mut().zip(x) {
                    *y = scale * *y + self.rest * x;
                }
            }
            None => y.iter_mut().zip(x).for_each(|(y, x)| *y = self.rest * x),
        }
    }
    fn apply_adjoint_column(&self, x: &[f64], y: &mut [f64]) {
        self.apply_column(x, y);
    }
    fn bytes(&self) -> usize {
        self.layer
            .as_ref()
            .map_or(0, |(_, w, below)| w.bytes() + below.bytes())
    }
}

/// A spectral direction as an estimate: scaled, with the message behind it.
pub(crate) struct Guess {
    pub(crate) estimate: DMatrix<f64>,
    pub(crate) message: Message,
}

impl Spectral {
    fn from(pair: Eigenpair, scale: f64, products: u64) -> Self {
        Self {
            value: pair.value * scale,
            vector: pair.vector,
            residual: pair.residual * scale,
            products: pair.products * products,
            converged: pair.converged,
        }
    }

    /// Squared cosine of the angle to `x`.
    #[must_use]
    pub fn squared_cosine(&self, x: &[f64]) -> f64 {
        let dot: f64 = self.vector.iter().zip(x).map(|(v, x)| v * x).sum();
        dot * dot / x.iter().map(|x| x * x).sum::<f64>()
    }

    /// The eigenvector scaled to `|v|²/p = q = ρ cos²`, with the message of the spiked factor.
    ///
    /// On the Nishimori line the message `B = (Y v/√p - (ρ - q) v)/Δ` satisfies
    /// `|B|²/p = A + ρ A²` with `A = q/Δ`: a quadratic equation for `q`, without the truth. For
    /// the principal component it gives `q = ρ - Δ/ρ`.
    pub(crate) fn scaled(&self, problem: &Problem) -> Result<Guess, AmpError> {
        let (y, noise) = spiked(problem)?;
        let rho = problem.tree.signal().second_moment;
        let p = self.vector.len() as f64;
        let v = DMatrix::from_column_slice(self.vector.len(), 1, &self.vector);
        // u = Y v/√p at unit norm; a = |u|² and b = v·u.
        let u = y.apply(&v)? / p.sqrt();
        let (a, b) = (u.norm_squared(), v.dot(&u));
        // q² + 2 l q + m = 0.
        let (l, m) = (b - 1.5 * rho, a - 2.0 * rho * b + rho * rho - noise);
        let root = -l + (l * l - m).max(0.0).sqrt();
        // Above the threshold there is no such overlap: the start claims the least that p
        // components can tell from nothing, and never more than the whole.
        let q = root.min(rho * (1.0 - 1.0 / p)).max(rho / p);
        let norm = (q * p).sqrt();
        let estimate = &v * norm;
        let field = (u * norm - &estimate * (rho - q)) / noise;
        let repeat = |x: DMatrix<f64>| DMatrix::from_fn(x.nrows(), problem.problems, |i, _| x[i]);
        Ok(Guess {
            estimate: repeat(estimate),
            message: Message {
                precision: Diagonal::Shared(vec![q / noise; problem.problems]),
                field: repeat(field),
            },
        })
    }
}

/// Mean squared error `ρ(1 - cos²)` of a direction at its best scale: comparable with the MMSE.
#[must_use]
pub fn optimal_error(second_moment: f64, squared_cosine: f64) -> f64 {
    second_moment * (1.0 - squared_cosine)
}

/// Mean squared error `2ρ(1 - |cos|)` of a direction scaled to the norm of the signal.
#[must_use]
pub fn normalised_error(second_moment: f64, squared_cosine: f64) -> f64 {
    2.0 * second_moment * (1.0 - squared_cosine.sqrt())
}

/// The spiked matrix of the signal and its noise.
fn spiked(problem: &Problem) -> Result<(Arc<dyn LinearOperator>, f64), AmpError> {
    let signal = problem.tree.signal_index();
    let factors = problem.tree.factors().iter().enumerate();
    for (f, factor) in factors {
        if let (FactorKind::SpikedWigner { noise }, [v]) =
            (&factor.kind, factor.variables.as_slice())
            && *v == signal
        {
            return Ok((problem.operator(f)?.clone(), *noise));
        }
    }
    let what = "a spectral method without a spiked matrix";
    Err(AmpError::NotSupported(what.to_string()))
}

/// A fixed random vector: it has a component along any eigenvector.
fn generic(p: usize) -> Vec<f64> {
    let mut stream = Seed(0).stream("spectral", 0, 0, "start");
    (0..p)
        .map(|_| Gaussian::standard().sample(&mut stream))
        .collect()
}
