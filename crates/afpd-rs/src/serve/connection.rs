//! One connection: carries bytes between the socket and the session, and tells the session the time.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use afp_session::{Event, Session, Want};
use bytes::BytesMut;
use rand_core::TryRng as _;
use srp_uam::Outcome;
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info};

use super::login_line;
use super::runtime::Runtime;

/// Bytes read from a socket at a time. The buffer lives for the reading only: an idle connection has none.
const READ: usize = 8192;

/// How long to wait for the client to take bytes, and, after our last one, to close its side.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// One connection, accepted.
pub(super) struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    runtime: Arc<Runtime>,
    stopped: watch::Receiver<bool>,
    started: Instant,
}

/// What the session has asked for and is still to come.
struct Pending {
    login: Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>,
    wake_at: Option<Instant>,
    output: BytesMut,
    close: bool,
}

impl Connection {
    pub(super) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        runtime: Arc<Runtime>,
        stopped: watch::Receiver<bool>,
    ) -> Self {
        let peer = SocketAddr::new(peer.ip().to_canonical(), peer.port());
        Self { stream, peer, runtime, stopped, started: Instant::now() }
    }

    /// Serves the connection to its end. `admits`: whether there is room for a session.
    pub(super) async fn serve(mut self, admits: bool) {
        let Ok(local) = self.stream.local_addr() else { return };
        if let Err(error) = self.stream.set_nodelay(true) {
            debug!(peer = %self.peer, "cannot set TCP_NODELAY: {error}");
        }
        let settings = Arc::clone(&self.runtime.session);
        let server_info = self.runtime.server_info(local);
        let mut session = if admits {
            Session::new(settings, server_info, self.now())
        } else {
            Session::busy(settings, server_info, self.now())
        };
        let mut pending = Pending { login: None, wake_at: None, output: BytesMut::new(), close: false };
        let mut stopped = self.stopped.clone();
        let mut told_to_stop = false;
        loop {
            self.drain(&mut session, &mut pending);
            if !self.write(&mut pending.output).await {
                session.end_of_input(self.now());
                self.drain(&mut session, &mut pending);
                return;
            }
            if pending.close {
                return self.close().await;
            }
            tokio::select! {
                readable = self.stream.readable(), if session.wants_input() => {
                    match readable.and_then(|()| self.read(&mut session)) {
                        Ok(()) => {}
                        Err(error) => {
                            debug!(peer = %self.peer, "reading failed: {error}");
                            session.end_of_input(self.now());
                        }
                    }
                }
                outcome = next(&mut pending.login) => {
                    pending.login = None;
                    session.authenticated(outcome, self.now());
                }
                () = wake(pending.wake_at) => session.tick(self.now()),
                _ = stopped.wait_for(|stopped| *stopped), if !told_to_stop => {
                    told_to_stop = true;
                    session.shut_down(self.now());
                }
            }
        }
    }

    fn now(&self) -> Duration {
        self.started.elapsed()
    }

    /// Does what the session wants, until it wants nothing more.
    fn drain(&mut self, session: &mut Session, pending: &mut Pending) {
        while let Some(want) = session.poll() {
            match want {
                Want::Send(bytes) => pending.output.extend_from_slice(&bytes),
                Want::Authenticate(job) => {
                    pending.login = Some(Box::pin(Arc::clone(&self.runtime.pool).run(job, self.peer.ip())));
                }
                Want::Serve { account, call } => {
                    let reply = self.runtime.service.answer(&account, &call, SystemTime::now(), session_token);
                    session.served(reply, self.now());
                }
                Want::Event(event) => self.log(event),
                Want::WakeAt(at) => pending.wake_at = Some(self.started + at),
                Want::Close => pending.close = true,
            }
        }
    }

    fn read(&self, session: &mut Session) -> std::io::Result<()> {
        let mut buffer = [0; READ];
        match self.stream.try_read(&mut buffer) {
            Ok(0) => session.end_of_input(self.now()),
            Ok(read) => session.receive(buffer.get(..read).unwrap_or_default(), self.now()),
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }

    /// Writes everything; false when the client does not take it.
    async fn write(&mut self, output: &mut BytesMut) -> bool {
        let bytes = output.split();
        match timeout(WRITE_PATIENCE, self.stream.write_all(&bytes)).await {
            Ok(Ok(())) => true,
            Ok(Err(error)) => {
                debug!(peer = %self.peer, "writing failed: {error}");
                false
            }
            Err(_) => {
                debug!(peer = %self.peer, "the client takes no bytes");
                false
            }
        }
    }

    /// Closes our side and waits for the client's: closing at once with its bytes unread would send a reset, which
    /// overtakes the last reply.
    async fn close(mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let until_closed = async {
            let mut unread = [0; READ];
            loop {
                if self.stream.readable().await.is_err() {
                    return;
                }
                match self.stream.try_read(&mut unread) {
                    Ok(0) => return,
                    Ok(_) => {}
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
                    Err(_) => return,
                }
            }
        };
        if timeout(CLOSE_PATIENCE, until_closed).await.is_err() {
            debug!(peer = %self.peer, "the client did not close its side");
        }
    }

    fn log(&self, event: Event) {
        let peer = self.peer;
        match event {
            Event::StatusServed => debug!(%peer, "server information sent"),
            Event::Opened => debug!(%peer, "session opened"),
            Event::Login(report) => login_line::write(peer, &report),
            Event::LoggedOut { account } => info!(%peer, account = &*account, "logged out"),
            Event::Ended(ending) => login_line::ended(peer, &ending),
        }
    }
}

/// 16 random bytes for FPGetSessionToken.
fn session_token() -> Option<[u8; 16]> {
    let mut token = [0; 16];
    getrandom::SysRng.try_fill_bytes(&mut token).ok().map(|()| token)
}

/// The outcome of the login that is being computed; never ready when none is.
async fn next(login: &mut Option<Pin<Box<dyn Future<Output = Outcome> + Send>>>) -> Outcome {
    match login {
        Some(login) => login.await,
        None => std::future::pending().await,
    }
}

async fn wake(at: Option<Instant>) {
    match at {
        Some(at) => sleep_until(at).await,
        None => std::future::pending().await,
    }
}
