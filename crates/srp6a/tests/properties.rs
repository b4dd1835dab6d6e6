//! The engine against the slow second implementation, over random exchanges in every group and with every combination of switches; and what
//! must never happen whatever a peer sends.
#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "a test may stop at the first thing wrong")]

mod common;

use common::{SeededRng, slow_group, slow_profile};
use num_bigint::BigUint;
use proptest::prelude::*;
use srp6a::{
    Client, Form, Group, Hash, Identity, InvalidVerifier, PasswordRule, Profile, Refused, Server, ServerMisbehaved,
    SessionKeyRule, Verifier, WrongServerProof, formulas,
};

fn groups() -> impl Strategy<Value = Group> {
    prop_oneof![
        2 => Just(Group::Bits1024),
        6 => Just(Group::Bits1536),
        2 => Just(Group::Bits2048),
        1 => Just(Group::Bits3072),
        1 => Just(Group::Bits4096),
    ]
}

fn forms() -> impl Strategy<Value = Form> {
    prop_oneof![Just(Form::Strip), Just(Form::Pad)]
}

/// Any combination of the switches, also those nobody uses.
fn profiles() -> impl Strategy<Value = Profile> {
    let hash = prop_oneof![Just(Hash::Sha1), Just(Hash::Sha256), Just(Hash::Sha512)];
    let identity = prop_oneof![Just(Identity::AsGiven), Just(Identity::Lowercase), Just(Identity::Empty)];
    let key = prop_oneof![Just(SessionKeyRule::Hash), (0_usize..150).prop_map(|len| SessionKeyRule::Mgf1 { len })];
    let forms = (forms(), forms(), forms(), forms(), forms(), forms());
    (hash, any::<bool>(), identity, key, forms).prop_map(|(hash, user_in_x, identity, session_key, forms)| {
        let (g_in_k, ab_in_u, g_in_m1, ab_in_m1, a_in_m2, s_in_k) = forms;
        let password = PasswordRule::AsGiven;
        Profile {
            hash,
            user_in_x,
            identity,
            session_key,
            password,
            g_in_k,
            ab_in_u,
            g_in_m1,
            ab_in_m1,
            a_in_m2,
            s_in_k,
        }
    })
}

/// Private keys: short ones, ours of 256 bits, and some as long as old implementations draw them.
fn private_keys() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        1 => prop::collection::vec(any::<u8>(), 1..32),
        4 => prop::collection::vec(any::<u8>(), 32),
        1 => prop::collection::vec(any::<u8>(), 33..128),
    ]
}

fn texts() -> impl Strategy<Value = Vec<u8>> {
    prop::collection::vec(any::<u8>(), 0..40)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 160, ..ProptestConfig::default() })]

    #[test]
    fn every_intermediate_value_is_that_of_the_slow_implementation(
        group in groups(),
        profile in profiles(),
        (user, password, salt) in (texts(), texts(), texts()),
        (a, b) in (private_keys(), private_keys()),
    ) {
        let (slow_group, slow) = (slow_group(group), slow_profile(&profile));
        let (slow_a, slow_b) = (BigUint::from_bytes_be(&a), BigUint::from_bytes_be(&b));

        let x = formulas::x(&profile, &user, &password, &salt);
        let slow_x = slow.x(&salt, &user, &password);
        prop_assert_eq!(BigUint::from_bytes_be(&x), slow_x.clone());
        let v = formulas::g_pow(group, &x);
        let slow_v = slow_group.verifier(&slow_x);
        prop_assert_eq!(&*v, &slow_group.pad(&slow_v));
        let k = formulas::k(&profile, group);
        prop_assert_eq!(BigUint::from_bytes_be(&k), slow.k(&slow_group));

        let a_pub = formulas::g_pow(group, &a);
        let slow_a_pub = slow_group.a_pub(&slow_a);
        prop_assert_eq!(&*a_pub, &slow_group.pad(&slow_a_pub));
        let b_pub = formulas::b_pub(group, &k, &v, &b);
        let slow_b_pub = slow.b_pub(&slow_group, &slow_v, &slow_b);
        prop_assert_eq!(&b_pub, &slow_group.pad(&slow_b_pub));
        let u = formulas::u(&profile, group, &a_pub, &b_pub);
        let slow_u = slow.u(&slow_group, &slow_a_pub, &slow_b_pub);
        prop_assert_eq!(BigUint::from_bytes_be(&u), slow_u.clone());

        let s = formulas::server_s(group, &a_pub, &v, &u, &b);
        let slow_s = slow_group.server_s(&slow_a_pub, &slow_v, &slow_u, &slow_b);
        prop_assert_eq!(&*s, &slow_group.pad(&slow_s));
        prop_assert_eq!(&s, &formulas::client_s(group, &b_pub, &k, &x, &u, &a));
        prop_assert_eq!(&slow_s, &slow.client_s(&slow_group, &slow_b_pub, &slow_x, &slow_a, &slow_u));

        let key = formulas::session_key(&profile, &s);
        let slow_key = slow.session_key(&slow_group, &slow_s);
        prop_assert_eq!(key.as_bytes(), &slow_key);
        let m1 = formulas::m1(&profile, group, &user, &salt, &a_pub, &b_pub, &key);
        prop_assert_eq!(&m1, &slow.m1(&slow_group, &user, &salt, &slow_a_pub, &slow_b_pub, &slow_key));
        let m2 = formulas::m2(&profile, group, &a_pub, &m1, &key);
        prop_assert_eq!(m2, slow.m2(&slow_group, &slow_a_pub, &m1, &slow_key));
    }

    #[test]
    fn client_and_server_agree_in_every_profile_and_a_wrong_password_fails(
        group in groups(),
        profile in profiles(),
        (user, password, salt) in (texts(), texts(), texts()),
        seed in any::<u64>(),
    ) {
        let rng = &mut SeededRng::new(seed);
        let verifier = Verifier::derive(&profile, group, &user, &password, &salt);
        for (typed, right) in [(password.clone(), true), ([&password[..], b"x"].concat(), false)] {
            let server = Server::begin(&profile, &user, &salt, &verifier, rng).unwrap();
            prop_assert_ne!(server.b_pub()[0], 0);
            let client = Client::start(&profile, group, rng).unwrap();
            let a_pub = client.a_pub().to_vec();
            let proof = client.prove(&user, &typed, &salt, server.b_pub()).unwrap();
            match server.finish(&a_pub, proof.m1()) {
                Ok(verified) => {
                    prop_assert!(right);
                    prop_assert_eq!(&proof.verify(verified.m2()).unwrap(), verified.session_key());
                }
                Err(refused) => {
                    prop_assert!(!right);
                    prop_assert_eq!(refused, Refused::WrongProof);
                    prop_assert_eq!(proof.verify(&[0; 20]).unwrap_err(), WrongServerProof);
                }
            }
        }
    }

    #[test]
    fn no_bytes_of_a_peer_let_it_in_or_cause_a_panic(
        group in groups(),
        a_pub in prop::collection::vec(any::<u8>(), 0..600),
        m1 in prop_oneof![4 => prop::collection::vec(any::<u8>(), 20), 1 => prop::collection::vec(any::<u8>(), 0..80)],
    ) {
        let refused = challenge(group).finish(&a_pub, &m1).unwrap_err();
        let expected = if a_pub.is_empty() || a_pub.len() > group.byte_len() {
            Refused::PublicKeyLength { got: a_pub.len(), max: group.byte_len() }
        } else if m1.len() != 20 {
            Refused::ProofLength { got: m1.len(), expected: 20 }
        } else if a_pub.iter().all(|byte| *byte == 0) {
            Refused::PublicKeyZero
        } else {
            Refused::WrongProof
        };
        prop_assert_eq!(refused, expected);
        // The same bytes from a server: only length and zero can be wrong.
        let client = Client::dangerous_with_private_key(&Profile::AFP, group, &[3; 32]);
        let answer = client.prove(b"alice", b"password123", &m1, &a_pub);
        match expected {
            Refused::PublicKeyLength { got, max } => {
                prop_assert_eq!(answer.unwrap_err(), ServerMisbehaved::PublicKeyLength { got, max });
            }
            Refused::PublicKeyZero => prop_assert_eq!(answer.unwrap_err(), ServerMisbehaved::PublicKeyZero),
            _ => prop_assert!(answer.is_ok() || a_pub.iter().all(|byte| *byte == 0)),
        }
    }

    #[test]
    fn bytes_become_a_verifier_only_below_the_modulus(group in groups(), bytes in prop::collection::vec(any::<u8>(), 512)) {
        let bytes = &bytes[..group.byte_len()];
        let expected = BigUint::from_bytes_be(bytes) < slow_group(group).n;
        match Verifier::from_be_bytes(group, bytes) {
            Ok(verifier) => {
                prop_assert!(expected);
                prop_assert_eq!(verifier.as_be_bytes(), bytes);
            }
            Err(error) => {
                prop_assert!(!expected);
                prop_assert_eq!(error, InvalidVerifier::NotBelowModulus);
            }
        }
    }
}

/// A of every size and value that could trip an implementation, in every group.
#[test]
fn public_keys_around_zero_and_the_modulus() {
    for group in Group::ALL {
        let (len, max) = (group.byte_len(), group.byte_len());
        let n = &slow_group(group).n;
        let pad = |value: &BigUint| slow_group(group).pad(value);
        let too_long = |got| Err(Refused::PublicKeyLength { got, max });
        let wrong = Err(Refused::WrongProof);
        let one = BigUint::from(1_u8);
        let all_ones = vec![0xFF; len];
        let cases = [
            ("no bytes", vec![], too_long(0)),
            ("one byte", vec![7], wrong),
            ("one zero byte", vec![0], Err(Refused::PublicKeyZero)),
            ("one byte short", vec![7; len - 1], wrong),
            ("full length", vec![7; len], wrong),
            ("one byte over", vec![7; len + 1], too_long(len + 1)),
            ("one byte over, leading zero", [vec![0], vec![7; len]].concat(), too_long(len + 1)),
            ("eight bytes over", vec![7; len + 8], too_long(len + 8)),
            ("0 at full length", vec![0; len], Err(Refused::PublicKeyZero)),
            ("1", pad(&one), wrong),
            ("N - 1", pad(&(n - &one)), wrong),
            ("N", pad(n), Err(Refused::PublicKeyZero)),
            ("N + 1", pad(&(n + &one)), wrong),
            ("2N", (n + n).to_bytes_be(), too_long(len + 1)),
            ("2^bits - 1", all_ones, wrong),
        ];
        for (name, a_pub, expected) in cases {
            let outcome = challenge(group).finish(&a_pub, &[0; 20]).map(|verified| verified.form());
            assert_eq!(outcome, expected, "{group:?}, {name}");
        }
        for m1 in [0, 19, 21, 40] {
            let refused = challenge(group).finish(&[7], &vec![0; m1]).unwrap_err();
            assert_eq!(refused, Refused::ProofLength { got: m1, expected: 20 });
        }
    }
}

/// Found by the test above: a profile that asked for a session key of no bytes let any password in.
#[test]
fn a_session_key_cannot_be_too_short_to_prove_anything() {
    for len in [0, 1, 19] {
        let profile = Profile { session_key: SessionKeyRule::Mgf1 { len }, ..Profile::AFP };
        let verifier = Verifier::derive(&profile, Group::Bits1536, b"alice", b"password123", b"salt");
        let server = Server::dangerous_with_private_key(&profile, b"alice", b"salt", &verifier, &[5; 32]);
        let client = Client::dangerous_with_private_key(&profile, Group::Bits1536, &[3; 32]);
        let a_pub = client.a_pub().to_vec();
        let proof = client.prove(b"alice", b"another", b"salt", server.b_pub()).unwrap();
        assert_eq!(proof.session_key().as_bytes().len(), 20);
        assert_eq!(server.finish(&a_pub, proof.m1()).unwrap_err(), Refused::WrongProof);
    }
}

/// A client may send A + N if that still fits; the server reduces it, and hashes the bytes it was sent.
#[test]
fn a_public_key_above_the_modulus_is_reduced() {
    let group = Group::Bits1536;
    let (slow, slow_profile) = (slow_group(group), slow_profile(&Profile::AFP));
    let salt = [9; 16];
    let verifier = Verifier::derive(&Profile::AFP, group, b"alice", b"password123", &salt);
    let server = Server::dangerous_with_private_key(&Profile::AFP, b"alice", &salt, &verifier, &[8; 32]);
    // a = 0: A = 1, sent as N + 1.
    let a_pub = &slow.n + BigUint::from(1_u8);
    let b_pub = BigUint::from_bytes_be(server.b_pub());
    let x = slow_profile.x(&salt, b"alice", b"password123");
    let u = slow_profile.u(&slow, &a_pub, &b_pub);
    let s = slow_profile.client_s(&slow, &b_pub, &x, &BigUint::ZERO, &u);
    let key = slow_profile.session_key(&slow, &s);
    let m1 = slow_profile.m1(&slow, b"alice", &salt, &a_pub, &b_pub, &key);
    let verified = server.finish(&a_pub.to_bytes_be(), &m1).unwrap();
    assert_eq!(verified.session_key().as_bytes(), key);
    assert_eq!(verified.m2(), slow_profile.m2(&slow, &a_pub, &m1, &key));
}

proptest! {
    #[test]
    fn mgf1_of_any_length_is_a_prefix_of_hashes_of_the_seed_and_a_counter(seed in texts(), len in 0_usize..200) {
        let hashes = (0_u32..10).flat_map(|n| testkit::slow_srp::Hash::Sha1.digest(&[&seed, &n.to_be_bytes()]));
        let expected: Vec<u8> = hashes.take(len).collect();
        prop_assert_eq!(srp6a::mgf1(Hash::Sha1, &seed, len).to_vec(), expected);
    }
}

#[test]
fn verifiers_that_are_none() {
    for group in Group::ALL {
        let n = slow_group(group).n;
        let pad = |value: &BigUint| slow_group(group).pad(value);
        let from = |bytes: &[u8]| Verifier::from_be_bytes(group, bytes).map(|_| ());
        let expected = group.byte_len();
        for got in [0, 1, expected - 1, expected + 1] {
            assert_eq!(from(&vec![1; got]), Err(InvalidVerifier::Length { got, expected }));
        }
        assert_eq!(from(&vec![0; expected]), Err(InvalidVerifier::Zero));
        assert_eq!(from(&pad(&n)), Err(InvalidVerifier::NotBelowModulus));
        assert_eq!(from(&vec![0xFF; expected]), Err(InvalidVerifier::NotBelowModulus));
        assert_eq!(from(&pad(&(&n - 1_u8))), Ok(()));
        assert_eq!(from(&pad(&BigUint::from(1_u8))), Ok(()));
    }
}

#[test]
fn nothing_secret_shows_in_debug_output() {
    let server = challenge(Group::Bits1536);
    let verifier = Verifier::derive(&Profile::AFP, Group::Bits1536, b"alice", b"password123", b"salt");
    let client = Client::dangerous_with_private_key(&Profile::AFP, Group::Bits1536, &[3; 32]);
    let shown = format!("{verifier:?} {server:?} {client:?}");
    let proof = client.prove(b"alice", b"password123", b"salt", server.b_pub()).unwrap();
    let shown = format!("{shown} {proof:?} {:?}", proof.session_key());
    assert_eq!(shown.matches("Bits1536").count(), 3, "{shown}");
    // Byte strings print as lists of numbers or as text; neither is there.
    assert!(!shown.contains('[') && !shown.contains("alice"), "{shown}");
}

#[test]
fn a_failing_random_number_generator_is_reported() {
    struct Broken;
    impl rand_core::TryRng for Broken {
        type Error = core::fmt::Error;
        fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
            Err(core::fmt::Error)
        }
        fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
            Err(core::fmt::Error)
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Self::Error> {
            Err(core::fmt::Error)
        }
    }
    impl rand_core::TryCryptoRng for Broken {}

    let verifier = Verifier::derive(&Profile::AFP, Group::Bits1536, b"alice", b"password123", b"salt");
    assert!(Server::begin(&Profile::AFP, b"alice", b"salt", &verifier, &mut Broken).is_err());
    assert!(Client::start(&Profile::AFP, Group::Bits1536, &mut Broken).is_err());
}

/// A server that waits for a proof from alice.
fn challenge(group: Group) -> Server {
    let verifier = Verifier::derive(&Profile::AFP, group, b"alice", b"password123", b"salt");
    Server::dangerous_with_private_key(&Profile::AFP, b"alice", b"salt", &verifier, &[5; 32])
}
