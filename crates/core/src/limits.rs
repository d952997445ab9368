//! Every limit, each with its reason.
//!
//! Over a limit a call fails with a clear message and nothing is lost. What a limit bounds is
//! what a peer can make the daemon hold, or what the kernel and C callers can represent.

// What a tree may be.

/// Linux's NAME_MAX: programs make room for no longer name, and hardly any file system could take
/// a copy of one.
pub const NAME_LEN_MAX: usize = 255;

/// Linux's PATH_MAX, without the NUL: a longer path inside the promise cannot be said in one
/// system call, and a fixed bound lets the daemon walk upwards without counting.
pub const PATH_LEN_MAX: usize = 4096;

/// Providers put keys and paths into node ids, so as long as a path; more would let a small tree
/// fill an image.
pub const NODE_ID_LEN_MAX: usize = 4096;

/// Rows are counted in 32 bits, and one number is kept free to mean "no row".
pub const NODES_MAX: u32 = u32::MAX - 1;

/// Offsets are signed in the kernel, so no file can be larger.
pub const FILE_SIZE_MAX: u64 = i64::MAX as u64;

/// The permission, set-id and sticky bits. The file type bits are not the provider's to choose.
pub const MODE_MAX: u32 = 0o7777;

/// Checking an image reads all of it once, so its length bounds the time of a commit. This is room
/// for some 20 million nodes; all offsets in it fit into 32 bits.
pub const IMAGE_LEN_MAX: u64 = 2 << 30;

/// Images up to this length share segments, longer ones keep a file descriptor each. A longer
/// image costs so much memory that its descriptor no longer matters.
pub const SHARED_IMAGE_LEN_MAX: usize = 256 << 10;

/// Large enough that ten thousand small promises need only some descriptors, small enough that
/// the last promise in a segment does not pin much.
pub const SEGMENT_LEN: usize = 16 << 20;

// What a provider may make the daemon hold.

/// Each provider holds a channel, an arena and a process descriptor, and its channel must fit into
/// the 4096 descriptors that systemd stores for the daemon.
pub const PROVIDERS_MAX: usize = 1024;

/// A promise costs a few hundred bytes beside its image; this bounds what one client that never
/// destroys anything can pile up.
pub const PROMISES_PER_PROVIDER_MAX: usize = 65536;

/// All images of one provider together: four of the largest.
pub const IMAGE_BYTES_PER_PROVIDER_MAX: u64 = 4 * IMAGE_LEN_MAX;

/// The largest FUSE read: the kernel's max_pages of 256, with pages of 4 KiB.
pub const READ_LEN_MAX: u32 = 1 << 20;

/// The kernel's readahead of an ordinary user; reads up to it need not take a large slot.
pub const SMALL_READ_LEN_MAX: u32 = 128 << 10;

/// Read callbacks that a provider may say it runs at a time: more threads than any program has. How
/// many requests are under way is bounded by its slots.
pub const CONCURRENT_READS_MAX: u32 = 4096;

/// Slots of one size that a provider gets, and so requests under way, whatever concurrency it asked
/// for: 64 requests of 1 MiB are more than any reader of one machine takes up.
pub const SLOTS_PER_SIZE_MAX: u32 = 64;

/// What an arena may occupy of the address space (not of memory: untouched pages cost nothing):
/// many times what its slots need, and far below what a process has.
pub const ARENA_LEN_MAX: u64 = 8 << 30;

/// Reads that wait for a free slot of one provider. The kernel sends at most some 7900 background
/// requests a user, and one for each thread that reads directly.
pub const QUEUED_READS_MAX: usize = 16384;

/// Frames for one provider that wait for room in its channel, which takes some 280 itself. Each
/// promise brings three (committed, destroyed, released), and all that a provider may have can go
/// at once; one that has so many unread does not read at all, and its session is ended.
pub const UNSENT_FRAMES_MAX: usize = 3 * PROMISES_PER_PROVIDER_MAX;

/// Nodes of one promise of which the last error is kept, so that somebody can ask what went wrong:
/// more than a person looks at, while a program that tries a whole tree whose provider refuses
/// everything fills some 16 KiB and no more.
pub const FAILED_NODES_MAX: usize = 64;

// Materialize.

/// Materialize jobs that run at a time. Each has a thread and a share of the memory for answers;
/// more would only take turns on the same disks.
pub const JOBS_MAX: usize = 64;

/// Ended materialize jobs whose report can still be asked for: more than anybody comes back to.
pub const ENDED_JOBS_MAX: usize = 64;

/// Entries of a job that are told one by one, with path and reason; beyond that they are only
/// counted. More than a person reads, and it bounds what an ended job leaves behind. With the
/// longest paths all of them together are well below the largest D-Bus message.
pub const JOB_ENTRIES_MAX: usize = 1000;

/// Names that the policy rename tries beside a taken one, `name (1)` and so on. Each is a look at
/// the target while the caller waits for an answer.
pub const RENAMES_MAX: u32 = 10_000;

// Calls and connections.

/// Calls at work at once. A client's thread waits for one answer before it asks the next thing, so
/// this is more clients than a session has.
pub const CALLS_MAX: u32 = 4096;

/// Of one caller: more threads than a program has that all call at once, and few enough that it
/// takes many such programs to fill the daemon.
pub const CALLS_PER_CALLER_MAX: u32 = 256;

/// Listings at once. Each costs a thread and a buffer, and a person or script needs one.
pub const LISTINGS_MAX: usize = 16;

/// The most nodes that one call of Promise.Nodes answers with: with the longest paths and node ids
/// a page stays far below the 128 MiB of the largest D-Bus message.
pub const NODES_PER_PAGE_MAX: u32 = 4096;

/// A message of a peer on the socket, without the fixed part of its header. The longest call has a
/// token, some options and a path: far less than this.
pub const MESSAGE_LEN_MAX: usize = 256 << 10;

/// Descriptors in one message. The bus allows as many by default; our calls bring one.
pub const MESSAGE_DESCRIPTORS_MAX: usize = 16;

/// Peers at the door of the socket at once, before the end of their handshake: more than any login
/// brings, and few enough to keep silent connections from using up our descriptors. Others wait in
/// the socket's own queue.
pub const HANDSHAKES_MAX: usize = 64;

/// A line of a handshake. The longest that a client has reason to send is AUTH with a user number
/// in hexadecimal.
pub const HANDSHAKE_LINE_LEN_MAX: usize = 256;

/// Lines of a handshake. Six commands are a long one; a client that is refused may try again some
/// times.
pub const HANDSHAKE_LINES_MAX: usize = 32;

/// News that wait for a peer of the socket, which hears of its own providers and jobs only. One
/// that takes none of them is disconnected.
pub const NEWS_FOR_PEER_MAX: usize = 16 << 10;

/// News that wait for the session bus, which hears of every promise: the ends of sixteen providers
/// with all the promises they may have come at once.
pub const NEWS_FOR_SESSION_MAX: usize = 1 << 20;

/// Descriptors kept for those who are there when newcomers use up the others: those that a call
/// brings with it ([`MESSAGE_DESCRIPTORS_MAX`]), the files that jobs open one after the other,
/// reports that are written to a pipe.
pub const DESCRIPTORS_KEPT: u64 = 64;
