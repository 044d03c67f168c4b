//! Reads settings and collects every problem.

use std::{
    collections::BTreeMap,
    ffi::OsString,
    fmt::{self, Display},
    ops::RangeInclusive,
    path::Path,
    str::FromStr,
    time::Duration,
};

use secrecy::SecretString;

use super::{
    ConfigError, Loaded, Properties,
    duration::{format_duration, parse_duration},
    file::{ConfigFile, nearest},
    loaded::{Setting, Shown},
    redact::redact_urls,
    source::{Origin, Raw, Sources},
};

/// Reads settings by name; a setting is declared by being read.
///
/// A value that cannot be used is noted as a problem and the default is returned in its place, so
/// that reading goes on; [`Reader::finish`] then fails with all problems.
pub struct Reader {
    sources: Sources,
    settings: Vec<Setting>,
    problems: Vec<String>,
}

impl fmt::Debug for Reader {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reader")
            .field("settings", &self.settings.len())
            .field("problems", &self.problems)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// A reader over a file, if one is given, and the environment. A file that cannot be read is
    /// one of the problems that [`Reader::finish`] reports.
    pub fn new<N, V>(file: Option<&Path>, environment: impl IntoIterator<Item = (N, V)>) -> Self
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let (file, problems) = match file.map(ConfigFile::read) {
            None => (ConfigFile::default(), Vec::new()),
            Some(Ok(file)) => (file, Vec::new()),
            Some(Err(problem)) => (ConfigFile::default(), vec![problem]),
        };
        let environment: BTreeMap<_, _> = environment
            .into_iter()
            .map(|(name, value)| (name.into(), value.into()))
            .collect();
        Self {
            sources: Sources::new(environment, file),
            settings: Vec::new(),
            problems,
        }
    }

    /// A value of any type that is written as text.
    pub fn get<T>(&mut self, name: &str, default: T, help: &str) -> T
    where
        T: FromStr + Display,
        T::Err: Display,
    {
        let parse = |text: &str| text.parse::<T>().map_err(|error| error.to_string());
        self.read_or(name, default, help, T::to_string, parse)
    }

    /// Like [`Reader::get`], and the value must lie in the range.
    pub fn get_in<T>(&mut self, name: &str, default: T, range: RangeInclusive<T>, help: &str) -> T
    where
        T: FromStr + Display + PartialOrd,
        T::Err: Display,
    {
        let parse = |text: &str| {
            let value = text.parse::<T>().map_err(|error| error.to_string())?;
            check_range(value, &range, T::to_string)
        };
        self.read_or(name, default, help, T::to_string, parse)
    }

    /// A value that may be absent.
    pub fn optional<T>(&mut self, name: &str, help: &str) -> Option<T>
    where
        T: FromStr + Display,
        T::Err: Display,
    {
        let parse = |text: &str| text.parse::<T>().map_err(|error| error.to_string());
        self.read(name, None, help, T::to_string, parse)
    }

    /// A duration with its unit, such as `500ms` or `5s` ([`parse_duration`]).
    pub fn duration(&mut self, name: &str, default: Duration, help: &str) -> Duration {
        let parse = |text: &str| parse_duration(text).map_err(|error| error.to_string());
        self.read_or(name, default, help, |value| format_duration(*value), parse)
    }

    /// Like [`Reader::duration`], and the value must lie in the range.
    pub fn duration_in(
        &mut self,
        name: &str,
        default: Duration,
        range: RangeInclusive<Duration>,
        help: &str,
    ) -> Duration {
        let show = |value: &Duration| format_duration(*value);
        let parse = |text: &str| {
            let value = parse_duration(text).map_err(|error| error.to_string())?;
            check_range(value, &range, show)
        };
        self.read_or(name, default, help, show, parse)
    }

    /// Several values: separated by commas in the environment, in the file that or an array.
    pub fn list<T>(&mut self, name: &str, default: Vec<T>, help: &str) -> Vec<T>
    where
        T: FromStr + Display,
        T::Err: Display,
    {
        let show = |items: &[T]| items.iter().map(T::to_string).collect::<Vec<_>>();
        let shown_default = show(&default);
        let (items, origin) = match self.find(name) {
            None => (default, Origin::Default),
            Some((raw, origin)) => match parse_items(&raw) {
                Ok(items) => (items, origin),
                Err(problem) => {
                    self.problem_at(name, &problem, &origin);
                    (default, Origin::Default)
                }
            },
        };
        let redacted = show(&items).iter().map(|item| redact_urls(item)).collect();
        let default = Some(redact_urls(&shown_default.join(",")));
        self.declare(name, help, default, Shown::List(redacted), origin);
        items
    }

    /// A secret: its value in `NAME`, or in `NAME_FILE` the path of a file that holds it. The value
    /// is never shown.
    pub fn secret(&mut self, name: &str, help: &str) -> Option<SecretString> {
        let (value, origin) = self.find_secret(name);
        let shown = match value {
            Some(_) => Shown::Secret,
            None => Shown::Unset,
        };
        self.declare(name, help, None, shown, origin);
        self.allow_file(name);
        value.map(SecretString::from)
    }

    /// A URL that may hold a password: read like a secret (`NAME` or `NAME_FILE`) and shown without
    /// the password.
    pub fn url(&mut self, name: &str, default: &str, help: &str) -> SecretString {
        let (value, origin) = self.find_secret(name);
        let value = value.unwrap_or_else(|| default.to_owned());
        self.declare(
            name,
            help,
            Some(redact_urls(default)),
            shown(&value),
            origin,
        );
        self.allow_file(name);
        SecretString::from(value)
    }

    /// Settings passed through to a library under its own names: `name=value` pairs separated by
    /// commas, in the file also a table. They may hold secrets: `NAME_FILE` names a file with one
    /// pair a line.
    pub fn pairs(&mut self, name: &str, help: &str) -> Properties {
        let found = self.sources.find_or_named(name);
        let (pairs, origin) = match self.noted(name, found).flatten() {
            None => (Properties::default(), Origin::Default),
            Some((raw, origin)) => match parse_pairs(by_line(raw, &origin)) {
                Ok(pairs) => (pairs, origin),
                Err(problem) => {
                    self.problem_at(name, &problem, &origin);
                    (Properties::default(), Origin::Default)
                }
            },
        };
        self.declare(name, help, None, Shown::Table(pairs.clone()), origin);
        self.allow_file(name);
        pairs
    }

    /// Notes a problem that shows only when settings are compared, under the name of one of them.
    /// The message must not contain a secret.
    pub fn problem(&mut self, name: &str, message: impl Display) {
        let declared = self.settings.iter().find(|setting| setting.name == name);
        let origin = declared.map_or(Origin::Default, |setting| setting.origin.clone());
        self.problem_at(name, &message.to_string(), &origin);
    }

    /// Ends reading.
    ///
    /// # Errors
    /// All problems at once, with every key of the file that no setting has.
    pub fn finish(mut self) -> Result<Loaded, ConfigError> {
        let known: Vec<String> = self.settings.iter().flat_map(Setting::keys).collect();
        for key in self.sources.file.keys() {
            if known.iter().any(|name| name == key) {
                continue;
            }
            let hint = nearest(key, known.iter().map(String::as_str))
                .map(|name| format!("; did you mean `{name}`?"))
                .unwrap_or_default();
            let origin = Origin::File(self.sources.file.path());
            let problem = format!("`{key}` is not a known setting ({origin}){hint}");
            self.problems.push(problem);
        }
        match self.problems.is_empty() {
            true => Ok(Loaded::new(self.settings)),
            false => Err(ConfigError::new(self.problems)),
        }
    }

    fn read_or<T>(
        &mut self,
        name: &str,
        default: T,
        help: &str,
        show: impl Fn(&T) -> String,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> T {
        let shown = show(&default);
        self.read(name, Some(shown), help, show, parse)
            .unwrap_or(default)
    }

    fn read<T>(
        &mut self,
        name: &str,
        default: Option<String>,
        help: &str,
        show: impl Fn(&T) -> String,
        parse: impl Fn(&str) -> Result<T, String>,
    ) -> Option<T> {
        let found = match self.find(name) {
            None => None,
            Some((Raw::List(_) | Raw::Table(_), origin)) => {
                self.problem_at(name, "takes one value", &origin);
                None
            }
            Some((Raw::Text(text), origin)) => match parse(&text) {
                Ok(value) => Some((value, origin)),
                Err(problem) => {
                    let text = redact_urls(&text);
                    let problem = format!("{text:?} is not valid: {problem}");
                    self.problem_at(name, &problem, &origin);
                    None
                }
            },
        };
        let (value, origin) = found.unzip();
        let text = value.as_ref().map(show).or_else(|| default.clone());
        let shown = text.map_or(Shown::Unset, |text| shown(&text));
        let default = default.map(|text| redact_urls(&text));
        self.declare(
            name,
            help,
            default,
            shown,
            origin.unwrap_or(Origin::Default),
        );
        value
    }

    fn find(&mut self, name: &str) -> Option<(Raw, Origin)> {
        let found = self.sources.find(name);
        self.noted(name, found).flatten()
    }

    fn find_secret(&mut self, name: &str) -> (Option<String>, Origin) {
        let found = self.sources.find_secret(name);
        let (value, origin) = self.noted(name, found).flatten().unzip();
        (value, origin.unwrap_or(Origin::Default))
    }

    fn noted<T>(&mut self, name: &str, result: Result<T, String>) -> Option<T> {
        result
            .map_err(|problem| self.problems.push(format!("{name}: {problem}")))
            .ok()
    }

    fn problem_at(&mut self, name: &str, problem: &str, origin: &Origin) {
        let problem = redact_urls(problem);
        self.problems.push(format!("{name}: {problem} ({origin})"));
    }

    fn declare(
        &mut self,
        name: &str,
        help: &str,
        default: Option<String>,
        shown: Shown,
        origin: Origin,
    ) {
        // Two parts of a service may read the same setting; it is shown once.
        if self.settings.iter().any(|setting| setting.name == name) {
            return;
        }
        self.settings.push(Setting {
            name: name.to_owned(),
            by_file: false,
            help: help.to_owned(),
            default,
            shown,
            origin,
        });
    }

    fn allow_file(&mut self, name: &str) {
        let declared = self.settings.iter_mut();
        for setting in declared.filter(|setting| setting.name == name) {
            setting.by_file = true;
        }
    }
}

fn shown(text: &str) -> Shown {
    let redacted = redact_urls(text);
    Shown::Text {
        complete: redacted == text,
        text: redacted,
    }
}

fn check_range<T: PartialOrd>(
    value: T,
    range: &RangeInclusive<T>,
    show: impl Fn(&T) -> String,
) -> Result<T, String> {
    match range.contains(&value) {
        true => Ok(value),
        false => Err(format!(
            "must be between {} and {}",
            show(range.start()),
            show(range.end())
        )),
    }
}

fn parse_items<T>(raw: &Raw) -> Result<Vec<T>, String>
where
    T: FromStr,
    T::Err: Display,
{
    let items: Vec<&str> = match raw {
        Raw::List(items) => items.iter().map(String::as_str).collect(),
        Raw::Text(text) => text.split(',').map(str::trim).collect(),
        Raw::Table(_) => return Err("takes a list, not a table".to_owned()),
    };
    items
        .into_iter()
        .filter(|item| !item.is_empty())
        .map(|item| {
            item.parse()
                .map_err(|error| format!("{item:?} is not valid: {error}"))
        })
        .collect()
}

/// In a file of its own a value may contain commas.
fn by_line(raw: Raw, origin: &Origin) -> Raw {
    match (raw, origin) {
        (Raw::Text(text), Origin::Named { .. }) => {
            Raw::List(text.lines().map(str::to_owned).collect())
        }
        (raw, _) => raw,
    }
}

/// The messages quote no pair: it may hold a secret.
fn parse_pairs(raw: Raw) -> Result<Properties, String> {
    let pairs = match raw {
        Raw::Table(entries) => return Ok(entries.into_iter().collect()),
        Raw::List(items) => items,
        Raw::Text(text) => text.split(',').map(str::to_owned).collect(),
    };
    pairs
        .iter()
        .map(|pair| pair.trim())
        .enumerate()
        .filter(|(_, pair)| !pair.is_empty())
        .map(|(index, pair)| match pair.split_once('=') {
            Some((name, value)) if !name.trim().is_empty() => Ok((name.trim(), value.trim())),
            _ => Err(format!("entry {} is not name=value", index + 1)),
        })
        .collect()
}
