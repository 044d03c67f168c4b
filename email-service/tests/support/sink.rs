//! An SMTP server that does what a test tells it.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

use super::parsed::Parsed;

/// What the server does instead of accepting.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Reply {
    /// Says this and ends the conversation.
    Say(&'static str),
    /// To EHLO: offers nothing, and goes on.
    Ascii,
    Hang,
    Close,
}

/// A message that was accepted.
#[derive(Debug, Clone)]
pub(crate) struct Accepted {
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) data: Vec<u8>,
}

impl Accepted {
    pub(crate) fn message_id(&self) -> String {
        Parsed::read(&self.data).header("Message-ID").to_owned()
    }
}

#[derive(Default)]
struct State {
    script: VecDeque<(&'static str, Reply)>,
    accepted: Vec<Accepted>,
    commands: Vec<String>,
}

pub(crate) struct Sink {
    pub(crate) address: SocketAddr,
    state: Arc<Mutex<State>>,
}

impl Sink {
    /// A server that accepts everything, except where the next line of the script is about the
    /// step at hand: `CONNECT`, the name of a command, or `.` for the end of the message.
    pub(crate) async fn start(script: &[(&'static str, Reply)]) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let state = Arc::new(Mutex::new(State {
            script: script.iter().copied().collect(),
            ..State::default()
        }));
        let shared = Arc::clone(&state);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&shared)));
            }
        });
        Self { address, state }
    }

    pub(crate) fn url(&self) -> String {
        format!("smtp://{}", self.address)
    }

    pub(crate) fn accepted(&self) -> Vec<Accepted> {
        self.state.lock().unwrap().accepted.clone()
    }

    /// How often `step` was taken.
    pub(crate) fn count(&self, step: &str) -> usize {
        let state = self.state.lock().unwrap();
        state.commands.iter().filter(|known| *known == step).count()
    }
}

/// One connection, until it is closed. `None` ends it.
async fn converse(stream: TcpStream, state: Arc<Mutex<State>>) -> Option<()> {
    let mut stream = BufReader::new(stream);
    answer(&mut stream, &state, "CONNECT", "220 sink").await?;
    let (mut from, mut to) = (String::new(), Vec::new());
    loop {
        let line = String::from_utf8(read_line(&mut stream).await?).unwrap();
        let verb = line.split([' ', '\r']).next().unwrap().to_owned();
        match verb.as_str() {
            "EHLO" => {
                let extensions = "250-sink\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250 SMTPUTF8";
                answer(&mut stream, &state, "EHLO", extensions).await?;
            }
            "MAIL" => {
                answer(&mut stream, &state, "MAIL", "250 2.1.0 ok").await?;
                from = between_brackets(&line);
                to.clear();
            }
            "RCPT" => {
                answer(&mut stream, &state, "RCPT", "250 2.1.5 ok").await?;
                to.push(between_brackets(&line));
            }
            "DATA" => {
                answer(&mut stream, &state, "DATA", "354 go on").await?;
                let data = read_data(&mut stream).await?;
                let (from, to) = (from.clone(), to.clone());
                answer(&mut stream, &state, ".", "250 2.0.0 queued").await?;
                let accepted = Accepted { from, to, data };
                state.lock().unwrap().accepted.push(accepted);
            }
            verb => answer(&mut stream, &state, verb, "250 ok").await?,
        }
    }
}

/// Answers a step; `None` when it was not accepted for good and the conversation ends.
async fn answer(
    stream: &mut BufReader<TcpStream>,
    state: &Mutex<State>,
    step: &str,
    default: &'static str,
) -> Option<()> {
    let reply = {
        let mut state = state.lock().unwrap();
        state.commands.push(step.to_owned());
        let scripted = state.script.pop_front_if(|(expected, _)| *expected == step);
        scripted.map(|(_, reply)| reply)
    };
    match reply {
        Some(Reply::Close) => None,
        Some(Reply::Hang) => std::future::pending().await,
        Some(Reply::Say(line)) => say(stream, line).await.and(None),
        Some(Reply::Ascii) => say(stream, "250 sink").await,
        None => say(stream, default).await,
    }
}

async fn say(stream: &mut BufReader<TcpStream>, line: &str) -> Option<()> {
    stream
        .write_all(format!("{line}\r\n").as_bytes())
        .await
        .ok()
}

async fn read_line(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut line = Vec::new();
    let read = stream.read_until(b'\n', &mut line).await.ok()?;
    (read > 0).then_some(line)
}

/// The message, with the doubled dots undone.
async fn read_data(stream: &mut BufReader<TcpStream>) -> Option<Vec<u8>> {
    let mut data = Vec::new();
    loop {
        let line = read_line(stream).await?;
        if line == b".\r\n" {
            return Some(data);
        }
        data.extend_from_slice(line.strip_prefix(b".").unwrap_or(&line));
    }
}

fn between_brackets(line: &str) -> String {
    let (_, rest) = line.split_once('<').unwrap();
    rest.split_once('>').unwrap().0.to_owned()
}
