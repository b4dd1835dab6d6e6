//! The running server under load and abuse: budgets, caps, networks, descriptors, figures, a bounded log, and settings read again.
//!
//! Clients come from several addresses of 127.0.0.0/8, so that one is a stranger and another a neighbour.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, clippy::panic, reason = "a test that cannot go on shall stop")]

mod server;

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, fcntl_lock};
use rustix::process::Signal;
use testkit::client::{Client, Frame, Heard, LoginExt, dsi};

use crate::server::{
    OWNER, PASSWORD, STRANGER, Server, add_account, fetch, is_ended, is_open, is_served, log_in, place, reply, until,
    value,
};

#[test]
fn the_longest_idle_stranger_goes_and_no_session() {
    let server = Server::start("[limits]\nmax_strangers = 3\nexempt = [\"127.0.0.0/8\"]\n");
    let mut session = server.signed_in(OWNER, "anna");
    let mut one = server.open(STRANGER);
    let mut two = server.connect(STRANGER);
    let mut three = server.open(STRANGER);
    // A step towards a login; neither half a frame nor a tickle is one.
    is_open(&mut two);
    three.send(&[0]).unwrap();
    one.send(&Frame::request(dsi::TICKLE, 1, &[]).bytes()).unwrap();
    let four = server.connect(STRANGER);
    is_ended(&mut one);
    let _five = server.connect(STRANGER);
    is_ended(&mut three);
    assert_eq!(log_in(&mut two, "anna", PASSWORD), 0);
    drop(four);
    for _ in 0..50 {
        server.open(STRANGER);
    }
    is_served(&mut session);
    is_served(&mut two);
    let log = server.end();
    assert!(log.contains("connection ended to make room"), "{log}");
}

/// Two hundred that connect and say nothing, and again as soon as they are sent away; a login goes through every time.
#[test]
fn silent_strangers_keep_nobody_out() {
    let server = Server::start("[limits]\nmax_strangers = 50\nexempt = [\"127.0.0.0/8\"]\n");
    let mut session = server.signed_in(OWNER, "anna");
    let mut silent: Vec<_> = (0..200).map(|_| server.connect(STRANGER)).collect();
    for _ in 0..10 {
        let began = Instant::now();
        let mut owner = server.signed_in(OWNER, "anna");
        assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
        is_served(&mut owner);
        is_served(&mut session);
        silent.drain(..20);
        silent.extend((0..20).map(|_| server.connect(STRANGER)));
    }
}

#[test]
fn an_address_has_its_caps_and_its_neighbour_does_not_feel_them() {
    let server = Server::start(
        "[limits]\nconnections_per_address = 2\nchallenges_per_minute = 2\nstatus_per_minute = 1\nexempt = [\"127.0.0.9/32\"]\n",
    );
    let mut one = server.connect(STRANGER);
    let mut two = server.open(STRANGER);
    let mut three = server.open(STRANGER);
    is_ended(&mut one);
    for client in [&mut two, &mut three] {
        assert_eq!(log_in(client, "anna", PASSWORD), 0);
    }
    // Nobody of this address can be sent away.
    let mut four = server.connect(STRANGER);
    four.request(dsi::OPEN_SESSION, &[]).unwrap();
    assert_eq!(reply(&mut four).code, 0xfbd1);
    is_ended(&mut four);
    drop(three);
    until(|| {
        let mut next = server.connect(STRANGER);
        next.request(dsi::OPEN_SESSION, &[]).unwrap();
        let code = reply(&mut next).code;
        if code != 0 {
            return Err(format!("code {code}"));
        }
        assert_eq!(log_in(&mut next, "anna", PASSWORD), -1068, "a third challenge in this minute");
        is_ended(&mut next);
        Ok(())
    });
    is_served(&mut two);
    let neighbour = [127, 0, 0, 3];
    server.signed_in(neighbour, "anna");
    for (from, codes) in [(neighbour, [0, 0xfbd1]), ([127, 0, 0, 9], [0, 0])] {
        for code in codes {
            let mut client = server.connect(from);
            client.request(dsi::GET_STATUS, &[]).unwrap();
            assert_eq!(reply(&mut client).code, code, "{from:?}");
            is_ended(&mut client);
        }
    }
    // Within a session that nobody is signed in on, too.
    let mut within = server.open(neighbour);
    within.request(dsi::GET_STATUS, &[]).unwrap();
    assert_eq!(reply(&mut within).code, 0xfbd1);
    assert_eq!(log_in(&mut within, "anna", PASSWORD), 0);
    within.request(dsi::GET_STATUS, &[]).unwrap();
    assert_eq!(reply(&mut within).code, 0);
}

/// The names of the UAMs in a server information block.
fn uams(block: &[u8]) -> usize {
    let at = usize::from(u16::from_be_bytes([block[4], block[5]]));
    usize::from(block[at])
}

#[test]
fn what_is_offered_follows_the_network() {
    let server = Server::start(
        "[[network]]\ncidr = \"127.0.0.2\"\nuams = []\n[[network]]\ncidr = \"127.0.0.0/24\"\nuams = [\"SRP\"]\n\
         [[network]]\ncidr = \"127.0.0.0/8\"\nuams = []\n",
    );
    for (from, offered) in [([127, 0, 0, 2], 0), ([127, 0, 0, 3], 1), ([127, 0, 1, 1], 0)] {
        let mut client = server.connect(from);
        client.request(dsi::GET_STATUS, &[]).unwrap();
        assert_eq!(uams(&reply(&mut client).payload), offered, "{from:?}");
        let code = log_in(&mut server.open(from), "anna", PASSWORD);
        assert_eq!(code, if offered == 1 { 0 } else { -5002 }, "{from:?}");
    }
}

/// With the store locked by somebody else each login waits a quarter of a second: one is computed, two wait, the others are told at once,
/// and a session's call is answered while they wait.
#[test]
fn the_login_queue_is_bounded_and_sessions_do_not_wait_for_it() {
    let directory = tempfile::tempdir().unwrap();
    let verifiers = directory.path().join("verifiers");
    let store = format!("[store]\nformat = \"netatalk-file\"\npath = {verifiers:?}\n");
    let server = Server::start("");
    let export = ["user", "export", "netatalk-file"];
    let exported = Command::new(env!("CARGO_BIN_EXE_afpd-rs"))
        .args(export)
        .arg(&verifiers)
        .args(place(server.directory.path()))
        .status();
    assert!(exported.unwrap().success());
    server.settings(&format!("{store}[limits]\nlogin_threads = 1\nlogin_queue = 2\n"));
    server.signal(Signal::HUP);
    server.logs("read again", 1);
    let mut session = server.signed_in(OWNER, "anna");
    let mut waiting: Vec<_> = (0..10).map(|_| server.open(STRANGER)).collect();
    // Just changed, so that it is read at each login.
    fs::write(&verifiers, fs::read(&verifiers).unwrap()).unwrap();
    let locked = File::options().read(true).write(true).open(&verifiers).unwrap();
    fcntl_lock(&locked, FlockOperation::NonBlockingLockExclusive).unwrap();
    for client in &mut waiting {
        client.request(dsi::COMMAND, &LoginExt::new(b"anna").bytes()).unwrap();
    }
    let (tell, told) = mpsc::channel();
    for mut client in waiting {
        let tell = tell.clone();
        thread::spawn(move || tell.send(reply(&mut client).code).ok());
    }
    drop(tell);
    assert_eq!(told.recv(), Ok(-1068), "the first to hear is one who is refused");
    is_served(&mut session);
    let served = Instant::now();
    let mut codes = vec![-1068];
    codes.extend(told.iter());
    assert!(served.elapsed() > Duration::from_millis(100), "the call was not answered before the logins");
    // The first may still be in the queue when the second comes.
    let refused = codes.iter().filter(|code| **code == -1068).count();
    assert!((7..=8).contains(&refused), "{codes:?}");
    assert_eq!(codes.iter().filter(|code| **code == -5001).count(), 10 - refused, "{codes:?}");
}

#[test]
fn figures_count_what_happened() {
    let mut server = Server::start("[metrics]\nlisten = \"127.0.0.1:0\"\n");
    let figures_at = server.figures_at();
    let _session = server.signed_in(OWNER, "anna");
    let _stranger = server.connect(STRANGER);
    for (name, password, code) in [("anna", "wrong", -6754), ("anna", "wrong", -6754), ("nobody", "x", -5023)] {
        assert_eq!(log_in(&mut server.open(STRANGER), name, password), code);
    }
    let mut abandoning = server.open(STRANGER);
    abandoning.request(dsi::COMMAND, &LoginExt::new(b"anna").bytes()).unwrap();
    assert_eq!(reply(&mut abandoning).code, -5001);
    drop(abandoning);
    let mut oversize = server.open(STRANGER);
    oversize.send(&Frame::request(dsi::COMMAND, 1, &[]).bytes_announcing(5000)).unwrap();
    is_ended(&mut oversize);
    let mut status = server.connect(STRANGER);
    status.request(dsi::GET_STATUS, &[]).unwrap();
    assert_eq!(reply(&mut status).code, 0);
    drop(status);

    let expected = [
        ("afpd_connections{state=\"signed-in\"}", 1.0),
        ("afpd_connections{state=\"stranger\"}", 1.0),
        ("afpd_connections_accepted_total", 8.0),
        ("afpd_logins_total{outcome=\"signed-in\",reason=\"proof-verified\"}", 1.0),
        ("afpd_logins_total{outcome=\"refused\",reason=\"wrong-password\"}", 2.0),
        ("afpd_logins_total{outcome=\"refused\",reason=\"unknown-name\"}", 1.0),
        ("afpd_logins_total{outcome=\"abandoned\",reason=\"no-proof\"}", 1.0),
        ("afpd_login_proof_forms_total{form=\"strip\"}", 1.0),
        ("afpd_frames_refused_total{rule=\"length\"}", 1.0),
        ("afpd_status_probes_total{outcome=\"served\"}", 1.0),
        ("afpd_login_queue", 0.0),
        ("afpd_login_compute_seconds_count{round=\"challenge\"}", 5.0),
        ("afpd_login_compute_seconds_count{round=\"proof\"}", 3.0),
        ("afpd_login_wait_seconds_count", 8.0),
        (concat!("afpd_build_info{version=\"", env!("CARGO_PKG_VERSION"), "\"}"), 1.0),
    ];
    // The server learns of the ends of connections in its own time.
    let figures = until(|| {
        let figures = fetch(TcpStream::connect(figures_at).unwrap());
        let wrong = expected.iter().find(|(series, number)| (value(&figures, series) - number).abs() > 0.1);
        wrong.map_or(Ok(figures.clone()), |wrong| Err(format!("{wrong:?} in\n{figures}")))
    });
    // As OpenMetrics has it: comments, then series with a number behind them, then the end.
    assert!(figures.ends_with("# EOF\n"));
    for line in figures.lines().filter(|line| !line.starts_with("# ")) {
        let (series, number) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
        assert!(series.starts_with("afpd_") && number.parse::<f64>().is_ok(), "{line}");
        assert!(!line.contains("anna") && !line.contains("127.0.0"), "{line}");
    }
    let mut other = TcpStream::connect(figures_at).unwrap();
    other.write_all(b"GET / HTTP/1.1\r\n\r\n").unwrap();
    let mut answer = String::new();
    other.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 404 "), "{answer}");
}

#[test]
fn figures_for_people() {
    let directory = tempfile::tempdir().unwrap();
    let socket = directory.path().join("metrics");
    let settings = format!("[metrics]\nlisten = {:?}\n", format!("unix:{}", socket.display()));
    let server = Server::start(&settings);
    let _session = server.signed_in(OWNER, "anna");
    let stats = |server: &Server| {
        let run =
            Command::new(env!("CARGO_BIN_EXE_afpd-rs")).arg("stats").args(place(server.directory.path())).output();
        let run = run.unwrap();
        (run.status.code().unwrap(), String::from_utf8(run.stdout).unwrap(), String::from_utf8(run.stderr).unwrap())
    };
    let (code, page, _) = stats(&server);
    assert_eq!(code, 0);
    for line in [
        "Connections now, by state",
        "  signed-in                                1",
        "  signed-in, proof-verified                1",
        "  proof                                    1, mean ",
    ] {
        assert!(page.contains(line), "{line:?} is not in\n{page}");
    }
    assert!(fetch(UnixStream::connect(&socket).unwrap()).contains("afpd_connections"));
    let mode = std::os::unix::fs::MetadataExt::mode(&fs::metadata(&socket).unwrap());
    assert_eq!(mode & 0o777, 0o660);
    // One that was killed leaves its socket behind; the next one takes its place.
    server.signal(Signal::KILL);
    until(|| UnixStream::connect(&socket).err().map(|_| ()).ok_or_else(|| "it lives".to_owned()));
    let (code, _, error) = stats(&server);
    assert!(code == 5 && error.contains("is the server running"), "{code} {error}");
    let next = Server::start(&settings);
    assert_eq!(stats(&next).0, 0);
    next.settings("");
    let (code, _, error) = stats(&next);
    assert!(code == 3 && error.contains("metrics.listen"), "{code} {error}");
}

#[test]
fn a_flood_of_refused_logins_is_counted_in_the_log() {
    let server = Server::start("[log]\nlines_per_minute = 3\n");
    for _ in 0..20 {
        assert_eq!(log_in(&mut server.open(STRANGER), "nobody", "x"), -5023);
    }
    assert_eq!(log_in(&mut server.open(OWNER), "nobody", "x"), -5023);
    for _ in 0..5 {
        server.signed_in(OWNER, "anna");
    }
    let log = server.end();
    let lines = |of: &str| log.lines().filter(|line| line.contains(of)).count();
    assert_eq!((lines("peer=127.0.0.2"), lines("outcome=\"refused\"")), (3, 4), "{log}");
    assert_eq!(lines("outcome=\"signed-in\""), 5, "{log}");
    assert_eq!(lines("repeated: 17 more"), 1, "{log}");
}

#[test]
fn settings_change_without_a_session_ending() {
    let server = Server::start("");
    let mut session = server.signed_in(OWNER, "anna");
    let mut other = server.open(OWNER);
    let another_place = tempfile::tempdir().unwrap();
    fs::write(another_place.path().join("settings.toml"), "").unwrap();
    add_account(another_place.path(), "bert");
    let accounts = another_place.path().join("state/accounts");
    server.settings(&format!(
        "[store]\npath = {accounts:?}\n[limits]\nmax_strangers = 1\n[log]\nlevel = \"debug\"\n[[network]]\ncidr = \"127.0.0.2\"\nuams = []\n"
    ));
    server.signal(Signal::HUP);
    let log = server.logs("settings and accounts read again", 1);
    assert!(!log.contains("session opened"), "debug lines came later: {log}");
    is_served(&mut session);
    is_heard_or_ended(&mut other);
    assert_eq!(log_in(&mut server.open(STRANGER), "bert", PASSWORD), -5002);
    assert_eq!(log_in(&mut server.open(OWNER), "anna", PASSWORD), -5023);
    let mut bert = server.signed_in(OWNER, "bert");
    server.logs("session opened", 1);
    let mut one = server.connect(OWNER);
    let two = server.connect(OWNER);
    is_ended(&mut one);
    drop(two);

    // Neither a wrong file nor a right one that cannot be followed changes anything, not even a part of it.
    for (round, wrong) in [
        "[log]\nlevel = \"off\"\n[limits]\nmax_sessions = 0\n",
        "[log]\nlevel = \"off\"\n[store]\npath = \"/nonexistent/accounts\"\n",
    ]
    .into_iter()
    .enumerate()
    {
        server.settings(wrong);
        server.signal(Signal::HUP);
        let log = server.logs("reload failed, the settings in force stay", round + 1);
        assert!(log.contains(["settings.toml:4:16: limits.max_sessions", "/nonexistent/accounts"][round]), "{log}");
        is_served(&mut session);
        is_served(&mut bert);
        let debug_lines = server.log().matches("session opened").count();
        server.signed_in(OWNER, "bert");
        server.logs("session opened", debug_lines + 1);
    }
    server.settings("");
    server.signal(Signal::HUP);
    server.logs("settings and accounts read again", 2);
    assert_eq!(log_in(&mut server.open(STRANGER), "anna", PASSWORD), 0);
    is_served(&mut session);
}

/// One stranger may stay, and it may be this one.
fn is_heard_or_ended(client: &mut Client) {
    assert_eq!(log_in(client, "anna", PASSWORD), 0, "it keeps the store it began with");
}

/// A shell that lowers the limits of open files, soft and hard, and becomes the program.
fn with_files(soft: u64, hard: u64) -> [String; 4] {
    let script = format!("ulimit -S -n {soft} && ulimit -H -n {hard} && exec \"$0\" \"$@\"");
    ["sh".to_owned(), "-c".to_owned(), script, String::new()]
}

fn start_with_files(soft: u64, hard: u64, settings: &str) -> Server {
    let [shell, option, script, _] = with_files(soft, hard);
    Server::start_by(&[&shell, &option, &script], settings)
}

#[test]
fn the_soft_limit_of_open_files_is_raised() {
    let server = start_with_files(100, 900, "");
    let limits = fs::read_to_string(format!("/proc/{}/limits", server.child.id())).unwrap();
    let line = limits.lines().find(|line| line.starts_with("Max open files")).unwrap();
    assert_eq!(line.split_whitespace().skip(3).take(2).collect::<Vec<_>>(), ["900", "900"]);
    // What does not fit is said.
    server.logs("are 2000 connections, and this process may have 836", 1);
}

/// Fewer descriptors than the budgets would take: strangers make room before the last one is gone, and logins, which read files, work.
#[test]
fn descriptors_are_kept_for_logins() {
    let server = start_with_files(60, 60, "[limits]\nexempt = [\"127.0.0.0/8\"]\n");
    let mut session = server.signed_in(OWNER, "anna");
    let _silent: Vec<_> = (0..200).map(|_| server.connect(STRANGER)).collect();
    for _ in 0..5 {
        server.signed_in(OWNER, "anna");
    }
    is_served(&mut session);
    let log = server.end();
    assert!(!log.contains("cannot accept"), "{log}");
}

/// No descriptor is left for another connection: accepting pauses, the log says so in few lines, the processor rests, sessions are served,
/// and when there are descriptors again there is service again.
#[test]
fn without_descriptors_accepting_pauses() {
    let free = Server::start("");
    let open = fs::read_dir(format!("/proc/{}/fd", free.child.id())).unwrap().count() as u64;
    drop(free);
    let server =
        start_with_files(open + 4, open + 4, "[limits]\nexempt = [\"127.0.0.0/8\"]\n[log]\nlines_per_minute = 5\n");
    let mut session = server.signed_in(OWNER, "anna");
    let silent: Vec<_> = (0..100).map(|_| server.connect(STRANGER)).collect();
    server.logs("cannot accept connections for the moment", 2);
    server.rests_and_serves(&mut session, Duration::from_secs(1));
    drop(silent);
    until(|| {
        let mut client = server.connect(OWNER);
        // It may be sent away for another one.
        client.request(dsi::OPEN_SESSION, &[]).map_err(|error| error.to_string())?;
        match client.hear_within(Duration::from_secs(1)) {
            Ok(Heard::Frame(frame)) if frame.code == 0 && log_in(&mut client, "anna", PASSWORD) == 0 => Ok(()),
            other => Err(format!("{other:?}")),
        }
    });
    is_served(&mut session);
    let log = server.end();
    let lines = log.matches("cannot accept connections for the moment").count();
    assert!((2..=10).contains(&lines), "{lines} lines: {log}");
}
