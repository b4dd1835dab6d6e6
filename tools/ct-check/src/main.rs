//! Constant time, checked on the compiled code: the engine runs under valgrind's memcheck with every secret marked as *undefined memory*. Memcheck
//! follows undefined bits through all arithmetic and reports where a branch or an address depends on one, which is exactly
//! what must not happen. (The idea is A. Langley's "ctgrind".)
//!
//! Where a secret's consequence becomes public on purpose (B is sent, a proof is right or wrong, the number of zero bytes that strip(S) removes), the
//! engine says so in one function, `declassify`; its feature `ct-check` lets this program mark those bytes as defined. Everything else is as in
//! the product.
//!
//! `ct-check list` names the cases: one a line, after the number of reports it must cause ("2+": at least two). `run.sh` runs each by itself. Controls cause reports
//! on purpose: they show that secrets are followed at all, through the whole engine.
//!
//! The only unsafe code is the client request, below: the documented way for a program to talk to valgrind.

use std::hint::black_box;

use rand_core::{TryCryptoRng, TryRng};
use srp6a::{Client, Group, PasswordRule, Profile, ProofForm, Refused, Server, Verifier};

const CASES: &[(&str, Expected, fn())] = &[
    ("begin", Expected::Exactly(0), begin),
    ("finish-right-proof", Expected::Exactly(0), finish_right),
    ("finish-wrong-proof", Expected::Exactly(0), finish_wrong),
    ("finish-every-form-of-a", Expected::Exactly(0), finish_every_form),
    ("login-1024", Expected::Exactly(0), || login(Group::Bits1024, &Profile::RFC5054)),
    ("login-2048-web", Expected::Exactly(0), || login(Group::Bits2048, &Profile::APPLE_WEB)),
    ("login-3072-homekit", Expected::Exactly(0), || login(Group::Bits3072, &Profile::HOMEKIT)),
    ("login-4096", Expected::Exactly(0), || login(Group::Bits4096, &Profile::RFC5054)),
    ("client", Expected::Exactly(0), client),
    ("derive-verifier", Expected::Exactly(0), derive),
    ("password-rules", Expected::Exactly(0), password_rules),
    ("verifier-range", Expected::Exactly(0), verifier_range),
    ("verifier-and-key-equality", Expected::Exactly(0), equality),
    // base16ct looks at all digits first and decides once, at the end, whether all were hexadecimal. That one decision, in a library
    // that knows nothing of declassify, is the one report; a branch or a table look-up per digit would be hundreds.
    ("verifier-from-file-hex", Expected::Exactly(1), from_hex),
    ("control-vartime-pow", Expected::AtLeast(1), control_vartime_pow),
    ("control-table-index", Expected::AtLeast(1), control_table_index),
    ("control-array-equality", Expected::AtLeast(1), control_array_equality),
    ("control-b-is-secret", Expected::AtLeast(1), control_b),
    ("control-session-key-is-secret", Expected::AtLeast(1), control_session_key),
    ("control-verifier-from-hex-is-secret", Expected::AtLeast(2), control_hex),
    ("control-derived-verifier-is-secret", Expected::AtLeast(1), control_derived),
];

/// How many errors memcheck must report of a case.
enum Expected {
    Exactly(usize),
    AtLeast(usize),
}

fn main() -> std::process::ExitCode {
    let name = std::env::args().nth(1).unwrap_or_default();
    if name == "list" {
        for (name, expected, _) in CASES {
            match expected {
                Expected::Exactly(errors) => println!("{errors} {name}"),
                Expected::AtLeast(errors) => println!("{errors}+ {name}"),
            }
        }
        return std::process::ExitCode::SUCCESS;
    }
    let Some((_, _, case)) = CASES.iter().find(|case| case.0 == name) else {
        eprintln!("ct-check: no case \"{name}\"; `ct-check list` names them");
        return std::process::ExitCode::from(2);
    };
    if request(RUNNING_ON_VALGRIND, &mut []) == 0 {
        eprintln!("ct-check: not running under valgrind, so nothing would be checked; use run.sh");
        return std::process::ExitCode::from(2);
    }
    srp6a::ct_check::DECLASSIFY.set(public).expect("set once");
    case();
    println!("done");
    std::process::ExitCode::SUCCESS
}

const USER: &[u8] = b"alice";
const PASSWORD: &[u8] = b"password123";
const SALT: &[u8] = b"0123456789abcdef";
const AFP: (Group, Profile) = (Group::Bits1536, Profile::AFP);

/// B, with v and b secret.
fn begin() {
    black_box(begun(AFP).b_pub());
}

/// S, K, the comparison of M1, and M2.
fn finish_right() {
    login(AFP.0, &AFP.1);
}

fn finish_wrong() {
    let refused = begun(AFP).finish(&[7; 192], &[0; 20]).expect_err("a made-up proof");
    assert_eq!(refused, Refused::WrongProof);
}

/// A with leading zero bytes: M1 is compared three times.
fn finish_every_form() {
    let mut a_pub = [7; 192];
    a_pub[..2].fill(0);
    let refused = begun(AFP).finish(&a_pub, &[0; 20]).expect_err("a made-up proof");
    assert_eq!(refused, Refused::WrongProof);
}

fn login(group: Group, profile: &Profile) {
    let server = begun((group, *profile));
    let client = Client::start(profile, group, &mut Counter { secret: false, next: 1 }).expect("no failure");
    let a_pub = client.a_pub().to_vec();
    let proof = client.prove(USER, PASSWORD, SALT, server.b_pub()).expect("an honest server");
    let verified = server.finish(&a_pub, proof.m1()).expect("the right password");
    assert_ne!(verified.form(), ProofForm::AsReceived);
    black_box((verified.m2(), verified.session_key().as_bytes()));
}

/// A, S, K, M1 and the comparison of M2, with password and a secret.
fn client() {
    for right in [true, false] {
        let verifier = Verifier::derive(&AFP.1, AFP.0, USER, PASSWORD, SALT);
        let server =
            Server::begin(&AFP.1, USER, SALT, &verifier, &mut Counter { secret: false, next: 1 }).expect("no failure");
        let client = Client::start(&AFP.1, AFP.0, &mut Counter { secret: true, next: 2 }).expect("no failure");
        let a_pub = client.a_pub().to_vec();
        let password = secret(PASSWORD);
        let proof = client.prove(USER, &password, SALT, server.b_pub()).expect("an honest server");
        let mut m1 = proof.m1().to_vec();
        public(&mut m1);
        let verified = server.finish(&a_pub, &m1).expect("the right password");
        let m2 = if right { verified.m2() } else { &[0; 20] };
        assert_eq!(proof.verify(m2).is_ok(), right);
    }
}

fn derive() {
    let password = secret(PASSWORD);
    for profile in [Profile::AFP, Profile::ESCROW, Profile::HOMEKIT] {
        black_box(Verifier::derive(&profile, AFP.0, USER, &password, SALT));
    }
}

fn password_rules() {
    let password = secret(PASSWORD);
    for rule in [PasswordRule::S2k { iterations: 2 }, PasswordRule::S2kFo { iterations: 2 }] {
        let profile = Profile { password: rule, ..Profile::APPLE_WEB };
        black_box(Verifier::derive(&profile, Group::Bits2048, USER, &password, SALT));
    }
}

/// The check that a stored verifier is neither 0 nor N or more.
fn verifier_range() {
    let n = Group::Bits1536.modulus();
    let mut above = n.to_vec();
    above[191] += 2;
    let mut below = n.to_vec();
    below[0] -= 1;
    for (bytes, valid) in [(&below[..], true), (n, false), (&above, false), (&[0; 192], false), (&[255; 192], false)] {
        assert_eq!(Verifier::from_be_bytes(Group::Bits1536, &secret(bytes)).is_ok(), valid);
    }
}

fn equality() {
    let [one, other] = [secret_verifier(AFP), secret_verifier(AFP)];
    assert!(one == other);
    let keys = [1, 2].map(|number| {
        let s = secret(&[number; 192]);
        srp6a::formulas::session_key(&Profile::AFP, &s)
    });
    assert!(keys[0] != keys[1]);
}

fn from_hex() {
    let verifier = verifier_from_hex();
    black_box(
        Server::begin(&AFP.1, USER, SALT, &verifier, &mut Counter { secret: true, next: 1 }).expect("no failure"),
    );
}

/// A verifier as it stands in a file: 384 digits, capitals or not, decoded with what the verifier store decodes with.
fn verifier_from_hex() -> Verifier {
    let mut file = [0; 384];
    base16ct::lower::encode(Verifier::derive(&AFP.1, AFP.0, USER, PASSWORD, SALT).as_be_bytes(), &mut file)
        .expect("192 bytes are 384 digits");
    file[..192].make_ascii_uppercase();
    mark_secret(&mut file);
    let mut bytes = [0; 192];
    base16ct::mixed::decode(file, &mut bytes).expect("hexadecimal digits");
    Verifier::from_be_bytes(AFP.0, &bytes).expect("a valid verifier")
}

fn control_vartime_pow() {
    use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
    use crypto_bigint::{U256, const_monty_params};
    const_monty_params!(Prime, U256, "ffffffff00000001000000000000000000000000ffffffffffffffffffffffff");
    let exponent = U256::from_be_slice(&secret(&[0xA5; 32]));
    black_box(ConstMontyForm::<Prime, { Prime::LIMBS }>::new(&U256::from_u8(2)).pow_vartime(&exponent));
}

fn control_table_index() {
    let table: [u8; 256] = core::array::from_fn(|index| index as u8 ^ 0x5A);
    let number = secret(&[77])[0];
    black_box(black_box(&table)[usize::from(number)]);
}

fn control_array_equality() {
    let proof: [u8; 20] = secret(&[9; 20]).try_into().expect("20 bytes");
    assert!(black_box(proof) == black_box([9; 20]));
}

/// That a secret b is followed into B. (`begin` declares B public; with a given b nothing does.)
fn control_b() {
    let verifier = Verifier::derive(&AFP.1, AFP.0, USER, PASSWORD, SALT);
    let b = secret(&[5; 32]).try_into().expect("32 bytes");
    let server = Server::dangerous_with_private_key(&AFP.1, USER, SALT, &verifier, &b);
    leak(server.b_pub());
}

fn control_session_key() {
    let server = begun(AFP);
    let client = Client::start(&AFP.1, AFP.0, &mut Counter { secret: false, next: 1 }).expect("no failure");
    let a_pub = client.a_pub().to_vec();
    let proof = client.prove(USER, PASSWORD, SALT, server.b_pub()).expect("an honest server");
    leak(server.finish(&a_pub, proof.m1()).expect("the right password").session_key().as_bytes());
}

fn control_hex() {
    // One decision of base16ct is reported anyway (above); what counts is that there is more.
    leak(verifier_from_hex().as_be_bytes());
}

fn control_derived() {
    leak(Verifier::derive(&AFP.1, AFP.0, USER, &secret(PASSWORD), SALT).as_be_bytes());
}

/// A branch on a byte, as careless code would do it.
fn leak(bytes: &[u8]) {
    for byte in bytes {
        if *black_box(byte) == 0x77 {
            println!("seventy-seven");
        }
    }
}

/// A server that has sent its challenge, from a secret verifier and a secret b.
fn begun((group, profile): (Group, Profile)) -> Server {
    let verifier = secret_verifier((group, profile));
    Server::begin(&profile, USER, SALT, &verifier, &mut Counter { secret: true, next: 1 }).expect("no failure")
}

fn secret_verifier((group, profile): (Group, Profile)) -> Verifier {
    let verifier = Verifier::derive(&profile, group, USER, PASSWORD, SALT);
    Verifier::from_be_bytes(group, &secret(verifier.as_be_bytes())).expect("a valid verifier")
}

/// Random numbers that are none, and secret if asked for.
struct Counter {
    secret: bool,
    next: u8,
}

impl TryRng for Counter {
    type Error = core::convert::Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Self::Error> {
        let mut bytes = [0; 4];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u32::from_be_bytes(bytes))
    }

    fn try_next_u64(&mut self) -> Result<u64, Self::Error> {
        let mut bytes = [0; 8];
        self.try_fill_bytes(&mut bytes)?;
        Ok(u64::from_be_bytes(bytes))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
        for byte in &mut *bytes {
            self.next = self.next.wrapping_mul(29).wrapping_add(71);
            *byte = self.next;
        }
        if self.secret {
            mark_secret(bytes);
        }
        Ok(())
    }
}

impl TryCryptoRng for Counter {}

fn secret(bytes: &[u8]) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    mark_secret(&mut bytes);
    bytes
}

fn mark_secret(bytes: &mut [u8]) {
    request(MAKE_MEM_UNDEFINED, bytes);
}

fn public(bytes: &mut [u8]) {
    request(MAKE_MEM_DEFINED, bytes);
}

const RUNNING_ON_VALGRIND: usize = 0x1001;
const MAKE_MEM_UNDEFINED: usize = (b'M' as usize) << 24 | (b'C' as usize) << 16 | 1;
const MAKE_MEM_DEFINED: usize = MAKE_MEM_UNDEFINED + 1;

/// A valgrind client request about some memory; 0 where there is no valgrind. The bytes are given as mutable so that the compiler reads them anew.
#[inline(never)]
fn request(number: usize, bytes: &mut [u8]) -> usize {
    let arguments = [number, bytes.as_mut_ptr() as usize, bytes.len(), 0, 0, 0];
    let mut result = 0;
    // SAFETY: valgrind.h, x86-64. Four rotations of rdi by 128 bits in all and an exchange of rbx with itself leave every register as it was. Valgrind knows the
    // sequence, reads the request at rax, changes what it remembers about the bytes but not the bytes, and returns in rdx.
    unsafe {
        core::arch::asm!("rol rdi, 3", "rol rdi, 13", "rol rdi, 61", "rol rdi, 51", "xchg rbx, rbx",
            in("rax") &arguments, inout("rdx") result, out("rdi") _, options(nostack));
    }
    result
}
