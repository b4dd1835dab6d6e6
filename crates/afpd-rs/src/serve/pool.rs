//! Where logins are computed: a bounded number of threads beside the ones that carry bytes.
//!
//! A login is about a millisecond of arithmetic and may read files. Both would hold up every other connection on the
//! event loop; here the number of threads that compute at a time is that of the cores (or `limits.login_threads`), and the others wait in turn.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::SystemTime;

use srp_uam::{Authenticator, Job, Outcome, Peer, Rejected};
use tokio::sync::Semaphore;
use tracing::error;

/// The bounded pool and what it computes with.
#[derive(Debug)]
pub(super) struct Pool {
    authenticator: Arc<Authenticator>,
    turns: Arc<Semaphore>,
}

impl Pool {
    pub(super) fn new(authenticator: Authenticator, threads: usize) -> Self {
        Self { authenticator: Arc::new(authenticator), turns: Arc::new(Semaphore::new(threads)) }
    }

    /// Computes `job` for the client at this address when its turn comes.
    pub(super) async fn run(self: Arc<Self>, job: Job, address: IpAddr) -> Outcome {
        let Ok(turn) = Arc::clone(&self.turns).acquire_owned().await else {
            return Outcome::Rejected(Rejected::Internal);
        };
        let authenticator = Arc::clone(&self.authenticator);
        let done = tokio::task::spawn_blocking(move || {
            let outcome = authenticator.run_for(job, &Peer::new(address, SystemTime::now()));
            drop(turn);
            outcome
        });
        done.await.unwrap_or_else(|panic| {
            error!("a login computation failed, which is a bug in afpd-rs: {panic}");
            Outcome::Rejected(Rejected::Internal)
        })
    }
}
