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
    /// The default sweep: observations that join two variables update the outer side first; then
    /// the factors through which the data speak to the signal (a sensing matrix forwards, its
    /// likelihood, and backwards), and from the signal down to the latent each layer forwards,
    /// its activation, and backwards; the prior last.
    #[must_use]
    pub fn of(tree: &Tree) -> Self {
        let factors = tree.factors();
        let mut steps = Vec::new();
        let observations = || (0..factors.len()).filter(|f| factors[*f].kind.is_observation());
        // Outer sides see the signal as the last sweep left it.
        for f in observations() {
            for (port, side) in factors[f].variables.iter().enumerate().skip(1) {
                steps.push(Step {
                    factor: f,
                    targets: vec![port],
                });
                Self::inwards(tree, *side, &mut steps);
            }
        }
        let mut step = |factor, target| {
            let targets = vec![target];
            steps.push(Step { factor, targets });
        };
        for f in tree.sensors() {
            if let (FactorKind::Linear { .. }, [_, field]) =
                (&factors[f].kind, factors[f].variables.as_slice())
            {
                step(f, 1);
                tree.factors_of(*field)
                    .filter(|g| *g != f)
                    .for_each(|g| step(g, 0));
            }
            step(f, 0);
        }
        Self::inwards(tree, tree.signal_index(), &mut steps);
        Self::checked(tree, steps)
    }

    /// The updates from a variable inwards to its latent.
    fn inwards(tree: &Tree, variable: usize, steps: &mut Vec<Step>) {
        let factors = tree.factors();
        // The factor on the latent side of a variable names it last; an observation is outside.
        let inner = |v: usize| {
            tree.factors_of(v).find(|f| {
                !factors[*f].kind.is_observation() && factors[*f].variables.last() == Some(&v)
            })
        };
        let Some(factor) = inner(variable) else {
            return;
        };
        let field = factors[factor].variables[0];
        if field == variable {
            steps.push(Step {
                factor,
                targets: vec![0],
            });
            return;
        }
        let Some(linear) = inner(field) else { return };
        steps.push(Step {
            factor: linear,
            targets: vec![1],
        });
        steps.push(Step {
            factor,
            targets: vec![0, 1],
        });
        steps.push(Step {
            factor: linear,
            targets: vec![0],
        });
        Self::inwards(tree, factors[linear].variables[0], steps);
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
