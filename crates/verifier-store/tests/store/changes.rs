//! Changes by other programs count from the next lookup on, however they are made.

use std::fs;
use std::io::{Seek, Write};

use verifier_store::{Format, Lookup, StoreError};

use crate::common::{CAROL, FORMATS, PASSWORD, Place, SysRng, add, chmod, opens, write};

/// Two records of the same size with different salts, for the account.
fn two_versions(account: &str) -> [String; 2] {
    let line = format!("{account}{}\n", &CAROL[5..]);
    let other = line.replacen("9986", "0000", 1);
    assert!(line != other && line.len() == other.len());
    [line, other]
}

fn first_salt_bytes(lookup: Lookup) -> [u8; 2] {
    match lookup {
        Lookup::Found(record) => [record.salt.0[0], record.salt.0[1]],
        other => panic!("{other:?}"),
    }
}

#[test]
fn rewritten_in_place_or_replaced_at_full_speed() {
    for format in FORMATS {
        let place = Place::new();
        let store = place.create(format);
        let uid = rustix::process::geteuid().as_raw().to_string();
        let (file, versions) = match format {
            Format::NetatalkFile => (place.path.clone(), two_versions("me")),
            Format::NetatalkDirectory => (place.file(&uid), two_versions("me")),
            Format::Native => {
                add(&store, "me", b"x");
                let text = fs::read_to_string(place.file("me.toml")).unwrap();
                let start = text.find("salt = \"").unwrap() + 8;
                let with = |digits: &str| format!("{}{digits}{}", &text[..start], &text[start + 4..]);
                (place.file("me.toml"), [with("9986"), with("0000")])
            }
        };
        write(&file, &versions[0]);
        let mut in_place = fs::OpenOptions::new().write(true).open(&file).unwrap();
        for round in 0..300_usize {
            let version = round % 2;
            // Same inode, same size, and as a rule the same tick of the clock.
            in_place.rewind().unwrap();
            in_place.write_all(versions[version].as_bytes()).unwrap();
            let expected = [[0x99, 0x86], [0, 0]][version];
            assert_eq!(first_salt_bytes(store.lookup(b"me").unwrap()), expected, "{format:?}, in place, {round}");
        }
        for round in 0..300_usize {
            let version = round % 2;
            let new = place.folder.path().join("new");
            write(&new, &versions[version]);
            fs::rename(&new, &file).unwrap();
            let expected = [[0x99, 0x86], [0, 0]][version];
            assert_eq!(first_salt_bytes(store.lookup(b"me").unwrap()), expected, "{format:?}, replaced, {round}");
        }
    }
}

/// The same once the file has been left alone for so long that it is not read again at each lookup.
#[test]
fn changed_after_a_rest() {
    let places: Vec<_> = FORMATS.into_iter().map(|format| (format, Place::new())).collect();
    let stores: Vec<_> = places
        .iter()
        .map(|(format, place)| {
            let store = place.create(*format);
            add(&store, "me", b"old");
            store
        })
        .collect();
    // Until the change times are old enough, which is a matter of this machine's clock and nothing else.
    let start = std::time::SystemTime::now();
    while start.elapsed().unwrap_or_default().as_secs() < 5 {
        std::thread::sleep(std::time::Duration::from_millis(100));
    }
    for ((format, place), store) in places.iter().zip(&stores) {
        let file = match format {
            Format::NetatalkFile => place.path.clone(),
            Format::NetatalkDirectory => place.file(&rustix::process::geteuid().as_raw().to_string()),
            Format::Native => place.file("me.toml"),
        };
        for _ in 0..3 {
            assert!(opens(store, "me", b"old", "me"), "{format:?}");
        }
        // In place, same size: a digit of the salt.
        let good = fs::read(&file).unwrap();
        let mut changed = good.clone();
        let digit = match format {
            Format::Native => String::from_utf8_lossy(&good).find("salt = \"").unwrap() + 8,
            _ => 3,
        };
        changed[digit] = if good[digit] == b'1' { b'2' } else { b'1' };
        fs::OpenOptions::new().write(true).open(&file).unwrap().write_all(&changed).unwrap();
        assert!(!opens(store, "me", b"old", "me"), "{format:?}: the change was not seen");
        write(&file, &good);
        assert!(opens(store, "me", b"old", "me"), "{format:?}");
        // By another program, through a store of its own.
        place.open(*format).unwrap().set_password("me", b"new", &mut SysRng).unwrap();
        assert!(opens(store, "me", b"new", "me"), "{format:?}");
        place.open(*format).unwrap().disable("me").unwrap();
        assert!(matches!(store.lookup(b"me").unwrap(), Lookup::Disabled { .. }), "{format:?}");
        place.open(*format).unwrap().remove("me").unwrap();
        assert!(matches!(store.lookup(b"me").unwrap(), Lookup::Unknown), "{format:?}");
    }
}

#[test]
fn nothing_stale_is_used() {
    for format in FORMATS {
        let place = Place::new();
        let store = place.create(format);
        add(&store, "me", b"x");
        assert!(opens(&store, "me", b"x", "me"));
        let away = place.folder.path().join("away");
        fs::rename(&place.path, &away).unwrap();
        let lost = store.lookup(b"me").unwrap_err();
        assert!(matches!(&lost, StoreError::Missing { path } if *path == place.path), "{lost}");
        fs::rename(&away, &place.path).unwrap();
        assert!(opens(&store, "me", b"x", "me"), "it is back");
        // Another store in the old one's place.
        fs::rename(&place.path, &away).unwrap();
        let other = place.create(format);
        assert!(matches!(store.lookup(b"me").unwrap(), Lookup::Unknown), "{format:?}");
        add(&other, "me", b"y");
        assert!(opens(&store, "me", b"y", "me"), "{format:?}");
    }
    let place = Place::new();
    let store = place.netatalk(CAROL);
    assert!(opens(&store, "carol", PASSWORD, "carol"));
    chmod(&place.path, 0o644);
    assert!(matches!(store.lookup(b"carol"), Err(StoreError::Insecure { .. })));
    assert!(matches!(store.accounts(), Err(StoreError::Insecure { .. })));
    assert!(matches!(store.reload(), Err(StoreError::Insecure { .. })));
    chmod(&place.path, 0o600);
    assert!(opens(&store, "carol", PASSWORD, "carol"));
}

#[test]
fn half_written_by_an_editor_and_whole_again() {
    let place = Place::new();
    let store = place.create(Format::Native);
    add(&store, "bob", b"x");
    add(&store, "carol", b"x");
    let good = fs::read(place.file("bob.toml")).unwrap();
    for length in 0..good.len() {
        fs::write(place.file("bob.toml"), &good[..length]).unwrap();
        // Never an error for others; bob may be unusable, and once all but the last line feed is there he works.
        let known = matches!(store.lookup(b"bob").unwrap(), Lookup::Found(_));
        assert_eq!(known, length == good.len() - 1, "{length} bytes");
        assert!(opens(&store, "carol", b"x", "carol"));
    }
    fs::write(place.file("bob.toml"), &good).unwrap();
    assert!(opens(&store, "bob", b"x", "bob"));
}

#[test]
fn shared_by_threads() {
    let place = Place::new();
    let store = place.create(Format::Native);
    add(&store, "bob", b"old");
    add(&store, "carol", b"x");
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..200 {
                    assert!(matches!(store.lookup(b"bob").unwrap(), Lookup::Found(_)));
                    assert!(matches!(store.lookup(b"carol").unwrap(), Lookup::Found(_)));
                }
            });
        }
        for _ in 0..20 {
            store.set_password("bob", b"new", &mut SysRng).unwrap();
        }
    });
    assert!(opens(&store, "bob", b"new", "bob"));
}
