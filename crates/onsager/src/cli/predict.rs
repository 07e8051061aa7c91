//! `onsager predict`: fixed points of state evolution.

use clap::Args;
use onsager::model::{Document, Model};
use onsager::replica::{Curve, FixedPoint, Prediction, StateEvolution, TrajectoryStep};
use serde::Serialize;

use super::failure::Failure;
use super::input::ModelArguments;
use super::output;
use super::sweep::Along;
use super::trajectory::{self, Start};

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

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let document = arguments.model.document()?;
    match &arguments.sweep {
        None => single(arguments, &document),
        Some(text) => sweep(arguments, &Along::parse(&document, text)?),
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
    let labels = prediction.algorithmic.generalisation_error.is_some();
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
        let mut row = vec![
            output::number(point.overlap),
            output::number(point.mmse),
            point
                .snr
                .map_or_else(|| "infinite".to_string(), output::number),
            output::number(point.potential),
            output::optional(point.mutual_information),
        ];
        if labels {
            row.push(output::optional(point.generalisation_error));
        }
        row.push(notes.join(", "));
        row
    };
    let rows: Vec<_> = prediction.fixed_points.iter().map(row).collect();
    let mut header = vec!["overlap", "mmse", "snr", "potential", "information"];
    header.extend(labels.then_some("generalisation error"));
    header.push("");
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

fn sweep(arguments: &Arguments, along: &Along<'_>) -> Result<(), Failure> {
    let evolution = |value| -> Result<StateEvolution, Failure> {
        Ok(StateEvolution::new(&along.at(value)?.tree()?)?)
    };
    // One curve serves every noise of one model, or every sampling ratio.
    let shared = match along.values() {
        &[first, _, ..] => {
            let first = evolution(first)?;
            let serves = along.curve == first.key();
            serves.then(|| first.curve(None)).transpose()?
        }
        _ => None,
    };
    let answer = |value: f64| -> Result<Prediction, Failure> {
        let evolution = evolution(value)?;
        let noise = evolution.noise();
        let inside = |c: &&Curve| c.range.0 <= noise && noise <= c.range.1;
        Ok(match shared.as_ref().filter(inside) {
            Some(curve) => evolution.predict_on(curve, noise)?,
            None => evolution.predict()?,
        })
    };
    let row = |prediction: &Prediction| {
        let (a, o) = (&prediction.algorithmic, &prediction.optimal);
        vec![
            output::number(a.overlap),
            output::number(a.mmse),
            output::number(o.overlap),
            output::number(o.mmse),
            output::optional(o.mutual_information),
            prediction.fixed_points.len().to_string(),
        ]
    };
    let header = [
        "overlap (algorithmic)",
        "mmse (algorithmic)",
        "overlap (optimal)",
        "mmse (optimal)",
        "information",
        "fixed points",
    ];
    along.print(&arguments.model, "predict", answer, &header, row)
}
