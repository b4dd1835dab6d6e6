//! Cuts a byte stream into frames.

use bytes::{Buf, BytesMut};

use super::frame::{Frame, FrameError, HEADER_LEN, Header};

/// Takes bytes as they come and gives back whole frames.
///
/// A header is judged as soon as its 16 bytes are there, before anything is set aside for the payload it announces, so the
/// memory used is never more than what was pushed. After an error the stream has no next frame: the framer drops what it
/// holds, ignores what is pushed, and repeats the error.
#[derive(Debug)]
pub struct Framer {
    payload_limit: u32,
    buffer: BytesMut,
    broken: Option<FrameError>,
}

impl Framer {
    /// `payload_limit`: the longest payload accepted, in bytes. Before login 4 KiB is ample (the longest honest login frame
    /// is an FPLoginExt of some 300 bytes, or an FPLoginCont of 222 with a 1536-bit group, 542 with 4096 bits).
    #[must_use]
    pub fn new(payload_limit: u32) -> Self {
        Self { payload_limit, buffer: BytesMut::new(), broken: None }
    }

    /// For the frames not yet taken out.
    pub const fn set_payload_limit(&mut self, payload_limit: u32) {
        self.payload_limit = payload_limit;
    }

    /// Bytes from the peer, in order, in pieces of any size.
    pub fn push(&mut self, bytes: &[u8]) {
        if self.broken.is_none() {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next whole frame, or `None` until more bytes come.
    ///
    /// # Errors
    /// [`FrameError`]; close the connection.
    pub fn next_frame(&mut self) -> Result<Option<Frame>, FrameError> {
        if let Some(error) = self.broken {
            return Err(error);
        }
        let Some(head) = self.buffer.first_chunk::<HEADER_LEN>() else { return Ok(None) };
        let checked = Header::decode(head)
            .map_err(FrameError::Header)
            .and_then(|header| header.check(self.payload_limit).map(|()| header));
        let header = match checked {
            Ok(header) => header,
            Err(error) => {
                self.broken = Some(error);
                self.buffer = BytesMut::new();
                return Err(error);
            }
        };
        // A frame that does not fit into the address space can never be whole.
        let whole = usize::try_from(header.length).ok().and_then(|length| length.checked_add(HEADER_LEN));
        match whole {
            Some(whole) if whole <= self.buffer.len() => {
                let mut payload = self.buffer.split_to(whole);
                payload.advance(HEADER_LEN);
                // What is left shares its memory with the frame just taken, which may be large or long gone. A copy that is
                // shorter than that frame costs less than the frame did.
                if self.buffer.len() <= whole {
                    self.buffer = BytesMut::from(self.buffer.as_ref());
                }
                Ok(Some(Frame { header, payload: payload.freeze() }))
            }
            _ => Ok(None),
        }
    }

    /// How many bytes wait for the rest of their frame.
    #[must_use]
    pub fn buffered(&self) -> usize {
        self.buffer.len()
    }

    /// The bytes that wait for the rest of their frame, for whoever takes the connection over.
    #[must_use]
    pub fn remaining_bytes(&self) -> &[u8] {
        &self.buffer
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use hex_literal::hex;
    use proptest::prelude::*;

    use super::*;
    use crate::dsi::{Command, Kind};
    use crate::error::{DecodeError, Field};

    const LIMIT: u32 = 4096;

    fn header(command: Command, code_or_offset: u32, length: u32) -> [u8; HEADER_LEN] {
        Header { kind: Kind::Request, command, request_id: 1, code_or_offset, length, reserved: 0 }.encode()
    }

    fn first_frame(bytes: &[u8]) -> Result<Option<Frame>, FrameError> {
        let mut framer = Framer::new(LIMIT);
        framer.push(bytes);
        framer.next_frame()
    }

    /// Capture 03: three frames in a row, the last one cut.
    #[test]
    fn several_frames_in_one_push() {
        let wire = hex!(
            "01020003ffffe59e0000000000000000"
            "000800000000000000000002000000008000"
            "0001000100000000000000000000"
        );
        let mut framer = Framer::new(LIMIT);
        framer.push(&wire);
        assert_eq!(framer.next_frame().unwrap().unwrap().header.command, Command::COMMAND);
        let attention = framer.next_frame().unwrap().unwrap();
        assert_eq!((attention.header.command, &*attention.payload), (Command::ATTENTION, &hex!("8000")[..]));
        assert_eq!(framer.next_frame(), Ok(None));
        assert_eq!((framer.buffered(), framer.remaining_bytes()), (14, &wire[34..]));
        framer.push(&[0, 0]);
        assert_eq!(framer.next_frame().unwrap().unwrap().header.command, Command::CLOSE_SESSION);
        assert_eq!(framer.buffered(), 0);
    }

    /// Rule 1, CVE-2026-62320: a frame over the limit is never cut to size, which would let the rest of it pass for frames.
    #[test]
    fn rule_1_cve_2026_62320_oversize_frame_with_frames_inside() {
        let mut wire = header(Command::COMMAND, 0, LIMIT + 16).to_vec();
        wire.resize(HEADER_LEN + LIMIT as usize, 0);
        wire.extend_from_slice(&header(Command::TICKLE, 0, 0));
        let mut framer = Framer::new(LIMIT);
        framer.push(&wire);
        let wanted = FrameError::PayloadTooLong { length: LIMIT + 16, limit: LIMIT };
        assert_eq!(framer.next_frame(), Err(wanted));
        assert_eq!(framer.buffered(), 0);
        framer.push(&header(Command::TICKLE, 0, 0));
        assert_eq!(framer.next_frame(), Err(wanted), "the framer must stay broken");
        assert_eq!(framer.buffered(), 0);
    }

    #[test]
    fn rule_1_the_limit_itself_is_allowed() {
        let mut wire = header(Command::COMMAND, 0, LIMIT).to_vec();
        wire.resize(HEADER_LEN + LIMIT as usize, 0);
        assert_eq!(first_frame(&wire).unwrap().unwrap().payload.len(), LIMIT as usize);
        let wanted = FrameError::PayloadTooLong { length: LIMIT + 1, limit: LIMIT };
        assert_eq!(first_frame(&header(Command::COMMAND, 0, LIMIT + 1)), Err(wanted));
    }

    #[test]
    fn nothing_is_set_aside_for_an_announced_payload() {
        let mut framer = Framer::new(u32::MAX);
        framer.push(&header(Command::COMMAND, 0, u32::MAX));
        assert_eq!(framer.next_frame(), Ok(None));
        assert!(framer.buffer.capacity() < 4096, "{}", framer.buffer.capacity());
    }

    #[test]
    fn nothing_is_kept_of_a_frame_that_was_taken() {
        let mut framer = Framer::new(1 << 20);
        let wire = [Frame::request(Command::COMMAND, 1, vec![0; 1 << 20]).encode().as_ref(), &[0, 5]].concat();
        framer.push(&wire);
        assert!(framer.next_frame().unwrap().is_some());
        assert_eq!(framer.remaining_bytes(), [0, 5]);
        assert!(framer.buffer.capacity() < 64, "{}", framer.buffer.capacity());
    }

    #[test]
    fn a_raised_limit_holds_from_the_next_frame_on() {
        let mut framer = Framer::new(4);
        framer.push(&Frame::request(Command::COMMAND, 1, &b"four"[..]).encode());
        framer.push(&Frame::request(Command::COMMAND, 2, &b"longer"[..]).encode());
        assert!(framer.next_frame().unwrap().is_some());
        framer.set_payload_limit(6);
        assert_eq!(framer.next_frame().unwrap().unwrap().header.request_id, 2);
    }

    /// Rule 2, CVE-2026-62319 (offset past the payload) and CVE-2021-31439 (offset past the buffer): refused at the header.
    #[test]
    fn rule_2_cve_2026_62319_cve_2021_31439_write_offset_beyond_payload() {
        for offset in [21, LIMIT, LIMIT + 1, u32::MAX] {
            let wanted = FrameError::WriteOffsetBeyondPayload { offset, length: 20 };
            assert_eq!(first_frame(&header(Command::WRITE, offset, 20)), Err(wanted));
        }
        let exact = [header(Command::WRITE, 20, 20).as_slice(), &[0; 20]].concat();
        assert_eq!(first_frame(&exact).unwrap().unwrap().call_and_data().unwrap().1, Bytes::new());
    }

    /// Rule 3, CVE-2026-45354: outside DSIWrite the offset field has no meaning at all.
    #[test]
    fn rule_3_cve_2026_45354_offset_on_other_commands_is_ignored() {
        for command in (0..=255).map(Command).filter(|command| *command != Command::WRITE) {
            for offset in [1, 4, 5, 65_535, u32::MAX] {
                let mut framer = Framer::new(LIMIT);
                framer.push(&header(command, offset, 4));
                framer.push(b"call");
                framer.push(&header(Command::TICKLE, 0, 0));
                let frame = framer.next_frame().unwrap().unwrap();
                assert_eq!(frame.call_and_data(), Ok((Bytes::from_static(b"call"), Bytes::new())));
                assert_eq!(framer.next_frame().unwrap().unwrap().header.command, Command::TICKLE);
            }
        }
    }

    /// Rule 4, CVE-2022-43634 and CVE-2026-44060: offset and length that do not fit together, the rule for 0 included.
    #[test]
    fn rule_4_cve_2022_43634_cve_2026_44060_write_shorter_than_its_offset() {
        for (offset, length) in [(0, 0), (0, 11), (1, 0), (13, 12)] {
            let error = first_frame(&header(Command::WRITE, offset, length)).unwrap_err();
            assert!(matches!(error, FrameError::WriteOffsetBeyondPayload { .. }), "{offset} {length}: {error}");
        }
    }

    #[test]
    fn first_byte_neither_request_nor_reply() {
        let mut wire = header(Command::COMMAND, 0, 0);
        wire[0] = 2;
        let wanted = FrameError::Header(DecodeError::Value { field: Field::DsiFlags, offset: 0, value: 2 });
        assert_eq!(first_frame(&wire), Err(wanted));
    }

    fn frames() -> impl Strategy<Value = Vec<Frame>> {
        let frame = (any::<bool>(), 0..=9_u8, any::<u16>(), any::<u32>(), prop::collection::vec(any::<u8>(), 0..40));
        let frame = frame.prop_map(|(reply, command, id, word, payload)| match (reply, Command(command)) {
            (true, command) => Frame::reply(command, id, crate::ResultCode::from_wire(word), payload),
            (false, Command::WRITE) if payload.len() < 12 => Frame::request(Command::COMMAND, id, payload),
            (false, Command::WRITE) => Frame::write_request(id, word % 12, payload),
            (false, command) => Frame::request(command, id, payload),
        });
        prop::collection::vec(frame, 0..6)
    }

    proptest! {
        /// The same frames come out wherever the stream is cut into pieces.
        #[test]
        fn pieces_do_not_matter(frames in frames(), sizes in prop::collection::vec(1..50_usize, 1..8)) {
            let mut wire = BytesMut::new();
            for frame in &frames {
                frame.encode_into(&mut wire);
            }
            let mut framer = Framer::new(LIMIT);
            let mut decoded = Vec::new();
            let mut left = &wire[..];
            for size in sizes.iter().cycle() {
                if left.is_empty() {
                    break;
                }
                let (piece, rest) = left.split_at((*size).min(left.len()));
                left = rest;
                framer.push(piece);
                while let Some(frame) = framer.next_frame().unwrap() {
                    decoded.push(frame);
                }
            }
            prop_assert_eq!(decoded, frames);
            prop_assert_eq!(framer.buffered(), 0);
        }
    }
}
