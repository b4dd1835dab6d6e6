//! Hexadecimal in constant time: which digits a salt or verifier has must not show in how long it takes to read them.
//!
//! `base16ct` looks at every digit with arithmetic only; whether all of them *are* digits is one bit, decided at the end.

use zeroize::Zeroizing;

/// Bytes of hex digits in either case. `None` unless there are exactly `2 * len` digits and nothing else.
pub(crate) fn decode(digits: &[u8], len: usize) -> Option<Zeroizing<Vec<u8>>> {
    if digits.len() != len.checked_mul(2)? {
        return None;
    }
    let mut bytes = Zeroizing::new(vec![0; len]);
    base16ct::mixed::decode(digits, &mut bytes).ok()?;
    Some(bytes)
}

/// Which case the digits are written in: Netatalk writes capitals, the native store small letters.
#[derive(Clone, Copy)]
pub(crate) enum Case {
    Upper,
    Lower,
}

/// Appends two digits per byte. `out` should have room already, so that no half-filled buffer is left behind unwiped.
pub(crate) fn encode_onto(out: &mut Zeroizing<Vec<u8>>, bytes: &[u8], case: Case) {
    for byte in bytes {
        let mut digits = Zeroizing::new([0_u8; 2]);
        // The only failure is a buffer that is too small, and two digits are what one byte has.
        let written = match case {
            Case::Upper => base16ct::upper::encode(&[*byte], digits.as_mut_slice()),
            Case::Lower => base16ct::lower::encode(&[*byte], digits.as_mut_slice()),
        };
        debug_assert!(written.is_ok());
        out.extend_from_slice(digits.as_slice());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_byte_in_either_case() {
        for byte in 0..=255_u8 {
            for case in [Case::Upper, Case::Lower] {
                let mut text = Zeroizing::new(Vec::new());
                encode_onto(&mut text, &[byte, !byte], case);
                assert_eq!(decode(&text, 2).unwrap().as_slice(), [byte, !byte]);
            }
        }
        let mut text = Zeroizing::new(Vec::new());
        encode_onto(&mut text, &[0xab, 0x0f], Case::Upper);
        assert_eq!(text.as_slice(), b"AB0F");
    }

    #[test]
    fn anything_else_is_refused() {
        for bad in [&b""[..], b"a", b"abc", b"abcde", b"zz00", b"00g0", b"0 00", b"0x00", b"\xff\xff00", b"**00"] {
            assert!(decode(bad, 2).is_none(), "{bad:?}");
        }
        for other in (0..=255_u8).filter(|b| !b.is_ascii_hexdigit()) {
            assert!(decode(&[b'0', other], 1).is_none(), "{other:#x}");
        }
    }
}
