//! One connection: carries bytes between the socket and the session, and tells the session the time.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use afp_session::{Busy, Event, Session, Want};
use bytes::BytesMut;
use rand_core::TryRng as _;
use srp_uam::{Job, Outcome};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;
use tokio::sync::{oneshot, watch};
use tokio::time::{Instant, sleep_until, timeout};
use tracing::{debug, info};

use super::door::{NoSession, Rate};
use super::house::Place;
use super::login_line;
use super::pool::Full;
use super::runtime::Runtime;

/// Bytes read from a socket at a time. The buffer lives on the stack for the reading only: an idle connection has none.
const READ: usize = 8192;

/// How long to wait for the client to take bytes, and, after our last one, to close its side.
const WRITE_PATIENCE: Duration = Duration::from_secs(30);
const CLOSE_PATIENCE: Duration = Duration::from_secs(2);

/// One connection, accepted.
pub(super) struct Connection {
    stream: TcpStream,
    peer: SocketAddr,
    local: SocketAddr,
    place: Place,
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
    /// `peer`: its address, IPv4 as such.
    pub(super) fn new(
        stream: TcpStream,
        peer: SocketAddr,
        place: Place,
        runtime: Arc<Runtime>,
        stopped: watch::Receiver<bool>,
    ) -> std::io::Result<Self> {
        let local = stream.local_addr()?;
        if let Err(error) = stream.set_nodelay(true) {
            debug!(%peer, "cannot set TCP_NODELAY: {error}");
        }
        Ok(Self { stream, peer, local, place, runtime, stopped, started: Instant::now() })
    }

    /// Serves the connection to its end. `admits`: whether there is room for a session. `evicted`: ready when the place is needed; then
    /// the connection ends at once, whatever the client does.
    pub(super) async fn serve(mut self, admits: bool, evicted: oneshot::Receiver<()>) {
        let settings = Arc::clone(self.runtime.settings(self.peer.ip()));
        let mut session = if admits { Session::new(settings, self.now()) } else { Session::busy(settings, self.now()) };
        tokio::select! {
            biased;
            _ = evicted => {}
            () = self.converse(&mut session) => return,
        }
        session.evict(self.now());
        while let Some(want) = session.poll() {
            match want {
                // Only as far as it goes without waiting.
                Want::Send(bytes) => drop(self.stream.try_write(&bytes)),
                Want::Event(event) => self.note(event),
                _ => {}
            }
        }
    }

    async fn converse(&mut self, session: &mut Session) {
        let mut pending = Pending { login: None, wake_at: None, output: BytesMut::new(), close: false };
        let mut stopped = self.stopped.clone();
        let mut told_to_stop = false;
        loop {
            self.drain(session, &mut pending);
            if !self.write(&mut pending.output).await {
                session.end_of_input(self.now());
                self.drain(session, &mut pending);
                return;
            }
            if pending.close {
                return self.close().await;
            }
            tokio::select! {
                readable = self.stream.readable(), if session.wants_input() => {
                    match readable.and_then(|()| self.read(session)) {
                        Ok(()) => {}
                        Err(error) => {
                            debug!(peer = %self.peer, "reading failed: {error}");
                            session.end_of_input(self.now());
                        }
                    }
                }
                outcome = next(&mut pending.login) => {
                    pending.login = None;
                    self.authenticated(session, outcome);
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
                Want::Status => {
                    let block =
                        self.place.may(Rate::Status).then(|| self.runtime.server_info(self.local, self.peer.ip()));
                    session.status(block, self.now());
                }
                Want::Authenticate(job) => self.authenticate(session, job, pending),
                Want::Serve { account, call } => {
                    let reply = self.runtime.service.answer(&account, &call, SystemTime::now(), session_token);
                    session.served(reply, self.now());
                }
                Want::Event(event) => self.note(event),
                Want::WakeAt(at) => pending.wake_at = Some(self.started + at),
                Want::Close => pending.close = true,
            }
        }
    }

    /// Has a login computed, if there is room.
    fn authenticate(&self, session: &mut Session, job: Job, pending: &mut Pending) {
        if matches!(job, Job::Begin(_)) && !self.place.may(Rate::Challenge) {
            return session.turned_away(Busy::Rate, self.now());
        }
        match self.runtime.pool.enter(job, self.peer.ip(), Arc::clone(self.place.house())) {
            Ok(login) => {
                self.place.step();
                pending.login = Some(Box::pin(login));
            }
            Err(Full) => session.turned_away(Busy::Queue, self.now()),
        }
    }

    /// A login was computed. A right proof still needs a place among the sessions.
    fn authenticated(&self, session: &mut Session, outcome: Outcome) {
        if matches!(outcome, Outcome::Authenticated(_))
            && let Err(NoSession::Full | NoSession::Gone) = self.place.sign_in()
        {
            return session.turned_away(Busy::Sessions, self.now());
        }
        self.place.step();
        session.authenticated(outcome, self.now());
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
        if output.is_empty() {
            return true;
        }
        let bytes = std::mem::take(output);
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
    async fn close(&mut self) {
        if self.stream.shutdown().await.is_err() {
            return;
        }
        let until_closed = async { while self.stream.readable().await.is_ok() && self.more_is_to_come() {} };
        if timeout(CLOSE_PATIENCE, until_closed).await.is_err() {
            debug!(peer = %self.peer, "the client did not close its side");
        }
    }

    /// Reads what nobody wants to know; false at its end.
    fn more_is_to_come(&self) -> bool {
        match self.stream.try_read(&mut [0; READ]) {
            Ok(read) => read > 0,
            Err(error) => error.kind() == std::io::ErrorKind::WouldBlock,
        }
    }

    /// Counts the event, and logs it unless too many like it were logged.
    fn note(&self, event: Event) {
        let (peer, house) = (self.peer, self.place.house());
        house.metrics.event(&event);
        match event {
            Event::StatusServed => debug!(%peer, "server information sent"),
            Event::StatusRefused => debug!(%peer, "server information refused"),
            Event::Opened => {
                self.place.step();
                debug!(%peer, "session opened");
            }
            Event::Login(report) => {
                if login_line::kind(&report).is_none_or(|kind| house.writes(kind, peer)) {
                    login_line::write(peer, &report);
                }
            }
            Event::LoggedOut { account } => info!(%peer, account = &*account, "logged out"),
            Event::Ended(ending) => {
                if login_line::ended_kind(&ending).is_none_or(|kind| house.writes(kind, peer)) {
                    login_line::ended(peer, &ending);
                }
            }
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
