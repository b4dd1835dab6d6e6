//! Inputs that once broke an AFP server, by the number of the advisory; and the nine frame rules drawn from them (F1 to F9).
//!
//! The advisories are Netatalk's (netatalk.io, "Security"); all but a few were reachable before login, in the two places that this
//! project replaces: the DSI framer and the parsers of the login methods. What is not about bytes on a socket is tested elsewhere:
//! constant time by `make ct-check`, configuration ranges by the program's own tests. Advisories about parts we do not have
//! (Spotlight, AppleTalk, CNID database, extended attributes, AppleDouble) have no case.

use conformance::{
    Peer, Want, challenged, code, differs, hung_up, ignored, refused, replied, replied_something, subject, unknown_user,
};
use testkit::client::{Frame, Heard, LoginCont, LoginExt, Pad, dsi, fp_login, pascal};
use testkit::subject::Kind;

/// A frame in a session, and what must come of it.
#[track_caller]
fn frame(command: u8, offset: u32, payload: &[u8], want: impl Into<Want>) {
    let mut peer = Peer::in_session();
    let code = i32::from_be_bytes(offset.to_be_bytes());
    peer.sends(&Frame { flags: 0, command, id: 1, code, reserved: 0, payload: payload.to_vec() });
    peer.client().set_next_id(2);
    peer.hears(want);
}

/// An OpenSession with these options, and what must come of it.
#[track_caller]
fn open_session(options: &[u8], want: impl Into<Want>) {
    let mut peer = Peer::connected();
    peer.asks(dsi::OPEN_SESSION, options);
    peer.hears(want);
}

/// F1, CVE-2026-62320. A frame longer than the quantum, with a frame inside: the connection ends, and the inner frame is never taken
/// for one. Both servers.
#[test]
fn cve_2026_62320_a_frame_in_an_oversize_frame() {
    for length in [0x10_0000 + 16, 0x10_0000 + 65, 0x20_0000, 0x8000_0000, u32::MAX] {
        let mut peer = Peer::in_session();
        let inner = Frame::request(dsi::COMMAND, 2, &[0xff, 0]).bytes();
        peer.sends_raw(&Frame::request(dsi::COMMAND, 1, &inner.repeat(4)).bytes_announcing(length));
        peer.hears_end();
    }
}

/// F2, CVE-2026-62319 (offset past the payload), CVE-2021-31439 (offset past the buffer). Both servers.
#[test]
fn cve_2026_62319_cve_2021_31439_a_write_offset_past_the_payload() {
    for offset in [13, 21, 0xffff, 0x10_0000, 0x7fff_ffff, 0x8000_0000, 0xffff_fff4, 0xffff_ffff] {
        frame(dsi::WRITE, offset, &[33; 12], hung_up());
    }
}

/// F2, the border: an offset at the very end leaves no data, and is well formed. Both servers.
#[test]
fn cve_2026_62319_a_write_offset_at_the_end() {
    frame(dsi::WRITE, 12, &[33; 12], replied(code::CALL_NOT_SUPPORTED));
}

/// F3, CVE-2026-45354. Outside DSIWrite the offset has no meaning; the frame behind is where it should be. Both servers.
#[test]
fn cve_2026_45354_an_offset_where_none_belongs() {
    for offset in [1, 2, 15, 16, 18, 255, 0xffff, 0xffff_ffff] {
        frame(dsi::COMMAND, offset, &[0xff, 0], replied(code::CALL_NOT_SUPPORTED));
        frame(dsi::TICKLE, offset, &[], ignored());
    }
}

/// F3 for a login: the offset field changes nothing about it. Both servers.
#[test]
fn cve_2026_45354_an_offset_on_a_login() {
    frame(dsi::COMMAND, 30, &LoginExt::new(subject().accounts.even.as_bytes()).bytes(), challenged());
}

/// F4, CVE-2022-43634 and CVE-2026-44060. A write whose length is less than its offset; offset 0 stands for 12 (AppleShare Client 3.7).
/// Both servers.
#[test]
fn cve_2022_43634_cve_2026_44060_a_write_shorter_than_its_offset() {
    for (offset, length) in [(0, 0), (0, 4), (0, 11), (1, 0), (5, 4), (12, 11)] {
        frame(dsi::WRITE, offset, &vec![33; length], hung_up());
    }
}

/// F4, the data: what a refused write carries is read over. Netatalk forgets it before login, and takes it for the next header
/// (docs/netatalk-differences.md, `write-drain`); without data, both go on.
#[test]
fn cve_2026_44060_the_data_of_a_refused_write_is_read_over() {
    let mut peer = Peer::in_session();
    for offset in if peer.kind() == Kind::AfpdRs { vec![12, 13, 19, 20, 0] } else { vec![20] } {
        peer.sends(&Frame { flags: 0, command: dsi::WRITE, id: 70, code: offset, reserved: 0, payload: vec![33; 20] });
        peer.hears(replied(code::CALL_NOT_SUPPORTED));
    }
}

/// F5, CVE-2018-1160. An option's length is 4, and its value ends within the payload. Both servers.
#[test]
fn cve_2018_1160_open_session_option_of_another_length() {
    for length in [0_u8, 1, 2, 3, 5, 6, 255] {
        open_session(&[&[1, length], vec![0x55; length.into()].as_slice()].concat(), hung_up());
    }
    open_session(&[1, 4, 0, 0], hung_up());
    open_session(&[1, 255, 0, 0, 0, 2], hung_up());
    open_session(&[1, 4, 0, 0, 0, 2, 1, 200, 0], hung_up());
}

/// F5: one byte left over is no option. Netatalk does not look at it.
#[test]
fn cve_2018_1160_half_an_option() {
    open_session(&[1], differs("half-option", hung_up(), replied_something(code::NO_ERR)));
}

/// CVE-2026-44075. An attention quantum followed by the server's own option: the second is not taken for the first. Both servers.
#[test]
fn cve_2026_44075_one_option_behind_another() {
    open_session(&[1, 4, 0, 0, 0, 2, 0, 4, 0, 0, 0, 1], replied_something(code::NO_ERR));
}

/// F6. No AFP command in the payload. Netatalk looks at what the last call left behind.
#[test]
fn f6_an_empty_call() {
    frame(dsi::COMMAND, 0, &[], differs("empty-call", replied(code::PARAM_ERR), replied(code::CALL_NOT_SUPPORTED)));
}

/// F8. Replies are the server's: a client's are dropped. Netatalk takes them for requests.
#[test]
fn f8_a_reply_from_a_client() {
    let mut peer = Peer::in_session();
    peer.sends(&Frame { flags: 1, ..Frame::request(dsi::COMMAND, 40, &[0xff, 0]) });
    peer.hears(differs("client-reply", ignored(), replied(code::CALL_NOT_SUPPORTED)));
}

/// F8 for the first frame.
#[test]
fn f8_a_reply_as_the_first_frame() {
    let mut peer = Peer::connected();
    peer.sends(&Frame { flags: 1, ..Frame::request(dsi::OPEN_SESSION, 0, &[]) });
    peer.hears(differs("client-reply", hung_up(), replied_something(code::NO_ERR)));
}

/// F8. A first byte that is neither 0 nor 1 is no DSI: within a session Netatalk looks at the lowest bit alone.
#[test]
fn f8_flags_that_do_not_exist() {
    for flags in [2, 0x80, 0xff] {
        let mut peer = Peer::connected();
        peer.sends(&Frame { flags, ..Frame::request(dsi::OPEN_SESSION, 0, &[]) });
        assert_eq!(peer.hears_something(), Heard::End, "flags {flags}");
    }
    let mut peer = Peer::in_session();
    peer.sends(&Frame { flags: 2, ..Frame::request(dsi::COMMAND, 40, &[0xff, 0]) });
    peer.hears(differs("flags", hung_up(), replied(code::CALL_NOT_SUPPORTED)));
}

/// CVE-2024-38439 and CVE-2024-38440. UserAuthInfo shorter than the method wants, at the end of the call. Never a read past it.
#[test]
fn cve_2024_38439_cve_2024_38440_short_user_auth_info() {
    for tail in [vec![], vec![0, 0], vec![1], vec![0, 1], vec![0, 0, 1]] {
        let mut call = LoginExt::new(subject().accounts.odd.as_bytes());
        (call.pad, call.user_auth_info) = (Pad::Never, tail.clone());
        let known = [vec![], vec![0, 1], vec![0, 0, 1]].contains(&tail);
        let ours = if known { challenged() } else { refused(code::PARAM_ERR) };
        let want = differs("user-auth-info", ours, challenged());
        // What afpd leaves of `0001` when it takes the first byte for the pad.
        let want = if tail == [1] { want.module(challenged()) } else { want };
        frame(dsi::COMMAND, 0, &call.bytes(), want);
    }
    for name in [[].as_slice(), &[1], &[255, b'a'], &[6, b'a', b't']] {
        frame(dsi::COMMAND, 0, &fp_login(b"AFP3.4", b"SRP", name), refused(code::PARAM_ERR));
    }
}

/// CVE-2024-38441. A name in FPMapName that fills the call to its end, and one that claims to go past it. Both servers.
#[test]
fn cve_2024_38441_a_name_to_the_end_of_the_call() {
    let mut peer = Peer::signed_in();
    for call in
        [[&[22, 3], pascal(&[b'x'; 255]).as_slice()].concat(), [&[22, 1, 0, 255], [b'x'; 255].as_slice()].concat()]
    {
        peer.calls(&call);
        peer.hears(replied(code::ITEM_NOT_FOUND));
    }
    for call in [b"\x16\x03\xffxxalk1".as_slice(), b"\x16\x01\x00\x60xxalk1", b"\x16\x01\xff\xffxxalk1"] {
        peer.calls(call);
        peer.hears(replied(code::PARAM_ERR));
    }
    // One byte past the end.
    for call in [b"\x16\x03\x07xxalk1".as_slice(), b"\x16\x01\x00\x07xxalk1"] {
        peer.calls(call);
        peer.hears(differs("short-calls", replied(code::PARAM_ERR), replied(code::ITEM_NOT_FOUND)));
    }
}

/// CVE-2026-62318, and CVE-2026-65400 in another server. State of one login attempt met by the next: FPLoginCont twice, FPLoginCont
/// after a refused one, FPLoginExt twice, all in one segment. Both servers.
#[test]
fn cve_2026_62318_cve_2026_65400_repeated_login_calls() {
    let name = subject().accounts.even.clone();
    let ext = LoginExt::new(name.as_bytes()).bytes();
    let wrong = LoginCont::new(&[7; 192], &[7; 20]).bytes();
    let cut = vec![0x13, 0, 0, 0, 0, 3];
    for calls in [[&ext, &wrong, &wrong], [&ext, &cut, &wrong], [&ext, &wrong, &ext]] {
        let mut peer = Peer::in_session();
        let frames: Vec<_> = (10..).zip(calls).map(|(id, call)| Frame::request(dsi::COMMAND, id, call)).collect();
        peer.sends_raw(&frames.iter().flat_map(Frame::bytes).collect::<Vec<_>>());
        peer.awaits_reply_to(&frames[0]);
        assert_eq!(peer.reply().code, code::AUTH_CONTINUE);
        peer.awaits_reply_to(&frames[1]);
        let refusal = if *calls[1] == cut { code::USER_NOT_AUTH } else { code::SRP_PROOF_FAILED };
        peer.hears(refused(refusal));
    }
    let mut peer = Peer::in_session();
    for _ in 0..20 {
        peer.is_challenged_as(&name);
    }
    peer.signs_in(&name);
}

/// CVE-2026-44053. No method with a key of 128 bits is offered or taken. (Netatalk offers it by setting alone.)
#[test]
fn cve_2026_44053_no_dhcast128() {
    let mut call = LoginExt::new(subject().accounts.even.as_bytes());
    call.uam = b"DHCAST128".to_vec();
    frame(dsi::COMMAND, 0, &call.bytes(), refused(code::BAD_UAM));
}

/// CVE-2026-44054. A session token is random: no two are alike, and none is a process id in other clothes. Both servers.
#[test]
fn cve_2026_44054_session_tokens_are_random() {
    let mut tokens: Vec<Vec<u8>> = (0..8)
        .map(|_| {
            let mut peer = Peer::signed_in();
            peer.calls(&[64, 0, 0, 0]);
            peer.hears(replied_something(code::NO_ERR))[4..].to_vec()
        })
        .collect();
    // A number of a process fits in 32 bits: the rest would be zeros.
    assert!(tokens.iter().all(|token| token[..4] != [0; 4] && token[4..8] != [0; 4]), "{tokens:02x?}");
    tokens.sort();
    tokens.dedup();
    assert_eq!(tokens.len(), 8);
}

/// CVE-2026-44063. A login name is a name and nothing else: no pattern, filter, path or field separator.
#[test]
fn cve_2026_44063_names_with_meaning_elsewhere() {
    for name in [
        "*",
        "atalk1)(uid=*",
        "../atalk1",
        "atalk1/",
        "atalk1:",
        "%s%s%n",
        "\\61talk1",
        " atalk1",
        "atalk1\n",
        "accounts/atalk1",
    ] {
        let want = differs("unknown-user", unknown_user(), refused(code::USER_NOT_AUTH));
        frame(dsi::COMMAND, 0, &LoginExt::new(name.as_bytes()).bytes(), want);
    }
}

/// CVE-2026-44048 and its kind. A login name that is no UTF-8 is a name nobody has.
#[test]
fn cve_2026_44048_names_that_are_no_utf_8() {
    for name in [[0xff, 0xfe].as_slice(), &[0xc3], b"atalk1\x80", &[0xed, 0xa0, 0x80], &[0xf4, 0x90, 0x80, 0x80]] {
        let want = differs("unknown-user", unknown_user(), refused(code::USER_NOT_AUTH));
        frame(dsi::COMMAND, 0, &LoginExt::new(name).bytes(), want);
    }
}
