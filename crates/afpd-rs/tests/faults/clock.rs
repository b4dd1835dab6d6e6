//! A wall clock that is set while the server runs. Its timers do not look at it, refusals end neither sooner nor later, and what is
//! written to the store is seen.
//!
//! The server's clock alone is set, by libfaketime, which `make faults` gets; the machine's is not touched.

use std::env;
use std::fs;
use std::process::Command;
use std::time::{Duration, Instant, SystemTime};

use testkit::client::{Client, Heard, dsi};

use crate::server::{
    OWNER, PASSWORD, STRANGER, Server, failures, home, is_served, log_in, open, program, reply, until, user,
};

const DAY: i64 = 86_400;

/// The program with a clock that the test sets, in seconds from the real one.
struct Clocked {
    server: Server,
}

impl Clocked {
    fn start(settings: &str) -> Clocked {
        let library = env::var_os("AFP_FAULTS_FAKETIME").expect("AFP_FAULTS_FAKETIME names libfaketimeMT.so.1");
        let directory = home(settings);
        let clock = directory.path().join("clock");
        fs::write(&clock, "+0\n").unwrap();
        let mut program: Command = program(&[]);
        program
            .env("LD_PRELOAD", library)
            .env("FAKETIME_TIMESTAMP_FILE", clock)
            .env("FAKETIME_NO_CACHE", "1")
            .env("FAKETIME_DONT_FAKE_MONOTONIC", "1")
            .env("NO_FAKE_STAT", "1");
        Clocked { server: Server::start_in(&directory, program) }
    }

    /// Sets the clock, and waits until the server has it.
    fn set(&self, seconds: i64, session: &mut Client) {
        let (new, clock) = (self.server.path("clock.new"), self.server.path("clock"));
        fs::write(&new, format!("{seconds:+}\n")).unwrap();
        fs::rename(new, clock).unwrap();
        until(|| {
            // FPGetSrvrParms begins with the server's time, in seconds since 2000.
            session.request(dsi::COMMAND, &[16, 0]).unwrap();
            let answer = reply(session).payload;
            let told = i64::from(i32::from_be_bytes(answer[..4].try_into().unwrap())) + 946_684_800;
            let now = i64::try_from(SystemTime::UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
            let off = told - now - seconds;
            if off.abs() <= 2 { Ok(()) } else { Err(format!("the server's clock is {off} s off")) }
        });
    }

    fn attempt(&self, from: [u8; 4], password: &str) -> i32 {
        log_in(&mut self.server.open(from), "anna", password)
    }
}

#[test]
#[ignore = "needs libfaketime: interop/faults.sh gets it"]
fn sessions_and_timers_do_not_feel_the_clock() {
    let clocked = Clocked::start("[timers]\nfirst_frame = 1\nlogin = 2\n");
    let server = &clocked.server;
    let mut session = server.signed_in(OWNER, "anna");
    for step in [DAY, -DAY, 4000 * DAY, -4000 * DAY, 0] {
        let began = Instant::now();
        let mut waiting = server.open(STRANGER);
        clocked.set(step, &mut session);
        is_served(&mut session);
        drop(server.signed_in(OWNER, "anna"));
        // It waits for a login for 2 s of its own, whatever the clock says.
        match waiting.hear().unwrap() {
            Heard::Frame(frame) => assert_eq!(frame.command, dsi::CLOSE_SESSION),
            other => panic!("{step}: {other:?}"),
        }
        let took = began.elapsed();
        assert!(took >= Duration::from_secs(2) && took < Duration::from_secs(4), "{step}: {took:?}");
        is_served(&mut session);
    }
    drop(session);
    server.signal(rustix::process::Signal::HUP);
    server.logs("settings and accounts read again", 1);
    let log = server.log();
    // Lines tell the clock's time.
    let years: std::collections::BTreeSet<_> = log.lines().filter_map(|line| line.get(..4)).collect();
    assert!(years.len() >= 3, "{years:?}");
}

#[test]
#[ignore = "needs libfaketime: interop/faults.sh gets it"]
fn refusals_end_neither_sooner_nor_later() {
    let clocked = Clocked::start("[attempts]\nrefuse_first = 60\n");
    let server = &clocked.server;
    let mut session = server.signed_in(OWNER, "anna");
    for _ in 0..5 {
        assert_eq!(clocked.attempt(STRANGER, "wrong"), -6754);
    }
    let refused = |when: &str| {
        let before = server.log().len();
        assert_eq!(clocked.attempt(STRANGER, PASSWORD), -6754, "{when}");
        server.says_after(before, &["too many failures: refused for "]);
        let log = server.log();
        let (_, rest) = log.rsplit_once("refused for ").unwrap();
        let seconds: u64 = rest.split(' ').next().unwrap().parse().unwrap();
        assert!((1..=60).contains(&seconds), "{when}: {seconds} s");
        // Who is not refused is let in.
        assert_eq!(clocked.attempt(OWNER, PASSWORD), 0, "{when}");
    };
    refused("at first");
    for back in [-3600, -DAY, -9000 * DAY] {
        clocked.set(back, &mut session);
        refused(&format!("{back} s"));
        assert_eq!(failures(server.directory.path(), "anna", "127.0.0.2"), 5);
    }
    // Forward is time that has passed: from the last step so far, a minute and a bit.
    clocked.set(-9000 * DAY + 70, &mut session);
    assert_eq!(clocked.attempt(STRANGER, PASSWORD), 0);
    clocked.set(0, &mut session);
    assert_eq!([clocked.attempt(STRANGER, PASSWORD), clocked.attempt(OWNER, PASSWORD)], [0, 0]);
    is_served(&mut session);
}

#[test]
#[ignore = "needs libfaketime: interop/faults.sh gets it"]
fn changed_accounts_are_seen_whatever_the_clock_says() {
    let clocked = Clocked::start("");
    let server = &clocked.server;
    let mut session = server.signed_in(OWNER, "anna");
    let mut password = PASSWORD.to_owned();
    for step in [-DAY, -9000 * DAY, DAY, 0] {
        clocked.set(step, &mut session);
        assert_eq!(clocked.attempt(OWNER, &password), 0, "{step}");
        // Twice, one after the other: the second one must be seen as well.
        for round in 0..2 {
            password = format!("{step} {round}");
            let changed = user(server.directory.path(), &["passwd", "anna"], &password);
            assert!(changed.status.success(), "{changed:?}");
            assert_eq!(clocked.attempt(OWNER, &password), 0, "{step}, {round}");
        }
    }
    let mut client = server.connect(OWNER);
    open(&mut client);
    assert_eq!(log_in(&mut client, "anna", PASSWORD), -6754, "the first password is no more");
    is_served(&mut session);
}
