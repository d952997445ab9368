//! What the service manager is told: one line about what is going on, and the moments when the
//! daemon is ready and when it ends. Without a manager (no `$NOTIFY_SOCKET`) this does nothing.

use sd_notify::NotifyState;

/// The daemon answers calls; nothing of the start is left to do.
pub fn ready(status: &str) {
    send(&[NotifyState::Status(&one_line(status)), NotifyState::Ready]);
}

/// What is going on, as `systemctl status` shows it.
pub fn status(status: &str) {
    send(&[NotifyState::Status(&one_line(status))]);
}

pub fn stopping() {
    send(&[NotifyState::Status("Stopping"), NotifyState::Stopping]);
}

fn send(states: &[NotifyState<'_>]) {
    if let Err(error) = sd_notify::notify(states) {
        tracing::debug!("the service manager was not told {states:?}: {error}");
    }
}

/// A notification is a list of lines, so a line break would end the text early.
fn one_line(text: &str) -> String {
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_status_is_one_line() {
        assert_eq!(
            one_line("fusermount3:\n no\taccess \n"),
            "fusermount3: no access"
        );
    }
}
