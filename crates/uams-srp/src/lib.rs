//! `uams_srp.so`: the SRP login for Netatalk's `afpd`, loaded in place of the module of that name that comes with it.
//!
//! `afpd` keeps what it is good at (files); from the first byte of an SRP login to the answer, this code reads and computes. The
//! exchange itself is [`srp_uam`], the accounts are [`verifier_store`]; here is only the C boundary and what is particular to living in somebody
//! else's process. `docs/netatalk-module.md` tells how to install it.
//!
//! # The parts
//!
//! | file | what | `unsafe` |
//! |---|---|---|
//! | `module` | the logins: names, rounds, who may, what is logged; over the trait `Host` | no |
//! | `settings` | the optional `afpd-rs.toml`, the decoy secret; `[attempts]` by `srp_uam::settings` | no |
//! | `host` | `AfpdHost`: afpd's functions, called | yes |
//! | `abi` | the exported symbol and the functions behind it: afpd's calls, received | yes |
//!
//! # The ABI
//!
//! Measured with Netatalk 4.5.1 as packaged in Debian forky, and declared here anew; nothing of Netatalk is linked or copied. `afpd`
//! looks up one data symbol, called after the file:
//!
//! ```c
//! struct { int type; int version; int (*setup)(void *obj, const char *path); void (*cleanup)(void); } uams_srp;  /* 1, 1 */
//! ```
//!
//! `setup` runs in the parent process and registers the method's four functions; `afpd` forks for each connection and calls them in
//! the child, one at a time, on the main thread, as root until the login has succeeded. On SIGHUP it calls `cleanup`, unloads
//! the module and loads it again.
//!
//! | function | arguments between `obj` and the reply | given |
//! |---|---|---|
//! | `login` (FPLogin) | `struct passwd **`, input, length | Pascal user name, then UserAuthInfo |
//! | `login_ext` (FPLoginExt) | name, `struct passwd **`, input, length | name: `03`, two-byte count, bytes; UserAuthInfo behind the pad |
//! | `logincont` (FPLoginCont) | `struct passwd **`, input, length | two-byte ID, then UserAuthInfo; `*rbuflen` arrives as 65536 |
//! | `logout` | none | |
//!
//! All but `logout` end with `char *rbuf, size_t *rbuflen` and return an AFP result; with 0 they set `*pw` to what `uam_getname` gave.
//! The reply buffer has 65536 bytes. The length is an `int` in afpd's prototypes and a `size_t` in the original module's: the
//! upper half is not looked at.
//!
//! `afpd` skips the pad byte of FPLoginExt by the parity of an address, whether it is one or not. A client that leaves the pad out at an
//! odd offset therefore arrives here as `01`; it is taken for `0001`.
//!
//! What this crate uses of the host: `uam_register`, `uam_unregister`, `uam_getname`, `uam_checkuser`, `uam_afpserver_option`;
//! `make_log_entry` and `type_configs` of its library for the log. They stay undefined until afpd loads the module.
//!
//! What it does not use: UAM_OPTION_CLIENTNAME (256) of `uam_afpserver_option`. In a child it gives the name of the client's address in the DNS, and
//! the address only where it has none, with `hostname lookup` or without; in the parent, asked during `setup`, it ends afpd (SIGABRT). The
//! client's socket is one of the child's descriptors, connected, and afpd's listening sockets are closed there.
//!
//! # Living in afpd
//!
//! Made once, in the parent: the engine's table of powers, the store as it was read, and what the processes together know of failed
//! logins while the disk takes nothing. Children share them; a child reads the store
//! again if it has changed since. Made at each login, from the system's randomness: b. What children inherit of anything random are the seeds of
//! hash tables, which are no secret. There is no thread, no handler for signals or the end of the process, and no thread-local with a destructor, which
//! would keep the loader from unloading us.
//!
//! # Netatalk 4.5 and 4.6
//!
//! The file of 4.5 and the directory of 4.6 are told apart by looking at what the configured path leads to, at run time; both come by
//! the same option. The layout of the log's settings is known for 4.5.1 only, so the size of `type_configs` is compared first; with any other
//! size the module logs through syslog(3) instead of guessing.

#[cfg(not(test))]
mod abi;
#[cfg(not(test))]
mod host;
mod module;
#[cfg(test)]
mod scripted_host;
mod settings;
