//! Any bytes as a capture file, explained for people, and now and then as JSON with its logins computed again from a password
//! and a server's secret.
//!
//! What is written is bounded by what was read. A packet that has not arrived whole, or not at all, costs nothing but a line.
#![no_main]

use std::io::{self, Write};

use afpd_rs::decode;
use libfuzzer_sys::fuzz_target;

/// The most that a byte of the capture may become: a server information block lists each name as often as it has offsets for it.
const GROWTH: usize = 4096;

fuzz_target!(|input: &[u8]| {
    let mut out = Bounded { left: input.len() * GROWTH };
    let explained = decode::explain_to(input, &mut out);
    // Twenty exponentiations for a login are not for every input.
    if input.len().is_multiple_of(16) {
        let mut out = Bounded { left: input.len() * GROWTH };
        let checked = decode::check_to(input, 548, "secret", &[0x5a; 32], &mut out);
        assert_eq!(explained.is_ok(), checked.is_ok(), "{explained:?}, {checked:?}");
    }
    if let Err(error) = explained {
        assert_eq!(error.kind(), io::ErrorKind::Other);
        assert!(!error.to_string().is_empty());
    }
});

struct Bounded {
    left: usize,
}

impl Write for Bounded {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.left = self.left.checked_sub(bytes.len()).expect("more is written than any capture of this length needs");
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
