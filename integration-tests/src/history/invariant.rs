//! The promises, each by a name.

use std::fmt;

/// An enum that knows all that it can be.
macro_rules! all {
    ($(#[$meta:meta])* pub enum $name:ident { $($(#[$doc:meta])* $variant:ident,)+ }) => {
        $(#[$meta])*
        pub enum $name { $($(#[$doc])* $variant,)+ }

        impl $name {
            /// Every one of them.
            pub const ALL: &[Self] = &[$(Self::$variant),+];
        }
    };
}

all! {
/// A promise that can be broken. The numbers are those of the design's list of invariants and of the failure
/// catalogue's list for a history checker.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Invariant {
    /// 1: what was answered with 2xx is in the log (lost write).
    AcceptedIsInTheLog,
    /// 1: with the content that was asked for.
    ContentIsAsAsked,
    /// 1: one key or one id of a client is one order.
    OneKeyIsOneOrder,
    /// 1: an answer is 2xx, 4xx, or 503 with `Retry-After`.
    AnswerIsInTheContract,
    /// G1a: what was answered with 4xx never appears.
    FailedNeverAppears,
    /// No order without an attempt or an injected record (phantom).
    OrderWasAskedFor,
    /// No CANCELLED on request that nobody may have requested.
    CancellationWasAskedFor,
    /// REJECTED and CANCELLED have a reason, which is one of their writer's.
    EndHasAReason,
    /// The reason of a REJECTED was so: too few pieces, no such product, a declined charge, a broken rule.
    RejectionIsJustified,
    /// No CANCELLED for the deadline before it.
    DeadlineHasPassed,
    /// The answer to a cancellation agrees with the end.
    CancellationIsAnsweredAsItEnded,
    /// 2: every order ends.
    EveryOrderEnds,
    /// 2: every participant has folded what the log says.
    StatusIsTheLogs,
    /// 2: the read model tells the log's history.
    HistoryIsTheLogs,
    /// A replay of the log gives the rows that the command side keeps.
    CommandRowIsTheLogs,
    /// What a participant decided is in the log or was overtaken.
    OutcomeIsConfirmed,
    /// Every record is of a writer that writes such, readable and in its partition, or was injected.
    RecordHasAWriter,
    /// An effective event has its cause before it.
    StepHasItsCause,
    /// A service decides once about an order.
    DecidedOnce,
    /// A repeated event is the same, byte for byte.
    RepeatIsTheSame,
    /// Records are repeated no more often than the run allows.
    RepeatsAreBounded,
    /// 3: seeded + adjustments = available + reserved + shipped.
    StockIsConserved,
    /// 3: never below zero.
    StockIsNotNegative,
    /// 3: reservations are those of the orders of the log.
    ReservationIsTheLogs,
    /// 4: charges - refunds is 1 for SHIPPED, 0 for every other end.
    MoneyIsConserved,
    /// 4: no order is charged twice.
    ChargedOnce,
    /// 4: what is charged, and kept of it, is what the order costs.
    PaymentIsTheLogs,
    /// Parcels are those of the SHIPPED orders.
    ShipmentIsTheLogs,
    /// 5: every effective state that is mailed is; none is skipped unless the run says so.
    MailIsSent,
    /// 5: nothing else is, and to nobody else.
    MailHasItsState,
    /// 5: all mails of an order and a state have one `Message-ID`.
    MailHasOneId,
    /// 5: none again, but by a job that was tried again because somebody was interrupted who had to note it. Leases that a
    /// slow machine outlives are not excused.
    MailRepeatsAreBounded,
    /// Every receiver is told of every effective state that it is registered for.
    NotificationIsSent,
    /// And of nothing that the log does not have.
    NotificationHasItsState,
    /// None more often than its job was tried.
    NotificationRepeatsAreBounded,
    /// No job is left open or given up.
    JobIsDone,
    /// 6: every poison is a dead letter of every group that cannot use it, and that group knows that it gave up.
    PoisonIsDeadLettered,
    /// 6: nothing else is.
    DeadLetterIsPoison,
    /// 6: with its bytes and its place.
    DeadLetterIsTheSame,
    /// 6: every record was read by every participant.
    NothingIsPassedOver,
    /// The log has every record between its borders.
    LogIsWhole,
    /// 7: at rest every group has committed the end of every partition.
    EverythingIsCommitted,
    /// 7: nobody committed an offset that the log does not have.
    OffsetIsInTheLog,
    /// 7: nobody committed an offset before the work was durable.
    OffsetIsDurable,
    /// No process ends by itself, or fails when it is asked to end.
    NobodyEndsByItself,
}
}

/// A broken promise.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Violation {
    /// Which.
    pub invariant: Invariant,
    /// What shows it: order ids, places in the log, rows. Nothing about a customer.
    pub evidence: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}: {}", self.invariant, self.evidence)
    }
}
