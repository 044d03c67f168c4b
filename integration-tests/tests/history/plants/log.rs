//! A log that is not what it should be, and readers that are not where they should be.

use base_domains::OrderStatus;
use integration_tests::history::Invariant;
use service_runtime::kafka::dlt;

use super::{append, record, records, rewrite, set_header};
use crate::lives::{Lives, id};
use crate::plant::Plant;
use crate::right::{LANDED, REFUNDED, SHIPPED, body};

pub(super) fn all() -> Vec<Plant> {
    [records_of_services(), borders(), dead_letters()]
        .into_iter()
        .flatten()
        .collect()
}

fn records_of_services() -> Vec<Plant> {
    vec![
        Plant {
            name: "stock-service appended a PAID",
            breaks: Invariant::RecordHasAWriter,
            plant: |history| {
                set_header(
                    record(history, SHIPPED, "order.paid"),
                    "ce_source",
                    "/stock-service",
                );
            },
        },
        Plant {
            name: "a record that nobody can read was injected by nobody",
            breaks: Invariant::RecordHasAWriter,
            plant: |history| {
                history.poison.remove(0);
            },
        },
        Plant {
            name: "a service appended to another partition than the order's",
            breaks: Invariant::RecordHasAWriter,
            plant: |history| {
                let mut strange = record(history, SHIPPED, "order.paid").clone();
                strange.partition = (strange.partition + 1) % 3;
                append(history, strange);
            },
        },
        Plant {
            name: "a service appended a body that nobody can read",
            breaks: Invariant::RecordHasAWriter,
            plant: |history| rewrite(record(history, SHIPPED, "order.paid"), "{", ""),
        },
        Plant {
            name: "an order was SHIPPED without being PAID",
            breaks: Invariant::StepHasItsCause,
            plant: |history| {
                let place = records(history, LANDED, "order.paid")[0];
                history.log.remove(place);
            },
        },
        Plant {
            name: "stock-service decided twice, and differently",
            breaks: Invariant::DecidedOnce,
            plant: |history| {
                let mut lives = Lives::default();
                let pens = body("pen", 2);
                let why = Some("out_of_stock");
                lives.late(LANDED, &pens, OrderStatus::Rejected, "stock-service", why);
                append(history, lives.history.log.remove(0));
            },
        },
        Plant {
            name: "a repeated event has another body",
            breaks: Invariant::RepeatIsTheSame,
            plant: |history| {
                let place = records(history, REFUNDED, "order.paid")[1];
                rewrite(&mut history.log[place], "paid state", "PAID state");
            },
        },
        Plant {
            name: "a repeated outcome has another time",
            breaks: Invariant::RepeatIsTheSame,
            plant: |history| {
                let place = records(history, REFUNDED, "order.paid")[1];
                set_header(&mut history.log[place], "ce_time", "2027-01-01T00:00:00Z");
            },
        },
        Plant {
            name: "an event is repeated more often than the run explains",
            breaks: Invariant::RepeatsAreBounded,
            plant: |history| {
                let again = record(history, LANDED, "order.paid").clone();
                append(history, again);
            },
        },
        Plant {
            name: "an outcome is appended again and again",
            breaks: Invariant::RepeatsAreBounded,
            plant: |history| {
                history.bounds.appended_again = None;
                let again = record(history, LANDED, "order.paid").clone();
                for _ in 0..history.bounds.copies {
                    append(history, again.clone());
                }
            },
        },
    ]
}

fn borders() -> Vec<Plant> {
    vec![
        Plant {
            name: "a repeated record is missing in the log",
            breaks: Invariant::LogIsWhole,
            plant: |history| {
                let place = records(history, REFUNDED, "order.reserved")[1];
                history.log.remove(place);
            },
        },
        Plant {
            name: "an injected record is not where it was acknowledged",
            breaks: Invariant::LogIsWhole,
            plant: |history| history.injected[0].value = Some(b"other".to_vec()),
        },
        Plant {
            name: "a participant has not read the last record",
            breaks: Invariant::NothingIsPassedOver,
            plant: |history| {
                *history.databases.participants[2]
                    .positions
                    .get_mut(&1)
                    .unwrap() -= 1
            },
        },
        Plant {
            name: "a participant has not read a partition at all",
            breaks: Invariant::NothingIsPassedOver,
            plant: |history| {
                history.databases.participants[3].positions.remove(&2);
            },
        },
        Plant {
            name: "a group committed more than the log has",
            breaks: Invariant::OffsetIsInTheLog,
            plant: |history| {
                let lag = &mut history.offsets.get_mut("g-email").unwrap()[0];
                lag.committed = Some(lag.end + 1);
            },
        },
        Plant {
            name: "a database is further than the log",
            breaks: Invariant::OffsetIsInTheLog,
            plant: |history| {
                *history.databases.participants[4]
                    .positions
                    .get_mut(&0)
                    .unwrap() += 1
            },
        },
        Plant {
            name: "a group never committed",
            breaks: Invariant::EverythingIsCommitted,
            plant: |history| {
                let lags = history.offsets.get_mut("g-shipping").unwrap();
                lags.iter_mut().for_each(|lag| lag.committed = None);
            },
        },
        Plant {
            name: "a group has committed one record too few",
            breaks: Invariant::EverythingIsCommitted,
            plant: |history| {
                let lag = &mut history.offsets.get_mut("g-view").unwrap()[2];
                lag.committed = lag.committed.map(|committed| committed - 1);
            },
        },
        Plant {
            name: "nobody knows of a group",
            breaks: Invariant::EverythingIsCommitted,
            plant: |history| {
                history.offsets.remove("g-payment");
            },
        },
        Plant {
            name: "a group committed what its database has not done",
            breaks: Invariant::OffsetIsDurable,
            plant: |history| {
                *history.databases.participants[2]
                    .positions
                    .get_mut(&1)
                    .unwrap() -= 2;
            },
        },
    ]
}

fn dead_letters() -> Vec<Plant> {
    vec![
        Plant {
            name: "a group dead-lettered no poison",
            breaks: Invariant::PoisonIsDeadLettered,
            plant: |history| history.dead_letters.get_mut("g-payment").unwrap().clear(),
        },
        Plant {
            name: "a poison for some groups is a dead letter of none of them",
            breaks: Invariant::PoisonIsDeadLettered,
            plant: |history| {
                let letters = history.dead_letters.get_mut("g-order").unwrap();
                letters.retain(|letter| !letter.value.as_ref().unwrap().starts_with(b"{"));
            },
        },
        Plant {
            name: "a good record is a dead letter",
            breaks: Invariant::DeadLetterIsPoison,
            plant: |history| {
                let good = record(history, SHIPPED, "order.paid").clone();
                let letters = history.dead_letters.get_mut("g-stock").unwrap();
                let mut letter = letters[0].clone();
                set_bytes(
                    &mut letter,
                    dlt::ORIGINAL_PARTITION,
                    &good.partition.to_be_bytes(),
                );
                set_bytes(
                    &mut letter,
                    dlt::ORIGINAL_OFFSET,
                    &good.offset.to_be_bytes(),
                );
                letter.value = good.value;
                letters.push(letter);
            },
        },
        Plant {
            name: "a group dead-lettered what it can use",
            breaks: Invariant::DeadLetterIsPoison,
            plant: |history| {
                let letters = history.dead_letters["g-order"].clone();
                history.dead_letters.insert("g-webhook".to_owned(), letters);
            },
        },
        Plant {
            name: "a group dead-lettered an event that came too late to be decided about",
            breaks: Invariant::DeadLetterIsPoison,
            plant: |history| {
                let too_late = records(history, SHIPPED, "order.pending")[1];
                let too_late = history.log[too_late].clone();
                let letters = history.dead_letters.get_mut("g-stock").unwrap();
                let mut letter = letters[1].clone();
                letter.value = too_late.value;
                letter.headers.retain(|(name, _)| !name.starts_with("ce_"));
                letter.headers.splice(0..0, too_late.headers);
                let (partition, offset) = (too_late.partition, too_late.offset);
                set_bytes(
                    &mut letter,
                    dlt::ORIGINAL_PARTITION,
                    &partition.to_be_bytes(),
                );
                set_bytes(&mut letter, dlt::ORIGINAL_OFFSET, &offset.to_be_bytes());
                letters.push(letter);
            },
        },
        Plant {
            name: "a decision was given up, and nothing was wrong with its order",
            breaks: Invariant::DeadLetterIsPoison,
            plant: |history| {
                let order_id = id(LANDED).to_string();
                let rows = &mut history.databases.participants[2].orders;
                let row = rows.iter_mut().find(|row| row.order_id == order_id);
                row.unwrap().failed = true;
            },
        },
        Plant {
            name: "a decision that was given up is not known to be open",
            breaks: Invariant::PoisonIsDeadLettered,
            plant: |history| {
                let rows = &mut history.databases.participants[2].orders;
                rows.iter_mut().for_each(|row| row.failed = false);
            },
        },
        Plant {
            name: "a dead letter lost a byte",
            breaks: Invariant::DeadLetterIsTheSame,
            plant: |history| {
                let letters = history.dead_letters.get_mut("g-email").unwrap();
                letters[0].value.as_mut().unwrap().pop();
            },
        },
        Plant {
            name: "a dead letter lost its key",
            breaks: Invariant::DeadLetterIsTheSame,
            plant: |history| {
                let letters = history.dead_letters.get_mut("g-email").unwrap();
                letters.iter_mut().for_each(|letter| letter.key = None);
            },
        },
        Plant {
            name: "a dead letter lost a header",
            breaks: Invariant::DeadLetterIsTheSame,
            plant: |history| {
                let letters = history.dead_letters.get_mut("g-webhook").unwrap();
                letters[0].headers.retain(|(name, _)| name != "mine");
            },
        },
        Plant {
            name: "a record is a dead letter more often than anything was interrupted",
            breaks: Invariant::DeadLetterIsTheSame,
            plant: |history| {
                let letters = history.dead_letters.get_mut("g-view").unwrap();
                letters.extend(vec![letters[0].clone(); 3]);
            },
        },
    ]
}

fn set_bytes(record: &mut service_runtime::kafka::Record, name: &str, value: &[u8]) {
    let header = record.headers.iter_mut().find(|(other, _)| other == name);
    header.unwrap().1 = value.to_vec();
}
