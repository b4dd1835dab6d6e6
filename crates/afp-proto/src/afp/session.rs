//! The calls that concern the session itself: server parameters and messages, session tokens, sleep.

use core::fmt;

use bytes::BufMut;

use super::Command;
use crate::error::{DecodeError, EncodeError, Field};
use crate::read::Reader;
use crate::strings::{Hidden, Pascal, WidePascal, put_counted_u32};

/// FPGetSrvrInfo (15): `0f`, perhaps a pad. Normally asked as DSIGetStatus; the answer is the same block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FpGetSrvrInfo {
    /// Whether a pad byte was there, or shall be.
    pub padded: bool,
}

impl FpGetSrvrInfo {
    /// # Errors
    /// [`DecodeError`] if there is more than the command and one pad byte.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        decode_bare(payload, Command::GET_SRVR_INFO).map(|padded| Self { padded })
    }

    /// The message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode_bare(Command::GET_SRVR_INFO, self.padded)
    }
}

/// FPGetSrvrParms (16): `10`, perhaps a pad (netatalk-client sends none, captures 01 and 02).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FpGetSrvrParms {
    /// Whether a pad byte was there, or shall be.
    pub padded: bool,
}

impl FpGetSrvrParms {
    /// # Errors
    /// [`DecodeError`] if there is more than the command and one pad byte.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        decode_bare(payload, Command::GET_SRVR_PARMS).map(|padded| Self { padded })
    }

    /// The message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        encode_bare(Command::GET_SRVR_PARMS, self.padded)
    }
}

/// A volume in [`FpGetSrvrParmsReply`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Volume<'a> {
    /// [`Volume::HAS_PASSWORD`], [`Volume::HAS_CONFIG_INFO`].
    pub flags: u8,
    /// UTF-8 from AFP 3 on.
    pub name: Pascal<'a>,
}

impl Volume<'_> {
    /// The volume has a password of its own.
    pub const HAS_PASSWORD: u8 = 0x80;
    /// Apple II configuration information.
    pub const HAS_CONFIG_INFO: u8 = 0x01;
}

/// The answer to FPGetSrvrParms: `time i32 | count u8 | count × (flags u8 | name)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct FpGetSrvrParmsReply<'a> {
    /// Seconds since 2000-01-01 00:00 UTC.
    pub server_time: i32,
    /// At most 255.
    pub volumes: Vec<Volume<'a>>,
}

impl<'a> FpGetSrvrParmsReply<'a> {
    /// # Errors
    /// [`DecodeError`] if a volume runs past the end or bytes follow the last one.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let server_time = reader.i32(Field::ServerTime)?;
        let mut volumes = Vec::new();
        for _ in 0..reader.u8(Field::VolumeCount)? {
            let flags = reader.u8(Field::VolumeFlags)?;
            volumes.push(Volume { flags, name: reader.pascal(Field::VolumeName)? });
        }
        reader.finish()?;
        Ok(Self { server_time, volumes })
    }

    /// The payload of the reply.
    ///
    /// # Errors
    /// [`EncodeError::TooMany`] if there are more than 255 volumes.
    pub fn encode(&self) -> Result<Vec<u8>, EncodeError> {
        let count = self.volumes.len();
        let too_many = EncodeError::TooMany { field: Field::VolumeCount, count, max: u8::MAX.into() };
        let mut out = Vec::new();
        out.put_i32(self.server_time);
        out.put_u8(u8::try_from(count).map_err(|_| too_many)?);
        for volume in &self.volumes {
            out.put_u8(volume.flags);
            volume.name.encode_into(&mut out);
        }
        Ok(out)
    }
}

/// Which message FPGetSrvrMsg wants; an open number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct MessageType(pub u16);

impl MessageType {
    /// The greeting after a login.
    pub const LOGIN: Self = Self(0);
    /// What an Attention announced.
    pub const SERVER: Self = Self(1);
}

/// FPGetSrvrMsg (38): `26 | pad | type u16 | bitmap u16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FpGetSrvrMsg {
    /// Which message.
    pub message_type: MessageType,
    /// [`FpGetSrvrMsg::MESSAGE`], [`FpGetSrvrMsg::UTF8`].
    pub bitmap: u16,
}

impl FpGetSrvrMsg {
    /// The message is wanted.
    pub const MESSAGE: u16 = 1;
    /// It is wanted, or is, in UTF-8 behind a two-byte count.
    pub const UTF8: u16 = 2;

    /// # Errors
    /// [`DecodeError`] if `payload` is not these six bytes.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = padded(payload, Command::GET_SRVR_MSG)?;
        let message_type = MessageType(reader.u16(Field::MessageType)?);
        let bitmap = reader.u16(Field::Bitmap)?;
        reader.finish()?;
        Ok(Self { message_type, bitmap })
    }

    /// The message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![Command::GET_SRVR_MSG.0, 0];
        out.put_u16(self.message_type.0);
        out.put_u16(self.bitmap);
        out
    }
}

/// The answer to FPGetSrvrMsg: `type u16 | bitmap u16 | text`. The text's count has two bytes if the bitmap has
/// [`FpGetSrvrMsg::UTF8`], one otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FpGetSrvrMsgReply<'a> {
    /// As asked.
    pub message_type: MessageType,
    /// As asked.
    pub bitmap: u16,
    /// At most 255 bytes, whatever the count could say; empty when there is no message.
    pub message: Pascal<'a>,
}

impl<'a> FpGetSrvrMsgReply<'a> {
    /// # Errors
    /// [`DecodeError`] if the text runs past the end, has more than 255 bytes, or is not the end.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let message_type = MessageType(reader.u16(Field::MessageType)?);
        let bitmap = reader.u16(Field::Bitmap)?;
        let offset = reader.offset();
        let message = if bitmap & FpGetSrvrMsg::UTF8 == 0 {
            reader.pascal(Field::MessageText)?
        } else {
            let text = reader.wide_pascal(Field::MessageText)?.as_bytes();
            let length = text.len();
            let long = DecodeError::Length { field: Field::MessageText, offset, length, min: 0, max: Pascal::MAX };
            Pascal::new(text).map_err(|_| long)?
        };
        reader.finish()?;
        Ok(Self { message_type, bitmap, message })
    }

    /// The payload of the reply.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u16(self.message_type.0);
        out.put_u16(self.bitmap);
        if self.bitmap & FpGetSrvrMsg::UTF8 == 0 {
            self.message.encode_into(&mut out);
        } else {
            WidePascal::cut(self.message.as_bytes()).encode_into(&mut out);
        }
        out
    }
}

/// What FPGetSessionToken wants; an open number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TokenType(pub u16);

impl TokenType {
    /// After a login, without a client ID.
    pub const LOGIN_WITHOUT_ID: Self = Self(0);
    /// After a login; deprecated.
    pub const LOGIN_WITH_ID: Self = Self(1);
    /// After a reconnect; deprecated.
    pub const RECONNECT_WITH_ID: Self = Self(2);
    /// After a login. Same ID and another timestamp: the client was restarted.
    pub const LOGIN_WITH_TIME_AND_ID: Self = Self(3);
    /// After a reconnect.
    pub const RECONNECT_WITH_TIME_AND_ID: Self = Self(4);
    /// Wants a credential for the UAM Recon1.
    pub const RECON1_LOGIN: Self = Self(5);
    /// Wants a new credential after a reconnect with Recon1.
    pub const RECON1_RECONNECT_LOGIN: Self = Self(6);
    /// Wants a fresh credential in a session with Recon1.
    pub const RECON1_REFRESH_TOKEN: Self = Self(7);
    /// Wants a Kerberos session key.
    pub const KERBEROS_SESSION_KEY: Self = Self(8);

    /// Whether the request has a client ID behind a four-byte count, and a timestamp between the two.
    const fn layout(self) -> TokenLayout {
        match self.0 {
            1 | 2 => TokenLayout::Id,
            3..=7 => TokenLayout::TimeAndId,
            _ => TokenLayout::Open,
        }
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum TokenLayout {
    Open,
    Id,
    TimeAndId,
}

/// FPGetSessionToken (64): `40 | pad | type u16`, then for types 1 and 2 `ID length u32 | ID`, for types 3 to 7
/// `ID length u32 | timestamp u32 | ID`, for all others nothing that is defined.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct FpGetSessionToken<'a> {
    /// What is wanted.
    pub token_type: TokenType,
    /// Types 3 to 7: the client's choice, new after each of its restarts. 0 in all others.
    pub timestamp: u32,
    /// Types 1 to 5: what the client calls itself; types 6 and 7: its encrypted credential. In types without a defined ID,
    /// whatever bytes follow, unread.
    pub id: &'a [u8],
}

impl<'a> FpGetSessionToken<'a> {
    /// # Errors
    /// [`DecodeError`] if the message ends early, or bytes follow a counted ID.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = padded(payload, Command::GET_SESSION_TOKEN)?;
        let token_type = TokenType(reader.u16(Field::TokenType)?);
        let layout = token_type.layout();
        if layout == TokenLayout::Open {
            return Ok(Self { token_type, timestamp: 0, id: reader.remainder() });
        }
        let length = reader.u32(Field::ClientId)?;
        let timestamp = if layout == TokenLayout::TimeAndId { reader.u32(Field::Timestamp)? } else { 0 };
        let id = reader.bytes(Field::ClientId, length)?;
        reader.finish()?;
        Ok(Self { token_type, timestamp, id })
    }

    /// The message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![Command::GET_SESSION_TOKEN.0, 0];
        out.put_u16(self.token_type.0);
        match self.token_type.layout() {
            TokenLayout::Open => out.extend_from_slice(self.id),
            TokenLayout::Id => put_counted_u32(&mut out, self.id),
            TokenLayout::TimeAndId => {
                // The timestamp stands between count and bytes.
                let mut counted = Vec::new();
                put_counted_u32(&mut counted, self.id);
                let (count, id) = counted.split_at_checked(4).unwrap_or_default();
                out.extend_from_slice(count);
                out.put_u32(self.timestamp);
                out.extend_from_slice(id);
            }
        }
        out
    }
}

impl fmt::Debug for FpGetSessionToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FpGetSessionToken")
            .field("token_type", &self.token_type)
            .field("timestamp", &self.timestamp)
            .field("id", &Hidden(self.id.len()))
            .finish()
    }
}

/// The answer to FPGetSessionToken: `length u32 | token`.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FpGetSessionTokenReply<'a> {
    /// Whoever shows it takes the session over.
    pub token: &'a [u8],
}

impl<'a> FpGetSessionTokenReply<'a> {
    /// # Errors
    /// [`DecodeError`] if the token runs past the end or bytes follow it.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let length = reader.u32(Field::Token)?;
        let token = reader.bytes(Field::Token, length)?;
        reader.finish()?;
        Ok(Self { token })
    }

    /// The payload of the reply.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        put_counted_u32(&mut out, self.token);
        out
    }
}

impl fmt::Debug for FpGetSessionTokenReply<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FpGetSessionTokenReply").field("token", &Hidden(self.token.len())).finish()
    }
}

/// FPDisconnectOldSession (65): `41 | pad | type u16 | length u32 | token`. Answered by a result code.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FpDisconnectOldSession<'a> {
    /// 0.
    pub token_type: TokenType,
    /// From FPGetSessionToken in the session to end.
    pub token: &'a [u8],
}

impl<'a> FpDisconnectOldSession<'a> {
    /// # Errors
    /// [`DecodeError`] if the token runs past the end or bytes follow it.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = padded(payload, Command::DISCONNECT_OLD_SESSION)?;
        let token_type = TokenType(reader.u16(Field::TokenType)?);
        let length = reader.u32(Field::Token)?;
        let token = reader.bytes(Field::Token, length)?;
        reader.finish()?;
        Ok(Self { token_type, token })
    }

    /// The message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![Command::DISCONNECT_OLD_SESSION.0, 0];
        out.put_u16(self.token_type.0);
        put_counted_u32(&mut out, self.token);
        out
    }
}

impl fmt::Debug for FpDisconnectOldSession<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FpDisconnectOldSession")
            .field("token_type", &self.token_type)
            .field("token", &Hidden(self.token.len()))
            .finish()
    }
}

/// FPZzzzz (122): `7a | pad | flags u32`. The client goes to sleep or wakes up.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FpZzzzz {
    /// [`FpZzzzz::SLEEP`], [`FpZzzzz::WAKE`]; 0 is the old style, in which any packet wakes.
    pub flags: u32,
}

impl FpZzzzz {
    /// Good night: no tickles, no timeout, and packets do not wake.
    pub const SLEEP: u32 = 1;
    /// Good morning.
    pub const WAKE: u32 = 2;

    /// # Errors
    /// [`DecodeError`] if `payload` is not these six bytes.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = padded(payload, Command::ZZZZZ)?;
        let flags = reader.u32(Field::Flags)?;
        reader.finish()?;
        Ok(Self { flags })
    }

    /// The message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![Command::ZZZZZ.0, 0];
        out.put_u32(self.flags);
        out
    }
}

/// The answer to FPZzzzz. Apple's reference has none; Mac OS X 10.5 and Netatalk send how long a client may sleep.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FpZzzzzReply {
    /// In hours.
    pub max_sleep_hours: Option<u32>,
}

impl FpZzzzzReply {
    /// # Errors
    /// [`DecodeError`] if `payload` has neither no bytes nor four.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let max_sleep_hours = if payload.is_empty() { None } else { Some(reader.u32(Field::SleepHours)?) };
        reader.finish()?;
        Ok(Self { max_sleep_hours })
    }

    /// The payload of the reply.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        self.max_sleep_hours.map(|hours| hours.to_be_bytes().to_vec()).unwrap_or_default()
    }
}

/// A reader behind `command | pad`; the pad's value is not looked at.
fn padded(payload: &[u8], command: Command) -> Result<Reader<'_>, DecodeError> {
    let mut reader = Reader::new(payload);
    reader.exactly_u8(Field::Command, command.0)?;
    reader.u8(Field::Pad)?;
    Ok(reader)
}

fn decode_bare(payload: &[u8], command: Command) -> Result<bool, DecodeError> {
    let mut reader = Reader::new(payload);
    reader.exactly_u8(Field::Command, command.0)?;
    let padded = reader.optional_pad();
    reader.finish()?;
    Ok(padded)
}

fn encode_bare(command: Command, padded: bool) -> Vec<u8> {
    if padded { vec![command.0, 0] } else { vec![command.0] }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{cut_and_lengthened, prop_round_trip};

    #[test]
    fn bare_calls() {
        // FPGetSrvrParms of capture 01.
        assert_eq!(FpGetSrvrParms::decode(&hex!("10")), Ok(FpGetSrvrParms { padded: false }));
        assert_eq!(FpGetSrvrParms { padded: false }.encode(), hex!("10"));
        assert_eq!(FpGetSrvrParms::decode(&hex!("1000")), Ok(FpGetSrvrParms { padded: true }));
        assert_eq!(FpGetSrvrParms { padded: true }.encode(), hex!("1000"));
        assert_eq!(FpGetSrvrParms::decode(&hex!("100000")), Err(DecodeError::Trailing { offset: 2, extra: 1 }));
        assert!(FpGetSrvrParms::decode(&[]).is_err() && FpGetSrvrParms::decode(&hex!("0f")).is_err());
        for padded in [false, true] {
            assert_eq!(FpGetSrvrInfo::decode(&FpGetSrvrInfo { padded }.encode()), Ok(FpGetSrvrInfo { padded }));
        }
        assert!(FpGetSrvrInfo::decode(&hex!("0f0000")).is_err());
    }

    #[test]
    fn server_parameters_of_capture_01() {
        let wire = hex!("32952462 02 00 057465737432 00 057465737431");
        let reply = FpGetSrvrParmsReply::decode(&wire).unwrap();
        assert_eq!(reply.server_time, 0x3295_2462);
        let names: Vec<_> = reply.volumes.iter().map(|volume| volume.name.as_bytes()).collect();
        assert_eq!(names, [b"test2", b"test1"]);
        assert_eq!(reply.encode().unwrap(), wire);
        cut_and_lengthened(&wire, FpGetSrvrParmsReply::decode);
    }

    #[test]
    fn volumes_are_counted_in_one_byte() {
        let mut reply =
            FpGetSrvrParmsReply { server_time: -1, volumes: vec![Volume { flags: 0x80, name: b"v".into() }; 255] };
        assert_eq!(FpGetSrvrParmsReply::decode(&reply.encode().unwrap()), Ok(reply.clone()));
        reply.volumes.push(Volume { flags: 0, name: Pascal::default() });
        assert_eq!(reply.encode(), Err(EncodeError::TooMany { field: Field::VolumeCount, count: 256, max: 255 }));
    }

    #[test]
    fn server_message_of_capture_01() {
        let wire = hex!("260000000003");
        let call = FpGetSrvrMsg::decode(&wire).unwrap();
        assert_eq!(call, FpGetSrvrMsg { message_type: MessageType::LOGIN, bitmap: 3 });
        assert_eq!(call.encode(), wire);
        cut_and_lengthened(&wire, FpGetSrvrMsg::decode);
        let wire = hex!("000000030000");
        let reply = FpGetSrvrMsgReply::decode(&wire).unwrap();
        assert!(reply.message.is_empty());
        assert_eq!(reply.encode(), wire);
        cut_and_lengthened(&wire, FpGetSrvrMsgReply::decode);
    }

    #[test]
    fn server_message_in_both_forms() {
        for (wire, bitmap) in [(&hex!("0001 0001 02 6869")[..], 1), (&hex!("0001 0003 0002 6869"), 3)] {
            let reply = FpGetSrvrMsgReply::decode(wire).unwrap();
            assert_eq!(reply, FpGetSrvrMsgReply { message_type: MessageType::SERVER, bitmap, message: b"hi".into() });
            assert_eq!(reply.encode(), wire);
            cut_and_lengthened(wire, FpGetSrvrMsgReply::decode);
        }
        let long = [&hex!("0001 0003 0100")[..], &[b'x'; 256]].concat();
        let wanted = DecodeError::Length { field: Field::MessageText, offset: 4, length: 256, min: 0, max: 255 };
        assert_eq!(FpGetSrvrMsgReply::decode(&long), Err(wanted));
    }

    #[test]
    fn session_token_requests_of_every_type() {
        let without_id = hex!("40000000");
        assert_eq!(FpGetSessionToken::decode(&without_id).unwrap().id, &[]);
        for number in [1, 2] {
            let mut wire = hex!("4000 0000 00000003 616263");
            wire[3] = number;
            let call = FpGetSessionToken::decode(&wire).unwrap();
            assert_eq!(call, FpGetSessionToken { token_type: TokenType(number.into()), timestamp: 0, id: b"abc" });
            assert_eq!(call.encode(), wire);
            cut_and_lengthened(&wire, FpGetSessionToken::decode);
        }
        for number in 3..=7 {
            let mut wire = hex!("4000 0000 00000003 01020304 616263");
            wire[3] = number;
            let call = FpGetSessionToken::decode(&wire).unwrap();
            assert_eq!(
                call,
                FpGetSessionToken { token_type: TokenType(number.into()), timestamp: 0x0102_0304, id: b"abc" }
            );
            assert_eq!(call.encode(), wire);
            cut_and_lengthened(&wire, FpGetSessionToken::decode);
        }
        for number in [0, 8, 9, 0xFFFF_u16] {
            let [high, low] = number.to_be_bytes();
            let wire = [0x40, 0, high, low, 0, 0, 0, 0];
            let call = FpGetSessionToken::decode(&wire).unwrap();
            assert_eq!((call.token_type, call.id), (TokenType(number), &[0; 4][..]));
            assert_eq!(call.encode(), wire);
        }
        for length in 0..4 {
            assert!(FpGetSessionToken::decode(&without_id[..length]).is_err());
        }
    }

    #[test]
    fn an_id_longer_than_any_message() {
        let wire = hex!("4000 0003 ffffffff 00000000 61");
        let wanted = DecodeError::Truncated { field: Field::ClientId, offset: 12 };
        assert_eq!(FpGetSessionToken::decode(&wire), Err(wanted));
        assert!(FpDisconnectOldSession::decode(&hex!("4100 0000 ffffffff 61")).is_err());
        assert!(FpGetSessionTokenReply::decode(&hex!("ffffffff 61")).is_err());
    }

    #[test]
    fn tokens() {
        let wire = hex!("00000004 deadbeef");
        let reply = FpGetSessionTokenReply::decode(&wire).unwrap();
        assert_eq!((reply.token, reply.encode()), (&hex!("deadbeef")[..], wire.to_vec()));
        cut_and_lengthened(&wire, FpGetSessionTokenReply::decode);
        let wire = hex!("4100 0000 00000004 deadbeef");
        let call = FpDisconnectOldSession::decode(&wire).unwrap();
        assert_eq!((call.token, call.encode()), (&hex!("deadbeef")[..], wire.to_vec()));
        cut_and_lengthened(&wire, FpDisconnectOldSession::decode);
        assert!(!format!("{call:?} {reply:?}").contains("222"), "a token was printed");
    }

    #[test]
    fn sleep() {
        let wire = hex!("7a00 00000001");
        let call = FpZzzzz::decode(&wire).unwrap();
        assert_eq!((call.flags, call.encode()), (FpZzzzz::SLEEP, wire.to_vec()));
        cut_and_lengthened(&wire, FpZzzzz::decode);
        let wire = hex!("0000000a");
        assert_eq!(FpZzzzzReply::decode(&wire), Ok(FpZzzzzReply { max_sleep_hours: Some(10) }));
        assert_eq!(FpZzzzzReply::decode(&[]), Ok(FpZzzzzReply { max_sleep_hours: None }));
        for wrong in [&wire[..3], &hex!("0000000a00")] {
            assert!(FpZzzzzReply::decode(wrong).is_err());
        }
    }

    proptest! {
        #[test]
        fn server_round_trips(
            server_time: i32, names in vec((any::<u8>(), vec(any::<u8>(), 0..=255)), 0..6), kind: u16, bitmap: u16,
            text in vec(any::<u8>(), 0..=255), hours: Option<u32>, flags: u32,
        ) {
            let volumes = names.iter().map(|(flags, name)| Volume { flags: *flags, name: Pascal::cut(name) }).collect();
            let reply = FpGetSrvrParmsReply { server_time, volumes };
            let wire = reply.encode().unwrap();
            prop_assert_eq!(FpGetSrvrParmsReply::decode(&wire), Ok(reply));
            let call = FpGetSrvrMsg { message_type: MessageType(kind), bitmap };
            prop_round_trip!(FpGetSrvrMsg::decode, call);
            let reply = FpGetSrvrMsgReply { message_type: MessageType(kind), bitmap, message: Pascal::cut(&text) };
            prop_round_trip!(FpGetSrvrMsgReply::decode, reply);
            prop_assert_eq!(FpZzzzz::decode(&FpZzzzz { flags }.encode()), Ok(FpZzzzz { flags }));
            let reply = FpZzzzzReply { max_sleep_hours: hours };
            prop_round_trip!(FpZzzzzReply::decode, reply);
        }

        #[test]
        fn token_round_trips(number in 0..10_u16, timestamp: u32, bytes in vec(any::<u8>(), 0..300)) {
            let token_type = TokenType(number);
            let timestamp = if (3..=7).contains(&number) { timestamp } else { 0 };
            let call = FpGetSessionToken { token_type, timestamp, id: &bytes };
            prop_round_trip!(FpGetSessionToken::decode, call);
            let reply = FpGetSessionTokenReply { token: &bytes };
            prop_round_trip!(FpGetSessionTokenReply::decode, reply);
            let call = FpDisconnectOldSession { token_type, token: &bytes };
            prop_round_trip!(FpDisconnectOldSession::decode, call);
        }
    }
}
