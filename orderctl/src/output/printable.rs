//! Texts of strangers on a terminal.

/// `text` with its control characters escaped: a name could move the cursor or change the title of
/// the window. Line breaks stay.
#[must_use]
pub fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for character in text.chars() {
        // Those that change the direction of writing can make a text look like another one.
        let turns = matches!(character, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
        if (character.is_control() && character != '\n') || turns {
            printable.extend(character.escape_default());
        } else {
            printable.push(character);
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn control_characters_are_escaped_and_everything_else_stays() {
        assert_eq!(printable("Bücher & 本\nnext"), "Bücher & 本\nnext");
        assert_eq!(printable("\u{1b}[2J\r\u{9b}x"), "\\u{1b}[2J\\r\\u{9b}x");
        assert_eq!(printable("a\u{202e}b"), "a\\u{202e}b");
    }
}
