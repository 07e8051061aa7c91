//! Spectral estimates: principal component, and linearised message passing.
//!
//! Nothing of size `p x p` is formed that was not given: covariances are operators, eigenvectors
//! come from Lanczos iterations.

mod prior;
mod sensed;

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_ensembles::Seed;
use onsager_model::FactorKind;
use onsager_operators::lanczos::{
    Eigenpair, LanczosSettings, top_eigenpair, top_eigenpair_preconditioned,
};
use onsager_operators::solve::conjugate_gradients;
use onsager_operators::{Adjoint, Counted, Gram, LinearOperator, Scaled, Shape, Shifted};
use onsager_scalar::Prior;
use onsager_scalar::prior::Gaussian;

use crate::{AmpError, Diagonal, Message, Problem};

pub use prior::{PriorMoments, moments};
use sensed::Sensed;
pub use sensed::preprocessing;

/// What a method makes of `Y v`: a direction of the left factor.
type Answer<'a> = &'a dyn Fn(&[f64]) -> Result<Vec<f64>, AmpError>;

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
    /// Products with matrices: with `Y` or `A`, one a step (two if it is rectangular); [`lamp`] adds two a
    /// step with every `W`, and [`lamp_with`] one with the covariance. With a layered left factor
    /// every step solves a linear system by conjugate gradients, two products with its `W` each.
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

/// Leading eigenvector of `Y/√p`, of `YᵀY/p` for a rectangular matrix (its right singular vector), or
/// of `ρ Aᵀ diag(T) A/p` for even outputs, `T` their [`preprocessing`]: blind to the prior.
///
/// - `cos² = 1 - Δ/ρ²` below `Δ = ρ²`; rectangular, with `β = n/p` and `E u² = E x² = 1`,
///   `cos² = (β - Δ²)/(β + Δ)` below `Δ = √β`.
/// - Outputs: that of [`lamp`] with `K = ρ`; of exact absolute values, above `n/p = 1/2`.
///
/// # Errors
/// An instance with neither a spiked matrix nor outputs; outputs that differ for `h` and `-h`;
/// several problems behind outputs.
pub fn pca(problem: &Problem) -> Result<Spectral, AmpError> {
    if let Some(sensed) = Sensed::of(problem)? {
        return sensed.blind();
    }
    let spiked = SpikedMatrix::of(problem)?;
    let pair = top_eigenpair(
        &*spiked.square(1.0),
        &generic(problem.signal_size()),
        LanczosSettings::default(),
    )?;
    spiked.found(pair, 1.0, 0, &|y| Ok(y.to_vec()))
}

/// Leading eigenvector of linearised message passing, `K = E[x xᵀ | W]` of the prior ([`moments`]) and
/// `ρ` the mean square of the signal:
///
/// - `Γ = K (Y/√p - ρ)/Δ`;
/// - `Γ = K (ρ_u YᵀY/(p(Δ + ρ_u ρ)) - β ρ_u)/Δ` for a rectangular matrix with `β = n/p` and
///   independent centred `u`, `ρ_u = E u²`. The left factor is left out by its own fixed point,
///   `u = ρ_u Y v/(√p (Δ + ρ_u ρ))`;
/// - `Γ = K (Yᵀ F Y/p - β ρ_u)/Δ` with `F = L (Δ + ρ L)⁻¹`, `L = E[u uᵀ | W]`, for a left factor with
///   layers or a mean, and `u = F Y v/√p`;
/// - `Γ = K Aᵀ diag(T) A/p` for even outputs of a centred signal, `T` their [`preprocessing`].
///
/// The outlier sits at 1 where something is recovered. For a spiked matrix and a linear prior the
/// direction is that of the fixed point of message passing, up to `O(p^(-1/2))`. Behind outputs message
/// passing finds more than its linearisation, of which `cos² = q/ρ` with `q = E s t²/(1 + st)`, `t` the eigenvalue law of `K`, and
/// `s = (n/p) q E G²/(1 + qG)` over outputs at zero overlap, `T = G/(1 + ρG)`; positive above
/// `n/p = 1/(E t² E G²)`, the weak-recovery threshold.
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
/// As for [`pca`]; behind outputs, a variable that is not centred.
pub fn lamp(problem: &Problem) -> Result<Spectral, AmpError> {
    let signal = problem.tree.signal_index();
    let cost = 2 * layers(problem, 0, signal);
    if let Some(sensed) = Sensed::of(problem)? {
        check_centred(problem, "linearised message passing around zero")?;
        return sensed.linearised(moments(problem, signal)?.covariance.as_ref(), cost);
    }
    let spiked = SpikedMatrix::of(problem)?;
    let covariance = moments(problem, signal)?.second();
    let rho = problem.tree.signal().second_moment;
    let Some(u) = left_of(problem).filter(|u| !is_plain(problem, *u)) else {
        return spiked.linearised(covariance.as_ref(), rho, cost);
    };
    let filter = Filter::of(problem, u, spiked.noise)?;
    let Shape { rows, columns } = spiked.matrix.shape();
    let mean = problem.tree.variables()[u].second_moment;
    let square = Between {
        matrix: spiked.matrix.as_ref(),
        filter: &filter,
    };
    let centred = Shifted::new(square, -mean * rows as f64 / columns as f64)?;
    let settings = LanczosSettings::default();
    let pair = top_eigenpair_preconditioned(&covariance, &centred, &generic(columns), settings)?;
    let mut found = spiked.found(pair, 1.0 / spiked.noise, cost, &|y| filter.through(y))?;
    found.products += filter.products();
    Ok(found)
}

/// Matrices between two variables of a chain.
fn layers(problem: &Problem, first: usize, last: usize) -> u64 {
    let between = &problem.tree.factors()[first..=last];
    let is_linear = |f: &&onsager_model::Factor| matches!(f.kind, FactorKind::Linear { .. });
    between.iter().filter(is_linear).count() as u64
}

/// Whether a left factor has independent centred components.
fn is_plain(problem: &Problem, u: usize) -> bool {
    u == problem.tree.signal_index() + 1 && problem.tree.variables()[u].mean == 0.0
}

/// `F = L (Δ + ρ L)⁻¹`: what is left of a matrix `L` behind the noise of a product.
struct Filter {
    covariance: Counted<Arc<dyn LinearOperator>>,
    noise: f64,
    second_moment: f64,
    /// Products with weights in one with the covariance.
    cost: u64,
}

impl Filter {
    /// That of the left factor `u`.
    fn of(problem: &Problem, u: usize, noise: f64) -> Result<Self, AmpError> {
        Ok(Self {
            covariance: Counted::new(moments(problem, u)?.second()),
            noise,
            second_moment: problem.tree.signal().second_moment,
            cost: 2 * layers(problem, problem.tree.signal_index() + 1, u),
        })
    }

    fn products(&self) -> u64 {
        self.covariance.products().forward * self.cost
    }

    /// Accuracy of the linear system: Lanczos needs a symmetric operator to its own accuracy, 1e-10.
    const TOLERANCE: f64 = 1e-13;

    fn through(&self, y: &[f64]) -> Result<Vec<f64>, AmpError> {
        let scaled = Scaled {
            operator: &self.covariance,
            factor: self.second_moment,
        };
        let system = Shifted::new(scaled, self.noise)?;
        let solved = conjugate_gradients(&system, y, Self::TOLERANCE)?;
        let mut found = vec![0.0; y.len()];
        self.covariance.apply_column(&solved, &mut found);
        Ok(found)
    }
}

/// `Yᵀ F Y/p`.
struct Between<'a> {
    matrix: &'a dyn LinearOperator,
    filter: &'a Filter,
}

impl LinearOperator for Between<'_> {
    fn shape(&self) -> Shape {
        Shape::square(self.matrix.shape().columns)
    }
    fn apply_column(&self, x: &[f64], y: &mut [f64]) {
        let Shape { rows, columns } = self.matrix.shape();
        let mut image = vec![0.0; rows];
        self.matrix.apply_column(x, &mut image);
        // Where the system cannot be solved the answer is not a number, which Lanczos reports.
        let filtered = self.filter.through(&image);
        let filtered = filtered.unwrap_or_else(|_| vec![f64::NAN; rows]);
        self.matrix.apply_adjoint_column(&filtered, y);
        y.iter_mut().for_each(|y| *y /= columns as f64);
    }
    fn apply_adjoint_column(&self, x: &[f64], y: &mut [f64]) {
        self.apply_column(x, y);
    }
    fn bytes(&self) -> usize {
        self.matrix.bytes()
    }
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
        let what = "a spectral method without a spiked matrix or outputs";
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
        self.found(pair, 1.0 / self.noise, cost, &|y| Ok(y.to_vec()))
    }

    /// An eigenpair of `Γ/scale`, each of whose steps took `cost` products beside those with `Y`; the
    /// direction on the left is that of a function of `Y v`.
    fn found(
        &self,
        pair: Eigenpair,
        scale: f64,
        cost: u64,
        answer: Answer<'_>,
    ) -> Result<Spectral, AmpError> {
        let mut products = pair.products * (1 + cost);
        let mut left = None;
        if self.left.is_some() {
            products += pair.products + 1;
            let u = DMatrix::from_column_slice(pair.vector.len(), 1, &pair.vector);
            let u = answer(self.matrix.apply(&u)?.as_slice())?;
            let norm = u.iter().map(|u| u * u).sum::<f64>().sqrt();
            // A matrix without any signal or noise has no direction.
            let scale = if norm > 0.0 { 1.0 / norm } else { 1.0 };
            left = Some(u.iter().map(|u| u * scale).collect());
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

/// Covariance of the signal given the matrices: that of its [`moments`].
///
/// # Errors
/// As for [`moments`].
pub fn covariance(problem: &Problem) -> Result<Arc<dyn LinearOperator>, AmpError> {
    Ok(moments(problem, problem.tree.signal_index())?.covariance)
}

/// Refuses a signal or a left factor that is not centred, or a variable below either.
fn check_centred(problem: &Problem, what: &str) -> Result<(), AmpError> {
    let last = left_of(problem).unwrap_or(problem.tree.signal_index());
    let chains = &problem.tree.variables()[..=last];
    match chains.iter().find(|v| v.mean != 0.0) {
        None => Ok(()),
        Some(variable) => Err(AmpError::NotSupported(format!(
            "{what} of \"{}\", whose mean is not zero,",
            variable.name
        ))),
    }
}

/// Whether a start from the linear theory around zero exists.
///
/// # Errors
/// A variable that is not centred.
pub(crate) fn check_start(problem: &Problem) -> Result<(), AmpError> {
    check_centred(problem, "a start around zero")
}

/// A spectral direction as an estimate: scaled, with the message behind it.
pub(crate) struct Guess {
    pub(crate) estimate: DMatrix<f64>,
    /// The other factor of a product: variable and estimate.
    pub(crate) left: Option<(usize, DMatrix<f64>)>,
    /// To the signal, and to the other factor of a product.
    pub(crate) messages: Vec<Message>,
    /// Of the fields behind outputs: the factor of their matrix, and their scores.
    pub(crate) scores: Option<(usize, DMatrix<f64>)>,
    /// Products with the observed or the sensing matrix that the scale took.
    pub(crate) products: u64,
}

/// An overlap that a start claims: at least what `p` components can tell from nothing, for beyond the
/// threshold there is none, and never the whole.
fn known(q: f64, rho: f64, p: f64) -> f64 {
    q.min(rho * (1.0 - 1.0 / p)).max(rho / p)
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

    /// The eigenvector scaled to `|v|²/p = q = ρ cos²`, with the messages of the spiked factor.
    ///
    /// The scale comes from the Nishimori line, without the truth: there a message has
    /// `|B|²/n = A + ρ A²`.
    ///
    /// - Wigner: `B = (Y v/√p - (ρ - q) v)/Δ` and `A = q/Δ` make a quadratic equation for `q`. For
    ///   the principal component it gives `q = ρ - Δ/ρ`.
    /// - Wishart: the message to the left factor, `B = (Y v/√p - (ρ - q) u)/Δ` and `A = q/Δ`, with
    ///   `u = F Y v/√p` (see [`lamp`]; `F = ρ_u/(Δ + ρ_u ρ)` for independent components), makes another:
    ///   with `f = F Y v` and `r = Y v - ρ f` at unit norm, `|f|² q² + (2 r·f - n ρ_u) q + |r|² - nΔ = 0`.
    ///   For the principal component with unit variances it gives `q = (β - Δ²)/(β + Δ)`.
    /// - Outputs: the message to the signal, see [`Sensed::scaled`].
    pub(crate) fn scaled(&self, problem: &Problem) -> Result<Guess, AmpError> {
        let v = DMatrix::from_column_slice(self.vector.len(), 1, &self.vector);
        if let Some(sensed) = Sensed::of(problem)? {
            return sensed.scaled(&v);
        }
        let spiked = SpikedMatrix::of(problem)?;
        let (y, noise) = (&spiked.matrix, spiked.noise);
        let rho = problem.tree.signal().second_moment;
        let p = self.vector.len() as f64;
        // The larger solution of q² + 2 l q + m = 0.
        let scale = |l: f64, m: f64| known(-l + (l * l - m).max(0.0).sqrt(), rho, p);
        let mut image = y.apply(&v)?;
        let repeat = |x: DMatrix<f64>| DMatrix::from_fn(x.nrows(), problem.problems, |i, _| x[i]);
        let message = |snr: f64, field: DMatrix<f64>| Message {
            precision: Diagonal::Shared(vec![snr; problem.problems]),
            field: repeat(field),
        };
        if let (Some(rho_u), Some(variable)) = (spiked.left, left_of(problem)) {
            let n = image.nrows() as f64;
            let (u, inner) = if is_plain(problem, variable) {
                (&image * spiked.weight(rho), 0)
            } else {
                let filter = Filter::of(problem, variable, noise)?;
                let u = filter.through(image.as_slice())?;
                (DMatrix::from_vec(u.len(), 1, u), filter.products())
            };
            let rest = &image - &u * rho;
            let square = u.norm_squared();
            let l = (rest.dot(&u) - 0.5 * n * rho_u) / square;
            let q = scale(l, (rest.norm_squared() - n * noise) / square);
            let (estimate, u) = (&v * (q * p).sqrt(), u * q.sqrt());
            let (q_u, share) = (u.norm_squared() / n, n / p);
            let variance = (rho_u - q_u).max(0.0);
            image *= q.sqrt();
            let down = (image - &u * (rho - q)) / noise;
            let back = (y.apply_adjoint(&u)? / p.sqrt() - &estimate * (share * variance)) / noise;
            return Ok(Guess {
                estimate: repeat(estimate),
                products: 2 + inner,
                left: Some((variable, repeat(u))),
                messages: vec![message(share * q_u / noise, back), message(q / noise, down)],
                scores: None,
            });
        }
        // a = |u|² and b = v·u of u = Y v/√p.
        image /= p.sqrt();
        let (a, b) = (image.norm_squared(), v.dot(&image));
        let q = scale(b - 1.5 * rho, a - 2.0 * rho * b + rho * rho - noise);
        let norm = (q * p).sqrt();
        let estimate = &v * norm;
        let field = (image * norm - &estimate * (rho - q)) / noise;
        Ok(Guess {
            estimate: repeat(estimate),
            products: 1,
            left: None,
            messages: vec![message(q / noise, field)],
            scores: None,
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
