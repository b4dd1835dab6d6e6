//! Any bytes as a file of a Netatalk 4.6 directory: read, changed, written and read again (what has to hold is in `verifier_store::for_test`).
//!
//! Nobody guesses 384 hex digits, so some control characters stand for the longer pieces such a file is made of.
#![no_main]

use libfuzzer_sys::fuzz_target;
use verifier_store::{Format, for_test};

fuzz_target!(|input: &[u8]| {
    for_test::check_file(Format::NetatalkDirectory, input);
    let file: Vec<u8> = input.iter().flat_map(piece).copied().collect();
    for_test::check_file(Format::NetatalkDirectory, &file);
});

fn piece(byte: &u8) -> &[u8] {
    match byte {
        1 => b":00112233445566778899AABBCCDDEEFF:",
        2 => &[b'7'; 384],
        3 => b":********************************:",
        4 => &[b'*'; 384],
        5 => b"alice",
        _ => std::slice::from_ref(byte),
    }
}
