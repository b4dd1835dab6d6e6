//! Randomness that can be repeated.
//!
//! A test that draws from a [`SeededRng`] runs the same way every time; the seed is in the test. It is SplitMix64 (Steele, Lea
//! and Flood 2014): well mixed, trivially predictable, for tests alone.

use std::convert::Infallible;

use rand_core::{TryCryptoRng, TryRng};

/// SplitMix64. It claims to be a [`TryCryptoRng`] because the code under test insists on one.
#[derive(Clone, Debug)]
pub struct SeededRng(u64);

impl SeededRng {
    /// The sequence of this seed, from its start.
    #[must_use]
    pub fn new(seed: u64) -> SeededRng {
        SeededRng(seed)
    }

    /// The next eight bytes.
    pub fn word(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// The next `N` bytes.
    pub fn bytes<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.fill(&mut bytes);
        bytes
    }

    fn fill(&mut self, destination: &mut [u8]) {
        for chunk in destination.chunks_mut(8) {
            let word = self.word().to_be_bytes();
            for (to, from) in chunk.iter_mut().zip(word) {
                *to = from;
            }
        }
    }
}

impl TryRng for SeededRng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        let [a, b, c, d] = self.bytes();
        Ok(u32::from_be_bytes([a, b, c, d]))
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.word())
    }

    fn try_fill_bytes(&mut self, destination: &mut [u8]) -> Result<(), Infallible> {
        self.fill(destination);
        Ok(())
    }
}

impl TryCryptoRng for SeededRng {}

#[cfg(test)]
mod tests {
    use super::*;

    /// The first outputs of SplitMix64 for seed 1234567, as its authors' reference program prints them.
    #[test]
    fn is_splitmix64() {
        let mut rng = SeededRng::new(1_234_567);
        let got = [rng.word(), rng.word(), rng.word()];
        assert_eq!(got, [6_457_827_717_110_365_317, 3_203_168_211_198_807_973, 9_817_491_932_198_370_423]);
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes() {
        assert_eq!(SeededRng::new(7).bytes::<33>(), SeededRng::new(7).bytes::<33>());
        assert_ne!(SeededRng::new(7).bytes::<33>(), SeededRng::new(8).bytes::<33>());
    }
}
