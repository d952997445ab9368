/*
 * A panic inside never leaves the library. Wants a library built with the feature test-panics, in
 * which FP_TEST_PANIC names the function that panics, and on its command line the list of all
 * functions: each one panics in turn, the caller gets FP_ERR_IO, and what it holds still works and
 * can be freed.
 */
#include "session.h"
#include "temporary.h"

#include <stddef.h>

static fp_context_t *context;
static fp_provider_t *provider;
static fp_promise_builder_t *builder;

static fp_status_t open_context(void)
{
    fp_context_options_t options = FP_CONTEXT_OPTIONS_INIT;
    fp_context_t *opened = NULL;
    fp_status_t status;

    options.runtime_dir = runtime_dir();
    status = fp_context_open(&options, &opened);
    CHECK((opened != NULL) == (status == FP_OK));
    fp_context_close(opened);
    return status;
}

static fp_status_t register_another(void)
{
    fp_provider_ops_t ops = FP_PROVIDER_OPS_INIT(read_pattern);
    fp_provider_t *registered = NULL;
    fp_status_t status = fp_provider_register(context, &ops, NULL, &registered);

    CHECK((registered != NULL) == (status == FP_OK));
    fp_provider_unregister(registered);
    return status;
}

static fp_status_t register_by_config(void)
{
    fp_provider_config_t config = FP_PROVIDER_CONFIG_INIT(read_pattern);
    fp_provider_t *registered = NULL;
    fp_status_t status = fp_provider_register_ex(context, &config, NULL, &registered);

    CHECK((registered != NULL) == (status == FP_OK));
    fp_provider_unregister(registered);
    return status;
}

static fp_status_t new_builder(void)
{
    fp_promise_builder_t *begun = NULL;
    fp_status_t status = fp_promise_builder_new(context, provider, &begun);

    CHECK((begun != NULL) == (status == FP_OK));
    fp_promise_builder_free(begun);
    return status;
}

static fp_status_t add_a_dir(void)
{
    return add_dir(builder, "dir");
}

static fp_status_t add_a_file(void)
{
    return add_file(builder, "file", 1);
}

static fp_status_t commit(void)
{
    fp_promise_builder_t *begun = begin_promise(context, provider);
    char path[PATH_MAX];
    fp_status_t status = fp_promise_commit(begun, path, sizeof(path));

    fp_promise_builder_free(begun);
    return status;
}

static fp_status_t set_policy(void)
{
    return fp_promise_builder_set_cache_policy(builder, FP_CACHE_POLICY_KEEP);
}

static fp_status_t invalidate(void)
{
    /* Refused when it does not panic: there is no such promise. */
    return fp_promise_invalidate(provider, "promise-4294967295", NULL);
}

static fp_status_t destroy(void)
{
    return fp_promise_destroy(context, "promise-4294967295");
}

static fp_status_t materialize(void)
{
    /* Refused when it does not panic: there is no such target. */
    return fp_materialize(context, "/a", "/no/such/directory", NULL);
}

static fp_status_t start_job(void)
{
    fp_materialize_job_t *job = NULL;

    return fp_materialize_start(context, "/a", "/no/such/directory", NULL, &job);
}

static fp_status_t poll_job(void)
{
    fp_materialize_status_t status = FP_MATERIALIZE_STATUS_INIT;

    return fp_materialize_poll(NULL, &status);
}

static fp_status_t wait_for_job(void)
{
    return fp_materialize_wait(NULL, 0);
}

static fp_status_t result_of_job(void)
{
    fp_materialize_entry_t entry = FP_MATERIALIZE_ENTRY_INIT;

    return fp_materialize_result(NULL, 0, &entry);
}

static fp_status_t cancel_job(void)
{
    return fp_materialize_cancel(NULL);
}

/* Functions that return a status, and what they return without a panic. */
static const struct {
    const char *name;
    fp_status_t (*call)(void);
    fp_status_t otherwise;
} with_status[] = {
    {"fp_context_open", open_context, FP_OK},
    {"fp_provider_register", register_another, FP_OK},
    {"fp_provider_register_ex", register_by_config, FP_OK},
    {"fp_promise_builder_new", new_builder, FP_OK},
    {"fp_promise_add_dir", add_a_dir, FP_OK},
    {"fp_promise_add_file", add_a_file, FP_OK},
    {"fp_promise_commit", commit, FP_OK},
    {"fp_promise_builder_set_cache_policy", set_policy, FP_OK},
    {"fp_promise_invalidate", invalidate, FP_ERR_NOT_FOUND},
    {"fp_promise_destroy", destroy, FP_ERR_NOT_FOUND},
    {"fp_materialize", materialize, FP_ERR_NOT_FOUND},
    {"fp_materialize_start", start_job, FP_ERR_NOT_FOUND},
    {"fp_materialize_poll", poll_job, FP_ERR_INVALID_ARGUMENT},
    {"fp_materialize_wait", wait_for_job, FP_ERR_INVALID_ARGUMENT},
    {"fp_materialize_result", result_of_job, FP_ERR_INVALID_ARGUMENT},
    {"fp_materialize_cancel", cancel_job, FP_ERR_INVALID_ARGUMENT},
};

static void panic_in(const char *name)
{
    REQUIRE(setenv("FP_TEST_PANIC", name, 1) == 0);
}

static void no_panic(void)
{
    REQUIRE(unsetenv("FP_TEST_PANIC") == 0);
}

static bool check_with_status(const char *name)
{
    for (size_t i = 0; i < sizeof(with_status) / sizeof(with_status[0]); i++) {
        if (strcmp(name, with_status[i].name) != 0)
            continue;
        panic_in(name);
        CHECK_STATUS(with_status[i].call(), FP_ERR_IO);
        no_panic();
        CHECK_LAST_ERROR("internal error in");
        CHECK(strstr(fp_last_error(), name) != NULL);
        CHECK_STATUS(with_status[i].call(), with_status[i].otherwise);
        return true;
    }
    return false;
}

/* Functions that take a handle back: after the panic it is still there, and is taken back then. */
static bool check_closing(const char *name)
{
    fp_context_t *own_context = open_session();
    fp_provider_t *own_provider = register_provider(own_context, read_pattern, NULL);
    fp_promise_builder_t *own_builder = begin_promise(own_context, own_provider);
    fp_materialize_job_t *own_job = NULL;
    char path[PATH_MAX];
    bool known = true;

    publish_file(own_context, own_provider, "file", 1000, path);
    make_temporary();
    REQUIRE_OK(fp_materialize_start(own_context, path, temporary, NULL, &own_job));
    panic_in(name);
    if (strcmp(name, "fp_promise_builder_free") == 0)
        fp_promise_builder_free(own_builder);
    else if (strcmp(name, "fp_provider_unregister") == 0)
        fp_provider_unregister(own_provider);
    else if (strcmp(name, "fp_materialize_free") == 0)
        fp_materialize_free(own_job);
    else if (strcmp(name, "fp_context_close") == 0)
        fp_context_close(own_context);
    else
        known = false;
    no_panic();
    if (known) {
        CHECK(strstr(fp_last_error(), name) != NULL);
        CHECK(has_pattern(path, "file", 1000));
        CHECK_STATUS(add_file(own_builder, "file", 1), FP_OK);
        CHECK_STATUS(fp_materialize_wait(own_job, -1), FP_OK);
    }
    fp_materialize_free(own_job);
    fp_promise_builder_free(own_builder);
    fp_provider_unregister(own_provider);
    fp_context_close(own_context);
    remove_temporary();
    return known;
}

/* Functions that return a text return one all the same. */
static bool check_text(const char *name)
{
    bool known = true;

    panic_in(name);
    if (strcmp(name, "fp_status_string") == 0)
        CHECK(strcmp(fp_status_string(FP_ERR_IO), "unknown status") == 0);
    else if (strcmp(name, "fp_library_version") == 0)
        CHECK(fp_library_version()[0] == '1');
    else if (strcmp(name, "fp_last_error") == 0)
        CHECK(fp_last_error()[0] == '\0');
    else
        known = false;
    no_panic();
    return known;
}

int main(int argc, char **argv)
{
    char name[128];
    FILE *symbols;
    int checked = 0;

    check_begin();
    REQUIRE(argc == 2);
    symbols = fopen(argv[1], "r");
    REQUIRE(symbols != NULL);
    context = open_session();
    provider = register_provider(context, read_pattern, NULL);
    builder = begin_promise(context, provider);
    while (fscanf(symbols, "%127s", name) == 1) {
        if (!CHECK(check_with_status(name) || check_text(name) || check_closing(name)))
            fprintf(stderr, "... for %s, which nothing here makes panic\n", name);
        checked++;
    }
    CHECK(checked > 0);
    fclose(symbols);
    fp_promise_builder_free(builder);
    fp_provider_unregister(provider);
    fp_context_close(context);
    return CHECK_RESULT;
}
