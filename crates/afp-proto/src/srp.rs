//! The messages of the UAM "SRP": what the login calls carry for it and what their replies answer.
//!
//! | message | carried by | bytes |
//! |---|---|---|
//! | init marker | UserAuthInfo of FPLoginExt | `0001` |
//! | [`Challenge`] | reply -5001 | context 2, group index 2, then N, g, salt, B, each behind a two-byte count: 413 for 1536 bits |
//! | [`UnknownUser`] | reply -5023 | `0001` |
//! | [`ClientProof`] | UserAuthInfo of FPLoginCont | `0003`, then A and M1, each behind a two-byte count: 218 for 1536 bits |
//! | [`ServerProof`] | reply 0 | `0004`, then M2 behind a two-byte count: 24 |
//!
//! Big numbers are byte strings here: whether A is below N, or is 0, is for the engine to say.
//!
//! Source: the specification (AFP SRP User Authentication Method), section "Wire Format".

use core::fmt;

use bytes::BufMut;

use crate::afp::FpLoginExt;
use crate::error::{DecodeError, Field};
use crate::read::Reader;
use crate::strings::{Hidden, Pascal, WidePascal};

/// The UserAuthInfo with which a client begins.
pub const INIT: [u8; 2] = [0, 1];

const INIT_MARKER: u16 = 1;
const STEP_CLIENT_PROOF: u16 = 3;
const STEP_SERVER_PROOF: u16 = 4;

/// Bytes in M1 and in M2: one SHA-1.
pub const PROOF_LEN: usize = 20;

/// How a client began the exchange. All three mean the same; which one was seen is worth a log line.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InitMarker {
    /// `00 0001`: the marker behind a pad byte.
    WithPad,
    /// `0001`.
    WithoutPad,
    /// Nothing, or a pad byte where the rule wants one and nothing behind it.
    Empty,
}

/// Reads what stands behind the path of an FPLoginExt, pad byte and all.
///
/// The marker is taken with and without pad whatever the offset is: Apple's figure and netatalk-client pad to an even
/// offset, the specification's table does not.
///
/// # Errors
/// [`DecodeError`] for everything else.
pub fn decode_init(tail: &[u8]) -> Result<InitMarker, DecodeError> {
    match tail {
        [] => return Ok(InitMarker::Empty),
        [0, 1] => return Ok(InitMarker::WithoutPad),
        [0, 0, 1] => return Ok(InitMarker::WithPad),
        _ => {}
    }
    // Not a marker; say what it is instead.
    let mut reader = Reader::new(tail);
    if let [0, 0, ..] = tail {
        reader.u8(Field::Pad)?;
    }
    reader.exactly_u16(Field::InitMarker, INIT_MARKER)?;
    reader.finish()?;
    Err(DecodeError::Trailing { offset: 0, extra: tail.len() })
}

impl FpLoginExt<'_> {
    /// [`decode_init`] of this call's tail; a lone pad byte, where the rule wants one, is an empty UserAuthInfo.
    ///
    /// # Errors
    /// As [`decode_init`].
    pub fn srp_init(&self) -> Result<InitMarker, DecodeError> {
        match &*self.tail {
            [0] if self.tail_is_odd() => Ok(InitMarker::Empty),
            tail => decode_init(tail),
        }
    }
}

/// The UserAuthInfo of an FPLogin (18) for SRP: the user name, then perhaps the marker. Not in the specification; Netatalk
/// 4.5.1 takes it (measured), no client is known to send it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginInit<'a> {
    /// 1 to 255 bytes.
    pub user_name: Pascal<'a>,
    /// What follows it.
    pub marker: InitMarker,
}

impl<'a> LoginInit<'a> {
    /// # Errors
    /// [`DecodeError`] if there is no name, or neither nothing nor a marker behind it.
    pub fn decode(user_auth_info: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(user_auth_info);
        let user_name = reader.pascal(Field::UserName)?;
        if user_name.is_empty() {
            return Err(DecodeError::Length { field: Field::UserName, offset: 0, length: 0, min: 1, max: Pascal::MAX });
        }
        let marker = decode_init(reader.remainder())?;
        Ok(Self { user_name, marker })
    }

    /// The UserAuthInfo.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        self.user_name.encode_into(&mut out);
        out.extend_from_slice(match self.marker {
            InitMarker::WithPad => &[0, 0, 1],
            InitMarker::WithoutPad => &INIT,
            InitMarker::Empty => &[],
        });
        out
    }
}

/// The server's answer to a user it knows: everything the client needs to compute its proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Challenge<'a> {
    /// 0 in everything seen.
    pub context: u16,
    /// The group's number in RFC 5054 appendix A: 2 is 1536 bits, the only one Apple has been seen to use.
    pub group_index: u16,
    /// N, as long as the group.
    pub modulus: WidePascal<'a>,
    /// g, one byte.
    pub generator: WidePascal<'a>,
    /// 16 bytes.
    pub salt: WidePascal<'a>,
    /// B, as long as N.
    pub b_pub: WidePascal<'a>,
}

impl<'a> Challenge<'a> {
    /// # Errors
    /// [`DecodeError`] if a field runs past the end or bytes follow B.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let challenge = Self {
            context: reader.u16(Field::Context)?,
            group_index: reader.u16(Field::GroupIndex)?,
            modulus: reader.wide_pascal(Field::Modulus)?,
            generator: reader.wide_pascal(Field::Generator)?,
            salt: reader.wide_pascal(Field::Salt)?,
            b_pub: reader.wide_pascal(Field::ServerPublicKey)?,
        };
        reader.finish()?;
        Ok(challenge)
    }

    /// The payload of the reply.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u16(self.context);
        out.put_u16(self.group_index);
        for field in [self.modulus, self.generator, self.salt, self.b_pub] {
            field.encode_into(&mut out);
        }
        out
    }
}

/// The server's answer to a user it does not know, with -5023: the init marker, sent back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct UnknownUser;

impl UnknownUser {
    /// # Errors
    /// [`DecodeError`] if `payload` is not `0001`.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        reader.exactly_u16(Field::InitMarker, INIT_MARKER)?;
        reader.finish()?;
        Ok(Self)
    }

    /// The payload of the reply.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        INIT.to_vec()
    }
}

/// The client's half of the proof.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ClientProof<'a> {
    /// A: as long as N, or shorter where the client leaves leading zero bytes away.
    pub a_pub: WidePascal<'a>,
    /// M1: [`PROOF_LEN`] bytes.
    pub m1: WidePascal<'a>,
}

impl<'a> ClientProof<'a> {
    /// One zero byte after M1 is padding.
    ///
    /// # Errors
    /// [`DecodeError`] if the step is not 3, a field runs past the end, M1 is not 20 bytes long, or anything else follows it.
    pub fn decode(user_auth_info: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(user_auth_info);
        reader.exactly_u16(Field::Step, STEP_CLIENT_PROOF)?;
        let a_pub = reader.wide_pascal(Field::ClientPublicKey)?;
        let m1 = proof(&mut reader, Field::ClientProof)?;
        if reader.peek() == [0] {
            reader.u8(Field::Pad)?;
        }
        reader.finish()?;
        Ok(Self { a_pub, m1 })
    }

    /// The UserAuthInfo of an FPLoginCont, without padding.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u16(STEP_CLIENT_PROOF);
        self.a_pub.encode_into(&mut out);
        self.m1.encode_into(&mut out);
        out
    }
}

impl fmt::Debug for ClientProof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ClientProof")
            .field("a_pub", &Hidden(self.a_pub.len()))
            .field("m1", &Hidden(self.m1.len()))
            .finish()
    }
}

/// The server's half of the proof.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct ServerProof<'a> {
    /// M2: [`PROOF_LEN`] bytes.
    pub m2: WidePascal<'a>,
}

impl<'a> ServerProof<'a> {
    /// # Errors
    /// [`DecodeError`] if the step is not 4, M2 is not 20 bytes long, or anything follows it.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        reader.exactly_u16(Field::Step, STEP_SERVER_PROOF)?;
        let m2 = proof(&mut reader, Field::ServerProof)?;
        reader.finish()?;
        Ok(Self { m2 })
    }

    /// The payload of the reply.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        out.put_u16(STEP_SERVER_PROOF);
        self.m2.encode_into(&mut out);
        out
    }
}

impl fmt::Debug for ServerProof<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ServerProof").field("m2", &Hidden(self.m2.len())).finish()
    }
}

fn proof<'a>(reader: &mut Reader<'a>, field: Field) -> Result<WidePascal<'a>, DecodeError> {
    let offset = reader.offset();
    let proof = reader.wide_pascal(field)?;
    if proof.len() == PROOF_LEN {
        Ok(proof)
    } else {
        Err(DecodeError::Length { field, offset, length: proof.len(), min: PROOF_LEN, max: PROOF_LEN })
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::prop_round_trip;

    /// A challenge of the real layout, with letters for the numbers. The real ones are in the replay test.
    fn challenge_bytes() -> Vec<u8> {
        let (n, b) = ([b'N'; 192], [b'B'; 192]);
        [&hex!("0000 0002 00c0")[..], &n, &hex!("0001 02 0010"), &[b's'; 16], &hex!("00c0"), &b].concat()
    }

    fn client_proof_bytes() -> Vec<u8> {
        [&hex!("0003 00c0")[..], &[b'A'; 192], &hex!("0014"), &[b'M'; 20]].concat()
    }

    /// Offsets and sizes as the specification's table has them.
    #[test]
    fn challenge_is_413_bytes() {
        let wire = challenge_bytes();
        assert_eq!(wire.len(), 413);
        let challenge = Challenge::decode(&wire).unwrap();
        assert_eq!((challenge.context, challenge.group_index), (0, 2));
        assert_eq!((challenge.modulus.as_bytes(), challenge.generator.as_bytes()), (&wire[6..198], &wire[200..201]));
        assert_eq!((challenge.salt.as_bytes(), challenge.b_pub.as_bytes()), (&wire[203..219], &wire[221..413]));
        assert_eq!(challenge.encode(), wire);
        for length in 0..wire.len() {
            assert!(matches!(Challenge::decode(&wire[..length]), Err(DecodeError::Truncated { .. })), "{length}");
        }
        let long = [&wire[..], &[0]].concat();
        assert_eq!(Challenge::decode(&long), Err(DecodeError::Trailing { offset: 413, extra: 1 }));
    }

    /// Capture 05.
    #[test]
    fn unknown_user_is_the_marker_sent_back() {
        assert_eq!(UnknownUser::decode(&hex!("0001")), Ok(UnknownUser));
        assert_eq!(UnknownUser.encode(), hex!("0001"));
        for wrong in [&[][..], &[0], &hex!("0002"), &hex!("000100")] {
            assert!(UnknownUser::decode(wrong).is_err());
        }
    }

    /// Offsets and sizes as the specification's table has them, less the four bytes of FPLoginCont. Rows C12, C13, C24,
    /// C25 and C34 to C37 are among the cuts.
    #[test]
    fn client_proof_is_218_bytes() {
        let wire = client_proof_bytes();
        assert_eq!(wire.len(), 218);
        let proof = ClientProof::decode(&wire).unwrap();
        assert_eq!((proof.a_pub.as_bytes(), proof.m1.as_bytes()), (&wire[4..196], &wire[198..218]));
        assert_eq!(proof.encode(), wire);
        for length in 0..wire.len() {
            assert!(matches!(ClientProof::decode(&wire[..length]), Err(DecodeError::Truncated { .. })), "{length}");
        }
    }

    #[test]
    fn client_proof_may_have_one_zero_byte_behind_it() {
        let wire = client_proof_bytes();
        let proof = ClientProof::decode(&wire).unwrap();
        assert_eq!(ClientProof::decode(&[&wire[..], &[0]].concat()), Ok(proof));
        for (tail, extra) in [(&[1][..], 1), (&[0, 0], 2), (&[0; 1000], 1000)] {
            let long = [&wire[..], tail].concat();
            assert_eq!(ClientProof::decode(&long), Err(DecodeError::Trailing { offset: 218, extra }));
        }
    }

    /// Rows C17 to C20.
    #[test]
    fn client_proof_is_step_3() {
        for step in [0_u16, 1, 2, 4, 0x0300] {
            let mut wire = client_proof_bytes();
            wire[..2].copy_from_slice(&step.to_be_bytes());
            let wanted = DecodeError::Value { field: Field::Step, offset: 0, value: step.into() };
            assert_eq!(ClientProof::decode(&wire), Err(wanted));
        }
    }

    /// Rows C21 to C23.
    #[test]
    fn proofs_are_20_bytes() {
        for length in [0_u16, 19, 21, 200] {
            let m = vec![7; length.into()];
            let tail = [&length.to_be_bytes()[..], &m].concat();
            let wanted = |field, offset| DecodeError::Length { field, offset, length: length.into(), min: 20, max: 20 };
            let wire = [&hex!("0003 0001 05")[..], &tail].concat();
            assert_eq!(ClientProof::decode(&wire), Err(wanted(Field::ClientProof, 5)));
            let wire = [&hex!("0004")[..], &tail].concat();
            assert_eq!(ServerProof::decode(&wire), Err(wanted(Field::ServerProof, 2)));
        }
    }

    /// Capture 02.
    #[test]
    fn server_proof_of_capture_02() {
        let wire = hex!("0004 0014 0a78c1715d0f63c5dac2dbd2dd551ee27197cd7b");
        let proof = ServerProof::decode(&wire).unwrap();
        assert_eq!(proof.m2.as_bytes(), &wire[4..]);
        assert_eq!(proof.encode(), wire);
        for length in 0..wire.len() {
            assert!(matches!(ServerProof::decode(&wire[..length]), Err(DecodeError::Truncated { .. })), "{length}");
        }
        assert_eq!(
            ServerProof::decode(&[&wire[..], &[0]].concat()),
            Err(DecodeError::Trailing { offset: 24, extra: 1 })
        );
        let mut wrong = wire;
        wrong[1] = 3;
        assert!(ServerProof::decode(&wrong).is_err());
    }

    /// Rows E20 to E26.
    #[test]
    fn init_markers() {
        assert_eq!(decode_init(&[]), Ok(InitMarker::Empty));
        assert_eq!(decode_init(&hex!("0001")), Ok(InitMarker::WithoutPad));
        assert_eq!(decode_init(&hex!("000001")), Ok(InitMarker::WithPad));
        let marker = |offset, value| DecodeError::Value { field: Field::InitMarker, offset, value };
        for (tail, wanted) in [
            (&hex!("00")[..], DecodeError::Truncated { field: Field::InitMarker, offset: 0 }),
            (&hex!("0003"), marker(0, 3)),
            (&hex!("0100"), marker(0, 0x100)),
            (&hex!("0000"), DecodeError::Truncated { field: Field::InitMarker, offset: 1 }),
            (&hex!("000003"), marker(1, 3)),
            (&hex!("010001"), marker(0, 0x100)),
            (&hex!("00000001"), marker(1, 0)),
            (&hex!("000100"), DecodeError::Trailing { offset: 2, extra: 1 }),
            (&hex!("00000100"), DecodeError::Trailing { offset: 3, extra: 1 }),
        ] {
            assert_eq!(decode_init(tail), Err(wanted), "{tail:02x?}");
        }
        assert!(decode_init(&vec![0; 60_000]).is_err());
    }

    #[test]
    fn lone_pad_byte_is_an_empty_user_auth_info() {
        let login = |user| FpLoginExt::new(b"AFP3.4".into(), b"SRP".into(), Pascal::cut(user), &[]);
        let padded = login(b"atalk1");
        assert_eq!((&*padded.tail, padded.srp_init()), (&[0][..], Ok(InitMarker::Empty)));
        let mut even = login(b"carol");
        assert_eq!((&*even.tail, even.srp_init()), (&[][..], Ok(InitMarker::Empty)));
        even.tail = vec![0].into();
        assert!(even.srp_init().is_err());
    }

    /// Rows E41 and E43.
    #[test]
    fn user_name_of_the_older_login_call() {
        let init = LoginInit::decode(b"\x06atalk1").unwrap();
        assert!(init.user_name == b"atalk1" && init.marker == InitMarker::Empty);
        assert_eq!(LoginInit::decode(b"\x06atalk1\0\x01").unwrap().marker, InitMarker::WithoutPad);
        assert!(LoginInit::decode(&[]).is_err());
        assert!(LoginInit::decode(&[0]).is_err());
        assert!(LoginInit::decode(b"\x07atalk1").is_err());
        assert!(LoginInit::decode(b"\x06atalk1junk").is_err());
    }

    proptest! {
        #[test]
        fn round_trips(
            context: u16, group_index: u16, modulus in vec(any::<u8>(), 0..600), generator in vec(any::<u8>(), 0..4),
            salt in vec(any::<u8>(), 0..40), public in vec(any::<u8>(), 0..600), m: [u8; 20], user in vec(any::<u8>(), 1..=255),
            marker in prop::sample::select(vec![InitMarker::Empty, InitMarker::WithPad, InitMarker::WithoutPad]),
        ) {
            let cut = |bytes| WidePascal::cut(bytes);
            let challenge = Challenge { context, group_index, modulus: cut(&modulus), generator: cut(&generator), salt: cut(&salt), b_pub: cut(&public) };
            prop_round_trip!(Challenge::decode, challenge);
            let proof = ClientProof { a_pub: cut(&public), m1: cut(&m) };
            prop_round_trip!(ClientProof::decode, proof);
            let proof = ServerProof { m2: cut(&m) };
            prop_round_trip!(ServerProof::decode, proof);
            let init = LoginInit { user_name: Pascal::cut(&user), marker };
            prop_round_trip!(LoginInit::decode, init);
        }
    }
}
