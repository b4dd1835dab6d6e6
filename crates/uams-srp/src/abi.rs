//! What afpd calls: the exported symbol and the functions behind it.
//!
//! Each body runs in [`guarded`]: a panic, which is a bug of ours, is logged, wipes the exchange and is answered with kFPMiscErr; it never
//! unwinds into afpd. What afpd hands over is copied before anything looks at it, the length of the reply is set first of all, and
//! no reply is longer than the buffer.
#![expect(unsafe_code, reason = "pointers from C")]

use std::ffi::{c_char, c_int, c_void};
use std::panic::{self, AssertUnwindSafe};
use std::path::PathBuf;
use std::sync::{Mutex, MutexGuard, PoisonError};

use afp_proto::{Pascal, ResultCode};

use crate::host::{self, AfpdHost};
use crate::module::{Answer, Level, Module, SELF};

/// Of a module for logins; the only type and the only version there are.
const MODULE_SERVER: c_int = 1;
const MODULE_VERSION: c_int = 1;
/// Of a method that takes part in FPLogin and FPLoginExt.
const SERVER_LOGIN_EXT: c_int = 8;
/// What such a method is unregistered as.
const SERVER_LOGIN: c_int = 1;

/// The bytes in afpd's reply buffer.
const REPLY_ROOM: usize = 65536;
/// Of UserAuthInfo no more is copied. What is longer is malformed, and still is when cut.
const INPUT_MAX: usize = 4096;
const NAME_TYPE_UTF8: u8 = 3;
/// Names the file with the settings.
const SETTINGS_VARIABLE: &str = "AFPD_RS_CONFIG";
/// What afpd is answered when our own code has failed.
const BUG: ResultCode = ResultCode::MISC_ERR;

/// afpd keeps the pointer.
const NAME: &std::ffi::CStr = c"SRP";

/// `struct uam_export`.
#[repr(C)]
pub(crate) struct UamExport {
    kind: c_int,
    version: c_int,
    setup: extern "C" fn(*mut c_void, *const c_char) -> c_int,
    cleanup: extern "C" fn(),
}

/// What afpd looks for in a file of this name.
// SAFETY: nothing else in afpd or its libraries has this name; the original module is not loaded beside its replacement.
#[unsafe(no_mangle)]
pub(crate) static uams_srp: UamExport =
    UamExport { kind: MODULE_SERVER, version: MODULE_VERSION, setup: set_up, cleanup: clean_up };

unsafe extern "C" {
    fn uam_register(kind: c_int, path: *const c_char, name: *const c_char, ...) -> c_int;
    fn uam_unregister(kind: c_int, name: *const c_char);
}

type User = *mut libc::passwd;

/// The module between `setup` and `cleanup`. Neither thread-local nor allocated, so that nothing is left when we are unloaded.
static MODULE: Mutex<Option<Module>> = Mutex::new(None);

extern "C" fn set_up(obj: *mut c_void, path: *const c_char) -> c_int {
    // The usual hook would write to afpd's standard error.
    panic::set_hook(Box::new(|panic| {
        let place = panic.location().map(ToString::to_string).unwrap_or_default();
        host::log(Level::Error, &format!("{SELF}: a bug, please report it: panicked at {place}"));
    }));
    let ready = guarded(|| {
        // SAFETY: afpd's `obj`, for this call.
        let host = unsafe { AfpdHost::new(obj) };
        match Module::set_up(&host, std::env::var_os(SETTINGS_VARIABLE).map(PathBuf::from)) {
            Ok(module) => {
                *module_slot() = Some(module);
                true
            }
            Err(error) => {
                host::log(Level::Error, &format!("{SELF} is not loaded: {error}"));
                false
            }
        }
    });
    if ready != Some(true) {
        clean_up();
        return -1;
    }
    let (login, login_cont): (LoginFn, LoginFn) = (login, login_cont);
    let (logout, login_ext): (extern "C" fn(*mut c_void), LoginExtFn) = (logout, login_ext);
    // SAFETY: the four function pointers that this type of method wants, in their order; `path` is afpd's own, and the name is static.
    let failed = unsafe { uam_register(SERVER_LOGIN_EXT, path, NAME.as_ptr(), login, login_cont, logout, login_ext) };
    if failed < 0 {
        clean_up();
        return -1;
    }
    0
}

extern "C" fn clean_up() {
    // SAFETY: a name that is not registered is ignored.
    unsafe { uam_unregister(SERVER_LOGIN, NAME.as_ptr()) };
    // Dropping it wipes what is secret in it.
    guarded(|| drop(module_slot().take()));
    drop(panic::take_hook());
}

type LoginFn = extern "C" fn(*mut c_void, *mut User, *const c_char, usize, *mut c_char, *mut usize) -> c_int;
type LoginExtFn =
    extern "C" fn(*mut c_void, *const c_char, *mut User, *const c_char, usize, *mut c_char, *mut usize) -> c_int;

extern "C" fn login(
    obj: *mut c_void,
    user: *mut User,
    input: *const c_char,
    input_length: usize,
    reply: *mut c_char,
    reply_length: *mut usize,
) -> c_int {
    // SAFETY: afpd's arguments, as it passed them.
    unsafe {
        answer(obj, user, reply, reply_length, |module, host| {
            module.login(host, &copied(input.cast(), length(input_length)))
        })
    }
}

extern "C" fn login_ext(
    obj: *mut c_void,
    name: *const c_char,
    user: *mut User,
    input: *const c_char,
    input_length: usize,
    reply: *mut c_char,
    reply_length: *mut usize,
) -> c_int {
    // SAFETY: afpd's arguments, as it passed them.
    unsafe {
        answer(obj, user, reply, reply_length, |module, host| {
            let name = login_name(name.cast());
            module.login_ext(host, &name, &copied(input.cast(), length(input_length)))
        })
    }
}

extern "C" fn login_cont(
    obj: *mut c_void,
    user: *mut User,
    input: *const c_char,
    input_length: usize,
    reply: *mut c_char,
    reply_length: *mut usize,
) -> c_int {
    // SAFETY: afpd's arguments, as it passed them.
    unsafe {
        answer(obj, user, reply, reply_length, |module, host| {
            module.login_cont(host, &copied(input.cast(), length(input_length)))
        })
    }
}

extern "C" fn logout(_obj: *mut c_void) {
    guarded(|| {
        if let Some(module) = module_slot().as_mut() {
            module.logout();
        }
    });
}

/// Lets the module find an answer and hands it to afpd.
///
/// # Safety
/// `obj`, `user`, `reply` and `reply_length` are what afpd has passed: each is NULL or good for this call, and `reply` has
/// room for [`REPLY_ROOM`] bytes.
unsafe fn answer(
    obj: *mut c_void,
    user: *mut User,
    reply: *mut c_char,
    reply_length: *mut usize,
    find: impl FnOnce(&mut Module, &AfpdHost) -> Answer<std::ptr::NonNull<libc::passwd>>,
) -> c_int {
    if reply_length.is_null() {
        return BUG.0;
    }
    // SAFETY: not NULL, it is afpd's variable. It comes in as 0 or as 65536 and must never stay the latter.
    unsafe { reply_length.write(0) };
    let found = guarded(|| {
        // SAFETY: afpd's `obj`, for this call.
        let host = unsafe { AfpdHost::new(obj) };
        module_slot().as_mut().map(|module| find(module, &host))
    });
    let Some(Some(answer)) = found else { return BUG.0 };
    if answer.payload.len() > REPLY_ROOM || (reply.is_null() && !answer.payload.is_empty()) {
        return BUG.0;
    }
    if !reply.is_null() {
        // SAFETY: the payload is no longer than the buffer, and a vector of ours does not overlap with it.
        unsafe { std::ptr::copy_nonoverlapping(answer.payload.as_ptr().cast(), reply, answer.payload.len()) };
    }
    if answer.result == ResultCode::NO_ERR {
        let (Some(handle), false) = (answer.user, user.is_null()) else { return BUG.0 };
        // SAFETY: not NULL, it is where afpd wants the user.
        unsafe { user.write(handle.as_ptr()) };
    }
    // SAFETY: as above.
    unsafe { reply_length.write(answer.payload.len()) };
    answer.result.0
}

/// Runs a body of ours. If it panics there is no result, and no exchange any more.
fn guarded<T>(body: impl FnOnce() -> T) -> Option<T> {
    match panic::catch_unwind(AssertUnwindSafe(body)) {
        Ok(result) => Some(result),
        Err(panic) => {
            // What is in a panic is text; should dropping it panic, there is nothing left to do but to leave it.
            drop(panic::catch_unwind(AssertUnwindSafe(move || drop(panic))));
            if let Some(module) = module_slot().as_mut() {
                module.forget();
            }
            None
        }
    }
}

/// A panic leaves the lock poisoned; what it guards is put in order by [`guarded`].
fn module_slot() -> MutexGuard<'static, Option<Module>> {
    MODULE.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The length of the input: afpd passes an `int`, so the upper half of the register may hold anything; negative is none.
fn length(passed: usize) -> usize {
    #[expect(clippy::cast_possible_truncation, reason = "the point")]
    let length = (passed as u32).cast_signed();
    usize::try_from(length).unwrap_or(0)
}

/// The bytes at `from`, at most [`INPUT_MAX`]; none if it is NULL.
///
/// # Safety
/// `from` is NULL, or good for reading `length` bytes.
unsafe fn copied(from: *const u8, length: usize) -> Vec<u8> {
    if from.is_null() {
        return Vec::new();
    }
    // SAFETY: good for that many bytes; bytes need no alignment.
    unsafe { std::slice::from_raw_parts(from, length.min(INPUT_MAX)) }.to_vec()
}

/// The user name of FPLoginExt: type 3, two bytes of length, the name. Empty if it is of another type or longer than any may be: neither is
/// read then.
///
/// # Safety
/// `name` is NULL, or good for reading three bytes and as many more as they announce: afpd has checked that the name lies in the packet.
unsafe fn login_name(name: *const u8) -> Vec<u8> {
    // SAFETY: three bytes are always there.
    let [kind, high, low] = match unsafe { copied(name, 3) }.as_slice() {
        [kind, high, low] => [*kind, *high, *low],
        _ => return Vec::new(),
    };
    let length = usize::from(u16::from_be_bytes([high, low]));
    if kind != NAME_TYPE_UTF8 || length > Pascal::MAX {
        return Vec::new();
    }
    // SAFETY: as promised, `length` bytes follow the first three.
    unsafe { copied(name.add(3), length) }
}
