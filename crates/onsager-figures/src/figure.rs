use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest, Sha256};

use crate::agreement::Agreement;
use crate::drawing::Picture;
use crate::{FigureError, Row, Table};

/// One entry of the registry: what is claimed, how theory and simulation are computed,
/// when they agree, and how the two are drawn.
///
/// The implementation lives in `src/figures/ID.rs` (with `_` for `-`): that file is part of the
/// key of every cached point, and so is `src/figures/common.rs`, the place for what figures share.
pub trait Figure: Sync {
    /// Identifier: lower case words joined by `-`; names the folder of the results.
    fn id(&self) -> &'static str;
    /// Title, a few words.
    fn title(&self) -> &'static str;
    /// Paper, section or figure number from which the curve is known.
    fn source(&self) -> &'static str;
    /// What the figure shows, in one sentence that could be false.
    fn claim(&self) -> &'static str;
    /// Raised whenever the numbers of the figure change their meaning.
    fn revision(&self) -> u32 {
        1
    }
    /// Whether the content is time: such a figure differs from run to run.
    fn measured(&self) -> bool {
        false
    }
    /// Deterministic points; each returns its rows of `theory.csv`.
    fn theory(&self, profile: Profile) -> Vec<Job>;
    /// Points with trials; each returns its rows of `simulation.csv`.
    fn simulation(&self, profile: Profile) -> Vec<Job>;
    /// The agreements, from the tables alone; they are judged together, as one family.
    fn agreements(&self, theory: &Table, simulation: &Table) -> Vec<Agreement>;
    /// The picture, from the tables alone; either table may lack rows.
    fn picture(&self, theory: &Table, simulation: &Table) -> Picture;
}

type Run = dyn Fn(&Context) -> Result<Vec<Row>, FigureError> + Send + Sync;

/// One independent point of a figure.
pub struct Job {
    pub(crate) key: String,
    pub(crate) run: Box<Run>,
}

impl Job {
    /// A point named by *all* its parameters: `"amp delta=0.5 n=2000 trials=32"`.
    ///
    /// The key is the identity of the point: it keys the cache and derives the random streams, so it
    /// must be unique within the theory or the simulation of a figure.
    pub fn new(
        key: impl Into<String>,
        run: impl Fn(&Context) -> Result<Vec<Row>, FigureError> + Send + Sync + 'static,
    ) -> Self {
        Self {
            key: key.into(),
            run: Box::new(run),
        }
    }

    /// The identity of the point.
    pub fn key(&self) -> &str {
        &self.key
    }
}

impl fmt::Debug for Job {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Job")
            .field("key", &self.key)
            .finish_non_exhaustive()
    }
}

/// What a point may know about the run it belongs to.
#[derive(Debug, Clone, Copy)]
pub struct Context<'a> {
    pub(crate) figure: &'a str,
    pub(crate) point: &'a str,
    pub(crate) seed: u64,
    pub(crate) profile: Profile,
    pub(crate) stop: &'a AtomicBool,
}

impl Context<'_> {
    /// Seed of the stream (figure, point, trial, purpose) under the master seed of the run.
    ///
    /// The first eight bytes, little-endian, of a SHA-256 over the five parts, each preceded by
    /// its length: nothing depends on the order in which points or trials run.
    pub fn seed(&self, trial: u64, purpose: &str) -> u64 {
        self.seed_of(self.point, trial, purpose)
    }

    /// As [`Context::seed`], for an instance that several points of the figure share.
    pub fn seed_of(&self, point: &str, trial: u64, purpose: &str) -> u64 {
        let mut hash = Sha256::new();
        hash.update(self.seed.to_le_bytes());
        for part in [self.figure, point, purpose] {
            hash.update((part.len() as u64).to_le_bytes());
            hash.update(part);
        }
        hash.update(trial.to_le_bytes());
        let digest = hash.finalize();
        digest
            .iter()
            .take(8)
            .rev()
            .fold(0, |seed, &byte| seed << 8 | u64::from(byte))
    }

    /// Master seed of the run, for messages.
    pub fn master_seed(&self) -> u64 {
        self.seed
    }

    /// Profile of the run.
    pub fn profile(&self) -> Profile {
        self.profile
    }

    /// Key of the point.
    pub fn point(&self) -> &str {
        self.point
    }

    /// Whether the run was asked to stop.
    pub fn stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }

    /// Err([`FigureError::Interrupted`]) once the run was asked to stop; call it between trials.
    pub fn check(&self) -> Result<(), FigureError> {
        if self.stopped() {
            Err(FigureError::Interrupted)
        } else {
            Ok(())
        }
    }
}

/// How much is computed: sizes, grids and trials grow from one profile to the next.
#[derive(
    Debug,
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Default,
    serde::Serialize,
    serde::Deserialize,
)]
#[serde(rename_all = "lowercase")]
pub enum Profile {
    /// Every code path and every agreement, coarse: a few seconds for each figure.
    Quick,
    /// The pictures of the report: well under a minute for each figure.
    #[default]
    Standard,
    /// The sizes of the papers, without a limit on time.
    Paper,
}

impl Profile {
    /// The value that belongs to this profile.
    pub fn pick<T>(self, quick: T, standard: T, paper: T) -> T {
        match self {
            Self::Quick => quick,
            Self::Standard => standard,
            Self::Paper => paper,
        }
    }
}

impl fmt::Display for Profile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.pick("quick", "standard", "paper"))
    }
}

impl FromStr for Profile {
    type Err = FigureError;

    fn from_str(name: &str) -> Result<Self, FigureError> {
        [Self::Quick, Self::Standard, Self::Paper]
            .into_iter()
            .find(|profile| profile.to_string() == name)
            .ok_or_else(|| FigureError::UnknownProfile(name.to_owned()))
    }
}
