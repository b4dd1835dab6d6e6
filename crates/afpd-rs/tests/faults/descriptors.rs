//! No descriptor is left, from one moment to the next: neither for a connection nor for the store's files. tests/door.rs has the server
//! that was started with few, and the flood of strangers.

use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit, getrlimit, prlimit};

use crate::server::{OWNER, PASSWORD, STRANGER, Server, is_ended, is_served, log_in, until};

#[test]
fn without_descriptors_nobody_is_let_in_and_nobody_is_lost() {
    let server = Server::start("");
    let mut session = server.signed_in(OWNER, "anna");
    let mut opened = server.open(STRANGER);
    let hard = getrlimit(Resource::Nofile).maximum;
    let allow = |soft: u64| {
        let limit = Rlimit { current: Some(soft), maximum: hard };
        prlimit(Some(Pid::from_child(&server.child)), Resource::Nofile, limit).unwrap();
    };
    // What is open stays open.
    allow(0);

    // The accounts cannot be read now: that is said, and it is no wrong password.
    assert_eq!(log_in(&mut opened, "anna", PASSWORD), -5023);
    is_ended(&mut opened);
    server.logs("the verifier store cannot be read", 1);
    server.logs("Too many open files", 1);
    // Nor is there one for a connection, and no stranger whose place could be had.
    drop(opened);
    let mut waiting: Vec<_> = (0..3).map(|_| server.connect(STRANGER)).collect();
    server.logs("cannot accept connections for the moment", 1);
    server.rests_and_serves(&mut session, Duration::from_millis(500));

    allow(1000);
    waiting.clear();
    until(|| {
        let mut client = server.connect(OWNER);
        crate::server::open(&mut client);
        match log_in(&mut client, "anna", PASSWORD) {
            0 => Ok(()),
            code => Err(format!("{code}")),
        }
    });
    is_served(&mut session);
    drop(session);
    server.end();
}
