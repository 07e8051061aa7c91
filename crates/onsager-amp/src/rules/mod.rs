//! The rules, and the one place that says which factor runs which.

mod denoising;
mod fixed;
mod likelihood;
mod linear;
mod scalar;
mod wigner;
mod wishart;

use onsager_model::{FactorKind, Tree};

pub use denoising::Denoising;
pub(crate) use fixed::{Fixed, LinearLayer};
pub use likelihood::Likelihood;
pub use linear::Linear;
pub use scalar::{Mmse, MmseLayer};
pub use wigner::Wigner;
pub use wishart::Wishart;

use crate::{AmpError, Problem, Rule};

/// Whether variances that pass through a matrix are averaged over components.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum Variances {
    /// One precision for all components of a variable: exact in the limit for entries of equal
    /// variance, and half the products.
    #[default]
    Shared,
    /// One per component, through the squared entries of the matrix.
    PerComponent,
}

/// Whether layers behind an observation measure what they send by its curvature: behind outputs, and
/// behind a spike in noise below `ρ²/p` (`ρ ρ_u/p` for a product).
///
/// The message of a spike is off by a factor of `1 + O(1/√p)`, that of its overlap to its norm. In less noise
/// than that its claim is contradicted by every layer, and `|g|²` measures the contradiction.
fn is_sharp(problem: &Problem, factor: &onsager_model::Factor) -> bool {
    let (
        FactorKind::SpikedWigner { noise } | FactorKind::SpikedWishart { noise, .. },
        [x, rest @ ..],
    ) = (&factor.kind, factor.variables.as_slice())
    else {
        return matches!(factor.kind, FactorKind::Likelihood(_));
    };
    let square = |v: &usize| problem.tree.variables()[*v].second_moment;
    let strength = square(x) * square(rest.first().unwrap_or(x));
    noise * (problem.sizes[*x] as f64) < strength
}

/// The default rule of every factor.
///
/// # Errors
/// A matrix or data that is missing, a kind that has no rule yet.
pub fn rules(problem: &Problem, variances: Variances) -> Result<Vec<Box<dyn Rule>>, AmpError> {
    let factors = problem.tree.factors().iter().enumerate();
    let by_curvature = problem.tree.factors().iter().any(|f| is_sharp(problem, f));
    factors
        .map(|(f, factor)| -> Result<Box<dyn Rule>, AmpError> {
            Ok(match &factor.kind {
                FactorKind::Prior(law) => Box::new(Mmse::new(law.clone())),
                FactorKind::Activation(phi) => Box::new(MmseLayer::new(phi.clone())),
                FactorKind::Linear { .. } => {
                    let inner = &problem.tree.variables()[factor.variables[0]];
                    let columns = problem.sizes[factor.variables[0]] as f64;
                    let floor = if may_freeze(&problem.tree, f) {
                        1.0 / columns
                    } else {
                        ROUNDING * inner.second_moment
                    };
                    let rule = Linear::new(problem.operator(f)?.clone(), variances, floor);
                    Box::new(if by_curvature {
                        rule.by_curvature()
                    } else {
                        rule
                    })
                }
                FactorKind::SpikedWigner { noise } => {
                    Box::new(Wigner::new(problem.operator(f)?.clone(), *noise))
                }
                FactorKind::SpikedWishart { noise, .. } => {
                    Box::new(Wishart::new(problem.operator(f)?.clone(), *noise))
                }
                FactorKind::Denoising { noise } => {
                    Box::new(Denoising::new(problem.data(f)?.clone(), *noise))
                }
                FactorKind::Likelihood(law) => {
                    Box::new(Likelihood::new(law.clone(), problem.data(f)?.clone()))
                }
                _ => {
                    return Err(AmpError::NotSupported(format!(
                        "message passing at {factor}"
                    )));
                }
            })
        })
        .collect()
}

/// Variances below this fraction of `ρ` are rounding noise: the message of a field would be
/// infinite at 0.
pub(crate) const ROUNDING: f64 = 1e-13;

/// Whether the variance in front of linear factor `f` may collapse: a discrete variable below a
/// discontinuous activation.
///
/// Its scores are carried by about `p √V` rows; when `V` falls far below `1/p²` none is left, the
/// message vanishes and the solution is forgotten. A floor of `1/columns` keeps it.
fn may_freeze(tree: &Tree, f: usize) -> bool {
    let &[inner, field] = tree.factors()[f].variables.as_slice() else {
        return false;
    };
    let kinds = |v: usize| tree.factors_of(v).map(|g| &tree.factors()[g].kind);
    let discrete =
        tree.factors_of(inner)
            .filter(|g| *g < f)
            .any(|g| match &tree.factors()[g].kind {
                FactorKind::Prior(law) => law.discrete_entropy().is_some(),
                FactorKind::Activation(phi) => phi.is_discrete(),
                _ => false,
            });
    let discontinuous = kinds(field).any(|k| match k {
        FactorKind::Activation(phi) => phi.is_discontinuous(),
        FactorKind::Likelihood(law) => {
            law.sharpness(tree.variables()[field].second_moment) == Some(0.0)
        }
        _ => false,
    });
    discrete && discontinuous
}
