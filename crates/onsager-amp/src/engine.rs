//! One engine for every tree: messages on edges, a rule at each factor, a schedule.

use onsager_operators::Field;

use crate::graph::Graph;
use crate::{AmpError, Memory, Message, Ports, Posterior, Problem, Rule, Schedule, Step};

/// The messages and rules of a problem; one sweep follows the schedule once.
///
/// The engine knows no model: what a factor does is in its rule. Stopping, damping and recording
/// stand around it, in [`infer`](crate::infer).
pub struct Engine<F: Field = f64> {
    pub(crate) graph: Graph<F>,
    pub(crate) rules: Vec<Box<dyn Rule<F>>>,
    schedule: Schedule,
    /// The factors through which the data speak to the signal.
    pub(crate) sensors: Vec<usize>,
    /// These, and all that bring data behind them.
    pub(crate) data_side: Vec<usize>,
    signal: usize,
    /// Products spent outside the rules, on a spectral start.
    pub(crate) start_products: u64,
}

impl<F: Field> Engine<F> {
    /// Flat messages, and the default schedule of the tree.
    ///
    /// # Errors
    /// A number of rules other than the number of factors.
    pub fn new(problem: &Problem<F>, rules: Vec<Box<dyn Rule<F>>>) -> Result<Self, AmpError> {
        let tree = problem.tree();
        let factors = tree.factors();
        if rules.len() != factors.len() {
            return Err(AmpError::Shape {
                quantity: "the list of rules".to_string(),
                expected: (factors.len(), 1),
                found: (rules.len(), 1),
            });
        }
        let sensors: Vec<usize> = tree.sensors().collect();
        let behind = |f: &usize| factors[*f].kind.is_observation() && !sensors.contains(f);
        let behind = (0..factors.len()).filter(behind);
        Ok(Self {
            data_side: sensors.iter().copied().chain(behind).collect(),
            graph: Graph::new(tree, problem.sizes(), problem.problems()),
            rules,
            schedule: Schedule::of(tree),
            sensors,
            signal: tree.signal_index(),
            start_products: 0,
        })
    }

    /// Replaces the schedule.
    ///
    /// # Errors
    /// A schedule that was made for another tree.
    pub fn with_schedule(mut self, schedule: Schedule) -> Result<Self, AmpError> {
        for step in schedule.steps() {
            let ports = self.graph.of_factor.get(step.factor).map_or(0, Vec::len);
            if step.targets.iter().any(|t| *t >= ports) {
                return Err(AmpError::Setting {
                    name: "factor of a schedule step",
                    range: "a factor of this tree with all the targets",
                    value: step.factor as f64,
                });
            }
        }
        self.schedule = schedule;
        Ok(self)
    }

    /// The steps of one sweep.
    #[must_use]
    pub fn schedule(&self) -> &Schedule {
        &self.schedule
    }

    /// Follows the schedule once; `step` in `(0, 1]` is the weight of the new messages.
    ///
    /// Where a factor sends outwards, its outer neighbour estimates and the factor answers inwards
    /// in adjacent undamped steps, one pass over the matrix may do all three, with the same bits.
    ///
    /// # Errors
    /// What a rule refuses.
    pub fn sweep(&mut self, step: f64) -> Result<(), AmpError> {
        let mut at = 0;
        while at < self.schedule.steps().len() {
            if step == 1.0 && self.pass(at)? {
                at += 3;
                continue;
            }
            let Step { factor, targets } = &self.schedule.steps()[at];
            let mut ports = Ports {
                graph: &mut self.graph,
                factor: *factor,
                step,
            };
            self.rules[*factor].update(targets, &mut ports)?;
            at += 1;
        }
        Ok(())
    }

    /// The three steps from `at` on in one pass, if they are made for it and their rules can.
    fn pass(&mut self, at: usize) -> Result<bool, AmpError> {
        let Some([out, outer, back]) = self.schedule.steps().get(at..at + 3) else {
            return Ok(false);
        };
        let (f, g) = (out.factor, outer.factor);
        let graph = &mut self.graph;
        let targets = [&out.targets[..], &outer.targets, &back.targets];
        let all: &[usize] = match graph.of_factor[g].len() {
            1 => &[0],
            _ => &[0, 1],
        };
        if f != back.factor || targets != [&[1][..], all, &[0]] {
            return Ok(false);
        }
        let between = graph.edges[graph.of_factor[f][1]].variable;
        let meet = graph.edges[graph.of_factor[g][0]].variable == between;
        let Ok([inner, outer]) = self.rules.get_disjoint_mut([f, g]) else {
            return Ok(false);
        };
        let (true, true, Some(outer)) = (
            meet,
            graph.of_variable(between).count() == 2,
            outer.componentwise(),
        ) else {
            return Ok(false);
        };
        let mut ports = Ports {
            graph,
            factor: g,
            step: 1.0,
        };
        let above = match all {
            [_, outer] => ports.message(*outer),
            _ => Message::flat(ports.size(0), ports.problems()),
        };
        ports.factor = f;
        let Some(moments) = inner.pass(outer, &above, &mut ports)? else {
            return Ok(false);
        };
        ports.factor = g;
        for (port, posterior) in all.iter().zip(moments) {
            ports.estimate(*port, posterior);
        }
        Ok(true)
    }

    /// Lets every rule improve its parameters from the present messages.
    ///
    /// # Errors
    /// What a rule refuses.
    pub fn learn(&mut self) -> Result<(), AmpError> {
        for (factor, rule) in self.rules.iter_mut().enumerate() {
            let graph = &mut self.graph;
            let step = 1.0;
            rule.learn(&Ports {
                graph,
                factor,
                step,
            })?;
        }
        Ok(())
    }

    /// The present moments of a variable (index as in the tree), if anything has estimated it.
    #[must_use]
    pub fn posterior(&self, variable: usize) -> Option<&Posterior<F>> {
        self.graph.posterior(variable)
    }

    /// What the observations say about the signal: the product of their messages.
    #[must_use]
    pub fn evidence_message(&self) -> Message<F> {
        let (n, problems) = (self.graph.sizes[self.signal], self.graph.problems);
        let edges = self.sensors.iter().map(|f| self.graph.of_factor[*f][0]);
        edges.fold(Message::flat(n, problems), |all, e| {
            all.and(&self.graph.edges[e].message)
        })
    }

    /// Bethe evidence of each problem in nats per coordinate of the signal, the sum of the shares
    /// of all factors: the logarithm of the likelihood of the data, relative to that of noise
    /// without signal where the signal is seen in noise itself and absolute for a generalised
    /// linear model. Exact up to `O(1/p)` at a fixed point with Gaussian variables.
    ///
    /// # Errors
    /// What a rule refuses.
    pub fn evidence(&mut self) -> Result<Vec<f64>, AmpError> {
        let p = self.graph.sizes[self.signal] as f64;
        let mut total = vec![0.0; self.graph.problems];
        for (factor, rule) in self.rules.iter().enumerate() {
            let graph = &mut self.graph;
            let step = 1.0;
            let shares = rule.log_partition(&Ports {
                graph,
                factor,
                step,
            })?;
            for (total, share) in total.iter_mut().zip(shares) {
                *total += share / p;
            }
        }
        Ok(total)
    }

    /// Sets the Onsager memory of every rule.
    pub fn remember(&mut self, memory: Memory) {
        for rule in &mut self.rules {
            rule.remember(memory);
        }
    }

    /// Products with the matrices so far, one per column.
    #[must_use]
    pub fn products(&self) -> u64 {
        self.start_products + self.rules.iter().map(|r| r.products()).sum::<u64>()
    }

    /// Bytes of matrices, messages and moments; the state before a sweep is kept beside the
    /// present one.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.rules.iter().map(|r| r.bytes()).sum::<usize>() + 2 * self.graph.bytes()
    }
}
