//! Removes what this process owns when a signal ends it.
//!
//! The engine is asked by label, so it does not matter what the process has noted, and what is gone
//! already is no failure. Whatever happens, the process then ends by its signal.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{OnceLock, PoisonError, RwLock, RwLockReadGuard, TryLockError};
use std::time::Duration;
use std::{io, thread};

use signal_hook::consts::{SIGINT, SIGQUIT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level::emulate_default_handler;
use tokio::time::{sleep, timeout};

use super::{engine, network};
use crate::database::runtime;

/// How long the end may take.
const LIMIT: Duration = Duration::from_secs(15);
/// Between two looks at what is still there.
const PAUSE: Duration = Duration::from_millis(100);

static ENDING: AtomicBool = AtomicBool::new(false);
/// Read as long as something is about to be created.
static CREATING: RwLock<()> = RwLock::new(());

/// To be held while something is created: the end waits for it, as nothing may follow the last look.
///
/// # Errors
/// Signals cannot be watched.
pub(super) fn creating() -> Result<RwLockReadGuard<'static, ()>, String> {
    static WATCHING: OnceLock<Result<(), String>> = OnceLock::new();
    let watching = WATCHING
        .get_or_init(|| watch().map_err(|error| format!("signals cannot be watched: {error}")));
    watching.clone()?;
    let creating = CREATING.read().unwrap_or_else(PoisonError::into_inner);
    if is_ending() {
        drop(creating);
        await_end();
    }
    Ok(creating)
}

/// Does not return once a signal came: the process is to end by it, not as a test that failed
/// because its container was removed.
pub(super) fn await_end_if_ending() {
    if is_ending() {
        await_end();
    }
}

fn is_ending() -> bool {
    ENDING.load(Ordering::SeqCst)
}

fn await_end() -> ! {
    loop {
        thread::park();
    }
}

fn watch() -> io::Result<()> {
    let runtime = runtime(0)?;
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGQUIT])?;
    let end = move || {
        for signal in signals.forever() {
            ENDING.store(true, Ordering::SeqCst);
            let removing = || runtime.block_on(async { timeout(LIMIT, remove_owned()).await });
            // A panic must not keep the process from ending either.
            catch_unwind(AssertUnwindSafe(removing)).ok();
            emulate_default_handler(signal).ok(); // known for all of them
        }
    };
    thread::Builder::new().name("signals".into()).spawn(end)?;
    Ok(())
}

/// Until nothing is left; also what another thread was just creating. Ends early only where the
/// engine does not answer.
async fn remove_owned() -> Result<(), String> {
    loop {
        let creating = matches!(CREATING.try_write(), Err(TryLockError::WouldBlock));
        let containers = engine::remove_owned().await?;
        let networks = network::remove_owned().await?;
        if !creating && containers + networks == 0 {
            return Ok(());
        }
        sleep(PAUSE).await;
    }
}
