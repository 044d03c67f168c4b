//! Who may stay connected: a place for each connection, and whose place is given away when all are taken.
//!
//! - A connection *rests* while nothing is being done for it: before its first request, between two, and while
//!   a request is still arriving. It rests from its first moment, from the end of an answer, or from the first
//!   byte of a request; further bytes do not make it younger, so dripping does not help.
//! - Once its request has arrived whole, it is *at work* until the answer has left, and keeps its place.
//! - When a client needs a place and none is free, the connection that has rested longest is told to leave. If all
//!   are at work, or have only come, the client waits. The same is done where the system has no descriptor left for
//!   another client, though there is a place.

use std::{
    collections::BTreeMap,
    pin::pin,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{Notify, OwnedSemaphorePermit, Semaphore},
    time::Instant,
};

/// Who has rested for less keeps its place: its request may be on the way.
const GRACE: Duration = Duration::from_millis(250);

/// All places of a server.
pub(super) struct Places {
    free: Arc<Semaphore>,
    queue: Arc<Queue>,
}

/// The place of one connection; free again when it is dropped.
pub(super) struct Place {
    queue: Arc<Queue>,
    leave: Arc<Notify>,
    phase: Mutex<Phase>,
    unread_body: AtomicBool,
    _permit: OwnedSemaphorePermit,
}

#[derive(Clone, Copy)]
enum Phase {
    Rest {
        /// Where it stands in the queue; not there any more once it was told to leave.
        ticket: u64,
        /// Whether a request has begun to arrive.
        arriving: bool,
    },
    Work {
        /// Whether the answer is complete, though perhaps not sent.
        answered: bool,
    },
}

#[derive(Default)]
struct Queue {
    line: Mutex<Line>,
    /// Somebody came to rest, or does not leave after all.
    changed: Notify,
    /// A connection has ended, and its socket is closed.
    ended: Notify,
}

/// Those who rest, the longest first.
#[derive(Default)]
struct Line {
    last_ticket: u64,
    resting: BTreeMap<u64, Resting>,
    /// How many were told to leave and are still there.
    leaving: usize,
}

struct Resting {
    leave: Arc<Notify>,
    since: Instant,
}

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            queue: Arc::default(),
        }
    }

    /// A place, perhaps that of another one; `None` never happens, since the places are not closed.
    pub(super) async fn take(&self) -> Option<Arc<Place>> {
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break permit;
            }
            let again = self.queue.send_one_away();
            let wait = async {
                match again {
                    Some(instant) => tokio::time::sleep_until(instant).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                permit = Arc::clone(&self.free).acquire_owned() => break permit.ok()?,
                () = self.queue.changed.notified() => {}
                () = wait => {}
            }
        };
        let leave = Arc::new(Notify::new());
        let phase = Phase::Rest {
            ticket: self.queue.line().join(Arc::clone(&leave)),
            arriving: false,
        };
        Some(Arc::new(Place {
            queue: Arc::clone(&self.queue),
            leave,
            phase: Mutex::new(phase),
            unread_body: AtomicBool::new(false),
            _permit: permit,
        }))
    }

    /// Sends one away, though there are places, and waits until a connection has ended, at most for `limit`.
    pub(super) async fn make_room(&self, limit: Duration) {
        let latest = Instant::now() + limit;
        let mut ended = pin!(self.queue.ended.notified());
        ended.as_mut().enable();
        while Instant::now() < latest {
            let again = self.queue.send_one_away().unwrap_or(latest);
            tokio::select! {
                () = &mut ended => return,
                () = self.queue.changed.notified() => {}
                () = tokio::time::sleep_until(again.min(latest)) => {}
            }
        }
    }
}

impl Queue {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// One at a time, since the next client needs one place only. Says when to try again, if that is known.
    fn send_one_away(&self) -> Option<Instant> {
        let mut line = self.line();
        if line.leaving > 0 {
            return None;
        }
        let oldest = line.resting.first_entry()?;
        let may_leave = oldest.get().since + GRACE;
        if Instant::now() < may_leave {
            return Some(may_leave);
        }
        oldest.remove().leave.notify_one();
        line.leaving += 1;
        None
    }

    /// Ends the rest of `ticket`; whether it had been told to leave.
    fn leave(&self, ticket: u64) -> bool {
        let mut line = self.line();
        let was_told = line.resting.remove(&ticket).is_none();
        if was_told {
            line.leaving = line.leaving.saturating_sub(1);
        }
        was_told
    }
}

impl Line {
    fn join(&mut self, leave: Arc<Notify>) -> u64 {
        self.last_ticket += 1;
        let since = Instant::now();
        self.resting
            .insert(self.last_ticket, Resting { leave, since });
        self.last_ticket
    }
}

impl Place {
    /// The first bytes of a request are here.
    pub(super) fn request_begins(&self) {
        let mut phase = self.phase();
        if let Phase::Rest {
            ticket,
            arriving: false,
        } = *phase
        {
            let mut line = self.queue.line();
            // Once told to leave, it stays told.
            let ticket = match line.resting.remove(&ticket) {
                Some(resting) => line.join(resting.leave),
                None => ticket,
            };
            *phase = Phase::Rest {
                ticket,
                arriving: true,
            };
        }
    }

    /// There is a whole request, or an answer to a part of one.
    pub(super) fn work_begins(&self) {
        let mut phase = self.phase();
        if let Phase::Rest { ticket, .. } = *phase
            && self.queue.leave(ticket)
        {
            self.queue.changed.notify_one();
        }
        *phase = Phase::Work { answered: false };
    }

    /// The answer is complete.
    pub(super) fn answered(&self) {
        let mut phase = self.phase();
        if let Phase::Work { answered } = &mut *phase {
            *answered = true;
        }
    }

    /// Everything that was written has left.
    pub(super) fn flushed(&self) {
        let mut phase = self.phase();
        if matches!(*phase, Phase::Work { answered: true }) {
            *phase = Phase::Rest {
                ticket: self.queue.line().join(Arc::clone(&self.leave)),
                arriving: false,
            };
            drop(phase);
            self.queue.changed.notify_one();
        }
    }

    /// The head of a request is here, and its body not yet.
    pub(super) fn body_begins(&self) {
        self.unread_body.store(true, Ordering::Relaxed);
        // One that was sent before the last answer had left.
        if self.is_at_work() {
            self.work_begins();
        }
    }

    /// The body is here as well.
    pub(super) fn body_ends(&self) {
        self.unread_body.store(false, Ordering::Relaxed);
        if !self.is_at_work() {
            self.work_begins();
        }
    }

    /// Whether a part of the last request was not read.
    pub(super) fn has_unread_body(&self) -> bool {
        self.unread_body.load(Ordering::Relaxed)
    }

    /// Whether only a part of a request is here.
    pub(super) fn is_arriving(&self) -> bool {
        matches!(*self.phase(), Phase::Rest { arriving: true, .. })
    }

    /// Whether it is at work.
    pub(super) fn is_at_work(&self) -> bool {
        matches!(*self.phase(), Phase::Work { .. })
    }

    /// Waits until somebody else needs the place of this resting connection.
    pub(super) async fn told_to_leave(&self) {
        loop {
            self.leave.notified().await;
            if let Phase::Rest { ticket, .. } = *self.phase()
                && !self.queue.line().resting.contains_key(&ticket)
            {
                return;
            }
        }
    }

    fn phase(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        // Who waits for the place itself is woken by the permit, which is released after this: told earlier, it would
        // find no place and send a second one away.
        if let Phase::Rest { ticket, .. } = *self.phase()
            && self.queue.leave(ticket)
        {
            metrics::counter!("http_connections_gave_way_total").increment(1);
        }
        self.queue.ended.notify_waiters();
    }
}
