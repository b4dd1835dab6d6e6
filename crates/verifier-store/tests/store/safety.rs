//! Files and directories that others could have touched are refused, and the error says how to repair it.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown, symlink};
use std::path::Path;
use std::process::Command;

use verifier_store::{Format, Rule, StoreError, UnusableReason};

use crate::common::{CAROL, FORMATS, PASSWORD, Place, SysRng, add, chmod, opens, reason, skip_unless_root, write};

fn insecure(result: Result<impl Sized, StoreError>, path: &Path) -> (Rule, String) {
    match result {
        Err(StoreError::Insecure { path: found, rule, fix }) if found == path => (rule, fix),
        Err(other) => panic!("{other}"),
        Ok(_) => panic!("accepted"),
    }
}

#[test]
fn a_netatalk_file_that_others_can_get_at() {
    let place = Place::new();
    let store = place.netatalk(CAROL);
    // Its owner may read it, and all else is open.
    for mode in (0..0o1000).filter(|mode| mode & 0o400 != 0) {
        chmod(&place.path, mode);
        if mode & 0o077 != 0 {
            let (rule, fix) = insecure(store.lookup(b"carol"), &place.path);
            assert_eq!(rule, Rule::Mode { mode });
            assert_eq!(fix, format!("chmod 600 {}", place.path.display()));
        } else {
            assert!(opens(&store, "carol", PASSWORD, "carol"), "{mode:o}");
        }
    }
    // The fix fixes it, pasted into a shell.
    chmod(&place.path, 0o644);
    let (_, fix) = insecure(place.open(Format::NetatalkFile).map(drop), &place.path);
    assert!(Command::new("sh").args(["-c", &fix]).status().unwrap().success());
    assert!(opens(&store, "carol", PASSWORD, "carol"));
    // Nothing is written to an unsafe file.
    chmod(&place.path, 0o604);
    insecure(store.set_password("carol", b"x", &mut SysRng), &place.path);
    assert_eq!(place.bytes(), CAROL.as_bytes());
}

#[test]
fn links() {
    let place = Place::new();
    let store = place.netatalk(CAROL);
    let other = place.folder.path().join("other one's name");
    fs::hard_link(&place.path, &other).unwrap();
    let (rule, fix) = insecure(store.lookup(b"carol"), &place.path);
    assert_eq!(rule, Rule::HardLinks { links: 2 });
    insecure(store.set_password("carol", b"x", &mut SysRng), &place.path);
    assert!(Command::new("sh").args(["-c", &fix]).status().unwrap().success());
    assert!(opens(&store, "carol", PASSWORD, "carol"));

    fs::rename(&place.path, &other).unwrap();
    symlink(&other, &place.path).unwrap();
    assert_eq!(insecure(store.lookup(b"carol"), &place.path).0, Rule::Symlink);
    assert_eq!(insecure(place.open(Format::NetatalkFile).map(drop), &place.path).0, Rule::Symlink);
    insecure(store.set_password("carol", b"x", &mut SysRng), &place.path);
    assert_eq!(fs::read(&other).unwrap(), CAROL.as_bytes());
    // Quoted, so that it can be pasted.
    fs::remove_file(&place.path).unwrap();
    chmod(&other, 0o640);
    let error = verifier_store::Store::open(Format::NetatalkFile, &other).unwrap_err().to_string();
    assert!(error.ends_with(r"/other one'\''s name'") && error.contains("chmod 600 '"), "{error}");
}

#[test]
fn things_that_are_no_files() {
    let place = Place::new();
    let file = Format::NetatalkFile;
    fs::create_dir(&place.path).unwrap();
    assert_eq!(insecure(place.open(file).map(drop), &place.path).0, Rule::NotRegular);
    fs::remove_dir(&place.path).unwrap();
    // A pipe must not hang the server.
    assert!(Command::new("mkfifo").args(["-m", "600"]).arg(&place.path).status().unwrap().success());
    assert_eq!(insecure(place.open(file).map(drop), &place.path).0, Rule::NotRegular);
    fs::remove_file(&place.path).unwrap();
    write(&place.path, "");
    for format in [Format::Native, Format::NetatalkDirectory] {
        assert_eq!(insecure(place.open(format).map(drop), &place.path).0, Rule::NotADirectory);
    }
    let endless = fs::OpenOptions::new().write(true).open(&place.path).unwrap();
    endless.set_len(16 * 1024 * 1024).unwrap();
    place.open(file).unwrap();
    endless.set_len(16 * 1024 * 1024 + 1).unwrap();
    let refused = place.open(file).unwrap_err();
    assert!(matches!(refused, StoreError::TooLarge { size: 16_777_217, limit: 16_777_216, .. }), "{refused}");
}

#[test]
fn directories_that_others_can_write_to() {
    for format in FORMATS {
        let place = Place::new();
        let store = place.create(format);
        let folder = if format == Format::NetatalkFile { place.folder.path() } else { &place.path };
        for mode in [0o700, 0o755, 0o750, 0o770, 0o707, 0o1777, 0o720, 0o702] {
            chmod(folder, mode);
            if mode & 0o022 == 0 {
                store.lookup(b"me").unwrap();
                place.open(format).unwrap();
                continue;
            }
            let (rule, fix) = insecure(store.lookup(b"me"), folder);
            assert_eq!(rule, Rule::DirectoryMode { mode });
            assert_eq!(fix, format!("chmod go-w {}", folder.display()));
            insecure(store.set_password("me", b"x", &mut SysRng), folder);
            insecure(store.accounts(), folder);
        }
        chmod(folder, 0o700);
        store.lookup(b"me").unwrap();
    }
}

#[test]
fn one_unsafe_account_file_is_one_account_less() {
    let place = Place::new();
    let store = place.create(Format::Native);
    add(&store, "bob", b"password");
    add(&store, "carol", b"password");
    let bob = place.file("bob.toml");
    let unsafe_for = |rule: Rule| {
        let UnusableReason::Insecure { rule: found, .. } = reason(&store, b"bob") else { panic!("{rule:?}") };
        assert_eq!(found, rule);
        assert!(opens(&store, "carol", b"password", "carol"));
        assert_eq!(store.warnings().unwrap().len(), 1);
        insecure(store.set_password("bob", b"x", &mut SysRng), &bob);
        insecure(store.disable("bob"), &bob);
    };
    chmod(&bob, 0o640);
    unsafe_for(Rule::Mode { mode: 0o640 });
    chmod(&bob, 0o600);
    assert!(opens(&store, "bob", b"password", "bob"));

    let other = place.folder.path().join("other");
    fs::hard_link(&bob, &other).unwrap();
    unsafe_for(Rule::HardLinks { links: 2 });
    fs::remove_file(&bob).unwrap();
    symlink(&other, &bob).unwrap();
    unsafe_for(Rule::Symlink);
    fs::remove_file(&bob).unwrap();
    fs::rename(&other, &bob).unwrap();
    assert!(opens(&store, "bob", b"password", "bob"));
    assert_eq!(store.warnings().unwrap(), []);
}

#[test]
fn foreign_owners() {
    if skip_unless_root("foreign owners") {
        return;
    }
    let place = Place::new();
    let store = place.netatalk(CAROL);
    chown(&place.path, Some(4711), None).unwrap();
    let (rule, fix) = insecure(store.lookup(b"carol"), &place.path);
    assert_eq!(rule, Rule::Owner { owner: 4711, expected: 0 });
    assert!(fix.starts_with(&format!("chown 0 {}", place.path.display())), "{fix}");
    insecure(store.set_password("carol", b"x", &mut SysRng), &place.path);
    chown(&place.path, Some(0), None).unwrap();
    assert!(opens(&store, "carol", PASSWORD, "carol"));
    chown(place.folder.path(), Some(4711), None).unwrap();
    let (rule, _) = insecure(store.lookup(b"carol"), place.folder.path());
    assert_eq!(rule, Rule::Owner { owner: 4711, expected: 0 });
}

#[test]
fn the_lock_file_is_checked_too() {
    for format in FORMATS {
        let place = Place::new();
        let store = place.create(format);
        let (folder, lock) = match format {
            Format::NetatalkFile => (place.folder.path(), ".store.lock"),
            _ => (&*place.path, ".afpd-rs.lock"),
        };
        let lock = folder.join(lock);
        drop(store.remove("me"));
        assert_eq!(fs::metadata(&lock).unwrap().mode() & 0o7777, 0o600);
        fs::remove_file(&lock).unwrap();
        symlink("/dev/null", &lock).unwrap();
        assert_eq!(insecure(store.remove("me"), &lock).0, Rule::Symlink);
        fs::remove_file(&lock).unwrap();
        write(&lock, "");
        chmod(&lock, 0o666);
        assert_eq!(insecure(store.remove("me"), &lock).0, Rule::Mode { mode: 0o666 });
    }
}

#[test]
fn owner_and_mode_are_kept_and_new_files_are_private() {
    let place = Place::new();
    let store = place.netatalk(CAROL);
    let mut wanted = (0o400, rustix::process::getegid().as_raw());
    if !skip_unless_root("keeping a foreign group") {
        chown(&place.path, None, Some(4711)).unwrap();
        wanted = (0o700, 4711);
    }
    chmod(&place.path, wanted.0);
    let before = fs::metadata(&place.path).unwrap();
    if wanted.1 == 4711 {
        store.set_password("carol", b"x", &mut SysRng).unwrap();
        let after = fs::metadata(&place.path).unwrap();
        assert_ne!(before.ino(), after.ino(), "it was replaced");
        assert_eq!((after.mode() & 0o7777, after.gid(), after.uid()), (wanted.0, wanted.1, before.uid()));
    }
    let place = Place::new();
    let store = place.create(Format::Native);
    add(&store, "bob", b"x");
    assert_eq!(fs::metadata(place.file("bob.toml")).unwrap().mode() & 0o7777, 0o600);
    assert_eq!(fs::metadata(&place.path).unwrap().mode() & 0o7777, 0o700);
    chmod(&place.file("bob.toml"), 0o400);
    store.disable("bob").unwrap();
    assert_eq!(fs::metadata(place.file("bob.toml")).unwrap().mode() & 0o7777, 0o400);
}

#[test]
fn no_secret_in_debug_or_errors() {
    let place = Place::new();
    let store = place.create(Format::Native);
    add(&store, "bob", b"hunter2");
    let file = fs::read_to_string(place.file("bob.toml")).unwrap();
    let verifier = file.split("verifier = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let salt = file.split("salt = \"").nth(1).unwrap().split('"').next().unwrap().to_owned();
    let mut said = vec![format!("{store:?} {:?} {:?}", store.lookup(b"bob").unwrap(), store.accounts().unwrap())];
    said.push(format!(
        "{:?}",
        verifier_store::NewAccount { name: "a", full_name: None, group: srp6a::Group::Bits1536, password: b"hunter2" }
    ));
    // The verifier in every wrong place of the file.
    for (from, to) in [
        ("group = 1536", format!("group = \"{verifier}\"")),
        ("group = 1536", format!("group = {verifier}")),
        ("enabled = true", format!("enabled = \"{verifier}\"")),
        ("version = 1", format!("version = \"{verifier}\"")),
        ("[[login]]", format!("[[login]]\n{verifier} = 1")),
        ("[[login]]", format!("[[login]]\n{verifier}")),
        ("name = \"bob\"", format!("name = \"bob\"\nverifier = \"{verifier}")),
        ("name = \"bob\"", format!("name = [\"{verifier}\"]")),
        ("salt = ", format!("salt = \"{verifier}\"\nsalt = ")),
    ] {
        write(&place.file("bob.toml"), file.replacen(from, &to, 1));
        let warnings = store.warnings().unwrap();
        assert!(!warnings.is_empty(), "{to}");
        said.push(format!("{warnings:?} {} {:?}", warnings[0], store.lookup(b"bob").unwrap()));
        let refused = store.disable("bob").and(store.set_password("bob", b"hunter2", &mut SysRng)).unwrap_err();
        said.push(format!("{refused} {refused:?}"));
    }
    let said = said.join("\n");
    for secret in [&verifier[..16], &verifier[100..116], &salt[..16], "hunter2"] {
        assert!(!said.contains(secret), "{secret} in {said}");
    }
}
