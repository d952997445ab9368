/* The read callback: what it is given, where it runs, and what a reader sees of its answers. */
#include "session.h"

#include <pthread.h>
#include <signal.h>
#include <sys/prctl.h>

static fp_context_t *context;

/* What a callback saw of its arguments. */
struct seen {
    pthread_t thread;
    char thread_name[16];
    bool blocks_signals;
    char promise_id[32];
    char node_id[64];
    char relative_path[64];
    uint64_t offset;
    size_t length;
    size_t buffer_len;
    size_t bytes_written;
};

static bool blocks_every_signal(void)
{
    sigset_t mask;

    if (pthread_sigmask(SIG_SETMASK, NULL, &mask) != 0)
        return false;
    for (int signal = 1; signal <= SIGRTMAX; signal++) {
        /* These two cannot be blocked, and the C library keeps those between 31 and SIGRTMIN. */
        if (signal == SIGKILL || signal == SIGSTOP || (signal > 31 && signal < SIGRTMIN))
            continue;
        if (sigismember(&mask, signal) != 1)
            return false;
    }
    return true;
}

static fp_status_t note_and_read(const fp_read_request_t *request, fp_read_response_t *response,
                                 void *user_data)
{
    struct seen *seen = user_data;

    seen->thread = pthread_self();
    prctl(PR_GET_NAME, seen->thread_name);
    seen->blocks_signals = blocks_every_signal();
    snprintf(seen->promise_id, sizeof(seen->promise_id), "%s", request->promise_id);
    snprintf(seen->node_id, sizeof(seen->node_id), "%s", request->node_id);
    snprintf(seen->relative_path, sizeof(seen->relative_path), "%s", request->relative_path);
    seen->offset = request->offset;
    seen->length = request->length;
    seen->buffer_len = response->buffer_len;
    seen->bytes_written = response->bytes_written;
    fill(request, response);
    return FP_OK;
}

static void check_arguments(void)
{
    struct seen seen = {0};
    fp_provider_t *provider = register_provider(context, note_and_read, &seen);
    fp_promise_builder_t *builder = begin_promise(context, provider);
    fp_node_attr_t attr = FP_NODE_ATTR_INIT;
    char path[PATH_MAX], file[PATH_MAX + 16];
    uint8_t bytes[100];
    int fd;

    attr.mode = 0444;
    attr.size = 10000;
    REQUIRE_OK(add_dir(builder, "dir"));
    REQUIRE_OK(fp_promise_add_file(builder, "./dir//file", &attr, "an id of mine"));
    REQUIRE_OK(fp_promise_commit(builder, path, sizeof(path)));
    fp_promise_builder_free(builder);
    snprintf(file, sizeof(file), "%s/dir/file", path);

    fd = open(file, O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    CHECK(pread(fd, bytes, sizeof(bytes), 4321) == (ssize_t)sizeof(bytes));
    CHECK(bytes[0] == byte_of("an id of mine", 4321));
    CHECK(bytes[99] == byte_of("an id of mine", 4420));
    CHECK(!pthread_equal(seen.thread, pthread_self()));
    CHECK(strncmp(seen.thread_name, "fp-", 3) == 0);
    CHECK(seen.blocks_signals);
    CHECK(strcmp(seen.promise_id, strrchr(path, '/') + 1) == 0);
    CHECK(strcmp(seen.node_id, "an id of mine") == 0);
    CHECK(strcmp(seen.relative_path, "dir/file") == 0);
    CHECK(seen.offset == 4321 && seen.length == 100);
    CHECK(seen.buffer_len == 100 && seen.bytes_written == 0);

    /* A range over the end is cut at the declared size; beyond it nobody is asked. */
    CHECK(pread(fd, bytes, sizeof(bytes), 9990) == 10);
    CHECK(seen.offset == 9990 && seen.length == 10);
    CHECK(pread(fd, bytes, sizeof(bytes), 10000) == 0);
    CHECK(seen.offset == 9990);
    close(fd);
    fp_provider_unregister(provider);
}

/* Several readers at once, and never two callbacks. */
struct overlap {
    atomic_int running;
    atomic_int most;
    atomic_int calls;
};

static fp_status_t count_and_read(const fp_read_request_t *request, fp_read_response_t *response,
                                  void *user_data)
{
    struct overlap *overlap = user_data;
    int running = atomic_fetch_add(&overlap->running, 1) + 1;

    atomic_fetch_add(&overlap->calls, 1);
    if (running > atomic_load(&overlap->most))
        atomic_store(&overlap->most, running);
    fill(request, response);
    atomic_fetch_sub(&overlap->running, 1);
    return FP_OK;
}

static void *read_many(void *argument)
{
    for (int i = 0; i < 50; i++)
        CHECK(has_pattern(argument, "shared", 70000));
    return NULL;
}

static void check_one_at_a_time(void)
{
    struct overlap overlap = {0};
    fp_provider_t *provider = register_provider(context, count_and_read, &overlap);
    char path[PATH_MAX];
    pthread_t readers[4];

    publish_file(context, provider, "shared", 70000, path);
    for (size_t i = 0; i < 4; i++)
        REQUIRE(pthread_create(&readers[i], NULL, read_many, path) == 0);
    for (size_t i = 0; i < 4; i++)
        REQUIRE(pthread_join(readers[i], NULL) == 0);
    CHECK(atomic_load(&overlap.most) == 1);
    CHECK(atomic_load(&overlap.calls) >= 200);
    fp_provider_unregister(provider);
}

/* The first letter of the node id says what the callback does; what follows is its argument. */
static fp_status_t read_as_told(const fp_read_request_t *request, fp_read_response_t *response,
                                void *user_data)
{
    (void)user_data;
    fill(request, response);
    switch (request->node_id[0]) {
    case 'f': /* fails with a status */
        return (fp_status_t)strtoul(request->node_id + 1, NULL, 10);
    case 's': /* a few bytes at a time */
        if (response->bytes_written > 999)
            response->bytes_written = 999;
        return FP_OK;
    case 'e': /* ends early */
        response->bytes_written = 0;
        if (request->offset < 5000) {
            response->bytes_written = 5000 - request->offset;
            if (response->bytes_written > response->buffer_len)
                response->bytes_written = response->buffer_len;
        }
        return FP_OK;
    case 'o': /* claims more than there was room for */
        response->bytes_written = response->buffer_len + 1;
        return FP_OK;
    default:
        return FP_OK;
    }
}

/* Publishes a file and reads it with one read(2). */
static int read_told(fp_provider_t *provider, const char *node, uint8_t *bytes, size_t *got)
{
    char path[PATH_MAX];

    publish_file(context, provider, node, 20000, path);
    return read_once(path, bytes, 20000, got);
}

static void check_failures(fp_provider_t *provider)
{
    static const struct {
        const char *node;
        int error;
    } answers[] = {
        {"f1", EIO},  {"f2", EIO},          {"f3", EACCES},     {"f4", ENOENT},
        {"f5", EIO},  {"f6", EIO},          {"f7", EIO},        {"f8", ETIMEDOUT},
        {"f10", EIO}, {"f9", ECANCELED},    {"f4294967295", EIO}, {"f11", EIO},
        {"over", EIO},
    };
    static uint8_t bytes[20000];
    char good[PATH_MAX];
    size_t got;

    publish_file(context, provider, "good", 20000, good);
    for (size_t i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
        if (!CHECK_ERRNO(read_told(provider, answers[i].node, bytes, &got), answers[i].error))
            fprintf(stderr, "... for the node %s\n", answers[i].node);
        /* That read has failed, and nothing else. */
        CHECK(has_pattern(good, "good", 20000));
    }
}

static void check_lengths(fp_provider_t *provider)
{
    static uint8_t bytes[20000];
    size_t got;

    /* read(2) returns all it can: a short answer is continued. */
    CHECK_ERRNO(read_told(provider, "short", bytes, &got), 0);
    CHECK(got == sizeof(bytes));
    for (size_t i = 0; i < got; i++) {
        if (!CHECK(bytes[i] == byte_of("short", i)))
            break;
    }
    /* An empty answer is the end of the file. */
    CHECK_ERRNO(read_told(provider, "early", bytes, &got), 0);
    CHECK(got == 5000);
}

/* Unregistered, a promise is out of the listing, and a file still open has lost its provider. */
static void check_unregister(void)
{
    fp_provider_t *provider = register_provider(context, read_pattern, NULL);
    char path[PATH_MAX];
    uint8_t bytes[64];
    size_t got;
    int fd;

    publish_file(context, provider, "file", 5000, path);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    CHECK(pread(fd, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes));
    fp_provider_unregister(provider);
    errno = 0;
    CHECK(pread(fd, bytes, sizeof(bytes), 1000) == -1 && errno == EIO);
    CHECK_ERRNO(read_once(path, bytes, sizeof(bytes), &got), ENOENT);
    close(fd);
}

int main(void)
{
    fp_provider_t *provider;

    check_begin();
    context = open_session();
    check_arguments();
    check_one_at_a_time();
    provider = register_provider(context, read_as_told, NULL);
    check_failures(provider);
    check_lengths(provider);
    fp_provider_unregister(provider);
    check_unregister();
    fp_context_close(context);
    return CHECK_RESULT;
}
