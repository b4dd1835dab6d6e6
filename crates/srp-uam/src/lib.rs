//! The "SRP" user authentication method (UAM): the two-round exchange between FPLoginExt and FPLoginCont, and its policies.
//!
//! This crate joins three others: messages come from [`afp_proto::srp`], the mathematics from [`srp6a`], the records
//! from [`verifier_store`]. It knows nothing of sockets, DSI or timers; the daemon and the Netatalk module both stand on it.
//! Its facts are those of the specification ("AFP SRP User Authentication Method"), referred to below as *the specification*.
//!
//! # The exchange
//!
//! ```text
//! client                                   server
//!   FPLoginExt  login name, 0001      ->   Begin::from_login_ext  checks the message
//!                                          Authenticator::begin  finds the record, draws b, computes B
//!   -5001, group, N, g, salt, B       <-   Challenge             holds the reply and the AwaitProof
//!   FPLoginCont 0003, A, M1           ->   AwaitProof::proof     checks the message, consumes the challenge
//!                                          Authenticator::prove  computes S and K, compares M1
//!   0, 0004, M2                       <-   Authenticated
//! ```
//!
//! Every step consumes the value of the one before. A challenge answers **one** proof; dropping an [`AwaitProof`] wipes
//! its private key; an [`Authenticated`] can be made by a verified proof only.
//!
//! # What a refused client is told
//!
//! [`Rejected::answer`] is the only place that decides it.
//!
//! | refusal | result | payload |
//! |---|---|---|
//! | FPLoginExt's UserAuthInfo is not `0001` | -5019 kFPParamErr | none |
//! | login name unknown, account disabled, record or store unusable | -5023 kFPUserNotAuth | `0001` |
//! | FPLoginCont malformed, A out of range, A mod N = 0, u = 0 | -5023 kFPUserNotAuth | none |
//! | proof wrong, or not compared because there were too many failures | -6754 | none |
//! | the system has no randomness to give, or a bug | -5014 kFPMiscErr | none |
//!
//! # Unknown login names
//!
//! By default the second row is what the specification shows: the answer tells who exists. With
//! [`UnknownUsers::Decoy`] such names get a challenge like everybody else, its salt and verifier an HMAC of the name under a
//! secret of this server (RFC 5054 section 2.5.1.3), and every proof for it is wrong. See [`DecoySecret`].
//!
//! # Attempts
//!
//! With [`Authenticator::counting`] every attempt is counted before its proof is compared, and too many are refused:
//! [`attempts`] says when, and why it shows neither in the answer nor in the time it takes.
#![forbid(unsafe_code)]

pub mod attempts;
mod decoy;
mod rejected;
#[cfg(feature = "settings")]
pub mod settings;

use std::sync::Arc;
use std::time::SystemTime;

use afp_proto::afp::{FpLogin, FpLoginExt};
use afp_proto::{WidePascal, srp};
use rand_core::TryCryptoRng;
use srp6a::{Profile, Server, SessionKey};
use verifier_store::tally;
use verifier_store::{LoginRecord, Lookup, Store, StoreError};

pub use srp6a::ProofForm;

use crate::attempts::Verdict;
pub use crate::attempts::{AttemptPolicy, Attempts, Peer, Refusal};
pub use crate::decoy::DecoySecret;
pub use crate::rejected::{NoRecord, Rejected};

/// The name under which the method is advertised and requested, 3 bytes, compared exactly.
pub const NAME: &[u8] = b"SRP";

/// What a client is told whose login name leads to no usable record.
#[derive(Debug)]
pub enum UnknownUsers {
    /// -5023 with `0001` in round 1, as the specification has it.
    Reveal,
    /// A challenge made up from the name, and -6754 in round 2.
    Decoy(DecoySecret),
}

/// Finds records and does the arithmetic. One for the whole program; shared by reference between threads.
///
/// [`run_for`](Authenticator::run_for), [`begin`](Authenticator::begin) and [`prove`](Authenticator::prove) block for the time
/// of some modular exponentiations and of reading the store: call them from a thread that may.
#[derive(Debug)]
pub struct Authenticator {
    store: Result<Arc<Store>, Arc<StoreError>>,
    unknown_users: UnknownUsers,
    attempts: Option<Arc<Attempts>>,
}

/// One of the two computations, to be carried to a thread that may block.
#[derive(Debug)]
pub enum Job {
    /// Round 1.
    Begin(Begin),
    /// Round 2.
    Prove(Box<Prove>),
}

/// What came of a [`Job`].
#[derive(Debug)]
pub enum Outcome {
    /// Round 1 went well: send the challenge, keep its [`AwaitProof`].
    Challenge(Challenge),
    /// Round 2 went well.
    Authenticated(Authenticated),
    /// Either round ended the exchange.
    Rejected(Rejected),
}

/// Round 1, checked: a login name that asks for a challenge.
#[derive(Debug)]
pub struct Begin {
    login_name: Vec<u8>,
    /// Why this name is not let in, whatever the store says of it.
    barred: Option<NoRecord>,
}

/// The reply to round 1 and the state that waits for round 2.
#[derive(Debug)]
pub struct Challenge {
    /// The payload that goes with -5001 kFPAuthContinue: 413 bytes in the 1536-bit group.
    pub reply: Vec<u8>,
    /// Waits for the proof.
    pub await_proof: Box<AwaitProof>,
}

/// A challenge that has been sent. Owns the account it is for, the private key b and B; good for one proof.
#[derive(Debug)]
pub struct AwaitProof {
    server: Server,
    subject: Subject,
}

/// Round 2, checked: a proof and the challenge it answers.
#[derive(Debug)]
pub struct Prove {
    await_proof: AwaitProof,
    a_pub: Vec<u8>,
    m1: Vec<u8>,
}

/// The account a verified proof stands for. There is no other way to make one.
#[derive(Debug)]
pub struct Authenticated {
    account: String,
    login_name: Vec<u8>,
    reply: Vec<u8>,
    form: ProofForm,
    session_key: SessionKey,
}

/// Whom a challenge is for.
#[derive(Debug)]
enum Subject {
    Account {
        account: String,
        login_name: Vec<u8>,
    },
    Decoy {
        why: NoRecord,
        /// Which of the tallies of nobody's names it has.
        tally: u8,
    },
}

/// Builds the engine's table for the 1536-bit group now rather than at the first login: for a program that forks per connection, so
/// that its children share the one of the parent.
pub fn prepare() {
    srp6a::prepare(srp6a::Group::Bits1536);
}

impl Authenticator {
    /// An authenticator over `store`.
    #[must_use]
    pub fn new(store: Arc<Store>, unknown_users: UnknownUsers) -> Self {
        Self { store: Ok(store), unknown_users, attempts: None }
    }

    /// An authenticator whose store cannot be opened so far. It lets nobody in, by the same rules.
    #[must_use]
    pub fn without_store(why: StoreError, unknown_users: UnknownUsers) -> Self {
        Self { store: Err(Arc::new(why)), unknown_users, attempts: None }
    }

    /// The same, with attempts counted and limited. Without it there is no limit: for tests, and where something else counts.
    #[must_use]
    pub fn counting(self, attempts: impl Into<Arc<Attempts>>) -> Self {
        Self { attempts: Some(attempts.into()), ..self }
    }

    /// The store that it reads, if it has one.
    #[must_use]
    pub fn store(&self) -> Option<&Arc<Store>> {
        self.store.as_ref().ok()
    }

    /// Does `job` for `peer` with randomness from the operating system.
    #[must_use]
    pub fn run_for(&self, job: Job, peer: &Peer) -> Outcome {
        match job {
            Job::Begin(begin) => match self.begin(begin, peer, &mut getrandom::SysRng) {
                Ok(challenge) => Outcome::Challenge(challenge),
                Err(rejected) => Outcome::Rejected(rejected),
            },
            Job::Prove(prove) => match self.prove(*prove, peer) {
                Ok(authenticated) => Outcome::Authenticated(authenticated),
                Err(rejected) => Outcome::Rejected(rejected),
            },
        }
    }

    /// [`run_for`](Authenticator::run_for) a peer whose address is not known, now by the system's clock. If attempts are counted, all such
    /// peers count as one network.
    #[must_use]
    pub fn run(&self, job: Job) -> Outcome {
        self.run_for(job, &Peer::unknown(SystemTime::now()))
    }

    /// Round 1: finds the record, computes B, and counts an open challenge.
    ///
    /// # Errors
    /// [`Rejected::NoRecord`] when the name leads to no usable record and unknown users are revealed;
    /// [`Rejected::Randomness`] when `rng` fails.
    pub fn begin<R: TryCryptoRng + ?Sized>(
        &self,
        begin: Begin,
        peer: &Peer,
        rng: &mut R,
    ) -> Result<Challenge, Rejected> {
        let Begin { login_name, barred } = begin;
        // Under "decoy" the made-up record is computed for everybody, so that a known name does not answer sooner or later.
        let decoy = match &self.unknown_users {
            UnknownUsers::Reveal => None,
            UnknownUsers::Decoy(secret) => Some((secret.record(&login_name)?, secret.tally(&login_name))),
        };
        // The store is asked for a barred name too: it would show in the time if it were not.
        let found = self.find(&login_name);
        let found = barred.map_or(found, Err);
        let (record, subject) = match (found, decoy) {
            (Ok(record), _) => {
                let subject = Subject::Account { account: record.account.clone(), login_name: login_name.clone() };
                (record, subject)
            }
            (Err(why), Some((decoy, tally))) => (decoy, Subject::Decoy { why, tally }),
            (Err(why), None) => return Err(Rejected::NoRecord(why)),
        };
        let server = Server::begin(&Profile::AFP, &login_name, &record.salt.0, &record.verifier, rng)
            .map_err(|_| Rejected::Randomness)?;
        if let Some(attempts) = &self.attempts {
            attempts.open(subject.counted(), peer);
        }
        let group = server.group();
        let reply = srp::Challenge {
            context: 0,
            group_index: group.index(),
            modulus: WidePascal::cut(group.modulus()),
            generator: WidePascal::cut(&[group.generator()]),
            salt: WidePascal::cut(&record.salt.0),
            b_pub: WidePascal::cut(server.b_pub()),
        }
        .encode();
        Ok(Challenge { reply, await_proof: Box::new(AwaitProof { server, subject }) })
    }

    /// Round 2: spends the attempt, computes the session key, compares the proof in constant time, and gives the attempt back if it was right.
    ///
    /// # Errors
    /// [`Rejected::Refused`] when A is out of range or u is 0, [`Rejected::WrongProof`] when M1 is not the one that the password gives,
    /// and after the same arithmetic: [`Rejected::TooManyFailures`] where M1 was not compared, and [`Rejected::DecoyProof`] for any
    /// proof to a made-up challenge.
    pub fn prove(&self, prove: Prove, peer: &Peer) -> Result<Authenticated, Rejected> {
        let Prove { await_proof: AwaitProof { server, subject }, a_pub, mut m1 } = prove;
        let verdict = self.attempts.as_ref().map_or(Verdict::Compare, |tally| tally.spend(subject.counted(), peer));
        if let Verdict::Refuse(_) = verdict {
            // From here on a right proof is a wrong one: nothing it is compared with, and no time that takes, can tell.
            m1.fill(0);
        }
        let result = server.finish(&a_pub, &m1);
        match (result, subject, verdict) {
            (Err(srp6a::Refused::WrongProof) | Ok(_), Subject::Decoy { why, .. }, _) => Err(Rejected::DecoyProof(why)),
            (Err(srp6a::Refused::WrongProof) | Ok(_), Subject::Account { account, .. }, Verdict::Refuse(refusal)) => {
                Err(Rejected::TooManyFailures { account, refusal })
            }
            (Ok(verified), Subject::Account { account, login_name }, Verdict::Compare) => {
                if let Some(attempts) = &self.attempts {
                    attempts.give_back(tally::Subject::Account(&account), peer);
                }
                Ok(Authenticated {
                    account,
                    login_name,
                    reply: srp::ServerProof { m2: WidePascal::cut(verified.m2()) }.encode(),
                    form: verified.form(),
                    session_key: verified.session_key().clone(),
                })
            }
            (Err(srp6a::Refused::WrongProof), Subject::Account { account, .. }, Verdict::Compare) => {
                Err(Rejected::WrongProof { account })
            }
            (Err(refused), ..) => Err(Rejected::Refused(refused)),
        }
    }

    fn find(&self, login_name: &[u8]) -> Result<LoginRecord, NoRecord> {
        let store = self.store.as_ref().map_err(|error| NoRecord::Store(Arc::clone(error)))?;
        match store.lookup(login_name) {
            Ok(Lookup::Found(record)) => Ok(record),
            Ok(Lookup::Unknown) => Err(NoRecord::Unknown),
            Ok(Lookup::Disabled { account }) => Err(NoRecord::Disabled { account }),
            Ok(Lookup::Unusable { account, reason }) => Err(NoRecord::Unusable { account, reason }),
            Err(error) => Err(NoRecord::Store(Arc::new(error))),
        }
    }
}

impl Subject {
    /// Where its attempts are counted.
    fn counted(&self) -> tally::Subject<'_> {
        match self {
            Self::Account { account, .. } => tally::Subject::Account(account),
            Self::Decoy { tally, .. } => tally::Subject::Decoy(*tally),
        }
    }
}

impl Begin {
    /// Round 1 from an FPLoginExt whose UAM is "SRP": its UserAuthInfo must be `0001` with or without the pad byte, or nothing.
    ///
    /// # Errors
    /// [`Rejected::InitMalformed`] for anything else.
    pub fn from_login_ext(call: &FpLoginExt<'_>) -> Result<Self, Rejected> {
        call.srp_init().map_err(Rejected::InitMalformed)?;
        Ok(Self::new(call.user_name.to_vec()))
    }

    /// Round 1 from an FPLogin whose UAM is "SRP": the UserAuthInfo is the user name behind its length, then the same.
    ///
    /// # Errors
    /// [`Rejected::InitMalformed`] for anything else.
    pub fn from_login(call: &FpLogin<'_>) -> Result<Self, Rejected> {
        let init = srp::LoginInit::decode(call.user_auth_info).map_err(Rejected::InitMalformed)?;
        Ok(Self::new(init.user_name.to_vec()))
    }

    /// Round 1 for a caller that gets the call in parts and has checked them itself (Netatalk hands its modules the name and what is
    /// left of UserAuthInfo).
    #[must_use]
    pub fn new(login_name: Vec<u8>) -> Self {
        Self { login_name, barred: None }
    }

    /// The same login name, not let in for a reason of the caller's. The client is told what one without a record is told.
    #[must_use]
    pub fn barred(self, reason: String) -> Self {
        Self { barred: Some(NoRecord::Barred { reason }), ..self }
    }

    /// The login name, 1 to 255 bytes as the client sent them.
    #[must_use]
    pub fn login_name(&self) -> &[u8] {
        &self.login_name
    }
}

impl AwaitProof {
    /// Checks round 2's UserAuthInfo (what follows the ID in FPLoginCont) and uses the challenge up, whether it is good or not.
    ///
    /// # Errors
    /// [`Rejected::ProofMalformed`] for a wrong step, wrong lengths, or more than one trailing pad byte.
    pub fn proof(self: Box<Self>, user_auth_info: &[u8]) -> Result<Prove, Rejected> {
        let proof = srp::ClientProof::decode(user_auth_info).map_err(Rejected::ProofMalformed)?;
        Ok(Prove { await_proof: *self, a_pub: proof.a_pub.to_vec(), m1: proof.m1.to_vec() })
    }
}

impl Authenticated {
    /// The account whose password was proven.
    #[must_use]
    pub fn account(&self) -> &str {
        &self.account
    }

    /// The login name as the client typed it: one of the account's.
    #[must_use]
    pub fn login_name(&self) -> &[u8] {
        &self.login_name
    }

    /// The payload that goes with result 0: `0004 0014` and M2, 24 bytes.
    #[must_use]
    pub fn reply(&self) -> &[u8] {
        &self.reply
    }

    /// Which form of A the client hashed: evidence for the specification's open question.
    #[must_use]
    pub fn form(&self) -> ProofForm {
        self.form
    }

    /// The session key K, 40 bytes, wiped when dropped.
    #[must_use]
    pub fn session_key(&self) -> &SessionKey {
        &self.session_key
    }
}
