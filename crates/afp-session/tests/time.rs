//! Timers, ends, and bytes of all kinds.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a broken expectation should stop the test"
)]

mod common;

use std::time::Duration;

use afp_session::{Ending, LoginOutcome};
use common::{ATTENTION, Bench, CLOSE_SESSION, COMMAND, PASSWORD, TICKLE};
use proptest::prelude::*;
use testkit::client::{Frame, LoginExt};

const SECOND: Duration = Duration::from_secs(1);

/// Lets the announced moments come, one after the other, for at most `time`.
fn run(bench: &mut Bench, time: Duration) {
    let end = bench.clock.now() + time;
    while let Some(at) = bench.wake_at.filter(|at| *at <= end && !bench.closed) {
        bench.advance(at.saturating_sub(bench.clock.now()));
    }
    if !bench.closed {
        bench.advance(end.saturating_sub(bench.clock.now()));
    }
}

#[test]
fn the_first_frame_has_ten_seconds() {
    let mut bench = Bench::new();
    bench.send(&[0; 15]);
    assert_eq!(bench.wake_at, Some(10 * SECOND));
    bench.advance(9 * SECOND);
    assert!(!bench.closed);
    bench.advance(SECOND);
    assert_eq!(bench.endings, [Ending::FirstFrameTimeout]);
    assert!(bench.frames.is_empty());
}

#[test]
fn a_connection_that_sends_nothing_is_silent() {
    let mut bench = Bench::new();
    bench.session.end_of_input(SECOND);
    bench.drain();
    assert_eq!(bench.endings, [Ending::Silent]);
    let mut bench = Bench::new();
    bench.send(&[0]);
    bench.session.end_of_input(SECOND);
    bench.drain();
    assert_eq!(bench.endings, [Ending::HungUp]);
}

#[test]
fn the_whole_login_has_a_minute() {
    let mut bench = Bench::open();
    bench.clock.advance(29 * SECOND);
    bench.challenge(b"alice");
    bench.request(TICKLE, &[]);
    run(&mut bench, 30 * SECOND);
    assert!(!bench.closed);
    bench.request(TICKLE, &[]);
    run(&mut bench, SECOND);
    assert_eq!(bench.endings, [Ending::LoginTimeout]);
    assert!(matches!(bench.logins[0].outcome, LoginOutcome::Abandoned));
    assert_eq!(bench.frames.last().map(|frame| frame.command), Some(CLOSE_SESSION));
}

#[test]
fn a_tickle_goes_out_after_thirty_seconds_of_silence_and_none_before() {
    let mut bench = Bench::signed_in();
    for _ in 0..100 {
        bench.advance(29 * SECOND);
        bench.request(COMMAND, &[0x10, 0]);
        assert_eq!(bench.replies().len(), 1);
    }
    run(&mut bench, 119 * SECOND);
    assert_eq!(bench.frames.iter().map(|frame| (frame.flags, frame.command)).collect::<Vec<_>>(), [(0, TICKLE); 3]);
    let ids: Vec<_> = bench.frames.iter().map(|frame| frame.id).collect();
    assert_eq!(ids, [0, 1, 2], "a server's requests are numbered by themselves, from 0");
}

#[test]
fn two_minutes_without_a_byte_end_the_session() {
    let mut bench = Bench::signed_in();
    run(&mut bench, 119 * SECOND);
    assert!(!bench.closed);
    run(&mut bench, SECOND);
    assert_eq!(bench.endings, [Ending::Dead]);
    assert_eq!(bench.frames.last().map(|frame| frame.command), Some(CLOSE_SESSION));
    assert_eq!(bench.clock.now(), 120 * SECOND);
}

#[test]
fn a_tickle_keeps_the_session() {
    let mut bench = Bench::signed_in();
    for _ in 0..100 {
        run(&mut bench, 30 * SECOND);
        bench.request(TICKLE, &[]);
    }
    assert!(!bench.closed);
}

#[test]
fn a_sleeping_client_is_left_alone_for_ten_hours() {
    let mut bench = Bench::signed_in();
    bench.request(COMMAND, &[0x7a, 0, 0, 0, 0, 1]);
    assert_eq!(bench.replies(), [(0, vec![0, 0, 0, 10])]);
    bench.request(TICKLE, &[]);
    run(&mut bench, Duration::from_hours(9));
    assert!(bench.frames.is_empty() && !bench.closed);
    bench.request(COMMAND, &[0x7a, 0, 0, 0, 0, 2]);
    bench.replies();
    run(&mut bench, 31 * SECOND);
    assert_eq!(bench.frames.remove(0).command, TICKLE);
    bench.request(COMMAND, &[0x7a, 0, 0, 0, 0, 1]);
    run(&mut bench, Duration::from_hours(10));
    assert_eq!(bench.endings, [Ending::SleptTooLong]);
}

#[test]
fn the_old_kind_of_sleep_ends_with_any_packet() {
    let mut bench = Bench::signed_in();
    bench.request(COMMAND, &[0x7a, 0, 0, 0, 0, 0]);
    run(&mut bench, Duration::from_hours(1));
    bench.request(TICKLE, &[]);
    run(&mut bench, 120 * SECOND);
    assert_eq!(bench.endings, [Ending::Dead]);
}

#[test]
fn after_logout_the_client_has_ten_seconds_to_close() {
    let mut bench = Bench::signed_in();
    bench.request(COMMAND, &[0x14, 0]);
    run(&mut bench, 10 * SECOND);
    assert_eq!(bench.endings, [Ending::LingeredAfterLogout]);
}

#[test]
fn shutting_down_says_good_bye() {
    let mut bench = Bench::signed_in();
    bench.session.shut_down(SECOND);
    bench.drain();
    let commands: Vec<_> = bench.frames.iter().map(|frame| frame.command).collect();
    assert_eq!(commands, [ATTENTION, CLOSE_SESSION]);
    assert_eq!(bench.frames[0].payload, [0x80, 0]);
    assert_eq!(bench.endings, [Ending::ShutDown]);

    let mut bench = Bench::new();
    bench.session.shut_down(SECOND);
    bench.drain();
    assert!(bench.frames.is_empty() && bench.closed);
}

#[test]
fn shutting_down_finishes_the_reply_first() {
    let mut bench = Bench::open();
    bench.hold = true;
    bench.request(COMMAND, &LoginExt::new(b"alice").bytes());
    bench.session.shut_down(SECOND);
    bench.drain();
    assert!(!bench.closed);
    bench.release();
    let commands: Vec<_> = bench.frames.iter().map(|frame| (frame.command, frame.code)).collect();
    assert_eq!(commands, [(COMMAND, -5001), (ATTENTION, 0), (CLOSE_SESSION, 0)]);
    assert_eq!(bench.endings, [Ending::ShutDown]);

    let mut bench = Bench::signed_in();
    bench.hold = true;
    bench.request(COMMAND, &[0x10, 0]);
    bench.session.shut_down(SECOND);
    bench.drain();
    assert!(!bench.closed);
    bench.release();
    assert_eq!(bench.frames.iter().map(|frame| frame.command).collect::<Vec<_>>(), [COMMAND, ATTENTION, CLOSE_SESSION]);
}

/// What a client might send next, right or wrong.
fn segment() -> impl Strategy<Value = Vec<u8>> {
    let call = prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..40),
        Just(LoginExt::new(b"alice").bytes()),
        Just(LoginExt::new(b"nobody").bytes()),
        Just(testkit::client::LoginCont::new(&[3; 192], &[1; 20]).bytes()),
        proptest::sample::select(vec![vec![0x10, 0], vec![0x14, 0], vec![0x7a, 0, 0, 0, 0, 1], vec![0x13]]),
    ];
    prop_oneof![
        3 => (0_u8..10, any::<u16>(), call).prop_map(|(command, id, call)| Frame::request(command, id, &call).bytes()),
        1 => proptest::collection::vec(any::<u8>(), 0..64),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

    /// Whatever comes: no panic, nothing after the end, and nobody is signed in without a proof.
    #[test]
    fn any_bytes_at_any_time(segments in proptest::collection::vec((segment(), 0_u64..40), 1..20), opened: bool) {
        let mut bench = if opened { Bench::open() } else { Bench::new() };
        for (segment, seconds) in segments {
            bench.send(&segment);
            bench.advance(Duration::from_secs(seconds));
            prop_assert!(!bench.session.is_signed_in());
        }
        bench.session.end_of_input(bench.clock.now());
        bench.drain();
        prop_assert!(bench.closed);
        prop_assert_eq!(bench.endings.len(), 1);
    }

    /// How the bytes are cut makes no difference.
    #[test]
    fn any_cut_gives_the_same_replies(cuts in proptest::collection::vec(1_usize..200, 1..12)) {
        let stream: Vec<u8> = [
            Frame::request(common::OPEN_SESSION, 0, &[]).bytes(),
            Frame::request(COMMAND, 1, &[0x10, 0]).bytes(),
            Frame::request(TICKLE, 2, &[]).bytes(),
            Frame::request(COMMAND, 3, &LoginExt::new(b"nobody").bytes()).bytes(),
        ].concat();
        let mut whole = Bench::new();
        whole.send(&stream);
        let mut cut = Bench::new();
        let (mut rest, mut sizes) = (&stream[..], cuts.into_iter().cycle());
        while !rest.is_empty() {
            let (now, later) = rest.split_at(sizes.next().unwrap_or(1).min(rest.len()));
            cut.send(now);
            rest = later;
        }
        let seen = |bench: &Bench| bench.frames.iter().map(Frame::bytes).collect::<Vec<_>>();
        prop_assert_eq!(seen(&whole), seen(&cut));
    }
}

#[test]
fn a_password_is_needed_after_all() {
    let mut bench = Bench::open();
    bench.log_in(b"alice", PASSWORD);
    assert!(bench.session.is_signed_in());
}
