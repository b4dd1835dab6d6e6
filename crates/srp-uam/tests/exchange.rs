//! The exchange against a store on disk and a client that computes with the slow second SRP.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a broken expectation should stop the test"
)]

use std::convert::Infallible;
use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::sync::Arc;

use afp_proto::afp::{FpLogin, FpLoginCont, FpLoginExt};
use afp_proto::{DecodeError, ResultCode};
use rand_core::{TryCryptoRng, TryRng};
use srp_uam::{
    Authenticated, Authenticator, Begin, Challenge, DecoySecret, NoRecord, Peer, ProofForm, Refusal, Rejected,
    UnknownUsers,
};
use srp6a::Group;
use testkit::client::{LoginCont, LoginExt, fp_login};
use testkit::rng::SeededRng;
use testkit::slow_srp::{AForm, AfpClientExchange, Form};
use verifier_store::{Format, NewAccount, Store};

const PASSWORD: &[u8] = b"oc34thA2";

fn peer() -> Peer {
    Peer::unknown(std::time::UNIX_EPOCH)
}

struct Server {
    directory: tempfile::TempDir,
    authenticator: Authenticator,
    rng: SeededRng,
}

impl Server {
    fn new(unknown_users: UnknownUsers) -> Server {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::create(Format::Native, &directory.path().join("accounts")).unwrap();
        let mut rng = SeededRng::new(5);
        for (name, group) in [("alice", Group::Bits1536), ("big", Group::Bits3072), ("mallory", Group::Bits1536)] {
            let account = NewAccount { name, full_name: None, group, password: PASSWORD };
            store.add(&account, &mut rng).unwrap();
        }
        store.add_alias("alice", "Alice Liddell", PASSWORD, &mut rng).unwrap();
        store.disable("mallory").unwrap();
        Server { directory, authenticator: Authenticator::new(Arc::new(store), unknown_users), rng }
    }

    fn reveal() -> Server {
        Server::new(UnknownUsers::Reveal)
    }

    fn decoy() -> Server {
        Server::new(UnknownUsers::Decoy(DecoySecret::from_bytes([3; 32])))
    }

    fn begin(&mut self, name: &[u8]) -> Result<Challenge, Rejected> {
        let call = LoginExt::new(name).bytes();
        let begin = Begin::from_login_ext(&FpLoginExt::decode(&call).unwrap())?;
        assert_eq!(begin.login_name(), name);
        self.authenticator.begin(begin, &peer(), &mut self.rng)
    }

    fn prove(&self, challenge: Challenge, exchange: &AfpClientExchange) -> Result<Authenticated, Rejected> {
        let call = LoginCont::new(&exchange.a_pub, &exchange.m1).bytes();
        let prove = challenge.await_proof.proof(FpLoginCont::decode(&call).unwrap().user_auth_info)?;
        self.authenticator.prove(prove, &peer())
    }

    fn log_in(&mut self, name: &[u8], password: &[u8]) -> Result<Authenticated, Rejected> {
        let challenge = self.begin(name)?;
        let a = self.rng.bytes::<32>();
        let exchange = AfpClientExchange::answer(name, password, &challenge.reply, &a, AForm::SPECIFICATION).unwrap();
        let authenticated = self.prove(challenge, &exchange)?;
        assert_eq!(authenticated.reply(), [&[0, 4, 0, 20], &exchange.m2[..]].concat());
        assert_eq!(authenticated.session_key().as_bytes(), exchange.session_key);
        Ok(authenticated)
    }
}

#[test]
fn the_right_password() {
    let mut server = Server::reveal();
    let authenticated = server.log_in(b"alice", PASSWORD).unwrap();
    assert_eq!((authenticated.account(), authenticated.login_name()), ("alice", &b"alice"[..]));
    assert_eq!(authenticated.form(), ProofForm::Strip);
}

#[test]
fn any_login_name_of_the_account() {
    let authenticated = Server::reveal().log_in(b"Alice Liddell", PASSWORD).unwrap();
    assert_eq!((authenticated.account(), authenticated.login_name()), ("alice", &b"Alice Liddell"[..]));
}

#[test]
fn the_challenge_is_laid_out_as_the_specification_says() {
    let mut server = Server::reveal();
    let reply = server.begin(b"alice").unwrap().reply;
    assert_eq!(reply.len(), 413);
    assert_eq!(reply[..6], [0, 0, 0, 2, 0, 192]);
    assert_eq!(reply[6..198], *Group::Bits1536.modulus());
    assert_eq!(reply[198..203], [0, 1, 2, 0, 16]);
    assert_eq!(reply[219..221], [0, 192]);
    for _ in 0..1000 {
        assert_ne!(server.begin(b"alice").unwrap().reply[221], 0, "B begins with a zero byte");
    }
    let reply = server.begin(b"big").unwrap().reply;
    assert_eq!((reply.len(), &reply[2..4]), (4 + 2 + 384 + 3 + 18 + 2 + 384, &[0, 4][..]));
}

#[test]
fn a_group_of_3072_bits() {
    let authenticated = Server::reveal().log_in(b"big", PASSWORD).unwrap();
    assert_eq!(authenticated.account(), "big");
}

#[test]
fn wrong_passwords() {
    let mut server = Server::reveal();
    for password in [&b""[..], b"oc34thA", b"OC34THA2", b"oc34thA2 "] {
        match server.log_in(b"alice", password) {
            Err(Rejected::WrongProof { account }) => assert_eq!(account, "alice"),
            other => panic!("{other:?}"),
        }
    }
}

#[test]
fn no_record() {
    let mut server = Server::reveal();
    assert!(matches!(server.begin(b"nobody"), Err(Rejected::NoRecord(NoRecord::Unknown))));
    match server.begin(b"mallory") {
        Err(Rejected::NoRecord(NoRecord::Disabled { account })) => assert_eq!(account, "mallory"),
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_store_that_has_become_insecure_lets_nobody_in() {
    for mut server in [Server::reveal(), Server::decoy()] {
        server.log_in(b"alice", PASSWORD).unwrap();
        let accounts = server.directory.path().join("accounts");
        fs::set_permissions(&accounts, fs::Permissions::from_mode(0o777)).unwrap();
        match server.log_in(b"alice", PASSWORD) {
            Err(Rejected::NoRecord(NoRecord::Store(error)) | Rejected::DecoyProof(NoRecord::Store(error))) => {
                assert!(error.to_string().contains("chmod"), "{error}");
            }
            other => panic!("{other:?}"),
        }
    }
}

/// The forms a client may hash A in, when A begins with a zero byte.
#[test]
fn leading_zeros_in_a() {
    let mut server = Server::reveal();
    let forms = [
        (Form::Pad, Form::Strip, ProofForm::Strip),
        (Form::Strip, Form::Strip, ProofForm::Strip),
        (Form::Strip, Form::Pad, ProofForm::Pad),
    ];
    for (wire, proof, expected) in forms {
        let challenge = server.begin(b"alice").unwrap();
        let exchange = loop {
            let a = server.rng.bytes::<32>();
            let form = AForm { wire, proof };
            let exchange = AfpClientExchange::answer(b"alice", PASSWORD, &challenge.reply, &a, form).unwrap();
            if exchange.a_pub.len() < 192 || exchange.a_pub[0] == 0 {
                break exchange;
            }
        };
        let authenticated = server.prove(challenge, &exchange).unwrap();
        assert_eq!(authenticated.form(), expected);
        assert_eq!(authenticated.reply()[4..], exchange.m2, "M2 uses the client's form");
    }
}

#[test]
fn numbers_out_of_range() {
    let mut server = Server::reveal();
    let n = Group::Bits1536.modulus();
    for a in [vec![0; 192], vec![0], n.to_vec(), vec![], vec![1; 193]] {
        let challenge = server.begin(b"alice").unwrap();
        let exchange = AfpClientExchange { a_pub: a, m1: vec![0; 20], m2: vec![], session_key: vec![] };
        let rejected = server.prove(challenge, &exchange).unwrap_err();
        assert!(matches!(rejected, Rejected::Refused(_) | Rejected::ProofMalformed(_)), "{rejected:?}");
        assert_eq!(rejected.answer(), (ResultCode::USER_NOT_AUTH, &[][..]));
    }
}

#[test]
fn a_decoy_looks_like_an_account() {
    let mut server = Server::decoy();
    let real = server.begin(b"alice").unwrap().reply;
    let decoy = server.begin(b"nobody").unwrap().reply;
    assert_eq!(real.len(), decoy.len());
    assert_eq!(real[..203], decoy[..203], "all but salt and B");
    assert_eq!(real[219..221], decoy[219..221]);
    assert_eq!(decoy[203..219], server.begin(b"nobody").unwrap().reply[203..219], "the salt stays");
    assert_ne!(decoy[203..219], server.begin(b"nobodz").unwrap().reply[203..219]);
    assert_ne!(decoy[221..], server.begin(b"nobody").unwrap().reply[221..], "B does not");

    let mut elsewhere = Server::new(UnknownUsers::Decoy(DecoySecret::from_bytes([4; 32])));
    assert_ne!(decoy[203..219], elsewhere.begin(b"nobody").unwrap().reply[203..219], "another server, another salt");

    for name in [&b"nobody"[..], b"mallory"] {
        let rejected = server.log_in(name, PASSWORD).unwrap_err();
        assert!(matches!(rejected, Rejected::DecoyProof(_)), "{rejected:?}");
        assert_eq!(rejected.answer(), server.log_in(b"alice", b"wrong").unwrap_err().answer());
    }
    server.log_in(b"alice", PASSWORD).unwrap();
}

/// A malformed proof is refused alike, decoy or not.
#[test]
fn a_decoy_refuses_like_an_account() {
    let mut server = Server::decoy();
    let answers: Vec<_> = [&b"alice"[..], b"nobody"]
        .into_iter()
        .map(|name| {
            let challenge = server.begin(name).unwrap();
            let exchange = AfpClientExchange { a_pub: vec![0; 192], m1: vec![0; 20], m2: vec![], session_key: vec![] };
            server.prove(challenge, &exchange).unwrap_err().answer()
        })
        .collect();
    assert_eq!(answers[0], answers[1]);
    assert_eq!(answers[0].0, ResultCode::USER_NOT_AUTH);
}

#[test]
fn the_old_login_call() {
    let mut server = Server::reveal();
    let call = fp_login(b"AFP3.4", b"SRP", b"\x05alice");
    let begin = Begin::from_login(&FpLogin::decode(&call).unwrap()).unwrap();
    assert_eq!(begin.login_name(), b"alice");
    let call = fp_login(b"AFP3.4", b"SRP", b"");
    let rejected = Begin::from_login(&FpLogin::decode(&call).unwrap()).unwrap_err();
    assert_eq!(rejected.answer(), (ResultCode::PARAM_ERR, &[][..]));
    assert!(server.authenticator.begin(begin, &peer(), &mut server.rng).is_ok());
}

#[test]
fn no_randomness() {
    struct Dry;
    #[derive(Debug)]
    struct Empty;
    impl std::fmt::Display for Empty {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.write_str("empty")
        }
    }
    impl std::error::Error for Empty {}
    impl TryRng for Dry {
        type Error = Empty;
        fn try_next_u32(&mut self) -> Result<u32, Empty> {
            Err(Empty)
        }
        fn try_next_u64(&mut self) -> Result<u64, Empty> {
            Err(Empty)
        }
        fn try_fill_bytes(&mut self, _: &mut [u8]) -> Result<(), Empty> {
            Err(Empty)
        }
    }
    impl TryCryptoRng for Dry {}
    let server = Server::reveal();
    let call = LoginExt::new(b"alice").bytes();
    let begin = Begin::from_login_ext(&FpLoginExt::decode(&call).unwrap()).unwrap();
    let rejected = server.authenticator.begin(begin, &peer(), &mut Dry).unwrap_err();
    assert_eq!(rejected.answer(), (ResultCode::MISC_ERR, &[][..]));
    assert!(DecoySecret::generate(&mut Dry).is_err());
}

/// What every refusal tells the client: the whole table.
#[test]
fn answers() {
    let account = || "alice".to_owned();
    let decode = DecodeError::Trailing { offset: 0, extra: 1 };
    let no_records = || {
        let store = verifier_store::StoreError::EmptyPassword;
        let reason = verifier_store::UnusableReason::VerifierZero;
        [
            NoRecord::Unknown,
            NoRecord::Disabled { account: account() },
            NoRecord::Unusable { account: account(), reason },
            NoRecord::Store(Arc::new(store)),
        ]
    };
    let mut rows = vec![
        (Rejected::InitMalformed(decode), -5019, &[][..]),
        (Rejected::ProofMalformed(decode), -5023, &[]),
        (Rejected::Refused(srp6a::Refused::PublicKeyZero), -5023, &[]),
        (Rejected::Refused(srp6a::Refused::ScramblerZero), -5023, &[]),
        (Rejected::Refused(srp6a::Refused::PublicKeyLength { got: 0, max: 192 }), -5023, &[]),
        (Rejected::Refused(srp6a::Refused::ProofLength { got: 0, expected: 20 }), -5023, &[]),
        (Rejected::WrongProof { account: account() }, -6754, &[]),
        (Rejected::TooManyFailures { account: account(), refusal: Refusal::Network { seconds: 1 } }, -6754, &[]),
        (Rejected::TooManyFailures { account: account(), refusal: Refusal::Account { seconds: 1 } }, -6754, &[]),
        (Rejected::TooManyFailures { account: account(), refusal: Refusal::Locked }, -6754, &[]),
        (Rejected::TooManyFailures { account: account(), refusal: Refusal::Uncounted }, -6754, &[]),
        (Rejected::Randomness, -5014, &[]),
        (Rejected::Internal, -5014, &[]),
    ];
    rows.extend(no_records().map(|why| (Rejected::NoRecord(why), -5023, &[0, 1][..])));
    rows.extend(no_records().map(|why| (Rejected::DecoyProof(why), -6754, &[][..])));
    for (rejected, code, payload) in rows {
        assert_eq!(rejected.answer(), (ResultCode(code), payload), "{rejected}");
    }
}

#[test]
fn nothing_prints_a_secret() {
    let secret = DecoySecret::from_bytes([0xab; 32]);
    assert_eq!(format!("{secret:?}"), "DecoySecret");
    let mut rng = SeededRng::new(1);
    let made: Result<DecoySecret, Infallible> = DecoySecret::generate(&mut rng);
    assert_ne!(made.unwrap().as_bytes(), secret.as_bytes());

    let mut server = Server::reveal();
    let challenge = server.begin(b"alice").unwrap();
    let shown = format!("{:?}", challenge.await_proof);
    assert!(!shown.contains("verifier"), "{shown}");
    let authenticated = server.log_in(b"alice", PASSWORD).unwrap();
    let key: Vec<String> = authenticated.session_key().as_bytes().iter().map(u8::to_string).collect();
    assert!(!format!("{authenticated:?}").contains(&key[..4].join(", ")));
}
