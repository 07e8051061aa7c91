//! Samplers of matrices.

use onsager_operators::{
    Dense, DenseF32, LinearOperator, OperatorError, Shape, Stored, SymmetricTiles,
};
use rand::{Rng, RngExt};
use rand_distr::{Distribution, StandardNormal};

use crate::EnsembleError;
use crate::error::{not_negative, probability};
use crate::random::RowStreams;

/// A law on matrices of any shape that can be drawn.
///
/// ```
/// use onsager_ensembles::{Ensemble, Gaussian, Seed};
/// use onsager_operators::{LinearOperator, Shape};
///
/// let mut rng = Seed(1).stream("example", 0, 0, "weights");
/// let w = Gaussian::standard().sample(Shape::new(3, 5), &mut rng)?;
/// assert_eq!(w.shape(), Shape::new(3, 5));
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
pub trait Ensemble {
    /// How a realisation is stored.
    type Operator: LinearOperator;

    /// One realisation.
    ///
    /// # Errors
    /// A shape that does not fit in memory, or that the ensemble does not have.
    fn sample<R: Rng + ?Sized>(
        &self,
        shape: Shape,
        rng: &mut R,
    ) -> Result<Self::Operator, EnsembleError>;
}

/// Matrices with independent entries `N(0, variance)`, in `f64`.
///
/// ```
/// # use onsager_ensembles::Gaussian;
/// assert_eq!(Gaussian::new(0.5)?.variance(), 0.5);
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Gaussian {
    variance: f64,
}

impl Gaussian {
    /// # Errors
    /// A variance that is negative or not finite.
    pub fn new(variance: f64) -> Result<Self, EnsembleError> {
        let variance = not_negative("variance", variance)?;
        Ok(Self { variance })
    }

    /// Entries of unit variance.
    #[must_use]
    pub fn standard() -> Self {
        Self { variance: 1.0 }
    }

    /// Variance of an entry.
    #[must_use]
    pub fn variance(self) -> f64 {
        self.variance
    }
}

impl Ensemble for Gaussian {
    type Operator = Dense;

    fn sample<R: Rng + ?Sized>(&self, shape: Shape, rng: &mut R) -> Result<Dense, EnsembleError> {
        gaussian(shape, self.variance, rng)
    }
}

/// A law of independent entries of mean 0.
///
/// ```
/// use onsager_ensembles::{Seed, sample::{Entries, independent}};
/// use onsager_operators::Shape;
///
/// let mut rng = Seed(1).stream("example", 0, 0, "weights");
/// let w = independent(Shape::new(2, 3), Entries::Rademacher, &mut rng)?;
/// assert!(w.row(0).iter().all(|a| a.abs() == 1.0));
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq)]
#[non_exhaustive]
pub enum Entries {
    /// `N(0, variance)`.
    Gaussian {
        /// Variance of an entry.
        variance: f64,
    },
    /// `±1`, fair.
    Rademacher,
    /// `N(0, 1/sparsity)` with probability `sparsity`, else 0: variance 1.
    Sparse {
        /// Probability of a nonzero, in (0, 1].
        sparsity: f64,
    },
}

/// Matrix of the given shape with independent entries.
///
/// Row `i` comes from its own stream ([`RowStreams`]), so the matrix does not depend on the
/// order in which rows are filled.
///
/// - **Errors**: a variance that is negative or not finite, a sparsity outside `(0, 1]`; a shape that
///   does not fit in memory.
pub fn independent<R: Rng + ?Sized>(
    shape: Shape,
    entries: Entries,
    rng: &mut R,
) -> Result<Dense, EnsembleError> {
    Ok(Dense::from_rows(
        shape,
        rows(entries, RowStreams::new(rng))?,
    )?)
}

/// [`independent`], each entry rounded to `f32`; the rounded matrix is the matrix.
///
/// - **Errors**: as [`independent`], and a variance so large that an entry overflows `f32`.
pub fn independent_f32<R: Rng + ?Sized>(
    shape: Shape,
    entries: Entries,
    rng: &mut R,
) -> Result<DenseF32, EnsembleError> {
    Ok(DenseF32::from_rows(
        shape,
        rows(entries, RowStreams::new(rng))?,
    )?)
}

/// [`independent`] entries `N(0, variance)`.
///
/// - **Errors**: as [`independent`].
pub fn gaussian<R: Rng + ?Sized>(
    shape: Shape,
    variance: f64,
    rng: &mut R,
) -> Result<Dense, EnsembleError> {
    independent(shape, Entries::Gaussian { variance }, rng)
}

/// [`gaussian`], each entry rounded to `f32`; the rounded matrix is the matrix.
///
/// - **Errors**: as [`independent_f32`].
pub fn gaussian_f32<R: Rng + ?Sized>(
    shape: Shape,
    variance: f64,
    rng: &mut R,
) -> Result<DenseF32, EnsembleError> {
    independent_f32(shape, Entries::Gaussian { variance }, rng)
}

/// Writes row `i`.
fn rows(
    entries: Entries,
    streams: RowStreams,
) -> Result<impl FnMut(usize, &mut [f64]), EnsembleError> {
    let scale = match entries {
        Entries::Gaussian { variance } => not_negative("variance", variance)?.sqrt(),
        Entries::Rademacher => 1.0,
        Entries::Sparse { sparsity } => probability("sparsity", sparsity)?.sqrt().recip(),
    };
    Ok(move |i, row: &mut [f64]| {
        let mut stream = streams.row(i);
        for a in row {
            *a = scale
                * match entries {
                    Entries::Gaussian { .. } => normal(&mut stream),
                    Entries::Rademacher if stream.random::<bool>() => 1.0,
                    Entries::Rademacher => -1.0,
                    Entries::Sparse { sparsity } if stream.random::<f64>() < sparsity => {
                        normal(&mut stream)
                    }
                    Entries::Sparse { .. } => 0.0,
                };
        }
    })
}

/// Spiked Wigner matrix `Y = x xᵀ/√p + √noise ξ` for a signal `x` of length `p`.
///
/// `ξ` is drawn from the Gaussian orthogonal ensemble: symmetric, entries independent on and
/// below the diagonal, `N(0, 1)` off the diagonal and `N(0, 2)` on it. (The diagonal carries a
/// share `1/p` of the information, so its variance changes nothing at leading order; 2 makes
/// the law invariant under rotations.) `√noise ξ/√p` has spectral radius `2√noise`.
///
/// Rows come from their own streams and go straight into half storage, in `f64` or `f32`; no
/// `p x p` temporary is made.
///
/// - **Errors**: a signal entry that is not finite, a noise that is negative or not finite, a
///   matrix that does not fit in memory or in the range of the storage.
///
/// ```
/// use onsager_ensembles::{Seed, sample::spiked_wigner};
/// use onsager_operators::Symmetric;
///
/// let mut rng = Seed(1).stream("example", 0, 0, "noise");
/// let y: Symmetric = spiked_wigner(&[1.0, -1.0, 2.0, 0.0], 0.0, &mut rng)?;
/// assert_eq!((y.entry(0, 2), y.entry(2, 1)), (1.0, -1.0)); // x_i x_j/√4
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
pub fn spiked_wigner<S: Stored>(
    signal: &[f64],
    noise: f64,
    rng: &mut (impl Rng + ?Sized),
) -> Result<SymmetricTiles<S>, EnsembleError> {
    let sd = not_negative("noise", noise)?.sqrt();
    finite_signal(signal)?;
    let streams = RowStreams::new(rng);
    let scale = (signal.len() as f64).sqrt();
    let fill = |i: usize, row: &mut [f64]| {
        let mut stream = streams.row(i);
        row.iter_mut().for_each(|xi| *xi = normal(&mut stream));
        row[i] *= 2f64.sqrt();
        // Apart from the draws, so that it is vectorised.
        let weight = signal[i] / scale;
        for (y, x) in row.iter_mut().zip(signal) {
            *y = weight * x + sd * *y;
        }
    };
    SymmetricTiles::from_rows(signal.len(), fill).map_err(|e: OperatorError| e.into())
}

/// Spiked Wishart matrix `Y = u xᵀ/√p + √noise ξ` for `u` of length `n` and `x` of length `p`, with
/// independent standard normal entries of `ξ`.
///
/// - **Errors**: an entry of `u` or `x` that is not finite, a noise that is negative or not
///   finite, a matrix that does not fit in memory.
///
/// ```
/// use onsager_ensembles::{Seed, sample::spiked_wishart};
/// use onsager_operators::LinearOperator;
///
/// let mut rng = Seed(1).stream("example", 0, 0, "noise");
/// let y = spiked_wishart(&[3.0], &[1.0, -1.0, 2.0, 0.0], 0.0, &mut rng)?;
/// let mut product = [0.0];
/// y.apply_column(&[0.0, 1.0, 0.0, 0.0], &mut product);
/// assert_eq!(product[0], -1.5); // u_i x_j/√4
/// # Ok::<(), onsager_ensembles::EnsembleError>(())
/// ```
pub fn spiked_wishart<R: Rng + ?Sized>(
    left: &[f64],
    right: &[f64],
    noise: f64,
    rng: &mut R,
) -> Result<Dense, EnsembleError> {
    let shape = Shape::new(left.len(), right.len());
    Ok(Dense::from_rows(
        shape,
        wishart_rows(left, right, noise, RowStreams::new(rng))?,
    )?)
}

/// [`spiked_wishart`], each entry rounded to `f32`; the rounded matrix is the matrix.
///
/// - **Errors**: as [`spiked_wishart`], and an entry that overflows `f32`.
pub fn spiked_wishart_f32<R: Rng + ?Sized>(
    left: &[f64],
    right: &[f64],
    noise: f64,
    rng: &mut R,
) -> Result<DenseF32, EnsembleError> {
    let shape = Shape::new(left.len(), right.len());
    Ok(DenseF32::from_rows(
        shape,
        wishart_rows(left, right, noise, RowStreams::new(rng))?,
    )?)
}

/// Writes row `i` of a spiked Wishart matrix.
fn wishart_rows(
    left: &[f64],
    right: &[f64],
    noise: f64,
    streams: RowStreams,
) -> Result<impl FnMut(usize, &mut [f64]), EnsembleError> {
    finite_signal(left)?;
    finite_signal(right)?;
    let mut noisy = rows(Entries::Gaussian { variance: noise }, streams)?;
    let scale = (right.len() as f64).sqrt();
    Ok(move |i: usize, row: &mut [f64]| {
        noisy(i, row);
        let u = left[i] / scale;
        row.iter_mut().zip(right).for_each(|(y, x)| *y += u * x);
    })
}

fn finite_signal(signal: &[f64]) -> Result<(), EnsembleError> {
    let quantity = "signal";
    match signal.iter().find(|x| !x.is_finite()) {
        Some(&value) => Err(EnsembleError::NotFinite { quantity, value }),
        None => Ok(()),
    }
}

/// `y = x + √noise n`, `n` independent standard normal.
///
/// - **Errors**: a noise that is negative or not finite.
pub fn noisy<R: Rng + ?Sized>(
    signal: &[f64],
    noise: f64,
    rng: &mut R,
) -> Result<Vec<f64>, EnsembleError> {
    let sd = not_negative("noise", noise)?.sqrt();
    Ok(signal.iter().map(|x| x + sd * normal(rng)).collect())
}

/// One standard normal variate.
fn normal<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    StandardNormal.sample(rng)
}
