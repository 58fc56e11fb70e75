/* Delta-encoded integers: https://parquet.apache.org/docs/file-format/data-pages/encodings/ */
#include "parts.h"

/* A value of up to 64 bits: deltas are rarely wide. */
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

/* `count` sums, each a packed delta and `least` more than the one before; all of whose bytes are there. */
static uint64_t add_deltas(const uint8_t *in, const uint8_t *end, int width, int64_t count, uint64_t least,
                           uint64_t last, int64_t *out) {
    uint32_t deltas[LF_BATCH];
    if (width > 32) {
        for (int64_t i = 0; i < count; i++) out[i] = (int64_t)(last += least + unpack_one(in, end, i * width, width));
        return last;
    }
    for (int64_t done = 0; done < count; done += LF_BATCH) {
        int32_t some = count - done < LF_BATCH ? (int32_t)(count - done) : LF_BATCH;
        lf_unpack(in + done * width / 8, end, width, deltas, (some + 7) & ~7);
        for (int32_t i = 0; i < some; i++) out[done + i] = (int64_t)(last += least + deltas[i]);
    }
    return last;
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
            last = add_deltas(at, end, width, take, least, last, out + done);
            done += take;
            at = bytes < end - at ? at + bytes : end;
        }
    }
    return at - in;
}
