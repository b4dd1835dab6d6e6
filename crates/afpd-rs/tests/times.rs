//! Whether the time of an answer tells what the answer does not, through the whole program: over TCP, with its log, its pool and its tally.
//!
//! Under "decoy", five kinds of attempt that are all answered -6754: a wrong password; under a refusal the right one and a wrong one; a name that
//! nobody has; and a disabled account. How they are compared is said in [`testkit::statistics`]; without the sockets, and with more power,
//! the same is in `crates/srp-uam/tests/attempt_times.rs`. Not run by default, because other programs on the machine disturb it: `make attempt-times`.
#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a broken expectation should stop the test"
)]

mod server;

use std::process::Command;
use std::time::Instant;

use rustix::process::Signal;
use testkit::client::{Client, LoginCont, LoginExt, dsi};
use testkit::rng::SeededRng;
use testkit::slow_srp::{AForm, AfpClientExchange};
use testkit::statistics::{BOUND, mean, welch, without_slowest};

use server::{OWNER, PASSWORD, Server, add_account, log_in, place, reply};

const ROUNDS: usize = 800;
const TRIES: usize = 3;
const SETTINGS: &str =
    "[login]\nunknown_users = \"decoy\"\n[limits]\nexempt = [\"127.0.0.0/8\"]\n[attempts]\nrefuse_first = 86400\n";

/// What is tried: account, password.
const KINDS: [(&str, &str, &str); 5] = [
    ("wrong", "anna", "wrong"),
    ("wrong, refused", "bert", "wrong"),
    ("right, refused", "bert", PASSWORD),
    ("no such name", "nobody", "wrong"),
    ("disabled", "dora", PASSWORD),
];

/// bert is refused for a day; after that, nobody is refused for what one try does: the limit is more than its rounds.
fn server() -> Server {
    let server = Server::start(&format!("{SETTINGS}failures = 1\n"));
    for name in ["bert", "dora"] {
        add_account(server.directory.path(), name);
    }
    let disabled = Command::new(env!("CARGO_BIN_EXE_afpd-rs"))
        .args(["user", "disable", "dora"])
        .args(place(server.directory.path()))
        .output()
        .unwrap();
    assert!(disabled.status.success(), "{disabled:?}");
    assert_eq!(log_in(&mut server.open(OWNER), "bert", "wrong"), -6754);
    server.settings(&format!("{SETTINGS}failures = 1000\naccount_failures = 0\n"));
    server.signal(Signal::HUP);
    server.logs("settings and accounts read again", 1);
    assert_eq!(log_in(&mut server.open(OWNER), "bert", PASSWORD), -6754, "refused");
    assert_eq!(log_in(&mut server.open(OWNER), "anna", PASSWORD), 0);
    server
}

#[test]
#[ignore = "compares times: run it by itself"]
fn no_answer_takes_another_time() {
    let pairs = (0..KINDS.len()).flat_map(|one| (one + 1..KINDS.len()).map(move |other| (one, other)));
    let mut suspects: Vec<_> = pairs.flat_map(|pair| [("challenge", pair), ("proof", pair)]).collect();
    for attempt in 1..=TRIES {
        let [challenges, proofs] = measure(&server());
        println!("\ntry {attempt}, over TCP: mean of the faster four fifths of {ROUNDS}, microseconds");
        for (index, (what, ..)) in KINDS.iter().enumerate() {
            let [challenge, proof] = [&challenges[index], &proofs[index]].map(|times| mean(&without_slowest(times)));
            println!("  {what:16} challenge {challenge:9.2}   proof {proof:9.2}");
        }
        suspects.retain(|(round, (one, other))| {
            let times = if *round == "challenge" { &challenges } else { &proofs };
            let t = welch(&without_slowest(&times[*one]), &without_slowest(&times[*other]));
            println!("  {round:9} {:>16} : {:16} t = {t:6.2}", KINDS[*one].0, KINDS[*other].0);
            t.abs() > BOUND
        });
        if suspects.is_empty() {
            return;
        }
    }
    panic!("these differed {TRIES} times in a row: {suspects:?}");
}

/// Microseconds from each of the two calls to its answer, by kind.
fn measure(server: &Server) -> [Vec<Vec<f64>>; 2] {
    let mut rng = SeededRng::new(7);
    let mut times = [vec![Vec::new(); KINDS.len()], vec![Vec::new(); KINDS.len()]];
    for round in 0..ROUNDS {
        let mut order = [0, 1, 2, 3, 4];
        for place in (1..order.len()).rev() {
            let [random] = rng.bytes::<1>();
            order.swap(place, usize::from(random) % (place + 1));
        }
        // The client's half is computed between the rounds, so that it does not come right before any one of them.
        let mut proofs = Vec::new();
        for index in order {
            let (_, name, password) = KINDS[index];
            let mut client = server.open(OWNER);
            let (took, challenge, result) = timed(&mut client, &LoginExt::new(name.as_bytes()).bytes());
            assert_eq!(result, -5001);
            // A has no leading zero byte, which the client decides and sees.
            let exchange = loop {
                let (name, password, a) = (name.as_bytes(), password.as_bytes(), rng.bytes::<32>());
                let exchange = AfpClientExchange::answer(name, password, &challenge, &a, AForm::SPECIFICATION).unwrap();
                if exchange.a_pub.len() == 192 && exchange.a_pub[0] != 0 {
                    break exchange;
                }
            };
            proofs.push((index, client, LoginCont::new(&exchange.a_pub, &exchange.m1).bytes()));
            if round >= 20 {
                times[0][index].push(took);
            }
        }
        for (index, mut client, proof) in proofs {
            let (took, payload, result) = timed(&mut client, &proof);
            assert_eq!((result, payload.len()), (-6754, 0));
            if round >= 20 {
                times[1][index].push(took);
            }
        }
    }
    times
}

/// A call, and the microseconds to its answer.
fn timed(client: &mut Client, call: &[u8]) -> (f64, Vec<u8>, i32) {
    let began = Instant::now();
    client.request(dsi::COMMAND, call).unwrap();
    let answer = reply(client);
    (began.elapsed().as_secs_f64() * 1e6, answer.payload, answer.code)
}
