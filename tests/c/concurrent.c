/*
 * What fp_provider_config_t chooses about reads: how many callbacks run at a time, and how long one
 * may take.
 */
#include "session.h"

#include <pthread.h>
#include <semaphore.h>

enum { READERS = 4, PART = 4096, SIZE = READERS * PART };

static fp_provider_t *register_with(fp_context_t *context, const fp_provider_config_t *config,
                                    void *user_data)
{
    fp_provider_t *provider = NULL;

    REQUIRE_OK(fp_provider_register_ex(context, config, user_data, &provider));
    REQUIRE(provider != NULL);
    return provider;
}

/* One of several who read parts of a file at the same time. */
struct reader {
    pthread_t thread;
    const char *path;
    int part;
    int error;
};

static void *read_part(void *argument)
{
    struct reader *reader = argument;
    off_t offset = (off_t)reader->part * PART;
    uint8_t bytes[PART];
    int file = open(reader->path, O_RDONLY | O_CLOEXEC);

    REQUIRE(file >= 0);
    reader->error = pread(file, bytes, PART, offset) == PART ? 0 : errno;
    for (int i = 0; reader->error == 0 && i < PART; i++)
        REQUIRE(bytes[i] == byte_of("file", (uint64_t)(offset + i)));
    close(file);
    return NULL;
}

static void read_parts(const char *path, int readers)
{
    struct reader all[READERS];

    for (int part = 0; part < readers; part++) {
        all[part] = (struct reader){.path = path, .part = part};
        REQUIRE(pthread_create(&all[part].thread, NULL, read_part, &all[part]) == 0);
    }
    for (int part = 0; part < readers; part++) {
        REQUIRE(pthread_join(all[part].thread, NULL) == 0);
        CHECK_ERRNO(all[part].error, 0);
    }
}

/* Answers when as many calls as the barrier has places are inside. */
static fp_status_t meet(const fp_read_request_t *request, fp_read_response_t *response,
                        void *user_data)
{
    pthread_barrier_wait(user_data);
    fill(request, response);
    return FP_OK;
}

/* With fewer callbacks at a time the barrier would never open. */
static void check_meeting(uint32_t reads)
{
    fp_provider_config_t config = FP_PROVIDER_CONFIG_INIT(meet);
    fp_context_t *context = open_session();
    fp_provider_t *provider;
    pthread_barrier_t barrier;
    char path[PATH_MAX];

    REQUIRE(reads <= READERS && pthread_barrier_init(&barrier, NULL, reads) == 0);
    config.max_concurrent_reads = reads;
    provider = register_with(context, &config, &barrier);
    publish_file(context, provider, "file", SIZE, path);
    for (int round = 0; round < 10; round++)
        read_parts(path, (int)reads);
    fp_provider_unregister(provider);
    REQUIRE(pthread_barrier_destroy(&barrier) == 0);
    fp_context_close(context);
}

static fp_status_t be_alone(const fp_read_request_t *request, fp_read_response_t *response,
                            void *user_data)
{
    atomic_int *inside = user_data;

    CHECK(atomic_fetch_add(inside, 1) == 0);
    fill(request, response);
    CHECK(atomic_fetch_sub(inside, 1) == 1);
    return FP_OK;
}

static void check_alone(uint32_t reads)
{
    fp_provider_config_t config = FP_PROVIDER_CONFIG_INIT(be_alone);
    fp_context_t *context = open_session();
    fp_provider_t *provider;
    atomic_int inside = 0;
    char path[PATH_MAX];

    config.max_concurrent_reads = reads;
    provider = register_with(context, &config, &inside);
    publish_file(context, provider, "file", SIZE, path);
    for (int round = 0; round < 10; round++)
        read_parts(path, READERS);
    fp_provider_unregister(provider);
    fp_context_close(context);
}

static fp_status_t wait_for_leave(const fp_read_request_t *request, fp_read_response_t *response,
                                  void *user_data)
{
    while (sem_wait(user_data) == -1 && errno == EINTR)
        continue;
    fill(request, response);
    return FP_OK;
}

/* The callback returns only when its reader has given up. */
static void check_timeout(void)
{
    fp_provider_config_t config = FP_PROVIDER_CONFIG_INIT(wait_for_leave);
    fp_context_t *context = open_session();
    fp_provider_t *provider;
    uint8_t bytes[16];
    char path[PATH_MAX];
    size_t got;
    sem_t may_leave;

    REQUIRE(sem_init(&may_leave, 0, 0) == 0);
    config.read_timeout_ms = 100;
    provider = register_with(context, &config, &may_leave);
    publish_file(context, provider, "file", SIZE, path);
    CHECK_ERRNO(read_once(path, bytes, sizeof(bytes), &got), ETIMEDOUT);
    REQUIRE(sem_post(&may_leave) == 0);
    fp_provider_unregister(provider);
    REQUIRE(sem_destroy(&may_leave) == 0);
    fp_context_close(context);
}

int main(void)
{
    check_begin();
    check_meeting(2);
    check_meeting(READERS);
    check_alone(0);
    check_alone(1);
    check_timeout();
    return CHECK_RESULT;
}
