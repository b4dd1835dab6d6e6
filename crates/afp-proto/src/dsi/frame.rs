//! One frame: header and payload.

use core::fmt;

use bytes::{BufMut, Bytes, BytesMut};

use crate::error::{DecodeError, Field};
use crate::read::Reader;
use crate::result_code::ResultCode;
use crate::strings::Hidden;

/// Bytes in a DSI header.
pub const HEADER_LEN: usize = 16;

/// What a write offset of 0 means in DSIWrite: 12, the length of an FPWrite. AppleShare Client 3.7 leaves it out.
pub const WRITE_OFFSET_WHEN_ZERO: u32 = 12;

/// A DSI command, an open number: what has no name here survives and prints as hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Command(pub u8);

impl Command {
    /// Either side ends the session; never answered.
    pub const CLOSE_SESSION: Self = Self(1);
    /// An AFP call.
    pub const COMMAND: Self = Self(2);
    /// Asks for the server information block; the server closes the connection after its reply.
    pub const GET_STATUS: Self = Self(3);
    /// Begins a session.
    pub const OPEN_SESSION: Self = Self(4);
    /// "Still here", from either side; never answered.
    pub const TICKLE: Self = Self(5);
    /// An AFP call that carries file data: FPWrite, FPWriteExt, FPAddIcon.
    pub const WRITE: Self = Self(6);
    /// The server has something to say.
    pub const ATTENTION: Self = Self(8);

    /// The protocol's name, if the number has one.
    #[must_use]
    pub const fn name(self) -> Option<&'static str> {
        Some(match self {
            Self::CLOSE_SESSION => "DSICloseSession",
            Self::COMMAND => "DSICommand",
            Self::GET_STATUS => "DSIGetStatus",
            Self::OPEN_SESSION => "DSIOpenSession",
            Self::TICKLE => "DSITickle",
            Self::WRITE => "DSIWrite",
            Self::ATTENTION => "DSIAttention",
            _ => return None,
        })
    }
}

impl fmt::Display for Command {
    /// `DSIOpenSession`, or `DSI command 0x07`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "DSI command {:#04x}", self.0),
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// The first byte of the header.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// 0x00
    Request,
    /// 0x01
    Reply,
}

/// The 16 bytes in front of every payload; all numbers big-endian on the wire.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Header {
    /// Request or reply.
    pub kind: Kind,
    /// A reply repeats its request's command.
    pub command: Command,
    /// A reply repeats its request's ID; each side counts its own requests.
    pub request_id: u16,
    /// A reply's result code; a DSIWrite request's write offset; in all other requests without meaning.
    pub code_or_offset: u32,
    /// Bytes of payload behind the header.
    pub length: u32,
    /// 0 when sent, ignored when received.
    pub reserved: u32,
}

impl Header {
    /// # Errors
    /// [`DecodeError::Truncated`] or [`DecodeError::Trailing`] if `bytes` are not 16; [`DecodeError::Value`] if the first
    /// byte is neither 0 nor 1.
    pub fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(bytes);
        let kind = match reader.u8(Field::DsiFlags)? {
            0 => Kind::Request,
            1 => Kind::Reply,
            flags => return Err(DecodeError::Value { field: Field::DsiFlags, offset: 0, value: flags.into() }),
        };
        let header = Self {
            kind,
            command: Command(reader.u8(Field::DsiCommand)?),
            request_id: reader.u16(Field::RequestId)?,
            code_or_offset: reader.u32(Field::CodeOrOffset)?,
            length: reader.u32(Field::DataLength)?,
            reserved: reader.u32(Field::Reserved)?,
        };
        reader.finish()?;
        Ok(header)
    }

    /// The 16 bytes.
    #[must_use]
    pub fn encode(&self) -> [u8; HEADER_LEN] {
        let mut bytes = [0; HEADER_LEN];
        let mut out = bytes.as_mut_slice();
        out.put_u8(match self.kind {
            Kind::Request => 0,
            Kind::Reply => 1,
        });
        out.put_u8(self.command.0);
        out.put_u16(self.request_id);
        out.put_u32(self.code_or_offset);
        out.put_u32(self.length);
        out.put_u32(self.reserved);
        bytes
    }

    /// Where a DSIWrite's file data begin in its payload, the rule for 0 applied. `None` for every other frame: its offset
    /// field has no meaning and must not get one (CVE-2026-45354).
    #[must_use]
    pub const fn write_offset(&self) -> Option<u32> {
        match (self.kind, self.command, self.code_or_offset) {
            (Kind::Request, Command::WRITE, 0) => Some(WRITE_OFFSET_WHEN_ZERO),
            (Kind::Request, Command::WRITE, offset) => Some(offset),
            _ => None,
        }
    }

    /// A frame's own rules, checked before its payload is waited for.
    pub(super) fn check(&self, payload_limit: u32) -> Result<(), FrameError> {
        if self.length > payload_limit {
            return Err(FrameError::PayloadTooLong { length: self.length, limit: payload_limit });
        }
        match self.write_offset() {
            Some(offset) if offset > self.length => {
                Err(FrameError::WriteOffsetBeyondPayload { offset, length: self.length })
            }
            _ => Ok(()),
        }
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} {} id {} length {}", self.kind, self.command, self.request_id, self.length)?;
        match self.kind {
            Kind::Reply => write!(f, " result {}", ResultCode::from_wire(self.code_or_offset)),
            Kind::Request => write!(f, " offset {}", self.code_or_offset),
        }
    }
}

/// A header and its payload. Cheap to clone.
#[derive(Clone, PartialEq, Eq)]
pub struct Frame {
    /// [`Header::length`] is kept for the reader; the encoder counts the payload.
    pub header: Header,
    /// What follows the header.
    pub payload: Bytes,
}

impl Frame {
    /// A request other than DSIWrite.
    #[must_use]
    pub fn request(command: Command, request_id: u16, payload: impl Into<Bytes>) -> Self {
        Self::new(Kind::Request, command, request_id, 0, payload.into())
    }

    /// A DSIWrite: `offset` bytes of AFP call, then the data.
    #[must_use]
    pub fn write_request(request_id: u16, offset: u32, payload: impl Into<Bytes>) -> Self {
        Self::new(Kind::Request, Command::WRITE, request_id, offset, payload.into())
    }

    /// The answer to the request with this command and ID.
    #[must_use]
    pub fn reply(command: Command, request_id: u16, result: ResultCode, payload: impl Into<Bytes>) -> Self {
        Self::new(Kind::Reply, command, request_id, result.to_wire(), payload.into())
    }

    fn new(kind: Kind, command: Command, request_id: u16, code_or_offset: u32, payload: Bytes) -> Self {
        let length = countable(&payload);
        Self { header: Header { kind, command, request_id, code_or_offset, length, reserved: 0 }, payload }
    }

    /// The result code of a reply; of a request, the offset field read as one, which means nothing.
    #[must_use]
    pub const fn result(&self) -> ResultCode {
        ResultCode::from_wire(self.header.code_or_offset)
    }

    /// The AFP call and, for a DSIWrite, the data behind it. Every other frame is all call, whatever its offset field says.
    ///
    /// # Errors
    /// [`FrameError::WriteOffsetBeyondPayload`], which a frame out of a [`Framer`](super::Framer) cannot have.
    pub fn call_and_data(&self) -> Result<(Bytes, Bytes), FrameError> {
        let Some(offset) = self.header.write_offset() else {
            return Ok((self.payload.clone(), Bytes::new()));
        };
        let length = countable(&self.payload);
        match usize::try_from(offset) {
            Ok(at) if offset <= length => {
                let mut call = self.payload.clone();
                let data = call.split_off(at);
                Ok((call, data))
            }
            _ => Err(FrameError::WriteOffsetBeyondPayload { offset, length }),
        }
    }

    /// Whether a client may send this frame at all: replies only to Attention, the one thing a server asks. A server drops
    /// what fails, and keeps the session.
    ///
    /// # Errors
    /// [`FrameError::ReplyFromClient`].
    pub const fn check_from_client(&self) -> Result<(), FrameError> {
        match (self.header.kind, self.header.command) {
            (Kind::Request, _) | (Kind::Reply, Command::ATTENTION) => Ok(()),
            (Kind::Reply, command) => Err(FrameError::ReplyFromClient { command }),
        }
    }

    /// Header and payload as one buffer.
    #[must_use]
    pub fn encode(&self) -> Bytes {
        let mut out = BytesMut::with_capacity(HEADER_LEN.saturating_add(self.payload.len()));
        self.encode_into(&mut out);
        out.freeze()
    }

    /// Header and payload at the end of `out`. The header's length is the payload's; a payload that DSI cannot count (4 GiB
    /// and more) is cut there, so that the stream stays in step.
    pub fn encode_into(&self, out: &mut BytesMut) {
        let length = countable(&self.payload);
        out.extend_from_slice(&Header { length, ..self.header }.encode());
        let payload = usize::try_from(length).ok().and_then(|length| self.payload.get(..length));
        out.extend_from_slice(payload.unwrap_or(&self.payload));
    }
}

impl fmt::Debug for Frame {
    /// Without the payload: it may hold a password.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Frame").field("header", &self.header).field("payload", &Hidden(self.payload.len())).finish()
    }
}

/// A frame that breaks a rule. After any of them but [`FrameError::ReplyFromClient`] nobody knows where the next frame
/// begins: close the connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// The header itself: the first byte is neither request nor reply.
    #[error("not a DSI header: {0}")]
    Header(DecodeError),
    /// The announced payload is longer than was allowed.
    #[error("the frame announces {length} bytes of payload, allowed are {limit}")]
    PayloadTooLong {
        /// What the header says, in bytes.
        length: u32,
        /// What was allowed, in bytes.
        limit: u32,
    },
    /// A DSIWrite's data begin after its end.
    #[error("the DSIWrite has its data at byte {offset} of a payload of {length} bytes")]
    WriteOffsetBeyondPayload {
        /// The write offset, the rule for 0 applied.
        offset: u32,
        /// Bytes of payload.
        length: u32,
    },
    /// A client answered something that nobody asked.
    #[error("the client sent a reply to {command}, which a server never requests")]
    ReplyFromClient {
        /// The command it answers.
        command: Command,
    },
}

/// How many bytes of a payload the header can count.
fn countable(payload: &Bytes) -> u32 {
    u32::try_from(payload.len()).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::prop_round_trip;

    /// Capture 02: the header of the reply to FPLoginExt.
    const LOGIN_EXT_REPLY: [u8; 16] = hex!("01020002ffffec770000019d00000000");

    #[test]
    fn header_of_capture_02() {
        let header = Header::decode(&LOGIN_EXT_REPLY).unwrap();
        assert_eq!(header.kind, Kind::Reply);
        assert_eq!(header.command, Command::COMMAND);
        assert_eq!((header.request_id, header.length, header.reserved), (2, 413, 0));
        assert_eq!(ResultCode::from_wire(header.code_or_offset), ResultCode::AUTH_CONTINUE);
        assert_eq!(header.encode(), LOGIN_EXT_REPLY);
    }

    /// The two reply headers printed in the specification (its "unknown user" and "authentication failure" tables).
    #[test]
    fn headers_of_the_specification() {
        let reply = Frame::reply(Command::COMMAND, 2, ResultCode::USER_NOT_AUTH, &hex!("0001")[..]);
        assert_eq!(*reply.encode(), hex!("01020002ffffec610000000200000000 0001"));
        let reply = Frame::reply(Command::COMMAND, 3, ResultCode::SRP_PROOF_FAILED, Bytes::new());
        assert_eq!(*reply.encode(), hex!("01020003ffffe59e0000000000000000"));
    }

    #[test]
    fn header_cut_at_every_length_and_one_byte_too_many() {
        for length in 0..HEADER_LEN {
            let error = Header::decode(&LOGIN_EXT_REPLY[..length]).unwrap_err();
            assert!(matches!(error, DecodeError::Truncated { .. }), "{length}: {error}");
        }
        let long = [LOGIN_EXT_REPLY.as_slice(), &[0]].concat();
        assert_eq!(Header::decode(&long), Err(DecodeError::Trailing { offset: 16, extra: 1 }));
    }

    #[test]
    fn first_byte_is_request_or_reply() {
        for flags in 2..=255 {
            let mut bytes = LOGIN_EXT_REPLY;
            bytes[0] = flags;
            let wanted = DecodeError::Value { field: Field::DsiFlags, offset: 0, value: flags.into() };
            assert_eq!(Header::decode(&bytes), Err(wanted));
        }
    }

    #[test]
    fn write_offset_zero_means_twelve() {
        let frame = Frame::write_request(1, 0, &b"twelve bytesdata"[..]);
        let (call, data) = frame.call_and_data().unwrap();
        assert_eq!((&*call, &*data), (&b"twelve bytes"[..], &b"data"[..]));
        // FPWriteExt of capture 06, offset 20.
        let wire = hex!("0006000f0000001400000017000000003d00020000000000000000000000000000000003766d0a");
        let payload = Bytes::copy_from_slice(&wire[HEADER_LEN..]);
        let frame = Frame::write_request(15, 20, payload);
        assert_eq!(*frame.encode(), wire);
        assert_eq!(&*frame.call_and_data().unwrap().1, b"vm\n");
    }

    /// Rule 4, CVE-2022-43634 and CVE-2026-44060: what is left after the offset is never computed below zero.
    #[test]
    fn rule_4_cve_2022_43634_cve_2026_44060_offset_past_a_hand_made_frame() {
        for (offset, length) in [(1, 0), (13, 12), (u32::MAX, 5), (0, 11)] {
            let frame = Frame::write_request(1, offset, vec![0; length]);
            let error = frame.call_and_data().unwrap_err();
            assert!(matches!(error, FrameError::WriteOffsetBeyondPayload { .. }), "{offset} {length}");
        }
    }

    /// Rule 8: of a client's replies only those to Attention mean anything.
    #[test]
    fn rule_8_replies_from_a_client() {
        for number in 0..=255 {
            let command = Command(number);
            assert_eq!(Frame::request(command, 0, Bytes::new()).check_from_client(), Ok(()));
            let reply = Frame::reply(command, 0, ResultCode::NO_ERR, Bytes::new()).check_from_client();
            if command == Command::ATTENTION {
                assert_eq!(reply, Ok(()));
            } else {
                assert_eq!(reply, Err(FrameError::ReplyFromClient { command }));
            }
        }
    }

    #[test]
    fn debug_shows_no_payload() {
        let frame = Frame::request(Command::COMMAND, 7, &b"secret"[..]);
        let shown = format!("{frame:?}");
        assert!(shown.contains("<6 bytes>") && !shown.contains("secret"), "{shown}");
    }

    proptest! {
        #[test]
        fn header_round_trip(kind in any::<bool>(), command: u8, request_id: u16, code_or_offset: u32, length: u32, reserved: u32) {
            let kind = if kind { Kind::Reply } else { Kind::Request };
            let header = Header { kind, command: Command(command), request_id, code_or_offset, length, reserved };
            prop_round_trip!(Header::decode, header);
        }
    }
}
