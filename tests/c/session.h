/*
 * What the programs share that need a daemon: FP_RUNTIME_DIR names the runtime directory it serves.
 * A provider of theirs answers with bytes that follow from the node id and the offset.
 */
#ifndef SESSION_H
#define SESSION_H

#include "check.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

static inline const char *runtime_dir(void)
{
    const char *path = getenv("FP_RUNTIME_DIR");

    if (path == NULL) {
        fprintf(stderr, "FP_RUNTIME_DIR must name the runtime directory of a running daemon\n");
        exit(EXIT_FAILURE);
    }
    return path;
}

static inline fp_context_t *open_session(void)
{
    fp_context_options_t options = FP_CONTEXT_OPTIONS_INIT;
    fp_context_t *context = NULL;

    options.runtime_dir = runtime_dir();
    REQUIRE_OK(fp_context_open(&options, &context));
    return context;
}

static inline fp_provider_t *register_provider(fp_context_t *context, fp_provider_read_fn read,
                                               void *user_data)
{
    fp_provider_ops_t ops = FP_PROVIDER_OPS_INIT(read);
    fp_provider_t *provider = NULL;

    REQUIRE_OK(fp_provider_register(context, &ops, user_data, &provider));
    REQUIRE(provider != NULL);
    return provider;
}

static inline fp_promise_builder_t *begin_promise(fp_context_t *context, fp_provider_t *provider)
{
    fp_promise_builder_t *builder = NULL;

    REQUIRE_OK(fp_promise_builder_new(context, provider, &builder));
    REQUIRE(builder != NULL);
    return builder;
}

static inline fp_status_t add_file(fp_promise_builder_t *builder, const char *path, uint64_t size)
{
    fp_node_attr_t attr = FP_NODE_ATTR_INIT;

    attr.mode = 0444;
    attr.size = size;
    return fp_promise_add_file(builder, path, &attr, path);
}

static inline fp_status_t add_dir(fp_promise_builder_t *builder, const char *path)
{
    fp_node_attr_t attr = FP_NODE_ATTR_INIT;

    attr.mode = 0755;
    return fp_promise_add_dir(builder, path, &attr, path);
}

/* Publishes one file; its path in the mount goes to path. */
static inline void publish_file(fp_context_t *context, fp_provider_t *provider, const char *name,
                                uint64_t size, char path[PATH_MAX])
{
    fp_promise_builder_t *builder = begin_promise(context, provider);
    size_t length;

    REQUIRE_OK(add_file(builder, name, size));
    REQUIRE_OK(fp_promise_commit(builder, path, PATH_MAX));
    fp_promise_builder_free(builder);
    length = strlen(path);
    snprintf(path + length, PATH_MAX - length, "/%s", name);
}

/* The id of the promise that a path in the mount lies in. */
static inline void promise_of(const char *path, char id[32])
{
    const char *start = strstr(path, "/promise-");

    REQUIRE(start != NULL);
    snprintf(id, 32, "%.*s", (int)strcspn(start + 1, "/"), start + 1);
}

/* The byte at an offset of a node. */
static inline uint8_t byte_of(const char *node_id, uint64_t offset)
{
    return (uint8_t)(offset * 31 + (offset >> 8) + (unsigned char)node_id[0]);
}

static inline void fill(const fp_read_request_t *request, fp_read_response_t *response)
{
    for (size_t i = 0; i < response->buffer_len; i++)
        response->buffer[i] = byte_of(request->node_id, request->offset + i);
    response->bytes_written = response->buffer_len;
}

/* A read callback that answers every request in full. */
static inline fp_status_t read_pattern(const fp_read_request_t *request,
                                       fp_read_response_t *response, void *user_data)
{
    (void)user_data;
    fill(request, response);
    return FP_OK;
}

/* Reads up to size bytes from the beginning of a file with one read(2). Returns 0 or an errno. */
static inline int read_once(const char *path, uint8_t *bytes, size_t size, size_t *got)
{
    int file = open(path, O_RDONLY | O_CLOEXEC);
    ssize_t length;
    int error;

    *got = 0;
    if (file < 0)
        return errno;
    length = read(file, bytes, size);
    error = length < 0 ? errno : 0;
    if (length > 0)
        *got = (size_t)length;
    close(file);
    return error;
}

/* Whether a file holds exactly the pattern of a node. */
static inline bool has_pattern(const char *path, const char *node_id, size_t size)
{
    uint8_t *bytes = malloc(size + 1);
    size_t got;
    bool same;

    REQUIRE(bytes != NULL);
    same = read_once(path, bytes, size + 1, &got) == 0 && got == size;
    for (size_t i = 0; same && i < size; i++)
        same = bytes[i] == byte_of(node_id, i);
    free(bytes);
    return same;
}

#endif
