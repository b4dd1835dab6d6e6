//! The daemon: listening sockets, one task per connection, the orderly end, and settings that change while it runs.
//!
//! What is said on a connection is decided by [`afp_session`]; what is computed, by [`srp_uam`] in `pool`. Here bytes are
//! carried and time is told.

mod connection;
mod listener;
mod login_line;
mod pool;
mod runtime;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use anyhow::Context as _;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, mpsc, watch};
use tracing::{debug, error, info, warn};
use verifier_store::Store;

use self::connection::Connection;
use self::runtime::Runtime;
use crate::config::Config;
use crate::state::StateDir;

/// How long connections may take to end after a signal; the replies that are being made take milliseconds.
const ORDERLY_END: Duration = Duration::from_secs(5);

/// How long to wait before accepting again when the system has no descriptor or memory for another connection.
const ACCEPT_PAUSE: Duration = Duration::from_millis(250);

/// Beyond `limits.max_connections` so many more are accepted, to be told that the server is busy; further ones are dropped.
const BUSY_CONNECTIONS: usize = 64;

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
    runtime: watch::Sender<Arc<Runtime>>,
    state: StateDir,
}

impl Server {
    /// Opens the listening sockets. Needs a tokio runtime around it.
    ///
    /// # Errors
    /// An address cannot be listened on, or state or store cannot be read; the message says what to do.
    pub fn bind(config: &Config, state: StateDir, store: Store) -> anyhow::Result<Self> {
        let runtime = Runtime::new(config, &state, store)?;
        let listeners = listener::open_all(&config.server.listen)?;
        let addresses = listeners
            .iter()
            .map(TcpListener::local_addr)
            .collect::<Result<Vec<_>, _>>()
            .context("cannot tell the address of a listening socket")?;
        Ok(Self { listeners, addresses, runtime: watch::Sender::new(Arc::new(runtime)), state })
    }

    /// The addresses that are listened on, with the ports the system picked.
    #[must_use]
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.addresses
    }

    /// Serves until `shutdown` is ready, then lets every connection end in order. `reload` is called for the new settings
    /// whenever `requests` says so; settings that cannot be used leave the old ones in force.
    pub async fn run(
        self,
        shutdown: impl Future<Output = ()>,
        mut requests: mpsc::Receiver<Request>,
        reload: impl Fn() -> anyhow::Result<(Config, Store)>,
    ) {
        let Self { listeners, runtime, state, .. } = self;
        let (stop, stopped) = watch::channel(false);
        // Every connection holds a clone of `alive`: it is closed when the last one is gone.
        let (alive, mut all_gone) = mpsc::channel::<()>(1);
        let slots = Slots::new(runtime.borrow().max_connections);
        for listener in listeners {
            let door = Door {
                runtime: runtime.subscribe(),
                slots: slots.clone(),
                stopped: stopped.clone(),
                alive: alive.clone(),
            };
            tokio::spawn(door.keep(listener));
        }
        drop(alive);

        tokio::pin!(shutdown);
        loop {
            tokio::select! {
                () = &mut shutdown => break,
                Some(Request::Reload) = requests.recv() => {
                    let next = reload().and_then(|(config, store)| Runtime::new(&config, &state, store));
                    match next {
                        Ok(next) => {
                            info!("settings and accounts read again; listening addresses and limits.max_connections change at the next start");
                            runtime.send_replace(Arc::new(next));
                        }
                        Err(error) => error!("reload failed, the settings in force stay: {error:#}"),
                    }
                }
            }
        }

        info!("going down: no new connections, ending the open ones");
        stop.send_replace(true);
        if tokio::time::timeout(ORDERLY_END, all_gone.recv()).await.is_err() {
            warn!("some connections did not end within {} s and are cut", ORDERLY_END.as_secs());
        }
    }
}

/// The room for connections.
#[derive(Clone)]
struct Slots {
    served: Arc<Semaphore>,
    busy: Arc<Semaphore>,
}

impl Slots {
    fn new(max_connections: usize) -> Self {
        Self { served: Arc::new(Semaphore::new(max_connections)), busy: Arc::new(Semaphore::new(BUSY_CONNECTIONS)) }
    }
}

/// Accepts connections on one socket and starts a task for each.
struct Door {
    runtime: watch::Receiver<Arc<Runtime>>,
    slots: Slots,
    stopped: watch::Receiver<bool>,
    alive: mpsc::Sender<()>,
}

impl Door {
    async fn keep(mut self, listener: TcpListener) {
        loop {
            let accepted = tokio::select! {
                _ = self.stopped.wait_for(|stopped| *stopped) => return,
                accepted = listener.accept() => accepted,
            };
            match accepted {
                Ok((stream, peer)) => self.admit(stream, peer),
                Err(error) if is_of_one_connection(&error) => {
                    debug!("a connection ended before it was accepted: {error}");
                }
                Err(error) => {
                    warn!(
                        "cannot accept connections for the moment: {error}; raise the limit of open files (ulimit -n) if this stays"
                    );
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }

    fn admit(&self, stream: TcpStream, peer: SocketAddr) {
        let (permit, admits) = if let Ok(permit) = Arc::clone(&self.slots.served).try_acquire_owned() {
            (permit, true)
        } else if let Ok(permit) = Arc::clone(&self.slots.busy).try_acquire_owned() {
            (permit, false)
        } else {
            debug!(%peer, "dropped: no room even to say so");
            return;
        };
        let runtime = Arc::clone(&self.runtime.borrow());
        let connection = Connection::new(stream, peer, runtime, self.stopped.clone());
        let alive = self.alive.clone();
        tokio::spawn(async move {
            connection.serve(admits).await;
            drop((permit, alive));
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
