//! The secret of a webhook, and the signatures made with it, as Standard Webhooks 1.0 has them.
//!
//! A secret is written as `whsec_` and the base64 form of its 24 to 64 bytes. A signature is `v1,` and the
//! base64 form of HMAC-SHA256 over `{webhook-id}.{webhook-timestamp}.{body}`.

use std::fmt;

use base64::Engine as _;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use ring::hmac;
use ring::rand::{SecureRandom as _, SystemRandom};
use secrecy::{ExposeSecret as _, SecretSlice, SecretString};

const PREFIX: &str = "whsec_";
const MIN_BYTES: usize = 24;
const MAX_BYTES: usize = 64;
/// Of a secret that is made here: as many as the hash has.
const NEW_BYTES: usize = 32;

/// Writes padding, and reads texts with it and without.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
);

/// The key that a webhook's requests are signed with. `Debug` does not show it.
#[derive(Clone)]
pub struct Secret(SecretSlice<u8>);

/// A text is no secret. It does not hold the text.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("must be whsec_ and the base64 form of {MIN_BYTES} to {MAX_BYTES} bytes")]
pub struct SecretError;

/// The operating system gives no random bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct NoRandomness;

impl Secret {
    /// A new one, from the random numbers of the operating system.
    ///
    /// # Errors
    /// There are none.
    pub fn generate() -> Result<Self, NoRandomness> {
        let mut key = vec![0; NEW_BYTES];
        SystemRandom::new()
            .fill(&mut key)
            .map_err(|_| NoRandomness)?;
        Ok(Self(key.into()))
    }

    /// Reads a secret.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, SecretError> {
        let encoded = text.strip_prefix(PREFIX).ok_or(SecretError)?;
        let key = BASE64.decode(encoded).map_err(|_| SecretError)?;
        match key.len() {
            MIN_BYTES..=MAX_BYTES => Ok(Self(key.into())),
            _ => Err(SecretError),
        }
    }

    /// Its text, for the database and for who registered the webhook.
    #[must_use]
    pub fn text(&self) -> SecretString {
        let encoded = BASE64.encode(self.0.expose_secret());
        format!("{PREFIX}{encoded}").into()
    }

    /// The value of the header `webhook-signature`; `timestamp` in seconds since 1970.
    #[must_use]
    pub fn sign(&self, id: &str, timestamp: i64, body: &[u8]) -> String {
        let key = hmac::Key::new(hmac::HMAC_SHA256, self.0.expose_secret());
        let mut hash = hmac::Context::with_key(&key);
        hash.update(format!("{id}.{timestamp}.").as_bytes());
        hash.update(body);
        format!("v1,{}", BASE64.encode(hash.sign()))
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the specification, and of its libraries.
    const TEXT: &str = "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw";

    #[test]
    fn the_published_example_is_signed_as_published() {
        let signature = Secret::parse(TEXT).unwrap().sign(
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            1_614_265_330,
            br#"{"test": 2432232314}"#,
        );
        let published = "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=";
        assert_eq!(signature, published);
    }

    #[test]
    fn a_secret_is_read_back_from_its_text() {
        let secret = Secret::parse(TEXT).unwrap();
        assert_eq!(secret.text().expose_secret(), TEXT);
        let made = Secret::generate().unwrap();
        let text = made.text();
        let read = Secret::parse(text.expose_secret()).unwrap();
        assert_eq!(read.0.expose_secret().len(), NEW_BYTES);
        assert_eq!(read.sign("a", 1, b"b"), made.sign("a", 1, b"b"));
        // Without its padding.
        let bare = text.expose_secret().trim_end_matches('=');
        assert!(bare.len() < text.expose_secret().len());
        let read = Secret::parse(bare).unwrap();
        assert_eq!(read.text().expose_secret(), text.expose_secret());
    }

    #[test]
    fn no_two_new_secrets_are_alike() {
        let text = || Secret::generate().unwrap().text();
        assert_ne!(text().expose_secret(), text().expose_secret());
    }

    #[test]
    fn what_is_no_secret_is_refused() {
        let of = |bytes: usize| format!("{PREFIX}{}", BASE64.encode(vec![7; bytes]));
        assert!(Secret::parse(&of(24)).is_ok() && Secret::parse(&of(64)).is_ok());
        for text in [
            of(23),
            of(65),
            String::new(),
            PREFIX.to_owned(),
            TEXT.replace(PREFIX, ""),
            TEXT.replace(PREFIX, "WHSEC_"),
            TEXT.replace('9', "!"),
        ] {
            assert!(Secret::parse(&text).is_err(), "{text}");
        }
    }

    #[test]
    fn debug_does_not_show_it() {
        let shown = format!("{:?}", Secret::parse(TEXT).unwrap());
        assert_eq!(shown, "Secret(…)");
    }
}
