//! Any byte stream into the framer: two bytes payload limit, one byte size of the pieces, then the stream.
//!
//! - What comes out does not depend on how the stream was cut into pieces.
//! - The frames' bytes, one after the other, are the stream's.
//! - No frame breaks a rule.
#![no_main]

use afp_proto::dsi::{Attention, Command, Frame, FrameError, Framer, OpenSessionOptions, OpenSessionReply};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some(([high, low, piece], stream)) = input.split_first_chunk() else { return };
    let limit = u32::from(u16::from_be_bytes([*high, *low]));

    let whole = run(limit, stream, stream.len().max(1));
    assert_eq!(whole, run(limit, stream, usize::from(*piece).max(1)));

    let (frames, error, rest) = whole;
    let mut encoded = Vec::new();
    for frame in &frames {
        encoded.extend_from_slice(&frame.encode());
        check(frame, limit);
    }
    if error.is_none() {
        encoded.extend_from_slice(&rest);
        assert_eq!(encoded, stream);
    } else {
        assert!(stream.starts_with(&encoded));
        assert!(rest.is_empty(), "a broken framer keeps nothing");
    }
});

fn run(limit: u32, stream: &[u8], piece: usize) -> (Vec<Frame>, Option<FrameError>, Vec<u8>) {
    let mut framer = Framer::new(limit);
    let mut frames = Vec::new();
    let mut broken = None;
    for bytes in stream.chunks(piece) {
        framer.push(bytes);
        loop {
            match framer.next_frame() {
                Ok(Some(frame)) => frames.push(frame),
                Ok(None) => break,
                Err(error) => {
                    assert!(broken.is_none_or(|first| first == error), "the error changed");
                    broken = Some(error);
                    break;
                }
            }
        }
    }
    (frames, broken, framer.remaining_bytes().to_vec())
}

fn check(frame: &Frame, limit: u32) {
    assert!(frame.header.length <= limit);
    assert_eq!(frame.payload.len(), frame.header.length as usize);
    let (call, data) = frame.call_and_data().expect("checked by the framer");
    assert_eq!([call.clone(), data.clone()].concat(), frame.payload);
    assert!(data.is_empty() || frame.header.command == Command::WRITE);
    if let Ok(options) = OpenSessionOptions::decode(&frame.payload) {
        assert_eq!(OpenSessionOptions::decode(&options.encode()), Ok(options));
    }
    if let Ok(reply) = OpenSessionReply::decode(&frame.payload) {
        assert_eq!(OpenSessionReply::decode(&reply.encode()), Ok(reply));
    }
    if let Ok(attention) = Attention::decode(&frame.payload) {
        assert_eq!(attention.encode(), frame.payload);
    }
}
