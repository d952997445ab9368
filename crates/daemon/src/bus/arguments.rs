//! Reading what a caller sent. The `a{sv}` of a call is emptied key by key; whatever is left over
//! is a key this daemon does not know and refuses the call, so that a caller never believes in an
//! option that had no effect.

use fuse_promise_core::failure::{Failure, Result};
use fuse_promise_core::ids::{PromiseNumber, Token};
use fuse_promise_wire::bus::Options;
use zbus::OwnedVariant;

/// The options of one call, taken out one after the other.
#[derive(Debug)]
pub struct OptionReader {
    method: &'static str,
    left: Options,
}

impl OptionReader {
    pub fn new(method: &'static str, options: Options) -> Self {
        Self {
            method,
            left: options,
        }
    }

    pub fn take_u32(&mut self, key: &str) -> Result<Option<u32>> {
        self.take(key, "u")
    }

    pub fn take_u64(&mut self, key: &str) -> Result<Option<u64>> {
        self.take(key, "t")
    }

    pub fn take_bool(&mut self, key: &str) -> Result<Option<bool>> {
        self.take(key, "b")
    }

    pub fn take_text(&mut self, key: &str) -> Result<Option<String>> {
        self.take(key, "s")
    }

    pub fn take_bytes(&mut self, key: &str) -> Result<Option<Vec<u8>>> {
        self.take(key, "ay")
    }

    fn take<T>(&mut self, key: &str, signature: &str) -> Result<Option<T>>
    where
        T: TryFrom<OwnedVariant>,
    {
        let Some(value) = self.left.remove(key) else {
            return Ok(None);
        };
        let found = value.value_signature().to_string();
        T::try_from(value).map(Some).map_err(|_| {
            let method = self.method;
            Failure::invalid(format!(
                "option \"{key}\" of {method} has type {found}, wanted {signature}"
            ))
        })
    }

    /// Ends the reading: an option nobody took is refused.
    pub fn finish(self) -> Result<()> {
        let mut unknown: Vec<_> = self.left.into_keys().collect();
        if unknown.is_empty() {
            return Ok(());
        }
        unknown.sort();
        let (method, unknown) = (self.method, unknown.join("\", \""));
        Err(Failure::invalid(format!(
            "{method} does not know the option \"{unknown}\""
        )))
    }
}

/// The session token a caller shows.
pub fn token(bytes: &[u8]) -> Result<Token> {
    Token::from_slice(bytes).ok_or_else(|| {
        let length = bytes.len();
        Failure::invalid(format!("a session token has 32 bytes, this one {length}"))
    })
}

/// The promise a caller names.
pub fn promise(id: &str) -> Result<PromiseNumber> {
    PromiseNumber::parse(id).ok_or_else(|| {
        Failure::invalid(format!(
            "\"{}\" is no promise id, which looks like promise-7",
            id.escape_debug()
        ))
    })
}

#[cfg(test)]
mod tests {
    use fuse_promise_core::status::Status;

    use super::*;

    fn options(pairs: &[(&str, OwnedVariant)]) -> OptionReader {
        let pairs = pairs
            .iter()
            .map(|(key, value)| ((*key).to_owned(), value.clone()));
        OptionReader::new("Commit", pairs.collect())
    }

    fn bytes(bytes: &[u8]) -> OwnedVariant {
        zbus::Variant::from(bytes).try_to_owned().unwrap()
    }

    #[test]
    fn known_options_are_taken_and_absent_ones_are_none() {
        let mut given = options(&[
            ("a", 7u32.into()),
            ("b", 8u64.into()),
            ("empty", bytes(b"")),
            ("bytes", bytes(b"\0\xff")),
        ]);
        assert_eq!(given.take_u32("a"), Ok(Some(7)));
        assert_eq!(given.take_u64("b"), Ok(Some(8)));
        assert_eq!(given.take_bytes("empty"), Ok(Some(Vec::new())));
        assert_eq!(given.take_bytes("bytes"), Ok(Some(vec![0, 0xff])));
        assert_eq!(given.take_text("c"), Ok(None));
        assert_eq!(given.finish(), Ok(()));
    }

    #[test]
    fn an_option_of_another_type_names_key_and_both_types() {
        let mut given = options(&[("a", 7u64.into())]);
        let failure = given.take_u32("a").unwrap_err();
        assert_eq!(failure.status, Status::InvalidArgument);
        assert_eq!(
            failure.message,
            "option \"a\" of Commit has type t, wanted u"
        );
    }

    #[test]
    fn what_nobody_took_is_refused_by_name() {
        let given = options(&[("zeta", true.into()), ("alpha", true.into())]);
        let failure = given.finish().unwrap_err();
        assert_eq!(failure.status, Status::InvalidArgument);
        assert!(failure.message.contains("\"alpha\", \"zeta\""), "{failure}");
    }

    #[test]
    fn a_token_has_its_length() {
        assert!(token(&[1; 32]).is_ok());
        for length in [0, 31, 33] {
            let failure = token(&vec![1; length]).unwrap_err();
            assert_eq!(failure.status, Status::InvalidArgument, "{length}");
        }
    }

    #[test]
    fn a_promise_id_is_one_or_is_quoted() {
        assert_eq!(promise("promise-3"), Ok(PromiseNumber(3)));
        let failure = promise("../\n").unwrap_err();
        assert_eq!(failure.status, Status::InvalidArgument);
        assert!(failure.message.contains("\"../\\n\""), "{failure}");
    }
}
