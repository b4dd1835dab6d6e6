//! What all connections share for as long as the program runs, whatever the settings become: the door, the figures, the count of
//! log lines.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;
use tracing::{error, info, warn};

use super::door::{Address, Arrival, Door, Limits, NoSession, Rate};
use super::metrics::Metrics;
use super::repeats::{Kind, Repeats};

/// So many connections that were evicted may be on their way out at a time. It takes them some microseconds.
const LEAVING: usize = 8;

/// Dropping it tells a connection that it has to go.
pub(super) type Ticket = oneshot::Sender<()>;

/// What all connections share.
#[derive(Debug)]
pub(super) struct House {
    door: Mutex<Door<Ticket>>,
    pub(super) metrics: Metrics,
    repeats: Mutex<Repeats>,
    since: Instant,
}

/// A connection's place. The connection has left when it is dropped, by a panic too.
#[derive(Debug)]
pub(super) struct Place {
    house: Arc<House>,
    id: super::door::Id,
    peer: SocketAddr,
}

impl House {
    pub(super) fn new(limits: Limits, lines_per_minute: u32) -> Self {
        Self {
            door: Mutex::new(Door::new(limits)),
            metrics: Metrics::new(),
            repeats: Mutex::new(Repeats::new(lines_per_minute)),
            since: Instant::now(),
        }
    }

    /// Lets a newcomer in, if need be by sending somebody else away. Gives the newcomer's place, whether there is room for a session,
    /// and what will be ready when it has to go itself.
    pub(super) fn arrive(
        self: &Arc<Self>,
        peer: SocketAddr,
        exempt: bool,
    ) -> Option<(Place, bool, oneshot::Receiver<()>)> {
        let (ticket, evicted) = oneshot::channel();
        let arrival = self.door().arrive(peer.ip(), exempt, ticket, self.since.elapsed());
        let Some(Arrival { id, admits, evicted: gone }) = arrival else {
            if self.writes("no-descriptors", peer) {
                warn!(%peer, "connection dropped: signed-in sessions hold all open files that this process may have; raise its limit (LimitNOFILE, ulimit -Hn)");
            }
            return None;
        };
        self.metrics.accepted();
        if let Some((ticket, cap)) = gone {
            self.metrics.evicted(cap);
            drop(ticket);
        }
        Some((Place { house: Arc::clone(self), id, peer }, admits, evicted))
    }

    /// Ready when few of those who were evicted are still there: until then they hold descriptors beyond the budgets.
    pub(super) async fn settled(&self) {
        while self.door().leaving() >= LEAVING {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    }

    /// From now on these limits hold.
    pub(super) fn set_limits(&self, limits: Limits, lines_per_minute: u32) {
        let evicted = self.door().set_limits(limits);
        if !evicted.is_empty() {
            info!(
                "limits.max_strangers is lower now: {} connections that nobody is signed in on were ended",
                evicted.len()
            );
        }
        self.repeats().set_per_address(lines_per_minute);
    }

    /// There is no descriptor or memory for another connection: an eighth of the strangers go, at least one.
    pub(super) fn make_room(&self) {
        let mut door = self.door();
        for _ in 0..door.strangers().div_ceil(8) {
            if door.evict_longest_idle().is_some() {
                self.metrics.evicted(super::door::Cap::Descriptors);
            }
        }
    }

    /// Whether one more line of this kind about this peer is written; if not, it is counted.
    pub(super) fn writes(&self, kind: Kind, peer: SocketAddr) -> bool {
        let writes = self.repeats().writes(kind, Address::of(peer.ip()));
        if !writes {
            self.metrics.line_counted();
        }
        writes
    }

    /// Writes how many lines were not written in the minute that is over.
    pub(super) fn next_minute(&self) {
        let unwritten = self.repeats().next_minute();
        for more in unwritten {
            let (kind, lines) = (more.kind, more.lines);
            let whom = more.address.map_or_else(|| "other addresses".to_owned(), |address| address.to_string());
            warn!(whom, kind, lines, "repeated: {lines} more lines like these were not written");
        }
    }

    /// The figures as Prometheus reads them.
    pub(super) fn figures(&self) -> String {
        let (strangers, sessions) = {
            let door = self.door();
            (door.strangers(), door.sessions())
        };
        self.metrics.text(strangers, sessions)
    }

    // A panic while one of these is held is not expected, and what they guard is consistent between any two calls.
    fn door(&self) -> MutexGuard<'_, Door<Ticket>> {
        self.door.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn repeats(&self) -> MutexGuard<'_, Repeats> {
        self.repeats.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Duration {
        self.since.elapsed()
    }
}

impl Place {
    pub(super) fn house(&self) -> &Arc<House> {
        &self.house
    }

    /// The client came a step closer to a login.
    pub(super) fn step(&self) {
        self.house.door().step(self.id, self.house.now());
    }

    /// Whether the client's address may do this once more this minute.
    pub(super) fn may(&self, rate: Rate) -> bool {
        self.house.door().may(self.id, rate, self.house.now())
    }

    /// Somebody has signed in.
    pub(super) fn sign_in(&self) -> Result<(), NoSession> {
        self.house.door().sign_in(self.id)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.house.metrics.panicked();
            error!(peer = %self.peer, "connection ended by a bug in afpd-rs; the others go on");
        }
        self.house.door().leave(self.id);
    }
}

#[cfg(test)]
impl House {
    pub(super) fn for_test() -> Self {
        let limits = Limits {
            strangers: 2,
            sessions: 1,
            total: 100,
            per_address: 0,
            challenges_per_minute: 0,
            status_per_minute: 0,
        };
        Self::new(limits, 30)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peer(port: u16) -> SocketAddr {
        ([192, 0, 2, 1], port).into()
    }

    /// A task that panics with a place in its hands takes nothing with it but that place.
    #[tokio::test]
    async fn a_panic_ends_one_connection() {
        let house = Arc::new(House::for_test());
        let (broken, ..) = house.arrive(peer(1), false).unwrap();
        let (sound, admits, evicted) = house.arrive(peer(2), false).unwrap();
        assert!(admits);
        let bug = tokio::spawn(async move {
            broken.step();
            panic!("a bug");
        });
        assert!(bug.await.unwrap_err().is_panic());
        let text = house.figures();
        assert!(text.contains("afpd_connection_panics_total 1\n"), "{text}");
        assert!(text.contains("afpd_connections{state=\"stranger\"} 1\n"), "{text}");
        sound.step();
        assert_eq!(sound.sign_in(), Ok(()));
        assert!(tokio::time::timeout(Duration::ZERO, evicted).await.is_err(), "it may stay");
    }

    #[tokio::test]
    async fn who_has_to_go_is_told() {
        let house = Arc::new(House::for_test());
        let (first, _, evicted) = house.arrive(peer(1), false).unwrap();
        let (_second, _, mut stays) = house.arrive(peer(2), false).unwrap();
        let (_third, ..) = house.arrive(peer(3), false).unwrap();
        assert!(evicted.await.is_err());
        assert!(stays.try_recv().is_err_and(|error| error == oneshot::error::TryRecvError::Empty));
        assert_eq!(first.sign_in(), Err(NoSession::Gone));
        drop(first);
        house.make_room();
        assert!(stays.await.is_err());
        assert!(house.figures().contains("afpd_connections_evicted_total{limit=\"descriptors\"} 1\n"));
    }
}
