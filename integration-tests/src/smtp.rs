//! An SMTP server that asks for a password and repeats addresses in its refusals, as many do.

use std::sync::{Arc, Mutex};

use tokio::io::{AsyncBufReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{TcpListener, TcpStream};

/// Recipients that begin so are refused for good.
pub const REFUSED: &str = "refused-";

/// The server; lives as long as the runtime of its test.
#[derive(Debug)]
pub struct SmtpServer {
    address: String,
    said: Said,
}

/// Lines by connection.
type Said = Arc<Mutex<Vec<Vec<String>>>>;

impl SmtpServer {
    /// A server on a free port. The first recipient of all is refused for the time being.
    ///
    /// # Panics
    /// It cannot listen.
    pub async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let said = Said::default();
        let shared = Arc::clone(&said);
        tokio::spawn(async move {
            for connection in 0.. {
                let Ok((stream, _)) = listener.accept().await else {
                    break;
                };
                shared.lock().unwrap().push(Vec::new());
                tokio::spawn(converse(stream, connection, Arc::clone(&shared)));
            }
        });
        Self { address, said }
    }

    /// `HOST:PORT`.
    #[must_use]
    pub fn address(&self) -> &str {
        &self.address
    }

    /// Every line that clients said, those of their messages too, one connection after the other.
    ///
    /// # Panics
    /// Another test panicked in it.
    #[must_use]
    pub fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().concat()
    }
}

/// One connection, until it is closed.
async fn converse(stream: TcpStream, connection: usize, said: Said) -> std::io::Result<()> {
    let mut stream = BufReader::new(stream);
    stream.write_all(b"220 mail.example ready\r\n").await?;
    let mut in_message = false;
    loop {
        let mut line = String::new();
        if stream.read_line(&mut line).await? == 0 {
            return Ok(());
        }
        let line = line.trim_end();
        let first_recipient = {
            let mut said = said.lock().unwrap();
            said[connection].push(line.to_owned());
            let lines = said.iter().flatten();
            let recipients = lines.filter(|line| line.starts_with("RCPT "));
            recipients.count() == 1
        };
        let answer = match line.split(' ').next().unwrap_or_default() {
            "." if in_message => {
                in_message = false;
                "250 2.0.0 queued".to_owned()
            }
            _ if in_message => continue,
            "EHLO" => {
                "250-mail.example\r\n250-8BITMIME\r\n250-AUTH PLAIN\r\n250 SMTPUTF8".to_owned()
            }
            "AUTH" => "235 2.7.0 welcome".to_owned(),
            "RCPT" if first_recipient => format!("450 4.2.1 {line}: mailbox busy"),
            "RCPT" if line.contains(REFUSED) => format!("550 5.1.1 {line}: no such user"),
            "DATA" => {
                in_message = true;
                "354 go on".to_owned()
            }
            "QUIT" => "221 2.0.0 bye".to_owned(),
            _ => "250 2.0.0 ok".to_owned(),
        };
        stream.write_all(format!("{answer}\r\n").as_bytes()).await?;
    }
}
