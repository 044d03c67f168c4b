//! The effective configuration, printed so that it can be used as a configuration file.

use std::fmt;

use super::{Properties, redact::REDACTED, source::Origin};

/// What is shown for a setting. Texts are already redacted.
pub(super) enum Shown {
    Unset,
    Text { text: String, complete: bool },
    List(Vec<String>),
    Secret,
    Table(Properties),
}

/// One setting that was read.
pub(super) struct Setting {
    pub(super) name: String,
    /// Whether `NAME_FILE` may name a file that holds the value.
    pub(super) by_file: bool,
    pub(super) help: String,
    pub(super) default: Option<String>,
    pub(super) shown: Shown,
    pub(super) origin: Origin,
}

/// Every setting that was read, with its effective value and where that came from.
///
/// `Display` writes TOML: each setting below a comment with its help text. What is not set or must
/// not be shown is commented out, so the output is a valid configuration file.
pub struct Loaded {
    settings: Vec<Setting>,
}

impl Loaded {
    pub(super) fn new(settings: Vec<Setting>) -> Self {
        Self { settings }
    }
}

impl fmt::Debug for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = self.settings.iter().map(|setting| &setting.name);
        f.debug_list().entries(names).finish()
    }
}

impl fmt::Display for Loaded {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // In TOML every key after a table header belongs to that table: tables come last.
        let is_table = |setting: &&Setting| matches!(setting.shown, Shown::Table(_));
        let (tables, plain): (Vec<_>, Vec<_>) = self.settings.iter().partition(is_table);
        for (index, setting) in plain.into_iter().chain(tables).enumerate() {
            if index > 0 {
                writeln!(f)?;
            }
            setting.write(f)?;
        }
        Ok(())
    }
}

impl Setting {
    /// The keys by which the file may set it.
    pub(super) fn keys(&self) -> Vec<String> {
        let key = self.name.to_lowercase();
        match self.by_file {
            true => vec![format!("{key}_file"), key],
            false => vec![key],
        }
    }

    fn write(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "# {}", self.help)?;
        let key = self.name.to_lowercase();
        let set = match &self.shown {
            Shown::Unset => "not set".to_owned(),
            _ => self.origin.to_string(),
        };
        match &self.default {
            Some(default) if !matches!(self.origin, Origin::Default) => {
                writeln!(f, "# {}, {set} (default {default})", self.name)?;
            }
            _ => writeln!(f, "# {}, {set}", self.name)?,
        }
        match &self.shown {
            Shown::Unset => writeln!(f, "# {key} ="),
            Shown::Secret => writeln!(f, "# {key} = {}", quoted(REDACTED)),
            Shown::Text { text, complete } => {
                let mark = if *complete { "" } else { "# " };
                writeln!(f, "{mark}{key} = {}", literal(text))
            }
            Shown::List(items) => {
                let items: Vec<String> = items.iter().map(|item| literal(item)).collect();
                writeln!(f, "{key} = [{}]", items.join(", "))
            }
            Shown::Table(properties) => {
                writeln!(f, "[{key}]")?;
                properties.redacted().try_for_each(|(name, value)| {
                    let hidden = properties.get(name) != Some(value.as_str());
                    let mark = if hidden { "# " } else { "" };
                    writeln!(f, "{mark}{} = {}", quoted(name), literal(&value))
                })
            }
        }
    }
}

/// A number or a truth value as it is, everything else as a text.
fn literal(text: &str) -> String {
    let number = text.parse::<i64>().is_ok_and(|n| n.to_string() == text);
    if number || text == "true" || text == "false" {
        return text.to_owned();
    }
    quoted(text)
}

/// A TOML string: JSON's escapes are all TOML's too, which also wants DEL escaped.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text)
        .to_string()
        .replace('\u{7f}', "\\u007F")
}
