//! `onsager predict`: fixed points of state evolution.

use clap::{Args, ValueEnum};
use onsager::model::{Document, Model};
use onsager::replica::{FixedPoint, Prediction, StateEvolution};
use serde::Serialize;

use super::failure::Failure;
use super::input::{ModelArguments, Sweep};
use super::{interrupt, output};

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// Predicts along a range of one key: FROM:TO:POINTS, both ends included; `:log` spaces the
    /// points evenly in the logarithm.
    #[arg(long, value_name = "KEY=RANGE")]
    sweep: Option<String>,
    /// Follows the algorithm for this many iterations instead.
    #[arg(long, value_name = "STEPS", conflicts_with = "sweep")]
    trajectory: Option<usize>,
    /// Where the trajectory starts.
    #[arg(long, value_enum, requires = "trajectory")]
    start: Option<Start>,
}

/// Starts for which state evolution predicts the path.
#[derive(Clone, Copy, ValueEnum)]
enum Start {
    Uninformed,
    Informed,
    Spectral,
}

#[derive(Serialize)]
struct Single<'a> {
    model: &'a Model,
    #[serde(flatten)]
    prediction: &'a Prediction,
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
    if arguments.trajectory.is_some() || arguments.start.is_some() {
        return Err(Failure::Input(
            "option --trajectory is not supported yet".into(),
        ));
    }
    match &arguments.sweep {
        None => single(arguments, &document),
        Some(text) => sweep(arguments, &document, &Sweep::parse("--sweep", text)?),
    }
}

fn single(arguments: &Arguments, document: &Document) -> Result<(), Failure> {
    let prediction = StateEvolution::new(&document.model().tree()?)?.predict()?;
    if arguments.model.json {
        return output::json(&Single {
            model: document.model(),
            prediction: &prediction,
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
    ))
}

fn sweep(arguments: &Arguments, document: &Document, sweep: &Sweep) -> Result<(), Failure> {
    // The key must be a number of the model, and every value must be allowed, before any work.
    let key = document.quantity(&sweep.key)?.key.clone();
    let values = sweep.values();
    let at = |value: f64| -> Result<StateEvolution, Failure> {
        let mut document = document.clone();
        document.set_all("--sweep", &[(&key, &format!("{value:e}"))])?;
        Ok(StateEvolution::new(&document.model().tree()?)?)
    };
    let evolutions = values
        .iter()
        .map(|v| at(*v))
        .collect::<Result<Vec<_>, _>>()?;
    // One curve serves every noise of one model.
    let shared = match (evolutions.first(), key.as_str()) {
        (Some(first), "observation.noise") if values.len() > 1 => Some(first.curve(None)?),
        _ => None,
    };
    let bar = output::progress(values.len(), "predict");
    let mut points = Vec::with_capacity(values.len());
    for (value, evolution) in values.iter().zip(&evolutions) {
        if interrupt::stopped() {
            break;
        }
        let inside = |c: &&onsager::replica::Curve| c.range.0 <= *value && *value <= c.range.1;
        let prediction = match shared.as_ref().filter(inside) {
            Some(curve) => evolution.predict_on(curve, *value)?,
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
