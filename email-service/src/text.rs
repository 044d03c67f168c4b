//! What other people's text may do in a mail: fill its line, and nothing else.

/// At most `max` characters of `text`.
pub(crate) fn cut(text: &str, max: usize) -> String {
    text.chars().take(max).collect()
}

/// `text` on one line: what would end a line, drive a terminal or turn the direction of reading
/// becomes a space.
pub(crate) fn one_line(text: &str) -> String {
    text.chars()
        .map(|c| if is_plain(c) { c } else { ' ' })
        .collect()
}

fn is_plain(c: char) -> bool {
    let breaks_line = matches!(c, '\u{2028}' | '\u{2029}');
    let turns = matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    !(c.is_control() || breaks_line || turns)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_between_characters() {
        assert_eq!(cut("naïve", 3), "naï");
        assert_eq!(cut("ab", 3), "ab");
    }

    #[test]
    fn what_is_not_plain_becomes_a_space() {
        assert_eq!(one_line("a\r\nb\u{2028}c\u{0}\u{1b}[1m"), "a  b c  [1m");
        assert_eq!(one_line("\u{202e}txt.exe"), " txt.exe");
        assert_eq!(one_line("Bücher – 5 €"), "Bücher – 5 €");
    }
}
