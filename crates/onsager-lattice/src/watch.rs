use std::ops::ControlFlow;

use crate::LatticeError;

/// Called at every step of a reduction with the insertions made so far; `Break` stops it.
pub type Observer<'a> = &'a mut dyn FnMut(u64) -> ControlFlow<()>;

/// Insertions made, and who wants to know.
pub(crate) struct Watch<'a> {
    observer: Observer<'a>,
    pub(crate) insertions: u64,
}

impl<'a> Watch<'a> {
    pub(crate) fn new(observer: Observer<'a>) -> Self {
        Self {
            observer,
            insertions: 0,
        }
    }

    /// Lets the observer stop what goes on.
    pub(crate) fn check(&mut self) -> Result<(), LatticeError> {
        match (self.observer)(self.insertions) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(LatticeError::Stopped {
                insertions: self.insertions,
            }),
        }
    }
}
