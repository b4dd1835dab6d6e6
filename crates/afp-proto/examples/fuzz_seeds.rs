//! Writes first inputs for the targets in `fuzz/`, taken from the captures: `fuzz_seeds CAPTURES CORPUS` makes
//! `CORPUS/<target>/…`.
//! A file's name is made from its content, so that writing twice changes nothing.

use std::collections::hash_map::DefaultHasher;
use std::error::Error;
use std::hash::{Hash, Hasher};
use std::path::Path;

use afp_proto::afp::{self, Command as Afp};
use afp_proto::dsi::{Command, Frame, Framer, Kind};
use afp_proto::srp::INIT;
use testkit::capture::{Capture, Manifest};

fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    let [captures, corpus] = &arguments[..] else { return Err("usage: fuzz_seeds CAPTURES CORPUS".into()) };
    let (captures, corpus) = (Path::new(captures), Path::new(corpus));
    let seed = |target: &str, parts: &[&[u8]]| -> Result<(), Box<dyn Error>> {
        let bytes = parts.concat();
        let mut hasher = DefaultHasher::new();
        bytes.hash(&mut hasher);
        let folder = corpus.join(target);
        std::fs::create_dir_all(&folder)?;
        Ok(std::fs::write(folder.join(format!("seed-{:016x}", hasher.finish())), bytes)?)
    };

    for entry in Manifest::read(captures)?.capture {
        for connection in Capture::read(&captures.join(entry.file))?.connections {
            let (requests, replies) = (frames(&connection.from_client)?, frames(&connection.from_server)?);
            for stream in [&connection.from_client, &connection.from_server] {
                // A limit of 4096 bytes, in pieces of seven.
                seed("framer", &[&[0x10, 0x00, 7], stream])?;
            }
            for signed_in in [0, 1] {
                let pieces: Vec<u8> = connection
                    .from_client
                    .chunks(200)
                    .flat_map(|piece| [&[u8::try_from(piece.len()).unwrap_or(u8::MAX), 1], piece].concat())
                    .collect();
                seed("session", &[&[signed_in], &pieces])?;
            }
            for request in &requests {
                let Some(reply) = replies.iter().find(|reply| {
                    reply.header.kind == Kind::Reply && reply.header.request_id == request.header.request_id
                }) else {
                    continue;
                };
                if request.header.command == Command::GET_STATUS {
                    seed("server_info", &[&reply.payload])?;
                }
                if request.header.command != Command::COMMAND {
                    continue;
                }
                seed("calls", &[&[0], &request.payload])?;
                match request.payload.first().copied().map(afp::Command) {
                    Some(Afp::GET_SRVR_PARMS) => seed("calls", &[&[1], &reply.payload])?,
                    Some(Afp::GET_SRVR_MSG) => seed("calls", &[&[2], &reply.payload])?,
                    Some(Afp::LOGIN_EXT) if reply.payload.len() > 2 => seed("srp_messages", &[&[1], &reply.payload])?,
                    Some(Afp::LOGIN_CONT) => {
                        seed("srp_messages", &[&[3], request.payload.get(4..).unwrap_or_default()])?;
                        seed("srp_messages", &[&[4], &reply.payload])?;
                    }
                    _ => {}
                }
            }
        }
    }
    // What no capture has.
    seed("srp_messages", &[&[0], &INIT])?;
    seed("srp_messages", &[&[0, 0], &INIT])?;
    seed("srp_messages", &[&[2], &INIT])?;
    seed("srp_messages", &[&[5], b"\x05carol", &INIT])?;
    for call in [
        &b"\x25\x01\0\0\0\0\0\x07"[..],
        b"\x15\x03\0\0\x01\xF5",
        b"\x15\x05ABCDEFGHIJKLMNOP",
        b"\x16\x01\0\x02ab",
        b"\x16\x03\x02ab",
        b"\x40\0\0\0",
        b"\x40\0\0\x01\0\0\0\x03abc",
        b"\x40\0\0\x03\0\0\0\x03\x01\x02\x03\x04abc",
        b"\x41\0\0\0\0\0\0\x04\xDE\xAD\xBE\xEF",
        b"\x7A\0\0\0\0\x01",
    ] {
        seed("calls", &[&[0], call])?;
    }
    seed("calls", &[&[3], b"\0\0\0\x04\xDE\xAD\xBE\xEF"])?;
    seed("calls", &[&[4], b"\0\x03\0\0\x01\xF5\0\0\0\x14"])?;
    seed("calls", &[&[5], b"\0\0\0\x0A"])?;
    seed("calls", &[&[7], b"\x02ab"])?;
    seed("calls", &[&[9], b"\0\x02ab"])?;
    seed("calls", &[&[11], b"\0\0\0\x01\0\0\x01\xF5\0\x02ab"])?;
    seed("calls", &[&[15], b"\0\0\x01\xF5"])?;
    seed("calls", &[&[19], b"ABCDEFGHIJKLMNOP"])?;
    Ok(())
}

fn frames(stream: &[u8]) -> Result<Vec<Frame>, Box<dyn Error>> {
    let mut framer = Framer::new(1 << 20);
    framer.push(stream);
    let mut frames = Vec::new();
    while let Some(frame) = framer.next_frame()? {
        frames.push(frame);
    }
    Ok(frames)
}
