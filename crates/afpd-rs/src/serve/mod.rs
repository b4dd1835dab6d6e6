//! The daemon: listening sockets, one task per connection, the orderly end, and settings that change while it runs.
//!
//! What is said on a connection is decided by [`afp_session`]; what is computed, by [`srp_uam`] in `pool`; who may stay, by
//! `door`. Here bytes are carried and time is told.

mod connection;
mod descriptors;
mod door;
mod house;
mod listener;
mod login_line;
mod metrics;
mod pool;
mod repeats;
mod runtime;
mod scrape;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;
use tracing::{debug, error, info, warn};
use verifier_store::Store;

use self::connection::Connection;
use self::house::House;
use self::runtime::Runtime;
use crate::config::{Config, MetricsListen};
use crate::logging::LogControl;
use crate::state::StateDir;

/// How long connections may take to end after a signal; the replies that are being made take milliseconds.
const ORDERLY_END: Duration = Duration::from_secs(5);

/// How long to wait before accepting again when the system has no descriptor or memory for another connection: the first time, and
/// doubled each time in a row up to the second.
const ACCEPT_PAUSE: (Duration, Duration) = (Duration::from_millis(10), Duration::from_millis(250));

/// How often the log lines that were counted instead of written are summed up.
const MINUTE: Duration = Duration::from_mins(1);

/// What is asked of a running server. Closing the channel asks for its end.
#[derive(Clone, Copy, Debug)]
pub enum Request {
    /// Read settings and accounts again.
    Reload,
}

/// A server that has its sockets and is not serving yet.
#[derive(Debug)]
pub struct Server {
    listeners: Vec<TcpListener>,
    addresses: Vec<SocketAddr>,
    metrics: Option<(scrape::Listener, MetricsListen)>,
    descriptors: usize,
    house: Arc<House>,
    runtime: watch::Sender<Arc<Runtime>>,
    state: StateDir,
}

impl Server {
    /// Opens the listening sockets. Needs a tokio runtime around it. The process may have as many files open as the system allows
    /// it from then on.
    ///
    /// # Errors
    /// An address cannot be listened on, or state or store cannot be read; the message says what to do.
    pub async fn bind(config: &Config, state: StateDir, store: Store) -> anyhow::Result<Self> {
        let descriptors = descriptors::for_connections();
        let runtime = Runtime::new(config, &state, store, descriptors)?;
        let house = Arc::new(House::new(runtime.limits, runtime.lines_per_minute));
        let metrics = match &config.metrics.listen {
            Some(at) => Some(scrape::open(at).await?),
            None => None,
        };
        let listeners = listener::open_all(&config.server.listen)?;
        let addresses = listeners
            .iter()
            .map(TcpListener::local_addr)
            .collect::<Result<Vec<_>, _>>()
            .context("cannot tell the address of a listening socket")?;
        let runtime = watch::Sender::new(Arc::new(runtime));
        Ok(Self { listeners, addresses, metrics, descriptors, house, runtime, state })
    }

    /// The addresses that are listened on, with the ports the system picked.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Where the figures can be read, if anywhere.
    #[must_use]
    pub fn metrics_addr(&self) -> Option<&MetricsListen> {
        self.metrics.as_ref().map(|(_, at)| at)
    }

    /// Serves until `shutdown` is ready, then lets every connection end in order. `reload` is called whenever `requests` says so, and hands
    /// new settings to the function it is given; if they cannot be used the old ones stay in force, and the level of `log` too.
    ///
    /// # Errors
    /// A listening socket is served no longer, by a bug of ours: a program that lives on and lets nobody in would be worse than one that ends
    /// and is started again.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()>,
        mut requests: mpsc::Receiver<Request>,
        log: &LogControl,
        reload: impl Fn(&dyn Fn(Config, Store) -> anyhow::Result<()>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let Self { listeners, metrics, descriptors, house, runtime, state, .. } = self;
        let (stop, stopped) = watch::channel(false);
        // Every connection holds a clone of `alive`: it is closed when the last one is gone.
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        let mut entrances = JoinSet::new();
        for listener in listeners {
            let entrance = Entrance {
                runtime: runtime.subscribe(),
                house: Arc::clone(&house),
                stopped: stopped.clone(),
                alive: alive.clone(),
            };
            entrances.spawn(entrance.keep(listener));
        }
        drop(alive);
        if let Some((listener, _)) = metrics {
            tokio::spawn(scrape::serve(listener, Arc::clone(&house)));
        }

        tokio::pin!(shutdown);
        let mut minutes = tokio::time::interval_at(tokio::time::Instant::now() + MINUTE, MINUTE);
        let ended = loop {
            tokio::select! {
                () = &mut shutdown => break Ok(()),
                Some(Err(bug)) = entrances.join_next() => break Err(bug),
                _ = minutes.tick() => house.next_minute(),
                Some(Request::Reload) = requests.recv() => {
                    let done = reload(&|config, store| {
                        let next = Runtime::new(&config, &state, store, descriptors)?;
                        log.set_level(config.log.level);
                        house.set_limits(next.limits, next.lines_per_minute);
                        runtime.send_replace(Arc::new(next));
                        Ok(())
                    });
                    house.metrics.reloaded(done.is_ok());
                    match done {
                        Ok(()) => info!(
                            "settings and accounts read again; listening addresses and log.format change at the next start"
                        ),
                        Err(error) => error!("reload failed, the settings in force stay: {error:#}"),
                    }
                }
            }
        };

        info!("going down: no new connections, ending the open ones");
        stop.send_replace(true);
        if tokio::time::timeout(ORDERLY_END, all_gone.recv()).await.is_err() {
            warn!("some connections did not end within {} s and are cut", ORDERLY_END.as_secs());
        }
        house.next_minute();
        ended.context("connections are no longer accepted, by a bug in afpd-rs; start it again")
    }
}

/// Accepts connections on one socket and starts a task for each.
struct Entrance {
    runtime: watch::Receiver<Arc<Runtime>>,
    house: Arc<House>,
    stopped: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
}

impl Entrance {
    async fn keep(mut self, listener: TcpListener) {
        let mut pause = ACCEPT_PAUSE.0;
        loop {
            let accepted = tokio::select! {
                _ = self.stopped.wait_for(|stopped| *stopped) => return,
                accepted = async {
                    self.house.settled().await;
                    listener.accept().await
                } => accepted,
            };
            match accepted {
                Ok((stream, peer)) => {
                    pause = ACCEPT_PAUSE.0;
                    self.admit(stream, peer);
                }
                Err(error) if is_of_one_connection(&error) => {
                    debug!("a connection ended before it was accepted: {error}");
                }
                Err(error) => {
                    self.house.metrics.accept_paused();
                    // The kernel does not say whom it has no room for: one address for all such lines.
                    if self.house.writes("accept", ([0; 4], 0).into()) {
                        warn!(
                            "cannot accept connections for the moment: {error}; connections that nobody is signed in on make room; raise the limit of open files (LimitNOFILE, ulimit -Hn) if this stays"
                        );
                    }
                    self.house.make_room();
                    tokio::time::sleep(pause).await;
                    pause = pause.saturating_mul(2).min(ACCEPT_PAUSE.1);
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        let runtime = Arc::clone(&self.runtime.borrow());
        let Some((place, admits, evicted)) = self.house.arrive(peer, runtime.is_exempt(peer.ip())) else { return };
        // Fails when the client has gone already.
        let Ok(connection) = Connection::new(stream, peer, place, runtime, self.stopped.clone()) else { return };
        let alive = self.alive.clone();
        tokio::spawn(async move {
            connection.serve(admits, evicted).await;
            drop(alive);
        });
    }
}

/// Errors of `accept` that concern the connection that was to be accepted, not the socket.
fn is_of_one_connection(error: &std::io::Error) -> bool {
    use std::io::ErrorKind;
    matches!(
        error.kind(),
        ErrorKind::ConnectionAborted | ErrorKind::ConnectionReset | ErrorKind::Interrupted | ErrorKind::WouldBlock
    )
}
