//! How many attempts there may be: the policy under a clock that moves when told, and the exchange with a tally on disk.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a broken expectation should stop the test"
)]

use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, UNIX_EPOCH};
use std::{env, fs, process};

use afp_proto::ResultCode;
use srp_uam::attempts::Verdict;
use srp_uam::{
    AttemptPolicy, Attempts, Authenticated, Authenticator, Begin, Challenge, DecoySecret, NoRecord, Peer, Refusal,
    Rejected, UnknownUsers,
};
use srp6a::Group;
use tempfile::TempDir;
use testkit::client::LoginCont;
use testkit::rng::SeededRng;
use testkit::slow_srp::{AForm, AfpClientExchange};
use verifier_store::tally::{AccountTally, Network, Tally};
use verifier_store::{Format, NewAccount, Store};

const START: u64 = 1_800_000_000;
const MINUTE: u64 = 60;
const HOUR: u64 = 3600;
const DAY: u64 = 86_400;
const PASSWORD: &[u8] = b"oc34thA2";

/// One account's tally and a clock.
struct Desk {
    policy: AttemptPolicy,
    tally: AccountTally,
    now: u64,
}

impl Desk {
    fn new(policy: AttemptPolicy) -> Desk {
        Desk { policy, tally: AccountTally::default(), now: START }
    }

    fn passes(&mut self, seconds: u64) -> &mut Desk {
        self.now += seconds;
        self
    }

    fn opens(&mut self, from: &str) {
        self.tally.set_clock(self.now);
        self.policy.open(&mut self.tally, network(from), self.now);
    }

    fn spends(&mut self, from: &str) -> Verdict {
        self.tally.set_clock(self.now);
        self.policy.spend(&mut self.tally, network(from), self.now)
    }

    /// Both rounds, the password wrong: for how long it was refused, if it was.
    fn fails(&mut self, from: &str) -> Option<u64> {
        self.opens(from);
        match self.spends(from) {
            Verdict::Compare => None,
            Verdict::Refuse(Refusal::Network { seconds }) => Some(seconds),
            Verdict::Refuse(other) => panic!("{other}"),
        }
    }

    /// Both rounds, the password right.
    fn signs_in(&mut self, from: &str) -> Result<(), Refusal> {
        self.opens(from);
        match self.spends(from) {
            Verdict::Compare => {
                self.policy.give_back(&mut self.tally, network(from), self.now);
                Ok(())
            }
            Verdict::Refuse(refusal) => Err(refusal),
        }
    }
}

fn network(address: &str) -> Network {
    Network::of(address.parse().unwrap())
}

const HOME: &str = "192.0.2.7";
const CAFE: &str = "198.51.100.9";

#[test]
fn five_failures_and_then_a_minute_doubling_to_a_day() {
    let mut desk = Desk::new(AttemptPolicy::default());
    for _ in 0..5 {
        assert_eq!(desk.fails(HOME), None);
    }
    let mut waits = Vec::new();
    for _ in 0..14 {
        let wait = desk.fails(HOME).unwrap();
        waits.push(wait);
        // Trying again and again changes nothing, a second before the end neither.
        assert_eq!(desk.fails(HOME), Some(wait));
        assert_eq!(desk.passes(wait - 1).fails(HOME), Some(1));
        assert_eq!(desk.signs_in(HOME), Err(Refusal::Network { seconds: 1 }), "not even the right password");
        // One attempt each time.
        assert_eq!(desk.passes(1).fails(HOME), None);
    }
    let minutes = [1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024, 1440, 1440, 1440].map(|minutes| minutes * MINUTE);
    assert_eq!(waits, minutes);
}

#[test]
fn every_network_for_itself() {
    let mut desk = Desk::new(AttemptPolicy::default());
    for _ in 0..5 {
        desk.fails("2001:db8:1:2::1");
    }
    assert!(desk.fails("2001:db8:1:2:ffff::9").is_some(), "the same /64");
    assert_eq!(desk.fails("2001:db8:1:3::1"), None);
    assert_eq!(desk.fails(HOME), None);
    assert_eq!(desk.signs_in(CAFE), Ok(()));
    assert!(desk.fails("2001:db8:1:2::1").is_some(), "somebody else's success changes nothing");
}

#[test]
fn a_success_forgives() {
    let mut desk = Desk::new(AttemptPolicy::default());
    for _ in 0..3 {
        for _ in 0..4 {
            assert_eq!(desk.fails(HOME), None);
        }
        desk.signs_in(HOME).unwrap();
    }
    for _ in 0..5 {
        desk.fails(HOME);
    }
    assert_eq!(desk.fails(HOME), Some(MINUTE));
    desk.passes(MINUTE).signs_in(HOME).unwrap();
    for _ in 0..5 {
        assert_eq!(desk.fails(HOME), None);
    }
    assert_eq!(desk.fails(HOME), Some(MINUTE), "from the beginning again");
}

#[test]
fn failures_are_forgotten_after_a_quiet_week() {
    let mut desk = Desk::new(AttemptPolicy::default());
    for _ in 0..4 {
        desk.fails(HOME);
    }
    desk.passes(7 * DAY - 1).fails(HOME);
    assert_eq!(desk.fails(HOME), Some(MINUTE));
    desk.passes(MINUTE + 7 * DAY);
    for _ in 0..5 {
        assert_eq!(desk.fails(HOME), None);
    }
    assert_eq!(desk.fails(HOME), Some(MINUTE));
}

/// A Mac with many connections at once and the right password is not in its own way.
#[test]
fn open_challenges() {
    let mut desk = Desk::new(AttemptPolicy::default());
    for _ in 0..20 {
        desk.opens(HOME);
    }
    for _ in 0..20 {
        assert_eq!(desk.spends(HOME), Verdict::Compare);
        desk.policy.give_back(&mut desk.tally, network(HOME), desk.now);
    }
}

#[test]
fn walking_away_counts() {
    for (abandoned, comparisons) in [(0, 5), (1, 4), (4, 1), (5, 0), (32, 0)] {
        let mut desk = Desk::new(AttemptPolicy::default());
        for _ in 0..abandoned {
            desk.opens(CAFE);
        }
        desk.passes(MINUTE);
        let mut compared = 0;
        while desk.fails(CAFE).is_none() {
            compared += 1;
        }
        assert_eq!(compared, comparisons, "{abandoned} abandoned");
        assert_eq!(desk.fails(CAFE), Some(MINUTE), "several at once refuse once");
    }
    // More than 32 at once are failures without delay.
    let mut desk = Desk::new(AttemptPolicy::default());
    for _ in 0..37 {
        desk.opens(CAFE);
    }
    assert_eq!(desk.spends(CAFE), Verdict::Refuse(Refusal::Network { seconds: MINUTE }));
    assert_eq!(desk.spends(HOME), Verdict::Compare);
}

#[test]
fn after_fifty_in_an_hour_only_known_addresses() {
    let mut desk = Desk::new(AttemptPolicy::default());
    desk.signs_in(HOME).unwrap();
    desk.passes(29 * DAY);
    for host in 0..50 {
        assert_eq!(desk.passes(MINUTE / 2).fails(&format!("203.0.113.{host}")), None);
    }
    let refused = |desk: &mut Desk, from: &str| match desk.signs_in(from) {
        Err(Refusal::Account { seconds }) => seconds,
        other => panic!("{other:?}"),
    };
    // 25 minutes since the first: in 35 there is one less.
    let seconds = refused(&mut desk, CAFE);
    assert!((34 * MINUTE..=36 * MINUTE).contains(&seconds), "{seconds}");
    desk.signs_in(HOME).unwrap();
    for _ in 0..5 {
        assert_eq!(desk.fails(HOME), None, "the known one has its five");
    }
    assert_eq!(desk.fails(HOME), Some(MINUTE), "and not more");
    desk.passes(HOME.len() as u64);
    refused(&mut desk, CAFE);
    // Being refused does not prolong it.
    desk.passes(HOUR);
    desk.signs_in(CAFE).unwrap();

    // Known for 30 days and no longer.
    desk.passes(30 * DAY);
    for host in 0..50 {
        desk.fails(&format!("203.0.113.{host}"));
    }
    refused(&mut desk, CAFE);
    refused(&mut desk, HOME);
}

#[test]
fn the_hard_limit() {
    let mut desk = Desk::new(AttemptPolicy { hard_limit: 10, ..AttemptPolicy::default() });
    for host in 0..9 {
        desk.fails(&format!("203.0.113.{host}"));
    }
    desk.signs_in(HOME).unwrap();
    for host in 0..10 {
        assert_eq!(desk.fails(&format!("203.0.113.{host}")), None);
    }
    for days in [0, 1, 1000] {
        assert_eq!(desk.passes(days * DAY).signs_in(HOME), Err(Refusal::Locked));
    }
    desk.policy.hard_limit = 0;
    assert_eq!(desk.signs_in(HOME), Ok(()));
}

#[test]
fn every_number_is_a_setting() {
    let mut desk = Desk::new(AttemptPolicy {
        failures: 1,
        refuse_first: Duration::from_secs(7),
        refuse_longest: Duration::from_secs(20),
        forget_after: Duration::from_secs(100),
        answer_within: Duration::from_secs(3),
        open_challenges: 2,
        account_failures: 6,
        account_period: Duration::from_mins(2),
        known_for: Duration::from_secs(500),
        ..AttemptPolicy::default()
    });
    assert_eq!(desk.fails(HOME), None);
    for wait in [7, 14, 20, 20] {
        assert_eq!(desk.fails(HOME), Some(wait));
        desk.passes(wait).fails(HOME);
    }
    desk.passes(120).fails(HOME);
    assert_eq!(desk.fails(HOME), Some(7));
    desk.opens(CAFE);
    desk.passes(3);
    assert_eq!(desk.fails(CAFE), Some(7), "abandoned for three seconds");
    desk.signs_in("203.0.113.1").unwrap();
    for host in 2..6 {
        desk.fails(&format!("203.0.113.{host}"));
    }
    assert!(matches!(desk.signs_in("203.0.113.9"), Err(Refusal::Account { .. })));
    assert_eq!(desk.signs_in("203.0.113.1"), Ok(()));
    desk.passes(501);
    for host in 20..26 {
        desk.fails(&format!("203.0.113.{host}"));
    }
    assert!(matches!(desk.signs_in("203.0.113.1"), Err(Refusal::Account { .. })));
}

#[test]
fn clocks_that_jump() {
    for back in [1, HOUR, DAY, 50 * 365 * DAY] {
        let mut desk = Desk::new(AttemptPolicy::default());
        desk.signs_in(CAFE).unwrap();
        for _ in 0..5 {
            desk.fails(HOME);
        }
        desk.passes(20);
        assert_eq!(desk.fails(HOME), Some(40));
        desk.now -= back;
        assert_eq!(desk.fails(HOME), Some(40), "set back by {back} s: neither longer nor shorter");
        assert_eq!(desk.passes(39).fails(HOME), Some(1));
        assert!(desk.policy.knows(&desk.tally, network(CAFE), desk.now));
        desk.passes(1).signs_in(HOME).unwrap();
    }
}

/// A server with a tally on disk.
struct Server {
    directory: PathBuf,
    authenticator: Authenticator,
    said: Arc<Mutex<Vec<String>>>,
    rng: SeededRng,
    now: u64,
    _keep: Option<TempDir>,
}

impl Server {
    fn new(policy: AttemptPolicy) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(Format::Native, &directory.path().join("accounts")).unwrap();
        let account = NewAccount { name: "alice", full_name: None, group: Group::Bits1536, password: PASSWORD };
        store.add(&account, &mut SeededRng::new(1)).unwrap();
        let server = Server::at(directory.path(), policy);
        Server { _keep: Some(directory), ..server }
    }

    /// Another process, or the same after a restart.
    fn at(directory: &Path, policy: AttemptPolicy) -> Server {
        let store = Store::open(Format::Native, &directory.join("accounts")).unwrap();
        let said = Arc::new(Mutex::new(Vec::new()));
        let told = Arc::clone(&said);
        let tell = move |line: &str| told.lock().unwrap().push(line.to_owned());
        let attempts = Attempts::new(Tally::at(&directory.join("tally")), policy, Box::new(tell));
        let unknown_users = UnknownUsers::Decoy(DecoySecret::from_bytes([3; 32]));
        let authenticator = Authenticator::new(Arc::new(store), unknown_users).counting(attempts);
        let rng = SeededRng::new(u64::from(process::id()));
        Server { directory: directory.to_owned(), authenticator, said, rng, now: START, _keep: None }
    }

    fn peer(&self, from: &str) -> Peer {
        let address: IpAddr = from.parse().unwrap();
        Peer::new(address, UNIX_EPOCH + Duration::from_secs(self.now))
    }

    fn begin(&mut self, name: &[u8], from: &str) -> Challenge {
        let peer = self.peer(from);
        self.authenticator.begin(Begin::new(name.to_vec()), &peer, &mut self.rng).unwrap()
    }

    fn prove(
        &mut self,
        name: &[u8],
        password: &[u8],
        challenge: Challenge,
        from: &str,
    ) -> Result<Authenticated, Rejected> {
        let a = self.rng.bytes::<32>();
        let exchange = AfpClientExchange::answer(name, password, &challenge.reply, &a, AForm::SPECIFICATION).unwrap();
        let call = LoginCont::new(&exchange.a_pub, &exchange.m1).bytes();
        let prove = challenge.await_proof.proof(&call[4..]).unwrap();
        self.authenticator.prove(prove, &self.peer(from))
    }

    fn log_in(&mut self, name: &[u8], password: &[u8], from: &str) -> Result<Authenticated, Rejected> {
        let challenge = self.begin(name, from);
        self.prove(name, password, challenge, from)
    }

    fn refusal(&mut self, password: &[u8], from: &str) -> Option<Refusal> {
        match self.log_in(b"alice", password, from) {
            Ok(_) => None,
            Err(Rejected::TooManyFailures { account, refusal }) => {
                assert_eq!(account, "alice");
                Some(refusal)
            }
            Err(other) => panic!("{other:?}"),
        }
    }
}

#[test]
fn a_refused_attempt_is_answered_like_a_wrong_one() {
    let mut server = Server::new(AttemptPolicy::default());
    let wrong = server.log_in(b"alice", b"wrong", HOME).unwrap_err();
    assert!(matches!(&wrong, Rejected::WrongProof { .. }), "{wrong}");
    for _ in 0..4 {
        server.log_in(b"alice", b"wrong", HOME).unwrap_err();
    }
    for password in [PASSWORD, b"wrong"] {
        let refused = server.log_in(b"alice", password, HOME).unwrap_err();
        assert_eq!(refused.to_string(), "too many failures: refused for 60 s");
        assert_eq!(refused.answer(), wrong.answer());
        assert_eq!(refused.answer(), (ResultCode::SRP_PROOF_FAILED, &[][..]));
    }
    // A restart changes nothing, nor does another process.
    let mut again = Server::at(&server.directory, AttemptPolicy::default());
    assert_eq!(again.refusal(PASSWORD, HOME), Some(Refusal::Network { seconds: 60 }));
    assert_eq!(again.refusal(PASSWORD, CAFE), None);
    // The administrator.
    assert!(Tally::at(&server.directory.join("tally")).unlock("alice").unwrap());
    assert_eq!(server.refusal(PASSWORD, HOME), None);
}

/// A challenge from before the refusal is no way round it.
#[test]
fn a_challenge_kept_in_reserve() {
    let mut server = Server::new(AttemptPolicy::default());
    let reserve: Vec<_> = (0..8).map(|_| server.begin(b"alice", CAFE)).collect();
    let outcomes: Vec<_> = reserve
        .into_iter()
        .map(|challenge| server.prove(b"alice", b"wrong", challenge, CAFE).unwrap_err().to_string())
        .collect();
    assert_eq!(outcomes[..5], ["wrong password"; 5].map(str::to_owned));
    assert_eq!(outcomes[5..], ["too many failures: refused for 60 s"; 3].map(str::to_owned));
}

/// A challenge that nobody answers, because another one was asked for or the connection is gone, is a failure after a minute.
#[test]
fn challenges_left_unanswered() {
    let mut server = Server::new(AttemptPolicy::default());
    for _ in 0..4 {
        drop(server.begin(b"alice", CAFE));
    }
    server.now += 59;
    let challenge = server.begin(b"alice", CAFE);
    server.now += 1;
    // Four for those, and this is the fifth: it is compared, and the next is not.
    let wrong = server.prove(b"alice", b"wrong", challenge, CAFE).unwrap_err();
    assert!(matches!(wrong, Rejected::WrongProof { .. }), "{wrong}");
    assert_eq!(server.refusal(PASSWORD, CAFE), Some(Refusal::Network { seconds: 60 }));
    assert_eq!(server.refusal(PASSWORD, HOME), None);
}

/// A proof that cannot be used is spent too, and is refused as ever.
#[test]
fn proofs_out_of_range_are_spent() {
    let mut server = Server::new(AttemptPolicy::default());
    for _ in 0..7 {
        let challenge = server.begin(b"alice", CAFE);
        let call = LoginCont::new(&[0; 192], &[0; 20]).bytes();
        let prove = challenge.await_proof.proof(&call[4..]).unwrap();
        let rejected = server.authenticator.prove(prove, &server.peer(CAFE)).unwrap_err();
        assert!(matches!(rejected, Rejected::Refused(_)), "{rejected}");
    }
    assert!(matches!(server.refusal(PASSWORD, CAFE), Some(Refusal::Network { .. })));
}

#[test]
fn unknown_names_take_the_same_steps_and_no_disk() {
    let mut server = Server::new(AttemptPolicy::default());
    let tally = server.directory.join("tally");
    for number in 0..300 {
        let name = format!("nobody {number}").into_bytes();
        let rejected = server.log_in(&name, PASSWORD, CAFE).unwrap_err();
        assert!(matches!(rejected, Rejected::DecoyProof(NoRecord::Unknown)), "{rejected}");
        assert_eq!(rejected.answer(), (ResultCode::SRP_PROOF_FAILED, &[][..]));
    }
    let files = fs::read_dir(&tally).unwrap().count();
    assert!((32..=65).contains(&files), "{files}");
    server.log_in(b"alice", PASSWORD, CAFE).unwrap();
}

#[test]
fn exempt_networks_are_neither_counted_nor_refused() {
    let exempt = vec!["192.0.2.0/24".parse().unwrap(), "::1/128".parse().unwrap()];
    let mut server = Server::new(AttemptPolicy { exempt, ..AttemptPolicy::default() });
    for from in [HOME, "::ffff:192.0.2.200", "::1"] {
        for _ in 0..7 {
            server.log_in(b"alice", b"wrong", from).unwrap_err();
        }
        assert_eq!(server.refusal(PASSWORD, from), None);
    }
    assert!(!server.directory.join("tally").exists());
    for _ in 0..5 {
        server.log_in(b"alice", b"wrong", CAFE).unwrap_err();
    }
    assert!(server.refusal(PASSWORD, CAFE).is_some());
}

/// The tally cannot be written: known addresses go on, within their limit; others do not; the log is told once a minute.
#[test]
fn without_a_tally_known_addresses_go_on() {
    let mut server = Server::new(AttemptPolicy::default());
    server.log_in(b"alice", PASSWORD, HOME).unwrap();
    let tally = server.directory.join("tally");
    fs::rename(&tally, server.directory.join("aside")).unwrap();
    fs::write(&tally, b"in the way").unwrap();
    for _ in 0..3 {
        assert_eq!(server.refusal(PASSWORD, HOME), None);
        assert_eq!(server.refusal(PASSWORD, CAFE), Some(Refusal::Uncounted));
    }
    assert_eq!(server.said.lock().unwrap().len(), 1, "{:?}", server.said);
    let said = server.said.lock().unwrap()[0].clone();
    assert!(said.contains("cannot be counted") && said.contains("tally") && said.contains("30 days"), "{said}");
    for _ in 0..5 {
        assert!(matches!(server.log_in(b"alice", b"wrong", HOME), Err(Rejected::WrongProof { .. })));
    }
    assert_eq!(server.refusal(PASSWORD, HOME), Some(Refusal::Network { seconds: 60 }));
    server.now += 61;
    assert_eq!(server.refusal(PASSWORD, HOME), None);
    assert_eq!(server.said.lock().unwrap().len(), 2, "{:?}", server.said);
    // Nothing is known after a restart in this state.
    let mut fresh = Server::at(&server.directory, AttemptPolicy::default());
    assert_eq!(fresh.refusal(PASSWORD, HOME), Some(Refusal::Uncounted));
    // And when it is mended, all is as it was.
    fs::remove_file(&tally).unwrap();
    fs::rename(server.directory.join("aside"), &tally).unwrap();
    assert_eq!(fresh.refusal(PASSWORD, HOME), None);
    assert_eq!(server.refusal(PASSWORD, CAFE), None);
}

#[test]
fn a_damaged_tally_is_said_and_counts_one() {
    let mut server = Server::new(AttemptPolicy::default());
    server.log_in(b"alice", PASSWORD, HOME).unwrap();
    fs::write(server.directory.join("tally/alice.tally"), b"rubbish").unwrap();
    let challenge = server.begin(b"alice", HOME);
    let said = server.said.lock().unwrap().clone();
    assert!(said.len() == 1 && said[0].contains("alice.tally is damaged"), "{said:?}");
    server.prove(b"alice", b"wrong", challenge, HOME).unwrap_err();
    for _ in 0..3 {
        assert!(matches!(server.log_in(b"alice", b"wrong", HOME), Err(Rejected::WrongProof { .. })));
    }
    assert!(server.refusal(b"wrong", HOME).is_some(), "one for the damage, four wrong ones");
}

/// However many guess at once, in threads and in processes: five are compared.
#[test]
fn no_crowd_gets_more_than_five_comparisons() {
    if let Some(directory) = env::var_os("SRP_UAM_TEST_GUESS_IN") {
        // The other process.
        println!("\ncompared {}", guess(Path::new(&directory)));
        return;
    }
    let server = Server::new(AttemptPolicy::default());
    let others: Vec<_> = (0..2)
        .map(|_| {
            let mut command = process::Command::new(env::current_exe().unwrap());
            command.args(["--exact", "no_crowd_gets_more_than_five_comparisons", "--nocapture"]);
            command.env("SRP_UAM_TEST_GUESS_IN", &server.directory).stdout(process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let mut compared = guess(&server.directory);
    for other in others {
        let output = other.wait_with_output().unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let line = output.lines().find_map(|line| line.strip_prefix("compared ")).unwrap_or_else(|| panic!("{output}"));
        compared += line.parse::<usize>().unwrap();
    }
    assert_eq!(compared, 5);
}

/// Four threads guess ten times each, all challenges taken first. How many proofs were compared.
fn guess(directory: &Path) -> usize {
    let compared = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let compared = &compared;
            scope.spawn(move || {
                let mut server =
                    Server::at(directory, AttemptPolicy { open_challenges: 1000, ..AttemptPolicy::default() });
                server.rng = SeededRng::new(thread);
                let challenges: Vec<_> = (0..10).map(|_| server.begin(b"alice", CAFE)).collect();
                for challenge in challenges {
                    match server.prove(b"alice", b"wrong", challenge, CAFE) {
                        Err(Rejected::WrongProof { .. }) => drop(compared.fetch_add(1, Ordering::Relaxed)),
                        Err(Rejected::TooManyFailures { .. }) => {}
                        other => panic!("{other:?}"),
                    }
                }
            });
        }
    });
    compared.into_inner()
}
