//! The module's logins over the scripted host, with a client that shares no code with the engine.

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use srp6a::Group;
use tempfile::TempDir;
use testkit::client::LoginCont;
use testkit::slow_srp::{AForm, AfpClientExchange};
use verifier_store::NewAccount;
use verifier_store::tally::{DECOYS, Network, NetworkTally};

use super::*;
use crate::scripted_host::{Line, ScriptedHost};

const PASSWORD: &[u8] = b"oc34thA2";
const HOME: &str = "192.0.2.7";
const A: [u8; 32] = *b"any number will do, but not this";

struct Scene {
    host: ScriptedHost,
    module: Module,
    directory: TempDir,
}

impl Scene {
    /// atalk1, carol and root have verifiers, noshell too; nover has a placeholder; ghost a verifier but no system user.
    fn new(settings: &str) -> Scene {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("afppasswd.srp");
        let store = Store::create(Format::NetatalkFile, &path).unwrap();
        for name in ["atalk1", "carol", "root", "noshell", "nover", "ghost"] {
            add(&store, name);
        }
        store.disable("nover").unwrap();
        let tally = directory.path().join("tally");
        // Where attempts are not what a test is about, they come from this network.
        let exempt = "exempt = [\"203.0.113.0/24\"]";
        let settings = format!("[attempts]\npath = \"{}\"\n{exempt}\n{settings}", tally.display());
        fs::write(directory.path().join("afpd-rs.toml"), settings).unwrap();
        let user = |name, full_name, uid, has_shell| Line { name, full_name, uid, has_shell };
        let users = vec![
            user("root", "root", 0, true),
            user("atalk1", "", 1001, true),
            user("carol", "Carol Danvers", 1002, true),
            user("nover", "", 1003, true),
            user("noshell", "", 1004, false),
        ];
        let host = ScriptedHost { path: Some(path), users: users.into(), ..ScriptedHost::default() };
        host.client_address.set(Some("203.0.113.1".parse().unwrap()));
        let module = Module::set_up(&host, None).unwrap();
        Scene { host, module, directory }
    }

    fn reveal() -> Scene {
        Scene::new("")
    }

    fn decoy() -> Scene {
        Scene::new("[login]\nunknown_users = \"decoy\"\n")
    }

    /// The next connection, from this address: in afpd a process, here at least another client, and nothing pending.
    fn connects_from(&mut self, address: &str) {
        self.module.forget();
        self.host.client_address.set(Some(address.parse().unwrap()));
    }

    fn tally(&self) -> Tally {
        Tally::at(&self.directory.path().join("tally"))
    }

    /// What the tally has of an account's network.
    fn counted(&self, account: &str, address: &str) -> Option<NetworkTally> {
        let network = Network::of(address.parse().unwrap());
        let state = self.tally().state(account).unwrap()?;
        state.networks().iter().find(|entry| entry.network == network).cloned()
    }

    fn store(&self) -> Store {
        Store::open(Format::NetatalkFile, &self.directory.path().join("afppasswd.srp")).unwrap()
    }

    fn begins(&mut self, name: &str) -> Answer<u32> {
        self.module.login_ext(&self.host, name.as_bytes(), &[0, 1])
    }

    /// The client's second message for a challenge, the proof over this name.
    fn proof(challenge: &[u8], hashed: &str, password: &[u8]) -> (Vec<u8>, Vec<u8>) {
        let exchange =
            AfpClientExchange::answer(hashed.as_bytes(), password, challenge, &A, AForm::SPECIFICATION).unwrap();
        // Without command and pad: what afpd hands over.
        (LoginCont::new(&exchange.a_pub, &exchange.m1).bytes().split_off(2), exchange.m2.clone())
    }

    fn proves(&mut self, challenge: &[u8], hashed: &str, password: &[u8]) -> Answer<u32> {
        let (input, m2) = Scene::proof(challenge, hashed, password);
        let answer = self.module.login_cont(&self.host, &input);
        if answer.result == ResultCode::NO_ERR {
            assert_eq!(answer.payload, [&[0, 4, 0, 20], m2.as_slice()].concat());
        }
        answer
    }

    /// A whole login of a client that hashes what was typed.
    fn logs_in(&mut self, name: &str, password: &[u8]) -> Answer<u32> {
        let answer = self.begins(name);
        if answer.result != ResultCode::AUTH_CONTINUE {
            return answer;
        }
        self.proves(&answer.payload, name, password)
    }

    fn log(&self) -> String {
        self.host.log_lines()
    }
}

fn add(store: &Store, name: &str) {
    let account = NewAccount { name, full_name: None, group: Group::Bits1536, password: PASSWORD };
    store.add(&account, &mut getrandom::SysRng).unwrap();
}

fn answer(result: i32, payload: &[u8]) -> Answer<u32> {
    Answer { result: ResultCode(result), payload: payload.to_vec(), user: None }
}

fn signed_in(answer: &Answer<u32>) -> Option<u32> {
    answer.user.filter(|_| answer.result == ResultCode::NO_ERR)
}

#[test]
fn a_login() {
    let mut scene = Scene::reveal();
    let loaded = scene.log();
    assert!(loaded.starts_with("Note: afpd-rs uams_srp ") && loaded.contains("Netatalk file"), "{loaded}");
    assert!(loaded.contains("afppasswd.srp") && loaded.contains("reveal") && loaded.contains("tally"), "{loaded}");
    let challenge = scene.begins("atalk1");
    assert_eq!((challenge.result, challenge.payload.len()), (ResultCode::AUTH_CONTINUE, 413));
    let answer = scene.proves(&challenge.payload, "atalk1", PASSWORD);
    assert_eq!(signed_in(&answer), Some(1001));
    assert_eq!(*scene.host.user_name.borrow(), b"atalk1");
    assert!(scene.log().contains(r#"login name="atalk1" uam="SRP" outcome="signed-in""#));
}

/// FPLogin brings the name with it.
#[test]
fn a_login_by_the_older_call() {
    let mut scene = Scene::reveal();
    let challenge = scene.module.login(&scene.host, b"\x05carol\0\x01");
    assert_eq!(signed_in(&scene.proves(&challenge.payload, "carol", PASSWORD)), Some(1002));
    scene.module.logout();
    for malformed in [&b""[..], b"\0", b"\x06carol", b"\x05carol\0\x03"] {
        assert_eq!(scene.module.login(&scene.host, malformed), answer(-5019, &[]), "{malformed:?}");
    }
}

/// E20 to E26: `0001` with and without pad, nothing, and the half that afpd leaves when it takes the other for the pad.
#[test]
fn user_auth_info() {
    let mut scene = Scene::reveal();
    for good in [&[0, 1][..], &[0, 0, 1], &[], &[1]] {
        let answer = scene.module.login_ext(&scene.host, b"atalk1", good);
        assert_eq!(answer.result, ResultCode::AUTH_CONTINUE, "{good:?}");
    }
    for bad in [&[0][..], &[2], &[0, 3], &[1, 0], &[0, 1, 0], &[0x55; 4096]] {
        assert_eq!(scene.module.login_ext(&scene.host, b"atalk1", bad), answer(-5019, &[]), "{bad:?}");
        assert!(matches!(scene.module.state, State::Idle));
    }
    for name in [&[][..], &[b'x'; 256]] {
        assert_eq!(scene.module.login_ext(&scene.host, name, &[0, 1]), answer(-5019, &[]));
    }
}

#[test]
fn unknown_users_are_told() {
    let mut scene = Scene::reveal();
    for (name, reason) in [
        ("nobody", "no such user"),
        ("nover", "disabled"),
        ("noshell", "shell"),
        ("root", "root"),
        ("ghost", "no such user"),
        ("atalk1\0junk", "no such user"),
    ] {
        scene.log();
        assert_eq!(scene.begins(name), answer(-5023, &[0, 1]), "{name}");
        let log = scene.log();
        assert!(log.contains(reason) && log.contains("result=-5023"), "{name}: {log}");
        assert_eq!(scene.module.login_cont(&scene.host, &[0; 8]), answer(-5023, &[]));
    }
}

/// With decoys all of them get a challenge, always with the same salt, and fail like a wrong password, even with the right one.
#[test]
fn unknown_users_are_not_told() {
    let mut scene = Scene::decoy();
    assert!(scene.log().contains("decoy"));
    assert!(scene.directory.path().join("afpd-rs.decoy-secret").exists());
    for name in ["nobody", "nover", "noshell", "root", "ghost"] {
        let challenge = scene.begins(name);
        assert_eq!((challenge.result, challenge.payload.len()), (ResultCode::AUTH_CONTINUE, 413), "{name}");
        assert_eq!(challenge.payload[203..219], scene.begins(name).payload[203..219], "salt of {name}");
        scene.log();
        assert_eq!(scene.logs_in(name, PASSWORD), answer(-6754, &[]), "{name}");
        assert!(scene.log().contains("(decoy)"));
    }
    assert_eq!(scene.logs_in("atalk1", b"wrong"), answer(-6754, &[]));
    assert_eq!(signed_in(&scene.logs_in("atalk1", PASSWORD)), Some(1001));
}

/// No file yet: nobody gets in, by the same rules, and everybody as soon as it is there.
#[test]
fn a_store_that_comes_later() {
    for mut scene in [Scene::reveal(), Scene::decoy()] {
        let (path, aside) = (scene.directory.path().join("afppasswd.srp"), scene.directory.path().join("aside"));
        fs::rename(&path, &aside).unwrap();
        scene.module = Module::set_up(&scene.host, None).unwrap();
        let log = scene.log();
        assert!(log.contains("Error: ") && log.contains("nobody can log in"), "{log}");
        let refusal = scene.logs_in("atalk1", PASSWORD);
        assert!([answer(-5023, &[0, 1]), answer(-6754, &[])].contains(&refusal), "{refusal:?}");
        assert!(scene.log().contains("Error: login"));
        fs::rename(&aside, &path).unwrap();
        assert_eq!(signed_in(&scene.logs_in("atalk1", PASSWORD)), Some(1001));
        scene.module.logout();
        fs::set_permissions(&path, Permissions::from_mode(0o644)).unwrap();
        assert_eq!(signed_in(&scene.logs_in("atalk1", PASSWORD)), None);
        assert!(scene.log().contains("chmod"));
    }
    let nowhere = ScriptedHost::default();
    let settings = Scene::reveal().directory;
    let mut module = Module::set_up(&nowhere, Some(settings.path().join("afpd-rs.toml"))).unwrap();
    assert_eq!(module.login_ext(&nowhere, b"atalk1", &[0, 1]), answer(-5023, &[0, 1]));
}

#[test]
fn wrong_settings_keep_the_module_out() {
    let scene = Scene::reveal();
    fs::write(scene.directory.path().join("afpd-rs.toml"), "[login]\nunknown_user = \"decoy\"").unwrap();
    let error = Module::set_up(&scene.host, None).err().unwrap().to_string();
    assert!(error.contains("unknown_users"), "{error}");
}

/// What another program changes counts from the next login on.
#[test]
fn changes_of_the_store_are_seen() {
    let mut scene = Scene::reveal();
    scene.logs_in("atalk1", b"wrong");
    scene.store().set_password("atalk1", b"changed", &mut getrandom::SysRng).unwrap();
    assert_eq!(scene.logs_in("atalk1", PASSWORD), answer(-6754, &[]));
    scene.store().disable("carol").unwrap();
    assert_eq!(scene.logs_in("carol", PASSWORD), answer(-5023, &[0, 1]));
    assert_eq!(signed_in(&scene.logs_in("atalk1", b"changed")), Some(1001));
}

/// E06 to E09: the host finds a user by another spelling; the verifier is over the real name.
#[test]
fn another_spelling_is_answered_as_netatalk_does_and_explained() {
    let mut scene = Scene::reveal();
    for (typed, real, uid) in [("ATALK1", "atalk1", 1001), ("Carol Danvers", "carol", 1002)] {
        scene.log();
        assert_eq!(scene.logs_in(typed, PASSWORD), answer(-6754, &[]));
        let log = scene.log();
        assert!(log.contains(typed) && log.contains("hashes the name as typed") && log.contains(real), "{log}");
        let challenge = scene.begins(typed);
        assert_eq!(signed_in(&scene.proves(&challenge.payload, real, PASSWORD)), Some(uid), "{typed}");
        assert_eq!(*scene.host.user_name.borrow(), real.as_bytes());
        scene.module.logout();
    }
}

/// Where the store has a verifier over what was typed, that one counts.
#[test]
fn a_verifier_under_the_typed_name() {
    let mut scene = Scene::reveal();
    add(&scene.store(), "Carol Danvers");
    assert_eq!(signed_in(&scene.logs_in("Carol Danvers", PASSWORD)), Some(1002));
    assert_eq!(*scene.host.user_name.borrow(), b"carol");
    scene.module.logout();
    scene.store().disable("Carol Danvers").unwrap();
    assert_eq!(scene.logs_in("Carol Danvers", PASSWORD), answer(-5023, &[0, 1]), "disabled under this name");
    assert_eq!(signed_in(&scene.logs_in("carol", PASSWORD)), Some(1002));
}

/// S02 to S05: a login call drops the exchange that was pending, whatever becomes of itself.
#[test]
fn one_exchange_at_a_time() {
    let mut scene = Scene::reveal();
    let first = scene.begins("atalk1").payload;
    let second = scene.begins("carol").payload;
    assert_eq!(scene.proves(&first, "atalk1", PASSWORD), answer(-6754, &[]), "for the first challenge");
    assert_eq!(scene.proves(&second, "carol", PASSWORD), answer(-5023, &[]), "used up by the wrong proof");

    scene.begins("atalk1");
    let second = scene.begins("carol").payload;
    let carol = scene.proves(&second, "carol", PASSWORD);
    assert_eq!((signed_in(&carol), scene.host.user_name.borrow().as_slice()), (Some(1002), &b"carol"[..]));

    scene.module.logout();
    let dropping: [fn(&mut Scene) -> Answer<u32>; 4] = [
        |scene| scene.begins("nobody"),
        |scene| scene.begins(""),
        |scene| scene.module.login_ext(&scene.host, b"atalk1", &[9]),
        |scene| scene.module.login(&scene.host, b""),
    ];
    for call in dropping {
        let challenge = scene.begins("atalk1").payload;
        assert_ne!(call(&mut scene).result, ResultCode::AUTH_CONTINUE);
        assert_eq!(scene.proves(&challenge, "atalk1", PASSWORD), answer(-5023, &[]));
    }
    let challenge = scene.begins("atalk1").payload;
    scene.module.logout();
    assert_eq!(scene.proves(&challenge, "atalk1", PASSWORD), answer(-5023, &[]));
}

/// S07 and S17: the original crashes, and lets in.
#[test]
fn nothing_but_refusals_after_login() {
    let mut scene = Scene::reveal();
    assert!(scene.module.authenticator.is_some());
    let challenge = scene.begins("atalk1").payload;
    let (input, _) = Scene::proof(&challenge, "atalk1", PASSWORD);
    assert_eq!(signed_in(&scene.module.login_cont(&scene.host, &input)), Some(1001));
    assert!(scene.module.authenticator.is_none(), "the verifiers stay in a process that now acts for one user");
    for _ in 0..2 {
        assert_eq!(scene.module.login_cont(&scene.host, &input), answer(-5023, &[]));
        assert_eq!(scene.begins("carol"), answer(-5023, &[0, 1]));
        assert_eq!(scene.module.login(&scene.host, b"\x05carol"), answer(-5023, &[0, 1]));
        assert_eq!(*scene.host.user_name.borrow(), b"atalk1");
    }
    scene.module.logout();
    assert_eq!(signed_in(&scene.logs_in("carol", PASSWORD)), Some(1002));
}

/// The user is looked up again when the proof is right, and must be the same.
#[test]
fn a_user_that_changes_between_the_rounds() {
    let changes: [fn(&mut Line); 3] =
        [|user| user.name = "atalk9", |user| user.uid = 1099, |user| user.has_shell = false];
    for change in changes {
        let mut scene = Scene::reveal();
        let challenge = scene.begins("atalk1").payload;
        change(&mut scene.host.users.borrow_mut()[1]);
        assert_eq!(scene.proves(&challenge, "atalk1", PASSWORD), answer(-5023, &[]));
        assert!(scene.log().contains("changed or gone"));
        assert!(scene.host.user_name.borrow().is_empty());
    }
}

#[test]
fn malformed_proofs() {
    let mut scene = Scene::reveal();
    let challenge = scene.begins("atalk1").payload;
    let (good, _) = Scene::proof(&challenge, "atalk1", PASSWORD);
    let zero_a = [&[0, 0, 0, 3, 0, 192][..], &[0; 192], &[0, 20], &[1; 20]].concat();
    let mut inputs: Vec<Vec<u8>> = (0..good.len()).map(|length| good[..length].to_vec()).collect();
    inputs.extend([zero_a, [&good[..], &[0, 0]].concat(), [&good[..], &[1]].concat(), vec![0xff; 4096]]);
    for input in inputs {
        scene.begins("atalk1");
        assert_eq!(scene.module.login_cont(&scene.host, &input), answer(-5023, &[]), "{} bytes", input.len());
        assert!(matches!(scene.module.state, State::Idle));
    }
}

/// A panic in the middle of a login leaves a module that works. (The guard around it is tested from C.)
#[test]
fn a_panic_leaves_nothing_behind() {
    let mut scene = Scene::reveal();
    scene.begins("atalk1");
    scene.host.panics.set(true);
    let caught = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| scene.begins("carol")));
    assert!(caught.is_err() && matches!(scene.module.state, State::Idle));
    scene.module.forget();
    assert_eq!(signed_in(&scene.logs_in("carol", PASSWORD)), Some(1002));
}

/// What a client sent cannot forge a line of the log.
#[test]
fn names_are_quoted() {
    let mut scene = Scene::reveal();
    scene.log();
    scene.begins("a\nlogin name=\"root\" outcome=\"signed-in\"");
    let log = scene.log();
    assert_eq!(log.lines().count(), 1, "{log}");
    scene.module.login_ext(&scene.host, b"\xff\x1b[2J", &[0, 1]);
    assert!(scene.log().contains(r#"name="\xff\x1b[2J""#));
}

/// Netatalk 4.6: a directory, a file per user id.
#[test]
fn a_directory_of_records() {
    let mut scene = Scene::reveal();
    let path = scene.directory.path().join("afppasswd.d");
    // A record belongs to its user, and only root can give files away: without being root, atalk1 is who runs this.
    let own = fs::metadata(scene.directory.path()).unwrap().uid();
    let uid = if own == 0 { 1001 } else { own };
    scene.host.users.borrow_mut()[1].uid = uid;
    add(&Store::create_with_users(Format::NetatalkDirectory, &path, scene.host.users()).unwrap(), "atalk1");
    assert!(path.join(uid.to_string()).exists());
    scene.host.path = Some(path.clone());
    scene.log();
    scene.module = Module::set_up(&scene.host, None).unwrap();
    let log = scene.log();
    assert!(log.contains("Netatalk directory") && log.lines().count() == 1, "{log}");
    assert_eq!(signed_in(&scene.logs_in("atalk1", PASSWORD)), Some(uid));
    scene.module.logout();
    assert_eq!(scene.begins("carol"), answer(-5023, &[0, 1]));
    assert_eq!(scene.logs_in("ATALK1", PASSWORD), answer(-6754, &[]));
    fs::set_permissions(path.join(uid.to_string()), Permissions::from_mode(0o644)).unwrap();
    assert_eq!(scene.begins("atalk1"), answer(-5023, &[0, 1]));
    assert!(scene.log().contains("chmod"));
}

/// As with the daemon: five failures, and even the right password is refused, in the same bytes; elsewhere it is taken.
#[test]
fn too_many_failures() {
    let mut scene = Scene::reveal();
    scene.connects_from(HOME);
    for _ in 0..5 {
        scene.log();
        assert_eq!(scene.logs_in("atalk1", b"wrong"), answer(-6754, &[]));
        assert!(scene.log().contains("reason=\"wrong password\""));
    }
    assert_eq!(scene.logs_in("atalk1", PASSWORD), answer(-6754, &[]));
    let log = scene.log();
    assert!(log.contains("Note: login name=\"atalk1\"") && log.contains("result=-6754"), "{log}");
    assert!(log.contains("reason=\"too many failures: refused for "), "{log}");
    assert_eq!(signed_in(&scene.logs_in("carol", PASSWORD)), Some(1002), "another account");
    scene.module.logout();
    scene.connects_from("198.51.100.9");
    assert_eq!(signed_in(&scene.logs_in("atalk1", PASSWORD)), Some(1001), "another address");
    scene.module.logout();
    scene.connects_from(HOME);
    assert!(scene.tally().unlock("atalk1").unwrap());
    assert_eq!(signed_in(&scene.logs_in("atalk1", PASSWORD)), Some(1001), "lifted by an administrator");
    assert_eq!(scene.counted("atalk1", "203.0.113.1"), None);
}

/// An IPv4 client of a socket for both kinds is the same client.
#[test]
fn addresses_are_networks() {
    let mut scene = Scene::reveal();
    for (written, network) in [("::ffff:192.0.2.7", HOME), ("2001:db8::1", "2001:db8::2")] {
        scene.connects_from(written);
        scene.logs_in("atalk1", b"wrong");
        assert_eq!(scene.counted("atalk1", network).unwrap().failures, 1);
    }
}

/// Clients whose address cannot be had are one network, and the log says so, once.
#[test]
fn no_address() {
    let mut scene = Scene::reveal();
    scene.host.client_address.set(None);
    scene.log();
    for _ in 0..5 {
        scene.logs_in("atalk1", b"wrong");
    }
    assert_eq!(scene.log().matches("Warning: afpd-rs uams_srp: the client's address cannot be found out").count(), 1);
    assert_eq!(scene.logs_in("atalk1", PASSWORD), answer(-6754, &[]));
    scene.connects_from(HOME);
    assert_eq!(signed_in(&scene.logs_in("atalk1", PASSWORD)), Some(1001));
}

/// Failures are the account's that the verifier is of, whatever was typed.
#[test]
fn another_spelling_counts_at_the_account() {
    let mut scene = Scene::reveal();
    scene.connects_from(HOME);
    for typed in ["ATALK1", "atalk1", "Atalk1", "aTALK1", "ATALK1"] {
        assert_eq!(scene.logs_in(typed, b"wrong"), answer(-6754, &[]));
    }
    assert_eq!(scene.counted("atalk1", HOME).unwrap().failures, 5);
    scene.log();
    let challenge = scene.begins("ATALK1").payload;
    assert_eq!(scene.proves(&challenge, "atalk1", PASSWORD), answer(-6754, &[]));
    assert!(scene.log().contains("too many failures"));
    let files = fs::read_dir(scene.tally().path()).unwrap().map(|entry| entry.unwrap().file_name());
    assert_eq!(files.filter(|name| !name.to_string_lossy().starts_with('.')).count(), 1);
}

/// Under "reveal" who is barred is told so, and there is nothing to count; under "decoy" nothing is made for them either.
#[test]
fn nobodys_names_are_not_counted_as_accounts() {
    let mut scene = Scene::reveal();
    scene.connects_from(HOME);
    for name in ["nobody", "nover", "noshell", "root", "ghost"] {
        scene.begins(name);
        assert_eq!(scene.counted(name, HOME), None, "{name}");
    }
    let mut scene = Scene::decoy();
    scene.connects_from(HOME);
    let files = || fs::read_dir(scene.directory.path().join("tally")).unwrap().count();
    // All accounts' and the lock: made before the first login, which must not be told apart by it.
    let made = files();
    assert_eq!(made, 6 + usize::from(DECOYS) + 1);
    for name in ["nobody", "nover", "noshell", "root", "ghost"] {
        for _ in 0..6 {
            let challenge = scene.module.login_ext(&scene.host, name.as_bytes(), &[0, 1]);
            let (input, _) = Scene::proof(&challenge.payload, name, PASSWORD);
            assert_eq!(scene.module.login_cont(&scene.host, &input), answer(-6754, &[]));
        }
        let state = scene.tally().state(name).unwrap();
        assert!(state.is_none_or(|state| state.networks().is_empty()), "{name}");
    }
    assert_eq!(fs::read_dir(scene.directory.path().join("tally")).unwrap().count(), made);
}

/// Without a usable directory nobody unknown gets in, the log says so once a minute, and with it they do again.
#[test]
fn a_tally_that_cannot_be_used() {
    let mut scene = Scene::reveal();
    let (tally, aside) = (scene.directory.path().join("tally"), scene.directory.path().join("aside"));
    scene.connects_from(HOME);
    assert_eq!(signed_in(&scene.logs_in("atalk1", PASSWORD)), Some(1001));
    scene.module.logout();
    fs::rename(&tally, &aside).unwrap();
    fs::write(&tally, "in the way").unwrap();
    scene.module = Module::set_up(&scene.host, None).unwrap();
    let log = scene.log();
    assert!(
        log.contains("Error: afpd-rs uams_srp: failed logins may not be counted: ") && log.contains("tally"),
        "{log}"
    );
    scene.connects_from("198.51.100.9");
    for _ in 0..3 {
        assert_eq!(scene.logs_in("atalk1", PASSWORD), answer(-6754, &[]));
    }
    let log = scene.log();
    assert_eq!(log.matches("Error: afpd-rs uams_srp: failed logins cannot be counted: ").count(), 1, "{log}");
    assert!(log.contains("reason=\"failures cannot be counted: refused\""), "{log}");
    scene.connects_from("203.0.113.1");
    assert_eq!(signed_in(&scene.logs_in("atalk1", PASSWORD)), Some(1001), "exempt");
    scene.module.logout();
    fs::remove_file(&tally).unwrap();
    fs::rename(&aside, &tally).unwrap();
    scene.connects_from(HOME);
    assert_eq!(signed_in(&scene.logs_in("atalk1", PASSWORD)), Some(1001));
    // Removed while it runs: begun anew.
    scene.module.logout();
    fs::remove_dir_all(&tally).unwrap();
    scene.logs_in("atalk1", b"wrong");
    assert_eq!(scene.counted("atalk1", HOME).unwrap().failures, 1);
}

/// After a login the process acts for a user: the tally's memory is closed. Should it serve a login again, that is counted as well.
#[test]
fn nothing_of_the_tally_stays_after_a_login() {
    let mut scene = Scene::reveal();
    scene.connects_from(HOME);
    assert!(scene.module.attempts.is_some());
    assert_eq!(signed_in(&scene.logs_in("atalk1", PASSWORD)), Some(1001));
    assert!(scene.module.attempts.is_none());
    scene.module.logout();
    for _ in 0..6 {
        assert_eq!(scene.logs_in("atalk1", b"wrong"), answer(-6754, &[]));
    }
    assert_eq!(scene.counted("atalk1", HOME).unwrap().failures, 5);
    assert_eq!(scene.logs_in("atalk1", PASSWORD), answer(-6754, &[]));
}

/// The proof was right, so nothing is counted, though the user is gone.
#[test]
fn a_right_proof_of_a_user_who_is_gone_is_no_failure() {
    let mut scene = Scene::reveal();
    scene.connects_from(HOME);
    let challenge = scene.begins("atalk1").payload;
    scene.host.users.borrow_mut()[1].has_shell = false;
    assert_eq!(scene.proves(&challenge, "atalk1", PASSWORD), answer(-5023, &[]));
    assert_eq!(scene.counted("atalk1", HOME).unwrap().failures, 0);
}
