/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * The smallest provider: one file, whose bytes come from memory.
 *
 *     cc -o minimal-provider minimal-provider.c $(pkg-config --cflags --libs fuse-promise)
 *     ./minimal-provider
 *
 * It prints the path of the promise as soon as every program of the session can see it, and goes on
 * until it gets SIGINT or SIGTERM.
 */
#define _POSIX_C_SOURCE 200809L
#include <fuse-promise/fuse-promise.h>

#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char TEXT[] = "These bytes were made when you read them.\n";
static const size_t TEXT_LENGTH = sizeof(TEXT) - 1;

/* Runs on a thread of the library each time somebody reads. A request never asks for bytes beyond
 * the declared size. */
static fp_status_t read_text(const fp_read_request_t *request, fp_read_response_t *response,
                             void *user_data)
{
    (void)user_data;
    if (request->offset > TEXT_LENGTH || request->length > TEXT_LENGTH - request->offset)
        return FP_ERR_INVALID_ARGUMENT;
    memcpy(response->buffer, TEXT + request->offset, request->length);
    response->bytes_written = request->length;
    return FP_OK;
}

static void check(fp_status_t status, const char *what)
{
    if (status == FP_OK)
        return;
    fprintf(stderr, "minimal-provider: %s: %s\n", what, fp_last_error());
    exit(EXIT_FAILURE);
}

int main(void)
{
    fp_context_t *context = NULL;
    fp_provider_t *provider = NULL;
    fp_promise_builder_t *builder = NULL;
    fp_provider_ops_t ops = FP_PROVIDER_OPS_INIT(read_text);
    fp_node_attr_t attr = FP_NODE_ATTR_INIT;
    char path[PATH_MAX];
    sigset_t stop;
    int signal_number;

    /* Blocked first, so that a signal that comes early is still there for sigwait(). */
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);

    check(fp_context_open(NULL, &context), "cannot open the runtime directory");
    check(fp_provider_register(context, &ops, NULL, &provider), "cannot register");

    attr.mode = 0444;
    attr.size = TEXT_LENGTH;
    check(fp_promise_builder_new(context, provider, &builder), "cannot begin a promise");
    check(fp_promise_add_file(builder, "hello.txt", &attr, "hello"), "cannot add hello.txt");
    check(fp_promise_commit(builder, path, sizeof(path)), "cannot publish");
    fp_promise_builder_free(builder);

    puts(path);
    fflush(stdout);
    sigwait(&stop, &signal_number);

    fp_provider_unregister(provider);
    fp_context_close(context);
    return EXIT_SUCCESS;
}
