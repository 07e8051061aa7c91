//! `onsager predict`: fixed points of state evolution.

use clap::Args;
use onsager::model::{Document, Model};
use onsager::replica::{FixedPoint, Prediction, StateEvolution, TrajectoryStep};
use serde::Serialize;

use super::failure::Failure;
use super::input::{self, ModelArguments, Sweep};
use super::trajectory::{self, Start};
use super::{interrupt, output};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Predicts along a range of one key: FROM:TO:POINTS, both ends included; `:log` spaces the
    /// points evenly in the logarithm.
    #[arg(long, value_name = "KEY=RANGE")]
    sweep: Option<String>,
    /// Follows message passing for this many iterations, too.
    #[arg(
        long,
        value_name = "STEPS",
        conflicts_with = "sweep",
        allow_hyphen_values = true
    )]
    trajectory: Option<usize>,
    /// Where the trajectory starts.
    #[arg(long, value_enum, default_value_t = Start::Uninformed, requires = "trajectory")]
    start: Start,
}

#[derive(Serialize)]
struct Single<'a> {
    model: &'a Model,
    #[serde(flatten)]
    prediction: &'a Prediction,
    #[serde(skip_serializing_if = "Option::is_none")]
    trajectory: Option<&'a [TrajectoryStep]>,
}

#[derive(Serialize)]
struct Swept<'a> {
    model: &'a Model,
    parameter: &'a str,
    points: &'a [Point],
}

#[derive(Serialize)]
struct Point {
    value: f64,
    #[serde(flatten)]
    prediction: Prediction,
}

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let document = arguments.model.document()?;
    match &arguments.sweep {
        None => single(arguments, &document),
        Some(text) => sweep(arguments, &document, &Sweep::parse("--sweep", text)?),
    }
}

fn single(arguments: &Arguments, document: &Document) -> Result<(), Failure> {
    let tree = document.model().tree()?;
    let prediction = StateEvolution::new(&tree)?.predict()?;
    let path = (arguments.trajectory)
        .map(|steps| trajectory::predict(&tree, arguments.start, steps))
        .transpose()?;
    if arguments.model.json {
        return output::json(&Single {
            model: document.model(),
            prediction: &prediction,
            trajectory: path.as_ref().map(|path| path.steps.as_slice()),
        });
    }
    let row = |point: &FixedPoint| {
        let mut notes = Vec::new();
        for (note, holds) in [
            ("algorithmic", *point == prediction.algorithmic),
            ("optimal", *point == prediction.optimal),
            ("perfect", point.perfect),
            ("unstable", !point.stable),
        ] {
            if holds {
                notes.push(note);
            }
        }
        vec![
            output::number(point.overlap),
            output::number(point.mmse),
            point
                .snr
                .map_or_else(|| "infinite".to_string(), output::number),
            output::number(point.potential),
            output::optional(point.mutual_information),
            notes.join(", "),
        ]
    };
    let rows: Vec<_> = prediction.fixed_points.iter().map(row).collect();
    let header = ["overlap", "mmse", "snr", "potential", "information", ""];
    output::print(&format!(
        "{}\n{}",
        arguments.model.title(document),
        output::table(&header, &rows)
    ))?;
    match path {
        Some(path) => output::print(&trajectory::describe(&tree, &path)),
        None => Ok(()),
    }
}

fn sweep(arguments: &Arguments, document: &Document, sweep: &Sweep) -> Result<(), Failure> {
    let quantity = document.quantity(&sweep.key)?;
    let key = quantity.key.clone();
    let values = sweep.values();
    let at = |value: f64| -> Result<StateEvolution, Failure> {
        let mut document = document.clone();
        document.set_all("--sweep", &[(&key, &format!("{value:e}"))])?;
        Ok(StateEvolution::new(&document.model().tree()?)?)
    };
    // What a number may be is an interval: with both ends every value is allowed.
    let first = at(sweep.from)?;
    at(sweep.to)?;
    // One curve serves every noise of one model, or every sampling ratio.
    let shared = if values.len() > 1 && input::key(quantity) == first.key() {
        Some(first.curve(None)?)
    } else {
        None
    };
    let bar = output::progress(values.len(), "predict");
    let mut points = Vec::with_capacity(values.len());
    for value in &values {
        if interrupt::stopped() {
            break;
        }
        let evolution = at(*value)?;
        let noise = evolution.noise();
        let inside = |c: &&onsager::replica::Curve| c.range.0 <= noise && noise <= c.range.1;
        let prediction = match shared.as_ref().filter(inside) {
            Some(curve) => evolution.predict_on(curve, noise)?,
            None => evolution.predict()?,
        };
        points.push(Point {
            value: *value,
            prediction,
        });
        bar.inc(1);
    }
    bar.finish_and_clear();
    if arguments.model.json {
        output::json(&Swept {
            model: document.model(),
            parameter: &sweep.key,
            points: &points,
        })?;
    } else {
        let row = |point: &Point| {
            let (a, o) = (&point.prediction.algorithmic, &point.prediction.optimal);
            vec![
                output::number(point.value),
                output::number(a.overlap),
                output::number(a.mmse),
                output::number(o.overlap),
                output::number(o.mmse),
                output::optional(o.mutual_information),
                point.prediction.fixed_points.len().to_string(),
            ]
        };
        let rows: Vec<_> = points.iter().map(row).collect();
        let header = [
            sweep.key.as_str(),
            "overlap (algorithmic)",
            "mmse (algorithmic)",
            "overlap (optimal)",
            "mmse (optimal)",
            "information",
            "fixed points",
        ];
        output::print(&format!(
            "{}\n{}",
            arguments.model.title(document),
            output::table(&header, &rows)
        ))?;
    }
    if points.len() < values.len() {
        return Err(Failure::Interrupted(format!(
            "stopped by the user after {} of {} points",
            points.len(),
            values.len()
        )));
    }
    Ok(())
}
