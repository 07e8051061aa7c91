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
use onsager_operators::{Adjoint, Gram, LinearOperator, Scaled, Shape, Shifted};
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
    /// The direction `Y v` of the left factor of a rectangular matrix, of unit norm.
    pub left: Option<Vec<f64>>,
    /// Norm of `Γ v - value · v`.
    pub residual: f64,
    /// Products with matrices: with `Y`, one a step (two if it is rectangular); [`lamp`] adds two a
    /// step with every `W`, and [`lamp_with`] one with the covariance.
    pub products: u64,
    /// Whether the residual met its bound.
    pub converged: bool,
}

/// A matrix of rank one in noise, as data.
#[derive(Clone)]
pub struct SpikedMatrix {
    /// `Y = x xᵀ/√p + √Δ ξ`, or `Y = u xᵀ/√p + √Δ ξ` of shape `n x p`.
    pub matrix: Arc<dyn LinearOperator>,
    /// `Δ`.
    pub noise: f64,
    /// `E u²` of the left factor, which makes the matrix a rectangular one.
    pub left: Option<f64>,
}

/// Leading eigenvector of `Y/√p`, or of `YᵀY/p` for a rectangular matrix (its right singular vector):
/// blind to the prior.
///
/// `cos² = 1 - Δ/ρ²` below `Δ = ρ²`; rectangular, with `β = n/p` and `E u² = E x² = 1`,
/// `cos² = (β - Δ²)/(β + Δ)` below `Δ = √β`.
///
/// # Errors
/// An instance without a spiked matrix.
pub fn pca(problem: &Problem) -> Result<Spectral, AmpError> {
    let spiked = SpikedMatrix::of(problem)?;
    let pair = top_eigenpair(
        &*spiked.square(1.0),
        &generic(problem.signal_size()),
        LanczosSettings::default(),
    )?;
    spiked.found(pair, 1.0, 0)
}

/// Leading eigenvector of linearised message passing, `K` the covariance of the layered prior and
/// `ρ` the mean square of the signal:
///
/// - `Γ = K (Y/√p - ρ)/Δ`;
/// - `Γ = K (ρ_u YᵀY/(p(Δ + ρ_u ρ)) - β ρ_u)/Δ` for a rectangular matrix with `β = n/p` and
///   independent centred `u`, `ρ_u = E u²`. The left factor is left out by its own fixed point,
///   `u = ρ_u Y v/(√p (Δ + ρ_u ρ))`.
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
/// As for [`pca`]; a prior or a layer that is not centred, for which zero is no fixed point; a left
/// factor with layers or a mean.
pub fn lamp(problem: &Problem) -> Result<Spectral, AmpError> {
    let spiked = SpikedMatrix::of(problem)?;
    if let Some(u) = left_of(problem) {
        let of = |f: &&onsager_model::Factor| f.variables.as_slice() == [u];
        let law = problem.tree.factors().iter().find(of).map(|f| &f.kind);
        let variable = &problem.tree.variables()[u];
        if !matches!(law, Some(FactorKind::Prior(_))) || variable.mean != 0.0 {
            return Err(AmpError::NotSupported(format!(
                "a linear theory of the left factor \"{}\", which is not made of independent \
                 centred components,",
                variable.name
            )));
        }
    }
    let covariance = covariance(problem)?;
    let rho = problem.tree.signal().second_moment;
    let layers = problem.tree.factors()[..=problem.tree.signal_index()]
        .iter()
        .filter(|f| matches!(f.kind, FactorKind::Linear { .. }));
    spiked.linearised(covariance.as_ref(), rho, 2 * layers.count() as u64)
}

/// [`lamp`] for any covariance `K`, given as an operator and possibly singular, of mean eigenvalue
/// `second_moment`.
///
/// ```
/// use std::sync::Arc;
/// use onsager_amp::spectral::{SpikedMatrix, lamp_with};
/// use onsager_operators::{Dense, Identity, Shape};
///
/// // Y = u xᵀ/√p without noise: the direction of x, and that of u.
/// let y = Dense::new(Shape::new(3, 2), vec![3.0, 4.0, 0.0, 0.0, 6.0, 8.0])?;
/// let spiked = SpikedMatrix { matrix: Arc::new(y), noise: 0.1, left: Some(1.0) };
/// let found = lamp_with(&spiked, &Identity { size: 2 }, 1.0)?;
/// assert!((found.squared_cosine(&[3.0, 4.0]) - 1.0).abs() < 1e-12);
/// assert!((found.squared_cosine_left(&[1.0, 0.0, 2.0]).unwrap() - 1.0).abs() < 1e-12);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
/// Shapes that do not fit, a covariance that is not positive semi-definite, a noise or a second
/// moment that is not finite and positive.
pub fn lamp_with(
    spiked: &SpikedMatrix,
    covariance: &dyn LinearOperator,
    second_moment: f64,
) -> Result<Spectral, AmpError> {
    for (name, value) in [
        ("noise", spiked.noise),
        ("second moment", second_moment),
        (
            "second moment of the left factor",
            spiked.left.unwrap_or(1.0),
        ),
    ] {
        if !(value > 0.0 && value.is_finite()) {
            let range = "finite and positive";
            return Err(AmpError::Setting { name, range, value });
        }
    }
    spiked.linearised(covariance, second_moment, 1)
}

impl SpikedMatrix {
    /// The matrix behind the signal of a problem.
    fn of(problem: &Problem) -> Result<Self, AmpError> {
        let signal = problem.tree.signal_index();
        for (f, factor) in problem.tree.factors().iter().enumerate() {
            let (noise, left) = match (&factor.kind, factor.variables.as_slice()) {
                (FactorKind::SpikedWigner { noise }, &[v]) if v == signal => (*noise, None),
                (FactorKind::SpikedWishart { noise, .. }, &[v, u]) if v == signal => {
                    (*noise, Some(problem.tree.variables()[u].second_moment))
                }
                _ => continue,
            };
            let matrix = problem.operator(f)?.clone();
            return Ok(Self {
                matrix,
                noise,
                left,
            });
        }
        let what = "a spectral method without a spiked matrix";
        Err(AmpError::NotSupported(what.to_string()))
    }

    /// `Y/√p`, or `weight · YᵀY/p`.
    fn square(&self, weight: f64) -> Box<dyn LinearOperator> {
        let operator = Scaled {
            operator: self.matrix.clone(),
            factor: 1.0 / (self.matrix.shape().columns as f64).sqrt(),
        };
        match self.left {
            None => Box::new(operator),
            Some(_) => Box::new(Gram {
                operator: Adjoint(operator),
                factor: weight,
            }),
        }
    }

    /// `u = weight · Y v/√p` at the fixed point of the linear theory.
    fn weight(&self, second_moment: f64) -> f64 {
        (self.left).map_or(1.0, |rho| rho / (self.noise + rho * second_moment))
    }

    /// The leading eigenvector of `Γ`, at `cost` products a step within `covariance`.
    fn linearised(
        &self,
        covariance: &dyn LinearOperator,
        second_moment: f64,
        cost: u64,
    ) -> Result<Spectral, AmpError> {
        let Shape { rows, columns } = self.matrix.shape();
        // The Onsager term: the mean square of the other side, once for every row a column has.
        let shift = match self.left {
            None => second_moment,
            Some(rho) => rho * rows as f64 / columns as f64,
        };
        let centred = Shifted::new(self.square(self.weight(second_moment)), -shift)?;
        let settings = LanczosSettings::default();
        let pair = top_eigenpair_preconditioned(covariance, &centred, &generic(columns), settings)?;
        self.found(pair, 1.0 / self.noise, cost)
    }

    /// An eigenpair of `Γ/scale`, each of whose steps took `cost` products beside those with `Y`.
    fn found(&self, pair: Eigenpair, scale: f64, cost: u64) -> Result<Spectral, AmpError> {
        let mut products = pair.products * (1 + cost);
        let mut left = None;
        if self.left.is_some() {
            products += pair.products + 1;
            let u = DMatrix::from_column_slice(pair.vector.len(), 1, &pair.vector);
            let u = self.matrix.apply(&u)?;
            let norm = u.norm();
            // A matrix without any signal or noise has no direction.
            let unit = if norm > 0.0 { u / norm } else { u };
            left = Some(unit.as_slice().to_vec());
        }
        Ok(Spectral {
            value: pair.value * scale,
            vector: pair.vector,
            left,
            residual: pair.residual * scale,
            products,
            converged: pair.converged,
        })
    }
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
    // The factors up to the signal end in the variables up to it; those of a left factor follow.
    let chain = &tree.factors()[..=tree.signal_index()];
    for (f, factor) in chain.iter().enumerate() {
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
    /// The other factor of a product: variable and estimate.
    pub(crate) left: Option<(usize, DMatrix<f64>)>,
    pub(crate) message: Message,
    /// Products with `Y` that the scale took.
    pub(crate) products: u64,
}

impl Spectral {
    /// Squared cosine of the angle to `x`.
    #[must_use]
    pub fn squared_cosine(&self, x: &[f64]) -> f64 {
        squared_cosine(&self.vector, x)
    }

    /// Squared cosine of the angle of the left direction to `u`, where there is one.
    #[must_use]
    pub fn squared_cosine_left(&self, u: &[f64]) -> Option<f64> {
        self.left.as_ref().map(|left| squared_cosine(left, u))
    }

    /// The eigenvector scaled to `|v|²/p = q = ρ cos²`, with the message of the spiked factor.
    ///
    /// The scale comes from the Nishimori line, without the truth: there a message has
    /// `|B|²/n = A + ρ A²`.
    ///
    /// - Wigner: `B = (Y v/√p - (ρ - q) v)/Δ` and `A = q/Δ` make a quadratic equation for `q`. For
    ///   the principal component it gives `q = ρ - Δ/ρ`.
    /// - Wishart: the message to the left factor, `B = (1/ρ_u + A) u` and `A = q/Δ`, with
    ///   `u = ρ_u Y v/(√p (Δ + ρ_u ρ))`, gives `Δ + ρ_u q = (Δ + ρ_u ρ)²/w`, `w = |Y v|²/n` at unit
    ///   norm. For the principal component with unit variances it gives `q = (β - Δ²)/(β + Δ)`.
    pub(crate) fn scaled(&self, problem: &Problem) -> Result<Guess, AmpError> {
        let spiked = SpikedMatrix::of(problem)?;
        let (y, noise) = (&spiked.matrix, spiked.noise);
        let rho = problem.tree.signal().second_moment;
        let p = self.vector.len() as f64;
        // Above the threshold there is no such overlap: the start claims the least that p
        // components can tell from nothing, and never more than the whole.
        let known = |q: f64| q.min(rho * (1.0 - 1.0 / p)).max(rho / p);
        let v = DMatrix::from_column_slice(self.vector.len(), 1, &self.vector);
        // u = Y v/√p at unit norm.
        let u = y.apply(&v)? / p.sqrt();
        let repeat = |x: DMatrix<f64>| DMatrix::from_fn(x.nrows(), problem.problems, |i, _| x[i]);
        let (estimate, left, field, snr);
        if let (Some(rho_u), Some(variable)) = (spiked.left, left_of(problem)) {
            let n = u.nrows() as f64;
            let weight = spiked.weight(rho);
            let w = u.norm_squared() * p / n;
            let q = known(((noise + rho_u * rho).powi(2) / w - noise) / rho_u);
            estimate = &v * (q * p).sqrt();
            let u = u * (weight * (q * p).sqrt());
            let (q_u, share) = (u.norm_squared() / n, n / p);
            let variance = (rho_u - q_u).max(0.0);
            field = (y.apply_adjoint(&u)? / p.sqrt() - &estimate * (share * variance)) / noise;
            snr = share * q_u / noise;
            left = Some((variable, repeat(u)));
        } else {
            // a = |u|² and b = v·u: q² + 2 l q + m = 0.
            let (a, b) = (u.norm_squared(), v.dot(&u));
            let (l, m) = (b - 1.5 * rho, a - 2.0 * rho * b + rho * rho - noise);
            let q = known(-l + (l * l - m).max(0.0).sqrt());
            let norm = (q * p).sqrt();
            estimate = &v * norm;
            field = (u * norm - &estimate * (rho - q)) / noise;
            snr = q / noise;
            left = None;
        }
        Ok(Guess {
            estimate: repeat(estimate),
            products: if left.is_some() { 2 } else { 1 },
            left,
            message: Message {
                precision: Diagonal::Shared(vec![snr; problem.problems]),
                field: repeat(field),
            },
        })
    }
}

fn squared_cosine(unit: &[f64], x: &[f64]) -> f64 {
    let dot: f64 = unit.iter().zip(x).map(|(v, x)| v * x).sum();
    dot * dot / x.iter().map(|x| x * x).sum::<f64>()
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

/// The variable that the signal is multiplied with, if any.
fn left_of(problem: &Problem) -> Option<usize> {
    let signal = problem.tree.signal_index();
    let factors = problem.tree.factors().iter();
    factors
        .filter_map(|factor| match (&factor.kind, factor.variables.as_slice()) {
            (FactorKind::SpikedWishart { .. }, &[v, u]) if v == signal => Some(u),
            _ => None,
        })
        .next()
}

/// A fixed random vector: it has a component along any eigenvector.
fn generic(p: usize) -> Vec<f64> {
    let mut stream = Seed(0).stream("spectral", 0, 0, "start");
    (0..p)
        .map(|_| Gaussian::standard().sample(&mut stream))
        .collect()
}
