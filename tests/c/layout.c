/* Sizes, offsets, constants with their types, signatures and initialisers, as C11 sees them. */
#include "check.h"

#include <stddef.h>

#define SAME_TYPE(expression, type) _Generic((expression), type : 1, default : 0)

#define CONSTANT(name, type, value)                                                                \
    _Static_assert((name) == (value), #name " has its value");                                     \
    _Static_assert(SAME_TYPE(name, type), #name " has its type");
#define STRUCTURE(type, size) _Static_assert(sizeof(type) == (size), #type " has its size");
#define MEMBER(structure, member, type, offset)                                                    \
    _Static_assert(offsetof(structure, member) == (offset), #structure "." #member);               \
    _Static_assert(SAME_TYPE(((structure *)0)->member, type), #structure "." #member);
#define FUNCTION(name, type) _Static_assert(SAME_TYPE(&name, type), #name " has its signature");
#include "abi-table.h"

/* The constants are constant expressions, for the preprocessor's user as well as for switch. */
static const char *word(fp_status_t status)
{
    switch (status) {
    case FP_OK:
        return "ok";
    case FP_ERR_INVALID_ARGUMENT:
        return "invalid argument";
    case FP_ERR_UNAVAILABLE:
        return "unavailable";
    case FP_ERR_PERMISSION:
        return "permission denied";
    case FP_ERR_NOT_FOUND:
        return "not found";
    case FP_ERR_ALREADY_EXISTS:
        return "already exists";
    case FP_ERR_PROVIDER_GONE:
        return "provider gone";
    case FP_ERR_IO:
        return "io error";
    case FP_ERR_TIMEOUT:
        return "timeout";
    case FP_ERR_CANCELLED:
        return "cancelled";
    case FP_ERR_VERSION_MISMATCH:
        return "version mismatch";
    default:
        return "unknown status";
    }
}

static fp_status_t read_nothing(const fp_read_request_t *request, fp_read_response_t *response,
                                void *user_data)
{
    (void)request;
    (void)response;
    (void)user_data;
    return FP_OK;
}

/* Initialisers work for static storage too. */
static const fp_context_options_t context_options = FP_CONTEXT_OPTIONS_INIT;
static const fp_provider_ops_t ops = FP_PROVIDER_OPS_INIT(read_nothing);
static const fp_provider_config_t config = FP_PROVIDER_CONFIG_INIT(read_nothing);
static const fp_node_attr_t attr = FP_NODE_ATTR_INIT;
static const fp_materialize_options_t materialize_options = FP_MATERIALIZE_OPTIONS_INIT;
static const fp_materialize_start_options_t start_options = FP_MATERIALIZE_START_OPTIONS_INIT;
static const fp_materialize_status_t job_status = FP_MATERIALIZE_STATUS_INIT;
static const fp_materialize_entry_t job_entry = FP_MATERIALIZE_ENTRY_INIT;

int main(void)
{
    static const fp_status_t unknown[] = {11u, 12u, 255u, 0x80000000u, UINT32_MAX};
    int major, minor, patch;

    check_begin();
    for (fp_status_t status = FP_OK; status <= FP_ERR_VERSION_MISMATCH; status++)
        CHECK(strcmp(fp_status_string(status), word(status)) == 0);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        CHECK(strcmp(fp_status_string(unknown[i]), "unknown status") == 0);
    CHECK(sscanf(fp_library_version(), "%d.%d.%d", &major, &minor, &patch) == 3 && major == 1);
    CHECK(fp_last_error()[0] == '\0');

    CHECK(context_options.struct_size == sizeof(context_options));
    CHECK(context_options.api_version == FP_API_VERSION);
    CHECK(context_options.runtime_dir == NULL);
    CHECK(ops.struct_size == sizeof(ops) && ops.read == read_nothing);
    CHECK(config.struct_size == sizeof(config) && config.read == read_nothing);
    CHECK(config.flags == 0 && config.max_concurrent_reads == 0 && config.read_timeout_ms == 0);
    CHECK(config.event == NULL);
    CHECK(attr.struct_size == sizeof(attr));
    CHECK(attr.mode == 0 && attr.size == 0 && attr.mtime_nsec == 0);
    CHECK(materialize_options.struct_size == sizeof(materialize_options));
    CHECK(materialize_options.conflict_policy == FP_CONFLICT_FAIL);
    CHECK(materialize_options.progress == NULL && materialize_options.progress_user_data == NULL);
    CHECK(start_options.struct_size == sizeof(start_options));
    CHECK(start_options.conflict_policy == FP_CONFLICT_FAIL);
    CHECK(start_options.sync == 0 && start_options.detach == 0);
    CHECK(job_status.struct_size == sizeof(job_status) && job_status.removed == 0);
    CHECK(job_entry.struct_size == sizeof(job_entry));
    CHECK(job_entry.path == NULL && job_entry.message == NULL);
    return CHECK_RESULT;
}
