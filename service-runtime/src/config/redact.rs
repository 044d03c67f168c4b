//! Takes passwords out of text that is about to be shown.

/// What stands in the place of a secret.
pub(super) const REDACTED: &str = "[redacted]";

/// Parts of names whose values are secret in a pass-through table or a URL's query.
const SECRET_NAMES: [&str; 9] = [
    "password",
    "passwd",
    "secret",
    "token",
    "credential",
    "jaas",
    "pem",
    "ssl.key",
    "oauthbearer.config",
];

/// Whether a property of this name should not be shown.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_lowercase();
    SECRET_NAMES.iter().any(|part| name.contains(part))
}

/// Replaces the password of every `scheme://user:password@host` in the text, and the values of
/// query parameters whose names speak of secrets. In doubt it hides too much.
pub fn redact_urls(text: &str) -> String {
    let mut pieces = text.split("://");
    let mut shown = pieces.next().unwrap_or_default().to_owned();
    for piece in pieces {
        shown.push_str("://");
        shown.push_str(&redact_query(&redact_user(piece)));
    }
    shown
}

fn redact_user(piece: &str) -> String {
    let ends = |c: char| c.is_whitespace() || matches!(c, '/' | '?' | '#' | '"' | '\'' | '<' | '>');
    let authority = &piece[..piece.find(ends).unwrap_or(piece.len())];
    let Some(colon) = authority.find(':') else {
        return piece.to_owned();
    };
    if is_port(&authority[colon + 1..]) {
        return piece.to_owned();
    }
    // Not the authority's last `@`: a password with an unescaped slash or space is no valid URL,
    // and still must not be shown.
    match piece.rfind('@') {
        Some(at) if at > colon => format!("{}:{REDACTED}{}", &piece[..colon], &piece[at..]),
        _ => piece.to_owned(),
    }
}

fn is_port(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_digit())
}

fn redact_query(url: &str) -> String {
    let Some((path, query)) = url.split_once('?') else {
        return url.to_owned();
    };
    let shown: Vec<String> = query.split('&').map(redact_parameter).collect();
    format!("{path}?{}", shown.join("&"))
}

fn redact_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if is_secret_name(name) => format!("{name}={REDACTED}"),
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_password_of_a_url_is_replaced_and_the_rest_is_kept() {
        for (text, shown) in [
            (
                "postgres://app:hunter2@db:5432/orders?sslmode=require",
                "postgres://app:[redacted]@db:5432/orders?sslmode=require",
            ),
            ("smtp://:hunter2@mail", "smtp://:[redacted]@mail"),
            (
                "a://u:hun@ter/2@h and b://u:hunter2@h",
                "a://u:[redacted]@h and b://u:[redacted]@h",
            ),
            ("a://u:hun/ter2@h/x", "a://u:[redacted]@h/x"),
            ("a://u:hun ter\"2@h/x", "a://u:[redacted]@h/x"),
            (
                "postgres://db/orders?user=app&password=hunter2",
                "postgres://db/orders?user=app&password=[redacted]",
            ),
        ] {
            assert_eq!(redact_urls(text), shown);
        }
    }

    #[test]
    fn text_without_a_password_is_left_alone() {
        for text in [
            "localhost:9092",
            "http://host:8080/a?mail=b@c",
            "http://user@host/",
            "sqlite://orders.db?mode=rwc",
            "a: b@c",
        ] {
            assert_eq!(redact_urls(text), text);
        }
    }
}
