//! AFP command numbers: the first byte of the payload of a DSICommand or DSIWrite. Source: Apple "AFP Reference".

use core::fmt;

/// An AFP command, an open number: what has no name here survives and prints as hex.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Command(pub u8);

impl Command {
    /// The protocol's name, if the number has one.
    #[must_use]
    pub fn name(self) -> Option<&'static str> {
        COMMANDS.iter().find(|(command, _)| *command == self).map(|(_, name)| *name)
    }
}

impl fmt::Display for Command {
    /// `FPLoginExt`, or `AFP command 0xff`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.name() {
            Some(name) => f.write_str(name),
            None => write!(f, "AFP command {:#04x}", self.0),
        }
    }
}

impl fmt::Debug for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

macro_rules! commands {
    ($($constant:ident = $value:literal, $name:literal;)*) => {
        impl Command {
            $(
                #[doc = concat!("`", $name, "` (", stringify!($value), ")")]
                pub const $constant: Self = Self($value);
            )*
        }

        const COMMANDS: &[(Command, &str)] = &[$((Command::$constant, $name)),*];
    };
}

commands! {
    BYTE_RANGE_LOCK = 1, "FPByteRangeLock";
    CLOSE_VOL = 2, "FPCloseVol";
    CLOSE_DIR = 3, "FPCloseDir";
    CLOSE_FORK = 4, "FPCloseFork";
    COPY_FILE = 5, "FPCopyFile";
    CREATE_DIR = 6, "FPCreateDir";
    CREATE_FILE = 7, "FPCreateFile";
    DELETE = 8, "FPDelete";
    ENUMERATE = 9, "FPEnumerate";
    FLUSH = 10, "FPFlush";
    FLUSH_FORK = 11, "FPFlushFork";
    GET_FORK_PARMS = 14, "FPGetForkParms";
    GET_SRVR_INFO = 15, "FPGetSrvrInfo";
    GET_SRVR_PARMS = 16, "FPGetSrvrParms";
    GET_VOL_PARMS = 17, "FPGetVolParms";
    LOGIN = 18, "FPLogin";
    LOGIN_CONT = 19, "FPLoginCont";
    LOGOUT = 20, "FPLogout";
    MAP_ID = 21, "FPMapID";
    MAP_NAME = 22, "FPMapName";
    MOVE_AND_RENAME = 23, "FPMoveAndRename";
    OPEN_VOL = 24, "FPOpenVol";
    OPEN_DIR = 25, "FPOpenDir";
    OPEN_FORK = 26, "FPOpenFork";
    READ = 27, "FPRead";
    RENAME = 28, "FPRename";
    SET_DIR_PARMS = 29, "FPSetDirParms";
    SET_FILE_PARMS = 30, "FPSetFileParms";
    SET_FORK_PARMS = 31, "FPSetForkParms";
    SET_VOL_PARMS = 32, "FPSetVolParms";
    WRITE = 33, "FPWrite";
    GET_FILE_DIR_PARMS = 34, "FPGetFileDirParms";
    SET_FILE_DIR_PARMS = 35, "FPSetFileDirParms";
    CHANGE_PASSWORD = 36, "FPChangePassword";
    GET_USER_INFO = 37, "FPGetUserInfo";
    GET_SRVR_MSG = 38, "FPGetSrvrMsg";
    CREATE_ID = 39, "FPCreateID";
    DELETE_ID = 40, "FPDeleteID";
    RESOLVE_ID = 41, "FPResolveID";
    EXCHANGE_FILES = 42, "FPExchangeFiles";
    CAT_SEARCH = 43, "FPCatSearch";
    OPEN_DT = 48, "FPOpenDT";
    CLOSE_DT = 49, "FPCloseDT";
    GET_ICON = 51, "FPGetIcon";
    GET_ICON_INFO = 52, "FPGetIconInfo";
    ADD_APPL = 53, "FPAddAPPL";
    REMOVE_APPL = 54, "FPRemoveAPPL";
    GET_APPL = 55, "FPGetAPPL";
    ADD_COMMENT = 56, "FPAddComment";
    REMOVE_COMMENT = 57, "FPRemoveComment";
    GET_COMMENT = 58, "FPGetComment";
    BYTE_RANGE_LOCK_EXT = 59, "FPByteRangeLockExt";
    READ_EXT = 60, "FPReadExt";
    WRITE_EXT = 61, "FPWriteExt";
    GET_AUTH_METHODS = 62, "FPGetAuthMethods";
    LOGIN_EXT = 63, "FPLoginExt";
    GET_SESSION_TOKEN = 64, "FPGetSessionToken";
    DISCONNECT_OLD_SESSION = 65, "FPDisconnectOldSession";
    ENUMERATE_EXT = 66, "FPEnumerateExt";
    CAT_SEARCH_EXT = 67, "FPCatSearchExt";
    ENUMERATE_EXT2 = 68, "FPEnumerateExt2";
    GET_EXT_ATTR = 69, "FPGetExtAttr";
    SET_EXT_ATTR = 70, "FPSetExtAttr";
    REMOVE_EXT_ATTR = 71, "FPRemoveExtAttr";
    LIST_EXT_ATTRS = 72, "FPListExtAttrs";
    GET_ACL = 73, "FPGetACL";
    SET_ACL = 74, "FPSetACL";
    ACCESS = 75, "FPAccess";
    SPOTLIGHT_RPC = 76, "FPSpotlightRPC";
    SYNC_DIR = 78, "FPSyncDir";
    SYNC_FORK = 79, "FPSyncFork";
    ZZZZZ = 122, "FPZzzzz";
    ADD_ICON = 192, "FPAddIcon";
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prints_name_or_hex() {
        assert_eq!(Command::LOGIN_EXT.to_string(), "FPLoginExt");
        assert_eq!(Command(0xff).to_string(), "AFP command 0xff");
    }

    #[test]
    fn numbers_rise_so_none_is_there_twice() {
        assert!(COMMANDS.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(COMMANDS.len(), 73);
    }
}
