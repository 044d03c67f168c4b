//! Where the process may open fewer files than there are places for connections.

use rustix::process::{Resource, getrlimit};

/// Logs it with both numbers. No error: connections that rest give way then before all places are taken. Other files
/// are not counted, since nobody knows how many there will be.
pub(super) fn warn_where_too_few(places: usize) {
    let files = getrlimit(Resource::Nofile).current;
    if let Some(files) = files.and_then(|files| usize::try_from(files).ok())
        && files < places
    {
        tracing::warn!(
            files,
            connections = places,
            "Fewer files may be open (`ulimit -n`) than HTTP_MAX_CONNECTIONS; above that idle connections give way."
        );
    }
}
