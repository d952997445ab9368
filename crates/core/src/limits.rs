//! Every limit, each with its reason.
//!
//! Over a limit a call fails with a clear message and nothing is lost. What a limit bounds is
//! what a peer can make the daemon hold, or what the kernel and C callers can represent.

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

/// Checking an image reads all of it once, so its length bounds the time of a commit. This is room
/// for some 20 million nodes; all offsets in it fit into 32 bits.
pub const IMAGE_LEN_MAX: u64 = 2 << 30;

/// Offsets are signed in the kernel, so no file can be larger.
pub const FILE_SIZE_MAX: u64 = i64::MAX as u64;

/// The permission, set-id and sticky bits. The file type bits are not the provider's to choose.
pub const MODE_MAX: u32 = 0o7777;

/// Images up to this length share segments, longer ones keep a file descriptor each. A longer
/// image costs so much memory that its descriptor no longer matters.
pub const SHARED_IMAGE_LEN_MAX: usize = 256 << 10;

/// Large enough that ten thousand small promises need only some descriptors, small enough that
/// the last promise in a segment does not pin much.
pub const SEGMENT_LEN: usize = 16 << 20;

/// The largest FUSE read: the kernel's max_pages of 256, with pages of 4 KiB.
pub const READ_LEN_MAX: u32 = 1 << 20;

/// The kernel's readahead of an ordinary user; reads up to it need not take a large slot.
pub const SMALL_READ_LEN_MAX: u32 = 128 << 10;

/// As many reads as a provider may ask to have at once. Each needs a slot of the arena, and 4096
/// slots of the largest read are 4 GiB of addresses (not of memory: untouched pages cost nothing).
pub const CONCURRENT_READS_MAX: u32 = 4096;

/// What an arena may occupy of the address space: the slots for [`CONCURRENT_READS_MAX`] reads in
/// both classes, and room for prefetch.
pub const ARENA_LEN_MAX: u64 = 8 << 30;

/// Reads that wait for a free slot of one provider. The kernel sends at most some 7900 background
/// requests a user, and one for each thread that reads directly.
pub const QUEUED_READS_MAX: usize = 16384;

/// Materialize jobs that run at a time. Each has a thread and a share of the memory for answers;
/// more would only take turns on the same disks.
pub const JOBS_MAX: usize = 64;

/// Each provider holds a channel, an arena and a process descriptor, and its channel must fit into
/// the 4096 descriptors that systemd stores for the daemon.
pub const PROVIDERS_MAX: usize = 1024;

/// A promise costs a few hundred bytes beside its image; this bounds what one client that never
/// destroys anything can pile up.
pub const PROMISES_PER_PROVIDER_MAX: usize = 65536;

/// All images of one provider together: four of the largest.
pub const IMAGE_BYTES_PER_PROVIDER_MAX: u64 = 4 * IMAGE_LEN_MAX;
