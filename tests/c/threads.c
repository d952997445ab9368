/* Every function from several threads at a time, on handles of their own and on shared ones. */
#include "session.h"

#include <pthread.h>

enum { THREADS = 8, ROUNDS = 5, NAMES = 200 };

static fp_context_t *context;
static fp_provider_t *provider;

/* A life of its own in the shared context: register, publish, read, unregister. */
static void *live_alone(void *argument)
{
    (void)argument;
    for (int round = 0; round < ROUNDS; round++) {
        fp_provider_t *mine = register_provider(context, read_pattern, NULL);
        char path[PATH_MAX];

        publish_file(context, mine, "alone", 3000, path);
        CHECK(has_pattern(path, "alone", 3000));
        fp_provider_unregister(mine);
    }
    return NULL;
}

/* Promises of one provider, published from all sides. */
static void *publish_shared(void *argument)
{
    (void)argument;
    for (int round = 0; round < ROUNDS; round++) {
        char path[PATH_MAX];

        publish_file(context, provider, "shared", 2000, path);
        CHECK(has_pattern(path, "shared", 2000));
    }
    return NULL;
}

/* One promise, read from all sides while its bytes are taken back. */
static char cached[PATH_MAX];

static void *take_back_shared(void *argument)
{
    char id[32];

    (void)argument;
    promise_of(cached, id);
    for (int round = 0; round < ROUNDS * 4; round++) {
        CHECK(has_pattern(cached, "cached", 300000));
        CHECK_STATUS(fp_promise_invalidate(provider, id, round % 2 ? "cached" : NULL), FP_OK);
    }
    return NULL;
}

static void publish_cached(void)
{
    fp_promise_builder_t *kept = begin_promise(context, provider);
    size_t length;

    REQUIRE_OK(add_file(kept, "cached", 300000));
    REQUIRE_OK(fp_promise_builder_set_cache_policy(kept, FP_CACHE_POLICY_READ_THROUGH));
    REQUIRE_OK(fp_promise_commit(kept, cached, sizeof(cached)));
    fp_promise_builder_free(kept);
    length = strlen(cached);
    snprintf(cached + length, sizeof(cached) - length, "/cached");
}

static fp_promise_builder_t *builder;
static atomic_int number;
static atomic_int added;
static atomic_int committed;

/* The same names into one builder: each goes in exactly once. */
static void *add_shared(void *argument)
{
    char name[32];

    (void)argument;
    for (int i = 0; i < NAMES; i++) {
        fp_status_t status;

        snprintf(name, sizeof(name), "name-%d", i);
        CHECK_STATUS(fp_promise_builder_set_cache_policy(builder, i % 4), FP_OK);
        status = add_file(builder, name, 1);
        CHECK(status == FP_OK || status == FP_ERR_ALREADY_EXISTS);
        if (status == FP_OK)
            atomic_fetch_add(&added, 1);
        else
            CHECK_LAST_ERROR(name);
    }
    return NULL;
}

/* Commits of one builder: one of them publishes it. */
static void *commit_shared(void *argument)
{
    char path[PATH_MAX];
    fp_status_t status = fp_promise_commit(builder, path, sizeof(path));

    (void)argument;
    CHECK(status == FP_OK || status == FP_ERR_INVALID_ARGUMENT);
    if (status == FP_OK)
        atomic_fetch_add(&committed, 1);
    return NULL;
}

/* Opens, fails and closes while the others do. */
static void *open_and_close(void *argument)
{
    (void)argument;
    for (int round = 0; round < ROUNDS * 20; round++) {
        fp_context_options_t wrong = FP_CONTEXT_OPTIONS_INIT;
        fp_context_t *mine = open_session();
        fp_context_t *none = NULL;

        wrong.api_version = 77;
        CHECK_STATUS(fp_context_open(&wrong, &none), FP_ERR_VERSION_MISMATCH);
        CHECK_LAST_ERROR("77");
        CHECK(strcmp(fp_status_string(FP_ERR_TIMEOUT), "timeout") == 0);
        fp_context_close(mine);
    }
    return NULL;
}

static void *mixed(void *argument)
{
    static void *(*const lives[])(void *) = {live_alone, publish_shared, open_and_close};

    return lives[atomic_fetch_add(&number, 1) % 3](argument);
}

static void run(void *(*body)(void *))
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_create(&threads[i], NULL, body, NULL) == 0);
    for (int i = 0; i < THREADS; i++)
        REQUIRE(pthread_join(threads[i], NULL) == 0);
}

int main(void)
{
    check_begin();
    context = open_session();
    provider = register_provider(context, read_pattern, NULL);
    run(live_alone);
    run(publish_shared);
    run(open_and_close);
    run(mixed);
    publish_cached();
    run(take_back_shared);

    builder = begin_promise(context, provider);
    run(add_shared);
    CHECK(atomic_load(&added) == NAMES);
    run(commit_shared);
    CHECK(atomic_load(&committed) == 1);
    fp_promise_builder_free(builder);

    fp_provider_unregister(provider);
    fp_context_close(context);
    return CHECK_RESULT;
}
