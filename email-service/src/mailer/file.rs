//! Mail as files, for a system without a mail server: one `.eml` per `Message-ID`.

use std::fs::{self, File};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use uuid::Uuid;

use super::{Mailer, SendError};
use crate::message::Outgoing;

/// Writes each message into a folder. A repeat replaces the file of the first time.
#[derive(Debug, Clone)]
pub struct FileMailer {
    folder: PathBuf,
}

impl FileMailer {
    /// A mailer into `folder`, which is created with the first message.
    pub fn new(folder: impl Into<PathBuf>) -> Self {
        Self {
            folder: folder.into(),
        }
    }

    /// The folder.
    #[must_use]
    pub fn folder(&self) -> &Path {
        &self.folder
    }
}

impl Mailer for FileMailer {
    async fn send(&self, mail: &Outgoing) -> Result<(), SendError> {
        let folder = self.folder.clone();
        let name = format!("{}.eml", mail.id().local());
        let bytes = mail.bytes();
        let written = tokio::task::spawn_blocking(move || write(&folder, &name, &bytes)).await;
        written
            .map_err(io::Error::other)
            .flatten()
            .map_err(|error| SendError::transient(format!("the mail cannot be written: {error}")))
    }
}

/// Puts a complete and durable file in place, or none. The temporary name is new each time: an
/// attempt whose lease expired may still be writing.
fn write(folder: &Path, name: &str, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let temporary = folder.join(format!(".{}.tmp", Uuid::now_v7().simple()));
    let result = write_new(&temporary, bytes)
        .and_then(|()| fs::rename(&temporary, folder.join(name)))
        // The name itself is durable only with its folder.
        .and_then(|()| File::open(folder)?.sync_all());
    if result.is_err() && fs::remove_file(&temporary).is_err() {
        tracing::debug!("A temporary mail file was not there to be removed.");
    }
    result
}

fn write_new(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let mut file = File::create_new(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}
