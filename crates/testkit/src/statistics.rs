//! Comparing distributions of times: does the time of an answer tell what the answer does not?
//!
//! Samples are drawn in turn, in an order that changes, so that whatever else the machine does falls on all alike. The slowest fifth of each is cut off
//! (interrupts), then [`welch`] compares two of them. A |t| below [`BOUND`] is the usual one of tests for leaks; chance and drift
//! exceed it now and then, a leak does so every time: measure again what exceeds it.

/// The |t| that two samples of the same distribution do not exceed but by chance.
pub const BOUND: f64 = 4.5;

/// The samples in rising order, without the slowest fifth.
#[must_use]
pub fn without_slowest(times: &[f64]) -> Vec<f64> {
    let mut times = times.to_vec();
    times.sort_by(f64::total_cmp);
    times.truncate(times.len() * 4 / 5);
    times
}

/// The mean.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "no test has 2^52 samples")]
pub fn mean(times: &[f64]) -> f64 {
    times.iter().sum::<f64>() / times.len() as f64
}

/// Welch's t of two samples: the difference of their means in units of what chance makes of it.
#[must_use]
#[expect(clippy::cast_precision_loss, reason = "no test has 2^52 samples")]
pub fn welch(one: &[f64], other: &[f64]) -> f64 {
    let variance_of_mean = |times: &[f64]| {
        let mean = mean(times);
        let squares: f64 = times.iter().map(|time| (time - mean).powi(2)).sum();
        squares / (times.len() - 1) as f64 / times.len() as f64
    };
    (mean(one) - mean(other)) / (variance_of_mean(one) + variance_of_mean(other)).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Worked by hand: means 2 and 5, variances 1 and 1, three samples each.
    #[test]
    fn welch_by_hand() {
        let t = welch(&[1.0, 2.0, 3.0], &[4.0, 5.0, 6.0]);
        assert!((t + 3.0 / (2.0_f64 / 3.0).sqrt()).abs() < 1e-9, "{t}");
    }

    #[test]
    fn the_slowest_fifth_goes() {
        assert_eq!(without_slowest(&[5.0, 1.0, 90.0, 2.0, 3.0]), [1.0, 2.0, 3.0, 5.0]);
    }
}
