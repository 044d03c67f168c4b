//! What came of a rebuild.

use std::fmt;
use std::time::Duration;

use super::difference::Difference;

/// Most orders whose differences are shown.
pub(super) const MOST_SHOWN: usize = 20;

/// The end of a rebuild that came to a comparison.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Report {
    /// The generation that was in use.
    pub old: i64,
    /// The one made from the log.
    pub new: i64,
    /// Records read.
    pub events: u64,
    /// Orders of the new generation.
    pub orders: u64,
    /// Orders of the old one.
    pub old_orders: u64,
    /// Orders that the two do not say the same about.
    pub different: usize,
    /// In what, of the first of them.
    pub differences: Vec<Difference>,
    /// Orders whose status the participant had folded to something else.
    pub refolded: usize,
    /// How long it took up to the switch.
    pub took: Duration,
    /// How long the switch held running instances up.
    pub held: Duration,
    /// Whether the new generation is in use now.
    pub switched: bool,
}

impl Report {
    /// Orders made in a second.
    #[must_use]
    pub fn orders_per_second(&self) -> u64 {
        (self.orders as f64 / self.took.as_secs_f64().max(0.001)) as u64
    }
}

impl fmt::Display for Report {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (seconds, rate) = (self.took.as_secs_f64(), self.orders_per_second());
        writeln!(
            formatter,
            "{} orders from {} events in {seconds:.1} s: {rate} orders/s",
            self.orders, self.events
        )?;
        writeln!(
            formatter,
            "orders: {} in the new read model, {} in the old one; {} differ",
            self.orders, self.old_orders, self.different
        )?;
        for difference in &self.differences {
            writeln!(formatter, "  {difference}")?;
        }
        if self.different > MOST_SHOWN {
            let more = self.different - MOST_SHOWN;
            writeln!(formatter, "  and {more} more orders that differ")?;
        }
        if self.refolded > 0 {
            writeln!(
                formatter,
                "folded status of {} orders differs",
                self.refolded
            )?;
        }
        let held = self.held.as_millis();
        match self.switched {
            true => write!(
                formatter,
                "switched from generation {} to {}; running instances were held up for {held} ms",
                self.old, self.new
            ),
            false => write!(
                formatter,
                "dry run: generation {} stays in use; running instances were held up for {held} ms",
                self.old
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use base_domains::OrderId;

    use super::*;

    fn report(different: usize) -> Report {
        let order_id = OrderId::from_idempotency_key("test", "a");
        let difference = Difference {
            order_id,
            field: "status".to_owned(),
            old: "PENDING".to_owned(),
            new: "PAID".to_owned(),
        };
        Report {
            old: 1,
            new: 2,
            events: 600,
            orders: 200,
            old_orders: 199,
            different,
            differences: vec![difference; different.min(MOST_SHOWN)],
            refolded: 0,
            took: Duration::from_millis(500),
            held: Duration::from_millis(7),
            switched: true,
        }
    }

    #[test]
    fn the_rate_and_the_comparison_are_told() {
        assert_eq!(
            report(0).to_string(),
            "200 orders from 600 events in 0.5 s: 400 orders/s\n\
             orders: 200 in the new read model, 199 in the old one; 0 differ\n\
             switched from generation 1 to 2; running instances were held up for 7 ms"
        );
    }

    #[test]
    fn of_many_differences_the_first_are_shown_and_the_others_counted() {
        let text = report(31).to_string();
        assert_eq!(text.matches("status: PENDING -> PAID").count(), 20);
        assert!(
            text.contains("\n  and 11 more orders that differ\n"),
            "{text}"
        );
    }
}
