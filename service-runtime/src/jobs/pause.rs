//! When a worker lets the other side rest: after a run of failures nothing is leased for a while,
//! and then one job at a time until one gets an answer.

use std::{
    sync::{Mutex, PoisonError},
    time::Duration,
};

use tokio::time::Instant;

use super::{Backoff, JobResult, metrics};

/// When a worker pauses, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pause {
    /// After so many failed attempts in a row, of any jobs.
    pub after: u32,
    /// The pauses of one run of failures: the first is `initial`, each next one twice as long.
    pub backoff: Backoff,
}

/// The attempts of a worker that failed in a row.
#[derive(Debug, Default)]
pub(super) struct Failures(Mutex<Run>);

#[derive(Debug, Default)]
struct Run {
    failed: u32,
    paused_until: Option<Instant>,
}

/// How much a worker may lease.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Permit {
    /// As configured.
    All,
    /// One job, to see whether the other side answers again.
    One,
    /// Nothing for so long.
    Wait(Duration),
}

impl Failures {
    /// Counts an attempt that ended at `now`.
    pub(super) fn note(&self, kind: &str, pause: &Pause, result: &JobResult, now: Instant) {
        let mut run = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match result {
            JobResult::Done { .. } | JobResult::Dead { .. } => {
                *run = Run::default();
                metrics::paused(kind, false);
            }
            // It may not have asked the other side at all.
            JobResult::Skipped { .. } => {}
            // What was under way when the pause began says nothing new.
            JobResult::Retry { .. } if run.paused_until.is_some_and(|until| now < until) => {}
            JobResult::Retry { .. } => {
                run.failed = run.failed.saturating_add(1);
                if run.failed < pause.after {
                    return;
                }
                let wait = pause.backoff.ceiling(run.failed - pause.after + 1);
                run.paused_until = Some(now + wait);
                metrics::paused(kind, true);
                tracing::warn!(
                    kind,
                    failures = run.failed,
                    ?wait,
                    "Jobs pause after a run of failures."
                );
            }
        }
    }

    /// What may be leased at `now`.
    pub(super) fn permit(&self, now: Instant) -> Permit {
        let run = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match run.paused_until {
            None => Permit::All,
            Some(until) if until <= now => Permit::One,
            Some(until) => Permit::Wait(until - now),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const PAUSE: Pause = Pause {
        after: 3,
        backoff: Backoff {
            initial: SECOND,
            max: Duration::from_secs(4),
        },
    };

    fn failed() -> JobResult {
        let error = "503".to_owned();
        JobResult::Retry { error }
    }

    /// What may be leased after each of `results`, which come half a second apart.
    fn permits(results: &[JobResult]) -> Vec<Permit> {
        let (failures, start) = (Failures::default(), Instant::now());
        let permit = |(number, result): (u32, &JobResult)| {
            let now = start + number * SECOND / 2;
            failures.note("charge", &PAUSE, result, now);
            failures.permit(now)
        };
        (0..).zip(results).map(permit).collect()
    }

    #[test]
    fn a_run_of_failures_pauses_and_an_answer_ends_the_run() {
        let done = JobResult::Done { result: None };
        let results = [
            failed(),
            failed(),
            done.clone(),
            failed(),
            failed(),
            failed(),
            done,
        ];
        let mut expected = [Permit::All; 7];
        expected[5] = Permit::Wait(SECOND);
        assert_eq!(permits(&results), expected);
    }

    #[test]
    fn failures_of_what_was_under_way_do_not_lengthen_a_pause() {
        let half = Permit::Wait(SECOND / 2);
        let results = [failed(), failed(), failed(), failed()];
        assert_eq!(permits(&results)[3], half);
    }

    #[test]
    fn after_a_pause_one_job_is_tried_and_the_pauses_double_up_to_the_longest() {
        let (failures, mut now) = (Failures::default(), Instant::now());
        failures.note("charge", &PAUSE, &failed(), now);
        failures.note("charge", &PAUSE, &failed(), now);
        for seconds in [1, 2, 4, 4] {
            failures.note("charge", &PAUSE, &failed(), now);
            assert_eq!(failures.permit(now), Permit::Wait(seconds * SECOND));
            now += seconds * SECOND;
            assert_eq!(failures.permit(now), Permit::One);
        }
        let error = "402".to_owned();
        failures.note("charge", &PAUSE, &JobResult::Dead { error }, now);
        assert_eq!(failures.permit(now), Permit::All);
    }
}
