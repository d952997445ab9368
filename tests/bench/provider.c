/*
 * The provider of the benchmark: one promised file that is answered from memory, through the
 * public C ABI and nothing else.
 *
 * bench-provider BYTES prints the path of the file when it can be opened, and unregisters when
 * its standard input ends.
 */
#include <fuse-promise/fuse-promise.h>

#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

struct memory {
    uint8_t *bytes;
    uint64_t size;
};

/* The same words as in content.rs: the finalizer of splitmix64 over the word's position. */
static uint64_t word(uint64_t index)
{
    uint64_t mixed = index + UINT64_C(0x9e3779b97f4a7c15);

    mixed = (mixed ^ (mixed >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    mixed = (mixed ^ (mixed >> 27)) * UINT64_C(0x94d049bb133111eb);
    return mixed ^ (mixed >> 31);
}

static fp_status_t answer(const fp_read_request_t *request, fp_read_response_t *response,
                          void *user_data)
{
    const struct memory *memory = user_data;
    size_t length = request->length;

    if (request->offset >= memory->size)
        return FP_OK;
    if (length > memory->size - request->offset)
        length = (size_t)(memory->size - request->offset);
    if (length > response->buffer_len)
        return FP_ERR_IO;
    memcpy(response->buffer, memory->bytes + request->offset, length);
    response->bytes_written = length;
    return FP_OK;
}

static int failed(const char *what, fp_status_t status)
{
    fprintf(stderr, "bench-provider: %s: %s\n", what, fp_status_string(status));
    return 1;
}

static int publish(fp_context_t *context, fp_provider_t *provider, uint64_t size)
{
    fp_promise_builder_t *builder = NULL;
    fp_node_attr_t attr = FP_NODE_ATTR_INIT;
    char path[4096];
    fp_status_t status = fp_promise_builder_new(context, provider, &builder);

    if (status != FP_OK)
        return failed("fp_promise_builder_new", status);
    attr.mode = 0644;
    attr.size = size;
    status = fp_promise_add_file(builder, "data", &attr, "data");
    if (status == FP_OK)
        status = fp_promise_commit(builder, path, sizeof path);
    fp_promise_builder_free(builder);
    if (status != FP_OK)
        return failed("publishing the file", status);
    printf("%s/data\n", path);
    return fflush(stdout) == 0 ? 0 : 1;
}

int main(int argc, char **argv)
{
    struct memory memory = {NULL, 0};
    fp_provider_ops_t ops = FP_PROVIDER_OPS_INIT(answer);
    fp_context_t *context = NULL;
    fp_provider_t *provider = NULL;
    fp_status_t status;
    char drop[64];
    int result;

    if (argc != 2 || (memory.size = strtoull(argv[1], NULL, 10)) % 8 != 0 || memory.size == 0) {
        fprintf(stderr, "usage: bench-provider BYTES (a multiple of 8)\n");
        return 2;
    }
    memory.bytes = malloc(memory.size);
    if (memory.bytes == NULL) {
        fprintf(stderr, "bench-provider: no memory for %" PRIu64 " bytes\n", memory.size);
        return 1;
    }
    for (uint64_t index = 0; index < memory.size / 8; index++) {
        uint64_t value = word(index);

        memcpy(memory.bytes + index * 8, &value, sizeof value);
    }

    status = fp_context_open(NULL, &context);
    if (status != FP_OK)
        return failed("fp_context_open", status);
    status = fp_provider_register(context, &ops, &memory, &provider);
    if (status != FP_OK)
        return failed("fp_provider_register", status);
    result = publish(context, provider, memory.size);
    while (result == 0 && read(STDIN_FILENO, drop, sizeof drop) > 0)
        ;
    fp_provider_unregister(provider);
    fp_context_close(context);
    free(memory.bytes);
    return result;
}
