//! F3: of two instances of a service one has a clock that is an hour ahead, the other one that is an
//! hour behind. Leases go by the database's clock and deadlines by the log's.
//!
//! On PostgreSQL, whose clock is right: an SQLite file has its only process's clock.

use std::path::PathBuf;
use std::process::Command;

use integration_tests::aftermath::kept_every_promise;
use integration_tests::broker::containers;
use integration_tests::history::Recorder;
use integration_tests::system::order;
use integration_tests::wait::eventually;
use integration_tests::{DEADLINE, Signal, System, SystemBuilder, database};
use tempfile::TempDir;
use test_support::{Test, test};

use crate::support::ALONE;

pub(crate) fn tests() -> Vec<Test> {
    vec![
        test!(orders_come_to_their_right_end_on_instances_whose_clocks_are_hours_apart, no database)
            .threads(2)
            .needs(containers()),
    ]
}

const HOUR: i64 = 3600;

/// Each service with an instance that is ahead and one that is behind.
const INSTANCES: [(&str, [&str; 2]); 3] = [
    ("stock", ["stock-0", "stock-1"]),
    ("payment", ["payment", "payment-1"]),
    ("shipping", ["shipping", "shipping-1"]),
];

const ORDERS: usize = 40;
/// Of the last one there is one.
const PRODUCTS: [&str; 4] = ["book order", "notebook", "fountain pen", "last copy"];

/// A library that moves the clock of the process that it is loaded into.
struct Clock {
    library: PathBuf,
    _folder: TempDir,
}

impl Clock {
    /// With the C compiler that this workspace needs anyway.
    fn compile() -> Self {
        let folder = TempDir::with_prefix("orders-clock-").unwrap();
        let library = folder.path().join("clock.so");
        let source = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/outage/clock.c");
        let compiled = Command::new("cc")
            .args(["-O1", "-shared", "-fPIC", "-o"])
            .arg(&library)
            .args([source, "-ldl"])
            .output()
            .expect("a C compiler, cc");
        assert!(compiled.status.success(), "{compiled:?}");
        Self {
            library,
            _folder: folder,
        }
    }

    /// Starts `name` with a clock that is `ahead`, as one that was set while the process was stopped.
    async fn start(&self, system: &mut System, name: &str, ahead: i64) {
        let library = self.library.to_str().unwrap();
        let seconds = ahead.to_string();
        let further = [("LD_PRELOAD", library), ("CLOCK_AHEAD", &seconds)];
        system.spawn_with(name, &further).await;
    }
}

async fn orders_come_to_their_right_end_on_instances_whose_clocks_are_hours_apart() {
    let _alone = ALONE.lock().await;
    let clock = Clock::compile();
    let mut system = SystemBuilder::new()
        // Shorter than any two of the clocks are apart.
        .set("ORDER_DEADLINE", "30m")
        .set("EMAIL_MAX_AGE", "3h")
        .set("WEBHOOK_MAX_AGE", "3h")
        .start()
        .await;
    for (_, [ahead, behind]) in INSTANCES {
        let right = system.process(ahead);
        right.signal(Signal::Terminate);
        assert!(right.ended(DEADLINE).await.success(), "{ahead}");
        clock.start(&mut system, ahead, HOUR).await;
        clock.start(&mut system, behind, -HOUR).await;
    }
    system.until_ready().await;
    for (service, names) in INSTANCES {
        share(&system, service, names).await;
    }

    let recorder = Recorder::new();
    for product in PRODUCTS.iter().cycle().take(ORDERS) {
        let placed = recorder.place(&system.order, &order(product, 1)).await;
        assert!(placed.order_id.is_some(), "{placed:?}");
    }
    let history = kept_every_promise(&system, &recorder).await;
    let of = |wanted: &str| {
        let views = history.databases.views.iter();
        views.filter(|view| view.status == wanted).count()
    };
    let sold_out = ORDERS / PRODUCTS.len() - 1;
    assert_eq!(
        (of("SHIPPED"), of("REJECTED")),
        (ORDERS - sold_out, sold_out)
    );
    for service in ["payment", "shipping", "email"] {
        for (job, (state, attempts)) in database::attempts(&system.database(service)).await {
            assert_eq!((&*state, attempts), ("done", 1), "{service}: {job}");
        }
    }
    clocks_are_apart(&mut system);
    let names: Vec<&str> = INSTANCES.iter().flat_map(|(_, names)| *names).collect();
    system.nobody_ended(&names);
}

/// Waits until each of the instances has some of the partitions, and together they have all.
async fn share(system: &System, service: &str, names: [&str; 2]) {
    let group = format!(r#"group="{}","#, system.group(service));
    let owned = format!("consumer_partition_owned{{{group}");
    eventually(&format!("share of {service}"), || async {
        let mut shares = Vec::new();
        for name in names {
            let metrics = system.client(name).try_get("/metrics").await.ok()?;
            let mine = metrics.text.lines().filter(|line| line.starts_with(&owned));
            shares.push(mine.filter(|line| line.ends_with(" 1")).count());
        }
        (shares.iter().sum::<usize>() == 3 && shares.iter().all(|share| *share > 0)).then_some(())
    })
    .await;
}

/// What each instance logged says what its clock was.
fn clocks_are_apart(system: &mut System) {
    let mut logged = |name: &str| -> Vec<String> {
        let output = system.process(name).output();
        let lines = output.lines().filter(|line| line.starts_with("20"));
        lines.map(|line| line[..20].to_owned()).collect()
    };
    let right = logged("order");
    for (_, [ahead, behind]) in INSTANCES {
        let (ahead, behind) = (logged(ahead), logged(behind));
        assert!(ahead.first() > right.last(), "{ahead:?} {right:?}");
        assert!(behind.last() < right.first(), "{behind:?} {right:?}");
    }
}
