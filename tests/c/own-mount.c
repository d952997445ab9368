/*
 * A callback that reads its own promise through the mount waits for itself; the deadline ends it.
 * Takes as long as the daemon's read timeout.
 */
#include "session.h"

#include <semaphore.h>

struct inner {
    char path[PATH_MAX];
    /* The callback has opened the file. */
    sem_t opened;
    int error;
    int calls;
};

static fp_status_t read_itself(const fp_read_request_t *request, fp_read_response_t *response,
                               void *user_data)
{
    struct inner *inner = user_data;
    uint8_t bytes[16];

    if (inner->calls++ == 0) {
        int file = open(inner->path, O_RDONLY | O_CLOEXEC);

        sem_post(&inner->opened);
        inner->error = read(file, bytes, sizeof(bytes)) < 0 ? errno : 0;
        close(file);
    }
    fill(request, response);
    return FP_OK;
}

int main(void)
{
    struct inner inner = {.error = -1};
    fp_context_t *context;
    fp_provider_t *provider;
    uint8_t bytes[16];
    size_t got;

    check_begin();
    REQUIRE(sem_init(&inner.opened, 0, 0) == 0);
    context = open_session();
    provider = register_provider(context, read_itself, &inner);
    publish_file(context, provider, "file", 5000, inner.path);
    CHECK_ERRNO(read_once(inner.path, bytes, sizeof(bytes), &got), ETIMEDOUT);
    /* On a busy machine the callback may begin only now. */
    REQUIRE(sem_wait(&inner.opened) == 0);
    /* unregister waits for the callback, so what it wrote can be read afterwards. */
    fp_provider_unregister(provider);
    CHECK(inner.error == ETIMEDOUT || inner.error == EIO);
    CHECK(inner.calls >= 1);
    fp_context_close(context);
    return CHECK_RESULT;
}
