//! SRP-6a: how a client proves to a server that it knows a password, and the server that it knows the password's verifier, without
//! either going over the wire. This crate is the mathematics of both sides, in constant time, for the "SRP" login of AFP
//! and the deployments related to it.
//!
//! It does no I/O, reads no clock and draws no random number: a generator is passed in. It knows nothing of DSI or AFP: numbers
//! come in and go out as big-endian bytes. `no_std` with `alloc`; the default feature `std` keeps a table between logins that
//! makes B four times cheaper.
//!
//! # One login
//! ```
//! use srp6a::{Client, Group, Profile, Server, Verifier};
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let mut rng = doctest_rng();
//! // Once, when the password is set. The server keeps salt and verifier.
//! let salt = [7; 16];
//! let verifier = Verifier::derive(&Profile::AFP, Group::Bits1536, b"alice", b"password123", &salt);
//!
//! // The client names the user; the server answers with the group, the salt and B.
//! let server = Server::begin(&Profile::AFP, b"alice", &salt, &verifier, &mut rng)?;
//! let b_pub = server.b_pub();
//!
//! // The client answers with A and M1.
//! let client = Client::start(&Profile::AFP, server.group(), &mut rng)?;
//! let a_pub = client.a_pub().to_vec();
//! let proof = client.prove(b"alice", b"password123", &salt, b_pub)?;
//!
//! // The server checks M1 and answers with M2, which the client checks.
//! let verified = server.finish(&a_pub, proof.m1())?;
//! let session_key = proof.verify(verified.m2())?;
//! assert_eq!(&session_key, verified.session_key());
//! # Ok(()) }
//! # fn doctest_rng() -> impl rand_core::CryptoRng {
//! #     struct Counter(u8);
//! #     impl rand_core::TryRng for Counter {
//! #         type Error = core::convert::Infallible;
//! #         fn try_next_u32(&mut self) -> Result<u32, Self::Error> { self.0 += 1; Ok(self.0.into()) }
//! #         fn try_next_u64(&mut self) -> Result<u64, Self::Error> { self.0 += 1; Ok(self.0.into()) }
//! #         fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Self::Error> {
//! #             for byte in bytes { self.0 = self.0.wrapping_mul(5).wrapping_add(1); *byte = self.0; }
//! #             Ok(())
//! #         }
//! #     }
//! #     impl rand_core::TryCryptoRng for Counter {}
//! #     Counter(1)
//! # }
//! ```
//!
//! # The letters
//! | letter | what | who knows it |
//! |---|---|---|
//! | N, g | the [`Group`]: a safe prime and a generator of its integers; all arithmetic is modulo N | everyone |
//! | H | the hash function of the [`Profile`] | everyone |
//! | I, P, s | user name, password, salt | I, s everyone; P the client |
//! | x = H(s \| H(I \| ":" \| P)) | private key made from the password | the client, while it logs in |
//! | v = g^x | the [`Verifier`] | the server |
//! | a, A = g^a | the client's key pair for one login | a the client |
//! | k = H(N \| g) | a constant that ties v to B | everyone |
//! | b, B = kv + g^b | the server's key pair for one login | b the server |
//! | u = H(A \| B) | the scrambling parameter | everyone |
//! | S = (B - k g^x)^(a + ux) = (A v^u)^b | the shared secret, as the client and as the server find it | both |
//! | K = H(S) or MGF1(S) | the session key | both |
//! | M1 = H(H(N) xor H(g) \| H(I) \| s \| A \| B \| K) | the client's proof | everyone |
//! | M2 = H(A \| M1 \| K) | the server's proof | everyone |
//!
//! # Profiles
//! Deployments differ in what they hash and in whether an integer's leading zero bytes are hashed with it. All of that is data in
//! a [`Profile`]; no code asks which profile it is.
//!
//! | profile | group | H | x over | K | g in k, A, B in u | g in M1 | A, B in M1 | A in M2 | S in K |
//! |---|---|---|---|---|---|---|---|---|---|
//! | [`AFP`](Profile::AFP) | 1536 | SHA-1 | I, P | MGF1, 40 bytes | pad | strip | strip | strip | strip |
//! | [`RFC5054`](Profile::RFC5054) | any | SHA-1 | I, P | H | pad | strip | strip | strip | strip |
//! | [`APPLE_WEB`](Profile::APPLE_WEB) | 2048 | SHA-256 | P derived | H | pad | pad | pad | pad | pad |
//! | [`ESCROW`](Profile::ESCROW) | 2048 | SHA-256 | I, P | H | pad | pad | pad | pad | pad |
//! | [`HOMEKIT`](Profile::HOMEKIT) | 3072 | SHA-512 | I, P | H | pad | strip | strip | pad | strip |
//!
//! *pad* fills an integer with leading zero bytes to the length of N; *strip* removes them. N itself never has any. The salt is a byte
//! string and hashed as it is. The AFP row is the padding summary of the specification (AFP SRP User Authentication Method).
//!
//! Whether real AFP clients strip or pad A and B in M1 cannot be seen until one of them has a leading zero byte (one login
//! in 158 for each). The server is right either way: it never sends such a B, and tries all forms for such an A
//! ([`Server::finish`]); [`Verified::form`] says which one it was.
//!
//! # Secrets
//! P, x, v, a, b, S and K are secret. No branch and no memory address depends on them; what is compared is compared in constant time. The
//! exceptions are decisions that become public anyway, and the number of leading zero bytes of S where a profile strips it; the
//! source has them all pass one function, and `tools/ct-check` proves with memcheck that there are no others. Secrets are wiped when
//! dropped and have no `Debug` that shows them. What the compiler and the arithmetic library leave in registers and dead stack
//! slots is not wiped.
//!
//! # Sources
//! RFC 5054 (groups, k, u, padding, B, S), RFC 2945 (x, M1, M2), RFC 8017 (MGF1), and the specification (AFP SRP User Authentication
//! Method). Every profile is checked against published or independently confirmed numbers: `tests/vectors`.
#![forbid(unsafe_code)]
#![no_std]

extern crate alloc;
#[cfg(feature = "std")]
extern crate std;

mod bytes;
mod client;
mod field;
pub mod formulas;
mod group;
mod kernel;
mod profile;
mod secret;
mod server;

/// For `tools/ct-check`.
#[cfg(feature = "ct-check")]
#[doc(hidden)]
pub mod ct_check {
    /// Called with every run of bytes that was computed from secrets and becomes public. Set it once, before anything else.
    pub static DECLASSIFY: std::sync::OnceLock<fn(&mut [u8])> = std::sync::OnceLock::new();
}

pub use client::{Client, ClientProof, ServerMisbehaved, WrongServerProof};
pub use group::Group;
pub use profile::{Form, Hash, Identity, PasswordRule, Profile, SessionKeyRule, mgf1, s2k, s2k_fo};
pub use secret::{InvalidVerifier, SessionKey, Verifier};
pub use server::{ProofForm, Refused, Server, Verified};

/// Builds a group's table of powers of g now (0.5 ms for 1536 bits) instead of at its first use. For a program that forks per connection:
/// call it in the parent, and the children share the table. Without the feature `std` there is no table, and this does nothing.
pub fn prepare(group: Group) {
    field::prepare(group);
}
