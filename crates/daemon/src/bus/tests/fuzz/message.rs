//! D-Bus messages written by hand, so that they can be wrong in every way, and as much of an
//! answer as is needed to know which call it belongs to.

/// Little-endian marshalled values.
#[derive(Debug, Default)]
pub struct Body(pub Vec<u8>);

impl Body {
    pub fn align(&mut self, to: usize) {
        self.0.resize(self.0.len().next_multiple_of(to), 0);
    }

    pub fn u32(&mut self, number: u32) {
        self.align(4);
        self.0.extend(number.to_le_bytes());
    }

    pub fn u64(&mut self, number: u64) {
        self.align(8);
        self.0.extend(number.to_le_bytes());
    }

    pub fn byte_array(&mut self, bytes: &[u8]) {
        self.u32(bytes.len() as u32);
        self.0.extend(bytes);
    }

    /// A string or an object path; it need not be text.
    pub fn text(&mut self, text: &[u8]) {
        self.byte_array(text);
        self.0.push(0);
    }

    pub fn signature(&mut self, signature: &[u8]) {
        let signature = &signature[..signature.len().min(255)];
        self.0.push(signature.len() as u8);
        self.0.extend(signature);
        self.0.push(0);
    }

    /// An array of what `items` writes, each aligned to 8.
    pub fn array(&mut self, items: impl FnOnce(&mut Self)) {
        self.u32(0);
        let length_at = self.0.len() - 4;
        self.align(8);
        let begin = self.0.len();
        items(self);
        let length = (self.0.len() - begin) as u32;
        self.0[length_at..length_at + 4].copy_from_slice(&length.to_le_bytes());
    }

    fn field(&mut self, code: u8, signature: &str, value: impl FnOnce(&mut Self)) {
        self.align(8);
        self.0.push(code);
        self.signature(signature.as_bytes());
        value(self);
    }
}

/// A method call.
#[derive(Debug)]
pub struct Call<'a> {
    pub path: &'a [u8],
    pub interface: &'a [u8],
    pub member: &'a [u8],
    pub signature: &'a [u8],
    pub descriptors: u32,
    pub body: &'a [u8],
}

impl Call<'_> {
    pub fn bytes(&self, serial: u32) -> Vec<u8> {
        let mut message = Body(vec![b'l', 1, 0, 1]);
        message.u32(self.body.len() as u32);
        message.u32(serial);
        message.array(|fields| {
            fields.field(1, "o", |value| value.text(self.path));
            fields.field(2, "s", |value| value.text(self.interface));
            fields.field(3, "s", |value| value.text(self.member));
            if !self.signature.is_empty() {
                fields.field(8, "g", |value| value.signature(self.signature));
            }
            if self.descriptors > 0 {
                fields.field(9, "u", |value| value.u32(self.descriptors));
            }
        });
        message.align(8);
        message.0.extend(self.body);
        message.0
    }
}

/// The fixed part of every message.
pub const HEADER_LEN: usize = 16;

/// How many bytes follow the fixed part.
pub fn rest_of(header: &[u8; HEADER_LEN]) -> usize {
    let (body, fields) = (number(header, 4), number(header, 12));
    (fields as usize).next_multiple_of(8) + body as usize
}

/// What the daemon sent.
#[derive(Debug)]
pub struct Answer {
    pub is_return: bool,
    /// The call it answers; a signal answers none.
    pub serial: Option<u32>,
    /// Of an error, its last word.
    pub error: String,
    pub body: Vec<u8>,
}

impl Answer {
    /// `message` is whole, and the daemon's messages are well formed.
    pub fn read(message: &[u8]) -> Self {
        assert_eq!(message[0], b'l', "the daemon's byte order is ours");
        let fields_end = HEADER_LEN + number(message, 12) as usize;
        let (mut serial, mut error) = (None, String::new());
        let mut at = HEADER_LEN;
        while at < fields_end {
            let (code, kind) = (message[at], message[at + 2]);
            let value = at + 4;
            let length = number(message, value) as usize;
            if code == 5 {
                serial = Some(number(message, value));
            }
            if code == 4 {
                let name = String::from_utf8_lossy(&message[value + 4..value + 4 + length]);
                error = name.rsplit('.').next().unwrap_or_default().to_owned();
            }
            at = match kind {
                b'g' => value + 2 + usize::from(message[value]),
                b'u' => value + 4,
                _ => value + 5 + length,
            };
            at = at.next_multiple_of(8);
        }
        Self {
            is_return: message[1] == 2,
            serial,
            error,
            body: message[fields_end.next_multiple_of(8)..].to_vec(),
        }
    }

    /// The number and the token that RegisterProvider gave out.
    pub fn registration(&self) -> Option<(u64, Vec<u8>)> {
        let path = number(&self.body, 0) as usize;
        let at = (4 + path + 1).next_multiple_of(8);
        let provider = u64::from_le_bytes(*self.body.get(at..)?.first_chunk()?);
        let token = self.body.get(at + 12..at + 44)?;
        Some((provider, token.to_vec()))
    }

    /// The number at the end of the string or path the body begins with.
    pub fn trailing_number(&self) -> Option<u64> {
        let length = number(&self.body, 0) as usize;
        let text = std::str::from_utf8(self.body.get(4..4 + length)?).ok()?;
        text.rsplit(['/', '-']).next()?.parse().ok()
    }
}

fn number(bytes: &[u8], at: usize) -> u32 {
    let field = bytes.get(at..).and_then(<[u8]>::first_chunk);
    field.map_or(0, |field| u32::from_le_bytes(*field))
}
