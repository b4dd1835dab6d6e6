//! Black-box tests of an AFP server over TCP: what a peer says, what it must hear.
//!
//! The cases are in `tests/`, a file per chapter: `dsi`, `status`, `login_ext`, `login_cont`, `after_login`, `limits`,
//! `regressions`. Their letters and numbers (E01, C14, S07 …) are those of the hundred inputs that were first tried on
//! Netatalk 4.5.1; F cases are frames, T cases timers. Each case says what the specification (AFP SRP User Authentication
//! Method) or the AFP reference demands and what Netatalk 4.5.1 does. Where the two servers differ on purpose the case carries
//! both expectations and a key, and `docs/netatalk-differences.md` explains the key.
//!
//! ```text
//! cargo test -p conformance                                                      a daemon of ours, started for the purpose
//! AFP_SUBJECT=127.0.0.1:548 AFP_SUBJECT_KIND=netatalk cargo test -p conformance  the real Netatalk (interop/run.sh does it)
//! ```
//!
//! With `AFP_SUBJECT_SRP_MODULE=afpd-rs` as well, it is a Netatalk with our uams_srp.so in the place of its own (interop/run-module.sh): what
//! the module decides is then as with ours, the rest as with Netatalk. [`testkit::subject`] has the other variables. Cases that need settings of their own (timers, decoy) are skipped, and say so,
//! where the subject is not ours to configure. No case waits for time to pass unless the passing of time is what it is about;
//! "the connection is still open" is shown by a call that gets its answer ([`Peer::is_heard`]), not by waiting.
//!
//! This file is the vocabulary: a [`Peer`] says things, a [`Want`] is what must come back.
#![forbid(unsafe_code)]
#![expect(
    clippy::panic,
    clippy::missing_panics_doc,
    reason = "a failed expectation is a panic: that is what these are for"
)]

use std::sync::{Arc, OnceLock};
use std::thread;
use std::time::{Duration, Instant};

use num_bigint::BigUint;
use testkit::client::{Client, Frame, Heard, LoginCont, LoginExt, PATIENCE, dsi};
use testkit::rng::SeededRng;
use testkit::slow_srp::{AForm, AfpClientExchange, SlowGroup};
use testkit::subject::{Accounts, Kind, Subject};

/// AFP result codes ("AFP Reference", Result Codes), as far as the cases need them.
pub mod code {
    #![expect(missing_docs, reason = "the protocol's own names")]
    pub const NO_ERR: i32 = 0;
    pub const NO_MORE_SESSIONS: i32 = -1068;
    pub const AUTH_CONTINUE: i32 = -5001;
    pub const BAD_UAM: i32 = -5002;
    pub const BAD_VERSION: i32 = -5003;
    pub const BITMAP_ERR: i32 = -5004;
    pub const MISC_ERR: i32 = -5014;
    pub const ITEM_NOT_FOUND: i32 = -5012;
    pub const PARAM_ERR: i32 = -5019;
    pub const USER_NOT_AUTH: i32 = -5023;
    pub const CALL_NOT_SUPPORTED: i32 = -5024;
    /// Not an AFP code: the specification's own.
    pub const SRP_PROOF_FAILED: i32 = -6754;
}

/// The bytes of a challenge for the 1536-bit group, up to the salt: context, group index, N, g, length of the salt.
const CHALLENGE_LENGTH: usize = 413;

const DIFFERENCES: &str = include_str!("../../docs/netatalk-differences.md");

/// One thing that can come back, and what the connection does then.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The reply's result and payload; `None`: no reply.
    reply: Option<(i32, Payload)>,
    then: Then,
}

#[derive(Clone, Copy, Debug)]
enum Payload {
    Bytes(&'static [u8]),
    Length(usize),
    Any,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Then {
    /// Open: the next call is answered.
    Open,
    /// DSIAttention 0x8000, DSICloseSession, end.
    Closes,
    /// The end and nothing before it.
    Ends,
}

/// Refused: an error reply without payload, then attention, close and end.
#[must_use]
pub const fn refused(code: i32) -> Answer {
    refused_with(code, &[])
}

/// The same with a payload.
#[must_use]
pub const fn refused_with(code: i32, payload: &'static [u8]) -> Answer {
    Answer { reply: Some((code, Payload::Bytes(payload))), then: Then::Closes }
}

/// What the specification answers to a login name that it does not know.
#[must_use]
pub const fn unknown_user() -> Answer {
    refused_with(code::USER_NOT_AUTH, &[0, 1])
}

/// A reply of this code and no payload; the connection stays open.
#[must_use]
pub const fn replied(code: i32) -> Answer {
    Answer { reply: Some((code, Payload::Bytes(&[]))), then: Then::Open }
}

/// A reply of this code and payload; the connection stays open.
#[must_use]
pub const fn replied_with(code: i32, payload: &'static [u8]) -> Answer {
    Answer { reply: Some((code, Payload::Bytes(payload))), then: Then::Open }
}

/// A reply of this code and any payload; the connection stays open.
#[must_use]
pub const fn replied_something(code: i32) -> Answer {
    Answer { reply: Some((code, Payload::Any)), then: Then::Open }
}

/// -5001 and a challenge of 413 bytes.
#[must_use]
pub const fn challenged() -> Answer {
    Answer { reply: Some((code::AUTH_CONTINUE, Payload::Length(CHALLENGE_LENGTH))), then: Then::Open }
}

/// Signed in: 0 and M2 in 24 bytes.
#[must_use]
pub const fn signed_in() -> Answer {
    Answer { reply: Some((code::NO_ERR, Payload::Length(24))), then: Then::Open }
}

/// Nothing, and the connection stays open.
#[must_use]
pub const fn ignored() -> Answer {
    Answer { reply: None, then: Then::Open }
}

/// Nothing but the end of the connection.
#[must_use]
pub const fn hung_up() -> Answer {
    Answer { reply: None, then: Then::Ends }
}

/// A reply of this code, then the end and nothing between.
#[must_use]
pub const fn replied_and_hung_up(code: i32) -> Answer {
    Answer { reply: Some((code, Payload::Any)), then: Then::Ends }
}

/// What each kind of server must answer.
#[derive(Clone, Copy, Debug)]
pub struct Want {
    ours: Answer,
    netatalk: Answer,
    /// Netatalk with our uams_srp.so.
    module: Answer,
}

impl Want {
    /// With our module in Netatalk the answer is yet another.
    #[must_use]
    pub const fn module(self, answer: Answer) -> Want {
        Want { module: answer, ..self }
    }
}

/// The differences that our module for Netatalk makes too. What the others are about is decided before a module is asked.
const OF_THE_MODULE: [&str; 5] = ["unknown-user", "shell", "user-auth-info", "padded-proof", "trailing-bytes"];

impl From<Answer> for Want {
    fn from(answer: Answer) -> Want {
        Want { ours: answer, netatalk: answer, module: answer }
    }
}

/// A difference on purpose; `docs/netatalk-differences.md` explains the key.
#[must_use]
pub fn differs(key: &str, ours: Answer, netatalk: Answer) -> Want {
    assert!(DIFFERENCES.contains(&format!("| `{key}` |")), "docs/netatalk-differences.md has no row for {key}");
    Want { ours, netatalk, module: if OF_THE_MODULE.contains(&key) { ours } else { netatalk } }
}

/// The client's side of one connection. It says the polite goodbye when dropped: Netatalk keeps a signed-in session that is not
/// closed for a day, and counts it.
#[derive(Debug)]
pub struct Peer {
    client: Client,
    subject: Arc<Subject>,
    /// The request that waits for its reply.
    asked: Option<(u8, u16)>,
    /// The server has closed the connection.
    ended: bool,
}

impl Peer {
    /// A TCP connection, nothing said.
    #[must_use]
    pub fn connected() -> Peer {
        Peer::connected_to(subject())
    }

    /// The same to a certain server.
    #[must_use]
    pub fn connected_to(subject: Arc<Subject>) -> Peer {
        let client =
            Client::connect(subject.address).unwrap_or_else(|e| panic!("cannot connect to {}: {e}", subject.address));
        Peer { client, subject, asked: None, ended: false }
    }

    /// A connection with an open DSI session.
    #[must_use]
    pub fn in_session() -> Peer {
        Peer::in_session_with(subject())
    }

    /// The same with a certain server.
    #[must_use]
    pub fn in_session_with(subject: Arc<Subject>) -> Peer {
        let mut peer = Peer::connected_to(subject);
        peer.asks(dsi::OPEN_SESSION, &[1, 4, 0, 0, 0, 2]);
        let reply = peer.reply();
        assert_eq!(reply.code, code::NO_ERR, "OpenSession is refused: {reply:?}");
        peer
    }

    /// A connection signed in as this user.
    #[must_use]
    pub fn signed_in_as(name: &str) -> Peer {
        let mut peer = Peer::in_session();
        peer.signs_in(name);
        peer
    }

    /// A connection signed in as the user with the name of even length.
    #[must_use]
    pub fn signed_in() -> Peer {
        let name = subject().accounts.even.clone();
        Peer::signed_in_as(&name)
    }

    /// Which server this is.
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.subject.kind
    }

    /// Whom it knows.
    #[must_use]
    pub fn accounts(&self) -> Accounts {
        self.subject.accounts.clone()
    }

    /// The server.
    #[must_use]
    pub fn subject(&self) -> &Subject {
        &self.subject
    }

    /// The scripted client beneath.
    pub fn client(&mut self) -> &mut Client {
        &mut self.client
    }

    /// Sends a DSI request of any kind.
    #[track_caller]
    pub fn asks(&mut self, command: u8, payload: &[u8]) {
        let id = self.client.request(command, payload).unwrap_or_else(|e| panic!("cannot send: {e}"));
        self.asked = Some((command, id));
    }

    /// Sends an AFP call.
    #[track_caller]
    pub fn calls(&mut self, call: &[u8]) {
        self.asks(dsi::COMMAND, call);
    }

    /// Sends a frame with whatever it has in its fields. A write error is no failure: the server may have hung up by then.
    pub fn sends(&mut self, frame: &Frame) {
        self.asked = Some((frame.command, frame.id));
        self.sends_raw(&frame.bytes());
    }

    /// Sends bytes. A write error is no failure: the server may have hung up by then.
    pub fn sends_raw(&mut self, bytes: &[u8]) {
        drop(self.client.send(bytes));
    }

    /// Takes this frame, sent raw, for what was asked last.
    pub fn awaits_reply_to(&mut self, frame: &Frame) {
        self.asked = Some((frame.command, frame.id));
    }

    /// Expects this, and returns the reply's payload.
    #[track_caller]
    pub fn hears(&mut self, want: impl Into<Want>) -> Vec<u8> {
        let want = want.into();
        let want = match (self.kind(), self.subject.srp_is_ours) {
            (Kind::AfpdRs, _) => want.ours,
            (Kind::Netatalk, false) => want.netatalk,
            (Kind::Netatalk, true) => want.module,
        };
        let payload = want.reply.map(|(code, payload)| self.hears_reply(code, payload)).unwrap_or_default();
        match want.then {
            Then::Open => self.is_heard(),
            Then::Closes => self.hears_closing(),
            Then::Ends => self.hears_end(),
        }
        payload
    }

    #[track_caller]
    fn hears_reply(&mut self, code: i32, payload: Payload) -> Vec<u8> {
        let reply = self.reply();
        let length = reply.payload.len();
        assert_eq!(reply.code, code, "result code of a reply with {length} bytes");
        match payload {
            Payload::Bytes(bytes) => assert_eq!(reply.payload, bytes, "payload of a reply with code {code}"),
            Payload::Length(wanted) => assert_eq!(length, wanted, "length of the payload of a reply with code {code}"),
            Payload::Any => {}
        }
        reply.payload
    }

    /// The reply to what was asked last, well formed.
    #[track_caller]
    pub fn reply(&mut self) -> Frame {
        match self.hears_something() {
            Heard::Frame(frame) => {
                assert_eq!((frame.flags, frame.reserved), (1, 0), "flags and reserved field of a reply: {frame:?}");
                assert_eq!(Some((frame.command, frame.id)), self.asked, "command and id of the reply: {frame:?}");
                frame
            }
            other => panic!("a reply was due, but there came {other:?}"),
        }
    }

    /// Whatever comes next, but for tickles: a server may send one at any time.
    #[track_caller]
    pub fn hears_something(&mut self) -> Heard {
        loop {
            match self.client.hear_within(PATIENCE).unwrap_or_else(|e| panic!("cannot read: {e}")) {
                Heard::Frame(Frame { flags: 0, command: dsi::TICKLE, .. }) => {}
                heard => return heard,
            }
        }
    }

    /// The connection is open and nothing waits to be read: a call that no server knows gets its refusal, and gets it next.
    #[track_caller]
    pub fn is_heard(&mut self) {
        self.calls(&[0xff, 0]);
        match self.hears_something() {
            Heard::Frame(frame) if Some((frame.command, frame.id)) == self.asked && frame.flags == 1 => {
                assert_eq!(frame.code, code::CALL_NOT_SUPPORTED, "answer to AFP command 0xff, which nobody knows");
            }
            other => panic!("the connection should be open and quiet, but there came {other:?}"),
        }
    }

    /// DSIAttention 0x8000, DSICloseSession, end: how Netatalk takes its leave after a failed login, and we with it.
    #[track_caller]
    pub fn hears_closing(&mut self) {
        let attention =
            Frame { flags: 0, command: dsi::ATTENTION, id: 0, code: 0, reserved: 0, payload: vec![0x80, 0] };
        let close = Frame { flags: 0, command: dsi::CLOSE_SESSION, id: 1, code: 0, reserved: 0, payload: vec![] };
        assert_eq!(self.hears_something(), Heard::Frame(attention), "server going down");
        assert_eq!(self.hears_something(), Heard::Frame(close), "close session");
        self.hears_end();
    }

    /// The end of the connection, and nothing before it.
    #[track_caller]
    pub fn hears_end(&mut self) {
        assert_eq!(self.hears_something(), Heard::End, "the connection should end here");
        self.ended = true;
    }

    /// Asks for a challenge with a well-formed FPLoginExt.
    #[track_caller]
    pub fn is_challenged_as(&mut self, name: &str) -> Vec<u8> {
        self.calls(&LoginExt::new(name.as_bytes()).bytes());
        self.hears_reply(code::AUTH_CONTINUE, Payload::Length(CHALLENGE_LENGTH))
    }

    /// Sends the right proof for this challenge and gets the right one back.
    #[track_caller]
    pub fn proves(&mut self, name: &str, challenge: &[u8]) {
        let exchange = self.exchange(name, challenge);
        self.calls(&LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
        let proof = self.hears_reply(code::NO_ERR, Payload::Length(24));
        assert_eq!(proof, [&[0, 4, 0, 20], exchange.m2.as_slice()].concat(), "step, length and M2");
    }

    /// The whole login of a user whose name is hashed as it is typed.
    #[track_caller]
    pub fn signs_in(&mut self, name: &str) {
        let challenge = self.is_challenged_as(name);
        self.proves(name, &challenge);
    }

    /// A client's numbers for this challenge, with the subject's password. The private key is always the same: only the server's
    /// has to be new.
    #[track_caller]
    #[must_use]
    pub fn exchange(&self, name: &str, challenge: &[u8]) -> AfpClientExchange {
        self.exchange_with(name, &self.accounts().password, challenge, &PRIVATE_KEY, AForm::SPECIFICATION)
    }

    /// The same with everything open.
    #[track_caller]
    #[must_use]
    pub fn exchange_with(
        &self,
        name: &str,
        password: &str,
        challenge: &[u8],
        private_key: &[u8],
        form: AForm,
    ) -> AfpClientExchange {
        AfpClientExchange::answer(name.as_bytes(), password.as_bytes(), challenge, private_key, form)
            .unwrap_or_else(|| panic!("not a challenge as the specification lays it out: {challenge:02x?}"))
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        if !self.ended {
            drop(self.client.request(dsi::CLOSE_SESSION, &[]));
        }
    }
}

/// a, the client's private key in every login but those that are about it: any number will do, and with this one A has no leading
/// zero byte. The captures in `captures/ours` are keyed with it.
pub const PRIVATE_KEY: [u8; 32] = *b"any number will do, but not this";

/// The server this run is about: the same one for a test from its beginning to its end.
#[must_use]
pub fn subject() -> Arc<Subject> {
    thread_local! {
        // A test is a thread. It holds on to its daemon, or the next connection would meet a new one.
        static HELD: Arc<Subject> = Subject::shared().unwrap_or_else(|error| panic!("{error}"));
    }
    HELD.with(Arc::clone)
}

/// A daemon of ours with this configuration. `None`, and a word about it, where the subject is not ours to configure.
#[must_use]
pub fn own_subject(config: &str) -> Option<Arc<Subject>> {
    let subject = Subject::own(config).unwrap_or_else(|error| panic!("{error}"));
    if subject.is_none() {
        println!("skipped: needs a daemon with settings of its own");
    }
    subject
}

/// The log of a daemon of ours once this word is in it.
#[must_use]
pub fn wait_for_log(subject: &Subject, word: &str) -> String {
    let until = Instant::now() + PATIENCE;
    loop {
        let log = subject.log().unwrap_or_default();
        if log.contains(word) {
            return log;
        }
        assert!(Instant::now() < until, "{word:?} is not in the log after {PATIENCE:?}:\n{log}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// A private key whose A has a zero byte in front; one in 256 has.
#[must_use]
pub fn private_key_with_short_a() -> Vec<u8> {
    static FOUND: OnceLock<Vec<u8>> = OnceLock::new();
    let find = || {
        let group = SlowGroup::afp();
        let mut rng = SeededRng::new(1);
        loop {
            let a = rng.bytes::<32>();
            if group.pad(&group.a_pub(&BigUint::from_bytes_be(&a))).first() == Some(&0) {
                return a.to_vec();
            }
        }
    };
    FOUND.get_or_init(find).clone()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    /// A row of `docs/netatalk-differences.md` that no case meets is a claim that nobody checks.
    #[test]
    fn every_difference_has_a_case() {
        let chapters = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
        let cases: String =
            fs::read_dir(chapters).unwrap().map(|file| fs::read_to_string(file.unwrap().path()).unwrap()).collect();
        let keys = super::DIFFERENCES.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` |"));
        let mut rows = 0;
        for (key, _) in keys {
            assert!(
                cases.contains(&format!("\"{key}\"")) || cases.contains(&format!("`{key}`")),
                "no case meets {key}"
            );
            rows += 1;
        }
        assert!(rows > 20, "only {rows} rows found");
    }
}
