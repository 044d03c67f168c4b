//! What every plan is like.

use std::collections::BTreeMap;
use std::time::Duration;

use test_support::{Test, test};

use crate::plan::{Field, Operation, Server, Step, Target, plan};

const LENGTH: Duration = Duration::from_secs(600);

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(the_same_seed_is_the_same_plan_and_another_seed_another, no database),
        test!(a_longer_run_begins_as_a_shorter_one, no database),
        test!(nothing_happens_twice_at_a_time_to_anybody, no database),
        test!(everything_happens_to_everybody, no database),
        test!(every_minute_has_what_chance_could_leave_out, no database),
        test!(what_cannot_be_done_is_not_planned, no database),
    ]
}

fn field() -> Field {
    Field {
        processes: ["order", "stock-0", "stock-1"].map(str::to_owned).to_vec(),
        visitors: vec!["stock-9".to_owned()],
        containers: true,
        servers: vec![Server::Broker, Server::Postgres],
        ways: vec![Server::Broker, Server::Postgres],
    }
}

async fn the_same_seed_is_the_same_plan_and_another_seed_another() {
    let of = |seed| plan(seed, LENGTH, &field());
    assert_eq!(of(7), of(7));
    assert_ne!(of(7), of(8));
}

async fn a_longer_run_begins_as_a_shorter_one() {
    let short = plan(7, Duration::from_secs(60), &field());
    let long = plan(7, LENGTH, &field());
    assert!(short.len() > 15, "{}", short.len());
    assert_eq!(short, long[..short.len()]);
}

async fn nothing_happens_twice_at_a_time_to_anybody() {
    for seed in 0..50 {
        let mut busy = BTreeMap::new();
        for step in plan(seed, LENGTH, &field()) {
            assert!(step.at < step.until, "{step:?}");
            let before = busy.insert(step.target.clone(), step.until);
            assert!(before.is_none_or(|until| until <= step.at), "{step:?}");
        }
    }
}

fn kinds(steps: &[Step]) -> BTreeMap<Target, Vec<String>> {
    let mut kinds = BTreeMap::<_, Vec<String>>::new();
    for step in steps {
        let kind = match &step.operation {
            Operation::Fault(fault) => format!("{fault:?}"),
            other => format!("{other:?}"),
        };
        let kind = kind.split(['(', ' ']).next().unwrap().to_owned();
        let of_target = kinds.entry(step.target.clone()).or_default();
        if !of_target.contains(&kind) {
            of_target.push(kind);
        }
    }
    kinds.values_mut().for_each(|kinds| kinds.sort());
    kinds
}

async fn everything_happens_to_everybody() {
    let kinds = kinds(&plan(1, 10 * LENGTH, &field()));
    for name in field().processes {
        assert_eq!(kinds[&Target::Process(name)], ["End", "Freeze", "Kill"]);
    }
    let visitor = Target::Visitor("stock-9".to_owned());
    assert_eq!(kinds[&visitor], ["Visit"]);
    for server in [Server::Broker, Server::Postgres] {
        assert_eq!(kinds[&Target::Server(server)], ["End", "Freeze", "Kill"]);
    }
    let ways = [Server::Broker, Server::Postgres].map(|server| &kinds[&Target::Way(server)]);
    assert_eq!(*ways[0], ["Cut", "Latency", "Silent"]);
    assert_eq!(*ways[1], ["Cut", "CutReplyTo", "Latency", "Silent"]);
}

async fn every_minute_has_what_chance_could_leave_out() {
    for seed in 0..500 {
        let kinds = kinds(&plan(seed, Duration::from_secs(60), &field()));
        let has = |target, kind: &str| {
            let of_target = kinds.get(&target);
            let has = of_target.is_some_and(|kinds| kinds.iter().any(|one| one == kind));
            assert!(has, "seed {seed}: no {kind} of {target:?}: {kinds:?}");
        };
        has(Target::Visitor("stock-9".to_owned()), "Visit");
        for server in [Server::Broker, Server::Postgres] {
            has(Target::Server(server), "Kill");
            has(Target::Way(server), "Cut");
            has(Target::Way(server), "Silent");
        }
        has(Target::Way(Server::Broker), "Latency");
        has(Target::Way(Server::Postgres), "CutReplyTo");
        for kind in ["Kill", "End", "Freeze"] {
            let mut kinds = kinds.iter();
            let is_one = |target: &Target| matches!(target, Target::Process(_));
            let has = kinds.any(|(target, kinds)| is_one(target) && kinds.contains(&kind.into()));
            assert!(has, "seed {seed}: no {kind} of a process");
        }
    }
}

async fn what_cannot_be_done_is_not_planned() {
    let field = Field {
        visitors: vec![],
        containers: false,
        servers: vec![Server::Broker],
        ways: vec![],
        ..field()
    };
    let kinds = kinds(&plan(1, 10 * LENGTH, &field));
    assert_eq!(kinds[&Target::Server(Server::Broker)], ["Freeze"]);
    assert_eq!(kinds.len(), field.processes.len() + 1, "{kinds:?}");
}
