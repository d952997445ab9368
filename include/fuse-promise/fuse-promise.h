/* SPDX-License-Identifier: MIT OR Apache-2.0 */

/*
 * fuse-promise: publish files whose bytes you make when somebody reads them.
 *
 * A provider registers a read callback, builds a tree of names, sizes and times, and commits it.
 * From then on the tree is visible to every program of the session under
 * $XDG_RUNTIME_DIR/fuse-promise/promise-N/, and each read(2) of one of its files is answered by the
 * callback. The daemon that mounts it, fuse-promised, starts by itself when it is first needed.
 *
 *     fp_context_open -> fp_provider_register -> fp_promise_builder_new -> fp_promise_add_dir,
 *     fp_promise_add_file ... -> fp_promise_commit -> fp_promise_builder_free
 *
 * Strings and structs given to a function are copied; they may go as soon as it returns. Handles
 * are owned by whoever opened them and are closed once. Every function may be called from any
 * thread, and from inside a callback; only closing a handle while another thread uses it is a
 * mistake.
 *
 * A function that asks the daemon waits up to 10 seconds for an answer, starting the daemon
 * included, and then returns FP_ERR_TIMEOUT or FP_ERR_UNAVAILABLE: fp_provider_register,
 * fp_provider_register_ex, fp_promise_destroy, fp_promise_invalidate, fp_materialize_start, and
 * fp_promise_commit, which registers anew first if the daemon has been started anew.
 * fp_provider_unregister and fp_context_close wait as long at most for the daemon, and besides for
 * callbacks that are running.
 *
 * The library's threads block all signals and print nothing. After fork() the child may not use what
 * the parent had open: every fp_ function there returns FP_ERR_UNAVAILABLE, closing functions do
 * nothing, and the parent is not disturbed. A program that forks into the background does so before
 * its first fp_context_open(). Descriptors and shared memory of the library are closed in the child;
 * a read callback that forks has no response->buffer there.
 *
 * A program may dlclose() the shared library, whose code then stays. A plugin that is itself
 * unloaded and has the static library linked into it must be linked with -Wl,-z,nodelete.
 */

#ifndef FUSE_PROMISE_FUSE_PROMISE_H
#define FUSE_PROMISE_FUSE_PROMISE_H

#include <stddef.h>
#include <stdint.h>

/* The version of the API that a program is compiled with; see fp_context_options_t. */
#define FP_API_VERSION 1u

/* Done. */
#define FP_OK ((fp_status_t)0u)
/* An argument is wrong; fp_last_error() names it. */
#define FP_ERR_INVALID_ARGUMENT ((fp_status_t)1u)
/* No daemon, no mount, no runtime directory, a limit was reached, or called in a forked child. */
#define FP_ERR_UNAVAILABLE ((fp_status_t)2u)
/* Not yours, or not safe to use. */
#define FP_ERR_PERMISSION ((fp_status_t)3u)
/* Not there. */
#define FP_ERR_NOT_FOUND ((fp_status_t)4u)
/* Already there. */
#define FP_ERR_ALREADY_EXISTS ((fp_status_t)5u)
/* The provider has been unregistered, or its process has ended. */
#define FP_ERR_PROVIDER_GONE ((fp_status_t)6u)
/* Input or output failed, or the library did. */
#define FP_ERR_IO ((fp_status_t)7u)
/* Somebody did not answer in time. */
#define FP_ERR_TIMEOUT ((fp_status_t)8u)
/* Given up on request. */
#define FP_ERR_CANCELLED ((fp_status_t)9u)
/* Program, library and daemon are of versions that do not understand each other. */
#define FP_ERR_VERSION_MISMATCH ((fp_status_t)10u)

/* Something of that name is there already: give up, */
#define FP_CONFLICT_FAIL ((fp_conflict_policy_t)0u)
/* replace files and use directories that are there, but never symlinks, */
#define FP_CONFLICT_OVERWRITE ((fp_conflict_policy_t)1u)
/* or take another name: "name (1).ext", "name (2).ext" and so on. */
#define FP_CONFLICT_RENAME ((fp_conflict_policy_t)2u)
/* Of fp_materialize_start() alone: leave what is there, */
#define FP_CONFLICT_SKIP ((fp_conflict_policy_t)3u)
/* or replace only files that are older than the promised ones. */
#define FP_CONFLICT_NEWER ((fp_conflict_policy_t)4u)

/* What the daemon does with promises of which nothing is said, */
#define FP_CACHE_POLICY_DEFAULT ((fp_cache_policy_t)0u)
/* or each read asks the provider for exactly what the program reads, */
#define FP_CACHE_POLICY_NONE ((fp_cache_policy_t)1u)
/* or what was read once is kept as long as there is room, and files that are read in sequence are
 * asked for ahead, */
#define FP_CACHE_POLICY_READ_THROUGH ((fp_cache_policy_t)2u)
/* or the same, and nothing of it is given up for other promises as long as the promise lives. Three
 * quarters of the daemon's cache can be taken in this way; what does not fit is not kept. */
#define FP_CACHE_POLICY_KEEP ((fp_cache_policy_t)3u)

/* The promise is out of the listing; files that are open are still read, */
#define FP_EVENT_DESTROYED ((fp_event_kind_t)1u)
/* or the last of them was closed: no more reads of it will come, and what the program keeps for the
 * promise may be freed. */
#define FP_EVENT_RELEASED ((fp_event_kind_t)2u)

/* A job copies, has ended well, has ended with a failure of the whole or of an entry, or was
 * stopped. */
#define FP_JOB_RUNNING ((fp_materialize_state_t)0u)
#define FP_JOB_FINISHED ((fp_materialize_state_t)1u)
#define FP_JOB_FAILED ((fp_materialize_state_t)2u)
#define FP_JOB_CANCELLED ((fp_materialize_state_t)3u)

/* An entry took the place of a file, was left alone by the policy, or failed. */
#define FP_ENTRY_REPLACED ((fp_materialize_outcome_t)1u)
#define FP_ENTRY_SKIPPED ((fp_materialize_outcome_t)2u)
#define FP_ENTRY_FAILED ((fp_materialize_outcome_t)3u)

/* Initialisers, as in: fp_context_options_t options = FP_CONTEXT_OPTIONS_INIT; */
#define FP_CONTEXT_OPTIONS_INIT \
    { (uint32_t)sizeof(fp_context_options_t), FP_API_VERSION, NULL }
#define FP_PROVIDER_OPS_INIT(read_fn) \
    { (uint32_t)sizeof(fp_provider_ops_t), (read_fn) }
#define FP_PROVIDER_CONFIG_INIT(read_fn) \
    { (uint32_t)sizeof(fp_provider_config_t), 0u, 0u, 0u, (read_fn), NULL }
#define FP_NODE_ATTR_INIT \
    { (uint32_t)sizeof(fp_node_attr_t), 0u, 0u, 0 }
#define FP_MATERIALIZE_OPTIONS_INIT \
    { (uint32_t)sizeof(fp_materialize_options_t), FP_CONFLICT_FAIL, NULL, NULL }
#define FP_MATERIALIZE_START_OPTIONS_INIT \
    { (uint32_t)sizeof(fp_materialize_start_options_t), FP_CONFLICT_FAIL, 0u, 0u }
#define FP_MATERIALIZE_STATUS_INIT \
    { (uint32_t)sizeof(fp_materialize_status_t), FP_JOB_RUNNING, FP_OK, 0u, \
      0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u, 0u }
#define FP_MATERIALIZE_ENTRY_INIT \
    { (uint32_t)sizeof(fp_materialize_entry_t), 0u, FP_OK, 0u, NULL, NULL }

/**
 * A way to one daemon: the one that serves a runtime directory. Any thread may use it, several at
 * a time.
 */
typedef struct fp_context_t fp_context_t;

/**
 * A copy that was begun with fp_materialize_start(). Any thread may use it, several at a time.
 */
typedef struct fp_materialize_job_t fp_materialize_job_t;

/**
 * A tree that is being put together. Threads that share one wait for each other.
 */
typedef struct fp_promise_builder_t fp_promise_builder_t;

/**
 * A registered provider: it publishes promises and answers reads of their files. Any thread may
 * use it, several at a time.
 */
typedef struct fp_provider_t fp_provider_t;

/**
 * The outcome of a call: one of the FP_OK and FP_ERR_ constants. Values this header does not know
 * may be added.
 */
typedef uint32_t fp_status_t;

/**
 * How to open a context. Initialise it with FP_CONTEXT_OPTIONS_INIT.
 */
typedef struct fp_context_options_t {
    /**
     * sizeof(fp_context_options_t).
     */
    uint32_t struct_size;
    /**
     * FP_API_VERSION.
     */
    uint32_t api_version;
    /**
     * Absolute path of the runtime directory, or NULL for $XDG_RUNTIME_DIR. The text is copied. A
     * directory other than $XDG_RUNTIME_DIR is served by a daemon that was started there by hand.
     */
    const char *runtime_dir;
} fp_context_options_t;

/**
 * Which bytes of which file are asked for. The struct and its texts belong to the library and are
 * valid until the callback returns.
 */
typedef struct fp_read_request_t {
    /**
     * The promise, for instance "promise-7".
     */
    const char *promise_id;
    /**
     * The node id that fp_promise_add_file() was given for this file.
     */
    const char *node_id;
    /**
     * The file's path inside the promise.
     */
    const char *relative_path;
    /**
     * The first byte asked for, counted from the beginning of the file. Less than the file's
     * declared size.
     */
    uint64_t offset;
    /**
     * How many bytes are asked for. At least 1; offset + length is at most the declared size.
     */
    size_t length;
} fp_read_request_t;

/**
 * Where the bytes go. The struct and its buffer belong to the library and are valid until the
 * callback returns.
 */
typedef struct fp_read_response_t {
    /**
     * Write the bytes here. What is in it before is undefined. If the callback forks, it is gone
     * in the child.
     */
    uint8_t *buffer;
    /**
     * Room in the buffer: the request's length.
     */
    size_t buffer_len;
    /**
     * Set this to the number of bytes written; 0 when the callback begins.
     */
    size_t bytes_written;
} fp_read_response_t;

/**
 * Answers one read.
 *
 * It runs on a thread of the library that blocks every signal, one call at a time for each
 * provider unless fp_provider_config_t.max_concurrent_reads allows more, until
 * fp_provider_unregister() has returned. user_data is what fp_provider_register() was given; the
 * library only hands it on, and does so from its own threads.
 *
 * Write up to response->buffer_len bytes into response->buffer, set response->bytes_written and
 * return FP_OK. Fewer bytes than asked for is allowed: the library asks again for the rest. No
 * bytes at all means that the file ends here, before its declared size.
 *
 * Any other status fails this read and nothing else. The reader sees FP_ERR_PERMISSION as EACCES,
 * FP_ERR_NOT_FOUND as ENOENT, FP_ERR_CANCELLED as ECANCELED, FP_ERR_TIMEOUT as ETIMEDOUT, every
 * other one as EIO; bytes_written over buffer_len is EIO too. A callback that takes longer than
 * the read timeout (30 s) has answered nobody: the reader got ETIMEDOUT.
 *
 * The callback may call any fp_ function. fp_promise_commit() works, and so does
 * fp_provider_unregister() of its own provider: then this call is its last. Reading one's own
 * promise through the mount from inside the callback waits for this very callback and ends with
 * ETIMEDOUT. The callback must not throw a C++ exception or longjmp() out.
 */
typedef fp_status_t (*fp_provider_read_fn)(const struct fp_read_request_t *request,
                                           struct fp_read_response_t *response,
                                           void *user_data);

/**
 * The callbacks of a provider. Initialise it with FP_PROVIDER_OPS_INIT(read_fn). The struct is
 * copied.
 */
typedef struct fp_provider_ops_t {
    /**
     * sizeof(fp_provider_ops_t).
     */
    uint32_t struct_size;
    /**
     * Answers reads. Must not be NULL.
     */
    fp_provider_read_fn read;
} fp_provider_ops_t;

/**
 * What an event tells of: one of the FP_EVENT_ constants. Later versions may tell more; a callback
 * leaves alone what it does not know.
 */
typedef uint32_t fp_event_kind_t;

/**
 * What has happened. The struct and its texts belong to the library and are valid until the
 * callback returns.
 */
typedef struct fp_event_t {
    /**
     * sizeof(fp_event_t) of the library, which may be larger than the program's.
     */
    uint32_t struct_size;
    /**
     * One of the FP_EVENT_ constants.
     */
    fp_event_kind_t kind;
    /**
     * The promise it happened to, for instance "promise-7".
     */
    const char *promise_id;
} fp_event_t;

/**
 * Hears what becomes of the provider's promises.
 *
 * It runs on the threads that run the read callback, and with max_concurrent_reads 1 never beside
 * it; it is never called while it runs. What it hears of one promise is in the order in which it
 * happened. FP_EVENT_RELEASED comes once for each promise that is destroyed, when the last read
 * callback for it has returned. There are no events of promises that end with their provider:
 * none after fp_provider_unregister() has returned, and none when the daemon ends. An event may
 * come before the fp_promise_commit() of its promise has returned, if somebody is that fast.
 *
 * Reads of the provider may have to wait until it returns. It may call any fp_ function, as the
 * read callback may, fp_provider_unregister() of its own provider included: then this call is the
 * last. It must not throw a C++ exception or longjmp() out.
 */
typedef void (*fp_provider_event_fn)(const struct fp_event_t *event, void *user_data);

/**
 * The callbacks of a provider and how they are called. Initialise it with
 * FP_PROVIDER_CONFIG_INIT(read_fn). The struct is copied.
 */
typedef struct fp_provider_config_t {
    /**
     * sizeof(fp_provider_config_t).
     */
    uint32_t struct_size;
    /**
     * Must be 0; no bit has a meaning yet.
     */
    uint32_t flags;
    /**
     * How many read callbacks may run at a time, each on a thread of its own: up to 4096, and 0
     * means one. Threads are started as they are needed; more than 128, for which the daemon has
     * room, never run.
     */
    uint32_t max_concurrent_reads;
    /**
     * After how many milliseconds a read has failed with FP_ERR_TIMEOUT. 0 means as long as the
     * daemon gives every provider, 30 s unless it was started with another time.
     */
    uint32_t read_timeout_ms;
    /**
     * Answers reads. Must not be NULL.
     */
    fp_provider_read_fn read;
    /**
     * Hears what becomes of promises. May be NULL.
     */
    fp_provider_event_fn event;
} fp_provider_config_t;

/**
 * What stat() shows of a node. Initialise it with FP_NODE_ATTR_INIT, which sets everything else to
 * 0. The struct is copied.
 */
typedef struct fp_node_attr_t {
    /**
     * sizeof(fp_node_attr_t).
     */
    uint32_t struct_size;
    /**
     * Permission, set-id and sticky bits: at most 07777, no file type bits.
     */
    uint32_t mode;
    /**
     * Size in bytes, at most INT64_MAX. 0 for a directory.
     */
    uint64_t size;
    /**
     * Time of last modification in nanoseconds since 1970-01-01 00:00 UTC. Not negative.
     */
    int64_t mtime_nsec;
} fp_node_attr_t;

/**
 * Where the bytes of repeated reads come from: one of the FP_CACHE_POLICY_ constants. A policy
 * decides how fast reads are and how often the provider is asked, never what a reader sees.
 */
typedef uint32_t fp_cache_policy_t;

/**
 * What to do about something that is already there: one of the FP_CONFLICT_ constants.
 */
typedef uint32_t fp_conflict_policy_t;

/**
 * How far a copy has come. The struct and its text belong to the library and are valid until the
 * callback returns.
 */
typedef struct fp_materialize_progress_t {
    /**
     * sizeof(fp_materialize_progress_t) of the library; at least that of this header.
     */
    uint32_t struct_size;
    /**
     * Files and directories that are done, and how many there are.
     */
    uint64_t entries_done;
    uint64_t entries_total;
    /**
     * Bytes written, and the sum of the declared sizes.
     */
    uint64_t bytes_written;
    uint64_t bytes_total;
    /**
     * The same for files alone.
     */
    uint64_t files_written;
    uint64_t files_total;
    /**
     * The same for directories alone.
     */
    uint64_t directories_created;
    uint64_t directories_total;
    /**
     * The path of the copy.
     */
    const char *target_path;
} fp_materialize_progress_t;

/**
 * Told how far a copy has come: at most ten times a second, and at least once, when everything has
 * been copied. It runs on the thread that called fp_materialize(), with the user data given in the
 * options, and may call any fp_ function. Return FP_OK to go on; any other status stops the copy,
 * even a complete one, removes what it has created and is what fp_materialize() returns. The
 * callback must not throw a C++ exception or longjmp() out.
 */
typedef fp_status_t (*fp_materialize_progress_fn)(const struct fp_materialize_progress_t *progress,
                                                  void *user_data);

/**
 * How to copy. Initialise it with FP_MATERIALIZE_OPTIONS_INIT: fail on conflicts, no progress.
 */
typedef struct fp_materialize_options_t {
    /**
     * sizeof(fp_materialize_options_t).
     */
    uint32_t struct_size;
    /**
     * One of FP_CONFLICT_FAIL, FP_CONFLICT_OVERWRITE and FP_CONFLICT_RENAME.
     */
    fp_conflict_policy_t conflict_policy;
    /**
     * May be NULL.
     */
    fp_materialize_progress_fn progress;
    /**
     * Given to every call of progress as it is.
     */
    void *progress_user_data;
} fp_materialize_options_t;

/**
 * How to copy. Initialise it with FP_MATERIALIZE_START_OPTIONS_INIT: fail on conflicts, neither
 * sync nor detach.
 */
typedef struct fp_materialize_start_options_t {
    /**
     * sizeof(fp_materialize_start_options_t).
     */
    uint32_t struct_size;
    /**
     * One of the FP_CONFLICT_ constants, FP_CONFLICT_SKIP and FP_CONFLICT_NEWER included.
     */
    fp_conflict_policy_t conflict_policy;
    /**
     * 1 to bring every file and directory to disk before it counts as written, else 0.
     */
    uint32_t sync;
    /**
     * 1 if the job is to go on when this process ends or closes the context, else 0.
     */
    uint32_t detach;
} fp_materialize_start_options_t;

/**
 * How far a job is: one of the FP_JOB_ constants.
 */
typedef uint32_t fp_materialize_state_t;

/**
 * How far a job is. Initialise it with FP_MATERIALIZE_STATUS_INIT.
 */
typedef struct fp_materialize_status_t {
    /**
     * sizeof(fp_materialize_status_t).
     */
    uint32_t struct_size;
    /**
     * One of the FP_JOB_ constants.
     */
    fp_materialize_state_t state;
    /**
     * Of a job that has ended: FP_OK, or the first failure.
     */
    fp_status_t status;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * Files and directories that are done, and how many there are.
     */
    uint64_t entries_done;
    uint64_t entries_total;
    /**
     * Bytes written, and the sum of the declared sizes.
     */
    uint64_t bytes_written;
    uint64_t bytes_total;
    /**
     * The same for files alone.
     */
    uint64_t files_written;
    uint64_t files_total;
    /**
     * The same for directories alone.
     */
    uint64_t directories_created;
    uint64_t directories_total;
    /**
     * Bytes per second while the job ran.
     */
    uint64_t bytes_per_second;
    /**
     * Of a job that has ended: entries that were created or replaced, left alone by the policy,
     * failed, and created and removed again.
     */
    uint64_t written;
    uint64_t skipped;
    uint64_t failed;
    uint64_t removed;
} fp_materialize_status_t;

/**
 * What became of an entry: one of the FP_ENTRY_ constants.
 */
typedef uint32_t fp_materialize_outcome_t;

/**
 * One entry of a job's result. Initialise it with FP_MATERIALIZE_ENTRY_INIT. The texts belong to
 * the job and are valid until it is freed.
 */
typedef struct fp_materialize_entry_t {
    /**
     * sizeof(fp_materialize_entry_t).
     */
    uint32_t struct_size;
    /**
     * One of the FP_ENTRY_ constants.
     */
    fp_materialize_outcome_t outcome;
    /**
     * Why it failed, FP_OK unless it did.
     */
    fp_status_t status;
    /**
     * Always 0.
     */
    uint32_t reserved;
    /**
     * Relative to the target directory.
     */
    const char *path;
    /**
     * Why it failed as a sentence, empty unless it did.
     */
    const char *message;
} fp_materialize_entry_t;

#ifdef __cplusplus
extern "C" {
#endif // __cplusplus

/**
 * The version of the library that is running, for instance "1.1.0". Never NULL. The text is
 * static.
 */
const char *fp_library_version(void);

/**
 * The status as a short lower-case text, for instance "not found"; "unknown status" for any other
 * number. Never NULL. The text is static. fp_last_error() has the sentence that tells what
 * happened.
 */
const char *fp_status_string(fp_status_t status);

/**
 * The calling thread's last failure as a sentence for a person: what was wrong, with which path or
 * id. Never NULL; an empty string if no call of this thread has failed. A call that succeeds
 * leaves it as it is.
 *
 * The text belongs to the library and is valid until the thread's next call of an fp_ function.
 * Works in every thread, in callbacks, and in a forked child.
 */
const char *fp_last_error(void);

/**
 * Opens a context. No daemon is needed yet; the first call that needs one connects, and starts it
 * if it must.
 *
 * options may be NULL, which means the defaults. On success *out_context is a handle that you own
 * until fp_context_close(); on failure it stays NULL.
 *
 * FP_ERR_INVALID_ARGUMENT: out_context is NULL, struct_size is wrong, or the runtime directory is
 * relative, empty or not a directory. FP_ERR_VERSION_MISMATCH: api_version is not FP_API_VERSION.
 * FP_ERR_UNAVAILABLE: the runtime directory is missing, or XDG_RUNTIME_DIR is not set and none was
 * given. FP_ERR_PERMISSION: it belongs to another user, or group or others have access to it.
 */
fp_status_t fp_context_open(const struct fp_context_options_t *options,
                            struct fp_context_t **out_context);

/**
 * Closes a context and ends the providers that were registered through it: reads of their promises
 * fail from then on. Handles of those providers and of builders stay yours to free. NULL does
 * nothing.
 *
 * When it returns, no read callback of those providers runs or will run. It waits for callbacks
 * that are running, however long that takes: do not hold a lock that one of them takes. Called
 * from inside a callback it does not wait for that one, which ends last.
 */
void fp_context_close(struct fp_context_t *context);

/**
 * Registers a provider with the context's daemon, which is started if need be.
 *
 * user_data goes to every callback as it is, and may be NULL; what it points to must stay valid
 * until fp_provider_unregister() or fp_context_close() has returned. On success *out_provider is a
 * handle that you own until fp_provider_unregister(); on failure it stays NULL.
 *
 * FP_ERR_INVALID_ARGUMENT: context, ops or out_provider is NULL, struct_size is wrong, or
 * ops->read is NULL. FP_ERR_UNAVAILABLE: there is no daemon and none could be started, or it
 * cannot serve; fp_last_error() tells why. FP_ERR_TIMEOUT: the daemon did not answer.
 * FP_ERR_VERSION_MISMATCH: daemon and library do not understand each other.
 */
fp_status_t fp_provider_register(struct fp_context_t *context,
                                 const struct fp_provider_ops_t *ops,
                                 void *user_data,
                                 struct fp_provider_t **out_provider);

/**
 * Ends a provider and frees its handle. Its promises go out of the listing at once; reads of files
 * that are still open fail with EIO. NULL does nothing.
 *
 * When it returns, no callback of the provider runs or will run again, so user_data may be freed.
 * It waits for callbacks that are running, however long that takes: do not hold a lock that they
 * take. Called from inside a callback it waits for none, and no other one begins after it; those
 * that run beside it, if there may be several, end after it.
 */
void fp_provider_unregister(struct fp_provider_t *provider);

/**
 * Registers a provider as fp_provider_register() does, with more to choose.
 *
 * FP_ERR_INVALID_ARGUMENT: context, config or out_provider is NULL, struct_size is wrong, a bit of
 * config->flags is set, config->max_concurrent_reads is more than 4096, or config->read is NULL.
 * Other failures are those of fp_provider_register().
 */
fp_status_t fp_provider_register_ex(struct fp_context_t *context,
                                    const struct fp_provider_config_t *config,
                                    void *user_data,
                                    struct fp_provider_t **out_provider);

/**
 * Begins a promise of the given provider. The provider must have been registered through the same
 * context.
 *
 * On success *out_builder is a handle that you own until fp_promise_builder_free(), also after a
 * commit; on failure it stays NULL. The root directory of the promise is there from the start,
 * with mode 0755 and mtime 0.
 *
 * FP_ERR_INVALID_ARGUMENT: an argument is NULL, or the provider belongs to another context.
 */
fp_status_t fp_promise_builder_new(struct fp_context_t *context,
                                   struct fp_provider_t *provider,
                                   struct fp_promise_builder_t **out_builder);

/**
 * Adds a directory.
 *
 * relative_path is UTF-8, relative to the promise; "./q", "a//b" and "t/" mean "q", "a/b" and "t".
 * Its parent must have been added before. provider_node_id is any non-empty text of up to 4096
 * bytes; read callbacks get it back. All arguments are copied.
 *
 * FP_ERR_INVALID_ARGUMENT: an argument is NULL, struct_size is wrong, mode, size or mtime_nsec is
 * out of range, the path is empty, ".", absolute, not UTF-8, contains ".." or a name over 255
 * bytes, the node id is empty, or the builder has been committed. FP_ERR_NOT_FOUND: the parent has
 * not been added. FP_ERR_ALREADY_EXISTS: the path has.
 */
fp_status_t fp_promise_add_dir(struct fp_promise_builder_t *builder,
                               const char *relative_path,
                               const struct fp_node_attr_t *attr,
                               const char *provider_node_id);

/**
 * Adds a file, whose bytes the provider's read callback will be asked for. Arguments and failures
 * are those of fp_promise_add_dir(), except that a file may have a size.
 *
 * The size is what readers see and rely on: declare it as it is.
 */
fp_status_t fp_promise_add_file(struct fp_promise_builder_t *builder,
                                const char *relative_path,
                                const struct fp_node_attr_t *attr,
                                const char *provider_node_id);

/**
 * Publishes the tree. When it returns FP_OK the promise is visible to every program of the
 * session, and out_path holds its absolute path, NUL-terminated: the mount's path and "promise-N".
 * A builder with nothing in it publishes an empty directory.
 *
 * A failed commit has published nothing and the builder stays usable. After a successful one the
 * builder can only be freed; the promise lives on until its provider is unregistered or its
 * process ends.
 *
 * FP_ERR_INVALID_ARGUMENT: builder or out_path is NULL, out_path_len is too small for the path and
 * its NUL, or the builder has been committed. FP_ERR_PROVIDER_GONE: the provider has been
 * unregistered. FP_ERR_UNAVAILABLE: no daemon, no mount, or a limit is reached. FP_ERR_TIMEOUT:
 * the daemon did not answer.
 */
fp_status_t fp_promise_commit(struct fp_promise_builder_t *builder,
                              char *out_path,
                              size_t out_path_len);

/**
 * Frees a builder. What it has committed stays published. NULL does nothing.
 */
void fp_promise_builder_free(struct fp_promise_builder_t *builder);

/**
 * Chooses the cache policy of the promise, which then holds whatever the daemon was started with.
 * To be called before the commit; of several calls the last one counts. Without any it is
 * FP_CACHE_POLICY_DEFAULT.
 *
 * FP_ERR_INVALID_ARGUMENT: builder is NULL, policy is none of the FP_CACHE_POLICY_ constants, or
 * the builder has been committed.
 */
fp_status_t fp_promise_builder_set_cache_policy(struct fp_promise_builder_t *builder,
                                                fp_cache_policy_t policy);

/**
 * Drops what the daemon and the kernel hold of a promise's bytes: of every node that was added
 * with provider_node_id, or of all nodes if that is NULL. The next read of them asks the provider
 * again, and what it answers is kept again as the policy says.
 *
 * This frees room; it does not announce other content, which stays what it was. A read that is
 * under way is answered, and its bytes are not kept. Files that were written by a materialize are
 * the user's: they stay, and reads that they serve ask nobody. With FP_CACHE_POLICY_NONE nothing is
 * held and nothing happens. May be called from inside the read callback.
 *
 * promise_id is the last part of the path from fp_promise_commit(), "promise-7" for instance; read
 * callbacks get it too.
 *
 * FP_ERR_INVALID_ARGUMENT: provider or promise_id is NULL, promise_id is no promise id, or
 * provider_node_id is empty. FP_ERR_NOT_FOUND: the provider has no such promise, the daemon in
 * which it was published has ended, or no node of the promise has that id.
 * FP_ERR_PROVIDER_GONE: the provider has been unregistered. FP_ERR_UNAVAILABLE: the context is
 * closed, the daemon is stopping, or a limit is reached. FP_ERR_TIMEOUT: the daemon did not answer.
 */
fp_status_t fp_promise_invalidate(struct fp_provider_t *provider,
                                  const char *promise_id,
                                  const char *provider_node_id);

/**
 * Takes a promise out of the listing, whoever published it, as rm does with a file: its name is
 * gone when this returns, and nobody finds anything by it any more. Files of it that are open are
 * served on while their provider lives, and so is a copy that has begun; with the last of them
 * everything the daemon holds of the promise is freed. The provider is told by FP_EVENT_DESTROYED
 * and FP_EVENT_RELEASED, see fp_provider_config_t.
 *
 * To replace a promise, commit the new one and destroy the old one: programs that are reading the
 * old one go on with its bytes. May be called from inside callbacks.
 *
 * promise_path_or_id is the path from fp_promise_commit(), or its last part, "promise-7" for
 * instance.
 *
 * FP_ERR_INVALID_ARGUMENT: context or promise_path_or_id is NULL, or it names no promise: neither
 * an id nor an absolute path, or the path of something inside a promise or of the mount itself.
 * FP_ERR_NOT_FOUND: there is no such promise, perhaps because it was destroyed before.
 * FP_ERR_UNAVAILABLE: no daemon runs, it is stopping, a limit is reached, or the context is
 * closed. FP_ERR_TIMEOUT: the daemon did not answer.
 */
fp_status_t fp_promise_destroy(struct fp_context_t *context, const char *promise_path_or_id);

/**
 * Copies a promised file or directory out of the mount into an ordinary directory, and returns
 * when it is done.
 *
 * promise_path is an absolute path in the mount: of a file, of a directory, or of a promise
 * itself, which makes target_dir/promise-N. target_dir is an absolute path of an existing
 * directory. options may be NULL, which means FP_CONFLICT_FAIL and no progress. The daemon does
 * the copying, so any number of these calls may run on different threads.
 *
 * Each file appears under its name whole or not at all. If the progress callback stops the copy,
 * the provider or the daemon ends or the disk is full, what was created is removed again; files
 * that were replaced stay. An entry that fails for a reason of its own leaves the others to go on,
 * and the first such failure is what this returns.
 *
 * FP_ERR_INVALID_ARGUMENT: context, promise_path or target_dir is NULL, struct_size is wrong, the
 * policy is unknown, a path is relative, target_dir is a symlink, not a directory or below the
 * mount, or the promise is that of the provider from whose read callback this is called.
 * FP_ERR_NOT_FOUND: promise_path or target_dir does not exist. FP_ERR_ALREADY_EXISTS: something is
 * in the way that the policy leaves alone. FP_ERR_PERMISSION: target_dir cannot be written.
 * FP_ERR_PROVIDER_GONE, FP_ERR_TIMEOUT: the provider ended or did not answer. FP_ERR_IO: the disk
 * is full or failed, or a file's content is shorter than its declared size. FP_ERR_UNAVAILABLE:
 * there is no daemon, it ended, or a limit is reached.
 */
fp_status_t fp_materialize(struct fp_context_t *context,
                           const char *promise_path,
                           const char *target_dir,
                           const struct fp_materialize_options_t *options);

/**
 * Begins to copy a promised file or directory into an ordinary directory and returns at once.
 * Paths, what is copied and how a copy fails are those of fp_materialize(); what can be refused
 * before anything is written is refused by this call. options may be NULL, which means the
 * defaults.
 *
 * On success *out_job is a handle that you own until fp_materialize_free(); on failure it stays
 * NULL. The job ends, and removes what it has created, when this process ends or closes the
 * context, unless it was started with detach.
 *
 * FP_ERR_INVALID_ARGUMENT: as for fp_materialize(), or out_job is NULL, or sync or detach is
 * neither 0 nor 1. Other failures are those of fp_materialize().
 */
fp_status_t fp_materialize_start(struct fp_context_t *context,
                                 const char *promise_path,
                                 const char *target_dir,
                                 const struct fp_materialize_start_options_t *options,
                                 struct fp_materialize_job_t **out_job);

/**
 * Tells how far a job is. out_status must have been initialised; on failure it is not changed.
 *
 * FP_ERR_INVALID_ARGUMENT: job or out_status is NULL, or struct_size is wrong.
 * FP_ERR_UNAVAILABLE: the daemon has ended, and the job with it. FP_ERR_NOT_FOUND: the job ended
 * long ago, and the daemon has forgotten it. FP_ERR_TIMEOUT: the daemon did not answer.
 */
fp_status_t fp_materialize_poll(struct fp_materialize_job_t *job,
                                struct fp_materialize_status_t *out_status);

/**
 * Waits until a job has ended and returns how: FP_OK, or the first failure. A negative timeout_ms
 * waits for as long as it takes. When the time is over and the job still runs it is
 * FP_ERR_TIMEOUT; whether that was the job's own status fp_materialize_poll() tells.
 *
 * FP_ERR_UNAVAILABLE also means that the daemon ended, and the job with it.
 */
fp_status_t fp_materialize_wait(struct fp_materialize_job_t *job, int32_t timeout_ms);

/**
 * Tells of an entry that was replaced, skipped or failed: the one numbered index, from 0. Entries
 * that were created are only counted, and so are those behind the first 1000. out_entry must have
 * been initialised; on failure it is not changed.
 *
 * FP_ERR_INVALID_ARGUMENT: job or out_entry is NULL, or struct_size is wrong. FP_ERR_NOT_FOUND:
 * there are not so many. FP_ERR_UNAVAILABLE: the job still runs, or its daemon has ended.
 */
fp_status_t fp_materialize_result(struct fp_materialize_job_t *job,
                                  size_t index,
                                  struct fp_materialize_entry_t *out_entry);

/**
 * Asks a job to stop and returns at once; fp_materialize_wait() returns when it has removed what
 * it had created. A job that has ended is not changed.
 *
 * FP_ERR_INVALID_ARGUMENT: job is NULL. Other failures are those of fp_materialize_poll().
 */
fp_status_t fp_materialize_cancel(struct fp_materialize_job_t *job);

/**
 * Frees a job's handle. The job itself goes on, as said at fp_materialize_start(). NULL does
 * nothing.
 */
void fp_materialize_free(struct fp_materialize_job_t *job);

#ifdef __cplusplus
}  // extern "C"
#endif  // __cplusplus

#endif  /* FUSE_PROMISE_FUSE_PROMISE_H */
