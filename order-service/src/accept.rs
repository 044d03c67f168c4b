//! Which of its two forms an answer takes, by the `Accept` header (RFC 9110, section 12.5.1).

use axum::http::{HeaderMap, header};

/// A media type: its kind and its subtype, in lower case.
pub(crate) type MediaType = (&'static str, &'static str);

/// Whether the request likes `other` better than `usual`: by the higher q value, then by the more exact name.
///
/// A request that accepts neither gets the usual form all the same: section 12.4.1 allows it, and a client is
/// helped more by the answer than by 406.
pub(crate) fn prefers(headers: &HeaderMap, other: MediaType, usual: MediaType) -> bool {
    let liked = liking(headers, other);
    liked.quality > 0 && liked > liking(headers, usual)
}

/// How much a request likes one media type; ordered by quality, then by specificity.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
struct Liking {
    /// In thousandths, so that it can be compared exactly.
    quality: u16,
    specificity: u8,
}

/// The most specific range that matches the type decides about it.
fn liking(headers: &HeaderMap, media_type: MediaType) -> Liking {
    headers
        .get_all(header::ACCEPT)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|range| one_range(range, media_type))
        .max_by_key(|liking| (liking.specificity, liking.quality))
        .unwrap_or_default()
}

/// What one range says about the type; a range that is malformed or about other types says nothing.
fn one_range(range: &str, (kind, subtype): MediaType) -> Option<Liking> {
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

    fn prefers_text(values: &[&str]) -> bool {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(header::ACCEPT, value.parse().unwrap());
        }
        prefers(&headers, ("text", "plain"), ("application", "json"))
    }

    #[test]
    fn json_is_the_answer_to_whoever_does_not_ask_for_text() {
        assert!(!prefers_text(&[]));
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
            assert!(!prefers_text(&[accept]), "{accept}");
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
            assert!(prefers_text(&[accept]), "{accept}");
        }
    }

    #[test]
    fn the_higher_quality_wins_whatever_the_order() {
        let text = "text/plain; q=0.9, application/json; q=0.8";
        assert!(prefers_text(&[text]));
        let json = "text/plain;q=0.5, application/json";
        assert!(!prefers_text(&[json]));
        let close = "text/plain;Q=0.501, application/json;q=0.5";
        assert!(prefers_text(&[close]));
        assert!(!prefers_text(&["text/plain, application/json"]));
    }

    #[test]
    fn several_header_lines_count_as_one() {
        let lines = ["application/json;q=0.2", "text/plain;q=0.3"];
        assert!(prefers_text(&lines));
    }

    #[test]
    fn the_most_specific_range_decides_about_a_type() {
        let refused = "text/plain;q=0, text/*, application/json;q=0.1";
        assert!(!prefers_text(&[refused]));
    }

    #[test]
    fn a_malformed_weight_makes_its_range_void() {
        for weight in ["2", "1.5", "-1", ".5", "0.1234", "0,5", "x", "", "+1"] {
            let accept = format!("text/plain;q={weight}");
            assert!(!prefers_text(&[&accept]), "{accept}");
        }
    }
}
