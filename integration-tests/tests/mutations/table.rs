//! The table at the end: what caught what.

use std::sync::{Arc, Mutex, PoisonError};

use libtest_mimic::Failed;
use service_runtime::fault::MUTATIONS;

use crate::cases::Case;

/// Results by mutation. Clones share them.
#[derive(Clone, Default)]
pub(crate) struct Table(Arc<Mutex<Vec<(&'static Case, String)>>>);

impl Table {
    pub(crate) fn note(&self, case: &'static Case, result: &Result<String, Failed>) {
        let text = match result {
            Ok(text) => text.clone(),
            Err(failed) => failed.message().unwrap_or("failed").to_owned(),
        };
        let text = text.lines().next().unwrap_or_default().to_owned();
        let mut rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        rows.push((case, text));
    }

    /// In the order of the rules; nothing when nothing was run.
    pub(crate) fn print(&self) {
        let rows = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if rows.is_empty() {
            return;
        }
        println!("rule         | mutation                 | test | result");
        for mutation in MUTATIONS {
            for (case, result) in rows.iter().filter(|row| row.0.mutation == mutation.name) {
                println!(
                    "{:12} | {:24} | {} {} {} | {result}",
                    mutation.rule,
                    mutation.name,
                    case.program.package,
                    case.program.target,
                    case.test
                );
            }
        }
        let caught = rows.iter().filter(|row| row.1.starts_with("caught"));
        println!("caught: {} of {}\n", caught.count(), rows.len());
    }
}
