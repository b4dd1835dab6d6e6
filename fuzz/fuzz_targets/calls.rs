//! Any bytes as an AFP call or as the reply to one, or as one of the short DSI payloads; the first byte selects which (0: a call).
//!
//! What decodes must encode to the same bytes again. Only the pad byte behind the command is not kept, where there is one. A call that
//! the server answers is answered with what the client's side reads.
#![no_main]

use std::time::SystemTime;

use afp_proto::ResultCode;
use afp_proto::afp::{
    Call, Command, FpGetSessionTokenReply, FpGetSrvrMsgReply, FpGetSrvrParmsReply, FpGetUserInfoReply, FpMapIdReply,
    FpMapNameReply, FpZzzzzReply, LoginWants,
};
use afp_proto::dsi::{self, Attention, Frame, HEADER_LEN, Header, OpenSessionOptions, OpenSessionReply};
use afp_proto::srp::{ClientProof, LoginInit};
use afp_session::Service;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((selector, bytes)) = input.split_first() else { return };
    match selector {
        0 => call(bytes),
        1 => {
            same(FpGetSrvrParmsReply::decode(bytes).map(|reply| reply.encode().expect("counts that were read")), bytes)
        }
        2 => same(FpGetSrvrMsgReply::decode(bytes).map(|reply| reply.encode()), bytes),
        3 => same(FpGetSessionTokenReply::decode(bytes).map(|reply| reply.encode()), bytes),
        4 => same(FpGetUserInfoReply::decode(bytes).map(|reply| reply.encode()), bytes),
        5 => same(FpZzzzzReply::decode(bytes).map(|reply| reply.encode()), bytes),
        // Subfunctions 0 to 7, of which 0 and 7 do not exist.
        6..14 => same(FpMapIdReply::decode(selector - 6, bytes).map(|reply| reply.encode()), bytes),
        14..22 => same(FpMapNameReply::decode(selector - 14, bytes).map(|reply| reply.encode()), bytes),
        22 => {
            // Unknown options are left out and the known ones put in order: the second time is like the first.
            let Ok(options) = OpenSessionOptions::decode(bytes) else { return };
            assert_eq!(OpenSessionOptions::decode(&options.encode()), Ok(options));
        }
        23 => {
            let Ok(reply) = OpenSessionReply::decode(bytes) else { return };
            assert_eq!(OpenSessionReply::decode(&reply.encode()), Ok(reply));
        }
        24 => {
            same(Attention::decode(bytes).map(Attention::encode), bytes);
            let Ok(attention) = Attention::decode(bytes) else { return };
            assert_eq!(attention.with_minutes(attention.minutes()), attention);
        }
        25 => frame(bytes),
        _ => {}
    }
});

fn same<E>(encoded: Result<Vec<u8>, E>, bytes: &[u8]) {
    if let Ok(encoded) = encoded {
        assert_eq!(encoded, bytes);
    }
}

fn call(bytes: &[u8]) {
    // What a session reads of a login before it looks at the rest.
    let wants = LoginWants::decode(bytes);
    let call = match Call::decode(bytes) {
        Ok(call) => call,
        Err(error) => {
            assert_eq!(error.command.map(|command| command.0), bytes.first().copied());
            // Say it, and place it: both are what a log and a session do with it.
            let _ = (error.to_string(), error.kind.login_part(), error.kind.field());
            return;
        }
    };
    let _ = format!("{call:?}");
    assert_eq!(Some(call.command().0), bytes.first().copied());
    answer(&call, bytes);
    let Some(encoded) = call.encode() else { return };
    assert_eq!(Call::decode(&encoded), Ok(call.clone()));
    let mut bytes = bytes.to_vec();
    let exact = matches!(
        call.command(),
        Command::LOGIN | Command::LOGIN_CONT | Command::MAP_ID | Command::MAP_NAME | Command::GET_USER_INFO
    );
    if !exact && let Some(pad) = bytes.get_mut(1) {
        *pad = 0;
    }
    assert_eq!(encoded, bytes);
    match &call {
        Call::LoginExt(login) => {
            assert!((1..=255).contains(&login.user_name.len()));
            assert!(login.tail.ends_with(login.user_auth_info()));
            assert!(login.tail.len() - login.user_auth_info().len() <= usize::from(login.tail_is_odd()));
            let wants = wants.expect("more was read");
            assert_eq!((wants.version, wants.uam), (login.version, login.uam));
            let _ = login.srp_init();
        }
        Call::Login(login) => {
            let wants = wants.expect("more was read");
            assert_eq!((wants.version, wants.uam), (login.version, login.uam));
            same(LoginInit::decode(login.user_auth_info).map(|init| init.encode()), login.user_auth_info);
        }
        Call::LoginCont(cont) => {
            if let Ok(proof) = ClientProof::decode(cont.user_auth_info) {
                let encoded = proof.encode();
                let padded = cont.user_auth_info.split_last() == Some((&0, &encoded));
                assert!(padded || cont.user_auth_info == encoded);
            }
        }
        _ => {}
    }
}

/// The answer of a server without volumes, as its client reads it.
fn answer(call: &Call<'_>, bytes: &[u8]) {
    let service = Service {
        login_message: "Gr\u{fc}ezi".to_owned(),
        login_message_mac: b"Gr\x9fezi".to_vec(),
        user_id: 501,
        group_id: 20,
        group_name: "staff".to_owned(),
    };
    let reply = service.answer("alice", bytes, SystemTime::UNIX_EPOCH, || Some([7; 16]));
    if reply.result != ResultCode::NO_ERR {
        assert!(reply.payload.is_empty());
        return;
    }
    let read = match call {
        Call::GetSrvrParms(_) => FpGetSrvrParmsReply::decode(&reply.payload).is_ok(),
        Call::GetUserInfo(_) => FpGetUserInfoReply::decode(&reply.payload).is_ok(),
        Call::MapId(call) => FpMapIdReply::decode(call.subfunction(), &reply.payload).is_ok(),
        Call::MapName(call) => FpMapNameReply::decode(call.subfunction(), &reply.payload).is_ok(),
        Call::GetSrvrMsg(_) => FpGetSrvrMsgReply::decode(&reply.payload).is_ok(),
        Call::GetSessionToken(_) => FpGetSessionTokenReply::decode(&reply.payload).is_ok(),
        _ => false,
    };
    assert!(read, "{call:?} is answered with {:?}", reply.payload);
}

/// A header with any payload, as a client builds and a server reads it.
fn frame(bytes: &[u8]) {
    let Some((head, payload)) = bytes.split_first_chunk::<HEADER_LEN>() else { return };
    let Ok(header) = Header::decode(head) else { return };
    assert_eq!(header.encode(), *head);
    let (id, word) = (header.request_id, header.code_or_offset);
    let built = match (header.kind, header.command) {
        (dsi::Kind::Reply, command) => Frame::reply(command, id, ResultCode::from_wire(word), payload.to_vec()),
        (dsi::Kind::Request, dsi::Command::WRITE) => Frame::write_request(id, word, payload.to_vec()),
        (dsi::Kind::Request, command) => Frame::request(command, id, payload.to_vec()),
    };
    let _ = (
        format!("{built:?}"),
        header.command.to_string(),
        built.result().to_string(),
        built.check_from_client().is_ok(),
    );
    if let Ok((call, data)) = built.call_and_data() {
        assert_eq!([call, data].concat(), payload);
    }
    assert_eq!(built.encode().split_off(HEADER_LEN), payload);
}
