//! The server's side of one login.

use alloc::vec::Vec;
use core::fmt;

use crypto_bigint::U256;
use rand_core::TryCryptoRng;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::bytes::{declassify, outcome, pad, strip};
use crate::field::{self, PrivateKey};
use crate::profile::{Digest, Form};
use crate::{Group, Profile, SessionKey, Verifier};

/// A server that has sent its challenge (s, B) and waits for one proof.
///
/// It owns all it needs for that: b, B, the user name, salt and verifier. They are wiped when it is used or dropped.
pub struct Server {
    profile: Profile,
    identity: Vec<u8>,
    salt: Vec<u8>,
    verifier: Verifier,
    b: PrivateKey,
    b_pub: Vec<u8>,
}

impl Server {
    /// Draws b and computes B for an account. `identity` is the user name exactly as the client sent it.
    ///
    /// b is drawn again until the first byte of B is not zero. Clients disagree on whether to hash B with or without leading zero bytes;
    /// for a B that has none, all are right. It costs one more draw in 158 (1536-bit group) and tells nobody anything, as b is new.
    ///
    /// # Errors
    /// Only if the random number generator fails.
    pub fn begin<R: TryCryptoRng + ?Sized>(
        profile: &Profile,
        identity: &[u8],
        salt: &[u8],
        verifier: &Verifier,
        rng: &mut R,
    ) -> Result<Server, R::Error> {
        loop {
            let mut server = Server::with_private_key(profile, identity, salt, verifier, random_private_key(rng)?);
            declassify(&mut server.b_pub);
            if server.b_pub.first() != Some(&0) {
                return Ok(server);
            }
        }
    }

    /// [`begin`](Server::begin) with b given, big-endian, for published test vectors. B may get a leading zero byte here.
    ///
    /// Dangerous in a server: who knows b, or sees it used twice, learns the session key.
    #[must_use]
    pub fn dangerous_with_private_key(
        profile: &Profile,
        identity: &[u8],
        salt: &[u8],
        verifier: &Verifier,
        b: &[u8; 32],
    ) -> Server {
        Server::with_private_key(profile, identity, salt, verifier, Zeroizing::new(field::uint(b)))
    }

    fn with_private_key(profile: &Profile, identity: &[u8], salt: &[u8], verifier: &Verifier, b: PrivateKey) -> Server {
        let group = verifier.group();
        let b_pub = field::b_pub(group, profile.k(group).as_bytes(), verifier.as_be_bytes(), &b);
        Server {
            profile: *profile,
            identity: identity.to_vec(),
            salt: salt.to_vec(),
            verifier: verifier.clone(),
            b,
            b_pub,
        }
    }

    /// B, to be sent: big-endian, [`Group::byte_len`] bytes, the first of them not zero.
    #[must_use]
    pub fn b_pub(&self) -> &[u8] {
        &self.b_pub
    }

    /// The account's group.
    #[must_use]
    pub fn group(&self) -> Group {
        self.verifier.group()
    }

    /// Checks the client's proof M1. Consumes the server: a challenge is good for one guess.
    ///
    /// `a_pub` is A as received, big-endian, 1 to [`Group::byte_len`] bytes (clients that drop leading zero bytes send fewer). `m1` has the
    /// length of the profile's hash. M1 is compared in constant time with the form of A the profile says; only if A has a leading zero
    /// byte are the other two forms tried, because some clients hash those. That gives nothing away: each form still needs the right key.
    ///
    /// # Errors
    /// See [`Refused`]. All but [`Refused::WrongProof`] depend on public values alone, and are found before any exponentiation.
    pub fn finish(self, a_pub: &[u8], m1: &[u8]) -> Result<Verified, Refused> {
        let (profile, group) = (&self.profile, self.group());
        if a_pub.is_empty() || a_pub.len() > group.byte_len() {
            return Err(Refused::PublicKeyLength { got: a_pub.len(), max: group.byte_len() });
        }
        if m1.len() != profile.hash.output_len() {
            return Err(Refused::ProofLength { got: m1.len(), expected: profile.hash.output_len() });
        }
        if field::is_zero_vartime(group, a_pub) {
            return Err(Refused::PublicKeyZero);
        }
        let u = profile.u(group, a_pub, &self.b_pub);
        if u.as_bytes().iter().all(|byte| *byte == 0) {
            return Err(Refused::ScramblerZero);
        }

        let s = field::server_s(group, a_pub, self.verifier.as_be_bytes(), u.as_bytes(), &self.b);
        let session_key = profile.session_key(&s);
        for form in ProofForm::to_try(profile, a_pub, group) {
            let a_b = [&*form.apply(a_pub, group), &*form.apply(&self.b_pub, group)];
            let expected = profile.m1(group, &self.identity, &self.salt, a_b, &session_key);
            if outcome(expected.as_bytes().ct_eq(m1)) {
                let m2 = form.m2(profile, group, a_pub, m1, &session_key);
                return Ok(Verified { m2, session_key, form });
            }
        }
        Err(Refused::WrongProof)
    }
}

impl fmt::Debug for Server {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Server").field("profile", &self.profile).field("group", &self.group()).finish_non_exhaustive()
    }
}

/// A client that has proved it knows the password. Only [`Server::finish`] makes one.
pub struct Verified {
    m2: Digest,
    session_key: SessionKey,
    form: ProofForm,
}

impl Verified {
    /// M2, the server's own proof, to be sent: as long as the profile's hash.
    #[must_use]
    pub fn m2(&self) -> &[u8] {
        self.m2.as_bytes()
    }

    /// K.
    #[must_use]
    pub fn session_key(&self) -> &SessionKey {
        &self.session_key
    }

    /// How the client had written A in its proof. Worth logging: what real clients do when A has a leading zero byte is not settled.
    #[must_use]
    pub fn form(&self) -> ProofForm {
        self.form
    }
}

impl fmt::Debug for Verified {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Verified").field("form", &self.form).finish_non_exhaustive()
    }
}

/// The form of A that a client's proof was computed with. For an A without leading zero bytes, all are the same bytes and the profile's is reported.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProofForm {
    /// Without leading zero bytes.
    Strip,
    /// The very bytes that were sent.
    AsReceived,
    /// Filled with leading zero bytes up to the length of N.
    Pad,
}

impl ProofForm {
    /// The profile's own form, and the others if A has a leading zero byte, as received or at full length.
    fn to_try(profile: &Profile, a_pub: &[u8], group: Group) -> impl Iterator<Item = ProofForm> {
        let own = ProofForm::of(profile);
        let leading_zero = a_pub.len() < group.byte_len() || a_pub.first() == Some(&0);
        let others =
            [ProofForm::Strip, ProofForm::AsReceived, ProofForm::Pad].into_iter().filter(move |form| *form != own);
        core::iter::once(own).chain(others.filter(move |_| leading_zero))
    }

    fn of(profile: &Profile) -> ProofForm {
        match profile.ab_in_m1 {
            Form::Strip => ProofForm::Strip,
            Form::Pad => ProofForm::Pad,
        }
    }

    fn apply(self, received: &[u8], group: Group) -> Vec<u8> {
        match self {
            ProofForm::Strip => strip(received).to_vec(),
            ProofForm::AsReceived => received.to_vec(),
            ProofForm::Pad => pad(received, group.byte_len()),
        }
    }

    /// M2 for a client that used this form in M1: the profile's rule for its own form, and otherwise the same form again.
    fn m2(self, profile: &Profile, group: Group, a_pub: &[u8], m1: &[u8], key: &SessionKey) -> Digest {
        if self == ProofForm::of(profile) {
            profile.m2(&profile.a_in_m2.apply(a_pub, group), m1, key)
        } else {
            profile.m2(&self.apply(a_pub, group), m1, key)
        }
    }
}

/// Why a client was not let in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Refused {
    /// A has no bytes, or more than N.
    #[error("the client's public key has {got} bytes; 1 to {max} are possible")]
    PublicKeyLength {
        /// Bytes received.
        got: usize,
        /// The length of N.
        max: usize,
    },
    /// A is 0 modulo N, which would make S = 0 without any password.
    #[error("the client's public key is 0 modulo N")]
    PublicKeyZero,
    /// u is 0, which would take the password out of S. A client cannot bring this about; by chance it will not happen.
    #[error("the scrambling parameter is 0")]
    ScramblerZero,
    /// M1 has not the length of the hash.
    #[error("the client's proof has {got} bytes instead of {expected}")]
    ProofLength {
        /// Bytes received.
        got: usize,
        /// The length of the profile's hash.
        expected: usize,
    },
    /// M1 is wrong: another password, another user name, or a changed message.
    #[error("the client's proof is wrong")]
    WrongProof,
}

/// 256 random bits, but not 0.
pub(crate) fn random_private_key<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<PrivateKey, R::Error> {
    let mut bytes = Zeroizing::new([0; 32]);
    loop {
        rng.try_fill_bytes(&mut *bytes)?;
        if !outcome(bytes.ct_eq(&[0; 32])) {
            return Ok(Zeroizing::new(field::uint::<{ U256::LIMBS }>(&*bytes)));
        }
    }
}
