//! The tally under everything that can happen to a file: kills, torn writes, damage, other processes, a disk that takes nothing.
//!
//! As in `process_tests`, the other process is this test program once more, told by environment variables what to do.

use std::collections::HashSet;
use std::env;
use std::fs;
use std::os::unix::fs::{FileExt, MetadataExt, PermissionsExt};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;

use crate::StoreError;
use crate::error::Rule;
use crate::file::Step;
use crate::tally::{AccountTally, BUCKETS, DECOYS, NETWORKS, Network, Subject, Tally, TallyError};

const DO: &str = "VERIFIER_STORE_TALLY_DO";
const PATH: &str = "VERIFIER_STORE_TALLY_PATH";
const KILL_AT: &str = "VERIFIER_STORE_TEST_KILL_AT";
const NOW: u64 = 1_800_000_000;
const ALICE: Subject<'_> = Subject::Account("alice");

fn home() -> Network {
    Network::of("192.0.2.7".parse().unwrap())
}

/// One failure from home; how many there are then.
fn fail(tally: &mut AccountTally) -> u32 {
    let extra = u32::from(tally.damaged);
    let entry = tally.network(home());
    entry.failures += 1 + extra;
    entry.failures
}

fn failures(path: &Path) -> u32 {
    let state = Tally::at(path).state("alice").unwrap();
    state.map_or(0, |tally| tally.networks().iter().map(|entry| entry.failures).sum())
}

struct Place(TempDir);

impl Place {
    fn new() -> Place {
        Place(tempfile::tempdir().unwrap())
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("tally")
    }

    fn file(&self) -> PathBuf {
        self.path().join("alice.tally")
    }

    fn open(&self) -> Tally {
        Tally::at(&self.path())
    }

    fn fail(&self) -> u32 {
        let changed = self.open().change(ALICE, NOW, fail);
        changed.saved.unwrap();
        changed.value
    }

    /// This program in another process, behind `sh` with this preparation.
    fn other(&self, preparation: &str, task: &str, kill_at: Option<Step>) -> Output {
        let mut command = Command::new("sh");
        command.args(["-c", &format!("{preparation} exec \"$0\" \"$@\"")]).arg(env::current_exe().unwrap());
        command.args(["--exact", "tally_tests::the_other_process", "--nocapture", "--test-threads=1"]);
        command.env(DO, task).env(PATH, self.path()).env_remove(KILL_AT).stdin(Stdio::null());
        if let Some(step) = kill_at {
            command.env(KILL_AT, format!("{step:?}"));
        }
        command.output().unwrap()
    }
}

/// The other process. Without its variables there is nothing to do.
#[test]
fn the_other_process() {
    let (Some(task), Some(path)) = (env::var_os(DO), env::var_os(PATH)) else { return };
    let tally = Tally::at(Path::new(&path));
    match task.to_str().unwrap() {
        "fail" => tally.change(ALICE, NOW, fail).saved.unwrap(),
        "unlock" => assert!(tally.unlock("alice").unwrap()),
        "forget" => assert!(tally.forget("alice").unwrap()),
        "fail-100-times" => (0..100).for_each(|_| tally.change(ALICE, NOW, fail).saved.unwrap()),
        // What is read of the disk is known; nothing can be written; the changes are seen all the same, and said to be unsaved.
        "fail-on-a-full-disk" => {
            for expected in 3..6 {
                let changed = tally.change(ALICE, NOW, fail);
                assert_eq!(changed.value, expected);
                let error = changed.saved.unwrap_err().to_string();
                assert!(error.contains("cannot write") && error.contains("alice.tally"), "{error}");
            }
            let changed = tally.change(Subject::Account("bob"), NOW, fail);
            assert_eq!(changed.value, 1);
            changed.saved.unwrap_err();
        }
        "fail-on-a-full-tmpfs" => {
            tally.change(ALICE, NOW, fail).saved.unwrap();
            let filler = Path::new(&path).join("filler");
            let filled = fs::write(&filler, vec![1; 1 << 20]).unwrap_err();
            assert_eq!(filled.kind(), std::io::ErrorKind::StorageFull);
            for expected in 2..5 {
                let changed = tally.change(ALICE, NOW, fail);
                changed.saved.unwrap();
                assert_eq!((changed.value, failures(Path::new(&path))), (expected, expected));
            }
            let error = tally.change(Subject::Account("bob"), NOW, fail).saved.unwrap_err().to_string();
            assert!(error.contains("No space left"), "{error}");
            fs::remove_file(&filler).unwrap();
            let changed = tally.change(Subject::Account("bob"), NOW, fail);
            changed.saved.unwrap();
            assert_eq!(changed.value, 2, "memory came to disk");
        }
        // Nor can memory that is shared: it is a file too.
        "fail-on-a-full-disk-with-full-memory" => {
            let tally = tally.remembering_together().unwrap();
            let changed = tally.change(ALICE, NOW, fail);
            assert_eq!((changed.value, changed.kept), (1, false));
            changed.saved.unwrap_err();
        }
        "fail-on-a-read-only-disk" => {
            let tally = tally.remembering_together().unwrap();
            for expected in 3..8 {
                let changed = tally.forked().change(ALICE, NOW, fail);
                assert_eq!((changed.value, changed.kept), (expected, true));
                let error = changed.saved.unwrap_err().to_string();
                assert!(error.contains("Read-only file system"), "{error}");
            }
        }
        other => panic!("what is {other}?"),
    }
}

/// Any numbers in a slot that is whole: nothing panics, and it is read back as it was.
#[test]
fn any_numbers() {
    let place = Place::new();
    place.fail();
    for seed in 0..2000_u64 {
        let mut random = seed;
        let mut next = || {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            if random >> 61 == 0 { u64::MAX } else { random >> (random >> 58) }
        };
        let mut tally = AccountTally::default();
        (tally.last, tally.in_a_row) = (next(), u32::MAX);
        for _ in 0..5 {
            let entry = tally.network(Network::V4(u32::try_from(next() >> 32).unwrap().into()));
            (entry.refused_at, entry.refused_for) = (next(), u32::MAX);
            (entry.failed_at, entry.open_since, entry.signed_in_at) = (next(), next(), next());
        }
        tally.count(u32::MAX, next(), next());
        let (now, period) = (next(), next());
        let place = place.open();
        place.change(ALICE, now, |kept| *kept = tally).saved.unwrap();
        let changed = place.change(ALICE, next(), |tally| {
            tally.count(1, now, period);
            tally.uncount(now, period);
            let entry = tally.network(home());
            (entry.refused_until(now), tally.failures_within(now, period))
        });
        changed.saved.unwrap();
        assert!(place.state("alice").unwrap().is_some());
    }
}

#[test]
fn what_was_counted_is_there_for_everybody() {
    let place = Place::new();
    assert_eq!(place.open().state("alice").unwrap(), None);
    assert!(!place.path().exists(), "looking makes nothing");
    let tally = place.open();
    for expected in 1..=5 {
        assert_eq!(tally.change(ALICE, NOW + u64::from(expected), fail).value, expected);
        assert_eq!(failures(&place.path()), expected);
    }
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o7777, 0o700);
    assert_eq!(fs::metadata(place.file()).unwrap().permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(place.file()).unwrap().len(), 8192);
    assert_eq!(tally.state("alice").unwrap().unwrap().last, NOW + 5);
}

#[test]
fn everything_comes_back_as_it_was() {
    let place = Place::new();
    let tally = place.open();
    let mut written = AccountTally::default();
    for host in 1..=NETWORKS {
        let network = match host % 3 {
            0 => Network::of(format!("198.51.100.{host}").parse().unwrap()),
            1 => Network::of(format!("2001:db8:{host}::1").parse().unwrap()),
            _ => Network::of(format!("fe80::{host}").parse().unwrap()),
        };
        let number = u32::try_from(host).unwrap();
        let entry = written.network(network);
        (entry.failures, entry.refusals, entry.open, entry.turned_away, entry.refused_for) =
            (number, u32::MAX, 2 * number, 3 * number, 4 * number);
        (entry.failed_at, entry.refused_at, entry.open_since, entry.signed_in_at) =
            (NOW, NOW - 1, NOW - 2, NOW - u64::from(number));
    }
    written.in_a_row = 77;
    written.count(9, NOW, 3600);
    written.last = NOW;
    tally.change(ALICE, NOW, |tally| *tally = written.clone()).saved.unwrap();
    assert_eq!(place.open().state("alice").unwrap(), Some(written));
}

#[test]
fn names_become_files_of_their_own() {
    let place = Place::new();
    let tally = place.open();
    let long = "ü".repeat(127);
    let names = ["alice", "Alice", "../alice", ".", "..", "a/b", "~decoy-01", ".lock", ".new", "", &long];
    for (name, number) in names.iter().zip(1..) {
        let changed = tally.change(Subject::Account(name), NOW, |tally| tally.in_a_row = number);
        changed.saved.unwrap();
    }
    for number in 0..=u8::MAX {
        tally.change(Subject::Decoy(number), NOW, |tally| tally.in_a_row += 1000).saved.unwrap();
    }
    for (name, number) in names.iter().zip(1..) {
        assert_eq!(tally.state(name).unwrap().unwrap().in_a_row, number, "{name:?}");
    }
    let files: Vec<_> = fs::read_dir(place.path()).unwrap().collect();
    assert_eq!(files.len(), names.len() + usize::from(DECOYS) + 1, "and the lock");
}

#[test]
fn unlocking_forgives_and_forgetting_removes() {
    let place = Place::new();
    let tally = place.open();
    assert!(!tally.unlock("alice").unwrap());
    tally.change(ALICE, NOW, |tally| {
        tally.in_a_row = 50;
        tally.count(50, NOW, 3600);
        let entry = tally.network(home());
        (entry.failures, entry.refusals, entry.refused_at, entry.refused_for) = (50, 9, NOW, 86_400);
        entry.signed_in_at = NOW - 5;
    });
    assert!(place.open().unlock("alice").unwrap());
    // The one who was there before sees it.
    let state = tally.change(ALICE, NOW, |tally| tally.clone()).value;
    assert_eq!((state.in_a_row, state.failures_within(NOW, 3600), state.last), (0, 0, NOW));
    let [entry] = state.networks() else { panic!("{state:?}") };
    assert_eq!((entry.failures, entry.refusals, entry.refused_until(NOW), entry.signed_in_at), (0, 0, 0, NOW - 5));
    assert!(tally.forget("alice").unwrap());
    assert!(!tally.forget("alice").unwrap());
    assert_eq!(tally.state("alice").unwrap(), None);
}

/// A process that does this after two failures is killed at each step: so many failures are there then, and the next one counts.
fn killed_at_each_step(task: &str, written: u32) {
    for (step, expected) in [(Step::TallyLocked, 2), (Step::TallyRead, 2), (Step::TallyWritten, written)] {
        let place = Place::new();
        place.fail();
        place.fail();
        assert_eq!(place.other("", task, Some(step)).status.signal(), Some(9), "not killed at {step:?}");
        assert_eq!(failures(&place.path()), expected, "{step:?}");
        assert_eq!(place.fail(), expected + 1, "{step:?}");
    }
}

#[test]
fn a_kill_at_any_step_leaves_the_old_count_or_the_new_one() {
    killed_at_each_step("fail", 3);
}

#[test]
fn a_kill_while_a_file_is_made() {
    let steps = [
        Step::Locked,
        Step::LeftoverRemoved,
        Step::TemporaryCreated,
        Step::Written,
        Step::OwnerKept,
        Step::FileSynced,
        Step::Renamed,
        Step::DirectorySynced,
        Step::TallyLocked,
        Step::TallyRead,
    ];
    for step in steps {
        let place = Place::new();
        assert_eq!(place.other("", "fail", Some(step)).status.signal(), Some(9), "not killed at {step:?}");
        assert_eq!(failures(&place.path()), 0, "{step:?}");
        assert_eq!(place.fail(), 1, "{step:?}");
        let left: HashSet<_> = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
        assert_eq!(left, HashSet::from([".lock".into(), "alice.tally".into()]), "{step:?}");
    }
}

/// Killed while failures are forgiven or forgotten, or while a damaged file is begun anew: the old count, the new one, or still damaged, which
/// is a failure by itself.
#[test]
fn a_kill_while_forgiving_forgetting_and_repairing() {
    killed_at_each_step("unlock", 0);
    let place = Place::new();
    place.fail();
    assert_eq!(place.other("", "forget", Some(Step::Removed)).status.signal(), Some(9));
    assert_eq!((place.open().state("alice").unwrap(), place.fail()), (None, 1));

    for step in [Step::TallyLocked, Step::TallyRead, Step::TallyEmptied, Step::TallyZeroed] {
        let place = Place::new();
        place.fail();
        fs::write(place.file(), b"no tally").unwrap();
        assert_eq!(place.other("", "fail", Some(step)).status.signal(), Some(9), "not killed at {step:?}");
        assert!(matches!(place.open().state("alice"), Err(TallyError::Damaged { .. })), "{step:?}");
        assert_eq!(place.fail(), 2, "{step:?}: one for the damage, one for the attempt");
        assert_eq!(place.fail(), 3, "{step:?}");
    }
    let place = Place::new();
    place.fail();
    fs::write(place.file(), b"no tally").unwrap();
    assert_eq!(place.other("", "fail", Some(Step::TallyWritten)).status.signal(), Some(9));
    assert_eq!((failures(&place.path()), place.fail()), (2, 3));
}

/// The first attempt of all makes the directory.
#[test]
fn a_kill_while_the_directory_is_made() {
    let place = Place::new();
    assert_eq!(place.other("", "fail", Some(Step::FolderMade)).status.signal(), Some(9));
    assert_eq!((place.fail(), place.fail()), (1, 2));
    assert_eq!(fs::metadata(place.path()).unwrap().permissions().mode() & 0o7777, 0o700);
}

/// A write that the power ended at any byte: the count before it, or the new one.
#[test]
fn a_torn_write_is_the_old_count_or_the_new_one() {
    let place = Place::new();
    let images: Vec<_> = (0..3)
        .map(|_| {
            place.fail();
            fs::read(place.file()).unwrap()
        })
        .collect();
    let [_, old, new] = &images[..] else { panic!() };
    // Only one of the slots differs.
    let changed: Vec<_> =
        old.iter().zip(new).enumerate().filter(|(_, (old, new))| old != new).map(|(at, _)| at).collect();
    assert!(changed.first().unwrap() / 4096 == changed.last().unwrap() / 4096, "{changed:?}");
    for cut in changed.iter().flat_map(|at| [*at, at + 1]) {
        for (head, tail) in [(new, old), (old, new)] {
            let torn = [&head[..cut], &tail[cut..]].concat();
            fs::write(place.file(), torn).unwrap();
            assert!((2..=3).contains(&failures(&place.path())), "cut at {cut}");
        }
    }
}

#[test]
fn damage_is_said_counts_one_and_is_repaired() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("empty", |file| fs::write(file, b"").unwrap()),
        ("zeros", |file| fs::write(file, [0; 8192]).unwrap()),
        ("short", |file| fs::write(file, &fs::read(file).unwrap()[..5000]).unwrap()),
        ("long", |file| fs::write(file, vec![0x41; 100_000]).unwrap()),
        ("another file", |file| fs::write(file, b"version = 1\n").unwrap()),
        ("a bit in each slot", |file| {
            let open = fs::OpenOptions::new().read(true).write(true).open(file).unwrap();
            for at in [24, 4096 + 24] {
                let mut byte = [0];
                open.read_exact_at(&mut byte, at).unwrap();
                open.write_all_at(&[byte[0] ^ 1], at).unwrap();
            }
        }),
    ];
    for (what, damage) in damages {
        let place = Place::new();
        for _ in 0..4 {
            place.fail();
        }
        damage(&place.file());
        assert!(matches!(place.open().state("alice"), Err(TallyError::Damaged { .. })), "{what}");
        let tally = place.open();
        let changed = tally.change(ALICE, NOW, fail);
        let said = changed.damaged.unwrap_or_else(|| panic!("{what}: nothing said")).to_string();
        assert!(said.contains("alice.tally"), "{said}");
        changed.saved.unwrap();
        assert_eq!(changed.value, 2, "{what}: one for the damage, one for the attempt");
        let again = tally.change(ALICE, NOW, fail);
        assert!(again.damaged.is_none() && again.value == 3, "{what}");
        assert_eq!(fs::metadata(place.file()).unwrap().len(), 8192, "{what}");
        damage(&place.file());
        assert!(place.open().unlock("alice").unwrap(), "{what}");
        assert_eq!(failures(&place.path()), 0, "{what}");
    }
}

#[test]
fn threads_and_processes_lose_no_count() {
    let place = Place::new();
    let tally = place.open();
    std::thread::scope(|scope| {
        for _ in 0..2 {
            scope.spawn(|| assert!(place.other("", "fail-100-times", None).status.success()));
        }
        for _ in 0..4 {
            scope.spawn(|| (0..100).for_each(|_| tally.change(ALICE, NOW, fail).saved.unwrap()));
        }
    });
    assert_eq!(failures(&place.path()), 600);
}

/// RLIMIT_FSIZE of 0 stands for the full disk: every write to a file fails, and without root.
#[test]
fn on_a_full_disk_the_count_goes_on_in_memory() {
    let place = Place::new();
    place.fail();
    place.fail();
    let before = fs::read(place.file()).unwrap();
    let ended = place.other("trap '' XFSZ; ulimit -f 0;", "fail-on-a-full-disk", None);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    assert_eq!(fs::read(place.file()).unwrap(), before);
    assert!(!place.path().join("bob.tally").exists(), "half a file is left");
    assert_eq!(place.fail(), 3);
}

/// A file system with no byte left: who has a file is counted in it, who has none is not. In a mount namespace of its own.
#[test]
#[ignore = "needs root: mounts a small tmpfs"]
fn on_a_full_file_system_files_that_are_there_go_on() {
    let place = Place::new();
    fs::create_dir(place.path()).unwrap();
    let mount = "mount -t tmpfs -o size=64k,mode=700 none \"$VERIFIER_STORE_TALLY_PATH\" &&";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &format!("{mount} exec \"$0\" \"$@\"")]).arg(env::current_exe().unwrap());
    command.args(["--exact", "tally_tests::the_other_process", "--nocapture", "--test-threads=1"]);
    command.env(DO, "fail-on-a-full-tmpfs").env(PATH, place.path()).env_remove(KILL_AT);
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{ended:?}");
}

/// What could not be written is written when it can be.
#[test]
fn memory_comes_back_to_disk() {
    let place = Place::new();
    let tally = place.open();
    tally.change(ALICE, NOW, fail).saved.unwrap();
    let aside = place.0.path().join("aside");
    fs::rename(place.path(), &aside).unwrap();
    fs::write(place.path(), b"in the way").unwrap();
    for expected in 2..4 {
        let changed = tally.change(ALICE, NOW, fail);
        assert_eq!(changed.value, expected);
        assert!(matches!(changed.saved, Err(TallyError::File(StoreError::Insecure { rule: Rule::NotADirectory, .. }))));
    }
    fs::remove_file(place.path()).unwrap();
    fs::rename(&aside, place.path()).unwrap();
    let changed = tally.change(ALICE, NOW, fail);
    changed.saved.unwrap();
    assert_eq!((changed.value, failures(&place.path())), (4, 4));
}

/// What one child could not write the next one knows, and the first that can write brings it to disk. Without it each would begin anew.
#[test]
fn forked_children_have_one_memory() {
    let place = Place::new();
    let parent = place.open().remembering_together().unwrap();
    let aside = place.0.path().join("aside");
    parent.forked().change(ALICE, NOW, fail).saved.unwrap();
    fs::rename(place.path(), &aside).unwrap();
    fs::write(place.path(), b"in the way").unwrap();
    for expected in 2..5 {
        let changed = parent.forked().change(ALICE, NOW, fail);
        assert_eq!((changed.value, changed.saved.is_err(), changed.kept), (expected, true, true));
        assert_eq!(
            parent.forked().change(Subject::Account("bob"), NOW, fail).value,
            expected - 1,
            "of another account"
        );
    }
    assert!(parent.forked().is_time_to_tell(NOW, 60));
    assert!(!parent.forked().is_time_to_tell(NOW + 59, 60), "one child tells for all");
    assert!(parent.forked().is_time_to_tell(NOW + 60, 60));
    fs::remove_file(place.path()).unwrap();
    fs::rename(&aside, place.path()).unwrap();
    parent.forked().change(ALICE, NOW, fail).saved.unwrap();
    assert_eq!(failures(&place.path()), 5);
    place.fail();
    assert_eq!(parent.forked().change(ALICE, NOW, fail).value, 7, "the disk counts again");
    parent.forget("alice").unwrap();
    assert_eq!(parent.forked().change(ALICE, NOW, fail).value, 1);

    let tally = place.open();
    assert!(tally.is_time_to_tell(NOW, 60) && !tally.is_time_to_tell(NOW + 59, 60), "without forks it is the same");
    assert!(tally.is_time_to_tell(NOW - 1, 60), "the clock was set back");
}

#[test]
fn a_failure_that_nothing_keeps_is_said_to_be_lost() {
    let place = Place::new();
    let ended = place.other("trap '' XFSZ; ulimit -f 0;", "fail-on-a-full-disk-with-full-memory", None);
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
}

/// What is on a disk that takes nothing is known even to a process that begins then. In a mount namespace of its own.
#[test]
fn a_read_only_disk_is_still_read() {
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root, to mount");
        return;
    }
    let place = Place::new();
    place.fail();
    place.fail();
    let mount = "mount --bind \"$VERIFIER_STORE_TALLY_PATH\" \"$VERIFIER_STORE_TALLY_PATH\" && mount -o remount,bind,ro \"$VERIFIER_STORE_TALLY_PATH\" &&";
    let mut command = Command::new("unshare");
    command.args(["-m", "sh", "-c", &format!("{mount} exec \"$0\" \"$@\"")]).arg(env::current_exe().unwrap());
    command.args(["--exact", "tally_tests::the_other_process", "--nocapture", "--test-threads=1"]);
    command.env(DO, "fail-on-a-read-only-disk").env(PATH, place.path()).env_remove(KILL_AT);
    let ended = command.output().unwrap();
    assert!(ended.status.success(), "{}", String::from_utf8_lossy(&ended.stdout));
    assert_eq!(failures(&place.path()), 2);
}

/// Root works in a directory of another user as that user would, so that both can go on: nothing in it becomes root's.
#[test]
fn root_leaves_a_directory_to_its_owner() {
    const DAEMON: u32 = 4711;
    if !rustix::process::geteuid().is_root() {
        println!("skipped: needs root, to be two users");
        return;
    }
    let place = Place::new();
    std::os::unix::fs::chown(place.0.path(), Some(DAEMON), Some(DAEMON)).unwrap();
    place.fail();
    let owners = || -> HashSet<_> {
        let entries = fs::read_dir(place.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap());
        entries.chain([fs::metadata(place.path()).unwrap()]).map(|found| (found.uid(), found.gid())).collect()
    };
    assert_eq!(owners(), HashSet::from([(DAEMON, DAEMON)]));
    // Its owner goes on, and root after it.
    let ran = Command::new(env::current_exe().unwrap())
        .args(["--exact", "tally_tests::the_other_process", "--test-threads=1"])
        .env(DO, "fail")
        .env(PATH, place.path())
        .env_remove(KILL_AT)
        .uid(DAEMON)
        .gid(DAEMON)
        .output()
        .unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stdout));
    assert_eq!(place.fail(), 3);
    assert_eq!(place.open().state("alice").unwrap().unwrap().networks().len(), 1);
    assert!(place.open().unlock("alice").unwrap());
    assert_eq!(owners(), HashSet::from([(DAEMON, DAEMON)]));

    // A third one's file is not believed, a link not followed.
    std::os::unix::fs::chown(place.file(), Some(DAEMON + 1), None).unwrap();
    let error = place.open().change(ALICE, NOW, fail).saved.unwrap_err().to_string();
    assert!(error.contains("4712") && error.contains("4711"), "{error}");
    fs::remove_file(place.file()).unwrap();
    std::os::unix::fs::symlink("/etc/hostname", place.file()).unwrap();
    let error = place.open().change(ALICE, NOW, fail).saved.unwrap_err();
    assert!(matches!(error, TallyError::File(StoreError::Insecure { rule: Rule::Symlink, .. })), "{error}");
    // What is in a lock file of root's is not given away.
    fs::remove_file(place.file()).unwrap();
    let lock = place.path().join(".lock");
    fs::write(&lock, b"a secret").unwrap();
    std::os::unix::fs::chown(&lock, Some(0), Some(0)).unwrap();
    place.fail();
    assert_eq!(fs::metadata(&lock).unwrap().uid(), 0);
}

#[test]
fn what_others_could_have_touched_is_not_believed() {
    let place = Place::new();
    place.fail();
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o666)).unwrap();
    let error = place.open().change(ALICE, NOW, fail).saved.unwrap_err().to_string();
    assert!(error.contains("chmod 600"), "{error}");
    fs::set_permissions(place.file(), fs::Permissions::from_mode(0o600)).unwrap();
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    let error = place.open().state("alice").unwrap_err().to_string();
    assert!(error.contains("chmod go-w"), "{error}");
}

#[test]
fn prepared_files_are_there_and_count_nothing() {
    let place = Place::new();
    let tally = place.open();
    place.fail();
    tally.prepare(["alice", "bob"]).unwrap();
    tally.prepare(["alice", "bob", "carol"]).unwrap();
    assert_eq!(fs::read_dir(place.path()).unwrap().count(), 3 + usize::from(DECOYS) + 1);
    assert_eq!(failures(&place.path()), 1);
    assert_eq!(tally.state("carol").unwrap(), Some(AccountTally::default()));
}

#[test]
fn networks() {
    for (address, network) in [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2:ffff::", "2001:db8:1:2::/64"),
        ("fe80::1:2", "fe80::1:2"),
        ("::1", "::/64"),
    ] {
        assert_eq!(Network::of(address.parse().unwrap()).to_string(), network);
    }
}

/// However many addresses come: the file keeps its size, and whoever signed in once is not pushed out.
#[test]
fn strangers_push_out_strangers() {
    let mut tally = AccountTally::default();
    let stranger = |number: u32| Network::V4((0x0a00_0000 + number).into());
    tally.network(home()).signed_in_at = NOW;
    for number in 0..1000 {
        let entry = tally.network(stranger(number));
        (entry.refused_at, entry.refused_for) = (NOW, if number == 3 { 1000 } else { 60 });
        entry.failed_at = NOW + u64::from(number);
    }
    assert_eq!(tally.networks().len(), NETWORKS);
    let there = |network| tally.networks().iter().any(|entry| entry.network == network);
    assert!(there(home()) && there(stranger(3)) && there(stranger(999)) && !there(stranger(4)));
}

#[test]
fn failures_of_the_last_hour() {
    let mut tally = AccountTally::default();
    for minute in 0..90 {
        tally.count(1, NOW + 60 * minute, 3600);
    }
    let last = NOW + 60 * 89;
    assert_eq!(tally.failures_within(last, 3600), 60);
    assert_eq!(tally.failures_within(last + 600, 3600), 50);
    assert_eq!(tally.failures_within(last + 3599, 3600), u32::from(NOW.is_multiple_of(60)));
    assert_eq!(tally.failures_within(last + 1_000_000, 3600), 0);
    tally.uncount(last, 3600);
    assert_eq!(tally.failures_within(last, 3600), 59);
    // Another period: what was counted counts on, as of now.
    assert_eq!(tally.failures_within(last, 60), 59);
    tally.count(1, last, 60);
    assert_eq!((tally.failures_within(last, 60), tally.failures_within(last + 60, 60)), (60, 0));
    assert_eq!(BUCKETS, 60);
}

#[test]
fn a_clock_that_was_set_back_stretches_and_shortens_nothing() {
    let mut tally = AccountTally::default();
    tally.set_clock(NOW);
    tally.count(7, NOW, 3600);
    let entry = tally.network(home());
    (entry.refused_at, entry.refused_for, entry.signed_in_at) = (NOW - 10, 60, NOW - 1000);
    for back in [1_u64, 3600, 400_000_000, NOW - 1] {
        let mut tally = tally.clone();
        let now = NOW - back;
        tally.set_clock(now);
        let entry = tally.network(home()).clone();
        assert_eq!(entry.failed_at, 0, "never stays never");
        if now > 1000 {
            assert_eq!((entry.refused_until(now), now - entry.signed_in_at), (50, 1000), "back by {back}");
        } else {
            assert!((50..=60).contains(&entry.refused_until(now)), "back by {back}");
        }
        assert_eq!(tally.failures_within(now, 3600), 7);
        tally.set_clock(now + 60);
        assert_eq!(tally.network(home()).refused_until(now + 60), 0);
        assert_eq!(tally.failures_within(now + 3660, 3600), 0);
    }
}
