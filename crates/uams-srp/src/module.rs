//! The logins of one afpd process, over whatever [`Host`] there is.
//!
//! # Names
//! afpd's `uam_getname` finds a system user by name without regard to case, or by full name, and tells the user's real name. An SRP
//! proof is over the name *as typed*, so the two can differ. If the store has a record under the typed name, that one is used.
//! If not, the one under the real name is, as Netatalk does; a client that hashes what was typed then fails whatever the password, and the
//! log says so.
//!
//! # Who is let in
//! A user that the system has, whose shell the host accepts, and who is not root (afpd would refuse root after the proof, which would tell
//! whether the password was right). The user is looked up again at the moment the proof has been found right, by the same name, and must
//! be the one that was asked for in round 1: nothing about a user is kept from one call to the next but name and number.
//!
//! # How often
//! Attempts are counted and limited by [`srp_uam::attempts`], in the tally directory that the daemon counts in too, under the account that the
//! verifier is of. Who is barred here is counted like a name that nobody has. A right proof of a user who has changed or gone since the
//! challenge is a success to the tally: there was nothing left to guess.
//!
//! Each connection is a process. What it knows of the tally while the disk takes nothing is in memory that all of them share, made in the
//! parent.
//!
//! # One exchange at a time
//! There is one slot. Every login call empties it first, every FPLoginCont takes what is in it. After a success the verifiers of all users are
//! wiped from this process, which goes on with the rights of one of them, the shared memory is closed in it, and further login calls are refused until `logout`.

use std::ffi::CString;
use std::fs::DirBuilder;
use std::mem;
use std::net::IpAddr;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use afp_proto::afp::FpLogin;
use afp_proto::{Pascal, ResultCode, srp};
use srp_uam::settings::DEFAULT_STATE;
use srp_uam::{
    AttemptPolicy, Attempts, Authenticator, AwaitProof, Begin, DecoySecret, Job, NoRecord, Outcome, Peer, ProofForm,
    Rejected, UnknownUsers,
};
use verifier_store::tally::{Tally, TallyError};
use verifier_store::{Format, Lookup, Store, StoreError, Users};

use crate::settings::{Settings, SettingsError};

/// What the module needs of the server it lives in.
pub(crate) trait Host {
    /// How the host wants to be told who has logged in.
    type User: Copy;

    /// Where the verifiers are: a file (Netatalk 4.5) or a directory (4.6).
    fn verifier_path(&self) -> Option<PathBuf>;

    /// Where the client of this process is.
    fn client_address(&self) -> Option<IpAddr>;

    /// The system user meant by this name; the host may be generous about case and take a full name. What is returned is good
    /// until the next call.
    fn find_user(&self, name: &CString) -> Option<SystemUser<Self::User>>;

    /// User ids by exact name.
    fn users(&self) -> Arc<dyn Users>;

    /// Tells the host the name of the user who has logged in.
    fn set_user_name(&self, name: &[u8]);

    /// Writes a line to the host's log.
    fn log(&self, level: Level, line: &str);
}

/// How much a log line matters; the names are Netatalk's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    Error,
    Warning,
    Note,
    Info,
    Debug,
}

/// A user as the host knows it.
#[derive(Clone, Debug)]
pub(crate) struct SystemUser<U> {
    pub(crate) handle: U,
    /// The real name.
    pub(crate) name: Vec<u8>,
    pub(crate) uid: u32,
    /// Whether the host accepts the user's shell.
    pub(crate) has_shell: bool,
}

/// What the host is to answer.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Answer<U> {
    pub(crate) result: ResultCode,
    pub(crate) payload: Vec<u8>,
    /// With result 0: who has logged in.
    pub(crate) user: Option<U>,
}

/// Why the module cannot be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SetupError {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    #[error("{0}: without it, failed logins could be counted for each connection alone")]
    Memory(TallyError),
}

/// The module, as loaded.
pub(crate) struct Module {
    /// The store, once it could be opened. Empty in a process where somebody has logged in.
    authenticator: Option<Authenticator>,
    decoy: Option<DecoySecret>,
    /// Empty in a process where somebody has logged in.
    attempts: Option<Arc<Attempts>>,
    tally: PathBuf,
    policy: AttemptPolicy,
    /// What `attempts` has to say, to be logged when there is a host again.
    told: Arc<Mutex<Vec<String>>>,
    /// The log has been told that the client's address is not known.
    told_of_no_address: bool,
    state: State,
}

enum State {
    /// Waits for a login call.
    Idle,
    /// Has sent a challenge.
    AwaitProof(Pending),
    /// Somebody has logged in.
    SignedIn,
}

/// The exchange between the two rounds.
struct Pending {
    await_proof: Box<AwaitProof>,
    /// The login name as the client sent it.
    typed: Vec<u8>,
    /// Real name and number of the user asked for; none behind a made-up challenge.
    user: Option<(Vec<u8>, u32)>,
    /// The typed name is not the one the verifier is over.
    renamed: bool,
    /// Where the client is.
    address: Option<IpAddr>,
}

impl Module {
    /// Reads the settings, makes what all children will share, and says in the log which module this is.
    ///
    /// # Errors
    /// Settings that are there but wrong. A store that cannot be opened is no error: it is tried again at each login.
    pub(crate) fn set_up<H: Host>(host: &H, config: Option<PathBuf>) -> Result<Module, SetupError> {
        let path = host.verifier_path();
        let Settings { decoy, attempts, source } = Settings::read(config, path.as_deref().and_then(Path::parent))?;
        srp_uam::prepare();
        let state = Path::new(DEFAULT_STATE);
        let (tally, policy) = (attempts.path(state), attempts.policy());
        let (told, told_of_no_address) = (Arc::default(), false);
        let mut module = Module {
            authenticator: None,
            decoy,
            attempts: None,
            tally,
            policy,
            told,
            told_of_no_address,
            state: State::Idle,
        };

        let opened = open_store(host);
        let store = match &opened {
            Ok(store) => format!("{} {}", store.format(), shown(store.path())),
            Err(_) => format!("no verifier store at {}", shown(&path.unwrap_or_default())),
        };
        let unknown_users = if module.decoy.is_some() { "decoy" } else { "reveal" };
        let settings = source.map_or("defaults".to_owned(), |source| shown(&source));
        let (version, tally) = (env!("CARGO_PKG_VERSION"), shown(&module.tally));
        let line = format!(
            "{SELF} {version} loaded: {store}; unknown users: {unknown_users}; settings: {settings}; failed logins: {tally}"
        );
        host.log(Level::Note, &line);
        // How long a login may take is afpd's business.
        for doubt in attempts.doubts(Duration::ZERO) {
            host.log(Level::Warning, &format!("{SELF}: {doubt}"));
        }

        let tally = Tally::at(&module.tally).remembering_together().map_err(SetupError::Memory)?;
        if attempts.path.is_none() {
            // The daemon's, which may not be installed here. Whether it can be used is seen next.
            DirBuilder::new().recursive(true).mode(0o700).create(state).ok();
        }
        let mut usable = tally.open();
        if let (Ok(()), Ok(store), true) = (&usable, &opened, module.decoy.is_some()) {
            let accounts = store.accounts().unwrap_or_default();
            usable = tally.prepare(accounts.iter().map(|account| account.name.as_str()));
        }
        if let Err(error) = usable {
            host.log(Level::Error, &format!("{SELF}: failed logins may not be counted: {error}"));
        }
        module.attempts = Some(module.counting_in(tally));
        match opened {
            Ok(store) => {
                log_warnings(host, &store);
                module.authenticator = Some(module.authenticator_over(Ok(store)));
            }
            Err(error) => host.log(Level::Error, &format!("{SELF}: until this is mended nobody can log in: {error}")),
        }
        Ok(module)
    }

    /// Round 1 by FPLoginExt. `name` is the login name; `user_auth_info` what afpd left of UserAuthInfo.
    pub(crate) fn login_ext<H: Host>(&mut self, host: &H, name: &[u8], user_auth_info: &[u8]) -> Answer<H::User> {
        self.forget();
        if name.is_empty() || name.len() > Pascal::MAX {
            return refused(host, b"", "no login name of type 3 with 1 to 255 bytes", PARAM_ERR);
        }
        // A lone 01: afpd has taken the marker's first byte for the pad.
        if user_auth_info != [1]
            && let Err(malformed) = srp::decode_init(user_auth_info)
        {
            return reject(host, name, &Rejected::InitMalformed(malformed));
        }
        self.begin(host, name)
    }

    /// Round 1 by FPLogin.
    pub(crate) fn login<H: Host>(&mut self, host: &H, user_auth_info: &[u8]) -> Answer<H::User> {
        self.forget();
        let (version, uam) = (Pascal::cut(b""), Pascal::cut(srp_uam::NAME));
        match Begin::from_login(&FpLogin { version, uam, user_auth_info }) {
            Ok(begin) => self.begin(host, begin.login_name()),
            Err(rejected) => reject(host, b"", &rejected),
        }
    }

    /// Round 2. `input` is the ID and UserAuthInfo.
    pub(crate) fn login_cont<H: Host>(&mut self, host: &H, input: &[u8]) -> Answer<H::User> {
        let pending = match mem::replace(&mut self.state, State::Idle) {
            State::AwaitProof(pending) => pending,
            State::Idle => return refused(host, b"", "FPLoginCont without a challenge", NOT_AUTH),
            State::SignedIn => {
                self.state = State::SignedIn;
                return refused(host, b"", "FPLoginCont after login", NOT_AUTH);
            }
        };
        let Pending { await_proof, typed, user, renamed, address } = pending;
        // The ID is not looked at: the known clients send 0 whatever they were given.
        let outcome = await_proof.proof(input.get(2..).unwrap_or_default()).map(|prove| Job::Prove(Box::new(prove)));
        let outcome = outcome.map_or_else(Outcome::Rejected, |job| self.run(host, job, address));
        let (authenticated, (real_name, uid)) = match (outcome, user) {
            (Outcome::Authenticated(authenticated), Some(user)) => (authenticated, user),
            (Outcome::Rejected(Rejected::WrongProof { account }), _) if renamed => {
                let (typed_shown, account_shown) = (quoted(&typed), quoted(account.as_bytes()));
                let reason = format!(
                    "wrong proof; {typed_shown} was typed, but the verifier is over {account_shown}: a client that hashes the name as typed \
                     fails with every password; log in as {account_shown}"
                );
                return refused(host, &typed, &reason, (ResultCode::SRP_PROOF_FAILED, &[]));
            }
            (Outcome::Rejected(rejected), _) => return reject(host, &typed, &rejected),
            (Outcome::Authenticated(_) | Outcome::Challenge(_), _) => return reject(host, &typed, &Rejected::Internal),
        };
        let found = c_string(&typed).and_then(|name| host.find_user(&name));
        let Some(user) = found.filter(|user| user.has_shell && user.name == real_name && user.uid == uid) else {
            let reason = "the proof is right, but the user has changed or gone since the challenge";
            return refused(host, &typed, reason, NOT_AUTH);
        };
        host.set_user_name(&user.name);
        let form = match authenticated.form() {
            ProofForm::Strip => "strip",
            ProofForm::AsReceived => "as-received",
            ProofForm::Pad => "pad",
        };
        let (name, account) = (quoted(&typed), quoted(&user.name));
        let line = format!(
            "login name={name} uam=\"SRP\" outcome=\"signed-in\" reason=\"proof verified\" account={account} form={form:?} result=0"
        );
        host.log(Level::Info, &line);
        (self.authenticator, self.attempts) = (None, None);
        self.state = State::SignedIn;
        Answer { result: ResultCode::NO_ERR, payload: authenticated.reply().to_vec(), user: Some(user.handle) }
    }

    /// The session is over.
    pub(crate) fn logout(&mut self) {
        self.state = State::Idle;
    }

    /// Drops the exchange that waits for its proof, if there is one; its private key is wiped.
    pub(crate) fn forget(&mut self) {
        if !matches!(self.state, State::SignedIn) {
            self.state = State::Idle;
        }
    }

    fn begin<H: Host>(&mut self, host: &H, typed: &[u8]) -> Answer<H::User> {
        if matches!(self.state, State::SignedIn) {
            return refused(host, typed, "somebody has logged in already", (ResultCode::USER_NOT_AUTH, &srp::INIT));
        }
        #[cfg(feature = "fault-injection")]
        #[expect(clippy::panic, reason = "what the feature is for")]
        if typed == b"panic please" {
            panic!("as asked");
        }
        // Before anything else is asked of afpd: looking for a user may open connections to others.
        let address = host.client_address();
        if address.is_none() && !mem::replace(&mut self.told_of_no_address, true) {
            let line = "the client's address cannot be found out; failed logins of all such clients count as those of one address";
            host.log(Level::Warning, &format!("{SELF}: {line}"));
        }
        // No system user has a zero byte in its name.
        let found = c_string(typed).and_then(|name| host.find_user(&name));
        let (user, barred) = match found {
            None => (None, Some("the system has no such user")),
            Some(SystemUser { uid: 0, .. }) => (None, Some("root does not log in over AFP")),
            Some(SystemUser { has_shell: false, .. }) => (None, Some("the user's shell is not one of /etc/shells")),
            Some(user) => (Some((user.name, user.uid)), None),
        };
        let name = match &user {
            Some((real_name, _)) if real_name != typed && !self.has_record(host, typed) => real_name.clone(),
            _ => typed.to_vec(),
        };
        let renamed = name != typed;
        let begin = Begin::new(name);
        let begin = match barred {
            Some(why) => begin.barred(why.to_owned()),
            None => begin,
        };
        match self.run(host, Job::Begin(begin), address) {
            Outcome::Challenge(challenge) => {
                host.log(Level::Debug, &format!("login name={} uam=\"SRP\" challenged", quoted(typed)));
                let await_proof = challenge.await_proof;
                self.state = State::AwaitProof(Pending { await_proof, typed: typed.to_vec(), user, renamed, address });
                Answer { result: ResultCode::AUTH_CONTINUE, payload: challenge.reply, user: None }
            }
            Outcome::Rejected(rejected) => reject(host, typed, &rejected),
            Outcome::Authenticated(_) => reject(host, typed, &Rejected::Internal),
        }
    }

    fn run<H: Host>(&mut self, host: &H, job: Job, address: Option<IpAddr>) -> Outcome {
        let now = SystemTime::now();
        let peer = address.map_or_else(|| Peer::unknown(now), |address| Peer::new(address, now));
        let outcome = self.with_authenticator(host, |authenticator| authenticator.run_for(job, &peer));
        for line in mem::take(&mut *self.told.lock().unwrap_or_else(PoisonError::into_inner)) {
            host.log(Level::Error, &format!("{SELF}: {line}"));
        }
        outcome
    }

    /// Whether the store knows anything under this very name.
    fn has_record<H: Host>(&mut self, host: &H, name: &[u8]) -> bool {
        self.with_authenticator(host, |authenticator| {
            let lookup = authenticator.store().map(|store| store.lookup(name));
            matches!(lookup, Some(Ok(Lookup::Found(_) | Lookup::Disabled { .. } | Lookup::Unusable { .. })))
        })
    }

    /// A store that could be opened is kept; one that could not is tried again each time.
    fn with_authenticator<H: Host, T>(&mut self, host: &H, work: impl FnOnce(&Authenticator) -> T) -> T {
        let authenticator = self.authenticator.take().unwrap_or_else(|| self.authenticator_over(open_store(host)));
        let result = work(&authenticator);
        self.authenticator = Some(authenticator).filter(|authenticator| authenticator.store().is_some());
        result
    }

    fn authenticator_over(&self, store: Result<Store, StoreError>) -> Authenticator {
        let authenticator = match store {
            Ok(store) => Authenticator::new(Arc::new(store), self.unknown_users()),
            Err(error) => Authenticator::without_store(error, self.unknown_users()),
        };
        // None is left where somebody has logged in and out again: this process has shared memory no more.
        let attempts = self.attempts.clone().unwrap_or_else(|| self.counting_in(Tally::at(&self.tally)));
        authenticator.counting(attempts)
    }

    fn counting_in(&self, tally: Tally) -> Arc<Attempts> {
        let told = Arc::clone(&self.told);
        let tell = move |line: &str| told.lock().unwrap_or_else(PoisonError::into_inner).push(line.to_owned());
        Arc::new(Attempts::new(tally, self.policy.clone(), Box::new(tell)))
    }

    fn unknown_users(&self) -> UnknownUsers {
        match &self.decoy {
            Some(secret) => UnknownUsers::Decoy(DecoySecret::from_bytes(*secret.as_bytes())),
            None => UnknownUsers::Reveal,
        }
    }
}

type Refusal = (ResultCode, &'static [u8]);
const PARAM_ERR: Refusal = (ResultCode::PARAM_ERR, &[]);
const NOT_AUTH: Refusal = (ResultCode::USER_NOT_AUTH, &[]);

/// What log lines about the module itself begin with: the original says nothing of the kind.
pub(crate) const SELF: &str = "afpd-rs uams_srp";

/// So many warnings of the store are written out; the rest are counted.
const WARNINGS: usize = 10;

fn open_store<H: Host>(host: &H) -> Result<Store, StoreError> {
    let path = host.verifier_path().ok_or_else(|| StoreError::Missing { path: "`srp passwd file`, not set".into() })?;
    let format = if path.is_dir() { Format::NetatalkDirectory } else { Format::NetatalkFile };
    Store::open_with_users(format, &path, host.users())
}

fn log_warnings<H: Host>(host: &H, store: &Store) {
    let warnings = store.warnings().unwrap_or_default();
    for warning in warnings.iter().take(WARNINGS) {
        host.log(Level::Warning, &format!("{SELF}: {warning}"));
    }
    if let Some(more @ 1..) = warnings.len().checked_sub(WARNINGS) {
        host.log(Level::Warning, &format!("{SELF}: {more} more records cannot be used"));
    }
}

/// The end of an exchange that [`srp_uam`] has ended.
fn reject<H: Host>(host: &H, typed: &[u8], rejected: &Rejected) -> Answer<H::User> {
    let (result, payload) = rejected.answer();
    let level = match rejected {
        Rejected::Internal
        | Rejected::Randomness
        | Rejected::NoRecord(NoRecord::Store(_) | NoRecord::Unusable { .. })
        | Rejected::DecoyProof(NoRecord::Store(_) | NoRecord::Unusable { .. }) => Level::Error,
        _ => Level::Note,
    };
    log_refusal(host, level, typed, &rejected.to_string(), result);
    Answer { result, payload: payload.to_vec(), user: None }
}

/// The end of an exchange that this module has ended.
fn refused<H: Host>(host: &H, typed: &[u8], reason: &str, (result, payload): Refusal) -> Answer<H::User> {
    log_refusal(host, Level::Note, typed, reason, result);
    Answer { result, payload: payload.to_vec(), user: None }
}

fn log_refusal<H: Host>(host: &H, level: Level, typed: &[u8], reason: &str, result: ResultCode) {
    let (name, result) = (quoted(typed), result.0);
    let line = format!("login name={name} uam=\"SRP\" outcome=\"refused\" reason={reason:?} result={result}");
    host.log(level, &line);
}

/// As C wants it; none if there is a zero byte in it.
fn c_string(name: &[u8]) -> Option<CString> {
    CString::new(name).ok()
}

fn shown(path: &Path) -> String {
    quoted(path.as_os_str().as_encoded_bytes())
}

/// The bytes between quotes; text is shown as such, everything unprintable escaped.
fn quoted(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => format!("{text:?}"),
        Err(_) => format!("\"{}\"", bytes.escape_ascii()),
    }
}

#[cfg(test)]
#[path = "module_tests.rs"]
mod tests;
