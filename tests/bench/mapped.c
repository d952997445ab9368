/*
 * A reader that maps a file and touches each of its pages from front to back.
 *
 * bench-mapped PATH BYTES reads that much of it at most and prints what it took, as bench-reader does.
 */
#define _POSIX_C_SOURCE 200809L
#include <fcntl.h>
#include <inttypes.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PAGE 4096

static uint64_t nanoseconds(clockid_t clock)
{
    struct timespec now;

    clock_gettime(clock, &now);
    return (uint64_t)now.tv_sec * 1000000000 + (uint64_t)now.tv_nsec;
}

static int failed(const char *what)
{
    perror(what);
    return 1;
}

int main(int argc, char **argv)
{
    uint64_t started = nanoseconds(CLOCK_MONOTONIC);
    const volatile uint8_t *bytes;
    struct stat attributes;
    uint64_t size, sum = 0;
    int file;

    if (argc != 3) {
        fprintf(stderr, "usage: bench-mapped PATH BYTES\n");
        return 2;
    }
    file = open(argv[1], O_RDONLY | O_CLOEXEC);
    if (file < 0 || fstat(file, &attributes) != 0)
        return failed(argv[1]);
    size = strtoull(argv[2], NULL, 10);
    if (size > (uint64_t)attributes.st_size)
        size = (uint64_t)attributes.st_size;
    bytes = mmap(NULL, size, PROT_READ, MAP_SHARED, file, 0);
    if (bytes == MAP_FAILED)
        return failed("mmap");
    for (uint64_t at = 0; at < size; at += PAGE)
        sum += bytes[at];
    printf("bytes=%" PRIu64 " nanoseconds=%" PRIu64 " cpu=%" PRIu64 " sum=%" PRIu64 "\n", size,
           nanoseconds(CLOCK_MONOTONIC) - started, nanoseconds(CLOCK_PROCESS_CPUTIME_ID), sum);
    return 0;
}
