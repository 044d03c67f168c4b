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
