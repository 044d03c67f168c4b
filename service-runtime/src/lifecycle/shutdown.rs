//! How every part of a service learns that it should end.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
};

use tokio_util::sync::CancellationToken;

/// The request to shut down, in two steps: it is announced (readiness ends), then triggered (work
/// stops). Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Shutdown {
    announced: CancellationToken,
    triggered: CancellationToken,
    parts: Arc<Mutex<Parts>>,
}

#[derive(Debug, Default)]
struct Parts {
    next: u64,
    running: BTreeMap<u64, String>,
}

impl Shutdown {
    /// A shutdown that nobody asked for yet.
    pub fn new() -> Self {
        Self::default()
    }

    /// A shutdown that follows this one and can also be triggered alone.
    pub fn child(&self) -> Self {
        Self {
            announced: self.announced.child_token(),
            triggered: self.triggered.child_token(),
            parts: Arc::clone(&self.parts),
        }
    }

    /// Says that work will stop soon: readiness ends, nothing else changes.
    pub fn announce(&self) {
        self.announced.cancel();
    }

    /// Whether the shutdown was announced or triggered.
    pub fn is_announced(&self) -> bool {
        self.announced.is_cancelled()
    }

    /// Waits until the shutdown is announced or triggered.
    pub async fn announced(&self) {
        self.announced.cancelled().await;
    }

    /// Asks every part to finish what it began and end.
    pub fn trigger(&self) {
        self.announced.cancel();
        self.triggered.cancel();
    }

    /// Whether work should stop.
    pub fn is_cancelled(&self) -> bool {
        self.triggered.is_cancelled()
    }

    /// Waits until work should stop.
    pub async fn cancelled(&self) {
        self.triggered.cancelled().await;
    }

    /// Registers a part of the service that runs until the returned guard is dropped; a drain that
    /// takes too long names it.
    pub fn part(&self, name: impl Into<String>) -> Part {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        let id = parts.next;
        parts.next += 1;
        parts.running.insert(id, name.into());
        Part {
            id,
            parts: Arc::clone(&self.parts),
        }
    }

    /// The names of the parts that still run.
    pub fn running_parts(&self) -> Vec<String> {
        let parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.running.values().cloned().collect()
    }
}

/// A running part of the service; see [`Shutdown::part`].
#[derive(Debug)]
#[must_use = "the part counts as ended when this is dropped"]
pub struct Part {
    id: u64,
    parts: Arc<Mutex<Parts>>,
}

impl Drop for Part {
    fn drop(&mut self) {
        let mut parts = self.parts.lock().unwrap_or_else(PoisonError::into_inner);
        parts.running.remove(&self.id);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_announcement_is_not_yet_a_cancellation() {
        let shutdown = Shutdown::new();
        shutdown.announce();
        shutdown.announced().await;
        assert!(shutdown.is_announced() && !shutdown.is_cancelled());
        shutdown.trigger();
        shutdown.cancelled().await;
        assert!(shutdown.is_cancelled());
    }

    #[test]
    fn a_child_follows_its_parent_and_not_the_other_way_round() {
        let parent = Shutdown::new();
        let (first, second) = (parent.child(), parent.child());
        first.trigger();
        assert!(first.is_announced() && first.is_cancelled());
        assert!(!parent.is_announced() && !second.is_announced());
        parent.trigger();
        assert!(second.is_announced() && second.is_cancelled());
    }

    #[test]
    fn parts_are_named_while_they_run() {
        let shutdown = Shutdown::new();
        let http = shutdown.part("http");
        let first = shutdown.child().part("consumer");
        let second = shutdown.part("consumer");
        assert_eq!(shutdown.running_parts(), ["http", "consumer", "consumer"]);
        drop((http, first));
        assert_eq!(shutdown.running_parts(), ["consumer"]);
        drop(second);
        assert!(shutdown.running_parts().is_empty());
    }
}
