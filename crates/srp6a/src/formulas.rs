//! The exchange's formulas one by one, with private keys of any length.
//!
//! A login needs none of this: [`Server`](crate::Server) and [`Client`](crate::Client) put the formulas together and keep
//! the secrets to themselves. These are for programs that explain an exchange whose secrets they were given, and for tests
//! against published intermediate values. All numbers are big-endian; what is secret wipes itself when dropped.

use alloc::vec::Vec;

use zeroize::Zeroizing;

use crate::{Group, Profile, SessionKey, field};

/// x, the private key made from a password; as long as the profile's hash. Secret.
#[must_use]
pub fn x(profile: &Profile, identity: &[u8], password: &[u8], salt: &[u8]) -> Zeroizing<Vec<u8>> {
    Zeroizing::new(profile.x(identity, password, salt).as_bytes().to_vec())
}

/// k, the multiplier; as long as the profile's hash.
#[must_use]
pub fn k(profile: &Profile, group: Group) -> Vec<u8> {
    profile.k(group).as_bytes().to_vec()
}

/// u, the scrambling parameter; as long as the profile's hash.
#[must_use]
pub fn u(profile: &Profile, group: Group, a_pub: &[u8], b_pub: &[u8]) -> Vec<u8> {
    profile.u(group, a_pub, b_pub).as_bytes().to_vec()
}

/// g^exponent: A from a, or v from x; at the length of N. v is secret.
#[must_use]
pub fn g_pow(group: Group, exponent: &[u8]) -> Zeroizing<Vec<u8>> {
    field::g_pow_bytes(group, exponent)
}

/// B = kv + g^b, at the length of N.
#[must_use]
pub fn b_pub(group: Group, k: &[u8], v: &[u8], b: &[u8]) -> Vec<u8> {
    field::b_pub_bytes(group, k, v, b)
}

/// The server's S = (A v^u)^b, at the length of N. Secret.
#[must_use]
pub fn server_s(group: Group, a_pub: &[u8], v: &[u8], u: &[u8], b: &[u8]) -> Zeroizing<Vec<u8>> {
    field::server_s_bytes(group, a_pub, v, u, b)
}

/// The client's S = (B - k g^x)^(a + ux), at the length of N. Secret.
#[must_use]
pub fn client_s(group: Group, b_pub: &[u8], k: &[u8], x: &[u8], u: &[u8], a: &[u8]) -> Zeroizing<Vec<u8>> {
    field::client_s(group, b_pub, k, x, u, a)
}

/// K, from S.
#[must_use]
pub fn session_key(profile: &Profile, s: &[u8]) -> SessionKey {
    profile.session_key(s)
}

/// M1; as long as the profile's hash. A and B are put into the profile's form.
#[must_use]
pub fn m1(
    profile: &Profile,
    group: Group,
    identity: &[u8],
    salt: &[u8],
    a_pub: &[u8],
    b_pub: &[u8],
    key: &SessionKey,
) -> Vec<u8> {
    let a_b = [&*profile.ab_in_m1.apply(a_pub, group), &*profile.ab_in_m1.apply(b_pub, group)];
    profile.m1(group, identity, salt, a_b, key).as_bytes().to_vec()
}

/// M2; as long as the profile's hash. A is put into the profile's form.
#[must_use]
pub fn m2(profile: &Profile, group: Group, a_pub: &[u8], m1: &[u8], key: &SessionKey) -> Vec<u8> {
    profile.m2(&profile.a_in_m2.apply(a_pub, group), m1, key).as_bytes().to_vec()
}
