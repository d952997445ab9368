/*
 * Destroying promises, by id and by path, one's own and those of others, and what their providers
 * hear of it: in order, each event once, from callbacks that may themselves call the library.
 */
#include "session.h"

#include <pthread.h>

enum { MOST = 64, SIZE = 5000 };

/* What a provider has heard. */
struct heard {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    int count;
    fp_event_kind_t kinds[MOST];
    char ids[MOST][32];
    /* Done inside the callback, if it is not NULL. */
    void (*act)(struct heard *heard, const fp_event_t *event);
    fp_context_t *context;
    fp_provider_t *provider;
    char path[PATH_MAX];
    fp_status_t status;
};

#define HEARD_INIT {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER}

static atomic_int inside;

static void hear(const fp_event_t *event, void *user_data)
{
    struct heard *heard = user_data;

    CHECK(atomic_fetch_add(&inside, 1) == 0);
    CHECK(event->struct_size == sizeof(*event));
    if (heard->act != NULL)
        heard->act(heard, event);
    CHECK(atomic_fetch_sub(&inside, 1) == 1);
    pthread_mutex_lock(&heard->lock);
    REQUIRE(heard->count < MOST);
    heard->kinds[heard->count] = event->kind;
    snprintf(heard->ids[heard->count++], sizeof(heard->ids[0]), "%s", event->promise_id);
    pthread_cond_broadcast(&heard->changed);
    pthread_mutex_unlock(&heard->lock);
}

/* Waits for the event of that number, counted from 0, and checks that it is this one. */
static bool check_heard(struct heard *heard, int number, fp_event_kind_t kind, const char *path)
{
    char id[32];
    bool right;

    promise_of(path, id);
    pthread_mutex_lock(&heard->lock);
    while (heard->count <= number)
        pthread_cond_wait(&heard->changed, &heard->lock);
    right = heard->kinds[number] == kind && strcmp(heard->ids[number], id) == 0;
    if (!right)
        fprintf(stderr, "event %d is %u of %s, not %u of %s\n", number, heard->kinds[number],
                heard->ids[number], kind, id);
    pthread_mutex_unlock(&heard->lock);
    return right;
}

static int count_of(struct heard *heard)
{
    int count;

    pthread_mutex_lock(&heard->lock);
    count = heard->count;
    pthread_mutex_unlock(&heard->lock);
    return count;
}

/* A provider that hears, and runs up to reads callbacks at a time. */
static fp_provider_t *register_hearing(fp_context_t *context, uint32_t reads, struct heard *heard)
{
    fp_provider_config_t config = FP_PROVIDER_CONFIG_INIT(read_pattern);
    fp_provider_t *provider = NULL;

    config.max_concurrent_reads = reads;
    config.event = hear;
    REQUIRE_OK(fp_provider_register_ex(context, &config, heard, &provider));
    REQUIRE(provider != NULL);
    heard->context = context;
    heard->provider = provider;
    return provider;
}

/* The directory of the promise in which a file lies. */
static void directory_of(const char *file, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s", file);
    *strrchr(path, '/') = '\0';
}

static void check_events(uint32_t reads)
{
    struct heard heard = HEARD_INIT;
    fp_context_t *context = open_session();
    fp_provider_t *provider = register_hearing(context, reads, &heard);
    char open_one[PATH_MAX], unread[PATH_MAX], path[PATH_MAX], id[32];
    uint8_t bytes[SIZE];
    int file;

    publish_file(context, provider, "file", SIZE, open_one);
    publish_file(context, provider, "file", SIZE, unread);
    CHECK(has_pattern(open_one, "file", SIZE));
    file = open(open_one, O_RDONLY | O_CLOEXEC);
    REQUIRE(file >= 0);

    directory_of(open_one, path);
    CHECK_STATUS(fp_promise_destroy(context, path), FP_OK);
    CHECK_ERRNO(access(open_one, F_OK) == 0 ? 0 : errno, ENOENT);
    CHECK_ERRNO(access(path, F_OK) == 0 ? 0 : errno, ENOENT);
    CHECK(check_heard(&heard, 0, FP_EVENT_DESTROYED, open_one));
    CHECK(pread(file, bytes, SIZE, 0) == SIZE && bytes[SIZE - 1] == byte_of("file", SIZE - 1));
    CHECK_STATUS(fp_promise_destroy(context, path), FP_ERR_NOT_FOUND);
    promise_of(open_one, id);
    CHECK_LAST_ERROR(id);

    promise_of(unread, id);
    CHECK_STATUS(fp_promise_destroy(context, id), FP_OK);
    CHECK(check_heard(&heard, 1, FP_EVENT_DESTROYED, unread));
    CHECK(check_heard(&heard, 2, FP_EVENT_RELEASED, unread));
    CHECK(count_of(&heard) == 3);
    close(file);
    CHECK(check_heard(&heard, 3, FP_EVENT_RELEASED, open_one));

    /* What comes afterwards comes once, too, and unregistering tells nothing. */
    publish_file(context, provider, "file", SIZE, path);
    fp_provider_unregister(provider);
    CHECK(count_of(&heard) == 4);
    fp_context_close(context);
}

static void check_names(void)
{
    fp_context_t *context = open_session();
    fp_provider_t *provider = register_provider(context, read_pattern, NULL);
    char file[PATH_MAX], path[PATH_MAX];

    publish_file(context, provider, "file", SIZE, file);
    directory_of(file, path);
    CHECK_STATUS(fp_promise_destroy(NULL, path), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("context is NULL");
    CHECK_STATUS(fp_promise_destroy(context, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("promise_path_or_id is NULL");
    CHECK_STATUS(fp_promise_destroy(context, file), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("names no promise");
    *strrchr(path, '/') = '\0';
    CHECK_STATUS(fp_promise_destroy(context, path), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("names no promise");
    CHECK_STATUS(fp_promise_destroy(context, ""), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_destroy(context, "promise-0"), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_destroy(context, "\xff"), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_destroy(context, "/"), FP_ERR_NOT_FOUND);
    CHECK_STATUS(fp_promise_destroy(context, "promise-4294967295"), FP_ERR_NOT_FOUND);
    CHECK_LAST_ERROR("promise-4294967295");
    CHECK(has_pattern(file, "file", SIZE));
    fp_provider_unregister(provider);
    fp_context_close(context);
}

/* A promise of another provider, by a context that has none, from several threads at once. */
struct race {
    fp_context_t *context;
    const char *id;
    atomic_int destroyed;
};

static void *destroy_it(void *argument)
{
    struct race *race = argument;
    fp_status_t status = fp_promise_destroy(race->context, race->id);

    if (status == FP_OK)
        atomic_fetch_add(&race->destroyed, 1);
    else
        CHECK_STATUS(status, FP_ERR_NOT_FOUND);
    return NULL;
}

static void check_race(void)
{
    enum { THREADS = 4 };
    struct heard heard = HEARD_INIT;
    fp_context_t *context = open_session(), *other = open_session();
    fp_provider_t *provider = register_hearing(context, 4, &heard);
    char file[PATH_MAX], id[32];
    struct race race = {.context = other, .id = id};
    pthread_t threads[THREADS];

    publish_file(context, provider, "file", SIZE, file);
    promise_of(file, id);
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, destroy_it, &race) == 0);
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    CHECK(atomic_load(&race.destroyed) == 1);
    CHECK(check_heard(&heard, 0, FP_EVENT_DESTROYED, file));
    CHECK(check_heard(&heard, 1, FP_EVENT_RELEASED, file));
    fp_context_close(other);
    fp_provider_unregister(provider);
    fp_context_close(context);
}

/* Publishes another promise when one is destroyed, and destroys that when the first is released. */
static void replace(struct heard *heard, const fp_event_t *event)
{
    char id[32];

    if (heard->path[0] == '\0' && event->kind == FP_EVENT_DESTROYED) {
        publish_file(heard->context, heard->provider, "another", SIZE, heard->path);
        heard->status = FP_ERR_IO;
    } else if (heard->status == FP_ERR_IO && event->kind == FP_EVENT_RELEASED) {
        promise_of(heard->path, id);
        heard->status = fp_promise_destroy(heard->context, id);
        CHECK_STATUS(fp_promise_destroy(heard->context, id), FP_ERR_NOT_FOUND);
    }
}

static void check_calls_inside(uint32_t reads)
{
    struct heard heard = HEARD_INIT;
    fp_context_t *context = open_session();
    fp_provider_t *provider = register_hearing(context, reads, &heard);
    char file[PATH_MAX], path[PATH_MAX];

    heard.act = replace;
    publish_file(context, provider, "file", SIZE, file);
    directory_of(file, path);
    CHECK_STATUS(fp_promise_destroy(context, path), FP_OK);
    CHECK(check_heard(&heard, 0, FP_EVENT_DESTROYED, file));
    CHECK(check_heard(&heard, 1, FP_EVENT_RELEASED, file));
    CHECK(check_heard(&heard, 2, FP_EVENT_DESTROYED, heard.path));
    CHECK(check_heard(&heard, 3, FP_EVENT_RELEASED, heard.path));
    CHECK_STATUS(heard.status, FP_OK);
    fp_provider_unregister(provider);
    fp_context_close(context);
}

static void leave(struct heard *heard, const fp_event_t *event)
{
    (void)event;
    fp_provider_unregister(heard->provider);
}

static void close_context(struct heard *heard, const fp_event_t *event)
{
    (void)event;
    fp_context_close(heard->context);
}

/* The call in which the provider ends is its last. */
static void check_end_inside(uint32_t reads, bool closes)
{
    struct heard heard = HEARD_INIT;
    /* Nobody uses a context while the callback closes it. */
    fp_context_t *context = open_session(), *other = open_session();
    fp_provider_t *provider = register_hearing(context, reads, &heard);
    char first[PATH_MAX], second[PATH_MAX], id[32];

    heard.act = closes ? close_context : leave;
    publish_file(context, provider, "file", SIZE, first);
    publish_file(context, provider, "file", SIZE, second);
    promise_of(first, id);
    CHECK_STATUS(fp_promise_destroy(other, id), FP_OK);
    CHECK(check_heard(&heard, 0, FP_EVENT_DESTROYED, first));
    CHECK_ERRNO(access(second, F_OK) == 0 ? 0 : errno, ENOENT);
    if (closes)
        fp_provider_unregister(provider);
    else
        fp_context_close(context);
    CHECK(count_of(&heard) == 1);
    fp_context_close(other);
}

/* Nobody has to hear. */
static void check_no_event(void)
{
    fp_context_t *context = open_session();
    fp_provider_config_t config = FP_PROVIDER_CONFIG_INIT(read_pattern);
    fp_provider_t *provider = NULL;
    char first[PATH_MAX], second[PATH_MAX], id[32];

    REQUIRE_OK(fp_provider_register_ex(context, &config, NULL, &provider));
    publish_file(context, provider, "file", SIZE, first);
    publish_file(context, provider, "file", SIZE, second);
    promise_of(first, id);
    CHECK_STATUS(fp_promise_destroy(context, id), FP_OK);
    CHECK(has_pattern(second, "file", SIZE));
    fp_provider_unregister(provider);
    fp_context_close(context);
}

int main(void)
{
    check_begin();
    check_names();
    check_race();
    check_no_event();
    for (uint32_t reads = 0; reads <= 4; reads += 2) {
        check_events(reads);
        check_calls_inside(reads);
        check_end_inside(reads, false);
        check_end_inside(reads, true);
    }
    return CHECK_RESULT;
}
