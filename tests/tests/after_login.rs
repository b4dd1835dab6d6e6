//! The calls of a signed-in session on a server without volumes, and the login calls that come too late (S07, S08, S16, S17).
//!
//! Facts: Apple's AFP Reference, the calls named; and what Netatalk 4.5.1 answered to each of these.

use std::time::{SystemTime, UNIX_EPOCH};

use conformance::{
    Peer, code, differs, ignored, refused, refused_with, replied, replied_something, replied_with, signed_in, subject,
};
use testkit::client::{Frame, LoginCont, LoginExt, dsi, fp_login, pascal};
use testkit::subject::Kind;

/// The reply to this call of a signed-in session, which must be a success.
#[track_caller]
fn ask(call: &[u8]) -> Vec<u8> {
    let mut peer = Peer::signed_in();
    peer.calls(call);
    peer.hears(replied_something(code::NO_ERR))
}

/// This call of a signed-in session must be refused with this code.
#[track_caller]
fn refuses(call: &[u8], code: i32) {
    let mut peer = Peer::signed_in();
    peer.calls(call);
    peer.hears(replied(code));
}

/// Both users may log in, over and over. Both servers.
#[test]
fn several_logins() {
    for _ in 0..5 {
        let accounts = subject().accounts.clone();
        Peer::signed_in_as(&accounts.even).is_heard();
        Peer::signed_in_as(&accounts.odd).is_heard();
    }
}

/// S07. A second FPLoginCont. Netatalk's process dies of it, and the connection with it.
#[test]
fn s07_another_login_cont() {
    let mut peer = Peer::in_session();
    if !peer.subject().srp_is_ours {
        println!("skipped: it would crash Netatalk's process (docs/netatalk-differences.md, `second-proof`)");
        return;
    }
    let name = peer.accounts().even;
    let challenge = peer.is_challenged_as(&name);
    let exchange = peer.exchange(&name, &challenge);
    let call = LoginCont::new(&exchange.a_pub, &exchange.m1).bytes();
    peer.calls(&call);
    peer.hears(signed_in());
    peer.calls(&call);
    let want = differs("second-proof", replied(code::CALL_NOT_SUPPORTED), ignored());
    peer.hears(want.module(refused(code::USER_NOT_AUTH)));
}

/// S08. FPLoginExt in a signed-in session. Both servers.
#[test]
fn s08_another_login_ext() {
    refuses(&LoginExt::new(subject().accounts.odd.as_bytes()).bytes(), code::CALL_NOT_SUPPORTED);
}

/// S16. FPLogout does not end the session, and no new login follows in it. Both servers.
#[test]
fn s16_login_ext_after_logout() {
    let mut peer = Peer::signed_in();
    let name = peer.accounts().even;
    peer.calls(&[20, 0]);
    peer.hears(replied(code::NO_ERR));
    peer.calls(&LoginExt::new(name.as_bytes()).bytes());
    peer.hears(replied(code::CALL_NOT_SUPPORTED));
}

/// After FPLogout nothing that needs a login works. Netatalk goes on answering.
#[test]
fn s16_calls_after_logout() {
    let mut peer = Peer::signed_in();
    peer.calls(&[20, 0]);
    peer.hears(replied(code::NO_ERR));
    for call in [[16, 0].as_slice(), &[37, 1, 0, 0, 0, 0, 0, 3]] {
        peer.calls(call);
        let want = differs("after-logout", replied(code::CALL_NOT_SUPPORTED), replied_something(code::NO_ERR));
        peer.hears(want);
    }
}

/// S17. FPLogin in a signed-in session. Netatalk begins another login, with the rights of the user who is signed in.
#[test]
fn s17_another_fp_login() {
    let mut peer = Peer::signed_in();
    let name = pascal(peer.accounts().odd.as_bytes());
    peer.calls(&fp_login(b"AFP3.4", b"SRP", &name));
    let want =
        differs("login-after-login", replied(code::CALL_NOT_SUPPORTED), refused_with(code::USER_NOT_AUTH, &[0, 1]));
    peer.hears(want);
}

/// FPGetUserInfo: the bitmap, then user and group id as far as asked for. Both servers.
#[test]
fn get_user_info() {
    for (bitmap, length) in [(0, 2), (1, 6), (2, 6), (3, 10)] {
        let reply = ask(&[37, 1, 0, 0, 0, 0, 0, bitmap]);
        assert_eq!((reply.len(), &reply[..2]), (length, [0, bitmap].as_slice()), "bitmap {bitmap}");
    }
    let both = ask(&[37, 1, 0, 0, 0, 0, 0, 3]);
    assert_eq!(both[2..6], ask(&[37, 1, 0, 0, 0, 0, 0, 1])[2..]);
    assert_eq!(both[6..], ask(&[37, 1, 0, 0, 0, 0, 0, 2])[2..]);
}

/// A UUID is asked for too: ours has none and says so in the bitmap.
#[test]
fn get_user_info_with_uuid() {
    let reply = ask(&[37, 1, 0, 0, 0, 0, 0, 7]);
    let (bitmap, length) = match subject().kind {
        Kind::AfpdRs => (3, 10),
        Kind::Netatalk => (7, 26),
    };
    assert_eq!((reply[1], reply.len()), (bitmap, length), "docs/netatalk-differences.md, `uuid`");
}

/// Bits nobody knows, and other users than the one signed in. Both servers.
#[test]
fn get_user_info_of_another_kind() {
    refuses(&[37, 1, 0, 0, 0, 0, 0, 8], code::BITMAP_ERR);
    refuses(&[37, 0, 0, 0, 0, 5, 0, 3], code::PARAM_ERR);
}

/// FPGetSrvrParms: the server's clock, in seconds since 2000, and no volumes. Both servers (here).
#[test]
fn get_srvr_parms() {
    let reply = ask(&[16, 0]);
    assert_eq!(reply.len(), 5, "time and number of volumes: {reply:02x?}");
    assert_eq!(reply[4], 0);
    let theirs = i64::from(i32::from_be_bytes(reply[..4].try_into().unwrap()));
    let ours = i64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()).unwrap() - 946_684_800;
    assert!((theirs - ours).abs() < 86_400, "{theirs} and {ours} seconds since 2000");
}

/// FPGetSrvrMsg type 0: the login message, as a Pascal string or, if bit 1 asks for UTF-8, with a length of two bytes. Both servers.
#[test]
fn the_login_message() {
    let text = subject().login_message.clone();
    let short = pascal(text.as_bytes());
    let long = [&u16::try_from(text.len()).unwrap().to_be_bytes(), text.as_bytes()].concat();
    for (bitmap, message) in [(1, &short), (3, &long)] {
        let reply = ask(&[38, 0, 0, 0, 0, bitmap]);
        assert_eq!(reply, [&[0, 0, 0, bitmap], message.as_slice()].concat(), "bitmap {bitmap}");
    }
}

/// Type 1, the server's message: there is none, so an empty one. Both servers.
#[test]
fn the_server_message_is_empty() {
    let mut peer = Peer::signed_in();
    peer.calls(&[38, 0, 0, 1, 0, 3]);
    peer.hears(replied_with(code::NO_ERR, &[0, 1, 0, 3, 0, 0]));
    peer.calls(&[38, 0, 0, 1, 0, 1]);
    peer.hears(replied_with(code::NO_ERR, &[0, 1, 0, 1, 0]));
}

/// Other types of message. Netatalk says -5004, which is about bitmaps.
#[test]
fn a_message_of_another_type() {
    let mut peer = Peer::signed_in();
    peer.calls(&[38, 0, 0, 2, 0, 3]);
    peer.hears(differs("message-type", replied(code::PARAM_ERR), replied(code::BITMAP_ERR)));
}

/// FPGetSessionToken, types 0, 3 and 4: a token in its length. Ours has 16 bytes, Netatalk's 8.
#[test]
fn get_session_token() {
    let length = match subject().kind {
        Kind::AfpdRs => 16,
        Kind::Netatalk => 8,
    };
    for call in [
        vec![64, 0, 0, 0],
        vec![64, 0, 0, 3, 0, 0, 0, 4, 0, 0, 0, 9, 1, 2, 3, 4],
        vec![64, 0, 0, 4, 0, 0, 0, 4, 0, 0, 0, 9, 1, 2, 3, 4],
    ] {
        let reply = ask(&call);
        assert_eq!(reply[..4], u32::try_from(length).unwrap().to_be_bytes(), "docs/netatalk-differences.md, `token`");
        assert_eq!(reply.len(), 4 + length);
    }
}

/// Types that need what is not offered (Recon1, Kerberos). Both servers, but for type 8, where Netatalk has an error of its own.
#[test]
fn get_session_token_of_another_type() {
    for kind in [5, 6, 7, 9] {
        refuses(&[64, 0, 0, kind, 0, 0, 0, 4, 0, 0, 0, 9, 1, 2, 3, 4], code::CALL_NOT_SUPPORTED);
    }
}

/// The client's id goes past the end of the call, or is longer than an id can be. Both servers.
#[test]
fn get_session_token_with_a_bad_id() {
    refuses(&[64, 0, 0, 3, 0, 0, 0, 90, 0, 0, 0, 9, 1, 2, 3, 4], code::PARAM_ERR);
    refuses(&[64, 0, 0, 3, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 9, 1, 2, 3, 4], code::PARAM_ERR);
}

/// FPDisconnectOldSession with a token nobody was given. Both servers (with one of Netatalk's length it looks for that session first).
#[test]
fn disconnect_old_session() {
    refuses(&[&[65, 0, 0, 0, 0, 0, 0, 16], [7; 16].as_slice()].concat(), code::MISC_ERR);
    refuses(&[65, 0, 0, 0, 0, 0, 0, 8, 1, 2], code::PARAM_ERR);
}

/// FPMapID: the names of the ids that FPGetUserInfo gives, as a Pascal string (1, 2) or with a length of two bytes (3, 4). Both servers.
#[test]
fn map_id() {
    let ids = ask(&[37, 1, 0, 0, 0, 0, 0, 3]);
    let (user, group) = (&ids[2..6], &ids[6..10]);
    let short = |id: &[u8], kind: u8| ask(&[&[21, kind], id].concat());
    let name = subject().accounts.even.clone();
    assert_eq!(short(user, 1), pascal(name.as_bytes()));
    assert_eq!(short(user, 3), [&[0, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat());
    let group_name = short(group, 2);
    assert_eq!(group_name.len(), 1 + usize::from(group_name[0]));
    assert_eq!(short(group, 4), [&[0], group_name.as_slice()].concat());
}

/// An id of nobody's, and a kind of question nobody knows. Both servers.
#[test]
fn map_id_of_nobody() {
    for kind in 1..=4 {
        refuses(&[21, kind, 0x7f, 1, 3, 0xe8], code::ITEM_NOT_FOUND);
    }
    refuses(&[21, 0, 0, 0, 3, 0xe8], code::PARAM_ERR);
    refuses(&[21, 7, 0, 0, 3, 0xe8], code::PARAM_ERR);
}

/// FPMapName: the id of a name, with a length of two bytes (1, 2) or as a Pascal string (3, 4). Both servers.
#[test]
fn map_name() {
    let ids = ask(&[37, 1, 0, 0, 0, 0, 0, 3]);
    let name = subject().accounts.even.clone();
    let long = [&[0, u8::try_from(name.len()).unwrap()], name.as_bytes()].concat();
    assert_eq!(ask(&[[22, 1].as_slice(), &long].concat()), ids[2..6]);
    assert_eq!(ask(&[[22, 3].as_slice(), &pascal(name.as_bytes())].concat()), ids[2..6]);
    let group = ask(&[&[21, 2], &ids[6..10]].concat());
    assert_eq!(ask(&[[22, 4].as_slice(), &group].concat()), ids[6..10]);
}

/// A name of nobody's, a kind nobody knows. Both servers.
#[test]
fn map_name_of_nobody() {
    refuses(b"\x16\x01\x00\x06xxalk1", code::ITEM_NOT_FOUND);
    refuses(b"\x16\x03\x06xxalk1", code::ITEM_NOT_FOUND);
    refuses(b"\x16\x00\x00\x06xxalk1", code::PARAM_ERR);
    refuses(b"\x16\x07\x00\x06xxalk1", code::PARAM_ERR);
}

/// FPZzzzz: going to sleep and waking up; the reply is a number of hours. Both servers.
#[test]
fn zzzzz() {
    for flags in [1, 2, 0] {
        let reply = ask(&[122, 0, 0, 0, 0, flags]);
        assert_eq!(reply.len(), 4, "{reply:02x?}");
        assert!(u32::from_be_bytes(reply.try_into().unwrap()) > 0);
    }
}

/// Calls that are cut short. Ours has one answer; Netatalk reads on in what the last call left behind.
#[test]
fn calls_cut_short() {
    if subject().kind == Kind::Netatalk {
        println!("skipped: Netatalk reads stale bytes there (docs/netatalk-differences.md, `short-calls`)");
        return;
    }
    for call in [
        [37, 1, 0, 0].as_slice(),
        &[38, 0, 0],
        &[64, 0],
        &[64, 0, 0, 3, 0, 0],
        &[65, 0, 0],
        &[21, 1, 0, 0],
        &[22],
        &[22, 1],
        &[22, 1, 0, 9, b'a'],
        &[122, 0],
    ] {
        refuses(call, code::PARAM_ERR);
    }
}

/// What needs a volume or is not offered. Netatalk has volumes, elsewhere.
#[test]
fn calls_without_volumes() {
    refuses(&[36, 0, 3, b'S', b'R', b'P'], code::CALL_NOT_SUPPORTED);
    refuses(&[62, 0, 0, 3, 0, 0], code::CALL_NOT_SUPPORTED);
    refuses(&[127, 0], code::CALL_NOT_SUPPORTED);
    let mut peer = Peer::signed_in();
    peer.calls(&[24, 0, 0, 0x20, 1, b'x']);
    peer.hears(differs("no-volumes", replied(code::CALL_NOT_SUPPORTED), replied(-5018)));
}

/// FPLogout, then the client's close. Both servers.
#[test]
fn logout_and_close() {
    let mut peer = Peer::signed_in();
    peer.calls(&[20, 0]);
    peer.hears(replied(code::NO_ERR));
    peer.asks(dsi::CLOSE_SESSION, &[]);
    if peer.kind() == Kind::AfpdRs {
        peer.hears_end();
    }
}

/// After login as before it, a tickle has no reply. Both servers.
#[test]
fn a_tickle() {
    let mut peer = Peer::signed_in();
    peer.sends(&Frame::request(dsi::TICKLE, 0, &[]));
    peer.hears(ignored());
}

/// Signed-in sessions live side by side, the same user's too. Both servers.
#[test]
fn sessions_side_by_side() {
    let accounts = subject().accounts.clone();
    let mut peers: Vec<_> =
        [&accounts.even, &accounts.odd, &accounts.even].into_iter().map(|name| Peer::signed_in_as(name)).collect();
    for peer in &mut peers {
        peer.is_heard();
    }
    peers.remove(0);
    for peer in &mut peers {
        peer.is_heard();
    }
}
