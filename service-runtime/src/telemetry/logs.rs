//! Log set-up.

use std::{
    backtrace::{Backtrace, BacktraceStatus},
    fmt::{self, Display, Write as _},
    io::IsTerminal as _,
    panic,
    str::FromStr,
    sync::Once,
};

use tracing::field::{Field, Visit};
use tracing_subscriber::{
    EnvFilter, Layer, Registry,
    field::RecordFields,
    fmt::{FormatFields, MakeWriter, format::Writer},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};

use crate::config::Reader;

/// How log lines are written.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// For people; coloured when stdout is a terminal.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        match text {
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err("expected text or json"),
        }
    }
}

impl Display for LogFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Text => "text",
            Self::Json => "json",
        })
    }
}

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogConfig {
    /// Directives such as `info` or `info,service_runtime=debug`.
    pub level: String,
    /// How lines are written.
    pub format: LogFormat,
}

impl Default for LogConfig {
    fn default() -> Self {
        Self {
            level: "info".to_owned(),
            format: LogFormat::Text,
        }
    }
}

impl LogConfig {
    /// Reads `LOG_LEVEL` and `LOG_FORMAT`.
    pub fn read(reader: &mut Reader) -> Self {
        let default = Self::default();
        let level = reader.get(
            "LOG_LEVEL",
            default.level,
            "What is logged: a level, or directives such as info,service_runtime=debug",
        );
        if let Err(error) = EnvFilter::builder().parse(&level) {
            reader.problem("LOG_LEVEL", format!("{level:?} is not valid: {error}"));
        }
        let format = reader.get(
            "LOG_FORMAT",
            default.format,
            "Form of log lines: text or json",
        );
        Self { level, format }
    }
}

/// Starts logging to stdout. Only the first call in a process has an effect: several services in
/// one process share the log of the first.
pub fn init(config: &LogConfig) {
    static STARTED: Once = Once::new();
    STARTED.call_once(|| {
        let colour = std::io::stdout().is_terminal();
        let layer = layer(config.format, colour, std::io::stdout);
        let filter = EnvFilter::builder().parse_lossy(&config.level);
        // Somebody else's subscriber, such as a test's, stays in place.
        if tracing_subscriber::registry()
            .with(layer.with_filter(filter))
            .try_init()
            .is_err()
        {
            tracing::debug!("Logging was already set up.");
        }
    });
}

/// Logs every panic of the process as one event in place of the standard report on stderr, with a
/// backtrace when `RUST_BACKTRACE` asks for one.
pub fn log_panics() {
    panic::set_hook(Box::new(|info| {
        let message = info.payload_as_str().unwrap_or("not a text");
        let location = info.location().map(ToString::to_string).unwrap_or_default();
        let backtrace = Backtrace::capture();
        let backtrace = (backtrace.status() == BacktraceStatus::Captured)
            .then(|| tracing::field::display(backtrace));
        tracing::error!(message, location, backtrace, "A thread panicked.");
    }));
}

fn layer<W>(format: LogFormat, colour: bool, writer: W) -> Box<dyn Layer<Registry> + Send + Sync>
where
    W: for<'w> MakeWriter<'w> + Send + Sync + 'static,
{
    let layer = tracing_subscriber::fmt::layer().with_writer(writer);
    match format {
        LogFormat::Text => layer.with_ansi(colour).fmt_fields(EscapedFields).boxed(),
        LogFormat::Json => layer
            .json()
            .flatten_event(true)
            .with_span_list(false)
            .boxed(),
    }
}

/// `key=value` fields with every control character escaped. The subscriber's own formatter lets
/// line breaks through, and in `%value` fields ESC as well.
struct EscapedFields;

impl<'writer> FormatFields<'writer> for EscapedFields {
    fn format_fields<R: RecordFields>(&self, writer: Writer<'writer>, fields: R) -> fmt::Result {
        let mut visitor = EscapedVisitor {
            writer,
            first: true,
            result: Ok(()),
        };
        fields.record(&mut visitor);
        visitor.result
    }
}

struct EscapedVisitor<'writer> {
    writer: Writer<'writer>,
    first: bool,
    result: fmt::Result,
}

impl EscapedVisitor<'_> {
    fn write(&mut self, field: &Field, value: &dyn fmt::Debug) -> fmt::Result {
        if !std::mem::take(&mut self.first) {
            self.writer.write_char(' ')?;
        }
        if field.name() != "message" {
            write!(self.writer, "{}=", field.name())?;
        }
        write!(Escaping(&mut self.writer), "{value:?}")
    }
}

impl Visit for EscapedVisitor<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if self.result.is_ok() {
            self.result = self.write(field, value);
        }
    }
}

struct Escaping<'a, 'writer>(&'a mut Writer<'writer>);

impl fmt::Write for Escaping<'_, '_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        for part in text.split_inclusive(char::is_control) {
            match part.char_indices().next_back() {
                Some((at, last)) if last.is_control() => {
                    self.0.write_str(&part[..at])?;
                    write!(self.0, "{}", last.escape_default())?;
                }
                _ => self.0.write_str(part)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    const HOSTILE: &str = "a\r\nINFO forged \u{1b}[31m\u{9b}b\tc";

    /// What a subscriber of this format writes for an event with hostile text everywhere.
    fn written(format: LogFormat) -> String {
        let buffer = Arc::new(Mutex::new(Vec::new()));
        let writer = buffer.clone();
        let make = move || Shared(writer.clone());
        let subscriber = tracing_subscriber::registry().with(layer(format, false, make));
        tracing::subscriber::with_default(subscriber, || {
            let _span = tracing::info_span!("request", user = HOSTILE, shown = %HOSTILE).entered();
            let error = std::io::Error::other(HOSTILE);
            tracing::info!(
                text = HOSTILE,
                shown = %HOSTILE,
                error = &error as &dyn std::error::Error,
                "Message {HOSTILE}.",
            );
        });
        String::from_utf8(buffer.lock().unwrap().clone()).unwrap()
    }

    struct Shared(Arc<Mutex<Vec<u8>>>);

    impl std::io::Write for Shared {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().unwrap().write(bytes)
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    #[test]
    fn text_logs_escape_control_characters_in_messages_fields_errors_and_spans() {
        let text = written(LogFormat::Text);
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains(char::is_control), "{line:?}");
        let escaped = r"a\r\nINFO forged \u{1b}[31m\u{9b}b\tc";
        assert_eq!(line.matches(escaped).count(), 6, "{line}");
        assert!(
            line.contains(&format!("Message {escaped}. text=")),
            "{line}"
        );
    }

    #[test]
    fn json_logs_are_one_parsable_line_with_the_original_text() {
        let text = written(LogFormat::Json);
        let line = text.strip_suffix('\n').unwrap();
        assert!(!line.contains(['\n', '\r', '\u{1b}']), "{line:?}");
        let event: serde_json::Value = serde_json::from_str(line).unwrap();
        assert_eq!(event["text"], HOSTILE);
        assert_eq!(event["message"], format!("Message {HOSTILE}."));
        assert_eq!(event["level"], "INFO");
        assert_eq!(event["span"]["user"], HOSTILE);
    }

    #[test]
    fn starting_logs_twice_is_harmless() {
        init(&LogConfig::default());
        init(&LogConfig::default());
    }

    #[test]
    fn a_wrong_level_or_format_is_a_problem_of_the_configuration() {
        let environment = [("LOG_LEVEL", "service=loud"), ("LOG_FORMAT", "xml")];
        let mut reader = Reader::new(None, environment);
        LogConfig::read(&mut reader);
        let error = reader.finish().unwrap_err();
        let [level, format] = error.problems() else {
            panic!("{error}");
        };
        assert!(
            level.starts_with("LOG_LEVEL: \"service=loud\" is not valid"),
            "{level}"
        );
        assert!(level.ends_with("(from the environment)"), "{level}");
        assert_eq!(
            format,
            "LOG_FORMAT: \"xml\" is not valid: expected text or json (from the environment)"
        );
    }
}
