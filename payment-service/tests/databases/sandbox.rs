//! The documented totals of the sandbox, and that it is idempotent by key.

use base_domains::{OrderId, Total};
use payment_service::gateway::Operation::{self, Charge, Refund};
use payment_service::gateway::{Answer, PaymentGateway as _, Request, Unknown};
use test_support::{Test, TestDatabase, test};
use uuid::Uuid;

use crate::world::World;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(the_cents_of_a_total_say_how_its_charge_goes),
        test!(refunds_are_always_made_and_are_no_charges),
        test!(tries_at_once_move_the_money_once),
        test!(a_failure_of_its_books_is_no_answer_and_tells_nothing_of_them),
    ]
}

fn request(operation: Operation, cents: i64) -> Request {
    Request {
        operation,
        order_id: OrderId::new(Uuid::now_v7()),
        amount: Total::from_minor(cents).unwrap(),
        payment_id: None,
    }
}

fn accepted(request: &Request) -> Answer {
    Answer::Accepted {
        id: format!("sandbox-{}-{}", request.operation, request.order_id),
    }
}

async fn the_cents_of_a_total_say_how_its_charge_goes(database: TestDatabase) {
    let sandbox = World::new(database).await.sandbox();
    let declined = Answer::Declined {
        reason: "insufficient_funds".to_owned(),
    };
    for (cents, first, error) in [
        (0, true, ""),
        (5_000_000, true, ""),
        (1_001, true, ""),
        (1_002, true, ""),
        (1_003, false, "the sandbox is out of service"),
        (1_004, false, "no answer within 2ms"),
        (1_005, true, ""),
        (1_102, true, ""),
        (1_020, true, ""),
    ] {
        let request = request(Charge, cents);
        let expected = match cents % 100 {
            2 => declined.clone(),
            _ => accepted(&request),
        };
        assert_eq!(sandbox.find(&request).await, Ok(None), "{cents}");
        let answers = [
            sandbox.submit(&request).await,
            sandbox.submit(&request).await,
        ];
        match &answers[0] {
            Ok(answer) => assert!(first && *answer == expected, "{cents}: {answer:?}"),
            Err(unknown) => assert_eq!((first, &*unknown.0), (false, error), "{cents}"),
        }
        assert_eq!(answers[1], Ok(expected.clone()), "{cents}");
        assert_eq!(sandbox.find(&request).await, Ok(Some(expected)), "{cents}");
    }
}

async fn refunds_are_always_made_and_are_no_charges(database: TestDatabase) {
    let sandbox = World::new(database).await.sandbox();
    for cents in [1_000, 1_002, 1_003, 1_004] {
        let refund = request(Refund, cents);
        for _ in 0..2 {
            assert_eq!(sandbox.submit(&refund).await, Ok(accepted(&refund)));
        }
        let charge = Request {
            operation: Charge,
            ..refund
        };
        assert_eq!(sandbox.find(&charge).await, Ok(None));
    }
}

async fn tries_at_once_move_the_money_once(database: TestDatabase) {
    let world = World::new(database).await;
    let (sandbox, charge) = (world.sandbox(), request(Charge, 1_000));
    let tries: Vec<_> = (0..8)
        .map(|_| {
            let (sandbox, charge) = (sandbox.clone(), charge.clone());
            tokio::spawn(async move { sandbox.submit(&charge).await })
        })
        .collect();
    let mut answers = Vec::new();
    for answer in tries {
        answers.push(answer.await.unwrap().unwrap());
    }
    assert_eq!(answers, vec![accepted(&charge); 8]);
    let entries = "SELECT COUNT(*) FROM sandbox_ledger WHERE tries = 8 AND answer = 'accepted'";
    let entries: i64 = sqlx::query_scalar(entries)
        .fetch_one(world.database.pool())
        .await
        .unwrap();
    assert_eq!(entries, 1);
}

async fn a_failure_of_its_books_is_no_answer_and_tells_nothing_of_them(database: TestDatabase) {
    let world = World::new(database).await;
    sqlx::query("DROP TABLE sandbox_ledger")
        .execute(world.database.pool())
        .await
        .unwrap();
    let (sandbox, charge) = (world.sandbox(), request(Charge, 1_000));
    let error = Unknown("the sandbox cannot use its books".to_owned());
    assert_eq!(sandbox.submit(&charge).await, Err(error.clone()));
    assert_eq!(sandbox.find(&charge).await, Err(error));
}
