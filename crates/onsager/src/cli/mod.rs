//! The command line: one file per command, the conventions they share here.

mod failure;
mod infer;
mod input;
mod interrupt;
mod models;
mod output;
mod phase_diagram;
mod predict;
mod simulate;
mod spectrum;
mod sweep;
mod thresholds;
mod trajectory;

use std::process::ExitCode;

use clap::error::ErrorKind;
use clap::{Parser, Subcommand};

use failure::Failure;

/// High-dimensional Bayesian inference: what is possible, what is efficient, and do they agree.
#[derive(Parser)]
#[command(name = "onsager", version, max_term_width = 100)]
#[command(
    after_help = "Models are TOML files or presets (see `onsager models`). Exit code 0: done; \
    1: a run that failed; 2: wrong input; 130: stopped by Ctrl-C."
)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Predicts errors, overlaps and information in the limit of large sizes.
    Predict(predict::Arguments),
    /// Locates the phase transitions along one parameter.
    Thresholds(thresholds::Arguments),
    /// Errors and phase transitions over two parameters.
    PhaseDiagram(phase_diagram::Arguments),
    /// Edges, outlier and overlap of spectral methods, and their density.
    Spectrum(spectrum::Arguments),
    /// Draws instances and runs an algorithm on them.
    Simulate(simulate::Arguments),
    /// Recovers a signal from given data.
    Infer(infer::Arguments),
    /// Lists the models that ship with the program, or prints one.
    Models(models::Arguments),
    #[command(external_subcommand)]
    Other(Vec<String>),
}

/// Commands of the grammar that are still to come.
const LATER: [&str; 3] = ["draw", "completions", "man"];

/// Parses the arguments, runs the command, reports a failure in one line.
pub(crate) fn run() -> ExitCode {
    match dispatch() {
        Ok(()) => ExitCode::SUCCESS,
        Err(failure) => {
            output::message(&format!("error: {failure}"));
            failure.code()
        }
    }
}

fn dispatch() -> Result<(), Failure> {
    let arguments = match Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(error) => {
            return match error.kind() {
                ErrorKind::DisplayHelp | ErrorKind::DisplayVersion => {
                    output::print(&error.to_string())
                }
                ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand => Err(Failure::Input(
                    "a command is missing, allowed: predict, thresholds, phase-diagram, spectrum, simulate, infer, models"
                        .into(),
                )),
                _ => Err(Failure::Input(one_line(&error.to_string()))),
            };
        }
    };
    interrupt::watch()?;
    match arguments.command {
        Command::Predict(arguments) => predict::run(&arguments),
        Command::Thresholds(arguments) => thresholds::run(&arguments),
        Command::PhaseDiagram(arguments) => phase_diagram::run(&arguments),
        Command::Spectrum(arguments) => spectrum::run(&arguments),
        Command::Simulate(arguments) => simulate::run(&arguments),
        Command::Infer(arguments) => infer::run(&arguments),
        Command::Models(arguments) => models::run(&arguments),
        Command::Other(words) => {
            let word = words.first().map_or("", String::as_str);
            Err(Failure::Input(if LATER.contains(&word) {
                format!("command \"{word}\" is not supported yet")
            } else {
                format!(
                    "unknown command \"{word}\", allowed: predict, thresholds, phase-diagram, spectrum, simulate, infer, models"
                )
            }))
        }
    }
}

/// The parser's message without usage and hints: its first paragraph, and a tip if there is one.
fn one_line(message: &str) -> String {
    let mut paragraphs = message.split("\n\n");
    let first = paragraphs.next().unwrap_or_default();
    let tip = paragraphs.find(|p| p.trim_start().starts_with("tip:"));
    let words: Vec<&str> = (first.trim_start_matches("error: ").split_whitespace())
        .chain(tip.into_iter().flat_map(str::split_whitespace))
        .collect();
    words.join(" ")
}
