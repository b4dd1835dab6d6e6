//! The payloads DSI itself has: OpenSession's options (type, length, value) and Attention's code.

use core::fmt;

use bytes::BufMut;

use crate::error::{DecodeError, Field};
use crate::read::Reader;

const REQUEST_QUANTUM: u8 = 0;
const ATTENTION_QUANTUM: u8 = 1;
const REPLAY_CACHE_SIZE: u8 = 2;

/// What a client sends with DSIOpenSession. Options it does not define are skipped, as the protocol wants.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct OpenSessionOptions {
    /// Option 1: the most bytes the client takes in an Attention. 2 when it does not say.
    pub attention_quantum: Option<u32>,
}

impl OpenSessionOptions {
    /// # Errors
    /// [`DecodeError::Truncated`] if an option runs past the end, [`DecodeError::Length`] if the attention quantum is not 4
    /// bytes long (CVE-2018-1160).
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut options = Self::default();
        for_each_option(payload, |kind, value| {
            if kind == ATTENTION_QUANTUM {
                options.attention_quantum = Some(value.number()?);
            }
            Ok(())
        })?;
        Ok(options)
    }

    /// Six bytes, or none.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_option(&mut out, ATTENTION_QUANTUM, self.attention_quantum);
        out
    }
}

/// What a server answers to DSIOpenSession. Servers before AFP 3 may leave either out.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct OpenSessionReply {
    /// Option 0: the largest request payload the server takes, in bytes, not counting DSI header and AFP call.
    pub request_quantum: Option<u32>,
    /// Option 2: how many replies the server keeps for a client that reconnects.
    pub replay_cache_size: Option<u32>,
}

impl OpenSessionReply {
    /// # Errors
    /// As for [`OpenSessionOptions::decode`].
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reply = Self::default();
        for_each_option(payload, |kind, value| {
            match kind {
                REQUEST_QUANTUM => reply.request_quantum = Some(value.number()?),
                REPLAY_CACHE_SIZE => reply.replay_cache_size = Some(value.number()?),
                _ => {}
            }
            Ok(())
        })?;
        Ok(reply)
    }

    /// The quantum first: there are clients that read bytes 2 to 6 without looking at the type.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_option(&mut out, REQUEST_QUANTUM, self.request_quantum);
        put_option(&mut out, REPLAY_CACHE_SIZE, self.replay_cache_size);
        out
    }
}

/// The two bytes of a DSIAttention: what is the matter in the upper four bits, a parameter in the lower twelve.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Attention(pub u16);

impl Attention {
    /// The server shuts down in [`Attention::minutes`]; 0 is now.
    pub const SHUTDOWN: Self = Self(0x8000);
    /// As `SHUTDOWN`, and the client should not reconnect.
    pub const DISCONNECT: Self = Self(0x9000);
    /// As `SHUTDOWN`, with a message to fetch (FPGetSrvrMsg).
    pub const SHUTDOWN_WITH_MESSAGE: Self = Self(0xA000);
    /// As `DISCONNECT`, with a message to fetch (FPGetSrvrMsg).
    pub const DISCONNECT_WITH_MESSAGE: Self = Self(0xB000);
    /// The server goes down this moment.
    pub const CRASH: Self = Self(0x4000);
    /// There is a message to fetch (FPGetSrvrMsg).
    pub const MESSAGE: Self = Self(0x2000);
    /// A mounted volume has changed.
    pub const VOLUME_CHANGED: Self = Self(0x3001);
    /// In place of minutes: a shutdown announced before is called off.
    pub const CANCELLED: u16 = 0x0FFF;

    /// The lower twelve bits.
    #[must_use]
    pub const fn minutes(self) -> u16 {
        self.0 & 0x0FFF
    }

    /// The upper four bits, with this many minutes (at most 4095) below them.
    #[must_use]
    pub const fn with_minutes(self, minutes: u16) -> Self {
        Self((self.0 & 0xF000) | (minutes & 0x0FFF))
    }

    /// # Errors
    /// [`DecodeError`] if `payload` is not two bytes.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let attention = Self(reader.u16(Field::AttentionCode)?);
        reader.finish()?;
        Ok(attention)
    }

    /// The two bytes.
    #[must_use]
    pub fn encode(self) -> Vec<u8> {
        self.0.to_be_bytes().to_vec()
    }
}

impl fmt::Debug for Attention {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Attention({:#06x})", self.0)
    }
}

/// An option's value and where it is.
struct OptionValue<'a> {
    bytes: &'a [u8],
    length_at: usize,
}

impl OptionValue<'_> {
    /// Every option defined so far is a four-byte number.
    fn number(&self) -> Result<u32, DecodeError> {
        let wrong = DecodeError::Length {
            field: Field::OptionValue,
            offset: self.length_at,
            length: self.bytes.len(),
            min: 4,
            max: 4,
        };
        self.bytes.try_into().map(u32::from_be_bytes).map_err(|_| wrong)
    }
}

fn for_each_option(
    payload: &[u8],
    mut option: impl FnMut(u8, &OptionValue<'_>) -> Result<(), DecodeError>,
) -> Result<(), DecodeError> {
    let mut reader = Reader::new(payload);
    while !reader.peek().is_empty() {
        let kind = reader.u8(Field::OptionType)?;
        let length_at = reader.offset();
        let length = reader.u8(Field::OptionLength)?;
        let bytes = reader.bytes(Field::OptionValue, length.into())?;
        option(kind, &OptionValue { bytes, length_at })?;
    }
    Ok(())
}

fn put_option(out: &mut Vec<u8>, kind: u8, value: Option<u32>) {
    if let Some(value) = value {
        out.put_u8(kind);
        out.put_u8(4);
        out.put_u32(value);
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::prop_round_trip;

    #[test]
    fn request_of_capture_02() {
        let wire = hex!("010400000400");
        let options = OpenSessionOptions::decode(&wire).unwrap();
        assert_eq!(options, OpenSessionOptions { attention_quantum: Some(1024) });
        assert_eq!(options.encode(), wire);
    }

    #[test]
    fn reply_of_capture_02() {
        let wire = hex!("000400100000020400000080");
        let reply = OpenSessionReply::decode(&wire).unwrap();
        assert_eq!(reply, OpenSessionReply { request_quantum: Some(1 << 20), replay_cache_size: Some(128) });
        assert_eq!(reply.encode(), wire);
    }

    #[test]
    fn no_options_at_all() {
        assert_eq!(OpenSessionOptions::decode(&[]), Ok(OpenSessionOptions::default()));
        assert_eq!(OpenSessionReply::decode(&[]), Ok(OpenSessionReply::default()));
    }

    #[test]
    fn unknown_options_are_skipped() {
        let options = OpenSessionOptions::decode(&hex!("7f00 0303aabbcc 010400000002")).unwrap();
        assert_eq!(options.attention_quantum, Some(2));
    }

    /// Rule 5, CVE-2018-1160: the length byte of option 1 once was the length of a copy.
    #[test]
    fn rule_5_cve_2018_1160_attention_quantum_of_wrong_length() {
        for length in [0, 1, 3, 5, 255_u8] {
            let mut payload = vec![1, length];
            payload.resize(2 + usize::from(length), 0);
            let wanted =
                DecodeError::Length { field: Field::OptionValue, offset: 1, length: length.into(), min: 4, max: 4 };
            assert_eq!(OpenSessionOptions::decode(&payload), Err(wanted));
        }
    }

    /// Rule 5, CVE-2018-1160: nor may any option, known or not, run past the payload.
    #[test]
    fn rule_5_cve_2018_1160_option_past_the_end() {
        for payload in
            [&hex!("01")[..], &hex!("0104000000"), &hex!("01ff00000400"), &hex!("7f01"), &hex!("010400000400 01")]
        {
            let error = OpenSessionOptions::decode(payload).unwrap_err();
            assert!(matches!(error, DecodeError::Truncated { .. }), "{error}");
        }
    }

    /// Rule 5, CVE-2026-44075: a server's option from a client is none of ours and changes nothing read before it.
    #[test]
    fn rule_5_cve_2026_44075_no_fall_through_between_options() {
        for payload in [hex!("010400000400 000400000009"), hex!("000400000009 010400000400")] {
            assert_eq!(OpenSessionOptions::decode(&payload).unwrap().attention_quantum, Some(1024));
        }
    }

    #[test]
    fn cut_at_every_length_and_one_byte_too_many() {
        let wire = hex!("000400100000020400000080");
        for length in (1..12).filter(|length| *length != 6) {
            assert!(
                matches!(OpenSessionReply::decode(&wire[..length]), Err(DecodeError::Truncated { .. })),
                "{length}"
            );
        }
        // After six bytes there is one whole option, which is a whole message.
        assert_eq!(OpenSessionReply::decode(&wire[..6]).unwrap().replay_cache_size, None);
        assert!(OpenSessionReply::decode(&[&wire[..], &[0]].concat()).is_err());
    }

    #[test]
    fn attention_of_capture_03() {
        assert_eq!(Attention::decode(&hex!("8000")), Ok(Attention::SHUTDOWN));
        assert_eq!(Attention::SHUTDOWN.encode(), hex!("8000"));
        assert_eq!(Attention::SHUTDOWN.with_minutes(5), Attention(0x8005));
        assert_eq!(Attention(0xA00A).minutes(), 10);
        assert!(Attention::decode(&[]).is_err() && Attention::decode(&[0x80]).is_err());
        assert_eq!(Attention::decode(&hex!("800000")), Err(DecodeError::Trailing { offset: 2, extra: 1 }));
    }

    proptest! {
        #[test]
        fn round_trips(attention_quantum: Option<u32>, request_quantum: Option<u32>, replay_cache_size: Option<u32>, code: u16) {
            let options = OpenSessionOptions { attention_quantum };
            prop_round_trip!(OpenSessionOptions::decode, options);
            let reply = OpenSessionReply { request_quantum, replay_cache_size };
            prop_round_trip!(OpenSessionReply::decode, reply);
            prop_round_trip!(Attention::decode, Attention(code));
        }
    }
}
