//! Texts that must not come out, and a search for them in whatever form they could.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;

/// Secret or personal texts by name, each unlike anything else.
#[derive(Debug)]
pub struct Canaries(BTreeMap<&'static str, String>);

impl Canaries {
    /// One for each name: 32 letters and digits, which no encoding of texts changes.
    #[must_use]
    pub fn new(names: &[&'static str]) -> Self {
        let canary = || uuid::Uuid::new_v4().simple().to_string();
        Self(names.iter().map(|name| (*name, canary())).collect())
    }

    /// The text of this name.
    ///
    /// # Panics
    /// There is none.
    #[must_use]
    pub fn get(&self, name: &str) -> &str {
        &self.0[name]
    }

    /// Names of those that stand somewhere in `bytes`: as they are, in capitals, or within something that is
    /// encoded as base64.
    #[must_use]
    pub fn found_in(&self, bytes: impl AsRef<[u8]>) -> Vec<&'static str> {
        let bytes = bytes.as_ref();
        let lower = bytes.to_ascii_lowercase();
        let stands = |text: &String| {
            let encoded = (0..3).map(|shift| base64_at(shift, text));
            holds(&lower, text.as_bytes())
                || encoded
                    .into_iter()
                    .any(|form| holds(bytes, form.as_bytes()))
        };
        let found = self.0.iter().filter(|(_, text)| stands(text));
        found.map(|(name, _)| *name).collect()
    }

    /// Which stand in `bytes`, with the first lines that have them, if any does.
    #[must_use]
    pub fn leak_in(&self, place: &str, bytes: impl AsRef<[u8]>) -> Option<String> {
        let bytes = bytes.as_ref();
        let found = self.found_in(bytes);
        let text = String::from_utf8_lossy(bytes);
        let lines = text.lines().filter(|line| !self.found_in(line).is_empty());
        let lines: Vec<&str> = lines.take(3).collect();
        (!found.is_empty()).then(|| format!("{found:?} in {place}: {lines:#?}"))
    }

    /// Says that none stands in `bytes`.
    ///
    /// # Panics
    /// One does.
    pub fn assert_none_in(&self, place: &str, bytes: impl AsRef<[u8]>) {
        if let Some(leak) = self.leak_in(place, bytes) {
            panic!("{leak}");
        }
    }
}

fn holds(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// What is always the same in the base64 form of a text in which `text` stands after so many bytes more than
/// a multiple of three.
fn base64_at(shift: usize, text: &str) -> String {
    let mut bytes = vec![0; shift];
    bytes.extend(text.as_bytes());
    bytes.truncate(bytes.len() / 3 * 3);
    let encoded = STANDARD_NO_PAD.encode(&bytes);
    // What the unknown bytes before it have a part in.
    encoded[[0, 2, 3][shift]..].to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_planted_canary_is_found_in_every_form() {
        let canaries = Canaries::new(&["password", "address"]);
        let text = canaries.get("password").to_owned();
        for before in ["", "a", "ab", "abc", "user:"] {
            let encoded = STANDARD_NO_PAD.encode(format!("{before}{text} after"));
            assert_eq!(canaries.found_in(encoded), ["password"], "{before}");
        }
        for planted in [
            format!("{{\"message\":\"no answer from smtp://u:{text}@host\"}}"),
            text.to_uppercase(),
            format!("\u{ff}{text}"),
        ] {
            assert_eq!(canaries.found_in(planted), ["password"]);
        }
    }

    #[test]
    fn nothing_is_found_where_nothing_is() {
        let canaries = Canaries::new(&["password"]);
        let almost = &canaries.get("password")[1..];
        assert_eq!(canaries.found_in(almost), Vec::<&str>::new());
        assert_eq!(canaries.found_in(""), Vec::<&str>::new());
        canaries.assert_none_in("a log", almost);
    }

    #[test]
    #[should_panic(expected = "in a log")]
    fn a_leak_fails_the_test() {
        let canaries = Canaries::new(&["password"]);
        canaries.assert_none_in("a log", canaries.get("password"));
    }
}
