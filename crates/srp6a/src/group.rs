//! The groups of RFC 5054 appendix A: which there are, and what the wire calls them.

use crate::field;

/// A prime N and its generator g, from RFC 5054 appendix A. Both sides must know the group beforehand: a group that a peer
/// makes up could hide a weakness, so there is no way to build one.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Group {
    /// 1024 bits, g = 2. Within reach of a large attacker: here for the published test vectors, not for accounts.
    Bits1024,
    /// 1536 bits, g = 2. The one AFP uses.
    Bits1536,
    /// 2048 bits, g = 2.
    Bits2048,
    /// 3072 bits, g = 5.
    Bits3072,
    /// 4096 bits, g = 5.
    Bits4096,
}

impl Group {
    /// All groups, smallest first.
    pub const ALL: [Group; 5] = [Group::Bits1024, Group::Bits1536, Group::Bits2048, Group::Bits3072, Group::Bits4096];

    /// The number the wire calls this group by ("group index" in the AFP challenge): its place in RFC 5054, from 1.
    #[must_use]
    pub const fn index(self) -> u16 {
        match self {
            Group::Bits1024 => 1,
            Group::Bits1536 => 2,
            Group::Bits2048 => 3,
            Group::Bits3072 => 4,
            Group::Bits4096 => 5,
        }
    }

    /// The group with this index on the wire.
    #[must_use]
    pub fn from_index(index: u16) -> Option<Group> {
        Group::ALL.into_iter().find(|group| group.index() == index)
    }

    /// The size of N in bits.
    #[must_use]
    pub const fn bits(self) -> usize {
        match self {
            Group::Bits1024 => 1024,
            Group::Bits1536 => 1536,
            Group::Bits2048 => 2048,
            Group::Bits3072 => 3072,
            Group::Bits4096 => 4096,
        }
    }

    /// The group whose N has this many bits.
    #[must_use]
    pub fn from_bits(bits: usize) -> Option<Group> {
        Group::ALL.into_iter().find(|group| group.bits() == bits)
    }

    /// The size of N in bytes: what PAD pads to, and the length of every verifier and public key.
    #[must_use]
    pub const fn byte_len(self) -> usize {
        self.bits() / 8
    }

    /// N, big-endian, [`byte_len`](Group::byte_len) bytes. Its first byte is never zero.
    #[must_use]
    pub fn modulus(self) -> &'static [u8] {
        match self {
            Group::Bits1024 => &field::N1024_BYTES,
            Group::Bits1536 => &field::N1536_BYTES,
            Group::Bits2048 => &field::N2048_BYTES,
            Group::Bits3072 => &field::N3072_BYTES,
            Group::Bits4096 => &field::N4096_BYTES,
        }
    }

    /// g, which fits one byte in every group.
    #[must_use]
    pub const fn generator(self) -> u8 {
        match self {
            Group::Bits1024 | Group::Bits1536 | Group::Bits2048 => 2,
            Group::Bits3072 | Group::Bits4096 => 5,
        }
    }

    /// The group a peer means by these N and g, both big-endian. Leading zero bytes do not matter.
    #[must_use]
    pub fn from_modulus(n: &[u8], g: &[u8]) -> Option<Group> {
        let (n, g) = (crate::bytes::strip(n), crate::bytes::strip(g));
        Group::ALL.into_iter().find(|group| group.modulus() == n && [group.generator()] == g)
    }

    /// Whether an account may be kept in this group: all but the 1024-bit one.
    #[must_use]
    pub const fn usable_for_accounts(self) -> bool {
        !matches!(self, Group::Bits1024)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_of_a_group_leads_back_to_it() {
        for group in Group::ALL {
            assert_eq!(Group::from_index(group.index()), Some(group));
            assert_eq!(Group::from_bits(group.bits()), Some(group));
            assert_eq!(Group::from_modulus(group.modulus(), &[group.generator()]), Some(group));
            assert_eq!(group.modulus().len(), group.byte_len());
            assert_ne!(group.modulus().first(), Some(&0));
        }
        assert_eq!(Group::from_index(0), None);
        assert_eq!(Group::from_index(6), None);
        assert_eq!(Group::from_bits(1000), None);
    }

    #[test]
    fn a_foreign_modulus_or_generator_is_no_group() {
        let group = Group::Bits1536;
        assert_eq!(Group::from_modulus(group.modulus(), &[3]), None);
        assert_eq!(Group::from_modulus(group.modulus(), &[]), None);
        assert_eq!(Group::from_modulus(group.modulus(), &[2, 0]), None);
        assert_eq!(Group::from_modulus(&[], &[2]), None);
        let mut other = group.modulus().to_vec();
        other[191] ^= 2;
        assert_eq!(Group::from_modulus(&other, &[2]), None);
        let longer = [&[0], group.modulus()].concat();
        assert_eq!(Group::from_modulus(&longer, &[0, 2]), Some(group));
    }
}
