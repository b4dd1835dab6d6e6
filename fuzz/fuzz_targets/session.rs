//! Any bytes and any time into a whole session. The first byte says whether a user is signed in before they come; then
//! pieces follow: one byte of length, one of seconds that pass first, the bytes.
//!
//! - Nothing is sent after Close, and the session ends once.
//! - Nobody is signed in by the bytes: a proof cannot be guessed.
//! - What is kept of unread bytes stays below the frame limit.
#![no_main]

use std::sync::{Arc, LazyLock};
use std::time::{Duration, SystemTime};

use afp_proto::WidePascal;
use afp_proto::afp::{FpLoginCont, FpLoginExt};
use afp_proto::dsi::{Command, Frame};
use afp_proto::srp::{Challenge, ClientProof, INIT};
use afp_session::{Event, Service, Session, Settings, Want};
use libfuzzer_sys::fuzz_target;
use srp_uam::{Authenticator, UnknownUsers};
use srp6a::{Client, Group, Profile};
use verifier_store::{Format, NewAccount, Store};

static AUTHENTICATOR: LazyLock<Authenticator> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a temporary directory").keep();
    let store = Store::create(Format::Native, &directory.join("accounts")).expect("a new store");
    let account = NewAccount { name: "alice", full_name: None, group: Group::Bits1536, password: b"secret" };
    store.add(&account, &mut getrandom::SysRng).expect("an account");
    Authenticator::new(Arc::new(store), UnknownUsers::Reveal)
});

fuzz_target!(|input: &[u8]| {
    let Some((first, mut rest)) = input.split_first() else { return };
    let mut bench = Bench::new();
    let signed_in = first % 2 == 1;
    if signed_in {
        bench.log_in();
        assert!(bench.session.is_signed_in());
    }
    while let Some(([length, seconds], behind)) = rest.split_first_chunk() {
        let (piece, behind) = behind.split_at(usize::from(*length).min(behind.len()));
        rest = behind;
        bench.now += Duration::from_secs(u64::from(*seconds));
        bench.session.tick(bench.now);
        bench.drain();
        bench.session.receive(piece, bench.now);
        bench.drain();
        assert!(signed_in || !bench.session.is_signed_in());
    }
    bench.session.end_of_input(bench.now);
    bench.drain();
    assert!(bench.closed);
    assert_eq!(bench.endings, 1);
});

struct Bench {
    session: Session,
    now: Duration,
    sent: Vec<u8>,
    closed: bool,
    endings: usize,
}

impl Bench {
    fn new() -> Bench {
        let session = Session::new(Arc::new(Settings::default()), Duration::ZERO);
        Bench { session, now: Duration::ZERO, sent: Vec::new(), closed: false, endings: 0 }
    }

    fn request(&mut self, command: Command, payload: Vec<u8>) {
        self.sent.clear();
        self.session.receive(&Frame::request(command, 0, payload).encode(), self.now);
        self.drain();
    }

    fn log_in(&mut self) {
        self.request(Command::OPEN_SESSION, Vec::new());
        let name = b"alice".into();
        self.request(Command::COMMAND, FpLoginExt::new(b"AFP3.4".into(), b"SRP".into(), name, &INIT).encode());
        let challenge = self.sent.split_off(16);
        let challenge = Challenge::decode(&challenge).expect("a challenge");
        let client = Client::dangerous_with_private_key(&Profile::AFP, Group::Bits1536, &[0x5a; 32]);
        let a_pub = client.a_pub().to_vec();
        let proof = client.prove(b"alice", b"secret", &challenge.salt, &challenge.b_pub).expect("an honest challenge");
        let message = ClientProof { a_pub: WidePascal::cut(&a_pub), m1: WidePascal::cut(proof.m1()) }.encode();
        self.request(Command::COMMAND, FpLoginCont { pad: 0, id: 0, user_auth_info: &message }.encode());
    }

    fn drain(&mut self) {
        while let Some(want) = self.session.poll() {
            assert!(!self.closed, "{want:?} after Close");
            match want {
                Want::Send(bytes) => self.sent.extend_from_slice(&bytes),
                Want::Status => self.session.status(Some(b"server information"[..].into()), self.now),
                Want::Authenticate(job) => self.session.authenticated(AUTHENTICATOR.run(job), self.now),
                Want::Serve { account, call } => {
                    let reply = Service::default().answer(&account, &call, SystemTime::UNIX_EPOCH, || Some([0; 16]));
                    self.session.served(reply, self.now);
                }
                Want::Event(Event::Ended(_)) => self.endings += 1,
                Want::Event(_) | Want::WakeAt(_) => {}
                Want::Close => self.closed = true,
            }
        }
    }
}
