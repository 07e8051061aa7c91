#![forbid(unsafe_code)]
//! The `onsager` command.

mod cli;

fn main() -> std::process::ExitCode {
    cli::run()
}
