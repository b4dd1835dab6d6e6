//! How much, how many, how long: frame lengths, connections at once, timers (cases T).
//!
//! Facts: the AFP Reference on tickles (30 seconds, 2 minutes) and on the request quantum. Cases about time run against a daemon of
//! ours with short settings; Netatalk's two minutes for everything were measured and are not waited for here.

#![expect(clippy::panic, reason = "tests")]

use std::sync::Arc;
use std::time::{Duration, Instant};

use conformance::{Peer, code, differs, hung_up, own_subject, replied, replied_something};
use testkit::client::{Client, Frame, Heard, PATIENCE, dsi};
use testkit::subject::Subject;

/// F7. The longest payload before login is 4096 bytes with ours; with Netatalk, the quantum.
#[test]
fn before_login_4096_bytes() {
    let mut peer = Peer::in_session();
    peer.calls(&[&[0xff; 1], [0; 4095].as_slice()].concat());
    peer.hears(replied(code::CALL_NOT_SUPPORTED));
    peer.calls(&[&[0xff; 1], [0; 4096].as_slice()].concat());
    peer.hears(differs("login-frame-limit", hung_up(), replied(code::CALL_NOT_SUPPORTED)));
}

/// S11. 2 MiB announced: more than any quantum offered. The connection ends before they are sent. Both servers.
#[test]
fn s11_2_mib_announced() {
    let mut peer = Peer::in_session();
    peer.sends_raw(&Frame::request(dsi::COMMAND, 1, &[]).bytes_announcing(2 << 20));
    peer.hears(hung_up());
}

/// The same for the first frame, of either kind, up to 4 GiB. Both servers.
#[test]
fn s11_in_the_first_frame() {
    for command in [dsi::GET_STATUS, dsi::OPEN_SESSION] {
        for length in [2 << 20, u32::MAX] {
            let mut peer = Peer::connected();
            peer.sends_raw(&Frame::request(command, 0, &[]).bytes_announcing(length));
            peer.hears(hung_up());
        }
    }
}

/// After login a payload as long as the quantum is taken. Both servers.
#[test]
fn after_login_the_quantum() {
    let mut peer = Peer::signed_in();
    let call: Vec<u8> = std::iter::once(0xff).chain(std::iter::repeat_n(0, 0x10_0000 - 1)).collect();
    peer.calls(&call);
    peer.hears(replied(code::CALL_NOT_SUPPORTED));
}

/// After login 2 MiB are still too much. Both servers.
#[test]
fn after_login_2_mib() {
    let mut peer = Peer::signed_in();
    peer.sends_raw(&Frame::request(dsi::COMMAND, 9, &[]).bytes_announcing(2 << 20));
    peer.hears(hung_up());
}

/// A hundred connections at once are none too many. Both servers.
#[test]
fn a_hundred_sessions() {
    let mut peers: Vec<_> = (0..100).map(|_| Peer::in_session()).collect();
    peers.iter_mut().for_each(Peer::is_heard);
}

/// F9. No room: DSIOpenSession is told so (0xfbd1, as Netatalk says it) and the connection ends; those who are in stay in, and when one
/// leaves there is room. Only those who have signed in take room.
#[test]
fn no_room() {
    let Some(subject) = own_subject("[limits]\nmax_sessions = 1\n") else { return };
    let mut first = Peer::in_session_with(subject.clone());
    let mut late = Peer::in_session_with(subject.clone());
    let name = first.accounts().even;
    first.signs_in(&name);
    // A session that was opened while there was room: its proof is right and it is turned away.
    let challenge = late.is_challenged_as(&name);
    let exchange = late.exchange(&name, &challenge);
    late.calls(&testkit::client::LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
    late.hears(conformance::refused(code::NO_MORE_SESSIONS));
    let mut second = Peer::connected_to(subject.clone());
    second.asks(dsi::OPEN_SESSION, &[]);
    let reply = second.reply();
    assert_eq!((reply.code, reply.payload.len()), (0xfbd1, 0), "server busy");
    second.hears_end();
    // What the server is may be asked all the same. (Netatalk gives DSIGetStatus the same refusal.)
    let mut third = Peer::connected_to(subject.clone());
    third.asks(dsi::GET_STATUS, &[]);
    assert_eq!(third.reply().code, code::NO_ERR);
    first.is_heard();
    drop(first);
    gets_in(&subject);
}

/// A signed-in client that is lost without a good-bye leaves its place to others. (Netatalk keeps it for a day, in case the client comes
/// back, and counts it.)
#[test]
fn a_lost_client_leaves_its_place() {
    let Some(subject) = own_subject("[limits]\nmax_sessions = 1\n") else { return };
    let mut lost = Peer::in_session_with(subject.clone());
    let name = lost.accounts().even;
    lost.signs_in(&name);
    lost.client().finish_sending().expect("still connected");
    lost.hears_end();
    gets_in(&subject);
}

/// There is room for another session, as soon as the server has learnt that the last one is over.
#[track_caller]
fn gets_in(subject: &Arc<Subject>) {
    let until = Instant::now() + PATIENCE;
    loop {
        let mut next = Peer::connected_to(subject.clone());
        next.asks(dsi::OPEN_SESSION, &[]);
        if next.reply().code == code::NO_ERR {
            return next.is_heard();
        }
        assert!(Instant::now() < until, "still no room after {PATIENCE:?}");
    }
}

/// T1. Nobody waits for a first frame for ever: the connection ends without a word.
#[test]
fn t1_no_first_frame() {
    let Some(subject) = own_subject("[timers]\nfirst_frame = 0.3\n") else { return };
    let began = Instant::now();
    Peer::connected_to(subject.clone()).hears_end();
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    // Half a frame is none.
    let mut peer = Peer::connected_to(subject);
    peer.sends_raw(&[0, dsi::GET_STATUS, 0]);
    peer.hears_end();
}

/// T2. Nor for a login: DSICloseSession, then the end; with a challenge out, and with a client that tickles, too.
#[test]
fn t2_no_login() {
    let Some(subject) = own_subject("[timers]\nlogin = 1\n") else { return };
    let mut idle = Peer::in_session_with(subject.clone());
    let mut challenged = Peer::in_session_with(subject.clone());
    let mut tickling = Peer::in_session_with(subject);
    let name = challenged.accounts().even;
    challenged.is_challenged_as(&name);
    tickling.sends_raw(&Frame::request(dsi::TICKLE, 0, &[]).bytes());
    for peer in [&mut idle, &mut challenged, &mut tickling] {
        assert_eq!(peer.hears_something(), Heard::Frame(Frame::request(dsi::CLOSE_SESSION, 0, &[])));
        peer.hears_end();
    }
}

/// T3. The server tickles when it has been silent, and lets a client go that is.
#[test]
fn t3_a_silent_client_is_tickled_and_dropped() {
    let Some(subject) = own_subject("[timers]\ntickle = 0.3\ndead = 1.5\n") else { return };
    let mut peer = Peer::in_session_with(subject);
    let name = peer.accounts().even;
    peer.signs_in(&name);
    let began = Instant::now();
    let tickles = tickles_until(peer.client(), |frame| frame.command == dsi::CLOSE_SESSION);
    assert!(tickles >= 2, "{tickles} tickles");
    assert!(began.elapsed() >= Duration::from_millis(1400), "{:?}", began.elapsed());
    peer.hears_end();
}

/// T4. A client that answers each tickle with a tickle stays, longer than a login may take too.
#[test]
fn t4_a_tickling_client_stays() {
    let Some(subject) = own_subject("[timers]\nlogin = 2\ntickle = 0.3\ndead = 2\n") else { return };
    let mut peer = Peer::in_session_with(subject);
    let name = peer.accounts().even;
    peer.signs_in(&name);
    let began = Instant::now();
    while began.elapsed() < Duration::from_secs(3) {
        match peer.client().hear() {
            Ok(Heard::Frame(frame)) => assert_eq!((frame.flags, frame.command), (0, dsi::TICKLE)),
            other => panic!("{other:?} after {:?}", began.elapsed()),
        }
        peer.sends_raw(&Frame::request(dsi::TICKLE, 0, &[]).bytes());
    }
}

/// T5. A client that sleeps (FPZzzzz) is neither tickled nor dropped, and is there when it wakes.
#[test]
fn t5_a_sleeping_client_is_left_alone() {
    let Some(subject) = own_subject("[timers]\ntickle = 0.3\ndead = 1.5\n") else { return };
    let mut peer = Peer::in_session_with(subject);
    let name = peer.accounts().even;
    peer.signs_in(&name);
    peer.calls(&[122, 0, 0, 0, 0, 1]);
    assert_eq!(peer.reply().code, code::NO_ERR);
    let heard = peer.client().hear_within(Duration::from_millis(2500));
    assert!(matches!(heard, Ok(Heard::Silence)), "{heard:?}");
    peer.calls(&[122, 0, 0, 0, 0, 2]);
    peer.hears(replied_something(code::NO_ERR));
    tickles_until(peer.client(), |frame| frame.command == dsi::CLOSE_SESSION);
}

/// Reads tickles until another frame comes, which must be this one, and counts them.
#[track_caller]
fn tickles_until(client: &mut Client, expected: impl Fn(&Frame) -> bool) -> u32 {
    let mut tickles = 0;
    loop {
        match client.hear_within(PATIENCE) {
            Ok(Heard::Frame(frame)) if frame.command == dsi::TICKLE => {
                assert_eq!((frame.flags, frame.payload.len()), (0, 0));
                tickles += 1;
            }
            Ok(Heard::Frame(frame)) if expected(&frame) => return tickles,
            other => panic!("{other:?} after {tickles} tickles"),
        }
    }
}

/// L1. A hundred wrong passwords: each is refused, nobody is locked out, and the right one works right after. Both servers.
#[test]
fn a_hundred_wrong_passwords() {
    let name = conformance::subject().accounts.even.clone();
    for _ in 0..100 {
        let mut peer = Peer::in_session();
        peer.is_challenged_as(&name);
        peer.calls(&testkit::client::LoginCont::new(&[7; 192], &[7; 20]).bytes());
        peer.hears(conformance::refused(code::SRP_PROOF_FAILED));
    }
    Peer::signed_in_as(&name).is_heard();
}
