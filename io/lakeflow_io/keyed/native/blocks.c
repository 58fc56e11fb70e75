/* Blocks of a file that is mapped, each compared with its checksum before it is first relied on. */
#include "keyed.h"

#include "../../parquet/native/crc.h"

void lf_block_sums(const uint8_t *data, int64_t size, uint32_t *sums) {
    for (int64_t start = 0; start < size; start += LF_BLOCK)
        *sums++ = lf_crc32(data + start, size - start < LF_BLOCK ? size - start : LF_BLOCK);
}

/* Any number of threads may compare one block at once: they come to the same, and a bit is set at one go. */
int lf_compare(lf_blocks *in, int64_t first, int64_t last) {
    for (int64_t block = first; block <= last; block++) {
        if (lf_is_seen(in, (uint64_t)block)) continue;
        int64_t start = block * LF_BLOCK, size = in->size - start < LF_BLOCK ? in->size - start : LF_BLOCK;
        if (lf_crc32(in->start + start, size) != in->sums[block]) {
            in->damaged = block;
            return 0;
        }
        __atomic_fetch_or(&in->seen[block / 64], (uint64_t)1 << block % 64, __ATOMIC_RELAXED);
    }
    return 1;
}

int lf_check_bytes(lf_blocks *in, int64_t start, int64_t size) { return lf_check(in, in->start + start, size); }

static int64_t offset_at(const lf_layout *of, int64_t row) {
    return of->bits == 64 ? ((const int64_t *)of->values)[row] : ((const int32_t *)of->values)[row];
}

/* The bytes of `count` values from one on, `bits` wide each. */
static int check_bits(lf_blocks *in, const uint8_t *values, int64_t bits, int64_t first, int64_t count) {
    int64_t start = first * bits / 8;
    return lf_check(in, values + start, ((first + count) * bits + 7) / 8 - start);
}

static int check_values(lf_blocks *in, const lf_layout *of, int64_t first, int64_t count) {
    if (!count) return 1;
    if (of->validity && !check_bits(in, of->validity, 1, first, count)) return 0;
    if (!of->offsets) {
        if (!check_bits(in, of->values, of->bits, first, count)) return 0;
        first *= of->each;
        count *= of->each;
    } else {
        if (!check_bits(in, of->values, of->bits, first, count + 1)) return 0;
        int64_t start = offset_at(of, first), end = offset_at(of, first + count);
        if (of->data) return lf_check(in, of->data + start, end - start);
        first = start;
        count = end - start;
    }
    for (int64_t k = 0; k < of->child_count; k++)
        if (!check_values(in, &of->children[k], first, count)) return 0;
    return 1;
}

int lf_check_row(lf_blocks *in, const lf_layout *columns, int64_t count, int64_t row) {
    for (int64_t k = 0; k < count; k++)
        if (!check_values(in, &columns[k], row, 1)) return 0;
    return 1;
}

/* Columns of rows of several sources, before they are read; returns a source with a damaged block, or -1. */
int64_t lf_check_places(const lf_checked *columns, int64_t count, const int64_t *places, int64_t rows) {
    for (int64_t k = 0; k < count; k++)
        for (int64_t row = 0; row < rows; row++) {
            int64_t source = places[row] >> 32;
            lf_blocks *in = columns[k].blocks[source];
            if (in && !check_values(in, columns[k].layouts[source], places[row] & 0xffffffff, 1)) return source;
        }
    return -1;
}
