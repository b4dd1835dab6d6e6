//! What both targets for sessions log in with: a store with alice and with mallory, who is disabled, and alice's right proofs.
//!
//! Everything is drawn from seeds, so that a run can be repeated, and so that a challenge comes again in the next run: the client's
//! exponentiations are done once for each, which is most of what a login would cost here.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock, Mutex};
use std::time::SystemTime;

use afp_proto::WidePascal;
use afp_proto::srp::ClientProof;
use srp_uam::{Authenticator, DecoySecret, Job, Outcome, Peer, UnknownUsers};
use srp6a::{Client, Group, Profile, formulas};
use testkit::rng::SeededRng;
use verifier_store::{Format, NewAccount, Store};

const PASSWORD: &[u8] = b"secret";

static STORE: LazyLock<Arc<Store>> = LazyLock::new(|| {
    let directory = tempfile::tempdir().expect("a temporary directory").keep();
    let store = Store::create(Format::Native, &directory.join("accounts")).expect("a new store");
    let mut rng = SeededRng::new(1);
    for name in ["alice", "mallory"] {
        let account = NewAccount { name, full_name: None, group: Group::Bits1536, password: PASSWORD };
        store.add(&account, &mut rng).expect("an account");
    }
    store.disable("mallory").expect("disabled");
    Arc::new(store)
});

/// Tells who is unknown.
pub static REVEAL: LazyLock<Authenticator> = LazyLock::new(|| Authenticator::new(STORE.clone(), UnknownUsers::Reveal));

/// Makes challenges up for the unknown.
pub static DECOY: LazyLock<Authenticator> =
    LazyLock::new(|| Authenticator::new(STORE.clone(), UnknownUsers::Decoy(DecoySecret::from_bytes([9; 32]))));

/// The A of every proof.
pub static A_PUB: LazyLock<Vec<u8>> = LazyLock::new(|| client().a_pub().to_vec());

static PROOFS: LazyLock<Mutex<HashMap<Vec<u8>, Proof>>> = LazyLock::new(Mutex::default);

/// What alice sends, and what she expects to be sent.
#[derive(Clone)]
pub struct Proof {
    pub m1: Vec<u8>,
    pub m2: Vec<u8>,
}

impl Proof {
    /// Alice's for this challenge.
    pub fn of(salt: &[u8], b_pub: &[u8]) -> Proof {
        let compute = || {
            let proof = client().prove(b"alice", PASSWORD, salt, b_pub).expect("an honest challenge");
            let m1 = proof.m1().to_vec();
            let m2 = formulas::m2(&Profile::AFP, Group::Bits1536, &A_PUB, &m1, proof.session_key());
            Proof { m1, m2 }
        };
        PROOFS.lock().expect("nobody panics with it").entry(b_pub.to_vec()).or_insert_with(compute).clone()
    }

    /// As UserAuthInfo of FPLoginCont.
    pub fn message(&self) -> Vec<u8> {
        ClientProof { a_pub: WidePascal::cut(&A_PUB), m1: WidePascal::cut(&self.m1) }.encode()
    }
}

/// Does a session's job.
pub fn run(authenticator: &Authenticator, job: Job, rng: &mut SeededRng) -> Outcome {
    let peer = Peer::unknown(SystemTime::UNIX_EPOCH);
    match job {
        Job::Begin(begin) => authenticator.begin(begin, &peer, rng).map_or_else(Outcome::Rejected, Outcome::Challenge),
        Job::Prove(prove) => authenticator.prove(*prove, &peer).map_or_else(Outcome::Rejected, Outcome::Authenticated),
    }
}

fn client() -> Client {
    Client::dangerous_with_private_key(&Profile::AFP, Group::Bits1536, &[0x5a; 32])
}
