//! Defects that are planted, one at a time, to prove that the checks find them.

/// A defect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mutation {
    /// The fold lets an end win that came after another.
    LateEndWins,
    /// An outcome is stored over an unconfirmed one.
    OutcomeIsOverwritten,
    /// Nobody publishes an outcome again.
    LostIsLost,
    /// A repeated end releases what was released.
    StockReleasesTwice,
    /// payment-service does not care how an order ends.
    PaymentIgnoresEnds,
    /// A charge is taken back that was begun.
    BegunChargeIsDropped,
    /// Every attempt at a charge has a key of its own.
    EveryAttemptHasItsKey,
    /// No answer of the gateway is taken for a decline.
    NoAnswerIsADecline,
    /// The parcel is handed over when SHIPPED is stored.
    HandsOverBeforeReadBack,
    /// A cancellation is answered when CANCELLED is stored.
    AnswersBeforeReadBack,
    /// Mail is sent about every record, whether it had an effect or not.
    MailsWithoutFold,
    /// Every attempt at a mail has a `Message-ID` of its own.
    EveryAttemptHasItsMessageId,
}
