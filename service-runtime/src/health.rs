//! Whether the service may live on and whether it may get requests.
//!
//! A service is *ready* when every component is ready and it is not shutting down. It is *live*
//! unless a component with a deadline stopped sending heartbeats: then only a restart helps. A
//! component that waits for something outside (a broker, a database) is not ready, but live.
//!
//! Changes are logged once, when they happen or are first noticed.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use serde::Serialize;
use utoipa::ToSchema;

use crate::lifecycle::Shutdown;

/// The registry of a service's components. Clones share it.
///
/// Components should be registered before requests are served: one that is not registered yet
/// cannot be waited for.
#[derive(Debug, Clone)]
pub struct Health {
    registry: Arc<Mutex<Registry>>,
    shutdown: Shutdown,
}

#[derive(Debug, Default)]
struct Registry {
    components: BTreeMap<String, State>,
    shutting_down: bool,
}

#[derive(Debug)]
struct State {
    /// Why it is not ready; ready when absent.
    reason: Option<String>,
    last_heartbeat: Instant,
    deadline: Option<Duration>,
    /// Whether the missed deadline was already logged.
    stalled: bool,
}

/// One component's handle. Clones stand for the same component.
#[derive(Debug, Clone)]
pub struct Component {
    name: String,
    registry: Arc<Mutex<Registry>>,
}

/// What a probe answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct Report {
    /// `ready`, `not ready` or `shutting down`; `live` or `stalled`.
    pub status: &'static str,
    /// Every component by name.
    pub components: BTreeMap<String, ComponentReport>,
    /// Whether the probe succeeds.
    #[serde(skip)]
    pub ok: bool,
}

/// One component in a [`Report`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub struct ComponentReport {
    /// `ready` or `not ready`; `live` or `stalled`.
    pub status: &'static str,
    /// Why it is not ready or stalled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

impl Health {
    /// A registry without components; readiness ends when the shutdown is announced.
    pub fn new(shutdown: &Shutdown) -> Self {
        Self {
            registry: Arc::default(),
            shutdown: shutdown.clone(),
        }
    }

    /// Registers a component, not ready with the reason `starting`. A name that is already
    /// registered gives a handle to the same component.
    pub fn component(&self, name: &str) -> Component {
        let starting = || State {
            reason: Some("starting".to_owned()),
            last_heartbeat: Instant::now(),
            deadline: None,
            stalled: false,
        };
        let mut registry = lock(&self.registry);
        let components = &mut registry.components;
        components.entry(name.to_owned()).or_insert_with(starting);
        Component {
            name: name.to_owned(),
            registry: Arc::clone(&self.registry),
        }
    }

    /// Turns readiness off for good.
    pub fn shutting_down(&self) {
        lock(&self.registry).shutting_down = true;
    }

    /// Whether requests should come here.
    pub fn readiness(&self) -> Report {
        let registry = lock(&self.registry);
        let components: BTreeMap<_, _> = registry
            .components
            .iter()
            .map(|(name, state)| (name.clone(), state.readiness()))
            .collect();
        let stopping = registry.shutting_down || self.shutdown.is_announced();
        let status = match registry.components.values().all(State::is_ready) {
            _ if stopping => "shutting down",
            true => "ready",
            false => "not ready",
        };
        Report {
            status,
            components,
            ok: status == "ready",
        }
    }

    /// Whether the process should go on. Always so during a shutdown: heartbeats end then.
    pub fn liveness(&self) -> Report {
        self.liveness_at(Instant::now())
    }

    fn liveness_at(&self, now: Instant) -> Report {
        let mut registry = lock(&self.registry);
        let stopping = registry.shutting_down || self.shutdown.is_announced();
        let components: BTreeMap<_, _> = registry
            .components
            .iter_mut()
            .map(|(name, state)| (name.clone(), state.liveness(name, now)))
            .collect();
        let stalled = components.values().any(|report| report.status == "stalled");
        let ok = stopping || !stalled;
        Report {
            status: if ok { "live" } else { "stalled" },
            components,
            ok,
        }
    }
}

impl Component {
    /// Marks it ready.
    pub fn set_ready(&self) {
        self.update(|state| {
            if state.reason.take().is_some() {
                tracing::info!(component = self.name, "Component is ready.");
            }
        });
    }

    /// Marks it not ready. The reason is shown to whoever may read the health page, so it must not
    /// hold secrets; each new reason is logged, so it should not hold numbers that change.
    pub fn set_not_ready(&self, reason: impl Into<String>) {
        let reason = reason.into();
        self.update(|state| {
            if state.reason.as_ref() != Some(&reason) {
                tracing::warn!(component = self.name, reason, "Component is not ready.");
                state.reason = Some(reason);
            }
        });
    }

    /// Makes liveness depend on [`Component::heartbeat`] coming at least this often from now on.
    pub fn with_deadline(self, deadline: Duration) -> Self {
        self.update(|state| {
            state.deadline = Some(deadline);
            state.last_heartbeat = Instant::now();
        });
        self
    }

    /// Says that it is not stuck.
    pub fn heartbeat(&self) {
        self.update(|state| {
            state.last_heartbeat = Instant::now();
            if std::mem::take(&mut state.stalled) {
                tracing::info!(component = self.name, "Component sends heartbeats again.");
            }
        });
    }

    fn update(&self, change: impl FnOnce(&mut State)) {
        if let Some(state) = lock(&self.registry).components.get_mut(&self.name) {
            change(state);
        }
    }
}

impl State {
    fn is_ready(&self) -> bool {
        self.reason.is_none()
    }

    fn readiness(&self) -> ComponentReport {
        ComponentReport {
            status: if self.is_ready() {
                "ready"
            } else {
                "not ready"
            },
            reason: self.reason.clone(),
        }
    }

    fn liveness(&mut self, name: &str, now: Instant) -> ComponentReport {
        let silence = now.saturating_duration_since(self.last_heartbeat);
        let Some(deadline) = self.deadline.filter(|deadline| silence > *deadline) else {
            return ComponentReport {
                status: "live",
                reason: None,
            };
        };
        if !std::mem::replace(&mut self.stalled, true) {
            tracing::error!(
                component = name,
                ?deadline,
                "Component stopped sending heartbeats."
            );
        }
        ComponentReport {
            status: "stalled",
            reason: Some(format!("no heartbeat for more than {deadline:?}")),
        }
    }
}

/// A panic elsewhere cannot leave these plain values half-changed.
fn lock(registry: &Mutex<Registry>) -> MutexGuard<'_, Registry> {
    registry.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn health() -> Health {
        Health::new(&Shutdown::new())
    }

    #[test]
    fn a_component_is_not_ready_until_it_says_so() {
        let health = health();
        let database = health.component("database");
        let consumer = health.component("consumer");
        database.set_ready();
        let report = health.readiness();
        assert_eq!((report.ok, report.status), (false, "not ready"));
        assert_eq!(
            serde_json::to_value(&report).unwrap(),
            serde_json::json!({
                "status": "not ready",
                "components": {
                    "consumer": {"status": "not ready", "reason": "starting"},
                    "database": {"status": "ready"},
                },
            })
        );
        consumer.set_ready();
        assert!(health.readiness().ok);
        consumer.set_not_ready("broker is down");
        let report = health.readiness();
        assert_eq!(
            report.components["consumer"].reason.as_deref(),
            Some("broker is down")
        );
        assert!(!report.ok);
        assert!(health.liveness().ok);
    }

    #[test]
    fn a_second_handle_of_the_same_name_keeps_the_state() {
        let health = health();
        health.component("consumer").set_ready();
        let again = health.component("consumer");
        assert!(health.readiness().ok);
        again.set_not_ready("paused");
        assert!(!health.readiness().ok);
        assert_eq!(health.readiness().components.len(), 1);
    }

    #[test]
    fn shutting_down_ends_readiness_but_not_liveness() {
        let health = health();
        let consumer = health
            .component("consumer")
            .with_deadline(Duration::from_secs(5));
        consumer.set_ready();
        health.shutting_down();
        let report = health.readiness();
        assert_eq!((report.ok, report.status), (false, "shutting down"));
        let later = Instant::now() + Duration::from_secs(60);
        assert!(health.liveness_at(later).ok);
    }

    #[test]
    fn an_announced_shutdown_ends_readiness_by_itself() {
        let shutdown = Shutdown::new();
        let health = Health::new(&shutdown);
        assert!(health.readiness().ok);
        shutdown.announce();
        assert_eq!(health.readiness().status, "shutting down");
    }

    #[test]
    fn a_missed_heartbeat_ends_liveness_until_the_next_one() {
        let health = health();
        let consumer = health
            .component("consumer")
            .with_deadline(Duration::from_secs(5));
        health.component("database");
        let now = Instant::now();
        assert!(health.liveness_at(now + Duration::from_secs(4)).ok);
        let report = health.liveness_at(now + Duration::from_secs(6));
        assert_eq!((report.ok, report.status), (false, "stalled"));
        assert_eq!(
            report.components["consumer"].reason.as_deref(),
            Some("no heartbeat for more than 5s")
        );
        assert_eq!(report.components["database"].status, "live");
        consumer.heartbeat();
        assert!(health.liveness().ok);
    }

    /// Everything that is logged meanwhile, without time stamps.
    fn logged(act: impl FnOnce()) -> Vec<String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        let subscriber = tracing_subscriber::fmt()
            .with_writer(Mutex::new(file.reopen().unwrap()))
            .with_ansi(false)
            .with_target(false)
            .without_time()
            .finish();
        tracing::subscriber::with_default(subscriber, act);
        let text = std::fs::read_to_string(file.path()).unwrap();
        text.lines().map(|line| line.trim().to_owned()).collect()
    }

    #[test]
    fn every_change_is_logged_once() {
        let lines = logged(|| {
            let health = health();
            let consumer = health.component("consumer");
            for _ in 0..2 {
                consumer.set_ready();
                health.readiness();
            }
            for _ in 0..2 {
                consumer.set_not_ready("broker is down");
                health.readiness();
            }
            let consumer = consumer.with_deadline(Duration::from_secs(5));
            let later = Instant::now() + Duration::from_secs(60);
            for _ in 0..2 {
                health.liveness_at(later);
            }
            consumer.heartbeat();
            consumer.heartbeat();
        });
        assert_eq!(
            lines,
            [
                r#"INFO Component is ready. component="consumer""#,
                r#"WARN Component is not ready. component="consumer" reason="broker is down""#,
                r#"ERROR Component stopped sending heartbeats. component="consumer" deadline=5s"#,
                r#"INFO Component sends heartbeats again. component="consumer""#,
            ]
        );
    }
}
