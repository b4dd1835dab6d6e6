//! [`AfpdHost`]: the functions of the afpd that has loaded us, called.
//!
//! Declared here from what was measured with Netatalk 4.5.1 (see the crate's page). An `AfpdHost` lives for one call of afpd's into
//! the module; what afpd returns is copied before the next call, but for the `struct passwd` that afpd wants back.
#![expect(unsafe_code, reason = "C functions and what they point to")]

use std::ffi::{CStr, CString, OsStr, c_char, c_int, c_void};
use std::mem::ManuallyDrop;
use std::net::{IpAddr, TcpStream};
use std::os::fd::{FromRawFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;
use std::ptr::{self, NonNull};
use std::sync::{Arc, OnceLock};
use std::{fs, io};

use verifier_store::Users;

use crate::module::{Host, Level, SystemUser};

/// `what` of `uam_afpserver_option`: the buffer for the name of the user, and how long it is.
const OPTION_USER_NAME: c_int = 1;
/// `what` of `uam_afpserver_option`: the password file of the kind given by the length.
const OPTION_PASSWORD_FILE: c_int = 4;
/// The kind: SRP's.
const PASSWORD_FILE_SRP: usize = 4;

/// What `uam_getname` is told of the name's buffer. Ours is twice as long and ends in zero bytes.
const NAME_BUFFER: u16 = 256;

unsafe extern "C" {
    fn uam_getname(obj: *mut c_void, name: *mut c_char, length: c_int) -> *mut libc::passwd;
    fn uam_checkuser(obj: *mut c_void, user: *const libc::passwd) -> c_int;
    fn uam_afpserver_option(obj: *mut c_void, what: c_int, option: *mut c_void, length: *mut usize) -> c_int;
    fn make_log_entry(
        level: c_int,
        kind: c_int,
        file: *const c_char,
        microseconds: bool,
        line: c_int,
        format: *const c_char,
        ...
    );
    /// The log's settings, one [`LogKind`] after the other.
    static type_configs: [LogKind; LOG_KINDS];
}

/// The log's settings for one kind of line.
#[repr(C)]
struct LogKind {
    set: bool,
    syslog: bool,
    file: c_int,
    level: c_int,
    display: c_int,
    microseconds: bool,
}

const LOG_KINDS: usize = 11;
/// The kind of lines that login methods write.
const LOG_KIND_UAMS: u8 = 7;

/// afpd, seen through the `obj` it hands to each call.
#[derive(Clone, Copy)]
pub(crate) struct AfpdHost {
    obj: *mut c_void,
}

impl AfpdHost {
    /// # Safety
    /// `obj` is what afpd has passed to the call that is being answered, and is used no longer than that.
    pub(crate) unsafe fn new(obj: *mut c_void) -> AfpdHost {
        AfpdHost { obj }
    }
}

impl Host for AfpdHost {
    type User = NonNull<libc::passwd>;

    fn verifier_path(&self) -> Option<PathBuf> {
        let mut path: *const c_char = ptr::null();
        let mut length = PASSWORD_FILE_SRP;
        // SAFETY: for this `what` afpd takes the kind from `length` and writes a pointer and a length, or neither.
        let failed =
            unsafe { uam_afpserver_option(self.obj, OPTION_PASSWORD_FILE, (&raw mut path).cast(), &raw mut length) };
        if failed < 0 || path.is_null() {
            return None;
        }
        // SAFETY: a path that is not NULL is afpd's own configuration string, ended by a zero byte; it is copied at once.
        let path = unsafe { CStr::from_ptr(path) };
        Some(PathBuf::from(OsStr::from_bytes(path.to_bytes()))).filter(|path| !path.as_os_str().is_empty())
    }

    /// Of the socket, not from afpd: its UAM_OPTION_CLIENTNAME (256) gives the *name* that the client's address has in the DNS, if it has one. The
    /// client's side decides on that, it may read like another address, and asking for it takes as long as their server likes.
    ///
    /// Which descriptor it is afpd does not tell, but there is one connected socket in a child before login. A user directory that is
    /// reached by TCP may add others. Those have a port that the system chose on our side, from the upper half; afpd's is 548 or near it.
    fn client_address(&self) -> Option<IpAddr> {
        let descriptors = fs::read_dir("/proc/self/fd").ok()?.flatten();
        let numbers = descriptors.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        numbers.filter_map(connection).min_by_key(|(our_port, _)| *our_port).map(|(_, peer)| peer)
    }

    fn find_user(&self, name: &CString) -> Option<SystemUser<Self::User>> {
        let mut buffer = [0; 2 * NAME_BUFFER as usize];
        let room = buffer.get_mut(..usize::from(NAME_BUFFER))?;
        for (to, from) in room.get_mut(..name.as_bytes_with_nul().len())?.iter_mut().zip(name.as_bytes()) {
            *to = from.cast_signed() as c_char;
        }
        // SAFETY: the buffer holds a name ended by a zero byte and has more room than afpd is told of; afpd may write another
        // name into it.
        let user = unsafe { uam_getname(self.obj, buffer.as_mut_ptr(), NAME_BUFFER.into()) };
        let handle = NonNull::new(user)?;
        // SAFETY: not NULL, it points to afpd's (or the C library's) `struct passwd`, which stays as it is until the next call of `uam_getname`.
        let libc::passwd { pw_name, pw_uid, .. } = unsafe { *handle.as_ptr() };
        if pw_name.is_null() {
            return None;
        }
        // SAFETY: a `struct passwd`'s name is a string ended by a zero byte; it is copied before afpd is called again.
        let real_name = unsafe { CStr::from_ptr(pw_name) }.to_bytes().to_vec();
        // SAFETY: `handle` is what `uam_getname` gave just now.
        let has_shell = unsafe { uam_checkuser(self.obj, handle.as_ptr()) } >= 0;
        Some(SystemUser { handle, name: real_name, uid: pw_uid, has_shell })
    }

    fn users(&self) -> Arc<dyn Users> {
        Arc::new(SystemUsers)
    }

    fn set_user_name(&self, name: &[u8]) {
        let mut buffer: *mut c_char = ptr::null_mut();
        let mut room = 0_usize;
        // SAFETY: for this `what` afpd writes a pointer to its buffer and how many bytes it has.
        let failed =
            unsafe { uam_afpserver_option(self.obj, OPTION_USER_NAME, (&raw mut buffer).cast(), &raw mut room) };
        if failed < 0 || buffer.is_null() || name.len() >= room {
            return;
        }
        // SAFETY: `name` and a zero byte are no longer than the `room` bytes that afpd owns at `buffer`; they cannot overlap with a
        // slice of ours.
        unsafe {
            ptr::copy_nonoverlapping(name.as_ptr().cast(), buffer, name.len());
            buffer.add(name.len()).write(0);
        }
    }

    fn log(&self, level: Level, line: &str) {
        log(level, line);
    }
}

/// Our port and the address at the other end, if this descriptor is an internet connection.
fn connection(descriptor: RawFd) -> Option<(u16, IpAddr)> {
    // SAFETY: afpd has this one thread, which has listed the descriptor just now and closes none meanwhile; what it is not a socket of is
    // told by the calls below; and it is not closed here, since nothing is dropped.
    let socket = ManuallyDrop::new(unsafe { TcpStream::from_raw_fd(descriptor) });
    Some((socket.local_addr().ok()?.port(), socket.peer_addr().ok()?.ip()))
}

/// Writes a line to Netatalk's log, if its settings ask for lines like it.
pub(crate) fn log(level: Level, line: &str) {
    // Lines here are escaped already; a zero byte would end one.
    let line = CString::new(line.replace('\0', "\\0")).unwrap_or_default();
    if !log_layout_is_known() {
        let priority = match level {
            Level::Error => libc::LOG_ERR,
            Level::Warning => libc::LOG_WARNING,
            Level::Note => libc::LOG_NOTICE,
            Level::Info => libc::LOG_INFO,
            Level::Debug => libc::LOG_DEBUG,
        };
        // SAFETY: one string for one `%s`.
        unsafe { libc::syslog(libc::LOG_DAEMON | priority, c"%s".as_ptr(), line.as_ptr()) };
        return;
    }
    let level = match level {
        Level::Error => 2,
        Level::Warning => 3,
        Level::Note => 4,
        Level::Info => 5,
        Level::Debug => 6,
    };
    // SAFETY: the table has been found to be of the size declared here, so this entry lies in it; afpd has no other thread that writes to it.
    let settings = unsafe { (&raw const type_configs).cast::<LogKind>().add(usize::from(LOG_KIND_UAMS)).read() };
    if settings.level < level {
        return;
    }
    // SAFETY: with the layout goes this list of parameters; one string for one `%s`.
    unsafe {
        make_log_entry(
            level,
            LOG_KIND_UAMS.into(),
            c"uams_srp.rs".as_ptr(),
            settings.microseconds,
            0,
            c"%s".as_ptr(),
            line.as_ptr(),
        );
    }
}

/// Whether the host's log has the layout of Netatalk 4.5.1: the size of its table says it. Found out once, in the parent.
fn log_layout_is_known() -> bool {
    static KNOWN: OnceLock<bool> = OnceLock::new();
    *KNOWN.get_or_init(|| log_table_size() == Some(size_of::<[LogKind; LOG_KINDS]>()))
}

/// How large the table is in the library that it comes from.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn log_table_size() -> Option<usize> {
    const RTLD_DL_SYMENT: c_int = 1;
    let mut place = std::mem::MaybeUninit::<libc::Dl_info>::uninit();
    let mut symbol: *mut libc::Elf64_Sym = ptr::null_mut();
    // SAFETY: `dladdr1` looks an address up; it writes to the two places, and with this flag a pointer to the symbol to the second.
    let found = unsafe {
        libc::dladdr1((&raw const type_configs).cast(), place.as_mut_ptr(), (&raw mut symbol).cast(), RTLD_DL_SYMENT)
    };
    if found == 0 || symbol.is_null() {
        return None;
    }
    // SAFETY: found, and not NULL, it is the entry in the symbol table of a library that stays loaded.
    usize::try_from(unsafe { (*symbol).st_size }).ok()
}

/// Elsewhere there is no way to find out.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn log_table_size() -> Option<usize> {
    None
}

/// User ids from the system, directory services included.
#[derive(Debug)]
struct SystemUsers;

impl Users for SystemUsers {
    fn uid(&self, name: &[u8]) -> io::Result<Option<u32>> {
        let Ok(name) = CString::new(name) else { return Ok(None) };
        let mut strings = vec![0; 1024];
        loop {
            let mut user = std::mem::MaybeUninit::<libc::passwd>::uninit();
            let mut found = ptr::null_mut();
            // SAFETY: all pointers are good for the call, and the length is that of the buffer.
            let error = unsafe {
                libc::getpwnam_r(name.as_ptr(), user.as_mut_ptr(), strings.as_mut_ptr(), strings.len(), &raw mut found)
            };
            match NonNull::new(found) {
                // SAFETY: not NULL, it points to `user`, filled in.
                Some(found) => return Ok(Some(unsafe { (*found.as_ptr()).pw_uid })),
                None if error == libc::ERANGE && strings.len() < 1 << 20 => strings.resize(strings.len() * 2, 0),
                None if error == 0 || error == libc::ENOENT => return Ok(None),
                None => return Err(io::Error::from_raw_os_error(error)),
            }
        }
    }
}
