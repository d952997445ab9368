/* What fp_materialize() refuses before it asks any daemon. */
#include "check.h"
#include "temporary.h"

#define SYMLINK_TEXT "target directory must not be a symlink"

static fp_context_t *context;

static fp_status_t materialize(const char *source, const char *target, uint32_t policy)
{
    fp_materialize_options_t options = FP_MATERIALIZE_OPTIONS_INIT;

    options.conflict_policy = policy;
    return fp_materialize(context, source, target, &options);
}

static void check_policies(const char *source)
{
    static const uint32_t unknown[] = {3, 4, 5, 0x80000000u, UINT32_MAX};

    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        CHECK_STATUS(materialize(source, temporary, unknown[i]), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(materialize(source, temporary, FP_CONFLICT_FAIL), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(materialize(source, temporary, FP_CONFLICT_OVERWRITE), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(materialize(source, temporary, FP_CONFLICT_RENAME), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(fp_materialize(context, source, temporary, NULL), FP_ERR_UNAVAILABLE);
}

static void check_targets(const char *source)
{
    char *missing = below_temporary("missing");
    char *file = below_temporary("file");
    char *link = below_temporary("link");
    char *link_slash = below_temporary("link/");
    char *dangling = below_temporary("dangling");
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    REQUIRE(fd >= 0);
    close(fd);
    REQUIRE(symlink(temporary, link) == 0 && symlink(missing, dangling) == 0);

    CHECK_STATUS(fp_materialize(context, source, "relative", NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_materialize(context, source, "", NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_materialize(context, source, missing, NULL), FP_ERR_NOT_FOUND);
    CHECK_LAST_ERROR(missing);
    CHECK_STATUS(fp_materialize(context, source, file, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR(file);
    CHECK_STATUS(fp_materialize(context, source, link, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR(SYMLINK_TEXT);
    CHECK_STATUS(fp_materialize(context, source, link_slash, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR(SYMLINK_TEXT);
    CHECK_STATUS(fp_materialize(context, source, dangling, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR(SYMLINK_TEXT);
    CHECK_STATUS(fp_materialize(context, "promise-1/a", temporary, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_materialize(context, "", temporary, NULL), FP_ERR_INVALID_ARGUMENT);

    free(missing);
    free(file);
    free(link);
    free(link_slash);
    free(dangling);
}

int main(void)
{
    fp_context_options_t options = FP_CONTEXT_OPTIONS_INIT;
    char *source;

    check_begin();
    make_temporary();
    source = below_temporary("fuse-promise/promise-1/a");
    options.runtime_dir = temporary;
    REQUIRE_OK(fp_context_open(&options, &context));
    check_policies(source);
    check_targets(source);
    fp_context_close(context);
    free(source);
    remove_temporary();
    return CHECK_RESULT;
}
