//! The URL of a receiver: what may be registered, and what may be sent to.
//!
//! Only what the URL itself tells is judged here. `url` reads every spelling of an address that a browser
//! takes (`0x7f.1`, `2130706433`, `127.1`) as the address it is. Names are judged by what they resolve
//! to, when a connection is made: see [`sender`](crate::sender).

use std::net::IpAddr;

use url::{Host, Url};

use crate::address::is_public;

/// Longest URL, in bytes.
pub const MAX_URL: usize = 2048;
/// What stands in the place of what may be secret.
const HIDDEN: &str = "***";

/// Which receivers are allowed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Policy {
    /// Also those at addresses that are not [public](is_public).
    pub private_addresses: bool,
    /// Also those without TLS.
    pub http: bool,
}

/// Why a URL cannot be used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Its length.
    #[error("must be at most {MAX_URL} bytes long")]
    TooLong,
    /// It is none, or has no host.
    #[error("must be a URL such as https://example.com/orders")]
    Url,
    /// Its scheme.
    #[error("must begin with https://")]
    Https,
    /// Its scheme, where http is allowed.
    #[error("must begin with https:// or http://")]
    Scheme,
    /// No request carries a fragment.
    #[error("must not have a fragment (#…)")]
    Fragment,
    /// Its address.
    #[error("must not be at a private, local or reserved address")]
    Private,
}

impl Policy {
    /// Reads a URL that is allowed, as far as it tells.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn check(&self, text: &str) -> Result<Url, TargetError> {
        if text.len() > MAX_URL {
            return Err(TargetError::TooLong);
        }
        let url = Url::parse(text).map_err(|_| TargetError::Url)?;
        match url.scheme() {
            "https" => {}
            "http" if self.http => {}
            _ if self.http => return Err(TargetError::Scheme),
            _ => return Err(TargetError::Https),
        }
        if url.fragment().is_some() {
            return Err(TargetError::Fragment);
        }
        match url.host() {
            Some(Host::Domain(name)) if !name.is_empty() => {}
            Some(Host::Ipv4(address)) => self.check_address(address.into())?,
            Some(Host::Ipv6(address)) => self.check_address(address.into())?,
            _ => return Err(TargetError::Url),
        }
        Ok(url)
    }

    fn check_address(self, address: IpAddr) -> Result<(), TargetError> {
        match self.allows(address) {
            true => Ok(()),
            false => Err(TargetError::Private),
        }
    }

    /// Whether requests may go to this address.
    #[must_use]
    pub fn allows(self, address: IpAddr) -> bool {
        self.private_addresses || is_public(address)
    }
}

/// A URL as it may be shown to anybody: where it leads, without what can hold a secret, which for many
/// receivers is the path.
#[must_use]
pub fn shown(url: &str) -> String {
    let Ok(url) = Url::parse(url) else {
        return HIDDEN.to_owned();
    };
    let origin = url.origin().ascii_serialization();
    let is_bare = url.as_str().strip_prefix(&origin) == Some("/");
    format!("{origin}/{}", if is_bare { "" } else { HIDDEN })
}

#[cfg(test)]
mod tests {
    use super::*;

    const STRICT: Policy = Policy {
        private_addresses: false,
        http: false,
    };
    const PLAIN: Policy = Policy {
        http: true,
        ..STRICT
    };
    const OPEN: Policy = Policy {
        private_addresses: true,
        ..PLAIN
    };

    #[test]
    fn a_url_of_the_internet_is_taken_in_its_normal_form() {
        for (text, normal) in [
            ("https://example.com", "https://example.com/"),
            (
                " HTTPS://Example.COM:443/a b?x=1",
                "https://example.com/a%20b?x=1",
            ),
            (
                "https://user:word@hooks.example.com:8443/o",
                "https://user:word@hooks.example.com:8443/o",
            ),
            ("https://8.8.8.8/", "https://8.8.8.8/"),
            ("https://[2606:4700::1]/", "https://[2606:4700::1]/"),
        ] {
            assert_eq!(STRICT.check(text).unwrap().as_str(), normal);
        }
    }

    #[test]
    fn what_cannot_be_used_is_told() {
        let long = format!("https://example.com/{}", "x".repeat(MAX_URL));
        for (policy, text, error) in [
            (STRICT, &*long, TargetError::TooLong),
            (STRICT, "", TargetError::Url),
            (STRICT, "example.com", TargetError::Url),
            (STRICT, "https://", TargetError::Url),
            (STRICT, "https://exa mple.com", TargetError::Url),
            (STRICT, "http://example.com", TargetError::Https),
            (STRICT, "ftp://example.com", TargetError::Https),
            (PLAIN, "file:///etc/passwd", TargetError::Scheme),
            (PLAIN, "gopher://example.com", TargetError::Scheme),
            (STRICT, "https://example.com/#a", TargetError::Fragment),
        ] {
            assert_eq!(policy.check(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn a_private_address_is_seen_in_every_spelling() {
        for host in [
            "127.0.0.1",
            "127.1",
            "0x7f.1",
            "0x7f000001",
            "2130706433",
            "017700000001",
            "127.0.0.1.",
            "%31%32%37.0.0.1",
            "１２７.0.0.1",
            "0",
            "10.0.0.1",
            "169.254.169.254",
            "[::1]",
            "[::]",
            "[::ffff:127.0.0.1]",
            "[::ffff:7f00:1]",
            "[64:ff9b::7f00:1]",
            "[2002:7f00:1::]",
            "[fd00:ec2::254]",
            "user:word@127.0.0.1:8080",
        ] {
            let text = format!("http://{host}/");
            assert_eq!(PLAIN.check(&text), Err(TargetError::Private), "{text}");
            assert!(OPEN.check(&text).is_ok(), "{text}");
        }
    }

    #[test]
    fn what_may_be_secret_is_not_shown() {
        for (url, expected) in [
            ("https://example.com", "https://example.com/"),
            (
                "https://example.com:8443/hook",
                "https://example.com:8443/***",
            ),
            ("https://example.com/?token=abc", "https://example.com/***"),
            ("https://:pw@example.com/", "https://example.com/***"),
            ("no URL: pw", "***"),
        ] {
            assert_eq!(shown(url), expected);
        }
    }
}
