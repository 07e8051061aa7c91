//! `cargo xtask bench`: the bench of the engine, and the table that it leaves in the documentation.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Command, ExitCode, Stdio};

/// Options of `bench`.
#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Components of the signal
    #[arg(long, default_value = "4000,10000")]
    sizes: String,
    /// Threads inside each product
    #[arg(long, default_value = "1,2")]
    threads: String,
    /// Rounds whose medians are printed
    #[arg(long, default_value_t = 15)]
    rounds: usize,
    /// Only rows that contain this text
    #[arg(long, default_value = "")]
    only: String,
    /// Puts the table into docs/performance.md
    #[arg(long)]
    write: bool,
}

/// What stands below this line of the document belongs to the command.
const MARK: &str = "<!-- below: cargo xtask bench --write -->\n";

pub(crate) fn run(arguments: &Arguments, root: &Path) -> ExitCode {
    match table(arguments, root).and_then(|table| {
        if arguments.write {
            keep(&root.join("docs/performance.md"), &table)?;
        }
        Ok(())
    }) {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("bench: {reason}");
            ExitCode::FAILURE
        }
    }
}

/// Runs the bench, passes its lines on and returns them.
fn table(arguments: &Arguments, root: &Path) -> Result<String, String> {
    let mut bench = Command::new("cargo")
        .current_dir(root)
        .args(["bench", "--quiet", "--locked", "--package", "onsager-amp"])
        .args(["--bench", "performance", "--"])
        .args(["--sizes", &arguments.sizes])
        .args(["--threads", &arguments.threads])
        .args(["--rounds", &arguments.rounds.to_string()])
        .args(["--only", &arguments.only])
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cargo cannot be started: {error}"))?;
    let mut table = String::new();
    for line in bench
        .stdout
        .take()
        .into_iter()
        .flat_map(|s| BufReader::new(s).lines())
    {
        let line = line.map_err(|error| error.to_string())?;
        println!("{line}");
        table += &line;
        table += "\n";
    }
    match bench.wait() {
        Ok(status) if status.success() => Ok(table),
        Ok(status) => Err(format!("the bench ended with {status}")),
        Err(error) => Err(error.to_string()),
    }
}

fn keep(path: &Path, table: &str) -> Result<(), String> {
    let say = |error: std::io::Error| format!("{}: {error}", path.display());
    let old = std::fs::read_to_string(path).map_err(say)?;
    let (prose, _) = old
        .split_once(MARK)
        .ok_or_else(|| format!("{} has no line {MARK}", path.display()))?;
    std::fs::write(path, format!("{prose}{MARK}\n{table}")).map_err(say)
}
