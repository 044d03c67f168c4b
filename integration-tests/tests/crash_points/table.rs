//! The matrix as it is printed at the end.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::{Mutex, PoisonError};

/// What the process does at a crash point.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Blow {
    /// It aborts, and is started again.
    Abort,
    /// It stops for longer than the session timeout, and goes on.
    Freeze,
}

/// A column: what happens, to one of how many instances.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Mode {
    pub(crate) blow: Blow,
    pub(crate) instances: usize,
}

impl Blow {
    /// Its name in `FAILPOINTS`.
    pub(crate) const fn action(self) -> &'static str {
        match self {
            Self::Abort => "abort",
            Self::Freeze => "freeze",
        }
    }
}

/// The columns.
pub(crate) const MODES: [Mode; 4] = [
    mode(Blow::Abort, 1),
    mode(Blow::Abort, 2),
    mode(Blow::Freeze, 1),
    mode(Blow::Freeze, 2),
];

const fn mode(blow: Blow, instances: usize) -> Mode {
    Mode { blow, instances }
}

/// Cells that were run, by row and column, and whether all held.
static CELLS: Mutex<BTreeMap<(&'static str, Mode), bool>> = Mutex::new(BTreeMap::new());

/// What an empty cell means.
const EMPTY: &str = "–: not run. A short run strikes at each point of the runtime once, and at no point after which a \
                     lease of half a minute has to end; two instances or a frozen one need containers; what a service \
                     has of its own dies in one instance";

/// Notes what came of a cell.
pub(crate) fn note(point: &'static str, mode: Mode, held: bool) {
    let mut cells = CELLS.lock().unwrap_or_else(PoisonError::into_inner);
    cells.insert((point, mode), held);
}

/// The table, with a line for each of `points` and an explanation of the empty cells.
pub(crate) fn text(points: &[&'static str]) -> String {
    let cells = CELLS.lock().unwrap_or_else(PoisonError::into_inner);
    let mut text = format!("{:<26}", "crash point");
    for mode in MODES {
        let name = format!("{} x{}", mode.blow.action(), mode.instances);
        write!(text, "{name:>11}").unwrap();
    }
    for point in points {
        write!(text, "\n{point:<26}").unwrap();
        for mode in MODES {
            let cell = match cells.get(&(*point, mode)) {
                Some(true) => "ok",
                Some(false) => "FAIL",
                None => "–",
            };
            write!(text, "{cell:>11}").unwrap();
        }
    }
    let failed = cells.values().filter(|held| !**held).count();
    write!(text, "\n{} cells, {failed} failed", cells.len()).unwrap();
    write!(text, "\n{EMPTY}").unwrap();
    text
}
