/*
 * A forked child inherits nothing: its calls fail, it holds none of the library's descriptors and
 * arenas, its parent goes on, and it keeps no dead provider alive. A process that has not used the
 * library yet may fork and use it in the child. A callback that forks has its request there, or its
 * event.
 */
#include "session.h"

#include <pthread.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

enum { MOST_FDS = 1024 };

static fp_context_t *context;
static fp_provider_t *provider;
static fp_promise_builder_t *builder;

/* Descriptors that were open before the library was used. */
static bool open_before[MOST_FDS];

static void note_descriptors(void)
{
    for (int fd = 0; fd < MOST_FDS; fd++)
        open_before[fd] = fcntl(fd, F_GETFD) != -1;
}

/* A pair of sockets that the user of the library has made within itself leads nowhere: the event
 * loop keeps one for the life of the process when it was built to handle signals. */
static bool leads_nowhere(int fd, pid_t user)
{
    struct ucred peer;
    socklen_t length = sizeof(peer);

    return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &length) == 0 && peer.pid == user;
}

/* Descriptors that are open now and were not then: the library's. */
static int new_descriptors(pid_t user)
{
    int count = 0;

    for (int fd = 0; fd < MOST_FDS; fd++)
        count += !open_before[fd] && fcntl(fd, F_GETFD) != -1 && !leads_nowhere(fd, user);
    return count;
}

/* Mappings of shared memory, which the library makes of memfds. */
static int shared_memory(void)
{
    FILE *maps = fopen("/proc/self/maps", "r");
    char line[PATH_MAX + 128];
    int count = 0;

    REQUIRE(maps != NULL);
    while (fgets(line, sizeof(line), maps) != NULL)
        count += strstr(line, "/memfd:fuse-promise") != NULL;
    fclose(maps);
    return count;
}

/* Every function, in the child. */
static void check_calls(void)
{
    fp_context_options_t options = FP_CONTEXT_OPTIONS_INIT;
    fp_provider_ops_t ops = FP_PROVIDER_OPS_INIT(read_pattern);
    fp_provider_config_t config = FP_PROVIDER_CONFIG_INIT(read_pattern);
    fp_context_t *new_context = NULL;
    fp_provider_t *new_provider = NULL;
    fp_promise_builder_t *new_builder = NULL;
    fp_materialize_job_t *job = NULL;
    char path[PATH_MAX];

    options.runtime_dir = runtime_dir();
    CHECK_STATUS(fp_context_open(&options, &new_context), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(fp_provider_register(context, &ops, NULL, &new_provider), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(fp_provider_register_ex(context, &config, NULL, &new_provider),
                 FP_ERR_UNAVAILABLE);
    CHECK_STATUS(fp_promise_builder_new(context, provider, &new_builder), FP_ERR_UNAVAILABLE);
    CHECK(new_context == NULL && new_provider == NULL && new_builder == NULL);
    CHECK_STATUS(add_dir(builder, "dir-of-the-child"), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(add_file(builder, "file-of-the-child", 1), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(fp_promise_commit(builder, path, sizeof(path)), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(fp_promise_builder_set_cache_policy(builder, FP_CACHE_POLICY_KEEP),
                 FP_ERR_UNAVAILABLE);
    CHECK_STATUS(fp_promise_invalidate(provider, "promise-1", NULL), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(fp_promise_destroy(context, "promise-1"), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(fp_materialize(context, "/a", "/", NULL), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(fp_materialize_start(context, "/a", "/", NULL, &job), FP_ERR_UNAVAILABLE);
    CHECK_LAST_ERROR("fork");
    CHECK(strcmp(fp_status_string(FP_ERR_UNAVAILABLE), "unavailable") == 0);
    CHECK(fp_library_version()[0] == '1');
    fp_promise_builder_free(builder);
    fp_provider_unregister(provider);
    fp_context_close(context);
}

static void join_child(pid_t child)
{
    int status;

    REQUIRE(child > 0 && waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == EXIT_SUCCESS);
}

/* Used by check_inheritance: a fork of a process whose provider is at work. */
static void check_child(const char *file)
{
    pid_t child = fork();

    if (child == 0) {
        check_begin();
        CHECK(new_descriptors(getppid()) == 0);
        CHECK(shared_memory() == 0);
        check_calls();
        /* The mount is nobody's handle: the child may read what its parent publishes. */
        CHECK(has_pattern(file, "file", 70000));
        _exit(CHECK_RESULT);
    }
    join_child(child);
}

static void check_inheritance(void)
{
    char file[PATH_MAX], path[PATH_MAX];

    context = open_session();
    provider = register_provider(context, read_pattern, NULL);
    builder = begin_promise(context, provider);
    publish_file(context, provider, "file", 70000, file);
    CHECK(has_pattern(file, "file", 70000));
    CHECK(shared_memory() > 0);
    CHECK(new_descriptors(getpid()) > 0);
    check_child(file);

    /* The child closed its copies; the parent's handles do what they did. */
    CHECK(has_pattern(file, "file", 70000));
    CHECK_STATUS(add_file(builder, "file-of-the-parent", 1), FP_OK);
    CHECK_STATUS(fp_promise_commit(builder, path, sizeof(path)), FP_OK);
    fp_promise_builder_free(builder);
    fp_provider_unregister(provider);
    fp_context_close(context);
}

/* A request of the promise that check_callback publishes, in the child of its callback. */
static fp_status_t fork_within(const fp_read_request_t *request, fp_read_response_t *response,
                               void *user_data)
{
    const char *id = user_data;
    pid_t child = fork();

    if (child == 0) {
        check_begin();
        CHECK(strcmp(request->node_id, id) == 0);
        CHECK(strcmp(request->relative_path, "file-00") == 0);
        CHECK(strncmp(request->promise_id, "promise-", strlen("promise-")) == 0);
        _exit(CHECK_RESULT);
    }
    join_child(child);
    fill(request, response);
    return FP_OK;
}

/* The tree is so large that its node ids are read from a mapped image. */
static void check_callback(void)
{
    enum { FILES = 80, ID_LEN = 4000 };
    fp_node_attr_t attr = FP_NODE_ATTR_INIT;
    char id[ID_LEN + 1], name[sizeof("file-80")], path[PATH_MAX];

    memset(id, 'f', ID_LEN);
    id[ID_LEN] = '\0';
    attr.mode = 0444;
    attr.size = 5000;
    context = open_session();
    provider = register_provider(context, fork_within, id);
    builder = begin_promise(context, provider);
    for (int file = 0; file < FILES; file++) {
        snprintf(name, sizeof(name), "file-%02d", file);
        REQUIRE_OK(fp_promise_add_file(builder, name, &attr, id));
    }
    REQUIRE_OK(fp_promise_commit(builder, path, sizeof(path)));
    fp_promise_builder_free(builder);
    strncat(path, "/file-00", sizeof(path) - strlen(path) - 1);
    CHECK(has_pattern(path, "f", 5000));
    fp_provider_unregister(provider);
    fp_context_close(context);
}

/* An event in the child of the callback that was told of it. */
static void fork_while_hearing(const fp_event_t *event, void *user_data)
{
    const int *heard = user_data;
    pid_t user = getpid(), child = fork();

    if (child == 0) {
        check_begin();
        CHECK(strncmp(event->promise_id, "promise-", strlen("promise-")) == 0);
        CHECK(new_descriptors(user) == 0);
        CHECK_STATUS(fp_promise_destroy(context, event->promise_id), FP_ERR_UNAVAILABLE);
        _exit(CHECK_RESULT);
    }
    join_child(child);
    CHECK(write(*heard, "!", 1) == 1);
}

static void check_event(void)
{
    fp_provider_config_t config = FP_PROVIDER_CONFIG_INIT(read_pattern);
    char file[PATH_MAX], id[32], byte;
    int heard[2];

    REQUIRE(pipe(heard) == 0);
    note_descriptors();
    config.event = fork_while_hearing;
    context = open_session();
    REQUIRE_OK(fp_provider_register_ex(context, &config, &heard[1], &provider));
    publish_file(context, provider, "file", 5000, file);
    promise_of(file, id);
    CHECK_STATUS(fp_promise_destroy(context, id), FP_OK);
    CHECK(read(heard[0], &byte, 1) == 1 && read(heard[0], &byte, 1) == 1);
    publish_file(context, provider, "file", 5000, file);
    CHECK(has_pattern(file, "file", 5000));
    fp_provider_unregister(provider);
    fp_context_close(context);
    close(heard[0]);
    close(heard[1]);
}

/* A child of a process that had a context and closed it is a child all the same. */
static void check_after_close(void)
{
    pid_t child = fork();

    if (child == 0) {
        fp_context_t *none = NULL;

        check_begin();
        CHECK_STATUS(fp_context_open(NULL, &none), FP_ERR_UNAVAILABLE);
        _exit(CHECK_RESULT);
    }
    join_child(child);
}

/* Says that a read has begun, and never answers it. */
static fp_status_t hang(const fp_read_request_t *request, fp_read_response_t *response,
                        void *user_data)
{
    const int *begun = user_data;

    (void)request;
    (void)response;
    while (write(*begun, "!", 1) == -1 && errno == EINTR)
        continue;
    while (pause() == -1)
        continue;
    return FP_ERR_CANCELLED;
}

/* The provider's process: publishes, forks a child that stays, tells the path, then only serves. */
static void provide_until_killed(int tell, int begun, int stay)
{
    char path[PATH_MAX] = "";
    pid_t child;

    context = open_session();
    provider = register_provider(context, hang, &begun);
    publish_file(context, provider, "file", 5000, path);
    child = fork();
    if (child == 0) {
        char byte;

        /* Lives until the test's end of the pipe is closed. */
        close(tell);
        close(begun);
        while (read(stay, &byte, 1) == -1 && errno == EINTR)
            continue;
        _exit(EXIT_SUCCESS);
    }
    REQUIRE(child > 0);
    REQUIRE(write(tell, path, sizeof(path)) == (ssize_t)sizeof(path));
    for (;;)
        pause();
}

struct reader {
    const char *path;
    int error;
};

static void *read_in_vain(void *argument)
{
    struct reader *reader = argument;
    uint8_t bytes[100];
    size_t got;

    reader->error = read_once(reader->path, bytes, sizeof(bytes), &got);
    return NULL;
}

/* SIGKILL takes the provider in the middle of a read, while its own child lives on: the reader gets
 * its error then, not at the deadline. Runs before this process has used the library. */
static void check_dead_parent(void)
{
    int tell[2], begun[2], stay[2];
    char path[PATH_MAX], byte;
    struct reader reader = {.path = path, .error = 0};
    pthread_t thread;
    pid_t parent;
    int status;

    REQUIRE(pipe(tell) == 0 && pipe(begun) == 0 && pipe(stay) == 0);
    parent = fork();
    if (parent == 0) {
        check_begin();
        close(stay[1]);
        provide_until_killed(tell[1], begun[1], stay[0]);
    }
    REQUIRE(parent > 0);
    close(tell[1]);
    close(begun[1]);
    REQUIRE(read(tell[0], path, sizeof(path)) == (ssize_t)sizeof(path));
    REQUIRE(pthread_create(&thread, NULL, read_in_vain, &reader) == 0);
    REQUIRE(read(begun[0], &byte, 1) == 1);
    REQUIRE(kill(parent, SIGKILL) == 0);
    REQUIRE(waitpid(parent, &status, 0) == parent && WIFSIGNALED(status));
    REQUIRE(pthread_join(thread, NULL) == 0);
    CHECK_ERRNO(reader.error, EIO);
    /* Nobody but the grandchild holds the pipe's other end by now: it has outlived the read. */
    close(stay[0]);
    CHECK(write(stay[1], "!", 1) == 1);
    close(tell[0]);
    close(begun[0]);
    close(stay[1]);
}

int main(void)
{
    check_begin();
    REQUIRE(signal(SIGPIPE, SIG_IGN) != SIG_ERR);
    check_dead_parent();
    note_descriptors();
    check_inheritance();
    check_callback();
    check_event();
    check_after_close();
    return CHECK_RESULT;
}
