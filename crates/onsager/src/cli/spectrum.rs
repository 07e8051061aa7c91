//! `onsager spectrum`: eigenvalues of spectral methods in the limit of large sizes.

use clap::{Args, ValueEnum};
use onsager::amp::{Problem, spectral};
use onsager::ensembles::Seed;
use onsager::model::instance::Teacher;
use onsager::model::{Document, Instance, Model, ModelError, ObservationKind, Tree};
use onsager::replica::ReplicaError;
use onsager::replica::spectral::{
    Covariance, Spectrum, SpikedMatrix, Status, lamp_spectrum, pca_spectrum,
};
use serde::Serialize;

use super::failure::Failure;
use super::input::{ModelArguments, wrong};
use super::output;
use super::sweep::Along;

#[derive(Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    model: ModelArguments,
    /// The matrix whose leading eigenvector is taken.
    #[arg(long, value_enum)]
    operator: Operator,
    /// Adds the density at this many points of every interval of the bulk.
    #[arg(
        long,
        value_name = "POINTS",
        conflicts_with = "sweep",
        allow_hyphen_values = true
    )]
    density: Option<String>,
    /// Repeats along a range of one key: FROM:TO:POINTS, both ends included; `:log` spaces the
    /// points evenly in the logarithm.
    #[arg(long, value_name = "KEY=RANGE")]
    sweep: Option<String>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Operator {
    /// Principal component: `Y/√p`, or `YᵀY/p`.
    Pca,
    /// Linearised message passing, with the covariance of the prior.
    Lamp,
}

#[derive(Serialize)]
struct Single<'a> {
    model: &'a Model,
    #[serde(flatten)]
    spectrum: &'a Spectrum,
    #[serde(skip_serializing_if = "Option::is_none")]
    density: Option<&'a [(f64, f64)]>,
}

/// Most points of a density: beyond, a number was mistyped.
const MOST_POINTS: usize = 100_000;

pub(crate) fn run(arguments: &Arguments) -> Result<(), Failure> {
    let document = arguments.model.document()?;
    match &arguments.sweep {
        None => single(arguments, &document),
        Some(text) => sweep(arguments, &Along::parse(&document, text)?),
    }
}

fn single(arguments: &Arguments, document: &Document) -> Result<(), Failure> {
    let points = (arguments.density.as_ref())
        .map(|text| {
            (text.parse().ok())
                .filter(|n| (2..=MOST_POINTS).contains(n))
                .ok_or_else(|| wrong("--density", text, "a number of points from 2 to 100000"))
        })
        .transpose()?;
    let spectrum = spectrum(document.model(), arguments.operator)?;
    let density = points.map(|points| spectrum.density(points));
    if arguments.model.json {
        return output::json(&Single {
            model: document.model(),
            spectrum: &spectrum,
            density: density.as_deref(),
        });
    }
    let mut text = format!(
        "{}\n{}",
        arguments.model.title(document),
        describe(&spectrum)
    );
    for (x, density) in density.iter().flatten() {
        text.push_str(&format!(
            "\n{} {}",
            output::number(*x),
            output::number(*density)
        ));
    }
    output::print(&text)
}

fn sweep(arguments: &Arguments, along: &Along<'_>) -> Result<(), Failure> {
    let row = |spectrum: &Spectrum| {
        let intervals = &spectrum.support().intervals;
        let edges = [
            intervals.first().map(|i| i.0),
            intervals.last().map(|i| i.1),
        ];
        vec![
            output::optional(edges[0]),
            output::optional(edges[1]),
            intervals.len().to_string(),
            output::optional(spectrum.outlier),
            output::number(spectrum.overlap),
        ]
    };
    let header = [
        "lowest edge",
        "highest edge",
        "intervals",
        "outlier",
        "overlap (cos²)",
    ];
    let answer = |value| spectrum(&along.at(value)?, arguments.operator);
    along.print(&arguments.model, "spectrum", answer, &header, row)
}

/// What theory says of the declared matrix.
fn spectrum(model: &Model, operator: Operator) -> Result<Spectrum, Failure> {
    let [observation] = model.observations.as_slice() else {
        let what = "more than one observation".into();
        return Err(ModelError::NotSupported { what }.into());
    };
    let tree = match &observation.kind {
        ObservationKind::SpikedWigner { .. } | ObservationKind::SpikedWishart { .. } => {
            model.tree()?
        }
        other => {
            return Err(Failure::Input(format!(
                "a spectrum needs an observation that is a spiked matrix, got \"{}\"",
                other.name()
            )));
        }
    };
    let matrix = SpikedMatrix::of(&tree)?;
    Ok(match operator {
        Operator::Pca => pca_spectrum(tree.signal().second_moment, matrix)?,
        Operator::Lamp => lamp_spectrum(&covariance(&tree)?, matrix)?,
    })
}

/// Components of the variable whose covariance is drawn where its limit is not known: eigenvalues
/// err by a few 1/p, and the dense eigenproblem takes a fraction of a second.
const DRAWN: usize = 600;

/// The covariances of both sides: in the limit where that is known, else measured on one draw.
pub(crate) fn covariance(tree: &Tree) -> Result<Covariance, Failure> {
    let drawn = |variable: usize| -> Result<Covariance, Failure> {
        let sizes = tree.sizes(variable, DRAWN);
        let stream = |purpose: &str| Seed(0).stream("covariance", 0, 0, purpose);
        let instance = Instance::draw(tree, &sizes, stream, Teacher::fixed())?;
        let prior = spectral::moments(&Problem::new(tree, &instance)?, variable)?;
        Ok(Covariance::drawn(
            prior.eigenvalues()?,
            prior.square_mean(),
        )?)
    };
    let signal = match Covariance::signal(tree) {
        Err(ReplicaError::NotSupported(_)) => drawn(tree.signal_index())?,
        known => known?,
    };
    let left = match Covariance::left_of(tree) {
        Err(ReplicaError::NotSupported(_)) => Some(drawn(tree.variables().len() - 1)?),
        known => known?,
    };
    Ok(match left {
        Some(left) => signal.beside(left),
        None => signal,
    })
}

fn describe(spectrum: &Spectrum) -> String {
    let support = spectrum.support();
    let interval =
        |(a, b): &(f64, f64)| format!("[{}, {}]", output::number(*a), output::number(*b));
    let intervals: Vec<_> = support.intervals.iter().map(interval).collect();
    let atom = |a: &onsager::ensembles::Atom| {
        format!(
            "{} at {}",
            output::number(a.mass),
            output::number(a.location)
        )
    };
    let atoms: Vec<_> = support.atoms.iter().map(atom).collect();
    let word = |status: Status| match status {
        Status::Theorem => "theorem",
        Status::Derived => "derived",
        Status::Conjecture => "conjecture",
        Status::Measured => "measured",
    };
    let list = |items: &[String]| {
        if items.is_empty() {
            "-".to_string()
        } else {
            items.join(", ")
        }
    };
    let mut rows = vec![
        ("bulk", list(&intervals), word(spectrum.bulk_status)),
        ("atoms", list(&atoms), word(spectrum.bulk_status)),
    ];
    let status = word(spectrum.overlap_status);
    rows.push(("outlier", output::optional(spectrum.outlier), status));
    rows.push(("overlap (cos²)", output::number(spectrum.overlap), status));
    if let Some(left) = spectrum.overlap_left {
        rows.push(("overlap of the left factor", output::number(left), status));
    }
    rows.push(("threshold", output::optional(spectrum.threshold), status));
    let rows: Vec<Vec<String>> = rows
        .into_iter()
        .map(|(name, value, status)| vec![name.into(), value, status.into()])
        .collect();
    output::table(&["", "", "rests on"], &rows)
}
