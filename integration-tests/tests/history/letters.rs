//! The dead letters of every group.

use service_runtime::kafka::{Record, dlt};

use crate::kept::PARTICIPANTS;
use crate::lives::Lives;

/// Every group has what it cannot use, one of them twice after a kill.
pub(crate) fn letters(lives: &mut Lives) {
    for (.., group) in PARTICIPANTS {
        let mut letters = Vec::new();
        for record in &lives.history.log {
            let place = (record.partition, record.offset);
            let groups = lives.letters.get(&place);
            if groups.is_some_and(|groups| groups.contains(&group)) {
                letters.push(letter(record, group, letters.len() as i64));
            }
        }
        if group == "g-stock" {
            let mut again = letters[0].clone();
            again.offset = letters.len() as i64;
            letters.push(again);
        }
        let dead_letters = &mut lives.history.dead_letters;
        dead_letters.insert(group.to_owned(), letters);
    }
}

fn letter(record: &Record, group: &str, offset: i64) -> Record {
    let added = [
        (dlt::ORIGINAL_TOPIC, b"orders".to_vec()),
        (
            dlt::ORIGINAL_PARTITION,
            record.partition.to_be_bytes().to_vec(),
        ),
        (dlt::ORIGINAL_OFFSET, record.offset.to_be_bytes().to_vec()),
        (dlt::ORIGINAL_TIMESTAMP, 1_i64.to_be_bytes().to_vec()),
        (dlt::ORIGINAL_CONSUMER_GROUP, group.as_bytes().to_vec()),
        (dlt::EXCEPTION_FQCN, b"invalid_body".to_vec()),
        (dlt::EXCEPTION_MESSAGE, b"why".to_vec()),
    ];
    let added = added.map(|(name, value)| (name.to_owned(), value));
    let mut letter = record.clone();
    letter.headers.extend(added);
    (letter.partition, letter.offset) = (0, offset);
    letter
}
