//! The D-Bus handshake with a peer of the socket, as the specification's server side has it.
//!
//! A peer that is not let in yet is the last whose words should be trusted with anything: lines
//! are short and few, and nothing behind the last of them is read, so that the connection begins
//! exactly where the handshake ends. Who the peer is was settled before; EXTERNAL only has to name
//! the same user, or none.

use std::io::{Error, ErrorKind, Result};

use fuse_promise_core::limits::{HANDSHAKE_LINE_LEN_MAX, HANDSHAKE_LINES_MAX};
use tokio::net::UnixStream;
use zbus::Guid;

/// What comes next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Auth,
    /// The mechanism is chosen, the identity is still to be said.
    Data,
    Begin,
}

/// Runs the handshake to its end; returns whether the peer takes descriptors in messages.
///
/// # Errors
/// The peer went away, or what it says is no handshake.
pub async fn welcome(stream: &UnixStream, user: u32, guid: &Guid<'_>) -> Result<bool> {
    if read_byte(stream).await? != 0 {
        return Err(refused("it does not begin with a NUL"));
    }
    let mut step = Step::Auth;
    let mut takes_descriptors = false;
    for _ in 0..HANDSHAKE_LINES_MAX {
        let line = read_line(stream).await?;
        let (command, rest) = line.split_once(' ').unwrap_or((&line, ""));
        let answer = match (step, command) {
            (Step::Begin, "BEGIN") => return Ok(takes_descriptors),
            (_, "BEGIN") => return Err(refused("BEGIN came before the identity")),
            (Step::Auth, "AUTH") => authenticate(rest, user, &mut step),
            (Step::Data, "DATA") => identify(rest, user, &mut step),
            (Step::Begin, "NEGOTIATE_UNIX_FD") => {
                takes_descriptors = true;
                Answer::AgreeUnixFd
            }
            (_, "CANCEL" | "ERROR") => {
                step = Step::Auth;
                Answer::Rejected
            }
            _ => Answer::Error,
        };
        write(stream, answer.line(guid).as_bytes()).await?;
    }
    Err(refused(&format!(
        "it has not ended after {HANDSHAKE_LINES_MAX} lines"
    )))
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Answer {
    Ok,
    Data,
    Rejected,
    AgreeUnixFd,
    Error,
}

impl Answer {
    fn line(self, guid: &Guid<'_>) -> String {
        match self {
            Self::Ok => format!("OK {guid}\r\n"),
            Self::Data => "DATA\r\n".to_owned(),
            Self::Rejected => "REJECTED EXTERNAL\r\n".to_owned(),
            Self::AgreeUnixFd => "AGREE_UNIX_FD\r\n".to_owned(),
            Self::Error => "ERROR not expected here\r\n".to_owned(),
        }
    }
}

fn authenticate(said: &str, user: u32, step: &mut Step) -> Answer {
    match said.split_once(' ') {
        Some(("EXTERNAL", identity)) => identify(identity, user, step),
        None if said == "EXTERNAL" => {
            *step = Step::Data;
            Answer::Data
        }
        _ => Answer::Rejected,
    }
}

/// The identity is the decimal user number, of which each digit is sent as two hexadecimal ones;
/// nothing means whoever the kernel says.
fn identify(identity: &str, user: u32, step: &mut Step) -> Answer {
    let own: String = user
        .to_string()
        .bytes()
        .map(|digit| format!("{digit:02x}"))
        .collect();
    if identity.is_empty() || identity.eq_ignore_ascii_case(&own) {
        *step = Step::Begin;
        Answer::Ok
    } else {
        *step = Step::Auth;
        Answer::Rejected
    }
}

async fn read_line(stream: &UnixStream) -> Result<String> {
    let mut line = Vec::new();
    loop {
        match read_byte(stream).await? {
            b'\n' if line.last() == Some(&b'\r') => {
                line.pop();
                return String::from_utf8(line).map_err(|_| refused("a line is no text"));
            }
            b'\n' => return Err(refused("a line does not end as lines do")),
            _ if line.len() == HANDSHAKE_LINE_LEN_MAX => {
                return Err(refused(&format!(
                    "a line has over {HANDSHAKE_LINE_LEN_MAX} bytes"
                )));
            }
            byte => line.push(byte),
        }
    }
}

/// One at a time, so that nothing of what follows the handshake is taken.
async fn read_byte(stream: &UnixStream) -> Result<u8> {
    let mut byte = [0];
    loop {
        stream.readable().await?;
        match stream.try_read(&mut byte) {
            Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
            Ok(_) => return Ok(byte[0]),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
}

async fn write(stream: &UnixStream, mut bytes: &[u8]) -> Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

fn refused(why: &str) -> Error {
    Error::new(
        ErrorKind::InvalidData,
        format!("the handshake is none: {why}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::bus::tests::run;

    const USER: u32 = 1000;
    /// `1000` as the handshake has it.
    const IDENTITY: &str = "31303030";

    /// What the peer is answered to `said` and how the handshake ends, with what was left unread.
    async fn handshake(said: &[u8]) -> (Result<bool>, String, Vec<u8>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        write(&theirs, said).await.unwrap();
        let guid = Guid::generate();
        // A handshake that wants to hear more than was said ends with the connection.
        let theirs = theirs.into_std().unwrap();
        theirs.shutdown(std::net::Shutdown::Write).unwrap();
        let theirs = UnixStream::from_std(theirs).unwrap();
        let outcome = welcome(&ours, USER, &guid).await;
        let mut unread = Vec::new();
        while let Ok(byte) = read_byte(&ours).await {
            unread.push(byte);
        }
        drop(ours);
        let mut answered = Vec::new();
        while let Ok(byte) = read_byte(&theirs).await {
            answered.push(byte);
        }
        let answered = String::from_utf8(answered).unwrap();
        (outcome, answered.replace(&guid.to_string(), "GUID"), unread)
    }

    #[test]
    fn a_client_may_say_everything_at_once_and_go_on() {
        run(async {
            let said = format!("\0AUTH EXTERNAL {IDENTITY}\r\nNEGOTIATE_UNIX_FD\r\nBEGIN\r\nl\x01");
            let (outcome, answered, unread) = handshake(said.as_bytes()).await;
            assert!(outcome.unwrap());
            assert_eq!(answered, "OK GUID\r\nAGREE_UNIX_FD\r\n");
            assert_eq!(unread, b"l\x01");
        });
    }

    #[test]
    fn the_kernels_word_for_the_identity_is_enough() {
        run(async {
            let said = b"\0AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
            let (outcome, answered, _) = handshake(said).await;
            assert!(!outcome.unwrap(), "descriptors were not asked for");
            assert_eq!(answered, "DATA\r\nOK GUID\r\n");
        });
    }

    #[test]
    fn another_identity_or_mechanism_is_rejected_and_may_be_tried_again() {
        run(async {
            let said = format!(
                "\0AUTH\r\nAUTH ANONYMOUS\r\nAUTH EXTERNAL 30\r\nAUTH EXTERNAL\r\nDATA 30\r\n\
                 NEGOTIATE_UNIX_FD\r\nHELLO\r\nCANCEL\r\nAUTH EXTERNAL {IDENTITY}\r\nBEGIN\r\n"
            );
            let (outcome, answered, _) = handshake(said.as_bytes()).await;
            assert!(!outcome.unwrap());
            let answers: Vec<&str> = answered.split_terminator("\r\n").collect();
            let (rejected, error) = ("REJECTED EXTERNAL", "ERROR not expected here");
            let expected = [
                rejected, rejected, rejected, "DATA", rejected, error, error, rejected, "OK GUID",
            ];
            assert_eq!(answers, expected);
        });
    }

    #[test]
    fn what_is_no_handshake_ends_it() {
        run(async {
            let long = format!("\0AUTH EXTERNAL {}", "3".repeat(HANDSHAKE_LINE_LEN_MAX));
            let endless = format!("\0{}", "CANCEL\r\n".repeat(HANDSHAKE_LINES_MAX + 1));
            for said in [
                "\n",
                "\0\n",
                "\0\r\n\n",
                "GET / HTTP/1.1\r\n",
                "\0AUTH EXTERNAL\n",
                "\0BEGIN\r\n",
                "\0AUTH EXTERNAL\r\nBEGIN\r\n",
                &long,
                &endless,
            ] {
                let (outcome, _, _) = handshake(said.as_bytes()).await;
                let kind = outcome.unwrap_err().kind();
                let ended = matches!(kind, ErrorKind::InvalidData | ErrorKind::UnexpectedEof);
                assert!(ended, "{said:?}: {kind}");
            }
            let (outcome, _, _) = handshake(b"\0\xff\r\n").await;
            assert_eq!(outcome.unwrap_err().kind(), ErrorKind::InvalidData);
        });
    }

    #[test]
    fn lines_have_a_longest_and_there_is_a_last() {
        run(async {
            let nonsense = |len: usize| "x".repeat(len);
            let ending = "AUTH EXTERNAL\r\nDATA\r\nBEGIN\r\n";
            // The carriage return belongs to the line.
            let longest = nonsense(HANDSHAKE_LINE_LEN_MAX - 1);
            let said = format!("\0{longest}\r\n{ending}");
            handshake(said.as_bytes()).await.0.unwrap();
            let said = format!("\0{longest}x\r\n{ending}");
            let refused = handshake(said.as_bytes()).await.0.unwrap_err();
            let limit = format!("over {HANDSHAKE_LINE_LEN_MAX} bytes");
            assert!(refused.to_string().contains(&limit), "{refused}");

            let most = "CANCEL\r\n".repeat(HANDSHAKE_LINES_MAX - 3);
            let said = format!("\0{most}{ending}");
            handshake(said.as_bytes()).await.0.unwrap();
            let said = format!("\0{most}CANCEL\r\n{ending}");
            let refused = handshake(said.as_bytes()).await.0.unwrap_err();
            let limit = format!("after {HANDSHAKE_LINES_MAX} lines");
            assert!(refused.to_string().contains(&limit), "{refused}");
        });
    }

    #[test]
    fn a_peer_that_leaves_ends_it() {
        run(async {
            for said in [&b""[..], b"\0", b"\0AUTH", b"\0AUTH EXTERNAL\r\n"] {
                let (outcome, _, _) = handshake(said).await;
                assert_eq!(outcome.unwrap_err().kind(), ErrorKind::UnexpectedEof);
            }
        });
    }
}
