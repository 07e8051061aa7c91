//! Realisations of a declaration at finite size: drawn, or given by the user.

use std::fmt;
use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_ensembles::sample::{
    self, independent, independent_f32, noisy, spiked_wigner, spiked_wishart, spiked_wishart_f32,
};
use onsager_operators::{LinearOperator, Shape, Symmetric, SymmetricF32};
use onsager_scalar::Prior;
use rand::Rng;
use rand::seq::SliceRandom;

use crate::{Entries, FactorKind, ModelError, Tree};

/// One realisation of a [`Tree`]: sizes, matrices, data and, where known, the truth.
///
/// | factor | [`operator`](Self::operator) | [`data`](Self::data) |
/// | --- | --- | --- |
/// | linear | `W`, rows x columns, entries of unit variance | |
/// | spiked Wigner | `Y = x xᵀ/√p + √Δ ξ`, p x p symmetric | |
/// | spiked Wishart | `Y = u xᵀ/√p + √Δ ξ`, n x p | |
/// | denoising | | `y = x + √Δ n`, length p |
/// | likelihood | | `y ~ P(y\|h)`, length n |
///
/// The division of `W` by `√columns` and of `Y` by `√p` is left to the factor. What exists has
/// consistent shapes and finite vectors.
///
/// ```
/// use std::sync::Arc;
/// use onsager_ensembles::Seed;
/// use onsager_model::{Chain, Instance, Teacher};
/// use onsager_scalar::{activation::PiecewiseLinear, prior::Gaussian};
///
/// let tree = Chain::new(Arc::new(Gaussian::standard()))
///     .layer(2.0, Arc::new(PiecewiseLinear::sign()))
///     .spiked_wigner(0.5)?;
/// let sizes = tree.sizes(tree.signal_index(), 100);
/// let stream = |purpose: &str| Seed(7).stream("example", 0, 0, purpose);
/// let instance = Instance::draw(&tree, &sizes, stream, Teacher::fixed())?;
///
/// assert_eq!(instance.sizes(), [50, 100, 100]); // z, field(x), x
/// let latent: f64 = instance.truth(0).unwrap().iter().map(|z| z * z).sum();
/// assert!((latent - 50.0).abs() < 1e-12); // exact norm
/// assert!(instance.truth(2).unwrap().iter().all(|x| x.abs() == 1.0));
/// assert_eq!(instance.operator(3).unwrap().shape().rows, 100); // Y
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[derive(Clone)]
pub struct Instance {
    sizes: Vec<usize>,
    operators: Vec<Option<Arc<dyn LinearOperator>>>,
    data: Vec<Option<Vec<f64>>>,
    truth: Vec<Option<Vec<f64>>>,
}

/// How the truth is drawn and how large matrices are stored.
///
/// ```
/// use onsager_model::{Teacher, instance::Storage};
/// let teacher = Teacher { storage: Storage::F32, ..Teacher::fixed() };
/// assert!(teacher.fixed_norm);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Teacher {
    /// Removes the sampling noise of the latent, which would blur every comparison with theory
    /// at order `1/√n`: a discrete law gets its exact composition (each value `n · weight`
    /// times, rounded so that the counts add up to `n`, in random order); a law with a point
    /// mass its exact number of continuous components; these are then rescaled so that
    /// `Σ z² = n E z²`.
    ///
    /// Only latents are fixed. Layers are not: the norm of a signal `x = φ(W z/√k)` keeps the
    /// fluctuations of `W`.
    pub fixed_norm: bool,
    /// Precision of the stored `W` and `Y`.
    pub storage: Storage,
    /// Threads inside each product with `W` and `Y`, at least 1. They do not move a bit.
    pub threads: usize,
}

impl Default for Teacher {
    fn default() -> Self {
        Self {
            fixed_norm: false,
            storage: Storage::F64,
            threads: 1,
        }
    }
}

impl Teacher {
    /// Independent components, as declared; storage in `f64`.
    #[must_use]
    pub fn independent() -> Self {
        Self::default()
    }

    /// Exact norm and composition of the latents; storage in `f64`.
    #[must_use]
    pub fn fixed() -> Self {
        Self {
            fixed_norm: true,
            ..Self::default()
        }
    }
}

/// Precision in which matrices are stored; the stored matrix is the matrix that made the data.
///
/// ```
/// use onsager_model::instance::Storage;
/// assert_eq!(Storage::default(), Storage::F64);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Storage {
    /// Eight bytes an entry.
    #[default]
    F64,
    /// Four bytes an entry.
    F32,
}

impl Instance {
    /// Draws the latents, the weights, every variable above them, and the data.
    ///
    /// `stream` gives one independent stream per purpose: `"latent 1"`, `"weights 1"`,
    /// `"layer noise 1"`, `"noise 1"`, counted from 1 in the order of [`Tree::factors`]. A deeper or noisier tree
    /// leaves the streams of the others as they were.
    ///
    /// # Errors
    /// Sizes that do not fit (see [`Instance::given`]), a matrix that does not fit in memory, a
    /// law or an activation of the user's own that gives infinities or NaN.
    pub fn draw<R: Rng>(
        tree: &Tree,
        sizes: &[usize],
        mut stream: impl FnMut(&str) -> R,
        teacher: Teacher,
    ) -> Result<Self, ModelError> {
        let mut given = Self::given(tree, sizes)?;
        let threads = teacher.threads;
        let [mut latents, mut weights, mut layers, mut noises] = [0; 4];
        let mut next = |purpose: &str, count: &mut usize| {
            *count += 1;
            stream(&format!("{purpose} {count}"))
        };
        // Factors come from the latents outwards: what a factor reads has been drawn.
        for (f, factor) in tree.factors().iter().enumerate() {
            let (inner, outer) = (
                factor.variables[0],
                factor.variables[factor.variables.len() - 1],
            );
            match &factor.kind {
                FactorKind::Prior(law) => {
                    let mut rng = next("latent", &mut latents);
                    let z = teacher.latent(law.as_ref(), sizes[inner], &mut rng);
                    given = given.truth(inner, z)?;
                }
                FactorKind::Linear { entries, .. } => {
                    let shape = Shape::new(sizes[outer], sizes[inner]);
                    let mut rng = next("weights", &mut weights);
                    let law = match *entries {
                        Entries::Gaussian => sample::Entries::Gaussian { variance: 1.0 },
                        Entries::Rademacher => sample::Entries::Rademacher,
                        Entries::Sparse { sparsity } => sample::Entries::Sparse { sparsity },
                    };
                    let w: Arc<dyn LinearOperator> = match teacher.storage {
                        Storage::F64 => {
                            Arc::new(independent(shape, law, &mut rng)?.with_threads(threads)?)
                        }
                        Storage::F32 => {
                            Arc::new(independent_f32(shape, law, &mut rng)?.with_threads(threads)?)
                        }
                    };
                    let x = DMatrix::from_column_slice(shape.columns, 1, given.known(inner));
                    let h = w.apply(&x)? / (shape.columns as f64).sqrt();
                    given = given.operator(f, w)?.truth(outer, h.data.into())?;
                }
                FactorKind::Activation(phi) => {
                    let h = given.known(inner).iter();
                    let x = if phi.noise().is_some() {
                        let mut rng = next("layer noise", &mut layers);
                        h.map(|h| phi.sample(*h, &mut rng)).collect()
                    } else {
                        h.map(|h| phi.apply(*h)).collect()
                    };
                    given = given.truth(outer, x)?;
                }
                FactorKind::SpikedWigner { noise } => {
                    let mut rng = next("noise", &mut noises);
                    let x = given.known(inner);
                    let y: Arc<dyn LinearOperator> = match teacher.storage {
                        Storage::F64 => {
                            let y: Symmetric = spiked_wigner(x, *noise, &mut rng)?;
                            Arc::new(y.with_threads(threads)?)
                        }
                        Storage::F32 => {
                            let y: SymmetricF32 = spiked_wigner(x, *noise, &mut rng)?;
                            Arc::new(y.with_threads(threads)?)
                        }
                    };
                    given = given.operator(f, y)?;
                }
                FactorKind::SpikedWishart { noise, .. } => {
                    let mut rng = next("noise", &mut noises);
                    let (x, u) = (given.known(inner), given.known(outer));
                    let y: Arc<dyn LinearOperator> = match teacher.storage {
                        Storage::F64 => {
                            let y = spiked_wishart(u, x, *noise, &mut rng)?;
                            Arc::new(y.with_threads(threads)?)
                        }
                        Storage::F32 => {
                            let y = spiked_wishart_f32(u, x, *noise, &mut rng)?;
                            Arc::new(y.with_threads(threads)?)
                        }
                    };
                    given = given.operator(f, y)?;
                }
                FactorKind::Denoising { noise } => {
                    let mut rng = next("noise", &mut noises);
                    let y = noisy(given.known(inner), *noise, &mut rng)?;
                    given = given.data(f, y)?;
                }
                FactorKind::Likelihood(law) => {
                    let mut rng = next("noise", &mut noises);
                    let h = given.known(inner).iter();
                    let y = h.map(|h| law.sample(*h, &mut rng)).collect();
                    given = given.data(f, y)?;
                }
            }
        }
        given.build()
    }

    /// Starts an instance from the user's own matrices and data.
    ///
    /// Each part is checked as it is added, and [`Given::build`] asks for what is missing.
    ///
    /// # Errors
    /// A number of sizes other than the number of variables, a size of 0; sizes on the two sides
    /// of an activation that differ; sizes on the two sides of a linear factor that are not, up
    /// to rounding, in the ratio declared ([`Tree::realised`] changes the declaration).
    ///
    /// ```
    /// use std::sync::Arc;
    /// use onsager_model::{Chain, Instance};
    /// use onsager_scalar::prior::Rademacher;
    ///
    /// let tree = Chain::new(Arc::new(Rademacher)).denoising(0.5)?;
    /// let instance = Instance::given(&tree, &[3])?
    ///     .data(1, vec![0.9, -1.2, 0.1])?
    ///     .build()?;
    /// assert_eq!(instance.data(1), Some([0.9, -1.2, 0.1].as_slice()));
    /// let short = Instance::given(&tree, &[3])?.data(1, vec![0.9]).unwrap_err();
    /// assert_eq!(short.to_string(), "data of denoising(x) must have shape (3, 1), got (1, 1)");
    /// # Ok::<(), onsager_model::ModelError>(())
    /// ```
    pub fn given<'a>(tree: &'a Tree, sizes: &[usize]) -> Result<Given<'a>, ModelError> {
        check_sizes(tree, sizes)?;
        let factors = tree.factors().len();
        let instance = Self {
            sizes: sizes.to_vec(),
            operators: vec![None; factors],
            data: vec![None; factors],
            truth: vec![None; sizes.len()],
        };
        Ok(Given { tree, instance })
    }

    /// Size of every variable.
    #[must_use]
    pub fn sizes(&self) -> &[usize] {
        &self.sizes
    }

    /// The matrix of factor `f`, if its kind has one.
    #[must_use]
    pub fn operator(&self, f: usize) -> Option<&Arc<dyn LinearOperator>> {
        self.operators.get(f)?.as_ref()
    }

    /// The data vector of factor `f`, if its kind has one.
    #[must_use]
    pub fn data(&self, f: usize) -> Option<&[f64]> {
        self.data.get(f)?.as_deref()
    }

    /// The true value of variable `v`, fields included, if known.
    #[must_use]
    pub fn truth(&self, v: usize) -> Option<&[f64]> {
        self.truth.get(v)?.as_deref()
    }

    /// Bytes held by the matrices.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.operators.iter().flatten().map(|a| a.bytes()).sum()
    }
}

impl fmt::Debug for Instance {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shapes: Vec<_> = self
            .operators
            .iter()
            .map(|a| a.as_ref().map(|a| a.shape()))
            .collect();
        f.debug_struct("Instance")
            .field("sizes", &self.sizes)
            .field("operators", &shapes)
            .finish_non_exhaustive()
    }
}

/// An [`Instance`] to which matrices, data and known truth are being added.
///
/// ```
/// # use std::sync::Arc;
/// # use onsager_model::{Chain, Instance};
/// # use onsager_scalar::prior::Rademacher;
/// let tree = Chain::new(Arc::new(Rademacher)).spiked_wigner(0.5)?;
/// let error = Instance::given(&tree, &[3])?.build().unwrap_err();
/// assert_eq!(error.to_string(), "spiked-wigner(x) needs a matrix");
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Given<'a> {
    tree: &'a Tree,
    instance: Instance,
}

const MATRIX: &str = "a matrix";
const VECTOR: &str = "a data vector";

impl Given<'_> {
    /// The matrix of factor `f`: `W` of a linear factor, entries of unit variance, or `Y` of a
    /// spiked factor; that of a spiked Wigner factor is symmetric (which is trusted).
    ///
    /// # Errors
    /// No such factor, a factor of another kind, a shape that does not fit.
    pub fn operator(mut self, f: usize, a: Arc<dyn LinearOperator>) -> Result<Self, ModelError> {
        let expected = self.shape(f)?.ok_or_else(|| self.unexpected(f, MATRIX))?;
        let quantity = || format!("matrix of {}", self.tree.factors()[f]);
        let found = a.shape();
        check_shape(quantity, expected, (found.rows, found.columns))?;
        self.instance.operators[f] = Some(a);
        Ok(self)
    }

    /// The data vector of factor `f`: `y` of a denoising factor or of a likelihood.
    ///
    /// # Errors
    /// No such factor, a factor of another kind, a length that does not fit, an entry that is
    /// not finite or that the likelihood excludes.
    pub fn data(mut self, f: usize, y: Vec<f64>) -> Result<Self, ModelError> {
        let expected = self.length(f)?.ok_or_else(|| self.unexpected(f, VECTOR))?;
        let quantity = || format!("data of {}", self.tree.factors()[f]);
        check_vector(quantity, expected, &y)?;
        if let FactorKind::Likelihood(law) = &self.tree.factors()[f].kind
            && let Some(value) = y.iter().find(|y| !law.allows(**y))
        {
            return Err(ModelError::Range {
                quantity: quantity(),
                allowed: "a value that the output can take".to_string(),
                value: *value,
            });
        }
        self.instance.data[f] = Some(y);
        Ok(self)
    }

    /// The true value of variable `v`, against which overlaps are measured.
    ///
    /// # Errors
    /// No such variable, a length that does not fit, an entry that is not finite.
    pub fn truth(mut self, v: usize, x: Vec<f64>) -> Result<Self, ModelError> {
        let len = self.instance.sizes.len();
        let quantity = "variables";
        if v >= len {
            let index = v;
            return Err(ModelError::Index {
                quantity,
                len,
                index,
            });
        }
        let name = || format!("truth of {}", self.tree.variables()[v].name);
        check_vector(name, self.instance.sizes[v], &x)?;
        self.instance.truth[v] = Some(x);
        Ok(self)
    }

    /// The instance, once every factor has what its kind needs.
    ///
    /// # Errors
    /// [`ModelError::Missing`] names the first factor that lacks its matrix or its data.
    pub fn build(self) -> Result<Instance, ModelError> {
        for (f, factor) in self.tree.factors().iter().enumerate() {
            let missing = |quantity| ModelError::Missing {
                factor: factor.to_string(),
                quantity,
            };
            if self.shape(f)?.is_some() && self.instance.operators[f].is_none() {
                return Err(missing(MATRIX));
            }
            if self.length(f)?.is_some() && self.instance.data[f].is_none() {
                return Err(missing(VECTOR));
            }
        }
        Ok(self.instance)
    }

    /// Rows and columns of the matrix of factor `f`, `None` if its kind has none.
    fn shape(&self, f: usize) -> Result<Option<(usize, usize)>, ModelError> {
        let (kind, on) = self.factor(f)?;
        let size = |i: usize| self.instance.sizes[on[i]];
        Ok(match kind {
            FactorKind::Linear { .. } | FactorKind::SpikedWishart { .. } => {
                Some((size(1), size(0)))
            }
            FactorKind::SpikedWigner { .. } => Some((size(0), size(0))),
            FactorKind::Prior(_)
            | FactorKind::Activation(_)
            | FactorKind::Denoising { .. }
            | FactorKind::Likelihood(_) => None,
        })
    }

    /// Length of the data vector of factor `f`, `None` if its kind has none.
    fn length(&self, f: usize) -> Result<Option<usize>, ModelError> {
        let (kind, on) = self.factor(f)?;
        Ok(match kind {
            FactorKind::Denoising { .. } | FactorKind::Likelihood(_) => {
                Some(self.instance.sizes[on[0]])
            }
            FactorKind::Prior(_)
            | FactorKind::Linear { .. }
            | FactorKind::Activation(_)
            | FactorKind::SpikedWigner { .. }
            | FactorKind::SpikedWishart { .. } => None,
        })
    }

    fn factor(&self, f: usize) -> Result<(&FactorKind, &[usize]), ModelError> {
        let factors = self.tree.factors();
        let factor = factors.get(f).ok_or(ModelError::Index {
            quantity: "factors",
            len: factors.len(),
            index: f,
        })?;
        Ok((&factor.kind, &factor.variables))
    }

    fn unexpected(&self, f: usize, quantity: &'static str) -> ModelError {
        let factor = self.tree.factors()[f].to_string();
        ModelError::Unexpected { factor, quantity }
    }

    /// The truth of a variable that has been drawn.
    fn known(&self, v: usize) -> &[f64] {
        self.instance.truth[v].as_deref().unwrap_or_default()
    }
}

impl Teacher {
    /// `n` components of one law.
    fn latent(self, law: &dyn Prior, n: usize, rng: &mut dyn Rng) -> Vec<f64> {
        if self.fixed_norm {
            fixed(law, n, rng)
        } else {
            (0..n).map(|_| law.sample(rng)).collect()
        }
    }
}

/// `n` components with the exact composition and norm of the law; see [`Teacher::fixed_norm`].
fn fixed(law: &dyn Prior, n: usize, rng: &mut dyn Rng) -> Vec<f64> {
    let atoms: Vec<f64> = law
        .scales()
        .iter()
        .filter(|s| s.variance == 0.0)
        .map(|s| s.mean)
        .collect();
    if let Some(weights) = discrete_weights(law, &atoms) {
        let counts = counts(n, &weights);
        let mut z: Vec<f64> = atoms
            .iter()
            .zip(counts)
            .flat_map(|(atom, count)| std::iter::repeat_n(*atom, count))
            .collect();
        z.shuffle(rng);
        return z;
    }
    if law.discrete_entropy().is_some() {
        return (0..n).map(|_| law.sample(rng)).collect(); // too many atoms to fix
    }
    let is_atom = |z: &f64| atoms.contains(z);
    // Keep drawing until both kinds of component have their number. A law that states its own
    // dimension wrongly cannot hold us: a true one needs more than 64 (n + 64) draws with a
    // probability below exp(-30).
    let continuous = (n as f64 * law.dimension()).round() as usize;
    let mut room = [continuous.min(n), n - continuous.min(n)];
    let mut z = Vec::with_capacity(n);
    for _ in 0..64 * (n + 64) {
        if z.len() == n {
            break;
        }
        let draw = law.sample(rng);
        let room = &mut room[usize::from(is_atom(&draw))];
        if *room > 0 {
            *room -= 1;
            z.push(draw);
        }
    }
    z.resize_with(n, || law.sample(rng));
    // The kind whose number is reached first would otherwise sit in front.
    z.shuffle(rng);
    let square =
        |kind: bool| -> f64 { z.iter().filter(|z| is_atom(z) == kind).map(|z| z * z).sum() };
    let scale = ((n as f64 * law.second_moment() - square(true)) / square(false)).sqrt();
    if scale.is_finite() && scale > 0.0 {
        z.iter_mut()
            .filter(|z| !is_atom(z))
            .for_each(|z| *z *= scale);
    }
    z
}

/// Weights of the atoms of a purely discrete law with finitely many, `None` for other laws.
///
/// `P(m) = exp(A(a, am) - am²/2)` up to `exp(-a gap²/2)`, the message `exp(-a (x - m)²/2)`
/// being blind to the other atoms.
fn discrete_weights(law: &dyn Prior, atoms: &[f64]) -> Option<Vec<f64>> {
    law.discrete_entropy()?;
    let gap = atoms
        .iter()
        .flat_map(|m| atoms.iter().map(move |l| (m - l).abs()))
        .filter(|gap| *gap > 0.0)
        .fold(f64::INFINITY, f64::min);
    // exp(-40) is below the rounding of the weights; a single atom needs no message.
    let a = if gap.is_finite() {
        80.0 / (gap * gap)
    } else {
        0.0
    };
    let weight = |m: &f64| law.log_likelihood(a, *m).exp();
    let weights: Vec<f64> = atoms.iter().map(weight).collect();
    // A law that does not list all its atoms has no composition that could be fixed.
    ((weights.iter().sum::<f64>() - 1.0).abs() < 1e-9).then_some(weights)
}

/// Integers next to `n · weights` that add up to `n`: the largest remainders are rounded up.
fn counts(n: usize, weights: &[f64]) -> Vec<usize> {
    let ideal = |i: usize| n as f64 * weights[i];
    let mut counts: Vec<usize> = (0..weights.len())
        .map(|i| ideal(i).floor() as usize)
        .collect();
    let mut order: Vec<usize> = (0..weights.len()).collect();
    order.sort_by(|i, j| ideal(*j).fract().total_cmp(&ideal(*i).fract()));
    let missing = n.saturating_sub(counts.iter().sum());
    for i in order.into_iter().cycle().take(missing) {
        counts[i] += 1;
    }
    counts
}

fn check_sizes(tree: &Tree, sizes: &[usize]) -> Result<(), ModelError> {
    let variables = tree.variables();
    if sizes.len() != variables.len() {
        return Err(ModelError::Sizes {
            expected: variables.len(),
            found: sizes.len(),
        });
    }
    let refused = |v: usize, expected: String| {
        let variable = variables[v].name.clone();
        let found = sizes[v];
        Err(ModelError::Size {
            variable,
            expected,
            found,
        })
    };
    if let Some(v) = sizes.iter().position(|n| *n == 0) {
        return refused(v, "at least 1".to_string());
    }
    for factor in tree.factors() {
        let &[inner, outer] = factor.variables.as_slice() else {
            continue;
        };
        let aspect = factor.kind.aspect();
        // As `Tree::sizes` rounds, from either side.
        let rounded = |x: f64| (x.round() as usize).max(1);
        let rows = rounded(aspect * sizes[inner] as f64);
        if sizes[outer] != rows && sizes[inner] != rounded(sizes[outer] as f64 / aspect) {
            return refused(outer, rows.to_string());
        }
    }
    Ok(())
}

fn check_shape(
    quantity: impl Fn() -> String,
    expected: (usize, usize),
    found: (usize, usize),
) -> Result<(), ModelError> {
    if expected == found {
        return Ok(());
    }
    Err(ModelError::Shape {
        quantity: quantity(),
        expected,
        found,
    })
}

fn check_vector(quantity: impl Fn() -> String, length: usize, x: &[f64]) -> Result<(), ModelError> {
    check_shape(&quantity, (length, 1), (x.len(), 1))?;
    match x.iter().position(|x| !x.is_finite()) {
        None => Ok(()),
        Some(index) => Err(ModelError::NotFinite {
            quantity: quantity(),
            index,
            value: x[index],
        }),
    }
}
