//! The order of updates, as data.

use std::fmt;

use onsager_model::{FactorKind, Tree};

use crate::AmpError;

/// The steps of one sweep; can be printed, inspected and replaced.
///
/// ```
/// use std::sync::Arc;
/// use onsager_amp::Schedule;
/// use onsager_model::Chain;
/// use onsager_scalar::{activation::PiecewiseLinear, prior::Gaussian};
///
/// let tree = Chain::new(Arc::new(Gaussian::standard()))
///     .layer(2.0, Arc::new(PiecewiseLinear::sign()))
///     .spiked_wigner(1.0)?;
/// let steps = [
///     "spiked-wigner(x) -> x",
///     "linear(z, field(x)) -> field(x)",
///     "activation(field(x), x) -> field(x), x",
///     "linear(z, field(x)) -> z",
///     "prior(z) -> z",
/// ];
/// assert_eq!(Schedule::of(&tree).to_string(), steps.join("\n"));
/// # Ok::<(), onsager_model::ModelError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    steps: Vec<Step>,
    lines: Vec<String>,
}

/// One update: a factor sends to some of its ports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Step {
    /// Index of the factor in the tree.
    pub factor: usize,
    /// Positions among the variables of the factor.
    pub targets: Vec<usize>,
}

impl Schedule {
    /// The default sweep: observations first, then from the signal down to the latent each layer
    /// forwards, its activation, and backwards; the prior last.
    #[must_use]
    pub fn of(tree: &Tree) -> Self {
        let factors = tree.factors();
        let ports = |f: usize| (0..factors[f].variables.len()).collect::<Vec<_>>();
        let is_prior = |f: usize| matches!(factors[f].kind, FactorKind::Prior(_));
        let mut steps = Vec::new();
        let mut add = |factor, targets| steps.push(Step { factor, targets });
        // Leaves that are not priors are the observations.
        let (leaves, inner): (Vec<usize>, Vec<usize>) =
            (0..factors.len()).partition(|f| factors[*f].variables.len() == 1);
        for f in leaves.iter().copied().filter(|f| !is_prior(*f)) {
            add(f, ports(f));
        }
        // Factors stand from the latent outwards: an activation comes right after its linear map.
        let linear = |f: usize| matches!(factors[f].kind, FactorKind::Linear { .. });
        for f in inner.iter().copied().rev().filter(|f| linear(*f)) {
            let field = factors[f].variables[1];
            add(f, vec![1]);
            for above in tree.factors_of(field).filter(|g| *g != f) {
                add(above, ports(above));
            }
            add(f, vec![0]);
        }
        for f in leaves.into_iter().filter(|f| is_prior(*f)) {
            add(f, ports(f));
        }
        Self::checked(tree, steps)
    }

    /// A schedule of one's own, for this tree.
    ///
    /// # Errors
    /// A factor that the tree does not have, or a position beyond its variables.
    pub fn new(tree: &Tree, steps: Vec<Step>) -> Result<Self, AmpError> {
        for step in &steps {
            let factor = tree.factors().get(step.factor).ok_or(AmpError::Setting {
                name: "factor of a schedule step",
                range: "below the number of factors",
                value: step.factor as f64,
            })?;
            if let Some(t) = step.targets.iter().find(|t| **t >= factor.variables.len()) {
                return Err(AmpError::Setting {
                    name: "target of a schedule step",
                    range: "below the number of variables of its factor",
                    value: *t as f64,
                });
            }
        }
        Ok(Self::checked(tree, steps))
    }

    /// The steps, in the order of execution.
    #[must_use]
    pub fn steps(&self) -> &[Step] {
        &self.steps
    }

    /// Adds the printed form to steps that fit the tree.
    fn checked(tree: &Tree, steps: Vec<Step>) -> Self {
        let line = |step: &Step| {
            let factor = &tree.factors()[step.factor];
            let names = step.targets.iter().map(|t| {
                let variable = factor.variables[*t];
                tree.variables()[variable].name.as_str()
            });
            format!("{factor} -> {}", names.collect::<Vec<_>>().join(", "))
        };
        let lines = steps.iter().map(line).collect();
        Self { steps, lines }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines.join("\n"))
    }
}
