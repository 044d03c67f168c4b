//! Settings of somebody else that are passed through under their own names.

use std::{collections::BTreeMap, fmt};

use super::redact::{REDACTED, is_secret_name, redact_urls};

/// Names and values as the receiving library knows them. `Debug` hides the values of names that
/// speak of secrets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Properties(BTreeMap<String, String>);

impl Properties {
    /// Name and value of each property, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &str)> {
        self.0
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str()))
    }

    /// The value of one property.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Adds a property or replaces its value.
    pub fn insert(&mut self, name: impl Into<String>, value: impl Into<String>) {
        self.0.insert(name.into(), value.into());
    }

    /// Name and value of each property, fit to be shown.
    pub(super) fn redacted(&self) -> impl Iterator<Item = (&str, String)> {
        self.iter().map(|(name, value)| match is_secret_name(name) {
            true => (name, REDACTED.to_owned()),
            false => (name, redact_urls(value)),
        })
    }
}

impl fmt::Debug for Properties {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.redacted()).finish()
    }
}

impl<'a> IntoIterator for &'a Properties {
    type Item = (&'a String, &'a String);
    type IntoIter = std::collections::btree_map::Iter<'a, String, String>;

    fn into_iter(self) -> Self::IntoIter {
        self.0.iter()
    }
}

impl<N: Into<String>, V: Into<String>> FromIterator<(N, V)> for Properties {
    fn from_iter<I: IntoIterator<Item = (N, V)>>(entries: I) -> Self {
        let mut properties = Self::default();
        for (name, value) in entries {
            properties.insert(name, value);
        }
        properties
    }
}
