//! The rule for an e-mail address: plain enough that no mail header can be forged with it.

/// Longest address, in bytes (RFC 5321, section 4.5.3.1.3 with its erratum 1690).
const MAX_ADDRESS: usize = 254;
/// Longest part before the `@`, in bytes (RFC 5321, section 4.5.3.1.1).
const MAX_LOCAL: usize = 64;
/// Longest label of a domain name, in bytes (RFC 1035, section 2.3.4).
const MAX_LABEL: usize = 63;
/// What RFC 5322 allows in a local part only inside quotes, which are not accepted here.
const SPECIALS: &[char] = &['<', '>', '(', ')', '[', ']', ',', ';', ':', '\\', '"'];

/// Says what is wrong with `address`, in words for a field of a request. Whether the mailbox exists
/// only a mail can tell.
///
/// # Errors
/// The rule that it breaks, without the address.
pub fn check_email(address: &str) -> Result<(), &'static str> {
    if address.len() > MAX_ADDRESS {
        return Err("must not be longer than 254 bytes");
    }
    match address.split_once('@') {
        Some((local, domain)) if is_local_part(local) && is_domain(domain) => Ok(()),
        _ => Err("must be an e-mail address such as name@example.com"),
    }
}

fn is_local_part(local: &str) -> bool {
    local.len() <= MAX_LOCAL
        && local.split('.').all(|atom| !atom.is_empty())
        && !local.contains(|c: char| {
            c.is_whitespace() || c.is_control() || is_invisible(c) || SPECIALS.contains(&c)
        })
}

/// What turns the direction of reading or cannot be seen, so that an address looks like another one.
const fn is_invisible(c: char) -> bool {
    matches!(
        c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}'
    )
}

fn is_domain(domain: &str) -> bool {
    domain.split('.').all(|label| {
        (1..=MAX_LABEL).contains(&label.len())
            && !label.starts_with('-')
            && !label.ends_with('-')
            && label.chars().all(|c| c.is_alphanumeric() || c == '-')
    })
}

#[cfg(test)]
mod tests {
    use super::check_email;

    #[test]
    fn ordinary_addresses_are_accepted() {
        let longest_local = format!("{}@example.com", "a".repeat(64));
        let longest = format!(
            "a@{}.{}.{}.{}",
            "b".repeat(63),
            "c".repeat(63),
            "d".repeat(63),
            "e".repeat(60)
        );
        assert_eq!(longest.len(), 254);
        let accepted = [
            "a@b",
            "reader@example.com",
            "first.last+tag@mail.example.co.uk",
            "o'neil@xn--bcher-kva.example",
            "jürgen@bücher.example",
        ];
        for address in accepted
            .into_iter()
            .chain([longest_local.as_str(), longest.as_str()])
        {
            assert_eq!(check_email(address), Ok(()), "{address}");
        }
    }

    #[test]
    fn anything_else_is_refused() {
        let long_local = format!("{}@example.com", "a".repeat(65));
        let long_label = format!("a@{}.example", "b".repeat(64));
        let long = format!("a@{}example.com", "b.".repeat(130));
        let refused = [
            "",
            "@",
            "reader",
            "@example.com",
            "reader@",
            "a@b@c",
            "reader@exa mple.com",
            "rea der@example.com",
            " reader@example.com",
            "reader@example.com ",
            "reader@example.com\r\nBcc: x@example.com",
            "reader\0@example.com",
            "re\u{202e}ader@example.com",
            "re\u{200b}ader@example.com",
            "\u{feff}reader@example.com",
            "reader\u{2066}@example.com",
            "reader@exam\u{ad}ple.com",
            "<reader@example.com>",
            "a@b,c@d",
            "a@b;c@d",
            "\"a b\"@example.com",
            "a..b@example.com",
            ".a@example.com",
            "a.@example.com",
            "a@example..com",
            "a@.com",
            "a@com.",
            "a@-b.com",
            "a@b-.com",
            "a@[127.0.0.1]",
        ];
        for address in
            refused
                .into_iter()
                .chain([long_local.as_str(), long_label.as_str(), long.as_str()])
        {
            assert!(check_email(address).is_err(), "{address:?}");
        }
    }
}
