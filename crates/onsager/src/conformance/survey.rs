//! Many random declarations, in parallel, and what of the grammar they reach.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use onsager_model::Model;
use onsager_model::conformance::runnable;
use onsager_scalar::conformance::{Failure, Report, check_activation_with, check_law_with};
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::model::{Theory, Trial, check_model_with};

/// Layers at most.
const DEPTH: usize = 3;
/// How far the numbers of a declaration reach: between exp(-SPREAD) and exp(SPREAD) times their
/// natural scale, 1/20 to 20.
const SPREAD: f64 = 3.0;
/// Simpler declarations tried for one that fails.
const SHRINKS: usize = 40;

/// What a survey found.
///
/// ```
/// use onsager::conformance::{Plan, survey};
/// let plan = Plan { declarations: 2, thorough: 0, depths: [1, 0, 0, 0], ..Plan::default() };
/// let found = survey(&plan, &|_| {});
/// assert!(found.faults.is_empty() && found.declarations == 2, "{found}");
/// assert_eq!(found.coverage.values().map(|depths| depths[0]).sum::<u64>(), 4); // prior and data
/// ```
#[derive(Debug, Clone)]
pub struct Survey {
    /// Declarations checked.
    pub declarations: u64,
    /// Decides all of them.
    pub seed: u64,
    /// What was compared, and the worst of it.
    pub report: Report,
    /// How many declarations of each depth had this part ("prior gaussian").
    pub coverage: BTreeMap<String, [u64; DEPTH + 1]>,
    /// Declarations that failed, in order.
    pub faults: Vec<Fault>,
}

/// A declaration that failed.
///
/// ```
/// # use onsager::conformance::{Plan, survey};
/// # let plan = Plan { declarations: 1, depths: [1, 0, 0, 0], ..Plan::default() };
/// # let found = survey(&plan, &|_| {});
/// for fault in &found.faults {
///     println!("declaration {}: {}\n{}", fault.index, fault.reason, fault.model);
/// }
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// Which declaration of the survey.
    pub index: u64,
    /// What is broken, or the message of a panic.
    pub reason: String,
    /// The simplest model file found that fails.
    pub model: String,
}

/// Which declarations are drawn, and how much is asked of them.
///
/// ```
/// use onsager::conformance::Plan;
/// assert_eq!(Plan::default().declarations, 10_000);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Plan {
    /// Index of the first.
    pub first: u64,
    /// How many.
    pub declarations: u64,
    /// Decides all of them: declaration `i` depends on the seed and on `i` alone.
    pub seed: u64,
    /// Threads over declarations.
    pub threads: usize,
    /// How often chains of 0 to 3 layers are drawn, relative to each other.
    pub depths: [u32; DEPTH + 1],
    /// Generalised linear models instead of spiked matrices and direct observations.
    pub measurements: bool,
    /// Every so many declarations the fixed points are found, and not only two iterations: 1 finds
    /// them always, 0 never.
    pub curves: u64,
    /// Every so many declarations they are found a second time, and law and activations go
    /// through [`check_law`](super::check_law) and [`check_activation`](super::check_activation).
    pub thorough: u64,
}

impl Default for Plan {
    /// Ten thousand, of which few are deep: the work grows in proportion to the depth and more.
    fn default() -> Self {
        Self {
            first: 0,
            declarations: 10_000,
            seed: 0,
            threads: 1,
            depths: [80, 17, 2, 1],
            measurements: false,
            curves: 1,
            thorough: 50,
        }
    }
}

/// Draws random declarations of kinds that are implemented and checks each one. One that fails is
/// simplified as long as it fails. `progress` is called with the index of each after it, on its thread.
pub fn survey(plan: &Plan, progress: &(dyn Fn(u64) + Sync)) -> Survey {
    let &Plan {
        first,
        declarations,
        seed,
        threads,
        ..
    } = plan;
    let next = AtomicU64::new(first);
    let found = Mutex::new(Survey {
        declarations,
        seed,
        report: Report::new(format_args!("{declarations} declarations"), seed),
        coverage: BTreeMap::new(),
        faults: Vec::new(),
    });
    let work = || {
        loop {
            let index = next.fetch_add(1, Ordering::Relaxed);
            if index - first >= declarations {
                return;
            }
            let one = examine(plan, index);
            // A panic is caught below the lock; the state behind it is whole.
            let mut found = found
                .lock()
                .unwrap_or_else(|poisoned| poisoned.into_inner());
            found.add(index, one);
            drop(found);
            progress(index);
        }
    };
    std::thread::scope(|scope| {
        for _ in 1..threads.max(1) {
            scope.spawn(work);
        }
        work();
    });
    let mut found = found
        .into_inner()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    found.faults.sort_by_key(|fault| fault.index);
    found
}

/// Declaration `index` of a plan, as drawn.
///
/// ```
/// use onsager::conformance::{Plan, declaration};
/// let plan = Plan { depths: [0, 1, 0, 0], ..Plan::default() };
/// let model = declaration(&plan, 7)?;
/// assert_eq!(model.variables().len(), 2);
/// assert_eq!(declaration(&plan, 7)?, model);
/// # Ok::<(), String>(())
/// ```
///
/// # Errors
/// A grammar of which nothing is implemented at these depths.
pub fn declaration(plan: &Plan, index: u64) -> Result<Model, String> {
    Ok(named(drawn(plan, index)?.current(), index))
}

fn named(mut model: Model, index: u64) -> Model {
    model.name = Some(format!("declaration {index}"));
    model
}

fn drawn(plan: &Plan, index: u64) -> Result<impl ValueTree<Value = Model> + use<>, String> {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&plan.seed.to_le_bytes());
    key[8..16].copy_from_slice(&index.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &key);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let chains = (0..=DEPTH)
        .zip(&plan.depths)
        .filter(|(_, weight)| **weight > 0);
    let chains = chains.map(|(depth, weight)| {
        let models = if plan.measurements {
            runnable::measurements(SPREAD, depth).boxed()
        } else {
            runnable::model(SPREAD, depth).boxed()
        };
        (*weight, models)
    });
    let strategy = proptest::strategy::Union::new_weighted(chains.collect());
    let tree = strategy.new_tree(&mut runner);
    tree.map_err(|reason| format!("nothing to draw: {reason}"))
}

struct Examined {
    model: Model,
    result: Result<Report, (String, Model)>,
}

fn examine(plan: &Plan, index: u64) -> Result<Examined, String> {
    let seed = plan.seed;
    let turn = |every: u64| every > 0 && index.is_multiple_of(every);
    let thorough = turn(plan.thorough);
    let trial = Trial {
        seed: seed.wrapping_add(index),
        theory: match turn(plan.curves) {
            _ if thorough => Theory::TwoCurves,
            true => Theory::Curve,
            false => Theory::Trajectory,
        },
        ..Trial::default()
    };
    let check = |model: &Model| -> Result<Report, String> {
        let all = || {
            let mut report = check_model_with(model, trial)?;
            if thorough {
                parts(model, trial.seed)?
                    .iter()
                    .for_each(|part| report.merge(part));
            }
            Ok(report)
        };
        match catch_unwind(AssertUnwindSafe(all)) {
            Ok(result) => result.map_err(|failure: Failure| failure.to_string()),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or(panic.downcast_ref::<&str>().map(|s| (*s).to_string()));
                Err(format!("panic: {}", text.unwrap_or_default()))
            }
        }
    };
    let mut tree = drawn(plan, index)?;
    let model = named(tree.current(), index);
    let result = check(&model).map_err(|mut reason| {
        let mut simplest = model.clone();
        let mut simpler = tree.simplify();
        for _ in 0..SHRINKS {
            if !simpler {
                break;
            }
            let next = named(tree.current(), index);
            match check(&next) {
                Err(other) if broken(&other) != broken(&reason) => simpler = tree.complicate(),
                Ok(_) => simpler = tree.complicate(),
                Err(other) => {
                    (reason, simplest) = (other, next);
                    simpler = tree.simplify();
                }
            }
        }
        (reason, simplest)
    });
    Ok(Examined { model, result })
}

/// What a reason complains of first: the identity, or the panic.
fn broken(reason: &str) -> &str {
    let line = reason.lines().nth(1).unwrap_or(reason);
    line.split(':').next().unwrap_or(line)
}

/// The law and the activations on their own.
fn parts(model: &Model, seed: u64) -> Result<Vec<Report>, Failure> {
    let mut reports = Vec::new();
    if let Some(signal) = &model.signal {
        // What does not build has been refused before.
        if let Ok(law) = signal.prior.build() {
            reports.push(check_law_with(law.as_ref(), seed)?);
        }
        for phi in signal
            .layers
            .iter()
            .filter_map(|l| l.activation.build().ok())
        {
            reports.push(check_activation_with(phi.as_ref(), seed)?);
        }
    }
    Ok(reports)
}

impl Survey {
    fn add(&mut self, index: u64, one: Result<Examined, String>) {
        let one = match one {
            Ok(one) => one,
            Err(reason) => {
                let model = String::new();
                return self.faults.push(Fault {
                    index,
                    reason,
                    model,
                });
            }
        };
        let signal = one.model.signal.as_ref();
        let layers = signal.map_or(&[][..], |s| &s.layers);
        let mut parts: Vec<String> = layers
            .iter()
            .map(|layer| format!("activation {}", layer.activation.kind()))
            .chain(signal.map(|s| format!("prior {}", s.prior.kind())))
            .chain(
                (one.model.observations.iter()).map(|o| format!("observation {}", o.kind.name())),
            )
            .collect();
        parts.sort();
        parts.dedup();
        for part in parts {
            self.coverage.entry(part).or_default()[layers.len().min(DEPTH)] += 1;
        }
        match one.result {
            Ok(report) => self.report.merge(&report),
            Err((reason, model)) => self.faults.push(Fault {
                index,
                reason,
                model: model.to_toml().unwrap_or_default(),
            }),
        }
    }
}

impl fmt::Display for Survey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.report)?;
        let depths: Vec<String> = (0..=DEPTH).map(|d| format!("{d:>7}")).collect();
        writeln!(
            f,
            "{:<36}{}",
            "declarations with, by layers",
            depths.concat()
        )?;
        for (part, counts) in &self.coverage {
            let counts: Vec<String> = counts.iter().map(|n| format!("{n:>7}")).collect();
            writeln!(f, "{part:<36}{}", counts.concat())?;
        }
        let (n, seed, failed) = (self.declarations, self.seed, self.faults.len());
        writeln!(f, "{n} declarations, seed {seed}: {failed} failed")?;
        for fault in &self.faults {
            let Fault {
                index,
                reason,
                model,
            } = fault;
            writeln!(f, "\ndeclaration {index}, seed {seed}: {reason}\n{model}")?;
        }
        Ok(())
    }
}
