/* Finds keys among sources that are sorted by hash.
 *
 * Hashes are spread evenly, so a hash tells about where it lies: interpolation search (Peterson 1957). A guess is off by
 * about the square root of the rows that it is made from, so the next one, from the hash that is found there, by the
 * square root of that: the third lies within a cache line or two, whatever the rows (Yao and Yao 1976: log log n steps).
 * From there steps that double come to bounds, and halves to the row: hashes that aren't spread evenly are found, too.
 *
 * A guess may come from damaged hashes, as it only costs time. What decides is compared with its checksum before. */
#include "keyed.h"

#include <string.h>

#define FIRST_STEP 4 /* hashes: half a cache line */
#define BLOCK 32     /* keys that are looked up at once: their misses are under way together */

static const lf_sorted *source_of(const lf_index *index, uint64_t hash, int64_t bucket) {
    int64_t begin = index->buckets ? index->starts[bucket] : 0;
    int64_t low = begin, high = index->buckets ? index->starts[bucket + 1] : index->count;
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (index->firsts[middle] <= hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low > begin ? &index->sources[low - 1] : 0;
}

static inline int64_t bucket_text(const lf_index *index, const uint8_t *text, int64_t size) {
    return index->buckets ? lf_bucket_text(text, size, index->buckets) : 0;
}

static inline int64_t bucket_word(const lf_index *index, uint64_t word) {
    return index->buckets ? lf_bucket_word(word, index->buckets) : 0;
}

/* About where a hash lies, from those at both ends. */
static int64_t guess(const lf_sorted *in, uint64_t hash) {
    uint64_t first = in->hashes[0], last = in->hashes[in->rows - 1];
    if (hash <= first) return 0;
    if (hash >= last) return in->rows - 1;
    return (int64_t)((double)(hash - first) / (double)(last - first) * (double)(in->rows - 1));
}

/* A better guess, from the hash at an earlier one. */
static int64_t refined(const lf_sorted *in, uint64_t hash, int64_t at) {
    uint64_t first = in->hashes[0], last = in->hashes[in->rows - 1], there = in->hashes[at];
    if (first == last) return at;
    double rows_a_hash = (double)(in->rows - 1) / (double)(last - first);
    if (there <= hash) {
        double further = (double)(hash - there) * rows_a_hash;
        return further < (double)(in->rows - 1 - at) ? at + (int64_t)further : in->rows - 1;
    }
    double back = (double)(there - hash) * rows_a_hash;
    return back < (double)at ? at - (int64_t)back : 0;
}

static inline uint64_t hash_at(const lf_sorted *in, int64_t row, int *sound) {
    if (!lf_check(in->index, in->hashes + row, sizeof(uint64_t))) *sound = 0;
    return in->hashes[row];
}

/* The first row whose hash isn't less, looked for from a guess on; `sound` becomes 0 where a block is damaged. */
static int64_t lower_bound(const lf_sorted *in, uint64_t hash, int64_t at, int *sound) {
    int64_t low = 0, high = in->rows, step = FIRST_STEP;
    if (hash_at(in, at, sound) < hash) {
        for (low = at + 1; (at += step) < in->rows; step *= 2) {
            if (hash_at(in, at, sound) >= hash) {
                high = at;
                break;
            }
            low = at + 1;
        }
    } else {
        for (high = at; (at -= step) >= 0; step *= 2) {
            if (hash_at(in, at, sound) < hash) {
                low = at + 1;
                break;
            }
            high = at;
        }
    }
    while (low < high) {
        int64_t middle = (low + high) / 2;
        if (hash_at(in, middle, sound) < hash)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

/* Ask for the values of a row that is read next: each is a miss of its own, and so they are under way at once. */
static void fetch_values(const lf_sorted *in, int64_t row) {
    for (int64_t k = 0; k < in->column_count; k++) {
        const lf_layout *of = &in->columns[k];
        __builtin_prefetch(of->values + row * of->bits / 8);
    }
}

/* The place of a key, looked for from the first row with its hash on. */
static int64_t match(const lf_index *index, const lf_sorted *in, uint64_t hash, int64_t row, const uint8_t *text,
                     int64_t size) {
    int sound = 1;
    for (; row < in->rows && hash_at(in, row, &sound) == hash && sound; row++) {
        int64_t place = (int64_t)(in - index->sources) << 32 | row;
        if (in->keys.kind == LF_NONE) return place;
        if (!lf_check_offsets(&in->keys, row)) return LF_DAMAGED;
        int64_t start = lf_offset(&in->keys, row), end = lf_offset(&in->keys, row + 1);
        if (end - start != size || !lf_inside(&in->keys, start, end)) continue;
        if (!lf_check(in->keys.blocks, in->keys.data + start, size)) return LF_DAMAGED;
        if (!size || !memcmp(in->keys.data + start, text, (size_t)size)) return place;
    }
    return sound ? LF_ABSENT : LF_DAMAGED;
}

/* `whole`: the values of the row are read next, so they are compared, too. */
static int64_t find_one(const lf_index *index, uint64_t hash, int64_t bucket, const uint8_t *text, int64_t size,
                        int whole) {
    const lf_sorted *in = source_of(index, hash, bucket);
    if (!in) return LF_ABSENT;
    int64_t number = in - index->sources;
    if (!in->hashes) return LF_CLOSED - number;
    int sound = 1;
    int64_t at = lower_bound(in, hash, refined(in, hash, refined(in, hash, guess(in, hash))), &sound);
    if (!sound) return LF_DAMAGED - number;
    if (at < in->rows && in->hashes[at] == hash) fetch_values(in, at); /* before its key is compared: it is nearly always it */
    int64_t place = match(index, in, hash, at, text, size);
    if (place == LF_DAMAGED) return LF_DAMAGED - number;
    if (place < 0 || !whole || !in->payload) return place;
    return lf_check_row(in->payload, in->columns, in->column_count, place & 0xffffffff) ? place : LF_DAMAGED - number;
}

int64_t lf_find_text(const lf_index *index, const uint8_t *text, int32_t size, int32_t whole) {
    return find_one(index, lf_hash_text(text, size), bucket_text(index, text, size), text, size, whole);
}

int64_t lf_find_word(const lf_index *index, uint64_t word, int32_t whole) {
    return find_one(index, lf_hash_word(word), bucket_word(index, word), 0, 0, whole);
}

/* The first row of a hash, where keys are none that are compared here. */
int64_t lf_find_hash(const lf_index *index, uint64_t hash) { return find_one(index, hash, 0, 0, 0, 0); }

/* Keys that are looked up together: what one waits for is asked for before the next one is looked at. */
typedef struct {
    uint64_t hash;
    int64_t bucket;
    const lf_sorted *in; /* none where there is nothing to look at */
    int64_t at;
    const uint8_t *text;
    int64_t size;
} lf_sought;

static void find_block(const lf_index *index, lf_sought *keys, int64_t count, int64_t *places) {
    for (int64_t k = 0; k < count; k++) {
        const lf_sorted *in = keys[k].in = source_of(index, keys[k].hash, keys[k].bucket);
        places[k] = !in ? LF_ABSENT : LF_CLOSED - (in - index->sources);
        if (in && !in->hashes) keys[k].in = 0;
        if (keys[k].in) __builtin_prefetch(&in->hashes[keys[k].at = guess(in, keys[k].hash)]);
    }
    for (int round = 0; round < 2; round++)
        for (int64_t k = 0; k < count; k++) {
            const lf_sorted *in = keys[k].in;
            if (in) __builtin_prefetch(&in->hashes[keys[k].at = refined(in, keys[k].hash, keys[k].at)]);
        }
    for (int64_t k = 0; k < count; k++) {
        const lf_sorted *in = keys[k].in;
        if (!in) continue;
        int sound = 1;
        keys[k].at = lower_bound(in, keys[k].hash, keys[k].at, &sound);
        if (!sound) {
            places[k] = LF_DAMAGED - (in - index->sources);
            keys[k].in = 0;
            continue;
        }
        if (in->keys.kind != LF_NONE && keys[k].at < in->rows)
            __builtin_prefetch((const uint8_t *)in->keys.offsets + keys[k].at * (in->keys.kind == LF_WIDE ? 8 : 4));
    }
    for (int64_t k = 0; k < count; k++) {
        const lf_sorted *in = keys[k].in;
        if (!in) continue;
        places[k] = match(index, in, keys[k].hash, keys[k].at, keys[k].text, keys[k].size);
        if (places[k] == LF_DAMAGED) places[k] -= in - index->sources;
    }
}

void lf_find_texts(const lf_index *index, const lf_texts *texts, int64_t rows, int64_t *places) {
    lf_sought keys[BLOCK];
    for (int64_t begin = 0; begin < rows; begin += BLOCK) {
        int64_t count = rows - begin < BLOCK ? rows - begin : BLOCK;
        for (int64_t k = 0; k < count; k++) {
            int64_t start = lf_offset(texts, begin + k), end = lf_offset(texts, begin + k + 1);
            keys[k].text = texts->data + start;
            keys[k].size = end - start;
            keys[k].hash = lf_hash_text(keys[k].text, keys[k].size);
            keys[k].bucket = bucket_text(index, keys[k].text, keys[k].size);
        }
        find_block(index, keys, count, places + begin);
    }
}

void lf_find_words(const lf_index *index, const uint64_t *words, int64_t rows, int64_t *places) {
    lf_sought keys[BLOCK];
    for (int64_t begin = 0; begin < rows; begin += BLOCK) {
        int64_t count = rows - begin < BLOCK ? rows - begin : BLOCK;
        for (int64_t k = 0; k < count; k++) {
            uint64_t word = words[begin + k];
            keys[k] = (lf_sought){.hash = lf_hash_word(word), .bucket = bucket_word(index, word)};
        }
        find_block(index, keys, count, places + begin);
    }
}

void lf_find_hashes(const lf_index *index, const uint64_t *hashes, int64_t rows, int64_t *places) {
    lf_sought keys[BLOCK];
    for (int64_t begin = 0; begin < rows; begin += BLOCK) {
        int64_t count = rows - begin < BLOCK ? rows - begin : BLOCK;
        for (int64_t k = 0; k < count; k++) keys[k] = (lf_sought){.hash = hashes[begin + k]};
        find_block(index, keys, count, places + begin);
    }
}
