//! FPLogin, FPLoginExt, FPLoginCont, FPLogout.
//!
//! What a UAM puts into UserAuthInfo is the UAM's business; for "SRP" see [`crate::srp`]. It may hold a password, so it is
//! never printed.

use std::borrow::Cow;
use std::fmt;

use bytes::BufMut;

use super::Command;
use crate::error::{DecodeError, Field};
use crate::read::Reader;
use crate::strings::{Hidden, Pascal, WidePascal};

const USER_NAME_TYPE_UTF8: u8 = 3;

/// What an FPLogin or FPLoginExt asks for: the fields both begin with. A server answers to these first, whatever the rest of
/// the call looks like (a guest's FPLoginExt, for one, has an empty name, and wants to hear that guests are not admitted).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LoginWants<'a> {
    /// Such as `AFP3.4`.
    pub version: Pascal<'a>,
    /// Such as `SRP`.
    pub uam: Pascal<'a>,
}

impl<'a> LoginWants<'a> {
    /// Reads the call up to the UAM.
    ///
    /// # Errors
    /// [`DecodeError`]; [`DecodeError::login_part`] tells what could not be read.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let offset = reader.offset();
        match Command(reader.u8(Field::Command)?) {
            Command::LOGIN => {}
            Command::LOGIN_EXT => {
                reader.u8(Field::Pad)?;
                reader.u16(Field::Flags)?;
            }
            other => return Err(DecodeError::Value { field: Field::Command, offset, value: other.0.into() }),
        }
        Ok(Self { version: reader.pascal(Field::AfpVersion)?, uam: reader.pascal(Field::Uam)? })
    }
}

/// FPLogin (18): `12 | version | UAM | UserAuthInfo`. The older of the two login calls; a UAM that wants a user name finds
/// it at the start of UserAuthInfo.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FpLogin<'a> {
    /// Such as `AFP3.4`.
    pub version: Pascal<'a>,
    /// Such as `SRP`.
    pub uam: Pascal<'a>,
    /// The rest of the message.
    pub user_auth_info: &'a [u8],
}

impl<'a> FpLogin<'a> {
    /// # Errors
    /// [`DecodeError`]; [`DecodeError::login_part`] tells what could not be read.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        reader.exactly_u8(Field::Command, Command::LOGIN.0)?;
        Ok(Self {
            version: reader.pascal(Field::AfpVersion)?,
            uam: reader.pascal(Field::Uam)?,
            user_auth_info: reader.remainder(),
        })
    }

    /// The message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![Command::LOGIN.0];
        self.version.encode_into(&mut out);
        self.uam.encode_into(&mut out);
        out.extend_from_slice(self.user_auth_info);
        out
    }
}

impl fmt::Debug for FpLogin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FpLogin")
            .field("version", &self.version)
            .field("uam", &self.uam)
            .field("user_auth_info", &Hidden(self.user_auth_info.len()))
            .finish()
    }
}

/// The path of FPLoginExt, the directory domain to find the user in. Empty in every capture.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Path<'a> {
    /// Type 1: short names, one-byte count.
    Short(Pascal<'a>),
    /// Type 2: long names, one-byte count.
    Long(Pascal<'a>),
    /// Type 3: UTF-8, two-byte count (and, unlike in the file calls, no text encoding hint).
    Utf8(WidePascal<'a>),
}

impl<'a> Path<'a> {
    /// 1, 2 or 3.
    #[must_use]
    pub const fn path_type(&self) -> u8 {
        match self {
            Self::Short(_) => 1,
            Self::Long(_) => 2,
            Self::Utf8(_) => 3,
        }
    }

    /// The path itself.
    #[must_use]
    pub const fn as_bytes(&self) -> &'a [u8] {
        match self {
            Self::Short(path) | Self::Long(path) => path.as_bytes(),
            Self::Utf8(path) => path.as_bytes(),
        }
    }

    fn decode(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let offset = reader.offset();
        match reader.u8(Field::PathType)? {
            1 => reader.pascal(Field::Path).map(Self::Short),
            2 => reader.pascal(Field::Path).map(Self::Long),
            3 => reader.wide_pascal(Field::Path).map(Self::Utf8),
            other => Err(DecodeError::Value { field: Field::PathType, offset, value: other.into() }),
        }
    }

    fn encode_into(&self, out: &mut Vec<u8>) {
        out.put_u8(self.path_type());
        match self {
            Self::Short(path) | Self::Long(path) => path.encode_into(out),
            Self::Utf8(path) => path.encode_into(out),
        }
    }
}

/// FPLoginExt (63): `3f | pad | flags | version | UAM | 03, user name | path type, path | pad? | UserAuthInfo`.
///
/// **The pad rule.** A zero byte stands before UserAuthInfo when its offset, counted from the command byte, would be odd.
/// Apple's figure has it and netatalk-client sends it (capture 02 with, capture 09 without); the specification's table
/// leaves it out, and other clients may too. So everything behind the path is kept as it came, in [`FpLoginExt::tail`]:
/// [`FpLoginExt::user_auth_info`] applies the rule, and a UAM that can tell both forms apart, as SRP can, reads the tail
/// itself ([`crate::srp::decode_init`]).
#[derive(Clone, PartialEq, Eq)]
pub struct FpLoginExt<'a> {
    /// None are defined; 0 when sent, ignored when received.
    pub flags: u16,
    /// Such as `AFP3.4`.
    pub version: Pascal<'a>,
    /// Such as `SRP`.
    pub uam: Pascal<'a>,
    /// UTF-8, by the protocol; here 1 to 255 bytes of any kind. What it is compared with is the server's decision.
    pub user_name: Pascal<'a>,
    /// The directory domain.
    pub path: Path<'a>,
    /// Everything after the path: pad byte, if there is one, and UserAuthInfo.
    pub tail: Cow<'a, [u8]>,
}

impl<'a> FpLoginExt<'a> {
    /// As clients send it: no flags, an empty UTF-8 path, the pad where the rule wants it.
    #[must_use]
    pub fn new(version: Pascal<'a>, uam: Pascal<'a>, user_name: Pascal<'a>, user_auth_info: &'a [u8]) -> Self {
        let path = Path::Utf8(WidePascal::default());
        let mut login = Self { flags: 0, version, uam, user_name, path, tail: Cow::Borrowed(user_auth_info) };
        if login.tail_is_odd() {
            let mut tail = vec![0];
            tail.extend_from_slice(user_auth_info);
            login.tail = Cow::Owned(tail);
        }
        login
    }

    /// The user name's type must be 3 and its length 1 to 255 bytes; the path's type 1, 2 or 3. Flags and the pad behind
    /// the command are not looked at.
    ///
    /// # Errors
    /// [`DecodeError`]; [`DecodeError::login_part`] tells what could not be read.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        reader.exactly_u8(Field::Command, Command::LOGIN_EXT.0)?;
        reader.u8(Field::Pad)?;
        let flags = reader.u16(Field::Flags)?;
        let version = reader.pascal(Field::AfpVersion)?;
        let uam = reader.pascal(Field::Uam)?;
        reader.exactly_u8(Field::UserNameType, USER_NAME_TYPE_UTF8)?;
        let user_name = user_name(&mut reader)?;
        let path = Path::decode(&mut reader)?;
        Ok(Self { flags, version, uam, user_name, path, tail: Cow::Borrowed(reader.remainder()) })
    }

    /// The message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = self.encode_head();
        out.extend_from_slice(&self.tail);
        out
    }

    /// Whether [`FpLoginExt::tail`] begins at an odd offset, so that the rule wants a pad byte there.
    #[must_use]
    pub fn tail_is_odd(&self) -> bool {
        !self.encode_head().len().is_multiple_of(2)
    }

    /// The tail without the pad byte the rule wants, whatever its value; empty if there is nothing else.
    #[must_use]
    pub fn user_auth_info(&self) -> &[u8] {
        match self.tail.split_first() {
            Some((_, user_auth_info)) if self.tail_is_odd() => user_auth_info,
            _ => &self.tail,
        }
    }

    fn encode_head(&self) -> Vec<u8> {
        let mut out = vec![Command::LOGIN_EXT.0, 0];
        out.put_u16(self.flags);
        self.version.encode_into(&mut out);
        self.uam.encode_into(&mut out);
        out.put_u8(USER_NAME_TYPE_UTF8);
        WidePascal::cut(self.user_name.as_bytes()).encode_into(&mut out);
        self.path.encode_into(&mut out);
        out
    }
}

fn user_name<'a>(reader: &mut Reader<'a>) -> Result<Pascal<'a>, DecodeError> {
    let offset = reader.offset();
    let name = reader.wide_pascal(Field::UserName)?.as_bytes();
    let wrong = DecodeError::Length { field: Field::UserName, offset, length: name.len(), min: 1, max: Pascal::MAX };
    if name.is_empty() { Err(wrong) } else { Pascal::new(name).map_err(|_| wrong) }
}

impl fmt::Debug for FpLoginExt<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FpLoginExt")
            .field("flags", &self.flags)
            .field("version", &self.version)
            .field("uam", &self.uam)
            .field("user_name", &self.user_name)
            .field("path", &self.path)
            .field("tail", &Hidden(self.tail.len()))
            .finish()
    }
}

/// FPLoginCont (19): `13 | pad | ID | UserAuthInfo`, the second and later rounds of a login.
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FpLoginCont<'a> {
    /// 0 when sent.
    pub pad: u8,
    /// The ID that the server's last reply began with; SRP clients send 0 whatever it was.
    pub id: u16,
    /// The rest of the message.
    pub user_auth_info: &'a [u8],
}

impl<'a> FpLoginCont<'a> {
    /// # Errors
    /// [`DecodeError`] if `payload` has fewer than four bytes or another command.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        reader.exactly_u8(Field::Command, Command::LOGIN_CONT.0)?;
        Ok(Self { pad: reader.u8(Field::Pad)?, id: reader.u16(Field::LoginId)?, user_auth_info: reader.remainder() })
    }

    /// The message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![Command::LOGIN_CONT.0, self.pad];
        out.put_u16(self.id);
        out.extend_from_slice(self.user_auth_info);
        out
    }
}

impl fmt::Debug for FpLoginCont<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FpLoginCont")
            .field("pad", &self.pad)
            .field("id", &self.id)
            .field("user_auth_info", &Hidden(self.user_auth_info.len()))
            .finish()
    }
}

/// FPLogout (20): `14 | pad`. Answered by a result code; does not close the session.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FpLogout {
    /// Whether the pad byte was there, or shall be.
    pub padded: bool,
}

impl FpLogout {
    /// # Errors
    /// [`DecodeError`] if there is more than the command and one pad byte.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        reader.exactly_u8(Field::Command, Command::LOGOUT.0)?;
        let padded = reader.optional_pad();
        reader.finish()?;
        Ok(Self { padded })
    }

    /// The message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        if self.padded { vec![Command::LOGOUT.0, 0] } else { vec![Command::LOGOUT.0] }
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::error::LoginPart;
    use crate::testing::prop_round_trip;

    /// Capture 02: six letters, so UserAuthInfo would begin at byte 27, so there is a pad.
    const ATALK1: [u8; 30] = hex!("3f000000 06 414650332e34 03 535250 03 0006 6174616c6b31 03 0000 00 0001");
    /// Capture 09: five letters, no pad.
    const CAROL: [u8; 28] = hex!("3f000000 06 414650332e34 03 535250 03 0005 6361726f6c 03 0000 0001");

    #[test]
    fn login_ext_of_capture_02_with_pad() {
        let login = FpLoginExt::decode(&ATALK1).unwrap();
        assert!(login.version == b"AFP3.4" && login.uam == b"SRP" && login.user_name == b"atalk1");
        assert_eq!((login.flags, login.path), (0, Path::Utf8(WidePascal::default())));
        assert!(login.tail_is_odd());
        assert_eq!((&*login.tail, login.user_auth_info()), (&[0, 0, 1][..], &[0, 1][..]));
        assert_eq!(login.encode(), ATALK1);
        assert_eq!(FpLoginExt::new(login.version, login.uam, login.user_name, &[0, 1]), login);
    }

    #[test]
    fn login_ext_of_capture_09_without_pad() {
        let login = FpLoginExt::decode(&CAROL).unwrap();
        assert!(!login.tail_is_odd());
        assert_eq!((&*login.tail, login.user_auth_info()), (&[0, 1][..], &[0, 1][..]));
        assert_eq!(login.encode(), CAROL);
        assert_eq!(FpLoginExt::new(login.version, login.uam, login.user_name, &[0, 1]), login);
    }

    /// Rows E36 to E39 and E19 of the probes against Netatalk 4.5.1, at every length there is.
    #[test]
    fn login_ext_cut_at_every_length() {
        for length in 0..ATALK1.len() {
            let cut = FpLoginExt::decode(&ATALK1[..length]);
            let part = match length {
                0..11 => LoginPart::Version,
                11..15 => LoginPart::Uam,
                15..27 => LoginPart::Rest,
                // From here on only the tail is shorter, and its length is the UAM's business.
                _ => {
                    assert_eq!(&*cut.unwrap().tail, &ATALK1[27..length]);
                    continue;
                }
            };
            let error = cut.unwrap_err();
            assert_eq!(error.login_part(), part, "{length}: {error}");
            assert!(matches!(error, DecodeError::Truncated { .. }));
        }
        let long = [ATALK1.as_slice(), &[0xEE]].concat();
        assert_eq!(FpLoginExt::decode(&long).unwrap().user_auth_info(), &[0, 1, 0xEE]);
    }

    fn login_ext(middle: &[u8]) -> Vec<u8> {
        [&ATALK1[..15], middle].concat()
    }

    /// Rows E10, E12, E13 and E14: all of them "the rest is malformed". E11: 255 bytes are a name.
    #[test]
    fn user_names_that_are_none() {
        let name = |length: u16, bytes: usize| {
            [&[3][..], &length.to_be_bytes(), &vec![b'x'; bytes], &hex!("03 0000 0001")].concat()
        };
        let length = |length| DecodeError::Length { field: Field::UserName, offset: 16, length, min: 1, max: 255 };
        for (middle, wanted) in [
            (name(0, 0), length(0)),
            (name(256, 256), length(256)),
            (name(500, 300), DecodeError::Truncated { field: Field::UserName, offset: 16 }),
            (
                hex!("01 0001 78 03 0000").to_vec(),
                DecodeError::Value { field: Field::UserNameType, offset: 15, value: 1 },
            ),
        ] {
            let wire = login_ext(&middle);
            let error = FpLoginExt::decode(&wire).unwrap_err();
            assert_eq!((error, error.login_part()), (wanted, LoginPart::Rest));
        }
        let wire = login_ext(&name(255, 255));
        assert_eq!(FpLoginExt::decode(&wire).unwrap().user_name.len(), 255);
        // E15: a NUL is a byte like any other here.
        let wire = login_ext(&hex!("03 0003 610062 03 0000 0001"));
        assert!(FpLoginExt::decode(&wire).unwrap().user_name == b"a\0b");
    }

    /// Rows E16, E17, E18.
    #[test]
    fn path_types() {
        for (path, wanted) in [
            (&hex!("01 02 6162")[..], Path::Short(Pascal::from(b"ab"))),
            (&hex!("02 00"), Path::Long(Pascal::default())),
            (&hex!("03 0002 2f61"), Path::Utf8(WidePascal::from(b"/a"))),
        ] {
            let wire = login_ext(&[&hex!("03 0001 78")[..], path, &[0, 1]].concat());
            let login = FpLoginExt::decode(&wire).unwrap();
            assert_eq!(login.path, wanted);
            assert_eq!(login.encode(), wire);
        }
        for path_type in (0..=255).filter(|path_type| !(1..=3).contains(path_type)) {
            let wire = login_ext(&[3, 0, 1, b'x', path_type, 0, 0, 0, 1]);
            let wanted = DecodeError::Value { field: Field::PathType, offset: 19, value: path_type.into() };
            assert_eq!(FpLoginExt::decode(&wire), Err(wanted));
        }
    }

    /// Row E46: an FPLoginExt in a DSIWrite without offset is cut after twelve bytes, in the UAM.
    #[test]
    fn login_ext_as_a_write() {
        let frame = crate::dsi::Frame::write_request(1, 0, ATALK1.to_vec());
        let (call, _) = frame.call_and_data().unwrap();
        assert_eq!(FpLoginExt::decode(&call).unwrap_err().login_part(), LoginPart::Uam);
    }

    /// Captures 01 (guest) and 08 (DHX2).
    #[test]
    fn login_of_captures_01_and_08() {
        let guest = hex!("12 06 414650332e34 0f 4e6f20557365722041757468656e74");
        let login = FpLogin::decode(&guest).unwrap();
        assert!(login.uam == b"No User Authent" && login.user_auth_info.is_empty());
        assert_eq!(login.encode(), guest);
        let dhx2 = hex!("12 06 414650332e34 04 44485832 06 6174616c6b31");
        let login = FpLogin::decode(&dhx2).unwrap();
        assert!(login.version == b"AFP3.4" && login.uam == b"DHX2");
        assert_eq!(login.user_auth_info, b"\x06atalk1");
        assert_eq!(login.encode(), dhx2);
        for length in 0..dhx2.len() {
            match FpLogin::decode(&dhx2[..length]) {
                Err(error) if length < 8 => assert_eq!(error.login_part(), LoginPart::Version),
                Err(error) if length < 13 => assert_eq!(error.login_part(), LoginPart::Uam),
                Err(error) => panic!("{length}: {error}"),
                Ok(login) => assert_eq!(login.user_auth_info, &dhx2[13..length]),
            }
        }
        assert_eq!(FpLogin::decode(&[&dhx2[..], &[0]].concat()).unwrap().user_auth_info, b"\x06atalk1\0");
    }

    /// The first bytes of FPLoginCont in capture 02, and rows C30 to C33.
    #[test]
    fn login_cont_of_capture_02() {
        let wire = hex!("13000000 0003 00c0 3696c5b0");
        let cont = FpLoginCont::decode(&wire).unwrap();
        assert_eq!((cont.pad, cont.id, cont.user_auth_info), (0, 0, &wire[4..]));
        assert_eq!(cont.encode(), wire);
        for length in 0..4 {
            assert!(matches!(FpLoginCont::decode(&wire[..length]), Err(DecodeError::Truncated { .. })));
        }
        // Rows C28 and C29: pad and ID are whatever they are.
        assert_eq!(FpLoginCont::decode(&hex!("13ff1234")).unwrap().encode(), hex!("13ff1234"));
    }

    #[test]
    fn logout_of_capture_02() {
        assert_eq!(FpLogout::decode(&hex!("1400")), Ok(FpLogout { padded: true }));
        assert_eq!(FpLogout::decode(&hex!("14")), Ok(FpLogout { padded: false }));
        assert_eq!(FpLogout::decode(&hex!("140000")), Err(DecodeError::Trailing { offset: 2, extra: 1 }));
        assert!(FpLogout::decode(&[]).is_err());
        for padded in [true, false] {
            assert_eq!(FpLogout::decode(&FpLogout { padded }.encode()), Ok(FpLogout { padded }));
        }
    }

    #[test]
    fn a_message_is_not_another_one() {
        let wanted = DecodeError::Value { field: Field::Command, offset: 0, value: 0x3F };
        assert_eq!(FpLogin::decode(&ATALK1), Err(wanted));
        assert_eq!(FpLoginCont::decode(&ATALK1), Err(wanted));
        assert_eq!(FpLogout::decode(&ATALK1), Err(wanted));
    }

    #[test]
    fn debug_shows_no_user_auth_info() {
        let login = FpLogin { version: b"AFP3.4".into(), uam: b"Cleartxt Passwrd".into(), user_auth_info: b"password" };
        assert!(!format!("{login:?}").contains("password"));
        let cont = FpLoginCont { pad: 0, id: 0, user_auth_info: b"password" };
        assert!(!format!("{cont:?}").contains("password"));
        let ext = FpLoginExt::new(b"AFP3.4".into(), b"X".into(), b"u".into(), b"password");
        assert!(!format!("{ext:?}").contains("password"));
    }

    proptest! {
        #[test]
        fn login_round_trip(version in vec(any::<u8>(), 0..=255), uam in vec(any::<u8>(), 0..=255), rest in vec(any::<u8>(), 0..300)) {
            let login = FpLogin { version: Pascal::cut(&version), uam: Pascal::cut(&uam), user_auth_info: &rest };
            prop_round_trip!(FpLogin::decode, login);
        }

        #[test]
        fn login_ext_round_trip(
            flags: u16, version in vec(any::<u8>(), 0..=255), uam in vec(any::<u8>(), 0..=255), user in vec(any::<u8>(), 1..=255),
            path_type in 1..=3_u8, path in vec(any::<u8>(), 0..=255), tail in vec(any::<u8>(), 0..40),
        ) {
            let path = match path_type {
                1 => Path::Short(Pascal::cut(&path)),
                2 => Path::Long(Pascal::cut(&path)),
                _ => Path::Utf8(WidePascal::cut(&path)),
            };
            let (version, uam, user_name) = (Pascal::cut(&version), Pascal::cut(&uam), Pascal::cut(&user));
            let login = FpLoginExt { flags, version, uam, user_name, path, tail: Cow::Borrowed(&tail) };
            prop_round_trip!(FpLoginExt::decode, login.clone());
            // What `new` builds, `user_auth_info` takes apart, pad or not.
            let built = FpLoginExt::new(version, uam, user_name, &tail);
            let wire = built.encode();
            prop_assert_eq!((wire.len() - tail.len()) % 2, 0);
            let decoded = FpLoginExt::decode(&wire).unwrap();
            prop_assert_eq!(decoded.user_auth_info(), &tail[..]);
        }

        #[test]
        fn login_cont_round_trip(pad: u8, id: u16, rest in vec(any::<u8>(), 0..300)) {
            let cont = FpLoginCont { pad, id, user_auth_info: &rest };
            prop_round_trip!(FpLoginCont::decode, cont);
        }
    }

    #[test]
    fn what_a_login_wants_is_readable_before_the_rest() {
        let wants = LoginWants { version: Pascal::cut(b"AFP3.4"), uam: Pascal::cut(b"SRP") };
        let login = FpLogin { version: wants.version, uam: wants.uam, user_auth_info: b"" }.encode();
        let login_ext = FpLoginExt::new(wants.version, wants.uam, Pascal::cut(b"alice"), &[0, 1]).encode();
        assert_eq!(LoginWants::decode(&login), Ok(wants));
        assert_eq!(LoginWants::decode(&login_ext), Ok(wants));
        // Up to the UAM's last byte it is needed, behind it nothing is.
        for cut in 0..15 {
            let part = LoginWants::decode(&login_ext[..cut]).unwrap_err().login_part();
            assert_eq!(part, if cut < 11 { LoginPart::Version } else { LoginPart::Uam }, "cut at {cut}");
        }
        for cut in 15..login_ext.len() {
            assert_eq!(LoginWants::decode(&login_ext[..cut]), Ok(wants));
        }
        assert!(LoginWants::decode(&[0x13, 0, 0, 0, 0, 0]).is_err());
    }
}
