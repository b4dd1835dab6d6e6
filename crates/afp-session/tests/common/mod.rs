//! A session with a client that sends bytes and looks at frames, under a clock that moves when told.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    dead_code,
    unreachable_pub,
    reason = "test support: each test file uses a part of it, and a broken expectation should stop the test"
)]

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use afp_proto::dsi::Kind;
use afp_session::{Ending, Event, LoginReport, Service, Session, Settings, Want};
use bytes::Bytes;
use srp_uam::{Authenticator, DecoySecret, Job, Outcome, UnknownUsers};
use srp6a::Group;
use testkit::client::{Frame, LoginCont, LoginExt};
use testkit::clock::VirtualClock;
use testkit::rng::SeededRng;
use testkit::slow_srp::{AForm, AfpClientExchange};
use verifier_store::{Format, NewAccount, Store};

pub const GET_STATUS: u8 = 3;
pub const OPEN_SESSION: u8 = 4;
pub const TICKLE: u8 = 5;
pub const COMMAND: u8 = 2;
pub const WRITE: u8 = 6;
pub const CLOSE_SESSION: u8 = 1;
pub const ATTENTION: u8 = 8;

pub const SERVER_INFO: &[u8] = b"the server information block";
pub const PASSWORD: &[u8] = b"oc34thA2";

/// One store for all tests: alice and bob can log in, mallory is disabled.
static ACCOUNTS: LazyLock<(tempfile::TempDir, Arc<Store>)> = LazyLock::new(|| {
    let directory = tempfile::tempdir().unwrap();
    let store = Store::create(Format::Native, &directory.path().join("accounts")).unwrap();
    let mut rng = SeededRng::new(1);
    for name in ["alice", "bob", "mallory"] {
        let account = NewAccount { name, full_name: None, group: Group::Bits1536, password: PASSWORD };
        store.add(&account, &mut rng).unwrap();
    }
    store.disable("mallory").unwrap();
    (directory, Arc::new(store))
});

/// What the session said so far, and the means to make it say more.
pub struct Bench {
    pub session: Session,
    pub clock: VirtualClock,
    pub authenticator: Authenticator,
    pub settings: Settings,
    /// Jobs and calls are kept here instead of being done, when set.
    pub hold: bool,
    /// Server information is refused, when set.
    pub refuse_status: bool,
    pub jobs: Vec<Job>,
    pub calls: Vec<Bytes>,
    pub frames: Vec<Frame>,
    pub endings: Vec<Ending>,
    pub logins: Vec<LoginReport>,
    pub events: Vec<String>,
    pub wake_at: Option<Duration>,
    pub closed: bool,
    next_id: u16,
}

impl Bench {
    pub fn new() -> Bench {
        Bench::with(Settings::default(), UnknownUsers::Reveal)
    }

    pub fn decoy() -> Bench {
        Bench::with(Settings::default(), UnknownUsers::Decoy(DecoySecret::from_bytes([9; 32])))
    }

    pub fn with(settings: Settings, unknown_users: UnknownUsers) -> Bench {
        let session = Session::new(Arc::new(settings.clone()), VirtualClock::default().now());
        Bench::of(session, settings, unknown_users)
    }

    pub fn busy() -> Bench {
        let settings = Settings::default();
        let session = Session::busy(Arc::new(settings.clone()), VirtualClock::default().now());
        Bench::of(session, settings, UnknownUsers::Reveal)
    }

    fn of(session: Session, settings: Settings, unknown_users: UnknownUsers) -> Bench {
        let mut bench = Bench {
            session,
            clock: VirtualClock::default(),
            authenticator: Authenticator::new(Arc::clone(&ACCOUNTS.1), unknown_users),
            settings,
            hold: false,
            refuse_status: false,
            jobs: Vec::new(),
            calls: Vec::new(),
            frames: Vec::new(),
            endings: Vec::new(),
            logins: Vec::new(),
            events: Vec::new(),
            wake_at: None,
            closed: false,
            next_id: 0,
        };
        bench.drain();
        bench
    }

    /// A session that is open.
    pub fn open() -> Bench {
        let mut bench = Bench::new();
        bench.open_session();
        bench
    }

    /// A session whose user alice is signed in.
    pub fn signed_in() -> Bench {
        let mut bench = Bench::open();
        bench.log_in(b"alice", PASSWORD);
        assert!(bench.session.is_signed_in());
        bench.frames.clear();
        bench
    }

    pub fn open_session(&mut self) {
        self.request(OPEN_SESSION, &[1, 4, 0, 0, 4, 0]);
        let reply = self.frames.remove(0);
        assert_eq!((reply.command, reply.code), (OPEN_SESSION, 0));
        assert_eq!(reply.payload, [0, 4, 0, 0x10, 0, 0, 2, 4, 0, 0, 0, 128]);
    }

    /// Sends both rounds.
    pub fn log_in(&mut self, name: &[u8], password: &[u8]) -> AfpClientExchange {
        let challenge = self.challenge(name);
        let exchange = answer(name, password, &challenge);
        self.request(COMMAND, &LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
        exchange
    }

    /// Sends round 1 and takes the challenge out of the frames.
    pub fn challenge(&mut self, name: &[u8]) -> Vec<u8> {
        self.request(COMMAND, &LoginExt::new(name).bytes());
        let reply = self.frames.pop().unwrap();
        assert_eq!(reply.code, -5001);
        assert_eq!(reply.payload.len(), 413);
        reply.payload
    }

    pub fn request(&mut self, command: u8, payload: &[u8]) {
        let id = self.next_id;
        self.next_id = id.wrapping_add(1);
        self.send(&Frame::request(command, id, payload).bytes());
    }

    pub fn send(&mut self, bytes: &[u8]) {
        self.session.receive(bytes, self.clock.now());
        self.drain();
    }

    pub fn advance(&mut self, by: Duration) {
        self.clock.advance(by);
        self.session.tick(self.clock.now());
        self.drain();
    }

    /// Does what was held back.
    pub fn release(&mut self) {
        self.hold = false;
        for job in std::mem::take(&mut self.jobs) {
            let outcome = self.authenticator.run(job);
            self.finish(outcome);
        }
        for call in std::mem::take(&mut self.calls) {
            self.serve(&call);
        }
    }

    pub fn finish(&mut self, outcome: Outcome) {
        self.session.authenticated(outcome, self.clock.now());
        self.drain();
    }

    fn serve(&mut self, call: &Bytes) {
        let reply = service().answer("alice", call, SystemTime::UNIX_EPOCH, || Some([7; 16]));
        self.session.served(reply, self.clock.now());
        self.drain();
    }

    pub fn drain(&mut self) {
        while let Some(want) = self.session.poll() {
            assert!(!self.closed, "{want:?} after Close");
            match want {
                Want::Send(bytes) => self.take(&bytes),
                Want::Status => {
                    let block = (!self.refuse_status).then(|| Bytes::from_static(SERVER_INFO));
                    self.session.status(block, self.clock.now());
                }
                Want::Authenticate(job) if self.hold => self.jobs.push(job),
                Want::Authenticate(job) => {
                    let outcome = self.authenticator.run(job);
                    self.session.authenticated(outcome, self.clock.now());
                }
                Want::Serve { call, .. } if self.hold => self.calls.push(call),
                Want::Serve { account, call } => {
                    assert_eq!(&*account, "alice");
                    let reply = service().answer(&account, &call, SystemTime::UNIX_EPOCH, || Some([7; 16]));
                    self.session.served(reply, self.clock.now());
                }
                Want::Event(Event::Login(report)) => self.logins.push(report),
                Want::Event(Event::Ended(ending)) => self.endings.push(ending),
                Want::Event(event) => self.events.push(format!("{event:?}")),
                Want::WakeAt(at) => self.wake_at = Some(at),
                Want::Close => self.closed = true,
            }
        }
    }

    fn take(&mut self, bytes: &[u8]) {
        let header = afp_proto::dsi::Header::decode(&bytes[..16]).unwrap();
        assert_eq!(bytes.len(), 16 + header.length as usize);
        self.frames.push(Frame {
            flags: u8::from(header.kind == Kind::Reply),
            command: header.command.0,
            id: header.request_id,
            code: header.code_or_offset.cast_signed(),
            reserved: header.reserved,
            payload: bytes[16..].to_vec(),
        });
    }

    /// The replies so far as (result, payload), taken.
    pub fn replies(&mut self) -> Vec<(i32, Vec<u8>)> {
        let frames = std::mem::take(&mut self.frames);
        frames
            .into_iter()
            .map(|frame| {
                assert_eq!(frame.flags, 1, "{frame:?} is no reply");
                (frame.code, frame.payload)
            })
            .collect()
    }

    /// The last login is refused: with this reply, then attention 0x8000 and DSICloseSession, then the end.
    #[track_caller]
    pub fn assert_refused(&mut self, code: i32, payload: &[u8]) {
        let [reply, attention, close] = &self.frames[..] else {
            panic!("reply, attention and close expected, not {:?}", self.frames);
        };
        assert_eq!((reply.flags, reply.command, reply.code, &reply.payload[..]), (1, COMMAND, code, payload));
        assert_eq!((attention.flags, attention.command, attention.id), (0, ATTENTION, 0));
        assert_eq!(attention.payload, [0x80, 0]);
        assert_eq!((close.flags, close.command, close.id), (0, CLOSE_SESSION, 1));
        assert!(close.payload.is_empty());
        assert_eq!(self.endings, [Ending::LoginRefused]);
        assert!(self.closed);
        assert!(!self.session.is_signed_in());
    }
}

/// The client's half, by the slow second SRP.
pub fn answer(name: &[u8], password: &[u8], challenge: &[u8]) -> AfpClientExchange {
    AfpClientExchange::answer(name, password, challenge, &[0x5a; 32], AForm::SPECIFICATION).unwrap()
}

fn service() -> Service {
    Service { user_id: 501, group_id: 20, group_name: "staff".to_owned(), ..Service::default() }
}
