//! The native store: a directory with one TOML file per account.

use std::fs;

use crate::common::{Place, SysRng, add, add_full, hex, opens, reason, write};
use srp6a::Group;
use verifier_store::LoginNameKind::{Account, Alias, FullName, Spelling};
use verifier_store::{Format, Lookup, Status, Store, StoreError, UnusableReason};

#[test]
fn an_account_and_its_life() {
    let place = Place::new();
    let store = place.create(Format::Native);
    assert!(matches!(store.lookup(b"bob").unwrap(), Lookup::Unknown));
    add(&store, "bob", b"first");
    assert!(opens(&store, "bob", b"first", "bob"));
    assert!(!opens(&store, "bob", b"second", "bob"));
    for other in [&b"Bob"[..], b"bob ", b"bo", b"", b"bob\0", b"b\xffb"] {
        assert!(matches!(store.lookup(other).unwrap(), Lookup::Unknown), "{other:?}");
    }

    store.set_password("bob", b"second", &mut SysRng).unwrap();
    assert!(opens(&store, "bob", b"second", "bob"));

    store.disable("bob").unwrap();
    assert!(matches!(store.lookup(b"bob").unwrap(), Lookup::Disabled { account } if account == "bob"));
    assert_eq!(store.accounts().unwrap()[0].status, Status::Disabled);
    // A new password does not switch it on.
    store.set_password("bob", b"third", &mut SysRng).unwrap();
    assert!(matches!(store.lookup(b"bob").unwrap(), Lookup::Disabled { .. }));
    store.enable("bob").unwrap();
    assert!(opens(&store, "bob", b"third", "bob"));

    store.remove("bob").unwrap();
    assert!(matches!(store.lookup(b"bob").unwrap(), Lookup::Unknown));
    assert!(matches!(store.remove("bob"), Err(StoreError::NoSuchAccount { .. })));
    assert!(matches!(store.set_password("bob", b"x", &mut SysRng), Err(StoreError::NoSuchAccount { .. })));
    assert!(matches!(store.enable("bob"), Err(StoreError::NoSuchAccount { .. })));
}

#[test]
fn what_is_written_is_what_is_documented() {
    let place = Place::new();
    let store = place.create(Format::Native);
    add_full(&store, "bob", Some("Bob \"B\" O'Hara\\"), Group::Bits2048, b"password").unwrap();
    let Lookup::Found(record) = store.lookup(b"bob").unwrap() else { panic!() };
    let text = fs::read_to_string(place.file("bob.toml")).unwrap();
    let expected = format!(
        "# Written by afpd-rs; comments are not kept.\nversion = 1\naccount = \"bob\"\n\
         full_name = '''Bob \"B\" O'Hara\\'''\nenabled = true\n\n\
         [[login]]\nname = \"bob\"\ngroup = 2048\nsalt = \"{}\"\nverifier = \"{}\"\n",
        hex(&record.salt.0).to_lowercase(),
        hex(record.verifier.as_be_bytes()).to_lowercase(),
    );
    assert!(text.starts_with(&expected), "{text}");
    assert_eq!(record.verifier.as_be_bytes().len(), 256);
}

#[test]
fn all_groups_but_the_weakest_and_the_unheard_of() {
    let place = Place::new();
    let store = place.create(Format::Native);
    for (name, group) in [("a", Group::Bits1536), ("b", Group::Bits2048), ("c", Group::Bits3072)] {
        add_full(&store, name, None, group, b"password").unwrap();
        assert!(opens(&store, name, b"password", name));
        // A new password keeps the group.
        store.set_password(name, b"other", &mut SysRng).unwrap();
        let Lookup::Found(record) = store.lookup(name.as_bytes()).unwrap() else { panic!() };
        assert_eq!(record.verifier.group(), group);
    }
    for (bits, group) in [(1024, Group::Bits1024), (4096, Group::Bits4096)] {
        let refused = add_full(&store, "d", None, group, b"password").unwrap_err();
        assert!(matches!(refused, StoreError::UnsupportedGroup { bits: found, .. } if found == bits));
        assert_eq!(
            refused.to_string(),
            format!("accounts in a native store cannot use the {bits}-bit group; it takes 1536, 2048 or 3072 bits")
        );
    }
}

#[test]
fn full_names_and_spellings_are_login_names() {
    let place = Place::new();
    let store = place.create(Format::Native);
    add_full(&store, "j\u{f6}rg", Some("J\u{f6}rg M\u{fc}ller"), Group::Bits1536, b"one").unwrap();
    let all = ["j\u{f6}rg", "jo\u{308}rg", "J\u{f6}rg M\u{fc}ller", "Jo\u{308}rg Mu\u{308}ller"];
    for name in all {
        assert!(opens(&store, name, b"one", "j\u{f6}rg"), "{name}");
    }
    let account = store.accounts().unwrap().remove(0);
    let kinds: Vec<_> = account.login_names.iter().map(|login| login.kind).collect();
    assert_eq!(kinds, [Account, Spelling, FullName, Spelling]);

    // An alias has the account's password and the spellings' own verifiers.
    let wrong = store.add_alias("j\u{f6}rg", "\u{e9}mil", b"two", &mut SysRng);
    assert!(matches!(wrong, Err(StoreError::WrongPassword { .. })));
    store.add_alias("j\u{f6}rg", "\u{e9}mil", b"one", &mut SysRng).unwrap();
    assert!(opens(&store, "\u{e9}mil", b"one", "j\u{f6}rg") && opens(&store, "e\u{301}mil", b"one", "j\u{f6}rg"));
    let account = store.accounts().unwrap().remove(0);
    let kinds: Vec<_> = account.login_names.iter().map(|login| login.kind).collect();
    assert_eq!(kinds, [Account, Spelling, FullName, Spelling, Alias, Spelling]);

    // A new password is one for all of them.
    store.set_password("j\u{f6}rg", b"two", &mut SysRng).unwrap();
    for name in all.into_iter().chain(["\u{e9}mil", "e\u{301}mil"]) {
        assert!(opens(&store, name, b"two", "j\u{f6}rg"), "{name}");
    }
    // Same letters, other salt: x is over the bytes as typed.
    let salt = |name: &str| match store.lookup(name.as_bytes()).unwrap() {
        Lookup::Found(record) => record.salt,
        other => panic!("{other:?}"),
    };
    assert!(salt("j\u{f6}rg") != salt("jo\u{308}rg"));

    // All go with the account.
    store.disable("j\u{f6}rg").unwrap();
    assert!(matches!(store.lookup(all[3].as_bytes()).unwrap(), Lookup::Disabled { .. }));
    store.remove("j\u{f6}rg").unwrap();
    assert!(matches!(store.lookup(all[1].as_bytes()).unwrap(), Lookup::Unknown));
}

#[test]
fn a_login_name_belongs_to_one_account() {
    let place = Place::new();
    let store = place.create(Format::Native);
    add_full(&store, "j\u{f6}rg", Some("Same Name"), Group::Bits1536, b"one").unwrap();
    let taken = |result: Result<(), StoreError>| {
        assert!(
            matches!(&result, Err(StoreError::DuplicateLoginName { account, .. }) if account == "j\u{f6}rg"),
            "{result:?}"
        );
    };
    taken(add_full(&store, "Same Name", None, Group::Bits1536, b"x"));
    taken(add_full(&store, "jo\u{308}rg", None, Group::Bits1536, b"x"));
    taken(add_full(&store, "other", Some("Same Name"), Group::Bits1536, b"x"));
    add(&store, "other", b"x");
    taken(store.add_alias("other", "Same Name", b"x", &mut SysRng));
    taken(store.add_alias("other", "jo\u{308}rg", b"x", &mut SysRng));
    taken(store.add_alias("j\u{f6}rg", "jo\u{308}rg", b"one", &mut SysRng));
    let again = add_full(&store, "other", None, Group::Bits1536, b"y");
    assert!(matches!(again, Err(StoreError::AlreadyExists { account }) if account == "other"));
    assert!(opens(&store, "other", b"x", "other"));
    assert_eq!(store.accounts().unwrap().len(), 2);
}

#[test]
fn names_of_all_kinds() {
    let place = Place::new();
    let store = place.create(Format::Native);
    let names = [
        "bob",
        "Bob",
        "BOB",
        "b.o.b",
        ".bob",
        "..",
        ".",
        "a/b",
        "../../etc/passwd",
        " ",
        "two words",
        "%42ob",
        "%",
        "~",
        "j\u{f6}rg",
        "J\u{d6}RG",
        "\u{65e5}\u{672c}",
        "con",
        "a\\b",
        "\"",
        "'''",
        "#x",
        "-rf",
        "x.toml",
        "1000",
        "\u{1f511}",
    ];
    let long = ["x".repeat(255), "X".repeat(255), format!("{}y", "X".repeat(254)), "\u{6f22}".repeat(85)];
    let names: Vec<&str> = names.into_iter().chain(long.iter().map(String::as_str)).collect();
    for name in &names {
        add(&store, name, name.as_bytes());
    }
    for name in &names {
        assert!(opens(&store, name, name.as_bytes(), name), "{name:?}");
    }
    assert_eq!(store.warnings().unwrap(), []);
    assert_eq!(store.accounts().unwrap().len(), names.len());
    // No two files differ in case only, and nothing got out of the directory.
    let files: Vec<String> = fs::read_dir(&place.path)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| !name.starts_with('.'))
        .collect();
    assert_eq!(files.len(), names.len());
    assert!(files.iter().all(|file| *file == file.to_lowercase() && file.is_ascii() && file.len() <= 255), "{files:?}");
    assert!(files.contains(&"%42ob.toml".into()) && files.contains(&"two%20words.toml".into()), "{files:?}");
    for name in &names {
        store.remove(name).unwrap();
    }
    assert_eq!(store.accounts().unwrap(), []);

    for bad in ["", "a:b", "a\nb", "a\0", "\u{7f}", &"x".repeat(256)] {
        let refused = add_full(&store, bad, None, Group::Bits1536, b"x");
        assert!(matches!(refused, Err(StoreError::InvalidName { .. })), "{bad:?} {refused:?}");
        let refused = add_full(&store, "good", Some(bad), Group::Bits1536, b"x");
        assert!(matches!(refused, Err(StoreError::InvalidName { .. })), "{bad:?} {refused:?}");
    }
    assert!(matches!(add_full(&store, "a", None, Group::Bits1536, b""), Err(StoreError::EmptyPassword)));
    assert!(matches!(store.set_password("a", b"", &mut SysRng), Err(StoreError::EmptyPassword)));
}

/// What is said about it, how it is made from a good file, and the line that is named.
type Fault = (&'static str, fn(&str) -> String, usize);

/// One account file per fault, beside a good one.
#[test]
fn a_broken_file_is_reported_with_its_line_and_the_others_work() {
    let good = |place: &Place| fs::read_to_string(place.file("bob.toml")).unwrap();
    let zero = "0".repeat(384);
    let cases: Vec<Fault> = vec![
        ("unknown field `colour`", |t| t.replace("enabled", "colour = 1\nenabled"), 4),
        ("missing field `enabled`", |t| t.replace("enabled = true", ""), 1),
        (
            "the format version is 2; this program knows version 1",
            |t| t.replace("version = 1", "version = 2\nnew = 1"),
            2,
        ),
        ("invalid type: string \"1\", expected i64", |t| t.replace("version = 1", "version = '1'"), 2),
        ("missing field `version`", |t| t.replace("version = 1", ""), 1),
        ("invalid basic string", |t| t.replace("account = \"bob\"", "account = \"bob"), 3),
        ("the account has no login name", |t| t.split("\n[[").next().unwrap().to_owned(), 3),
        ("belongs into a file called ann.toml", |t| t.replace("account = \"bob\"", "account = \"ann\""), 3),
        ("the name cannot be used: it contains a colon", |t| t.replace("account = \"bob\"", "account = \"b:b\""), 3),
        (
            "invalid type: string \"(digits)\", expected a boolean",
            |t| {
                let verifier = t.split("verifier = ").nth(1).unwrap().trim().to_owned();
                t.replace("enabled = true", &format!("enabled = {verifier}"))
            },
            4,
        ),
        ("the group of 1024 bits is not one of", |t| t.replace("1536", "1024"), 7),
        ("the group of 4096 bits is not one of", |t| t.replace("1536", "4096"), 7),
        ("the verifier is not 512 hex digits", |t| t.replace("1536", "2048"), 7),
        ("the salt is not 32 hex digits", |t| t.replace("salt = \"", "salt = \"0"), 7),
    ];
    let check = |text: &str, expected: &str, line: usize| {
        let place = Place::new();
        let store = place.create(Format::Native);
        add(&store, "carol", b"password");
        write(&place.file("bob.toml"), text);
        let warnings = store.warnings().unwrap();
        assert_eq!(warnings.len(), 1, "{expected}: {warnings:?}");
        let shown = warnings[0].to_string();
        assert!(shown.starts_with(&format!("{}:{line}: ", place.file("bob.toml").display())), "{expected}: {shown}");
        assert!(shown.contains(expected), "{expected}: {shown}");
        assert_eq!(reason(&store, b"bob"), warnings[0].reason);
        assert!(opens(&store, "carol", b"password", "carol"));
        // It can be removed and made anew.
        store.remove("bob").unwrap();
        add(&store, "bob", b"again");
        assert!(opens(&store, "bob", b"again", "bob"));
        assert_eq!(store.warnings().unwrap(), []);
    };
    let place = Place::new();
    add(&place.create(Format::Native), "bob", b"password");
    let text = good(&place);
    for (expected, break_it, line) in cases {
        check(&break_it(&text), expected, line);
    }
    let verifier = text.split("verifier = \"").nth(1).unwrap().split('"').next().unwrap();
    check(&text.replace(verifier, &zero), "the verifier is 0, which would let anyone in", 7);
    check(&text.replace(verifier, &"f".repeat(384)), "the verifier is not below the modulus", 7);
    check(&text.replace(verifier, &verifier.replacen(|_| true, "g", 1)), "the verifier is not 384 hex digits", 7);
    check("", "missing field", 1);
}

#[test]
fn not_utf8_and_foreign_files() {
    let place = Place::new();
    let store = place.create(Format::Native);
    add(&store, "carol", b"password");
    write(&place.file("bob.toml"), b"version = 1\naccount = \"\xff\"\n");
    write(&place.file("README"), "read me");
    write(&place.file(".carol.toml.swp"), "an editor's");
    write(&place.file("Ann.toml"), fs::read(place.file("carol.toml")).unwrap());
    let shown: Vec<String> = store.warnings().unwrap().iter().map(ToString::to_string).collect();
    let at = |file: &str| place.file(file).display().to_string();
    assert_eq!(
        shown,
        [
            format!("{}:3: the account named inside belongs into a file called carol.toml", at("Ann.toml")),
            format!("{}: this file is not part of the store and is ignored", at("README")),
            format!("{}:2: this is not UTF-8", at("bob.toml")),
        ]
    );
    assert!(opens(&store, "carol", b"password", "carol"));
}

#[test]
fn a_login_name_in_two_files_is_used_by_neither() {
    let place = Place::new();
    let store = place.create(Format::Native);
    add(&store, "bob", b"bob's");
    add(&store, "carol", b"carol's");
    add(&store, "dora", b"dora's");
    let text = fs::read_to_string(place.file("carol.toml")).unwrap();
    let (head, login) = text.split_once("\n[[login]]").unwrap();
    let stolen = login.replace("name = \"carol\"", "name = \"bob\"");
    write(&place.file("carol.toml"), format!("{head}\n[[login]]{login}\n[[login]]{stolen}"));
    let UnusableReason::Duplicate { first } = reason(&store, b"bob") else { panic!() };
    assert_eq!(first, format!("{}:7", place.file("bob.toml").display()));
    let warnings = store.warnings().unwrap();
    assert_eq!((warnings.len(), warnings[0].line), (1, Some(13)));
    assert!(opens(&store, "carol", b"carol's", "carol") && opens(&store, "dora", b"dora's", "dora"));
    assert!(matches!(&store.accounts().unwrap()[0].status, Status::Unusable(UnusableReason::Duplicate { .. })));
    // A new password leaves everybody his own name: the false one goes with the next password of the account that has it.
    store.set_password("bob", b"bob's new", &mut SysRng).unwrap();
    assert!(matches!(store.lookup(b"bob").unwrap(), Lookup::Unusable { .. }));
    store.set_password("carol", b"carol's new", &mut SysRng).unwrap();
    assert!(opens(&store, "bob", b"bob's new", "bob") && opens(&store, "carol", b"carol's new", "carol"));
    assert_eq!(store.warnings().unwrap(), []);

    // The same with the false claim in the file that is read first; or the line is taken out by hand.
    add(&store, "aaron", b"aaron's");
    let good = fs::read(place.file("aaron.toml")).unwrap();
    write(&place.file("aaron.toml"), [&good[..], b"\n[[login]]", stolen.as_bytes()].concat());
    store.set_password("bob", b"bob's", &mut SysRng).unwrap();
    assert!(matches!(store.lookup(b"bob").unwrap(), Lookup::Unusable { .. }));
    write(&place.file("aaron.toml"), &good);
    assert!(opens(&store, "bob", b"bob's", "bob") && opens(&store, "aaron", b"aaron's", "aaron"));
    assert_eq!(store.warnings().unwrap(), []);
}

#[test]
fn changing_one_word_keeps_what_is_broken_elsewhere() {
    let place = Place::new();
    let store = place.create(Format::Native);
    add_full(&store, "bob", Some("Bob"), Group::Bits1536, b"password").unwrap();
    let text = fs::read_to_string(place.file("bob.toml")).unwrap();
    let broken = text.replace("group = 1536", "group = 1537").replacen("group = 1537", "group = 1536", 1);
    let broken = broken.replace("name = \"Bob\"", "name = \"B:\\u0001\\\"ob\"");
    write(&place.file("bob.toml"), &broken);
    assert!(opens(&store, "bob", b"password", "bob"));
    store.disable("bob").unwrap();
    assert!(matches!(store.lookup(b"bob").unwrap(), Lookup::Disabled { .. }));
    let after = fs::read_to_string(place.file("bob.toml")).unwrap();
    assert!(after.contains("group = 1537") && after.contains("enabled = false"), "{after}");
    store.enable("bob").unwrap();
    assert!(opens(&store, "bob", b"password", "bob"));
    // An alias would have to leave the broken name out, so it says what to do instead.
    let refused = store.add_alias("bob", "robert", b"password", &mut SysRng).unwrap_err();
    assert!(refused.to_string().contains("set its password first"), "{refused}");
}

#[test]
fn a_store_is_neither_made_by_opening_nor_overwritten_by_making() {
    let place = Place::new();
    for format in crate::common::FORMATS {
        let missing = Store::open(format, &place.path).unwrap_err();
        assert!(matches!(&missing, StoreError::Missing { path } if *path == place.path), "{missing:?}");
    }
    assert!(!place.path.exists());
    fs::create_dir(&place.path).unwrap();
    let store = place.create(Format::Native);
    add(&store, "bob", b"x");
    assert!(matches!(Store::create(Format::Native, &place.path), Err(StoreError::Exists { .. })));
    assert!(matches!(Store::create(Format::NetatalkFile, &place.path), Err(StoreError::Exists { .. })));
    assert!(opens(&store, "bob", b"x", "bob"));
}
