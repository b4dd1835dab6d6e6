//! What other processes can do to a store: be killed in the middle of a change, or hold a lock.
//!
//! The other process is this test program once more, told by environment variables what to do. It kills itself at a named
//! step, so that no step is left to chance; and it is killed from outside at random moments, so that no moment between
//! the steps is forgotten.

use std::env;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::FlockOperation;
use rustix::process::{Signal, getpid, kill_process};
use srp6a::{Group, Profile, Verifier};
use tempfile::TempDir;

use crate::file::Step;
use crate::{Existing, Format, Lookup, NewAccount, Store, StoreError, Users};

const KILL_AT: &str = "VERIFIER_STORE_TEST_KILL_AT";
const DO: &str = "VERIFIER_STORE_TEST_DO";
const FORMAT: &str = "VERIFIER_STORE_TEST_FORMAT";
const PATH: &str = "VERIFIER_STORE_TEST_PATH";

const FORMATS: [Format; 3] = [Format::Native, Format::NetatalkFile, Format::NetatalkDirectory];
/// The steps of a change that writes, up to the one that makes it count, and from there on.
const OLD: [Step; 6] =
    [Step::Locked, Step::LeftoverRemoved, Step::TemporaryCreated, Step::Written, Step::OwnerKept, Step::FileSynced];
const NEW: [Step; 2] = [Step::Renamed, Step::DirectorySynced];

/// Called by the product code at each step, in test builds only.
pub(crate) fn reached(step: Step) {
    if env::var_os(KILL_AT).is_some_and(|at| at == *format!("{step:?}")) {
        kill_process(getpid(), Signal::KILL).unwrap();
    }
}

/// The other process. Without its variables there is nothing to do.
#[test]
fn the_other_process() {
    let (Some(task), Some(path)) = (env::var_os(DO), env::var_os(PATH)) else { return };
    let path = PathBuf::from(path);
    let format = FORMATS[env::var(FORMAT).unwrap().parse::<usize>().unwrap()];
    let rng = &mut getrandom::SysRng;
    let ready = || {
        println!("\nready");
        std::io::stdout().flush().unwrap();
    };
    match task.to_str().unwrap() {
        "set-password" => open(format, &path).set_password("bob", b"new", rng).unwrap(),
        "add" => add(&open(format, &path), "new", "new"),
        "remove" => open(format, &path).remove("bob").unwrap(),
        "create" => drop(Store::create_with_users(format, &path, Arc::new(Myself)).unwrap()),
        "import" => {
            let source = Store::open(Format::NetatalkFile, &path.with_file_name("source")).unwrap();
            drop(open(format, &path).import_from(&source, Existing::Replace).unwrap());
        }
        "disable" => open(format, &path).disable("bob").unwrap(),
        "change-for-ever" => {
            let store = open(format, &path);
            ready();
            for password in [&b"old"[..], b"new"].iter().cycle() {
                store.set_password("bob", password, rng).unwrap();
            }
        }
        "hold-netatalks-lock" => {
            let file = std::fs::OpenOptions::new().read(true).write(true).open(&path).unwrap();
            rustix::fs::fcntl_lock(&file, FlockOperation::LockExclusive).unwrap();
            ready();
            std::io::stdin().read_exact(&mut [0]).unwrap();
        }
        other => panic!("what is {other}?"),
    }
}

#[test]
fn a_kill_at_any_step_leaves_the_old_file_or_the_new_one() {
    for (index, format) in FORMATS.into_iter().enumerate() {
        for (steps, is_new) in [(&OLD[..], false), (&NEW[..], true)] {
            for step in steps {
                let place = Place::new(format);
                let before = place.others();
                assert!(place.run(index, "set-password", Some(*step)), "{format:?} was not killed at {step:?}");
                assert_eq!(place.password("bob"), Some(if is_new { "new" } else { "old" }), "{format:?} at {step:?}");
                assert_eq!(place.others(), before, "{format:?} at {step:?}");
                place.works_on();
            }
        }
    }
}

#[test]
fn a_kill_while_adding_disabling_and_removing() {
    for (index, format) in FORMATS.into_iter().enumerate() {
        for (steps, is_new) in [(&OLD[..], false), (&NEW[..], true)] {
            for step in steps {
                let place = Place::new(format);
                let before = place.others();
                assert!(place.run(index, "disable", Some(*step)), "{format:?} {step:?}");
                assert_eq!(place.password("bob"), (!is_new).then_some("old"), "{format:?} disabling, {step:?}");
                place.works_on();

                let place = Place::new(format);
                // In the directory there is a user id for one record only: this process's own.
                if format == Format::NetatalkDirectory {
                    place.open().remove("bob").unwrap();
                }
                assert!(place.run(index, "add", Some(*step)), "{format:?} {step:?}");
                assert_eq!(place.password("new"), is_new.then_some("new"), "{format:?} adding, {step:?}");
                if format != Format::NetatalkDirectory {
                    assert_eq!(place.password("bob"), Some("old"));
                }
                assert_eq!(place.others().len(), before.len());
            }
        }
        let place = Place::new(format);
        let before = place.others();
        let step = if format == Format::NetatalkFile { Step::Renamed } else { Step::Removed };
        assert!(place.run(index, "remove", Some(step)), "{format:?}");
        assert_eq!(place.password("bob"), None);
        assert_eq!(place.others(), before, "{format:?}");
    }
}

#[test]
fn a_kill_while_a_store_is_made() {
    for (index, format) in FORMATS.into_iter().enumerate() {
        let place = Place { format, folder: tempfile::tempdir().unwrap() };
        let step = if format == Format::NetatalkFile { Step::FileMade } else { Step::FolderMade };
        assert!(place.run(index, "create", Some(step)), "{format:?}");
        // What is there is a store without accounts.
        let store = place.open();
        assert!(store.accounts().unwrap().is_empty() && store.warnings().unwrap().is_empty(), "{format:?}");
        add(&store, "bob", "old");
        place.works_on();
    }
}

/// Some of the accounts are there then, whole, and doing it again brings the rest.
#[test]
fn a_kill_while_importing() {
    for (index, format) in FORMATS.into_iter().enumerate().take(2) {
        for step in OLD.into_iter().chain(NEW) {
            let place = Place::new(format);
            let source = Store::create(Format::NetatalkFile, &place.path().with_file_name("source")).unwrap();
            for name in ["bob", "new", "dave"] {
                add(&source, name, "new");
            }
            let before = place.others();
            assert!(place.run(index, "import", Some(step)), "{format:?} was not killed at {step:?}");
            assert!(place.password("bob").is_some(), "{format:?} {step:?}");
            for name in ["new", "dave"] {
                let found = place.open().lookup(name.as_bytes()).unwrap();
                assert!(matches!(found, Lookup::Unknown) || place.password(name) == Some("new"), "{format:?} {step:?}");
            }
            assert_eq!(place.others(), before, "{format:?} {step:?}");
            assert!(!place.run(index, "import", None));
            assert_eq!(
                ["bob", "new", "dave"].map(|name| place.password(name)),
                [Some("new"); 3],
                "{format:?} {step:?}"
            );
            place.works_on();
        }
    }
}

#[test]
fn a_change_that_is_not_killed_is_made() {
    for (index, format) in FORMATS.into_iter().enumerate() {
        let place = Place::new(format);
        assert!(!place.run(index, "set-password", None), "{format:?}");
        assert_eq!(place.password("bob"), Some("new"));
    }
}

#[test]
fn a_kill_at_any_moment_leaves_the_old_file_or_the_new_one() {
    for (index, format) in FORMATS.into_iter().enumerate() {
        let place = Place::new(format);
        let before = place.others();
        for round in 0..25 {
            let mut child = place.start(index, "change-for-ever", None);
            until_ready(&mut child);
            let mut random = [0; 2];
            getrandom::fill(&mut random).unwrap();
            let moment = Duration::from_micros(u64::from(u16::from_le_bytes(random)) / 2);
            std::thread::sleep(moment);
            child.kill().unwrap();
            assert_eq!(child.wait().unwrap().signal(), Some(9), "it ended before it was killed");
            assert!(place.password("bob").is_some(), "{format:?}, round {round}, after {moment:?}");
            assert_eq!(place.others(), before, "{format:?}, round {round}, after {moment:?}");
        }
        place.works_on();
    }
}

#[test]
fn afppasswds_lock_is_respected() {
    let place = Place::new(Format::NetatalkFile);
    let mut store = place.open();
    store.lock_wait = Duration::from_millis(30);
    let mut child = place.start(1, "hold-netatalks-lock", None);
    until_ready(&mut child);
    let change = store.set_password("bob", b"new", &mut getrandom::SysRng);
    assert!(matches!(change, Err(StoreError::Busy { .. })), "{change:?}");
    // Logins go on, and see the file as it is.
    assert_eq!(place.password("bob"), Some("old"));
    child.stdin.take().unwrap().write_all(b"x").unwrap();
    child.wait().unwrap();
    store.set_password("bob", b"new", &mut getrandom::SysRng).unwrap();
    assert_eq!(place.password("bob"), Some("new"));
}

#[test]
fn one_change_at_a_time() {
    for format in FORMATS {
        let place = Place::new(format);
        let mut store = place.open();
        store.lock_wait = Duration::from_millis(30);
        let held = std::fs::File::open(store.folder.join(&store.lock)).unwrap();
        rustix::fs::flock(&held, FlockOperation::LockExclusive).unwrap();
        let change = store.set_password("bob", b"new", &mut getrandom::SysRng);
        assert!(matches!(change, Err(StoreError::Busy { .. })), "{change:?}");
        assert_eq!(place.password("bob"), Some("old"));
        drop(held);
        store.set_password("bob", b"new", &mut getrandom::SysRng).unwrap();
        assert_eq!(place.password("bob"), Some("new"));
    }
}

#[test]
fn threads_that_change_at_once_lose_nothing() {
    let folder = tempfile::tempdir().unwrap();
    for format in [Format::Native, Format::NetatalkFile] {
        let path = folder.path().join(format!("{format:?}"));
        let store = Store::create(format, &path).unwrap();
        let again = Store::open(format, &path).unwrap();
        std::thread::scope(|scope| {
            for number in 0..8 {
                let store = if number % 2 == 0 { &store } else { &again };
                scope.spawn(move || add(store, &format!("user{number}"), "password"));
            }
        });
        assert_eq!(store.accounts().unwrap().len(), 8);
    }
}

/// A store with the accounts alice and carol, which nobody touches, and bob with the password "old". The directory has
/// bob alone, under this process's own user id.
struct Place {
    format: Format,
    folder: TempDir,
}

impl Place {
    fn new(format: Format) -> Place {
        let place = Place { format, folder: tempfile::tempdir().unwrap() };
        let store = Store::create_with_users(format, &place.path(), Arc::new(Myself)).unwrap();
        add(&store, "bob", "old");
        if format != Format::NetatalkDirectory {
            add(&store, "alice", "alice's");
            add(&store, "carol", "carol's");
        }
        place
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("store")
    }

    fn open(&self) -> Store {
        open(self.format, &self.path())
    }

    /// Which password an account has: "old", "new" or none that works.
    fn password(&self, account: &str) -> Option<&'static str> {
        let store = self.open();
        assert_eq!(store.warnings().unwrap(), []);
        let Lookup::Found(record) = store.lookup(account.as_bytes()).unwrap() else { return None };
        ["old", "new"].into_iter().find(|password| {
            let name = account.as_bytes();
            let derived = Verifier::derive(&Profile::AFP, Group::Bits1536, name, password.as_bytes(), &record.salt.0);
            derived.as_be_bytes() == record.verifier.as_be_bytes()
        })
    }

    /// Salt and verifier of everybody else.
    fn others(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let store = self.open();
        let found = |name: &&str| match store.lookup(name.as_bytes()).unwrap() {
            Lookup::Found(record) => Some((record.salt.0.to_vec(), record.verifier.as_be_bytes().to_vec())),
            _ => None,
        };
        ["alice", "carol"].iter().filter_map(found).collect()
    }

    /// The next change is made, and nothing is left over.
    fn works_on(&self) {
        let store = self.open();
        store.set_password("bob", b"new", &mut getrandom::SysRng).unwrap();
        store.enable("bob").unwrap();
        assert_eq!(self.password("bob"), Some("new"));
        assert!(!store.folder.join(&store.temporary).exists(), "a temporary file is left");
    }

    fn start(&self, format: usize, task: &str, step: Option<Step>) -> Child {
        let mut command = Command::new(env::current_exe().unwrap());
        command.args(["--exact", "process_tests::the_other_process", "--nocapture", "--test-threads=1"]);
        command.env(DO, task).env(FORMAT, format.to_string()).env(PATH, self.path()).env_remove(KILL_AT);
        if let Some(step) = step {
            command.env(KILL_AT, format!("{step:?}"));
        }
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap()
    }

    /// Whether it was killed; otherwise it did its task.
    fn run(&self, format: usize, task: &str, step: Option<Step>) -> bool {
        let output = self.start(format, task, step).wait_with_output().unwrap();
        if output.status.signal() == Some(9) {
            return true;
        }
        assert!(output.status.success(), "{task}: {:?}", String::from_utf8_lossy(&output.stdout));
        false
    }
}

fn until_ready(child: &mut Child) {
    let lines = BufReader::new(child.stdout.as_mut().unwrap()).lines();
    assert!(lines.map_while(Result::ok).any(|line| line == "ready"), "the other process did not start");
}

fn open(format: Format, path: &Path) -> Store {
    Store::open_with_users(format, path, Arc::new(Myself)).unwrap()
}

fn add(store: &Store, name: &str, password: &str) {
    let (group, password) = (Group::Bits1536, password.as_bytes());
    store.add(&NewAccount { name, full_name: None, group, password }, &mut getrandom::SysRng).unwrap();
}

/// Everybody is the user who runs the tests.
#[derive(Debug)]
struct Myself;

impl Users for Myself {
    fn uid(&self, _: &[u8]) -> std::io::Result<Option<u32>> {
        Ok(Some(rustix::process::geteuid().as_raw()))
    }
}
