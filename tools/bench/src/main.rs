//! One login's server arithmetic beside the same in OpenSSL and libgcrypt, in one run. `run.sh` builds both halves and calls `bench PEERS`.
//!
//! - **Ours**: [`Server::begin`] and [`Server::finish`], with all their hashing and checking. b has 256 bits, u 160.
//! - **OpenSSL**: the two or three exponentiations with the same exponents, in constant time (`BN_mod_exp_mont_consttime`), and no hashing.
//! - **libgcrypt**: the same with `gcry_mpi_powm` and a b of 1536 bits, which is what Netatalk computes. Not constant time.
//!
//! The engines take turns within each round, and what is printed are medians over the rounds: of the processor times, and of each round's
//! ratio. Other load on the machine so meets all three alike. Before anything is timed, all engines must find the same B and S for the same inputs.
//!
//! The last line is `login arithmetic: N us, R x openssl, Q x libgcrypt`: our time, and our time divided by theirs.

use std::hint::black_box;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, ExitCode, Stdio};
use std::time::Duration;

use rand_core::{TryCryptoRng, TryRng};
use srp6a::{Client, Group, Profile, Server, Verifier, formulas};

const ROUNDS: usize = 61;
const TIMES: u32 = 5;
const MOST_OF_OPENSSL: f64 = 1.6;
const MOST_OF_LIBGCRYPT: f64 = 1.0 / 7.0;

const GROUP: Group = Group::Bits1536;
const PROFILE: Profile = Profile::AFP;
const USER: &[u8] = b"alice";
const PASSWORD: &[u8] = b"password123";
const SALT: &[u8] = b"0123456789abcdef";

fn main() -> ExitCode {
    let Some(peers) = std::env::args().nth(1) else {
        eprintln!("bench: give the path of the peers program; run.sh does");
        return ExitCode::from(2);
    };
    let login = Login::new();
    // One peer process for each length of b.
    let mut openssl = Peer::start(&peers, "openssl", &login, &login.b);
    let mut libgcrypt = Peer::start(&peers, "libgcrypt", &login, &login.long_b);
    login.check(&peers, &mut openssl, &mut libgcrypt);

    srp6a::prepare(GROUP);
    println!("microseconds of processor time, medians of {ROUNDS} rounds; 1536-bit group");
    println!("{:<28}{:>10}{:>12}{:>12}{:>12}{:>12}", "", "ours", "openssl", "libgcrypt", "x openssl", "x libgcrypt");
    let _: Row = measure("B", || login.begin(), &mut openssl, &mut libgcrypt).print("B = kv + g^b");
    let _: Row = measure("S", || login.secret(), &mut openssl, &mut libgcrypt).print("S = (A v^u)^b");
    let row = measure("login", || login.whole(), &mut openssl, &mut libgcrypt).print("login (ours: with proofs)");

    let missed = row.of_openssl > MOST_OF_OPENSSL || row.of_libgcrypt > MOST_OF_LIBGCRYPT;
    if missed {
        println!("MISSED: at most {MOST_OF_OPENSSL} x openssl and {MOST_OF_LIBGCRYPT:.3} x libgcrypt are wanted");
    }
    println!(
        "login arithmetic: {:.0} us, {:.2} x openssl, {:.2} x libgcrypt",
        row.ours, row.of_openssl, row.of_libgcrypt
    );
    if missed { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Medians.
struct Row {
    ours: f64,
    openssl: f64,
    libgcrypt: f64,
    of_openssl: f64,
    of_libgcrypt: f64,
}

impl Row {
    fn print(self, name: &str) -> Row {
        let Row { ours, openssl, libgcrypt, of_openssl, of_libgcrypt } = &self;
        println!("{name:<28}{ours:>10.1}{openssl:>12.1}{libgcrypt:>12.1}{of_openssl:>12.2}{of_libgcrypt:>12.3}");
        self
    }
}

fn measure(what: &str, ours: impl Fn(), openssl: &mut Peer, libgcrypt: &mut Peer) -> Row {
    let mut times = Vec::new();
    for _ in 0..ROUNDS {
        let begin = processor_time();
        for _ in 0..TIMES {
            ours();
        }
        let ours = processor_time() - begin;
        let (openssl, _) = openssl.run(what, TIMES);
        let (libgcrypt, _) = libgcrypt.run(what, TIMES);
        times.push([ours, openssl, libgcrypt].map(|time| time.as_secs_f64() * 1e6 / f64::from(TIMES)));
    }
    let median = |value: fn(&[f64; 3]) -> f64| {
        let mut values: Vec<f64> = times.iter().map(value).collect();
        values.sort_by(f64::total_cmp);
        values[values.len() / 2]
    };
    Row {
        ours: median(|times| times[0]),
        openssl: median(|times| times[1]),
        libgcrypt: median(|times| times[2]),
        of_openssl: median(|times| times[0] / times[1]),
        of_libgcrypt: median(|times| times[0] / times[2]),
    }
}

/// The processor time of this process: what others do meanwhile does not count.
fn processor_time() -> Duration {
    let time = rustix::time::clock_gettime(rustix::time::ClockId::ProcessCPUTime);
    Duration::new(time.tv_sec.try_into().expect("not negative"), time.tv_nsec.try_into().expect("less than a second"))
}

/// The numbers of one login.
struct Login {
    verifier: Verifier,
    b: Vec<u8>,
    long_b: Vec<u8>,
    a_pub: Vec<u8>,
    u: Vec<u8>,
    m1: Vec<u8>,
}

impl Login {
    fn new() -> Login {
        let b = number(32, 3);
        let verifier = Verifier::derive(&PROFILE, GROUP, USER, PASSWORD, SALT);
        let server = Server::begin(&PROFILE, USER, SALT, &verifier, &mut Fixed(b.clone())).expect("no failure");
        let a = number(32, 5).try_into().expect("32 bytes");
        let client = Client::dangerous_with_private_key(&PROFILE, GROUP, &a);
        let a_pub = client.a_pub().to_vec();
        let u = formulas::u(&PROFILE, GROUP, &a_pub, server.b_pub());
        let proof = client.prove(USER, PASSWORD, SALT, server.b_pub()).expect("an honest server");
        Login { verifier, b, long_b: number(192, 7), a_pub, u, m1: proof.m1().to_vec() }
    }

    fn server(&self) -> Server {
        Server::begin(&PROFILE, USER, SALT, &self.verifier, &mut Fixed(self.b.clone())).expect("no failure")
    }

    fn begin(&self) {
        black_box(self.server().b_pub());
    }

    fn secret(&self) {
        black_box(formulas::server_s(GROUP, &self.a_pub, self.verifier.as_be_bytes(), &self.u, &self.b));
    }

    fn whole(&self) {
        black_box(self.server().finish(&self.a_pub, &self.m1).expect("the right proof").m2());
    }

    /// Every engine must find the same numbers: each peer for its own b, and libgcrypt also for ours.
    fn check(&self, peers: &str, openssl: &mut Peer, libgcrypt: &mut Peer) {
        let mut libgcrypt_short = Peer::start(peers, "libgcrypt", self, &self.b);
        let v = self.verifier.as_be_bytes();
        let k = formulas::k(&PROFILE, GROUP);
        for (peer, b) in [(openssl, &self.b), (libgcrypt, &self.long_b), (&mut libgcrypt_short, &self.b)] {
            let expected =
                [formulas::b_pub(GROUP, &k, v, b), formulas::server_s(GROUP, &self.a_pub, v, &self.u, b).to_vec()];
            let (_, found) = peer.run("login", 1);
            assert_eq!(found, expected.map(|bytes| strip(&hex(&bytes))), "{} computes another B or S", peer.engine);
        }
        assert_eq!(self.server().b_pub(), formulas::b_pub(GROUP, &k, v, &self.b));
        self.whole();
    }
}

/// One of the engines of peers.c, with its numbers set.
struct Peer {
    engine: &'static str,
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Peer {
    fn start(path: &str, engine: &'static str, login: &Login, b: &[u8]) -> Peer {
        let mut child = Command::new(path)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|error| panic!("cannot start {path}: {error}"));
        let (input, output) = (child.stdin.take().expect("piped"), child.stdout.take().expect("piped"));
        let mut peer = Peer { engine, child, input, output: BufReader::new(output) };
        let (k, g) = (formulas::k(&PROFILE, GROUP), [GROUP.generator()]);
        let v = login.verifier.as_be_bytes();
        for (name, bytes) in
            [("n", GROUP.modulus()), ("g", &g), ("k", &k), ("v", v), ("A", &login.a_pub), ("u", &login.u), ("b", b)]
        {
            assert_eq!(peer.ask(&format!("set {name} {}", hex(bytes))), "ok");
        }
        peer
    }

    /// The time for all, and the results in hex without leading zeros.
    fn run(&mut self, what: &str, times: u32) -> (Duration, Vec<String>) {
        let answer = self.ask(&format!("run {what} {} {times}", self.engine));
        let mut words = answer.split(' ');
        let nanoseconds = words.next().and_then(|word| word.parse().ok());
        let nanoseconds = nanoseconds.unwrap_or_else(|| panic!("{} answered {answer:?}", self.engine));
        (Duration::from_nanos(nanoseconds), words.map(strip).collect())
    }

    fn ask(&mut self, line: &str) -> String {
        writeln!(self.input, "{line}").expect("the peer listens");
        let mut answer = String::new();
        self.output.read_line(&mut answer).expect("the peer answers");
        assert!(answer.ends_with('\n'), "{} gave up: {:?}", self.engine, self.child.try_wait());
        answer.trim_end().to_owned()
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It ends by itself at the end of its input; this only makes sure that nothing stays behind after a panic.
        if self.child.kill().is_ok() {
            let _status = self.child.wait();
        }
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02X}")).collect()
}

fn strip(hex: &str) -> String {
    hex.trim_start_matches('0').to_owned()
}

/// A number of full length, the same in every run.
fn number(len: usize, seed: u8) -> Vec<u8> {
    let mut byte = seed;
    let mut bytes: Vec<u8> = core::iter::repeat_with(|| {
        byte = byte.wrapping_mul(29).wrapping_add(71);
        byte
    })
    .take(len)
    .collect();
    bytes[0] |= 0x80;
    bytes
}

/// A generator that always draws the same b.
struct Fixed(Vec<u8>);

impl TryRng for Fixed {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        Ok(4)
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        Ok(4)
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        bytes.copy_from_slice(&self.0);
        Ok(())
    }
}

impl TryCryptoRng for Fixed {}
