//! Where values come from: the environment and the file, unparsed.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::PathBuf};

use super::file::ConfigFile;

/// A value as it was written, before it is parsed.
#[derive(Clone)]
pub(super) enum Raw {
    Text(String),
    List(Vec<String>),
    /// Names of nested tables are joined by dots.
    Table(BTreeMap<String, String>),
}

/// Where a value was found, in words that end a message.
#[derive(Clone)]
pub(super) enum Origin {
    Default,
    Environment,
    File(PathBuf),
    /// The file named by `NAME_FILE`.
    Named {
        variable: String,
        path: String,
    },
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Environment => f.write_str("from the environment"),
            Self::File(path) => write!(f, "from {}", path.display()),
            Self::Named { variable, path } => write!(f, "from {path}, named by {variable}"),
        }
    }
}

/// The two layers above the defaults.
pub(super) struct Sources {
    environment: BTreeMap<OsString, OsString>,
    pub(super) file: ConfigFile,
}

impl Sources {
    pub(super) fn new(environment: BTreeMap<OsString, OsString>, file: ConfigFile) -> Self {
        Self { environment, file }
    }

    /// The value of a setting; the environment wins over the file. An empty variable counts as not
    /// set, because compose files and charts cannot leave a variable out.
    pub(super) fn find(&self, name: &str) -> Result<Option<(Raw, Origin)>, String> {
        if let Some(text) = self.variable(name)? {
            return Ok(Some((Raw::Text(text), Origin::Environment)));
        }
        let raw = self.file.value(&name.to_lowercase())?;
        Ok(raw.map(|raw| (raw, Origin::File(self.file.path()))))
    }

    /// A secret: the value itself, or a file that holds it, within one layer only one of the two.
    pub(super) fn find_secret(&self, name: &str) -> Result<Option<(String, Origin)>, String> {
        match self.find_or_named(name)? {
            None => Ok(None),
            Some((Raw::Text(value), origin)) => Ok(Some((value, origin))),
            Some((_, origin)) => Err(format!("must be a text ({origin})")),
        }
    }

    /// Like [`Self::find_secret`], in any form.
    pub(super) fn find_or_named(&self, name: &str) -> Result<Option<(Raw, Origin)>, String> {
        let named = format!("{name}_FILE");
        let from_environment = (self.variable(name)?, self.variable(&named)?);
        let (direct, path, origin) = match from_environment {
            (None, None) => (
                self.file.value(&name.to_lowercase())?,
                self.file.text(&named.to_lowercase())?,
                Origin::File(self.file.path()),
            ),
            (direct, path) => (direct.map(Raw::Text), path, Origin::Environment),
        };
        match (direct, path) {
            (Some(_), Some(_)) => Err(format!(
                "set together with {named}; choose one of them ({origin})"
            )),
            (Some(value), None) => Ok(Some((value, origin))),
            (None, Some(path)) => read_secret(named, path).map(Some),
            (None, None) => Ok(None),
        }
    }

    fn variable(&self, name: &str) -> Result<Option<String>, String> {
        let Some(value) = self.environment.get(std::ffi::OsStr::new(name)) else {
            return Ok(None);
        };
        match value.to_str() {
            Some(text) => Ok(Some(text.to_owned()).filter(|text| !text.is_empty())),
            None => Err(format!("is not UTF-8 ({})", Origin::Environment)),
        }
    }
}

fn read_secret(variable: String, path: String) -> Result<(Raw, Origin), String> {
    let read = std::fs::read_to_string(&path);
    let origin = Origin::Named { variable, path };
    let text = read.map_err(|error| format!("cannot be read: {error} ({origin})"))?;
    // Editors and `echo` end a file with a newline that is not part of the secret.
    let secret = text.trim_end_matches(['\r', '\n']);
    if secret.is_empty() {
        return Err(format!("is empty ({origin})"));
    }
    Ok((Raw::Text(secret.to_owned()), origin))
}
