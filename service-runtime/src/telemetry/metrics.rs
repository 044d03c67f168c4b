//! The process's metrics in Prometheus text form.

use std::{sync::LazyLock, time::Duration};

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};

/// Bucket bounds of every histogram whose name ends in `_seconds`.
const SECONDS: [f64; 12] = [
    0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 10.0,
];

/// How often values are moved from where they are recorded into their buckets; without it the
/// memory of a histogram that nobody scrapes grows without limit.
const UPKEEP: Duration = Duration::from_secs(5);

static METRICS: LazyLock<Option<PrometheusHandle>> = LazyLock::new(install);

/// Makes the `metrics` macros record from now on. Only the first call in a process has an effect.
pub fn install_metrics() {
    LazyLock::force(&METRICS);
}

/// All metrics of the process in Prometheus text form.
pub fn metrics_text() -> String {
    METRICS
        .as_ref()
        .map(PrometheusHandle::render)
        .unwrap_or_default()
}

fn install() -> Option<PrometheusHandle> {
    let installed = PrometheusBuilder::new()
        .set_buckets_for_metric(Matcher::Suffix("_seconds".to_owned()), &SECONDS)
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(anyhow::Error::from)
        .and_then(|handle| {
            start_upkeep(handle.clone())?;
            Ok(handle)
        });
    installed
        .inspect_err(|error| {
            tracing::error!(error = format!("{error:#}"), "Metrics cannot be recorded.");
        })
        .ok()
}

/// A thread rather than a task: it outlives any one of the runtimes that record metrics.
fn start_upkeep(handle: PrometheusHandle) -> std::io::Result<()> {
    let run = move || {
        loop {
            std::thread::sleep(UPKEEP);
            handle.run_upkeep();
        }
    };
    std::thread::Builder::new()
        .name("metrics-upkeep".to_owned())
        .spawn(run)
        .map(drop)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_recorded_appears_in_the_text_with_buckets_for_seconds() {
        install_metrics();
        install_metrics();
        metrics::counter!("telemetry_test_total", "kind" => "a\nb").increment(3);
        metrics::histogram!("telemetry_test_seconds").record(0.2);
        let text = metrics_text();
        for line in [
            r#"telemetry_test_total{kind="a\nb"} 3"#,
            r#"telemetry_test_seconds_bucket{le="0.1"} 0"#,
            r#"telemetry_test_seconds_bucket{le="0.25"} 1"#,
        ] {
            assert!(text.lines().any(|found| found == line), "{line} in {text}");
        }
    }
}
