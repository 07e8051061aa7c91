//! `cargo xtask reproduce`: options, Ctrl-C, exit code. The work is done by `onsager-figures`.

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};

use onsager_figures::{FigureError, Mode, Options, REGISTRY, reproduce};

/// Exit codes beside 0 (all held) and 1 (something failed).
const WRONG_USE: u8 = 2;
/// What a shell reports of a program that Ctrl-C ended.
const INTERRUPTED: u8 = 130;

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Only this figure; may be repeated
    #[arg(long = "figure", value_name = "ID")]
    figures: Vec<String>,
    /// quick, standard or paper [default: standard; quick with --check and --bless]
    #[arg(long)]
    profile: Option<String>,
    /// Master seed of the simulations
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Folder of the results [default: reproduction/ at the root of the workspace]
    #[arg(long, value_name = "DIR")]
    out: Option<PathBuf>,
    /// Threads over points; 0 takes one for each processor
    #[arg(long, default_value_t = 0, value_name = "N")]
    jobs: usize,
    #[command(flatten)]
    mode: Modes,
}

#[derive(clap::Args)]
#[group(multiple = false)]
struct Modes {
    /// Lists the figures with their claims
    #[arg(long)]
    list: bool,
    /// Theory and pictures alone
    #[arg(long)]
    theory_only: bool,
    /// Draws and judges the tables of the last run again
    #[arg(long)]
    redraw: bool,
    /// Compares theory with the golden tables; writes nothing
    #[arg(long)]
    check: bool,
    /// Writes the golden tables
    #[arg(long)]
    bless: bool,
}

impl Modes {
    fn mode(&self) -> Mode {
        let chosen = [
            (self.list, Mode::List),
            (self.theory_only, Mode::TheoryOnly),
            (self.redraw, Mode::Redraw),
            (self.check, Mode::Check),
            (self.bless, Mode::Bless),
        ];
        chosen
            .into_iter()
            .find(|(given, _)| *given)
            .map_or(Mode::Run, |(_, mode)| mode)
    }
}

/// Set by Ctrl-C.
static STOP: AtomicBool = AtomicBool::new(false);

pub(crate) fn run(arguments: Arguments, root: &Path) -> ExitCode {
    if let Err(error) = ctrlc::set_handler(|| STOP.store(true, Ordering::Relaxed)) {
        eprintln!("Ctrl-C will end the run at once: {error}");
    }
    let result = options(arguments, root).and_then(|options| reproduce(REGISTRY, &options, &STOP));
    match result {
        Ok(summary) if summary.held => ExitCode::SUCCESS,
        Ok(_) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(match error {
                FigureError::UnknownFigure { .. } | FigureError::UnknownProfile(_) => WRONG_USE,
                FigureError::Interrupted => INTERRUPTED,
                _ => 1,
            })
        }
    }
}

fn options(arguments: Arguments, root: &Path) -> Result<Options, FigureError> {
    Ok(Options {
        profile: arguments.profile.map(|name| name.parse()).transpose()?,
        figures: arguments.figures,
        seed: arguments.seed,
        out: arguments.out.unwrap_or_else(|| root.join("reproduction")),
        jobs: arguments.jobs,
        mode: arguments.mode.mode(),
        golden: root.join("tests/golden"),
        commit: commit(root),
    })
}

/// The commit of the working tree; none outside a repository or without git.
fn commit(root: &Path) -> Option<String> {
    let output = std::process::Command::new("git")
        .args(["rev-parse", "HEAD"])
        .current_dir(root)
        .stderr(std::process::Stdio::null())
        .output()
        .ok()
        .filter(|output| output.status.success())?;
    Some(String::from_utf8(output.stdout).ok()?.trim().to_owned())
}
