//! Every capture in `captures/` and `captures/ours`: each frame, and each message this crate knows, is decoded and must encode
//! to the same bytes again. Where the secrets are known, the proofs are recomputed with testkit's slow SRP.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    reason = "a test stops at the first thing that is not as it should be"
)]

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};

use afp_proto::ResultCode;
use afp_proto::afp::{Call, FpGetSrvrMsgReply, FpGetSrvrParmsReply, FpGetUserInfoReply, FpLoginCont, FpLoginExt};
use afp_proto::dsi::{Attention, Command, Frame, Framer, Kind, OpenSessionOptions, OpenSessionReply};
use afp_proto::server_info::ServerInfo;
use afp_proto::srp::{self, Challenge, ClientProof, InitMarker, ServerProof, UnknownUser};
use serde::Deserialize;
use testkit::capture::{Capture, Connection, Manifest, Secrets};
use testkit::slow_srp::{AForm, AfpClientExchange};

/// How often each kind of message was met, so that a test can say what it has seen.
type Met = BTreeMap<&'static str, usize>;

fn captures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../captures")
}

/// With Netatalk 4.5.1.
#[test]
fn every_frame_and_message_encodes_to_the_same_bytes() {
    let met = replay_folder(&captures());
    // Each of these is in at least one capture; if one is missing here, the replay has stopped looking at it.
    for name in [
        "Attention",
        "Challenge",
        "ClientProof",
        "FPGetSrvrMsg",
        "FPGetSrvrMsg reply",
        "FPGetSrvrParms",
        "FPGetSrvrParms reply",
        "FPLogin",
        "FPLoginCont",
        "FPLoginExt",
        "FPLogout",
        "OpenSessionOptions",
        "OpenSessionReply",
        "ServerInfo",
        "ServerProof",
        "UnknownUser",
        "another call",
        "proof failure",
        "unknown user, empty",
    ] {
        assert!(met.contains_key(name), "no capture has {name}: {met:?}");
    }
}

/// The same scenes with our server, and every message in them one that this crate knows.
#[test]
fn every_frame_and_message_of_ours_encodes_to_the_same_bytes() {
    let met = replay_folder(&captures().join("ours"));
    let expected = [
        ("Attention", 3),
        ("Challenge", 3),
        ("ClientProof", 3),
        ("FPGetSrvrMsg", 2),
        ("FPGetSrvrMsg reply", 2),
        ("FPGetSrvrParms", 2),
        ("FPGetSrvrParms reply", 2),
        ("FPGetUserInfo", 2),
        ("FPGetUserInfo reply", 2),
        ("FPLoginCont", 3),
        ("FPLoginExt", 5),
        ("FPLogout", 2),
        ("OpenSessionOptions", 5),
        ("OpenSessionReply", 5),
        ("ServerInfo", 5),
        ("ServerProof", 2),
        ("UnknownUser", 2),
        ("proof failure", 1),
        ("recomputed proof", 3),
    ];
    assert_eq!(met, Met::from(expected));
}

/// Replays the captures in a folder and says what was met.
fn replay_folder(folder: &Path) -> Met {
    let mut all = Met::new();
    for entry in &Manifest::read(folder).unwrap().capture {
        let capture = Capture::read(&folder.join(&entry.file)).unwrap();
        let mut frames = 0;
        let mut met = Met::new();
        for connection in &capture.connections {
            frames += replay(connection, &entry.secrets, &mut met);
        }
        assert_eq!(frames, entry.frames, "{}: number of frames; it decodes to {met:?}", entry.file);
        let proofs = met.get("ClientProof").copied().unwrap_or_default();
        let keyed = met.get("recomputed proof").copied().unwrap_or_default();
        match entry.secrets {
            Secrets::None => assert_eq!(proofs, 0, "{}: has a proof after all", entry.file),
            Secrets::WireOnly => assert!(proofs > 0, "{}: has no proof", entry.file),
            Secrets::Keyed { .. } => {
                assert!(keyed > 0 && keyed == proofs, "{}: not every proof recomputed", entry.file);
            }
        }
        for (name, count) in met {
            *all.entry(name).or_default() += count;
        }
    }
    all
}

/// Replays one connection and returns how many frames it has.
fn replay(connection: &Connection, secrets: &Secrets, met: &mut Met) -> usize {
    let requests = frames(&connection.from_client);
    let replies = frames(&connection.from_server);
    let mut pending = HashMap::new();
    for frame in &requests {
        assert_eq!(frame.check_from_client(), Ok(()));
        request(frame, met);
        pending.insert(frame.header.request_id, frame);
    }
    let mut login = Login::default();
    let mut replies_in_order: Vec<_> = replies.iter().filter(|frame| frame.header.kind == Kind::Reply).collect();
    replies_in_order.sort_by_key(|frame| frame.header.request_id);
    for frame in replies_in_order {
        let request = pending.remove(&frame.header.request_id).expect("a reply to a request");
        assert_eq!(frame.header.command, request.header.command);
        reply(request, frame, &mut login, secrets, met);
    }
    for frame in replies.iter().filter(|frame| frame.header.kind == Kind::Request) {
        match frame.header.command {
            Command::ATTENTION => {
                assert_eq!(Attention::decode(&frame.payload).unwrap().encode(), frame.payload);
                count(met, "Attention");
            }
            command => {
                assert!(matches!(command, Command::CLOSE_SESSION | Command::TICKLE), "{command} from the server");
            }
        }
    }
    requests.len() + replies.len()
}

/// The frames of a stream, which must be whole and encode to the stream again.
fn frames(stream: &[u8]) -> Vec<Frame> {
    let mut framer = Framer::new(1 << 20);
    framer.push(stream);
    let mut frames = Vec::new();
    let mut encoded = Vec::new();
    while let Some(frame) = framer.next_frame().unwrap() {
        encoded.extend_from_slice(&frame.encode());
        frames.push(frame);
    }
    assert_eq!(framer.buffered(), 0, "half a frame at the end");
    assert_eq!(encoded, stream);
    frames
}

fn request(frame: &Frame, met: &mut Met) {
    let payload = &*frame.payload;
    match frame.header.command {
        Command::OPEN_SESSION => {
            assert_eq!(OpenSessionOptions::decode(payload).unwrap().encode(), payload);
            count(met, "OpenSessionOptions");
        }
        Command::COMMAND | Command::WRITE => {
            let (bytes, _) = frame.call_and_data().unwrap();
            let call = Call::decode(&bytes).unwrap();
            assert_eq!(call.command().0, bytes[0]);
            match call.encode() {
                Some(encoded) => {
                    assert_eq!(encoded, bytes);
                    count(met, call.command().name().unwrap());
                }
                None => count(met, "another call"),
            }
        }
        Command::GET_STATUS | Command::CLOSE_SESSION | Command::TICKLE => assert!(payload.is_empty()),
        other => panic!("{other} from the client"),
    }
}

/// What the replies of a login depend on.
#[derive(Default)]
struct Login {
    uses_srp: bool,
    challenge: Option<Vec<u8>>,
}

fn reply(request: &Frame, frame: &Frame, login: &mut Login, secrets: &Secrets, met: &mut Met) {
    let (payload, result) = (&*frame.payload, frame.result());
    assert!(result.name().is_some(), "{result} has no name");
    match request.header.command {
        Command::GET_STATUS => {
            assert_eq!(ServerInfo::decode(payload).unwrap().encode().unwrap(), payload);
            count(met, "ServerInfo");
            return;
        }
        Command::OPEN_SESSION => {
            assert_eq!(OpenSessionReply::decode(payload).unwrap().encode(), payload);
            count(met, "OpenSessionReply");
            return;
        }
        _ => {}
    }
    let call = request.call_and_data().unwrap().0;
    match Call::decode(&call).unwrap() {
        Call::GetSrvrParms(_) => {
            assert_eq!(FpGetSrvrParmsReply::decode(payload).unwrap().encode().unwrap(), payload);
            count(met, "FPGetSrvrParms reply");
        }
        Call::GetSrvrMsg(_) => {
            assert_eq!(FpGetSrvrMsgReply::decode(payload).unwrap().encode(), payload);
            count(met, "FPGetSrvrMsg reply");
        }
        Call::GetUserInfo(_) => {
            assert_eq!(FpGetUserInfoReply::decode(payload).unwrap().encode(), payload);
            count(met, "FPGetUserInfo reply");
        }
        Call::Logout(_) => assert!(payload.is_empty()),
        Call::LoginExt(call) if call.uam == b"SRP" => {
            login.uses_srp = true;
            srp_first_reply(&call, result, payload, login, met);
        }
        Call::LoginCont(call) if login.uses_srp => srp_second_reply(&call, result, payload, login, secrets, met),
        _ => {}
    }
}

fn srp_first_reply(call: &FpLoginExt<'_>, result: ResultCode, payload: &[u8], login: &mut Login, met: &mut Met) {
    let marker = if call.tail_is_odd() { InitMarker::WithPad } else { InitMarker::WithoutPad };
    assert_eq!(call.srp_init(), Ok(marker));
    assert_eq!(call.user_auth_info(), srp::INIT);
    match (result, payload.len()) {
        (ResultCode::AUTH_CONTINUE, 413) => {
            assert_eq!(Challenge::decode(payload).unwrap().encode(), payload);
            login.challenge = Some(payload.to_vec());
            count(met, "Challenge");
        }
        (ResultCode::USER_NOT_AUTH, 2) => {
            assert_eq!(UnknownUser::decode(payload).unwrap().encode(), payload);
            count(met, "UnknownUser");
        }
        (ResultCode::USER_NOT_AUTH, 0) => count(met, "unknown user, empty"),
        other => panic!("FPLoginExt answered by {other:?}"),
    }
}

fn srp_second_reply(
    call: &FpLoginCont<'_>,
    result: ResultCode,
    payload: &[u8],
    login: &Login,
    secrets: &Secrets,
    met: &mut Met,
) {
    let proof = ClientProof::decode(call.user_auth_info).unwrap();
    assert_eq!(proof.encode(), call.user_auth_info);
    count(met, "ClientProof");
    match result {
        ResultCode::NO_ERR => {
            assert_eq!(ServerProof::decode(payload).unwrap().encode(), payload);
            count(met, "ServerProof");
        }
        ResultCode::SRP_PROOF_FAILED => {
            assert!(payload.is_empty());
            count(met, "proof failure");
        }
        other => panic!("FPLoginCont answered by {other}"),
    }
    if let Secrets::Keyed { user, password, a } = secrets {
        let challenge = login.challenge.as_deref().expect("a challenge before the proof");
        let server = (result == ResultCode::NO_ERR).then_some(payload);
        assert_eq!(recompute(user, password, &unhex(a), challenge, call.user_auth_info, server), Ok(()));
        count(met, "recomputed proof");
    }
}

/// Computes both proofs from the password that the client used and its secret exponent, and compares them with what was
/// sent; a server that refused the proof has sent none of its own. The error names what differs first.
fn recompute(
    user: &str,
    password: &str,
    a: &[u8],
    challenge: &[u8],
    client: &[u8],
    server: Option<&[u8]>,
) -> Result<(), &'static str> {
    let form = AForm::SPECIFICATION;
    let wanted =
        AfpClientExchange::answer(user.as_bytes(), password.as_bytes(), challenge, a, form).ok_or("challenge")?;
    let client = ClientProof::decode(client).unwrap();
    let server = server.map(|payload| ServerProof::decode(payload).unwrap());
    if client.a_pub.as_bytes() != wanted.a_pub {
        return Err("A");
    }
    if client.m1.as_bytes() != wanted.m1 {
        return Err("M1");
    }
    match server {
        Some(proof) if proof.m2.as_bytes() != wanted.m2 => Err("M2"),
        _ => Ok(()),
    }
}

/// A login that Netatalk 4.5.1 accepted, with its secrets.
#[derive(Deserialize)]
struct Transcript {
    name: String,
    user: String,
    password: String,
    salt: String,
    a: String,
    #[serde(rename = "A")]
    a_pub: String,
    #[serde(rename = "B")]
    b_pub: String,
    loginext_request: String,
    loginext_reply: String,
    logincont_request: String,
    logincont_reply: String,
}

fn transcripts() -> Vec<Transcript> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../srp6a/tests/vectors/netatalk-4.5.1-transcripts.json");
    serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap()
}

#[test]
fn keyed_exchanges_with_netatalk() {
    let transcripts = transcripts();
    assert_eq!(transcripts.len(), 5);
    for transcript in transcripts {
        let Transcript { name, user, password, a, .. } = &transcript;
        println!("{name}");
        let request = unhex(&transcript.loginext_request);
        let call = FpLoginExt::decode(&request).unwrap();
        assert!(call.user_name == user.as_bytes() && call.uam == b"SRP" && call.srp_init().is_ok());
        assert_eq!(call.encode(), request);
        let rebuilt = FpLoginExt::new(call.version, call.uam, call.user_name, &srp::INIT);
        assert_eq!(rebuilt.encode(), request, "built from its parts");

        let challenge = unhex(&transcript.loginext_reply);
        let decoded = Challenge::decode(&challenge).unwrap();
        assert_eq!((decoded.context, decoded.group_index, decoded.modulus.len()), (0, 2, 192));
        assert!(decoded.generator == &[2]);
        assert!(
            decoded.salt == unhex(&transcript.salt).as_slice() && decoded.b_pub == unhex(&transcript.b_pub).as_slice()
        );
        assert_eq!(decoded.encode(), challenge);

        let request = unhex(&transcript.logincont_request);
        let Call::LoginCont(call) = Call::decode(&request).unwrap() else { panic!("no FPLoginCont") };
        assert_eq!(call.encode(), request);
        let proof = ClientProof::decode(call.user_auth_info).unwrap();
        assert!(proof.a_pub == unhex(&transcript.a_pub).as_slice());
        assert_eq!(proof.encode(), call.user_auth_info);

        let reply = unhex(&transcript.logincont_reply);
        assert_eq!(ServerProof::decode(&reply).unwrap().encode(), reply);
        assert_eq!(recompute(user, password, &unhex(a), &challenge, call.user_auth_info, Some(&reply)), Ok(()));
    }
}

/// The real messages, cut at every length and with one byte too many.
#[test]
fn real_messages_cut_and_lengthened() {
    let transcript = transcripts().remove(0);
    let challenge = unhex(&transcript.loginext_reply);
    let proof = unhex(&transcript.logincont_request).split_off(4);
    let reply = unhex(&transcript.logincont_reply);
    for length in 0..challenge.len() {
        assert!(Challenge::decode(&challenge[..length]).is_err());
    }
    for length in 0..proof.len() {
        assert!(ClientProof::decode(&proof[..length]).is_err());
    }
    for length in 0..reply.len() {
        assert!(ServerProof::decode(&reply[..length]).is_err());
    }
    let with = |bytes: &[u8], more: &[u8]| [bytes, more].concat();
    assert!(Challenge::decode(&with(&challenge, &[0])).is_err());
    assert!(ServerProof::decode(&with(&reply, &[0])).is_err());
    assert!(ClientProof::decode(&with(&proof, &[0])).is_ok(), "one zero byte is padding");
    assert!(ClientProof::decode(&with(&proof, &[1])).is_err() && ClientProof::decode(&with(&proof, &[0, 0])).is_err());

    let status = Capture::read(&captures().join("01_getstatus_afpgetstatus.pcap")).unwrap();
    let block = frames(&status.connections[0].from_server)[0].payload.clone();
    assert_eq!(block.len(), 415);
    for length in 0..block.len() {
        assert!(ServerInfo::decode(&block[..length]).is_err(), "{length}");
    }
    assert_eq!(ServerInfo::decode(&with(&block, &[0])), ServerInfo::decode(&block), "no offset leads there");
}

/// What the specification has as zero and no server reads: the pad behind the command, FPLoginExt's flags, FPLoginCont's ID.
#[test]
fn pads_ids_and_flags_are_not_looked_at() {
    let transcript = transcripts().remove(0);
    let ext = unhex(&transcript.loginext_request);
    assert_eq!(ext[1..4], [0, 0, 0]);
    let mut other = ext.clone();
    other[1..4].fill(0xff);
    let (ext, other) = (FpLoginExt::decode(&ext).unwrap(), FpLoginExt::decode(&other).unwrap());
    assert_eq!(other, FpLoginExt { flags: 0xffff, ..ext });

    let cont = unhex(&transcript.logincont_request);
    assert_eq!(cont[1..4], [0, 0, 0]);
    let mut other = cont.clone();
    other[1..4].fill(0xff);
    let (cont, other) = (FpLoginCont::decode(&cont).unwrap(), FpLoginCont::decode(&other).unwrap());
    assert_eq!(other, FpLoginCont { pad: 0xff, id: 0xffff, ..cont });
}

/// The recomputation must be able to fail.
#[test]
fn a_wrong_password_or_reply_is_noticed() {
    let transcript = transcripts().remove(0);
    let client = unhex(&transcript.logincont_request).split_off(4);
    let (challenge, mut server) = (unhex(&transcript.loginext_reply), unhex(&transcript.logincont_reply));
    let a = unhex(&transcript.a);
    let result = |password: &str, a: &[u8], server: &[u8]| {
        recompute(&transcript.user, password, a, &challenge, &client, Some(server))
    };
    assert_eq!(result(&transcript.password, &a, &server), Ok(()));
    assert_eq!(result("oc34thA3", &a, &server), Err("M1"));
    assert_eq!(result(&transcript.password, &[1], &server), Err("A"));
    *server.last_mut().unwrap() ^= 1;
    assert_eq!(result(&transcript.password, &a, &server), Err("M2"));
}

fn count(met: &mut Met, name: &'static str) {
    *met.entry(name).or_default() += 1;
}

fn unhex(text: &str) -> Vec<u8> {
    assert!(text.len().is_multiple_of(2), "{text}");
    let byte = |pair: &[u8]| u8::from_str_radix(str::from_utf8(pair).unwrap(), 16).unwrap();
    text.as_bytes().chunks(2).map(byte).collect()
}
