/* NULL and wrong struct sizes for every function, as far as no daemon is needed. */
#include "check.h"
#include "temporary.h"

static const uint32_t wrong_sizes[] = {0, 1, 4, 8, 12, 15, 17, 23, 25, 40, UINT32_MAX};
#define WRONG_SIZES (sizeof(wrong_sizes) / sizeof(wrong_sizes[0]))

static fp_status_t read_nothing(const fp_read_request_t *request, fp_read_response_t *response,
                                void *user_data)
{
    (void)request;
    (void)response;
    (void)user_data;
    return FP_OK;
}

/* A struct of which there is nothing but its size, so that a checker of memory sees it if more is
 * read. */
static void *only_size(uint32_t size)
{
    uint32_t *memory = malloc(sizeof(*memory));

    REQUIRE(memory != NULL);
    *memory = size;
    return memory;
}

static void check_open(void)
{
    fp_context_options_t options = FP_CONTEXT_OPTIONS_INIT;
    fp_context_t *context = NULL;

    options.runtime_dir = temporary;
    CHECK_STATUS(fp_context_open(&options, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_context_open(NULL, NULL), FP_ERR_INVALID_ARGUMENT);

    for (size_t i = 0; i < WRONG_SIZES; i++) {
        fp_context_options_t *wrong = only_size(wrong_sizes[i]);

        CHECK_STATUS(fp_context_open(wrong, &context), FP_ERR_INVALID_ARGUMENT);
        CHECK(context == NULL);
        CHECK_LAST_ERROR("fp_context_options_t.struct_size");
        free(wrong);
    }

    options.api_version = 0;
    CHECK_STATUS(fp_context_open(&options, &context), FP_ERR_VERSION_MISMATCH);
    options.api_version = FP_API_VERSION + 1;
    CHECK_STATUS(fp_context_open(&options, &context), FP_ERR_VERSION_MISMATCH);
    CHECK(context == NULL);
    CHECK_LAST_ERROR("2");
}

static void check_register(fp_context_t *context)
{
    fp_provider_ops_t ops = FP_PROVIDER_OPS_INIT(read_nothing);
    fp_provider_ops_t no_read = FP_PROVIDER_OPS_INIT(NULL);
    fp_provider_t *provider = NULL;

    CHECK_STATUS(fp_provider_register(NULL, &ops, NULL, &provider), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_provider_register(context, NULL, NULL, &provider), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_provider_register(context, &ops, NULL, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_provider_register(context, &no_read, NULL, &provider), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("read");
    for (size_t i = 0; i < WRONG_SIZES; i++) {
        fp_provider_ops_t *wrong = only_size(wrong_sizes[i]);

        CHECK_STATUS(fp_provider_register(context, wrong, NULL, &provider),
                     FP_ERR_INVALID_ARGUMENT);
        free(wrong);
    }
    CHECK(provider == NULL);

    /* Nothing is wrong with this call but that nobody serves the directory. */
    CHECK_STATUS(fp_provider_register(context, &ops, NULL, &provider), FP_ERR_UNAVAILABLE);
    CHECK(provider == NULL);
    CHECK_LAST_ERROR(temporary);
}

static void hear_nothing(const fp_event_t *event, void *user_data)
{
    (void)event;
    (void)user_data;
}

static void check_register_ex(fp_context_t *context)
{
    fp_provider_config_t config = FP_PROVIDER_CONFIG_INIT(read_nothing);
    fp_provider_config_t no_read = FP_PROVIDER_CONFIG_INIT(NULL);
    fp_provider_t *provider = NULL;

    config.event = hear_nothing;
    CHECK_STATUS(fp_provider_register_ex(NULL, &config, NULL, &provider), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_provider_register_ex(context, NULL, NULL, &provider), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("fp_provider_config_t is NULL");
    CHECK_STATUS(fp_provider_register_ex(context, &config, NULL, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_provider_register_ex(context, &no_read, NULL, &provider),
                 FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("fp_provider_config_t.read is NULL");
    for (size_t i = 0; i < WRONG_SIZES; i++) {
        fp_provider_config_t *wrong = only_size(wrong_sizes[i]);

        CHECK_STATUS(fp_provider_register_ex(context, wrong, NULL, &provider),
                     FP_ERR_INVALID_ARGUMENT);
        CHECK_LAST_ERROR("fp_provider_config_t.struct_size");
        free(wrong);
    }
    for (int bit = 0; bit < 32; bit++) {
        config.flags = UINT32_C(1) << bit;
        CHECK_STATUS(fp_provider_register_ex(context, &config, NULL, &provider),
                     FP_ERR_INVALID_ARGUMENT);
        CHECK_LAST_ERROR("fp_provider_config_t.flags");
    }
    config.flags = 0;
    config.max_concurrent_reads = 4097;
    CHECK_STATUS(fp_provider_register_ex(context, &config, NULL, &provider),
                 FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("4097");
    CHECK(provider == NULL);

    /* Nothing is wrong with these but that nobody serves the directory. */
    config.max_concurrent_reads = 4096;
    config.read_timeout_ms = UINT32_MAX;
    CHECK_STATUS(fp_provider_register_ex(context, &config, NULL, &provider), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(fp_promise_destroy(context, "promise-1"), FP_ERR_UNAVAILABLE);
    CHECK(provider == NULL);
    CHECK_LAST_ERROR(temporary);
}

static void check_builder(fp_context_t *context)
{
    fp_node_attr_t attr = FP_NODE_ATTR_INIT;
    fp_promise_builder_t *builder = NULL;
    char path[64];

    CHECK_STATUS(fp_promise_builder_new(NULL, NULL, &builder), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_builder_new(context, NULL, &builder), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_builder_new(context, NULL, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK(builder == NULL);
    CHECK_STATUS(fp_promise_add_dir(NULL, "a", &attr, "a"), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_add_file(NULL, "a", &attr, "a"), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_add_dir(NULL, NULL, NULL, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_add_file(NULL, NULL, NULL, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_commit(NULL, path, sizeof(path)), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_commit(NULL, NULL, 0), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_builder_set_cache_policy(NULL, FP_CACHE_POLICY_KEEP),
                 FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("builder is NULL");
    CHECK_STATUS(fp_promise_invalidate(NULL, "promise-1", NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("provider is NULL");
    CHECK_STATUS(fp_promise_invalidate(NULL, NULL, NULL), FP_ERR_INVALID_ARGUMENT);
}

static void check_materialize(fp_context_t *context)
{
    CHECK_STATUS(fp_materialize(NULL, "/a", temporary, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_materialize(context, NULL, temporary, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_materialize(context, "/a", NULL, NULL), FP_ERR_INVALID_ARGUMENT);
    for (size_t i = 0; i < WRONG_SIZES; i++) {
        fp_materialize_options_t *wrong = only_size(wrong_sizes[i]);

        CHECK_STATUS(fp_materialize(context, "/a", temporary, wrong), FP_ERR_INVALID_ARGUMENT);
        CHECK_LAST_ERROR("fp_materialize_options_t.struct_size");
        free(wrong);
    }
}

static void check_start(fp_context_t *context)
{
    fp_materialize_start_options_t options = FP_MATERIALIZE_START_OPTIONS_INIT;
    fp_materialize_job_t *job = NULL;

    CHECK_STATUS(fp_materialize_start(NULL, "/a", temporary, NULL, &job), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_materialize_start(context, NULL, temporary, NULL, &job),
                 FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_materialize_start(context, "/a", NULL, NULL, &job), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_materialize_start(context, "/a", temporary, NULL, NULL),
                 FP_ERR_INVALID_ARGUMENT);
    for (size_t i = 0; i < WRONG_SIZES; i++) {
        fp_materialize_start_options_t *wrong = only_size(wrong_sizes[i]);

        CHECK_STATUS(fp_materialize_start(context, "/a", temporary, wrong, &job),
                     FP_ERR_INVALID_ARGUMENT);
        CHECK_LAST_ERROR("fp_materialize_start_options_t.struct_size");
        free(wrong);
    }
    for (uint32_t policy = FP_CONFLICT_FAIL; policy <= FP_CONFLICT_NEWER; policy++) {
        options.conflict_policy = policy;
        CHECK_STATUS(fp_materialize_start(context, "/a", temporary, &options, &job),
                     FP_ERR_UNAVAILABLE);
    }
    options.conflict_policy = FP_CONFLICT_NEWER + 1;
    CHECK_STATUS(fp_materialize_start(context, "/a", temporary, &options, &job),
                 FP_ERR_INVALID_ARGUMENT);
    options.conflict_policy = FP_CONFLICT_FAIL;
    options.sync = 2;
    CHECK_STATUS(fp_materialize_start(context, "/a", temporary, &options, &job),
                 FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("sync");
    options.sync = 0;
    options.detach = UINT32_MAX;
    CHECK_STATUS(fp_materialize_start(context, "/a", temporary, &options, &job),
                 FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("detach");
    CHECK(job == NULL);
}

static void check_job(void)
{
    fp_materialize_status_t status = FP_MATERIALIZE_STATUS_INIT;
    fp_materialize_entry_t entry = FP_MATERIALIZE_ENTRY_INIT;

    CHECK_STATUS(fp_materialize_poll(NULL, &status), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_materialize_wait(NULL, 0), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_materialize_result(NULL, 0, &entry), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_materialize_cancel(NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("job is NULL");
    fp_materialize_free(NULL);
}

int main(void)
{
    fp_context_options_t options = FP_CONTEXT_OPTIONS_INIT;
    fp_context_t *context = NULL;

    check_begin();
    make_temporary();
    fp_context_close(NULL);
    fp_provider_unregister(NULL);
    fp_promise_builder_free(NULL);
    check_open();

    options.runtime_dir = temporary;
    REQUIRE_OK(fp_context_open(&options, &context));
    CHECK(context != NULL);
    check_register(context);
    check_register_ex(context);
    check_builder(context);
    check_materialize(context);
    check_start(context);
    check_job();
    fp_context_close(context);

    remove_temporary();
    return CHECK_RESULT;
}
