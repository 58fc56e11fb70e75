/* Iceberg's bucket transform: murmur3_x86_32 with seed 0 (Appleby; Iceberg's spec, appendix B), of texts as their bytes, of
 * integers as eight, little-endian. */
#include "keyed.h"

#include <string.h>

static inline uint32_t rotated(uint32_t word, int bits) { return word << bits | word >> (32 - bits); }

static inline uint32_t scrambled(uint32_t word) {
    return rotated(word * UINT32_C(0xcc9e2d51), 15) * UINT32_C(0x1b873593);
}

uint32_t lf_murmur(const uint8_t *bytes, int64_t size) {
    uint32_t hash = 0, last = 0;
    int64_t at = 0;
    for (; at + 4 <= size; at += 4) {
        uint32_t word;
        memcpy(&word, bytes + at, 4);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
        word = __builtin_bswap32(word);
#endif
        hash = rotated(hash ^ scrambled(word), 13) * 5 + UINT32_C(0xe6546b64);
    }
    for (int64_t k = at; k < size; k++) last |= (uint32_t)bytes[k] << (8 * (k - at));
    if (at < size) hash ^= scrambled(last);
    hash ^= (uint32_t)size;
    hash = (hash ^ hash >> 16) * UINT32_C(0x85ebca6b);
    hash = (hash ^ hash >> 13) * UINT32_C(0xc2b2ae35);
    return hash ^ hash >> 16;
}

int64_t lf_bucket_text(const uint8_t *text, int64_t size, int64_t buckets) {
    return (int64_t)(lf_murmur(text, size) & 0x7fffffff) % buckets;
}

int64_t lf_bucket_word(uint64_t word, int64_t buckets) {
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    word = __builtin_bswap64(word);
#endif
    uint8_t bytes[8];
    memcpy(bytes, &word, 8);
    return lf_bucket_text(bytes, 8, buckets);
}

void lf_bucket_words(const uint64_t *words, int64_t rows, int64_t buckets, int64_t *found) {
    for (int64_t row = 0; row < rows; row++) found[row] = lf_bucket_word(words[row], buckets);
}

/* 0 where an offset points out of the data. */
int lf_bucket_texts(const lf_texts *texts, int64_t rows, int64_t buckets, int64_t *found) {
    for (int64_t row = 0; row < rows; row++) {
        int64_t start = lf_offset(texts, row), end = lf_offset(texts, row + 1);
        if (!lf_inside(texts, start, end)) return 0;
        found[row] = lf_bucket_text(texts->data + start, end - start, buckets);
    }
    return 1;
}
