//! A breach of one promise.

use integration_tests::history::{History, Invariant};

/// See [`super::plants`].
pub(crate) struct Plant {
    /// What goes wrong.
    pub(crate) name: &'static str,
    /// What it breaks, perhaps among others.
    pub(crate) breaks: Invariant,
    /// Makes it look so.
    pub(crate) plant: fn(&mut History),
}
