//! One signed request to a receiver.
//!
//! - Which addresses are allowed is decided where the connection is made: the client gets only those
//!   addresses of a name that the policy allows, so a name that leads elsewhere at every look (DNS
//!   rebinding) gains nothing. Addresses in the URL are not looked up and are judged before.
//! - No proxy, also none of the environment: it would resolve names by itself. No redirect is followed and
//!   nothing is repeated here.
//! - Success is a status from 200 to 299. The body of an answer is not read.
//! - Everything has to be over within one time limit.

use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use reqwest::{Client, Response, StatusCode, header, redirect};

use crate::failure::{Answer, Failure};
use crate::secret::Secret;
use crate::target::Policy;

const USER_AGENT: &str = concat!("webhook-service/", env!("CARGO_PKG_VERSION"));

/// How requests are made.
#[derive(Debug, Clone, Copy)]
pub struct SenderSettings {
    /// Which receivers are allowed.
    pub policy: Policy,
    /// For connecting, the look-up of the name included.
    pub connect_timeout: Duration,
    /// For the whole request.
    pub timeout: Duration,
}

/// Sends notifications. Clones share their connections.
#[derive(Debug, Clone)]
pub struct Sender {
    client: Client,
    policy: Policy,
}

/// The client cannot be made, for example without root certificates.
#[derive(Debug, thiserror::Error)]
#[error("the HTTP client cannot be made")]
pub struct SenderError(#[source] reqwest::Error);

impl Sender {
    /// A sender; nothing is contacted yet.
    ///
    /// # Errors
    /// The client cannot be made.
    pub fn new(settings: &SenderSettings) -> Result<Self, SenderError> {
        service_runtime::lifecycle::install_crypto();
        let policy = settings.policy;
        let client = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(settings.connect_timeout)
            .timeout(settings.timeout)
            .dns_resolver(Arc::new(Resolver { policy }))
            .redirect(redirect::Policy::none())
            .retry(reqwest::retry::never())
            .referer(false)
            .no_proxy()
            .build()
            .map_err(SenderError)?;
        Ok(Self { client, policy })
    }

    /// Makes one attempt at the notification `id`; the receiver's status.
    ///
    /// # Errors
    /// The receiver did not answer with success, or was not asked.
    pub async fn send(
        &self,
        url: &str,
        secret: &Secret,
        id: &str,
        body: String,
    ) -> Result<StatusCode, Failure> {
        // Again: it may have been registered under another policy.
        let url = self.policy.check(url).map_err(Failure::Target)?;
        let timestamp = Timestamp::now().as_second();
        let signature = secret.sign(id, timestamp, body.as_bytes());
        let response = self
            .client
            .post(url)
            .header(header::CONTENT_TYPE, "application/json")
            .header("webhook-id", id)
            .header("webhook-timestamp", timestamp)
            .header("webhook-signature", signature)
            .body(body)
            .send()
            .await
            .map_err(|error| failure(&error))?;
        let status = response.status();
        match status.is_success() {
            true => Ok(status),
            false => Err(Failure::Answered(Answer {
                status,
                rest: rest(&response),
            })),
        }
    }
}

/// What the receiver asks for by `Retry-After`, in its form in seconds.
fn rest(response: &Response) -> Option<Duration> {
    const BUSY: [StatusCode; 2] = [
        StatusCode::TOO_MANY_REQUESTS,
        StatusCode::SERVICE_UNAVAILABLE,
    ];
    let value = response.headers().get(header::RETRY_AFTER)?;
    let seconds = value.to_str().ok()?.trim().parse().ok()?;
    BUSY.contains(&response.status())
        .then(|| Duration::from_secs(seconds))
}

fn failure(error: &reqwest::Error) -> Failure {
    let causes = std::iter::successors(error.source(), |error| (*error).source());
    let is_refusal = |cause: &(dyn Error + 'static)| cause.is::<NotAllowed>();
    if causes.into_iter().any(is_refusal) {
        Failure::Private
    } else if error.is_timeout() {
        Failure::TimeOut
    } else if error.is_dns() {
        Failure::Name
    } else if error.is_connect() {
        Failure::Connect
    } else {
        Failure::Broken
    }
}

/// The operating system's resolver, without the addresses that are not allowed.
#[derive(Debug)]
struct Resolver {
    policy: Policy,
}

/// A name has addresses, but none that is allowed.
#[derive(Debug, thiserror::Error)]
#[error("none of the addresses is allowed")]
struct NotAllowed;

impl Resolve for Resolver {
    fn resolve(&self, name: Name) -> Resolving {
        let policy = self.policy;
        Box::pin(async move {
            // The client puts the port of the URL in the place of this one.
            let found = tokio::net::lookup_host((name.as_str(), 0)).await?;
            let allowed = allowed(policy, found)?;
            Ok(Box::new(allowed.into_iter()) as Addrs)
        })
    }
}

fn allowed(
    policy: Policy,
    found: impl Iterator<Item = SocketAddr>,
) -> Result<Vec<SocketAddr>, NotAllowed> {
    let mut any = false;
    let allowed: Vec<SocketAddr> = found
        .inspect(|_| any = true)
        .filter(|address| policy.allows(address.ip()))
        .collect();
    match any && allowed.is_empty() {
        true => Err(NotAllowed),
        false => Ok(allowed),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn addresses(texts: &[&str]) -> Vec<SocketAddr> {
        let address = |text: &&str| SocketAddr::new(text.parse().unwrap(), 0);
        texts.iter().map(address).collect()
    }

    #[test]
    fn only_the_allowed_addresses_of_a_name_are_connected_to() {
        let strict = Policy {
            private_addresses: false,
            http: false,
        };
        let open = Policy {
            private_addresses: true,
            ..strict
        };
        let mixed = addresses(&[
            "127.0.0.1",
            "8.8.8.8",
            "fd00::1",
            "2606:4700::1",
            "10.0.0.1",
        ]);
        let public = addresses(&["8.8.8.8", "2606:4700::1"]);
        assert_eq!(allowed(strict, mixed.clone().into_iter()).unwrap(), public);
        assert_eq!(allowed(open, mixed.clone().into_iter()).unwrap(), mixed);
        let private = addresses(&["127.0.0.1", "::1", "::ffff:10.0.0.1"]);
        assert!(allowed(strict, private.clone().into_iter()).is_err());
        assert_eq!(allowed(open, private.clone().into_iter()).unwrap(), private);
        // A name without addresses is not a forbidden one.
        assert_eq!(allowed(strict, std::iter::empty()).unwrap(), []);
    }
}
