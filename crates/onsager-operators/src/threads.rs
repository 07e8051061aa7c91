//! How a product runs: kernels of one level, and an explicit number of threads over a fixed
//! division of the work.

use std::num::NonZeroUsize;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crate::OperatorError;
use crate::kernels::{Kernels, Stored};

/// Number of parts that a product is divided into, whatever the number of threads.
///
/// Sums run inside parts and then over parts in order, so the threads never move a bit.
/// Eight parts balance up to about four threads, more than the memory bandwidth can feed.
pub(crate) const PARTS: usize = 8;

/// How the real products of one operator run: kernels and threads.
#[derive(Clone, Debug)]
pub(crate) struct Run {
    pub(crate) kernels: Kernels,
    pub(crate) threads: Threads,
}

impl Default for Run {
    fn default() -> Self {
        Self {
            kernels: Kernels::best(),
            threads: Threads::default(),
        }
    }
}

impl Run {
    /// The sum of all entries; parts are of equal length.
    pub(crate) fn total<S: Stored>(&self, a: &[S]) -> f64 {
        if a.is_empty() {
            return 0.0;
        }
        let mut sums = [0.0; PARTS];
        let parts = a.chunks(part(a.len())).zip(&mut sums);
        self.threads
            .each(parts, |(a, sum)| *sum = self.kernels.total(a));
        sums.iter().sum()
    }

    /// `y <-` the sum, in the order of `parts`, of what `work` adds to zeros for each of them.
    pub(crate) fn sum<T: Send>(
        &self,
        parts: impl ExactSizeIterator<Item = T> + Send,
        y: &mut [f64],
        work: impl Fn(T, &mut [f64]) + Send + Sync,
    ) {
        y.fill(0.0);
        if parts.len() <= 1 || y.is_empty() {
            return parts.for_each(|part| work(part, y));
        }
        let mut partial = vec![0.0; parts.len() * y.len()];
        let own = parts.zip(partial.chunks_mut(y.len()));
        self.threads.each(own, |(part, y)| work(part, y));
        for part in partial.chunks(y.len()) {
            y.iter_mut().zip(part).for_each(|(y, part)| *y += part);
        }
    }
}

/// Size of a part, a multiple of the eight lanes so that only the last part has a remainder.
pub(crate) fn part(size: usize) -> usize {
    size.div_ceil(PARTS).next_multiple_of(8)
}

/// Products of several threads that have begun.
static PRODUCTS: AtomicU64 = AtomicU64::new(0);

/// Keeps one of Rayon's threads from falling asleep until another product begins, at most for
/// [`AWAKE`]. To wake a thread takes a tenth of a product of 4000 rows: iterations on two threads
/// are faster by 12 to 25 percent there.
fn stay_awake(after: u64) {
    let start = Instant::now();
    while PRODUCTS.load(Ordering::Acquire) == after && start.elapsed() < AWAKE {
        for _ in 0..32 {
            std::hint::spin_loop();
        }
    }
}

/// What an iteration with 10,000 rows does between two products takes less.
const AWAKE: Duration = Duration::from_micros(500);

/// The threads of one operator: its caller, and as many of Rayon's as make up the number.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Threads(NonZeroUsize);

impl Default for Threads {
    fn default() -> Self {
        Self(NonZeroUsize::MIN)
    }
}

impl Threads {
    pub(crate) fn new(threads: usize) -> Result<Self, OperatorError> {
        NonZeroUsize::new(threads)
            .map(Self)
            .ok_or(OperatorError::Setting {
                name: "number of threads",
                range: "at least 1",
                value: 0.0,
            })
    }

    pub(crate) fn count(self) -> usize {
        self.0.get()
    }

    /// Runs `work` once on each part. The caller works too: it need not wake a thread to begin,
    /// and between two products nobody takes its processor from it.
    pub(crate) fn each<T: Send>(
        self,
        parts: impl Iterator<Item = T> + Send,
        work: impl Fn(T) + Send + Sync,
    ) {
        if self.count() == 1 {
            return parts.for_each(work);
        }
        PRODUCTS.fetch_add(1, Ordering::Release);
        let parts = Mutex::new(parts);
        let take = || parts.lock().ok()?.next();
        let take_all = || {
            while let Some(part) = take() {
                work(part);
            }
        };
        rayon::in_place_scope(|scope| {
            for _ in 1..self.count().min(PARTS) {
                scope.spawn(|_| take_all());
            }
            take_all();
        });
        let done = PRODUCTS.load(Ordering::Acquire);
        for _ in 1..self.count().min(PARTS) {
            rayon::spawn(move || stay_awake(done));
        }
    }
}
