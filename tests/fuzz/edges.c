/* Which edges of the kernels an input takes: gcc's -fsanitize-coverage=trace-pc calls us at every one.
 * Built by run.sh and preloaded; tests/fuzz/edges.py reads it. One thread. */
#include <stdint.h>
#include <string.h>

#define PLACES (1 << 16)

static unsigned char taken[PLACES]; /* by the input at hand, with how often: 1, 2, 4 ... 128 */
static unsigned char known[PLACES]; /* by any input before */
static unsigned char times[PLACES];
static uintptr_t before;

void __sanitizer_cov_trace_pc(void) {
    uintptr_t here = (uintptr_t)__builtin_return_address(0);
    uintptr_t place = ((here >> 1) ^ before) & (PLACES - 1);
    before = (here >> 2) & (PLACES - 1);
    unsigned char n = times[place];
    if (n == 255) return;
    times[place] = ++n;
    if ((n & (n - 1)) == 0) taken[place] |= n;
}

/* Begin an input. */
void edges_start(void) {
    memset(taken, 0, sizeof taken);
    memset(times, 0, sizeof times);
    before = 0;
}

/* How many places the input reached for the first time, or more often than any before; they are known from now on. */
int edges_new(void) {
    int found = 0;
    for (int k = 0; k < PLACES; k++) {
        if (taken[k] & ~known[k]) {
            known[k] |= taken[k];
            found++;
        }
    }
    return found;
}

/* How many places are known. */
int edges_known(void) {
    int found = 0;
    for (int k = 0; k < PLACES; k++) found += known[k] != 0;
    return found;
}
