//! How long to wait after a failure.

use std::time::Duration;

/// Exponential back-off with full jitter: the n-th delay is uniform between zero and
/// `initial * 2^(n-1)`, capped at `max`, so that those who failed together do not return together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Backoff {
    /// Longest first delay.
    pub initial: Duration,
    /// Longest delay of all.
    pub max: Duration,
}

impl Backoff {
    /// The longest delay after the `attempt`-th failure, counted from 1.
    pub fn ceiling(&self, attempt: u32) -> Duration {
        let doublings = attempt.saturating_sub(1).min(31);
        self.initial.saturating_mul(1 << doublings).min(self.max)
    }

    /// A random delay after the `attempt`-th failure, counted from 1.
    pub fn wait(&self, attempt: u32) -> Duration {
        self.delay(attempt, rand::random())
    }

    /// The delay after the `attempt`-th failure, counted from 1; `random` is uniform in 0..=1 (a
    /// value outside counts as the nearer end, NaN as 1).
    pub fn delay(&self, attempt: u32, random: f64) -> Duration {
        let ceiling = self.ceiling(attempt);
        let share = random.clamp(0.0, 1.0);
        Duration::try_from_secs_f64(ceiling.as_secs_f64() * share)
            .map_or(ceiling, |delay| delay.min(ceiling))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_ceiling_doubles_up_to_the_maximum() {
        let backoff = Backoff {
            initial: SECOND,
            max: 10 * SECOND,
        };
        let ceilings: Vec<u64> = (0..7).map(|n| backoff.ceiling(n).as_secs()).collect();
        assert_eq!(ceilings, [1, 1, 2, 4, 8, 10, 10]);
        assert_eq!(backoff.ceiling(u32::MAX), 10 * SECOND);
    }

    #[test]
    fn the_delay_is_the_random_share_of_the_ceiling() {
        let backoff = Backoff {
            initial: SECOND,
            max: 60 * SECOND,
        };
        assert_eq!(backoff.delay(3, 0.0), Duration::ZERO);
        assert_eq!(backoff.delay(3, 0.25), SECOND);
        assert_eq!(backoff.delay(3, 1.0), 4 * SECOND);
        assert_eq!(backoff.delay(3, f64::NAN), 4 * SECOND);
    }

    proptest! {
        #[test]
        fn a_delay_is_never_longer_than_its_ceiling(
            initial in 0_u64..=u64::MAX,
            max in 0_u64..=u64::MAX,
            attempt in any::<u32>(),
            random in any::<f64>(),
        ) {
            let backoff = Backoff {
                initial: Duration::from_millis(initial),
                max: Duration::from_millis(max),
            };
            let delay = backoff.delay(attempt, random);
            prop_assert!(delay <= backoff.ceiling(attempt));
            prop_assert!(backoff.ceiling(attempt) <= backoff.max);
            prop_assert!(backoff.ceiling(attempt) <= backoff.ceiling(attempt.saturating_add(1)));
        }
    }
}
