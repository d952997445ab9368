/*
 * Checks for the C programs. A check that fails says where and what on standard error, and the
 * program goes on; CHECK_RESULT is its exit code. REQUIRE ends the program, where nothing after it
 * could work. A program that passes writes nothing to standard error.
 *
 * The header is the first include of each program: it asks for the GNU interfaces.
 */
#ifndef CHECK_H
#define CHECK_H

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif

#include <fuse-promise/fuse-promise.h>

#include <errno.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static atomic_int checks_failed;

#define CHECK_RESULT (atomic_load(&checks_failed) == 0 ? EXIT_SUCCESS : EXIT_FAILURE)

/* First in a program, and in a child that it forks. A program that hangs is ended by SIGALRM, which
 * no thread of the library takes. */
static inline void check_begin(void)
{
    atomic_store(&checks_failed, 0);
    alarm(60);
}

static inline bool check_that(bool holds, const char *what, const char *file, int line)
{
    if (!holds) {
        atomic_fetch_add(&checks_failed, 1);
        fprintf(stderr, "%s:%d: check failed: %s\n", file, line, what);
    }
    return holds;
}

static inline bool check_status(fp_status_t got, fp_status_t expected, const char *call,
                                const char *file, int line)
{
    if (got != expected) {
        atomic_fetch_add(&checks_failed, 1);
        fprintf(stderr, "%s:%d: check failed: %s is \"%s\" and not \"%s\"; last error: %s\n", file,
                line, call, fp_status_string(got), fp_status_string(expected), fp_last_error());
    }
    return got == expected;
}

static inline bool check_errno(int got, int expected, const char *what, const char *file, int line)
{
    if (got != expected) {
        atomic_fetch_add(&checks_failed, 1);
        fprintf(stderr, "%s:%d: check failed: %s gives \"%s\" and not \"%s\"\n", file, line, what,
                strerror(got), strerror(expected));
    }
    return got == expected;
}

#define CHECK(condition) check_that((condition), #condition, __FILE__, __LINE__)
#define CHECK_STATUS(call, expected) check_status((call), (expected), #call, __FILE__, __LINE__)
/* The call is one that returns an errno, or 0. */
#define CHECK_ERRNO(call, expected) check_errno((call), (expected), #call, __FILE__, __LINE__)
/* The last error of this thread contains a text. */
#define CHECK_LAST_ERROR(part)                                                                    \
    check_that(strstr(fp_last_error(), (part)) != NULL, "fp_last_error() tells of " #part,         \
               __FILE__, __LINE__)

#define REQUIRE(condition)                                                                         \
    do {                                                                                           \
        if (!CHECK(condition))                                                                     \
            exit(EXIT_FAILURE);                                                                    \
    } while (0)
#define REQUIRE_OK(call)                                                                           \
    do {                                                                                           \
        if (!CHECK_STATUS(call, FP_OK))                                                            \
            exit(EXIT_FAILURE);                                                                    \
    } while (0)

#endif
