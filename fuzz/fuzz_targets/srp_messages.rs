//! Any bytes as a message of the UAM "SRP"; the first byte selects which. What decodes must encode to the same bytes again,
//! but for the one zero byte that may follow the client's proof.
#![no_main]

use afp_proto::srp::{Challenge, ClientProof, InitMarker, LoginInit, PROOF_LEN, ServerProof, UnknownUser, decode_init};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let Some((selector, bytes)) = input.split_first() else { return };
    match selector {
        0 => {
            let wanted = match bytes {
                [] => Some(InitMarker::Empty),
                [0, 1] => Some(InitMarker::WithoutPad),
                [0, 0, 1] => Some(InitMarker::WithPad),
                _ => None,
            };
            assert_eq!(decode_init(bytes).ok(), wanted);
        }
        1 => {
            if let Ok(challenge) = Challenge::decode(bytes) {
                assert_eq!(challenge.encode(), bytes);
            }
        }
        2 => assert_eq!(UnknownUser::decode(bytes).is_ok(), bytes == UnknownUser.encode()),
        3 => {
            if let Ok(proof) = ClientProof::decode(bytes) {
                assert_eq!(proof.m1.len(), PROOF_LEN);
                let encoded = proof.encode();
                assert!(bytes == encoded || bytes.split_last() == Some((&0, &encoded)));
            }
        }
        4 => {
            if let Ok(proof) = ServerProof::decode(bytes) {
                assert_eq!(proof.encode(), bytes);
            }
        }
        5 => {
            if let Ok(init) = LoginInit::decode(bytes) {
                assert_eq!(init.encode(), bytes);
            }
        }
        _ => {}
    }
});
