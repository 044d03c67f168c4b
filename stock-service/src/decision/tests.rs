//! The decision by example.

use base_domains::WireLine;
use uuid::Uuid;

use super::*;

const BOOK: &str = "book order";
const PEN: &str = "pen";

fn order(number: u128, lines: &[(&str, i64)]) -> WireOrder {
    let line = |(name, qty): &(&str, i64)| WireLine {
        name: (*name).to_owned(),
        qty: *qty,
        price: 10.0,
    };
    let items: Vec<WireLine> = lines.iter().map(line).collect();
    WireOrder {
        order_id: OrderId::new(Uuid::from_u128(number)),
        name: items[0].name.clone(),
        qty: items[0].qty,
        price: items[0].price,
        email: None,
        items: (items.len() > 1).then_some(items),
    }
}

fn request(status: OrderStatus, order: &WireOrder) -> Request {
    Request {
        order_id: order.order_id,
        action: Action::new(status, || Ok(OrderEvent::new(status, order.clone()))),
    }
}

fn unreadable(status: OrderStatus, order: &WireOrder) -> Request {
    Request {
        order_id: order.order_id,
        action: Action::new(status, || Err(BadRecord::NoValue)),
    }
}

fn stock(levels: &[(&str, i64)]) -> Stock {
    Stock {
        levels: levels
            .iter()
            .map(|(name, available)| ((*name).to_owned(), Level::of(*available)))
            .collect(),
        ..Stock::default()
    }
}

fn decide_all(stock: Stock, requests: &[Request]) -> Decided {
    decide(stock, requests, UnknownProduct::Reject).unwrap()
}

fn level(decided: &Decided, product: &str) -> (i64, i64, i64) {
    let level = decided.stock.levels[product];
    (level.available, level.reserved, level.shipped)
}

fn assert_rejected(decision: &Decision, why: &str) {
    let Decision::Append(event) = decision else {
        panic!("{decision:?}");
    };
    assert_eq!(event.status, OrderStatus::Rejected.into());
    assert_eq!(event.reason.as_deref(), Some(why));
}

#[test]
fn lines_of_one_product_add_up_and_are_reserved_together() {
    let order = order(1, &[(BOOK, 2), (PEN, 1), (BOOK, 3)]);
    let pending = request(OrderStatus::Pending, &order);
    let decided = decide_all(stock(&[(BOOK, 5), (PEN, 1)]), &[pending]);
    assert_eq!(level(&decided, BOOK), (0, 5, 0));
    assert_eq!(level(&decided, PEN), (0, 1, 0));
    assert_eq!(decided.decisions, [super::reserved(&order)]);
}

#[test]
fn the_appended_event_carries_the_order_as_it_came() {
    let order = WireOrder {
        email: Some("reader@example.com".to_owned()),
        ..order(1, &[(" book order ", 2)])
    };
    let decided = decide_all(
        stock(&[(BOOK, 5)]),
        &[request(OrderStatus::Pending, &order)],
    );
    let expected = OrderEvent::new(OrderStatus::Reserved, order);
    assert_eq!(decided.decisions, [Decision::Append(expected)]);
    assert_eq!(level(&decided, BOOK), (3, 2, 0));
}

/// A megabyte of an order fits into the log once, but not with the headers of its rejection.
#[test]
fn the_rejection_of_an_oversized_order_is_small() {
    let order = WireOrder {
        name: "x".repeat(900_000),
        email: Some("y".repeat(90_000)),
        ..order(1, &[("new", 1); 1000])
    };
    let decided = decide_all(stock(&[]), &[request(OrderStatus::Pending, &order)]);
    assert_rejected(&decided.decisions[0], reason::INVALID_ORDER);
    let Decision::Append(event) = &decided.decisions[0] else {
        panic!("{:?}", decided.decisions[0]);
    };
    assert_eq!(event.order.order_id, order.order_id);
    assert!(event.to_json().unwrap().len() < 10_000);
}

#[test]
fn one_line_too_many_reserves_nothing_at_all() {
    let order = order(1, &[(BOOK, 2), (PEN, 1), (BOOK, 4)]);
    let before = stock(&[(BOOK, 5), (PEN, 1)]);
    let decided = decide_all(before.clone(), &[request(OrderStatus::Pending, &order)]);
    assert_rejected(&decided.decisions[0], reason::OUT_OF_STOCK);
    assert_eq!(decided.stock, before);
}

#[test]
fn an_unknown_product_is_named_as_the_reason_even_beside_one_that_is_sold_out() {
    let order = order(1, &[(BOOK, 6), ("no such thing", 1)]);
    let before = stock(&[(BOOK, 5)]);
    let decided = decide_all(before.clone(), &[request(OrderStatus::Pending, &order)]);
    assert_rejected(&decided.decisions[0], reason::UNKNOWN_PRODUCT);
    assert_eq!(decided.stock, before);
}

#[test]
fn an_unknown_product_is_created_once_when_that_is_allowed() {
    let (first, second) = (order(1, &[("new", 4)]), order(2, &[("new", 4)]));
    let requests = [&first, &second].map(|order| request(OrderStatus::Pending, order));
    let decided = decide(Stock::default(), &requests, UnknownProduct::Create(5)).unwrap();
    assert_eq!(level(&decided, "new"), (1, 4, 0));
    assert_eq!(decided.created, BTreeMap::from([("new".to_owned(), 5)]));
    assert_eq!(decided.decisions[0], super::reserved(&first));
    assert_rejected(&decided.decisions[1], reason::OUT_OF_STOCK);
}

#[test]
fn an_order_that_breaks_a_rule_is_rejected_and_creates_no_product() {
    let order = order(1, &[("new", 0)]);
    let pending = [request(OrderStatus::Pending, &order)];
    let decided = decide(Stock::default(), &pending, UnknownProduct::Create(5)).unwrap();
    assert_rejected(&decided.decisions[0], reason::INVALID_ORDER);
    assert_eq!(decided.stock, Stock::default());
    assert!(decided.created.is_empty());
}

#[test]
fn what_is_held_is_given_back_once() {
    let order = order(1, &[(BOOK, 2)]);
    for end in [OrderStatus::Rejected, OrderStatus::Cancelled] {
        let requests =
            [OrderStatus::Pending, end, end, OrderStatus::Shipped].map(|s| request(s, &order));
        let decided = decide_all(stock(&[(BOOK, 5)]), &requests);
        assert_eq!(level(&decided, BOOK), (5, 0, 0), "{end:?}");
        assert_eq!(decided.decisions[1..], [const { Decision::Done }; 3]);
    }
}

#[test]
fn what_is_held_is_shipped_once() {
    let order = order(1, &[(BOOK, 2)]);
    let requests = [
        OrderStatus::Pending,
        OrderStatus::Reserved,
        OrderStatus::Paid,
        OrderStatus::Shipped,
        OrderStatus::Shipped,
        OrderStatus::Cancelled,
    ]
    .map(|status| request(status, &order));
    let decided = decide_all(stock(&[(BOOK, 5)]), &requests);
    assert_eq!(level(&decided, BOOK), (3, 0, 2));
    assert_eq!(decided.decisions[1..], [const { Decision::Done }; 5]);
}

#[test]
fn there_is_nothing_to_give_back_without_a_reservation() {
    let order = order(1, &[(BOOK, 2)]);
    let before = stock(&[(BOOK, 5)]);
    for status in [OrderStatus::Rejected, OrderStatus::Cancelled] {
        let decided = decide_all(before.clone(), &[request(status, &order)]);
        assert_eq!(decided.stock, before, "{status:?}");
        assert_eq!(decided.decisions, [Decision::Done], "{status:?}");
    }
}

/// What a database that was restored from a backup finds in the log.
#[test]
fn what_the_log_says_an_order_has_is_held_or_gone_from_now_on() {
    let order = order(1, &[(BOOK, 2), (PEN, 1)]);
    use OrderStatus::{Cancelled, Paid, Reserved, Shipped};
    for (events, books) in [
        (&[Reserved][..], (3, 2, 0)),
        (&[Reserved, Paid], (3, 2, 0)),
        (&[Paid], (3, 2, 0)),
        (&[Shipped], (3, 0, 2)),
        (&[Reserved, Shipped], (3, 0, 2)),
        (&[Reserved, Cancelled], (5, 0, 0)),
    ] {
        let requests: Vec<Request> = events.iter().map(|s| request(*s, &order)).collect();
        let decided = decide_all(stock(&[(BOOK, 5), (PEN, 1)]), &requests);
        assert_eq!(level(&decided, BOOK), books, "{events:?}");
        assert!(decided.decisions.iter().all(|d| *d == Decision::Done));
    }
}

/// It had decided otherwise when it read PENDING again.
#[test]
fn an_order_that_is_rejected_again_is_held_when_the_log_says_so() {
    let (first, second) = (order(1, &[(BOOK, 4)]), order(2, &[(BOOK, 3)]));
    let requests = [
        request(OrderStatus::Pending, &first),
        request(OrderStatus::Pending, &second),
        request(OrderStatus::Rejected, &first),
        request(OrderStatus::Reserved, &second),
    ];
    let decided = decide_all(stock(&[(BOOK, 5)]), &requests);
    assert_rejected(&decided.decisions[1], reason::OUT_OF_STOCK);
    assert_eq!(decided.decisions[3], Decision::Done);
    assert_eq!(level(&decided, BOOK), (2, 3, 0));
}

#[test]
fn a_shortage_moves_nothing_and_is_made_up_for_once_there_is_enough() {
    let order = order(1, &[(BOOK, 2), (PEN, 1)]);
    use OrderStatus::{Cancelled, Paid, Reserved, Shipped};
    for levels in [&[(BOOK, 1), (PEN, 9)][..], &[(BOOK, 9)]] {
        for status in [Reserved, Paid, Shipped] {
            let decided = decide_all(stock(levels), &[request(status, &order)]);
            let [Decision::Failed { code, .. }] = &decided.decisions[..] else {
                panic!("{:?}", decided.decisions);
            };
            assert_eq!(*code, "stock_shortage");
            assert_eq!(decided.stock, stock(levels));
        }
    }
    // A redrive decides by what the order is meanwhile.
    for (status, books) in [
        (Paid, (0, 2, 0)),
        (Shipped, (0, 0, 2)),
        (Cancelled, (2, 0, 0)),
    ] {
        let enough = stock(&[(BOOK, 2), (PEN, 1)]);
        let decided = decide_all(enough, &[request(status, &order)]);
        assert_eq!(decided.decisions, [Decision::Done]);
        assert_eq!(level(&decided, BOOK), books);
    }
}

#[test]
fn an_order_that_breaks_a_rule_has_no_pieces_whatever_the_log_says() {
    let order = order(1, &[(BOOK, 0)]);
    for status in [OrderStatus::Reserved, OrderStatus::Shipped] {
        let decided = decide_all(stock(&[(BOOK, 5)]), &[request(status, &order)]);
        let [Decision::Failed { code, .. }] = &decided.decisions[..] else {
            panic!("{:?}", decided.decisions);
        };
        assert_eq!(*code, "invalid_order");
        assert_eq!(decided.stock, stock(&[(BOOK, 5)]));
    }
}

#[test]
fn a_held_order_that_is_decided_again_says_reserved_and_moves_nothing() {
    let order = order(1, &[(BOOK, 2)]);
    let pending = [request(OrderStatus::Pending, &order)];
    let once = decide_all(stock(&[(BOOK, 2)]), &pending);
    let twice = decide_all(once.stock.clone(), &pending);
    assert_eq!(twice, once);
}

#[test]
fn an_order_that_ended_is_never_reserved_again() {
    let order = order(1, &[(BOOK, 2)]);
    for end in [OrderStatus::Rejected, OrderStatus::Shipped] {
        let requests = [OrderStatus::Pending, end, OrderStatus::Pending];
        let decided = decide_all(
            stock(&[(BOOK, 5)]),
            &requests.map(|status| request(status, &order)),
        );
        assert_eq!(decided.decisions[2], Decision::Done);
        assert_eq!(decided.stock.levels[BOOK].reserved, 0);
    }
}

#[test]
fn a_body_matters_only_where_it_is_needed() {
    let order = order(1, &[(BOOK, 2)]);
    for status in OrderStatus::ALL {
        let decided = decide_all(stock(&[(BOOK, 5)]), &[unreadable(status, &order)]);
        let expected = match status {
            OrderStatus::Rejected | OrderStatus::Cancelled => Decision::Done,
            _ => Decision::unreadable(&BadRecord::NoValue),
        };
        assert_eq!(decided.decisions, [expected], "{status:?}");
        assert_eq!(decided.stock, stock(&[(BOOK, 5)]));
        let requests = [
            request(OrderStatus::Pending, &order),
            unreadable(status, &order),
        ];
        if status != OrderStatus::Pending {
            let decided = decide_all(stock(&[(BOOK, 5)]), &requests);
            assert_eq!(decided.decisions[1], Decision::Done, "{status:?}");
        }
    }
}

#[test]
fn rows_that_contradict_each_other_are_not_made_worse() {
    let order = order(1, &[(BOOK, 2)]);
    let held = decide_all(
        stock(&[(BOOK, 5)]),
        &[request(OrderStatus::Pending, &order)],
    )
    .stock;
    let lost = Stock {
        levels: BTreeMap::new(),
        ..held.clone()
    };
    let short = Stock {
        levels: stock(&[(BOOK, 5)]).levels,
        ..held
    };
    for stock in [lost, short] {
        for end in [OrderStatus::Cancelled, OrderStatus::Shipped] {
            let result = decide(
                stock.clone(),
                &[request(end, &order)],
                UnknownProduct::Reject,
            );
            let order_id = order.order_id;
            assert_eq!(result, Err(Inconsistent { order_id }));
        }
    }
}
