//! Result codes: the 32-bit number in the header of every DSI reply.
//!
//! Sources: Apple "AFP Reference", Result Codes; the specification for -6754; Netatalk 4.5.1, measured, for 0xFBD1.

use core::fmt;

/// The outcome of a request, an open number: what has no name here survives and prints as a number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ResultCode(pub i32);

impl ResultCode {
    /// The protocol's name, if the number has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        CODES.iter().find(|(code, _)| *code == self).map(|(_, name)| *name)
    }

    /// As it stands in the DSI header: two's complement.
    #[must_use]
    pub const fn to_wire(self) -> u32 {
        self.0.cast_unsigned()
    }

    /// From the DSI header.
    #[must_use]
    pub const fn from_wire(word: u32) -> Self {
        Self(word.cast_signed())
    }
}

impl fmt::Display for ResultCode {
    /// `kFPUserNotAuth (-5023)`, or `unnamed result (-5999)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({})", self.name().unwrap_or("unnamed result"), self.0)
    }
}

impl fmt::Debug for ResultCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! codes {
    ($($(#[$doc:meta])* $constant:ident = $value:literal, $name:literal;)*) => {
        impl ResultCode {
            $(
                #[doc = concat!("`", $name, "` (", stringify!($value), ")\n")]
                $(#[$doc])*
                pub const $constant: Self = Self($value);
            )*
        }

        const CODES: &[(ResultCode, &str)] = &[$((ResultCode::$constant, $name)),*];
    };
}

codes! {
    NO_ERR = 0, "kFPNoErr";
    DSI_BAD_VERSION = -1_066, "kASPBadVersNum";
    DSI_BUFFER_TOO_SMALL = -1_067, "kASPBufTooSmall";
    NO_MORE_SESSIONS = -1_068, "kFPNoMoreSessions";
    DSI_NO_SERVERS = -1_069, "kASPNoServers";
    DSI_PARAM_ERR = -1_070, "kASPParamErr";
    DSI_SERVER_BUSY = -1_071, "kASPServerBusy";
    /// The session was closed, as AppleTalk's session layer says it.
    ASP_SESS_CLOSED = -1_072, "kASPSessClosed";
    DSI_SIZE_ERR = -1_073, "kASPSizeErr";
    DSI_TOO_MANY_CLIENTS = -1_074, "kASPTooManyClients";
    DSI_NO_ACK = -1_075, "kASPNoAck";
    ACCESS_DENIED = -5_000, "kFPAccessDenied";
    AUTH_CONTINUE = -5_001, "kFPAuthContinue";
    BAD_UAM = -5_002, "kFPBadUAM";
    BAD_VERSION = -5_003, "kFPBadVersNum";
    BITMAP_ERR = -5_004, "kFPBitmapErr";
    CANT_MOVE = -5_005, "kFPCantMove";
    DENY_CONFLICT = -5_006, "kFPDenyConflict";
    DIR_NOT_EMPTY = -5_007, "kFPDirNotEmpty";
    DISK_FULL = -5_008, "kFPDiskFull";
    EOF_ERR = -5_009, "kFPEOFErr";
    FILE_BUSY = -5_010, "kFPFileBusy";
    FLAT_VOL = -5_011, "kFPFlatVol";
    /// kFPItemNotFound; from AFP 3.4 on also "no such attribute".
    ITEM_NOT_FOUND = -5_012, "kFPItemNotFound";
    LOCK_ERR = -5_013, "kFPLockErr";
    MISC_ERR = -5_014, "kFPMiscErr";
    NO_MORE_LOCKS = -5_015, "kFPNoMoreLocks";
    NO_SERVER = -5_016, "kFPNoServer";
    OBJECT_EXISTS = -5_017, "kFPObjectExists";
    OBJECT_NOT_FOUND = -5_018, "kFPObjectNotFound";
    PARAM_ERR = -5_019, "kFPParamErr";
    RANGE_NOT_LOCKED = -5_020, "kFPRangeNotLocked";
    RANGE_OVERLAP = -5_021, "kFPRangeOverlap";
    SESS_CLOSED = -5_022, "kFPSessClosed";
    USER_NOT_AUTH = -5_023, "kFPUserNotAuth";
    CALL_NOT_SUPPORTED = -5_024, "kFPCallNotSupported";
    OBJECT_TYPE_ERR = -5_025, "kFPObjectTypeErr";
    TOO_MANY_FILES_OPEN = -5_026, "kFPTooManyFilesOpen";
    SERVER_GOING_DOWN = -5_027, "kFPServerGoingDown";
    CANT_RENAME = -5_028, "kFPCantRename";
    DIR_NOT_FOUND = -5_029, "kFPDirNotFound";
    ICON_TYPE_ERROR = -5_030, "kFPIconTypeError";
    VOL_LOCKED = -5_031, "kFPVolLocked";
    OBJECT_LOCKED = -5_032, "kFPObjectLocked";
    CONTAINS_SHARED_ERR = -5_033, "kFPContainsSharedErr";
    ID_NOT_FOUND = -5_034, "kFPIDNotFound";
    ID_EXISTS = -5_035, "kFPIDExists";
    DIFF_VOL_ERR = -5_036, "kFPDiffVolErr";
    CATALOG_CHANGED = -5_037, "kFPCatalogChanged";
    SAME_OBJECT_ERR = -5_038, "kFPSameObjectErr";
    BAD_ID_ERR = -5_039, "kFPBadIDErr";
    PWD_SAME_ERR = -5_040, "kFPPwdSameErr";
    PWD_TOO_SHORT_ERR = -5_041, "kFPPwdTooShortErr";
    PWD_EXPIRED_ERR = -5_042, "kFPPwdExpiredErr";
    INSIDE_SHARED_ERR = -5_043, "kFPInsideSharedErr";
    INSIDE_TRASH_ERR = -5_044, "kFPInsideTrashErr";
    PWD_NEEDS_CHANGE_ERR = -5_045, "kFPPwdNeedsChangeErr";
    PWD_POLICY_ERR = -5_046, "kFPPwdPolicyErr";
    DISK_QUOTA_EXCEEDED = -5_047, "kFPDiskQuotaExceeded";
    /// The client's SRP proof is wrong. Not an AFP code; the specification found it on the wire and gives it no name.
    SRP_PROOF_FAILED = -6_754, "SRPProofFailed";
    /// kASPServerBusy as Netatalk 4.5.1 sends it, measured: the lower 16 bits alone, not sign-extended (64465).
    SERVER_BUSY_UNSIGNED = 0xFBD1, "kASPServerBusyUnsigned";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_name_and_number() {
        assert_eq!(ResultCode::USER_NOT_AUTH.to_string(), "kFPUserNotAuth (-5023)");
        assert_eq!(ResultCode(-5999).to_string(), "unnamed result (-5999)");
    }

    /// The two words are printed in the specification; the third was seen on the wire (capture 02).
    #[test]
    fn wire_form_is_twos_complement() {
        assert_eq!(ResultCode::USER_NOT_AUTH.to_wire(), 0xFFFF_EC61);
        assert_eq!(ResultCode::SRP_PROOF_FAILED.to_wire(), 0xFFFF_E59E);
        assert_eq!(ResultCode::from_wire(0xFFFF_EC77), ResultCode::AUTH_CONTINUE);
        assert_eq!(ResultCode::from_wire(0xFBD1), ResultCode::SERVER_BUSY_UNSIGNED);
    }

    #[test]
    fn no_number_has_two_names() {
        for (index, (code, _)) in CODES.iter().enumerate() {
            assert!(CODES[..index].iter().all(|(other, _)| other != code), "{code} twice");
        }
        assert_eq!(CODES.len(), 61);
    }
}
