/* Finds keys among sources that are sorted by hash.
 *
 * Hashes are spread evenly, so a hash tells about where it lies (interpolation search: Peterson 1957; how far off: the
 * square root of the rows). From there steps that double come to bounds, and halves to the row. */
#include "keyed.h"

#include <string.h>

#define FIRST_STEP 64 /* hashes: eight cache lines */
#define BLOCK 32      /* keys whose guesses are fetched before the first of them is looked at */

static const lf_sorted *source_of(const lf_index *index, uint64_t hash) {
    int64_t low = 0, high = index->count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (index->firsts[middle] <= hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low ? &index->sources[low - 1] : 0;
}

static int64_t guess(const lf_sorted *in, uint64_t hash) {
    uint64_t first = in->hashes[0], last = in->hashes[in->rows - 1];
    if (hash <= first) return 0;
    if (hash >= last) return in->rows - 1;
    return (int64_t)((double)(hash - first) / (double)(last - first) * (double)(in->rows - 1));
}

/* The first row whose hash isn't less. */
static int64_t lower_bound(const lf_sorted *in, uint64_t hash) {
    int64_t low = 0, high = in->rows, step = FIRST_STEP, at = guess(in, hash);
    if (in->hashes[at] < hash) {
        for (low = at + 1; (at += step) < in->rows; step *= 2) {
            if (in->hashes[at] >= hash) {
                high = at;
                break;
            }
            low = at + 1;
        }
    } else {
        for (high = at; (at -= step) >= 0; step *= 2) {
            if (in->hashes[at] < hash) {
                low = at + 1;
                break;
            }
            high = at;
        }
    }
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (in->hashes[middle] < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static int64_t found(const lf_index *index, const lf_sorted *in, int64_t row) {
    return (int64_t)(in - index->sources) << 32 | row;
}

static int64_t find(const lf_index *index, uint64_t hash, const uint8_t *text, int64_t size) {
    const lf_sorted *in = source_of(index, hash);
    if (!in) return LF_ABSENT;
    if (!in->hashes) return LF_CLOSED - (in - index->sources);
    for (int64_t row = lower_bound(in, hash); row < in->rows && in->hashes[row] == hash; row++) {
        if (in->keys.kind == LF_NONE) return found(index, in, row);
        int64_t start = lf_offset(&in->keys, row), end = lf_offset(&in->keys, row + 1);
        if (end - start != size || !lf_inside(&in->keys, start, end)) continue;
        if (!size || !memcmp(in->keys.data + start, text, (size_t)size)) return found(index, in, row);
    }
    return LF_ABSENT;
}

/* Ask for the values of a row that is read next: each is a miss of its own, and so they are under way at once. */
static int64_t with_values(const lf_index *index, int64_t place) {
    if (place >= 0) {
        const lf_sorted *in = &index->sources[place >> 32];
        for (int64_t k = 0; k < in->column_count; k++)
            __builtin_prefetch(in->columns[k].start + (place & 0xffffffff) * in->columns[k].width);
    }
    return place;
}

int64_t lf_find_text(const lf_index *index, const uint8_t *text, int32_t size) {
    return with_values(index, find(index, lf_hash_text(text, size), text, size));
}

int64_t lf_find_word(const lf_index *index, uint64_t word) {
    return with_values(index, find(index, lf_hash_word(word), 0, 0));
}

static void fetch(const lf_index *index, uint64_t hash) {
    const lf_sorted *in = source_of(index, hash);
    if (in && in->hashes) __builtin_prefetch(&in->hashes[guess(in, hash)]);
}

void lf_find_texts(const lf_index *index, const lf_texts *texts, int64_t rows, int64_t *places) {
    uint64_t hashes[BLOCK];
    for (int64_t begin = 0; begin < rows; begin += BLOCK) {
        int64_t count = rows - begin < BLOCK ? rows - begin : BLOCK;
        for (int64_t k = 0; k < count; k++) {
            int64_t start = lf_offset(texts, begin + k), end = lf_offset(texts, begin + k + 1);
            hashes[k] = lf_hash_text(texts->data + start, end - start);
            fetch(index, hashes[k]);
        }
        for (int64_t k = 0; k < count; k++) {
            int64_t start = lf_offset(texts, begin + k), end = lf_offset(texts, begin + k + 1);
            places[begin + k] = find(index, hashes[k], texts->data + start, end - start);
        }
    }
}

void lf_find_words(const lf_index *index, const uint64_t *words, int64_t rows, int64_t *places) {
    uint64_t hashes[BLOCK];
    for (int64_t begin = 0; begin < rows; begin += BLOCK) {
        int64_t count = rows - begin < BLOCK ? rows - begin : BLOCK;
        for (int64_t k = 0; k < count; k++) {
            hashes[k] = lf_hash_word(words[begin + k]);
            fetch(index, hashes[k]);
        }
        for (int64_t k = 0; k < count; k++) places[begin + k] = find(index, hashes[k], 0, 0);
    }
}
