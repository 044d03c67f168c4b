//! A gateway behind HTTP: what it is asked, and what its answers mean.

use std::time::Duration;

use axum::http::Method;
use base_domains::{OrderId, Total};
use payment_service::gateway::Operation::{self, Charge, Refund};
use payment_service::gateway::{
    Answer, HttpGateway, HttpSettings, PaymentGateway as _, Request, Unknown,
};
use payment_service::payment::State;
use serde_json::json;
use service_runtime::jobs::{JobHandler as _, JobResult};
use test_support::{Test, TestDatabase, test};

use crate::stub::{Reply, Reply::Say, Stub};
use crate::world::{World, event, order};

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(a_charge_and_a_refund_are_asked_for_with_their_keys, no database),
        test!(every_attempt_has_the_same_key_and_only_an_answer_ends_them),
        test!(only_success_and_402_are_answers, no database),
        test!(a_success_that_is_not_told_to_the_end_as_json_is_no_answer, no database),
        test!(what_the_gateway_never_had_is_not_found, no database),
        test!(credentials_are_sent_and_never_told, no database),
        test!(a_gateway_that_is_not_there_is_no_decline, no database),
    ]
}

const ORDER: &str = "01890a5d-ac96-774b-bcce-b302099a8057";

/// For answers that arrive.
const LONG: Duration = Duration::from_secs(20);
/// For those that do not.
const SHORT: Duration = Duration::from_secs(1);

fn gateway(base: &str, token: Option<&str>) -> HttpGateway {
    waiting(base, token, LONG)
}

/// Waits so long for an answer.
fn waiting(base: &str, token: Option<&str>, timeout: Duration) -> HttpGateway {
    HttpGateway::new(&HttpSettings {
        url: base.to_owned().into(),
        token: token.map(|token| token.to_owned().into()),
        connect_timeout: LONG,
        timeout,
    })
    .unwrap()
}

fn request(operation: Operation) -> Request {
    Request {
        operation,
        order_id: ORDER.parse::<OrderId>().unwrap(),
        amount: Total::from_minor(5_000_029).unwrap(),
        payment_id: (operation == Refund).then(|| "p1".to_owned()),
    }
}

fn accepted(id: &str) -> Answer {
    Answer::Accepted { id: id.to_owned() }
}

async fn a_charge_and_a_refund_are_asked_for_with_their_keys() {
    let stub = Stub::start(&[Say(201, r#"{"id":"p1"}"#), Say(200, r#"{"id":77}"#)]).await;
    let gateway = gateway(&format!("http://{}/v1/", stub.address), None);
    assert_eq!(gateway.submit(&request(Charge)).await, Ok(accepted("p1")));
    assert_eq!(gateway.submit(&request(Refund)).await, Ok(accepted("77")));
    let asked = stub.asked();
    for (asked, path, key) in [
        (&asked[0], "/v1/charges", format!("charge-{ORDER}")),
        (&asked[1], "/v1/refunds", format!("refund-{ORDER}")),
    ] {
        assert_eq!((&asked.method, &*asked.path), (&Method::POST, path));
        assert_eq!(asked.key, Some(key));
        assert_eq!(asked.authorization, None);
    }
    let charge = json!({"orderId": ORDER, "amount": 50_000.29, "amountMinor": 5_000_029});
    assert_eq!(asked[0].body, charge);
    let mut refund = charge;
    refund["chargeKey"] = format!("charge-{ORDER}").into();
    refund["paymentId"] = "p1".into();
    assert_eq!(asked[1].body, refund);
}

async fn every_attempt_has_the_same_key_and_only_an_answer_ends_them(database: TestDatabase) {
    let world = World::new(database).await;
    let stub = Stub::start(&[
        Reply::Hang,
        Say(500, ""),
        Say(402, r#"{"reason":"no_funds"}"#),
    ])
    .await;
    let base = format!("http://{}", stub.address);
    let handler = world.handler(Charge, gateway(&base, None));
    let impatient = world.handler(Charge, waiting(&base, None, SHORT));
    let order = order(1_000);
    world
        .read(&[event(base_domains::OrderStatus::Reserved, &order)])
        .await;
    for (handler, error) in [
        (&impatient, "no answer in time"),
        (&handler, "the gateway answered 500"),
    ] {
        let job = world.lease(Charge, &order).await.unwrap();
        let result = handler.run(&job).await;
        let error = error.to_owned();
        assert_eq!(result, JobResult::Retry { error });
        assert!(world.record(Charge, &job, &result).await);
        assert_eq!(world.payment(&order).await.state, State::Pending);
    }
    let job = world.lease(Charge, &order).await.unwrap();
    let result = handler.run(&job).await;
    assert!(world.record(Charge, &job, &result).await);
    let payment = world.payment(&order).await;
    assert_eq!(payment.state, State::Declined);
    assert_eq!(payment.reason.as_deref(), Some("no_funds"));
    let keys: Vec<_> = stub.asked().into_iter().map(|asked| asked.key).collect();
    assert_eq!(keys, vec![Some(format!("charge-{}", order.order_id)); 3]);
}

async fn only_success_and_402_are_answers() {
    let key = format!("charge-{ORDER}");
    let declined = |reason: &str| Answer::Declined {
        reason: reason.to_owned(),
    };
    let known = [
        (Say(200, "{}"), accepted(&key)),
        (Say(201, r#"{"id":""}"#), accepted(&key)),
        (Say(200, r#"{"id":["a"]}"#), accepted(&key)),
        (Say(200, r#"{"id":"a\u0000b\n"}"#), accepted("ab")),
        (Say(402, ""), declined("declined")),
        (
            Say(402, r#"{"reason":"stolen_card","id":"x"}"#),
            declined("stolen_card"),
        ),
    ];
    let unknown = [
        202, 203, 400, 401, 403, 404, 408, 409, 422, 429, 500, 502, 503, 504,
    ];
    let mut replies: Vec<Reply> = known.iter().map(|(reply, _)| reply.clone()).collect();
    replies.extend(unknown.map(|status| Say(status, r#"{"id":"x","reason":"y"}"#)));
    replies.push(Reply::Redirect);
    let stub = Stub::start(&replies).await;
    let gateway = gateway(&format!("http://{}", stub.address), None);
    for (reply, answer) in known {
        assert_eq!(
            gateway.submit(&request(Charge)).await,
            Ok(answer),
            "{reply:?}"
        );
    }
    for status in unknown.into_iter().chain([307]) {
        let error = Unknown(format!("the gateway answered {status}"));
        assert_eq!(gateway.submit(&request(Charge)).await, Err(error));
    }
    assert_eq!(
        stub.asked().len(),
        replies.len(),
        "nothing is repeated or followed"
    );
}

async fn a_success_that_is_not_told_to_the_end_as_json_is_no_answer() {
    let no_object = "the gateway answered 200 without a JSON object";
    let too_long = Box::leak(format!(r#"{{"id":"{}"}}"#, "x".repeat(1 << 17)).into_boxed_str());
    let replies = [
        (Say(200, ""), no_object),
        (Say(200, "<html>Please log in.</html>"), no_object),
        (Say(200, r#"["p1"]"#), no_object),
        (Say(200, too_long), no_object),
        (Say(204, ""), "the gateway answered 204"),
        (Reply::BreakOff, "the answer broke off"),
        (Reply::Stall, "no answer in time"),
    ];
    for (reply, error) in replies {
        let stub = Stub::start(&[reply.clone(), reply.clone()]).await;
        let patience = match reply {
            Reply::Stall => SHORT,
            _ => LONG,
        };
        let gateway = waiting(&format!("http://{}", stub.address), None, patience);
        let error = Unknown(error.to_owned());
        let submitted = gateway.submit(&request(Charge)).await;
        assert_eq!(submitted, Err(error.clone()), "{reply:?}");
        assert_eq!(gateway.find(&request(Charge)).await, Err(error));
    }
}

async fn what_the_gateway_never_had_is_not_found() {
    let replies = [
        Say(404, ""),
        Say(200, r#"{"id":"p1"}"#),
        Say(402, r#"{"reason":"no_funds"}"#),
        Say(503, ""),
    ];
    let stub = Stub::start(&replies).await;
    let gateway = gateway(&format!("http://{}", stub.address), None);
    let reason = "no_funds".to_owned();
    let answers = [
        None,
        Some(accepted("p1")),
        Some(Answer::Declined { reason }),
    ];
    for answer in answers {
        assert_eq!(gateway.find(&request(Refund)).await, Ok(answer));
    }
    let error = Unknown("the gateway answered 503".to_owned());
    assert_eq!(gateway.find(&request(Refund)).await, Err(error));
    for asked in stub.asked() {
        assert_eq!(asked.method, Method::GET);
        assert_eq!(asked.path, format!("/refunds/refund-{ORDER}"));
    }
}

async fn credentials_are_sent_and_never_told() {
    let stub = Stub::start(&[Say(200, "{}"), Say(200, "{}"), Reply::Hang]).await;
    let base = format!("http://shop:hunter2@{}", stub.address);
    let by_password = gateway(&base, None);
    let by_token = gateway(&format!("http://{}", stub.address), Some("sesame"));
    by_password.submit(&request(Charge)).await.unwrap();
    by_token.submit(&request(Charge)).await.unwrap();
    let sent: Vec<_> = stub
        .asked()
        .into_iter()
        .map(|asked| asked.authorization.unwrap())
        .collect();
    // RFC 7617: base64 of `shop:hunter2`.
    assert_eq!(sent, ["Basic c2hvcDpodW50ZXIy", "Bearer sesame"]);
    let impatient = waiting(&base, None, SHORT);
    let error = impatient.submit(&request(Charge)).await.unwrap_err();
    let shown = format!("{by_password:?} {by_token:?} {error} {error:?}");
    assert!(
        !shown.contains("hunter2") && !shown.contains("sesame"),
        "{shown}"
    );
    assert!(
        !by_password.exposes_credentials(),
        "it stays on this machine"
    );
    for (base, token, exposed) in [
        ("http://pay.example.com", None, false),
        ("http://pay.example.com", Some("sesame"), true),
        ("http://shop@pay.example.com", None, true),
        ("http://:hunter2@pay.example.com", None, true),
        ("https://shop:hunter2@pay.example.com", None, false),
        ("https://pay.example.com", Some("sesame"), false),
    ] {
        assert_eq!(
            gateway(base, token).exposes_credentials(),
            exposed,
            "{base}"
        );
    }
}

async fn a_gateway_that_is_not_there_is_no_decline() {
    // Nobody listens on the port of tcpmux.
    let gateway = gateway("http://127.0.0.1:1", None);
    let error = Unknown("the gateway cannot be reached".to_owned());
    assert_eq!(gateway.submit(&request(Charge)).await, Err(error.clone()));
    assert_eq!(gateway.find(&request(Charge)).await, Err(error));
}
