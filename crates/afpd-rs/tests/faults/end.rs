//! The end, in order or not: SIGTERM with a thousand sessions, once more while it goes down, and SIGKILL.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Resource, Rlimit, Signal, getrlimit, setrlimit};
use testkit::client::{Client, Frame, Heard, LoginExt, dsi};

use crate::server::{OWNER, PASSWORD, STRANGER, Server, failures, home, is_served, log_in, open, program, proof, user};

const SETTINGS: &str =
    "[limits]\nmax_sessions = 1100\nexempt = [\"127.0.0.0/8\"]\n[attempts]\nexempt = [\"127.0.0.2\"]\n";

/// How long the program gives connections to end (`ORDERLY_END`), and some time around it.
const IN_TIME: Duration = Duration::from_secs(7);

/// So many signed-in sessions, made by four threads.
fn sessions(server: &Server, number: usize) -> Vec<Client> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, maximum: limit.maximum }).unwrap();
    thread::scope(|scope| {
        let makers: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| (0..number / 4).map(|_| server.signed_in(STRANGER, "anna")).collect::<Vec<_>>()))
            .collect();
        makers.into_iter().flat_map(|maker| maker.join().unwrap()).collect()
    })
}

/// What Apple's clients take for the end of a server: attention "shutting down", DSICloseSession, the end.
#[track_caller]
fn is_told_of_the_end(client: &mut Client) {
    for expected in [dsi::ATTENTION, dsi::CLOSE_SESSION] {
        match client.hear().unwrap() {
            Heard::Frame(frame) if frame.flags == 0 && frame.command == expected => {
                assert_eq!(frame.payload, if expected == dsi::ATTENTION { vec![0x80, 0] } else { vec![] });
            }
            other => panic!("{expected} was due, not {other:?}"),
        }
    }
    assert_eq!(client.hear().unwrap(), Heard::End);
}

/// Waits for the program's end, which must be one in order.
#[track_caller]
fn ends_in_order(server: &mut Server, since: Instant) {
    assert_eq!(server.child.wait().unwrap().code(), Some(0), "{}", server.log());
    assert!(since.elapsed() < IN_TIME, "{:?}", since.elapsed());
}

#[test]
fn a_thousand_sessions_are_told_of_the_end() {
    let mut server = Server::start(SETTINGS);
    let mut sessions = sessions(&server, 1000);
    let mut stranger = server.open(OWNER);
    let mut silent = server.connect(OWNER);
    let mut challenged = server.open(OWNER);
    let _proof = proof(&mut challenged, "anna", PASSWORD).unwrap();
    let mut asking = server.open(OWNER);
    asking.request(dsi::COMMAND, &LoginExt::new(b"anna").bytes()).unwrap();
    let began = Instant::now();
    server.signal(Signal::TERM);
    sessions.iter_mut().for_each(is_told_of_the_end);
    is_told_of_the_end(&mut stranger);
    is_told_of_the_end(&mut challenged);
    // Before a session there is nobody to be told; what was asked is answered.
    assert_eq!(silent.hear().unwrap(), Heard::End);
    match asking.hear().unwrap() {
        Heard::Frame(frame) if frame.flags == 1 => {
            assert_eq!(frame.code, -5001);
            is_told_of_the_end(&mut asking);
        }
        // The signal was faster than the call.
        Heard::Frame(frame) => assert_eq!(frame.command, dsi::ATTENTION),
        other => panic!("{other:?}"),
    }
    drop((sessions, stranger, silent, challenged, asking));
    ends_in_order(&mut server, began);
    let log = server.log();
    assert!(log.contains("going down") && !log.contains("are cut") && !log.contains("bug"), "{log}");
    assert_eq!(log.matches("outcome=\"signed-in\"").count(), 1000);

    // Everything is there for the next one.
    let next = Server::start_in(&server.directory, program(&[]));
    drop(next.signed_in(OWNER, "anna"));
    next.end();
}

/// Clients that neither read nor close, and an administrator who loses patience: it still ends in order and in time.
#[test]
fn nobody_holds_up_the_end() {
    for (first, again) in [(Signal::TERM, Signal::TERM), (Signal::INT, Signal::HUP)] {
        let mut server = Server::start(SETTINGS);
        let mut sessions = sessions(&server, 40);
        let began = Instant::now();
        server.signal(first);
        server.logs("going down", 1);
        for _ in 0..3 {
            server.signal(again);
        }
        ends_in_order(&mut server, began);
        let log = server.log();
        assert!(!log.contains("bug") && !log.contains("panicked"), "{log}");
        sessions.iter_mut().for_each(is_told_of_the_end);
    }
}

/// One that takes no bytes is cut.
#[test]
fn a_client_that_takes_nothing_is_cut() {
    let mut server = Server::start(SETTINGS);
    let mut session = server.signed_in(OWNER, "anna");
    let (mut stuck, socket) = server.connect_keeping(STRANGER);
    open(&mut stuck);
    assert_eq!(log_in(&mut stuck, "anna", PASSWORD), 0);
    // Asks and never listens, until the server, which cannot answer any more, listens no more either.
    socket.set_write_timeout(Some(Duration::from_millis(300))).unwrap();
    let asks = Frame::request(dsi::GET_STATUS, 1, &[]).bytes().repeat(1000);
    assert!((0..1000).any(|_| stuck.send(&asks).is_err()), "it takes bytes for ever");
    is_served(&mut session);
    let began = Instant::now();
    server.signal(Signal::TERM);
    is_told_of_the_end(&mut session);
    ends_in_order(&mut server, began);
    assert!(server.log().contains("some connections did not end within 5 s and are cut"), "{}", server.log());
}

/// Killed while proofs are computed, again and again: what was answered is counted, what was asked is counted at most once, and nothing else
/// is lost.
#[test]
fn a_kill_forgives_no_failure() {
    let directory = home("[attempts]\nfailures = 100\naccount_failures = 0\n");
    let mut signature = None;
    let mut answered = 0;
    for round in 0..8 {
        let mut server = Server::start_in(&directory, program(&[]));
        drop(server.signed_in(OWNER, "anna"));
        // By it clients know the server again.
        let kept = fs::read(directory.path().join("state/signature")).unwrap();
        assert_eq!(*signature.get_or_insert_with(|| kept.clone()), kept);
        for _ in 0..2 {
            assert_eq!(log_in(&mut server.open(STRANGER), "anna", "wrong"), -6754);
            answered += 1;
        }
        let mut last = server.open(STRANGER);
        let wrong = proof(&mut last, "anna", "wrong").unwrap();
        last.request(dsi::COMMAND, &wrong).unwrap();
        // In the first rounds before it can be computed, later during or after it.
        thread::sleep(Duration::from_micros(700) * round);
        server.signal(Signal::KILL);
        assert_eq!(server.child.wait().unwrap().signal(), Some(9));
        let heard = matches!(last.hear(), Ok(Heard::Frame(_)));
        answered += u64::from(heard);
        let counted = failures(directory.path(), "anna", "127.0.0.2");
        assert!((answered..=answered + 1).contains(&counted), "round {round}: {counted} of {answered}, heard {heard}");
        answered = counted;
    }
    let server = Server::start_in(&directory, program(&[]));
    drop(server.signed_in(OWNER, "anna"));
    let added = user(directory.path(), &["add", "bert"], PASSWORD);
    assert!(added.status.success(), "{added:?}");
    drop(server.signed_in(OWNER, "bert"));
    server.end();
}
