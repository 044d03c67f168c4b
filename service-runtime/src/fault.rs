//! Failpoints and mutations: how the tests prove what the services promise under faults.
//!
//! - [`point`] marks a place between two durable steps. A test has the process die or freeze there.
//! - [`mutated`] marks a rule of the design. A test switches the rule off, to see that it fails then.
//!
//! `FAILPOINTS` says what happens, in the syntax of the crate `fail`: with
//! `participant.commit.after=2*off->1*return(abort)` the process aborts when it is there for the third time.
//! `return(abort)` and `return(freeze)` are for points, `mutation.NAME=return` is for mutations, which
//! `fault::MUTATIONS` lists.
//!
//! All of it needs the feature `fault-injection`. Without it both functions are empty and inlined: nothing of
//! this is in a build that anybody runs.

#[cfg(feature = "fault-injection")]
mod mutations;

#[cfg(feature = "fault-injection")]
mod injected {
    use std::sync::Once;

    use signal_hook::consts::SIGSTOP;

    use super::mutations::MUTATIONS;

    /// Reads `FAILPOINTS`, once. Only a process that wants to refuse a wrong text at its start has to call it.
    pub fn set_up() {
        static READ: Once = Once::new();
        // Dropped, it would switch off again what it read.
        READ.call_once(|| std::mem::forget(fail::FailScenario::setup()));
    }

    /// A place where a test may have the process die (`abort`) or stop as by SIGSTOP (`freeze`).
    pub fn point(name: &str) {
        set_up();
        fail::fail_point!(name, |action| act(name, action.as_deref()));
    }

    /// Whether a test switched off the rule `name` of [`MUTATIONS`], `mutation.NAME` in `FAILPOINTS`.
    #[must_use]
    pub fn mutated(name: &str) -> bool {
        debug_assert!(
            MUTATIONS.iter().any(|known| known.name == name),
            "{name} is not listed"
        );
        set_up();
        fail::fail_point!(&format!("mutation.{name}"), |_| true);
        false
    }

    fn act(name: &str, action: Option<&str>) {
        // Not by tracing: nothing would be written any more.
        eprintln!("failpoint {name}: {}", action.unwrap_or_default());
        match action {
            Some("abort") => std::process::abort(),
            Some("freeze") => {
                // Returns when somebody continues the process.
                if let Err(error) = signal_hook::low_level::raise(SIGSTOP) {
                    eprintln!("failpoint {name}: not frozen: {error}");
                }
            }
            _ => eprintln!("failpoint {name}: neither abort nor freeze"),
        }
    }
}

#[cfg(feature = "fault-injection")]
pub use injected::{mutated, point, set_up};
#[cfg(feature = "fault-injection")]
pub use mutations::{MUTATIONS, Mutation};

/// Nothing, without the feature `fault-injection`.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
pub fn point(_name: &str) {}

/// `false`, without the feature `fault-injection`.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
#[must_use]
pub const fn mutated(_name: &str) -> bool {
    false
}

/// Nothing, without the feature `fault-injection`.
#[cfg(not(feature = "fault-injection"))]
#[inline(always)]
pub const fn set_up() {}
