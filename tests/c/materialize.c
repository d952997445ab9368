/* fp_materialize() with a daemon: what it copies, what the progress callback sees and can do. */
#include "session.h"
#include "temporary.h"

/* More than one request; little enough for a checker of memory. */
#define SIZE (((size_t)1 << 20) + 1)

static fp_context_t *context;
static fp_provider_t *provider;

/* A promise with dir, dir/large and dir/empty; the path of dir goes to path. */
static void publish(char path[PATH_MAX])
{
    fp_promise_builder_t *builder = begin_promise(context, provider);
    size_t length;

    REQUIRE_OK(add_dir(builder, "dir"));
    REQUIRE_OK(add_file(builder, "dir/large", SIZE));
    REQUIRE_OK(add_file(builder, "dir/empty", 0));
    REQUIRE_OK(fp_promise_commit(builder, path, PATH_MAX));
    fp_promise_builder_free(builder);
    length = strlen(path);
    snprintf(path + length, PATH_MAX - length, "/dir");
}

static bool exists(const char *name)
{
    char *path = below_temporary(name);
    struct stat found;
    bool there = lstat(path, &found) == 0;

    free(path);
    return there;
}

static bool holds_pattern(const char *name, const char *node_id, size_t size)
{
    char *path = below_temporary(name);
    bool same = has_pattern(path, node_id, size);

    free(path);
    return same;
}

static void start_over(void)
{
    remove_temporary();
    make_temporary();
}

/* What a callback saw, and what it says when as many files as stop_at are written. */
struct seen {
    fp_materialize_progress_t last;
    char target[PATH_MAX];
    int calls;
    uint64_t stop_at;
    fp_status_t say;
};

static fp_status_t watch(const fp_materialize_progress_t *progress, void *user_data)
{
    struct seen *seen = user_data;

    CHECK(progress->struct_size >= sizeof(*progress));
    CHECK(progress->entries_done >= seen->last.entries_done);
    CHECK(progress->bytes_written >= seen->last.bytes_written);
    CHECK(progress->entries_done <= progress->entries_total);
    seen->last = *progress;
    snprintf(seen->target, sizeof(seen->target), "%s", progress->target_path);
    seen->calls++;
    return progress->files_written >= seen->stop_at ? seen->say : FP_OK;
}

static fp_status_t copy(const char *source, uint32_t policy, struct seen *seen)
{
    fp_materialize_options_t options = FP_MATERIALIZE_OPTIONS_INIT;

    options.conflict_policy = policy;
    options.progress = seen != NULL ? watch : NULL;
    options.progress_user_data = seen;
    return fp_materialize(context, source, temporary, &options);
}

static void check_copies(const char *source)
{
    struct seen seen = {.say = FP_OK};
    char *target = below_temporary("dir");

    REQUIRE_OK(copy(source, FP_CONFLICT_FAIL, &seen));
    CHECK(holds_pattern("dir/large", "dir/large", SIZE) && holds_pattern("dir/empty", "", 0));
    CHECK(seen.calls >= 1);
    CHECK(seen.last.entries_done == 3 && seen.last.entries_total == 3);
    CHECK(seen.last.files_written == 2 && seen.last.files_total == 2);
    CHECK(seen.last.directories_created == 1 && seen.last.directories_total == 1);
    CHECK(seen.last.bytes_written == SIZE && seen.last.bytes_total == SIZE);
    CHECK(strcmp(seen.target, target) == 0);
    free(target);
}

static void check_conflicts(const char *source)
{
    char *large = below_temporary("dir/large");
    struct stat before, after;

    REQUIRE(stat(large, &before) == 0);
    CHECK_STATUS(copy(source, FP_CONFLICT_FAIL, NULL), FP_ERR_ALREADY_EXISTS);
    CHECK_LAST_ERROR("dir");
    REQUIRE(stat(large, &after) == 0);
    CHECK(before.st_ino == after.st_ino);
    REQUIRE_OK(copy(source, FP_CONFLICT_OVERWRITE, NULL));
    REQUIRE(stat(large, &after) == 0);
    CHECK(before.st_ino != after.st_ino);
    REQUIRE_OK(copy(source, FP_CONFLICT_RENAME, NULL));
    CHECK(holds_pattern("dir (1)/large", "dir/large", SIZE));
    free(large);
}

/* Whenever the callback says so, and whatever it says, nothing stays. */
static void check_stops(const char *source)
{
    static const struct {
        uint64_t files_written;
        fp_status_t say;
    } stops[] = {{0, FP_ERR_CANCELLED}, {1, FP_ERR_IO}, {2, FP_ERR_PERMISSION}, {2, 77}};

    for (size_t i = 0; i < sizeof(stops) / sizeof(stops[0]); i++) {
        struct seen seen = {.stop_at = stops[i].files_written, .say = stops[i].say};

        start_over();
        CHECK_STATUS(copy(source, FP_CONFLICT_FAIL, &seen), stops[i].say);
        CHECK_LAST_ERROR("progress callback");
        CHECK(!exists("dir"));
    }
}

static fp_status_t poll_context(const fp_materialize_progress_t *progress, void *user_data)
{
    fp_promise_builder_t *builder = NULL;
    char path[PATH_MAX];

    (void)progress;
    CHECK_STATUS(fp_promise_builder_new(context, provider, &builder), FP_OK);
    CHECK_STATUS(fp_promise_commit(builder, path, sizeof(path)), FP_OK);
    fp_promise_builder_free(builder);
    ++*(int *)user_data;
    return FP_OK;
}

/* The callback may use the library. */
static void check_calls_inside(const char *source)
{
    fp_materialize_options_t options = FP_MATERIALIZE_OPTIONS_INIT;
    int calls = 0;

    start_over();
    options.progress = poll_context;
    options.progress_user_data = &calls;
    REQUIRE_OK(fp_materialize(context, source, temporary, &options));
    CHECK(calls >= 1);
}

static void check_refused(const char *source)
{
    char mount[PATH_MAX], missing[PATH_MAX + 8];

    start_over();
    snprintf(mount, sizeof(mount), "%s", source);
    CHECK_STATUS(fp_materialize(context, source, mount, NULL), FP_ERR_INVALID_ARGUMENT);
    snprintf(missing, sizeof(missing), "%s/none", source);
    CHECK_STATUS(fp_materialize(context, missing, temporary, NULL), FP_ERR_NOT_FOUND);
    CHECK_LAST_ERROR("none");
    CHECK(rmdir(temporary) == 0 && mkdir(temporary, 0700) == 0);
}

int main(void)
{
    char source[PATH_MAX];

    check_begin();
    make_temporary();
    context = open_session();
    provider = register_provider(context, read_pattern, NULL);
    publish(source);
    check_copies(source);
    check_conflicts(source);
    check_stops(source);
    check_calls_inside(source);
    check_refused(source);
    fp_provider_unregister(provider);
    fp_context_close(context);
    remove_temporary();
    return CHECK_RESULT;
}
