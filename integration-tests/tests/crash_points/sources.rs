//! That the matrix and the code name the same points.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use test_support::{Test, test};

use crate::rows;

const CALL: &str = "fault::point(\"";

pub(crate) fn tests() -> Vec<Test> {
    vec![test!(every_point_of_the_code_is_a_row_of_the_matrix, no database)]
}

async fn every_point_of_the_code_is_a_row_of_the_matrix() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut in_code = BTreeSet::new();
    for folder in fs::read_dir(root).unwrap() {
        let sources = folder.unwrap().path().join("src");
        if sources.is_dir() {
            named_in(sources, &mut in_code);
        }
    }
    let rows = rows::all().into_iter().map(str::to_owned);
    assert_eq!(in_code, rows.collect());
}

/// Every name that [`CALL`] is followed by.
fn named_in(folder: PathBuf, names: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        if path.is_dir() {
            named_in(path, names);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let source = fs::read_to_string(path).unwrap();
            let names_here = source.split(CALL).skip(1);
            names.extend(names_here.filter_map(|rest| Some(rest.split_once('"')?.0.to_owned())));
        }
    }
}
