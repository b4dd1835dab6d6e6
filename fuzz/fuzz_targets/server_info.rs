//! Any bytes as a server information block. What decodes encodes, unless its items overlapped so much that it has become
//! too long for its offsets, and decodes to the same again.
#![no_main]

use afp_proto::EncodeError;
use afp_proto::server_info::ServerInfo;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|block: &[u8]| {
    let Ok(info) = ServerInfo::decode(block) else { return };
    match info.encode() {
        Ok(encoded) => assert_eq!(ServerInfo::decode(&encoded), Ok(info)),
        Err(EncodeError::BlockTooLong { length }) => assert!(length > 65_535),
        Err(error) => panic!("{error}"),
    }
});
