//! How a call to the daemon fails: with the daemon's own word, or because there was nobody to
//! answer. The difference decides whether a call may be tried again, so it is a type.

use fuse_promise_core::{Failure, Status};

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Fault {
    /// The daemon said no, or said something that makes no sense. Asking again changes nothing.
    Refused(Failure),
    /// The connection or the daemon went away before the answer; whether the call was carried out
    /// is not known.
    Lost(String),
}

impl Fault {
    /// What the caller is told when there is no second try.
    pub(crate) fn into_failure(self) -> Failure {
        match self {
            Self::Refused(failure) => failure,
            Self::Lost(how) => Failure::unavailable(format!(
                "the connection to fuse-promised was lost during the call ({how})"
            )),
        }
    }
}

impl From<Failure> for Fault {
    fn from(failure: Failure) -> Self {
        Self::Refused(failure)
    }
}

impl From<zbus::Error> for Fault {
    fn from(error: zbus::Error) -> Self {
        match error {
            zbus::Error::MethodError(name, message, _) => named(&name, message),
            zbus::Error::FDO(error) => standard(*error),
            zbus::Error::InputOutput(error) => Self::Lost(error.to_string()),
            // The daemon's word for a connection that it has no room for.
            zbus::Error::Handshake(ref how) => match how.split_once("ERROR ") {
                Some((_, why)) => Failure::unavailable(why).into(),
                None => Self::Lost(error.to_string()),
            },
            other => Self::Refused(Failure::io(format!(
                "fuse-promised gave an answer that makes no sense: {other}"
            ))),
        }
    }
}

fn named(name: &str, message: Option<String>) -> Fault {
    let status = Status::from_dbus_name(name);
    let message = message.unwrap_or_else(|| match status {
        Some(status) => status.text().to_owned(),
        None => name.to_owned(),
    });
    Fault::Refused(Failure::new(status.unwrap_or(Status::Io), message))
}

fn standard(error: zbus::fdo::Error) -> Fault {
    use zbus::fdo::Error;

    match error {
        Error::ZBus(error) => Fault::from(error),
        // The bus answers these for an owner that has gone, before or during the call.
        Error::ServiceUnknown(how)
        | Error::NameHasNoOwner(how)
        | Error::NoReply(how)
        | Error::Disconnected(how) => Fault::Lost(how),
        Error::AccessDenied(how) | Error::AuthFailed(how) => {
            Failure::permission(format!("the session bus refused the call: {how}")).into()
        }
        Error::LimitsExceeded(how) | Error::NoMemory(how) => {
            Failure::unavailable(format!("a limit of the session bus is reached: {how}")).into()
        }
        // Objects come and go; interfaces and methods do not within one protocol version.
        Error::UnknownObject(how) => Failure::not_found(how).into(),
        Error::UnknownMethod(how)
        | Error::UnknownInterface(how)
        | Error::UnknownProperty(how)
        | Error::InvalidArgs(how) => Failure::version_mismatch(format!(
            "fuse-promised does not know this call; are library and daemon of one version? ({how})"
        ))
        .into(),
        other => Failure::io(other.to_string()).into(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refused(status: Status, message: &str) -> Fault {
        Fault::Refused(Failure::new(status, message))
    }

    #[test]
    fn the_daemons_names_become_their_statuses() {
        for status in &Status::ALL[1..] {
            let fault = named(status.dbus_name(), Some("why".to_owned()));
            assert_eq!(fault, refused(*status, "why"));
        }
        assert_eq!(
            named(Status::NotFound.dbus_name(), None),
            refused(Status::NotFound, "not found")
        );
        assert_eq!(
            named("org.example.Odd", None),
            refused(Status::Io, "org.example.Odd")
        );
    }

    #[test]
    fn a_refused_connection_says_why() {
        let handshake = |how: &str| Fault::from(zbus::Error::Handshake(how.to_owned()));
        assert_eq!(
            handshake("Received error from server: ERROR no room here"),
            refused(Status::Unavailable, "no room here")
        );
        assert!(matches!(handshake("Unexpected EOF"), Fault::Lost(_)));
    }

    #[test]
    fn an_owner_that_has_gone_is_a_loss_and_not_a_refusal() {
        use zbus::fdo::Error;

        for gone in [
            Error::ServiceUnknown("x".into()),
            Error::NameHasNoOwner("x".into()),
            Error::NoReply("x".into()),
            Error::Disconnected("x".into()),
        ] {
            assert_eq!(standard(gone), Fault::Lost("x".to_owned()));
        }
        let closed = zbus::Error::from(std::io::Error::from(std::io::ErrorKind::BrokenPipe));
        assert!(matches!(Fault::from(closed), Fault::Lost(_)));
    }

    #[test]
    fn a_loss_is_told_as_unavailable() {
        let failure = Fault::Lost("socket closed".to_owned()).into_failure();
        assert_eq!(failure.status, Status::Unavailable);
        assert!(failure.message.contains("socket closed"));
    }
}
