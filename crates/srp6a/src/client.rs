//! The client's side of one login.

use alloc::vec::Vec;
use core::fmt;

use rand_core::TryCryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::bytes::{declassify, outcome};
use crate::field::{self, PrivateKey};
use crate::profile::Digest;
use crate::server::random_private_key;
use crate::{Group, Profile, SessionKey};

/// A client that has drawn a and can send A; it waits for the server's challenge.
pub struct Client {
    profile: Profile,
    group: Group,
    a: PrivateKey,
    a_pub: Vec<u8>,
}

impl Client {
    /// Draws a, of 256 bits, and computes A.
    ///
    /// # Errors
    /// Only if the random number generator fails.
    pub fn start<R: TryCryptoRng + ?Sized>(profile: &Profile, group: Group, rng: &mut R) -> Result<Client, R::Error> {
        Ok(Client::with_private_key(profile, group, random_private_key(rng)?))
    }

    /// [`start`](Client::start) with a given, big-endian, for published test vectors.
    ///
    /// Dangerous in a client: who knows a can guess the password offline.
    #[must_use]
    pub fn dangerous_with_private_key(profile: &Profile, group: Group, a: &[u8; 32]) -> Client {
        Client::with_private_key(profile, group, Zeroizing::new(field::uint(a)))
    }

    fn with_private_key(profile: &Profile, group: Group, a: PrivateKey) -> Client {
        let mut a_pub = core::mem::take(&mut *field::g_pow(group, &a));
        declassify(&mut a_pub);
        Client { profile: *profile, group, a, a_pub }
    }

    /// A, to be sent: big-endian, [`Group::byte_len`] bytes.
    #[must_use]
    pub fn a_pub(&self) -> &[u8] {
        &self.a_pub
    }

    /// The group this client uses.
    #[must_use]
    pub fn group(&self) -> Group {
        self.group
    }

    /// Answers the server's challenge: salt and B as received. B may have lost leading zero bytes on the way.
    ///
    /// # Errors
    /// If the server sends what no honest server sends; nothing about the password has been given away then.
    pub fn prove(
        self,
        identity: &[u8],
        password: &[u8],
        salt: &[u8],
        b_pub: &[u8],
    ) -> Result<ClientProof, ServerMisbehaved> {
        let (profile, group) = (&self.profile, self.group);
        if b_pub.is_empty() || b_pub.len() > group.byte_len() {
            return Err(ServerMisbehaved::PublicKeyLength { got: b_pub.len(), max: group.byte_len() });
        }
        if field::is_zero_vartime(group, b_pub) {
            return Err(ServerMisbehaved::PublicKeyZero);
        }
        let u = profile.u(group, &self.a_pub, b_pub);
        if u.as_bytes().iter().all(|byte| *byte == 0) {
            return Err(ServerMisbehaved::ScramblerZero);
        }

        let x = profile.x(identity, password, salt);
        let k = profile.k(group);
        let a = field::private_key_bytes(&self.a);
        let s = field::client_s(group, b_pub, k.as_bytes(), x.as_bytes(), u.as_bytes(), &a);
        let session_key = profile.session_key(&s);
        let a_b = [&*profile.ab_in_m1.apply(&self.a_pub, group), &*profile.ab_in_m1.apply(b_pub, group)];
        let m1 = profile.m1(group, identity, salt, a_b, &session_key);
        let m2 = profile.m2(&profile.a_in_m2.apply(&self.a_pub, group), m1.as_bytes(), &session_key);
        Ok(ClientProof { m1, m2, session_key })
    }
}

impl fmt::Debug for Client {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Client").field("profile", &self.profile).field("group", &self.group).finish_non_exhaustive()
    }
}

/// A client that can prove itself, and waits for the server to do the same.
pub struct ClientProof {
    m1: Digest,
    m2: Digest,
    session_key: SessionKey,
}

impl ClientProof {
    /// M1, to be sent: as long as the profile's hash.
    #[must_use]
    pub fn m1(&self) -> &[u8] {
        self.m1.as_bytes()
    }

    /// K. Do not use it before [`verify`](ClientProof::verify) has said that the server has it too.
    #[must_use]
    pub fn session_key(&self) -> &SessionKey {
        &self.session_key
    }

    /// Checks the server's proof, in constant time.
    ///
    /// # Errors
    /// If M2 is wrong: the peer does not know the verifier, or the exchange was changed on the way.
    pub fn verify(self, m2: &[u8]) -> Result<SessionKey, WrongServerProof> {
        if outcome(self.m2.as_bytes().ct_eq(m2)) { Ok(self.session_key) } else { Err(WrongServerProof) }
    }
}

impl fmt::Debug for ClientProof {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientProof").finish_non_exhaustive()
    }
}

/// A challenge no honest server sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ServerMisbehaved {
    /// B has no bytes, or more than N.
    #[error("the server's public key has {got} bytes; 1 to {max} are possible")]
    PublicKeyLength {
        /// Bytes received.
        got: usize,
        /// The length of N.
        max: usize,
    },
    /// B is 0 modulo N.
    #[error("the server's public key is 0 modulo N")]
    PublicKeyZero,
    /// u is 0, which would let a server in that does not know the verifier.
    #[error("the scrambling parameter is 0")]
    ScramblerZero,
}

/// The server's proof M2 is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the server's proof is wrong: it does not know this account's verifier")]
pub struct WrongServerProof;
