//! Notices when the producer can never send again, so that the process ends and is started anew.

use std::fmt;

use service_runtime::kafka::{Delivery, EventProducer, NewRecord, ProduceError};
use tokio::sync::watch;

/// A producer whose fatal error is told to the [`ProducerFailure`] beside it.
pub(crate) struct WatchedProducer<P> {
    inner: P,
    failure: watch::Sender<Option<String>>,
}

/// Hears of the fatal error.
#[derive(Debug)]
pub(crate) struct ProducerFailure(watch::Receiver<Option<String>>);

impl<P> fmt::Debug for WatchedProducer<P> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("WatchedProducer")
    }
}

impl<P: EventProducer> WatchedProducer<P> {
    pub(crate) fn new(inner: P) -> (Self, ProducerFailure) {
        let (failure, receiver) = watch::channel(None);
        (Self { inner, failure }, ProducerFailure(receiver))
    }
}

impl ProducerFailure {
    /// The reason, once the producer has failed for good.
    pub(crate) async fn reason(mut self) -> String {
        let failed = self
            .0
            .wait_for(Option::is_some)
            .await
            .map(|reason| reason.clone());
        match failed {
            Ok(reason) => reason.unwrap_or_default(),
            // The producer is gone without having failed.
            Err(_) => std::future::pending().await,
        }
    }
}

impl<P: EventProducer> EventProducer for WatchedProducer<P> {
    fn enqueue(&self, record: &NewRecord) -> Result<Delivery, ProduceError> {
        let failure = self.failure.clone();
        let delivery = self
            .inner
            .enqueue(record)
            .inspect_err(|error| tell(&failure, error))?;
        Ok(Box::pin(async move {
            delivery.await.inspect_err(|error| tell(&failure, error))
        }))
    }
}

fn tell(failure: &watch::Sender<Option<String>>, error: &ProduceError) {
    if matches!(error, ProduceError::Fatal(_)) {
        failure.send_replace(Some(error.to_string()));
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    /// Fails at once with the one error, and later with the other.
    struct Failing(ProduceError, ProduceError);

    impl EventProducer for Failing {
        fn enqueue(&self, record: &NewRecord) -> Result<Delivery, ProduceError> {
            if record.key.is_none() {
                return Err(self.0.clone());
            }
            let later = self.1.clone();
            Ok(Box::pin(async move { Err(later) }))
        }
    }

    fn record(key: Option<&str>) -> NewRecord {
        NewRecord {
            topic: "orders".to_owned(),
            partition: None,
            key: key.map(|key| key.as_bytes().to_vec()),
            headers: Vec::new(),
            value: None,
        }
    }

    #[tokio::test]
    async fn a_fatal_error_is_told_whenever_it_comes() {
        let fatal = ProduceError::Fatal("fenced".to_owned());
        let (producer, failure) =
            WatchedProducer::new(Failing(fatal.clone(), ProduceError::QueueFull));
        assert_eq!(producer.enqueue(&record(None)).err(), Some(fatal.clone()));
        assert_eq!(
            failure.reason().await,
            "the producer failed for good: fenced"
        );

        let (producer, failure) =
            WatchedProducer::new(Failing(ProduceError::QueueFull, fatal.clone()));
        let delivery = producer.enqueue(&record(Some("key"))).ok().unwrap();
        assert_eq!(delivery.await, Err(fatal));
        assert_eq!(
            failure.reason().await,
            "the producer failed for good: fenced"
        );
    }

    #[tokio::test]
    async fn other_errors_pass_without_alarm() {
        let unknown = ProduceError::Unknown("timed out".to_owned());
        let (producer, failure) =
            WatchedProducer::new(Failing(ProduceError::QueueFull, unknown.clone()));
        assert_eq!(
            producer.enqueue(&record(None)).err(),
            Some(ProduceError::QueueFull)
        );
        let delivery = producer.enqueue(&record(Some("key"))).ok().unwrap();
        assert_eq!(delivery.await, Err(unknown));
        assert_eq!(failure.reason().now_or_never(), None);
    }
}
