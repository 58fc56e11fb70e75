/* The hash of cache/hashing.py, which says what it is and where its constants come from. */
#include "keyed.h"

#include <string.h>

#define GOLDEN UINT64_C(0x9E3779B97F4A7C15)

uint64_t lf_hash_word(uint64_t word) {
    word += GOLDEN;
    word = (word ^ (word >> 30)) * UINT64_C(0xBF58476D1CE4E5B9);
    word = (word ^ (word >> 27)) * UINT64_C(0x94D049BB133111EB);
    return word ^ (word >> 31);
}

/* The bytes of a word that may not reach its end, little-endian. */
static inline uint64_t word_of(const uint8_t *bytes, int64_t size) {
    uint64_t word = 0;
    if (size >= 8)
        memcpy(&word, bytes, 8);
    else
        for (int64_t k = 0; k < size; k++) word |= (uint64_t)bytes[k] << (8 * k);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
    if (size >= 8) word = __builtin_bswap64(word);
#endif
    return word;
}

uint64_t lf_hash_text(const uint8_t *text, int64_t size) {
    uint64_t total = 0, tweak = 0;
    int64_t at = 0;
    do {
        total += lf_hash_word(word_of(text + at, size - at) ^ tweak);
        tweak += GOLDEN;
        at += 8;
    } while (at < size);
    return lf_hash_word(total ^ (uint64_t)size);
}

/* 0 where an offset points out of the data. */
int lf_hash_texts(const lf_texts *texts, int64_t rows, uint64_t *hashes) {
    int64_t start = rows ? lf_offset(texts, 0) : 0;
    for (int64_t row = 0; row < rows; row++) {
        int64_t end = lf_offset(texts, row + 1);
        if (!lf_inside(texts, start, end)) return 0;
        hashes[row] = lf_hash_text(texts->data + start, end - start);
        start = end;
    }
    return 1;
}
