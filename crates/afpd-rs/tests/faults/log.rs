//! A log that nobody takes: the server neither waits for it nor ends.

use std::fs::{File, OpenOptions};
use std::io::{PipeReader, Read, pipe};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::server::{OWNER, PASSWORD, STRANGER, Server, home, is_served, log_in, program};

const SETTINGS: &str =
    "[log]\nlevel = \"debug\"\n[limits]\nexempt = [\"127.0.0.0/8\"]\n[attempts]\nexempt = [\"127.0.0.2\"]\n";

/// A pipe, and a server whose log goes into it.
fn into_a_pipe() -> (PipeReader, Server) {
    let (reader, writer) = pipe().unwrap();
    let home = home(SETTINGS);
    let log = home.path().join("none");
    let server = Server::start_with_log(&home, program(&[]), writer.into(), log);
    (reader, server)
}

/// Some 400 lines of about 150 bytes: more than the pipe's 64 KiB.
fn logins(server: &Server) {
    for _ in 0..100 {
        assert_eq!(log_in(&mut server.open(STRANGER), "nobody", "x"), -5023);
    }
}

/// It ends in order, and at once.
fn ends(mut server: Server) {
    let began = Instant::now();
    server.signal(Signal::TERM);
    assert_eq!(server.child.wait().unwrap().code(), Some(0));
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[test]
fn a_log_that_nobody_reads_holds_up_nobody() {
    let (mut reader, server) = into_a_pipe();
    let mut session = server.signed_in(OWNER, "anna");
    for _ in 0..15 {
        logins(&server);
    }
    is_served(&mut session);
    drop(server.signed_in(OWNER, "anna"));
    // Somebody reads again: the lines that waited come, and what is missing is said.
    let (all_read, told) = std::sync::mpsc::channel();
    let reading = thread::spawn(move || {
        let mut log = Vec::new();
        let mut buffer = [0; 4096];
        while let Ok(got @ 1..) = reader.read(&mut buffer) {
            log.extend_from_slice(&buffer[..got]);
            if log.windows(22).any(|window| window == b"lines are missing here") {
                all_read.send(()).ok();
            }
        }
        String::from_utf8(log).unwrap()
    });
    told.recv_timeout(Duration::from_secs(10)).expect("nothing said of missing lines");
    drop(server.signed_in(OWNER, "anna"));
    is_served(&mut session);
    drop(session);
    ends(server);
    let log = reading.join().unwrap();
    let (before, after) = log.split_once("lines are missing here").unwrap();
    assert!(before.contains("session opened") && after.contains("outcome=\"signed-in\""), "{after}");
    assert!(after.contains("going down"), "{after}");
}

/// As long as it is not read: the end does not wait for it.
#[test]
fn the_end_waits_for_no_reader() {
    let (_reader, server) = into_a_pipe();
    for _ in 0..5 {
        logins(&server);
    }
    drop(server.signed_in(OWNER, "anna"));
    ends(server);
}

#[test]
fn a_log_that_cannot_be_written_ends_nothing() {
    // Its reader has gone.
    let (reader, server) = into_a_pipe();
    drop(reader);
    logins(&server);
    drop(server.signed_in(OWNER, "anna"));
    ends(server);

    // Its disk is full.
    let home = home(SETTINGS);
    let full: File = OpenOptions::new().write(true).open("/dev/full").unwrap();
    let server = Server::start_with_log(&home, program(&[]), full.into(), home.path().join("none"));
    logins(&server);
    drop(server.signed_in(OWNER, "anna"));
    ends(server);

    // It was closed before the start.
    let server = Server::start_by(&["sh", "-c", "exec \"$0\" \"$@\" 2>&-"], SETTINGS);
    logins(&server);
    drop(server.signed_in(OWNER, "anna"));
    ends(server);
}

/// Standard output has the ports, once; nobody reads what is closed, and nobody needs it.
#[test]
fn without_standard_output_it_serves() {
    let home = home("[server]\nname = \"x\"\n");
    let log = File::create(home.path().join("log")).unwrap();
    let mut command: Command = program(&["sh", "-c", "exec \"$0\" \"$@\" >&-"]);
    let listener = std::net::TcpListener::bind("127.0.0.3:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let mut child = command
        .args(["serve", "--listen", &address.to_string()])
        .args(crate::server::place(home.path()))
        .stderr(log)
        .spawn()
        .unwrap();
    let mut client = crate::server::until(|| {
        testkit::client::Client::connect(address).map_err(|error| format!("{address}: {error}"))
    });
    crate::server::open(&mut client);
    assert_eq!(log_in(&mut client, "anna", PASSWORD), 0);
    drop(client);
    rustix::process::kill_process(rustix::process::Pid::from_child(&child), Signal::TERM).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(0));
}
