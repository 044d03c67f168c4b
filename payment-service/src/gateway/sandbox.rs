//! The built-in gateway: moves no money, and keeps its books in the service's database.
//!
//! The last two digits of an order's total say how a charge goes; the digits are those of the HTTP
//! status that says the same:
//!
//! | total | the charge |
//! |---|---|
//! | `….02` | is declined (402) |
//! | `….03` | gets an answer only at the second try; the first one has no effect (503) |
//! | `….04` | is made, but the first try gets no answer before its time is out; the second one gets it (504) |
//! | any other | is made at once |
//!
//! Refunds are always made. Like a real gateway it is idempotent by key and commits before it answers,
//! so `sandbox_ledger` counts what was really charged and refunded.

use std::time::Duration;

use service_runtime::database::{Database, DatabaseError};
use sqlx::{AssertSqlSafe, Row};

use super::{Answer, Operation, PaymentGateway, Request, Unknown};

/// Totals with these cents, see the table above.
const DECLINED: i64 = 2;
const SECOND_TRY: i64 = 3;
const NO_ANSWER: i64 = 4;

/// The sandbox.
#[derive(Debug, Clone)]
pub struct Sandbox {
    database: Database,
    timeout: Duration,
}

impl Sandbox {
    /// A sandbox whose customers wait so long for an answer.
    #[must_use]
    pub const fn new(database: Database, timeout: Duration) -> Self {
        Self { database, timeout }
    }

    /// Enters a try and its answer; gives the number of the try with it.
    async fn enter(&self, request: &Request) -> Result<(i64, Option<Answer>), DatabaseError> {
        let mut tx = self.database.begin().await?;
        let text = format!(
            "INSERT INTO sandbox_ledger \
             (idempotency_key, operation, order_id, amount_minor, tries, answer, created_at) \
             VALUES ($1, $2, $3, $4, 1, '', {}) \
             ON CONFLICT (idempotency_key) DO UPDATE SET tries = sandbox_ledger.tries + 1 \
             RETURNING tries, answer",
            self.database.dialect().now_ms()
        );
        let key = request.key();
        let row = sqlx::query(AssertSqlSafe(text))
            .bind(&*key)
            .bind(request.operation.as_str())
            .bind(request.order_id.to_string())
            .bind(request.amount.minor())
            .fetch_one(&mut *tx)
            .await?;
        let (tries, known): (i64, String) = (row.try_get(0)?, row.try_get(1)?);
        let word = match &*known {
            "" => answer(request, tries),
            known => known,
        };
        sqlx::query("UPDATE sandbox_ledger SET answer = $1 WHERE idempotency_key = $2")
            .bind(word)
            .bind(&*key)
            .execute(&mut *tx)
            .await?;
        tx.commit().await?;
        Ok((tries, spoken(word, &key)))
    }
}

/// The answer to the first request of a key; none yet if it is empty.
fn answer(request: &Request, tries: i64) -> &'static str {
    match (request.operation, request.amount.minor() % 100) {
        (Operation::Charge, DECLINED) => "declined",
        (Operation::Charge, SECOND_TRY) if tries < 2 => "",
        _ => "accepted",
    }
}

fn spoken(word: &str, key: &str) -> Option<Answer> {
    match word {
        "accepted" => Some(Answer::Accepted {
            id: format!("sandbox-{key}"),
        }),
        "declined" => Some(Answer::Declined {
            reason: "insufficient_funds".to_owned(),
        }),
        _ => None,
    }
}

impl PaymentGateway for Sandbox {
    async fn submit(&self, request: &Request) -> Result<Answer, Unknown> {
        let (tries, answer) = self.enter(request).await.map_err(unknown)?;
        let cents = request.amount.minor() % 100;
        if request.operation == Operation::Charge && cents == NO_ANSWER && tries == 1 {
            tokio::time::sleep(self.timeout).await;
            return Err(Unknown(format!("no answer within {:?}", self.timeout)));
        }
        answer.ok_or_else(|| Unknown("the sandbox is out of service".to_owned()))
    }

    async fn find(&self, request: &Request) -> Result<Option<Answer>, Unknown> {
        let text = "SELECT answer FROM sandbox_ledger WHERE idempotency_key = $1";
        let key = request.key();
        let word = sqlx::query_scalar::<_, String>(text)
            .bind(&*key)
            .fetch_optional(self.database.pool())
            .await
            .map_err(|error| unknown(error.into()))?;
        Ok(word.and_then(|word| spoken(&word, &key)))
    }
}

/// In words of our own: whoever asks for a payment sees them.
fn unknown(error: DatabaseError) -> Unknown {
    tracing::warn!(%error, "The sandbox cannot use its books.");
    Unknown("the sandbox cannot use its books".to_owned())
}
