//! Any bytes as an account file of the native store: read, changed, written and read again (what has to hold is in `verifier_store::for_test`).
//!
//! Nobody guesses 384 hex digits, so some control characters stand for the longer pieces such a file is made of.
#![no_main]

use libfuzzer_sys::fuzz_target;
use verifier_store::{Format, for_test};

fuzz_target!(|input: &[u8]| {
    for_test::check_file(Format::Native, input);
    let file: Vec<u8> = input.iter().flat_map(piece).copied().collect();
    for_test::check_file(Format::Native, &file);
});

fn piece(byte: &u8) -> &[u8] {
    match byte {
        1 => b"version = 1\naccount = \"bob\"\nenabled = true\n",
        2 => b"[[login]]\nname = \"bob\"\ngroup = 1536\n",
        3 => b"salt = \"00112233445566778899aabbccddeeff\"\n",
        4 => b"full_name = \"Bob\"\n",
        5 => b"verifier = \"",
        6 => &[b'7'; 384],
        7 => b"\"\n",
        8 => b"group = 2048\n",
        _ => std::slice::from_ref(byte),
    }
}
