#![forbid(unsafe_code)]
//! Project tasks: `cargo xtask reproduce | bench | data | deep | tidy`. Dispatch only; one module for each
//! command.

mod bench;
mod data;
mod deep;
mod reproduce;
mod tidy;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

#[derive(Parser)]
#[command(name = "cargo xtask", about = "Tasks of the project")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Computes every figure beside the simulation that confirms it, and writes the report
    Reproduce(reproduce::Arguments),
    /// Measures products and iterations beside a read of the same bytes
    Bench(bench::Arguments),
    /// Rebuilds the packaged data from the files of Fashion-MNIST
    Data(data::Arguments),
    /// Sends random declarations through both readings and says what was covered
    Deep(deep::Arguments),
    /// Checks layers, documents, links, the gallery and dependencies
    Tidy,
}

fn main() -> ExitCode {
    match Arguments::parse().command {
        Command::Reproduce(arguments) => reproduce::run(arguments, &root()),
        Command::Bench(arguments) => bench::run(&arguments, &root()),
        Command::Data(arguments) => data::run(&arguments, &root()),
        Command::Deep(arguments) => deep::run(&arguments),
        Command::Tidy => tidy::run(&root()),
    }
}

/// Root of the workspace, whose first level holds this package.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR")
        .map_or_else(|| PathBuf::from("xtask"), PathBuf::from);
    package
        .parent()
        .map_or_else(|| PathBuf::from("."), PathBuf::from)
}
