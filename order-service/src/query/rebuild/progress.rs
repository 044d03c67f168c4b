//! How far a rebuild has come: a line a second, which on a terminal replaces the one before.

use std::fmt;
use std::io::Write;
use std::time::{Duration, Instant};

const EVERY: Duration = Duration::from_secs(1);

/// Shows progress.
pub struct Progress {
    output: Box<dyn Write + Send + Sync>,
    terminal: bool,
    started: Instant,
    shown: Option<Instant>,
}

impl Progress {
    /// Writes to `output`, as to a terminal if it is one.
    pub fn new(output: impl Write + Send + Sync + 'static, terminal: bool) -> Self {
        Self {
            output: Box::new(output),
            terminal,
            started: Instant::now(),
            shown: None,
        }
    }

    /// Shows where it is, unless that was done less than a second ago.
    pub(super) fn show(&mut self, events: u64, all: u64, orders: u64) {
        let now = Instant::now();
        if self.shown.is_some_and(|shown| now - shown < EVERY) {
            return;
        }
        self.shown = Some(now);
        let line = line(events, all, orders, now - self.started);
        self.write(&line);
    }

    /// Says something on a line of its own.
    pub(super) fn say(&mut self, text: &str) {
        self.write(text);
        self.end();
    }

    /// Leaves the last line as it is.
    pub(super) fn end(&mut self) {
        if self.terminal {
            self.put("\n");
        }
    }

    fn write(&mut self, line: &str) {
        match self.terminal {
            // Back to the start of the line, and the rest of the old one away.
            true => self.put(&format!("\r{line}\x1b[K")),
            false => self.put(&format!("{line}\n")),
        }
    }

    /// Whoever does not look any more does not stop the work.
    fn put(&mut self, text: &str) {
        let written = self.output.write_all(text.as_bytes());
        written.and_then(|()| self.output.flush()).ok();
    }
}

impl fmt::Debug for Progress {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Progress(terminal: {})", self.terminal)
    }
}

fn line(events: u64, all: u64, orders: u64, elapsed: Duration) -> String {
    let percent = 100 * events.min(all) / all.max(1);
    let rate = (orders as f64 / elapsed.as_secs_f64().max(0.001)) as u64;
    format!("{percent:3} %  {events} of {all} events  {orders} orders  {rate} orders/s")
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Kept(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Kept {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    fn written(terminal: bool) -> String {
        let kept = Kept::default();
        let mut progress = Progress::new(kept.clone(), terminal);
        for events in [0, 10, 20] {
            progress.show(events, 20, events / 2);
        }
        progress.say("comparing");
        String::from_utf8(kept.0.lock().unwrap().clone()).unwrap()
    }

    #[test]
    fn a_line_says_how_far_and_how_fast() {
        let line = line(150, 600, 50, Duration::from_secs(2));
        assert_eq!(line, " 25 %  150 of 600 events  50 orders  25 orders/s");
    }

    #[test]
    fn no_more_than_a_line_is_shown_in_a_second() {
        let lines = written(false);
        assert_eq!(
            lines,
            "  0 %  0 of 20 events  0 orders  0 orders/s\ncomparing\n"
        );
    }

    #[test]
    fn on_a_terminal_a_line_replaces_the_one_before() {
        let text = written(true);
        assert_eq!(text.matches('\n').count(), 1, "{text:?}");
        assert!(text.ends_with("\rcomparing\x1b[K\n"), "{text:?}");
    }
}
