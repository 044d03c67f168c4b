//! Settings in layers: defaults, then a TOML file, then the environment.
//!
//! Every setting has one name, `HTTP_PORT` in the environment and `http_port` in the file. A service
//! declares its settings by reading them from a [`Reader`]; each read gives a usable value even when
//! something is wrong, so that [`Reader::finish`] can list every problem at once. The environment is
//! passed in, so nothing here depends on process state.
//!
//! A secret's value appears in no error, no `Debug` output and not in the printed configuration.

mod duration;
mod file;
mod loaded;
mod properties;
mod reader;
mod redact;
mod source;

pub use duration::{DurationError, format_duration, parse_duration};
pub use loaded::Loaded;
pub use properties::Properties;
pub use reader::Reader;
pub use redact::redact_urls;
pub use secrecy::{ExposeSecret, SecretString};

/// Everything that is wrong with a configuration, one problem a line.
#[derive(Debug, thiserror::Error)]
#[error("the configuration has {} problem(s):{}", problems.len(), as_lines(problems))]
pub struct ConfigError {
    problems: Vec<String>,
}

impl ConfigError {
    fn new(problems: Vec<String>) -> Self {
        Self { problems }
    }

    /// The problems, in the order in which the settings were read. Never contains a secret.
    pub fn problems(&self) -> &[String] {
        &self.problems
    }
}

fn as_lines(problems: &[String]) -> String {
    problems
        .iter()
        .map(|problem| format!("\n  - {problem}"))
        .collect()
}
