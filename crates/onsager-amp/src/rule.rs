//! What a factor does at finite size, and what it sees of the tree.

use std::sync::Arc;

use nalgebra::DMatrix;
use onsager_operators::Field;

use crate::graph::Graph;
use crate::{AmpError, Fields, Message, Posterior};

/// A factor at finite size: reads messages or moments of its edges, writes messages.
///
/// A rule owns its Onsager memory. It is told which of its ports to update by the schedule and
/// never how far: damping is applied to what it sends.
///
/// ```
/// use onsager_amp::{AmpError, Diagonal, Message, Ports, Rule};
///
/// /// Says that every component of its variable is close to 1.
/// struct Ones;
/// impl Rule for Ones {
///     fn update(&mut self, _targets: &[usize], ports: &mut Ports<'_>) -> Result<(), AmpError> {
///         let mut message = Message::flat(ports.size(0), ports.problems());
///         message.precision = Diagonal::Shared(vec![10.0; ports.problems()]);
///         message.field.fill(10.0);
///         ports.send(0, message, None);
///         Ok(())
///     }
///     fn log_partition(&self, ports: &Ports<'_>) -> Result<Vec<f64>, AmpError> {
///         Ok(vec![0.0; ports.problems()])
///     }
/// }
/// # use onsager_amp::{Engine, Problem, Start, Variances, rules::rules};
/// # use onsager_model::{Chain, Instance};
/// # use onsager_scalar::prior::Gaussian;
/// # use std::sync::Arc;
/// let tree = Chain::new(Arc::new(Gaussian::standard())).denoising(1.0)?;
/// # let instance = Instance::given(&tree, &[2])?.data(1, vec![0.0, 0.0])?.build()?;
/// # let problem = Problem::new(&tree, &instance)?;
/// let mut all = rules(&problem, Variances::Shared)?;
/// all[1] = Box::new(Ones); // in place of the denoising factor
/// let mut engine = Engine::new(&problem, all)?;
/// engine.sweep(1.0)?;
/// let x = engine.posterior(0).expect("the prior has estimated x");
/// assert!((x.mean[0] - 10.0 / 11.0).abs() < 1e-15);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub trait Rule<F: Field = f64>: Send {
    /// Computes and sends the messages to the ports `targets` (positions among the factor's
    /// variables, from the latent side outwards).
    ///
    /// # Errors
    /// A product that is refused, a variable that nothing has estimated yet.
    fn update(&mut self, targets: &[usize], ports: &mut Ports<'_, F>) -> Result<(), AmpError>;

    /// The factor as a function of single components, if it is one.
    fn componentwise(&self) -> Option<&dyn Componentwise<F>> {
        None
    }

    /// Sends to port 1, lets the factor `outer` there estimate its variables, and sends
    /// to port 0, in one pass over a matrix; undamped. `above` is what all others say about the
    /// outer variable of `outer`, flat if it has none. Returns the moments that `outer` would have
    /// sent to its ports, or `None`, with nothing done, where the factor needs three steps.
    ///
    /// # Errors
    /// As for [`Rule::update`].
    fn pass(
        &mut self,
        _outer: &dyn Componentwise<F>,
        _above: &Message<F>,
        _ports: &mut Ports<'_, F>,
    ) -> Result<Option<[Posterior<F>; 2]>, AmpError> {
        Ok(None)
    }

    /// The factor's share of the Bethe evidence of each problem, in nats, at the present messages.
    ///
    /// # Errors
    /// As for [`Rule::update`].
    fn log_partition(&self, ports: &Ports<'_, F>) -> Result<Vec<f64>, AmpError>;

    /// Sets the Onsager memory at the start of a run.
    fn remember(&mut self, _memory: Memory) {}

    /// Sets the scores that the last messages inwards were made of, at a start that knows them; a
    /// factor without Onsager term of that kind has no use for them.
    fn recall(&mut self, _scores: DMatrix<F>) {}

    /// Improves the parameters of the factor from the present messages; by default there are none
    /// to learn.
    ///
    /// # Errors
    /// As for [`Rule::update`].
    fn learn(&mut self, _ports: &Ports<'_, F>) -> Result<(), AmpError> {
        Ok(())
    }

    /// Products with the factor's matrix so far, one per column.
    fn products(&self) -> u64 {
        0
    }

    /// Bytes of the factor's matrix.
    fn bytes(&self) -> usize {
        0
    }
}

/// A factor that acts on each component of its one or two variables by itself.
pub trait Componentwise<F: Field = f64>: Sync {
    /// Writes the posterior means and variances of both variables, `[[E h, var h], [E x, var x]]`,
    /// for a run of components that starts at `first`, from the messages to the inner variable,
    /// `below`, and to the outer one, `above`. A factor without an outer variable ignores `above`
    /// and leaves its moments alone.
    fn moments(
        &self,
        first: usize,
        below: Fields<'_, F>,
        above: Fields<'_, F>,
        out: &mut [[(F, f64); 2]],
    );
}

/// How the present estimates depend on the matrices, which decides the first Onsager terms.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// They do not: no correction at the first step.
    Independent,
    /// They are stationary: the estimate before the present one was the present one. Memory that
    /// a rule already has is kept.
    Stationary,
}

/// The edges of one factor.
pub struct Ports<'a, F: Field = f64> {
    pub(crate) graph: &'a mut Graph<F>,
    pub(crate) factor: usize,
    pub(crate) step: f64,
}

impl<F: Field> Ports<'_, F> {
    /// Number of problems `T`.
    #[must_use]
    pub fn problems(&self) -> usize {
        self.graph.problems
    }

    /// Components of the variable at `port`.
    #[must_use]
    pub fn size(&self, port: usize) -> usize {
        self.graph.sizes[self.graph.edges[self.edge(port)].variable]
    }

    /// What all other factors say about the variable at `port`: the product of their messages.
    #[must_use]
    pub fn message(&self, port: usize) -> Message<F> {
        self.graph.message_except(self.edge(port))
    }

    /// The moments that another factor last computed for the variable at `port`.
    ///
    /// # Errors
    /// [`AmpError::Schedule`] when there are none yet.
    pub fn posterior(&self, port: usize) -> Result<&Posterior<F>, AmpError> {
        let edge = self.edge(port);
        let variable = self.graph.edges[edge].variable;
        self.graph
            .posterior_except(variable, Some(edge))
            .ok_or_else(|| AmpError::Schedule {
                factor: self.graph.names[self.factor].clone(),
                variable: self.graph.variables[variable].clone(),
            })
    }

    /// The message that this factor last sent to `port`, after damping.
    #[must_use]
    pub fn sent(&self, port: usize) -> &Message<F> {
        &self.graph.edges[self.edge(port)].message
    }

    /// The weight that the next message to `port` will have against those before.
    ///
    /// A damped message is a weighted sum of past products; its Onsager term is the same weighted
    /// sum of past iterates. With the last iterate alone, damping would make the trivial point
    /// attractive far below the weak-recovery threshold.
    #[must_use]
    pub fn step(&self, port: usize) -> f64 {
        // The first message has nothing to be averaged with.
        if self.graph.edges[self.edge(port)].sent {
            self.step
        } else {
            1.0
        }
    }

    /// Sends a message to `port`, damped, with the moments computed behind it, if any.
    pub fn send(&mut self, port: usize, message: Message<F>, posterior: Option<Posterior<F>>) {
        let step = self.step(port);
        let edge = self.edge(port);
        let edge = &mut self.graph.edges[edge];
        edge.message = Arc::new(edge.message.towards(message, step));
        edge.posterior = posterior.map(Arc::new);
        edge.sent = true;
    }

    /// Replaces the moments computed behind the edge to `port`; the message stays.
    pub fn estimate(&mut self, port: usize, posterior: Posterior<F>) {
        let edge = self.edge(port);
        self.graph.edges[edge].posterior = Some(Arc::new(posterior));
    }

    fn edge(&self, port: usize) -> usize {
        self.graph.of_factor[self.factor][port]
    }
}
