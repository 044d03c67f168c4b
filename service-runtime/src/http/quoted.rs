//! Takes the values that a client sent out of messages about them: answers end up in the logs of
//! proxies and clients. Names of fields and parameters stay.

/// Where a message quotes a value: what stands before it, what after it, and what replaces all of it.
const QUOTED: [(&str, &str, &str); 5] = [
    // serde
    ("string \"", "\", expected ", "string, expected "),
    (
        "unknown variant `",
        "`, expected ",
        "unknown variant, expected ",
    ),
    // axum's `Path`
    (" with value `", "` to a `", " to a `"),
    (" with value `", "`: ", ": "),
    (
        "Cannot parse `",
        "` to a `",
        "Cannot parse the value to a `",
    ),
];

/// `message` without the value that it quotes. A value that looks like the end of the quotation does
/// not end it: the last one counts.
pub(super) fn without_value(message: &str) -> String {
    let found = QUOTED.iter().find_map(|(before, after, instead)| {
        let (start, rest) = message.split_once(before)?;
        let (_, end) = rest.rsplit_once(after)?;
        Some(format!("{start}{instead}{end}"))
    });
    found.unwrap_or_else(|| message.to_owned())
}

#[cfg(test)]
mod tests {
    use super::without_value;

    #[test]
    fn values_are_left_out_and_names_are_kept() {
        for (message, left) in [
            (
                r#"invalid type: string "a\", expected b", expected f64"#,
                "invalid type: string, expected f64",
            ),
            (
                "unknown variant `PA`, expected ID`, expected `PAID` or `SHIPPED`",
                "unknown variant, expected `PAID` or `SHIPPED`",
            ),
            (
                "Cannot parse `id` with value `a`: b`: UUID parsing failed",
                "Cannot parse `id`: UUID parsing failed",
            ),
            (
                "Cannot parse `id` with value `x` to a `u8`",
                "Cannot parse `id` to a `u8`",
            ),
            (
                "Cannot parse `x` to a `u8`",
                "Cannot parse the value to a `u8`",
            ),
            ("missing field `qty`", "missing field `qty`"),
            (
                "limit: invalid digit found in string",
                "limit: invalid digit found in string",
            ),
        ] {
            assert_eq!(without_value(message), left);
        }
    }
}
