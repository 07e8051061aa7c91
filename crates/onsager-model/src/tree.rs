//! The factor tree that both readings walk.

use std::sync::Arc;

use onsager_scalar::activation::Parity;
use onsager_scalar::{Activation, Likelihood, Prior};

use crate::ModelError;

/// A tree of variables joined by factors; a chain is a tree with two ends.
///
/// Between a variable and the next layer stands a *field* `h = W x/√(columns)`, a variable of its
/// own, so that linear maps and scalar functions are separate factors and compose freely:
///
/// ```text
/// prior - z - linear - h(x) - activation - x - observation
/// ```
///
/// ```
/// use std::sync::Arc;
/// use onsager_model::Chain;
/// use onsager_scalar::{activation::PiecewiseLinear, prior::Gaussian};
///
/// let tree = Chain::new(Arc::new(Gaussian::standard()))
///     .layer(2.0, Arc::new(PiecewiseLinear::sign()))
///     .spiked_wigner(1.0)?;
/// assert_eq!(tree.signal().name, "x");
/// assert_eq!(tree.signal().second_moment, 1.0);
/// assert_eq!(tree.variables()[0].ratio, 0.5); // k/p
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Tree {
    variables: Vec<Variable>,
    factors: Vec<Factor>,
    signal: usize,
}

/// A block of `n` exchangeable components.
///
/// ```
/// # use std::sync::Arc;
/// # use onsager_model::Chain;
/// # use onsager_scalar::prior::Rademacher;
/// let tree = Chain::new(Arc::new(Rademacher)).denoising(0.5)?;
/// assert_eq!(tree.variables()[0].name, "x");
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Variable {
    /// Its name in model files and results.
    pub name: String,
    /// Size divided by the size of the signal.
    pub ratio: f64,
    /// Mean square of a component under the declared model.
    pub second_moment: f64,
    /// Mean of a component under the declared model.
    pub mean: f64,
    /// Whether this is the Gaussian field in front of an activation, not a declared variable.
    pub is_field: bool,
}

/// A factor and the variables it joins, from the latent side outwards.
///
/// ```
/// # use std::sync::Arc;
/// # use onsager_model::Chain;
/// # use onsager_scalar::prior::Rademacher;
/// let tree = Chain::new(Arc::new(Rademacher)).denoising(0.5)?;
/// assert_eq!(tree.factors()[1].to_string(), "denoising(x)");
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Factor {
    /// What it does.
    pub kind: FactorKind,
    /// Indices of its variables, from the latent side outwards.
    pub variables: Vec<usize>,
    /// Names of its variables, for printing.
    names: Vec<String>,
}

/// What a factor does.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum FactorKind {
    /// Independent components of one law.
    Prior(Arc<dyn Prior>),
    /// `h = W x/√(columns)`, entries of `W` independent with unit variance: the weights of a layer
    /// or the sensing matrix of a generalised linear model.
    Linear {
        /// Rows over columns.
        aspect: f64,
        /// The law of the entries. Nothing depends on it in the limit.
        entries: Entries,
    },
    /// `x = φ(h)`.
    Activation(Arc<dyn Activation>),
    /// `Y = x xᵀ/√p + √noise ξ`, `ξ` symmetric with unit variance off the diagonal.
    SpikedWigner {
        /// The variance `Δ`.
        noise: f64,
    },
    /// `Y = u xᵀ/√p + √noise ξ`, `ξ` of independent entries with unit variance; joins `x` and `u`.
    SpikedWishart {
        /// The variance `Δ`.
        noise: f64,
        /// Rows over columns: components of `u` per component of `x`.
        aspect: f64,
    },
    /// `y = x + √noise n`.
    Denoising {
        /// The variance `Δ`.
        noise: f64,
    },
    /// `y ~ P(y|h)`: the output of a generalised linear model at its field.
    Likelihood(Arc<dyn Likelihood>),
}

/// Independent entries of mean 0 and variance 1.
///
/// ```
/// assert_eq!(onsager_model::Entries::default(), onsager_model::Entries::Gaussian);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Default)]
#[non_exhaustive]
pub enum Entries {
    /// `N(0, 1)`.
    #[default]
    Gaussian,
    /// Fair signs.
    Rademacher,
    /// `N(0, 1/sparsity)` with probability `sparsity`, else 0. That probability may not vanish with
    /// the size: every row needs many nonzeros.
    Sparse {
        /// Probability of a nonzero, in (0, 1].
        sparsity: f64,
    },
}

impl FactorKind {
    /// Components of the outer variable per component of the inner one, for a factor that joins
    /// two.
    pub(crate) fn aspect(&self) -> f64 {
        match self {
            Self::Linear { aspect, .. } | Self::SpikedWishart { aspect, .. } => *aspect,
            _ => 1.0,
        }
    }

    /// Whether it brings data.
    #[must_use]
    pub fn is_observation(&self) -> bool {
        match self {
            Self::SpikedWigner { .. }
            | Self::SpikedWishart { .. }
            | Self::Denoising { .. }
            | Self::Likelihood(_) => true,
            Self::Prior(_) | Self::Linear { .. } | Self::Activation(_) => false,
        }
    }
}

impl std::fmt::Display for Factor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let kind = match self.kind {
            FactorKind::Prior(_) => "prior",
            FactorKind::Linear { .. } => "linear",
            FactorKind::Activation(_) => "activation",
            FactorKind::SpikedWigner { .. } => "spiked-wigner",
            FactorKind::SpikedWishart { .. } => "spiked-wishart",
            FactorKind::Denoising { .. } => "denoising",
            FactorKind::Likelihood(_) => "likelihood",
        };
        write!(f, "{kind}({})", self.names.join(", "))
    }
}

impl Tree {
    /// The variables, from the latent outwards.
    #[must_use]
    pub fn variables(&self) -> &[Variable] {
        &self.variables
    }

    /// The factors, from the latent outwards.
    #[must_use]
    pub fn factors(&self) -> &[Factor] {
        &self.factors
    }

    /// The factors through which the data speak to the signal: observations of it, and the sensing
    /// matrix of a generalised linear model.
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use onsager_model::Chain;
    /// # use onsager_scalar::{activation::PiecewiseLinear, likelihood::Noiseless, prior::Rademacher};
    /// let output = Arc::new(Noiseless::new(PiecewiseLinear::sign()));
    /// let tree = Chain::new(Arc::new(Rademacher)).glm(1.5, output)?;
    /// let factors: Vec<_> = tree.factors().iter().map(ToString::to_string).collect();
    /// assert_eq!(factors, ["prior(x)", "linear(x, field(y))", "likelihood(field(y))"]);
    /// assert_eq!(tree.sensors().collect::<Vec<_>>(), [1]);
    /// # Ok::<(), onsager_model::ModelError>(())
    /// ```
    pub fn sensors(&self) -> impl Iterator<Item = usize> + '_ {
        let seen = |f: &Factor| f.variables.first() == Some(&self.signal);
        let outer =
            |f: &Factor| f.kind.is_observation() || matches!(f.kind, FactorKind::Linear { .. });
        (0..self.factors.len()).filter(move |f| seen(&self.factors[*f]) && outer(&self.factors[*f]))
    }

    /// The variable that the observations look at.
    #[must_use]
    pub fn signal(&self) -> &Variable {
        &self.variables[self.signal]
    }

    /// Index of [`Tree::signal`].
    #[must_use]
    pub fn signal_index(&self) -> usize {
        self.signal
    }

    /// Index of a variable by name.
    #[must_use]
    pub fn variable(&self, name: &str) -> Option<usize> {
        self.variables.iter().position(|v| v.name == name)
    }

    /// Factors that touch variable `v`.
    pub fn factors_of(&self, v: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.factors.len()).filter(move |f| self.factors[*f].variables.contains(&v))
    }

    /// Size of every variable when variable `anchor` has `n` components: outwards
    /// `rows = round(aspect · columns)`, inwards `columns = round(rows/aspect)`, at least 1.
    #[must_use]
    pub fn sizes(&self, anchor: usize, n: usize) -> Vec<usize> {
        let mut sizes = vec![0; self.variables.len()];
        sizes[anchor] = n.max(1);
        // Every pass settles at least one more variable of a connected tree.
        for _ in 0..self.variables.len() {
            for factor in &self.factors {
                let &[inner, outer] = factor.variables.as_slice() else {
                    continue;
                };
                let aspect = factor.kind.aspect();
                let rounded = |x: f64| (x.round() as usize).max(1);
                if sizes[outer] == 0 && sizes[inner] > 0 {
                    sizes[outer] = rounded(aspect * sizes[inner] as f64);
                } else if sizes[inner] == 0 && sizes[outer] > 0 {
                    sizes[inner] = rounded(sizes[outer] as f64 / aspect);
                }
            }
        }
        sizes
    }

    /// The same tree with every aspect replaced by the one that `sizes` realise.
    ///
    /// # Errors
    /// As for the original declaration; sizes of a wrong length.
    pub fn realised(&self, sizes: &[usize]) -> Result<Self, ModelError> {
        if sizes.len() != self.variables.len() {
            return Err(ModelError::Sizes {
                expected: self.variables.len(),
                found: sizes.len(),
            });
        }
        let mut tree = self.clone();
        for factor in &mut tree.factors {
            if let FactorKind::Linear { aspect, .. } | FactorKind::SpikedWishart { aspect, .. } =
                &mut factor.kind
            {
                let (inner, outer) = (factor.variables[0], factor.variables[1]);
                *aspect = sizes[outer] as f64 / sizes[inner] as f64;
            }
        }
        let p = sizes[self.signal] as f64;
        for (variable, n) in tree.variables.iter_mut().zip(sizes) {
            variable.ratio = *n as f64 / p;
        }
        Ok(tree)
    }

    /// For every variable, whether the declared model leaves its global sign unknown.
    ///
    /// The sign of a latent with an even law passes through odd layers; it is unknown if it ends
    /// in data that are even in the signal (spiked Wigner; spiked Wishart, if the sign of the other
    /// side is unknown too) or below an even layer, which forgets it. A layer that is neither even
    /// nor odd reveals it.
    #[must_use]
    pub fn free_signs(&self) -> Vec<bool> {
        let mut free = vec![false; self.variables.len()];
        let mut sets = Vec::new();
        for factor in &self.factors {
            let FactorKind::Prior(law) = &factor.kind else {
                continue;
            };
            if !law.is_even() {
                continue;
            }
            let mut flipped = vec![factor.variables[0]];
            if self.flip(&mut flipped) {
                sets.push(flipped);
            }
        }
        // The two sides of a product change their signs together.
        let flips = |v: usize| sets.iter().any(|set| set.contains(&v));
        let joint = self.factors.iter().map(|f| match f.kind {
            FactorKind::SpikedWishart { .. } => f.variables.as_slice(),
            _ => &[],
        });
        let revealed: Vec<usize> = joint
            .filter(|pair| !pair.iter().all(|v| flips(*v)))
            .flatten()
            .copied()
            .collect();
        for set in &sets {
            if !set.iter().any(|v| revealed.contains(v)) {
                set.iter().for_each(|v| free[*v] = true);
            }
        }
        free
    }

    /// Extends a set of flipped variables outwards; whether the flip leaves the data unchanged.
    fn flip(&self, flipped: &mut Vec<usize>) -> bool {
        let mut next = 0;
        while next < flipped.len() {
            let v = flipped[next];
            next += 1;
            for factor in &self.factors {
                match (&factor.kind, factor.variables.as_slice()) {
                    (FactorKind::Linear { .. }, &[inner, outer]) if inner == v => {
                        flipped.push(outer);
                    }
                    (FactorKind::Activation(phi), &[inner, outer]) if inner == v => {
                        match phi.parity() {
                            Parity::Odd => flipped.push(outer),
                            Parity::Even => {}
                            Parity::None => return false,
                        }
                    }
                    (FactorKind::Denoising { .. }, &[on]) if on == v => return false,
                    (FactorKind::Likelihood(law), &[on])
                        if on == v && law.parity() != Parity::Even =>
                    {
                        return false;
                    }
                    _ => {}
                }
            }
        }
        true
    }
}

/// Builds the tree of a chain: a latent law, layers, one observation.
///
/// Variables are named `z, h1, h2, ..., x` (a signal without layers is `x`), the field in front
/// of an activation `field(x)`. Numbers are checked when the observation closes the chain.
///
/// ```
/// use std::sync::Arc;
/// use onsager_model::Chain;
/// use onsager_scalar::prior::Rademacher;
///
/// let tree = Chain::new(Arc::new(Rademacher)).spiked_wigner(0.5)?;
/// assert!(tree.free_signs()[0]);
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[derive(Debug, Clone)]
pub struct Chain {
    prior: Arc<dyn Prior>,
    layers: Vec<(f64, Entries, Arc<dyn Activation>)>,
    entries: Entries,
    names: Option<Vec<String>>,
}

impl Chain {
    /// Starts from the law of the latent (of the signal itself when no layer follows).
    #[must_use]
    pub fn new(prior: Arc<dyn Prior>) -> Self {
        Self {
            prior,
            layers: Vec::new(),
            entries: Entries::Gaussian,
            names: None,
        }
    }

    /// Adds a layer `x = φ(W z/√k)`; `aspect` is rows over columns of `W`.
    #[must_use]
    pub fn layer(mut self, aspect: f64, activation: Arc<dyn Activation>) -> Self {
        self.layers.push((aspect, self.entries, activation));
        self
    }

    /// The law of the entries of the matrices declared from here on, instead of Gaussian ones.
    #[must_use]
    pub fn entries(mut self, entries: Entries) -> Self {
        self.entries = entries;
        self
    }

    /// Names the variables, latent first, signal last, instead of `z, h1, ..., x`.
    #[must_use]
    pub fn names(mut self, names: Vec<String>) -> Self {
        self.names = Some(names);
        self
    }

    /// Observes `Y = x xᵀ/√p + √noise ξ`.
    ///
    /// # Errors
    /// A noise or an aspect that is not finite and positive; names of a wrong number or repeated.
    pub fn spiked_wigner(self, noise: f64) -> Result<Tree, ModelError> {
        let noise = positive("noise", noise)?;
        self.close(FactorKind::SpikedWigner { noise })
    }

    /// Observes `y = x + √noise n`.
    ///
    /// # Errors
    /// As for [`Chain::spiked_wigner`].
    pub fn denoising(self, noise: f64) -> Result<Tree, ModelError> {
        let noise = positive("noise", noise)?;
        self.close(FactorKind::Denoising { noise })
    }

    /// Observes `y ~ P(y|h)` at every component of `h = A x/√p`, `n = aspect · p` of them: a
    /// generalised linear model. Its field is named `field(y)`.
    ///
    /// # Errors
    /// As for [`Chain::spiked_wigner`].
    ///
    /// ```
    /// use std::sync::Arc;
    /// use onsager_model::Chain;
    /// use onsager_scalar::{activation::PiecewiseLinear, likelihood::Noiseless, prior::Gaussian};
    ///
    /// let phase_retrieval = Arc::new(Noiseless::new(PiecewiseLinear::abs()));
    /// let tree = Chain::new(Arc::new(Gaussian::standard())).glm(1.5, phase_retrieval)?;
    /// assert_eq!(tree.sizes(tree.signal_index(), 100), [100, 150]); // x, field(y)
    /// assert_eq!(tree.free_signs(), [true, true]);
    /// # Ok::<(), onsager_model::ModelError>(())
    /// ```
    pub fn glm(self, aspect: f64, output: Arc<dyn Likelihood>) -> Result<Tree, ModelError> {
        let aspect = positive("aspect", aspect)?;
        let entries = self.entries;
        let mut tree = self.lay("x", "")?;
        let signal = tree.signal;
        tree.variables.push(Variable {
            name: "field(y)".to_string(),
            ratio: aspect,
            second_moment: tree.variables[signal].second_moment,
            mean: 0.0,
            is_field: true,
        });
        tree.join(
            FactorKind::Linear { aspect, entries },
            vec![signal, signal + 1],
        );
        tree.join(FactorKind::Likelihood(output), vec![signal + 1]);
        Ok(tree)
    }

    /// Observes `Y = u xᵀ/√p + √noise ξ`, `n x p` with `n = aspect · p`, where `left` declares `u`.
    ///
    /// The left factor is `u` unless it has been named, its latent and hidden variables `u.z`,
    /// `u.h1`, ...
    ///
    /// # Errors
    /// As for [`Chain::spiked_wigner`], on either side.
    ///
    /// ```
    /// use std::sync::Arc;
    /// use onsager_model::Chain;
    /// use onsager_scalar::prior::{Gaussian, Rademacher};
    ///
    /// let left = Chain::new(Arc::new(Gaussian::standard()));
    /// let tree = Chain::new(Arc::new(Rademacher)).spiked_wishart(0.5, 2.0, left)?;
    /// assert_eq!(tree.sizes(0, 100), [100, 200]); // x, u
    /// assert_eq!(tree.free_signs(), [true, true]);
    /// # Ok::<(), onsager_model::ModelError>(())
    /// ```
    pub fn spiked_wishart(self, noise: f64, aspect: f64, left: Self) -> Result<Tree, ModelError> {
        let noise = positive("noise", noise)?;
        let aspect = positive("aspect", aspect)?;
        let mut tree = self.lay("x", "")?;
        let left = left.lay("u", "u.")?;
        if let Some(twice) = left
            .variables
            .iter()
            .find(|v| tree.variable(&v.name).is_some())
        {
            return Err(ModelError::RepeatedName(twice.name.clone()));
        }
        let (offset, x) = (tree.variables.len(), tree.signal);
        tree.variables
            .extend(left.variables.into_iter().map(|mut v| {
                v.ratio *= aspect;
                v
            }));
        tree.factors.extend(left.factors.into_iter().map(|mut f| {
            f.variables.iter_mut().for_each(|v| *v += offset);
            f
        }));
        tree.join(
            FactorKind::SpikedWishart { noise, aspect },
            vec![x, offset + left.signal],
        );
        Ok(tree)
    }

    fn close(self, observation: FactorKind) -> Result<Tree, ModelError> {
        let mut tree = self.lay("x", "")?;
        tree.join(observation, vec![tree.signal]);
        Ok(tree)
    }

    /// The variables and factors of the chain, without an observation.
    /// Names that are not given are `signal` and, with a prefix, those of hidden variables.
    fn lay(self, signal: &str, prefix: &str) -> Result<Tree, ModelError> {
        let depth = self.layers.len();
        let names = self
            .names
            .unwrap_or_else(|| default_names(depth, signal, prefix));
        if names.len() != depth + 1 {
            return Err(ModelError::Names {
                expected: depth + 1,
                found: names.len(),
            });
        }
        if let Some(twice) = names
            .iter()
            .enumerate()
            .find(|(i, n)| names[..*i].contains(n))
        {
            return Err(ModelError::RepeatedName(twice.1.clone()));
        }
        for (aspect, entries, _) in &self.layers {
            positive("aspect", *aspect)?;
            entries.check()?;
        }
        self.entries.check()?;
        let size: f64 = self.layers.iter().map(|(aspect, ..)| aspect).product();
        let mut tree = Tree {
            variables: vec![Variable {
                name: names[0].clone(),
                ratio: 1.0 / size,
                second_moment: self.prior.second_moment(),
                mean: self.prior.mean(),
                is_field: false,
            }],
            factors: Vec::new(),
            signal: 2 * depth,
        };
        tree.join(FactorKind::Prior(self.prior), vec![0]);
        for ((aspect, entries, phi), name) in self.layers.into_iter().zip(&names[1..]) {
            let inner = tree.variables.len() - 1;
            let (ratio, r) = (
                tree.variables[inner].ratio * aspect,
                tree.variables[inner].second_moment,
            );
            let field = Variable {
                name: format!("field({name})"),
                ratio,
                second_moment: r,
                mean: 0.0,
                is_field: true,
            };
            let output = Variable {
                name: name.clone(),
                ratio,
                second_moment: phi.second_moment(r),
                mean: phi.mean(r),
                is_field: false,
            };
            tree.variables.extend([field, output]);
            tree.join(
                FactorKind::Linear { aspect, entries },
                vec![inner, inner + 1],
            );
            tree.join(FactorKind::Activation(phi), vec![inner + 1, inner + 2]);
        }
        // Rounding in the product of aspects must not make the signal's own ratio differ from 1.
        for variable in &mut tree.variables[(2 * depth).saturating_sub(1)..] {
            variable.ratio = 1.0;
        }
        Ok(tree)
    }
}

impl Tree {
    fn join(&mut self, kind: FactorKind, variables: Vec<usize>) {
        let names = variables.iter().map(|v| self.variables[*v].name.clone());
        let names = names.collect();
        self.factors.push(Factor {
            kind,
            variables,
            names,
        });
    }
}

impl Entries {
    fn check(self) -> Result<(), ModelError> {
        match self {
            Self::Sparse { sparsity } if !(sparsity > 0.0 && sparsity <= 1.0) => {
                Err(ModelError::Range {
                    quantity: "sparsity".to_string(),
                    allowed: "in (0, 1]".to_string(),
                    value: sparsity,
                })
            }
            _ => Ok(()),
        }
    }
}

/// `z, h1, h2, ..., x`, or `x` alone.
fn default_names(depth: usize, signal: &str, prefix: &str) -> Vec<String> {
    (0..=depth)
        .map(|l| match l {
            _ if l == depth => signal.to_string(),
            0 => format!("{prefix}z"),
            _ => format!("{prefix}h{l}"),
        })
        .collect()
}

/// Checks that a number is finite and positive.
pub(crate) fn positive(quantity: &'static str, value: f64) -> Result<f64, ModelError> {
    if value.is_finite() && value > 0.0 {
        Ok(value)
    } else {
        Err(ModelError::NotPositive {
            quantity: quantity.to_string(),
            value,
        })
    }
}
