//! `onsager phase-diagram`: errors and thresholds over two parameters.

use clap::Args;
use onsager::model::{Document, Model, ModelError, Tree};
use onsager::replica::{Column, Diagram, Errors, Key, Line, StateEvolution, ThresholdKind};
use rayon::prelude::*;
use serde::Serialize;

use super::failure::Failure;
use super::input::{self, MOST_POINTS, ModelArguments, Sweep, wrong};
use super::thresholds::word;
use super::{interrupt, output};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The horizontal axis, FROM:TO:POINTS, both ends included; `:log` spaces the points evenly in
    /// the logarithm.
    #[arg(long, value_name = "KEY=RANGE")]
    x: String,
    /// The vertical axis. Fast where one of the two is the noise of the observation, or the sampling
    /// ratio of a generalised linear model.
    #[arg(long, value_name = "KEY=RANGE")]
    y: String,
    /// How often gaps of the grid are halved where a line begins, ends or is steep.
    #[arg(long, value_name = "N", default_value_t = 4, value_parser = clap::value_parser!(u32).range(0..=20))]
    refine: u32,
    /// Columns at a time.
    #[arg(
        long,
        value_name = "N",
        default_value_t = 1,
        allow_hyphen_values = true
    )]
    jobs: usize,
}

/// One of the two axes.
struct Axis {
    parameter: String,
    /// The key written out.
    key: String,
    /// Whether a curve of fixed points runs along it.
    curve: Key,
    values: Vec<f64>,
}

impl Axis {
    fn parse(document: &Document, option: &str, text: &str) -> Result<Self, Failure> {
        let sweep = Sweep::parse(option, text)?;
        let quantity = document.quantity(&sweep.key)?;
        let axis = Self {
            key: quantity.key.clone(),
            curve: input::key(quantity),
            values: sweep.values(),
            parameter: sweep.key,
        };
        if axis.values.len() < 2 {
            return Err(wrong(option, text, "a range of two points or more"));
        }
        Ok(axis)
    }

    fn ends(&self) -> [f64; 2] {
        [self.values[0], self.values[self.values.len() - 1]]
    }
}

#[derive(Serialize)]
struct Report<'a> {
    model: &'a Model,
    x: Side<'a>,
    y: Side<'a>,
    /// The axis in which thresholds were located, and in which their uncertainties are.
    along: &'a str,
    mmse: Maps,
    lines: &'a [Drawn],
    failures: &'a [Failed],
}

#[derive(Serialize)]
struct Side<'a> {
    parameter: &'a str,
    values: &'a [f64],
}

/// One row for every `y`, one number for every `x`; `null` where there is none.
#[derive(Serialize)]
struct Maps {
    algorithmic: Vec<Vec<Option<f64>>>,
    optimal: Vec<Vec<Option<f64>>>,
}

#[derive(Serialize)]
struct Drawn {
    kind: ThresholdKind,
    #[serde(skip_serializing_if = "Option::is_none")]
    variable: Option<String>,
    points: Vec<Point>,
}

#[derive(Serialize)]
struct Point {
    x: f64,
    y: f64,
    uncertainty: f64,
}

/// What could not be computed: a cell, or the lines of a whole column.
#[derive(Serialize)]
struct Failed {
    #[serde(skip_serializing_if = "Option::is_none")]
    x: Option<f64>,
    #[serde(skip_serializing_if = "Option::is_none")]
    y: Option<f64>,
    reason: String,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let document = arguments.model.document()?;
    let tree = document.model().tree()?;
    let x = Axis::parse(&document, "--x", &arguments.x)?;
    let y = Axis::parse(&document, "--y", &arguments.y)?;
    if x.key == y.key {
        return Err(wrong("--y", &y.parameter, "another key than --x"));
    }
    if x.values.len() * y.values.len() > MOST_POINTS {
        let cells = (x.values.len() * y.values.len()).to_string();
        let allowed = format!("a grid of at most {MOST_POINTS} points");
        return Err(wrong("--x and --y", &cells, &allowed));
    }
    if arguments.jobs == 0 {
        return Err(wrong("--jobs", "0", "at least 1"));
    }
    let at = |x_value: f64, y_value: f64| -> Result<Tree, ModelError> {
        let mut member = document.clone();
        let text = |value: f64| format!("{value:e}");
        member.set_all("--x", &[(&x.key, &text(x_value))])?;
        member.set_all("--y", &[(&y.key, &text(y_value))])?;
        member.model().tree()
    };
    // What a number may be is an interval: with all corners every pair is allowed.
    for x_value in x.ends() {
        for y_value in y.ends() {
            at(x_value, y_value)?;
        }
    }
    let curve = StateEvolution::new(&tree)?.key();
    let is_upright = y.curve == curve || x.curve != curve;
    let (across, along) = if is_upright { (&x, &y) } else { (&y, &x) };
    let key = if along.curve == curve {
        curve
    } else {
        Key::Other
    };
    let mut diagram = Diagram::new(across.values.clone(), along.values.clone(), key)?;
    let family = |across: f64, along: f64| {
        if interrupt::stopped() {
            // A column of curves ends soon; its cells so far stay.
            return Err(ModelError::NotSupported {
                what: STOPPED.into(),
            });
        }
        match is_upright {
            true => at(across, along),
            false => at(along, across),
        }
    };
    fill(&mut diagram, &family, arguments)?;
    let finished = Finished {
        diagram: &diagram,
        across,
        along,
        is_upright,
    };
    let (maps, failures) = finished.maps();
    let lines: Vec<Drawn> = diagram.lines().iter().map(|l| finished.drawn(l)).collect();
    let known = maps.optimal.iter().flatten().flatten().count();
    for failed in failures.iter().take(MOST_MESSAGES) {
        let place = [(&x, failed.x), (&y, failed.y)];
        let place = place.map(|(axis, v)| v.map(|v| format!("{} = {v}", axis.parameter)));
        let place: Vec<String> = place.into_iter().flatten().collect();
        output::message(&format!("at {}: {}", place.join(", "), failed.reason));
    }
    if failures.len() > MOST_MESSAGES {
        let more = failures.len() - MOST_MESSAGES;
        output::message(&format!("and {more} failures more"));
    }
    if arguments.model.json {
        output::json(&Report {
            model: document.model(),
            x: Side {
                parameter: &x.parameter,
                values: &x.values,
            },
            y: Side {
                parameter: &y.parameter,
                values: &y.values,
            },
            along: if is_upright { "y" } else { "x" },
            mmse: maps,
            lines: &lines,
            failures: &failures,
        })?;
    } else {
        let title = arguments.model.title(&document);
        output::print(&format!("{title}\n{}", finished.table()?))?;
    }
    let cells = x.values.len() * y.values.len();
    if interrupt::stopped() {
        return Err(Failure::Interrupted(format!(
            "stopped by the user after {known} of {cells} points"
        )));
    }
    if known == 0 {
        let reason = failures.first().map_or("", |failed| &failed.reason);
        return Err(Failure::Run(format!("every point failed: {reason}")));
    }
    Ok(())
}

const STOPPED: &str = "a column stopped by the user";
/// Failures told one by one; JSON holds all.
const MOST_MESSAGES: usize = 5;

/// Computes columns until none is missing or the user stops.
fn fill(
    diagram: &mut Diagram,
    family: &(dyn Fn(f64, f64) -> Result<Tree, ModelError> + Sync),
    arguments: &Arguments,
) -> Result<(), Failure> {
    let pool = rayon::ThreadPoolBuilder::new()
        .num_threads(arguments.jobs)
        .build()
        .map_err(|error| Failure::Run(format!("threads cannot be started: {error}")))?;
    let bar = output::progress(0, "phase-diagram");
    loop {
        let missing = diagram.missing(arguments.refine);
        if missing.is_empty() || interrupt::stopped() {
            break;
        }
        bar.inc_length(missing.len() as u64);
        let known = &*diagram;
        let column = |value: &f64| {
            let column = (!interrupt::stopped()).then(|| known.column(&family, *value));
            bar.inc(1);
            column
        };
        let columns: Vec<Option<Column>> =
            pool.install(|| missing.par_iter().map(column).collect());
        columns
            .into_iter()
            .flatten()
            .for_each(|c| diagram.insert(c));
    }
    bar.finish_and_clear();
    Ok(())
}

/// A diagram, and which of its sides is which axis.
struct Finished<'a> {
    diagram: &'a Diagram,
    across: &'a Axis,
    along: &'a Axis,
    /// The parameter across is `x`.
    is_upright: bool,
}

impl Finished<'_> {
    /// The errors on the grid, and what failed.
    fn maps(&self) -> (Maps, Vec<Failed>) {
        let mut failures = Vec::new();
        let mut place = |across: f64, along: Option<f64>, reason: String| {
            let (x, y) = match self.is_upright {
                true => (Some(across), along),
                false => (along, Some(across)),
            };
            failures.push(Failed { x, y, reason });
        };
        for column in self.diagram.columns() {
            for (along, cell) in self.along.values.iter().zip(&column.cells) {
                let reason = cell.as_ref().err().map(ToString::to_string);
                if let Some(reason) = reason.filter(|reason| !reason.contains(STOPPED)) {
                    place(column.value, Some(*along), reason);
                }
            }
            let reason = column.thresholds.as_ref().err().map(ToString::to_string);
            let is_new = column.cells.iter().all(Result::is_ok);
            if let Some(reason) = reason.filter(|r| is_new && !r.contains(STOPPED)) {
                place(column.value, None, reason);
            }
        }
        let column = |across: &f64| {
            let mut columns = self.diagram.columns().iter();
            columns.find(|column| column.value == *across)
        };
        let columns: Vec<Option<&Column>> = self.across.values.iter().map(column).collect();
        let map = |which: fn(&Errors) -> f64| {
            let cell = |across: usize, along: usize| {
                let cell = columns[across]?.cells.get(along)?;
                cell.as_ref().ok().map(which).filter(|x| x.is_finite())
            };
            let (m, n) = (self.across.values.len(), self.along.values.len());
            let rows = |rows: usize, columns: usize, cell: &dyn Fn(usize, usize) -> _| {
                let row = |i| (0..columns).map(|j| cell(i, j)).collect();
                (0..rows).map(row).collect()
            };
            match self.is_upright {
                true => rows(n, m, &|i, j| cell(j, i)),
                false => rows(m, n, &cell),
            }
        };
        let maps = Maps {
            algorithmic: map(|errors| errors.algorithmic),
            optimal: map(|errors| errors.optimal),
        };
        (maps, failures)
    }

    fn drawn(&self, line: &Line) -> Drawn {
        let point = |p: &onsager::replica::LinePoint| {
            let (x, y) = match self.is_upright {
                true => (p.across, p.along),
                false => (p.along, p.across),
            };
            let uncertainty = p.uncertainty;
            Point { x, y, uncertainty }
        };
        Drawn {
            kind: line.kind,
            variable: line.variable.clone(),
            points: line.points.iter().map(point).collect(),
        }
    }

    /// A row for every column of the diagram: where lines of each kind cross it.
    fn table(&self) -> Result<String, Failure> {
        let kinds = [
            ThresholdKind::WeakRecovery,
            ThresholdKind::Algorithmic,
            ThresholdKind::InformationTheoretic,
            ThresholdKind::Dynamical,
        ];
        let mut header = vec![self.across.parameter.clone()];
        for kind in &kinds {
            header.push(word(kind)?);
        }
        let row = |column: &Column| {
            let cell = |kind: &ThresholdKind| match &column.thresholds {
                Ok(all) => {
                    let values = all.iter().filter(|t| t.kind == *kind);
                    let values: Vec<String> = values.map(|t| output::number(t.value)).collect();
                    values.join(", ")
                }
                Err(_) => "failed".into(),
            };
            let mut cells = vec![output::number(column.value)];
            cells.extend(kinds.iter().map(cell));
            cells
        };
        let rows: Vec<_> = self.diagram.columns().iter().map(row).collect();
        let header: Vec<&str> = header.iter().map(String::as_str).collect();
        Ok(format!(
            "thresholds in {}\n{}",
            self.along.parameter,
            output::table(&header, &rows)
        ))
    }
}
