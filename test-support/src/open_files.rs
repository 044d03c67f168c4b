//! How many sockets a test may open.

use rustix::process::{Resource, getrlimit, setrlimit};

/// Files that a process has open besides the sockets of its test.
const OTHERS: u64 = 200;

/// How many of the `wanted` sockets this process may open, if each takes `files` of its files. The limit of open
/// files is raised as far as that is allowed, for child processes as well. Says on stderr when it is not enough.
#[must_use]
pub fn allowed_sockets(wanted: u64, files: u64) -> u64 {
    let needed = wanted * files + OTHERS;
    let mut limit = getrlimit(Resource::Nofile);
    if limit.current.is_some_and(|current| current < needed) {
        let old = limit;
        limit.current = Some(limit.maximum.map_or(needed, |most| most.min(needed)));
        if setrlimit(Resource::Nofile, limit).is_err() {
            limit = old;
        }
    }
    let current = limit.current.unwrap_or(needed);
    let allowed = (current.saturating_sub(OTHERS) / files).min(wanted);
    if allowed < wanted {
        eprintln!(
            "\nONLY {allowed} OF {wanted} SOCKETS: at most {current} files may be open, see `ulimit -n`\n"
        );
    }
    allowed
}
