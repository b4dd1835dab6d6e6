//! A disk that takes nothing more. Nobody's account is lost, whom the server knows goes on, and when there is room all is well again.
//!
//! Without root a limit of 0 bytes for each written file stands for it (RLIMIT_FSIZE); `make faults` fills up a real file system, and makes it
//! read-only.

use std::env;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use rustix::process::Signal;
use tempfile::TempDir;

use crate::server::{
    OWNER, PASSWORD, STRANGER, Server, add_account, home, is_served, log_in, names, program, run, run_with, user,
    write_settings,
};

/// Under this no file can be written; sockets and pipes can.
const NO_ROOM: &[&str] = &["sh", "-c", "trap '' XFSZ; ulimit -f 0; exec \"$0\" \"$@\""];
/// What is said when nothing can be counted.
const UNCOUNTED: &str = "failed logins cannot be counted";
const SOMEBODY_ELSE: [u8; 4] = [127, 0, 0, 3];

fn attempt(server: &Server, from: [u8; 4], name: &str, password: &str) -> i32 {
    log_in(&mut server.open(from), name, password)
}

/// The account's files, name by name.
fn stored(directory: &Path) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<_> =
        fs::read_dir(directory.join("state/accounts")).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|file| (file.clone(), fs::read(file).unwrap())).collect()
}

/// Neither a new account nor a new password: each is refused with a reason, and the accounts are as they were.
fn changes_are_refused(directory: &Path, command: impl Fn() -> Command, reason: &str) {
    let before = stored(directory);
    for arguments in [&["user", "add", "carl", "--password-stdin"][..], &["user", "passwd", "anna", "--password-stdin"]]
    {
        let ended = run_with(command(), directory, arguments, "another");
        let said = String::from_utf8(ended.stderr).unwrap();
        assert!(!ended.status.success(), "{arguments:?} went through");
        let says = said.contains("accounts") && said.contains("cannot") && said.contains(reason);
        assert!(says, "{arguments:?}: {said}");
    }
    let after = stored(directory);
    // A lock file, empty, may be new.
    let accounts =
        |files: Vec<(PathBuf, Vec<u8>)>| files.into_iter().filter(|(_, bytes)| !bytes.is_empty()).collect::<Vec<_>>();
    assert_eq!(accounts(after), accounts(before));
}

#[test]
fn without_room_accounts_stay_and_known_addresses_go_on() {
    let directory = home("");
    add_account(directory.path(), "bert");
    let server = Server::start_in(&directory, program(&[]));
    drop(server.signed_in(OWNER, "anna"));
    server.end();

    // Its log is a file, too, of which nothing can be written; so it is heard over a pipe.
    let (reader, writer) = std::io::pipe().unwrap();
    let server = Server::start_with_log(&directory, program(NO_ROOM), writer.into(), directory.path().join("none"));
    let mut session = server.signed_in(OWNER, "anna");
    for _ in 0..3 {
        assert_eq!(attempt(&server, OWNER, "anna", PASSWORD), 0);
        assert_eq!(attempt(&server, STRANGER, "anna", PASSWORD), -6754, "nobody has signed in from there");
        assert_eq!(attempt(&server, OWNER, "bert", PASSWORD), -6754, "nor as bert");
    }
    // From where anna is known, her failures count all the same.
    for _ in 0..5 {
        assert_eq!(attempt(&server, OWNER, "anna", "wrong"), -6754);
    }
    assert_eq!(attempt(&server, OWNER, "anna", PASSWORD), -6754);
    changes_are_refused(directory.path(), || program(NO_ROOM), "File too large");
    is_served(&mut session);
    drop(session);
    server.signal(Signal::TERM);
    let log = std::io::read_to_string(reader).unwrap();
    assert_eq!(log.matches(UNCOUNTED).count(), 1, "once a minute: {log}");
    assert!(log.contains("cannot write") && log.contains(".tally"), "{log}");
    drop(server);

    // A first start, which has to write its state, says what it could not.
    let fresh = home("");
    let start = run_with(program(NO_ROOM), fresh.path(), &["serve", "--listen", "127.0.0.1:0"], "");
    let said = String::from_utf8(start.stderr).unwrap();
    assert!(!start.status.success() && said.contains("state") && said.contains("File too large"), "{said}");

    // With room again everything is there.
    for directory in [&directory, &fresh] {
        let server = Server::start_in(directory, program(&[]));
        assert_eq!(attempt(&server, STRANGER, "anna", PASSWORD), 0);
        server.end();
    }
    assert_eq!(names(directory.path()), ["anna", "bert"]);
}

/// A directory on the small file system that interop/faults.sh has mounted.
fn small() -> (PathBuf, Arc<TempDir>) {
    let mount = PathBuf::from(env::var_os("AFP_FAULTS_TMPFS").expect("AFP_FAULTS_TMPFS names a small file system"));
    let directory = TempDir::new_in(&mount).unwrap();
    write_settings(directory.path(), "[log]\nlevel = \"debug\"\n");
    add_account(directory.path(), "anna");
    (mount, Arc::new(directory))
}

/// Writes until there is no byte left, and tells what has to be removed.
fn fill(mount: &Path) -> PathBuf {
    let filler = mount.join("filler");
    let mut file = OpenOptions::new().create(true).append(true).open(&filler).unwrap();
    for size in [4096, 1] {
        while file.write_all(&vec![1; size]).is_ok() {}
    }
    filler
}

/// One that is full: state, accounts, tally and log are on it.
#[test]
#[ignore = "needs a small file system: interop/faults.sh mounts one"]
fn on_a_full_file_system_the_server_goes_on() {
    let (mount, directory) = small();
    let server = Server::start_in(&directory, program(&[]));
    let mut session = server.signed_in(OWNER, "anna");
    add_account(directory.path(), "bert");
    let filler = fill(&mount);

    // Whoever has a tally is counted in it, in place.
    for from in [OWNER, STRANGER] {
        assert_eq!(attempt(&server, from, "anna", "wrong"), -6754);
        assert_eq!(attempt(&server, from, "anna", PASSWORD), 0);
    }
    // Who has none, and no address that is known, cannot be.
    assert_eq!(attempt(&server, OWNER, "bert", PASSWORD), -6754);
    changes_are_refused(directory.path(), || program(&[]), "No space left");
    // A start finds its state; a first start says what it could not write.
    let (reader, writer) = std::io::pipe().unwrap();
    let second = Server::start_with_log(&directory, program(&[]), writer.into(), "none".into());
    for _ in 0..3 {
        assert_eq!(attempt(&second, OWNER, "anna", PASSWORD), 0);
        assert_eq!(attempt(&second, OWNER, "bert", PASSWORD), -6754);
    }
    second.signal(Signal::TERM);
    let log = std::io::read_to_string(reader).unwrap();
    assert_eq!(log.matches(UNCOUNTED).count(), 1, "once a minute: {log}");
    assert!(log.contains("No space left"), "{log}");
    let fresh = TempDir::new_in(&mount).unwrap();
    write_settings(fresh.path(), "");
    let start = run(fresh.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8(start.stderr).unwrap();
    assert!(!start.status.success() && said.contains("No space left"), "{said}");
    // The log cannot be written for long, and holds up nobody.
    for _ in 0..100 {
        drop(server.open(STRANGER));
    }
    is_served(&mut session);

    fs::remove_file(filler).unwrap();
    assert_eq!(attempt(&server, OWNER, "bert", PASSWORD), 0);
    let changed = user(directory.path(), &["passwd", "anna"], "new");
    assert!(changed.status.success(), "{changed:?}");
    assert_eq!([attempt(&server, OWNER, "anna", "new"), attempt(&server, OWNER, "anna", PASSWORD)], [0, -6754]);
    server.logs("lines are missing here", 1);
    assert_eq!(names(directory.path()), ["anna", "bert"]);
    is_served(&mut session);
    drop(session);
    server.end();
}

/// One that is read-only, as after an error of the disk.
#[test]
#[ignore = "needs a file system of its own: interop/faults.sh mounts one"]
fn on_a_read_only_file_system_known_addresses_go_on() {
    let (mount, directory) = small();
    let remount = |how: &str| {
        let mounted = Command::new("mount").args(["-o", &format!("remount,{how}")]).arg(&mount).output().unwrap();
        assert!(mounted.status.success(), "{mounted:?}");
    };
    let (reader, writer) = std::io::pipe().unwrap();
    let server = Server::start_with_log(&directory, program(&[]), writer.into(), "none".into());
    let mut session = server.signed_in(OWNER, "anna");
    add_account(directory.path(), "bert");
    remount("ro");
    for _ in 0..3 {
        assert_eq!(attempt(&server, OWNER, "anna", PASSWORD), 0);
        assert_eq!(attempt(&server, SOMEBODY_ELSE, "anna", PASSWORD), -6754);
        assert_eq!(attempt(&server, OWNER, "bert", PASSWORD), -6754);
    }
    changes_are_refused(directory.path(), || program(&[]), "Read-only file system");
    is_served(&mut session);
    remount("rw");
    assert_eq!([attempt(&server, SOMEBODY_ELSE, "anna", PASSWORD), attempt(&server, OWNER, "bert", PASSWORD)], [0, 0]);
    assert_eq!(names(directory.path()), ["anna", "bert"]);
    is_served(&mut session);
    drop(session);
    server.signal(Signal::TERM);
    let log = std::io::read_to_string(reader).unwrap();
    assert_eq!(log.matches(UNCOUNTED).count(), 1, "once a minute: {log}");
}
