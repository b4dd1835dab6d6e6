//! Byte strings that know how long they may be, so that an encoder cannot write a length it has no room for.
//!
//! They are bytes, not text: what character set they hold depends on the field and the AFP version, and nobody below the
//! session needs to know.

use core::fmt;
use core::ops::Deref;

use bytes::BufMut;

use crate::error::TooLong;

macro_rules! counted_string {
    ($(#[$doc:meta])* $name:ident, $count:ty, $max:expr, $put:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name<'a>(&'a [u8]);

        impl<'a> $name<'a> {
            /// The longest there can be, in bytes.
            pub const MAX: usize = $max;

            /// # Errors
            /// [`TooLong`] if `bytes` has more than [`Self::MAX`] bytes.
            pub const fn new(bytes: &'a [u8]) -> Result<Self, TooLong> {
                if bytes.len() > Self::MAX {
                    Err(TooLong { length: bytes.len(), max: Self::MAX })
                } else {
                    Ok(Self(bytes))
                }
            }

            /// The first [`Self::MAX`] bytes of `bytes`; for text that may be cut, and for what is known to be short.
            #[must_use]
            pub fn cut(bytes: &'a [u8]) -> Self {
                Self(bytes.get(..Self::MAX).unwrap_or(bytes))
            }

            /// The bytes without their count.
            #[must_use]
            pub const fn as_bytes(self) -> &'a [u8] {
                self.0
            }

            /// Count and bytes, at the end of `out`.
            pub fn encode_into(self, out: &mut Vec<u8>) {
                // `new` and `cut` are the only ways in, so the count always fits.
                out.$put(<$count>::try_from(self.0.len()).unwrap_or(<$count>::MAX));
                out.extend_from_slice(self.0);
            }
        }

        impl Deref for $name<'_> {
            type Target = [u8];

            fn deref(&self) -> &[u8] {
                self.0
            }
        }

        impl AsRef<[u8]> for $name<'_> {
            fn as_ref(&self) -> &[u8] {
                self.0
            }
        }

        impl<'a, const N: usize> From<&'a [u8; N]> for $name<'a> {
            /// For literals: one that is too long does not compile.
            fn from(bytes: &'a [u8; N]) -> Self {
                const { assert!(N <= $max, "longer than its count can say") };
                Self(bytes)
            }
        }

        impl<'a> TryFrom<&'a [u8]> for $name<'a> {
            type Error = TooLong;

            fn try_from(bytes: &'a [u8]) -> Result<Self, TooLong> {
                Self::new(bytes)
            }
        }

        impl PartialEq<[u8]> for $name<'_> {
            fn eq(&self, other: &[u8]) -> bool {
                self.0 == other
            }
        }

        impl PartialEq<&[u8]> for $name<'_> {
            fn eq(&self, other: &&[u8]) -> bool {
                self.0 == *other
            }
        }

        impl<const N: usize> PartialEq<&[u8; N]> for $name<'_> {
            fn eq(&self, other: &&[u8; N]) -> bool {
                self.0 == *other
            }
        }

        impl fmt::Debug for $name<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, "\"{}\"", self.0.escape_ascii())
            }
        }
    };
}

counted_string! {
    /// At most 255 bytes behind a one-byte count: AFP's string.
    Pascal, u8, 255, put_u8
}

counted_string! {
    /// At most 65535 bytes behind a two-byte count: AFP's UTF-8 names and every field of the SRP messages.
    WidePascal, u16, 65535, put_u16
}

/// Stands for bytes that must not be printed: passwords, proofs, tokens.
pub(crate) struct Hidden(pub(crate) usize);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "<{} bytes>", self.0)
    }
}

/// A four-byte count and its bytes. What no frame could carry (4 GiB and more) is cut.
pub(crate) fn put_counted_u32(out: &mut Vec<u8>, bytes: &[u8]) {
    let count = u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    out.put_u32(count);
    out.extend_from_slice(usize::try_from(count).ok().and_then(|n| bytes.get(..n)).unwrap_or(bytes));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_exact() {
        let long = vec![7; 65_536];
        assert_eq!(Pascal::new(&long[..255]).unwrap().len(), 255);
        assert_eq!(Pascal::new(&long[..256]), Err(TooLong { length: 256, max: 255 }));
        assert_eq!(Pascal::cut(&long).len(), 255);
        assert_eq!(WidePascal::new(&long[..65_535]).unwrap().len(), 65_535);
        assert_eq!(WidePascal::new(&long), Err(TooLong { length: 65_536, max: 65_535 }));
        assert_eq!(WidePascal::cut(&long).len(), 65_535);
    }

    #[test]
    fn encodes_count_then_bytes() {
        let mut out = Vec::new();
        Pascal::from(b"SRP").encode_into(&mut out);
        WidePascal::from(b"SRP").encode_into(&mut out);
        put_counted_u32(&mut out, b"SRP");
        assert_eq!(out, b"\x03SRP\x00\x03SRP\x00\x00\x00\x03SRP");
    }

    #[test]
    fn compares_with_plain_bytes() {
        let uam = Pascal::from(b"SRP");
        assert!(uam == b"SRP" && uam == b"SRP".as_slice() && uam == *b"SRP".as_slice());
        assert!(uam != b"srp");
    }
}
