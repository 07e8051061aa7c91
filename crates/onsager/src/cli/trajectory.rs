//! The part of `onsager predict` that follows message passing step by step.

use clap::ValueEnum;
use onsager::model::Tree;
use onsager::replica::{self, Trajectory, spectral};

use super::failure::Failure;
use super::output;

/// Starts for which state evolution predicts the path.
#[derive(Clone, Copy, ValueEnum)]
pub(crate) enum Start {
    /// Next to nothing: a side channel of relative ratio 1e-4 (the prior mean if it is not zero).
    Uninformed,
    /// The truth of the signal.
    Informed,
    /// The leading eigenvector of linearised message passing.
    Spectral,
}

/// `snr · ρ` of an uninformed start: the squared relative norm of the random starts of message
/// passing, so that both leave zero overlap from the same distance.
const FAINT: f64 = 1e-4;

pub(crate) fn predict(tree: &Tree, start: Start, steps: usize) -> Result<Trajectory, Failure> {
    let signal = tree.signal();
    let start = match start {
        Start::Uninformed if signal.mean != 0.0 => replica::Start::Mean,
        Start::Uninformed => replica::Start::SideInformation {
            snr: FAINT / signal.second_moment,
        },
        Start::Informed => replica::Start::Informed,
        Start::Spectral => replica::Start::Overlaps(spectral::lamp_overlaps(tree)?),
    };
    Ok(replica::trajectory(tree, &start, steps)?)
}

pub(crate) fn describe(tree: &Tree, path: &Trajectory) -> String {
    let names: Vec<&str> = (tree.variables().iter().filter(|v| !v.is_field))
        .map(|v| v.name.as_str())
        .collect();
    let titles: Vec<String> = names.iter().map(|name| format!("mse of {name}")).collect();
    let header: Vec<&str> = (["iteration", "claimed"].into_iter())
        .chain(titles.iter().map(String::as_str))
        .collect();
    let rows: Vec<Vec<String>> = (path.steps.iter())
        .map(|step| {
            let errors = names.iter().map(|name| {
                output::optional(step.variables.get(*name).map(|variable| variable.mse))
            });
            let first = [step.iteration.to_string(), output::number(step.claimed)];
            first.into_iter().chain(errors).collect()
        })
        .collect();
    output::table(&header, &rows)
}
