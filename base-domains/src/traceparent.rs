//! The form of the W3C Trace Context header, which comes from outside.

/// Whether `value` is a `traceparent` to hand on: `00-<32 hex>-<16 hex>-<2 hex>`, or a later version that
/// starts like it (W3C Trace Context, section 3.2).
pub(crate) fn is_valid(value: &str) -> bool {
    let mut parts = value.split('-');
    let (Some(version), Some(trace), Some(parent), Some(flags)) =
        (parts.next(), parts.next(), parts.next(), parts.next())
    else {
        return false;
    };
    is_hex(version, 2)
        && version != "ff"
        && is_hex(trace, 32)
        && trace.contains(|c| c != '0')
        && is_hex(parent, 16)
        && parent.contains(|c| c != '0')
        && is_hex(flags, 2)
        && (parts.next().is_none() || version != "00")
        && value.len() <= 255
        && value.bytes().all(|b| b.is_ascii_graphic())
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'))
}

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn only_well_formed_values_are_handed_on() {
        let trace = "0af7651916cd43dd8448eb211c80319c";
        let parent = "b7ad6b7169203331";
        let later = format!("01-{trace}-{parent}-01-what-comes-later");
        for value in [
            &format!("00-{trace}-{parent}-01"),
            &format!("00-{trace}-{parent}-00"),
            &later,
        ] {
            assert!(is_valid(value), "{value}");
        }
        let zeros = "0".repeat(32);
        let refused = [
            String::new(),
            "00".to_owned(),
            format!("00-{trace}-{parent}"),
            format!("00-{trace}-{parent}-1"),
            format!("00-{trace}-{parent}-01-more"),
            format!("ff-{trace}-{parent}-01"),
            format!("00-{zeros}-{parent}-01"),
            format!("00-{trace}-0000000000000000-01"),
            format!("00-{}-{parent}-01", trace.to_uppercase()),
            format!("00-{trace}-{parent}-01\r\n"),
            format!("{later}\r\n"),
            format!("01-{trace}-{parent}-01-{}", "x".repeat(300)),
        ];
        for value in refused {
            assert!(!is_valid(&value), "{value:?}");
        }
    }
}
