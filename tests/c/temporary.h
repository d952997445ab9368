/* A temporary directory for one program, with mode 0700, removed by remove_temporary(). */
#ifndef TEMPORARY_H
#define TEMPORARY_H

#include "check.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <limits.h>
#include <sys/stat.h>

static char temporary[PATH_MAX / 4];

static inline void make_temporary(void)
{
    const char *parent = getenv("TMPDIR");

    snprintf(temporary, sizeof(temporary), "%s/fp-c-XXXXXX", parent != NULL ? parent : "/tmp");
    REQUIRE(mkdtemp(temporary) != NULL);
}

/* A path below it. The text is the caller's to free. */
static inline char *below_temporary(const char *name)
{
    char *path = NULL;

    REQUIRE(asprintf(&path, "%s/%s", temporary, name) > 0);
    return path;
}

static inline int remove_one(const char *path, const struct stat *found, int type,
                             struct FTW *place)
{
    (void)found;
    (void)type;
    (void)place;
    return remove(path);
}

static inline void remove_temporary(void)
{
    CHECK(nftw(temporary, remove_one, 16, FTW_DEPTH | FTW_PHYS) == 0);
}

#endif
