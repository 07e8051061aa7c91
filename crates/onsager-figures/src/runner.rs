use std::collections::HashSet;
use std::fmt::Write as _;
use std::fs;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use indicatif::{ProgressBar, ProgressStyle};
use rayon::prelude::*;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::agreement::{Verdict, judge};
use crate::table::write_whole;
use crate::{Context, Figure, FigureError, Job, Profile, Table};

/// Computes figures into a folder, point by point, and continues where it was stopped.
///
/// `DIR/ID/` receives `theory.csv`, `simulation.csv`, `figure.json`, `figure.svg`, `figure.png`,
/// which have the same bytes for any number of threads and after any interruption (unless the figure
/// says that it is [`Figure::measured`]), and `timing.json`, which has not. `DIR/ID/points/` keeps every finished point.
#[derive(Debug)]
pub struct Runner<'a> {
    /// Folder of the results.
    pub out: PathBuf,
    /// How much is computed.
    pub profile: Profile,
    /// Master seed.
    pub seed: u64,
    /// Threads over points; 0 takes one for each processor.
    pub jobs: usize,
    /// Revision of the working tree, recorded in `figure.json`.
    pub commit: Option<String>,
    /// Set it to stop: points in flight end at their next check, finished ones are kept.
    pub stop: &'a AtomicBool,
}

/// `figure.json`: what was computed, from what, and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// Identifier of the figure.
    pub id: String,
    /// Its title.
    pub title: String,
    /// Its source.
    pub source: String,
    /// Its claim.
    pub claim: String,
    /// Whether its numbers are times of one machine, which no other run repeats.
    #[serde(default)]
    pub measured: bool,
    /// From what it was computed.
    pub provenance: Provenance,
    /// What came of its agreements; empty if the simulation was not asked for.
    pub verdicts: Vec<Verdict>,
}

impl Record {
    /// Whether there are agreements and all of them held.
    pub fn held(&self) -> bool {
        !self.verdicts.is_empty() && self.verdicts.iter().all(|verdict| verdict.held)
    }
}

/// From what a figure was computed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Provenance {
    /// Revision of the figure.
    pub revision: u32,
    /// Profile of the run.
    pub profile: Profile,
    /// Master seed of the run.
    pub seed: u64,
    /// Whether the simulation was run.
    pub simulated: bool,
    /// Version of this crate.
    pub version: String,
    /// SHA-256 of the sources of the crates below and of the figure.
    pub sources: String,
    /// Commit of the working tree, if it is known.
    pub commit: Option<String>,
}

/// `timing.json`: the only file that tells two runs apart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Timing {
    /// Wall time of this run in seconds.
    pub seconds: f64,
    /// Threads over points.
    pub threads: usize,
    /// Seconds for each point; `None` if it was there already.
    pub points: Times,
}

type Times = Vec<(String, Option<f64>)>;

impl Runner<'_> {
    /// Computes what is missing, judges, draws and writes one figure.
    pub fn run(&self, figure: &dyn Figure, simulate: bool) -> Result<Record, FigureError> {
        let start = Instant::now();
        let theory = figure.theory(self.profile);
        let simulation = if simulate {
            figure.simulation(self.profile)
        } else {
            Vec::new()
        };
        let pool = self.pool()?;
        let threads = pool.current_num_threads();
        let (tables, points) =
            pool.install(|| self.tables(figure, [&theory, &simulation], true))?;
        let [theory, simulation] = tables;

        let folder = self.out.join(figure.id());
        theory.write(&folder.join("theory.csv"))?;
        simulation.write(&folder.join("simulation.csv"))?;
        let provenance = Provenance {
            revision: figure.revision(),
            profile: self.profile,
            seed: self.seed,
            simulated: simulate,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            sources: sources(figure.id()).to_owned(),
            commit: self.commit.clone(),
        };
        let record = self.finish(figure, &theory, &simulation, provenance)?;
        let timing = Timing {
            seconds: start.elapsed().as_secs_f64(),
            threads,
            points,
        };
        write_json(&folder.join("timing.json"), &timing)?;
        Ok(record)
    }

    /// Judges and draws the tables on disk again.
    pub fn redraw(&self, figure: &dyn Figure) -> Result<Record, FigureError> {
        let folder = self.out.join(figure.id());
        let path = folder.join("figure.json");
        let record: Record = read_json(&path)?;
        if record.provenance.revision != figure.revision() {
            let (expected, found) = (figure.revision(), record.provenance.revision);
            return Err(FigureError::Stale {
                path,
                expected,
                found,
            });
        }
        let theory = Table::read(&folder.join("theory.csv"))?;
        let simulation = Table::read(&folder.join("simulation.csv"))?;
        self.finish(figure, &theory, &simulation, record.provenance)
    }

    /// The theory table alone; nothing is read or written.
    pub fn theory(&self, figure: &dyn Figure) -> Result<Table, FigureError> {
        let jobs = figure.theory(self.profile);
        let ([theory, _], _) = self
            .pool()?
            .install(|| self.tables(figure, [&jobs, &[]], false))?;
        Ok(theory)
    }

    /// Verdicts, pictures and the record, which comes last: it marks the folder as complete.
    fn finish(
        &self,
        figure: &dyn Figure,
        theory: &Table,
        simulation: &Table,
        provenance: Provenance,
    ) -> Result<Record, FigureError> {
        let folder = self.out.join(figure.id());
        let drawing = |reason| FigureError::Drawing {
            figure: figure.id().to_owned(),
            reason,
        };
        let picture = figure.picture(theory, simulation);
        write_whole(&folder.join("figure.svg"), picture.svg().as_bytes())?;
        write_whole(&folder.join("figure.png"), &picture.png().map_err(drawing)?)?;
        let verdicts = if provenance.simulated {
            judge(&figure.agreements(theory, simulation))
        } else {
            Vec::new()
        };
        let record = Record {
            id: figure.id().to_owned(),
            title: figure.title().to_owned(),
            source: figure.source().to_owned(),
            claim: figure.claim().to_owned(),
            measured: figure.measured(),
            provenance,
            verdicts,
        };
        write_json(&folder.join("figure.json"), &record)?;
        Ok(record)
    }

    fn pool(&self) -> Result<rayon::ThreadPool, FigureError> {
        rayon::ThreadPoolBuilder::new()
            .num_threads(self.jobs)
            .build()
            .map_err(|error| FigureError::Threads(error.to_string()))
    }

    /// Theory and simulation together, so that no thread waits; rows in the order of the jobs.
    fn tables(
        &self,
        figure: &dyn Figure,
        jobs: [&[Job]; 2],
        keep: bool,
    ) -> Result<([Table; 2], Times), FigureError> {
        for jobs in jobs {
            let mut keys = HashSet::new();
            if let Some(job) = jobs.iter().find(|job| !keys.insert(job.key())) {
                return Err(FigureError::DuplicatePoint {
                    figure: figure.id().to_owned(),
                    point: job.key.clone(),
                });
            }
        }
        let all: Vec<_> = ["theory", "simulation"]
            .into_iter()
            .zip(jobs)
            .flat_map(|(kind, jobs)| jobs.iter().map(move |job| (kind, job)))
            .collect();
        let bar = ProgressBar::new(all.len() as u64).with_prefix(figure.id());
        if let Ok(style) =
            ProgressStyle::with_template("{prefix} {bar:30} {pos}/{len} points {elapsed}")
        {
            bar.set_style(style);
        }
        // A failed point stops nothing that is in flight, so that a repeated run finds it done.
        let points: Vec<_> = all
            .par_iter()
            .with_max_len(1)
            .map(|(kind, job)| {
                let point = self.point(figure, kind, job, keep);
                bar.inc(1);
                point
            })
            .collect();
        bar.finish_and_clear();

        let mut times = Vec::with_capacity(points.len());
        let mut rows = Vec::with_capacity(points.len());
        for ((kind, job), point) in all.iter().zip(points) {
            let (table, seconds) = point?;
            times.push((format!("{kind} {}", job.key), seconds));
            rows.push(table.rows().to_vec());
        }
        let simulation = rows.split_off(jobs[0].len());
        let table = |rows: Vec<Vec<_>>| Table::new(rows.into_iter().flatten().collect());
        Ok(([table(rows), table(simulation)], times))
    }

    /// One point, from its file or computed; seconds if it was computed.
    fn point(
        &self,
        figure: &dyn Figure,
        kind: &str,
        job: &Job,
        keep: bool,
    ) -> Result<(Table, Option<f64>), FigureError> {
        let name = self.key(figure, kind, job);
        let path = self
            .out
            .join(figure.id())
            .join("points")
            .join(format!("{name}.csv"));
        if keep
            && path.exists()
            && let Ok(table) = Table::read(&path)
        {
            return Ok((table, None));
        }
        if self.stop.load(Ordering::Relaxed) {
            return Err(FigureError::Interrupted);
        }
        let start = Instant::now();
        let context = Context {
            figure: figure.id(),
            point: &job.key,
            seed: self.seed,
            profile: self.profile,
            stop: self.stop,
        };
        let failed = |source| FigureError::Point {
            figure: figure.id().to_owned(),
            point: job.key.clone(),
            source,
        };
        let rows = match (job.run)(&context) {
            Ok(rows) => rows,
            Err(FigureError::Computation(source)) => return Err(failed(source)),
            Err(FigureError::Interrupted) => return Err(FigureError::Interrupted),
            Err(error) => return Err(failed(error.into())),
        };
        let table = Table::new(rows);
        if keep {
            table.write(&path)?;
        }
        Ok((table, Some(start.elapsed().as_secs_f64())))
    }

    /// Name of a point's file: everything that decides its numbers.
    fn key(&self, figure: &dyn Figure, kind: &str, job: &Job) -> String {
        let mut hash = Sha256::new();
        for part in [figure.id(), kind, job.key(), sources(figure.id())] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(self.profile.to_string());
        hash.update(self.seed.to_le_bytes());
        hash.update(figure.revision().to_le_bytes());
        hex(&hash.finalize())
    }
}

/// Hash of the sources behind a figure: the crates below and its own file, if it has one.
fn sources(id: &str) -> &'static str {
    const FIGURES: &[(&str, &str)] = include!(concat!(env!("OUT_DIR"), "/figure_sources.rs"));
    let own = FIGURES.iter().find(|(figure, _)| *figure == id);
    own.map_or(env!("ONSAGER_SOURCES_BELOW"), |(_, hash)| hash)
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

fn write_json<T: Serialize>(path: &std::path::Path, value: &T) -> Result<(), FigureError> {
    let mut bytes =
        serde_json::to_vec_pretty(value).map_err(|error| FigureError::format(path, error))?;
    bytes.push(b'\n');
    write_whole(path, &bytes)
}

pub(crate) fn read_json<T: for<'de> Deserialize<'de>>(
    path: &std::path::Path,
) -> Result<T, FigureError> {
    let bytes = fs::read(path).map_err(FigureError::file(path))?;
    serde_json::from_slice(&bytes).map_err(|error| FigureError::format(path, error))
}
