//! What layers say of a variable before any data: its mean and covariance given the matrices.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_model::FactorKind;
use onsager_operators::factorisations::symmetric_eigenvalues;
use onsager_operators::{LinearOperator, Shape};
use onsager_scalar::Activation;

use crate::{AmpError, Problem};

/// The first two moments of a layered variable given its matrices, at leading order.
///
/// `K_0 = Var z` and, for a field `h_i` of mean `m_i = (W μ)_i/√k` and variance `V = ρ - |μ|²/k`,
/// `μ` and `K` those of the variable below,
///
/// `μ_i' = E φ(h_i)`, `K' = D (W K Wᵀ/k) D + R`, `D_i = ∂μ_i'/∂m_i`, `R_i = Var φ(h_i) - D_i² V`.
///
/// Without means `D` and `R` are numbers, `κ` and `ρ_l - κ² ρ_{l-1}`.
///
/// ```
/// use std::sync::Arc;
/// use onsager_amp::{Problem, spectral};
/// use onsager_ensembles::Seed;
/// use onsager_model::{Chain, Instance, Teacher};
/// use onsager_scalar::{activation::PiecewiseLinear, prior::Gaussian};
///
/// let tree = Chain::new(Arc::new(Gaussian::standard()))
///     .layer(2.0, Arc::new(PiecewiseLinear::relu()))
///     .spiked_wigner(1.0)?;
/// let sizes = tree.sizes(tree.signal_index(), 20);
/// let stream = |purpose: &str| Seed(1).stream("doc", 0, 0, purpose);
/// let instance = Instance::draw(&tree, &sizes, stream, Teacher::fixed())?;
/// let prior = spectral::moments(&Problem::new(&tree, &instance)?, tree.signal_index())?;
/// let expected = 1.0 / (2.0 * std::f64::consts::PI).sqrt(); // E max(0, h)
/// assert!(prior.mean.iter().all(|m| (m - expected).abs() < 1e-14));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct PriorMoments {
    /// `E[x | W]`.
    pub mean: Vec<f64>,
    /// `Cov[x | W]`.
    pub covariance: Arc<dyn LinearOperator>,
}

/// The moments of a variable given the matrices below it.
///
/// # Errors
/// A variable that is no layer's and has no prior.
pub fn moments(problem: &Problem, variable: usize) -> Result<PriorMoments, AmpError> {
    let tree = &problem.tree;
    // Factors stand in the order of the variables they end in; the left factor of a product begins
    // anew behind the signal.
    let signal = tree.signal_index();
    let first = if variable > signal { signal + 1 } else { 0 };
    let mut found: Option<(Vec<f64>, Covariance)> = None;
    let mut matrix = None;
    for (f, factor) in tree.factors()[..=variable].iter().enumerate().skip(first) {
        let outer = factor.variables[factor.variables.len() - 1];
        match &factor.kind {
            FactorKind::Prior(law) => {
                let size = problem.sizes[outer];
                let mean = law.mean();
                let covariance = Covariance {
                    rest: Rows::Same((law.second_moment() - mean * mean).max(0.0)),
                    size,
                    layer: None,
                };
                found = Some((vec![mean; size], covariance));
            }
            FactorKind::Linear { .. } => matrix = Some(problem.operator(f)?.clone()),
            FactorKind::Activation(phi) => {
                let rho = tree.variables()[factor.variables[0]].second_moment;
                if let (Some((mean, below)), Some(matrix)) = (found.take(), matrix.take()) {
                    found = Some(through(phi.as_ref(), rho, matrix, &mean, below));
                }
            }
            _ => {}
        }
    }
    let none = || AmpError::NotSupported("a variable without a prior".to_string());
    let (mean, covariance) = found.ok_or_else(none)?;
    Ok(PriorMoments {
        mean,
        covariance: Arc::new(covariance),
    })
}

/// The moments behind a layer, from those before it; `rho` is the mean square of its field.
fn through(
    phi: &dyn Activation,
    rho: f64,
    matrix: Arc<dyn LinearOperator>,
    mean: &[f64],
    below: Covariance,
) -> (Vec<f64>, Covariance) {
    let rows = matrix.shape().rows;
    let k = below.size as f64;
    let square = mean.iter().map(|m| m * m).sum::<f64>() / k;
    let (outer, gain, rest);
    if square == 0.0 {
        let (mean, kappa) = (phi.mean(rho), phi.linear_gain(rho));
        let left = phi.second_moment(rho) - mean * mean - kappa * kappa * rho;
        outer = vec![mean; rows];
        gain = Rows::Same(kappa);
        rest = Rows::Same(left.max(0.0));
    } else {
        let variance = (rho - square).max(f64::MIN_POSITIVE);
        let mut field = vec![0.0; rows];
        matrix.apply_column(mean, &mut field);
        let at: Vec<[f64; 3]> = (field.iter())
            .map(|h| given_field(phi, h / k.sqrt(), variance))
            .collect();
        outer = at.iter().map(|x| x[0]).collect();
        gain = Rows::Each(at.iter().map(|x| x[1]).collect());
        rest = Rows::Each(at.iter().map(|x| x[2]).collect());
    }
    let layer = Some(Layer {
        gain,
        scale: 1.0 / k,
        matrix,
        below: Box::new(below),
    });
    let covariance = Covariance {
        size: rows,
        rest,
        layer,
    };
    (outer, covariance)
}

/// `E φ(h)`, its slope in the mean of `h`, and the variance of `φ(h)` beyond its linear part.
fn given_field(phi: &dyn Activation, mean: f64, variance: f64) -> [f64; 3] {
    // The average over h is smooth on the scale of its width: central differences of fourth order
    // at this step are good to 1e-10 or better.
    let step = 0.004 * variance.sqrt();
    let at = |i: f64| phi.channel(0.0, 0.0, mean + i * step, variance).output;
    let differences = [at(1.0).mean - at(-1.0).mean, at(2.0).mean - at(-2.0).mean];
    let slope = (8.0 * differences[0] - differences[1]) / (12.0 * step);
    let found = at(0.0);
    let rest = (found.variance - slope * slope * variance).max(0.0);
    [found.mean, slope, rest]
}

/// One number for every row, or one for all.
enum Rows {
    Same(f64),
    Each(Vec<f64>),
}

impl Rows {
    fn at(&self, i: usize) -> f64 {
        match self {
            Self::Same(x) => *x,
            Self::Each(x) => x[i],
        }
    }
}

/// `R + D W K Wᵀ D/k`.
struct Covariance {
    size: usize,
    rest: Rows,
    layer: Option<Layer>,
}

struct Layer {
    gain: Rows,
    scale: f64,
    matrix: Arc<dyn LinearOperator>,
    below: Box<Covariance>,
}

impl LinearOperator for Covariance {
    fn shape(&self) -> Shape {
        Shape::square(self.size)
    }
    fn apply_column(&self, x: &[f64], y: &mut [f64]) {
        y.fill(0.0);
        if let Some(layer) = &self.layer {
            let size = layer.below.size;
            let (mut u, mut v) = (vec![0.0; size], vec![0.0; size]);
            let seen: Vec<f64> = (x.iter().enumerate())
                .map(|(i, x)| layer.gain.at(i) * x)
                .collect();
            layer.matrix.apply_adjoint_column(&seen, &mut u);
            layer.below.apply_column(&u, &mut v);
            layer.matrix.apply_column(&v, y);
            for (i, y) in y.iter_mut().enumerate() {
                *y *= layer.scale * layer.gain.at(i);
            }
        }
        for (i, (y, x)) in y.iter_mut().zip(x).enumerate() {
            *y += self.rest.at(i) * x;
        }
    }
    fn apply_adjoint_column(&self, x: &[f64], y: &mut [f64]) {
        self.apply_column(x, y);
    }
    fn bytes(&self) -> usize {
        self.layer
            .as_ref()
            .map_or(0, |layer| layer.matrix.bytes() + layer.below.bytes())
    }
}

impl PriorMoments {
    /// Mean square of the components of the mean.
    #[must_use]
    pub fn square_mean(&self) -> f64 {
        self.mean.iter().map(|m| m * m).sum::<f64>() / self.mean.len() as f64
    }

    /// Eigenvalues of the covariance, increasing, from the whole matrix: `O(n³)` work for `n`
    /// components. Those that are negative by rounding are 0.
    ///
    /// # Errors
    /// Eigenvalues that are not found.
    pub fn eigenvalues(&self) -> Result<Vec<f64>, AmpError> {
        let size = self.mean.len();
        let dense = self.covariance.apply(&DMatrix::identity(size, size))?;
        let values = symmetric_eigenvalues(&dense)?;
        Ok(values.into_iter().map(|t| t.max(0.0)).collect())
    }

    /// `E[x xᵀ | W] = K + μ μᵀ`, as an operator.
    #[must_use]
    pub fn second(&self) -> Arc<dyn LinearOperator> {
        if self.mean.iter().all(|m| *m == 0.0) {
            return self.covariance.clone();
        }
        Arc::new(Second(self.clone()))
    }
}

struct Second(PriorMoments);

impl LinearOperator for Second {
    fn shape(&self) -> Shape {
        self.0.covariance.shape()
    }
    fn apply_column(&self, x: &[f64], y: &mut [f64]) {
        self.0.covariance.apply_column(x, y);
        let mean = &self.0.mean;
        let along: f64 = mean.iter().zip(x).map(|(m, x)| m * x).sum();
        y.iter_mut().zip(mean).for_each(|(y, m)| *y += along * m);
    }
    fn apply_adjoint_column(&self, x: &[f64], y: &mut [f64]) {
        self.apply_column(x, y);
    }
    fn bytes(&self) -> usize {
        self.0.covariance.bytes()
    }
}
