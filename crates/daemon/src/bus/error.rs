//! What a caller gets when a call is refused: the D-Bus error name of the status, and the sentence
//! that says what was wrong. There is no other way from a failure to the bus.

use fuse_promise_core::failure::Failure;
use zbus::message::{Header, Message};
use zbus::names::ErrorName;

/// A failure on its way to a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BusError(pub Failure);

impl From<Failure> for BusError {
    fn from(failure: Failure) -> Self {
        Self(failure)
    }
}

impl zbus::DBusError for BusError {
    fn create_reply(&self, call: &Header<'_>) -> zbus::Result<Message> {
        // A D-Bus string holds no NUL, and a reply that cannot be built leaves the caller waiting.
        let sentence = self.0.message.replace('\0', "\\0");
        Message::error(call, self.name()).build(&sentence)
    }

    fn name(&self) -> ErrorName<'_> {
        ErrorName::from_static_str_unchecked(self.0.status.dbus_name())
    }

    fn description(&self) -> Option<&str> {
        Some(&self.0.message)
    }
}

#[cfg(test)]
mod tests {
    use fuse_promise_core::status::Status;
    use zbus::DBusError;

    use super::*;

    #[test]
    fn every_status_is_a_valid_error_name_that_leads_back_to_it() {
        for status in &Status::ALL[1..] {
            let error = BusError::from(Failure::new(*status, "why"));
            let name = ErrorName::try_from(error.name().as_str().to_owned());
            let name = name.expect("the table holds valid D-Bus error names");
            assert_eq!(Status::from_dbus_name(name.as_str()), Some(*status));
            assert_eq!(error.description(), Some("why"));
        }
    }

    #[test]
    fn the_reply_carries_name_and_sentence() {
        let call = Message::method_call("/", "Commit").build(&()).unwrap();
        let error = BusError::from(Failure::permission("not your provider"));
        let reply = error.create_reply(&call.header()).unwrap();
        let name = reply.header().error_name().unwrap().to_string();
        assert_eq!(Status::from_dbus_name(&name), Some(Status::Permission));
        assert_eq!(
            reply.body().deserialize::<String>().unwrap(),
            "not your provider"
        );
    }

    #[test]
    fn a_sentence_with_a_nul_still_reaches_the_caller() {
        let call = Message::method_call("/", "Commit").build(&()).unwrap();
        let error = BusError::from(Failure::invalid("name \"a\0b\""));
        let reply = error.create_reply(&call.header()).unwrap();
        let sentence = reply.body().deserialize::<String>().unwrap();
        assert_eq!(sentence, "name \"a\\0b\"");
    }
}
