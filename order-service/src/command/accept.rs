//! Which of its two forms an answer takes, by the `Accept` header (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};

/// The forms of the answer to a placed order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// `application/json`.
    Json,
    /// `text/plain`, the tutorial's sentence and nothing else.
    Text,
}

impl Format {
    /// The form that the request likes better: the one with the higher q value, then the one it names more
    /// exactly, then JSON.
    ///
    /// A request that accepts neither gets JSON all the same: section 12.4.1 allows it, and a client that
    /// places an order is helped more by the answer than by 406.
    pub(super) fn preferred(headers: &HeaderMap) -> Self {
        let text = liking(headers, "text", "plain");
        if text.quality > 0 && text > liking(headers, "application", "json") {
            Self::Text
        } else {
            Self::Json
        }
    }
}

/// How much a request likes one media type; ordered by quality, then by specificity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Liking {
    /// In thousandths, so that it can be compared exactly.
    quality: u16,
    specificity: u8,
}

/// The most specific range that matches the type decides about it.
fn liking(headers: &HeaderMap, kind: &str, subtype: &str) -> Liking {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| one_range(range, kind, subtype))
        .max_by_key(|liking| (liking.specificity, liking.quality))
        .unwrap_or_default()
}

/// What one range says about the type; a range that is malformed or about other types says nothing.
fn one_range(range: &str, kind: &str, subtype: &str) -> Option<Liking> {
    let mut parts = range.split(';').map(str::trim);
    let (range_kind, range_subtype) = parts.next()?.split_once('/')?;
    let same = |part: &str, name: &str| part.eq_ignore_ascii_case(name);
    let specificity = match (range_kind, range_subtype) {
        ("*", "*") => 1,
        (part, "*") if same(part, kind) => 2,
        (part, subpart) if same(part, kind) && same(subpart, subtype) => 3,
        _ => return None,
    };
    let weight = parts
        .filter_map(|parameter| parameter.split_once('='))
        .find(|(name, _)| name.trim().eq_ignore_ascii_case("q"));
    Some(Liking {
        quality: match weight {
            None => 1000,
            Some((_, value)) => thousandths(value.trim())?,
        },
        specificity,
    })
}

/// Reads a `qvalue`: from 0 to 1, with at most three decimals.
fn thousandths(text: &str) -> Option<u16> {
    let (whole, fraction) = text.split_once('.').unwrap_or((text, ""));
    if fraction.len() > 3 || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let fraction = format!("{fraction:0<3}").parse().ok()?;
    match (whole, fraction) {
        ("0", fraction) => Some(fraction),
        ("1", 0) => Some(1000),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn preferred(values: &[&str]) -> Format {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        Format::preferred(&headers)
    }

    #[test]
    fn json_is_the_answer_to_whoever_does_not_ask_for_text() {
        assert_eq!(preferred(&[]), Format::Json);
        for accept in [
            "*/*",
            "application/json",
            "application/*",
            "text/html, */*;q=0.8",
            "application/xml",
            "",
            "nonsense",
            "text/plain;q=0",
            "text/plain;q=0, application/json;q=0",
        ] {
            assert_eq!(preferred(&[accept]), Format::Json, "{accept}");
        }
    }

    #[test]
    fn text_is_the_answer_to_whoever_asks_for_it() {
        for accept in [
            "text/plain",
            "TEXT/Plain",
            "text/*",
            "text/plain; charset=utf-8",
            "text/plain, */*",
            "text/plain;q=0.1",
            "application/json;q=0, */*;q=0.1",
        ] {
            assert_eq!(preferred(&[accept]), Format::Text, "{accept}");
        }
    }

    #[test]
    fn the_higher_quality_wins_whatever_the_order() {
        let text = "text/plain; q=0.9, application/json; q=0.8";
        assert_eq!(preferred(&[text]), Format::Text);
        let json = "text/plain;q=0.5, application/json";
        assert_eq!(preferred(&[json]), Format::Json);
        let close = "text/plain;Q=0.501, application/json;q=0.5";
        assert_eq!(preferred(&[close]), Format::Text);
        assert_eq!(preferred(&["text/plain, application/json"]), Format::Json);
    }

    #[test]
    fn several_header_lines_count_as_one() {
        let lines = ["application/json;q=0.2", "text/plain;q=0.3"];
        assert_eq!(preferred(&lines), Format::Text);
    }

    #[test]
    fn the_most_specific_range_decides_about_a_type() {
        let refused = "text/plain;q=0, text/*, application/json;q=0.1";
        assert_eq!(preferred(&[refused]), Format::Json);
    }

    #[test]
    fn a_malformed_weight_makes_its_range_void() {
        for weight in ["2", "1.5", "-1", ".5", "0.1234", "0,5", "x", "", "+1"] {
            let accept = format!("text/plain;q={weight}");
            assert_eq!(preferred(&[&accept]), Format::Json, "{accept}");
        }
    }
}
