//! A second SRP-6a, slow and plain, to check the real one against.
//!
//! Written from the specification (AFP SRP User Authentication Method), RFC 5054 sections 2.5 and 2.6 and RFC 2945 alone,
//! on [`num_bigint`]: it shares no code, no representation and no constants with the engine. Every step of an exchange is a
//! function of its own, so that a test can compare every intermediate value.
//!
//! It is NOT constant time, wipes nothing and checks nothing. Tests only.
//!
//! Legend: N, g group; s salt; I user name; P password; x = private key from the password; v = g^x verifier; a, A and b, B
//! the two ephemeral pairs; k multiplier; u scrambler; S shared secret; K session key; M1, M2 proofs.

use num_bigint::BigUint;
use sha1::Sha1;
use sha2::{Digest, Sha256, Sha512};

/// The hash function of a profile.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// 20 bytes.
    Sha1,
    /// 32 bytes.
    Sha256,
    /// 64 bytes.
    Sha512,
}

impl Hash {
    /// The hash of the parts, one after the other.
    #[must_use]
    pub fn digest(self, parts: &[&[u8]]) -> Vec<u8> {
        let all = parts.concat();
        match self {
            Hash::Sha1 => Sha1::digest(&all).to_vec(),
            Hash::Sha256 => Sha256::digest(&all).to_vec(),
            Hash::Sha512 => Sha512::digest(&all).to_vec(),
        }
    }
}

/// How an integer becomes bytes before it is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// Without leading zero bytes, at least one byte.
    Strip,
    /// Filled with leading zero bytes up to the length of N.
    Pad,
}

/// How the session key comes from S.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKeyRule {
    /// K = H(S).
    Hash,
    /// K = MGF1-H(S, length in bytes).
    Mgf1(usize),
}

/// What is hashed as the user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The bytes as given.
    AsGiven,
    /// With ASCII capitals made small.
    Lowercase,
    /// No bytes.
    Empty,
}

/// The switches by which SRP-6a deployments differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SlowProfile {
    /// H.
    pub hash: Hash,
    /// Whether I goes into x.
    pub user_in_x: bool,
    /// What is hashed as I.
    pub identity: Identity,
    /// K from S.
    pub session_key: SessionKeyRule,
    /// Form of g in k.
    pub g_in_k: Form,
    /// Form of A and B in u.
    pub ab_in_u: Form,
    /// Form of g in M1.
    pub g_in_m1: Form,
    /// Form of A and B in M1.
    pub ab_in_m1: Form,
    /// Form of A in M2.
    pub a_in_m2: Form,
    /// Form of S in K.
    pub s_in_k: Form,
}

impl SlowProfile {
    /// The AFP user authentication method "SRP", as its specification's padding summary has it.
    pub const AFP: SlowProfile = SlowProfile {
        hash: Hash::Sha1,
        user_in_x: true,
        identity: Identity::AsGiven,
        session_key: SessionKeyRule::Mgf1(40),
        g_in_k: Form::Pad,
        ab_in_u: Form::Pad,
        g_in_m1: Form::Strip,
        ab_in_m1: Form::Strip,
        a_in_m2: Form::Strip,
        s_in_k: Form::Strip,
    };

    fn identity(&self, user: &[u8]) -> Vec<u8> {
        match self.identity {
            Identity::AsGiven => user.to_vec(),
            Identity::Lowercase => user.to_ascii_lowercase(),
            Identity::Empty => Vec::new(),
        }
    }

    /// x = H(s | H(I ":" P)), or without I.
    #[must_use]
    pub fn x(&self, salt: &[u8], user: &[u8], password: &[u8]) -> BigUint {
        let user = if self.user_in_x { self.identity(user) } else { Vec::new() };
        let inner = self.hash.digest(&[&user, b":", password]);
        BigUint::from_bytes_be(&self.hash.digest(&[salt, &inner]))
    }

    /// k = H(N | g).
    #[must_use]
    pub fn k(&self, group: &SlowGroup) -> BigUint {
        let n = group.n.to_bytes_be();
        BigUint::from_bytes_be(&self.hash.digest(&[&n, &group.form(&group.g, self.g_in_k)]))
    }

    /// u = H(A | B).
    #[must_use]
    pub fn u(&self, group: &SlowGroup, a_pub: &BigUint, b_pub: &BigUint) -> BigUint {
        let (a_pub, b_pub) = (group.form(a_pub, self.ab_in_u), group.form(b_pub, self.ab_in_u));
        BigUint::from_bytes_be(&self.hash.digest(&[&a_pub, &b_pub]))
    }

    /// B = kv + g^b.
    #[must_use]
    pub fn b_pub(&self, group: &SlowGroup, verifier: &BigUint, b: &BigUint) -> BigUint {
        (self.k(group) * verifier + group.g.modpow(b, &group.n)) % &group.n
    }

    /// S as the client finds it: (B - k g^x)^(a + u x).
    #[must_use]
    pub fn client_s(&self, group: &SlowGroup, b_pub: &BigUint, x: &BigUint, a: &BigUint, u: &BigUint) -> BigUint {
        let n = &group.n;
        let k_g_x = (self.k(group) * group.g.modpow(x, n)) % n;
        let base = ((b_pub % n) + n - k_g_x) % n;
        base.modpow(&(a + u * x), n)
    }

    /// K from S.
    #[must_use]
    pub fn session_key(&self, group: &SlowGroup, s: &BigUint) -> Vec<u8> {
        let s = group.form(s, self.s_in_k);
        match self.session_key {
            SessionKeyRule::Hash => self.hash.digest(&[&s]),
            SessionKeyRule::Mgf1(len) => {
                let mut output = Vec::new();
                let mut counter = 0_u32;
                while output.len() < len {
                    output.extend(self.hash.digest(&[&s, &counter.to_be_bytes()]));
                    counter += 1;
                }
                output.truncate(len);
                output
            }
        }
    }

    /// M1 over the profile's own form of A and B.
    #[must_use]
    pub fn m1(
        &self,
        group: &SlowGroup,
        user: &[u8],
        salt: &[u8],
        a_pub: &BigUint,
        b_pub: &BigUint,
        key: &[u8],
    ) -> Vec<u8> {
        let (a_pub, b_pub) = (group.form(a_pub, self.ab_in_m1), group.form(b_pub, self.ab_in_m1));
        self.m1_over(group, user, salt, &a_pub, &b_pub, key)
    }

    /// M1 = H(H(N) xor H(g) | H(I) | s | A | B | K), A and B as the very bytes given.
    #[must_use]
    pub fn m1_over(
        &self,
        group: &SlowGroup,
        user: &[u8],
        salt: &[u8],
        a_pub: &[u8],
        b_pub: &[u8],
        key: &[u8],
    ) -> Vec<u8> {
        let hash_n = self.hash.digest(&[&group.n.to_bytes_be()]);
        let hash_g = self.hash.digest(&[&group.form(&group.g, self.g_in_m1)]);
        let xor: Vec<u8> = hash_n.iter().zip(&hash_g).map(|(n, g)| n ^ g).collect();
        let hash_i = self.hash.digest(&[&self.identity(user)]);
        self.hash.digest(&[&xor, &hash_i, salt, a_pub, b_pub, key])
    }

    /// M2 over the profile's own form of A.
    #[must_use]
    pub fn m2(&self, group: &SlowGroup, a_pub: &BigUint, m1: &[u8], key: &[u8]) -> Vec<u8> {
        self.m2_over(&group.form(a_pub, self.a_in_m2), m1, key)
    }

    /// M2 = H(A | M1 | K), A as the very bytes given.
    #[must_use]
    pub fn m2_over(&self, a_pub: &[u8], m1: &[u8], key: &[u8]) -> Vec<u8> {
        self.hash.digest(&[a_pub, m1, key])
    }
}

/// N and g.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SlowGroup {
    /// The prime.
    pub n: BigUint,
    /// The generator.
    pub g: BigUint,
}

impl SlowGroup {
    /// A group from the bytes of N and g, big-endian.
    #[must_use]
    pub fn new(n: &[u8], g: &[u8]) -> SlowGroup {
        SlowGroup { n: BigUint::from_bytes_be(n), g: BigUint::from_bytes_be(g) }
    }

    /// The 1536-bit group of RFC 5054 appendix A, which AFP uses.
    #[must_use]
    pub fn afp() -> SlowGroup {
        SlowGroup::new(&AFP_N, &[2])
    }

    /// The length of N in bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.n.to_bytes_be().len()
    }

    /// Always false: a group has a modulus.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        false
    }

    /// An integer as bytes in the given form.
    #[must_use]
    pub fn form(&self, value: &BigUint, form: Form) -> Vec<u8> {
        let bytes = value.to_bytes_be();
        match form {
            Form::Strip => bytes,
            Form::Pad => [vec![0; self.len().saturating_sub(bytes.len())], bytes].concat(),
        }
    }

    /// An integer at the length of N.
    #[must_use]
    pub fn pad(&self, value: &BigUint) -> Vec<u8> {
        self.form(value, Form::Pad)
    }

    /// v = g^x.
    #[must_use]
    pub fn verifier(&self, x: &BigUint) -> BigUint {
        self.g.modpow(x, &self.n)
    }

    /// A = g^a.
    #[must_use]
    pub fn a_pub(&self, a: &BigUint) -> BigUint {
        self.g.modpow(a, &self.n)
    }

    /// S as the server finds it: (A v^u)^b.
    #[must_use]
    pub fn server_s(&self, a_pub: &BigUint, verifier: &BigUint, u: &BigUint, b: &BigUint) -> BigUint {
        (a_pub * verifier.modpow(u, &self.n) % &self.n).modpow(b, &self.n)
    }
}

/// Where a client's A shows its leading zero bytes, if it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AForm {
    /// On the wire.
    pub wire: Form,
    /// Inside M1 and M2.
    pub proof: Form,
}

impl AForm {
    /// As the specification says: padded on the wire, stripped in the proofs.
    pub const SPECIFICATION: AForm = AForm { wire: Form::Pad, proof: Form::Strip };
}

/// A client's half of one AFP login, computed from the server's challenge.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AfpClientExchange {
    /// A as it goes on the wire.
    pub a_pub: Vec<u8>,
    /// The client's proof, 20 bytes.
    pub m1: Vec<u8>,
    /// The proof the server must answer with, 20 bytes.
    pub m2: Vec<u8>,
    /// The session key both must now share, 40 bytes.
    pub session_key: Vec<u8>,
}

impl AfpClientExchange {
    /// Answers a challenge: the payload of a successful FPLoginExt reply (413 bytes for the 1536-bit group), as the specification's
    /// table lays it out. `a` is the client's private key, big-endian. `None` if the challenge cannot be read or has bytes left over.
    #[must_use]
    pub fn answer(user: &[u8], password: &[u8], challenge: &[u8], a: &[u8], form: AForm) -> Option<AfpClientExchange> {
        let rest = challenge.get(4..)?; // transaction context, group index
        let (n, rest) = field(rest)?;
        let (g, rest) = field(rest)?;
        let (salt, rest) = field(rest)?;
        let (b_wire, rest) = field(rest)?;
        if !rest.is_empty() {
            return None;
        }
        Some(AfpClientExchange::compute(user, password, &SlowGroup::new(n, g), salt, b_wire, a, form))
    }

    /// The same from the challenge's fields.
    #[must_use]
    pub fn compute(
        user: &[u8],
        password: &[u8],
        group: &SlowGroup,
        salt: &[u8],
        b_wire: &[u8],
        a: &[u8],
        form: AForm,
    ) -> AfpClientExchange {
        let profile = SlowProfile::AFP;
        let (a, b_pub) = (BigUint::from_bytes_be(a), BigUint::from_bytes_be(b_wire));
        let a_pub = group.a_pub(&a);
        let x = profile.x(salt, user, password);
        let u = profile.u(group, &a_pub, &b_pub);
        let session_key = profile.session_key(group, &profile.client_s(group, &b_pub, &x, &a, &u));
        let (a_proof, b_proof) = (group.form(&a_pub, form.proof), group.form(&b_pub, form.proof));
        let m1 = profile.m1_over(group, user, salt, &a_proof, &b_proof, &session_key);
        let m2 = profile.m2_over(&a_proof, &m1, &session_key);
        AfpClientExchange { a_pub: group.form(&a_pub, form.wire), m1, m2, session_key }
    }
}

/// Splits off one field: its length in two bytes, then its bytes.
fn field(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let (len, rest) = bytes.split_first_chunk::<2>()?;
    rest.split_at_checked(u16::from_be_bytes(*len).into())
}

/// RFC 5054 appendix A, 1536-bit group.
const AFP_N: [u8; 192] = [
    0x9d, 0xef, 0x3c, 0xaf, 0xb9, 0x39, 0x27, 0x7a, 0xb1, 0xf1, 0x2a, 0x86, 0x17, 0xa4, 0x7b, 0xbb, 0xdb, 0xa5, 0x1d,
    0xf4, 0x99, 0xac, 0x4c, 0x80, 0xbe, 0xee, 0xa9, 0x61, 0x4b, 0x19, 0xcc, 0x4d, 0x5f, 0x4f, 0x5f, 0x55, 0x6e, 0x27,
    0xcb, 0xde, 0x51, 0xc6, 0xa9, 0x4b, 0xe4, 0x60, 0x7a, 0x29, 0x15, 0x58, 0x90, 0x3b, 0xa0, 0xd0, 0xf8, 0x43, 0x80,
    0xb6, 0x55, 0xbb, 0x9a, 0x22, 0xe8, 0xdc, 0xdf, 0x02, 0x8a, 0x7c, 0xec, 0x67, 0xf0, 0xd0, 0x81, 0x34, 0xb1, 0xc8,
    0xb9, 0x79, 0x89, 0x14, 0x9b, 0x60, 0x9e, 0x0b, 0xe3, 0xba, 0xb6, 0x3d, 0x47, 0x54, 0x83, 0x81, 0xdb, 0xc5, 0xb1,
    0xfc, 0x76, 0x4e, 0x3f, 0x4b, 0x53, 0xdd, 0x9d, 0xa1, 0x15, 0x8b, 0xfd, 0x3e, 0x2b, 0x9c, 0x8c, 0xf5, 0x6e, 0xdf,
    0x01, 0x95, 0x39, 0x34, 0x96, 0x27, 0xdb, 0x2f, 0xd5, 0x3d, 0x24, 0xb7, 0xc4, 0x86, 0x65, 0x77, 0x2e, 0x43, 0x7d,
    0x6c, 0x7f, 0x8c, 0xe4, 0x42, 0x73, 0x4a, 0xf7, 0xcc, 0xb7, 0xae, 0x83, 0x7c, 0x26, 0x4a, 0xe3, 0xa9, 0xbe, 0xb8,
    0x7f, 0x8a, 0x2f, 0xe9, 0xb8, 0xb5, 0x29, 0x2e, 0x5a, 0x02, 0x1f, 0xff, 0x5e, 0x91, 0x47, 0x9e, 0x8c, 0xe7, 0xa2,
    0x8c, 0x24, 0x42, 0xc6, 0xf3, 0x15, 0x18, 0x0f, 0x93, 0x49, 0x9a, 0x23, 0x4d, 0xcf, 0x76, 0xe3, 0xfe, 0xd1, 0x35,
    0xf9, 0xbb,
];

#[cfg(test)]
mod tests {
    use super::*;

    fn hex(value: &BigUint) -> String {
        value.to_str_radix(16)
    }

    fn big(hex: &str) -> BigUint {
        BigUint::parse_bytes(hex.as_bytes(), 16).expect("hex")
    }

    /// RFC 5054 appendix B gives k and x for these inputs; x does not depend on the group. (k there is for the 1024-bit group.)
    #[test]
    fn x_is_that_of_rfc_5054() {
        let salt = big("beb25379d1a8581eb5a727673a2441ee").to_bytes_be();
        let x = SlowProfile::AFP.x(&salt, b"alice", b"password123");
        assert_eq!(hex(&x), "94b7555aabe9127cc58ccf4993db6cf84d16c124");
    }

    #[test]
    fn both_sides_find_the_same_secret_and_the_key_is_that_of_mgf1() {
        let (group, profile) = (SlowGroup::afp(), SlowProfile::AFP);
        let (a, b) = (big("60975527035cf2ad1989806f0407210b"), big("e487cb59d31ac550471e81f00f6928e0"));
        let x = profile.x(b"0123456789abcdef", b"alice", b"password123");
        let v = group.verifier(&x);
        let (a_pub, b_pub) = (group.a_pub(&a), profile.b_pub(&group, &v, &b));
        let u = profile.u(&group, &a_pub, &b_pub);
        let s = group.server_s(&a_pub, &v, &u, &b);
        assert_eq!(s, profile.client_s(&group, &b_pub, &x, &a, &u));
        let key = profile.session_key(&group, &s);
        let stripped = s.to_bytes_be();
        let halves = [Hash::Sha1.digest(&[&stripped, &[0, 0, 0, 0]]), Hash::Sha1.digest(&[&stripped, &[0, 0, 0, 1]])];
        assert_eq!(key, halves.concat());
    }
}
