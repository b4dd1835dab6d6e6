//! Shared by the tests of the messages.

use crate::error::DecodeError;

/// A message that ends where its last field ends: cut anywhere it is truncated, and one byte more is one too many.
pub(crate) fn cut_and_lengthened<'a, T: core::fmt::Debug>(
    wire: &'a [u8],
    decode: impl Fn(&'a [u8]) -> Result<T, DecodeError>,
) {
    assert!(decode(wire).is_ok());
    for length in 0..wire.len() {
        let error = decode(&wire[..length]).unwrap_err();
        assert!(matches!(error, DecodeError::Truncated { .. }), "{length}: {error}");
    }
    let long = [wire, &[0]].concat();
    // The message is only looked at here; leaking it keeps the decoders' signature simple.
    let error = decode(long.leak()).unwrap_err();
    assert_eq!(error, DecodeError::Trailing { offset: wire.len(), extra: 1 });
}

/// In a proptest: what is encoded decodes to the same value.
macro_rules! prop_round_trip {
    ($decode:expr, $value:expr) => {{
        let value = $value;
        let wire = value.encode();
        prop_assert_eq!($decode(&wire), Ok(value));
    }};
}
pub(crate) use prop_round_trip;
