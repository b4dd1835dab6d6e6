//! Netatalk's two formats, byte for byte.

use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::sync::Arc;

use srp6a::Group;
use verifier_store::{Format, Lookup, NameFault, PasswdFile, Status, Store, StoreError, UnusableReason};

use crate::common::{
    ATALK1, CAROL, PASSWORD, Place, SysRng, add, add_full, chmod, hex, opens, placeholder, reason, skip_unless_root,
    write,
};

#[test]
fn records_that_afppasswd_wrote_open_their_accounts() {
    let place = Place::new();
    let store = place.netatalk(format!("{ATALK1}\n{}\n{CAROL}\n", placeholder("nover")));
    assert!(opens(&store, "atalk1", PASSWORD, "atalk1"));
    assert!(opens(&store, "carol", PASSWORD, "carol"));
    assert!(matches!(store.lookup(b"nover").unwrap(), Lookup::Disabled { account } if account == "nover"));
    for unknown in [&b"Carol"[..], b" carol", b"carol ", b"caro", b"carol:", b"", b"\xff"] {
        assert!(matches!(store.lookup(unknown).unwrap(), Lookup::Unknown), "{unknown:?}");
    }
    assert_eq!(store.warnings().unwrap(), []);
    let statuses: Vec<_> = store.accounts().unwrap().into_iter().map(|a| (a.name, a.status)).collect();
    let expected = [("atalk1", Status::Enabled), ("nover", Status::Disabled), ("carol", Status::Enabled)];
    assert_eq!(statuses, expected.map(|(name, status)| (name.to_owned(), status)));
}

#[test]
fn what_we_write_is_what_afppasswd_writes() {
    let place = Place::new();
    let store = place.create(Format::NetatalkFile);
    add(&store, "alice", b"password");
    let Lookup::Found(record) = store.lookup(b"alice").unwrap() else { panic!() };
    let line = format!("alice:{}:{}\n", hex(&record.salt.0), hex(record.verifier.as_be_bytes()));
    assert_eq!(place.bytes(), line.as_bytes());
    assert_eq!(line.len(), "alice".len() + 1 + 32 + 1 + 384 + 1);
    store.disable("alice").unwrap();
    assert_eq!(place.bytes(), format!("{}\n", placeholder("alice")).as_bytes());
    assert_eq!(fs::metadata(&place.path).unwrap().mode() & 0o7777, 0o600);
}

#[test]
fn everything_but_the_record_survives_byte_for_byte() {
    let long = "#".repeat(5000);
    let before =
        format!("# made by hand\r\n\r\n{long}\nno record\n:::\n  \t\n\u{fc}nused:\n{}\r\n", placeholder("zed"));
    let after = format!("\n#carol:commented out\n{ATALK1}:extra field\r\nhalf a line");
    let file =
        |middle: &str| [before.as_bytes(), b"bin\xff\x00ary:\xfe\n", middle.as_bytes(), after.as_bytes()].concat();
    let place = Place::new();
    // Carriage return, more fields, more bytes: what is behind the digits stays.
    for tail in ["", "\r", ":extra", " # note", "\r\r", ":1:2:3\u{fc}"] {
        let store = place.netatalk(file(&format!("{CAROL}{tail}")));
        assert!(opens(&store, "carol", PASSWORD, "carol"), "{tail:?}");
        assert!(opens(&store, "atalk1", PASSWORD, "atalk1"), "{tail:?}");
        store.set_password("carol", b"new", &mut SysRng).unwrap();
        assert!(opens(&store, "carol", b"new", "carol"), "{tail:?}");
        let new = String::from_utf8_lossy(&place.bytes()).into_owned();
        let line = new.lines().find(|line| line.starts_with("carol:")).unwrap()[..CAROL.len()].to_owned();
        assert_ne!(line, CAROL);
        assert_eq!(place.bytes(), file(&format!("{line}{tail}")), "{tail:?}");

        store.disable("carol").unwrap();
        assert_eq!(place.bytes(), file(&format!("{}{tail}", placeholder("carol"))), "{tail:?}");
        let refused = store.enable("carol").unwrap_err();
        assert!(matches!(refused, StoreError::VerifierDestroyed { .. }), "{refused}");
        store.set_password("carol", b"back", &mut SysRng).unwrap();
        assert!(opens(&store, "carol", b"back", "carol"), "{tail:?}");
        store.enable("carol").unwrap();
        store.remove("carol").unwrap();
        let without = [before.as_bytes(), b"bin\xff\x00ary:\xfe", after.as_bytes()].concat();
        assert_eq!(place.bytes(), without, "{tail:?}");
        // A file without a last line feed gets one before the new line, as it must.
        add(&store, "dora", b"password");
        assert!(place.bytes().starts_with(&[&without[..], b"\ndora:"].concat()) && place.bytes().ends_with(b"\n"));
    }
}

#[test]
fn a_broken_line_is_replaced_whole() {
    let place = Place::new();
    let cases = ["carol:", "carol:12:34", "carol:\r", "carol:::::\r", &format!("{CAROL}AB\r"), &CAROL[..100]];
    for broken in cases {
        let store = place.netatalk(format!("{ATALK1}\n{broken}\n{}\n", placeholder("nover")));
        assert_eq!(store.warnings().unwrap().len(), 1, "{broken:?}");
        store.set_password("carol", b"new", &mut SysRng).unwrap();
        assert!(opens(&store, "carol", b"new", "carol"), "{broken:?}");
        let text = String::from_utf8(place.bytes()).unwrap();
        let lines: Vec<&str> = text.split('\n').collect();
        assert_eq!((lines[0], lines[2], lines[3], lines.len()), (ATALK1, &*placeholder("nover"), "", 4));
        let cr = usize::from(broken.ends_with('\r'));
        assert_eq!((lines[1].len(), lines[1].ends_with('\r')), (CAROL.len() + cr, cr == 1), "{broken:?}");
        assert_eq!(store.warnings().unwrap(), []);
    }
}

#[test]
fn broken_lines_are_reported_and_the_others_work() {
    let place = Place::new();
    let carol = |from: &str, to: &str| CAROL.replacen(from, to, 1);
    let verifier = CAROL.rsplit(':').next().unwrap();
    let salt = CAROL.split(':').nth(1).unwrap();
    let below_n = "the verifier is not below the modulus of its group";
    let cases: Vec<(String, &str)> = vec![
        ("carol:".into(), "this line is not user:salt:verifier"),
        (format!("carol:{salt}"), "this line is not user:salt:verifier"),
        (carol(salt, &salt[1..]), "the salt is not 32 hex digits"),
        (carol(salt, &format!("{salt}0")), "the salt is not 32 hex digits"),
        (carol(salt, &salt.replacen('9', "G", 1)), "the salt is not 32 hex digits"),
        (carol(salt, ""), "the salt is not 32 hex digits"),
        (carol(verifier, &verifier[1..]), "the verifier is not 384 hex digits"),
        (carol(verifier, ""), "the verifier is not 384 hex digits"),
        // Two digits more make another number of it: Netatalk would take the first 384 and nobody could log in.
        (format!("{CAROL}00"), "the verifier is not 384 hex digits"),
        (carol(verifier, &verifier.replacen(|_| true, "*", 1)), "the verifier is not 384 hex digits"),
        (carol(verifier, &verifier.replacen(|_| true, " ", 1)), "the verifier is not 384 hex digits"),
        (carol(verifier, &"0".repeat(384)), "the verifier is 0, which would let anyone in"),
        (carol(verifier, &"F".repeat(384)), below_n),
        // N itself, from RFC 5054.
        (carol(verifier, &hex(Group::Bits1536.modulus())), below_n),
    ];
    for (line, expected) in cases {
        let store = place.netatalk(format!("# one\n\n{line}\n{ATALK1}"));
        assert_eq!(reason(&store, b"carol").to_string(), expected, "{line}");
        let warnings: Vec<String> = store.warnings().unwrap().iter().map(ToString::to_string).collect();
        assert_eq!(warnings, [format!("{}:3: {expected}", place.path.display())]);
        assert!(opens(&store, "atalk1", PASSWORD, "atalk1"), "a last line without line feed");
        let Status::Unusable(reason) = &store.accounts().unwrap()[0].status else { panic!() };
        assert_eq!(reason.to_string(), expected);
    }
    let store = place.netatalk(format!("carol\n{ATALK1}\n\u{fc}:\n"));
    assert_eq!(store.warnings().unwrap().len(), 2);
    assert!(matches!(store.lookup(b"carol").unwrap(), Lookup::Unknown));
}

#[test]
fn lower_case_digits_are_read() {
    let place = Place::new();
    let store = place.netatalk(CAROL.to_lowercase());
    assert!(opens(&store, "carol", PASSWORD, "carol"));
}

#[test]
fn a_long_line_is_one_line() {
    let place = Place::new();
    // Netatalk 4.5 reads 673 bytes at a time: there, carol's record in the middle of this comment counts.
    let line = format!("#{}{CAROL}", "x".repeat(672));
    let store = place.netatalk(format!("{line}\n{ATALK1}\n"));
    assert!(matches!(store.lookup(b"carol").unwrap(), Lookup::Unknown));
    assert!(opens(&store, "atalk1", PASSWORD, "atalk1"));
    let warning = &store.warnings().unwrap()[0];
    assert_eq!((warning.line, &warning.reason), (Some(1), &UnusableReason::LongLine { len: line.len() }));
    // A record with the longest name is no such line.
    add(&store, &"n".repeat(255), b"password");
    assert_eq!(store.warnings().unwrap().len(), 1);
}

#[test]
fn a_name_that_occurs_twice_is_used_by_neither_line() {
    let place = Place::new();
    let content = format!("{CAROL}\n{ATALK1}\n{}\n", placeholder("carol"));
    let store = place.netatalk(&content);
    let UnusableReason::Duplicate { first } = reason(&store, b"carol") else { panic!() };
    assert_eq!(first, format!("{}:1", place.path.display()));
    assert!(opens(&store, "atalk1", PASSWORD, "atalk1"));
    assert_eq!(store.warnings().unwrap()[0].line, Some(3));
    let refused = store.set_password("carol", b"new", &mut SysRng).unwrap_err();
    assert!(matches!(refused, StoreError::DuplicateRecord { line: 3, first: 1, .. }), "{refused:?}");
    assert!(store.remove("carol").is_err() && store.disable("carol").is_err());
    assert_eq!(place.bytes(), content.as_bytes());
    // Others can still be changed.
    store.set_password("atalk1", b"new", &mut SysRng).unwrap();
    assert!(opens(&store, "atalk1", b"new", "atalk1"));
}

#[test]
fn names_that_are_not_utf8_are_nobodys() {
    let place = Place::new();
    let store = place.netatalk([b"c\xffrol".as_slice(), &CAROL.as_bytes()[5..], b"\n", ATALK1.as_bytes()].concat());
    assert_eq!(reason(&store, b"c\xffrol"), UnusableReason::Name(NameFault::NotUtf8));
    assert!(opens(&store, "atalk1", PASSWORD, "atalk1"));
    store.set_password("atalk1", b"new", &mut SysRng).unwrap();
    assert!(place.bytes().starts_with(b"c\xffrol:"));
    // How that name is shown is another user's name.
    assert!(store.remove("c\u{fffd}rol").is_err());
    add(&store, "c\u{fffd}rol", b"x");
    store.disable("c\u{fffd}rol").unwrap();
    store.set_password("c\u{fffd}rol", b"y", &mut SysRng).unwrap();
    assert!(opens(&store, "c\u{fffd}rol", b"y", "c\u{fffd}rol"));
    assert_eq!(reason(&store, b"c\xffrol"), UnusableReason::Name(NameFault::NotUtf8));
}

#[test]
fn what_the_netatalk_formats_cannot_hold() {
    let place = Place::new();
    let store = place.netatalk("");
    let group = add_full(&store, "a", None, Group::Bits2048, b"x").unwrap_err();
    assert_eq!(group.to_string(), "accounts in a Netatalk file cannot use the 2048-bit group; it takes 1536 bits only");
    assert!(matches!(add_full(&store, "a", Some("A"), Group::Bits1536, b"x"), Err(StoreError::NotInFormat { .. })));
    assert!(matches!(store.add_alias("a", "b", b"x", &mut SysRng), Err(StoreError::NotInFormat { .. })));
    let comment = add_full(&store, "#a", None, Group::Bits1536, b"x");
    assert!(matches!(comment, Err(StoreError::InvalidName { fault: NameFault::Comment, .. })));
    // The placeholder of `afppasswd -c` is there already; a password enrols.
    let store = place.netatalk(placeholder("a"));
    assert!(matches!(add_full(&store, "a", None, Group::Bits1536, b"x"), Err(StoreError::AlreadyExists { .. })));
    store.set_password("a", b"x", &mut SysRng).unwrap();
    assert!(opens(&store, "a", b"x", "a"));
    // Umlauts get no second line.
    add(&store, "j\u{f6}rg", b"x");
    assert_eq!(store.accounts().unwrap().len(), 2);
    assert!(matches!(store.lookup("jo\u{308}rg".as_bytes()).unwrap(), Lookup::Unknown));
}

#[test]
fn the_directory_has_a_file_per_user_id() {
    let place = Place::new();
    let store = place.create(Format::NetatalkDirectory);
    let me = rustix::process::geteuid().as_raw();
    assert_eq!(fs::metadata(&place.path).unwrap().mode() & 0o7777, 0o755);
    add(&store, "me", b"password");
    assert!(opens(&store, "me", b"password", "me"));
    let file = place.file(&me.to_string());
    let metadata = fs::metadata(&file).unwrap();
    assert_eq!((metadata.uid(), metadata.mode() & 0o7777, metadata.nlink()), (me, 0o600, 1));
    let text = fs::read_to_string(&file).unwrap();
    assert!(text.starts_with("me:") && text.ends_with('\n') && text.len() == 3 + 32 + 1 + 384 + 1, "{text}");
    assert_eq!(text[3..], text[3..].to_uppercase());

    store.disable("me").unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), format!("{}\n", placeholder("me")));
    assert!(matches!(store.lookup(b"me").unwrap(), Lookup::Disabled { .. }));
    assert!(matches!(store.enable("me"), Err(StoreError::VerifierDestroyed { .. })));
    store.set_password("me", b"again", &mut SysRng).unwrap();
    assert!(opens(&store, "me", b"again", "me"));
    store.remove("me").unwrap();
    assert!(!file.exists());
    assert!(matches!(store.lookup(b"me").unwrap(), Lookup::Unknown));
    assert!(matches!(store.remove("me"), Err(StoreError::NoSuchAccount { .. })));
    assert!(matches!(add_full(&store, "nobody", None, Group::Bits1536, b"x"), Err(StoreError::NoSystemUser { .. })));
    assert!(matches!(store.lookup(b"nobody").unwrap(), Lookup::Unknown));
}

#[test]
fn a_file_of_the_directory_is_exactly_one_record() {
    let place = Place::new();
    let store = place.create(Format::NetatalkDirectory);
    let me = place.file(&rustix::process::geteuid().as_raw().to_string());
    let good = format!("me{}\n", &CAROL[5..]);
    write(&me, &good);
    assert!(matches!(store.lookup(b"me").unwrap(), Lookup::Found(_)));
    let cases = [
        String::new(),
        "\n".into(),
        good.trim_end().to_owned(),
        good.replace('\n', "\r\n"),
        good.replace('\n', ":\n"),
        format!("{good}\n"),
        format!("{good}{good}"),
        format!("# comment\n{good}"),
        format!("\n{good}"),
        good.replacen(':', ";", 1),
        good[..300].to_owned(),
    ];
    for bad in cases {
        write(&me, &bad);
        assert_eq!(reason(&store, b"me"), UnusableReason::NotOneRecord, "{bad:?}");
        let warnings = store.warnings().unwrap();
        assert_eq!((warnings.len(), warnings[0].line, &warnings[0].path), (1, Some(1), &me));
        let refused = store.set_password("me", b"x", &mut SysRng);
        assert!(matches!(refused, Err(StoreError::Malformed { line: 1, .. })), "{refused:?}");
    }
    write(&me, good.replacen("99", "zz", 1));
    assert_eq!(reason(&store, b"me"), UnusableReason::SaltDigits);
    write(&me, format!("me:{}:{}\n", &CAROL[6..38], "0".repeat(384)));
    assert_eq!(reason(&store, b"me"), UnusableReason::VerifierZero);
    store.remove("me").unwrap();
    add(&store, "me", b"x");
    assert!(opens(&store, "me", b"x", "me"));
}

/// Each user can write into his own file, so what it says about others must not count.
#[test]
fn a_user_who_calls_himself_by_anothers_name_gets_nowhere() {
    let place = Place::new();
    let store = place.create(Format::NetatalkDirectory);
    let me = place.file(&rustix::process::geteuid().as_raw().to_string());
    write(&me, format!("user4711{}\n", &CAROL[5..]));
    assert!(matches!(store.lookup(b"user4711").unwrap(), Lookup::Unknown));
    assert_eq!(reason(&store, b"me"), UnusableReason::OtherUser);
    assert_eq!(store.warnings().unwrap()[0].reason, UnusableReason::OtherUser);
    // And takes nothing along on an import.
    let other = Place::new();
    let native = other.create(Format::Native);
    let transfer = native.import_from(&store, verifier_store::Existing::Replace).unwrap();
    assert_eq!(transfer.transferred, Vec::<String>::new());
}

#[test]
fn the_directorys_owners_decide() {
    if skip_unless_root("owners in a Netatalk directory") {
        return;
    }
    let place = Place::new();
    let store = place.create(Format::NetatalkDirectory);
    let file = place.file("4711");
    let record = format!("user4711{}\n", &CAROL[5..]);
    let give = |content: &str, uid: u32| {
        write(&file, content);
        chown(&file, Some(uid), Some(uid)).unwrap();
    };
    give(&record, 4711);
    assert!(matches!(store.lookup(b"user4711").unwrap(), Lookup::Found(_)));
    assert_eq!(store.warnings().unwrap(), []);

    // root's placeholder: not enrolled; and `add` makes the file the user's own.
    give(&format!("{}\n", placeholder("user4711")), 0);
    assert_eq!(reason(&store, b"user4711"), UnusableReason::NotEnrolled);
    assert!(matches!(store.set_password("user4711", b"x", &mut SysRng), Err(StoreError::NoSuchAccount { .. })));
    add(&store, "user4711", b"x");
    assert!(opens(&store, "user4711", b"x", "user4711"));
    assert_eq!(fs::metadata(&file).unwrap().uid(), 4711);
    // The user's own placeholder: disabled.
    store.disable("user4711").unwrap();
    assert_eq!(fs::metadata(&file).unwrap().uid(), 4711);
    assert!(matches!(store.lookup(b"user4711").unwrap(), Lookup::Disabled { .. }));
    assert!(matches!(add_full(&store, "user4711", None, Group::Bits1536, b"x"), Err(StoreError::AlreadyExists { .. })));

    // root's active record, somebody else's file, a mode: unsafe, and said so.
    for (uid, mode, rule) in [
        (0, 0o600, "it is an active record that belongs to root, and must belong to user id 4711"),
        (4712, 0o600, "it belongs to user id 4712, and must belong to 4711 or root"),
        (4711, 0o640, "its mode is 0o640, so others than its owner can get at it"),
        (4711, 0o602, "its mode is 0o602, so others than its owner can get at it"),
    ] {
        give(&record, uid);
        chmod(&file, mode);
        let UnusableReason::Insecure { rule: found, fix } = reason(&store, b"user4711") else { panic!("{rule}") };
        assert_eq!(found.to_string(), rule);
        assert!(fix.contains(&file.display().to_string()), "{fix}");
        assert!(matches!(store.set_password("user4711", b"x", &mut SysRng), Err(StoreError::Insecure { .. })));
        assert_eq!(fs::read_to_string(&file).unwrap(), record);
    }
    for mode in [0o400, 0o700] {
        give(&record, 4711);
        chmod(&file, mode);
        store.set_password("user4711", b"x", &mut SysRng).unwrap();
        assert_eq!(fs::metadata(&file).unwrap().mode() & 0o7777, mode, "the mode is kept");
    }
    write(&place.file("04711"), &record);
    write(&place.file("README"), "");
    let warnings: Vec<_> = store.warnings().unwrap().into_iter().map(|warning| warning.reason).collect();
    assert_eq!(warnings, [UnusableReason::NotPartOfStore, UnusableReason::NotPartOfStore]);
}

#[test]
fn users_come_from_etc_passwd() {
    let place = Place::new();
    let passwd = place.folder.path().join("passwd");
    let me = rustix::process::geteuid().as_raw();
    fs::write(&passwd, format!("alice:x:{me}:{me}::/:/bin/sh\n")).unwrap();
    let users = || Arc::new(PasswdFile::new(&passwd));
    let store = Store::create_with_users(Format::NetatalkDirectory, &place.path, users()).unwrap();
    add(&store, "alice", b"x");
    assert!(opens(&store, "alice", b"x", "alice"));
    // Renamed: the record names nobody who exists.
    fs::write(&passwd, format!("alicia:x:{me}:{me}::/:/bin/sh\n")).unwrap();
    assert!(matches!(store.lookup(b"alice").unwrap(), Lookup::Unknown));
    assert_eq!(reason(&store, b"alicia"), UnusableReason::OtherUser);
    fs::remove_file(&passwd).unwrap();
    let failed = store.lookup(b"alicia").unwrap_err();
    assert!(failed.to_string().contains("find out the user ids"), "{failed}");
}
