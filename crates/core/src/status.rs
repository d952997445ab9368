//! The one table of outcomes.
//!
//! Every failure in the project is one of these statuses. A row of the table says how it looks
//! from each side: the C number, the C text, the errno at a promised file, the D-Bus error name
//! and the exit code of fpctl. No other place converts between them.

use std::fmt;

/// The full D-Bus error name of one word.
macro_rules! dbus {
    ($word:literal) => {
        concat!("io.github.fuse_promise.Private1.Error.", $word)
    };
}

/// The outcome of a call or of a read; the numbers are those of `fp_status_t`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u32)]
pub enum Status {
    Ok = 0,
    InvalidArgument = 1,
    Unavailable = 2,
    Permission = 3,
    NotFound = 4,
    AlreadyExists = 5,
    ProviderGone = 6,
    Io = 7,
    Timeout = 8,
    Cancelled = 9,
    VersionMismatch = 10,
}

struct Entry {
    status: Status,
    text: &'static str,
    errno: i32,
    dbus_name: &'static str,
}

const fn entry(status: Status, text: &'static str, errno: i32, dbus_name: &'static str) -> Entry {
    Entry {
        status,
        text,
        errno,
        dbus_name,
    }
}

/// Ordered by number. Unavailable, AlreadyExists and VersionMismatch are outcomes of calls and
/// never of a read; should one reach a file all the same, EIO claims the least.
#[rustfmt::skip]
const TABLE: [Entry; 11] = [
    entry(Status::Ok,              "ok",                0,                 dbus!("Ok")),
    entry(Status::InvalidArgument, "invalid argument",  libc::EINVAL,      dbus!("InvalidArgument")),
    entry(Status::Unavailable,     "unavailable",       libc::EIO,         dbus!("Unavailable")),
    entry(Status::Permission,      "permission denied", libc::EACCES,      dbus!("Permission")),
    entry(Status::NotFound,        "not found",         libc::ENOENT,      dbus!("NotFound")),
    entry(Status::AlreadyExists,   "already exists",    libc::EIO,         dbus!("AlreadyExists")),
    entry(Status::ProviderGone,    "provider gone",     libc::EIO,         dbus!("ProviderGone")),
    entry(Status::Io,              "io error",          libc::EIO,         dbus!("Io")),
    entry(Status::Timeout,         "timeout",           libc::ETIMEDOUT,   dbus!("Timeout")),
    entry(Status::Cancelled,       "cancelled",         libc::ECANCELED,   dbus!("Cancelled")),
    entry(Status::VersionMismatch, "version mismatch",  libc::EIO,         dbus!("VersionMismatch")),
];

impl Status {
    pub const ALL: [Self; 11] = {
        let mut all = [Self::Ok; 11];
        let mut number = 0;
        while number < TABLE.len() {
            all[number] = TABLE[number].status;
            number += 1;
        }
        all
    };

    const fn entry(self) -> &'static Entry {
        &TABLE[self as usize]
    }

    /// The number of `fp_status_t`.
    #[must_use]
    pub const fn code(self) -> u32 {
        self as u32
    }

    #[must_use]
    pub fn from_code(code: u32) -> Option<Self> {
        let entry = TABLE.get(usize::try_from(code).ok()?)?;
        Some(entry.status)
    }

    /// What `fp_status_string` says.
    #[must_use]
    pub const fn text(self) -> &'static str {
        self.entry().text
    }

    /// What a program sees at a promised file; 0 for `Ok`.
    #[must_use]
    pub fn errno(self) -> i32 {
        self.entry().errno
    }

    /// The full D-Bus error name, such as `io.github.fuse_promise.Private1.Error.Timeout`.
    #[must_use]
    pub fn dbus_name(self) -> &'static str {
        self.entry().dbus_name
    }

    /// The status behind a D-Bus error name of ours; `None` for names of others, and for `Ok`,
    /// which no error may claim to be.
    #[must_use]
    pub fn from_dbus_name(name: &str) -> Option<Self> {
        let entry = TABLE[1..].iter().find(|entry| entry.dbus_name == name)?;
        Some(entry.status)
    }

    /// The exit code of fpctl: 0, or 10 and the status. (2 is bad usage, 1 is anything else.)
    #[must_use]
    pub fn exit_code(self) -> u8 {
        match self {
            Self::Ok => 0,
            failed => 10 + failed as u8,
        }
    }

    /// What a provider's answer to a read means. A provider may say why it refuses; a status that
    /// makes no sense for a read, or no status at all, counts as an I/O error.
    #[must_use]
    pub fn from_provider(code: u32) -> Self {
        match Self::from_code(code) {
            Some(
                status @ (Self::Ok
                | Self::Permission
                | Self::NotFound
                | Self::Io
                | Self::Timeout
                | Self::Cancelled),
            ) => status,
            _ => Self::Io,
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.text())
    }
}

#[cfg(test)]
mod tests;
