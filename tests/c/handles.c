/* Handles outlive each other in any order, and know where they belong. */
#include "session.h"

static void check_foreign_provider(void)
{
    fp_context_t *mine = open_session();
    fp_context_t *other = open_session();
    fp_provider_t *provider = register_provider(other, read_pattern, NULL);
    fp_promise_builder_t *builder = NULL;

    CHECK_STATUS(fp_promise_builder_new(mine, provider, &builder), FP_ERR_INVALID_ARGUMENT);
    CHECK(builder == NULL);
    CHECK_STATUS(fp_promise_builder_new(other, provider, &builder), FP_OK);
    fp_promise_builder_free(builder);
    fp_provider_unregister(provider);
    fp_context_close(other);
    fp_context_close(mine);
}

static void check_provider_first(void)
{
    fp_context_t *context = open_session();
    fp_provider_t *provider = register_provider(context, read_pattern, NULL);
    fp_promise_builder_t *builder = begin_promise(context, provider);
    char path[PATH_MAX];

    REQUIRE_OK(add_file(builder, "file", 1));
    fp_provider_unregister(provider);
    CHECK_STATUS(fp_promise_commit(builder, path, sizeof(path)), FP_ERR_PROVIDER_GONE);
    fp_promise_builder_free(builder);
    fp_context_close(context);
}

static void check_context_first(void)
{
    fp_context_t *context = open_session();
    fp_provider_t *provider = register_provider(context, read_pattern, NULL);
    fp_promise_builder_t *builder = begin_promise(context, provider);
    char file[PATH_MAX], path[PATH_MAX];
    uint8_t bytes[16];
    size_t got;
    int fd;

    publish_file(context, provider, "file", 5000, file);
    fd = open(file, O_RDONLY | O_CLOEXEC);
    REQUIRE(fd >= 0);
    REQUIRE_OK(add_file(builder, "another", 1));
    fp_context_close(context);

    errno = 0;
    CHECK(pread(fd, bytes, sizeof(bytes), 0) == -1 && errno == EIO);
    CHECK_ERRNO(read_once(file, bytes, sizeof(bytes), &got), ENOENT);
    CHECK(fp_promise_commit(builder, path, sizeof(path)) != FP_OK);
    CHECK(fp_last_error()[0] != '\0');
    close(fd);
    fp_promise_builder_free(builder);
    fp_provider_unregister(provider);
}

/* One context after the other, and several at a time, each with its own provider. */
static void check_many(void)
{
    enum { CONTEXTS = 8 };
    fp_context_t *contexts[CONTEXTS];
    fp_provider_t *providers[CONTEXTS];
    char paths[CONTEXTS][PATH_MAX];

    for (int i = 0; i < CONTEXTS; i++) {
        contexts[i] = open_session();
        providers[i] = register_provider(contexts[i], read_pattern, NULL);
        publish_file(contexts[i], providers[i], "file", 1234, paths[i]);
    }
    for (int i = 0; i < CONTEXTS; i++)
        CHECK(has_pattern(paths[i], "file", 1234));
    for (int i = 0; i < CONTEXTS; i++) {
        fp_provider_unregister(providers[i]);
        fp_context_close(contexts[i]);
        for (int rest = i + 1; rest < CONTEXTS; rest++)
            CHECK(has_pattern(paths[rest], "file", 1234));
    }
}

int main(void)
{
    check_begin();
    check_foreign_provider();
    check_provider_first();
    check_context_first();
    check_many();
    return CHECK_RESULT;
}
