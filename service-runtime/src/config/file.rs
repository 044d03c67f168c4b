//! The TOML file: flat keys, plus tables that are passed through.

use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
};

use toml::{Table, Value};

use super::source::Raw;

/// A parsed file, or an empty one when none was given.
#[derive(Default)]
pub(super) struct ConfigFile {
    path: PathBuf,
    table: Table,
}

impl ConfigFile {
    /// Reads and parses a file; the message names the file and line but quotes no content, which
    /// could be a secret.
    pub(super) fn read(path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|error| format!("cannot read the file {shown}: {error}"))?;
        let table = text.parse::<Table>().map_err(|error| {
            let start = error.span().map_or(0, |span| span.start);
            let before = text.get(..start).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            format!("{shown} line {line} is not valid TOML: {}", error.message())
        })?;
        Ok(Self {
            path: path.to_owned(),
            table,
        })
    }

    pub(super) fn path(&self) -> PathBuf {
        self.path.clone()
    }

    pub(super) fn keys(&self) -> impl Iterator<Item = &str> {
        self.table.keys().map(String::as_str)
    }

    pub(super) fn value(&self, key: &str) -> Result<Option<Raw>, String> {
        let Some(value) = self.table.get(key) else {
            return Ok(None);
        };
        let raw = match value {
            Value::Array(items) => items
                .iter()
                .map(scalar)
                .collect::<Option<_>>()
                .map(Raw::List),
            Value::Table(table) => {
                let mut entries = BTreeMap::new();
                flatten("", table, &mut entries).then_some(Raw::Table(entries))
            }
            value => scalar(value).map(Raw::Text),
        };
        raw.map(Some).ok_or_else(|| {
            let path = self.path.display();
            format!("must consist of texts, numbers, true or false (from {path})")
        })
    }

    pub(super) fn text(&self, key: &str) -> Result<Option<String>, String> {
        match self.value(key)? {
            None => Ok(None),
            Some(Raw::Text(text)) => Ok(Some(text)),
            Some(_) => Err(format!("must be a text (from {})", self.path.display())),
        }
    }
}

fn scalar(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Integer(number) => Some(number.to_string()),
        Value::Float(number) => Some(number.to_string()),
        Value::Boolean(flag) => Some(flag.to_string()),
        Value::Datetime(_) | Value::Array(_) | Value::Table(_) => None,
    }
}

fn flatten(prefix: &str, table: &Table, entries: &mut BTreeMap<String, String>) -> bool {
    table.iter().all(|(key, value)| {
        let name = format!("{prefix}{key}");
        match (value, scalar(value)) {
            (Value::Table(inner), _) => flatten(&format!("{name}."), inner, entries),
            (_, Some(text)) => entries.insert(name, text).is_none(),
            (_, None) => false,
        }
    })
}

/// The known name that takes the fewest edits to reach, when it is near enough to be meant.
pub(super) fn nearest<'a>(key: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let key = key.to_lowercase().replace('-', "_");
    let allowed = 2.max(key.len() / 4);
    known
        .map(|name| (edits(&key, name), name))
        .filter(|(distance, _)| *distance <= allowed)
        .min()
        .map(|(_, name)| name)
}

/// Levenshtein distance.
fn edits(from: &str, to: &str) -> usize {
    let to: Vec<char> = to.chars().collect();
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let replaced = diagonal + usize::from(a != *b);
            diagonal = row[j + 1];
            row[j + 1] = replaced.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_typing_error_finds_the_meant_name_and_a_strange_name_finds_none() {
        let known = ["http_port", "http_address", "kafka_group_id"];
        let meant = |key| nearest(key, known.into_iter());
        assert_eq!(meant("htp_port"), Some("http_port"));
        assert_eq!(meant("HTTP-PORT"), Some("http_port"));
        assert_eq!(meant("kafka_groupid"), Some("kafka_group_id"));
        assert_eq!(meant("smtp_url"), None);
    }
}
