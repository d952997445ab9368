/* Which runtime directories fp_context_open() takes, without any daemon. */
#include "check.h"
#include "temporary.h"

static fp_status_t open_and_close(const char *runtime_dir)
{
    fp_context_options_t options = FP_CONTEXT_OPTIONS_INIT;
    fp_context_t *context = NULL;
    fp_status_t status;

    options.runtime_dir = runtime_dir;
    status = fp_context_open(&options, &context);
    CHECK((context != NULL) == (status == FP_OK));
    fp_context_close(context);
    return status;
}

static fp_status_t open_default(const char *xdg_runtime_dir)
{
    fp_context_t *context = NULL;
    fp_status_t status;

    if (xdg_runtime_dir != NULL)
        REQUIRE(setenv("XDG_RUNTIME_DIR", xdg_runtime_dir, 1) == 0);
    else
        REQUIRE(unsetenv("XDG_RUNTIME_DIR") == 0);
    status = fp_context_open(NULL, &context);
    CHECK((context != NULL) == (status == FP_OK));
    fp_context_close(context);
    return status;
}

/* Owner, kind and permission bits. */
static void check_directories(void)
{
    static const mode_t unsafe_modes[] = {0710, 0701, 0770, 0707, 0755, 0777, 01777};
    char *file = below_temporary("file");
    char *missing = below_temporary("missing");
    char *shared = below_temporary("shared");
    int fd = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    REQUIRE(fd >= 0);
    close(fd);
    CHECK_STATUS(open_and_close(temporary), FP_OK);
    CHECK_STATUS(open_and_close(file), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR(file);
    CHECK_STATUS(open_and_close(missing), FP_ERR_UNAVAILABLE);
    CHECK_LAST_ERROR(missing);
    CHECK_STATUS(open_and_close("relative"), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(open_and_close("."), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(open_and_close(""), FP_ERR_INVALID_ARGUMENT);

    REQUIRE(mkdir(shared, 0700) == 0);
    for (size_t i = 0; i < sizeof(unsafe_modes) / sizeof(unsafe_modes[0]); i++) {
        REQUIRE(chmod(shared, unsafe_modes[i]) == 0);
        CHECK_STATUS(open_and_close(shared), FP_ERR_PERMISSION);
        CHECK_LAST_ERROR(shared);
    }
    REQUIRE(chmod(shared, 0700) == 0);
    CHECK_STATUS(open_and_close(shared), FP_OK);
    /* A directory of somebody else: root can make one, for anybody else / is one. */
    if (geteuid() == 0) {
        REQUIRE(chown(shared, 1, 1) == 0);
        CHECK_STATUS(open_and_close(shared), FP_ERR_PERMISSION);
    } else {
        CHECK_STATUS(open_and_close("/"), FP_ERR_PERMISSION);
    }
    free(file);
    free(missing);
    free(shared);
}

static void check_default(void)
{
    fp_context_options_t null_dir = FP_CONTEXT_OPTIONS_INIT;
    fp_context_t *context = NULL;

    CHECK_STATUS(open_default(temporary), FP_OK);
    REQUIRE_OK(fp_context_open(&null_dir, &context));
    fp_context_close(context);
    CHECK_STATUS(open_default(NULL), FP_ERR_UNAVAILABLE);
    CHECK_LAST_ERROR("XDG_RUNTIME_DIR");
    CHECK_STATUS(open_default("relative"), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(open_default("/nowhere/at/all"), FP_ERR_UNAVAILABLE);
}

int main(void)
{
    check_begin();
    make_temporary();
    check_directories();
    check_default();
    remove_temporary();
    return CHECK_RESULT;
}
