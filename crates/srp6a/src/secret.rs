//! The two secrets that outlive a login's arithmetic: the verifier and the session key.

use alloc::vec::Vec;
use core::fmt;

use subtle::{Choice, ConstantTimeEq};
use zeroize::Zeroizing;

use crate::bytes::outcome;
use crate::{Group, Profile, field};

/// v = g^x, all a server needs to know of a password. Who has it can guess passwords offline and play the server, but not log in.
///
/// It knows its group, has exactly [`Group::byte_len`] bytes, and is neither 0 nor N nor more: with v = 0 anyone could log in.
/// Equality takes the same time wherever two verifiers differ.
#[derive(Clone)]
pub struct Verifier {
    group: Group,
    bytes: Zeroizing<Vec<u8>>,
}

impl Verifier {
    /// A verifier as it was stored, big-endian, at the full length of N.
    ///
    /// # Errors
    /// If it is of another length, 0, or not below N. What is wrong becomes known through the time this takes; the verifier does not.
    pub fn from_be_bytes(group: Group, bytes: &[u8]) -> Result<Verifier, InvalidVerifier> {
        if bytes.len() != group.byte_len() {
            return Err(InvalidVerifier::Length { got: bytes.len(), expected: group.byte_len() });
        }
        let any_bit = bytes.iter().fold(0, |any, byte| any | byte);
        if outcome(any_bit.ct_eq(&0)) {
            return Err(InvalidVerifier::Zero);
        }
        if !outcome(field::is_below_modulus(group, bytes)) {
            return Err(InvalidVerifier::NotBelowModulus);
        }
        Ok(Verifier { group, bytes: Zeroizing::new(bytes.to_vec()) })
    }

    /// The verifier of a password, for storing. `identity` is the user name as it will be typed, `salt` the account's.
    #[must_use]
    pub fn derive(profile: &Profile, group: Group, identity: &[u8], password: &[u8], salt: &[u8]) -> Verifier {
        let x = profile.x(identity, password, salt);
        // A power of g is never 0 modulo a prime, so this is always a valid verifier.
        Verifier { group, bytes: field::g_pow_bytes(group, x.as_bytes()) }
    }

    /// The bytes to store: big-endian, [`Group::byte_len`] of them.
    #[must_use]
    pub fn as_be_bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The group it belongs to.
    #[must_use]
    pub fn group(&self) -> Group {
        self.group
    }
}

impl ConstantTimeEq for Verifier {
    fn ct_eq(&self, other: &Verifier) -> Choice {
        Choice::from(u8::from(self.group == other.group)) & self.bytes.as_slice().ct_eq(other.bytes.as_slice())
    }
}

impl PartialEq for Verifier {
    fn eq(&self, other: &Verifier) -> bool {
        outcome(self.ct_eq(other))
    }
}

impl Eq for Verifier {}

impl fmt::Debug for Verifier {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verifier").field("group", &self.group).finish_non_exhaustive()
    }
}

/// Why bytes are no [`Verifier`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidVerifier {
    /// Not the length of N.
    #[error("a verifier of {got} bytes where the group needs {expected}")]
    Length {
        /// Bytes given.
        got: usize,
        /// Bytes the group needs.
        expected: usize,
    },
    /// All bytes are zero.
    #[error("the verifier is 0, which would let anyone in")]
    Zero,
    /// N or more.
    #[error("the verifier is not below the group's modulus")]
    NotBelowModulus,
}

/// K, the key both sides share after a login. As long as the profile says: 40 bytes for AFP.
///
/// Equality takes the same time wherever two keys differ.
#[derive(Clone)]
pub struct SessionKey(pub(crate) Zeroizing<Vec<u8>>);

impl SessionKey {
    /// The key's bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }
}

impl PartialEq for SessionKey {
    fn eq(&self, other: &SessionKey) -> bool {
        outcome(self.0.as_slice().ct_eq(other.0.as_slice()))
    }
}

impl Eq for SessionKey {}

impl fmt::Debug for SessionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("SessionKey(secret)")
    }
}
