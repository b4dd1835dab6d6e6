//! Montgomery multiplication and squaring of whole words, in constant time: the two operations that nearly all the time goes into.
//!
//! crypto-bigint has both, and everything around them here is crypto-bigint's; but it squares by multiplying. These two make a login about a
//! third faster, in safe code: a squaring computes each product of two different words once, and rows are worked off in [chunks](CHUNK) of a
//! length that the compiler keeps in registers.
//!
//! What comes out is below R = 2^(bits of L words), not always below N ("almost Montgomery": S. Gueron, Efficient software implementations of
//! modular exponentiation, 2012): the final subtraction of N is needed only where the result would not fit. Inputs may be anything below R.
//! [`below_modulus`] brings a final result into range.
//!
//! There is no branch and no address that depends on a value: loops run over lengths, and carries are added, not asked for.
//! All L are multiples of [`CHUNK`].

use crypto_bigint::Word;
use subtle::Choice;

/// Words worked off at a time.
const CHUNK: usize = 8;

/// x y / R modulo N, below R. `n_inverse` is -1/N modulo one word.
pub(crate) fn mul<const L: usize>(x: &[Word; L], y: &[Word; L], n: &[Word; L], n_inverse: Word) -> [Word; L] {
    let mut product = [[0; L]; 2];
    let mut rest = product.as_flattened_mut();
    for word in x {
        let Some((row, above)) = rest.split_at_mut_checked(L) else { break };
        let carry = add_product(row, y, *word);
        if let Some(next) = above.first_mut() {
            *next = carry;
        }
        rest = without_first(rest);
    }
    reduce(&mut product, n, n_inverse)
}

/// x² / R modulo N, below R.
pub(crate) fn square<const L: usize>(x: &[Word; L], n: &[Word; L], n_inverse: Word) -> [Word; L] {
    let mut product = [[0; L]; 2];

    // The products of different words, each once: word i with those above it, from place 2i + 1 on.
    let mut rest = without_first(product.as_flattened_mut());
    let mut words = x.as_slice();
    while let Some((word, others)) = words.split_first() {
        let Some((row, above)) = rest.split_at_mut_checked(others.len()) else { break };
        let carry = add_product(row, others, *word);
        if let Some(next) = above.first_mut() {
            *next = carry;
        }
        rest = without_first(without_first(rest));
        words = others;
    }

    // Twice that, plus the squares of the words.
    let (pairs, _) = product.as_flattened_mut().as_chunks_mut::<2>();
    let mut shifted_out = 0;
    let mut carry = false;
    for ([low, high], word) in pairs.iter_mut().zip(x) {
        let (square_low, square_high) = word.carrying_mul(*word, 0);
        let (twice_low, twice_high) = ((*low << 1) | shifted_out, (*high << 1) | (*low >> (Word::BITS - 1)));
        shifted_out = *high >> (Word::BITS - 1);
        (*low, carry) = twice_low.carrying_add(square_low, carry);
        (*high, carry) = twice_high.carrying_add(square_high, carry);
    }
    reduce(&mut product, n, n_inverse)
}

/// x modulo N for an x that is at most N: N becomes 0.
pub(crate) fn below_modulus<const L: usize>(x: &[Word; L], n: &[Word; L]) -> [Word; L] {
    let (difference, borrow) = subtract_masked(x, n, Word::MAX);
    let keep = mask(borrow);
    let mut result = difference;
    for (word, x) in result.iter_mut().zip(x) {
        *word ^= (*word ^ x) & keep;
    }
    result
}

/// Montgomery reduction: product / R modulo N, below R.
fn reduce<const L: usize>(product: &mut [[Word; L]; 2], n: &[Word; L], n_inverse: Word) -> [Word; L] {
    let mut rest = product.as_flattened_mut();
    let mut carry = false;
    for _ in 0..L {
        let Some((row, above)) = rest.split_at_mut_checked(L) else { break };
        // The multiple of N that makes the lowest word 0.
        let multiple = row.first().map_or(0, |lowest| lowest.wrapping_mul(n_inverse));
        let row_carry = add_product(row, n, multiple);
        if let Some(next) = above.first_mut() {
            (*next, carry) = next.carrying_add(row_carry, carry);
        }
        rest = without_first(rest);
    }
    let [_, high] = product;
    let (result, _) = subtract_masked(high, n, mask(carry));
    result
}

/// row += words * word; what does not fit is returned.
#[inline(always)]
#[expect(clippy::inline_always, reason = "the lengths must be known where it is used")]
fn add_product(row: &mut [Word], words: &[Word], word: Word) -> Word {
    let (row_chunks, row_rest) = row.as_chunks_mut::<CHUNK>();
    let (word_chunks, word_rest) = words.as_chunks::<CHUNK>();
    let (mut product_carry, mut sum_carry) = (0, false);
    for (row, words) in row_chunks.iter_mut().zip(word_chunks) {
        // First all products, then all sums: each is then one chain of carries, which the processor has instructions for.
        let mut products = [0; CHUNK];
        for (product, other) in products.iter_mut().zip(words) {
            (*product, product_carry) = word.carrying_mul(*other, product_carry);
        }
        for (sum, product) in row.iter_mut().zip(&products) {
            (*sum, sum_carry) = sum.carrying_add(*product, sum_carry);
        }
    }
    // This cannot overflow: row and words' product together fit one word more than the row has.
    let mut carry = product_carry.wrapping_add(Word::from(sum_carry));
    for (sum, other) in row_rest.iter_mut().zip(word_rest) {
        (*sum, carry) = word.carrying_mul_add(*other, *sum, carry);
    }
    carry
}

/// x - (y & mask), and whether that borrows.
fn subtract_masked<const L: usize>(x: &[Word; L], y: &[Word; L], mask: Word) -> ([Word; L], bool) {
    let mut difference = [0; L];
    let mut borrow = false;
    for ((word, x), y) in difference.iter_mut().zip(x).zip(y) {
        (*word, borrow) = x.borrowing_sub(*y & mask, borrow);
    }
    (difference, borrow)
}

/// All ones for true, all zeros for false. `Choice` keeps the compiler from seeing that there are only these two: it would
/// make a branch of them, as `tools/ct-check` found for the larger groups.
fn mask(bit: bool) -> Word {
    Word::from(Choice::from(u8::from(bit)).unwrap_u8()).wrapping_neg()
}

fn without_first(words: &mut [Word]) -> &mut [Word] {
    words.split_first_mut().map_or(&mut [], |(_, rest)| rest)
}

#[cfg(test)]
mod tests {
    use alloc::vec;
    use alloc::vec::Vec;

    use crypto_bigint::modular::{ConstMontyForm, ConstMontyParams};
    use crypto_bigint::{U1024, U1536, U2048, U3072, U4096, Uint};
    use proptest::prelude::*;

    use super::*;
    use crate::field::{N1024, N1536, N2048, N3072, N4096};

    /// Words that make carries run: random ones, and long rows of zeros and ones.
    fn words() -> impl Strategy<Value = Vec<Word>> {
        let word = prop_oneof![any::<Word>(), Just(0), Just(1), Just(Word::MAX), Just(Word::MAX - 1)];
        prop::collection::vec(word, U4096::LIMBS)
    }

    /// Against crypto-bigint's own Montgomery multiplication, for any inputs below R.
    fn check<P: ConstMontyParams<L>, const L: usize>(x: &[Word], y: &[Word]) {
        let (n, inverse) = (*P::PARAMS.modulus().as_ref().as_words(), P::PARAMS.mod_neg_inv().0);
        let (x, y): ([Word; L], [Word; L]) = (x[..L].try_into().unwrap(), y[..L].try_into().unwrap());
        let residue = |words| ConstMontyForm::<P, L>::new(&Uint::from_words(words));
        let r_inverse = ConstMontyForm::<P, L>::from_montgomery(Uint::ONE);
        let expected = |product: ConstMontyForm<P, L>| product * r_inverse;
        assert_eq!(residue(mul(&x, &y, &n, inverse)), expected(residue(x) * residue(y)));
        assert_eq!(residue(square(&x, &n, inverse)), expected(residue(x).square()));
        assert_eq!(square(&x, &n, inverse), mul(&x, &x, &n, inverse));
        let retrieved = below_modulus(&mul(&x, Uint::ONE.as_words(), &n, inverse), &n);
        assert!(Uint::from_words(retrieved) < Uint::from_words(n));
        assert_eq!(residue(retrieved), expected(residue(x)));
    }

    fn check_all(x: &[Word], y: &[Word]) {
        check::<N1024, { U1024::LIMBS }>(x, y);
        check::<N1536, { U1536::LIMBS }>(x, y);
        check::<N2048, { U2048::LIMBS }>(x, y);
        check::<N3072, { U3072::LIMBS }>(x, y);
        check::<N4096, { U4096::LIMBS }>(x, y);
    }

    proptest! {
        #![proptest_config(ProptestConfig { cases: 200, ..ProptestConfig::default() })]

        #[test]
        fn products_are_those_of_crypto_bigint(x in words(), y in words()) {
            check_all(&x, &y);
        }
    }

    #[test]
    fn the_ends_of_the_range() {
        let all = [0, 1, Word::MAX].map(|word| vec![word; U4096::LIMBS]);
        for x in &all {
            for y in &all {
                check_all(x, y);
            }
        }
    }

    #[test]
    fn the_modulus_itself_is_zero() {
        let n = *N1536::PARAMS.modulus().as_ref().as_words();
        assert_eq!(below_modulus(&n, &n), [0; U1536::LIMBS]);
        let mut less = n;
        less[0] -= 1;
        assert_eq!(below_modulus(&less, &n), less);
        assert_eq!(below_modulus(&[0; U1536::LIMBS], &n), [0; U1536::LIMBS]);
    }
}
