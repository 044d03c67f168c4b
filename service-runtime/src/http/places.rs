//! Who may stay connected: a place for each connection, and whose place is given away when all are taken.
//!
//! - A connection *rests* while nothing is being done for it: before its first request, between two, and while
//!   a request is still arriving. It rests from its first moment, from the end of an answer, or from the first
//!   byte of a request; further bytes do not make it younger, so dripping does not help.
//! - Once its request has arrived whole, it is *at work* until the answer has left, and keeps its place.
//! - When a client needs a place and none is free, the connection that has rested longest is told to leave. If nobody
//!   could be told for a moment, since all are at work or have only just come to rest, answers that begin say that they are the last ones, and the client waits for the first that has
//!   left: at most as long as an answer may take (`HTTP_REQUEST_TIMEOUT` to its begin, `HTTP_ANSWER_TIMEOUT` to
//!   its end). The same is done where the system has no descriptor left for another client, though there is a place.
//!
//! Live streams are at work for ever; who offers them sees to it that they do not take all places.

use std::{
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

use super::line::Line;

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
    /// An answer has left.
    rested: Notify,
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
        /// Whether the answer is a live stream, which has no end.
        live: bool,
        /// Whether something has come in behind this request.
        ahead: bool,
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

impl Places {
    pub(super) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            queue: Arc::default(),
        }
    }

    /// A place, perhaps that of another one; `None` never happens, since the places are not closed.
    pub(super) async fn take(&self) -> Option<Arc<Place>> {
        let mut at_once = true;
        let permit = loop {
            if let Ok(permit) = Arc::clone(&self.free).try_acquire_owned() {
                break permit;
            }
            at_once = false;
            let again = self.queue.line().make_room(Instant::now());
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
        let (leave, now) = (Arc::new(Notify::new()), Instant::now());
        let mut line = self.queue.line();
        line.has_room(at_once, now);
        let phase = Phase::Rest {
            ticket: line.join(Arc::clone(&leave), now),
            arriving: false,
        };
        drop(line);
        Some(Arc::new(Place {
            queue: Arc::clone(&self.queue),
            leave,
            phase: Mutex::new(phase),
            unread_body: AtomicBool::new(false),
            rested: Notify::new(),
            _permit: permit,
        }))
    }

    /// Sends one away, though there are places, and waits until a connection has ended, at most for `limit`.
    pub(super) async fn make_room(&self, limit: Duration) {
        let latest = Instant::now() + limit;
        let mut ended = pin!(self.queue.ended.notified());
        ended.as_mut().enable();
        while Instant::now() < latest {
            let again = self.queue.line().make_room(Instant::now());
            let again = again.unwrap_or(latest).min(latest);
            tokio::select! {
                () = &mut ended => break,
                () = self.queue.changed.notified() => {}
                () = tokio::time::sleep_until(again) => {}
            }
        }
        self.queue.line().has_room(false, Instant::now());
    }
}

impl Queue {
    fn line(&self) -> MutexGuard<'_, Line> {
        self.line.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Place {
    /// Bytes of a request are here.
    pub(super) fn bytes_arrive(&self) {
        let mut phase = self.phase();
        match &mut *phase {
            Phase::Rest { ticket, arriving } if !*arriving => {
                *ticket = self.queue.line().join_again(*ticket, Instant::now());
                *arriving = true;
            }
            Phase::Rest { .. } => {}
            Phase::Work { ahead, .. } => *ahead |= !self.has_unread_body(),
        }
    }

    /// There is a whole request.
    pub(super) fn work_begins(&self) {
        self.replace(Phase::Work {
            answered: false,
            live: false,
            ahead: false,
        });
    }

    /// There is an answer, to the whole of a request or to a part of it. Whether it is to be the last one of its
    /// connection, since somebody waits for a place; not asked of a live stream, which would keep it all the same.
    pub(super) fn answer_begins(&self, live: bool) -> bool {
        let ahead = matches!(*self.phase(), Phase::Work { ahead: true, .. });
        self.replace(Phase::Work {
            answered: false,
            live,
            ahead,
        });
        let is_last = !live && self.queue.line().is_asking();
        if is_last {
            metrics::counter!("http_connections_gave_way_total").increment(1);
        }
        is_last
    }

    /// Goes to work, or on to the next.
    fn replace(&self, work: Phase) {
        let mut phase = self.phase();
        if let Phase::Rest { ticket, .. } = *phase
            && self.queue.line().end(ticket)
        {
            self.queue.changed.notify_one();
        }
        *phase = work;
    }

    /// The answer is complete.
    pub(super) fn answered(&self) {
        let mut phase = self.phase();
        if let Phase::Work { answered, .. } = &mut *phase {
            *answered = true;
        }
    }

    /// Everything that was written has left.
    pub(super) fn flushed(&self) {
        let mut phase = self.phase();
        if let Phase::Work {
            answered: true,
            ahead,
            ..
        } = *phase
        {
            let leave = Arc::clone(&self.leave);
            *phase = Phase::Rest {
                ticket: self.queue.line().join(leave, Instant::now()),
                arriving: ahead,
            };
            drop(phase);
            self.rested.notify_one();
            self.queue.changed.notify_one();
        }
    }

    /// The head of a request is here, and its body not yet.
    pub(super) fn body_begins(&self) {
        self.unread_body.store(true, Ordering::Relaxed);
        if self.is_at_work() {
            // One that was sent before the last answer had left.
            self.work_begins();
        } else {
            // The head may have come together with the last request.
            self.bytes_arrive();
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

    /// Whether its answer is a live stream.
    pub(super) fn is_live(&self) -> bool {
        matches!(*self.phase(), Phase::Work { live: true, .. })
    }

    /// Whether it is at work.
    pub(super) fn is_at_work(&self) -> bool {
        matches!(*self.phase(), Phase::Work { .. })
    }

    /// Waits until nothing of a request is here.
    pub(super) async fn rests(&self) {
        while self.is_arriving() || self.is_at_work() {
            self.rested.notified().await;
        }
    }

    /// Waits until somebody else needs the place of this resting connection.
    pub(super) async fn told_to_leave(&self) {
        // Asked first: who was told while somebody else waited here is not woken a second time.
        while !self.is_told() {
            self.leave.notified().await;
            // The sockets are looked at once more: where this process was held up, all have rested for long, and the
            // next request may be here without anybody having seen it.
            tokio::task::yield_now().await;
        }
    }

    fn is_told(&self) -> bool {
        let phase = self.phase();
        matches!(*phase, Phase::Rest { ticket, .. } if self.queue.line().is_told(ticket))
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
            && self.queue.line().end(ticket)
        {
            metrics::counter!("http_connections_gave_way_total").increment(1);
        }
        self.queue.ended.notify_waiters();
    }
}
