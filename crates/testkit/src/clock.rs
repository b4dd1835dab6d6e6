//! Time that passes when told to.
//!
//! A session takes the time as an argument: a [`Duration`] since any fixed start. A test hands it [`VirtualClock::now`] and
//! lets two minutes go by in no time.

use std::time::Duration;

/// A clock that only [`VirtualClock::advance`] moves.
#[derive(Clone, Debug, Default)]
pub struct VirtualClock(Duration);

impl VirtualClock {
    /// Time since the clock was made.
    #[must_use]
    pub fn now(&self) -> Duration {
        self.0
    }

    /// Lets time pass and tells the new time.
    pub fn advance(&mut self, by: Duration) -> Duration {
        self.0 = self.0.saturating_add(by);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moves_only_when_told() {
        let mut clock = VirtualClock::default();
        assert_eq!(clock.now(), Duration::ZERO);
        assert_eq!(clock.advance(Duration::from_secs(30)), Duration::from_secs(30));
        assert_eq!(clock.now(), Duration::from_secs(30));
    }
}
