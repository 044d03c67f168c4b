//! Links to files of the repository.

use std::path::Path;

/// Targets of `[text](target)` that are neither addresses nor places in the same document.
pub(crate) fn to_files(text: &str) -> impl Iterator<Item = &str> {
    let targets = text.split("](").skip(1);
    targets
        .filter_map(|rest| rest.split([')', ' ']).next())
        .map(|target| target.split('#').next().unwrap_or_default())
        .filter(|target| !target.is_empty() && !target.contains(':'))
}

/// Links from a document in `folder` to what is not there.
pub(crate) fn problems(folder: &Path, text: &str) -> Vec<String> {
    to_files(text)
        .filter(|target| !folder.join(target).exists())
        .map(|target| format!("links to {target}, which is not there"))
        .collect()
}

#[test]
fn a_link_to_a_file_that_is_not_there_is_told() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let text = "[a](Cargo.toml), [b](src/#part), [c](#here), [d](https://example.com/x), [e](gone.md#part)";
    assert_eq!(
        problems(folder, text),
        ["links to gone.md, which is not there"]
    );
}
