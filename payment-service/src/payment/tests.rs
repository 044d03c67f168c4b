//! The two tables, row by row.

use super::*;

fn payment(state: State) -> Payment {
    let order_id = OrderId::from_idempotency_key("test", "payment");
    Payment {
        state,
        ..Payment::pending(order_id, Total::from_minor(5_000_000).unwrap())
    }
}

fn accepted() -> Answer {
    Answer::Accepted {
        id: "p1".to_owned(),
    }
}

fn declined() -> Answer {
    let reason = "insufficient_funds".to_owned();
    Answer::Declined { reason }
}

/// The state and action that a step leads to.
fn after(state: State, step: impl Fn(&mut Payment) -> Action) -> (State, Action) {
    let mut payment = payment(state);
    let action = step(&mut payment);
    (payment.state, action)
}

#[test]
fn the_end_of_an_order_takes_its_charge_back_or_orders_the_refund() {
    for state in State::ALL {
        let expected = match state {
            State::Pending => (State::Pending, Action::Withdraw),
            State::Charged => (State::Refunding, Action::Refund),
            other => (other, Action::None),
        };
        assert_eq!(after(state, Payment::ended), expected, "{state}");
    }
}

#[test]
fn a_charge_is_skipped_only_before_it_was_begun() {
    for state in State::ALL {
        let mut payment = payment(state);
        payment.withdrawn();
        let expected = match state {
            State::Pending => State::Skipped,
            other => other,
        };
        assert_eq!(payment.state, expected);
    }
}

#[test]
fn a_payment_that_the_log_tells_of_is_not_charged_again() {
    let mut payment = payment(State::Pending);
    assert_eq!(payment.paid("p0"), Action::Withdraw);
    assert_eq!(payment.state, State::Charged);
    // Had the charge begun all the same, its answer is the same payment.
    let action = payment.charge_answered(&accepted(), Some(OrderStatus::Paid));
    assert_eq!(action, Action::None);
    assert_eq!(payment.payment_id.as_deref(), Some("p0"));
    assert_eq!(payment.paid("p2"), Action::None);
    assert_eq!(payment.payment_id.as_deref(), Some("p0"));
}

#[test]
fn what_a_charge_means_hangs_on_what_the_order_is_by_now() {
    use OrderStatus::{Cancelled, Paid, Pending, Rejected, Reserved, Shipped};
    for (status, expected) in [
        (Pending, (State::Charged, Action::Paid)),
        (Reserved, (State::Charged, Action::Paid)),
        (Paid, (State::Charged, Action::None)),
        (Shipped, (State::Charged, Action::None)),
        (Rejected, (State::Refunding, Action::Refund)),
        (Cancelled, (State::Refunding, Action::Refund)),
    ] {
        let charge = |payment: &mut Payment| payment.charge_answered(&accepted(), Some(status));
        assert_eq!(after(State::Pending, charge), expected, "{status}");
        let decline = |payment: &mut Payment| payment.charge_answered(&declined(), Some(status));
        let expected = match status.is_terminal() {
            true => (State::Declined, Action::None),
            false => (State::Declined, Action::Reject),
        };
        assert_eq!(after(State::Pending, decline), expected, "{status}");
    }
}

#[test]
fn a_second_answer_to_a_charge_changes_nothing() {
    for state in State::ALL
        .into_iter()
        .filter(|state| *state != State::Pending)
    {
        for answer in [accepted(), declined()] {
            let answered = |payment: &mut Payment| {
                payment.charge_answered(&answer, Some(OrderStatus::Reserved))
            };
            assert_eq!(after(state, answered), (state, Action::None), "{state}");
        }
    }
}

#[test]
fn a_refund_that_failed_can_still_succeed_and_one_that_succeeded_cannot_fail() {
    let mut payment = payment(State::Refunding);
    payment.refund_answered(&declined());
    assert_eq!(payment.state, State::RefundFailed);
    assert_eq!(payment.reason.as_deref(), Some("insufficient_funds"));
    for answer in [accepted(), declined()] {
        payment.refund_answered(&answer);
        assert_eq!(payment.state, State::Refunded);
        assert_eq!(payment.reason, None);
    }
}

#[test]
fn every_state_is_read_back_from_its_name() {
    for state in State::ALL {
        assert_eq!(state.as_str().parse(), Ok(state));
    }
    assert_eq!("".parse::<State>(), Err(ParseStateError));
}
