//! Round 2: FPLoginCont (cases C01 to C37), and the order of things around it (S01 to S15).
//!
//! Facts: the specification (AFP SRP User Authentication Method), "Round 2" and "Cryptographic Operations"; RFC 5054 section 2.5.4
//! for A; and what Netatalk 4.5.1 answered to each of these.
#![expect(clippy::indexing_slicing, clippy::unwrap_used, reason = "tests")]

use conformance::{
    Answer, Peer, Want, challenged, code, differs, hung_up, private_key_with_short_a, refused, replied, signed_in,
};
use testkit::client::{Frame, Heard, LoginCont, LoginExt, dsi};
use testkit::slow_srp::{AForm, Form, SlowGroup};
use testkit::subject::Kind;

/// A login whose FPLoginCont is right but for this change.
#[track_caller]
fn login_cont(change: impl FnOnce(&mut LoginCont), want: impl Into<Want>) {
    let mut peer = Peer::in_session();
    let name = peer.accounts().even;
    let challenge = peer.is_challenged_as(&name);
    let exchange = peer.exchange(&name, &challenge);
    let mut call = LoginCont::new(&exchange.a_pub, &exchange.m1);
    change(&mut call);
    peer.calls(&call.bytes());
    let proof = peer.hears(want);
    if !proof.is_empty() {
        assert_eq!(proof[4..], exchange.m2, "M2");
    }
}

/// A login whose FPLoginCont is cut to this length.
#[track_caller]
fn login_cont_cut(length: usize, want: impl Into<Want>) {
    let mut peer = Peer::in_session();
    let name = peer.accounts().even;
    let challenge = peer.is_challenged_as(&name);
    let exchange = peer.exchange(&name, &challenge);
    let call = LoginCont::new(&exchange.a_pub, &exchange.m1).bytes();
    peer.calls(&call[..length]);
    peer.hears(want);
}

/// A login with this private key and these forms of A.
#[track_caller]
fn login_with_short_a(form: AForm, length: usize, want: impl Into<Want>) {
    let mut peer = Peer::in_session();
    let accounts = peer.accounts();
    let challenge = peer.is_challenged_as(&accounts.even);
    let key = private_key_with_short_a();
    let exchange = peer.exchange_with(&accounts.even, &accounts.password, &challenge, &key, form);
    assert_eq!(exchange.a_pub.len(), length);
    peer.calls(&LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
    let proof = peer.hears(want);
    if !proof.is_empty() {
        assert_eq!(proof[4..], exchange.m2, "M2 in the form that the client used");
    }
}

/// What a malformed FPLoginCont gets from both servers.
const MALFORMED: Answer = refused(code::USER_NOT_AUTH);
/// What a wrong proof gets from both servers.
const WRONG: Answer = refused(code::SRP_PROOF_FAILED);

fn n() -> Vec<u8> {
    SlowGroup::afp().n.to_bytes_be()
}

/// N with its last byte changed by one: N is odd and does not end in 0xff.
fn n_and(change: impl FnOnce(u8) -> u8) -> Vec<u8> {
    let mut bytes = n();
    let last = bytes.last_mut().unwrap();
    *last = change(*last);
    bytes
}

/// C01. 0, then 0004, 20 and M2. Both servers.
#[test]
fn c01_the_right_proof() {
    login_cont(|_| {}, signed_in());
}

/// C02. Both servers.
#[test]
fn c02_one_wrong_bit_in_the_proof() {
    login_cont(|call| call.m1[19] ^= 1, WRONG);
}

/// Each bit of M1 counts. (Every eighth here: each is a login.)
#[test]
fn c02_a_wrong_bit_in_each_byte_of_the_proof() {
    for byte in 0..20 {
        login_cont(|call| call.m1[byte] ^= 0x80, WRONG);
    }
}

/// C03. Both servers: -6754 and nothing, as the specification has it for a wrong or empty password.
#[test]
fn c03_a_wrong_password() {
    for password in ["not-the-password", ""] {
        let mut peer = Peer::in_session();
        let name = peer.accounts().even;
        let challenge = peer.is_challenged_as(&name);
        let exchange = peer.exchange_with(&name, password, &challenge, &[9; 32], AForm::SPECIFICATION);
        peer.calls(&LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
        peer.hears(WRONG);
    }
}

/// C04. A = 0 would make S = 0 whatever the password. Both servers: refused, -5023.
#[test]
fn c04_a_is_zero() {
    login_cont(|call| call.a = vec![0; 192], MALFORMED);
    login_cont(|call| call.a = vec![0], MALFORMED);
}

/// C05. Both servers.
#[test]
fn c05_a_is_empty() {
    login_cont(|call| call.a = vec![], MALFORMED);
}

/// C06. A = N is A = 0. Both servers.
#[test]
fn c06_a_is_n() {
    login_cont(|call| call.a = n(), MALFORMED);
}

/// C07. A = N + 1 is A = 1: allowed, and no proof for it. Both servers.
#[test]
fn c07_a_is_n_plus_1() {
    login_cont(|call| call.a = n_and(|last| last + 1), WRONG);
}

/// C08. Both servers.
#[test]
fn c08_a_is_1() {
    login_cont(|call| call.a = vec![1], WRONG);
}

/// C09. Both servers.
#[test]
fn c09_a_is_n_minus_1() {
    login_cont(|call| call.a = n_and(|last| last - 1), WRONG);
}

/// C10. Both servers.
#[test]
fn c10_a_is_as_great_as_can_be() {
    login_cont(|call| call.a = vec![0xff; 192], WRONG);
}

/// C11. 193 bytes are too many even if the first is zero and the proof right. Both servers.
#[test]
fn c11_a_of_193_bytes() {
    login_cont(|call| call.a.insert(0, 0), MALFORMED);
}

/// C12. Both servers.
#[test]
fn c12_the_length_of_a_is_a_lie() {
    login_cont(|call| call.a_length = Some(0xffff), MALFORMED);
}

/// C13. Both servers.
#[test]
fn c13_cut_within_a() {
    login_cont_cut(108, MALFORMED);
}

/// C14. A has a zero byte in front: on the wire 192 bytes, in the proof 191, as specified. Both servers.
#[test]
fn c14_a_short_a_padded_on_the_wire() {
    login_with_short_a(AForm { wire: Form::Pad, proof: Form::Strip }, 192, signed_in());
}

/// C15. The same with 191 bytes on the wire. Both servers.
#[test]
fn c15_a_short_a_stripped_on_the_wire() {
    login_with_short_a(AForm { wire: Form::Strip, proof: Form::Strip }, 191, signed_in());
}

/// C16. The proof over the padded A. The specification leaves open whether an Apple client might do this; ours accepts it, and M2 uses
/// the same form. Netatalk refuses.
#[test]
fn c16_a_short_a_padded_in_the_proof() {
    let want = || differs("padded-proof", signed_in(), WRONG);
    login_with_short_a(AForm { wire: Form::Pad, proof: Form::Pad }, 192, want());
    login_with_short_a(AForm { wire: Form::Strip, proof: Form::Pad }, 191, want());
}

/// C17 to C20. The step is 3. Both servers.
#[test]
fn c17_to_c20_another_step() {
    for step in [1, 0, 4, 0x0300] {
        login_cont(|call| call.step = step, MALFORMED);
    }
}

/// C21. Both servers.
#[test]
fn c21_a_proof_of_0_bytes() {
    login_cont(|call| call.m1 = vec![], MALFORMED);
}

/// C22. Both servers.
#[test]
fn c22_a_proof_of_19_bytes() {
    login_cont(|call| call.m1.truncate(19), MALFORMED);
}

/// C23. Both servers.
#[test]
fn c23_a_proof_of_21_bytes() {
    login_cont(|call| call.m1.push(0), MALFORMED);
}

/// C24. Both servers.
#[test]
fn c24_half_a_proof() {
    login_cont_cut(212, MALFORMED);
}

/// C25. Both servers.
#[test]
fn c25_no_proof() {
    login_cont_cut(200, MALFORMED);
}

/// C26. One zero byte behind the proof is padding. Both servers.
#[test]
fn c26_one_byte_behind_the_proof() {
    login_cont(|call| call.tail = vec![0], signed_in());
}

/// C26. A byte that is not zero is no padding; Netatalk does not look.
#[test]
fn c26_one_byte_behind_the_proof_that_is_not_zero() {
    login_cont(|call| call.tail = vec![1], differs("trailing-bytes", MALFORMED, signed_in()));
}

/// C27. More is malformed; Netatalk does not look.
#[test]
fn c27_1000_bytes_behind_the_proof() {
    login_cont(|call| call.tail = vec![0; 2], differs("trailing-bytes", MALFORMED, signed_in()));
    login_cont(|call| call.tail = vec![0; 1000], differs("trailing-bytes", MALFORMED, signed_in()));
}

/// C28. The known clients send ID 0 whatever they were given, so nobody checks it. Both servers.
#[test]
fn c28_another_id() {
    login_cont(|call| call.id = 0x1234, signed_in());
}

/// C29. Both servers.
#[test]
fn c29_another_pad_byte() {
    login_cont(|call| call.pad = 0xff, signed_in());
}

/// C30 to C37. Both servers.
#[test]
fn c30_to_c37_cut_to_1_to_8_bytes() {
    for length in 1..=8 {
        login_cont_cut(length, MALFORMED);
    }
}

/// The rest of the lengths: around each field's end. Both servers.
#[test]
fn c37_cut_around_the_ends_of_the_fields() {
    for length in [9, 199, 201, 202, 203, 221] {
        login_cont_cut(length, MALFORMED);
    }
}

/// S01. Both servers.
#[test]
fn s01_a_proof_without_a_challenge() {
    let mut peer = Peer::in_session();
    peer.calls(&LoginCont::new(&[7; 192], &[7; 20]).bytes());
    peer.hears(MALFORMED);
}

/// S02. A second FPLoginExt drops the first exchange; the proof for the second challenge is right. Both servers.
#[test]
fn s02_the_proof_for_the_second_challenge() {
    let mut peer = Peer::in_session();
    let name = peer.accounts().even;
    let first = peer.is_challenged_as(&name);
    let second = peer.is_challenged_as(&name);
    assert_eq!(first[203..219], second[203..219], "the salt is the account's");
    assert_ne!(first[221..], second[221..], "B is the exchange's");
    peer.proves(&name, &second);
    peer.is_heard();
}

/// S03. The proof for the first challenge is wrong then. Both servers.
#[test]
fn s03_the_proof_for_the_first_challenge() {
    let mut peer = Peer::in_session();
    let name = peer.accounts().even;
    let first = peer.is_challenged_as(&name);
    peer.is_challenged_as(&name);
    let exchange = peer.exchange(&name, &first);
    peer.calls(&LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
    peer.hears(WRONG);
}

/// S04. The second may name another user: it is hers from then on. Both servers.
#[test]
fn s04_the_second_challenge_is_another_users() {
    let mut peer = Peer::in_session();
    let accounts = peer.accounts();
    peer.is_challenged_as(&accounts.even);
    peer.signs_in(&accounts.odd);
    peer.is_heard();
}

/// S04, the other way: the second user's name with the first user's proof is worth nothing. Both servers.
#[test]
fn s04_the_first_users_proof_for_the_second_users_challenge() {
    let mut peer = Peer::in_session();
    let accounts = peer.accounts();
    peer.is_challenged_as(&accounts.even);
    let challenge = peer.is_challenged_as(&accounts.odd);
    let exchange = peer.exchange(&accounts.even, &challenge);
    peer.calls(&LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
    peer.hears(WRONG);
}

/// S05. The second names nobody: refused, and the first is gone with it.
#[test]
fn s05_the_second_user_is_unknown() {
    let mut peer = Peer::in_session();
    let name = peer.accounts().even;
    peer.is_challenged_as(&name);
    peer.calls(&LoginExt::new(b"nobody-has-this-name").bytes());
    let want = differs("unknown-user", conformance::unknown_user(), refused(code::USER_NOT_AUTH));
    peer.hears(want);
}

/// One proof per challenge: after a wrong one the connection ends, and the right one behind it in the same segment is not looked at.
/// Both servers.
#[test]
fn s05_one_proof_per_challenge() {
    let mut peer = Peer::in_session();
    let name = peer.accounts().even;
    let challenge = peer.is_challenged_as(&name);
    let exchange = peer.exchange(&name, &challenge);
    let right = LoginCont::new(&exchange.a_pub, &exchange.m1);
    let mut wrong = right.clone();
    wrong.m1[0] ^= 1;
    let [wrong, right] = [(50, wrong), (51, right)].map(|(id, call)| Frame::request(dsi::COMMAND, id, &call.bytes()));
    peer.sends(&wrong);
    peer.sends_raw(&right.bytes());
    peer.awaits_reply_to(&wrong);
    peer.hears(WRONG);
}

/// S06. The same FPLoginExt with the same request id. Netatalk answers from its replay cache, the same 413 bytes; ours has no cache
/// before login, and makes a new challenge. With either, the proof for the last answer is right.
#[test]
fn s06_the_same_request_id_twice() {
    let mut peer = Peer::in_session();
    let name = peer.accounts().even;
    let request = Frame::request(dsi::COMMAND, 77, &LoginExt::new(name.as_bytes()).bytes());
    let [first, second] = [0, 1].map(|_| {
        peer.sends(&request);
        peer.reply()
    });
    assert_eq!((first.code, second.code), (code::AUTH_CONTINUE, code::AUTH_CONTINUE));
    match peer.kind() {
        Kind::AfpdRs => {
            assert_ne!(first.payload, second.payload, "docs/netatalk-differences.md, `replay-before-login`");
        }
        Kind::Netatalk => assert_eq!(first.payload, second.payload),
    }
    peer.client().set_next_id(78);
    peer.proves(&name, &second.payload);
}

/// S09. One byte per segment. Both servers.
#[test]
fn s09_one_byte_at_a_time() {
    let mut peer = Peer::in_session();
    let name = peer.accounts().even;
    let challenge = peer.is_challenged_as(&name);
    let exchange = peer.exchange(&name, &challenge);
    let request = Frame::request(dsi::COMMAND, 40, &LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
    peer.client().dribble(&request.bytes()).unwrap();
    peer.awaits_reply_to(&request);
    peer.hears(signed_in());
}

/// S10. FPLoginExt and a proof that cannot be right, in one segment: two answers in order. Both servers.
#[test]
fn s10_two_calls_in_one_segment() {
    let mut peer = Peer::in_session();
    let name = peer.accounts().even;
    let ext = Frame::request(dsi::COMMAND, 60, &LoginExt::new(name.as_bytes()).bytes());
    let cont = Frame::request(dsi::COMMAND, 61, &LoginCont::new(&[7; 192], &[7; 20]).bytes());
    peer.sends_raw(&[ext.bytes(), cont.bytes()].concat());
    peer.awaits_reply_to(&ext);
    let reply = peer.reply();
    assert_eq!((reply.code, reply.payload.len()), (code::AUTH_CONTINUE, 413));
    peer.awaits_reply_to(&cont);
    peer.hears(WRONG);
}

/// The whole login in one write each way cannot be done (M1 needs B), but OpenSession and FPLoginExt can. Both servers.
#[test]
fn s10_open_session_and_login_ext_in_one_segment() {
    let mut peer = Peer::connected();
    let name = peer.accounts().even;
    let open = Frame::request(dsi::OPEN_SESSION, 0, &[1, 4, 0, 0, 0, 2]);
    let ext = Frame::request(dsi::COMMAND, 1, &LoginExt::new(name.as_bytes()).bytes());
    peer.sends_raw(&[open.bytes(), ext.bytes()].concat());
    peer.awaits_reply_to(&open);
    assert_eq!(peer.reply().code, code::NO_ERR);
    peer.awaits_reply_to(&ext);
    let challenge = peer.reply();
    assert_eq!(challenge.code, code::AUTH_CONTINUE);
    peer.client().set_next_id(2);
    peer.proves(&name, &challenge.payload);
}

/// S12. FPLogout before login. Netatalk answers 0; with ours it is a call that needs a login. With either the challenge stays valid.
#[test]
fn s12_logout_between_challenge_and_proof() {
    let mut peer = Peer::in_session();
    let name = peer.accounts().even;
    let challenge = peer.is_challenged_as(&name);
    peer.calls(&[20, 0]);
    peer.hears(differs("logout-before-login", replied(code::CALL_NOT_SUPPORTED), replied(code::NO_ERR)));
    if peer.kind() == Kind::AfpdRs {
        peer.proves(&name, &challenge);
    }
}

/// S13. Another call between challenge and proof is refused and changes nothing. Both servers.
#[test]
fn s13_another_call_between_challenge_and_proof() {
    let mut peer = Peer::in_session();
    let name = peer.accounts().even;
    let challenge = peer.is_challenged_as(&name);
    peer.calls(&[16, 0]);
    peer.hears(replied(code::CALL_NOT_SUPPORTED));
    peer.proves(&name, &challenge);
}

/// S14. A login by DHX2, then a proof by SRP. Ours does not offer DHX2; Netatalk sends back 64 KiB of its reply buffer.
#[test]
fn s14_a_proof_for_another_uam() {
    let mut peer = Peer::in_session();
    let mut ext = LoginExt::new(peer.accounts().even.as_bytes());
    (ext.uam, ext.user_auth_info) = (b"DHX2".to_vec(), vec![]);
    peer.calls(&ext.bytes());
    if peer.kind() == Kind::AfpdRs {
        peer.hears(refused(code::BAD_UAM));
        return;
    }
    assert_eq!(peer.reply().code, code::AUTH_CONTINUE);
    peer.calls(&LoginCont::new(&[7; 192], &[7; 20]).bytes());
    let reply = peer.reply();
    assert_eq!((reply.code, reply.payload.len()), (code::PARAM_ERR, 65_536), "docs/netatalk-differences.md, `uams`");
    peer.hears_closing();
}

/// S15. DSICloseSession has no reply; Netatalk sends a DSICloseSession of its own.
#[test]
fn s15_close_between_challenge_and_proof() {
    let mut peer = Peer::in_session();
    let name = peer.accounts().even;
    peer.is_challenged_as(&name);
    peer.asks(dsi::CLOSE_SESSION, &[]);
    match peer.kind() {
        Kind::AfpdRs => drop(peer.hears(differs("close-session", hung_up(), hung_up()))),
        Kind::Netatalk => {
            assert_eq!(peer.hears_something(), Heard::Frame(Frame::request(dsi::CLOSE_SESSION, 0, &[])));
            peer.hears_end();
        }
    }
}

/// Half-open: a client that leaves between challenge and proof leaves nothing behind. The next login of the same account works, and the
/// old challenge's proof is worth nothing on a new connection. Both servers.
#[test]
fn half_open_a_challenge_dies_with_its_connection() {
    let mut first = Peer::in_session();
    let name = first.accounts().even;
    let challenge = first.is_challenged_as(&name);
    let exchange = first.exchange(&name, &challenge);
    drop(first);
    let mut second = Peer::in_session();
    second.calls(&LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
    second.hears(MALFORMED);
    let mut third = Peer::in_session();
    third.calls(&LoginExt::new(name.as_bytes()).bytes());
    let challenge = third.hears(challenged());
    third.calls(&LoginCont::new(&exchange.a_pub, &exchange.m1).bytes());
    third.hears(WRONG);
    assert_eq!(challenge.len(), 413);
}

/// Half-open: many clients with a challenge at once, finished in another order. Both servers.
#[test]
fn half_open_many_challenges_at_once() {
    let mut peers: Vec<_> = (0..12).map(|_| Peer::in_session()).collect();
    let name = peers[0].accounts().even;
    let challenges: Vec<_> = peers.iter_mut().map(|peer| peer.is_challenged_as(&name)).collect();
    for (peer, challenge) in peers.iter_mut().zip(&challenges).rev() {
        peer.proves(&name, challenge);
    }
    peers.iter_mut().for_each(Peer::is_heard);
}
