//! One AFP connection as a pure state machine: DSI framing, login dispatch by UAM name, timers, and the AFP calls that
//! concern the session itself.
//!
//! There is no socket, clock, file or random number in here. Bytes and the time are handed in; what is to be done about
//! them is handed out. That makes every path of a login testable in memory, with a clock that jumps.
//!
//! # Driving a session
//!
//! After **each** call of one of the input methods, drain [`Session::poll`] and do what it says:
//!
//! | input | when |
//! |---|---|
//! | [`receive`](Session::receive) | bytes came from the client |
//! | [`end_of_input`](Session::end_of_input) | the client closed its side, or the connection broke |
//! | [`status`](Session::status) | a [`Want::Status`] is decided |
//! | [`authenticated`](Session::authenticated) | the job of a [`Want::Authenticate`] is done |
//! | [`turned_away`](Session::turned_away) | it will not be done: there is no room |
//! | [`served`](Session::served) | the call of a [`Want::Serve`] is answered |
//! | [`tick`](Session::tick) | the time of the last [`Want::WakeAt`] has come |
//! | [`shut_down`](Session::shut_down) | the server is going down |
//! | [`evict`](Session::evict) | nobody is signed in here, and the place is needed |
//!
//! | output | do |
//! |---|---|
//! | [`Want::Send`] | write these bytes, in order |
//! | [`Want::Status`] | call `status` with the server information block, or without it for a client that asks too often |
//! | [`Want::Authenticate`] | run the job where it may block, then call `authenticated` |
//! | [`Want::Serve`] | answer the AFP call ([`Service`] answers those of a server without volumes), then call `served` |
//! | [`Want::Event`] | log or count it |
//! | [`Want::WakeAt`] | call `tick` at that time; replaces the one before |
//! | [`Want::Close`] | send what is queued, close your side, wait a moment for the client's; it is the last one |
//!
//! So a driver is a loop around this (`serve/connection.rs` of the program is one with tokio, `tests/common` here one without):
//!
//! ```
//! use std::{sync::Arc, time::Duration};
//! use afp_session::{Session, Settings, Want};
//!
//! let mut session = Session::new(Arc::new(Settings::default()), Duration::ZERO);
//! let tickle = [0, 5, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]; // nothing a session begins with
//! session.receive(&tickle, Duration::from_millis(3));
//! let (mut output, mut closed) = (Vec::new(), false);
//! while let Some(want) = session.poll() {
//!     match want {
//!         Want::Send(bytes) => output.extend_from_slice(&bytes),
//!         Want::Close => closed = true,
//!         _ => {} // a real one does the rest of the table as well
//!     }
//! }
//! assert!(closed && output.is_empty());
//! ```
//!
//! While a question, a job or a call is out, the session reads nothing more of what it has buffered ([`Session::wants_input`] is
//! false then): replies keep the order of the requests.
//!
//! # States
//!
//! ```text
//! AwaitOpenSession --GetStatus--> (reply) Closed
//!        | OpenSession
//!        v
//!    AwaitLogin --FPLogin, FPLoginExt--> Authenticating --challenge--> AwaitProof
//!        ^                                    |  ^                         |
//!        |                                    |  '------- FPLoginCont -----'
//!        |                              proof verified        (a new FPLoginExt drops the challenge first)
//!        |                                    v
//!        |                                SignedIn --FPLogout--> LoggedOut --CloseSession--> Closed
//! ```
//! A refused login is answered, announced by attention 0x8000 and DSICloseSession, and closed: what Netatalk does and
//! Apple's clients have met. `SignedIn` is entered with an [`Authenticated`](srp_uam::Authenticated) in hand, and only a
//! verified proof makes one.
//!
//! # Times
//!
//! `now` is a [`Duration`](core::time::Duration) since any fixed moment, the same for all calls of one session; it must
//! not go backwards. The times themselves are [`Settings`].
#![forbid(unsafe_code)]

mod answer;
mod event;
mod service;
mod session;
mod settings;

pub use crate::answer::{Answer, Busy, LoginRefusal, Then};
pub use crate::event::{Ending, Event, LoginOutcome, LoginReport};
pub use crate::service::{Reply, Service};
pub use crate::session::{Session, Want};
pub use crate::settings::Settings;

/// The AFP versions offered, newest first, as Apple's servers list them. Compared exactly.
///
/// FPLoginExt, UTF-8 names and the SRP UAM belong to AFP 3; 3.1 is the oldest that a Time Capsule offers.
pub const VERSIONS: [&[u8]; 4] = [b"AFP3.4", b"AFP3.3", b"AFP3.2", b"AFP3.1"];

/// The UAMs there are. Which of them are offered on a connection is in its [`Settings`].
pub const UAMS: [&[u8]; 1] = [srp_uam::NAME];
