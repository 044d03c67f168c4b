//! Who rests and for how long, who is told to leave, and whether those at work are asked to go. It has no clock and
//! no sockets: the instants come from outside.
//!
//! - Who has rested for [`GRACE`] can be told to leave: the longest first, and one at a time, since the next client
//!   needs one place only.
//! - Where nobody could be told for as long, clients with one request after the other have all places. Then every
//!   answer that begins is the last one of its connection, until there is a place. Clients that wait one behind the
//!   other do not have to be that patient each.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use tokio::{sync::Notify, time::Instant};

/// Who has rested for less keeps its place: its request may be on the way.
pub(super) const GRACE: Duration = Duration::from_millis(250);

#[derive(Default)]
pub(super) struct Line {
    last_ticket: u64,
    /// The longest first.
    resting: BTreeMap<u64, Resting>,
    /// How many were told to leave and are still there.
    leaving: usize,
    stuck: Option<Stuck>,
    asking: bool,
}

struct Resting {
    leave: Arc<Notify>,
    since: Instant,
}

/// Clients wait for a place, and nobody can be told to leave.
struct Stuck {
    since: Instant,
    /// When the last one had waited long enough; none while one waits.
    relieved: Option<Instant>,
}

impl Line {
    /// Somebody comes to rest; the ticket stands for that rest.
    pub(super) fn join(&mut self, leave: Arc<Notify>, now: Instant) -> u64 {
        self.last_ticket += 1;
        let resting = Resting { leave, since: now };
        self.resting.insert(self.last_ticket, resting);
        self.last_ticket
    }

    /// Somebody rests from now on; the old ticket where it was told to leave, which it stays.
    pub(super) fn join_again(&mut self, ticket: u64, now: Instant) -> u64 {
        match self.resting.remove(&ticket) {
            Some(resting) => self.join(resting.leave, now),
            None => ticket,
        }
    }

    /// Ends a rest; whether it had been told to leave.
    pub(super) fn end(&mut self, ticket: u64) -> bool {
        let was_told = self.resting.remove(&ticket).is_none();
        if was_told {
            self.leaving = self.leaving.saturating_sub(1);
        }
        was_told
    }

    /// Whether who has this ticket was told to leave.
    pub(super) fn is_told(&self, ticket: u64) -> bool {
        !self.resting.contains_key(&ticket)
    }

    /// Whether answers that begin are to be the last ones of their connections.
    pub(super) fn is_asking(&self) -> bool {
        self.asking
    }

    /// A client waits for a place. Says when to call this again, if that is known.
    pub(super) fn make_room(&mut self, now: Instant) -> Option<Instant> {
        if self.leaving > 0 {
            return None;
        }
        let mut may_leave = None;
        if let Some(oldest) = self.resting.first_entry() {
            let instant = oldest.get().since + GRACE;
            if instant <= now {
                oldest.remove().leave.notify_one();
                self.leaving += 1;
                self.stuck = None;
                self.asking = false;
                return None;
            }
            may_leave = Some(instant);
        }
        let may_ask = self.stuck_since(now) + GRACE;
        self.asking = may_ask <= now;
        if self.asking {
            return may_leave;
        }
        Some(may_leave.map_or(may_ask, |instant| instant.min(may_ask)))
    }

    /// A client has waited long enough, or there was a place for it `at_once`.
    pub(super) fn has_room(&mut self, at_once: bool, now: Instant) {
        self.asking = false;
        if at_once {
            self.stuck = None;
        } else if let Some(stuck) = &mut self.stuck {
            stuck.relieved = Some(now);
        }
    }

    /// Since when nobody could be told. Another client that waits soon after the last one goes on where that one was.
    fn stuck_since(&mut self, now: Instant) -> Instant {
        let is_over = |stuck: &Stuck| stuck.relieved.is_some_and(|at| at + GRACE < now);
        let since = match &self.stuck {
            Some(stuck) if !is_over(stuck) => stuck.since,
            _ => now,
        };
        let relieved = None;
        self.stuck = Some(Stuck { since, relieved });
        since
    }
}

#[cfg(test)]
mod tests;
