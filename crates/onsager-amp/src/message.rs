//! What an edge carries: Gaussian messages, and the moments computed behind them.

use std::ops::Range;

use nalgebra::DMatrix;
use onsager_operators::Field;
use onsager_scalar::Precisions;

/// Natural message `exp(-a |x|²/2 + Re(b̄ x))` about the components of a variable.
///
/// `field` is an `n x T` block: `T` problems that share the model stand side by side.
///
/// ```
/// use onsager_amp::{Diagonal, Message};
/// use nalgebra::DMatrix;
/// let one = Message { precision: Diagonal::Shared(vec![2.0]), field: DMatrix::from_vec(2, 1, vec![1.0, -1.0]) };
/// assert_eq!(one.and(&one).precision.at(1, 0), 4.0);
/// assert_eq!(one.and(&Message::flat(2, 1)), one);
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Message<F: Field = f64> {
    /// `a`, non-negative.
    pub precision: Precision,
    /// `b`, of shape `n x T`.
    pub field: DMatrix<F>,
}

/// Posterior mean and variance of the components of a variable.
///
/// ```
/// let known = onsager_amp::Posterior::constant(3, 1, -2.0, 0.5);
/// assert_eq!((known.norm(0), known.variance.mean(0)), (4.0, 0.5));
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Posterior<F: Field = f64> {
    /// `E x`, of shape `n x T`.
    pub mean: DMatrix<F>,
    /// `E |x - E x|²`, in the shapes of a precision.
    pub variance: Variance,
}

/// A non-negative diagonal matrix for each of the `T` problems.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub enum Diagonal {
    /// One value per problem, shared by all components.
    Shared(Vec<f64>),
    /// One value per component and problem, `n x T`.
    Each(DMatrix<f64>),
}

/// Precisions of a block of messages.
pub type Precision = Diagonal;

/// Variances of a block of moments.
pub type Variance = Diagonal;

impl Diagonal {
    /// The value of component `i` of problem `t`.
    #[must_use]
    pub fn at(&self, i: usize, t: usize) -> f64 {
        match self {
            Self::Shared(a) => a[t],
            Self::Each(a) => a[(i, t)],
        }
    }

    /// The mean over the components of problem `t`.
    #[must_use]
    pub fn mean(&self, t: usize) -> f64 {
        match self {
            Self::Shared(a) => a[t],
            Self::Each(a) => a.column(t).mean(),
        }
    }

    /// The values of problem `t`, as the scalar layer reads them.
    #[must_use]
    pub fn column(&self, t: usize) -> Precisions<'_> {
        match self {
            Self::Shared(a) => Precisions::Shared(a[t]),
            Self::Each(a) => {
                let n = a.nrows();
                Precisions::Each(&a.as_slice()[t * n..(t + 1) * n])
            }
        }
    }

    /// `u · self + v · other`, one per component as soon as one of the two is.
    fn combine(&self, u: f64, other: &Self, v: f64) -> Self {
        match (self, other) {
            (Self::Shared(a), Self::Shared(b)) => {
                Self::Shared(a.iter().zip(b).map(|(a, b)| u * a + v * b).collect())
            }
            (Self::Each(a), b) => Self::Each(DMatrix::from_fn(a.nrows(), a.ncols(), |i, t| {
                u * a[(i, t)] + v * b.at(i, t)
            })),
            (a, Self::Each(b)) => Self::Each(DMatrix::from_fn(b.nrows(), b.ncols(), |i, t| {
                u * a.at(i, t) + v * b[(i, t)]
            })),
        }
    }

    fn is_finite(&self) -> bool {
        match self {
            Self::Shared(a) => all_finite(a),
            Self::Each(a) => all_finite(a.as_slice()),
        }
    }
}

impl<F: Field> Message<F> {
    /// The message that says nothing.
    #[must_use]
    pub fn flat(n: usize, problems: usize) -> Self {
        Self {
            precision: Diagonal::Shared(vec![0.0; problems]),
            field: DMatrix::zeros(n, problems),
        }
    }

    /// The components of problem `t`.
    #[must_use]
    pub fn fields(&self, t: usize) -> Fields<'_, F> {
        let n = self.field.nrows();
        Fields {
            precision: self.precision.column(t),
            field: &self.field.as_slice()[t * n..(t + 1) * n],
        }
    }

    /// The product of two messages: natural parameters add.
    #[must_use]
    pub fn and(&self, other: &Self) -> Self {
        Self {
            precision: self.precision.combine(1.0, &other.precision, 1.0),
            field: &self.field + &other.field,
        }
    }

    /// `(1 - step) · self + step · new` in natural parameters, which keeps precisions admissible.
    #[must_use]
    pub fn towards(&self, new: Self, step: f64) -> Self {
        if step == 1.0 {
            return new;
        }
        Self {
            precision: self.precision.combine(1.0 - step, &new.precision, step),
            field: self.field.map(|b| b.scale(1.0 - step)) + new.field.map(|b| b.scale(step)),
        }
    }

    /// Whether every number is finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.precision.is_finite() && all_finite(self.field.as_slice())
    }
}

/// A run of components of a message.
#[derive(Debug, Clone, Copy)]
pub struct Fields<'a, F: Field = f64> {
    /// `a`, one for all components or one each.
    pub precision: Precisions<'a>,
    /// `b`.
    pub field: &'a [F],
}

impl<F: Field> Fields<'_, F> {
    /// The components `run` of these.
    ///
    /// # Panics
    /// When `run` reaches beyond them.
    #[must_use]
    pub fn run(&self, run: Range<usize>) -> Self {
        Self {
            field: &self.field[run.clone()],
            precision: match self.precision {
                Precisions::Shared(a) => Precisions::Shared(a),
                Precisions::Each(a) => Precisions::Each(&a[run]),
            },
        }
    }
}

impl<F: Field> Posterior<F> {
    /// One mean for all components, one variance.
    #[must_use]
    pub fn constant(n: usize, problems: usize, mean: F, variance: f64) -> Self {
        Self {
            mean: DMatrix::from_element(n, problems, mean),
            variance: Diagonal::Shared(vec![variance; problems]),
        }
    }

    /// `|E x|²/n` of problem `t`: the overlap claimed without the truth.
    #[must_use]
    pub fn norm(&self, t: usize) -> f64 {
        mean_square(column(&self.mean, t))
    }

    /// Whether every number is finite.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.variance.is_finite() && all_finite(self.mean.as_slice())
    }
}

/// Looks at all of them without a branch, which the compiler vectorises.
fn all_finite<F: Field>(x: &[F]) -> bool {
    x.iter().fold(true, |all, x| all & x.is_finite())
}

/// `(1 - step) old + step new`.
pub(crate) fn average<F: Field>(old: Option<DMatrix<F>>, new: DMatrix<F>, step: f64) -> DMatrix<F> {
    match old {
        Some(old) if step != 1.0 => old.map(|x| x.scale(1.0 - step)) + new.map(|x| x.scale(step)),
        _ => new,
    }
}

/// Column `t`, whose entries lie side by side.
pub(crate) fn column<F: Field>(x: &DMatrix<F>, t: usize) -> &[F] {
    &x.as_slice()[t * x.nrows()..][..x.nrows()]
}

/// `Σ |x_i|²/n`, in eight sums side by side.
pub(crate) fn mean_square<F: Field>(x: &[F]) -> f64 {
    let (eights, rest) = x.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for x in eights {
        (sums.iter_mut().zip(x)).for_each(|(sum, x)| *sum += x.modulus_squared());
    }
    (sums.iter_mut().zip(rest)).for_each(|(sum, x)| *sum += x.modulus_squared());
    sums.iter().sum::<f64>() / x.len() as f64
}
