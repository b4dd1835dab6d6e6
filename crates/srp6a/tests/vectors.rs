//! Published and independently confirmed numbers, compared at every intermediate value they give.
//!
//! `tests/vectors` holds three files; each entry says where it is from. No entry and no number in one can go unused: entries are counted,
//! and a number that no check has read fails the test.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first thing wrong"
)]

use std::cell::RefCell;
use std::collections::BTreeSet;

use num_bigint::BigUint;
use serde_json::Value;
use srp6a::{Client, Form, Group, Hash, PasswordRule, Profile, ProofForm, Server, Verifier, formulas, mgf1};

/// RFC 5054 appendix B, srptools, HomeKitADK, MGF1, AFP, web sign-in, escrow: 26 entries.
#[test]
fn collected_vectors() {
    let file: Value = serde_json::from_str(include_str!("vectors/srp.json")).unwrap();
    let groups = file["groups"].as_object().unwrap();
    assert_eq!(groups.len(), 3);
    for (bits, group) in groups {
        let ours = Group::from_bits(bits.parse().unwrap()).unwrap();
        let g = u8::try_from(group["g"].as_u64().unwrap()).unwrap();
        assert_eq!(Group::from_modulus(&bytes(group["N"].as_str().unwrap()), &[g]), Some(ours));
    }

    let mut checked = Vec::new();
    for entry in file["vectors"].as_array().unwrap() {
        let vector = Vector::new(entry);
        let name = vector.text("name");
        let kind = match name.as_str() {
            "rfc5054-appB-sha1-1024" => {
                vector.check(Profile::RFC5054);
                "rfc5054"
            }
            name if name.starts_with("srptools-") => {
                vector.check(Profile { hash: vector.hash(), ..Profile::RFC5054 });
                "srptools"
            }
            "homekit-adk-sha512-3072" => {
                vector.check(Profile::HOMEKIT);
                "homekit"
            }
            name if name.starts_with("mgf1-sha1-") => {
                let len = usize::try_from(entry["len"].as_u64().unwrap()).unwrap();
                assert_eq!(mgf1(Hash::Sha1, &vector.bytes("seed"), len).as_slice(), vector.bytes("out"));
                vector.skip(&["len"]);
                "mgf1"
            }
            name if name.starts_with("afp-") => {
                vector.check(Profile::AFP);
                vector.check_m1_if_padded(Profile::AFP, "M1_if_A_B_padded");
                "afp"
            }
            name if name.starts_with("apple-web-") => {
                vector.check_apple_web();
                "apple-web"
            }
            "escrow-sha256-2048-plain" => {
                vector.check(Profile::ESCROW);
                "escrow"
            }
            "escrow-public-kat-a5-b7" => {
                vector.check_escrow_both_ways(entry);
                "escrow-both-ways"
            }
            _ => panic!("{name}: no check for this vector"),
        };
        vector.finish();
        checked.push(kind);
    }

    let count = |kind: &str| checked.iter().filter(|checked| **checked == kind).count();
    assert_eq!(
        ["rfc5054", "srptools", "homekit", "mgf1", "afp", "apple-web", "escrow", "escrow-both-ways"].map(count),
        [1, 9, 1, 4, 4, 5, 1, 1]
    );
    assert_eq!(checked.len(), 26);
}

/// AFP with 1536-bit private keys, leading zero bytes in A, B, S, both, and the salt; strip and pad proofs: 6 entries.
#[test]
fn afp_vectors() {
    let file: Value = serde_json::from_str(include_str!("vectors/afp_srp.json")).unwrap();
    let entries = file.as_array().unwrap();
    assert_eq!(entries.len(), 6);
    for entry in entries {
        let vector = Vector::new(entry);
        vector.check(Profile::AFP);
        let pad = Profile { ab_in_m1: Form::Pad, a_in_m2: Form::Pad, ..Profile::AFP };
        vector.check_m1_if_padded(pad, "M1_pad");
        let s = vector.bytes("S");
        let wrong = formulas::session_key(&Profile { s_in_k: Form::Pad, ..Profile::AFP }, &s);
        assert_eq!(wrong.as_bytes(), vector.bytes("K_if_S_padded_WRONG"));
        vector.finish();
    }
}

/// Logins that the real Netatalk 4.5.1 accepted, leading zero bytes in A, B and S among them: 5 entries. Its b is not known, so B is taken from its
/// reply: the client's side, and both proofs.
#[test]
fn netatalk_transcripts() {
    let file: Value = serde_json::from_str(include_str!("vectors/netatalk-4.5.1-transcripts.json")).unwrap();
    let entries = file.as_array().unwrap();
    assert_eq!(entries.len(), 5);
    for entry in entries {
        let vector = Vector::new(entry);
        vector.check(Profile::AFP);

        // The fields of the real messages: group, N, g, salt and B after the four bytes of context and group index; A and M1; M2.
        let reply = vector.bytes("loginext_reply");
        let (index, fields) = (u16::from_be_bytes([reply[2], reply[3]]), fields(&reply[4..]));
        let [n, g, salt, b_pub] = fields.as_slice() else { panic!("{} fields in a challenge", fields.len()) };
        assert_eq!(Group::from_index(index), Group::from_modulus(n, g));
        assert_eq!((*salt, *b_pub), (&vector.bytes("salt")[..], &vector.bytes("B")[..]));
        let request = vector.bytes("logincont_request");
        assert_eq!(self::fields(&request[6..]), [vector.bytes("A"), vector.bytes("M1")]);
        assert_eq!(self::fields(&vector.bytes("logincont_reply")[2..]), [vector.bytes("M2")]);
        assert_eq!((entry["loginext_reply_code"].as_i64(), entry["code2"].as_i64()), (Some(-5001), Some(0)));
        assert_eq!(entry["m2_ok"].as_bool(), Some(true));

        // The verifier Netatalk had stored is the one we derive.
        let (user, password) = (vector.text("user"), vector.text("password"));
        let verifier = Verifier::derive(&Profile::AFP, Group::Bits1536, user.as_bytes(), password.as_bytes(), salt);
        assert_eq!(verifier.as_be_bytes(), vector.bytes("verifier"));

        // And the client as programs use it gets in with the same proof, and takes Netatalk's.
        let a = vector.bytes("a").try_into().unwrap();
        let client = Client::dangerous_with_private_key(&Profile::AFP, Group::Bits1536, &a);
        assert_eq!(client.a_pub(), vector.bytes("A"));
        let proof = client.prove(user.as_bytes(), password.as_bytes(), salt, b_pub).unwrap();
        assert_eq!(proof.m1(), vector.bytes("M1"));
        assert_eq!(proof.verify(&vector.bytes("M2")).unwrap().as_bytes(), vector.bytes("K"));

        vector.skip(&["loginext_request", "loginext_reply_code", "code2", "m2_ok"]);
        vector.finish();
    }
}

/// One entry of a file, and which of its numbers no check has read yet.
struct Vector<'a> {
    entry: &'a Value,
    unread: RefCell<BTreeSet<&'a str>>,
}

impl<'a> Vector<'a> {
    fn new(entry: &'a Value) -> Vector<'a> {
        let about = ["name", "source", "convention"];
        let keys = entry.as_object().unwrap().keys().map(String::as_str);
        Vector { entry, unread: RefCell::new(keys.filter(|key| !about.contains(key)).collect()) }
    }

    fn finish(&self) {
        assert!(self.unread.borrow().is_empty(), "{}: not checked: {:?}", self.entry["name"], self.unread);
    }

    fn skip(&self, keys: &[&'a str]) {
        for key in keys {
            assert!(self.unread.borrow_mut().remove(key), "{}: no {key}", self.entry["name"]);
        }
    }

    fn has(&self, key: &str) -> bool {
        self.entry.get(key).is_some()
    }

    fn text(&self, key: &str) -> String {
        self.unread.borrow_mut().remove(key);
        self.entry[key].as_str().unwrap_or_else(|| panic!("{}: no {key}", self.entry["name"])).to_owned()
    }

    fn bytes(&self, key: &str) -> Vec<u8> {
        bytes(&self.text(key))
    }

    /// Some files write `user`, others `I`; some `verifier`, others `v`.
    fn either(&self, one: &str, other: &str) -> String {
        if self.has(one) { self.text(one) } else { self.text(other) }
    }

    fn hash(&self) -> Hash {
        match self.text("hash").as_str() {
            "sha1" => Hash::Sha1,
            "sha256" => Hash::Sha256,
            "sha512" => Hash::Sha512,
            other => panic!("hash {other}"),
        }
    }

    fn group(&self) -> Group {
        self.unread.borrow_mut().remove("group");
        let group = self.entry.get("group").map_or(Group::Bits1536, |bits| {
            Group::from_bits(usize::try_from(bits.as_u64().unwrap()).unwrap()).unwrap()
        });
        if self.has("N") {
            assert_eq!(Group::from_modulus(&self.bytes("N"), &self.bytes("g")), Some(group));
        }
        group
    }

    /// Asserts that a computed number is the one given, if one is. Leading zeros do not count: the files are not of one mind.
    fn expect(&self, key: &str, computed: &[u8]) {
        if self.has(key) {
            assert_eq!(number(computed), number(&self.bytes(key)), "{}: {key}", self.entry["name"]);
        }
    }

    /// Asserts that a byte string is the one given, if one is.
    fn expect_bytes(&self, key: &str, computed: &[u8]) {
        if self.has(key) {
            assert_eq!(computed, self.bytes(key), "{}: {key}", self.entry["name"]);
        }
    }

    fn check(&self, profile: Profile) {
        if self.has("hash") {
            assert_eq!(self.hash(), profile.hash);
        }
        self.check_as(profile, ["K", "M1", "M2"]);
    }

    /// Every number of the entry, along the server's and the client's way as far as the private keys are given.
    fn check_as(&self, profile: Profile, [key_k, key_m1, key_m2]: [&str; 3]) {
        let group = self.group();
        let (user, password) = (self.either("I", "user"), self.either("P", "password"));
        let (user, password) = (user.as_bytes(), password.as_bytes());
        let salt = bytes(&self.either("s", "salt"));

        let k = formulas::k(&profile, group);
        self.expect("k", &k);
        let x = formulas::x(&profile, user, password, &salt);
        self.expect("x", &x);
        let v = formulas::g_pow(group, &x);
        self.expect("v", &v);
        self.expect("verifier", &v);
        assert_eq!(Verifier::derive(&profile, group, user, password, &salt).as_be_bytes(), *v);

        let a_pub = if self.has("a") { formulas::g_pow(group, &self.bytes("a")).to_vec() } else { self.bytes("A") };
        self.expect("A", &a_pub);
        let b_pub = if self.has("b") { formulas::b_pub(group, &k, &v, &self.bytes("b")) } else { self.bytes("B") };
        self.expect("B", &b_pub);
        let u = formulas::u(&profile, group, &a_pub, &b_pub);
        self.expect("u", &u);

        let mut secrets = Vec::new();
        if self.has("b") {
            secrets.push(formulas::server_s(group, &a_pub, &v, &u, &self.bytes("b")));
        }
        if self.has("a") {
            secrets.push(formulas::client_s(group, &b_pub, &k, &x, &u, &self.bytes("a")));
        }
        assert!(!secrets.is_empty(), "{}: neither a nor b", self.entry["name"]);
        for s in &secrets {
            assert_eq!(s.len(), group.byte_len());
            self.expect("S", s);
            assert_eq!(s, &secrets[0]);
        }

        if self.has("lead0") {
            for (key, value) in [("A", &a_pub), ("B", &b_pub), ("S", &secrets[0])] {
                let zeros = u64::try_from(value.iter().take_while(|byte| **byte == 0).count()).unwrap();
                assert_eq!(self.entry["lead0"][key].as_u64(), Some(zeros), "{}: lead0 {key}", self.entry["name"]);
            }
            self.unread.borrow_mut().remove("lead0");
        }

        let key = formulas::session_key(&profile, &secrets[0]);
        self.expect_bytes(key_k, key.as_bytes());
        let m1 = formulas::m1(&profile, group, user, &salt, &a_pub, &b_pub, &key);
        self.expect_bytes(key_m1, &m1);
        self.expect_bytes("M1_strip", &m1);
        let m2 = formulas::m2(&profile, group, &a_pub, &m1, &key);
        self.expect_bytes(key_m2, &m2);
        self.expect_bytes("M2_strip", &m2);

        // The same through the doors that programs use, where b is as long as ours.
        if self.has("b") && self.bytes("b").len() <= 32 {
            let verifier = Verifier::from_be_bytes(group, &v).unwrap();
            let mut b = [0; 32];
            let given = self.bytes("b");
            b[32 - given.len()..].copy_from_slice(&given);
            let server = Server::dangerous_with_private_key(&profile, user, &salt, &verifier, &b);
            assert_eq!(server.b_pub(), b_pub);
            let verified = server.finish(&a_pub, &m1).unwrap();
            assert_eq!((verified.m2(), verified.session_key()), (&m2[..], &key));
            let own = if profile.ab_in_m1 == Form::Strip { ProofForm::Strip } else { ProofForm::Pad };
            assert_eq!(verified.form(), own);
        }
    }

    /// The AFP entries also have M1 as a client would compute it that pads A and B, and some M2.
    fn check_m1_if_padded(&self, profile: Profile, key_m1: &str) {
        let pad = Profile { ab_in_m1: Form::Pad, ..profile };
        let (a_pub, b_pub) = (self.bytes("A"), self.bytes("B"));
        let key = formulas::session_key(&pad, &self.bytes("S"));
        let (user, salt) = (self.either("I", "user"), bytes(&self.either("s", "salt")));
        let m1 = formulas::m1(&pad, self.group(), user.as_bytes(), &salt, &a_pub, &b_pub, &key);
        self.expect_bytes(key_m1, &m1);
        self.expect_bytes("M2_pad", &formulas::m2(&pad, self.group(), &a_pub, &m1, &key));
    }

    /// Web sign-in: once with everything padded, as Apple's library does by default, and once with what other clients strip stripped.
    fn check_apple_web(&self) {
        let iterations = u32::try_from(self.entry["iterations"].as_u64().unwrap()).unwrap();
        let (password, salt) = (self.text("P"), self.bytes("s"));
        let (rule, derived) = match self.text("protocol").as_str() {
            "s2k" => (PasswordRule::S2k { iterations }, srp6a::s2k(password.as_bytes(), &salt, iterations)),
            "s2k_fo" => (PasswordRule::S2kFo { iterations }, srp6a::s2k_fo(password.as_bytes(), &salt, iterations)),
            other => panic!("protocol {other}"),
        };
        self.expect_bytes("derived_key", &*derived);
        self.skip(&["iterations"]);
        assert_eq!(self.hash(), Profile::APPLE_WEB.hash);

        let pad = Profile { password: rule, ..Profile::APPLE_WEB };
        self.check_as(pad, ["K_pad", "M1_pad", "M2_pad"]);
        let trim = Profile { ab_in_m1: Form::Strip, a_in_m2: Form::Strip, s_in_k: Form::Strip, ..pad };
        self.check_as(trim, ["K_trim", "M1_trim", "M2_trim"]);
    }

    /// Private keys so small that A has 255 leading zero bytes: every convention gives another result. The client this is from strips in u as well.
    fn check_escrow_both_ways(&self, entry: &Value) {
        assert_eq!(self.hash(), Profile::ESCROW.hash);
        let trim = Profile {
            ab_in_u: Form::Strip,
            ab_in_m1: Form::Strip,
            a_in_m2: Form::Strip,
            s_in_k: Form::Strip,
            ..Profile::ESCROW
        };
        for (profile, way) in [(trim, "trim_all"), (Profile::ESCROW, "pad_all")] {
            let mut merged = entry.clone();
            for (key, value) in entry[way].as_object().unwrap() {
                merged[key] = value.clone();
            }
            assert_eq!(entry[way].as_object().unwrap().len(), 3);
            let vector = Vector::new(&merged);
            vector.check_as(profile, ["K", "M1", "M2"]);
            vector.skip(&["trim_all", "pad_all", "hash"]);
            vector.finish();
            self.skip(&[way]);
        }
        for key in ["I", "P", "s", "a", "b"] {
            self.text(key);
        }
        self.group();
    }
}

/// Hex of any length: some files drop leading zero digits.
fn bytes(hex: &str) -> Vec<u8> {
    let padded = if hex.len().is_multiple_of(2) { hex.to_owned() } else { format!("0{hex}") };
    (0..padded.len()).step_by(2).map(|at| u8::from_str_radix(padded.get(at..at + 2).unwrap(), 16).unwrap()).collect()
}

fn number(bytes: &[u8]) -> BigUint {
    BigUint::from_bytes_be(bytes)
}

/// The fields of a message, each its length in two bytes and then its bytes.
fn fields(mut rest: &[u8]) -> Vec<&[u8]> {
    let mut fields = Vec::new();
    while let Some((len, tail)) = rest.split_first_chunk::<2>() {
        let (field, tail) = tail.split_at(u16::from_be_bytes(*len).into());
        fields.push(field);
        rest = tail;
    }
    fields
}
