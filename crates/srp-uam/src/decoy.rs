//! Challenges for login names that do not exist (RFC 5054 section 2.5.1.3).
//!
//! Salt and verifier are HMAC-SHA-256 of the login name under a secret of this server, so that the same name gets the same salt
//! at every attempt, as a real account does until its password changes. In the RFC 5054 groups g generates the whole multiplicative group, so a real verifier g^x is spread
//! over all of it: a made-up number below N is not told apart, and costs no exponentiation.

use core::fmt;

use hmac::{Hmac, KeyInit, Mac};
use rand_core::TryCryptoRng;
use sha2::Sha256;
use srp6a::{Group, Verifier};
use verifier_store::{LoginRecord, Salt};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::rejected::Rejected;

/// The secret that decoys are made from: 32 random bytes that must stay the same over restarts, or a made-up salt would
/// change where a real one does not. Wiped when dropped.
#[derive(Zeroize, ZeroizeOnDrop)]
pub struct DecoySecret([u8; 32]);

impl DecoySecret {
    /// A secret read back from where it is kept.
    #[must_use]
    pub fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// A new secret.
    ///
    /// # Errors
    /// That of `rng`.
    pub fn generate<R: TryCryptoRng + ?Sized>(rng: &mut R) -> Result<Self, R::Error> {
        let mut secret = Self([0; 32]);
        rng.try_fill_bytes(&mut secret.0)?;
        Ok(secret)
    }

    /// The secret itself, to be kept in a file that only the server can read.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// The record that a client is shown for `login_name`.
    pub(crate) fn record(&self, login_name: &[u8]) -> Result<LoginRecord, Rejected> {
        let group = Group::Bits1536;
        let mut bytes = Zeroizing::new(vec![0; group.byte_len()]);
        for (counter, chunk) in (1_u8..).zip(bytes.chunks_mut(32)) {
            for (to, from) in chunk.iter_mut().zip(self.mac(counter, login_name)) {
                *to = from;
            }
        }
        // Below N (its top byte is 0x9d) and not 0.
        if let Some(top) = bytes.first_mut() {
            *top &= 0x7f;
        }
        if let Some(last) = bytes.last_mut() {
            *last |= 1;
        }
        let verifier = Verifier::from_be_bytes(group, &bytes).map_err(|_| Rejected::Internal)?;
        let mut salt = [0; 16];
        for (to, from) in salt.iter_mut().zip(self.mac(0, login_name)) {
            *to = from;
        }
        Ok(LoginRecord { account: String::new(), login_name: login_name.to_vec(), salt: Salt(salt), verifier })
    }

    /// Which of the tallies for names that nobody has is this name's. Nobody without the secret can tell which names share one.
    pub(crate) fn tally(&self, login_name: &[u8]) -> u8 {
        let [tally, ..] = self.mac(u8::MAX, login_name);
        tally
    }

    fn mac(&self, purpose: u8, login_name: &[u8]) -> [u8; 32] {
        // HMAC takes keys of a block, 64 bytes; zero bytes at the end of a shorter one change nothing.
        let mut block = Zeroizing::new([0; 64]);
        for (to, from) in block.iter_mut().zip(self.0) {
            *to = from;
        }
        let mut mac = Hmac::<Sha256>::new(&(*block).into());
        mac.update(b"afpd-rs decoy");
        mac.update(&[purpose]);
        mac.update(login_name);
        mac.finalize().into_bytes().into()
    }
}

impl fmt::Debug for DecoySecret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("DecoySecret")
    }
}
