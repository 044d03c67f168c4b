//! A reader of mail that knows nothing of how it was written.

/// A message or one of its parts.
#[derive(Debug)]
pub(crate) struct Parsed {
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: String,
}

impl Parsed {
    pub(crate) fn read(bytes: &[u8]) -> Self {
        let text = std::str::from_utf8(bytes).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let unfolded = head.replace("\r\n ", " ").replace("\r\n\t", " ");
        assert!(
            !unfolded.replace("\r\n", "").contains(['\r', '\n']),
            "{head:?}"
        );
        let headers = unfolded.split("\r\n").map(|line| {
            let (name, value) = line.split_once(": ").unwrap();
            (name.to_owned(), value.to_owned())
        });
        Self {
            headers: headers.collect(),
            body: body.to_owned(),
        }
    }

    pub(crate) fn names(&self) -> Vec<&str> {
        self.headers.iter().map(|(name, _)| name.as_str()).collect()
    }

    pub(crate) fn header(&self, name: &str) -> &str {
        let mut values = self.headers.iter().filter(|(key, _)| key == name);
        let (_, value) = values.next().unwrap();
        assert!(values.next().is_none(), "{name} is there twice");
        value
    }

    /// The parts between the boundaries.
    pub(crate) fn parts(&self) -> Vec<Self> {
        let kind = self.header("Content-Type");
        let (_, boundary) = kind.split_once("boundary=\"").unwrap();
        let delimiter = format!("--{}", boundary.strip_suffix('"').unwrap());
        let (inner, _) = self.body.split_once(&format!("\r\n{delimiter}--")).unwrap();
        let start = format!("{delimiter}\r\n");
        let parts = inner.split(&start).skip(1);
        parts.map(|part| Self::read(part.as_bytes())).collect()
    }

    /// The text of a part, with its transfer encoding undone.
    pub(crate) fn text(&self) -> String {
        let body = self.body.strip_suffix("\r\n").unwrap_or(&self.body);
        let text = match self.header("Content-Transfer-Encoding") {
            "7bit" => body.to_owned(),
            "quoted-printable" => unquoted(body),
            "base64" => String::from_utf8(unbased(body)).unwrap(),
            other => panic!("unexpected encoding {other}"),
        };
        text.replace("\r\n", "\n")
    }
}

fn unquoted(body: &str) -> String {
    let joined = body.replace("=\r\n", "");
    let mut pieces = joined.split('=');
    let mut bytes = pieces.next().unwrap().as_bytes().to_vec();
    for piece in pieces {
        bytes.push(u8::from_str_radix(&piece[..2], 16).unwrap());
        bytes.extend_from_slice(&piece.as_bytes()[2..]);
    }
    String::from_utf8(bytes).unwrap()
}

fn unbased(body: &str) -> Vec<u8> {
    let digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
    let (mut bits, mut count, mut bytes) = (0_u32, 0, Vec::new());
    for c in body.chars().filter(|c| digits.contains(*c)) {
        bits = bits << 6 | u32::try_from(digits.find(c).unwrap()).unwrap();
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}
