//! Logins: right, wrong, malformed, and out of order.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a broken expectation should stop the test"
)]

mod common;

use std::time::Duration;

use afp_session::{Busy, Ending, LoginOutcome, LoginRefusal, LoginReport, Settings};
use common::{
    ATTENTION, Bench, CLOSE_SESSION, COMMAND, GET_STATUS, OPEN_SESSION, PASSWORD, SERVER_INFO, TICKLE, WRITE, answer,
};
use srp_uam::{NoRecord, Outcome, ProofForm, Rejected, UnknownUsers};
use testkit::client::{Frame, LoginCont, LoginExt, Pad, fp_login};

#[test]
fn a_whole_login_and_logout() {
    let mut bench = Bench::open();
    bench.clock.advance(Duration::from_millis(3));
    let exchange = bench.log_in(b"alice", PASSWORD);
    let m2 = [&[0, 4, 0, 20], &exchange.m2[..]].concat();
    assert_eq!(bench.replies(), [(0, m2)]);
    assert!(bench.session.is_signed_in());
    let [report] = &bench.logins[..] else { panic!("one login, not {:?}", bench.logins) };
    assert_eq!((&report.login_name[..], &report.uam[..]), (&b"alice"[..], &b"SRP"[..]));
    let LoginOutcome::SignedIn { account, form } = &report.outcome else { panic!("{report:?}") };
    assert_eq!((&**account, *form), ("alice", ProofForm::Strip));

    bench.request(COMMAND, &[0x14, 0]);
    assert_eq!(bench.replies(), [(0, vec![])]);
    assert!(!bench.session.is_signed_in());
    bench.request(COMMAND, &[0x10, 0]);
    assert_eq!(bench.replies(), [(-5024, vec![])]);
    bench.request(CLOSE_SESSION, &[]);
    assert_eq!(bench.endings, [Ending::ClosedByClient]);
    assert!(bench.frames.is_empty() && bench.closed);
}

#[test]
fn the_same_bytes_one_by_one() {
    let mut bench = Bench::open();
    for byte in Frame::request(COMMAND, 7, &LoginExt::new(b"alice").bytes()).bytes() {
        bench.send(&[byte]);
    }
    let challenge = bench.frames.pop().unwrap();
    assert_eq!(challenge.id, 7);
    let exchange = answer(b"alice", PASSWORD, &challenge.payload);
    for byte in Frame::request(COMMAND, 8, &LoginCont::new(&exchange.a_pub, &exchange.m1).bytes()).bytes() {
        bench.send(&[byte]);
    }
    assert_eq!((bench.frames[0].id, bench.frames[0].code), (8, 0));
}

#[test]
fn fp_login_works_too() {
    let mut bench = Bench::open();
    bench.request(COMMAND, &fp_login(b"AFP3.4", b"SRP", b"\x05alice"));
    let challenge = bench.frames.pop().unwrap().payload;
    let exchange = answer(b"alice", PASSWORD, &challenge);
    bench.request(COMMAND, &LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
    assert_eq!(bench.replies()[0].0, 0);
    assert_eq!(bench.logins[0].login_name, b"alice");
}

#[test]
fn a_wrong_password() {
    let mut bench = Bench::open();
    bench.log_in(b"alice", b"wrong");
    bench.assert_refused(-6754, &[]);
    let LoginOutcome::Refused { why: LoginRefusal::Rejected(Rejected::WrongProof { account }), .. } =
        &bench.logins[0].outcome
    else {
        panic!("{:?}", bench.logins)
    };
    assert_eq!(account, "alice");
}

#[test]
fn an_empty_password() {
    let mut bench = Bench::open();
    bench.log_in(b"alice", b"");
    bench.assert_refused(-6754, &[]);
}

#[test]
fn unknown_and_disabled_are_revealed_alike() {
    for name in [&b"nobody"[..], b"mallory", b"ALICE", b"alice\0junk", b"\xff\xfe"] {
        let mut bench = Bench::open();
        bench.request(COMMAND, &LoginExt::new(name).bytes());
        bench.assert_refused(-5023, &[0, 1]);
    }
}

#[test]
fn under_decoy_they_get_a_challenge_that_no_password_answers() {
    let mut salts = Vec::new();
    for name in [&b"nobody"[..], b"mallory", b"nobody"] {
        let mut bench = Bench::decoy();
        bench.open_session();
        let challenge = bench.challenge(name);
        assert_ne!(challenge[221], 0, "B begins with a zero byte");
        salts.push(challenge[203..219].to_vec());
        let exchange = answer(name, PASSWORD, &challenge);
        bench.request(COMMAND, &LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
        bench.assert_refused(-6754, &[]);
        assert!(
            matches!(
                &bench.logins[0].outcome,
                LoginOutcome::Refused {
                    why: LoginRefusal::Rejected(Rejected::DecoyProof(NoRecord::Unknown | NoRecord::Disabled { .. })),
                    ..
                }
            ),
            "{:?}",
            bench.logins
        );
    }
    assert_eq!(salts[0], salts[2], "the same name has the same salt every time");
    assert_ne!(salts[0], salts[1]);

    let mut bench = Bench::decoy();
    bench.open_session();
    bench.log_in(b"alice", PASSWORD);
    assert_eq!(bench.replies()[0].0, 0);
}

#[test]
fn messages_that_break_their_layout() {
    let name_type = LoginExt { name_type: 1, ..LoginExt::new(b"alice") };
    let foreign = LoginExt { user_auth_info: vec![0, 3], ..LoginExt::new(b"alice") };
    let junk = LoginExt { user_auth_info: vec![0, 1, 0], ..LoginExt::new(b"alice") };
    let too_long = LoginExt { name_length: Some(200), ..LoginExt::new(b"alice") };
    let uam = |uam: &[u8]| LoginExt { uam: uam.to_vec(), ..LoginExt::new(b"alice") };
    let version = |version: &[u8]| LoginExt { version: version.to_vec(), ..LoginExt::new(b"alice") };
    let rows: Vec<(Vec<u8>, i32)> = vec![
        (name_type.bytes(), -5019),
        (foreign.bytes(), -5019),
        (junk.bytes(), -5019),
        (too_long.bytes(), -5019),
        (LoginExt::new(b"").bytes(), -5019),
        (LoginExt::new(&[b'x'; 256]).bytes(), -5019),
        (LoginExt { path: vec![0], ..LoginExt::new(b"alice") }.bytes(), -5019),
        (LoginExt { path: vec![], pad: Pad::Never, user_auth_info: vec![], ..LoginExt::new(b"alice") }.bytes(), -5019),
        (uam(b"srp").bytes(), -5002),
        (uam(b"S").bytes(), -5002),
        (uam(b"SRPX").bytes(), -5002),
        (uam(b"").bytes(), -5002),
        (uam(b"DHX2").bytes(), -5002),
        // A guest's call has no name in it; what it wants is judged first.
        (LoginExt { name: vec![], ..uam(b"No User Authent") }.bytes(), -5002),
        (LoginExt { name: vec![], ..version(b"AFP2.2") }.bytes(), -5003),
        (version(b"AFP3.9").bytes(), -5003),
        (version(b"AFP3").bytes(), -5003),
        (version(b"AFP2.2").bytes(), -5003),
        (version(b"").bytes(), -5003),
        (vec![0x3f], -5003),
        (vec![0x3f, 0, 0, 0], -5003),
        (b"\x3f\0\0\0\x06AFP3.4".to_vec(), -5002),
        (b"\x3f\0\0\0\x06AFP3.4\x03SRP".to_vec(), -5019),
        (fp_login(b"AFP3.4", b"SRP", b""), -5019),
        (fp_login(b"AFP3.4", b"SRP", b"\x06alice"), -5019),
    ];
    for (call, code) in rows {
        let mut bench = Bench::open();
        bench.request(COMMAND, &call);
        bench.assert_refused(code, &[]);
        assert_eq!(bench.logins.len(), 1);
    }
}

#[test]
fn user_auth_info_with_and_without_the_pad_or_none() {
    for (pad, info) in
        [(Pad::Always, vec![0, 1]), (Pad::Never, vec![0, 1]), (Pad::WhenOdd, vec![]), (Pad::Never, vec![])]
    {
        for name in [&b"alice"[..], b"bob"] {
            let mut bench = Bench::open();
            let call = LoginExt { pad, user_auth_info: info.clone(), ..LoginExt::new(name) };
            bench.request(COMMAND, &call.bytes());
            assert_eq!(bench.replies()[0].0, -5001, "{pad:?} {info:?}");
        }
    }
}

#[test]
fn proofs_that_break_their_layout_use_the_challenge_up() {
    let good = |bench: &mut Bench| {
        let challenge = bench.challenge(b"alice");
        let exchange = answer(b"alice", PASSWORD, &challenge);
        LoginCont::new(&exchange.a_pub, &exchange.m1)
    };
    let changes: [fn(&mut LoginCont); 10] = [
        |cont| cont.step = 1,
        |cont| cont.a_length = Some(0xffff),
        |cont| cont.a = vec![],
        |cont| cont.a = vec![0; 192],
        |cont| cont.a.insert(0, 0),
        |cont| cont.m1_length = Some(19),
        |cont| cont.m1_length = Some(21),
        |cont| cont.m1 = vec![],
        |cont| cont.tail = vec![1],
        |cont| cont.tail = vec![0, 0],
    ];
    for (number, change) in changes.into_iter().enumerate() {
        let mut bench = Bench::open();
        let mut cont = good(&mut bench);
        change(&mut cont);
        bench.request(COMMAND, &cont.bytes());
        bench.assert_refused(-5023, &[]);
        assert!(!bench.session.is_signed_in(), "change {number}");
    }
    for cut in 1..8 {
        let mut bench = Bench::open();
        let cont = good(&mut bench).bytes();
        bench.request(COMMAND, &cont[..cut]);
        bench.assert_refused(-5023, &[]);
    }
    let mut bench = Bench::open();
    let cont = LoginCont { tail: vec![0], id: 0x1234, pad: 0xff, ..good(&mut bench) };
    bench.request(COMMAND, &cont.bytes());
    assert_eq!(bench.replies()[0].0, 0, "one zero byte is padding, the ID is not looked at");
}

#[test]
fn a_proof_without_a_challenge() {
    let mut bench = Bench::open();
    bench.request(COMMAND, &LoginCont::new(&[1; 192], &[1; 20]).bytes());
    bench.assert_refused(-5023, &[]);
}

#[test]
fn a_second_login_drops_the_first() {
    let mut bench = Bench::open();
    let first = bench.challenge(b"alice");
    let second = bench.challenge(b"alice");
    assert_ne!(first[221..], second[221..], "B is drawn anew");
    assert!(matches!(bench.logins[0].outcome, LoginOutcome::Abandoned));
    let stale = answer(b"alice", PASSWORD, &first);
    bench.request(COMMAND, &LoginCont::new(&stale.a_pub, &stale.m1).bytes());
    bench.assert_refused(-6754, &[]);
}

#[test]
fn a_second_login_may_name_another_user_and_only_that_one_is_signed_in() {
    let mut bench = Bench::open();
    bench.challenge(b"alice");
    let challenge = bench.challenge(b"bob");
    let exchange = answer(b"bob", PASSWORD, &challenge);
    bench.request(COMMAND, &LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
    let LoginOutcome::SignedIn { account, .. } = &bench.logins[1].outcome else { panic!("{:?}", bench.logins) };
    assert_eq!(&**account, "bob");
}

/// The first challenge is gone even when the second call cannot be read.
#[test]
fn a_malformed_second_login_drops_the_first_as_well() {
    let mut bench = Bench::open();
    bench.challenge(b"alice");
    bench.request(COMMAND, &[0x3f]);
    bench.assert_refused(-5003, &[]);
    assert!(matches!(bench.logins[0].outcome, LoginOutcome::Abandoned));
}

#[test]
fn nothing_but_login_calls_before_login() {
    let mut bench = Bench::open();
    for command in (1..=255_u8).filter(|command| ![18, 19, 63].contains(command)) {
        bench.request(COMMAND, &[command, 0]);
        assert_eq!(bench.replies(), [(-5024, vec![])], "command {command}");
    }
    let challenge = bench.challenge(b"alice");
    bench.request(COMMAND, &[0x10, 0]);
    bench.request(COMMAND, &[0x14, 0]);
    bench.request(WRITE, &LoginExt::new(b"alice").bytes());
    assert_eq!(bench.replies(), [(-5024, vec![]), (-5024, vec![]), (-5024, vec![])]);
    // The challenge has not been touched.
    let exchange = answer(b"alice", PASSWORD, &challenge);
    bench.request(COMMAND, &LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
    assert_eq!(bench.replies()[0].0, 0);
}

#[test]
fn login_calls_after_login() {
    let mut bench = Bench::signed_in();
    for call in [
        LoginExt::new(b"bob").bytes(),
        fp_login(b"AFP3.4", b"SRP", b"\x03bob"),
        LoginCont::new(&[1; 192], &[1; 20]).bytes(),
        vec![0x13],
    ] {
        bench.request(COMMAND, &call);
        assert_eq!(bench.replies(), [(-5024, vec![])]);
        assert!(bench.session.is_signed_in());
    }
}

#[test]
fn calls_after_login_go_to_the_service() {
    let mut bench = Bench::signed_in();
    bench.request(COMMAND, &[0x25, 1, 0, 0, 0, 0, 0, 1]);
    bench.request(COMMAND, &[0x18, 0, 0, 0x20, 0]);
    bench.request(WRITE, &[0x25, 1, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0]);
    assert_eq!(bench.replies(), [(0, vec![0, 1, 0, 0, 1, 0xf5]), (-5024, vec![]), (-5024, vec![])]);
    bench.request(COMMAND, &[]);
    assert_eq!(bench.replies(), [(-5019, vec![])]);
    bench.request(GET_STATUS, &[]);
    assert_eq!(bench.replies(), [(0, SERVER_INFO.to_vec())]);
}

#[test]
fn frames_wait_while_a_login_is_computed() {
    let mut bench = Bench::open();
    bench.hold = true;
    bench.request(COMMAND, &LoginExt::new(b"alice").bytes());
    assert!(!bench.session.wants_input());
    assert_eq!(bench.session.buffered(), 0);
    bench.request(COMMAND, &[0x10, 0]);
    bench.request(COMMAND, &[0x11, 0]);
    assert!(bench.frames.is_empty());
    assert_eq!(bench.session.buffered(), 2 * (16 + 2));
    bench.release();
    assert_eq!(bench.session.buffered(), 0);
    let ids: Vec<_> = bench.frames.iter().map(|frame| (frame.id, frame.code)).collect();
    assert_eq!(ids, [(1, -5001), (2, -5024), (3, -5024)]);
    assert!(bench.session.wants_input());
}

#[test]
fn frames_wait_while_a_call_is_served() {
    let mut bench = Bench::signed_in();
    bench.hold = true;
    bench.request(COMMAND, &[0x10, 0]);
    assert!(!bench.session.wants_input());
    bench.request(TICKLE, &[]);
    bench.request(COMMAND, &[0x14, 0]);
    assert!(bench.frames.is_empty());
    bench.release();
    assert_eq!(bench.frames.iter().map(|frame| frame.code).collect::<Vec<_>>(), [0, 0]);
}

/// A proof glued to the FPLoginExt cannot know B; it answers the challenge all the same, and is wrong.
#[test]
fn a_proof_in_the_same_segment() {
    let mut bench = Bench::open();
    let ext = Frame::request(COMMAND, 1, &LoginExt::new(b"alice").bytes()).bytes();
    let cont = Frame::request(COMMAND, 2, &LoginCont::new(&[1; 192], &[1; 20]).bytes()).bytes();
    bench.send(&[ext, cont].concat());
    assert_eq!(bench.frames.remove(0).code, -5001);
    bench.assert_refused(-6754, &[]);
}

#[test]
fn an_outcome_that_comes_too_late_is_forgotten() {
    let mut bench = Bench::open();
    bench.hold = true;
    bench.request(COMMAND, &LoginExt::new(b"alice").bytes());
    bench.session.end_of_input(bench.clock.now());
    bench.drain();
    assert_eq!(bench.endings, [Ending::HungUp]);
    assert!(matches!(bench.logins[0].outcome, LoginOutcome::Abandoned));
    bench.finish(Outcome::Rejected(Rejected::Internal));
    assert!(bench.frames.is_empty());
}

#[test]
fn no_randomness_is_an_error_of_ours() {
    let mut bench = Bench::open();
    bench.hold = true;
    bench.request(COMMAND, &LoginExt::new(b"alice").bytes());
    bench.finish(Outcome::Rejected(Rejected::Randomness));
    bench.assert_refused(-5014, &[]);
}

#[test]
fn the_first_frame() {
    let mut bench = Bench::new();
    bench.request(GET_STATUS, &[]);
    assert_eq!(bench.replies(), [(0, SERVER_INFO.to_vec())]);
    assert_eq!(bench.endings, [Ending::StatusServed]);
    assert!(bench.closed);

    for command in [0, 1, 2, 5, 6, 7, 8, 9, 255] {
        let mut bench = Bench::new();
        bench.request(command, &[0; 12]);
        assert_eq!(bench.endings, [Ending::FirstFrame], "command {command}");
        assert!(bench.frames.is_empty());
    }
    let mut bench = Bench::new();
    bench.send(&Frame { flags: 1, ..Frame::request(OPEN_SESSION, 0, &[]) }.bytes());
    assert_eq!(bench.endings, [Ending::FirstFrame]);
}

#[test]
fn open_session_options() {
    let mut bench = Bench::new();
    bench.request(OPEN_SESSION, &[]);
    assert_eq!(bench.replies()[0].0, 0);
    // CVE-2018-1160: the length of an option was believed.
    for options in [&[1, 0][..], &[1, 3, 0, 0, 0], &[1, 5, 0, 0, 0, 0, 0], &[1, 255], &[1, 4, 0], &[1]] {
        let mut bench = Bench::new();
        bench.request(OPEN_SESSION, options);
        assert_eq!(bench.endings, [Ending::OpenSession], "{options:?}");
    }
}

#[test]
fn a_second_open_session_and_unknown_commands_are_passed_over() {
    let mut bench = Bench::open();
    for command in [0, 4, 7, 8, 9, 200] {
        bench.request(command, &[1; 300]);
    }
    bench.send(&Frame { flags: 1, ..Frame::request(ATTENTION, 0, &[]) }.bytes());
    bench.send(&Frame { flags: 1, ..Frame::request(COMMAND, 0, &LoginExt::new(b"alice").bytes()) }.bytes());
    assert!(bench.frames.is_empty());
    bench.log_in(b"alice", PASSWORD);
    assert_eq!(bench.replies()[0].0, 0);
}

#[test]
fn payloads_over_the_limit_end_the_connection() {
    let mut bench = Bench::open();
    bench.send(&Frame::request(COMMAND, 1, &[]).bytes_announcing(4097));
    assert!(matches!(bench.endings[..], [Ending::Frame(_)]));
    assert!(bench.frames.is_empty() && bench.closed);

    let mut bench = Bench::signed_in();
    bench.send(&Frame::request(COMMAND, 1, &[]).bytes_announcing(0x10_0000 + 65));
    assert!(matches!(bench.endings[..], [Ending::Frame(_)]));
    let mut bench = Bench::signed_in();
    bench.request(WRITE, &[&[61; 20][..], &vec![0; 0x10_0000]].concat());
    assert_eq!(bench.replies(), [(-5024, vec![])], "a full quantum behind an FPWriteExt");
}

#[test]
fn no_room() {
    let mut bench = Bench::busy();
    bench.request(OPEN_SESSION, &[]);
    assert_eq!(bench.replies(), [(0xfbd1, vec![])]);
    assert_eq!(bench.endings, [Ending::Busy]);
    let mut bench = Bench::busy();
    bench.request(GET_STATUS, &[]);
    assert_eq!(bench.replies(), [(0, SERVER_INFO.to_vec())]);
}

/// Server information is asked for one at a time: what follows waits for the decision, in order.
#[test]
fn server_information_may_be_refused() {
    let mut bench = Bench::new();
    bench.refuse_status = true;
    bench.request(GET_STATUS, &[]);
    assert_eq!(bench.replies(), [(0xfbd1, vec![])]);
    assert_eq!(bench.endings, [Ending::StatusRefused]);

    let mut bench = Bench::signed_in();
    bench.refuse_status = true;
    let two = [Frame::request(GET_STATUS, 1, &[]).bytes(), Frame::request(COMMAND, 2, &[0xff]).bytes()].concat();
    bench.send(&two);
    assert_eq!(bench.replies(), [(0xfbd1, vec![]), (-5024, vec![])]);
    assert_eq!(bench.endings, []);
    bench.session.status(None, bench.clock.now());
    bench.drain();
    assert!(bench.frames.is_empty(), "nobody has asked");
}

#[test]
fn a_login_is_turned_away_in_either_round() {
    for why in [Busy::Queue, Busy::Rate, Busy::Sessions] {
        let mut bench = Bench::open();
        bench.hold = true;
        bench.request(COMMAND, &LoginExt::new(b"alice").bytes());
        bench.session.turned_away(why, bench.clock.now());
        bench.drain();
        bench.assert_refused(-1068, &[]);
        assert!(
            matches!(bench.logins[..], [LoginReport { outcome: LoginOutcome::Refused { why: LoginRefusal::Busy(busy), .. }, .. }] if busy == why)
        );
    }

    // The proof is right, and its outcome is not used.
    let mut bench = Bench::open();
    let challenge = bench.challenge(b"alice");
    let exchange = answer(b"alice", PASSWORD, &challenge);
    bench.hold = true;
    bench.request(COMMAND, &LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
    let job = bench.jobs.pop().unwrap();
    assert!(matches!(bench.authenticator.run(job), Outcome::Authenticated(_)));
    bench.session.turned_away(Busy::Sessions, bench.clock.now());
    bench.drain();
    bench.assert_refused(-1068, &[]);

    let mut bench = Bench::signed_in();
    bench.session.turned_away(Busy::Queue, bench.clock.now());
    bench.drain();
    assert!(bench.session.is_signed_in() && bench.frames.is_empty());
}

#[test]
fn what_is_not_offered_here_cannot_be_asked_for() {
    let mut bench = Bench::with(Settings { uams: Vec::new(), ..Settings::default() }, UnknownUsers::Reveal);
    bench.open_session();
    bench.request(COMMAND, &LoginExt::new(b"alice").bytes());
    bench.assert_refused(-5002, &[]);
}

#[test]
fn an_evicted_client_is_told_if_it_listens() {
    let mut silent = Bench::new();
    silent.session.evict(silent.clock.now());
    silent.drain();
    assert!(silent.frames.is_empty() && silent.closed);
    assert_eq!(silent.endings, [Ending::Evicted]);

    let mut challenged = Bench::open();
    challenged.challenge(b"alice");
    challenged.session.evict(challenged.clock.now());
    challenged.drain();
    let said: Vec<_> = challenged.frames.iter().map(|frame| frame.command).collect();
    assert_eq!(said, [ATTENTION, CLOSE_SESSION]);
    assert!(matches!(challenged.logins[..], [LoginReport { outcome: LoginOutcome::Abandoned, .. }]));
    assert_eq!(challenged.endings, [Ending::Evicted]);

    let mut gone = Bench::new();
    gone.session.end_of_input(gone.clock.now());
    gone.session.evict(gone.clock.now());
    gone.drain();
    assert_eq!(gone.endings, [Ending::Silent]);
}
