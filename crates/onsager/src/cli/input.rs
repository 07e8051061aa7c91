//! What every command reads: a model, assignments to its keys, ranges.

use clap::Args;
use onsager::model::{Document, Quantity};
use onsager::replica::Key;

use super::failure::Failure;

/// The model and how results are printed.
#[derive(Args)]
pub(crate) struct ModelArguments {
    /// A model file, or the name of a preset.
    model: String,
    /// Sets a key of the model, e.g. observation.noise=0.5; may be repeated.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    set: Vec<String>,
    /// Prints JSON.
    #[arg(long)]
    pub(crate) json: bool,
}

impl ModelArguments {
    /// The document with all assignments made.
    pub(crate) fn document(&self) -> Result<Document, Failure> {
        let mut document = Document::open(&self.model)?;
        let assignments = (self.set.iter())
            .map(|text| split(text).ok_or_else(|| wrong("--set", text, "KEY=VALUE")))
            .collect::<Result<Vec<_>, _>>()?;
        document.set_all("--set", &assignments)?;
        Ok(document)
    }

    /// What to call the model in a headline.
    pub(crate) fn title(&self, document: &Document) -> String {
        document
            .model()
            .name
            .clone()
            .unwrap_or_else(|| self.model.clone())
    }
}

/// `KEY=FROM:TO:POINTS[:log]`.
pub(crate) struct Sweep {
    pub(crate) key: String,
    pub(crate) from: f64,
    pub(crate) to: f64,
    points: usize,
    logarithmic: bool,
}

/// Most points that a sweep may have: beyond, a number was mistyped.
pub(crate) const MOST_POINTS: usize = 1_000_000;

impl Sweep {
    pub(crate) fn parse(option: &str, text: &str) -> Result<Self, Failure> {
        let fail = |expected: &str| wrong(option, text, expected);
        let form = "KEY=FROM:TO:POINTS[:log]";
        let (key, range) = split(text).ok_or_else(|| fail(form))?;
        let parts: Vec<&str> = range.split(':').collect();
        let (from, to, points, logarithmic) = match parts.as_slice() {
            [from, to, points] => (from, to, points, false),
            [from, to, points, "log"] => (from, to, points, true),
            _ => return Err(fail(form)),
        };
        let (from, to) = interval(from, to).ok_or_else(|| fail("FROM < TO, both finite"))?;
        let points = (points.parse().ok())
            .filter(|n| (1..=MOST_POINTS).contains(n))
            .ok_or_else(|| fail("a number of points from 1 to 1000000"))?;
        if logarithmic && from <= 0.0 {
            return Err(fail("FROM > 0 on a logarithmic range"));
        }
        Ok(Self {
            key: key.to_string(),
            from,
            to,
            points,
            logarithmic,
        })
    }

    /// The values, both ends included; a single point is the lower end.
    pub(crate) fn values(&self) -> Vec<f64> {
        let last = self.points - 1;
        (0..self.points)
            .map(|i| match i {
                0 => self.from,
                i if i == last => self.to,
                i if self.logarithmic => {
                    let t = i as f64 / last as f64;
                    self.from * (t * (self.to / self.from).ln()).exp()
                }
                i => self.from + (self.to - self.from) * (i as f64 / last as f64),
            })
            .collect()
    }
}

/// `FROM:TO`.
pub(crate) fn range(option: &str, text: &str) -> Result<(f64, f64), Failure> {
    (text.split_once(':'))
        .and_then(|(from, to)| interval(from, to))
        .ok_or_else(|| wrong(option, text, "FROM:TO with FROM < TO, both finite"))
}

fn interval(from: &str, to: &str) -> Option<(f64, f64)> {
    let number = |text: &str| text.trim().parse().ok().filter(|x: &f64| x.is_finite());
    let (from, to) = (number(from)?, number(to)?);
    (from < to).then_some((from, to))
}

/// Whether the theory follows this key along its curve.
pub(crate) fn key(quantity: &Quantity) -> Key {
    match quantity.key.as_str() {
        "observation.noise" => Key::Noise,
        "observation.sensing.aspect" => Key::SamplingRatio,
        _ => Key::Other,
    }
}

/// `KEY=VALUE`.
pub(crate) fn split(text: &str) -> Option<(&str, &str)> {
    text.split_once('=')
        .filter(|(key, _)| !key.trim().is_empty())
}

/// A value that an option does not allow.
pub(crate) fn wrong(option: &str, value: &str, expected: &str) -> Failure {
    Failure::Input(format!("{option} must be {expected}, got \"{value}\""))
}
