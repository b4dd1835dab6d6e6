//! What the test files share: repeatable randomness, and the engine's types as the slow implementation's.

use core::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};
use srp6a::{Form, Group, Hash, Identity, Profile, SessionKeyRule};
use testkit::slow_srp::{self, SlowGroup, SlowProfile};

/// SHA-256 of a seed and a counter: the same numbers in every run.
pub(crate) struct SeededRng {
    seed: u64,
    counter: u64,
}

impl SeededRng {
    pub(crate) fn new(seed: u64) -> SeededRng {
        SeededRng { seed, counter: 0 }
    }

    pub(crate) fn bytes<const LEN: usize>(&mut self) -> [u8; LEN] {
        let mut bytes = [0; LEN];
        self.fill(&mut bytes);
        bytes
    }

    fn fill(&mut self, bytes: &mut [u8]) {
        for chunk in bytes.chunks_mut(32) {
            self.counter += 1;
            let block = slow_srp::Hash::Sha256.digest(&[&self.seed.to_be_bytes(), &self.counter.to_be_bytes()]);
            chunk.copy_from_slice(&block[..chunk.len()]);
        }
    }
}

impl TryRng for SeededRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(u32::from_be_bytes(self.bytes()))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(u64::from_be_bytes(self.bytes()))
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.fill(bytes);
        Ok(())
    }
}

impl TryCryptoRng for SeededRng {}

/// The slow implementation's view of a group.
pub(crate) fn slow_group(group: Group) -> SlowGroup {
    SlowGroup::new(group.modulus(), &[group.generator()])
}

/// The slow implementation's view of a profile. (It has no password rules: those only change what it is given as password.)
pub(crate) fn slow_profile(profile: &Profile) -> SlowProfile {
    let form = |form| match form {
        Form::Strip => slow_srp::Form::Strip,
        Form::Pad => slow_srp::Form::Pad,
    };
    SlowProfile {
        hash: match profile.hash {
            Hash::Sha1 => slow_srp::Hash::Sha1,
            Hash::Sha256 => slow_srp::Hash::Sha256,
            Hash::Sha512 => slow_srp::Hash::Sha512,
        },
        user_in_x: profile.user_in_x,
        identity: match profile.identity {
            Identity::AsGiven => slow_srp::Identity::AsGiven,
            Identity::Lowercase => slow_srp::Identity::Lowercase,
            Identity::Empty => slow_srp::Identity::Empty,
        },
        session_key: match profile.session_key {
            SessionKeyRule::Hash => slow_srp::SessionKeyRule::Hash,
            SessionKeyRule::Mgf1 { len } => slow_srp::SessionKeyRule::Mgf1(len.max(profile.hash.output_len())),
        },
        g_in_k: form(profile.g_in_k),
        ab_in_u: form(profile.ab_in_u),
        g_in_m1: form(profile.g_in_m1),
        ab_in_m1: form(profile.ab_in_m1),
        a_in_m2: form(profile.a_in_m2),
        s_in_k: form(profile.s_in_k),
    }
}
