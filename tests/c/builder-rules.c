/* What a builder takes and what it refuses: attributes, paths, node ids, parents, duplicates. */
#include "session.h"

static fp_promise_builder_t *builder;

static fp_status_t file_with(uint32_t mode, uint64_t size, int64_t mtime_nsec)
{
    static unsigned number;
    fp_node_attr_t attr = FP_NODE_ATTR_INIT;
    char name[32];

    snprintf(name, sizeof(name), "file-%u", number++);
    attr.mode = mode;
    attr.size = size;
    attr.mtime_nsec = mtime_nsec;
    return fp_promise_add_file(builder, name, &attr, "id");
}

static fp_status_t dir_with(uint32_t mode, uint64_t size)
{
    static unsigned number;
    fp_node_attr_t attr = FP_NODE_ATTR_INIT;
    char name[32];

    snprintf(name, sizeof(name), "dir-%u", number++);
    attr.mode = mode;
    attr.size = size;
    return fp_promise_add_dir(builder, name, &attr, "id");
}

static void check_null_and_sizes(fp_context_t *context, fp_provider_t *provider)
{
    static const uint32_t wrong_sizes[] = {0, 4, 16, 23, 25, 32, UINT32_MAX};
    fp_node_attr_t attr = FP_NODE_ATTR_INIT;
    fp_promise_builder_t *none = NULL;

    CHECK_STATUS(fp_promise_builder_new(NULL, provider, &none), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_builder_new(context, NULL, &none), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_builder_new(context, provider, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK(none == NULL);

    CHECK_STATUS(fp_promise_add_file(builder, NULL, &attr, "id"), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_add_file(builder, "n", NULL, "id"), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_add_file(builder, "n", &attr, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_add_file(builder, "n", &attr, ""), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_add_dir(builder, NULL, &attr, "id"), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_add_dir(builder, "n", NULL, "id"), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_add_dir(builder, "n", &attr, NULL), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(fp_promise_add_dir(builder, "n", &attr, ""), FP_ERR_INVALID_ARGUMENT);
    for (size_t i = 0; i < sizeof(wrong_sizes) / sizeof(wrong_sizes[0]); i++) {
        attr.struct_size = wrong_sizes[i];
        CHECK_STATUS(fp_promise_add_file(builder, "n", &attr, "id"), FP_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(fp_promise_add_dir(builder, "n", &attr, "id"), FP_ERR_INVALID_ARGUMENT);
    }
    CHECK_LAST_ERROR("fp_node_attr_t.struct_size");
}

static void check_attributes(void)
{
    CHECK_STATUS(file_with(0, 0, 0), FP_OK);
    CHECK_STATUS(file_with(07777, 0, 0), FP_OK);
    CHECK_STATUS(file_with(04755, 1, 1), FP_OK);
    CHECK_STATUS(file_with(010000, 0, 0), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(file_with(0100644, 0, 0), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(file_with(UINT32_MAX, 0, 0), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(file_with(0644, INT64_MAX, INT64_MAX), FP_OK);
    CHECK_STATUS(file_with(0644, (uint64_t)INT64_MAX + 1, 0), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(file_with(0644, UINT64_MAX, 0), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(file_with(0644, 0, -1), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(file_with(0644, 0, INT64_MIN), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(dir_with(01777, 0), FP_OK);
    CHECK_STATUS(dir_with(040755, 0), FP_ERR_INVALID_ARGUMENT);
    CHECK_STATUS(dir_with(0755, 1), FP_ERR_INVALID_ARGUMENT);
}

static void check_paths(void)
{
    static const char *const refused[] = {
        "/abs", "/", "..", "../a", "top/..", "top/../b", "top/./../b", "", ".", "./", "./.", "//",
        "not-utf8-\xff", "top/\xc3\x28",
    };
    char name[257];

    CHECK_STATUS(add_dir(builder, "top"), FP_OK);
    for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
        CHECK_STATUS(add_file(builder, refused[i], 1), FP_ERR_INVALID_ARGUMENT);
        CHECK_STATUS(add_dir(builder, refused[i]), FP_ERR_INVALID_ARGUMENT);
    }
    /* "./q", "a//b" and "t/" are other ways to write "q", "a/b" and "t". */
    CHECK_STATUS(add_file(builder, "./q", 1), FP_OK);
    CHECK_STATUS(add_file(builder, "q", 1), FP_ERR_ALREADY_EXISTS);
    CHECK_STATUS(add_file(builder, "top//b", 1), FP_OK);
    CHECK_STATUS(add_file(builder, "top/b", 1), FP_ERR_ALREADY_EXISTS);
    CHECK_STATUS(add_file(builder, "top/./b", 1), FP_ERR_ALREADY_EXISTS);
    CHECK_STATUS(add_dir(builder, "t/"), FP_OK);
    CHECK_STATUS(add_dir(builder, "t"), FP_ERR_ALREADY_EXISTS);
    CHECK_STATUS(add_file(builder, "t", 1), FP_ERR_ALREADY_EXISTS);
    CHECK_LAST_ERROR("t");
    /* Not every name with dots in it is "..". */
    CHECK_STATUS(add_file(builder, "..a", 1), FP_OK);
    CHECK_STATUS(add_file(builder, "a..", 1), FP_OK);
    CHECK_STATUS(add_file(builder, "...", 1), FP_OK);
    CHECK_STATUS(add_file(builder, "Gr\xc3\xbc\xc3\x9f" "e \n", 1), FP_OK);

    memset(name, 'n', sizeof(name));
    name[256] = '\0';
    CHECK_STATUS(add_file(builder, name, 1), FP_ERR_INVALID_ARGUMENT);
    name[255] = '\0';
    CHECK_STATUS(add_file(builder, name, 1), FP_OK);
}

static void check_parents(void)
{
    CHECK_STATUS(add_file(builder, "missing/file", 1), FP_ERR_NOT_FOUND);
    CHECK_LAST_ERROR("missing");
    CHECK_STATUS(add_dir(builder, "missing/dir"), FP_ERR_NOT_FOUND);
    CHECK_STATUS(add_dir(builder, "missing"), FP_OK);
    CHECK_STATUS(add_file(builder, "missing/file", 1), FP_OK);
    /* A file is nobody's parent. */
    CHECK(add_file(builder, "missing/file/below", 1) != FP_OK);
}

static void check_policies(void)
{
    static const fp_cache_policy_t unknown[] = {FP_CACHE_POLICY_KEEP + 1, 5u, UINT32_MAX};

    for (fp_cache_policy_t policy = FP_CACHE_POLICY_DEFAULT; policy <= FP_CACHE_POLICY_KEEP;
         policy++)
        CHECK_STATUS(fp_promise_builder_set_cache_policy(builder, policy), FP_OK);
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++)
        CHECK_STATUS(fp_promise_builder_set_cache_policy(builder, unknown[i]),
                     FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("4294967295");
}

int main(void)
{
    fp_context_t *context;
    fp_provider_t *provider;
    char path[PATH_MAX];

    check_begin();
    context = open_session();
    provider = register_provider(context, read_pattern, NULL);
    builder = begin_promise(context, provider);
    check_null_and_sizes(context, provider);
    check_attributes();
    check_paths();
    check_parents();
    check_policies();
    /* What was refused has left nothing behind that would spoil the tree. */
    CHECK_STATUS(fp_promise_commit(builder, path, sizeof(path)), FP_OK);
    CHECK_STATUS(fp_promise_builder_set_cache_policy(builder, FP_CACHE_POLICY_NONE),
                 FP_ERR_INVALID_ARGUMENT);
    CHECK_LAST_ERROR("committed");
    fp_promise_builder_free(builder);
    fp_provider_unregister(provider);
    fp_context_close(context);
    return CHECK_RESULT;
}
