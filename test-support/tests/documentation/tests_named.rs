//! Tests that a document names are there.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// Names in the last column of the tables whose last column is headed `tests`; a span with a space is a command.
pub(crate) fn named(text: &str) -> Vec<&str> {
    let mut names = Vec::new();
    let mut in_table = false;
    for line in text.lines() {
        let Some(last) = last_cell(line) else {
            in_table = false;
            continue;
        };
        if last == "tests" {
            in_table = true;
        } else if in_table {
            let spans = last.split('`').skip(1).step_by(2);
            names.extend(spans.filter(|span| !span.contains(' ')));
        }
    }
    names
}

fn last_cell(line: &str) -> Option<&str> {
    let row = line.trim().strip_prefix('|')?.strip_suffix('|')?;
    row.rsplit('|').next().map(str::trim)
}

/// Names in `text` that no function has.
pub(crate) fn problems(functions: &BTreeSet<String>, text: &str) -> Vec<String> {
    named(text)
        .into_iter()
        .filter(|name| !functions.contains(*name))
        .map(|name| format!("names the test {name}, which is not there"))
        .collect()
}

/// Names of all functions in the `*.rs` files under `folder`.
pub(crate) fn functions(folder: &Path) -> BTreeSet<String> {
    let mut names = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            if path.is_dir() {
                if name != "target" && !name.starts_with('.') {
                    folders.push(path);
                }
            } else if name.ends_with(".rs") {
                names.extend(functions_in(&fs::read_to_string(&path).unwrap()));
            }
        }
    }
    names
}

fn functions_in(code: &str) -> impl Iterator<Item = String> + '_ {
    code.lines().filter_map(|line| {
        let (before, rest) = line.split_once("fn ")?;
        // Not in a comment or a text.
        let is_code = before
            .split_whitespace()
            .all(|word| ["pub", "pub(crate)", "pub(super)", "async", "const"].contains(&word));
        let name = rest.split(['(', '<']).next().filter(|_| is_code)?;
        Some(name.to_owned())
    })
}

#[test]
fn only_the_last_column_headed_tests_names_tests() {
    let text = "| a | tests |\n|---|---|\n| `no` | `yes_this`, `and_this` and `cargo this-not` |\n\n| a | b |\n| c | `nor_this` |\n";
    assert_eq!(named(text), ["yes_this", "and_this"]);
}

#[test]
fn a_test_that_is_not_there_is_told() {
    let code = "    pub(crate) async fn one_that_is_there<T>() {\n// fn in_a_comment()\n";
    let text = "| tests |\n| `one_that_is_there` `in_a_comment` |\n";
    let expected = "names the test in_a_comment, which is not there";
    assert_eq!(problems(&functions_in(code).collect(), text), [expected]);
}
