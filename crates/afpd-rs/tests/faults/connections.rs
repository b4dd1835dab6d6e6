//! Connections that break: reset, closed on one side, or fed byte by byte, in every state a session has.

use std::net::SocketAddr;
use std::net::TcpStream;
use std::time::{Duration, Instant};

use socket2::Socket;
use testkit::client::{Client, Frame, Heard, LoginExt, dsi};

use crate::server::{
    OWNER, PASSWORD, STRANGER, Server, add_account, fetch, is_served, log_in, open, proof, reply, until, value,
};

/// What abusers sign in as.
const ABUSER: &str = "carl";
const SETTINGS: &str =
    "[metrics]\nlisten = \"127.0.0.1:0\"\n[limits]\nexempt = [\"127.0.0.0/8\"]\n[attempts]\nexempt = [\"127.0.0.2\"]\n";

const LOGOUT: &[u8] = &[20, 0];
const SERVER_PARMS: &[u8] = &[16, 0];
/// FPZzzzz, "going to sleep".
const SLEEP: &[u8] = &[122, 0, 0, 0, 0, 1];

/// Named for what the server waits for or does when the connection breaks. "Half" is half a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    NothingSent,
    HalfTheFirstHeader,
    StatusAsked,
    Opened,
    HalfAHeader,
    HalfALogin,
    ChallengeAsked,
    ChallengeOut,
    HalfAProof,
    ProofSent,
    Refused,
    SignedIn,
    HalfACall,
    HalfAWrite,
    CallSent,
    Asleep,
    LoggedOut,
    CloseSent,
}

const STATES: [State; 18] = [
    State::NothingSent,
    State::HalfTheFirstHeader,
    State::StatusAsked,
    State::Opened,
    State::HalfAHeader,
    State::HalfALogin,
    State::ChallengeAsked,
    State::ChallengeOut,
    State::HalfAProof,
    State::ProofSent,
    State::Refused,
    State::SignedIn,
    State::HalfACall,
    State::HalfAWrite,
    State::CallSent,
    State::Asleep,
    State::LoggedOut,
    State::CloseSent,
];

impl State {
    /// A connection in this state; what was asked last has not been read.
    fn reach(self, server: &Server) -> (Client, Socket) {
        let (mut client, socket) = server.connect_keeping(STRANGER);
        let half = |command, payload: &[u8]| {
            let bytes = Frame::request(command, 9, payload).bytes();
            bytes[..16 + payload.len() / 2].to_vec()
        };
        match self {
            State::NothingSent => return (client, socket),
            State::HalfTheFirstHeader => {
                client.send(&Frame::request(dsi::OPEN_SESSION, 1, &[]).bytes()[..7]).unwrap();
                return (client, socket);
            }
            State::StatusAsked => {
                client.request(dsi::GET_STATUS, &[]).unwrap();
                return (client, socket);
            }
            _ => open(&mut client),
        }
        let login = LoginExt::new(ABUSER.as_bytes()).bytes();
        match self {
            State::HalfAHeader => client.send(&half(dsi::COMMAND, &login)[..7]).unwrap(),
            State::HalfALogin => client.send(&half(dsi::COMMAND, &login)).unwrap(),
            State::ChallengeAsked => drop(client.request(dsi::COMMAND, &login).unwrap()),
            State::ChallengeOut => drop(proof(&mut client, ABUSER, PASSWORD).unwrap()),
            State::HalfAProof => {
                let proof = proof(&mut client, ABUSER, PASSWORD).unwrap();
                client.send(&half(dsi::COMMAND, &proof)).unwrap();
            }
            State::ProofSent => {
                let proof = proof(&mut client, ABUSER, PASSWORD).unwrap();
                client.request(dsi::COMMAND, &proof).unwrap();
            }
            State::Refused => {
                let proof = proof(&mut client, ABUSER, "wrong").unwrap();
                client.request(dsi::COMMAND, &proof).unwrap();
                assert_eq!(reply(&mut client).code, -6754);
            }
            State::Opened => {}
            _ => assert_eq!(log_in(&mut client, ABUSER, PASSWORD), 0),
        }
        match self {
            State::HalfACall => client.send(&half(dsi::COMMAND, SERVER_PARMS)).unwrap(),
            State::HalfAWrite => client.send(&half(dsi::WRITE, &vec![33; 200_000])).unwrap(),
            State::CallSent => drop(client.request(dsi::COMMAND, SERVER_PARMS).unwrap()),
            State::Asleep => {
                client.request(dsi::COMMAND, SLEEP).unwrap();
                assert_eq!(reply(&mut client).code, 0);
            }
            State::LoggedOut => {
                client.request(dsi::COMMAND, LOGOUT).unwrap();
                assert_eq!(reply(&mut client).code, 0);
            }
            State::CloseSent => drop(client.request(dsi::CLOSE_SESSION, &[]).unwrap()),
            _ => {}
        }
        (client, socket)
    }

    /// The result codes that are still to come when the client sends nothing more.
    fn replies(self) -> &'static [i32] {
        match self {
            State::ChallengeAsked => &[-5001],
            State::StatusAsked | State::ProofSent | State::CallSent => &[0],
            _ => &[],
        }
    }
}

/// A server, a session that must not feel anything, and what there is of everything when nobody else is connected.
struct Watched {
    server: Server,
    figures_at: SocketAddr,
    session: Client,
    descriptors: usize,
}

impl Watched {
    fn start() -> Watched {
        let mut server = Server::start(SETTINGS);
        add_account(server.directory.path(), ABUSER);
        let figures_at = server.figures_at();
        // The first login opens what stays open.
        drop(server.signed_in(STRANGER, ABUSER));
        let session = server.signed_in(OWNER, "anna");
        let mut watched = Watched { server, figures_at, session, descriptors: usize::MAX };
        watched.is_alone("at the start");
        watched
    }

    /// Waits until places, queue and descriptors are as they were; the session is served.
    fn is_alone(&mut self, when: &str) {
        until(|| {
            let figures = fetch(TcpStream::connect(self.figures_at).unwrap());
            let now =
                ["afpd_connections{state=\"stranger\"}", "afpd_connections{state=\"signed-in\"}", "afpd_login_queue"]
                    .map(|series| value(&figures, series).to_string());
            if now == ["0", "1", "0"] { Ok(()) } else { Err(format!("{when}: {now:?}")) }
        });
        // Never more than there were; the first time the connection that the figures came over may be among them.
        self.descriptors = until(|| match self.server.descriptors() {
            now if now <= self.descriptors => Ok(now),
            now => Err(format!("{when}: {now} descriptors, not {}", self.descriptors)),
        });
        is_served(&mut self.session);
    }

    /// A real login works, and its end is noticed.
    fn lets_in(&mut self, when: &str) {
        drop(self.server.signed_in(OWNER, "anna"));
        self.is_alone(when);
    }

    fn end(self) {
        drop(self.session);
        let log = self.server.end();
        assert!(!log.contains("bug") && !log.contains("panicked"), "{log}");
    }
}

#[test]
fn a_reset_in_any_state_takes_one_connection() {
    let mut watched = Watched::start();
    for state in STATES {
        let (client, socket) = state.reach(&watched.server);
        socket.set_linger(Some(Duration::ZERO)).unwrap();
        drop((client, socket));
        watched.lets_in(&format!("{state:?}"));
    }
    watched.end();
}

/// The client sends nothing more and listens: it gets the replies to all it asked, then the end, at once.
#[test]
fn a_half_closed_connection_gets_its_replies_and_ends() {
    let mut watched = Watched::start();
    for state in STATES {
        let (mut client, _socket) = state.reach(&watched.server);
        let began = Instant::now();
        client.finish_sending().unwrap();
        let mut replies = Vec::new();
        loop {
            match client.hear().unwrap_or_else(|error| panic!("{state:?}: {error}")) {
                Heard::Frame(frame) if frame.flags == 1 => replies.push(frame.code),
                // Our side says good-bye to whom it refuses.
                Heard::Frame(frame) => assert!(state == State::Refused, "{state:?}: {frame:?}"),
                Heard::End => break,
                Heard::Silence => panic!("{state:?}: no end"),
            }
        }
        assert_eq!(replies, state.replies(), "{state:?}");
        assert!(began.elapsed() < Duration::from_secs(1), "{state:?}: ended after {:?}", began.elapsed());
        watched.lets_in(&format!("{state:?}"));
    }
    watched.end();
}

/// A whole life, each byte a segment of its own.
#[test]
fn bytes_that_come_one_by_one_are_understood() {
    let mut watched = Watched::start();
    let (mut status, _) = watched.server.connect_keeping(STRANGER);
    status.dribble(&Frame::request(dsi::GET_STATUS, 1, &[]).bytes()).unwrap();
    assert_eq!(reply(&mut status).code, 0);
    drop(status);

    let mut client = watched.server.connect(STRANGER);
    let mut ask = |command, payload: &[u8]| {
        client.dribble(&Frame::request(command, 7, payload).bytes()).unwrap();
        reply(&mut client)
    };
    assert_eq!(ask(dsi::OPEN_SESSION, &[1, 4, 0, 0, 4, 0]).code, 0);
    assert_eq!(ask(dsi::GET_STATUS, &[]).code, 0);
    let challenge = ask(dsi::COMMAND, &LoginExt::new(ABUSER.as_bytes()).bytes());
    assert_eq!(challenge.code, -5001);
    let proof = crate::server::answer(ABUSER, PASSWORD, &challenge.payload);
    assert_eq!(ask(dsi::COMMAND, &proof).code, 0);
    assert_eq!(ask(dsi::COMMAND, SERVER_PARMS).code, 0);
    assert_eq!(ask(dsi::WRITE, &[33; 5000]).code, -5024);
    assert_eq!(ask(dsi::COMMAND, LOGOUT).code, 0);
    drop(client);
    watched.lets_in("after a dribbled life");
    watched.end();
}

/// Bytes without an end of the frame keep nobody in: the timers count from the connection, not from the last byte.
#[test]
fn dribbling_prolongs_nothing_before_login() {
    let timers = "[timers]\nfirst_frame = 0.4\nlogin = 0.8\n";
    let server = Server::start(&format!("{timers}{SETTINGS}"));
    add_account(server.directory.path(), ABUSER);
    let (first_frame, login) = (Duration::from_millis(400), Duration::from_millis(800));
    for (state, due) in [(State::NothingSent, first_frame), (State::Opened, login), (State::ChallengeOut, login)] {
        let began = Instant::now();
        let (mut client, _socket) = state.reach(&server);
        let mut heard = Vec::new();
        // A header of a frame that never ends, then its payload.
        let header = Frame::request(dsi::COMMAND, 8, &[]).bytes_announcing(4000);
        for byte in header.iter().copied().chain(std::iter::repeat(0)) {
            assert!(began.elapsed() < due + Duration::from_secs(2), "{state:?} is still there");
            // After the end the server's side takes no more.
            let gone = client.send(&[byte]).is_err();
            match client.hear_within(Duration::from_millis(20)) {
                Ok(Heard::Silence) if !gone => {}
                Ok(Heard::Frame(frame)) => heard.push(frame.command),
                _ => break,
            }
        }
        assert!(began.elapsed() >= due, "{state:?} ended after {:?}", began.elapsed());
        // Who has a session is told that it is closed.
        assert_eq!(heard, if due == login { vec![dsi::CLOSE_SESSION] } else { vec![] }, "{state:?}");
        drop(server.signed_in(OWNER, "anna"));
    }
    server.end();
}
