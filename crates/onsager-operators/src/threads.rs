//! Threads inside one product: an explicit number, a fixed division of the work.

use std::sync::Arc;

use rayon::ThreadPool;
use rayon::prelude::*;

use crate::OperatorError;

/// Number of parts that a product is divided into, whatever the number of threads.
///
/// Sums run inside parts and then over parts in order, so the threads never move a bit.
/// Eight parts balance up to about four threads, more than the memory bandwidth can feed.
pub(crate) const PARTS: usize = 8;

/// The threads of one operator; one thread runs in the caller.
#[derive(Clone, Debug, Default)]
pub(crate) struct Threads(Option<Arc<ThreadPool>>);

impl Threads {
    pub(crate) fn new(threads: usize) -> Result<Self, OperatorError> {
        match threads {
            0 => Err(OperatorError::Setting {
                name: "number of threads",
                range: "at least 1",
                value: 0.0,
            }),
            1 => Ok(Self(None)),
            _ => rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build()
                .map(|pool| Self(Some(Arc::new(pool))))
                .map_err(|_| OperatorError::Threads(threads)),
        }
    }

    pub(crate) fn count(&self) -> usize {
        self.0.as_ref().map_or(1, |pool| pool.current_num_threads())
    }

    /// Runs `work` once on each part.
    pub(crate) fn each<T: Send>(
        &self,
        parts: impl Iterator<Item = T>,
        work: impl Fn(T) + Send + Sync,
    ) {
        match &self.0 {
            None => parts.for_each(work),
            Some(pool) => {
                let parts: Vec<T> = parts.collect();
                pool.install(|| parts.into_par_iter().with_max_len(1).for_each(work));
            }
        }
    }
}
