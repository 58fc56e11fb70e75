/* Bit-packed, run-length and delta encodings: https://parquet.apache.org/docs/file-format/data-pages/encodings/ */
#include "decoder.h"

#include <string.h>

static inline uint64_t load64(const uint8_t *in) {
    uint64_t word;
    memcpy(&word, in, 8);
    return word;
}

/* Eight values of a width that the compiler knows: shifts and offsets become constants. */
#define UNPACK_8(W)                                                                                                    \
    LF_CLONES static void unpack_##W(const uint8_t *in, uint32_t *out, int32_t groups) {                                         \
        const uint32_t mask = (uint32_t)((1ull << W) - 1);                                                             \
        for (int32_t g = 0; g < groups; g++, in += W, out += 8)                                                        \
            for (int k = 0; k < 8; k++) out[k] = (uint32_t)(load64(in + (k * W >> 3)) >> (k * W & 7)) & mask;          \
    }

#define WIDTHS(X) X(1) X(2) X(3) X(4) X(5) X(6) X(7) X(8) X(9) X(10) X(11) X(12) X(13) X(14) X(15) X(16) X(17) X(18) \
    X(19) X(20) X(21) X(22) X(23) X(24) X(25) X(26) X(27) X(28) X(29) X(30) X(31) X(32)

WIDTHS(UNPACK_8)

#define ENTRY(W) unpack_##W,
static void (*const unpackers[33])(const uint8_t *, uint32_t *, int32_t) = {0, WIDTHS(ENTRY)};

void lf_unpack(const uint8_t *in, const uint8_t *end, int32_t width, uint32_t *out, int32_t count) {
    int32_t groups = count / 8;
    if (width == 0) {
        memset(out, 0, (size_t)count * 4);
        return;
    }
    /* A load may reach 7 bytes behind its group: the last groups are unpacked from a padded copy. */
    int64_t available = end - in;
    int64_t safe = available >= 8 ? (available - 8) / width : 0;
    int32_t whole = safe < groups ? (int32_t)safe : groups;
    unpackers[width](in, out, whole);
    for (int32_t g = whole; g < groups; g++) {
        uint8_t padded[48] = {0};
        int64_t offset = (int64_t)g * width;
        int64_t there = available - offset;
        if (there > 0) memcpy(padded, in + offset, (size_t)(there < width ? there : width));
        unpackers[width](padded, out + (int64_t)g * 8, 1);
    }
}

int lf_hybrid_init(lf_hybrid *hybrid, const uint8_t *in, int64_t size, int32_t width) {
    if (width < 0 || width > 32 || size < 0) return -1;
    memset(hybrid, 0, sizeof *hybrid);
    hybrid->at = in;
    hybrid->end = in + size;
    hybrid->width = width;
    return 0;
}

/* Read the head of the next run. */
static int next_run(lf_hybrid *h) {
    uint32_t head = 0;
    for (int shift = 0;; shift += 7) {
        if (h->at >= h->end || shift > 28) return -1;
        uint8_t byte = *h->at++;
        head |= (uint32_t)(byte & 0x7f) << shift;
        if (byte < 0x80) break;
    }
    h->is_packed = head & 1;
    h->packed_at = 0;
    if (h->is_packed) {
        uint32_t groups = head >> 1;
        if (groups == 0 || groups > 0x07ffffff) return -1;
        h->left = (int32_t)(groups * 8);
        /* The last run of some writers is cut at the page's end; what isn't there may not be asked for. */
        int64_t bytes = (int64_t)groups * h->width;
        if (bytes > h->end - h->at) {
            int64_t there = h->width ? (h->end - h->at) * 8 / h->width : 0;
            h->left = (int32_t)there;
            if (there == 0) return -1;
        }
        return 0;
    }
    h->left = (int32_t)(head >> 1);
    int bytes = (h->width + 7) / 8;
    if (h->left == 0 || h->end - h->at < bytes) return -1;
    h->value = 0;
    memcpy(&h->value, h->at, (size_t)bytes);
    h->at += bytes;
    return 0;
}

int32_t lf_hybrid_next(lf_hybrid *h, uint32_t *out, int32_t most, int32_t *repeat, uint32_t *value) {
    if (h->left == 0 && next_run(h) < 0) return -1;
    int32_t count = h->left < most ? h->left : most;
    *repeat = !h->is_packed;
    if (!h->is_packed) {
        *value = h->value;
        h->left -= count;
        return count;
    }
    int32_t rounded = (count + 7) & ~7;
    lf_unpack(h->at, h->end, h->width, out, rounded);
    int64_t bytes = (int64_t)rounded / 8 * h->width;
    h->at = bytes < h->end - h->at ? h->at + bytes : h->end;
    h->left -= count;
    return count;
}

/* Values of up to 64 bits, one at a time: deltas are rarely wide. */
static uint64_t unpack_one(const uint8_t *in, const uint8_t *end, int64_t bit, int width) {
    uint64_t value = 0;
    const uint8_t *at = in + (bit >> 3);
    int shift = (int)(bit & 7), have = 0;
    while (have < width) {
        uint64_t byte = at < end ? *at : 0;
        at++;
        byte >>= shift;
        value |= byte << have;
        have += 8 - shift;
        shift = 0;
    }
    return width == 64 ? value : value & ((1ull << width) - 1);
}

static int varint64(const uint8_t **at, const uint8_t *end, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 64 && *at < end; shift += 7) {
        uint8_t byte = *(*at)++;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return 0;
    }
    return -1;
}

int64_t lf_delta(const uint8_t *in, int64_t size, int64_t *out, int64_t count) {
    const uint8_t *at = in, *end = in + size;
    uint64_t block, minis, total, first;
    if (varint64(&at, end, &block) || varint64(&at, end, &minis) || varint64(&at, end, &total) ||
        varint64(&at, end, &first))
        return -1;
    if (block == 0 || block % 128 || minis == 0 || block > (1u << 20) || minis > block / 32 || block % minis ||
        (block / minis) % 32 || total != (uint64_t)count)
        return -1;
    int64_t per_mini = (int64_t)(block / minis), done = 0;
    uint64_t last = (first >> 1) ^ (~(first & 1) + 1); /* unsigned: sums wrap, as the format says */
    if (count > 0) out[done++] = (int64_t)last;
    while (done < count) {
        uint64_t head;
        if (varint64(&at, end, &head) || (uint64_t)(end - at) < minis) return -1;
        uint64_t least = (head >> 1) ^ (~(head & 1) + 1);
        const uint8_t *widths = at;
        at += minis;
        for (uint64_t m = 0; m < minis && done < count; m++) {
            int width = widths[m];
            int64_t bytes = per_mini * width / 8;
            if (width > 64 || (width && at >= end)) return -1;
            int64_t take = count - done < per_mini ? count - done : per_mini;
            if ((take * width + 7) / 8 > end - at) return -1;
            for (int64_t i = 0; i < take; i++) {
                last += least + (width ? unpack_one(at, end, i * width, width) : 0);
                out[done++] = (int64_t)last;
            }
            at = bytes < end - at ? at + bytes : end;
        }
    }
    return at - in;
}
