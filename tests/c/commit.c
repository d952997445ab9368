/* Publishing, in a fresh runtime directory: numbers, paths, what a failed commit leaves alone. */
#include "session.h"

#include <dirent.h>

static fp_context_t *context;
static fp_provider_t *provider;

/* How many promises the mount lists. */
static unsigned promises(void)
{
    char mount[PATH_MAX];
    DIR *entries;
    struct dirent *entry;
    unsigned count = 0;

    snprintf(mount, sizeof(mount), "%s/fuse-promise", runtime_dir());
    entries = opendir(mount);
    REQUIRE(entries != NULL);
    while ((entry = readdir(entries)) != NULL)
        count += strncmp(entry->d_name, "promise-", 8) == 0;
    closedir(entries);
    return count;
}

static void expected_path(unsigned number, char path[PATH_MAX])
{
    snprintf(path, PATH_MAX, "%s/fuse-promise/promise-%u", runtime_dir(), number);
}

/* The first promise of all: nothing in it, and a buffer that fits exactly. */
static void check_empty_promise(void)
{
    fp_promise_builder_t *builder = begin_promise(context, provider);
    char expected[PATH_MAX], path[PATH_MAX];
    size_t exact;
    struct stat found;
    int in_directory;
    DIR *entries;
    struct dirent *entry;

    expected_path(1, expected);
    exact = strlen(expected) + 1;
    memset(path, '#', sizeof(path));
    REQUIRE_OK(fp_promise_commit(builder, path, exact));
    CHECK(strcmp(path, expected) == 0);
    CHECK(path[exact] == '#');
    fp_promise_builder_free(builder);

    REQUIRE(stat(path, &found) == 0);
    CHECK(S_ISDIR(found.st_mode) && (found.st_mode & 07777) == 0755);
    CHECK(found.st_mtim.tv_sec == 0 && found.st_mtim.tv_nsec == 0);
    entries = opendir(path);
    REQUIRE(entries != NULL);
    for (in_directory = 0; (entry = readdir(entries)) != NULL;)
        in_directory += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
    closedir(entries);
    CHECK(in_directory == 0);
}

/* Refused commits publish nothing, and the builder goes on. */
static void check_refused_commits(void)
{
    fp_promise_builder_t *builder = begin_promise(context, provider);
    char expected[PATH_MAX], path[PATH_MAX], file[PATH_MAX + 8];
    unsigned before = promises();
    size_t exact;

    expected_path(2, expected);
    exact = strlen(expected) + 1;
    REQUIRE_OK(add_file(builder, "first", 10));
    memset(path, '#', sizeof(path));
    CHECK_STATUS(fp_promise_commit(builder, NULL, sizeof(path)), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_commit(builder, path, 0), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_commit(builder, path, 1), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_commit(builder, path, exact - 1), FP_ERR_INVALID_ARGUMENT);
    CHECK(path[0] == '#');
    CHECK(promises() == before);

    CHECK_STATUS(add_file(builder, "second", 3000), FP_OK);
    CHECK_STATUS(fp_promise_commit(builder, path, exact), FP_OK);
    CHECK(strcmp(path, expected) == 0);
    CHECK(promises() == before + 1);
    snprintf(file, sizeof(file), "%s/second", path);
    CHECK(has_pattern(file, "second", 3000));

    /* A committed builder can only be freed. */
    CHECK_STATUS(add_file(builder, "third", 1), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(add_dir(builder, "fourth"), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_commit(builder, path, sizeof(path)), FP_ERR_INVALID_ARGUMENT);
    CHECK(promises() == before + 1);
    fp_promise_builder_free(builder);
    CHECK(has_pattern(file, "second", 3000));
}

/* What is shown is what was declared. */
static void check_attributes(void)
{
    fp_promise_builder_t *builder = begin_promise(context, provider);
    fp_node_attr_t attr = FP_NODE_ATTR_INIT;
    char expected[PATH_MAX], path[PATH_MAX], file[PATH_MAX + 8];
    struct stat found;

    expected_path(3, expected);
    attr.mode = 04751;
    attr.size = 123456789012;
    attr.mtime_nsec = 1234567890123456789;
    CHECK_STATUS(fp_promise_add_file(builder, "file", &attr, "id"), FP_OK);
    REQUIRE_OK(fp_promise_commit(builder, path, sizeof(path)));
    CHECK(strcmp(path, expected) == 0);
    fp_promise_builder_free(builder);
    snprintf(file, sizeof(file), "%s/file", path);
    REQUIRE(stat(file, &found) == 0);
    CHECK(S_ISREG(found.st_mode) && (found.st_mode & 07777) == 04751);
    CHECK(found.st_size == 123456789012);
    CHECK(found.st_mtim.tv_sec == 1234567890 && found.st_mtim.tv_nsec == 123456789);
    CHECK(found.st_uid == geteuid());
}

int main(void)
{
    check_begin();
    context = open_session();
    provider = register_provider(context, read_pattern, NULL);
    check_empty_promise();
    check_refused_commits();
    check_attributes();
    fp_provider_unregister(provider);
    CHECK(promises() == 0);
    fp_context_close(context);
    return CHECK_RESULT;
}
