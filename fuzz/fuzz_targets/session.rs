//! Any bytes and any time into a whole session. The first byte says whether a user is signed in before they come; then
//! pieces follow: one byte of length, one of seconds that pass first, the bytes.
//!
//! - Nothing is sent after Close, and the session ends once.
//! - Nobody is signed in by the bytes: a proof cannot be guessed.
//! - What is kept of unread bytes stays below the frame limit.
#![no_main]

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use afp_proto::afp::{FpLoginCont, FpLoginExt};
use afp_proto::dsi::{Command, Frame, HEADER_LEN};
use afp_proto::srp::{Challenge, INIT};
use afp_session::{Event, Service, Session, Settings, Want};
use afpd_rs_fuzz::{Proof, REVEAL, run};
use libfuzzer_sys::fuzz_target;
use testkit::rng::SeededRng;

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
        bench.check();
    }
    bench.session.end_of_input(bench.now);
    bench.drain();
    assert!(bench.closed);
    assert_eq!(bench.endings, 1);
});

struct Bench {
    session: Session,
    settings: Arc<Settings>,
    rng: SeededRng,
    now: Duration,
    sent: Vec<u8>,
    closed: bool,
    endings: usize,
}

impl Bench {
    fn new() -> Bench {
        let settings = Arc::new(Settings::default());
        let session = Session::new(settings.clone(), Duration::ZERO);
        let rng = SeededRng::new(2);
        Bench { session, settings, rng, now: Duration::ZERO, sent: Vec::new(), closed: false, endings: 0 }
    }

    /// All that is whole has been read.
    fn check(&self) {
        let payload = if self.session.is_signed_in() {
            self.settings.request_quantum + 64
        } else {
            self.settings.login_frame_limit
        };
        assert!(self.closed || self.session.buffered() < HEADER_LEN + payload as usize);
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
        let message = Proof::of(&challenge.salt, &challenge.b_pub).message();
        self.request(Command::COMMAND, FpLoginCont { pad: 0, id: 0, user_auth_info: &message }.encode());
    }

    fn drain(&mut self) {
        while let Some(want) = self.session.poll() {
            assert!(!self.closed, "{want:?} after Close");
            match want {
                Want::Send(bytes) => self.sent.extend_from_slice(&bytes),
                Want::Status => self.session.status(Some(b"server information"[..].into()), self.now),
                Want::Authenticate(job) => self.session.authenticated(run(&REVEAL, job, &mut self.rng), self.now),
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
