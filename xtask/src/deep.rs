//! `cargo xtask deep`: options and exit code. The work is done by `onsager::conformance`.

use std::cell::Cell;
use std::process::ExitCode;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use onsager::conformance::{Plan, declaration, survey};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Random declarations to send through prediction and a small simulation
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    declarations: u64,
    /// Index of the first of them
    #[arg(long, default_value_t = 0, value_name = "INDEX")]
    first: u64,
    /// How many of those that took longest to name
    #[arg(long, default_value_t = 10, value_name = "N")]
    slowest: usize,
    /// Decides all of them
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads over declarations; 0 takes one for each processor
    #[arg(long, default_value_t = 0, value_name = "N")]
    jobs: usize,
    /// Draw generalised linear models instead of spiked matrices and direct observations
    #[arg(long)]
    glm: bool,
    /// How often chains of 0, 1, 2 and 3 layers are drawn, relative to each other
    #[arg(long, num_args = 4, value_name = "WEIGHT", default_values_t = Plan::default().depths)]
    depths: Vec<u32>,
}

/// Time that this thread has spent on a processor, where the system tells; other work on the machine
/// does not lengthen it.
fn on_processor() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanoseconds = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanoseconds))
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    let mut plan = Plan {
        first: arguments.first,
        declarations: arguments.declarations,
        seed: arguments.seed,
        threads: if arguments.jobs == 0 {
            all()
        } else {
            arguments.jobs
        },
        measurements: arguments.glm,
        ..Plan::default()
    };
    plan.depths.copy_from_slice(&arguments.depths);
    if plan.depths.iter().all(|weight| *weight == 0) {
        eprintln!("deep: one of the weights of --depths must be positive");
        return ExitCode::from(2);
    }
    let start = Instant::now();
    thread_local!(static BEFORE: Cell<Duration> = const { Cell::new(Duration::ZERO) });
    let times: Mutex<Vec<(Duration, u64)>> = Mutex::default();
    let locked = || {
        times
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    };
    let found = survey(&plan, &|index| {
        let now = on_processor().unwrap_or_else(|| start.elapsed());
        let took = now.saturating_sub(BEFORE.replace(now));
        let mut times = locked();
        times.push((took, index));
        if times.len().is_multiple_of(100) {
            eprintln!(
                "deep: {} of {} declarations",
                times.len(),
                plan.declarations
            );
        }
    });
    println!("{found}");
    let mut times = locked().clone();
    times.sort_by(|a, b| b.cmp(a));
    let total: Duration = times.iter().map(|(took, _)| took).sum();
    let (total, count) = (total.as_secs_f64(), times.len().max(1));
    eprintln!(
        "deep: {:.3} s a declaration; the slowest:",
        total / count as f64
    );
    for (took, index) in times.iter().take(arguments.slowest) {
        let text = declaration(&plan, *index).map(|model| model.to_toml().unwrap_or_default());
        let text = text.unwrap_or_default().replace('\n', " ");
        eprintln!("{:8.2} s {text}", took.as_secs_f64());
    }
    if found.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
