//! The rules that tests switch off one by one, each where the code keeps it.

/// A rule that can be switched off.
#[derive(Debug, Clone, Copy)]
pub struct Mutation {
    /// As [`mutated`](super::mutated) is asked; `FAILPOINTS` says `mutation.NAME=return`.
    pub name: &'static str,
    /// The rule of ARCHITECTURE.md, or what it is about where it has no number.
    pub rule: &'static str,
    /// What happens without it.
    pub without: &'static str,
}

const fn mutation(rule: &'static str, name: &'static str, without: &'static str) -> Mutation {
    Mutation {
        name,
        rule,
        without,
    }
}

/// All of them.
pub const MUTATIONS: &[Mutation] = &[
    mutation(
        "R1",
        "r1.lock-before-fold",
        "The locks of the order rows are let go before the fold.",
    ),
    mutation(
        "R1",
        "r1.sorted",
        "Order rows are locked in another order than everywhere else.",
    ),
    mutation(
        "R2",
        "r2.keep-the-fold",
        "A decision that fails takes its fold back.",
    ),
    mutation(
        "R2",
        "r2.redrive-folds-nothing",
        "A redrive is folded like an event for every group.",
    ),
    mutation(
        "R3",
        "r3.headers-first",
        "Order id and status come from the body although the headers tell them.",
    ),
    mutation(
        "R4",
        "r4.home-partition",
        "Every partition is taken for an order's home.",
    ),
    mutation(
        "R4",
        "r4.bare-pending",
        "The tutorial's bare record has no effect.",
    ),
    mutation(
        "R4",
        "r4.count-kept",
        "The number of partitions that the database keeps is not compared.",
    ),
    mutation(
        "R4",
        "r4.added-partition",
        "A partition beyond the kept number is read.",
    ),
    mutation(
        "R5",
        "r5.leased-charge-runs",
        "A job is taken back although it was tried.",
    ),
    mutation(
        "R5",
        "r5.lease-token",
        "A result is recorded without the lease.",
    ),
    mutation(
        "R5",
        "r5.one-key",
        "Every request to the gateway has a key of its own.",
    ),
    mutation(
        "R5",
        "r5.unknown-is-no-decline",
        "A gateway without an answer counts as one that declined.",
    ),
    mutation(
        "R5",
        "r5.look-up",
        "A charge older than its key is made again without a look-up.",
    ),
    mutation(
        "R5",
        "r5.refund-after-charge",
        "A charge that succeeds after the order's end orders no refund.",
    ),
    mutation(
        "R5",
        "r5.refund-at-the-end",
        "The end of a charged order orders no refund.",
    ),
    mutation(
        "R6",
        "r6.remember-position",
        "The next offset is not written with the batch.",
    ),
    mutation(
        "R6",
        "r6.read-again",
        "A database behind the committed offset goes on from the latter.",
    ),
    mutation(
        "R6",
        "r6.shorter-log",
        "A log that is shorter than the database is read.",
    ),
    mutation(
        "R6",
        "r6.other-log",
        "The log of another cluster or topic is read.",
    ),
    mutation(
        "R6",
        "r6.truncated-log",
        "A log that lost unread records is read.",
    ),
    mutation(
        "R7",
        "r7.key-names-order",
        "An Idempotency-Key does not name the order.",
    ),
    mutation(
        "R7",
        "r7.other-content",
        "Other content under a known key is taken for a repetition.",
    ),
    mutation(
        "R8",
        "r8.pause-again",
        "Partitions that come while the loop waits are not paused.",
    ),
    mutation(
        "R8",
        "r8.drop-revoked",
        "The held batch of a revoked partition is kept.",
    ),
    mutation(
        "R8",
        "r8.read-again",
        "A record that came before its partition was checked is passed over.",
    ),
    mutation("R9", "r9.sweep", "Nothing is swept."),
    mutation(
        "R9",
        "r9.read-past-the-end",
        "What was not read yet is swept as well.",
    ),
    mutation(
        "R9",
        "r9.back-off",
        "Lost outcomes are published at every turn.",
    ),
    mutation(
        "R11",
        "r11.read-past-the-end",
        "Rows count as up to date wherever they stand.",
    ),
    mutation(
        "R11",
        "r11.jobs-ask",
        "Jobs run without asking whether the history was read.",
    ),
    mutation(
        "R11",
        "r11.deadlines-ask",
        "Overdue orders are cancelled without asking the same.",
    ),
    mutation("R11", "r11.max-age", "A job of any age is run."),
    mutation(
        "R12",
        "r12.decode",
        "An outcome that reads as another event is stored.",
    ),
    mutation(
        "R12",
        "r12.fold",
        "An outcome without an effect on its order is stored.",
    ),
    mutation(
        "R12",
        "r12.size",
        "An outcome that the log would not take is stored.",
    ),
    mutation(
        "R13",
        "r13.hold-back",
        "History is not recognised: its outcomes are published at once.",
    ),
    mutation(
        "R13",
        "r13.log-wins",
        "A decision that was made again is kept against the one in the log.",
    ),
    mutation(
        "R13",
        "r13.keep-committed",
        "Offsets of history are stored.",
    ),
    mutation(
        "R13",
        "r13.publish-at-the-end",
        "What history left undecided is never published.",
    ),
    mutation(
        "R13",
        "r13.ask-gateway",
        "In history a charge that nobody began is skipped without asking the gateway.",
    ),
    mutation(
        "fold",
        "fold",
        "An event without an effect is decided all the same.",
    ),
    mutation(
        "offsets",
        "offsets.after-handling",
        "Offsets are stored before the batch is handled.",
    ),
    mutation(
        "offsets",
        "offsets.after-publish",
        "Offsets are stored although the outcomes were not published.",
    ),
    mutation(
        "dead letters",
        "dead-letter.before-commit",
        "A decision is dead-lettered after the commit.",
    ),
    mutation(
        "dead letters",
        "dead-letter.bad-records",
        "A record that nobody can read is dropped.",
    ),
    mutation(
        "answers",
        "answer.after-ack",
        "An order is answered with 201 before the broker has it.",
    ),
];
