/* Calls of the library from inside the read callback. */
#include "session.h"

#include <semaphore.h>

/* What a callback works with, and what became of it. */
struct inside {
    fp_context_t *context;
    fp_provider_t *provider;
    fp_status_t status;
    char path[PATH_MAX];
    int calls;
    int error;
    sem_t done;
};

/* Publishes a second promise while the first read of the first one waits. */
static fp_status_t commit_inside(const fp_read_request_t *request, fp_read_response_t *response,
                                 void *user_data)
{
    struct inside *inside = user_data;
    fp_promise_builder_t *builder = NULL;

    if (inside->calls++ == 0) {
        inside->status = fp_promise_builder_new(inside->context, inside->provider, &builder);
        if (inside->status == FP_OK)
            inside->status = add_file(builder, "born-inside", 4096);
        if (inside->status == FP_OK)
            inside->status = fp_promise_commit(builder, inside->path, sizeof(inside->path));
        fp_promise_builder_free(builder);
    }
    fill(request, response);
    return FP_OK;
}

static void check_commit(void)
{
    struct inside inside = {.context = open_session(), .status = FP_ERR_IO};
    char first[PATH_MAX], second[PATH_MAX + 16];

    inside.provider = register_provider(inside.context, commit_inside, &inside);
    publish_file(inside.context, inside.provider, "first", 1000, first);
    CHECK(has_pattern(first, "first", 1000));
    CHECK_STATUS(inside.status, FP_OK);
    snprintf(second, sizeof(second), "%s/born-inside", inside.path);
    CHECK(has_pattern(second, "born-inside", 4096));
    fp_provider_unregister(inside.provider);
    fp_context_close(inside.context);
}

/* Takes back what it is about to answer. */
static fp_status_t invalidate_inside(const fp_read_request_t *request,
                                     fp_read_response_t *response, void *user_data)
{
    struct inside *inside = user_data;

    inside->calls++;
    inside->status =
        fp_promise_invalidate(inside->provider, request->promise_id, request->node_id);
    fill(request, response);
    return FP_OK;
}

static void check_invalidate(void)
{
    struct inside inside = {.context = open_session(), .status = FP_ERR_IO};
    fp_promise_builder_t *builder;
    char path[PATH_MAX + 16];
    uint8_t bytes[1000];
    int before, file;

    inside.provider = register_provider(inside.context, invalidate_inside, &inside);
    builder = begin_promise(inside.context, inside.provider);
    REQUIRE_OK(add_file(builder, "file", sizeof(bytes)));
    REQUIRE_OK(fp_promise_builder_set_cache_policy(builder, FP_CACHE_POLICY_KEEP));
    REQUIRE_OK(fp_promise_commit(builder, inside.path, sizeof(inside.path)));
    fp_promise_builder_free(builder);
    snprintf(path, sizeof(path), "%s/file", inside.path);
    CHECK(has_pattern(path, "file", sizeof(bytes)));
    CHECK_STATUS(inside.status, FP_OK);
    /* The kernel asks again if it drops the page before the bytes were copied out of it. */
    CHECK(inside.calls >= 1);
    before = inside.calls;
    /* Past the kernel's pages: the daemon has kept nothing of it. */
    file = open(path, O_RDONLY | O_CLOEXEC | O_DIRECT);
    REQUIRE(file >= 0);
    CHECK(pread(file, bytes, sizeof(bytes), 0) == (ssize_t)sizeof(bytes));
    CHECK(inside.calls == before + 1);
    close(file);
    fp_provider_unregister(inside.provider);
    fp_context_close(inside.context);
}

/* Registers and unregisters another provider. */
static fp_status_t register_inside(const fp_read_request_t *request, fp_read_response_t *response,
                                   void *user_data)
{
    struct inside *inside = user_data;
    fp_provider_ops_t ops = FP_PROVIDER_OPS_INIT(read_pattern);
    fp_provider_t *another = NULL;

    if (inside->calls++ == 0) {
        inside->status = fp_provider_register(inside->context, &ops, NULL, &another);
        fp_provider_unregister(another);
    }
    fill(request, response);
    return FP_OK;
}

static void check_register(void)
{
    struct inside inside = {.context = open_session(), .status = FP_ERR_IO};
    char path[PATH_MAX];

    inside.provider = register_provider(inside.context, register_inside, &inside);
    publish_file(inside.context, inside.provider, "file", 1000, path);
    CHECK(has_pattern(path, "file", 1000));
    CHECK_STATUS(inside.status, FP_OK);
    fp_provider_unregister(inside.provider);
    fp_context_close(inside.context);
}

/* Whether a read whose callback took its own provider away got the bytes or an error: not wrong
 * bytes, and not nothing. */
static bool is_answered(int error, const uint8_t *bytes, size_t got)
{
    if (error != 0)
        return error == EIO;
    for (size_t i = 0; i < got; i++) {
        if (bytes[i] != byte_of("file", i))
            return false;
    }
    return got == 1000;
}

/* Gives the provider up in the middle of its own read. */
static fp_status_t unregister_inside(const fp_read_request_t *request,
                                     fp_read_response_t *response, void *user_data)
{
    struct inside *inside = user_data;

    inside->calls++;
    fp_provider_unregister(inside->provider);
    inside->error = access(inside->path, F_OK) == -1 ? errno : 0;
    /* The buffer is still there until the callback returns. */
    fill(request, response);
    sem_post(&inside->done);
    return FP_OK;
}

static void check_unregister(void)
{
    struct inside inside = {.context = open_session()};
    uint8_t bytes[1000];
    size_t got;
    int error;

    REQUIRE(sem_init(&inside.done, 0, 0) == 0);
    inside.provider = register_provider(inside.context, unregister_inside, &inside);
    publish_file(inside.context, inside.provider, "file", sizeof(bytes), inside.path);
    error = read_once(inside.path, bytes, sizeof(bytes), &got);
    CHECK(is_answered(error, bytes, got));
    REQUIRE(sem_wait(&inside.done) == 0);
    CHECK_ERRNO(inside.error, ENOENT);
    CHECK_ERRNO(read_once(inside.path, bytes, sizeof(bytes), &got), ENOENT);
    fp_context_close(inside.context);
    CHECK(inside.calls == 1);
}

/* Closes the whole context there; the provider's handle is freed afterwards. */
static fp_status_t close_inside(const fp_read_request_t *request, fp_read_response_t *response,
                                void *user_data)
{
    struct inside *inside = user_data;

    inside->calls++;
    fp_context_close(inside->context);
    inside->error = access(inside->path, F_OK) == -1 ? errno : 0;
    fill(request, response);
    sem_post(&inside->done);
    return FP_OK;
}

static void check_close(void)
{
    struct inside inside = {.context = open_session()};
    uint8_t bytes[1000];
    size_t got;
    int error;

    REQUIRE(sem_init(&inside.done, 0, 0) == 0);
    inside.provider = register_provider(inside.context, close_inside, &inside);
    publish_file(inside.context, inside.provider, "file", sizeof(bytes), inside.path);
    error = read_once(inside.path, bytes, sizeof(bytes), &got);
    CHECK(is_answered(error, bytes, got));
    REQUIRE(sem_wait(&inside.done) == 0);
    CHECK_ERRNO(inside.error, ENOENT);
    fp_provider_unregister(inside.provider);
    CHECK(inside.calls == 1);
}

int main(void)
{
    check_begin();
    check_commit();
    check_invalidate();
    check_register();
    check_unregister();
    check_close();
    return CHECK_RESULT;
}
