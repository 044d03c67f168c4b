//! What is printed: JSON for scripts, tables and lines for people.

mod printable;
mod table;

use std::io::{self, Write as _};

use serde::Serialize;
use serde_json::Value;

pub use printable::printable;
pub use table::Table;

use crate::Failure;

/// Where data goes: stdout, in one of two forms.
#[derive(Debug, Clone, Copy)]
pub struct Output {
    /// JSON instead of text.
    pub json: bool,
}

impl Output {
    /// Prints `document` as one line of JSON, or else the text that `text` makes of it.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn print<T: Serialize>(
        self,
        document: &T,
        text: impl FnOnce(&T) -> String,
    ) -> Result<(), Failure> {
        let mut line = match self.json {
            true => serde_json::to_string(document)?,
            false => text(document),
        };
        if !line.is_empty() && !line.ends_with('\n') {
            line.push('\n');
        }
        self.bytes(line.as_bytes())
    }

    /// Writes `bytes` as they are.
    ///
    /// # Errors
    /// Stdout cannot be written.
    pub fn bytes(self, bytes: &[u8]) -> Result<(), Failure> {
        let mut stdout = io::stdout().lock();
        stdout.write_all(bytes)?;
        // A line that waits in a buffer is of no use to whoever follows a stream.
        stdout.flush()?;
        Ok(())
    }
}

/// Tells the user something on stderr.
pub fn note(message: &str) {
    let line = format!("orderctl: {}\n", printable(message));
    // Nobody is left to be told that stderr is closed.
    io::stderr().write_all(line.as_bytes()).ok();
}

/// The text of a member of a JSON object, fit for a terminal; nothing when it is not there.
#[must_use]
pub fn cell(object: &Value, name: &str) -> String {
    match &object[name] {
        Value::Null => String::new(),
        Value::String(text) => printable(text),
        other => printable(&other.to_string()),
    }
}
