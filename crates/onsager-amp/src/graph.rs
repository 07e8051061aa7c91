//! The edges of the tree and what they carry.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_model::Tree;
use onsager_operators::Field;

use crate::{Message, Posterior};

/// All messages and moments of a run. A copy shares them until they are replaced.
#[derive(Debug, Clone)]
pub(crate) struct Graph<F: Field> {
    pub(crate) problems: usize,
    /// Components of each variable.
    pub(crate) sizes: Arc<[usize]>,
    pub(crate) edges: Vec<Edge<F>>,
    /// Edges of each factor, in the order of its variables.
    pub(crate) of_factor: Arc<[Vec<usize>]>,
    /// Names of the factors and of the variables.
    pub(crate) names: Arc<[String]>,
    pub(crate) variables: Arc<[String]>,
}

/// One edge: what its factor says about its variable.
#[derive(Debug, Clone)]
pub(crate) struct Edge<F: Field> {
    pub(crate) variable: usize,
    pub(crate) message: Arc<Message<F>>,
    pub(crate) posterior: Option<Arc<Posterior<F>>>,
    pub(crate) sent: bool,
}

impl<F: Field> Graph<F> {
    /// Flat messages on every edge.
    pub(crate) fn new(tree: &Tree, sizes: &[usize], problems: usize) -> Self {
        let mut edges = Vec::new();
        let mut of_factor = Vec::new();
        for factor in tree.factors() {
            let mine = factor.variables.iter().map(|v| {
                edges.push(Edge {
                    variable: *v,
                    message: Arc::new(Message::flat(sizes[*v], problems)),
                    posterior: None,
                    sent: false,
                });
                edges.len() - 1
            });
            of_factor.push(mine.collect());
        }
        Self {
            problems,
            sizes: sizes.into(),
            edges,
            of_factor: of_factor.into(),
            names: tree.factors().iter().map(ToString::to_string).collect(),
            variables: tree.variables().iter().map(|v| v.name.clone()).collect(),
        }
    }

    /// The product of the messages to the variable of `edge`, that of `edge` left out.
    pub(crate) fn message_except(&self, edge: usize) -> Message<F> {
        let variable = self.edges[edge].variable;
        let mut others = self
            .of_variable(variable)
            .filter(|e| *e != edge)
            .map(|e| &*self.edges[e].message);
        let Some(first) = others.next() else {
            return Message::flat(self.sizes[variable], self.problems);
        };
        others.fold(first.clone(), |all, message| all.and(message))
    }

    /// The moments of a variable, from any edge but `except`.
    pub(crate) fn posterior_except(
        &self,
        variable: usize,
        except: Option<usize>,
    ) -> Option<&Posterior<F>> {
        self.of_variable(variable)
            .filter(|e| Some(*e) != except)
            .find_map(|e| self.edges[e].posterior.as_deref())
    }

    /// The moments of a variable: those of the factor that estimates it from all messages.
    pub(crate) fn posterior(&self, variable: usize) -> Option<&Posterior<F>> {
        self.posterior_except(variable, None)
    }

    /// Sets the moments of a variable on the edge of its innermost factor, which is the one that
    /// will estimate it.
    pub(crate) fn set_posterior(&mut self, variable: usize, posterior: Posterior<F>) {
        let first = self.of_variable(variable).next();
        if let Some(edge) = first {
            self.edges[edge].posterior = Some(Arc::new(posterior));
        }
    }

    /// Whether every message and moment is finite.
    pub(crate) fn is_finite(&self) -> bool {
        self.edges.iter().all(|e| {
            e.message.is_finite() && e.posterior.as_deref().is_none_or(Posterior::is_finite)
        })
    }

    /// Bytes of the messages and moments.
    pub(crate) fn bytes(&self) -> usize {
        let block = |b: &DMatrix<F>| size_of_val(b.as_slice());
        let one = |e: &Edge<F>| {
            let moments = e.posterior.as_ref().map_or(0, |p| block(&p.mean));
            // Moments carry one variance per component beside each mean.
            block(&e.message.field) + 2 * moments
        };
        self.edges.iter().map(one).sum()
    }

    /// The edges of a variable, innermost factor first.
    pub(crate) fn of_variable(&self, variable: usize) -> impl Iterator<Item = usize> + '_ {
        (0..self.edges.len()).filter(move |e| self.edges[*e].variable == variable)
    }
}
