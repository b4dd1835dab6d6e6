//! Whatever the bytes are: no panic, nothing lost; what is written is read again.

use proptest::collection::vec;
use proptest::prelude::*;
use srp6a::Group;
use verifier_store::{Format, Lookup, for_test};

use crate::common::{CAROL, FORMATS, Place, SysRng, add_full, opens, write};

/// Bytes that look like the file of a store, more or less.
fn nearly(format: Format) -> impl Strategy<Value = Vec<u8>> {
    let pieces: Vec<&'static [u8]> = match format {
        Format::Native => vec![
            b"version = 1\n",
            b"account = \"bob\"\n",
            b"full_name = 'B'\n",
            b"enabled = true\n",
            b"[[login]]\n",
            b"name = \"bob\"\n",
            b"group = 1536\n",
            b"salt = \"00112233445566778899aabbccddeeff\"\n",
            b"verifier = \"01\"\n",
            b"version = 2\n",
            b"\"\\u0000\"",
            b"'''",
            b"[",
            b"=",
            b"\xff",
            b"#",
        ],
        _ => vec![
            b"carol",
            b":",
            CAROL.as_bytes(),
            b"\n",
            b"\r\n",
            b"#",
            b" ",
            b"*",
            b"bob:",
            b"\xff",
            b"\0",
            b"AB",
            &CAROL.as_bytes()[5..],
            &CAROL.as_bytes()[38..],
        ],
    };
    let piece = prop_oneof![
        4 => proptest::sample::select(pieces).prop_map(<[u8]>::to_vec),
        1 => vec(any::<u8>(), 0..40),
    ];
    vec(piece, 0..20).prop_map(|pieces| pieces.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 400, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_as_a_file(bytes in vec(any::<u8>(), 0..2000)) {
        for format in FORMATS {
            for_test::check_file(format, &bytes);
        }
    }

    #[test]
    fn nearly_native(bytes in nearly(Format::Native)) {
        for_test::check_file(Format::Native, &bytes);
    }

    #[test]
    fn nearly_netatalk(bytes in nearly(Format::NetatalkFile)) {
        for_test::check_file(Format::NetatalkFile, &bytes);
        for_test::check_file(Format::NetatalkDirectory, &bytes);
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes_in_a_store(bytes in prop_oneof![nearly(Format::Native), nearly(Format::NetatalkFile)]) {
        let place = Place::new();
        let store = place.create(Format::Native);
        write(&place.file("bob.toml"), &bytes);
        prop_assert!(store.warnings().is_ok() && store.accounts().is_ok() && store.lookup(b"bob").is_ok());
        let place = Place::new();
        let store = place.netatalk(&bytes);
        prop_assert!(store.warnings().is_ok() && store.accounts().is_ok());
        let others = store.accounts().unwrap();
        if add_full(&store, "newcomer", None, Group::Bits1536, b"x").is_ok() {
            prop_assert!(opens(&store, "newcomer", b"x", "newcomer"));
            prop_assert_eq!(&store.accounts().unwrap()[..others.len()], &others[..]);
            store.remove("newcomer").unwrap();
            prop_assert_eq!(store.accounts().unwrap(), others);
        }
    }

    #[test]
    fn what_is_written_is_read(
        name in "[^:\\p{Cc}]{1,60}",
        full_name in proptest::option::of("[^:\\p{Cc}]{1,60}"),
        password in vec(any::<u8>(), 1..40),
        group in proptest::sample::select(vec![Group::Bits1536, Group::Bits2048]),
    ) {
        let place = Place::new();
        let store = place.create(Format::Native);
        add_full(&store, &name, full_name.as_deref(), group, &password).unwrap();
        prop_assert!(opens(&store, &name, &password, &name));
        prop_assert!(full_name.as_deref().is_none_or(|full_name| opens(&store, full_name, &password, &name)));
        prop_assert_eq!(store.warnings().unwrap(), []);
        let account = store.accounts().unwrap().remove(0);
        prop_assert_eq!((&account.name, &account.full_name), (&name, &full_name));
        let file = std::fs::read_dir(&place.path).unwrap().map(|e| e.unwrap().path()).find(|p| p.extension().is_some()).unwrap();
        for_test::check_file(Format::Native, &std::fs::read(file).unwrap());

        if !name.starts_with('#') {
            let place = Place::new();
            let store = place.create(Format::NetatalkFile);
            add_full(&store, &name, None, Group::Bits1536, &password).unwrap();
            prop_assert!(opens(&store, &name, &password, &name));
            store.set_password(&name, b"other", &mut SysRng).unwrap();
            prop_assert!(opens(&store, &name, b"other", &name));
            store.disable(&name).unwrap();
            let disabled = matches!(store.lookup(name.as_bytes()).unwrap(), Lookup::Disabled { .. });
            prop_assert!(disabled);
            store.remove(&name).unwrap();
            prop_assert_eq!(place.bytes(), b"");
        }
    }
}
