//! The AFP calls of a signed-in session on a server without volumes (sources: AFP Reference, chapter "AFP Calls").
//!
//! | call | answer |
//! |---|---|
//! | FPGetSrvrParms | the time, no volumes |
//! | FPGetUserInfo | user ID and group ID; a UUID is left out of the reply's bitmap |
//! | FPMapID, FPMapName | this user and this group; everybody else is kFPItemNotFound |
//! | FPGetSrvrMsg | the login message; there is never a server message |
//! | FPGetSessionToken | types 0, 3 and 4: 16 random bytes; the rest kFPCallNotSupported |
//! | FPDisconnectOldSession | kFPMiscErr: there is no session to take over, log in afresh |
//! | everything else | kFPCallNotSupported, until a file service takes this module's place |
//!
//! A message that is not laid out as it should be is kFPParamErr. FPLogout and FPZzzzz change the session and are answered there.

use std::time::{SystemTime, UNIX_EPOCH};

use afp_proto::afp::{
    Call, FpGetSessionToken, FpGetSessionTokenReply, FpGetSrvrMsg, FpGetSrvrMsgReply, FpGetSrvrParmsReply,
    FpGetUserInfo, FpGetUserInfoReply, FpMapIdReply, FpMapNameReply, IdToName, MessageType, NameToId, TokenType,
};
use afp_proto::{Pascal, ResultCode, WidePascal};

/// Seconds from 1970 to 2000, where AFP's time begins.
const AFP_EPOCH: i64 = 946_684_800;

/// The longest client ID in FPGetSessionToken, in bytes: what Netatalk 4.5.1 takes.
const CLIENT_ID_MAX: usize = 80;

/// What session-level calls are answered from; the same for all sessions.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Service {
    /// What clients show after login, in UTF-8, at most 255 bytes. Empty: nothing.
    pub login_message: String,
    /// The same in Mac Roman, for clients that do not ask for UTF-8.
    pub login_message_mac: Vec<u8>,
    /// The user ID that every account is told it has.
    pub user_id: u32,
    /// The group ID that every account is told it has.
    pub group_id: u32,
    /// The name of that group.
    pub group_name: String,
}

/// An AFP reply.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reply {
    /// The result code in the DSI header.
    pub result: ResultCode,
    /// The payload behind it.
    pub payload: Vec<u8>,
}

impl Reply {
    /// A reply that is a result code alone.
    #[must_use]
    pub fn error(result: ResultCode) -> Self {
        Self { result, payload: Vec::new() }
    }

    fn ok(payload: Vec<u8>) -> Self {
        Self { result: ResultCode::NO_ERR, payload }
    }
}

impl Service {
    /// Answers `call` (from its command byte on) for `account`. `session_token` is asked for random bytes when the call is FPGetSessionToken.
    #[must_use]
    pub fn answer(
        &self,
        account: &str,
        call: &[u8],
        now: SystemTime,
        session_token: impl FnOnce() -> Option<[u8; 16]>,
    ) -> Reply {
        let Ok(call) = Call::decode(call) else {
            return Reply::error(ResultCode::PARAM_ERR);
        };
        match call {
            Call::GetSrvrParms(_) => server_parms(now),
            Call::GetUserInfo(call) => self.user_info(call),
            Call::MapId(call) => self.map_id(account, call.wanted),
            Call::MapName(call) => self.map_name(account, call.wanted),
            Call::GetSrvrMsg(call) => self.message(call),
            Call::GetSessionToken(call) => token(&call, session_token),
            Call::DisconnectOldSession(_) => Reply::error(ResultCode::MISC_ERR),
            _ => Reply::error(ResultCode::CALL_NOT_SUPPORTED),
        }
    }

    fn user_info(&self, call: FpGetUserInfo) -> Reply {
        let known = FpGetUserInfo::USER_ID | FpGetUserInfo::GROUP_ID | FpGetUserInfo::UUID;
        if call.flags & FpGetUserInfo::THIS_USER == 0 {
            return Reply::error(ResultCode::PARAM_ERR);
        }
        if call.bitmap & !known != 0 {
            return Reply::error(ResultCode::BITMAP_ERR);
        }
        let asked = |bit| call.bitmap & bit != 0;
        let reply = FpGetUserInfoReply {
            user_id: asked(FpGetUserInfo::USER_ID).then_some(self.user_id),
            group_id: asked(FpGetUserInfo::GROUP_ID).then_some(self.group_id),
            uuid: None,
        };
        Reply::ok(reply.encode())
    }

    fn map_id(&self, account: &str, wanted: IdToName) -> Reply {
        let user = |id| (id == self.user_id).then_some(account);
        let group = |id| (id == self.group_id).then_some(self.group_name.as_str());
        let name = match wanted {
            IdToName::User(id) | IdToName::UserUtf8(id) => user(id),
            IdToName::Group(id) | IdToName::GroupUtf8(id) => group(id),
            IdToName::UserUuid(_) | IdToName::GroupUuid(_) => None,
        };
        let Some(name) = name else {
            return Reply::error(ResultCode::ITEM_NOT_FOUND);
        };
        let reply = match wanted {
            IdToName::User(_) | IdToName::Group(_) => FpMapIdReply::Name(Pascal::cut(name.as_bytes())),
            _ => FpMapIdReply::Utf8Name(WidePascal::cut(name.as_bytes())),
        };
        Reply::ok(reply.encode())
    }

    fn map_name(&self, account: &str, wanted: NameToId<'_>) -> Reply {
        let (own, id) = match wanted {
            NameToId::User(_) | NameToId::UserUtf8(_) => (account, self.user_id),
            NameToId::Group(_) | NameToId::GroupUtf8(_) => (self.group_name.as_str(), self.group_id),
            NameToId::UserToUuid(_) | NameToId::GroupToUuid(_) => return Reply::error(ResultCode::ITEM_NOT_FOUND),
        };
        if wanted.name() == own.as_bytes() {
            Reply::ok(FpMapNameReply::Id(id).encode())
        } else {
            Reply::error(ResultCode::ITEM_NOT_FOUND)
        }
    }

    fn message(&self, call: FpGetSrvrMsg) -> Reply {
        if call.bitmap & !(FpGetSrvrMsg::MESSAGE | FpGetSrvrMsg::UTF8) != 0 {
            return Reply::error(ResultCode::BITMAP_ERR);
        }
        let message: &[u8] = match call.message_type {
            MessageType::LOGIN if call.bitmap & FpGetSrvrMsg::UTF8 != 0 => self.login_message.as_bytes(),
            MessageType::LOGIN => &self.login_message_mac,
            MessageType::SERVER => &[],
            _ => return Reply::error(ResultCode::PARAM_ERR),
        };
        let (message_type, bitmap) = (call.message_type, call.bitmap);
        Reply::ok(FpGetSrvrMsgReply { message_type, bitmap, message: Pascal::cut(message) }.encode())
    }
}

fn server_parms(now: SystemTime) -> Reply {
    let unix = now.duration_since(UNIX_EPOCH).ok().and_then(|since| i64::try_from(since.as_secs()).ok()).unwrap_or(0);
    let server_time = i32::try_from(unix.saturating_sub(AFP_EPOCH)).unwrap_or(i32::MAX);
    match (FpGetSrvrParmsReply { server_time, volumes: Vec::new() }).encode() {
        Ok(payload) => Reply::ok(payload),
        Err(_) => Reply::error(ResultCode::MISC_ERR),
    }
}

fn token(call: &FpGetSessionToken<'_>, random: impl FnOnce() -> Option<[u8; 16]>) -> Reply {
    match call.token_type {
        TokenType::LOGIN_WITHOUT_ID => {}
        TokenType::LOGIN_WITH_TIME_AND_ID | TokenType::RECONNECT_WITH_TIME_AND_ID => {
            if call.id.len() > CLIENT_ID_MAX {
                return Reply::error(ResultCode::PARAM_ERR);
            }
        }
        _ => return Reply::error(ResultCode::CALL_NOT_SUPPORTED),
    }
    match random() {
        Some(token) => Reply::ok(FpGetSessionTokenReply { token: &token }.encode()),
        None => Reply::error(ResultCode::MISC_ERR),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use hex_literal::hex;

    use super::*;

    fn service() -> Service {
        Service {
            login_message: "Gr\u{fc}ezi".to_owned(),
            login_message_mac: b"Gr\x9fezi".to_vec(),
            user_id: 501,
            group_id: 20,
            group_name: "staff".to_owned(),
        }
    }

    fn ask(call: &[u8]) -> (i32, Vec<u8>) {
        let now = UNIX_EPOCH + Duration::from_secs(AFP_EPOCH.unsigned_abs()) + Duration::from_hours(24);
        let reply = service().answer("alice", call, now, || Some([7; 16]));
        (reply.result.0, reply.payload)
    }

    #[test]
    fn server_parms_have_the_time_since_2000_and_no_volumes() {
        assert_eq!(ask(&hex!("1000")), (0, hex!("00015180 00").to_vec()));
    }

    #[test]
    fn user_info() {
        // All three asked for: the UUID's bit is cleared in the reply.
        assert_eq!(ask(&hex!("25 01 00000000 0007")), (0, hex!("0003 000001f5 00000014").to_vec()));
        assert_eq!(ask(&hex!("25 01 00000000 0001")), (0, hex!("0001 000001f5").to_vec()));
        assert_eq!(ask(&hex!("25 00 000001f5 0001")), (-5019, vec![]));
        assert_eq!(ask(&hex!("25 01 00000000 0008")), (-5004, vec![]));
    }

    #[test]
    fn ids_and_names_of_this_user_and_group_only() {
        assert_eq!(ask(&hex!("15 03 000001f5")), (0, b"\0\x05alice".to_vec()));
        assert_eq!(ask(&hex!("15 01 000001f5")), (0, b"\x05alice".to_vec()));
        assert_eq!(ask(&hex!("15 04 00000014")), (0, b"\0\x05staff".to_vec()));
        assert_eq!(ask(&hex!("15 03 00000000")), (-5012, vec![]));
        assert_eq!(ask(&[&hex!("15 05")[..], &[0; 16]].concat()), (-5012, vec![]));
        assert_eq!(ask(&hex!("15 07 00000000")), (-5019, vec![]));
        assert_eq!(ask(b"\x16\x01\0\x05alice"), (0, hex!("000001f5").to_vec()));
        assert_eq!(ask(b"\x16\x02\0\x05staff"), (0, hex!("00000014").to_vec()));
        assert_eq!(ask(b"\x16\x03\x05alice"), (0, hex!("000001f5").to_vec()));
        assert_eq!(ask(b"\x16\x01\0\x03bob"), (-5012, vec![]));
        // CVE-2024-38441's place: a name that is longer than the message.
        assert_eq!(ask(b"\x16\x01\0\x06alice"), (-5019, vec![]));
    }

    #[test]
    fn messages() {
        assert_eq!(
            ask(&hex!("26 00 0000 0003")),
            (0, [&hex!("0000 0003 0007")[..], "Gr\u{fc}ezi".as_bytes()].concat())
        );
        assert_eq!(ask(&hex!("26 00 0000 0001")), (0, [&hex!("0000 0001 06")[..], b"Gr\x9fezi"].concat()));
        assert_eq!(ask(&hex!("26 00 0001 0003")), (0, hex!("0001 0003 0000").to_vec()));
        assert_eq!(ask(&hex!("26 00 0002 0003")), (-5019, vec![]));
        assert_eq!(ask(&hex!("26 00 0000 0007")), (-5004, vec![]));
    }

    #[test]
    fn tokens_of_types_0_3_and_4() {
        let token = [&hex!("00000010")[..], &[7; 16]].concat();
        assert_eq!(ask(&hex!("40 00 0000")), (0, token.clone()));
        assert_eq!(ask(&hex!("40 00 0003 00000002 00000001 aabb")), (0, token.clone()));
        assert_eq!(ask(&hex!("40 00 0004 00000002 00000001 aabb")), (0, token));
        for other in [1_u8, 2, 5, 6, 7, 8, 9] {
            let call = [&[0x40, 0, 0, other][..], &hex!("00000000 00000000")].concat();
            let call = if other < 3 { call[..8].to_vec() } else { call };
            assert_eq!(ask(&call), (-5024, vec![]), "type {other}");
        }
        let long = [&hex!("40 00 0003 00000051 00000001")[..], &[0; 81]].concat();
        assert_eq!(ask(&long), (-5019, vec![]));
        assert_eq!(ask(&hex!("40 00 0003 ffffffff 00000001 aabb")), (-5019, vec![]));
    }

    #[test]
    fn without_randomness_there_is_no_token() {
        let reply = service().answer("alice", &hex!("40 00 0000"), UNIX_EPOCH, || None);
        assert_eq!(reply, Reply::error(ResultCode::MISC_ERR));
    }

    #[test]
    fn no_session_is_taken_over_and_files_wait_for_their_service() {
        assert_eq!(ask(&[&hex!("41 00 0000 00000010")[..], &[7; 16]].concat()), (-5014, vec![]));
        assert_eq!(ask(&hex!("18 00 0020 0474657374")), (-5024, vec![]));
        assert_eq!(ask(&hex!("ff")), (-5024, vec![]));
        assert_eq!(ask(&[]), (-5019, vec![]));
    }
}
