/* Does what a sanitizer must stop, so that a clean run of the others means something: "address" or
 * "undefined" on its command line says what. Ends with 0 if nobody stopped it. */
#include "check.h"

#include <limits.h>

int main(int argc, char **argv)
{
    volatile int most = INT_MAX;
    char *volatile memory;

    REQUIRE(argc == 2);
    if (strcmp(argv[1], "address") == 0) {
        memory = malloc(8);
        REQUIRE(memory != NULL);
        memory[8] = 1;
        free(memory);
    } else if (strcmp(argv[1], "undefined") == 0) {
        most = most + 1;
    } else {
        return 2;
    }
    return EXIT_SUCCESS;
}
