/* Bit-packed and run-length encodings: https://parquet.apache.org/docs/file-format/data-pages/encodings/ */
#include "parts.h"

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

LF_CLONES static uint32_t largest(const uint32_t *values, int32_t count) {
    uint32_t most = 0;
    for (int32_t i = 0; i < count; i++) most = values[i] > most ? values[i] : most;
    return most;
}

int32_t lf_next_indices(lf_hybrid *h, uint32_t *out, int64_t wanted, int32_t size, int32_t *repeat, uint32_t *value) {
    int32_t most = wanted < LF_BATCH ? (int32_t)((wanted + 7) & ~7) : LF_BATCH;
    int32_t got = lf_hybrid_next(h, out, most, repeat, value);
    if (got > wanted) got = (int32_t)wanted;
    if (got <= 0) return -1;
    uint32_t top = *repeat ? *value : largest(out, got);
    return top < (uint32_t)size ? got : -1;
}
