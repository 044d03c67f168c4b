//! The address of an SMTP server in one setting:
//! `smtp://[user:password@]host[:port][?tls=required|opportunistic]` or `smtps://…`.

use std::fmt;
use std::str::FromStr;

use lettre::transport::smtp::{SMTP_PORT, SUBMISSION_PORT, SUBMISSIONS_PORT};
use secrecy::SecretString;
use url::{Host, Url};

/// When the connection is encrypted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SmtpTls {
    /// Never (`smtp://`).
    None,
    /// By STARTTLS when the server offers it (`?tls=opportunistic`).
    Opportunistic,
    /// By STARTTLS or not at all (`?tls=required`).
    Required,
    /// From the first byte (`smtps://`).
    Implicit,
}

/// Where the server is and how to log in.
#[derive(Clone)]
pub struct SmtpUrl {
    /// Name or address of the server, without brackets.
    pub host: String,
    /// Its port; by default 25, 587 with STARTTLS, 465 with `smtps`.
    pub port: u16,
    /// When the connection is encrypted.
    pub tls: SmtpTls,
    /// User and password.
    pub credentials: Option<(String, SecretString)>,
}

/// What is wrong with the URL, without repeating it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SmtpUrlError {
    /// It cannot be read as a URL.
    #[error("it is not a url such as smtp://user:password@host:587?tls=required")]
    NotAUrl,
    /// Another scheme.
    #[error("it begins neither with smtp:// nor with smtps://")]
    Scheme,
    /// No host.
    #[error("it names no host")]
    Host,
    /// A path, which has no meaning here.
    #[error("nothing may follow the port but ?tls=")]
    Path,
    /// Another query, or another value of `tls`.
    #[error("its query may only be tls=required or tls=opportunistic, and with smtps:// nothing")]
    Query,
    /// Only one of user and password, or one that is not UTF-8.
    #[error("user and password belong together, percent-encoded where needed")]
    Credentials,
}

impl SmtpUrl {
    /// Whether the password can be read on its way.
    #[must_use]
    pub fn exposes_credentials(&self) -> bool {
        let may_be_plain = matches!(self.tls, SmtpTls::None | SmtpTls::Opportunistic);
        let local = matches!(self.host.as_str(), "localhost" | "127.0.0.1" | "::1");
        self.credentials.is_some() && may_be_plain && !local
    }
}

impl FromStr for SmtpUrl {
    type Err = SmtpUrlError;

    fn from_str(text: &str) -> Result<Self, SmtpUrlError> {
        let url = Url::parse(text).map_err(|_| SmtpUrlError::NotAUrl)?;
        if !matches!(url.path(), "" | "/") || url.fragment().is_some() {
            return Err(SmtpUrlError::Path);
        }
        let tls = tls(&url)?;
        let host = match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => name.to_owned(),
            Some(Host::Ipv4(address)) => address.to_string(),
            Some(Host::Ipv6(address)) => address.to_string(),
            _ => return Err(SmtpUrlError::Host),
        };
        Ok(Self {
            host,
            port: url.port().unwrap_or(match tls {
                SmtpTls::None => SMTP_PORT,
                SmtpTls::Opportunistic | SmtpTls::Required => SUBMISSION_PORT,
                SmtpTls::Implicit => SUBMISSIONS_PORT,
            }),
            tls,
            credentials: credentials(&url)?,
        })
    }
}

fn tls(url: &Url) -> Result<SmtpTls, SmtpUrlError> {
    match (url.scheme(), url.query()) {
        ("smtp", None) => Ok(SmtpTls::None),
        ("smtp", Some("tls=required")) => Ok(SmtpTls::Required),
        ("smtp", Some("tls=opportunistic")) => Ok(SmtpTls::Opportunistic),
        ("smtps", None) => Ok(SmtpTls::Implicit),
        ("smtp" | "smtps", Some(_)) => Err(SmtpUrlError::Query),
        _ => Err(SmtpUrlError::Scheme),
    }
}

fn credentials(url: &Url) -> Result<Option<(String, SecretString)>, SmtpUrlError> {
    match (url.username(), url.password()) {
        ("", None) => Ok(None),
        (user, Some(password)) if !user.is_empty() => {
            Ok(Some((decoded(user)?, decoded(password)?.into())))
        }
        _ => Err(SmtpUrlError::Credentials),
    }
}

/// Undoes percent-encoding, which the parser applied to whatever was not encoded yet.
fn decoded(text: &str) -> Result<String, SmtpUrlError> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&byte, after)) = rest.split_first() {
        let encoded = match after {
            [high, low, ..] if byte == b'%' => hex(*high).zip(hex(*low)),
            _ => None,
        };
        bytes.push(encoded.map_or(byte, |(high, low)| high << 4 | low));
        rest = if encoded.is_some() { &after[2..] } else { after };
    }
    String::from_utf8(bytes).map_err(|_| SmtpUrlError::Credentials)
}

fn hex(digit: u8) -> Option<u8> {
    let value = char::from(digit).to_digit(16)?;
    u8::try_from(value).ok()
}

impl fmt::Debug for SmtpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SmtpUrl({}:{}, {:?})", self.host, self.port, self.tls)
    }
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;

    fn parsed(text: &str) -> (String, u16, SmtpTls) {
        let url: SmtpUrl = text.parse().unwrap();
        (url.host, url.port, url.tls)
    }

    #[test]
    fn scheme_and_query_decide_about_port_and_encryption() {
        let mail = || "mail.example.com".to_owned();
        for (text, expected) in [
            ("smtp://mail.example.com", (mail(), 25, SmtpTls::None)),
            ("smtp://mail.example.com:1025/", (mail(), 1025, SmtpTls::None)),
            ("smtp://mail.example.com?tls=required", (mail(), 587, SmtpTls::Required)),
            ("smtp://mail.example.com:26?tls=opportunistic", (mail(), 26, SmtpTls::Opportunistic)),
            ("smtps://mail.example.com", (mail(), 465, SmtpTls::Implicit)),
            ("smtp://127.0.0.1:1025", ("127.0.0.1".into(), 1025, SmtpTls::None)),
            ("smtp://[::1]:1025", ("::1".into(), 1025, SmtpTls::None)),
        ] {
            assert_eq!(parsed(text), expected, "{text}");
        }
    }

    #[test]
    fn user_and_password_are_decoded_and_not_shown() {
        let url: SmtpUrl = "smtp://app%40x:p%20w%25%C3%A9ü@mail?tls=required".parse().unwrap();
        assert!(!format!("{url:?}").contains("p w"), "{url:?}");
        let (user, password) = url.credentials.unwrap();
        assert_eq!((user.as_str(), password.expose_secret()), ("app@x", "p w%éü"));
    }

    #[test]
    fn a_url_that_cannot_be_used_is_refused_without_being_repeated() {
        for (text, problem) in [
            ("mail.example.com", SmtpUrlError::NotAUrl),
            ("http://mail.example.com", SmtpUrlError::Scheme),
            ("smtp:", SmtpUrlError::Host),
            ("smtp://host/name", SmtpUrlError::Path),
            ("smtp://host?tls=maybe", SmtpUrlError::Query),
            ("smtps://host?tls=required", SmtpUrlError::Query),
            ("smtp://user@host", SmtpUrlError::Credentials),
            ("smtp://:secret@host", SmtpUrlError::Credentials),
            ("smtp://user:%ff@host", SmtpUrlError::Credentials),
        ] {
            assert_eq!(text.parse::<SmtpUrl>().unwrap_err(), problem, "{text}");
        }
    }
}
