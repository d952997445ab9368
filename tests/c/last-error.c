/* The sentence of the last failure belongs to its thread. */
#include "check.h"

#include <pthread.h>

static void fail_with(const char *runtime_dir)
{
    fp_context_options_t options = FP_CONTEXT_OPTIONS_INIT;
    fp_context_t *context = NULL;

    options.runtime_dir = runtime_dir;
    CHECK_STATUS(fp_context_open(&options, &context), FP_ERR_INVALID_ARGUMENT);
}

/* Fails in its own way while the others do, many times. */
static void *fail_alone(void *argument)
{
    const char *mine = argument;

    CHECK(fp_last_error()[0] == '\0');
    for (int i = 0; i < 1000; i++) {
        fail_with(mine);
        CHECK(strstr(fp_last_error(), mine) != NULL);
    }
    return NULL;
}

int main(void)
{
    static char names[][16] = {"first-thread", "second-thread", "third-thread", "fourth-thread"};
    pthread_t threads[4];

    check_begin();
    CHECK(fp_last_error() != NULL && fp_last_error()[0] == '\0');
    fail_with("main-thread");
    for (size_t i = 0; i < 4; i++)
        REQUIRE(pthread_create(&threads[i], NULL, fail_alone, names[i]) == 0);
    for (size_t i = 0; i < 4; i++)
        REQUIRE(pthread_join(threads[i], NULL) == 0);
    CHECK_LAST_ERROR("main-thread");

    /* What succeeds leaves it alone. */
    fp_context_close(NULL);
    CHECK(strcmp(fp_status_string(FP_OK), "ok") == 0);
    CHECK_LAST_ERROR("main-thread");
    /* A text that is not UTF-8 is told all the same. */
    fail_with("bad-\xff-bytes");
    CHECK_LAST_ERROR("bad-");
    return CHECK_RESULT;
}
