//! Where logins are computed: a bounded number of threads beside the ones that carry bytes, and a bounded queue before them.
//!
//! A login is about a millisecond of arithmetic and may read files. Both would hold up every other connection on the
//! event loop; here the number of threads that compute at a time is that of the cores (or `limits.login_threads`), and others wait in turn.
//! When too many wait, a login that begins is refused at once; the second round of one that was begun is always computed. Calls of
//! sessions do not come here and wait for none of it.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use srp_uam::{Authenticator, Job, Outcome, Peer, Rejected};
use tokio::sync::Semaphore;
use tracing::error;

use super::House;
use super::metrics::Round;

/// The bounded pool and what it computes with.
#[derive(Debug)]
pub(super) struct Pool {
    authenticator: Arc<Authenticator>,
    turns: Arc<Semaphore>,
    queue: i64,
}

/// As many logins wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// A place in the queue; given back when dropped.
struct Waiting(Arc<House>);

impl Pool {
    pub(super) fn new(authenticator: Authenticator, threads: usize, queue: u32) -> Self {
        Self {
            authenticator: Arc::new(authenticator),
            turns: Arc::new(Semaphore::new(threads)),
            queue: i64::from(queue),
        }
    }

    /// Computes `job` for the client at this address when its turn comes.
    ///
    /// # Errors
    /// The queue is full, and the job would begin a login.
    pub(super) fn enter(
        &self,
        job: Job,
        address: IpAddr,
        house: Arc<House>,
    ) -> Result<impl Future<Output = Outcome> + Send + 'static, Full> {
        let begins = matches!(job, Job::Begin(_));
        let before = house.metrics.login_queue.inc();
        let waiting = Waiting(house);
        if begins && before >= self.queue {
            return Err(Full);
        }
        Ok(run(Arc::clone(&self.authenticator), Arc::clone(&self.turns), job, address, waiting))
    }
}

async fn run(
    authenticator: Arc<Authenticator>,
    turns: Arc<Semaphore>,
    job: Job,
    address: IpAddr,
    waiting: Waiting,
) -> Outcome {
    let since = Instant::now();
    let Ok(turn) = turns.acquire_owned().await else {
        return Outcome::Rejected(Rejected::Internal);
    };
    let house = Arc::clone(&waiting.0);
    drop(waiting);
    let done = tokio::task::spawn_blocking(move || {
        let round = if matches!(job, Job::Begin(_)) { Round::Challenge } else { Round::Proof };
        let began = Instant::now();
        let outcome = authenticator.run_for(job, &Peer::new(address, SystemTime::now()));
        house.metrics.computed(round, began.saturating_duration_since(since), began.elapsed());
        drop(turn);
        outcome
    });
    done.await.unwrap_or_else(|panic| {
        error!("a login computation failed, which is a bug in afpd-rs: {panic}");
        Outcome::Rejected(Rejected::Internal)
    })
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.metrics.login_queue.dec();
    }
}

#[cfg(test)]
mod tests {
    use srp_uam::{Begin, UnknownUsers};
    use verifier_store::{Format, Store};

    use super::*;

    const LOOPBACK: IpAddr = IpAddr::V4(std::net::Ipv4Addr::LOCALHOST);

    /// Nobody gets a turn: so many wait, the next is refused at once, and whoever leaves makes room.
    #[tokio::test]
    async fn the_queue_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let store = Arc::new(Store::create(Format::Native, &directory.path().join("accounts")).unwrap());
        let pool = Pool::new(Authenticator::new(store, UnknownUsers::Reveal), 1, 2);
        let house = Arc::new(House::for_test());
        let begin = || pool.enter(Job::Begin(Begin::new(b"alice".to_vec())), LOOPBACK, Arc::clone(&house));
        let turn = Arc::clone(&pool.turns).acquire_owned().await.unwrap();
        let first = tokio::spawn(begin().unwrap());
        let second = begin().unwrap();
        assert!(begin().is_err() && begin().is_err());
        assert_eq!(house.metrics.login_queue.get(), 2);
        drop(second);
        assert_eq!(house.metrics.login_queue.get(), 1);
        let third = begin().unwrap();
        drop(turn);
        assert!(matches!(first.await.unwrap(), Outcome::Rejected(Rejected::NoRecord(_))));
        assert!(matches!(third.await, Outcome::Rejected(Rejected::NoRecord(_))));
        assert_eq!(house.metrics.login_queue.get(), 0);
        assert!(house.metrics.text(0, 0).contains("afpd_login_wait_seconds_count 2"));
    }
}
