//! One mail server that keeps what it gets.

use std::time::Duration;

use testcontainers_modules::testcontainers::core::{ContainerPort, Healthcheck, WaitFor};
use testcontainers_modules::testcontainers::{ContainerRequest, GenericImage, ImageExt};

use super::Container;

const IMAGE: &str = "axllent/mailpit";
const TAG: &str = "v1.27";
const SMTP: u16 = 1025;
const HTTP: u16 = 8025;

/// Mailpit in a container.
#[derive(Debug)]
pub struct Mailpit {
    smtp: String,
    http: String,
    pub(super) container: Container<GenericImage>,
}

impl Mailpit {
    /// Starts a server and waits until it is there. Works within a runtime, which it blocks.
    ///
    /// # Errors
    /// No engine answers, the image cannot be had, or the server does not start.
    pub fn start() -> Result<Self, String> {
        Self::of(Container::start(request())?)
    }

    /// As [`start`](Self::start), for a test that stops it: its addresses and its mail stay.
    ///
    /// # Errors
    /// As [`start`](Self::start).
    pub fn start_to_be_stopped() -> Result<Self, String> {
        // Otherwise in a file that it removes at its end.
        let request = || request().with_env_var("MP_DATABASE", "/tmp/mailpit.db");
        Self::of(Container::start_on_fixed_ports(request, &[SMTP, HTTP])?)
    }

    fn of(container: Container<GenericImage>) -> Result<Self, String> {
        Ok(Self {
            smtp: container.address(SMTP)?,
            http: container.address(HTTP)?,
            container,
        })
    }

    /// `HOST:PORT` of its SMTP server.
    #[must_use]
    pub fn smtp(&self) -> &str {
        &self.smtp
    }

    /// `HOST:PORT` of its HTTP interface.
    #[must_use]
    pub fn http(&self) -> &str {
        &self.http
    }
}

fn request() -> ContainerRequest<GenericImage> {
    // The image's own check, which looks only every 15 s where the engine knows no start interval.
    let ready = Healthcheck::cmd(["/mailpit", "readyz"]).with_interval(Duration::from_millis(500));
    GenericImage::new(IMAGE, TAG)
        .with_exposed_port(ContainerPort::Tcp(SMTP))
        .with_exposed_port(ContainerPort::Tcp(HTTP))
        .with_wait_for(WaitFor::healthcheck())
        .with_health_check(ready)
}
