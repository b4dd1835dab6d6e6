//! Arithmetic modulo the groups' primes, in constant time: the four formulas of SRP-6a that exponentiate.
//!
//! Numbers come in and go out as big-endian bytes; inside they are crypto-bigint's integers, multiplied in Montgomery form by the
//! [`kernel`] and with the modulus in the type. What an operation costs depends on the *types and lengths* given (the group, an exponent's width), never on the
//! values: exponents run through fixed windows, and a table is always read whole.
//!
//! g is always the same, so g^b goes through a Lim-Lee comb ([`Comb`]): a table of powers of g, built once, replaces nearly
//! all squarings and makes B four times cheaper than a general exponentiation.
//!
//! Not done here: hashing, padding conventions, checks of what a peer sent.

use alloc::vec::Vec;
use core::marker::PhantomData;
use core::ops::{Mul, MulAssign};

use crypto_bigint::modular::ConstMontyParams;
use crypto_bigint::{Limb, NonZero, U256, U512, U1024, U1536, U2048, U3072, U4096, Uint, Word, const_monty_params};
use hex_literal::hex;
use subtle::ConstantTimeEq;
use zeroize::{Zeroize, Zeroizing};

use crate::{Group, kernel};

/// Runs a piece of code with the field of a group: `in_group!(group, F => F::server_s(…))`.
macro_rules! in_group {
    ($group:expr, $field:ident => $body:expr) => {
        match $group {
            $crate::Group::Bits1024 => in_group!(@ $field, N1024, U1024, $body),
            $crate::Group::Bits1536 => in_group!(@ $field, N1536, U1536, $body),
            $crate::Group::Bits2048 => in_group!(@ $field, N2048, U2048, $body),
            $crate::Group::Bits3072 => in_group!(@ $field, N3072, U3072, $body),
            $crate::Group::Bits4096 => in_group!(@ $field, N4096, U4096, $body),
        }
    };
    (@ $field:ident, $prime:ident, $uint:ident, $body:expr) => {{
        type $field = Field<$prime, { $uint::LIMBS }>;
        $body
    }};
}

/// A private exponent as drawn: 256 bits (RFC 5054 section 2.5.3 asks for at least that many).
pub(crate) type PrivateKey = Zeroizing<U256>;

const PRIVATE_KEY_BITS: usize = U256::BITS as usize;

/// An exponent of any length a caller may have: a client's a + ux, and the long private keys in published vectors.
/// 4096 bits, and a limb more for the carry.
type AnyExponent = Uint<{ U4096::LIMBS + 2 }>;

/// Builds the table of powers of g now rather than at the first login.
pub(crate) fn prepare(group: Group) {
    in_group!(group, F => F::prepare());
}

/// g^e for a 256-bit exponent, at the length of N.
pub(crate) fn g_pow(group: Group, e: &U256) -> Zeroizing<Vec<u8>> {
    in_group!(group, F => to_bytes(&F::g_pow(e).retrieve()))
}

/// g^e for an exponent of any length, at the length of N.
pub(crate) fn g_pow_bytes(group: Group, e: &[u8]) -> Zeroizing<Vec<u8>> {
    in_group!(group, F => to_bytes(&F::g_pow_bytes(e).retrieve()))
}

/// B = kv + g^b.
pub(crate) fn b_pub(group: Group, k: &[u8], v: &[u8], b: &U256) -> Vec<u8> {
    in_group!(group, F => F::b_pub(k, v, F::g_pow(b)))
}

/// The same for a private key of any length.
pub(crate) fn b_pub_bytes(group: Group, k: &[u8], v: &[u8], b: &[u8]) -> Vec<u8> {
    in_group!(group, F => F::b_pub(k, v, F::g_pow_bytes(b)))
}

/// The server's S = (A v^u)^b, at the length of N.
pub(crate) fn server_s(group: Group, a_pub: &[u8], v: &[u8], u: &[u8], b: &U256) -> Zeroizing<Vec<u8>> {
    in_group!(group, F => to_bytes(&F::server_base(a_pub, v, u).pow(b, PRIVATE_KEY_BITS).retrieve()))
}

/// The same for a private key of any length.
pub(crate) fn server_s_bytes(group: Group, a_pub: &[u8], v: &[u8], u: &[u8], b: &[u8]) -> Zeroizing<Vec<u8>> {
    let (b, bits) = (any_exponent(b), bit_len(b));
    in_group!(group, F => to_bytes(&F::server_base(a_pub, v, u).pow(&b, bits).retrieve()))
}

/// The client's S = (B - k g^x)^(a + ux), at the length of N.
pub(crate) fn client_s(group: Group, b_pub: &[u8], k: &[u8], x: &[u8], u: &[u8], a: &[u8]) -> Zeroizing<Vec<u8>> {
    // a + ux is below 2^(1 + the longer of the two).
    let bits = bit_len(a).max(bit_len(u).saturating_add(bit_len(x))).saturating_add(1);
    let u_x = Zeroizing::new(any_exponent(u).wrapping_mul(&*any_exponent(x)));
    let exponent = Zeroizing::new(u_x.wrapping_add(&any_exponent(a)));
    in_group!(group, F => to_bytes(&F::client_base(b_pub, k, x).pow(&exponent, bits).retrieve()))
}

/// A private key as bytes.
pub(crate) fn private_key_bytes(key: &U256) -> Zeroizing<Vec<u8>> {
    to_bytes(key)
}

/// Whether a public value is 0 modulo N. Not for secrets.
pub(crate) fn is_zero_vartime(group: Group, value: &[u8]) -> bool {
    in_group!(group, F => F::element(value).retrieve() == Uint::ZERO)
}

/// Whether `value` lies below N, as a mask.
pub(crate) fn is_below_modulus(group: Group, value: &[u8]) -> subtle::Choice {
    in_group!(group, F => F::is_below_modulus(value))
}

/// The integers modulo one prime.
struct Field<P, const L: usize>(PhantomData<P>);

impl<P: Prime<L>, const L: usize> Field<P, L> {
    /// The residue of big-endian bytes. They may be N or more, as long as they are no longer than N.
    fn element(bytes: &[u8]) -> Element<P, L> {
        Element::new(&Zeroizing::new(uint(bytes)))
    }

    fn g() -> Element<P, L> {
        Element::new(&Uint::from_word(P::GENERATOR))
    }

    #[cfg(feature = "std")]
    fn prepare() {
        P::comb();
    }

    #[cfg(not(feature = "std"))]
    fn prepare() {}

    #[cfg(feature = "std")]
    fn g_pow(e: &U256) -> Element<P, L> {
        P::comb().pow(e)
    }

    #[cfg(not(feature = "std"))]
    fn g_pow(e: &U256) -> Element<P, L> {
        Self::g().pow(e, PRIVATE_KEY_BITS)
    }

    fn g_pow_bytes(e: &[u8]) -> Element<P, L> {
        if bit_len(e) <= PRIVATE_KEY_BITS {
            return Self::g_pow(&Zeroizing::new(uint(e)));
        }
        Self::g().pow(&any_exponent(e), bit_len(e))
    }

    fn b_pub(k: &[u8], v: &[u8], g_b: Element<P, L>) -> Vec<u8> {
        let k_v = Zeroizing::new((Self::element(k) * Self::element(v)).retrieve());
        let g_b = Zeroizing::new(g_b.retrieve());
        core::mem::take(&mut *to_bytes(&k_v.add_mod(&g_b, Self::modulus())))
    }

    /// A v^u. The work is bounded by the length of u: the hash's, not the group's.
    fn server_base(a_pub: &[u8], v: &[u8], u: &[u8]) -> Element<P, L> {
        Self::element(a_pub) * Self::element(v).pow(&uint::<{ U512::LIMBS }>(u), bit_len(u))
    }

    /// B - k g^x.
    fn client_base(b_pub: &[u8], k: &[u8], x: &[u8]) -> Element<P, L> {
        let b_pub = Self::element(b_pub).retrieve();
        let k_g_x = Zeroizing::new((Self::element(k) * Self::g_pow_bytes(x)).retrieve());
        Element::new(&Zeroizing::new(b_pub.sub_mod(&k_g_x, Self::modulus())))
    }

    fn is_below_modulus(value: &[u8]) -> subtle::Choice {
        let value = Zeroizing::new(uint::<L>(value));
        let (_, borrow) = value.borrowing_sub(Self::modulus(), Limb::ZERO);
        !borrow.0.ct_eq(&0)
    }

    fn modulus() -> &'static NonZero<Uint<L>> {
        const { P::PARAMS.modulus().as_nz_ref() }
    }
}

/// A residue in Montgomery form: what is kept is the residue times R, below R but not always below N.
struct Element<P, const L: usize> {
    words: [Word; L],
    prime: PhantomData<P>,
}

impl<P: Prime<L>, const L: usize> Element<P, L> {
    /// The residue of an integer, which may be N or more.
    fn new(value: &Uint<L>) -> Element<P, L> {
        Element::from_words(*value.as_words()) * Element::from_words(P::R_SQUARED)
    }

    fn one() -> Element<P, L> {
        Element::from_words(P::ONE)
    }

    fn from_words(words: [Word; L]) -> Element<P, L> {
        Element { words, prime: PhantomData }
    }

    /// The integer, below N.
    fn retrieve(self) -> Uint<L> {
        let product = kernel::mul(&self.words, Uint::ONE.as_words(), &P::MODULUS, P::INVERSE);
        Uint::from_words(kernel::below_modulus(&product, &P::MODULUS))
    }

    fn square(self) -> Element<P, L> {
        Element::from_words(kernel::square(&self.words, &P::MODULUS, P::INVERSE))
    }

    /// The power by the lowest `bits` bits of an exponent; it must have no others. Only `bits` shows in the time.
    fn pow<const E: usize>(self, exponent: &Uint<E>, bits: usize) -> Element<P, L> {
        let mut power = Element::one();
        let powers = Zeroizing::new([(); 1 << WINDOW].map(|()| {
            let this = power;
            power *= self;
            this
        }));
        let mut result = Element::one();
        for window in (0..bits.div_ceil(WINDOW)).rev() {
            for _ in 0..WINDOW {
                result = result.square();
            }
            // A window never lies across two words.
            let digit = (0..WINDOW).rev().fold(0, |digit, at| (digit << 1) | bit(exponent, window * WINDOW + at));
            result *= Element::select(&*powers, digit);
        }
        result
    }

    /// The entry with this number, found by reading them all.
    fn select(entries: &[Element<P, L>], digit: Word) -> Element<P, L> {
        let mut selected = Element::from_words([0; L]);
        for (number, entry) in (0..).zip(entries) {
            let number: Word = number;
            let mask = Word::from(number.ct_eq(&digit).unwrap_u8()).wrapping_neg();
            for (word, entry_word) in selected.words.iter_mut().zip(&entry.words) {
                *word |= entry_word & mask;
            }
        }
        selected
    }
}

/// The bits of an exponent that [`Element::pow`] takes at a time.
const WINDOW: usize = 4;

impl<P, const L: usize> Clone for Element<P, L> {
    fn clone(&self) -> Element<P, L> {
        *self
    }
}

impl<P, const L: usize> Copy for Element<P, L> {}

impl<P, const L: usize> Zeroize for Element<P, L> {
    fn zeroize(&mut self) {
        self.words.zeroize();
    }
}

impl<P: Prime<L>, const L: usize> Mul for Element<P, L> {
    type Output = Element<P, L>;

    fn mul(self, other: Element<P, L>) -> Element<P, L> {
        Element::from_words(kernel::mul(&self.words, &other.words, &P::MODULUS, P::INVERSE))
    }
}

impl<P: Prime<L>, const L: usize> MulAssign for Element<P, L> {
    fn mul_assign(&mut self, other: Element<P, L>) {
        *self = *self * other;
    }
}

/// A table of powers of g that turns a 256-bit exponentiation into 10 squarings and 44 multiplications.
///
/// The exponent's bits are laid out in [`ROWS`](comb::ROWS) rows of 44; each row is cut into [`BLOCKS`](comb::BLOCKS) blocks
/// of [`COLUMNS`](comb::COLUMNS) = 11. One column of one block, read across the rows, is a 6-bit digit; its table entry is the product of the
/// powers of g that its bits stand for. All blocks share the squarings from one column to the next.
/// (C. H. Lim, P. J. Lee: More flexible exponentiation with precomputation, CRYPTO '94.)
#[cfg(feature = "std")]
struct Comb<P: Prime<L>, const L: usize> {
    /// In the static itself rather than on the heap: a library of which this is a part may be unloaded.
    entries: [[Element<P, L>; comb::ENTRIES]; comb::BLOCKS],
}

/// The measures of the comb. Of those tried, 6 rows and 4 blocks are the fastest: more rows mean fewer multiplications, but
/// each then has to read a longer table. 48 KiB for the 1536-bit group.
#[cfg(feature = "std")]
mod comb {
    pub(super) const ROWS: usize = 6;
    pub(super) const BLOCKS: usize = 4;
    pub(super) const COLUMNS: usize = 11;
    pub(super) const ENTRIES: usize = 1 << ROWS;
    const _: () =
        assert!(ROWS * BLOCKS * COLUMNS >= super::PRIVATE_KEY_BITS, "the comb must reach every bit of the exponent");
}

#[cfg(feature = "std")]
impl<P: Prime<L>, const L: usize> Comb<P, L> {
    fn new() -> Comb<P, L> {
        // g^(2^0), g^(2^11), g^(2^22), …: what the first column of each block of each row stands for.
        let next = |power: &Element<P, L>| (0..comb::COLUMNS).fold(*power, |power, _| power.square());
        let powers: Vec<_> = core::iter::successors(Some(Field::<P, L>::g()), |power| Some(next(power)))
            .take(comb::ROWS * comb::BLOCKS)
            .collect();
        let mut entries = [[Element::one(); comb::ENTRIES]; comb::BLOCKS];
        for (block, products) in entries.iter_mut().enumerate() {
            // Each power doubles the number of products: those without it, and those with it.
            let mut done = 1;
            for power in powers.iter().skip(block).step_by(comb::BLOCKS) {
                let (without, with) = products.split_at_mut(done);
                for (with_power, product) in with.iter_mut().zip(without) {
                    *with_power = *product * *power;
                }
                done *= 2;
            }
        }
        Comb { entries }
    }

    fn pow(&self, e: &U256) -> Element<P, L> {
        let mut result = Element::one();
        for column in (0..comb::COLUMNS).rev() {
            result = result.square();
            for (block, entries) in self.entries.iter().enumerate() {
                let digit = (0..comb::ROWS).fold(0, |digit, row| {
                    let position = (row * comb::BLOCKS + block) * comb::COLUMNS + column;
                    digit | (bit(e, position) << row)
                });
                result *= Element::select(entries, digit);
            }
        }
        result
    }
}

/// One bit of an exponent, 0 beyond its end. The position is public.
fn bit<const E: usize>(e: &Uint<E>, position: usize) -> Word {
    e.as_words().get(position / WORD_BITS).map_or(0, |word| (word >> (position % WORD_BITS)) & 1)
}

const WORD_BITS: usize = Word::BITS as usize;

/// Big-endian bytes as an integer of L limbs. Bytes that would not fit are left out; callers have checked the length.
pub(crate) fn uint<const L: usize>(bytes: &[u8]) -> Uint<L> {
    let mut value = Uint::ZERO;
    for (word, chunk) in value.as_mut_words().iter_mut().zip(bytes.rchunks(size_of::<Word>())) {
        *word = chunk.iter().fold(0, |word, byte| (word << 8) | Word::from(*byte));
    }
    value
}

fn any_exponent(bytes: &[u8]) -> Zeroizing<AnyExponent> {
    Zeroizing::new(uint(bytes))
}

/// An integer as big-endian bytes, at the length of its type.
fn to_bytes<const L: usize>(value: &Uint<L>) -> Zeroizing<Vec<u8>> {
    let mut bytes = Zeroizing::new(Vec::with_capacity(L * size_of::<Word>()));
    for word in value.as_words().iter().rev() {
        bytes.extend_from_slice(&word.to_be_bytes());
    }
    bytes
}

/// The number of bits in this many bytes.
fn bit_len(bytes: &[u8]) -> usize {
    bytes.len().saturating_mul(8)
}

/// A prime of RFC 5054 with all that the compiler can work out about it.
trait Prime<const L: usize>: ConstMontyParams<L> {
    const GENERATOR: Word;
    const MODULUS: [Word; L] = *Self::PARAMS.modulus().as_ref().as_words();
    /// -1/N modulo one word.
    const INVERSE: Word = Self::PARAMS.mod_neg_inv().0;
    /// 1 in Montgomery form: R modulo N.
    const ONE: [Word; L] = *Self::PARAMS.one().as_words();
    /// R² modulo N.
    const R_SQUARED: [Word; L] = *Self::PARAMS.r2().as_words();

    /// This prime's table, built at the first call.
    #[cfg(feature = "std")]
    fn comb() -> &'static Comb<Self, L>;
}

macro_rules! prime {
    ($name:ident, $bytes:ident, $uint:ident, $generator:literal, $($line:literal)*) => {
        const_monty_params!($name, $uint, concat!($($line),*));
        pub(crate) const $bytes: [u8; { $uint::BITS as usize / 8 }] = hex!($($line)*);
        impl Prime<{ $uint::LIMBS }> for $name {
            const GENERATOR: Word = $generator;

            #[cfg(feature = "std")]
            fn comb() -> &'static Comb<Self, { $uint::LIMBS }> {
                static COMB: std::sync::OnceLock<Comb<$name, { $uint::LIMBS }>> = std::sync::OnceLock::new();
                COMB.get_or_init(Comb::new)
            }
        }
    };
}

prime!(
    N1024, N1024_BYTES, U1024, 2,
    "eeaf0ab9adb38dd69c33f80afa8fc5e86072618775ff3c0b9ea2314c9c256576d674df7496ea81d3383b4813d692c6e0e0d5d8e250b98be4"
    "8e495c1d6089dad15dc7d7b46154d6b6ce8ef4ad69b15d4982559b297bcf1885c529f566660e57ec68edbc3c05726cc02fd4cbf4976eaa9a"
    "fd5138fe8376435b9fc61d2fc0eb06e3"
);
prime!(
    N1536, N1536_BYTES, U1536, 2,
    "9def3cafb939277ab1f12a8617a47bbbdba51df499ac4c80beeea9614b19cc4d5f4f5f556e27cbde51c6a94be4607a291558903ba0d0f843"
    "80b655bb9a22e8dcdf028a7cec67f0d08134b1c8b97989149b609e0be3bab63d47548381dbc5b1fc764e3f4b53dd9da1158bfd3e2b9c8cf5"
    "6edf019539349627db2fd53d24b7c48665772e437d6c7f8ce442734af7ccb7ae837c264ae3a9beb87f8a2fe9b8b5292e5a021fff5e91479e"
    "8ce7a28c2442c6f315180f93499a234dcf76e3fed135f9bb"
);
prime!(
    N2048, N2048_BYTES, U2048, 2,
    "ac6bdb41324a9a9bf166de5e1389582faf72b6651987ee07fc3192943db56050a37329cbb4a099ed8193e0757767a13dd52312ab4b03310d"
    "cd7f48a9da04fd50e8083969edb767b0cf6095179a163ab3661a05fbd5faaae82918a9962f0b93b855f97993ec975eeaa80d740adbf4ff74"
    "7359d041d5c33ea71d281e446b14773bca97b43a23fb801676bd207a436c6481f1d2b9078717461a5b9d32e688f87748544523b524b0d57d"
    "5ea77a2775d2ecfa032cfbdbf52fb3786160279004e57ae6af874e7303ce53299ccc041c7bc308d82a5698f3a8d0c38271ae35f8e9dbfbb6"
    "94b5c803d89f7ae435de236d525f54759b65e372fcd68ef20fa7111f9e4aff73"
);
prime!(
    N3072, N3072_BYTES, U3072, 5,
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b"
    "302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe6"
    "49286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d"
    "670c354e4abc9804f1746c08ca18217c32905e462e36ce3be39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718"
    "3995497cea956ae515d2261898fa051015728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7d"
    "b3970f85a6e1e4c7abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c"
    "bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a93ad2caffffffffffffffff"
);
prime!(
    N4096, N4096_BYTES, U4096, 5,
    "ffffffffffffffffc90fdaa22168c234c4c6628b80dc1cd129024e088a67cc74020bbea63b139b22514a08798e3404ddef9519b3cd3a431b"
    "302b0a6df25f14374fe1356d6d51c245e485b576625e7ec6f44c42e9a637ed6b0bff5cb6f406b7edee386bfb5a899fa5ae9f24117c4b1fe6"
    "49286651ece45b3dc2007cb8a163bf0598da48361c55d39a69163fa8fd24cf5f83655d23dca3ad961c62f356208552bb9ed529077096966d"
    "670c354e4abc9804f1746c08ca18217c32905e462e36ce3be39e772c180e86039b2783a2ec07a28fb5c55df06f4c52c9de2bcbf695581718"
    "3995497cea956ae515d2261898fa051015728e5a8aaac42dad33170d04507a33a85521abdf1cba64ecfb850458dbef0a8aea71575d060c7d"
    "b3970f85a6e1e4c7abf5ae8cdb0933d71e8c94e04a25619dcee3d2261ad2ee6bf12ffa06d98a0864d87602733ec86a64521f2b18177b200c"
    "bbe117577a615d6c770988c0bad946e208e24fa074e5ab3143db5bfce0fd108e4b82d120a92108011a723c12a787e6d788719a10bdba5b26"
    "99c327186af4e23c1a946834b6150bda2583e9ca2ad44ce8dbbbc2db04de8ef92e8efc141fbecaa6287c59474e6bc05d99b2964fa090c3a2"
    "233ba186515be7ed1f612970cee2d7afb81bdd762170481cd0069127d5b05aa993b4ea988d8fddc186ffb7dc90a6c08f4df435c934063199"
    "ffffffffffffffff"
);
