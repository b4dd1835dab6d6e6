//! The numbers a session keeps to.

use core::time::Duration;

use crate::UAMS;

/// The numbers a session keeps to. [`Settings::default`] is what the daemon uses unless its configuration says otherwise.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Settings {
    /// The largest payload of a request after login, in bytes, not counting the DSI header and the AFP command in front of
    /// written data. Told to the client in the DSIOpenSession reply. Default 1 MiB.
    pub request_quantum: u32,
    /// Told to the client in the DSIOpenSession reply: how many requests it may repeat after a reconnect. Default 128.
    pub replay_cache_size: u32,
    /// The largest payload of any frame before login, in bytes. The longest legal one is an FPLoginExt of 780: version, UAM and
    /// user name of 255 bytes each, no path. Default 4096.
    pub login_frame_limit: u32,
    /// The UAMs that may be asked for here, of those in [`UAMS`]; another is refused with kFPBadUAM. Default all.
    pub uams: Vec<&'static [u8]>,
    /// From the connection to the end of the first frame. Default 10 s.
    pub first_frame: Duration,
    /// From the connection to the end of the login. Default 60 s.
    pub login: Duration,
    /// A tickle is sent when nothing else was for so long (AFP Reference, DSITickle). Default 30 s.
    pub tickle: Duration,
    /// The session ends when nothing was received for so long (AFP Reference, DSITickle). Default 2 min.
    pub dead: Duration,
    /// How long a client may sleep (FPZzzzz) before its session ends. Default 10 h.
    pub sleep: Duration,
    /// From FPLogout to the client's DSICloseSession. Default 10 s.
    pub after_logout: Duration,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            request_quantum: 0x10_0000,
            replay_cache_size: 128,
            login_frame_limit: 4096,
            uams: UAMS.to_vec(),
            first_frame: Duration::from_secs(10),
            login: Duration::from_mins(1),
            tickle: Duration::from_secs(30),
            dead: Duration::from_mins(2),
            sleep: Duration::from_hours(10),
            after_logout: Duration::from_secs(10),
        }
    }
}
