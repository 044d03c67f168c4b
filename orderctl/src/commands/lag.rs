//! `orderctl lag`.

use clap::Args;
use serde::Serialize;
use service_runtime::kafka::{PartitionLag, group_lag};

use crate::output::{Table, note, printable};
use crate::progress::spinner;
use crate::{Context, Failure};

/// The groups that the services use unless they are told otherwise.
const GROUPS: [&str; 7] = [
    "orders",
    "orders-view",
    "stock",
    "payment",
    "shipping",
    "email",
    "webhook",
];

/// Show how far the consumer groups are behind the log
///
/// Asks the broker without joining a group, so it works while no service runs and disturbs none.
/// Of the usual groups only those are shown that have committed something. With --max all of them are,
/// and count: a service that never ran has everything still to read. Name those you have with --group.
#[derive(Debug, Args)]
pub struct Lag {
    /// Only this group; may be given several times
    #[arg(long, value_name = "GROUP")]
    group: Vec<String>,
    /// End with 6 when one of the groups has a lag above this in a partition
    #[arg(long, value_name = "RECORDS")]
    max: Option<i64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Lags {
    topic: String,
    groups: Vec<Group>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Group {
    group: String,
    /// Of all partitions.
    lag: i64,
    partitions: Vec<Row>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
struct Row {
    partition: i32,
    /// Nothing when the group has committed nothing there; then all that the partition holds is its lag.
    committed: Option<i64>,
    begin: i64,
    end: i64,
    lag: i64,
}

impl Lag {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let config = context.kafka()?;
        let named = !self.group.is_empty();
        let groups = match named {
            true => self.group,
            false => GROUPS.map(str::to_owned).to_vec(),
        };
        // What is judged is shown.
        let all = named || self.max.is_some();
        let asking = spinner("Asking the broker.");
        let mut lags = Lags {
            topic: config.topic.clone(),
            groups: Vec::new(),
        };
        for group in groups {
            asking.set_message(format!("Asking for {group}."));
            let partitions = group_lag(&config, &group, context.timeout()).await?;
            let group = Group::new(group, &partitions);
            if all || group.has_committed() {
                lags.groups.push(group);
            }
        }
        asking.finish_and_clear();
        context.output.print(&lags, table)?;
        if !named && !lags.groups.iter().any(Group::has_committed) {
            note("none of the usual groups has committed anything; see --group");
        }
        match self.max {
            Some(max) => lags.within(max),
            None => Ok(()),
        }
    }
}

impl Lags {
    fn within(&self, max: i64) -> Result<(), Failure> {
        let mut rows = self.groups.iter().flat_map(|group| {
            let rows = group.partitions.iter();
            rows.map(move |row| (&group.group, row))
        });
        match rows.find(|(_, row)| row.lag > max) {
            None => Ok(()),
            Some((group, row)) => {
                let nothing = match row.committed {
                    Some(_) => "",
                    None => ", where it has committed nothing",
                };
                Err(Failure::Unmet(format!(
                    "group {group} is {} records behind in partition {}{nothing}, more than {max}",
                    row.lag, row.partition
                )))
            }
        }
    }
}

impl Group {
    fn new(group: String, partitions: &[PartitionLag]) -> Self {
        let row = |at: &PartitionLag| Row {
            partition: at.partition,
            committed: at.committed,
            begin: at.begin,
            end: at.end,
            lag: at.lag(),
        };
        Self {
            group,
            lag: partitions.iter().map(PartitionLag::lag).sum(),
            partitions: partitions.iter().map(row).collect(),
        }
    }

    fn has_committed(&self) -> bool {
        self.partitions.iter().any(|row| row.committed.is_some())
    }
}

fn table(lags: &Lags) -> String {
    let mut table = Table::new(&["GROUP", "PARTITION", "COMMITTED", "END", "LAG"]);
    for group in &lags.groups {
        for row in &group.partitions {
            table.row([
                printable(&group.group),
                row.partition.to_string(),
                row.committed
                    .map_or_else(String::new, |offset| offset.to_string()),
                row.end.to_string(),
                row.lag.to_string(),
            ]);
        }
    }
    table.text()
}
