//! A stand-in for personal data in `Debug` output, which ends up in logs.

use std::fmt;

/// Shows whether there is a text, never the text.
pub(crate) struct Redacted<'a>(pub(crate) Option<&'a str>);

impl fmt::Debug for Redacted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.0.is_some() {
            "Some(redacted)"
        } else {
            "None"
        })
    }
}
