//! What can be wrong with bytes, said precisely enough to log and to act on, and never with the peer's bytes in it.

use core::fmt;

/// Why bytes are not the message they should be. Offsets count from the first byte handed to the decoder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end before or inside a field.
    #[error("the message ends inside {field}, which begins at byte {offset}")]
    Truncated {
        /// The field that has no room.
        field: Field,
        /// Where it begins.
        offset: usize,
    },
    /// The message is over but the bytes are not.
    #[error("{extra} byte(s) too many: the message ends at byte {offset}")]
    Trailing {
        /// Where the message ends.
        offset: usize,
        /// How many bytes follow.
        extra: usize,
    },
    /// A number that the protocol does not allow here.
    #[error("{field} at byte {offset} is {value:#x}, which is not allowed here")]
    Value {
        /// The field.
        field: Field,
        /// Where it begins.
        offset: usize,
        /// What it says.
        value: u32,
    },
    /// A field that is all there, but shorter or longer than the protocol allows.
    #[error("{field} at byte {offset} has {length} bytes, allowed are {min} to {max}")]
    Length {
        /// The field.
        field: Field,
        /// Where it begins.
        offset: usize,
        /// Its length in bytes.
        length: usize,
        /// The least allowed.
        min: usize,
        /// The most allowed.
        max: usize,
    },
}

impl DecodeError {
    /// The field that is wrong; `None` when all fields are right and bytes follow them.
    #[must_use]
    pub const fn field(&self) -> Option<Field> {
        match self {
            Self::Truncated { field, .. } | Self::Value { field, .. } | Self::Length { field, .. } => Some(*field),
            Self::Trailing { .. } => None,
        }
    }

    /// How far a server could read an FPLogin or FPLoginExt before it failed, which is what it owes its answer to: no
    /// readable version, no readable UAM, or anything after them.
    #[must_use]
    pub const fn login_part(&self) -> LoginPart {
        match self.field() {
            Some(Field::Command | Field::Pad | Field::Flags | Field::AfpVersion) => LoginPart::Version,
            Some(Field::Uam) => LoginPart::Uam,
            _ => LoginPart::Rest,
        }
    }
}

/// Where a login request stops being readable; see [`DecodeError::login_part`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum LoginPart {
    /// In the AFP version or before it. Netatalk 4.5.1, measured: kFPBadVersNum.
    Version,
    /// In the UAM's name. Netatalk 4.5.1, measured: kFPBadUAM.
    Uam,
    /// After both. Netatalk 4.5.1, measured: kFPParamErr.
    Rest,
}

/// Why something cannot be written down; always the caller's mistake, never a peer's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum EncodeError {
    /// A string that its count cannot say.
    #[error("{field} has {length} bytes, at most {max} can be written")]
    TooLong {
        /// The field.
        field: Field,
        /// Its length in bytes.
        length: usize,
        /// The most that can be written.
        max: usize,
    },
    /// A list that its count cannot say.
    #[error("{field} has {count} entries, at most {max} can be written")]
    TooMany {
        /// The list.
        field: Field,
        /// How many entries it has.
        count: usize,
        /// The most that can be written.
        max: usize,
    },
    /// The server information block is counted in two bytes.
    #[error("the server information block would need {length} bytes, at most 65535 can be addressed")]
    BlockTooLong {
        /// The length it would need.
        length: usize,
    },
    /// There is a UTF-8 server name, but the flags say that there is none.
    #[error("there is a UTF-8 server name but the server flags lack UTF8_SERVER_NAME (0x0200): set the flag")]
    Utf8NameWithoutFlag,
}

/// A byte string was longer than its count can say.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{length} bytes are too many: the length field counts up to {max}")]
pub struct TooLong {
    /// The length it has.
    pub length: usize,
    /// The length it may have.
    pub max: usize,
}

macro_rules! fields {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)*) => {
        /// A field of some message, by the protocol's name.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Field {
            $(#[doc = $name] $variant,)*
        }

        impl fmt::Display for Field {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(match self { $(Self::$variant => $name,)* })
            }
        }
    };
}

fields! {
    // DSI
    DsiFlags = "the DSI flags byte",
    DsiCommand = "the DSI command byte",
    RequestId = "the DSI request ID",
    CodeOrOffset = "the DSI result code or write offset",
    DataLength = "the DSI data length",
    Reserved = "the DSI reserved word",
    OptionType = "the OpenSession option type",
    OptionLength = "the OpenSession option length",
    OptionValue = "the OpenSession option value",
    AttentionCode = "the attention code",
    // AFP, common
    Command = "the AFP command byte",
    Pad = "the pad byte",
    Flags = "the flags",
    Bitmap = "the bitmap",
    // Login
    AfpVersion = "the AFP version",
    Uam = "the UAM name",
    UserNameType = "the user name type",
    UserName = "the user name",
    PathType = "the path type",
    Path = "the path",
    LoginId = "the login ID",
    UserAuthInfo = "UserAuthInfo",
    // Session-level calls
    UserId = "the user ID",
    GroupId = "the group ID",
    Uuid = "the UUID",
    ServerTime = "the server time",
    VolumeCount = "the volume count",
    VolumeFlags = "the volume flags",
    VolumeName = "the volume name",
    MessageType = "the message type",
    MessageText = "the message text",
    TokenType = "the token type",
    Timestamp = "the timestamp",
    ClientId = "the client ID",
    Token = "the session token",
    Subfunction = "the subfunction",
    ObjectType = "the object type",
    ObjectName = "the user or group name",
    SleepHours = "the hours of sleep",
    // Server information block
    MachineTypeOffset = "the machine type offset",
    VersionsOffset = "the AFP version list offset",
    UamsOffset = "the UAM list offset",
    IconOffset = "the icon offset",
    ServerFlags = "the server flags",
    ServerName = "the server name",
    SignatureOffset = "the signature offset",
    AddressesOffset = "the network address list offset",
    DirectoryNamesOffset = "the directory name list offset",
    Utf8ServerNameOffset = "the UTF-8 server name offset",
    MachineType = "the machine type",
    Versions = "the AFP version list",
    Uams = "the UAM list",
    Icon = "the volume icon and mask",
    Signature = "the server signature",
    Addresses = "the network address list",
    DirectoryNames = "the directory name list",
    Utf8ServerName = "the UTF-8 server name",
    // SRP
    InitMarker = "the SRP init marker",
    Context = "the SRP context",
    GroupIndex = "the SRP group index",
    Modulus = "N",
    Generator = "g",
    Salt = "the salt",
    ServerPublicKey = "B",
    Step = "the SRP step marker",
    ClientPublicKey = "A",
    ClientProof = "M1",
    ServerProof = "M2",
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_say_what_and_where() {
        let error = DecodeError::Truncated { field: Field::Uam, offset: 11 };
        assert_eq!(error.to_string(), "the message ends inside the UAM name, which begins at byte 11");
        let error = DecodeError::Value { field: Field::Step, offset: 0, value: 1 };
        assert_eq!(error.to_string(), "the SRP step marker at byte 0 is 0x1, which is not allowed here");
        assert_eq!(DecodeError::Trailing { offset: 3, extra: 2 }.field(), None);
    }
}
