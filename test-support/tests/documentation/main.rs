//! What the documents of the repository say about its files is true: quoted code is in the file that it is
//! quoted from, links lead somewhere, and tests that a table names are there.
//!
//! A block of code is a quotation when its fence names a file, as seen from the repository's root:
//!
//! ````text
//! ```rust stock-service/src/app.rs
//! ````

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod links;
mod quotes;
mod tests_named;

use std::fs;
use std::path::{Path, PathBuf};

/// The repository.
fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// `*.md` in the root, and everywhere under `docs`.
fn documents() -> Vec<PathBuf> {
    let mut folders = vec![root().join("docs")];
    let mut found = markdown_in(&root());
    while let Some(folder) = folders.pop() {
        found.extend(markdown_in(&folder));
        let entries = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap());
        folders.extend(
            entries
                .map(|entry| entry.path())
                .filter(|path| path.is_dir()),
        );
    }
    found
}

fn markdown_in(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).unwrap();
    entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "md"))
        .collect()
}

/// What `check` says about each document, with its name.
fn problems(check: impl Fn(&Path, &str) -> Vec<String>) -> Vec<String> {
    let mut all = Vec::new();
    for document in documents() {
        let text = fs::read_to_string(&document).unwrap();
        let name = document.strip_prefix(root()).unwrap().display().to_string();
        let found = check(&document, &text);
        all.extend(found.iter().map(|problem| format!("{name}: {problem}")));
    }
    all
}

#[test]
fn quoted_code_is_in_the_file_that_it_is_quoted_from() {
    let found = problems(|_, text| quotes::problems(&root(), text));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn links_to_files_lead_to_files() {
    let found = problems(|document, text| links::problems(document.parent().unwrap(), text));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn tests_that_are_named_are_there() {
    let functions = tests_named::functions(&root());
    let found = problems(|_, text| tests_named::problems(&functions, text));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_documents_are_found_and_quote_and_link() {
    let documents = documents();
    let texts: Vec<String> = documents
        .iter()
        .map(|document| fs::read_to_string(document).unwrap())
        .collect();
    for name in ["README.md", "docs/add-a-service.md"] {
        assert!(documents.contains(&root().join(name)), "{name}");
    }
    let quotes: usize = texts.iter().map(|text| quotes::all(text).len()).sum();
    let links: usize = texts.iter().map(|text| links::to_files(text).count()).sum();
    assert!(quotes >= 8 && links >= 30, "{quotes} {links}");
    let named: usize = texts
        .iter()
        .map(|text| tests_named::named(text).len())
        .sum();
    assert!(named >= 90, "{named}");
}
