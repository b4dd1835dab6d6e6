//! The calls that concern users and groups: who am I, and what are they called.

use bytes::BufMut;

use super::Command;
use crate::error::{DecodeError, Field};
use crate::read::Reader;
use crate::strings::{Pascal, WidePascal};

/// FPGetUserInfo (37): `25 | flags u8 | user ID u32 | bitmap u16`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FpGetUserInfo {
    /// [`FpGetUserInfo::THIS_USER`].
    pub flags: u8,
    /// Without meaning when it is about this user, which it always is.
    pub user_id: u32,
    /// [`FpGetUserInfo::USER_ID`], [`FpGetUserInfo::GROUP_ID`], [`FpGetUserInfo::UUID`].
    pub bitmap: u16,
}

impl FpGetUserInfo {
    /// Flag: about the user who is signed in.
    pub const THIS_USER: u8 = 1;
    /// Bit of the bitmap: the user ID.
    pub const USER_ID: u16 = 1;
    /// Bit of the bitmap: the ID of the user's first group.
    pub const GROUP_ID: u16 = 2;
    /// Bit of the bitmap: the user's UUID.
    pub const UUID: u16 = 4;

    /// # Errors
    /// [`DecodeError`] if `payload` is not these eight bytes.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        reader.exactly_u8(Field::Command, Command::GET_USER_INFO.0)?;
        let flags = reader.u8(Field::Flags)?;
        let user_id = reader.u32(Field::UserId)?;
        let bitmap = reader.u16(Field::Bitmap)?;
        reader.finish()?;
        Ok(Self { flags, user_id, bitmap })
    }

    /// The message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![Command::GET_USER_INFO.0, self.flags];
        out.put_u32(self.user_id);
        out.put_u16(self.bitmap);
        out
    }
}

/// The answer to FPGetUserInfo: a bitmap and the values it has bits for, lowest bit first.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct FpGetUserInfoReply {
    /// Bit 0.
    pub user_id: Option<u32>,
    /// Bit 1.
    pub group_id: Option<u32>,
    /// Bit 2.
    pub uuid: Option<[u8; 16]>,
}

impl FpGetUserInfoReply {
    /// # Errors
    /// [`DecodeError`] if the bitmap has other bits or the values do not fill the message.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        const KNOWN: u16 = FpGetUserInfo::USER_ID | FpGetUserInfo::GROUP_ID | FpGetUserInfo::UUID;
        let mut reader = Reader::new(payload);
        let bitmap = reader.u16(Field::Bitmap)?;
        if bitmap & !KNOWN != 0 {
            return Err(DecodeError::Value { field: Field::Bitmap, offset: 0, value: bitmap.into() });
        }
        let mut reply = Self::default();
        if bitmap & FpGetUserInfo::USER_ID != 0 {
            reply.user_id = Some(reader.u32(Field::UserId)?);
        }
        if bitmap & FpGetUserInfo::GROUP_ID != 0 {
            reply.group_id = Some(reader.u32(Field::GroupId)?);
        }
        if bitmap & FpGetUserInfo::UUID != 0 {
            reply.uuid = Some(reader.array(Field::Uuid)?);
        }
        reader.finish()?;
        Ok(reply)
    }

    /// The payload of the reply.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        let bit = |present, bit| if present { bit } else { 0 };
        out.put_u16(
            bit(self.user_id.is_some(), FpGetUserInfo::USER_ID)
                | bit(self.group_id.is_some(), FpGetUserInfo::GROUP_ID)
                | bit(self.uuid.is_some(), FpGetUserInfo::UUID),
        );
        for id in [self.user_id, self.group_id].into_iter().flatten() {
            out.put_u32(id);
        }
        out.extend_from_slice(self.uuid.as_ref().map(<[u8; 16]>::as_slice).unwrap_or_default());
        out
    }
}

/// FPMapID (21): `15 | subfunction u8 | ID`, the ID being four bytes or a UUID of sixteen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FpMapId {
    /// Subfunction and ID together.
    pub wanted: IdToName,
}

/// What FPMapID shall map, and how the name shall be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum IdToName {
    /// 1: user ID to a name in a Mac character set.
    User(u32),
    /// 2: group ID to a name in a Mac character set.
    Group(u32),
    /// 3: user ID to a UTF-8 name.
    UserUtf8(u32),
    /// 4: group ID to a UTF-8 name.
    GroupUtf8(u32),
    /// 5: a user's UUID to a UTF-8 name.
    UserUuid([u8; 16]),
    /// 6: a group's UUID to a UTF-8 name. Servers answer 5 and 6 alike, with what the UUID belongs to.
    GroupUuid([u8; 16]),
}

impl FpMapId {
    /// # Errors
    /// [`DecodeError`] if the subfunction is not 1 to 6 or the ID does not fill the message.
    pub fn decode(payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        reader.exactly_u8(Field::Command, Command::MAP_ID.0)?;
        let wanted = match reader.u8(Field::Subfunction)? {
            1 => IdToName::User(reader.u32(Field::UserId)?),
            2 => IdToName::Group(reader.u32(Field::GroupId)?),
            3 => IdToName::UserUtf8(reader.u32(Field::UserId)?),
            4 => IdToName::GroupUtf8(reader.u32(Field::GroupId)?),
            5 => IdToName::UserUuid(reader.array(Field::Uuid)?),
            6 => IdToName::GroupUuid(reader.array(Field::Uuid)?),
            other => return Err(DecodeError::Value { field: Field::Subfunction, offset: 1, value: other.into() }),
        };
        reader.finish()?;
        Ok(Self { wanted })
    }

    /// The message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![Command::MAP_ID.0, self.subfunction()];
        match &self.wanted {
            IdToName::User(id) | IdToName::Group(id) | IdToName::UserUtf8(id) | IdToName::GroupUtf8(id) => {
                out.put_u32(*id);
            }
            IdToName::UserUuid(uuid) | IdToName::GroupUuid(uuid) => out.extend_from_slice(uuid),
        }
        out
    }

    /// 1 to 6.
    #[must_use]
    pub const fn subfunction(&self) -> u8 {
        match self.wanted {
            IdToName::User(_) => 1,
            IdToName::Group(_) => 2,
            IdToName::UserUtf8(_) => 3,
            IdToName::GroupUtf8(_) => 4,
            IdToName::UserUuid(_) => 5,
            IdToName::GroupUuid(_) => 6,
        }
    }
}

/// What a UUID belongs to; an open number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct ObjectType(pub u32);

impl ObjectType {
    /// A user.
    pub const USER: Self = Self(1);
    /// A group.
    pub const GROUP: Self = Self(2);
}

/// The answer to FPMapID; its layout depends on the subfunction that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FpMapIdReply<'a> {
    /// To 1 and 2: a name behind a one-byte count.
    Name(Pascal<'a>),
    /// To 3 and 4: a name behind a two-byte count.
    Utf8Name(WidePascal<'a>),
    /// To 5 and 6: `type u32 | ID u32 | name` behind a two-byte count.
    Object {
        /// User or group.
        object_type: ObjectType,
        /// Its ID.
        id: u32,
        /// Its name.
        name: WidePascal<'a>,
    },
}

impl<'a> FpMapIdReply<'a> {
    /// # Errors
    /// [`DecodeError`] if `subfunction` is not 1 to 6 or `payload` is not its answer.
    pub fn decode(subfunction: u8, payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let reply = match subfunction {
            1 | 2 => Self::Name(reader.pascal(Field::ObjectName)?),
            3 | 4 => Self::Utf8Name(reader.wide_pascal(Field::ObjectName)?),
            5 | 6 => Self::Object {
                object_type: ObjectType(reader.u32(Field::ObjectType)?),
                id: reader.u32(Field::UserId)?,
                name: reader.wide_pascal(Field::ObjectName)?,
            },
            other => return Err(DecodeError::Value { field: Field::Subfunction, offset: 0, value: other.into() }),
        };
        reader.finish()?;
        Ok(reply)
    }

    /// The payload of the reply.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = Vec::new();
        match self {
            Self::Name(name) => name.encode_into(&mut out),
            Self::Utf8Name(name) => name.encode_into(&mut out),
            Self::Object { object_type, id, name } => {
                out.put_u32(object_type.0);
                out.put_u32(*id);
                name.encode_into(&mut out);
            }
        }
        out
    }
}

/// FPMapName (22): `16 | subfunction u8 | name`. Note that it numbers character sets the other way round than FPMapID.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct FpMapName<'a> {
    /// Subfunction and name together.
    pub wanted: NameToId<'a>,
}

/// What FPMapName shall map, and to what.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum NameToId<'a> {
    /// 1: a UTF-8 user name to an ID.
    UserUtf8(WidePascal<'a>),
    /// 2: a UTF-8 group name to an ID.
    GroupUtf8(WidePascal<'a>),
    /// 3: a user name in a Mac character set to an ID.
    User(Pascal<'a>),
    /// 4: a group name in a Mac character set to an ID.
    Group(Pascal<'a>),
    /// 5: a UTF-8 user name to a UUID.
    UserToUuid(WidePascal<'a>),
    /// 6: a UTF-8 group name to a UUID.
    GroupToUuid(WidePascal<'a>),
}

impl NameToId<'_> {
    /// The name, without its count.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        match self {
            Self::UserUtf8(name) | Self::GroupUtf8(name) | Self::UserToUuid(name) | Self::GroupToUuid(name) => name,
            Self::User(name) | Self::Group(name) => name,
        }
    }
}

impl<'a> FpMapName<'a> {
    /// # Errors
    /// [`DecodeError`] if the subfunction is not 1 to 6 or the name does not fill the message.
    pub fn decode(payload: &'a [u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        reader.exactly_u8(Field::Command, Command::MAP_NAME.0)?;
        let wanted = match reader.u8(Field::Subfunction)? {
            1 => NameToId::UserUtf8(reader.wide_pascal(Field::ObjectName)?),
            2 => NameToId::GroupUtf8(reader.wide_pascal(Field::ObjectName)?),
            3 => NameToId::User(reader.pascal(Field::ObjectName)?),
            4 => NameToId::Group(reader.pascal(Field::ObjectName)?),
            5 => NameToId::UserToUuid(reader.wide_pascal(Field::ObjectName)?),
            6 => NameToId::GroupToUuid(reader.wide_pascal(Field::ObjectName)?),
            other => return Err(DecodeError::Value { field: Field::Subfunction, offset: 1, value: other.into() }),
        };
        reader.finish()?;
        Ok(Self { wanted })
    }

    /// The message, command byte included.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        let mut out = vec![Command::MAP_NAME.0, self.subfunction()];
        match self.wanted {
            NameToId::UserUtf8(name)
            | NameToId::GroupUtf8(name)
            | NameToId::UserToUuid(name)
            | NameToId::GroupToUuid(name) => name.encode_into(&mut out),
            NameToId::User(name) | NameToId::Group(name) => name.encode_into(&mut out),
        }
        out
    }

    /// 1 to 6.
    #[must_use]
    pub const fn subfunction(&self) -> u8 {
        match self.wanted {
            NameToId::UserUtf8(_) => 1,
            NameToId::GroupUtf8(_) => 2,
            NameToId::User(_) => 3,
            NameToId::Group(_) => 4,
            NameToId::UserToUuid(_) => 5,
            NameToId::GroupToUuid(_) => 6,
        }
    }
}

/// The answer to FPMapName.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FpMapNameReply {
    /// To 1 to 4.
    Id(u32),
    /// To 5 and 6.
    Uuid([u8; 16]),
}

impl FpMapNameReply {
    /// # Errors
    /// [`DecodeError`] if `subfunction` is not 1 to 6 or `payload` is not its answer.
    pub fn decode(subfunction: u8, payload: &[u8]) -> Result<Self, DecodeError> {
        let mut reader = Reader::new(payload);
        let reply = match subfunction {
            1..=4 => Self::Id(reader.u32(Field::UserId)?),
            5 | 6 => Self::Uuid(reader.array(Field::Uuid)?),
            other => return Err(DecodeError::Value { field: Field::Subfunction, offset: 0, value: other.into() }),
        };
        reader.finish()?;
        Ok(reply)
    }

    /// The payload of the reply.
    #[must_use]
    pub fn encode(&self) -> Vec<u8> {
        match self {
            Self::Id(id) => id.to_be_bytes().to_vec(),
            Self::Uuid(uuid) => uuid.to_vec(),
        }
    }
}

#[cfg(test)]
mod tests {
    use hex_literal::hex;
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{cut_and_lengthened, prop_round_trip};

    const UUID: [u8; 16] = hex!("000102030405060708090a0b0c0d0e0f");

    #[test]
    fn user_info() {
        let wire = hex!("25 01 00000000 0007");
        let call = FpGetUserInfo::decode(&wire).unwrap();
        assert_eq!(call, FpGetUserInfo { flags: FpGetUserInfo::THIS_USER, user_id: 0, bitmap: 7 });
        assert_eq!(call.encode(), wire);
        cut_and_lengthened(&wire, FpGetUserInfo::decode);
        let wire = hex!("0007 000001f5 00000014 000102030405060708090a0b0c0d0e0f");
        let reply = FpGetUserInfoReply::decode(&wire).unwrap();
        assert_eq!(reply, FpGetUserInfoReply { user_id: Some(501), group_id: Some(20), uuid: Some(UUID) });
        assert_eq!(reply.encode(), wire);
        cut_and_lengthened(&wire, FpGetUserInfoReply::decode);
        let wanted = DecodeError::Value { field: Field::Bitmap, offset: 0, value: 8 };
        assert_eq!(FpGetUserInfoReply::decode(&hex!("0008 00000000")), Err(wanted));
    }

    #[test]
    fn map_id_of_every_subfunction() {
        for (wire, wanted) in [
            (&hex!("15 01 000001f5")[..], IdToName::User(501)),
            (&hex!("15 02 000001f5"), IdToName::Group(501)),
            (&hex!("15 03 000001f5"), IdToName::UserUtf8(501)),
            (&hex!("15 04 000001f5"), IdToName::GroupUtf8(501)),
            (&hex!("15 05 000102030405060708090a0b0c0d0e0f"), IdToName::UserUuid(UUID)),
            (&hex!("15 06 000102030405060708090a0b0c0d0e0f"), IdToName::GroupUuid(UUID)),
        ] {
            assert_eq!(FpMapId::decode(wire), Ok(FpMapId { wanted }));
            assert_eq!(FpMapId { wanted }.encode(), wire);
            cut_and_lengthened(wire, FpMapId::decode);
        }
        for subfunction in [0, 7, 255] {
            let wanted = DecodeError::Value { field: Field::Subfunction, offset: 1, value: subfunction.into() };
            assert_eq!(FpMapId::decode(&[0x15, subfunction, 0, 0, 0, 0]), Err(wanted));
        }
    }

    #[test]
    fn map_id_replies() {
        let object = FpMapIdReply::Object { object_type: ObjectType::GROUP, id: 20, name: b"ab".into() };
        for (subfunctions, wire, wanted) in [
            ([1, 2], &hex!("02 6162")[..], FpMapIdReply::Name(b"ab".into())),
            ([3, 4], &hex!("0002 6162"), FpMapIdReply::Utf8Name(b"ab".into())),
            ([5, 6], &hex!("00000002 00000014 0002 6162"), object),
        ] {
            for subfunction in subfunctions {
                assert_eq!(FpMapIdReply::decode(subfunction, wire), Ok(wanted));
                assert_eq!(wanted.encode(), wire);
                cut_and_lengthened(wire, |wire| FpMapIdReply::decode(subfunction, wire));
            }
        }
        assert!(
            FpMapIdReply::decode(0, &hex!("02 6162")).is_err() && FpMapIdReply::decode(7, &hex!("02 6162")).is_err()
        );
    }

    #[test]
    fn map_name_of_every_subfunction() {
        for (wire, wanted) in [
            (&hex!("16 01 0002 6162")[..], NameToId::UserUtf8(b"ab".into())),
            (&hex!("16 02 0002 6162"), NameToId::GroupUtf8(b"ab".into())),
            (&hex!("16 03 02 6162"), NameToId::User(b"ab".into())),
            (&hex!("16 04 02 6162"), NameToId::Group(b"ab".into())),
            (&hex!("16 05 0002 6162"), NameToId::UserToUuid(b"ab".into())),
            (&hex!("16 06 0002 6162"), NameToId::GroupToUuid(b"ab".into())),
        ] {
            assert_eq!(FpMapName::decode(wire), Ok(FpMapName { wanted }));
            assert_eq!(FpMapName { wanted }.encode(), wire);
            assert_eq!(wanted.name(), b"ab");
            cut_and_lengthened(wire, FpMapName::decode);
        }
        for subfunction in [0, 7, 255] {
            assert!(FpMapName::decode(&[0x16, subfunction, 0, 0]).is_err());
        }
    }

    /// CVE-2024-38441: a length that fills, and one that overfills, the rest of the message.
    #[test]
    fn cve_2024_38441_map_name_as_long_as_the_rest() {
        assert_eq!(FpMapName::decode(&hex!("16 03 02 6162")).unwrap().wanted.name(), b"ab");
        let wanted = DecodeError::Truncated { field: Field::ObjectName, offset: 2 };
        assert_eq!(FpMapName::decode(&hex!("16 03 03 6162")), Err(wanted));
        assert_eq!(FpMapName::decode(&hex!("16 01 ffff 6162")), Err(wanted));
    }

    #[test]
    fn map_name_replies() {
        for subfunction in 1..=4 {
            assert_eq!(FpMapNameReply::decode(subfunction, &hex!("000001f5")), Ok(FpMapNameReply::Id(501)));
        }
        for subfunction in 5..=6 {
            assert_eq!(FpMapNameReply::decode(subfunction, &UUID), Ok(FpMapNameReply::Uuid(UUID)));
        }
        cut_and_lengthened(&hex!("000001f5"), |wire| FpMapNameReply::decode(1, wire));
        cut_and_lengthened(&UUID, |wire| FpMapNameReply::decode(6, wire));
        assert!(FpMapNameReply::decode(0, &UUID).is_err() && FpMapNameReply::decode(7, &UUID).is_err());
    }

    proptest! {
        #[test]
        fn round_trips(
            flags: u8, id: u32, bitmap: u16, group: Option<u32>, uuid: Option<[u8; 16]>, sub in 1..=6_u8,
            name in vec(any::<u8>(), 0..=255), other: [u8; 16],
        ) {
            let call = FpGetUserInfo { flags, user_id: id, bitmap };
            prop_round_trip!(FpGetUserInfo::decode, call);
            let reply = FpGetUserInfoReply { user_id: (flags & 1 == 0).then_some(id), group_id: group, uuid };
            prop_round_trip!(FpGetUserInfoReply::decode, reply);

            let (short, wide) = (Pascal::cut(&name), WidePascal::cut(&name));
            let (to_name, to_id) = match sub {
                1 => (IdToName::User(id), NameToId::UserUtf8(wide)),
                2 => (IdToName::Group(id), NameToId::GroupUtf8(wide)),
                3 => (IdToName::UserUtf8(id), NameToId::User(short)),
                4 => (IdToName::GroupUtf8(id), NameToId::Group(short)),
                5 => (IdToName::UserUuid(other), NameToId::UserToUuid(wide)),
                _ => (IdToName::GroupUuid(other), NameToId::GroupToUuid(wide)),
            };
            let call = FpMapId { wanted: to_name };
            prop_round_trip!(FpMapId::decode, call);
            prop_assert_eq!(call.subfunction(), sub);
            let call = FpMapName { wanted: to_id };
            prop_round_trip!(FpMapName::decode, call);
            prop_assert_eq!(call.subfunction(), sub);

            let reply = match sub {
                1 | 2 => FpMapIdReply::Name(short),
                3 | 4 => FpMapIdReply::Utf8Name(wide),
                _ => FpMapIdReply::Object { object_type: ObjectType(bitmap.into()), id, name: wide },
            };
            prop_round_trip!(|wire| FpMapIdReply::decode(sub, wire), reply);
            let reply = if sub < 5 { FpMapNameReply::Id(id) } else { FpMapNameReply::Uuid(other) };
            prop_round_trip!(|wire| FpMapNameReply::decode(sub, wire), reply);
        }
    }
}
