/* Brings rows of several sources together, in the order of their places. */
#include "keyed.h"

#include <string.h>

/* Rows ahead of which memory is asked for: their places are at random, so that each is a miss of its own. */
#define AHEAD 24

static inline int64_t row_of(int64_t place) { return place & 0xffffffff; }

#define GATHER(type)                                                                       \
    do {                                                                                   \
        type *to = target;                                                                 \
        for (int64_t k = 0; k < rows; k++) {                                               \
            if (k + AHEAD < rows) {                                                        \
                int64_t next = places[k + AHEAD];                                          \
                __builtin_prefetch((const type *)sources[next >> 32] + row_of(next));      \
            }                                                                              \
            to[k] = ((const type *)sources[places[k] >> 32])[row_of(places[k])];           \
        }                                                                                  \
    } while (0)

static void gather(const void *const *sources, int64_t width, const int64_t *places, int64_t rows, void *target) {
    switch (width) {
        case 1: GATHER(uint8_t); return;
        case 2: GATHER(uint16_t); return;
        case 4: GATHER(uint32_t); return;
        case 8: GATHER(uint64_t); return;
        default:
            for (int64_t k = 0; k < rows; k++) {
                const uint8_t *from = sources[places[k] >> 32];
                memcpy((uint8_t *)target + k * width, from + row_of(places[k]) * width, (size_t)width);
            }
    }
}

/* Whether all values of a column are what was written; else the number of a source where one isn't, -1 if they are. */
static int64_t damaged(const lf_column *column, const int64_t *places, int64_t rows) {
    if (!column->blocks) return -1;
    for (int64_t k = 0; k < rows; k++) {
        int64_t source = places[k] >> 32;
        const uint8_t *from = (const uint8_t *)column->sources[source] + row_of(places[k]) * column->width;
        if (!lf_check(column->blocks[source], from, column->width)) return source;
    }
    return -1;
}

/* Columns, one behind the other, each `lf_padded`; returns a source with a damaged block, or -1. */
int64_t lf_gather(const lf_column *columns, int64_t count, const int64_t *places, int64_t rows, uint8_t *target) {
    for (int64_t k = 0; k < count; k++) {
        int64_t source = damaged(&columns[k], places, rows);
        if (source >= 0) return source;
        gather(columns[k].sources, columns[k].width, places, rows, target);
        target += lf_padded(rows * columns[k].width);
    }
    return -1;
}

/* The offsets of gathered texts, rows + 1 of them; returns the bytes of all, or -1 where an offset points out of its data,
 * or LF_DAMAGED less the number of a source with a damaged block.
 * Where the bytes are too many for 32-bit offsets, what was written is of no use. */
int64_t lf_gather_offsets(const lf_texts *sources, const int64_t *places, int64_t rows, int32_t wide, void *offsets) {
    int64_t total = 0;
    for (int64_t k = 0; k <= rows; k++) {
        if (wide)
            ((int64_t *)offsets)[k] = total;
        else
            ((int32_t *)offsets)[k] = (int32_t)total;
        if (k == rows) break;
        if (k + AHEAD < rows) {
            const lf_texts *next = &sources[places[k + AHEAD] >> 32];
            __builtin_prefetch((const uint8_t *)next->offsets + row_of(places[k + AHEAD]) * (next->kind == LF_WIDE ? 8 : 4));
        }
        const lf_texts *from = &sources[places[k] >> 32];
        if (!lf_check_offsets(from, row_of(places[k]))) return LF_DAMAGED - (places[k] >> 32);
        int64_t start = lf_offset(from, row_of(places[k])), end = lf_offset(from, row_of(places[k]) + 1);
        if (!lf_inside(from, start, end)) return -1;
        if (!lf_check(from->blocks, from->data + start, end - start)) return LF_DAMAGED - (places[k] >> 32);
        total += end - start;
    }
    return total;
}

/* The bytes of gathered texts, one behind the other, after `lf_gather_offsets` has looked at their offsets. */
void lf_gather_texts(const lf_texts *sources, const int64_t *places, int64_t rows, uint8_t *target) {
    for (int64_t k = 0; k < rows; k++) {
        if (k + AHEAD < rows) {
            const lf_texts *next = &sources[places[k + AHEAD] >> 32];
            __builtin_prefetch(next->data + lf_offset(next, row_of(places[k + AHEAD])));
        }
        const lf_texts *from = &sources[places[k] >> 32];
        int64_t start = lf_offset(from, row_of(places[k])), size = lf_offset(from, row_of(places[k]) + 1) - start;
        if (size) memcpy(target, from->data + start, (size_t)size);
        target += size;
    }
}
