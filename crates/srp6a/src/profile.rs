//! Profiles: what the deployments of SRP-6a have different, as data; and the formulas that only hash.

use alloc::borrow::Cow;
use alloc::vec;
use alloc::vec::Vec;

use hmac::Hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use zeroize::{Zeroize, Zeroizing};

use crate::bytes::{pad, strip, strip_secret};
use crate::{Group, SessionKey};

/// How one deployment of SRP-6a does what the papers leave open. Each switch stands for itself: take a named profile and change a field to
/// describe another. The crate's front page has the table of the named ones.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Profile {
    /// H, in every formula.
    pub hash: Hash,
    /// Whether x = H(s | H(I ":" P)) has the user name in it. If not, the colon stays.
    pub user_in_x: bool,
    /// What is hashed as the user name I, in x and in M1.
    pub identity: Identity,
    /// How the session key K comes from the shared secret S.
    pub session_key: SessionKeyRule,
    /// What P in x is.
    pub password: PasswordRule,
    /// The form of g in k.
    pub g_in_k: Form,
    /// The form of A and B in u.
    pub ab_in_u: Form,
    /// The form of g in M1.
    pub g_in_m1: Form,
    /// The form of A and B in M1.
    pub ab_in_m1: Form,
    /// The form of A in M2.
    pub a_in_m2: Form,
    /// The form of S in K.
    pub s_in_k: Form,
}

impl Profile {
    /// The AFP user authentication method "SRP", as its specification's padding summary has it. Goes with [`Group::Bits1536`].
    pub const AFP: Profile = Profile {
        hash: Hash::Sha1,
        user_in_x: true,
        identity: Identity::AsGiven,
        session_key: SessionKeyRule::Mgf1 { len: 40 },
        password: PasswordRule::AsGiven,
        g_in_k: Form::Pad,
        ab_in_u: Form::Pad,
        g_in_m1: Form::Strip,
        ab_in_m1: Form::Strip,
        a_in_m2: Form::Strip,
        s_in_k: Form::Strip,
    };

    /// RFC 5054's k, u, x, A, B and S with SHA-1; that RFC leaves K, M1 and M2 to TLS, so these are RFC 2945's formulas with K = H(S), as
    /// general SRP libraries have them.
    pub const RFC5054: Profile = Profile { session_key: SessionKeyRule::Hash, ..Profile::AFP };

    /// Apple's web sign-in and GrandSlam: SHA-256, everything padded, no user name in x, the account name in small letters. Goes with
    /// [`Group::Bits2048`]. P is what [`s2k`] or [`s2k_fo`] makes of the password, and the server says which and with how many
    /// iterations: set [`password`](Profile::password) to have it computed, or pass P itself.
    pub const APPLE_WEB: Profile = Profile {
        hash: Hash::Sha256,
        user_in_x: false,
        identity: Identity::Lowercase,
        session_key: SessionKeyRule::Hash,
        password: PasswordRule::AsGiven,
        g_in_k: Form::Pad,
        ab_in_u: Form::Pad,
        g_in_m1: Form::Pad,
        ab_in_m1: Form::Pad,
        a_in_m2: Form::Pad,
        s_in_k: Form::Pad,
    };

    /// iCloud Keychain escrow: as the web sign-in, but with the user name in x and taken as it is. Goes with [`Group::Bits2048`].
    pub const ESCROW: Profile = Profile { user_in_x: true, identity: Identity::AsGiven, ..Profile::APPLE_WEB };

    /// HomeKit pairing: SHA-512, stripped but for A in M2. Goes with [`Group::Bits3072`].
    pub const HOMEKIT: Profile = Profile { hash: Hash::Sha512, a_in_m2: Form::Pad, ..Profile::RFC5054 };

    /// x, from the password.
    pub(crate) fn x(&self, identity: &[u8], password: &[u8], salt: &[u8]) -> Digest {
        let identity = if self.user_in_x { self.identity(identity) } else { Cow::Borrowed(&[][..]) };
        let password = self.password.apply(password, salt);
        let inner = self.hash.digest(&[&identity, b":", &password]);
        self.hash.digest(&[salt, inner.as_bytes()])
    }

    /// k = H(N | g).
    pub(crate) fn k(&self, group: Group) -> Digest {
        self.hash.digest(&[group.modulus(), &self.g_in_k.apply(&[group.generator()], group)])
    }

    /// u = H(A | B).
    pub(crate) fn u(&self, group: Group, a_pub: &[u8], b_pub: &[u8]) -> Digest {
        self.hash.digest(&[&self.ab_in_u.apply(a_pub, group), &self.ab_in_u.apply(b_pub, group)])
    }

    /// K from S, which has the length of N.
    pub(crate) fn session_key(&self, s: &[u8]) -> SessionKey {
        let s = match self.s_in_k {
            Form::Strip => strip_secret(s),
            Form::Pad => s,
        };
        SessionKey(match self.session_key {
            SessionKeyRule::Hash => Zeroizing::new(self.hash.digest(&[s]).as_bytes().to_vec()),
            SessionKeyRule::Mgf1 { len } => mgf1(self.hash, s, len.max(self.hash.output_len())),
        })
    }

    /// M1 = H(H(N) xor H(g) | H(I) | s | A | B | K), A and B as they are to be hashed.
    pub(crate) fn m1(&self, group: Group, identity: &[u8], salt: &[u8], a_b: [&[u8]; 2], key: &SessionKey) -> Digest {
        let hash_g = self.hash.digest(&[&self.g_in_m1.apply(&[group.generator()], group)]);
        let mut group_hash = self.hash.digest(&[group.modulus()]);
        for (byte, other) in group_hash.bytes.iter_mut().zip(hash_g.bytes) {
            *byte ^= other;
        }
        let hash_i = self.hash.digest(&[&self.identity(identity)]);
        let [a_pub, b_pub] = a_b;
        self.hash.digest(&[group_hash.as_bytes(), hash_i.as_bytes(), salt, a_pub, b_pub, key.as_bytes()])
    }

    /// M2 = H(A | M1 | K), A as it is to be hashed.
    pub(crate) fn m2(&self, a_pub: &[u8], m1: &[u8], key: &SessionKey) -> Digest {
        self.hash.digest(&[a_pub, m1, key.as_bytes()])
    }

    fn identity<'a>(&self, identity: &'a [u8]) -> Cow<'a, [u8]> {
        match self.identity {
            Identity::AsGiven => Cow::Borrowed(identity),
            Identity::Lowercase => Cow::Owned(identity.to_ascii_lowercase()),
            Identity::Empty => Cow::Borrowed(&[]),
        }
    }
}

/// A hash function.
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
    /// The length of its output in bytes.
    #[must_use]
    pub const fn output_len(self) -> usize {
        match self {
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
            Hash::Sha512 => 64,
        }
    }

    /// The hash of the parts, one after the other.
    pub(crate) fn digest(self, parts: &[&[u8]]) -> Digest {
        match self {
            Hash::Sha1 => digest::<Sha1>(parts),
            Hash::Sha256 => digest::<Sha256>(parts),
            Hash::Sha512 => digest::<Sha512>(parts),
        }
    }
}

/// What is hashed as the user name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Identity {
    /// The bytes as given.
    AsGiven,
    /// With ASCII capitals made small.
    Lowercase,
    /// No bytes at all.
    Empty,
}

/// How the session key comes from the shared secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SessionKeyRule {
    /// K = H(S), as long as the hash.
    Hash,
    /// K = [MGF1](mgf1)(S).
    Mgf1 {
        /// Bytes to produce. Less than the hash has counts as the length of the hash: a key of no bytes would let anyone in.
        len: usize,
    },
}

/// What stands for the password in x.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PasswordRule {
    /// The bytes given.
    AsGiven,
    /// [`s2k`] of them, with the account's salt.
    S2k {
        /// PBKDF2 rounds, as the server says.
        iterations: u32,
    },
    /// [`s2k_fo`] of them, with the account's salt.
    S2kFo {
        /// PBKDF2 rounds, as the server says.
        iterations: u32,
    },
}

impl PasswordRule {
    fn apply(self, password: &[u8], salt: &[u8]) -> Zeroizing<Vec<u8>> {
        match self {
            PasswordRule::AsGiven => Zeroizing::new(password.to_vec()),
            PasswordRule::S2k { iterations } => Zeroizing::new(s2k(password, salt, iterations).to_vec()),
            PasswordRule::S2kFo { iterations } => Zeroizing::new(s2k_fo(password, salt, iterations).to_vec()),
        }
    }
}

/// How an integer becomes bytes before it is hashed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Form {
    /// strip(x): without leading zero bytes, at least one byte.
    Strip,
    /// PAD(x): filled with leading zero bytes up to the length of N.
    Pad,
}

impl Form {
    /// A public integer in this form.
    pub(crate) fn apply(self, bytes: &[u8], group: Group) -> Cow<'_, [u8]> {
        match self {
            Form::Strip => Cow::Borrowed(strip(bytes)),
            Form::Pad => Cow::Owned(pad(bytes, group.byte_len())),
        }
    }
}

/// MGF1 (RFC 8017 appendix B.2.1): `len` bytes, the hashes of the seed followed by a counter of four bytes, one after the other.
///
/// Lengths beyond 2^32 hashes, which MGF1 does not have, cannot be asked for: there is no memory for them.
#[must_use]
pub fn mgf1(hash: Hash, seed: &[u8], len: usize) -> Zeroizing<Vec<u8>> {
    let mut output = Zeroizing::new(vec![0; len]);
    for (counter, chunk) in (0_u32..).zip(output.chunks_mut(hash.output_len())) {
        let digest = hash.digest(&[seed, &counter.to_be_bytes()]);
        for (byte, hashed) in chunk.iter_mut().zip(digest.as_bytes()) {
            *byte = *hashed;
        }
    }
    output
}

/// Apple's "s2k": PBKDF2-HMAC-SHA256 over the SHA-256 of the password, 32 bytes.
#[must_use]
pub fn s2k(password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<[u8; 32]> {
    pbkdf2_sha256(Hash::Sha256.digest(&[password]).as_bytes(), salt, iterations)
}

/// Apple's "s2k_fo": the same over the hash's 64 small hexadecimal digits.
#[must_use]
pub fn s2k_fo(password: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<[u8; 32]> {
    let mut digits = Zeroizing::new([0; 64]);
    for (pair, byte) in digits.chunks_exact_mut(2).zip(Hash::Sha256.digest(&[password]).as_bytes()) {
        for (digit, nibble) in pair.iter_mut().zip([byte >> 4, byte & 15]) {
            // 39 lies between '9' and 'a'; added by arithmetic, as the digits are secret.
            *digit = b'0' + nibble + 39 * (nibble.wrapping_add(6) >> 4);
        }
    }
    pbkdf2_sha256(&*digits, salt, iterations)
}

fn pbkdf2_sha256(input: &[u8], salt: &[u8], iterations: u32) -> Zeroizing<[u8; 32]> {
    let mut key = Zeroizing::new([0; 32]);
    // HMAC takes a key of any length: this cannot fail.
    if pbkdf2::pbkdf2::<Hmac<Sha256>>(input, salt, iterations, &mut *key).is_err() {
        debug_assert!(false, "HMAC refused a key");
    }
    key
}

/// The output of a hash function, wiped when dropped.
#[derive(Clone)]
pub(crate) struct Digest {
    bytes: [u8; 64],
    len: usize,
}

impl Digest {
    pub(crate) fn as_bytes(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }
}

impl Drop for Digest {
    fn drop(&mut self) {
        self.bytes.zeroize();
    }
}

fn digest<D: sha1::Digest>(parts: &[&[u8]]) -> Digest {
    let mut hasher = D::new();
    for part in parts {
        hasher.update(part);
    }
    let mut output = hasher.finalize();
    let mut digest = Digest { bytes: [0; 64], len: output.len() };
    for (byte, hashed) in digest.bytes.iter_mut().zip(output.iter()) {
        *byte = *hashed;
    }
    output.as_mut_slice().zeroize();
    digest
}
