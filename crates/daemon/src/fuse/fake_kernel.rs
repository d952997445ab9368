//! The other end of a FUSE connection: a socket that carries the kernel's packets, so that what
//! is answered can be looked at byte by byte, without a mount.

use std::os::fd::OwnedFd;
use std::time::Duration;

use fuser::InitFlags;
use rustix::io::retry_on_intr;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, Shutdown, SocketFlags, SocketType, shutdown, socketpair};

/// The kernel's numbers for its requests.
pub mod opcode {
    pub const LOOKUP: u32 = 1;
    pub const FORGET: u32 = 2;
    pub const GETATTR: u32 = 3;
    pub const MKDIR: u32 = 9;
    pub const UNLINK: u32 = 10;
    pub const RMDIR: u32 = 11;
    pub const OPEN: u32 = 14;
    pub const READ: u32 = 15;
    pub const WRITE: u32 = 16;
    pub const STATFS: u32 = 17;
    pub const RELEASE: u32 = 18;
    pub const FSYNC: u32 = 20;
    pub const REMOVEXATTR: u32 = 24;
    pub const GETXATTR: u32 = 22;
    pub const LISTXATTR: u32 = 23;
    pub const FLUSH: u32 = 25;
    pub const INIT: u32 = 26;
    pub const OPENDIR: u32 = 27;
    pub const READDIR: u32 = 28;
    pub const RELEASEDIR: u32 = 29;
    pub const READDIRPLUS: u32 = 44;
    pub const LSEEK: u32 = 46;
}

/// Notifications that a node's attributes are stale, and that a name is gone, as the kernel knows
/// them.
pub const NOTIFY_INVAL_INODE: i32 = 2;
pub const NOTIFY_INVAL_ENTRY: i32 = 3;

pub const READAHEAD: u32 = 131_072;

const HEADER_LEN: usize = 16;

/// A reply or a notification.
#[derive(Debug)]
pub struct Packet {
    /// 0, a negative errno, or the number of a notification.
    pub error: i32,
    /// 0 for a notification.
    pub unique: u64,
    pub body: Vec<u8>,
}

impl Packet {
    pub fn u32(&self, at: usize) -> u32 {
        u32::from_ne_bytes(self.body[at..at + 4].try_into().unwrap())
    }

    pub fn u64(&self, at: usize) -> u64 {
        u64::from_ne_bytes(self.body[at..at + 8].try_into().unwrap())
    }

    pub fn u16(&self, at: usize) -> u16 {
        u16::from_ne_bytes(self.body[at..at + 2].try_into().unwrap())
    }
}

/// Bytes of numbers as they lie in the kernel's structures.
pub fn words(words: &[u32]) -> Vec<u8> {
    words.iter().flat_map(|word| word.to_ne_bytes()).collect()
}

/// A 64-bit number as two of [`words`].
pub fn halves(number: u64) -> [u32; 2] {
    let bytes = number.to_ne_bytes();
    let half = |at: usize| u32::from_ne_bytes(bytes[at..at + 4].try_into().unwrap());
    [half(0), half(4)]
}

pub struct FakeKernel {
    socket: OwnedFd,
    unique: u64,
}

impl FakeKernel {
    /// A kernel that offers so much, and the descriptor to serve it on. INIT is on its way.
    pub fn new(offered: InitFlags) -> (Self, OwnedFd) {
        let (ours, theirs) = socketpair(
            AddressFamily::UNIX,
            SocketType::SEQPACKET,
            SocketFlags::CLOEXEC,
            None,
        )
        .unwrap();
        // Far above what any answer takes; a test that gets there hangs.
        let hang = Some(Duration::from_secs(60));
        set_socket_timeout(&ours, Timeout::Recv, hang).unwrap();
        let mut kernel = Self {
            socket: ours,
            unique: 0,
        };
        let [low, high] = halves(offered.bits());
        let mut init = vec![7, 45, READAHEAD, low, high];
        init.resize(16, 0);
        kernel.send(opcode::INIT, 0, &words(&init));
        (kernel, theirs)
    }

    /// Sends a request, and returns the reply to it.
    pub fn ask(&mut self, opcode: u32, node: u64, body: &[u8]) -> Packet {
        self.send(opcode, node, body);
        let reply = self.receive();
        assert_eq!(reply.unique, self.unique);
        reply
    }

    /// As [`ask`](Self::ask), for the errno alone; 0 if there was none.
    pub fn ask_errno(&mut self, opcode: u32, node: u64, body: &[u8]) -> i32 {
        -self.ask(opcode, node, body).error
    }

    pub fn send(&mut self, opcode: u32, node: u64, body: &[u8]) {
        self.unique += 2;
        let length = (40 + body.len()) as u32;
        let ([unique_low, unique_high], [node_low, node_high]) =
            (halves(self.unique), halves(node));
        let (uid, gid, pid) = (1000, 1000, std::process::id());
        let mut packet = words(&[
            length,
            opcode,
            unique_low,
            unique_high,
            node_low,
            node_high,
            uid,
            gid,
            pid,
            0,
        ]);
        packet.extend_from_slice(body);
        rustix::io::write(&self.socket, &packet).unwrap();
    }

    /// Ends the connection.
    pub fn hang_up(&self) {
        shutdown(&self.socket, Shutdown::Both).unwrap();
    }

    pub fn receive(&self) -> Packet {
        let mut packet = vec![0; 1 << 20];
        // A read with a limit on its time is not taken up again after an interruption.
        let read = retry_on_intr(|| rustix::io::read(&self.socket, &mut packet[..]));
        let length = read.unwrap();
        packet.truncate(length);
        let body = packet.split_off(HEADER_LEN);
        let header = Packet {
            error: 0,
            unique: 0,
            body: packet,
        };
        assert_eq!(header.u32(0) as usize, length);
        Packet {
            error: header.u32(4).cast_signed(),
            unique: header.u64(8),
            body,
        }
    }
}
