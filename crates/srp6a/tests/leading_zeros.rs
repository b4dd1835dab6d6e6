//! Leading zero bytes: where implementations disagree, and so where one login in a hundred fails. Here they are forced in A, B, S, the
//! verifier and the salt, for clients of every convention; and ten thousand random logins have to succeed.
#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test may stop at the first thing wrong"
)]

mod common;

use common::{SeededRng, slow_group, slow_profile};
use num_bigint::BigUint;
use srp6a::{Client, Form, Group, Profile, ProofForm, Refused, Server, Verifier};
use testkit::slow_srp::{AForm, AfpClientExchange, Form as SlowForm, SlowGroup, SlowProfile};

const GROUP: Group = Group::Bits1536;
const USER: &[u8] = b"alice";
const PASSWORD: &[u8] = b"password123";

/// A with one and with two leading zero bytes. The form that a client used is found, reported, and answered with.
#[test]
fn leading_zeros_in_a() {
    let group = slow_group(GROUP);
    for zeros in [1, 2] {
        let a = search(|a| leading_zeros(&group, a) >= zeros, &group);
        for (wire, proof, expected) in [
            (SlowForm::Pad, SlowForm::Strip, ProofForm::Strip),
            (SlowForm::Strip, SlowForm::Strip, ProofForm::Strip),
            (SlowForm::Pad, SlowForm::Pad, ProofForm::AsReceived),
            (SlowForm::Strip, SlowForm::Pad, ProofForm::Pad),
        ] {
            let (server, salt) = challenge(&[4; 32]);
            let form = AForm { wire, proof };
            let client =
                AfpClientExchange::compute(USER, PASSWORD, &group, &salt, server.b_pub(), &a.to_bytes_be(), form);
            assert_eq!(client.a_pub.len(), if wire == SlowForm::Pad { 192 } else { 192 - zeros });
            let verified = server.finish(&client.a_pub, &client.m1).unwrap();
            assert_eq!(verified.form(), expected, "{form:?}");
            assert_eq!(verified.m2(), client.m2, "{form:?}");
            assert_eq!(verified.session_key().as_bytes(), client.session_key);
        }
    }
}

/// A sent with some but not all of its leading zero bytes, and hashed just so.
#[test]
fn a_with_half_of_its_zeros() {
    let (group, profile) = (slow_group(GROUP), SlowProfile::AFP);
    let a = search(|a| leading_zeros(&group, a) >= 2, &group);
    let a_pub = group.a_pub(&a);
    let wire = group.pad(&a_pub)[1..].to_vec();
    let (server, salt) = challenge(&[4; 32]);
    let b_pub = BigUint::from_bytes_be(server.b_pub());
    let (x, u) = (profile.x(&salt, USER, PASSWORD), profile.u(&group, &a_pub, &b_pub));
    let key = profile.session_key(&group, &profile.client_s(&group, &b_pub, &x, &a, &u));
    let m1 = profile.m1_over(&group, USER, &salt, &wire, server.b_pub(), &key);
    let verified = server.finish(&wire, &m1).unwrap();
    assert_eq!(verified.form(), ProofForm::AsReceived);
    assert_eq!(verified.m2(), profile.m2_over(&wire, &m1, &key));
}

/// Without a leading zero byte there is one form, and it is tried once: a proof over anything else fails.
#[test]
fn other_forms_are_not_tried_without_a_leading_zero() {
    let (group, profile) = (slow_group(GROUP), SlowProfile::AFP);
    let a = BigUint::from_bytes_be(&[7; 32]);
    let a_pub = group.a_pub(&a);
    assert_eq!(group.pad(&a_pub), a_pub.to_bytes_be());
    let (server, salt) = challenge(&[4; 32]);
    let b_pub = BigUint::from_bytes_be(server.b_pub());
    let (x, u) = (profile.x(&salt, USER, PASSWORD), profile.u(&group, &a_pub, &b_pub));
    let key = profile.session_key(&group, &profile.client_s(&group, &b_pub, &x, &a, &u));
    let longer = [&[0], &a_pub.to_bytes_be()[..]].concat();
    let m1 = profile.m1_over(&group, USER, &salt, &longer, server.b_pub(), &key);
    assert_eq!(server.finish(&a_pub.to_bytes_be(), &m1).unwrap_err(), Refused::WrongProof);
}

/// A server with a given b may send a B with a leading zero byte; the specification's client strips it.
#[test]
fn leading_zeros_in_b() {
    let (group, profile) = (slow_group(GROUP), slow_profile(&Profile::AFP));
    let verifier = BigUint::from_bytes_be(verifier(&SALT).as_be_bytes());
    let k_v = profile.k(&group) * verifier % &group.n;
    let b = search(|g_b| group.pad(&((&k_v + g_b) % &group.n))[0] == 0, &group);
    let mut private_key = [0; 32];
    let bytes = b.to_bytes_be();
    private_key[32 - bytes.len()..].copy_from_slice(&bytes);

    let (server, salt) = challenge(&private_key);
    assert_eq!((server.b_pub()[0], server.b_pub().len()), (0, 192));
    let client = Client::dangerous_with_private_key(&Profile::AFP, GROUP, &[3; 32]);
    let slow =
        AfpClientExchange::compute(USER, PASSWORD, &group, &salt, server.b_pub(), &[3; 32], AForm::SPECIFICATION);
    let a_pub = client.a_pub().to_vec();
    // As it was sent, and as it may arrive after a peer dropped the zero byte.
    let stripped = server.b_pub()[1..].to_vec();
    let other = Client::dangerous_with_private_key(&Profile::AFP, GROUP, &[3; 32]);
    let from_stripped = other.prove(USER, PASSWORD, &salt, &stripped).unwrap();
    let proof = client.prove(USER, PASSWORD, &salt, server.b_pub()).unwrap();
    assert_eq!((proof.m1(), from_stripped.m1()), (&slow.m1[..], &slow.m1[..]));
    let verified = server.finish(&a_pub, proof.m1()).unwrap();
    assert_eq!(verified.m2(), slow.m2);
}

/// `begin` never sends such a B.
#[test]
fn begin_draws_again_for_a_b_with_a_leading_zero() {
    let mut redrawn = 0;
    // One draw in 158 is such a b. The generator is repeatable, so what `begin` draws first is known.
    for round in 0..400 {
        let verifier = verifier(&SALT);
        let first = SeededRng::new(round).bytes();
        let given = Server::dangerous_with_private_key(&Profile::AFP, USER, &SALT, &verifier, &first);
        let begun = Server::begin(&Profile::AFP, USER, &SALT, &verifier, &mut SeededRng::new(round)).unwrap();
        assert_ne!(begun.b_pub()[0], 0);
        if given.b_pub()[0] == 0 {
            assert_ne!(given.b_pub(), begun.b_pub());
            redrawn += 1;
        } else {
            assert_eq!(given.b_pub(), begun.b_pub());
        }
    }
    assert!(redrawn > 0, "no b of the 400 gave a leading zero byte: choose another seed");
}

/// S with a leading zero byte: K is over the stripped bytes. Also with the verifier's and the salt's first bytes zero.
#[test]
fn leading_zeros_in_s_verifier_and_salt() {
    let group = slow_group(GROUP);
    let salts = (0_u64..).map(|number| [&[0; 8][..], &number.to_be_bytes()].concat());
    let salt = salts.into_iter().find(|salt| verifier(salt).as_be_bytes()[0] == 0).unwrap();
    let verifier = verifier(&salt);
    assert_eq!(Verifier::from_be_bytes(GROUP, verifier.as_be_bytes()).unwrap(), verifier);

    let profile = SlowProfile::AFP;
    let mut found = false;
    for round in 0_u64..5000 {
        let a = SeededRng::new(round).bytes::<32>();
        let server = Server::dangerous_with_private_key(&Profile::AFP, USER, &salt, &verifier, &[6; 32]);
        let a_pub = srp6a::formulas::g_pow(GROUP, &a);
        let u = srp6a::formulas::u(&Profile::AFP, GROUP, &a_pub, server.b_pub());
        let s = srp6a::formulas::server_s(GROUP, &a_pub, verifier.as_be_bytes(), &u, &[6; 32]);
        if s[0] != 0 || a_pub[0] == 0 {
            continue;
        }
        found = true;
        let slow = AfpClientExchange::compute(USER, PASSWORD, &group, &salt, server.b_pub(), &a, AForm::SPECIFICATION);
        assert_eq!(slow.session_key, profile.session_key(&group, &BigUint::from_bytes_be(&s[1..])));
        let verified = server.finish(&slow.a_pub, &slow.m1).unwrap();
        assert_eq!((verified.m2(), verified.session_key().as_bytes()), (&slow.m2[..], &slow.session_key[..]));
        break;
    }
    assert!(found, "no S with a leading zero byte in 5000");
}

/// 10 000 logins with new passwords, salts and keys each time, in turn by clients that
/// 1. pad A on the wire and strip it in the proofs (the specification),
/// 2. strip A on the wire and in the proofs (Stanford's library),
/// 3. pad A on the wire and hash it as it was sent.
///
/// None may fail. About 63 have a leading zero byte in A, 63 in S, and in 63 B has to be drawn again.
#[test]
fn ten_thousand_logins() {
    const LOGINS: u64 = 10_000;
    const THREADS: u64 = 2;
    let counts = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS)
            .map(|thread| scope.spawn(move || (thread..LOGINS).step_by(2).map(login).collect::<Vec<_>>()))
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect::<Vec<_>>()
    });
    assert_eq!(counts.len(), 10_000);
    let with_leading_zero = counts.iter().filter(|leading_zero| **leading_zero).count();
    assert!((20..150).contains(&with_leading_zero), "{with_leading_zero} of 10000 with a leading zero byte in A");
}

/// One of the ten thousand. Says whether A had a leading zero byte.
fn login(number: u64) -> bool {
    let rng = &mut SeededRng::new(number);
    let (password, salt) = (rng.bytes::<12>(), rng.bytes::<16>());
    let hashes_as_sent = number % 3 == 2;
    let client_profile =
        if hashes_as_sent { Profile { ab_in_m1: Form::Pad, a_in_m2: Form::Pad, ..Profile::AFP } } else { Profile::AFP };
    let verifier = Verifier::derive(&Profile::AFP, GROUP, USER, &password, &salt);
    let server = Server::begin(&Profile::AFP, USER, &salt, &verifier, rng).unwrap();
    let client = Client::start(&client_profile, GROUP, rng).unwrap();

    let padded = client.a_pub().to_vec();
    let leading_zero = padded[0] == 0;
    let first = padded.iter().position(|byte| *byte != 0).unwrap();
    let wire = if number % 3 == 1 { padded[first..].to_vec() } else { padded };

    let proof = client.prove(USER, &password, &salt, server.b_pub()).unwrap();
    let verified = server.finish(&wire, proof.m1()).unwrap_or_else(|refused| panic!("login {number}: {refused}"));
    let expected = if hashes_as_sent && leading_zero { ProofForm::AsReceived } else { ProofForm::Strip };
    assert_eq!(verified.form(), expected, "login {number}");
    assert_eq!(&proof.verify(verified.m2()).unwrap(), verified.session_key(), "login {number}");
    leading_zero
}

const SALT: [u8; 16] = *b"0123456789abcdef";

fn verifier(salt: &[u8]) -> Verifier {
    Verifier::derive(&Profile::AFP, GROUP, USER, PASSWORD, salt)
}

/// A server that waits for a proof from alice, and the salt it sent.
fn challenge(b: &[u8; 32]) -> (Server, [u8; 16]) {
    (Server::dangerous_with_private_key(&Profile::AFP, USER, &SALT, &verifier(&SALT), b), SALT)
}

/// An exponent whose power of g is as wanted. One step costs one multiplication by g.
fn search(wanted: impl Fn(&BigUint) -> bool, group: &SlowGroup) -> BigUint {
    let mut exponent = BigUint::from_bytes_be(&[0x5A; 32]);
    let mut power = group.a_pub(&exponent);
    while !wanted(&power) {
        exponent += 1_u8;
        power = power * &group.g % &group.n;
    }
    exponent
}

fn leading_zeros(group: &SlowGroup, value: &BigUint) -> usize {
    group.len() - value.to_bytes_be().len()
}
