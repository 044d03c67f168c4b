//! Servers that all tests of the process share.

use std::sync::{Mutex, PoisonError};

/// A server that starts with the first test that asks, and ends with [`end`](Self::end): a static
/// is never dropped.
#[derive(Debug)]
pub(crate) struct Shared<T>(Mutex<Option<T>>);

impl<T> Shared<T> {
    pub(crate) const fn new() -> Self {
        Self(Mutex::new(None))
    }

    /// What `look` sees of the server. One that failed to start for one test may start for the next.
    pub(crate) fn with<R>(&self, start: impl FnOnce() -> T, look: impl FnOnce(&T) -> R) -> R {
        let mut server = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        look(server.get_or_insert_with(start))
    }

    pub(crate) fn end(&self) {
        drop(self.0.lock().unwrap_or_else(PoisonError::into_inner).take());
    }
}
