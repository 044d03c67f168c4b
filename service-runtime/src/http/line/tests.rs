#![allow(clippy::unwrap_used)]

use super::*;

const MOMENT: Duration = Duration::from_millis(1);

/// So many that came to rest a moment after the other, and their tickets.
fn resting(count: u32, start: Instant) -> (Line, Vec<u64>) {
    let mut line = Line::default();
    let tickets = (0..count).map(|n| line.join(Arc::default(), start + n * MOMENT));
    let tickets = tickets.collect();
    (line, tickets)
}

fn told(line: &Line, tickets: &[u64]) -> Vec<bool> {
    tickets.iter().map(|ticket| line.is_told(*ticket)).collect()
}

#[test]
fn who_has_rested_longest_is_told_after_the_grace_and_no_moment_earlier() {
    let start = Instant::now();
    let (mut line, tickets) = resting(3, start);
    let almost = start + GRACE - Duration::from_nanos(1);
    assert_eq!(line.make_room(start), Some(start + GRACE));
    assert_eq!(line.make_room(almost), Some(start + GRACE));
    assert_eq!(told(&line, &tickets), [false, false, false]);
    assert_eq!(line.make_room(start + GRACE), None);
    assert_eq!(told(&line, &tickets), [true, false, false]);
}

#[test]
fn one_at_a_time_is_told_to_leave() {
    let start = Instant::now();
    let (mut line, tickets) = resting(3, start);
    let later = start + 2 * GRACE;
    for _ in 0..2 {
        assert_eq!(line.make_room(later), None);
        assert_eq!(told(&line, &tickets), [true, false, false]);
    }
    assert!(line.end(tickets[0]));
    assert_eq!(line.make_room(later), None);
    assert_eq!(told(&line, &tickets), [true, true, false]);
}

#[test]
fn who_begins_to_work_instead_of_leaving_makes_room_for_telling_the_next() {
    let start = Instant::now();
    let (mut line, tickets) = resting(2, start);
    let later = start + 2 * GRACE;
    line.make_room(later);
    assert!(line.end(tickets[0]), "it had been told");
    line.make_room(later);
    assert!(line.is_told(tickets[1]));
    let (mut line, tickets) = resting(1, start);
    assert!(!line.end(tickets[0]), "nobody had told it");
}

#[test]
fn the_first_byte_of_a_request_begins_a_new_rest_unless_it_comes_too_late() {
    let start = Instant::now();
    let (mut line, mut tickets) = resting(2, start);
    tickets[0] = line.join_again(tickets[0], start + GRACE);
    line.make_room(start + 2 * GRACE);
    assert_eq!(told(&line, &tickets), [false, true]);
    assert_eq!(
        line.join_again(tickets[1], start + 2 * GRACE),
        tickets[1],
        "it stays told"
    );
    assert!(line.is_told(tickets[1]));
}

#[test]
fn those_at_work_are_asked_when_nobody_could_be_told_for_the_grace() {
    let start = Instant::now();
    let mut line = Line::default();
    assert_eq!(line.make_room(start), Some(start + GRACE));
    assert!(!line.is_asking());
    // Those that have only just come to rest change nothing: their next requests are on the way.
    let ticket = line.join(Arc::default(), start + GRACE - MOMENT);
    assert_eq!(
        line.make_room(start + GRACE),
        Some(start + 2 * GRACE - MOMENT)
    );
    assert!(line.is_asking());
    assert!(!line.is_told(ticket));
    line.has_room(false, start + GRACE);
    assert!(!line.is_asking());
}

#[test]
fn nobody_at_work_is_asked_where_one_who_rests_can_be_told() {
    let start = Instant::now();
    let (mut line, tickets) = resting(1, start);
    assert_eq!(line.make_room(start), Some(start + GRACE));
    assert_eq!(line.make_room(start + GRACE), None);
    assert!(line.is_told(tickets[0]) && !line.is_asking());
    // Nor while that one is leaving.
    assert_eq!(line.make_room(start + 3 * GRACE), None);
    assert!(!line.is_asking());
}

#[test]
fn clients_that_wait_one_behind_the_other_are_patient_only_once() {
    let start = Instant::now();
    let mut line = Line::default();
    line.make_room(start);
    let mut now = start + GRACE;
    for _ in 0..3 {
        line.make_room(now);
        assert!(line.is_asking());
        // However long that answer took.
        now += 10 * GRACE;
        line.has_room(false, now);
        assert!(!line.is_asking());
        now += GRACE;
    }
    // Then there was room for a while, or a free place.
    now += MOMENT;
    assert_eq!(line.make_room(now), Some(now + GRACE));
    line.make_room(now + GRACE);
    assert!(line.is_asking());
    line.has_room(true, now + GRACE);
    line.make_room(now + GRACE);
    assert!(!line.is_asking());
}
