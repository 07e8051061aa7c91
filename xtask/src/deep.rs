//! `cargo xtask deep`: options and exit code. The work is done by `onsager::conformance`.

use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};

use onsager::conformance::{Plan, survey};

#[derive(clap::Args)]
pub(crate) struct Arguments {
    /// Random declarations to send through prediction and a small simulation
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    declarations: u64,
    /// Decides all of them
    #[arg(long, default_value_t = 0)]
    seed: u64,
    /// Threads over declarations; 0 takes one for each processor
    #[arg(long, default_value_t = 0, value_name = "N")]
    jobs: usize,
    /// How often chains of 0, 1, 2 and 3 layers are drawn, relative to each other
    #[arg(long, num_args = 4, value_name = "WEIGHT", default_values_t = Plan::default().depths)]
    depths: Vec<u32>,
}

pub(crate) fn run(arguments: &Arguments) -> ExitCode {
    let all = || std::thread::available_parallelism().map_or(1, usize::from);
    let mut plan = Plan {
        declarations: arguments.declarations,
        seed: arguments.seed,
        threads: if arguments.jobs == 0 {
            all()
        } else {
            arguments.jobs
        },
        ..Plan::default()
    };
    plan.depths.copy_from_slice(&arguments.depths);
    if plan.depths.iter().all(|weight| *weight == 0) {
        eprintln!("deep: one of the weights of --depths must be positive");
        return ExitCode::from(2);
    }
    let done = AtomicU64::new(0);
    let found = survey(&plan, &|_| {
        let done = done.fetch_add(1, Ordering::Relaxed) + 1;
        if done.is_multiple_of(100) {
            eprintln!("deep: {done} of {} declarations", plan.declarations);
        }
    });
    println!("{found}");
    if found.faults.is_empty() {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}
