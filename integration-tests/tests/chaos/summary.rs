//! How a run went.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use base_domains::header;
use integration_tests::history::{History, Injected, Kind, Outcome, Rest, check};

use crate::nemesis::Tally;
use crate::world::World;

/// Records that may be there again, on top of half of all: a kill repeats at most what came since the last commit
/// of an offset, and of that only what was not read back. Runs of one to ten minutes had up to a quarter, so on
/// average every event may be there twice; one that is published again and again exceeds that.
const REPEATS: usize = 100;
/// Of one event: whoever publishes it can be killed a few times in a row before its offset is committed.
const COPIES: usize = 10;
/// Of the violations.
const SHOWN: usize = 100;

pub(crate) struct Summary {
    seed: u64,
    lines: Vec<(String, String)>,
    operations: String,
    wrong: Vec<String>,
}

impl Summary {
    pub(crate) async fn of(
        seed: u64,
        world: &World,
        tally: Tally,
        counted: BTreeMap<String, f64>,
        rest: Rest,
    ) -> Self {
        let mut wrong = tally.wrong.clone();
        let mut lines = Vec::new();
        let mut history = rest.history;
        history.bounds.appended_again = Some(history.log.len() / 2 + REPEATS);
        history.bounds.copies = COPIES;
        wrong.extend(check(&history).iter().map(ToString::to_string));
        wrong.extend(nothing_happened(&history, &tally, world));
        lines.extend(attempts(&history));
        let at_rest = match rest.missing {
            None => format!("after {:.1?}", rest.took),
            Some(missing) => {
                wrong.push(format!("not at rest: {missing}"));
                "no".to_owned()
            }
        };
        lines.push(("at rest".to_owned(), at_rest));
        lines.extend(in_the_log(&history, world).await);
        for (what, sum) in counted {
            lines.push((what, format!("at least {sum}")));
        }
        lines.push(("commits cut".to_owned(), world.commits_cut().to_string()));
        let [cleanly, otherwise] = tally.ended;
        let ended = format!("{cleanly} with code 0, {otherwise} with another");
        lines.push(("ended when asked to".to_owned(), ended));
        let excused = format!("{:#?}", tally.excused);
        lines.push(("ended because the producer failed".to_owned(), excused));
        lines.push(("kills".to_owned(), tally.kills.to_string()));
        Self {
            seed,
            lines,
            operations: tally.lines(),
            wrong,
        }
    }

    pub(crate) fn is_clean(&self) -> bool {
        self.wrong.is_empty()
    }
}

fn attempts(history: &History) -> Vec<(String, String)> {
    let mut outcomes = BTreeMap::<_, usize>::new();
    for attempt in &history.attempts {
        let what = if attempt.places() {
            "orders"
        } else {
            "cancellations"
        };
        let outcome = match attempt.outcome {
            Outcome::Ok => "accepted",
            Outcome::Failed => "refused",
            Outcome::Unknown if attempt.answer.is_some() => "unknown by the answer",
            Outcome::Unknown => "without an answer",
        };
        *outcomes.entry((what, outcome)).or_default() += 1;
    }
    let places = |place: Option<_>| usize::from(place.is_some());
    let bare: usize = history.injected.iter().map(|one| places(one.place)).sum();
    let poison = history.poison.iter().map(|one| places(one.place));
    let outcomes = format!("{outcomes:?}");
    vec![
        ("attempts".to_owned(), outcomes),
        (
            "bare records acknowledged".to_owned(),
            format!("{bare} of {}", history.injected.len()),
        ),
        (
            "poison acknowledged".to_owned(),
            format!("{} of {}", poison.sum::<usize>(), history.poison.len()),
        ),
        (
            "looks at the stock".to_owned(),
            history.observations.len().to_string(),
        ),
    ]
}

/// Or else the run was about less than it says.
fn nothing_happened(history: &History, tally: &Tally, world: &World) -> Vec<String> {
    let mut attempts = history.attempts.iter();
    let accepted = attempts.any(|one| one.places() && one.outcome == Outcome::Ok);
    let ended = |status| history.databases.views.iter().any(|v| v.status == status);
    let mut gateway = history.databases.gateway.iter();
    let did = |kind| history.interruptions.iter().any(|one| one.kind == kind);
    let has_ways = !world.field().ways.is_empty();
    let happened = [
        ("no order was SHIPPED", ended("SHIPPED")),
        ("no order was CANCELLED", ended("CANCELLED")),
        ("no order was REJECTED", ended("REJECTED")),
        (
            "nobody was refunded",
            gateway.any(|entry| entry.operation == "refund"),
        ),
        ("nobody got mail", !history.mails.is_empty()),
        ("no receiver was told", !history.webhooks[0].told.is_empty()),
        (
            "no order was spoilt",
            history.poison.iter().any(is_of_an_order),
        ),
        ("nobody was frozen", did(Kind::Freeze)),
        ("no way was disturbed", did(Kind::Cut) || !has_ways),
        ("no order was accepted", accepted),
        ("nobody was killed", tally.kills > 0),
        ("nothing was poisoned", !history.poison.is_empty()),
        ("nobody saw the stock", !history.observations.is_empty()),
        (
            "no COMMIT was cut in its answer",
            world.commits_cut() > 0 || !has_ways,
        ),
    ];
    let missing = happened.into_iter().filter(|(_, happened)| !happened);
    let mut missing: Vec<String> = missing.map(|(what, _)| what.to_owned()).collect();
    missing.extend(not_done(tally, world));
    missing
}

/// What every plan has where it can be done (see `plan`).
fn not_done(tally: &Tally, world: &World) -> Vec<String> {
    let field = world.field();
    let mut planned = vec!["Kill", "End", "Freeze"];
    if !field.visitors.is_empty() {
        planned.push("Visit");
    }
    if !field.ways.is_empty() {
        planned.extend(["Cut", "Silent", "Latency", "CutReplyTo"]);
    }
    let missing = planned
        .into_iter()
        .filter(|what| !tally.done.contains_key(*what));
    missing.map(|what| format!("no {what} was done")).collect()
}

fn is_of_an_order(poison: &Injected) -> bool {
    let mut headers = poison.headers.iter();
    poison.place.is_some() && headers.any(|(name, _)| name == header::CE_SUBJECT)
}

async fn in_the_log(history: &History, world: &World) -> Vec<(String, String)> {
    let records = &history.log;
    let ids: BTreeSet<_> = records
        .iter()
        .filter_map(|one| one.header(header::CE_ID))
        .collect();
    let events = records
        .iter()
        .filter(|one| one.header(header::CE_ID).is_some())
        .count();
    let mut ends = BTreeMap::<&str, usize>::new();
    for story in world.system.log.orders().await.values() {
        *ends.entry(story.status()).or_default() += 1;
    }
    let gateway = &history.databases.gateway;
    let entries = |operation| {
        gateway
            .iter()
            .filter(|one| one.operation == operation)
            .count()
    };
    let (charges, refunds) = (entries("charge"), entries("refund"));
    let mails = &history.mails;
    let told = &history.webhooks[0].told;
    let told_of: BTreeSet<_> = told.iter().map(|told| &told.id).collect();
    let letters: usize = history.dead_letters.values().map(Vec::len).sum();
    let groups = history.dead_letters.len();
    let different: BTreeSet<_> = mails.iter().map(|mail| &mail.message_id).collect();
    vec![
        ("ends".to_owned(), format!("{ends:?}")),
        (
            "records".to_owned(),
            format!("{}, {} appended again", records.len(), events - ids.len()),
        ),
        (
            "dead letters".to_owned(),
            format!("{letters} of {groups} groups"),
        ),
        (
            "mails".to_owned(),
            format!(
                "{}, {} of them again",
                mails.len(),
                mails.len() - different.len()
            ),
        ),
        (
            "money".to_owned(),
            format!("{charges} charges tried, {refunds} refunds"),
        ),
        (
            "notifications".to_owned(),
            format!(
                "{}, {} of them again",
                told.len(),
                told.len() - told_of.len()
            ),
        ),
    ]
}

impl fmt::Display for Summary {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(formatter, "seed: {}", self.seed)?;
        writeln!(formatter, "disturbances:\n{}", self.operations.trim_end())?;
        for (what, value) in &self.lines {
            writeln!(formatter, "{what}: {value}")?;
        }
        writeln!(formatter, "violations: {}", self.wrong.len())?;
        for wrong in self.wrong.iter().take(SHOWN) {
            writeln!(formatter, "  {wrong}")?;
        }
        Ok(())
    }
}
