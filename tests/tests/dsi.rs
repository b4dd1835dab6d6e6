//! DSI: opening and closing a session, frames that mean nothing, frames in pieces.
//!
//! Facts: Apple's AFP Reference, DSI; and what Netatalk 4.5.1 did with each of these. Frames that once broke a server are in
//! `regressions`.

use conformance::{Peer, code, differs, hung_up, ignored};
use testkit::client::{Frame, Heard, dsi};
use testkit::subject::Kind;

/// Opens a session with this payload and offset field, and returns the options of the reply.
#[track_caller]
fn opens(payload: &[u8], offset: i32) -> Vec<u8> {
    let mut peer = Peer::connected();
    let command = dsi::OPEN_SESSION;
    peer.sends(&Frame { flags: 0, command, id: 0, code: offset, reserved: 0, payload: payload.to_vec() });
    let reply = peer.reply();
    assert_eq!(reply.code, code::NO_ERR);
    peer.client().set_next_id(1);
    peer.is_heard();
    reply.payload
}

/// Request quantum first (some clients read it without looking at the type), then the size of the replay cache. Both servers.
#[test]
fn open_session_tells_the_quantum_first() {
    let options = opens(&[1, 4, 0, 0, 0, 2], 0);
    assert_eq!(options.len(), 12);
    assert_eq!(options[..2], [0, 4]);
    assert!(u32::from_be_bytes(options[2..6].try_into().unwrap()) >= 32_000, "{options:02x?}");
    assert_eq!(options[6..8], [2, 4]);
    assert!((32..65_536).contains(&u32::from_be_bytes(options[8..].try_into().unwrap())), "{options:02x?}");
}

/// The options may be missing, unknown, or the server's own; the offset field has no meaning. Both servers.
#[test]
fn open_session_takes_any_well_formed_options() {
    for (payload, offset) in [
        (vec![], 0),
        (vec![], 5),
        (vec![0x7f, 3, b'a', b'b', b'c', 1, 4, 0, 0, 0, 2], 0),
        (vec![0x7f, 0], 0),
        (vec![0, 4, 0, 0, 0, 1], 0),
        (vec![1, 4, 0, 0, 0, 2, 1, 4, 0, 0, 0, 2], 0),
    ] {
        opens(&payload, offset);
    }
}

/// A second DSIOpenSession is not answered, and does no harm. Both servers.
#[test]
fn a_second_open_session() {
    let mut peer = Peer::in_session();
    peer.asks(dsi::OPEN_SESSION, &[]);
    peer.hears(ignored());
}

/// The first frame is DSIGetStatus or DSIOpenSession, or the connection ends. Both servers.
#[test]
fn another_first_frame() {
    for command in [0, 1, 2, 5, 6, 7, 8, 9, 255] {
        let mut peer = Peer::connected();
        peer.sends(&Frame::request(command, 0, if [2, 6].contains(&command) { &[0xff; 12] } else { &[] }));
        assert_eq!(peer.hears_something(), Heard::End, "DSI command {command}");
    }
}

/// The first frame is no DSI at all: another protocol's greeting.
#[test]
fn another_protocol() {
    for greeting in [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n".as_slice(), b"SSH-2.0-OpenSSH_9.9\r\n\r\n", &[0xff; 64]] {
        let mut peer = Peer::connected();
        peer.sends_raw(greeting);
        peer.hears_end();
    }
}

/// A frame that is cut off by the end of the connection is nothing. Both servers.
#[test]
fn the_connection_ends_within_a_frame() {
    let call = Frame::request(dsi::COMMAND, 1, &[0xff, 0]).bytes();
    for length in 1..call.len() {
        let mut peer = Peer::in_session();
        peer.sends_raw(&call[..length]);
        peer.client().finish_sending().unwrap();
        peer.hears_end();
    }
}

/// Every frame of a session may come one byte per segment. Both servers.
#[test]
fn one_byte_at_a_time() {
    let mut peer = Peer::connected();
    let open = Frame::request(dsi::OPEN_SESSION, 0, &[1, 4, 0, 0, 0, 2]);
    peer.client().dribble(&open.bytes()).unwrap();
    peer.awaits_reply_to(&open);
    assert_eq!(peer.reply().code, code::NO_ERR);
    peer.is_heard();
}

/// Several calls in one segment are answered, each with its own id. Both servers.
#[test]
fn many_calls_in_one_segment() {
    let mut peer = Peer::in_session();
    let calls: Vec<_> = (0..50).map(|id| Frame::request(dsi::COMMAND, 1000 + id, &[0xff, 0])).collect();
    peer.sends_raw(&calls.iter().flat_map(Frame::bytes).collect::<Vec<_>>());
    for call in &calls {
        peer.awaits_reply_to(call);
        assert_eq!(peer.reply().code, code::CALL_NOT_SUPPORTED);
    }
}

/// Request ids are the client's: they may jump, repeat and wrap. Both servers.
#[test]
fn any_request_id() {
    let mut peer = Peer::in_session();
    for id in [7, 7, 65_535, 0, 1, 40_000] {
        peer.client().set_next_id(id);
        peer.is_heard();
    }
}

/// The reserved field is not looked at. Both servers; Netatalk sends it back, ours 0.
#[test]
fn the_reserved_field() {
    let mut peer = Peer::in_session();
    let command = dsi::COMMAND;
    peer.sends(&Frame { flags: 0, command, id: 9, code: 0, reserved: 0xdead_beef, payload: vec![0xff, 0] });
    match peer.hears_something() {
        Heard::Frame(reply) => {
            let reserved = if peer.kind() == Kind::Netatalk { 0xdead_beef } else { 0 };
            assert_eq!(
                (reply.id, reply.code, reply.reserved),
                (9, code::CALL_NOT_SUPPORTED, reserved),
                "`reserved-field`"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// A tickle has no reply. Both servers.
#[test]
fn a_tickle() {
    let mut peer = Peer::in_session();
    peer.asks(dsi::TICKLE, &[]);
    peer.hears(ignored());
    peer.asks(dsi::TICKLE, b"abc");
    peer.hears(ignored());
}

/// An attention from a client, and a client's reply to one, have no reply. Both servers.
#[test]
fn an_attention() {
    let mut peer = Peer::in_session();
    peer.asks(dsi::ATTENTION, &[0, 0]);
    peer.hears(ignored());
    peer.sends(&Frame { flags: 1, ..Frame::request(dsi::ATTENTION, 9, &[]) });
    peer.hears(ignored());
}

/// A DSI command that nobody knows is read over, payload and all. Netatalk does not read the payload, takes it for the beginning of
/// the next header, and so loses the session; without a payload both go on. Command 0 ends the connection there.
#[test]
fn an_unknown_command() {
    for command in [7, 9, 255] {
        let mut peer = Peer::in_session();
        peer.asks(command, &[]);
        peer.hears(ignored());
        if peer.kind() == Kind::AfpdRs {
            peer.asks(command, b"abcd");
            peer.hears(ignored());
        }
    }
    let mut peer = Peer::in_session();
    peer.asks(0, &[]);
    peer.hears(differs("unknown-dsi-command", ignored(), hung_up()));
}

/// AFP Reference: DSICloseSession has no reply, and both sides close. Netatalk sends a DSICloseSession of its own first.
#[test]
fn close_session() {
    let mut peer = Peer::in_session();
    peer.asks(dsi::CLOSE_SESSION, &[]);
    if peer.kind() == Kind::Netatalk {
        let close = Frame::request(dsi::CLOSE_SESSION, 0, &[]);
        assert_eq!(peer.hears_something(), Heard::Frame(close), "docs/netatalk-differences.md, `close-session`");
    }
    peer.hears_end();
}

/// A client that just hangs up is let go. Both servers.
#[test]
fn hanging_up() {
    let mut peer = Peer::in_session();
    peer.client().finish_sending().unwrap();
    peer.hears_end();
}
