//! Where logins are computed: a bounded number of threads beside the ones that carry bytes, and a bounded queue before them.
//!
//! A login is about a millisecond of arithmetic and may read files. Both would hold up every other connection on the
//! event loop; here the number of threads that compute at a time is that of the cores (or `limits.login_threads`), and others wait in turn.
//! When too many wait, a login that begins is refused at once; the second round of one that was begun is always computed. Calls of
//! sessions do not come here and wait for none of it.
//!
//! A thread that is done takes the next job itself. Were it the connection's task that is told of its turn, a busy event loop would
//! keep the threads idle for as long as it takes to come to that task, and the queue would stay full in a flood that needs no arithmetic.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Instant, SystemTime};

use srp_uam::{Authenticator, Job, Outcome, Peer, Rejected};
use tokio::sync::oneshot;
use tracing::error;

use super::House;
use super::metrics::Round;

/// The bounded pool and what it computes with.
#[derive(Debug)]
pub(super) struct Pool {
    inner: Arc<Inner>,
    queue: i64,
}

#[derive(Debug)]
struct Inner {
    authenticator: Authenticator,
    threads: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    next: u64,
    /// First come, first computed.
    waiting: BTreeMap<u64, Work>,
    /// Threads that compute now.
    busy: usize,
}

/// A job that waits for its turn.
#[derive(Debug)]
struct Work {
    job: Job,
    address: IpAddr,
    since: Instant,
    waiting: Waiting,
    answer: oneshot::Sender<Outcome>,
}

/// As many logins wait as may.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Full;

/// A place in the queue; given back when dropped.
#[derive(Debug)]
struct Waiting(Arc<House>);

/// Who waits for the outcome. If that ends before the job's turn comes, there is nothing to compute.
struct Interest {
    pool: Arc<Inner>,
    number: u64,
}

impl Pool {
    pub(super) fn new(authenticator: Authenticator, threads: usize, queue: u32) -> Self {
        let inner = Inner { authenticator, threads, state: Mutex::default() };
        Self { inner: Arc::new(inner), queue: i64::from(queue) }
    }

    /// Has `job` computed for the client at this address when its turn comes. Needs a tokio runtime around it.
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
        let (answer, outcome) = oneshot::channel();
        let work = Work { job, address, since: Instant::now(), waiting, answer };
        let interest = Interest { number: self.inner.enqueue(work), pool: Arc::clone(&self.inner) };
        Ok(async move {
            let outcome = outcome.await.unwrap_or(Outcome::Rejected(Rejected::Internal));
            drop(interest);
            outcome
        })
    }
}

impl Inner {
    /// Puts it at the end of the queue, and starts a thread if one more may compute.
    fn enqueue(self: &Arc<Self>, work: Work) -> u64 {
        let mut state = self.state();
        let number = state.next;
        state.next = number.wrapping_add(1);
        state.waiting.insert(number, work);
        if state.busy < self.threads {
            state.busy = state.busy.saturating_add(1);
            let pool = Arc::clone(self);
            drop(tokio::task::spawn_blocking(move || while pool.compute_next() {}));
        }
        number
    }

    /// False when nobody waits; then the thread has gone from those that compute.
    fn compute_next(&self) -> bool {
        let work = {
            let mut state = self.state();
            let Some((_, work)) = state.waiting.pop_first() else {
                state.busy = state.busy.saturating_sub(1);
                return false;
            };
            work
        };
        let Work { job, address, since, waiting, answer } = work;
        let house = Arc::clone(&waiting.0);
        drop(waiting);
        let round = if matches!(job, Job::Begin(_)) { Round::Challenge } else { Round::Proof };
        let began = Instant::now();
        let compute = || self.authenticator.run_for(job, &Peer::new(address, SystemTime::now()));
        let outcome = catch_unwind(AssertUnwindSafe(compute)).unwrap_or_else(|_| {
            error!("a login computation failed, which is a bug in afpd-rs");
            Outcome::Rejected(Rejected::Internal)
        });
        house.metrics.computed(round, began.saturating_duration_since(since), began.elapsed());
        // Whoever waited may have gone.
        drop(answer.send(outcome));
        true
    }

    // What it guards is consistent whenever it is not held.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Interest {
    fn drop(&mut self) {
        let work = self.pool.state().waiting.remove(&self.number);
        drop(work);
    }
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

    fn pool(directory: &tempfile::TempDir, queue: u32) -> Pool {
        let store = Arc::new(Store::create(Format::Native, &directory.path().join("accounts")).unwrap());
        Pool::new(Authenticator::new(store, UnknownUsers::Reveal), 1, queue)
    }

    fn begin(pool: &Pool, house: &Arc<House>) -> Result<impl Future<Output = Outcome> + Send + 'static, Full> {
        pool.enter(Job::Begin(Begin::new(b"alice".to_vec())), LOOPBACK, Arc::clone(house))
    }

    /// Nobody gets a turn: so many wait, the next is refused at once, and whoever leaves makes room.
    #[tokio::test]
    async fn the_queue_is_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let (pool, house) = (pool(&directory, 2), Arc::new(House::for_test()));
        let begin = || begin(&pool, &house);
        pool.inner.state().busy = 1;
        let first = begin().unwrap();
        let second = begin().unwrap();
        assert!(begin().is_err() && begin().is_err());
        assert_eq!(house.metrics.login_queue.get(), 2);
        drop(second);
        assert_eq!(house.metrics.login_queue.get(), 1);
        let third = begin().unwrap();
        // Now the thread that was busy goes on.
        while pool.inner.compute_next() {}
        assert!(matches!(first.await, Outcome::Rejected(Rejected::NoRecord(_))));
        assert!(matches!(third.await, Outcome::Rejected(Rejected::NoRecord(_))));
        assert_eq!(house.metrics.login_queue.get(), 0);
        assert!(house.metrics.text(0, 0).contains("afpd_login_wait_seconds_count 2"));
        assert_eq!(pool.inner.state().busy, 0);
    }

    /// An event loop that does not come to the connections' tasks keeps no job waiting: here it is this very thread that does not.
    #[tokio::test]
    async fn a_busy_event_loop_keeps_no_job_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let (pool, house) = (pool(&directory, 8), Arc::new(House::for_test()));
        let logins: Vec<_> = (0..8).map(|_| begin(&pool, &house).unwrap()).collect();
        let until = Instant::now() + std::time::Duration::from_secs(20);
        while !house.metrics.text(0, 0).contains("afpd_login_wait_seconds_count 8") {
            assert!(Instant::now() < until, "{}", house.metrics.text(0, 0));
            std::thread::sleep(std::time::Duration::from_millis(1));
        }
        for login in logins {
            assert!(matches!(login.await, Outcome::Rejected(Rejected::NoRecord(_))));
        }
    }
}
