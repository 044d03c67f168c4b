//! The services' mail: where it goes, and what arrived there.

use std::path::{Path, PathBuf};

use mailparse::{MailHeaderMap as _, ParsedMail, parse_mail};
use serde_json::Value;
use test_support::containers::Mailpit;

use crate::broker::{self, Choice};
use crate::client::Client;
use crate::shared::Shared;
use crate::wait::eventually;

static MAILPIT: Shared<Mailpit> = Shared::new();

/// Where the mail of one system goes.
#[derive(Debug, Clone)]
pub enum Mail {
    /// Into a folder, as `.eml` files.
    Folder(PathBuf),
    /// To a Mailpit.
    Server {
        /// `SMTP_URL`.
        url: String,
        /// Its HTTP interface.
        api: Client,
    },
}

/// A mail that arrived, as its reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Arrived {
    /// With its angle brackets.
    pub message_id: String,
    /// Address of the sender.
    pub from: String,
    /// Addresses that it was delivered to, those that its header does not name among them.
    pub recipients: Vec<String>,
    /// Decoded.
    pub subject: String,
    /// The part for those who read text; its lines end as on Unix.
    pub text: String,
    /// The part for those who read HTML; its lines end as on Unix.
    pub html: String,
}

impl Mail {
    /// To the suite's Mailpit if it runs on containers, else into a folder in `folder`.
    ///
    /// # Panics
    /// The server does not start.
    pub(crate) fn of_suite(folder: &Path) -> Self {
        if !matches!(broker::choose(), Ok(Choice::Container)) {
            return Self::Folder(folder.join("mail"));
        }
        let start = || Mailpit::start().expect("a Mailpit in a container");
        MAILPIT.with(start, Self::to)
    }

    /// To this server.
    #[must_use]
    pub fn to(server: &Mailpit) -> Self {
        Self::Server {
            url: format!("smtp://{}", server.smtp()),
            api: Client::at(server.http()),
        }
    }

    /// Name and value of the setting that sends it there.
    pub(crate) fn setting(&self) -> (&'static str, String) {
        match self {
            Self::Folder(folder) => ("EMAIL_FOLDER", folder.display().to_string()),
            Self::Server { url, .. } => ("SMTP_URL", url.clone()),
        }
    }

    /// Every mail that arrived in the folder.
    ///
    /// # Panics
    /// It goes to a server, which may not keep all.
    pub async fn all(&self) -> Vec<Arrived> {
        match self {
            Self::Folder(folder) => in_folder(folder),
            Self::Server { url, .. } => panic!("{url} may not keep all mail"),
        }
    }

    /// Every mail with this `Message-ID` that arrived.
    ///
    /// # Panics
    /// The server does not answer, or something else than a mail arrived.
    pub async fn arrived(&self, message_id: &str) -> Vec<Arrived> {
        let mut mails = match self {
            Self::Folder(folder) => in_folder(folder),
            Self::Server { api, .. } => on_server(api, message_id).await,
        };
        mails.retain(|mail| mail.message_id == message_id);
        mails
    }
}

/// Ends the suite's Mailpit and removes its container.
pub(crate) fn end() {
    MAILPIT.end();
}

fn in_folder(folder: &Path) -> Vec<Arrived> {
    let Ok(files) = std::fs::read_dir(folder) else {
        return Vec::new(); // made with the first mail
    };
    let files = files.map(|file| file.unwrap().path());
    // Others are not complete yet.
    let mails = files.filter(|path| path.extension().is_some_and(|extension| extension == "eml"));
    mails
        .map(|path| parsed(&std::fs::read(path).unwrap()))
        .collect()
}

fn parsed(bytes: &[u8]) -> Arrived {
    let mail = parse_mail(bytes).unwrap();
    let header = |name: &str| mail.headers.get_first_value(name).unwrap();
    let address = |name: &str| {
        let addresses = mailparse::addrparse(&header(name)).unwrap();
        addresses.extract_single_info().unwrap().addr
    };
    Arrived {
        message_id: header("Message-ID"),
        from: address("From"),
        // A file has no envelope: the header is all there is.
        recipients: vec![address("To")],
        subject: header("Subject"),
        text: part(&mail, "text/plain"),
        html: part(&mail, "text/html"),
    }
}

fn part(mail: &ParsedMail<'_>, kind: &str) -> String {
    let mut parts = mail.parts().filter(|part| part.ctype.mimetype == kind);
    let body = parts.next().unwrap().get_body().unwrap();
    assert!(parts.next().is_none(), "two parts are {kind}");
    body.replace("\r\n", "\n")
}

async fn on_server(api: &Client, message_id: &str) -> Vec<Arrived> {
    let id = message_id.trim_matches(['<', '>']);
    let found = asked(api, &format!("/api/v1/search?query=message-id:{id}")).await;
    let mut mails = Vec::new();
    for message in found["messages"].as_array().unwrap() {
        let path = format!("/api/v1/message/{}", message["ID"].as_str().unwrap());
        mails.push(described(&asked(api, &path).await));
    }
    mails
}

/// What Mailpit answers: to a question asked again, if the connection was one from before its stop.
async fn asked(api: &Client, path: &str) -> Value {
    let answer = eventually("answer of Mailpit", || async {
        api.try_get(path).await.ok()
    });
    answer.await.json()
}

/// A message as Mailpit tells it; `Bcc` is whom the header does not name.
fn described(message: &Value) -> Arrived {
    let text = |name: &str| message[name].as_str().unwrap().replace("\r\n", "\n");
    let lists = ["To", "Cc", "Bcc"].map(|list| message[list].as_array().unwrap());
    let addresses = lists.into_iter().flatten().map(|entry| &entry["Address"]);
    Arrived {
        message_id: format!("<{}>", text("MessageID")),
        from: message["From"]["Address"].as_str().unwrap().to_owned(),
        recipients: addresses
            .map(|address| address.as_str().unwrap().to_owned())
            .collect(),
        subject: text("Subject"),
        text: text("Text"),
        html: text("HTML"),
    }
}
