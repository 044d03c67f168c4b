//! Blocks of code that name the file that they are quoted from.

use std::fs;
use std::path::Path;

/// A block of code.
#[derive(Debug, PartialEq)]
pub(crate) struct Quote<'a> {
    /// The file, from the repository's root.
    path: &'a str,
    lines: Vec<&'a str>,
}

/// The blocks of `text` whose fence names a file.
pub(crate) fn all(text: &str) -> Vec<Quote<'_>> {
    let mut quotes = Vec::new();
    let mut lines = text.lines();
    while let Some(line) = lines.next() {
        let Some(info) = line.strip_prefix("```") else {
            continue;
        };
        let block: Vec<&str> = lines.by_ref().take_while(|line| *line != "```").collect();
        if let Some(path) = info.split_whitespace().nth(1) {
            quotes.push(Quote { path, lines: block });
        }
    }
    quotes
}

/// Quotations of `text` that are not in their files under `root`.
///
/// A comment that is only `…` stands for lines that were left out; the block may be indented less than
/// the file. Everything else has to be there to the letter and in that order.
pub(crate) fn problems(root: &Path, text: &str) -> Vec<String> {
    let problem = |quote: &Quote<'_>| {
        let Ok(file) = fs::read_to_string(root.join(quote.path)) else {
            return Some(format!("quotes {}, which cannot be read", quote.path));
        };
        let lost = lost(&quote.lines, &file.lines().collect::<Vec<_>>())?;
        Some(format!("quotes what is not in {}:\n{lost}", quote.path))
    };
    all(text).iter().filter_map(problem).collect()
}

/// The first piece of `quote` that is not in `file`, behind the pieces before it.
fn lost(quote: &[&str], file: &[&str]) -> Option<String> {
    let mut rest = file;
    for piece in quote.split(|line| is_gap(line)) {
        let piece = dedented(piece);
        if piece.is_empty() {
            continue;
        }
        let mut windows = rest.windows(piece.len());
        match windows.position(|window| dedented(window) == piece) {
            Some(at) => rest = &rest[at + piece.len()..],
            None => return Some(piece.join("\n")),
        }
    }
    None
}

fn is_gap(line: &str) -> bool {
    matches!(line.trim(), "…" | "// …" | "# …" | "-- …")
}

/// Without the indentation that all lines have in common.
fn dedented<'a>(lines: &[&'a str]) -> Vec<&'a str> {
    let indentation = |line: &&str| line.len() - line.trim_start().len();
    let filled = lines.iter().filter(|line| !line.trim().is_empty());
    let common = filled.map(indentation).min().unwrap_or(0);
    let cut = |line: &&'a str| line.get(common..).unwrap_or_default().trim_end();
    lines.iter().map(cut).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: [&str; 6] = ["fn a() {", "    if b {", "        c();", "    }", "", "}"];

    #[test]
    fn only_blocks_that_name_a_file_are_quotations() {
        let text = "```\nplain\n```\n```rust a/b.rs\nx\n\ny\n```\n    indented\n```toml\nz\n```\n";
        let expected = Quote {
            path: "a/b.rs",
            lines: vec!["x", "", "y"],
        };
        assert_eq!(all(text), [expected]);
    }

    #[test]
    fn what_is_in_the_file_is_found_with_gaps_and_less_indentation() {
        for quote in [
            FILE.as_slice(),
            &["if b {", "    c();", "}"],
            &["fn a() {", "    // …", "        c();", "    // …", "}"],
            &["        c();"],
        ] {
            assert_eq!(lost(quote, &FILE), None, "{quote:?}");
        }
    }

    #[test]
    fn every_drift_is_told_with_the_lines_that_are_lost() {
        for (quote, expected) in [
            (["if b {", "d();"].as_slice(), "if b {\nd();"),
            (&["if b {", "c();"], "if b {\nc();"),
            (&["c();", "// …", "fn a() {"], "fn a() {"),
            (&["fn a() {", "        c();"], "fn a() {\n        c();"),
        ] {
            assert_eq!(lost(quote, &FILE).as_deref(), Some(expected));
        }
    }

    #[test]
    fn a_file_that_is_not_there_is_told() {
        let text = "```rust gone.rs\nx\n```\n";
        let expected = "quotes gone.rs, which cannot be read";
        assert_eq!(problems(Path::new("."), text), [expected]);
    }
}
