//! What was recorded between our client and our server (`captures/ours`, by `interop/capture.sh`): every proof in it computed again, and
//! the login scenes beside those recorded with Netatalk 4.5.1.
//!
//! This needs no server. It holds as long as the files and the specification do.

#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use std::path::{Path, PathBuf};

use conformance::code;
use num_bigint::BigUint;
use testkit::capture::{Capture, Manifest, Secrets};
use testkit::client::{Frame, dsi};
use testkit::slow_srp::{AForm, AfpClientExchange};

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../captures")
}

/// Cuts a stream into frames, by hand; they must be the same bytes put together again.
fn frames(stream: &[u8]) -> Vec<Frame> {
    let mut rest = stream;
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let word = |at: usize| <[u8; 4]>::try_from(&rest[at..at + 4]).unwrap();
        let end = 16 + usize::try_from(u32::from_be_bytes(word(8))).unwrap();
        let frame = Frame {
            flags: rest[0],
            command: rest[1],
            id: u16::from_be_bytes([rest[2], rest[3]]),
            code: i32::from_be_bytes(word(4)),
            reserved: u32::from_be_bytes(word(12)),
            payload: rest[16..end].to_vec(),
        };
        assert_eq!(frame.bytes(), rest[..end]);
        frames.push(frame);
        rest = &rest[end..];
    }
    frames
}

/// The specification, "Cryptographic Operations": A, M1 and M2 follow from name, password, challenge and a.
#[test]
fn every_proof_in_ours_computed_again() {
    let folder = captures().join("ours");
    let mut proofs = 0;
    for entry in Manifest::read(&folder).unwrap().capture {
        let capture = Capture::read(&folder.join(&entry.file)).unwrap();
        let mut count = 0;
        for connection in &capture.connections {
            let (requests, replies) = (frames(&connection.from_client), frames(&connection.from_server));
            count += requests.len() + replies.len();
            let Some(proof) = requests.iter().find(|call| call.payload.first() == Some(&0x13)) else { continue };
            let Secrets::Keyed { user, password, a } = &entry.secrets else { panic!("{}: secrets?", entry.file) };
            let a = BigUint::parse_bytes(a.as_bytes(), 16).unwrap().to_bytes_be();
            let challenge = replies.iter().find(|reply| reply.code == code::AUTH_CONTINUE).unwrap();
            let exchange = AfpClientExchange::answer(
                user.as_bytes(),
                password.as_bytes(),
                &challenge.payload,
                &a,
                AForm::SPECIFICATION,
            )
            .unwrap();
            assert_eq!(proof.payload[8..200], exchange.a_pub, "{}: A", entry.file);
            assert_eq!(proof.payload[202..222], exchange.m1, "{}: M1", entry.file);
            let answer = replies.iter().find(|reply| reply.flags == 1 && reply.id == proof.id).unwrap();
            match answer.code {
                code::NO_ERR => assert_eq!(answer.payload[4..], exchange.m2, "{}: M2", entry.file),
                other => assert_eq!(other, code::SRP_PROOF_FAILED, "{}", entry.file),
            }
            proofs += 1;
        }
        assert_eq!(count, entry.frames, "{}: number of frames", entry.file);
    }
    assert_eq!(proofs, 3);
}

/// The same scene, the same answers: what a client is told in its login, by command, result and length. Netatalk leaves out 0001 for a name
/// that is no user of its system (docs/netatalk-differences.md, `unknown-user`).
#[test]
fn the_scenes_are_those_of_netatalk() {
    let told = |file: PathBuf| -> Vec<(u8, i32, usize)> {
        let capture = Capture::read(&file).unwrap();
        let login = capture.connections.iter().map(|connection| frames(&connection.from_server));
        let login = login.filter(|replies| replies.iter().any(|reply| reply.command == dsi::OPEN_SESSION));
        let calls = login.flatten().map(|reply| (reply.command, reply.code, reply.payload.len()));
        // What clients ask after a login is theirs to choose: up to the end of the login, then.
        let mut calls: Vec<_> = calls.collect();
        if let Some(at) = calls.iter().position(|(command, code, _)| (*command, *code) == (dsi::COMMAND, code::NO_ERR))
        {
            calls.truncate(at + 1);
        }
        calls
    };
    for (ours, theirs) in [
        ("02_srp_login_ok", "02_srp_login_ok_netatalk-client"),
        ("03_srp_wrong_password", "03_srp_wrong_password_netatalk-client"),
        ("05_srp_disabled_user", "05_srp_user_without_verifier_netatalk-client"),
        ("09_srp_login_ok_carol_5_letters", "09_srp_login_ok_carol_5_letters_netatalk-client"),
    ] {
        let (ours, theirs) =
            (captures().join("ours").join(ours).with_extension("pcap"), captures().join(format!("{theirs}.pcap")));
        assert_eq!(told(ours), told(theirs.clone()), "{}", theirs.display());
    }
    let unknown = told(captures().join("ours/04_srp_unknown_user.pcap"));
    assert_eq!(unknown, told(captures().join("ours/05_srp_disabled_user.pcap")));
    let theirs = told(captures().join("04_srp_unknown_user_netatalk-client.pcap"));
    assert_eq!((unknown[1], theirs[1]), ((dsi::COMMAND, -5023, 2), (dsi::COMMAND, -5023, 0)));
}
