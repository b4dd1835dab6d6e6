//! Two servers on one state directory: accounts, tally and signature are shared, ports and logs are not.

use std::fs;
use std::thread;

use rustix::process::Signal;
use testkit::client::{LoginExt, dsi};

use crate::server::{
    OWNER, PASSWORD, STRANGER, Server, accounts, add_account, failures, home, is_served, log_in, program, reply, run,
    user,
};

const WRONG: i32 = -6754;

fn attempt(server: &Server, from: [u8; 4], password: &str) -> i32 {
    log_in(&mut server.open(from), "anna", password)
}

#[test]
fn two_servers_share_accounts_and_failures() {
    let directory = home("");
    let [one, two] = [(); 2].map(|()| Server::start_in(&directory, program(&[])));
    let mut sessions = [&one, &two].map(|server| server.signed_in(OWNER, "anna"));

    // What is changed is so for both, at once.
    add_account(directory.path(), "bert");
    drop((one.signed_in(OWNER, "bert"), two.signed_in(OWNER, "bert")));
    let changed = user(directory.path(), &["passwd", "anna"], "new");
    assert!(changed.status.success(), "{changed:?}");
    for server in [&one, &two] {
        assert_eq!([attempt(server, OWNER, "new"), attempt(server, OWNER, PASSWORD)], [0, WRONG]);
        assert_eq!(attempt(server, OWNER, "new"), 0);
    }

    // Three failures here and two there are five.
    for server in [&one, &two, &one, &two, &one] {
        assert_eq!(attempt(server, STRANGER, "wrong"), WRONG);
    }
    assert_eq!(failures(directory.path(), "anna", "127.0.0.2"), 5);
    for server in [&one, &two] {
        assert_eq!(attempt(server, STRANGER, "new"), WRONG, "the right password is refused now");
        server.logs("too many failures: refused for", 1);
        assert_eq!(attempt(server, OWNER, "new"), 0, "not from another address");
    }
    let unlocked = run(directory.path(), &["user", "unlock", "anna"]);
    assert!(unlocked.status.success(), "{unlocked:?}");
    for server in [&one, &two] {
        assert_eq!(attempt(server, STRANGER, "new"), 0);
    }

    // A reload, an end and a kill of the one are nothing to the other.
    one.signal(Signal::HUP);
    one.logs("settings and accounts read again", 1);
    sessions.iter_mut().for_each(is_served);
    one.signal(Signal::KILL);
    let [ended, mut session] = sessions;
    drop((one, ended));
    is_served(&mut session);
    assert_eq!(attempt(&two, OWNER, "new"), 0);
    let again = Server::start_in(&directory, program(&[]));
    assert_eq!([attempt(&again, OWNER, "new"), attempt(&again, STRANGER, "new")], [0, 0]);
    again.end();
    is_served(&mut session);
    drop(session);
    assert!(!two.end().contains("bug"));
}

/// Proofs at both at the same time: each one is counted, and no more than five were compared.
#[test]
fn no_count_is_lost_between_two_servers() {
    let directory = home("");
    let servers = [(); 2].map(|()| Server::start_in(&directory, program(&[])));
    thread::scope(|scope| {
        for server in &servers {
            for _ in 0..4 {
                scope.spawn(|| (0..3).for_each(|_| assert_eq!(attempt(server, STRANGER, "wrong"), WRONG)));
            }
        }
    });
    let anna = accounts(directory.path()).remove(0);
    let network = &anna["attempts"]["networks"][0];
    let number = |field: &str| network[field].as_u64().unwrap();
    assert_eq!([number("failures"), number("turned_away"), number("open_challenges")], [5, 19, 0], "{network}");
    for server in &servers {
        assert_eq!(attempt(server, STRANGER, PASSWORD), WRONG);
        drop(server.signed_in(OWNER, "anna"));
    }
}

/// What cannot be shared is refused by name: the place for the figures.
#[test]
fn one_socket_for_figures_is_one_servers() {
    let directory = home("");
    let socket = directory.path().join("metrics");
    let settings = format!("[metrics]\nlisten = {:?}\n", format!("unix:{}", socket.display()));
    crate::server::write_settings(directory.path(), &settings);
    let one = Server::start_in(&directory, program(&[]));
    let two = run(directory.path(), &["serve", "--listen", "127.0.0.1:0"]);
    let said = String::from_utf8(two.stderr).unwrap();
    assert!(!two.status.success() && said.contains("metrics") && said.contains("cannot listen on"), "{said}");
    let stats = run(directory.path(), &["stats"]);
    assert!(stats.status.success(), "the first one's are there: {stats:?}");
    drop(one.signed_in(OWNER, "anna"));
    one.end();
}

/// Both make what is not there yet: they agree on it.
#[test]
fn two_first_starts_agree_on_the_state() {
    let directory = home("[login]\nunknown_users = \"decoy\"\n");
    let state = directory.path().join("state");
    assert!(!state.join("signature").exists());
    let servers: Vec<_> = thread::scope(|scope| {
        let starts: Vec<_> = (0..4).map(|_| scope.spawn(|| Server::start_in(&directory, program(&[])))).collect();
        starts.into_iter().map(|start| start.join().unwrap()).collect()
    });
    let signature = fs::read(state.join("signature")).unwrap();
    let mut salts = Vec::new();
    for server in servers {
        drop(server.signed_in(OWNER, "anna"));
        // Made up for a name that nobody has, of the secret.
        let mut client = server.open(STRANGER);
        client.request(dsi::COMMAND, &LoginExt::new(b"nobody").bytes()).unwrap();
        salts.push(reply(&mut client).payload[203..219].to_vec());
        drop(client);
        server.end();
    }
    assert!(salts.iter().all(|salt| *salt == salts[0]), "{salts:?}");
    assert_eq!(fs::read(state.join("signature")).unwrap(), signature);
    let left: Vec<_> = fs::read_dir(&state).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert_eq!(left.len(), 4, "accounts, signature, decoy-secret, tally: {left:?}");
}
