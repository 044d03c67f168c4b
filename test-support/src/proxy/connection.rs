//! One connection through a proxy.

use std::future::pending;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::tcp::{ReadHalf, WriteHalf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::time::sleep;

use super::way::Way;
use super::{Direction, Fault};

type Sender = watch::Sender<Way>;

pub(super) async fn accept(listener: TcpListener, way: Sender) {
    while let Ok((client, _)) = listener.accept().await {
        tokio::spawn(serve(client, way.clone()));
    }
}

async fn serve(mut client: TcpStream, way: Sender) {
    let (epoch, cuts, address) = {
        let way = way.borrow();
        let epoch = (!way.vanished).then_some(way.epoch);
        let address = way.server.clone().filter(|_| !way.is_cut());
        (epoch, way.cuts, address)
    };
    let Some(epoch) = epoch else {
        drop(silence(client).await);
        return;
    };
    let connected = match address {
        Some(address) => TcpStream::connect(address).await.ok(),
        None => None,
    };
    let Some(mut server) = connected else {
        return reset(&client);
    };
    // Small pieces go on at once; without it they would only be slower.
    client.set_nodelay(true).ok();
    server.set_nodelay(true).ok();
    let passage = Passage {
        way: &way,
        epoch,
        reply_is_cut: AtomicBool::new(false),
    };
    let was_cut = {
        let (from_client, to_client) = client.split();
        let (from_server, to_server) = server.split();
        let mut changes = way.subscribe();
        tokio::select! {
            ended = async { tokio::try_join!(
                passage.pass(from_client, to_server, Direction::ToServer),
                passage.pass(from_server, to_client, Direction::ToClient),
            ) } => ended.is_err(),
            _ = changes.wait_for(|way| way.cuts != cuts) => true,
        }
    };
    if was_cut {
        reset(&client);
        reset(&server);
    }
}

/// So that dropping it resets the connection.
fn reset(stream: &TcpStream) {
    // Where that fails the connection is gone already.
    stream.set_zero_linger().ok();
}

/// Neither answers nor closes.
async fn silence<T>(ends: T) -> T {
    pending::<()>().await;
    ends
}

struct Passage<'a> {
    way: &'a Sender,
    epoch: u64,
    /// From the moment on in which a client sent what must not be answered.
    reply_is_cut: AtomicBool,
}

/// The connection is to be reset.
struct Broken;

impl Passage<'_> {
    /// Until one end closes, which the other one gets to know.
    async fn pass(
        &self,
        mut from: ReadHalf<'_>,
        mut to: WriteHalf<'_>,
        direction: Direction,
    ) -> Result<(), Broken> {
        let mut bytes = vec![0; 64 * 1024];
        loop {
            let read = from.read(&mut bytes).await.map_err(|_| Broken)?;
            self.look_at(&bytes[..read], direction).await?;
            if read == 0 {
                to.shutdown().await.ok(); // gone already
                return Ok(());
            }
            to.write_all(&bytes[..read]).await.map_err(|_| Broken)?;
        }
    }

    /// Returns once these bytes may come through; of none the stream has come to its end.
    async fn look_at(&self, bytes: &[u8], direction: Direction) -> Result<(), Broken> {
        match direction {
            Direction::ToServer => self.look_for_texts(bytes),
            // The server has done what it was asked for.
            Direction::ToClient if self.reply_is_cut.load(Ordering::SeqCst) => {
                self.way.send_modify(|way| way.replies_cut += 1);
                return Err(Broken);
            }
            Direction::ToClient => {}
        }
        if self.way.borrow().epoch != self.epoch {
            return silence(Ok(())).await;
        }
        let delay = match &self.way.borrow().fault {
            Some(Fault::Latency(delay)) => *delay,
            _ => Duration::ZERO,
        };
        sleep(delay).await;
        let mut changes = self.way.subscribe();
        let spoken = changes.wait_for(|way| !way.is_silent(direction)).await;
        spoken.map(|_| ()).map_err(|_| Broken)
    }

    fn look_for_texts(&self, bytes: &[u8]) {
        self.way.send_if_modified(|way| {
            let triggered = way.is_triggered_by(bytes);
            if triggered {
                way.vanish();
            }
            triggered
        });
        if self.way.borrow().cuts_reply_to(bytes) {
            self.reply_is_cut.store(true, Ordering::SeqCst);
        }
    }
}
