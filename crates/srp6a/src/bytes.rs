//! Integers as byte strings: stripped, padded, and the moment a secret becomes public.

use alloc::vec;
use alloc::vec::Vec;

use subtle::Choice;

/// strip(x): without leading zero bytes, at least one byte. For public values: the time depends on them.
pub(crate) fn strip(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|byte| **byte == 0).count();
    without(bytes, zeros)
}

/// strip(x) for a secret. The profile asks for it, and hashing a shorter string takes less time: so the *number* of leading zero bytes
/// becomes known, and nothing else does. It is 0 in all but one of 158 logins (1536-bit group), and says nothing about the next.
pub(crate) fn strip_secret(bytes: &[u8]) -> &[u8] {
    let mut zeros = 0_u64;
    let mut only_zeros = 1_u64;
    for byte in bytes {
        only_zeros &= u64::from(*byte).wrapping_sub(1) >> 63;
        zeros = zeros.wrapping_add(only_zeros);
    }
    let mut public = zeros.to_le_bytes();
    declassify(&mut public);
    without(bytes, usize::try_from(u64::from_le_bytes(public)).unwrap_or(0))
}

fn without(bytes: &[u8], zeros: usize) -> &[u8] {
    bytes.get(zeros.min(bytes.len().saturating_sub(1))..).unwrap_or_default()
}

/// PAD(x): filled with leading zero bytes up to `len`. What is longer stays as it is.
pub(crate) fn pad(bytes: &[u8], len: usize) -> Vec<u8> {
    let mut padded = vec![0; len.saturating_sub(bytes.len())];
    padded.extend_from_slice(bytes);
    padded
}

/// Decides on the outcome of a comparison of secrets: from here on it is public.
pub(crate) fn outcome(choice: Choice) -> bool {
    let mut public = [choice.unwrap_u8()];
    declassify(&mut public);
    public == [1]
}

/// Marks bytes that were computed from secrets and are public from here on: sent to the peer, or decided by. Every such place in the crate
/// goes through here; everything else must not branch on a secret, and `tools/ct-check` proves it.
#[cfg_attr(not(feature = "ct-check"), inline(always), expect(clippy::inline_always, reason = "it is empty"))]
pub(crate) fn declassify(bytes: &mut [u8]) {
    #[cfg(feature = "ct-check")]
    if let Some(hook) = crate::ct_check::DECLASSIFY.get() {
        hook(bytes);
    }
    #[cfg(not(feature = "ct-check"))]
    let _: &mut [u8] = bytes;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strip_and_pad_keep_the_number() {
        for (bytes, stripped) in
            [(&[][..], &[][..]), (&[0], &[0]), (&[0, 0], &[0]), (&[0, 7, 0], &[7, 0]), (&[255, 0], &[255, 0])]
        {
            assert_eq!(strip(bytes), stripped);
            assert_eq!(strip_secret(bytes), stripped);
        }
        assert_eq!(pad(&[7], 3), [0, 0, 7]);
        assert_eq!(pad(&[1, 2, 3], 2), [1, 2, 3]);
    }

    #[test]
    fn every_first_byte_is_counted_right() {
        for byte in 0..=255 {
            let zeros = usize::from(byte == 0);
            assert_eq!(strip_secret(&[byte, 1]).len(), 2 - zeros);
        }
    }
}
