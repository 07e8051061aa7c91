//! What a caller chooses.

use onsager_ensembles::Seed;

use crate::rules::Variances;
use crate::start::Start;
use crate::{AmpError, Schedule};

/// How to run; every field has a default.
///
/// ```
/// use onsager_amp::{Settings, Start};
/// let settings = Settings { start: Start::Informed, ..Settings::default() };
/// assert_eq!(settings.restarts, 0);
/// ```
#[derive(Debug, Clone)]
pub struct Settings {
    /// Where the estimates start.
    pub start: Start,
    /// Whether variances are averaged.
    pub variances: Variances,
    /// The order of updates; `None` is [`Schedule::of`] the tree.
    pub schedule: Option<Schedule>,
    /// Sweeps of one run at most.
    pub max_iterations: usize,
    /// A run has converged when `|x - x_old|²/n <= tolerance · min(|x|²/n, ρ)` for every declared
    /// variable: relative to the estimate, so that a small estimate that still grows has not.
    pub tolerance: f64,
    /// Weight of new messages.
    pub damping: Damping,
    /// Further runs from other random starts at most: the first solution of data without noise is
    /// returned, or the best by Bethe evidence. Starts that are not random run once.
    pub restarts: usize,
    /// Decides random starts.
    pub seed: Seed,
}

/// The weight of new messages against old ones.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub enum Damping {
    /// 1 until the iteration moves away from rest and from the Nishimori line, see the
    /// documentation of the crate.
    #[default]
    Adaptive,
    /// This weight, in `(0, 1]`, at every sweep; 1 is plain message passing.
    Fixed(f64),
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            start: Start::Uninformed,
            variances: Variances::Shared,
            schedule: None,
            max_iterations: 500,
            tolerance: 1e-12,
            damping: Damping::Adaptive,
            restarts: 0,
            seed: Seed(0),
        }
    }
}

impl Settings {
    pub(crate) fn check(&self) -> Result<(), AmpError> {
        let refuse = |name, range, value| Err(AmpError::Setting { name, range, value });
        if !(self.tolerance >= 0.0 && self.tolerance < 1.0) {
            return refuse("tolerance", "in [0, 1)", self.tolerance);
        }
        if self.max_iterations == 0 {
            return refuse("max_iterations", "at least 1", 0.0);
        }
        match (self.damping, &self.start) {
            (Damping::Fixed(step), _) if !(step > 0.0 && step <= 1.0) => {
                refuse("step", "in (0, 1]", step)
            }
            (_, Start::SideInformation { snr }) if !(*snr >= 0.0 && snr.is_finite()) => {
                refuse("snr", "finite and at least 0", *snr)
            }
            _ => Ok(()),
        }
    }
}
