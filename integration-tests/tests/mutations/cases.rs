//! Which test catches which mutation.

use crate::programs::Program;

/// A mutation and the test that catches it.
#[derive(Debug)]
pub(crate) struct Case {
    pub(crate) mutation: &'static str,
    pub(crate) program: Program,
    /// Its whole name.
    pub(crate) test: &'static str,
    /// It is nothing on SQLite, which has one writer at a time.
    pub(crate) on_postgres: bool,
}

const RUNTIME: Program = program("service-runtime", "service_runtime");
const CONSUMER_LOOP: Program = program("service-runtime", "consumer_loop");
const RUNTIME_DATABASES: Program = program("service-runtime", "databases");
const ORDERS: Program = program("order-service", "databases");
const PAYMENTS: Program = program("payment-service", "databases");

const fn program(package: &'static str, target: &'static str) -> Program {
    Program { package, target }
}

const fn case(mutation: &'static str, program: Program, test: &'static str) -> Case {
    Case {
        mutation,
        program,
        test,
        on_postgres: false,
    }
}

const fn on_postgres(mutation: &'static str, program: Program, test: &'static str) -> Case {
    Case {
        on_postgres: true,
        ..case(mutation, program, test)
    }
}

/// All of them. Whatever holds on both databases is asked of SQLite, which is always there.
pub(crate) const CASES: &[Case] = &[
    case(
        "r1.lock-before-fold",
        RUNTIME,
        "participant::tests::on_sqlite::two_instances_that_handle_one_event_at_once_decide_once",
    ),
    on_postgres(
        "r1.sorted",
        RUNTIME,
        "participant::tests::locking::no_row_is_held_while_an_earlier_one_is_waited_for",
    ),
    case(
        "r2.keep-the-fold",
        RUNTIME,
        "participant::tests::on_sqlite::a_failed_decision_keeps_the_fold_and_a_redrive_decides_from_the_row",
    ),
    case(
        "r2.redrive-folds-nothing",
        RUNTIME,
        "participant::plan::tests::a_redrive_never_moves_an_order_on",
    ),
    case(
        "r3.headers-first",
        RUNTIME,
        "participant::plan::tests::what_the_headers_say_counts_whatever_is_in_the_body",
    ),
    case(
        "r4.home-partition",
        RUNTIME,
        "participant::plan::tests::an_event_outside_its_home_partition_is_bad",
    ),
    case(
        "r4.bare-pending",
        RUNTIME,
        "participant::tests::on_sqlite::a_bare_record_waits_for_the_history_of_its_orders_home",
    ),
    case(
        "r4.count-kept",
        RUNTIME,
        "participant::tests::on_sqlite::a_database_remembers_which_log_it_was_folded_from",
    ),
    case(
        "r4.added-partition",
        RUNTIME,
        "participant::tests::on_sqlite::a_partition_that_was_added_stops_the_participant",
    ),
    case(
        "r5.leased-charge-runs",
        RUNTIME_DATABASES,
        "jobs::only_a_job_that_was_never_leased_can_be_withdrawn [sqlite]",
    ),
    case(
        "r5.lease-token",
        RUNTIME_DATABASES,
        "jobs::a_worker_that_lost_its_lease_overwrites_nothing [sqlite]",
    ),
    case(
        "r5.one-key",
        PAYMENTS,
        "jobs::a_crash_between_charging_and_recording_charges_once [sqlite]",
    ),
    case(
        "r5.unknown-is-no-decline",
        PAYMENTS,
        "jobs::no_answer_is_no_decline_and_the_second_attempt_finds_the_first [sqlite]",
    ),
    case(
        "r5.look-up",
        PAYMENTS,
        "jobs::what_is_older_than_its_key_is_looked_up_before_it_is_asked_for [sqlite]",
    ),
    case(
        "r5.refund-after-charge",
        PAYMENTS,
        "jobs::a_charge_whose_order_ended_meanwhile_is_refunded_and_nothing_is_appended [sqlite]",
    ),
    case(
        "r5.refund-at-the-end",
        PAYMENTS,
        "decider::an_order_that_ends_after_its_charge_is_refunded_once [sqlite]",
    ),
    case(
        "r6.remember-position",
        RUNTIME,
        "participant::tests::on_sqlite::an_effective_event_is_decided_stored_and_published",
    ),
    case(
        "r6.read-again",
        RUNTIME,
        "participant::start::tests::a_restored_database_is_read_again_from_its_own_offset",
    ),
    case(
        "r6.shorter-log",
        RUNTIME,
        "participant::start::tests::a_log_shorter_than_the_database_stops_with_both_offsets",
    ),
    case(
        "r6.other-log",
        RUNTIME_DATABASES,
        "participant::a_topic_with_another_number_of_partitions_stops_the_participant [sqlite]",
    ),
    case(
        "r6.truncated-log",
        RUNTIME,
        "participant::start::tests::a_log_that_lost_unread_records_refuses_unless_forced",
    ),
    case(
        "r7.key-names-order",
        ORDERS,
        "idempotency::the_same_key_and_content_get_the_same_answer_and_one_record [sqlite]",
    ),
    case(
        "r7.other-content",
        ORDERS,
        "idempotency::the_same_key_with_other_content_is_answered_with_422 [sqlite]",
    ),
    case(
        "r8.pause-again",
        CONSUMER_LOOP,
        "partitions_that_come_to_a_blocked_member_are_paused_and_lose_nothing",
    ),
    case(
        "r8.drop-revoked",
        RUNTIME,
        "kafka::consumer::tests::what_is_held_of_a_partition_that_leaves_is_dropped_and_the_rest_is_kept",
    ),
    case(
        "r8.read-again",
        RUNTIME,
        "kafka::consumer::tests::what_comes_before_its_partition_is_checked_is_read_again_from_the_first_of_it",
    ),
    case(
        "r9.sweep",
        RUNTIME,
        "participant::sweep::tests::an_outcome_that_is_not_before_the_end_of_its_time_is_lost",
    ),
    case(
        "r9.read-past-the-end",
        RUNTIME,
        "participant::sweep::tests::a_lag_is_never_swept",
    ),
    case(
        "r9.back-off",
        RUNTIME,
        "participant::sweep::tests::attempts_back_off_doubling_until_it_is_confirmed",
    ),
    case(
        "r11.read-past-the-end",
        RUNTIME_DATABASES,
        "participant::an_order_is_decided_and_its_outcome_read_back_from_the_log [sqlite]",
    ),
    case(
        "r11.jobs-ask",
        RUNTIME_DATABASES,
        "worker::nothing_runs_before_its_partition_was_read_to_the_end [sqlite]",
    ),
    case(
        "r11.deadlines-ask",
        ORDERS,
        "cancelling::nothing_is_cancelled_while_the_log_is_not_read_to_its_end [sqlite]",
    ),
    case(
        "r11.max-age",
        RUNTIME_DATABASES,
        "worker::a_job_of_old_history_is_recorded_as_skipped [sqlite]",
    ),
    case(
        "r12.decode",
        RUNTIME,
        "participant::outcome::tests::an_outcome_that_reads_as_another_event_or_not_at_all_is_refused",
    ),
    case(
        "r12.fold",
        RUNTIME,
        "participant::tests::on_sqlite::an_outcome_that_nobody_could_fold_is_not_stored",
    ),
    case(
        "r12.size",
        RUNTIME,
        "participant::outcome::tests::an_outcome_that_the_log_would_not_take_is_refused",
    ),
    case(
        "r13.hold-back",
        RUNTIME,
        "participant::tests::on_sqlite::history_is_decided_and_stored_and_published_at_its_end_if_the_log_is_silent",
    ),
    case(
        "r13.log-wins",
        RUNTIME,
        "participant::tests::on_sqlite::the_decision_in_the_log_wins_over_one_that_was_made_again",
    ),
    case(
        "r13.keep-committed",
        RUNTIME,
        "participant::tests::on_sqlite::a_crash_in_the_middle_of_a_replay_leaves_it_quiet_to_its_end",
    ),
    case(
        "r13.publish-at-the-end",
        RUNTIME,
        "participant::tests::on_sqlite::however_many_outcomes_were_held_back_all_are_published",
    ),
    case(
        "r13.ask-gateway",
        PAYMENTS,
        "restore::a_forgotten_charge_of_an_order_that_ended_is_found_and_refunded_once [sqlite]",
    ),
    case(
        "fold",
        RUNTIME,
        "participant::tests::on_sqlite::a_repeated_cause_publishes_the_same_bytes_without_deciding_again",
    ),
    case(
        "offsets.after-handling",
        CONSUMER_LOOP,
        "a_batch_that_was_not_finished_comes_again_to_the_next_member",
    ),
    case(
        "offsets.after-publish",
        RUNTIME,
        "participant::tests::on_sqlite::a_failed_publish_interrupts_and_the_same_batch_publishes_what_was_stored",
    ),
    case(
        "dead-letter.before-commit",
        RUNTIME,
        "participant::tests::on_sqlite::nothing_is_committed_while_the_dead_letter_topic_is_down",
    ),
    case(
        "dead-letter.bad-records",
        RUNTIME,
        "participant::tests::on_sqlite::garbage_is_dead_lettered_byte_for_byte_and_its_neighbours_are_handled",
    ),
    case(
        "answer.after-ack",
        ORDERS,
        "outages::whatever_the_broker_did_not_confirm_is_answered_with_503_that_names_the_order [sqlite]",
    ),
];
