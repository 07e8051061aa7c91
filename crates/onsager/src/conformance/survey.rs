//! Many random declarations, in parallel, and what of the grammar they reach.

use std::collections::BTreeMap;
use std::fmt;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use onsager_model::Model;
use onsager_model::conformance::runnable;
use onsager_scalar::conformance::Report;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use super::model::{Trial, check_model_with};

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
/// use onsager::conformance::survey;
/// let found = survey(2, 7, 1, &[1, 0, 0, 0], &|_| {});
/// assert!(found.faults.is_empty() && found.declarations == 2, "{found}");
/// assert_eq!(found.coverage.values().map(|depths| depths[0]).sum::<u64>(), 4); // law and data
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
/// # let found = onsager::conformance::survey(1, 7, 1, &[1, 0, 0, 0], &|_| {});
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

/// Draws random declarations of kinds that are implemented and checks each one, on `threads`
/// threads.
///
/// Declaration `i` depends on the seed and on `i` alone. `weights` says how often chains of 0 to
/// 3 layers are drawn, relative to each other. One that fails is simplified as long as it fails.
/// `progress` is called after each.
pub fn survey(
    declarations: u64,
    seed: u64,
    threads: usize,
    weights: &[u32; DEPTH + 1],
    progress: &(dyn Fn(u64) + Sync),
) -> Survey {
    let next = AtomicU64::new(0);
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
            if index >= declarations {
                return;
            }
            let one = examine(seed, index, weights);
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

struct Examined {
    model: Model,
    result: Result<Report, (String, Model)>,
}

fn examine(seed: u64, index: u64, weights: &[u32; DEPTH + 1]) -> Examined {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&index.to_le_bytes());
    let rng = TestRng::from_seed(RngAlgorithm::ChaCha, &key);
    let mut runner = TestRunner::new_with_rng(Config::default(), rng);
    let chains = (0..=DEPTH).zip(weights).filter(|(_, weight)| **weight > 0);
    let chains = chains.map(|(depth, weight)| (*weight, runnable::model(SPREAD, depth).boxed()));
    let strategy = proptest::strategy::Union::new_weighted(chains.collect());
    let trial = Trial {
        seed: seed.wrapping_add(index),
        // A second curve for every tenth: what costs most is drawn more often instead.
        twice: index % 10 == 0,
        ..Trial::default()
    };
    let named = |mut model: Model| {
        model.name = Some(format!("declaration {index}"));
        model
    };
    let check = |model: &Model| -> Result<Report, String> {
        match catch_unwind(AssertUnwindSafe(|| check_model_with(model, trial))) {
            Ok(result) => result.map_err(|failure| failure.to_string()),
            Err(panic) => {
                let text = panic.downcast_ref::<String>().cloned();
                let text = text.or(panic.downcast_ref::<&str>().map(|s| (*s).to_string()));
                Err(format!("panic: {}", text.unwrap_or_default()))
            }
        }
    };
    let mut tree = match strategy.new_tree(&mut runner) {
        Ok(tree) => tree,
        // Only a grammar of which nothing is implemented has no declarations.
        Err(reason) => panic!("no declaration can be drawn: {reason}"),
    };
    let model = named(tree.current());
    let result = check(&model).map_err(|mut reason| {
        let mut simplest = model.clone();
        let mut simpler = tree.simplify();
        for _ in 0..SHRINKS {
            if !simpler {
                break;
            }
            let next = named(tree.current());
            match check(&next) {
                Ok(_) => simpler = tree.complicate(),
                Err(other) => {
                    (reason, simplest) = (other, next);
                    simpler = tree.simplify();
                }
            }
        }
        (reason, simplest)
    });
    Examined { model, result }
}

impl Survey {
    fn add(&mut self, index: u64, one: Examined) {
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
