/*
 * What a provider says about the caching of a promise holds, whatever the daemon does with others.
 * The command line has the daemon's own policy; its cache has 2 MiB. Reads with O_DIRECT go past
 * the kernel's pages, and so show what the daemon itself holds.
 */
#include "session.h"
#include "temporary.h"

enum { SIZE = 300000, FLOOD = 4 << 20 };

static fp_context_t *context;
static fp_provider_t *provider;
static atomic_int calls;

static fp_status_t count_and_read(const fp_read_request_t *request, fp_read_response_t *response,
                                  void *user_data)
{
    (void)user_data;
    atomic_fetch_add(&calls, 1);
    fill(request, response);
    return FP_OK;
}

/* Publishes two files of one promise, whose path goes to path. */
static void publish(fp_cache_policy_t policy, size_t size, char path[PATH_MAX])
{
    fp_promise_builder_t *builder = begin_promise(context, provider);

    REQUIRE_OK(add_file(builder, "one", size));
    REQUIRE_OK(add_file(builder, "two", size));
    REQUIRE_OK(fp_promise_builder_set_cache_policy(builder, policy));
    REQUIRE_OK(fp_promise_commit(builder, path, PATH_MAX));
    fp_promise_builder_free(builder);
}

/* How often the provider is asked for a whole file. */
static int cost(const char *promise, const char *name, size_t size, int flags)
{
    int before = atomic_load(&calls);
    uint8_t *bytes = malloc(size);
    char *path = NULL;
    bool same = true;
    ssize_t length;
    int file;

    REQUIRE(bytes != NULL && asprintf(&path, "%s/%s", promise, name) > 0);
    file = open(path, O_RDONLY | O_CLOEXEC | flags);
    REQUIRE(file >= 0);
    length = read(file, bytes, size);
    CHECK_ERRNO(length < 0 ? errno : 0, 0);
    CHECK(length == (ssize_t)size);
    /* A flood is only there to be read. */
    for (size_t i = 0; same && size == SIZE && i < size; i++)
        same = bytes[i] == byte_of(name, i);
    CHECK(same);
    close(file);
    free(path);
    free(bytes);
    return atomic_load(&calls) - before;
}

static void check_choices(bool daemon_reads_through)
{
    char direct[PATH_MAX], through[PATH_MAX], unsaid[PATH_MAX];

    publish(FP_CACHE_POLICY_NONE, SIZE, direct);
    for (int pass = 0; pass < 3; pass++)
        CHECK(cost(direct, "one", SIZE, 0) > 0);

    publish(FP_CACHE_POLICY_READ_THROUGH, SIZE, through);
    CHECK(cost(through, "one", SIZE, 0) > 0);
    CHECK(cost(through, "one", SIZE, 0) == 0);
    CHECK(cost(through, "one", SIZE, O_DIRECT) == 0);

    publish(FP_CACHE_POLICY_DEFAULT, SIZE, unsaid);
    CHECK(cost(unsaid, "one", SIZE, 0) > 0);
    CHECK((cost(unsaid, "one", SIZE, 0) == 0) == daemon_reads_through);
}

/* More than the cache can hold is read meanwhile. */
static void check_keep(void)
{
    char kept[PATH_MAX], flood[PATH_MAX];

    publish(FP_CACHE_POLICY_KEEP, SIZE, kept);
    publish(FP_CACHE_POLICY_READ_THROUGH, FLOOD, flood);
    CHECK(cost(kept, "one", SIZE, 0) > 0);
    for (int pass = 0; pass < 2; pass++) {
        CHECK(cost(flood, "one", FLOOD, O_DIRECT) > 0);
        CHECK(cost(kept, "one", SIZE, O_DIRECT) == 0);
    }
}

static void check_invalidate(fp_cache_policy_t policy)
{
    char path[PATH_MAX], id[32];

    publish(policy, SIZE, path);
    promise_of(path, id);
    for (int round = 0; round < 3; round++) {
        CHECK(cost(path, "one", SIZE, 0) > 0 && cost(path, "two", SIZE, 0) > 0);
        CHECK(cost(path, "one", SIZE, 0) == 0 && cost(path, "two", SIZE, 0) == 0);
        CHECK_STATUS(fp_promise_invalidate(provider, id, "one"), FP_OK);
        CHECK(cost(path, "one", SIZE, 0) > 0 && cost(path, "two", SIZE, 0) == 0);
        CHECK_STATUS(fp_promise_invalidate(provider, id, NULL), FP_OK);
    }
}

/* A copy is a file of the user's, and goes on to serve reads. */
static void check_copy(void)
{
    char path[PATH_MAX], id[32];
    int before;

    publish(FP_CACHE_POLICY_READ_THROUGH, SIZE, path);
    promise_of(path, id);
    make_temporary();
    CHECK_STATUS(fp_materialize(context, path, temporary, NULL), FP_OK);
    before = atomic_load(&calls);
    CHECK_STATUS(fp_promise_invalidate(provider, id, NULL), FP_OK);
    CHECK(cost(path, "one", SIZE, 0) == 0 && cost(path, "two", SIZE, O_DIRECT) == 0);
    CHECK(atomic_load(&calls) == before);
    remove_temporary();
}

static void check_refusals(void)
{
    fp_provider_t *other = register_provider(context, read_pattern, NULL);
    char path[PATH_MAX], id[32];

    publish(FP_CACHE_POLICY_NONE, SIZE, path);
    promise_of(path, id);
    CHECK_STATUS(fp_promise_invalidate(provider, id, NULL), FP_OK);
    CHECK_STATUS(fp_promise_invalidate(other, id, NULL), FP_ERR_NOT_FOUND);
    CHECK_LAST_ERROR(id);
    CHECK_STATUS(fp_promise_invalidate(provider, id, "three"), FP_ERR_NOT_FOUND);
    CHECK_LAST_ERROR("three");
    CHECK_STATUS(fp_promise_invalidate(provider, "promise-4294967295", NULL), FP_ERR_NOT_FOUND);
    CHECK_STATUS(fp_promise_invalidate(provider, id, ""), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("node id");
    CHECK_STATUS(fp_promise_invalidate(provider, NULL, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("promise_id is NULL");
    CHECK_STATUS(fp_promise_invalidate(provider, path, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_invalidate(provider, "\xff", NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("is no promise id");
    fp_provider_unregister(other);
}

int main(int argc, char **argv)
{
    check_begin();
    REQUIRE(argc == 2);
    context = open_session();
    provider = register_provider(context, count_and_read, NULL);
    check_choices(strcmp(argv[1], "read-through") == 0);
    check_keep();
    check_invalidate(FP_CACHE_POLICY_READ_THROUGH);
    check_invalidate(FP_CACHE_POLICY_KEEP);
    check_copy();
    check_refusals();
    fp_context_close(context);
    CHECK_STATUS(fp_promise_invalidate(provider, "promise-1", NULL), FP_ERR_PROVIDER_GONE);
    fp_provider_unregister(provider);
    return CHECK_RESULT;
}
