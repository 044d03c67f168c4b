//! `orderctl watch`: Server-Sent Events, taken up again where they broke off.

use std::time::Duration;

use base_domains::{OrderId, OrderStatus};
use clap::Args;
use reqwest::Response;
use serde_json::Value;
use tokio::time::{Instant, sleep, timeout};

use super::order::path;
use crate::api::Api;
use crate::api::sse::{Event, Parser};
use crate::cli::Service;
use crate::output::{cell, note};
use crate::{Context, Failure};

/// The service says something every 15 s; a stream that is silent for longer is dead.
const SILENCE: Duration = Duration::from_secs(45);
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Follow one order until its end, or all orders, live
///
/// A connection that breaks is made again and goes on without a gap. It is given up when the service
/// does not answer for --timeout.
#[derive(Debug, Args)]
pub struct Watch {
    /// The order; all orders without it
    #[arg(value_name = "ORDER")]
    id: Option<OrderId>,
    /// Go on after this event, by the id that --json prints; `-` for the very beginning
    #[arg(long, value_name = "EVENT", allow_hyphen_values = true)]
    since: Option<String>,
}

/// How one connection ended.
enum End {
    /// There is nothing to come any more.
    Told,
    /// Something may come: connect again.
    Broken(Failure),
}

impl Watch {
    pub(crate) async fn run(self, context: &Context) -> Result<(), Failure> {
        let api = context.api(Service::Order)?;
        let path = match self.id {
            Some(id) => format!("{}/events", path(id)),
            None => "/api/v1/orders/events".to_owned(),
        };
        let mut following = Following {
            api,
            context,
            path,
            told: self.since,
            connected: false,
            one: self.id.is_some(),
        };
        following.run().await
    }
}

struct Following<'a> {
    api: Api,
    context: &'a Context,
    path: String,
    /// Where to go on.
    told: Option<String>,
    /// Whether there ever was a connection.
    connected: bool,
    one: bool,
}

impl Following<'_> {
    async fn run(&mut self) -> Result<(), Failure> {
        let (mut pause, mut silent_since) = (FIRST_PAUSE, None);
        loop {
            let before = self.told.clone();
            let failure = match self.connect(&mut silent_since).await {
                Ok(End::Told) => return Ok(()),
                Ok(End::Broken(failure)) | Err(failure @ Failure::Unavailable(_)) => failure,
                Err(failure) => return Err(failure),
            };
            if !self.connected {
                return Err(failure);
            }
            let now = Instant::now();
            let since = *silent_since.get_or_insert(now);
            if now.duration_since(since) >= self.context.timeout() {
                return Err(failure);
            }
            if self.told != before {
                pause = FIRST_PAUSE;
            }
            // Until the first event there is no place to go on from.
            let gap = match self.told.is_none() && !self.one {
                true => ", and what happens meanwhile is missed",
                false => "",
            };
            note(&format!("{failure}; connecting again{gap}"));
            sleep(pause).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn connect(&mut self, silent_since: &mut Option<Instant>) -> Result<End, Failure> {
        let stream = self.api.stream(&self.path, self.told.as_deref()).await?;
        let Some(mut response) = stream else {
            return Ok(End::Told);
        };
        *silent_since = None;
        self.connected = true;
        let mut parser = Parser::default();
        loop {
            let bytes = match next(&mut response).await {
                Ok(bytes) => bytes,
                Err(reason) => return Ok(End::Broken(self.api.silent(&reason))),
            };
            let events = parser.take(&bytes);
            let events = events.map_err(|error| Failure::Failed(error.to_string()))?;
            for event in events {
                if self.tell(event)? {
                    return Ok(End::Told);
                }
            }
        }
    }

    /// Prints an event; whether it was the last one.
    fn tell(&mut self, event: Event) -> Result<bool, Failure> {
        let mut notice: Value = serde_json::from_str(&event.data)?;
        let status = notice["status"].as_str().map(str::parse::<OrderStatus>);
        let ended = matches!(status, Some(Ok(status)) if status.is_terminal());
        if let Some(id) = event.id {
            notice["id"] = Value::from(id.as_str());
            self.told = Some(id);
        }
        self.context.output.print(&notice, |notice| {
            format!("{}  {}", cell(notice, "orderId"), cell(notice, "status"))
        })?;
        Ok(self.one && ended)
    }
}

async fn next(response: &mut Response) -> Result<Vec<u8>, String> {
    match timeout(SILENCE, response.chunk()).await {
        Err(_) => Err("the stream is silent".to_owned()),
        Ok(Ok(None)) => Err("the stream was closed".to_owned()),
        Ok(Ok(Some(bytes))) => Ok(bytes.to_vec()),
        Ok(Err(error)) => Err(error.to_string()),
    }
}
