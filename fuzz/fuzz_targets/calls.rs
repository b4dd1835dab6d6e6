//! Any bytes as an AFP call or as the reply to one; the first byte selects which (0: a call).
//!
//! What decodes must encode to the same bytes again. Only the pad byte behind the command is not kept, where there is one.
#![no_main]

use afp_proto::afp::{
    Call, Command, FpGetSessionTokenReply, FpGetSrvrMsgReply, FpGetSrvrParmsReply, FpGetUserInfoReply, FpMapIdReply,
    FpMapNameReply, FpZzzzzReply,
};
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
        _ => {}
    }
});

fn same<E>(encoded: Result<Vec<u8>, E>, bytes: &[u8]) {
    if let Ok(encoded) = encoded {
        assert_eq!(encoded, bytes);
    }
}

fn call(bytes: &[u8]) {
    let call = match Call::decode(bytes) {
        Ok(call) => call,
        Err(error) => {
            assert_eq!(error.command.map(|command| command.0), bytes.first().copied());
            // Say it, and place it: both are what a log and a session do with it.
            let _ = (error.to_string(), error.kind.login_part());
            return;
        }
    };
    let _ = format!("{call:?}");
    assert_eq!(Some(call.command().0), bytes.first().copied());
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
    if let Call::LoginExt(login) = &call {
        assert!((1..=255).contains(&login.user_name.len()));
        assert!(login.tail.ends_with(login.user_auth_info()));
        assert!(login.tail.len() - login.user_auth_info().len() <= usize::from(login.tail_is_odd()));
    }
}
