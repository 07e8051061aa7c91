//! One answer for every value of a key.

use onsager::model::{Document, Model};
use onsager::replica::Key;
use serde::Serialize;

use super::failure::Failure;
use super::input::{self, ModelArguments, Sweep};
use super::{interrupt, output};

/// A sweep along one key of a document.
pub(crate) struct Along<'a> {
    document: &'a Document,
    parameter: String,
    /// The key written out.
    key: String,
    /// Whether a curve of fixed points runs along it.
    pub(crate) curve: Key,
    values: Vec<f64>,
}

#[derive(Serialize)]
struct Swept<'a, T> {
    model: &'a Model,
    parameter: &'a str,
    points: &'a [Point<T>],
}

#[derive(Serialize)]
struct Point<T> {
    value: f64,
    #[serde(flatten)]
    answer: T,
}

impl<'a> Along<'a> {
    /// The sweep that `text` asks for, KEY=FROM:TO:POINTS.
    pub(crate) fn parse(document: &'a Document, text: &str) -> Result<Self, Failure> {
        let sweep = Sweep::parse("--sweep", text)?;
        let quantity = document.quantity(&sweep.key)?;
        let along = Self {
            document,
            key: quantity.key.clone(),
            curve: input::key(quantity),
            values: sweep.values(),
            parameter: sweep.key,
        };
        // What a number may be is an interval: with both ends every value is allowed.
        along.at(sweep.from)?;
        along.at(sweep.to)?;
        Ok(along)
    }

    pub(crate) fn values(&self) -> &[f64] {
        &self.values
    }

    /// The model at one value of the key.
    pub(crate) fn at(&self, value: f64) -> Result<Model, Failure> {
        let mut document = self.document.clone();
        document.set_all("--sweep", &[(&self.key, &format!("{value:e}"))])?;
        Ok(document.model().clone())
    }

    /// Prints `answer` at every value, as JSON or as a table with the cells `row` under `header`;
    /// stops between two values when the user asks to, with what has been computed.
    pub(crate) fn print<T: Serialize>(
        &self,
        arguments: &ModelArguments,
        name: &'static str,
        answer: impl Fn(f64) -> Result<T, Failure>,
        header: &[&str],
        row: impl Fn(&T) -> Vec<String>,
    ) -> Result<(), Failure> {
        let bar = output::progress(self.values.len(), name);
        let mut points = Vec::with_capacity(self.values.len());
        for &value in &self.values {
            if interrupt::stopped() {
                break;
            }
            let answer = answer(value)?;
            points.push(Point { value, answer });
            bar.inc(1);
        }
        bar.finish_and_clear();
        if arguments.json {
            output::json(&Swept {
                model: self.document.model(),
                parameter: &self.parameter,
                points: &points,
            })?;
        } else {
            let header = [&[self.parameter.as_str()], header].concat();
            let cells = |point: &Point<T>| {
                let mut cells = row(&point.answer);
                cells.insert(0, output::number(point.value));
                cells
            };
            let rows: Vec<_> = points.iter().map(cells).collect();
            let table = output::table(&header, &rows);
            output::print(&format!("{}\n{table}", arguments.title(self.document)))?;
        }
        if points.len() < self.values.len() {
            return Err(Failure::Interrupted(format!(
                "stopped by the user after {} of {} points",
                points.len(),
                self.values.len()
            )));
        }
        Ok(())
    }
}
