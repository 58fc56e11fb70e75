/* Sorts hashes, and carries along where each came from.
 *
 * Hashes are spread evenly, so a radix sort of the bits below those that all have in common leaves next to nothing to
 * do: three passes of 9 bits order 2^27 values, and one pass of insertions what is alike in these bits. Where that would
 * be much, as keys can be chosen whose hashes lie together, the passes go on over all bits. Every step is stable: what has
 * one hash stays in the order in which it came. */
#include "keyed.h"

#include <stdlib.h>
#include <string.h>

#define BITS 9
#define BUCKETS (1 << BITS)
#define PASSES 3
#define ALL_PASSES 8 /* of 64 bits */
#define MOST_MOVES 8 /* a row; evenly spread hashes take a thousandth of one */

typedef struct {
    uint64_t hash;
    int64_t place;
} entry;

static int shift_of(const uint64_t *hashes, int64_t rows) {
    uint64_t differ = 0;
    for (int64_t row = 1; row < rows; row++) differ |= hashes[row] ^ hashes[0];
    int used = differ ? 64 - __builtin_clzll(differ) : 0;
    return used > BITS * PASSES ? used - BITS * PASSES : 0;
}

static void pass(const entry *from, entry *to, int64_t rows, int shift) {
    int64_t starts[BUCKETS] = {0}, total = 0;
    for (int64_t row = 0; row < rows; row++) starts[from[row].hash >> shift & (BUCKETS - 1)]++;
    for (int64_t bucket = 0; bucket < BUCKETS; bucket++) {
        int64_t count = starts[bucket];
        starts[bucket] = total;
        total += count;
    }
    for (int64_t row = 0; row < rows; row++) to[starts[from[row].hash >> shift & (BUCKETS - 1)]++] = from[row];
}

/* Whether that was done with few moves; if not, they are in some order in which equal hashes are as they were. */
static int insert(entry *entries, int64_t rows) {
    int64_t left = rows * MOST_MOVES;
    for (int64_t row = 1; row < rows; row++) {
        entry moved = entries[row];
        int64_t at = row;
        for (; at > 0 && entries[at - 1].hash > moved.hash; at--) entries[at] = entries[at - 1];
        entries[at] = moved;
        left -= row - at;
        if (left < 0) return 0;
    }
    return 1;
}

/* Passes from the lowest of some bits up; where they end, as they go to and fro. */
static entry *passes(entry *from, entry *to, int64_t rows, int shift, int count) {
    for (int k = 0; k < count; k++) {
        pass(from, to, rows, shift + k * BITS);
        entry *other = from;
        from = to;
        to = other;
    }
    return from;
}

/* Sort both by hash; 0 where there is no memory for it. */
int lf_sort_hashes(uint64_t *hashes, int64_t *places, int64_t rows) {
    entry *entries = malloc(2 * (size_t)(rows ? rows : 1) * sizeof(entry));
    if (!entries) return 0;
    for (int64_t row = 0; row < rows; row++) entries[row] = (entry){hashes[row], places[row]};
    entry *sorted = passes(entries, entries + rows, rows, shift_of(hashes, rows), PASSES);
    if (!insert(sorted, rows))
        sorted = passes(sorted, sorted == entries ? entries + rows : entries, rows, 0, ALL_PASSES);
    for (int64_t row = 0; row < rows; row++) {
        hashes[row] = sorted[row].hash;
        places[row] = sorted[row].place;
    }
    free(entries);
    return 1;
}
