//! `onsager simulate`: an algorithm on drawn instances, beside its prediction.

use std::ops::ControlFlow;

use clap::{Args, ValueEnum};
use indicatif::ProgressBar;
use onsager::amp::{self, AmpError, Damping, Problem, Settings, Stop, spectral};
use onsager::ensembles::Seed;
use onsager::model::instance::{Storage, Teacher};
use onsager::model::{FactorKind, Instance, ModelError, Tree};
use onsager::replica::{StateEvolution, spectral as theory};
use onsager::scalar::prior::Gaussian;
use onsager::scalar::{Prior, likelihood};
use rayon::prelude::*;
use serde::Serialize;

use super::failure::Failure;
use super::input::{ModelArguments, wrong};
use super::{interrupt, output};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Components of the signal, or of a variable by name.
    #[arg(long, value_name = "P|NAME=N", allow_hyphen_values = true)]
    size: String,
    /// Instances to draw.
    #[arg(long, default_value_t = 1, allow_hyphen_values = true)]
    trials: u64,
    /// Decides every random number.
    #[arg(long, default_value_t = 0, allow_hyphen_values = true)]
    seed: u64,
    /// What to run.
    #[arg(long, value_enum, default_value_t = Algorithm::Amp)]
    algorithm: Algorithm,
    /// Where message passing starts; uninformed if absent.
    #[arg(long, value_enum)]
    start: Option<Start>,
    /// Trials at a time, each with its own matrices in memory; of a single trial, threads inside
    /// its products.
    #[arg(long, default_value_t = 1, allow_hyphen_values = true)]
    threads: usize,
    /// Further random starts at most: the first that solves data without noise, or the best by
    /// evidence; none if absent.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    restarts: Option<usize>,
    /// Fixed weight of the old messages, in [0, 1); adaptive if absent.
    #[arg(long, value_name = "D", allow_hyphen_values = true)]
    damping: Option<f64>,
    /// Sweeps at most.
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    max_iterations: Option<usize>,
    /// Relative squared change of the estimates below which they are at rest.
    #[arg(long, allow_hyphen_values = true)]
    tolerance: Option<f64>,
    /// Precision of stored matrices.
    #[arg(long, value_enum, default_value_t = Precision::F64)]
    storage: Precision,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Algorithm {
    /// Approximate message passing.
    Amp,
    /// Leading eigenvector of the data, blind to the prior.
    Pca,
    /// Leading eigenvector of linearised message passing.
    Lamp,
    /// Vector approximate message passing.
    #[value(hide = true)]
    Vamp,
    /// Expectation propagation.
    #[value(hide = true)]
    Ep,
}

impl Algorithm {
    fn name(self) -> &'static str {
        match self {
            Algorithm::Amp => "amp",
            Algorithm::Pca => "pca",
            Algorithm::Lamp => "lamp",
            Algorithm::Vamp => "vamp",
            Algorithm::Ep => "ep",
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Start {
    /// A small random vector.
    Uninformed,
    /// The leading eigenvector of linearised message passing.
    Spectral,
    /// The truth.
    Informed,
}

#[derive(Clone, Copy, ValueEnum)]
enum Precision {
    F64,
    F32,
}

/// One trial in numbers; what an algorithm does not tell is absent.
struct Trial {
    mse: f64,
    overlap: f64,
    /// Error and overlap of the left factor of a product.
    left: Option<(f64, f64)>,
    claimed_mse: Option<f64>,
    nishimori_gap: Option<f64>,
    iterations: Option<f64>,
    generalisation_error: Option<f64>,
    products: u64,
    bytes: usize,
    stop: Stop,
}

#[derive(Serialize)]
struct Report {
    mse: Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_mse: Option<Summary>,
    overlap: Summary,
    /// Of the left factor of a product.
    #[serde(skip_serializing_if = "Option::is_none")]
    mse_left: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    overlap_left: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nishimori_gap: Option<Summary>,
    #[serde(skip_serializing_if = "Option::is_none")]
    iterations: Option<Summary>,
    /// How often labels of new measurements are predicted wrongly.
    #[serde(skip_serializing_if = "Option::is_none")]
    generalisation_error: Option<Summary>,
    products: u64,
    peak_memory: usize,
    status: Status,
    #[serde(skip_serializing_if = "Option::is_none")]
    prediction: Option<Predicted>,
}

#[derive(Serialize)]
struct Summary {
    mean: f64,
    median: f64,
    /// Absent for a single trial.
    standard_error: Option<f64>,
    trials: Vec<f64>,
}

/// How many runs stopped in which way.
#[derive(Serialize, Default)]
#[serde(rename_all = "kebab-case")]
struct Status {
    converged: usize,
    trivial: usize,
    not_converged: usize,
    diverged: usize,
}

#[derive(Serialize)]
struct Predicted {
    /// Of message passing.
    mmse: f64,
    /// Of a spectral method, where the theory covers it.
    #[serde(skip_serializing_if = "Option::is_none")]
    mse: Option<f64>,
    /// The same of the left factor of a product.
    #[serde(skip_serializing_if = "Option::is_none")]
    mmse_left: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mse_left: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    generalisation_error: Option<f64>,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let document = arguments.model.document()?;
    let tree = document.model().tree()?;
    let settings = settings(arguments)?;
    let sizes = sizes(&tree, &arguments.size)?;
    if arguments.trials == 0 {
        return Err(wrong("--trials", "0", "at least 1"));
    }
    if arguments.threads == 0 {
        return Err(wrong("--threads", "0", "at least 1"));
    }
    check_memory(arguments, &tree, &sizes)?;
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.threads)
        .build()
        .map_err(|error| Failure::Run(format!("threads cannot be started: {error}")))?;
    let bar = output::progress(arguments.trials as usize, "simulate");
    let finished: Vec<Option<Trial>> = pool.install(|| {
        (0..arguments.trials)
            .into_par_iter()
            .map(|trial| observed(arguments, &tree, &sizes, &settings, trial, &bar))
            .collect::<Result<_, Failure>>()
    })?;
    bar.finish_and_clear();
    let trials: Vec<Trial> = finished.into_iter().flatten().collect();
    if trials.is_empty() {
        return Err(Failure::Interrupted(
            "stopped by the user before any trial ended".into(),
        ));
    }
    let report = report(&trials, prediction(arguments, &tree, &sizes));
    if arguments.model.json {
        output::json(&report)?;
    } else {
        let title = arguments.model.title(&document);
        output::print(&describe(arguments, &title, &tree, &sizes, &report))?;
    }
    if trials.len() < arguments.trials as usize {
        let (done, all) = (trials.len(), arguments.trials);
        return Err(Failure::Interrupted(format!(
            "stopped by the user after {done} of {all} trials"
        )));
    }
    if report.status.diverged == trials.len() {
        return Err(Failure::Run("every trial diverged".into()));
    }
    Ok(())
}

fn settings(arguments: &Arguments) -> Result<Settings, Failure> {
    match arguments.algorithm {
        Algorithm::Vamp => {
            return Err(Failure::Input(
                "algorithm \"vamp\" is not supported yet".into(),
            ));
        }
        Algorithm::Ep => {
            return Err(Failure::Input(
                "algorithm \"ep\" is not supported yet".into(),
            ));
        }
        Algorithm::Pca | Algorithm::Lamp => {
            let of_sweeps = [
                ("--start", arguments.start.is_some()),
                ("--restarts", arguments.restarts.is_some()),
                ("--damping", arguments.damping.is_some()),
                ("--max-iterations", arguments.max_iterations.is_some()),
                ("--tolerance", arguments.tolerance.is_some()),
            ];
            if let Some((option, _)) = of_sweeps.iter().find(|(_, is_given)| *is_given) {
                let algorithm = arguments.algorithm.name();
                return Err(Failure::Input(format!(
                    "{option} is an option of --algorithm amp, got {algorithm:?}"
                )));
            }
        }
        Algorithm::Amp => {}
    }
    let mut settings = Settings {
        start: match arguments.start {
            None | Some(Start::Uninformed) => amp::Start::Uninformed,
            Some(Start::Spectral) => amp::Start::Spectral,
            Some(Start::Informed) => amp::Start::Informed,
        },
        restarts: arguments.restarts.unwrap_or(0),
        ..Settings::default()
    };
    if let Some(damping) = arguments.damping {
        if !(0.0..1.0).contains(&damping) {
            return Err(wrong("--damping", &damping.to_string(), "in [0, 1)"));
        }
        settings.damping = Damping::Fixed(1.0 - damping);
    }
    if let Some(n) = arguments.max_iterations {
        if n == 0 {
            return Err(wrong("--max-iterations", "0", "at least 1"));
        }
        settings.max_iterations = n;
    }
    if let Some(tolerance) = arguments.tolerance {
        if !(0.0..1.0).contains(&tolerance) {
            return Err(wrong("--tolerance", &tolerance.to_string(), "in [0, 1)"));
        }
        settings.tolerance = tolerance;
    }
    Ok(settings)
}

/// Sizes of all variables from that of one: the signal, or the variable named.
fn sizes(tree: &Tree, text: &str) -> Result<Vec<usize>, Failure> {
    let (anchor, number) = match text.split_once('=') {
        None => (tree.signal_index(), text),
        Some((name, number)) => {
            let declared = tree.variables().iter().filter(|v| !v.is_field);
            let known = declared.clone().any(|v| v.name == name);
            match tree.variable(name).filter(|_| known) {
                Some(v) => (v, number),
                None => {
                    let error = ModelError::UnknownVariable {
                        name: name.to_string(),
                        allowed: declared
                            .map(|v| v.name.as_str())
                            .collect::<Vec<_>>()
                            .join(", "),
                    };
                    return Err(Failure::Input(format!("--size {text}: {error}")));
                }
            }
        }
    };
    match number.parse() {
        Ok(n) if n > 0 => Ok(tree.sizes(anchor, n)),
        _ => Err(wrong(
            "--size",
            text,
            "P or NAME=N with a whole number of at least 1",
        )),
    }
}

/// Refuses sizes whose matrices the system would not grant, before anything is drawn.
fn check_memory(arguments: &Arguments, tree: &Tree, sizes: &[usize]) -> Result<(), Failure> {
    // Truth, moments, messages and their copies of the last sweep: vectors of each variable.
    const VECTORS: u128 = 24;
    let size = |v: usize| sizes[v] as u128;
    let entry = match arguments.storage {
        Precision::F64 => 8,
        Precision::F32 => 4,
    };
    let matrices =
        tree.factors()
            .iter()
            .map(|factor| match (&factor.kind, factor.variables.as_slice()) {
                (
                    FactorKind::Linear { .. } | FactorKind::SpikedWishart { .. },
                    &[columns, rows],
                ) => size(columns)
                    .saturating_mul(size(rows))
                    .saturating_mul(entry),
                (FactorKind::SpikedWigner { .. }, &[on]) => {
                    size(on).saturating_mul(size(on)).saturating_mul(entry) / 2
                }
                _ => 0,
            });
    let vectors = (0..sizes.len()).map(|v| VECTORS * 8 * size(v));
    let trial = matrices.chain(vectors).fold(0u128, u128::saturating_add);
    let together = arguments.trials.min(arguments.threads as u64);
    let bytes = trial.saturating_mul(u128::from(together));
    // Reserved and returned untouched: a question to the system, not a use of memory.
    let granted =
        usize::try_from(bytes).is_ok_and(|bytes| Vec::<u8>::new().try_reserve_exact(bytes).is_ok());
    if granted {
        return Ok(());
    }
    Err(Failure::Input(format!(
        "--size {}: {together} trials at a time need {:.3e} GiB of memory, more than there is",
        arguments.size,
        bytes as f64 / 1024f64.powi(3),
    )))
}

/// One trial; `None` if the user stopped it.
fn observed(
    arguments: &Arguments,
    tree: &Tree,
    sizes: &[usize],
    settings: &Settings,
    trial: u64,
    bar: &ProgressBar,
) -> Result<Option<Trial>, Failure> {
    if interrupt::stopped() {
        return Ok(None);
    }
    let seed = Seed(arguments.seed);
    let teacher = Teacher {
        storage: match arguments.storage {
            Precision::F64 => Storage::F64,
            Precision::F32 => Storage::F32,
        },
        threads: if arguments.trials == 1 {
            arguments.threads
        } else {
            1
        },
        ..Teacher::fixed()
    };
    let stream = |purpose: &str| seed.stream("simulate", 0, trial, purpose);
    let instance = Instance::draw(tree, sizes, stream, teacher)?;
    let problem = Problem::new(tree, &instance)?;
    let done = match arguments.algorithm {
        Algorithm::Pca => spectral_trial(&problem, &instance, spectral::pca(&problem)?),
        Algorithm::Lamp => spectral_trial(&problem, &instance, spectral::lamp(&problem)?),
        Algorithm::Amp | Algorithm::Vamp | Algorithm::Ep => {
            // Starts of different trials must differ too: the golden ratio spreads them over all
            // seeds, so that neighbouring seeds do not share them.
            const GOLDEN: u64 = 0x9E37_79B9_7F4A_7C15;
            let settings = Settings {
                seed: Seed(arguments.seed.wrapping_add(trial.wrapping_mul(GOLDEN))),
                ..settings.clone()
            };
            let done = message_passing(&problem, &settings)?;
            done.map(|(found, estimate)| Trial {
                generalisation_error: label_errors(tree, &instance, &estimate, (seed, trial)),
                ..found
            })
        }
    };
    bar.inc(1);
    Ok(done)
}

/// The trial, and the estimate with its claimed error.
type Estimated = (Trial, (Vec<f64>, f64));

fn message_passing(problem: &Problem, settings: &Settings) -> Result<Option<Estimated>, AmpError> {
    let outcome = amp::infer_observed(problem, settings, &mut |_| {
        if interrupt::stopped() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    let (Some(mse), Some(overlap)) = (outcome.mse, outcome.overlap) else {
        return Ok(None);
    };
    let left = left_of(problem.tree())
        .map(|u| &problem.tree().variables()[u].name)
        .and_then(|name| outcome.variables.iter().find(|v| v.name == *name))
        .and_then(|u| u.mse.zip(u.overlap));
    let trial = Trial {
        mse,
        overlap,
        left,
        claimed_mse: Some(outcome.claimed_mse),
        nishimori_gap: Some(outcome.nishimori_gap),
        iterations: Some(outcome.iterations as f64),
        generalisation_error: None,
        products: outcome.products,
        bytes: outcome.peak_memory,
        stop: outcome.stop,
    };
    let estimate = outcome.estimate.column(0).iter().copied().collect();
    let claimed = outcome.claimed_mse;
    Ok(Some((trial, (estimate, claimed))).filter(|(t, _)| t.stop != Stop::Interrupted))
}

/// How often the likeliest label is wrong, for labels of new measurements, where outputs are labels.
///
/// Given signal and estimate, the fields that rows of independent entries make of both are Gaussian, of the
/// covariance of the two vectors.
fn label_errors(
    tree: &Tree,
    instance: &Instance,
    (estimate, claimed): &(Vec<f64>, f64),
    (seed, trial): (Seed, u64),
) -> Option<f64> {
    /// New measurements: a standard error of 0.005 at most.
    const LABELS: usize = 10_000;
    let FactorKind::Likelihood(law) = &tree.factors().last()?.kind else {
        return None;
    };
    law.labels()?;
    let truth = instance.truth(tree.signal_index())?;
    let p = estimate.len() as f64;
    let product = |x: &[f64], y: &[f64]| x.iter().zip(y).map(|(x, y)| x * y).sum::<f64>() / p;
    let (norm, overlap) = (product(estimate, estimate), product(estimate, truth));
    let slope = if norm > 0.0 { overlap / norm } else { 0.0 };
    let rest = (product(truth, truth) - slope * overlap).max(0.0).sqrt();
    let mut rng = seed.stream("simulate", 0, trial, "labels");
    let mut wrong = 0;
    for _ in 0..LABELS {
        let mut normal = || Gaussian::standard().sample(&mut rng);
        let (omega, other) = (norm.sqrt() * normal(), rest * normal());
        let y = law.sample(slope * omega + other, &mut rng);
        // A claim of nothing left is one of very little.
        let predicted = likelihood::likeliest(&**law, omega, claimed.max(1e-24));
        wrong += usize::from(predicted != Some(y));
    }
    Some(wrong as f64 / LABELS as f64)
}

/// A direction, at the scale that is best for it.
fn spectral_trial(
    problem: &Problem,
    instance: &Instance,
    found: spectral::Spectral,
) -> Option<Trial> {
    let tree = problem.tree();
    let rho = tree.signal().second_moment;
    let cos2 = found.squared_cosine(instance.truth(tree.signal_index())?);
    let scaled = |rho: f64, cos2: f64| (spectral::optimal_error(rho, cos2), rho * cos2);
    let left = left_of(tree).and_then(|u| {
        let cos2 = found.squared_cosine_left(instance.truth(u)?)?;
        Some(scaled(tree.variables()[u].second_moment, cos2))
    });
    let (mse, overlap) = scaled(rho, cos2);
    Some(Trial {
        mse,
        overlap,
        left,
        claimed_mse: None,
        nishimori_gap: None,
        iterations: None,
        generalisation_error: None,
        products: found.products,
        bytes: instance.bytes(),
        stop: if found.converged {
            Stop::Converged
        } else {
            Stop::NotConverged
        },
    })
}

/// The variable that the signal is multiplied with, if any.
fn left_of(tree: &Tree) -> Option<usize> {
    let last = tree.factors().last()?;
    match (&last.kind, last.variables.as_slice()) {
        (FactorKind::SpikedWishart { .. }, &[_, u]) => Some(u),
        _ => None,
    }
}

/// The error of the fixed point that the start leads to, at the ratios that the sizes realise.
fn prediction(arguments: &Arguments, tree: &Tree, sizes: &[usize]) -> Option<Predicted> {
    let predict = || -> Result<Predicted, Failure> {
        let tree = tree.realised(sizes)?;
        let found = StateEvolution::new(&tree)?.predict()?;
        let informed =
            arguments.algorithm == Algorithm::Amp && arguments.start == Some(Start::Informed);
        let most = found.fixed_points.iter().rev().find(|point| point.stable);
        let mse = match arguments.algorithm {
            Algorithm::Pca => theory::pca(&tree).ok(),
            Algorithm::Lamp => theory::lamp(&tree).ok().or_else(|| {
                let matrix = theory::SpikedMatrix::of(&tree).ok()?;
                theory::lamp_within(&super::spectrum::covariance(&tree).ok()?, matrix).ok()
            }),
            Algorithm::Amp | Algorithm::Vamp | Algorithm::Ep => None,
        };
        let reached = most.filter(|_| informed).unwrap_or(&found.algorithmic);
        Ok(Predicted {
            mmse: reached.mmse,
            mse: mse.map(|spectral| spectral.mse),
            mmse_left: reached.mmse_left,
            mse_left: mse.and_then(|spectral| spectral.mse_left),
            generalisation_error: reached.generalisation_error,
        })
    };
    predict()
        .map_err(|failure| output::message(&format!("no prediction: {failure}")))
        .ok()
}

fn report(trials: &[Trial], prediction: Option<Predicted>) -> Report {
    let mut status = Status::default();
    for trial in trials {
        match trial.stop {
            Stop::Converged => status.converged += 1,
            Stop::Trivial => status.trivial += 1,
            Stop::Diverged => status.diverged += 1,
            _ => status.not_converged += 1,
        }
    }
    let of = |f: &dyn Fn(&Trial) -> Option<f64>| {
        let values: Vec<f64> = trials.iter().filter_map(f).collect();
        (values.len() == trials.len()).then(|| Summary::of(values))
    };
    Report {
        mse: Summary::of(trials.iter().map(|t| t.mse).collect()),
        claimed_mse: of(&|t| t.claimed_mse),
        overlap: Summary::of(trials.iter().map(|t| t.overlap).collect()),
        mse_left: of(&|t| t.left.map(|(mse, _)| mse)),
        overlap_left: of(&|t| t.left.map(|(_, overlap)| overlap)),
        nishimori_gap: of(&|t| t.nishimori_gap),
        iterations: of(&|t| t.iterations),
        generalisation_error: of(&|t| t.generalisation_error),
        products: trials.iter().map(|t| t.products).sum(),
        peak_memory: trials.iter().map(|t| t.bytes).max().unwrap_or(0),
        status,
        prediction,
    }
}

impl Summary {
    fn of(trials: Vec<f64>) -> Self {
        let n = trials.len();
        let mean = trials.iter().sum::<f64>() / n as f64;
        let squares: f64 = trials.iter().map(|x| (x - mean).powi(2)).sum();
        let mut sorted = trials.clone();
        sorted.sort_by(f64::total_cmp);
        Self {
            mean,
            median: 0.5 * (sorted[(n - 1) / 2] + sorted[n / 2]),
            standard_error: (n > 1).then(|| (squares / ((n - 1) * n) as f64).sqrt()),
            trials,
        }
    }
}

fn describe(
    arguments: &Arguments,
    title: &str,
    tree: &Tree,
    sizes: &[usize],
    report: &Report,
) -> String {
    let declared = tree
        .variables()
        .iter()
        .zip(sizes)
        .filter(|(v, _)| !v.is_field);
    let sizes: Vec<String> = declared.map(|(v, n)| format!("{} {n}", v.name)).collect();
    let seed = arguments.seed;
    let trials = match report.mse.trials.len() {
        1 => "1 trial".to_string(),
        n => format!("{n} trials"),
    };
    let algorithm = arguments.algorithm.name();
    let mut rows = Vec::new();
    let mut add = |name: &str, summary: &Summary| {
        rows.push(vec![
            name.to_string(),
            output::number(summary.mean),
            output::optional(summary.standard_error),
            output::number(summary.median),
        ]);
    };
    add("mse", &report.mse);
    for (name, summary) in [
        ("claimed mse", &report.claimed_mse),
        ("overlap", &Some(Summary::of(report.overlap.trials.clone()))),
        ("mse (left)", &report.mse_left),
        ("overlap (left)", &report.overlap_left),
        ("nishimori gap", &report.nishimori_gap),
        ("iterations", &report.iterations),
        ("generalisation error", &report.generalisation_error),
    ] {
        if let Some(summary) = summary {
            add(name, summary);
        }
    }
    if let Some(predicted) = &report.prediction {
        let mut add = |name: &str, x: f64| rows.push(vec![name.to_string(), output::number(x)]);
        for (name, value) in [
            ("predicted mse", predicted.mse),
            ("predicted mmse", Some(predicted.mmse)),
            ("predicted mse (left)", predicted.mse_left),
            ("predicted mmse (left)", predicted.mmse_left),
            (
                "predicted generalisation error",
                predicted.generalisation_error,
            ),
        ] {
            value.into_iter().for_each(|x| add(name, x));
        }
    }
    let s = &report.status;
    let counts: Vec<String> = [
        (s.converged, "converged"),
        (s.trivial, "trivial"),
        (s.not_converged, "not converged"),
        (s.diverged, "diverged"),
    ]
    .iter()
    .filter(|(count, _)| *count > 0)
    .map(|(count, name)| format!("{count} {name}"))
    .collect();
    format!(
        "{title}: {algorithm}, {trials}, {}, seed {seed}\n{}\n{}; {} products, {:.1} MiB",
        sizes.join(", "),
        output::table(&["", "mean", "standard error", "median"], &rows),
        counts.join(", "),
        report.products,
        report.peak_memory as f64 / 1048576.0,
    )
}
