//! Server-Sent Events, as far as the order service sends them: pure.

/// One event.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Event {
    /// Where to go on after it.
    pub id: Option<String>,
    /// Its data; several lines are joined.
    pub data: String,
}

/// Most bytes of one line; more is no stream of ours.
const LONGEST_LINE: usize = 1 << 20;

/// The stream cannot be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum BadStream {
    /// A line does not end.
    #[error("a line of the stream does not end")]
    Endless,
    /// A line is not UTF-8.
    #[error("the stream is not UTF-8")]
    NotText,
}

/// Reads events from the parts in which they arrive.
#[derive(Debug, Default)]
pub struct Parser {
    line: Vec<u8>,
    event: Event,
    has_data: bool,
    /// The last line ended with CR; an LF that follows belongs to it.
    after_cr: bool,
}

impl Parser {
    /// Takes the next bytes; the events that are complete with them.
    ///
    /// # Errors
    /// It is no stream of events.
    pub fn take(&mut self, bytes: &[u8]) -> Result<Vec<Event>, BadStream> {
        let mut events = Vec::new();
        for byte in bytes {
            let after_cr = std::mem::replace(&mut self.after_cr, *byte == b'\r');
            match byte {
                b'\n' if after_cr => {}
                b'\n' | b'\r' => events.extend(self.end_of_line()?),
                _ if self.line.len() >= LONGEST_LINE => return Err(BadStream::Endless),
                other => self.line.push(*other),
            }
        }
        Ok(events)
    }

    fn end_of_line(&mut self) -> Result<Option<Event>, BadStream> {
        let line = String::from_utf8(std::mem::take(&mut self.line));
        let line = line.map_err(|_| BadStream::NotText)?;
        if line.is_empty() {
            let event = std::mem::take(&mut self.event);
            return Ok(std::mem::take(&mut self.has_data).then_some(event));
        }
        let (name, value) = line.split_once(':').unwrap_or((&line, ""));
        let value = value.strip_prefix(' ').unwrap_or(value);
        match name {
            "id" => self.event.id = Some(value.to_owned()),
            "data" => {
                if std::mem::replace(&mut self.has_data, true) {
                    self.event.data.push('\n');
                }
                self.event.data.push_str(value);
            }
            // A comment has no name; the rest is not for us.
            _ => {}
        }
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const STREAM: &str = ": hello\n\nid: 0:1\ndata: {\"a\":1}\n\nretry: 5\r\nid:0:2\r\ndata: x\r\ndata:y\r\n\r\nid: 0:3\n\ndata: un";

    fn expected() -> Vec<Event> {
        let event = |id: &str, data: &str| Event {
            id: Some(id.to_owned()),
            data: data.to_owned(),
        };
        vec![event("0:1", "{\"a\":1}"), event("0:2", "x\ny")]
    }

    #[test]
    fn events_are_read_however_the_stream_is_cut() {
        for size in 1..STREAM.len() {
            let mut parser = Parser::default();
            let parts = STREAM.as_bytes().chunks(size);
            let events: Vec<Event> = parts.flat_map(|part| parser.take(part).unwrap()).collect();
            assert_eq!(events, expected(), "in parts of {size}");
        }
    }

    #[test]
    fn what_is_no_stream_is_refused() {
        let mut parser = Parser::default();
        assert_eq!(parser.take(b"data: \xff\n"), Err(BadStream::NotText));
        let mut parser = Parser::default();
        let endless = vec![b'x'; LONGEST_LINE + 1];
        assert_eq!(parser.take(&endless), Err(BadStream::Endless));
    }
}
