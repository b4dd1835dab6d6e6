//! The wire: every byte an AFP server and its client exchange until a user is signed in, and the calls of a session
//! without volumes.
//!
//! AFP is Apple's old file protocol. Over TCP it comes in layers, and this crate has a module for each:
//!
//! ```text
//!   TCP    a stream of bytes
//!   DSI    frames: 16 bytes of header, then a payload                  dsi
//!   AFP    calls and replies, in the payload of DSICommand             afp
//!          the server information block, answer to DSIGetStatus        server_info
//!   UAM    a user authentication method's messages, carried in the
//!          UserAuthInfo of the login calls and in their replies        srp
//! ```
//!
//! It turns bytes into values and values into bytes and does nothing else: no sockets, no clock, no state beyond a half
//! received frame, no opinion on what may be said when (that is `afp-session`), no big numbers (that is `srp6a`). It works
//! in both directions, so that a client or a capture decoder can use it too.
//!
//! # A login, byte by byte
//!
//! User `carol` signs in; each line is a frame. Offsets in brackets count from the start of the payload.
//!
//! ```text
//! client  00 04 0001 00000000 00000006 00000000   DSIOpenSession, request 1, 6 bytes
//!         [0] 01 04 00000400                      option 1, 4 bytes: attention quantum 1024
//! server  01 04 0001 00000000 0000000c 00000000   reply to request 1
//!         [0] 00 04 00100000                      option 0: requests of up to 1 MiB
//!         [6] 02 04 00000080                      option 2: 128 replies are kept
//!
//! client  00 02 0002 00000000 0000001c 00000000   DSICommand, request 2, 28 bytes
//!         [0]  3f                                 FPLoginExt
//!         [1]  00                                 pad
//!         [2]  0000                               flags
//!         [4]  06 "AFP3.4"                        AFP version
//!         [11] 03 "SRP"                           UAM
//!         [15] 03 0005 "carol"                    user name: UTF-8, 5 bytes
//!         [23] 03 0000                            path: UTF-8, empty
//!         [26] 0001                               UserAuthInfo: SRP init marker (a zero byte before it if 26 were odd)
//! server  01 02 0002 ffffec77 0000019d 00000000   reply to request 2: -5001 kFPAuthContinue, 413 bytes
//!         [0]   0000 0002                         context, group index 2 (1536 bits)
//!         [4]   00c0 N                            192 bytes
//!         [198] 0001 02                           g
//!         [201] 0010 salt                         16 bytes
//!         [219] 00c0 B                            192 bytes
//!
//! client  00 02 0003 00000000 000000de 00000000   DSICommand, request 3, 222 bytes
//!         [0]   13 00 0000                        FPLoginCont, pad, ID 0
//!         [4]   0003                              SRP step 3: client proof
//!         [6]   00c0 A                            192 bytes
//!         [200] 0014 M1                           20 bytes
//! server  01 02 0003 00000000 00000018 00000000   reply to request 3: 0, 24 bytes. Signed in.
//!         [0]   0004                              SRP step 4: server proof
//!         [2]   0014 M2                           20 bytes
//! ```
//!
//! The same first call with this crate:
//!
//! ```
//! use afp_proto::afp::{Call, FpLoginExt};
//! use afp_proto::dsi::{self, Frame, Framer};
//! use afp_proto::{LoginPart, srp};
//!
//! // A client says it …
//! let login = FpLoginExt::new(b"AFP3.4".into(), b"SRP".into(), b"carol".into(), &srp::INIT);
//! let wire = Frame::request(dsi::Command::COMMAND, 2, login.encode()).encode();
//! assert_eq!(wire.len(), 16 + 28);
//!
//! // … and a server hears it, in whatever pieces TCP delivers.
//! let mut framer = Framer::new(4096);
//! framer.push(&wire[..20]);
//! assert_eq!(framer.next_frame()?, None);
//! framer.push(&wire[20..]);
//! let frame = framer.next_frame()?.expect("a whole frame");
//! let (call, _no_data) = frame.call_and_data()?;
//! let Call::LoginExt(login) = Call::decode(&call)? else { panic!("another call") };
//! assert!(login.uam == b"SRP" && login.user_name == b"carol");
//! assert_eq!(login.srp_init()?, srp::InitMarker::WithoutPad);
//!
//! // What is cut says where, and a server knows what it could still read.
//! let error = FpLoginExt::decode(&call[..13]).unwrap_err();
//! assert_eq!(error.to_string(), "the message ends inside the UAM name, which begins at byte 11");
//! assert_eq!(error.login_part(), LoginPart::Uam);
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Messages
//!
//! | request | its type | reply's payload |
//! |---|---|---|
//! | DSIOpenSession | [`dsi::OpenSessionOptions`] | [`dsi::OpenSessionReply`] |
//! | DSIGetStatus, FPGetSrvrInfo | [`afp::FpGetSrvrInfo`] | [`server_info::ServerInfo`] |
//! | DSIAttention (from the server) | [`dsi::Attention`] | |
//! | DSICloseSession, DSITickle | no payload | never answered |
//! | FPLogin, FPLoginExt | [`afp::FpLogin`], [`afp::FpLoginExt`] | the UAM's: [`srp::Challenge`], [`srp::UnknownUser`] |
//! | FPLoginCont | [`afp::FpLoginCont`] with [`srp::ClientProof`] | [`srp::ServerProof`] |
//! | FPLogout | [`afp::FpLogout`] | |
//! | FPGetUserInfo | [`afp::FpGetUserInfo`] | [`afp::FpGetUserInfoReply`] |
//! | FPGetSrvrParms | [`afp::FpGetSrvrParms`] | [`afp::FpGetSrvrParmsReply`] |
//! | FPGetSrvrMsg | [`afp::FpGetSrvrMsg`] | [`afp::FpGetSrvrMsgReply`] |
//! | FPGetSessionToken | [`afp::FpGetSessionToken`] | [`afp::FpGetSessionTokenReply`] |
//! | FPDisconnectOldSession | [`afp::FpDisconnectOldSession`] | |
//! | FPMapID, FPMapName | [`afp::FpMapId`], [`afp::FpMapName`] | [`afp::FpMapIdReply`], [`afp::FpMapNameReply`] |
//! | FPZzzzz | [`afp::FpZzzzz`] | [`afp::FpZzzzzReply`] |
//!
//! # Promises
//!
//! - **No bytes make it panic.** No indexing, no bare arithmetic, no `unwrap` on what a peer sent; the fuzz targets in
//!   `fuzz/` look for exceptions.
//! - **Lengths come before memory.** A frame's announced length is judged when its header is there, and nothing is set
//!   aside for what has not arrived.
//! - **What decodes encodes to the same bytes**, with these exceptions: pad bytes are written as zero, and the one that may
//!   follow a client proof not at all; OpenSession options come out known ones only and in order; so do the items of the
//!   server information block, wherever they were.
//! - **Messages end where they end.** A byte too many is an error wherever the protocol says how long a message is.
//! - **Errors say which field at which byte**, hold numbers only, and never what a peer wrote. `Debug` shows no
//!   UserAuthInfo, proof or token.
//! - Numbers with a registry ([`ResultCode`], [`afp::Command`], [`dsi::Command`]) are open: an unknown one survives.
#![forbid(unsafe_code)]
#![cfg_attr(not(test), warn(clippy::arithmetic_side_effects))]

pub mod afp;
pub mod dsi;
mod error;
mod read;
mod result_code;
pub mod server_info;
pub mod srp;
mod strings;
#[cfg(test)]
mod testing;

pub use error::{DecodeError, EncodeError, Field, LoginPart, TooLong};
pub use result_code::ResultCode;
pub use strings::{Pascal, WidePascal};
