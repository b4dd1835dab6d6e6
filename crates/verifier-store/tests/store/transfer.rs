//! Import and export between the three formats.

use srp6a::Group;
use verifier_store::{Existing, Format, LeftOutReason, Lookup, Transfer};

use crate::common::{ATALK1, CAROL, PASSWORD, Place, SysRng, add, add_full, opens, placeholder, skip_unless_root};

fn left_out(transfer: &Transfer) -> Vec<(&str, Option<&[u8]>, &LeftOutReason)> {
    transfer.left_out.iter().map(|l| (l.account.as_str(), l.login_name.as_deref(), &l.reason)).collect()
}

#[test]
fn from_a_netatalk_file_to_the_native_store_and_back() {
    let (there, here, back) = (Place::new(), Place::new(), Place::new());
    let content = format!("# comment\n{ATALK1}\n{}\n{CAROL}:extra\r\nbroken:1:2\n", placeholder("nover"));
    let file = there.netatalk(&content);
    let native = here.create(Format::Native);
    let transfer = native.import_from(&file, Existing::Keep).unwrap();
    assert_eq!(transfer.transferred, ["atalk1", "carol"]);
    let [nover, broken] = left_out(&transfer)[..] else { panic!("{transfer:?}") };
    assert_eq!(nover, ("nover", None, &LeftOutReason::Placeholder));
    assert!(matches!(broken, ("broken", None, LeftOutReason::Unusable(_))));
    assert_eq!(transfer.left_out[0].to_string(), "\"nover\": there is no verifier, only a placeholder");
    assert!(opens(&native, "atalk1", PASSWORD, "atalk1") && opens(&native, "carol", PASSWORD, "carol"));
    assert_eq!(there.bytes(), content.as_bytes(), "the source is as it was");

    // And back: the records are what they were, byte for byte.
    let again = back.create(Format::NetatalkFile);
    assert_eq!(native.export_to(&again, Existing::Keep).unwrap().transferred, ["atalk1", "carol"]);
    assert_eq!(back.bytes(), format!("{ATALK1}\n{CAROL}\n").as_bytes());
}

#[test]
fn what_has_no_place_is_left_out_and_said() {
    let (here, there) = (Place::new(), Place::new());
    let native = here.create(Format::Native);
    add_full(&native, "j\u{f6}rg", Some("Joe"), Group::Bits1536, b"x").unwrap();
    native.add_alias("j\u{f6}rg", "other", b"x", &mut SysRng).unwrap();
    add_full(&native, "big", None, Group::Bits2048, b"x").unwrap();
    add(&native, "off", b"x");
    native.disable("off").unwrap();
    add(&native, "#hash", b"x");
    let file = there.create(Format::NetatalkFile);
    let transfer = native.export_to(&file, Existing::Keep).unwrap();
    assert_eq!(transfer.transferred, ["j\u{f6}rg"]);
    assert!(opens(&file, "j\u{f6}rg", b"x", "j\u{f6}rg"));
    let mut said: Vec<String> = transfer.left_out.iter().map(ToString::to_string).collect();
    said.sort();
    assert_eq!(
        said,
        [
            "\"#hash\": the name cannot be used: it begins with '#', which makes a comment of the line",
            "\"big\": its group has 2048 bits, and the Netatalk formats know 1536 only",
            "\"j\u{f6}rg\", login name \"Joe\": the Netatalk formats have no further login names",
            "\"j\u{f6}rg\", login name \"jo\\u{308}rg\": the Netatalk formats have no further login names",
            "\"j\u{f6}rg\", login name \"other\": the Netatalk formats have no further login names",
            "\"off\": the account is disabled, and the Netatalk formats cannot keep the verifier of such a one",
        ]
    );
    assert_eq!(file.accounts().unwrap().len(), 1);
}

#[test]
fn what_is_there_already_stays_or_is_replaced() {
    let (here, there) = (Place::new(), Place::new());
    let native = here.create(Format::Native);
    add(&native, "carol", b"mine");
    add_full(&native, "dora", Some("atalk1"), Group::Bits1536, b"mine").unwrap();
    let file = there.netatalk(format!("{ATALK1}\n{CAROL}\n"));
    let transfer = native.import_from(&file, Existing::Keep).unwrap();
    let taken = LeftOutReason::LoginNameTaken { account: "dora".into() };
    assert_eq!(left_out(&transfer), [("atalk1", None, &taken), ("carol", None, &LeftOutReason::AlreadyThere)]);
    assert!(opens(&native, "carol", b"mine", "carol") && opens(&native, "atalk1", b"mine", "dora"));
    let transfer = native.import_from(&file, Existing::Replace).unwrap();
    assert_eq!(transfer.transferred, ["carol"]);
    assert_eq!(left_out(&transfer), [("atalk1", None, &taken)]);
    assert!(opens(&native, "carol", PASSWORD, "carol"));
    assert_eq!(native.warnings().unwrap(), []);

    // A disabled record in a Netatalk file is not switched on by the way.
    let file = there.netatalk(format!("{}\n", placeholder("carol")));
    let transfer = native.export_to(&file, Existing::Keep).unwrap();
    assert!(left_out(&transfer).contains(&("carol", None, &LeftOutReason::AlreadyThere)));
    assert!(matches!(file.lookup(b"carol").unwrap(), Lookup::Disabled { .. }));
    native.export_to(&file, Existing::Replace).unwrap();
    assert!(opens(&file, "carol", PASSWORD, "carol"));
}

#[test]
fn between_native_stores_everything_goes() {
    let (here, there) = (Place::new(), Place::new());
    let native = here.create(Format::Native);
    add_full(&native, "j\u{f6}rg", Some("J\u{f6}rg M"), Group::Bits3072, b"x").unwrap();
    native.disable("j\u{f6}rg").unwrap();
    add(&native, "bob", b"y");
    let copy = there.create(Format::Native);
    let transfer = native.export_to(&copy, Existing::Keep).unwrap();
    assert_eq!((transfer.transferred.len(), transfer.left_out.len()), (2, 0));
    assert_eq!(native.accounts().unwrap(), copy.accounts().unwrap());
    assert_eq!(std::fs::read(here.file("bob.toml")).unwrap(), std::fs::read(there.file("bob.toml")).unwrap());
}

#[test]
fn to_and_from_the_directory() {
    let (there, here, back) = (Place::new(), Place::new(), Place::new());
    let me = format!("me{}", &CAROL[5..]);
    let file = there.netatalk(format!("{me}\n{CAROL}\n"));
    let directory = here.create(Format::NetatalkDirectory);
    let transfer = directory.import_from(&file, Existing::Keep).unwrap();
    assert_eq!(transfer.transferred, ["me"]);
    assert_eq!(left_out(&transfer), [("carol", None, &LeftOutReason::NoSystemUser)]);
    let uid = rustix::process::geteuid().as_raw().to_string();
    assert_eq!(std::fs::read(here.file(&uid)).unwrap(), format!("{me}\n").as_bytes());
    let again = back.create(Format::NetatalkFile);
    again.import_from(&directory, Existing::Keep).unwrap();
    assert_eq!(back.bytes(), format!("{me}\n").as_bytes());

    if skip_unless_root("files for other users") {
        return;
    }
    let native = Place::new();
    let store = native.create(Format::Native);
    for name in ["user1000", "user1001", "nobody"] {
        add(&store, name, b"x");
    }
    let transfer = directory.import_from(&store, Existing::Keep).unwrap();
    assert_eq!(transfer.transferred, ["user1000", "user1001"]);
    assert!(opens(&directory, "user1000", b"x", "user1000") && opens(&directory, "user1001", b"x", "user1001"));
    assert_eq!(directory.warnings().unwrap(), []);
    assert_eq!(directory.accounts().unwrap().len(), 3);
}

#[test]
fn duplicates_are_not_carried_over() {
    let (there, here) = (Place::new(), Place::new());
    let file = there.netatalk(format!("{CAROL}\n{CAROL}\n{ATALK1}\n"));
    let native = here.create(Format::Native);
    let transfer = native.import_from(&file, Existing::Keep).unwrap();
    assert_eq!(transfer.transferred, ["atalk1"]);
    assert_eq!(transfer.left_out.len(), 2);
    // Nor is a file with duplicates made worse.
    let again = native.export_to(&file, Existing::Replace).unwrap();
    assert_eq!(again.transferred, ["atalk1"]);
    add(&native, "carol", b"x");
    let again = native.export_to(&file, Existing::Replace).unwrap();
    assert_eq!(again.left_out.len(), 1);
    assert_eq!(there.bytes(), format!("{CAROL}\n{CAROL}\n{ATALK1}\n").as_bytes());
}
