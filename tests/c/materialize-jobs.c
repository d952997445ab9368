/* Jobs: begun, watched, waited for, stopped, and what they tell of each entry. */
#include "session.h"
#include "temporary.h"

#include <semaphore.h>

#define SIZE ((size_t)600 << 10)

static fp_context_t *context;
/* Reads of the node "held" say that they have begun, and wait for the gate, once each. */
static sem_t begun, gate;

static fp_status_t read_gated(const fp_read_request_t *request, fp_read_response_t *response,
                              void *user_data)
{
    (void)user_data;
    if (strcmp(request->node_id, "held") == 0) {
        sem_post(&begun);
        sem_wait(&gate);
    }
    fill(request, response);
    return FP_OK;
}

static fp_materialize_job_t *start(const char *source, uint32_t policy)
{
    fp_materialize_start_options_t options = FP_MATERIALIZE_START_OPTIONS_INIT;
    fp_materialize_job_t *job = NULL;

    options.conflict_policy = policy;
    options.sync = 1;
    REQUIRE_OK(fp_materialize_start(context, source, temporary, &options, &job));
    REQUIRE(job != NULL);
    return job;
}

static fp_materialize_status_t poll_job(fp_materialize_job_t *job)
{
    fp_materialize_status_t status = FP_MATERIALIZE_STATUS_INIT;

    REQUIRE_OK(fp_materialize_poll(job, &status));
    return status;
}

static void check_end(const char *source)
{
    fp_materialize_job_t *job = start(source, FP_CONFLICT_FAIL);
    fp_materialize_entry_t entry = FP_MATERIALIZE_ENTRY_INIT;
    fp_materialize_status_t status;
    char *copy = below_temporary("file");

    CHECK_STATUS(fp_materialize_wait(job, -1), FP_OK);
    status = poll_job(job);
    CHECK(status.state == FP_JOB_FINISHED && status.status == FP_OK);
    CHECK(status.entries_done == 1 && status.entries_total == 1);
    CHECK(status.files_written == 1 && status.files_total == 1);
    CHECK(status.bytes_written == SIZE && status.bytes_total == SIZE);
    CHECK(status.written == 1 && status.skipped == 0 && status.failed == 0 && status.removed == 0);
    CHECK(has_pattern(copy, "file", SIZE));
    CHECK_STATUS(fp_materialize_result(job, 0, &entry), FP_ERR_NOT_FOUND);
    /* Again, and stopping what has ended changes nothing. */
    CHECK_STATUS(fp_materialize_cancel(job), FP_OK);
    CHECK_STATUS(fp_materialize_wait(job, 0), FP_OK);
    CHECK(has_pattern(copy, "file", SIZE));
    fp_materialize_free(job);
    free(copy);
}

static void check_entry(fp_materialize_job_t *job, uint32_t outcome, fp_status_t status,
                        const char *name)
{
    fp_materialize_entry_t entry = FP_MATERIALIZE_ENTRY_INIT;

    REQUIRE_OK(fp_materialize_result(job, 0, &entry));
    CHECK(entry.outcome == outcome && entry.status == status);
    CHECK(strcmp(entry.path, name) == 0);
    CHECK((entry.message[0] == '\0') == (status == FP_OK));
    CHECK_STATUS(fp_materialize_result(job, 1, &entry), FP_ERR_NOT_FOUND);
    CHECK_STATUS(fp_materialize_result(job, SIZE_MAX, &entry), FP_ERR_NOT_FOUND);
}

static void check_policies(const char *source)
{
    struct timespec now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};
    struct timespec older[2] = {{0, 0}, {-5, 0}};
    char *copy = below_temporary("file");
    fp_materialize_job_t *job;

    job = start(source, FP_CONFLICT_SKIP);
    CHECK_STATUS(fp_materialize_wait(job, -1), FP_OK);
    CHECK(poll_job(job).skipped == 1);
    check_entry(job, FP_ENTRY_SKIPPED, FP_OK, "file");
    fp_materialize_free(job);

    REQUIRE(utimensat(AT_FDCWD, copy, now, 0) == 0);
    job = start(source, FP_CONFLICT_NEWER);
    CHECK_STATUS(fp_materialize_wait(job, -1), FP_OK);
    check_entry(job, FP_ENTRY_SKIPPED, FP_OK, "file");
    fp_materialize_free(job);

    REQUIRE(utimensat(AT_FDCWD, copy, older, 0) == 0);
    job = start(source, FP_CONFLICT_NEWER);
    CHECK_STATUS(fp_materialize_wait(job, -1), FP_OK);
    check_entry(job, FP_ENTRY_REPLACED, FP_OK, "file");
    fp_materialize_free(job);

    REQUIRE(unlink(copy) == 0 && mkdir(copy, 0700) == 0);
    job = start(source, FP_CONFLICT_OVERWRITE);
    CHECK_STATUS(fp_materialize_wait(job, -1), FP_ERR_ALREADY_EXISTS);
    CHECK(poll_job(job).state == FP_JOB_FAILED);
    check_entry(job, FP_ENTRY_FAILED, FP_ERR_ALREADY_EXISTS, "file");
    fp_materialize_free(job);
    CHECK(rmdir(copy) == 0);
    free(copy);
}

static void check_stop(const char *source)
{
    fp_materialize_job_t *job = start(source, FP_CONFLICT_FAIL);
    fp_materialize_entry_t entry = FP_MATERIALIZE_ENTRY_INIT;
    fp_materialize_status_t status = poll_job(job);
    char *copy = below_temporary("held");

    CHECK(status.state == FP_JOB_RUNNING && status.status == FP_OK);
    CHECK_STATUS(fp_materialize_wait(job, 0), FP_ERR_TIMEOUT);
    CHECK_STATUS(fp_materialize_wait(job, 20), FP_ERR_TIMEOUT);
    CHECK_STATUS(fp_materialize_result(job, 0, &entry), FP_ERR_UNAVAILABLE);
    REQUIRE(sem_wait(&begun) == 0);
    CHECK_STATUS(fp_materialize_cancel(job), FP_OK);
    CHECK_STATUS(fp_materialize_wait(job, -1), FP_ERR_CANCELLED);
    status = poll_job(job);
    CHECK(status.state == FP_JOB_CANCELLED && status.status == FP_ERR_CANCELLED);
    CHECK(access(copy, F_OK) != 0);
    fp_materialize_free(job);
    sem_post(&gate);
    free(copy);
}

/* The daemon notices who leaves before it serves who comes later. */
static void come_later(void)
{
    fp_context_t *later = open_session();

    fp_provider_unregister(register_provider(later, read_pattern, NULL));
    fp_context_close(later);
}

/* A context that is closed takes its jobs along; their handles are still to be freed. */
static void check_close(const char *source)
{
    fp_context_t *kept = context;
    fp_materialize_status_t status = FP_MATERIALIZE_STATUS_INIT;
    fp_materialize_job_t *job;
    char *copy = below_temporary("held");

    context = open_session();
    job = start(source, FP_CONFLICT_FAIL);
    REQUIRE(sem_wait(&begun) == 0);
    fp_context_close(context);
    context = kept;
    CHECK_STATUS(fp_materialize_poll(job, &status), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(fp_materialize_wait(job, -1), FP_ERR_UNAVAILABLE);
    CHECK_STATUS(fp_materialize_cancel(job), FP_ERR_UNAVAILABLE);
    fp_materialize_free(job);
    come_later();
    sem_post(&gate);
    CHECK(access(copy, F_OK) != 0);
    free(copy);
}

/* Copying one's own promise from inside the read that the copy would wait for. */
static fp_status_t copy_inside(const fp_read_request_t *request, fp_read_response_t *response,
                               void *user_data)
{
    const char *source = user_data;
    fp_materialize_job_t *job = NULL;

    CHECK_STATUS(fp_materialize(context, source, temporary, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("read callback");
    CHECK_STATUS(fp_materialize_start(context, source, temporary, NULL, &job),
                 FP_ERR_INVALID_ARGUMENT);
    CHECK(job == NULL);
    fill(request, response);
    return FP_OK;
}

static void check_inside(void)
{
    char path[PATH_MAX] = "";
    fp_provider_t *provider = register_provider(context, copy_inside, path);

    publish_file(context, provider, "inside", 1000, path);
    CHECK(has_pattern(path, "inside", 1000));
    fp_provider_unregister(provider);
}

int main(void)
{
    char file[PATH_MAX], held[PATH_MAX];
    fp_provider_t *provider, *holding;

    check_begin();
    make_temporary();
    REQUIRE(sem_init(&begun, 0, 0) == 0 && sem_init(&gate, 0, 0) == 0);
    context = open_session();
    provider = register_provider(context, read_pattern, NULL);
    publish_file(context, provider, "file", SIZE, file);
    /* One that waits in its callback, apart from the one that answers. */
    holding = register_provider(context, read_gated, NULL);
    publish_file(context, holding, "held", SIZE / 2, held);
    check_end(file);
    check_policies(file);
    check_stop(held);
    check_close(held);
    check_inside();
    fp_provider_unregister(holding);
    fp_provider_unregister(provider);
    fp_context_close(context);
    remove_temporary();
    return CHECK_RESULT;
}
