//! DSI, the layer between TCP and AFP: a 16-byte header, then a payload.
//!
//! ```text
//!  0      1       2            4                    8              12           16
//!  ├──────┼───────┼────────────┼────────────────────┼──────────────┼────────────┤
//!  │ kind │command│ request ID │ result code (reply)│ payload      │ reserved   │ payload …
//!  │ 0, 1 │       │            │ write offset (req.)│ length       │ 0          │
//! ```
//!
//! [`Framer`] cuts a byte stream into [`Frame`]s and enforces the rules a frame by itself can break; the payloads of
//! OpenSession and Attention are decoded here, those of Command and Write by [`crate::afp`]. Which frame may come when
//! is the session's business.
//!
//! Sources: Apple "AFP Reference", DSI; captures 01 to 09.

mod frame;
mod framer;
mod open_session;

pub use frame::{Command, Frame, FrameError, HEADER_LEN, Header, Kind, WRITE_OFFSET_WHEN_ZERO};
pub use framer::Framer;
pub use open_session::{Attention, OpenSessionOptions, OpenSessionReply};
