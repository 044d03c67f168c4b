//! What becomes of bytes and connections, without any of them.

use super::{Direction, Fault};

/// The state of a proxy.
#[derive(Debug, Default)]
pub(super) struct Way {
    /// Host and port.
    pub(super) server: Option<(String, u16)>,
    pub(super) fault: Option<Fault>,
    pub(super) vanished: bool,
    /// Vanishes as soon as a client sends this.
    pub(super) trigger: Option<String>,
    /// How often the server vanished: connections belong to the time they were made in.
    pub(super) epoch: u64,
    /// How often all connections were reset.
    pub(super) cuts: u64,
    pub(super) replies_cut: usize,
}

impl Way {
    pub(super) fn inject(&mut self, fault: Fault) {
        if fault == Fault::Cut {
            self.cuts += 1;
        }
        self.fault = Some(fault);
    }

    pub(super) fn vanish(&mut self) {
        self.vanished = true;
        self.trigger = None;
        self.epoch += 1;
    }

    /// Whether what a client sends brings the end.
    pub(super) fn is_triggered_by(&self, bytes: &[u8]) -> bool {
        self.trigger
            .as_ref()
            .is_some_and(|text| contains(bytes, text))
    }

    /// Whether new connections are reset.
    pub(super) fn is_cut(&self) -> bool {
        self.fault == Some(Fault::Cut)
    }

    pub(super) fn is_silent(&self, direction: Direction) -> bool {
        self.fault == Some(Fault::Silent(direction))
    }

    /// Whether the answer to these bytes of a client is to be cut.
    pub(super) fn cuts_reply_to(&self, bytes: &[u8]) -> bool {
        matches!(&self.fault, Some(Fault::CutReplyTo(text)) if contains(bytes, text))
    }
}

fn contains(bytes: &[u8], text: &str) -> bool {
    let mut windows = bytes.windows(text.len().max(1));
    windows.any(|window| window == text.as_bytes())
}
