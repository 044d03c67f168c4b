//! What the lifecycle needs to know from a service's configuration.

use std::{ffi::OsString, path::Path, time::Duration};

use crate::{
    config::{ConfigError, Loaded, Reader},
    service::CommonConfig,
    telemetry::LogConfig,
};

/// A service's whole configuration.
pub trait ServiceConfig: Sized + Send + 'static {
    /// Reads every setting; problems are collected in the reader.
    fn read(reader: &mut Reader) -> Self;

    /// How the process logs and shuts down.
    fn process(&self) -> &ProcessConfig;

    /// Where the service listens, for `healthcheck`, and its log, for `topics`; `None`: the process
    /// has neither.
    fn common(&self) -> Option<&CommonConfig> {
        None
    }

    /// The consumer groups of the service; each has a dead-letter topic.
    fn groups(&self) -> Vec<&str> {
        Vec::new()
    }

    /// Reads the configuration from a file and an environment.
    ///
    /// # Errors
    /// All problems at once.
    fn load<N, V>(
        file: Option<&Path>,
        environment: impl IntoIterator<Item = (N, V)>,
    ) -> Result<(Self, Loaded), ConfigError>
    where
        N: Into<OsString>,
        V: Into<OsString>,
    {
        let mut reader = Reader::new(file, environment);
        let config = Self::read(&mut reader);
        Ok((config, reader.finish()?))
    }
}

/// What every process has to know of itself.
#[derive(Debug, Clone)]
pub struct ProcessConfig {
    /// How to log.
    pub log: LogConfig,
    /// How to shut down.
    pub lifecycle: LifecycleConfig,
}

impl ProcessConfig {
    /// Reads the settings of both.
    pub fn read(reader: &mut Reader) -> Self {
        Self {
            log: LogConfig::read(reader),
            lifecycle: LifecycleConfig::read(reader),
        }
    }
}

/// How a process shuts down.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LifecycleConfig {
    /// How long requests are still taken while readiness is already off.
    pub shutdown_delay: Duration,
    /// How long begun work may take to finish.
    pub shutdown_timeout: Duration,
}

impl Default for LifecycleConfig {
    fn default() -> Self {
        Self {
            shutdown_delay: Duration::ZERO,
            shutdown_timeout: Duration::from_secs(15),
        }
    }
}

impl LifecycleConfig {
    /// Reads `SHUTDOWN_DELAY` and `SHUTDOWN_TIMEOUT`.
    pub fn read(reader: &mut Reader) -> Self {
        let default = Self::default();
        Self {
            shutdown_delay: reader.duration(
                "SHUTDOWN_DELAY",
                default.shutdown_delay,
                "How long requests are still taken after readiness ended, \
                 for balancers that notice late",
            ),
            shutdown_timeout: reader.duration(
                "SHUTDOWN_TIMEOUT",
                default.shutdown_timeout,
                "How long begun work may take to finish, after the delay; \
                 both together must be below the platform's grace period",
            ),
        }
    }
}
