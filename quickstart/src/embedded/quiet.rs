//! Keeps the embedded broker's logs out of a user's terminal.
//!
//! The broker writes thousands of lines a second at `info`, under the names of a dozen crates.
//! [`Quiet`] is the log subscriber of the broker's own threads: it hands warnings and errors on to
//! the subscriber of the process and drops the rest, whatever level the process asks for.

use tracing::span::{Attributes, Id, Record};
use tracing::subscriber::Subscriber;
use tracing::{Dispatch, Event, Level, Metadata, dispatcher};

/// Hands on what is at least a warning.
pub(super) struct Quiet(Dispatch);

impl Quiet {
    /// A dispatch for the broker's threads in front of the one of the calling thread.
    pub(super) fn dispatch() -> Dispatch {
        Dispatch::new(Self(dispatcher::get_default(Dispatch::clone)))
    }

    /// Sets the dispatch for the rest of the calling thread's life.
    pub(super) fn install(dispatch: &Dispatch) {
        std::mem::forget(dispatcher::set_default(dispatch));
    }
}

impl Subscriber for Quiet {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        *metadata.level() <= Level::WARN && self.0.enabled(metadata)
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        self.0.new_span(span)
    }

    fn record(&self, span: &Id, values: &Record<'_>) {
        self.0.record(span, values);
    }

    fn record_follows_from(&self, span: &Id, follows: &Id) {
        self.0.record_follows_from(span, follows);
    }

    fn event(&self, event: &Event<'_>) {
        self.0.event(event);
    }

    fn enter(&self, span: &Id) {
        self.0.enter(span);
    }

    fn exit(&self, span: &Id) {
        self.0.exit(span);
    }

    fn clone_span(&self, span: &Id) -> Id {
        self.0.clone_span(span)
    }

    fn try_close(&self, span: Id) -> bool {
        self.0.try_close(span)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    /// Notes the level of every event; wants everything.
    struct Notes(Arc<Mutex<Vec<Level>>>);

    impl Subscriber for Notes {
        fn enabled(&self, _: &Metadata<'_>) -> bool {
            true
        }

        fn new_span(&self, _: &Attributes<'_>) -> Id {
            Id::from_u64(1)
        }

        fn record(&self, _: &Id, _: &Record<'_>) {}

        fn record_follows_from(&self, _: &Id, _: &Id) {}

        fn event(&self, event: &Event<'_>) {
            self.0.lock().unwrap().push(*event.metadata().level());
        }

        fn enter(&self, _: &Id) {}

        fn exit(&self, _: &Id) {}
    }

    #[test]
    fn only_warnings_and_errors_reach_the_subscriber_of_the_process() {
        let levels = Arc::new(Mutex::new(Vec::new()));
        let notes = Dispatch::new(Notes(Arc::clone(&levels)));
        let quiet = dispatcher::with_default(&notes, Quiet::dispatch);
        let thread = std::thread::spawn(move || {
            Quiet::install(&quiet);
            tracing::info_span!("request").in_scope(|| {
                tracing::error!("an error");
                tracing::warn!("a warning");
                tracing::info!("a line too many");
                tracing::debug!("another one");
            });
        });
        thread.join().unwrap();
        assert_eq!(*levels.lock().unwrap(), [Level::ERROR, Level::WARN]);
    }
}
