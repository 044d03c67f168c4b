//! The `Idempotency-Key` header: the client's name for one order.

use axum::http::HeaderMap;

/// Longest key, in characters.
const MAX_LENGTH: usize = 255;

/// A key as the client sent it, quotes included: it is compared, never interpreted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct IdempotencyKey(String);

/// The header is there but holds no usable key.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(super) enum KeyError {
    #[error("must have 1 to {MAX_LENGTH} printable ASCII characters")]
    NotAKey,
    #[error("must be given once")]
    Repeated,
}

impl IdempotencyKey {
    /// Name of the header.
    pub(super) const HEADER: &str = "Idempotency-Key";

    /// The key of a request, if it has one.
    pub(super) fn of(headers: &HeaderMap) -> Result<Option<Self>, KeyError> {
        let mut values = headers.get_all(Self::HEADER).iter();
        let Some(value) = values.next() else {
            return Ok(None);
        };
        if values.next().is_some() {
            return Err(KeyError::Repeated);
        }
        let printable = |byte: &u8| (b' '..=b'~').contains(byte);
        match std::str::from_utf8(value.as_bytes()) {
            Ok(key)
                if (1..=MAX_LENGTH).contains(&key.len())
                    && key.as_bytes().iter().all(printable) =>
            {
                Ok(Some(Self(key.to_owned())))
            }
            _ => Err(KeyError::NotAKey),
        }
    }

    /// The key.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use axum::http::HeaderValue;

    use super::*;

    fn key_of(values: &[&[u8]]) -> Result<Option<String>, KeyError> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(
                IdempotencyKey::HEADER,
                HeaderValue::from_bytes(value).unwrap(),
            );
        }
        IdempotencyKey::of(&headers).map(|key| key.map(|key| key.as_str().to_owned()))
    }

    #[test]
    fn a_request_without_the_header_has_no_key() {
        assert_eq!(key_of(&[]), Ok(None));
    }

    #[test]
    fn a_key_has_1_to_255_printable_ascii_characters() {
        let longest = "~".repeat(255);
        for key in ["k", "\"quoted\"", "with space", &longest] {
            assert_eq!(key_of(&[key.as_bytes()]), Ok(Some(key.to_owned())));
        }
        let too_long = "k".repeat(256);
        for bad in [
            b"".as_slice(),
            too_long.as_bytes(),
            b"tab\there",
            "umlaut \u{fc}".as_bytes(),
            b"\xff",
        ] {
            assert_eq!(key_of(&[bad]), Err(KeyError::NotAKey), "{bad:?}");
        }
    }

    #[test]
    fn two_keys_are_no_key() {
        assert_eq!(key_of(&[b"a", b"a"]), Err(KeyError::Repeated));
    }
}
