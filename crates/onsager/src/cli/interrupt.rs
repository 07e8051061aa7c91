//! Ctrl-C: once asks the running command to stop at the next point, twice ends the program.

use std::sync::atomic::{AtomicBool, Ordering};

use super::failure::Failure;

static STOPPED: AtomicBool = AtomicBool::new(false);

pub(crate) fn watch() -> Result<(), Failure> {
    ctrlc::set_handler(|| {
        if STOPPED.swap(true, Ordering::SeqCst) {
            std::process::exit(130);
        }
    })
    .map_err(|error| Failure::Run(format!("Ctrl-C cannot be watched: {error}")))
}

/// Whether the user asked to stop.
pub(crate) fn stopped() -> bool {
    STOPPED.load(Ordering::SeqCst)
}
