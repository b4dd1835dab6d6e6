//! The account store taken away, replaced, or written half by somebody else, under a running server. Sessions go on; who can be read can log in;
//! the log says what is wrong, and when it is mended nothing needs to be restarted.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::Path;
use std::process::Command;
use std::time::UNIX_EPOCH;

use rustix::process::Signal;

use crate::server::{
    OWNER, PASSWORD, STRANGER, Server, add_account, home, is_served, log_in, names, program, run, until, user,
};

/// Refused without a challenge.
const NO_RECORD: i32 = -5023;

/// The accounts "anna" and "bert", and where they are.
fn server() -> (Server, std::path::PathBuf) {
    let server = Server::start("");
    add_account(server.directory.path(), "bert");
    let accounts = server.path("state/accounts");
    (server, accounts)
}

fn logs_in(server: &Server, name: &str) -> i32 {
    log_in(&mut server.open(OWNER), name, PASSWORD)
}

/// Waits until the file's last change is so long ago that the server relies on what it has read of it (3 s), and has it read.
fn is_settled(server: &Server, file: &Path) {
    let changed = fs::metadata(file).unwrap().ctime();
    until(|| {
        let now = i64::try_from(UNIX_EPOCH.elapsed().unwrap().as_secs()).unwrap();
        if now > changed + 3 { Ok(()) } else { Err(format!("{} is {} s old", file.display(), now - changed)) }
    });
    assert_eq!(logs_in(server, "anna"), 0);
}

/// Everybody is there and can log in: nothing was lost.
fn is_whole(server: &Server) {
    assert_eq!([logs_in(server, "anna"), logs_in(server, "bert")], [0, 0], "{}", server.log());
    assert_eq!(names(server.directory.path()), ["anna", "bert"]);
}

/// Each of these makes the whole store unusable; the log names it and says why.
#[test]
fn a_store_that_cannot_be_used_is_back_when_it_is_mended() {
    type Change = fn(&Path, &Path);
    let away = |accounts: &Path, aside: &Path| fs::rename(accounts, aside).unwrap();
    let back: Change = |accounts, aside| fs::rename(aside, accounts).unwrap();
    let faults: [(&str, Change, Change); 4] = [
        ("there is no verifier store", away, back),
        (
            "not a directory",
            |accounts, aside| {
                fs::rename(accounts, aside).unwrap();
                fs::write(accounts, "in the way").unwrap();
            },
            |accounts, aside| {
                fs::remove_file(accounts).unwrap();
                fs::rename(aside, accounts).unwrap();
            },
        ),
        (
            "chmod",
            |accounts, _| fs::set_permissions(accounts, Permissions::from_mode(0o777)).unwrap(),
            |accounts, _| fs::set_permissions(accounts, Permissions::from_mode(0o700)).unwrap(),
        ),
        (
            "symbolic link",
            |accounts, aside| {
                fs::rename(accounts, aside).unwrap();
                std::os::unix::fs::symlink("accounts", accounts).unwrap();
            },
            |accounts, aside| {
                fs::remove_file(accounts).unwrap();
                fs::rename(aside, accounts).unwrap();
            },
        ),
    ];
    let (server, accounts) = server();
    let mut session = server.signed_in(OWNER, "anna");
    for (said, fault, mend) in faults {
        fault(&accounts, &server.path("aside"));
        let before = server.log().len();
        assert_eq!([logs_in(&server, "anna"), logs_in(&server, "nobody")], [NO_RECORD; 2], "{said}");
        is_served(&mut session);
        server.says_after(before, &["verifier store cannot be read", "accounts", said]);
        // What is in force stays in force.
        server.signal(Signal::HUP);
        server.says_after(before, &["reload failed, the settings in force stay"]);
        mend(&accounts, &server.path("aside"));
        is_whole(&server);
        is_served(&mut session);
    }
    drop(session);
    server.end();
}

#[test]
fn another_store_in_its_place_is_in_force_at_once() {
    let (server, accounts) = server();
    let mut session = server.signed_in(OWNER, "anna");
    let other = home("");
    add_account(other.path(), "carl");
    let changed = user(other.path(), &["passwd", "anna"], "another password");
    assert!(changed.status.success(), "{changed:?}");
    fs::rename(&accounts, server.path("aside")).unwrap();
    fs::rename(other.path().join("state/accounts"), &accounts).unwrap();
    assert_eq!(logs_in(&server, "carl"), 0);
    assert_eq!([logs_in(&server, "anna"), logs_in(&server, "bert")], [-6754, NO_RECORD]);
    assert_eq!(log_in(&mut server.open(OWNER), "anna", "another password"), 0);
    is_served(&mut session);
    fs::rename(&accounts, other.path().join("state/accounts")).unwrap();
    fs::rename(server.path("aside"), &accounts).unwrap();
    is_whole(&server);
    assert_eq!(logs_in(&server, "carl"), NO_RECORD);
    is_served(&mut session);
    drop(session);
    server.end();
}

/// An account's file is written in place and not to its end. Nobody gets in by half a record; the others are not concerned.
#[test]
fn half_an_account_keeps_out_that_account_alone() {
    let (server, accounts) = server();
    let mut session = server.signed_in(OWNER, "anna");
    let file = accounts.join("anna.toml");
    let whole = fs::read(&file).unwrap();
    let verifier = whole.windows(8).position(|window| window == b"verifier").unwrap();
    is_settled(&server, &file);
    for length in [0, 1, whole.len() / 3, verifier + 100, whole.len() - 40] {
        let before = server.log().len();
        fs::write(&file, &whole[..length]).unwrap();
        assert_eq!([logs_in(&server, "anna"), logs_in(&server, "bert")], [NO_RECORD, 0], "{length} bytes");
        is_served(&mut session);
        server.says_after(before, &["the record of account \\\"anna\\\" cannot be used"]);
        // A reload tells of it, too, and goes through: it is one account.
        server.signal(Signal::HUP);
        server.says_after(before, &["anna.toml", "settings and accounts read again"]);
        assert_eq!([logs_in(&server, "anna"), logs_in(&server, "bert")], [NO_RECORD, 0], "{length} bytes, reloaded");
    }
    fs::write(&file, &whole).unwrap();
    is_whole(&server);
    is_served(&mut session);
    drop(session);
    server.end();
}

/// Netatalk's file, which afppasswd rewrites in place: cut off anywhere, those whose line is whole can log in.
#[test]
fn half_of_netatalks_file_keeps_out_whose_line_is_cut() {
    let directory = home("");
    add_account(directory.path(), "bert");
    let verifiers = directory.path().join("verifiers");
    let exported = run(directory.path(), &["user", "export", "netatalk-file", verifiers.to_str().unwrap()]);
    assert!(exported.status.success(), "{exported:?}");
    crate::server::write_settings(
        directory.path(),
        &format!("[store]\nformat = \"netatalk-file\"\npath = {verifiers:?}\n"),
    );
    let server = Server::start_in(&directory, program(&[]));
    let mut session = server.signed_in(OWNER, "anna");
    let whole = fs::read(&verifiers).unwrap();
    let first_line = whole.iter().position(|byte| *byte == b'\n').unwrap() + 1;
    assert!(whole.starts_with(b"anna:"));
    is_settled(&server, &verifiers);
    for (length, codes) in [
        (0, [NO_RECORD, NO_RECORD]),
        (first_line - 100, [NO_RECORD, NO_RECORD]),
        (first_line, [0, NO_RECORD]),
        (whole.len() - 100, [0, NO_RECORD]),
        (whole.len(), [0, 0]),
    ] {
        fs::write(&verifiers, &whole[..length]).unwrap();
        assert_eq!([logs_in(&server, "anna"), logs_in(&server, "bert")], codes, "{length} of {} bytes", whole.len());
        is_served(&mut session);
    }
    is_whole(&server);
    drop(session);
    server.end();
}

/// Permissions that do bite: the server runs as another user than root.
#[test]
#[ignore = "needs root: the server runs as nobody"]
fn what_may_not_be_read_is_said() {
    const NOBODY: u32 = 65534;
    let directory = home("");
    add_account(directory.path(), "bert");
    // It writes into its state, and is let through to it.
    let give = Command::new("chown").args(["-R", "nobody", "."]).current_dir(directory.path()).status().unwrap();
    assert!(give.success());
    let server = Server::start_in(
        &directory,
        program(&["setpriv", "--reuid", "nobody", "--regid", "nogroup", "--clear-groups", "--inh-caps=-all"]),
    );
    let mut session = server.signed_in(OWNER, "anna");
    let accounts = server.path("state/accounts");
    let (file, tally) = (accounts.join("anna.toml"), server.path("state/tally"));
    for (path, said) in [(&accounts, "verifier store cannot be read"), (&file, "the record of account")] {
        let mode = fs::metadata(path).unwrap().permissions();
        for owner in [NOBODY, 0] {
            chown(path, Some(owner), None).unwrap();
            let mode = if owner == 0 { 0o600 } else { 0o000 };
            fs::set_permissions(path, Permissions::from_mode(mode)).unwrap();
            let before = server.log().len();
            assert_eq!(logs_in(&server, "anna"), NO_RECORD, "{path:?} of {owner}");
            is_served(&mut session);
            server.says_after(before, &[said, "ermission denied"]);
        }
        chown(path, Some(NOBODY), None).unwrap();
        fs::set_permissions(path, mode).unwrap();
        assert_eq!([logs_in(&server, "anna"), logs_in(&server, "bert")], [0, 0], "{}", server.log());
    }
    // The tally: whom it knew from here goes on, a stranger does not.
    chown(&tally, Some(0), None).unwrap();
    fs::set_permissions(&tally, Permissions::from_mode(0o700)).unwrap();
    assert_eq!([logs_in(&server, "anna"), logs_in(&server, "bert")], [0, 0], "{}", server.log());
    assert_eq!(log_in(&mut server.open(STRANGER), "anna", PASSWORD), -6754);
    server.logs("failed logins cannot be counted", 1);
    chown(&tally, Some(NOBODY), None).unwrap();
    assert_eq!(log_in(&mut server.open(STRANGER), "anna", PASSWORD), 0);
    is_served(&mut session);
    drop(session);
    server.end();
}
