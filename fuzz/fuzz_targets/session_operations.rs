//! A session, its client and its driver doing well-formed and nearly well-formed things in any order, cut into any pieces, at any time.
//! Unlike the target `session` it knows what it does, and so what has to follow:
//!
//! - Nothing is served, and nobody is signed in, before the right proof of the challenge that is open; with it, always, unless there is no room.
//! - Each request gets at most one reply, in order, with its command and ID; a call gets one unless the session ends.
//! - What is sent is whole DSI frames that a server may send, its own requests numbered in order, and nothing after DSICloseSession.
//! - One thing is out at a time; what comes late or was never asked for changes nothing.
//! - What is kept of unread bytes stays below the frame limit and one read; a stranger is gone when his time is up; no tick asks for another at once.
//! - After Close nothing is wanted, whatever comes; the session ends once.
#![no_main]

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use afp_proto::afp::{Command as Afp, FpLogin, FpLoginCont, FpLoginExt, FpZzzzz};
use afp_proto::dsi::{Attention, Command, Frame, Framer, HEADER_LEN, Kind, OpenSessionOptions};
use afp_proto::srp::{Challenge, ClientProof, INIT, InitMarker, LoginInit, ServerProof};
use afp_proto::{Pascal, ResultCode, WidePascal};
use afp_session::{Busy, Event, LoginOutcome, Reply, Service, Session, Settings, Want};
use afpd_rs_fuzz::{A_PUB, DECOY, Proof as RightProof, REVEAL, run};
use libfuzzer_sys::arbitrary::{self, Arbitrary};
use libfuzzer_sys::fuzz_target;
use srp_uam::{Authenticator, Job, Outcome, Rejected};
use srp6a::Group;
use testkit::rng::SeededRng;

/// Longer plans find nothing that shorter ones do not, and each login costs a millisecond.
const STEPS: usize = 64;

#[derive(Arbitrary, Debug)]
struct Plan {
    busy: bool,
    decoy: bool,
    nothing_offered: bool,
    small: bool,
    /// Answers come when the steps say so, not at once.
    hold: bool,
    steps: Vec<Step>,
}

#[derive(Arbitrary, Debug)]
struct Step {
    /// How the bytes go: 0 all at once, 255 not yet, else in pieces of so many.
    piece: u8,
    act: Act,
}

// crates/afp-proto/examples/fuzz_seeds.rs writes these as bytes: add new ones at the end.
#[derive(Arbitrary, Debug)]
enum Act {
    OpenSession(Options),
    GetStatus,
    LoginExt(Login),
    Login(Login),
    LoginCont {
        proof: Proof,
        id: u16,
        trailing: u8,
    },
    Logout,
    Sleep(u8),
    Tickle,
    CloseSession,
    Call {
        command: u8,
        rest: Vec<u8>,
    },
    Write {
        command: u8,
        offset: u8,
        rest: Vec<u8>,
    },
    Reply {
        command: u8,
    },
    OddFrame {
        kind: u8,
        command: u8,
        id: u16,
        offset: u32,
        longer: i8,
        reserved: u32,
        payload: Vec<u8>,
    },
    Bytes(Vec<u8>),
    /// The driver does what is out.
    Answer,
    /// The driver will not, but may come with the outcome later.
    Refuse(Full),
    /// An outcome comes that nobody waits for any more.
    Late,
    /// So does an answer that was never asked for.
    Unasked,
    Pass {
        milliseconds: u16,
        seconds: u8,
        tick: bool,
    },
    PassUntilWoken,
    TickEarly,
    ShutDown,
    Evict,
    HangUp,
    /// The next request has the ID of the last one again.
    RepeatId,
}

#[derive(Arbitrary, Debug)]
enum Options {
    None,
    Quantum(u32),
    Odd(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
struct Login {
    version: Version,
    uam: Uam,
    name: Name,
    init: Init,
    /// How many bytes are cut off its end.
    short: u8,
}

#[derive(Arbitrary, Debug)]
enum Version {
    Afp34,
    Afp31,
    Afp22,
    Empty,
}

#[derive(Arbitrary, Debug)]
enum Uam {
    Srp,
    SmallSrp,
    Dhx2,
    Empty,
}

#[derive(Arbitrary, Debug)]
enum Name {
    Alice,
    Disabled,
    Nobody,
    Long,
    Empty,
}

#[derive(Arbitrary, Debug)]
enum Init {
    Right,
    Empty,
    Padded,
    Odd(Vec<u8>),
}

#[derive(Arbitrary, Debug)]
enum Proof {
    Right,
    WrongBit(u8),
    /// The right one of a challenge before, of this session or of none.
    Replayed,
    ZeroA,
    A(Vec<u8>),
    ModulusA,
    ShortM1,
    OtherStep(u16),
    Empty,
    Cut(u8),
}

#[derive(Arbitrary, Debug)]
enum Full {
    Queue,
    Rate,
    Sessions,
}

fuzz_target!(|plan: Plan| {
    let mut bench = Bench::new(&plan);
    bench.drain();
    for step in plan.steps.iter().take(STEPS) {
        bench.act(&step.act);
        bench.deliver(step.piece);
        bench.check();
    }
    bench.session.end_of_input(bench.now);
    bench.drain();
    assert!(bench.closed);
    assert_eq!(bench.endings, 1);
    bench.session.receive(&[0; 16], bench.now);
    bench.session.tick(bench.now);
    bench.session.shut_down(bench.now);
    bench.drain();
});

/// What the session waits for.
enum Out {
    Status,
    Job(Job),
    Call(Arc<str>, Vec<u8>),
}

/// The challenge that is open, as the client knows it.
struct Open {
    /// Somebody with this password can prove it.
    provable: bool,
    salt: Vec<u8>,
    b_pub: Vec<u8>,
}

struct Bench {
    session: Session,
    settings: Arc<Settings>,
    authenticator: &'static Authenticator,
    rng: SeededRng,
    busy: bool,
    hold: bool,
    now: Duration,
    wake: Option<Duration>,
    // The client's side.
    unsent: Vec<u8>,
    largest_read: usize,
    next_id: u16,
    repeat_id: bool,
    challenge: Option<Open>,
    used: Option<Open>,
    // What the session has read, by the same framer with no limit of its own, and not answered.
    read: Framer,
    /// It was no DSI.
    broken: bool,
    requests: VecDeque<Frame>,
    // What it has said.
    sent: Framer,
    server_id: u16,
    opened: bool,
    proven: bool,
    logged_out: bool,
    goodbye: bool,
    closed: bool,
    endings: usize,
    sign_ins: usize,
    // The driver's side.
    out: Option<Out>,
    late: Vec<Outcome>,
    /// The challenge that is being sent is for alice.
    begun: bool,
}

impl Bench {
    fn new(plan: &Plan) -> Bench {
        let mut settings = Settings::default();
        if plan.nothing_offered {
            settings.uams.clear();
        }
        if plan.small {
            settings.login_frame_limit = 800;
            settings.request_quantum = 1000;
        }
        let settings = Arc::new(settings);
        let make = if plan.busy { Session::busy } else { Session::new };
        Bench {
            session: make(settings.clone(), Duration::ZERO),
            settings,
            authenticator: if plan.decoy { &DECOY } else { &REVEAL },
            rng: SeededRng::new(2),
            busy: plan.busy,
            hold: plan.hold,
            now: Duration::ZERO,
            wake: None,
            unsent: Vec::new(),
            largest_read: 0,
            next_id: 0,
            repeat_id: false,
            challenge: None,
            used: None,
            read: Framer::new(u32::MAX),
            broken: false,
            requests: VecDeque::new(),
            sent: Framer::new(u32::MAX),
            server_id: 0,
            opened: false,
            proven: false,
            logged_out: false,
            goodbye: false,
            closed: false,
            endings: 0,
            sign_ins: 0,
            out: None,
            late: Vec::new(),
            begun: false,
        }
    }

    fn act(&mut self, act: &Act) {
        match act {
            Act::OpenSession(options) => {
                let payload = match options {
                    Options::None => Vec::new(),
                    Options::Quantum(quantum) => OpenSessionOptions { attention_quantum: Some(*quantum) }.encode(),
                    Options::Odd(bytes) => bytes.clone(),
                };
                self.request(Command::OPEN_SESSION, payload);
            }
            Act::GetStatus => self.request(Command::GET_STATUS, Vec::new()),
            Act::LoginExt(login) => {
                let call = FpLoginExt::new(login.version(), login.uam(), login.name(), login.init()).encode();
                self.call(login.cut(call));
            }
            Act::Login(login) => {
                let marker = if let Init::Padded = login.init { InitMarker::WithPad } else { InitMarker::WithoutPad };
                let info = LoginInit { user_name: login.name(), marker }.encode();
                let call = FpLogin { version: login.version(), uam: login.uam(), user_auth_info: &info }.encode();
                self.call(login.cut(call));
            }
            Act::LoginCont { proof, id, trailing } => {
                let mut info = self.proof(proof);
                info.extend(std::iter::repeat_n(0, usize::from(trailing / 100)));
                self.call(FpLoginCont { pad: 0, id: *id, user_auth_info: &info }.encode());
            }
            Act::Logout => self.call(vec![Afp::LOGOUT.0, 0]),
            Act::Sleep(flags) => self.call(FpZzzzz { flags: u32::from(*flags) }.encode()),
            Act::Tickle => self.request(Command::TICKLE, Vec::new()),
            Act::CloseSession => self.request(Command::CLOSE_SESSION, Vec::new()),
            Act::Call { command, rest } => self.call([&[*command][..], rest].concat()),
            Act::Write { command, offset, rest } => {
                let payload = [&[*command][..], rest].concat();
                let frame = Frame::write_request(self.id(), u32::from(*offset), payload);
                self.unsent.extend_from_slice(&frame.encode());
            }
            Act::Reply { command } => {
                let frame = Frame::reply(Command(*command), self.server_id, ResultCode::NO_ERR, Vec::new());
                self.unsent.extend_from_slice(&frame.encode());
            }
            Act::OddFrame { kind, command, id, offset, longer, reserved, payload } => {
                let length = u32::try_from(payload.len()).unwrap_or(0).wrapping_add_signed(i32::from(*longer));
                self.unsent.extend_from_slice(&[*kind % 3, *command]);
                self.unsent.extend_from_slice(&id.to_be_bytes());
                for word in [*offset, length, *reserved] {
                    self.unsent.extend_from_slice(&word.to_be_bytes());
                }
                self.unsent.extend_from_slice(payload);
            }
            Act::Bytes(bytes) => self.unsent.extend_from_slice(bytes),
            Act::Answer => self.answer(),
            Act::Refuse(full) => self.refuse(full),
            Act::Late => self.late(),
            Act::Unasked => self.unasked(),
            Act::Pass { milliseconds, seconds, tick } => {
                let time = Duration::from_millis((*milliseconds).into()) + Duration::from_secs((*seconds).into());
                self.now += time;
                if *tick && self.wake.is_some_and(|wake| wake <= self.now) {
                    self.tick();
                }
            }
            Act::PassUntilWoken => {
                if let Some(wake) = self.wake {
                    self.now = self.now.max(wake);
                    self.tick();
                }
            }
            Act::TickEarly => self.tick(),
            Act::ShutDown => self.session.shut_down(self.now),
            // For those that nobody is signed in on.
            Act::Evict if !self.session.is_signed_in() => self.session.evict(self.now),
            Act::Evict => {}
            Act::HangUp => self.session.end_of_input(self.now),
            Act::RepeatId => self.repeat_id = true,
        }
        self.drain();
    }

    fn id(&mut self) -> u16 {
        if !std::mem::take(&mut self.repeat_id) {
            self.next_id = self.next_id.wrapping_add(1);
        }
        self.next_id
    }

    fn request(&mut self, command: Command, payload: Vec<u8>) {
        let frame = Frame::request(command, self.id(), payload);
        self.unsent.extend_from_slice(&frame.encode());
    }

    fn call(&mut self, payload: Vec<u8>) {
        self.request(Command::COMMAND, payload);
    }

    fn proof(&self, kind: &Proof) -> Vec<u8> {
        let of = |open: &Option<Open>| open.as_ref().map_or(vec![0x11; 20], |open| open.proof().m1);
        let (mut a_pub, mut m1) = (A_PUB.clone(), of(&self.challenge));
        match kind {
            Proof::WrongBit(bit) => m1[usize::from(*bit) / 8 % 20] ^= 1 << (bit % 8),
            Proof::Replayed => m1 = of(&self.used),
            Proof::ZeroA => a_pub = vec![0; 192],
            Proof::A(bytes) => a_pub.clone_from(bytes),
            Proof::ModulusA => a_pub = Group::Bits1536.modulus().to_vec(),
            Proof::ShortM1 => m1.truncate(19),
            Proof::Right | Proof::OtherStep(_) | Proof::Empty | Proof::Cut(_) => {}
        }
        let mut info = ClientProof { a_pub: WidePascal::cut(&a_pub), m1: WidePascal::cut(&m1) }.encode();
        match kind {
            Proof::OtherStep(step) => info[..2].copy_from_slice(&step.to_be_bytes()),
            Proof::Empty => info.clear(),
            Proof::Cut(at) => info.truncate(usize::from(*at)),
            _ => {}
        }
        info
    }

    /// As a driver reads: not while the session does not want to.
    fn deliver(&mut self, piece: u8) {
        let piece = match piece {
            255 => return,
            0 => self.unsent.len(),
            some => some.into(),
        };
        while !self.unsent.is_empty() && (self.closed || self.session.wants_input()) {
            let rest = self.unsent.split_off(piece.min(self.unsent.len()));
            let bytes = std::mem::replace(&mut self.unsent, rest);
            self.largest_read = self.largest_read.max(bytes.len());
            self.read.push(&bytes);
            loop {
                match self.read.next_frame() {
                    Ok(Some(frame)) if frame.header.kind == Kind::Request => self.requests.push_back(frame),
                    Ok(Some(_)) => {}
                    Ok(None) => break,
                    Err(_) => {
                        self.broken = true;
                        break;
                    }
                }
            }
            self.session.receive(&bytes, self.now);
            self.drain();
            self.check();
        }
    }

    fn tick(&mut self) {
        self.wake = None;
        self.session.tick(self.now);
        self.drain();
        assert!(self.closed || self.wake.is_some_and(|wake| wake > self.now), "a tick asks for another at once");
        let stranger = !self.session.is_signed_in() && !self.logged_out;
        assert!(self.closed || self.opened || self.now < self.settings.first_frame, "a silent stranger stays");
        assert!(self.closed || !stranger || self.now < self.settings.login, "a stranger stays");
    }

    /// What holds between any two inputs.
    fn check(&self) {
        assert_eq!(self.session.is_signed_in(), self.proven && !self.closed);
        if self.closed {
            assert!(!self.session.wants_input());
            return;
        }
        assert!(self.wake.is_some(), "nobody would look after this session");
        assert_eq!(self.session.wants_input(), self.out.is_none());
        let limit =
            if self.sign_ins > 0 { self.settings.request_quantum + 64 } else { self.settings.login_frame_limit };
        let frame = HEADER_LEN + limit as usize;
        if self.out.is_none() {
            assert!(!self.broken, "what is no DSI is read on");
            assert!(self.session.buffered() < frame, "a whole frame waits");
            assert!(self.requests.iter().all(|request| !self.wants_reply(request)), "a call is not answered");
        }
        assert!(self.session.buffered() < frame + self.largest_read);
    }

    /// Whether this request gets a reply if the session goes on.
    fn wants_reply(&self, request: &Frame) -> bool {
        matches!(request.header.command, Command::COMMAND | Command::WRITE | Command::GET_STATUS)
    }

    fn answer(&mut self) {
        match self.out.take() {
            None => {}
            Some(Out::Status) => self.session.status(Some(b"server information"[..].into()), self.now),
            Some(Out::Job(job)) => {
                let outcome = self.run(job);
                self.session.authenticated(outcome, self.now);
            }
            Some(Out::Call(account, call)) => {
                let reply = Service::default().answer(&account, &call, SystemTime::UNIX_EPOCH, || Some([0; 16]));
                self.session.served(reply, self.now);
            }
        }
    }

    fn refuse(&mut self, full: &Full) {
        let why = match full {
            Full::Queue => Busy::Queue,
            Full::Rate => Busy::Rate,
            Full::Sessions => Busy::Sessions,
        };
        match self.out.take() {
            Some(Out::Status) => self.session.status(None, self.now),
            Some(Out::Job(job)) => {
                let outcome = self.run(job);
                self.late.push(outcome);
                self.session.turned_away(why, self.now);
            }
            other => self.out = other,
        }
    }

    fn late(&mut self) {
        if matches!(self.out, Some(Out::Job(_))) {
            return;
        }
        if let Some(outcome) = self.late.pop() {
            self.session.authenticated(outcome, self.now);
            assert!(self.session.poll().is_none(), "a late outcome counts");
        }
    }

    fn unasked(&mut self) {
        let before = self.session.is_signed_in();
        if !matches!(self.out, Some(Out::Status)) {
            self.session.status(Some(b"unasked"[..].into()), self.now);
        }
        if !matches!(self.out, Some(Out::Job(_))) {
            self.session.turned_away(Busy::Queue, self.now);
            self.session.authenticated(Outcome::Rejected(Rejected::Randomness), self.now);
        }
        if !matches!(self.out, Some(Out::Call(..))) {
            self.session.served(Reply::error(ResultCode::NO_ERR), self.now);
        }
        assert!(self.session.poll().is_none(), "an answer to nothing counts");
        assert_eq!(self.session.is_signed_in(), before);
    }

    fn run(&mut self, job: Job) -> Outcome {
        let begins_as = if let Job::Begin(begin) = &job { Some(begin.login_name().to_vec()) } else { None };
        let outcome = run(self.authenticator, job, &mut self.rng);
        if let Some(name) = begins_as {
            self.begun = name == b"alice";
            let made_up = std::ptr::eq(self.authenticator, &*DECOY);
            assert_eq!(matches!(outcome, Outcome::Challenge(_)), self.begun || made_up, "{outcome:?}");
        } else if !self.closed {
            let request = self.requests.iter().find(|request| self.wants_reply(request));
            let right = self.is_right(&request.expect("it is not answered yet").payload);
            assert_eq!(matches!(outcome, Outcome::Authenticated(_)), right, "the proof is judged wrongly");
        }
        outcome
    }

    /// Whether this FPLoginCont proves what the open challenge asks for.
    fn is_right(&self, call: &[u8]) -> bool {
        let (Some(open), Ok(cont)) = (&self.challenge, FpLoginCont::decode(call)) else { return false };
        let Ok(proof) = ClientProof::decode(cont.user_auth_info) else { return false };
        open.provable && proof.a_pub == A_PUB[..] && proof.m1 == open.proof().m1[..]
    }

    fn drain(&mut self) {
        loop {
            while let Some(want) = self.session.poll() {
                assert!(!self.closed, "{want:?} after Close");
                match want {
                    Want::Send(bytes) => self.heard(&bytes),
                    Want::Status => self.goes_out(Out::Status),
                    Want::Authenticate(job) => {
                        assert!(!self.proven && !self.logged_out && !self.settings.uams.is_empty());
                        self.goes_out(Out::Job(job));
                    }
                    Want::Serve { account, call } => {
                        assert!(self.proven, "served before a proof");
                        assert_eq!(&*account, "alice");
                        self.goes_out(Out::Call(account, call.to_vec()));
                    }
                    Want::Event(Event::Ended(_)) => self.endings += 1,
                    Want::Event(Event::Login(report)) => {
                        if let LoginOutcome::SignedIn { account, .. } = report.outcome {
                            assert_eq!(&*account, "alice");
                            self.sign_ins += 1;
                            assert!(self.proven && self.sign_ins == 1);
                        }
                    }
                    Want::Event(_) => {}
                    Want::WakeAt(time) => self.wake = Some(time),
                    Want::Close => {
                        assert_eq!(self.endings, 1, "the end is told before Close");
                        self.closed = true;
                    }
                }
            }
            if self.hold || self.closed || self.out.is_none() {
                return;
            }
            self.answer();
        }
    }

    fn goes_out(&mut self, out: Out) {
        assert!(self.out.is_none(), "two things at a time");
        self.out = Some(out);
    }

    /// The client reads what was sent.
    fn heard(&mut self, bytes: &[u8]) {
        self.sent.push(bytes);
        while let Some(frame) = self.sent.next_frame().expect("DSI") {
            assert!(!self.goodbye, "{frame:?} after DSICloseSession");
            match frame.header.kind {
                Kind::Request => self.heard_request(&frame),
                Kind::Reply => self.heard_reply(&frame),
            }
        }
        assert_eq!(self.sent.buffered(), 0, "half a frame");
    }

    fn heard_request(&mut self, frame: &Frame) {
        assert!(self.opened, "{frame:?} to somebody without a session");
        assert_eq!(frame.header.request_id, self.server_id);
        self.server_id = self.server_id.wrapping_add(1);
        match frame.header.command {
            Command::TICKLE => assert!(frame.payload.is_empty()),
            Command::ATTENTION => assert_eq!(Attention::decode(&frame.payload), Ok(Attention::SHUTDOWN)),
            Command::CLOSE_SESSION => self.goodbye = true,
            other => panic!("a server does not ask {other}"),
        }
    }

    fn heard_reply(&mut self, reply: &Frame) {
        let request = loop {
            let request = self.requests.pop_front().expect("a reply to nothing");
            if (request.header.command, request.header.request_id) == (reply.header.command, reply.header.request_id) {
                break request;
            }
            assert!(!self.wants_reply(&request), "{request:?} is passed over");
        };
        let result = reply.result();
        match reply.header.command {
            Command::OPEN_SESSION => {
                assert!(!self.opened, "opened twice");
                self.opened = result == ResultCode::NO_ERR;
                assert_ne!(self.opened, self.busy);
            }
            Command::GET_STATUS | Command::WRITE => {}
            Command::COMMAND => {
                assert!(self.opened);
                self.heard_answer(&request, result, &reply.payload);
            }
            other => panic!("{other} gets no reply"),
        }
    }

    fn heard_answer(&mut self, request: &Frame, result: ResultCode, payload: &[u8]) {
        let command = request.payload.first().copied().map(Afp);
        match command {
            Some(Afp::LOGIN | Afp::LOGIN_EXT) if !self.proven && !self.logged_out => {
                assert_ne!(result, ResultCode::NO_ERR);
                self.used = self.challenge.take().or(self.used.take());
                if result == ResultCode::AUTH_CONTINUE {
                    let challenge = Challenge::decode(payload).expect("a challenge");
                    let (salt, b_pub) = (challenge.salt.to_vec(), challenge.b_pub.to_vec());
                    self.challenge = Some(Open { provable: self.begun, salt, b_pub });
                }
            }
            Some(Afp::LOGIN_CONT) if !self.proven && !self.logged_out => {
                if result == ResultCode::NO_ERR {
                    assert!(self.is_right(&request.payload), "signed in by a wrong proof");
                    let proof = ServerProof::decode(payload).expect("a proof of the server's own");
                    let open = self.challenge.as_ref().expect("just looked at");
                    assert!(proof.m2 == open.proof().m2[..], "the server has another key");
                    self.proven = true;
                }
                self.used = self.challenge.take().or(self.used.take());
            }
            None => assert_eq!(result, ResultCode::PARAM_ERR),
            Some(Afp::LOGOUT) if self.proven => {
                assert_eq!(result, ResultCode::NO_ERR);
                (self.proven, self.logged_out) = (false, true);
            }
            Some(Afp::LOGIN | Afp::LOGIN_EXT | Afp::LOGIN_CONT) => assert_eq!(result, ResultCode::CALL_NOT_SUPPORTED),
            Some(_) => assert!(self.proven || result == ResultCode::CALL_NOT_SUPPORTED, "{result} to a stranger"),
        }
    }
}

impl Open {
    fn proof(&self) -> RightProof {
        RightProof::of(&self.salt, &self.b_pub)
    }
}

impl Login {
    fn version(&self) -> Pascal<'static> {
        match self.version {
            Version::Afp34 => b"AFP3.4".into(),
            Version::Afp31 => b"AFP3.1".into(),
            Version::Afp22 => b"AFP2.2".into(),
            Version::Empty => b"".into(),
        }
    }

    fn uam(&self) -> Pascal<'static> {
        match self.uam {
            Uam::Srp => b"SRP".into(),
            Uam::SmallSrp => b"srp".into(),
            Uam::Dhx2 => b"DHX2".into(),
            Uam::Empty => b"".into(),
        }
    }

    fn name(&self) -> Pascal<'static> {
        match self.name {
            Name::Alice => b"alice".into(),
            Name::Disabled => b"mallory".into(),
            Name::Nobody => b"\xffnobody".into(),
            Name::Long => (&[b'x'; 255]).into(),
            Name::Empty => b"".into(),
        }
    }

    fn init(&self) -> &[u8] {
        match &self.init {
            Init::Right => &INIT,
            Init::Empty => &[],
            Init::Padded => &[0, 0, 1],
            Init::Odd(bytes) => bytes,
        }
    }

    fn cut(&self, mut call: Vec<u8>) -> Vec<u8> {
        call.truncate(call.len().saturating_sub(usize::from(self.short / 8)));
        call
    }
}
