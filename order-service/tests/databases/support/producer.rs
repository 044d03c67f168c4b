//! A producer that keeps what it gets and answers as the test wants.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use service_runtime::kafka::{Delivered, Delivery, EventProducer, NewRecord, ProduceError};
use tokio::sync::Semaphore;

/// How the producer treats the next records.
#[derive(Debug, Clone)]
pub(crate) enum Manner {
    Acknowledge,
    /// Fails at once: the record is not taken.
    Refuse(ProduceError),
    /// Takes the record and fails later.
    Fail(ProduceError),
    /// Takes the record and acknowledges it when it is released.
    Hold,
    /// Takes the record and acknowledges it after this time.
    Slow(Duration),
}

pub(crate) struct Fake {
    manner: Mutex<Manner>,
    taken: Mutex<Vec<NewRecord>>,
    released: Arc<Semaphore>,
    /// Deliveries that somebody waits for.
    awaited: Arc<AtomicUsize>,
}

/// Counts one delivery as long as it lives.
struct Awaited(Arc<AtomicUsize>);

impl Drop for Awaited {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Fake {
    pub(crate) fn new() -> Arc<Self> {
        Arc::new(Self {
            manner: Mutex::new(Manner::Acknowledge),
            taken: Mutex::default(),
            released: Arc::new(Semaphore::new(0)),
            awaited: Arc::default(),
        })
    }

    pub(crate) fn set(&self, manner: Manner) {
        *self.manner.lock().unwrap() = manner;
    }

    /// Acknowledges everything that is held, and what is held later.
    pub(crate) fn release(&self) {
        self.released.add_permits(1000);
    }

    pub(crate) fn awaited(&self) -> usize {
        self.awaited.load(Ordering::SeqCst)
    }

    pub(crate) fn taken(&self) -> Vec<NewRecord> {
        self.taken.lock().unwrap().clone()
    }

    /// The bodies of the records taken.
    pub(crate) fn events(&self) -> Vec<Value> {
        let taken = self.taken();
        let bodies = taken.iter().map(|record| record.value.as_deref().unwrap());
        bodies
            .map(|body| serde_json::from_slice(body).unwrap())
            .collect()
    }
}

impl EventProducer for Fake {
    fn enqueue(&self, record: &NewRecord) -> Result<Delivery, ProduceError> {
        let manner = self.manner.lock().unwrap().clone();
        if let Manner::Refuse(error) = manner {
            return Err(error);
        }
        self.taken.lock().unwrap().push(record.clone());
        self.awaited.fetch_add(1, Ordering::SeqCst);
        let awaited = Awaited(Arc::clone(&self.awaited));
        let released = Arc::clone(&self.released);
        Ok(Box::pin(async move {
            let _awaited = awaited;
            match manner {
                Manner::Fail(error) => return Err(error),
                Manner::Slow(time) => tokio::time::sleep(time).await,
                Manner::Hold => released.acquire().await.unwrap().forget(),
                Manner::Acknowledge | Manner::Refuse(_) => {}
            }
            Ok(Delivered {
                partition: 0,
                offset: 0,
            })
        }))
    }
}
