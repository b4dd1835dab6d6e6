//! How many files and sockets the process may have open.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use tracing::debug;

/// Kept free of connections: listening sockets, the store's files, the runtime's own.
const RESERVE: usize = 64;

/// Raises the soft limit to the hard one and tells how many descriptors there are for connections.
///
/// The soft limit is low (1024) only for programs that use `select`; this one does not.
pub(super) fn for_connections() -> usize {
    let limit = getrlimit(Resource::Nofile);
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    let now = match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(error) => {
            debug!("the limit of open files stays at {:?}: {error}", limit.current);
            limit.current
        }
    };
    let all = now.map_or(usize::MAX, |now| usize::try_from(now).unwrap_or(usize::MAX));
    all.saturating_sub(RESERVE).max(all / 2)
}
