use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use crate::report;
use crate::runner::Runner;
use crate::{Figure, FigureError, Profile, Record, Row, Table, find};

/// What `reproduce` is asked to do.
#[derive(Debug, Clone)]
pub struct Options {
    /// Identifiers of the figures; empty means all.
    pub figures: Vec<String>,
    /// How much is computed; `None` means `standard`, and `quick` for golden tables.
    pub profile: Option<Profile>,
    /// Master seed.
    pub seed: u64,
    /// Folder of the results.
    pub out: PathBuf,
    /// Threads over points; 0 takes one for each processor.
    pub jobs: usize,
    /// Which of its jobs.
    pub mode: Mode,
    /// Folder of the golden tables.
    pub golden: PathBuf,
    /// Revision of the working tree, recorded beside the numbers.
    pub commit: Option<String>,
}

/// The jobs of `reproduce`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Theory, simulation, verdict, picture, report.
    #[default]
    Run,
    /// Theory and picture alone; no agreement is judged.
    TheoryOnly,
    /// Pictures, verdicts and report from the tables on disk.
    Redraw,
    /// Theory against the golden tables; writes nothing.
    Check,
    /// Theory into the golden tables.
    Bless,
    /// The registry, one line for each figure.
    List,
}

/// What came of it.
#[derive(Debug, Default)]
pub struct Summary {
    /// Records of the figures that were made.
    pub records: Vec<Record>,
    /// Figures that could not be made, or whose theory left its golden table.
    pub failures: Vec<FigureError>,
    /// Whether everything that was asked for ran, and every selected agreement held.
    pub held: bool,
}

/// Runs `options.mode` for the selected figures of `registry`, and prints a line for each verdict.
///
/// A figure that fails does not keep the others from running.
///
/// # Errors
///
/// [`FigureError::UnknownFigure`] before anything runs, [`FigureError::Interrupted`] once `stop`
/// is set, and errors of the report itself.
pub fn reproduce(
    registry: &[&dyn Figure],
    options: &Options,
    stop: &AtomicBool,
) -> Result<Summary, FigureError> {
    let selected = select(registry, &options.figures)?;
    let golden = matches!(options.mode, Mode::Check | Mode::Bless);
    let profile = options.profile.unwrap_or(if golden {
        Profile::Quick
    } else {
        Profile::Standard
    });
    let runner = Runner {
        out: options.out.clone(),
        profile,
        seed: options.seed,
        jobs: options.jobs,
        commit: options.commit.clone(),
        stop,
    };
    let mut summary = Summary::default();
    let any = !selected.is_empty();
    for figure in selected {
        if options.mode == Mode::List {
            println!(
                "{:<24} {}\n{:<24} {}",
                figure.id(),
                figure.claim(),
                "",
                figure.source()
            );
            continue;
        }
        match step(&runner, figure, options) {
            Ok(record) => {
                if let Some(record) = record {
                    print(&record);
                    summary.records.push(record);
                    report::write(registry, &options.out)?;
                }
            }
            Err(FigureError::Interrupted) => return Err(FigureError::Interrupted),
            Err(error) => {
                println!("{}: FAILED: {error}", figure.id());
                summary.failures.push(error);
            }
        }
    }
    let judged = matches!(options.mode, Mode::Run | Mode::Redraw);
    summary.held =
        any && summary.failures.is_empty() && (!judged || summary.records.iter().all(Record::held));
    if golden || options.mode == Mode::List {
        return Ok(summary);
    }
    println!("report: {}", options.out.join("index.html").display());
    Ok(summary)
}

fn select<'a>(
    registry: &[&'a dyn Figure],
    ids: &[String],
) -> Result<Vec<&'a dyn Figure>, FigureError> {
    if ids.is_empty() {
        return Ok(registry.to_vec());
    }
    ids.iter().map(|id| find(registry, id)).collect()
}

fn step(
    runner: &Runner<'_>,
    figure: &dyn Figure,
    options: &Options,
) -> Result<Option<Record>, FigureError> {
    let golden = options
        .golden
        .join(format!("{}.{}.csv", figure.id(), runner.profile));
    match options.mode {
        Mode::Run => runner.run(figure, true).map(Some),
        Mode::TheoryOnly => runner.run(figure, false).map(Some),
        Mode::Redraw => runner.redraw(figure).map(Some),
        Mode::Check => {
            compare(&runner.theory(figure)?, &Table::read(&golden)?, &golden)?;
            println!("{}: theory agrees with {}", figure.id(), golden.display());
            Ok(None)
        }
        Mode::Bless => {
            runner.theory(figure)?.write(&golden)?;
            println!("{}: wrote {}", figure.id(), golden.display());
            Ok(None)
        }
        Mode::List => Ok(None),
    }
}

fn print(record: &Record) {
    for verdict in &record.verdicts {
        let word = if verdict.held { "held" } else { "BROKEN" };
        println!("{}: {word}: {}: {}", record.id, verdict.name, verdict.text);
    }
    if record.provenance.simulated && record.verdicts.is_empty() {
        println!("{}: BROKEN: the figure asserts nothing", record.id);
    }
}

/// Relative drift of a golden number that is no drift: the stated accuracy of fixed points and averages.
const DRIFT: f64 = 1e-8;
/// The same near zero, absolutely.
const DRIFT_NEAR_ZERO: f64 = 1e-12;

/// Compares theory with its golden table: the same rows in the same order, values within the larger
/// of the stated accuracy and the row's own uncertainty.
fn compare(theory: &Table, golden: &Table, path: &Path) -> Result<(), FigureError> {
    let (new, old) = (theory.rows(), golden.rows());
    if new.len() != old.len() {
        let reason = format!("{} rows were golden, now {}", old.len(), new.len());
        return Err(FigureError::format(path, reason));
    }
    let close = |a: f64, b: f64, uncertainty: f64| {
        a == b
            || (a.is_nan() && b.is_nan())
            || (a - b).abs() <= (DRIFT * b.abs()).max(DRIFT_NEAR_ZERO).max(uncertainty)
    };
    let drifted = |(new, old): &(&Row, &Row)| {
        new.panel != old.panel
            || new.series != old.series
            || !close(new.x, old.x, 0.0)
            || !close(new.y, old.y, old.uncertainty)
    };
    let moved: Vec<_> = new.iter().zip(old).filter(drifted).collect();
    match moved.first() {
        None => Ok(()),
        Some((new, old)) => Err(FigureError::format(
            path,
            format!(
                "{} of {} rows moved, first panel {:?}, series {:?}: y({}) = {} was golden, now y({}) = {}",
                moved.len(),
                golden.rows().len(),
                old.panel,
                old.series,
                old.x,
                old.y,
                new.x,
                new.y
            ),
        )),
    }
}
