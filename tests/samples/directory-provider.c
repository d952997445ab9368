/* SPDX-License-Identifier: MIT OR Apache-2.0 */
/*
 * Publishes a directory that exists: names, sizes, modes and times are read once, bytes when
 * somebody reads them. The directory must stay as it is while it is published.
 *
 *     cc -o directory-provider directory-provider.c $(pkg-config --cflags --libs fuse-promise)
 *     ./directory-provider DIRECTORY
 *
 * It prints the path of the promise as soon as every program of the session can see it, and goes on
 * until it gets SIGINT or SIGTERM. Regular files and directories are published; everything else is
 * named on standard error and left out.
 */
#define _GNU_SOURCE
#include <fuse-promise/fuse-promise.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* What the read callback needs: a node id is a path below this directory. */
struct source {
    int root;
};

static fp_status_t status_of(int error)
{
    switch (error) {
    case ENOENT:
    case ENOTDIR:
        return FP_ERR_NOT_FOUND;
    case EACCES:
    case EPERM:
    case ELOOP:
        return FP_ERR_PERMISSION;
    default:
        return FP_ERR_IO;
    }
}

/* Fills the buffer from the file, or as much of it as the file still has. */
static fp_status_t read_range(int file, uint64_t offset, fp_read_response_t *response)
{
    while (response->bytes_written < response->buffer_len) {
        ssize_t got = pread(file, response->buffer + response->bytes_written,
                            response->buffer_len - response->bytes_written,
                            (off_t)(offset + response->bytes_written));
        if (got == 0)
            break;
        if (got > 0)
            response->bytes_written += (size_t)got;
        else if (errno != EINTR)
            return status_of(errno);
    }
    return FP_OK;
}

/* Runs on a thread of the library each time somebody reads. One open, one pread and one close for
 * each request: a provider of many files that kept them open would run out of descriptors. */
static fp_status_t read_file(const fp_read_request_t *request, fp_read_response_t *response,
                             void *user_data)
{
    const struct source *source = user_data;
    fp_status_t status;
    struct stat found;
    /* O_NONBLOCK: should a FIFO have taken the file's place, the open does not wait for a writer. */
    int file = openat(source->root, request->node_id,
                      O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (file < 0)
        return status_of(errno);
    if (fstat(file, &found) != 0)
        status = status_of(errno);
    else if (!S_ISREG(found.st_mode))
        status = FP_ERR_IO;
    else
        status = read_range(file, request->offset, response);
    close(file);
    return status;
}

static fp_node_attr_t attr_of(const struct stat *found)
{
    fp_node_attr_t attr = FP_NODE_ATTR_INIT;

    attr.mode = found->st_mode & 07777;
    if (S_ISREG(found->st_mode))
        attr.size = (uint64_t)found->st_size;
    /* Times before 1970 cannot be published. */
    if (found->st_mtim.tv_sec >= 0)
        attr.mtime_nsec = (int64_t)found->st_mtim.tv_sec * 1000000000 + found->st_mtim.tv_nsec;
    return attr;
}

static bool add_directory(fp_promise_builder_t *builder, int root, const char *relative);

/* Adds one entry of a directory, and what is below it. */
static bool add_entry(fp_promise_builder_t *builder, int root, const char *relative)
{
    struct stat found;
    fp_node_attr_t attr;
    fp_status_t status;

    if (fstatat(root, relative, &found, AT_SYMLINK_NOFOLLOW) != 0) {
        fprintf(stderr, "directory-provider: %s: %s\n", relative, strerror(errno));
        return false;
    }
    attr = attr_of(&found);
    if (S_ISREG(found.st_mode)) {
        status = fp_promise_add_file(builder, relative, &attr, relative);
    } else if (S_ISDIR(found.st_mode)) {
        status = fp_promise_add_dir(builder, relative, &attr, relative);
    } else {
        fprintf(stderr, "directory-provider: %s: neither file nor directory, left out\n", relative);
        return true;
    }
    if (status != FP_OK) {
        fprintf(stderr, "directory-provider: %s: %s\n", relative, fp_last_error());
        return false;
    }
    return !S_ISDIR(found.st_mode) || add_directory(builder, root, relative);
}

/* Adds what is in a directory; "" is the root. */
static bool add_directory(fp_promise_builder_t *builder, int root, const char *relative)
{
    const char *name = *relative != '\0' ? relative : ".";
    int directory = openat(root, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    DIR *entries = directory < 0 ? NULL : fdopendir(directory);
    struct dirent *entry;
    bool added = true;

    if (entries == NULL) {
        fprintf(stderr, "directory-provider: %s: %s\n", name, strerror(errno));
        if (directory >= 0)
            close(directory);
        return false;
    }
    while (added && (errno = 0, entry = readdir(entries)) != NULL) {
        char *path;

        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0)
            continue;
        if (asprintf(&path, "%s%s%s", relative, *relative != '\0' ? "/" : "", entry->d_name) < 0) {
            fprintf(stderr, "directory-provider: %s: out of memory\n", name);
            added = false;
            break;
        }
        added = add_entry(builder, root, path);
        free(path);
    }
    if (added && errno != 0) {
        fprintf(stderr, "directory-provider: %s: %s\n", name, strerror(errno));
        added = false;
    }
    closedir(entries);
    return added;
}

/* Publishes the tree and prints where it is. */
static bool publish(fp_context_t *context, fp_provider_t *provider, int root)
{
    fp_promise_builder_t *builder = NULL;
    char path[PATH_MAX];
    bool published = false;

    if (fp_promise_builder_new(context, provider, &builder) != FP_OK) {
        fprintf(stderr, "directory-provider: cannot begin a promise: %s\n", fp_last_error());
        return false;
    }
    if (add_directory(builder, root, "")) {
        published = fp_promise_commit(builder, path, sizeof(path)) == FP_OK;
        if (!published)
            fprintf(stderr, "directory-provider: cannot publish: %s\n", fp_last_error());
    }
    fp_promise_builder_free(builder);
    if (published) {
        puts(path);
        fflush(stdout);
    }
    return published;
}

/* Serves until a signal of the set arrives. */
static bool serve(struct source *source, const sigset_t *stop)
{
    fp_context_t *context = NULL;
    fp_provider_t *provider = NULL;
    fp_provider_ops_t ops = FP_PROVIDER_OPS_INIT(read_file);
    bool served = false;
    int signal_number;

    if (fp_context_open(NULL, &context) != FP_OK) {
        fprintf(stderr, "directory-provider: cannot open the runtime directory: %s\n",
                fp_last_error());
    } else if (fp_provider_register(context, &ops, source, &provider) != FP_OK) {
        fprintf(stderr, "directory-provider: cannot register: %s\n", fp_last_error());
    } else if (publish(context, provider, source->root)) {
        served = sigwait(stop, &signal_number) == 0;
    }
    /* Both do nothing for NULL. Once unregister has returned, no callback uses the source. */
    fp_provider_unregister(provider);
    fp_context_close(context);
    return served;
}

int main(int argc, char **argv)
{
    struct source source;
    sigset_t stop;
    bool served;

    if (argc != 2) {
        fprintf(stderr, "usage: directory-provider DIRECTORY\n");
        return 2;
    }
    source.root = open(argv[1], O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (source.root < 0) {
        fprintf(stderr, "directory-provider: %s: %s\n", argv[1], strerror(errno));
        return EXIT_FAILURE;
    }
    /* Blocked first, so that a signal that comes early is still there for sigwait(). */
    sigemptyset(&stop);
    sigaddset(&stop, SIGINT);
    sigaddset(&stop, SIGTERM);
    sigprocmask(SIG_BLOCK, &stop, NULL);

    served = serve(&source, &stop);
    close(source.root);
    return served ? EXIT_SUCCESS : EXIT_FAILURE;
}
