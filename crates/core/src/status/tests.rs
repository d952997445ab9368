use super::*;

#[test]
fn the_numbers_and_texts_are_those_of_the_c_header() {
    let published = [
        (0, "ok"),
        (1, "invalid argument"),
        (2, "unavailable"),
        (3, "permission denied"),
        (4, "not found"),
        (5, "already exists"),
        (6, "provider gone"),
        (7, "io error"),
        (8, "timeout"),
        (9, "cancelled"),
        (10, "version mismatch"),
    ];
    assert_eq!(Status::ALL.len(), published.len());
    for (status, (code, text)) in Status::ALL.into_iter().zip(published) {
        assert_eq!(status.code(), code);
        assert_eq!(status.text(), text);
        assert_eq!(Status::from_code(code), Some(status));
    }
    assert_eq!(Status::from_code(11), None);
    assert_eq!(Status::from_code(u32::MAX), None);
}

#[test]
fn a_file_shows_the_errno_of_the_failure_table() {
    let at_the_file = [
        (Status::Ok, 0),
        (Status::InvalidArgument, libc::EINVAL),
        (Status::Permission, libc::EACCES),
        (Status::NotFound, libc::ENOENT),
        (Status::ProviderGone, libc::EIO),
        (Status::Io, libc::EIO),
        (Status::Timeout, libc::ETIMEDOUT),
        (Status::Cancelled, libc::ECANCELED),
    ];
    for (status, errno) in at_the_file {
        assert_eq!(status.errno(), errno, "{status:?}");
    }
    for status in &Status::ALL[1..] {
        assert_ne!(status.errno(), 0, "{status:?} must not look like success");
    }
}

#[test]
fn bus_names_are_distinct_and_lead_back_except_ok() {
    for status in &Status::ALL[1..] {
        assert_eq!(Status::from_dbus_name(status.dbus_name()), Some(*status));
    }
    assert_eq!(
        Status::Timeout.dbus_name(),
        "io.github.fuse_promise.Private1.Error.Timeout"
    );
    assert_eq!(Status::from_dbus_name(Status::Ok.dbus_name()), None);
    assert_eq!(Status::from_dbus_name("Timeout"), None);
    assert_eq!(
        Status::from_dbus_name("org.freedesktop.DBus.Error.NoReply"),
        None
    );
}

#[test]
fn exit_codes_leave_1_and_2_to_the_command_line() {
    assert_eq!(Status::Ok.exit_code(), 0);
    assert_eq!(Status::InvalidArgument.exit_code(), 11);
    assert_eq!(Status::VersionMismatch.exit_code(), 20);
}

#[test]
fn a_provider_may_say_only_what_makes_sense_for_a_read() {
    for status in [
        Status::Ok,
        Status::Permission,
        Status::NotFound,
        Status::Io,
        Status::Timeout,
        Status::Cancelled,
    ] {
        assert_eq!(Status::from_provider(status.code()), status);
    }
    for code in [1, 2, 5, 6, 10, 11, 4096, u32::MAX] {
        assert_eq!(Status::from_provider(code), Status::Io, "{code}");
    }
}
