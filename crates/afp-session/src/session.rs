//! The state machine. Read it from top to bottom: a login takes the same way.

use core::mem;
use core::time::Duration;
use std::collections::VecDeque;
use std::sync::Arc;

use afp_proto::afp::{self, FpLogin, FpLoginCont, FpLoginExt, FpZzzzz, FpZzzzzReply, LoginWants};
use afp_proto::dsi::{self, Attention, Frame, Framer, Kind, OpenSessionOptions, OpenSessionReply};
use afp_proto::{DecodeError, LoginPart, ResultCode};
use bytes::Bytes;
use srp_uam::{AwaitProof, Begin, Job, Outcome};

use crate::VERSIONS;
use crate::answer::{Busy, LoginRefusal, Then};
use crate::event::{Ending, Event, LoginOutcome, LoginReport};
use crate::service::Reply;
use crate::settings::Settings;

/// The AFP calls that DSIWrite may carry (AFP Reference, DSIWrite).
const WRITING_CALLS: [afp::Command; 3] = [afp::Command::WRITE, afp::Command::WRITE_EXT, afp::Command::ADD_ICON];

/// What the session wants done.
#[derive(Debug)]
pub enum Want {
    /// Write these bytes to the client.
    Send(Bytes),
    /// The client asks what the server is: say with [`Session::status`] whether it is told, and what.
    Status,
    /// Run this job where it may block; hand its outcome to [`Session::authenticated`], or say with
    /// [`Session::turned_away`] that it will not be done.
    Authenticate(Job),
    /// Answer this AFP call; hand the reply to [`Session::served`].
    Serve {
        /// The account that is signed in.
        account: Arc<str>,
        /// The call, from its command byte on.
        call: Bytes,
    },
    /// Log or count this.
    Event(Event),
    /// Call [`Session::tick`] at this time, at once if it has passed. Replaces the time announced before.
    WakeAt(Duration),
    /// Send what is queued and close the connection. Nothing comes after it.
    Close,
}

/// One connection. See the [crate's page](crate) for how to drive it.
#[derive(Debug)]
pub struct Session {
    settings: Arc<Settings>,
    admits: bool,
    shutting_down: bool,
    framer: Framer,
    state: State,
    /// The DSIGetStatus that waits for [`Session::status`].
    asks_status: Option<Request>,
    next_request_id: u16,
    started: Duration,
    received: Option<Duration>,
    sent: Duration,
    wake_at: Option<Duration>,
    wants: VecDeque<Want>,
}

/// Named for what is waited for; each owns what it needs.
#[derive(Debug)]
enum State {
    AwaitOpenSession,
    AwaitLogin,
    Authenticating(Attempt),
    AwaitProof(Attempt, Box<AwaitProof>),
    SignedIn(SignedIn),
    Serving(SignedIn, Request),
    LoggedOut { since: Duration },
    Closed,
}

/// The login attempt that is going on.
#[derive(Debug)]
struct Attempt {
    login_name: Vec<u8>,
    uam: Vec<u8>,
    began: Duration,
    request: Request,
}

/// What a reply must repeat.
#[derive(Debug, Clone, Copy)]
struct Request {
    command: dsi::Command,
    id: u16,
}

/// Whose session it is. Made from a verified proof alone.
#[derive(Debug)]
struct SignedIn {
    account: Arc<str>,
    asleep: Option<Sleep>,
}

/// FPZzzzz: since when, and whether any packet wakes.
#[derive(Debug, Clone, Copy)]
struct Sleep {
    since: Duration,
    until_woken: bool,
}

impl Session {
    /// A session for a connection made at `now`.
    #[must_use]
    pub fn new(settings: Arc<Settings>, now: Duration) -> Self {
        Self {
            framer: Framer::new(settings.login_frame_limit),
            settings,
            admits: true,
            shutting_down: false,
            state: State::AwaitOpenSession,
            asks_status: None,
            next_request_id: 0,
            started: now,
            received: None,
            sent: now,
            wake_at: None,
            wants: VecDeque::new(),
        }
    }

    /// A session for a connection that there is no room for: DSIGetStatus is answered, DSIOpenSession is told "server busy".
    #[must_use]
    pub fn busy(settings: Arc<Settings>, now: Duration) -> Self {
        Self { admits: false, ..Self::new(settings, now) }
    }

    /// Whether bytes from the client would be looked at now. While it is false, leave them in the socket.
    #[must_use]
    pub fn wants_input(&self) -> bool {
        self.asks_status.is_none() && self.state.reads()
    }

    /// How many bytes have been received and not been looked at: less than a frame may have, unless a reply is waited for.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.framer.buffered()
    }

    /// Whether a user is signed in.
    #[must_use]
    pub fn is_signed_in(&self) -> bool {
        matches!(self.state, State::SignedIn(_) | State::Serving(..))
    }

    /// What is to be done next; `None` when nothing is until the next input.
    pub fn poll(&mut self) -> Option<Want> {
        if let Some(want) = self.wants.pop_front() {
            return Some(want);
        }
        // Most connections are idle most of the time: what they hold then is what the server holds.
        self.wants = VecDeque::new();
        let deadline = self.deadline();
        if deadline == self.wake_at {
            return None;
        }
        self.wake_at = deadline;
        deadline.map(Want::WakeAt)
    }

    /// Takes bytes from the client.
    pub fn receive(&mut self, bytes: &[u8], now: Duration) {
        if matches!(self.state, State::Closed) {
            return;
        }
        self.received = Some(now);
        if let State::SignedIn(SignedIn { asleep, .. }) | State::Serving(SignedIn { asleep, .. }, _) = &mut self.state
            && asleep.is_some_and(|sleep| !sleep.until_woken)
        {
            *asleep = None;
        }
        self.framer.push(bytes);
        self.read_frames(now);
    }

    /// Takes note that nothing more will come from the client.
    pub fn end_of_input(&mut self, now: Duration) {
        let ending = if self.received.is_none() { Ending::Silent } else { Ending::HungUp };
        self.end(ending, now);
    }

    fn read_frames(&mut self, now: Duration) {
        while self.wants_input() {
            match self.framer.next_frame() {
                Ok(Some(frame)) => self.take_frame(&frame, now),
                Ok(None) => return,
                Err(error) => self.end(Ending::Frame(error), now),
            }
        }
    }

    fn take_frame(&mut self, frame: &Frame, now: Duration) {
        if let State::AwaitOpenSession = self.state {
            return self.first_frame(frame, now);
        }
        if frame.header.kind == Kind::Reply {
            // The reply to an attention; a client has nothing else to reply to.
            return;
        }
        match frame.header.command {
            dsi::Command::COMMAND | dsi::Command::WRITE => self.take_call(frame, now),
            dsi::Command::GET_STATUS => self.ask_status(frame),
            dsi::Command::CLOSE_SESSION => self.end(Ending::ClosedByClient, now),
            // A tickle has done its work by being received; what we do not know gets no answer.
            _ => {}
        }
    }

    fn first_frame(&mut self, frame: &Frame, now: Duration) {
        match (frame.header.kind, frame.header.command) {
            (Kind::Request, dsi::Command::GET_STATUS) => self.ask_status(frame),
            (Kind::Request, dsi::Command::OPEN_SESSION) => match OpenSessionOptions::decode(&frame.payload) {
                Ok(_) if self.admits => self.open(frame, now),
                Ok(_) => {
                    self.reply(Request::of(frame), ResultCode::SERVER_BUSY_UNSIGNED, Bytes::new(), now);
                    self.end(Ending::Busy, now);
                }
                Err(_) => self.end(Ending::OpenSession, now),
            },
            _ => self.end(Ending::FirstFrame, now),
        }
    }

    fn ask_status(&mut self, frame: &Frame) {
        self.asks_status = Some(Request::of(frame));
        self.wants.push_back(Want::Status);
    }

    /// Answers the DSIGetStatus that is waiting: with the server information block
    /// ([`ServerInfo`](afp_proto::server_info::ServerInfo), encoded), or, for `None`, with "server busy".
    pub fn status(&mut self, server_info: Option<Bytes>, now: Duration) {
        let Some(request) = self.asks_status.take() else { return };
        let (event, ending) = if let Some(block) = server_info {
            self.reply(request, ResultCode::NO_ERR, block, now);
            (Event::StatusServed, Ending::StatusServed)
        } else {
            self.reply(request, ResultCode::SERVER_BUSY_UNSIGNED, Bytes::new(), now);
            (Event::StatusRefused, Ending::StatusRefused)
        };
        self.wants.push_back(Want::Event(event));
        if matches!(self.state, State::AwaitOpenSession) {
            self.end(ending, now);
        }
        self.resume(now);
    }

    fn open(&mut self, frame: &Frame, now: Duration) {
        let reply = OpenSessionReply {
            request_quantum: Some(self.settings.request_quantum),
            replay_cache_size: Some(self.settings.replay_cache_size),
        };
        self.reply(Request::of(frame), ResultCode::NO_ERR, reply.encode().into(), now);
        self.wants.push_back(Want::Event(Event::Opened));
        self.state = State::AwaitLogin;
    }

    fn take_call(&mut self, frame: &Frame, now: Duration) {
        let request = Request::of(frame);
        let Some(command) = frame.payload.first().copied().map(afp::Command) else {
            return self.reply(request, ResultCode::PARAM_ERR, Bytes::new(), now);
        };
        if request.command == dsi::Command::WRITE && !WRITING_CALLS.contains(&command) {
            return self.reply(request, ResultCode::CALL_NOT_SUPPORTED, Bytes::new(), now);
        }
        match mem::replace(&mut self.state, State::Closed) {
            State::AwaitLogin => self.before_login(command, frame, None, now),
            State::AwaitProof(attempt, await_proof) => {
                self.before_login(command, frame, Some((attempt, await_proof)), now);
            }
            State::SignedIn(signed_in) => self.after_login(command, frame, signed_in, now),
            // Calls after FPLogout, and states that read no frames.
            other => {
                self.state = other;
                self.reply(request, ResultCode::CALL_NOT_SUPPORTED, Bytes::new(), now);
            }
        }
    }

    fn before_login(
        &mut self,
        command: afp::Command,
        frame: &Frame,
        pending: Option<(Attempt, Box<AwaitProof>)>,
        now: Duration,
    ) {
        match command {
            afp::Command::LOGIN | afp::Command::LOGIN_EXT => {
                // The first act of a new login is to drop the one before.
                if let Some((attempt, await_proof)) = pending {
                    drop(await_proof);
                    self.report(attempt, LoginOutcome::Abandoned, now);
                }
                self.login(command, frame, now);
            }
            afp::Command::LOGIN_CONT => {
                if let Some((attempt, await_proof)) = pending {
                    self.login_cont(attempt, await_proof, frame, now);
                } else {
                    let attempt = Attempt::unnamed(Request::of(frame), now);
                    self.refuse(attempt, LoginRefusal::ProofBeforeChallenge, now);
                }
            }
            _ => {
                let answer = LoginRefusal::BeforeLogin.answer();
                self.state = match pending {
                    Some((attempt, await_proof)) => State::AwaitProof(attempt, await_proof),
                    None => State::AwaitLogin,
                };
                self.reply(Request::of(frame), answer.result, Bytes::from_static(answer.payload), now);
            }
        }
    }

    /// Round 1: FPLogin or FPLoginExt.
    fn login(&mut self, command: afp::Command, frame: &Frame, now: Duration) {
        let mut attempt = Attempt::unnamed(Request::of(frame), now);
        match read_login(command, &frame.payload, &self.settings.uams, &mut attempt) {
            Ok(begin) => {
                self.wants.push_back(Want::Authenticate(Job::Begin(begin)));
                self.state = State::Authenticating(attempt);
            }
            Err(refusal) => self.refuse(attempt, refusal, now),
        }
    }

    /// Round 2: FPLoginCont.
    fn login_cont(&mut self, mut attempt: Attempt, await_proof: Box<AwaitProof>, frame: &Frame, now: Duration) {
        attempt.request = Request::of(frame);
        let prove = FpLoginCont::decode(&frame.payload)
            .map_err(srp_uam::Rejected::ProofMalformed)
            .and_then(|call| await_proof.proof(call.user_auth_info));
        match prove {
            Ok(prove) => {
                self.wants.push_back(Want::Authenticate(Job::Prove(Box::new(prove))));
                self.state = State::Authenticating(attempt);
            }
            Err(rejected) => self.refuse(attempt, rejected.into(), now),
        }
    }

    /// Takes the outcome of the job that was asked for.
    pub fn authenticated(&mut self, outcome: Outcome, now: Duration) {
        let attempt = match mem::replace(&mut self.state, State::Closed) {
            State::Authenticating(attempt) => attempt,
            other => {
                self.state = other;
                return;
            }
        };
        match outcome {
            Outcome::Challenge(challenge) => {
                self.reply(attempt.request, ResultCode::AUTH_CONTINUE, challenge.reply.into(), now);
                self.state = State::AwaitProof(attempt, challenge.await_proof);
            }
            Outcome::Authenticated(authenticated) => {
                let reply = Bytes::copy_from_slice(authenticated.reply());
                self.reply(attempt.request, ResultCode::NO_ERR, reply, now);
                let account: Arc<str> = authenticated.account().into();
                let outcome = LoginOutcome::SignedIn { account: Arc::clone(&account), form: authenticated.form() };
                self.report(attempt, outcome, now);
                // The AFP command in front of written data (at most 20 bytes: FPWriteExt) is not part of the quantum.
                self.framer.set_payload_limit(self.settings.request_quantum.saturating_add(64));
                self.state = State::SignedIn(SignedIn { account, asleep: None });
            }
            Outcome::Rejected(rejected) => self.refuse(attempt, rejected.into(), now),
        }
        self.resume(now);
    }

    /// Takes note that the job that was asked for will not be done, or its outcome not be used, because there is no room. The client is
    /// told "no more sessions" (kFPNoMoreSessions), whatever its proof was worth.
    pub fn turned_away(&mut self, why: Busy, now: Duration) {
        match mem::replace(&mut self.state, State::Closed) {
            State::Authenticating(attempt) => {
                self.refuse(attempt, LoginRefusal::Busy(why), now);
                self.resume(now);
            }
            other => self.state = other,
        }
    }

    fn after_login(&mut self, command: afp::Command, frame: &Frame, mut signed_in: SignedIn, now: Duration) {
        let request = Request::of(frame);
        match command {
            afp::Command::LOGIN | afp::Command::LOGIN_EXT | afp::Command::LOGIN_CONT => {
                let answer = LoginRefusal::AlreadySignedIn.answer();
                self.state = State::SignedIn(signed_in);
                self.reply(request, answer.result, Bytes::from_static(answer.payload), now);
            }
            afp::Command::LOGOUT => {
                self.state = State::LoggedOut { since: now };
                self.reply(request, ResultCode::NO_ERR, Bytes::new(), now);
                self.wants.push_back(Want::Event(Event::LoggedOut { account: signed_in.account }));
            }
            afp::Command::ZZZZZ => {
                let reply = signed_in.sleep_or_wake(&frame.payload, &self.settings, now);
                self.state = State::SignedIn(signed_in);
                self.reply(request, reply.result, reply.payload.into(), now);
            }
            _ => {
                let account = Arc::clone(&signed_in.account);
                self.wants.push_back(Want::Serve { account, call: frame.payload.clone() });
                self.state = State::Serving(signed_in, request);
            }
        }
    }

    /// Takes the reply to the call that was to be served.
    pub fn served(&mut self, reply: Reply, now: Duration) {
        match mem::replace(&mut self.state, State::Closed) {
            State::Serving(signed_in, request) => {
                self.state = State::SignedIn(signed_in);
                self.reply(request, reply.result, reply.payload.into(), now);
                self.resume(now);
            }
            other => self.state = other,
        }
    }

    /// Takes note of the time: sends a tickle, or ends what has taken too long.
    pub fn tick(&mut self, now: Duration) {
        self.wake_at = None;
        let settings = Arc::clone(&self.settings);
        let since_start = now.saturating_sub(self.started);
        let dead = now.saturating_sub(self.received.unwrap_or(self.started)) >= settings.dead;
        let overdue = match &self.state {
            State::AwaitOpenSession if since_start >= settings.first_frame => Some(Ending::FirstFrameTimeout),
            State::AwaitOpenSession | State::Closed => return,
            State::AwaitLogin | State::Authenticating(_) | State::AwaitProof(..) if since_start >= settings.login => {
                Some(Ending::LoginTimeout)
            }
            State::SignedIn(SignedIn { asleep: Some(sleep), .. })
            | State::Serving(SignedIn { asleep: Some(sleep), .. }, _) => {
                if now.saturating_sub(sleep.since) < settings.sleep {
                    return;
                }
                Some(Ending::SleptTooLong)
            }
            State::LoggedOut { since } if now.saturating_sub(*since) >= settings.after_logout => {
                Some(Ending::LingeredAfterLogout)
            }
            _ if dead => Some(Ending::Dead),
            _ => None,
        };
        if let Some(ending) = overdue {
            if !matches!(ending, Ending::FirstFrameTimeout) {
                self.send_request(dsi::Command::CLOSE_SESSION, Bytes::new(), now);
            }
            self.end(ending, now);
        } else if now.saturating_sub(self.sent) >= settings.tickle {
            self.send_request(dsi::Command::TICKLE, Bytes::new(), now);
        }
    }

    /// Says good-bye: at once, or after the reply that is being made.
    pub fn shut_down(&mut self, now: Duration) {
        self.shutting_down = true;
        self.resume(now);
    }

    /// Ends a session that nobody is signed in to, because its place is needed.
    pub fn evict(&mut self, now: Duration) {
        if !matches!(self.state, State::AwaitOpenSession | State::Closed) {
            self.say_goodbye(now);
        }
        self.end(Ending::Evicted, now);
    }

    /// Goes on after a reply: to the frames that waited behind it, or down.
    fn resume(&mut self, now: Duration) {
        if self.shutting_down && self.wants_input() {
            if !matches!(self.state, State::AwaitOpenSession) {
                self.say_goodbye(now);
            }
            self.end(Ending::ShutDown, now);
        }
        self.read_frames(now);
    }

    fn refuse(&mut self, attempt: Attempt, why: LoginRefusal, now: Duration) {
        let answer = why.answer();
        self.state = State::AwaitLogin;
        self.reply(attempt.request, answer.result, Bytes::from_static(answer.payload), now);
        self.report(attempt, LoginOutcome::Refused { why, answer }, now);
        if answer.then == Then::Close {
            self.say_goodbye(now);
            self.end(Ending::LoginRefused, now);
        }
    }

    /// What Netatalk sends behind the last reply, and Apple's clients have met.
    fn say_goodbye(&mut self, now: Duration) {
        self.send_request(dsi::Command::ATTENTION, Attention::SHUTDOWN.encode().into(), now);
        self.send_request(dsi::Command::CLOSE_SESSION, Bytes::new(), now);
    }

    fn report(&mut self, attempt: Attempt, outcome: LoginOutcome, now: Duration) {
        let Attempt { login_name, uam, began, request: _ } = attempt;
        let report = LoginReport { login_name, uam, took: now.saturating_sub(began), outcome };
        self.wants.push_back(Want::Event(Event::Login(report)));
    }

    fn reply(&mut self, request: Request, result: ResultCode, payload: Bytes, now: Duration) {
        self.send(&Frame::reply(request.command, request.id, result, payload), now);
    }

    fn send_request(&mut self, command: dsi::Command, payload: Bytes, now: Duration) {
        let id = self.next_request_id;
        self.next_request_id = id.wrapping_add(1);
        self.send(&Frame::request(command, id, payload), now);
    }

    fn send(&mut self, frame: &Frame, now: Duration) {
        self.sent = now;
        self.wants.push_back(Want::Send(frame.encode()));
    }

    fn end(&mut self, ending: Ending, now: Duration) {
        self.asks_status = None;
        match mem::replace(&mut self.state, State::Closed) {
            State::Closed => return,
            State::AwaitProof(attempt, _) | State::Authenticating(attempt) => {
                self.report(attempt, LoginOutcome::Abandoned, now);
            }
            _ => {}
        }
        self.wants.push_back(Want::Event(Event::Ended(ending)));
        self.wants.push_back(Want::Close);
    }

    /// The next moment at which [`tick`](Self::tick) has something to do.
    fn deadline(&self) -> Option<Duration> {
        let settings = &self.settings;
        let received = self.received.unwrap_or(self.started);
        let alive = received.saturating_add(settings.dead).min(self.sent.saturating_add(settings.tickle));
        match &self.state {
            State::Closed => None,
            State::AwaitOpenSession => Some(self.started.saturating_add(settings.first_frame)),
            State::AwaitLogin | State::Authenticating(_) | State::AwaitProof(..) => {
                Some(alive.min(self.started.saturating_add(settings.login)))
            }
            State::SignedIn(signed_in) | State::Serving(signed_in, _) => Some(match signed_in.asleep {
                Some(sleep) => sleep.since.saturating_add(settings.sleep),
                None => alive,
            }),
            State::LoggedOut { since } => Some(alive.min(since.saturating_add(settings.after_logout))),
        }
    }
}

/// Reads FPLogin or FPLoginExt as far as it goes, and notes in `attempt` what the log will want to know.
fn read_login(
    command: afp::Command,
    payload: &[u8],
    uams: &[&[u8]],
    attempt: &mut Attempt,
) -> Result<Begin, LoginRefusal> {
    let wants = LoginWants::decode(payload).map_err(unreadable)?;
    attempt.uam = wants.uam.to_vec();
    if !VERSIONS.contains(&wants.version.as_bytes()) {
        return Err(LoginRefusal::UnknownVersion);
    }
    if !uams.contains(&wants.uam.as_bytes()) {
        return Err(LoginRefusal::UnknownUam);
    }
    let begin = if command == afp::Command::LOGIN_EXT {
        let call = FpLoginExt::decode(payload).map_err(unreadable)?;
        attempt.login_name = call.user_name.to_vec();
        Begin::from_login_ext(&call)?
    } else {
        Begin::from_login(&FpLogin::decode(payload).map_err(unreadable)?)?
    };
    attempt.login_name = begin.login_name().to_vec();
    Ok(begin)
}

fn unreadable(error: DecodeError) -> LoginRefusal {
    match error.login_part() {
        LoginPart::Version => LoginRefusal::VersionUnreadable(error),
        LoginPart::Uam => LoginRefusal::UamUnreadable(error),
        LoginPart::Rest => LoginRefusal::Malformed(error),
    }
}

impl State {
    /// Whether frames are taken in this state.
    fn reads(&self) -> bool {
        !matches!(self, Self::Authenticating(_) | Self::Serving(..) | Self::Closed)
    }
}

impl Attempt {
    fn unnamed(request: Request, now: Duration) -> Self {
        Self { login_name: Vec::new(), uam: Vec::new(), began: now, request }
    }
}

impl Request {
    fn of(frame: &Frame) -> Self {
        Self { command: frame.header.command, id: frame.header.request_id }
    }
}

impl SignedIn {
    /// FPZzzzz (AFP Reference): flags 1 "going to sleep" until flags 2 "awake"; flags 0, the old form, until any packet.
    fn sleep_or_wake(&mut self, payload: &[u8], settings: &Settings, now: Duration) -> Reply {
        let Ok(call) = FpZzzzz::decode(payload) else {
            return Reply::error(ResultCode::PARAM_ERR);
        };
        self.asleep = match call.flags {
            FpZzzzz::WAKE => None,
            FpZzzzz::SLEEP => Some(Sleep { since: now, until_woken: true }),
            _ => Some(Sleep { since: now, until_woken: false }),
        };
        let hours = u32::try_from(settings.sleep.as_secs() / 3600).unwrap_or(u32::MAX);
        Reply { result: ResultCode::NO_ERR, payload: FpZzzzzReply { max_sleep_hours: Some(hours) }.encode() }
    }
}
